//! The live side: threads that watch a directory, keep its picture, list it, and act on it.
//!
//! Owns: [`Engine`] (a handle: commands in, immutable snapshots out), settings, the demo's directory.
//! Never: draws, prints, or speaks UI words; whoever holds a handle never waits for a file.

pub mod bulk;
pub mod demo;
pub mod export;
pub mod follow;
mod front;
pub mod history;
pub mod incident;
pub mod learned;
mod lister;
pub mod listing;
pub mod machine;
pub mod papers;
mod past;
pub mod places;
mod ranking;
pub mod redact;
pub mod search;
mod session;
pub mod settings;
pub mod shape;
pub mod standin;
mod store;
pub mod sweep;
pub mod vigil;
mod watch;
pub mod watched;
mod worker;

use crate::clear::{self, Reason};
use crate::inspect::Impact;
use crate::model::holder::{Pid, ProcessFacts};
use crate::model::snapshot::{Lock, Snapshot};
use crate::platform::System;
use arc_swap::{ArcSwap, ArcSwapOption};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bulk::Progress;
use crossbeam_channel::{Receiver, Sender, unbounded};
use history::History;
use listing::{Listing, Query};
use machine::{MachineShown, MachineWish};
use places::Place;
use settings::{Settings, WatchedFolder};
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use watched::Watched;

/// What may be asked of the engine. Each is answered by a new snapshot, a new listing, or an [`Event`].
#[derive(Debug)]
pub enum Command {
    /// Show this directory, and watch it if it is not watched yet; `None` = show none. Those that were watched before go
    /// on in the background, and come back at once.
    Watch(Option<PathBuf>),
    /// Make a demo directory, fill it with life, and watch it.
    StartDemo,
    /// Another threshold.
    SetThreshold(Duration),
    /// Read the whole directory again.
    Rescan,
    /// List what the snapshot holds in this way, from now on.
    List(Query),
    /// Recheck and clear these, as the person saw them. Answered by [`Event::Cleared`].
    Clear {
        /// The directory that they were shown in.
        directory: Arc<Path>,
        /// Each exactly as it was shown.
        seen: Vec<Arc<Lock>>,
    },
    /// Look again at this one, as the person saw it, and take it away by force. Answered by [`Event::Cleared`].
    Force {
        /// The directory that it was shown in.
        directory: Arc<Path>,
        /// Exactly as it was shown.
        seen: Arc<Lock>,
        /// Why; for the journal.
        reason: Reason,
    },
    /// What would ending this process hit? Answered by [`Event::Impact`].
    AskImpact(Pid),
    /// Ask the holder of a lock to end. Answered by [`Event::HolderEnded`].
    EndHolder {
        /// The directory that the lock was shown in.
        directory: Arc<Path>,
        /// The lock's path in it.
        path: Box<OsStr>,
        /// The process, as it was shown.
        process: Arc<ProcessFacts>,
        /// Why; for the journal.
        reason: Reason,
    },
    /// Stop the clears that were asked for, after the lock that is being cleared now. [`Event::Cleared`] comes all the same.
    StopClearing,
    /// Clear by itself what is stale in a directory that is watched, this far apart; `None` = no more. It goes on while
    /// another one is shown, and ends with the watching. [`Event::Sweeping`] tells where it is on, and [`Event::Swept`]
    /// what it did.
    Sweep {
        /// Where, as the picture calls it.
        directory: Arc<Path>,
        /// How far apart its rounds are.
        every: Option<Duration>,
    },
    /// Put back what these journal entries took away, newest first. Answered by [`Event::Undone`].
    Undo {
        /// Their ids.
        ids: Vec<String>,
    },
    /// Whether this entry could be put back now. Answered by [`Event::UndoAsked`].
    AskUndo(String),
    /// Write an export or an incident bundle. Answered by [`Event::Saved`] or [`Event::Copied`].
    Write(Box<papers::Job>),
    /// Read the journal again; [`Engine::journal`] has it then.
    ReadJournal,
    /// Tell when this lock is free ([`Event::Freed`]), or do not; [`Engine::awaited`] has what is waited for. It goes on
    /// when another directory is shown.
    TellWhenFree {
        /// Which.
        lock: vigil::Awaited,
        /// Or not any more.
        on: bool,
    },
    /// Write the settings.
    SaveSettings(Box<Settings>),
    /// Watch these too, in the background.
    WatchToo(Vec<WatchedFolder>),
    /// Watch this one no more, and end its automatic clearing. If it was shown, its neighbour is.
    Unwatch(PathBuf),
    /// Look at the subfolders of a watched directory too, or no more, and pass over these.
    SetSubfolders(WatchedFolder),
    /// Watch and show this one, in the way that is told.
    WatchSo(WatchedFolder),
    /// Look which of the places where locks usually are exist here; [`Engine::places`] has them then.
    FindPlaces,
    /// End.
    Shutdown,
    /// Look at this of the machine, again and again, until told otherwise; [`Engine::machine`] has it then.
    WatchMachine(MachineWish),
    /// Nobody can see the window, so what it shows is looked at as seldom as what is in the background; or it can be seen
    /// again.
    Hide(bool),
}

/// What came of one lock in a clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Relative path.
    pub path: OsString,
    /// The journal entry's id, or why nothing was done.
    pub result: Result<String, String>,
}

/// What the engine has to tell beyond snapshots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// How far the clear that runs has got, before each lock.
    Clearing(Progress),
    /// A clear has ended.
    Cleared {
        /// One for each lock that had its turn.
        outcomes: Vec<Outcome>,
        /// So many had none: it was stopped.
        left: usize,
    },
    /// Where automatic clearing is on now; nowhere = it is off.
    Sweeping(Vec<Sweeping>),
    /// A round of automatic clearing did something, or found something in its way.
    Swept {
        /// Where.
        directory: Arc<Path>,
        /// What, in its order.
        acts: Vec<sweep::Act>,
    },
    /// What ending a process would hit, or why that cannot be told.
    Impact(Pid, Result<Box<Impact>, String>),
    /// What came of asking a holder to end, in one sentence.
    HolderEnded(String),
    /// An undo has ended.
    Undone {
        /// One for each entry that was asked for; `Ok` carries its id.
        outcomes: Vec<Outcome>,
    },
    /// Whether an entry could be put back when it was asked for, or why not.
    UndoAsked(String, Result<(), String>),
    /// A paper was written: where, and its length in bytes.
    Saved(Result<(PathBuf, u64), papers::NotSaved>),
    /// A text for the clipboard.
    Copied(String),
    /// What an incident bundle would have in it.
    Previewed(Box<incident::Contents>),
    /// Something to tell the person; nothing was lost.
    Notice(String),
    /// A lock that was waited for is held no more; it had been held for so long.
    Freed(vigil::Freed, Option<Duration>),
    /// Locks turned stale, and that was to be told.
    TurnedStale(vigil::TurnedStale),
}

/// One line of the journal, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct JournalLine {
    /// What undo takes.
    pub id: String,
    /// RFC 3339.
    pub at: String,
    /// `clear`, `refuse`, `undo`, `force`, `repair`, `sweep`.
    pub what: String,
    /// The directory.
    pub directory: String,
    /// The path relative to it.
    pub path: String,
    /// Its bytes (base64), where the text above lost some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_bytes: Option<String>,
    /// Who did it.
    pub who: String,
    /// The verdict then.
    pub verdict: String,
    /// The sentence then.
    pub why: String,
    /// What came of it.
    pub outcome: String,
    /// Undo can be tried.
    #[serde(skip)]
    pub undoable: bool,
    /// Why it cannot, where something was taken away.
    #[serde(skip)]
    pub kept_no_more: Option<&'static str>,
}

impl From<clear::Entry> for JournalLine {
    fn from(entry: clear::Entry) -> Self {
        Self {
            undoable: entry.can_be_undone(),
            kept_no_more: entry.kept_no_more(),
            id: entry.id,
            at: entry.at,
            what: entry.what,
            path_bytes: lost_bytes(entry.path.as_os_str()),
            directory: entry.directory.to_string_lossy().into_owned(),
            path: entry.path.to_string_lossy().into_owned(),
            who: entry.who,
            verdict: entry.verdict,
            why: entry.why,
            outcome: entry.outcome,
        }
    }
}

impl JournalLine {
    /// Whether it is about a lock in this directory or below it.
    pub fn is_in(&self, directory: &str) -> bool {
        let (own, directory) = (self.directory.trim_end_matches('/'), directory.trim_end_matches('/'));
        own.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Which file it is about, in full.
    pub fn full_path(&self) -> String {
        format!("{}/{}", self.directory.trim_end_matches('/'), self.path)
    }

    /// What came of it and on what grounds, for a person.
    pub fn told(&self) -> String {
        match (self.outcome.is_empty(), self.why.is_empty()) {
            (false, false) => format!("{}: {}", self.outcome, self.why),
            _ => format!("{}{}", self.outcome, self.why),
        }
    }
}

fn lost_bytes(path: &OsStr) -> Option<String> {
    path.to_str().is_none().then(|| BASE64_STANDARD.encode(path.as_encoded_bytes()))
}

/// What the engine publishes, read without waiting.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) snapshot: ArcSwapOption<Snapshot>,
    pub(crate) listing: ArcSwap<Listing>,
    pub(crate) journal: ArcSwap<Vec<JournalLine>>,
    pub(crate) watched: ArcSwap<Vec<Watched>>,
    pub(crate) places: ArcSwap<Vec<Place>>,
    pub(crate) machine: ArcSwap<MachineShown>,
    /// Of the directories that are watched, and of the last ones that were.
    pub(crate) histories: ArcSwap<HashMap<Arc<Path>, Arc<History>>>,
    pub(crate) awaited: ArcSwap<Vec<vigil::Awaited>>,
}

/// Automatic clearing that is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sweeping {
    /// Where.
    pub directory: Arc<Path>,
    /// How far apart its rounds are.
    pub every: Duration,
}

/// A handle on the engine. Dropping the last one ends its threads.
#[derive(Debug)]
pub struct Engine {
    shared: Arc<Shared>,
    commands: Sender<Command>,
    events: Receiver<Event>,
    /// Disconnected when the working thread has ended.
    ended: Option<Receiver<()>>,
}

/// Shows pictures through an engine without threads.
pub struct Projector(Arc<Shared>);

impl Projector {
    /// Publishes a picture and its listing.
    pub fn show(&self, snapshot: Snapshot, query: &Query) {
        self.0.listing.store(Arc::new(Listing::of(&snapshot, query)));
        self.0.snapshot.store(Some(Arc::new(snapshot)));
    }
}

/// At the end we wait so long for the working thread to finish what it is at and to clean up after the demo. A file
/// system that hangs must not keep the program from ending.
const LAST_PATIENCE: Duration = Duration::from_secs(3);

impl Engine {
    /// An engine without threads, that shows `snapshot` and hands over the commands it gets: for tests of what stands above.
    pub fn detached(snapshot: Option<Snapshot>, query: &Query) -> (Self, Receiver<Command>, Sender<Event>) {
        if let Some(snapshot) = snapshot {
            let picture = Arc::new(snapshot);
            let path = Arc::clone(&picture.directory);
            let watched = Watched { path, recursive: false, ignore: None, shown: true, picture: Some(picture) };
            return Self::detached_over(vec![watched], query);
        }
        Self::detached_over(Vec::new(), query)
    }

    /// The same over several directories.
    pub fn detached_over(watched: Vec<Watched>, query: &Query) -> (Self, Receiver<Command>, Sender<Event>) {
        Self::detached_with(watched, Vec::new(), query)
    }

    /// The same, where some places were found.
    pub fn detached_with(
        watched: Vec<Watched>, places: Vec<Place>, query: &Query,
    ) -> (Self, Receiver<Command>, Sender<Event>) {
        let shared = Arc::new(Shared::default());
        if let Some(picture) = watched.iter().find(|one| one.shown).and_then(|one| one.picture.clone()) {
            shared.listing.store(Arc::new(Listing::of(&picture, query)));
            shared.snapshot.store(Some(picture));
        }
        shared.watched.store(Arc::new(watched));
        shared.places.store(Arc::new(places));
        let (commands, received) = unbounded();
        let (told, events) = unbounded();
        (Self { shared, commands, events, ended: None }, received, told)
    }

    /// The same, showing what the last value is given, one picture after the other.
    pub fn projected() -> (Self, Receiver<Command>, Sender<Event>, Projector) {
        let shared = Arc::new(Shared::default());
        let (commands, received) = unbounded();
        let (told, events) = unbounded();
        (Self { shared: Arc::clone(&shared), commands, events, ended: None }, received, told, Projector(shared))
    }

    /// What [`Engine::machine`] gives from now on: for tests of what stands above.
    pub fn show_machine(&self, shown: MachineShown) {
        self.shared.machine.store(Arc::new(shown));
    }

    /// The newest picture; `None` while no directory is chosen.
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.shared.snapshot.load_full()
    }

    /// The newest listing. It may belong to an older snapshot by a moment: look ids up and pass over what has gone.
    pub fn listing(&self) -> Arc<Listing> {
        self.shared.listing.load_full()
    }

    /// Shows this journal: for tests of what stands above an engine without threads.
    pub fn show_journal(&self, journal: Vec<JournalLine>) {
        self.shared.journal.store(Arc::new(journal));
    }

    /// All directories that are watched, in the order in which that was asked for: counts, state and picture of each.
    pub fn watched(&self) -> Arc<Vec<Watched>> {
        self.shared.watched.load_full()
    }

    /// The places with locks that were found on this machine, as [`Command::FindPlaces`] asks.
    pub fn places(&self) -> Arc<Vec<Place>> {
        self.shared.places.load_full()
    }

    /// The journal as last read, oldest first.
    pub fn journal(&self) -> Arc<Vec<JournalLine>> {
        self.shared.journal.load_full()
    }

    /// What was last seen of the machine, as far as it was asked for.
    pub fn machine(&self) -> Arc<MachineShown> {
        self.shared.machine.load_full()
    }

    /// What was seen of a directory's locks over time; `None` before it was looked at.
    pub fn history(&self, directory: &Path) -> Option<Arc<History>> {
        self.shared.histories.load().get(directory).cloned()
    }

    /// The locks that somebody waits for.
    pub fn awaited(&self) -> Arc<Vec<vigil::Awaited>> {
        self.shared.awaited.load_full()
    }

    /// With a past, for tests of what stands above.
    #[must_use]
    pub fn with_history(self, history: History) -> Self {
        let directory = Arc::clone(&history.directory);
        self.shared.histories.store(Arc::new(HashMap::from([(directory, Arc::new(history))])));
        self
    }

    /// Asks for something; never waits.
    pub fn send(&self, command: Command) {
        // A send fails only after the engine's thread has ended, and then nobody is left to do it.
        let _ = self.commands.send(command);
    }

    /// The next thing that it has to tell, if any.
    pub fn next_event(&self) -> Option<Event> {
        self.events.try_recv().ok()
    }
}

impl Engine {
    /// Starts the engine's threads. `wake` is called after each publication, from any thread.
    pub fn start(options: EngineOptions, wake: Arc<dyn Fn() + Send + Sync>) -> Self {
        let shared = Arc::new(Shared::default());
        let (commands, received) = unbounded();
        let (told, events) = unbounded();
        let (alive, ended) = unbounded();
        let front = front::Front::new(options, Arc::clone(&shared), told, wake, (commands.clone(), alive));
        let thread = std::thread::Builder::new().name("engine".into()).spawn(move || front.run(&received));
        if let Err(error) = thread {
            tracing::error!(%error, "the engine's thread could not be started");
        }
        Self { shared, commands, events, ended: Some(ended) }
    }
}

/// What the engine starts with.
pub struct EngineOptions {
    /// The machine.
    pub system: Arc<dyn System>,
    /// Settings as loaded.
    pub settings: Settings,
    /// Where settings are written; `None` = they are not.
    pub config_dir: Option<PathBuf>,
    /// Where journal and quarantine are; `None` = nothing can be cleared.
    pub state_dir: Option<PathBuf>,
    /// How far apart full passes are, at least, where events tell of changes; usually [`SLOW_PASS`].
    pub slow_pass: Duration,
}

/// Full passes stand behind the events this far apart.
pub const SLOW_PASS: Duration = Duration::from_secs(5);

impl Drop for Engine {
    fn drop(&mut self) {
        self.send(Command::Shutdown);
        if let Some(ended) = &self.ended {
            let _ = ended.recv_timeout(LAST_PATIENCE);
        }
    }
}
