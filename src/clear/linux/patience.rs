//! Waiting for others: how long at most, and a pause between two looks.
//!
//! Owns: the clock of the loops in protocol and put-back. Never: waits for what the kernel would tell us.

use std::time::{Duration, Instant};

/// A wait with an end.
#[derive(Debug)]
pub(crate) struct Patience {
    began: Instant,
    limit: Duration,
}

impl Patience {
    /// Begins now.
    pub(crate) fn of(limit: Duration) -> Self {
        Self { began: Instant::now(), limit }
    }

    /// Whether it has lasted long enough.
    pub(crate) fn is_over(&self) -> bool {
        self.began.elapsed() > self.limit
    }
}

/// Lets others go on for a moment.
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}
