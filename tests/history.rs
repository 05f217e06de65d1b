//! History with the real engine: flock(1) comes and goes, Lockscope ends and starts again.

mod support;

use lockscope::engine::history::{End, LockHistory, Start};
use lockscope::engine::settings::Settings;
use lockscope::engine::{Command, Event};
use lockscope::model::verdict::Verdict;
use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use support::{Process, Watched, write};

/// The history of a lock once it is as told; it is published after the picture, with a signal of its own.
fn until(watched: &Watched, directory: &Path, name: &str, what: &str, so: impl Fn(&LockHistory) -> bool) {
    watched.until(what, |_| known(watched, directory, name).is_some_and(|lock| so(&lock)));
}

fn known(watched: &Watched, directory: &Path, name: &str) -> Option<Arc<LockHistory>> {
    watched.engine.history(directory)?.lock(OsStr::new(name)).cloned()
}

/// flock(1) that holds the lock until it is told to end.
fn flock(directory: &Path) -> Process {
    Process::shell(directory, "exec flock a_memory.lock bash -c 'echo ready; read -r line'")
}

fn release(mut holder: Process) -> u32 {
    let pid = holder.pid();
    holder.0.stdin.take().expect("a pipe").write_all(b"\n").expect("it listens");
    holder.0.wait().expect("it ends");
    pid
}

fn history_file(state: &Path) -> PathBuf {
    let entries = std::fs::read_dir(state.join("state/history")).expect("it was written");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "json"));
    assert_eq!(files.len(), 1, "one file a directory: {files:?}");
    files.remove(0)
}

#[test]
fn real_holds_and_waits_are_remembered_across_a_restart_with_the_gap_between() {
    let directory = tempfile::tempdir().expect("a directory");
    let state = tempfile::tempdir().expect("a directory");
    let at = directory.path();
    write(at, "a_memory.lock", "", 100);
    let watched = Watched::start(at, state.path(), Settings::default());
    let holder = flock(at);
    until(&watched, at, "a_memory.lock", "it is held", |lock| lock.holding().is_some());
    let waiter = Process::shell(at, "echo ready; exec flock a_memory.lock true");
    until(&watched, at, "a_memory.lock", "somebody waits", |lock| lock.waits.iter().any(|wait| wait.till.is_none()));
    let holder = release(holder);
    until(&watched, at, "a_memory.lock", "it is free", |lock| lock.open().next().is_none());
    let lock = known(&watched, at, "a_memory.lock").expect("known");
    let first = &lock.holds[0];
    assert_eq!((first.verdict, first.start), (Verdict::Held, Start::Seen));
    assert_eq!(first.who.pid, Some(holder));
    assert!(first.is_whole(), "{first:?}");
    assert_eq!(lock.waits[0].who.pid, Some(waiter.pid()));
    // One is under way when Lockscope ends.
    let last = flock(at);
    until(&watched, at, "a_memory.lock", "it is held again", |lock| lock.holding().is_some());
    drop(watched);
    release(last);

    let watched = Watched::start(at, state.path(), Settings::default());
    until(&watched, at, "a_memory.lock", "the past is there", |lock| lock.holds.len() >= 2);
    let history = watched.engine.history(at).expect("known");
    let lock = known(&watched, at, "a_memory.lock").expect("known");
    assert_eq!(lock.holds[0], *first);
    let cut = lock.holds.last().expect("two");
    assert!(matches!(cut.ended, Some((_, End::Unseen))), "nobody saw it end: {cut:?}");
    assert_eq!(history.watched.len(), 2);
    let (from, till) = (history.watched[0].from, history.watching_since().expect("watched"));
    assert_eq!(history.gaps(from, till, till).len(), 1, "{:?}", history.watched);
    drop(watched);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(history_file(state.path())).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn a_damaged_history_is_kept_aside_and_said() {
    let directory = tempfile::tempdir().expect("a directory");
    let state = tempfile::tempdir().expect("a directory");
    write(directory.path(), "a_memory.lock", "", 100);
    let watched = Watched::start(directory.path(), state.path(), Settings::default());
    let holder = flock(directory.path());
    until(&watched, directory.path(), "a_memory.lock", "it is held", |lock| lock.holding().is_some());
    drop(watched);
    release(holder);
    let file = history_file(state.path());
    std::fs::write(&file, "{").expect("writable");
    let watched = Watched::start(directory.path(), state.path(), Settings::default());
    let said = loop {
        if let Event::Notice(said) = watched.event() {
            break said;
        }
    };
    assert!(said.starts_with("The history of holds: ") && said.contains("kept as "), "{said}");
    let kept = std::fs::read_dir(state.path().join("state/history")).expect("there").filter_map(Result::ok);
    assert!(kept.filter(|entry| entry.file_name().to_string_lossy().contains(".broken-")).count() == 1);
}

#[test]
fn what_is_waited_for_is_told_also_when_another_directory_is_shown() {
    use lockscope::engine::vigil::{Awaited, FreedAs};
    let directory = tempfile::tempdir().expect("a directory");
    let other = tempfile::tempdir().expect("a directory");
    let state = tempfile::tempdir().expect("a directory");
    write(directory.path(), "a_memory.lock", "", 100);
    let watched = Watched::start(directory.path(), state.path(), Settings::default());
    let told = |watched: &Watched| loop {
        if let Event::Freed(freed, held) = watched.event() {
            break (freed, held);
        }
    };
    let lock = Awaited { directory: directory.path().into(), path: OsStr::new("a_memory.lock").into() };
    for elsewhere in [false, true] {
        let holder = flock(directory.path());
        watched.until("it is held", |_| {
            known(&watched, directory.path(), "a_memory.lock").is_some_and(|lock| lock.holding().is_some())
        });
        watched.engine.send(Command::TellWhenFree { lock: lock.clone(), on: true });
        watched.until("it is waited for", |_| watched.engine.awaited().contains(&lock));
        if elsewhere {
            watched.engine.send(Command::Watch(Some(other.path().to_owned())));
            watched.until("another directory is shown", |snapshot| *snapshot.directory == *other.path());
        }
        let pid = release(holder);
        let (freed, _) = told(&watched);
        assert_eq!((&freed.lock, freed.now), (&lock, FreedAs::Idle), "elsewhere: {elsewhere}");
        assert!(freed.holder.starts_with(&format!("PID {pid} ")), "{}", freed.holder);
        watched.until("it is done", |_| watched.engine.awaited().is_empty());
    }
}
