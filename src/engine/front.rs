//! The thread that takes commands: it starts and ends sessions, and hands the slow work to threads of its own.
//!
//! Owns: which directories are watched and shown, and where automatic clearing is on. Never: touches a directory itself,
//! so that a hung one cannot keep it from answering.

use super::history::chronicle::Chronicle;
use super::lister::Lister;
use super::machine::MachineWatch;
use super::session::Session;
use super::settings::{Settings, WatchedFolder};
use super::watched::Board;
use super::words::{Inbox, Word};
use super::worker::{Job, Stop, SweepJob, Worker};
use super::{Command, EngineOptions, Event, Shared, Sweeping, papers, places};
use crate::model::ignore::IgnoreRules;
use crate::platform::{System, environment};
use crossbeam_channel::{Receiver, Sender};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Each takes a thread and an inotify instance, of which a user has some 128.
const MOST_WATCHED: usize = 32;

pub(super) struct Front {
    system: Arc<dyn System>,
    settings: Settings,
    shared: Arc<Shared>,
    events: Sender<Event>,
    wake: Arc<dyn Fn() + Send + Sync>,
    lister: Arc<Lister>,
    board: Arc<Board>,
    worker: Sender<Job>,
    slow_pass: Duration,
    state_dir: Option<PathBuf>,
    chronicle: Chronicle,
    /// Of the clears that are asked for and not over.
    clears: Vec<Stop>,
    /// Of the sweeps that are on.
    sweeps: Vec<(Sweeping, Stop)>,
    machine: MachineWatch,
}

impl Front {
    pub(super) fn new(
        options: EngineOptions, shared: Arc<Shared>, events: Sender<Event>, wake: Arc<dyn Fn() + Send + Sync>,
        life: (Sender<Command>, Sender<()>),
    ) -> Self {
        let alive = life.1.clone();
        let chronicle = Chronicle::start(&options, Arc::clone(&shared), events.clone(), Arc::clone(&wake), alive);
        let worker = Worker::start(&options, Arc::clone(&shared), events.clone(), Arc::clone(&wake), life);
        let lister = Lister::start(Arc::clone(&shared), Arc::clone(&wake), Arc::clone(&options.system));
        let board = Arc::new(Board::new(Arc::clone(&shared), Arc::clone(&lister), Arc::clone(&wake)));
        let machine = MachineWatch::start(Arc::clone(&options.system), Arc::clone(&shared), Arc::clone(&wake));
        Self {
            machine,
            system: options.system,
            settings: options.settings,
            shared,
            events,
            wake,
            lister,
            board,
            worker,
            slow_pass: options.slow_pass,
            state_dir: options.state_dir,
            chronicle,
            clears: Vec::new(),
            sweeps: Vec::new(),
        }
    }

    pub(super) fn run(mut self, commands: &Receiver<Command>) {
        while let Ok(command) = commands.recv() {
            match command {
                Command::Watch(path) => self.show(path),
                Command::StartDemo => self.work(Job::StartDemo),
                Command::SetThreshold(threshold) => {
                    self.settings.stale_after_secs = threshold.as_secs();
                    for session in self.board.sessions() {
                        session.send(Word::Threshold(threshold));
                    }
                    for (on, _) in self.sweeps.clone() {
                        self.sweep(&on.directory, Some(on.every));
                    }
                }
                Command::Rescan => {
                    if let Some(session) = self.board.shown_session() {
                        session.send(Word::Rescan);
                    }
                }
                Command::List(query) => self.lister.ask(query),
                Command::Clear { directory, seen } => {
                    let options = self.settings.look_options(&directory);
                    // The worker drops its own when the clear is over.
                    self.clears.retain(|stop| Arc::strong_count(stop) > 1);
                    let stop = Stop::default();
                    self.clears.push(Arc::clone(&stop));
                    let session = self.board.session(&directory);
                    self.work(Job::Clear { directory, seen, options, session, stop });
                }
                Command::Force { directory, seen, reason } => {
                    let options = self.settings.look_options(&directory);
                    let session = self.board.session(&directory);
                    self.work(Job::Force { directory, seen, reason, options, session });
                }
                Command::AskImpact(pid) => self.work(Job::AskImpact(pid)),
                Command::AskUndo(id) => self.work(Job::AskUndo(id)),
                Command::Write(job) => {
                    papers::start(*job, &self.system, &self.events, &self.wake);
                }
                Command::EndHolder { directory, path, process, reason } => {
                    self.work(Job::EndHolder { directory, path, process, reason });
                }
                Command::StopClearing => self.stop_clearing(),
                Command::Sweep { directory, every } => self.sweep(&directory, every),
                Command::Undo { ids } => self.work(Job::Undo { ids, sessions: self.board.sessions() }),
                Command::ReadJournal => self.work(Job::ReadJournal),
                Command::TellWhenFree { lock, on } => {
                    let options = self.settings.look_options(&lock.directory);
                    self.chronicle.wish(lock, on, options);
                }
                Command::SaveSettings(settings) => {
                    self.chronicle.tell_stale(settings.tell_when_stale);
                    self.settings = (*settings).clone();
                    self.work(Job::SaveSettings(settings));
                }
                Command::WatchToo(folders) => {
                    for folder in folders {
                        self.watch(&WatchedFolder { path: environment::absolute(&folder.path), ..folder });
                    }
                }
                Command::Unwatch(path) => self.unwatch(&path),
                Command::SetSubfolders(folder) => self.set_subfolders(&folder),
                Command::WatchSo(folder) => {
                    let folder = WatchedFolder { path: environment::absolute(&folder.path), ..folder };
                    if self.watch(&folder) {
                        self.board.show(Some(&folder.path));
                    }
                }
                Command::FindPlaces => self.find_places(),
                Command::Hide(hidden) => self.board.hide(hidden),
                Command::WatchMachine(wish) => self.machine.wish(wish),
                Command::Shutdown => break,
            }
        }
        // Whatever runs ends after the lock that it is at: nothing is left half done.
        self.stop_clearing();
        for (on, stop) in std::mem::take(&mut self.sweeps) {
            stop.store(true, Ordering::Release);
            self.work(Job::EndSweep(on.directory));
        }
        self.board.end();
        self.lister.end();
        self.machine.end();
    }

    fn stop_clearing(&self) {
        for stop in &self.clears {
            stop.store(true, Ordering::Release);
        }
    }

    fn tell(&self, event: Event) {
        let _ = self.events.send(event);
        (self.wake)();
    }

    /// Begins, changes or ends automatic clearing of a directory. Others that are swept stay so.
    fn sweep(&mut self, directory: &Path, every: Option<Duration>) {
        let was_on = self.end_sweep(directory);
        let on = every.zip(self.board.session(directory)).map(|(every, session)| {
            let on = Sweeping { directory: directory.into(), every };
            let (options, stop) = (self.settings.look_options(directory), Stop::default());
            self.sweeps.push((on.clone(), Arc::clone(&stop)));
            self.work(Job::Sweep(SweepJob { on, options, session: Some(session), stop }));
        });
        if was_on || on.is_some() {
            self.tell_sweeps();
        }
    }

    fn tell_sweeps(&self) {
        self.tell(Event::Sweeping(self.sweeps.iter().map(|(on, _)| on.clone()).collect()));
    }

    /// Tells whether it was on.
    fn end_sweep(&mut self, directory: &Path) -> bool {
        let Some(at) = self.sweeps.iter().position(|(on, _)| *on.directory == *directory) else { return false };
        let (on, stop) = self.sweeps.remove(at);
        stop.store(true, Ordering::Release);
        self.work(Job::EndSweep(on.directory));
        true
    }

    fn work(&self, job: Job) {
        // The worker ends only with us.
        let _ = self.worker.send(job);
    }

    fn show(&mut self, path: Option<PathBuf>) {
        let path = path.map(|path| environment::absolute(&path));
        if let Some(path) = &path
            && !self.watch(&self.settings.watched_folder(path))
        {
            return;
        }
        self.board.show(path.as_deref());
    }

    /// Watches a directory, unless it is watched already. Tells whether it is.
    fn watch(&self, folder: &WatchedFolder) -> bool {
        if self.board.has(&folder.path) {
            return true;
        }
        if self.board.len() >= MOST_WATCHED {
            self.tell(Event::Notice(format!(
                "{} is not watched: {MOST_WATCHED} folders are the most at once. Stop watching one first.",
                folder.path.display()
            )));
            return false;
        }
        let (words, inbox) = match Inbox::open() {
            Ok(both) => both,
            Err(error) => {
                self.tell(Event::Notice(format!("{} is not watched: {error}", folder.path.display())));
                return false;
            }
        };
        let (number, life) = self.board.add(folder, words);
        let (board, feed, system) = (Arc::clone(&self.board), self.chronicle.feed(), Arc::clone(&self.system));
        let (options, path) = (Arc::new(self.settings.watch_options(folder)), folder.path.clone());
        let (slow_pass, state_dir) = (self.slow_pass, self.state_dir.clone());
        let watch = move || {
            let publish = move |picture| {
                if let Some(picture) = board.publish(number, picture) {
                    feed.seen(&picture);
                }
            };
            let session = Session {
                system,
                inbox,
                options,
                path,
                life,
                sight: None,
                first_id: 0,
                slow_pass,
                gather: super::session::GATHER,
                state_dir,
                publish: Box::new(publish),
            };
            session.run();
        };
        if let Err(error) = std::thread::Builder::new().name("watch".into()).spawn(watch) {
            self.board.remove(&folder.path);
            self.tell(Event::Notice(format!("The watching thread could not be started: {error}")));
            return false;
        }
        true
    }

    fn unwatch(&mut self, path: &Path) {
        let Some(directory) = self.board.remove(path) else { return };
        self.settings.watched.retain(|folder| folder.path != path && *folder.path != *directory);
        if self.end_sweep(&directory) {
            self.tell_sweeps();
            self.tell(Event::Notice(format!(
                "{} is not watched any more, so automatic clearing has ended there.",
                directory.display()
            )));
        }
    }

    fn find_places(&self) {
        let (system, shared, wake) = (Arc::clone(&self.system), Arc::clone(&self.shared), Arc::clone(&self.wake));
        let find = move || {
            let places = places::find(&*system, &places::Bases::of_this_process());
            shared.places.store(Arc::new(places));
            wake();
        };
        if let Err(error) = std::thread::Builder::new().name("places".into()).spawn(find) {
            tracing::warn!(%error, "the usual places could not be looked for");
        }
    }

    fn set_subfolders(&mut self, folder: &WatchedFolder) {
        let Some(session) = self.board.change(folder) else { return };
        self.settings.watched.retain(|known| known.path != folder.path);
        self.settings.watched.push(folder.clone());
        let options = self.settings.watch_options(folder);
        let ignore: IgnoreRules = options.ignore;
        session.send(Word::Subfolders(folder.recursive, ignore));
        // It was turned on for less than would be cleared now.
        if folder.recursive && self.end_sweep(&folder.path) {
            self.tell_sweeps();
            self.tell(Event::Notice(format!(
                "Automatic clearing of {} was turned off, as other subfolders are looked at now. Turn it on again if \
                 they are meant too.",
                folder.path.display()
            )));
        }
    }
}
