//! The JSON shapes of the program's output, exactly as DESIGN.md section 5 gives them: field order, names, `null` where a
//! thing is not known. The command line prints them, the window and the incident bundle write them to files.
//!
//! Owns: the serde structs, and what is listed of a snapshot ([`Shown`]). Never: decides; each value comes from the
//! snapshot or the journal.

use super::JournalLine;
use crate::model::holder::Liveness;
use crate::model::snapshot::{Lock, Moment, Snapshot};
use crate::model::time::Wall;
use crate::model::verdict::Verdict;
use base64::Engine as _;
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::sync::Arc;

/// The version of all these shapes.
pub const SCHEMA: u32 = 1;

/// A path as text, with its bytes where the text lost something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PathText {
    /// Invalid bytes as U+FFFD.
    pub path: String,
    /// Base64, only where `path` lost something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_bytes: Option<String>,
}

impl PathText {
    /// Of a path as the file system has it.
    pub fn of(path: &OsStr) -> Self {
        let lost = path.to_str().is_none();
        let bytes = || base64::engine::general_purpose::STANDARD.encode(path.as_encoded_bytes());
        Self { path: path.to_string_lossy().into_owned(), path_bytes: lost.then(bytes) }
    }
}

/// What is to be shown of a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Only this group.
    pub group: Option<String>,
    /// Also what is no lock.
    pub all: bool,
}

impl Shown {
    /// Whether this one belongs to the group asked for, where one was.
    pub fn covers(&self, lock: &Lock) -> bool {
        self.group.as_ref().is_none_or(|group| lock.group() == *group)
    }

    /// Whether this one is listed.
    pub fn lists(&self, lock: &Lock) -> bool {
        self.covers(lock) && (self.all || lock.judgement.verdict != Verdict::NotALock)
    }

    /// What is listed, sorted by path.
    pub fn locks<'a>(&self, snapshot: &'a Snapshot) -> Vec<&'a Arc<Lock>> {
        let mut locks: Vec<_> = snapshot.locks().filter(|lock| self.lists(lock)).collect();
        locks.sort_by(|a, b| a.path.as_encoded_bytes().cmp(b.path.as_encoded_bytes()));
        locks
    }

    /// How many have each verdict, in the order of [`Verdict::ALL`]; what is no lock is counted, listed or not.
    pub fn counts(&self, snapshot: &Snapshot) -> [(Verdict, usize); Verdict::ALL.len()] {
        let mut counts = Verdict::ALL.map(|verdict| (verdict, 0));
        for lock in snapshot.locks().filter(|lock| self.covers(lock)) {
            counts[lock.judgement.verdict as usize].1 += 1;
        }
        counts
    }
}

/// A directory as one object: `status --json`.
#[derive(Debug, Serialize)]
pub struct StatusObject<'a> {
    schema: u32,
    directory: String,
    host: &'a str,
    taken_at: String,
    stale_after_secs: serde_json::Number,
    any_locked: bool,
    locks_held: BTreeMap<String, bool>,
    stale_locks: Vec<String>,
    cleanup_available: bool,
    counts: CountsObject,
    locks: Vec<LockObject<'a>>,
    problems: Vec<ProblemObject<'a>>,
}

#[derive(Debug)]
struct CountsObject([(Verdict, usize); Verdict::ALL.len()]);

impl Serialize for CountsObject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// The order in which DESIGN.md gives them.
        const ORDER: [Verdict; Verdict::ALL.len()] = [
            Verdict::Held,
            Verdict::Stale,
            Verdict::Orphaned,
            Verdict::Idle,
            Verdict::Foreign,
            Verdict::Suspect,
            Verdict::Unknown,
            Verdict::Interrupted,
            Verdict::NotALock,
        ];
        let mut map = serializer.serialize_map(Some(ORDER.len()))?;
        for verdict in ORDER {
            map.serialize_entry(verdict.id(), &self.0[verdict as usize].1)?;
        }
        map.end()
    }
}

/// One lock in it.
#[derive(Debug, Serialize)]
pub struct LockObject<'a> {
    #[serde(flatten)]
    pub(super) path: PathText,
    pub(super) group: String,
    pub(super) key: String,
    pub(super) format: &'a str,
    pub(super) mechanism: &'a str,
    pub(super) verdict: &'a str,
    pub(super) certainty: Option<&'a str>,
    pub(super) stale: bool,
    pub(super) clearable: bool,
    pub(super) liveness: &'a str,
    pub(super) age_secs: Option<f64>,
    pub(super) modified_at: Option<String>,
    pub(super) holder: Option<HolderObject>,
    pub(super) owner: Option<OwnerObject>,
    pub(super) waiters: Vec<u32>,
    pub(super) danger: Option<&'a str>,
    pub(super) why: String,
    evidence: Vec<FactObject>,
}

#[derive(Debug, Serialize)]
pub(super) struct HolderObject {
    pub(super) pid: u32,
    pub(super) command: Option<String>,
    pub(super) user: Option<String>,
    pub(super) started_at: Option<String>,
    pub(super) by: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct OwnerObject {
    pub(super) pid: u32,
    pub(super) host: Option<String>,
    pub(super) user: Option<String>,
    pub(super) command: Option<String>,
    pub(super) started_at: Option<String>,
}

#[derive(Debug, Serialize)]
struct FactObject {
    source: &'static str,
    fact: String,
    known: bool,
    weighs: &'static str,
    certainty: Option<&'static str>,
    at: String,
}

#[derive(Debug, Serialize)]
struct ProblemObject<'a> {
    #[serde(flatten)]
    path: PathText,
    error: &'a str,
}

/// One lock, in the light of a moment.
pub fn lock_object<'a>(lock: &'a Lock, at: &Moment<'_>) -> LockObject<'a> {
    let facts = &lock.facts;
    let kernel = facts.kernel().and_then(|kernel| kernel.kind);
    LockObject {
        path: PathText::of(&lock.path),
        group: lock.group(),
        key: lock.key(),
        format: facts.reading().format.id,
        mechanism: kernel.map_or(facts.reading().mechanism.id(), crate::model::kernel::LockKind::id),
        verdict: lock.judgement.verdict.id(),
        certainty: lock.judgement.certainty.map(crate::model::verdict::Certainty::id),
        stale: lock.is_stale(),
        clearable: lock.is_clearable() && at.sight.can_clear(),
        liveness: lock.liveness().id(),
        age_secs: lock.age(at).map(|age| (age.as_secs_f64() * 1000.0).round() / 1000.0),
        modified_at: facts.stat().map(|stat| stat.modified.rfc3339()),
        holder: holder_object(lock),
        owner: owner_object(lock),
        waiters: facts.waiters().iter().map(|process| process.pid.get()).collect(),
        danger: facts.danger().map(crate::model::facts::Danger::id),
        why: lock.why(at),
        evidence: lock
            .checklist(at)
            .into_iter()
            .map(|fact| FactObject {
                source: fact.source,
                fact: fact.text,
                known: fact.known,
                weighs: fact.weighs.id(),
                certainty: fact.certainty.map(crate::model::verdict::Certainty::id),
                at: fact.at.rfc3339(),
            })
            .collect(),
    }
}

fn command_of(process: &crate::model::holder::ProcessFacts) -> Option<String> {
    [&process.command, &process.comm].into_iter().find(|text| !text.is_empty()).map(ToString::to_string)
}

fn holder_object(lock: &Lock) -> Option<HolderObject> {
    let (process, by) = lock.holder()?;
    let facts = process.facts.as_deref();
    Some(HolderObject {
        pid: process.pid.get(),
        command: facts.and_then(command_of),
        user: facts.and_then(|facts| facts.user.as_ref()).map(ToString::to_string),
        started_at: facts.map(|facts| facts.started_at.rfc3339()),
        by: by.id(),
    })
}

/// The record's own words first; a process that carries its PID speaks for it only if it is the very same.
fn owner_object(lock: &Lock) -> Option<OwnerObject> {
    let record = lock.facts.reading().record()?;
    let pid = record.pid?;
    let same = lock.judgement.gone.is_none() && lock.liveness() == Liveness::Alive;
    let process = lock.owner_process().and_then(|process| process.facts).filter(|_| same);
    let process = process.as_deref();
    Some(OwnerObject {
        pid: pid.get(),
        host: record.host.as_ref().map(ToString::to_string),
        user: record.user.as_ref().or(process.and_then(|p| p.user.as_ref())).map(ToString::to_string),
        command: record.command.as_ref().map(ToString::to_string).or_else(|| process.and_then(command_of)),
        started_at: record.started_at.or(process.map(|p| p.started_at)).map(Wall::rfc3339),
    })
}

/// Whole seconds as a whole number.
fn seconds(span: std::time::Duration) -> serde_json::Number {
    match span.subsec_nanos() {
        0 => span.as_secs().into(),
        _ => serde_json::Number::from_f64(span.as_secs_f64()).unwrap_or_else(|| span.as_secs().into()),
    }
}

impl<'a> StatusObject<'a> {
    /// Of the locks that are shown, in their order. `keyed`: of one group, so that the locks are told by their keys.
    pub fn of(
        snapshot: &'a Snapshot, locks: &[&'a Arc<Lock>], counts: [(Verdict, usize); Verdict::ALL.len()], keyed: bool,
    ) -> Self {
        let at = snapshot.moment();
        let mut locks_held = BTreeMap::new();
        for lock in locks {
            let name = if keyed { lock.key() } else { lock.display_path().into_owned() };
            // Two names that differ only in bytes that are no UTF-8 read alike: held if either is.
            *locks_held.entry(name).or_insert(false) |= lock.judgement.verdict == Verdict::Held;
        }
        let stale_locks: Vec<String> =
            locks.iter().filter(|lock| lock.is_stale()).map(|lock| lock.display_path().into_owned()).collect();
        Self {
            schema: SCHEMA,
            directory: snapshot.directory.display().to_string(),
            host: &snapshot.sight.host,
            taken_at: snapshot.taken_at.rfc3339(),
            stale_after_secs: seconds(snapshot.threshold),
            any_locked: locks_held.values().any(|held| *held),
            locks_held,
            cleanup_available: !stale_locks.is_empty(),
            stale_locks,
            counts: CountsObject(counts),
            locks: locks.iter().map(|lock| lock_object(lock, &at)).collect(),
            problems: snapshot
                .problems
                .iter()
                .map(|problem| ProblemObject { path: PathText::of(problem.path.as_os_str()), error: &problem.error })
                .collect(),
        }
    }
}

/// The journal as one object: `log --json`.
#[derive(Debug, Serialize)]
pub struct LogObject<'a> {
    schema: u32,
    entries: Vec<&'a JournalLine>,
}

impl<'a> LogObject<'a> {
    /// Of these entries, in their order.
    pub fn of(entries: impl IntoIterator<Item = &'a JournalLine>) -> Self {
        Self { schema: SCHEMA, entries: entries.into_iter().collect() }
    }
}
