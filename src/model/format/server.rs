//! Servers, containers, snaps.

use super::fields::is_hex;
use super::files::{KERNEL, empty_file, is_below, is_regular, kernel_file, parent, parsed, pid_file};
use super::text::text;
use super::{Candidate, Format, Mechanism, PLAIN, Record, RecordState, Scope, Standing};
use crate::model::holder::Pid;
use crate::model::time::Wall;

pub(super) static FORMATS: &[Format] = &[
    Format {
        id: "prometheus",
        title: "Prometheus",
        mechanism: Mechanism::Flock,
        // Its base name alone says nothing, so it must stand in or under a directory of that name.
        names: &["prometheus*/lock", "prometheus*/*/lock"],
        programs: &["prometheus"],
        looks: "empty; removed by a clean stop",
        stale_rule: Some("one left behind only makes it report an unclean start"),
        read: empty_file,
        ..KERNEL
    },
    Format {
        id: "sshd",
        title: "sshd",
        mechanism: Mechanism::Existence,
        names: &["sshd.pid"],
        programs: &["sshd"],
        scope: Scope::Machine,
        looks: "`PID` and a newline. Services that systemd runs write such files too",
        stale_rule: Some("none: it is written anew at each start and guards nothing"),
        caution: Some("Whoever stops the service by this file will not find it"),
        read: pid_file,
        ..PLAIN
    },
    Format {
        id: "docker",
        title: "Docker, containerd",
        mechanism: Mechanism::Existence,
        names: &["{docker,dockerd,containerd}.pid"],
        programs: &["dockerd", "containerd"],
        scope: Scope::Machine,
        looks: "`PID`, no newline",
        stale_rule: Some("the next daemon overwrites it if the PID is gone, or if there is none in it"),
        caution: Some("Deleting it while Docker runs lets a second daemon start on the same data"),
        read: pid_file,
        ..PLAIN
    },
    Format {
        id: "containers-storage",
        title: "Podman storage",
        mechanism: Mechanism::Posix,
        names: &["{storage,layers,images,containers,userns,mountpoints}.lock"],
        looks: "64 bytes that tell who wrote last, not who holds it; empty until the first write. Podman, Buildah, Skopeo, CRI-O",
        caution: Some("Never delete it while Podman, Buildah or CRI-O may run: two would write the storage"),
        read: containers_storage,
        ..KERNEL
    },
    Format {
        id: "minikube",
        title: "minikube",
        mechanism: Mechanism::Flock,
        names: &["minikube-locks-*/mk*.lock", "juju-mk*"],
        programs: &["minikube"],
        read: minikube,
        ..KERNEL
    },
    Format {
        id: "snapd-lock",
        title: "snapd",
        mechanism: Mechanism::Flock,
        names: &["snapd/lock/*.lock", "snapd/state.lock"],
        programs: &["snapd", "snap", "snap-confine"],
        ..KERNEL
    },
    Format {
        id: "snapd-hint",
        title: "snapd hint",
        mechanism: Mechanism::Existence,
        names: &["snapd/inhibit/*.lock", "*.lock"],
        standing: Standing::Administrative,
        programs: &["snapd", "snap"],
        looks: "a word that says why the snap may not start: `refresh`, `gate-refresh`, `pre-download`, `remove`; empty = it may",
        stale_rule: Some("never stale: snapd takes the word away when it has finished"),
        caution: Some("Never delete it by hand: the snap would start in the middle of its refresh"),
        read: snapd_hint,
        ..PLAIN
    },
];

/// `pkg/lockfile/lastwrite.go`: time in nanoseconds, a counter, the PID, all little-endian, then 44 bytes of chance.
fn containers_storage(file: &Candidate<'_>) -> Option<RecordState> {
    /// Before 2014 there was no such program; after 2065 the bytes are text.
    const TIMES: std::ops::Range<u64> = 1_388_534_400_000_000_000..3_000_000_000_000_000_000;
    if !is_regular(file) {
        return None;
    }
    if file.size == 0 {
        let place = parent(file);
        let at_home = is_below(file, b"containers")
            || [&b"overlay-"[..], b"vfs-", b"btrfs-", b"zfs-"].iter().any(|driver| place.starts_with(driver));
        return at_home.then_some(RecordState::None);
    }
    let (time, rest) = file.bytes.split_first_chunk::<8>()?;
    let (_counter, rest) = rest.split_first_chunk::<8>()?;
    let (pid, chance) = rest.split_first_chunk::<4>()?;
    let time = u64::from_le_bytes(*time);
    if chance.len() != 44 || file.size != 64 || !TIMES.contains(&time) {
        return None;
    }
    let wrote = Wall(i64::try_from(time).unwrap_or_default()).rfc3339();
    Some(parsed(Record {
        pid: Pid::new(u32::from_le_bytes(*pid).into()),
        detail: Some(format!("last written {wrote}").into()),
        complete: true,
        ..Record::default()
    }))
}

/// `pkg/util/lock/lock.go`: `mk` and 38 digits of a SHA-1.
fn minikube(file: &Candidate<'_>) -> Option<RecordState> {
    let name = file.name.strip_prefix(b"juju-").unwrap_or(file.name);
    let digits = name.strip_suffix(b".lock").unwrap_or(name).strip_prefix(b"mk")?;
    if is_hex(digits, 38) { kernel_file(file) } else { None }
}

/// `runinhibit/inhibit.go`: no word, no hint.
fn snapd_hint(file: &Candidate<'_>) -> Option<RecordState> {
    const HINTS: [&str; 4] = ["refresh", "gate-refresh", "pre-download", "remove"];
    if parent(file) != b"inhibit" && !text(file).is_some_and(|word| HINTS.contains(&word.trim_ascii())) {
        return None;
    }
    if file.size == 0 {
        return empty_file(file);
    }
    if !is_regular(file) {
        return None;
    }
    let word = text(file).map_or("", str::trim_ascii);
    let fits = !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    Some(if fits {
        parsed(Record { detail: Some(word.into()), complete: true, ..Record::default() })
    } else {
        RecordState::Malformed("no hint of snapd's")
    })
}
