//! All kernel locks of the machine, against real processes: flock(1), Python's fcntl, inherited and deleted files,
//! queues, other users, other namespaces; and against lslocks(8).
#![cfg(all(target_os = "linux", not(feature = "portable")))]

mod support;

use lockscope::inspect::{machine, process_detail};
use lockscope::model::holder::Pid;
use lockscope::model::kernel::TableKind;
use lockscope::model::machine::{Condition, Cwd, MachineLock, MachinePicture, Place, Unseen};
use lockscope::model::waits::wait_tree;
use lockscope::platform::System;
use serde_json::Value;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Instant;
use support::{DEADLINE, Process};

/// A directory by its real name: the kernel tells no other.
struct Here {
    _kept: tempfile::TempDir,
    path: PathBuf,
}

fn directory() -> Here {
    let kept = tempfile::tempdir().expect("a directory");
    let path = kept.path().canonicalize().expect("it is there");
    Here { _kept: kept, path }
}

fn python(directory: &Path, script: &str) -> Process {
    let begin = "import fcntl, os, struct, sys, time\n";
    let script = format!("{begin}{script}\nprint('ready', flush=True)\ntime.sleep(1000)\n");
    Process::start(Command::new("python3").arg("-c").arg(script).current_dir(directory))
}

fn holding(directory: &Path, name: &str) -> Process {
    Process::shell(directory, &format!("exec 9>'{name}'; flock 9; echo ready; exec sleep 1000"))
}

/// Begins to wait for a lock with flock(1), which is seen by looking, and not here.
fn waiting(directory: &Path, name: &str, before: &str) -> Process {
    Process::shell(directory, &format!("{before} exec 8>>'{name}'; echo ready; exec flock 8"))
}

fn look() -> MachinePicture {
    machine(&*support::machine(), None).expect("the table can be read")
}

/// Looks until it is so.
fn until(what: &str, so: impl Fn(&MachinePicture) -> bool) -> MachinePicture {
    let start = Instant::now();
    loop {
        let picture = look();
        if so(&picture) {
            return picture;
        }
        assert!(start.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}; {:#?}", picture.locks);
        std::thread::yield_now();
    }
}

fn at<'a>(picture: &'a MachinePicture, path: &Path) -> Vec<&'a MachineLock> {
    let is_it = |lock: &&MachineLock| matches!(&lock.place, Place::Seen { path: its, .. } if **its == *path);
    picture.locks.iter().filter(is_it).collect()
}

fn pids(lock: &MachineLock) -> Vec<u32> {
    lock.processes.iter().map(|process| process.pid.get()).collect()
}

#[test]
fn each_kind_is_told_with_mode_range_process_and_path() {
    let place = directory();
    let here = &place.path;
    let flock = holding(here, "a.lock");
    let posix = python(here, "f = open('b.lock', 'w')\nfcntl.lockf(f, fcntl.LOCK_EX, 100, 50)");
    let ofd =
        python(here, "f = open('c.lock', 'w+')\nfcntl.fcntl(f, 37, struct.pack('hhqqi4x', fcntl.F_RDLCK, 0, 0, 0, 0))");
    let lease = python(here, "f = open('d.lock', 'w')\nfcntl.fcntl(f, fcntl.F_SETLEASE, fcntl.F_WRLCK)");
    let picture = look();
    for (name, process, kind, mode, range) in [
        ("a.lock", &flock, TableKind::Flock, "write", "all"),
        ("b.lock", &posix, TableKind::Posix, "write", "50-149"),
        ("c.lock", &ofd, TableKind::Ofd, "read", "all"),
        ("d.lock", &lease, TableKind::Lease, "write", "all"),
    ] {
        let locks = at(&picture, &here.join(name));
        assert_eq!(locks.len(), 1, "{name}: {:#?}", picture.locks);
        let lock = locks[0];
        assert_eq!((lock.line.kind, lock.mode(), lock.range().as_str()), (kind, mode, range), "{name}");
        assert_eq!(pids(lock), [process.pid()], "{name}");
        assert!(!lock.is_waiting() && lock.facts().is_some_and(|facts| !facts.command.is_empty()), "{name}");
    }
    let group = picture.directories.iter().find(|directory| *directory.path == **here).expect("it is a group");
    assert_eq!((group.held, group.waiting), (4, 0));
    let mut programs: Vec<&str> = group.programs.iter().map(|name| &**name).collect();
    programs.sort_unstable();
    assert_eq!(programs, ["python3", "sleep"]);
}

#[test]
fn whoever_shares_the_open_file_is_named_though_the_taker_has_ended() {
    let place = directory();
    let script = "exec 9>job.lock; flock 9; sleep 1000 & echo $! >child; echo ready; wait";
    let parent = Process::shell(&place.path, script);
    let child = std::fs::read_to_string(place.path.join("child")).expect("told");
    let child: u32 = child.trim().parse().expect("a number");
    let picture = look();
    let lock = at(&picture, &place.path.join("job.lock"))[0];
    assert!(lock.taker_gone, "flock(1) took it and ended");
    let mut holders = pids(lock);
    holders.sort_unstable();
    let mut expected = [parent.pid(), child];
    expected.sort_unstable();
    assert_eq!(holders, expected);
}

#[test]
fn a_deleted_file_is_said_to_be_and_one_that_is_only_called_so_is_not() {
    let place = directory();
    let here = &place.path;
    let _gone = Process::shell(here, "exec 9>gone.lock; flock 9; rm gone.lock; echo ready; exec sleep 1000");
    let _called = holding(here, "called (deleted)");
    let picture = look();
    let deleted = |name: &str| match &at(&picture, &here.join(name))[0].place {
        Place::Seen { deleted, .. } => *deleted,
        Place::Unseen { .. } => unreachable!("found by its path"),
    };
    assert!(deleted("gone.lock") && !deleted("called (deleted)"));
}

#[test]
fn who_waits_stands_under_whom_it_waits_for_and_behind_whom() {
    let place = directory();
    let here = &place.path;
    let holder = holding(here, "job.lock");
    let first = waiting(here, "job.lock", "exec 7>other.lock; flock 7;");
    let job = here.join("job.lock");
    until("the first waits", |picture| at(picture, &job).len() == 2);
    let second = waiting(here, "job.lock", "");
    until("the second waits", |picture| at(picture, &job).len() == 3);
    let third = waiting(here, "other.lock", "");
    let picture = until("the third waits", |picture| at(picture, &here.join("other.lock")).len() == 2);
    let locks = at(&picture, &job);
    let told: Vec<_> = locks.iter().map(|lock| (pids(lock)[0], lock.is_waiting())).collect();
    assert_eq!(told, [(holder.pid(), false), (first.pid(), true), (second.pid(), true)]);
    assert!(locks[1..].iter().all(|lock| lock.waiting_since == Some(picture.taken_monotonic) && !lock.in_circle));
    // Who waits for what the first one holds waits for the holder too.
    let tree = wait_tree(&picture, locks[0].line.file.expect("a file"), 50);
    let below: Vec<_> = tree[0].waiters.iter().filter_map(|waiter| Some(waiter.process.as_ref()?.pid.get())).collect();
    assert_eq!(tree[0].process.as_ref().map(|process| process.pid.get()), Some(first.pid()));
    assert!(below.contains(&third.pid()) || tree.iter().flat_map(|w| &w.waiters).any(|w| w.through.is_some()));
    let group = picture.directories.iter().find(|directory| *directory.path == **here).expect("a group");
    assert_eq!((group.held, group.waiting), (2, 3));
    // Followed, it waits since the first look.
    let later = machine(&*support::machine(), Some(&picture)).expect("read");
    let since: Vec<_> = at(&later, &job)[1..].iter().map(|lock| lock.waiting_since).collect();
    assert_eq!(since, [Some(picture.taken_monotonic); 2]);
    assert!(later.taken_monotonic > picture.taken_monotonic);
}

#[test]
fn two_that_wait_for_each_other_wait_in_a_circle() {
    let place = directory();
    let take = |own: &str, other: &str| {
        let script = format!(
            "a = open({own:?}, 'w')\nfcntl.flock(a, 2)\nb = open({other:?}, 'a')\nprint('ready', flush=True)\n\
             sys.stdin.readline()\nfcntl.flock(b, 2)"
        );
        let begin = "import fcntl, sys\n";
        Process::start(Command::new("python3").arg("-c").arg(format!("{begin}{script}")).current_dir(&place.path))
    };
    let (mut one, mut other) = (take("1.lock", "2.lock"), take("2.lock", "1.lock"));
    for process in [&mut one, &mut other] {
        use std::io::Write as _;
        process.0.stdin.as_mut().expect("a pipe").write_all(b"go\n").expect("heard");
    }
    let waits = |picture: &MachinePicture| {
        let names = ["1.lock", "2.lock"].map(|name| place.path.join(name));
        names.iter().flat_map(|name| at(picture, name)).filter(|lock| lock.in_circle).count()
    };
    until("both wait", |picture| waits(picture) == 2);
    other.kill();
    until("the circle is broken", |picture| waits(picture) == 0);
}

/// What `lslocks -J` tells of each lock: PID, type, mode, range.
type Told = (i64, String, bool, u64, u64);

fn lslocks() -> Option<Vec<(Told, Option<String>)>> {
    let output = Command::new("lslocks").args(["-J", "-o", "PID,TYPE,MODE,START,END,PATH"]).output().ok()?;
    let told: Value = serde_json::from_slice(&output.stdout).ok()?;
    let number = |value: &Value| value.as_i64().or_else(|| value.as_str()?.parse().ok());
    let of = |lock: &Value| {
        let mode = lock["mode"].as_str()?;
        let key = (
            number(&lock["pid"])?,
            lock["type"].as_str()?.to_owned(),
            mode.starts_with("WRITE"),
            number(&lock["start"])? as u64,
            number(&lock["end"])? as u64,
        );
        Some((key, lock["path"].as_str().map(str::to_owned)))
    };
    Some(told["locks"].as_array()?.iter().filter_map(of).collect())
}

#[test]
fn each_lock_that_lslocks_tells_is_told_here_with_the_same_path() {
    let place = directory();
    let here = &place.path;
    let _holder = holding(here, "a b.lock");
    let _waiter = waiting(here, "a b.lock", "");
    let _range = python(here, "f = open('range.lock', 'w')\nfcntl.lockf(f, fcntl.LOCK_EX, 7, 3)");
    until("it waits", |picture| at(picture, &here.join("a b.lock")).len() == 2);
    let Some(first) = lslocks() else {
        println!("not run: comparison with lslocks: it is not here, or tells no JSON");
        return;
    };
    assert!(first.len() >= 2, "lslocks sees what is held here: {first:?}");
    // Others lock and unlock meanwhile: what stays missing in all of several looks around lslocks is missing.
    let start = Instant::now();
    loop {
        let before = look();
        let told = lslocks().expect("as before");
        let after = look();
        let ours: Vec<(Told, Option<PathBuf>)> = [&before, &after]
            .into_iter()
            .flat_map(|picture| &picture.locks)
            .map(|lock| {
                let line = &lock.line;
                let path = match &lock.place {
                    Place::Seen { path, .. } => Some(path.to_path_buf()),
                    Place::Unseen { .. } => None,
                };
                let word = line.kind.word().to_owned();
                ((line.number, word, line.exclusive, line.start, line.end.unwrap_or(0)), path)
            })
            .collect();
        let is_here = |(key, path): &(Told, Option<String>)| {
            // lslocks shows a path that it does not know as its mount point and `...`, and knows no ` (deleted)`.
            let known = path.as_deref().filter(|path| !path.ends_with("...") && !path.ends_with(" (deleted)"));
            ours.iter().any(|(own, its)| own == key && known.is_none_or(|path| its.as_deref() == Some(Path::new(path))))
        };
        let missing: Vec<_> = told.iter().filter(|row| !is_here(row)).collect();
        if missing.is_empty() {
            return;
        }
        assert!(start.elapsed() < DEADLINE, "lslocks tells of {missing:?}, we of {ours:?}");
    }
}

/// `lockscope status --system --json`, run so.
fn status(command: &mut Command) -> Value {
    let output = command
        .args(["status", "--system", "--json"])
        .env("LOCKSCOPE_CONFIG_DIR", "/nonexistent")
        .env("LOCKSCOPE_STATE_DIR", "/nonexistent")
        .stdin(Stdio::null())
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

fn program() -> &'static str {
    env!("CARGO_BIN_EXE_lockscope")
}

fn available(command: &str, arguments: &[&str]) -> bool {
    let ran = Command::new(command).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    ran.is_ok_and(|status| status.success())
}

#[test]
fn another_users_lock_is_a_row_that_says_why_its_path_cannot_be_seen() {
    let other = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    let place = directory();
    // Another user must be able to run it, wherever it was built.
    let copy = place.path.join("lockscope");
    support::copy_program(program(), &copy);
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&place.path, open).expect("open to all");
    let mut try_it = other.to_vec();
    try_it.extend([copy.to_str().expect("plain"), "--version"]);
    if !available("setpriv", &try_it) {
        println!("not run: another user's lock: only root can run a program as another user here");
        return;
    }
    let holder = holding(&place.path, "secret.lock");
    let told = status(Command::new("setpriv").args(other).arg(&copy));
    let locks = told["locks"].as_array().expect("a list");
    let lock = locks.iter().find(|lock| lock["taken_by"] == holder.pid() || lock["holders"][0]["pid"] == holder.pid());
    // flock(1) took it, has ended, and its shell became `sleep`: then the table names one that is gone.
    let inode = std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(place.path.join("secret.lock")).expect("there"));
    let lock = lock.or_else(|| locks.iter().find(|lock| lock["inode"] == inode)).expect("the row is not dropped");
    assert!(lock["path"].is_null(), "{lock}");
    let reason = lock["path_unseen"]["reason"].as_str().expect("a reason");
    assert!(["denied", "taker_gone"].contains(&reason), "{lock}");
    assert!(lock["path_unseen"]["why"].as_str().is_some_and(|why| why.ends_with('.')), "{lock}");
    assert!(told["processes_unseen"].as_u64().is_some_and(|unseen| unseen > 0));
    // Its own it sees.
    let writable = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(&place.path, writable).expect("open to all");
    let take = ["flock", "own.lock", "sh", "-c", "echo ready; exec sleep 1000"];
    let own = Process::start(Command::new("setpriv").args(other).args(take).current_dir(&place.path));
    let told = status(Command::new("setpriv").args(other).arg(&copy));
    let locks = told["locks"].as_array().expect("a list");
    let seen = locks.iter().find(|lock| lock["taken_by"] == own.pid()).expect("the row is there");
    assert_eq!(seen["path"].as_str().map(PathBuf::from), Some(place.path.join("own.lock")));
    assert_eq!(seen["holders"][0]["user"], "nobody");
}

#[test]
fn a_lock_in_another_mount_namespace_is_told_to_be_elsewhere() {
    if !available("unshare", &["-m", "mount", "-t", "tmpfs", "none", "/mnt"]) {
        println!("not run: a lock in another mount namespace: no namespaces, or no mounts in them, here");
        return;
    }
    let place = directory();
    let script = "mount -t tmpfs none /mnt; exec 9>/mnt/inside.lock; flock 9; echo ready; exec sleep 1000";
    let holder = Process::start(Command::new("unshare").args(["-m", "bash", "-c", script]).current_dir(&place.path));
    let picture = look();
    let lock = picture.locks.iter().find(|lock| pids(lock).contains(&holder.pid())).expect("it is told");
    let Place::Seen { path, elsewhere, .. } = &lock.place else { panic!("{lock:#?}") };
    assert_eq!((&**path, elsewhere), (Path::new("/mnt/inside.lock"), &true));
    assert!(lock.place.path_here().is_none(), "nothing there can be watched from here");
    let detail = process_detail(&*support::machine(), Pid::new(u64::from(holder.pid())).expect("a PID"));
    assert_eq!(detail.contained, Some(true));
}

#[test]
fn in_a_pid_namespace_the_picture_says_that_it_is_partial() {
    let apart = ["-p", "-f", "--mount-proc"];
    let mut try_it = apart.to_vec();
    try_it.push("true");
    if !available("unshare", &try_it) {
        println!("not run: a picture from within a PID namespace: no namespaces here");
        return;
    }
    let told = status(Command::new("unshare").args(apart).arg(program()));
    assert_eq!(told["partial"], true);
}

#[test]
fn a_process_is_told_with_parent_directory_and_state() {
    let place = directory();
    let holder = holding(&place.path, "a.lock");
    let pid = Pid::new(u64::from(holder.pid())).expect("a PID");
    let system = support::machine();
    let detail = process_detail(&*system, pid);
    assert_eq!(detail.cwd, Cwd::Seen(place.path.clone()));
    assert_eq!(detail.parent.map(|parent| parent.pid.get()), Some(std::process::id()));
    assert_eq!((detail.condition, detail.contained), (Some(Condition::Running), Some(false)));
    let raw = rustix::process::Pid::from_raw(holder.pid() as i32).expect("a PID");
    rustix::process::kill_process(raw, rustix::process::Signal::STOP).expect("sent");
    let start = Instant::now();
    while process_detail(&*system, pid).condition != Some(Condition::Stopped) {
        assert!(start.elapsed() < DEADLINE, "it stops");
        std::thread::yield_now();
    }
    drop(holder);
    let detail = process_detail(&*system, pid);
    assert!(detail.facts.is_none() && detail.condition.is_none());
}

#[test]
fn the_command_line_tells_it_as_a_table_and_refuses_what_contradicts_it() {
    let place = directory();
    let holder = holding(&place.path, "job\n.lock");
    let waiter = waiting(&place.path, "job\n.lock", "");
    until("it waits", |picture| at(picture, &place.path.join("job\n.lock")).len() == 2);
    let output = Command::new(program()).args(["status", "--system"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8(output.stdout).expect("text");
    let heading: Vec<&str> = said.lines().next().expect("a line").split_whitespace().collect();
    assert_eq!(heading, ["PID", "COMMAND", "USER", "TYPE", "MODE", "RANGE", "WAITING", "PATH"]);
    let lines: Vec<&str> = said.lines().collect();
    let of = |start: String| lines.iter().position(|line| line.starts_with(&start)).unwrap_or_else(|| panic!("{said}"));
    let (held, waits) = (of(format!("{} ", holder.pid())), of(format!("└ {} ", waiter.pid())));
    assert_eq!(waits, held + 1, "{said}");
    let path = format!("{}/job\\n.lock", place.path.display());
    assert!(lines[held].ends_with(&path) && lines[held].contains("FLOCK"), "{said}");
    assert!(lines[waits].contains("  waits "), "{said}");
    for wrong in [&["--system", "."][..], &["--system", "--summary"], &["--system", "--recursive"]] {
        let output = Command::new(program()).arg("status").args(wrong).output().expect("it runs");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{complaint}");
        assert!(complaint.contains("--system") && complaint.contains("cannot be used with"), "{complaint}");
    }
}

#[test]
fn the_json_has_the_holder_its_waiters_and_null_for_what_is_not_known() {
    let place = directory();
    let holder = holding(&place.path, "job.lock");
    let waiter = waiting(&place.path, "job.lock", "");
    until("it waits", |picture| at(picture, &place.path.join("job.lock")).len() == 2);
    let told = status(&mut Command::new(program()));
    let locks = told["locks"].as_array().expect("a list");
    let path = place.path.join("job.lock");
    let lock = locks.iter().find(|lock| lock["path"].as_str().map(Path::new) == Some(&path)).expect("it is told");
    assert_eq!((&lock["type"], &lock["mode"], &lock["start"]), (&"flock".into(), &"write".into(), &0.into()));
    assert!(lock["end"].is_null() && lock["path_unseen"].is_null());
    assert_eq!(
        (&lock["deleted"], &lock["elsewhere"], &lock["taker_gone"]),
        (&false.into(), &false.into(), &true.into())
    );
    assert_eq!(lock["holders"][0]["pid"], holder.pid());
    assert_eq!(lock["waiters"][0]["process"]["pid"], waiter.pid());
    assert_eq!(lock["waiters"][0]["in_circle"], false);
    assert_eq!(told["schema"], 1);
    let own = told["directories"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|directory| directory["path"].as_str().map(Path::new) == Some(&place.path));
    assert_eq!(own.map(|own| (&own["held"], &own["waiting"])), Some((&1.into(), &1.into())));
}

#[test]
fn nobody_that_may_be_seen_is_said_and_not_left_out() {
    // The descriptor is on its way to another process: it lies in a socket, and no process has it open.
    let place = directory();
    let script = "import socket, array\na, b = socket.socketpair()\nf = open('sent.lock', 'w')\nfcntl.flock(f, 2)\n\
                  a.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [f.fileno()]))])\nf.close()";
    let process = python(&place.path, script);
    let picture = look();
    let lock = picture.locks.iter().find(|lock| lock.line.number == i64::from(process.pid())).expect("not dropped");
    let Place::Unseen { why, .. } = &lock.place else { panic!("{lock:#?}") };
    assert!(matches!(why, Unseen::NotOpen(its) if its.pid.get() == process.pid()), "{why:?}");
    assert!(why.why().contains("does not have it among its open files"));
}

/// All keys in an object, at any depth.
fn keys(value: &Value, into: &mut std::collections::BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                into.insert(key.clone());
                keys(value, into);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| keys(value, into)),
        _ => {}
    }
}

#[test]
fn the_document_names_each_key_of_the_json_and_no_other() {
    let place = directory();
    let _holder = holding(&place.path, "job.lock");
    let _waiter = waiting(&place.path, "job.lock", "");
    let script = "import socket, array\na, b = socket.socketpair()\nf = open('sent.lock', 'w')\nfcntl.flock(f, 2)\n\
                  a.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [f.fileno()]))])\nf.close()";
    let _unseen = python(&place.path, script);
    until("it waits", |picture| at(picture, &place.path.join("job.lock")).len() == 2);
    let mut told = std::collections::BTreeSet::new();
    keys(&status(&mut Command::new(program())), &mut told);
    told.remove("path_bytes");
    let document = include_str!("../docs/SYSTEM.md");
    for key in &told {
        assert!(document.contains(&format!("`{key}`")), "docs/SYSTEM.md does not name {key}");
    }
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let unknown: Vec<&str> = rows.filter(|key| !told.contains(*key)).collect();
    assert!(unknown.is_empty(), "docs/SYSTEM.md names {unknown:?}");
}

/// This machine, with what was asked of it.
struct Asked {
    real: Arc<dyn System>,
    sweeps: Mutex<usize>,
    looks: Mutex<Vec<Pid>>,
}

impl System for Asked {
    fn named_files(&self, inodes: &HashSet<u64>) -> lockscope::platform::NamedFiles {
        *self.sweeps.lock().expect("whole") += 1;
        self.real.named_files(inodes)
    }
    fn look_at(&self, pid: Pid) -> lockscope::model::holder::ProcessLook {
        self.looks.lock().expect("whole").push(pid);
        self.real.look_at(pid)
    }
    fn kernel_table(&self) -> std::io::Result<(Vec<lockscope::model::kernel::TableLine>, usize)> {
        self.real.kernel_table()
    }
    fn sweep(&self) -> lockscope::platform::ProcessSweep {
        panic!("the open files are swept once, and not this way")
    }
    crate::by_the_real_one!(wall monotonic host file_system lock_device kernel_locks count_processes open_paths open_directory);
}

#[test]
fn however_many_locks_there_are_open_files_are_swept_once_and_a_process_is_looked_at_once() {
    let place = directory();
    let script =
        "files = []\nfor i in range(300):\n    f = open(f'{i}.lock', 'w')\n    fcntl.flock(f, 2)\n    files.append(f)";
    let holder = python(&place.path, script);
    let system = Asked { real: support::machine(), sweeps: Mutex::default(), looks: Mutex::default() };
    let picture = machine(&system, None).expect("read");
    assert_eq!(picture.held_by(Pid::new(u64::from(holder.pid())).expect("a PID")).count(), 300);
    let group = picture.directories.iter().find(|directory| *directory.path == *place.path).expect("a group");
    assert_eq!((group.held, group.programs.len()), (300, 1));
    let looks = system.looks.into_inner().expect("whole");
    let different: HashSet<Pid> = looks.iter().copied().collect();
    assert_eq!((system.sweeps.into_inner().expect("whole"), looks.len()), (1, different.len()));
}

const OVERLAY: &str = "LOCKSCOPE_TEST_MAY_MOUNT";

#[test]
fn on_overlayfs_the_path_is_found_though_its_numbers_differ() {
    if std::env::var_os(OVERLAY).is_none() {
        support::run_apart("-m", "on_overlayfs_the_path_is_found_though_its_numbers_differ", OVERLAY);
        return;
    }
    let place = directory();
    let run =
        |script: &str| Command::new("bash").args(["-ec", script]).current_dir(&place.path).output().expect("runs");
    let mounted =
        run("mkdir base all; mount -t tmpfs none base; mkdir base/low base/up base/work; touch base/low/x.lock
         mount -t overlay overlay -o lowerdir=base/low,upperdir=base/up,workdir=base/work all");
    if !mounted.status.success() {
        println!("not run: locks on overlayfs: {}", String::from_utf8_lossy(&mounted.stderr).trim());
        return;
    }
    let all = place.path.join("all");
    let holder = holding(&all, "x.lock");
    let picture = look();
    let locks = at(&picture, &all.join("x.lock"));
    assert_eq!(locks.len(), 1, "{:#?}", picture.locks);
    assert_eq!(pids(locks[0]), [holder.pid()]);
    assert!(locks[0].place.path_here().is_some(), "it can be watched");
    drop(holder);
    run("umount all base");
}
