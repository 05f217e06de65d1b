//! Processes, from `/proc` and `pidfd`.
//!
//! State `Z` alone is never taken for gone: a process whose first thread has exited shows `Z` while its other threads
//! live on and hold locks (CLEARING.md 2.1). Only its pidfd tells.
//!
//! What stands behind `/proc/PID/fd/N`, `cwd` and their like is never touched, as it may be on a mount that does not
//! answer: `readlink` names it, and `fdinfo` numbers it, out of the kernel's memory.

use super::directory::DIRECTORY;
use super::{guard, host};
use crate::model::holder::{Pid, ProcessFacts, ProcessLook};
use crate::model::kernel::parse_fdinfo;
use crate::platform::{OpenFile, ProcessSweep, ProcessView};
use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{PidfdFlags, pidfd_open};
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// `PF_KTHREAD` (include/linux/sched.h).
const KERNEL_THREAD: u32 = 0x0020_0000;
/// `USER_HZ`: 100 on every Linux that user space sees.
const TICK: Duration = Duration::from_millis(10);
/// More than most files of `/proc` have.
const SMALL: usize = 4096;

/// Names of users, from `/etc/passwd`, read once; a number stands for who is not in it.
#[derive(Debug, Default)]
pub(super) struct UserNames(Mutex<Option<HashMap<u32, Box<str>>>>);

impl UserNames {
    fn name(&self, uid: u32) -> Box<str> {
        self.known(uid).unwrap_or_else(|| uid.to_string()).into()
    }

    pub(super) fn known(&self, uid: u32) -> Option<String> {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let names = names.get_or_insert_with(|| {
            let text = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
            let lines = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
            lines.filter_map(|f| Some((f.get(2)?.parse().ok()?, (*f.first()?).into()))).collect()
        });
        names.get(&uid).map(ToString::to_string)
    }
}

pub(super) struct Stat {
    comm: Box<str>,
    pub(super) state: u8,
    pub(super) parent: Option<Pid>,
    flags: u32,
    start_ticks: u64,
}

impl Stat {
    pub(super) fn is_kernel_thread(&self) -> bool {
        self.flags & KERNEL_THREAD != 0
    }
}

/// `/proc/PID/stat`: the name stands in parentheses and may hold some itself, so fields count from the last one.
fn parse_stat(text: &[u8]) -> Option<Stat> {
    let open = text.iter().position(|b| *b == b'(')?;
    let close = text.iter().rposition(|b| *b == b')')?;
    let comm = String::from_utf8_lossy(text.get(open + 1..close)?).into();
    let rest = std::str::from_utf8(text.get(close + 1..)?).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // Field 3 (state) is the first here; 4 = parent, 9 = flags, 22 = start.
    Some(Stat {
        comm,
        state: *fields.first()?.as_bytes().first()?,
        parent: fields.get(1)?.parse().ok().and_then(Pid::new),
        flags: fields.get(6)?.parse().ok()?,
        start_ticks: fields.get(19)?.parse().ok()?,
    })
}

struct Status {
    process: Option<Pid>,
    uids: [u32; 4],
    inner_pid: Option<Pid>,
}

fn parse_status(text: &str) -> Status {
    let mut status = Status { process: None, uids: [u32::MAX; 4], inner_pid: None };
    for line in text.lines() {
        if let Some(value) = line.strip_prefix("Tgid:") {
            status.process = value.trim().parse().ok().and_then(Pid::new);
        } else if let Some(value) = line.strip_prefix("Uid:") {
            for (slot, uid) in status.uids.iter_mut().zip(value.split_ascii_whitespace()) {
                *slot = uid.parse().unwrap_or(u32::MAX);
            }
        } else if let Some(value) = line.strip_prefix("NSpid:") {
            let mut numbers = value.split_ascii_whitespace();
            let outer = numbers.next();
            status.inner_pid = numbers
                .next_back()
                .filter(|inner| Some(*inner) != outer)
                .and_then(|n| n.parse().ok())
                .and_then(Pid::new);
        }
    }
    status
}

/// All of a small file of `/proc`, in one read and another that tells that there is no more: the kernel makes its text anew
/// for each file that is opened, and the standard library would begin with 32 bytes.
fn read_small(path: &str) -> rustix::io::Result<Vec<u8>> {
    let fd = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut bytes = Vec::with_capacity(SMALL);
    loop {
        match rustix::io::read(&fd, spare_capacity(&mut bytes)) {
            Ok(0) => return Ok(bytes),
            Ok(_) => bytes.reserve(SMALL / 4),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// `/proc/PID/stat`; where it cannot be read, what is to be thought of the process.
pub(super) fn read_stat(pid: Pid) -> Result<Stat, ProcessLook> {
    match read_small(&format!("/proc/{pid}/stat")) {
        Ok(text) => parse_stat(&text)
            .ok_or_else(|| ProcessLook::Unknown("/proc/PID/stat does not fit the known grammar".into())),
        // ESRCH: it went between open and read.
        Err(Errno::NOENT | Errno::SRCH | Errno::PERM | Errno::ACCESS) => Err(unseen(pid)),
        Err(error) => Err(ProcessLook::Unknown(io::Error::from(error).to_string().into())),
    }
}

pub(super) fn look_at(pid: Pid, users: &UserNames) -> ProcessLook {
    // Most who left a lock behind are long gone: one call tells, where to look for them in `/proc` takes two.
    let raw = rustix::process::Pid::from_raw(pid.get() as i32);
    if raw.map(rustix::process::test_kill_process) == Some(Err(Errno::SRCH)) {
        return ProcessLook::NoSuchProcess;
    }
    match read_stat(pid) {
        Ok(stat) => look_further(pid, stat, users),
        Err(look) => look,
    }
}

fn look_further(pid: Pid, stat: Stat, users: &UserNames) -> ProcessLook {
    let Ok(status) = read_small(&format!("/proc/{pid}/status")) else { return unseen(pid) };
    let status = parse_status(&String::from_utf8_lossy(&status));
    if let Some(process) = status.process.filter(|process| *process != pid) {
        // A thread id: it is its process that is meant.
        return look_at(process, users);
    }
    let kernel_thread = stat.is_kernel_thread();
    let facts = Box::new(ProcessFacts {
        pid,
        start_ticks: Some(stat.start_ticks),
        started_at: host::computed_boot().plus(TICK * u32::try_from(stat.start_ticks).unwrap_or(u32::MAX)),
        user: Some(users.name(status.uids[1])),
        uids: Some(status.uids),
        comm: stat.comm,
        command: command_line(pid),
        kernel_thread,
        inner_pid: status.inner_pid,
        same_time_ns: same_time_namespace(pid),
    });
    match stat.state {
        b'Z' | b'X' | b'x' if has_exited(pid) => ProcessLook::Exited(facts),
        _ => ProcessLook::Running(facts),
    }
}

/// `/proc` shows nothing. That is a process that does not exist, or one that is hidden from us (`hidepid`): `pidfd_open`
/// works on anyone's, and alone can tell. ENOENT (EINVAL before 6.18) = it is a thread id, so somebody lives there.
fn unseen(pid: Pid) -> ProcessLook {
    let Some(raw) = rustix::process::Pid::from_raw(pid.get() as i32) else {
        return ProcessLook::Unknown("the number is no PID".into());
    };
    match pidfd_open(raw, PidfdFlags::empty()) {
        Err(Errno::SRCH) => ProcessLook::NoSuchProcess,
        Ok(_) | Err(Errno::NOENT | Errno::INVAL | Errno::PERM) => ProcessLook::Hidden,
        Err(error) => ProcessLook::Unknown(error.to_string().into()),
    }
}

/// The whole process has exited: its pidfd is readable. Not so while a thread lives on after the first one's end.
fn has_exited(pid: Pid) -> bool {
    let Some(raw) = rustix::process::Pid::from_raw(pid.get() as i32) else { return false };
    match pidfd_open(raw, PidfdFlags::empty()) {
        Ok(fd) => {
            let mut fds = [PollFd::new(&fd, PollFlags::IN)];
            poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|ready| ready > 0)
        }
        Err(error) => error == Errno::SRCH,
    }
}

fn command_line(pid: Pid) -> Box<str> {
    const LONGEST: usize = 4096;
    let mut bytes = read_small(&format!("/proc/{pid}/cmdline")).unwrap_or_default();
    bytes.truncate(LONGEST);
    let text = String::from_utf8_lossy(&bytes).replace('\0', " ");
    text.trim_end().into()
}

pub(super) fn all_pids() -> Vec<Pid> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok().and_then(Pid::new)).collect()
}

pub(super) fn count() -> (u32, u32) {
    let pids = all_pids();
    let denied = pids.iter().filter(|pid| {
        let opened = rustix::fs::open(format!("/proc/{pid}/fdinfo"), DIRECTORY, Mode::empty());
        let refused = matches!(opened, Err(Errno::ACCESS | Errno::PERM));
        // Kernel threads have no files; that we may not list them hides nothing.
        refused && read_stat(**pid).map_or(true, |stat| !stat.is_kernel_thread())
    });
    (pids.len() as u32, denied.count() as u32)
}

pub(super) fn sweep(users: &UserNames) -> ProcessSweep {
    let mut sweep = ProcessSweep::default();
    let scouts = guard::scouts();
    let is_scout = |pid: Pid| scouts.iter().any(|scout| scout.as_raw_nonzero().get() == pid.get() as i32);
    for pid in all_pids() {
        if is_scout(pid) {
            continue;
        }
        let Ok(stat) = read_stat(pid) else { continue };
        // The kernel's own threads have no files, and do not work in a directory.
        if stat.is_kernel_thread() {
            continue;
        }
        let (ProcessLook::Running(facts) | ProcessLook::Exited(facts)) = look_further(pid, stat, users) else {
            continue;
        };
        let files_seen = open_files(pid, &mut sweep.open_files);
        // ENOENT: it has exited, perhaps just now. Only a refusal hides something.
        let (cwd, cwd_seen) = match std::fs::read_link(format!("/proc/{pid}/cwd")) {
            Ok(path) => (Some(path), true),
            Err(error) => (None, error.kind() != io::ErrorKind::PermissionDenied),
        };
        sweep.processes.push(ProcessView { facts: Arc::from(facts), cwd, seen: files_seen && cwd_seen });
    }
    sweep
}

/// Adds the open files of a process; `false` where they may not be seen. A process whose first thread has exited lists
/// none itself; its other threads do.
fn open_files(pid: Pid, into: &mut Vec<OpenFile>) -> bool {
    let before = into.len();
    let seen = open_files_of(&format!("/proc/{pid}/fdinfo"), pid, into);
    if seen && into.len() == before {
        let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        for thread in threads {
            open_files_of(&thread.path().join("fdinfo").to_string_lossy(), pid, into);
            if into.len() > before {
                break;
            }
        }
    }
    seen
}

fn open_files_of(directory: &str, pid: Pid, into: &mut Vec<OpenFile>) -> bool {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        // It ended meanwhile: nothing of it is left to see.
        Err(error) => return error.kind() != io::ErrorKind::PermissionDenied,
    };
    for entry in entries.flatten() {
        match read_small(&entry.path().to_string_lossy()) {
            Ok(text) => {
                let info = parse_fdinfo(&String::from_utf8_lossy(&text));
                // Without `ino:` (before Linux 5.14) the file cannot be named without touching it.
                let Some(ino) = info.ino else { return false };
                into.push(OpenFile { pid, mount: info.mount, ino, locks: info.locks });
            }
            Err(Errno::ACCESS | Errno::PERM) => return false,
            Err(_) => {}
        }
    }
    true
}

/// What the open files of a process are called; the links are read, never followed.
pub(super) fn open_paths(pid: Pid) -> Option<Vec<PathBuf>> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    Some(entries.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok()).collect())
}

/// Inode numbers of the open files that carry kernel locks; `None` where not all of them may be seen.
pub(super) fn locked_files(pid: Pid) -> Option<HashSet<u64>> {
    let mut files = Vec::new();
    let seen = open_files(pid, &mut files);
    seen.then(|| files.into_iter().filter(|file| !file.locks.is_empty()).map(|file| file.ino).collect())
}

/// Whether a process counts its time as we do: in another time namespace its start has another number of ticks.
/// `None` where that may not be seen. Kernels before 5.6 have no such namespaces.
fn same_time_namespace(pid: Pid) -> Option<bool> {
    static OURS: OnceLock<Option<PathBuf>> = OnceLock::new();
    let Some(ours) = OURS.get_or_init(|| std::fs::read_link("/proc/self/ns/time").ok()) else { return Some(true) };
    Some(std::fs::read_link(format!("/proc/{pid}/ns/time")).ok()? == *ours)
}

/// What the open files that carry kernel locks are called; `None` where that may not be seen.
pub(super) fn locked_paths(pid: Pid) -> Option<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> = locked(pid, |_| true)?.into_iter().map(|(path, _)| path).collect();
    paths.sort_unstable();
    paths.dedup();
    Some(paths)
}

/// Deleted files that a process holds kernel locks on. The kernel adds ` (deleted)` to the path of what has no name left
/// (`d_path`); a file may really be called so, hence the inode is compared by whoever asks.
pub(super) fn deleted_locked_files(pid: Pid) -> Option<Vec<(PathBuf, OpenFile)>> {
    const DELETED: &[u8] = b" (deleted)";
    let is_deleted = |path: &[u8]| path.ends_with(DELETED);
    let deleted = locked(pid, is_deleted)?.into_iter().filter_map(|(path, file)| {
        let path = path.as_os_str().as_bytes().strip_suffix(DELETED)?;
        Some((PathBuf::from(OsStr::from_bytes(path)), file))
    });
    Some(deleted.collect())
}

/// The open files of a process that carry kernel locks, with the path that the kernel gives for each; only those with
/// such a path are asked about.
fn locked(pid: Pid, is_meant: impl Fn(&[u8]) -> bool) -> Option<Vec<(PathBuf, OpenFile)>> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let Ok(path) = std::fs::read_link(entry.path()) else { continue };
        if !is_meant(path.as_os_str().as_bytes()) {
            continue;
        }
        let number = entry.file_name();
        let Ok(text) = read_small(&format!("/proc/{pid}/fdinfo/{}", number.to_string_lossy())) else { continue };
        let info = parse_fdinfo(&String::from_utf8_lossy(&text));
        if let Some(ino) = info.ino.filter(|_| !info.locks.is_empty()) {
            let file = OpenFile { pid, mount: info.mount, ino, locks: info.locks };
            found.push((path, file));
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_full_of_parentheses_does_not_shift_the_fields() {
        let stat =
            parse_stat(b"42 (a) b (c) R 1 1 1 0 -1 4194560 9 0 0 0 0 0 0 0 20 0 1 0 235129 0 0").expect("parses");
        assert_eq!((&*stat.comm, stat.state, stat.start_ticks), ("a) b (c", b'R', 235_129));
        assert!(parse_stat(b"42 (x").is_none());
    }

    #[test]
    fn the_inner_pid_is_told_only_where_it_differs() {
        let inner = |text| parse_status(text).inner_pid.map(Pid::get);
        assert_eq!(inner("NSpid:\t19572\t1\n"), Some(1));
        assert_eq!(inner("NSpid:\t19572\n"), None);
    }

    #[test]
    fn we_are_running_and_one_beyond_the_largest_pid_is_not_there() {
        let users = UserNames::default();
        let me = Pid::new(u64::from(std::process::id())).expect("a process has a PID");
        assert!(matches!(look_at(me, &users), ProcessLook::Running(facts) if facts.pid == me));
        let nobody = Pid::new(i32::MAX as u64).expect("in range");
        assert_eq!(look_at(nobody, &users), ProcessLook::NoSuchProcess);
    }
    #[test]
    fn a_sweep_sees_us_and_our_files_and_passes_over_the_kernels_threads() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let ino = std::os::unix::fs::MetadataExt::ino(&file.as_file().metadata().expect("it is open"));
        let seen = sweep(&UserNames::default());
        let me = Pid::new(u64::from(std::process::id())).expect("a process has a PID");
        assert!(seen.open_files.iter().any(|open| open.pid == me && open.ino == ino));
        let ours = seen.processes.iter().find(|view| view.facts.pid == me).expect("we are there");
        assert_eq!(ours.cwd, std::env::current_dir().ok());
        assert!(seen.processes.iter().all(|view| !view.facts.kernel_thread));
        // `kthreadd`, outside of containers.
        let second = Pid::new(2).expect("in range");
        if matches!(look_at(second, &UserNames::default()), ProcessLook::Running(facts) if facts.kernel_thread) {
            assert!(all_pids().contains(&second) && seen.processes.iter().all(|view| view.facts.pid != second));
        } else {
            println!("not run: the kernel's threads are not seen here");
        }
    }

    #[test]
    fn a_small_file_is_read_to_its_end_however_long_it_is() {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        for length in [0, 1, SMALL - 1, SMALL, SMALL + 1, 5 * SMALL] {
            let text = vec![b'x'; length];
            std::io::Write::write_all(&mut file.reopen().expect("it is there"), &text).expect("written");
            let read = read_small(&file.path().to_string_lossy()).expect("readable");
            assert!(read == text, "{length}");
        }
        file.as_file_mut().set_len(0).expect("emptied");
        assert_eq!(read_small("/nowhere/at/all"), Err(Errno::NOENT));
    }
}
