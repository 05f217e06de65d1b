//! The protocol on real files, with others getting in between at chosen steps.

mod contention;
mod protocol;

use super::permit::{Consent, Grounds, Pinned};
use super::placeholder::Form;
use super::protocol::{Step, Steps, Straight};
use super::*;
use crate::model::facts::FileSystem;
use crate::model::holder::{Pid, ProcessFacts, ProcessLook};
use crate::model::kernel::KernelLock;
use crate::model::time::Wall;
use crate::platform::linux::change::{Name, Place};
use crate::platform::{Directory, Host, ProcessSweep};
use std::io;
use std::time::Duration;

/// This machine's processes, as far as markers need them.
struct Machine;

impl System for Machine {
    fn wall(&self) -> Wall {
        Wall::default().plus(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap())
    }
    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
    fn host(&self) -> Host {
        Host {
            name: "testhost".into(),
            machine_id: None,
            boot_id: Some(7),
            boot_floor: None,
            clock_step: None,
            pid_ns: Some(1),
            host_pid_ns: true,
            hidden_processes: false,
            uid: effective_uid(),
        }
    }
    fn file_system(&self, _mount: u64) -> FileSystem {
        FileSystem { name: "ext4".into(), network: false, shows_locks: true }
    }
    fn lock_device(&self, _mount: u64) -> Option<(u32, u32, bool)> {
        None
    }
    fn kernel_locks(&self) -> io::Result<Vec<KernelLock>> {
        Ok(Vec::new())
    }
    fn look_at(&self, pid: Pid) -> ProcessLook {
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return ProcessLook::NoSuchProcess };
        let fields: Vec<&str> = stat[stat.rfind(')').unwrap() + 2..].split(' ').collect();
        let facts = Box::new(ProcessFacts {
            pid,
            start_ticks: fields[19].parse().unwrap(),
            started_at: Wall(0),
            uids: [0; 4],
            user: None,
            comm: "test".into(),
            command: "test".into(),
            kernel_thread: false,
            inner_pid: None,
        });
        if fields[0] == "Z" { ProcessLook::Exited(facts) } else { ProcessLook::Running(facts) }
    }
    fn count_processes(&self) -> (u32, u32) {
        (0, 0)
    }
    fn sweep(&self) -> ProcessSweep {
        ProcessSweep::default()
    }
    fn open_paths(&self, _pid: Pid) -> Option<Vec<PathBuf>> {
        None
    }
    fn open_directory(&self, _path: &Path) -> io::Result<Box<dyn Directory>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// A directory with one lock, and a workplace beside it.
struct Scene {
    _base: Option<tempfile::TempDir>,
    dir: PathBuf,
    workplace: Workplace,
}

impl Scene {
    fn new() -> Self {
        let base = tempfile::tempdir().unwrap();
        let root = base.path().to_owned();
        Self { _base: Some(base), ..Self::at(&root, &root) }
    }

    fn at(root: &Path, locks: &Path) -> Self {
        let dir = locks.join("locks");
        std::fs::create_dir_all(&dir).unwrap();
        let workplace = Workplace {
            system: Arc::new(Machine),
            state_dir: root.join("state"),
            runtime_dir: root.join("run"),
            batch: None,
        };
        Self { _base: None, dir, workplace }
    }

    fn lock(&self) -> PathBuf {
        self.dir.join("x.lock")
    }

    fn make_lock(&self) -> u64 {
        std::fs::write(self.lock(), "999999\n").unwrap();
        ino(&self.lock())
    }

    fn permit(&self, consent: Consent, form: Form) -> Result<ClearPermit<'_>, Refusal> {
        let full = self.lock();
        let place = Place::open(&self.dir).unwrap();
        let mutex = mutex::DirectoryMutex::take(&self.workplace, &place).unwrap().unwrap();
        recovery::recover_place(&self.workplace, &place).unwrap();
        let pinned = Pinned::take(&place, Name::new(OsStr::new("x.lock")).unwrap()).unwrap();
        let pinned = pinned.ok_or_else(|| Refusal::Gone(full.clone()))?;
        Ok(ClearPermit::new(Grounds {
            workplace: &self.workplace,
            directory: self.dir.clone(),
            path: Box::from(OsStr::new("x.lock")),
            full,
            verdict: Verdict::Stale,
            why: "Owner PID 999999 is gone.".to_owned(),
            consent,
            form,
            pinned,
            place,
            _mutex: mutex,
        }))
    }

    fn clear_with(&self, steps: &dyn Steps) -> Result<Cleared, ClearError> {
        protocol_run(self.permit(Consent::Bulk, Form::Directory)?, steps)
    }

    /// Names that are neither a lock nor a quarantined one.
    fn leftovers(&self) -> Vec<String> {
        let names = std::fs::read_dir(&self.dir).unwrap().map(|entry| entry.unwrap().file_name());
        names.map(|name| name.to_string_lossy().into_owned()).filter(|name| name.starts_with(".lockscope-")).collect()
    }

    fn last(&self) -> Entry {
        self.workplace.journal().read().unwrap().pop().unwrap()
    }
}

use super::protocol::run as protocol_run;

fn ino(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::symlink_metadata(path).unwrap().ino()
}

/// Acts once, after one step.
struct At<'a>(Step, &'a dyn Fn());

impl Steps for At<'_> {
    fn after(&self, step: Step) {
        if step == self.0 {
            (self.1)();
        }
    }
}

struct Fault(Step, i32);

impl Steps for Fault {
    fn fault(&self, step: Step) -> Option<io::Error> {
        (step == self.0).then(|| io::Error::from_raw_os_error(self.1))
    }
}
