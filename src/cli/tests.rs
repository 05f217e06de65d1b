//! The commands against a made-up world: output, questions, exit codes.

use super::args::Cli;
use super::output::table::Screen;
use super::world::{Undone, World};
use super::{Io, run};
use crate::clear::Reason;
use crate::engine::JournalLine;
use crate::engine::bulk::Came;
use crate::engine::incident::Incident;
use crate::engine::papers::NotSaved;
use crate::engine::settings::Settings;
use crate::engine::sweep::PutBack;
use crate::inspect::{Impact, LookError, LookOptions};
use crate::model::facts::*;
use crate::model::format::{Candidate, recognise};
use crate::model::holder::{Pid, ProcessFacts, ProcessLook};
use crate::model::kernel::LockKind;
use crate::model::naming::{NamePatterns, is_filelocks, split};
use crate::model::snapshot::{Counts, Lock, LockId, LookedAt, Problem, Snapshot, Watching};
use crate::model::time::Wall;
use crate::model::verdict::{Evidence, Verdict, judge};
use crate::platform::Ending;
use clap::Parser as _;
use std::cell::{Cell, RefCell};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const NOW: Wall = Wall(1_795_230_000_000_000_000);

#[derive(Clone)]
struct File {
    path: OsString,
    text: &'static str,
    age: u64,
    alive: bool,
    kernel: Option<KernelState>,
}

fn file(path: &str, text: &'static str, age: u64) -> File {
    File { path: path.into(), text, age, alive: false, kernel: None }
}

fn process(pid: u64, comm: &str) -> ProcessFacts {
    ProcessFacts {
        pid: Pid::new(pid).unwrap(),
        start_ticks: Some(5),
        started_at: NOW.minus(Duration::from_hours(2)),
        uids: Some([1000; 4]),
        user: Some("alice".into()),
        comm: comm.into(),
        command: format!("{comm} run").into(),
        kernel_thread: false,
        inner_pid: None,
        same_time_ns: Some(true),
    }
}

fn held(path: &str) -> File {
    let of = |pid| ProcessRef { pid: Pid::new(pid).unwrap(), facts: Some(Arc::new(process(pid, "python3"))) };
    let kernel = KernelState {
        kind: Some(LockKind::Flock),
        holders: vec![of(812)],
        waiters: vec![of(813)],
        ..KernelState::default()
    };
    File { kernel: Some(kernel), ..file(path, "", 60) }
}

struct Made {
    files: RefCell<Vec<File>>,
    now: Cell<Duration>,
    /// After so long, all kernel locks are released.
    released_after: Duration,
    cleared: RefCell<Vec<OsString>>,
    /// An interrupt comes when so many are cleared.
    interrupted_after: usize,
    heeds_interrupts: Cell<bool>,
    /// All owners end during the first pause, and what they took away is gone only after the look that follows.
    vanishes: bool,
    /// So many looks fail, from the second on.
    lost: Cell<u32>,
    /// When each round of a sweep began, and how many there may be.
    rounds: RefCell<Vec<Duration>>,
    longest_sweep: usize,
}

impl Made {
    fn of(files: &[File]) -> Self {
        Self {
            files: RefCell::new(files.to_vec()),
            now: Cell::new(Duration::from_hours(1)),
            released_after: Duration::MAX,
            cleared: RefCell::default(),
            interrupted_after: usize::MAX,
            heeds_interrupts: Cell::new(false),
            vanishes: false,
            lost: Cell::new(0),
            rounds: RefCell::default(),
            longest_sweep: 1,
        }
    }

    fn snapshot(&self, threshold: Duration) -> Snapshot {
        let sight = Sight {
            host: "vm".into(),
            machine_id: None,
            boot_id: None,
            boot_floor: None,
            clock_step: Some(Duration::ZERO),
            pid_ns: Some(1),
            host_pid_ns: true,
            hidden_processes: false,
            uid: 1000,
            fs: FileSystem { name: "ext4".into(), network: false, shows_locks: true },
            kernel_table: true,
            processes: 100,
            processes_denied: 0,
        };
        let files = self.files.borrow();
        let mut counts = Counts::default();
        let released = self.now.get().saturating_sub(Duration::from_hours(1)) >= self.released_after;
        let mut locks = Vec::new();
        for (id, file) in files.iter().enumerate() {
            let bytes = file.path.as_encoded_bytes();
            let exists = |path: &[u8]| files.iter().any(|file| file.path.as_encoded_bytes() == path);
            let naming = split(bytes, &NamePatterns::default(), &exists);
            let reading = recognise(&Candidate {
                known_key: is_filelocks(bytes, &naming, &exists),
                ..Candidate::plain(bytes, b"/locks", FileKind::Regular, file.text.as_bytes())
            });
            let modified = NOW.minus(Duration::from_secs(file.age));
            let owner = reading.record().and_then(|record| record.pid).map_or(OwnerState::NotNamed, |pid| {
                let running = || ProcessLook::Running(Box::new(process(u64::from(pid.get()), "make")));
                OwnerState::Looked(Arc::new(if file.alive { running() } else { ProcessLook::NoSuchProcess }))
            });
            let facts: Facts = Seen {
                stat: Some(FileStat {
                    kind: FileKind::Regular,
                    mode: 0o644,
                    uid: 1000,
                    links: 1,
                    size: 1,
                    dev: 1,
                    ino: id as u64,
                    mount: 1,
                    modified,
                    changed: modified,
                    born: None,
                    mount_root: false,
                }),
                trouble: None,
                kernel_rule: reading.mechanism.is_kernel(),
                reading,
                content: 0,
                bytes: file.text.as_bytes().into(),
                kernel: file.kernel.clone().filter(|_| !released).map(Box::new),
                owner,
                users: Users::NotLooked,
                beat: None,
                danger: None,
                leases: Box::default(),
                split_holders: Vec::new(),
                first_seen: Duration::ZERO,
            }
            .into();
            let judgement = judge(&Evidence {
                facts: &facts,
                sight: &sight,
                now: NOW,
                monotonic: self.now.get(),
                threshold,
                looked_at: NOW,
            });
            counts.add(judgement.verdict);
            let path = file.path.clone().into_boxed_os_str();
            locks.push(Some(Arc::new(Lock {
                id: LockId(id as u32),
                path,
                naming,
                facts,
                judgement,
                looked_at: LookedAt(NOW),
            })));
        }
        Snapshot {
            generation: 1,
            directory: Path::new("/locks").into(),
            taken_at: NOW,
            taken_monotonic: self.now.get(),
            scanned_at: NOW,
            threshold,
            sight: Arc::new(sight),
            watching: Watching::Live,
            counts,
            problems: Arc::new([Problem { path: "sub".into(), error: "permission denied".into() }]),
            chunks: vec![Arc::new(locks)],
        }
    }
}

impl World for Made {
    fn look(&self, directory: &Path, options: &LookOptions) -> Result<Snapshot, LookError> {
        match directory.to_str() {
            Some("/locks" | "/locks/" | ".") => Ok(self.snapshot(options.threshold)),
            _ => Err(LookError::NotFound(directory.to_owned())),
        }
    }

    fn look_after(&self, directory: &Path, options: &LookOptions, _: &Snapshot) -> Result<Snapshot, LookError> {
        if self.lost.get() > 0 {
            self.lost.set(self.lost.get() - 1);
            return Err(LookError::NotFound(directory.to_owned()));
        }
        let seen = self.look(directory, options);
        if self.vanishes {
            self.files.borrow_mut().retain(|file| file.alive);
        }
        seen
    }

    fn look_at_one(
        &self, directory: &Path, name: &OsStr, options: &LookOptions,
    ) -> Result<Option<(Arc<Lock>, Snapshot)>, LookError> {
        let snapshot = self.look(directory, options)?;
        Ok(snapshot.find(name).cloned().map(|lock| (lock, snapshot)))
    }

    fn clear(&self, seen: &Arc<Lock>, _snapshot: &Snapshot, _options: &LookOptions) -> Came {
        assert!(self.heeds_interrupts.get(), "an interrupt must not fall into a clear");
        if &*seen.path == OsStr::new("changed.pid") {
            return Came::Refused { verdict: Verdict::Held, why: "It changed since it was seen.".into() };
        }
        self.cleared.borrow_mut().push(seen.path.to_os_string());
        self.files.borrow_mut().retain(|file| *file.path != *seen.path);
        Came::Cleared("t1".into())
    }

    fn force(&self, seen: &Arc<Lock>, snapshot: &Snapshot, options: &LookOptions, reason: &Reason) -> Came {
        assert_eq!(reason.as_str(), "because");
        match seen.facts.kernel() {
            Some(_) => Came::Refused { verdict: Verdict::Held, why: "Held by the kernel.".into() },
            None => self.clear(seen, snapshot, options),
        }
    }

    fn impact(&self, pid: Pid) -> Option<Impact> {
        let process = Arc::new(process(pid.get().into(), "make"));
        let child = ProcessRef { pid: Pid::new(815)?, facts: None };
        Some(Impact { process, children: vec![child], locked_files: Some(vec!["/locks/job_all.lock".into()]) })
    }

    fn end(&self, _: &Path, path: &OsStr, holder: &Impact, _: &Reason, _: Duration) -> Result<Ending, String> {
        assert!(self.heeds_interrupts.get(), "an interrupt must not fall between the signal and its entry");
        let pid = holder.process.pid.get();
        match self.files.borrow_mut().iter_mut().find(|file| *file.path == *path) {
            Some(file) if file.kernel.is_some() => {
                file.kernel = None;
                Ok(Ending::Ended)
            }
            Some(_) => Ok(Ending::StillRunning),
            None => Err(format!("PID {pid} has ended already")),
        }
    }

    fn sweep(&self, seen: &Arc<Lock>, snapshot: &Snapshot, options: &LookOptions) -> Came {
        self.clear(seen, snapshot, options)
    }

    fn put_back(&self) -> Result<PutBack, String> {
        Ok(PutBack::default())
    }

    fn expire(&self) {}

    fn heed_interrupts(&self) -> Result<(), String> {
        self.heeds_interrupts.set(true);
        Ok(())
    }

    fn is_interrupted(&self) -> bool {
        self.cleared.borrow().len() >= self.interrupted_after
    }

    fn rest(&self, at_most: Duration) -> bool {
        self.rounds.borrow_mut().push(self.now.get());
        self.now.set(self.now.get() + at_most);
        self.rounds.borrow().len() >= self.longest_sweep || self.is_interrupted()
    }

    fn wall(&self) -> Wall {
        NOW
    }

    fn undo(&self, id: Option<&str>) -> Result<Undone, String> {
        match id {
            None => Ok(Undone { restored: vec![("a.pid".into(), "t1".into())], refused: Vec::new() }),
            Some("taken") => Ok(Undone { restored: Vec::new(), refused: vec![("a.pid".into(), "Path taken.".into())] }),
            Some(_) => Ok(Undone::default()),
        }
    }

    fn journal(&self) -> Result<Vec<JournalLine>, String> {
        Ok(vec![JournalLine {
            undoable: true,
            kept_no_more: None,
            id: "t1".into(),
            at: "2026-11-21T03:00:00.000Z".into(),
            what: "clear".into(),
            directory: "/locks".into(),
            path: "a.pid".into(),
            path_bytes: None,
            who: "alice".into(),
            verdict: "stale".into(),
            why: "Gone.".into(),
            outcome: "cleared".into(),
        }])
    }

    fn save_bundle(&self, incident: &Incident, path: &Path) -> Result<(), NotSaved> {
        if incident.journal.is_empty() { Ok(()) } else { Err(NotSaved::Exists(path.to_owned())) }
    }

    fn settings(&self) -> Settings {
        Settings::default()
    }

    fn monotonic(&self) -> Duration {
        self.now.get()
    }

    fn pause(&self, _directory: &Path, at_most: Duration) {
        self.now.set(self.now.get() + at_most);
        if self.vanishes {
            self.files.borrow_mut().iter_mut().for_each(|file| file.alive = false);
        }
    }
}

struct Ran {
    code: u8,
    out: String,
    err: String,
    asked: Option<String>,
}

fn ran_with(world: &Made, answer: Option<bool>, screen: Screen, line: &[&str]) -> Ran {
    let cli = Cli::try_parse_from(std::iter::once(&"lockscope").chain(line)).unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut asked = None;
    let mut ask = |question: &str| {
        asked = Some(question.to_owned());
        Ok(answer)
    };
    let exit = run(&cli.command.unwrap(), world, &mut Io { out: &mut out, err: &mut err, screen, ask: &mut ask });
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: exit.code(), out: text(out), err: text(err), asked }
}

fn ran(world: &Made, line: &[&str]) -> Ran {
    ran_with(world, None, Screen::default(), line)
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

fn usual() -> Made {
    Made::of(&[
        file("young.pid", "4712\n", 60),
        file("a.pid", "4711\n", 3600),
        held("job_memory.lock"),
        file("job_all.lock", "", 60),
        file("job.lock", "{\"pid\": 4711}", 3600),
        file("Cargo.lock", "x", 60),
        file("odd\n\u{202e}.lock", "44\nnas2\n", 60),
    ])
}

#[test]
fn status_json_is_as_the_contract_gives_it() {
    let ran = ran(&usual(), &["status", "/locks", "--json"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let all = json(&ran.out);
    assert_eq!(all["schema"], 1);
    assert_eq!((&all["directory"], &all["host"]), (&"/locks".into(), &"vm".into()));
    assert_eq!(all["stale_after_secs"].to_string(), "600");
    assert_eq!(all["any_locked"], true);
    assert_eq!(all["stale_locks"], serde_json::json!(["a.pid", "job.lock"]));
    assert_eq!(all["cleanup_available"], true);
    assert_eq!(all["locks_held"]["job_memory.lock"], true);
    assert_eq!(all["locks_held"]["a.pid"], false);
    assert_eq!(
        all["counts"].to_string(),
        serde_json::json!({
            "held": 1, "stale": 2, "orphaned": 1, "idle": 1, "foreign": 1, "suspect": 0, "unknown": 0, "interrupted": 0,
            "not_a_lock": 1
        })
        .to_string()
    );
    assert_eq!(all["problems"], serde_json::json!([{"path": "sub", "error": "permission denied"}]));
    let paths: Vec<_> = all["locks"].as_array().unwrap().iter().map(|lock| lock["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["a.pid", "job.lock", "job_all.lock", "job_memory.lock", "odd\n\u{202e}.lock", "young.pid"]);
    let memory = &all["locks"][3];
    assert_eq!((&memory["group"], &memory["key"]), (&"job".into(), &"memory".into()));
    assert_eq!(
        memory["holder"],
        serde_json::json!({
            "pid": 812, "command": "python3 run", "user": "alice", "started_at": NOW.minus(Duration::from_hours(2)).rfc3339(),
            "by": "kernel"
        })
    );
    assert_eq!((&memory["owner"], &memory["waiters"]), (&serde_json::Value::Null, &serde_json::json!([813])));
    assert_eq!((&memory["mechanism"], &memory["format"]), (&"flock".into(), &"filelock-unix".into()));
    let stale = &all["locks"][0];
    assert_eq!(
        stale["owner"],
        serde_json::json!({
            "pid": 4711, "host": null, "user": null, "command": null, "started_at": null
        })
    );
    assert_eq!((&stale["age_secs"], &stale["certainty"]), (&3600.0.into(), &"strong".into()));
    assert_eq!(stale["evidence"][1]["weighs"], "stale");
    // Field order, as people read it.
    let order = [
        "path",
        "group",
        "key",
        "format",
        "mechanism",
        "verdict",
        "certainty",
        "stale",
        "clearable",
        "liveness",
        "age_secs",
        "modified_at",
        "holder",
        "owner",
        "waiters",
        "danger",
        "why",
        "evidence",
    ];
    let first = &ran.out[ran.out.find("\"locks\": [").unwrap()..];
    let at: Vec<_> = order.iter().map(|key| first.find(&format!("\"{key}\":")).unwrap()).collect();
    assert!(at.is_sorted(), "{at:?}");
}

#[test]
fn a_group_is_keyed_by_key() {
    let all = json(&ran(&usual(), &["status", "/locks", "--json", "--group", "job"]).out);
    assert_eq!(all["locks_held"], serde_json::json!({"": false, "all": false, "memory": true}));
    assert_eq!(all["counts"]["orphaned"], 0);
    assert_eq!(all["stale_locks"], serde_json::json!(["job.lock"]));
    assert!(json(&ran(&usual(), &["status", "/locks", "--json", "--all"]).out)["locks"].as_array().unwrap().len() == 7);
}

#[cfg(unix)]
#[test]
fn bytes_that_the_text_lost_are_given_in_base64() {
    use std::os::unix::ffi::OsStringExt as _;
    let odd = File { path: OsString::from_vec(b"a\xff.pid".to_vec()), ..file("", "4711\n", 3600) };
    let ran = ran(&Made::of(&[odd]), &["status", "/locks", "--json"]);
    let lock = &json(&ran.out)["locks"][0];
    assert_eq!((&lock["path"], &lock["path_bytes"]), (&"a\u{fffd}.pid".into(), &"Yf8ucGlk".into()));
}

#[test]
fn people_get_an_aligned_table_without_dangerous_letters() {
    let out = ran(&usual(), &["status", "/locks"]).out;
    let lines: Vec<&str> = out.lines().collect();
    let why = lines[0].find("WHY").unwrap();
    assert!(lines[0].starts_with("VERDICT"));
    assert_eq!(&lines[1][why..], "Owner PID 4711 is gone: no such process. Untouched for 1 h, stale after 10 min.");
    assert!(lines[4].contains("812 python3") && lines[4].contains("  1  "), "{}", lines[4]);
    assert!(out.contains("odd\\n\\u{202e}.lock") && !out.contains('\u{202e}') && !out.contains('\x1b'));
    assert!(out.contains("1 held, 2 stale, 1 orphaned, 1 idle, 1 foreign: 6 lock files."), "{out}");
    assert!(out.contains("1 called like a lock is none (--all shows it)."), "{out}");
    assert!(out.contains("could not look into sub: permission denied"));
    let narrow = Screen { colour: true, width: Some(80) };
    let out = ran_with(&usual(), None, narrow, &["status", "/locks"]).out;
    assert!(out.contains("\x1b[31mstale\x1b[0m") && out.contains('…'), "{out}");
    assert!(ran(&Made::of(&[]), &["status", "/locks"]).out.starts_with("No lock files here.\n"));
    let summary = ran(&usual(), &["status", "/locks", "--summary"]).out;
    assert!(summary.starts_with("held 1\nstale 2\norphaned 1\n") && summary.ends_with("not_a_lock 1\ntotal 7\n"));
}

#[test]
fn a_missing_directory_is_one_clear_line_and_3() {
    let ran = ran(&usual(), &["status", "/nowhere"]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (3, "", "lockscope: no such directory: /nowhere\n"));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    struct Closed;
    impl io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    for line in [&["status", "/locks"][..], &["status", "/locks", "--json"], &["log"]] {
        let cli = Cli::try_parse_from(std::iter::once(&"lockscope").chain(line)).unwrap();
        let mut err = Vec::new();
        let mut io = Io { out: &mut Closed, err: &mut err, screen: Screen::default(), ask: &mut |_| Ok(None) };
        let exit = run(&cli.command.unwrap(), &usual(), &mut io);
        assert_eq!((exit.code(), err.as_slice()), (0, &b""[..]), "{line:?}");
    }
}

#[test]
fn clear_asks_once_and_says_what_and_why() {
    let world = usual();
    let ran = ran_with(&world, Some(true), Screen::default(), &["clear", "/locks", "--stale"]);
    assert_eq!(ran.code, 0);
    let question = ran.asked.unwrap();
    assert!(question.contains("a.pid  stale: Owner PID 4711 is gone") && question.ends_with("Clear 2 locks?"));
    assert_eq!(*world.cleared.borrow(), ["a.pid", "job.lock"]);
    assert!(ran.out.ends_with("Cleared 2 locks.\n"), "{}", ran.out);
}

#[test]
fn clear_refuses_all_off_a_terminal_or_without_a_yes() {
    for answer in [None, Some(false)] {
        let world = usual();
        let ran = ran_with(&world, answer, Screen::default(), &["clear", "/locks", "--stale", "--json"]);
        assert_eq!(ran.code, 1);
        let report = json(&ran.out);
        assert_eq!(
            (&report["status"], &report["count"], &report["cleared"]),
            (&"refused".into(), &0.into(), &serde_json::json!([]))
        );
        assert_eq!(report["refused"].as_array().unwrap().len(), 2);
        assert!(world.cleared.borrow().is_empty());
    }
}

#[test]
fn clear_by_name_takes_orphaned_and_refuses_held() {
    let world = usual();
    let run = ran(&world, &["clear", "/locks", "young.pid", "job_memory.lock", "--yes", "--json"]);
    let report = json(&run.out);
    assert_eq!((run.code, &report["status"]), (1, &"partial".into()));
    assert_eq!(report["cleared"], serde_json::json!([{"path": "young.pid", "id": "t1"}]));
    assert_eq!(report["refused"][0]["verdict"], "held");
    // Without DIR, a path; not there: 3.
    assert_eq!(ran(&world, &["clear", "/locks/a.pid", "--yes"]).code, 0);
    let missing = ran(&world, &["clear", "/locks/none.lock", "--yes", "--json"]);
    assert_eq!((missing.code, &json(&missing.out)["errors"][0]["error"]), (3, &"no such file".into()));
    // A directory alone does not say what.
    assert_eq!(ran(&world, &["clear", "/locks", "--yes"]).code, 2);
    assert_eq!(ran(&world, &["clear"]).code, 2);
}

#[test]
fn clear_of_a_group_takes_the_stale_and_refuses_what_stands() {
    let world = usual();
    let run = ran(&world, &["clear", "/locks", "--group", "job", "--yes", "--json"]);
    let report = json(&run.out);
    assert_eq!((run.code, &report["count"]), (1, &1.into()));
    assert_eq!(report["refused"].as_array().unwrap().len(), 1, "held is refused, idle is not spoken of");
    assert_eq!(*world.cleared.borrow(), ["job.lock"]);
    let nothing = ran(&world, &["clear", "/locks", "--group", "other", "--yes", "--json"]);
    assert_eq!((nothing.code, &json(&nothing.out)["status"]), (0, &"nothing".into()));
}

#[test]
fn a_dry_run_and_force_touch_nothing() {
    let world = usual();
    let dry = ran(&world, &["clear", "/locks", "--stale", "--dry-run", "--json"]);
    let report = json(&dry.out);
    assert_eq!((dry.code, &report["count"], dry.asked), (0, &2.into(), None));
    assert_eq!(report["would_clear"], serde_json::json!([{"path": "a.pid"}, {"path": "job.lock"}]));
    assert!(report.get("cleared").is_none());
    let force =
        ran(&world, &["clear", "/locks", "job_memory.lock", "--force", "--reason", "x", "--dry-run", "--end-holder"]);
    assert_eq!((force.code, force.asked), (0, None));
    assert!(world.cleared.borrow().is_empty());
}

#[test]
fn force_wants_a_name_a_reason_and_a_word_for_each_step() {
    let world = usual();
    for wrong in [
        &["clear", "/locks", "--stale", "--force", "--reason", "because"][..],
        &["clear", "/locks/a.pid", "--force"],
        &["clear", "/locks/a.pid", "--force", "--reason", " "],
        &["clear", "/locks/a.pid", "--reason", "because"],
        &["clear", "/locks", "--force", "--reason", "because"],
    ] {
        let parsed = Cli::try_parse_from(std::iter::once(&"lockscope").chain(wrong));
        assert!(parsed.is_err() || ran(&world, wrong).code == 2, "{wrong:?}");
    }
    // What the kernel says is held is refused, unless its holder is ended first.
    let held = ["clear", "/locks", "job_memory.lock", "--force", "--reason", "because"];
    let refused = ran(&world, &[&held[..], &["--yes", "--json"]].concat());
    assert_eq!((refused.code, &json(&refused.out)["refused"][0]["why"]), (1, &"Held by the kernel.".into()));
    let asked = ran_with(&world, Some(false), Screen::default(), &[&held[..], &["--end-holder"]].concat());
    assert_eq!(asked.code, 1);
    let question = asked.asked.unwrap();
    for words in ["make (PID 812) of alice, running for 2 h", "make run", "it has started: a process (PID 815)"] {
        assert!(question.contains(words), "{question}");
    }
    assert!(question.contains("it holds locks on: /locks/job_all.lock\nEnd it (SIGTERM to PID 812)?"), "{question}");
    let ended = ran(&world, &[&held[..], &["--end-holder", "--yes"]].concat());
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(ended.err.contains("make (PID 812) has ended") && ended.err.contains("the file stays"), "{}", ended.err);
    assert!(world.cleared.borrow().is_empty(), "an idle kernel-lock file is no use to remove");
}

#[test]
fn force_takes_what_a_person_answers_for() {
    let world = Made::of(&[File { alive: true, ..file("live.pid", "4711\n", 3600) }, file("Cargo.lock", "", 60)]);
    let live = ["clear", "/locks", "live.pid", "--force", "--reason", "because"];
    let asked = ran_with(&world, Some(true), Screen::default(), &live);
    let question = asked.asked.unwrap();
    assert!(question.contains("live.pid  held: make (PID 4711) is running and wrote this."), "{question}");
    assert!(question.contains("Reason: because\nTake it away by force, though it is not proved stale?"), "{question}");
    assert_eq!((asked.code, &*world.cleared.borrow()), (0, &vec![OsString::from("live.pid")]));
    let stubborn = Made::of(&[File { alive: true, ..file("live.pid", "4711\n", 3600) }]);
    let runs_on = ran(&stubborn, &[&live[..], &["--end-holder", "--yes", "--json"]].concat());
    let why = json(&runs_on.out)["refused"][0]["why"].as_str().unwrap().to_owned();
    assert_eq!(runs_on.code, 1);
    assert!(why.contains("make (PID 4711) was asked to end 10 s ago and runs on; nothing was removed."), "{why}");
    let never = ran(&world, &["clear", "/locks", "Cargo.lock", "--force", "--reason", "because", "--yes"]);
    assert_eq!((never.code, world.cleared.borrow().len()), (1, 1));
}

#[test]
fn what_changed_since_is_refused() {
    let world = Made::of(&[file("changed.pid", "4711\n", 3600)]);
    let run = ran(&world, &["clear", "/locks", "--stale", "--yes", "--json"]);
    assert_eq!((run.code, &json(&run.out)["refused"][0]["why"]), (1, &"It changed since it was seen.".into()));
}

#[test]
fn waiting_ends_with_the_release_or_in_time() {
    let mut world = usual();
    let ran_out = ran(&world, &["wait", "/locks/job_memory.lock", "/locks/a.pid", "--timeout", "3s"]);
    assert_eq!(ran_out.code, 1);
    assert!(ran_out.err.starts_with("still held: /locks/job_memory.lock: python3 (PID 812)"), "{}", ran_out.err);
    assert_eq!(world.now.get(), Duration::from_secs(3603));
    world.now.set(Duration::from_hours(1));
    world.released_after = Duration::from_secs(2);
    assert_eq!(ran(&world, &["wait", "/locks/job_memory.lock"]).code, 0);
    assert_eq!(ran(&world, &["wait", "/locks/none.lock"]).code, 0);
    assert_eq!(ran(&world, &["wait", "/nowhere/none.lock"]).code, 3);
    world.now.set(Duration::from_hours(1));
    // After its release the file is idle: refused all the same, but not as held.
    let run = ran(&world, &["clear", "/locks/job_memory.lock", "--wait", "30s", "--yes", "--json"]);
    assert_eq!((run.code, &json(&run.out)["refused"][0]["verdict"]), (1, &"idle".into()));
}

#[test]
fn undo_and_log_say_what_happened() {
    let world = usual();
    assert_eq!(
        json(&ran(&world, &["undo", "--json"]).out),
        serde_json::json!({
            "schema": 1, "restored": [{"path": "a.pid", "id": "t1"}], "refused": []
        })
    );
    let refused = ran(&world, &["undo", "taken", "--json"]);
    assert_eq!(
        (refused.code, &json(&refused.out)["refused"]),
        (1, &serde_json::json!([{"path": "a.pid", "why": "Path taken."}]))
    );
    assert_eq!(ran(&world, &["undo", "none"]).code, 1);
    let log = json(&ran(&world, &["log", "--json"]).out);
    assert_eq!(log["entries"][0]["what"], "clear");
    assert!(ran(&world, &["log"]).out.contains("/locks/a.pid"));
}

#[test]
fn changes_are_told_in_the_order_of_their_paths() {
    use super::output::Shown;
    let world = usual();
    let before = world.snapshot(Duration::from_mins(10));
    {
        let mut files = world.files.borrow_mut();
        files[2].kernel = None;
        files[0].text = "4713\n4714\n";
        files[6].path = "new.lock".into();
        files[5].text = "y";
    }
    let after = world.snapshot(Duration::from_mins(10));
    let told: Vec<_> = super::status::changes(&before, &after, &Shown::default())
        .into_iter()
        .map(|(change, lock)| (change, lock.display_path().into_owned()))
        .collect();
    let expected = [
        ("changed", "job_memory.lock"),
        ("appeared", "new.lock"),
        ("vanished", "odd\n\u{202e}.lock"),
        ("changed", "young.pid"),
    ];
    assert_eq!(told, expected.map(|(change, path)| (change, path.to_owned())));
    let mut line = Vec::new();
    let lock = after.find(OsStr::new("new.lock")).unwrap();
    super::output::json::change(&mut line, "appeared", lock, &after.moment()).unwrap();
    let line = String::from_utf8(line).unwrap();
    assert_eq!(line.lines().count(), 1);
    assert_eq!((&json(&line)["change"], &json(&line)["lock"]["path"]), (&"appeared".into(), &"new.lock".into()));
}

#[test]
fn an_interrupt_ends_a_clear_between_two_locks_and_what_was_done_is_told() {
    let world = Made { interrupted_after: 1, ..usual() };
    let run = ran(&world, &["clear", "/locks", "--stale", "--yes", "--json"]);
    let report = json(&run.out);
    assert_eq!((run.code, &report["status"], &report["count"]), (1, &"partial".into(), &1.into()));
    assert_eq!(report["cleared"], serde_json::json!([{"path": "a.pid", "id": "t1"}]));
    assert_eq!(report["refused"][0]["path"], "job.lock");
    assert!(report["refused"][0]["why"].as_str().unwrap().starts_with("Interrupted before its turn"));
    assert_eq!(*world.cleared.borrow(), ["a.pid"]);
}

#[test]
fn on_a_terminal_a_clear_of_several_counts() {
    let screen = Screen { colour: false, width: Some(80) };
    let run = ran_with(&usual(), None, screen, &["clear", "/locks", "--stale", "--yes"]);
    assert_eq!(run.err, "\r0 of 2\r1 of 2\r\x1b[K");
    let alone = ran_with(&usual(), None, screen, &["clear", "/locks", "a.pid", "--yes"]);
    assert_eq!(alone.err, "");
}

#[test]
fn waiting_for_a_group_ends_with_its_release() {
    // Its name says nothing of its use: only that it had a kernel lock tells that it is no lock being made.
    let mut world = Made::of(&[held("odd_thing.lock")]);
    let waiting = ["clear", "/locks", "--group", "odd_thing", "--wait", "30s", "--yes", "--json"];
    let timed_out = ran(&world, &waiting);
    assert_eq!((timed_out.code, &json(&timed_out.out)["refused"][0]["verdict"]), (1, &"held".into()));
    assert_eq!(world.now.get(), Duration::from_secs(3630));
    world.now.set(Duration::from_hours(1));
    world.released_after = Duration::from_secs(2);
    let run = ran(&world, &waiting);
    assert_eq!(world.now.get(), Duration::from_secs(3602), "{}", run.out);
}

#[test]
fn who_takes_its_lock_away_and_ends_during_a_look_has_released_it() {
    let alive = File { alive: true, ..file("chat_memory.lock", "4711\n", 60) };
    let world = Made { vanishes: true, ..Made::of(&[alive]) };
    let run = ran(&world, &["clear", "/locks", "--group", "chat", "--wait", "30s", "--yes", "--json"]);
    assert_eq!((run.code, &json(&run.out)["status"]), (0, &"nothing".into()), "{}", run.out);
    assert_eq!(world.now.get(), Duration::from_hours(1) + Duration::from_millis(100), "one pause was enough");
}

#[test]
fn a_sweep_clears_what_is_stale_and_tells_each_act() {
    let world = Made { longest_sweep: 3, ..usual() };
    let run = ran(&world, &["sweep", "/locks", "--every", "60s"]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(*world.cleared.borrow(), ["a.pid", "job.lock"]);
    assert_eq!(
        run.err,
        "Clearing what is stale in /locks every 1 min, stale after 10 min. Ctrl-C or SIGTERM ends it.\n"
    );
    let lines: Vec<&str> = run.out.lines().collect();
    assert_eq!(lines.len(), 2, "nothing is said of the rounds without an act: {}", run.out);
    let grounds = "Owner PID 4711 is gone: no such process. Untouched for 1 h, stale after 10 min.";
    assert_eq!(lines[0], format!("{}  cleared  a.pid  {grounds}  (undo with: lockscope undo t1)", NOW.rfc3339()));
    let world = Made { interrupted_after: 1, longest_sweep: 9, ..usual() };
    assert_eq!(ran(&world, &["sweep", "/locks", "--every", "60s"]).code, 0);
    assert_eq!(*world.cleared.borrow(), ["a.pid"], "after the interrupt none is begun");
}

#[test]
fn a_sweep_backs_off_and_says_so_once() {
    let hour = Duration::from_hours(1);
    let rounds = |world: &Made| -> Vec<u64> {
        world.rounds.borrow().iter().map(|at| at.saturating_sub(hour).as_secs()).collect()
    };
    // The directory goes, and comes back.
    let world = Made { longest_sweep: 6, lost: Cell::new(3), ..usual() };
    let run = ran(&world, &["sweep", "/locks", "--every", "10s"]);
    assert_eq!(rounds(&world), [0, 10, 30, 70, 150, 160]);
    let of_rounds: Vec<&str> = run.out.lines().skip(2).collect();
    assert_eq!(of_rounds.len(), 2, "{}", run.out);
    assert!(of_rounds[0].contains("stuck  no such directory: /locks") && of_rounds[1].ends_with("going on"));
    // A lock that will not go is tried less and less often: after 20, 40, 80 s.
    let world = Made { longest_sweep: 16, ..Made::of(&[file("changed.pid", "4711\n", 3600)]) };
    let run = ran(&world, &["sweep", "/locks", "--every", "10s"]);
    assert_eq!(run.out.matches("refused  changed.pid  held").count(), 4, "{}", run.out);
    // What is not there at the start is a slip of the pen.
    let missing = ran(&usual(), &["sweep", "/nowhere", "--every", "10s"]);
    assert_eq!((missing.code, missing.out.as_str()), (3, ""));
}
