//! Every verdict from real holders: Python's filelock (oldest and newest), git, flock(1), processes killed with -9.

mod support;

use lockscope::model::holder::{HeldBy, Liveness};
use lockscope::model::verdict::Verdict;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use support::{DEAD, Process, lock, look_at, set_age, verdict, write};

/// What `./dev test` installs: SoftFileLock's record was empty in 3.20.3, two lines in 3.29.7, and is three in the newest.
const FILELOCKS: [&str; 3] = ["3.20.3", "3.29.7", "newest"];

fn python(version: &str) -> PathBuf {
    let directory = if version == "newest" { ".venv".to_owned() } else { format!(".venv-{version}") };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory).join("bin/python");
    assert!(path.exists(), "{} is missing; ./dev test installs it", path.display());
    path
}

fn filelock(directory: &Path, version: &str, class: &str, name: &str) -> Process {
    let script = format!(
        "import filelock, sys, time\nlock = filelock.{class}({name:?})\nlock.acquire()\nprint('ready', flush=True)\ntime.sleep(1000)"
    );
    Process::start(Command::new(python(version)).arg("-c").arg(script).current_dir(directory))
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

#[test]
fn pythons_filelock_holds_by_flock_and_leaves_an_idle_file() {
    for version in FILELOCKS {
        let directory = directory();
        let mut holder = filelock(directory.path(), version, "FileLock", "chat_memory.lock");
        let snapshot = look_at(directory.path());
        let held = lock(&snapshot, "chat_memory.lock");
        assert_eq!((held.judgement.verdict, held.judgement.row), (Verdict::Held, 4), "filelock {version}");
        let (process, by) = held.holder().expect("it is named");
        assert_eq!((process.pid.get(), by), (holder.pid(), HeldBy::Kernel), "filelock {version}");
        assert_eq!((held.group().as_str(), held.key().as_str()), ("chat", "memory"));
        assert_eq!(held.facts.reading().mechanism.id(), "flock");
        holder.kill();
        let snapshot = look_at(directory.path());
        let (verdict, why) = verdict(&snapshot, "chat_memory.lock");
        assert_eq!(verdict, "idle", "filelock {version}: {why}");
        assert!(!lock(&snapshot, "chat_memory.lock").is_clearable());
    }
}

#[test]
fn pythons_soft_lock_is_held_then_orphaned_then_stale() {
    for version in FILELOCKS {
        let directory = directory();
        let mut holder = filelock(directory.path(), version, "SoftFileLock", "job.lock");
        let (held, why) = verdict(&look_at(directory.path()), "job.lock");
        assert_eq!(held, "held", "filelock {version}: {why}");
        let named = lock(&look_at(directory.path()), "job.lock").holder().expect("it is named").0.pid.get();
        assert_eq!(named, holder.pid(), "filelock {version}");
        holder.kill();
        let (orphan, why) = verdict(&look_at(directory.path()), "job.lock");
        set_age(&directory.path().join("job.lock"), Duration::from_mins(14));
        let (stale, later) = verdict(&look_at(directory.path()), "job.lock");
        if version == "3.20.3" {
            // Its record is empty: nobody can tell whose it was, and Unknown is never dead.
            assert_eq!((orphan, stale), ("unknown", "unknown"), "{why} {later}");
        } else {
            assert_eq!((orphan, stale), ("orphaned", "stale"), "filelock {version}: {why} {later}");
            assert!(later.contains("Untouched for 14 min, stale after 10 min."), "{later}");
        }
    }
}

#[test]
fn a_start_token_that_differs_proves_another_process() {
    let directory = directory();
    let holder = filelock(directory.path(), "newest", "SoftFileLock", "job.lock");
    let path = directory.path().join("job.lock");
    let record = std::fs::read_to_string(&path).expect("readable");
    let held = lock(&look_at(directory.path()), "job.lock");
    assert_eq!((held.judgement.row, held.judgement.liveness), (12, Liveness::Alive));
    // The same PID with a start one tick earlier: an earlier process, whose number was used again.
    let last = record.trim_end().rsplit('\n').next().expect("three lines");
    let digit = last.bytes().last().expect("digits") - b'0';
    let other = format!("{}{}", &last[..last.len() - 1], if digit == 0 { 1 } else { digit - 1 });
    write(directory.path(), "job.lock", record.replace(last, &other), 3600);
    let snapshot = look_at(directory.path());
    let (verdict, why) = verdict(&snapshot, "job.lock");
    assert_eq!(verdict, "stale", "{why}");
    assert!(why.contains(&format!("PID {} is now python", holder.pid())), "{why}");
}

#[test]
fn waiters_are_told_from_the_holder() {
    let directory = directory();
    let holder = Process::shell(directory.path(), "exec 9>a.lock; flock 9; echo ready; exec sleep 1000");
    let waiter = Process::shell(directory.path(), "exec 9>a.lock; echo ready; exec flock 9");
    let waiting = (0..1000).map(|_| look_at(directory.path())).find(|s| !lock(s, "a.lock").facts.waiters().is_empty());
    let lock = lock(&waiting.expect("the waiter is queued"), "a.lock");
    assert_eq!(lock.holder().expect("named").0.pid.get(), holder.pid());
    assert_eq!(lock.facts.waiters().iter().map(|w| w.pid.get()).collect::<Vec<_>>(), [waiter.pid()]);
}

#[test]
fn a_lock_inherited_from_a_dead_taker_names_its_real_holder() {
    let directory = directory();
    let script = "exec 9>a.lock; flock 9; sleep 1000 & disown; echo ready";
    let mut shell = Process::shell(directory.path(), script);
    let taker = shell.pid();
    let _ = shell.0.wait();
    let snapshot = look_at(directory.path());
    let lock = lock(&snapshot, "a.lock");
    let (holder, _) = lock.holder().expect("named");
    assert_eq!((lock.judgement.row, holder.name()), (4, "sleep"));
    // flock(1) on a descriptor is itself the taker, and gone at once.
    let why = lock.why(&snapshot.moment());
    assert!(why.contains("has exited; sleep"), "{why} (the shell was {taker})");
}

#[test]
fn an_ofd_lock_names_its_holder_though_the_kernel_gives_none() {
    let directory = directory();
    let script = "import fcntl, os, struct, time\nfd = os.open('a.lock', os.O_RDWR | os.O_CREAT)\n\
                  fcntl.fcntl(fd, 37, struct.pack('hhqqi', fcntl.F_WRLCK, 0, 0, 0, 0))\nprint('ready', flush=True)\ntime.sleep(1000)";
    let holder = Process::start(Command::new("python3").arg("-c").arg(script).current_dir(directory.path()));
    let lock = lock(&look_at(directory.path()), "a.lock");
    assert_eq!((lock.judgement.row, lock.facts.reading().mechanism.id()), (4, "ofd"));
    assert_eq!(lock.holder().expect("named").0.pid.get(), holder.pid());
}

#[test]
fn a_process_whose_first_thread_has_exited_still_holds() {
    let directory = directory();
    let script = "import ctypes, fcntl, os, threading, time\n\
                  def work():\n    fd = os.open('a.lock', os.O_RDWR | os.O_CREAT); fcntl.flock(fd, fcntl.LOCK_EX)\n    \
                  open('b.lock', 'w').write(str(os.getpid()) + '\\n')\n    print('ready', flush=True)\n    time.sleep(1000)\n\
                  threading.Thread(target=work).start()\nctypes.CDLL(None).pthread_exit(None)";
    let holder = Process::start(Command::new("python3").arg("-c").arg(script).current_dir(directory.path()));
    let snapshot = look_at(directory.path());
    for name in ["a.lock", "b.lock"] {
        let lock = lock(&snapshot, name);
        assert_eq!(lock.judgement.verdict, Verdict::Held, "{name}: {}", lock.why(&snapshot.moment()));
        assert_eq!(lock.holder().expect("named").0.pid.get(), holder.pid());
    }
}

#[test]
fn a_zombie_is_gone() {
    let directory = directory();
    let mut parent = Command::new("python3");
    parent.current_dir(directory.path()).arg("-c").arg(
        "import os, time\npid = os.fork()\nif pid == 0: os._exit(0)\nos.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)\n\
         open('a.lock', 'w').write(f'{pid}\\n')\nprint('ready', flush=True)\ntime.sleep(1000)",
    );
    let _parent = Process::start(&mut parent);
    let snapshot = look_at(directory.path());
    let (verdict, why) = verdict(&snapshot, "a.lock");
    assert_eq!(verdict, "orphaned", "{why}");
    assert!(why.contains("has exited"), "{why}");
}

fn git(directory: &Path, arguments: &[&str]) {
    let output = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@example.org"])
        .args(arguments)
        .current_dir(directory)
        .output()
        .expect("git runs");
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn git_in_its_editor_holds_index_lock_and_killed_leaves_a_suspect() {
    let directory = directory();
    git(directory.path(), &["init", "-q"]);
    std::fs::write(directory.path().join("f"), "1").expect("written");
    git(directory.path(), &["add", "f"]);
    git(directory.path(), &["commit", "-qm", "1"]);
    std::fs::write(directory.path().join("f"), "2").expect("written");
    let editor =
        "git -c user.name=t -c user.email=t@example.org -c core.editor='sh -c \"echo ready; sleep 1000\"' commit -qa";
    let mut commit = Process::shell(directory.path(), &format!("exec {editor}"));
    let repository = directory.path().join(".git");
    let snapshot = look_at(&repository);
    let held = lock(&snapshot, "index.lock");
    assert_eq!((held.judgement.verdict, held.judgement.row), (Verdict::Held, 27), "{}", held.why(&snapshot.moment()));
    assert_eq!(held.holder().expect("named").0.pid.get(), commit.pid());
    assert!(!held.is_clearable(), "git is at work");
    commit.kill();
    let (young, why) = verdict(&look_at(&repository), "index.lock");
    assert_eq!(young, "unknown", "{why}");
    set_age(&repository.join("index.lock"), Duration::from_mins(25));
    let snapshot = look_at(&repository);
    let (verdict, why) = verdict(&snapshot, "index.lock");
    assert_eq!(verdict, "suspect", "{why}");
    assert!(why.contains("No git process works here") && why.contains("25 min"), "{why}");
    assert!(!lock(&snapshot, "index.lock").is_stale(), "suspect sets no stale flag");
}

#[test]
fn the_oddest_entries_are_listed_and_none_is_opened_or_followed() {
    let directory = directory();
    let path = |name: &str| directory.path().join(name);
    let run = |program: &str, arguments: &[&str]| {
        assert!(Command::new(program).args(arguments).current_dir(directory.path()).status().expect("runs").success());
    };
    run("mkfifo", &["fifo.lock"]);
    run("mknod", &["device.lock", "c", "1", "3"]);
    let _socket = std::os::unix::net::UnixListener::bind(path("socket.lock")).expect("bound");
    for (target, name) in [("/etc/passwd", "out.lock"), ("loop.lock", "loop.lock"), ("/nowhere", "none.lock")] {
        std::os::unix::fs::symlink(target, path(name)).expect("linked");
    }
    run("truncate", &["-s", "8T", "huge.lock"]);
    write(directory.path(), "brackets.lock", "[".repeat(100_000), 0);
    write(directory.path(), "open\u{202e}kcol.lock", "x", 0);
    write(directory.path(), "two\nlines.lock", "x", 0);
    let odd: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(b"\xff\xfe.lock");
    std::fs::write(directory.path().join(odd), "x").expect("written");
    write(directory.path(), &format!("{}.lock", "n".repeat(250)), "x", 0);
    write(directory.path(), "-rf.lock", format!("{DEAD}\n"), 3600);
    for (name, content) in [("zero", "0"), ("minus", "-1"), ("one", "1"), ("vast", "99999999999999999999")] {
        write(directory.path(), &format!("{name}.pid"), content, 3600);
    }
    std::fs::create_dir(path("dir.lock")).expect("made");
    let start = std::time::Instant::now();
    let snapshot = look_at(directory.path());
    assert!(start.elapsed() < Duration::from_secs(5), "nothing may hang");
    assert_eq!(snapshot.locks().count(), 18, "no entry is lost");
    for name in ["fifo.lock", "device.lock", "socket.lock", "out.lock", "loop.lock", "none.lock"] {
        assert_eq!(verdict(&snapshot, name).0, "not_a_lock", "{name}");
    }
    for name in ["huge.lock", "brackets.lock", "two\nlines.lock", "dir.lock", "minus.pid", "vast.pid", "zero.pid"] {
        assert_eq!(verdict(&snapshot, name).0, "unknown", "{name}");
    }
    assert_eq!(verdict(&snapshot, "-rf.lock").0, "stale");
    assert_eq!(verdict(&snapshot, "one.pid").0, "held", "PID 1 lives, and its start cannot be after every file");
}

#[test]
fn looking_leaves_no_trace() {
    use std::os::unix::fs::MetadataExt as _;
    let directory = directory();
    let path = write(directory.path(), "a.lock", format!("{DEAD}\n"), 90_000);
    let old = std::fs::FileTimes::new()
        .set_accessed(std::time::SystemTime::now() - Duration::from_secs(200_000))
        .set_modified(std::time::SystemTime::now() - Duration::from_hours(25));
    std::fs::File::options().write(true).open(&path).and_then(|file| file.set_times(old)).expect("times set");
    let times = |path: &Path| {
        let stat = std::fs::metadata(path).expect("there");
        (stat.atime(), stat.atime_nsec(), stat.mtime(), stat.ctime(), stat.ctime_nsec(), stat.ino())
    };
    let before = times(&path);
    look_at(directory.path());
    assert_eq!(times(&path), before);
}
