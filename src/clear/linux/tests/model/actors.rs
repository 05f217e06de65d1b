//! The others: programs that take, break, commit and release the lock, each step of theirs in one go.

use super::world::{ASIDE, DEAD, Ino, LOCK, LOCKS, Lease, STALE, TARGET, World};

/// What kind of program it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// Takes it by O_EXCL, releases it by unlink.
    Newcomer,
    /// Looks, finds it old, unlinks it a moment later, then takes it.
    Breaker,
    /// The same, by rename to a name of its own.
    Renamer,
    /// The same, by `rm -rf`.
    Forcer,
    /// Removes its own dead child's lock, in one step: the correct breaker.
    Supervisor,
    /// Releases as git does: renames the lock to its target.
    Committer,
    /// Opens the stale file, and later writes itself into it.
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
    /// Believes that this inode is its lock.
    Holding(Ino),
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

    /// The inode of the lock that it makes.
    pub(super) fn own(number: usize) -> Ino {
        100 + number as Ino
    }

    /// Whether it can go on now.
    pub(super) fn can_step(&self, world: &World) -> bool {
        let there = world.get(LOCKS, LOCK);
        match self.at {
            At::Start => match self.kind {
                Kind::Newcomer | Kind::Committer => there.is_none(),
                Kind::Supervisor => there == Some(STALE) && is_dead(world),
                _ => there.is_none() || (there == Some(STALE) && is_dead(world)),
            },
            At::Opening => world.inodes[&STALE].lease.is_none(),
            At::Breaking | At::Removing | At::Stealing | At::Holding(_) => true,
            At::Done => false,
        }
    }

    pub(super) fn step(&mut self, number: usize, world: &mut World) -> Did {
        let mut guilty = false;
        let there = world.get(LOCKS, LOCK);
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
            (At::Done, _) => "does nothing",
        };
        Did { what, guilty }
    }
}

fn is_dead(world: &World) -> bool {
    world.inodes[&STALE].content == DEAD
}

fn take_away(world: &mut World, name: &[u8]) {
    if let Some(ino) = world.get(LOCKS, name) {
        world.remove_tree(LOCKS, name);
        world.at(ino).let_go = true;
    }
}
