//! What several tests share: a machine, a directory, an engine that is waited for by its own signals.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]

pub mod display;
#[cfg(feature = "gui")]
pub mod stage;

use crossbeam_channel::{Receiver, bounded};
use lockscope::engine::settings::Settings;
use lockscope::engine::{Command, Engine, EngineOptions};
use lockscope::inspect::{LookOptions, look};
use lockscope::model::snapshot::{Lock, Snapshot};
use lockscope::platform::{System, this_machine};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Far more than anything here takes; only a failure waits so long.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// A PID that no process has: beyond any pid_max.
pub const DEAD: u32 = 4_194_305;

/// The methods of [`System`] that a stand-in with a field `real` leaves to the real machine.
#[macro_export]
macro_rules! by_the_real_one {
    ($($name:ident)*) => { $($crate::by_the_real_one!(@ $name);)* };
    (@ wall) => { fn wall(&self) -> lockscope::model::time::Wall { self.real.wall() } };
    (@ monotonic) => { fn monotonic(&self) -> std::time::Duration { self.real.monotonic() } };
    (@ host) => { fn host(&self) -> lockscope::platform::Host { self.real.host() } };
    (@ file_system) => {
        fn file_system(&self, mount: u64) -> lockscope::model::facts::FileSystem { self.real.file_system(mount) }
    };
    (@ lock_device) => {
        fn lock_device(&self, mount: u64) -> Option<(u32, u32, bool)> { self.real.lock_device(mount) }
    };
    (@ kernel_locks) => {
        fn kernel_locks(&self) -> std::io::Result<Vec<lockscope::model::kernel::KernelLock>> { self.real.kernel_locks() }
    };
    (@ look_at) => {
        fn look_at(&self, pid: lockscope::model::holder::Pid) -> lockscope::model::holder::ProcessLook {
            self.real.look_at(pid)
        }
    };
    (@ count_processes) => { fn count_processes(&self) -> (u32, u32) { self.real.count_processes() } };
    (@ sweep) => { fn sweep(&self) -> lockscope::platform::ProcessSweep { self.real.sweep() } };
    (@ open_paths) => {
        fn open_paths(&self, pid: lockscope::model::holder::Pid) -> Option<Vec<std::path::PathBuf>> {
            self.real.open_paths(pid)
        }
    };
    (@ open_directory) => {
        fn open_directory(
            &self, path: &std::path::Path,
        ) -> std::io::Result<Box<dyn lockscope::platform::Directory>> {
            self.real.open_directory(path)
        }
    };
}

/// One pass with the usual options.
pub fn look_at(directory: &Path) -> Snapshot {
    look(&this_machine(), directory, &LookOptions::default()).expect("the directory can be looked at")
}

/// The lock with this name.
pub fn lock(snapshot: &Snapshot, name: &str) -> Arc<Lock> {
    Arc::clone(snapshot.find(OsStr::new(name)).unwrap_or_else(|| panic!("{name} is listed")))
}

/// Verdict and sentence of a lock.
pub fn verdict(snapshot: &Snapshot, name: &str) -> (&'static str, String) {
    let lock = lock(snapshot, name);
    (lock.judgement.verdict.id(), lock.why(&snapshot.moment()))
}

/// Makes a file look as if last touched so long ago.
pub fn set_age(path: &Path, age: Duration) {
    let file = std::fs::OpenOptions::new().write(true).open(path).expect("the file opens");
    file.set_modified(SystemTime::now() - age).expect("its time can be set");
}

/// Writes a file of some age.
pub fn write(directory: &Path, name: &str, content: impl AsRef<[u8]>, age_secs: u64) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, content).expect("the file can be written");
    set_age(&path, Duration::from_secs(age_secs));
    path
}

/// A child process that is killed when the test ends, however it ends.
pub struct Process(pub Child);

impl Process {
    /// Starts a shell command and waits for the line "ready" on its output.
    pub fn shell(directory: &Path, script: &str) -> Self {
        Self::start(std::process::Command::new("bash").arg("-c").arg(script).current_dir(directory))
    }

    /// Starts a program and waits for the line "ready" on its output.
    pub fn start(command: &mut std::process::Command) -> Self {
        use std::io::BufRead as _;
        use std::os::unix::process::CommandExt as _;
        let mut child =
            command.stdout(Stdio::piped()).stdin(Stdio::piped()).process_group(0).spawn().expect("the program starts");
        let mut output = std::io::BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        output.read_line(&mut line).expect("it says something");
        assert_eq!(line.trim(), "ready", "the process is where the test needs it");
        Self(child)
    }

    /// Its PID.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// `kill -9` to the process and what it started, and take note of its end.
    pub fn kill(&mut self) {
        let group = rustix::process::Pid::from_raw(self.0.id() as i32).expect("a PID");
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An engine on a directory.
pub struct Watched {
    pub engine: Engine,
    wakes: Receiver<()>,
}

impl Watched {
    /// Starts one; the first pass is over when this returns.
    pub fn start(directory: &Path, state: &Path, settings: Settings) -> Self {
        Self::start_on(this_machine(), directory, state, settings)
    }

    /// The same with another machine than this one.
    pub fn start_on(system: Arc<dyn System>, directory: &Path, state: &Path, settings: Settings) -> Self {
        let (wake, wakes) = bounded(1024);
        let options = EngineOptions {
            system,
            settings,
            config_dir: Some(state.join("config")),
            state_dir: Some(state.join("state")),
            // What events and the quick look do not see must not be found by the slow pass in a test.
            slow_pass: Duration::from_hours(24),
        };
        let engine = Engine::start(
            options,
            Arc::new(move || {
                let _ = wake.try_send(());
            }),
        );
        engine.send(Command::Watch(Some(directory.to_owned())));
        let watched = Self { engine, wakes };
        watched.until("the first pass is over", |snapshot| {
            !matches!(snapshot.watching, lockscope::model::snapshot::Watching::Loading(_))
        });
        watched
    }

    /// Waits for the engine's own signals until the picture is as told; gives how long that took.
    pub fn until(&self, what: &str, so: impl Fn(&Snapshot) -> bool) -> Duration {
        let start = Instant::now();
        loop {
            if self.engine.snapshot().is_some_and(|snapshot| so(&snapshot)) {
                return start.elapsed();
            }
            let left = DEADLINE.checked_sub(start.elapsed()).unwrap_or_default();
            assert!(
                self.wakes.recv_timeout(left).is_ok(),
                "not within {DEADLINE:?}: {what}; the picture is {:#?}",
                self.engine.snapshot()
            );
        }
    }

    /// Waits until a lock has a verdict.
    pub fn until_verdict(&self, name: &str, verdict: &str) -> Duration {
        self.until(&format!("{name} is {verdict}"), |snapshot| {
            snapshot.find(OsStr::new(name)).is_some_and(|lock| lock.judgement.verdict.id() == verdict)
        })
    }

    /// Waits until a name is not listed.
    pub fn until_gone(&self, name: &str) -> Duration {
        self.until(&format!("{name} is gone"), |snapshot| snapshot.find(OsStr::new(name)).is_none())
    }

    /// Waits for the next event.
    pub fn event(&self) -> lockscope::engine::Event {
        let start = Instant::now();
        loop {
            if let Some(event) = self.engine.next_event() {
                return event;
            }
            let left = DEADLINE.checked_sub(start.elapsed()).unwrap_or_default();
            self.wakes.recv_timeout(left).expect("the engine tells something in time");
        }
    }
}

/// The machine, for what needs one.
pub fn machine() -> Arc<dyn System> {
    this_machine()
}

/// Copies a program to where another user may run it, by a process of its own: a file that this process has open for writing
/// is still so in the child that another test forks at this moment, and then it cannot be run (ETXTBSY).
pub fn copy_program(from: impl AsRef<Path>, to: &Path) {
    let ended = std::process::Command::new("cp").arg(from.as_ref()).arg(to).status();
    assert!(ended.expect("it runs").success(), "copied to {}", to.display());
}

/// Runs one test of the calling file in namespaces of its own, where it may do what would disturb the machine.
pub fn run_apart(namespaces: &str, test: &str, permission: &str) {
    let available = std::process::Command::new("unshare").args(namespaces.split(' ')).arg("true").status();
    if !available.is_ok_and(|status| status.success()) {
        println!("not run: {test}: no namespaces here (unshare {namespaces})");
        return;
    }
    let ended = std::process::Command::new("unshare")
        .args(namespaces.split(' '))
        .arg(std::env::current_exe().expect("a path"))
        .args(["--exact", test, "--nocapture"])
        .env(permission, "1")
        .output()
        .expect("it runs");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let said = String::from_utf8_lossy(&ended.stdout);
    for line in said.lines().filter(|line| line.contains("not run: ")) {
        println!("{line}");
    }
    assert!(said.contains("1 passed"), "it ran");
}
