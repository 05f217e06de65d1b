//! `flock(2)` on a file of our own: the kernel drops it with its holder, so it cannot become stale.
//!
//! Owns: [`FlockLock`]. Never: deletes the file; that is what lets two in.

use super::LockError;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// An exclusive kernel lock, held until it is dropped.
#[derive(Debug)]
pub struct FlockLock {
    file: File,
    path: PathBuf,
}

impl FlockLock {
    /// Takes it, waiting at most `timeout` by a clock that never steps.
    pub fn take(path: &Path, timeout: Duration) -> Result<Self, LockError> {
        let began = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            let file = File::options().create(true).truncate(false).read(true).write(true).open(path);
            let file = file.map_err(LockError::failed(path, "opening the lock file"))?;
            match file.try_lock() {
                // Somebody may have deleted and remade the file between our open and our lock: then we hold a lock on
                // a file that nobody else will ever open.
                Ok(()) if stands_at(&file, path) => return Ok(Self { file, path: path.to_owned() }),
                Ok(()) => continue,
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(LockError::failed(path, "locking")(error)),
            }
            let waited = began.elapsed();
            if waited >= timeout {
                return Err(LockError::TimedOut { path: path.to_owned(), waited });
            }
            std::thread::sleep(pause.min(timeout.saturating_sub(waited)));
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }

    /// The locked file, for reading and writing.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(unix)]
fn stands_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(held), Ok(named)) => (held.dev(), held.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn stands_at(_file: &File, path: &Path) -> bool {
    path.exists() // elsewhere an open file cannot be deleted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_waits_no_longer_than_it_was_told() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("x.lock");
        let first = FlockLock::take(&path, Duration::ZERO).unwrap();
        let second = FlockLock::take(&path, Duration::from_millis(20));
        assert!(matches!(second, Err(LockError::TimedOut { waited, .. }) if waited >= Duration::from_millis(20)));
        drop(first);
        assert!(FlockLock::take(&path, Duration::ZERO).is_ok());
        assert!(path.exists(), "the file stays");
    }

    #[test]
    fn a_file_that_was_remade_is_another_lock() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("x.lock");
        let first = FlockLock::take(&path, Duration::ZERO).unwrap();
        std::fs::remove_file(&path).unwrap();
        let second = FlockLock::take(&path, Duration::ZERO).unwrap();
        assert!(!stands_at(first.file(), &path));
        assert!(stands_at(second.file(), second.path()));
    }
}
