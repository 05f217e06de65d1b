//! The directories that are watched at once: what each of their sessions has published last, and which one is shown.
//!
//! Owns: [`Watched`], and the board on which the sessions publish. A directory in the background has its picture and its
//! counts kept, and no listing. Never: touches a directory, or waits for a session.

use super::Shared;
use super::lister::Lister;
use super::session::Word;
use super::settings::WatchedFolder;
use crate::model::facts::FileKind;
use crate::model::snapshot::{Counts, Lock, Snapshot, Watching};
use crossbeam_channel::Sender;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A directory that is watched, as it is published.
#[derive(Clone, Debug)]
pub struct Watched {
    /// As it was asked for, absolute.
    pub path: Arc<Path>,
    /// Its subfolders are looked at too.
    pub recursive: bool,
    /// Rules of its own for those that are passed over; `None` = the usual ones.
    pub ignore: Option<Arc<[String]>>,
    /// It is the one that [`super::Engine::snapshot`] and [`super::Engine::listing`] show.
    pub shown: bool,
    /// The newest picture of it; `None` until there is a first.
    pub picture: Option<Arc<Snapshot>>,
}

impl Watched {
    /// What is looked at: of a file that was asked for, the directory that it is in.
    pub fn directory(&self) -> &Path {
        self.picture.as_ref().map_or(&self.path, |picture| &picture.directory)
    }

    /// How it is watched; `None` until that is known.
    pub fn watching(&self) -> Option<&Watching> {
        self.picture.as_ref().map(|picture| &picture.watching)
    }

    /// How many of its locks have each verdict.
    pub fn counts(&self) -> Counts {
        self.picture.as_ref().map(|picture| picture.counts).unwrap_or_default()
    }

    /// The number of its picture, 0 before the first.
    pub fn generation(&self) -> u64 {
        self.picture.as_ref().map_or(0, |picture| picture.generation)
    }
}

/// What a session and the board share.
#[derive(Clone, Debug, Default)]
pub(super) struct Life {
    /// Nobody wants it any more.
    pub(super) ended: Arc<AtomicBool>,
    /// It is the one that is shown, and can be seen; the others look less often.
    pub(super) shown: Arc<AtomicBool>,
}

struct Entry {
    number: u64,
    path: Arc<Path>,
    recursive: bool,
    ignore: Option<Arc<[String]>>,
    life: Life,
    words: Sender<Word>,
    picture: Option<Arc<Snapshot>>,
}

impl Entry {
    fn is_of(&self, directory: &Path) -> bool {
        *self.path == *directory || self.picture.as_ref().is_some_and(|picture| *picture.directory == *directory)
    }

    /// A file that was asked for stands for the directory that it is in.
    fn has(&self, path: &Path) -> bool {
        let listed = |picture: &Arc<Snapshot>| {
            let below = path.strip_prefix(&picture.directory).ok().filter(|below| !below.as_os_str().is_empty());
            // A lock that is a directory can be looked into itself.
            let file = |lock: &Arc<Lock>| lock.facts.stat().is_some_and(|stat| stat.kind == FileKind::Regular);
            below.is_some_and(|below| picture.find(below.as_os_str()).is_some_and(file))
        };
        self.is_of(path) || self.picture.as_ref().is_some_and(listed)
    }
}

#[derive(Default)]
struct Entries {
    all: Vec<Entry>,
    shown: Option<u64>,
    /// Nobody can see what is shown: the window is minimised.
    hidden: bool,
    last_number: u64,
    generation: u64,
}

/// Where the sessions publish, and which of them is seen.
pub(super) struct Board {
    entries: Mutex<Entries>,
    shared: Arc<Shared>,
    lister: Arc<Lister>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl Board {
    pub(super) fn new(shared: Arc<Shared>, lister: Arc<Lister>, wake: Arc<dyn Fn() + Send + Sync>) -> Self {
        Self { entries: Mutex::default(), shared, lister, wake }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, entries: &Entries) {
        let all = entries.all.iter().map(|entry| Watched {
            path: Arc::clone(&entry.path),
            recursive: entry.recursive,
            ignore: entry.ignore.clone(),
            shown: entries.shown == Some(entry.number),
            picture: entry.picture.clone(),
        });
        self.shared.watched.store(Arc::new(all.collect()));
        (self.wake)();
    }

    /// How many are watched.
    pub(super) fn len(&self) -> usize {
        self.entries().all.len()
    }

    /// Whether this path, a directory or a file in one, is watched already.
    pub(super) fn has(&self, path: &Path) -> bool {
        self.entries().all.iter().any(|entry| entry.has(path))
    }

    /// A place for a new session; it publishes under the number.
    pub(super) fn add(&self, folder: &WatchedFolder, words: Sender<Word>) -> (u64, Life) {
        let mut entries = self.entries();
        entries.last_number += 1;
        let number = entries.last_number;
        let life = Life::default();
        entries.all.push(Entry {
            number,
            path: folder.path.as_path().into(),
            recursive: folder.recursive,
            ignore: folder.ignore.clone().map(Into::into),
            life: life.clone(),
            words,
            picture: None,
        });
        self.tell(&entries);
        (number, life)
    }

    /// Shows a watched directory; `None` = none. Its last picture is there at once; one that has none yet leaves what is
    /// shown until it has.
    pub(super) fn show(&self, path: Option<&Path>) {
        let mut entries = self.entries();
        let found = path.and_then(|path| entries.all.iter().position(|entry| entry.has(path)));
        self.turn_to(&mut entries, found);
        self.tell(&entries);
    }

    fn turn_to(&self, entries: &mut Entries, to: Option<usize>) {
        entries.shown = to.and_then(|at| entries.all.get(at)).map(|entry| entry.number);
        tell_who_is_seen(entries);
        match to.and_then(|at| entries.all.get(at)).map(|entry| entry.picture.clone()) {
            Some(Some(picture)) => self.lister.present(picture),
            Some(None) => {}
            None => self.lister.present_nothing(),
        }
    }

    /// Nobody can see what is shown, or somebody can again.
    pub(super) fn hide(&self, hidden: bool) {
        let mut entries = self.entries();
        entries.hidden = hidden;
        tell_who_is_seen(&entries);
    }

    /// Lets go of one. What is shown then is its neighbour. Tells the directory that it was.
    pub(super) fn remove(&self, path: &Path) -> Option<Arc<Path>> {
        let mut entries = self.entries();
        let at = entries.all.iter().position(|entry| entry.is_of(path))?;
        let entry = entries.all.remove(at);
        end(&entry);
        if entries.shown == Some(entry.number) {
            let neighbour = (!entries.all.is_empty()).then(|| at.min(entries.all.len() - 1));
            self.turn_to(&mut entries, neighbour);
        }
        self.tell(&entries);
        Some(entry.picture.map_or(entry.path, |picture| Arc::clone(&picture.directory)))
    }

    /// Takes note of how the subfolders of one are looked at, and gives its session's ear.
    pub(super) fn change(&self, folder: &WatchedFolder) -> Option<Sender<Word>> {
        let mut entries = self.entries();
        let entry = entries.all.iter_mut().find(|entry| entry.is_of(&folder.path))?;
        entry.recursive = folder.recursive;
        entry.ignore = folder.ignore.clone().map(Into::into);
        let words = entry.words.clone();
        self.tell(&entries);
        Some(words)
    }

    /// The ear of the session of a directory.
    pub(super) fn session(&self, directory: &Path) -> Option<Sender<Word>> {
        self.entries().all.iter().find(|entry| entry.is_of(directory)).map(|entry| entry.words.clone())
    }

    /// The ears of all sessions.
    pub(super) fn sessions(&self) -> Vec<Sender<Word>> {
        self.entries().all.iter().map(|entry| entry.words.clone()).collect()
    }

    /// The ear of the session that is shown.
    pub(super) fn shown_session(&self) -> Option<Sender<Word>> {
        let entries = self.entries();
        entries.all.iter().find(|entry| entries.shown == Some(entry.number)).map(|entry| entry.words.clone())
    }

    /// Ends all.
    pub(super) fn end(&self) {
        for entry in self.entries().all.drain(..) {
            end(&entry);
        }
    }

    /// Takes a session's picture, and gives it with its number. One that was ended meanwhile changes nothing any more.
    pub(super) fn publish(&self, number: u64, mut picture: Snapshot) -> Option<Arc<Snapshot>> {
        let mut entries = self.entries();
        let at = entries.all.iter().position(|entry| entry.number == number)?;
        let was_shown = entries.shown == Some(number);
        // A file was asked for, and its directory is watched already: one is enough.
        let twin = entries.all.iter().position(|entry| entry.number != number && entry.is_of(&picture.directory));
        if let Some(twin) = twin.filter(|_| *entries.all[at].path != *picture.directory) {
            let twin = entries.all[twin].number;
            end(&entries.all.remove(at));
            if was_shown {
                let place = entries.all.iter().position(|entry| entry.number == twin);
                self.turn_to(&mut entries, place);
            }
            self.tell(&entries);
            return None;
        }
        entries.generation += 1;
        picture.generation = entries.generation;
        let picture = Arc::new(picture);
        let before = entries.all[at].picture.replace(Arc::clone(&picture));
        if was_shown {
            self.lister.present(Arc::clone(&picture));
        }
        let watching = |picture: &Snapshot| match &picture.watching {
            // A count that runs is nothing to draw for what is in the background.
            Watching::Loading(_) => Watching::Loading(0),
            other => other.clone(),
        };
        let seen = |picture: &Snapshot| (picture.counts, watching(picture));
        if was_shown || before.is_none_or(|before| seen(&before) != seen(&picture)) {
            self.tell(&entries);
        } else {
            self.keep(&entries);
        }
        Some(picture)
    }
}

impl Board {
    /// As [`Self::tell`], where there is nothing to draw: whoever looks next has the newest picture all the same.
    fn keep(&self, entries: &Entries) {
        let mut all = Vec::clone(&self.shared.watched.load());
        for (watched, entry) in all.iter_mut().zip(&entries.all) {
            watched.picture.clone_from(&entry.picture);
        }
        self.shared.watched.store(Arc::new(all));
    }
}

fn tell_who_is_seen(entries: &Entries) {
    for entry in &entries.all {
        let seen = entries.shown == Some(entry.number) && !entries.hidden;
        if entry.life.shown.swap(seen, Ordering::AcqRel) != seen && seen {
            let _ = entry.words.send(Word::Shown);
        }
    }
}

/// It ends when it next looks up, and at once where it waits for a word. One that hangs is left behind.
fn end(entry: &Entry) {
    entry.life.ended.store(true, Ordering::Release);
    let _ = entry.words.send(Word::End);
}
