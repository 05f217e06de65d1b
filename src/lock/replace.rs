//! Writing a file as git does: the new content goes to `<file>.lock`, made exclusively, and is renamed into place.
//!
//! Owns: [`Replace`]. Never: leaves half of a file, nor its lock after a failed or dropped write.

use super::LockError;
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
    /// Begins; [`LockError::Taken`] where `<file>.lock` exists.
    pub fn begin(target: &Path) -> Result<Self, LockError> {
        let mut lock = OsString::from(target);
        lock.push(".lock");
        let lock = PathBuf::from(lock);
        match File::options().write(true).create_new(true).open(&lock) {
            Ok(file) => Ok(Self { target: target.to_owned(), lock, file: Some(file) }),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(LockError::Taken(lock)),
            Err(error) => Err(LockError::failed(&lock, "making the lock file")(error)),
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
            let _ = std::fs::remove_file(&self.lock);
        }
    }
}

/// Replaces a file's content.
pub fn replace(target: &Path, content: &[u8]) -> Result<(), LockError> {
    let mut replace = Replace::begin(target)?;
    replace.write_all(content).map_err(LockError::failed(target, "writing"))?;
    replace.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_write_changes_nothing_and_leaves_no_lock() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("settings");
        replace(&path, b"old").unwrap();
        let mut write = Replace::begin(&path).unwrap();
        write.write_all(b"half of the n").unwrap();
        assert!(matches!(Replace::begin(&path), Err(LockError::Taken(_))));
        drop(write);
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(base.path()).unwrap().count(), 1);
        replace(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn a_failed_rename_leaves_no_lock() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("settings");
        std::fs::create_dir_all(path.join("in the way")).unwrap();
        assert!(replace(&path, b"new").is_err());
        assert!(!base.path().join("settings.lock").exists());
        assert!(path.join("in the way").exists());
    }
}
