//! The machine itself: names, clocks, namespaces, and by how much its clock was stepped.

use super::mounts;
use crate::model::holder::parse_boot_id;
use crate::model::time::Wall;
use crate::platform::Host;
use rustix::fs::{AtFlags, CWD, StatxFlags};
use rustix::time::{ClockId, clock_gettime};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// `PROC_PID_INIT_INO` (include/linux/proc_ns.h): the inode of the host's first PID namespace, on every Linux.
const FIRST_PID_NAMESPACE: u64 = 0xEFFF_FFFC;

pub(super) fn wall() -> Wall {
    let now = clock_gettime(ClockId::Realtime);
    Wall::from_parts(now.tv_sec, now.tv_nsec as u32)
}

/// `CLOCK_BOOTTIME`: never stepped, and goes on during suspend.
pub(super) fn since_boot() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// When this boot began by today's wall clock: it moves with every step of that clock.
///
/// Two clocks cannot be read at once, so the difference jitters. A process would seem to start at another time at each
/// look: within 50 ms the first answer is given again.
pub(super) fn computed_boot() -> Wall {
    static FIRST: AtomicI64 = AtomicI64::new(0);
    let computed = wall().minus(since_boot());
    let first = Wall(FIRST.load(Ordering::Relaxed));
    if (computed.0 - first.0).abs() < 50_000_000 {
        return first;
    }
    FIRST.store(computed.0, Ordering::Relaxed);
    computed
}

/// No process outlives its boot.
static BOOT: OnceLock<Option<u128>> = OnceLock::new();

pub(super) fn host() -> Host {
    let computed = computed_boot();
    let devtmpfs = devtmpfs_birth();
    let pid_ns = pid_namespace();
    let uid = rustix::process::geteuid().as_raw();
    Host {
        name: rustix::system::uname().nodename().to_string_lossy().into(),
        machine_id: machine_id(),
        boot_id: *BOOT.get_or_init(|| read_id("/proc/sys/kernel/random/boot_id")),
        boot_floor: devtmpfs.map(|born| born.min(computed)),
        clock_step: devtmpfs.map(|born| computed.since(born).or_else(|| born.since(computed)).unwrap_or_default()),
        pid_ns,
        host_pid_ns: pid_ns == Some(FIRST_PID_NAMESPACE),
        hidden_processes: uid != 0 && mounts::proc_hides_processes(),
        uid,
    }
}

/// When `/dev/null` was made: devtmpfs fills itself as the kernel boots, by the clock of that moment. In a container
/// `/dev` is a tmpfs, made when the container started, and proves nothing.
fn devtmpfs_birth() -> Option<Wall> {
    let stat =
        rustix::fs::statx(CWD, "/dev/null", AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BTIME | StatxFlags::MNT_ID).ok()?;
    let has_birth = StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::BTIME);
    let on_devtmpfs = mounts::read().iter().any(|mount| mount.id == stat.stx_mnt_id && mount.kind == "devtmpfs");
    (has_birth && on_devtmpfs).then(|| Wall::from_parts(stat.stx_btime.tv_sec, stat.stx_btime.tv_nsec))
}

/// No process leaves its PID namespace: `unshare` and `setns` are about its children.
fn pid_namespace() -> Option<u64> {
    static KNOWN: OnceLock<u64> = OnceLock::new();
    if let Some(known) = KNOWN.get() {
        return Some(*known);
    }
    let number = rustix::fs::stat("/proc/self/ns/pid").ok()?.st_ino;
    Some(*KNOWN.get_or_init(|| number))
}

/// Read again when the file is another, or was written.
fn machine_id() -> Option<u128> {
    type Stamp = (u64, u64, i64, i64, u64);
    static KNOWN: Mutex<Option<(Stamp, Option<u128>)>> = Mutex::new(None);
    const PATH: &str = "/etc/machine-id";
    let stat = rustix::fs::stat(PATH).ok()?;
    let stamp = (stat.st_dev, stat.st_ino, stat.st_ctime, stat.st_ctime_nsec as i64, stat.st_size as u64);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    match *known {
        Some((of, id)) if of == stamp => id,
        _ => {
            let id = read_id(PATH);
            *known = Some((stamp, id));
            id
        }
    }
}

fn read_id(path: &str) -> Option<u128> {
    parse_boot_id(&std::fs::read_to_string(path).ok()?)
}
