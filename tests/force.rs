//! Force, with real files and real processes: what it takes, what even it leaves alone, and ending a holder first.

mod support;

use lockscope::clear::{ClearError, Reason, Refusal, State, Workplace, end_holder, force, recheck_forced, undo};
use lockscope::inspect::{LookOptions, impact_of, look_at_one};
use lockscope::model::holder::{Pid, ProcessFacts};
use lockscope::model::snapshot::Lock;
use lockscope::platform::{Ending, EndingError, this_machine};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use support::{DEAD, Process, write};

const PATIENCE: Duration = Duration::from_secs(20);

struct World {
    workplace: Workplace,
    directory: PathBuf,
    base: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let base = tempfile::tempdir().expect("a directory");
        let directory = base.path().join("locks");
        fs::create_dir(&directory).expect("made");
        let usual = lockscope::lock::workplace(this_machine(), &base.path().join("state"));
        Self { workplace: Workplace { runtime_dir: base.path().join("run"), ..usual }, directory, base }
    }

    fn seen(&self, name: &str) -> Arc<Lock> {
        let found = look_at_one(&self.workplace.system, &self.directory, OsStr::new(name), &LookOptions::default());
        found.expect("looked at").expect("there").0
    }

    fn force(&self, seen: &Lock) -> Result<String, Refusal> {
        let reason = Reason::new("the ticket says so").expect("words");
        let permit = recheck_forced(&self.workplace, &self.directory, seen, &LookOptions::default(), &reason)?;
        match force(permit) {
            Ok(cleared) => Ok(cleared.id),
            Err(ClearError::Refused(refusal)) => Err(refusal),
            Err(error) => panic!("{error}"),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn facts(&self, pid: u32) -> ProcessFacts {
        let pid = Pid::new(pid.into()).expect("a PID");
        (*impact_of(&*self.workplace.system, pid).expect("running").process).clone()
    }

    fn run(&self, arguments: &[&str]) -> (i32, serde_json::Value) {
        let ran = Command::new(env!("CARGO_BIN_EXE_lockscope"))
            .args(arguments)
            .arg("--json")
            .current_dir(&self.directory)
            .env("LOCKSCOPE_STATE_DIR", self.base.path().join("state"))
            .env("LOCKSCOPE_CONFIG_DIR", self.base.path().join("config"))
            .output()
            .expect("it runs");
        let report = serde_json::from_slice(&ran.stdout).unwrap_or_else(|error| {
            panic!("{error}: {} {}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr))
        });
        (ran.status.code().expect("it ends by itself"), report)
    }
}

fn inode(path: &Path) -> u64 {
    std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).expect("there"))
}

#[test]
fn a_living_owners_lock_goes_with_the_reason_on_record_and_comes_back() {
    let world = World::new();
    let owner = Process::shell(&world.directory, "echo ready; read");
    let path = write(&world.directory, "job.pid", format!("{}\n", owner.pid()), 60);
    let before = inode(&path);
    let seen = world.seen("job.pid");
    assert_eq!(seen.judgement.verdict.id(), "held");
    let id = world.force(&seen).expect("forced");
    assert!(!path.exists());
    let entry = world.workplace.journal().find(&id).expect("readable").expect("there");
    assert_eq!((&*entry.what, &*entry.verdict, entry.state), ("force", "held", State::Done));
    assert!(entry.why.starts_with("the ticket says so (It was held: "), "{}", entry.why);
    undo(&world.workplace, &id).expect("undone");
    assert_eq!(inode(&path), before);
}

#[test]
fn what_names_another_host_or_nobody_can_be_forced() {
    let world = World::new();
    write(&world.directory, "far.lock", "{\"pid\": 812, \"host\": \"nas2\"}", 60);
    write(&world.directory, "garbage.lock", "what is this\n", 60);
    for (name, verdict) in [("far.lock", "foreign"), ("garbage.lock", "unknown")] {
        let seen = world.seen(name);
        assert_eq!(seen.judgement.verdict.id(), verdict);
        world.force(&seen).expect("forced");
        assert!(!world.path(name).exists());
    }
}

#[test]
fn a_kernel_lock_outweighs_force_and_each_refusal_is_on_record() {
    let world = World::new();
    let mut holder = Process::shell(&world.directory, "exec 9>a_memory.lock; flock 9; echo ready; exec sleep 1000");
    let before = inode(&world.path("a_memory.lock"));
    let refused = world.force(&world.seen("a_memory.lock"));
    assert!(matches!(&refused, Err(Refusal::HeldByKernel { .. })), "{refused:?}");
    assert!(refused.expect_err("refused").to_string().contains("end the process first, or wait"));
    let journal = world.workplace.journal().read().expect("readable");
    assert_eq!(journal.iter().map(|entry| &*entry.what).collect::<Vec<_>>(), ["refuse"]);
    // Released, it is a meeting point: force alone takes it, and only while nobody has it open.
    holder.kill();
    let opener = Process::shell(&world.directory, "exec 9<a_memory.lock; echo ready; exec sleep 1000");
    let idle = world.seen("a_memory.lock");
    assert_eq!(idle.judgement.verdict.id(), "idle");
    let refused = world.force(&idle);
    assert!(matches!(&refused, Err(Refusal::InUse(_))), "{refused:?}");
    assert_eq!(inode(&world.path("a_memory.lock")), before);
    drop(opener);
    world.force(&world.seen("a_memory.lock")).expect("forced");
    assert!(!world.path("a_memory.lock").exists());
}

#[test]
fn an_open_file_outweighs_force_whoever_has_it_open() {
    let world = World::new();
    let owner = Process::shell(&world.directory, "exec 9>job.pid; echo $$ >&9; echo ready; exec sleep 1000");
    assert_eq!(fs::read_to_string(world.path("job.pid")).expect("readable"), format!("{}\n", owner.pid()));
    let refused = world.force(&world.seen("job.pid"));
    assert!(matches!(&refused, Err(Refusal::InUse(_))), "{refused:?}");
    assert!(world.path("job.pid").exists());
}

#[test]
fn what_is_no_lock_or_data_stays() {
    let world = World::new();
    write(&world.directory, "Cargo.lock", "x", 60);
    let database = [b"SQLite format 3\0".as_slice(), &[0; 84]].concat();
    fs::write(world.path("app.db"), database).expect("written");
    let names = ["Cargo.lock", "app.db"];
    for name in names {
        let refused = world.force(&world.seen(name));
        assert!(matches!(&refused, Err(Refusal::NotClearable { .. })), "{name}: {refused:?}");
        assert!(world.path(name).exists());
    }
}

#[test]
fn what_changed_since_it_was_seen_is_not_forced() {
    let world = World::new();
    let path = write(&world.directory, "job.pid", format!("{DEAD}\n"), 60);
    let seen = world.seen("job.pid");
    fs::write(&path, "4711\n").expect("written");
    let refused = world.force(&seen);
    assert!(matches!(&refused, Err(Refusal::Changed { .. })), "{refused:?}");
    assert!(path.exists());
}

#[test]
fn a_process_is_ended_only_if_it_is_the_one_that_was_seen() {
    let world = World::new();
    let reason = Reason::new("the ticket says so").expect("words");
    let end = |facts: &ProcessFacts| {
        end_holder(&world.workplace, &world.directory, OsStr::new("a.lock"), facts, &reason, PATIENCE)
    };
    let mut victim = Process::shell(&world.directory, "echo ready; read");
    let seen = world.facts(victim.pid());
    let other = ProcessFacts { start_ticks: seen.start_ticks.map(|ticks| ticks + 1), ..seen.clone() };
    assert!(matches!(end(&other), Err(EndingError::AnotherProcess(_))));
    assert!(victim.0.try_wait().expect("asked").is_none(), "it was not hit");
    assert!(matches!(end(&seen), Ok(Ending::Ended)));
    let ended = std::os::unix::process::ExitStatusExt::signal(&victim.0.wait().expect("ended"));
    assert_eq!(ended, Some(15));
    assert!(matches!(end(&seen), Err(EndingError::GoneAlready(_))));
    let init = ProcessFacts { pid: Pid::new(1).expect("a PID"), ..seen.clone() };
    assert!(matches!(end(&init), Err(EndingError::NotThatOne(_))));
    let ourselves = world.facts(std::process::id());
    assert!(matches!(end(&ourselves), Err(EndingError::NotThatOne(_))));
    let journal = world.workplace.journal().read().expect("readable");
    let said: Vec<(&str, bool)> =
        journal.iter().map(|entry| (&*entry.what, entry.outcome.contains("has ended"))).collect();
    assert_eq!(said.len(), 5);
    assert!(said.iter().all(|(what, _)| *what == "force"));
    assert!(journal.iter().any(|entry| entry.outcome.ends_with("was asked to end (SIGTERM), and has ended")));
    assert!(journal.iter().all(|entry| !entry.can_be_undone()));
}

#[test]
fn a_process_that_does_not_listen_runs_on() {
    let world = World::new();
    let reason = Reason::new("the ticket says so").expect("words");
    let victim = Process::shell(&world.directory, "trap '' TERM; echo ready; read");
    let seen = world.facts(victim.pid());
    let came =
        end_holder(&world.workplace, &world.directory, OsStr::new("a.lock"), &seen, &reason, Duration::from_millis(50));
    assert!(matches!(came, Ok(Ending::StillRunning)), "{came:?}");
}

#[test]
fn what_ending_it_would_hit_is_told() {
    let world = World::new();
    let holder = Process::shell(
        &world.directory,
        "exec 9>a.lock 8>b.lock; flock 9; flock 8; sleep 1000 9>&- 8>&- & echo $! > child; echo ready; wait",
    );
    let impact = impact_of(&*world.workplace.system, Pid::new(holder.pid().into()).expect("a PID")).expect("running");
    let locked = impact.locked_files.expect("ours may be seen");
    assert_eq!(locked, [world.path("a.lock"), world.path("b.lock")].map(|path| path.canonicalize().expect("there")));
    let child = fs::read_to_string(world.path("child")).expect("written");
    assert_eq!(impact.children.iter().map(|child| child.pid.to_string()).collect::<Vec<_>>(), [child.trim()]);
    Command::new("kill").arg(impact.children[0].pid.to_string()).status().expect("runs");
}

#[test]
fn the_command_ends_the_holder_first_and_then_needs_no_force() {
    let world = World::new();
    let mut holder = Process::shell(&world.directory, "exec 9>a_memory.lock; flock 9; echo ready; exec sleep 1000");
    let force = ["clear", "a_memory.lock", "--force", "--reason", "stuck since noon", "--yes"];
    let (code, report) = world.run(&force);
    assert_eq!((code, &report["refused"][0]["verdict"]), (1, &"held".into()), "{report}");
    let (code, report) = world.run(&[&force[..], &["--end-holder"]].concat());
    assert_eq!((code, &report["status"]), (0, &"nothing".into()), "{report}");
    assert!(holder.0.wait().is_ok());
    assert!(world.path("a_memory.lock").exists(), "a meeting point is left where it is");
    // An owner that leaves its file behind when it is ended: then it goes.
    let mut owner = Process::shell(&world.directory, "echo $$ > job.pid; echo ready; read");
    let (code, report) =
        world.run(&["clear", "job.pid", "--force", "--reason", "stuck since noon", "--yes", "--end-holder"]);
    assert_eq!(
        (code, &report["status"], &report["cleared"][0]["path"]),
        (0, &"ok".into(), &"job.pid".into()),
        "{report}"
    );
    assert!(!world.path("job.pid").exists());
    assert!(owner.0.wait().is_ok());
    let (_, log) = world.run(&["log"]);
    let entries = log["entries"].as_array().expect("a list");
    let what: Vec<&str> = entries.iter().filter_map(|entry| entry["what"].as_str()).collect();
    assert_eq!(what, ["refuse", "force", "force", "force"]);
}
