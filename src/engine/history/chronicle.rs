//! The thread that keeps the past: it takes in each session's snapshots, publishes histories, writes them down, and knows
//! when a lock that somebody waits for is free.
//!
//! Owns: which directories are watched now, by their feeds. Never: slows the thread that watches: what it cannot take in
//! at once it takes in as the newest state.

use super::recorder::Recorder;
use super::{History, kept};
use crate::engine::vigil::{Awaited, Freed, Vigil, held_for};
use crate::engine::{EngineOptions, Event, Shared};
use crate::inspect::{LookOptions, look_again, look_at_one};
use crate::lock::json::JsonError;
use crate::model::snapshot::{Lock, Snapshot};
use crate::platform::{System, environment};
use crossbeam_channel::Sender;
use std::collections::{HashMap, VecDeque};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// So many snapshots may wait to be taken in; beyond that only the newest counts.
const MOST_WAITING: usize = 256;
/// Written when nothing has changed for so long, or after the longer time at the latest; and to say that it was watched until
/// then, which alone is what a crash would lose of a quiet time.
const QUIET: Duration = Duration::from_secs(2);
const LATEST: Duration = Duration::from_secs(10);
const STILL_WATCHED: Duration = Duration::from_mins(5);
/// Writing takes never more than a two-thousandth of our time: what a crash may lose is as long as it takes, so often.
const WRITE_SHARE: u32 = 2000;
/// A lock in a directory that nobody watches is looked at this often.
const LOOK: Duration = Duration::from_secs(1);
/// Directories whose history stays at hand after they were left.
const AT_HAND: usize = 16;

enum Note {
    Seen(u64, Arc<Snapshot>),
    Left(u64, Arc<Path>),
    Wish(Awaited, bool, Box<LookOptions>),
    TellStale(bool),
    End,
}

#[derive(Default)]
struct Inbox {
    notes: Mutex<VecDeque<Note>>,
    arrived: Condvar,
}

impl Inbox {
    fn put(&self, note: Note) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Note::Seen(feed, _) = &note
            && notes.len() >= MOST_WAITING
            && let Some(last) = notes.iter_mut().rev().find(|old| matches!(old, Note::Seen(other, _) if other == feed))
        {
            *last = note;
        } else {
            notes.push_back(note);
        }
        self.arrived.notify_one();
    }

    /// All that has arrived; waits for it, `patience` at most.
    fn take(&self, patience: Option<Duration>) -> VecDeque<Note> {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.is_empty() {
            notes = match patience {
                None => self.arrived.wait(notes).unwrap_or_else(PoisonError::into_inner),
                Some(patience) => self.arrived.wait_timeout(notes, patience).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
        std::mem::take(&mut notes)
    }
}

/// A handle: where snapshots and wishes go. When the last one goes, the thread writes what is not written yet, and ends.
pub(in crate::engine) struct Chronicle {
    inbox: Arc<Inbox>,
    feeds: AtomicU64,
}

/// One session's way in. Whoever drops it watches no more.
pub(in crate::engine) struct Feed {
    inbox: Arc<Inbox>,
    number: u64,
    directory: Mutex<Option<Arc<Path>>>,
}

impl Feed {
    /// The newest picture.
    pub(in crate::engine) fn seen(&self, snapshot: &Arc<Snapshot>) {
        *self.directory.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&snapshot.directory));
        self.inbox.put(Note::Seen(self.number, Arc::clone(snapshot)));
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        if let Some(directory) = self.directory.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            self.inbox.put(Note::Left(self.number, directory));
        }
    }
}

impl Chronicle {
    /// Starts the thread; `alive` is dropped when it has ended.
    pub(in crate::engine) fn start(
        options: &EngineOptions, shared: Arc<Shared>, events: Sender<Event>, wake: Arc<dyn Fn() + Send + Sync>,
        alive: Sender<()>,
    ) -> Self {
        let inbox = Arc::new(Inbox::default());
        let mut vigil = Vigil::default();
        vigil.tell_stale = options.settings.tell_when_stale;
        let mut keeper = Keeper {
            system: Arc::clone(&options.system),
            state_dir: options.state_dir.clone(),
            shared,
            events,
            wake,
            books: HashMap::new(),
            vigil,
            alone: HashMap::new(),
            looked: Duration::ZERO,
        };
        let arriving = Arc::clone(&inbox);
        let body = move || {
            // What was is in no hurry: first the present is shown.
            environment::give_way();
            keeper.run(&arriving);
            drop(alive);
        };
        if let Err(error) = std::thread::Builder::new().name("history".into()).spawn(body) {
            tracing::error!(%error, "the history thread could not be started");
        }
        Self { inbox, feeds: AtomicU64::new(1) }
    }

    /// A way in for a session's snapshots.
    pub(in crate::engine) fn feed(&self) -> Feed {
        let number = self.feeds.fetch_add(1, Ordering::Relaxed);
        Feed { inbox: Arc::clone(&self.inbox), number, directory: Mutex::default() }
    }

    /// Tell when this lock is free, or do not.
    pub(in crate::engine) fn wish(&self, lock: Awaited, on: bool, options: LookOptions) {
        self.inbox.put(Note::Wish(lock, on, Box::new(options)));
    }

    /// Tell when any lock turns stale, or do not.
    pub(in crate::engine) fn tell_stale(&self, on: bool) {
        self.inbox.put(Note::TellStale(on));
    }
}

impl Drop for Chronicle {
    fn drop(&mut self) {
        self.inbox.put(Note::End);
    }
}

/// One directory's history in the making.
struct Book {
    recorder: Recorder,
    /// The feed that it is written from; `None` = nobody watches it now.
    feed: Option<u64>,
    newest: Option<Arc<Snapshot>>,
    /// Since when something is not written, and since when nothing has changed; on the monotonic clock.
    unwritten: Option<(Duration, Duration)>,
    written: Duration,
    write_took: Duration,
    /// It could not be written, and that has been said.
    said: bool,
}

impl Book {
    /// When it is to be written next, on the monotonic clock.
    fn write_due(&self) -> Option<Duration> {
        let due = match self.unwritten {
            Some((since, quiet)) => Some((quiet + QUIET).min(since + LATEST)),
            None => self.feed.map(|_| self.written + STILL_WATCHED),
        };
        due.map(|due| due.max(self.written + self.write_took * WRITE_SHARE))
    }
}

struct Keeper {
    system: Arc<dyn System>,
    state_dir: Option<PathBuf>,
    shared: Arc<Shared>,
    events: Sender<Event>,
    wake: Arc<dyn Fn() + Send + Sync>,
    books: HashMap<Arc<Path>, Book>,
    vigil: Vigil,
    /// Of locks that are waited for: how to look at them, and how they were when looked at alone.
    alone: HashMap<Awaited, (Box<LookOptions>, Option<Arc<Lock>>)>,
    looked: Duration,
}

impl Keeper {
    fn run(&mut self, inbox: &Inbox) {
        loop {
            let now = self.system.monotonic();
            let due = self.due();
            let notes = inbox.take(due.map(|due| due.saturating_sub(now).max(Duration::from_millis(5))));
            let mut news = !notes.is_empty();
            let mut ended = false;
            for note in notes {
                match note {
                    Note::Seen(feed, snapshot) => self.see(feed, &snapshot),
                    Note::Left(feed, directory) => self.leave(feed, &directory),
                    Note::Wish(lock, on, options) => self.wish(&lock, on, options),
                    Note::TellStale(on) => self.vigil.tell_stale = on,
                    Note::End => ended = true,
                }
            }
            let now = self.system.monotonic();
            if self.vigil_is_alone() && now.saturating_sub(self.looked) >= LOOK {
                self.looked = now;
                news |= self.look_alone();
            }
            if let Some(turned) = self.vigil.turned_stale(now) {
                let _ = self.events.send(Event::TurnedStale(turned));
                news = true;
            }
            if ended {
                let at = self.system.wall();
                self.books.values_mut().filter(|book| book.feed.is_some()).for_each(|book| book.recorder.stop(at));
            }
            self.write(ended);
            if ended {
                return;
            }
            if news {
                self.publish();
                (self.wake)();
            }
        }
    }

    /// When something is to be done though nothing arrives.
    fn due(&self) -> Option<Duration> {
        let writes = self.books.values().filter_map(Book::write_due).min().filter(|_| self.state_dir.is_some());
        let looks = self.vigil_is_alone().then(|| self.looked + LOOK);
        [writes, looks, self.vigil.due()].into_iter().flatten().min()
    }

    fn see(&mut self, feed: u64, snapshot: &Arc<Snapshot>) {
        let now = self.system.monotonic();
        let directory = &snapshot.directory;
        if !self.books.contains_key(directory) {
            let book = self.open(directory, now);
            self.books.insert(Arc::clone(directory), book);
        }
        let Some(book) = self.books.get_mut(directory) else { return };
        // One session took over from another: what was between them nobody saw.
        if book.feed.is_some_and(|known| known > feed) {
            return;
        }
        if book.feed.replace(feed).is_some_and(|known| known < feed) {
            book.recorder.stop(snapshot.taken_at);
        }
        let changes = book.recorder.see(snapshot);
        book.newest = Some(Arc::clone(snapshot));
        if changes.first || changes.recorded {
            let since = book.unwritten.map_or(now, |(since, _)| since);
            book.unwritten = Some((since, now));
        }
        for freed in self.vigil.hear(directory, &changes, now) {
            self.tell(freed);
        }
    }

    fn open(&self, directory: &Arc<Path>, now: Duration) -> Book {
        let empty = || History::new(Arc::clone(directory));
        let history = match self.state_dir.as_deref().filter(|_| !is_demo(directory)) {
            None => empty(),
            Some(state_dir) => kept::load(state_dir, directory, self.system.wall()).unwrap_or_else(|error| {
                self.notice(&error);
                empty()
            }),
        };
        Book {
            recorder: Recorder::new(history),
            feed: None,
            newest: None,
            unwritten: None,
            written: now,
            write_took: Duration::ZERO,
            said: false,
        }
    }

    fn notice(&self, error: &JsonError) {
        let _ = self.events.send(Event::Notice(format!("The history of holds: {error}")));
    }

    fn leave(&mut self, feed: u64, directory: &Arc<Path>) {
        let at = self.system.wall();
        let now = self.system.monotonic();
        if let Some(book) = self.books.get_mut(directory).filter(|book| book.feed == Some(feed)) {
            book.recorder.stop(at);
            book.feed = None;
            book.newest = None;
            book.unwritten.get_or_insert((now, now));
        }
    }

    fn wish(&mut self, lock: &Awaited, on: bool, options: Box<LookOptions>) {
        self.vigil.wish(lock.clone(), on);
        if !on {
            self.alone.remove(lock);
            return;
        }
        let book = self.books.get(&lock.directory);
        let shown = book.filter(|book| book.feed.is_some()).and_then(|book| book.newest.clone());
        self.alone.insert(lock.clone(), (options, None));
        if let Some(snapshot) = shown {
            let now = snapshot.find(&lock.path).cloned();
            if let Some(freed) = self.vigil.see(lock, now.as_deref()) {
                self.tell(freed);
            }
        }
    }

    fn tell(&mut self, freed: Freed) {
        self.alone.remove(&freed.lock);
        let history = self.books.get(&freed.lock.directory).map(|book| book.recorder.history());
        let held = history.and_then(|history| held_for(history, &freed.lock.path, self.system.wall()));
        let _ = self.events.send(Event::Freed(freed, held));
    }

    /// Something is waited for where no session looks.
    fn vigil_is_alone(&self) -> bool {
        self.alone.keys().any(|lock| self.is_unwatched(&lock.directory))
    }

    fn is_unwatched(&self, directory: &Path) -> bool {
        self.books.get(directory).is_none_or(|book| book.feed.is_none())
    }

    /// Looks at what is waited for in directories that nobody watches.
    fn look_alone(&mut self) -> bool {
        let locks: Vec<Awaited> =
            self.alone.keys().filter(|lock| self.is_unwatched(&lock.directory)).cloned().collect();
        let mut news = false;
        for lock in locks {
            let Some((options, earlier)) = self.alone.get(&lock) else { continue };
            let looked = match earlier {
                Some(earlier) => look_again(&self.system, &lock.directory, earlier, options),
                None => look_at_one(&self.system, &lock.directory, &lock.path, options),
            };
            // Could not look: it may be held as before.
            let Ok(looked) = looked else { continue };
            let now = looked.map(|(now, _)| now);
            if let Some((_, earlier)) = self.alone.get_mut(&lock) {
                earlier.clone_from(&now);
            }
            if let Some(freed) = self.vigil.see(&lock, now.as_deref()) {
                self.tell(freed);
                news = true;
            }
        }
        news
    }

    fn publish(&mut self) {
        if self.books.len() > AT_HAND {
            let waited = |directory: &Arc<Path>| self.vigil.waits_in(directory);
            let writes = self.state_dir.is_some();
            self.books.retain(|directory, book| {
                book.feed.is_some() || writes && book.unwritten.is_some() || waited(directory)
            });
        }
        let histories = self
            .books
            .iter()
            .map(|(directory, book)| (Arc::clone(directory), Arc::new(book.recorder.history().clone())));
        self.shared.histories.store(Arc::new(histories.collect()));
        self.shared.awaited.store(Arc::new(self.vigil.awaited()));
    }

    /// Writes what is due, or all that is not written.
    fn write(&mut self, all: bool) {
        let Some(state_dir) = self.state_dir.clone() else { return };
        let mut failed = Vec::new();
        for (directory, book) in &mut self.books {
            let now = self.system.monotonic();
            let due = book.write_due().is_some_and(|due| now >= due);
            if !(due || all && (book.unwritten.is_some() || book.feed.is_some())) {
                continue;
            }
            book.unwritten = None;
            if is_demo(directory) {
                book.written = now;
                continue;
            }
            let wall = self.system.wall();
            book.recorder.prune(wall);
            let result = kept::save(&state_dir, book.recorder.history(), wall);
            book.written = self.system.monotonic();
            book.write_took = book.written.saturating_sub(now);
            match result {
                Ok(()) => book.said = false,
                Err(error) => {
                    if !std::mem::replace(&mut book.said, true) {
                        failed.push(error);
                    }
                }
            }
        }
        for error in failed {
            self.notice(&error);
            (self.wake)();
        }
    }
}

/// The demo's directory is never seen again.
fn is_demo(directory: &Path) -> bool {
    directory.file_name().is_some_and(|name: &OsStr| name.to_string_lossy().starts_with("lockscope-demo-"))
}
