//! The thread that does what takes long and changes something: clears, undoes, the journal, the settings.
//!
//! Owns: the order in which these happen (one after another, as asked). Never: watches.

use super::demo::Demo;
use super::session::Word;
use super::settings::{self, Settings};
use super::{Command, EngineOptions, Event, JournalLine, Outcome, Shared};
use crate::clear::{self, Consent, Workplace};
use crate::inspect::LookOptions;
use crate::model::snapshot::Lock;
use crate::model::verdict::Verdict;
use crate::platform::System;
use crossbeam_channel::{Sender, unbounded};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One thing to do.
pub(super) enum Job {
    Clear { directory: Arc<Path>, seen: Vec<Arc<Lock>>, options: LookOptions, session: Option<Sender<Word>> },
    Undo { ids: Vec<String>, session: Option<Sender<Word>> },
    ReadJournal,
    SaveSettings(Box<Settings>),
    StartDemo,
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
}

/// Said where there is no place for a journal.
const NO_STATE: &str = "nothing can be cleared without a place for the journal: set HOME or LOCKSCOPE_STATE_DIR";

impl Worker {
    pub(super) fn start(
        options: &EngineOptions, shared: Arc<Shared>, events: Sender<Event>, wake: Arc<dyn Fn() + Send + Sync>,
        (commands, alive): (Sender<Command>, Sender<()>),
    ) -> Sender<Job> {
        let (jobs, received) = unbounded();
        let workplace = options.state_dir.as_ref().map(|state| Workplace::new(Arc::clone(&options.system), state));
        let system = Arc::clone(&options.system);
        let config_dir = options.config_dir.clone();
        let mut worker = Self { system, workplace, config_dir, shared, events, wake, commands, demo: None };
        let body = move || {
            worker.recover();
            while let Ok(job) = received.recv() {
                worker.run(job);
                (worker.wake)();
            }
            drop(worker);
            drop(alive);
        };
        if let Err(error) = std::thread::Builder::new().name("worker".into()).spawn(body) {
            tracing::error!(%error, "the working thread could not be started");
        }
        jobs
    }

    fn run(&mut self, job: Job) {
        match job {
            Job::Clear { directory, seen, options, session } => {
                let outcomes = self.clear(&directory, &seen, &options);
                if let Some(session) = session {
                    let _ = session.send(Word::Look(outcomes.iter().map(|outcome| outcome.path.clone()).collect()));
                }
                self.tell(Event::Cleared { outcomes });
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

    fn tell(&self, event: Event) {
        let _ = self.events.send(event);
    }

    /// Goes on with what an earlier Lockscope left half done.
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
    }

    /// Each lock is a transaction of its own: what one cannot do keeps none of the others from being done.
    fn clear(&self, directory: &Path, seen: &[Arc<Lock>], options: &LookOptions) -> Vec<Outcome> {
        let consent = if seen.len() == 1 { Consent::ByName } else { Consent::Bulk };
        let workplace = self.workplace.as_ref().map(Workplace::for_one_confirmation);
        let one = |lock: &Arc<Lock>| {
            let workplace = workplace.as_ref().ok_or_else(|| NO_STATE.to_owned())?;
            clear_one(workplace, directory, lock, options, consent)
        };
        seen.iter().map(|lock| Outcome { path: lock.path.to_os_string(), result: one(lock) }).collect()
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

    fn read_journal(&self) {
        let Some(workplace) = &self.workplace else { return };
        match workplace.journal().read() {
            Ok(entries) => {
                self.shared.journal.store(Arc::new(entries.into_iter().map(JournalLine::from).collect()));
            }
            Err(error) => self.tell(Event::Notice(format!("The journal could not be read: {error}"))),
        }
    }
}

/// Rechecks and clears one lock; gives the journal entry's id, or why nothing was done. A placeholder that an interrupted
/// clear of ours left is repaired instead.
pub fn clear_one(
    workplace: &Workplace, directory: &Path, seen: &Lock, options: &LookOptions, consent: Consent,
) -> Result<String, String> {
    if seen.judgement.verdict == Verdict::Interrupted {
        return match clear::repair(workplace, directory, Path::new(&seen.path)) {
            Ok(repaired) if repaired.cleared => Ok(repaired.id),
            Ok(repaired) => Err(repaired.outcome),
            Err(refusal) => Err(refusal.to_string()),
        };
    }
    let permit = clear::recheck(workplace, directory, seen, options, consent).map_err(|refusal| refusal.to_string())?;
    clear::clear(permit).map(|cleared| cleared.id).map_err(|error| error.to_string())
}
