//! Questions about a lock, answered by looking alone: no lock is taken, no file touched, nobody kept waiting.
//!
//! Owns: [`is_locked`], [`who_holds`], [`wait_for_release`], [`ProcessId`]. Never: probes by locking; a probe would make
//! another program's try fail.

use super::patience::Patience;
use super::{LockConfig, LockError, Wait};
use crate::inspect::{EmptyFiles, LookError, LookOptions, look_at_one};
use crate::model::facts::ProcessRef;
use crate::model::holder::{Pid, ProcessLook, StartToken};
use crate::model::snapshot::{Lock, Snapshot};
use crate::model::verdict::Verdict;
use crate::platform::{System, environment, this_machine};
use std::path::Path;
use std::sync::Arc;

/// Whether somebody has a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IsLocked {
    /// Somebody has it, and who: the inspector's sentence.
    Yes(String),
    /// Nobody has it.
    No,
    /// There is a lock file, and whether somebody has it cannot be known from here; or it was left behind and blocks
    /// whoever comes (`stale` and the like). The inspector's sentence tells which.
    LeftOrUnknown(String),
}

/// Whether somebody has the lock at this path. `empty_files` says what an empty file means there:
/// [`EmptyFiles::KernelLocks`] for a [`super::FlockLock`].
pub fn is_locked(path: impl AsRef<Path>, empty_files: EmptyFiles) -> Result<IsLocked, LookError> {
    let Some((lock, snapshot)) = seen(path.as_ref(), empty_files)? else { return Ok(IsLocked::No) };
    let why = || lock.why(&snapshot.moment());
    Ok(match lock.judgement.verdict {
        Verdict::Held => IsLocked::Yes(why()),
        Verdict::Idle | Verdict::NotALock => IsLocked::No,
        Verdict::Stale
        | Verdict::Orphaned
        | Verdict::Suspect
        | Verdict::Foreign
        | Verdict::Unknown
        | Verdict::Interrupted => IsLocked::LeftOrUnknown(why()),
    })
}

/// The process that holds the lock at this path; `None` = nobody, or it cannot be named.
pub fn who_holds(path: impl AsRef<Path>) -> Result<Option<ProcessRef>, LookError> {
    Ok(seen(path.as_ref(), EmptyFiles::ByEvidence)?.and_then(|(lock, _)| lock.holder()).map(|(process, _)| process))
}

/// Waits until nobody has the lock at this path. What was left behind is nobody's; what cannot be known counts as held.
pub fn wait_for_release(path: impl AsRef<Path>, empty_files: EmptyFiles, timeout: Wait) -> Result<(), LockError> {
    let path = path.as_ref();
    let mut patience = Patience::new(path, &super::registry::group_of(path), &LockConfig::waiting(timeout));
    // A kernel lock that was seen says what being empty means afterwards.
    let mut empty_files = empty_files;
    loop {
        let looked = seen(path, empty_files);
        let found =
            looked.map_err(|error| LockError::failed(path, "looking at the lock")(std::io::Error::other(error)))?;
        let Some((lock, snapshot)) = found else { return Ok(()) };
        if lock.facts.is_kernel_locked() {
            empty_files = EmptyFiles::KernelLocks;
        }
        match lock.judgement.verdict {
            Verdict::Held | Verdict::Foreign | Verdict::Unknown => {}
            Verdict::Idle
            | Verdict::NotALock
            | Verdict::Stale
            | Verdict::Orphaned
            | Verdict::Suspect
            | Verdict::Interrupted => return Ok(()),
        }
        if !patience.pause() {
            return Err(patience.spent(Some(lock.why(&snapshot.moment()))));
        }
    }
}

/// Looks at one lock file, with the machine's own ways.
fn seen(path: &Path, empty_files: EmptyFiles) -> Result<Option<(Arc<Lock>, Snapshot)>, LookError> {
    let options = LookOptions { empty_files, ..LookOptions::default() };
    look(&this_machine(), path, &options)
}

/// Looks at one lock file.
pub(super) fn look(
    system: &Arc<dyn System>, path: &Path, options: &LookOptions,
) -> Result<Option<(Arc<Lock>, Snapshot)>, LookError> {
    let Some(name) = path.file_name() else { return Err(LookError::NotFound(path.to_owned())) };
    look_at_one(system, &parent(path), name, options)
}

/// The directory that a path stands in.
pub(super) fn parent(path: &Path) -> std::path::PathBuf {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    environment::absolute(parent.unwrap_or(Path::new(".")))
}

/// For an error that says who is in the way; `None` where that cannot be seen.
pub(super) fn holder_sentence(path: &Path) -> Option<String> {
    let (lock, snapshot) = seen(path, EmptyFiles::ByEvidence).ok()??;
    Some(lock.why(&snapshot.moment()))
}

/// One process, told from a later one with the same PID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessId {
    /// Its PID.
    pub pid: Pid,
    /// Its start, and in which boot; `None` where the system does not tell.
    pub token: Option<StartToken>,
}

/// Whether a process runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IsRunning {
    /// The same process runs.
    Yes,
    /// It has ended; its PID may be another's by now.
    No,
    /// It cannot be told, and why. Never to be taken for `No`.
    Unknown(String),
}

impl ProcessId {
    /// This process.
    pub fn this() -> Option<Self> {
        Self::of(Pid::new(u64::from(environment::own_pid()))?)
    }

    /// The process that has this PID now; `None` = there is none that can be seen.
    pub fn of(pid: Pid) -> Option<Self> {
        let system = this_machine();
        let ProcessLook::Running(facts) = system.look_at(pid) else { return None };
        let boot_id = system.host().boot_id;
        Some(Self { pid: facts.pid, token: facts.start_ticks.map(|ticks| StartToken { boot_id, ticks }) })
    }

    /// Whether this very process still runs.
    pub fn is_running(&self) -> IsRunning {
        let system = this_machine();
        let look = system.look_at(self.pid);
        let boot_id = system.host().boot_id;
        judge(&look, self.token, boot_id)
    }
}

fn judge(look: &ProcessLook, token: Option<StartToken>, boot_id: Option<u128>) -> IsRunning {
    match look {
        ProcessLook::NoSuchProcess | ProcessLook::Exited(_) => IsRunning::No,
        ProcessLook::Hidden => IsRunning::Unknown("a process has this PID, but it may not be looked at".to_owned()),
        ProcessLook::Unknown(why) => IsRunning::Unknown(why.to_string()),
        ProcessLook::Running(facts) => {
            let same_boot = token.and_then(|token| token.boot_id).zip(boot_id).map(|(theirs, ours)| theirs == ours);
            let same_start = token.zip(facts.start_ticks).map(|(token, ticks)| token.ticks == ticks);
            match (same_boot, same_start) {
                (Some(false), _) | (_, Some(false)) => IsRunning::No,
                (_, Some(true)) => IsRunning::Yes,
                (_, None) => {
                    IsRunning::Unknown("a process has this PID; whether it is the same one cannot be told".to_owned())
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::holder::ProcessFacts;
    use crate::model::time::Wall;

    fn running(ticks: Option<u64>) -> ProcessLook {
        ProcessLook::Running(Box::new(ProcessFacts {
            pid: Pid::new(4711).unwrap(),
            start_ticks: ticks,
            started_at: Wall(0),
            uids: None,
            user: None,
            comm: "x".into(),
            command: "x".into(),
            kernel_thread: false,
            inner_pid: None,
            same_time_ns: Some(true),
        }))
    }

    #[test]
    fn only_the_same_process_counts_and_not_knowing_is_not_gone() {
        let token = |boot, ticks| Some(StartToken { boot_id: boot, ticks });
        let no_look = ProcessLook::Unknown("no /proc".into());
        for (look, token, expected) in [
            (running(Some(5)), token(Some(1), 5), Some(true)),
            (running(Some(6)), token(Some(1), 5), Some(false)),
            (running(Some(5)), token(Some(2), 5), Some(false)),
            (running(Some(5)), token(None, 5), Some(true)),
            (running(None), token(Some(1), 5), None),
            (running(Some(5)), None, None),
            (ProcessLook::NoSuchProcess, None, Some(false)),
            (ProcessLook::Hidden, token(Some(1), 5), None),
            (no_look, token(Some(1), 5), None),
        ] {
            let found = match judge(&look, token, Some(1)) {
                IsRunning::Yes => Some(true),
                IsRunning::No => Some(false),
                IsRunning::Unknown(why) => {
                    assert!(!why.is_empty());
                    None
                }
            };
            assert_eq!(found, expected, "{look:?} {token:?}");
        }
    }
}
