//! Ending the process that holds a lock: a step of its own, before force, that a person has agreed to.
//!
//! Owns: [`end_holder`], and its entry in the journal. Never: sends anything but SIGTERM, or to another process than the
//! one that was shown.

use super::journal::{self, Line, RawPath, State};
use super::{Reason, Workplace};
use crate::model::holder::ProcessFacts;
use crate::model::verdict::Verdict;
use crate::platform::{Ending, EndingError};
use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

/// Asks the process to end and waits so long for it. Both are in the journal, whatever comes of it.
pub fn end_holder(
    workplace: &Workplace, directory: &Path, path: &OsStr, process: &ProcessFacts, reason: &Reason, patience: Duration,
) -> Result<Ending, EndingError> {
    let came = workplace.system.terminate(process, patience);
    let name = format!("{} (PID {})", process.name(), process.pid);
    let outcome = match &came {
        Ok(Ending::Ended) => format!("{name} was asked to end (SIGTERM), and has ended"),
        Ok(Ending::StillRunning) => format!("{name} was asked to end (SIGTERM), and runs on"),
        Err(error) => format!("nothing was sent: {error}"),
    };
    let at = workplace.system.wall();
    let written = journal::new_id(at).and_then(|id| {
        workplace.journal().append(&Line {
            id,
            state: Some(if came.is_ok() { State::Done } else { State::Refused }),
            at: at.rfc3339(),
            what: Some("force".to_owned()),
            directory: Some(RawPath::new(directory.as_os_str())),
            path: Some(RawPath::new(path)),
            who: Some(workplace.who()),
            verdict: Some(Verdict::Held.id().to_owned()),
            why: Some(reason.as_str().to_owned()),
            outcome: Some(outcome),
            ..Line::default()
        })
    });
    if let Err(error) = written {
        tracing::warn!(%error, "the end of a holder could not be written to the journal");
    }
    came
}
