//! The kernel's lock table, joined with files and processes.
//!
//! The table decides *whether* a file is locked. Open files are asked only where it leaves open by *whom*: the taker has
//! exited and a child holds on, or the lock belongs to an open file description (OFD, PID -1).

use super::evidence::Looker;
use crate::model::facts::{FileStat, KernelState, LockedRange, ProcessRef, Taker};
use crate::model::holder::{Pid, ProcessLook};
use crate::model::kernel::{KernelFile, KernelLock, LockKind};
use crate::platform::kernel_file;
use hashbrown::{HashMap, HashSet};

/// The kernel's locks by file.
#[derive(Debug, Default)]
pub(super) struct Table {
    by_file: HashMap<KernelFile, Vec<KernelLock>>,
    inodes: HashSet<u64>,
    by_taker: HashMap<Pid, usize>,
    /// Leases are no holds, and are kept apart.
    leases: HashMap<KernelFile, Vec<KernelLock>>,
}

impl Table {
    pub(super) fn of(locks: Vec<KernelLock>) -> Self {
        let mut table = Self::default();
        for lock in locks {
            if lock.kind == LockKind::Lease {
                table.leases.entry(lock.file).or_default().push(lock);
                continue;
            }
            table.inodes.insert(lock.file.ino);
            if let Some(pid) = lock.pid {
                *table.by_taker.entry(pid).or_default() += 1;
            }
            table.by_file.entry(lock.file).or_default().push(lock);
        }
        table
    }

    pub(super) fn inodes(&self) -> impl Iterator<Item = u64> {
        self.inodes.iter().copied()
    }

    fn count_by(&self, taker: Pid) -> usize {
        self.by_taker.get(&taker).copied().unwrap_or_default()
    }

    /// All locks on the files of one device.
    pub(super) fn on_device(&self, major: u32, minor: u32) -> impl Iterator<Item = &KernelLock> {
        let of_it = move |file: &KernelFile| (file.major, file.minor) == (major, minor);
        self.by_file.iter().filter(move |(file, _)| of_it(file)).flat_map(|(_, locks)| locks)
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
            state.ranges.push(LockedRange {
                kind: lock.kind,
                exclusive: lock.exclusive,
                start: lock.start,
                end: lock.end,
            });
            let running = lock.pid.filter(|pid| self.is_running(*pid));
            match running {
                Some(pid) if self.may_carry(pid, stat) => add(&mut state.holders, self.reference(pid)),
                _ => {
                    let taker = lock.pid.map(|pid| Taker { pid, exited: running.is_none() });
                    state.taken_by = state.taken_by.or(taker);
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

    /// Who has a lease on this file.
    pub(super) fn leases(&self, stat: &FileStat) -> Box<[ProcessRef]> {
        if self.table.leases.is_empty() {
            return Box::default();
        }
        let Some((major, minor, _)) = self.lock_device(stat.mount) else { return Box::default() };
        let leases = self.table.leases.get(&kernel_file((major, minor), stat.ino));
        leases.into_iter().flatten().filter_map(|lease| lease.pid).map(|pid| self.reference(pid)).collect()
    }

    /// Whether the taker that the table names can be the holder: it may have passed the lock on, or have exited and its
    /// number be another's by now. Not asked of who took very many: a number that was used again took none of them.
    fn may_carry(&self, pid: Pid, stat: &FileStat) -> bool {
        const MANY: usize = 16;
        if self.table.count_by(pid) > MANY {
            return true;
        }
        let mut known = self.carried.borrow_mut();
        let carried = known.entry(pid).or_insert_with(|| self.system.locked_files(pid));
        carried.as_ref().is_none_or(|files| files.contains(&stat.ino))
    }

    pub(super) fn is_running(&self, pid: Pid) -> bool {
        matches!(*self.process(pid), ProcessLook::Running(_) | ProcessLook::Hidden)
    }

    /// The processes with an open file that carries this lock.
    fn carriers(&self, stat: &FileStat, lock: &KernelLock) -> Vec<Pid> {
        let same = self.sweep().with_inode(stat.ino).filter(|file| self.same_device(file.mount, stat.mount));
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
