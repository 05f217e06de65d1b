//! Scouts on local directories, stopped and killed by hand: a stopped one is as one that waits at a silent mount.

use super::*;
use rustix::process::{Signal, kill_process};
use std::collections::BTreeMap;
use std::fs;

/// Far more than anything here takes; only a failure waits so long.
const DEADLINE: Duration = Duration::from_mins(1);

/// A local directory looked at as if it were on a mount that may not answer; each test has a mount of its own.
fn guarded(path: &Path) -> Guarded {
    static NEXT: AtomicU64 = AtomicU64::new(1 << 40);
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    let point = path.to_owned();
    let mount = Mount { id, parent: 1, major: 0, minor: 9, point, kind: "nfs4".into(), super_options: String::new() };
    Guarded::open(&Arc::default(), path.to_owned(), path.to_owned(), Arc::new(mount), None).unwrap()
}

fn scout_of(directory: &Guarded) -> Pid {
    directory.claim.0.lock().unwrap().as_ref().unwrap().scout.pid()
}

type Entries = BTreeMap<OsString, (Option<FileKind>, u64)>;

fn entries(directory: &dyn Directory) -> Entries {
    let mut all = Entries::new();
    directory
        .entries(&mut |name, kind, ino| {
            all.insert(name.to_owned(), (kind, ino));
        })
        .unwrap();
    all
}

#[test]
fn a_scout_sees_what_we_see() {
    let base = tempfile::tempdir().unwrap();
    for number in 0..2000 {
        fs::write(base.path().join(format!("{number}-{}", "x".repeat(200))), "").unwrap();
    }
    for child in 0..2 * SLOTS {
        fs::create_dir(base.path().join(format!("child{child}"))).unwrap();
        fs::write(base.path().join(format!("child{child}/in")), child.to_string()).unwrap();
    }
    let strange = OsStr::from_bytes(b"\xff\n");
    fs::write(base.path().join(strange), vec![7; 100_000]).unwrap();
    std::os::unix::fs::symlink("to/nowhere", base.path().join("link")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, base.path().join("fifo"), rustix::fs::Mode::RWXU).unwrap();

    let (near, far) = (LinuxDirectory::open(base.path(), None).unwrap(), guarded(base.path()));
    assert_eq!((near.id(), near.path()), (far.id(), far.path()));
    assert_eq!(near.real_path(), far.real_path());
    let all = entries(&near);
    assert!(all.len() > 2000);
    assert_eq!(all, entries(&far));
    for name in [strange, "link".as_ref(), "fifo".as_ref(), "child1".as_ref(), "not there".as_ref()] {
        let say = |error: io::Error| (error.kind(), error.to_string());
        assert_eq!(near.stat(name).map_err(say), far.stat(name).map_err(say), "{}", name.display());
        assert_eq!(near.read(name, 64 * 1024).map_err(say), far.read(name, 64 * 1024).map_err(say));
        assert_eq!(near.read(name, 10).map_err(say), far.read(name, 10).map_err(say));
        assert_eq!(near.read_link(name).map_err(say), far.read_link(name).map_err(say));
        let child = |directory: &dyn Directory| directory.open_child(name).map(|child| child.id()).map_err(say);
        assert_eq!(child(&near), child(&far), "{}", name.display());
    }
    // More than it can hold open, and all of them stay what they are.
    let open = |child| far.open_child(format!("child{child}").as_ref()).unwrap();
    let children: Vec<_> = (0..2 * SLOTS).map(open).collect();
    for (number, child) in children.iter().enumerate() {
        assert_eq!(child.read("in".as_ref(), 100).unwrap().1, number.to_string().as_bytes());
    }
}

#[test]
fn a_scout_keeps_nothing_of_ours_open() {
    let base = tempfile::tempdir().unwrap();
    let far = guarded(base.path());
    let open = fs::read_dir(format!("/proc/{}/fd", scout_of(&far).as_raw_nonzero())).unwrap();
    let open: Vec<_> = open.map(|entry| fs::read_link(entry.unwrap().path()).unwrap()).collect();
    let (channel, rest): (Vec<_>, Vec<_>) =
        open.into_iter().partition(|path| path.to_string_lossy().starts_with("socket:"));
    assert_eq!((channel.len(), &rest[..]), (1, &[base.path().canonicalize().unwrap()][..]));
    let cwd = fs::read_link(format!("/proc/{}/cwd", scout_of(&far).as_raw_nonzero())).unwrap();
    assert_eq!(cwd, Path::new("/"));
}

#[test]
fn a_scout_that_has_ended_is_replaced() {
    let base = tempfile::tempdir().unwrap();
    fs::write(base.path().join("a.lock"), "1\n").unwrap();
    let far = guarded(base.path());
    let first = scout_of(&far);
    kill_process(first, Signal::KILL).unwrap();
    assert_eq!(far.read("a.lock".as_ref(), 100).unwrap().1, b"1\n");
    assert_ne!(scout_of(&far), first);
}

#[test]
fn another_directory_at_the_path_is_not_taken_for_it() {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("d");
    fs::create_dir(&path).unwrap();
    let far = guarded(&path);
    fs::rename(&path, base.path().join("moved")).unwrap();
    fs::create_dir(&path).unwrap();
    fs::write(path.join("a.lock"), "").unwrap();
    assert_eq!(far.stat("a.lock".as_ref()).unwrap_err().kind(), io::ErrorKind::NotFound, "it is held open");
    kill_process(scout_of(&far), Signal::KILL).unwrap();
    let error = far.stat("a.lock".as_ref()).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(Errno::STALE.raw_os_error()));
}

#[test]
fn a_silent_mount_costs_two_waits_and_is_asked_again_when_it_answers() {
    let base = tempfile::tempdir().unwrap();
    fs::write(base.path().join("a.lock"), "1\n").unwrap();
    let (far, other) = (guarded(base.path()), guarded(base.path()));
    let stat = || far.stat("a.lock".as_ref());
    // A stopped scout is as one that waits at the mount: it gives no answer until it is let go on.
    let mut stopped = Vec::new();
    for _ in 0..STRIKES {
        // Sent out by hand, so that it can be stopped before it is asked.
        let party = Party { scout: Scout::start().unwrap(), slots: [0; SLOTS], next: 0 };
        *far.claim.0.lock().unwrap() = Some(party);
        stopped.push(scout_of(&far));
        kill_process(scout_of(&far), Signal::STOP).unwrap();
        let error = stat().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(error.to_string().contains("nfs4 on"), "{error}");
    }
    // From now on nobody is sent there.
    assert_eq!(stat().unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert!(far.claim.0.lock().unwrap().is_none(), "no scout was risked");
    assert!(other.stat("a.lock".as_ref()).is_ok(), "another mount is none the worse");
    kill_process(stopped[0], Signal::CONT).unwrap();
    while let Err(error) = stat() {
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        std::thread::yield_now();
    }
    kill_process(stopped[1], Signal::KILL).unwrap();
}

#[test]
fn no_more_than_so_many_are_lost() {
    let mut office = Office::default();
    for mount in 0..2 * MOST_LOST as u64 {
        // Those that can be killed make room, on a crowded machine not at the first try.
        let began = Instant::now();
        while !office.admits(mount) {
            assert!(office.lost.len() + office.leaving.len() <= MOST_LOST);
            assert!(began.elapsed() < DEADLINE, "they make no room: {office:?}");
        }
        let scout = Scout::start().unwrap();
        kill_process(scout.pid(), Signal::STOP).unwrap();
        office.lose(mount, scout);
        assert!(office.lost.len() + office.leaving.len() <= MOST_LOST);
    }
    for (_, scout) in office.lost.drain(..).collect::<Vec<_>>() {
        office.dismiss(&scout);
    }
}
