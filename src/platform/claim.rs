//! What locks and files of our own need of the system beyond `std`: a file that appears whole, or takes another's place
//! whole, and what a failed lock call means.
//!
//! Owns: [`publish`], [`save_new`], [`replace_whole`], [`exchange`], [`locks_unsupported`]. Never: leaves half of a file at a path.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

/// Makes a file with this content at a path where nothing stands ([`io::ErrorKind::AlreadyExists`] else). Whoever finds
/// it there finds all of it: it is written without a name, then linked to the path, in one step that fails if the path is
/// taken, as with `O_CREAT|O_EXCL`. A crash in between leaves nothing.
///
/// Where a file system has no nameless files or no hard links, it is made by `O_EXCL` and written at once: a reader may
/// find it empty for a moment.
pub fn publish(path: &Path, content: &[u8]) -> io::Result<File> {
    #[cfg(target_os = "linux")]
    match nameless(path).and_then(|mut file| {
        file.write_all(content)?;
        give_name(&file, path)?;
        Ok(file)
    }) {
        Err(error) if is_unable(&error) => {}
        other => return other,
    }
    create(path, content)
}

/// Who may read a file that is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadBy {
    /// Everybody, as the umask allows.
    Everybody,
    /// Its owner alone.
    Owner,
}

/// Makes a file for a person where nothing stands ([`io::ErrorKind::AlreadyExists`] else). It is on the disk, whole, before
/// it has its name; a full disk leaves nothing.
pub fn save_new(path: &Path, content: &[u8], by: ReadBy) -> io::Result<()> {
    let fill = |file: &mut File| {
        #[cfg(unix)]
        if by == ReadBy::Owner {
            file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        }
        file.write_all(content)?;
        file.sync_all()
    };
    #[cfg(target_os = "linux")]
    match nameless(path).and_then(|mut file| {
        fill(&mut file)?;
        give_name(&file, path)
    }) {
        Err(error) if is_unable(&error) => {}
        other => return other,
    }
    let _ = by;
    let mut file = create(path, b"")?;
    fill(&mut file).inspect_err(|_| {
        // Ours, made a moment ago by a call that fails where anything stands.
        let _ = std::fs::remove_file(path);
    })
}

/// Puts this content at a path, in one step, whatever stood there: on the disk before it has the name. With the permissions
/// of what stood there. Whoever calls it sees to it that nobody else writes there.
///
/// A crash before that step leaves nothing, where there are nameless files; the step itself is two calls, and a crash
/// between them leaves a file `.lockscope-*.new`.
pub fn replace_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    replace(path, content, std::fs::metadata(path).map(|old| old.permissions()).ok().as_ref())
}

/// As [`replace_whole`], readable to its user alone, whoever could read it before.
pub fn replace_private(path: &Path, content: &[u8]) -> io::Result<()> {
    #[cfg(unix)]
    let permissions = Some(std::os::unix::fs::PermissionsExt::from_mode(0o600));
    #[cfg(not(unix))]
    let permissions = None;
    replace(path, content, permissions.as_ref())
}

fn replace(path: &Path, content: &[u8], permissions: Option<&std::fs::Permissions>) -> io::Result<()> {
    let temporary = path.with_file_name(format!(".lockscope-{:032x}.new", super::random()?));
    let prepare = |file: &mut File| {
        if let Some(permissions) = permissions.cloned() {
            // Before there is anything to read in it: what only its owner could read stays so.
            file.set_permissions(permissions)?;
        }
        file.write_all(content)?;
        file.sync_all()
    };
    let made = make_temporary(path, &temporary, prepare);
    let moved = made.and_then(|()| std::fs::rename(&temporary, path));
    if moved.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    moved
}

fn make_temporary(path: &Path, temporary: &Path, prepare: impl Fn(&mut File) -> io::Result<()>) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    match nameless(path).and_then(|mut file| {
        prepare(&mut file)?;
        give_name(&file, temporary)
    }) {
        Err(error) if is_unable(&error) => {}
        other => return other,
    }
    let _ = path;
    prepare(&mut create(temporary, b"")?)
}

/// By `O_CREAT|O_EXCL`.
fn create(path: &Path, content: &[u8]) -> io::Result<File> {
    let mut options = File::options();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o644);
    let mut file = options.read(true).write(true).create_new(true).open(path)?;
    if let Err(error) = file.write_all(content) {
        // Ours, made a moment ago by a call that fails where anything stands.
        let _ = std::fs::remove_file(path);
        return Err(error);
    }
    Ok(file)
}

/// A file without a name, where `path` is to be.
#[cfg(target_os = "linux")]
fn nameless(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags, open};
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
    Ok(File::from(open(parent, OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, mode)?))
}

/// By the way of open(2), "O_TMPFILE": linking the descriptor itself (AT_EMPTY_PATH) needs a capability.
#[cfg(target_os = "linux")]
fn give_name(file: &File, path: &Path) -> io::Result<()> {
    use rustix::fs::{AtFlags, CWD, linkat};
    use std::os::fd::AsRawFd as _;
    let nameless = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(linkat(CWD, nameless.as_str(), CWD, path, AtFlags::SYMLINK_FOLLOW)?)
}

/// Not a refusal, but a missing ability: no `O_TMPFILE` (EOPNOTSUPP, EISDIR from older kernels, EINVAL from some FUSE),
/// no hard links (EPERM on FAT, EOPNOTSUPP, EMLINK), no `/proc` or no such directory (ENOENT; `O_EXCL` then says which).
#[cfg(target_os = "linux")]
fn is_unable(error: &io::Error) -> bool {
    use libc::{EINVAL, EISDIR, EMLINK, ENOENT, ENOSYS, EOPNOTSUPP, EPERM, EXDEV};
    error
        .raw_os_error()
        .is_some_and(|errno| [EOPNOTSUPP, EISDIR, EINVAL, EPERM, EMLINK, ENOENT, ENOSYS, EXDEV].contains(&errno))
}

/// Exchanges two names in one step; [`io::ErrorKind::Unsupported`] where the system or the file system cannot.
pub fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        match renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE) {
            // EINVAL is what file systems say that know no flags (NFS, SMB, 9p, bindfs).
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::OPNOTSUPP) => {
                Err(io::ErrorKind::Unsupported.into())
            }
            other => Ok(other?),
        }
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (one, other);
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Whether this error of a lock call means that the file system has no such locks, not that somebody holds one.
pub fn locks_unsupported(error: &io::Error) -> bool {
    // ENOLCK: NFS without its lock service (and a kernel that is out of memory for locks).
    #[cfg(unix)]
    const NO_LOCKS: &[i32] = &[
        rustix::io::Errno::NOLCK.raw_os_error(),
        rustix::io::Errno::OPNOTSUPP.raw_os_error(),
        rustix::io::Errno::NOSYS.raw_os_error(),
    ];
    // ERROR_INVALID_FUNCTION, ERROR_NOT_SUPPORTED.
    #[cfg(not(unix))]
    const NO_LOCKS: &[i32] = &[1, 50];
    error.kind() == io::ErrorKind::Unsupported || error.raw_os_error().is_some_and(|errno| NO_LOCKS.contains(&errno))
}

/// From now on this file goes along to child processes, also through `exec`.
#[cfg(unix)]
pub fn let_children_inherit(file: &File) -> io::Result<()> {
    let flags = rustix::io::fcntl_getfd(file)?;
    Ok(rustix::io::fcntl_setfd(file, flags - rustix::io::FdFlags::CLOEXEC)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_appears_whole_and_only_where_nothing_stands() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("x.lock");
        let file = publish(&path, b"mine\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"mine\n");
        assert_eq!(file.metadata().unwrap().len(), 5);
        let error = publish(&path, b"other\n").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"mine\n");
        assert_eq!(std::fs::read_dir(base.path()).unwrap().count(), 1, "nothing else");
        let error = publish(&base.path().join("no/x.lock"), b"").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_saved_file_is_whole_and_takes_nobodys_place() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("x.zip");
        save_new(&path, b"mine", ReadBy::Owner).unwrap();
        #[cfg(unix)]
        assert_eq!(std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&path).unwrap()) & 0o777, 0o600);
        assert_eq!(save_new(&path, b"other", ReadBy::Owner).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"mine");
        let missing = save_new(&base.path().join("no/x"), b"", ReadBy::Everybody).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        assert_eq!(std::fs::read_dir(base.path()).unwrap().count(), 1, "nothing else");
    }

    #[test]
    fn a_replaced_file_is_whole_and_keeps_its_permissions() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("settings.json");
        replace_whole(&path, b"old").unwrap();
        #[cfg(unix)]
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        replace_whole(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        #[cfg(unix)]
        assert_eq!(std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&path).unwrap()) & 0o777, 0o600);
        std::fs::create_dir(base.path().join("in the way")).unwrap();
        assert!(replace_whole(&base.path().join("in the way"), b"new").is_err());
        assert_eq!(std::fs::read_dir(base.path()).unwrap().count(), 2, "nothing else");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn no_locks_is_told_from_taken() {
        for (errno, none) in [
            (libc::ENOLCK, true),
            (libc::EOPNOTSUPP, true),
            (libc::ENOSYS, true),
            (libc::EWOULDBLOCK, false),
            (libc::EACCES, false),
            (libc::EINTR, false),
        ] {
            assert_eq!(locks_unsupported(&io::Error::from_raw_os_error(errno)), none, "{errno}");
        }
    }
}
