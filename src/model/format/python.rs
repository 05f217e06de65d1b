//! Programs written in Python, and mamba: each with lock files of its own in places of its own.

use super::fields::{any_content, owned};
use super::files::empty_file;
use super::marker::{PidField, object, pid_field, text_field};
use super::text::{is_digits, text};
use super::{Asked, Candidate, Claim, Format, Mechanism, PLAIN, Record, RecordState, Scope, Standing};
use crate::model::facts::FileKind;
use crate::model::holder::Pid;
use serde_json::Value;

const KERNEL_RULE: Option<&str> = Some("none is needed: the kernel drops the lock with its holder");
const KERNEL_CAUTION: Option<&str> = Some("Deleting it frees nobody and lets two holders in");

/// Rows with the same id are the same tool's file: a lock at one time, none at another.
pub(super) static FORMATS: &[Format] = &[
    Format {
        id: "celery-pid",
        title: "Celery",
        mechanism: Mechanism::Existence,
        names: &["celerybeat.pid", "celeryd.pid"],
        looks: "a `PID` and a newline",
        stale_rule: Some(
            "removed at the next start if its process is gone or another user's, or its newline is missing",
        ),
        read: celery,
        ..PLAIN
    },
    Format {
        id: "precommit",
        title: "pre-commit",
        mechanism: Mechanism::Flock,
        names: &["pre-commit/.lock"],
        looks: "`.lock` in pre-commit's cache; empty",
        stale_rule: KERNEL_RULE,
        caution: KERNEL_CAUTION,
        read: any_content,
        ..PLAIN
    },
    Format {
        id: "torch-baton",
        title: "PyTorch build",
        mechanism: Mechanism::Existence,
        names: &["torch_extensions/**/lock"],
        programs: &["ninja", "nvcc", "cicc", "ptxas", "c++", "g++", "gcc", "clang++", "cc1plus", "ld", "hipcc"],
        looks: "`lock` in the build directory of an extension; empty, and it names nobody",
        stale_rule: Some("none: after a build that was killed, every later one waits for ever"),
        caution: Some("Whoever still builds that extension would be overtaken by a second build"),
        read: empty_file,
        ..PLAIN
    },
    Format {
        id: "hf-weak",
        title: "Hugging Face",
        mechanism: Mechanism::Flock,
        names: &[".locks/{models,datasets,spaces,kernels}--*/*.lock", ".cache/huggingface/**/*.lock"],
        looks: "in the cache of `huggingface_hub`; empty (elsewhere than on flock's file systems a record of `filelock`)",
        stale_rule: KERNEL_RULE,
        caution: KERNEL_CAUTION,
        read: empty_file,
        ..PLAIN
    },
    Format {
        id: "dvc-lock",
        title: "DVC",
        mechanism: Mechanism::Flock,
        names: &[".dvc/tmp/{lock,rwlock.lock}"],
        programs: &["dvc"],
        scope: Scope::Tree(2),
        looks: "one space and the `PID` of whoever took it last, held or not",
        stale_rule: KERNEL_RULE,
        caution: Some("It is not held while a stage's command runs: look at `rwlock` too"),
        read: dvc_lock,
        ..PLAIN
    },
    Format {
        id: "dvc-rwlock",
        title: "DVC stages",
        mechanism: Mechanism::Existence,
        names: &[".dvc/tmp/rwlock"],
        scope: Scope::Tree(2),
        looks: "JSON: `write` and `read`, each with paths and the `pid` and `cmd` that use them",
        stale_rule: Some("an entry whose PID is gone is dropped with a warning; it does not ask on which host"),
        read: |file| dvc_rwlock(file).filter(|state| *state != RecordState::None),
        ..PLAIN
    },
    Format {
        id: "dvc-rwlock",
        title: "DVC stages, idle",
        names: &[".dvc/tmp/rwlock"],
        standing: Standing::NotALock,
        looks: "the same without an entry: `{}`",
        read: |file| dvc_rwlock(file).filter(|state| *state == RecordState::None),
        ..PLAIN
    },
    Format {
        id: "snakemake",
        title: "Snakemake",
        mechanism: Mechanism::Existence,
        names: &[".snakemake/locks/*.lock"],
        programs: &["snakemake", "python", "python3"],
        scope: Scope::Tree(2),
        looks: "file paths, one on a line; it names nobody",
        stale_rule: Some("none: Snakemake stops and says how to unlock"),
        unlocker: Some("snakemake --unlock"),
        read: any_content,
        ..PLAIN
    },
    // Listed only while a kernel lock is on it: it is data, and no name of its own makes it a lock.
    Format {
        id: "conda",
        title: "conda",
        mechanism: Mechanism::Posix,
        standing: Standing::Data,
        claim: Claim::Magic,
        looks: "the cached `*.info.json` in `pkgs/cache` itself, while byte 21 of it is locked",
        stale_rule: KERNEL_RULE,
        caution: Some("It is data, not a lock file: never delete it for the lock"),
        asked: Asked::FILE.if_it_begins(b"{"),
        read: conda,
        ..PLAIN
    },
    Format {
        id: "mamba",
        title: "mamba",
        mechanism: Mechanism::Posix,
        names: &["pkgs/pkgs.lock", "pkgs/cache/cache.lock", "pkgs/cache/*.{json,solv,zst}.lock"],
        looks: "`D/D.lock` or `F.lock` in the package cache; empty (older versions left a PID)",
        stale_rule: KERNEL_RULE,
        caution: KERNEL_CAUTION,
        read: mamba,
        ..PLAIN
    },
];

/// `celery/platforms.py`: a missing newline is "partial or invalid pidfile" to Celery too.
fn celery(file: &Candidate<'_>) -> Option<RecordState> {
    if file.kind != FileKind::Regular {
        return None;
    }
    let Some(text) = text(file) else {
        let why = RecordState::Malformed("a PID file that is no text");
        return Some(if file.size == 0 { RecordState::CutShort } else { why });
    };
    let digits = text.trim();
    Some(match is_digits(digits) {
        true if text.ends_with('\n') => owned(digits, Record::default()),
        true => RecordState::CutShort,
        false => RecordState::Malformed("no PID"),
    })
}

/// `dvc/lock.py` locks with zc.lockfile, or, set up so, with hard links as flufl.lock does: that is another format.
fn dvc_lock(file: &Candidate<'_>) -> Option<RecordState> {
    if file.kind != FileKind::Regular {
        return None;
    }
    if file.size == 0 {
        return Some(RecordState::None);
    }
    let digits = text(file)?.trim();
    is_digits(digits).then(|| owned(digits, Record::default()))
}

/// `dvc/rwlock.py`: whoever is named lives on in the file until the next one reads it.
fn dvc_rwlock(file: &Candidate<'_>) -> Option<RecordState> {
    const UNCLEAR: RecordState = RecordState::Malformed("not the entries that DVC writes");
    if file.kind != FileKind::Regular {
        return None;
    }
    if file.bytes.iter().all(u8::is_ascii_whitespace) {
        return Some(RecordState::None);
    }
    let map = match object(file) {
        Ok(map) => map,
        Err(state) => return Some(state),
    };
    let mut owners: Vec<Pid> = Vec::new();
    let mut command = None;
    let mut detail: Vec<String> = Vec::new();
    for (kind, verb) in [("write", "writes"), ("read", "reads")] {
        let paths = match map.get(kind) {
            None => continue,
            Some(Value::Object(paths)) => paths,
            Some(_) => return Some(UNCLEAR),
        };
        for (path, entries) in paths {
            let entries = match entries {
                Value::Array(entries) => entries.as_slice(),
                entry => std::slice::from_ref(entry),
            };
            for entry in entries {
                let Value::Object(entry) = entry else { return Some(UNCLEAR) };
                let PidField::Named(pid) = pid_field(entry) else { return Some(UNCLEAR) };
                if owners.is_empty() {
                    command = text_field(entry, &["cmd"]);
                }
                if !owners.contains(&pid) {
                    owners.push(pid);
                }
            }
            if !entries.is_empty() {
                detail.push(format!("{verb} {path}"));
            }
        }
    }
    let Some((first, others)) = owners.split_first() else { return Some(RecordState::None) };
    let more = detail.len().saturating_sub(2);
    let mut told = detail.into_iter().take(2).collect::<Vec<_>>().join(", ");
    if more > 0 {
        told = format!("{told} and {more} more");
    }
    Some(RecordState::Parsed(Box::new(Record {
        pid: Some(*first),
        others: others.into(),
        command,
        detail: Some(told.into()),
        complete: true,
        ..Record::default()
    })))
}

/// `conda/gateways/disk/lock.py`.
fn conda(file: &Candidate<'_>) -> Option<RecordState> {
    let cached = file.name.ends_with(b".info.json") && file.directory.ends_with(b"/pkgs/cache");
    (cached && file.kind == FileKind::Regular && file.bytes.starts_with(b"{")).then_some(RecordState::None)
}

/// `libmamba/src/core/util.cpp`; before 77bb95baa the PID of the last taker stood in it.
fn mamba(file: &Candidate<'_>) -> Option<RecordState> {
    let digits = || text(file).map(str::trim).filter(|digits| is_digits(digits));
    empty_file(file).or_else(|| Some(owned(digits()?, Record::default())))
}
