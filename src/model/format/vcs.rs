//! Version control beside git: Mercurial, Jujutsu, Subversion.

use super::fields::{SQLITE, any_content, is_empty, owned, target};
use super::standin::{self, StandIn};
use super::text::{is_digits, text};
use super::{Asked, Candidate, Claim, Format, Mechanism, PLAIN, Record, RecordState, Scope, Standing};
use crate::model::facts::FileKind;

pub(super) static FORMATS: &[Format] = &[
    Format {
        id: "mercurial",
        title: "Mercurial",
        mechanism: Mechanism::Symlink,
        names: &["{wlock,wlock.break}", ".hg/store/{lock,lock.break}", "lock"],
        programs: &["hg", "chg", "rhg", "thg", "python", "python3"],
        scope: Scope::Tree(2),
        stand_in: StandIn::Link(standin::mercurial),
        looks: "a symbolic link to `HOST/PIDNS:PID`, `HOST:PID` or, very old, `PID`; a file where there are no links",
        stale_rule: Some(
            "broken by the next one on the same host and in the same PID namespace once the PID is gone; else waited for",
        ),
        caution: Some("While hg works, deleting it lets a second one write to the same history"),
        after_clearing: Some("hg verify (and hg recover if it says so)"),
        read: mercurial,
        ..PLAIN
    },
    Format {
        id: "jj",
        title: "Jujutsu",
        mechanism: Mechanism::Flock,
        names: &[".jj/working_copy/working_copy.lock", ".jj/repo/**/lock", ".jj/repo/git_import_export.lock"],
        programs: &["jj"],
        scope: Scope::Tree(2),
        looks: "in `.jj`; empty, and removed by its holder",
        stale_rule: Some("none is needed: the kernel drops the lock with its holder"),
        read: any_content,
        ..PLAIN
    },
    Format {
        id: "svn-fsfs",
        title: "Subversion repository",
        mechanism: Mechanism::Posix,
        names: &["db/{write-lock,pack-lock,txn-current-lock}", "db/**/rev-lock", "locks/{db,db-logs}.lock"],
        programs: &["svn", "svnadmin", "svnserve", "svnlook", "apache2", "httpd"],
        looks: "in `db` and `locks` of a repository; empty, or a line that says what it is for",
        stale_rule: Some("none is needed: the kernel drops the lock with its holder"),
        caution: Some("Never delete it while the repository is served: two could write to it"),
        read: |file| {
            let explains = || text(file).is_some_and(|text| text.contains("Subversion") || text.contains("versioned"));
            (is_empty(file) || explains()).then_some(RecordState::None)
        },
        ..PLAIN
    },
    // Listed only while a kernel lock is on it: the working copy's own lock is a row within.
    Format {
        id: "svn-wc",
        title: "Subversion working copy",
        mechanism: Mechanism::Posix,
        standing: Standing::Data,
        claim: Claim::Magic,
        programs: &["svn", "svnversion"],
        scope: Scope::Tree(1),
        looks: "the database `.svn/wc.db`, while SQLite locks it; who has the working copy locked is a row in `WC_LOCK`",
        stale_rule: Some("none: a row that a killed svn left stays until it is cleaned up"),
        caution: Some("It is the working copy's database: never delete it"),
        unlocker: Some("svn cleanup"),
        asked: Asked::FILE.if_it_begins(b"S"),
        read: |file| {
            let at_home = file.name == b"wc.db" && file.directory.ends_with(b"/.svn");
            let mine = at_home && file.kind == FileKind::Regular && file.bytes.starts_with(SQLITE);
            mine.then_some(RecordState::None)
        },
        ..PLAIN
    },
];

/// `mercurial/lock.py`: `HOST[/<hex pid-ns inode>]:PID`, split at the first colon; `util.makelock` writes a file where
/// links cannot be made.
/// Elsewhere than in `.hg` only a link that says so is one: `lock` is many a tool's, and Firefox's has an address for host.
fn mercurial(file: &Candidate<'_>) -> Option<RecordState> {
    let at_home = file.directory.split(|b| *b == b'/').any(|part| part == b".hg");
    if !at_home {
        let is_address = |text: &str| {
            let host = text.split(':').next().unwrap_or_default();
            host.parse::<core::net::IpAddr>().is_ok()
        };
        return target(file).filter(|text| !is_address(text)).and_then(owner);
    }
    let whole = match file.kind {
        FileKind::Symlink => target(file),
        FileKind::Regular if file.size == 0 => return Some(RecordState::CutShort),
        FileKind::Regular => text(file).map(|text| text.trim_end_matches('\n')),
        _ => return None,
    };
    Some(whole.and_then(owner).unwrap_or(RecordState::Malformed("not HOST:PID")))
}

fn owner(text: &str) -> Option<RecordState> {
    let Some((host, digits)) = text.split_once(':') else {
        return is_digits(text).then(|| owned(text, Record::default()));
    };
    let (host, pid_ns) = match host.split_once('/') {
        Some((host, hex)) if hex.bytes().all(|b| b.is_ascii_hexdigit()) => {
            (host, Some(u64::from_str_radix(hex, 16).ok()?))
        }
        Some(_) => return None,
        None => (host, None),
    };
    let fits = is_digits(digits) && !host.is_empty() && host.bytes().all(|b| b.is_ascii_graphic());
    fits.then(|| owned(digits, Record { host: Some(host.into()), pid_ns, ..Record::default() }))
}
