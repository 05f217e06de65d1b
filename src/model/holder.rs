//! Processes as evidence: who a record names, who was looked at, and what tells one process from a later one.
//!
//! Owns: [`Pid`], [`StartToken`], [`ProcessFacts`], [`ProcessLook`], [`Liveness`].
//! Never: looks at a process. `platform` does.

use super::time::Wall;
use std::num::NonZeroU32;

/// A process id, 1 to 2^31-1. Whether it exists is asked of the system, never of `pid_max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(NonZeroU32);

impl Pid {
    /// `None` for 0 (which names nobody: `kill(0, ..)` would hit our own group) and beyond 2^31-1.
    pub fn new(number: u64) -> Option<Self> {
        let number = u32::try_from(number).ok().filter(|n| i32::try_from(*n).is_ok())?;
        NonZeroU32::new(number).map(Self)
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl std::fmt::Display for Pid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What tells one process from a later one with the same PID: its start in clock ticks after boot
/// (`/proc/PID/stat` field 22; `exec` keeps it) and which boot that was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StartToken {
    /// `/proc/sys/kernel/random/boot_id`; `None` where the writer could not read it.
    pub boot_id: Option<u128>,
    /// Clock ticks (100 a second on Linux) from boot to the start of the process.
    pub ticks: u64,
}

/// One process as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessFacts {
    /// The process id; of a thread id that was asked for, its process.
    pub pid: Pid,
    /// Start in clock ticks after boot; `None` where the system does not count it so.
    pub start_ticks: Option<u64>,
    /// The same on the wall clock (now - uptime + ticks/100); off by at most 10 ms, and by clock steps.
    pub started_at: Wall,
    /// Real, effective, saved and file-system uid; `None` where not all four are known.
    pub uids: Option<[u32; 4]>,
    /// The name of the user that it acts as, where that is known.
    pub user: Option<Box<str>>,
    /// The program's short name (`comm`, 15 bytes at most).
    pub comm: Box<str>,
    /// The command line, arguments joined by spaces; empty where it may not be read.
    pub command: Box<str>,
    /// Born of kthreadd: such a process writes no lock files.
    pub kernel_thread: bool,
    /// Its PID as its own PID namespace counts it, where that differs.
    pub inner_pid: Option<Pid>,
    /// It counts time as we do: in another time namespace its start has another number of ticks, so that start tokens
    /// made there and here cannot be compared. `None` = may not be seen.
    pub same_time_ns: Option<bool>,
}

impl ProcessFacts {
    /// What tells it from a later process with the same PID, from one look of ours to the next.
    pub fn incarnation(&self) -> u64 {
        self.start_ticks.unwrap_or(self.started_at.0.cast_unsigned())
    }

    /// The word for it in a sentence: the short name, never empty.
    pub fn name(&self) -> &str {
        if self.comm.is_empty() { "a process" } else { &self.comm }
    }
}

/// What came of looking at a PID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProcessLook {
    /// There is none: `pidfd_open` gives ESRCH, and /proc has no such directory.
    NoSuchProcess,
    /// Exited as a whole, waiting for its parent to reap it (a zombie with no living thread).
    Exited(Box<ProcessFacts>),
    /// Running, stopped or asleep.
    Running(Box<ProcessFacts>),
    /// It exists, but /proc does not show it to us (`hidepid`).
    Hidden,
    /// Could not look; never taken for gone.
    Unknown(Box<str>),
}

/// Whether one owner or holder is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Liveness {
    /// A living process, as far as can be told the very same.
    Alive,
    /// Proved gone.
    Gone,
    /// Not known, or nobody is named.
    Unknown,
}

impl Liveness {
    /// The word that the JSON output uses.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Gone => "gone",
            Self::Unknown => "unknown",
        }
    }
}

/// How a holder is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HeldBy {
    /// The record in the file names it.
    Record,
    /// The kernel's lock table names it.
    Kernel,
    /// It has the file open, or visibly works under the lock.
    OpenFile,
}

impl HeldBy {
    /// The word that the JSON output uses.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Kernel => "kernel",
            Self::OpenFile => "open_file",
        }
    }
}

/// A boot or machine id as the kernel prints it, with or without dashes.
pub fn parse_boot_id(text: &str) -> Option<u128> {
    let hex: String = text.trim().chars().filter(|c| *c != '-').collect();
    (hex.len() == 32).then(|| u128::from_str_radix(&hex, 16).ok()).flatten()
}
