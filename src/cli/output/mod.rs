//! What the commands print: tables for people, JSON for programs, names made safe to show.
//!
//! Owns: every byte on stdout. Never: looks at a file; it is given snapshots and outcomes.

pub mod json;
pub mod system;
pub mod table;
pub mod text;

use crate::model::snapshot::{Lock, Snapshot};
use crate::model::verdict::Verdict;
use std::sync::Arc;

/// What is to be shown of a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Only this group.
    pub group: Option<String>,
    /// Also what is no lock.
    pub all: bool,
}

impl Shown {
    /// Whether this one belongs to the group asked for, where one was.
    pub fn covers(&self, lock: &Lock) -> bool {
        self.group.as_ref().is_none_or(|group| lock.group() == *group)
    }

    /// Whether this one is listed.
    pub fn lists(&self, lock: &Lock) -> bool {
        self.covers(lock) && (self.all || lock.judgement.verdict != Verdict::NotALock)
    }

    /// What is listed, sorted by path.
    pub fn locks<'a>(&self, snapshot: &'a Snapshot) -> Vec<&'a Arc<Lock>> {
        let mut locks: Vec<_> = snapshot.locks().filter(|lock| self.lists(lock)).collect();
        locks.sort_by(|a, b| a.path.as_encoded_bytes().cmp(b.path.as_encoded_bytes()));
        locks
    }

    /// How many have each verdict, in the order of [`Verdict::ALL`]; what is no lock is counted, listed or not.
    pub fn counts(&self, snapshot: &Snapshot) -> [(Verdict, usize); Verdict::ALL.len()] {
        let mut counts = Verdict::ALL.map(|verdict| (verdict, 0));
        for lock in snapshot.locks().filter(|lock| self.covers(lock)) {
            counts[lock.judgement.verdict as usize].1 += 1;
        }
        counts
    }
}
