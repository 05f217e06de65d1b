//! Events of directories, from notify: whatever this system has for them.
//!
//! Owns: [`Events`], and the [`Door`] at which a thread waits for them and for whoever rings. Never: believes an event.

use crate::platform::{Happened, NoEvents, Waited};
use crossbeam_channel::{Receiver, Sender, bounded};
use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use std::collections::HashSet;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// More than these are answered by reading the whole directory.
const MOST_PATHS: usize = 16 * 1024;

/// What notify's thread has told and nobody has taken yet.
#[derive(Debug, Default)]
struct Told {
    paths: Vec<PathBuf>,
    lost: bool,
}

/// The events of one directory, and of those below it that are added.
#[derive(Debug)]
pub struct Events {
    watcher: RecommendedWatcher,
    root: PathBuf,
    told: Arc<Mutex<Told>>,
}

impl Events {
    /// Watches a directory itself, not what is below it. `door` is where they are waited for.
    pub fn of(root: &Path, door: &Door) -> Result<Self, NoEvents> {
        let told = Arc::new(Mutex::new(Told::default()));
        let handler = handler(Arc::clone(&told), door.bell());
        let mut watcher = notify::recommended_watcher(handler).map_err(|error| no_events(&error))?;
        watcher.watch(root, RecursiveMode::NonRecursive).map_err(|error| no_events(&error))?;
        Ok(Self { watcher, root: root.to_owned(), told })
    }

    /// Watches one more directory, relative to the root. One at a time: notify's own recursion misses what is made quickly
    /// and fails whole on one unreadable child.
    pub fn add(&mut self, below: &Path) -> Result<(), NoEvents> {
        self.watcher.watch(&self.root.join(below), RecursiveMode::NonRecursive).map_err(|error| no_events(&error))
    }

    /// Watches these no more, relative to the root: others may stand at their paths.
    pub fn forget(&mut self, below: &HashSet<OsString>) {
        for path in below {
            // It fails where the directory has gone.
            let _ = self.watcher.unwatch(&self.root.join(path));
        }
    }

    /// Tells what has happened so far, without waiting.
    pub fn take(&mut self, each: &mut dyn FnMut(Happened<'_>)) {
        let told = std::mem::take(&mut *self.told.lock().unwrap_or_else(PoisonError::into_inner));
        if told.lost {
            each(Happened::Lost);
        }
        for path in &told.paths {
            match path.strip_prefix(&self.root).map(|below| (below, below.parent(), below.file_name())) {
                Ok((_, Some(directory), Some(name))) => each(Happened::To(directory, name)),
                Ok((itself, ..)) => each(Happened::ToAll(itself)),
                Err(_) => each(Happened::Lost),
            }
        }
    }

    fn any(&self) -> bool {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.lost || !told.paths.is_empty()
    }
}

fn no_events(error: &notify::Error) -> NoEvents {
    use std::io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    match &error.kind {
        notify::ErrorKind::MaxFilesWatch => NoEvents::OutOfWatches,
        // EMFILE: no more instances for this user.
        notify::ErrorKind::Io(io) if io.raw_os_error() == Some(24) => NoEvents::OutOfWatches,
        notify::ErrorKind::PathNotFound => NoEvents::OfThisOne,
        notify::ErrorKind::Io(io) if matches!(io.kind(), NotFound | NotADirectory | PermissionDenied) => {
            NoEvents::OfThisOne
        }
        _ => NoEvents::Failed(error.to_string().into()),
    }
}

fn handler(told: Arc<Mutex<Told>>, bell: Bell) -> impl FnMut(notify::Result<notify::Event>) + Send + 'static {
    move |event| {
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            // Reading makes events too; ours must not feed us.
            Ok(event) if matches!(event.kind, EventKind::Access(kind) if kind != AccessKind::Close(AccessMode::Write)) =>
            {
                return;
            }
            Ok(event) => {
                told.lost |= event.need_rescan();
                told.paths.extend(event.paths);
                if told.paths.len() > MOST_PATHS {
                    told.paths.clear();
                    told.lost = true;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the file system's events failed");
                told.lost = true;
            }
        }
        drop(told);
        bell.ring();
    }
}

/// Where a thread waits for events, and for whoever has something to say to it.
#[derive(Debug)]
pub struct Door {
    bell: Bell,
    rung: Receiver<()>,
}

/// Wakes the thread that waits at its [`Door`]; rung while nobody waits, the next wait ends at once.
#[derive(Clone, Debug)]
pub struct Bell(Sender<()>);

impl Bell {
    /// Rings.
    pub fn ring(&self) {
        // Full = it was rung, and nobody has come yet.
        let _ = self.0.try_send(());
    }
}

impl Door {
    /// A new one. It fails nowhere; on Linux it may.
    pub fn new() -> io::Result<Self> {
        let (ring, rung) = bounded(1);
        Ok(Self { bell: Bell(ring), rung })
    }

    /// What wakes who waits here.
    pub fn bell(&self) -> Bell {
        self.bell.clone()
    }

    /// Waits for events, the bell or the end of this time.
    pub fn wait(&self, events: Option<&Events>, at_most: Duration) -> Waited {
        // One ring may have been for a word and for events: those are asked for whoever rang.
        let happened = || events.is_some_and(Events::any);
        if happened() {
            return Waited::Happened;
        }
        match self.rung.recv_timeout(at_most) {
            Err(_) => Waited::InVain,
            Ok(()) if happened() => Waited::Happened,
            Ok(()) => Waited::Rung,
        }
    }
}
