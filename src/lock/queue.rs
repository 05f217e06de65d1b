//! One writer for many saves: the caller goes on at once, and reads what was saved at once; a thread brings it to the disk.
//!
//! Owns: [`Queue`]. Never: loses a save or an error silently, keeps more than it was allowed in memory, or leaves half of a
//! file, also when the process is killed: each write replaces the whole file.
//!
//! ```
//! # let base = tempfile::tempdir()?;
//! # let path = base.path().join("document.json");
//! use lockscope::lock::queue::{Queue, QueueConfig};
//! use std::time::Duration;
//!
//! let queue = Queue::start(QueueConfig { coalesce: Duration::from_millis(200), ..QueueConfig::default() })?;
//! for revision in 0..100 {
//!     queue.save(&path, format!("{{\"revision\": {revision}}}\n"))?;
//! }
//! assert_eq!(queue.read(&path)?, b"{\"revision\": 99}\n", "at once");
//! let stats = queue.shutdown()?;
//! assert_eq!(std::fs::read(&path)?, b"{\"revision\": 99}\n");
//! assert!(stats.writes < stats.saves);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::{LockConfig, LockError, json};
use crate::platform::environment::absolute;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How a queue writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueConfig {
    /// Saves of one file within this time after the first of them are one write, of the last. Zero: each save is written.
    pub coalesce: Duration,
    /// So many bytes may wait to be written; then [`Queue::save`] waits too. A single save may be larger.
    pub most_bytes: usize,
    /// For the lock of each file while it is written, and for how long [`Queue::save`] waits for room.
    pub locks: LockConfig,
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self { coalesce: Duration::ZERO, most_bytes: 64 << 20, locks: LockConfig::default() }
    }
}

/// Why a save was not taken on, or not written.
#[derive(Clone, Debug, thiserror::Error)]
pub enum QueueError {
    /// The disk does not keep up.
    #[error("{}: not saved: {waiting} bytes wait to be written already; try again when some are", path.display())]
    Full {
        /// Where to.
        path: PathBuf,
        /// So much waits.
        waiting: usize,
    },
    /// It cannot be JSON.
    #[error("{}: not saved: it cannot be written as JSON ({error})", path.display())]
    NotJson {
        /// Where to.
        path: PathBuf,
        /// Why.
        error: Arc<serde_json::Error>,
    },
    /// It was taken on and could not be written; what was in the file before is there still.
    #[error(transparent)]
    NotWritten(Arc<LockError>),
    /// Of several files; the last error of each.
    #[error("{} files were not written; the first: {}", .0.len(), .0.first().map_or_else(String::new, ToString::to_string))]
    Several(Vec<QueueError>),
}

/// What a queue has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Saves that were taken on.
    pub saves: u64,
    /// Files that were written, or were tried.
    pub writes: u64,
}

/// A save on its way.
#[derive(Clone, Debug)]
pub struct Ticket(Arc<Fate>);

#[derive(Debug, Default)]
struct Fate {
    known: Mutex<Option<Result<(), QueueError>>>,
    changed: Condvar,
}

impl Ticket {
    /// Waits until it is on the disk, it or a later save of the same file, or could not be written.
    pub fn wait(&self) -> Result<(), QueueError> {
        let known = held(&self.0.known);
        let known = self.0.changed.wait_while(known, |known| known.is_none()).unwrap_or_else(PoisonError::into_inner);
        known.clone().unwrap_or(Ok(()))
    }

    /// What came of it; `None` = it is still on its way.
    pub fn outcome(&self) -> Option<Result<(), QueueError>> {
        held(&self.0.known).clone()
    }
}

/// What waits to be written.
#[derive(Debug)]
struct Job {
    number: u64,
    path: PathBuf,
    content: Arc<[u8]>,
    tickets: Vec<Arc<Fate>>,
    due: Instant,
}

#[derive(Debug, Default)]
struct State {
    /// In the order of their numbers, without gaps.
    jobs: VecDeque<Job>,
    /// The last job of each file that waits.
    latest: HashMap<PathBuf, u64>,
    next: u64,
    /// All that is numbered below this is due now.
    hurry: u64,
    /// What is being written: its number, file and content.
    writing: Option<(u64, PathBuf, Arc<[u8]>)>,
    bytes: usize,
    /// The last failure of each file since it was last asked for.
    failed: BTreeMap<PathBuf, QueueError>,
    stats: Stats,
    closed: bool,
}

impl State {
    fn is_done(&self, up_to: u64) -> bool {
        let waits = self.jobs.front().is_some_and(|job| job.number < up_to);
        !waits && self.writing.as_ref().is_none_or(|(number, ..)| *number >= up_to)
    }

    /// The last job of a file, if one waits.
    fn latest(&self, path: &Path) -> Option<usize> {
        Some((self.latest.get(path)? - self.jobs.front()?.number) as usize)
    }

    /// The next job to write, or when to look again. All wait equally long, so the first is due first.
    fn next_due(&mut self, now: Instant) -> Result<Job, Option<Instant>> {
        let job = self.jobs.pop_front().ok_or(None)?;
        if job.due > now && job.number >= self.hurry && !self.closed {
            let due = job.due;
            self.jobs.push_front(job);
            return Err(Some(due));
        }
        if self.latest.get(&job.path) == Some(&job.number) {
            self.latest.remove(&job.path);
        }
        Ok(job)
    }
}

#[derive(Debug)]
struct Shared {
    config: QueueConfig,
    state: Mutex<State>,
    /// Something to write, or to hurry.
    work: Condvar,
    /// Something was written.
    done: Condvar,
}

/// A queue of saves with one thread that writes them. Dropping it writes what is left; [`Queue::shutdown`] does so too and
/// tells what could not be written. Ending the process otherwise (`exit`, `kill`) loses what was not flushed.
#[derive(Debug)]
pub struct Queue {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

/// How one file is written; another one in tests.
type Write = Box<dyn FnMut(&Path, &[u8]) -> Result<(), LockError> + Send>;

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Queue {
    /// Starts the thread.
    pub fn start(config: QueueConfig) -> io::Result<Self> {
        let locks = config.locks.clone();
        let write = move |path: &Path, content: &[u8]| {
            let _lock = json::lock(path, &locks)?;
            json::put(path, content)
        };
        Self::start_with(config, Box::new(write))
    }

    fn start_with(config: QueueConfig, mut write: Write) -> io::Result<Self> {
        let shared = Arc::new(Shared { config, state: Mutex::default(), work: Condvar::new(), done: Condvar::new() });
        let writing = Arc::clone(&shared);
        let writer = std::thread::Builder::new().name("queue".into()).spawn(move || writing.run(&mut write))?;
        Ok(Self { shared, writer: Some(writer) })
    }

    /// Takes on a save: readable through [`Self::read`] at once, on the disk later. Waits only where too much waits already.
    pub fn save(&self, path: impl AsRef<Path>, content: impl Into<Vec<u8>>) -> Result<Ticket, QueueError> {
        let path = absolute(path.as_ref());
        let content: Arc<[u8]> = content.into().into();
        let Shared { config, .. } = &*self.shared;
        let mut state = self.room_for(&path, content.len())?;
        let fate = Arc::new(Fate::default());
        state.stats.saves += 1;
        state.bytes += content.len();
        let waiting = if config.coalesce.is_zero() { None } else { state.latest(&path) };
        if let Some(job) = waiting.and_then(|at| state.jobs.get_mut(at)) {
            let old = std::mem::replace(&mut job.content, content);
            job.tickets.push(Arc::clone(&fate));
            state.bytes -= old.len();
            return Ok(Ticket(fate));
        }
        let (number, now) = (state.next, Instant::now());
        state.next += 1;
        let due = now.checked_add(config.coalesce).unwrap_or(now);
        state.latest.insert(path.clone(), number);
        state.jobs.push_back(Job { number, path, content, tickets: vec![Arc::clone(&fate)], due });
        drop(state);
        self.shared.work.notify_one();
        Ok(Ticket(fate))
    }

    /// The same, for a value that is written as JSON.
    pub fn save_json<T: Serialize>(&self, path: impl AsRef<Path>, value: &T) -> Result<Ticket, QueueError> {
        let path = path.as_ref();
        let encoded = serde_json::to_vec_pretty(value);
        let not_json = |error| QueueError::NotJson { path: path.to_owned(), error: Arc::new(error) };
        let mut text = encoded.map_err(not_json)?;
        text.push(b'\n');
        self.save(path, text)
    }

    fn room_for(&self, path: &Path, bytes: usize) -> Result<MutexGuard<'_, State>, QueueError> {
        let Shared { config, state, work, done } = &*self.shared;
        let began = Instant::now();
        let mut state = held(state);
        while state.bytes > 0 && state.bytes + bytes > config.most_bytes {
            // No use in waiting out a window while somebody waits for room.
            state.hurry = state.next;
            work.notify_one();
            state = match config.locks.timeout.left(began.elapsed()) {
                None => done.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => {
                    return Err(QueueError::Full { path: path.to_owned(), waiting: state.bytes });
                }
                Some(left) => done.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
        Ok(state)
    }

    /// What was saved last, on its way or on the disk.
    pub fn read(&self, path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
        let path = absolute(path.as_ref());
        let state = held(&self.shared.state);
        let waiting = state.latest(&path).and_then(|at| state.jobs.get(at)).map(|job| Arc::clone(&job.content));
        let writing =
            || state.writing.as_ref().filter(|(_, file, _)| *file == path).map(|(.., content)| Arc::clone(content));
        let known = waiting.or_else(writing);
        drop(state);
        known.map_or_else(|| std::fs::read(&path), |content| Ok(content.to_vec()))
    }

    /// Waits until all that was saved before is on the disk. The error tells what could not be written since the last
    /// flush.
    pub fn flush(&self) -> Result<(), QueueError> {
        let Shared { state, work, done, .. } = &*self.shared;
        let mut state = held(state);
        let up_to = state.next;
        state.hurry = up_to;
        work.notify_one();
        state = done.wait_while(state, |state| !state.is_done(up_to)).unwrap_or_else(PoisonError::into_inner);
        let mut failed: Vec<QueueError> = std::mem::take(&mut state.failed).into_values().collect();
        match failed.len() {
            0 => Ok(()),
            1 => Err(failed.remove(0)),
            _ => Err(QueueError::Several(failed)),
        }
    }

    /// What it has done so far.
    pub fn stats(&self) -> Stats {
        held(&self.shared.state).stats
    }

    /// Writes what is left and ends the thread. The error tells what could not be written since the last flush.
    pub fn shutdown(mut self) -> Result<Stats, QueueError> {
        self.end();
        self.flush()?;
        Ok(self.stats())
    }

    fn end(&mut self) {
        held(&self.shared.state).closed = true;
        self.shared.work.notify_one();
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.end();
        for error in held(&self.shared.state).failed.values() {
            tracing::error!(%error, "a save was not written, and nobody asked for its fate");
        }
    }
}

impl Shared {
    /// Writes until the queue is closed and nothing is left.
    fn run(&self, write: &mut Write) {
        let mut state = held(&self.state);
        loop {
            match state.next_due(Instant::now()) {
                Ok(job) => {
                    state.writing = Some((job.number, job.path.clone(), Arc::clone(&job.content)));
                    drop(state);
                    let result = attempt(write, &job);
                    state = held(&self.state);
                    state.writing = None;
                    state.bytes -= job.content.len();
                    state.stats.writes += 1;
                    if let Err(error) = &result {
                        tracing::warn!(path = %job.path.display(), %error, "a save was not written");
                        state.failed.insert(job.path.clone(), error.clone());
                    }
                    for fate in job.tickets {
                        *held(&fate.known) = Some(result.clone());
                        fate.changed.notify_all();
                    }
                    self.done.notify_all();
                }
                Err(None) if state.closed => return,
                Err(None) => state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner),
                Err(Some(due)) => {
                    let span = due.saturating_duration_since(Instant::now());
                    state = self.work.wait_timeout(state, span).unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
    }
}

/// A panic in it must not leave those who wait for their tickets without an answer.
fn attempt(write: &mut Write, job: &Job) -> Result<(), QueueError> {
    let written = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| write(&job.path, &job.content)));
    let panicked = || Err(LockError::failed(&job.path, "writing")(io::Error::other("the writer panicked")));
    written.unwrap_or_else(|_| panicked()).map_err(|error| QueueError::NotWritten(Arc::new(error)))
}

impl Queue {
    /// The files that wait to be written, with how often each does.
    pub fn waiting(&self) -> HashMap<PathBuf, usize> {
        let mut waiting = HashMap::new();
        for job in &held(&self.shared.state).jobs {
            *waiting.entry(job.path.clone()).or_default() += 1;
        }
        waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::Wait;
    use std::sync::mpsc::{Receiver, Sender, channel};

    /// A writer that tells what it is asked to write, and writes it when it is told to, and how.
    type Told = (PathBuf, Vec<u8>);

    fn stepped(config: QueueConfig) -> (Queue, Receiver<Told>, Sender<Result<(), LockError>>) {
        let (tell, told) = channel();
        let (go, gone) = channel::<Result<(), LockError>>();
        let write = move |path: &Path, content: &[u8]| {
            tell.send((path.to_owned(), content.to_vec())).expect("the test listens");
            gone.recv().expect("the test answers")
        };
        (Queue::start_with(config, Box::new(write)).expect("it starts"), told, go)
    }

    fn failure() -> LockError {
        LockError::failed(Path::new("/x"), "writing")(io::ErrorKind::StorageFull.into())
    }

    fn coalescing() -> QueueConfig {
        QueueConfig { coalesce: Duration::from_hours(1), ..QueueConfig::default() }
    }

    #[test]
    fn what_was_saved_is_read_at_once_and_written_in_order() {
        let (queue, told, go) = stepped(QueueConfig::default());
        for text in ["a1", "a2", "b1", "a3"] {
            queue.save(format!("/{}", &text[..1]), text).unwrap();
        }
        assert_eq!(told.recv().unwrap(), ("/a".into(), b"a1".to_vec()));
        assert_eq!(queue.read("/a").unwrap(), b"a3", "the last one, while the first is being written");
        for expected in [("/a", "a2"), ("/b", "b1"), ("/a", "a3")] {
            go.send(Ok(())).unwrap();
            assert_eq!(told.recv().unwrap(), (expected.0.into(), expected.1.as_bytes().to_vec()));
            assert_eq!(queue.read("/a").unwrap(), b"a3");
        }
        go.send(Ok(())).unwrap();
        assert_eq!(queue.shutdown().unwrap(), Stats { saves: 4, writes: 4 });
    }

    #[test]
    fn saves_within_the_window_are_one_write_and_a_flush_ends_it() {
        let (queue, told, go) = stepped(coalescing());
        let tickets: Vec<Ticket> = (0..100).map(|n| queue.save("/a", format!("{n}")).unwrap()).collect();
        assert_eq!((queue.waiting().len(), queue.read("/a").unwrap()), (1, b"99".to_vec()));
        assert!(tickets[0].outcome().is_none());
        go.send(Ok(())).unwrap();
        queue.flush().unwrap();
        assert_eq!(told.try_recv().unwrap().1, b"99");
        assert!(tickets.iter().all(|ticket| ticket.wait().is_ok()));
        assert_eq!(queue.stats(), Stats { saves: 100, writes: 1 });
    }

    #[test]
    fn a_save_while_the_file_is_being_written_is_written_after_it() {
        let (queue, told, go) = stepped(coalescing());
        queue.save("/a", "1").unwrap();
        std::thread::scope(|scope| {
            let flushed = scope.spawn(|| queue.flush());
            assert_eq!(told.recv().unwrap().1, b"1");
            queue.save("/a", "2").unwrap();
            go.send(Ok(())).unwrap();
            flushed.join().unwrap().unwrap();
        });
        assert_eq!(queue.waiting().len(), 1, "the flush was for the first");
        go.send(Ok(())).unwrap();
        assert_eq!(queue.shutdown().unwrap().writes, 2);
        assert_eq!(told.recv().unwrap().1, b"2");
    }

    #[test]
    fn an_error_reaches_the_ticket_and_the_next_flush_once() {
        let (queue, _told, go) = stepped(QueueConfig::default());
        let bad = queue.save("/a", "1").unwrap();
        let good = queue.save("/b", "1").unwrap();
        go.send(Err(failure())).unwrap();
        go.send(Ok(())).unwrap();
        assert!(matches!(bad.wait(), Err(QueueError::NotWritten(_))));
        good.wait().unwrap();
        let error = queue.flush().unwrap_err();
        assert!(error.to_string().contains("free some space"), "{error}");
        queue.flush().unwrap();
        let _ = queue.save("/a", "2").unwrap();
        let _ = queue.save("/b", "2").unwrap();
        go.send(Err(failure())).unwrap();
        go.send(Err(failure())).unwrap();
        assert!(matches!(queue.shutdown(), Err(QueueError::Several(all)) if all.len() == 2));
    }

    #[test]
    fn a_panic_in_the_writer_is_an_error_and_the_next_save_is_written() {
        let mut first = true;
        let write = move |_: &Path, _: &[u8]| {
            assert!(!std::mem::take(&mut first), "the writer fails");
            Ok(())
        };
        let queue = Queue::start_with(QueueConfig::default(), Box::new(write)).unwrap();
        assert!(queue.save("/a", "1").unwrap().wait().is_err());
        queue.save("/a", "2").unwrap().wait().unwrap();
    }

    #[test]
    fn memory_is_bounded_and_whoever_saves_too_much_waits() {
        let never = LockConfig::waiting(Wait::Never);
        let (queue, told, go) = stepped(QueueConfig { most_bytes: 10, locks: never, ..QueueConfig::default() });
        queue.save("/large", [b'x'; 50]).unwrap();
        assert_eq!(told.recv().unwrap().1.len(), 50, "alone, it may be larger");
        let full = queue.save("/a", "1").unwrap_err();
        assert!(matches!(full, QueueError::Full { waiting: 50, .. }), "{full}");
        go.send(Ok(())).unwrap();
        queue.flush().unwrap();
        queue.save("/a", "12345").unwrap();
        queue.save("/a", "12345").unwrap();
        assert!(queue.save("/a", "1").is_err());
        drop((go, queue.waiting()));
        drop(told);
        assert!(queue.shutdown().is_err(), "the writer's other end is gone");
    }

    #[test]
    fn who_waits_for_room_gets_it_when_some_is_written() {
        let patient = LockConfig::waiting(Wait::Forever);
        let (queue, told, go) = stepped(QueueConfig { most_bytes: 10, locks: patient, ..coalescing() });
        queue.save("/a", "1234567890").unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| queue.save("/b", "1"));
            // The window of an hour does not keep it waiting.
            assert_eq!(told.recv().unwrap().0, Path::new("/a"));
            assert!(!waiting.is_finished());
            go.send(Ok(())).unwrap();
            waiting.join().unwrap().unwrap();
        });
        go.send(Ok(())).unwrap();
        assert_eq!(queue.shutdown().unwrap(), Stats { saves: 2, writes: 2 });
    }

    #[test]
    fn dropping_it_writes_what_is_left() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("deep/a.json");
        let queue = Queue::start(coalescing()).unwrap();
        queue.save_json(&path, &[1, 2]).unwrap();
        drop(queue);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "[\n  1,\n  2\n]\n");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing else");
    }
}
