//! The commands' [`World`] on this machine.
//!
//! Owns: nothing but the way down to `inspect`, `clear` and `platform`. Never: decides.

use super::world::{Undone, World};
use crate::clear::{self, Consent, Entry, Reason, Workplace};
use crate::engine::JournalLine;
use crate::engine::bulk::{Came, clear_one, force_one};
use crate::engine::follow::follow;
use crate::engine::history::{History, kept};
use crate::engine::incident::Incident;
use crate::engine::learned;
use crate::engine::papers::{self, NotSaved};
use crate::engine::settings::Settings;
use crate::engine::sweep::PutBack;
use crate::inspect::{Impact, LookError, LookOptions, MachineError, count, impact_of, look, look_after, look_at_one};
use crate::model::holder::Pid;
use crate::model::machine::MachinePicture;
use crate::model::snapshot::{Counts, Lock, Snapshot};
use crate::model::time::{Wall, Zone};
use crate::platform::{Ending, Interrupt, ReadBy, System, environment};
use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// This machine.
pub struct Machine {
    system: Arc<dyn System>,
    settings: Settings,
    workplace: Option<Workplace>,
    interrupt: OnceLock<Interrupt>,
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
        let workplace = crate::lock::usual_workplace(Arc::clone(&system)).map(|usual| usual.for_one_confirmation());
        Self { system, settings, workplace, interrupt: OnceLock::new() }
    }

    fn entries(&self) -> Result<Vec<Entry>, String> {
        let workplace = self.workplace.as_ref().ok_or(NO_STATE)?;
        workplace.journal().read().map_err(|error| format!("the journal could not be read: {error}"))
    }

    fn recall(directory: &Path, options: &LookOptions) -> LookOptions {
        learned::recall(environment::state_dir().as_deref(), &environment::absolute(directory), options.clone())
    }
}

/// Said where there is no place for a journal.
const NO_STATE: &str = "there is no place for the journal: set HOME or LOCKSCOPE_STATE_DIR";

impl World for Machine {
    fn look(&self, directory: &Path, options: &LookOptions) -> Result<Snapshot, LookError> {
        look(&self.system, directory, &Self::recall(directory, options))
    }

    fn count(
        &self, directory: &Path, options: &LookOptions, counts: &(dyn Fn(&Lock) -> bool + Sync),
    ) -> Result<Counts, LookError> {
        count(&self.system, directory, &Self::recall(directory, options), counts)
    }

    fn follow(
        &self, directory: &Path, options: &LookOptions, each: &mut dyn FnMut(Snapshot) -> ControlFlow<()>,
    ) -> bool {
        let options = Self::recall(directory, options);
        follow(Arc::clone(&self.system), environment::absolute(directory), options, each).is_ok()
    }

    fn look_after(&self, directory: &Path, options: &LookOptions, earlier: &Snapshot) -> Result<Snapshot, LookError> {
        look_after(&self.system, directory, &Self::recall(directory, options), Some(earlier))
    }

    fn look_at_one(
        &self, directory: &Path, name: &OsStr, options: &LookOptions,
    ) -> Result<Option<(Arc<Lock>, Snapshot)>, LookError> {
        look_at_one(&self.system, directory, name, &Self::recall(directory, options))
    }

    fn kernel_locks(&self) -> Result<MachinePicture, MachineError> {
        crate::inspect::machine(&*self.system, None)
    }

    fn recover(&self) {
        if let Some(Err(error)) = self.workplace.as_ref().map(clear::recover_all) {
            tracing::warn!(%error, "interrupted clears could not be looked for");
        }
    }

    fn clear(&self, seen: &Arc<Lock>, snapshot: &Snapshot, options: &LookOptions) -> Came {
        // A stale lock of another user's can be cleared by its name; the commands have sorted the others out.
        let consent = if seen.is_bulk_clearable(&snapshot.sight) { Consent::Bulk } else { Consent::ByName };
        match &self.workplace {
            Some(workplace) => {
                clear_one(workplace, &environment::absolute(&snapshot.directory), seen, options, consent)
            }
            None => Came::Failed(NO_STATE.to_owned()),
        }
    }

    fn force(&self, seen: &Arc<Lock>, snapshot: &Snapshot, options: &LookOptions, reason: &Reason) -> Came {
        match &self.workplace {
            Some(workplace) => force_one(workplace, &environment::absolute(&snapshot.directory), seen, options, reason),
            None => Came::Failed(NO_STATE.to_owned()),
        }
    }

    fn impact(&self, pid: Pid) -> Option<Impact> {
        impact_of(&*self.system, pid)
    }

    fn end(
        &self, directory: &Path, path: &OsStr, holder: &Impact, reason: &Reason, patience: Duration,
    ) -> Result<Ending, String> {
        let workplace = self.workplace.as_ref().ok_or(NO_STATE)?;
        let ended =
            clear::end_holder(workplace, &environment::absolute(directory), path, &holder.process, reason, patience);
        ended.map_err(|error| error.to_string())
    }

    fn sweep(&self, seen: &Arc<Lock>, snapshot: &Snapshot, options: &LookOptions) -> Came {
        match self.workplace.as_ref().map(Workplace::for_sweeping) {
            Some(workplace) => {
                clear_one(&workplace, &environment::absolute(&snapshot.directory), seen, options, Consent::Bulk)
            }
            None => Came::Failed(NO_STATE.to_owned()),
        }
    }

    fn put_back(&self) -> Result<PutBack, String> {
        self.entries().map(PutBack::of)
    }

    fn expire(&self) {
        let Some(workplace) = &self.workplace else { return };
        if let Err(error) = clear::expire(workplace) {
            tracing::warn!(%error, "what was kept for undo could not be looked through");
        }
    }

    fn heed_interrupts(&self) -> Result<(), String> {
        if self.interrupt.get().is_none() {
            let caught = Interrupt::catch().map_err(|error| format!("signals cannot be caught: {error}"))?;
            // Only this thread sets it.
            let _ = self.interrupt.set(caught);
        }
        Ok(())
    }

    fn is_interrupted(&self) -> bool {
        self.interrupt.get().is_some_and(Interrupt::is_set)
    }

    fn rest(&self, at_most: Duration) -> bool {
        if let Some(interrupt) = self.interrupt.get() {
            return interrupt.wait(at_most);
        }
        std::thread::sleep(at_most);
        false
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
        Ok(self.entries()?.into_iter().map(JournalLine::from).collect())
    }

    fn history(&self, directory: &Path) -> Option<Arc<History>> {
        let directory: Arc<Path> = environment::absolute(directory).into();
        // A history that cannot be read is no reason to have no bundle.
        kept::load(&environment::state_dir()?, &directory, self.system.wall()).ok().map(Arc::new)
    }

    fn save_bundle(&self, incident: &Incident, path: &Path) -> Result<(), NotSaved> {
        let failed = |why| NotSaved::Failed { path: path.to_owned(), why };
        let bytes = papers::bundle(incident, &*self.system).map_err(failed)?;
        papers::write(path, &bytes, ReadBy::Owner, false)
    }

    fn zone(&self) -> Zone {
        environment::zone().clone()
    }

    fn settings(&self) -> Settings {
        self.settings.clone()
    }

    fn wall(&self) -> Wall {
        self.system.wall()
    }

    fn monotonic(&self) -> Duration {
        self.system.monotonic()
    }

    fn pause(&self, _directory: &Path, at_most: Duration) {
        std::thread::sleep(at_most);
    }
}
