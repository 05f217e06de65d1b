//! CLEARING.md section 8, scenarios 35 to 37: a tool's own waiters while its lock is taken away. They see it taken, get in
//! afterwards, and never stop with an error.

mod support;

use lockscope::clear::{ClearError, Reason, Refusal, Workplace, force, recheck_forced};
use lockscope::inspect::{LookOptions, look_at_one};
use lockscope::platform::this_machine;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

/// So often each waiter is made to wait.
const ROUNDS: usize = 25;
/// Far more than it takes; only a failure lasts so long.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for "go", then tries to get in without waiting, again and again, and tells the first time that it cannot. `attempt`
/// gives whether it got in; any other error ends it, and its words are what the test reads.
const LOOP: &str = "
import sys, time
def polls(attempt, release, tries):
    for line in sys.stdin:
        said = False
        for number in range(tries):
            if attempt():
                release()
                print('in', flush=True)
                break
            if not said:
                print('waits', flush=True)
                said = True
            time.sleep(0.0005)
        else:
            print('still waits', flush=True)
";

/// A waiter in Python.
struct Waiter {
    child: Child,
    orders: ChildStdin,
    words: BufReader<ChildStdout>,
}

impl Waiter {
    fn start(python: &Path, directory: &Path, script: &str) -> Self {
        let mut child = Command::new(python)
            .arg("-c")
            .arg(format!("{LOOP}{script}"))
            .current_dir(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let orders = child.stdin.take().expect("a pipe");
        let words = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, orders, words }
    }

    fn go(&mut self) {
        self.orders.write_all(b"go\n").expect("it listens");
    }

    fn says(&mut self, expected: &str, what: &str) {
        let mut line = String::new();
        self.words.read_line(&mut line).expect("a pipe");
        if line.trim() != expected {
            let mut error = String::new();
            if line.is_empty() {
                let mut stderr = self.child.stderr.take().expect("a pipe");
                std::io::Read::read_to_string(&mut stderr, &mut error).expect("text");
            }
            panic!("{what}: \"{expected}\" expected, but it says {line:?} {error}");
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct World {
    workplace: Workplace,
    directory: PathBuf,
    _base: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let base = tempfile::tempdir().expect("a directory");
        let directory = base.path().join("locks");
        fs::create_dir(&directory).expect("a directory");
        let usual = lockscope::lock::workplace(this_machine(), &base.path().join("state"));
        Self { workplace: Workplace { runtime_dir: base.path().join("run"), ..usual }, directory, _base: base }
    }

    /// By force: what the waiter takes for alive, such as a lock of another host, is not cleared otherwise. A waiter that
    /// reads the lock, or links it, in the same moment is noticed, and the clear is tried again.
    fn clear(&self, path: &Path) {
        let (parent, name) = (path.parent().expect("a directory"), path.file_name().expect("a name"));
        let options = LookOptions::default();
        let reason = Reason::new("that host is no more").expect("words");
        let began = Instant::now();
        loop {
            let found = look_at_one(&self.workplace.system, parent, name, &options).expect("it can be looked at");
            let seen = found.unwrap_or_else(|| panic!("{} is there", path.display())).0;
            let cleared = match recheck_forced(&self.workplace, parent, &seen, &options, &reason) {
                Ok(permit) => force(permit),
                Err(refusal) => Err(refusal.into()),
            };
            match cleared {
                Ok(_) => return,
                Err(ClearError::PutBack(_) | ClearError::Refused(Refusal::InUse(_) | Refusal::Changed { .. }))
                    if began.elapsed() < PATIENCE => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Makes a lock, lets the waiter find it taken, takes it away, and expects what then comes of the waiter.
    fn rounds(&self, waiter: &mut Waiter, what: &str, rounds: usize, lock: &dyn Fn() -> PathBuf, then: &str) {
        for round in 0..rounds {
            let path = lock();
            waiter.go();
            waiter.says("waits", &format!("{what}, round {round}"));
            self.clear(&path);
            waiter.says(then, &format!("{what}, round {round}"));
        }
    }
}

/// What `./dev test` installs.
fn python(version: &str) -> PathBuf {
    let directory = if version == "newest" { ".venv".to_owned() } else { format!(".venv-{version}") };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory).join("bin/python");
    assert!(path.exists(), "{} is missing; ./dev test installs it", path.display());
    path
}

fn script(make: &str, acquire: &str, tries: usize) -> String {
    format!(
        "import filelock
lock = {make}
def attempt():
    try:
        {acquire}
        return True
    except filelock.Timeout:
        return False
polls(attempt, lambda: lock.release(), {tries})"
    )
}

/// 37, for each class of the family that marks by a file, in each version that has it.
#[test]
fn waiters_of_filelock_wait_and_get_in() {
    const TOKEN: &str = "00000000000000000000000000000001";
    let lease = format!("filelock/2\npid=4194305\nhost=elsewhere\nmode=lease\ntoken={TOKEN}\nduration=30.0\n");
    let writer = format!("{TOKEN}\n4194305\nelsewhere\n");
    let cases = [
        ("3.20.3", "filelock.SoftFileLock('x.lock')", "lock.acquire(timeout=0)", "x.lock", ""),
        ("3.29.7", "filelock.SoftFileLock('x.lock')", "lock.acquire(timeout=0)", "x.lock", "4194305\nelsewhere\n"),
        ("newest", "filelock.SoftFileLock('x.lock')", "lock.acquire(timeout=0)", "x.lock", "4194305\nelsewhere\n99\n"),
        (
            "newest",
            "filelock.SoftFileLease('x.lock', lease_duration=30.0)",
            "lock.acquire(timeout=0)",
            "x.lock",
            &lease,
        ),
        ("3.29.7", "filelock.SoftReadWriteLock('x')", "lock.acquire_write(timeout=0)", "x.write", &writer),
        ("3.29.7", "filelock.SoftReadWriteLock('x')", "lock.acquire_read(timeout=0)", "x.write", &writer),
    ];
    for (version, make, acquire, name, record) in cases {
        let world = World::new();
        let mut waiter = Waiter::start(&python(version), &world.directory, &script(make, acquire, 1_000_000));
        let lock = || {
            let path = world.directory.join(name);
            fs::write(&path, record).expect("written");
            path
        };
        world.rounds(&mut waiter, &format!("filelock {version}: {make}"), ROUNDS, &lock, "in");
    }
}

/// 37, for those whose lock is more than one file: to take one away does not free it, and crashes nobody either.
#[test]
fn waiters_of_filelocks_trees_wait_on() {
    for (make, acquire, below) in [
        ("filelock.StrictSoftFileLock('x.lock')", "lock.acquire(timeout=0)", "x.lock.filelock/claims"),
        ("filelock.SoftReadWriteLock('x')", "lock.acquire_write(timeout=0)", "x.rw/holders"),
    ] {
        let world = World::new();
        let taken = format!("import filelock, os\nlock = {make}\n{acquire}\nos.kill(os.getpid(), 9)");
        let ended = Command::new(python("newest")).arg("-c").arg(taken).current_dir(&world.directory).status();
        assert!(!ended.expect("Python starts").success());
        let holder = fs::read_dir(world.directory.join(below))
            .expect("a tree")
            .map(|entry| entry.expect("an entry").path())
            .find(|path| !path.to_string_lossy().contains("intent-"))
            .expect("the dead one left its record");
        let mut waiter = Waiter::start(&python("newest"), &world.directory, &script(make, acquire, 2000));
        world.rounds(&mut waiter, make, 1, &|| holder.clone(), "still waits");
        assert!(!holder.exists(), "{make}");
    }
}

/// 35: as proper-lockfile's `lib/lockfile.js` does it, and yarn with it: mkdir; if it is there, look at its time; remove it
/// by rmdir if that is older than 10 s.
#[test]
fn waiters_of_mkdir_locks_wait_and_get_in() {
    let world = World::new();
    let imitation = "
import os
def attempt():
    try:
        os.mkdir('x.lock')
        return True
    except FileExistsError:
        pass
    try:
        if time.time() - os.stat('x.lock').st_mtime > 10:
            os.rmdir('x.lock')
    except FileNotFoundError:
        pass
    return False
polls(attempt, lambda: os.rmdir('x.lock'), 1000000)";
    let python = python("newest");
    let mut waiter = Waiter::start(&python, &world.directory, imitation);
    let lock = || {
        let path = world.directory.join("x.lock");
        fs::create_dir(&path).expect("made");
        path
    };
    world.rounds(&mut waiter, "proper-lockfile", ROUNDS, &lock, "in");

    // pylockfile: mkdir, then a file in it that names the owner.
    let imitation = "
import os
def attempt():
    try:
        os.mkdir('y.lock')
    except FileExistsError:
        assert not os.path.exists('y.lock/elsewhere.-fceb7b801')
        return False
    open('y.lock/elsewhere.-fceb7b801', 'wb').close()
    return True
def release():
    os.unlink('y.lock/elsewhere.-fceb7b801')
    os.rmdir('y.lock')
polls(attempt, release, 1000000)";
    let mut waiter = Waiter::start(&python, &world.directory, imitation);
    let lock = || {
        let path = world.directory.join("y.lock");
        fs::create_dir(&path).expect("made");
        fs::write(path.join("elsewhere.-fceb7b804194305"), "").expect("written");
        path
    };
    world.rounds(&mut waiter, "pylockfile", ROUNDS, &lock, "in");
}

/// As Mercurial's `lock.py` and Twisted's `lockfile.py` do it: a symbolic link whose target names the owner; if it is there,
/// read it, and test that process. What is no link to read is an error that ends them.
#[test]
fn waiters_that_read_a_link_wait_and_get_in() {
    let world = World::new();
    let imitation = "
import os, errno
def attempt():
    try:
        os.symlink('own:1', NAME)
        return True
    except FileExistsError:
        pass
    try:
        target = os.readlink(NAME)
    except FileNotFoundError:
        return False
    pid = int(target.rsplit(':', 1)[-1])
    if pid != 4194305:
        os.kill(pid, 0)
    return False
polls(attempt, lambda: os.unlink(NAME), 1000000)";
    for (name, target) in [("wlock", "elsewhere:4194305"), ("twistd.pid.lock", "4194305")] {
        let script = format!("NAME = '{name}'{imitation}");
        let mut waiter = Waiter::start(&python("newest"), &world.directory, &script);
        let lock = || {
            let path = world.directory.join(name);
            std::os::unix::fs::symlink(target, &path).expect("made");
            path
        };
        world.rounds(&mut waiter, name, ROUNDS, &lock, "in");
    }
}

/// 36: as Borg's `locking.py` does it: a full directory of its own, renamed over what stands there; what it finds there it
/// lists, and removes if its owner is gone.
#[test]
fn waiters_that_rename_their_lock_into_place_wait_and_get_in() {
    let world = World::new();
    let imitation = "
import os
def attempt():
    os.mkdir('own.tmp')
    open('own.tmp/vm@1.1-0', 'wb').close()
    try:
        os.replace('own.tmp', 'lock.exclusive')
        return True
    except OSError:
        os.unlink('own.tmp/vm@1.1-0')
        os.rmdir('own.tmp')
    try:
        for name in os.listdir('lock.exclusive'):
            host_pid = name.rsplit('-', 1)[0]
            if not host_pid.startswith('vm@'):
                return False
    except FileNotFoundError:
        pass
    return False
def release():
    os.unlink('lock.exclusive/vm@1.1-0')
    os.rmdir('lock.exclusive')
polls(attempt, release, 1000000)";
    let mut waiter = Waiter::start(&python("newest"), &world.directory, imitation);
    let lock = || {
        let path = world.directory.join("lock.exclusive");
        fs::create_dir(&path).expect("made");
        fs::write(path.join("elsewhere@1.4194305-0"), "").expect("written");
        let hour_ago = SystemTime::now() - Duration::from_hours(1);
        fs::File::open(&path).expect("opened").set_modified(hour_ago).expect("set");
        path
    };
    world.rounds(&mut waiter, "Borg", ROUNDS, &lock, "in");
}
