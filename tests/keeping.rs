//! What is kept, and for how long: the journal and its old parts, and what was cleared, until 30 days later.

mod support;

use lockscope::clear::{
    Consent, KEPT_FOR, State, UndoRefusal, Workplace, clear, clear_and_crash, expire, recheck, recover_all, undo,
};
use lockscope::inspect::{LookOptions, look_at_one};
use lockscope::model::time::Wall;
use lockscope::platform::{Host, System, this_machine};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use support::{DEAD, write};

/// This machine, later.
struct Later {
    real: Arc<dyn System>,
    by: Duration,
    /// What the clock was set by since the start of the machine.
    step: Duration,
}

impl System for Later {
    fn wall(&self) -> Wall {
        self.real.wall().plus(self.by)
    }
    fn host(&self) -> Host {
        Host { clock_step: Some(self.step), ..self.real.host() }
    }
    crate::by_the_real_one!(monotonic file_system lock_device kernel_locks look_at count_processes sweep open_paths open_directory);
}

struct World {
    now: Workplace,
    locks: PathBuf,
    _base: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let base = tempfile::tempdir().expect("a directory");
        let locks = base.path().join("locks");
        fs::create_dir(&locks).expect("a directory");
        let usual = lockscope::lock::workplace(this_machine(), &base.path().join("state"));
        Self { now: Workplace { runtime_dir: base.path().join("run"), ..usual }, locks, _base: base }
    }

    fn later(&self, by: Duration, step: Duration) -> Workplace {
        Workplace { system: Arc::new(Later { real: this_machine(), by, step }), ..self.now.clone() }
    }

    /// Clears a stale lock; gives its entry, and where it is kept.
    fn cleared(&self, name: &str) -> (String, PathBuf) {
        let options = LookOptions::default();
        let found =
            look_at_one(&self.now.system, &self.locks, OsStr::new(name), &options).expect("it can be looked at");
        let (seen, _) = found.expect("it is there");
        let permit = recheck(&self.now, &self.locks, &seen, &options, Consent::Bulk).expect("it is stale");
        let id = clear(permit).expect("cleared").id;
        let kept = self.now.journal().find(&id).expect("readable").and_then(|entry| entry.quarantine);
        (id, kept.expect("it is kept"))
    }

    fn stale(&self, name: &str) -> (String, PathBuf) {
        write(&self.locks, name, format!("{DEAD}\n"), 3600);
        self.cleared(name)
    }

    /// Closes the journal's current part, as a rotation does.
    fn rotate(&self) {
        let journal = self.now.state_dir.join("journal");
        fs::rename(journal.join("journal.jsonl"), journal.join("journal.000001.jsonl")).expect("closed");
    }

    fn state(&self, id: &str) -> State {
        self.now.journal().find(id).expect("readable").expect("on record").state
    }
}

const DAY: Duration = Duration::from_hours(24);

#[test]
fn after_thirty_days_it_is_deleted_and_on_record() {
    let world = World::new();
    let (id, kept) = world.stale("a.pid");
    assert_eq!(expire(&world.later(KEPT_FOR.saturating_sub(DAY), Duration::ZERO)).expect("done"), 0);
    assert!(kept.exists() && world.state(&id) == State::Done);
    assert_eq!(expire(&world.later(KEPT_FOR + DAY, Duration::ZERO)).expect("done"), 1);
    assert!(!kept.exists());
    assert_eq!(world.state(&id), State::Expired);
    let refusal = undo(&world.now, &id).expect_err("too late");
    assert!(matches!(&refusal, UndoRefusal::NothingToUndo { why, .. } if why.contains("30 days")), "{refusal}");
    assert_eq!(expire(&world.later(KEPT_FOR + DAY, Duration::ZERO)).expect("done"), 0, "once is enough");
}

#[test]
fn a_link_goes_and_its_target_stays() {
    let world = World::new();
    let target = world.locks.join("target");
    fs::write(&target, "precious").expect("written");
    // Emacs's form: user@host.PID. The link itself is as young as this test, so it is orphaned at once, stale at 0 s.
    let host = world.now.system.host().name;
    std::os::unix::fs::symlink(format!("alice@{host}.{DEAD}"), world.locks.join(".#notes")).expect("linked");
    let options = LookOptions { threshold: Duration::ZERO, ..LookOptions::default() };
    let found = look_at_one(&world.now.system, &world.locks, OsStr::new(".#notes"), &options).expect("looked at");
    let (seen, _) = found.expect("there");
    let permit = recheck(&world.now, &world.locks, &seen, &options, Consent::ByName).expect("it may go");
    let id = clear(permit).expect("cleared").id;
    assert_eq!(expire(&world.later(KEPT_FOR + DAY, Duration::ZERO)).expect("done"), 1);
    assert_eq!(world.state(&id), State::Expired);
    assert_eq!(fs::read(&target).expect("still there"), b"precious");
}

#[test]
fn what_is_not_what_was_put_there_stays() {
    let world = World::new();
    let (changed, at) = world.stale("changed.pid");
    fs::write(&at, "somebody wrote here\n").expect("written");
    let (replaced, there) = world.stale("replaced.pid");
    fs::rename(&there, there.with_extension("moved")).expect("moved");
    fs::write(&there, format!("{DEAD}\n")).expect("written");
    let (undone, back) = world.stale("undone.pid");
    undo(&world.now, &undone).expect("put back");
    assert_eq!(expire(&world.later(KEPT_FOR + DAY, Duration::ZERO)).expect("done"), 0);
    assert!(at.exists() && there.exists() && !back.exists() && world.locks.join("undone.pid").exists());
    assert_eq!([&changed, &replaced, &undone].map(|id| world.state(id)), [State::Done, State::Done, State::Undone]);
}

impl World {
    /// A stale lock that is a directory with a record in it, cleared: its entry's id, and where it is kept.
    fn stale_directory(&self) -> (String, PathBuf) {
        let lock = self.locks.join("twistd.pid.lock");
        fs::create_dir(&lock).expect("made");
        fs::write(lock.join("symlink"), DEAD.to_string()).expect("written");
        let options = LookOptions { threshold: Duration::ZERO, ..LookOptions::default() };
        let found = look_at_one(&self.now.system, &self.locks, OsStr::new("twistd.pid.lock"), &options);
        let (seen, _) = found.expect("looked at").expect("there");
        let permit = recheck(&self.now, &self.locks, &seen, &options, Consent::ByName).expect("it may go");
        let id = clear(permit).expect("cleared").id;
        let entry = self.now.journal().find(&id).expect("readable").expect("on record");
        (id, entry.quarantine.expect("it is kept"))
    }
}

#[test]
fn a_directory_is_deleted_entry_by_entry() {
    let world = World::new();
    let (id, kept) = world.stale_directory();
    assert_eq!(expire(&world.later(KEPT_FOR + DAY, Duration::ZERO)).expect("done"), 1);
    assert!(!kept.exists());
    assert_eq!(world.state(&id), State::Expired);
    // Half deleted by an expiry that died: it is gone on with.
    let (id, kept) = world.stale_directory();
    fs::remove_file(kept.join("symlink")).expect("removed");
    assert_eq!(expire(&world.later(KEPT_FOR + DAY, Duration::ZERO)).expect("done"), 1);
    assert!(!kept.exists() && world.state(&id) == State::Expired);
}

/// What has come into it since, or is not as it was, is nobody's to delete; nor is the rest. Nor is it put back.
#[test]
fn a_directory_that_somebody_changed_stays() {
    let changes: [fn(&Path); 5] = [
        |kept| fs::write(kept.join("more"), "mine").expect("written"),
        |kept| fs::create_dir(kept.join("deep")).expect("made"),
        |kept| fs::write(kept.join("symlink"), "mine").expect("written"),
        |kept| {
            fs::remove_file(kept.join("symlink")).expect("removed");
            fs::create_dir(kept.join("symlink")).expect("made");
        },
        |kept| {
            fs::rename(kept, kept.with_extension("old")).expect("moved");
            fs::create_dir(kept).expect("made");
        },
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let world = World::new();
        let (id, kept) = world.stale_directory();
        change(&kept);
        let names = || fs::read_dir(&kept).expect("it is there").count();
        let before = names();
        let refused = undo(&world.now, &id);
        assert!(matches!(refused, Err(UndoRefusal::Lost { .. })), "{number}: {refused:?}");
        assert_eq!(expire(&world.later(KEPT_FOR + DAY, Duration::ZERO)).expect("done"), 0, "{number}");
        assert_eq!((names(), world.state(&id)), (before, State::Done), "{number}");
    }
}

#[test]
fn a_clock_that_was_set_far_ends_nothing() {
    let world = World::new();
    let (id, kept) = world.stale("a.pid");
    assert_eq!(expire(&world.later(KEPT_FOR + DAY, DAY * 2)).expect("done"), 0);
    assert!(kept.exists() && world.state(&id) == State::Done);
}

#[test]
fn what_an_intent_still_names_is_kept() {
    let world = World::new();
    let (id, kept) = world.stale("a.pid");
    // As a crash leaves it after the last line of the journal: the intent is still there.
    let entry = world.now.journal().find(&id).expect("readable").expect("on record");
    let deed = entry.deed.expect("it has one");
    let intent = serde_json::json!({
        "id": id, "txn": deed.txn, "parent": deed.parent, "parent_dev": deed.parent_dev, "parent_ino": deed.parent_ino,
        "name": deed.name, "form": "directory",
        "maker": {"pid": DEAD, "host": "h", "pid_ns": null, "boot_id": null, "start_token": null, "command": "", "created": ""},
    });
    let pending = world.now.state_dir.join("pending");
    fs::create_dir_all(&pending).expect("made");
    let path = pending.join(format!("{}.json", deed.txn));
    fs::write(&path, intent.to_string()).expect("written");
    assert_eq!(expire(&world.later(KEPT_FOR + DAY, Duration::ZERO)).expect("done"), 0);
    assert!(kept.exists());
    fs::remove_file(&path).expect("removed");
    assert_eq!(
        expire(&world.later(KEPT_FOR + DAY, Duration::ZERO)).expect("done"),
        1,
        "it was the intent that kept it"
    );
}

#[test]
fn undo_finds_what_stands_in_an_old_part() {
    let world = World::new();
    let (id, _) = world.stale("a.pid");
    world.rotate();
    let (newer, _) = world.stale("b.pid");
    assert_eq!(lockscope::clear::last_clear_ids(&world.now).expect("readable"), [newer.as_str()]);
    undo(&world.now, &id).expect("put back");
    assert!(world.locks.join("a.pid").exists());
    assert_eq!(world.state(&id), State::Undone, "the end of it stands in another part than its beginning");
    assert_eq!(world.now.journal().read().expect("readable").len(), 3);
}

const CRASH: &str = "LOCKSCOPE_TEST_CRASH_IN";

#[test]
fn recovery_finds_what_stands_in_an_old_part() {
    if let Some(base) = std::env::var_os(CRASH).map(PathBuf::from) {
        let usual = lockscope::lock::workplace(this_machine(), &base.join("state"));
        let workplace = Workplace { runtime_dir: base.join("run"), ..usual };
        let options = LookOptions::default();
        let found = look_at_one(&workplace.system, &base.join("locks"), OsStr::new("a.pid"), &options);
        let (seen, _) = found.expect("looked at").expect("there");
        let permit = recheck(&workplace, &base.join("locks"), &seen, &options, Consent::Bulk).expect("stale");
        panic!("still alive: {:?}", clear_and_crash(permit));
    }
    let world = World::new();
    write(&world.locks, "a.pid", format!("{DEAD}\n"), 3600);
    let child = std::process::Command::new(std::env::current_exe().expect("a path"))
        .args(["--exact", "recovery_finds_what_stands_in_an_old_part"])
        .env(CRASH, world.locks.parent().expect("a parent"))
        .output()
        .expect("it runs");
    assert!(!child.status.success());
    let entries = world.now.journal().read().expect("readable");
    assert_eq!(entries.len(), 1);
    assert!(matches!(entries[0].state, State::Prepared | State::Swapped), "it died in the middle: {:?}", entries[0]);
    assert!(world.locks.join("a.pid").is_dir(), "our placeholder");
    world.rotate();
    assert_eq!(recover_all(&world.now).expect("done"), 1);
    assert_eq!(world.state(&entries[0].id), State::Done);
    assert!(!world.locks.join("a.pid").exists());
    undo(&world.now, &entries[0].id).expect("put back");
    assert_eq!(fs::read(world.locks.join("a.pid")).expect("back"), format!("{DEAD}\n").as_bytes());
}

/// Four programs at once with one journal.
#[test]
fn lockscopes_at_once_lose_no_line_of_each_other() {
    const EACH: usize = 15;
    let base = tempfile::tempdir().expect("a directory");
    let state = base.path().join("state");
    let running: Vec<_> = (0..4)
        .map(|at| {
            let locks = base.path().join(format!("locks{at}"));
            fs::create_dir(&locks).expect("made");
            for number in 0..EACH {
                write(&locks, &format!("{at}-{number}.pid"), format!("{DEAD}\n"), 3600);
            }
            std::process::Command::new(env!("CARGO_BIN_EXE_lockscope"))
                .args(["clear", "--stale", "--yes", "--json"])
                .current_dir(&locks)
                .env("LOCKSCOPE_STATE_DIR", &state)
                .env("LOCKSCOPE_CONFIG_DIR", base.path().join("config"))
                .stdout(std::process::Stdio::null())
                .spawn()
                .expect("it starts")
        })
        .collect();
    for mut child in running {
        assert_eq!(child.wait().expect("it ends").code(), Some(0));
    }
    let entries = lockscope::lock::workplace(this_machine(), &state).journal().read().expect("readable");
    assert_eq!(
        (entries.len(), entries.iter().filter(|entry| entry.state == State::Done).count()),
        (4 * EACH, 4 * EACH)
    );
    let lines = fs::read_to_string(state.join("journal/journal.jsonl")).expect("readable");
    assert!(lines.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "no line is torn");
}
