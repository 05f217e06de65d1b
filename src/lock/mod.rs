//! Locks for your own programs: taken so that they do not get stuck, and so that Lockscope can tell who has them.
//!
//! Owns: taking locks, and writing what they protect. Never: breaks a lock that is not proved stale.
//!
//! | to | use |
//! |---|---|
//! | protect a JSON file that several processes change | [`json::update`] |
//! | keep other processes of this computer out; freed by the kernel when its holder dies | [`FlockLock`] |
//! | keep out programs that know only "the file is there" | [`MarkerLock`] |
//! | the same across computers and containers, where nobody can see whether the holder lives | [`LeaseLock`] |
//! | replace a file as git does | [`mod@replace`] |
//! | save often without waiting for the disk | [`queue::Queue`] |
//! | let go of all that a cancelled job holds | [`registry::Scope`], [`release_group`] |
//! | ask who holds a lock, wait for its release, ask whether a process still runs | [`ask`] |
//!
//! # Limitations
//!
//! - Locks are a convention. They keep out who asks for the same lock by the same means, nobody else. A [`FlockLock`] and a
//!   [`MarkerLock`] at one path do not see each other.
//! - Kernel locks may not reach other computers on a network file system; [`FlockLock::protection`] says so, and where the
//!   file system has none at all, taking one is [`LockError::NotEnforced`].
//! - A file that is locked by the kernel must not be deleted, by nobody: who has it open and who makes it anew would both
//!   be in. So it stays.
//! - A [`MarkerLock`] outlives a holder that is killed. It is broken once its owner is proved gone *and* it was not touched
//!   for [`LockConfig::stale_after`] (10 minutes unless set); never by age alone, and never one that names another computer,
//!   another container, or nobody. Breaking needs Linux, and a place for the journal.
//! - Python's `SoftFileLock` takes what it cannot read for broken and removes it after two seconds. On a path that is shared
//!   with it, use [`RecordStyle::SoftFileLock`]; and none but the plain [`MarkerLock`], no [`LeaseLock`].
//! - Between looking whether a marker is still ours and removing it no system call stands that does both: who breaks a
//!   living holder's lock by hand in that moment may lose the new one. Nothing here breaks a living holder's.
//! - A [`LeaseLock`] that was lost stops nobody: check it ([`Guard::check`]) before each thing that must not happen twice. On a
//!   disk that cannot exchange two names (NFS) it rests on every call ending within a third of the lease.
//! - A record in a file that is locked by the kernel ([`FlockLock::record`]) is information; it neither takes nor keeps it.
//! - `replace` that is killed leaves `<file>.lock`, as git does. [`json`] and [`queue`] do not stop there: the next writer
//!   goes on.
//! - Waiting blocks the thread. In async code take locks on a thread for blocking work; holding and dropping them is fine.
//! - What a [`queue::Queue`] has not flushed when the process is killed, or ends by `exit`, is not written.
//!
//! # Examples
//!
//! A JSON file that several processes change, in five lines:
//!
//! ```
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("settings.json");
//! use lockscope::lock::{LockConfig, json};
//! use serde_json::Value;
//!
//! json::update(&path, &LockConfig::default(), |settings: &mut Value| {
//!     settings["theme"] = "dark".into();
//! })?;
//! # assert_eq!(json::read::<Value>(&path, &LockConfig::default())?["theme"], "dark");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A lock while something is done, with patience, and what to say if it is in vain:
//!
//! ```
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("report.lock");
//! use lockscope::lock::{FlockLock, LockConfig, Wait};
//! use std::time::Duration;
//!
//! let config = LockConfig::waiting(Wait::For(Duration::from_secs(5)));
//! match FlockLock::acquire(&path, &config) {
//!     Ok(_lock) => { /* alone until the end of this block */ }
//!     Err(error) => eprintln!("{error}"), // says who has it
//! }
//! # assert!(FlockLock::acquire(&path, &LockConfig::waiting(Wait::Never)).is_ok());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `<file>.lock` beside a file, for programs that look for it; letting go tells whether it still was ours:
//!
//! ```
//! # let directory = tempfile::tempdir()?;
//! # let report = directory.path().join("report.txt");
//! use lockscope::lock::{LockConfig, MarkerLock, RecordStyle, Released};
//!
//! let path = MarkerLock::beside(&report);
//! let lock = MarkerLock::request(&path, &LockConfig::default()).style(RecordStyle::PlainPid).acquire()?;
//! assert_eq!(std::fs::read_to_string(&path)?, format!("{}\n", std::process::id()));
//! assert_eq!(lock.release()?, Released::Freed);
//! assert!(!path.exists());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A lease, on a share that several computers work on:
//!
//! ```
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("nightly.lock");
//! use lockscope::lock::{Guard, LeaseLock, LockConfig};
//! use std::time::Duration;
//!
//! let lease = LeaseLock::request(&path, &LockConfig::default())
//!     .lasting(Duration::from_secs(30))
//!     .on_loss(|why| eprintln!("stopping: {why}"))
//!     .acquire()?;
//! lease.check()?; // before each step that nobody else may do meanwhile
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! All locks of a job, gone with it, however it ends:
//!
//! ```
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("a.lock");
//! use lockscope::lock::{LockConfig, MarkerLock, Scope};
//!
//! {
//!     let job = Scope::new("job 7");
//!     let lock = MarkerLock::request(&path, &LockConfig::default()).group(job.group()).acquire()?;
//!     std::mem::forget(lock); // lost somewhere in the job
//! }
//! assert!(!path.exists());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Who has it, without disturbing anybody:
//!
//! ```
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("x.lock");
//! use lockscope::inspect::EmptyFiles;
//! use lockscope::lock::{FlockLock, LockConfig, ask};
//!
//! let lock = FlockLock::acquire(&path, &LockConfig::default())?;
//! match ask::is_locked(&path, EmptyFiles::KernelLocks)? {
//!     ask::IsLocked::Yes(why) => println!("{why}"),
//!     ask::IsLocked::No => println!("free"),
//!     ask::IsLocked::LeftOrUnknown(why) => println!("nobody can say: {why}"),
//! }
//! # drop(lock);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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
mod workplace;

pub use breaking::clear_stale_at_start;
pub use config::{LockConfig, Wait};
pub use error::{LockError, Unreleased};
pub use kernel::FlockLock;
pub use lease::{LeaseLock, LeaseRequest};
pub use marker::{MarkerLock, MarkerRequest};
pub use record::RecordStyle;
pub use registry::{Held, Kind, Released, Scope, release_group};
pub use workplace::{usual_workplace, workplace};

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
    impl Sealed for super::replace::Replace {}
}

/// A lock that is held: what may be asked of each kind.
pub trait Guard: sealed::Sealed {
    /// Its path, group, and since when.
    fn about(&self) -> &Held;

    /// Fails if it is not held any more: its group was released, or somebody has taken it away.
    fn check(&self) -> Result<(), LockError>;
}
