//! What can go wrong with a lock: each error says what happened, to which path, and what to do next.
//!
//! Owns: [`LockError`], [`Unreleased`]. Never: hides which call failed.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why a lock was not taken or not let go, or what it protects not written.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else has it, and we were not to wait.
    #[error("{}: locked by another program{}; try again when it has finished", path.display(), and_why(why.as_deref()))]
    Taken {
        /// Where.
        path: PathBuf,
        /// Who, as far as that can be seen: the inspector's sentence.
        why: Option<String>,
    },
    /// Somebody else had it for longer than we wait.
    #[error(
        "{}: still locked by another program after {} ms and {tries} tries{}; try again when it has finished",
        path.display(), waited.as_millis(), and_why(why.as_deref())
    )]
    TimedOut {
        /// Where.
        path: PathBuf,
        /// For how long we waited.
        waited: Duration,
        /// How often we tried.
        tries: u32,
        /// Who, as far as that can be seen: the inspector's sentence.
        why: Option<String>,
    },
    /// The file system has no such locks: a guard from it would protect nothing.
    #[error("{}: this file system does not enforce locks ({error}); keep the lock file on a local disk", path.display())]
    NotEnforced {
        /// Where.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// The lease ran out, or another has the lock: whatever is written now may overwrite another's work.
    #[error("{}: the lease was lost: {why}; stop, and take it anew", path.display())]
    Lost {
        /// Where.
        path: PathBuf,
        /// How that is known.
        why: String,
    },
    /// A call failed.
    #[error("{}: {doing} failed: {error}{}", path.display(), next_step(error))]
    Failed {
        /// Where.
        path: PathBuf,
        /// What.
        doing: &'static str,
        /// Why.
        error: io::Error,
    },
}

impl LockError {
    pub(super) fn failed(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Failed { path, doing, error }
    }

    /// The path that it is about.
    pub fn path(&self) -> &Path {
        match self {
            Self::Taken { path, .. }
            | Self::TimedOut { path, .. }
            | Self::NotEnforced { path, .. }
            | Self::Lost { path, .. }
            | Self::Failed { path, .. } => path,
        }
    }

    /// Somebody else has it; nothing is wrong, and trying later may succeed.
    pub fn is_contention(&self) -> bool {
        matches!(self, Self::Taken { .. } | Self::TimedOut { .. })
    }
}

fn and_why(why: Option<&str>) -> String {
    why.map_or_else(String::new, |why| format!(" ({})", why.trim_end_matches('.')))
}

fn next_step(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "; act as its owner, or choose a place that you may write to",
        io::ErrorKind::ReadOnlyFilesystem => "; choose a place that can be written to",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; free some space and try again, the old content is untouched"
        }
        io::ErrorKind::NotFound => "; make its directory first",
        _ => "",
    }
}

/// A lock that could not be let go, and the guard, so that it can be tried again. Dropping this tries once more.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Unreleased<L> {
    /// The guard.
    pub lock: L,
    /// Why.
    #[source]
    pub error: LockError,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_says_what_where_and_what_next() {
        let path = || PathBuf::from("/d/x.lock");
        let failed =
            |kind: io::ErrorKind| LockError::failed(Path::new("/d/x.lock"), "writing")(kind.into()).to_string();
        let timed_out = LockError::TimedOut {
            path: path(),
            waited: Duration::from_millis(1500),
            tries: 4,
            why: Some("git (PID 7) holds it.".into()),
        };
        for (said, parts) in [
            (LockError::Taken { path: path(), why: None }.to_string(), ["/d/x.lock: locked by another", "try again"]),
            (timed_out.to_string(), ["after 1500 ms and 4 tries (git (PID 7) holds it);", "try again"]),
            (
                LockError::Lost { path: path(), why: "gone".into() }.to_string(),
                ["lease was lost: gone", "take it anew"],
            ),
            (failed(io::ErrorKind::PermissionDenied), ["/d/x.lock: writing failed", "act as its owner"]),
            (failed(io::ErrorKind::StorageFull), ["/d/x.lock: writing failed", "the old content is untouched"]),
            (failed(io::ErrorKind::NotFound), ["/d/x.lock: writing failed", "make its directory"]),
        ] {
            for part in parts {
                assert!(said.contains(part), "{said:?} has {part:?}");
            }
        }
    }
}
