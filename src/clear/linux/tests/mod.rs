//! The protocol with others in between: a closure runs at a given step, so that every interleaving is forced.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod crash;
mod forms;
mod interleave;
mod model;
mod places;
mod plain;

use super::journal::{Entry, State};
use super::permit::{ClearPermit, recheck};
use super::protocol::{Step, Steps, run};
use super::{ClearError, Cleared, Consent, Workplace};
use crate::inspect::{LookOptions, look_at_one};
use crate::model::snapshot::Lock;
use crate::platform::this_machine;
use std::cell::{Cell, RefCell};
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

/// A PID that no process has: beyond any pid_max.
const DEAD: &str = "4194305\n";
/// The lock that the tests clear.
const NAME: &str = "job.pid";

/// A directory with one stale lock, and a workplace that shares nothing with the person's own.
struct World {
    base: TempDir,
    workplace: Workplace,
    directory: PathBuf,
    lock: PathBuf,
}

impl World {
    fn new() -> Self {
        Self::with(tempfile::tempdir().unwrap(), NAME, DEAD)
    }

    fn with(base: TempDir, name: &str, content: &str) -> Self {
        let workplace = workplace(base.path());
        // Deep enough that no program at work in the directory of all temporary files counts as at work here.
        let directory = base.path().join("in/locks");
        fs::create_dir_all(&directory).unwrap();
        let lock = directory.join(name);
        let world = Self { base, workplace, directory, lock };
        world.write_stale(content);
        world
    }

    /// (Re-)creates the lock, an hour old.
    fn write_stale(&self, content: &str) {
        let mut file = fs::File::create_new(&self.lock).unwrap();
        file.write_all(content.as_bytes()).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_hours(1)).unwrap();
    }

    fn seen(&self) -> Arc<Lock> {
        let name = self.lock.file_name().unwrap();
        look_at_one(&self.workplace.system, &self.directory, name, &LookOptions::default()).unwrap().unwrap().0
    }

    fn permit(&self) -> ClearPermit<'_> {
        recheck(&self.workplace, &self.directory, &self.seen(), &LookOptions::default(), Consent::ByName).unwrap()
    }

    fn clear(&self, steps: &dyn Steps) -> Result<Cleared, ClearError> {
        run(self.permit(), steps)
    }

    /// What others do when a step was just passed.
    fn clear_with(&self, step: Step, act: impl FnOnce()) -> Result<Cleared, ClearError> {
        let hook = Hook::at(step, act);
        let result = self.clear(&hook);
        assert!(hook.ran(), "{step:?} was never passed");
        result
    }

    /// All names in the lock's directory.
    fn names(&self) -> Vec<String> {
        names(&self.directory)
    }

    fn pending(&self) -> Vec<String> {
        names(&self.workplace.state_dir.join("pending"))
    }

    fn entry(&self, state: State) -> Entry {
        let entries = self.workplace.journal().read().unwrap();
        let all = entries.iter().map(|entry| (entry.state, entry.outcome.clone())).collect::<Vec<_>>();
        entries.into_iter().rfind(|entry| entry.state == state).unwrap_or_else(|| panic!("no {state:?} in {all:?}"))
    }

    /// Nothing of ours is left: neither in the directory nor among the intents.
    fn assert_tidy(&self, expected: &[&str]) {
        assert_eq!(self.names(), expected, "what stands in the directory");
        assert_eq!(self.pending(), [""; 0], "open intents");
    }

    /// The lock as it was: nothing was done to it.
    fn assert_untouched(&self, before: &Look) {
        assert_eq!(Look::at(&self.lock), *before);
        self.assert_tidy(&[NAME]);
    }
}

fn workplace(base: &Path) -> Workplace {
    let usual = Workplace::new(this_machine(), &base.join("state"), crate::clear::journal::tests::lock);
    Workplace { runtime_dir: base.join("run"), ..usual }
}

/// A lock that is a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Shape {
    /// Empty, made by `mkdir` and touched again and again: proper-lockfile.
    Empty,
    /// Made by `mkdir`, then a file in it that names the owner: pylockfile.
    Child,
    /// Renamed into place with a file in it that names the owner: Twisted.
    Full,
}

const SHAPES: [Shape; 3] = [Shape::Empty, Shape::Child, Shape::Full];

impl Shape {
    fn name(self) -> &'static str {
        match self {
            Self::Empty => "res.lock",
            Self::Child => "data.lock",
            Self::Full => "twistd.pid.lock",
        }
    }

    fn of(path: &Path) -> Option<Self> {
        SHAPES.into_iter().find(|shape| path.file_name().unwrap() == shape.name())
    }

    /// What is in one whose owner has this PID.
    fn inside(self, pid: &str) -> Option<(String, String)> {
        match self {
            Self::Empty => None,
            Self::Child => Some((format!("{}.-fceb7b80{pid}", this_machine().host().name), String::new())),
            Self::Full => Some(("symlink".to_owned(), pid.to_owned())),
        }
    }

    /// Takes the lock as its tool does.
    fn take(self, path: &Path, pid: &str) -> io::Result<u64> {
        let inside = self.inside(pid);
        let (place, renamed) = match self {
            Self::Full => (path.with_extension("new"), true),
            _ => (path.to_owned(), false),
        };
        fs::create_dir(&place)?;
        if let Some((name, content)) = inside {
            fs::write(place.join(name), content).unwrap();
        }
        if renamed && let Err(error) = fs::rename(&place, path) {
            fs::remove_dir_all(&place).unwrap();
            return Err(error);
        }
        Ok(ino(path))
    }
}

impl World {
    /// With a stale lock that is a directory.
    fn shaped(shape: Shape) -> Self {
        let mut world = Self::new();
        fs::remove_file(&world.lock).unwrap();
        world.lock = world.directory.join(shape.name());
        shape.take(&world.lock, DEAD.trim()).unwrap();
        // Of whole milliseconds, as its tool sets the time of an empty one.
        let hour_ago = SystemTime::now() - Duration::from_hours(1);
        let since = hour_ago.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs());
        fs::File::open(&world.lock).unwrap().set_modified(time).unwrap();
        world
    }
}

/// What makes a file the same one, untouched.
#[derive(Debug, PartialEq, Eq)]
struct Look {
    ino: u64,
    mode: u32,
    modified: (i64, i64),
    links: u64,
    content: Vec<u8>,
}

impl Look {
    fn at(path: &Path) -> Self {
        let stat = fs::symlink_metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let content = if stat.is_symlink() {
            fs::read_link(path).unwrap().into_os_string().into_encoded_bytes()
        } else if stat.is_dir() {
            let each = |name: String| format!("{name} {:?}\n", Look::at(&path.join(&name))).into_bytes();
            names(path).into_iter().flat_map(each).collect()
        } else {
            fs::read(path).unwrap()
        };
        let modified = (stat.mtime(), stat.mtime_nsec());
        Self { ino: stat.ino(), mode: stat.mode(), modified, links: stat.nlink(), content }
    }
}

fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn ino(path: &Path) -> u64 {
    fs::symlink_metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).ino()
}

fn free(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// A newcomer takes the lock as its tool does; a file as O_EXCL holders do. Gives its inode.
fn newcomer(path: &Path) -> u64 {
    if let Some(shape) = Shape::of(path) {
        return shape.take(path, "1").unwrap();
    }
    let mut file = fs::File::create_new(path).unwrap();
    file.write_all(b"new data").unwrap();
    file.metadata().unwrap().ino()
}

/// A breaker removes what stands there, whatever it is.
fn remove_tree(path: &Path) {
    if fs::symlink_metadata(path).unwrap().is_dir() {
        fs::remove_dir_all(path).unwrap();
    } else {
        fs::remove_file(path).unwrap();
    }
}

/// What others do.
type Act<'a> = Box<dyn FnOnce() + 'a>;

/// Closures, each to be run once, when its step was passed for the first time.
struct Hook<'a> {
    acts: RefCell<Vec<(Step, Act<'a>)>>,
    fault: Cell<Option<(Step, i32)>>,
}

impl<'a> Hook<'a> {
    fn at(step: Step, act: impl FnOnce() + 'a) -> Self {
        Self { acts: RefCell::new(vec![(step, Box::new(act))]), fault: Cell::new(None) }
    }

    fn and_at(self, step: Step, act: impl FnOnce() + 'a) -> Self {
        self.acts.borrow_mut().push((step, Box::new(act)));
        self
    }

    fn fault(step: Step, errno: i32) -> Self {
        Self { acts: RefCell::default(), fault: Cell::new(Some((step, errno))) }
    }

    /// Whether every closure had its turn.
    fn ran(&self) -> bool {
        self.acts.borrow().is_empty() && self.fault.get().is_none()
    }
}

impl Steps for Hook<'_> {
    fn after(&self, step: Step) {
        let act = {
            let mut acts = self.acts.borrow_mut();
            acts.iter().position(|(at, _)| *at == step).map(|index| acts.remove(index).1)
        };
        if let Some(act) = act {
            act();
        }
    }

    fn fault(&self, step: Step) -> Option<io::Error> {
        let (_, errno) = self.fault.get().filter(|(at, _)| *at == step)?;
        self.fault.set(None);
        Some(io::Error::from_raw_os_error(errno))
    }
}
