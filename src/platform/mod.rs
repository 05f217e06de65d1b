//! The only gateway to the world: files, processes, the kernel's lock table, clocks, the environment.
//!
//! Owns: [`System`] and [`Directory`], and their implementations for Linux and for elsewhere. Never: concludes anything. Every answer may be
//! "could not look", and says so as an error or as [`ProcessLook::Unknown`].

pub mod environment;
#[cfg(target_os = "linux")]
pub mod linux;
#[cfg(any(not(target_os = "linux"), feature = "portable"))]
pub mod portable;
pub mod stage;

use crate::model::facts::{FileKind, FileStat, FileSystem};
use crate::model::holder::{Pid, ProcessFacts, ProcessLook};
use crate::model::kernel::{KernelFile, KernelLock};
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
    /// The processes.
    pub processes: Vec<ProcessView>,
    /// Their open files, regular ones and those that carry locks.
    pub open_files: Vec<OpenFile>,
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
    /// Opens a directory; later calls act in it even if it is moved.
    fn open_directory(&self, path: &Path) -> io::Result<Box<dyn Directory>>;
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

/// A directory held open. Nothing here follows a symbolic link, blocks on a FIFO, or changes anything.
pub trait Directory: Send + Sync {
    /// The path it was opened by.
    fn path(&self) -> &Path;
    /// Which directory it is.
    fn id(&self) -> DirectoryId;
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

// What this system has of it: the feature `portable` shows on Linux what other systems get.
#[cfg(all(target_os = "linux", not(feature = "portable")))]
use linux::Linux as ThisMachine;
#[cfg(all(target_os = "linux", not(feature = "portable")))]
pub use linux::change::{private_directory, random, runtime_directory, sync_directory};
#[cfg(any(not(target_os = "linux"), feature = "portable"))]
use portable::Portable as ThisMachine;
#[cfg(any(not(target_os = "linux"), feature = "portable"))]
pub use portable::own::{private_directory, random, runtime_directory, sync_directory};

/// The real machine.
pub fn this_machine() -> Arc<dyn System> {
    Arc::new(ThisMachine::default())
}
