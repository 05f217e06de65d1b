//! The commands' [`World`] on this machine.
//!
//! Owns: nothing but the way down to `inspect`, `clear` and `platform`. Never: decides.

use super::world::{Outcome, Undone, World};
use crate::clear::{self, ClearError, Consent, Refusal, Workplace};
use crate::engine::JournalLine;
use crate::engine::learned;
use crate::engine::settings::Settings;
use crate::inspect::{LookError, LookOptions, look, look_after, look_at_one};
use crate::model::snapshot::{Lock, Snapshot};
use crate::model::verdict::Verdict;
use crate::platform::{System, environment};
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// This machine.
#[derive(Clone)]
pub struct Machine {
    system: Arc<dyn System>,
    settings: Settings,
    workplace: Option<Workplace>,
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Machine {
    /// With the machine's ways and what is remembered.
    pub fn new(system: Arc<dyn System>, settings: Settings) -> Self {
        // One command is one confirmation.
        let workplace = Workplace::usual(Arc::clone(&system)).map(|usual| usual.for_one_confirmation());
        Self { system, settings, workplace }
    }

    fn recall(directory: &Path, options: &LookOptions) -> LookOptions {
        learned::recall(environment::state_dir().as_deref(), &environment::absolute(directory), options.clone())
    }
}

fn refused(seen: &Lock, refusal: &Refusal) -> Outcome {
    let verdict = refusal.verdict().unwrap_or(seen.judgement.verdict).id();
    Outcome::Refused { verdict, why: refusal.to_string() }
}

/// Said where there is no place for a journal.
const NO_STATE: &str = "there is no place for the journal: set HOME or LOCKSCOPE_STATE_DIR";

impl World for Machine {
    fn look(&self, directory: &Path, options: &LookOptions) -> Result<Snapshot, LookError> {
        look(&self.system, directory, &Self::recall(directory, options))
    }

    fn look_after(&self, directory: &Path, options: &LookOptions, earlier: &Snapshot) -> Result<Snapshot, LookError> {
        look_after(&self.system, directory, &Self::recall(directory, options), Some(earlier))
    }

    fn look_at_one(
        &self, directory: &Path, name: &OsStr, options: &LookOptions,
    ) -> Result<Option<(Arc<Lock>, Snapshot)>, LookError> {
        look_at_one(&self.system, directory, name, &Self::recall(directory, options))
    }

    fn recover(&self) {
        if let Some(Err(error)) = self.workplace.as_ref().map(clear::recover_all) {
            tracing::warn!(%error, "interrupted clears could not be looked for");
        }
    }

    fn clear(&self, seen: &Arc<Lock>, snapshot: &Snapshot, options: &LookOptions) -> Outcome {
        let Some(workplace) = &self.workplace else { return Outcome::Failed(NO_STATE.to_owned()) };
        let directory = &snapshot.directory;
        if seen.judgement.verdict == Verdict::Interrupted {
            return match clear::repair(workplace, directory, Path::new(&seen.path)) {
                Ok(repaired) if repaired.cleared => Outcome::Cleared(repaired.id),
                Ok(repaired) => Outcome::Refused { verdict: seen.judgement.verdict.id(), why: repaired.outcome },
                Err(refusal) => refused(seen, &refusal),
            };
        }
        let consent = if seen.is_stale() { Consent::Bulk } else { Consent::ByName };
        // A stale lock of another user's can be cleared by its name; the commands have sorted the others out.
        let consent = if seen.is_bulk_clearable(&snapshot.sight) { consent } else { Consent::ByName };
        match clear::recheck(workplace, directory, seen, options, consent) {
            Ok(permit) => match clear::clear(permit) {
                Ok(cleared) => Outcome::Cleared(cleared.id),
                Err(ClearError::Refused(refusal)) => refused(seen, &refusal),
                Err(error @ (ClearError::PutBack(_) | ClearError::Kept { .. })) => {
                    Outcome::Refused { verdict: Verdict::Held.id(), why: error.to_string() }
                }
                Err(error @ ClearError::Unfinished { .. }) => Outcome::Failed(error.to_string()),
            },
            Err(refusal) => refused(seen, &refusal),
        }
    }

    fn undo(&self, id: Option<&str>) -> Result<Undone, String> {
        let workplace = self.workplace.as_ref().ok_or(NO_STATE)?;
        self.recover();
        let ids = match id {
            Some(id) => vec![id.to_owned()],
            None => clear::last_clear_ids(workplace).map_err(|error| error.to_string())?,
        };
        let mut undone = Undone::default();
        for id in ids {
            match clear::undo(workplace, &id) {
                Ok(restored) => undone.restored.push((restored.path.into_os_string(), restored.id)),
                Err(refusal) => undone.refused.push((id.into(), refusal.to_string())),
            }
        }
        Ok(undone)
    }

    fn journal(&self) -> Result<Vec<JournalLine>, String> {
        let workplace = self.workplace.as_ref().ok_or(NO_STATE)?;
        let entries = workplace.journal().read().map_err(|error| format!("the journal could not be read: {error}"))?;
        Ok(entries.into_iter().map(JournalLine::from).collect())
    }

    fn settings(&self) -> Settings {
        self.settings.clone()
    }

    fn monotonic(&self) -> Duration {
        self.system.monotonic()
    }

    fn pause(&self, _directory: &Path, at_most: Duration) {
        std::thread::sleep(at_most);
    }
}
