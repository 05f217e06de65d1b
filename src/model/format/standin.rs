//! What the clear has to know of a format: what a lock directory of it may hold, and what has to stand at the path while a
//! lock of it is taken away.
//!
//! Owns: [`Holds`], [`StandIn`], and Python's `filelock` records written anew in our name. Never: chooses; the clear does.

use std::fmt::Write as _;

/// What a directory of a format may hold, so that it can be moved as one thing, and later be deleted entry by entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// Nothing: its being there is the lock.
    Nothing,
    /// So many files or links at most, and no directory.
    Files(usize),
    /// More than the lock: it is not taken away, for this reason.
    More(&'static str),
}

/// What has to stand at the path while a lock is taken away, so that its tool's own waiters see it taken.
#[derive(Clone, Copy, Debug)]
pub enum StandIn {
    /// What fits the lock's kind: a file for a directory that is made by `mkdir`, a directory for anything else.
    ByKind,
    /// A directory with something in it, also for a lock that is one: others list it, and rename theirs over it.
    Directory,
    /// A symbolic link with a target of the tool's own, made from the lock's; where the lock is a file, a file with that. Its
    /// waiters read the link, and stop with an error where there is none.
    Link(fn(&[u8], &Ourselves<'_>) -> Vec<u8>),
    /// A file with a record of the tool's own, made from the lock's: a directory would crash its waiters, or let them in.
    Record(fn(&[u8], &Ourselves<'_>) -> Vec<u8>),
}

/// Whom a record in our name names.
#[derive(Clone, Copy, Debug)]
pub struct Ourselves<'a> {
    /// This process.
    pub pid: u32,
    /// Its host.
    pub host: &'a str,
    /// Its PID namespace.
    pub pid_ns: Option<u64>,
    /// This boot.
    pub boot_id: Option<u128>,
    /// When it started, in ticks after boot.
    pub ticks: Option<u64>,
    /// Never used before.
    pub token: u128,
}

impl Ourselves<'_> {
    /// As `_identity.py` spells a host; with the PID namespace where the lock's own record has it (from 4.1).
    fn host(&self, record: &str) -> String {
        let mut spelled = String::new();
        for byte in self.host.bytes() {
            match byte {
                b'?' | 0..=0x20 | 0x7f.. => drop(write!(spelled, "?{byte:02x}")),
                plain => spelled.push(char::from(plain)),
            }
        }
        if let Some(pid_ns) = self.pid_ns.filter(|_| record.contains(NAMESPACE)) {
            let _ = write!(spelled, "{NAMESPACE}{pid_ns:x}");
        }
        spelled
    }

    /// `boot id << 64 | ticks`, in decimal. Empty where nobody knows when we started.
    fn start(&self) -> String {
        let Some(ticks) = self.ticks else { return String::new() };
        let boot = self.boot_id.unwrap_or(0);
        let mut limbs = [(boot >> 64) as u64, boot as u64, ticks]; // big end first
        let mut digits = Vec::new();
        while limbs != [0; 3] {
            let mut rest = 0;
            for limb in &mut limbs {
                let wide = (u128::from(rest) << 64) | u128::from(*limb);
                *limb = (wide / 10) as u64;
                rest = (wide % 10) as u64;
            }
            digits.push(char::from(b'0' + rest as u8));
        }
        digits.iter().rev().collect()
    }
}

const NAMESPACE: &str = "?pidns-";

fn text(record: &[u8]) -> &str {
    std::str::from_utf8(record).unwrap_or_default()
}

/// Nothing: for what older versions of `SoftFileLock`, and scripts, leave empty.
pub(super) fn nothing(_: &[u8], _: &Ourselves<'_>) -> Vec<u8> {
    Vec::new()
}

/// `PID`, `HOST` and, where the lock's has it, a start token.
pub(super) fn soft(record: &[u8], us: &Ourselves<'_>) -> Vec<u8> {
    let record = text(record);
    let start = if record.lines().count() > 2 { us.start() } else { String::new() };
    let end = if start.is_empty() { "" } else { "\n" };
    format!("{}\n{}\n{start}{end}", us.pid, us.host(record)).into_bytes()
}

/// `key=value` lines: those that name the owner are ours, the others are the lock's. Its `duration` stays: a contender with
/// another one would stop with an error.
pub(super) fn lease(record: &[u8], us: &Ourselves<'_>) -> Vec<u8> {
    let lines = text(record);
    if lines.lines().all(|line| !line.starts_with("duration=")) {
        return soft(record, us); // cut short: any contender reads this as somebody's lock
    }
    rewritten(lines, us, &[("token", format!("{:032x}", us.token)), ("start", us.start())])
}

/// The same of a holder's file; its token stays, being its name too.
pub(super) fn holder(record: &[u8], us: &Ourselves<'_>) -> Vec<u8> {
    rewritten(text(record), us, &[("nonce", format!("{:032x}", us.token))])
}

fn rewritten(lines: &str, us: &Ourselves<'_>, values: &[(&str, String)]) -> Vec<u8> {
    let mut written = String::new();
    for line in lines.lines() {
        let key = line.split('=').next().unwrap_or_default();
        let _ = match (key, values.iter().find(|(name, _)| *name == key)) {
            ("pid", _) => writeln!(written, "pid={}", us.pid),
            ("host", _) => writeln!(written, "host={}", us.host(lines)),
            (_, Some((_, value))) if value.is_empty() => Ok(()),
            (_, Some((_, value))) => writeln!(written, "{key}={value}"),
            _ => writeln!(written, "{line}"),
        };
    }
    written.into_bytes()
}

/// `HOST:PID`, with the PID namespace where the lock's has it (`lock.py`, `_getlockprefix`).
pub(super) fn mercurial(target: &[u8], us: &Ourselves<'_>) -> Vec<u8> {
    match us.pid_ns.filter(|_| target.contains(&b'/')) {
        Some(pid_ns) => format!("{}/{pid_ns:x}:{}", us.host, us.pid).into_bytes(),
        None => format!("{}:{}", us.host, us.pid).into_bytes(),
    }
}

/// The PID alone.
pub(super) fn bare_pid(_: &[u8], us: &Ourselves<'_>) -> Vec<u8> {
    us.pid.to_string().into_bytes()
}

/// Token, PID, host; any writer or reader that finds a fresh one waits for it.
pub(super) fn marker(record: &[u8], us: &Ourselves<'_>) -> Vec<u8> {
    format!("{:032x}\n{}\n{}\n", us.token, us.pid, us.host(text(record))).into_bytes()
}

/// Magic, token, PID, host in hexadecimal, start token. The token stays: it stands in the claim's name, and others stop with
/// an error where the two differ.
pub(super) fn claim(record: &[u8], us: &Ourselves<'_>) -> Vec<u8> {
    let record = text(record);
    let mut lines = record.lines();
    let (magic, token) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let mut host = String::new();
    for byte in us.host(&hex_host(record)).bytes() {
        let _ = write!(host, "{byte:02x}");
    }
    format!("{magic}\n{token}\n{}\n{host}\n{}\n", us.pid, us.start()).into_bytes()
}

fn hex_host(record: &str) -> String {
    let bytes = record.lines().nth(3).and_then(super::fields::hex_bytes);
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::facts::FileKind;
    use crate::model::format::{Candidate, FORMATS, recognise};
    use crate::model::holder::StartToken;

    const BOOT: u128 = 0xe371_d1e9_e652_4a5f_8922_5e55_eb27_0cca;
    const US: Ourselves<'_> = Ourselves {
        pid: 4711,
        host: "vm",
        pid_ns: Some(0xefff_fffc),
        boot_id: Some(BOOT),
        ticks: Some(123_456),
        token: 0xabc,
    };

    /// A name and a record of each that a stand-in is made from; whether a start token and a namespace belong into it.
    const RECORDS: [(&str, &str, &str, bool, bool); 8] = [
        ("filelock-soft", "x.lock", "1\nhost\n", false, false),
        ("filelock-soft", "x.lock", "1\nhost\n99\n", true, false),
        ("filelock-soft", "x.lock", "1\nhost?pidns-f0000001\n99\n", true, true),
        (
            "filelock-lease",
            "x.lock",
            "filelock/2\npid=1\nhost=h\nmode=lease\ntoken=0123\nduration=7.5\nstart=9\nnew=kept\n",
            true,
            false,
        ),
        (
            "filelock-strict",
            "held-v1-00000000000000000000000000000001.claim",
            "filelock-strict-v1\n00000000000000000000000000000001\n1\n68\n9\n",
            true,
            false,
        ),
        ("filelock-softrw3", "x.write", "00000000000000000000000000000001\n1\nhost\n", false, false),
        (
            "filelock-softrw4",
            "00000000000000000000000000000001",
            "filelock-rw/1\ntoken=00000000000000000000000000000001\npid=1\nhost=h?pidns-f0000001\nlease=90.0\nnonce=5\n",
            false,
            true,
        ),
        ("empty", "x.lock", "", false, false),
    ];

    #[test]
    fn a_stand_in_is_read_as_ours_and_as_of_the_same_format() {
        for (id, name, record, token, namespace) in RECORDS {
            let read =
                |bytes: &[u8]| recognise(&Candidate::plain(name.as_bytes(), b"/d/claims", FileKind::Regular, bytes));
            let before = read(record.as_bytes());
            assert_eq!(before.format.id, id, "{record:?}");
            let StandIn::Record(make) = before.format.stand_in else { panic!("{id} has a record to stand in") };
            let made = make(record.as_bytes(), &US);
            let after = read(&made);
            assert_eq!(after.format.id, id, "{:?}", text(&made));
            let Some(ours) = after.record() else {
                assert_eq!((id, made.len()), ("empty", 0));
                continue;
            };
            let expected = StartToken { boot_id: Some(BOOT), ticks: 123_456 };
            assert_eq!(ours.pid.map(crate::model::holder::Pid::get), Some(4711), "{id}");
            assert_eq!(ours.host.as_deref(), Some("vm"), "{id}");
            assert_eq!(ours.token, token.then_some(expected), "{id}: {:?}", text(&made));
            assert_eq!(ours.pid_ns, US.pid_ns.filter(|_| namespace), "{id}: {:?}", text(&made));
            assert_eq!(ours.lease, before.record().and_then(|record| record.lease), "{id}");
        }
    }

    #[test]
    fn a_link_in_our_name_is_read_as_ours() {
        for (id, name, target, namespace) in [
            ("mercurial", "wlock", "host:1", false),
            ("mercurial", "wlock", "host/f0000001:1", true),
            ("twisted", "twistd.pid.lock", "1", false),
        ] {
            let read =
                |bytes: &[u8]| recognise(&Candidate::plain(name.as_bytes(), b"/r/.hg", FileKind::Symlink, bytes));
            let before = read(target.as_bytes());
            assert_eq!(before.format.id, id, "{target}");
            let StandIn::Link(make) = before.format.stand_in else { panic!("{id} has a link to stand in") };
            let made = make(target.as_bytes(), &US);
            let after = read(&made);
            let ours = after.record().unwrap_or_else(|| panic!("{id}: {:?}", text(&made)));
            assert_eq!((after.format.id, ours.pid.map(crate::model::holder::Pid::get)), (id, Some(4711)));
            assert_eq!(ours.host.as_deref(), (id == "mercurial").then_some("vm"));
            assert_eq!(ours.pid_ns, US.pid_ns.filter(|_| namespace), "{:?}", text(&made));
        }
    }

    /// Every record of the family that is a lock by being there has a stand-in of its own.
    #[test]
    fn no_lock_of_the_family_is_left_out() {
        let family = FORMATS.iter().filter(|format| format.id.starts_with("filelock-"));
        for format in family.filter(|format| format.mechanism.is_existence()) {
            let has = matches!(format.stand_in, StandIn::Record(_));
            assert_eq!(has, format.standing == crate::model::format::Standing::Lock, "{} {}", format.id, format.title);
        }
    }
}
