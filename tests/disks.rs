//! The clear on the file systems that people have: on each that this machine can mount a lock is cleared and put back, and
//! processes contend for one; on one without the exchange nothing is touched. What cannot be mounted is told.

#[path = "support/contention.rs"]
mod contention;
mod support;

use contention::{Breaker, Plan, contend_in, play};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant, SystemTime};
use support::{DEAD, write};

const MAY_MOUNT: &str = "LOCKSCOPE_TEST_MAY_MOUNT_DISKS";
const ENTRY: [&str; 3] = ["--exact", "a_process_of_the_contention", "--nocapture"];

/// Makes it, below a directory of its own; else says why not.
type Make = fn(&Path) -> Result<PathBuf, String>;

/// Name, how it comes to be, and whether it can exchange two names.
const DISKS: [(&str, Make, bool); 9] = [
    ("tmpfs", tmpfs, true),
    ("ext4", |base| image(base, "ext4", &["-q", "-F"]), true),
    ("xfs", |base| image(base, "xfs", &["-q", "-f"]), true),
    ("btrfs", |base| image(base, "btrfs", &["-q", "-f"]), true),
    ("overlayfs", overlayfs, true),
    ("overlayfs, in a directory of the lower layer", lower_directory, true),
    ("fuse-overlayfs", fuse_overlayfs, true),
    ("bindfs (FUSE)", bindfs, false),
    ("vfat", |base| image(base, "vfat", &[]), false),
];

fn run(program: &str, arguments: &[&dyn AsRef<std::ffi::OsStr>]) -> Result<(), String> {
    let ended = Command::new(program).args(arguments).output().map_err(|error| format!("{program}: {error}"))?;
    let said = String::from_utf8_lossy(&ended.stderr);
    ended.status.success().then_some(()).ok_or_else(|| format!("{program}: {}", said.trim()))
}

fn directory(base: &Path, name: &str) -> PathBuf {
    let path = base.join(name);
    fs::create_dir_all(&path).expect("a directory");
    path
}

fn tmpfs(base: &Path) -> Result<PathBuf, String> {
    let at = directory(base, "tmpfs");
    run("mount", &[&"-t", &"tmpfs", &"tmpfs", &at])?;
    Ok(at)
}

fn image(base: &Path, kind: &str, options: &[&str]) -> Result<PathBuf, String> {
    let (image, at) = (base.join("image"), directory(base, "disk"));
    // As large as xfs wants it; a file with holes takes no room.
    fs::File::create_new(&image).and_then(|file| file.set_len(320 << 20)).map_err(|error| error.to_string())?;
    let mut make: Vec<&dyn AsRef<std::ffi::OsStr>> = Vec::new();
    for option in options {
        make.push(option);
    }
    make.push(&image);
    run(&format!("mkfs.{kind}"), &make)?;
    run("mount", &[&"-o", &"loop", &image, &at])?;
    Ok(at)
}

fn layers(base: &Path) -> Result<(PathBuf, String), String> {
    // Upper and work directory have to be on a disk that is no overlay itself.
    let own = tmpfs(base)?;
    let [lower, upper, work, at] = ["lower", "upper", "work", "merged"].map(|name| directory(&own, name));
    directory(&lower, "below");
    let layers = format!("lowerdir={},upperdir={},workdir={}", lower.display(), upper.display(), work.display());
    Ok((at, layers))
}

fn overlayfs(base: &Path) -> Result<PathBuf, String> {
    let (at, layers) = layers(base)?;
    run("mount", &[&"-t", &"overlay", &"overlay", &"-o", &layers, &at])?;
    Ok(at)
}

fn lower_directory(base: &Path) -> Result<PathBuf, String> {
    Ok(overlayfs(base)?.join("below"))
}

fn fuse_overlayfs(base: &Path) -> Result<PathBuf, String> {
    let (at, layers) = layers(base)?;
    run("fuse-overlayfs", &[&"-o", &layers, &at])?;
    Ok(at)
}

fn bindfs(base: &Path) -> Result<PathBuf, String> {
    let (from, at) = (directory(base, "source"), directory(base, "bindfs"));
    run("bindfs", &[&"--no-allow-other", &from, &at])?;
    Ok(at)
}

fn lockscope(base: &Path, directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lockscope"))
        .args(arguments)
        .current_dir(directory)
        .env("LOCKSCOPE_STATE_DIR", base.join("state"))
        .env("LOCKSCOPE_CONFIG_DIR", base.join("config"))
        .env("XDG_RUNTIME_DIR", base)
        .stdin(Stdio::null())
        .output()
        .expect("the program runs")
}

/// What makes a file the same one, untouched.
fn look(path: &Path) -> (u64, u32, i64, i64, Vec<u8>) {
    let stat = fs::symlink_metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let content = if stat.is_dir() {
        let inside = names(path).into_iter().map(|name| (look(&path.join(&name)), name));
        inside.flat_map(|inside| format!("{inside:?}").into_bytes()).collect()
    } else {
        fs::read(path).expect("a file")
    };
    (stat.ino(), stat.mode(), stat.mtime(), stat.mtime_nsec(), content)
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("listed");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("a name").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Locks of dead owners: a file; directories for which a directory and a file stand in.
fn locks_in(locks: &Path) -> [(&'static str, PathBuf); 3] {
    let file = write(locks, "job.pid", format!("{DEAD}\n"), 3600);
    let of_directory = |name: &str, record: &str, content: &str| {
        let lock = directory(locks, name);
        fs::write(lock.join(record), content).expect("written");
        let opened = fs::File::open(&lock).expect("opened");
        opened.set_modified(SystemTime::now() - Duration::from_hours(1)).expect("its time can be set");
        lock
    };
    let renamed = of_directory("twistd.pid.lock", "symlink", &DEAD.to_string());
    let host = fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    let made = of_directory("data.lock", &format!("{}.-fceb7b80{DEAD}", host.trim()), "");
    [("job.pid", file), ("twistd.pid.lock", renamed), ("data.lock", made)]
}

/// Clears a lock of each kind there, and puts it back; or finds it left alone.
fn one_lock(disk: &str, base: &Path, on: &Path, can_exchange: bool) {
    let locks = directory(on, "locks");
    for (name, lock) in locks_in(&locks) {
        one(&format!("{disk}: {name}"), base, &locks, (name, &lock), can_exchange);
    }
}

fn one(disk: &str, base: &Path, locks: &Path, (name, lock): (&str, &Path), can_exchange: bool) {
    let before = look(lock);
    let all = names(locks);
    let cleared = lockscope(base, locks, &["clear", name, "--yes"]);
    if can_exchange {
        assert!(cleared.status.success(), "{disk}: {cleared:?}");
        assert!(names(locks).iter().all(|left| left != name && !left.starts_with(".lockscope-")), "{disk}");
        let undone = lockscope(base, locks, &["undo"]);
        assert!(undone.status.success(), "{disk}: {undone:?}");
    } else {
        assert_eq!(cleared.status.code(), Some(1), "{disk}: {cleared:?}");
        let said = [cleared.stdout, cleared.stderr].concat();
        assert!(String::from_utf8_lossy(&said).contains("this disk cannot do the safe swap"), "{disk}");
    }
    assert_eq!(names(locks), all, "{disk}");
    assert_eq!(look(lock), before, "{disk}");
}

/// Processes that contend for one.
fn many_processes(disk: &str, on: &Path) {
    let longest = Duration::from_mins(1);
    let plan = Plan { breaker: Breaker::Lockscope, holds: 250, crash_every: 20, until_double: false, longest };
    let began = Instant::now();
    let tally = contend_in(on, plan, &ENTRY);
    let report = format!("{disk}: {}", tally.report(plan.breaker, began.elapsed()));
    println!("{report}");
    assert!(tally.holds.load(SeqCst) >= plan.holds && tally.cleared.load(SeqCst) > 0, "in time: {report}");
    assert_eq!((tally.double.load(SeqCst), tally.lost.load(SeqCst)), (0, 0), "{report}");
}

#[test]
fn a_process_of_the_contention() {
    // Started by the one below: then it plays its role. By itself it has none.
    play(&ENTRY.map(str::to_owned));
}

/// Not a test by itself: what the next one runs where it may mount.
#[test]
fn with_mounts() {
    if std::env::var_os(MAY_MOUNT).is_none() {
        return;
    }
    let mut mounted = 0;
    for (disk, make, can_exchange) in DISKS {
        let base = tempfile::tempdir().expect("a directory");
        let on = match make(base.path()) {
            Ok(on) => on,
            Err(why) => {
                println!("not run: {disk}: {why}");
                continue;
            }
        };
        mounted += 1;
        one_lock(disk, base.path(), &on, can_exchange);
        if can_exchange {
            many_processes(disk, &on);
        } else {
            println!("{disk}: refused, and untouched");
        }
        // What is mounted there goes with the namespace, but a directory cannot be removed before that.
        for at in ["tmpfs/merged", "tmpfs", "disk", "bindfs"].map(|name| base.path().join(name)) {
            let _ = Command::new("umount").arg("-l").arg(at).stderr(Stdio::null()).status();
        }
    }
    assert!(mounted > 0, "tmpfs at the least");
}

#[test]
fn on_every_disk_that_can_be_mounted_here() {
    let run = |namespaces: &[&str], program: &[&std::ffi::OsStr]| {
        Command::new("unshare").args(namespaces).args(program).env(MAY_MOUNT, "1").output()
    };
    let can = |namespaces: &[&str]| {
        run(namespaces, &["mount", "-t", "tmpfs", "tmpfs", "/mnt"].map(AsRef::as_ref))
            .is_ok_and(|ended| ended.status.success())
    };
    // Root of the machine may mount images; root of a namespace of one's own, less.
    let Some(namespaces) = [&["-m"][..], &["-Urm"]].into_iter().find(|namespaces| can(namespaces)) else {
        println!("not run: the clear on other disks: nothing can be mounted here");
        return;
    };
    let this = std::env::current_exe().expect("a path");
    let ended = run(namespaces, &[this.as_ref(), "--exact".as_ref(), "with_mounts".as_ref(), "--nocapture".as_ref()]);
    let ended = ended.expect("it runs");
    let said = String::from_utf8_lossy(&ended.stdout);
    said.lines().filter(|line| line.contains("not run:") || line.contains(": ")).for_each(|line| println!("{line}"));
    assert!(ended.status.success(), "{said}{}", String::from_utf8_lossy(&ended.stderr));
    assert!(said.contains("1 passed"), "it ran: {said}");
}
