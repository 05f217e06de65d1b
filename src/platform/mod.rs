//! The only gateway to the world: files, processes, the kernel's lock table, clocks, the environment.
//!
//! Owns: [`System`] and [`Directory`], and their implementations for Linux and for elsewhere. Never: concludes anything. Every answer may be
//! "could not look", and says so as an error or as [`ProcessLook::Unknown`].

pub mod about;
mod claim;
pub mod environment;
#[cfg(target_os = "linux")]
pub mod linux;
#[cfg(any(not(target_os = "linux"), feature = "portable"))]
pub mod portable;
pub mod stage;

use crate::model::facts::{FileKind, FileStat, FileSystem};
use crate::model::holder::{Pid, ProcessFacts, ProcessLook};
use crate::model::kernel::{KernelFile, KernelLock, TableLine};
use crate::model::machine::Condition;
use crate::model::time::Wall;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// No user's number: `(uid_t)-1`, which no system gives to anybody.
pub const NO_USER: u32 = u32::MAX;

/// The machine that we run on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its name.
    pub name: Box<str>,
    /// `/etc/machine-id`.
    pub machine_id: Option<u128>,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: Option<u128>,
    /// See [`crate::model::facts::Sight::boot_floor`].
    pub boot_floor: Option<Wall>,
    /// See [`crate::model::facts::Sight::clock_step`].
    pub clock_step: Option<Duration>,
    /// Our PID namespace.
    pub pid_ns: Option<u64>,
    /// It is the host's first.
    pub host_pid_ns: bool,
    /// `/proc` hides other users' processes from us.
    pub hidden_processes: bool,
    /// Our effective user id; [`NO_USER`] where users have no numbers.
    pub uid: u32,
}

/// One open file, seen from outside its process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenFile {
    /// The process that has it open.
    pub pid: Pid,
    /// The mount it was opened through; 0 where the kernel does not say.
    pub mount: u64,
    /// Its inode number.
    pub ino: u64,
    /// The kernel locks that this open file carries.
    pub locks: Vec<KernelLock>,
}

/// One process, as a pass over all of them sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessView {
    /// What is known of it.
    pub facts: Arc<ProcessFacts>,
    /// Its working directory, where it has one that may be read.
    pub cwd: Option<PathBuf>,
    /// Its open files and its working directory were looked at; one that has exited has none.
    pub seen: bool,
}

/// All processes and their open files, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessSweep {
    /// The processes, without the kernel's own threads.
    pub processes: Vec<ProcessView>,
    /// Their open files, regular ones and those that carry locks.
    pub open_files: Vec<OpenFile>,
}

/// One open file with the path that the kernel has for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedFile {
    /// It.
    pub file: OpenFile,
    /// As the mounts of its process have it; ` (deleted)` at its end may mean what it says.
    pub path: PathBuf,
}

/// The open files on some inodes, of all processes that may be looked into.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamedFiles {
    /// They.
    pub files: Vec<NamedFile>,
    /// So many processes there are, without the kernel's own threads.
    pub processes: u32,
    /// Which of them would not show their open files.
    pub unseen: Vec<Pid>,
}

/// How a process is, beyond what tells it from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessState {
    /// Its state.
    pub condition: Condition,
    /// Who started it, or took it over when that one ended.
    pub parent: Option<Pid>,
    /// Its working directory; the error where that may not be seen.
    pub cwd: Result<PathBuf, io::ErrorKind>,
    /// It has other mounts than we: its paths are not ours. `None` = may not be seen.
    pub other_mounts: Option<bool>,
    /// It counts processes in a PID namespace of its own. `None` = may not be seen.
    pub other_pids: Option<bool>,
}

/// The machine: clocks, processes, the kernel's tables, directories.
pub trait System: Send + Sync {
    /// The wall clock.
    fn wall(&self) -> Wall;
    /// A clock that never steps and goes on during suspend (`CLOCK_BOOTTIME`).
    fn monotonic(&self) -> Duration;
    /// The machine. Asked once a pass: the host's name and the clock may change.
    fn host(&self) -> Host;
    /// The file system behind a mount id; a cautious answer (network, shows no locks) where that cannot be known.
    fn file_system(&self, mount: u64) -> FileSystem;
    /// Under which device the kernel's lock table names the files of this mount; `None` where it cannot be known.
    /// The flag tells that the number is shared by several file systems (btrfs subvolumes).
    fn lock_device(&self, mount: u64) -> Option<(u32, u32, bool)>;
    /// The kernel's lock table.
    fn kernel_locks(&self) -> io::Result<Vec<KernelLock>>;
    /// Looks at one process, by PID or thread id.
    fn look_at(&self, pid: Pid) -> ProcessLook;
    /// What the user with this number is called, where this system knows.
    fn user_name(&self, uid: u32) -> Option<String> {
        let _ = uid;
        None
    }
    /// How many processes there are, and how many would not show their open files to us.
    fn count_processes(&self) -> (u32, u32);
    /// Looks at all processes and their open files.
    fn sweep(&self) -> ProcessSweep;
    /// What the open files of one process are called; `None` where that may not be seen.
    fn open_paths(&self, pid: Pid) -> Option<Vec<PathBuf>>;
    /// The inode numbers of one process's open files that carry kernel locks; `None` where not all may be seen.
    fn locked_files(&self, pid: Pid) -> Option<std::collections::HashSet<u64>> {
        let _ = pid;
        None
    }
    /// The files of one process that were deleted while it had them open and that carry kernel locks, with the path that
    /// each had; `None` where that may not be seen.
    fn deleted_locked_files(&self, pid: Pid) -> Option<Vec<(PathBuf, OpenFile)>> {
        let _ = pid;
        None
    }
    /// What the open files of one process that carry kernel locks are called; `None` where that may not be seen.
    fn locked_paths(&self, pid: Pid) -> Option<Vec<PathBuf>> {
        let _ = pid;
        None
    }
    /// The processes that it started and that live, as far as that can be seen.
    fn children(&self, pid: Pid) -> Vec<Pid> {
        let _ = pid;
        Vec::new()
    }
    /// Holds on to a process that was seen, to tell later whether it has ended; `None` = it has already. Where a system has
    /// no way to hold it, it is never told to have ended.
    fn pin_process(&self, process: &ProcessFacts) -> Option<ProcessPin> {
        let _ = process;
        Some(ProcessPin::new(|| false))
    }
    /// Asks a process to end (SIGTERM), if it still is the one that was seen, and waits for it that long.
    fn terminate(&self, process: &ProcessFacts, patience: Duration) -> Result<Ending, EndingError> {
        let _ = patience;
        Err(EndingError::Unsupported(process.pid))
    }
    /// The kernel's lock table line by line, each waiter after whom it waits for, and how many lines fit no known grammar.
    fn kernel_table(&self) -> io::Result<(Vec<TableLine>, usize)> {
        Err(io::ErrorKind::Unsupported.into())
    }
    /// The open files that carry kernel locks or have one of these inode numbers.
    fn named_files(&self, inodes: &std::collections::HashSet<u64>) -> NamedFiles {
        let _ = inodes;
        NamedFiles::default()
    }
    /// How a process is now; `None` where that may not be seen, or it has ended.
    fn process_state(&self, pid: Pid) -> Option<ProcessState> {
        let _ = pid;
        None
    }
    /// Where this device is mounted here.
    fn mount_point(&self, device: (u32, u32)) -> Option<PathBuf> {
        let _ = device;
        None
    }
    /// Opens a directory; later calls act in it even if it is moved.
    fn open_directory(&self, path: &Path) -> io::Result<Box<dyn Directory>>;
}

/// A process that is held on to: whether it has ended is told of this one, and of no later one with its number.
pub struct ProcessPin(Box<dyn Fn() -> bool>);

impl ProcessPin {
    /// Told by this.
    pub fn new(has_ended: impl Fn() -> bool + 'static) -> Self {
        Self(Box::new(has_ended))
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        (self.0)()
    }
}

impl std::fmt::Debug for ProcessPin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProcessPin")
    }
}

/// What came of asking a process to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It has ended.
    Ended,
    /// It got the signal and runs on.
    StillRunning,
}

/// Why a process was not asked to end.
#[derive(Debug, thiserror::Error)]
pub enum EndingError {
    /// It has ended already.
    #[error("PID {0} has ended already")]
    GoneAlready(Pid),
    /// Its number is another process's by now.
    #[error("PID {0} is another process by now; nothing was sent to it")]
    AnotherProcess(Pid),
    /// The first process of the system, a part of the kernel, or ourselves.
    #[error("PID {0} is not to be ended: it is the system's first process, a part of the kernel, or Lockscope itself")]
    NotThatOne(Pid),
    /// It is another user's.
    #[error("PID {0} may not be ended by you: only its user and root can")]
    NotPermitted(Pid),
    /// There is no safe way here.
    #[error("PID {0} cannot be ended from here: this system has no way to be sure that it is the process you saw")]
    Unsupported(Pid),
    /// A call failed.
    #[error("PID {0} could not be asked to end: {1}")]
    Failed(Pid, io::Error),
}

/// What an event says of a watched directory: a hint, no more. Directories are relative to the root of the watching.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened<'a> {
    /// Something has happened to this name in that directory.
    To(&'a Path, &'a OsStr),
    /// The directory itself was deleted, moved, changed or unmounted.
    ToAll(&'a Path),
    /// Events were lost.
    Lost,
}

/// Why there are no events of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoEvents {
    /// The system gives no more watches.
    OutOfWatches,
    /// It has gone, is no directory, or may not be looked into.
    OfThisOne,
    /// Anything else.
    Failed(Box<str>),
}

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// Somebody rang. There may be events as well.
    Rung,
    /// There are events.
    Happened,
    /// The time is up.
    InVain,
}

/// The identity of a directory, to tell that another one stands at its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DirectoryId {
    /// `st_dev`.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// `mnt_id`.
    pub mount: u64,
}

impl DirectoryId {
    /// From the directory's own stat.
    pub fn of(stat: &FileStat) -> Self {
        Self { dev: stat.dev, ino: stat.ino, mount: stat.mount }
    }
}

/// A directory held open. Nothing here follows a symbolic link, blocks on a FIFO, or changes anything. A file system that
/// does not answer gives [`io::ErrorKind::TimedOut`].
pub trait Directory: Send + Sync {
    /// The path it was opened by.
    fn path(&self) -> &Path;
    /// Which directory it is.
    fn id(&self) -> DirectoryId;
    /// It is on a file system that may leave a call without an answer: whoever touches it otherwise than through this may
    /// wait for ever.
    fn may_not_answer(&self) -> bool {
        false
    }
    /// The path by which the kernel knows it now; `None` where it has none here.
    fn real_path(&self) -> Option<PathBuf>;
    /// All names in it but `.` and `..`, with their kind where the file system tells it for free, and their inode
    /// number as the directory has it (a hint: overlayfs may give another).
    fn entries(&self, each: &mut dyn FnMut(&OsStr, Option<FileKind>, u64)) -> io::Result<()>;
    /// `statx` without following links.
    fn stat(&self, name: &OsStr) -> io::Result<FileStat>;
    /// At most `limit` bytes of a regular file, with its stat from after the read. Opens with
    /// `O_NOFOLLOW|O_NONBLOCK|O_NOATIME` where that is allowed.
    fn read(&self, name: &OsStr, limit: usize) -> io::Result<(FileStat, Vec<u8>)>;
    /// The same into a buffer that has served before: what was in it goes.
    fn read_into(&self, name: &OsStr, limit: usize, bytes: &mut Vec<u8>) -> io::Result<FileStat> {
        let (stat, read) = self.read(name, limit)?;
        *bytes = read;
        Ok(stat)
    }
    /// The target of a symbolic link.
    fn read_link(&self, name: &OsStr) -> io::Result<OsString>;
    /// A directory within it, not through a link.
    fn open_child(&self, name: &OsStr) -> io::Result<Box<dyn Directory>>;
}

/// A file name from the bytes that a file system has for it.
pub fn os_name(bytes: &[u8]) -> OsString {
    #[cfg(unix)]
    return std::os::unix::ffi::OsStringExt::from_vec(bytes.to_vec());
    #[cfg(not(unix))]
    String::from_utf8_lossy(bytes).into_owned().into()
}

/// A key for joining [`FileStat`] with the kernel's table.
pub fn kernel_file(device: (u32, u32), ino: u64) -> KernelFile {
    KernelFile { major: device.0, minor: device.1, ino }
}

#[cfg(unix)]
pub use claim::let_children_inherit;
pub use claim::{ReadBy, exchange, locks_unsupported, publish, replace_private, replace_whole, save_new};

// What this system has of it: the feature `portable` shows on Linux what other systems get.
#[cfg(all(target_os = "linux", not(feature = "portable")))]
use linux::Linux as ThisMachine;
#[cfg(all(target_os = "linux", not(feature = "portable")))]
pub use linux::change::{private_directory, random, runtime_directory, sync_directory};
#[cfg(all(target_os = "linux", not(feature = "portable")))]
pub use linux::events::{Bell, Door, Events};
#[cfg(any(not(target_os = "linux"), feature = "portable"))]
use portable::Portable as ThisMachine;
#[cfg(any(not(target_os = "linux"), feature = "portable"))]
pub use portable::events::{Bell, Door, Events};
#[cfg(any(not(target_os = "linux"), feature = "portable"))]
pub use portable::own::{private_directory, random, runtime_directory, sync_directory};

#[cfg(all(feature = "cli", target_os = "linux"))]
pub use linux::child::{Ended, Prepared, Running, Signals, prepare};
#[cfg(all(feature = "cli", target_os = "linux"))]
pub use linux::interrupt::Interrupt;
#[cfg(all(feature = "cli", not(target_os = "linux")))]
pub use portable::child::{Ended, Prepared, Running, Signals, prepare};
#[cfg(all(feature = "cli", not(target_os = "linux")))]
pub use portable::own::Interrupt;

/// The real machine.
pub fn this_machine() -> Arc<dyn System> {
    Arc::new(ThisMachine::default())
}
