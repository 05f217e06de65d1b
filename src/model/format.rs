//! What lock files say: the catalogue of formats, and the total parser from bytes to a record.
//!
//! Owns: [`Format`], [`FORMATS`] (order = precedence: exact name, magic bytes, strictest grammar first), [`recognise`],
//! [`listed`]. Never: reads a file, and never fails: any bytes give a [`Reading`].
//!
//! To add a format: one reader and one row in a file of `format/`, one case file under `tests/cases/formats/`, one row in
//! `docs/FORMATS.md` (a test compares that table with this one).

mod asked;
mod backup;
mod build;
mod custom;
mod database;
mod desktop;
mod documents;
mod fields;
mod filelock;
mod files;
mod git;
mod lookup;
mod mail;
mod marker;
mod names;
mod pylocks;
mod python;
mod server;
mod standin;
mod system;
mod text;
mod vcs;

use super::facts::FileKind;
use super::holder::{Pid, StartToken};
use super::time::Wall;
pub use asked::Asked;
use asked::Filter;
use globset::{Glob, GlobBuilder};
use lookup::{NameIndex, Places};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

pub use custom::{PidPlace, UserPattern, UserPatterns};
pub use names::is_dependency_lockfile;
pub use standin::{Holds, Ourselves, StandIn};

/// How a lock file locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
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

/// On what grounds a format claims a file; also the order in which formats are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claim {
    /// Lockscope's own marker, under whatever name: a placeholder must be known in anybody's place.
    Ours,
    /// Its name is the tool's own: only files that match [`Format::names`] are tried.
    Name,
    /// The content begins with something that only this tool writes; any name.
    Magic,
    /// The content fits a grammar that only this tool has; any name.
    Grammar,
    /// The content fits a grammar that many use.
    Loose,
    /// Whatever is left.
    Rest,
}

/// What a file of some format is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A lock.
    Lock,
    /// Put there by an administrator, to stay: never stale, whoever wrote it.
    Administrative,
    /// Data that programs lock through the kernel: a database, not a lock file. Never removed.
    Data,
    /// Called like a lock, and none: content, or a by-product of a protocol.
    NotALock,
}

/// Where a program of the format's must be at work for a lock without an owner to count as in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In the protected tree: the lock's directory, or so many directories above it.
    Tree(u8),
    /// Anywhere on the machine (a package manager's database).
    Machine,
}

/// How often the holder of a heartbeat lock refreshes it, and from when its tool takes it for abandoned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Between two beats.
    pub interval: Duration,
    /// The tool's own stale time.
    pub stale_after: Duration,
}

impl Heartbeat {
    /// In seconds.
    pub const fn secs(interval: u64, stale_after: u64) -> Self {
        Self { interval: Duration::from_secs(interval), stale_after: Duration::from_secs(stale_after) }
    }
}

/// One row of the catalogue.
#[derive(Debug)]
pub struct Format {
    /// The id in the JSON output and in FORMATS.md. Two rows have the same where one tool's file is a lock at one time and
    /// none at another.
    pub id: &'static str,
    /// What the window calls it.
    pub title: &'static str,
    /// How such a file locks, unless evidence says more.
    pub mechanism: Mechanism,
    /// Globs of its names: of the base name, or with the directories it stands in (`.hg/store/lock`). What matches is
    /// listed.
    pub names: &'static [&'static str],
    /// The names are so common that a file is listed for them only if its content fits too.
    pub common_names: bool,
    /// On what grounds it claims a file.
    pub claim: Claim,
    /// About which files it is asked: all others it would not claim.
    pub asked: Asked,
    /// Whether it is a lock at all.
    pub standing: Standing,
    /// Short names (`comm`, 15 bytes at most) of the programs that take such locks; empty = any program may.
    pub programs: &'static [&'static str],
    /// Where such a program counts as at work under the lock.
    pub scope: Scope,
    /// For heartbeat formats, unless the record gives its own.
    pub heartbeat: Option<Heartbeat>,
    /// Of a directory: the file within that carries the record, as (subdirectory or "", beginning of its name); of several
    /// such files the contents follow each other.
    pub payload: Option<(&'static str, &'static str)>,
    /// Of a directory: what may be in it.
    pub holds: Holds,
    /// What stands at its path while it is taken away.
    pub stand_in: StandIn,
    /// Its waiters open it without waiting (`O_NONBLOCK`), and stop with an error where a lease of ours would let others wait.
    pub opened_nonblocking: bool,
    /// A file beside it that names its owner: what stands for the lock's own ending, as (own ending, other ending).
    pub companion: Option<(&'static str, &'static str)>,
    /// What such a file looks like, in a few words.
    pub looks: &'static str,
    /// When the tool itself takes such a lock for stale, and what it does then.
    pub stale_rule: Option<&'static str>,
    /// What deleting it does or risks, where that is special.
    pub caution: Option<&'static str>,
    /// The tool's own command that removes it safely.
    pub unlocker: Option<&'static str>,
    /// What to run after clearing, where the tool has such a check.
    pub after_clearing: Option<&'static str>,
    /// Ids in FORMATS.md whose files cannot be told from this one's, by name or content.
    pub also: &'static [&'static str],
    /// `None` = not mine.
    pub(super) read: fn(&Candidate<'_>) -> Option<RecordState>,
}

/// What most rows have; each row names its own id, title, mechanism and reader.
const PLAIN: Format = Format {
    id: "",
    title: "",
    mechanism: Mechanism::Unknown,
    names: &[],
    common_names: false,
    claim: Claim::Name,
    asked: Asked::ALWAYS,
    standing: Standing::Lock,
    programs: &[],
    scope: Scope::Tree(0),
    heartbeat: None,
    payload: None,
    holds: Holds::Nothing,
    stand_in: StandIn::ByKind,
    opened_nonblocking: false,
    companion: None,
    looks: "",
    stale_rule: None,
    caution: None,
    unlocker: None,
    after_clearing: None,
    also: &[],
    read: |_| None,
};

impl PartialEq for Format {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Format {}

impl Format {
    /// No tool claims it: how such a file locks is likely, not known.
    pub fn is_generic(&self) -> bool {
        self.claim == Claim::Loose || self.id == "unrecognised"
    }

    /// The tool's own way to remove such a lock, as a sentence.
    pub fn own_way(&self) -> Option<String> {
        let command = self.unlocker?;
        let tool = command.split(' ').next().unwrap_or(command);
        Some(format!("{tool} has its own way to remove this: `{command}`. It knows what else belongs to it"))
    }

    /// Whether a file is one of its own, asked or not, and whatever others before it would say.
    pub fn claims(&self, file: &Candidate<'_>) -> bool {
        (self.read)(file).is_some()
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
    /// Permission bits.
    pub mode: u16,
    /// Count of hard links.
    pub links: u32,
    /// The first 64 KiB at most; of a symlink its target; of a directory the marker of ours or the payload in it.
    pub bytes: &'a [u8],
    /// A sibling or a known key says that Python's `FileLock` is used for this name.
    pub known_key: bool,
    /// Of a directory: the names in it, sorted, [`MOST_CHILDREN`] at most.
    pub children: &'a [Box<[u8]>],
    /// Of a file with several hard links: another name of it in the same directory.
    pub linked_name: Option<&'a [u8]>,
}

impl<'a> Candidate<'a> {
    /// A plain one: all its bytes are given, it has one name, and nothing is known of it beyond.
    pub fn plain(name: &'a [u8], directory: &'a [u8], kind: FileKind, bytes: &'a [u8]) -> Self {
        Self {
            name,
            directory,
            kind,
            size: bytes.len() as u64,
            mode: 0o644,
            links: 1,
            bytes,
            known_key: false,
            children: &[],
            linked_name: None,
        }
    }
}

/// Of a lock directory so many names are read; the known layouts have fewer.
pub const MOST_CHILDREN: usize = 16;

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
    /// Further processes that it names as owners beside `pid`; one that lives holds the lock.
    pub others: Box<[Pid]>,
    /// The machine it names, as in `/etc/machine-id`.
    pub machine_id: Option<u128>,
    /// Which boot of its machine it was written in, where it says so without a start token.
    pub boot_id: Option<u128>,
    /// The short name of the program that wrote it, where the record has that.
    pub program: Option<Box<str>>,
    /// The start token it carries.
    pub token: Option<StartToken>,
    /// When the machine of its owner was booted, by that machine's clock.
    pub booted_at: Option<Wall>,
    /// The record says itself that it holds for so long after each refresh.
    pub lease: Option<Duration>,
    /// What else it says that a person wants to read (the operation, when it expires), in a few words.
    pub detail: Option<Box<str>>,
    /// It holds something that would be lost with it (unsaved text): what, and what to do first. Never stale.
    pub precious: Option<&'static str>,
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

/// The catalogue, in the order in which formats are tried: by [`Claim`], then as the sections give them.
pub static FORMATS: LazyLock<Vec<&'static Format>> = LazyLock::new(|| {
    let sections: [&'static [Format]; 17] = [
        custom::FORMATS,
        marker::FORMATS,
        names::FORMATS,
        git::FORMATS,
        vcs::FORMATS,
        filelock::FORMATS,
        pylocks::FORMATS,
        python::FORMATS,
        documents::FORMATS,
        desktop::FORMATS,
        server::FORMATS,
        system::FORMATS,
        backup::FORMATS,
        build::FORMATS,
        database::FORMATS,
        mail::FORMATS, // after the exact names: it has `*.lock`
        text::FORMATS,
    ];
    let mut all: Vec<&'static Format> = sections.into_iter().flatten().collect();
    all.sort_by_key(|format| format.claim);
    all
});

static NAMES: LazyLock<NameIndex> = LazyLock::new(|| {
    NameIndex::of(
        FORMATS.iter().enumerate().flat_map(|(place, format)| format.names.iter().map(move |name| (place, *name))),
    )
});

/// The rows that claim files of any name.
static ANY_NAME: LazyLock<Places> = LazyLock::new(|| {
    Places::of(FORMATS.iter().zip(0..).filter(|(format, _)| format.claim != Claim::Name).map(|(_, place)| place))
});

static ASKED: LazyLock<Filter> = LazyLock::new(|| Filter::of(&FORMATS));

/// A glob of a base name, or of a name with the directories it stands in; `None` where it is no glob.
pub fn name_glob(pattern: &str) -> Option<Glob> {
    GlobBuilder::new(&format!("**/{pattern}")).literal_separator(true).backslash_escape(true).build().ok()
}

/// The formats whose names fit.
fn named(directory: &[u8], name: &[u8]) -> Places {
    NAMES.find(directory, name)
}

fn path_of(directory: &[u8], name: &[u8]) -> PathBuf {
    let bytes = [directory, b"/", name].concat();
    PathBuf::from(os_string(bytes))
}

#[cfg(unix)]
fn os_string(bytes: Vec<u8>) -> OsString {
    std::os::unix::ffi::OsStringExt::from_vec(bytes)
}

#[cfg(not(unix))]
fn os_string(bytes: Vec<u8>) -> OsString {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()).into()
}

/// As [`recognise`], with the user's own patterns before the catalogue.
pub fn recognise_with(file: &Candidate<'_>, patterns: &UserPatterns) -> Reading {
    let catalogue = recognise(file);
    if catalogue.format.claim == Claim::Ours {
        return catalogue;
    }
    patterns.read(file).unwrap_or(catalogue)
}

/// What the file is and says. Total: the last row of [`FORMATS`] takes whatever no other did.
pub fn recognise(file: &Candidate<'_>) -> Reading {
    // In the order of the catalogue; the rows of names that do not fit, or of other contents, are not touched.
    let tried = named(file.directory, file.name).with(*ANY_NAME).and(ASKED.admitted(file));
    let found = tried.iter().find_map(|place| {
        let format = FORMATS[place];
        (format.read)(file).map(|record| (format, record))
    });
    let (format, record) = found.unwrap_or((unrecognised(), RecordState::Malformed("no known format")));
    let mechanism = match (file.kind, format.mechanism) {
        (_, Mechanism::Heartbeat) => Mechanism::Heartbeat,
        (FileKind::Directory, _) => Mechanism::Directory,
        (FileKind::Symlink, _) => Mechanism::Symlink,
        // A tool's way out where links cannot be made.
        (FileKind::Regular, Mechanism::Symlink | Mechanism::Directory) => Mechanism::Existence,
        (_, mechanism) => mechanism,
    };
    Reading { format, mechanism, record }
}

/// Of a lock directory, by its name: which file within carries the record, as (subdirectory or "", beginning of its name).
pub fn payload(directory: &[u8], name: &[u8]) -> Option<(&'static str, &'static str)> {
    named(directory, name).iter().find_map(|place| FORMATS[place].payload)
}

/// The row that takes whatever no other format does.
pub fn unrecognised() -> &'static Format {
    FORMATS[FORMATS.len() - 1]
}

/// The row with this id, or the one whose files cannot be told from that one's.
pub fn by_id(id: &str) -> Option<&'static Format> {
    let exact = FORMATS.iter().find(|format| format.id == id);
    exact.or_else(|| FORMATS.iter().find(|format| format.also.contains(&id))).copied()
}

/// Whether a directory entry is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// By its name.
    Yes,
    /// If its content is that of a format with such names.
    IfRecognised,
    /// Only if a kernel lock is on it.
    No,
}

/// Whether a directory entry is listed, by its name alone (DESIGN.md section 3). What carries a kernel lock is listed
/// whatever it is called; that is asked elsewhere.
pub fn listed(directory: &[u8], name: &[u8]) -> Listed {
    const ENDINGS: [&[u8]; 5] = [b".lock", b".lck", b".lk", b".pid", b"-lock"];
    if ENDINGS.iter().any(|end| name.ends_with(end)) || matches!(name, b"lock" | b"LOCK") {
        return Listed::Yes;
    }
    match named(directory, name).iter().map(|place| FORMATS[place].common_names).min() {
        Some(false) => Listed::Yes,
        Some(true) => Listed::IfRecognised,
        None => Listed::No,
    }
}
