//! The evidence of one file.
//!
//! Owns: [`Looker`], which holds what one pass knows of the machine (sight, lock table, processes looked at) so that each
//! is asked once however many files there are.

use super::content::Content;
use super::kernel::Table;
use super::named::Named;
use super::split::SplitsByDirectory;
use super::users::UserIndex;
use super::{EmptyFiles, LookError, LookOptions};
use crate::model::facts::{
    Beat, Danger, FileKind, FileStat, FileSystem, OwnerState, ProcessRef, Seen, Sight, Trouble, Users,
};
use crate::model::format::{
    Heartbeat, Mechanism, Reading, Record, RecordState, Standing, recognise, recognise_with, unrecognised,
};
use crate::model::holder::{Pid, ProcessLook};
use crate::model::kernel::KernelLock;
use crate::model::naming::Naming;
use crate::model::snapshot::Moment;
use crate::model::time::Wall;
use crate::model::verdict::elsewhere;
use crate::platform::{Directory, DirectoryId, Host, System, os_name};
use hashbrown::HashMap;
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hasher as _};
use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// How much of the content is kept for showing.
const SHOWN_LIMIT: usize = 4 * 1024;

/// File times are as coarse as the kernel's tick, or 2 s (FAT).
const CLOCK_GRAIN: Duration = Duration::from_secs(2);

/// What one look at one file gave.
#[derive(Debug)]
pub struct Look {
    /// The facts.
    pub facts: Seen,
    /// Its owner had been looked at before the file was read.
    owner_was_known: bool,
}

/// By mount: the device in the kernel's table, and whether several file systems share it.
type Devices = HashMap<u64, Option<(u32, u32, bool)>>;

/// One pass's view of the machine.
pub struct Looker {
    pub(super) system: Arc<dyn System>,
    /// What was to be seen.
    pub sight: Arc<Sight>,
    /// When, on the wall clock.
    pub now: Wall,
    /// When, on the monotonic clock.
    pub monotonic: Duration,
    pub(super) table: Arc<Table>,
    options: Arc<LookOptions>,
    /// Name patterns on which kernel locks have been seen in this directory; grows as they are.
    learned: RefCell<HashSet<Box<[u8]>>>,
    processes: RefCell<HashMap<Pid, Arc<ProcessLook>>>,
    devices: RefCell<Devices>,
    /// Shared with the twin.
    sweep: Arc<OnceLock<UserIndex>>,
    /// By the owner of a file: how many processes could be its users and could not be looked at.
    pub(super) unseen: RefCell<HashMap<u32, u32>>,
    /// By directory and format: who works there.
    pub(super) works: RefCell<HashMap<(DirectoryId, &'static str), Option<ProcessRef>>>,
    /// By taker: the inodes of its open files that carry locks; `None` where that may not be seen.
    pub(super) carried: RefCell<HashMap<Pid, Option<HashSet<u64>>>>,
    /// By directory: who holds locks on deleted files of it.
    pub(super) splits: RefCell<Arc<SplitsByDirectory>>,
    /// What the last files were read into.
    buffer: RefCell<Vec<u8>>,
    /// Above 0: more of the last regular files were empty than not.
    emptiness: Cell<i32>,
}

/// What is known of a name before it is looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hint {
    /// What the directory calls it, where it was just read.
    pub(super) kind: Option<FileKind>,
    /// Whether it was empty when it was last looked at.
    pub(super) was_empty: Option<bool>,
}

impl Looker {
    /// Looks at the machine, for a pass over `directory`. `counts` of processes and denied ones may be carried over
    /// from an earlier pass, as counting asks each process.
    pub fn new(
        system: &Arc<dyn System>, directory: &dyn Directory, options: &LookOptions, counts: Option<(u32, u32)>,
    ) -> Self {
        Self::with_table(system, directory, options, counts, table_of(&**system))
    }

    pub(super) fn with_table(
        system: &Arc<dyn System>, directory: &dyn Directory, options: &LookOptions, counts: Option<(u32, u32)>,
        table: Option<Vec<KernelLock>>,
    ) -> Self {
        let host = system.host();
        let (processes, processes_denied) = counts.unwrap_or_else(|| system.count_processes());
        let fs = system.file_system(directory.id().mount);
        let sight = sight_of(host, fs, table.is_some(), (processes, processes_denied));
        Self::with(system, Arc::new(options.clone()), Arc::new(sight), table)
    }

    /// The same so shortly after another look at the same directory that what that one saw of the machine still is so. The
    /// kernel's lock table is read all the same.
    pub(crate) fn soon_after(system: &Arc<dyn System>, options: &Arc<LookOptions>, sight: &Arc<Sight>) -> Self {
        let table = table_of(&**system);
        let sight = if table.is_some() == sight.kernel_table {
            Arc::clone(sight)
        } else {
            Arc::new(Sight { kernel_table: table.is_some(), ..Sight::clone(sight) })
        };
        Self::with(system, Arc::clone(options), sight, table)
    }

    fn with(
        system: &Arc<dyn System>, options: Arc<LookOptions>, sight: Arc<Sight>, table: Option<Vec<KernelLock>>,
    ) -> Self {
        Self {
            system: Arc::clone(system),
            sight,
            now: system.wall(),
            monotonic: system.monotonic(),
            table: Arc::new(Table::of(table.unwrap_or_default())),
            learned: RefCell::new(options.learned.clone()),
            options,
            processes: RefCell::default(),
            devices: RefCell::default(),
            sweep: Arc::default(),
            unseen: RefCell::default(),
            works: RefCell::default(),
            carried: RefCell::default(),
            splits: RefCell::default(),
            buffer: RefCell::default(),
            emptiness: Cell::new(0),
        }
    }

    /// The same look at the machine for another thread: it sees what this one saw, and remembers for itself.
    pub(super) fn twin(&self) -> Self {
        Self {
            system: Arc::clone(&self.system),
            sight: Arc::clone(&self.sight),
            now: self.now,
            monotonic: self.monotonic,
            table: Arc::clone(&self.table),
            options: Arc::clone(&self.options),
            learned: self.learned.clone(),
            processes: self.processes.clone(),
            devices: self.devices.clone(),
            sweep: Arc::clone(&self.sweep),
            unseen: RefCell::default(),
            works: RefCell::default(),
            carried: self.carried.clone(),
            splits: self.splits.clone(),
            buffer: RefCell::default(),
            emptiness: Cell::new(0),
        }
    }

    /// Takes over what the twin has learned.
    pub(super) fn learn_of(&self, twin: Self) {
        self.learned.borrow_mut().extend(twin.learned.into_inner());
    }

    /// The present, as judgements of this pass need it.
    pub fn moment(&self) -> Moment<'_> {
        Moment {
            sight: &self.sight,
            now: self.now,
            monotonic: self.monotonic,
            threshold: self.options.threshold,
            // What this pass judges it has looked at itself.
            scanned_at: Wall(i64::MIN),
        }
    }

    /// The name patterns on which kernel locks were seen, with those of this pass.
    pub fn learned(&self) -> HashSet<Box<[u8]>> {
        self.learned.borrow().clone()
    }

    /// How many they are.
    pub(crate) fn learned_count(&self) -> usize {
        self.learned.borrow().len()
    }

    /// Whether a file with this inode number may carry a kernel lock, so that it is listed whatever its name.
    pub fn may_be_locked(&self, ino: u64) -> bool {
        self.table.may_lock(ino)
    }

    /// The inode numbers that the kernel's table names, of whatever file system.
    pub fn locked_inodes(&self) -> impl Iterator<Item = u64> {
        self.table.inodes()
    }

    /// Looks at a process, once a pass.
    pub fn process_look(&self, pid: Pid) -> Arc<ProcessLook> {
        self.process(pid)
    }

    /// The kernel's locks on a file of any name, told apart by device too.
    pub fn is_locked(&self, stat: &FileStat) -> bool {
        self.kernel_state(stat).is_some()
    }

    /// Whether this directory is a lock as a whole; so is one that cannot be looked into, as long as that is so.
    pub(super) fn is_lock_directory(&self, directory: &dyn Directory, name: &OsStr) -> bool {
        let Ok(stat) = directory.stat(name) else { return true };
        let (stat, Ok(content)) = Content::read(directory, name, stat, Vec::new()) else { return true };
        let reading = recognise_with(&content.candidate(directory, name, &stat, false), &self.options.custom);
        !matches!(reading.record, RecordState::Malformed(_))
    }

    /// Looks at one file that stands alone in `directory`; `None` = it is not there (any more).
    pub fn look(&self, directory: &dyn Directory, name: &OsStr) -> Option<Look> {
        let named = Named { path: name, naming: &Naming::default(), exists: &|_| false };
        self.look_with(directory, name, named, Hint::default())
    }

    /// The same among others, of a name of which something may be known already.
    pub(super) fn look_with(
        &self, directory: &dyn Directory, name: &OsStr, named: Named<'_>, hint: Hint,
    ) -> Option<Look> {
        const TRIES: usize = 3;
        let mut look = self.look_once(directory, name, named, hint)?;
        for _ in 1..TRIES {
            // An owner that released its lock and exited after we had read the file would be called dead. Whose end was
            // known before (the pass has looked at it already) has left the file behind.
            if !look.facts.owner.is_gone() || look.owner_was_known {
                break;
            }
            match directory.stat(name) {
                Ok(now) if Some(now) == look.facts.stat => break,
                Err(error) if is_gone(&error) => return None,
                _ => look = self.look_once(directory, name, named, Hint::default())?,
            }
        }
        Some(look)
    }

    /// Reads one file. One that the directory calls regular is opened without a look before (see
    /// [`Content::read_at_once`]); one that will be empty is only looked at, which is less than to open it.
    fn content(
        &self, directory: &dyn Directory, name: &OsStr, hint: Hint,
    ) -> io::Result<(FileStat, io::Result<Content>)> {
        let mut buffer = self.buffer.take();
        let regular = hint.kind == Some(FileKind::Regular);
        if regular && !hint.was_empty.unwrap_or(self.emptiness.get() > 0) {
            match Content::read_at_once(directory, name, buffer) {
                Ok((stat, content)) => return Ok((stat, Ok(content))),
                Err(unused) => buffer = unused,
            }
        }
        let stat = directory.stat(name);
        let (stat, content) = Content::read(directory, name, stat?, buffer);
        Ok((stat, content))
    }

    fn look_once(&self, directory: &dyn Directory, name: &OsStr, named: Named<'_>, hint: Hint) -> Option<Look> {
        let (stat, content) = match self.content(directory, name, hint) {
            Ok(seen) => seen,
            Err(error) if is_gone(&error) => return None,
            Err(error) => return Some(self.unseen(None, trouble(&error))),
        };
        if stat.kind == FileKind::Regular {
            let towards = if stat.size == 0 { 1 } else { -1 };
            self.emptiness.set((self.emptiness.get() + towards).clamp(-8, 8));
        }
        let content = match content {
            Ok(content) => content,
            Err(error) if is_gone(&error) => return None,
            Err(error) => {
                let mut look = self.unseen(Some(stat), trouble(&error));
                look.facts.kernel = self.kernel_state(&stat);
                return Some(look);
            }
        };
        let known_key = stat.kind == FileKind::Regular && stat.size == 0 && named.is_filelocks();
        let mut reading = recognise_with(&content.candidate(directory, name, &stat, known_key), &self.options.custom);
        ask_companion(directory, name, &mut reading);
        let bytes = content.bytes;
        let kernel = self.kernel_state(&stat);
        let kernel_rule = self.apply_kernel_rule(&mut reading, &stat, kernel.as_deref(), named);
        let owner_was_known =
            reading.record().and_then(|r| r.pid).is_some_and(|pid| self.processes.borrow().contains_key(&pid));
        self.put_the_living_first(&mut reading);
        let owner = self.owner(reading.record(), &stat);
        let users = if needs_users(&reading, &owner, kernel_rule, kernel.is_some(), &stat) {
            self.users(directory, &stat, reading.format)
        } else {
            Users::NotLooked
        };
        let mut facts = Seen {
            stat: Some(stat),
            trouble: None,
            content: digest(&bytes),
            bytes: bytes.get(..SHOWN_LIMIT).unwrap_or(&bytes).into(),
            reading,
            kernel,
            kernel_rule,
            owner,
            users,
            beat: None,
            danger: None,
            leases: self.leases(&stat),
            split_holders: Vec::new(),
            first_seen: self.monotonic,
        };
        facts.beat = beat(&facts.reading, &stat);
        facts.split_holders = self.split_holders(directory, name, &stat);
        facts.danger = (!facts.split_holders.is_empty()).then_some(Danger::SplitLock);
        self.buffer.replace(bytes);
        Some(Look { facts, owner_was_known })
    }

    pub(super) fn unseen(&self, stat: Option<FileStat>, trouble: Trouble) -> Look {
        let reading = Reading {
            format: unrecognised(),
            mechanism: Mechanism::Unknown,
            record: RecordState::Malformed("it could not be read"),
        };
        let facts = Seen {
            stat,
            trouble: Some(trouble),
            reading,
            content: 0,
            bytes: Box::default(),
            kernel: None,
            kernel_rule: false,
            owner: OwnerState::NotNamed,
            users: Users::NotLooked,
            beat: None,
            danger: None,
            leases: Box::default(),
            split_holders: Vec::new(),
            first_seen: self.monotonic,
        };
        Look { facts, owner_was_known: false }
    }

    /// An empty file is a kernel-lock file where its name, the kernel, a sibling of the same pattern, or the person says so.
    fn apply_kernel_rule(
        &self, reading: &mut Reading, stat: &FileStat, kernel: Option<&crate::model::facts::KernelState>,
        named: Named<'_>,
    ) -> bool {
        if let Some(kind) = kernel.and_then(|kernel| kernel.kind) {
            use crate::model::kernel::LockKind;
            let plain = reading.mechanism == Mechanism::Unknown || reading.mechanism.is_kernel();
            if plain && stat.kind == FileKind::Regular {
                reading.mechanism = match kind {
                    LockKind::Flock => Mechanism::Flock,
                    LockKind::Posix => Mechanism::Posix,
                    LockKind::Ofd => Mechanism::Ofd,
                    LockKind::Lease => reading.mechanism,
                };
                let pattern = if stat.size == 0 { named.pattern() } else { Cow::default() };
                if !pattern.is_empty() {
                    self.learned.borrow_mut().insert(pattern.as_ref().into());
                }
            }
        }
        if reading.mechanism.is_kernel() {
            return true;
        }
        if reading.format.id != "empty" {
            return false;
        }
        match self.options.empty_files {
            EmptyFiles::Existence => {
                reading.mechanism = Mechanism::Existence;
                reading.record = RecordState::None;
                return false;
            }
            EmptyFiles::KernelLocks => {}
            EmptyFiles::ByEvidence if self.learned.borrow().contains(&*named.pattern()) => {}
            EmptyFiles::ByEvidence => return false,
        }
        reading.mechanism = Mechanism::Flock;
        true
    }

    /// Asks for the owner only where its number means something here.
    fn owner(&self, record: Option<&Record>, stat: &FileStat) -> OwnerState {
        let Some((record, pid)) = record.and_then(|record| Some((record, record.pid?))) else {
            return OwnerState::NotNamed;
        };
        let ours = record.pid_ns.is_some() && record.pid_ns == self.sight.pid_ns;
        let elsewhere = elsewhere(record, &self.sight);
        // Where `/proc` hides processes (`hidepid`), a PID can still be asked for: `pidfd_open` tells of anyone's.
        if elsewhere || !(self.sight.host_pid_ns || ours) {
            return OwnerState::NotLooked;
        }
        // A process that has started since this pass looked at its number may have written what was written since. What is
        // looked at now only was not looked at before the file was read.
        let was_known = self.processes.borrow().contains_key(&pid);
        let written_since = was_known && stat.proof_time() >= self.now.minus(CLOCK_GRAIN);
        let look = self.process(pid);
        if written_since && !matches!(*look, ProcessLook::Running(_)) {
            self.processes.borrow_mut().remove(&pid);
            return OwnerState::Looked(self.process(pid));
        }
        OwnerState::Looked(look)
    }

    /// A record that names several owners speaks of a hold for as long as one of them lives: that one comes first.
    fn put_the_living_first(&self, reading: &mut Reading) {
        let RecordState::Parsed(record) = &mut reading.record else { return };
        let Some(first) = record.pid.filter(|_| !record.others.is_empty()) else { return };
        let rank = |pid: Pid| match &*self.process(pid) {
            ProcessLook::Running(_) => 3,
            ProcessLook::Hidden => 2,
            ProcessLook::Unknown(_) => 1,
            ProcessLook::Exited(_) | ProcessLook::NoSuchProcess => 0,
        };
        let best = record.others.iter_mut().max_by_key(|pid| rank(**pid));
        if let Some(best) = best.filter(|best| rank(**best) > rank(first)) {
            record.pid = Some(std::mem::replace(best, first));
        }
    }

    /// Looks at a process, once a pass.
    pub(super) fn process(&self, pid: Pid) -> Arc<ProcessLook> {
        if let Some(known) = self.processes.borrow().get(&pid) {
            return Arc::clone(known);
        }
        let look = Arc::new(self.system.look_at(pid));
        Arc::clone(self.processes.borrow_mut().entry(pid).or_insert(look))
    }

    pub(super) fn reference(&self, pid: Pid) -> ProcessRef {
        let facts = match &*self.process(pid) {
            ProcessLook::Running(facts) | ProcessLook::Exited(facts) => Some(Arc::new((**facts).clone())),
            _ => None,
        };
        ProcessRef { pid, facts }
    }

    /// All processes and open files, looked at once a pass and only if somebody asks.
    pub(super) fn sweep(&self) -> &UserIndex {
        self.sweep.get_or_init(|| UserIndex::of(self.system.sweep()))
    }

    pub(super) fn lock_device(&self, mount: u64) -> Option<(u32, u32, bool)> {
        *self.devices.borrow_mut().entry(mount).or_insert_with(|| self.system.lock_device(mount))
    }

    /// Whether two mounts show the same file system. A mount of another mount namespace cannot be looked up: then the
    /// cautious answer is yes, as it makes a file count as open.
    pub(super) fn same_device(&self, theirs: u64, ours: u64) -> bool {
        theirs == ours || self.lock_device(theirs).is_none_or(|device| Some(device) == self.lock_device(ours))
    }
}

/// The kernel's lock table; `None` where it cannot be read.
pub(super) fn table_of(system: &dyn System) -> Option<Vec<KernelLock>> {
    match system.kernel_locks() {
        Ok(locks) => Some(locks),
        Err(error) => {
            // Where a system has no such table, that is no news.
            if error.kind() != io::ErrorKind::Unsupported {
                tracing::warn!(%error, "the kernel's lock table cannot be read");
            }
            None
        }
    }
}

/// What is to be seen of a machine.
pub fn sight_of(host: Host, fs: FileSystem, kernel_table: bool, (processes, denied): (u32, u32)) -> Sight {
    Sight {
        host: host.name,
        machine_id: host.machine_id,
        boot_id: host.boot_id,
        boot_floor: host.boot_floor,
        clock_step: host.clock_step,
        pid_ns: host.pid_ns,
        host_pid_ns: host.host_pid_ns,
        hidden_processes: host.hidden_processes,
        uid: host.uid,
        fs,
        kernel_table,
        processes,
        processes_denied: denied,
    }
}

/// Open files cost a walk through all processes: only where the verdict hangs on them.
fn needs_users(reading: &Reading, owner: &OwnerState, kernel_rule: bool, kernel_locked: bool, stat: &FileStat) -> bool {
    let special = matches!(stat.kind, FileKind::Fifo | FileKind::Socket | FileKind::Device);
    if kernel_rule || kernel_locked || special || stat.mount_root {
        return false;
    }
    match owner {
        OwnerState::NotNamed => {
            reading.format.standing == Standing::Lock && !matches!(reading.record, RecordState::Malformed(_))
        }
        OwnerState::NotLooked => false,
        OwnerState::Looked(_) => !reading.format.programs.is_empty(),
    }
}

/// Where the lock names nobody, a file beside it may (git's `index~pid.lock`).
fn ask_companion(directory: &dyn Directory, name: &OsStr, reading: &mut Reading) {
    let Some((own, other)) = reading.format.companion else { return };
    let Some(stem) = name.as_encoded_bytes().strip_suffix(own.as_bytes()) else { return };
    if !matches!(reading.record, RecordState::None | RecordState::CutShort) || stem.ends_with(b"~pid") {
        return;
    }
    let companion = os_name(&[stem, other.as_bytes()].concat());
    let Ok(stat) = directory.stat(&companion) else { return };
    let (stat, Ok(content)) = Content::read(directory, &companion, stat, Vec::new()) else { return };
    let record = recognise(&content.candidate(directory, &companion, &stat, false)).record;
    if matches!(&record, RecordState::Parsed(record) if record.pid.is_some()) {
        reading.record = record;
    }
}

/// The heart that should beat in it. An empty directory of the right name could be made by any script (`mkdir x.lock`),
/// which never touches it again: only a time of whole milliseconds, as `utimes` of the tool sets it and `mkdir` does not,
/// shows that a heart beats at all.
fn beat(reading: &Reading, stat: &FileStat) -> Option<Beat> {
    let beats = match reading.record().and_then(|record| record.lease) {
        Some(lease) => Some(Heartbeat { interval: lease / 3, stale_after: lease }),
        None => reading.format.heartbeat,
    }?;
    let any_script = stat.kind == FileKind::Directory && matches!(reading.record, RecordState::None);
    let set_by_hand = stat.modified.0 % 1_000_000 == 0;
    (!any_script || set_by_hand).then_some(Beat {
        interval: beats.interval,
        stale_after: beats.stale_after,
        moved: false,
        unchanged_for: None,
    })
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

pub(super) fn trouble(error: &io::Error) -> Trouble {
    match error.kind() {
        io::ErrorKind::PermissionDenied => Trouble::Denied,
        io::ErrorKind::TimedOut => Trouble::NoAnswer,
        _ => Trouble::Failed(error.to_string().into()),
    }
}

/// Tells that the content changed; nothing is proved by it alone (the fingerprint has inode and times too).
fn digest(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

/// The error of opening `path`, typed.
pub(super) fn open(system: &Arc<dyn System>, path: &Path) -> Result<Box<dyn Directory>, LookError> {
    system.open_directory(path).map_err(|error| LookError::of(path, error))
}
