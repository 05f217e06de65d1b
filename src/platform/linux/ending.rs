//! Asking a process to end: SIGTERM to the very one that was shown, and to no later one with its number.
//!
//! Owns: [`terminate`], [`pin`], [`children`]. Never: sends another signal, or one to a group.

use super::processes;
use crate::model::holder::{Pid, ProcessFacts, ProcessLook};
use crate::platform::{Ending, EndingError, ProcessPin};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::time::Duration;

/// The pidfd is opened first and the process behind the number compared afterwards: what the pidfd means cannot change
/// between the two, so the signal reaches the one that was compared.
pub(super) fn terminate(
    process: &ProcessFacts, users: &processes::UserNames, patience: Duration,
) -> Result<Ending, EndingError> {
    let pid = process.pid;
    if pid.get() == 1 || process.kernel_thread || pid.get() == std::process::id() {
        return Err(EndingError::NotThatOne(pid));
    }
    let failed = |error: Errno| match error {
        Errno::SRCH => EndingError::GoneAlready(pid),
        Errno::PERM => EndingError::NotPermitted(pid),
        error => EndingError::Failed(pid, error.into()),
    };
    let raw = rustix::process::Pid::from_raw(pid.get() as i32).ok_or(EndingError::GoneAlready(pid))?;
    let pidfd = pidfd_open(raw, PidfdFlags::empty()).map_err(failed)?;
    match processes::look_at(pid, users) {
        ProcessLook::Running(now) if now.pid == pid && now.incarnation() == process.incarnation() => {}
        ProcessLook::Running(_) => return Err(EndingError::AnotherProcess(pid)),
        ProcessLook::NoSuchProcess | ProcessLook::Exited(_) => return Err(EndingError::GoneAlready(pid)),
        ProcessLook::Hidden | ProcessLook::Unknown(_) => return Err(EndingError::NotPermitted(pid)),
    }
    pidfd_send_signal(&pidfd, Signal::TERM).map_err(failed)?;
    let deadline = std::time::Instant::now() + patience;
    loop {
        let left = deadline.saturating_duration_since(std::time::Instant::now());
        let time = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        // A pidfd becomes readable when the whole process has exited.
        match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&time)) {
            Ok(0) => return Ok(Ending::StillRunning),
            Ok(_) => return Ok(Ending::Ended),
            Err(Errno::INTR) => {}
            Err(error) => return Err(EndingError::Failed(pid, error.into())),
        }
    }
}

/// A pidfd on this very process: it becomes readable when the process has exited, whoever gets its number then.
pub(super) fn pin(process: &ProcessFacts, users: &processes::UserNames) -> Option<ProcessPin> {
    let raw = rustix::process::Pid::from_raw(process.pid.get() as i32)?;
    let pidfd = pidfd_open(raw, PidfdFlags::empty()).ok()?;
    match processes::look_at(process.pid, users) {
        ProcessLook::Running(now) if now.incarnation() == process.incarnation() => {}
        _ => return None,
    }
    Some(ProcessPin::new(move || {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&now)).is_ok_and(|ready| ready > 0)
    }))
}

/// The processes that it started and that live; none where the kernel does not list them (`CONFIG_PROC_CHILDREN`).
///
/// Read twice, as a thread that ends hands its children to another one (`find_new_reaper` in kernel/exit.c): one whose list
/// was read just before that.
pub(super) fn children(pid: Pid) -> Vec<Pid> {
    let mut children = listed_children(pid);
    children.extend(listed_children(pid));
    children.sort_unstable();
    children.dedup();
    children
}

fn listed_children(pid: Pid) -> Vec<Pid> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists = threads.flatten().filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .filter_map(|number| number.parse().ok().and_then(Pid::new))
        .collect()
}
