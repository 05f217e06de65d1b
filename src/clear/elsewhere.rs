//! Where the calls of the safe swap are not known: everything is refused, with what to do instead.
//!
//! Owns: the same names as the Linux way. Never: changes anything but the journal, which has the refusals.

use super::error::{CANNOT_CLEAR, ClearError, Refusal, UndoRefusal};
use super::{Cleared, Consent, Reason, Repaired, Restored, Workplace};
use crate::inspect::LookOptions;
use crate::model::snapshot::Lock;
use std::convert::Infallible;
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

/// The permission to clear one lock: there is none here.
#[derive(Debug)]
#[must_use = "a permit does nothing until it is cleared"]
pub struct ClearPermit<'w> {
    grounds: Grounds<'w>,
}

impl ClearPermit<'_> {
    /// The full path of the lock.
    pub fn path(&self) -> &Path {
        match self.grounds.none {}
    }

    /// On what grounds, in one sentence.
    pub fn why(&self) -> &str {
        match self.grounds.none {}
    }
}

/// What a permit rests on. Opaque.
#[derive(Debug)]
pub struct Grounds<'w> {
    none: Infallible,
    _workplace: PhantomData<&'w Workplace>,
}

fn unsupported(path: PathBuf) -> Refusal {
    Refusal::Unsupported { path, why: CANNOT_CLEAR.to_owned() }
}

/// Refuses, and writes that to the journal.
pub fn recheck<'w>(
    workplace: &'w Workplace, directory: &Path, seen: &Lock, _options: &LookOptions, _consent: Consent,
) -> Result<ClearPermit<'w>, Refusal> {
    let refusal = unsupported(directory.join(&*seen.path));
    workplace.journal_refusal(directory, &seen.path, seen.judgement.verdict, &refusal);
    Err(refusal)
}

/// The permission to take one lock away by force: there is none here.
#[derive(Debug)]
#[must_use = "it does nothing until it is used"]
pub struct ForceClear<'w> {
    grounds: Grounds<'w>,
}

impl ForceClear<'_> {
    /// The full path of the lock.
    pub fn path(&self) -> &Path {
        match self.grounds.none {}
    }
}

/// Refuses, and writes that to the journal.
pub fn recheck_forced<'w>(
    workplace: &'w Workplace, directory: &Path, seen: &Lock, _options: &LookOptions, _reason: &Reason,
) -> Result<ForceClear<'w>, Refusal> {
    let refusal = unsupported(directory.join(&*seen.path));
    workplace.journal_refusal(directory, &seen.path, seen.judgement.verdict, &refusal);
    Err(refusal)
}

/// Takes away by force what was agreed to.
#[expect(clippy::needless_pass_by_value, reason = "a permit is used up, also where there are none")]
pub fn force(force: ForceClear<'_>) -> Result<Cleared, ClearError> {
    match force.grounds.none {}
}

/// Takes away what the permit is for.
#[expect(clippy::needless_pass_by_value, reason = "a permit is used up, also where there are none")]
pub fn clear(permit: ClearPermit<'_>) -> Result<Cleared, ClearError> {
    match permit.grounds.none {}
}

/// The same; for the demo.
pub fn clear_and_crash(permit: ClearPermit<'_>) -> Result<Cleared, ClearError> {
    clear(permit)
}

/// Refuses: putting back must not overwrite, and the call for that is not known here.
pub fn undo(workplace: &Workplace, id: &str) -> Result<Restored, UndoRefusal> {
    let failed = |error| UndoRefusal::Failed { path: PathBuf::from(id), doing: "reading the journal", error };
    match workplace.journal().find(id).map_err(failed)? {
        Some(entry) => Err(UndoRefusal::Unsupported { id: entry.id, kept: entry.quarantine }),
        None => Err(UndoRefusal::NoSuchEntry(id.to_owned())),
    }
}

/// Refuses as [`undo`] does.
pub fn can_undo(workplace: &Workplace, id: &str) -> Result<(), UndoRefusal> {
    undo(workplace, id).map(drop)
}

/// Nothing is ever begun here, so nothing is left half done.
pub fn recover_all(_workplace: &Workplace) -> io::Result<usize> {
    Ok(0)
}

/// Nothing is ever kept here, so nothing grows old.
pub fn expire(_workplace: &Workplace) -> io::Result<usize> {
    Ok(0)
}

/// Refuses: the placeholder is another system's, and only its Lockscope can tell what it stands for.
pub fn repair(_workplace: &Workplace, directory: &Path, relative: &Path) -> Result<Repaired, Refusal> {
    Err(unsupported(directory.join(relative)))
}
