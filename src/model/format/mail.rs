//! Mailboxes, and what shell scripts lock with.

use super::asked::DIGIT;
use super::files::{is_regular, owned_by};
use super::text::{is_digits, is_host, pid, text};
use super::{Asked, Candidate, Claim, Format, Mechanism, PLAIN, Record, RecordState};

pub(super) static FORMATS: &[Format] = &[
    Format {
        id: "gnupg",
        title: "GnuPG",
        mechanism: Mechanism::Existence,
        names: &["*.lock"],
        programs: &["gpg", "gpg2", "gpg-agent", "gpgsm", "dirmngr", "scdaemon", "keyboxd"],
        looks: "`PID` right-aligned in 10 columns and `HOST`, each on a line",
        stale_rule: Some("removed by the next taker on the same host if there is no such process"),
        caution: Some("Deleting it while GnuPG runs lets two write the keys"),
        asked: Asked::FILE.if_it_begins(b" "),
        read: gnupg,
        ..PLAIN
    },
    Format {
        id: "dovecot",
        title: "Dovecot",
        mechanism: Mechanism::Existence,
        names: &["*.lock"],
        looks: "`PID:HOST`, no newline",
        stale_rule: Some(
            "on the same host overridden if there is no such process; else if lock and mailbox did not change for 2 min",
        ),
        caution: Some("Deleting it while mail is delivered lets two write the mailbox"),
        asked: Asked::FILE.if_it_begins(DIGIT),
        read: dovecot,
        ..PLAIN
    },
    Format {
        id: "dotlockfile",
        title: "dotlockfile",
        mechanism: Mechanism::Existence,
        names: &["*.lock"],
        looks: "`0` and a newline: no identity. With `dotlockfile -p` it has a PID, and looks as written by hand",
        stale_rule: Some("removed by the next taker after 5 min without a change"),
        caution: Some("Deleting it while mail is delivered lets two write the mailbox"),
        also: &["mbox-dotlock"],
        asked: Asked::FILE.if_it_begins(b"0"),
        read: |file| (is_regular(file) && file.bytes == b"0\n").then_some(RecordState::None),
        ..PLAIN
    },
    Format {
        id: "lockfile1",
        title: "lockfile(1)",
        mechanism: Mechanism::Existence,
        claim: Claim::Grammar,
        looks: "`0`, one byte, nobody may write it (mode 0444). It names no owner",
        stale_rule: Some("none, unless the next taker asks with `-l` for one that has not changed for so long"),
        caution: Some("Deleting it while its owner works lets a second one in"),
        asked: Asked::FILE.if_it_begins(b"0"),
        read: |file| {
            let unwritable = file.mode & 0o777 & !0o044 == 0o400;
            (is_regular(file) && file.bytes == b"0" && unwritable).then_some(RecordState::None)
        },
        ..PLAIN
    },
];

/// `common/dotlock.c`: `%10d\nHOST\n`. The blanks before the PID tell it from other records of two lines.
fn gnupg(file: &Candidate<'_>) -> Option<RecordState> {
    let (line, host) = text(file)?.strip_suffix('\n')?.split_once('\n')?;
    let digits = line.trim_start_matches(' ');
    if line.len() != 10 || digits.len() == line.len() || !is_digits(digits) || !is_host(host) {
        return None;
    }
    Some(named(digits, host, true))
}

/// `src/lib/file-dotlock.c`. Without a newline the host may be cut short.
fn dovecot(file: &Candidate<'_>) -> Option<RecordState> {
    let (digits, host) = text(file)?.split_once(':')?;
    if !is_digits(digits) || !is_host(host) {
        return None;
    }
    Some(named(digits, host, false))
}

fn named(digits: &str, host: &str, complete: bool) -> RecordState {
    owned_by(pid(digits), Record { host: Some(host.into()), complete, ..Record::default() })
}
