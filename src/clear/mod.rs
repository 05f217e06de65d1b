//! Taking away: recheck, permit, protocol, quarantine, journal, undo, recovery.
//!
//! Owns: the only way by which Lockscope removes a file that it did not create. Never: concludes anything about a lock
//! (`model` does, from what `inspect` saw), and never acts without a [`ClearPermit`].
//!
//! ```text
//! recheck(seen) -> ClearPermit -> clear(permit) -> Cleared { id } -> undo(id)
//! ```

mod error;
mod fingerprint;
mod journal;
mod mutex;
mod patience;
mod permit;
mod placeholder;
mod protocol;
mod putback;
mod quarantine;
mod recovery;
#[cfg(test)]
mod tests;
mod undo;

pub use error::{ClearError, Refusal, UndoRefusal};
pub use fingerprint::{Fingerprint, Identity};
pub use journal::{Deed, Entry, Journal, RawPath, State};
pub use permit::{ClearPermit, Consent, Grounds, recheck};
pub use recovery::{Repaired, recover_all, repair};
pub use undo::{Restored, last_clear_ids, undo};

use crate::model::verdict::Verdict;
// By this name alone do protocol, put-back and recovery know the disk: `tests/model` gives them a modelled one.
use crate::platform::linux::change as disk;
use crate::platform::linux::change::{effective_uid, runtime_directory};
use crate::platform::{System, environment};
use journal::{Line, RawPath as Raw};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
}

impl std::fmt::Debug for Workplace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (state, runtime) = (&self.state_dir, &self.runtime_dir);
        f.debug_struct("Workplace").field("state_dir", state).field("runtime_dir", runtime).finish_non_exhaustive()
    }
}

impl Workplace {
    /// With journal and quarantine in this directory.
    pub fn new(system: Arc<dyn System>, state_dir: &Path) -> Self {
        Self { system, state_dir: state_dir.to_owned(), runtime_dir: runtime_directory(), batch: None }
    }

    /// The usual one; `None` without a home directory and without `LOCKSCOPE_STATE_DIR`.
    pub fn usual(system: Arc<dyn System>) -> Option<Self> {
        Some(Self::new(system, &environment::state_dir()?))
    }

    /// The same, for one confirmation: what is cleared through it is undone together.
    #[must_use]
    pub fn for_one_confirmation(&self) -> Self {
        Self { batch: journal::new_id(self.system.wall()).ok(), ..self.clone() }
    }

    /// Its journal.
    pub fn journal(&self) -> Journal {
        Journal::new(&self.state_dir)
    }

    /// Who acts, for the journal.
    pub(crate) fn who(&self) -> String {
        let user = environment::user().unwrap_or_else(|| effective_uid().to_string());
        format!("{user}@{} PID {}", self.system.host().name, crate::platform::environment::own_pid())
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

/// Takes away what the permit is for.
///
/// # Errors
/// [`ClearError::Refused`]: nothing was touched. The others say what another program did meanwhile and where things are.
pub fn clear(permit: ClearPermit<'_>) -> Result<Cleared, ClearError> {
    protocol::run(permit, &protocol::Straight)
}

/// Begins a clear and ends this process right after the swap, as a power cut would: for the demo, which shows how an
/// interrupted clear looks and is repaired. Comes back only where the swap was never reached.
pub fn clear_and_crash(permit: ClearPermit<'_>) -> Result<Cleared, ClearError> {
    struct PowerCut;
    impl protocol::Steps for PowerCut {
        fn after(&self, step: protocol::Step) {
            if step == protocol::Step::Swapped {
                crate::platform::stage::crash();
            }
        }
    }
    protocol::run(permit, &PowerCut)
}
