//! How long a lock is usually held: median and 95th percentile of the holds whose length is known.
//!
//! Owns: the rule. Never: counts a hold that was not seen from its beginning to its release.

use super::Hold;
use crate::model::time::Wall;
use std::time::Duration;

/// Fewer holds say nothing of what is usual.
pub const LEAST_HOLDS: u32 = 5;

/// How long a lock is usually held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usual {
    /// Half of the holds were no longer.
    pub median: Duration,
    /// 95 of 100 were no longer.
    pub p95: Duration,
    /// Of so many holds.
    pub holds: u32,
}

impl Usual {
    /// By nearest rank; `None` where fewer than [`LEAST_HOLDS`] were seen as a whole.
    pub fn of(holds: &[Hold]) -> Option<Self> {
        let mut lengths: Vec<(Duration, u32)> = holds
            .iter()
            .filter(|hold| hold.is_whole())
            .map(|hold| match hold.burst {
                Some(burst) => (burst.busy / burst.count.max(1), burst.count),
                None => (hold.length(Wall::default()), 1),
            })
            .collect();
        let holds = lengths.iter().fold(0_u32, |sum, (_, count)| sum.saturating_add(*count));
        if holds < LEAST_HOLDS {
            return None;
        }
        lengths.sort_unstable();
        let at = |percent: u64| {
            let rank = (u64::from(holds) * percent).div_ceil(100);
            let mut passed = 0;
            let found = lengths.iter().find(|(_, count)| {
                passed += u64::from(*count);
                passed >= rank
            });
            found.map_or(Duration::ZERO, |(length, _)| *length)
        };
        Some(Self { median: at(50), p95: at(95), holds })
    }

    /// A hold that has taken far longer than almost all before it.
    pub fn is_exceeded_by(&self, held: Duration) -> bool {
        // Twice, and two seconds at least: kernel locks are seen to the half second.
        held > self.p95 * 2 && held > self.p95 + Duration::from_secs(2)
    }
}
