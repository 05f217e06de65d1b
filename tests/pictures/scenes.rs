//! What the pictures show: directories on a made-up machine, each with its settings.

use super::made::{Made, NOW, mins, secs};
use lockscope::engine::history::{End, History, Hold, LockHistory, Start, Usual, Wait, Watched as Seen, Who};
use lockscope::engine::places::Place;
use lockscope::engine::settings::{Recent, Settings, WatchedFolder};
use lockscope::engine::watched::Watched;
use lockscope::inspect::{LookOptions, look};
use lockscope::model::naming::Naming;
use lockscope::model::snapshot::{CHUNK, Lock, LockId, LostReason, Snapshot, Watching};
use lockscope::model::verdict::Verdict;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Where most of it plays.
pub(crate) const CHAT: &str = "/srv/chat/storage/locks";

/// What a window is opened on.
#[derive(Clone, Copy)]
pub(crate) enum Scene {
    /// No folder, and none before.
    FirstRun,
    /// No folder, but recent ones.
    Recent,
    /// A bit of everything.
    Chat,
    /// A bit of everything, but `a41f9_memory.lock` has been taken anew.
    ChatTaken,
    /// A bit of everything, after the stale ones were cleared.
    ChatCleared,
    /// The same beside three other folders.
    Several,
    /// Two hold what is one lock.
    Split,
    /// Nothing in it.
    Empty,
    /// The first look at many files.
    Loading,
    /// It was deleted.
    Lost,
    /// It may not be read.
    Denied,
    /// Names that would disguise themselves, and very long ones.
    Hostile,
    /// A hundred thousand stale locks.
    Many,
}

impl Scene {
    pub(crate) fn snapshot(self) -> Option<Snapshot> {
        match self {
            Self::FirstRun | Self::Recent => None,
            Self::Chat | Self::Several => Some(seen(&chat(), CHAT)),
            Self::ChatTaken => {
                let mut taken = chat();
                taken.process(8021, "python3 worker.py --queue memory", secs(2));
                taken.file(at("a41f9_memory.lock"), Made::marker(8021, "python3 worker.py", secs(1)), secs(1));
                Some(Snapshot { generation: 2, ..seen(&taken, CHAT) })
            }
            Self::ChatCleared => {
                let mut cleared = chat();
                for name in ["a41f9_memory.lock", "b7702_all.lock", "b7702_uploaded_documents_list.lock"] {
                    cleared.remove(at(name));
                }
                Some(Snapshot { generation: 2, ..seen(&cleared, CHAT) })
            }
            Self::Split => Some(seen(&split(), "/srv/chat/run")),
            Self::Empty => Some(seen(Made::new().directory("/srv/chat/tmp"), "/srv/chat/tmp")),
            Self::Loading => Some(Snapshot { watching: Watching::Loading(48_128), ..Self::Empty.snapshot()? }),
            Self::Lost => Some(Snapshot { watching: Watching::Lost(LostReason::Gone), ..Self::Empty.snapshot()? }),
            Self::Denied => Some(Snapshot { watching: Watching::Lost(LostReason::Denied), ..Self::Empty.snapshot()? }),
            Self::Hostile => Some(seen(&hostile(), "/srv/uploads")),
            Self::Many => Some(many(100_000)),
        }
    }

    /// The folders that are watched; the one that is shown first.
    pub(crate) fn watched(self) -> Vec<Watched> {
        let mut pictures: Vec<Snapshot> = self.snapshot().into_iter().collect();
        if matches!(self, Self::Several) {
            pictures.extend([Self::Split, Self::Hostile, Self::Lost].into_iter().filter_map(Self::snapshot));
        }
        let watched = |(at, picture): (usize, Snapshot)| Watched {
            path: Arc::clone(&picture.directory),
            recursive: at == 2,
            ignore: None,
            shown: at == 0,
            picture: Some(Arc::new(picture)),
        };
        pictures.into_iter().enumerate().map(watched).collect()
    }

    /// What was seen of its locks in the last hour.
    pub(crate) fn history(self) -> Option<History> {
        let snapshot = self.snapshot()?;
        let mut history = History::new(Arc::clone(&snapshot.directory));
        history.watched.push(Seen { from: NOW.minus(mins(60)), till: None });
        for lock in snapshot.locks() {
            let mut past = LockHistory::of((&*lock.path).into());
            (past.id, past.now) = (Some(lock.id), Some(lock.judgement.verdict));
            let verdict = lock.judgement.verdict;
            let age = lock.age(&snapshot.moment()).unwrap_or_default().min(mins(60));
            let who =
                |number: Option<u32>, command: &str| Who { pid: number, incarnation: None, command: command.into() };
            let hold = |verdict, who, ago: Duration, ended| Hold {
                verdict,
                certainty: None,
                who,
                exclusive: true,
                began: NOW.minus(ago),
                start: Start::Seen,
                ended,
                burst: None,
            };
            if verdict == Verdict::Held {
                for turn in 1..9_u64 {
                    let began = age + secs(turn * 380);
                    let end = NOW.minus(began).plus(secs(12 + turn % 3 * 9));
                    past.holds.push(hold(verdict, who(Some(5107), "python3"), began, Some((end, End::Released))));
                }
                past.usual = Some(Usual { median: secs(12), p95: secs(30), holds: 214 });
                past.holds.reverse();
            }
            if matches!(verdict, Verdict::Held | Verdict::Stale) {
                let number = lock.holder().map(|(process, _)| process.pid.get());
                past.holds.push(hold(verdict, who(number, "python3"), age, None));
            }
            for waiter in lock.facts.waiters() {
                let who = who(Some(waiter.pid.get()), waiter.name());
                past.waits.push(Wait { who, from: NOW.minus(secs(33)), since: false, till: None, got: false });
            }
            history.put(past);
        }
        Some(history)
    }

    /// Where locks usually are.
    pub(crate) fn places() -> Vec<Place> {
        let place = |title, holds, path: &str| Place { title, holds, folder: WatchedFolder::at(path) };
        vec![
            place("Git repository", "the index, refs and config of this one", "/home/kim/src/website/.git"),
            place("System services", "who runs, and who keeps others out", "/run"),
            place("Package manager", "installations under way", "/var/lib/dpkg"),
        ]
    }

    /// The machine that it plays on.
    pub(crate) fn machine(self) -> Made {
        if matches!(self, Self::Split) { split() } else { chat() }
    }

    pub(crate) fn settings(self) -> Settings {
        let recent = |path: &str, stale, held| Recent { path: path.into(), stale, held };
        let recent = match self {
            Self::FirstRun => Vec::new(),
            _ => vec![
                recent(CHAT, 3, 4),
                recent("/srv/mail/queue", 0, 12),
                recent("/home/kim/src/website/.git", 1, 0),
                recent("/var/lib/backup/locks", 0, 0),
            ],
        };
        Settings { recent, grouped: !matches!(self, Self::Many), ..Settings::default() }
    }
}

fn at(name: &str) -> std::path::PathBuf {
    Path::new(CHAT).join(name)
}

fn seen(machine: &Made, directory: &str) -> Snapshot {
    look(&machine.machine(), Path::new(directory), &LookOptions::default()).expect("it can be looked at")
}

fn split() -> Made {
    let mut machine = Made::new();
    machine.process(5102, "python3 server.py --port 8080", mins(190));
    machine.process(7340, "python3 server.py --port 8081", mins(42));
    machine.file("/srv/chat/run/jobs.lock", "", mins(41));
    machine.file("/srv/chat/run/mail.pid", "5102\n", mins(190));
    machine.flock("/srv/chat/run/jobs.lock", &[7340]).deleted("/srv/chat/run/jobs.lock", 5102);
    machine
}

fn chat() -> Made {
    let mut made = Made::new();
    let (server, worker) = ("python3 server.py --port 8080", "python3 worker.py --queue messages");
    made.process(5102, server, mins(60 * 26)).process(5107, worker, mins(60 * 26)).process(5113, worker, mins(95));
    made.process(5120, "python3 worker.py --queue all", mins(12)).process(6011, "soffice.bin --headless", mins(3));
    made.process(6233, "node thumbnails.js --watch", mins(8)).process(4733, "sshd kim@pts/2", mins(20));
    made.process(5140, "ffmpeg -i upload-17.mov", secs(40)).child(5102, 5140);
    made.file(at("a41f9.lock"), "", mins(120));
    made.file(at("a41f9_messages.lock"), "", secs(41)).flock(at("a41f9_messages.lock"), &[5102, 5107, 5113, 5120]);
    made.file(at("a41f9_memory.lock"), Made::marker(4711, "python3 worker.py --queue memory", mins(14)), mins(14));
    made.file(at("b7702.lock"), "", mins(24 * 60)).file(at("b7702_messages.lock"), "", mins(90));
    let json = r#"{"pid": 3990, "host": "atlas", "cmd": "python3 export.py --all"}"#;
    made.file(at("b7702_all.lock"), format!("{json}\n"), mins(192));
    made.file(at("b7702_uploaded_documents_list.lock"), "4733\natlas\n", mins(41));
    made.file(at("b7702_message_operations.lock"), Made::marker(6120, "python3 worker.py", secs(250)), secs(250));
    made.file(at("report.pptx.lock"), "6011\n", secs(22));
    made.file(at("thumbnails.lock"), "6233\natlas\n", secs(18));
    made.file(at("index.lock"), b"DIRC\0\0\0\x02\0\0\0\0", mins(25));
    let elsewhere = r#"{"pid": 812, "host": "nas2", "cmd": "rsync --server"}"#;
    made.file(at("nightly-sync.lock"), format!("{elsewhere}\n"), mins(300));
    made.file(at("build.lock"), "locked by the nightly build, ask Kim\n", mins(2 * 24 * 60));
    made
}

fn hostile() -> Made {
    let mut made = Made::new();
    let mut put = |name: &str, age| {
        made.file(Path::new("/srv/uploads").join(name), "4711\n", age);
    };
    put("invoice\u{202e}fdp.lock", mins(61));
    put("two\nlines.lock", mins(62));
    put("tab\tand\u{7}bell.lock", mins(63));
    put("zero\u{200b}width.lock", mins(64));
    put("quarterly-numbers-final-really-final-v7-with-comments-from-legal-and-finance (copy 2).xlsx.lock", mins(65));
    put(&format!("{}.lock", "a".repeat(240)), mins(66));
    put("Übergabe Protokoll – März.lock", mins(67));
    put(" leading and trailing .lock", mins(68));
    put("$(rm -rf ~).lock", mins(69));
    put("-rf.lock", mins(70));
    made
}

/// The same lock many times over, under other names.
fn many(count: u32) -> Snapshot {
    let mut made = Made::new();
    made.file("/srv/spool/0.lock", "4711\n", mins(75));
    let mut snapshot = seen(&made, "/srv/spool");
    let one = Lock::clone(snapshot.find(OsStr::new("0.lock")).expect("listed"));
    let lock = |at: u32| {
        let path = OsStr::new(&format!("job-{at:06}.lock")).into();
        Some(Arc::new(Lock { id: LockId(at), path, naming: Naming::default(), ..one.clone() }))
    };
    let ids: Vec<u32> = (0..count).collect();
    snapshot.chunks = ids.chunks(CHUNK).map(|part| Arc::new(part.iter().map(|at| lock(*at)).collect())).collect();
    for _ in 1..count {
        snapshot.counts.add(Verdict::Stale);
    }
    snapshot
}

/// The moment of all pictures, on the clocks that a window reads.
pub(crate) fn clock() -> (lockscope::model::time::Wall, Duration) {
    (NOW, mins(60 * 24 * 12))
}
