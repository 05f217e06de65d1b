//! Lock-taking primitives, usable without window or command line.
//!
//! Owns: [`kernel`] (flock), [`replace`] (git-style `<file>.lock`), [`json`] (a JSON file under one lock scope).
//! Never: breaks a lock.

pub mod json;
pub mod kernel;
pub mod replace;

use std::io;
use std::path::PathBuf;

/// Why a lock was not taken, or what it protects not written.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else has it.
    #[error("{}: locked by another program; try again when it has finished", .0.display())]
    Taken(PathBuf),
    /// Somebody else had it for longer than we wait.
    #[error("{}: still locked by another program after {} ms; try again when it has finished", path.display(), waited.as_millis())]
    TimedOut {
        /// Where.
        path: PathBuf,
        /// For how long we waited.
        waited: std::time::Duration,
    },
    /// A call failed.
    #[error("{}: {doing} failed: {error}", path.display())]
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
    fn failed(path: &std::path::Path, doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Failed { path, doing, error }
    }
}
