//! The same lock files used by Lockscope and by Python's `filelock`, in three of its versions, and by a program that makes
//! and breaks them by hand: each keeps the others out, and what one leaves when it is killed the others get past.
#![cfg(all(target_os = "linux", not(feature = "portable")))]
#![allow(clippy::unwrap_used)] // a test fails by panicking

mod support;

use lockscope::lock::json::{self, update_under};
use lockscope::lock::{FlockLock, Guard, LockConfig, MarkerLock, RecordStyle, Wait};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use support::{DEADLINE, Process};

const VERSIONS: [&str; 3] = [".venv", ".venv-3.29.7", ".venv-3.20.3"];
const ROUNDS: u64 = 40;

/// The interpreters with a `filelock`; those that are missing are told of.
fn pythons() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found: Vec<PathBuf> = VERSIONS
        .iter()
        .filter_map(|version| {
            let python = root.join(version).join("bin/python");
            if !python.exists() {
                println!("not run: {version}: no such environment (`./dev test` makes it)");
                return None;
            }
            Some(python)
        })
        .collect();
    found
}

fn now() -> LockConfig {
    LockConfig::waiting(Wait::Never)
}

/// Enough patience, and what is proved gone is broken at once.
fn patient() -> LockConfig {
    LockConfig { timeout: Wait::For(DEADLINE), stale_after: Some(Duration::ZERO), ..LockConfig::default() }
}

fn workplace(base: &Path) -> lockscope::clear::Workplace {
    lockscope::lock::workplace(support::machine(), &base.join("state"))
}

fn soft(base: &Path, path: &Path, config: &LockConfig) -> Result<MarkerLock, lockscope::lock::LockError> {
    MarkerLock::request(path, config).style(RecordStyle::SoftFileLock).workplace(workplace(base)).acquire()
}

/// Python that takes a lock of this kind and says "ready".
fn holder(python: &Path, directory: &Path, kind: &str) -> Process {
    let script = format!(
        "import filelock, sys\nlock = filelock.{kind}('x.lock')\nlock.acquire(timeout=20)\nprint('ready', flush=True)\n\
         sys.stdin.read()\nlock.release()"
    );
    Process::start(Command::new(python).args(["-c", &script]).current_dir(directory))
}

/// Whether Python gets it at once.
fn python_gets(python: &Path, directory: &Path, kind: &str) -> bool {
    let script = format!(
        "import filelock, sys\ntry:\n    filelock.{kind}('x.lock').acquire(timeout=0)\nexcept filelock.Timeout:\n    \
         sys.exit(9)"
    );
    let ended = Command::new(python).args(["-c", &script]).current_dir(directory).status().unwrap();
    match ended.code() {
        Some(0) => true,
        Some(9) => false,
        other => panic!("python ended with {other:?}"),
    }
}

/// Python that adds to the counter so often, each time under the lock.
fn counter(python: &Path, directory: &Path, kind: &str) -> Child {
    let script = format!(
        "import filelock, json, os\nlock = filelock.{kind}('x.lock', timeout=60)\nfor _ in range({ROUNDS}):\n    with lock:\n        \
         try:\n            n = json.load(open('count.json'))\n        except FileNotFoundError:\n            n = 0\n        \
         open('python.tmp', 'w').write(json.dumps(n + 1))\n        os.replace('python.tmp', 'count.json')"
    );
    Command::new(python).args(["-c", &script]).current_dir(directory).spawn().unwrap()
}

fn add_one(lock: &impl Guard, directory: &Path) {
    let added = update_under(lock, directory.join("count.json"), |count: &mut u64| {
        *count += 1;
        Ok::<_, ()>(())
    });
    added.unwrap();
}

fn count(directory: &Path) -> u64 {
    json::read(directory.join("count.json"), &now()).unwrap()
}

#[test]
fn kernel_locks_keep_each_other_out() {
    for python in pythons() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("x.lock");
        let ours = FlockLock::acquire(&path, &now()).unwrap();
        assert!(!python_gets(&python, base.path(), "FileLock"), "{python:?}");
        drop(ours);
        let mut theirs = holder(&python, base.path(), "FileLock");
        let error = FlockLock::acquire(&path, &now()).unwrap_err();
        assert!(error.to_string().contains(&format!("PID {}", theirs.pid())), "{error}");
        // Killed: the kernel frees it.
        theirs.kill();
        drop(FlockLock::acquire(&path, &patient()).unwrap());
        assert!(python_gets(&python, base.path(), "FileLock"), "{python:?}");
    }
}

#[test]
fn existence_locks_keep_each_other_out() {
    for python in pythons() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("x.lock");
        let ours = soft(base.path(), &path, &now()).unwrap();
        assert!(!python_gets(&python, base.path(), "SoftFileLock"), "{python:?}");
        drop(ours);
        let theirs = holder(&python, base.path(), "SoftFileLock");
        assert!(soft(base.path(), &path, &LockConfig { timeout: Wait::Never, ..patient() }).is_err());
        drop(theirs);
    }
}

#[test]
fn a_killed_pythons_marker_is_broken_by_proof() {
    for python in pythons() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("x.lock");
        holder(&python, base.path(), "SoftFileLock").kill();
        let record = std::fs::read_to_string(&path).unwrap();
        let result = soft(base.path(), &path, &LockConfig { timeout: Wait::Never, ..patient() });
        // Up to 3.21 it names nobody, so nothing is proved.
        assert_eq!(result.is_ok(), !record.is_empty(), "{python:?}: {record:?}, {result:?}");
    }
}

/// Whoever is to be killed is this binary again.
#[test]
fn our_killed_processes_marker_is_broken_by_python_where_it_breaks_any() {
    const PART: &str = "LOCKSCOPE_TEST_SOFT";
    const NAME: &str = "our_killed_processes_marker_is_broken_by_python_where_it_breaks_any";
    if std::env::var_os(PART).is_some() {
        let lock = MarkerLock::request("x.lock", &now()).style(RecordStyle::SoftFileLock).acquire().unwrap();
        println!("\nheld");
        let _ = std::io::stdin().read_line(&mut String::new());
        drop(lock);
        return;
    }
    for python in pythons() {
        let base = tempfile::tempdir().unwrap();
        let mut ours = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", NAME, "--nocapture"])
            .env(PART, "1")
            .current_dir(base.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = std::io::BufReader::new(ours.stdout.take().unwrap());
        assert!(std::io::BufRead::lines(output).map_while(Result::ok).any(|line| line == "held"));
        assert!(!python_gets(&python, base.path(), "SoftFileLock"), "alive: {python:?}");
        ours.kill().unwrap();
        ours.wait().unwrap();
        let record = std::fs::read_to_string(base.path().join("x.lock")).unwrap();
        let old = python.starts_with(Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv-3.20.3"));
        // The first try breaks it, a second gets it, in some versions.
        let broken =
            python_gets(&python, base.path(), "SoftFileLock") || python_gets(&python, base.path(), "SoftFileLock");
        let foreign = python.to_string_lossy().contains("3.29.7") && record.contains("?pidns-");
        assert_eq!(broken, !old && !foreign, "{python:?}: {record:?}");
    }
}

#[test]
fn python_and_rust_count_under_one_kernel_lock() {
    for python in pythons() {
        let base = tempfile::tempdir().unwrap();
        let mut theirs = [counter(&python, base.path(), "FileLock"), counter(&python, base.path(), "FileLock")];
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..ROUNDS {
                        add_one(&FlockLock::acquire(base.path().join("x.lock"), &patient()).unwrap(), base.path());
                    }
                });
            }
        });
        assert!(theirs.iter_mut().all(|python| python.wait().unwrap().success()));
        assert_eq!(count(base.path()), 4 * ROUNDS, "{python:?}");
    }
}

#[test]
fn python_and_rust_count_under_one_marker() {
    for python in pythons() {
        let base = tempfile::tempdir().unwrap();
        let mut theirs = [counter(&python, base.path(), "SoftFileLock"), counter(&python, base.path(), "SoftFileLock")];
        let path = base.path().join("x.lock");
        for _ in 0..ROUNDS {
            // As many as Python has: it polls twenty times a second, so it must not be starved.
            add_one(&soft(base.path(), &path, &patient()).unwrap(), base.path());
        }
        assert!(theirs.iter_mut().all(|python| python.wait().unwrap().success()));
        assert_eq!(count(base.path()), 3 * ROUNDS, "{python:?}");
        assert!(!path.exists());
    }
}

/// A program as people write it: `O_EXCL` with the PID in it, and a lock whose PID is gone is unlinked.
const BY_HAND: &str = "
import json, os, time
def take():
    while True:
        try:
            fd = os.open('x.lock', os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
            os.write(fd, b'%d\\n' % os.getpid())
            os.close(fd)
            return
        except FileExistsError:
            try:
                pid = int(open('x.lock').read() or os.getpid())
                os.kill(pid, 0)
            except FileNotFoundError:
                pass
            except ProcessLookupError:
                os.unlink('x.lock')
        time.sleep(0.001)
for _ in range(ROUNDS):
    take()
    try:
        n = json.load(open('count.json'))
    except FileNotFoundError:
        n = 0
    open('python.tmp', 'w').write(json.dumps(n + 1))
    os.replace('python.tmp', 'count.json')
    os.unlink('x.lock')
";

#[test]
fn a_breaker_by_hand_and_rust_count_under_one_marker() {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("x.lock");
    let by_hand = |rounds: u64| {
        let script = BY_HAND.replace("ROUNDS", &rounds.to_string());
        Command::new("python3").args(["-c", &script]).current_dir(base.path()).spawn().unwrap()
    };
    let ours = || {
        let request = MarkerLock::request(&path, &patient()).style(RecordStyle::PlainPid);
        add_one(&request.workplace(workplace(base.path())).acquire().unwrap(), base.path());
    };
    // What somebody has left who is gone, either breaks. One after the other: two that break at once are what such
    // breakers cannot do, as they unlink whatever stands there by then.
    std::fs::write(&path, format!("{}\n", support::DEAD)).unwrap();
    ours();
    std::fs::write(&path, format!("{}\n", support::DEAD)).unwrap();
    assert!(by_hand(1).wait().unwrap().success());
    let mut theirs = by_hand(ROUNDS);
    for _ in 0..ROUNDS {
        ours();
    }
    assert!(theirs.wait().unwrap().success());
    assert_eq!(count(base.path()), 2 * ROUNDS + 2);
    assert!(!path.exists());
}
