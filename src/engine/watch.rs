//! Events from the file system, as hints: something may have changed there.
//!
//! Owns: the notify watcher of one directory (one watch a directory; notify's own recursion misses what is made quickly
//! and fails whole on one unreadable child). Never: believes an event. A hint leads to a look.

use crate::model::snapshot::PollingReason;
use crossbeam_channel::{Receiver, Sender, bounded};
use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher as _};
use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// More names at once than this are answered by reading the whole directory.
const MOST_NAMES: usize = 4096;

/// What the events since the last look say.
#[derive(Debug, Default)]
pub(super) struct Hints {
    /// Relative paths that may have changed.
    pub(super) paths: HashSet<OsString>,
    /// Events were lost: look at everything.
    pub(super) rescan: bool,
    /// The directory itself was deleted, moved or changed: the watch may be on what is not at the path any more. (Its inode
    /// number alone does not tell: it may be dealt again at once.)
    pub(super) root: bool,
}

/// A watch on one directory.
pub(super) struct Watch {
    watcher: RecommendedWatcher,
    root: PathBuf,
    hints: Arc<Mutex<Hints>>,
    /// Readable as soon as there are hints.
    pub(super) wake: Receiver<()>,
}

impl Watch {
    /// Watches the directory itself, not what is below it.
    pub(super) fn start(root: &Path) -> Result<Self, PollingReason> {
        let hints = Arc::new(Mutex::new(Hints::default()));
        let (signal, wake) = bounded(1);
        let handler = handler(root.to_owned(), Arc::clone(&hints), signal);
        let watcher = notify::recommended_watcher(handler).map_err(|error| reason(&error))?;
        let mut watch = Self { watcher, root: root.to_owned(), hints, wake };
        watch.add(Path::new(""))?;
        Ok(watch)
    }

    /// Watches one more directory, relative to the root. Watching one twice does no harm.
    pub(super) fn add(&mut self, below: &Path) -> Result<(), PollingReason> {
        let path = if below.as_os_str().is_empty() { self.root.clone() } else { self.root.join(below) };
        self.watcher.watch(&path, RecursiveMode::NonRecursive).map_err(|error| reason(&error))
    }

    /// Takes the hints so far.
    pub(super) fn take(&self) -> Hints {
        std::mem::take(&mut *self.hints.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn reason(error: &notify::Error) -> PollingReason {
    // EMFILE: max_user_instances; ENOSPC: max_user_watches, which notify gives its own kind.
    match &error.kind {
        notify::ErrorKind::MaxFilesWatch => PollingReason::OutOfWatches,
        notify::ErrorKind::Io(io) if io.raw_os_error() == Some(24) => PollingReason::OutOfWatches,
        _ => PollingReason::Failed(error.to_string().into()),
    }
}

fn handler(
    root: PathBuf, hints: Arc<Mutex<Hints>>, signal: Sender<()>,
) -> impl FnMut(notify::Result<Event>) + Send + 'static {
    move |event| {
        let mut hints = hints.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            // Reading makes events too; ours must not feed us.
            Ok(event) if matches!(event.kind, EventKind::Access(kind) if kind != AccessKind::Close(AccessMode::Write)) =>
            {
                return;
            }
            Ok(event) => {
                hints.rescan |= event.need_rescan();
                for path in event.paths {
                    match path.strip_prefix(&root) {
                        Ok(below) if below.as_os_str().is_empty() => hints.root = true,
                        Ok(below) => drop(hints.paths.insert(below.as_os_str().to_owned())),
                        Err(_) => hints.rescan = true,
                    }
                }
                if hints.paths.len() > MOST_NAMES {
                    hints.paths.clear();
                    hints.rescan = true;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the file system's events failed; looking at everything");
                hints.rescan = true;
            }
        }
        drop(hints);
        // Full = a wake-up is under way already.
        let _ = signal.try_send(());
    }
}
