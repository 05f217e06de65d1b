//! Changing: the calls by which `clear` moves files about, each relative to a directory that is held open.
//!
//! Owns: [`Place`], [`Pin`], [`Reader`] (with its lease), [`Quiet`], and with them all `unsafe` but a scout's fork.
//! Never: decides whether to act, follows a link, or overwrites anything. Only `unlink` and `remove_directory` destroy.

use crate::model::facts::{FileKind, FileStat};
use crate::model::time::Wall;
use crate::platform::DirectoryId;
use rustix::fs::{self as sys, AtFlags, Mode, OFlags, RenameFlags, ResolveFlags, StatxAttributes, StatxFlags};
use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// A name within a directory: one component, ready for a system call without allocating.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(CString);

impl Name {
    /// `None` for what is no single component (`..` would leave the pinned directory).
    pub fn new(name: &OsStr) -> Option<Self> {
        let bytes = name.as_bytes();
        if bytes.is_empty() || bytes == b"." || bytes == b".." || bytes.contains(&b'/') {
            return None;
        }
        CString::new(bytes).ok().map(Self)
    }

    /// For a system call.
    pub fn as_c_str(&self) -> &CStr {
        &self.0
    }

    /// As the file system has it.
    pub fn as_os_str(&self) -> &OsStr {
        OsStr::from_bytes(self.0.as_bytes())
    }
}

/// What `statx` tells, and whether the inode refuses every change (`chattr +i`, `+a`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The facts.
    pub stat: FileStat,
    /// STATX_ATTR_IMMUTABLE or STATX_ATTR_APPEND.
    pub fixed: bool,
}

fn statx(directory: BorrowedFd<'_>, name: &CStr, flags: AtFlags) -> io::Result<Seen> {
    let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME | StatxFlags::MNT_ID;
    let raw = sys::statx(directory, name, flags | AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT, wanted)?;
    let kind = match sys::FileType::from_raw_mode(raw.stx_mode.into()) {
        sys::FileType::RegularFile => FileKind::Regular,
        sys::FileType::Directory => FileKind::Directory,
        sys::FileType::Symlink => FileKind::Symlink,
        sys::FileType::Fifo => FileKind::Fifo,
        sys::FileType::Socket => FileKind::Socket,
        _ => FileKind::Device,
    };
    let has = |flag: StatxFlags| raw.stx_mask & flag.bits() != 0;
    let stat = FileStat {
        kind,
        mode: raw.stx_mode & 0o7777,
        uid: raw.stx_uid,
        links: raw.stx_nlink,
        size: raw.stx_size,
        dev: sys::makedev(raw.stx_dev_major, raw.stx_dev_minor),
        ino: raw.stx_ino,
        mount: if has(StatxFlags::MNT_ID) { raw.stx_mnt_id } else { 0 },
        modified: Wall::from_parts(raw.stx_mtime.tv_sec, raw.stx_mtime.tv_nsec),
        changed: Wall::from_parts(raw.stx_ctime.tv_sec, raw.stx_ctime.tv_nsec),
        born: has(StatxFlags::BTIME).then(|| Wall::from_parts(raw.stx_btime.tv_sec, raw.stx_btime.tv_nsec)),
        mount_root: raw.stx_attributes.contains(StatxAttributes::MOUNT_ROOT),
    };
    let fixed = raw.stx_attributes.intersects(StatxAttributes::IMMUTABLE | StatxAttributes::APPEND);
    Ok(Seen { stat, fixed })
}

/// A directory, resolved once and held open: whatever happens to the path afterwards, calls act in this very directory.
#[derive(Debug)]
pub struct Place {
    fd: OwnedFd,
    path: PathBuf,
}

impl Place {
    /// Resolves the path (`/var/lock` is a symbolic link on many systems), then opens the result without following any:
    /// a component that is re-pointed in between makes it fail instead of leading elsewhere.
    pub fn open(path: &Path) -> io::Result<Self> {
        // From here on the file system is touched by ourselves.
        super::guard::ask_for_an_answer(path)?;
        let real = path.canonicalize()?;
        // O_RDONLY, since fsync needs it; a directory that may not be listed is held by O_PATH and not synced.
        let (read, held) = (OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, OFlags::PATH);
        let fd = match open_unlinked(&real, read) {
            Err(rustix::io::Errno::ACCESS) => open_unlinked(&real, held | OFlags::DIRECTORY | OFlags::CLOEXEC)?,
            other => other?,
        };
        Ok(Self { fd, path: real })
    }

    /// A directory within it, not through a link, for looking into it and changing it.
    pub fn open_child(&self, name: &Name) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = sys::openat(&self.fd, name.as_c_str(), flags, Mode::empty())?;
        Ok(Self { fd, path: self.path.join(name.as_os_str()) })
    }

    /// The names in it, in no order.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        Ok(self.names_within(usize::MAX)?.unwrap_or_default())
    }

    /// The names in it, in no order, if there are so many at most; `None` = there are more, which are not read.
    pub fn names_within(&self, most: usize) -> io::Result<Option<Vec<OsString>>> {
        let mut names = Vec::new();
        let fd = sys::openat(&self.fd, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        for entry in sys::Dir::new(fd)? {
            let name = OsStr::from_bytes(entry?.file_name().to_bytes()).to_owned();
            if name == "." || name == ".." {
                continue;
            }
            if names.len() == most {
                return Ok(None);
            }
            names.push(name);
        }
        Ok(Some(names))
    }

    /// The path it was opened by, without links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it is now; `links == 0` = deleted.
    pub fn seen(&self) -> io::Result<Seen> {
        statx(self.fd.as_fd(), c"", AtFlags::EMPTY_PATH)
    }

    /// Which directory it is.
    pub fn id(&self) -> io::Result<DirectoryId> {
        let stat = self.seen()?.stat;
        Ok(DirectoryId { dev: stat.dev, ino: stat.ino, mount: stat.mount })
    }

    /// What a name in it stands for; `None` = nothing.
    pub fn look(&self, name: &Name) -> io::Result<Option<Seen>> {
        match statx(self.fd.as_fd(), name.as_c_str(), AtFlags::empty()) {
            Ok(seen) => Ok(Some(seen)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Holds the inode that a name stands for, so that its number cannot be given to another; opens no FIFO or device.
    pub fn pin(&self, name: &Name) -> io::Result<Pin> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Pin { fd: sys::openat(&self.fd, name.as_c_str(), flags, Mode::empty())? })
    }

    /// Makes a directory, 0700.
    pub fn make_directory(&self, name: &Name) -> io::Result<()> {
        Ok(sys::mkdirat(&self.fd, name.as_c_str(), Mode::RWXU)?)
    }

    /// Makes a file that was not there.
    pub fn create(&self, name: &Name, mode: u32) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(sys::openat(&self.fd, name.as_c_str(), flags, Mode::from_raw_mode(mode))?.into())
    }

    /// Makes a symbolic link that was not there.
    pub fn create_link(&self, name: &Name, target: &[u8]) -> io::Result<()> {
        Ok(sys::symlinkat(target, &self.fd, name.as_c_str())?)
    }

    /// Reads a small file in it, not through a link and not blocking.
    pub fn read(&self, name: &Name, limit: u64) -> io::Result<Vec<u8>> {
        let pin = self.pin(name)?;
        if pin.seen()?.stat.kind != FileKind::Regular {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        pin.open()?.content(limit)
    }

    /// Swaps what two names stand for, at once: neither is ever missing.
    pub fn exchange(&self, one: &Name, other: &Name) -> io::Result<()> {
        Ok(sys::renameat_with(&self.fd, one.as_c_str(), &self.fd, other.as_c_str(), RenameFlags::EXCHANGE)?)
    }

    /// The same with a path elsewhere on this file system.
    pub fn exchange_with(&self, name: &Name, place: &Place, other: &Name) -> io::Result<()> {
        Ok(sys::renameat_with(&self.fd, name.as_c_str(), &place.fd, other.as_c_str(), RenameFlags::EXCHANGE)?)
    }

    /// Moves to a name that must be free: EEXIST otherwise, where a plain rename would overwrite (even an empty directory).
    pub fn move_to_free(&self, name: &Name, place: &Place, other: &Name) -> io::Result<()> {
        Ok(sys::renameat_with(&self.fd, name.as_c_str(), &place.fd, other.as_c_str(), RenameFlags::NOREPLACE)?)
    }

    /// Another name for the same inode (the link itself, where it is one); EEXIST where the name is taken.
    pub fn link(&self, name: &Name, place: &Place, other: &Name) -> io::Result<()> {
        Ok(sys::linkat(&self.fd, name.as_c_str(), &place.fd, other.as_c_str(), AtFlags::empty())?)
    }

    /// Removes a name that is no directory (EISDIR).
    pub fn unlink(&self, name: &Name) -> io::Result<()> {
        Ok(sys::unlinkat(&self.fd, name.as_c_str(), AtFlags::empty())?)
    }

    /// Removes an empty directory: ENOTDIR for any file or link, ENOTEMPTY where something is in it.
    pub fn remove_directory(&self, name: &Name) -> io::Result<()> {
        Ok(sys::unlinkat(&self.fd, name.as_c_str(), AtFlags::REMOVEDIR)?)
    }

    /// Brings its entries to the disk, where the file system and our rights allow that.
    pub fn sync(&self) -> io::Result<()> {
        match sys::fsync(&self.fd) {
            Ok(()) | Err(rustix::io::Errno::BADF | rustix::io::Errno::INVAL | rustix::io::Errno::ROFS) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn open_unlinked(real: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match sys::openat2(sys::CWD, real, flags, Mode::empty(), resolve) {
        // Before Linux 5.6, or forbidden by a container's filter: component by component.
        Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) => {
            let step = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let mut at = sys::open("/", step, Mode::empty())?;
            for component in real.components().skip(1) {
                at = sys::openat(&at, component.as_os_str(), step, Mode::empty())?;
            }
            sys::openat(&at, ".", flags, Mode::empty())
        }
        other => other,
    }
}

fn proc_path(fd: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

/// An inode held by O_PATH: it was not opened (no side effects, no lease conflict), and its number stays its own.
#[derive(Debug)]
pub struct Pin {
    fd: OwnedFd,
}

impl Pin {
    /// What it is now.
    pub fn seen(&self) -> io::Result<Seen> {
        statx(self.fd.as_fd(), c"", AtFlags::EMPTY_PATH)
    }

    /// Where it stands now, even if it was moved; meaningless once it is deleted.
    pub fn path_now(&self) -> io::Result<PathBuf> {
        std::fs::read_link(proc_path(self.fd.as_fd()))
    }

    /// The target, of a symbolic link.
    pub fn target(&self) -> io::Result<OsString> {
        Ok(OsString::from_vec(sys::readlinkat(&self.fd, c"", Vec::new())?.into_bytes()))
    }

    /// The directory that it is, for looking into it, whatever its name stands for by now.
    pub fn inside(&self) -> io::Result<Place> {
        let path = proc_path(self.fd.as_fd());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = match sys::open(path.as_str(), flags | OFlags::NOATIME, Mode::empty()) {
            Err(rustix::io::Errno::PERM) => sys::open(path.as_str(), flags, Mode::empty())?,
            other => other?,
        };
        Ok(Place { fd, path: self.path_now()? })
    }

    /// Opens it for reading: the inode, whatever its name stands for by now. Only for regular files.
    pub fn open(&self) -> io::Result<Reader> {
        let path = proc_path(self.fd.as_fd());
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        // A plain read bumps the access time; O_NOATIME is for the owner and root.
        let fd = match sys::open(path.as_str(), flags | OFlags::NOATIME, Mode::empty()) {
            Err(rustix::io::Errno::PERM) => sys::open(path.as_str(), flags, Mode::empty())?,
            other => other?,
        };
        Ok(Reader { file: fd.into() })
    }
}

/// A regular file open for reading, and the lease on it.
#[derive(Debug)]
pub struct Reader {
    file: File,
}

/// Why there is no lease.
#[derive(Debug)]
pub enum NoLease {
    /// EAGAIN: somebody has the file open (another user, a descriptor in flight, a mapping).
    InUse,
    /// EACCES (we are not its owner), EINVAL (`fs.leases-enable` = 0, or a file system without leases).
    Impossible(io::Error),
}

impl Reader {
    /// At most `limit` bytes from its start.
    pub fn content(&self, limit: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut buffer = [0; 16 * 1024];
        while (bytes.len() as u64) < limit {
            let room = buffer.len().min((limit - bytes.len() as u64) as usize);
            match std::os::unix::fs::FileExt::read_at(&self.file, &mut buffer[..room], bytes.len() as u64)? {
                0 => break,
                count => bytes.extend_from_slice(&buffer[..count]),
            }
        }
        Ok(bytes)
    }

    /// Whether its start is still this. Does not allocate: called while signals are blocked.
    pub fn starts_with(&self, expected: &[u8]) -> io::Result<bool> {
        let mut buffer = [0; 4096];
        let mut at = 0;
        while at < expected.len() {
            let room = buffer.len().min(expected.len() - at);
            let count = std::os::unix::fs::FileExt::read_at(&self.file, &mut buffer[..room], at as u64)?;
            if count == 0 || buffer[..count] != expected[at..at + count] {
                return Ok(false);
            }
            at += count;
        }
        Ok(true)
    }

    /// A write lease: granted only if nobody else has the file open (`fs/locks.c`, `check_conflicting_open`); while we
    /// hold it an opener blocks, and we can see that one came ([`Self::holds_lease`]).
    pub fn take_lease(&self) -> Result<(), NoLease> {
        quiet_sigio();
        let fd = self.file.as_raw_fd();
        // SAFETY: F_SETLEASE takes an int and touches no memory of ours; the descriptor is open for as long as `self`.
        let result = unsafe { libc::fcntl(fd, libc::F_SETLEASE, libc::F_WRLCK) };
        if result == 0 {
            // The kernel tells of a lease break by SIGIO to this process: we ask instead, so nobody is to be told.
            // SAFETY: F_SETOWN takes an int and touches no memory of ours.
            unsafe { libc::fcntl(fd, libc::F_SETOWN, 0) };
            return Ok(());
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EAGAIN) => Err(NoLease::InUse),
            _ => Err(NoLease::Impossible(error)),
        }
    }

    /// Whether the write lease stands unbroken: once an opener waits, the kernel names the lease that it leaves us.
    pub fn holds_lease(&self) -> bool {
        // SAFETY: F_GETLEASE takes no argument and touches no memory of ours.
        let lease = unsafe { libc::fcntl(self.file.as_raw_fd(), libc::F_GETLEASE) };
        lease == libc::F_WRLCK
    }

    /// Lets waiting openers on.
    pub fn drop_lease(&self) {
        // SAFETY: as in `take_lease`.
        unsafe { libc::fcntl(self.file.as_raw_fd(), libc::F_SETLEASE, libc::F_UNLCK) };
    }
}

extern "C" fn nothing(_signal: libc::c_int) {}

/// SIGIO ends a process that has not said otherwise, and a lease break sends it. An empty handler, not "ignore": what is
/// ignored stays ignored in the programs that we start.
fn quiet_sigio() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        // SAFETY: `sigaction` is plain data, for which all zeroes is a valid value (SIG_DFL, empty mask).
        let mut old: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: both pointers are to live values of the right type, or null; the handler does nothing at all, so it is
        // safe at any moment. A handler that somebody else has set is left alone.
        unsafe {
            if libc::sigaction(libc::SIGIO, std::ptr::null(), &raw mut old) == 0 && old.sa_sigaction == libc::SIG_DFL {
                let mut new: libc::sigaction = std::mem::zeroed();
                new.sa_sigaction = nothing as extern "C" fn(libc::c_int) as libc::sighandler_t;
                new.sa_flags = libc::SA_RESTART;
                libc::sigaction(libc::SIGIO, &raw const new, std::ptr::null_mut());
            }
        }
    });
}

/// All signals of this thread blocked until it is dropped: nothing interrupts the few calls of the swap.
#[derive(Debug)]
pub struct Quiet {
    before: libc::sigset_t,
    // The mask is the thread's: dropping this elsewhere would set another thread's.
    _thread: std::marker::PhantomData<*const ()>,
}

impl Quiet {
    /// Blocks them.
    pub fn start() -> Self {
        // SAFETY: `sigset_t` is plain data; sigfillset fills it, and pthread_sigmask writes the old mask to a live value.
        unsafe {
            let (mut all, mut before): (libc::sigset_t, libc::sigset_t) = (std::mem::zeroed(), std::mem::zeroed());
            libc::sigfillset(&raw mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
            Self { before, _thread: std::marker::PhantomData }
        }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // SAFETY: `before` is the mask that pthread_sigmask gave us, of this same thread (the type is not Send).
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.before, std::ptr::null_mut()) };
    }
}

/// 128 random bits from the kernel.
pub fn random() -> io::Result<u128> {
    let mut bytes = [0; 16];
    let mut at = 0;
    while at < bytes.len() {
        at += rustix::rand::getrandom(&mut bytes[at..], rustix::rand::GetRandomFlags::empty())?;
    }
    Ok(u128::from_le_bytes(bytes))
}

/// Our effective user id.
pub fn effective_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Makes a directory of our own, 0700, with its parents; refuses one that is a link or somebody else's
/// (`/tmp/lockscope-1000` could have been made by anybody).
pub fn private_directory(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = std::fs::symlink_metadata(path)?;
    if !found.is_dir() || found.uid() != effective_uid() {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("{} is not a directory of ours; move it away", path.display()),
        ));
    }
    Ok(())
}

/// Brings the entries of a directory to the disk.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Where things of this login session stand: `$XDG_RUNTIME_DIR/lockscope`, else `/run/lockscope` for root, else
/// `/tmp/lockscope-<uid>`.
pub fn runtime_directory() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR").filter(|value| Path::new(value).is_absolute()) {
        Some(base) => PathBuf::from(base).join("lockscope"),
        None if effective_uid() == 0 => PathBuf::from("/run/lockscope"),
        None => PathBuf::from(format!("/tmp/lockscope-{}", effective_uid())),
    }
}

/// Where a mount is attached, by its `mnt_id`.
pub fn mount_point(mount: u64) -> io::Result<Option<PathBuf>> {
    let mut text = Vec::new();
    File::open("/proc/self/mountinfo")?.read_to_end(&mut text)?;
    Ok(text.split(|b| *b == b'\n').find_map(|line| {
        let mut fields = line.split(|b| *b == b' ');
        let id: u64 = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
        (id == mount).then(|| fields.nth(3).map(super::mounts::unescape)).flatten()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::new(OsStr::new(text)).unwrap()
    }

    #[test]
    fn a_name_is_one_component() {
        for bad in ["", ".", "..", "a/b", "/", "a\0b"] {
            assert_eq!(Name::new(OsStr::new(bad)), None, "{bad:?}");
        }
        assert_eq!(name("-rf.lock").as_os_str(), "-rf.lock");
    }

    #[test]
    fn the_place_stays_the_same_directory_when_its_path_is_repointed() {
        let base = tempfile::tempdir().unwrap();
        std::fs::create_dir(base.path().join("a")).unwrap();
        std::fs::create_dir(base.path().join("b")).unwrap();
        std::os::unix::fs::symlink("a", base.path().join("link")).unwrap();
        let place = Place::open(&base.path().join("link")).unwrap();
        std::fs::remove_file(base.path().join("link")).unwrap();
        std::os::unix::fs::symlink("b", base.path().join("link")).unwrap();
        drop(place.create(&name("here"), 0o600).unwrap());
        assert!(base.path().join("a/here").exists());
        assert!(!base.path().join("b/here").exists());
    }

    #[test]
    fn a_lease_is_refused_while_the_file_is_open_and_broken_by_an_opener() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("x.lock");
        std::fs::write(&path, "1\n").unwrap();
        let place = Place::open(base.path()).unwrap();
        let pin = place.pin(&name("x.lock")).unwrap();
        let reader = pin.open().unwrap();
        let other = File::open(&path).unwrap();
        assert!(matches!(reader.take_lease(), Err(NoLease::InUse)));
        drop(other);
        reader.take_lease().unwrap();
        assert!(reader.holds_lease());
        let opened = sys::open(&path, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty());
        assert_eq!(opened.unwrap_err(), rustix::io::Errno::WOULDBLOCK);
        assert!(!reader.holds_lease(), "the opener must show");
    }

    #[test]
    fn a_move_overwrites_nothing_not_even_an_empty_directory() {
        let base = tempfile::tempdir().unwrap();
        let place = Place::open(base.path()).unwrap();
        place.make_directory(&name("taken")).unwrap();
        place.make_directory(&name("mine")).unwrap();
        let refused = place.move_to_free(&name("mine"), &place, &name("taken")).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        place.exchange(&name("mine"), &name("taken")).unwrap();
        assert!(place.unlink(&name("mine")).is_err(), "unlink takes no directory");
    }

    #[test]
    fn mount_points_are_found() {
        // Not "/": in a chroot that is no mount.
        let proc = Place::open(Path::new("/proc")).unwrap().id().unwrap();
        assert_eq!(mount_point(proc.mount).unwrap(), Some(PathBuf::from("/proc")));
    }

    #[test]
    fn a_private_directory_is_ours_alone() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("deep/own");
        private_directory(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        std::os::unix::fs::symlink(&path, base.path().join("link")).unwrap();
        assert!(private_directory(&base.path().join("link")).is_err());
    }
}
