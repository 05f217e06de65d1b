//! The journal: an append-only record of every clear, refusal, undo and repair, one JSON object a line.
//!
//! Owns: `journal/journal.jsonl` and its older parts in the state directory, under one advisory lock
//! (`journal/journal.lock`). Never: changes or drops a line that was written; a torn last line is passed over.

use super::fingerprint::Identity;
use crate::model::time::Wall;
use crate::platform;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

/// A part is closed, and another begun, beyond this.
const PART: u64 = 16 << 20;

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

/// The journal in one state directory.
#[derive(Clone, Debug)]
pub struct Journal {
    directory: PathBuf,
}

impl Journal {
    /// The journal of this state directory; made when the first line is written.
    pub fn new(state_dir: &Path) -> Self {
        Self { directory: state_dir.join("journal") }
    }

    /// All entries, oldest first. A missing journal is an empty one.
    pub fn read(&self) -> io::Result<Vec<Entry>> {
        let mut folded: BTreeMap<String, Entry> = BTreeMap::new();
        // Against a rotation between listing the parts and opening them.
        let guard = File::open(self.directory.join("journal.lock"));
        if let Ok(guard) = &guard {
            guard.lock_shared()?;
        }
        for part in self.parts()? {
            let mut bytes = Vec::new();
            File::open(&part)?.read_to_end(&mut bytes)?;
            for line in bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
                // A line that was torn by a crash, or damaged, hides none of the others.
                let Ok(line) = serde_json::from_slice::<Line>(line) else {
                    tracing::warn!(part = %part.display(), "a line of the journal cannot be read and is passed over");
                    continue;
                };
                folded.entry(line.id.clone()).or_insert_with(|| Entry::new(&line)).take(line);
            }
        }
        Ok(folded.into_values().collect())
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

    /// All parts, the current one last: `journal-<time>.jsonl` sort by time.
    fn parts(&self) -> io::Result<Vec<PathBuf>> {
        let mut parts = Vec::new();
        match std::fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(parts),
            Err(error) => return Err(error),
            Ok(entries) => {
                for entry in entries {
                    let path = entry?.path();
                    let name = path.file_name().map(OsStr::as_encoded_bytes).unwrap_or_default();
                    if name.starts_with(b"journal-") && name.ends_with(b".jsonl") {
                        parts.push(path);
                    }
                }
            }
        }
        parts.sort();
        if self.current().exists() {
            parts.push(self.current());
        }
        Ok(parts)
    }

    /// Appends a line and brings it to the disk before returning: what follows may rely on it after a power cut.
    pub(crate) fn append(&self, line: &Line) -> io::Result<()> {
        self.append_within(line, PART)
    }

    fn append_within(&self, line: &Line, part: u64) -> io::Result<()> {
        platform::private_directory(&self.directory)?;
        let guard =
            File::options().create(true).truncate(false).write(true).open(self.directory.join("journal.lock"))?;
        // Two Lockscopes never interleave within a line, nor rotate under each other. The file stays for ever:
        // deleting a kernel-lock file is what lets two in.
        guard.lock()?;
        let path = self.current();
        let fresh = !path.exists();
        let mut file = File::options().create(true).read(true).append(true).open(&path)?;
        let mut length = file.metadata()?.len();
        if length > part {
            let closed = self.directory.join(format!("journal-{}.jsonl", new_id(platform::environment::wall())?));
            std::fs::rename(&path, closed)?;
            file = File::options().create(true).read(true).append(true).open(&path)?;
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
        if fresh || length == 0 {
            platform::sync_directory(&self.directory)?;
        }
        Ok(())
    }
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
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt as _;

    fn line(id: &str, state: State) -> Line {
        Line { id: id.into(), state: Some(state), at: "2026-11-21T05:00:00.000Z".into(), ..Line::default() }
    }

    #[test]
    fn lines_of_one_id_fold_into_one_entry_and_any_path_survives() {
        let base = tempfile::tempdir().unwrap();
        let journal = Journal::new(base.path());
        assert_eq!(journal.read().unwrap(), [], "no journal yet = no entries");
        let name = OsStr::from_bytes(b"bad\xff\n.lock");
        let first = Line { what: Some("clear".into()), path: Some(RawPath::new(name)), ..line("b", State::Prepared) };
        journal.append(&first).unwrap();
        journal.append(&line("a", State::Refused)).unwrap();
        let kept = Some(RawPath::new(OsStr::new("/q")));
        journal.append(&Line { quarantine: kept, ..line("b", State::Done) }).unwrap();
        let entries = journal.read().unwrap();
        assert_eq!(entries.iter().map(|e| e.id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((entries[1].path.as_os_str(), entries[1].state), (name, State::Done));
        assert_eq!(journal.last_clear_ids().unwrap(), ["b"]);
    }

    #[test]
    fn a_torn_last_line_swallows_nothing() {
        let base = tempfile::tempdir().unwrap();
        let journal = Journal::new(base.path());
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
        let journal = Journal::new(base.path());
        for id in ["a", "b", "c"] {
            journal.append_within(&line(id, State::Done), 1).unwrap();
        }
        assert_eq!(journal.parts().unwrap().len(), 3);
        assert_eq!(journal.read().unwrap().len(), 3);
    }

    #[test]
    fn two_writers_lose_nothing() {
        let base = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let journal = Journal::new(base.path());
                scope.spawn(move || {
                    for number in 0..25 {
                        journal.append_within(&line(&format!("{writer}-{number}"), State::Done), 600).unwrap();
                    }
                });
            }
        });
        assert_eq!(Journal::new(base.path()).read().unwrap().len(), 100);
    }

    #[test]
    fn ids_sort_by_time() {
        let (early, late) = (new_id(Wall(1_000_000)).unwrap(), new_id(Wall::from_parts(1_795_000_000, 0)).unwrap());
        assert!(early < late, "{early} {late}");
        assert_ne!(new_id(Wall(1)).unwrap(), new_id(Wall(1)).unwrap());
    }
}
