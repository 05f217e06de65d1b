//! Small parts that records of several tools are made of.
//!
//! Owns: link targets, hosts as Python's `filelock` spells them, the record with one owner. Never: decides whose file it is.

use super::text::{is_digits, pid};
use super::{Candidate, Record, RecordState};
use crate::model::facts::FileKind;

/// What begins every SQLite database.
pub(super) const SQLITE: &[u8] = b"SQLite format 3\0";

/// A regular file, whatever it holds: for names that are a tool's own and whose content says nothing about the lock.
pub(super) fn any_content(file: &Candidate<'_>) -> Option<RecordState> {
    (file.kind == FileKind::Regular).then_some(RecordState::None)
}

pub(super) fn is_empty(file: &Candidate<'_>) -> bool {
    file.kind == FileKind::Regular && file.size == 0
}

/// The target of a symbolic link.
pub(super) fn target<'a>(file: &Candidate<'a>) -> Option<&'a str> {
    (file.kind == FileKind::Symlink).then(|| std::str::from_utf8(file.bytes).ok()).flatten()
}

/// The record of one owner, its PID still in digits; whole.
pub(super) fn owned(digits: &str, rest: Record) -> RecordState {
    match pid(digits) {
        Ok(pid) => RecordState::Parsed(Box::new(Record { pid, complete: true, ..rest })),
        Err(state) => state,
    }
}

/// Whether `part`, which is not empty, stands anywhere in `whole`. Most places are passed over by their first byte, without a
/// call.
pub(super) fn contains(whole: &[u8], part: &[u8]) -> bool {
    whole.windows(part.len().max(1)).any(|window| window.first() == part.first() && window == part)
}

/// Hexadecimal digits, so many of them.
pub(super) fn is_hex(text: impl AsRef<[u8]>, digits: usize) -> bool {
    let text = text.as_ref();
    text.len() == digits && text.iter().all(u8::is_ascii_hexdigit)
}

/// A host as `filelock` writes it (`_identity.py`): what does not print as `?hh`, and at the end `?pidns-<hex>` outside the
/// first PID namespace. `None` where it is none.
pub(super) fn escaped_host(text: &str) -> Option<(Box<str>, Option<u64>)> {
    let (name, pid_ns) = match text.split_once("?pidns-") {
        Some((name, hex)) if hex.bytes().all(|b| b.is_ascii_hexdigit()) => {
            (name, Some(u64::from_str_radix(hex, 16).ok()?))
        }
        Some(_) => return None,
        None => (text, None),
    };
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_graphic()) || is_digits(name) {
        return None;
    }
    let mut parts = name.split('?');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (hex, rest) = part.split_at_checked(2)?;
        bytes.extend(hex_bytes(hex)?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    Some((String::from_utf8(bytes).ok()?.into(), pid_ns))
}

/// Bytes written as pairs of hexadecimal digits.
pub(super) fn hex_bytes(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// Some bytes of a fixed layout; `None` where the file ends before.
pub(super) fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}
