//! "Tell me when it is free": which locks a person waits for, and when there is something to tell.
//!
//! Owns: [`Vigil`], keyed by directory and path, so that it goes on when another directory is shown; pure. Never: looks at
//! a lock itself, and never takes "could not look" for free.

use super::history::recorder::Changes;
use crate::model::snapshot::Lock;
use crate::model::time::Wall;
use crate::model::verdict::Verdict;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Locks that turn stale are gathered for so long, so that ten at once are one message.
pub const GATHER: Duration = Duration::from_secs(1);

/// A lock that somebody waits to be told of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Awaited {
    /// Where.
    pub directory: Arc<Path>,
    /// Its path in it.
    pub path: Box<OsStr>,
}

/// What a lock has become that was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FreedAs {
    /// The file has gone.
    Gone,
    /// The file is there, and nobody has the lock.
    Idle,
    /// Its holder went and left it: it is this now, and not free.
    LeftBehind(Verdict),
}

/// A lock that was waited for is held no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freed {
    /// Which.
    pub lock: Awaited,
    /// What it is now.
    pub now: FreedAs,
    /// Who had it last, for a person; empty where that is not known.
    pub holder: String,
}

/// Locks that turned stale at about the same time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnedStale {
    /// Each, in the order in which they were seen.
    pub locks: Vec<Awaited>,
}

#[derive(Debug)]
struct Watch {
    /// It was held: to be left behind is news then. What was left behind already is waited for until it goes.
    was_held: bool,
    holder: String,
}

/// What is waited for.
#[derive(Debug, Default)]
pub struct Vigil {
    awaited: HashMap<Awaited, Watch>,
    /// Tell of each lock that turns stale.
    pub tell_stale: bool,
    turned: Vec<Awaited>,
    /// When those are to be told, on the monotonic clock.
    due: Option<Duration>,
}

impl Vigil {
    /// All that is waited for, in a steady order.
    pub fn awaited(&self) -> Vec<Awaited> {
        let mut all: Vec<Awaited> = self.awaited.keys().cloned().collect();
        all.sort_by(|a, b| (&a.directory, &a.path).cmp(&(&b.directory, &b.path)));
        all
    }

    /// Begins to wait for a lock, or ceases to.
    pub fn wish(&mut self, lock: Awaited, on: bool) {
        if on {
            self.awaited.entry(lock).or_insert(Watch { was_held: false, holder: String::new() });
        } else {
            self.awaited.remove(&lock);
        }
    }

    /// Whether anything is waited for in a directory.
    pub fn waits_in(&self, directory: &Path) -> bool {
        self.awaited.keys().any(|lock| *lock.directory == *directory)
    }

    /// One lock as it is now: `Ok(None)` = it is not there. Gives what there is to tell.
    pub fn see(&mut self, lock: &Awaited, now: Option<&Lock>) -> Option<Freed> {
        let watch = self.awaited.get_mut(lock)?;
        let freed = match now.map(|now| now.judgement.verdict) {
            None => FreedAs::Gone,
            Some(Verdict::Idle) => FreedAs::Idle,
            Some(Verdict::Held) => {
                watch.was_held = true;
                if let Some((holder, _)) = now.and_then(Lock::holder) {
                    watch.holder = format!("PID {} ({})", holder.pid, holder.name());
                }
                return None;
            }
            Some(left @ (Verdict::Stale | Verdict::Orphaned | Verdict::Suspect)) if watch.was_held => {
                FreedAs::LeftBehind(left)
            }
            // Could not look is not free; a clear in progress will end.
            Some(_) => return None,
        };
        let (lock, watch) = self.awaited.remove_entry(lock)?;
        Some(Freed { lock, now: freed, holder: watch.holder })
    }

    /// What a snapshot of a directory changed. Gives what there is to tell.
    pub fn hear(&mut self, directory: &Arc<Path>, changes: &Changes, now: Duration) -> Vec<Freed> {
        let mut freed = Vec::new();
        if !self.awaited.is_empty() {
            let named = |lock: &Lock| Awaited { directory: Arc::clone(directory), path: lock.path.clone() };
            // What went and came again in one look is there.
            let there: std::collections::HashSet<&OsStr> =
                changes.changed.iter().map(|(_, lock)| &*lock.path).collect();
            for lock in changes.gone.iter().filter(|lock| !there.contains(&*lock.path)) {
                freed.extend(self.see(&named(lock), None));
            }
            for (_, lock) in &changes.changed {
                freed.extend(self.see(&named(lock), Some(lock)));
            }
        }
        if self.tell_stale && !changes.first {
            let was_other = |before: &Option<Arc<Lock>>| before.as_ref().is_none_or(|lock| !lock.is_stale());
            let turned = changes.changed.iter().filter(|(before, lock)| lock.is_stale() && was_other(before));
            self.turned
                .extend(turned.map(|(_, lock)| Awaited { directory: Arc::clone(directory), path: lock.path.clone() }));
            if !self.turned.is_empty() {
                self.due.get_or_insert(now + GATHER);
            }
        }
        freed
    }

    /// When the gathered stale ones are due.
    pub fn due(&self) -> Option<Duration> {
        self.due
    }

    /// The stale ones, once they are due.
    pub fn turned_stale(&mut self, now: Duration) -> Option<TurnedStale> {
        self.due.filter(|due| *due <= now)?;
        self.due = None;
        let locks = std::mem::take(&mut self.turned);
        (!locks.is_empty()).then_some(TurnedStale { locks })
    }
}

/// What is known of the past for a lock that was waited for, so that a message can say for how long it was held.
pub fn held_for(history: &super::history::History, path: &OsStr, now: Wall) -> Option<Duration> {
    let lock = history.lock(path)?;
    let last = lock.holds.iter().rev().find(|hold| hold.verdict == Verdict::Held)?;
    Some(last.length(now))
}

#[cfg(test)]
mod tests;
