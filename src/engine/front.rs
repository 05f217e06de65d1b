//! The thread that takes commands: it starts and replaces sessions, and hands the slow work to threads of its own.
//!
//! Owns: which session is the current one, and the listing thread. Never: touches a directory itself, so that a hung
//! one cannot keep it from answering.

use super::history::chronicle::Chronicle;
use super::listing::{Listing, Query};
use super::session::{Session, Word};
use super::settings::Settings;
use super::worker::{Job, Stop, SweepJob, Worker};
use super::{Command, EngineOptions, Event, Shared, Sweeping};
use crate::model::snapshot::Snapshot;
use crate::platform::System;
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// What the listing thread is to do next. Only the newest wish counts.
#[derive(Default)]
struct Wish {
    query: Query,
    dirty: bool,
    ended: bool,
}

pub(super) struct Front {
    system: Arc<dyn System>,
    settings: Settings,
    shared: Arc<Shared>,
    events: Sender<Event>,
    wake: Arc<dyn Fn() + Send + Sync>,
    current: Arc<AtomicU64>,
    generation: Arc<AtomicU64>,
    session: Option<Sender<Word>>,
    /// What the session was asked to watch.
    path: Option<PathBuf>,
    wish: Arc<(Mutex<Wish>, Condvar)>,
    worker: Sender<Job>,
    slow_pass: Duration,
    state_dir: Option<PathBuf>,
    chronicle: Chronicle,
    /// Of the clears that are asked for and not over.
    clears: Vec<Stop>,
    /// Of the sweep that is on.
    sweep: Option<(Duration, Stop)>,
}

impl Front {
    pub(super) fn new(
        options: EngineOptions, shared: Arc<Shared>, events: Sender<Event>, wake: Arc<dyn Fn() + Send + Sync>,
        life: (Sender<Command>, Sender<()>),
    ) -> Self {
        let wish = Arc::new((Mutex::new(Wish::default()), Condvar::new()));
        let alive = life.1.clone();
        let chronicle = Chronicle::start(&options, Arc::clone(&shared), events.clone(), Arc::clone(&wake), alive);
        let worker = Worker::start(&options, Arc::clone(&shared), events.clone(), Arc::clone(&wake), life);
        let front = Self {
            system: options.system,
            settings: options.settings,
            shared,
            events,
            wake,
            current: Arc::default(),
            generation: Arc::default(),
            session: None,
            path: None,
            wish,
            worker,
            slow_pass: options.slow_pass,
            state_dir: options.state_dir,
            chronicle,
            clears: Vec::new(),
            sweep: None,
        };
        front.start_listing();
        front
    }

    pub(super) fn run(mut self, commands: &Receiver<Command>) {
        while let Ok(command) = commands.recv() {
            match command {
                Command::Watch(path) => self.watch(path),
                Command::StartDemo => self.work(Job::StartDemo),
                Command::SetThreshold(threshold) => {
                    self.settings.stale_after_secs = threshold.as_secs();
                    self.tell_session(Word::Threshold(threshold));
                    if let Some((every, _)) = self.sweep {
                        self.sweep(Some(every));
                    }
                }
                Command::Rescan => self.tell_session(Word::Rescan),
                Command::List(query) => self.change_wish(|wish| {
                    wish.dirty |= wish.query != query;
                    wish.query = query;
                }),
                Command::Clear { directory, seen } => {
                    let options = self.settings.look_options(&directory);
                    // The worker drops its own when the clear is over.
                    self.clears.retain(|stop| Arc::strong_count(stop) > 1);
                    let stop = Stop::default();
                    self.clears.push(Arc::clone(&stop));
                    self.work(Job::Clear { directory, seen, options, session: self.session.clone(), stop });
                }
                Command::Force { directory, seen, reason } => {
                    let options = self.settings.look_options(&directory);
                    self.work(Job::Force { directory, seen, reason, options, session: self.session.clone() });
                }
                Command::AskImpact(pid) => self.work(Job::AskImpact(pid)),
                Command::EndHolder { directory, path, process, reason } => {
                    self.work(Job::EndHolder { directory, path, process, reason });
                }
                Command::StopClearing => self.stop_clearing(),
                Command::Sweep(every) => self.sweep(every),
                Command::Undo { ids } => self.work(Job::Undo { ids, session: self.session.clone() }),
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
                Command::Shutdown => break,
            }
        }
        // Whatever runs ends after the lock that it is at: nothing is left half done.
        self.stop_clearing();
        self.sweep(None);
        self.current.fetch_add(1, Ordering::AcqRel);
        self.change_wish(|wish| wish.ended = true);
    }

    fn stop_clearing(&self) {
        for stop in &self.clears {
            stop.store(true, Ordering::Release);
        }
    }

    /// Begins, changes or ends automatic clearing of the directory that is shown.
    fn sweep(&mut self, every: Option<Duration>) {
        let was_on = self.sweep.take();
        if let Some((_, stop)) = &was_on {
            stop.store(true, Ordering::Release);
            self.work(Job::Sweep(None));
        }
        // Right after another directory was chosen, the picture is still the one before. A file stands for its directory.
        let is_watched = |shown: &Snapshot| {
            let path = self.path.as_deref();
            path == Some(&*shown.directory) || path.and_then(Path::parent) == Some(&*shown.directory)
        };
        let shown = self.shared.snapshot.load_full().filter(|shown| is_watched(shown));
        let on = every.zip(shown).map(|(every, shown)| Sweeping { directory: Arc::clone(&shown.directory), every });
        if was_on.is_some() || on.is_some() {
            let _ = self.events.send(Event::Sweeping(on.clone()));
        }
        if let Some(on) = on {
            let (options, stop) = (self.settings.look_options(&on.directory), Stop::default());
            self.sweep = Some((on.every, Arc::clone(&stop)));
            self.work(Job::Sweep(Some(SweepJob { on, options, session: self.session.clone(), stop })));
        }
        (self.wake)();
    }

    fn work(&self, job: Job) {
        // The worker ends only with us.
        let _ = self.worker.send(job);
    }

    fn tell_session(&self, word: Word) {
        if let Some(session) = &self.session {
            let _ = session.send(word);
        }
    }

    fn watch(&mut self, path: Option<PathBuf>) {
        // It was asked for where it was on, not for another directory.
        self.sweep(None);
        // Whatever the old session still publishes is nobody's any more; it ends when it next looks up.
        let number = self.current.fetch_add(1, Ordering::AcqRel) + 1;
        self.session = None;
        self.path = None;
        let Some(path) = path else {
            self.shared.snapshot.store(None);
            self.shared.listing.store(Arc::default());
            (self.wake)();
            return;
        };
        let path = crate::platform::environment::absolute(&path);
        self.path = Some(path.clone());
        let (words, received) = unbounded();
        let session = Session {
            system: Arc::clone(&self.system),
            shared: Arc::clone(&self.shared),
            words: received,
            options: self.settings.look_options(&path),
            path,
            current: Arc::clone(&self.current),
            number,
            first_id: 0,
            slow_pass: self.slow_pass,
            state_dir: self.state_dir.clone(),
            publish: self.publisher(number),
        };
        match std::thread::Builder::new().name("watch".into()).spawn(move || session.run()) {
            Ok(_) => self.session = Some(words),
            Err(error) => {
                let _ = self.events.send(Event::Notice(format!("The watching thread could not be started: {error}")));
                (self.wake)();
            }
        }
    }

    /// What a session publishes through. A session that was replaced meanwhile changes nothing any more.
    fn publisher(&self, number: u64) -> Box<dyn Fn(Snapshot) + Send> {
        let (shared, current) = (Arc::clone(&self.shared), Arc::clone(&self.current));
        let (generation, wish) = (Arc::clone(&self.generation), Arc::clone(&self.wish));
        let wake = Arc::clone(&self.wake);
        let feed = self.chronicle.feed();
        Box::new(move |mut snapshot| {
            snapshot.generation = generation.fetch_add(1, Ordering::AcqRel) + 1;
            if current.load(Ordering::Acquire) == number {
                let snapshot = Arc::new(snapshot);
                feed.seen(&snapshot);
                shared.snapshot.store(Some(snapshot));
                let (state, changed) = &*wish;
                state.lock().unwrap_or_else(PoisonError::into_inner).dirty = true;
                changed.notify_one();
                wake();
            }
        })
    }

    fn change_wish(&self, change: impl FnOnce(&mut Wish)) {
        let (state, changed) = &*self.wish;
        change(&mut state.lock().unwrap_or_else(PoisonError::into_inner));
        changed.notify_one();
    }

    /// The listing thread: filters and sorts the newest snapshot by the newest query, over and over.
    fn start_listing(&self) {
        let (shared, wish, wake) = (Arc::clone(&self.shared), Arc::clone(&self.wish), Arc::clone(&self.wake));
        let body = move || {
            let (state, changed) = &*wish;
            loop {
                let query = {
                    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                    while !state.dirty && !state.ended {
                        state = changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                    }
                    if state.ended {
                        return;
                    }
                    state.dirty = false;
                    state.query.clone()
                };
                let Some(snapshot) = shared.snapshot.load_full() else { continue };
                shared.listing.store(Arc::new(Listing::of(&snapshot, &query)));
                wake();
            }
        };
        if let Err(error) = std::thread::Builder::new().name("listing".into()).spawn(body) {
            tracing::error!(%error, "the listing thread could not be started");
        }
    }
}
