//! What Lockscope says and does on systems that do not show their kernel locks: macOS, Windows, and Linux when built so.
//!
//! Nothing there may count as free that is not proved free, and nothing is cleared.
#![cfg(feature = "portable")]

mod support;

use lockscope::clear::{Consent, Refusal, State, UndoRefusal, last_clear_ids, recheck, recover_all, repair};
use lockscope::engine::settings::Settings;
use lockscope::inspect::{EmptyFiles, LookOptions, look};
use lockscope::model::snapshot::Snapshot;
use lockscope::platform::portable::{Numbering, Portable};
use lockscope::platform::{System, this_machine};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use support::{DEAD, Process, Watched, lock, verdict, write};

const HOUR: u64 = 3600;
const ALL: [Numbering; 3] = [Numbering::One, Numbering::Several, Numbering::Namespaces];

fn machine(numbering: Numbering) -> Arc<dyn System> {
    Arc::new(Portable::with(numbering))
}

fn seen_by(numbering: Numbering, directory: &Path) -> Snapshot {
    let snapshot = look(&machine(numbering), directory, &LookOptions::default()).expect("it can be looked at");
    for lock in snapshot.locks() {
        let (name, verdict) = (lock.path.display(), lock.judgement.verdict.id());
        assert!(!lock.is_bulk_clearable(&snapshot.sight), "{numbering:?}: {name} is {verdict}");
        assert!(!["idle", "suspect"].contains(&verdict), "{numbering:?}: {name} is {verdict}");
    }
    snapshot
}

fn directory() -> tempfile::TempDir {
    // Beside the program: on a disk that is known to be this computer's.
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory")
}

fn sleeper(directory: &Path) -> Process {
    Process::shell(directory, "echo ready; read")
}

#[test]
fn a_living_owner_holds_and_its_end_is_proved_only_where_numbers_are_of_one_kind() {
    let base = directory();
    let mut owner = sleeper(base.path());
    write(base.path(), "job.pid", format!("{}\n", owner.pid()), 0);
    write(base.path(), "old.lock", format!("{{\"pid\": {}}}\n", owner.pid()), 0);
    for (numbering, expected) in ALL.into_iter().zip(["held", "held", "unknown"]) {
        let snapshot = seen_by(numbering, base.path());
        for name in ["job.pid", "old.lock"] {
            let (verdict, why) = verdict(&snapshot, name);
            assert_eq!(verdict, expected, "{numbering:?}: {name}: {why}");
        }
    }
    owner.kill();
    for (numbering, expected) in ALL.into_iter().zip(["orphaned", "unknown", "unknown"]) {
        let (verdict, why) = verdict(&seen_by(numbering, base.path()), "job.pid");
        assert_eq!(verdict, expected, "{numbering:?}: {why}");
        assert_eq!(why.contains("Git Bash"), numbering == Numbering::Several, "{why}");
    }
    write(base.path(), "job.pid", format!("{}\n", owner.pid()), HOUR);
    for (numbering, expected) in ALL.into_iter().zip(["stale", "unknown", "unknown"]) {
        let (verdict, why) = verdict(&seen_by(numbering, base.path()), "job.pid");
        assert_eq!(verdict, expected, "{numbering:?}: {why}");
    }
}

/// The record has a start token of another kind of clock than can be read here.
#[test]
fn a_start_token_that_cannot_be_compared_is_no_other_process() {
    let base = directory();
    let owner = sleeper(base.path());
    let host = this_machine().host().name;
    let marker = format!(
        "{{\"pid\": {}, \"host\": \"{host}\", \"pid_ns\": null, \"boot_id\": null, \"start_token\": 1, \
         \"command\": \"x\", \"created\": \"2026-01-01T00:00:00Z\"}}\n",
        owner.pid()
    );
    write(base.path(), "marker.lock", &marker, 0);
    for numbering in ALL {
        let snapshot = seen_by(numbering, base.path());
        let lock = lock(&snapshot, "marker.lock");
        assert_eq!(lock.facts.reading().format.id, "lockscope");
        let verdict = lock.judgement.verdict.id();
        assert!(["held", "unknown"].contains(&verdict), "{numbering:?}: {verdict}");
        assert_eq!(lock.judgement.gone, None, "{numbering:?}");
    }
}

#[test]
fn a_kernel_lock_is_never_said_to_be_free() {
    let base = directory();
    for name in ["chat_memory.lock", "empty.lock"] {
        write(base.path(), name, "", HOUR);
    }
    let _holder = Process::shell(base.path(), "exec 9<>chat_memory.lock; flock 9; echo ready; read");
    let options = LookOptions { empty_files: EmptyFiles::KernelLocks, ..LookOptions::default() };
    for numbering in ALL {
        for options in [&LookOptions::default(), &options] {
            let snapshot = look(&machine(numbering), base.path(), options).expect("it can be looked at");
            for name in ["chat_memory.lock", "empty.lock"] {
                let (verdict, why) = verdict(&snapshot, name);
                assert_eq!(verdict, "unknown", "{numbering:?}: {name}: {why}");
                let blind = numbering == Numbering::Namespaces; // then that comes first
                assert!(blind || why.contains("cannot be seen here"), "{numbering:?}: {why}");
            }
        }
    }
}

/// Whoever has it open, or works under it, is not seen: then nobody's absence is.
#[test]
fn a_lock_that_names_nobody_is_never_suspect() {
    let base = directory();
    fs::create_dir(base.path().join(".git")).expect("made");
    write(&base.path().join(".git"), "index.lock", "DIRC", HOUR);
    for numbering in ALL {
        let (verdict, why) = verdict(&seen_by(numbering, &base.path().join(".git")), "index.lock");
        assert_eq!(verdict, "unknown", "{numbering:?}: {why}");
    }
}

#[test]
fn what_was_made_elsewhere_stays_elsewhere() {
    let base = directory();
    write(base.path(), "there.lock", format!("{DEAD}\nno-such-host\n"), HOUR);
    for numbering in ALL {
        assert_eq!(verdict(&seen_by(numbering, base.path()), "there.lock").0, "foreign");
    }
}

#[test]
fn hostile_objects_neither_hang_nor_lead_away() {
    use std::os::unix::fs::symlink;
    let base = directory();
    let path = |name: &str| base.path().join(name);
    assert!(std::process::Command::new("mkfifo").arg(path("pipe.lock")).status().expect("run").success());
    let _socket = std::os::unix::net::UnixListener::bind(path("socket.lock")).expect("bound");
    symlink("/dev/zero", path("zero.lock")).expect("linked");
    symlink("round.lock", path("round.lock")).expect("linked");
    symlink("/", path("root")).expect("linked");
    fs::create_dir(path("directory.lock")).expect("made");
    write(base.path(), "long.lock", vec![b'7'; 1 << 20], HOUR);
    for numbering in ALL {
        let options = LookOptions { recursive: true, ..LookOptions::default() };
        let snapshot = look(&machine(numbering), base.path(), &options).expect("it can be looked at");
        for name in ["pipe.lock", "socket.lock", "zero.lock", "round.lock"] {
            assert_eq!(verdict(&snapshot, name).0, "not_a_lock", "{numbering:?}: {name}");
        }
        for name in ["directory.lock", "long.lock"] {
            assert_eq!(verdict(&snapshot, name).0, "unknown", "{numbering:?}: {name}");
        }
        assert_eq!(snapshot.locks().count(), 6, "nothing behind a link is listed");
    }
}

/// Also of what is proved dead: to take it away safely needs calls, and sight, that are not there.
#[test]
fn nothing_is_cleared_put_back_or_repaired() {
    let base = directory();
    let state = tempfile::tempdir().expect("a directory");
    let path = write(base.path(), "job.pid", format!("{DEAD}\n"), HOUR);
    let workplace = lockscope::lock::workplace(machine(Numbering::One), state.path());
    let snapshot = seen_by(Numbering::One, base.path());
    let seen = lock(&snapshot, "job.pid");
    assert_eq!(seen.judgement.verdict.id(), "stale");
    for consent in [Consent::Bulk, Consent::ByName] {
        let refusal = recheck(&workplace, base.path(), &seen, &LookOptions::default(), consent).expect_err("refused");
        assert!(matches!(refusal, Refusal::Unsupported { .. }), "{refusal:?}");
        assert!(refusal.to_string().contains("delete it by hand"), "{refusal}");
        let entries = workplace.journal().read().expect("the journal can be read");
        let last = entries.last().expect("the refusal is on record");
        assert_eq!((last.state, &last.why), (State::Refused, &refusal.to_string()));
        let undone = lockscope::clear::undo(&workplace, &last.id).expect_err("refused");
        assert!(matches!(undone, UndoRefusal::Unsupported { kept: None, .. }), "{undone:?}");
    }
    let unknown = lockscope::clear::undo(&workplace, "no-such-entry").expect_err("refused");
    assert!(matches!(unknown, UndoRefusal::NoSuchEntry(_)), "{unknown:?}");
    let refusal = repair(&workplace, base.path(), Path::new("job.pid")).expect_err("refused");
    assert!(matches!(refusal, Refusal::Unsupported { .. }), "{refusal:?}");
    assert_eq!(recover_all(&workplace).expect("nothing to do"), 0);
    assert_eq!(last_clear_ids(&workplace).expect("read"), Vec::<String>::new());
    assert!(path.exists());
    assert_eq!(fs::read_dir(base.path()).expect("listed").count(), 1, "and nothing was put beside it");
}

/// The window's way: it sees the end of an owner, and another process with its number, without a start in ticks.
#[test]
fn the_engine_follows_an_owner() {
    let base = directory();
    let state = tempfile::tempdir().expect("a directory");
    let mut owner = sleeper(base.path());
    write(base.path(), "job.pid", format!("{}\n", owner.pid()), 0);
    let watched = Watched::start_on(machine(Numbering::One), base.path(), state.path(), Settings::default());
    watched.until_verdict("job.pid", "held");
    owner.kill();
    watched.until_verdict("job.pid", "orphaned");
    fs::remove_file(base.path().join("job.pid")).expect("removed");
    watched.until_gone("job.pid");
}

#[test]
fn the_command_line_promises_no_clear() {
    let base = directory();
    let state = tempfile::tempdir().expect("a directory");
    let path = write(base.path(), "job.pid", format!("{DEAD}\n"), HOUR);
    let run = |arguments: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_lockscope"))
            .args(arguments)
            .current_dir(base.path())
            .env("LOCKSCOPE_STATE_DIR", state.path())
            .env("LOCKSCOPE_CONFIG_DIR", state.path())
            .output()
            .expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, status) = run(&["status", "--json"]);
    assert_eq!(code, Some(0));
    let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
    assert_eq!((&status["locks"][0]["verdict"], &status["locks"][0]["clearable"]), (&"unknown".into(), &false.into()));
    for arguments in [&["clear", "job.pid", "--yes", "--json"][..], &["clear", "job.pid", "--dry-run", "--json"]] {
        let (code, report) = run(arguments);
        assert_eq!(code, Some(1), "{report}");
        let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
        assert_eq!((&report["status"], &report["count"]), (&"refused".into(), &0.into()), "{report}");
    }
    assert!(path.exists());
}
