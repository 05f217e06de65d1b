//! After a crash: what an interrupted clear left is finished or put back, from its intent and its journal entry.
//!
//! Owns: recovery of one directory (before each clear there), of all, and the repair of an interrupted placeholder.
//! Never: touches what a living Lockscope is at work on, nor anything but our own names and our own placeholder.

use super::disk::{Name, NoLease, Place, Reader};
use super::error::Refusal;
use super::fingerprint::Identity;
use super::inside::{Agrees, agrees};
use super::journal::{Deed, Line, RawPath, State, new_id};
use super::mutex::{DirectoryMutex, Pending};
use super::placeholder::{AtWork, Marker, Names, Placeholder, marker_at};
use super::protocol::{Straight, free, names_from};
use super::putback;
use super::{Repaired, Workplace, quarantine};
use crate::model::facts::FileKind;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

/// Goes on with whatever an earlier Lockscope left half done in this directory. The caller holds its mutex.
///
/// Gives the journal entries that were closed, with the names of their locks.
pub(crate) fn recover_place(workplace: &Workplace, place: &Place) -> io::Result<Vec<(String, PathBuf)>> {
    let here = place.id()?;
    let mut repaired = Vec::new();
    for pending in Pending::all(workplace)? {
        let is_here = (pending.parent_dev, pending.parent_ino) == (here.dev, here.ino);
        if is_here && pending.maker.is_gone(&*workplace.system, &pending.txn) {
            recover_one(workplace, place, &pending)?;
            repaired.push((pending.id, pending.name.path()));
        }
    }
    Ok(repaired)
}

/// The same for every directory with an intent; for the start of the program. Gives how many were repaired; what cannot
/// be repaired now (the directory is not mounted) stays on record.
pub fn recover_all(workplace: &Workplace) -> io::Result<usize> {
    let mut repaired = 0;
    let mut seen: Vec<PathBuf> = Vec::new();
    for pending in Pending::all(workplace)? {
        let parent = pending.parent.path();
        if seen.contains(&parent) {
            continue;
        }
        let recovered = Place::open(&parent).and_then(|place| match DirectoryMutex::take(workplace, &place)? {
            Some(_mutex) => recover_place(workplace, &place).map(|repaired| repaired.len()),
            None => Ok(0),
        });
        match recovered {
            Ok(count) => repaired += count,
            Err(error) => {
                tracing::warn!(directory = %parent.display(), %error, "an interrupted clear is left as it is");
            }
        }
        seen.push(parent);
    }
    repaired += recover_from_journal(workplace)?;
    Ok(repaired)
}

/// Entries of an earlier boot that were never closed although no intent is left of them: a power cut took it. In this
/// boot an open entry may be one that another Lockscope is at work on, and intents are reliable.
fn recover_from_journal(workplace: &Workplace) -> io::Result<usize> {
    let boot = workplace.system.host().boot_id.map(|id| format!("{id:032x}"));
    let mut repaired = 0;
    for entry in workplace.journal().read()? {
        let Some(deed) = entry.deed.as_ref().filter(|_| matches!(entry.state, State::Prepared | State::Swapped)) else {
            continue;
        };
        if boot.is_none() || deed.boot_id.is_none() || deed.boot_id == boot {
            continue;
        }
        let (Ok(place), Some(names)) = (Place::open(&deed.parent.path()), names_from(deed)) else { continue };
        let Some(_mutex) = DirectoryMutex::take(workplace, &place)? else { continue };
        if place.id()?.ino == deed.parent_ino {
            let _at_work = AtWork::on(&deed.txn);
            remove_probe(&place, &names)?;
            let end = settle(workplace, &place, &names, deed)?;
            close(workplace, &entry.id, end)?;
            repaired += 1;
        }
    }
    Ok(repaired)
}

fn close(workplace: &Workplace, id: &str, (state, outcome, kept): End) -> io::Result<()> {
    workplace.journal().append(&Line {
        id: id.to_owned(),
        state: Some(state),
        at: workplace.system.wall().rfc3339(),
        outcome: Some(outcome.to_owned()),
        quarantine: kept.map(|path| RawPath::new(path.as_os_str())),
        ..Line::default()
    })
}

/// An entry's end: state, words, and where the inode is kept.
type End = (State, &'static str, Option<PathBuf>);

fn recover_one(workplace: &Workplace, place: &Place, pending: &Pending) -> io::Result<()> {
    let _at_work = AtWork::on(&pending.txn);
    let name = pending.name.path();
    let Some(names) = Names::new(name.as_os_str(), &pending.txn) else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "an intent names no file"));
    };
    remove_probe(place, &names)?;
    let entry = workplace.journal().find(&pending.id)?;
    match entry.as_ref().and_then(|entry| entry.deed.as_ref().map(|deed| (entry, deed))) {
        // The journal is synced before the swap: without an entry nothing was moved, and our name stands for our own.
        None => remove_unused(place, &names)?,
        Some((entry, deed)) if matches!(entry.state, State::Prepared | State::Swapped) => {
            close(workplace, &pending.id, settle(workplace, place, &names, deed)?)?;
        }
        // The entry was closed, and the crash came after that.
        Some((_, deed)) => remove_ours(place, &names, deed)?,
    }
    Pending::remove(workplace, &pending.txn)
}

fn remove_probe(place: &Place, names: &Names) -> io::Result<()> {
    for name in [&names.probe_directory, &names.probe_file] {
        match place.look(name)? {
            Some(seen) if seen.stat.kind == FileKind::Directory => place.remove_directory(name)?,
            Some(seen) if seen.stat.kind == FileKind::Regular && seen.stat.size == 0 => place.unlink(name)?,
            _ => {}
        }
    }
    Ok(())
}

fn remove_unused(place: &Place, names: &Names) -> io::Result<()> {
    if place.look(&names.other)?.is_some() {
        let held = Placeholder::hold(place, &names.other, &names.marker)?;
        held.remove_at(place, &names.other)?;
    }
    Ok(())
}

fn remove_ours(place: &Place, names: &Names, deed: &Deed) -> io::Result<()> {
    for name in [&names.other, &names.keep] {
        if let Some(held) = Placeholder::hold_known(place, name, &names.marker, &deed.placeholder)? {
            held.remove_at(place, name)?;
        }
    }
    Ok(())
}

/// Finishes or puts back, by what stands where. Gives the entry's end.
fn settle(workplace: &Workplace, place: &Place, names: &Names, deed: &Deed) -> io::Result<End> {
    let keep = || quarantine::keep(workplace, place, &names.other, names, &deed.txn).map(|(_, _, path)| Some(path));
    // Held once and for all: wherever others move it from now on, it is known.
    let hold = |name: &Name| Placeholder::hold_known(place, name, &names.marker, &deed.placeholder);
    putback::finish_swap(place, names, &deed.placeholder)?;
    save_second_link(place, names, deed)?;
    let at_lock = hold(&names.lock)?;
    let claim = claim(place, names, deed)?;
    let is_lock = claim.is_some();
    let other = place.look(&names.other)?;
    let end = if let Some(held) = at_lock.as_ref().filter(|_| is_lock || other.is_none()) {
        // The swap was done and what came out is what was confirmed (or has been removed since): go on.
        held.empty()?;
        free(place, names, held)?;
        let kept = if is_lock { keep()? } else { None };
        (State::Done, "cleared, after an interruption", kept)
    } else if other.is_some_and(|seen| deed.placeholder.is_same_inode(&seen.stat)) {
        // Not swapped yet, or put back already.
        (State::Refused, "interrupted before anything was removed", None)
    } else if other.is_some() {
        let held = match at_lock {
            None => find_moved(place, deed)?.map(|name| hold(&name)).transpose()?.flatten(),
            at_lock => at_lock,
        };
        if is_lock {
            // The path was free, or another had moved our placeholder away from it; only the quarantine was missing.
            held.iter().for_each(Placeholder::remove_wherever_it_is);
            (State::Done, "cleared, after an interruption", keep()?)
        } else {
            if let Some(held) = held {
                putback::put_back(place, names, &held, &Straight)?;
            }
            if place.look(&names.other)?.is_some() {
                (State::KeptForeign, "another program took and released it meanwhile", keep()?)
            } else {
                (State::Putback, "another program had taken it; put back after an interruption", None)
            }
        }
    } else if let Some((kept, is_lock)) = find_kept(workplace, place, names, deed)? {
        if is_lock {
            (State::Done, "cleared, after an interruption", Some(kept))
        } else {
            (State::KeptForeign, "another program took and released it meanwhile", Some(kept))
        }
    } else {
        (State::Refused, "interrupted; nothing of it is left", None)
    };
    remove_ours(place, names, deed)?;
    // The put-back's second link to what stands elsewhere by now, or was released by its owner.
    if place.look(&names.keep)?.is_some() {
        place.unlink(&names.keep)?;
    }
    place.sync()?;
    Ok(end)
}

/// What came out of the swap, if it is the lock as it was confirmed, and nobody has it open: with the lease of the one that
/// died went what kept openers waiting, and whoever was let on may write itself into the file at any moment. `None` also
/// for that: it goes back to where it stood.
fn claim(place: &Place, names: &Names, deed: &Deed) -> io::Result<Option<Claim>> {
    let pin = match place.pin(&names.other) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let stat = pin.seen()?.stat;
    if !deed.lock.is_untouched(&stat) {
        return Ok(None);
    }
    if stat.kind == FileKind::Directory && !agrees(&pin.inside()?, &deed.inside, true, Agrees::Wholly)? {
        return Ok(None);
    }
    if stat.kind != FileKind::Regular {
        return Ok(Some(Claim { _reader: None }));
    }
    let reader = match pin.open() {
        Ok(reader) => reader,
        // Another's lease on it: somebody has it open.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
        Err(error) => return Err(error),
    };
    // The kernel counts an opener that still waits, too: it counts before it waits (`fs/open.c`, `do_dentry_open`). Where
    // there are no leases the clear had none either, and went by what stands in the file.
    if matches!(reader.take_lease(), Err(NoLease::InUse)) {
        return Ok(None);
    }
    let content = BASE64_STANDARD.decode(&deed.content).unwrap_or_default();
    let is_as_it_was = deed.lock.is_untouched(&pin.seen()?.stat) && reader.starts_with(&content)?;
    Ok(is_as_it_was.then_some(Claim { _reader: Some(reader) }))
}

/// Keeps openers away from the lock until it is in quarantine.
struct Claim {
    _reader: Option<Reader>,
}

/// The put-back's second link, where it is the last: its owner let go of the other one, and nothing is destroyed.
fn save_second_link(place: &Place, names: &Names, deed: &Deed) -> io::Result<()> {
    match place.look(&names.keep)? {
        Some(seen) if seen.stat.links == 1 && !deed.placeholder.is_same_inode(&seen.stat) => {
            match place.move_to_free(&names.keep, place, &names.other) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                other => other,
            }
        }
        _ => Ok(()),
    }
}

/// The name that somebody gave our placeholder: a holder that commits by rename did not see that it was no file of its
/// own. Looked for in its directory only, and only after a crash in the few calls between the swap and its end.
fn find_moved(place: &Place, deed: &Deed) -> io::Result<Option<Name>> {
    for name in place.names()? {
        let Some(name) = Name::new(&name) else { continue };
        if place.look(&name)?.is_some_and(|seen| deed.placeholder.is_same_inode(&seen.stat)) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Where it is kept already, and whether that is the lock (else what came out instead of it).
fn find_kept(workplace: &Workplace, place: &Place, names: &Names, deed: &Deed) -> io::Result<Option<(PathBuf, bool)>> {
    let Some(in_there) = Name::new(OsStr::new(&deed.txn)) else { return Ok(None) };
    for directory in quarantine::candidates(workplace, place) {
        // One that is not there yet keeps nothing.
        let Ok(there) = Place::open(&directory) else { continue };
        if let Some(seen) = there.look(&in_there)? {
            return Ok(Some((directory.join(&deed.txn), deed.lock.is_untouched(&seen.stat))));
        }
    }
    let beside = place.look(&names.cleared)?;
    let path = || place.path().join(names.cleared.as_os_str());
    Ok(beside.map(|seen| (path(), deed.lock.is_untouched(&seen.stat))))
}

/// Repairs an interrupted clear, of which a placeholder stands at this path, and tells what was done. For the verdict
/// `interrupted`, also where another state directory has the journal: the marker says enough.
pub fn repair(workplace: &Workplace, directory: &Path, relative: &Path) -> Result<Repaired, Refusal> {
    let full = directory.join(relative);
    let failed = |doing, error| Refusal::failed(&full, doing, error);
    let (Some(parent), Some(name)) = (full.parent(), full.file_name().and_then(Name::new)) else {
        return Err(Refusal::Unsupported { path: full.clone(), why: "this is no name of a file".to_owned() });
    };
    let place = Place::open(parent).map_err(|error| failed("opening the directory", error))?;
    let _mutex = DirectoryMutex::take(workplace, &place)
        .map_err(|error| failed("keeping other Lockscopes out", error))?
        .ok_or_else(|| Refusal::Busy(full.clone()))?;
    let repaired = recover_place(workplace, &place).map_err(|error| failed("repairing", error))?;
    let Some(marker) = marker_at(&place, &name).map_err(|error| failed("reading the marker", error))? else {
        // Its own journal knew of it, so it is finished or put back already.
        let known = repaired.into_iter().find(|(_, repaired)| repaired.as_os_str() == name.as_os_str());
        let (id, _) = known.ok_or_else(|| Refusal::Gone(full.clone()))?;
        let entry = workplace.journal().find(&id).map_err(|error| failed("reading the journal", error))?;
        let entry = entry.ok_or(Refusal::Gone(full))?;
        return Ok(Repaired { id, cleared: entry.state == State::Done, outcome: entry.outcome });
    };
    if !marker.maker.is_gone(&*workplace.system, &marker.txn) {
        return Err(Refusal::Busy(full));
    }
    if marker.lock.path().as_os_str() != name.as_os_str() {
        let why = "a placeholder of Lockscope's for another lock was moved here; look at it by hand".to_owned();
        return Err(Refusal::Unsupported { path: full, why });
    }
    by_marker(workplace, directory, relative, &place, &name, &marker).map_err(|error| failed("repairing", error))
}

fn by_marker(
    workplace: &Workplace, directory: &Path, relative: &Path, place: &Place, name: &Name, marker: &Marker,
) -> io::Result<Repaired> {
    let held = place.look(name)?.ok_or(io::ErrorKind::NotFound)?;
    let parent = place.id()?;
    let deed = Deed {
        txn: marker.txn.clone(),
        parent: RawPath::new(place.path().as_os_str()),
        parent_dev: parent.dev,
        parent_ino: parent.ino,
        name: marker.lock.clone(),
        lock: marker.identity.clone(),
        placeholder: Identity::of(&held.stat),
        content: String::new(),
        inside: marker.inside.clone(),
        boot_id: marker.maker.boot_id.clone(),
    };
    let _at_work = AtWork::on(&deed.txn);
    let names = names_from(&deed).ok_or(io::ErrorKind::InvalidData)?;
    remove_probe(place, &names)?;
    let (state, outcome, kept) = settle(workplace, place, &names, &deed)?;
    let id = new_id(workplace.system.wall())?;
    let line = Line {
        id: id.clone(),
        state: Some(state),
        at: workplace.system.wall().rfc3339(),
        batch: None,
        what: Some("repair".to_owned()),
        directory: Some(RawPath::new(directory.as_os_str())),
        path: Some(RawPath::new(relative.as_os_str())),
        who: Some(workplace.who()),
        verdict: Some("interrupted".to_owned()),
        why: Some(format!("begun by PID {} at {}", marker.maker.pid, marker.maker.created)),
        outcome: Some(outcome.to_owned()),
        quarantine: kept.map(|path| RawPath::new(path.as_os_str())),
        deed: Some(deed),
    };
    workplace.journal().append(&line)?;
    Ok(Repaired { id, outcome: outcome.to_owned(), cleared: state == State::Done })
}
