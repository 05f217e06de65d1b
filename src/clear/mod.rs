//! Taking away: recheck, permit, protocol, quarantine, journal, undo, recovery.
//!
//! Owns: the only way by which Lockscope removes a file that it did not create. Never: concludes anything about a lock
//! (`model` does, from what `inspect` saw), and never acts without a [`ClearPermit`].
//!
//! ```text
//! recheck(seen) -> ClearPermit -> clear(permit) -> Cleared { id } -> undo(id)
//! ```

#[cfg(not(all(target_os = "linux", not(feature = "portable"))))]
mod elsewhere;
mod ending;
mod error;
mod fingerprint;
mod journal;
#[cfg(all(target_os = "linux", not(feature = "portable")))]
mod linux;

// The way of this system. Both have the same names, so that nobody above asks which it is.
#[cfg(not(all(target_os = "linux", not(feature = "portable"))))]
use elsewhere as way;
#[cfg(all(target_os = "linux", not(feature = "portable")))]
use linux as way;

pub use ending::end_holder;
pub use error::{CANNOT_CLEAR, ClearError, Refusal, UndoRefusal};
pub use fingerprint::{Fingerprint, Identity};
pub use journal::{Deed, Entry, Inner, Journal, JournalLock, RawPath, State};
pub use way::{ClearPermit, ForceClear, Grounds, clear, clear_and_crash, expire, force, recheck, recheck_forced};
pub use way::{can_undo, recover_all, repair, undo};

use crate::model::verdict::Verdict;
use crate::platform::{System, environment, runtime_directory};
use journal::{Line, RawPath as Raw};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// So long an undo is offered; then what was kept is deleted.
pub const KEPT_FOR: Duration = Duration::from_hours(30 * 24);

/// Where Lockscope works from: the machine, and the places for its own things.
#[derive(Clone)]
pub struct Workplace {
    /// The machine.
    pub system: Arc<dyn System>,
    /// Journal, quarantine, intents.
    pub state_dir: PathBuf,
    /// Mutexes of this login session.
    pub runtime_dir: PathBuf,
    /// What is cleared through this workplace was confirmed together.
    pub batch: Option<String>,
    /// A sweep clears through this workplace, not a person; the journal says so.
    pub sweeps: bool,
    /// How the journal is locked.
    pub journal_lock: JournalLock,
}

impl std::fmt::Debug for Workplace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (state, runtime) = (&self.state_dir, &self.runtime_dir);
        f.debug_struct("Workplace").field("state_dir", state).field("runtime_dir", runtime).finish_non_exhaustive()
    }
}

impl Workplace {
    /// With journal and quarantine in this directory. [`crate::lock::workplace`] makes one with the journal's lock in it.
    pub fn new(system: Arc<dyn System>, state_dir: &Path, journal_lock: JournalLock) -> Self {
        Self {
            system,
            state_dir: state_dir.to_owned(),
            runtime_dir: runtime_directory(),
            batch: None,
            sweeps: false,
            journal_lock,
        }
    }

    /// The same, for one confirmation: what is cleared through it is undone together.
    #[must_use]
    pub fn for_one_confirmation(&self) -> Self {
        Self { batch: journal::new_id(self.system.wall()).ok(), ..self.clone() }
    }

    /// The same, for a sweep: each clear stands in the journal as one, and is undone by itself.
    #[must_use]
    pub fn for_sweeping(&self) -> Self {
        Self { batch: None, sweeps: true, ..self.clone() }
    }

    /// Its journal.
    pub fn journal(&self) -> Journal {
        Journal::new(&self.state_dir, self.journal_lock)
    }

    /// Who acts, for the journal.
    pub(crate) fn who(&self) -> String {
        let host = self.system.host();
        // Started by a service manager, there is no login session to ask.
        let user = environment::user().or_else(|| self.system.user_name(host.uid));
        let user = user.unwrap_or_else(|| host.uid.to_string());
        format!("{user}@{} PID {}", host.name, environment::own_pid())
    }

    /// A refusal is on record too. Where it cannot be written the refusal stands all the same.
    fn journal_refusal(&self, directory: &Path, path: &OsStr, seen: Verdict, refusal: &Refusal) {
        let at = self.system.wall();
        let written = journal::new_id(at).and_then(|id| {
            self.journal().append(&Line {
                id,
                state: Some(State::Refused),
                at: at.rfc3339(),
                what: Some("refuse".to_owned()),
                directory: Some(Raw::new(directory.as_os_str())),
                path: Some(Raw::new(path)),
                who: Some(self.who()),
                verdict: Some(refusal.verdict().unwrap_or(seen).id().to_owned()),
                why: Some(refusal.to_string()),
                outcome: Some("nothing was changed".to_owned()),
                ..Line::default()
            })
        });
        if let Err(error) = written {
            tracing::warn!(%error, "a refusal could not be written to the journal");
        }
    }
}

/// A lock that was taken away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cleared {
    /// Path relative to the directory.
    pub path: Box<OsStr>,
    /// The journal entry, for undo.
    pub id: String,
}

/// How the person agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// To all that are stale.
    Bulk,
    /// To this one, by its name.
    ByName,
}

/// Why a person takes a lock away by force; it stands in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason(String);

impl Reason {
    /// `None` where the text says nothing.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// The words.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An interrupted clear that was finished, or put back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// The journal entry, for undo.
    pub id: String,
    /// What was done.
    pub outcome: String,
    /// The lock is gone; else it was another's, and stands where it stood.
    pub cleared: bool,
}

/// What was put back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The full path.
    pub path: PathBuf,
    /// The journal entry that was undone.
    pub id: String,
}

/// The newest clear that can still be undone, with what was confirmed together with it; newest first.
pub fn last_clear_ids(workplace: &Workplace) -> io::Result<Vec<String>> {
    workplace.journal().last_clear_ids()
}
