//! What a lock directory holds: listed while it is held, compared before the swap, after it, and in quarantine.
//!
//! Owns: [`Inside`], and the bounds of what a directory may hold to be taken away. Never: goes deeper than one directory,
//! follows a link, or removes anything but, after 30 days, what the journal names.

use super::disk::{Name, Pin, Place};
use super::fingerprint::Identity;
use super::journal::{Inner, RawPath};
use crate::model::facts::{FileKind, FileStat};
use crate::model::format::{Holds, MOST_CHILDREN};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use std::ffi::OsStr;
use std::io;

/// A file in a lock directory is a record, or empty; none is as large as this.
const LARGEST: u64 = 64 * 1024;

/// One name in it.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    name: Name,
    stat: FileStat,
    /// Of a file its content, of a link its target.
    content: Vec<u8>,
}

/// A lock directory, open, and what was in it.
#[derive(Debug)]
pub(super) struct Inside {
    place: Place,
    /// By name; `None` = more than any lock's.
    entries: Option<Vec<Entry>>,
}

impl Inside {
    /// Of the directory that is held. Never more than a few names, whatever is in it.
    pub(super) fn of(pin: &Pin) -> io::Result<Self> {
        let place = pin.inside()?;
        let entries = list(&place)?;
        Ok(Self { place, entries })
    }

    /// Whether it is as it was: the same names, inodes, times, contents.
    pub(super) fn is_as_listed(&self) -> io::Result<bool> {
        match list(&self.place) {
            // One of them went between its name and the look at it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            other => Ok(other? == self.entries),
        }
    }

    /// Why a directory with this in it is not taken away; `None` = it is within the layout of its format.
    pub(super) fn beyond(&self, holds: Holds) -> Option<String> {
        let by_hand = |what: String| Some(format!("{what}; look at it by hand"));
        let most = match holds {
            Holds::More(why) => return Some(format!("this directory is not taken away as a whole: {why}")),
            Holds::Nothing => 0,
            Holds::Files(most) => most,
        };
        let Some(entries) = &self.entries else {
            return by_hand(format!("more than {MOST_CHILDREN} files are in it, and no lock holds so many"));
        };
        if entries.len() > most {
            let known = if most == 0 { "an empty directory".to_owned() } else { format!("{most} at most") };
            return by_hand(format!("{} in it, where a lock of its kind has {known}", count(entries.len())));
        }
        entries.iter().find_map(|entry| {
            let name = entry.name.as_os_str().to_string_lossy();
            match entry.stat.kind {
                FileKind::Regular if entry.stat.size > LARGEST => {
                    by_hand(format!("\"{name}\" in it is no lock's record"))
                }
                FileKind::Regular | FileKind::Symlink => None,
                kind => by_hand(format!("\"{name}\" in it is a {}, which no lock holds", kind.name())),
            }
        })
    }

    /// For marker and journal; the marker does not need the contents.
    pub(super) fn inners(&self, with_content: bool) -> Vec<Inner> {
        let inner = |entry: &Entry| Inner {
            name: RawPath::new(entry.name.as_os_str()),
            identity: Identity::of(&entry.stat),
            content: if with_content { BASE64_STANDARD.encode(&entry.content) } else { String::new() },
        };
        self.entries.iter().flatten().map(inner).collect()
    }
}

fn count(files: usize) -> String {
    if files == 1 { "1 file is".to_owned() } else { format!("{files} files are") }
}

fn list(place: &Place) -> io::Result<Option<Vec<Entry>>> {
    let Some(mut names) = place.names_within(MOST_CHILDREN)? else { return Ok(None) };
    names.sort_unstable();
    names.iter().map(|name| entry(place, name)).collect::<io::Result<Vec<_>>>().map(Some)
}

fn entry(place: &Place, name: &OsStr) -> io::Result<Entry> {
    let changing = || io::Error::from(io::ErrorKind::NotFound);
    let name = Name::new(name).ok_or_else(changing)?;
    let stat = place.look(&name)?.ok_or_else(changing)?.stat;
    let content = match stat.kind {
        FileKind::Regular if stat.size > 0 && stat.size <= LARGEST => place.read(&name, LARGEST)?,
        FileKind::Symlink => place.pin(&name)?.target()?.into_encoded_bytes(),
        _ => Vec::new(),
    };
    Ok(Entry { name, stat, content })
}

/// How far what is in a directory must agree with what is on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Agrees {
    /// All that is on record is there, and nothing else.
    Wholly,
    /// Nothing else is there; some may be gone (a deletion that was interrupted).
    InPart,
}

/// Whether a directory holds what is on record, untouched. `same_boot` = device numbers mean the same.
pub(super) fn agrees(place: &Place, inners: &[Inner], same_boot: bool, how: Agrees) -> io::Result<bool> {
    let Some(names) = place.names_within(MOST_CHILDREN)? else { return Ok(false) };
    if how == Agrees::Wholly && names.len() != inners.len() {
        return Ok(false);
    }
    for name in names {
        let inner = inners.iter().find(|inner| inner.name.path().as_os_str() == name);
        let (Some(inner), Some(name)) = (inner, Name::new(&name)) else { return Ok(false) };
        if !is_untouched(place, &name, inner, same_boot)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_untouched(place: &Place, name: &Name, inner: &Inner, same_boot: bool) -> io::Result<bool> {
    let seen = place.look(name)?;
    Ok(seen.is_some_and(|seen| {
        if same_boot {
            inner.identity.is_untouched(&seen.stat)
        } else {
            inner.identity.is_untouched_but_for_device(&seen.stat)
        }
    }))
}

/// Deletes what is on record, entry by entry, and the directory itself at last: by what removes an empty one alone. Stops at
/// anything else, and then gives `false`; what is left can be gone on with.
pub(super) fn delete(there: &Place, name: &Name, inners: &[Inner], same_boot: bool) -> io::Result<bool> {
    let place = there.pin(name)?.inside()?;
    if !agrees(&place, inners, same_boot, Agrees::InPart)? {
        return Ok(false);
    }
    for inner in inners {
        let Some(name) = Name::new(inner.name.path().as_os_str()) else { return Ok(false) };
        match place.look(&name)? {
            None => {}
            Some(_) if is_untouched(&place, &name, inner, same_boot)? => place.unlink(&name)?,
            Some(_) => return Ok(false),
        }
    }
    there.remove_directory(name)?;
    Ok(true)
}
