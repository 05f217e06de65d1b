//! Elsewhere than on Linux: what `std`, sysinfo and a few POSIX calls tell, and "cannot know" for the rest.
//!
//! Owns: the [`System`] of a machine whose kernel shows neither its locks nor who has a file open. Never: guesses. What
//! is not seen is an error, `None`, or [`ProcessLook::Unknown`], each of which keeps a lock from counting as free.

#[cfg(all(feature = "cli", not(target_os = "linux")))]
pub mod child;
mod directory;
pub mod events;
pub mod own;
mod processes;
mod volumes;

use super::{Directory, Host, ProcessSweep, System, environment};
use crate::model::facts::FileSystem;
use crate::model::holder::{Pid, ProcessLook};
use crate::model::kernel::KernelLock;
use crate::model::time::Wall;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// What a PID in a record says here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbering {
    /// All processes have numbers of one kind, and all are listed: one that is not listed does not exist.
    One,
    /// Some programs write numbers of their own kind (Cygwin, Git Bash, WSL): one that is not listed may be such.
    Several,
    /// There are namespaces, and which one we are in is not known: no number says anything.
    Namespaces,
}

impl Numbering {
    /// On the system that this is built for.
    pub const HERE: Self = if cfg!(target_os = "macos") {
        Self::One
    } else if cfg!(windows) {
        Self::Several
    } else {
        Self::Namespaces
    };
}

/// This machine.
#[derive(Debug)]
pub struct Portable {
    numbering: Numbering,
    volumes: Arc<volumes::Volumes>,
}

impl Default for Portable {
    fn default() -> Self {
        Self::with(Numbering::HERE)
    }
}

impl Portable {
    /// As on a system with that numbering: so that it can be tested on another.
    pub fn with(numbering: Numbering) -> Self {
        Self { numbering, volumes: Arc::default() }
    }
}

#[cfg(unix)]
fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn own_uid() -> u32 {
    super::NO_USER
}

impl System for Portable {
    fn wall(&self) -> Wall {
        environment::wall()
    }

    /// Counts from when it was first asked. It may stand still during suspend, so that spans come out too short: on it
    /// rest only waits.
    fn monotonic(&self) -> Duration {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed()
    }

    fn host(&self) -> Host {
        Host {
            // Without a name of ours every record with a host is from elsewhere.
            name: sysinfo::System::host_name().unwrap_or_default().into(),
            machine_id: None,
            boot_id: None,
            boot_floor: None,
            clock_step: None,
            pid_ns: None,
            host_pid_ns: self.numbering != Numbering::Namespaces,
            hidden_processes: self.numbering == Numbering::Namespaces,
            uid: own_uid(),
        }
    }

    fn file_system(&self, mount: u64) -> FileSystem {
        self.volumes.file_system(mount)
    }

    fn lock_device(&self, _mount: u64) -> Option<(u32, u32, bool)> {
        None
    }

    fn kernel_locks(&self) -> io::Result<Vec<KernelLock>> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "this system does not show its kernel locks"))
    }

    fn look_at(&self, pid: Pid) -> ProcessLook {
        processes::look_at(pid, self.numbering)
    }

    fn count_processes(&self) -> (u32, u32) {
        let count = processes::count();
        (count, count)
    }

    fn sweep(&self) -> ProcessSweep {
        processes::sweep()
    }

    fn open_paths(&self, _pid: Pid) -> Option<Vec<PathBuf>> {
        None
    }

    fn open_directory(&self, path: &Path) -> io::Result<Box<dyn Directory>> {
        Ok(Box::new(directory::PortableDirectory::open(path, &self.volumes)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_known_is_not_claimed() {
        let system = Portable::default();
        assert_eq!(system.kernel_locks().unwrap_err().kind(), io::ErrorKind::Unsupported);
        assert_eq!((system.lock_device(1), system.open_paths(Pid::new(1).unwrap())), (None, None));
        let host = system.host();
        assert_eq!((host.boot_id, host.boot_floor, host.clock_step, host.pid_ns), (None, None, None, None));
        assert!(!host.name.is_empty());
        let (all, denied) = system.count_processes();
        assert!(all > 0 && all == denied, "no process shows its open files: {all} {denied}");
        assert!(!system.file_system(0).shows_locks);
    }

    #[test]
    fn clocks_go_forward() {
        let system = Portable::default();
        let (wall, monotonic) = (system.wall(), system.monotonic());
        assert!(system.wall() >= wall && system.monotonic() >= monotonic);
    }

    #[test]
    fn only_one_numbering_sees_all() {
        for (numbering, sees) in [(Numbering::One, true), (Numbering::Several, true), (Numbering::Namespaces, false)] {
            let host = Portable::with(numbering).host();
            assert_eq!((host.host_pid_ns, host.hidden_processes), (sees, !sees), "{numbering:?}");
        }
    }
}
