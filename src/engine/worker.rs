//! The thread that does what takes long and changes something: clears, undoes, the journal, the settings.
//!
//! Owns: the order in which these happen (one after another, as asked). Never: watches.

use super::bulk::{Came, Progress, clear_each, clear_one, force_one};
use super::demo::Demo;
use super::session::Word;
use super::settings::{self, Settings};
use super::sweep::{Act, Hands, PutBack, Sweep};
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
        session: Option<Sender<Word>>,
        stop: Stop,
    },
    Force {
        directory: Arc<Path>,
        seen: Arc<Lock>,
        reason: Reason,
        options: LookOptions,
        session: Option<Sender<Word>>,
    },
    AskImpact(Pid),
    EndHolder {
        directory: Arc<Path>,
        path: Box<OsStr>,
        process: Arc<ProcessFacts>,
        reason: Reason,
    },
    Sweep(Option<SweepJob>),
    Undo {
        ids: Vec<String>,
        session: Option<Sender<Word>>,
    },
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
    pub(super) session: Option<Sender<Word>>,
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
    swept: Option<Swept>,
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
            swept: None,
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
        let Some(swept) = &self.swept else { return received.recv().map(Some).map_err(drop) };
        match received.recv_timeout(swept.due.saturating_sub(self.system.monotonic())) {
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
                    let _ = session.send(Word::Look(outcomes.iter().map(|outcome| outcome.path.clone()).collect()));
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
                    let _ = session.send(Word::Look(vec![seen.path.to_os_string()]));
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
                self.swept = job.map(|job| Swept { sweep: Sweep::new(job.on.every), job, due });
            }
            Job::Undo { ids, session } => {
                let outcomes = self.undo(&ids);
                if let Some(session) = session {
                    let _ = session.send(Word::Rescan);
                }
                self.tell(Event::Undone { outcomes });
            }
            Job::ReadJournal => self.read_journal(),
            Job::SaveSettings(settings) => {
                if let Some(directory) = &self.config_dir
                    && let Err(error) = settings::save(directory, &settings)
                {
                    self.tell(Event::Notice(format!("The settings could not be written: {error}")));
                }
            }
            Job::StartDemo => match Demo::start(&self.system) {
                Ok(demo) => {
                    let _ = self.commands.send(Command::Watch(Some(demo.directory().to_owned())));
                    self.demo = Some(demo);
                }
                Err(error) => self.tell(Event::Notice(format!("The demo could not be started: {error}"))),
            },
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

    /// A round of automatic clearing, by the picture that is shown: it is as fresh as a pass of our own. Tells whether
    /// anything came of it.
    fn sweep(&mut self) -> bool {
        let Some(mut swept) = self.swept.take() else { return false };
        let mut acts = Vec::new();
        let now = self.system.monotonic();
        let shown = self.shared.snapshot.load_full().filter(|shown| shown.directory == swept.job.on.directory);
        match shown.as_deref().map(|shown| (shown, &shown.watching)) {
            Some((shown, Watching::Live | Watching::Polling(_))) => {
                let hands =
                    Sweeper { workplace: self.workplace.as_ref().map(Workplace::for_sweeping), job: &swept.job };
                swept.sweep.round(shown, now, &hands, &mut |act| acts.push(act));
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
            let _ = session.send(Word::Look(gone));
        }
        self.swept = Some(swept);
        let news = !acts.is_empty();
        if news {
            self.tell(Event::Swept { acts });
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
