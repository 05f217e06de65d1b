//! The kernel's lock table, joined with files and processes.
//!
//! The table decides *whether* a file is locked. Open files are asked only where it leaves open by *whom*: the taker has
//! exited and a child holds on, or the lock belongs to an open file description (OFD, PID -1).

use super::evidence::Looker;
use crate::model::facts::{FileStat, KernelState, LockedRange, ProcessRef};
use crate::model::holder::{Pid, ProcessLook};
use crate::model::kernel::{KernelFile, KernelLock};
use crate::platform::kernel_file;
use std::collections::{HashMap, HashSet};

/// The kernel's locks by file.
#[derive(Debug, Default)]
pub(super) struct Table {
    by_file: HashMap<KernelFile, Vec<KernelLock>>,
    inodes: HashSet<u64>,
}

impl Table {
    pub(super) fn of(locks: Vec<KernelLock>) -> Self {
        let mut table = Self::default();
        for lock in locks {
            table.inodes.insert(lock.file.ino);
            table.by_file.entry(lock.file).or_default().push(lock);
        }
        table
    }

    pub(super) fn inodes(&self) -> impl Iterator<Item = u64> {
        self.inodes.iter().copied()
    }

    /// Whether some file with this inode number carries a lock: a hint that costs nothing.
    pub(super) fn may_lock(&self, ino: u64) -> bool {
        self.inodes.contains(&ino)
    }
}

impl Looker {
    /// The kernel's locks on this file; `None` = none that we can see.
    pub(super) fn kernel_state(&self, stat: &FileStat) -> Option<Box<KernelState>> {
        if !self.table.may_lock(stat.ino) {
            return None;
        }
        let (major, minor, shared_number) = self.lock_device(stat.mount)?;
        let file = kernel_file((major, minor), stat.ino);
        let locks = self.table.by_file.get(&file)?;
        let mut state = KernelState::default();
        for lock in locks.iter().filter(|lock| !lock.waiting) {
            state.kind.get_or_insert(lock.kind);
            state.ranges.push(LockedRange { exclusive: lock.exclusive, start: lock.start, end: lock.end });
            match lock.pid.map(|pid| (pid, self.process(pid))) {
                Some((pid, look)) if matches!(*look, ProcessLook::Running(_) | ProcessLook::Hidden) => {
                    add(&mut state.holders, self.reference(pid));
                }
                taker => {
                    state.taken_by_exited = state.taken_by_exited.or(taker.map(|(pid, _)| pid));
                    for pid in self.carriers(stat, lock) {
                        add(&mut state.holders, self.reference(pid));
                    }
                }
            }
        }
        for pid in locks.iter().filter(|lock| lock.waiting).filter_map(|lock| lock.pid) {
            add(&mut state.waiters, self.reference(pid));
        }
        if shared_number && state.is_granted() {
            state.ambiguous = !locks.iter().any(|lock| !self.carriers(stat, lock).is_empty());
        }
        Some(Box::new(state))
    }

    /// The processes with an open file that carries this lock.
    fn carriers(&self, stat: &FileStat, lock: &KernelLock) -> Vec<Pid> {
        let files = self.sweep().open_files.iter();
        let same = files.filter(|file| file.ino == stat.ino && self.same_device(file.mount, stat.mount));
        same.filter(|file| {
            file.locks.iter().any(|carried| carried.kind == lock.kind && carried.file.ino == lock.file.ino)
        })
        .map(|file| file.pid)
        .collect()
    }
}

fn add(processes: &mut Vec<ProcessRef>, process: ProcessRef) {
    if !processes.iter().any(|known| known.pid == process.pid) {
        processes.push(process);
    }
}
