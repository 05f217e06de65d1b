//! What the commands need of the program below them, as one trait: the machine answers it, and so can a test.
//!
//! Owns: [`World`] and its answers. Never: implements it; [`super::machine`] does.

use crate::engine::JournalLine;
use crate::engine::settings::Settings;
use crate::inspect::{LookError, LookOptions};
use crate::model::snapshot::{Lock, Snapshot};
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What came of one clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Taken away; the journal entry's id.
    Cleared(String),
    /// Left as it is: the verdict of the recheck, and why.
    Refused {
        /// The verdict's id.
        verdict: &'static str,
        /// One sentence.
        why: String,
    },
    /// It could not be done.
    Failed(String),
}

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

    /// As [`Self::look`], after an earlier picture: a heartbeat shows only in time.
    fn look_after(&self, directory: &Path, options: &LookOptions, earlier: &Snapshot) -> Result<Snapshot, LookError>;

    /// One file alone, with all that could matter; `None` = it is not there.
    fn look_at_one(
        &self, directory: &Path, name: &OsStr, options: &LookOptions,
    ) -> Result<Option<(Arc<Lock>, Snapshot)>, LookError>;

    /// Goes on with what an earlier Lockscope left half done. Commands that change something begin with it; those that only
    /// look change nothing.
    fn recover(&self) {}

    /// Rechecks one lock as it was seen in a snapshot, and takes it away; writes the journal.
    fn clear(&self, seen: &Arc<Lock>, snapshot: &Snapshot, options: &LookOptions) -> Outcome;

    /// Puts back the entry with this id, or the last clear.
    fn undo(&self, id: Option<&str>) -> Result<Undone, String>;

    /// The journal, oldest first.
    fn journal(&self) -> Result<Vec<JournalLine>, String>;

    /// What is remembered.
    fn settings(&self) -> Settings;

    /// A clock that never steps.
    fn monotonic(&self) -> Duration;

    /// Waits until something in the directory may have changed, so long at most.
    fn pause(&self, directory: &Path, at_most: Duration);
}
