//! Mounts: which file system a file is on, what its locks are called in the kernel's table, and whether they show there.

use crate::model::facts::FileSystem;

/// One line of `/proc/self/mountinfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) id: u64,
    pub(super) major: u32,
    pub(super) minor: u32,
    pub(super) point: String,
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

impl Mount {
    pub(super) fn file_system(&self) -> FileSystem {
        FileSystem {
            name: self.kind.as_str().into(),
            network: NETWORK.contains(&self.kind.as_str()),
            shows_locks: SHOWS_LOCKS.contains(&self.kind.as_str()),
        }
    }
}

/// The mount with this id, as it is now. The file is small and its content is made at each read, so it is not kept.
pub(super) fn find(id: u64) -> Option<Mount> {
    read().into_iter().find(|mount| mount.id == id)
}

/// Whether `/proc` was mounted with `hidepid`, so that processes of others are not shown to us.
pub(super) fn proc_hides_processes() -> bool {
    let proc = read().into_iter().rfind(|mount| mount.kind == "proc" && mount.point == "/proc");
    proc.is_none_or(|mount| {
        mount
            .super_options
            .split(',')
            .filter_map(|option| option.strip_prefix("hidepid="))
            .any(|v| v != "0" && v != "off")
    })
}

fn read() -> Vec<Mount> {
    std::fs::read_to_string("/proc/self/mountinfo").map(|text| parse(&text)).unwrap_or_default()
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue` (proc_pid_mountinfo(5)).
fn parse(text: &str) -> Vec<Mount> {
    text.lines()
        .filter_map(|line| {
            let (left, right) = line.split_once(" - ")?;
            let mut left = left.split(' ');
            let id = left.next()?.parse().ok()?;
            let (major, minor) = left.nth(1)?.split_once(':')?;
            let point = left.nth(1)?.to_owned();
            let mut right = right.split(' ');
            let kind = right.next()?.to_owned();
            let super_options = right.nth(1).unwrap_or_default().to_owned();
            Some(Mount { id, major: major.parse().ok()?, minor: minor.parse().ok()?, point, kind, super_options })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mountinfo_lines_are_read_with_and_without_optional_fields() {
        let mounts = parse(
            "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n\
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
            let mount = parse(&format!("1 0 0:1 / / rw - {kind} none rw")).remove(0);
            assert!(!mount.file_system().shows_locks, "{kind}");
        }
    }
}
