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
    /// Subfolders that have a watch.
    below: HashSet<OsString>,
    /// Watches for subfolders may be asked for.
    pub(super) takes_more: bool,
    /// Readable as soon as there are hints.
    pub(super) wake: Receiver<()>,
}

impl Watch {
    /// Watches the directory itself, not what is below it.
    pub(super) fn start(root: &Path) -> Result<Self, PollingReason> {
        let hints = Arc::new(Mutex::new(Hints::default()));
        let (signal, wake) = bounded(1);
        let handler = handler(root.to_owned(), Arc::clone(&hints), signal);
        let mut watcher = notify::recommended_watcher(handler).map_err(|error| reason(&error))?;
        watcher.watch(root, RecursiveMode::NonRecursive).map_err(|error| reason(&error))?;
        Ok(Self { watcher, root: root.to_owned(), hints, below: HashSet::new(), takes_more: true, wake })
    }

    /// Watches one more directory, relative to the root, unless it is watched already.
    pub(super) fn add(&mut self, below: &Path) -> Result<(), PollingReason> {
        if self.below.contains(below.as_os_str()) {
            return Ok(());
        }
        match self.watcher.watch(&self.root.join(below), RecursiveMode::NonRecursive) {
            Ok(()) => {
                self.below.insert(below.as_os_str().to_owned());
                Ok(())
            }
            // It has gone since it was listed; or it may be searched by others only, and then not be listed either.
            Err(error) if is_about_this_one(&error) => Ok(()),
            Err(error) => Err(reason(&error)),
        }
    }

    /// Takes the hints so far. A subfolder that they speak of may be another by now, without a watch: it gets one anew.
    pub(super) fn take(&mut self) -> Hints {
        let hints = std::mem::take(&mut *self.hints.lock().unwrap_or_else(PoisonError::into_inner));
        if hints.rescan {
            self.below.clear();
        } else if hints.paths.iter().any(|path| self.below.contains(path)) {
            let touched =
                |below: &OsString| Path::new(below).ancestors().any(|up| hints.paths.contains(up.as_os_str()));
            self.below.retain(|below| !touched(below));
        }
        hints
    }
}

fn is_about_this_one(error: &notify::Error) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    match &error.kind {
        notify::ErrorKind::PathNotFound => true,
        notify::ErrorKind::Io(io) => matches!(io.kind(), NotFound | NotADirectory | PermissionDenied),
        _ => false,
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
