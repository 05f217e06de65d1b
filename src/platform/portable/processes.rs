//! Processes, as sysinfo lists them. Their open files are not to be seen.
//!
//! sysinfo leaves out whom it cannot name, so that somebody is not in its list is never taken for an end by itself: on
//! POSIX the kernel is asked whether the number is given to anybody.

use super::Numbering;
use crate::model::holder::{Pid, ProcessFacts, ProcessLook};
use crate::model::time::Wall;
use crate::platform::{ProcessSweep, ProcessView, environment};
use std::sync::Arc;
use sysinfo::{Process, ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System, UpdateKind};

/// More of a command line is not kept.
const LONGEST_COMMAND: usize = 4096;

fn details() -> ProcessRefreshKind {
    let always = UpdateKind::Always;
    ProcessRefreshKind::nothing().with_cmd(always).with_cwd(always).with_user(always)
}

/// Asked anew each time: a list that is kept may hold what was true of an earlier process with the same number.
fn list(which: ProcessesToUpdate<'_>, kind: ProcessRefreshKind) -> Option<System> {
    let mut system = System::new().ok()?;
    system.refresh_processes_specifics(which, true, kind.without_tasks());
    Some(system)
}

pub(super) fn look_at(pid: Pid, numbering: Numbering) -> ProcessLook {
    let wanted = sysinfo::Pid::from_u32(pid.get());
    let Some(system) = list(ProcessesToUpdate::Some(&[wanted]), details()) else {
        return ProcessLook::Unknown("the system does not list its processes".into());
    };
    let Some(process) = system.process(wanted) else { return unlisted(pid, numbering) };
    let facts = Box::new(facts(pid, process));
    if matches!(process.status(), ProcessStatus::Zombie | ProcessStatus::Dead) {
        // On Linux a process shows so while threads of it live on.
        return match numbering {
            Numbering::Namespaces => ProcessLook::Unknown("it has exited, or only its first thread has".into()),
            _ => ProcessLook::Exited(facts),
        };
    }
    // Without rights to look at it, not even its start is told.
    if process.start_time() == 0 { ProcessLook::Hidden } else { ProcessLook::Running(facts) }
}

fn unlisted(pid: Pid, numbering: Numbering) -> ProcessLook {
    match (numbering, is_given(pid)) {
        (_, Some(true)) => ProcessLook::Hidden,
        (Numbering::One, Some(false)) => ProcessLook::NoSuchProcess,
        (Numbering::Several, _) => ProcessLook::Unknown(
            "no process of this system has that number, but Cygwin, Git Bash and WSL number theirs otherwise".into(),
        ),
        (Numbering::Namespaces, _) => {
            ProcessLook::Unknown("none is listed, but it may be of another PID namespace".into())
        }
        (Numbering::One, None) => ProcessLook::Unknown("the system does not say whether the number is given".into()),
    }
}

/// Whether the kernel has a process with this number, listed or not; `None` where that cannot be asked.
#[cfg(unix)]
fn is_given(pid: Pid) -> Option<bool> {
    use rustix::io::Errno;
    let raw = rustix::process::Pid::from_raw(pid.get() as i32)?;
    match rustix::process::test_kill_process(raw) {
        Ok(()) | Err(Errno::PERM) => Some(true),
        Err(Errno::SRCH) => Some(false),
        Err(_) => None,
    }
}

#[cfg(not(unix))]
fn is_given(_pid: Pid) -> Option<bool> {
    None
}

fn facts(pid: Pid, process: &Process) -> ProcessFacts {
    let mut command = String::new();
    for argument in process.cmd() {
        if command.len() >= LONGEST_COMMAND {
            break;
        }
        let space = if command.is_empty() { "" } else { " " };
        command = format!("{command}{space}{}", argument.to_string_lossy());
    }
    command.truncate(command.floor_char_boundary(LONGEST_COMMAND));
    let name = process.name().to_string_lossy();
    ProcessFacts {
        pid,
        start_ticks: None,
        // Whole seconds, rounded down: earlier than it was, which proves less.
        started_at: Wall::from_parts(process.start_time() as i64, 0),
        // The saved one is missing: by it a process may have made a file under another user.
        uids: None,
        user: environment::user().filter(|_| acts_as_us(process)).map(Into::into),
        comm: name.strip_suffix(".exe").unwrap_or(&name).into(),
        command: command.into(),
        kernel_thread: false,
        inner_pid: None,
        same_time_ns: None,
    }
}

#[cfg(unix)]
fn acts_as_us(process: &Process) -> bool {
    process.effective_user_id().is_some_and(|user| **user == super::own_uid())
}

#[cfg(not(unix))]
fn acts_as_us(process: &Process) -> bool {
    process.pid().as_u32() == environment::own_pid()
}

/// All processes. None counts as seen, as its open files are not.
pub(super) fn sweep() -> ProcessSweep {
    let system = list(ProcessesToUpdate::All, details());
    let listed = system.iter().flat_map(|system| system.processes().values());
    let views = listed.filter_map(|process| {
        let pid = Pid::new(process.pid().as_u32().into())?;
        let cwd = process.cwd().filter(|path| !path.as_os_str().is_empty()).map(Into::into);
        Some(ProcessView { facts: Arc::new(facts(pid, process)), cwd, seen: false })
    });
    let mut processes: Vec<_> = views.collect();
    if processes.is_empty() {
        // An empty list would say that nobody is unseen.
        processes.extend(ourselves());
    }
    ProcessSweep { processes, open_files: Vec::new() }
}

fn ourselves() -> Option<ProcessView> {
    let facts = ProcessFacts {
        pid: Pid::new(environment::own_pid().into())?,
        start_ticks: None,
        started_at: environment::wall(),
        uids: None,
        user: environment::user().map(Into::into),
        comm: "lockscope".into(),
        command: Box::default(),
        kernel_thread: false,
        inner_pid: None,
        same_time_ns: None,
    };
    Some(ProcessView { facts: Arc::new(facts), cwd: None, seen: false })
}

pub(super) fn count() -> u32 {
    list(ProcessesToUpdate::All, ProcessRefreshKind::nothing()).map_or(1, |system| system.processes().len() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me() -> Pid {
        Pid::new(std::process::id().into()).unwrap()
    }

    fn nobody() -> Pid {
        Pid::new(i32::MAX as u64).unwrap()
    }

    #[test]
    fn we_are_running_whatever_the_numbering() {
        for numbering in [Numbering::One, Numbering::Several, Numbering::Namespaces] {
            let ProcessLook::Running(facts) = look_at(me(), numbering) else { panic!("{numbering:?}: we run") };
            assert_eq!((facts.pid, facts.start_ticks, facts.uids), (me(), None, None));
            assert!(facts.started_at <= environment::wall());
            assert!(!facts.comm.is_empty() && !facts.command.is_empty());
        }
    }

    #[test]
    fn an_absent_number_proves_an_end_only_where_there_is_one_numbering() {
        assert_eq!(look_at(nobody(), Numbering::One), ProcessLook::NoSuchProcess);
        for numbering in [Numbering::Several, Numbering::Namespaces] {
            assert!(matches!(look_at(nobody(), numbering), ProcessLook::Unknown(_)), "{numbering:?}");
        }
    }

    #[test]
    fn whom_the_list_leaves_out_is_not_gone_while_the_kernel_knows_them() {
        assert_eq!(unlisted(me(), Numbering::One), ProcessLook::Hidden);
    }

    #[test]
    fn a_zombie_has_exited_only_where_it_has_no_threads_left() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = Pid::new(child.id().into()).unwrap();
        let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while !matches!(look_at(pid, Numbering::One), ProcessLook::Exited(_)) {
            assert!(std::time::Instant::now() < until, "{:?}", look_at(pid, Numbering::One));
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert!(matches!(look_at(pid, Numbering::Namespaces), ProcessLook::Unknown(_)));
        child.wait().unwrap();
        assert_eq!(look_at(pid, Numbering::One), ProcessLook::NoSuchProcess);
    }

    #[test]
    fn nobody_counts_as_seen() {
        let sweep = sweep();
        let ourselves = sweep.processes.iter().find(|view| view.facts.pid == me()).unwrap();
        assert!(ourselves.cwd.is_some());
        assert!(sweep.processes.iter().all(|view| !view.seen) && sweep.open_files.is_empty());
        let alone = super::ourselves().unwrap();
        assert!(alone.facts.pid == me() && !alone.seen, "whom no list can hide");
    }
}
