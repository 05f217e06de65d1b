//! git's `<path>.lock`: it holds the next content of `<path>` and never names an owner (git `lockfile.h`). Also what git
//! puts beside it, and the locks of its housekeeping.

use super::fields::{is_empty, is_hex, owned};
use super::text::{is_digits, is_host, text};
use super::{Candidate, Format, Mechanism, PLAIN, Record, RecordState, Scope};
use crate::model::facts::FileKind;

/// As the kernel cuts them, to 15 bytes.
const PROGRAMS: &[&str] =
    &["git", "git-remote-http", "git-receive-pac", "git-upload-pack", "git-gc", "git-maintenance"];

pub(super) static FORMATS: &[Format] = &[
    Format {
        id: "git-lock-pid",
        title: "git PID",
        mechanism: Mechanism::Existence,
        names: &["*~pid.lock"],
        programs: PROGRAMS,
        looks: "`pid N`, beside the `.lock` it belongs to (git 2.54 and later, with `core.lockfilePid`)",
        stale_rule: Some("git only says that it appears to be stale; it deletes neither it nor the lock"),
        caution: Some("It belongs to the `.lock` beside it, which is the lock; it goes with that"),
        after_clearing: Some("git status (and git fsck if it complains)"),
        read: lock_pid,
        ..PLAIN
    },
    Format {
        id: "git-gc-pid",
        title: "git gc",
        mechanism: Mechanism::Existence,
        names: &["gc.pid"],
        programs: PROGRAMS,
        looks: "`PID HOST` without a newline",
        stale_rule: Some("ignored once it is older than 12 hours, or its PID on the same host is gone"),
        read: gc_pid,
        ..PLAIN
    },
    Format {
        id: "git-maint",
        title: "git maintenance",
        mechanism: Mechanism::Existence,
        names: &["objects/{maintenance,schedule}.lock"],
        programs: PROGRAMS,
        looks: "in `objects`; empty, and it names nobody",
        stale_rule: Some("none: the next `git maintenance` warns and does nothing, with `--auto` without a word"),
        read: |file| (is_empty(file) || (is_file(file) && at_home(file))).then_some(RecordState::None),
        ..PLAIN
    },
    Format {
        id: "git-lock",
        title: "git",
        mechanism: Mechanism::Existence,
        names: &["*.lock"],
        programs: PROGRAMS,
        scope: Scope::Tree(0), // the repository and its work trees are found by `inspect`
        companion: Some((".lock", "~pid.lock")),
        looks: "in a `.git` directory; `index.lock`, `HEAD.lock`, `packed-refs.lock`, `shallow.lock` anywhere, unless the \
            content speaks against it; anywhere with an object id in it. Holds the next content, never an owner",
        stale_rule: Some(
            "git never takes a lock for stale; it says \"Another git process seems to be running\" and stops",
        ),
        caution: Some("Deleting it while git works loses what git was about to write"),
        after_clearing: Some("git status (and git fsck if it complains)"),
        also: &["gitoxide"],
        read: lock,
        ..PLAIN
    },
];

fn is_file(file: &Candidate<'_>) -> bool {
    file.kind == FileKind::Regular
}

fn at_home(file: &Candidate<'_>) -> bool {
    file.directory.split(|b| *b == b'/').any(|part| part == b".git" || part.ends_with(b".git"))
}

/// `lockfile.c`. No ref has a `~` in its name, so in a repository nothing else is called so.
fn lock_pid(file: &Candidate<'_>) -> Option<RecordState> {
    let digits = text(file).and_then(|text| text.strip_prefix("pid ")?.strip_suffix('\n')).filter(|d| is_digits(d));
    match digits {
        Some(digits) => Some(owned(digits, Record::default())),
        None if !is_file(file) || !at_home(file) => None,
        None if b"pid ".starts_with(file.bytes) || file.bytes.starts_with(b"pid ") => Some(RecordState::CutShort),
        None => Some(RecordState::Malformed("no \"pid N\"")),
    }
}

/// `builtin/gc.c`: written as `gc.pid.lock` and renamed, so there is never half of it.
fn gc_pid(file: &Candidate<'_>) -> Option<RecordState> {
    let words = text(file).and_then(|text| text.trim_end_matches('\n').split_once(' '));
    match words {
        Some((digits, host)) if is_digits(digits) && is_host(host) => {
            Some(owned(digits, Record { host: Some(host.into()), ..Record::default() }))
        }
        _ if !is_file(file) || !at_home(file) => None,
        _ if is_empty(file) => Some(RecordState::CutShort),
        _ => Some(RecordState::Malformed("no PID and host")),
    }
}

/// Names that are git's wherever they stand, as long as the content does not speak against it.
const OWN_NAMES: &[&[u8]] = &[b"HEAD.lock", b"index.lock", b"packed-refs.lock", b"shallow.lock"];

/// The next content of a ref: an object id (SHA-1 or SHA-256) on a line.
fn is_object_id(bytes: &[u8]) -> bool {
    bytes.strip_suffix(b"\n").is_some_and(|id| is_hex(id, 40) || is_hex(id, 64))
}

fn lock(file: &Candidate<'_>) -> Option<RecordState> {
    if !is_file(file) || !file.name.ends_with(b".lock") {
        return None;
    }
    let index = file.bytes.is_empty() || file.bytes.starts_with(b"DIRC");
    let next_content = match file.name {
        b"index.lock" => index,
        b"HEAD.lock" => file.bytes.is_empty() || file.bytes.starts_with(b"ref: ") || is_object_id(file.bytes),
        b"packed-refs.lock" => file.bytes.is_empty() || file.bytes.starts_with(b"# pack-refs"),
        b"shallow.lock" => file.bytes.iter().all(|b| b.is_ascii_hexdigit() || *b == b'\n'),
        _ => true,
    };
    let own_name = OWN_NAMES.contains(&file.name) && next_content;
    let mine = own_name || at_home(file) || is_object_id(file.bytes);
    mine.then_some(RecordState::None)
}
