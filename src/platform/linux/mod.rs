//! Linux: `/proc`, `statx`, `pidfd`.
//!
//! Owns: the [`System`] of a Linux machine. Never: takes a lock to find out about locks (a probe would make another
//! program's try-lock fail), and never follows a link out of a directory.

pub mod change;
#[cfg(feature = "cli")]
pub mod child;
mod directory;
mod ending;
pub mod events;
mod guard;
mod host;
#[cfg(feature = "cli")]
pub mod interrupt;
mod lock_table;
mod machine;
mod mounts;
mod processes;
mod scout;

use super::{Directory, Ending, EndingError, Host, NamedFiles, ProcessPin, ProcessState, ProcessSweep, System};
use crate::model::facts::FileSystem;
use crate::model::holder::{Pid, ProcessFacts, ProcessLook};
use crate::model::kernel::{KernelLock, TableLine};
use crate::model::time::Wall;
use std::io;
use std::path::Path;
use std::time::Duration;

/// This machine.
#[derive(Debug, Default)]
pub struct Linux {
    users: processes::UserNames,
}

impl System for Linux {
    fn wall(&self) -> Wall {
        host::wall()
    }

    fn monotonic(&self) -> Duration {
        host::since_boot()
    }

    fn host(&self) -> Host {
        host::host()
    }

    fn file_system(&self, mount: u64) -> FileSystem {
        mounts::read().iter().find(|known| known.id == mount).map_or_else(
            || FileSystem { name: "an unknown file system".into(), network: true, shows_locks: false },
            mounts::Mount::file_system,
        )
    }

    fn lock_device(&self, mount: u64) -> Option<(u32, u32, bool)> {
        let mounts = mounts::read();
        mounts.iter().find(|known| known.id == mount).map(|mount| (mount.major, mount.minor, mount.kind == "btrfs"))
    }

    fn kernel_locks(&self) -> io::Result<Vec<KernelLock>> {
        lock_table::read()
    }

    fn look_at(&self, pid: Pid) -> ProcessLook {
        processes::look_at(pid, &self.users)
    }

    fn user_name(&self, uid: u32) -> Option<String> {
        self.users.known(uid)
    }

    fn count_processes(&self) -> (u32, u32) {
        processes::count()
    }

    fn sweep(&self) -> ProcessSweep {
        processes::sweep(&self.users)
    }

    fn open_paths(&self, pid: Pid) -> Option<Vec<std::path::PathBuf>> {
        processes::open_paths(pid)
    }

    fn locked_files(&self, pid: Pid) -> Option<std::collections::HashSet<u64>> {
        processes::locked_files(pid)
    }

    fn locked_paths(&self, pid: Pid) -> Option<Vec<std::path::PathBuf>> {
        processes::locked_paths(pid)
    }

    fn children(&self, pid: Pid) -> Vec<Pid> {
        ending::children(pid)
    }

    fn pin_process(&self, process: &ProcessFacts) -> Option<ProcessPin> {
        ending::pin(process, &self.users)
    }

    fn terminate(&self, process: &ProcessFacts, patience: Duration) -> Result<Ending, EndingError> {
        ending::terminate(process, &self.users, patience)
    }

    fn deleted_locked_files(&self, pid: Pid) -> Option<Vec<(std::path::PathBuf, super::OpenFile)>> {
        processes::deleted_locked_files(pid)
    }

    fn kernel_table(&self) -> io::Result<(Vec<TableLine>, usize)> {
        lock_table::read_table()
    }

    fn named_files(&self, inodes: &std::collections::HashSet<u64>) -> NamedFiles {
        machine::named_files(inodes)
    }

    fn process_state(&self, pid: Pid) -> Option<ProcessState> {
        machine::process_state(pid)
    }

    fn mount_point(&self, device: (u32, u32)) -> Option<std::path::PathBuf> {
        mounts::read().iter().find(|mount| (mount.major, mount.minor) == device).map(|mount| mount.point.clone())
    }

    fn open_directory(&self, path: &Path) -> io::Result<Box<dyn Directory>> {
        guard::open_directory(path)
    }
}
