//! Backup, synchronisation, infrastructure.

use super::asked::JSON;
use super::fields::{contains, is_hex};
use super::files::{KERNEL, has_keys, is_regular, kernel_file, one_pid, owned_by, parent, parsed, pid_value};
use super::marker::{looks_like_json, object, text_field, time_field};
use super::text::{is_digits, pid, text};
use super::{
    Asked, Candidate, Claim, Format, Heartbeat, Holds, MOST_CHILDREN, Mechanism, PLAIN, Record, RecordState, StandIn,
    Standing,
};
use crate::model::facts::FileKind;
use crate::model::holder::Pid;
use crate::model::time::Wall;
use serde_json::{Map, Value};

const BORG: &[&str] = &["borg", "borgbackup", "borgmatic", "vorta"];
/// 64 hexadecimal digits in `locks/`: the hash of the content.
const HASH_IN_LOCKS: &str = "locks/????????????????????????????????????????????????????????????????";

pub(super) static FORMATS: &[Format] = &[
    // The lock is the kernel's, on the state file; that one is data and listed only while it is held. This note tells
    // who took it. It is read as an existence lock, because "nobody holds it" would be said of the wrong file.
    Format {
        id: "terraform",
        title: "Terraform",
        mechanism: Mechanism::Existence,
        names: &[".*.lock.info"],
        programs: &["terraform", "tofu", "terragrunt"],
        looks: "JSON with `ID`, `Operation`, `Who` (`USER@HOST`), `Created`: a note. The lock itself is the kernel's, on the \
                state file beside it",
        stale_rule: Some("none: a note that a crash left is written anew by the next run"),
        caution: Some("The note may go; never delete the state file, `terraform.tfstate`"),
        unlocker: Some("terraform force-unlock ID"),
        after_clearing: Some("terraform plan"),
        read: terraform,
        ..PLAIN
    },
    Format {
        id: "borg1-excl",
        title: "Borg",
        mechanism: Mechanism::Directory,
        names: &["lock.exclusive"],
        programs: BORG,
        looks: "a directory with one empty file called `FQDN@NUMBER.PID-THREAD`",
        stale_rule: Some("the next `borg` on the same host removes it if there is no such process"),
        caution: Some("Deleting it while any Borg works on the repository, from any machine, can damage it"),
        unlocker: Some("borg break-lock REPO"),
        after_clearing: Some("borg check REPO"),
        holds: Holds::Files(MOST_CHILDREN),
        stand_in: StandIn::Directory,
        read: borg_exclusive,
        ..PLAIN
    },
    Format {
        id: "borg1-roster",
        title: "Borg roster",
        mechanism: Mechanism::Existence,
        names: &["lock.roster"],
        programs: BORG,
        looks: "JSON with `shared` and `exclusive`: lists of host, PID and thread; empty lists = free",
        stale_rule: Some("`borg` on the same host strikes out whoever is gone when it reads the list"),
        caution: Some("Deleting it while any Borg works on the repository, from any machine, can damage it"),
        unlocker: Some("borg break-lock REPO"),
        after_clearing: Some("borg check REPO"),
        read: borg_roster,
        ..PLAIN
    },
    Format {
        id: "borg2",
        title: "Borg 2",
        mechanism: Mechanism::Heartbeat,
        names: &[HASH_IN_LOCKS],
        common_names: true,
        claim: Claim::Grammar,
        programs: BORG,
        heartbeat: Some(Heartbeat::secs(15 * 60, 30 * 60)),
        looks: "JSON with `exclusive`, `hostid`, `processid`, `threadid`, `time`; a new one at least every 15 min",
        stale_rule: Some("any `borg` removes it after 30 min; one on the same host as soon as the process is gone"),
        caution: Some("Its holder stops at the next refresh: \"our lock was killed\""),
        unlocker: Some("borg break-lock"),
        after_clearing: Some("borg check"),
        asked: Asked::FILE.if_it_begins(JSON),
        read: borg2,
        ..PLAIN
    },
    Format {
        id: "restic",
        title: "restic",
        mechanism: Mechanism::Heartbeat,
        names: &[HASH_IN_LOCKS],
        common_names: true,
        claim: Claim::Grammar,
        programs: &["restic", "rustic"],
        heartbeat: Some(Heartbeat::secs(5 * 60, 30 * 60)),
        looks: "encrypted, replaced every 5 min; in the clear JSON with `time`, `exclusive`, `hostname`, `pid`",
        stale_rule: Some(
            "older than 30 min, or on the same host and its process cannot be signalled (it sends SIGHUP)",
        ),
        caution: Some("Its holder stops when it cannot refresh it; a `prune` beside it can damage the repository"),
        unlocker: Some("restic unlock"),
        after_clearing: Some("restic check"),
        read: restic,
        ..PLAIN
    },
    Format {
        id: "rclone-old",
        title: "rclone bisync",
        mechanism: Mechanism::Existence,
        names: &["bisync/*.lck", "*..*.lck"],
        programs: &["rclone"],
        looks: "`PID`, no newline; the name has both paths. Newer ones begin like this, for an instant",
        stale_rule: Some("none: rclone tells the user to delete it"),
        caution: Some("Deleting it while rclone runs lets a second run change the same files"),
        read: rclone_old,
        ..PLAIN
    },
    Format {
        id: "rclone-new",
        title: "rclone bisync",
        mechanism: Mechanism::Existence,
        claim: Claim::Grammar,
        programs: &["rclone"],
        looks: "JSON with `Session`, `PID` (as text), `TimeRenewed`, `TimeExpires`",
        stale_rule: Some("taken over once `TimeExpires` has passed: in 200 years unless `--max-lock` was given"),
        caution: Some("Deleting it while rclone runs lets a second run change the same files"),
        asked: Asked::FILE.if_it_begins(JSON),
        read: rclone_new,
        ..PLAIN
    },
    Format {
        id: "unison",
        title: "Unison",
        mechanism: Mechanism::Existence,
        names: &["lk????????????????????????????????"],
        common_names: true,
        programs: &["unison", "unison-gtk", "unison-gui", "unison-cli"],
        looks: "empty, called `lk` and 32 hexadecimal digits. It names no owner",
        stale_rule: Some("none: Unison tells the user to delete it"),
        caution: Some("Deleting it while Unison works on these roots lets a second one write its archives"),
        read: |file| if is_hex(file.name.get(2..)?, 32) && file.size == 0 { kernel_file(file) } else { None },
        ..PLAIN
    },
    Format {
        id: "syncthing",
        title: "Syncthing",
        mechanism: Mechanism::Flock,
        names: &["syncthing.lock", "index-v0.14.0.db/LOCK"],
        programs: &["syncthing"],
        ..KERNEL
    },
    Format {
        id: "kopia",
        title: "Kopia",
        mechanism: Mechanism::Flock,
        names: &["*.mlock"],
        programs: &["kopia", "kopia-ui"],
        ..KERNEL
    },
    Format {
        id: "nix",
        title: "Nix",
        mechanism: Mechanism::Flock,
        names: &["*.lock", "nix/db/big-lock", "nix/gc.lock"],
        programs: &["nix", "nix-daemon", "nix-store", "nix-build"],
        looks: "empty; `d` = its last holder has already unlinked it",
        asked: Asked::FILE,
        read: nix,
        ..KERNEL
    },
    Format {
        id: "qemu",
        title: "disk image",
        mechanism: Mechanism::Ofd,
        standing: Standing::Data,
        claim: Claim::Magic,
        looks: "a disk image (`qcow2`, `qed`), by its first bytes. The lock is the kernel's, on bytes of the image",
        stale_rule: Some("none is needed: the kernel drops the lock with its holder"),
        caution: Some("Never delete it: it is the disk of a machine"),
        asked: Asked::FILE.if_it_begins(b"Q"),
        read: |file| {
            let image = [b"QFI\xfb", b"QED\0"].iter().any(|magic| file.bytes.starts_with(*magic));
            (is_regular(file) && image).then_some(RecordState::None)
        },
        ..PLAIN
    },
];

/// `internal/states/statemgr/locker.go`.
fn terraform(file: &Candidate<'_>) -> Option<RecordState> {
    if !is_regular(file) {
        return None;
    }
    if file.size == 0 {
        return Some(RecordState::CutShort);
    }
    let map = match object(file) {
        Ok(map) => map,
        Err(state) => return Some(state),
    };
    let (Some(id), Some(who)) = (text_field(&map, &["ID"]), text_field(&map, &["Who"])) else {
        return Some(RecordState::Malformed("no \"ID\" and \"Who\""));
    };
    let (user, host) = who.rsplit_once('@').unzip();
    let operation = text_field(&map, &["Operation"]).unwrap_or_else(|| "unknown operation".into());
    Some(parsed(Record {
        user: user.filter(|user| !user.is_empty()).map(Into::into),
        host: host.filter(|host| !host.is_empty()).map(Into::into),
        started_at: time_field(&map, &["Created"]),
        detail: Some(format!("{operation}, lock ID {id}").into()),
        complete: true,
        ..Record::default()
    }))
}

/// One owner of a Borg lock: `FQDN@NUMBER` (`uuid.getnode`), PID, thread.
struct BorgOwner<'a> {
    host_id: &'a str,
    pid: Option<Pid>,
    thread: &'a str,
}

/// The host of a Borg host id; the number tells machines of one name apart.
fn borg_host(host_id: &str) -> &str {
    host_id.rsplit_once('@').map_or(host_id, |(host, _)| host)
}

/// All owners in one record, or why there is none.
fn borg_record(owners: &[BorgOwner<'_>], kind: &str) -> RecordState {
    let Some((first, rest)) = owners.split_first() else { return RecordState::None };
    if rest.iter().any(|owner| owner.host_id != first.host_id) {
        return RecordState::Malformed("names processes on several hosts");
    }
    let mut pids = owners.iter().filter_map(|owner| owner.pid); // 0 names nobody, and hides nobody
    parsed(Record {
        pid: pids.next(),
        others: pids.collect(),
        host: Some(borg_host(first.host_id).into()),
        detail: Some(format!("{kind}, host id {}, thread {}", first.host_id, first.thread).into()),
        complete: true,
        ..Record::default()
    })
}

/// `src/borg/locking.py`: the name of the file within, split twice from its end, as the host's name may have dots and dashes.
fn borg_exclusive(file: &Candidate<'_>) -> Option<RecordState> {
    if file.kind != FileKind::Directory {
        return None;
    }
    if file.children.is_empty() {
        return Some(RecordState::CutShort); // Borg renames it into place with its file in it
    }
    let owners: Result<Vec<BorgOwner<'_>>, RecordState> = file.children.iter().map(|name| borg_name(name)).collect();
    Some(owners.map_or_else(|state| state, |owners| borg_record(&owners, "exclusive")))
}

fn borg_name(name: &[u8]) -> Result<BorgOwner<'_>, RecordState> {
    let parts = std::str::from_utf8(name).ok().and_then(|name| {
        let (host_id, process) = name.rsplit_once('.')?;
        let (digits, thread) = process.rsplit_once('-')?;
        let hex = !thread.is_empty() && thread.bytes().all(|b| b.is_ascii_hexdigit());
        (hex && is_digits(digits) && !borg_host(host_id).is_empty()).then_some((host_id, digits, thread))
    });
    let Some((host_id, digits, thread)) = parts else {
        return Err(RecordState::Malformed("a name in it is not HOST@NUMBER.PID-THREAD"));
    };
    Ok(BorgOwner { host_id, pid: pid(digits)?, thread })
}

/// `{"exclusive": [["HOSTID", PID, THREAD]], "shared": [...]}`.
fn borg_roster(file: &Candidate<'_>) -> Option<RecordState> {
    if !is_regular(file) {
        return None;
    }
    if file.size == 0 {
        return Some(RecordState::CutShort);
    }
    let map = match object(file) {
        Ok(map) => map,
        Err(state) => return Some(state),
    };
    let threads: Vec<String> =
        entries(&map).map(|entry| entry.get(2).map(Value::to_string).unwrap_or_default()).collect();
    let owners: Result<Vec<BorgOwner<'_>>, RecordState> = entries(&map)
        .zip(&threads)
        .map(|(entry, thread)| match (entry.get(0).and_then(Value::as_str), entry.get(1)) {
            (Some(host_id), Some(process)) if !borg_host(host_id).is_empty() => {
                Ok(BorgOwner { host_id, pid: pid_value(process)?, thread })
            }
            _ => Err(RecordState::Malformed("an entry is not host, PID and thread")),
        })
        .collect();
    let lists = map.iter().all(|(key, list)| matches!(key.as_str(), "shared" | "exclusive") && list.is_array());
    if !lists {
        return Some(RecordState::Malformed("not the lists \"shared\" and \"exclusive\""));
    }
    let exclusive = map.get("exclusive").and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    let kind = if exclusive { "exclusive" } else { "shared" };
    Some(owners.map_or_else(|state| state, |owners| borg_record(&owners, kind)))
}

fn entries(map: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    ["exclusive", "shared"].into_iter().filter_map(|key| map.get(key)?.as_array()).flatten()
}

/// "time" is when this object was written, so when the lock was last refreshed.
fn refreshed(map: &Map<String, Value>) -> String {
    time_field(map, &["time"]).map(|time| format!(", refreshed {}", Wall::rfc3339(time))).unwrap_or_default()
}

fn sharing(map: &Map<String, Value>) -> &'static str {
    if map.get("exclusive") == Some(&Value::Bool(false)) { "shared" } else { "exclusive" }
}

/// The object, if it is JSON with all these keys, which their tools write without escapes.
fn object_with(file: &Candidate<'_>, keys: &[&str]) -> Option<Map<String, Value>> {
    // Nearly every JSON record is another tool's: whether a key's name occurs at all is seen without parsing it.
    if !is_regular(file) || !looks_like_json(file) || !keys.iter().all(|key| contains(file.bytes, key.as_bytes())) {
        return None;
    }
    object(file).ok().filter(|map| has_keys(map, keys))
}

/// `src/borg/storelocking.py`.
fn borg2(file: &Candidate<'_>) -> Option<RecordState> {
    let map = object_with(file, &["exclusive", "hostid", "processid", "threadid", "time"])?;
    let (Some(host_id), Some(process)) = (text_field(&map, &["hostid"]), map.get("processid")) else {
        return Some(RecordState::Malformed("\"hostid\" is no text"));
    };
    Some(owned_by(
        pid_value(process),
        Record {
            host: Some(borg_host(&host_id).into()),
            detail: Some(format!("{}, host id {host_id}{}", sharing(&map), refreshed(&map)).into()),
            complete: true,
            ..Record::default()
        },
    ))
}

/// `internal/repository/lock.go`. On disk it is encrypted: nonce, ciphertext, code; no text by any chance.
fn restic(file: &Candidate<'_>) -> Option<RecordState> {
    const SIZES: std::ops::RangeInclusive<u64> = 64..=1024;
    if let Some(map) = object_with(file, &["time", "exclusive", "hostname", "pid"]) {
        const KEYS: [&str; 7] = ["time", "exclusive", "hostname", "username", "pid", "uid", "gid"];
        if !map.keys().all(|key| KEYS.contains(&key.as_str())) {
            return None;
        }
        return Some(owned_by(
            pid_value(map.get("pid")?),
            Record {
                host: text_field(&map, &["hostname"]),
                user: text_field(&map, &["username"]),
                detail: Some(format!("{}{}", sharing(&map), refreshed(&map)).into()),
                complete: true,
                ..Record::default()
            },
        ));
    }
    let at_home = is_regular(file) && is_hex(file.name, 64) && parent(file) == b"locks";
    (at_home && SIZES.contains(&file.size) && std::str::from_utf8(file.bytes).is_err()).then_some(RecordState::None)
}

/// rclone before 1.66, and the first instant of a newer one.
fn rclone_old(file: &Candidate<'_>) -> Option<RecordState> {
    if is_regular(file) && file.size == 0 {
        return Some(RecordState::CutShort);
    }
    let text = text(file)?;
    is_digits(text).then(|| one_pid(text))
}

/// `cmd/bisync/lockfile.go`.
fn rclone_new(file: &Candidate<'_>) -> Option<RecordState> {
    let map = object_with(file, &["Session", "PID", "TimeExpires"])?;
    let expires = time_field(&map, &["TimeExpires"]).map(|time| format!(", expires {}", Wall::rfc3339(time)));
    let session = text_field(&map, &["Session"]).unwrap_or_default();
    Some(owned_by(
        pid_value(map.get("PID")?),
        Record {
            detail: Some(format!("session {session}{}", expires.unwrap_or_default()).into()),
            complete: true,
            ..Record::default()
        },
    ))
}

/// `libstore/unix/pathlocks.cc`: `d` marks an unlinked lock. A store path may itself end in `.lock`: that is content.
fn nix(file: &Candidate<'_>) -> Option<RecordState> {
    let at_home = matches!(parent(file), b"store" | b"db" | b"nix");
    match file.bytes {
        b"d" if is_regular(file) => Some(parsed(Record {
            detail: Some("unlinked by its last holder".into()),
            complete: true,
            ..Record::default()
        })),
        _ if !at_home || (file.size > 0 && parent(file) == b"store") => None,
        _ => kernel_file(file),
    }
}
