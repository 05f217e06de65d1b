//! A directory held open, and what can be read in it without following, blocking or changing anything.

use super::guard::Nested;
use crate::model::facts::{FileKind, FileStat};
use crate::model::time::Wall;
use crate::platform::{Directory, DirectoryId};
use rustix::buffer::spare_capacity;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, Statx, StatxAttributes, StatxFlags};
use rustix::io::Errno;
use rustix::path::Arg;
use std::ffi::{OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

pub(super) struct LinuxDirectory {
    fd: OwnedFd,
    path: PathBuf,
    id: DirectoryId,
    /// What is mounted below that may not answer; mostly nothing.
    nested: Option<Nested>,
}

pub(super) const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// `O_NONBLOCK`: a FIFO put in the file's place after we looked must not block us. `O_NOATIME`: looking leaves no trace.
const READ: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

impl LinuxDirectory {
    /// The path given may lead through links (`/var/lock` is one on many systems); nothing below it will.
    pub(super) fn open(path: &Path, nested: Option<Nested>) -> io::Result<Self> {
        Self::from_fd(rustix::fs::open(path, DIRECTORY, Mode::empty())?, path.to_owned(), nested)
    }

    fn from_fd(fd: OwnedFd, path: PathBuf, nested: Option<Nested>) -> io::Result<Self> {
        let stat = file_stat(&statx(fd.as_fd(), c"", AtFlags::EMPTY_PATH)?);
        Ok(Self { fd, path, id: DirectoryId::of(&stat), nested })
    }

    /// Who looks in our stead, where a mount that may not answer stands at this name.
    fn guarded(&self, name: &OsStr) -> Option<Box<dyn Directory>> {
        self.nested.as_ref().and_then(|nested| nested.guarded(name, self))
    }
}

pub(super) fn statx(fd: BorrowedFd<'_>, name: impl Arg, flags: AtFlags) -> rustix::io::Result<Statx> {
    // AT_NO_AUTOMOUNT: looking must not mount anything.
    let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME | StatxFlags::MNT_ID;
    rustix::fs::statx(fd, name, flags | AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT, wanted)
}

pub(super) fn file_stat(stat: &Statx) -> FileStat {
    let mask = StatxFlags::from_bits_retain(stat.stx_mask);
    let wall = |time: rustix::fs::StatxTimestamp| Wall::from_parts(time.tv_sec, time.tv_nsec);
    FileStat {
        kind: file_kind(FileType::from_raw_mode(u32::from(stat.stx_mode))),
        mode: stat.stx_mode & 0o7777,
        uid: stat.stx_uid,
        links: stat.stx_nlink,
        size: stat.stx_size,
        dev: rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor),
        ino: stat.stx_ino,
        mount: if mask.contains(StatxFlags::MNT_ID) { stat.stx_mnt_id } else { 0 },
        modified: wall(stat.stx_mtime),
        changed: wall(stat.stx_ctime),
        born: mask.contains(StatxFlags::BTIME).then(|| wall(stat.stx_btime)),
        mount_root: stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT),
    }
}

pub(super) fn file_kind(kind: FileType) -> FileKind {
    match kind {
        FileType::RegularFile => FileKind::Regular,
        FileType::Directory => FileKind::Directory,
        FileType::Symlink => FileKind::Symlink,
        FileType::Fifo => FileKind::Fifo,
        FileType::Socket => FileKind::Socket,
        _ => FileKind::Device,
    }
}

/// Is given the bytes of a name, its kind where the file system tells it for free, and its inode number.
pub(super) type EachEntry<'a> = &'a mut dyn FnMut(&[u8], Option<FileType>, u64);

/// All names in a directory but `.` and `..`.
pub(super) fn each_entry(
    fd: BorrowedFd<'_>, buffer: &mut [MaybeUninit<u8>], each: EachEntry<'_>,
) -> rustix::io::Result<()> {
    // A descriptor of its own: the position of ours is shared by whoever else reads.
    let fd = rustix::fs::openat(fd, c".", DIRECTORY, Mode::empty())?;
    let mut stream = RawDir::new(fd, buffer);
    while let Some(entry) = stream.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            let kind = entry.file_type();
            each(name, (kind != FileType::Unknown).then_some(kind), entry.ino());
        }
    }
    Ok(())
}

/// What came of reading a name.
pub(super) enum Regular {
    /// It is a regular file; the stat is from after the read: what changed meanwhile shows in it.
    Is(FileStat),
    /// It was one when it was looked at.
    Became(FileKind),
}

/// Reads at most `limit` bytes. `bytes` does not grow beyond its capacity where that is `limit`.
pub(super) fn read_regular(
    fd: BorrowedFd<'_>, name: impl Arg + Copy, limit: usize, bytes: &mut Vec<u8>,
) -> rustix::io::Result<Regular> {
    let fd = match rustix::fs::openat(fd, name, READ | OFlags::NOATIME, Mode::empty()) {
        // Only the owner (and root) may ask for O_NOATIME.
        Err(Errno::PERM) => rustix::fs::openat(fd, name, READ, Mode::empty())?,
        other => other?,
    };
    bytes.clear();
    let mut step = limit.min(4096);
    while bytes.len() < limit {
        // Without effect where there is room: a scout must not ask for memory.
        bytes.reserve(step - bytes.len());
        let (at, room) = (bytes.len() as u64, bytes.capacity() - bytes.len());
        // At an offset: should a FIFO or a socket have taken its place, that fails (ESPIPE) and takes nothing out of it.
        match rustix::io::pread(&fd, spare_capacity(bytes), at) {
            // Of a regular file less than was asked for is all that there is.
            Ok(count) if count < room => break,
            Ok(_) => step = (bytes.len() * 4).clamp(bytes.len(), limit.max(bytes.len())),
            Err(Errno::INTR) => {}
            Err(Errno::SPIPE) => break,
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(limit);
    let stat = file_stat(&statx(fd.as_fd(), c"", AtFlags::EMPTY_PATH)?);
    if stat.kind != FileKind::Regular {
        bytes.clear();
        return Ok(Regular::Became(stat.kind));
    }
    Ok(Regular::Is(stat))
}

/// The error for [`Regular::Became`].
pub(super) fn became(kind: FileKind) -> io::Error {
    io::Error::other(format!("became a {} while it was looked at", kind.name()))
}

impl Directory for LinuxDirectory {
    fn path(&self) -> &Path {
        &self.path
    }

    fn id(&self) -> DirectoryId {
        self.id
    }

    fn real_path(&self) -> Option<PathBuf> {
        use std::os::fd::AsRawFd as _;
        std::fs::read_link(format!("/proc/self/fd/{}", self.fd.as_raw_fd())).ok()
    }

    fn entries(&self, each: &mut dyn FnMut(&OsStr, Option<FileKind>, u64)) -> io::Result<()> {
        let mut buffer = vec![MaybeUninit::uninit(); 64 * 1024];
        let mut each =
            |name: &[u8], kind: Option<FileType>, ino| each(OsStr::from_bytes(name), kind.map(file_kind), ino);
        Ok(each_entry(self.fd.as_fd(), &mut buffer, &mut each)?)
    }

    fn stat(&self, name: &OsStr) -> io::Result<FileStat> {
        if let Some(guarded) = self.guarded(name) {
            return guarded.stat(name);
        }
        Ok(file_stat(&statx(self.fd.as_fd(), name, AtFlags::empty())?))
    }

    fn read(&self, name: &OsStr, limit: usize) -> io::Result<(FileStat, Vec<u8>)> {
        if let Some(guarded) = self.guarded(name) {
            return guarded.read(name, limit);
        }
        let mut bytes = Vec::new();
        let stat = self.read_into(name, limit, &mut bytes)?;
        Ok((stat, bytes))
    }

    fn read_into(&self, name: &OsStr, limit: usize, bytes: &mut Vec<u8>) -> io::Result<FileStat> {
        if let Some(guarded) = self.guarded(name) {
            return guarded.read_into(name, limit, bytes);
        }
        match read_regular(self.fd.as_fd(), name, limit, bytes)? {
            Regular::Is(stat) => Ok(stat),
            Regular::Became(kind) => Err(became(kind)),
        }
    }

    fn read_link(&self, name: &OsStr) -> io::Result<OsString> {
        if let Some(guarded) = self.guarded(name) {
            return guarded.read_link(name);
        }
        let target = rustix::fs::readlinkat(&self.fd, name, Vec::new())?;
        Ok(OsString::from_vec(target.into_bytes()))
    }

    fn open_child(&self, name: &OsStr) -> io::Result<Box<dyn Directory>> {
        if let Some(guarded) = self.guarded(name) {
            return guarded.open_child(name);
        }
        let fd = rustix::fs::openat(&self.fd, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
        let nested = self.nested.as_ref().and_then(|nested| nested.below(name));
        Ok(Box::new(Self::from_fd(fd, self.path.join(name), nested)?))
    }
}
