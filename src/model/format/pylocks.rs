//! Other locking libraries of Python: zc.lockfile, flufl.lock, pylockfile, Twisted.

use super::fields::{is_empty, owned, target};
use super::standin::{self, Holds, StandIn};
use super::text::{is_digits, is_host, pid, text};
use super::{Asked, Candidate, Claim, Format, Mechanism, PLAIN, Record, RecordState};
use crate::model::facts::FileKind;
use crate::model::holder::Pid;

pub(super) static FORMATS: &[Format] = &[
    Format {
        id: "zc-lockfile",
        title: "zc.lockfile",
        mechanism: Mechanism::Flock,
        claim: Claim::Grammar,
        looks: "one space and a `PID`, or `PID;HOST`: of whoever took it last, held or not",
        stale_rule: Some("none is needed: the kernel drops the lock with its holder"),
        caution: Some("Deleting it frees nobody and lets two holders in"),
        asked: Asked::FILE.if_it_begins(b" "),
        read: zc_lockfile,
        ..PLAIN
    },
    Format {
        id: "flufl-lock",
        title: "flufl.lock",
        mechanism: Mechanism::Hardlink,
        claim: Claim::Grammar,
        looks: "`PATH|HOST|PID|RANDOM` (`^` on Windows), the path of the claim file it is linked to; its time of \
                modification is when it expires",
        stale_rule: Some("broken by the next taker 10 s after its expiry, which its holder puts off while it works"),
        caution: Some("The claim file named in it goes with it"),
        asked: Asked::FILE,
        read: flufl,
        ..PLAIN
    },
    Format {
        id: "lockfile-link",
        title: "pylockfile link",
        mechanism: Mechanism::Hardlink,
        claim: Claim::Grammar,
        looks: "empty, with a second name beside it: `HOST-TID.PIDHASH`",
        stale_rule: Some("none: it waits for ever, even for a dead owner"),
        caution: Some("The second name goes with it"),
        asked: Asked::FILE.if_empty(),
        read: |file| {
            (is_empty(file) && file.links > 1).then_some(())?;
            unique_name(std::str::from_utf8(file.linked_name?).ok()?)
        },
        ..PLAIN
    },
    Format {
        id: "lockfile-mkdir",
        title: "pylockfile mkdir",
        mechanism: Mechanism::Directory,
        claim: Claim::Grammar,
        looks: "a directory `*.lock` with one empty file `HOST.-TIDPID`",
        stale_rule: Some("none: it waits for ever, even for a dead owner"),
        holds: Holds::Files(1),
        asked: Asked::of(&[FileKind::Directory]),
        read: lockfile_mkdir,
        ..PLAIN
    },
    Format {
        id: "lockfile-symlink",
        title: "pylockfile symlink",
        mechanism: Mechanism::Symlink,
        claim: Claim::Grammar,
        looks: "a symbolic link `*.lock` to `HOST-TID.PIDHASH`, which is not there",
        stale_rule: Some("none: it waits for ever, even for a dead owner"),
        asked: Asked::of(&[FileKind::Symlink]),
        read: |file| {
            let target = target(file).filter(|_| file.name.ends_with(b".lock"))?;
            unique_name(target.rsplit('/').next()?)
        },
        ..PLAIN
    },
    Format {
        id: "twisted",
        title: "Twisted",
        mechanism: Mechanism::Symlink,
        names: &["twistd.pid.lock"],
        claim: Claim::Grammar,
        payload: Some(("", "symlink")),
        holds: Holds::Files(1),
        stand_in: StandIn::Link(standin::bare_pid),
        looks: "a symbolic link to a `PID`, which is not there; on Windows a directory with that text in `symlink`",
        stale_rule: Some("removed by the next taker once the PID is gone; it does not ask on which host"),
        asked: Asked::of(&[FileKind::Symlink, FileKind::Directory]),
        read: twisted,
        ..PLAIN
    },
];

/// One space, as `zc.lockfile` writes it (`__init__.py`); what is aligned to a width is other programs'.
fn zc_lockfile(file: &Candidate<'_>) -> Option<RecordState> {
    let body = text(file)?.strip_prefix(' ')?.strip_suffix('\n')?;
    let (digits, host) = match body.split_once(';') {
        Some((digits, host)) => (digits, Some(host)),
        None => (body, None),
    };
    let fits = is_digits(digits) && host.is_none_or(is_host);
    fits.then(|| owned(digits, Record { host: host.map(Into::into), ..Record::default() }))
}

/// `_lockfile.py`: the path may hold the separator itself, so the fields count from the end.
fn flufl(file: &Candidate<'_>) -> Option<RecordState> {
    let body = text(file)?;
    if body.contains(['\n', '\0']) {
        return None;
    }
    ['|', '^'].into_iter().find_map(|separator| {
        let mut fields = body.rsplitn(4, separator);
        let (random, digits, host, path) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let fits = is_digits(random) && is_digits(digits) && is_host(host) && !path.is_empty();
        fits.then(|| owned(digits, Record { host: Some(host.into()), ..Record::default() }))
    })
}

/// `HOST-TID.PIDHASH` (`lockfile/__init__.py`: `"%s%s.%s%s" % (host, tname, pid, hash(path))`). Only where the hash is
/// negative does its sign tell where the PID ends.
fn unique_name(name: &str) -> Option<RecordState> {
    let (owner, number) = name.rsplit_once('.')?;
    let (host, thread) = owner.rsplit_once('-')?;
    let thread_fits = (6..=8).contains(&thread.len()) && thread.bytes().all(|b| b.is_ascii_hexdigit());
    if !thread_fits || !is_host(host) {
        return None;
    }
    let rest = Record { host: Some(host.into()), complete: true, ..Record::default() };
    match number.split_once('-') {
        Some((digits, hash)) => (is_digits(digits) && is_digits(hash)).then(|| owned(digits, rest)),
        // A hash has up to 19 digits; a short number is a name of somebody else's.
        None if is_digits(number) && number.len() >= 12 => Some(RecordState::Parsed(Box::new(Record {
            detail: Some("its PID runs into a hash and cannot be told".into()),
            ..rest
        }))),
        None => None,
    }
}

/// `HOST.-TIDPID` (`mkdirlockfile.py`; without threads `HOST.PID`).
fn lockfile_mkdir(file: &Candidate<'_>) -> Option<RecordState> {
    let [only] = file.children else { return None };
    if file.kind != FileKind::Directory || !file.name.ends_with(b".lock") {
        return None;
    }
    let (host, number) = std::str::from_utf8(only).ok()?.rsplit_once('.')?;
    if !is_host(host) {
        return None;
    }
    let rest = Record { host: Some(host.into()), complete: true, ..Record::default() };
    let Some(number) = number.strip_prefix('-') else {
        return is_digits(number).then(|| owned(number, rest));
    };
    if number.len() < 7 || !number.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let pid = behind_thread(number);
    let detail = pid.is_none().then(|| "its PID runs into a thread's number and cannot be told".into());
    Some(RecordState::Parsed(Box::new(Record { pid, detail, ..rest })))
}

/// The PID behind a thread's number. That is printed with `%x`, so it has eight digits or, by chance, fewer; but it is the
/// address of a structure that is aligned to 64 bytes, and a PID does not begin with 0. Both together leave one split.
fn behind_thread(number: &str) -> Option<Pid> {
    let mut fitting = (6..=8).filter_map(|at| {
        let (thread, digits) = number.split_at_checked(at)?;
        let aligned = u32::from_str_radix(thread, 16).is_ok_and(|address| address % 64 == 0);
        let plain = is_digits(digits) && !digits.starts_with('0') && !thread.starts_with('0');
        (aligned && plain).then(|| pid(digits).ok().flatten()).flatten()
    });
    fitting.next().filter(|_| fitting.next().is_none())
}

/// `lockfile.py` of Twisted.
fn twisted(file: &Candidate<'_>) -> Option<RecordState> {
    let digits = match file.kind {
        FileKind::Symlink => target(file)?,
        FileKind::Directory => {
            let [only] = file.children else { return None };
            (**only == *b"symlink").then(|| std::str::from_utf8(file.bytes).ok()).flatten()?
        }
        _ => return None,
    };
    // A link to a larger number is no lock; nor does anybody call a file 0.
    (is_digits(digits) && pid(digits).ok()?.is_some()).then(|| owned(digits, Record::default()))
}
