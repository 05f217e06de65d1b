//! What lock files say: the catalogue of formats, and the total parser from bytes to a record.
//!
//! Owns: [`Format`], [`FORMATS`] (order = precedence: exact name, magic bytes, strictest grammar first), [`recognise`].
//! Never: reads a file, and never fails: any bytes give a [`Reading`].
//!
//! To add a format: one `recognise` function in a file of `format/`, one line in [`FORMATS`], one case file under
//! `tests/cases/formats/`, one row in `docs/FORMATS.md` (a test compares that table with this one).

mod git;
mod marker;
mod names;
mod text;

use super::facts::FileKind;
use super::holder::{Pid, StartToken};
use super::time::Wall;

pub use names::is_dependency_lockfile;

/// How a lock file locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// Created exclusively: there = taken.
    Existence,
    /// `flock(2)` on the file; the file itself means nothing.
    Flock,
    /// `fcntl(F_SETLK)` on the file.
    Posix,
    /// `fcntl(F_OFD_SETLK)` on the file.
    Ofd,
    /// A symbolic link whose target is the record: there = taken.
    Symlink,
    /// A directory: there = taken.
    Directory,
    /// A hard link to a file of the owner's own: there = taken.
    Hardlink,
    /// There = taken, and its holder touches it again and again.
    Heartbeat,
    /// Cannot be told from the file.
    Unknown,
}

impl Mechanism {
    /// The word that the JSON output uses.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Existence => "existence",
            Self::Flock => "flock",
            Self::Posix => "posix",
            Self::Ofd => "ofd",
            Self::Symlink => "symlink",
            Self::Directory => "directory",
            Self::Hardlink => "hardlink",
            Self::Heartbeat => "heartbeat",
            Self::Unknown => "unknown",
        }
    }

    /// Whether the kernel holds the lock, so that the file left behind blocks nobody.
    pub const fn is_kernel(self) -> bool {
        matches!(self, Self::Flock | Self::Posix | Self::Ofd)
    }

    /// Whether the file's being there is the lock.
    pub const fn is_existence(self) -> bool {
        matches!(self, Self::Existence | Self::Symlink | Self::Directory | Self::Hardlink | Self::Heartbeat)
    }
}

/// One row of the catalogue.
#[derive(Debug)]
pub struct Format {
    /// The id in the JSON output and in FORMATS.md.
    pub id: &'static str,
    /// What the window calls it.
    pub title: &'static str,
    /// How such a file locks, unless evidence says more.
    pub mechanism: Mechanism,
    /// Short names (`comm`) of the programs that take such locks; empty = any program may.
    pub programs: &'static [&'static str],
    /// What to run after clearing, where the tool has such a check.
    pub after_clearing: Option<&'static str>,
    /// `None` = not mine.
    recognise: fn(&Candidate<'_>) -> Option<RecordState>,
}

impl PartialEq for Format {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Format {}

impl Format {
    /// No tool claims it: how such a file locks is likely, not known.
    pub fn is_generic(&self) -> bool {
        matches!(self.id, "hand-pid" | "pid-host" | "json-pid" | "unrecognised")
    }

    /// Whether `comm` is a program that takes locks of this format; `None` where any may.
    pub fn fits_program(&self, comm: &str) -> Option<bool> {
        (!self.programs.is_empty()).then(|| self.programs.contains(&comm))
    }
}

/// A file that may be of some format.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Base name, as bytes.
    pub name: &'a [u8],
    /// The directory it stands in, as bytes; its last components tell the usual place (`.git`).
    pub directory: &'a [u8],
    /// Its kind by `lstat`.
    pub kind: FileKind,
    /// Size by `lstat`.
    pub size: u64,
    /// The first 64 KiB at most; of a symlink its target; of a directory that carries a marker of ours, the marker.
    pub bytes: &'a [u8],
    /// A sibling or a known key says that Python's `FileLock` is used for this name.
    pub known_key: bool,
}

/// What the record says about its owner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The process it names; `None` = it names nobody (PID 0, or no such field).
    pub pid: Option<Pid>,
    /// The host it names.
    pub host: Option<Box<str>>,
    /// The PID namespace it names: inode number of `/proc/self/ns/pid`.
    pub pid_ns: Option<u64>,
    /// The user it names.
    pub user: Option<Box<str>>,
    /// The command it names.
    pub command: Option<Box<str>>,
    /// The start token it carries.
    pub token: Option<StartToken>,
    /// When its owner says that it started.
    pub started_at: Option<Wall>,
    /// The whole grammar matched. A bare PID without a newline may be the first half of a longer one.
    pub complete: bool,
    /// It is Lockscope's own placeholder, left in the middle of a clear.
    pub placeholder: bool,
}

/// What the parser made of the content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordState {
    /// The format carries no record of an owner (git's `index.lock`, a kernel-lock file).
    None,
    /// Empty or cut short, where the format has a record.
    CutShort,
    /// Not understood, and why.
    Malformed(&'static str),
    /// A record.
    Parsed(Box<Record>),
}

/// What a file is and says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The row of the catalogue.
    pub format: &'static Format,
    /// How it locks.
    pub mechanism: Mechanism,
    /// What it says.
    pub record: RecordState,
}

impl Reading {
    /// The record, where there is one.
    pub fn record(&self) -> Option<&Record> {
        match &self.record {
            RecordState::Parsed(record) => Some(record),
            _ => None,
        }
    }
}

const GIT_PROGRAMS: &[&str] =
    &["git", "git-remote-http", "git-remote-https", "git-receive-pack", "git-upload-pack", "git-gc", "git-maintenance"];

/// The catalogue, in the order in which formats are tried.
pub static FORMATS: &[Format] = &[
    Format {
        id: "dependency-lockfile",
        title: "dependency lockfile",
        mechanism: Mechanism::Unknown,
        programs: &[],
        after_clearing: None,
        recognise: names::dependency,
    },
    Format {
        id: "lockscope",
        title: "Lockscope",
        mechanism: Mechanism::Existence,
        programs: &[],
        after_clearing: None,
        recognise: marker::lockscope,
    },
    Format {
        id: "git-lock",
        title: "git",
        mechanism: Mechanism::Existence,
        programs: GIT_PROGRAMS,
        after_clearing: Some("git status (and git fsck if it complains)"),
        recognise: git::lock,
    },
    Format {
        id: "filelock-unix",
        title: "filelock, flock",
        mechanism: Mechanism::Flock,
        programs: &[],
        after_clearing: None,
        recognise: text::filelock_unix,
    },
    Format {
        id: "filelock-soft",
        title: "filelock soft",
        mechanism: Mechanism::Existence,
        programs: &[],
        after_clearing: None,
        recognise: text::filelock_soft,
    },
    Format {
        id: "json-pid",
        title: "JSON",
        mechanism: Mechanism::Existence,
        programs: &[],
        after_clearing: None,
        recognise: marker::json_pid,
    },
    Format {
        id: "hand-pid",
        title: "PID",
        mechanism: Mechanism::Existence,
        programs: &[],
        after_clearing: None,
        recognise: text::hand_pid,
    },
    Format {
        id: "pid-host",
        title: "PID and host",
        mechanism: Mechanism::Existence,
        programs: &[],
        after_clearing: None,
        recognise: text::pid_host,
    },
    Format {
        id: "empty",
        title: "empty",
        mechanism: Mechanism::Unknown,
        programs: &[],
        after_clearing: None,
        recognise: |file| (file.kind == FileKind::Regular && file.size == 0).then_some(RecordState::CutShort),
    },
    Format {
        id: "unrecognised",
        title: "unrecognised",
        mechanism: Mechanism::Unknown,
        programs: &[],
        after_clearing: None,
        recognise: |_| Some(RecordState::Malformed("no known format")),
    },
];

/// What the file is and says. Total: the last row of [`FORMATS`] takes whatever no other did.
pub fn recognise(file: &Candidate<'_>) -> Reading {
    let found = FORMATS.iter().find_map(|format| (format.recognise)(file).map(|record| (format, record)));
    let (format, record) = found.unwrap_or((unrecognised(), RecordState::Malformed("no known format")));
    let mechanism = match file.kind {
        FileKind::Directory => Mechanism::Directory,
        FileKind::Symlink => Mechanism::Symlink,
        _ => format.mechanism,
    };
    Reading { format, mechanism, record }
}

/// The row that takes whatever no other format does.
pub fn unrecognised() -> &'static Format {
    &FORMATS[FORMATS.len() - 1]
}

/// The row with this id.
pub fn by_id(id: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.id == id)
}

/// Whether a directory entry is listed at all, by its name alone (DESIGN.md section 3). What carries a kernel lock is
/// listed whatever it is called; that is asked elsewhere.
pub fn is_listed_name(name: &[u8]) -> bool {
    const ENDINGS: [&[u8]; 5] = [b".lock", b".lck", b".lk", b".pid", b"-lock"];
    ENDINGS.iter().any(|end| name.ends_with(end)) || matches!(name, b"lock" | b"LOCK") || is_dependency_lockfile(name)
}
