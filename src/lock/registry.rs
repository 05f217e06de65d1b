//! The locks that this process holds, by group, so that a cancelled piece of work can let go of all that are its own.
//!
//! Owns: what all guards have in common (an entry here, let go once), [`release_group`], [`Scope`]. Never: lets go of what
//! another process took, not even after a fork.

use super::LockError;
use crate::model::naming::{NamePatterns, split};
use crate::platform::environment::own_pid;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How a lock locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A kernel lock on a file.
    Flock,
    /// A file whose existence is the lock.
    Marker,
    /// A marker that is renewed.
    Lease,
    /// `<file>.lock` that becomes the file.
    Replace,
}

impl Kind {
    const fn id(self) -> &'static str {
        match self {
            Self::Flock => "flock",
            Self::Marker => "marker",
            Self::Lease => "lease",
            Self::Replace => "replace",
        }
    }
}

/// What became of a lock that was let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// It is free.
    Freed,
    /// It was not ours any more: somebody took it away, and what stands there now was left alone.
    NotOurs,
    /// Nothing to do: it was let go before, or never taken (locking is disabled).
    Already,
}

/// A lock that this process holds.
#[derive(Clone, Debug)]
pub struct Held {
    /// Where.
    pub path: PathBuf,
    /// The piece of work that it belongs to.
    pub group: String,
    /// How it locks.
    pub kind: Kind,
    since: Instant,
}

impl Held {
    /// For how long.
    pub fn held_for(&self) -> Duration {
        self.since.elapsed()
    }
}

/// What a kind of lock does to let go. Called once, unless it fails.
pub(super) trait Hold: Send + Debug {
    fn let_go(&mut self, path: &Path) -> Result<Released, LockError>;
}

/// A lock as guard and registry share it.
#[derive(Debug)]
struct Entry<H> {
    number: u64,
    about: Held,
    /// The process that took it: after a fork the child has a copy of the guard, but not the lock.
    taker: u32,
    hold: Mutex<Option<H>>,
}

trait Registered: Send + Sync {
    fn about(&self) -> &Held;
    fn let_go(&self) -> Result<Released, LockError>;
}

static NEXT: AtomicU64 = AtomicU64::new(0);
static HELD: Mutex<BTreeMap<u64, Arc<dyn Registered>>> = Mutex::new(BTreeMap::new());

/// A panic while the registry is locked leaves it whole: each change is one call.
fn registry() -> MutexGuard<'static, BTreeMap<u64, Arc<dyn Registered>>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<H: Hold> Entry<H> {
    fn hold(&self) -> MutexGuard<'_, Option<H>> {
        self.hold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<H: Hold> Registered for Entry<H> {
    fn about(&self) -> &Held {
        &self.about
    }

    fn let_go(&self) -> Result<Released, LockError> {
        if self.taker != own_pid() {
            return Ok(Released::Already);
        }
        let mut hold = self.hold();
        let Some(held) = hold.as_mut() else { return Ok(Released::Already) };
        let Held { path, group, kind, .. } = &self.about;
        let (pid, ms) = (self.taker, self.about.held_for().as_millis() as u64);
        let result = held.let_go(path);
        match &result {
            Ok(Released::NotOurs) => {
                tracing::warn!(path = %path.display(), group, pid, held_ms = ms, kind = kind.id(), "not ours any more");
            }
            Ok(_) => tracing::debug!(path = %path.display(), group, pid, held_ms = ms, kind = kind.id(), "released"),
            Err(error) => {
                tracing::warn!(path = %path.display(), group, pid, held_ms = ms, %error, "not released");
            }
        }
        if result.is_ok() {
            *hold = None;
            drop(hold);
            registry().remove(&self.number);
        }
        result
    }
}

/// A guard's grip on its lock: lets go when it is dropped, also while unwinding.
#[derive(Debug)]
pub(super) struct Grip<H: Hold + 'static> {
    entry: Arc<Entry<H>>,
}

impl<H: Hold + 'static> Grip<H> {
    /// Registers a lock that was just taken.
    pub(super) fn new(path: &Path, group: &str, kind: Kind, waited: Duration, hold: H) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let taker = own_pid();
        tracing::debug!(
            path = %path.display(), group, pid = taker, waited_ms = waited.as_millis() as u64, kind = kind.id(),
            "acquired"
        );
        let about = Held { path: path.to_owned(), group: group.to_owned(), kind, since: Instant::now() };
        let entry = Arc::new(Entry { number, about, taker, hold: Mutex::new(Some(hold)) });
        registry().insert(number, Arc::<Entry<H>>::clone(&entry));
        Self { entry }
    }

    /// A guard that protects nothing, as locking is disabled.
    pub(super) fn disabled(path: &Path, group: &str, kind: Kind) -> Self {
        tracing::debug!(path = %path.display(), group, pid = own_pid(), kind = kind.id(), "not locked: disabled");
        let about = Held { path: path.to_owned(), group: group.to_owned(), kind, since: Instant::now() };
        Self { entry: Arc::new(Entry { number: u64::MAX, about, taker: own_pid(), hold: Mutex::new(None) }) }
    }

    pub(super) fn about(&self) -> &Held {
        &self.entry.about
    }

    /// Lets go; a second time it has nothing to do.
    pub(super) fn release(&self) -> Result<Released, LockError> {
        self.entry.let_go()
    }

    /// What is held, for as long as it is.
    pub(super) fn with<R>(&self, see: impl FnOnce(&mut H) -> R) -> Option<R> {
        if self.entry.taker != own_pid() {
            return None;
        }
        self.entry.hold().as_mut().map(see)
    }

    /// Whether there is anything to let go of.
    pub(super) fn is_held(&self) -> bool {
        self.with(|_| ()).is_some()
    }
}

impl<H: Hold + 'static> Drop for Grip<H> {
    fn drop(&mut self) {
        // What fails was logged; whoever wants to know calls `release`.
        if self.entry.let_go().is_err() {
            registry().remove(&self.entry.number);
        }
    }
}

/// The locks that this process holds, oldest first.
pub fn held() -> Vec<Held> {
    registry().values().map(|entry| entry.about().clone()).collect()
}

/// Lets go of all locks of a group, newest first. What could not be let go is told, and stays held.
pub fn release_group(group: &str) -> Vec<(PathBuf, Result<Released, LockError>)> {
    let mine: Vec<Arc<dyn Registered>> =
        registry().values().rev().filter(|entry| entry.about().group == group).map(Arc::clone).collect();
    mine.into_iter().map(|entry| (entry.about().path.clone(), entry.let_go())).collect()
}

/// Lets go of all locks of a group when it is dropped: at the end of a block, by a panic, or with a future that is
/// cancelled. Nothing in it waits, so it may live in async code; it needs no runtime.
#[derive(Debug)]
#[must_use = "a scope that is dropped at once lets go at once"]
pub struct Scope {
    group: String,
}

impl Scope {
    /// For the locks of this group, those taken already among them.
    pub fn new(group: impl Into<String>) -> Self {
        Self { group: group.into() }
    }

    /// The group, for taking locks in it.
    pub fn group(&self) -> &str {
        &self.group
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        release_group(&self.group);
    }
}

/// The group that a lock's name gives (`{id}_{key}.lock`, `{id}.lock`, `{file}.lock`); else its name.
pub fn group_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str()).as_encoded_bytes();
    let naming = split(name, &NamePatterns::default(), &|_| false);
    let group = naming.group(name);
    String::from_utf8_lossy(if group.is_empty() { name } else { group }).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Told(Arc<AtomicU64>, bool);

    impl Hold for Told {
        fn let_go(&mut self, path: &Path) -> Result<Released, LockError> {
            self.0.fetch_add(1, Ordering::Relaxed);
            if std::mem::take(&mut self.1) {
                return Err(LockError::failed(path, "removing")(std::io::ErrorKind::Other.into()));
            }
            Ok(Released::Freed)
        }
    }

    fn take(group: &str, count: &Arc<AtomicU64>, fails_once: bool) -> Grip<Told> {
        Grip::new(Path::new("/x.lock"), group, Kind::Marker, Duration::ZERO, Told(Arc::clone(count), fails_once))
    }

    fn in_group(group: &str) -> usize {
        held().iter().filter(|held| held.group == group).count()
    }

    #[test]
    fn the_name_gives_the_group() {
        for (path, group) in [
            ("/d/a41f9_messages.lock", "a41f9"),
            ("/d/a_b_uploaded_documents_list.lock", "a_b"),
            ("settings.json.lock", "settings.json"),
            ("/d/apache.pid", "apache.pid"),
        ] {
            assert_eq!(group_of(Path::new(path)), group);
        }
    }

    #[test]
    fn a_group_goes_at_once_and_each_lock_once() {
        let count = Arc::new(AtomicU64::new(0));
        let (one, two, other) = (take("g1", &count, false), take("g1", &count, false), take("g2", &count, false));
        assert_eq!(in_group("g1"), 2);
        assert_eq!(release_group("g1").len(), 2);
        assert_eq!((count.load(Ordering::Relaxed), in_group("g1"), in_group("g2")), (2, 0, 1));
        assert_eq!(one.release().unwrap(), Released::Already);
        drop((one, two));
        assert_eq!(count.load(Ordering::Relaxed), 2, "once each");
        drop(other);
        assert_eq!((count.load(Ordering::Relaxed), in_group("g2")), (3, 0));
    }

    #[test]
    fn what_fails_stays_held_and_can_be_tried_again() {
        let count = Arc::new(AtomicU64::new(0));
        let grip = take("g3", &count, true);
        assert!(grip.release().is_err());
        assert!(grip.is_held());
        assert_eq!(in_group("g3"), 1);
        assert_eq!(grip.release().unwrap(), Released::Freed);
        assert!(!grip.is_held());
    }

    #[test]
    fn a_scope_ends_with_a_panic_too() {
        let count = Arc::new(AtomicU64::new(0));
        // Kept elsewhere, as a cancelled task keeps its guard: the scope alone lets go.
        let grip = take("g4", &count, false);
        let panicked = std::panic::catch_unwind(|| {
            let _scope = Scope::new("g4");
            panic!("the work fails");
        });
        assert!(panicked.is_err());
        assert_eq!((count.load(Ordering::Relaxed), grip.is_held()), (1, false));
    }
}
