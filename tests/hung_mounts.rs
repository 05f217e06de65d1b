//! File systems that stop answering, made with bindfs: its daemon is stopped, and goes on when the test lets it.
//!
//! Scenario 50 of the clearing rules: what does not answer is unknown and said, the rest lives, and a command ends.
#![cfg(all(target_os = "linux", not(feature = "portable")))]

mod support;

use lockscope::engine::settings::Settings;
use lockscope::inspect::{LookError, LookOptions, look};
use lockscope::model::snapshot::{LostReason, Watching};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use support::{DEAD, Process, Watched, look_at, machine, verdict, write};

/// A bindfs mount of one directory at another.
struct Far {
    source: tempfile::TempDir,
    point: PathBuf,
    daemon: Pid,
}

impl Far {
    /// Mounts an empty directory at `point`, or says why this machine cannot.
    fn at(point: &Path) -> Result<Self, String> {
        let source = tempfile::tempdir().map_err(|error| error.to_string())?;
        Self::of(source, point)
    }

    fn of(source: tempfile::TempDir, point: &Path) -> Result<Self, String> {
        fs::create_dir_all(point).map_err(|error| error.to_string())?;
        let mounted = Command::new("bindfs").arg(source.path()).arg(point).output();
        let mounted = mounted.map_err(|error| format!("bindfs: {error}"))?;
        if !mounted.status.success() {
            return Err(format!("bindfs: {}", String::from_utf8_lossy(&mounted.stderr).trim()));
        }
        // It has gone into the background, where only its arguments tell which one it is.
        let is_it = |arguments: &[u8]| {
            let mut parts = arguments.split(|byte| *byte == 0);
            parts.next().is_some_and(|name| name.ends_with(b"bindfs"))
                && parts.any(|part| part == point.as_os_str().as_encoded_bytes())
        };
        let pids = fs::read_dir("/proc").map_err(|error| error.to_string())?.flatten();
        let mut pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let daemon = pids.find(|pid| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|text| is_it(&text)));
        let daemon = daemon.and_then(Pid::from_raw).ok_or("bindfs is not to be found")?;
        Ok(Self { source, point: point.to_owned(), daemon })
    }

    fn stop(&self) {
        kill_process(self.daemon, Signal::STOP).expect("the daemon is stopped");
    }

    fn go_on(&self) {
        kill_process(self.daemon, Signal::CONT).expect("the daemon goes on");
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        let _ = kill_process(self.daemon, Signal::CONT);
        let unmounted = Command::new("umount").arg("-l").arg(&self.point).stderr(Stdio::null()).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            let _ = Command::new("fusermount3").arg("-uz").arg(&self.point).status();
        }
    }
}

/// Runs a test with a mount, where this machine can make one.
fn with_mount(name: &str, test: impl FnOnce(Far, &Path)) {
    let base = tempfile::tempdir().expect("a directory");
    match Far::at(&base.path().join("far")) {
        Ok(far) => test(far, base.path()),
        Err(why) => println!("not run: {name}: {why}"),
    }
}

/// Runs the program; that it ends at all is the point. Its end is waited for with its output and all its processes'.
fn run(directory: &Path, arguments: &[&str]) -> Output {
    let state = tempfile::tempdir().expect("a directory");
    Command::new(env!("CARGO_BIN_EXE_lockscope"))
        .args(arguments)
        .arg(directory)
        .env("LOCKSCOPE_STATE_DIR", state.path().join("state"))
        .env("LOCKSCOPE_CONFIG_DIR", state.path().join("config"))
        .stdin(Stdio::null())
        .output()
        .expect("the program runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn while_it_answers_it_is_as_any_other() {
    with_mount("while_it_answers_it_is_as_any_other", |far, base| {
        write(far.source.path(), "a.lock", format!("{DEAD}\n"), 3600);
        fs::create_dir(far.source.path().join("sub")).expect("made");
        write(&far.source.path().join("sub"), "b.lock", format!("{DEAD}\n"), 3600);
        std::os::unix::fs::symlink(&far.point, base.join("link")).expect("linked");
        for directory in [&far.point, &base.join("link")] {
            let options = LookOptions { recursive: true, ..LookOptions::default() };
            let snapshot = look(&machine(), directory, &options).expect("it can be looked at");
            assert_eq!(verdict(&snapshot, "a.lock").0, "stale");
            assert_eq!(verdict(&snapshot, "sub/b.lock").0, "stale");
            assert_eq!(&*snapshot.sight.fs.name, "fuse");
        }
    });
}

#[test]
fn status_of_a_silent_directory_ends_and_says_so() {
    with_mount("status_of_a_silent_directory_ends_and_says_so", |far, base| {
        write(far.source.path(), "a.lock", format!("{DEAD}\n"), 3600);
        std::os::unix::fs::symlink(far.point.join("."), base.join("link")).expect("linked");
        far.stop();
        for directory in [&far.point, &base.join("link"), &far.point.join("below")] {
            let output = run(directory, &["status"]);
            assert_eq!(output.status.code(), Some(3), "{}", text(&output.stdout));
            let said = text(&output.stderr);
            assert!(said.contains("did not answer within 2 s"), "{said}");
            assert!(said.contains(&*far.point.to_string_lossy()), "{said}");
        }
        let error = look(&machine(), &far.point, &LookOptions::default()).expect_err("it does not answer");
        assert!(
            matches!(&error, LookError::Failed { error, .. } if error.kind() == io::ErrorKind::TimedOut),
            "{error}"
        );
    });
}

/// A daemon that has a request in hand makes its caller wait uninterruptibly: that caller must not be us.
#[test]
fn status_ends_where_even_kill_would_not_end_it() {
    with_mount("status_ends_where_even_kill_would_not_end_it", |far, base| {
        let inner = far.source.path().join("inner");
        fs::create_dir(&inner).expect("made");
        // The outer mount's daemon goes on, and hangs itself at the inner one, which is stopped.
        let source = tempfile::tempdir_in(&far.point).expect("a directory on the mount");
        write(source.path(), "a.lock", format!("{DEAD}\n"), 3600);
        let outer = match Far::of(source, &base.join("outer")) {
            Ok(outer) => outer,
            Err(why) => return println!("not run: a mount of a mount: {why}"),
        };
        far.stop();
        let output = run(&outer.point, &["status"]);
        assert_eq!(output.status.code(), Some(3), "{}", text(&output.stdout));
        assert!(text(&output.stderr).contains("did not answer within 2 s"), "{}", text(&output.stderr));
        far.go_on();
        drop(outer);
    });
}

#[test]
fn a_silent_mount_within_leaves_the_rest_of_the_table_alive() {
    let base = tempfile::tempdir().expect("a directory");
    let far = match Far::at(&base.path().join("far.lock")) {
        Ok(far) => far,
        Err(why) => return println!("not run: a_silent_mount_within_leaves_the_rest_of_the_table_alive: {why}"),
    };
    write(base.path(), "near.lock", format!("{DEAD}\n"), 3600);
    // Who has this one open is asked of every process.
    write(base.path(), "empty.lock", "", 3600);
    let deep = match Far::at(&base.path().join("some/deep")) {
        Ok(deep) => deep,
        Err(why) => return println!("not run: a second mount: {why}"),
    };
    write(deep.source.path(), "in.lock", format!("{DEAD}\n"), 3600);
    // A process that lives on the mount, with a file open there, is looked at without touching the mount.
    let _user = Process::shell(&deep.point, "exec 9<in.lock; echo ready; exec sleep 1000");
    far.stop();
    deep.stop();

    let output = run(base.path(), &["status", "--json", "--recursive"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let status: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let of = |path: &str| status["locks"].as_array().and_then(|locks| locks.iter().find(|lock| lock["path"] == path));
    assert_eq!(of("near.lock").expect("listed")["verdict"], "stale");
    let asked = of("empty.lock").expect("listed")["evidence"].to_string();
    assert!(asked.contains("open"), "{asked}");
    let silent = of("far.lock").expect("listed");
    assert_eq!(silent["verdict"], "unknown");
    assert!(silent["why"].as_str().is_some_and(|why| why.contains("did not answer")), "{silent}");
    let problems = status["problems"].as_array().expect("problems");
    let deep_problem = problems.iter().find(|problem| problem["path"] == "some/deep").expect("it is a problem");
    assert!(deep_problem["error"].as_str().is_some_and(|error| error.contains("did not answer")), "{deep_problem}");

    deep.go_on();
    far.go_on();
    let output = run(base.path(), &["status", "--json", "--recursive", "--all"]);
    let status: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let of = |path: &str| status["locks"].as_array().and_then(|locks| locks.iter().find(|lock| lock["path"] == path));
    assert_eq!(of("some/deep/in.lock").expect("listed")["verdict"], "stale");
    assert_eq!(of("far.lock").expect("listed")["verdict"], "not_a_lock", "a mount point");
    assert_eq!(status["problems"].as_array().map(Vec::len), Some(0));
}

#[test]
fn the_window_says_that_a_directory_is_silent_and_goes_on_when_it_answers() {
    with_mount("the_window_says_that_a_directory_is_silent_and_goes_on_when_it_answers", |far, _| {
        let state = tempfile::tempdir().expect("a directory");
        write(far.source.path(), "a.lock", format!("{DEAD}\n"), 3600);
        write(far.source.path(), "b.lock", format!("{DEAD}\n"), 3600);
        let watched = Watched::start(&far.point, state.path(), Settings::default());
        watched.until_verdict("a.lock", "stale");
        let snapshot = watched.engine.snapshot().expect("a picture");
        assert!(matches!(snapshot.watching, Watching::Polling(_)), "no watch is set there: {:?}", snapshot.watching);
        let id = snapshot.find(OsStr::new("a.lock")).expect("listed").id;

        far.stop();
        watched.until("it is said", |snapshot| snapshot.watching == Watching::Lost(LostReason::NoAnswer));
        let snapshot = watched.engine.snapshot().expect("a picture");
        for name in ["a.lock", "b.lock"] {
            let lock = snapshot.find(OsStr::new(name)).expect("the picture stays");
            assert_eq!(lock.judgement.verdict.id(), "unknown");
            assert!(lock.why(&snapshot.moment()).contains("did not answer"));
            assert!(lock.age(&snapshot.moment()).is_some_and(|age| age.as_secs() >= 3600), "its age goes on");
        }
        fs::remove_file(far.source.path().join("b.lock")).expect("removed behind its back");

        far.go_on();
        watched.until_verdict("a.lock", "stale");
        watched.until_gone("b.lock");
        let snapshot = watched.engine.snapshot().expect("a picture");
        assert_eq!(snapshot.find(OsStr::new("a.lock")).expect("listed").id, id, "it is the same row");
        assert!(matches!(snapshot.watching, Watching::Polling(_)), "{:?}", snapshot.watching);
    });
}

#[test]
fn the_window_follows_the_rest_while_a_mount_within_is_silent() {
    let base = tempfile::tempdir().expect("a directory");
    let far = match Far::at(&base.path().join("far.lock")) {
        Ok(far) => far,
        Err(why) => return println!("not run: the_window_follows_the_rest_while_a_mount_within_is_silent: {why}"),
    };
    let state = tempfile::tempdir().expect("a directory");
    far.stop();
    write(base.path(), "near.lock", format!("{DEAD}\n"), 3600);
    let watched = Watched::start(base.path(), state.path(), Settings::default());
    watched.until_verdict("near.lock", "stale");
    watched.until_verdict("far.lock", "unknown");
    assert_eq!(watched.engine.snapshot().expect("a picture").watching, Watching::Live);
    write(base.path(), "new.lock", format!("{DEAD}\n"), 3600);
    watched.until_verdict("new.lock", "stale");
    fs::remove_file(base.path().join("near.lock")).expect("removed");
    watched.until_gone("near.lock");
    far.go_on();
    watched.engine.send(lockscope::engine::Command::Rescan);
    watched.until_verdict("far.lock", "not_a_lock");
}

#[test]
fn a_clear_on_a_silent_directory_is_refused_and_ends() {
    with_mount("a_clear_on_a_silent_directory_is_refused_and_ends", |far, _| {
        let lock = write(far.source.path(), "a.lock", format!("{DEAD}\n"), 3600);
        let snapshot = look_at(&far.point);
        let seen = support::lock(&snapshot, "a.lock");
        far.stop();
        let state = tempfile::tempdir().expect("a directory");
        let workplace = lockscope::lock::workplace(machine(), state.path());
        let options = LookOptions::default();
        let consent = lockscope::clear::Consent::ByName;
        let refusal = lockscope::clear::recheck(&workplace, &far.point, &seen, &options, consent).err();
        let refusal = refusal.expect("it cannot be rechecked").to_string();
        assert!(refusal.contains("did not answer"), "{refusal}");
        far.go_on();
        assert!(lock.exists());
    });
}
