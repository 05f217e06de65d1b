//! A directory by its path, and what can be read in it without following a link, blocking, or changing anything.
//!
//! There is no holding a directory open here: one that is put in its place is told by its [`DirectoryId`] at the next
//! pass, not at once.

use super::volumes::{self, Volumes};
use crate::model::facts::{FileKind, FileStat};
use crate::model::time::Wall;
use crate::platform::{Directory, DirectoryId};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, FileType, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

pub(super) struct PortableDirectory {
    /// As it was asked for.
    path: PathBuf,
    /// Without links: one in the path that is re-pointed leads nowhere else.
    real: PathBuf,
    id: DirectoryId,
    volumes: Arc<Volumes>,
}

impl PortableDirectory {
    pub(super) fn open(path: &Path, volumes: &Arc<Volumes>) -> io::Result<Self> {
        Self::at(path.to_owned(), path.canonicalize()?, volumes)
    }

    fn at(path: PathBuf, real: PathBuf, volumes: &Arc<Volumes>) -> io::Result<Self> {
        let metadata = fs::symlink_metadata(&real)?;
        if !metadata.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let (dev, ino) = identity(&metadata);
        // Without numbers the time of its making tells it from another.
        let ino = if ino == 0 { metadata.created().map_or(0, |time| wall(time).0.cast_unsigned()) } else { ino };
        let id = DirectoryId { dev, ino, mount: volumes::number(&real, &metadata) };
        Ok(Self { path, real, id, volumes: Arc::clone(volumes) })
    }

    /// The path of a name in it; nothing that leads out of it is one.
    fn child(&self, name: &OsStr) -> io::Result<PathBuf> {
        if Path::new(name).file_name() == Some(name) {
            Ok(self.real.join(name))
        } else {
            Err(io::ErrorKind::InvalidInput.into())
        }
    }

    fn file_stat(&self, metadata: &Metadata) -> FileStat {
        let (dev, ino) = identity(metadata);
        let modified = metadata.modified().map_or_else(|_| Wall::default(), wall);
        let posix = Posix::of(metadata);
        FileStat {
            kind: file_kind(metadata.file_type()),
            mode: posix.mode,
            uid: posix.uid,
            links: posix.links,
            size: metadata.len(),
            dev,
            ino,
            mount: self.id.mount,
            modified,
            changed: posix.changed.unwrap_or(modified),
            born: metadata.created().ok().map(wall),
            mount_root: dev != self.id.dev,
        }
    }
}

fn wall(time: SystemTime) -> Wall {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => Wall::default().plus(since),
        Err(before) => Wall::default().minus(before.duration()),
    }
}

/// What only POSIX tells of a file.
struct Posix {
    mode: u16,
    uid: u32,
    links: u32,
    changed: Option<Wall>,
}

#[cfg(unix)]
impl Posix {
    fn of(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        Self {
            mode: (metadata.mode() & 0o7777) as u16,
            uid: metadata.uid(),
            links: metadata.nlink() as u32,
            changed: Some(Wall::from_parts(metadata.ctime(), metadata.ctime_nsec() as u32)),
        }
    }
}

#[cfg(not(unix))]
impl Posix {
    fn of(_metadata: &Metadata) -> Self {
        Self { mode: 0, uid: crate::platform::NO_USER, links: 1, changed: None }
    }
}

/// Device and inode number; zeroes where `std` has none.
#[cfg(unix)]
fn identity(metadata: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt as _;
    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn identity(_metadata: &Metadata) -> (u64, u64) {
    (0, 0)
}

fn file_kind(kind: FileType) -> FileKind {
    if kind.is_file() {
        FileKind::Regular
    } else if kind.is_dir() {
        FileKind::Directory
    } else if kind.is_symlink() {
        FileKind::Symlink
    } else {
        special(kind)
    }
}

#[cfg(unix)]
fn special(kind: FileType) -> FileKind {
    use std::os::unix::fs::FileTypeExt as _;
    if kind.is_fifo() {
        FileKind::Fifo
    } else if kind.is_socket() {
        FileKind::Socket
    } else {
        FileKind::Device
    }
}

#[cfg(not(unix))]
fn special(_kind: FileType) -> FileKind {
    FileKind::Device
}

/// A FIFO or a link that is put in the file's place after we looked must neither block us nor lead us away.
#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use rustix::fs::OFlags;
    use std::os::unix::fs::OpenOptionsExt as _;
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)
}

/// The standard library opens for all kinds of sharing, so that nobody is kept from writing or deleting meanwhile.
#[cfg(windows)]
fn open(path: &Path) -> io::Result<File> {
    use std::os::windows::fs::OpenOptionsExt as _;
    /// `FILE_FLAG_OPEN_REPARSE_POINT`: a link itself, not what it leads to.
    const NO_FOLLOW: u32 = 0x0020_0000;
    OpenOptions::new().read(true).custom_flags(NO_FOLLOW).open(path)
}

impl Directory for PortableDirectory {
    fn path(&self) -> &Path {
        &self.path
    }

    fn id(&self) -> DirectoryId {
        self.id
    }

    fn real_path(&self) -> Option<PathBuf> {
        Some(self.real.clone())
    }

    fn entries(&self, each: &mut dyn FnMut(&OsStr, Option<FileKind>, u64)) -> io::Result<()> {
        for entry in fs::read_dir(&self.real)? {
            let entry = entry?;
            #[cfg(unix)]
            let ino = std::os::unix::fs::DirEntryExt::ino(&entry);
            #[cfg(not(unix))]
            let ino = 0;
            each(&entry.file_name(), entry.file_type().ok().map(file_kind), ino);
        }
        Ok(())
    }

    fn stat(&self, name: &OsStr) -> io::Result<FileStat> {
        Ok(self.file_stat(&fs::symlink_metadata(self.child(name)?)?))
    }

    fn read(&self, name: &OsStr, limit: usize) -> io::Result<(FileStat, Vec<u8>)> {
        let path = self.child(name)?;
        let regular = |metadata: &Metadata| {
            let kind = file_kind(metadata.file_type());
            let changed = || io::Error::other(format!("became a {} while it was looked at", kind.name()));
            if kind == FileKind::Regular { Ok(()) } else { Err(changed()) }
        };
        regular(&fs::symlink_metadata(&path)?)?;
        let file = open(&path)?;
        regular(&file.metadata()?)?;
        let mut bytes = Vec::new();
        (&file).take(limit as u64).read_to_end(&mut bytes)?;
        // The stat from after the read: what changed meanwhile shows in it.
        Ok((self.file_stat(&file.metadata()?), bytes))
    }

    fn read_link(&self, name: &OsStr) -> io::Result<OsString> {
        Ok(fs::read_link(self.child(name)?)?.into_os_string())
    }

    fn open_child(&self, name: &OsStr) -> io::Result<Box<dyn Directory>> {
        let real = self.child(name)?;
        Ok(Box::new(Self::at(self.path.join(name), real, &self.volumes)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn opened(base: &tempfile::TempDir) -> PortableDirectory {
        PortableDirectory::open(base.path(), &Arc::default()).unwrap()
    }

    #[test]
    fn what_is_seen_is_what_lstat_tells() {
        use std::os::unix::fs::MetadataExt as _;
        let base = tempfile::tempdir().unwrap();
        fs::write(base.path().join("x.lock"), "4711\n").unwrap();
        let directory = opened(&base);
        let told = fs::symlink_metadata(base.path().join("x.lock")).unwrap();
        let (stat, bytes) = directory.read(OsStr::new("x.lock"), 3).unwrap();
        assert_eq!(bytes, b"471", "no more than asked for");
        assert_eq!(stat, directory.stat(OsStr::new("x.lock")).unwrap());
        assert_eq!((stat.kind, stat.size, stat.links, stat.ino), (FileKind::Regular, 5, 1, told.ino()));
        assert_eq!(stat.modified, wall(told.modified().unwrap()));
        assert!(!stat.mount_root && stat.proof_time() >= stat.modified);
        let mut names = Vec::new();
        directory.entries(&mut |name, kind, ino| names.push((name.to_owned(), kind, ino))).unwrap();
        assert_eq!(names, [("x.lock".into(), Some(FileKind::Regular), told.ino())]);
    }

    #[test]
    fn links_are_named_not_followed() {
        let base = tempfile::tempdir().unwrap();
        fs::create_dir(base.path().join("below")).unwrap();
        fs::write(base.path().join("file"), "secret").unwrap();
        symlink("below", base.path().join("to-directory")).unwrap();
        symlink("file", base.path().join("to-file")).unwrap();
        let directory = opened(&base);
        assert!(directory.open_child(OsStr::new("below")).is_ok());
        assert!(directory.open_child(OsStr::new("to-directory")).is_err());
        assert!(directory.read(OsStr::new("to-file"), 10).is_err());
        assert!(open(&base.path().join("to-file")).is_err(), "not even where it was put there just now");
        assert_eq!(directory.read_link(OsStr::new("to-file")).unwrap(), "file");
        assert_eq!(directory.stat(OsStr::new("to-file")).unwrap().kind, FileKind::Symlink);
        for outside in ["..", "../x", "below/x", "/etc/passwd", ""] {
            assert!(directory.stat(OsStr::new(outside)).is_err(), "{outside:?}");
        }
    }

    #[test]
    fn a_fifo_blocks_nobody() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("pipe.lock");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        assert!(open(&path).is_ok(), "opened unawares, it still does not block");
        let directory = opened(&base);
        assert_eq!(directory.stat(OsStr::new("pipe.lock")).unwrap().kind, FileKind::Fifo);
        let refused = directory.read(OsStr::new("pipe.lock"), 10).unwrap_err();
        assert!(refused.to_string().contains("FIFO"), "{refused}");
    }

    #[test]
    fn another_directory_at_the_path_is_another() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("locks");
        fs::create_dir(&path).unwrap();
        let first = PortableDirectory::open(&path, &Arc::default()).unwrap().id();
        fs::rename(&path, base.path().join("old")).unwrap();
        fs::create_dir(&path).unwrap();
        assert_ne!(PortableDirectory::open(&path, &Arc::default()).unwrap().id(), first);
        fs::write(base.path().join("file"), "").unwrap();
        let refused = PortableDirectory::open(&base.path().join("file"), &Arc::default()).err().unwrap();
        assert_eq!(refused.kind(), io::ErrorKind::NotADirectory);
    }
}
