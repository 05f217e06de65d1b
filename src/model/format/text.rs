//! Records that are lines of text: a decimal PID, a PID with a host, and Python's `filelock`.

use super::asked::DIGIT;
use super::fields::escaped_host;
use super::standin::{self, StandIn};
use super::{Asked, Candidate, Claim, Format, Mechanism, PLAIN, Record, RecordState};
use crate::model::facts::FileKind;
use crate::model::holder::{Pid, StartToken};

pub(super) static FORMATS: &[Format] = &[
    Format {
        id: "filelock-unix",
        title: "filelock, flock",
        mechanism: Mechanism::Flock,
        claim: Claim::Grammar,
        looks: "empty, and its name or a sibling says that Python's `FileLock` is used. Only the kernel knows who holds it",
        also: &["filelock-win", "portalocker", "fasteners", "flock1"],
        stale_rule: Some("none is needed: the kernel drops the lock with its holder"),
        caution: Some("Deleting it frees nobody and lets two holders in"),
        asked: Asked::FILE.if_empty(),
        read: filelock_unix,
        ..PLAIN
    },
    Format {
        id: "filelock-soft",
        title: "filelock soft",
        mechanism: Mechanism::Existence,
        claim: Claim::Grammar,
        looks: "`PID`, `HOST` and, in newer versions, a start token, each on a line",
        stale_rule: Some("broken by the next taker on the same host once the PID is gone or its start token differs"),
        stand_in: StandIn::Record(standin::soft),
        asked: Asked::FILE.if_it_begins(DIGIT),
        read: filelock_soft,
        ..PLAIN
    },
    Format {
        id: "hand-pid",
        title: "PID",
        mechanism: Mechanism::Existence,
        claim: Claim::Loose,
        also: &["lockfile-pid", "portalocker-pid"],
        looks: "a decimal PID; spaces around it, leading zeros, newline or none",
        asked: Asked::FILE.if_it_begins(b"-0123456789 \t\n\x0c\r"),
        read: hand_pid,
        ..PLAIN
    },
    Format {
        id: "pid-host",
        title: "PID and host",
        looks: "other spellings: `PID HOST`, `PID@HOST`, `PID:HOST`, `HOST:PID`, `HOST PID`, on one line or two",
        mechanism: Mechanism::Existence,
        claim: Claim::Loose,
        asked: Asked::FILE,
        read: pid_host,
        ..PLAIN
    },
    Format {
        id: "empty",
        title: "empty",
        looks: "nothing in it, and nothing that tells how it locks",
        stand_in: StandIn::Record(standin::nothing),
        claim: Claim::Rest,
        asked: Asked::FILE.if_empty(),
        read: |file| (file.kind == FileKind::Regular && file.size == 0).then_some(RecordState::CutShort),
        ..PLAIN
    },
    Format {
        id: "unrecognised",
        title: "unrecognised",
        looks: "anything else",
        claim: Claim::Rest,
        read: |_| Some(RecordState::Malformed("no known format")),
        ..PLAIN
    },
];

/// Text records are short; what is longer than this is something else.
const LONGEST_TEXT_RECORD: u64 = 1024;

pub(super) fn text<'a>(file: &Candidate<'a>) -> Option<&'a str> {
    let small = file.kind == FileKind::Regular && file.size > 0 && file.size <= LONGEST_TEXT_RECORD;
    small.then(|| std::str::from_utf8(file.bytes).ok()).flatten()
}

pub(super) fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

pub(super) fn is_host(text: &str) -> bool {
    text.len() <= 253
        && text.bytes().any(|b| b.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

/// `Ok(None)` for 0, which names nobody.
pub(super) fn pid(digits: &str) -> Result<Option<Pid>, RecordState> {
    match digits.parse::<u64>() {
        Ok(0) => Ok(None),
        Ok(number) => Pid::new(number).map(Some).ok_or(RecordState::Malformed("PID beyond 2^31-1")),
        Err(_) => Err(RecordState::Malformed("PID beyond 2^31-1")),
    }
}

/// Empty, and its name or a sibling says that Python's `FileLock` is used here. Only the kernel knows who holds it.
fn filelock_unix(file: &Candidate<'_>) -> Option<RecordState> {
    (file.kind == FileKind::Regular && file.size == 0 && file.known_key).then_some(RecordState::None)
}

/// `PID\nHOST\n` (filelock 3.22 to 3.29) and `PID\nHOST\nTOKEN\n` (from 3.30; on Windows from 3.29.0).
///
/// TOKEN = `(boot id << 64) | start ticks`; HOST may have escapes and end in `?pidns-<hex inode>` (4.1 and later). The sentinel of
/// `StrictSoftFileLock` has a NUL in line 2 and is no record (pid 1 would always be alive).
fn filelock_soft(file: &Candidate<'_>) -> Option<RecordState> {
    let text = text(file)?;
    let body = text.strip_suffix('\n')?;
    let lines: Vec<&str> = body.split('\n').collect();
    let (digits, host, token) = match lines[..] {
        [pid, host] => (pid, host, None),
        [pid, host, token] => (pid, host, Some(token)),
        _ => return None,
    };
    if !is_digits(digits) || token.is_some_and(|t| !is_digits(t)) {
        return None;
    }
    let (host, pid_ns) = escaped_host(host)?;
    let pid = match pid(digits) {
        Ok(pid) => pid,
        Err(state) => return Some(state),
    };
    let token = token.and_then(decimal_token);
    Some(RecordState::Parsed(Box::new(Record {
        pid,
        host: Some(host),
        pid_ns,
        token,
        complete: true,
        ..Record::default()
    })))
}

/// The decimal number of up to 192 bits splits into 128 bits of boot id and 64 bits of ticks; a boot half of 0 means
/// that its writer could not read it.
pub(super) fn decimal_token(digits: &str) -> Option<StartToken> {
    let mut limbs = [0u64; 3]; // little end first
    for digit in digits.bytes() {
        let mut carry = u128::from(digit - b'0');
        for limb in &mut limbs {
            let wide = u128::from(*limb) * 10 + carry;
            *limb = wide as u64;
            carry = wide >> 64;
        }
        if carry != 0 {
            return None;
        }
    }
    let boot = (u128::from(limbs[2]) << 64) | u128::from(limbs[1]);
    Some(StartToken { boot_id: (boot != 0).then_some(boot), ticks: limbs[0] })
}

/// A decimal PID, as scripts write it: spaces around, leading zeros, a newline or none (FHS asks readers to be generous).
fn hand_pid(file: &Candidate<'_>) -> Option<RecordState> {
    let text = text(file)?;
    let mut words = text.split_ascii_whitespace();
    let first = words.next()?;
    let more = words.next();
    if let Some(number) = first.strip_prefix('-') {
        return (is_digits(number) && more.is_none()).then_some(RecordState::Malformed("negative PID"));
    }
    if !is_digits(first) {
        return None;
    }
    match more {
        Some(second) if is_digits(second) => return Some(RecordState::Malformed("more than one PID")),
        Some(_) => return None,
        None => {}
    }
    Some(match pid(first) {
        Ok(pid) => {
            RecordState::Parsed(Box::new(Record { pid, complete: text.ends_with(['\n', '\r']), ..Record::default() }))
        }
        Err(state) => state,
    })
}

/// Other spellings of a PID and a host: `PID HOST`, `PID@HOST`, `PID:HOST`, `HOST:PID`, `HOST PID`, on one line or two.
fn pid_host(file: &Candidate<'_>) -> Option<RecordState> {
    let text = text(file)?;
    let words: Vec<&str> = text.split([' ', '\t', '\r', '\n', '@', ':']).filter(|w| !w.is_empty()).collect();
    let [left, right] = words[..] else { return None };
    let (digits, host) = match (is_digits(left), is_digits(right)) {
        (true, false) => (left, right),
        (false, true) => (right, left),
        _ => return None,
    };
    if !is_host(host) {
        return None;
    }
    Some(match pid(digits) {
        Ok(pid) => RecordState::Parsed(Box::new(Record {
            pid,
            host: Some(host.into()),
            complete: text.ends_with('\n'),
            ..Record::default()
        })),
        Err(state) => state,
    })
}
