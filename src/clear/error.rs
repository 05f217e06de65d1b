//! Why something was not cleared or not put back: each says what happened, to which path, and what to do next.

use crate::model::verdict::Verdict;
use std::io;
use std::path::{Path, PathBuf};

/// Why nothing is cleared where nobody can see who holds what, and what to do instead.
pub const CANNOT_CLEAR: &str = "Lockscope cannot see who holds kernel locks on this system, so it clears nothing here; \
    if you are sure that no program uses the file, delete it by hand";

/// Why a lock is not cleared. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It is not there any more.
    #[error("{}: gone already; nothing was left to clear", .0.display())]
    Gone(PathBuf),
    /// The file is not the one that was seen.
    #[error("{}: changed since you looked: {what}; look again", path.display())]
    Changed {
        /// Where.
        path: PathBuf,
        /// What changed.
        what: &'static str,
    },
    /// The file is the same, what follows from the evidence is not.
    #[error("{}: was {}, is now {}: {why}", path.display(), was.id(), now.id())]
    VerdictChanged {
        /// Where.
        path: PathBuf,
        /// As it was seen.
        was: Verdict,
        /// As it is.
        now: Verdict,
        /// The sentence.
        why: String,
    },
    /// The verdict does not allow it.
    #[error("{}: {} is not cleared{}: {why}", path.display(), verdict.id(), if *.by_name { " together with others; name it" } else { "" })]
    NotClearable {
        /// Where.
        path: PathBuf,
        /// What it is.
        verdict: Verdict,
        /// By name it could be.
        by_name: bool,
        /// The sentence.
        why: String,
    },
    /// Its tool has a command for that.
    #[error("{}: {way}; --force --reason clears it all the same", path.display())]
    OwnWay {
        /// Where.
        path: PathBuf,
        /// What it is.
        verdict: Verdict,
        /// The command, in a sentence.
        way: String,
    },
    /// The kernel says that a process holds it: not even force removes it.
    #[error("{}: {why} Not even force takes that away: end the process first, or wait for it; nothing was changed", path.display())]
    HeldByKernel {
        /// Where.
        path: PathBuf,
        /// The sentence.
        why: String,
    },
    /// Somebody has it open.
    #[error("{}: in use: a process has it open; nothing was changed", .0.display())]
    InUse(PathBuf),
    /// Another Lockscope is at work in this directory.
    #[error("{}: another Lockscope is clearing in this directory; try again", .0.display())]
    Busy(PathBuf),
    /// The safe way does not exist here.
    #[error("{}: {why}; nothing was changed", path.display())]
    Unsupported {
        /// Where.
        path: PathBuf,
        /// What is missing.
        why: String,
    },
    /// We lack the rights.
    #[error("{}: {why}; nothing was changed", path.display())]
    NotPermitted {
        /// Where.
        path: PathBuf,
        /// Which right, and who has it.
        why: String,
    },
    /// Could not look, or not prepare.
    #[error("{}: {doing} failed: {error}; nothing was changed", path.display())]
    Failed {
        /// Where.
        path: PathBuf,
        /// What.
        doing: &'static str,
        /// Why.
        error: io::Error,
    },
}

impl Refusal {
    /// What the lock was found to be, where that was the reason.
    pub fn verdict(&self) -> Option<Verdict> {
        match self {
            Self::VerdictChanged { now, .. } => Some(*now),
            Self::NotClearable { verdict, .. } | Self::OwnWay { verdict, .. } => Some(*verdict),
            Self::HeldByKernel { .. } => Some(Verdict::Held),
            _ => None,
        }
    }

    /// The full path.
    pub fn path(&self) -> &Path {
        match self {
            Self::Gone(path) | Self::InUse(path) | Self::Busy(path) => path,
            Self::Changed { path, .. }
            | Self::VerdictChanged { path, .. }
            | Self::HeldByKernel { path, .. }
            | Self::NotClearable { path, .. }
            | Self::OwnWay { path, .. }
            | Self::Unsupported { path, .. }
            | Self::NotPermitted { path, .. }
            | Self::Failed { path, .. } => path,
        }
    }
}

/// Why a permitted clear did not take the lock away.
#[derive(Debug, thiserror::Error)]
pub enum ClearError {
    /// Stopped before anything was moved.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Another program took the lock in the last moment; its lock stands where it stood.
    #[error("{}: another program took or opened this lock just now; nothing was removed", .0.display())]
    PutBack(PathBuf),
    /// What came out was another's, and its owner has let go of it meanwhile.
    #[error("{}: another program took and released this lock just now; what it left is kept in {}", path.display(), kept.display())]
    Kept {
        /// Where.
        path: PathBuf,
        /// Where what came out is.
        kept: PathBuf,
    },
    /// Half done; recovery goes on from here.
    #[error("{}: interrupted while {doing}: {error}; run the clear again to repair it", path.display())]
    Unfinished {
        /// Where.
        path: PathBuf,
        /// What.
        doing: &'static str,
        /// Why.
        error: io::Error,
    },
}

/// Why nothing was put back.
#[derive(Debug, thiserror::Error)]
pub enum UndoRefusal {
    /// No such entry.
    #[error("the journal has no clear with the id {0}; `lockscope log` lists them")]
    NoSuchEntry(String),
    /// Undone before, or never taken away.
    #[error("{id}: nothing to put back: {why}")]
    NothingToUndo {
        /// The entry.
        id: String,
        /// Why.
        why: String,
    },
    /// The path is taken.
    #[error("{}: a new lock is there now; I will not overwrite it. The old one is kept in {}", path.display(), kept.display())]
    Taken {
        /// Where it stood.
        path: PathBuf,
        /// Where it is.
        kept: PathBuf,
    },
    /// The directory was deleted or moved away.
    #[error("{}: the directory is gone; the content is kept in {}", path.display(), kept.display())]
    DirectoryGone {
        /// Where it stood.
        path: PathBuf,
        /// Where it is.
        kept: PathBuf,
    },
    /// What lies in quarantine is not what was put there, or is gone.
    #[error("{}: {why}; its content is in the journal", path.display())]
    Lost {
        /// Where it stood.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The safe way does not exist here.
    #[error("{id}: Lockscope cannot put anything back on this system; {}", by_hand(kept.as_deref()))]
    Unsupported {
        /// The entry.
        id: String,
        /// Where what was cleared is.
        kept: Option<PathBuf>,
    },
    /// A call failed.
    #[error("{}: {doing} failed: {error}; nothing was changed", path.display())]
    Failed {
        /// Where.
        path: PathBuf,
        /// What.
        doing: &'static str,
        /// Why.
        error: io::Error,
    },
}

fn by_hand(kept: Option<&Path>) -> String {
    let Some(kept) = kept else { return "the journal names nothing that is kept".to_owned() };
    format!("what was cleared is kept in {}: move it back by hand if its place is free", kept.display())
}
