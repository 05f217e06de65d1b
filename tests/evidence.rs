//! The evidence scenarios of the clear's reference, with real processes and real locks: who holds what the kernel names
//! badly, whose number it is, and what a directory full of traps must not do. Those that `holders.rs` has are not here.

mod support;

use lockscope::inspect::{LookOptions, Looker, look};
use lockscope::model::facts::Danger;
use lockscope::model::holder::{Pid, ProcessLook};
use lockscope::model::kernel::{KernelFile, KernelLock, LockKind};
use lockscope::model::verdict::Certainty;
use lockscope::platform::System;
use std::collections::HashSet;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::{DEAD, Process, lock, look_at, machine, run_apart, set_age, verdict, write};

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

fn python(directory: &Path, script: &str) -> Process {
    Process::start(Command::new("python3").arg("-c").arg(script).current_dir(directory))
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn a_posix_lock_tells_its_bytes_and_its_waiter() {
    let directory = directory();
    let take = |start, length| {
        format!(
            "import fcntl, os, time\nfd = os.open('db', os.O_RDWR | os.O_CREAT)\n\
             fcntl.lockf(fd, fcntl.LOCK_EX, {length}, {start})\n"
        )
    };
    let holder = python(directory.path(), &(take(120, 8) + "print('ready', flush=True)\ntime.sleep(1000)"));
    let waiting = take(120, 8).replace("fcntl.lockf", "print('ready', flush=True)\nfcntl.lockf");
    let waiter = python(directory.path(), &waiting);
    let queued = (0..2000).map(|_| look_at(directory.path())).find(|s| !lock(s, "db").facts.waiters().is_empty());
    let snapshot = queued.expect("the waiter is queued");
    let lock = lock(&snapshot, "db");
    assert_eq!((lock.judgement.row, lock.facts.reading().mechanism.id()), (4, "posix"));
    assert_eq!(lock.holder().expect("named").0.pid.get(), holder.pid());
    assert_eq!(lock.facts.waiters().iter().map(|w| w.pid.get()).collect::<Vec<_>>(), [waiter.pid()]);
    let facts: Vec<String> = lock.checklist(&snapshot.moment()).into_iter().map(|fact| fact.text).collect();
    assert!(facts.iter().any(|text| text.ends_with(", on bytes 120 to 127")), "{facts:?}");
}

/// 7: the descriptor travels through a socket, so that no process has the file open.
#[test]
fn a_lock_in_flight_is_held_by_nobody_that_can_be_named() {
    let directory = directory();
    let script = "import fcntl, os, socket, time\nfd = os.open('a.lock', os.O_RDWR | os.O_CREAT)\n\
                  fcntl.flock(fd, fcntl.LOCK_EX)\na, b = socket.socketpair()\nsocket.send_fds(a, [b'x'], [fd])\n\
                  os.close(fd)\nprint('ready', flush=True)\ntime.sleep(1000)";
    let taker = python(directory.path(), script);
    let snapshot = look_at(directory.path());
    let (held, why) = verdict(&snapshot, "a.lock");
    assert_eq!(held, "held", "{why}");
    assert!(lock(&snapshot, "a.lock").holder().is_none(), "the taker has it no more: {why}");
    assert!(why.contains(&format!("PID {} took, which does not have it open any more", taker.pid())), "{why}");
}

/// 9: looking takes no lock, not even for an instant.
#[test]
fn a_try_lock_beside_many_looks_never_fails() {
    let directory = directory();
    let script = "import fcntl, os, sys\nfd = os.open('a.lock', os.O_RDWR | os.O_CREAT)\nprint('ready', flush=True)\n\
                  while not os.path.exists('stop'):\n    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)\n    \
                  fcntl.flock(fd, fcntl.LOCK_UN)";
    let mut victim = python(directory.path(), script);
    let system = machine();
    for _ in 0..500 {
        let opened = system.open_directory(directory.path()).expect("opened");
        let looker = Looker::new(&system, &*opened, &LookOptions::default(), Some((1, 0)));
        let look = looker.look(&*opened, "a.lock".as_ref());
        assert!(look.is_some_and(|look| look.facts.stat.is_some()));
    }
    std::fs::write(directory.path().join("stop"), "").expect("written");
    assert!(victim.0.wait().expect("it ends").success(), "a try-lock failed while we looked");
}

/// 12 and 13: whoever has the number keeps the lock, and a thread's number means its process.
#[test]
fn processes_of_others_and_threads_count_as_alive() {
    let directory = directory();
    let script = "import os, threading, time\ndef work():\n    \
                  open('thread.pid', 'w').write(str(threading.get_native_id()) + '\\n')\n    \
                  print('ready', flush=True)\n    time.sleep(1000)\nthreading.Thread(target=work).start()";
    let process = python(directory.path(), script);
    let snapshot = look_at(directory.path());
    let held = lock(&snapshot, "thread.pid");
    assert_eq!((held.judgement.verdict.id(), held.judgement.row), ("held", 18), "{}", held.why(&snapshot.moment()));
    assert_eq!(held.holder().expect("named").0.pid.get(), process.pid(), "the thread's process");

    if !is_root() {
        println!("not run: a process of another user: only root can start one");
        return;
    }
    let stranger = Process::start(Command::new("setpriv").args(["--reuid", "65534", "--clear-groups"]).args([
        "bash",
        "-c",
        "echo ready; read",
    ]));
    let path = write(directory.path(), "other.pid", format!("{}\n", stranger.pid()), 0);
    std::os::unix::fs::chown(&path, Some(65534), None).expect("given away");
    assert_eq!(verdict(&look_at(directory.path()), "other.pid").0, "held", "it is its own user's file");
    // The same number in root's file: that user cannot have written it.
    std::os::unix::fs::chown(&path, Some(0), None).expect("taken back");
    set_age(&path, Duration::from_hours(1));
    let (now, why) = verdict(&look_at(directory.path()), "other.pid");
    assert_eq!(now, "stale", "{why}");
    assert!(why.contains("who cannot have made this file"), "{why}");
}

/// 17 and 18: times can be forged, so they prove nothing alone.
#[test]
fn forged_and_future_times_free_nobody() {
    let directory = directory();
    let holder = Process::shell(directory.path(), "echo $$ > a.pid; echo ready; read");
    set_age(&directory.path().join("a.pid"), Duration::from_hours(24 * 365 * 20));
    let snapshot = look_at(directory.path());
    let held = lock(&snapshot, "a.pid");
    assert_eq!(held.judgement.verdict.id(), "held", "{}", held.why(&snapshot.moment()));
    assert_eq!(held.holder().expect("named").0.pid.get(), holder.pid());

    let path = write(directory.path(), "b.pid", format!("{DEAD}\n"), 0);
    let ahead = std::time::SystemTime::now() + Duration::from_hours(1);
    std::fs::File::options().write(true).open(&path).and_then(|file| file.set_modified(ahead)).expect("set");
    let snapshot = look_at(directory.path());
    let orphan = lock(&snapshot, "b.pid");
    assert_eq!((orphan.judgement.verdict.id(), orphan.age(&snapshot.moment())), ("orphaned", None));
}

/// 24: created, and nothing written yet.
#[test]
fn a_lock_that_is_being_created_is_left_alone() {
    let directory = directory();
    write(directory.path(), "job.pid", "", 0);
    let (now, why) = verdict(&look_at(directory.path()), "job.pid");
    assert_eq!(now, "unknown");
    assert!(why.contains("may be in the middle of locking"), "{why}");
}

/// 42 and 43: what may not be read is an entry, and is never cleared.
#[test]
fn what_may_not_be_read_is_unknown() {
    let directory = directory();
    let path = write(directory.path(), "root.lock", format!("{DEAD}\n"), 3600);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o0)).expect("set");
    if is_root() {
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).expect("set");
        let text = as_nobody(&["status", "--json"], directory.path());
        let status: serde_json::Value = serde_json::from_str(&text).expect("one object");
        assert_eq!(status["locks"][0]["verdict"], "unknown", "{text}");
        assert_eq!(status["locks"][0]["clearable"], false);
        assert!(status["locks"][0]["why"].as_str().expect("a sentence").contains("permission denied"));
    } else {
        assert_eq!(verdict(&look_at(directory.path()), "root.lock").0, "unknown");
    }
}

/// Runs the program as a user without rights.
fn as_nobody(arguments: &[&str], directory: &Path) -> String {
    // The build's own directory may be closed to others.
    let program = directory.join("program");
    support::copy_program(env!("CARGO_BIN_EXE_lockscope"), &program);
    let ended = Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .arg(&program)
        .args(arguments)
        .arg(directory)
        .env("LOCKSCOPE_STATE_DIR", directory.join("state"))
        .env("LOCKSCOPE_CONFIG_DIR", directory.join("config"))
        .output()
        .expect("it runs");
    std::fs::remove_file(&program).expect("removed");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    String::from_utf8(ended.stdout).expect("UTF-8")
}

/// An ordinary user sees who holds, though not the open files of others, and is told what was not seen.
#[test]
fn without_rights_the_answer_is_less_never_false() {
    if !is_root() {
        println!("not run: root's processes seen by another user: only root can try both sides");
        return;
    }
    let directory = directory();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).expect("set");
    let holder = Process::shell(directory.path(), "exec 9>a.lock; flock 9; echo ready; exec sleep 1000");
    let inherited = Process::shell(directory.path(), "exec 8>b.lock; flock 8; exec sleep 1000 & echo ready; wait");
    std::fs::create_dir(directory.path().join(".git")).expect("made");
    write(&directory.path().join(".git"), "index.lock", "", 3600);
    let text = as_nobody(&["status", "--json", "--recursive"], directory.path());
    let status: serde_json::Value = serde_json::from_str(&text).expect("one object");
    let of = |path: &str| {
        let locks = status["locks"].as_array().expect("a list");
        locks.iter().find(|lock| lock["path"] == path).unwrap_or_else(|| panic!("{path} in {text}")).clone()
    };
    assert_eq!((of("a.lock")["verdict"].as_str(), of("a.lock")["certainty"].as_str()), (Some("held"), Some("certain")));
    assert_eq!(of("b.lock")["verdict"], "held");
    let _ = (holder.pid(), inherited.pid());
    // The lock is root's, and so could its holder be: root's open files cannot be seen.
    assert_eq!(of(".git/index.lock")["verdict"], "unknown");
    let why = of(".git/index.lock")["why"].as_str().expect("a sentence").to_owned();
    assert!(why.contains("could not be looked at"), "{why}");
}

/// Not a test by itself: what [`hidden_processes_are_not_taken_for_gone`] runs in a mount namespace of its own.
#[test]
fn with_hidden_processes() {
    if std::env::var_os("LOCKSCOPE_TEST_WITH_HIDDEN_PROCESSES").is_none() {
        return;
    }
    // A mount of its own, so that nobody else's /proc changes.
    let mount = ["-t", "proc", "-o", "hidepid=invisible", "proc", "/proc"];
    if !Command::new("mount").args(mount).status().is_ok_and(|status| status.success()) {
        println!("not run: hidden processes: /proc cannot be mounted with hidepid here");
        return;
    }
    let directory = directory();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).expect("set");
    let holder = Process::shell(directory.path(), "echo ready; read");
    write(directory.path(), "alive.pid", format!("{}\n", holder.pid()), 0);
    write(directory.path(), "gone.pid", format!("{DEAD}\n"), 3600);
    let text = as_nobody(&["status", "--json"], directory.path());
    let status: serde_json::Value = serde_json::from_str(&text).expect("one object");
    let of = |at: usize| (status["locks"][at]["verdict"].as_str(), status["locks"][at]["why"].as_str().expect("why"));
    assert_eq!(of(0), (Some("held"), &*format!("PID {} exists, though its details are hidden from us.", holder.pid())));
    assert_eq!(of(1).0, Some("unknown"), "{}", of(1).1);
    assert!(of(1).1.contains("hidepid"), "{}", of(1).1);
}

/// 52: under `hidepid` a process is seen by its PID alone, and what cannot be seen is not called dead.
#[test]
fn hidden_processes_are_not_taken_for_gone() {
    if !is_root() {
        println!("not run: hidden processes: only root can mount /proc with hidepid in this PID namespace");
        return;
    }
    run_apart("-m", "with_hidden_processes", "LOCKSCOPE_TEST_WITH_HIDDEN_PROCESSES");
}

/// 3,000 flocks of one process: it is looked at once, and nobody's open files are.
#[test]
fn many_locks_of_one_process_cost_one_look_at_it() {
    // A file system of its own: the other tests' locks on deleted files would be looked into.
    let directory = tempfile::tempdir_in("/dev/shm").expect("a directory");
    let script = "import fcntl, os, resource, time\nresource.setrlimit(resource.RLIMIT_NOFILE, (4000, 4000))\nfds = []\n\
                  for n in range(3000):\n    fd = os.open(f'{n}.lock', os.O_RDWR | os.O_CREAT)\n    \
                  fcntl.flock(fd, fcntl.LOCK_EX)\n    fds.append(fd)\nprint('ready', flush=True)\ntime.sleep(1000)";
    let holder = python(directory.path(), script);
    let counting = Arc::new(Counting::of(machine()));
    let system = Arc::clone(&counting) as Arc<dyn System>;
    let snapshot = look(&system, directory.path(), &LookOptions::default()).expect("looked at");
    assert_eq!(snapshot.locks().count(), 3000);
    for lock in snapshot.locks() {
        assert_eq!(lock.holder().expect("named").0.pid.get(), holder.pid());
    }
    assert_eq!(counting.sweeps.load(Ordering::Relaxed), 0, "the kernel's table names the holder");
    let others = snapshot.sight.processes as usize;
    let looks = counting.looks.load(Ordering::Relaxed);
    assert!(looks <= others, "{looks} looks at {others} processes, for 3,000 locks of one");
}

/// This machine, with its answers counted, and as btrfs would give them.
struct Counting {
    real: Arc<dyn System>,
    looks: AtomicUsize,
    sweeps: AtomicUsize,
    /// Inode numbers are shared between subvolumes.
    subvolumes: bool,
    /// Is in the table besides the real ones.
    one_more: Option<KernelLock>,
    /// Happens right before the first look at a process.
    meanwhile: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Counting {
    fn of(real: Arc<dyn System>) -> Self {
        Self {
            real,
            looks: AtomicUsize::new(0),
            sweeps: AtomicUsize::new(0),
            subvolumes: false,
            one_more: None,
            meanwhile: Mutex::default(),
        }
    }
}

impl System for Counting {
    fn look_at(&self, pid: Pid) -> ProcessLook {
        self.looks.fetch_add(1, Ordering::Relaxed);
        if let Some(happens) = self.meanwhile.lock().expect("whole").take() {
            happens();
        }
        self.real.look_at(pid)
    }
    fn sweep(&self) -> lockscope::platform::ProcessSweep {
        self.sweeps.fetch_add(1, Ordering::Relaxed);
        self.real.sweep()
    }
    fn lock_device(&self, mount: u64) -> Option<(u32, u32, bool)> {
        self.real.lock_device(mount).map(|(major, minor, really)| (major, minor, really || self.subvolumes))
    }
    fn kernel_locks(&self) -> std::io::Result<Vec<lockscope::model::kernel::KernelLock>> {
        let locks = self.real.kernel_locks()?;
        Ok(locks.into_iter().chain(self.one_more).collect())
    }
    fn locked_files(&self, pid: Pid) -> Option<HashSet<u64>> {
        self.real.locked_files(pid)
    }
    crate::by_the_real_one!(wall monotonic host file_system count_processes open_paths open_directory);
}

#[test]
fn a_lock_on_a_deleted_file_of_the_same_name_is_a_danger() {
    let directory = directory();
    let mut old = Process::shell(directory.path(), "exec 9>a.lock; flock 9; echo ready; exec sleep 1000");
    std::fs::remove_file(directory.path().join("a.lock")).expect("the wrong rm");
    assert!(look_at(directory.path()).locks().next().is_none(), "nothing stands there now");
    let new = Process::shell(directory.path(), "exec 9>a.lock; flock 9; echo ready; exec sleep 1000");
    let snapshot = look_at(directory.path());
    let lock_now = lock(&snapshot, "a.lock");
    assert_eq!(lock_now.facts.danger(), Some(Danger::SplitLock));
    assert_eq!(lock_now.holder().expect("named").0.pid.get(), new.pid());
    assert_eq!(lock_now.facts.split_holders().iter().map(|p| p.pid.get()).collect::<Vec<_>>(), [old.pid()]);
    let why = lock_now.why(&snapshot.moment());
    assert!(why.contains(&format!("Danger: sleep (PID {})", old.pid())), "{why}");
    // A hold that a child inherited is found as well.
    old.kill();
    assert_eq!(lock(&look_at(directory.path()), "a.lock").facts.danger(), None, "it has let go");
}

/// The same lock, watched: the danger comes and goes without an event on the file that stands there.
#[test]
fn a_split_lock_is_noticed_while_watching() {
    let (directory, state) = (directory(), directory());
    let mut old = Process::shell(directory.path(), "exec 9>a.lock; flock 9; echo ready; exec sleep 1000");
    let watched =
        support::Watched::start(directory.path(), state.path(), lockscope::engine::settings::Settings::default());
    let danger = |snapshot: &lockscope::model::snapshot::Snapshot| {
        snapshot.find("a.lock".as_ref()).and_then(|lock| lock.facts.danger())
    };
    watched.until_verdict("a.lock", "held");
    std::fs::remove_file(directory.path().join("a.lock")).expect("the wrong rm");
    watched.until_gone("a.lock");
    write(directory.path(), "a.lock", "", 0);
    watched.until("the split shows", |snapshot| danger(snapshot) == Some(Danger::SplitLock));
    old.kill();
    watched.until("it is over", |snapshot| danger(snapshot).is_none());
}

/// A heart that beats by `utimes`, as proper-lockfile's does.
#[test]
fn a_heartbeat_is_followed_and_its_stop_is_seen() {
    let (directory, state) = (directory(), directory());
    // A lease of its own: two seconds, so that the test need not take the tool's thirty.
    let marker = |pid: u32| {
        format!("filelock/2\npid={pid}\nhost=elsewhere\nmode=lease\ntoken={}\nduration=2.0\nstart=7\n", "a".repeat(32))
    };
    write(directory.path(), "far.lock", marker(12), 3600);
    assert_eq!(verdict(&look_at(directory.path()), "far.lock").0, "foreign", "a lease on another host is that host's");

    let path = directory.path().join("res.lock");
    std::fs::create_dir(&path).expect("made");
    let beat = |age: Duration| {
        // Whole milliseconds, as the tool sets them.
        let now = std::time::SystemTime::now() - age;
        let since = now.duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        let whole = std::time::UNIX_EPOCH + Duration::from_millis(since.as_millis() as u64);
        std::fs::File::open(&path).and_then(|file| file.set_modified(whole)).expect("set");
    };
    beat(Duration::from_hours(1));
    let first = verdict(&look_at(directory.path()), "res.lock");
    let Some(format) = lockscope::model::format::by_id("proper-lockfile") else {
        panic!("the catalogue has proper-lockfile")
    };
    assert_eq!(first.0, "suspect", "one look cannot tell: {}", first.1);
    let watched =
        support::Watched::start(directory.path(), state.path(), lockscope::engine::settings::Settings::default());
    watched.until_verdict("res.lock", "suspect");
    beat(Duration::from_secs(1));
    watched.until_verdict("res.lock", "held");
    let interval = format.heartbeat.expect("it has a heart").interval;
    beat(Duration::from_hours(1));
    watched.until("it was seen to move, whatever its time says", |snapshot| {
        snapshot.find("res.lock".as_ref()).is_some_and(|lock| lock.facts.beat().is_some_and(|beat| beat.moved))
    });
    assert!(interval >= Duration::from_secs(1));
}

/// A directory that any script made has no heart: that nothing moves in it proves nothing.
#[test]
fn a_directory_lock_of_a_script_is_never_stale_for_want_of_a_beat() {
    let directory = directory();
    let path = directory.path().join("job.lock");
    std::fs::create_dir(&path).expect("made");
    let hour_ago = std::time::SystemTime::now() - Duration::from_hours(1) + Duration::from_nanos(17);
    std::fs::File::open(&path).and_then(|file| file.set_modified(hour_ago)).expect("set");
    let snapshot = look_at(directory.path());
    let lock = lock(&snapshot, "job.lock");
    assert!(lock.facts.beat().is_none());
    assert!(!lock.is_stale() && lock.judgement.verdict.id() != "held", "{}", lock.why(&snapshot.moment()));
}

/// Not a test by itself: what [`in_a_container_absence_proves_nothing`] runs in a PID namespace of its own.
#[test]
fn within_a_pid_namespace() {
    if std::env::var_os("LOCKSCOPE_TEST_IN_PID_NAMESPACE").is_none() {
        return;
    }
    let directory = directory();
    write(directory.path(), "gone.pid", format!("{DEAD}\n"), 3600);
    write(directory.path(), "one.pid", "1\n", 3600);
    write(directory.path(), "known_memory.lock", "", 3600);
    let snapshot = look_at(directory.path());
    for name in ["gone.pid", "one.pid"] {
        let (now, why) = verdict(&snapshot, name);
        assert_eq!(now, "unknown", "{name}: {why}");
        assert!(why.contains("not all processes can be seen"), "{why}");
    }
    assert_eq!(verdict(&snapshot, "known_memory.lock").0, "unknown", "a holder outside cannot be seen");
    // A record that names this very namespace speaks of processes that can be seen.
    let namespace = std::fs::metadata("/proc/self/ns/pid").expect("there").ino();
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let record = format!("{DEAD}\n{host}?pidns-{namespace:x}\n1\n");
    write(directory.path(), "ours.lock", record, 3600);
    let (now, why) = verdict(&look_at(directory.path()), "ours.lock");
    assert_eq!(now, "stale", "{why}");
}

/// 20: an inspector in a container sees less, and says so.
#[test]
fn in_a_container_absence_proves_nothing() {
    run_apart("-Urpf --mount-proc", "within_a_pid_namespace", "LOCKSCOPE_TEST_IN_PID_NAMESPACE");
}

/// 21: a container's process, seen from the host: its own number there means another process here.
#[test]
fn a_number_from_a_container_is_not_taken_for_ours() {
    let directory = directory();
    let available = Command::new("unshare").args(["-Urpf", "--mount-proc", "true"]).status();
    if !available.is_ok_and(|status| status.success()) {
        println!("not run: a container's PID seen from outside: no namespaces here");
        return;
    }
    let script = "echo $$ > inner.pid; echo ready; read";
    let mut command = Command::new("unshare");
    command.args(["-Urpf", "--mount-proc", "--kill-child", "bash", "-c", script]).current_dir(directory.path());
    let mut container = Process::start(&mut command);
    let inner = std::fs::read_to_string(directory.path().join("inner.pid")).expect("written").trim().to_owned();
    assert_eq!(inner, "1");
    set_age(&directory.path().join("inner.pid"), Duration::from_hours(1));
    let (now, why) = verdict(&look_at(directory.path()), "inner.pid");
    assert_ne!(now, "stale", "PID 1 lives here, and the record does not say where it was written: {why}");
    container.kill();
}

/// Not a test by itself: what [`start_tokens_of_another_time_namespace_prove_nothing`] runs.
#[test]
fn within_a_time_namespace() {
    if std::env::var_os("LOCKSCOPE_TEST_IN_TIME_NAMESPACE").is_none() {
        return;
    }
    let directory = directory();
    // Our parent counts time as the host does; we are a day ahead.
    let parent = std::os::unix::process::parent_id();
    let mut holder = Process::shell(directory.path(), "echo ready; read");
    let ProcessLook::Running(facts) = machine().look_at(Pid::new(holder.pid().into()).expect("a PID")) else {
        panic!("it runs")
    };
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("readable");
    let boot = u128::from_str_radix(&boot.trim().replace('-', ""), 16).expect("hexadecimal");
    // boot << 64 | ticks, in decimal.
    let token = |ticks: u64| {
        let mut digits = Vec::new();
        let mut limbs = [(boot >> 64) as u64, boot as u64, ticks];
        while limbs.iter().any(|limb| *limb != 0) {
            let mut rest = 0u128;
            for limb in &mut limbs {
                let wide = (rest << 64) | u128::from(*limb);
                *limb = (wide / 10) as u64;
                rest = wide % 10;
            }
            digits.push(char::from(b'0' + rest as u8));
        }
        digits.iter().rev().collect::<String>()
    };
    let record = |pid: u32, ticks| format!("{pid}\n{host}\n{}\n", token(ticks));
    write(directory.path(), "same.lock", record(holder.pid(), facts.start_ticks.expect("told")), 0);
    let snapshot = look_at(directory.path());
    assert_eq!(verdict(&snapshot, "same.lock").0, "held", "{:?}", verdict(&snapshot, "same.lock"));
    assert_eq!(facts.same_time_ns, Some(true), "a child of ours");
    let ProcessLook::Running(parent_facts) = machine().look_at(Pid::new(parent.into()).expect("a PID")) else {
        println!("not run: the parent in the other time namespace is out of sight");
        return;
    };
    assert_ne!(parent_facts.same_time_ns, Some(true), "our parent has another time namespace, or may have");
    write(
        directory.path(),
        "parent.lock",
        record(parent, parent_facts.start_ticks.expect("told").wrapping_sub(8_640_000)),
        0,
    );
    let (now, why) = verdict(&look_at(directory.path()), "parent.lock");
    assert_eq!(now, "held", "other ticks from another time namespace: {why}");
    holder.kill();
}

#[test]
fn start_tokens_of_another_time_namespace_prove_nothing() {
    run_apart("-UrT --boottime 86400 --fork", "within_a_time_namespace", "LOCKSCOPE_TEST_IN_TIME_NAMESPACE");
}

/// Facts say when they were seen and how sure they are.
#[test]
fn every_fact_has_source_time_and_certainty() {
    let directory = directory();
    write(directory.path(), "a.pid", format!("{DEAD}\n"), 3600);
    let before = machine().wall();
    let snapshot = look_at(directory.path());
    let after = machine().wall();
    let facts = lock(&snapshot, "a.pid").checklist(&snapshot.moment());
    assert!(facts.len() >= 4, "{facts:?}");
    for fact in facts {
        assert!(!fact.source.is_empty() && !fact.text.is_empty());
        assert_eq!(fact.known, fact.certainty.is_some(), "{fact:?}");
        assert!(before <= fact.at && fact.at <= after, "{fact:?}");
    }
}

/// What a pass knows of the machine it asks once.
#[test]
fn a_process_that_many_locks_name_is_looked_at_once() {
    let directory = directory();
    for number in 0..50 {
        write(directory.path(), &format!("{number}.pid"), format!("{}\n", std::process::id()), 60);
    }
    let counting = Arc::new(Counting::of(machine()));
    let system = Arc::clone(&counting) as Arc<dyn System>;
    let opened = system.open_directory(directory.path()).expect("opened");
    let looker = Looker::new(&system, &*opened, &LookOptions::default(), Some((1, 0)));
    let me = Pid::new(std::process::id().into()).expect("a PID");
    for _ in 0..50 {
        looker.process_look(me);
    }
    assert_eq!(counting.looks.load(Ordering::Relaxed), 1);
}

/// A lease is no hold: who has one is told before another opens the file, and that is all.
#[test]
fn a_lease_is_shown_and_is_no_hold() {
    let directory = directory();
    write(directory.path(), "a.lock", format!("{DEAD}\n"), 3600);
    let script = "import fcntl, os, signal, time\nsignal.signal(signal.SIGIO, signal.SIG_IGN)\n\
                  fd = os.open('a.lock', os.O_RDONLY)\nfcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)\n\
                  print('ready', flush=True)\ntime.sleep(1000)";
    let taker = python(directory.path(), script);
    let snapshot = look_at(directory.path());
    let seen = lock(&snapshot, "a.lock");
    assert_eq!(seen.judgement.verdict.id(), "stale", "{}", seen.why(&snapshot.moment()));
    let said: Vec<String> = seen.checklist(&snapshot.moment()).into_iter().map(|fact| fact.text).collect();
    let words = format!("python3 (PID {}) has a lease on it", taker.pid());
    assert!(said.iter().any(|text| text.starts_with(&words)), "{said:?}");
}

/// The sentence names each kind of kernel lock that is held on the file.
#[test]
fn locks_of_two_kinds_are_both_named() {
    let directory = directory();
    let script = "import fcntl, os, time\nfd = os.open('a.lock', os.O_RDWR | os.O_CREAT)\n\
                  fcntl.flock(fd, fcntl.LOCK_EX)\nfcntl.lockf(fd, fcntl.LOCK_EX)\nprint('ready', flush=True)\n\
                  time.sleep(1000)";
    let taker = python(directory.path(), script);
    let (held, why) = verdict(&look_at(directory.path()), "a.lock");
    assert_eq!(held, "held", "{why}");
    let both = ["flock and posix", "posix and flock"]
        .map(|kinds| format!("Python3 (PID {}) holds a kernel lock ({kinds}) on it.", taker.pid()).to_lowercase());
    assert!(both.contains(&why.to_lowercase()), "{why}");
}

/// The kernel gives its lock table a page at a time, and skips entries when others go meanwhile: none may be missed.
#[test]
fn no_lock_is_missed_while_others_come_and_go() {
    let directory = directory();
    let hold = "import fcntl, os, resource, time\nresource.setrlimit(resource.RLIMIT_NOFILE, (4000, 4000))\nfds = []\n\
                for n in range(1000):\n    fd = os.open(f'{n}.lock', os.O_RDWR | os.O_CREAT)\n    \
                fcntl.flock(fd, fcntl.LOCK_EX)\n    fds.append(fd)\nprint('ready', flush=True)\ntime.sleep(1000)";
    let churn = "import fcntl, os\nfds = [os.open(f'{os.getpid()}-{n}', os.O_RDWR | os.O_CREAT) for n in range(20)]\n\
                 print('ready', flush=True)\nwhile True:\n    for fd in fds: fcntl.flock(fd, fcntl.LOCK_EX)\n    \
                 for fd in fds: fcntl.flock(fd, fcntl.LOCK_UN)";
    let holder = python(directory.path(), hold);
    let _others = [python(directory.path(), churn), python(directory.path(), churn)];
    let system = machine();
    for _ in 0..60 {
        let locks = system.kernel_locks().expect("readable");
        let held = locks.iter().filter(|lock| lock.pid.is_some_and(|pid| pid.get() == holder.pid()));
        assert_eq!(held.map(|lock| lock.file).collect::<HashSet<_>>().len(), 1000);
    }
}

/// 8: on btrfs a file's number is its own only within a subvolume, and the kernel's table does not tell them apart.
#[test]
fn a_number_that_two_subvolumes_share_is_ambiguous_until_an_open_file_tells() {
    let directory = directory();
    write(directory.path(), "a.lock", "", 60);
    let look_with = |locked: Option<KernelLock>| {
        let subvolumes = Arc::new(Counting { subvolumes: true, one_more: locked, ..Counting::of(machine()) });
        look(&(subvolumes as Arc<dyn System>), directory.path(), &LookOptions::default()).expect("looked at")
    };
    // The lock is on a file of another subvolume with the same number, as far as the table tells.
    let stat = std::fs::metadata(directory.path().join("a.lock")).expect("there");
    let own = lock(&look_with(None), "a.lock").facts.stat().expect("seen");
    let (major, minor, _) = machine().lock_device(own.mount).expect("known");
    let file = KernelFile { major, minor, ino: stat.ino() };
    let elsewhere = KernelLock {
        file,
        kind: LockKind::Flock,
        exclusive: true,
        waiting: false,
        pid: Some(Pid::new(1).expect("a PID")),
        start: 0,
        end: None,
    };
    let snapshot = look_with(Some(elsewhere));
    let (held, why) = verdict(&snapshot, "a.lock");
    assert_eq!((held, lock(&snapshot, "a.lock").judgement.certainty), ("held", Some(Certainty::Likely)), "{why}");
    assert!(why.contains("ambiguous"), "{why}");
    // A process that has this very file open with a lock on it leaves no doubt.
    let holder = Process::shell(directory.path(), "exec 9<a.lock; flock 9; echo ready; exec sleep 1000");
    let snapshot = look_with(None);
    let (held, why) = verdict(&snapshot, "a.lock");
    assert_eq!((held, lock(&snapshot, "a.lock").judgement.certainty), ("held", Some(Certainty::Certain)), "{why}");
    assert_eq!(lock(&snapshot, "a.lock").holder().expect("named").0.pid.get(), holder.pid());
}

/// Read while its owner lived, judged when it had released the lock and exited: nothing was left behind.
#[test]
fn a_lock_released_between_two_of_our_looks_is_not_called_orphaned() {
    let directory = directory();
    let path = write(directory.path(), "a.lock", format!("{DEAD}\n"), 0);
    let look_while = |happens: Box<dyn FnOnce() + Send>| {
        let system = Arc::new(Counting { meanwhile: Mutex::new(Some(happens)), ..Counting::of(machine()) });
        look(&(system as Arc<dyn System>), directory.path(), &LookOptions::default()).expect("looked at")
    };
    let (removed, owner) = (path.clone(), std::process::id());
    let snapshot = look_while(Box::new(move || std::fs::remove_file(removed).expect("released")));
    assert_eq!(snapshot.locks().count(), 0);
    // The same, and another has taken it meanwhile.
    write(directory.path(), "a.lock", format!("{DEAD}\n"), 0);
    let taken = directory.path().to_owned();
    let snapshot = look_while(Box::new(move || {
        std::fs::remove_file(&path).expect("released");
        write(&taken, "a.lock", format!("{owner}\n"), 0);
    }));
    assert_eq!(verdict(&snapshot, "a.lock").0, "held");
}
