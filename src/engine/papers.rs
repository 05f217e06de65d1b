//! Writing papers: exports and incident bundles, each on a thread of its own, as a slow disk must keep nothing waiting.
//!
//! Owns: [`Job`] and how it ends. Never: leaves half a file, and never takes a file's place unless that was asked for.

use super::Event;
use super::export::{Form, Subject};
use super::incident::{Incident, zipped};
use super::redact::Me;
use crate::model::time::Zone;
use crate::platform::{ReadBy, System, about, environment, replace_whole, save_new};
use crossbeam_channel::Sender;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is written.
#[derive(Clone, Debug)]
pub enum Paper {
    /// A table, evidence or the journal.
    Export {
        /// Of what.
        subject: Subject,
        /// As what.
        form: Form,
        /// How times are said where people read them.
        zone: Zone,
    },
    /// An incident bundle.
    Incident(Incident),
}

/// Where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// To a file.
    File {
        /// Its path.
        path: PathBuf,
        /// The person agreed to replace what stands there.
        replace: bool,
    },
    /// To whoever asked, as text: [`Event::Copied`].
    Clipboard,
    /// Nowhere: of a bundle it is told what would be in it: [`Event::Previewed`].
    Preview,
}

/// One paper and its way.
#[derive(Clone, Debug)]
pub struct Job {
    /// What.
    pub paper: Paper,
    /// Where to.
    pub target: Target,
}

/// Why nothing was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSaved {
    /// Something stands there.
    #[error("{}: a file with this name is there already; nothing was written", .0.display())]
    Exists(PathBuf),
    /// Its directory is not there.
    #[error("{}: there is no such folder; make it first, or choose another", .0.display())]
    NoFolder(PathBuf),
    /// It may not be written there.
    #[error("{}: it may not be written there: {why}; choose another folder", path.display())]
    Denied {
        /// Where.
        path: PathBuf,
        /// The system's words.
        why: String,
    },
    /// Anything else.
    #[error("{}: it could not be written: {why}; nothing was left there", path.display())]
    Failed {
        /// Where.
        path: PathBuf,
        /// What.
        why: String,
    },
}

impl NotSaved {
    fn of(path: &Path, error: &io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::AlreadyExists => Self::Exists(path),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                Self::NoFolder(path.parent().map(Path::to_owned).unwrap_or(path))
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::Denied { path, why: error.to_string() }
            }
            _ => Self::Failed { path, why: error.to_string() },
        }
    }
}

/// Whose names are known on this machine before anything is looked at.
pub fn me(system: &dyn System) -> Me {
    let user = system.user_name(system.host().uid).or_else(environment::user);
    Me { home: environment::home_dir(), user }
}

/// The bytes of an incident bundle.
pub fn bundle(incident: &Incident, system: &dyn System) -> Result<Vec<u8>, String> {
    zipped(&incident.members(&about::about(system), &me(system)), incident.snapshot.moment().now, &incident.zone)
}

/// Writes where nothing stands, or, agreed, in the place of what stands there.
pub fn write(path: &Path, bytes: &[u8], by: ReadBy, replace: bool) -> Result<(), NotSaved> {
    match save_new(path, bytes, by) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && replace => replace_whole(path, bytes),
        other => other,
    }
    .map_err(|error| NotSaved::of(path, &error))
}

/// Does it, and tells how it ended.
fn done(job: Job, system: &dyn System) -> Event {
    match (job.paper, job.target) {
        (Paper::Incident(incident), Target::Preview) => Event::Previewed(Box::new(incident.contents(&me(system)))),
        (Paper::Export { subject, form, zone }, Target::Clipboard | Target::Preview) => {
            Event::Copied(subject.render(form, &zone))
        }
        (Paper::Export { subject, form, zone }, Target::File { path, replace }) => {
            let text = subject.render(form, &zone);
            let written = write(&path, text.as_bytes(), ReadBy::Everybody, replace);
            Event::Saved(written.map(|()| (path, text.len() as u64)))
        }
        (Paper::Incident(incident), target) => {
            let Target::File { path, .. } = target else {
                return Event::Notice("A bundle cannot be copied as text: save it.".to_owned());
            };
            let bytes = bundle(&incident, system).map_err(|why| NotSaved::Failed { path: path.clone(), why });
            Event::Saved(bytes.and_then(|bytes| {
                // It may tell more of somebody than its reader should see; and it is never written over another.
                write(&path, &bytes, ReadBy::Owner, false)?;
                Ok((path, bytes.len() as u64))
            }))
        }
    }
}

/// Starts the writing.
pub(super) fn start(job: Job, system: &Arc<dyn System>, events: &Sender<Event>, wake: &Arc<dyn Fn() + Send + Sync>) {
    let (system, tell, waken) = (Arc::clone(system), events.clone(), Arc::clone(wake));
    let body = move || {
        let _ = tell.send(done(job, &*system));
        waken();
    };
    if let Err(error) = std::thread::Builder::new().name("papers".into()).spawn(body) {
        let _ = events.send(Event::Notice(format!("The writing thread could not be started: {error}")));
        wake();
    }
}
