//! `lockscope run` as a person uses it: real commands, flock(1) on the other side, signals, kills.
#![cfg(all(target_os = "linux", feature = "cli"))]
#![allow(clippy::unwrap_used)] // a test fails by panicking

mod support;

use rustix::process::{Pid, Signal, kill_process};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use support::{DEAD, Process, machine};

/// A directory, with Lockscope's own things apart.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lockscope"));
        command.arg("run").args(arguments).current_dir(self.0.path());
        command.env("LOCKSCOPE_STATE_DIR", self.path("state")).env("LOCKSCOPE_CONFIG_DIR", self.path("config"));
        command.env("XDG_RUNTIME_DIR", self.0.path()).stdin(Stdio::null());
        command
    }

    fn ran(&self, arguments: &[&str]) -> (i32, String) {
        let Output { status, stderr, .. } = self.run(arguments).output().unwrap();
        (status.code().unwrap(), String::from_utf8(stderr).unwrap())
    }

    /// Starts a run whose command says "ready" once it runs under the lock.
    fn started(&self, arguments: &[&str], script: &str) -> Process {
        let script = format!("echo ready; {script}");
        let all = [arguments, &["--", "bash", "-c", &script]].concat();
        Process::start(self.run(&all).stdin(Stdio::piped()))
    }

    /// flock(1) finds the lock free.
    fn is_free(&self, name: &str) -> bool {
        Command::new("flock").args(["-n", name, "true"]).current_dir(self.0.path()).status().unwrap().success()
    }
}

fn child_of(pid: u32) -> u32 {
    let parent = lockscope::model::holder::Pid::new(u64::from(pid)).unwrap();
    machine().children(parent).first().unwrap().get()
}

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid as i32).unwrap(), signal).unwrap();
}

fn ends(child: &mut Child) -> i32 {
    drop(child.stdin.take());
    child.wait().unwrap().code().unwrap()
}

/// Waits for a process of ours, not our child, to be gone.
fn until_gone(pid: u32) {
    let fd = rustix::process::pidfd_open(Pid::from_raw(pid as i32).unwrap(), rustix::process::PidfdFlags::empty());
    if let Ok(fd) = fd {
        let mut polled = [rustix::event::PollFd::new(&fd, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut polled, None).unwrap();
    }
}

const EACH: [&str; 2] = ["--flock", "--marker"];

#[test]
fn the_code_is_the_commands_own() {
    let place = Place::new();
    for how in EACH {
        let code = |line: &[&str]| place.ran(&[&["--lock", "x.lock", how, "--"], line].concat()).0;
        assert_eq!(code(&["true"]), 0, "{how}");
        assert_eq!(code(&["sh", "-c", "exit 7"]), 7, "{how}");
        assert_eq!(code(&["sh", "-c", "kill -TERM $$"]), 128 + 15, "{how}");
        assert_eq!(code(&["/no/such/program"]), 127, "{how}");
        assert_eq!(code(&["/etc/passwd"]), 126, "{how}");
        // Whatever came of it, the lock is free: the marker gone, the meeting point unlocked.
        assert_eq!(place.path("x.lock").exists(), how == "--flock");
        assert!(place.is_free("x.lock"), "{how}");
        std::fs::remove_file(place.path("x.lock")).unwrap();
    }
}

#[test]
fn flock_and_run_keep_each_other_out() {
    let place = Place::new();
    let mut held = place.started(&["--lock", "x.lock"], "read x; exit 4");
    assert!(!place.is_free("x.lock"));
    assert_eq!(ends(&mut held.0), 4);
    assert!(place.is_free("x.lock"));

    let theirs = Process::shell(place.0.path(), "exec flock x.lock bash -c 'echo ready; read x'");
    let (code, said) = place.ran(&["--lock", "x.lock", "--timeout", "0s", "--", "touch", "ran"]);
    assert_eq!(code, 75);
    assert!(said.contains("x.lock: locked by another program") && said.contains("PID"), "{said}");
    let (code, said) = place.ran(&["--lock", "x.lock", "--timeout", "300ms", "-E", "9", "--", "touch", "ran"]);
    assert_eq!(code, 9);
    assert!(said.contains("still locked"), "{said}");
    assert!(!place.path("ran").exists());
    drop(theirs);
    assert_eq!(place.ran(&["--lock", "x.lock", "--", "touch", "ran"]).0, 0);
    assert!(place.path("ran").exists());
}

#[test]
fn a_batch_passes_over_what_is_locked_and_goes_on() {
    for how in EACH {
        let place = Place::new();
        let held = place.started(&["--lock", "b.lock", how], "read x");
        let mut said = String::new();
        for name in ["a.lock", "b.lock", "c.lock"] {
            let file = format!("ran-{name}");
            let (code, stderr) = place.ran(&["--lock", name, how, "--skip", "--", "touch", &file]);
            assert_eq!(code, 0);
            said += &stderr;
        }
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains("skipped: b.lock"), "{said}");
        let ran = |name: &str| place.path(&format!("ran-{name}")).exists();
        assert_eq!((ran("a.lock"), ran("b.lock"), ran("c.lock")), (true, false, true));
        drop(held);
    }
}

#[test]
fn the_command_inherits_the_kernel_lock_so_killing_run_frees_nothing() {
    let place = Place::new();
    let mut held = place.started(&["--lock", "x.lock"], "read x; echo ended > ended");
    let command = child_of(held.pid());
    // `wait` would close it, and end the command.
    let stdin = held.0.stdin.take();
    signal(held.pid(), Signal::KILL);
    held.0.wait().unwrap();
    assert!(!place.is_free("x.lock"), "COMMAND lives and has it");
    drop(stdin);
    until_gone(command);
    assert!(place.is_free("x.lock"));
    assert!(place.path("ended").exists());
}

#[test]
fn under_a_kernel_lock_the_file_tells_the_command_and_blocks_nobody_afterwards() {
    let place = Place::new();
    let text = || std::fs::read_to_string(place.path("x.lock")).unwrap();
    let status = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lockscope"));
        command.args(["status", "--json", "--stale-after", "0s"]).arg(place.0.path());
        let found: serde_json::Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
        found["locks"].as_array().unwrap().iter().find(|lock| lock["path"] == "x.lock").unwrap().clone()
    };
    let mut held = place.started(&["--lock", "x.lock"], "read x; exit 0");
    let command = child_of(held.pid());
    let record: serde_json::Value = serde_json::from_str(&text()).unwrap();
    assert_eq!((&record["pid"], &record["lock"]), (&command.into(), &"flock".into()));
    assert!(record["command"].as_str().unwrap().contains("bash -c"), "{record}");
    assert_eq!((&status()["verdict"], &status()["format"]), (&"held".into(), &"lockscope-flock".into()));
    assert_eq!(ends(&mut held.0), 0);
    assert_eq!(text(), "", "taken back");
    // Left behind by a run that was killed: no claim to anything.
    let mut held = place.started(&["--lock", "x.lock"], "read x; exit 0");
    let command = child_of(held.pid());
    let stdin = held.0.stdin.take();
    signal(held.pid(), Signal::KILL);
    held.0.wait().unwrap();
    drop(stdin);
    until_gone(command);
    assert!(text().contains(&format!("\"pid\":{command}")), "{}", text());
    assert_eq!(status()["verdict"], "idle");
    assert_eq!(place.ran(&["--lock", "x.lock", "--", "true"]).0, 0);
    assert_eq!(text(), "");
    // What holds something else is locked all the same, and keeps it.
    std::fs::write(place.path("x.lock"), "data").unwrap();
    assert_eq!(place.ran(&["--lock", "x.lock", "--", "true"]).0, 0);
    assert_eq!(text(), "data");
}

#[test]
fn where_the_settings_say_so_what_is_stale_beside_it_goes_first() {
    let place = Place::new();
    std::fs::create_dir_all(place.path("config")).unwrap();
    std::fs::create_dir(place.path("locks")).unwrap();
    let old = place.path("locks/old.lock");
    let settings = |on: bool| format!(r#"{{"locks": {{"clear_stale_at_start": {on}, "stale_after_secs": 0}}}}"#);
    for on in [false, true] {
        std::fs::write(&old, format!("{DEAD}\n")).unwrap();
        std::fs::write(place.path("config/settings.json"), settings(on)).unwrap();
        let (code, said) = place.ran(&["--lock", "locks/x.lock", "--", "true"]);
        assert_eq!((code, old.exists()), (0, !on), "{said}");
        assert_eq!(said.contains("cleared what was stale: locks/old.lock"), on, "{said}");
    }
}

#[test]
fn the_marker_names_the_command_so_killing_run_frees_nothing() {
    let place = Place::new();
    let mut held = place.started(&["--lock", "x.lock", "--marker"], "read x; exit 0");
    let command = child_of(held.pid());
    let record: serde_json::Value = serde_json::from_slice(&std::fs::read(place.path("x.lock")).unwrap()).unwrap();
    assert_eq!(record["pid"], command);
    assert!(record["command"].as_str().unwrap().contains("bash -c"), "{record}");
    // `wait` would close it, and end the command.
    let stdin = held.0.stdin.take();
    signal(held.pid(), Signal::KILL);
    held.0.wait().unwrap();
    let at_once = ["--lock", "x.lock", "--marker", "--timeout", "0s", "--stale-after", "0s", "--", "true"];
    let (code, said) = place.ran(&at_once);
    assert_eq!(code, 75, "{said}");
    assert!(said.contains(&format!("PID {command}")), "{said}");
    drop(stdin);
    until_gone(command);
    assert_eq!(place.ran(&at_once).0, 0, "now it is proved gone");
    assert!(!place.path("x.lock").exists());
}

#[test]
fn signals_go_to_the_command_and_the_lock_is_released() {
    for how in EACH {
        for (sent, number) in [(Signal::TERM, 15), (Signal::HUP, 1), (Signal::INT, 2)] {
            let place = Place::new();
            // Not `read`: a shell waits for its child before it heeds a signal, so it must be the command itself.
            let mut held = place.started(&["--lock", "x.lock", how], "exec cat");
            // `wait` would close it, and `cat` would end by itself.
            let _stdin = held.0.stdin.take();
            signal(held.pid(), sent);
            assert_eq!(held.0.wait().unwrap().code(), Some(128 + number), "{how}");
            assert_eq!(place.path("x.lock").exists(), how == "--flock");
            assert!(place.is_free("x.lock"));
        }
    }
    // A command that ends in its own way after a signal is waited for.
    let place = Place::new();
    let script = "trap 'echo bye > bye; exit 5' TERM; echo ready; while :; do read -t 0.01 x; done";
    let mut held = Process::start(&mut place.run(&["--lock", "x.lock", "--marker", "--", "bash", "-c", script]));
    signal(held.pid(), Signal::TERM);
    assert_eq!(held.0.wait().unwrap().code(), Some(5));
    assert!(place.path("bye").exists() && !place.path("x.lock").exists());
}

#[test]
fn a_signal_while_waiting_ends_it_and_nothing_has_run() {
    for how in EACH {
        let place = Place::new();
        let held = place.started(&["--lock", "x.lock", how], "read x");
        let log = std::fs::File::create(place.path("log")).unwrap();
        let mut waiting = place.run(&["--lock", "x.lock", how, "--timeout", "1h", "--", "touch", "ran"]);
        let mut waiting = waiting.env("LOCKSCOPE_LOG", "debug").stderr(log).spawn().unwrap();
        while !std::fs::read_to_string(place.path("log")).unwrap().contains("waiting") {
            std::thread::yield_now();
        }
        signal(waiting.id(), Signal::TERM);
        assert_eq!(waiting.wait().unwrap().code(), Some(128 + 15), "{how}");
        assert!(!place.path("ran").exists());
        drop(held);
    }
}

#[test]
fn a_dead_owners_marker_is_broken_only_where_it_is_stale() {
    let place = Place::new();
    let host = machine().host();
    let record = serde_json::json!({
        "pid": DEAD, "host": &*host.name, "pid_ns": host.pid_ns, "start_token": 1,
        "boot_id": host.boot_id.map(|id| format!("{id:032x}")),
    });
    std::fs::write(place.path("x.lock"), record.to_string()).unwrap();
    let line = |after| ["--lock", "x.lock", "--marker", "--timeout", "0s", "--stale-after", after, "--", "true"];
    let (code, said) = place.ran(&line("10m"));
    assert_eq!(code, 75);
    assert!(said.contains("stale in"), "{said}");
    assert_eq!(place.ran(&line("0s")).0, 0);
    assert!(!place.path("x.lock").exists());
    assert!(std::fs::read_dir(place.path("state")).unwrap().count() > 0, "it stands in the journal");
}

#[test]
fn disabled_in_the_settings_it_runs_and_says_that_nothing_was_locked() {
    let place = Place::new();
    std::fs::create_dir(place.path("config")).unwrap();
    std::fs::write(place.path("config/settings.json"), r#"{"locks": {"enabled": false}}"#).unwrap();
    for how in EACH {
        let (code, said) = place.ran(&["--lock", "x.lock", how, "--", "touch", "ran"]);
        assert_eq!(code, 0);
        assert!(said.contains("x.lock: not locked: locking is disabled"), "{said}");
        assert!(!place.path("x.lock").exists());
    }
}

#[test]
fn what_cannot_be_locked_is_told_and_nothing_runs() {
    let place = Place::new();
    for how in EACH {
        let (code, said) = place.ran(&["--lock", "no/such/x.lock", how, "--", "touch", "ran"]);
        assert_eq!(code, 3);
        assert!(said.contains("no/such/x.lock") && said.contains("make its directory first"), "{said}");
        assert!(!Path::new(&place.path("ran")).exists());
    }
}
