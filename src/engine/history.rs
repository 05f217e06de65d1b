//! What was seen of a directory's locks over time: who held each, since when, until when, and who waited.
//!
//! Owns: [`History`] and what it is made of; [`recorder`] makes it from snapshots, [`kept`] keeps it across restarts,
//! `chronicle` is the thread that does both. Never: a guess. What happened while nobody looked is a gap, and a start that
//! was not seen says so.

pub(super) mod chronicle;
pub mod kept;
pub mod recorder;
mod usual;

use crate::model::snapshot::LockId;
use crate::model::time::Wall;
use crate::model::verdict::{Certainty, Verdict};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use usual::{LEAST_HOLDS, Usual};

/// So many holds of one lock are kept, the newest; and as many waits.
pub const PER_LOCK: usize = 256;
/// So many holds and waits of one directory.
pub const PER_DIRECTORY: usize = 20_000;
/// And none that ended longer ago.
pub const OLDEST: Duration = Duration::from_hours(30 * 24);
/// So many spans of watching.
pub const SPANS_OF_WATCHING: usize = 500;

/// How a beginning is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// It is not: it had begun when we first looked.
    Since,
    /// It had begun when we first looked; the file's birth tells when.
    File,
    /// We saw it begin.
    Seen,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The holder let go.
    Released,
    /// The holder went and left the lock.
    LeftBehind,
    /// The verdict became another, and nobody let go of anything that we know of.
    Changed,
    /// Nobody looked when it did: Lockscope ended, or could not look.
    Unseen,
}

/// A process in the history; the incarnation tells it from a later one with the same number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Who {
    /// Its PID; `None` where nobody could be named.
    pub pid: Option<u32>,
    /// Its start, where that was seen.
    pub incarnation: Option<u64>,
    /// Its short name; empty where that is not known.
    pub command: Arc<str>,
}

impl Who {
    /// Whether it is the same process.
    pub fn is(&self, other: &Self) -> bool {
        (self.pid, self.incarnation) == (other.pid, other.incarnation)
    }

    /// For a person: `5102 · python3`.
    pub fn say(&self) -> String {
        match (self.pid, self.command.is_empty()) {
            (Some(pid), false) => format!("{pid} · {}", self.command),
            (Some(pid), true) => format!("PID {pid}"),
            (None, false) => self.command.to_string(),
            (None, true) => "nobody that can be named".to_owned(),
        }
    }
}

/// Many short holds that are shown as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burst {
    /// How many.
    pub count: u32,
    /// For how long they held, together.
    pub busy: Duration,
}

/// One span in which a lock was taken: held, or left behind and still there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// What was concluded of it. Only [`Verdict::Held`] is a hold in the strict sense.
    pub verdict: Verdict,
    /// How sure that was, last.
    pub certainty: Option<Certainty>,
    /// By whom.
    pub who: Who,
    /// Nobody else can have it meanwhile.
    pub exclusive: bool,
    /// When it began, or from when on it was seen.
    pub began: Wall,
    /// Which of the two.
    pub start: Start,
    /// When and how it ended; `None` = it has not.
    pub ended: Option<(Wall, End)>,
    /// Many short ones in one.
    pub burst: Option<Burst>,
}

impl Hold {
    /// How long it took, or has taken until now.
    pub fn length(&self, now: Wall) -> Duration {
        self.till(now).since(self.began).unwrap_or_default()
    }

    /// Its end, or now.
    pub fn till(&self, now: Wall) -> Wall {
        self.ended.map_or_else(|| now.max(self.began), |(at, _)| at)
    }

    /// Begun and released under our eyes: its length is known.
    pub fn is_whole(&self) -> bool {
        self.verdict == Verdict::Held && self.start == Start::Seen && matches!(self.ended, Some((_, End::Released)))
    }

    /// How many holds it stands for.
    pub fn count(&self) -> u32 {
        self.burst.map_or(1, |burst| burst.count)
    }
}

/// One process in the kernel's queue for a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Who.
    pub who: Who,
    /// From when on it was seen to wait.
    pub from: Wall,
    /// It waited already when we first looked.
    pub since: bool,
    /// Until when; `None` = it still does.
    pub till: Option<Wall>,
    /// It got the lock then.
    pub got: bool,
}

/// The history of one lock.
#[derive(Clone, Debug)]
pub struct LockHistory {
    /// Its path in the directory.
    pub path: Arc<OsStr>,
    /// Its place in the newest snapshot, if it is there.
    pub id: Option<LockId>,
    /// The holds, oldest first.
    pub holds: Vec<Hold>,
    /// The waits, oldest first.
    pub waits: Vec<Wait>,
    /// How long it is usually held, where enough was seen.
    pub usual: Option<Usual>,
    /// What it is now; `None` = it is not there, or not looked at.
    pub now: Option<Verdict>,
}

impl LockHistory {
    /// Nothing yet.
    pub fn of(path: Arc<OsStr>) -> Self {
        Self { path, id: None, holds: Vec::new(), waits: Vec::new(), usual: None, now: None }
    }

    /// What is under way.
    pub fn open(&self) -> impl Iterator<Item = &Hold> {
        self.holds.iter().filter(|hold| hold.ended.is_none())
    }

    /// The hold that is under way, of several the oldest.
    pub fn holding(&self) -> Option<&Hold> {
        self.open().find(|hold| hold.verdict == Verdict::Held)
    }

    /// Who waited while this hold lasted.
    pub fn waits_during<'a>(&'a self, hold: &'a Hold, now: Wall) -> impl Iterator<Item = &'a Wait> {
        self.waits.iter().filter(move |wait| wait.from < hold.till(now) && wait.till.unwrap_or(now) > hold.began)
    }

    /// Entries, for the bound.
    fn entries(&self) -> usize {
        self.holds.len() + self.waits.len()
    }
}

/// A span in which the directory was watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watched {
    /// From.
    pub from: Wall,
    /// Until; `None` = it still is.
    pub till: Option<Wall>,
}

type Shard = HashMap<Arc<OsStr>, Arc<LockHistory>>;
const SHARDS: usize = 64;

/// What was seen of one directory, at one moment; immutable once it is published, and sharing what stayed the same.
#[derive(Clone, Debug)]
pub struct History {
    /// Which directory.
    pub directory: Arc<Path>,
    /// When it was watched, oldest first. What lies between was not.
    pub watched: Vec<Watched>,
    /// More is under way than is kept: not every hold is here.
    pub overfull: bool,
    shards: Vec<Arc<Shard>>,
    entries: usize,
}

impl History {
    /// Of a directory of which nothing was seen yet.
    pub fn new(directory: Arc<Path>) -> Self {
        Self { directory, watched: Vec::new(), overfull: false, shards: vec![Arc::default(); SHARDS], entries: 0 }
    }

    /// The history of one lock, if there is any.
    pub fn lock(&self, path: &OsStr) -> Option<&Arc<LockHistory>> {
        self.shards[shard_of(path)].get(path)
    }

    /// All locks with a history, in no order.
    pub fn locks(&self) -> impl Iterator<Item = &Arc<LockHistory>> {
        self.shards.iter().flat_map(|shard| shard.values())
    }

    /// Holds and waits in it.
    pub fn len(&self) -> usize {
        self.entries
    }

    /// Whether nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// When this watching began; `None` = it is not watched now.
    pub fn watching_since(&self) -> Option<Wall> {
        self.watched.last().filter(|span| span.till.is_none()).map(|span| span.from)
    }

    /// The spans within these bounds in which nobody looked.
    pub fn gaps(&self, from: Wall, till: Wall, now: Wall) -> Vec<(Wall, Wall)> {
        let (mut gaps, mut at) = (Vec::new(), from);
        for span in &self.watched {
            if span.from >= till {
                break;
            }
            if span.from > at {
                gaps.push((at, span.from));
            }
            at = at.max(span.till.unwrap_or(now));
        }
        if at < till.min(now) {
            gaps.push((at, till.min(now)));
        }
        gaps
    }

    /// Puts in a lock's history, or what it has become.
    pub fn put(&mut self, lock: LockHistory) {
        let shard = shard_of(&lock.path);
        self.entries += lock.entries();
        let old = Arc::make_mut(&mut self.shards[shard]).insert(Arc::clone(&lock.path), Arc::new(lock));
        self.entries -= old.map_or(0, |old| old.entries());
    }

    /// Changes one lock's history; one without anything is dropped.
    fn change(&mut self, path: &OsStr, change: impl FnOnce(&mut LockHistory)) {
        let shard = Arc::make_mut(&mut self.shards[shard_of(path)]);
        let lock = shard.entry(path.into()).or_insert_with_key(|path| Arc::new(LockHistory::of(Arc::clone(path))));
        let lock = Arc::make_mut(lock);
        self.entries -= lock.entries();
        change(lock);
        self.entries += lock.entries();
        if lock.entries() == 0 {
            shard.remove(path);
        }
    }

    /// Changes all of them.
    fn change_all(&mut self, mut change: impl FnMut(&mut LockHistory)) {
        self.entries = 0;
        for shard in &mut self.shards {
            if shard.is_empty() {
                continue;
            }
            Arc::make_mut(shard).retain(|_, lock| {
                let lock = Arc::make_mut(lock);
                change(lock);
                self.entries += lock.entries();
                lock.entries() > 0
            });
        }
    }

    /// Drops what is beyond the bounds, the oldest first. What is under way stays.
    fn bound(&mut self, most: usize, now: Wall) {
        let mut oldest = now.minus(OLDEST);
        if self.entries > most {
            // A tenth more than must go, so that this is not done at every hold.
            let mut ends: Vec<Wall> = self
                .locks()
                .flat_map(|lock| {
                    let holds = lock.holds.iter().filter_map(|hold| hold.ended.map(|(at, _)| at));
                    holds.chain(lock.waits.iter().filter_map(|wait| wait.till))
                })
                .collect();
            let go = (self.entries - most + most / 10).min(ends.len());
            if go > 0 {
                let (_, last, _) = ends.select_nth_unstable(go - 1);
                oldest = oldest.max(Wall(last.0.saturating_add(1)));
            }
        }
        self.change_all(|lock| {
            lock.holds.retain(|hold| hold.ended.is_none_or(|(at, _)| at >= oldest));
            lock.waits.retain(|wait| wait.till.is_none_or(|at| at >= oldest));
        });
        self.watched.retain(|span| span.till.is_none_or(|till| till >= now.minus(OLDEST)));
        let extra = self.watched.len().saturating_sub(SPANS_OF_WATCHING);
        self.watched.drain(..extra);
    }
}

fn shard_of(path: &OsStr) -> usize {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    hasher.finish() as usize % SHARDS
}
