//! What the commands need of the program below them, as one trait: the machine answers it, and so can a test.
//!
//! Owns: [`World`] and its answers. Never: implements it; [`super::machine`] does.

use crate::clear::Reason;
use crate::engine::JournalLine;
use crate::engine::bulk::Came;
use crate::engine::history::History;
use crate::engine::incident::Incident;
use crate::engine::papers::NotSaved;
use crate::engine::settings::Settings;
use crate::engine::sweep::PutBack;
use crate::inspect::{Impact, LookError, LookOptions, MachineError};
use crate::model::holder::Pid;
use crate::model::machine::MachinePicture;
use crate::model::snapshot::{Counts, Lock, Snapshot};
use crate::model::time::{Wall, Zone};
use crate::platform::Ending;
use std::ffi::{OsStr, OsString};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What came of an undo.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Undone {
    /// Put back: path and id.
    pub restored: Vec<(OsString, String)>,
    /// Not put back: path and why.
    pub refused: Vec<(OsString, String)>,
}

/// The program below.
pub trait World {
    /// One pass over a directory.
    fn look(&self, directory: &Path, options: &LookOptions) -> Result<Snapshot, LookError>;

    /// How many locks have each verdict in one pass, of those that `counts` says yes to.
    fn count(
        &self, directory: &Path, options: &LookOptions, counts: &(dyn Fn(&Lock) -> bool + Sync),
    ) -> Result<Counts, LookError> {
        let mut found = Counts::default();
        for lock in self.look(directory, options)?.locks().filter(|lock| counts(lock)) {
            found.add(lock.judgement.verdict);
        }
        Ok(found)
    }

    /// Gives `each` the pictures of a directory, each as soon as something has changed, until it breaks off; `false` = that
    /// cannot be had, and it is to be looked at again and again.
    fn follow(
        &self, directory: &Path, options: &LookOptions, each: &mut dyn FnMut(Snapshot) -> ControlFlow<()>,
    ) -> bool {
        let _ = (directory, options, each);
        false
    }

    /// As [`Self::look`], after an earlier picture: a heartbeat shows only in time.
    fn look_after(&self, directory: &Path, options: &LookOptions, earlier: &Snapshot) -> Result<Snapshot, LookError>;

    /// One file alone, with all that could matter; `None` = it is not there.
    fn look_at_one(
        &self, directory: &Path, name: &OsStr, options: &LookOptions,
    ) -> Result<Option<(Arc<Lock>, Snapshot)>, LookError>;

    /// All kernel locks of the machine.
    fn kernel_locks(&self) -> Result<MachinePicture, MachineError> {
        Err(MachineError::Unsupported)
    }

    /// Goes on with what an earlier Lockscope left half done. Commands that change something begin with it; those that only
    /// look change nothing.
    fn recover(&self) {}

    /// Rechecks one lock as it was seen in a snapshot, and takes it away; writes the journal.
    fn clear(&self, seen: &Arc<Lock>, snapshot: &Snapshot, options: &LookOptions) -> Came;

    /// The same, by force, whatever the verdict.
    fn force(&self, seen: &Arc<Lock>, snapshot: &Snapshot, options: &LookOptions, reason: &Reason) -> Came;

    /// What ending a process would hit; `None` = there is no such process that can be looked at.
    fn impact(&self, pid: Pid) -> Option<Impact>;

    /// Asks the holder of a lock to end, and waits so long for it; writes the journal.
    fn end(
        &self, directory: &Path, path: &OsStr, holder: &Impact, reason: &Reason, patience: Duration,
    ) -> Result<Ending, String>;

    /// Clears without a person's word: only what may be cleared in bulk goes, and the journal calls it a sweep.
    fn sweep(&self, seen: &Arc<Lock>, snapshot: &Snapshot, options: &LookOptions) -> Came;

    /// What persons have put back.
    fn put_back(&self) -> Result<PutBack, String>;

    /// Ends what nobody can undo any more. What is in the way of that is noted, no more.
    fn expire(&self);

    /// From now on SIGINT and SIGTERM do not end the program, the first time.
    fn heed_interrupts(&self) -> Result<(), String>;

    /// Whether one of them came since.
    fn is_interrupted(&self) -> bool;

    /// Waits so long, or until one of them comes; tells whether one came.
    fn rest(&self, at_most: Duration) -> bool;

    /// Puts back the entry with this id, or the last clear.
    fn undo(&self, id: Option<&str>) -> Result<Undone, String>;

    /// The journal, oldest first.
    fn journal(&self) -> Result<Vec<JournalLine>, String>;

    /// What is kept of a directory's locks over time, if anything is.
    fn history(&self, directory: &Path) -> Option<Arc<History>> {
        let _ = directory;
        None
    }

    /// Makes an incident bundle and saves it where nothing stands.
    fn save_bundle(&self, incident: &Incident, path: &Path) -> Result<(), NotSaved>;

    /// How times are said where people read them.
    fn zone(&self) -> Zone {
        Zone::UTC
    }

    /// What is remembered.
    fn settings(&self) -> Settings;

    /// The wall clock.
    fn wall(&self) -> Wall;

    /// A clock that never steps.
    fn monotonic(&self) -> Duration;

    /// Waits until something in the directory may have changed, so long at most.
    fn pause(&self, directory: &Path, at_most: Duration);
}
