//! The JSON output, exactly as DESIGN.md section 5 gives it. The shapes that the window writes too stand in
//! [`crate::engine::shape`].
//!
//! Owns: the shapes of what commands did. Never: decides; each value comes from the snapshot or an outcome.

use super::Shown;
use crate::engine::JournalLine;
use crate::engine::shape::{LockObject, LogObject, SCHEMA, StatusObject, lock_object};
use crate::model::snapshot::{Lock, Moment, Snapshot};
use serde::Serialize;
use std::io::{self, Write};

pub use crate::engine::shape::PathText;

/// Most lines are shorter.
const USUAL_LINE: usize = 2048;

fn write_object(out: &mut dyn Write, object: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, object)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Whole, in one call: who reads it waits for its end, and its parts are many and small.
fn write_line(out: &mut dyn Write, object: &impl Serialize) -> io::Result<()> {
    let mut line = Vec::with_capacity(USUAL_LINE);
    serde_json::to_writer(&mut line, object)?;
    line.push(b'\n');
    out.write_all(&line)?;
    out.flush()
}

/// `status --json`.
pub fn status(out: &mut dyn Write, snapshot: &Snapshot, shown: &Shown) -> io::Result<()> {
    let keyed = shown.group.is_some();
    write_object(out, &StatusObject::of(snapshot, &shown.locks(snapshot), shown.counts(snapshot), keyed))
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
    write_object(out, &LogObject::of(entries))
}
