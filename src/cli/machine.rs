//! The commands' [`World`] on this machine.
//!
//! Owns: nothing but the way down to `inspect`, `clear` and `platform`. Never: decides.

use super::world::{Outcome, Undone, World};
use crate::engine::JournalLine;
use crate::engine::settings::Settings;
use crate::inspect::{LookError, LookOptions, look, look_at_one};
use crate::model::snapshot::{Lock, Snapshot};
use crate::platform::System;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// This machine.
#[derive(Clone)]
pub struct Machine {
    system: Arc<dyn System>,
    settings: Settings,
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Machine {
    /// With the machine's ways and what is remembered.
    pub fn new(system: Arc<dyn System>, settings: Settings) -> Self {
        Self { system, settings }
    }
}

/// Said until clearing is merged.
const NOT_YET: &str = "clearing is not part of this build";

impl World for Machine {
    fn look(&self, directory: &Path, options: &LookOptions) -> Result<Snapshot, LookError> {
        look(&self.system, directory, options)
    }

    fn look_at_one(
        &self, directory: &Path, name: &OsStr, options: &LookOptions,
    ) -> Result<Option<(Arc<Lock>, Snapshot)>, LookError> {
        look_at_one(&self.system, directory, name, options)
    }

    fn clear(&self, _seen: &Arc<Lock>, _snapshot: &Snapshot, _options: &LookOptions) -> Outcome {
        Outcome::Failed(NOT_YET.to_owned())
    }

    fn undo(&self, _id: Option<&str>) -> Result<Undone, String> {
        Err(NOT_YET.to_owned())
    }

    fn journal(&self) -> Result<Vec<JournalLine>, String> {
        Err(NOT_YET.to_owned())
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
