//! The journal: an append-only record of every clear, refusal, undo and repair, one JSON object a line.
//!
//! Owns: `journal/journal.jsonl` and its older parts in the state directory, under one lock (`journal/journal.lock`, taken
//! by a [`JournalLock`]). Never: changes a line that was written, nor drops one that undo or recovery may still need; a torn
//! last line is passed over.

use super::fingerprint::Identity;
use crate::model::time::Wall;
use crate::platform;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

/// A part is closed, and another begun, beyond this.
const PART: u64 = 8 << 20;
/// Closed parts beyond this many go, oldest first, once nothing in them is needed any more.
const KEPT_PARTS: usize = 8;

/// How far an entry got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Intent: nothing was moved yet.
    Prepared,
    /// The path is free, the inode is on its way to quarantine.
    Swapped,
    /// Done.
    Done,
    /// Another's lock came out, and stands again where it stood.
    Putback,
    /// Another's lock came out, its owner let go of it, and it is kept.
    KeptForeign,
    /// Put back by undo.
    Undone,
    /// Too old: the quarantined inode was deleted.
    Expired,
    /// Nothing was done.
    Refused,
}

/// A path in the journal: its bytes, and text for whoever reads the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawPath {
    bytes: String,
    shown: String,
}

impl RawPath {
    /// From a path.
    pub fn new(path: &OsStr) -> Self {
        Self { bytes: BASE64_STANDARD.encode(path.as_encoded_bytes()), shown: path.to_string_lossy().into_owned() }
    }

    /// The path; where the bytes do not decode, the text.
    pub fn path(&self) -> PathBuf {
        match BASE64_STANDARD.decode(&self.bytes) {
            Ok(bytes) => platform::os_name(&bytes).into(),
            Err(_) => self.shown.clone().into(),
        }
    }
}

/// One file in a lock directory, as undo, recovery and expiry go by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inner {
    /// Its name there.
    pub name: RawPath,
    /// Its inode.
    pub identity: Identity,
    /// Its bytes (base64); of a symbolic link its target.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub content: String,
}

/// What is known of the lock that an entry is about, so that undo and recovery can go by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// Names the temporary things: `.lockscope-<txn>`.
    pub txn: String,
    /// The directory that the lock stands in, without links.
    pub parent: RawPath,
    /// Its `st_dev`.
    pub parent_dev: u64,
    /// Its inode number.
    pub parent_ino: u64,
    /// The lock's name in it.
    pub name: RawPath,
    /// The lock.
    pub lock: Identity,
    /// The placeholder.
    pub placeholder: Identity,
    /// Its first bytes (base64), at most 1 MiB; of a symbolic link its target.
    pub content: String,
    /// Of a directory: all that is in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inside: Vec<Inner>,
    /// The boot it was done in.
    pub boot_id: Option<String>,
}

/// One line. Later lines of the same id give only what is new.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) id: String,
    pub(crate) state: Option<State>,
    pub(crate) at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) batch: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) what: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) directory: Option<RawPath>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<RawPath>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) who: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) verdict: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) outcome: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) quarantine: Option<RawPath>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) deed: Option<Deed>,
}

/// One entry: all lines of one id, folded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What undo takes; sorts by time.
    pub id: String,
    /// What was confirmed together has the same batch, and is undone together.
    pub batch: Option<String>,
    /// When it began, RFC 3339.
    pub at: String,
    /// `clear`, `refuse`, `undo`, `force`, `repair`, `sweep`.
    pub what: String,
    /// The directory, as the person gave it.
    pub directory: PathBuf,
    /// The path relative to it.
    pub path: PathBuf,
    /// `user@host PID`.
    pub who: String,
    /// The verdict then; may be empty.
    pub verdict: String,
    /// The sentence then.
    pub why: String,
    /// What came of it.
    pub outcome: String,
    /// How far it got.
    pub state: State,
    /// Where the inode rests, once it does.
    pub quarantine: Option<PathBuf>,
    /// What undo and recovery go by; refusals have none.
    pub deed: Option<Deed>,
}

impl Entry {
    /// Whether undo can be tried.
    pub fn can_be_undone(&self) -> bool {
        self.state == State::Done && self.quarantine.is_some() && self.what != "undo"
    }

    /// Why what was taken away cannot be had back any more; `None` where it can, or where nothing was taken.
    pub fn kept_no_more(&self) -> Option<&'static str> {
        match self.state {
            State::Undone => Some("It was put back already."),
            State::Expired => Some("It was kept for 30 days and has been deleted."),
            State::Prepared | State::Swapped if self.what != "undo" => {
                Some("It was interrupted: repair the lock first.")
            }
            State::Done if self.deed.is_some() && self.quarantine.is_none() => {
                Some("The journal names no place that it is kept in.")
            }
            _ => None,
        }
    }

    /// Whether undo or recovery may still go by it.
    fn is_needed(&self) -> bool {
        matches!(self.state, State::Prepared | State::Swapped | State::KeptForeign) || self.can_be_undone()
    }

    pub(crate) fn new(line: &Line) -> Self {
        Self {
            id: line.id.clone(),
            batch: None,
            at: line.at.clone(),
            what: String::new(),
            directory: PathBuf::new(),
            path: PathBuf::new(),
            who: String::new(),
            verdict: String::new(),
            why: String::new(),
            outcome: String::new(),
            state: State::Prepared,
            quarantine: None,
            deed: None,
        }
    }

    /// What a later line says anew.
    pub(crate) fn take(&mut self, line: Line) {
        fn set<T>(field: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *field = value;
            }
        }
        set(&mut self.state, line.state);
        set(&mut self.what, line.what);
        set(&mut self.directory, line.directory.map(|raw| raw.path()));
        set(&mut self.path, line.path.map(|raw| raw.path()));
        set(&mut self.who, line.who);
        set(&mut self.verdict, line.verdict);
        set(&mut self.why, line.why);
        set(&mut self.outcome, line.outcome);
        if line.batch.is_some() {
            self.batch = line.batch;
        }
        if let Some(raw) = line.quarantine {
            self.quarantine = Some(raw.path());
        }
        if line.deed.is_some() {
            self.deed = line.deed;
        }
    }
}

/// Takes the lock at this path and holds it for as long as what it gives lives. Another Lockscope holds it for
/// milliseconds, unless it was stopped in the middle: so this must give up at some time, and say who has it.
///
/// It comes from above, as locks are taken in a layer that itself clears ([`crate::lock`]).
pub type JournalLock = fn(&Path) -> io::Result<Box<dyn Any>>;

/// The journal in one state directory.
#[derive(Clone, Debug)]
pub struct Journal {
    directory: PathBuf,
    lock: JournalLock,
}

impl Journal {
    /// The journal of this state directory; made when the first line is written.
    pub fn new(state_dir: &Path, lock: JournalLock) -> Self {
        Self { directory: state_dir.join("journal"), lock }
    }

    fn lock_path(&self) -> PathBuf {
        self.directory.join("journal.lock")
    }

    /// All entries, oldest first. A missing journal is an empty one.
    pub fn read(&self) -> io::Result<Vec<Entry>> {
        // Against a rotation between listing the parts and opening them. Where there is no lock nothing was ever written.
        let path = self.lock_path();
        let _guard = if path.exists() { Some((self.lock)(&path)?) } else { None };
        let mut parts = self.closed_parts()?;
        parts.push(self.current());
        // Of an entry whose beginning went with an old part, only its end is left: that tells nobody anything.
        Ok(fold(&parts)?.into_values().filter(|entry| !entry.what.is_empty()).collect())
    }

    /// Another one whenever something was written since. Costs no reading: parts only grow and are closed.
    pub fn stamp(&self) -> io::Result<(Option<PathBuf>, u64)> {
        let length = match std::fs::metadata(self.current()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            other => other?.len(),
        };
        Ok((self.closed_parts()?.pop(), length))
    }

    /// One entry.
    pub fn find(&self, id: &str) -> io::Result<Option<Entry>> {
        Ok(self.read()?.into_iter().find(|entry| entry.id == id))
    }

    /// The newest clear that can still be undone, with what was confirmed together with it; newest first.
    pub fn last_clear_ids(&self) -> io::Result<Vec<String>> {
        let mut undoable = self.read()?.into_iter().rev().filter(Entry::can_be_undone);
        let Some(last) = undoable.next() else { return Ok(Vec::new()) };
        let together = undoable.filter(|entry| last.batch.is_some() && entry.batch == last.batch);
        let ids = together.map(|entry| entry.id).collect::<Vec<_>>();
        Ok(std::iter::once(last.id).chain(ids).collect())
    }

    fn current(&self) -> PathBuf {
        self.directory.join("journal.jsonl")
    }

    /// The closed parts, oldest first: `journal.000001.jsonl` and so on. Numbered, since a clock may be set back.
    fn closed_parts(&self) -> io::Result<Vec<PathBuf>> {
        let entries = match std::fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let mut parts = Vec::new();
        for entry in entries {
            let path = entry?.path();
            parts.extend(part_number(&path).map(|number| (number, path)));
        }
        parts.sort();
        Ok(parts.into_iter().map(|(_, path)| path).collect())
    }

    /// Closes the current part, and lets go of the oldest ones that nobody needs. The caller holds the lock.
    fn rotate(&self) -> io::Result<()> {
        let mut parts = self.closed_parts()?;
        let number = parts.last().and_then(|last| part_number(last)).unwrap_or(0) + 1;
        let closed = self.directory.join(format!("journal.{number:06}.jsonl"));
        std::fs::rename(self.current(), &closed)?;
        parts.push(closed);
        if parts.len() <= KEPT_PARTS {
            return Ok(());
        }
        // What an early part began, a later one may have ended.
        let all = fold(&parts)?;
        for part in &parts[..parts.len() - KEPT_PARTS] {
            let needed = fold(std::slice::from_ref(part))?.keys().any(|id| all.get(id).is_some_and(Entry::is_needed));
            if needed {
                break;
            }
            std::fs::remove_file(part)?;
        }
        Ok(())
    }

    /// Appends a line and brings it to the disk before returning: what follows may rely on it after a power cut.
    pub(crate) fn append(&self, line: &Line) -> io::Result<()> {
        self.append_within(line, PART)
    }

    fn append_within(&self, line: &Line, part: u64) -> io::Result<()> {
        platform::private_directory(&self.directory)?;
        // Two Lockscopes never interleave within a line, nor rotate under each other. The file stays for ever:
        // deleting a kernel-lock file is what lets two in.
        let _guard = (self.lock)(&self.lock_path())?;
        // Opened only now: the file that another Lockscope closed while we waited is no longer the current one.
        let path = self.current();
        let open = || File::options().create(true).read(true).append(true).open(&path);
        let mut file = open()?;
        let mut length = file.metadata()?.len();
        if length > part {
            self.rotate()?;
            file = open()?;
            length = 0;
        }
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        // A torn last line (a crash, a full disk) is closed first, or it would swallow ours.
        if length > 0 && !ends_with_newline(&mut file)? {
            text.insert(0, b'\n');
        }
        file.write_all(&text)?;
        file.sync_data()?;
        if length == 0 {
            platform::sync_directory(&self.directory)?;
        }
        Ok(())
    }
}

/// The number in `journal.000001.jsonl`.
fn part_number(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_prefix("journal.")?.strip_suffix(".jsonl")?.parse().ok()
}

/// All lines of these parts, those of one id folded into one entry. A part that is not there is an empty one.
fn fold(parts: &[PathBuf]) -> io::Result<BTreeMap<String, Entry>> {
    let mut folded: BTreeMap<String, Entry> = BTreeMap::new();
    for part in parts {
        let bytes = match std::fs::read(part) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other?,
        };
        for line in bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
            // A line that was torn by a crash, or damaged, hides none of the others.
            let Ok(line) = serde_json::from_slice::<Line>(line) else {
                tracing::warn!(part = %part.display(), "a line of the journal cannot be read and is passed over");
                continue;
            };
            folded.entry(line.id.clone()).or_insert_with(|| Entry::new(&line)).take(line);
        }
    }
    Ok(folded)
}

fn ends_with_newline(file: &mut File) -> io::Result<bool> {
    let mut last = [0];
    file.seek(io::SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// A new id: UTC to the microsecond, and random bits against two in the same one. Sorts by time.
pub(crate) fn new_id(at: Wall) -> io::Result<String> {
    let random = platform::random()? as u32;
    let stamp: String = jiff::Timestamp::from_microsecond(at.0.div_euclid(1_000))
        .map_or_else(|_| at.0.to_string(), |t| format!("{t:.6}"))
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    Ok(format!("{stamp}-{random:08x}"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt as _;

    /// As the layer above takes it, but without an end to its patience.
    pub(in crate::clear) fn lock(path: &Path) -> io::Result<Box<dyn Any>> {
        let file = File::options().create(true).truncate(false).write(true).open(path)?;
        file.lock()?;
        Ok(Box::new(file))
    }

    fn journal_in(base: &Path) -> Journal {
        Journal::new(base, lock)
    }

    fn line(id: &str, state: State) -> Line {
        let what = Some("refuse".to_owned());
        Line { id: id.into(), state: Some(state), at: "2026-11-21T05:00:00.000Z".into(), what, ..Line::default() }
    }

    #[test]
    fn lines_of_one_id_fold_into_one_entry_and_any_path_survives() {
        let base = tempfile::tempdir().unwrap();
        let journal = journal_in(base.path());
        assert_eq!(journal.read().unwrap(), [], "no journal yet = no entries");
        let nothing = journal.stamp().unwrap();
        let name = OsStr::from_bytes(b"bad\xff\n.lock");
        let first = Line { what: Some("clear".into()), path: Some(RawPath::new(name)), ..line("b", State::Prepared) };
        journal.append(&first).unwrap();
        journal.append(&line("a", State::Refused)).unwrap();
        let kept = Some(RawPath::new(OsStr::new("/q")));
        journal.append(&Line { quarantine: kept, what: None, ..line("b", State::Done) }).unwrap();
        let entries = journal.read().unwrap();
        assert_eq!(entries.iter().map(|e| e.id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((entries[1].path.as_os_str(), entries[1].state), (name, State::Done));
        assert_eq!(journal.last_clear_ids().unwrap(), ["b"]);
        let written = journal.stamp().unwrap();
        assert!(written != nothing && written == journal.stamp().unwrap());
    }

    #[test]
    fn a_torn_last_line_swallows_nothing() {
        let base = tempfile::tempdir().unwrap();
        let journal = journal_in(base.path());
        journal.append(&line("a", State::Done)).unwrap();
        let path = journal.current();
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, [&whole[..], &whole[..whole.len() / 2]].concat()).unwrap();
        assert_eq!(journal.read().unwrap().len(), 1);
        journal.append(&line("b", State::Done)).unwrap();
        assert_eq!(journal.read().unwrap().len(), 2);
    }

    #[test]
    fn a_full_part_is_closed_and_still_read() {
        let base = tempfile::tempdir().unwrap();
        let journal = journal_in(base.path());
        for id in ["a", "b", "c"] {
            journal.append_within(&line(id, State::Done), 1).unwrap();
        }
        assert_eq!(journal.closed_parts().unwrap().len(), 2);
        assert_eq!(journal.read().unwrap().len(), 3);
    }

    #[test]
    fn a_part_that_ends_torn_swallows_nothing_of_the_next() {
        let base = tempfile::tempdir().unwrap();
        let journal = journal_in(base.path());
        journal.append(&line("a", State::Done)).unwrap();
        let mut file = File::options().append(true).open(journal.current()).unwrap();
        file.write_all(b"{\"id\": \"torn").unwrap();
        journal.append_within(&line("b", State::Done), 1).unwrap();
        assert_eq!(journal.closed_parts().unwrap().len(), 1);
        assert_eq!(journal.read().unwrap().iter().map(|e| e.id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    }

    /// What undo still needs stays, and with it all that came later; what is over goes.
    #[test]
    fn the_oldest_parts_go_once_nobody_needs_them() {
        let base = tempfile::tempdir().unwrap();
        let journal = journal_in(base.path());
        let kept = Some(RawPath::new(OsStr::new("/q")));
        let needed = Line { what: Some("clear".into()), quarantine: kept, ..line("0", State::Done) };
        journal.append_within(&needed, 1).unwrap();
        for id in 1..=KEPT_PARTS + 4 {
            journal.append_within(&line(&format!("{id:02}"), State::Refused), 1).unwrap();
        }
        let parts = || journal.closed_parts().unwrap();
        assert_eq!(parts().len(), KEPT_PARTS + 4, "undo may want the oldest");
        journal.append_within(&Line { what: None, ..line("0", State::Expired) }, 1).unwrap();
        journal.append_within(&line("13", State::Refused), 1).unwrap();
        assert_eq!(parts().len(), KEPT_PARTS);
        assert!(part_number(&parts()[0]) > Some(1), "the oldest went, and no number is given twice");
        assert_eq!(journal.find("0").unwrap(), None, "of what went nothing is shown, not even its end");
        assert_eq!(
            journal.read().unwrap().len(),
            KEPT_PARTS,
            "one of each part that is left, and the current one, but for that end"
        );
    }

    /// A writer that waits for the lock while another closes the part writes to the new one.
    #[test]
    fn a_rotation_while_a_writer_waits_is_noticed() {
        let base = tempfile::tempdir().unwrap();
        let journal = journal_in(base.path());
        journal.append(&line("a", State::Done)).unwrap();
        let guard = lock(&journal.lock_path()).unwrap();
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| journal.append(&line("b", State::Done)));
            journal.rotate().unwrap();
            drop(guard);
            writer.join().unwrap().unwrap();
        });
        assert_eq!(journal.stamp().unwrap().0, journal.closed_parts().unwrap().pop());
        let current = fold(&[journal.current()]).unwrap();
        assert_eq!(current.into_keys().collect::<Vec<_>>(), ["b"]);
        assert_eq!(journal.read().unwrap().len(), 2);
    }

    #[test]
    fn two_writers_lose_nothing() {
        let base = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let journal = journal_in(base.path());
                scope.spawn(move || {
                    for number in 0..25 {
                        // Intents: none may go with an old part.
                        journal.append_within(&line(&format!("{writer}-{number}"), State::Prepared), 600).unwrap();
                    }
                });
            }
        });
        assert_eq!(journal_in(base.path()).read().unwrap().len(), 100);
    }

    #[test]
    fn ids_sort_by_time() {
        let (early, late) = (new_id(Wall(1_000_000)).unwrap(), new_id(Wall::from_parts(1_795_000_000, 0)).unwrap());
        assert!(early < late, "{early} {late}");
        assert_ne!(new_id(Wall(1)).unwrap(), new_id(Wall(1)).unwrap());
    }
}
