//! Work that is counted, not timed: which system calls a full pass makes for each file, and what one change among many
//! files costs. More of them is a regression, whatever the machine.
#![cfg(target_os = "linux")]

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use support::write;

/// A record whose process is not looked for: that would be work for the process.
const ELSEWHERE: &str = "{\"pid\": 812, \"host\": \"elsewhere\"}";

/// Alone with its processes: each of the machine's others would be looked at, and they come and go.
const APART: &[&str] = &["unshare", "-Urpf", "--mount-proc"];

fn strace() -> Option<Command> {
    let tracer = ["strace", "-f", "-qq", "-s", "4096", "-o"];
    for apart in [APART, &["env"]] {
        let tracing = || {
            let mut command = Command::new(apart[0]);
            command.args(&apart[1..]).args(tracer);
            command
        };
        if tracing().args(["/dev/null", "true"]).output().is_ok_and(|tried| tried.status.success()) {
            return Some(tracing());
        }
    }
    None
}

/// Lockscope under `strace`, which writes what it sees to `trace`; `None` where it cannot trace here.
fn traced(trace: &Path, state: &Path, arguments: &[&str]) -> Option<Command> {
    let Some(mut command) = strace() else {
        println!("not run: counting system calls: strace cannot trace here");
        return None;
    };
    command
        .arg(trace)
        .arg(env!("CARGO_BIN_EXE_lockscope"))
        .args(arguments)
        .env("LOCKSCOPE_STATE_DIR", state.join("state"))
        .env("LOCKSCOPE_CONFIG_DIR", state.join("config"))
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .stdin(Stdio::null());
    Some(command)
}

/// How often each call was made.
fn calls(trace: &Path) -> BTreeMap<String, i64> {
    let mut counts = BTreeMap::new();
    for line in std::fs::read_to_string(trace).expect("strace has written").lines() {
        // `PID call(…) = …`; a call that was interrupted by another thread's is told of twice.
        let call = line.split_ascii_whitespace().nth(1).and_then(|rest| rest.split_once('('));
        if let Some((call, _)) = call {
            *counts.entry(call.to_owned()).or_default() += 1;
        }
    }
    counts
}

fn counted(count: usize, content: &str) -> Option<BTreeMap<String, i64>> {
    let (locks, state) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    for number in 0..count {
        write(locks.path(), &format!("{number:05}_memory.lock"), content, 3600);
    }
    let trace = state.path().join("trace");
    let arguments = ["status", "--summary", locks.path().to_str().expect("text")];
    let output = traced(&trace, state.path(), &arguments)?.output().expect("strace was found before");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains(&format!("total {count}\n")), "{said}");
    Some(calls(&trace))
}

/// By how much each call grows with a thousand files more.
fn growth(content: &str) -> Option<BTreeMap<String, i64>> {
    let (few, many) = (counted(200, content)?, counted(1200, content)?);
    let grown = many.iter().map(|(call, count)| (call.clone(), count - few.get(call).copied().unwrap_or_default()));
    Some(grown.collect())
}

/// Once for each of a thousand files. How many processes the machine has meanwhile makes a few calls more or less.
fn is_once_each(count: i64) -> bool {
    (960..=1040).contains(&count)
}

/// Reading the names and asking for memory: a little for many files, nothing for each.
fn assert_little_else(growth: &BTreeMap<String, i64>, of_each: &[&str]) {
    // `fcntl`: a debug build asks of each descriptor whether it is open before it closes it.
    let few = |call: &str| !of_each.contains(&call) && call != "fcntl";
    for (call, count) in growth.iter().filter(|(call, _)| few(call)) {
        assert!(*count < 100, "{call} grows by {count} with 1,000 files: {growth:?}");
    }
}

#[test]
fn a_full_pass_opens_reads_stats_and_closes_each_file_once() {
    let Some(growth) = growth(ELSEWHERE) else { return };
    let of_each = ["openat", "pread64", "statx", "close"];
    for call in of_each {
        assert!(is_once_each(growth[call]), "{call}: {growth:?}");
    }
    assert_little_else(&growth, &of_each);
}

#[test]
fn an_empty_file_is_only_looked_at() {
    let Some(growth) = growth("") else { return };
    assert!(is_once_each(growth["statx"]), "{growth:?}");
    assert_little_else(&growth, &["statx"]);
}

#[test]
fn one_change_among_many_touches_no_other_file() {
    let (locks, state) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    const MANY: usize = 1500;
    for number in 0..MANY {
        write(locks.path(), &format!("old-{number:05}_memory.lock"), ELSEWHERE, 3600);
    }
    let trace = state.path().join("trace");
    let arguments = ["watch", "--json", locks.path().to_str().expect("text")];
    let Some(mut command) = traced(&trace, state.path(), &arguments) else { return };
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("strace was found before");
    let mut errors = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    errors.read_line(&mut line).expect("it says that it watches");
    assert!(line.starts_with("Watching "), "{line}");
    const CHANGES: usize = 5;
    for number in 0..CHANGES {
        let name = format!("new-{number}.lock");
        write(state.path(), &name, ELSEWHERE, 3600);
        std::fs::rename(state.path().join(&name), locks.path().join(&name)).expect("moved");
        line.clear();
        while !line.contains(&name) {
            line.clear();
            assert!(lines.read_line(&mut line).expect("a line") > 0, "it tells of {name}");
        }
    }
    // Who reads no more ends it with the next line; strace would go on without its child.
    drop(lines);
    write(locks.path(), "last.lock", "?", 0);
    let _ = child.wait();
    let traced = std::fs::read_to_string(&trace).expect("strace has written");
    let opened = |name: &str| traced.lines().filter(|line| line.contains("openat(") && line.contains(name)).count();
    let looked = |name: &str| traced.lines().filter(|line| line.contains("statx(") && line.contains(name)).count();
    assert_eq!(opened("\"old-"), MANY, "each of the others was opened once, when the watching began");
    assert_eq!(looked("\"old-"), 0, "and none was looked at again");
    for number in 0..CHANGES {
        let name = format!("\"new-{number}.lock\"");
        let touched = opened(&name) + looked(&name);
        assert!((1..=6).contains(&touched), "{name} was touched {touched} times");
    }
}
