//! Several directories at once, and directories with what is below them: real directories, real events.

mod support;

use lockscope::engine::Command;
use lockscope::engine::settings::{Settings, WatchedFolder};
use lockscope::engine::watched::Watched as Place;
use lockscope::inspect::{LookOptions, Looker, list_names};
use lockscope::model::ignore::IgnoreRules;
use lockscope::model::snapshot::{LostReason, PollingReason, Watching};
use lockscope::model::verdict::Verdict;
use lockscope::platform::{Directory, System, this_machine};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command as Program;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};
use support::{DEAD, DEADLINE, Process, Watched, run_apart, write};

const HOUR: u64 = 3600;

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

fn stale(directory: &Path, name: &str) -> PathBuf {
    write(directory, name, format!("{DEAD}\n"), HOUR)
}

fn place(watched: &Watched, path: &Path) -> Option<Place> {
    watched.engine.watched().iter().find(|place| place.directory() == path).cloned()
}

/// Waits until a directory, shown or not, is as told.
fn until(watched: &Watched, path: &Path, what: &str, so: impl Fn(&Place) -> bool) {
    watched.until(what, |_| place(watched, path).is_some_and(|place| so(&place)));
}

fn show(watched: &Watched, path: &Path) {
    watched.engine.send(Command::Watch(Some(path.to_owned())));
    watched.until("it is shown", |snapshot| *snapshot.directory == *path);
}

fn recursive(path: &Path) -> WatchedFolder {
    WatchedFolder { recursive: true, ..WatchedFolder::at(path) }
}

fn listed(watched: &Watched) -> Vec<String> {
    let snapshot = watched.engine.snapshot().expect("a picture");
    let mut names: Vec<String> = snapshot.locks().map(|lock| lock.display_path().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn counts_in_the_background_change_while_another_directory_is_shown() {
    let (a, b, state) = (directory(), directory(), directory());
    stale(a.path(), "a.lock");
    stale(b.path(), "b.lock");
    let watched = Watched::start(a.path(), state.path(), Settings::default());
    watched.engine.send(Command::WatchToo(vec![WatchedFolder::at(b.path())]));
    until(&watched, b.path(), "it is counted", |place| place.counts().of(Verdict::Stale) == 1 && !place.shown);
    stale(b.path(), "b2.lock");
    until(&watched, b.path(), "it is counted", |place| place.counts().of(Verdict::Stale) == 2);
    // What makes no event is seen in the background too.
    let mut holder = Process::shell(b.path(), "exec 9>held.lock; flock 9; echo ready; exec sleep 1000");
    until(&watched, b.path(), "held", |place| place.counts().of(Verdict::Held) == 1);
    holder.kill();
    until(&watched, b.path(), "not held any more", |place| place.counts().of(Verdict::Held) == 0);
    assert_eq!(listed(&watched), ["a.lock"], "what is shown is the other one");
    assert_eq!(watched.engine.watched().iter().filter(|place| place.shown).count(), 1);
}

/// This machine, whose directories can be made to wait.
struct Gate {
    real: Arc<dyn System>,
    closed: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn set(&self, closed: bool) {
        *self.closed.lock().expect("not poisoned") = closed;
        self.opened.notify_all();
    }
}

impl System for Gate {
    fn open_directory(&self, path: &Path) -> io::Result<Box<dyn Directory>> {
        let mut closed = self.closed.lock().expect("not poisoned");
        while *closed {
            closed = self.opened.wait(closed).expect("not poisoned");
        }
        drop(closed);
        self.real.open_directory(path)
    }
    crate::by_the_real_one!(wall monotonic host file_system lock_device kernel_locks look_at count_processes sweep open_paths);
}

#[test]
fn a_watched_directory_is_shown_at_once_with_its_own_listing_and_without_a_new_look() {
    let (a, b, state) = (directory(), directory(), directory());
    stale(a.path(), "a.lock");
    for name in ["b1.lock", "b2.lock"] {
        stale(b.path(), name);
    }
    let gate = Arc::new(Gate { real: this_machine(), closed: Mutex::default(), opened: Condvar::new() });
    let system = Arc::clone(&gate) as Arc<dyn System>;
    let watched = Watched::start_on(system, a.path(), state.path(), Settings::default());
    show(&watched, b.path());
    watched.until("both are there", |snapshot| snapshot.counts.of(Verdict::Stale) == 2);
    // From here on nobody can look at anything.
    gate.set(true);
    for (path, rows) in [(a.path(), 1), (b.path(), 2), (a.path(), 1)] {
        let before = place(&watched, path).expect("watched").generation();
        show(&watched, path);
        let snapshot = watched.engine.snapshot().expect("a picture");
        assert_eq!(snapshot.generation, before, "the picture that was there");
        let listing = watched.engine.listing();
        assert_eq!((listing.generation, listing.matching), (before, rows));
        assert!(place(&watched, path).expect("watched").shown);
    }
    gate.set(false);
    // And it goes on from there.
    stale(a.path(), "a2.lock");
    watched.until_verdict("a2.lock", "stale");
}

/// Who looks is held up until the kernel has thrown events away; what they told of is found all the same. The slow pass is a
/// day away.
#[test]
fn more_events_than_the_kernel_keeps_hide_no_change() {
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").expect("readable");
    let limit: usize = limit.trim().parse().expect("a number");
    if limit > 100_000 {
        println!("not run: a queue of {limit} events is too long to be filled here");
        return;
    }
    let (a, elsewhere, state) = (directory(), directory(), directory());
    stale(a.path(), "a.lock");
    let gate = Arc::new(Gate { real: this_machine(), closed: Mutex::default(), opened: Condvar::new() });
    let watched = Watched::start_on(Arc::clone(&gate) as _, a.path(), state.path(), Settings::default());
    watched.until_verdict("a.lock", "stale");
    gate.set(true);
    let (here, there) = (a.path().join("noise"), elsewhere.path().join("noise"));
    fs::write(&there, "").expect("written");
    // A look that was under way when the gate closed may take some of them: so twice as many.
    for _ in 0..=limit {
        fs::rename(&there, &here).expect("moved in");
        fs::rename(&here, &there).expect("moved out");
    }
    fs::remove_file(a.path().join("a.lock")).expect("removed");
    stale(a.path(), "late.lock");
    gate.set(false);
    watched.until_verdict("late.lock", "stale");
    watched.until_gone("a.lock");
    // And then events are heard as before.
    stale(a.path(), "later.lock");
    watched.until_verdict("later.lock", "stale");
}

#[test]
fn two_files_of_one_directory_are_one_directory_and_a_lost_one_stays() {
    let (a, b, state) = (directory(), directory(), directory());
    let file = stale(a.path(), "a.lock");
    let other = fs::write(a.path().join("notes"), "x").map(|()| a.path().join("notes")).expect("written");
    let watched = Watched::start(&file, state.path(), Settings::default());
    watched.engine.send(Command::Watch(Some(a.path().to_owned())));
    watched.engine.send(Command::WatchToo(vec![
        WatchedFolder::at(&other),
        WatchedFolder::at(a.path().join("a.lock")),
        WatchedFolder::at(b.path().join("gone")),
    ]));
    let all =
        || -> Vec<PathBuf> { watched.engine.watched().iter().map(|place| place.directory().to_owned()).collect() };
    watched.until("one of each", |_| all() == [a.path().to_owned(), b.path().join("gone")]);
    let gone = b.path().join("gone");
    let lost = Watching::Lost(LostReason::Gone);
    until(&watched, &gone, "it is said", |place| place.watching() == Some(&lost));
    // It comes back by itself.
    fs::create_dir(&gone).expect("made");
    stale(&gone, "x.lock");
    until(&watched, &gone, "it is back", |place| place.counts().of(Verdict::Stale) == 1);
    assert_eq!(listed(&watched), ["a.lock"], "what was shown still is");
}

/// What this process has: inotify watches, and threads that watch.
fn watches_and_threads() -> (usize, usize) {
    let mut watches = 0;
    for entry in fs::read_dir("/proc/self/fdinfo").expect("readable").flatten() {
        let text = fs::read_to_string(entry.path()).unwrap_or_default();
        watches += text.lines().filter(|line| line.starts_with("inotify ")).count();
    }
    let threads = fs::read_dir("/proc/self/task").expect("readable").flatten();
    let watching = threads.filter(|thread| {
        let name = fs::read_to_string(thread.path().join("comm")).unwrap_or_default();
        name.trim_end() == "watch"
    });
    (watches, watching.count())
}

fn until_true(what: &str, so: impl Fn() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// Not a test by itself: what [`a_directory_that_is_let_go_costs_nothing_any_more`] runs in a process of its own.
#[test]
fn let_go() {
    if std::env::var_os("LOCKSCOPE_TEST_ALONE").is_none() {
        return;
    }
    let (a, b, state) = (directory(), directory(), directory());
    for below in ["x", "y", "z"] {
        fs::create_dir(b.path().join(below)).expect("made");
    }
    let watched = Watched::start(a.path(), state.path(), Settings::default());
    assert_eq!(watches_and_threads(), (1, 1), "the watch of one, and its thread");
    watched.engine.send(Command::WatchToo(vec![recursive(b.path())]));
    until(&watched, b.path(), "it is live", |place| place.watching() == Some(&Watching::Live));
    assert_eq!(watches_and_threads(), (5, 2));
    // With fewer subfolders, fewer watches.
    let ignore = Some(vec!["y".to_owned()]);
    watched.engine.send(Command::SetSubfolders(WatchedFolder { ignore, ..recursive(b.path()) }));
    until_true("a watch less", || watches_and_threads() == (4, 2));
    watched.engine.send(Command::Unwatch(b.path().to_owned()));
    watched.until("it is let go", |_| place(&watched, b.path()).is_none());
    until_true("its watches and threads end", || watches_and_threads() == (1, 1));
    stale(a.path(), "a.lock");
    watched.until_verdict("a.lock", "stale");
    // The last one leaves nothing, and nothing is shown.
    watched.engine.send(Command::Unwatch(a.path().to_owned()));
    until_true("nothing is shown", || watched.engine.snapshot().is_none() && watched.engine.watched().is_empty());
    until_true("nothing is left", || watches_and_threads() == (0, 0));
}

#[test]
fn a_directory_that_is_let_go_costs_nothing_any_more() {
    run_apart("-Ur", "let_go", "LOCKSCOPE_TEST_ALONE");
}

#[test]
fn when_the_one_that_is_shown_is_let_go_its_neighbour_is_shown() {
    let (a, b, c, state) = (directory(), directory(), directory(), directory());
    let watched = Watched::start(a.path(), state.path(), Settings::default());
    for other in [b.path(), c.path()] {
        show(&watched, other);
    }
    watched.engine.send(Command::Unwatch(c.path().to_owned()));
    watched.until("the one above the last", |snapshot| *snapshot.directory == *b.path());
    show(&watched, a.path());
    watched.engine.send(Command::Unwatch(a.path().to_owned()));
    watched.until("the one that took its place", |snapshot| *snapshot.directory == *b.path());
}

fn with_subfolders(top: &Path, ignore: &[&str]) -> Settings {
    let ignore = Some(ignore.iter().map(|rule| (*rule).to_owned()).collect());
    Settings { watched: vec![WatchedFolder { ignore, ..recursive(top) }], ..Settings::default() }
}

#[test]
fn subfolders_are_entered_but_for_those_that_are_passed_over() {
    let (top, state) = (directory(), directory());
    for below in ["a/b", "node_modules/deep", "a/node_modules"] {
        fs::create_dir_all(top.path().join(below)).expect("made");
        stale(&top.path().join(below), "x.lock");
    }
    stale(top.path(), "top.lock");
    let watched = Watched::start(top.path(), state.path(), with_subfolders(top.path(), &["node_modules"]));
    watched.until_verdict("a/b/x.lock", "stale");
    assert_eq!(listed(&watched), ["a/b/x.lock", "top.lock"]);
    // Other rules, another picture; a rule is about folders alone.
    let folder = WatchedFolder { ignore: Some(vec!["*.lock".to_owned(), "/a".to_owned()]), ..recursive(top.path()) };
    watched.engine.send(Command::SetSubfolders(folder));
    watched.until_gone("a/b/x.lock");
    watched.until_verdict("node_modules/deep/x.lock", "stale");
    assert_eq!(listed(&watched), ["node_modules/deep/x.lock", "top.lock"]);
    watched.engine.send(Command::SetSubfolders(WatchedFolder::at(top.path())));
    watched.until_gone("node_modules/deep/x.lock");
    assert_eq!(listed(&watched), ["top.lock"]);
}

#[test]
fn what_happens_in_new_subfolders_is_heard() {
    new_subfolders(directory().path(), false);
}

/// Not a test by itself: what [`each_new_subfolder_has_its_watch`] runs in a process of its own.
#[test]
fn new_subfolders_alone() {
    if std::env::var_os("LOCKSCOPE_TEST_ALONE").is_some() {
        new_subfolders(directory().path(), true);
    }
}

#[test]
fn each_new_subfolder_has_its_watch() {
    run_apart("-Ur", "new_subfolders_alone", "LOCKSCOPE_TEST_ALONE");
}

/// The slow pass is a day away. But somebody's kernel lock anywhere can make us look for new names, so in a process of its
/// own the watches are counted too.
fn new_subfolders(top: &Path, alone: bool) {
    let state = directory();
    let watched = Watched::start(top, state.path(), with_subfolders(top, &["skipped"]));
    let at = |below: &str| top.join(below);
    // Events come in their order: once this one was answered, all before it were, and no full pass is under way.
    let settled = |name: &str| {
        stale(top, name);
        watched.until_verdict(name, "stale");
    };
    let watches = |count: usize| {
        if alone {
            until_true("each folder has its watch", || watches_and_threads().0 == count);
        }
    };
    fs::create_dir_all(at("p/q/r")).expect("made");
    stale(&at("p/q/r"), "1.lock");
    watched.until_verdict("p/q/r/1.lock", "stale");
    watches(4);
    stale(&at("p/q"), "2.lock");
    watched.until_verdict("p/q/2.lock", "stale");
    // Another folder at the same place, made at once: it may have the same number.
    fs::remove_dir_all(at("p/q")).expect("removed");
    fs::create_dir(at("p/q")).expect("made");
    watched.until_gone("p/q/r/1.lock");
    settled("settled-1.lock");
    watches(3);
    stale(&at("p/q"), "3.lock");
    watched.until_verdict("p/q/3.lock", "stale");
    // Moved with what is in it.
    fs::rename(at("p"), at("moved")).expect("moved");
    watched.until_verdict("moved/q/3.lock", "stale");
    watched.until_gone("p/q/3.lock");
    settled("settled-2.lock");
    watches(3);
    stale(&at("moved/q"), "4.lock");
    watched.until_verdict("moved/q/4.lock", "stale");
    // What is passed over is not heard of, and does not disturb.
    fs::create_dir(at("skipped")).expect("made");
    stale(&at("skipped"), "5.lock");
    fs::remove_dir_all(at("moved")).expect("removed");
    watched.until_gone("moved/q/4.lock");
    assert_eq!(listed(&watched), ["settled-1.lock", "settled-2.lock"]);
}

#[test]
fn no_link_leads_out_of_the_tree_or_round_in_it() {
    let (top, outside, state) = (directory(), directory(), directory());
    stale(outside.path(), "secret.lock");
    fs::create_dir(top.path().join("a")).expect("made");
    stale(&top.path().join("a"), "x.lock");
    let link = |to: &Path, name: &str| std::os::unix::fs::symlink(to, top.path().join(name)).expect("linked");
    link(top.path(), "a/loop");
    link(outside.path(), "way-out");
    link(Path::new("nowhere"), "dangling");
    let watched = Watched::start(top.path(), state.path(), with_subfolders(top.path(), &[]));
    watched.until_verdict("a/x.lock", "stale");
    assert_eq!(listed(&watched), ["a/x.lock"]);
    assert!(watched.engine.snapshot().expect("a picture").problems.is_empty());
    // A folder that turns into a link while it is watched.
    fs::rename(top.path().join("a"), top.path().join("b")).expect("moved");
    link(outside.path(), "a");
    watched.until_verdict("b/x.lock", "stale");
    watched.until_gone("a/x.lock");
    assert_eq!(listed(&watched), ["b/x.lock"]);
}

/// Not a test by itself: what [`mounts_in_the_tree_are_entered_once_and_what_the_kernel_makes_up_never`] runs.
#[test]
fn with_mounts() {
    if std::env::var_os("LOCKSCOPE_TEST_MAY_MOUNT").is_none() {
        return;
    }
    let top = directory();
    let at = |below: &str| top.path().join(below);
    for below in ["a", "kernel", "disk", "again"] {
        fs::create_dir(at(below)).expect("made");
    }
    let mount = |arguments: &[&OsStr]| {
        assert!(Program::new("mount").args(arguments).status().expect("it runs").success(), "mount {arguments:?}");
    };
    let os = OsStr::new;
    mount(&[os("--rbind"), os("/proc"), at("kernel").as_os_str()]);
    mount(&[os("-t"), os("tmpfs"), os("tmpfs"), at("disk").as_os_str()]);
    stale(&at("disk"), "other.lock");
    stale(&at("a"), "x.lock");
    mount(&[os("--bind"), top.path().as_os_str(), at("again").as_os_str()]);
    let system = this_machine();
    let opened = system.open_directory(top.path()).expect("opened");
    let options = LookOptions { recursive: true, ignore: IgnoreRules::default(), ..LookOptions::default() };
    let looker = Looker::new(&system, &*opened, &options, None);
    let mut names = list_names(&*opened, &looker, &options).expect("listed");
    names.listed.sort();
    names.directories.sort();
    assert_eq!(names.listed, ["a/x.lock", "disk/other.lock"]);
    assert_eq!(names.directories, ["a", "disk"]);
    let problems: Vec<_> = names.problems.iter().map(|problem| problem.path.clone()).collect();
    assert_eq!(problems, [PathBuf::from("again")], "the tree within itself is said, and not entered");
}

#[test]
fn mounts_in_the_tree_are_entered_once_and_what_the_kernel_makes_up_never() {
    run_apart("-Urm", "with_mounts", "LOCKSCOPE_TEST_MAY_MOUNT");
}

/// Not a test by itself: what [`without_watches_for_all_subfolders_the_tree_is_polled`] runs.
#[test]
fn few_watches() {
    if std::env::var_os("LOCKSCOPE_TEST_FEW_WATCHES").is_none() {
        return;
    }
    let limit = "/proc/sys/user/max_inotify_watches";
    fs::write(limit, "4").expect("the namespace's own limit");
    let (top, state) = (directory(), directory());
    for at in 0..8 {
        fs::create_dir(top.path().join(format!("{at}"))).expect("made");
    }
    let watched = Watched::start(top.path(), state.path(), with_subfolders(top.path(), &[]));
    let polling = Watching::Polling(PollingReason::OutOfWatches);
    watched.until("it is said", |snapshot| snapshot.watching == polling);
    assert_eq!(watches_and_threads().0, 1, "those that do not help are given back");
    stale(&top.path().join("7"), "x.lock");
    watched.until_verdict("7/x.lock", "stale");
    assert_eq!(watched.engine.snapshot().expect("a picture").watching, polling);
    fs::write(limit, "100").expect("raised");
    watched.engine.send(Command::Rescan);
    watched.until("events are back", |snapshot| snapshot.watching == Watching::Live);
    assert_eq!(watches_and_threads().0, 9);
}

#[test]
fn without_watches_for_all_subfolders_the_tree_is_polled() {
    run_apart("-Ur", "few_watches", "LOCKSCOPE_TEST_FEW_WATCHES");
}

/// Not a test by itself: what [`a_subfolder_that_may_not_be_read_is_said_and_the_others_live`] runs as another user.
#[test]
fn without_permission() {
    let Some(top) = std::env::var_os("LOCKSCOPE_TEST_NO_PERMISSION").map(PathBuf::from) else { return };
    let state = top.join("state");
    let watched = Watched::start(&top.join("locks"), &state, with_subfolders(&top.join("locks"), &[]));
    watched.until_verdict("open/x.lock", "stale");
    assert_eq!(listed(&watched), ["open/x.lock"]);
    let snapshot = watched.engine.snapshot().expect("a picture");
    let problems: Vec<_> = snapshot.problems.iter().map(|problem| problem.path.clone()).collect();
    assert_eq!(problems, [PathBuf::from("closed")]);
    assert_eq!(snapshot.watching, Watching::Live);
    stale(&top.join("locks/open"), "y.lock");
    watched.until_verdict("open/y.lock", "stale");
}

#[test]
fn a_subfolder_that_may_not_be_read_is_said_and_the_others_live() {
    use std::os::unix::fs::{PermissionsExt as _, chown};
    if !rustix::process::geteuid().is_root() {
        println!("not run: a closed subfolder: only root can be another user");
        return;
    }
    let top = directory();
    let (locks, user) = (top.path().join("locks"), Some(65534));
    for below in ["locks/open", "locks/closed", "state"] {
        fs::create_dir_all(top.path().join(below)).expect("made");
    }
    stale(&locks.join("open"), "x.lock");
    stale(&locks.join("closed"), "hidden.lock");
    for path in [top.path(), &locks, &locks.join("open"), &locks.join("open/x.lock"), &top.path().join("state")] {
        chown(path, user, user).expect("given away");
    }
    fs::set_permissions(locks.join("closed"), fs::Permissions::from_mode(0o700)).expect("closed");
    // The build's own directory may be closed to others.
    let program = top.path().join("program");
    support::copy_program(std::env::current_exe().expect("a path"), &program);
    let ended = Program::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .arg(&program)
        .args(["--exact", "without_permission", "--nocapture"])
        .env("LOCKSCOPE_TEST_NO_PERMISSION", top.path())
        .env("TMPDIR", top.path())
        .output()
        .expect("it runs");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    assert!(String::from_utf8_lossy(&ended.stdout).contains("1 passed"), "it ran");
}

/// Runs the program in a directory, with settings of its own; gives its JSON and its code.
fn run(top: &Path, state: &Path, arguments: &[&str]) -> (Option<i32>, serde_json::Value) {
    let ended = Program::new(env!("CARGO_BIN_EXE_lockscope"))
        .args(arguments)
        .current_dir(top)
        .env("LOCKSCOPE_STATE_DIR", state.join("state"))
        .env("LOCKSCOPE_CONFIG_DIR", state.join("config"))
        .stdin(std::process::Stdio::null())
        .output()
        .expect("it runs");
    (ended.status.code(), serde_json::from_slice(&ended.stdout).unwrap_or_default())
}

fn paths(report: &serde_json::Value, key: &str) -> Vec<String> {
    let list = report[key].as_array().into_iter().flatten();
    list.filter_map(|entry| entry["path"].as_str().map(str::to_owned)).collect()
}

#[test]
fn the_command_line_goes_below_only_where_it_is_told_and_not_where_it_is_told_not_to() {
    let (top, state) = (directory(), directory());
    for below in ["a", "b", "node_modules"] {
        fs::create_dir(top.path().join(below)).expect("made");
        stale(&top.path().join(below), "x.lock");
    }
    stale(top.path(), "top.lock");
    // What the window remembers of a folder is the window's.
    let remembered = Settings { watched: vec![recursive(top.path())], ..Settings::default() };
    lockscope::engine::settings::save(&state.path().join("config"), &remembered).expect("saved");
    let status =
        |more: &[&str]| paths(&run(top.path(), state.path(), &[&["status", "--json"], more].concat()).1, "locks");
    assert_eq!(status(&[]), ["top.lock"]);
    assert_eq!(status(&["--recursive"]), ["a/x.lock", "b/x.lock", "top.lock"]);
    assert_eq!(
        status(&["-r", "--ignore", "b", "--ignore", "!node_modules"]),
        ["a/x.lock", "node_modules/x.lock", "top.lock"]
    );

    let clear = |more: &[&str]| run(top.path(), state.path(), &[&["clear", "--yes", "--json"], more].concat());
    assert_eq!(clear(&["x.lock", "--recursive"]).0, Some(2), "a name says where it is");
    let (code, report) = clear(&["--stale", "--recursive", "--ignore", "b"]);
    assert_eq!((code, paths(&report, "cleared")), (Some(0), vec!["a/x.lock".to_owned(), "top.lock".to_owned()]));
    for (path, there) in [("a/x.lock", false), ("b/x.lock", true), ("node_modules/x.lock", true)] {
        assert_eq!(top.path().join(path).exists(), there, "{path}");
    }
}

#[test]
fn places_are_offered_where_they_are_and_may_be_read() {
    use lockscope::engine::places::{Bases, find};
    let top = directory();
    let real = fs::canonicalize(top.path()).expect("it is there");
    let at = |below: &str| real.join(below);
    for below in ["repo/.git/worktrees/w", "repo/deep/down", "repo/deep/storage/locks", "w", "home/.gnupg", "hub"] {
        fs::create_dir_all(at(below)).expect("made");
    }
    fs::write(at("home/.cargo"), "a file of that name is no place").expect("written");
    let bases = |here: &str| Bases {
        here: at(here),
        home: Some(at("home")),
        variables: vec![("HF_HOME", at("hub"))],
        ..Bases::default()
    };
    let ours = |here: &str| -> Vec<(&'static str, PathBuf)> {
        let found = find(&*this_machine(), &bases(here));
        let found = found.into_iter().filter(|place| place.folder.path.starts_with(&real));
        found.map(|place| (place.title, place.folder.path)).collect()
    };
    let usual = [("Hugging Face cache", at("hub")), ("GnuPG", at("home/.gnupg"))];
    assert_eq!(ours("home"), usual);
    let git = |path| ("This git repository", at(path));
    assert_eq!(ours("repo/deep/down"), [&[git("repo/.git")][..], &usual].concat());
    let locks = ("storage/locks", at("repo/deep/storage/locks"));
    assert_eq!(ours("repo/deep"), [&[git("repo/.git"), locks][..], &usual].concat());
    // A worktree's .git is a file that says where.
    fs::write(at("w/.git"), "gitdir: ../repo/.git/worktrees/w\n").expect("written");
    assert_eq!(ours("w"), [&[git("repo/.git/worktrees/w")][..], &usual].concat());
    // How one is watched: its own rules come after the usual ones.
    let found = find(&*this_machine(), &bases("repo"));
    let ignore = found[0].folder.ignore.clone().expect("rules of its own");
    assert!(
        found[0].folder.recursive
            && ignore.contains(&"/objects".to_owned())
            && ignore.contains(&"node_modules".to_owned())
    );
}
