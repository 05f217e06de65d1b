//! The whole story through the command line, with the real program: see it held, kill the holder, see it turn stale,
//! clear it, see it gone, undo, see it back. And the exit codes.

mod support;

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use support::{DEAD, Process, set_age, write};

struct Desk {
    locks: tempfile::TempDir,
    state: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        Self { locks: tempfile::tempdir().expect("a directory"), state: tempfile::tempdir().expect("a directory") }
    }

    fn directory(&self) -> &Path {
        self.locks.path()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lockscope"));
        command
            .args(arguments)
            .current_dir(self.directory())
            .env("LOCKSCOPE_STATE_DIR", self.state.path().join("state"))
            .env("LOCKSCOPE_CONFIG_DIR", self.state.path().join("config"))
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the program runs")
    }

    /// Runs it, expects the exit code, and gives what it said on stdout.
    fn says(&self, arguments: &[&str], code: i32) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complained = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "lockscope {arguments:?}: {said}{complained}");
        said
    }

    fn json(&self, arguments: &[&str], code: i32) -> Value {
        serde_json::from_str(&self.says(arguments, code)).expect("one JSON object")
    }

    fn lock(&self, name: &str) -> Value {
        let status = self.json(&["status", "--all", "--json"], 0);
        let locks = status["locks"].as_array().expect("a list");
        locks.iter().find(|lock| lock["path"] == name).cloned().unwrap_or(Value::Null)
    }
}

#[test]
fn the_whole_story() {
    let desk = Desk::new();
    let mut holder = Process::shell(desk.directory(), "echo $$ > chat_memory.lock; echo ready; exec sleep 1000");
    let held = desk.lock("chat_memory.lock");
    assert_eq!((&held["verdict"], &held["stale"], &held["liveness"]), (&"held".into(), &false.into(), &"alive".into()));
    assert_eq!(held["holder"]["pid"], holder.pid());
    assert_eq!((&held["group"], &held["key"]), (&"chat".into(), &"memory".into()));
    // Nobody clears it under a living holder, whatever the age and however often it is asked for.
    set_age(&desk.directory().join("chat_memory.lock"), Duration::from_hours(1));
    assert_eq!(desk.json(&["clear", "--stale", "--yes", "--json"], 0)["status"], "nothing");
    assert_eq!(desk.json(&["clear", "chat_memory.lock", "--yes", "--json"], 1)["status"], "refused");
    let held = desk.lock("chat_memory.lock");
    assert!(held["verdict"] == "held" || held["verdict"] == "unknown", "{held}");

    holder.kill();
    let stale = desk.lock("chat_memory.lock");
    assert_eq!(
        (&stale["verdict"], &stale["stale"], &stale["liveness"]),
        (&"stale".into(), &true.into(), &"gone".into())
    );
    let status = desk.json(&["status", "--json"], 0);
    assert_eq!((&status["cleanup_available"], &status["any_locked"]), (&true.into(), &false.into()));
    assert_eq!(status["stale_locks"], serde_json::json!(["chat_memory.lock"]));

    let before = std::fs::read(desk.directory().join("chat_memory.lock")).expect("readable");
    assert_eq!(desk.json(&["clear", "--stale", "--yes", "--dry-run", "--json"], 0)["count"], 1);
    // Off a terminal, nothing is cleared without --yes.
    assert_eq!(desk.json(&["clear", "--stale", "--json"], 1)["status"], "refused");
    assert!(desk.directory().join("chat_memory.lock").exists());
    let cleared = desk.json(&["clear", "--group", "chat", "--yes", "--json"], 0);
    assert_eq!((&cleared["status"], &cleared["count"]), (&"ok".into(), &1.into()));
    assert_eq!(desk.lock("chat_memory.lock"), Value::Null);
    assert_eq!(std::fs::read_dir(desk.directory()).expect("readable").count(), 0, "nothing of ours stays behind");

    let undone = desk.json(&["undo", "--json"], 0);
    assert_eq!(undone["restored"].as_array().map(Vec::len), Some(1), "{undone}");
    assert_eq!(std::fs::read(desk.directory().join("chat_memory.lock")).expect("back"), before);
    assert_eq!(desk.lock("chat_memory.lock")["verdict"], "stale", "its age is as it was");
    let log = desk.json(&["log", "--json"], 0);
    let whats: Vec<&str> =
        log["entries"].as_array().expect("a list").iter().filter_map(|e| e["what"].as_str()).collect();
    assert!(whats.contains(&"clear") && whats.contains(&"undo"), "{whats:?}");
    // The commands were given no directory; who reads the journal later stands elsewhere.
    let directory = desk.directory().to_str().expect("text");
    assert!(log["entries"].as_array().expect("a list").iter().all(|e| e["directory"] == directory), "{log}");
}

#[test]
fn what_was_cleared_together_is_undone_together() {
    let desk = Desk::new();
    for name in ["a.lock", "b.lock", "c.lock"] {
        write(desk.directory(), name, format!("{DEAD}\n"), 3600);
    }
    write(desk.directory(), "young.lock", format!("{DEAD}\n"), 0);
    assert_eq!(desk.json(&["clear", "--stale", "--yes", "--json"], 0)["count"], 3);
    assert!(desk.directory().join("young.lock").exists(), "an orphan is not stale");
    assert_eq!(desk.json(&["undo", "--json"], 0)["restored"].as_array().map(Vec::len), Some(3));
    // A new lock at the path is never overwritten.
    assert_eq!(desk.json(&["clear", "a.lock", "--yes", "--json"], 0)["count"], 1);
    write(desk.directory(), "a.lock", "new\n", 0);
    let refused = desk.json(&["undo", "--json"], 1);
    assert_eq!(refused["refused"].as_array().map(Vec::len), Some(1), "{refused}");
    assert_eq!(std::fs::read(desk.directory().join("a.lock")).expect("there"), b"new\n");
}

#[test]
fn exit_codes_and_messages_are_the_contract() {
    let desk = Desk::new();
    let complaint = |arguments: &[&str], code| {
        let output = desk.run(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.stdout.is_empty(), "{arguments:?} says nothing on stdout");
        text
    };
    assert_eq!(complaint(&["status", "/no/such/place"], 3).lines().count(), 1);
    assert!(complaint(&["status", "/etc/passwd"], 3).contains("not a directory"));
    complaint(&["status", "--no-such-flag"], 2);
    complaint(&["clear", "--yes"], 2);
    let text = complaint(&[], 3);
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains("status") && text.contains("clear"), "it names the commands that need no display: {text}");
    complaint(&["demo"], 3);
    assert!(desk.says(&["status"], 0).contains("No lock files"), "empty says so");
}

#[test]
fn wait_ends_with_the_release() {
    let desk = Desk::new();
    let mut holder = Process::shell(desk.directory(), "exec 9>a_memory.lock; flock 9; echo ready; exec sleep 1000");
    desk.says(&["wait", "a_memory.lock", "--timeout", "0s"], 1);
    let mut waiting = desk.command(&["wait", "a_memory.lock", "--timeout", "20s"]).spawn().expect("starts");
    holder.kill();
    assert_eq!(waiting.wait().expect("ends").code(), Some(0));
}

#[test]
fn watch_tells_each_change_as_a_line() {
    use std::io::BufRead as _;
    let desk = Desk::new();
    let mut watch = desk.command(&["watch", "--json"]);
    let mut watch = watch.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    let mut ready = String::new();
    std::io::BufReader::new(watch.stderr.take().expect("a pipe")).read_line(&mut ready).expect("it says so");
    assert!(ready.contains("Watching"), "{ready}");
    let mut lines = std::io::BufReader::new(watch.stdout.take().expect("a pipe")).lines();
    let mut next = || -> Value {
        let line = lines.next().expect("a line").expect("readable");
        serde_json::from_str(&line).expect("JSON")
    };
    write(desk.directory(), "a.lock", format!("{DEAD}\n"), 3600);
    let mut change = next();
    assert_eq!((&change["change"], &change["lock"]["path"]), (&"appeared".into(), &"a.lock".into()));
    // Between being made and being dated it may be seen once more.
    while change["lock"]["verdict"] != "stale" {
        change = next();
        assert_eq!(change["change"], "changed");
    }
    std::fs::remove_file(desk.directory().join("a.lock")).expect("removed");
    assert_eq!(next()["change"], "vanished");
    let _ = watch.kill();
    let _ = watch.wait();
}

#[test]
fn names_of_any_kind_are_shown_safely_and_acted_on_rightly() {
    use std::os::unix::ffi::OsStrExt as _;
    let desk = Desk::new();
    let names: [&[u8]; 4] = [b"two\nlines.lock", b"\xff\xfe.lock", "rtl\u{202e}kcol.lock".as_bytes(), b"-rf.lock"];
    for name in names {
        let path = desk.directory().join(std::ffi::OsStr::from_bytes(name));
        std::fs::write(&path, format!("{DEAD}\n")).expect("written");
        set_age(&path, Duration::from_hours(1));
    }
    let table = desk.says(&["status"], 0);
    assert!(table.contains("two\\nlines.lock") && !table.contains('\u{202e}'), "{table}");
    let status = desk.json(&["status", "--json"], 0);
    let lost: Vec<&Value> =
        status["locks"].as_array().expect("a list").iter().filter(|lock| !lock["path_bytes"].is_null()).collect();
    assert_eq!(lost.len(), 1, "only the name that is no text carries its bytes");
    assert_eq!(desk.json(&["clear", "--stale", "--yes", "--json"], 0)["count"], 4);
    assert_eq!(std::fs::read_dir(desk.directory()).expect("readable").count(), 0);
    desk.says(&["undo"], 0);
    assert_eq!(std::fs::read_dir(desk.directory()).expect("readable").count(), 4);
}

#[test]
fn damaged_settings_are_kept_aside_and_said() {
    let desk = Desk::new();
    let config = desk.state.path().join("config");
    std::fs::create_dir_all(&config).expect("made");
    std::fs::write(config.join("settings.json"), "{ broken").expect("written");
    let output = desk.run(&["status"]);
    assert_eq!(output.status.code(), Some(0));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(complaint.contains("kept as"), "{complaint}");
    let kept = std::fs::read_dir(&config)
        .expect("readable")
        .flatten()
        .find(|entry| entry.file_name().to_string_lossy().starts_with("settings.json.broken-"));
    assert_eq!(std::fs::read(kept.expect("kept aside").path()).expect("readable"), b"{ broken");
}
