//! Writing a file as git does: the new content goes to `<file>.lock`, made exclusively, and is renamed into place.
//!
//! Owns: [`Replace`]. Never: leaves half of a file, nor its lock after a failed or dropped write. Only `kill -9` in the
//! middle leaves `<file>.lock`, as with git; it holds what was about to be written, and names nobody.

use super::patience::Patience;
use super::registry::group_of;
use super::{LockConfig, LockError};
use crate::platform::environment::own_pid;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file about to be replaced. While this lives no other replacer can write it; dropped, nothing has changed.
#[derive(Debug)]
pub struct Replace {
    target: PathBuf,
    lock: PathBuf,
    file: Option<File>,
}

impl Replace {
    /// Begins, waiting as the settings say for whoever has `<file>.lock`.
    pub fn begin(target: impl AsRef<Path>, config: &LockConfig) -> Result<Self, LockError> {
        let target = target.as_ref();
        let mut lock = OsString::from(target);
        lock.push(".lock");
        let lock = PathBuf::from(lock);
        let mut patience = Patience::new(&lock, &group_of(&lock), config);
        let pid = own_pid();
        loop {
            match File::options().write(true).create_new(true).open(&lock) {
                Ok(file) => {
                    let waited_ms = patience.waited().as_millis() as u64;
                    tracing::debug!(path = %lock.display(), group = group_of(&lock), pid, waited_ms, kind = "replace", "acquired");
                    keep_permissions(target, &file);
                    return Ok(Self { target: target.to_owned(), lock, file: Some(file) });
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
    pub fn commit(mut self) -> Result<(), LockError> {
        let failed = |doing| LockError::failed(&self.target, doing);
        if let Some(file) = &self.file {
            file.sync_all().map_err(failed("writing"))?;
        }
        std::fs::rename(&self.lock, &self.target).map_err(failed("renaming into place"))?;
        self.file = None; // from here on dropping has nothing to remove
        tracing::debug!(path = %self.lock.display(), pid = own_pid(), kind = "replace", "committed");
        if let Some(directory) = self.target.parent() {
            let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
            // Elsewhere than on Unix a directory cannot be opened; there the rename is durable by itself.
            if let Ok(directory) = File::open(directory) {
                let _ = directory.sync_all();
            }
        }
        Ok(())
    }
}

impl Write for Replace {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.as_mut().map_or_else(|| Err(io::ErrorKind::BrokenPipe.into()), |file| file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for Replace {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // Ours: made by O_EXCL, and git's rule is that nobody else touches it.
            let removed = std::fs::remove_file(&self.lock);
            tracing::debug!(path = %self.lock.display(), pid = own_pid(), ?removed, kind = "replace", "given up");
        }
    }
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
    fn a_failed_rename_leaves_no_lock() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("settings");
        std::fs::create_dir_all(path.join("in the way")).unwrap();
        assert!(replace(&path, b"new", &now()).is_err());
        assert!(!base.path().join("settings.lock").exists());
        assert!(path.join("in the way").exists());
    }
}
