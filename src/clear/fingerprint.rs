//! What makes a file the very one that was seen: [`Fingerprint`] of a looked-at lock, [`Identity`] of an inode.
//!
//! Owns: comparing, and saying what differs. Never: looks at a file.

use crate::model::facts::{FileKind, FileStat};
use crate::model::snapshot::Lock;
use crate::model::time::Wall;
use serde::{Deserialize, Serialize};

/// A file as a person saw it and as they confirmed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    dev: u64,
    ino: u64,
    size: u64,
    modified: Wall,
    changed: Wall,
    born: Option<Wall>,
    kind: FileKind,
    content: u64,
}

impl Fingerprint {
    /// Of a lock that was looked at; `None` where its `lstat` failed, so that nothing is known to compare.
    pub fn of(lock: &Lock) -> Option<Self> {
        let stat = lock.facts.stat()?;
        Some(Self {
            dev: stat.dev,
            ino: stat.ino,
            size: stat.size,
            modified: stat.modified,
            changed: stat.changed,
            born: stat.born,
            kind: stat.kind,
            content: lock.facts.content(),
        })
    }

    /// What differs in `now`, in words; `None` = it is the same file, untouched.
    pub fn difference(&self, now: &Self) -> Option<&'static str> {
        // The inode number alone would not do: ext4 gives it again to the next file (CLEARING.md 2.3), hence the birth
        // time, and ctime, which nothing in userland can set.
        let said = [
            (self.kind != now.kind, "another kind of file stands there"),
            ((self.dev, self.ino, self.born) != (now.dev, now.ino, now.born), "another file stands there"),
            (self.size != now.size, "its size changed"),
            (self.content != now.content, "its content changed"),
            (self.modified != now.modified, "it was written to"),
            (self.changed != now.changed, "its inode changed (permissions, links or name)"),
        ];
        said.into_iter().find(|(differs, _)| *differs).map(|(_, words)| words)
    }
}

/// An inode, as marker and journal name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// `file`, `directory`, `symbolic link`.
    pub kind: String,
    /// `st_dev`.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Birth, in nanoseconds since the epoch.
    pub born: Option<i64>,
    /// Size.
    pub size: u64,
    /// mtime, in nanoseconds since the epoch.
    pub modified: i64,
    /// Permission bits.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
}

impl Identity {
    /// Of an inode as it is now.
    pub fn of(stat: &FileStat) -> Self {
        Self {
            kind: stat.kind.name().to_owned(),
            dev: stat.dev,
            ino: stat.ino,
            born: stat.born.map(|born| born.0),
            size: stat.size,
            modified: stat.modified.0,
            mode: stat.mode,
            uid: stat.uid,
        }
    }

    /// The same inode, whatever its content.
    pub fn is_same_inode(&self, stat: &FileStat) -> bool {
        let now = Self::of(stat);
        (&self.kind, self.dev, self.ino, self.born) == (&now.kind, now.dev, now.ino, now.born)
    }

    /// The same after a restart: device numbers may have been dealt anew.
    pub fn is_same_inode_but_for_device(&self, stat: &FileStat) -> bool {
        Self { dev: stat.dev, ..self.clone() }.is_same_inode(stat)
    }

    /// The same inode, not written to since. Not ctime: a rename changes it on ext4, btrfs, tmpfs.
    pub fn is_untouched(&self, stat: &FileStat) -> bool {
        *self == Self::of(stat)
    }

    /// The same after a restart: device numbers may have been dealt anew.
    pub fn is_untouched_but_for_device(&self, stat: &FileStat) -> bool {
        Self { dev: stat.dev, ..self.clone() } == Self::of(stat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat() -> FileStat {
        FileStat {
            kind: FileKind::Regular,
            mode: 0o644,
            uid: 1000,
            links: 1,
            size: 5,
            dev: 1,
            ino: 2,
            mount: 3,
            modified: Wall(10),
            changed: Wall(11),
            born: Some(Wall(9)),
            mount_root: false,
        }
    }

    #[test]
    fn a_reused_inode_number_is_another_inode() {
        let identity = Identity::of(&stat());
        assert!(identity.is_untouched(&stat()));
        assert!(!identity.is_same_inode(&FileStat { born: Some(Wall(12)), ..stat() }));
        assert!(!identity.is_same_inode(&FileStat { kind: FileKind::Symlink, ..stat() }));
    }

    #[test]
    fn a_rename_is_no_change_and_a_write_is_one() {
        let identity = Identity::of(&stat());
        assert!(identity.is_untouched(&FileStat { changed: Wall(99), links: 2, ..stat() }));
        let written = FileStat { modified: Wall(99), ..stat() };
        assert!(identity.is_same_inode(&written) && !identity.is_untouched(&written));
        assert!(identity.is_untouched_but_for_device(&FileStat { dev: 77, ..stat() }));
    }
}
