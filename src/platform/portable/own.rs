//! Things of our own: private directories, their way to the disk, random numbers.

use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::path::{Path, PathBuf};

/// 128 random bits: the standard library seeds its hash tables from the system's source. Good for names, not for secrets.
pub fn random() -> io::Result<u128> {
    let half = || u128::from(RandomState::new().hash_one(std::process::id()));
    Ok(half() << 64 | half())
}

/// Makes a directory of our own, with its parents; only for us where that can be said. Refuses one that is a link.
pub fn private_directory(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.recursive(false).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = std::fs::symlink_metadata(path)?;
    #[cfg(unix)]
    let ours = std::os::unix::fs::MetadataExt::uid(&found) == super::own_uid();
    #[cfg(not(unix))]
    let ours = true;
    if found.is_dir() && ours {
        return Ok(());
    }
    let why = format!("{} is not a directory of ours; move it away", path.display());
    Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
}

/// Brings the entries of a directory to the disk, where a directory can be opened for that.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    if cfg!(unix) { std::fs::File::open(path)?.sync_all() } else { Ok(()) }
}

/// Where things of this login session stand.
pub fn runtime_directory() -> PathBuf {
    std::env::temp_dir().join("lockscope")
}

/// Signals are not caught here, and end the program at once: nothing is ever cleared here, so nothing is left half done.
#[cfg(feature = "cli")]
#[derive(Debug)]
pub struct Interrupt;

#[cfg(feature = "cli")]
impl Interrupt {
    /// Catches nothing.
    pub fn catch() -> io::Result<Self> {
        Ok(Self)
    }

    /// None ever came.
    pub fn is_set(&self) -> bool {
        false
    }

    /// Waits so long.
    pub fn wait(&self, at_most: std::time::Duration) -> bool {
        std::thread::sleep(at_most);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_directory_is_no_link() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("deep/own");
        private_directory(&path).unwrap();
        private_directory(&path).unwrap();
        sync_directory(&path).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
            std::os::unix::fs::symlink(&path, base.path().join("link")).unwrap();
            assert!(private_directory(&base.path().join("link")).is_err());
        }
    }

    #[test]
    fn random_numbers_differ() {
        assert_ne!(random().unwrap(), random().unwrap());
    }
}
