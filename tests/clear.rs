//! From what a person saw to a permit, or a refusal that says why: real files, the public way (CLEARING.md section 8, 51).

mod support;

use lockscope::clear::{
    ClearError, Consent, Fingerprint, Reason, Refusal, State, Workplace, clear, force, recheck, recheck_forced, undo,
};
use lockscope::inspect::{LookOptions, look_at_one};
use lockscope::model::holder::{Pid, ProcessFacts, ProcessLook};
use lockscope::model::snapshot::Lock;
use lockscope::model::time::Wall;
use lockscope::platform::{System, this_machine};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use support::{DEAD, Process, set_age, write};

const HOUR: u64 = 3600;

/// A directory and a workplace that shares nothing with the person's own.
struct World {
    workplace: Workplace,
    directory: PathBuf,
    _base: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        Self::on(this_machine())
    }

    fn on(system: Arc<dyn System>) -> Self {
        let base = tempfile::tempdir().expect("a directory");
        let directory = base.path().join("locks");
        fs::create_dir(&directory).expect("a directory");
        let usual = lockscope::lock::workplace(system, &base.path().join("state"));
        Self { workplace: Workplace { runtime_dir: base.path().join("run"), ..usual }, directory, _base: base }
    }

    /// A lock of a dead owner, an hour old, as it is seen.
    fn stale(&self) -> (PathBuf, Arc<Lock>) {
        let path = write(&self.directory, "job.pid", format!("{DEAD}\n"), HOUR);
        (path, self.seen("job.pid"))
    }

    fn seen(&self, name: &str) -> Arc<Lock> {
        let options = LookOptions::default();
        let found = look_at_one(&self.workplace.system, &self.directory, OsStr::new(name), &options);
        found.expect("it can be looked at").unwrap_or_else(|| panic!("{name} is there")).0
    }

    /// Rechecks, clears if that is permitted, and gives the refusal if not.
    fn try_clear(&self, seen: &Lock, consent: Consent) -> Result<String, Refusal> {
        let permit = recheck(&self.workplace, &self.directory, seen, &LookOptions::default(), consent)?;
        assert_eq!(permit.path(), self.directory.join(&*seen.path));
        Ok(clear(permit).expect("what is permitted is cleared").id)
    }

    fn refused(&self, seen: &Lock, consent: Consent) -> Refusal {
        let refusal = self.try_clear(seen, consent).expect_err("no permit");
        let entries = self.workplace.journal().read().expect("the journal can be read");
        let last = entries.last().expect("a refusal is on record");
        assert_eq!((last.state, last.path.as_os_str()), (State::Refused, &*seen.path));
        assert_eq!(last.why, refusal.to_string());
        assert!(!last.can_be_undone());
        refusal
    }
}

/// What another program does to the lock between look and confirmation, and what is said of it.
type Change = (&'static str, fn(&Path));

const CHANGES: [Change; 6] = [
    ("another file stands there", |path| {
        // Moved, not removed: the inode number stays taken.
        fs::rename(path, path.with_extension("old")).expect("moved");
        write(path.parent().expect("a parent"), "job.pid", format!("{DEAD}\n"), HOUR);
    }),
    ("another kind of file stands there", |path| {
        fs::remove_file(path).expect("removed");
        std::os::unix::fs::symlink("elsewhere", path).expect("linked");
    }),
    ("another kind of file stands there", |path| {
        fs::remove_file(path).expect("removed");
        fs::create_dir(path).expect("made");
    }),
    ("its size changed", |path| fs::write(path, format!("{DEAD}1\n")).expect("written")),
    ("its content changed", |path| {
        let modified = fs::metadata(path).and_then(|stat| stat.modified()).expect("a time");
        fs::write(path, format!("{}\n", DEAD + 1)).expect("written");
        fs::File::open(path).and_then(|file| file.set_modified(modified)).expect("set");
    }),
    ("it was written to", |path| set_age(path, Duration::from_secs(HOUR - 60))),
];

/// 51.
#[test]
fn what_changed_since_the_look_is_refused_and_named() {
    for consent in [Consent::Bulk, Consent::ByName] {
        for (number, (expected, change)) in CHANGES.into_iter().enumerate() {
            let world = World::new();
            let (path, seen) = world.stale();
            change(&path);
            let before = fs::symlink_metadata(&path).expect("it is there");
            let refusal = world.refused(&seen, consent);
            let Refusal::Changed { what, .. } = &refusal else { panic!("{number}: {refusal:?}") };
            assert_eq!(*what, expected, "{number}");
            let after = fs::symlink_metadata(&path).expect("it is still there");
            assert_eq!((after.modified().ok(), after.len()), (before.modified().ok(), before.len()), "{number}");
        }
    }
}

#[test]
fn what_is_gone_is_refused_as_gone() {
    let world = World::new();
    let (path, seen) = world.stale();
    fs::remove_file(&path).expect("removed");
    let refusal = world.refused(&seen, Consent::ByName);
    assert!(matches!(refusal, Refusal::Gone(_)), "{refusal:?}");
    fs::remove_dir(&world.directory).expect("removed");
    let refusal = world.refused(&seen, Consent::ByName);
    assert!(matches!(refusal, Refusal::Gone(_)), "{refusal:?}");
}

/// This machine, on which a dead process can come to life.
struct Revivable {
    real: Arc<dyn System>,
    alive: AtomicBool,
}

impl System for Revivable {
    fn look_at(&self, pid: Pid) -> ProcessLook {
        if pid.get() != DEAD || !self.alive.load(Ordering::SeqCst) {
            return self.real.look_at(pid);
        }
        let ProcessLook::Running(me) = self.real.look_at(Pid::new(std::process::id().into()).expect("a PID")) else {
            panic!("this process runs")
        };
        let started_at = Wall(self.wall().0 - 7_200_000_000_000);
        ProcessLook::Running(Box::new(ProcessFacts { pid, started_at, start_ticks: Some(1), ..*me }))
    }
    crate::by_the_real_one!(wall monotonic host file_system lock_device kernel_locks count_processes sweep open_paths open_directory);
}

#[test]
fn an_owner_that_is_alive_after_all_keeps_its_lock() {
    let system = Arc::new(Revivable { real: this_machine(), alive: AtomicBool::new(false) });
    let world = World::on(Arc::clone(&system) as Arc<dyn System>);
    let (path, seen) = world.stale();
    assert_eq!(seen.judgement.verdict.id(), "stale");
    system.alive.store(true, Ordering::SeqCst);
    let refusal = world.refused(&seen, Consent::ByName);
    let Refusal::VerdictChanged { was, now, .. } = &refusal else { panic!("{refusal:?}") };
    assert_eq!((was.id(), now.id()), ("stale", "held"));
    assert!(path.exists());
    system.alive.store(false, Ordering::SeqCst);
    world.try_clear(&seen, Consent::Bulk).expect("dead again, it is what was seen");
    assert!(!path.exists());
}

/// The file is the same to the last bit: what is new stands in the kernel.
#[test]
fn whoever_takes_it_after_the_look_keeps_it() {
    let world = World::new();
    let (path, seen) = world.stale();
    let mut holder = Process::shell(&world.directory, "exec 9<job.pid; flock 9; echo ready; read");
    let refusal = world.refused(&seen, Consent::ByName);
    let Refusal::VerdictChanged { now, .. } = &refusal else { panic!("{refusal:?}") };
    assert_eq!(now.id(), "held");
    assert!(path.exists());
    holder.kill();
    world.try_clear(&seen, Consent::ByName).expect("let go of");
    assert!(!path.exists());
}

/// 25: of a stale lock the look does not tell who reads it; the lease does.
#[test]
fn whoever_has_it_open_stops_the_clear() {
    let world = World::new();
    let (path, seen) = world.stale();
    let mut reader = Process::shell(&world.directory, "exec 9<job.pid; echo ready; read");
    for consent in [Consent::Bulk, Consent::ByName] {
        let permit = recheck(&world.workplace, &world.directory, &seen, &LookOptions::default(), consent);
        let result = clear(permit.expect("it is stale"));
        assert!(matches!(result, Err(ClearError::Refused(Refusal::InUse(_)))), "{result:?}");
        assert_eq!(Fingerprint::of(&seen), Fingerprint::of(&world.seen("job.pid")), "nothing was changed");
        let entries = world.workplace.journal().read().expect("the journal can be read");
        let last = entries.last().expect("it is on record");
        assert_eq!((last.state, &last.outcome), (State::Refused, &result.expect_err("refused").to_string()));
    }
    let names = fs::read_dir(&world.directory).expect("listed").count();
    assert_eq!(names, 1, "nothing but the lock");
    reader.kill();
    world.try_clear(&seen, Consent::Bulk).expect("let go of");
    assert!(!path.exists());
}

#[test]
fn what_is_not_proved_stale_is_never_permitted() {
    let world = World::new();
    write(&world.directory, "held.pid", format!("{}\n", std::process::id()), 0);
    write(&world.directory, "foreign.lock", format!("{DEAD}\nno-such-host\n"), HOUR);
    write(&world.directory, "unknown.lock", "what is this?", HOUR);
    write(&world.directory, "Cargo.lock", "version = 4\n", HOUR);
    write(&world.directory, "chat_memory.lock", "", HOUR);
    for (name, verdict) in [
        ("held.pid", "held"),
        ("foreign.lock", "foreign"),
        ("unknown.lock", "unknown"),
        ("chat_memory.lock", "idle"),
        ("Cargo.lock", "not_a_lock"),
    ] {
        let seen = world.seen(name);
        assert_eq!(seen.judgement.verdict.id(), verdict, "{name}");
        for consent in [Consent::Bulk, Consent::ByName] {
            let refusal = world.refused(&seen, consent);
            let Refusal::NotClearable { by_name: false, verdict: now, .. } = &refusal else { panic!("{refusal:?}") };
            assert_eq!(now.id(), verdict);
            assert!(world.directory.join(name).exists());
        }
    }
    let entries = world.workplace.journal().read().expect("the journal can be read");
    let refused = entries.iter().filter(|entry| entry.state == State::Refused && entry.deed.is_none());
    assert_eq!((refused.count(), entries.len()), (10, 10), "every refusal is on record, and nothing else");
}

/// Younger than the threshold: only by its name.
#[test]
fn an_orphan_is_not_swept_and_can_be_named() {
    let world = World::new();
    let path = write(&world.directory, "job.pid", format!("{DEAD}\n"), 60);
    let seen = world.seen("job.pid");
    assert_eq!(seen.judgement.verdict.id(), "orphaned");
    let refusal = world.refused(&seen, Consent::Bulk);
    assert!(matches!(refusal, Refusal::NotClearable { by_name: true, .. }), "{refusal:?}");
    assert!(path.exists());
    let id = world.try_clear(&seen, Consent::ByName).expect("named, it is cleared");
    assert!(!path.exists());
    assert_eq!(undo(&world.workplace, &id).expect("undone").path, path);
    assert!(path.exists());
}

/// A tool that has a command for it knows what else belongs to the lock: that is named, and nothing is touched.
#[test]
fn a_lock_whose_tool_has_its_own_way_is_left_to_it() {
    let host = this_machine().host().name;
    let roster = format!("{{\"exclusive\": [[\"{host}@1\", {DEAD}, 0]], \"shared\": []}}");
    let borg2 = format!(
        "{{\"exclusive\": true, \"hostid\": \"{host}@1\", \"processid\": {DEAD}, \"threadid\": 0, \"time\": \"2026-01-01T00:00:00\"}}"
    );
    let hash = "locks/a".to_owned() + &"0".repeat(63);
    for (name, content, verdict, command) in [
        ("lock.roster", roster.as_str(), "stale", "`borg break-lock REPO`"),
        (&hash, &borg2, "stale", "`borg break-lock`"),
        (".snakemake/locks/0.input.lock", "out.txt\n", "suspect", "`snakemake --unlock`"),
        (".terraform.tfstate.lock.info", "{\"ID\": \"1\", \"Who\": \"a@\"}", "suspect", "`terraform force-unlock ID`"),
    ] {
        let world = World::new();
        let directory = world.directory.join(name).parent().expect("it has one").to_owned();
        fs::create_dir_all(&directory).expect("a directory");
        let base_name = Path::new(name).file_name().expect("a name").to_str().expect("text");
        let path = write(&directory, base_name, content, HOUR);
        let world = World { directory, ..world };
        let seen = world.seen(base_name);
        assert_eq!(seen.judgement.verdict.id(), verdict, "{name}");
        assert!(!seen.is_clearable(), "{name}");
        for consent in [Consent::ByName, Consent::Bulk] {
            let refusal = world.refused(&seen, consent);
            assert!(matches!(refusal, Refusal::OwnWay { .. }), "{name}: {refusal:?}");
            let said = refusal.to_string();
            assert!(said.contains(command) && said.contains("--force"), "{said}");
        }
        assert_eq!(fs::read_to_string(&path).expect("it is there"), content);
        // By force it goes all the same.
        let reason = Reason::new("the repository is gone").expect("words");
        let forced = recheck_forced(&world.workplace, &world.directory, &seen, &LookOptions::default(), &reason);
        force(forced.expect("force may")).expect("it goes");
        assert!(!path.exists(), "{name}");
    }
}

/// Time alone turns an orphan stale between the look and the word for it: it is what the person was told it would become.
#[test]
fn an_orphan_that_has_turned_stale_is_cleared_as_the_orphan_it_was() {
    let world = World::new();
    let path = write(&world.directory, "job.pid", format!("{DEAD}\n"), 60);
    let seen = world.seen("job.pid");
    assert_eq!(seen.judgement.verdict.id(), "orphaned");
    let later = LookOptions { threshold: Duration::from_secs(30), ..LookOptions::default() };
    let permit = recheck(&world.workplace, &world.directory, &seen, &later, Consent::ByName).expect("permitted");
    clear(permit).expect("cleared");
    assert!(!path.exists());
}

/// That the owner's number is another process's by now is evidence for as long as that process is there.
#[test]
fn where_the_witness_ends_before_the_swap_nothing_is_cleared() {
    let world = World::new();
    let mut witness = Process::shell(&world.directory, "echo ready; read");
    let host = fs::read_to_string("/proc/sys/kernel/hostname").expect("readable");
    // A start token that is not this process's.
    let path = write(&world.directory, "job.lock", format!("{}\n{}\n7\n", witness.pid(), host.trim()), HOUR);
    let seen = world.seen("job.lock");
    assert_eq!(seen.judgement.verdict.id(), "stale");
    let options = LookOptions::default();
    let permit = recheck(&world.workplace, &world.directory, &seen, &options, Consent::Bulk).expect("permitted");
    witness.kill();
    let refused = clear(permit);
    assert!(matches!(&refused, Err(ClearError::Refused(Refusal::Changed { .. }))), "{refused:?}");
    assert_eq!(fs::read_dir(&world.directory).expect("listed").count(), 1, "nothing but the lock");
    // Looked at again it is as stale as before, on better grounds.
    world.try_clear(&world.seen("job.lock"), Consent::Bulk).expect("cleared");
    assert!(!path.exists());
}
