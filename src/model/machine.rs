//! The whole machine's kernel locks at one moment: which there are, on what, who has them, who waits.
//!
//! Owns: [`MachinePicture`], its groups by directory, its order and its search. Never: drops a line of the kernel's table:
//! what cannot be seen of it is said with the reason.

use super::facts::ProcessRef;
use super::holder::{Pid, ProcessFacts};
use super::kernel::{KernelFile, TableLine};
use super::time::Wall;
use super::waits::circles;
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What a process is doing, as far as it matters to whoever waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It runs or sleeps.
    Running,
    /// By a signal or a debugger: it goes on only when somebody lets it.
    Stopped,
    /// In a call of the kernel that nothing ends, mostly of a disk.
    Uninterruptible,
    /// It has ended; its parent has not asked for its exit code yet.
    Exited,
}

impl Condition {
    /// The word that the JSON output uses.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Uninterruptible => "uninterruptible",
            Self::Exited => "exited",
        }
    }
}

/// Why the path of a locked file cannot be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unseen {
    /// Its process would not show its open files.
    Denied(ProcessRef),
    /// The taker has ended, and no process that may be seen carries the lock.
    TakerGone(Pid),
    /// The process shows its open files, and the file is not among them.
    NotOpen(ProcessRef),
    /// The table names no process here, and none that may be seen carries the lock.
    NotNamed,
    /// Another host's process has taken it over the network.
    OtherHost,
    /// The kernel tells no file.
    NoFile,
}

impl Unseen {
    /// The word that the JSON output uses.
    pub const fn id(&self) -> &'static str {
        match self {
            Self::Denied(_) => "denied",
            Self::TakerGone(_) => "taker_gone",
            Self::NotOpen(_) => "not_open",
            Self::NotNamed => "not_named",
            Self::OtherHost => "other_host",
            Self::NoFile => "no_file",
        }
    }

    /// In a sentence.
    pub fn why(&self) -> String {
        match self {
            Self::Denied(process) => {
                let user = process.facts.as_ref().and_then(|facts| facts.user.as_deref());
                let whose = user.map_or_else(|| "another user".to_owned(), str::to_owned);
                format!("PID {} runs as {whose} and does not show you its open files. Root sees more.", process.pid)
            }
            Self::TakerGone(pid) => {
                format!("PID {pid}, which took it, has ended. Whoever has it now could not be seen.")
            }
            Self::NotOpen(process) => format!(
                "PID {} does not have it among its open files: it is on its way to another process, or the kernel holds \
                 it on behalf of others.",
                process.pid
            ),
            Self::NotNamed => {
                "The kernel names no process for it, and none that you may look into has it open.".to_owned()
            }
            Self::OtherHost => "A process on another computer took it over the network.".to_owned(),
            Self::NoFile => "The kernel names no file for it.".to_owned(),
        }
    }
}

/// Where a locked file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The path is known.
    Seen {
        /// As the mounts of its process have it.
        path: Arc<Path>,
        /// It was deleted since, or replaced; the lock is on what it was.
        deleted: bool,
        /// Its process has mounts of its own (a container): the path means nothing here.
        elsewhere: bool,
    },
    /// It is not.
    Unseen {
        /// Why.
        why: Unseen,
        /// Where its file system is mounted here.
        mount: Option<Arc<Path>>,
    },
}

impl Place {
    /// The path, where it is known and means something here.
    pub fn path_here(&self) -> Option<&Path> {
        match self {
            Self::Seen { path, elsewhere: false, .. } => Some(path),
            _ => None,
        }
    }
}

/// One line of the kernel's table, and what is known about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineLock {
    /// The line.
    pub line: TableLine,
    /// Who has it: all processes that share the open file. Of one that waits, who waits. Empty where nobody may be seen.
    pub processes: Vec<ProcessRef>,
    /// The process that the table names has ended; whoever inherited the open file has it.
    pub taker_gone: bool,
    /// Where it is.
    pub place: Place,
    /// On the monotonic clock: since when it was seen waiting. The kernel does not tell since when it does.
    pub waiting_since: Option<Duration>,
    /// Whom it waits for waits for it in turn.
    pub in_circle: bool,
}

impl MachineLock {
    /// Queued, not granted.
    pub fn is_waiting(&self) -> bool {
        self.line.depth > 0
    }

    /// Who has it or waits, of several the first.
    pub fn process(&self) -> Option<&ProcessRef> {
        self.processes.first()
    }

    /// The first process's facts.
    pub fn facts(&self) -> Option<&ProcessFacts> {
        self.process()?.facts.as_deref()
    }

    /// The PID: of the process that has it; else of the one that the table names.
    pub fn pid(&self) -> Option<Pid> {
        self.process().map(|process| process.pid).or_else(|| self.line.pid())
    }

    /// The bytes that are locked: `all`, `0-99`, `100-end`.
    pub fn range(&self) -> String {
        match (self.line.start, self.line.end) {
            (0, None) => "all".to_owned(),
            (start, None) => format!("{start}-end"),
            (start, Some(end)) => format!("{start}-{end}"),
        }
    }

    /// `write` or `read`.
    pub const fn mode(&self) -> &'static str {
        if self.line.exclusive { "write" } else { "read" }
    }

    /// Whether this is the same one, waiting, as in an earlier picture.
    fn is_same_wait(&self, earlier: &Self) -> bool {
        let incarnation = |lock: &Self| lock.facts().map(ProcessFacts::incarnation);
        let of = |line: &TableLine| (line.kind, line.exclusive, line.number, line.file, line.start, line.end);
        earlier.is_waiting() && of(&self.line) == of(&earlier.line) && incarnation(self) == incarnation(earlier)
    }
}

/// A directory in which kernel locks are held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedDirectory {
    /// Where.
    pub path: Arc<Path>,
    /// Locks that are held in it.
    pub held: u32,
    /// Processes that wait for them.
    pub waiting: u32,
    /// The programs that hold them, the most frequent first.
    pub programs: Vec<Box<str>>,
}

/// The machine's kernel locks at one moment.
#[derive(Clone, Debug, Default)]
pub struct MachinePicture {
    /// The machine's name.
    pub host: Box<str>,
    /// When, on the wall clock.
    pub taken_at: Wall,
    /// When, on the monotonic clock.
    pub taken_monotonic: Duration,
    /// In the kernel's order: who waits follows whom it waits for.
    pub locks: Vec<MachineLock>,
    /// By directory, where the path is known; who is waited for first.
    pub directories: Vec<LockedDirectory>,
    /// Processes there are, without the kernel's own threads.
    pub processes: u32,
    /// How many of them would not show their open files.
    pub unseen: u32,
    /// `/proc` hides other users' processes, or those of other PID namespaces: locks of theirs may be missing altogether.
    pub partial: bool,
    /// Lines of the table that fit no known grammar.
    pub strange: u32,
}

impl MachinePicture {
    /// Fills in what follows from the locks: who waits in a circle, and the directories. What is seen waiting as it was in
    /// the earlier picture waits since then.
    pub fn complete(&mut self, earlier: Option<&Self>) {
        let mut before: HashMap<KernelFile, Vec<&MachineLock>> = HashMap::new();
        for lock in earlier.into_iter().flat_map(|earlier| &earlier.locks).filter(|lock| lock.is_waiting()) {
            before.entry(lock.line.file.unwrap_or_default()).or_default().push(lock);
        }
        let now = self.taken_monotonic;
        for lock in self.locks.iter_mut().filter(|lock| lock.is_waiting()) {
            let known = before.get(&lock.line.file.unwrap_or_default());
            let same = known.and_then(|known| known.iter().find(|earlier| lock.is_same_wait(earlier)));
            lock.waiting_since = Some(same.and_then(|earlier| earlier.waiting_since).unwrap_or(now));
        }
        let circles = circles(self);
        for (lock, circle) in self.locks.iter_mut().zip(circles) {
            lock.in_circle = circle;
        }
        self.directories = directories(&self.locks);
    }

    /// What of the machine could not be seen, each in a sentence; none = all was.
    pub fn limits(&self) -> Vec<String> {
        let mut said = Vec::new();
        if self.unseen > 0 {
            said.push(format!(
                "{} of {} processes do not show you their open files, so paths of their locks may be missing. Root sees more.",
                self.unseen, self.processes
            ));
        }
        if self.partial {
            let text =
                "Processes of other namespaces, or of other users, are hidden here: locks of theirs may be missing.";
            said.push(text.to_owned());
        }
        if self.strange > 0 {
            said.push(format!("Lines of the kernel's table that could not be understood: {}.", self.strange));
        }
        said
    }

    /// The one that is granted, above this one.
    pub fn root_of(&self, at: usize) -> usize {
        self.locks.get(..=at).and_then(|locks| locks.iter().rposition(|lock| !lock.is_waiting())).unwrap_or(0)
    }

    /// How many wait for this one, directly or behind others: they are the lines that follow.
    pub fn waiters_of(&self, at: usize) -> usize {
        let Some(depth) = self.locks.get(at).map(|lock| lock.line.depth) else { return 0 };
        self.locks[at + 1..].iter().take_while(|lock| lock.line.depth > depth).count()
    }

    /// How many are held, and how many wait.
    pub fn counts(&self) -> (usize, usize) {
        let waiting = self.locks.iter().filter(|lock| lock.is_waiting()).count();
        (self.locks.len() - waiting, waiting)
    }

    /// The places of the locks that a process holds.
    pub fn held_by(&self, pid: Pid) -> impl Iterator<Item = usize> {
        let its = move |lock: &MachineLock| !lock.is_waiting() && lock.processes.iter().any(|p| p.pid == pid);
        self.locks.iter().enumerate().filter(move |(_, lock)| its(lock)).map(|(at, _)| at)
    }

    /// Whether it shows the same as another, whenever that was taken.
    pub fn shows_the_same(&self, other: &Self) -> bool {
        let machine = |picture: &Self| (picture.unseen, picture.partial, picture.strange);
        machine(self) == machine(other) && self.locks == other.locks
    }

    /// The places of what fits a search, in this order; who waits stays under whom it waits for. One that fits brings those
    /// above it, and those that wait for it.
    pub fn listed(&self, search: &str, sort: MachineSort, descending: bool) -> Vec<usize> {
        let words: Vec<String> = search.split_whitespace().map(str::to_lowercase).collect();
        let mut trees: Vec<(usize, usize)> = Vec::new();
        let mut at = 0;
        while at < self.locks.len() {
            let end = at + 1 + self.waiters_of(at);
            let fits = |lock: &MachineLock| words.iter().all(|word| lock.contains(word));
            if words.is_empty() || self.locks[at..end].iter().any(fits) {
                trees.push((at, end));
            }
            at = end;
        }
        if sort != MachineSort::Table {
            trees.sort_by(|(a, a_end), (b, b_end)| {
                let by = match sort {
                    MachineSort::Waiting => (a_end - a).cmp(&(b_end - b)),
                    _ => self.locks[*a].compare(&self.locks[*b], sort),
                };
                let by = if descending { by.reverse() } else { by };
                by.then(a.cmp(b))
            });
        }
        trees.into_iter().flat_map(|(at, end)| at..end).collect()
    }
}

/// What the machine's locks are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MachineSort {
    /// The kernel's own order.
    Table,
    /// How many wait.
    #[default]
    Waiting,
    /// The PID.
    Pid,
    /// The program.
    Command,
    /// The user.
    User,
    /// The kind of lock.
    Kind,
    /// Exclusive or shared.
    Mode,
    /// The bytes.
    Range,
    /// The path.
    Path,
}

impl MachineLock {
    /// Whether a word of a search, in lower case, is in anything that is shown of it.
    fn contains(&self, word: &str) -> bool {
        let in_text = |text: &str| text.to_lowercase().contains(word);
        let of_process = |process: &ProcessRef| {
            process.pid.to_string() == word
                || process.facts.as_ref().is_some_and(|facts| {
                    in_text(&facts.comm) || in_text(&facts.command) || facts.user.as_deref().is_some_and(in_text)
                })
        };
        let place = match &self.place {
            Place::Seen { path, deleted, .. } => {
                in_text(&path.to_string_lossy()) || (*deleted && "deleted".starts_with(word))
            }
            Place::Unseen { mount, .. } => mount.as_ref().is_some_and(|mount| in_text(&mount.to_string_lossy())),
        };
        place
            || self.processes.iter().any(of_process)
            || in_text(self.line.kind.word())
            || in_text(self.line.kind.id())
            || self.mode() == word
            || (self.is_waiting() && word == "waiting")
            || self.pid().is_some_and(|pid| pid.to_string() == word)
    }

    fn compare(&self, other: &Self, sort: MachineSort) -> Ordering {
        let name = |lock: &Self| lock.facts().map(|facts| facts.comm.to_lowercase());
        let user = |lock: &Self| lock.facts().and_then(|facts| facts.user.clone());
        let path = |lock: &Self| match &lock.place {
            Place::Seen { path, .. } => (0, Some(Arc::clone(path))),
            Place::Unseen { mount, .. } => (1, mount.clone()),
        };
        match sort {
            MachineSort::Pid => self.pid().cmp(&other.pid()),
            MachineSort::Command => name(self).cmp(&name(other)),
            MachineSort::User => user(self).cmp(&user(other)),
            MachineSort::Kind => self.line.kind.cmp(&other.line.kind),
            MachineSort::Mode => self.line.exclusive.cmp(&other.line.exclusive),
            MachineSort::Range => (self.line.start, self.line.end).cmp(&(other.line.start, other.line.end)),
            MachineSort::Path => path(self).cmp(&path(other)),
            MachineSort::Table | MachineSort::Waiting => Ordering::Equal,
        }
    }
}

fn directories(locks: &[MachineLock]) -> Vec<LockedDirectory> {
    /// Held, waiting, and how many locks each program holds.
    type Counted<'a> = (u32, u32, BTreeMap<&'a str, u32>);
    let mut by_path: BTreeMap<PathBuf, Counted<'_>> = BTreeMap::new();
    for lock in locks {
        let Some(directory) = lock.place.path_here().and_then(Path::parent) else { continue };
        let (held, waiting, programs) = by_path.entry(directory.to_owned()).or_default();
        if lock.is_waiting() {
            *waiting += 1;
            continue;
        }
        *held += 1;
        for process in &lock.processes {
            *programs.entry(process.name()).or_default() += 1;
        }
    }
    let mut directories: Vec<LockedDirectory> = by_path
        .into_iter()
        .map(|(path, (held, waiting, programs))| {
            let mut programs: Vec<(&str, u32)> = programs.into_iter().collect();
            programs.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
            let programs = programs.into_iter().map(|(name, _)| name.into()).collect();
            LockedDirectory { path: path.into(), held, waiting, programs }
        })
        .collect();
    directories.sort_by(|a, b| (b.waiting, b.held).cmp(&(a.waiting, a.held)).then_with(|| a.path.cmp(&b.path)));
    directories
}

/// What is known of one process beyond [`ProcessFacts`], and when it was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessDetail {
    /// It, as it was then; `None` where it has ended or may not be looked at.
    pub facts: Option<Arc<ProcessFacts>>,
    /// What it was doing.
    pub condition: Option<Condition>,
    /// Who started it.
    pub parent: Option<ProcessRef>,
    /// Its working directory.
    pub cwd: Cwd,
    /// It has mounts or a PID namespace of its own.
    pub contained: Option<bool>,
}

/// A working directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cwd {
    /// Here.
    Seen(PathBuf),
    /// It may not be seen: another user's process.
    Denied,
    /// It has none any more.
    Gone,
}

#[cfg(test)]
mod tests;
