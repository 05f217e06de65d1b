//! The thread that does what takes long and changes something: clears, undoes, the journal, the settings.
//!
//! Owns: the order in which these happen (one after another, as asked). Never: watches.

use super::session::Word;
use super::settings::Settings;
use super::{EngineOptions, Event, Shared};
use crate::inspect::LookOptions;
use crate::model::snapshot::Lock;
use crossbeam_channel::{Sender, unbounded};
use std::path::Path;
use std::sync::Arc;

/// One thing to do.
pub(super) enum Job {
    Clear { directory: Arc<Path>, seen: Vec<Arc<Lock>>, options: LookOptions, session: Sender<Word> },
    Undo { ids: Vec<String>, session: Option<Sender<Word>> },
    ReadJournal,
    SaveSettings(Box<Settings>),
    StartDemo,
}

pub(super) struct Worker {}

impl Worker {
    pub(super) fn start(
        _options: &EngineOptions, _shared: Arc<Shared>, _events: Sender<Event>, _wake: Arc<dyn Fn() + Send + Sync>,
    ) -> Sender<Job> {
        let (jobs, _received) = unbounded();
        jobs
    }
}
