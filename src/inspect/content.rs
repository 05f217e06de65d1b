//! What a file holds, as far as a format is recognised by it.
//!
//! Owns: bounded reads of files, link targets, and of the few names in a lock directory. Never: follows a link, opens a
//! FIFO, socket or device, or reads more than [`READ_LIMIT`] bytes.

use crate::model::facts::{FileKind, FileStat};
use crate::model::format::{Candidate, MOST_CHILDREN, payload};
use crate::platform::{Directory, os_name};
use std::ffi::{OsStr, OsString};
use std::io;

/// Reads are bounded: the record of any format is far shorter.
const READ_LIMIT: usize = 64 * 1024;

/// What was read of one directory entry.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// Of a regular file its first bytes, of a link its target, of a directory the marker or payload in it.
    pub(super) bytes: Vec<u8>,
    /// Of a directory: the names in it, sorted, the first few.
    children: Vec<Box<[u8]>>,
    /// Of an empty file with several hard links: another name of it here.
    linked_name: Option<Box<[u8]>>,
}

impl Content {
    /// Reads a name that the directory has just called a regular file, and tells its stat of it from after the read;
    /// `None` = it is not that simple, and is to be looked at before it is opened.
    ///
    /// The look that is left out would prove no more than the directory's own word: whatever it found could be replaced
    /// before the opening. So in both cases the opening follows no link and waits for nobody, a FIFO, a socket or a
    /// terminal gives no byte (its reads have no place in it), and the stat of what was opened tells what it was.
    pub(super) fn read_at_once(
        directory: &dyn Directory, name: &OsStr, mut buffer: Vec<u8>,
    ) -> Result<(FileStat, Self), Vec<u8>> {
        match directory.read_into(name, READ_LIMIT, &mut buffer) {
            // An empty one with other names may have its record there.
            Ok(stat) if !buffer.is_empty() || (stat.size == 0 && stat.links == 1) => {
                Ok((stat, Self { bytes: buffer, ..Self::default() }))
            }
            _ => Err(buffer),
        }
    }

    /// Reads `name`, into a buffer that may have served before. The stat is from after the read, where there was one.
    pub(super) fn read(
        directory: &dyn Directory, name: &OsStr, stat: FileStat, mut buffer: Vec<u8>,
    ) -> (FileStat, io::Result<Self>) {
        let with = |bytes| Self { bytes, ..Self::default() };
        match stat.kind {
            FileKind::Regular if stat.size > 0 => match directory.read_into(name, READ_LIMIT, &mut buffer) {
                Ok(after) => (after, Ok(with(buffer))),
                Err(error) => (stat, Err(error)),
            },
            // Some tools keep the record in the name of a hard link to the empty lock.
            FileKind::Regular if stat.links > 1 => {
                let linked_name = other_name(directory, name, &stat);
                (stat, linked_name.map(|linked_name| Self { linked_name, ..Self::default() }))
            }
            FileKind::Symlink => (stat, directory.read_link(name).map(|target| with(target.into_encoded_bytes()))),
            FileKind::Directory => (stat, of_directory(directory, name)),
            _ => (stat, Ok(Self::default())),
        }
    }

    /// What the catalogue recognises a format by.
    pub(super) fn candidate<'a>(
        &'a self, directory: &'a dyn Directory, name: &'a OsStr, stat: &FileStat, known_key: bool,
    ) -> Candidate<'a> {
        Candidate {
            name: name.as_encoded_bytes(),
            directory: directory.path().as_os_str().as_encoded_bytes(),
            kind: stat.kind,
            size: stat.size,
            mode: stat.mode,
            links: stat.links,
            bytes: &self.bytes,
            known_key,
            children: &self.children,
            linked_name: self.linked_name.as_deref(),
        }
    }
}

fn other_name(directory: &dyn Directory, own: &OsStr, stat: &FileStat) -> io::Result<Option<Box<[u8]>>> {
    let mut found: Option<OsString> = None;
    directory.entries(&mut |name, _, ino| {
        if found.is_none() && ino == stat.ino && name != own {
            found = Some(name.to_owned());
        }
    })?;
    let same = |name: &OsString| directory.stat(name).is_ok_and(|other| (other.dev, other.ino) == (stat.dev, stat.ino));
    Ok(found.filter(same).map(|name| name.as_encoded_bytes().into()))
}

fn children(directory: &dyn Directory) -> io::Result<(Vec<Box<[u8]>>, bool)> {
    let mut names: Vec<Box<[u8]>> = Vec::new();
    let mut more = false;
    directory.entries(&mut |name, _, _| {
        more |= names.len() == MOST_CHILDREN;
        if !more {
            names.push(name.as_encoded_bytes().into());
        }
    })?;
    names.sort_unstable();
    Ok((names, more))
}

fn of_directory(directory: &dyn Directory, name: &OsStr) -> io::Result<Content> {
    let child = directory.open_child(name)?;
    let (names, more) = children(&*child)?;
    let mut content = Content::default();
    if more {
        // No known layout is so large; a few of its names would only mislead.
        content.children = names;
        return Ok(content);
    }
    // A placeholder of ours, in anybody's place: it holds one marker.
    let marker = names.iter().find(|name| name.starts_with(b"lockscope-") && name.ends_with(b".json"));
    if let Some(marker) = marker {
        content.bytes = child.read(&os_name(marker), READ_LIMIT)?.1;
    } else if let Some((below, beginning)) =
        payload(directory.path().as_os_str().as_encoded_bytes(), name.as_encoded_bytes())
    {
        let place = if below.is_empty() { Ok(child) } else { child.open_child(OsStr::new(below)) };
        // Its layout is not there (yet): then there is no payload, and the names alone must do.
        if let Ok(place) = place {
            let (inner, more) = children(&*place)?;
            if more {
                return Err(io::Error::other("it holds more files than a lock does"));
            }
            // Several may hold it together: all their records, as one that is not seen could be the one that lives.
            for carrier in inner.iter().filter(|name| name.starts_with(beginning.as_bytes())) {
                match place.read(&os_name(carrier), READ_LIMIT - content.bytes.len()) {
                    Ok((_, bytes)) => content.bytes.extend(bytes),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }
    content.children = names;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::format::{Reading, recognise};
    use crate::platform::this_machine;
    use std::fs;
    use std::path::Path;

    fn read(directory: &Path, name: &str) -> io::Result<Reading> {
        let opened = this_machine().open_directory(directory)?;
        let name = OsStr::new(name);
        let (stat, content) = Content::read(&*opened, name, opened.stat(name)?, Vec::new());
        let content = content?;
        Ok(recognise(&content.candidate(&*opened, name, &stat, false)))
    }

    fn owners(reading: &Reading) -> Vec<u32> {
        let record = reading.record().unwrap();
        record.pid.iter().chain(&record.others).map(|pid| pid.get()).collect()
    }

    #[test]
    fn every_holder_in_a_directory_is_read_and_too_many_are_an_error() {
        let place = tempfile::tempdir().unwrap();
        let holders = place.path().join("x.rw/holders");
        fs::create_dir_all(&holders).unwrap();
        fs::create_dir(place.path().join("x.rw/gen")).unwrap();
        let idle = read(place.path(), "x.rw").unwrap();
        assert_eq!((idle.format.id, idle.record()), ("filelock-softrw4", None));
        for pid in [4711, 4712] {
            let record = format!("filelock-rw/1\ntoken={pid}\npid={pid}\nhost=vm\nlease=90.0\nnonce=1\n");
            fs::write(holders.join(pid.to_string()), record).unwrap();
        }
        let held = read(place.path(), "x.rw").unwrap();
        assert_eq!((held.format.id, owners(&held)), ("filelock-softrw4", vec![4711, 4712]));
        for more in 0..MOST_CHILDREN {
            fs::write(holders.join(format!("more{more}")), "").unwrap();
        }
        assert!(read(place.path(), "x.rw").is_err());
    }

    #[test]
    fn a_second_name_tells_who_holds_an_empty_lock() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        fs::write(path("book.LCK"), "").unwrap();
        assert_eq!(read(place.path(), "book.LCK").unwrap().format.id, "empty");
        fs::hard_link(path("book.LCK"), path("book.7f0101.4711.LNK")).unwrap();
        let held = read(place.path(), "book.LCK").unwrap();
        assert_eq!((held.format.id, owners(&held)), ("gnucash", vec![4711]));
    }
}
