//! One look at the whole machine: every line of the kernel's lock table, joined with the processes and their open files.
//!
//! A lock and the open file that carries it name the file alike (both by the device of its superblock, unlike `st_dev` on
//! btrfs and overlayfs), so they are joined by what the kernel says of both, not by paths. Open files are swept once.
//!
//! Owns: [`machine`], [`process_detail`]. Never: drops a line, or takes what could not be seen for free.

use crate::model::facts::ProcessRef;
use crate::model::holder::{Pid, ProcessLook};
use crate::model::kernel::{KernelFile, TableLine};
use crate::model::machine::{Cwd, MachineLock, MachinePicture, Place, ProcessDetail, Unseen};
use crate::platform::{NamedFile, NamedFiles, System};
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the kernel adds to the path of a file that has no name left (`d_path`).
const DELETED: &str = " (deleted)";

/// Why there is no picture of the machine.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// The system has no such table.
    #[error("this system does not show its kernel locks; look at a directory instead")]
    Unsupported,
    /// It may not be read, or not now.
    #[error("the kernel's lock table cannot be read: {0}; in a container it may be covered, then look from outside")]
    Unreadable(io::Error),
}

/// All kernel locks of the machine. What an earlier picture shows waiting is followed.
pub fn machine(system: &dyn System, earlier: Option<&MachinePicture>) -> Result<MachinePicture, MachineError> {
    let (lines, strange) = system.kernel_table().map_err(|error| match error.kind() {
        io::ErrorKind::Unsupported => MachineError::Unsupported,
        _ => MachineError::Unreadable(error),
    })?;
    let inodes: HashSet<u64> = lines.iter().filter_map(|line| Some(line.file?.ino)).collect();
    let host = system.host();
    let files = if lines.is_empty() { NamedFiles::default() } else { system.named_files(&inodes) };
    let mut look = Look::of(system, files);
    let mut picture = MachinePicture {
        host: host.name,
        taken_at: system.wall(),
        taken_monotonic: system.monotonic(),
        processes: look.files.processes,
        unseen: look.files.unseen.len() as u32,
        partial: host.hidden_processes || !host.host_pid_ns,
        strange: strange as u32,
        ..MachinePicture::default()
    };
    if lines.is_empty() {
        (picture.processes, picture.unseen) = system.count_processes();
    }
    let mut root: Option<Place> = None;
    for line in lines {
        let lock = if line.depth == 0 { look.granted(line) } else { look.waiting(line, root.as_ref()) };
        if line.depth == 0 {
            root = Some(lock.place.clone());
        }
        picture.locks.push(lock);
    }
    picture.complete(earlier);
    Ok(picture)
}

/// What one look knows of the machine.
struct Look<'a> {
    system: &'a dyn System,
    files: NamedFiles,
    /// By the inode number: places in `files`.
    by_inode: HashMap<u64, Vec<usize>>,
    unseen: HashSet<Pid>,
    processes: HashMap<Pid, (ProcessRef, bool)>,
    devices: HashMap<u64, Option<(u32, u32)>>,
    mounts: HashMap<(u32, u32), Option<Arc<Path>>>,
    /// Each path once, however many locks are on it.
    paths: HashMap<usize, Place>,
}

impl<'a> Look<'a> {
    fn of(system: &'a dyn System, files: NamedFiles) -> Self {
        let mut by_inode: HashMap<u64, Vec<usize>> = HashMap::new();
        for (at, named) in files.files.iter().enumerate() {
            by_inode.entry(named.file.ino).or_default().push(at);
            // On overlayfs the open file and its lock may have other numbers.
            for ino in named.file.locks.iter().map(|lock| lock.file.ino).filter(|ino| *ino != named.file.ino) {
                by_inode.entry(ino).or_default().push(at);
            }
        }
        let unseen = files.unseen.iter().copied().collect();
        Self {
            system,
            files,
            by_inode,
            unseen,
            processes: HashMap::new(),
            devices: HashMap::new(),
            mounts: HashMap::new(),
            paths: HashMap::new(),
        }
    }

    /// A process, looked at once; and whether it has ended.
    fn process(&mut self, pid: Pid) -> (ProcessRef, bool) {
        let system = self.system;
        self.processes
            .entry(pid)
            .or_insert_with(|| match system.look_at(pid) {
                ProcessLook::Running(facts) => {
                    // Of a thread id its process is meant.
                    let pid = facts.pid;
                    (ProcessRef { pid, facts: Some(Arc::from(facts)) }, false)
                }
                ProcessLook::Exited(facts) => (ProcessRef { pid, facts: Some(Arc::from(facts)) }, true),
                ProcessLook::NoSuchProcess => (ProcessRef { pid, facts: None }, true),
                ProcessLook::Hidden | ProcessLook::Unknown(_) => (ProcessRef { pid, facts: None }, false),
            })
            .clone()
    }

    fn granted(&mut self, line: TableLine) -> MachineLock {
        let on_file = line.file.and_then(|file| self.by_inode.get(&file.ino)).cloned().unwrap_or_default();
        let carries = |named: &NamedFile| named.file.locks.iter().any(|carried| line.is_told_by(carried));
        let carriers: Vec<usize> = on_file.iter().copied().filter(|at| carries(&self.files.files[*at])).collect();
        let taker = line.pid().map(|pid| self.process(pid));
        let taker_gone = taker.as_ref().is_some_and(|(_, gone)| *gone);
        let mut processes: Vec<ProcessRef> = Vec::new();
        for at in &carriers {
            let pid = self.files.files[*at].file.pid;
            if !processes.iter().any(|known| known.pid == pid) {
                processes.push(self.process(pid).0);
            }
        }
        // The one that took it first, then those that share it.
        processes.sort_by_key(|process| (Some(process.pid) != line.pid(), process.pid));
        let mut place = carriers.first().map(|at| self.place_of(*at));
        if processes.is_empty()
            && let Some((taker, false)) = &taker
        {
            processes.push(taker.clone());
        }
        if place.is_none() {
            // A lease names its file only here: by whoever has the same file open.
            let same = line.file.and_then(|file| on_file.iter().copied().find(|at| self.is_same_file(*at, file)));
            place = same.map(|at| self.place_of(at));
        }
        let place = place.unwrap_or_else(|| self.unseen(&line, taker));
        MachineLock { line, processes, taker_gone, place, waiting_since: None, in_circle: false }
    }

    fn waiting(&mut self, line: TableLine, root: Option<&Place>) -> MachineLock {
        let waiter = line.pid().map(|pid| self.process(pid));
        let gone = waiter.as_ref().is_some_and(|(_, gone)| *gone);
        let mut place = root.filter(|root| matches!(root, Place::Seen { .. })).cloned();
        if place.is_none() {
            // Who waits for it has it open too, and may show it where the holder does not.
            let on_file = line.file.and_then(|file| self.by_inode.get(&file.ino)).cloned().unwrap_or_default();
            let its = on_file.into_iter().find(|at| Some(self.files.files[*at].file.pid) == line.pid());
            place = its.map(|at| self.place_of(at));
        }
        let place = place.or_else(|| root.cloned()).unwrap_or_else(|| self.unseen(&line, waiter.clone()));
        let processes = waiter.into_iter().map(|(process, _)| process).collect();
        MachineLock { line, processes, taker_gone: gone, place, waiting_since: None, in_circle: false }
    }

    /// Whether an open file without a lock of its own is this one: by the device of its mount.
    fn is_same_file(&mut self, at: usize, file: KernelFile) -> bool {
        let named = &self.files.files[at].file;
        let device = self.device(named.mount);
        device == Some((file.major, file.minor)) && self.files.files[at].file.ino == file.ino
    }

    fn device(&mut self, mount: u64) -> Option<(u32, u32)> {
        let system = self.system;
        let device = self.devices.entry(mount).or_insert_with(|| {
            let (major, minor, _) = system.lock_device(mount)?;
            Some((major, minor))
        });
        *device
    }

    fn place_of(&mut self, at: usize) -> Place {
        if let Some(known) = self.paths.get(&at) {
            return known.clone();
        }
        let NamedFile { file, path } = self.files.files[at].clone();
        // A mount that we do not have: a path in it leads nowhere here, or somewhere else.
        let elsewhere = self.device(file.mount).is_none();
        let bytes = path.as_os_str().as_encoded_bytes();
        let stripped =
            bytes.strip_suffix(DELETED.as_bytes()).map(|bytes| PathBuf::from(crate::platform::os_name(bytes)));
        let place = match stripped {
            Some(was) if elsewhere || !self.is_called_so(&path, file.ino) => {
                Place::Seen { path: was.into(), deleted: true, elsewhere }
            }
            _ => Place::Seen { path: path.into(), deleted: false, elsewhere },
        };
        self.paths.insert(at, place.clone());
        place
    }

    /// Whether a file is really called `x (deleted)`.
    fn is_called_so(&self, path: &Path, ino: u64) -> bool {
        let Some((directory, name)) = path.parent().zip(path.file_name()) else { return false };
        let found = self.system.open_directory(directory).and_then(|directory| directory.stat(name));
        found.is_ok_and(|stat| stat.ino == ino)
    }

    fn unseen(&mut self, line: &TableLine, taker: Option<(ProcessRef, bool)>) -> Place {
        let Some(file) = line.file else { return Place::Unseen { why: Unseen::NoFile, mount: None } };
        let why = match taker {
            Some((process, true)) => Unseen::TakerGone(process.pid),
            // Where `/proc` hides it, it is not among those that refused either.
            Some((process, false)) if process.facts.is_none() || self.unseen.contains(&process.pid) => {
                Unseen::Denied(process)
            }
            Some((process, false)) => Unseen::NotOpen(process),
            None if line.number < -1 => Unseen::OtherHost,
            None => Unseen::NotNamed,
        };
        let system = self.system;
        let device = (file.major, file.minor);
        let mount = self.mounts.entry(device).or_insert_with(|| system.mount_point(device).map(Arc::from));
        Place::Unseen { why, mount: mount.clone() }
    }
}

/// What is to know of one process beyond what each look tells.
pub fn process_detail(system: &dyn System, pid: Pid) -> ProcessDetail {
    let facts = match system.look_at(pid) {
        ProcessLook::Running(facts) | ProcessLook::Exited(facts) => Some(Arc::from(facts)),
        ProcessLook::NoSuchProcess | ProcessLook::Hidden | ProcessLook::Unknown(_) => None,
    };
    let state = if facts.is_some() { system.process_state(pid) } else { None };
    let Some(state) = state else {
        return ProcessDetail { facts, condition: None, parent: None, cwd: Cwd::Denied, contained: None };
    };
    let parent = state.parent.map(|pid| ProcessRef {
        pid,
        facts: match system.look_at(pid) {
            ProcessLook::Running(facts) | ProcessLook::Exited(facts) => Some(Arc::from(facts)),
            _ => None,
        },
    });
    let cwd = match state.cwd {
        Ok(path) => Cwd::Seen(path),
        Err(io::ErrorKind::PermissionDenied) => Cwd::Denied,
        Err(_) => Cwd::Gone,
    };
    let contained = match (state.other_pids, state.other_mounts) {
        (Some(pids), Some(mounts)) => Some(pids || mounts),
        (one, other) => one.or(other),
    };
    ProcessDetail { facts, condition: Some(state.condition), parent, cwd, contained }
}
