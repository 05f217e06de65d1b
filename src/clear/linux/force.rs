//! Taking a lock away by force: on a person's word, against what the evidence allows, and never under a living holder that
//! the kernel knows.
//!
//! Owns: [`ForceClear`], what may be forced. Never: ends a process, or does anything that [`super::protocol`] does not do
//! for a lock that is proved stale: everything is looked at again, swapped out, verified, kept and journaled.
//!
//! A `ForceClear` cannot be made from a permit, nor used as one, nor used twice:
//! ```compile_fail,E0308
//! fn force_a_permit(permit: lockscope::clear::ClearPermit<'_>) {
//!     let _ = lockscope::clear::force(permit);
//! }
//! ```
//! ```compile_fail,E0308
//! fn clear_by_force(force: lockscope::clear::ForceClear<'_>) {
//!     let _ = lockscope::clear::clear(force);
//! }
//! ```
//! ```compile_fail,E0382
//! fn twice(force: lockscope::clear::ForceClear<'_>) {
//!     let _ = lockscope::clear::force(force);
//!     let _ = lockscope::clear::force(force);
//! }
//! ```
//! Nor is there one without a reason:
//! ```
//! assert!(lockscope::clear::Reason::new(" \n").is_none());
//! ```

use super::error::Refusal;
use super::permit::{Agreed, Grounds, Look, agree};
use super::{Reason, Workplace};
use crate::inspect::{self, LookOptions};
use crate::model::facts::Users;
use crate::model::format::Standing;
use crate::model::snapshot::Lock;
use crate::model::verdict::{Clearing, Verdict};
use std::path::Path;

/// The permission to take one lock away by force, once.
#[derive(Debug)]
#[must_use = "it does nothing until it is used"]
pub struct ForceClear<'w> {
    grounds: Box<Grounds<'w>>,
    // Not Send: what was looked at again is taken away by who looked, at once.
    _thread: std::marker::PhantomData<*const ()>,
}

impl<'w> ForceClear<'w> {
    pub(super) fn into_grounds(self) -> Grounds<'w> {
        *self.grounds
    }

    /// The full path of the lock.
    pub fn path(&self) -> &Path {
        self.grounds.full()
    }
}

/// Looks anew at what a person saw, and permits to take it away by force if nothing forbids even that.
///
/// A refusal is written to the journal.
///
/// # Errors
/// Whatever [`super::recheck`] refuses for another reason than the verdict; a kernel lock that a process holds; a file that
/// a process has open; what is no lock at all, or data.
pub fn recheck_forced<'w>(
    workplace: &'w Workplace, directory: &Path, seen: &Lock, options: &LookOptions, reason: &Reason,
) -> Result<ForceClear<'w>, Refusal> {
    let look = || inspect::look_again(&workplace.system, directory, seen, options);
    recheck_forced_with(workplace, directory, seen, reason, &look)
}

pub(super) fn recheck_forced_with<'w>(
    workplace: &'w Workplace, directory: &Path, seen: &Lock, reason: &Reason, look: &Look<'_>,
) -> Result<ForceClear<'w>, Refusal> {
    agree(workplace, directory, seen, Agreed::ToForce(reason), look)
        .map(|grounds| ForceClear { grounds: Box::new(grounds), _thread: std::marker::PhantomData })
}

/// What even force leaves alone. `why` is the sentence about the lock.
pub(super) fn forbids(fresh: &Lock, full: &Path, why: &str) -> Option<Refusal> {
    let facts = &fresh.facts;
    let verdict = fresh.judgement.verdict;
    let not_clearable = |why: String| Refusal::NotClearable { path: full.to_owned(), verdict, by_name: false, why };
    if verdict.clearing() == Clearing::Never {
        return Some(not_clearable(why.to_owned()));
    }
    if verdict == Verdict::Interrupted {
        return Some(not_clearable("Lockscope was interrupted here: clear it by its name, without force".to_owned()));
    }
    if facts.reading().format.standing == Standing::Data {
        return Some(not_clearable("it is data that programs lock, not a lock file: never delete it".to_owned()));
    }
    if facts.is_kernel_locked() {
        return Some(Refusal::HeldByKernel { path: full.to_owned(), why: why.to_owned() });
    }
    if matches!(facts.users(), Users::Looked { open, .. } if !open.is_empty()) {
        return Some(Refusal::InUse(full.to_owned()));
    }
    None
}
