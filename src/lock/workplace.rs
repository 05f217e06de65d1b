//! Where locks are broken and cleared from: the machine, and a journal that is itself under one of our locks.
//!
//! Owns: [`workplace`], and how the journal is locked. Never: clears.

use super::{FlockLock, LockConfig, Wait};
use crate::clear::Workplace;
use crate::platform::{System, environment};
use std::any::Any;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Another Lockscope holds the journal for as long as a line takes to reach the disk. One that was stopped in the middle
/// must not keep this one waiting for ever: a clear that cannot be written down is refused.
const PATIENCE: Duration = Duration::from_secs(10);
/// Many clears at once wait for each other here.
const BETWEEN_TRIES: Duration = Duration::from_millis(4);

/// With journal and quarantine in this directory.
pub fn workplace(system: Arc<dyn System>, state_dir: &Path) -> Workplace {
    Workplace::new(system, state_dir, lock_journal)
}

/// The usual one; `None` without a home directory and without `LOCKSCOPE_STATE_DIR`.
pub fn usual_workplace(system: Arc<dyn System>) -> Option<Workplace> {
    Some(workplace(system, &environment::state_dir()?))
}

fn lock_journal(path: &Path) -> io::Result<Box<dyn Any>> {
    let config = LockConfig { retry_interval: BETWEEN_TRIES, ..LockConfig::waiting(Wait::For(PATIENCE)) };
    match FlockLock::acquire_in("journal", path, &config) {
        Ok(lock) => Ok(Box::new(lock)),
        Err(error) => Err(io::Error::other(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::this_machine;

    /// What stands in the way is named, and it is the same lock that the rest of the world sees.
    #[test]
    fn the_journal_is_under_a_lock_of_ours() {
        let base = tempfile::tempdir().unwrap();
        let workplace = workplace(this_machine(), base.path());
        let journal = base.path().join("journal");
        std::fs::create_dir(&journal).unwrap();
        let path = journal.join("journal.lock");
        let held = (workplace.journal_lock)(&path).unwrap();
        let second = FlockLock::acquire(&path, &LockConfig::waiting(Wait::Never));
        assert!(second.unwrap_err().is_contention());
        assert!(super::super::registry::held().iter().any(|held| held.path == path && held.group == "journal"));
        drop(held);
        assert!(workplace.journal().read().unwrap().is_empty());
        assert!(FlockLock::acquire(&path, &LockConfig::waiting(Wait::Never)).is_ok());
    }
}
