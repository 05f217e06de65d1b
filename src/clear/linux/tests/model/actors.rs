//! The others: programs that take, break, commit and release the lock, each step of theirs in one go. Where locks are
//! directories they make, fill, empty and remove them as the tools of that shape do.

use super::super::Shape;
use super::world::{ASIDE, DEAD_OWNER, Ino, LOCK, LOCKS, Lease, REMAINS, STALE, TARGET, World};

/// What kind of program it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// Takes it by O_EXCL, releases it by unlink. A directory: by mkdir and rmdir, with a file in it where those have one;
    /// or, full, by rename.
    Newcomer,
    /// Looks, finds it old, unlinks it a moment later, then takes it. A directory: by rmdir, of a full one after the dead
    /// owner's file in it.
    Breaker,
    /// The same, by rename to a name of its own.
    Renamer,
    /// The same, by `rm -rf`.
    Forcer,
    /// Removes its own dead child's lock, in one step: the correct breaker.
    Supervisor,
    /// Releases as git does: renames the lock to its target.
    Committer,
    /// Opens the stale file, and later writes itself into it. A directory: wakes up and touches it, or what is in it.
    Thief,
}

/// Where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum At {
    Start,
    /// Has seen a stale lock, and will remove what stands there.
    Breaking,
    /// Has renamed what it took for stale, and will remove that.
    Removing,
    /// Waits in `open` for the lease to end.
    Opening,
    /// Has the stale file open, and will write into it.
    Stealing,
    /// Has taken the dead owner's file out of the directory that it breaks.
    Emptied,
    /// Has made its directory, and has yet to put its file in.
    Filling(Ino),
    /// Believes that this inode is its lock.
    Holding(Ino),
    /// Has taken its own file out, and will remove its directory.
    Leaving,
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Actor {
    pub(super) kind: Kind,
    pub(super) at: At,
    /// Its commit by rename succeeded.
    pub(super) committed: bool,
}

/// What a step was, for the trace, and whether it makes a breaker guilty by itself.
pub(super) struct Did {
    pub(super) what: &'static str,
    pub(super) guilty: bool,
}

impl Actor {
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, at: At::Start, committed: false }
    }

    /// The lock that it lives by.
    pub(super) fn holds(&self) -> Option<Ino> {
        if let At::Holding(ino) = self.at { Some(ino) } else { None }
    }

    /// The same, and the lock that it is just making.
    pub(super) fn owns(&self) -> Option<Ino> {
        if let At::Holding(ino) | At::Filling(ino) = self.at { Some(ino) } else { None }
    }

    /// The inode of the lock that it makes.
    pub(super) fn own(number: usize) -> Ino {
        100 + number as Ino
    }

    /// Whether it can go on now.
    pub(super) fn can_step(&self, world: &World) -> bool {
        let there = world.get(LOCKS, LOCK);
        match self.at {
            At::Start => match self.kind {
                Kind::Newcomer | Kind::Committer => may_take(world),
                Kind::Supervisor => there == Some(STALE) && world.is_dead(STALE),
                _ => may_take(world) || (there == Some(STALE) && world.is_dead(STALE)),
            },
            At::Opening => world.inodes[&STALE].lease.is_none(),
            At::Breaking
            | At::Removing
            | At::Stealing
            | At::Emptied
            | At::Filling(_)
            | At::Holding(_)
            | At::Leaving => true,
            At::Done => false,
        }
    }

    pub(super) fn step(&mut self, number: usize, world: &mut World) -> Did {
        let mut guilty = false;
        let there = world.get(LOCKS, LOCK);
        if let Some(shape) = world.shape
            && let Some(what) = self.step_in_directories(shape, number, world)
        {
            return Did { what, guilty };
        }
        let what = match (self.at, self.kind) {
            (At::Start, _) if there.is_none() => {
                let own = Self::own(number);
                let _ = world.create(LOCKS, LOCK, own, false, false, b"a newcomer's");
                self.at = At::Holding(own);
                "takes the lock"
            }
            (At::Start, Kind::Supervisor) => {
                take_away(world, LOCK);
                self.at = At::Done;
                "removes its child's lock"
            }
            (At::Start, Kind::Thief) => match world.inodes[&STALE].lease {
                // Counted first, as the kernel does: whoever asks for a lease now does not get one.
                Some(_) if !world.is_blind() => {
                    world.at(STALE).opens += 1;
                    world.at(STALE).lease = Some(Lease { broken: true });
                    self.at = At::Opening;
                    "waits for the lease"
                }
                _ => {
                    world.at(STALE).opens += 1;
                    self.at = At::Stealing;
                    "opens the stale file"
                }
            },
            (At::Start, _) => {
                self.at = At::Breaking;
                "sees a stale lock"
            }
            (At::Opening, _) => {
                self.at = At::Stealing;
                "gets the stale file open"
            }
            (At::Stealing, _) => {
                let stale = world.at(STALE);
                stale.content = b"a thief's".to_vec();
                stale.modified += 1;
                stale.changed += 1;
                // Somebody else had removed it before: no doing of ours.
                guilty = stale.let_go && there != Some(STALE);
                self.at = At::Holding(STALE);
                "writes itself into the stale file"
            }
            (At::Breaking, kind) => {
                self.at = At::Start;
                match kind {
                    Kind::Renamer => {
                        if world.rename((LOCKS, LOCK), (LOCKS, ASIDE), true).is_ok() {
                            self.at = At::Removing;
                        }
                        "renames what stands there"
                    }
                    Kind::Breaker if there.is_some_and(|ino| world.inodes[&ino].directory) => {
                        "cannot unlink a directory"
                    }
                    _ => {
                        take_away(world, LOCK);
                        "removes what stands there"
                    }
                }
            }
            (At::Removing, _) => {
                take_away(world, ASIDE);
                self.at = At::Start;
                "removes what it renamed"
            }
            (At::Holding(_), Kind::Committer) => {
                let replaced = world.get(LOCKS, TARGET);
                let moved = world.rename((LOCKS, LOCK), (LOCKS, TARGET), false);
                if moved.is_ok() {
                    for ino in there.into_iter().chain(replaced) {
                        world.at(ino).let_go = true;
                    }
                    self.committed = true;
                }
                self.at = At::Done;
                if moved.is_ok() { "commits" } else { "fails to commit" }
            }
            (At::Holding(ino), kind) => {
                if kind == Kind::Thief && ino == STALE {
                    world.at(ino).opens -= 1;
                }
                self.at = At::Done;
                match there {
                    Some(ino) if !world.inodes[&ino].directory => {
                        take_away(world, LOCK);
                        "releases"
                    }
                    _ => "fails to release",
                }
            }
            (At::Emptied | At::Filling(_) | At::Leaving | At::Done, _) => "does nothing",
        };
        Did { what, guilty }
    }
}

impl Actor {
    /// What is otherwise done to a lock that is a directory; `None` = the same as to a file.
    fn step_in_directories(&mut self, shape: Shape, number: usize, world: &mut World) -> Option<&'static str> {
        let own = Self::own(number);
        let there = world.get(LOCKS, LOCK);
        let may_take = may_take(world);
        let rmdir = |world: &mut World| {
            let empty = there.filter(|ino| world.inodes[ino].directory && world.inodes[ino].inside.is_empty());
            if empty.is_some() {
                take_away(world, LOCK);
            }
            empty.is_some()
        };
        Some(match (self.at, self.kind) {
            (At::Start, _) if may_take => {
                if shape == Shape::Full {
                    // What it made under a name of its own is renamed over an empty directory, or to a free name.
                    if there.is_some() {
                        take_away(world, LOCK);
                    }
                    let _ = world.create(LOCKS, LOCK, own, true, false, &[]);
                    let _ = world.create(own, &record(number), child(number), false, false, b"a newcomer's");
                    self.at = At::Holding(own);
                } else {
                    let _ = world.create(LOCKS, LOCK, own, true, false, &[]);
                    self.at = if shape == Shape::Child { At::Filling(own) } else { At::Holding(own) };
                }
                "takes the lock"
            }
            (At::Filling(_), _) => {
                // By its path: whatever directory stands there by now.
                let directory = there.filter(|ino| world.inodes[ino].directory);
                let filled = directory.is_some_and(|directory| {
                    world.create(directory, &record(number), child(number), false, false, b"a newcomer's").is_ok()
                });
                self.at = if filled { At::Holding(own) } else { At::Done };
                if filled { "says whose it is" } else { "cannot say whose it is" }
            }
            (At::Start, Kind::Thief) => {
                let ino = if shape == Shape::Empty { STALE } else { REMAINS };
                let inode = world.at(ino);
                inode.modified += 1;
                inode.changed += 1;
                if ino == REMAINS {
                    inode.content = b"a thief's".to_vec();
                }
                self.at = At::Holding(STALE);
                "makes the stale lock its own"
            }
            (At::Breaking, Kind::Breaker) if shape == Shape::Empty => {
                self.at = At::Start;
                if rmdir(world) { "removes an empty directory" } else { "cannot remove what is no empty directory" }
            }
            (At::Breaking, Kind::Breaker) => {
                let dead = there.and_then(|ino| world.get(ino, DEAD_OWNER).map(|dead| (ino, dead)));
                if let Some((directory, dead)) = dead {
                    let _ = world.unlink(directory, DEAD_OWNER);
                    world.at(dead).let_go = true;
                }
                // Gone by itself is as good, unless it is no directory.
                self.at = if there.is_some_and(|ino| world.inodes[&ino].directory) { At::Emptied } else { At::Start };
                "takes the dead owner's file out"
            }
            (At::Emptied, _) => {
                self.at = At::Start;
                if rmdir(world) { "removes the emptied directory" } else { "cannot remove what is no empty directory" }
            }
            (At::Holding(_), _) if shape == Shape::Empty => {
                self.at = At::Done;
                if rmdir(world) { "releases" } else { "fails to release" }
            }
            (At::Holding(ino), _) => {
                let name = if ino == STALE { DEAD_OWNER.to_vec() } else { record(number) };
                let mine = there.and_then(|there| Some((there, world.get(there, &name)?)));
                self.at = if mine.is_some() { At::Leaving } else { At::Done };
                if let Some((directory, mine)) = mine {
                    let _ = world.unlink(directory, &name);
                    world.at(mine).let_go = true;
                    world.at(ino).let_go = true;
                    "takes its file out"
                } else {
                    "fails to release"
                }
            }
            (At::Leaving, _) => {
                self.at = At::Done;
                if rmdir(world) { "releases" } else { "fails to release" }
            }
            _ => return None,
        })
    }
}

/// The file in its directory that names it, and its inode.
fn record(number: usize) -> Vec<u8> {
    format!("owner-{number}").into_bytes()
}

fn child(number: usize) -> Ino {
    200 + number as Ino
}

/// Whether the path is free, as the locks there are taken.
fn may_take(world: &World) -> bool {
    let Some(there) = world.get(LOCKS, LOCK) else { return true };
    let inode = &world.inodes[&there];
    world.shape == Some(Shape::Full) && inode.directory && inode.inside.is_empty()
}

fn take_away(world: &mut World, name: &[u8]) {
    if let Some(ino) = world.get(LOCKS, name) {
        let inside: Vec<Ino> = world.inodes[&ino].inside.values().copied().collect();
        for ino in inside {
            world.at(ino).let_go = true;
        }
        world.remove_tree(LOCKS, name);
        world.at(ino).let_go = true;
    }
}
