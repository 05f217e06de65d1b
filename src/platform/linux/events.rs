//! Events of directories, from inotify, read by the thread that acts on them: one thread less to wake for each change.
//!
//! Owns: [`Events`], and the [`Door`] at which a thread waits for them and for whoever rings. Never: reads a file, or
//! waits while it reads events.

use crate::platform::{Happened, NoEvents, Waited};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init, remove_watch};
use rustix::io::Errno;
use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What may change a lock or its name. Opening and reading is not asked for: we do so ourselves.
const WANTED: WatchFlags = WatchFlags::ATTRIB
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR);

/// Some thousand events at once.
const BUFFER: usize = 64 * 1024;

/// The events of one directory, and of those below it that are added.
#[derive(Debug)]
pub struct Events {
    inotify: OwnedFd,
    root: PathBuf,
    /// By the kernel's number: the directory, relative to the root.
    watched: HashMap<i32, PathBuf>,
    buffer: Vec<MaybeUninit<u8>>,
}

impl Events {
    /// Watches a directory itself, not what is below it. `door` is where they are waited for.
    pub fn of(root: &Path, door: &Door) -> Result<Self, NoEvents> {
        // Its thread waits for the descriptor itself; elsewhere somebody has to ring.
        let _ = door;
        let inotify = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(no_events)?;
        let buffer = vec![MaybeUninit::uninit(); BUFFER];
        let mut events = Self { inotify, root: root.to_owned(), watched: HashMap::new(), buffer };
        // The path given may lead through a link.
        events.watch(Path::new(""), WANTED)?;
        Ok(events)
    }

    /// Watches one more directory, relative to the root; never through a link.
    pub fn add(&mut self, below: &Path) -> Result<(), NoEvents> {
        self.watch(below, WANTED | WatchFlags::DONT_FOLLOW)
    }

    fn watch(&mut self, below: &Path, flags: WatchFlags) -> Result<(), NoEvents> {
        let number = add_watch(&self.inotify, &*self.root.join(below), flags).map_err(no_events)?;
        // A directory that was moved keeps its number: it is told of by the path where it was found last.
        self.watched.insert(number, below.to_owned());
        Ok(())
    }

    /// Watches these no more, relative to the root: others may stand at their paths.
    pub fn forget(&mut self, below: &HashSet<OsString>) {
        let Self { inotify, watched, .. } = self;
        watched.retain(|number, path| {
            let forgotten = below.contains(path.as_os_str());
            if forgotten {
                // It fails where the directory has gone: the kernel has let it go then.
                let _ = remove_watch(&*inotify, *number);
            }
            !forgotten
        });
    }

    /// Tells what has happened so far, without waiting. Where there is more, the door is still open.
    pub fn take(&mut self, each: &mut dyn FnMut(Happened<'_>)) {
        let Self { inotify, watched, buffer, .. } = self;
        let mut reader = Reader::new(&*inotify, buffer);
        loop {
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
                    tell(watched, event.wd(), event.events(), name, each);
                }
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR) => continue,
                Err(errno) => {
                    tracing::warn!(error = %io::Error::from(errno), "the file system's events failed");
                    return each(Happened::Lost);
                }
            }
            if reader.is_buffer_empty() {
                return;
            }
        }
    }
}

/// Tells of one event.
fn tell(
    watched: &mut HashMap<i32, PathBuf>, number: i32, events: ReadFlags, name: Option<&OsStr>,
    each: &mut dyn FnMut(Happened<'_>),
) {
    if events.contains(ReadFlags::QUEUE_OVERFLOW) {
        return each(Happened::Lost);
    }
    // Of a directory that is not watched any more: it was looked at since.
    let Some(directory) = watched.get(&number) else { return };
    match name {
        Some(name) => each(Happened::To(directory, name)),
        None => each(Happened::ToAll(directory)),
    }
    // The kernel has let go of it: with the directory, or with its file system.
    if events.contains(ReadFlags::IGNORED) {
        watched.remove(&number);
    }
}

fn no_events(errno: Errno) -> NoEvents {
    match errno {
        // `max_user_instances`, and `max_user_watches`.
        Errno::MFILE | Errno::NOSPC => NoEvents::OutOfWatches,
        // It has gone since it was listed; or it may be searched by others only, and then not be listed either.
        Errno::NOENT | Errno::NOTDIR | Errno::ACCESS | Errno::PERM | Errno::LOOP => NoEvents::OfThisOne,
        other => NoEvents::Failed(io::Error::from(other).to_string().into()),
    }
}

/// Where a thread waits for events, and for whoever has something to say to it.
#[derive(Debug)]
pub struct Door {
    bell: Bell,
}

/// Wakes the thread that waits at its [`Door`]; rung while nobody waits, the next wait ends at once.
#[derive(Clone, Debug)]
pub struct Bell(Arc<OwnedFd>);

impl Bell {
    /// Rings.
    pub fn ring(&self) {
        // It can fail only where it was rung 2^64 times and nobody came.
        let _ = rustix::io::write(&*self.0, &1_u64.to_ne_bytes());
    }
}

impl Door {
    /// A new one.
    pub fn new() -> io::Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(Self { bell: Bell(Arc::new(eventfd(0, flags)?)) })
    }

    /// What wakes who waits here.
    pub fn bell(&self) -> Bell {
        self.bell.clone()
    }

    /// Waits for events, the bell or the end of this time.
    pub fn wait(&self, events: Option<&Events>, at_most: Duration) -> Waited {
        let began = Instant::now();
        loop {
            let left = at_most.saturating_sub(began.elapsed());
            let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
            let bell = PollFd::new(&*self.bell.0, PollFlags::IN);
            // Without events the bell is asked for twice, so that there is one way.
            let happens = events.map_or_else(|| bell.clone(), |events| PollFd::new(&events.inotify, PollFlags::IN));
            let mut both = [bell, happens];
            match poll(&mut both, Some(&left)) {
                Ok(0) => return Waited::InVain,
                Ok(_) if both[0].revents().is_empty() => return Waited::Happened,
                Ok(_) => {
                    let _ = rustix::io::read(&*self.bell.0, &mut [0_u8; 8]);
                    return Waited::Rung;
                }
                Err(Errno::INTR) => {}
                Err(errno) => {
                    tracing::warn!(error = %io::Error::from(errno), "waiting for events failed");
                    // The kernel is out of memory, at most: not to be asked again and again.
                    std::thread::sleep(at_most);
                    return Waited::InVain;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
