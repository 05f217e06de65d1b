//! The picture of one directory: locks by id and by path, kept up to date change by change.
//!
//! Owns: ids, chunks, counts, and what hangs on what (processes, inodes, times), so that a change costs as much as it
//! changes. Never: looks at a file itself.

use crate::model::facts::{Alike, OwnerState, ProcessRef, Users};
use crate::model::holder::{Pid, ProcessLook};
use crate::model::snapshot::{CHUNK, Counts, Lock, LockId, Moment};
use crate::model::time::Wall;
use hashbrown::{DefaultHashBuilder, HashTable};
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::ffi::OsStr;
use std::hash::BuildHasher as _;
use std::marker::PhantomData;
use std::sync::Arc;

/// Freed ids rest until so many have gathered, so that none is used again while somebody may still point to it.
const RESTING_IDS: usize = 1024;

type Chunks = Vec<Arc<Vec<Option<Arc<Lock>>>>>;

/// What locks are found by.
trait Key {
    fn hash(hasher: &DefaultHashBuilder, lock: &Lock) -> Option<u64>;
    fn same(one: &Lock, other: &Lock) -> bool;
}

#[derive(Debug, Default)]
struct ByPath;

impl Key for ByPath {
    fn hash(hasher: &DefaultHashBuilder, lock: &Lock) -> Option<u64> {
        Some(hasher.hash_one(lock.path.as_encoded_bytes()))
    }

    fn same(one: &Lock, other: &Lock) -> bool {
        one.path == other.path
    }
}

#[derive(Debug, Default)]
struct ByInode;

impl Key for ByInode {
    fn hash(hasher: &DefaultHashBuilder, lock: &Lock) -> Option<u64> {
        lock.facts.ino().map(|ino| hasher.hash_one(ino))
    }

    fn same(one: &Lock, other: &Lock) -> bool {
        one.facts.ino() == other.facts.ino()
    }
}

/// Ids by something that the locks themselves hold, so that it is not held twice; of several locks alike in it, the last.
/// A lock stands in its chunk, with that unchanged, for as long as its id is in here.
#[derive(Debug, Default)]
struct Index<K> {
    ids: HashTable<LockId>,
    hasher: DefaultHashBuilder,
    key: PhantomData<K>,
}

impl<K: Key> Index<K> {
    fn find(&self, hash: u64, is_it: impl Fn(LockId) -> bool) -> Option<LockId> {
        self.ids.find(hash, |id| is_it(*id)).copied()
    }

    /// Room for so many more.
    fn reserve(&mut self, more: usize, chunks: &Chunks) {
        let Self { ids, hasher, .. } = self;
        ids.reserve(more, |id| hash_of::<K>(hasher, chunks, *id));
    }

    /// Of one that no other is the same as.
    fn insert_unique(&mut self, hash: u64, chunks: &Chunks, id: LockId) {
        let Self { ids, hasher, .. } = self;
        ids.insert_unique(hash, id, |id| hash_of::<K>(hasher, chunks, *id));
    }

    fn insert(&mut self, chunks: &Chunks, lock: &Lock) {
        let Self { ids, hasher, .. } = self;
        let Some(hash) = K::hash(hasher, lock) else { return };
        if let Some(same) = ids.find_mut(hash, |id| slot(chunks, *id).is_some_and(|other| K::same(lock, other))) {
            *same = lock.id;
            return;
        }
        self.insert_unique(hash, chunks, lock.id);
    }

    fn remove(&mut self, lock: &Lock) {
        if let Some(hash) = K::hash(&self.hasher, lock)
            && let Ok(found) = self.ids.find_entry(hash, |id| *id == lock.id)
        {
            found.remove();
        }
    }
}

/// Of one that stands in its chunk.
fn hash_of<K: Key>(hasher: &DefaultHashBuilder, chunks: &Chunks, id: LockId) -> u64 {
    slot(chunks, id).and_then(|lock| K::hash(hasher, lock)).unwrap_or(0)
}

fn slot(chunks: &Chunks, id: LockId) -> Option<&Arc<Lock>> {
    let at = id.0 as usize;
    chunks.get(at / CHUNK)?.get(at % CHUNK)?.as_ref()
}

/// A lock, and when time alone may change its verdict; in the order of that time, and in twelve bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct DueLock {
    seconds: i32,
    nanos: u32,
    id: LockId,
}

impl DueLock {
    /// Beyond what 32 bits of seconds reach the times are not told apart: no clock gets there while we run.
    fn new(at: Wall, id: LockId) -> Self {
        let (seconds, nanos) = (at.secs(), at.0.rem_euclid(1_000_000_000) as u32);
        match i32::try_from(seconds) {
            Ok(seconds) => Self { seconds, nanos, id },
            Err(_) if seconds < 0 => Self { seconds: i32::MIN, nanos: 0, id },
            Err(_) => Self { seconds: i32::MAX, nanos: 0, id },
        }
    }

    fn at(self) -> Wall {
        Wall::from_parts(i64::from(self.seconds), self.nanos)
    }
}

#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) chunks: Chunks,
    pub(super) counts: Counts,
    by_path: Index<ByPath>,
    free: VecDeque<LockId>,
    next: u32,
    /// Locks whose verdict hangs on a process that was there, with its start.
    by_pid: HashMap<Pid, (Option<u64>, HashSet<LockId>)>,
    /// Locks by inode, to find who a line of the kernel's table speaks of.
    by_ino: Index<ByInode>,
    /// Locks on which the kernel's table had something, or on a deleted file of their name.
    pub(super) kernel_locked: HashSet<LockId>,
    /// Locks whose verdict hangs on who has the file open.
    pub(super) asks_users: HashSet<LockId>,
    alike: Alike,
    /// When time alone may change a verdict.
    due: BTreeSet<DueLock>,
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
        slot(&self.chunks, id)
    }

    pub(super) fn id_of(&self, path: &OsStr) -> Option<LockId> {
        self.id_named(path.as_encoded_bytes())
    }

    /// The same, of a path as its bytes.
    pub(super) fn id_named(&self, path: &[u8]) -> Option<LockId> {
        self.id_hashed(self.by_path.hasher.hash_one(path), path)
    }

    fn id_hashed(&self, hash: u64, path: &[u8]) -> Option<LockId> {
        let has_it = |lock: &Arc<Lock>| lock.path.as_encoded_bytes() == path;
        self.by_path.find(hash, |id| self.get(id).is_some_and(has_it))
    }

    pub(super) fn by_ino(&self, ino: u64) -> Option<LockId> {
        let has_it = |lock: &Arc<Lock>| lock.facts.ino() == Some(ino);
        self.by_ino.find(self.by_ino.hasher.hash_one(ino), |id| self.get(id).is_some_and(has_it))
    }

    pub(super) fn locks(&self) -> impl Iterator<Item = &Arc<Lock>> {
        self.chunks.iter().flat_map(|chunk| chunk.iter().flatten())
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &OsStr> {
        self.locks().map(|lock| &*lock.path)
    }

    /// An id for a path that may be new.
    pub(super) fn id_for(&mut self, path: &OsStr) -> LockId {
        self.id_of(path).unwrap_or_else(|| self.new_id())
    }

    fn new_id(&mut self) -> LockId {
        if self.free.len() > RESTING_IDS
            && let Some(id) = self.free.pop_front()
        {
            return id;
        }
        self.next += 1;
        LockId(self.next - 1)
    }

    /// Room for so many more locks.
    pub(super) fn reserve(&mut self, more: usize) {
        self.by_path.reserve(more, &self.chunks);
        self.by_ino.reserve(more, &self.chunks);
    }

    /// Puts a lock in that is new, as far as the caller knows; its id is given here.
    pub(super) fn add(&mut self, mut lock: Lock) {
        let path = lock.path.as_encoded_bytes();
        let hash = self.by_path.hasher.hash_one(path);
        if let Some(id) = self.id_hashed(hash, path) {
            // A directory that is being changed may give a name twice.
            lock.id = id;
            self.put(lock);
            return;
        }
        lock.id = self.new_id();
        let lock = self.stand(lock);
        self.by_path.insert_unique(hash, &self.chunks, lock.id);
        self.link_all_else(&lock);
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
        let lock = self.stand(lock);
        self.by_path.insert(&self.chunks, &lock);
        self.link_all_else(&lock);
        seen
    }

    /// Puts it in its chunk, with what it has in common with others.
    fn stand(&mut self, mut lock: Lock) -> Arc<Lock> {
        self.alike.share(&mut lock.facts);
        let lock = Arc::new(lock);
        *self.slot(lock.id) = Some(Arc::clone(&lock));
        lock
    }

    /// Takes out what is not there any more.
    pub(super) fn remove(&mut self, path: &OsStr) -> Option<Arc<Lock>> {
        let id = self.id_of(path)?;
        let old = self.get(id).cloned()?;
        self.unlink(&old);
        *self.slot(id) = None;
        self.free.push_back(id);
        Some(old)
    }

    /// Judges anew what time has changed by `now`; all of it if `all`. Tells whether anything did.
    pub(super) fn rejudge(&mut self, moment: &Moment<'_>, all: bool) -> bool {
        let ids: Vec<LockId> = if all {
            self.locks().map(|lock| lock.id).collect()
        } else {
            self.due.iter().take_while(|due| due.at() <= moment.now).map(|due| due.id).collect()
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
        let due = self.due.iter().take_while(move |due| due.at() <= now).map(|due| due.id);
        due.filter(|id| self.get(*id).is_some_and(|lock| lock.facts.beat().is_some()))
    }

    /// When time alone may next change a verdict.
    pub(super) fn next_due(&self) -> Option<Wall> {
        self.due.first().map(|due| due.at())
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

    /// All by which it is found but its path.
    fn link_all_else(&mut self, lock: &Lock) {
        self.counts.add(lock.judgement.verdict);
        for (pid, start_ticks) in depends_on(lock) {
            let (known, ids) = self.by_pid.entry(pid).or_default();
            *known = start_ticks;
            ids.insert(lock.id);
        }
        self.by_ino.insert(&self.chunks, lock);
        if lock.facts.kernel().is_some() || lock.facts.danger().is_some() {
            self.kernel_locked.insert(lock.id);
        }
        if matches!(lock.facts.users(), Users::Looked { .. }) {
            self.asks_users.insert(lock.id);
        }
        if let Some(due) = lock.judgement.due.at() {
            self.due.insert(DueLock::new(due, lock.id));
        }
    }

    fn unlink(&mut self, lock: &Lock) {
        self.counts.remove(lock.judgement.verdict);
        self.by_path.remove(lock);
        for (pid, _) in depends_on(lock) {
            if let Some((_, ids)) = self.by_pid.get_mut(&pid) {
                ids.remove(&lock.id);
                if ids.is_empty() {
                    self.by_pid.remove(&pid);
                }
            }
        }
        self.by_ino.remove(lock);
        self.kernel_locked.remove(&lock.id);
        self.asks_users.remove(&lock.id);
        if let Some(due) = lock.judgement.due.at() {
            self.due.remove(&DueLock::new(due, lock.id));
        }
    }
}

/// The processes on whose life a lock's verdict hangs. Of the dead ones nothing more can come but a reused number, and
/// that the slow pass sees.
fn depends_on(lock: &Lock) -> Vec<(Pid, Option<u64>)> {
    let mut processes = Vec::new();
    if let OwnerState::Looked(look) = lock.facts.owner()
        && let Some(pid) = lock.facts.reading().record().and_then(|record| record.pid)
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
    if let Some(kernel) = lock.facts.kernel() {
        add(&kernel.holders);
        add(&kernel.waiters);
    }
    add(lock.facts.split_holders());
    if let Users::Looked { open, works, .. } = lock.facts.users() {
        add(open);
        add(works.as_slice());
    }
    processes
}
