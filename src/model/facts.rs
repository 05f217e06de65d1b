//! Facts: what was seen of one lock file ([`Seen`], and [`Facts`] as it is kept) and of the machine around it ([`Sight`]).
//!
//! Owns: the shape of evidence, three-valued where the world is. Never: gathers it (`inspect` does), and never
//! concludes from it ([`super::verdict`] does).

mod packed;

use super::format::Reading;
use super::holder::{Pid, ProcessFacts, ProcessLook};
use super::kernel::LockKind;
use super::time::Wall;
use std::sync::Arc;
use std::time::Duration;

pub use packed::{Alike, Facts};

/// The kind of a directory entry, by `lstat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link; never followed.
    Symlink,
    /// A named pipe; never opened.
    Fifo,
    /// A socket; never opened.
    Socket,
    /// A block or character device; never opened.
    Device,
}

impl FileKind {
    /// What a sentence calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Regular => "file",
            Self::Directory => "directory",
            Self::Symlink => "symbolic link",
            Self::Fifo => "FIFO",
            Self::Socket => "socket",
            Self::Device => "device",
        }
    }
}

/// What `statx(2)` tells of a file, without following links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStat {
    /// Its kind.
    pub kind: FileKind,
    /// Permission bits.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Count of hard links.
    pub links: u32,
    /// Size in bytes.
    pub size: u64,
    /// `st_dev`: together with `ino` its identity while it exists (numbers are used again afterwards).
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// The mount it was reached through (`mnt_id`); 0 where the kernel does not say.
    pub mount: u64,
    /// Last change of the content; can be forged (`utime`).
    pub modified: Wall,
    /// Last change of the inode; nothing in userland sets it.
    pub changed: Wall,
    /// When the inode was made, where the file system keeps that.
    pub born: Option<Wall>,
    /// It is the root of a mount.
    pub mount_root: bool,
}

impl FileStat {
    /// The time that proofs use: the latest of birth, modification and inode change, because `mtime` alone can be forged.
    pub fn proof_time(&self) -> Wall {
        self.modified.max(self.changed).max(self.born.unwrap_or(Wall(i64::MIN)))
    }
}

/// Why a file could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// EACCES or EPERM.
    Denied,
    /// The file system did not answer in time.
    NoAnswer,
    /// Anything else, with its errno in words.
    Failed(Box<str>),
}

/// A process, as far as a sentence needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessRef {
    /// Its PID.
    pub pid: Pid,
    /// What is known of it; `None` where it may not be looked at or has gone since.
    pub facts: Option<Arc<ProcessFacts>>,
}

impl ProcessRef {
    /// Its short name, or what stands in for one.
    pub fn name(&self) -> &str {
        self.facts.as_ref().map_or("a process", |facts| facts.name())
    }
}

/// Who took a kernel lock that others hold now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taker {
    /// Its PID.
    pub pid: Pid,
    /// It has exited; else it lives without the file open (it passed the lock on, or the number is another's by now).
    pub exited: bool,
}

/// A granted lock on some bytes of a file, or on all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockedRange {
    /// By which call it was taken.
    pub kind: LockKind,
    /// Exclusive, or shared.
    pub exclusive: bool,
    /// First byte.
    pub start: u64,
    /// Last byte; `None` = to the end.
    pub end: Option<u64>,
}

impl LockedRange {
    /// Whether it is the whole file.
    pub const fn is_whole(&self) -> bool {
        self.start == 0 && self.end.is_none()
    }
}

/// What the kernel's lock table says of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelState {
    /// The granted locks' kind, by the first of them.
    pub kind: Option<LockKind>,
    /// Who holds it, as far as can be told.
    pub holders: Vec<ProcessRef>,
    /// The taker that the table names, where that process is no holder any more: another has inherited the lock.
    pub taken_by: Option<Taker>,
    /// The granted locks, one by one.
    pub ranges: Vec<LockedRange>,
    /// Who is queued for it.
    pub waiters: Vec<ProcessRef>,
    /// The device number does not tell file systems apart here (btrfs subvolumes) and no open file confirms the match.
    pub ambiguous: bool,
}

impl KernelState {
    /// Whether a lock is granted.
    pub fn is_granted(&self) -> bool {
        self.kind.is_some()
    }

    /// The kinds of the granted locks, as the JSON output names them: `flock and posix`.
    pub fn kinds(&self) -> String {
        let mut kinds: Vec<&str> = self.kind.iter().map(|kind| kind.id()).collect();
        for range in &self.ranges {
            if !kinds.contains(&range.kind.id()) {
                kinds.push(range.kind.id());
            }
        }
        kinds.join(" and ")
    }
}

/// Who was found to have the file open, or to work under it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Users {
    /// Not asked, as the verdict does not hang on it.
    #[default]
    NotLooked,
    /// What was found. `unseen` processes whose open files would matter could not be looked at.
    Looked {
        /// Processes that have the file open.
        open: Vec<ProcessRef>,
        /// A process of the format's program with its working directory or an open file in the protected tree.
        works: Option<ProcessRef>,
        /// Processes that could not be looked at and would matter.
        unseen: u32,
    },
}

/// The owner that the record names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum OwnerState {
    /// The record names nobody, or there is none.
    #[default]
    NotNamed,
    /// Not looked for: a PID elsewhere means nothing here.
    NotLooked,
    /// What came of looking.
    Looked(Arc<ProcessLook>),
}

/// What was seen of a heartbeat lock, by our own monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beat {
    /// How often its tool refreshes it.
    pub interval: Duration,
    /// The tool's own stale time.
    pub stale_after: Duration,
    /// We saw it move, and that was the last change.
    pub moved: bool,
    /// For how long we have watched it unchanged, from the first look at it as it is to the last; `None` after a single
    /// look.
    pub unchanged_for: Option<Duration>,
}

/// A danger that a person must know of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Danger {
    /// A process holds a lock on a deleted inode of this path: two holders are possible.
    SplitLock,
}

impl Danger {
    /// The word that the JSON output uses.
    pub const fn id(self) -> &'static str {
        match self {
            Self::SplitLock => "split_lock",
        }
    }

    /// The words in the window.
    pub const fn title(self) -> &'static str {
        match self {
            Self::SplitLock => "split lock",
        }
    }
}

/// All that was seen of one lock file, as it is gathered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// `None` = `lstat` failed.
    pub stat: Option<FileStat>,
    /// Why it could not be read, where it could not.
    pub trouble: Option<Trouble>,
    /// Format and record.
    pub reading: Reading,
    /// A digest of the first 64 KiB, to tell that the content changed.
    pub content: u64,
    /// The first bytes, for showing (at most 4 KiB).
    pub bytes: Box<[u8]>,
    /// The kernel's locks on it; `None` = there are none that we can see.
    pub kernel: Option<Box<KernelState>>,
    /// Who has a lease on it: that is no hold, but it has the file open.
    pub leases: Box<[ProcessRef]>,
    /// The kernel-lock rule applies: a kernel-lock format, or an empty file where kernel locks are known to be used.
    pub kernel_rule: bool,
    /// The owner that the record names.
    pub owner: OwnerState,
    /// Who has it open or works under it.
    pub users: Users,
    /// For heartbeat formats.
    pub beat: Option<Beat>,
    /// A danger, where there is one.
    pub danger: Option<Danger>,
    /// Who holds a lock on a deleted file of this name, where the danger is that.
    pub split_holders: Vec<ProcessRef>,
    /// When we first saw it as it is now, on the monotonic clock: the threshold runs on it where the file's time lies ahead.
    pub first_seen: Duration,
}

impl OwnerState {
    /// There is no such process, or it has exited.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Looked(look) if matches!(**look, ProcessLook::NoSuchProcess | ProcessLook::Exited(_)))
    }
}

impl Seen {
    /// Takes over what only time shows, from an earlier look at the same path: since when it is as it is, and whether its
    /// heart beats. `self` must be fresh: seen once.
    pub fn follow(&mut self, earlier: &Facts) {
        let looked = self.first_seen;
        if self.stat.is_none() && self.trouble == Some(Trouble::NoAnswer) {
            // Its age goes on by what the file was like.
            self.stat = earlier.stat();
        }
        let same = self.stat == earlier.stat() && self.content == earlier.content();
        if same {
            // We have watched it since then, as it is now.
            self.first_seen = earlier.first_seen();
        }
        if let Some(beat) = &mut self.beat {
            let was_there = earlier.stat().is_some();
            beat.moved = if same { earlier.beat().is_some_and(|beat| beat.moved) } else { was_there };
            beat.unchanged_for = same.then(|| looked.saturating_sub(earlier.first_seen()));
        }
    }

    /// Forgets all that may have changed since the file system fell silent; what the file was like then stays.
    pub fn hear_nothing(&mut self) {
        self.trouble = Some(Trouble::NoAnswer);
        self.kernel = None;
        self.owner = OwnerState::NotLooked;
        self.users = Users::NotLooked;
        self.danger = None;
        self.split_holders = Vec::new();
    }
}

/// The file system that a directory stands on, as far as it matters for evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSystem {
    /// Its type as mountinfo names it (`ext4`).
    pub name: Box<str>,
    /// Other machines may write here.
    pub network: bool,
    /// Locks taken on its files by anybody on this machine appear in our lock table under the same inode (not on
    /// overlayfs, FUSE, network file systems).
    pub shows_locks: bool,
}

impl FileSystem {
    /// The times of its files come from this machine's clock, so that they can be compared with it: not on a network disk,
    /// nor on FUSE, whose daemon may hand on a server's times.
    pub fn keeps_our_time(&self) -> bool {
        let fuse = self.name.starts_with("fuse") && &*self.name != "fuseblk";
        !self.network && !fuse
    }
}

/// What was to be seen of the machine in one pass; shared by all its locks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// This host's name.
    pub host: Box<str>,
    /// `/etc/machine-id`.
    pub machine_id: Option<u128>,
    /// This boot.
    pub boot_id: Option<u128>,
    /// A wall time that lies surely before this boot's start of userland even if the clock was stepped:
    /// `min(btime of /dev/null on devtmpfs, now - uptime)`. `None` where it cannot be known.
    pub boot_floor: Option<Wall>,
    /// By how much the clock was stepped since boot (CLEARING.md 2.2); `None` = cannot be known (in a container).
    pub clock_step: Option<Duration>,
    /// Our PID namespace.
    pub pid_ns: Option<u64>,
    /// It is the host's first one, so all processes can be seen.
    pub host_pid_ns: bool,
    /// Other users' processes are hidden from us (`hidepid`, without the rights to see past it).
    pub hidden_processes: bool,
    /// Our own user id.
    pub uid: u32,
    /// The file system of the directory.
    pub fs: FileSystem,
    /// The kernel's lock table could be read.
    pub kernel_table: bool,
    /// Processes seen.
    pub processes: u32,
    /// Of these, how many would not show their open files to us.
    pub processes_denied: u32,
}

impl Sight {
    /// We are in the host's PID namespace and the file system shows its locks: nobody here can hold one unseen.
    pub fn full_view(&self) -> bool {
        self.host_pid_ns && self.fs.shows_locks && self.kernel_table
    }

    /// Whether anything may be cleared at all: who holds a kernel lock must not be hidden from us.
    pub fn can_clear(&self) -> bool {
        self.kernel_table
    }
}
