//! Build tools, and the package managers of languages.

use super::fields::is_hex;
use super::files::{KERNEL, empty_file, is_below, is_regular, long_text, owned_by, parent, parsed};
use super::text::{is_digits, pid};
use super::{
    Asked, Candidate, Claim, Format, Heartbeat, Holds, Mechanism, PLAIN, Record, RecordState, is_dependency_lockfile,
};
use crate::model::facts::FileKind;
use crate::model::holder::Pid;

const JAVA: &[&str] = &["java"];
/// `lib/lockfile.js`: `stale` is 10 s unless set, and the holder touches it at half of that.
const TOUCHED: Option<Heartbeat> = Some(Heartbeat::secs(5, 10));

pub(super) static FORMATS: &[Format] = &[
    Format {
        id: "cargo",
        title: "Cargo",
        mechanism: Mechanism::Flock,
        names: &[".cargo-lock", ".cargo-{build,artifact}-lock", ".package-cache", ".package-cache-mutate"],
        programs: &["cargo"],
        ..KERNEL
    },
    Format {
        id: "uv",
        title: "uv",
        mechanism: Mechanism::Flock,
        names: &[".lock", "uv-????????????????.lock"],
        programs: &["uv", "uvx"],
        looks: "empty; anybody may write it (mode 0666), or it stands in `uv`, `.venv` or `venv`",
        read: uv,
        ..KERNEL
    },
    Format {
        id: "yarn1",
        title: "Yarn",
        mechanism: Mechanism::Directory,
        names: &[".yarn-single-instance.lock"],
        programs: &["node", "yarn"],
        heartbeat: TOUCHED,
        looks: "an empty directory that its holder touches every 5 s",
        stale_rule: Some("removed by the next taker once it has not been touched for 10 s"),
        caution: Some("A living holder stops with an error at its next touch"),
        read: empty_directory,
        ..PLAIN
    },
    Format {
        id: "proper-lockfile",
        title: "proper-lockfile",
        mechanism: Mechanism::Directory,
        names: &["*.lock"],
        programs: &["node"],
        heartbeat: TOUCHED,
        looks: "an empty directory that its holder, a Node.js program, touches every 5 s",
        stale_rule: Some("removed by the next taker once it has not been touched for 10 s"),
        caution: Some(
            "A living holder stops with an error (`ECOMPROMISED`) at its next touch, and its program with it",
        ),
        // What is in git's directory git made, or nobody knows who; a dependency lockfile's name is no lock's.
        asked: Asked::of(&[FileKind::Directory]),
        read: |file| {
            let others = is_below(file, b".git") || is_dependency_lockfile(file.name);
            if others { None } else { empty_directory(file) }
        },
        ..PLAIN
    },
    Format {
        id: "bundler",
        title: "Bundler",
        mechanism: Mechanism::Flock,
        names: &["bundler.lock"],
        programs: &["ruby", "bundle", "bundler", "gem"],
        looks: "a PID on each line, the last one the newest",
        read: bundler,
        ..KERNEL
    },
    Format {
        id: "gradle",
        title: "Gradle",
        mechanism: Mechanism::Posix,
        names: &["*.lock"],
        programs: JAVA,
        looks: "17 bytes of state; then, if somebody took it, port, lock id, PID and operation, in Java's binary form",
        stale_rule: Some("none: it waits 60 s, and asks the holder for it at its port"),
        asked: Asked::FILE,
        read: gradle,
        ..KERNEL
    },
    Format {
        id: "maven",
        title: "Maven",
        mechanism: Mechanism::Posix,
        names: &["{repository,.m2}/.locks/*"],
        common_names: true,
        programs: JAVA,
        looks: "empty, in the directory `.locks` of a local repository",
        read: empty_file,
        ..KERNEL
    },
    Format {
        id: "bazel",
        title: "Bazel",
        mechanism: Mechanism::Ofd,
        claim: Claim::Grammar,
        programs: &["bazel", "bazelisk", "java"],
        looks: "lines `pid=N`, `owner=client`, `cwd=DIRECTORY`, `tty=DEVICE`, of the last client. The server builds on without \
                a kernel lock",
        stale_rule: Some("none: whether the server works, only the server knows"),
        caution: Some("Deleting it frees nobody: the server's own lock is in its memory"),
        asked: Asked::FILE.if_it_begins(b"poct"),
        read: bazel,
        ..KERNEL
    },
    Format {
        id: "r-00lock",
        title: "R packages",
        mechanism: Mechanism::Directory,
        names: &["00LOCK", "00LOCK-*"],
        programs: &["R", "Rscript", "rsession"],
        looks: "a directory that holds the old copy of the package that is being installed",
        stale_rule: Some("none: R tells the user to delete it"),
        caution: Some("The only old copy of the package may be in it: look before you delete it"),
        holds: Holds::More("the only old copy of a package may be in it"),
        read: r_lock,
        ..PLAIN
    },
];

/// Empty files called `.lock` are many; uv makes its own writable by anybody (`crates/uv-fs/src/locked_file.rs`).
fn uv(file: &Candidate<'_>) -> Option<RecordState> {
    let digest = file.name.strip_prefix(b"uv-").and_then(|rest| rest.strip_suffix(b".lock"));
    let mine = digest.map_or_else(
        || {
            let home = matches!(parent(file), b"uv" | b".venv" | b"venv");
            let within = is_below(file, b"uv") && matches!(parent(file), b"python" | b"tools");
            home || within || file.mode & 0o777 == 0o666
        },
        |digest| is_hex(digest, 16),
    );
    if mine { empty_file(file) } else { None }
}

fn empty_directory(file: &Candidate<'_>) -> Option<RecordState> {
    (file.kind == FileKind::Directory && file.children.is_empty()).then_some(RecordState::None)
}

/// `bundler/process_lock.rb`: each taker appends its PID, and the file goes when one of them has finished.
fn bundler(file: &Candidate<'_>) -> Option<RecordState> {
    if file.size == 0 {
        return empty_file(file);
    }
    if !is_regular(file) {
        return None;
    }
    let Some(text) = long_text(file) else { return Some(RecordState::Malformed("no PIDs on lines")) };
    let pids: Result<Vec<Pid>, RecordState> = text
        .lines()
        .map(|line| if is_digits(line) { pid(line) } else { Err(RecordState::Malformed("no PIDs on lines")) })
        .filter_map(Result::transpose)
        .collect();
    Some(match pids {
        Ok(mut pids) => {
            parsed(Record { pid: pids.pop(), others: pids.into(), complete: text.ends_with('\n'), ..Record::default() })
        }
        Err(state) => state,
    })
}

/// Java's `DataOutput`, big end first (`cache/internal/filelock/`): a state of 17 bytes, which begins with its version,
/// 3; then, while it is held, the version of the rest, port, lock id, PID, operation.
fn gradle(file: &Candidate<'_>) -> Option<RecordState> {
    const VERSION: u8 = 3;
    if !is_regular(file) || file.size != file.bytes.len() as u64 {
        return None;
    }
    let at_home = is_below(file, b".gradle");
    if file.bytes.is_empty() {
        return at_home.then_some(RecordState::None);
    }
    let cut_short = || at_home.then_some(RecordState::CutShort);
    let ([VERSION, ..], [version, info @ ..]) = file.bytes.split_at_checked(17)? else {
        let idle = file.bytes.len() == 17 && file.bytes.first() == Some(&VERSION);
        return idle.then_some(RecordState::None);
    };
    if *version != VERSION {
        return at_home.then_some(RecordState::Malformed("another version of its layout"));
    }
    let Some((port, rest)) = info.split_first_chunk::<4>() else { return cut_short() };
    let Some((_lock_id, rest)) = rest.split_first_chunk::<8>() else { return cut_short() };
    let Some((process, rest)) = java_text(rest) else { return cut_short() };
    let Some((operation, rest)) = java_text(rest) else { return cut_short() };
    if !rest.is_empty() {
        return at_home.then_some(RecordState::Malformed("more than its layout has"));
    }
    let pid = match pid(process) {
        _ if !is_digits(process) => None, // a virtual machine that gives no PID
        Ok(pid) => pid,
        Err(state) => return Some(state),
    };
    let port = i32::from_be_bytes(*port);
    let words = if operation.is_empty() { format!("port {port}") } else { format!("port {port}, {operation}") };
    Some(parsed(Record { pid, detail: Some(words.into()), complete: true, ..Record::default() }))
}

/// `writeUTF`: a length of two bytes, then the text.
fn java_text(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    let (text, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
    Some((std::str::from_utf8(text).ok()?, rest))
}

/// `blaze_util_posix.cc`.
fn bazel(file: &Candidate<'_>) -> Option<RecordState> {
    let text = long_text(file)?;
    let lines: Option<Vec<(&str, &str)>> = text.lines().map(|line| line.split_once('=')).collect();
    let lines = lines?;
    let value = |key: &str| lines.iter().find(|(name, _)| *name == key).map(|(_, value)| *value);
    let known = lines.iter().all(|(key, _)| matches!(*key, "pid" | "owner" | "cwd" | "tty"));
    let (digits, owner) = (value("pid")?, value("owner")?);
    if !known || !is_digits(digits) || owner.is_empty() {
        return None;
    }
    let place = value("cwd").or(value("tty")).map(|place| format!(" in {place}")).unwrap_or_default();
    Some(owned_by(
        pid(digits),
        Record {
            detail: Some(format!("last {owner}{place}").into()),
            complete: text.ends_with('\n'),
            ..Record::default()
        },
    ))
}

fn r_lock(file: &Candidate<'_>) -> Option<RecordState> {
    if file.kind != FileKind::Directory {
        return None;
    }
    let precious = (!file.children.is_empty()).then_some(
        "The only old copy of the package may be in it: move it back into the library, or install it again first",
    );
    Some(parsed(Record { precious, complete: true, ..Record::default() }))
}
