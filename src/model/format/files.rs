//! What the readers of many tools' formats share: places, empty files, and files that hold one PID.

use super::text::{is_digits, pid, text};
use super::{Candidate, Format, PLAIN, Record, RecordState};
use crate::model::facts::FileKind;
use crate::model::holder::Pid;
use serde_json::{Map, Value};

/// A row of files on which the kernel holds the lock: empty, and left behind.
pub(super) const KERNEL: Format = Format {
    looks: "empty, and left behind. Only the kernel knows who holds it",
    stale_rule: Some("none is needed: the kernel drops the lock with its holder"),
    caution: Some("Deleting it frees nobody and lets two holders in"),
    read: kernel_file,
    ..PLAIN
};

pub(super) fn is_regular(file: &Candidate<'_>) -> bool {
    file.kind == FileKind::Regular
}

/// The directory's own name.
pub(super) fn parent<'a>(file: &Candidate<'a>) -> &'a [u8] {
    file.directory.rsplit(|b| *b == b'/').find(|part| !part.is_empty()).unwrap_or_default()
}

/// Whether one of the directories above is called so.
pub(super) fn is_below(file: &Candidate<'_>, part: &[u8]) -> bool {
    file.directory.split(|b| *b == b'/').any(|above| above == part)
}

pub(super) fn parsed(record: Record) -> RecordState {
    RecordState::Parsed(Box::new(record))
}

/// Text that may be longer than a short record, as paths are in it.
pub(super) fn long_text<'a>(file: &Candidate<'a>) -> Option<&'a str> {
    let whole = is_regular(file) && file.size == file.bytes.len() as u64;
    whole.then(|| std::str::from_utf8(file.bytes).ok()).flatten()
}

/// For names that are the tool's own: the file is empty, always.
pub(super) fn kernel_file(file: &Candidate<'_>) -> Option<RecordState> {
    let state = if file.size == 0 { RecordState::None } else { RecordState::Malformed("it should be empty") };
    is_regular(file).then_some(state)
}

/// For names that others use too: what is not empty is somebody else's.
pub(super) fn empty_file(file: &Candidate<'_>) -> Option<RecordState> {
    (is_regular(file) && file.size == 0).then_some(RecordState::None)
}

/// A PID alone; spaces around it, a newline or none.
pub(super) fn one_pid(text: &str) -> RecordState {
    let digits = text.trim_ascii();
    if digits.strip_prefix('-').is_some_and(is_digits) {
        return RecordState::Malformed("negative PID");
    }
    if !is_digits(digits) {
        return RecordState::Malformed("no PID");
    }
    owned_by(pid(digits), Record { complete: text.ends_with('\n'), ..Record::default() })
}

/// For names that are the tool's own: the PID of the owner. An empty one is being written.
pub(super) fn pid_file(file: &Candidate<'_>) -> Option<RecordState> {
    if !is_regular(file) {
        return None;
    }
    Some(match text(file) {
        _ if file.size == 0 => RecordState::CutShort,
        Some(text) => one_pid(text),
        None => RecordState::Malformed("no PID"),
    })
}

/// The record with its PID, or why there is none.
pub(super) fn owned_by(pid: Result<Option<Pid>, RecordState>, record: Record) -> RecordState {
    pid.map_or_else(|state| state, |pid| parsed(Record { pid, ..record }))
}

/// For names that are the tool's own and on which the kernel holds the lock: nothing, or the PID of the last taker.
pub(super) fn last_taker(file: &Candidate<'_>) -> Option<RecordState> {
    if file.size == 0 { empty_file(file) } else { pid_file(file) }
}

/// `0` names nobody; anything that is no PID is an error.
pub(super) fn pid_value(value: &Value) -> Result<Option<Pid>, RecordState> {
    let digits = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => String::new(),
    };
    if is_digits(&digits) { pid(&digits) } else { Err(RecordState::Malformed("the PID is no number")) }
}

/// Whether it has all of these keys.
pub(super) fn has_keys(map: &Map<String, Value>, keys: &[&str]) -> bool {
    keys.iter().all(|key| map.contains_key(*key))
}
