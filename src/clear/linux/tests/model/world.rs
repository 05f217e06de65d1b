//! The modelled disk as data, and what each call does to it in one go. Errors are errnos.

use super::super::Shape;
use crate::model::facts::{FileKind, FileStat};
use crate::model::time::Wall;
use crate::platform::linux::change::Seen;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher as _};

/// An inode, by a number of ours that is never dealt twice (`Inode::number` is what `stat` says).
pub(super) type Ino = u64;
/// The directory with the lock.
pub(super) const LOCKS: Ino = 1;
/// The quarantine.
pub(super) const KEPT: Ino = 2;
/// The stale lock.
pub(super) const STALE: Ino = 10;
/// What a git-style holder commits over, where that exists.
pub(super) const INDEX: Ino = 11;

/// What the stale lock's owner left in it, where it is a directory.
pub(super) const REMAINS: Ino = 12;

/// The lock's name.
pub(super) const LOCK: &[u8] = b"job.pid";
/// A git-style holder's target.
pub(super) const TARGET: &[u8] = b"index";
/// Where a breaker puts what it took for stale, before it removes it.
pub(super) const ASIDE: &[u8] = b"job.pid.stale";
/// The name of what a dead owner left in a directory.
pub(super) const DEAD_OWNER: &[u8] = b"dead";
/// The record in the stale lock.
pub(super) const DEAD: &[u8] = super::super::DEAD.as_bytes();

/// What is taken out of the protocol or of what it rests on, to see that the model notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mutation {
    /// Nothing.
    None,
    /// What came out of the swap always looks like what was held.
    Unverified,
    /// Two Lockscopes at once in one directory. The lease still keeps them apart.
    WithoutMutex,
    /// Neither mutex nor lease.
    WithoutMutexAndLease,
    /// Nor a marker that keeps the other's rmdir off.
    WithoutMarkerToo,
    /// The last step removes whatever stands at the path.
    RemovesAnything,
    /// The way back overwrites.
    PutBackByRename,
    /// A held inode's number is dealt again.
    NotPinned,
    /// The lease is always granted and never broken.
    WithoutLease,
    /// No second link in the put-back.
    WithoutLink,
    /// A directory with a marker stands in for whatever is a directory, also where it is made by `mkdir`.
    DirectoryStandsIn,
    /// What is in the lock directory always looks as it did.
    InsideUnseen,
}

#[derive(Clone, Copy, Debug, Default, Hash, PartialEq, Eq)]
pub(super) struct Lease {
    pub(super) broken: bool,
}

#[derive(Clone, Hash)]
pub(super) struct Inode {
    pub(super) number: u64,
    pub(super) directory: bool,
    pub(super) content: Vec<u8>,
    pub(super) modified: i64,
    /// Counts its changes: ctime.
    pub(super) changed: i64,
    pub(super) links: u32,
    /// An inspector made it.
    pub(super) ours: bool,
    pub(super) inside: BTreeMap<Vec<u8>, Ino>,
    pub(super) lease: Option<Lease>,
    pub(super) opens: u32,
    /// Somebody other than an inspector took a name of it away.
    pub(super) let_go: bool,
}

#[derive(Clone)]
pub(super) struct World {
    pub(super) inodes: BTreeMap<Ino, Inode>,
    pub(super) mutation: Mutation,
    /// What the locks are, where they are directories.
    pub(super) shape: Option<Shape>,
    /// The stale lock as `stat` tells of it: the rest of the world is dated by it.
    pub(super) epoch: FileStat,
}

type Done = Result<(), i32>;

impl World {
    pub(super) fn new(epoch: FileStat, mutation: Mutation, index: bool, shape: Option<Shape>) -> Self {
        let mut world = Self { inodes: BTreeMap::new(), mutation, shape, epoch };
        for directory in [LOCKS, KEPT] {
            world.inodes.insert(directory, world.fresh(directory, true, false, &[]));
        }
        let stale = world.fresh(STALE, shape.is_some(), false, if shape.is_some() { &[] } else { DEAD });
        world.inodes.insert(STALE, stale);
        world.enter(LOCKS, LOCK, STALE);
        if matches!(shape, Some(Shape::Child | Shape::Full)) {
            let _ = world.create(STALE, DEAD_OWNER, REMAINS, false, false, DEAD);
        }
        world.at(STALE).modified = epoch.modified.0;
        if index {
            world.inodes.insert(INDEX, world.fresh(INDEX, false, false, b"old data"));
            world.enter(LOCKS, TARGET, INDEX);
        }
        world
    }

    /// Whether leases tell nothing.
    pub(super) fn is_blind(&self) -> bool {
        use Mutation::{WithoutLease, WithoutMarkerToo, WithoutMutexAndLease};
        matches!(self.mutation, WithoutLease | WithoutMutexAndLease | WithoutMarkerToo)
    }

    fn fresh(&self, ino: Ino, directory: bool, ours: bool, content: &[u8]) -> Inode {
        let modified = self.epoch.modified.0 + 3_600_000_000_000;
        let (content, inside) = (content.to_vec(), BTreeMap::new());
        let (number, changed, links, opens) = (ino, 0, 0, 0);
        Inode { number, directory, content, modified, changed, links, ours, inside, lease: None, opens, let_go: false }
    }

    /// Whether a lock looks like its owner is dead.
    pub(super) fn is_dead(&self, ino: Ino) -> bool {
        let lock = &self.inodes[&ino];
        match self.shape {
            None => !lock.directory && lock.content == DEAD,
            Some(Shape::Empty) => lock.directory && lock.inside.is_empty() && lock.modified == self.epoch.modified.0,
            Some(Shape::Child | Shape::Full) => {
                lock.inside.len() == 1 && lock.inside.values().all(|ino| self.inodes[ino].content == DEAD)
            }
        }
    }

    /// The time of a lock directory is that of its last entry. Those of the others nobody looks at.
    fn touch(&mut self, directory: Ino) {
        if directory != LOCKS && directory != KEPT {
            let inode = self.at(directory);
            inode.modified += 1;
            inode.changed += 1;
        }
    }

    fn enter(&mut self, directory: Ino, name: &[u8], ino: Ino) {
        self.at(directory).inside.insert(name.to_vec(), ino);
        self.touch(directory);
        let inode = self.at(ino);
        inode.links += 1;
        inode.changed += 1;
    }

    fn leave(&mut self, directory: Ino, name: &[u8]) -> Option<Ino> {
        let ino = self.at(directory).inside.remove(name)?;
        self.touch(directory);
        let inode = self.at(ino);
        inode.links -= 1;
        inode.changed += 1;
        Some(ino)
    }

    pub(super) fn at(&mut self, ino: Ino) -> &mut Inode {
        self.inodes.get_mut(&ino).expect("an inode is never forgotten")
    }

    pub(super) fn get(&self, directory: Ino, name: &[u8]) -> Option<Ino> {
        self.inodes[&directory].inside.get(name).copied()
    }

    /// Whether another than the lock's directory, or another name there, has it.
    pub(super) fn stands_at(&self, ino: Ino, directory: Ino, which: impl Fn(&[u8]) -> bool) -> bool {
        self.inodes[&directory].inside.iter().any(|(name, at)| *at == ino && which(name))
    }

    /// Whether it has a name. The put-back's second one does not count: who takes away the first, takes it all.
    pub(super) fn stands(&self, ino: Ino) -> bool {
        let is_first = |name: &[u8]| !name.ends_with(b".keep");
        self.stands_at(ino, LOCKS, is_first) || self.stands_at(ino, KEPT, |_| true)
    }

    /// Where an inode stands: directory and name.
    pub(super) fn place_of(&self, ino: Ino) -> Option<(Ino, Vec<u8>)> {
        self.inodes.iter().find_map(|(directory, inode)| {
            let (name, _) = inode.inside.iter().find(|(_, at)| **at == ino)?;
            Some((*directory, name.clone()))
        })
    }

    pub(super) fn create(
        &mut self, directory: Ino, name: &[u8], ino: Ino, is_directory: bool, ours: bool, content: &[u8],
    ) -> Done {
        if self.get(directory, name).is_some() {
            return Err(libc::EEXIST);
        }
        let mut inode = self.fresh(ino, is_directory, ours, content);
        if self.mutation == Mutation::NotPinned && !ours && self.inodes[&STALE].links == 0 {
            // As a file system deals it: the number, and a record of the same length within one tick of a coarse clock.
            let stale = &self.inodes[&STALE];
            (inode.number, inode.modified, inode.content) = (stale.number, stale.modified, stale.content.clone());
        }
        self.inodes.insert(ino, inode);
        self.enter(directory, name, ino);
        Ok(())
    }

    pub(super) fn exchange(&mut self, (d1, n1): (Ino, &[u8]), (d2, n2): (Ino, &[u8])) -> Done {
        let (Some(one), Some(other)) = (self.get(d1, n1), self.get(d2, n2)) else { return Err(libc::ENOENT) };
        self.at(d1).inside.insert(n1.to_vec(), other);
        self.at(d2).inside.insert(n2.to_vec(), one);
        self.at(one).changed += 1;
        self.at(other).changed += 1;
        Ok(())
    }

    /// rename(2); `free` = RENAME_NOREPLACE.
    pub(super) fn rename(&mut self, (d1, n1): (Ino, &[u8]), (d2, n2): (Ino, &[u8]), free: bool) -> Done {
        let ino = self.get(d1, n1).ok_or(libc::ENOENT)?;
        if let Some(there) = self.get(d2, n2) {
            match (self.inodes[&ino].directory, &self.inodes[&there]) {
                _ if free => return Err(libc::EEXIST),
                (true, there) if !there.directory => return Err(libc::ENOTDIR),
                (false, there) if there.directory => return Err(libc::EISDIR),
                (true, there) if !there.inside.is_empty() => return Err(libc::ENOTEMPTY),
                _ => self.leave(d2, n2),
            };
        }
        self.leave(d1, n1);
        self.enter(d2, n2, ino);
        Ok(())
    }

    pub(super) fn link(&mut self, (d1, n1): (Ino, &[u8]), (d2, n2): (Ino, &[u8])) -> Done {
        let ino = self.get(d1, n1).ok_or(libc::ENOENT)?;
        if self.inodes[&ino].directory || self.mutation == Mutation::WithoutLink {
            return Err(libc::EPERM);
        }
        if self.get(d2, n2).is_some() {
            return Err(libc::EEXIST);
        }
        self.enter(d2, n2, ino);
        Ok(())
    }

    pub(super) fn unlink(&mut self, directory: Ino, name: &[u8]) -> Done {
        let ino = self.get(directory, name).ok_or(libc::ENOENT)?;
        if self.inodes[&ino].directory {
            return Err(libc::EISDIR);
        }
        self.leave(directory, name);
        Ok(())
    }

    pub(super) fn rmdir(&mut self, directory: Ino, name: &[u8]) -> Done {
        let ino = self.get(directory, name).ok_or(libc::ENOENT)?;
        let careless = self.mutation == Mutation::RemovesAnything && name == LOCK;
        match &self.inodes[&ino] {
            _ if careless => {}
            inode if !inode.directory => return Err(libc::ENOTDIR),
            inode if !inode.inside.is_empty() && self.mutation != Mutation::WithoutMarkerToo => {
                return Err(libc::ENOTEMPTY);
            }
            _ => {}
        }
        self.remove_tree(directory, name);
        Ok(())
    }

    /// `rm -rf`.
    pub(super) fn remove_tree(&mut self, directory: Ino, name: &[u8]) {
        if let Some(ino) = self.leave(directory, name) {
            let inside = std::mem::take(&mut self.at(ino).inside);
            for ino in inside.into_values() {
                self.at(ino).links -= 1;
            }
        }
    }

    pub(super) fn seen(&self, ino: Ino) -> Seen {
        let inode = &self.inodes[&ino];
        let stat = FileStat {
            kind: if inode.directory { FileKind::Directory } else { FileKind::Regular },
            links: inode.links,
            size: inode.content.len() as u64,
            ino: inode.number,
            modified: Wall(inode.modified),
            changed: Wall(self.epoch.changed.0 + inode.changed),
            born: Some(Wall(self.epoch.modified.0 + ino as i64)),
            mode: if inode.directory { 0o700 } else { self.epoch.mode },
            ..self.epoch
        };
        Seen { stat, fixed: false }
    }

    pub(super) fn key(&self, hasher: &mut std::hash::DefaultHasher) {
        hasher.write_usize(self.inodes.len());
        for (ino, inode) in &self.inodes {
            ino.hash(hasher);
            inode.hash(hasher);
        }
    }
}
