//! CLEARING.md section 8, scenario 23, with git itself: an `index.lock` that a killed git has left.

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use support::{Process, set_age};

fn git(directory: &Path, arguments: &[&str]) -> Output {
    let who = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
    Command::new("git").args(who).args(arguments).current_dir(directory).output().expect("git runs")
}

#[test]
fn what_a_killed_git_left_is_cleared_and_git_works_again() {
    let base = tempfile::tempdir().expect("a directory");
    let tree = base.path().join("tree");
    fs::create_dir(&tree).expect("a directory");
    let works = |arguments: &[&str]| {
        let ended = git(&tree, arguments);
        assert!(ended.status.success(), "git {arguments:?}: {ended:?}");
    };
    works(&["init", "-q"]);
    fs::write(tree.join("f"), "1").expect("written");
    works(&["add", "f"]);
    works(&["commit", "-qm", "1"]);
    fs::write(tree.join("f"), "2").expect("written");
    let editor =
        "git -c user.name=t -c user.email=t@example.org -c core.editor='sh -c \"echo ready; sleep 1000\"' commit -qa";
    let mut commit = Process::shell(&tree, &format!("exec {editor}"));
    let lockscope = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_lockscope"))
            .args(arguments)
            .current_dir(tree.join(".git"))
            .env("LOCKSCOPE_STATE_DIR", base.path().join("state"))
            .env("LOCKSCOPE_CONFIG_DIR", base.path().join("config"))
            .env("XDG_RUNTIME_DIR", base.path())
            .stdin(Stdio::null())
            .output()
            .expect("the program runs")
    };
    let clear = ["clear", "index.lock", "--yes"];

    let refused = lockscope(&clear);
    assert_eq!(refused.status.code(), Some(1), "git is in its editor: {refused:?}");
    commit.kill();
    let lock = tree.join(".git/index.lock");
    set_age(&lock, Duration::from_mins(25));
    let content = fs::read(&lock).expect("it is left");
    let blocked =
        |said: &Output| !said.status.success() && String::from_utf8_lossy(&said.stderr).contains("File exists");
    let add = git(&tree, &["add", "f"]);
    assert!(blocked(&add), "{add:?}");

    let bulk = lockscope(&["clear", "--stale", "--yes"]);
    assert!(lock.exists(), "what names no owner is cleared by its name only: {bulk:?}");
    let cleared = lockscope(&clear);
    assert!(cleared.status.success(), "{cleared:?}");
    assert!(!lock.exists());
    works(&["add", "f"]);
    works(&["fsck", "--strict"]);

    let undone = lockscope(&["undo"]);
    assert!(undone.status.success(), "{undone:?}");
    assert_eq!(fs::read(&lock).expect("it is back"), content);
    let add = git(&tree, &["add", "f"]);
    assert!(blocked(&add), "{add:?}");
}
