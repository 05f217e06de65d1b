//! The picture of one directory: locks by id and by path, kept up to date change by change.
//!
//! Owns: ids, chunks, counts, and what hangs on what (processes, inodes, times), so that a change costs as much as it
//! changes. Never: looks at a file itself.

use crate::model::facts::{OwnerState, ProcessRef, Users};
use crate::model::holder::{Pid, ProcessLook};
use crate::model::snapshot::{CHUNK, Counts, Lock, LockId, Moment};
use crate::model::time::Wall;
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::sync::Arc;

/// Freed ids rest until so many have gathered, so that none is used again while somebody may still point to it.
const RESTING_IDS: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) chunks: Vec<Arc<Vec<Option<Arc<Lock>>>>>,
    pub(super) counts: Counts,
    by_path: HashMap<OsString, LockId>,
    free: VecDeque<LockId>,
    next: u32,
    /// Locks whose verdict hangs on a process that was there, with its start.
    by_pid: HashMap<Pid, (Option<u64>, HashSet<LockId>)>,
    /// Locks by inode, to find who a line of the kernel's table speaks of.
    by_ino: HashMap<u64, LockId>,
    /// Locks on which the kernel's table had something, or on a deleted file of their name.
    pub(super) kernel_locked: HashSet<LockId>,
    /// Locks whose verdict hangs on who has the file open.
    pub(super) asks_users: HashSet<LockId>,
    /// When time alone may change a verdict.
    due: BTreeSet<(Wall, LockId)>,
}

impl Store {
    /// A store whose ids begin after those of an earlier one, so that nobody mistakes one lock for another.
    pub(super) fn after(earlier: u32) -> Self {
        Self { next: earlier, ..Self::default() }
    }

    /// The first id that was never given out.
    pub(super) fn next_id(&self) -> u32 {
        self.next
    }

    pub(super) fn get(&self, id: LockId) -> Option<&Arc<Lock>> {
        let at = id.0 as usize;
        self.chunks.get(at / CHUNK)?.get(at % CHUNK)?.as_ref()
    }

    pub(super) fn id_of(&self, path: &OsStr) -> Option<LockId> {
        self.by_path.get(path).copied()
    }

    pub(super) fn by_ino(&self, ino: u64) -> Option<LockId> {
        self.by_ino.get(&ino).copied()
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &OsString> {
        self.by_path.keys()
    }

    /// An id for a path that may be new.
    pub(super) fn id_for(&mut self, path: &OsStr) -> LockId {
        if let Some(id) = self.id_of(path) {
            return id;
        }
        if self.free.len() > RESTING_IDS
            && let Some(id) = self.free.pop_front()
        {
            return id;
        }
        self.next += 1;
        LockId(self.next - 1)
    }

    /// Puts a lock in its place; tells whether anything changed that a person could see.
    pub(super) fn put(&mut self, lock: Lock) -> bool {
        let id = lock.id;
        let old = self.get(id).cloned();
        if let Some(old) = &old {
            // A later due time alone is nothing to see, but the schedule must know it.
            if **old == lock {
                return false;
            }
            self.unlink(old);
        }
        let seen = old.is_none_or(|old| {
            let mut same = Lock::clone(&old);
            same.judgement.due = lock.judgement.due;
            same != lock
        });
        self.link(&lock);
        self.by_path.insert(lock.path.to_os_string(), id);
        let slot = self.slot(id);
        *slot = Some(Arc::new(lock));
        seen
    }

    /// Takes out what is not there any more.
    pub(super) fn remove(&mut self, path: &OsStr) -> Option<Arc<Lock>> {
        let id = self.by_path.remove(path)?;
        let old = self.slot(id).take()?;
        self.unlink(&old);
        self.free.push_back(id);
        Some(old)
    }

    /// Judges anew what time has changed by `now`; all of it if `all`. Tells whether anything did.
    pub(super) fn rejudge(&mut self, moment: &Moment<'_>, all: bool) -> bool {
        let ids: Vec<LockId> = if all {
            self.by_path.values().copied().collect()
        } else {
            self.due.iter().take_while(|(due, _)| *due <= moment.now).map(|(_, id)| *id).collect()
        };
        let mut changed = false;
        for id in ids {
            let Some(lock) = self.get(id) else { continue };
            let mut lock = Lock::clone(lock);
            if lock.rejudge(moment) {
                changed |= self.put(lock);
            }
        }
        changed
    }

    /// Heartbeat locks whose next beat was due by `now`.
    pub(super) fn beats_due(&self, now: Wall) -> impl Iterator<Item = LockId> {
        let due = self.due.iter().take_while(move |(due, _)| *due <= now).map(|(_, id)| *id);
        due.filter(|id| self.get(*id).is_some_and(|lock| lock.facts.beat.is_some()))
    }

    /// When time alone may next change a verdict.
    pub(super) fn next_due(&self) -> Option<Wall> {
        self.due.first().map(|(due, _)| *due)
    }

    /// The processes that verdicts hang on, with their incarnation where that was seen.
    pub(super) fn processes(&self) -> impl Iterator<Item = (Pid, Option<u64>)> {
        self.by_pid.iter().map(|(pid, (start_ticks, _))| (*pid, *start_ticks))
    }

    /// The locks whose verdict hangs on a process.
    pub(super) fn locks_of(&self, pid: Pid) -> impl Iterator<Item = LockId> {
        self.by_pid.get(&pid).into_iter().flat_map(|(_, ids)| ids).copied()
    }

    fn slot(&mut self, id: LockId) -> &mut Option<Arc<Lock>> {
        let (chunk, at) = (id.0 as usize / CHUNK, id.0 as usize % CHUNK);
        while self.chunks.len() <= chunk {
            self.chunks.push(Arc::default());
        }
        // A chunk that a published snapshot shares is copied here, once a publication.
        let chunk = Arc::make_mut(&mut self.chunks[chunk]);
        if chunk.len() <= at {
            chunk.resize(at + 1, None);
        }
        &mut chunk[at]
    }

    fn link(&mut self, lock: &Lock) {
        self.counts.add(lock.judgement.verdict);
        for (pid, start_ticks) in depends_on(lock) {
            let (known, ids) = self.by_pid.entry(pid).or_default();
            *known = start_ticks;
            ids.insert(lock.id);
        }
        if let Some(stat) = &lock.facts.stat {
            self.by_ino.insert(stat.ino, lock.id);
        }
        if lock.facts.kernel.is_some() || lock.facts.danger.is_some() {
            self.kernel_locked.insert(lock.id);
        }
        if matches!(lock.facts.users, Users::Looked { .. }) {
            self.asks_users.insert(lock.id);
        }
        if let Some(due) = lock.judgement.due {
            self.due.insert((due, lock.id));
        }
    }

    fn unlink(&mut self, lock: &Lock) {
        self.counts.remove(lock.judgement.verdict);
        for (pid, _) in depends_on(lock) {
            if let Some((_, ids)) = self.by_pid.get_mut(&pid) {
                ids.remove(&lock.id);
                if ids.is_empty() {
                    self.by_pid.remove(&pid);
                }
            }
        }
        if let Some(stat) = &lock.facts.stat
            && self.by_ino.get(&stat.ino) == Some(&lock.id)
        {
            self.by_ino.remove(&stat.ino);
        }
        self.kernel_locked.remove(&lock.id);
        self.asks_users.remove(&lock.id);
        if let Some(due) = lock.judgement.due {
            self.due.remove(&(due, lock.id));
        }
    }
}

/// The processes on whose life a lock's verdict hangs. Of the dead ones nothing more can come but a reused number, and
/// that the slow pass sees.
fn depends_on(lock: &Lock) -> Vec<(Pid, Option<u64>)> {
    let mut processes = Vec::new();
    if let OwnerState::Looked(look) = &lock.facts.owner
        && let Some(pid) = lock.facts.reading.record().and_then(|record| record.pid)
    {
        match look.as_ref() {
            ProcessLook::Running(facts) => processes.push((pid, Some(facts.incarnation()))),
            ProcessLook::Hidden | ProcessLook::Unknown(_) => processes.push((pid, None)),
            ProcessLook::NoSuchProcess | ProcessLook::Exited(_) => {}
        }
    }
    let mut add = |seen: &[ProcessRef]| {
        processes.extend(seen.iter().map(|p| (p.pid, p.facts.as_ref().map(|facts| facts.incarnation()))));
    };
    if let Some(kernel) = &lock.facts.kernel {
        add(&kernel.holders);
        add(&kernel.waiters);
    }
    add(&lock.facts.split_holders);
    if let Users::Looked { open, works, .. } = &lock.facts.users {
        add(open);
        add(works.as_slice());
    }
    processes
}
