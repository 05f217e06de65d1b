//! Writing a file as git does: the new content goes to `<file>.lock`, made exclusively, and is renamed into place.
//!
//! Owns: [`Replace`]. Never: leaves half of a file, nor its lock after a failed or dropped write. Only `kill -9` in the
//! middle leaves `<file>.lock`, as with git; it holds what was about to be written, and names nobody.

use super::patience::Patience;
use super::registry::{Grip, Held, Hold, Kind, Released, group_of};
use super::{Guard, LockConfig, LockError};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file about to be replaced. While this lives no other replacer can write it; dropped, or let go with its group, nothing
/// has changed.
///
/// It locks even where [`LockConfig::enabled`] is off: the lock file is where the new content is written.
#[derive(Debug)]
#[must_use = "dropped at once it changes nothing"]
pub struct Replace {
    target: PathBuf,
    grip: Grip<New>,
}

/// The new content.
#[derive(Debug)]
struct New {
    file: File,
    in_place: bool,
}

impl Hold for New {
    fn let_go(&mut self, path: &Path) -> Result<Released, LockError> {
        if self.in_place {
            return Ok(Released::Freed);
        }
        // Git's rule is that nobody else touches it. Whoever did all the same has another file there now.
        if !stands_at(&self.file, path) {
            return Ok(Released::NotOurs);
        }
        match std::fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Released::NotOurs),
            Err(error) => Err(LockError::failed(path, "removing the lock file")(error)),
            Ok(()) => Ok(Released::Freed),
        }
    }
}

impl Replace {
    /// Begins, waiting as the settings say for whoever has `<file>.lock`. The group is what that name gives.
    pub fn begin(target: impl AsRef<Path>, config: &LockConfig) -> Result<Self, LockError> {
        let target = target.as_ref();
        Self::begin_in(&group_of(&lock_of(target)), target, config)
    }

    /// The same, as part of a piece of work.
    pub fn begin_in(group: &str, target: impl AsRef<Path>, config: &LockConfig) -> Result<Self, LockError> {
        let target = target.as_ref();
        let lock = lock_of(target);
        let mut patience = Patience::new(&lock, group, config);
        loop {
            match File::options().write(true).create_new(true).open(&lock) {
                Ok(file) => {
                    keep_permissions(target, &file);
                    let new = New { file, in_place: false };
                    let grip = Grip::new(&lock, group, Kind::Replace, patience.waited(), new);
                    return Ok(Self { target: target.to_owned(), grip });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(patience.failed(LockError::failed(&lock, "making the lock file")(error))),
            }
            if !patience.pause() {
                return Err(patience.failed(patience.spent(super::ask::holder_sentence(&lock))));
            }
        }
    }

    /// Puts the new content in place: on the disk before the rename, and the rename on the disk before returning.
    pub fn commit(self) -> Result<(), LockError> {
        let lock = &self.grip.about().path;
        let lost = |why: &str| LockError::Lost { path: lock.clone(), why: why.to_owned() };
        let put_in_place = |new: &mut New| {
            let failed = |doing| LockError::failed(&self.target, doing);
            new.file.sync_all().map_err(failed("writing"))?;
            if !stands_at(&new.file, lock) {
                // Renamed, it would put another's content in place.
                return Err(lost("the lock file was removed or replaced"));
            }
            std::fs::rename(lock, &self.target).map_err(failed("renaming into place"))?;
            new.in_place = true; // from here on letting go has nothing to remove
            Ok(())
        };
        self.grip.with(put_in_place).unwrap_or_else(|| Err(lost("it was released")))?;
        self.grip.release()?;
        if let Some(directory) = self.target.parent() {
            let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
            // Elsewhere than on Unix a directory cannot be opened; there the rename is durable by itself.
            if let Ok(directory) = File::open(directory) {
                let _ = directory.sync_all();
            }
        }
        Ok(())
    }

    /// The path of the lock, its group, and since when.
    pub fn about(&self) -> &Held {
        self.grip.about()
    }

    fn with_file(&self, deed: impl FnOnce(&mut File) -> io::Result<usize>) -> io::Result<usize> {
        let released = || Err(io::Error::new(io::ErrorKind::BrokenPipe, "its lock was released"));
        self.grip.with(|new| deed(&mut new.file)).unwrap_or_else(released)
    }
}

impl Guard for Replace {
    fn about(&self) -> &Held {
        self.about()
    }

    fn check(&self) -> Result<(), LockError> {
        let path = &self.about().path;
        let lost = |why: &str| Err(LockError::Lost { path: path.clone(), why: why.to_owned() });
        match self.grip.with(|new| stands_at(&new.file, path)) {
            Some(true) => Ok(()),
            Some(false) => lost("the lock file was removed or replaced"),
            None => lost("it was released"),
        }
    }
}

impl Write for Replace {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.with_file(|file| file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.with_file(|file| file.flush().map(|()| 0)).map(drop)
    }
}

/// `<file>.lock`.
fn lock_of(target: &Path) -> PathBuf {
    let mut lock = OsString::from(target);
    lock.push(".lock");
    PathBuf::from(lock)
}

/// Whether the path leads to this very file.
#[cfg(unix)]
fn stands_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let Ok((held, named)) = file.metadata().and_then(|held| Ok((held, std::fs::symlink_metadata(path)?))) else {
        return false;
    };
    (held.dev(), held.ino()) == (named.dev(), named.ino())
}

#[cfg(not(unix))]
fn stands_at(_file: &File, path: &Path) -> bool {
    path.exists() // elsewhere an open file cannot be deleted
}

/// What only its owner could read stays so. Where it cannot be done (another's file), the new one has the usual ones.
fn keep_permissions(target: &Path, file: &File) {
    if let Ok(old) = std::fs::metadata(target) {
        let _ = file.set_permissions(old.permissions());
    }
}

/// Replaces a file's content.
///
/// ```
/// # let base = tempfile::tempdir()?;
/// # let path = base.path().join("motd");
/// use lockscope::lock::{LockConfig, replace::replace};
/// replace(&path, "Welcome\n", &LockConfig::default())?;
/// assert_eq!(std::fs::read_to_string(&path)?, "Welcome\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn replace(target: impl AsRef<Path>, content: impl AsRef<[u8]>, config: &LockConfig) -> Result<(), LockError> {
    let target = target.as_ref();
    let mut replace = Replace::begin(target, config)?;
    replace.write_all(content.as_ref()).map_err(LockError::failed(target, "writing"))?;
    replace.commit()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::Wait;

    fn now() -> LockConfig {
        LockConfig::waiting(Wait::Never)
    }

    #[test]
    fn a_dropped_write_changes_nothing_and_leaves_no_lock() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("settings");
        replace(&path, b"old", &now()).unwrap();
        let mut write = Replace::begin(&path, &now()).unwrap();
        write.write_all(b"half of the n").unwrap();
        assert!(matches!(Replace::begin(&path, &now()), Err(LockError::Taken { .. })));
        drop(write);
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(base.path()).unwrap().count(), 1);
        replace(&path, b"new", &now()).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn it_is_let_go_with_its_group_and_then_writes_nothing_more() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("settings");
        let mut write = Replace::begin_in("job of a replace", &path, &now()).unwrap();
        write.write_all(b"half").unwrap();
        write.check().unwrap();
        let freed = crate::lock::release_group("job of a replace");
        assert!(matches!(&freed[..], [(lock, Ok(Released::Freed))] if *lock == base.path().join("settings.lock")));
        assert!(write.write_all(b"more").is_err());
        assert!(matches!(write.commit(), Err(LockError::Lost { .. })));
        assert_eq!(std::fs::read_dir(base.path()).unwrap().count(), 0);
    }

    #[cfg(unix)]
    #[test]
    fn another_ones_lock_file_is_neither_removed_nor_put_in_place() {
        let base = tempfile::tempdir().unwrap();
        let (path, lock) = (base.path().join("settings"), base.path().join("settings.lock"));
        let write = Replace::begin(&path, &now()).unwrap();
        // Somebody took it away by hand, and another has it now.
        std::fs::remove_file(&lock).unwrap();
        let others = Replace::begin(&path, &now()).unwrap();
        assert!(matches!(write.commit(), Err(LockError::Lost { .. })));
        assert!(!path.exists());
        others.check().unwrap();
        drop(others);
        assert_eq!(std::fs::read_dir(base.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_failed_rename_leaves_no_lock() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("settings");
        std::fs::create_dir_all(path.join("in the way")).unwrap();
        assert!(replace(&path, b"new", &now()).is_err());
        assert!(!base.path().join("settings.lock").exists());
        assert!(path.join("in the way").exists());
    }
}
