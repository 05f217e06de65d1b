//! Looking: the evidence of one file, one pass over a directory, and what could not be seen.
//!
//! Owns: gathering. Never: changes anything, takes or probes a lock, follows a link.

use crate::model::naming::NamePatterns;
use crate::model::snapshot::{Lock, Snapshot};
use crate::platform::System;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

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
    /// The user's name patterns.
    pub patterns: NamePatterns,
    /// What empty files mean here.
    pub empty_files: EmptyFiles,
}

impl Default for LookOptions {
    fn default() -> Self {
        Self {
            threshold: Duration::from_secs(600),
            recursive: false,
            patterns: NamePatterns::default(),
            empty_files: EmptyFiles::default(),
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

/// One full pass over a directory.
pub fn look(_system: &Arc<dyn System>, directory: &Path, _options: &LookOptions) -> Result<Snapshot, LookError> {
    Err(LookError::NotFound(directory.to_owned()))
}

/// Looks at one file alone, anew and with everything that could matter (open files too). `path` is relative.
/// `None` = it is not there any more. The snapshot returned holds that one lock and the sight.
pub fn look_at_one(
    _system: &Arc<dyn System>, directory: &Path, _path: &OsStr, _options: &LookOptions,
) -> Result<Option<(Arc<Lock>, Snapshot)>, LookError> {
    Err(LookError::NotFound(directory.to_owned()))
}
