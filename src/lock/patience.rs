//! Waiting for a lock: how long, how often, and never in step with the other waiters.
//!
//! Owns: [`Patience`]. Never: looks at the lock.

use super::{LockConfig, LockError, Wait};
use crate::platform::environment::own_pid;
use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The first pause: most locks are held for less.
const SHORTEST: Duration = Duration::from_millis(1);

/// One wait for one lock.
#[derive(Debug)]
pub(super) struct Patience {
    wait: Wait,
    began: Instant,
    interval: Duration,
    next: Duration,
    attempts: Option<u32>,
    tries: u32,
    path: PathBuf,
    group: String,
}

impl Patience {
    pub(super) fn new(path: &Path, group: &str, config: &LockConfig) -> Self {
        // Counted attempts are meant at their interval: growing pauses would use them up in milliseconds.
        let next = if config.retry_attempts.is_some() { config.retry_interval } else { SHORTEST };
        Self {
            wait: config.timeout,
            began: Instant::now(),
            interval: config.retry_interval,
            next: next.min(config.retry_interval),
            attempts: config.retry_attempts,
            tries: 0,
            path: path.to_owned(),
            group: group.to_owned(),
        }
    }

    /// Counts a try that failed, and pauses; `false` = no further try.
    pub(super) fn pause(&mut self) -> bool {
        if self.wait != Wait::Never {
            self.tell();
        }
        let Some(span) = self.next_pause() else { return false };
        std::thread::sleep(span);
        true
    }

    /// Whether to wait for a kernel lock in the kernel's own queue: only where no end is set, as it cannot be left.
    pub(super) fn waits_in_the_kernel(&self) -> bool {
        self.wait == Wait::Forever && self.attempts.is_none()
    }

    /// Counts a try that failed, and will wait elsewhere.
    pub(super) fn count(&mut self) {
        self.tell();
        self.tries += 1;
    }

    fn tell(&self) {
        if self.tries == 0 {
            tracing::debug!(path = %self.path.display(), group = self.group, pid = own_pid(), waited_ms = self.ms(), "waiting");
        }
    }

    /// Counts a try that failed; the pause before the next, or `None` where there is to be none.
    fn next_pause(&mut self) -> Option<Duration> {
        self.tries += 1;
        let left = self.wait.left(self.began.elapsed());
        if left == Some(Duration::ZERO) || self.attempts.is_some_and(|most| self.tries > most) {
            return None;
        }
        let span = jittered(self.next);
        self.next = (self.next * 2).min(self.interval).max(self.next);
        // The last try comes at the very end of the time, not before it.
        Some(left.map_or(span, |left| span.min(left)))
    }

    pub(super) fn waited(&self) -> Duration {
        self.began.elapsed()
    }

    fn ms(&self) -> u64 {
        self.waited().as_millis() as u64
    }

    /// What to say when it is over.
    pub(super) fn spent(&self, why: Option<String>) -> LockError {
        let path = self.path.clone();
        match self.wait {
            Wait::Never => LockError::Taken { path, why },
            _ => LockError::TimedOut { path, waited: self.waited(), tries: self.tries, why },
        }
    }

    /// Notes that it was in vain.
    pub(super) fn failed(&self, error: LockError) -> LockError {
        let (path, group) = (self.path.display(), &self.group);
        tracing::warn!(%path, group, pid = own_pid(), waited_ms = self.ms(), %error, "not acquired");
        error
    }
}

/// Give or take a quarter. Nothing secret hangs on it, so the standard library's seed will do.
fn jittered(span: Duration) -> Duration {
    let chance = RandomState::new().hash_one(0) % 1024;
    let quarter = span / 4;
    span.saturating_sub(quarter) + quarter * 2 * (chance as u32) / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(50);

    #[test]
    fn pauses_grow_to_the_interval_and_never_far_beyond() {
        let mut patience = Patience::new(Path::new("x"), "g", &LockConfig::waiting(Wait::Forever));
        let pauses: Vec<Duration> = (0..12).filter_map(|_| patience.next_pause()).collect();
        assert_eq!(pauses.len(), 12);
        assert!(pauses[0] < Duration::from_millis(2), "{pauses:?}");
        assert!(pauses[10..].iter().all(|pause| *pause > INTERVAL / 2 && *pause <= INTERVAL * 5 / 4), "{pauses:?}");
    }

    #[test]
    fn jitter_spreads_around_the_span() {
        let spread: Vec<Duration> = (0..200).map(|_| jittered(INTERVAL)).collect();
        assert!(spread.iter().all(|span| *span >= INTERVAL * 3 / 4 && *span <= INTERVAL * 5 / 4));
        assert!(spread.iter().collect::<std::collections::HashSet<_>>().len() > 20, "they differ");
    }

    #[test]
    fn attempts_are_counted_at_their_interval() {
        let config = LockConfig { retry_attempts: Some(2), timeout: Wait::Forever, ..LockConfig::default() };
        let mut patience = Patience::new(Path::new("x"), "g", &config);
        assert!(patience.next_pause().is_some_and(|pause| pause >= INTERVAL / 2));
        assert!(patience.next_pause().is_some());
        assert!(patience.next_pause().is_none(), "three tries in all");
        assert!(matches!(patience.spent(None), LockError::TimedOut { tries: 3, .. }));
    }

    #[test]
    fn never_is_one_try() {
        let mut patience = Patience::new(Path::new("x"), "g", &LockConfig::waiting(Wait::Never));
        assert!(patience.next_pause().is_none());
        assert!(matches!(patience.spent(None), LockError::Taken { .. }));
    }
}
