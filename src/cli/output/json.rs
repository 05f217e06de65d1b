//! The JSON output, exactly as DESIGN.md section 5 gives it: field order, names, `null` where a thing is not known.
//!
//! Owns: the serde structs. Never: decides; each value comes from the snapshot or an outcome.

use super::Shown;
use crate::engine::JournalLine;
use crate::model::holder::Liveness;
use crate::model::snapshot::{Lock, Moment, Snapshot};
use crate::model::time::Wall;
use crate::model::verdict::Verdict;
use base64::Engine as _;
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{self, Write};

/// The version of all these shapes.
const SCHEMA: u32 = 1;

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

#[derive(Serialize)]
struct StatusObject<'a> {
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

#[derive(Serialize)]
struct LockObject<'a> {
    #[serde(flatten)]
    path: PathText,
    group: String,
    key: String,
    format: &'a str,
    mechanism: &'a str,
    verdict: &'a str,
    certainty: Option<&'a str>,
    stale: bool,
    clearable: bool,
    liveness: &'a str,
    age_secs: Option<f64>,
    modified_at: Option<String>,
    holder: Option<HolderObject>,
    owner: Option<OwnerObject>,
    waiters: Vec<u32>,
    danger: Option<&'a str>,
    why: String,
    evidence: Vec<FactObject>,
}

#[derive(Serialize)]
struct HolderObject {
    pid: u32,
    command: Option<String>,
    user: Option<String>,
    started_at: Option<String>,
    by: &'static str,
}

#[derive(Serialize)]
struct OwnerObject {
    pid: u32,
    host: Option<String>,
    user: Option<String>,
    command: Option<String>,
    started_at: Option<String>,
}

#[derive(Serialize)]
struct FactObject {
    source: &'static str,
    fact: String,
    known: bool,
    weighs: &'static str,
    certainty: Option<&'static str>,
    at: String,
}

#[derive(Serialize)]
struct ProblemObject<'a> {
    #[serde(flatten)]
    path: PathText,
    error: &'a str,
}

fn lock_object<'a>(lock: &'a Lock, at: &Moment<'_>) -> LockObject<'a> {
    let facts = &lock.facts;
    let kernel = facts.kernel.as_ref().and_then(|kernel| kernel.kind);
    LockObject {
        path: PathText::of(&lock.path),
        group: lock.group(),
        key: lock.key(),
        format: facts.reading.format.id,
        mechanism: kernel.map_or(facts.reading.mechanism.id(), crate::model::kernel::LockKind::id),
        verdict: lock.judgement.verdict.id(),
        certainty: lock.judgement.certainty.map(crate::model::verdict::Certainty::id),
        stale: lock.is_stale(),
        clearable: lock.is_clearable() && at.sight.can_clear(),
        liveness: lock.liveness().id(),
        age_secs: lock.age(at).map(|age| (age.as_secs_f64() * 1000.0).round() / 1000.0),
        modified_at: facts.stat.as_ref().map(|stat| stat.modified.rfc3339()),
        holder: holder_object(lock),
        owner: owner_object(lock),
        waiters: facts.waiters().iter().map(|process| process.pid.get()).collect(),
        danger: facts.danger.map(crate::model::facts::Danger::id),
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
    let record = lock.facts.reading.record()?;
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

fn write_object(out: &mut dyn Write, object: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, object)?;
    out.write_all(b"\n")?;
    out.flush()
}

fn write_line(out: &mut dyn Write, object: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, object)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// `status --json`.
pub fn status(out: &mut dyn Write, snapshot: &Snapshot, shown: &Shown) -> io::Result<()> {
    let locks = shown.locks(snapshot);
    let at = snapshot.moment();
    let mut locks_held = BTreeMap::new();
    for lock in &locks {
        let name = if shown.group.is_some() { lock.key() } else { lock.display_path().into_owned() };
        // Two names that differ only in bytes that are no UTF-8 read alike: held if either is.
        *locks_held.entry(name).or_insert(false) |= lock.judgement.verdict == Verdict::Held;
    }
    let stale_locks: Vec<String> =
        locks.iter().filter(|lock| lock.is_stale()).map(|lock| lock.display_path().into_owned()).collect();
    let object = StatusObject {
        schema: SCHEMA,
        directory: snapshot.directory.display().to_string(),
        host: &snapshot.sight.host,
        taken_at: snapshot.taken_at.rfc3339(),
        stale_after_secs: seconds(snapshot.threshold),
        any_locked: locks_held.values().any(|held| *held),
        locks_held,
        cleanup_available: !stale_locks.is_empty(),
        stale_locks,
        counts: CountsObject(shown.counts(snapshot)),
        locks: locks.iter().map(|lock| lock_object(lock, &at)).collect(),
        problems: snapshot
            .problems
            .iter()
            .map(|problem| ProblemObject { path: PathText::of(problem.path.as_os_str()), error: &problem.error })
            .collect(),
    };
    write_object(out, &object)
}

/// One line of `watch --json`. `at` is the moment in whose light the lock is shown.
pub fn change(out: &mut dyn Write, change: &'static str, lock: &Lock, at: &Moment<'_>) -> io::Result<()> {
    #[derive(Serialize)]
    struct ChangeObject<'a> {
        at: String,
        change: &'static str,
        lock: LockObject<'a>,
    }
    write_line(out, &ChangeObject { at: at.now.rfc3339(), change, lock: lock_object(lock, at) })
}

/// A lock that was taken away, or put back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Done {
    /// Which.
    #[serde(flatten)]
    pub path: PathText,
    /// The journal entry; what would be cleared has none yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// A lock that was left as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// Which.
    #[serde(flatten)]
    pub path: PathText,
    /// Its verdict when it was refused; an undo has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<&'static str>,
    /// Why.
    pub why: String,
}

/// Something that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Errors {
    /// Where.
    #[serde(flatten)]
    pub path: PathText,
    /// What.
    pub error: String,
}

/// What came of a clear.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClearReport {
    /// It was only asked what would be done.
    pub dry_run: bool,
    /// Taken away, or what would be.
    pub cleared: Vec<Done>,
    /// Left as they are.
    pub refused: Vec<Refused>,
    /// What failed.
    pub errors: Vec<Errors>,
}

impl ClearReport {
    /// `ok`, `partial`, `refused` or `nothing`.
    pub fn status(&self) -> &'static str {
        match (self.cleared.is_empty(), self.refused.is_empty() && self.errors.is_empty()) {
            (true, true) => "nothing",
            (true, false) => "refused",
            (false, true) => "ok",
            (false, false) => "partial",
        }
    }
}

/// `clear --json`.
pub fn clear(out: &mut dyn Write, report: &ClearReport) -> io::Result<()> {
    #[derive(Serialize)]
    struct ClearObject<'a> {
        schema: u32,
        status: &'static str,
        count: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        cleared: Option<&'a [Done]>,
        #[serde(skip_serializing_if = "Option::is_none")]
        would_clear: Option<&'a [Done]>,
        refused: &'a [Refused],
        errors: &'a [Errors],
    }
    let object = ClearObject {
        schema: SCHEMA,
        status: report.status(),
        count: report.cleared.len(),
        cleared: (!report.dry_run).then_some(&report.cleared),
        would_clear: report.dry_run.then_some(&report.cleared),
        refused: &report.refused,
        errors: &report.errors,
    };
    write_object(out, &object)
}

/// `undo --json`.
pub fn undo(out: &mut dyn Write, restored: &[Done], refused: &[Refused]) -> io::Result<()> {
    #[derive(Serialize)]
    struct UndoObject<'a> {
        schema: u32,
        restored: &'a [Done],
        refused: &'a [Refused],
    }
    write_object(out, &UndoObject { schema: SCHEMA, restored, refused })
}

/// `log --json`.
pub fn log(out: &mut dyn Write, entries: &[JournalLine]) -> io::Result<()> {
    #[derive(Serialize)]
    struct LogObject<'a> {
        schema: u32,
        entries: &'a [JournalLine],
    }
    write_object(out, &LogObject { schema: SCHEMA, entries })
}
