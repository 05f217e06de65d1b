//! The real program from outside: read and used through AT-SPI as by a blind operator, by a real mouse and keyboard, and by
//! a real drop of folders. What happened is asked of the file system, not of the program.

mod session;
#[path = "../support/mod.rs"]
mod support;

use serde_json::{Value, json};
use session::{Session, missing, until};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use support::{DEAD, write};

/// Says so where this machine cannot do it.
fn can_run(what: &str) -> bool {
    match missing() {
        Some(why) => {
            println!("not run: {what}: {why}");
            false
        }
        None => true,
    }
}

/// The demo in a session, and its directory.
fn demo() -> (Session, PathBuf) {
    let session = Session::start(&[OsStr::new("demo")], "stale. lockscope-demo-");
    let title = session.title();
    let name = title.split_whitespace().find(|word| word.starts_with("lockscope-demo-")).expect("its name");
    let directory = std::env::temp_dir().join(name);
    assert!(directory.is_dir(), "{title}");
    (session, directory)
}

fn button(name: &str) -> Value {
    json!({"role": "push button", "name": name})
}

fn row(start: &str) -> Value {
    json!({"role": "table row", "starts": start})
}

/// What can be pressed or typed into, and has no name to be told by.
fn nameless(tree: &[Value]) -> Vec<&Value> {
    let speaks = ["push button", "toggle button", "check box", "radio button", "entry", "table row", "dialog", "frame"];
    tree.iter()
        .filter(|node| speaks.contains(&node["role"].as_str().unwrap_or_default()))
        .filter(|node| node["name"].as_str().unwrap_or_default().trim().is_empty())
        .collect()
}

#[test]
fn a_blind_operator_clears_a_stale_lock_and_puts_it_back() {
    if !can_run("the window through a screen reader's eyes") {
        return;
    }
    let (mut session, directory) = demo();
    let lock = directory.join("b7702_all.lock");
    let record = std::fs::read(&lock).expect("it is there");
    // The window tells what it is about, and each row what stands in it: verdict, name, holder, age.
    session.see(json!({"role": "frame", "holds": "stale"}));
    session.see(json!({"role": "table"}));
    let stale = session.see(row("Stale, b7702_all.lock, PID "));
    let words = stale["name"].as_str().unwrap_or_default().to_owned();
    assert!(words.contains(", 3 h 1"), "its age: {words}");
    let tree = session.tree();
    assert_eq!(nameless(&tree), [&Value::Null; 0], "everything that can be used has a name");

    // Choose it, hear why, ask to clear it.
    session.press(row("Stale, b7702_all.lock"));
    session.see(json!({"role": "table row", "starts": "Stale, b7702_all.lock", "state": "selected"}));
    session.see(json!({"starts": "Owner PID ", "holds": "stale after 10 min"}));
    session.press(button("Clear…"));
    session.see(json!({"role": "dialog", "holds": "Clear this lock?"}));
    session.see(json!({"holds": "Everything is checked once more at the moment you confirm."}));
    session.see(json!({"role": "push button", "name": "Cancel", "state": "focused"}));
    let tree = session.tree();
    assert_eq!(nameless(&tree), [&Value::Null; 0], "in the dialog too");
    session.press(button("Clear 1 lock"));
    session.hear("1 lock cleared. It was checked again first.");
    assert!(!lock.exists(), "it is gone from the disk");
    // At once: the line with Undo goes after 20 s.
    session.press(json!({"role": "push button", "starts": "Undo"}));
    session.hear("1 lock put back as it was before.");
    session.see(row("Stale, b7702_all.lock"));
    assert_eq!(std::fs::read(&lock).expect("it is back"), record);
}

#[test]
fn a_mouse_and_a_keyboard_clear_a_stale_lock_and_put_it_back() {
    if !can_run("the window under a real mouse and keyboard") {
        return;
    }
    let (mut session, directory) = demo();
    let lock = directory.join("b7702_all.lock");
    let record = std::fs::read(&lock).expect("it is there");
    session.until_title("(3 stale) lockscope-demo-");
    session.see(row("Idle, a41f9.lock"));
    session.click(json!({"role": "toggle button", "name": "Stale 3"}));
    session.gone(row("Idle, a41f9.lock"));
    session.keys(&["slash"]);
    session.see(json!({"role": "entry", "name": "Search", "state": "focused"}));
    session.xdotool(&["type", "--delay", "20", "b7702"]);
    session.gone(row("Stale, a41f9_memory.lock"));
    session.see(row("Stale, b7702_all.lock"));
    // Escape empties the search; the arrows go over the rows.
    session.keys(&["Escape"]);
    session.see(row("Stale, a41f9_memory.lock"));
    for (key, chosen) in [
        ("Down", "a41f9_memory"),
        ("Down", "b7702_all"),
        ("Down", "b7702_uploaded_documents_list"),
        ("Up", "b7702_all"),
    ] {
        session.keys(&[key]);
        let name = format!("Stale, {chosen}.lock");
        session.see(json!({"role": "table row", "starts": name, "state": "selected"}));
    }
    session.keys(&["Delete"]);
    session.see(button("Clear 1 lock"));
    assert!(lock.exists(), "not yet");
    session.click(button("Clear 1 lock"));
    until("the file is gone", || !lock.exists());
    session.until_title("(2 stale) lockscope-demo-");
    session.keys(&["ctrl+z"]);
    until("the file is back", || lock.exists());
    session.until_title("(3 stale) lockscope-demo-");
    assert_eq!(std::fs::read(&lock).expect("it is back"), record);
}

/// The path that docs/WINDOW.md tells a newcomer, with the mouse alone.
#[test]
fn a_newcomer_clears_the_demos_stuck_lock_in_three_clicks() {
    if !can_run("the newcomer's path under a real mouse") {
        return;
    }
    let (mut session, directory) = demo();
    let lock = directory.join("a41f9_memory.lock");
    session.see(json!({"role": "push button", "name": "Clear stale (3)…"}));
    let start = std::time::Instant::now();
    session.click(row("Stale, a41f9_memory.lock"));
    session.see(json!({"starts": "Owner PID ", "holds": "stale after 10 min"}));
    session.click(button("Clear…"));
    session.click(button("Clear 1 lock"));
    until("the file is gone", || !lock.exists());
    println!("three clicks and what they wait for took {} ms", start.elapsed().as_millis());
    session.see(json!({"starts": "1 lock cleared."}));
    session.click(json!({"role": "push button", "starts": "Undo"}));
    until("the file is back", || lock.exists());
}

/// A desktop finds the program by it.
#[test]
fn the_desktop_entry_is_valid() {
    let entry = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/lockscope.desktop");
    match std::process::Command::new("desktop-file-validate").arg(entry).output() {
        Ok(said) => assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout)),
        Err(error) => println!("not run: the desktop entry's check: desktop-file-validate: {error}"),
    }
}

#[test]
fn folders_and_files_are_dropped_as_from_a_file_manager() {
    if !can_run("a real drop of a folder") {
        return;
    }
    let place = tempfile::tempdir().expect("a directory");
    let folder = |name: &str| {
        let path = place.path().join(name);
        std::fs::create_dir(&path).expect("made");
        write(&path, "a.lock", format!("{DEAD}\n"), 3600);
        path
    };
    let (first, other) = (folder("Sperren für März 100%"), folder("other"));
    let mut session = Session::start(&[place.path().as_os_str()], "Lockscope$");
    session.drag_and_drop(std::slice::from_ref(&first));
    session.until_title("(1 stale) Sperren für März 100% - Lockscope");
    // Of several the first is shown.
    session.drag_and_drop(&[other.clone(), first.clone()]);
    session.until_title("(1 stale) other - Lockscope");
    // A file stands for the folder that it is in, and is chosen there.
    write(&first, "b.lock", format!("{DEAD}\n"), 3600);
    session.drag_and_drop(&[Path::new(&first).join("b.lock")]);
    session.until_title("(2 stale) Sperren für März 100% - Lockscope");
    session.see(json!({"role": "table row", "starts": "Stale, b.lock", "state": "selected"}));
}
