//! What a lock costs where nobody else wants it, and what a save costs the caller: against the bare system calls and the
//! best of the others, side by side. `cargo bench --bench locks`
#![allow(clippy::unwrap_used)] // a bench fails by panicking

use divan::Bencher;
use lockscope::lock::queue::{Queue, QueueConfig};
use lockscope::lock::{FlockLock, LockConfig, MarkerLock, Wait, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

fn main() {
    divan::main();
    if std::env::args().any(|argument| argument == "--list" || argument == "--test") {
        return;
    }
    ratios();
    python();
    saves();
}

/// A file name in a directory of its own, on the disk where temporary files are.
fn place() -> (tempfile::TempDir, std::path::PathBuf) {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("x.lock");
    (base, path)
}

fn config() -> LockConfig {
    LockConfig::waiting(Wait::Never)
}

/// What taking and releasing a verified kernel lock needs at least: open, flock, two looks, unlock, close.
fn bare_flock(path: &Path) {
    use std::os::unix::fs::MetadataExt as _;
    let file = File::options().create(true).truncate(false).read(true).write(true).open(path).unwrap();
    rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
    let (held, named) = (file.metadata().unwrap(), std::fs::metadata(path).unwrap());
    assert_eq!((held.dev(), held.ino()), (named.dev(), named.ino()));
    rustix::fs::flock(&file, rustix::fs::FlockOperation::Unlock).unwrap();
}

/// A record of the length of ours.
const RECORD: [u8; 330] = [b'x'; 330];

/// What a marker that appears whole and is removed only while it is ours needs at least: a nameless file, a write, a link;
/// two looks, a read, an unlink, a close.
fn bare_marker(path: &Path) {
    use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, open};
    use std::io::Write as _;
    use std::os::fd::AsRawFd as _;
    use std::os::unix::fs::{FileExt as _, MetadataExt as _};
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let mut file = File::from(open(path.parent().unwrap(), flags, Mode::from(0o644)).unwrap());
    file.write_all(&RECORD).unwrap();
    linkat(CWD, format!("/proc/self/fd/{}", file.as_raw_fd()), CWD, path, AtFlags::SYMLINK_FOLLOW).unwrap();
    let (held, named) = (file.metadata().unwrap(), std::fs::symlink_metadata(path).unwrap());
    assert_eq!((held.dev(), held.ino()), (named.dev(), named.ino()));
    let mut read = [0; RECORD.len()];
    file.read_exact_at(&mut read, 0).unwrap();
    assert_eq!(read, RECORD);
    std::fs::remove_file(path).unwrap();
}

fn our_flock(path: &Path) {
    FlockLock::acquire(path, &config()).unwrap().release().unwrap();
}

fn our_marker(path: &Path) {
    MarkerLock::acquire(path, &config()).unwrap().release().unwrap();
}

#[divan::bench_group]
mod flock {
    use super::*;

    #[divan::bench]
    fn a_bare_system_calls(bencher: Bencher) {
        let (_base, path) = place();
        bencher.bench(|| bare_flock(&path));
    }

    #[divan::bench]
    fn b_flock_lock(bencher: Bencher) {
        let (_base, path) = place();
        bencher.bench(|| our_flock(&path));
    }

    /// Does not ask whether it locked what stands there.
    #[divan::bench]
    fn c_fs4(bencher: Bencher) {
        let (_base, path) = place();
        bencher.bench(|| {
            let file = File::options().create(true).truncate(false).write(true).open(&path).unwrap();
            fs4::FileExt::try_lock(&file).unwrap();
            fs4::FileExt::unlock(&file).unwrap();
        });
    }

    /// The same.
    #[divan::bench]
    fn d_fd_lock(bencher: Bencher) {
        let (_base, path) = place();
        bencher.bench(|| {
            let file = File::options().create(true).truncate(false).write(true).open(&path).unwrap();
            drop(fd_lock::RwLock::new(file).try_write().unwrap());
        });
    }
}

#[divan::bench_group]
mod marker {
    use super::*;

    #[divan::bench]
    fn a_bare_system_calls(bencher: Bencher) {
        let (_base, path) = place();
        bencher.bench(|| bare_marker(&path));
    }

    /// Not whole while it is being written, and removed whosever it is.
    #[divan::bench]
    fn b_bare_o_excl(bencher: Bencher) {
        use std::io::Write as _;
        let (_base, path) = place();
        bencher.bench(|| {
            File::create_new(&path).unwrap().write_all(&RECORD).unwrap();
            std::fs::remove_file(&path).unwrap();
        });
    }

    #[divan::bench]
    fn c_marker_lock(bencher: Bencher) {
        let (_base, path) = place();
        bencher.bench(|| our_marker(&path));
    }

    /// No record in it; `x.lock.lock`.
    #[divan::bench]
    fn d_gix_lock(bencher: Bencher) {
        use gix_lock::acquire::Fail;
        let (_base, path) = place();
        bencher.bench(|| drop(gix_lock::Marker::acquire_to_hold_resource(&path, Fail::Immediately, None, 0).unwrap()));
    }
}

/// The time of one call, as the median of many; of two calls in turn, so that both have the same weather.
fn in_turn(one: impl Fn(), other: impl Fn()) -> (f64, f64) {
    const BATCH: u32 = 50;
    let timed = |call: &dyn Fn()| {
        let began = Instant::now();
        (0..BATCH).for_each(|_| call());
        began.elapsed().as_secs_f64() * 1e6 / f64::from(BATCH)
    };
    let (mut ones, mut others): (Vec<f64>, Vec<f64>) = (0..201).map(|_| (timed(&one), timed(&other))).unzip();
    ones.sort_by(f64::total_cmp);
    others.sort_by(f64::total_cmp);
    (ones[100], others[100])
}

fn ratios() {
    println!("\nAgainst the bare system calls, in turn, medians:");
    for (name, goal, bare, ours) in [
        ("FlockLock", 1.3, bare_flock as fn(&Path), our_flock as fn(&Path)),
        ("MarkerLock", 1.5, bare_marker, our_marker),
    ] {
        let (_base, path) = place();
        let (bare, ours) = in_turn(|| bare(&path), || ours(&path));
        println!("  {name:10} {ours:7.2} us, bare {bare:7.2} us: {:.2} times (goal: at most {goal})", ours / bare);
    }
}

/// Python's filelock, measured by itself.
fn python() {
    const SCRIPT: &str = "
import filelock, sys, timeit
for kind in (filelock.FileLock, filelock.SoftFileLock):
    lock = kind(sys.argv[1] + kind.__name__)
    def once():
        lock.acquire(timeout=0)
        lock.release()
    best = min(timeit.repeat(once, number=500, repeat=7)) / 500
    print(f'  {kind.__name__:14} {best * 1e6:7.2f} us (filelock {filelock.__version__})')
";
    println!("\nPython, acquire and release, the best of 7 times 500:");
    let (_base, path) = place();
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/python");
    let ran = Command::new(python).args(["-c", SCRIPT]).arg(&path).status();
    if !ran.is_ok_and(|status| status.success()) {
        println!("  not run: no .venv with filelock (`./dev test` makes it)");
    }
}

/// 100 saves of a document of 10 KiB: a write for each, and through the queue.
fn saves() {
    println!("\n100 saves of a document of 10 KiB:");
    let document: BTreeMap<String, String> = (0..100).map(|n| (format!("field {n}"), "x".repeat(84))).collect();
    let length = serde_json::to_vec_pretty(&document).unwrap().len();
    let (_base, path) = place();
    let began = Instant::now();
    for _ in 0..100 {
        json::write(&path, &config(), &document).unwrap();
    }
    let direct = began.elapsed();
    println!("  a write for each        {:9.2} ms, 100 writes of {length} bytes", direct.as_secs_f64() * 1e3);
    for coalesce in [Duration::ZERO, Duration::from_millis(200)] {
        let queue = Queue::start(QueueConfig { coalesce, ..QueueConfig::default() }).unwrap();
        let began = Instant::now();
        for _ in 0..100 {
            queue.save_json(&path, &document).unwrap();
        }
        let caller = began.elapsed();
        let stats = queue.shutdown().unwrap();
        println!(
            "  queue, window {:3} ms    {:9.2} ms to the caller ({:.0} times faster; goal 10), {} writes ({:.0} times fewer; goal 5 with a window), all on the disk after {:.2} ms",
            coalesce.as_millis(),
            caller.as_secs_f64() * 1e3,
            direct.as_secs_f64() / caller.as_secs_f64(),
            stats.writes,
            100.0 / stats.writes as f64,
            began.elapsed().as_secs_f64() * 1e3,
        );
    }
}
