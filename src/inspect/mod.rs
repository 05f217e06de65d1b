//! Looking: the evidence of one file, one pass over a directory, and what could not be seen.
//!
//! Owns: gathering. Never: changes anything, takes or probes a lock, follows a link.

mod ahead;
mod content;
mod evidence;
mod impact;
mod kernel;
mod machine;
mod named;
mod names;
mod pass;
mod split;
mod subfolders;
mod users;

use crate::model::format::UserPatterns;
use crate::model::ignore::IgnoreRules;
use crate::model::naming::NamePatterns;
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) use ahead::Looks;
pub use evidence::{Look, Looker, sight_of};
pub use impact::{Impact, impact_of};
pub use machine::{MachineError, machine, process_detail};
pub use names::NameSet;
pub use pass::{Names, count, list_names, look, look_after, look_again, look_at_one};
pub(crate) use pass::{Openings, list_names_entering, look_at_all};
pub(crate) use split::SplitsByDirectory;

/// What empty files mean in a directory, by the person's word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EmptyFiles {
    /// Decided by name and siblings.
    #[default]
    ByEvidence,
    /// Kernel locks are used here.
    KernelLocks,
    /// Their being there is the lock.
    Existence,
}

/// How to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookOptions {
    /// The age from which a dead owner's lock counts as stale.
    pub threshold: Duration,
    /// Subdirectories too.
    pub recursive: bool,
    /// Which of them are not entered.
    pub ignore: IgnoreRules,
    /// The user's name patterns.
    pub patterns: NamePatterns,
    /// What empty files mean here.
    pub empty_files: EmptyFiles,
    /// The user's own formats.
    pub custom: UserPatterns,
    /// Name patterns on which kernel locks were seen in this directory before.
    pub learned: HashSet<Box<[u8]>>,
}

impl Default for LookOptions {
    fn default() -> Self {
        Self {
            threshold: Duration::from_mins(10),
            recursive: false,
            ignore: IgnoreRules::default(),
            patterns: NamePatterns::default(),
            empty_files: EmptyFiles::default(),
            custom: UserPatterns::default(),
            learned: HashSet::new(),
        }
    }
}

/// Why a directory could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// ENOENT.
    #[error("no such directory: {}", .0.display())]
    NotFound(PathBuf),
    /// ENOTDIR.
    #[error("not a directory: {}; name the directory that the lock files are in", .0.display())]
    NotADirectory(PathBuf),
    /// EACCES.
    #[error("permission denied: {}; run as its owner or as root", .0.display())]
    Denied(PathBuf),
    /// Anything else.
    #[error("{}: {error}", path.display())]
    Failed {
        /// Where.
        path: PathBuf,
        /// What.
        error: io::Error,
    },
}

impl LookError {
    /// What an I/O error on a directory means.
    pub fn of(path: &Path, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound(path.to_owned()),
            io::ErrorKind::NotADirectory => Self::NotADirectory(path.to_owned()),
            io::ErrorKind::PermissionDenied => Self::Denied(path.to_owned()),
            _ => Self::Failed { path: path.to_owned(), error },
        }
    }
}
