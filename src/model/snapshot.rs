//! What is shown: one directory's locks at one moment, immutable and shared.
//!
//! Owns: [`Lock`], [`Snapshot`], [`Counts`]. Entries live in chunks, so that publishing one change among 100,000 copies
//! one chunk and not all of them. Never: changes after it was published.

use super::checklist::{self, Fact};
use super::facts::{Facts, ProcessRef, Sight, Users};
use super::holder::{HeldBy, Liveness};
use super::naming::Naming;
use super::sentence;
use super::time::Wall;
use super::verdict::{Clearing, Evidence, Judgement, Verdict, judge};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A lock's place in the store: stays the same for as long as the path is there, and is not used again in a session
/// while anything may still point to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LockId(pub u32);

/// One listed file.
#[derive(Clone, Debug, PartialEq)]
pub struct Lock {
    /// Where it stands in the store.
    pub id: LockId,
    /// Path relative to the directory, as the file system has it.
    pub path: Box<OsStr>,
    /// Group and key, as ranges of the path.
    pub naming: Naming,
    /// What was seen.
    pub facts: Facts,
    /// What follows from it.
    pub judgement: Judgement,
    /// When its evidence was gathered.
    pub looked_at: LookedAt,
}

/// When a lock was looked at. All are equal: to look again and find the same is no change.
#[derive(Clone, Copy, Debug)]
pub struct LookedAt(pub Wall);

impl PartialEq for LookedAt {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Lock {
    /// The path as text: invalid bytes as U+FFFD. For showing; acting uses [`Lock::path`].
    pub fn display_path(&self) -> std::borrow::Cow<'_, str> {
        self.path.to_string_lossy()
    }

    /// The group that the name gives; empty = none.
    pub fn group(&self) -> String {
        String::from_utf8_lossy(self.naming.group(self.path.as_encoded_bytes())).into_owned()
    }

    /// The key that the name gives; empty = the group's main lock.
    pub fn key(&self) -> String {
        String::from_utf8_lossy(self.naming.key(self.path.as_encoded_bytes())).into_owned()
    }

    /// `stale` alone sets the stale flag.
    pub fn is_stale(&self) -> bool {
        self.judgement.verdict == Verdict::Stale
    }

    /// What may be done about it. The one place that says so: window, command line, sweep and the clear itself go by it.
    pub fn clearing(&self) -> Clearing {
        match self.judgement.verdict.clearing() {
            Clearing::Bulk | Clearing::ByName if self.facts.reading().format.unlocker.is_some() => Clearing::ByItsTool,
            other => other,
        }
    }

    /// Whether it can be cleared without force.
    pub fn is_clearable(&self) -> bool {
        matches!(self.clearing(), Clearing::Bulk | Clearing::ByName | Clearing::Repair)
    }

    /// Which command clears it instead of us; `None` where its tool has none, or it is not to be cleared at all.
    pub fn own_way(&self) -> Option<String> {
        (self.clearing() == Clearing::ByItsTool).then(|| self.facts.reading().format.own_way()).flatten()
    }

    /// Whether it may be cleared together with others: stale, and ours to take a lease on (its owner's, or root's).
    pub fn is_bulk_clearable(&self, sight: &Sight) -> bool {
        let ours = self.facts.stat().is_some_and(|stat| sight.uid == 0 || stat.uid == sight.uid);
        sight.can_clear() && self.clearing() == Clearing::Bulk && ours
    }

    /// The process that holds it, of several the first; `None` where nobody does or it cannot be named.
    pub fn holder(&self) -> Option<(ProcessRef, HeldBy)> {
        if self.judgement.verdict != Verdict::Held {
            return None;
        }
        if let Some(kernel) = self.facts.kernel().filter(|k| k.is_granted()) {
            return kernel.holders.first().cloned().map(|process| (process, HeldBy::Kernel));
        }
        if matches!(self.judgement.row, 12 | 17 | 18 | 23) {
            return self.owner_process().map(|process| (process, HeldBy::Record));
        }
        match self.facts.users() {
            Users::Looked { open, works, .. } => {
                open.first().or(works.as_ref()).cloned().map(|process| (process, HeldBy::OpenFile))
            }
            Users::NotLooked => None,
        }
    }

    /// The process that the record names, with what was seen of it.
    pub fn owner_process(&self) -> Option<ProcessRef> {
        use super::facts::OwnerState;
        use super::holder::ProcessLook;
        let pid = self.facts.reading().record()?.pid?;
        let facts = match self.facts.owner() {
            OwnerState::Looked(look) => match look.as_ref() {
                ProcessLook::Running(process) => Some(Arc::new((**process).clone())),
                _ => None,
            },
            _ => None,
        };
        // A thread's number means its process.
        let pid = facts.as_ref().map_or(pid, |process: &Arc<super::holder::ProcessFacts>| process.pid);
        Some(ProcessRef { pid, facts })
    }

    /// Its evidence at a moment, to judge or to say again.
    pub fn evidence<'a>(&'a self, at: &Moment<'a>) -> Evidence<'a> {
        Evidence {
            facts: &self.facts,
            sight: at.sight,
            now: at.now,
            monotonic: at.monotonic,
            threshold: at.threshold,
            looked_at: self.looked_at.0.max(at.scanned_at),
        }
    }

    /// The sentence.
    pub fn why(&self, at: &Moment<'_>) -> String {
        sentence::why(&self.evidence(at), &self.judgement)
    }

    /// The checklist.
    pub fn checklist(&self, at: &Moment<'_>) -> Vec<Fact> {
        checklist::checklist(&self.evidence(at), &self.judgement)
    }

    /// Its age, or `None` where its time lies ahead.
    pub fn age(&self, at: &Moment<'_>) -> Option<Duration> {
        self.evidence(at).age()
    }

    /// Judges again, as time has passed; tells whether anything changed.
    pub fn rejudge(&mut self, at: &Moment<'_>) -> bool {
        let judgement = judge(&self.evidence(at));
        let changed = judgement != self.judgement;
        self.judgement = judgement;
        changed
    }

    /// Whether the owner or holder lives.
    pub fn liveness(&self) -> Liveness {
        self.judgement.liveness
    }
}

/// The present, as judgements and sentences need it.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// What was to be seen of the machine.
    pub sight: &'a Sight,
    /// The wall clock.
    pub now: Wall,
    /// The monotonic clock.
    pub monotonic: Duration,
    /// The threshold.
    pub threshold: Duration,
    /// When all of the directory was last looked at.
    pub scanned_at: Wall,
}

/// How many locks have each verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts([u32; Verdict::ALL.len()]);

impl Counts {
    /// Of one verdict.
    pub fn of(&self, verdict: Verdict) -> u32 {
        self.0[verdict as usize]
    }

    /// Of all, with what is no lock.
    pub fn all(&self) -> u32 {
        self.0.iter().sum()
    }

    /// Of all, without what is no lock.
    pub fn listed(&self) -> u32 {
        self.0.iter().sum::<u32>() - self.of(Verdict::NotALock)
    }

    /// One more.
    pub fn add(&mut self, verdict: Verdict) {
        self.0[verdict as usize] += 1;
    }

    /// As many more as these.
    pub fn add_all(&mut self, others: &Self) {
        self.0.iter_mut().zip(others.0).for_each(|(count, more)| *count += more);
    }

    /// One less.
    pub fn remove(&mut self, verdict: Verdict) {
        self.0[verdict as usize] -= 1;
    }
}

/// How the directory is being watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watching {
    /// By events, with a slow rescan behind them.
    Live,
    /// By looking again and again, and why.
    Polling(PollingReason),
    /// The first pass is still under way: this many files so far.
    Loading(u32),
    /// The directory cannot be looked at now; we keep trying.
    Lost(LostReason),
}

/// Why there are no events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PollingReason {
    /// `fs.inotify.max_user_watches` or `max_user_instances` is used up.
    OutOfWatches,
    /// Network, FUSE: other machines' changes make no events.
    FileSystem(Box<str>),
    /// Anything else.
    Failed(Box<str>),
}

/// Why the directory cannot be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LostReason {
    /// It was deleted or moved away.
    Gone,
    /// It may not be read.
    Denied,
    /// It is no directory.
    NotADirectory,
    /// It does not answer.
    NoAnswer,
    /// Anything else.
    Failed(Box<str>),
}

/// Something that could not be done in a pass, with its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub path: PathBuf,
    /// What.
    pub error: String,
}

/// How many locks one chunk holds.
pub const CHUNK: usize = 256;

/// One directory's locks at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Counts up with every publication.
    pub generation: u64,
    /// The directory as the person gave it, absolute.
    pub directory: Arc<Path>,
    /// When it was taken, on the wall clock.
    pub taken_at: Wall,
    /// The same on the monotonic clock.
    pub taken_monotonic: Duration,
    /// When the whole directory was last read.
    pub scanned_at: Wall,
    /// The threshold in force.
    pub threshold: Duration,
    /// What was to be seen of the machine.
    pub sight: Arc<Sight>,
    /// How it is being watched.
    pub watching: Watching,
    /// How many locks have each verdict.
    pub counts: Counts,
    /// What could not be done.
    pub problems: Arc<[Problem]>,
    /// The locks by id; holes where one has vanished.
    pub chunks: Vec<Arc<Vec<Option<Arc<Lock>>>>>,
}

impl Snapshot {
    /// The lock with this id, if it is still there.
    pub fn lock(&self, id: LockId) -> Option<&Arc<Lock>> {
        let at = id.0 as usize;
        self.chunks.get(at / CHUNK)?.get(at % CHUNK)?.as_ref()
    }

    /// All locks, in the order of their ids.
    pub fn locks(&self) -> impl Iterator<Item = &Arc<Lock>> {
        self.chunks.iter().flat_map(|chunk| chunk.iter().flatten())
    }

    /// The lock at this relative path. Linear; for single look-ups.
    pub fn find(&self, path: &OsStr) -> Option<&Arc<Lock>> {
        self.locks().find(|lock| &*lock.path == path)
    }

    /// Tells each lock that is not the same as in an earlier picture of the same directory: as it was, and as it is. What
    /// the two share costs nothing.
    pub fn changes_since<'a>(
        &'a self, earlier: &'a Self, each: &mut dyn FnMut(Option<&'a Arc<Lock>>, Option<&'a Arc<Lock>>),
    ) {
        for at in 0..self.chunks.len().max(earlier.chunks.len()) {
            let (was, is) = (earlier.chunks.get(at), self.chunks.get(at));
            if was.zip(is).is_some_and(|(was, is)| Arc::ptr_eq(was, is)) {
                continue;
            }
            let slot = |chunk: Option<&'a Arc<Vec<Option<Arc<Lock>>>>>, at: usize| chunk?.get(at)?.as_ref();
            for place in 0..CHUNK {
                match (slot(was, place), slot(is, place)) {
                    (None, None) => {}
                    (Some(was), Some(is)) if Arc::ptr_eq(was, is) => {}
                    (was, is) => each(was, is),
                }
            }
        }
    }

    /// The moment of this snapshot.
    pub fn moment(&self) -> Moment<'_> {
        self.moment_at(self.taken_at, self.taken_monotonic)
    }

    /// A later moment of the same sight: ages go on between snapshots.
    pub fn moment_at(&self, now: Wall, monotonic: Duration) -> Moment<'_> {
        Moment { sight: &self.sight, now, monotonic, threshold: self.threshold, scanned_at: self.scanned_at }
    }

    /// The full path of a lock in it.
    pub fn full_path(&self, lock: &Lock) -> PathBuf {
        self.directory.join(OsString::from(&*lock.path))
    }

    /// How many locks differ from a later picture of the same directory: changed, gone or new.
    pub fn differences(&self, later: &Self) -> usize {
        let longest = self.chunks.len().max(later.chunks.len());
        let differ = |at: usize| match (self.chunks.get(at), later.chunks.get(at)) {
            (Some(a), Some(b)) if Arc::ptr_eq(a, b) => 0,
            (a, b) => {
                let slot = |chunk: Option<&Arc<Vec<Option<Arc<Lock>>>>>, at: usize| {
                    chunk.and_then(|chunk| chunk.get(at)?.as_ref().map(Arc::as_ptr))
                };
                (0..CHUNK).filter(|at| slot(a, *at) != slot(b, *at)).count()
            }
        };
        (0..longest).map(differ).sum()
    }
}
