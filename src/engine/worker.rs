//! The thread that does what takes long and changes something: clears, undoes, the journal, the settings.
//!
//! Owns: the order in which these happen (one after another, as asked). Never: watches.

use super::bulk::{Came, Progress, clear_each, clear_one, force_one};
use super::demo::Demo;
use super::settings::{self, Settings};
use super::sweep::{Act, Hands, PutBack, Sweep};
use super::words::{Word, Words};
use super::{Command, EngineOptions, Event, JournalLine, Outcome, Shared, Sweeping};
use crate::clear::{self, Consent, Reason, Workplace};
use crate::inspect::{LookOptions, impact_of};
use crate::lock;
use crate::model::holder::{Pid, ProcessFacts};
use crate::model::snapshot::{Lock, Watching};
use crate::model::time::say_duration;
use crate::platform::{Ending, System};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// One thing to do.
pub(super) enum Job {
    Clear {
        directory: Arc<Path>,
        seen: Vec<Arc<Lock>>,
        options: LookOptions,
        session: Option<Words>,
        stop: Stop,
    },
    Force {
        directory: Arc<Path>,
        seen: Arc<Lock>,
        reason: Reason,
        options: LookOptions,
        session: Option<Words>,
    },
    AskImpact(Pid),
    EndHolder {
        directory: Arc<Path>,
        path: Box<OsStr>,
        process: Arc<ProcessFacts>,
        reason: Reason,
    },
    Sweep(SweepJob),
    EndSweep(Arc<Path>),
    Undo {
        ids: Vec<String>,
        /// They may be of any directory.
        sessions: Vec<Words>,
    },
    AskUndo(String),
    ReadJournal,
    SaveSettings(Box<Settings>),
    StartDemo,
}

/// Raised by whoever wants it to end; asked between two locks.
pub(super) type Stop = Arc<AtomicBool>;

/// A directory to sweep from now on.
pub(super) struct SweepJob {
    pub(super) on: Sweeping,
    pub(super) options: LookOptions,
    pub(super) session: Option<Words>,
    pub(super) stop: Stop,
}

/// A directory that is being swept.
struct Swept {
    job: SweepJob,
    sweep: Sweep,
    due: Duration,
}

pub(super) struct Worker {
    system: Arc<dyn System>,
    workplace: Option<Workplace>,
    config_dir: Option<PathBuf>,
    shared: Arc<Shared>,
    events: Sender<Event>,
    wake: Arc<dyn Fn() + Send + Sync>,
    commands: Sender<Command>,
    demo: Option<Demo>,
    swept: Vec<Swept>,
    /// Of the journal as it was last read.
    journal_stamp: Option<(Option<PathBuf>, u64)>,
}

/// So long a process that was asked to end is waited for; its end is seen later too.
const LAST_CHANCE: Duration = Duration::from_secs(5);

/// Said where there is no place for a journal.
const NO_STATE: &str = "nothing can be cleared without a place for the journal: set HOME or LOCKSCOPE_STATE_DIR";

impl Worker {
    pub(super) fn start(
        options: &EngineOptions, shared: Arc<Shared>, events: Sender<Event>, wake: Arc<dyn Fn() + Send + Sync>,
        (commands, alive): (Sender<Command>, Sender<()>),
    ) -> Sender<Job> {
        let (jobs, received) = unbounded();
        let workplace = options.state_dir.as_ref().map(|state| lock::workplace(Arc::clone(&options.system), state));
        let system = Arc::clone(&options.system);
        let config_dir = options.config_dir.clone();
        let mut worker = Self {
            system,
            workplace,
            config_dir,
            shared,
            events,
            wake,
            commands,
            demo: None,
            swept: Vec::new(),
            journal_stamp: None,
        };
        let body = move || {
            worker.recover();
            (worker.wake)();
            while let Ok(job) = worker.next(&received) {
                let news = match job {
                    Some(job) => {
                        worker.run(job);
                        true
                    }
                    None => worker.sweep(),
                };
                // A round without an act is nothing to draw.
                if news {
                    (worker.wake)();
                }
            }
            drop(worker);
            drop(alive);
        };
        if let Err(error) = std::thread::Builder::new().name("worker".into()).spawn(body) {
            tracing::error!(%error, "the working thread could not be started");
        }
        jobs
    }

    /// The next job; `None` = a round of the sweep is due.
    fn next(&self, received: &Receiver<Job>) -> Result<Option<Job>, ()> {
        let due = self.swept.iter().map(|swept| swept.due).min();
        let Some(due) = due else { return received.recv().map(Some).map_err(drop) };
        match received.recv_timeout(due.saturating_sub(self.system.monotonic())) {
            Ok(job) => Ok(Some(job)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(()),
        }
    }

    fn run(&mut self, job: Job) {
        match job {
            Job::Clear { directory, seen, options, session, stop } => {
                let outcomes = self.clear(&directory, &seen, &options, &stop);
                if let Some(session) = session {
                    session.send(Word::Look(outcomes.iter().map(|outcome| outcome.path.clone()).collect()));
                }
                let left = seen.len() - outcomes.len();
                self.tell(Event::Cleared { outcomes, left });
            }
            Job::Force { directory, seen, reason, options, session } => {
                let came = match self.workplace.as_ref().map(Workplace::for_one_confirmation) {
                    Some(workplace) => force_one(&workplace, &directory, &seen, &options, &reason),
                    None => Came::Failed(NO_STATE.to_owned()),
                };
                if let Some(session) = session {
                    session.send(Word::Look(vec![seen.path.to_os_string()]));
                }
                let outcome = Outcome { path: seen.path.to_os_string(), result: came.result() };
                self.tell(Event::Cleared { outcomes: vec![outcome], left: 0 });
            }
            Job::AskImpact(pid) => {
                let impact = impact_of(&*self.system, pid).map(Box::new);
                self.tell(Event::Impact(
                    pid,
                    impact.ok_or_else(|| format!("PID {pid} has ended, or may not be seen.")),
                ));
            }
            Job::EndHolder { directory, path, process, reason } => {
                self.tell(Event::HolderEnded(self.end_holder(&directory, &path, &process, &reason)));
            }
            Job::Sweep(job) => {
                let due = self.system.monotonic();
                self.swept.retain(|swept| swept.job.on.directory != job.on.directory);
                self.swept.push(Swept { sweep: Sweep::new(job.on.every), job, due });
            }
            Job::EndSweep(directory) => self.swept.retain(|swept| swept.job.on.directory != directory),
            Job::Undo { ids, sessions } => {
                let outcomes = self.undo(&ids);
                for session in sessions {
                    session.send(Word::Rescan);
                }
                self.tell(Event::Undone { outcomes });
            }
            Job::AskUndo(id) => {
                let workplace = self.workplace.as_ref().ok_or_else(|| NO_STATE.to_owned());
                let can = workplace.and_then(|place| clear::can_undo(place, &id).map_err(|error| error.to_string()));
                self.tell(Event::UndoAsked(id, can));
            }
            Job::ReadJournal => self.read_journal(),
            Job::SaveSettings(settings) => {
                if let Some(directory) = &self.config_dir
                    && let Err(error) = settings::save(directory, &settings)
                {
                    self.tell(Event::Notice(format!("The settings could not be written: {error}")));
                }
            }
            Job::StartDemo => {
                if self.demo.is_none() {
                    match Demo::start(&self.system) {
                        Ok(demo) => self.demo = Some(demo),
                        Err(error) => self.tell(Event::Notice(format!("The demo could not be started: {error}"))),
                    }
                }
                if let Some(demo) = &self.demo {
                    let _ = self.commands.send(Command::Watch(Some(demo.directory().to_owned())));
                }
            }
        }
    }

    fn end_holder(&self, directory: &Path, path: &OsStr, process: &ProcessFacts, reason: &Reason) -> String {
        let Some(workplace) = &self.workplace else { return NO_STATE.to_owned() };
        let name = format!("{} (PID {})", process.name(), process.pid);
        match clear::end_holder(workplace, directory, path, process, reason, LAST_CHANCE) {
            Ok(Ending::Ended) => format!("{name} has ended."),
            Ok(Ending::StillRunning) => {
                format!("{name} was asked to end {} ago and runs on.", say_duration(LAST_CHANCE))
            }
            Err(error) => format!("{error}."),
        }
    }

    fn tell(&self, event: Event) {
        let _ = self.events.send(event);
    }

    /// Goes on with what an earlier Lockscope left half done, and lets go of what nobody can undo any more.
    fn recover(&self) {
        let Some(workplace) = &self.workplace else { return };
        match clear::recover_all(workplace) {
            Ok(0) => {}
            Ok(count) => self.tell(Event::Notice(format!(
                "{count} interrupted {} finished or put back; the journal has the details.",
                if count == 1 { "clear was" } else { "clears were" }
            ))),
            Err(error) => self.tell(Event::Notice(format!("Interrupted clears could not be looked for: {error}"))),
        }
        if let Err(error) = clear::expire(workplace) {
            tracing::warn!(%error, "what was kept for undo could not be looked through");
        }
    }

    /// Each lock is a transaction of its own: what one cannot do keeps none of the others from being done.
    fn clear(&self, directory: &Path, seen: &[Arc<Lock>], options: &LookOptions, stop: &Stop) -> Vec<Outcome> {
        let consent = if seen.len() == 1 { Consent::ByName } else { Consent::Bulk };
        let workplace = self.workplace.as_ref().map(Workplace::for_one_confirmation);
        let goes_on = |progress: Progress| {
            self.tell(Event::Clearing(progress));
            (self.wake)();
            !stop.load(Ordering::Acquire)
        };
        let came = clear_each(seen, goes_on, |lock| match &workplace {
            Some(workplace) => clear_one(workplace, directory, lock, options, consent),
            None => Came::Failed(NO_STATE.to_owned()),
        });
        seen.iter()
            .zip(came)
            .map(|(lock, came)| Outcome { path: lock.path.to_os_string(), result: came.result() })
            .collect()
    }

    /// The rounds of automatic clearing that are due. Tells whether anything came of them.
    fn sweep(&mut self) -> bool {
        let now = self.system.monotonic();
        let (due, mut rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.swept).into_iter().partition(|swept| swept.due <= now);
        let mut news = false;
        for mut swept in due {
            news |= self.sweep_one(&mut swept);
            rest.push(swept);
        }
        self.swept = rest;
        news
    }

    /// A round in one directory, by the newest picture of it: it is as fresh as a pass of our own.
    fn sweep_one(&self, swept: &mut Swept) -> bool {
        let mut acts = Vec::new();
        let now = self.system.monotonic();
        let directory = Arc::clone(&swept.job.on.directory);
        let watched = self.shared.watched.load_full();
        let picture = watched.iter().find(|one| *one.directory() == *directory).and_then(|one| one.picture.as_deref());
        match picture.map(|picture| (picture, &picture.watching)) {
            Some((picture, Watching::Live | Watching::Polling(_))) => {
                let hands =
                    Sweeper { workplace: self.workplace.as_ref().map(Workplace::for_sweeping), job: &swept.job };
                swept.sweep.round(picture, now, &hands, &mut |act| acts.push(act));
            }
            Some((_, Watching::Loading(_))) | None => {}
            Some((_, Watching::Lost(_))) => {
                swept.sweep.missed("the folder cannot be looked at".to_owned(), &mut |act| acts.push(act));
            }
        }
        swept.due = self.system.monotonic() + swept.sweep.pause();
        let gone: Vec<OsString> = acts
            .iter()
            .filter_map(|act| if let Act::Cleared { path, .. } = act { Some(path.clone()) } else { None })
            .collect();
        if let Some(session) = swept.job.session.as_ref().filter(|_| !gone.is_empty()) {
            session.send(Word::Look(gone));
        }
        let news = !acts.is_empty();
        if news {
            self.tell(Event::Swept { directory, acts });
        }
        news
    }

    fn undo(&self, ids: &[String]) -> Vec<Outcome> {
        let one = |id: &String| {
            let workplace = self.workplace.as_ref().ok_or_else(|| (OsString::new(), NO_STATE.to_owned()))?;
            clear::undo(workplace, id).map_err(|refusal| (OsString::from(id), refusal.to_string()))
        };
        ids.iter()
            .map(|id| match one(id) {
                Ok(restored) => Outcome { path: restored.path.into_os_string(), result: Ok(restored.id) },
                Err((path, why)) => Outcome { path, result: Err(why) },
            })
            .collect()
    }

    /// Another Lockscope may have written; where nobody has, nothing is read.
    fn read_journal(&mut self) {
        let Some(workplace) = &self.workplace else { return };
        let journal = workplace.journal();
        // Before the reading: what is written meanwhile is read the next time.
        let stamp = journal.stamp().ok();
        if stamp.is_some() && stamp == self.journal_stamp {
            return;
        }
        match journal.read() {
            Ok(entries) => {
                self.journal_stamp = stamp;
                self.shared.journal.store(Arc::new(entries.into_iter().map(JournalLine::from).collect()));
            }
            Err(error) => self.tell(Event::Notice(format!("The journal could not be read: {error}"))),
        }
    }
}

/// What the window's sweep acts with.
struct Sweeper<'a> {
    workplace: Option<Workplace>,
    job: &'a SweepJob,
}

impl Hands for Sweeper<'_> {
    fn is_stopped(&self) -> bool {
        self.job.stop.load(Ordering::Acquire)
    }

    fn put_back(&self) -> Result<PutBack, String> {
        let workplace = self.workplace.as_ref().ok_or(NO_STATE)?;
        let entries = workplace.journal().read().map_err(|error| format!("the journal could not be read: {error}"))?;
        Ok(PutBack::of(entries))
    }

    fn clear(&self, seen: &Arc<Lock>) -> Came {
        match &self.workplace {
            Some(workplace) => clear_one(workplace, &self.job.on.directory, seen, &self.job.options, Consent::Bulk),
            None => Came::Failed(NO_STATE.to_owned()),
        }
    }
}
