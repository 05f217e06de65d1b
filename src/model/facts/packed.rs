//! Facts as they are kept: in few bytes, as a directory may have a million locks.
//!
//! Owns: [`Facts`], and [`Alike`], by which locks share what they have alike. What few locks have stands apart; what many
//! have is kept once. Never: changes what was seen; [`Facts::seen`] gives it back as it was.

use super::super::format::Reading;
use super::super::time::Wall;
use super::{Beat, Danger, FileKind, FileStat, KernelState, OwnerState, ProcessRef, Seen, Trouble, Users};
use hashbrown::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

/// All that was seen of one lock file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// `None` = `lstat` failed.
    place: Option<Arc<Place>>,
    ino: u64,
    modified: Wall,
    changed: Wall,
    /// [`UNBORN`] where the file system does not keep it.
    born: Wall,
    first_seen_nanos: u64,
    said: Arc<Said>,
}

const UNBORN: Wall = Wall(i64::MIN);

/// What most files of a directory have alike.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    dev: u64,
    mount: u64,
    uid: u32,
    links: u32,
    mode: u16,
    kind: FileKind,
    mount_root: bool,
}

/// What the content says, and what became of that: alike for all locks of one process, and for all empty files.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    reading: Reading,
    /// Of the file.
    size: u64,
    content: u64,
    bytes: Box<[u8]>,
    owner: OwnerState,
    kernel_rule: bool,
    rare: Option<Box<Rare>>,
}

/// What few locks have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rare {
    trouble: Option<Trouble>,
    kernel: Option<Box<KernelState>>,
    leases: Box<[ProcessRef]>,
    users: Users,
    beat: Option<Beat>,
    danger: Option<Danger>,
    split_holders: Vec<ProcessRef>,
}

impl Rare {
    /// Several locks may well have this alike: nobody in particular is in it.
    fn is_common(&self) -> bool {
        let Self { trouble, kernel, leases, users, beat, danger, split_holders } = self;
        let nobody = match users {
            Users::NotLooked => true,
            Users::Looked { open, works, .. } => open.is_empty() && works.is_none(),
        };
        let nothing = trouble.is_none() && kernel.is_none() && beat.is_none() && danger.is_none();
        nobody && nothing && leases.is_empty() && split_holders.is_empty()
    }
}

impl Hash for Said {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // These tell nearly all apart, and nothing else is touched.
        (self.content, self.size).hash(state);
        // Where it stands in another file than the lock.
        self.reading.record().and_then(|record| record.pid).hash(state);
    }
}

impl From<Seen> for Facts {
    fn from(seen: Seen) -> Self {
        let Seen { stat, trouble, reading, content, bytes, kernel, leases, kernel_rule, owner, .. } = seen;
        let Seen { users, beat, danger, split_holders, first_seen, .. } = seen;
        let rare = Rare { trouble, kernel, leases, users, beat, danger, split_holders };
        let rare = (rare != Rare::default()).then(|| Box::new(rare));
        let size = stat.map_or(0, |stat| stat.size);
        let place = stat.map(|stat| {
            let FileStat { kind, mode, uid, links, dev, mount, mount_root, .. } = stat;
            Arc::new(Place { dev, mount, uid, links, mode, kind, mount_root })
        });
        Self {
            place,
            ino: stat.map_or(0, |stat| stat.ino),
            modified: stat.map_or(UNBORN, |stat| stat.modified),
            changed: stat.map_or(UNBORN, |stat| stat.changed),
            born: stat.and_then(|stat| stat.born).unwrap_or(UNBORN),
            first_seen_nanos: u64::try_from(first_seen.as_nanos()).unwrap_or(u64::MAX),
            said: Arc::new(Said { reading, size, content, bytes, owner, kernel_rule, rare }),
        }
    }
}

impl Facts {
    /// As it was gathered.
    pub fn seen(&self) -> Seen {
        let Said { reading, size: _, content, bytes, owner, kernel_rule, rare } = Said::clone(&self.said);
        let rare = rare.map(|rare| *rare).unwrap_or_default();
        let Rare { trouble, kernel, leases, users, beat, danger, split_holders } = rare;
        Seen {
            stat: self.stat(),
            trouble,
            reading,
            content,
            bytes,
            kernel,
            leases,
            kernel_rule,
            owner,
            users,
            beat,
            danger,
            split_holders,
            first_seen: self.first_seen(),
        }
    }

    /// Changes it.
    pub fn change(&mut self, change: impl FnOnce(&mut Seen)) {
        let mut seen = self.seen();
        change(&mut seen);
        *self = seen.into();
    }

    /// `None` = `lstat` failed.
    pub fn stat(&self) -> Option<FileStat> {
        let Place { dev, mount, uid, links, mode, kind, mount_root } = **self.place.as_ref()?;
        let Self { ino, modified, changed, born, .. } = *self;
        let size = self.said.size;
        let born = Some(born).filter(|born| *born != UNBORN);
        Some(FileStat { kind, mode, uid, links, size, dev, ino, mount, modified, changed, born, mount_root })
    }

    /// Its inode number, where `lstat` gave one.
    pub fn ino(&self) -> Option<u64> {
        self.place.as_ref().map(|_| self.ino)
    }

    /// When its content last changed, where `lstat` told.
    pub fn modified(&self) -> Option<Wall> {
        self.place.as_ref().map(|_| self.modified)
    }

    /// Why it could not be read, where it could not.
    pub fn trouble(&self) -> Option<&Trouble> {
        self.rare()?.trouble.as_ref()
    }

    /// Format and record.
    pub fn reading(&self) -> &Reading {
        &self.said.reading
    }

    /// A digest of the first 64 KiB, to tell that the content changed.
    pub fn content(&self) -> u64 {
        self.said.content
    }

    /// The first bytes, for showing (at most 4 KiB).
    pub fn bytes(&self) -> &[u8] {
        &self.said.bytes
    }

    /// The kernel's locks on it; `None` = there are none that we can see.
    pub fn kernel(&self) -> Option<&KernelState> {
        self.rare()?.kernel.as_deref()
    }

    /// Whether a kernel lock on it is granted.
    pub fn is_kernel_locked(&self) -> bool {
        self.kernel().is_some_and(KernelState::is_granted)
    }

    /// Who has a lease on it: that is no hold, but it has the file open.
    pub fn leases(&self) -> &[ProcessRef] {
        self.rare().map_or(&[], |rare| &rare.leases)
    }

    /// The kernel-lock rule applies: a kernel-lock format, or an empty file where kernel locks are known to be used.
    pub fn kernel_rule(&self) -> bool {
        self.said.kernel_rule
    }

    /// The owner that the record names.
    pub fn owner(&self) -> &OwnerState {
        &self.said.owner
    }

    /// Who has it open or works under it.
    pub fn users(&self) -> &Users {
        self.rare().map_or(&Users::NotLooked, |rare| &rare.users)
    }

    /// For heartbeat formats.
    pub fn beat(&self) -> Option<Beat> {
        self.rare()?.beat
    }

    /// A danger, where there is one.
    pub fn danger(&self) -> Option<Danger> {
        self.rare()?.danger
    }

    /// Who holds a lock on a deleted file of this name, where the danger is that.
    pub fn split_holders(&self) -> &[ProcessRef] {
        self.rare().map_or(&[], |rare| &rare.split_holders)
    }

    /// When we first saw it as it is now, on the monotonic clock: the threshold runs on it where the file's time lies ahead.
    pub fn first_seen(&self) -> Duration {
        Duration::from_nanos(self.first_seen_nanos)
    }

    /// Processes queued for it, by the kernel's table.
    pub fn waiters(&self) -> &[ProcessRef] {
        self.kernel().map_or(&[], |kernel| &kernel.waiters)
    }

    fn rare(&self) -> Option<&Rare> {
        self.said.rare.as_deref()
    }
}

/// What locks have alike, so that it is kept once.
#[derive(Debug, Default)]
pub struct Alike {
    places: HashSet<Arc<Place>>,
    said: HashSet<Arc<Said>>,
    /// With so many, those that no lock has any more are dropped.
    full: usize,
}

impl Alike {
    /// So few are kept whether a lock has them or not.
    const FEW: usize = 1024;

    /// Has a lock's facts share what others have too. They stay equal to what they were.
    pub fn share(&mut self, facts: &mut Facts) {
        if let Some(place) = &mut facts.place {
            share(&mut self.places, place);
        }
        if facts.said.rare.as_deref().is_none_or(Rare::is_common) {
            share(&mut self.said, &mut facts.said);
        }
        if self.said.len() + self.places.len() > self.full.max(Self::FEW) {
            self.said.retain(|said| Arc::strong_count(said) > 1);
            self.places.retain(|place| Arc::strong_count(place) > 1);
            self.full = (self.said.len() + self.places.len()) * 2;
        }
    }
}

fn share<T: Hash + Eq>(kept: &mut HashSet<Arc<T>>, one: &mut Arc<T>) {
    one.clone_from(kept.get_or_insert_with(&**one, |_| Arc::clone(&*one)));
}
