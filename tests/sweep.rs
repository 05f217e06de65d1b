//! Many at once, and by itself: real files, real processes, real signals.

mod support;

use lockscope::engine::bulk::Came;
use lockscope::engine::settings::{Settings, WatchedFolder};
use lockscope::engine::sweep::{Act, Hands, PutBack, Sweep};
use lockscope::engine::{Command, Event};
use lockscope::model::kernel::KernelLock;
use lockscope::model::snapshot::Lock;
use lockscope::platform::{System, this_machine};
use rustix::fs::inotify;
use rustix::process::{Signal, kill_process};
use serde_json::Value;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use support::{DEAD, Process, Watched, look_at, write};

const HOUR: u64 = 3600;

fn stale(directory: &Path, count: usize) -> Vec<PathBuf> {
    (0..count).map(|at| write(directory, &format!("{at:03}.pid"), format!("{DEAD}\n"), HOUR)).collect()
}

fn cleared(acts: &[Act]) -> Vec<String> {
    let name =
        |act: &Act| if let Act::Cleared { path, .. } = act { Some(path.to_string_lossy().into_owned()) } else { None };
    acts.iter().filter_map(name).collect()
}

/// This machine, with a gate before the kernel's table: each recheck asks for it, so a clear can be held at a lock.
struct Gate {
    real: Arc<dyn System>,
    closed: Mutex<bool>,
    opened: Condvar,
    waiting: crossbeam_channel::Sender<()>,
}

impl Gate {
    fn close(&self) {
        *self.closed.lock().expect("not poisoned") = true;
    }

    fn open(&self) {
        *self.closed.lock().expect("not poisoned") = false;
        self.opened.notify_all();
    }
}

impl System for Gate {
    fn kernel_locks(&self) -> io::Result<Vec<KernelLock>> {
        if std::thread::current().name() == Some("worker") {
            let mut closed = self.closed.lock().expect("not poisoned");
            while *closed {
                let _ = self.waiting.try_send(());
                closed = self.opened.wait(closed).expect("not poisoned");
            }
        }
        self.real.kernel_locks()
    }
    crate::by_the_real_one!(wall monotonic host file_system lock_device look_at count_processes sweep open_paths open_directory);
}

fn shown(watched: &Watched) -> (Arc<Path>, Vec<Arc<Lock>>) {
    let snapshot = watched.engine.snapshot().expect("a picture");
    let mut seen: Vec<Arc<Lock>> = snapshot.locks().cloned().collect();
    seen.sort_by(|a, b| a.path.cmp(&b.path));
    (Arc::clone(&snapshot.directory), seen)
}

#[test]
fn a_clear_of_many_is_stopped_between_two_and_tells_what_is_left() {
    let directory = tempfile::tempdir().expect("a directory");
    let state = tempfile::tempdir().expect("a directory");
    let paths = stale(directory.path(), 5);
    let (waiting, waits) = crossbeam_channel::bounded(1);
    let gate = Arc::new(Gate { real: this_machine(), closed: Mutex::default(), opened: Condvar::new(), waiting });
    let system = Arc::clone(&gate) as Arc<dyn System>;
    let watched = Watched::start_on(system, directory.path(), state.path(), Settings::default());
    let (directory, seen) = shown(&watched);
    gate.close();
    watched.engine.send(Command::Clear { directory, seen });
    // The first lock is being rechecked.
    waits.recv_timeout(support::DEADLINE).expect("it is at the first lock");
    watched.engine.send(Command::StopClearing);
    // Commands are obeyed in their order: once this one has been, the stop has been too.
    watched.engine.send(Command::SetThreshold(Duration::from_mins(7)));
    watched.until("the stop has been heard", |snapshot| snapshot.threshold == Duration::from_mins(7));
    gate.open();
    let mut progress = Vec::new();
    let (outcomes, left) = loop {
        match watched.event() {
            Event::Clearing(at) => progress.push((at.done, at.total)),
            Event::Cleared { outcomes, left } => break (outcomes, left),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(progress, [(0, 5), (1, 5)]);
    assert_eq!((outcomes.len(), left), (1, 4), "{outcomes:?}");
    assert!(outcomes[0].result.is_ok(), "the one that was begun is finished: {outcomes:?}");
    assert_eq!(paths.iter().map(|path| path.exists()).collect::<Vec<_>>(), [false, true, true, true, true]);
    // The next clear is not stopped by it.
    let (directory, seen) = {
        watched.until_gone("000.pid");
        shown(&watched)
    };
    watched.engine.send(Command::Clear { directory, seen });
    let left = loop {
        if let Event::Cleared { left, .. } = watched.event() {
            break left;
        }
    };
    assert_eq!((left, paths.iter().any(|path| path.exists())), (0, false));
}

#[test]
fn the_window_sweeps_only_when_told_and_leaves_what_was_put_back() {
    let directory = tempfile::tempdir().expect("a directory");
    let state = tempfile::tempdir().expect("a directory");
    let paths = stale(directory.path(), 2);
    write(directory.path(), "young.pid", format!("{DEAD}\n"), 0);
    let watched = Watched::start(directory.path(), state.path(), Settings::default());
    watched.engine.send(sweep(directory.path(), Some(50)));
    assert!(matches!(watched.event(), Event::Sweeping(on) if on.len() == 1 && *on[0].directory == *directory.path()));
    let acts = match watched.event() {
        Event::Swept { acts, .. } => acts,
        other => panic!("{other:?}"),
    };
    assert_eq!(cleared(&acts), ["000.pid", "001.pid"]);
    assert!(!paths[0].exists() && directory.path().join("young.pid").exists());
    // A person puts one back: it stays, however many rounds there are.
    let id = acts.iter().find_map(|act| if let Act::Cleared { id, .. } = act { Some(id.clone()) } else { None });
    watched.engine.send(Command::Undo { ids: vec![id.expect("one was cleared")] });
    let mut spared = false;
    let mut undone = false;
    while !(spared && undone) {
        match watched.event() {
            Event::Undone { outcomes } => undone = outcomes[0].result.is_ok(),
            Event::Swept { acts, .. } => {
                assert_eq!(acts, [Act::Spared { path: "000.pid".into() }]);
                spared = true;
            }
            other => panic!("{other:?}"),
        }
    }
    // A round later, the next stale lock goes and that one still does not.
    write(directory.path(), "next.pid", format!("{DEAD}\n"), HOUR);
    assert!(matches!(watched.event(), Event::Swept { acts, .. } if cleared(&acts) == ["next.pid"]));
    assert!(paths[0].exists());
    // While another directory is shown it goes on here, and nothing of the other one goes.
    let other = tempfile::tempdir().expect("a directory");
    let stays = stale(other.path(), 1);
    watched.engine.send(Command::Watch(Some(other.path().to_owned())));
    watched.until_verdict("000.pid", "stale");
    write(directory.path(), "later.pid", format!("{DEAD}\n"), HOUR);
    match watched.event() {
        Event::Swept { directory: at, acts } => {
            assert_eq!((&*at, cleared(&acts)), (directory.path(), vec!["later.pid".to_owned()]));
        }
        other => panic!("{other:?}"),
    }
    assert!(stays[0].exists());
    // Each has its own switch.
    watched.engine.send(sweep(other.path(), Some(50)));
    assert!(matches!(watched.event(), Event::Sweeping(on) if on.len() == 2));
    let told = watched.event();
    assert!(matches!(&told, Event::Swept { directory: at, .. } if **at == *other.path()), "{told:?}");
    watched.engine.send(sweep(other.path(), None));
    // A round that was under way may still have something to tell.
    let told = loop {
        match watched.event() {
            Event::Swept { directory: at, .. } if *at == *other.path() => {}
            event => break event,
        }
    };
    assert!(matches!(told, Event::Sweeping(on) if on.len() == 1 && *on[0].directory == *directory.path()));
    // With the watching it ends, and that is said.
    watched.engine.send(Command::Unwatch(directory.path().to_owned()));
    assert_eq!(watched.event(), Event::Sweeping(Vec::new()));
    assert!(matches!(watched.event(), Event::Notice(text) if text.contains("automatic clearing has ended")));
}

#[test]
fn what_is_swept_does_not_grow_by_itself() {
    let directory = tempfile::tempdir().expect("a directory");
    let state = tempfile::tempdir().expect("a directory");
    let below = directory.path().join("below");
    std::fs::create_dir(&below).expect("made");
    let stays = stale(&below, 1);
    let watched = Watched::start(directory.path(), state.path(), Settings::default());
    watched.engine.send(sweep(directory.path(), Some(50)));
    assert!(matches!(watched.event(), Event::Sweeping(on) if on.len() == 1));
    let folder = WatchedFolder { recursive: true, ..WatchedFolder::at(directory.path()) };
    watched.engine.send(Command::SetSubfolders(folder));
    assert_eq!(watched.event(), Event::Sweeping(Vec::new()));
    assert!(matches!(watched.event(), Event::Notice(text) if text.contains("Turn it on again if they are meant too")));
    watched.until_verdict("below/000.pid", "stale");
    assert!(stays[0].exists());
    watched.engine.send(sweep(directory.path(), Some(50)));
    assert!(matches!(watched.event(), Event::Sweeping(on) if on.len() == 1));
    assert!(matches!(watched.event(), Event::Swept { acts, .. } if cleared(&acts) == ["below/000.pid"]));
}

fn sweep(directory: &Path, every_ms: Option<u64>) -> Command {
    Command::Sweep { directory: directory.into(), every: every_ms.map(Duration::from_millis) }
}

/// The program in a directory of its own.
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

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_lockscope"));
        command
            .args(arguments)
            .current_dir(self.directory())
            .env("LOCKSCOPE_STATE_DIR", self.state.path().join("state"))
            .env("LOCKSCOPE_CONFIG_DIR", self.state.path().join("config"))
            .stdin(Stdio::null());
        command
    }

    fn json(&self, arguments: &[&str], code: i32) -> Value {
        let output = self.command(arguments).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(code), "{said}{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_str(&said).expect("one JSON object")
    }
}

#[test]
fn the_windows_journal_reads_as_the_log_does() {
    let desk = Desk::new();
    stale(desk.directory(), 2);
    let watched = Watched::start(desk.directory(), desk.state.path(), Settings::default());
    watched.engine.send(Command::ReadJournal);
    desk.json(&["clear", "000.pid", "--yes", "--json"], 0);
    watched.until_gone("000.pid");
    desk.json(&["undo", "--json"], 0);
    watched.until_verdict("000.pid", "stale");
    watched.engine.send(Command::ReadJournal);
    watched.until("it is read again", |_| watched.engine.journal().len() == 2);
    let log = desk.json(&["log", "--json"], 0);
    assert_eq!(serde_json::to_value(&**watched.engine.journal()).expect("JSON"), log["entries"]);
    let told: Vec<String> = watched.engine.journal().iter().map(lockscope::engine::JournalLine::told).collect();
    assert!(told[0].starts_with("cleared, then put back: Owner PID"), "{told:?}");
    let shown = desk.command(&["log"]).output().expect("it runs").stdout;
    let shown = String::from_utf8_lossy(&shown);
    assert!(told.iter().all(|told| shown.contains(told)), "{shown}");
}

/// A program that is killed when the test ends, however it ends.
struct Running {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(mut command: std::process::Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Self { child, lines }
    }

    fn line(&mut self) -> String {
        self.lines.next().expect("a line").expect("readable")
    }

    fn signal(&self, signal: Signal) {
        let pid = rustix::process::Pid::from_raw(self.child.id() as i32).expect("a PID");
        kill_process(pid, signal).expect("it runs");
    }

    /// Waits for its end; gives its code, and the JSON that it said.
    fn rest(&mut self) -> (Option<i32>, Value) {
        let said: Vec<String> = self.lines.by_ref().map(|line| line.expect("readable")).collect();
        (self.end(), serde_json::from_str(&said.join("\n")).expect("one JSON object"))
    }

    fn end(&mut self) -> Option<i32> {
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn sweep_clears_what_turns_stale_and_ends_with_a_signal() {
    for signal in [Signal::TERM, Signal::INT] {
        let desk = Desk::new();
        stale(desk.directory(), 1);
        let mut holder = Process::shell(desk.directory(), "echo ready; exec sleep 1000");
        let path = write(desk.directory(), "job.pid", format!("{}\n", holder.pid()), 0);
        let mut sweep = Running::start(desk.command(&["sweep", ".", "--every", "1s", "--stale-after", "0s"]));
        let line = sweep.line();
        assert!(line.contains("  cleared  000.pid  Owner PID"), "{line}");
        assert!(path.exists(), "its owner runs");
        holder.kill();
        let line = sweep.line();
        assert!(line.contains("  cleared  job.pid  Owner PID"), "{line}");
        assert!(!path.exists());
        // What a person puts back, a sweep leaves alone.
        let undone = desk.json(&["undo", "--json"], 0);
        assert_eq!(undone["restored"][0]["path"], path.to_string_lossy().as_ref());
        let line = sweep.line();
        assert!(line.contains("  left  job.pid  "), "{line}");
        sweep.signal(signal);
        assert_eq!(sweep.end(), Some(0));
        assert!(path.exists());
        let log = desk.json(&["log", "--json"], 0);
        let whats: Vec<&str> =
            log["entries"].as_array().expect("a list").iter().filter_map(|entry| entry["what"].as_str()).collect();
        assert_eq!(whats, ["sweep", "sweep", "undo"]);
        assert_eq!(pending(&desk), 0, "nothing is half done");
    }
}

fn pending(desk: &Desk) -> usize {
    let names = std::fs::read_dir(desk.state.path().join("state/pending"));
    names.map_or(0, |names| {
        names.flatten().filter(|entry| entry.path().extension().is_some_and(|e| e == "json")).count()
    })
}

/// A signal in the middle of a long clear: the lock that it is at is finished, the others are left, and both is told.
#[test]
fn an_interrupt_ends_a_long_clear_between_two_locks() {
    let desk = Desk::new();
    let paths = stale(desk.directory(), 300);
    // The first lock that moves out of the directory tells that the clear has begun.
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC).expect("inotify");
    inotify::add_watch(&watch, &paths[0], inotify::WatchFlags::MOVE_SELF).expect("watched");
    let mut clear = Running::start(desk.command(&["clear", "--stale", "--yes", "--json"]));
    let mut buffer = [std::mem::MaybeUninit::uninit(); 512];
    let mut reader = inotify::Reader::new(&watch, &mut buffer);
    reader.next().expect("it moves");
    clear.signal(Signal::TERM);
    let (code, report) = clear.rest();
    assert_eq!(code, Some(1), "{report}");
    assert_eq!(report["status"], "partial", "{report}");
    let list = |key: &str| -> Vec<String> {
        let paths = report[key].as_array().expect("a list").iter();
        paths.map(|done| done["path"].as_str().expect("text").to_owned()).collect()
    };
    let (gone, left) = (list("cleared"), list("refused"));
    assert_eq!((gone.len() + left.len(), list("errors").len()), (300, 0));
    for path in &paths {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        assert_eq!((gone.contains(&name), left.contains(&name)), (!path.exists(), path.exists()), "{name}");
    }
    let beside = std::fs::read_dir(desk.directory()).expect("readable").count();
    assert_eq!((beside, pending(&desk)), (left.len(), 0), "nothing of ours stays, and nothing is half done");
}

/// Who does not want to wait for the end of one lock (a disk that hangs) signals twice; the next start repairs.
#[test]
fn a_second_signal_ends_it_at_once_and_the_next_clear_repairs() {
    use std::os::unix::process::ExitStatusExt as _;
    let desk = Desk::new();
    let paths = stale(desk.directory(), 100);
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC).expect("inotify");
    inotify::add_watch(&watch, &paths[0], inotify::WatchFlags::MOVE_SELF).expect("watched");
    let mut clear = Running::start(desk.command(&["clear", "--stale", "--yes", "--json"]));
    let mut buffer = [std::mem::MaybeUninit::uninit(); 512];
    inotify::Reader::new(&watch, &mut buffer).next().expect("it moves");
    // Stopped meanwhile, it gets both before it goes on.
    for signal in [Signal::STOP, Signal::TERM, Signal::INT, Signal::CONT] {
        clear.signal(signal);
    }
    let ended = clear.child.wait().expect("it ends");
    assert!(ended.signal().is_some(), "{ended}");
    desk.json(&["clear", "--stale", "--yes", "--json"], 0);
    assert_eq!((std::fs::read_dir(desk.directory()).expect("readable").count(), pending(&desk)), (0, 0));
    let log = desk.json(&["log", "--json"], 0);
    let of_locks = log["entries"].as_array().expect("a list").iter().filter(|entry| entry["what"] == "clear");
    let cleared = of_locks.filter(|entry| entry["outcome"].as_str().is_some_and(|told| told.starts_with("cleared")));
    assert_eq!(cleared.count(), 100, "each is on record");
}

#[test]
fn clear_waits_for_the_release_first() {
    let desk = Desk::new();
    // It ends by itself, as a program does that finishes its work: it takes its lock away.
    let mut holder =
        Process::shell(desk.directory(), "echo $$ > chat_memory.lock; echo ready; read; rm chat_memory.lock");
    let waiting = ["clear", "--group", "chat", "--wait", "20s", "--yes", "--json"];
    let mut clear = Running::start(desk.command(&waiting));
    release(&mut holder);
    let (code, report) = clear.rest();
    assert_eq!((code, &report["status"]), (Some(0), &"nothing".into()), "{report}");

    // It dies, and leaves its lock behind.
    let mut holder = Process::shell(desk.directory(), "echo $$ > chat_memory.lock; echo ready; exec sleep 1000");
    let refused = desk.json(&["clear", "--group", "chat", "--wait", "0s", "--yes", "--json"], 1);
    assert_eq!(refused["refused"][0]["verdict"], "held");
    let stale = [&waiting[..], &["--stale-after", "0s"]].concat();
    let mut clear = Running::start(desk.command(&stale));
    holder.kill();
    let (code, report) = clear.rest();
    assert_eq!(code, Some(0), "{report}");
    assert_eq!((&report["status"], &report["cleared"][0]["path"]), (&"ok".into(), &"chat_memory.lock".into()));
}

/// A kernel lock in a file whose name says nothing of its use.
#[test]
fn clear_of_a_group_waits_for_a_kernel_lock_and_leaves_the_file() {
    let desk = Desk::new();
    let script = "exec 9>odd.lock; flock 9; echo ready; exec sleep 1000";
    let mut holder = Process::shell(desk.directory(), script);
    // Whoever looks at a directory closes it at the end, and has read the kernel's table before.
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC).expect("inotify");
    inotify::add_watch(&watch, desk.directory(), inotify::WatchFlags::CLOSE_NOWRITE).expect("watched");
    let mut clear = Running::start(desk.command(&["clear", "--group", "odd", "--wait", "20s", "--yes", "--json"]));
    let mut buffer = [std::mem::MaybeUninit::uninit(); 512];
    inotify::Reader::new(&watch, &mut buffer).next().expect("it has looked");
    holder.kill();
    let (code, said) = clear.rest();
    assert_eq!((code, &said["status"]), (Some(0), &"nothing".into()), "{said}");
    assert!(desk.directory().join("odd.lock").exists(), "deleting it is what lets two in");
    // Without the wait nobody knows what the empty file is.
    let report = desk.json(&["clear", "--group", "odd", "--yes", "--json"], 1);
    assert_eq!(report["refused"][0]["verdict"], "unknown");
}

fn release(holder: &mut Process) {
    use std::io::Write as _;
    let stdin = holder.0.stdin.as_mut().expect("a pipe");
    stdin.write_all(b"\n").expect("written");
    stdin.flush().expect("flushed");
}

/// Takes nothing away, and writes down what it was asked to.
#[derive(Default)]
struct Asked(Mutex<Vec<String>>);

impl Hands for Asked {
    fn is_stopped(&self) -> bool {
        false
    }

    fn put_back(&self) -> Result<PutBack, String> {
        Ok(PutBack::default())
    }

    fn clear(&self, seen: &Arc<Lock>) -> Came {
        self.0.lock().expect("not poisoned").push(seen.display_path().into_owned());
        Came::Cleared("an entry".to_owned())
    }
}

#[test]
fn a_picture_from_before_the_last_round_makes_nobody_try_again() {
    let directory = tempfile::tempdir().expect("a directory");
    stale(directory.path(), 1);
    let (mut sweep, hands, mut told) = (Sweep::new(Duration::from_secs(1)), Asked::default(), Vec::new());
    let mut round = |picture| {
        sweep.round(picture, Duration::ZERO, &hands, &mut |act| told.push(act));
        (hands.0.lock().expect("not poisoned").len(), told.len())
    };
    let before = look_at(directory.path());
    assert_eq!(round(&before), (1, 1));
    assert_eq!(round(&before), (1, 1), "it is not asked for again, and nothing is told");
    // Another one at its path is another lock.
    std::fs::remove_file(directory.path().join("000.pid")).expect("removed");
    write(directory.path(), "000.pid", format!("{}\n", DEAD + 1), HOUR);
    assert_eq!(round(&look_at(directory.path())), (2, 2));
}
