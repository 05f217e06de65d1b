//! A made-up machine: files in memory, a process table, kernel locks, and a clock that stands still. What is looked at on
//! it goes through the real inspection and the real judge, and comes out the same everywhere and always.

use lockscope::engine::machine::MachineShown;
use lockscope::inspect::{machine, process_detail};
use lockscope::model::facts::{FileKind, FileStat, FileSystem};
use lockscope::model::holder::{Pid, ProcessFacts, ProcessLook};
use lockscope::model::kernel::{KernelFile, KernelLock, LockKind, TableKind, TableLine};
use lockscope::model::machine::Condition;
use lockscope::model::time::Wall;
use lockscope::platform::{
    Directory, DirectoryId, Host, NamedFile, NamedFiles, OpenFile, ProcessState, ProcessSweep, ProcessView, System,
};
use std::collections::{BTreeMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// 21 November 2026, 13:30 UTC.
pub(crate) const NOW: Wall = Wall(1_795_267_800_000_000_000);
const UP: Duration = Duration::from_hours(12 * 24);
const PID_NS: u64 = 4_026_531_836;
const BOOT_ID: u128 = 0x0d5c_2a3e_7d0f_4f0b_9d5e_3f0a_6f9a_1c77;
const USER: u32 = 1000;
const DEVICE: (u32, u32) = (8, 1);
const MOUNT: u64 = 29;

/// So many seconds.
pub(crate) const fn secs(number: u64) -> Duration {
    Duration::from_secs(number)
}

/// So many minutes.
pub(crate) const fn mins(number: u64) -> Duration {
    Duration::from_mins(number)
}

#[derive(Clone)]
struct Node {
    kind: FileKind,
    content: Vec<u8>,
    age: Duration,
    uid: u32,
    ino: u64,
}

/// The machine.
#[derive(Clone)]
pub(crate) struct Made {
    nodes: BTreeMap<PathBuf, Node>,
    processes: BTreeMap<Pid, ProcessFacts>,
    children: Vec<(Pid, Pid)>,
    locks: Vec<KernelLock>,
    deleted: Vec<(Pid, PathBuf, u64)>,
    next_ino: u64,
}

/// When a process was started that has been running for so long, as the kernel counts it.
fn ticks(running: Duration) -> u64 {
    (UP.saturating_sub(running).as_millis() / 10) as u64
}

pub(crate) fn pid(number: u32) -> Pid {
    Pid::new(u64::from(number)).expect("a PID")
}

impl Made {
    pub(crate) fn new() -> Self {
        Self {
            nodes: BTreeMap::new(),
            processes: BTreeMap::new(),
            children: Vec::new(),
            locks: Vec::new(),
            deleted: Vec::new(),
            next_ino: 4_000,
        }
    }

    fn node(&mut self, path: &Path, kind: FileKind, content: &[u8], age: Duration) -> u64 {
        if let Some(parent) = path.parent().filter(|parent| !self.nodes.contains_key(*parent)) {
            self.node(parent, FileKind::Directory, b"", mins(60 * 24 * 30));
        }
        self.next_ino += 1;
        let node = Node { kind, content: content.into(), age, uid: USER, ino: self.next_ino };
        self.nodes.insert(path.to_owned(), node);
        self.next_ino
    }

    /// A file, last touched so long ago.
    pub(crate) fn file(&mut self, path: impl AsRef<Path>, content: impl AsRef<[u8]>, age: Duration) -> &mut Self {
        self.node(path.as_ref(), FileKind::Regular, content.as_ref(), age);
        self
    }

    /// It is not there any more.
    pub(crate) fn remove(&mut self, path: impl AsRef<Path>) {
        self.nodes.remove(path.as_ref());
    }

    /// An empty directory.
    pub(crate) fn directory(&mut self, path: impl AsRef<Path>) -> &mut Self {
        self.node(path.as_ref(), FileKind::Directory, b"", mins(60));
        self
    }

    /// A process that has been running for so long.
    pub(crate) fn process(&mut self, number: u32, command: &str, running: Duration) -> &mut Self {
        let program = command.split(' ').next().unwrap_or_default();
        let comm = program.rsplit('/').next().unwrap_or_default();
        let facts = ProcessFacts {
            pid: pid(number),
            start_ticks: Some(ticks(running)),
            started_at: NOW.minus(running),
            uids: Some([USER; 4]),
            user: Some("chat".into()),
            comm: comm.into(),
            command: command.into(),
            kernel_thread: false,
            inner_pid: None,
            same_time_ns: Some(true),
        };
        self.processes.insert(facts.pid, facts);
        self
    }

    /// The second was started by the first.
    pub(crate) fn child(&mut self, parent: u32, child: u32) -> &mut Self {
        self.children.push((pid(parent), pid(child)));
        self
    }

    fn kernel_lock(&mut self, ino: u64, number: u32, waiting: bool) {
        let file = KernelFile { major: DEVICE.0, minor: DEVICE.1, ino };
        let pid = Some(pid(number));
        self.locks.push(KernelLock { file, kind: LockKind::Flock, exclusive: true, waiting, pid, start: 0, end: None });
    }

    /// The first has the file locked, the others wait.
    pub(crate) fn flock(&mut self, path: impl AsRef<Path>, processes: &[u32]) -> &mut Self {
        let ino = self.nodes.get(path.as_ref()).expect("the file is there").ino;
        for (at, number) in processes.iter().enumerate() {
            self.kernel_lock(ino, *number, at > 0);
        }
        self
    }

    /// A process has a lock on a file that was deleted at this path.
    pub(crate) fn deleted(&mut self, path: impl AsRef<Path>, number: u32) -> &mut Self {
        self.next_ino += 1;
        self.kernel_lock(self.next_ino, number, false);
        self.deleted.push((pid(number), path.as_ref().to_owned(), self.next_ino));
        self
    }

    /// What a marker says of a process of this machine and boot, that was started just before it was written.
    pub(crate) fn marker(number: u32, command: &str, age: Duration) -> String {
        let record = serde_json::json!({
            "pid": number, "host": "atlas", "pid_ns": PID_NS,
            "boot_id": format!("{BOOT_ID:032x}"), "start_token": ticks(age + secs(1)), "command": command,
            "created": NOW.minus(age).rfc3339(),
        });
        format!("{record}\n")
    }

    pub(crate) fn machine(&self) -> Arc<dyn System> {
        Arc::new(self.clone())
    }

    /// What the window shows of the machine as a whole.
    pub(crate) fn shown(&self) -> MachineShown {
        let picture = machine(self, None).map(Arc::new).map_err(|error| error.to_string().into());
        let detail = |pid: &Pid| (*pid, (NOW, Arc::new(process_detail(self, *pid))));
        MachineShown { picture: Some(picture), processes: self.processes.keys().map(detail).collect() }
    }

    fn stat(&self, path: &Path) -> io::Result<FileStat> {
        let node = self.nodes.get(path).ok_or(io::ErrorKind::NotFound)?;
        let touched = NOW.minus(node.age);
        Ok(FileStat {
            kind: node.kind,
            mode: 0o644,
            uid: node.uid,
            links: 1,
            size: node.content.len() as u64,
            dev: 2049,
            ino: node.ino,
            mount: MOUNT,
            modified: touched,
            changed: touched,
            born: Some(touched),
            mount_root: false,
        })
    }
}

impl System for Made {
    fn wall(&self) -> Wall {
        NOW
    }

    fn monotonic(&self) -> Duration {
        UP
    }

    fn host(&self) -> Host {
        Host {
            name: "atlas".into(),
            machine_id: Some(1),
            boot_id: Some(BOOT_ID),
            boot_floor: Some(NOW.minus(UP)),
            clock_step: Some(Duration::ZERO),
            pid_ns: Some(PID_NS),
            host_pid_ns: true,
            hidden_processes: false,
            uid: USER,
        }
    }

    fn file_system(&self, _: u64) -> FileSystem {
        FileSystem { name: "ext4".into(), network: false, shows_locks: true }
    }

    fn lock_device(&self, _: u64) -> Option<(u32, u32, bool)> {
        Some((DEVICE.0, DEVICE.1, false))
    }

    fn kernel_locks(&self) -> io::Result<Vec<KernelLock>> {
        Ok(self.locks.clone())
    }

    fn look_at(&self, pid: Pid) -> ProcessLook {
        let process = self.processes.get(&pid).cloned();
        process.map_or(ProcessLook::NoSuchProcess, |facts| ProcessLook::Running(Box::new(facts)))
    }

    fn count_processes(&self) -> (u32, u32) {
        (212, 0)
    }

    fn sweep(&self) -> ProcessSweep {
        let view = |facts: &ProcessFacts| ProcessView { facts: Arc::new(facts.clone()), cwd: None, seen: true };
        let open =
            |lock: &KernelLock| Some(OpenFile { pid: lock.pid?, mount: MOUNT, ino: lock.file.ino, locks: vec![*lock] });
        ProcessSweep {
            processes: self.processes.values().map(view).collect(),
            open_files: self.locks.iter().filter(|lock| !lock.waiting).filter_map(open).collect(),
        }
    }

    fn open_paths(&self, pid: Pid) -> Option<Vec<PathBuf>> {
        self.locked_paths(pid)
    }

    fn locked_files(&self, pid: Pid) -> Option<HashSet<u64>> {
        let its = self.locks.iter().filter(|lock| lock.pid == Some(pid) && !lock.waiting);
        Some(its.map(|lock| lock.file.ino).collect())
    }

    fn deleted_locked_files(&self, pid: Pid) -> Option<Vec<(PathBuf, OpenFile)>> {
        let its = self.deleted.iter().filter(|(taker, ..)| *taker == pid);
        let open = |ino| OpenFile { pid, mount: MOUNT, ino, locks: Vec::new() };
        Some(its.map(|(_, path, ino)| (path.clone(), open(*ino))).collect())
    }

    fn locked_paths(&self, pid: Pid) -> Option<Vec<PathBuf>> {
        let its = self.locked_files(pid)?;
        Some(self.nodes.iter().filter(|(_, node)| its.contains(&node.ino)).map(|(path, _)| path.clone()).collect())
    }

    fn kernel_table(&self) -> io::Result<(Vec<TableLine>, usize)> {
        let line = |lock: &KernelLock| TableLine {
            kind: TableKind::Flock,
            depth: u8::from(lock.waiting),
            exclusive: lock.exclusive,
            number: lock.pid.map_or(-1, |pid| i64::from(pid.get())),
            file: Some(lock.file),
            start: lock.start,
            end: lock.end,
        };
        Ok((self.locks.iter().map(line).collect(), 0))
    }

    fn named_files(&self, _: &HashSet<u64>) -> NamedFiles {
        let path = |ino| {
            let here = self.nodes.iter().find(|(_, node)| node.ino == ino).map(|(path, _)| path.clone());
            let gone = self.deleted.iter().find(|(.., deleted)| *deleted == ino);
            here.or_else(|| gone.map(|(_, path, _)| format!("{} (deleted)", path.display()).into()))
        };
        let named = |file: OpenFile| Some(NamedFile { path: path(file.ino)?, file });
        let files = self.sweep().open_files.into_iter().filter_map(named).collect();
        NamedFiles { files, processes: 212, unseen: Vec::new() }
    }

    fn process_state(&self, pid: Pid) -> Option<ProcessState> {
        self.processes.contains_key(&pid).then(|| ProcessState {
            condition: Condition::Running,
            parent: self.children.iter().find(|(_, child)| *child == pid).map(|(parent, _)| *parent),
            cwd: Ok("/srv/chat".into()),
            other_mounts: Some(false),
            other_pids: Some(false),
        })
    }

    fn mount_point(&self, _: (u32, u32)) -> Option<PathBuf> {
        Some("/".into())
    }

    fn children(&self, parent: Pid) -> Vec<Pid> {
        self.children.iter().filter(|(from, _)| *from == parent).map(|(_, child)| *child).collect()
    }

    fn open_directory(&self, path: &Path) -> io::Result<Box<dyn Directory>> {
        let stat = self.stat(path)?;
        if stat.kind != FileKind::Directory {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Box::new(Opened { machine: self.clone(), path: path.to_owned(), stat }))
    }
}

struct Opened {
    machine: Made,
    path: PathBuf,
    stat: FileStat,
}

impl Directory for Opened {
    fn path(&self) -> &Path {
        &self.path
    }

    fn id(&self) -> DirectoryId {
        DirectoryId::of(&self.stat)
    }

    fn real_path(&self) -> Option<PathBuf> {
        Some(self.path.clone())
    }

    fn entries(&self, each: &mut dyn FnMut(&OsStr, Option<FileKind>, u64)) -> io::Result<()> {
        for (path, node) in &self.machine.nodes {
            if path.parent() == Some(&*self.path)
                && let Some(name) = path.file_name()
            {
                each(name, Some(node.kind), node.ino);
            }
        }
        Ok(())
    }

    fn stat(&self, name: &OsStr) -> io::Result<FileStat> {
        self.machine.stat(&self.path.join(name))
    }

    fn read(&self, name: &OsStr, limit: usize) -> io::Result<(FileStat, Vec<u8>)> {
        let path = self.path.join(name);
        let stat = self.machine.stat(&path)?;
        let content = &self.machine.nodes[&path].content;
        Ok((stat, content.get(..limit).unwrap_or(content).to_vec()))
    }

    fn read_link(&self, _: &OsStr) -> io::Result<OsString> {
        Err(io::ErrorKind::InvalidInput.into())
    }

    fn open_child(&self, name: &OsStr) -> io::Result<Box<dyn Directory>> {
        self.machine.open_directory(&self.path.join(name))
    }
}
