//! The library half with real processes: counters that many change at once, kills, full disks, cancelled tasks, what is
//! logged. A process of its own is this test binary again, playing a part.
#![cfg(all(target_os = "linux", feature = "cli", not(feature = "portable")))]
#![allow(clippy::unwrap_used)] // a test fails by panicking

mod support;

use lockscope::inspect::EmptyFiles;
use lockscope::lock::ask::{self, IsLocked, IsRunning, ProcessId};
use lockscope::lock::json::{self, JsonError};
use lockscope::lock::queue::{Queue, QueueConfig, QueueError};
use lockscope::lock::registry::{self, Scope};
use lockscope::lock::replace::{Replace, replace};
use lockscope::lock::{FlockLock, Guard, LeaseLock, LockConfig, LockError, MarkerLock, Released, Wait};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use support::{DEADLINE, copy_program, run_apart};

const PART: &str = "LOCKSCOPE_TEST_PART";
const APART: &str = "LOCKSCOPE_TEST_APART";

fn patient() -> LockConfig {
    LockConfig::waiting(Wait::Forever)
}

fn at_once() -> LockConfig {
    LockConfig::waiting(Wait::Never)
}

/// What breaks a dead owner's lock at once, whoever asks.
fn breaking() -> LockConfig {
    LockConfig { stale_after: Some(Duration::ZERO), timeout: Wait::For(DEADLINE), ..LockConfig::default() }
}

/// On a disk without a disk, where there is one: the counts are what matters, not the flushes.
fn fast_directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// This binary, playing a part in a process of its own.
fn player(part: &str, arguments: &[&str], directory: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "plays_a_part", "--nocapture", "--test-threads=1"])
        .env(PART, part)
        .env("LOCKSCOPE_TEST_ARGUMENTS", arguments.join(" "))
        .env("LOCKSCOPE_STATE_DIR", directory.join(".state"))
        .env("XDG_RUNTIME_DIR", directory)
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The lines that a player says after "playing".
fn lines(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.ends_with("playing")), "it plays");
    lines
}

fn say(line: impl std::fmt::Display) {
    // In one call, so that a kill leaves a whole line or none.
    let _ = std::io::stdout().lock().write_all(format!("{line}\n").as_bytes());
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_raw(child.id() as i32).unwrap(), signal).unwrap();
}

/// The parts. Without the variable there is nothing to play, and nothing is tested here.
#[test]
fn plays_a_part() {
    let Ok(part) = std::env::var(PART) else { return };
    let arguments = std::env::var("LOCKSCOPE_TEST_ARGUMENTS").unwrap();
    let arguments: Vec<&str> = arguments.split(' ').collect();
    say("playing");
    match part.as_str() {
        // Increments a counter so often, and says so each time it is done.
        "counter" => {
            for n in 0..arguments[1].parse::<u32>().unwrap() {
                json::update(arguments[0], &patient(), |count: &mut u64| *count += 1).unwrap();
                say(n);
            }
        }
        // The same under a marker, that is broken if its owner is gone.
        "marker-counter" => {
            for n in 0..arguments[1].parse::<u32>().unwrap() {
                let lock = MarkerLock::acquire(format!("{}.lock", arguments[0]), &breaking()).unwrap();
                json::update_under(&lock, arguments[0], |count: &mut u64| {
                    *count += 1;
                    Ok::<_, ()>(())
                })
                .unwrap();
                drop(lock);
                say(n);
            }
        }
        // Saves documents until it is killed.
        "saver" => {
            let queue = Queue::start(QueueConfig { most_bytes: 1 << 20, ..QueueConfig::default() }).unwrap();
            for revision in 0_u64.. {
                queue.save_json(arguments[0], &document(revision)).unwrap();
                say(revision);
            }
        }
        // Holds a lock until its input ends, or it is killed.
        "holder" => {
            let _lock = match arguments[1] {
                "flock" => Box::new(FlockLock::acquire(arguments[0], &at_once()).unwrap()) as Box<dyn std::any::Any>,
                _ => Box::new(MarkerLock::acquire(arguments[0], &at_once()).unwrap()),
            };
            say("held");
            let _ = std::io::stdin().read_line(&mut String::new());
        }
        "lease" => {
            let lease = LeaseLock::request(arguments[0], &at_once())
                .lasting(Duration::from_millis(600))
                .on_loss(|why| say(format!("lost: {why}")))
                .acquire()
                .unwrap();
            say("held");
            let _ = std::io::stdin().read_line(&mut String::new());
            say(format!("{:?}", lease.release().unwrap()));
        }
        other => panic!("no such part: {other}"),
    }
}

/// A document of about 10 KiB, in which all fields tell the same.
fn document(revision: u64) -> BTreeMap<String, u64> {
    (0..500).map(|n| (format!("field {n}"), revision)).collect()
}

/// Numbers that differ from run to run.
fn chance(below: u32) -> u32 {
    use std::hash::{BuildHasher as _, RandomState};
    (RandomState::new().hash_one(0) % u64::from(below)) as u32
}

/// Runs eight counters, three of which are killed at a random point of their work; gives what all of them had been told to
/// be done, and the number killed. Those that are to be killed would never end by themselves, however late the kill comes.
fn eight_counters(part: &str, rounds: u32, directory: &Path) -> (u64, u64) {
    let done: Vec<u64> = std::thread::scope(|scope| {
        let counters: Vec<_> = (0..8_u32)
            .map(|number| {
                scope.spawn(move || {
                    let killed_after = (number < 3).then(|| chance(rounds));
                    let its_rounds = killed_after.map_or(rounds, |_| u32::MAX);
                    let mut child = player(part, &["count.json", &its_rounds.to_string()], directory);
                    let mut done = 0;
                    for line in lines(&mut child) {
                        let round = line.parse::<u32>().ok();
                        if round.is_some() && round == killed_after {
                            signal(&child, Signal::KILL);
                        }
                        done += u64::from(round.is_some());
                    }
                    let ended = child.wait().unwrap();
                    match killed_after {
                        None => assert!(ended.success(), "counter {number} after {done}: {ended}"),
                        Some(_) => assert_eq!(ended.signal(), Some(Signal::KILL.as_raw()), "counter {number}: {ended}"),
                    }
                    done
                })
            })
            .collect();
        counters.into_iter().map(|counter| counter.join().unwrap()).collect()
    });
    assert!(done[3..].iter().all(|done| *done == u64::from(rounds)), "{done:?}");
    (done.iter().sum(), 3)
}

#[test]
fn eight_processes_lose_nothing_but_what_the_killed_had_not_finished() {
    let base = fast_directory();
    let (done, killed) = eight_counters("counter", 1000, base.path());
    let count: u64 = json::read(base.path().join("count.json"), &patient()).unwrap();
    println!("8 processes, 3 killed: {done} increments told as done, {count} counted");
    assert!((done..=done + killed).contains(&count), "{count} of {done}");
    // The next one cleans up what the killed have left.
    json::update(base.path().join("count.json"), &patient(), |count: &mut u64| *count += 1).unwrap();
    assert!(!base.path().join("count.json.guard").exists());
}

#[test]
fn eight_processes_under_a_marker_break_what_the_killed_have_left() {
    let base = fast_directory();
    let (done, killed) = eight_counters("marker-counter", 100, base.path());
    let count: u64 = json::read(base.path().join("count.json"), &patient()).unwrap();
    println!("8 processes under a marker, 3 killed: {done} increments told as done, {count} counted");
    assert!((done..=done + killed).contains(&count), "{count} of {done}");
}

#[test]
fn eight_processes_and_a_thousand_increments_are_eight_thousand() {
    let base = fast_directory();
    let mut children: Vec<Child> = (0..8).map(|_| player("counter", &["count.json", "1000"], base.path())).collect();
    for child in &mut children {
        assert_eq!(lines(child).filter(|line| line.parse::<u32>().is_ok()).count(), 1000);
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(json::read::<u64>(base.path().join("count.json"), &patient()).unwrap(), 8000);
    assert_eq!(names(base.path()), ["count.json"], "nothing else stays");
}

#[test]
fn ten_threads_and_twenty_increments_are_two_hundred() {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("count.json");
    std::thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| {
                for _ in 0..20 {
                    json::update(&path, &patient(), |count: &mut u64| *count += 1).unwrap();
                }
            });
        }
    });
    assert_eq!(json::read::<u64>(&path, &patient()).unwrap(), 200);
    assert_eq!(names(base.path()), ["count.json"]);
}

#[test]
fn a_hundred_rapid_saves() {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("document.json");
    for (coalesce, most) in [(Duration::ZERO, 100), (Duration::from_millis(200), 20)] {
        let queue = Queue::start(QueueConfig { coalesce, ..QueueConfig::default() }).unwrap();
        for revision in 0..100 {
            queue.save_json(&path, &document(revision)).unwrap();
        }
        let stats = queue.shutdown().unwrap();
        println!("100 rapid saves, window {coalesce:?}: {} writes", stats.writes);
        assert!(stats.saves == 100 && stats.writes <= most, "{stats:?}");
        assert_eq!(json::read::<BTreeMap<String, u64>>(&path, &patient()).unwrap(), document(99));
    }
    assert_eq!(names(base.path()), ["document.json"]);
}

#[test]
fn a_killed_queue_never_leaves_a_torn_file() {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("document.json");
    for _ in 0..10 {
        let mut child = player("saver", &["document.json"], base.path());
        let point = chance(200);
        for line in lines(&mut child) {
            if line.parse::<u32>().is_ok_and(|revision| revision >= point) {
                signal(&child, Signal::KILL);
            }
        }
        child.wait().unwrap();
        if path.exists() {
            let found: BTreeMap<String, u64> = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            assert_eq!(found, document(found["field 0"]), "one whole revision");
        }
    }
    assert!(path.exists(), "some were written");
    // And the next one goes on.
    let queue = Queue::start(QueueConfig::default()).unwrap();
    queue.save(&path, "{}").unwrap().wait().unwrap();
}

/// Mounts a disk of 256 KiB with a document on it; only in a mount namespace of our own.
fn small_disk() -> (tempfile::TempDir, PathBuf) {
    let base = tempfile::tempdir().unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=256k", "none"]).arg(base.path()).status();
    assert!(mounted.unwrap().success());
    let path = base.path().join("document.json");
    json::write(&path, &patient(), &"old").unwrap();
    (base, path)
}

/// More than the disk has room for.
fn too_much() -> String {
    "x".repeat(400 * 1024)
}

#[test]
fn a_full_disk_leaves_the_old_content() {
    if std::env::var_os(APART).is_none() {
        return run_apart("-Urm", "a_full_disk_leaves_the_old_content", APART);
    }
    let (base, path) = small_disk();
    let unharmed = |what: &str| {
        assert_eq!(json::read::<String>(&path, &patient()).unwrap(), "old", "{what}");
        assert_eq!(names(base.path()), ["document.json"], "{what}");
    };
    let says = |error: &dyn std::fmt::Display| {
        assert!(error.to_string().contains("free some space and try again, the old content is untouched"), "{error}");
    };
    says(&json::write(&path, &patient(), &too_much()).unwrap_err());
    unharmed("write");
    says(&json::update(&path, &patient(), |text: &mut String| *text = too_much()).unwrap_err());
    unharmed("update");
    says(&replace(&path, too_much(), &patient()).unwrap_err());
    unharmed("replace");
    let queue = Queue::start(QueueConfig::default()).unwrap();
    let ticket = queue.save(&path, too_much()).unwrap();
    says(&ticket.wait().unwrap_err());
    assert!(matches!(queue.shutdown(), Err(QueueError::NotWritten(_))));
    unharmed("queue");
    // Full to the last byte: not even a record has room.
    let filled = std::fs::write(base.path().join("filler"), vec![0; 1 << 20]);
    assert!(filled.is_err(), "full");
    let error = MarkerLock::acquire(base.path().join("x.lock"), &at_once()).unwrap_err();
    assert!(matches!(error, LockError::Failed { .. }), "{error}");
    assert_eq!(names(base.path()), ["document.json", "filler"], "no empty marker");
}

#[test]
fn what_cannot_be_written_keeps_its_content_and_says_so() {
    if std::env::var_os(APART).is_none() {
        return run_apart("-Urm", "what_cannot_be_written_keeps_its_content_and_says_so", APART);
    }
    let (base, path) = small_disk();
    let remounted = Command::new("mount").args(["-o", "remount,ro"]).arg(base.path()).status();
    assert!(remounted.unwrap().success());
    let errors = [
        json::update(&path, &patient(), |text: &mut String| text.clear()).unwrap_err().to_string(),
        json::write(&path, &patient(), &"new").unwrap_err().to_string(),
        replace(&path, "new", &patient()).unwrap_err().to_string(),
        MarkerLock::acquire(base.path().join("x.lock"), &patient()).unwrap_err().to_string(),
        FlockLock::acquire(base.path().join("x.lock"), &patient()).unwrap_err().to_string(),
    ];
    for error in errors {
        assert!(error.contains("choose a place that can be written to"), "{error}");
    }
    assert_eq!(json::read::<String>(&path, &patient()).unwrap(), "old");
    assert_eq!(names(base.path()), ["document.json"]);
}

/// As a user whom the permissions bind.
#[test]
fn a_directory_that_may_not_be_written_keeps_its_content() {
    use std::os::unix::fs::PermissionsExt as _;
    const NAME: &str = "a_directory_that_may_not_be_written_keeps_its_content";
    if rustix::process::geteuid().is_root() && std::env::var_os(APART).is_none() {
        // Copied to where everybody may read.
        let place = tempfile::tempdir().unwrap();
        std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let copy = place.path().join("test");
        copy_program(std::env::current_exe().unwrap(), &copy);
        let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
        let Ok(output) = Command::new("setpriv")
            .args(nobody)
            .arg(&copy)
            .args(["--exact", NAME, "--nocapture"])
            .env(APART, "1")
            .current_dir(place.path())
            .env("TMPDIR", place.path())
            .output()
        else {
            println!("not run: {NAME}: no setpriv here");
            return;
        };
        let said = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("1 passed"), "{said}{errors}");
        return;
    }
    let base = tempfile::tempdir().unwrap();
    let directory = base.path().join("d");
    std::fs::create_dir(&directory).unwrap();
    let path = directory.join("document.json");
    json::write(&path, &patient(), &"old").unwrap();
    let mode = |mode| std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(0o555);
    let errors = [
        json::update(&path, &patient(), |text: &mut String| text.clear()).unwrap_err().to_string(),
        replace(&path, "new", &patient()).unwrap_err().to_string(),
        MarkerLock::acquire(directory.join("x.lock"), &patient()).unwrap_err().to_string(),
        LeaseLock::acquire(directory.join("x.lock"), &patient()).unwrap_err().to_string(),
        FlockLock::acquire(directory.join("x.lock"), &patient()).unwrap_err().to_string(),
    ];
    for error in errors {
        assert!(error.contains("act as its owner, or choose a place that you may write to"), "{error}");
    }
    assert_eq!(json::read::<String>(&path, &patient()).unwrap(), "old");
    assert_eq!(names(&directory), ["document.json"]);
    // A file that only may be read can be locked all the same.
    mode(0o755);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o444)).unwrap();
    let lock = FlockLock::acquire(&path, &at_once()).unwrap();
    assert!(FlockLock::acquire(&path, &at_once()).is_err());
    drop(lock);
}

#[test]
fn a_killed_holder_frees_a_kernel_lock_at_once_and_a_marker_by_proof() {
    for kind in ["flock", "marker"] {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("x.lock");
        let mut child = player("holder", &["x.lock", kind], base.path());
        assert!(lines(&mut child).any(|line| line == "held"));
        let held = ask::is_locked(&path, EmptyFiles::ByEvidence).unwrap();
        assert!(matches!(held, IsLocked::Yes(why) if why.contains(&child.id().to_string())));
        assert_eq!(ask::who_holds(&path).unwrap().unwrap().pid.get(), child.id());
        let timed_out = ask::wait_for_release(&path, EmptyFiles::ByEvidence, Wait::For(Duration::from_millis(20)));
        assert!(matches!(timed_out, Err(LockError::TimedOut { .. })));
        let process = ProcessId::of(lockscope::model::holder::Pid::new(u64::from(child.id())).unwrap()).unwrap();
        assert_eq!(process.is_running(), IsRunning::Yes);

        // Killed after the waiter has seen the lock: who comes later cannot know what a young empty file is for.
        let (looked, has_looked) = std::sync::mpsc::channel();
        let waiting = std::thread::spawn({
            let path = path.clone();
            move || {
                let wait = || ask::wait_for_release(path, EmptyFiles::ByEvidence, Wait::For(DEADLINE));
                logging_to(move || Lines(looked.clone()), wait)
            }
        });
        let line = has_looked.recv_timeout(DEADLINE).unwrap();
        assert!(line.contains("waiting"), "{line}");
        signal(&child, Signal::KILL);
        child.wait().unwrap();
        waiting.join().unwrap().unwrap();
        assert_eq!(process.is_running(), IsRunning::No);
        if kind == "flock" {
            assert_eq!(ask::is_locked(&path, EmptyFiles::KernelLocks).unwrap(), IsLocked::No);
            drop(FlockLock::acquire(&path, &at_once()).unwrap());
        } else {
            let left = ask::is_locked(&path, EmptyFiles::ByEvidence).unwrap();
            assert!(matches!(left, IsLocked::LeftOrUnknown(why) if why.contains("is gone")));
            assert!(MarkerLock::acquire(&path, &at_once()).is_err(), "proved, but touched just now");
        }
    }
}

#[test]
fn looking_never_makes_a_try_fail() {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("x.lock");
    let over = AtomicBool::new(false);
    let looks = AtomicU32::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Acquire) {
                ask::is_locked(&path, EmptyFiles::KernelLocks).unwrap();
                looks.fetch_add(1, Ordering::AcqRel);
            }
        });
        // However late the other thread begins.
        let mut tries = 0;
        while tries < 2000 || looks.load(Ordering::Acquire) < 20 {
            tries += 1;
            drop(FlockLock::acquire(&path, &at_once()).unwrap());
        }
        over.store(true, Ordering::Release);
    });
}

#[test]
fn a_holder_that_was_stopped_loses_its_lease_and_leaves_the_next_one_alone() {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("x.lock");
    let mut child = player("lease", &["x.lock"], base.path());
    let mut said = lines(&mut child);
    let is_loss = |line: &String| line.starts_with("lost: ");
    // On a crowded machine it may be held up for so long before it can say that it holds it.
    let lost_before = said.by_ref().take_while(|line| line != "held").find(is_loss);
    signal(&child, Signal::STOP);
    // It lives, so nothing is broken by verdict: only that its lease stands still ends it.
    let config = LockConfig { timeout: Wait::For(DEADLINE), stale_after: None, ..LockConfig::default() };
    let next = LeaseLock::request(&path, &config).lasting(Duration::from_mins(1)).acquire().unwrap();
    signal(&child, Signal::CONT);
    let lost = lost_before.or_else(|| said.find(is_loss)).unwrap();
    assert!(lost.contains("not renewed for"), "{lost}");
    drop(child.stdin.take());
    assert!(said.any(|line| line == "NotOurs"));
    assert!(child.wait().unwrap().success());
    next.check().unwrap();
    assert_eq!(next.release().unwrap(), Released::Freed);
    assert_eq!(names(base.path()), Vec::<String>::new());
}

#[test]
fn a_cancelled_task_lets_go_of_all_that_is_its_own() {
    let base = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (one, two, other) = (base.path().join("1.lock"), base.path().join("2.lock"), base.path().join("3.lock"));
    let kept = MarkerLock::request(&other, &at_once()).group("another job").acquire().unwrap();
    runtime.block_on(async {
        let (taken, wait_taken) = tokio::sync::oneshot::channel();
        let (first, second) = (one.clone(), two.clone());
        let task = tokio::spawn(async move {
            let scope = Scope::new("cancelled job");
            let group = scope.group().to_owned();
            // Taking one may wait, so it is not done on the runtime's own thread.
            let marker = tokio::task::spawn_blocking(move || {
                MarkerLock::request(first, &at_once()).group(group).acquire().unwrap()
            });
            // Forgotten by the task itself: the scope alone knows of it.
            std::mem::forget(marker.await.unwrap());
            let _kernel = FlockLock::acquire_in(scope.group(), second, &at_once()).unwrap();
            taken.send(()).unwrap();
            std::future::pending::<()>().await;
        });
        wait_taken.await.unwrap();
        assert!(one.exists());
        assert!(FlockLock::acquire(&two, &at_once()).is_err());
        assert_eq!(registry::held().iter().filter(|held| held.group == "cancelled job").count(), 2);
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    });
    assert!(!one.exists());
    drop(FlockLock::acquire(&two, &at_once()).unwrap());
    assert!(kept.is_held());
    drop(kept);
    let let_go = registry::release_group("cancelled job");
    assert!(let_go.is_empty(), "nothing is left of it: {let_go:?}");
}

/// What is logged, as text.
#[derive(Clone, Default)]
struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Sends on what is logged, while somebody listens.
struct Lines(std::sync::mpsc::Sender<String>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let _ = self.0.send(String::from_utf8_lossy(bytes).into_owned());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Does it with this thread's log going there.
fn logging_to<W, R>(writer: impl Fn() -> W + Send + Sync + 'static, deed: impl FnOnce() -> R) -> R
where
    W: std::io::Write + 'static,
{
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_ansi(false).with_writer(writer).finish();
    tracing::subscriber::with_default(subscriber, deed)
}

fn logged(deed: impl FnOnce()) -> String {
    let log = Log::default();
    let writer = log.clone();
    logging_to(move || writer.clone(), deed);
    let text = log.0.lock().unwrap().clone();
    String::from_utf8(text).unwrap()
}

#[test]
fn every_deed_is_logged_with_path_group_pid_and_duration() {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("job7_all.lock");
    let waits = LockConfig { timeout: Wait::For(Duration::from_millis(5)), ..LockConfig::default() };
    let log = logged(|| {
        let lock = FlockLock::acquire(&path, &at_once()).unwrap();
        assert!(FlockLock::acquire(&path, &waits).is_err());
        lock.release().unwrap();
        let marker = MarkerLock::acquire(base.path().join("job8.lock"), &at_once()).unwrap();
        assert!(MarkerLock::acquire(base.path().join("job8.lock"), &waits).is_err());
        std::fs::remove_file(marker.path()).unwrap();
        drop(marker);
        drop(Replace::begin(base.path().join("file"), &at_once()).unwrap());
    });
    let pid = std::process::id();
    let tells = |group: &str, what: &str, duration: &str| {
        let line = log.lines().find(|line| line.contains(&format!(" {what}")) && line.contains(group));
        let line = line.unwrap_or_else(|| panic!("{what} of {group} in:\n{log}"));
        for part in ["path=", "group=", &format!("pid={pid}"), duration] {
            assert!(line.contains(part), "{part} in {line}");
        }
    };
    for group in ["job7", "job8"] {
        tells(group, "acquired", "waited_ms=");
        tells(group, "waiting", "waited_ms=");
        tells(group, "not acquired", "waited_ms=");
    }
    tells("job7", "released", "held_ms=");
    tells("job8", "not ours any more", "held_ms=");
    tells("file", "acquired", "waited_ms=");
    tells("file", "released", "held_ms=");
}

#[test]
fn a_broken_lock_is_logged_with_its_reason() {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("x.lock");
    let mut child = player("holder", &["x.lock", "marker"], base.path());
    assert!(lines(&mut child).any(|line| line == "held"));
    signal(&child, Signal::KILL);
    child.wait().unwrap();
    let workplace = lockscope::lock::workplace(support::machine(), &base.path().join("state"));
    let log = logged(|| {
        drop(MarkerLock::request(&path, &breaking()).workplace(workplace).acquire().unwrap());
    });
    let line = log.lines().find(|line| line.contains("broke a stale lock")).unwrap_or_else(|| panic!("{log}"));
    for part in ["path=", "group=\"x\"", "pid=", "took_ms=", "is gone: no such process", "id="] {
        assert!(line.contains(part), "{part} in {line}");
    }
}

#[test]
fn a_broken_json_file_is_kept_even_where_two_processes_find_it() {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("a.json");
    std::fs::write(&path, "{\"half\": ").unwrap();
    let error = json::update(&path, &patient(), |count: &mut u64| *count += 1).unwrap_err();
    let JsonError::Broken { kept, .. } = &error else { panic!("{error}") };
    assert_eq!(std::fs::read_to_string(kept).unwrap(), "{\"half\": ");
    let mut child = player("counter", &["a.json", "1"], base.path());
    assert_eq!(lines(&mut child).filter(|line| line == "0").count(), 1);
    assert!(child.wait().unwrap().success());
    assert_eq!(json::read::<u64>(&path, &patient()).unwrap(), 1);
    assert_eq!(names(base.path()).len(), 2, "it and the one that was kept");
}
