//! Putting back what a clear took away: the same inode, to the same directory, if the path is free.
//!
//! Owns: undo. Never: overwrites, and never lets two in (it can only block again).

use super::error::UndoRefusal;
use super::inside::{Agrees, agrees};
use super::journal::{Deed, Entry, Line, RawPath, State, new_id};
use super::mutex::DirectoryMutex;
use super::{Restored, Workplace};
use crate::model::facts::FileKind;
use crate::platform::linux::change::{Name, Place};
use std::io;
use std::path::{Path, PathBuf};

/// Puts back what the journal entry `id` took away.
pub fn undo(workplace: &Workplace, id: &str) -> Result<Restored, UndoRefusal> {
    let failed = |doing, error| UndoRefusal::Failed { path: PathBuf::from(id), doing, error };
    let journal = workplace.journal();
    let entry = journal.find(id).map_err(|error| failed("reading the journal", error))?;
    let entry = entry.ok_or_else(|| UndoRefusal::NoSuchEntry(id.to_owned()))?;
    let result = put_back(workplace, &entry);
    // Undo is an act like a clear: it has its own entry, and ends the other.
    let outcome = result.as_ref().map_or_else(ToString::to_string, |_| "put back".to_owned());
    let at = workplace.system.wall();
    let line = |state, id| Line { id, state: Some(state), at: at.rfc3339(), ..Line::default() };
    let written = (|| -> io::Result<()> {
        if result.is_ok() {
            let outcome = Some("cleared, then put back".to_owned());
            journal.append(&Line { outcome, ..line(State::Undone, entry.id.clone()) })?;
        }
        let state = if result.is_ok() { State::Done } else { State::Refused };
        journal.append(&Line {
            what: Some("undo".to_owned()),
            directory: Some(RawPath::new(entry.directory.as_os_str())),
            path: Some(RawPath::new(entry.path.as_os_str())),
            who: Some(workplace.who()),
            verdict: Some(entry.verdict.clone()),
            why: Some(format!("undo of {}", entry.id)),
            outcome: Some(outcome),
            ..line(state, new_id(at)?)
        })
    })();
    if let Err(error) = written {
        // It stands where it stood; that the journal does not say so costs no lock.
        tracing::warn!(%error, "the journal could not be written");
    }
    result
}

/// Whether [`undo`] would put it back now, without a change to anything, the journal included.
pub fn can_undo(workplace: &Workplace, id: &str) -> Result<(), UndoRefusal> {
    let failed = |error| UndoRefusal::Failed { path: PathBuf::from(id), doing: "reading the journal", error };
    let entry = workplace.journal().find(id).map_err(failed)?;
    let entry = entry.ok_or_else(|| UndoRefusal::NoSuchEntry(id.to_owned()))?;
    let ready = Ready::of(workplace, &entry, false)?;
    let failed = |error| UndoRefusal::Failed { path: ready.path.clone(), doing: "looking at its place", error };
    match ready.place.look(&ready.name).map_err(failed)? {
        None => Ok(()),
        Some(_) => Err(UndoRefusal::Taken { path: ready.path, kept: ready.kept }),
    }
}

/// All that stands before the move: what is kept is what was put there, and its directory is the one it came from.
struct Ready {
    path: PathBuf,
    kept: PathBuf,
    there: Place,
    in_there: Name,
    place: Place,
    name: Name,
    _mutex: Option<DirectoryMutex>,
}

fn put_back(workplace: &Workplace, entry: &Entry) -> Result<Restored, UndoRefusal> {
    let Ready { path, kept, there, in_there, place, name, _mutex } = Ready::of(workplace, entry, true)?;
    let failed = |doing, error| UndoRefusal::Failed { path: path.clone(), doing, error };
    // NOREPLACE: a plain rename would overwrite a new lock, even an empty directory.
    match there.move_to_free(&in_there, &place, &name) {
        Ok(()) => {}
        Err(error) => match error.raw_os_error() {
            Some(libc::EEXIST) => return Err(UndoRefusal::Taken { path, kept }),
            // No NOREPLACE here: link(2) fails on a taken name just as well.
            Some(libc::EINVAL | libc::ENOSYS) => {
                by_link(&there, &in_there, &place, &name).map_err(|error| match error.kind() {
                    io::ErrorKind::AlreadyExists => UndoRefusal::Taken { path: path.clone(), kept: kept.clone() },
                    _ => failed("putting it back", error),
                })?;
            }
            _ => return Err(failed("putting it back", error)),
        },
    }
    // Both directories reach the disk before the journal says so.
    let _ = place.sync();
    let _ = there.sync();
    Ok(Restored { path, id: entry.id.clone() })
}

impl Ready {
    /// `alone`: other Lockscopes are kept out of the directory for as long as this lives.
    fn of(workplace: &Workplace, entry: &Entry, alone: bool) -> Result<Self, UndoRefusal> {
        let nothing = |why: &str| UndoRefusal::NothingToUndo { id: entry.id.clone(), why: why.to_owned() };
        let (Some(deed), Some(kept)) = (&entry.deed, &entry.quarantine) else {
            return Err(nothing(match entry.state {
                State::Refused | State::Putback => "nothing was removed",
                State::Prepared | State::Swapped => "it was interrupted; repair it first",
                _ => "the journal names no place that it is kept in",
            }));
        };
        match entry.state {
            State::Done | State::KeptForeign => {}
            State::Undone => return Err(nothing("it was put back already")),
            State::Expired => return Err(nothing("it was kept for 30 days and has been deleted")),
            _ => return Err(nothing("nothing was removed")),
        }
        let parent = deed.parent.path();
        let path = parent.join(deed.name.path());
        let failed = |doing, error| UndoRefusal::Failed { path: path.clone(), doing, error };
        let lost = |why: &str| UndoRefusal::Lost { path: path.clone(), why: why.to_owned() };
        let gone = || UndoRefusal::DirectoryGone { path: path.clone(), kept: kept.clone() };

        let (there, in_there) = open_kept(kept, &path)?;
        let file_name = deed.name.path();
        let Some(name) = Name::new(file_name.as_os_str()) else { return Err(lost("the journal names no file")) };

        // Into the very directory that it came from: one that was made anew at its path is another.
        let place = match Place::open(&parent) {
            Ok(place) => place,
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => return Err(gone()),
            Err(error) => return Err(failed("opening the directory", error)),
        };
        let id = place.id().map_err(|error| failed("looking at the directory", error))?;
        let same_boot = deed.boot_id == workplace.system.host().boot_id.map(|id| format!("{id:032x}"));
        if id.ino != deed.parent_ino || (same_boot && id.dev != deed.parent_dev) {
            return Err(gone());
        }
        let take = || {
            let mutex = DirectoryMutex::take(workplace, &place)?;
            mutex.ok_or_else(|| io::Error::other("another Lockscope is at work there; try again"))
        };
        let mutex = alone.then(take).transpose().map_err(|error| failed("keeping other Lockscopes out", error))?;

        // What lies there must be what was put there.
        let found = there.look(&in_there).map_err(|error| failed("looking into quarantine", error))?;
        let found = found.ok_or_else(|| lost("what was kept is gone"))?;
        if entry.state == State::Done {
            let whole = is_the_kept_one(deed, &found.stat, same_boot)
                && (found.stat.kind != FileKind::Directory || {
                    let agreed = there.pin(&in_there).and_then(|pin| pin.inside());
                    let agreed = agreed.and_then(|inside| agrees(&inside, &deed.inside, same_boot, Agrees::Wholly));
                    agreed.map_err(|error| failed("looking into quarantine", error))?
                });
            if !whole {
                return Err(lost("what lies in quarantine is not what was put there"));
            }
        }
        Ok(Self { path, kept: kept.clone(), there, in_there, place, name, _mutex: mutex })
    }
}

pub(super) fn open_kept(kept: &Path, path: &Path) -> Result<(Place, Name), UndoRefusal> {
    let lost = |why: String| UndoRefusal::Lost { path: path.to_owned(), why };
    let (Some(parent), Some(name)) = (kept.parent(), kept.file_name().and_then(Name::new)) else {
        return Err(lost("the journal names no place that it is kept in".to_owned()));
    };
    let there = Place::open(parent).map_err(|error| lost(format!("{} cannot be opened: {error}", parent.display())))?;
    Ok((there, name))
}

pub(super) fn is_the_kept_one(deed: &Deed, stat: &crate::model::facts::FileStat, same_boot: bool) -> bool {
    if same_boot { deed.lock.is_untouched(stat) } else { deed.lock.is_untouched_but_for_device(stat) }
}

fn by_link(there: &Place, in_there: &Name, place: &Place, name: &Name) -> io::Result<()> {
    there.link(in_there, place, name)?;
    there.unlink(in_there)
}
