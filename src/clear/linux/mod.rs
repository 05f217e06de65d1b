//! The protocol by which a lock is taken away on Linux: swapped out in one call, verified, kept, put back.
//!
//! Owns: what [`super`] offers for changing anything. Never: is built where those calls do not exist.

mod expiry;
mod force;
mod inside;
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

pub use expiry::expire;
pub use force::{ForceClear, recheck_forced};
pub use permit::{ClearPermit, Grounds, recheck};
pub use recovery::{recover_all, repair};
pub use undo::{can_undo, undo};

// By this name alone do protocol, put-back and recovery know the disk: `tests/model` gives them a modelled one.
use super::{
    ClearError, Cleared, Consent, Reason, Refusal, Repaired, Restored, Workplace, error, fingerprint, journal,
};
use crate::platform::linux::change as disk;
use std::io;
use std::path::Path;

impl Refusal {
    fn failed(path: &Path, doing: &'static str, error: io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::PermissionDenied => Self::NotPermitted {
                path,
                why: format!("{doing} is not permitted ({error}); act as its owner or as root"),
            },
            _ => Self::Failed { path, doing, error },
        }
    }
}

/// Takes away what the permit is for.
///
/// # Errors
/// [`ClearError::Refused`]: nothing was touched. The others say what another program did meanwhile and where things are.
pub fn clear(permit: ClearPermit<'_>) -> Result<Cleared, ClearError> {
    protocol::run(permit, &protocol::Straight)
}

/// Takes away by force what was agreed to.
///
/// # Errors
/// As [`clear`].
pub fn force(force: ForceClear<'_>) -> Result<Cleared, ClearError> {
    protocol::run_forced(force, &protocol::Straight)
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
