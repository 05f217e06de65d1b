//! The younger locks of Python's `filelock`: leases, strict markers and readers-writer locks. Its plain ones stand in `text`.

use super::asked::HEX;
use super::fields::{SQLITE, escaped_host, hex_bytes, is_hex, owned};
use super::standin::{self, Holds, StandIn};
use super::text::{decimal_token, is_digits, pid, text};
use super::{Asked, Candidate, Claim, Format, Heartbeat, Mechanism, PLAIN, Record, RecordState, Standing};
use crate::model::facts::FileKind;
use crate::model::holder::Pid;
use std::time::Duration;

/// Rows with the same id are the same tool's files: locks at one time or in one place, none at another.
pub(super) static FORMATS: &[Format] = &[
    Format {
        id: "filelock-lease",
        title: "filelock lease",
        mechanism: Mechanism::Heartbeat,
        claim: Claim::Magic,
        heartbeat: Some(Heartbeat::secs(10, 30)),
        looks: "`filelock/2`, then lines `key=value`: `pid`, `host`, `mode=lease`, `token`, `duration`, `start`",
        stale_rule: Some(
            "a peer takes it over once it is unchanged for its own `duration`, or its owner on the same host is gone",
        ),
        caution: Some("Its holder finds it missing at the next refresh and reports the lock as lost"),
        stand_in: StandIn::Record(standin::lease),
        asked: Asked::FILE.if_it_begins(b"f"),
        read: lease,
        ..PLAIN
    },
    Format {
        id: "filelock-strict",
        title: "filelock strict",
        mechanism: Mechanism::Existence,
        names: &["*.filelock", "held-v1-*.claim"],
        common_names: true,
        claim: Claim::Magic,
        payload: Some(("claims", "held-")),
        holds: Holds::More("others may be waiting in it; take away the one claim in its `claims` whose owner is gone"),
        stand_in: StandIn::Record(standin::claim),
        opened_nonblocking: true,
        looks: "a directory `X.filelock` with `claims/held-v1-*.claim`, or such a claim: `filelock-strict-v1`, token, `PID`, \
                host in hexadecimal and start token, each on a line",
        stale_rule: Some("never broken, neither by age nor because its owner died; only `force_break(name)` does"),
        caution: Some("Of the directory only the one claim whose owner is gone may go; others may be waiting in it"),
        asked: Asked::FILE_OR_DIRECTORY.if_it_begins(b"f"),
        read: |file| is_held_claim(file).then(|| strict_claim(file)).flatten(),
        ..PLAIN
    },
    Format {
        id: "filelock-strict",
        title: "filelock strict marker",
        mechanism: Mechanism::Existence,
        names: &["intent-v1-*.claim"],
        common_names: true,
        claim: Claim::Magic,
        standing: Standing::NotALock,
        looks: "exactly `1`, `filelock-strict-v1` with a NUL, `0`, each on a line; a claim of one who still waits; or a \
                directory `X.filelock` without a `held-` claim",
        caution: Some("The marker stays for ever and has no owner; the claims in `X.filelock` are the lock"),
        asked: Asked::FILE_OR_DIRECTORY,
        read: strict_by_product,
        ..PLAIN
    },
    Format {
        id: "filelock-softrw3",
        title: "filelock soft RW",
        mechanism: Mechanism::Heartbeat,
        names: &["*.write", "*.readers/*"],
        common_names: true,
        claim: Claim::Grammar,
        heartbeat: Some(Heartbeat::secs(30, 90)),
        looks: "32 hexadecimal digits, `PID` and `HOST`, each on a line",
        stale_rule: Some("a peer on any host throws it out once it was not refreshed for 90 s"),
        stand_in: StandIn::Record(standin::marker),
        asked: Asked::FILE.if_it_begins(HEX),
        read: soft_rw3,
        ..PLAIN
    },
    Format {
        id: "filelock-softrw4",
        title: "filelock soft RW",
        mechanism: Mechanism::Heartbeat,
        names: &["*.rw"],
        common_names: true,
        claim: Claim::Magic,
        heartbeat: Some(Heartbeat::secs(30, 90)),
        payload: Some(("holders", "")),
        holds: Holds::More("it counts the generations and stays when nobody holds it"),
        stand_in: StandIn::Record(standin::holder),
        looks: "a directory `X.rw` with `gen` and `holders`; a holder is `filelock-rw/1`, then `token=`, `pid=`, `host=`, \
                `lease=`, `nonce=`",
        stale_rule: Some(
            "a peer commits a holder out once its nonce did not change for `lease` seconds, by the peer's own clock",
        ),
        caution: Some("The holder rewrites the nonce, so the directory's time says nothing of it"),
        asked: Asked::FILE_OR_DIRECTORY.if_it_begins(b"f"),
        read: soft_rw4,
        ..PLAIN
    },
    Format {
        id: "filelock-softrw4",
        title: "filelock soft RW, idle",
        claim: Claim::Magic,
        standing: Standing::NotALock,
        looks: "such a directory without a holder, or a snapshot in it: `filelock-rw/1` and `generation=`",
        caution: Some("It stays when nobody holds it, and counts the generations"),
        asked: Asked::FILE_OR_DIRECTORY,
        read: soft_rw4_idle,
        ..PLAIN
    },
    Format {
        id: "filelock-rw",
        title: "filelock RW",
        mechanism: Mechanism::Posix,
        standing: Standing::Data,
        names: &["*.lock"],
        looks: "a `*.lock` that is an SQLite database",
        stale_rule: Some("none is needed: the kernel drops SQLite's locks with their holder"),
        caution: Some("Deleting it frees nobody and lets two holders in"),
        asked: Asked::FILE.if_it_begins(b"S"),
        read: |file| (file.kind == FileKind::Regular && file.bytes.starts_with(SQLITE)).then_some(RecordState::None),
        ..PLAIN
    },
];

const STRICT_SENTINEL: &[u8] = b"1\nfilelock-strict-v1\0\n0\n";
const STRICT_CLAIM: &str = "filelock-strict-v1\n";
const RW4: &str = "filelock-rw/1\n";

/// Text of a file, or of the payload in a directory; short, as all these records are.
fn content<'a>(file: &Candidate<'a>) -> Option<&'a str> {
    match file.kind {
        FileKind::Directory => std::str::from_utf8(file.bytes).ok(),
        _ => text(file),
    }
}

/// The value of the first line `key=...`.
fn value<'a>(body: &'a str, key: &str) -> Option<&'a str> {
    body.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
}

/// A number of seconds that can be meant: beyond ten years it is no lease.
fn seconds(text: &str) -> Option<Duration> {
    let secs = text.parse::<f64>().ok().filter(|secs| *secs > 0.0 && *secs < 3.2e8)?;
    Duration::try_from_secs_f64(secs).ok()
}

/// `_marker.py`: keys that are not known are passed over, so that later versions may add some.
fn lease(file: &Candidate<'_>) -> Option<RecordState> {
    const MAGIC: &str = "filelock/2\n";
    if file.kind != FileKind::Regular || !file.bytes.starts_with(MAGIC.as_bytes()) {
        return None;
    }
    let Some(body) = text(file).and_then(|text| text.strip_prefix(MAGIC)) else {
        return Some(RecordState::Malformed("no text behind filelock/2"));
    };
    if !body.ends_with('\n') {
        return Some(RecordState::CutShort);
    }
    if value(body, "mode") != Some("lease") {
        return Some(RecordState::Malformed("a mode of filelock's that is not known"));
    }
    let Some(digits) = value(body, "pid").filter(|digits| is_digits(digits)) else {
        return Some(RecordState::Malformed("a lease without a PID"));
    };
    let Some((host, pid_ns)) = value(body, "host").and_then(escaped_host) else {
        return Some(RecordState::Malformed("a lease without a host"));
    };
    let Some(lease) = value(body, "duration").and_then(seconds) else {
        return Some(RecordState::Malformed("a lease without a duration"));
    };
    let token = value(body, "start").filter(|start| is_digits(start)).and_then(decimal_token);
    let rest = Record { host: Some(host), pid_ns, token, lease: Some(lease), ..Record::default() };
    Some(owned(digits, rest))
}

fn is_held_claim(file: &Candidate<'_>) -> bool {
    // In a directory the frame reads none but a held one.
    file.kind == FileKind::Directory || !file.name.starts_with(b"intent-")
}

/// `_strict.py`: magic, token, PID, host in hexadecimal, start token.
fn strict_claim(file: &Candidate<'_>) -> Option<RecordState> {
    let body = content(file)?.strip_prefix(STRICT_CLAIM)?;
    let Some(body) = body.strip_suffix('\n') else { return Some(RecordState::CutShort) };
    let lines: Vec<&str> = body.split('\n').collect();
    let [claim, digits, host, start] = lines[..] else {
        return Some(RecordState::Malformed("a strict claim has five lines"));
    };
    if !is_hex(claim, 32) || !is_digits(digits) {
        return Some(RecordState::Malformed("a strict claim without token or PID"));
    }
    let host = hex_bytes(host).and_then(|bytes| String::from_utf8(bytes).ok());
    let Some((host, pid_ns)) = host.as_deref().and_then(escaped_host) else {
        return Some(RecordState::Malformed("a strict claim whose host is not in hexadecimal"));
    };
    let token = Some(start).filter(|start| is_digits(start)).and_then(decimal_token);
    Some(owned(digits, Record { host: Some(host), pid_ns, token, ..Record::default() }))
}

/// The sentinel reads like a record of PID 1, which is always alive; all of it must fit, NUL included.
fn strict_by_product(file: &Candidate<'_>) -> Option<RecordState> {
    let mine = match file.kind {
        FileKind::Regular if file.size == STRICT_SENTINEL.len() as u64 => file.bytes == STRICT_SENTINEL,
        FileKind::Regular => file.name.starts_with(b"intent-v1-") && file.bytes.starts_with(STRICT_CLAIM.as_bytes()),
        FileKind::Directory => {
            let layout = file.children.len() == 1 && &*file.children[0] == b"claims";
            layout && file.bytes.is_empty() && file.name.ends_with(b".filelock")
        }
        _ => false,
    };
    mine.then_some(RecordState::None)
}

/// `_soft_rw/_sync.py`. `SoftFileLock` has three lines too, but its second is no number; the token may be all decimal.
fn soft_rw3(file: &Candidate<'_>) -> Option<RecordState> {
    let lines: Vec<&str> = text(file)?.strip_suffix('\n')?.split('\n').collect();
    let [token, digits, host] = lines[..] else { return None };
    if !is_hex(token, 32) || !is_digits(digits) {
        return None;
    }
    let (host, pid_ns) = escaped_host(host)?;
    Some(owned(digits, Record { host: Some(host), pid_ns, ..Record::default() }))
}

fn is_rw4_tree(file: &Candidate<'_>) -> bool {
    let has = |name: &[u8]| file.children.iter().any(|child| **child == *name);
    file.kind == FileKind::Directory && has(b"gen") && has(b"holders")
}

/// `_soft_rw/_protocol.py`: a holder as a file, or those in the tree one after the other.
fn soft_rw4(file: &Candidate<'_>) -> Option<RecordState> {
    const UNCLEAR: RecordState = RecordState::Malformed("a holder without PID, host or lease");
    let all = content(file)?.strip_prefix(RW4)?;
    if all.starts_with("generation=") || (file.kind == FileKind::Directory && !is_rw4_tree(file)) {
        return None;
    }
    let mut owners: Vec<Pid> = Vec::new();
    let mut shared: Option<Record> = None;
    for body in all.split(RW4) {
        if !body.ends_with('\n') {
            return Some(RecordState::CutShort);
        }
        let owner = value(body, "pid").filter(|digits| is_digits(digits)).and_then(|digits| pid(digits).ok()?);
        let host = value(body, "host").and_then(escaped_host);
        let (Some(owner), Some((host, pid_ns)), Some(lease)) = (owner, host, value(body, "lease").and_then(seconds))
        else {
            return Some(UNCLEAR);
        };
        let host = Some(host);
        if shared.as_ref().is_some_and(|first| first.host != host || first.pid_ns != pid_ns) {
            return Some(RecordState::Malformed("holders on several hosts, more than one record can name"));
        }
        let lease = shared.and_then(|first| first.lease).map_or(lease, |first| first.max(lease));
        shared = Some(Record { host, pid_ns, lease: Some(lease), ..Record::default() });
        owners.push(owner);
    }
    let (Some((first, others)), Some(shared)) = (owners.split_first(), shared) else { return Some(UNCLEAR) };
    let record = Record { pid: Some(*first), others: others.into(), complete: true, ..shared };
    Some(RecordState::Parsed(Box::new(record)))
}

fn soft_rw4_idle(file: &Candidate<'_>) -> Option<RecordState> {
    let snapshot = || text(file).and_then(|text| text.strip_prefix(RW4)).is_some_and(|t| t.starts_with("generation="));
    let idle = if file.kind == FileKind::Directory { is_rw4_tree(file) && file.bytes.is_empty() } else { snapshot() };
    idle.then_some(RecordState::None)
}
