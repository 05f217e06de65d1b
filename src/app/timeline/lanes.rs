//! Which lock has which lane: what is held first, then what was busy, then what is stuck, which the table says already; and
//! no lane moves under the pointer.
//!
//! Owns: [`Lanes`]. Never: draws.

use crate::engine::history::{History, Hold, LockHistory};
use crate::model::time::Wall;
use crate::model::verdict::Verdict;
use std::ffi::OsStr;
use std::sync::Arc;

/// So many lanes at most; whoever looks for more uses the table.
const MOST: usize = 200;

#[derive(Default)]
pub(super) struct Lanes {
    order: Vec<Arc<OsStr>>,
    made_from: Option<(Arc<std::path::Path>, usize)>,
    made_for: (Wall, Wall),
}

/// What moves into sight or out of it may take so long, in seconds, to get its lane: thousands are compared for it.
const LATEST: i64 = 5;

fn place(lock: &LockHistory) -> u8 {
    match lock.now {
        Some(Verdict::Held) => 0,
        Some(Verdict::Idle | Verdict::NotALock) | None => 1,
        Some(Verdict::Interrupted) => 2,
        Some(Verdict::Stale) => 3,
        Some(Verdict::Orphaned) => 4,
        Some(Verdict::Suspect) => 5,
        Some(Verdict::Unknown) => 6,
        Some(Verdict::Foreign) => 7,
    }
}

impl Lanes {
    /// The lanes for what lies between these times. Where `steady` they keep their order.
    pub(super) fn of(
        &mut self, history: &Arc<History>, (from, till): (Wall, Wall), now: Wall, steady: bool,
    ) -> &[Arc<OsStr>] {
        let made_from = (Arc::clone(&history.directory), Arc::as_ptr(history) as usize);
        let same_directory = self.made_from.as_ref().is_some_and(|(directory, _)| *directory == history.directory);
        let near = |one: Wall, other: Wall| (one.secs() - other.secs()).abs() < LATEST;
        let same_span = near(self.made_for.0, from) && near(self.made_for.1, till);
        let fresh = self.made_from.as_ref() == Some(&made_from) && same_span;
        if fresh || steady && same_directory {
            return &self.order;
        }
        let busy = |lock: &LockHistory| {
            lock.holds.iter().filter(|hold| hold.began < till && hold.till(now) > from).map(Hold::count).sum::<u32>()
        };
        let mut lanes: Vec<(u8, u32, &Arc<OsStr>)> = history
            .locks()
            .map(|lock| (place(lock), u32::MAX - busy(lock), &lock.path))
            .filter(|(_, idle, _)| *idle != u32::MAX)
            .collect();
        if lanes.len() > MOST {
            lanes.select_nth_unstable(MOST);
            lanes.truncate(MOST);
        }
        lanes.sort_unstable();
        self.order = lanes.into_iter().map(|(_, _, path)| Arc::clone(path)).collect();
        self.made_from = Some(made_from);
        self.made_for = (from, till);
        &self.order
    }
}
