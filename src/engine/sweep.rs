//! Automatic clearing: what is stale in one directory, again and again, for window and command line alike.
//!
//! Owns: what is tried when, what is left alone for now, and how far apart the rounds are. Never: starts itself; clears
//! what a bulk clear would not, nor what a person has put back; has no thread and no clock of its own.

use super::bulk::{Came, clear_each};
use crate::clear::{Entry, Fingerprint, Identity, State};
use crate::model::snapshot::{Lock, Snapshot};
use crate::model::verdict::Verdict;
use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Rounds and new tries are never further apart, unless a longer interval was asked for.
const LONGEST: Duration = Duration::from_hours(1);

/// One thing that a sweep did, or could not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// A lock was taken away.
    Cleared {
        /// Relative to the directory.
        path: OsString,
        /// The journal entry.
        id: String,
        /// On what grounds.
        why: String,
    },
    /// It was left as it is, and is tried again later, less and less often.
    Refused {
        /// Relative to the directory.
        path: OsString,
        /// What the recheck found it to be.
        verdict: Verdict,
        /// One sentence.
        why: String,
    },
    /// It could not be done; tried again as above.
    Failed {
        /// Relative to the directory.
        path: OsString,
        /// What is in the way.
        error: String,
    },
    /// A person has put this one back, so it is left to persons. Told once.
    Spared {
        /// Relative to the directory.
        path: OsString,
    },
    /// A whole round could not be done; the next ones come less and less often. Told once.
    Stuck(String),
    /// Rounds can be done again.
    Unstuck,
}

/// What persons have put back: a sweep that takes it away again would fight them.
#[derive(Debug, Default)]
pub struct PutBack(Vec<(PathBuf, Identity)>);

impl PutBack {
    /// From the journal.
    pub fn of(entries: Vec<Entry>) -> Self {
        let undone = entries.into_iter().filter(|entry| entry.state == State::Undone);
        Self(undone.filter_map(|entry| entry.deed).map(|deed| (deed.name.path(), deed.lock)).collect())
    }

    /// Whether this is one of them, and nobody has written to it since.
    fn has(&self, lock: &Lock) -> bool {
        let (Some(stat), Some(name)) = (lock.facts.stat(), Path::new(&lock.path).file_name()) else { return false };
        self.0.iter().any(|(at, identity)| at.as_os_str() == name && identity.is_untouched_but_for_device(&stat))
    }
}

/// What a round acts with.
pub trait Hands {
    /// It is to stop, after the lock that it is at.
    fn is_stopped(&self) -> bool;
    /// What persons have put back.
    fn put_back(&self) -> Result<PutBack, String>;
    /// Rechecks one lock, and takes it away.
    fn clear(&self, seen: &Arc<Lock>) -> Came;
}

/// A lock that did not go, and when it is tried again.
#[derive(Debug)]
struct PutOff {
    /// As it was; another one at its path has its own first try.
    seen: Option<Fingerprint>,
    tries: u32,
    until: Duration,
}

/// By what a lock is known again: another one at its path is another lock.
fn known(lock: &Lock) -> (OsString, Option<Fingerprint>) {
    (lock.path.to_os_string(), Fingerprint::of(lock))
}

/// One directory being swept.
#[derive(Debug)]
pub struct Sweep {
    every: Duration,
    misses: u32,
    put_off: HashMap<OsString, PutOff>,
    spared: Vec<(OsString, Option<Fingerprint>)>,
    /// What went, for as long as the picture still shows it: a picture may be older than the last round.
    gone: Vec<(OsString, Option<Fingerprint>)>,
}

impl Sweep {
    /// Rounds this far apart.
    pub fn new(every: Duration) -> Self {
        Self { every, misses: 0, put_off: HashMap::new(), spared: Vec::new(), gone: Vec::new() }
    }

    /// How long until the next round: doubled with each that could not be done.
    pub fn pause(&self) -> Duration {
        self.doubled(self.misses)
    }

    fn doubled(&self, times: u32) -> Duration {
        self.every.saturating_mul(1 << times.min(16)).min(LONGEST.max(self.every))
    }

    /// A round that could not even look.
    pub fn missed(&mut self, why: String, tell: &mut dyn FnMut(Act)) {
        if self.misses == 0 {
            tell(Act::Stuck(why));
        }
        self.misses = self.misses.saturating_add(1);
    }

    /// One round over what was just seen. `now` is monotonic.
    pub fn round(&mut self, snapshot: &Snapshot, now: Duration, hands: &dyn Hands, tell: &mut dyn FnMut(Act)) {
        let mut stale: Vec<_> = snapshot.locks().filter(|lock| lock.is_bulk_clearable(&snapshot.sight)).collect();
        stale.sort_by(|a, b| a.path.cmp(&b.path));
        self.put_off.retain(|path, _| stale.iter().any(|lock| *lock.path == **path));
        for known in [&mut self.spared, &mut self.gone] {
            known.retain(|(path, _)| stale.iter().any(|lock| *lock.path == **path));
        }
        stale.retain(|lock| {
            let put_off = self.put_off.get(&*lock.path);
            put_off.is_none_or(|put_off| put_off.until <= now || put_off.seen != Fingerprint::of(lock))
        });
        if !stale.is_empty() {
            // Read only where something may go: the journal can be long.
            let put_back = match hands.put_back() {
                Ok(put_back) => put_back,
                Err(why) => return self.missed(why, tell),
            };
            stale.retain(|lock| {
                let spared = put_back.has(lock);
                if spared && !self.spared.contains(&known(lock)) {
                    tell(Act::Spared { path: lock.path.to_os_string() });
                    self.spared.push(known(lock));
                }
                !spared && !self.gone.contains(&known(lock))
            });
        }
        if std::mem::take(&mut self.misses) > 0 {
            tell(Act::Unstuck);
        }
        // What came of each is told at once: a round can be long.
        clear_each(
            &stale,
            |_| !hands.is_stopped(),
            |lock| {
                let came = hands.clear(lock);
                self.note(lock, snapshot, now, &came, tell);
                came
            },
        );
    }

    fn note(&mut self, lock: &Arc<Lock>, snapshot: &Snapshot, now: Duration, came: &Came, tell: &mut dyn FnMut(Act)) {
        let path = lock.path.to_os_string();
        let act = match came.clone() {
            Came::Cleared(id) => {
                self.put_off.remove(&path);
                self.gone.push(known(lock));
                return tell(Act::Cleared { path, id, why: lock.why(&snapshot.moment()) });
            }
            Came::Refused { verdict, why } => Act::Refused { path: path.clone(), verdict, why },
            Came::Failed(error) => Act::Failed { path: path.clone(), error },
        };
        let seen = Fingerprint::of(lock);
        let earlier = self.put_off.get(&path).filter(|earlier| earlier.seen == seen);
        let tries = earlier.map_or(0, |earlier| earlier.tries) + 1;
        self.put_off.insert(path, PutOff { seen, tries, until: now + self.doubled(tries) });
        tell(act);
    }
}
