//! Mounts: which file system a file is on, what its locks are called in the kernel's table, whether they show there, and
//! whether it may leave us without an answer.
//!
//! Owns: reading mountinfo, which asks the kernel alone: no mount is touched. Never: opens anything on a mount.

use crate::model::facts::FileSystem;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// One line of `/proc/self/mountinfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) id: u64,
    pub(super) parent: u64,
    pub(super) major: u32,
    pub(super) minor: u32,
    pub(super) point: PathBuf,
    pub(super) kind: String,
    pub(super) super_options: String,
}

/// Others may write there, and their locks and processes cannot be seen from here.
const NETWORK: &[&str] = &[
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "coda",
    "davfs",
    "fuse.glusterfs",
    "fuse.s3fs",
    "fuse.sshfs",
    "gfs2",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "ocfs2",
    "smb3",
    "smbfs",
    "virtiofs",
];

/// Local ones whose files carry the same inode in the lock table, whoever locks them (tried: CLEARING.md 2.1).
const SHOWS_LOCKS: &[&str] = &[
    "bcachefs", "btrfs", "devtmpfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "jfs", "nilfs2", "ntfs3", "ramfs",
    "reiserfs", "tmpfs", "vfat", "xfs", "zfs",
];

/// Not other machines' disks, yet answered by somebody who may not answer: a daemon, or a disk that is mounted only when
/// it is touched. FUSE is told by its name alone.
const ANSWERED_BY_OTHERS: &[&str] =
    &["acfs", "autofs", "cvfs", "gpfs", "orangefs", "panfs", "prl_fs", "pvfs2", "vboxsf", "vmhgfs"];

/// More links than the kernel itself follows (`MAXSYMLINKS`).
const MOST_LINKS: usize = 40;

/// Where a path leads, found without touching a mount that may not answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Located {
    /// Only over file systems of this machine; the path without links, as far as it could be followed.
    Plain(PathBuf),
    /// Onto this mount; the rest of the path was not followed.
    Guarded(Mount, PathBuf),
}

impl Mount {
    /// A call on it may wait for a machine or a daemon that never answers. What the whole system runs from is not asked
    /// about: if that hangs, so do we.
    pub(super) fn may_not_answer(&self) -> bool {
        let kind = self.kind.as_str();
        let others = NETWORK.contains(&kind) || ANSWERED_BY_OTHERS.contains(&kind) || kind.starts_with("fuse");
        others && self.point != Path::new("/")
    }

    pub(super) fn file_system(&self) -> FileSystem {
        FileSystem {
            name: self.kind.as_str().into(),
            network: NETWORK.contains(&self.kind.as_str()),
            shows_locks: SHOWS_LOCKS.contains(&self.kind.as_str()),
        }
    }
}

/// Whether `/proc` was mounted with `hidepid`, so that processes of others are not shown to us.
pub(super) fn proc_hides_processes() -> bool {
    // Another option for what is mounted already makes no event.
    let text = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
    let proc = parse(&text).into_iter().rfind(|mount| mount.kind == "proc" && mount.point == Path::new("/proc"));
    proc.is_none_or(|mount| {
        mount
            .super_options
            .split(',')
            .filter_map(|option| option.strip_prefix("hidepid="))
            .any(|v| v != "0" && v != "off")
    })
}

/// All mounts.
#[derive(Clone, Debug)]
pub(super) struct Mounts {
    all: Arc<[Mount]>,
    /// One of them at least may not answer. To find that out takes longer than to open a directory.
    pub(super) risky: bool,
}

impl From<Vec<Mount>> for Mounts {
    fn from(all: Vec<Mount>) -> Self {
        Self { risky: all.iter().any(Mount::may_not_answer), all: all.into() }
    }
}

impl std::ops::Deref for Mounts {
    type Target = [Mount];

    fn deref(&self) -> &[Mount] {
        &self.all
    }
}

/// All mounts, as they are now. The kernel makes the file's content anew at each read, which takes longer than all else in
/// a look at one lock; whether anything was mounted or unmounted since, it tells by an event (proc_pid_mountinfo(5)).
pub(super) fn read() -> Mounts {
    static KNOWN: Mutex<Option<(File, Mounts)>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((file, mounts)) = &*known
        && !has_changed(file)
    {
        return mounts.clone();
    }
    // Opened before it is read, so that what changes meanwhile is an event of this file. By bytes: a mount point may have
    // any name.
    let mut text = Vec::new();
    let file = File::open("/proc/self/mountinfo").and_then(|mut file| file.read_to_end(&mut text).map(|_| file));
    let mounts = Mounts::from(parse(&text));
    *known = file.ok().map(|file| (file, mounts.clone()));
    mounts
}

/// Whether the mounts differ from those that this file was opened on; also where that cannot be told.
fn has_changed(file: &File) -> bool {
    let mut polled = [PollFd::new(file, PollFlags::PRI)];
    !matches!(poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(0))
}

/// What is mounted on top at a point within the mount `on`.
fn mounted_at<'a>(mounts: &'a [Mount], point: &Path, on: Option<&Mount>) -> Option<&'a Mount> {
    let mut top: Option<&Mount> = None;
    loop {
        let below = top.or(on);
        let stands_on = |mount: &&Mount| match below {
            Some(below) => mount.parent == below.id,
            // The root itself may be no mount that we can see (chroot): then its mounts have a parent that is not listed.
            None => !mounts.iter().any(|other| other.id == mount.parent && other.id != mount.id),
        };
        let next = mounts
            .iter()
            .rfind(|mount| mount.point == point && top.is_none_or(|top| top.id != mount.id) && stands_on(mount));
        match next {
            Some(mount) => top = Some(mount),
            None => return top,
        }
    }
}

/// Follows a path, component by component, up to the first mount that may not answer. `path` must be absolute.
///
/// A link is read only where the mount that it stands on is known to answer. What is mounted while we are at it is not
/// seen.
pub(super) fn locate(mounts: &[Mount], path: &Path) -> Located {
    let mut left: Vec<OsString> = components(path).collect();
    left.reverse();
    let root = mounted_at(mounts, Path::new("/"), None);
    let mut at = PathBuf::from("/");
    // The mount of each directory on the way, so that `..` finds back.
    let mut on = vec![root];
    let mut links = 0;
    while let Some(part) = left.pop() {
        if part == ".." {
            if on.len() > 1 {
                on.pop();
                at.pop();
            }
            continue;
        }
        let here = on.last().copied().flatten();
        let next = at.join(&part);
        let with_rest = |from: &Path| left.iter().rev().fold(from.to_owned(), |path, part| path.join(part));
        if let Some(mount) = mounted_at(mounts, &next, here) {
            if mount.may_not_answer() {
                return Located::Guarded(mount.clone(), with_rest(&next));
            }
            on.push(Some(mount));
            at = next;
            continue;
        }
        let Ok(target) = rustix::fs::readlink(&next, Vec::new()) else {
            on.push(here);
            at = next;
            continue;
        };
        links += 1;
        let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
        if let Some(proc) = here.filter(|mount| mount.kind == "proc" && leads_elsewhere(&next)) {
            // `/proc/PID/root` and its like lead where their text means something else: into mounts of others.
            return Located::Guarded(proc.clone(), with_rest(&next));
        }
        if links > MOST_LINKS {
            return Located::Plain(with_rest(&next));
        }
        if target.is_absolute() {
            at = PathBuf::from("/");
            on.truncate(1);
        }
        let mut of_link: Vec<OsString> = components(&target).collect();
        of_link.reverse();
        left.append(&mut of_link);
    }
    Located::Plain(at)
}

/// Links of other processes in `/proc`; `/proc/self` and our own mean what they say.
fn leads_elsewhere(link: &Path) -> bool {
    let own = std::process::id().to_string();
    let mut below = link.strip_prefix("/proc").unwrap_or(link).components();
    let process = below.next().map(|part| part.as_os_str().to_owned());
    let is_other = process.is_some_and(|name| name.to_str().is_some_and(|n| n.parse::<u32>().is_ok()) && *name != *own);
    is_other && below.next().is_some()
}

/// The names in a path, with `..` among them.
fn components(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        _ => None,
    })
}

/// mountinfo writes space, tab, newline and backslash as `\040` and so on (`fs/proc_namespace.c`, `mangle`).
pub(super) fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, tail @ ..] = rest {
        let octal = tail.get(..3).and_then(|d| std::str::from_utf8(d).ok()).and_then(|d| u8::from_str_radix(d, 8).ok());
        match octal {
            Some(byte) if *first == b'\\' => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    OsString::from_vec(bytes).into()
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue` (proc_pid_mountinfo(5)).
fn parse(text: &[u8]) -> Vec<Mount> {
    text.split(|byte| *byte == b'\n').filter_map(parse_line).collect()
}

fn parse_line(line: &[u8]) -> Option<Mount> {
    let text = |field: &[u8]| String::from_utf8_lossy(field).into_owned();
    let number = |field: &[u8]| text(field).parse::<u64>().ok();
    let mut fields = line.split(|byte| *byte == b' ');
    let (id, parent) = (number(fields.next()?)?, number(fields.next()?)?);
    let device = text(fields.next()?);
    let (major, minor) = device.split_once(':')?;
    let point = unescape(fields.nth(1)?);
    // The options of the mount and any number of optional fields; a lone `-` ends them.
    fields.find(|field| *field == b"-")?;
    let kind = text(fields.next()?);
    let super_options = fields.nth(1).map(text).unwrap_or_default();
    Some(Mount { id, parent, major: major.parse().ok()?, minor: minor.parse().ok()?, point, kind, super_options })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt as _;

    #[test]
    fn mountinfo_lines_are_read_with_and_without_optional_fields() {
        let mounts = parse(
            b"36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n\
             22 28 0:20 / /proc rw,nosuid - proc proc rw,hidepid=invisible\nnonsense\n",
        );
        assert_eq!(mounts.len(), 2);
        assert_eq!((mounts[0].id, mounts[0].major, mounts[0].minor, &*mounts[0].kind), (36, 98, 0, "ext3"));
        assert_eq!(mounts[1].super_options, "rw,hidepid=invisible");
        assert!(mounts[0].file_system().shows_locks);
    }

    #[test]
    fn what_is_not_known_to_show_its_locks_does_not() {
        for kind in ["overlay", "fuse", "fuse.bindfs", "nfs4", "a-file-system-of-tomorrow"] {
            let mount = parse(format!("1 0 0:1 / / rw - {kind} none rw").as_bytes()).remove(0);
            assert!(!mount.file_system().shows_locks, "{kind}");
        }
    }

    #[test]
    fn a_mount_point_may_have_any_name() {
        let mounts = parse(b"5 1 0:9 / /mnt/a\\040b\\134\xff rw - tmpfs none rw");
        assert_eq!(mounts[0].point.as_os_str().as_bytes(), b"/mnt/a b\\\xff");
        assert_eq!(unescape(b"/short\\04"), PathBuf::from("/short\\04"));
    }

    #[test]
    fn what_may_not_answer_is_told_by_its_kind() {
        let one =
            |kind: &str, point: &str| parse(format!("9 1 0:9 / {point} rw - {kind} none rw").as_bytes()).remove(0);
        for kind in ["nfs4", "cifs", "fuse", "fuseblk", "fuse.sshfs", "autofs", "9p", "virtiofs", "ceph"] {
            assert!(one(kind, "/mnt").may_not_answer(), "{kind}");
            assert!(!one(kind, "/").may_not_answer(), "all runs from it: {kind}");
        }
        for kind in ["ext4", "tmpfs", "overlay", "proc", "btrfs"] {
            assert!(!one(kind, "/mnt").may_not_answer(), "{kind}");
        }
    }

    #[test]
    fn a_path_is_followed_up_to_the_first_mount_that_may_not_answer() {
        let base = tempfile::tempdir().unwrap();
        let base = base.path().canonicalize().unwrap();
        let under = |below: &str| base.join(below);
        std::fs::create_dir_all(under("far/x")).unwrap();
        std::fs::create_dir_all(under("near")).unwrap();
        std::os::unix::fs::symlink(under("far"), under("near/link")).unwrap();
        std::os::unix::fs::symlink("../far/./x", under("near/relative")).unwrap();
        std::os::unix::fs::symlink("loop", under("near/loop")).unwrap();
        let text = |stacked: &str| {
            let base = base.display();
            format!("1 0 8:1 / / rw - ext4 none rw\n7 1 0:9 / {base}/far rw - nfs4 none rw\n{stacked}")
        };
        let mounts = parse(text("").as_bytes());
        let to = |path: PathBuf| match locate(&mounts, &path) {
            Located::Plain(path) => (0, path),
            Located::Guarded(mount, path) => (mount.id, path),
        };
        for (path, expected) in [
            ("near", (0, under("near"))),
            ("near/not/there", (0, under("near/not/there"))),
            ("far", (7, under("far"))),
            ("far/x/../y", (7, under("far/x/../y"))),
            ("near/../far/x", (7, under("far/x"))),
            ("near/link/x", (7, under("far/x"))),
            ("near/relative/y", (7, under("far/x/y"))),
            ("far/../near", (7, under("far/../near"))),
        ] {
            assert_eq!(to(under(path)), expected, "{path}");
        }
        assert_eq!(to(under("near/loop/x")).0, 0, "the kernel will say ELOOP");
        // Another file system over it hides it.
        let hidden = parse(text(&format!("8 7 0:10 / {}/far rw - tmpfs none rw", base.display())).as_bytes());
        assert_eq!(locate(&hidden, &under("far/x")), Located::Plain(under("far/x")));
        // One that is hidden itself, under a mount on its parent, hides nothing.
        let covered = parse(text(&format!("8 1 0:10 / {} rw - tmpfs none rw", base.display())).as_bytes());
        assert_eq!(locate(&covered, &under("far/x")), Located::Plain(under("far/x")));
    }

    #[test]
    fn links_of_other_processes_are_not_taken_at_their_word() {
        assert!(leads_elsewhere(Path::new("/proc/1/root")));
        assert!(!leads_elsewhere(Path::new("/proc/self")));
        assert!(!leads_elsewhere(Path::new(&format!("/proc/{}/cwd", std::process::id()))));
    }
}
