//! What a picture of the whole machine needs of its processes: open files with their paths, and how a process is.
//!
//! Owns: [`named_files`], [`process_state`]. Never: touches what stands behind `/proc/PID/fd/N` or `cwd`: it may be on a
//! mount that does not answer. `readlink` names it out of the kernel's memory.

use super::guard;
use super::processes::{all_pids, read_stat};
use crate::model::holder::Pid;
use crate::model::kernel::parse_fdinfo;
use crate::model::machine::Condition;
use crate::platform::{NamedFile, NamedFiles, OpenFile, ProcessState};
use rustix::fs::{CWD, Mode, OFlags, RawDir, openat, readlink, readlinkat};
use rustix::io::Errno;
use std::collections::HashSet;
use std::ffi::{CStr, OsString};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

/// A buffer that one fdinfo fits in, unless it carries very many locks.
const CHUNK: usize = 4096;

/// The open files of all processes that carry kernel locks or have one of these inode numbers. Paths are asked for of
/// those alone.
pub(super) fn named_files(inodes: &HashSet<u64>) -> NamedFiles {
    let mut found = NamedFiles::default();
    let scouts = guard::scouts();
    let is_scout = |pid: Pid| scouts.iter().any(|scout| scout.as_raw_nonzero().get() == pid.get() as i32);
    let mut buffer = Vec::with_capacity(CHUNK);
    for pid in all_pids() {
        if is_scout(pid) {
            continue;
        }
        let before = found.files.len();
        let mut any = false;
        let seen = files_of(&format!("/proc/{pid}"), pid, inodes, &mut found.files, &mut any, &mut buffer);
        if seen && !any && !is_kernel_thread(pid) {
            // Its first thread may have exited while others live on: then they list the files.
            for thread in threads(pid) {
                let place = format!("/proc/{pid}/task/{thread}");
                files_of(&place, pid, inodes, &mut found.files, &mut any, &mut buffer);
                if found.files.len() > before {
                    break;
                }
            }
        }
        if !seen && is_kernel_thread(pid) {
            continue;
        }
        found.processes += 1;
        if !seen {
            found.unseen.push(pid);
        }
    }
    found
}

fn is_kernel_thread(pid: Pid) -> bool {
    read_stat(pid).is_ok_and(|stat| stat.is_kernel_thread())
}

fn threads(pid: Pid) -> Vec<u64> {
    let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

fn open_directory(path: &str) -> Result<OwnedFd, Errno> {
    openat(CWD, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// Adds what one process or thread has open; `false` where that may not be seen. `any` tells that it has some file open.
fn files_of(
    place: &str, pid: Pid, inodes: &HashSet<u64>, into: &mut Vec<NamedFile>, any: &mut bool, buffer: &mut Vec<u8>,
) -> bool {
    let infos = match open_directory(&format!("{place}/fdinfo")) {
        Ok(infos) => infos,
        // It ended meanwhile: nothing of it is left to see.
        Err(error) => return !matches!(error, Errno::ACCESS | Errno::PERM),
    };
    // Opened where there is something to name.
    let mut names: Option<OwnedFd> = None;
    let mut room = [MaybeUninit::uninit(); 8192];
    let mut entries = RawDir::new(&infos, &mut room);
    while let Some(entry) = entries.next() {
        let Ok(entry) = entry else { break };
        let number = entry.file_name();
        if !number.to_bytes().first().is_some_and(u8::is_ascii_digit) {
            continue;
        }
        match read_info(infos.as_fd(), number, buffer) {
            Ok(()) => {}
            Err(Errno::ACCESS | Errno::PERM) => return false,
            Err(_) => continue,
        }
        *any = true;
        let info = parse_fdinfo(&String::from_utf8_lossy(buffer));
        // Before Linux 5.14 there is no `ino:`, but a lock names its file itself.
        let Some(ino) = info.ino.or_else(|| Some(info.locks.first()?.file.ino)) else { continue };
        if info.locks.is_empty() && !inodes.contains(&ino) {
            continue;
        }
        if names.is_none() {
            names = open_directory(&format!("{place}/fd")).ok();
        }
        let path = names.as_ref().and_then(|names| readlinkat(names, number, Vec::new()).ok());
        let Some(path) = path else { continue };
        let path = PathBuf::from(OsString::from_vec(path.into_bytes()));
        into.push(NamedFile { file: OpenFile { pid, mount: info.mount, ino, locks: info.locks }, path });
    }
    true
}

fn read_info(infos: BorrowedFd<'_>, number: &CStr, buffer: &mut Vec<u8>) -> Result<(), Errno> {
    let file = openat(infos, number, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    buffer.clear();
    let mut chunk = [0; CHUNK];
    loop {
        match rustix::io::read(&file, &mut chunk) {
            Ok(0) => return Ok(()),
            Ok(count) => buffer.extend_from_slice(&chunk[..count]),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// How a process is now.
pub(super) fn process_state(pid: Pid) -> Option<ProcessState> {
    let stat = read_stat(pid).ok()?;
    let condition = match stat.state {
        b'T' | b't' => Condition::Stopped,
        b'D' => Condition::Uninterruptible,
        b'Z' | b'X' | b'x' => Condition::Exited,
        _ => Condition::Running,
    };
    let cwd = std::fs::read_link(format!("/proc/{pid}/cwd")).map_err(|error| error.kind());
    Some(ProcessState {
        condition,
        parent: stat.parent,
        cwd,
        other_mounts: other_namespace(pid, "mnt"),
        other_pids: other_namespace(pid, "pid"),
    })
}

/// Whether a process lives in another namespace of this kind than we.
fn other_namespace(pid: Pid, kind: &str) -> Option<bool> {
    let of = |process: &str| readlink(format!("/proc/{process}/ns/{kind}"), Vec::new()).ok();
    Some(of("self")? != of(&pid.to_string())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me() -> Pid {
        Pid::new(u64::from(std::process::id())).unwrap()
    }

    #[test]
    fn our_own_locked_file_is_found_with_its_path() {
        use std::os::unix::fs::MetadataExt as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().canonicalize().unwrap().join("a b.lock");
        let file = std::fs::File::create(&path).unwrap();
        let of_ours = |inodes: &HashSet<u64>| {
            let found = named_files(inodes);
            found.files.into_iter().filter(|named| named.path == path && named.file.pid == me()).collect::<Vec<_>>()
        };
        assert!(of_ours(&HashSet::new()).is_empty(), "not asked for, and it carries nothing");
        assert_eq!(of_ours(&HashSet::from([file.metadata().unwrap().ino()])).len(), 1);
        file.lock().unwrap();
        let found = of_ours(&HashSet::new());
        assert_eq!((found.len(), found[0].file.locks.len()), (1, 1));
    }

    #[test]
    fn we_run_where_we_are() {
        let state = process_state(me()).unwrap();
        assert_eq!(state.condition, Condition::Running);
        assert_eq!(state.cwd, Ok(std::env::current_dir().unwrap()));
        assert_eq!((state.other_mounts, state.other_pids), (Some(false), Some(false)));
        assert_eq!(state.parent.map(Pid::get), Some(std::os::unix::process::parent_id()));
    }
}
