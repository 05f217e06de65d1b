//! The engine on real directories and real processes: what it shows, and how soon.

mod support;

use lockscope::engine::Command;
use lockscope::engine::settings::Settings;
use lockscope::model::kernel::KernelLock;
use lockscope::model::snapshot::{LockId, LostReason, Snapshot, Watching};
use lockscope::model::time::Wall;
use lockscope::model::verdict::Verdict;
use lockscope::platform::{Directory, ProcessSweep, System, this_machine};
use std::collections::{BTreeMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use support::{DEAD, Process, Watched, run_apart, write};

fn watched() -> (tempfile::TempDir, tempfile::TempDir, Watched) {
    let directory = tempfile::tempdir().expect("a directory");
    let state = tempfile::tempdir().expect("a directory");
    let watched = Watched::start(directory.path(), state.path(), Settings::default());
    (directory, state, watched)
}

#[test]
fn what_appears_changes_and_vanishes_is_shown() {
    let (directory, _state, watched) = watched();
    assert_eq!(watched.engine.snapshot().expect("a picture").watching, Watching::Live);
    write(directory.path(), "a.lock", format!("{DEAD}\n"), 3600);
    watched.until_verdict("a.lock", "stale");
    fs::write(directory.path().join("a.lock"), "what is this?\n").expect("writable");
    watched.until_verdict("a.lock", "unknown");
    fs::rename(directory.path().join("a.lock"), directory.path().join("b.lock")).expect("renamed");
    watched.until_gone("a.lock");
    watched.until_verdict("b.lock", "unknown");
    fs::remove_file(directory.path().join("b.lock")).expect("removed");
    watched.until_gone("b.lock");
}

#[test]
fn very_many_are_looked_at_by_two_threads_as_by_one() {
    const MANY: usize = 6000;
    let directory = tempfile::tempdir().expect("a directory");
    let _holder = Process::shell(directory.path(), "exec 9>held_memory.lock; flock 9; echo ready; exec sleep 1000");
    let _user = Process::shell(directory.path(), "exec 9>opened.lock; echo ready; exec sleep 1000");
    for number in 0..MANY {
        let (name, text) = match number % 5 {
            0 => (format!("{number}_memory.lock"), String::new()),
            1 => (format!("{number}.lock"), format!("{}\n", std::process::id())),
            2 => (format!("{number}.pid"), format!("{DEAD}")),
            3 => (format!("{number}.lck"), "what is this?\n".to_owned()),
            _ => (format!("{number}-x.lock"), String::new()),
        };
        write(directory.path(), &name, text, 3600);
    }
    let state = tempfile::tempdir().expect("a directory");
    let watched = Watched::start(directory.path(), state.path(), Settings::default());
    let shown = watched.engine.snapshot().expect("a picture");
    let looked = support::look_at(directory.path());
    let picture = |snapshot: &Snapshot| -> BTreeMap<OsString, (Verdict, u8)> {
        snapshot.locks().map(|lock| (lock.path.to_os_string(), (lock.judgement.verdict, lock.judgement.row))).collect()
    };
    assert_eq!(picture(&shown), picture(&looked));
    assert_eq!(shown.counts, looked.counts);
    assert_eq!(shown.counts.all() as usize, MANY + 2);
    let ids: HashSet<LockId> = shown.locks().map(|lock| lock.id).collect();
    assert_eq!(ids.len(), MANY + 2, "each has an id of its own");
}

#[test]
fn the_death_of_a_holder_is_seen_though_no_file_changes() {
    let (directory, _state, watched) = watched();
    let mut holder = Process::shell(directory.path(), "echo ready; exec sleep 1000");
    write(directory.path(), "a.lock", format!("{}\n", holder.pid()), 0);
    watched.until_verdict("a.lock", "held");
    holder.kill();
    watched.until_verdict("a.lock", "orphaned");
}

#[test]
fn a_kernel_lock_is_seen_to_come_and_go_though_it_makes_no_event() {
    let (directory, _state, watched) = watched();
    write(directory.path(), "a_memory.lock", "", 100);
    watched.until_verdict("a_memory.lock", "idle");
    let mut holder = Process::shell(directory.path(), "exec 9<a_memory.lock; flock 9; echo ready; exec sleep 1000");
    watched.until_verdict("a_memory.lock", "held");
    holder.kill();
    watched.until_verdict("a_memory.lock", "idle");
}

#[test]
fn who_opens_a_file_that_names_nobody_is_seen_though_it_makes_no_event() {
    let (directory, _state, watched) = watched();
    write(directory.path(), "a.lock", "", 3600);
    watched.until_verdict("a.lock", "unknown");
    let mut reader = Process::shell(directory.path(), "exec 9<a.lock; echo ready; exec sleep 1000");
    watched.until_verdict("a.lock", "held");
    // Another in its place is another sentence, under the same verdict.
    let _other = Process::shell(directory.path(), "exec 9<a.lock; echo ready; exec sleep 1000");
    let openers = |count| {
        watched.until(&format!("{count} openers"), |snapshot| {
            let lock = snapshot.find(OsStr::new("a.lock")).expect("listed");
            matches!(lock.facts.users(), lockscope::model::facts::Users::Looked { open, .. } if open.len() == count)
        });
    };
    openers(2);
    reader.kill();
    openers(1);
}

/// This machine, with so many processes that to read their open files takes a second.
struct Crowded {
    real: Arc<dyn System>,
    late_ms: AtomicU64,
    sweeps: AtomicUsize,
    looks: Mutex<usize>,
    looked: Condvar,
}

impl System for Crowded {
    fn wall(&self) -> Wall {
        self.real.wall().plus(Duration::from_millis(self.late_ms.load(Ordering::SeqCst)))
    }
    fn monotonic(&self) -> Duration {
        self.real.monotonic() + Duration::from_millis(self.late_ms.load(Ordering::SeqCst))
    }
    fn sweep(&self) -> ProcessSweep {
        self.late_ms.fetch_add(1000, Ordering::SeqCst);
        self.sweeps.fetch_add(1, Ordering::SeqCst);
        self.real.sweep()
    }
    fn open_directory(&self, path: &Path) -> io::Result<Box<dyn Directory>> {
        *self.looks.lock().expect("not poisoned") += 1;
        self.looked.notify_all();
        self.real.open_directory(path)
    }
    /// What other tests lock would be looked for too.
    fn kernel_locks(&self) -> io::Result<Vec<KernelLock>> {
        Ok(Vec::new())
    }
    crate::by_the_real_one!(host file_system lock_device look_at count_processes open_paths);
}

#[test]
fn where_it_takes_long_to_ask_who_has_files_open_it_is_asked_less_often() {
    let (directory, state) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    write(directory.path(), "a.lock", "", 3600);
    let crowded = Arc::new(Crowded {
        real: this_machine(),
        late_ms: AtomicU64::new(0),
        sweeps: AtomicUsize::new(0),
        looks: Mutex::new(0),
        looked: Condvar::new(),
    });
    let watched = Watched::start_on(Arc::clone(&crowded) as _, directory.path(), state.path(), Settings::default());
    watched.until_verdict("a.lock", "unknown");
    // Twenty looks more, of which each fourth could ask.
    let looks = crowded.looks.lock().expect("not poisoned");
    let enough = *looks + 20;
    drop(crowded.looked.wait_while(looks, |looks| *looks < enough).expect("not poisoned"));
    assert_eq!(crowded.sweeps.load(Ordering::SeqCst), 2, "at the first look, and once since");
}

#[test]
fn a_locked_file_of_any_name_is_listed() {
    let (directory, _state, watched) = watched();
    fs::write(directory.path().join("database"), "data").expect("written");
    let _holder = Process::shell(directory.path(), "exec 9<database; flock 9; echo ready; exec sleep 1000");
    watched.until_verdict("database", "held");
}

#[test]
fn time_alone_turns_an_orphan_stale() {
    let (directory, _state, watched) = watched();
    write(directory.path(), "a.lock", format!("{DEAD}\n"), 0);
    watched.until_verdict("a.lock", "orphaned");
    watched.engine.send(Command::SetThreshold(Duration::from_millis(1500)));
    watched.until_verdict("a.lock", "stale");
    watched.engine.send(Command::SetThreshold(Duration::from_mins(10)));
    watched.until_verdict("a.lock", "orphaned");
}

#[test]
fn a_directory_that_goes_and_comes_back_is_said_and_followed() {
    let outer = tempfile::tempdir().expect("a directory");
    let state = tempfile::tempdir().expect("a directory");
    let directory = outer.path().join("locks");
    fs::create_dir(&directory).expect("made");
    write(&directory, "a.lock", format!("{DEAD}\n"), 3600);
    let watched = Watched::start(&directory, state.path(), Settings::default());
    watched.until_verdict("a.lock", "stale");
    let id = |name| watched.engine.snapshot().expect("a picture").find(OsStr::new(name)).expect("listed").id;
    let before = id("a.lock");
    fs::rename(&directory, outer.path().join("moved")).expect("moved");
    watched.until("it is said", |snapshot| snapshot.watching == Watching::Lost(LostReason::Gone));
    fs::create_dir(&directory).expect("made again");
    write(&directory, "b.lock", format!("{DEAD}\n"), 3600);
    watched.until_verdict("b.lock", "stale");
    assert!(id("b.lock") > before, "nobody takes it for the one that was there");
    // The new directory is followed by events too.
    write(&directory, "c.lock", "?", 0);
    watched.until_verdict("c.lock", "unknown");
    assert!(watched.engine.snapshot().expect("a picture").find(OsStr::new("a.lock")).is_none());
}

#[test]
fn a_directory_that_is_none_or_may_not_be_read_is_said() {
    let outer = tempfile::tempdir().expect("a directory");
    let state = tempfile::tempdir().expect("a directory");
    let watched = Watched::start(&outer.path().join("nowhere"), state.path(), Settings::default());
    watched.until("it is said", |snapshot| snapshot.watching == Watching::Lost(LostReason::Gone));
    // A file stands for the directory it is in.
    let file = write(outer.path(), "a.lock", format!("{DEAD}\n"), 3600);
    watched.engine.send(Command::Watch(Some(file)));
    watched.until_verdict("a.lock", "stale");
}

#[test]
fn a_flood_of_changes_ends_in_the_true_picture() {
    let (directory, _state, watched) = watched();
    for round in 0..6 {
        for at in 0..1000 {
            let path = directory.path().join(format!("{at}.lock"));
            if (at + round) % 2 == 0 {
                fs::write(path, format!("{DEAD}\n")).expect("written");
            } else {
                let _ = fs::remove_file(path);
            }
        }
    }
    let there: std::collections::BTreeSet<std::ffi::OsString> =
        fs::read_dir(directory.path()).expect("readable").flatten().map(|entry| entry.file_name()).collect();
    assert!(there.len() > 400);
    // The number alone may be right by chance on the way.
    watched.until("exactly what is there", |snapshot| {
        snapshot.counts.listed() as usize == there.len() && snapshot.locks().all(|lock| there.contains(&*lock.path))
    });
}

#[test]
fn the_listing_follows_the_query() {
    use lockscope::engine::listing::{Query, Row, SortKey};
    let (directory, _state, watched) = watched();
    for name in ["b.lock", "a.lock", "c_memory.lock"] {
        write(directory.path(), name, format!("{DEAD}\n"), 3600);
        watched.until_verdict(name, "stale");
    }
    let query = Query { sort: SortKey::Lock, descending: true, ..Query::default() };
    watched.engine.send(Command::List(query.clone()));
    let names = || -> Vec<String> {
        let snapshot = watched.engine.snapshot().expect("a picture");
        let listing = watched.engine.listing();
        if listing.query != query {
            return Vec::new();
        }
        let lock = |row: &Row| match row {
            Row::Lock(id) => snapshot.lock(*id).map(|lock| lock.display_path().into_owned()),
            Row::Group(_) => None,
        };
        listing.rows.iter().filter_map(lock).collect()
    };
    watched.until("sorted by name, downwards", |_| names() == ["c_memory.lock", "b.lock", "a.lock"]);
}

/// Not a test by itself: what [`out_of_watches_the_folder_is_polled`] runs where the system gives no watches.
#[test]
fn without_watches() {
    if std::env::var_os("LOCKSCOPE_TEST_WITHOUT_WATCHES").is_none() {
        return;
    }
    use lockscope::model::snapshot::PollingReason;
    let limit = "/proc/sys/user/max_inotify_instances";
    fs::write(limit, "0").expect("the namespace's own limit");
    let (directory, _state, watched) = watched();
    let polling = Watching::Polling(PollingReason::OutOfWatches);
    assert_eq!(watched.engine.snapshot().expect("a picture").watching, polling);
    write(directory.path(), "a.lock", format!("{DEAD}\n"), 3600);
    watched.until_verdict("a.lock", "stale");
    fs::remove_file(directory.path().join("a.lock")).expect("removed");
    watched.until_gone("a.lock");
    fs::write(limit, "100").expect("raised again");
    watched.until("events are back", |snapshot| snapshot.watching == Watching::Live);
}

#[test]
fn out_of_watches_the_folder_is_polled() {
    run_apart("-Ur", "without_watches", "LOCKSCOPE_TEST_WITHOUT_WATCHES");
}

/// Not a test by itself: what [`an_unmounted_folder_is_noticed`] runs where it may mount.
#[test]
fn with_a_mount() {
    if std::env::var_os("LOCKSCOPE_TEST_MAY_MOUNT").is_none() {
        return;
    }
    let outer = tempfile::tempdir().expect("a directory");
    let state = tempfile::tempdir().expect("a directory");
    let run = |program: &str, arguments: &[&str]| {
        let ended = std::process::Command::new(program).args(arguments).arg(outer.path()).status();
        assert!(ended.expect("it runs").success(), "{program}");
    };
    write(outer.path(), "below.lock", format!("{DEAD}\n"), 3600);
    run("mount", &["-t", "tmpfs", "tmpfs"]);
    write(outer.path(), "above.lock", format!("{DEAD}\n"), 3600);
    let watched = Watched::start(outer.path(), state.path(), Settings::default());
    watched.until_verdict("above.lock", "stale");
    // What stands at the path now is another directory.
    run("umount", &[]);
    watched.until_gone("above.lock");
    watched.until_verdict("below.lock", "stale");
}

#[test]
fn an_unmounted_folder_is_noticed() {
    run_apart("-Urm", "with_a_mount", "LOCKSCOPE_TEST_MAY_MOUNT");
}

#[test]
fn what_a_kernel_lock_has_taught_is_known_after_a_restart_too() {
    let directory = tempfile::tempdir().expect("a directory");
    let state = tempfile::tempdir().expect("a directory");
    write(directory.path(), "job.lock", "", 3600);
    {
        let watched = Watched::start(directory.path(), state.path(), Settings::default());
        watched.until_verdict("job.lock", "unknown");
        let mut holder = Process::shell(directory.path(), "exec 9<job.lock; flock 9; echo ready; exec sleep 1000");
        watched.until_verdict("job.lock", "held");
        holder.kill();
        watched.until_verdict("job.lock", "idle");
    }
    let watched = Watched::start(directory.path(), state.path(), Settings::default());
    watched.until_verdict("job.lock", "idle");
    let told = |state: &std::path::Path| {
        let said = std::process::Command::new(env!("CARGO_BIN_EXE_lockscope"))
            .args(["status", "--json"])
            .arg(directory.path())
            .env("LOCKSCOPE_STATE_DIR", state)
            .output()
            .expect("it runs");
        let said: serde_json::Value = serde_json::from_slice(&said.stdout).expect("JSON");
        said["locks"][0]["verdict"].as_str().map(str::to_owned)
    };
    assert_eq!(told(&state.path().join("state")).as_deref(), Some("idle"));
    // Who was not taught does not know, and looking alone leaves nothing behind.
    let fresh = tempfile::tempdir().expect("a directory");
    assert_eq!(told(fresh.path()).as_deref(), Some("unknown"));
    assert_eq!(fs::read_dir(fresh.path()).expect("readable").count(), 0);
}

/// Its name alone says nothing: it is listed for the lock on it, each time anew. Locking makes no event, and the slow pass is
/// a day away.
#[test]
fn a_file_that_is_listed_for_its_kernel_lock_is_listed_again_when_it_is_locked_again() {
    let (directory, _state, watched) = watched();
    write(directory.path(), "somebody@host.4194305", "12 34\n", 3600);
    for _ in 0..2 {
        let command = "exec 9<somebody@host.4194305; flock 9; echo ready; exec sleep 1000";
        let mut holder = Process::shell(directory.path(), command);
        watched.until_verdict("somebody@host.4194305", "held");
        holder.kill();
        watched.until_gone("somebody@host.4194305");
    }
}

/// Events are answered first, but what makes none is asked for all the same, twice a second.
#[test]
fn a_flood_of_events_does_not_hide_what_makes_none() {
    let (directory, _state, watched) = watched();
    write(directory.path(), "a_memory.lock", "", 100);
    watched.until_verdict("a_memory.lock", "idle");
    let flood = "echo ready; while :; do : > noise.lock; rm noise.lock; done";
    let _flood = Process::shell(directory.path(), flood);
    let mut holder = Process::shell(directory.path(), "exec 9<a_memory.lock; flock 9; echo ready; exec sleep 1000");
    watched.until_verdict("a_memory.lock", "held");
    holder.kill();
    watched.until_verdict("a_memory.lock", "idle");
}
