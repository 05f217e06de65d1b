//! `kill -9` at each system call by which a clear changes anything: `strace` counts the calls of an undisturbed clear, then
//! one run after another dies at the next of them. Whatever that leaves, the next command goes on from: the lock stands
//! untouched, or is gone, on record, and comes back by undo. Nothing of Lockscope's is left beside it.

mod support;

use lockscope::clear::State;
use lockscope::platform::this_machine;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant, SystemTime};
use support::{DEAD, write};

/// The calls that change something, or that the protocol waits for.
const CALLS: &str = "renameat2,renameat,rename,mkdirat,mkdir,unlinkat,unlink,rmdir,linkat,fsync,fdatasync,flock,\
    fcntl,write,pwrite64,ftruncate,openat";

/// What the lock is, by what stands in for it: a file, or a directory for which a directory or a file does.
#[derive(Clone, Copy, Debug)]
enum Lock {
    File,
    Renamed,
    Made,
}

impl Lock {
    fn name(self) -> &'static str {
        match self {
            Self::File => "job.pid",
            Self::Renamed => "twistd.pid.lock",
            Self::Made => "data.lock",
        }
    }

    fn make(self, locks: &Path) {
        let (name, content) = match self {
            Self::File => return drop(write(locks, self.name(), format!("{DEAD}\n"), 3600)),
            Self::Renamed => ("symlink".to_owned(), DEAD.to_string()),
            Self::Made => (format!("{}.-fceb7b80{DEAD}", this_machine().host().name), String::new()),
        };
        let path = locks.join(self.name());
        fs::create_dir(&path).expect("a directory");
        fs::write(path.join(name), content).expect("written");
        let hour_ago = SystemTime::now() - Duration::from_hours(1);
        fs::File::open(path).expect("opened").set_modified(hour_ago).expect("its time can be set");
    }
}

struct Desk {
    base: tempfile::TempDir,
}

impl Desk {
    fn new(lock: Lock) -> Self {
        let base = tempfile::tempdir().expect("a directory");
        fs::create_dir(base.path().join("locks")).expect("a directory");
        lock.make(&base.path().join("locks"));
        Self { base }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.base.path().join(name)
    }

    /// The program with these arguments, perhaps behind others.
    fn command(&self, before: &[String], arguments: &[&str]) -> Command {
        let program = env!("CARGO_BIN_EXE_lockscope").to_owned();
        let words: Vec<_> = before.iter().chain([&program]).collect();
        let mut command = Command::new(words[0]);
        command
            .args(&words[1..])
            .args(arguments)
            .current_dir(self.path("locks"))
            .env("LOCKSCOPE_STATE_DIR", self.path("state"))
            .env("LOCKSCOPE_CONFIG_DIR", self.path("config"))
            .env("XDG_RUNTIME_DIR", self.base.path())
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY")
            .stdin(Stdio::null());
        command
    }

    fn strace(&self, options: &[&str]) -> std::process::Output {
        let trace = self.path("trace").to_string_lossy().into_owned();
        let before = [&["strace", "-f", "-qq", "-o", &trace][..], options].concat();
        let before: Vec<_> = before.into_iter().map(str::to_owned).collect();
        self.command(&before, &["clear", ".", "--stale", "--yes"]).output().expect("strace was found before")
    }

    fn names(&self, directory: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(directory)) else { return Vec::new() };
        entries.map(|entry| entry.expect("a name").file_name().to_string_lossy().into_owned()).collect()
    }

    /// The next command: it clears nothing (there is no such lock), but goes on from what was left.
    fn recover(&self) {
        let output = self.command(&[], &["clear", "no-such.pid", "--yes"]).output().expect("the program runs");
        assert_eq!(output.status.code(), Some(3), "{output:?}");
    }
}

/// What makes a file the same one, untouched.
fn look(path: &Path) -> (u64, u32, i64, i64, u64, Vec<u8>) {
    let stat = fs::symlink_metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let content = if stat.is_dir() {
        let inside = fs::read_dir(path).expect("a directory").map(|entry| entry.expect("an entry").path());
        inside.flat_map(|path| format!("{} {:?}", path.display(), look(&path)).into_bytes()).collect()
    } else {
        fs::read(path).expect("a file")
    };
    (stat.ino(), stat.mode(), stat.mtime(), stat.mtime_nsec(), stat.nlink(), content)
}

/// The calls of an undisturbed clear, each as its name and which one of that name it is. Opening and `fcntl` change
/// something only with some arguments.
fn calls(trace: &str) -> Vec<(String, usize)> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut calls = Vec::new();
    for line in trace.lines() {
        let Some((_, call)) = line.split_once(' ') else { continue };
        let Some((name, arguments)) = call.trim_start().split_once('(') else { continue };
        let count = counts.entry(name).or_default();
        *count += 1;
        let changes = match name {
            "openat" => arguments.contains("O_CREAT"),
            "fcntl" => arguments.contains("LEASE") || arguments.contains("SETOWN"),
            "mkdir" => arguments.ends_with("= 0"),
            _ => true,
        };
        if changes {
            calls.push((name.to_owned(), *count));
        }
    }
    calls
}

/// One run that dies there, and the next command. Gives whether it died, and whether the lock is gone.
fn die_at(kind: Lock, name: &str, number: usize) -> (bool, bool) {
    let desk = Desk::new(kind);
    let lock = desk.path("locks").join(kind.name());
    let before = look(&lock);
    let (trace, inject) = (format!("trace={name}"), format!("inject={name}:signal=KILL:when={number}"));
    let output = desk.strace(&["-e", &trace, "-e", &inject]);
    let killed = output.status.signal() == Some(libc::SIGKILL) || output.status.code() == Some(137);
    let at = format!("{name} {number}: {output:?}");
    assert!(killed || output.status.success(), "{at}");
    desk.recover();

    let is_intent = |name: &String| Path::new(name).extension().is_some_and(|end| end == "json");
    let pending: Vec<_> = desk.names("state/pending").into_iter().filter(is_intent).collect();
    assert_eq!(pending, [""; 0], "{at}: open intents");
    let workplace = lockscope::lock::workplace(this_machine(), &desk.path("state"));
    let entries = workplace.journal().read().expect("the journal can be read");
    let open = entries.iter().filter(|entry| matches!(entry.state, State::Prepared | State::Swapped));
    assert_eq!(open.count(), 0, "{at}: {entries:?}");
    let undoable = workplace.journal().last_clear_ids().expect("the journal can be read");
    let gone = desk.names("locks").is_empty();
    if gone {
        assert_eq!(undoable.len(), 1, "{at}: {entries:?}");
        let undone = desk.command(&[], &["undo"]).output().expect("the program runs");
        assert!(undone.status.success(), "{at}: {undone:?}");
    } else {
        assert_eq!(undoable, [""; 0], "{at}: {entries:?}");
    }
    assert_eq!(desk.names("locks"), [kind.name()], "{at}");
    assert_eq!(look(&lock), before, "{at}");
    (killed, gone)
}

#[test]
fn a_clear_that_dies_at_any_call_is_gone_on_from() {
    let traced = Command::new("strace").args(["-f", "-qq", "-o", "/dev/null", "true"]).output();
    if !traced.as_ref().is_ok_and(|output| output.status.success()) {
        println!("not run: kill -9 at each call: strace cannot trace here ({traced:?})");
        return;
    }
    for kind in [Lock::File, Lock::Renamed, Lock::Made] {
        die_at_each(kind);
    }
}

/// The calls of a run that nothing befalls.
fn traced_calls(kind: Lock) -> Vec<(String, usize)> {
    let desk = Desk::new(kind);
    let output = desk.strace(&["-e", &format!("trace={CALLS}")]);
    assert!(output.status.success(), "{output:?}");
    calls(&fs::read_to_string(desk.path("trace")).expect("a trace"))
}

/// Which call it is by now: the files that are opened before it vary with the processes that the machine has.
const TRIES: usize = 5;

fn die_at_each(kind: Lock) {
    let began = Instant::now();
    let calls = traced_calls(kind);
    let lease = matches!(kind, Lock::File).then_some("fcntl");
    let at_least =
        ["renameat2", "mkdirat", "unlinkat", "fsync", "fdatasync", "write", "openat"].into_iter().chain(lease);
    for name in at_least {
        assert!(calls.iter().any(|(call, _)| call == name), "{name} is among {calls:?}");
    }
    let (next, killed, gone) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, SeqCst);
                    let Some(mut call) = calls.get(at).cloned() else { return };
                    for _ in 0..TRIES {
                        let (died, is_gone) = die_at(kind, &call.0, call.1);
                        if died {
                            killed.fetch_add(1, SeqCst);
                            gone.fetch_add(is_gone.into(), SeqCst);
                            break;
                        }
                        call = traced_calls(kind).get(at).cloned().unwrap_or(call);
                    }
                }
            });
        }
    });
    let (killed, gone) = (killed.into_inner(), gone.into_inner());
    println!(
        "{kind:?}: killed at {killed} of {} calls, in {:.1} s: {gone} times the lock was gone after that, else untouched",
        calls.len(),
        began.elapsed().as_secs_f64()
    );
    // A run may end before its call all the same.
    assert!(killed * 10 >= calls.len() * 8 && gone > 0 && gone < killed, "{killed} of {}, {gone} gone", calls.len());
}
