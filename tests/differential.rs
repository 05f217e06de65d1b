//! The picture that is kept change by change, against one that is made anew: after random histories they are the same.
//!
//! `LOCKSCOPE_SEED` plays one history again, `LOCKSCOPE_OPERATIONS` a longer one.
#![cfg(target_os = "linux")]

mod support;

use lockscope::engine::listing::{Listing, Query, Row, SortKey, Steps};
use lockscope::engine::settings::Settings;
use lockscope::inspect::{LookOptions, look};
use lockscope::model::snapshot::{CHUNK, Counts, Lock, LockId, Snapshot};
use lockscope::platform::this_machine;
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::{DEAD, Watched};

/// The same throws for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % most
    }
}

/// A directory, and what happens in it.
struct World {
    directory: PathBuf,
    dice: Dice,
    locked: HashMap<PathBuf, File>,
    living: Vec<Child>,
}

impl World {
    /// What siblings make of a name is found by the slow pass alone, so no name here hangs on another.
    fn name(&mut self) -> PathBuf {
        let number = self.dice.below(60);
        let name = match self.dice.below(5) {
            0 | 1 => format!("k{number}_memory.lock"),
            2 => format!("m{number}.lock"),
            3 => format!("p{number}.pid"),
            _ => format!("plain{number}.txt"),
        };
        self.directory.join(name)
    }

    fn content(&mut self) -> String {
        match self.dice.below(6) {
            0 | 1 => format!("{DEAD}\n"),
            2 => format!("{{\"pid\": {DEAD}, \"host\": \"elsewhere\"}}"),
            3 => "what is this?\n".to_owned(),
            4 => self.living.last().map_or_else(|| "1\n".to_owned(), |child| format!("{}\n", child.id())),
            _ => "12 34\n".to_owned(),
        }
    }

    /// Whatever comes of it: many a thing cannot be done to what is there.
    fn happen(&mut self) {
        let path = self.name();
        match self.dice.below(16) {
            0..=4 => {
                let known_key = path.to_string_lossy().ends_with("_memory.lock");
                let content = if known_key && self.dice.below(2) == 0 { String::new() } else { self.content() };
                let _ = fs::write(&path, content);
            }
            5 | 6 => drop(fs::remove_file(&path)),
            7 | 8 => {
                let from = self.name();
                // A kernel lock seen on an empty file of another ending teaches what such files are; a fresh look has not
                // been taught.
                let lock = self.locked.remove(&from);
                if fs::rename(from, &path).is_ok() && path.to_string_lossy().ends_with("_memory.lock") {
                    self.locked.extend(lock.map(|lock| (path, lock)));
                }
            }
            9 => drop(fs::set_permissions(&path, fs::Permissions::from_mode(0o600 + self.dice.below(64) as u32))),
            10 => drop(fs::create_dir(&path)),
            11 => drop(fs::remove_dir(&path)),
            12 => drop(std::os::unix::fs::symlink(format!("somebody@host.{DEAD}"), &path)),
            13 if path.to_string_lossy().ends_with("_memory.lock") => {
                if let Ok(file) = File::open(&path)
                    && rustix::fs::flock(file.as_fd(), rustix::fs::FlockOperation::NonBlockingLockExclusive).is_ok()
                {
                    self.locked.insert(path, file);
                }
            }
            14 => {
                let some = self.locked.keys().next().cloned();
                some.and_then(|path| self.locked.remove(&path));
            }
            15 if self.dice.below(12) == 0 => {
                if self.living.len() > 2 {
                    let mut child = self.living.remove(0);
                    let _ = child.kill();
                    let _ = child.wait();
                }
                self.living.extend(Command::new("sleep").arg("1000").spawn());
            }
            _ => {}
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for child in &mut self.living {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What a person could see of a lock, but for what hangs on when it was looked at.
fn told(lock: &Lock) -> String {
    let facts = &lock.facts;
    let pids = |all: &[lockscope::model::facts::ProcessRef]| all.iter().map(|p| p.pid.get()).collect::<Vec<_>>();
    let kernel = facts.kernel().map(|k| (k.kind, pids(&k.holders), pids(&k.waiters), k.ranges.clone()));
    let judgement = (lock.judgement.verdict, lock.judgement.row, lock.judgement.certainty, lock.judgement.liveness);
    let split = (facts.danger(), pids(facts.split_holders()));
    format!(
        "{judgement:?} {:?} {:?} {:?} {kernel:?} {split:?} {:?}",
        facts.stat(),
        facts.reading().record,
        facts.trouble(),
        { (facts.reading().format.id, facts.content(), lock.group(), lock.key(), lock.facts.bytes()) }
    )
}

fn all(snapshot: &Snapshot) -> BTreeMap<PathBuf, String> {
    snapshot.locks().map(|lock| (PathBuf::from(&lock.path), told(lock))).collect()
}

/// Where the two differ.
fn differences(kept: &Snapshot, directory: &Path) -> Vec<String> {
    let fresh = look(&this_machine(), directory, &LookOptions::default()).expect("the directory can be looked at");
    let (kept, fresh) = (all(kept), all(&fresh));
    let paths: std::collections::BTreeSet<_> = kept.keys().chain(fresh.keys()).collect();
    let differ = paths.into_iter().filter(|path| kept.get(*path) != fresh.get(*path));
    differ
        .map(|path| format!("{}\n kept  {:?}\n fresh {:?}", path.display(), kept.get(path), fresh.get(path)))
        .collect()
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn the_picture_that_is_kept_is_the_one_that_would_be_made_anew() {
    let seed = number("LOCKSCOPE_SEED", u64::from(std::process::id()) << 20 | 0x9e37);
    let operations = number("LOCKSCOPE_OPERATIONS", 10_000);
    println!("LOCKSCOPE_SEED={seed}");
    let (locks, state) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let directory = locks.path().canonicalize().expect("a path");
    let watched = Watched::start(&directory, state.path(), Settings::default());
    let mut world =
        World { directory: directory.clone(), dice: Dice(seed | 1), locked: HashMap::new(), living: Vec::new() };
    let most = std::cell::Cell::new(0);
    for operation in 1..=operations {
        world.happen();
        if operation % 100 == 0 {
            // Events are answered in their order: when this one is, those before it were.
            fs::write(directory.join("marker.pid"), format!("{}\n", u64::from(DEAD) + operation)).expect("written");
            watched.until("the marker is seen", |snapshot| {
                let marker = snapshot.find(OsStr::new("marker.pid"));
                let pid = marker.and_then(|lock| lock.facts.reading().record()?.pid);
                pid.is_some_and(|pid| u64::from(pid.get()) == u64::from(DEAD) + operation)
            });
        }
        if operation % 1000 == 0 {
            // Locks and deaths make no events: the next quick looks see them, and then nothing differs any more.
            let why = format!("after {operation} operations of seed {seed} nothing differs");
            watched.until(&why, |snapshot| {
                let differences = differences(snapshot, &directory);
                if differences.is_empty() {
                    most.set(most.get().max(snapshot.counts.all()));
                }
                // Shown where it stays so.
                for difference in &differences {
                    println!("{operation}: {difference}");
                }
                differences.is_empty()
            });
            let rows = |listing: &Listing| listing.rows.clone();
            watched.until("the listing is that of the picture", |snapshot| {
                let listing = watched.engine.listing();
                listing.generation == snapshot.generation
                    && rows(&listing) == rows(&Listing::of(snapshot, &Query::default()))
            });
        }
    }
    assert!(most.get() > 40, "there was something to compare: {}", most.get());
}

/// So many that two threads take part.
fn very_many() -> (Vec<Arc<Lock>>, Snapshot) {
    let directory = tempfile::tempdir().expect("a directory");
    support::write(directory.path(), "one.lock", format!("{DEAD}\n"), 3600);
    let mut snapshot = support::look_at(directory.path());
    let one = Lock::clone(&support::lock(&snapshot, "one.lock"));
    let mut dice = Dice(0x9e37_79b9);
    let locks: Vec<Arc<Lock>> = (0..60_000)
        .map(|number| {
            let mut lock = Lock { id: LockId(number), ..one.clone() };
            lock.path = OsStr::new(&format!("shared-beginning-{:x}.lock", dice.below(1 << 40))).into();
            let ago = dice.below(500) as i64 * 1_000_000_000;
            lock.facts.change(|seen| seen.stat.as_mut().expect("it was looked at").modified.0 -= ago);
            Arc::new(lock)
        })
        .collect();
    snapshot.counts = Counts::default();
    for lock in &locks {
        snapshot.counts.add(lock.judgement.verdict);
    }
    snapshot.chunks = locks.chunks(CHUNK).map(|part| Arc::new(part.iter().cloned().map(Some).collect())).collect();
    (locks, snapshot)
}

#[test]
fn a_search_shows_what_it_has_found_until_it_has_found_all() {
    let (_, snapshot) = very_many();
    let query = Query { text: "7f".to_owned(), sort: SortKey::Lock, ..Query::default() };
    let mut firsts = Vec::new();
    let mut first = |listing| firsts.push(listing);
    let steps = Steps { first: &mut first, first_by: Duration::ZERO, void: &|| false };
    let all = Listing::in_steps(&snapshot, &query, steps).expect("nothing is void");
    assert!(all == Listing::of(&snapshot, &query) && all.complete && all.rows.len() > 1000);
    let [so_far, first_rows] = &firsts[..] else { panic!("{} came before", firsts.len()) };
    for early in [so_far, first_rows] {
        assert!(!early.complete && !early.rows.is_empty() && early.rows.len() < all.rows.len());
        let mut rest = all.rows.iter();
        assert!(early.rows.iter().all(|row| rest.any(|other| other == row)), "in the order of all");
    }
    assert_eq!(first_rows.rows[..], all.rows[..first_rows.rows.len()]);
    assert_eq!(first_rows.matching, all.matching);
}

#[test]
fn a_question_that_is_void_is_not_answered() {
    let (_, snapshot) = very_many();
    let asked = AtomicUsize::new(0);
    let void = || asked.fetch_add(1, Ordering::AcqRel) >= 4;
    let query = Query { text: "7f".to_owned(), ..Query::default() };
    let steps = Steps { first: &mut |_| panic!("too early"), first_by: Duration::from_mins(1), void: &void };
    assert!(Listing::in_steps(&snapshot, &query, steps).is_none());
    assert!(asked.into_inner() <= 6, "both threads end with the chunk that they are at");
}

#[test]
fn very_many_rows_come_in_the_order_of_few() {
    let (locks, snapshot) = very_many();
    for (sort, descending) in
        [(SortKey::Age, false), (SortKey::Age, true), (SortKey::Lock, false), (SortKey::Verdict, true)]
    {
        let listing = Listing::of(&snapshot, &Query { sort, descending, ..Query::default() });
        let mut expected = locks.clone();
        expected.sort_by(|a, b| {
            let age = |lock: &Lock| lock.age(&snapshot.moment());
            let order = if sort == SortKey::Age { age(a).cmp(&age(b)) } else { std::cmp::Ordering::Equal };
            (if descending { order.reverse() } else { order }).then_with(|| a.path.cmp(&b.path))
        });
        let rows: Vec<Row> = expected.iter().map(|lock| Row::Lock(lock.id)).collect();
        assert!(listing.complete && listing.matching == 60_000);
        assert!(listing.rows == rows, "{sort:?}, descending: {descending}");
    }
}
