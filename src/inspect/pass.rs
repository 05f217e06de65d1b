//! One pass over a directory.

use super::ahead::Looks;
use super::evidence::{Hint, Looker, open, trouble};
use super::named::Named;
use super::subfolders::{Descent, has_gone};
use super::{LookError, LookOptions, NameSet};
use crate::model::facts::{Facts, FileKind};
use crate::model::format::{Listed, listed};
use crate::model::naming::split;
use crate::model::snapshot::{CHUNK, Counts, Lock, LockId, LookedAt, Problem, Snapshot, Watching};
use crate::model::verdict::judge;
use crate::platform::environment::give_way;
use crate::platform::{Directory, DirectoryId, System, os_name};
use hashbrown::HashMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

/// The names in a directory (below it too, if asked for): those to list, and all, as siblings decide what names mean.
#[derive(Debug, Default)]
pub struct Names {
    /// Relative paths to look at.
    pub listed: Vec<OsString>,
    /// What the directory calls each of them, as far as it was asked.
    pub kinds: Vec<Option<FileKind>>,
    /// All relative paths.
    pub all: NameSet,
    /// Subdirectories that were entered, relative; the directory itself is not among them.
    pub directories: Vec<OsString>,
    /// What could not be listed.
    pub problems: Vec<Problem>,
    /// Of the directories that were entered, one that may not answer: there nothing else may touch it, so it has no events.
    pub unwatched: Option<DirectoryId>,
}

impl Names {
    /// What the directory called the listed path with this number.
    pub fn kind(&self, number: usize) -> Option<FileKind> {
        self.kinds.get(number).copied().flatten()
    }

    /// Puts the listed paths in their order. Most differ in their first eight bytes, so that few must be fetched.
    fn sort(&mut self) {
        let first = |path: &OsString| {
            let mut bytes = [0; 8];
            let path = path.as_encoded_bytes();
            let length = path.len().min(bytes.len());
            bytes[..length].copy_from_slice(&path[..length]);
            u64::from_be_bytes(bytes)
        };
        let mut order: Vec<(u64, u32)> = self.listed.iter().zip(0..).map(|(path, at)| (first(path), at)).collect();
        order.sort_unstable_by(|(a, at), (b, bt)| {
            a.cmp(b).then_with(|| self.listed[*at as usize].cmp(&self.listed[*bt as usize]))
        });
        let kinds = order.iter().map(|(_, at)| self.kind(*at as usize)).collect();
        let listed = order.iter().map(|(_, at)| std::mem::take(&mut self.listed[*at as usize])).collect();
        (self.listed, self.kinds) = (listed, kinds);
    }
}

/// Reads the names of a directory. What cannot be read below it is a problem with its path, never an end.
pub fn list_names(directory: &dyn Directory, looker: &Looker, options: &LookOptions) -> std::io::Result<Names> {
    list_names_entering(directory, looker, options, &mut |_, _| {})
}

/// The same; `entering` is told of each subfolder before it is read. Only what is listed for its lock alone waits for the
/// looker, if that is still to come.
pub(crate) fn list_names_entering(
    directory: &dyn Directory, looks: &dyn Looks, options: &LookOptions,
    entering: &mut dyn FnMut(&Path, &dyn Directory),
) -> std::io::Result<Names> {
    let mut names = Names::default();
    let mut descent = Descent::from(directory, entering);
    walk(directory, Path::new(""), looks, options, &mut names, &mut descent)?;
    Ok(names)
}

/// So many names may wait for the looker.
const MOST_WAITING: usize = 4096;

/// Whether a kernel lock is on the file, by what the directory says its inode number is.
fn is_locked(looker: &Looker, directory: &dyn Directory, name: &OsStr, ino: u64) -> bool {
    let stat = looker.may_be_locked(ino).then(|| directory.stat(name).ok()).flatten();
    stat.is_some_and(|stat| stat.kind == FileKind::Regular && looker.is_locked(&stat))
}

fn walk(
    directory: &dyn Directory, below: &Path, looks: &dyn Looks, options: &LookOptions, names: &mut Names,
    descent: &mut Descent<'_>,
) -> std::io::Result<()> {
    let (mut deeper, mut waiting) = (Vec::new(), Vec::new());
    directory.entries(&mut |name, kind, ino| {
        let deep = (!below.as_os_str().is_empty()).then(|| below.join(name).into_os_string());
        let path = deep.as_deref().unwrap_or(name);
        names.all.insert(path.as_encoded_bytes());
        let bytes = name.as_encoded_bytes();
        let own_leftover = bytes.starts_with(b".lockscope-");
        let mut locked = || {
            let looker = if waiting.len() < MOST_WAITING { looks.ready() } else { Some(looks.wait()) };
            if looker.is_none() {
                waiting.push((name.to_owned(), kind, ino));
            }
            looker.is_some_and(|looker| is_locked(looker, directory, name, ino))
        };
        let place = directory.path().as_os_str().as_encoded_bytes();
        let by_name = || listed(place, bytes) != Listed::No || options.custom.lists(place, bytes);
        let listed = !own_leftover && (by_name() || locked());
        if options.recursive && kind == Some(FileKind::Directory) {
            deeper.push((name.to_owned(), listed));
        }
        if listed {
            names.listed.push(path.to_owned());
            names.kinds.push(kind);
        }
    })?;
    for (name, kind, ino) in waiting {
        if is_locked(looks.wait(), directory, &name, ino) {
            names.listed.push(below.join(name).into_os_string());
            names.kinds.push(kind);
        }
    }
    for (name, listed) in deeper {
        let looker = looks.wait();
        // What stands in a lock that is a directory belongs to that lock; `/run/lock` is none, for all its name.
        if listed && looker.is_lock_directory(directory, &name) {
            continue;
        }
        let path = below.join(&name);
        let child = match descent.enter(directory, &name, &path, looker, options) {
            Ok(Some(child)) => child,
            Ok(None) => continue,
            Err(problem) => {
                names.problems.push(problem);
                continue;
            }
        };
        if child.may_not_answer() {
            names.unwatched = Some(child.id());
        } else {
            names.directories.push(path.clone().into_os_string());
        }
        match walk(&*child, &path, looks, options, names, descent) {
            Err(error) if !has_gone(&error) => names.problems.push(Problem { path, error: error.to_string() }),
            _ => {}
        }
    }
    Ok(())
}

/// Opens the directories that relative paths lead through, each once and never through a link.
pub(crate) struct Openings<'a> {
    root: &'a dyn Directory,
    children: HashMap<PathBuf, Result<Box<dyn Directory>, io::Error>>,
}

/// Why a directory on the way was not opened.
pub(crate) enum Closed<'a> {
    /// It is not there any more, and neither is what was in it.
    Gone,
    /// What is in it cannot be seen.
    Unseen(&'a io::Error),
}

fn open_below(root: &dyn Directory, path: &Path) -> io::Result<Box<dyn Directory>> {
    let mut opened: Option<Box<dyn Directory>> = None;
    for part in path {
        let from: &dyn Directory = opened.as_deref().unwrap_or(root);
        opened = Some(from.open_child(part)?);
    }
    opened.ok_or_else(|| io::ErrorKind::NotFound.into())
}

impl<'a> Openings<'a> {
    pub(crate) fn below(root: &'a dyn Directory) -> Self {
        Self { root, children: HashMap::new() }
    }

    /// The directory that `path` stands in, and its base name.
    pub(crate) fn parent<'b>(&'b mut self, path: &'b OsStr) -> Result<(&'b dyn Directory, &'b OsStr), Closed<'b>> {
        // Nearly all stand in the directory itself; a name of dots is none.
        if !path.as_encoded_bytes().contains(&b'/') && !matches!(path.as_encoded_bytes(), b"" | b"." | b"..") {
            return Ok((self.root, path));
        }
        let path = Path::new(path);
        let Some(name) = path.file_name() else { return Err(Closed::Gone) };
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let Some(parent) = parent else { return Ok((self.root, name)) };
        let root = self.root;
        let child = self.children.entry(parent.to_owned()).or_insert_with(|| open_below(root, parent));
        match child {
            Ok(child) => Ok((&**child, name)),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Err(Closed::Gone)
            }
            Err(error) => Err(Closed::Unseen(error)),
        }
    }
}

impl Looker {
    /// Looks at one listed path and judges it; `None` = it is not there any more. `exists` answers for its siblings,
    /// as they decide what its name means; `earlier` is what was seen of it before, if it was.
    pub(crate) fn lock(
        &self, openings: &mut Openings<'_>, exists: &dyn Fn(&[u8]) -> bool, path: &OsStr, id: LockId,
        options: &LookOptions, earlier: Option<&Facts>,
    ) -> Option<Lock> {
        self.listed_lock(openings, exists, path, None, id, options, earlier)
    }

    /// The same, of a path that the directory has just called so.
    #[expect(clippy::too_many_arguments, reason = "each is of the path; a type of them would have this one use")]
    pub(crate) fn listed_lock(
        &self, openings: &mut Openings<'_>, exists: &dyn Fn(&[u8]) -> bool, path: &OsStr, kind: Option<FileKind>,
        id: LockId, options: &LookOptions, earlier: Option<&Facts>,
    ) -> Option<Lock> {
        let was_empty = earlier.and_then(Facts::stat).map(|stat| stat.size == 0);
        let hint = Hint { kind, was_empty };
        let naming = split(path.as_encoded_bytes(), &options.patterns, exists);
        let named = Named { path, naming: &naming, exists };
        let (mut look, by_content) = match openings.parent(path) {
            Ok((directory, name)) => {
                let place = directory.path().as_os_str().as_encoded_bytes();
                (self.look_with(directory, name, named, hint)?, listed(place, name.as_encoded_bytes()))
            }
            Err(Closed::Gone) => return None,
            Err(Closed::Unseen(error)) => (self.unseen(None, trouble(error)), Listed::Yes),
        };
        let facts = &look.facts;
        // `status` is called many a thing: it is one of ours only if its content says so, or a lock is on it.
        if by_content == Listed::IfRecognised
            && !facts.reading.format.common_names
            && facts.reading.format.id != "custom"
            && facts.kernel.is_none()
            && facts.trouble.is_none()
        {
            return None;
        }
        if let Some(earlier) = earlier {
            look.facts.follow(earlier);
        }
        let mut lock = Lock {
            id,
            path: path.into(),
            naming,
            judgement: PENDING,
            facts: look.facts.into(),
            looked_at: LookedAt(self.now),
        };
        lock.judgement = judge(&lock.evidence(&self.moment()));
        Some(lock)
    }
}

/// Stands for a judgement until the first one is made.
const PENDING: crate::model::verdict::Judgement = crate::model::verdict::Judgement {
    row: 29,
    verdict: crate::model::verdict::Verdict::Unknown,
    certainty: None,
    liveness: crate::model::holder::Liveness::Unknown,
    gone: None,
    due: crate::model::verdict::Due::NEVER,
};

/// One full pass over a directory.
pub fn look(system: &Arc<dyn System>, directory: &Path, options: &LookOptions) -> Result<Snapshot, LookError> {
    look_after(system, directory, options, None)
}

/// As [`look`], by one who has looked before: a heartbeat shows only in time.
pub fn look_after(
    system: &Arc<dyn System>, directory: &Path, options: &LookOptions, earlier: Option<&Snapshot>,
) -> Result<Snapshot, LookError> {
    let earlier: HashMap<&OsStr, &Facts> =
        earlier.into_iter().flat_map(Snapshot::locks).map(|lock| (&*lock.path, &lock.facts)).collect();
    let push = |locks: &mut Vec<Lock>, lock| locks.push(lock);
    let (looker, parts, problems) = pass(system, directory, options, Order::ByPath, &earlier, &push)?;
    let locks = parts.into_iter().flatten().zip(0..).map(|(lock, id)| Lock { id: LockId(id), ..lock }).collect();
    Ok(snapshot_of(directory, &looker, locks, problems, options))
}

/// As [`look`], for those who want only to know how many locks have each verdict: of those that `counts` says yes to.
pub fn count(
    system: &Arc<dyn System>, directory: &Path, options: &LookOptions, counts: &(dyn Fn(&Lock) -> bool + Sync),
) -> Result<Counts, LookError> {
    let add = |found: &mut Counts, lock: Lock| {
        if counts(&lock) {
            found.add(lock.judgement.verdict);
        }
    };
    let (_, parts, _) = pass(system, directory, options, Order::Any, &HashMap::new(), &add)?;
    let mut all = Counts::default();
    for part in &parts {
        all.add_all(part);
    }
    Ok(all)
}

/// Looks at all listed names for the first time. The locks are given in parts, in no certain order, to `put` on the calling
/// thread as soon as they have been looked at; `put` may end it.
pub(crate) fn look_at_all(
    looker: &Looker, opened: &dyn Directory, names: &Names, options: &LookOptions,
    put: &mut dyn FnMut(Vec<Lock>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let work = Work { opened, names, options, earlier: &HashMap::new(), next: AtomicUsize::new(0) };
    let push = |locks: &mut Vec<Lock>, lock| {
        if locks.is_empty() {
            locks.reserve_exact(PART);
        }
        locks.push(lock);
    };
    if work.is_for_one() {
        let mut openings = Openings::below(opened);
        while let Some(part) = work.take_part(looker, &mut openings, &push) {
            put(part.made)?;
        }
        return ControlFlow::Continue(());
    }
    let (work, push) = (&work, &push);
    let (give, take) = mpsc::channel();
    let (end, twins) = std::thread::scope(|scope| {
        let threads = [looker.twin(), looker.twin()].map(|twin| {
            let give = give.clone();
            scope.spawn(move || {
                // A window that is being made meanwhile has a processor of its own.
                give_way();
                let mut openings = Openings::below(opened);
                while let Some(part) = work.take_part(&twin, &mut openings, push) {
                    if give.send(part.made).is_err() {
                        break;
                    }
                }
                twin
            })
        });
        drop(give);
        let end = take.iter().try_for_each(&mut *put);
        // Whom nobody listens to any more does not look at the rest.
        drop(take);
        (end, threads.map(std::thread::ScopedJoinHandle::join))
    });
    for twin in twins {
        looker.learn_of(twin.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
    }
    end
}

/// So many names are worth two threads; a thread takes so many at a time.
const MANY: usize = 4096;
const PART: usize = 256;

/// In which order what was found is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    /// As the paths are ordered.
    ByPath,
    /// As the directory gives them.
    Any,
}

/// Looks at all of a directory. What `put` makes of the locks comes in parts, in this order.
fn pass<T: Default + Send>(
    system: &Arc<dyn System>, directory: &Path, options: &LookOptions, order: Order, earlier: &HashMap<&OsStr, &Facts>,
    put: &(impl Fn(&mut T, Lock) + Sync),
) -> Result<(Looker, Vec<T>, Vec<Problem>), LookError> {
    let opened = open(system, directory)?;
    let looker = Looker::new(system, &*opened, options, None);
    let mut names = list_names(&*opened, &looker, options).map_err(|error| LookError::of(directory, error))?;
    if order == Order::ByPath {
        names.sort();
    }
    let work = Work { opened: &*opened, names: &names, options, earlier, next: AtomicUsize::new(0) };
    let (mut parts, empties) = work.share(&looker, put);
    // A kernel lock seen late says what an empty file of the same pattern, seen early, means.
    if empties && looker.learned().len() > options.learned.len() {
        work.next.store(0, Ordering::Relaxed);
        (parts, _) = work.share(&looker, put);
    }
    Ok((looker, parts, names.problems))
}

/// What the threads of a pass share.
struct Work<'a> {
    opened: &'a dyn Directory,
    names: &'a Names,
    options: &'a LookOptions,
    earlier: &'a HashMap<&'a OsStr, &'a Facts>,
    /// The first name that nobody has taken yet.
    next: AtomicUsize,
}

impl Work<'_> {
    /// Whether a second thread would not help. A file system that may not answer is asked by one alone, who is waited for.
    fn is_for_one(&self) -> bool {
        let alone = self.names.listed.len() < MANY || self.opened.may_not_answer();
        alone || std::thread::available_parallelism().is_ok_and(|cores| cores.get() < 2)
    }

    /// All parts in their order, and whether any file was empty and told nothing.
    fn share<T: Default + Send>(&self, looker: &Looker, put: &(impl Fn(&mut T, Lock) + Sync)) -> (Vec<T>, bool) {
        if self.is_for_one() {
            return in_order(vec![self.take_parts(looker, put)]);
        }
        let twin = looker.twin();
        let (ours, theirs) = std::thread::scope(|scope| {
            let other = scope.spawn(move || {
                let parts = self.take_parts(&twin, put);
                (parts, twin)
            });
            let ours = self.take_parts(looker, put);
            (ours, other.join())
        });
        let (theirs, twin) = theirs.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        looker.learn_of(twin);
        in_order(vec![ours, theirs])
    }

    /// One thread's share: part by part as long as there are any.
    fn take_parts<T: Default>(&self, looker: &Looker, put: &impl Fn(&mut T, Lock)) -> Vec<Part<T>> {
        let mut openings = Openings::below(self.opened);
        std::iter::from_fn(|| self.take_part(looker, &mut openings, put)).collect()
    }

    /// The next part that nobody has taken; `None` = there is none.
    fn take_part<T: Default>(
        &self, looker: &Looker, openings: &mut Openings<'_>, put: &impl Fn(&mut T, Lock),
    ) -> Option<Part<T>> {
        let from = self.next.fetch_add(PART, Ordering::Relaxed);
        let to = (from + PART).min(self.names.listed.len());
        let paths = self.names.listed.get(from..to).filter(|paths| !paths.is_empty())?;
        let exists = |sibling: &[u8]| self.names.all.contains(sibling);
        let mut part = Part { from, made: T::default(), empties: false };
        for (number, path) in (from..).zip(paths) {
            let earlier = self.earlier.get(path.as_os_str()).copied();
            let kind = self.names.kind(number);
            let lock = looker.listed_lock(openings, &exists, path, kind, LockId(0), self.options, earlier);
            if let Some(lock) = lock {
                part.empties |= lock.facts.reading().format.id == "empty";
                put(&mut part.made, lock);
            }
        }
        Some(part)
    }
}

/// What was made of a part of the names.
struct Part<T> {
    /// The number of its first name.
    from: usize,
    made: T,
    /// A file was empty and told nothing.
    empties: bool,
}

fn in_order<T>(shares: Vec<Vec<Part<T>>>) -> (Vec<T>, bool) {
    let mut parts: Vec<Part<T>> = shares.into_iter().flatten().collect();
    parts.sort_by_key(|part| part.from);
    let empties = parts.iter().any(|part| part.empties);
    (parts.into_iter().map(|part| part.made).collect(), empties)
}

/// Looks at one file alone, anew and with everything that could matter. `path` is relative.
/// `None` = it is not there any more. The snapshot returned holds that one lock and the sight.
pub fn look_at_one(
    system: &Arc<dyn System>, directory: &Path, path: &OsStr, options: &LookOptions,
) -> Result<Option<(Arc<Lock>, Snapshot)>, LookError> {
    look_alone(system, directory, path, options, None)
}

/// As [`look_at_one`], for a lock that was seen before: a heartbeat shows only in time.
pub fn look_again(
    system: &Arc<dyn System>, directory: &Path, seen: &Lock, options: &LookOptions,
) -> Result<Option<(Arc<Lock>, Snapshot)>, LookError> {
    look_alone(system, directory, &seen.path, options, Some(&seen.facts))
}

fn look_alone(
    system: &Arc<dyn System>, directory: &Path, path: &OsStr, options: &LookOptions, earlier: Option<&Facts>,
) -> Result<Option<(Arc<Lock>, Snapshot)>, LookError> {
    let opened = open(system, directory)?;
    let looker = Looker::new(system, &*opened, options, None);
    let mut openings = Openings::below(&*opened);
    let exists = |sibling: &[u8]| {
        // Only names that stand in the same directory are asked for, so no link is followed.
        Openings::below(&*opened).parent(&os_name(sibling)).is_ok_and(|(parent, name)| parent.stat(name).is_ok())
    };
    let Some(lock) = looker.lock(&mut openings, &exists, path, LockId(0), options, earlier) else { return Ok(None) };
    let snapshot = snapshot_of(directory, &looker, vec![lock], Vec::new(), options);
    Ok(snapshot.lock(LockId(0)).cloned().map(|lock| (lock, snapshot)))
}

fn snapshot_of(
    directory: &Path, looker: &Looker, locks: Vec<Lock>, problems: Vec<Problem>, options: &LookOptions,
) -> Snapshot {
    let mut counts = Counts::default();
    for lock in &locks {
        counts.add(lock.judgement.verdict);
    }
    let mut chunks = Vec::with_capacity(locks.len() / CHUNK + 1);
    let mut locks = locks.into_iter().map(|lock| Some(Arc::new(lock))).peekable();
    while locks.peek().is_some() {
        chunks.push(Arc::new(locks.by_ref().take(CHUNK).collect()));
    }
    Snapshot {
        generation: 1,
        directory: directory.into(),
        taken_at: looker.now,
        taken_monotonic: looker.monotonic,
        scanned_at: looker.now,
        threshold: options.threshold,
        sight: Arc::clone(&looker.sight),
        watching: Watching::Live,
        counts,
        problems: problems.into(),
        chunks,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::this_machine;

    #[test]
    fn a_first_look_that_is_ended_early_ends_on_all_its_threads() {
        let directory = tempfile::tempdir().expect("a directory");
        for number in 0..MANY + PART {
            std::fs::write(directory.path().join(format!("{number}.lock")), "").expect("written");
        }
        let system = this_machine();
        let (opened, options) = (open(&system, directory.path()).expect("it opens"), LookOptions::default());
        let looker = Looker::new(&system, &*opened, &options, None);
        let names = list_names(&*opened, &looker, &options).expect("it can be listed");
        let mut seen = 0;
        let mut all = |locks: Vec<Lock>| {
            seen += locks.len();
            ControlFlow::Continue(())
        };
        assert!(look_at_all(&looker, &*opened, &names, &options, &mut all).is_continue());
        assert_eq!(seen, MANY + PART);
        let mut parts = 0;
        let mut first = |_| {
            parts += 1;
            ControlFlow::Break(())
        };
        assert!(look_at_all(&looker, &*opened, &names, &options, &mut first).is_break());
        assert_eq!(parts, 1);
    }
}
