//! Breaking the lock of a process that is gone: by the inspector's own verdict, through the inspector's own protocol.
//!
//! Owns: [`Breaker`], [`clear_stale_at_start`]. Never: breaks by age, nor what is not proved stale, nor without the journal
//! from which it can be put back.

use super::{LockConfig, LockError, ask};
use crate::clear::{self, ClearError, Consent, Workplace};
use crate::inspect::{EmptyFiles, LookOptions, look};
use crate::model::snapshot::{Lock, Snapshot};
use crate::model::verdict::Verdict;
use crate::platform::environment::own_pid;
use crate::platform::this_machine;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// So often a lock that is in the way is looked at, and so long it is left alone after a clear was refused: each refusal
/// stands in the journal.
const EVERY: Duration = Duration::from_millis(250);
const AFTER_REFUSAL: Duration = Duration::from_secs(5);

/// Looks, now and then, at the lock that is in the way, and breaks it if it is stale.
#[derive(Debug)]
pub(super) struct Breaker {
    workplace: Option<Workplace>,
    options: Option<LookOptions>,
    next: Option<Instant>,
    why: Option<String>,
}

impl Breaker {
    /// With the usual places for journal and quarantine, or these.
    pub(super) fn new(config: &LockConfig, workplace: Option<Workplace>) -> Self {
        Self { workplace, options: options(config), next: None, why: None }
    }

    /// The sentence about what is in the way.
    pub(super) fn why(&mut self, path: &Path) -> Option<String> {
        self.why.take().or_else(|| ask::holder_sentence(path))
    }

    /// Looks, if it is time to; `true` = the path is free now, or was repaired: try at once.
    pub(super) fn make_way(&mut self, path: &Path, group: &str) -> bool {
        let Some(options) = &self.options else { return false };
        if self.next.is_some_and(|next| Instant::now() < next) {
            return false;
        }
        self.next = Instant::now().checked_add(EVERY);
        if self.workplace.is_none() {
            self.workplace = super::usual_workplace(this_machine());
        }
        let Some(workplace) = &self.workplace else {
            tracing::warn!("stale locks cannot be broken: there is no place for the journal (set HOME)");
            self.options = None;
            return false;
        };
        match ask::look(&workplace.system, path, options) {
            Ok(None) => true,
            Ok(Some((lock, snapshot))) => {
                self.why = Some(lock.why(&snapshot.moment()));
                match take_away(workplace, &ask::parent(path), &lock, &snapshot, options, group) {
                    Some(made_way) => {
                        if !made_way {
                            self.next = Instant::now().checked_add(AFTER_REFUSAL);
                        }
                        made_way
                    }
                    None => false,
                }
            }
            Err(error) => {
                tracing::debug!(path = %path.display(), group, %error, "could not look at what is in the way");
                false
            }
        }
    }
}

/// How to look at existence locks; `None` = nothing is to be broken.
fn options(config: &LockConfig) -> Option<LookOptions> {
    let threshold = config.stale_after?;
    Some(LookOptions { threshold, empty_files: EmptyFiles::Existence, ..LookOptions::default() })
}

/// Takes a stale lock away, or repairs what an interrupted clear left. `None` = it is not to be touched; `false` = the
/// recheck refused.
fn take_away(
    workplace: &Workplace, directory: &Path, lock: &Lock, snapshot: &Snapshot, options: &LookOptions, group: &str,
) -> Option<bool> {
    let path = directory.join(&*lock.path);
    let (pid, why, began) = (own_pid(), lock.why(&snapshot.moment()), Instant::now());
    let result = match lock.judgement.verdict {
        Verdict::Stale => clear::recheck(workplace, directory, lock, options, Consent::Bulk)
            .map_err(ClearError::Refused)
            .and_then(clear::clear)
            .map(|cleared| cleared.id),
        Verdict::Interrupted => clear::repair(workplace, directory, Path::new(&*lock.path))
            .map_err(ClearError::Refused)
            .map(|repaired| repaired.id),
        Verdict::Held
        | Verdict::Orphaned
        | Verdict::Suspect
        | Verdict::Idle
        | Verdict::Foreign
        | Verdict::Unknown
        | Verdict::NotALock => return None,
    };
    let took_ms = began.elapsed().as_millis() as u64;
    Some(match result {
        Ok(id) => {
            tracing::info!(path = %path.display(), group, pid, took_ms, why, id, "broke a stale lock");
            true
        }
        // Another has broken it first: the path may be free.
        Err(ClearError::Refused(clear::Refusal::Gone(_))) => true,
        Err(error) => {
            tracing::info!(path = %path.display(), group, pid, took_ms, why, %error, "a stale lock was not broken");
            false
        }
    })
}

/// Clears the stale locks of a directory, if the settings ask for it: for programs that tidy up when they start. Gives the
/// paths that are free now; `lockscope undo` puts them back.
pub fn clear_stale_at_start(directory: impl AsRef<Path>, config: &LockConfig) -> Result<Vec<PathBuf>, LockError> {
    let directory = directory.as_ref();
    let workplace = super::usual_workplace(this_machine()).ok_or_else(|| {
        let error = std::io::Error::other("set HOME or LOCKSCOPE_STATE_DIR");
        LockError::failed(directory, "finding a place for the journal")(error)
    })?;
    clear_stale_in(directory, config, &workplace)
}

pub(super) fn clear_stale_in(
    directory: &Path, config: &LockConfig, workplace: &Workplace,
) -> Result<Vec<PathBuf>, LockError> {
    let Some(options) = options(config).filter(|_| config.clear_stale_at_start) else { return Ok(Vec::new()) };
    // What is empty may be a meeting point for kernel locks: here the evidence decides.
    let options = LookOptions { empty_files: EmptyFiles::ByEvidence, ..options };
    let snapshot = look(&workplace.system, directory, &options)
        .map_err(|error| LockError::failed(directory, "looking for stale locks")(std::io::Error::other(error)))?;
    let mut cleared = Vec::new();
    for lock in snapshot.locks().filter(|lock| lock.is_stale()) {
        let path = snapshot.full_path(lock);
        let group = super::registry::group_of(&path);
        if take_away(workplace, &snapshot.directory, lock, &snapshot, &options, &group) == Some(true) {
            cleared.push(path);
        }
    }
    Ok(cleared)
}
