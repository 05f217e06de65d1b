//! One pass over a directory.

use super::evidence::{Looker, open, trouble};
use super::subfolders::{Descent, has_gone};
use super::{LookError, LookOptions};
use crate::model::facts::{Facts, FileKind};
use crate::model::format::{Listed, listed};
use crate::model::naming::{Naming, split};
use crate::model::snapshot::{CHUNK, Counts, Lock, LockId, LookedAt, Problem, Snapshot, Watching};
use crate::model::verdict::judge;
use crate::platform::{Directory, DirectoryId, System, os_name};
use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The names in a directory (below it too, if asked for): those to list, and all, as siblings decide what names mean.
#[derive(Debug, Default)]
pub struct Names {
    /// Relative paths to look at.
    pub listed: Vec<OsString>,
    /// All relative paths.
    pub all: HashSet<Box<[u8]>>,
    /// Subdirectories that were entered, relative; the directory itself is not among them.
    pub directories: Vec<OsString>,
    /// What could not be listed.
    pub problems: Vec<Problem>,
    /// Of the directories that were entered, one that may not answer: there nothing else may touch it, so it has no events.
    pub unwatched: Option<DirectoryId>,
}

/// What stays of a name when its id is taken off: files alike in this are locked alike.
fn pattern(path: &OsStr, naming: &Naming, exists: &dyn Fn(&[u8]) -> bool) -> Box<[u8]> {
    let bytes = path.as_encoded_bytes();
    if naming.group_end == 0 {
        let dot = bytes.iter().rposition(|b| *b == b'.');
        return dot.map_or(Box::default(), |at| bytes[at..].into());
    }
    let beside_file = bytes.strip_suffix(b".lock").is_some_and(exists);
    let rest = &bytes[usize::from(naming.group_end)..];
    if beside_file { [b"/", rest].concat().into() } else { rest.into() }
}

/// Reads the names of a directory. What cannot be read below it is a problem with its path, never an end.
pub fn list_names(directory: &dyn Directory, looker: &Looker, options: &LookOptions) -> std::io::Result<Names> {
    list_names_entering(directory, looker, options, &mut |_, _| {})
}

/// The same; `entering` is told of each subfolder before it is read.
pub fn list_names_entering(
    directory: &dyn Directory, looker: &Looker, options: &LookOptions, entering: &mut dyn FnMut(&Path, &dyn Directory),
) -> std::io::Result<Names> {
    let mut names = Names::default();
    let mut descent = Descent::from(directory, entering);
    walk(directory, Path::new(""), looker, options, &mut names, &mut descent)?;
    Ok(names)
}

fn walk(
    directory: &dyn Directory, below: &Path, looker: &Looker, options: &LookOptions, names: &mut Names,
    descent: &mut Descent<'_>,
) -> std::io::Result<()> {
    let mut deeper = Vec::new();
    directory.entries(&mut |name, kind, ino| {
        let path = below.join(name).into_os_string();
        names.all.insert(path.as_encoded_bytes().into());
        let bytes = name.as_encoded_bytes();
        let own_leftover = bytes.starts_with(b".lockscope-");
        let locked = || {
            let stat = looker.may_be_locked(ino).then(|| directory.stat(name).ok()).flatten();
            stat.is_some_and(|stat| stat.kind == FileKind::Regular && looker.is_locked(&stat))
        };
        let place = directory.path().as_os_str().as_encoded_bytes();
        let by_name = || listed(place, bytes) != Listed::No || options.custom.lists(place, bytes);
        let listed = !own_leftover && (by_name() || locked());
        if options.recursive && kind == Some(FileKind::Directory) {
            deeper.push((name.to_owned(), listed));
        }
        if listed {
            names.listed.push(path);
        }
    })?;
    for (name, listed) in deeper {
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
        match walk(&*child, &path, looker, options, names, descent) {
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
        let naming = split(path.as_encoded_bytes(), &options.patterns, exists);
        let pattern = pattern(path, &naming, exists);
        let (mut look, by_content) = match openings.parent(path) {
            Ok((directory, name)) => {
                let place = directory.path().as_os_str().as_encoded_bytes();
                (self.look(directory, name, &naming, &pattern)?, listed(place, name.as_encoded_bytes()))
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
            facts: look.facts,
            bytes: look.bytes,
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
    due: None,
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
    let opened = open(system, directory)?;
    let looker = Looker::new(system, &*opened, options, None);
    let mut names = list_names(&*opened, &looker, options).map_err(|error| LookError::of(directory, error))?;
    names.listed.sort_unstable();
    let mut openings = Openings::below(&*opened);
    let mut pass = |looker: &Looker, locks: &mut Vec<Lock>| {
        locks.clear();
        for path in &names.listed {
            let id = LockId(locks.len() as u32);
            let exists = |sibling: &[u8]| names.all.contains(sibling);
            let earlier = earlier.get(path.as_os_str()).copied();
            locks.extend(looker.lock(&mut openings, &exists, path, id, options, earlier));
        }
    };
    let mut locks = Vec::new();
    pass(&looker, &mut locks);
    // A kernel lock seen late says what an empty file of the same pattern, seen early, means.
    if looker.learned().len() > options.learned.len()
        && locks.iter().any(|lock| lock.facts.reading.format.id == "empty")
    {
        pass(&looker, &mut locks);
    }
    Ok(snapshot_of(directory, &looker, locks, names.problems, options))
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
