//! Lock-taking primitives, usable without window or command line.
//!
//! Owns: [`FlockLock`] (kernel lock), [`MarkerLock`] (existence lock), [`LeaseLock`] (the same,
//! renewed), [`mod@replace`] (git-style `<file>.lock`), [`json`] (a JSON file under one lock scope),
//! [`queue`] (one writer for many saves),
//! [`registry`] (what this process holds), [`ask`] (who holds what). Never: breaks a lock that is not proved stale.

pub mod ask;
mod breaking;
mod config;
mod error;
pub mod json;
mod kernel;
mod lease;
mod marker;
mod patience;
pub mod queue;
mod record;
pub mod registry;
pub mod replace;
mod succession;

pub use breaking::clear_stale_at_start;
pub use config::{LockConfig, Wait};
pub use error::{LockError, Unreleased};
pub use kernel::FlockLock;
pub use lease::{LeaseLock, LeaseRequest};
pub use marker::{MarkerLock, MarkerRequest};
pub use record::RecordStyle;
pub use registry::{Held, Kind, Released, Scope, release_group};

use crate::model::facts::FileSystem;

/// What a guard is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protection {
    /// It keeps out everybody who asks.
    Enforced,
    /// Nobody: locking is disabled, and nothing was locked.
    Disabled,
    /// It is locked, but on this file system not everybody is kept out; the sentence says who may not be.
    NotEnforced(String),
}

impl Protection {
    /// What kernel locks are worth on a file system.
    pub(crate) fn on(fs: &FileSystem) -> Self {
        if fs.network {
            return Self::NotEnforced(format!(
                "on {} a lock may not reach other computers; keep the lock file on a local disk",
                fs.name
            ));
        }
        // overlayfs is what containers stand on: all come to it by the same mount.
        if !fs.shows_locks && &*fs.name != "overlay" {
            return Self::NotEnforced(format!(
                "on {} a lock does not reach those who come to the file by another mount",
                fs.name
            ));
        }
        Self::Enforced
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::FlockLock {}
    impl Sealed for super::MarkerLock {}
    impl Sealed for super::LeaseLock {}
}

/// A lock that is held: what may be asked of each kind.
pub trait Guard: sealed::Sealed {
    /// Its path, group, and since when.
    fn about(&self) -> &Held;

    /// Fails if it is not held any more: its group was released, or somebody has taken it away.
    fn check(&self) -> Result<(), LockError>;
}
