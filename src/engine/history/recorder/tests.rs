//! Snapshots in, holds out.

use super::*;
use crate::engine::history::{PER_DIRECTORY, PER_LOCK};
use crate::model::facts::{KernelState, LockedRange};
use crate::model::holder::Pid;
use crate::model::kernel::LockKind;
use crate::model::snapshot::{CHUNK, LockId, LostReason};
use proptest::prelude::*;
use std::path::Path;

const SECOND: i64 = 1_000_000_000;
const BEGIN: i64 = 1_795_000_000 * SECOND;

/// A directory's pictures, made by hand; what does not matter is of a real file.
pub(crate) struct Film {
    base: Lock,
    pub(crate) snapshot: Snapshot,
}

impl Film {
    pub(crate) fn new() -> Self {
        static SAMPLE: std::sync::LazyLock<(Lock, Snapshot)> = std::sync::LazyLock::new(sample);
        let (base, snapshot) = SAMPLE.clone();
        let mut film = Self { base, snapshot };
        film.at(0.0);
        film
    }
    /// The time of the next picture, in seconds from the beginning.
    pub(crate) fn at(&mut self, secs: f64) -> &mut Self {
        self.snapshot.taken_at = time(secs);
        self
    }

    pub(crate) fn put(&mut self, id: u32, name: &str, verdict: Verdict, holders: &[u32], waiters: &[u32]) -> &mut Self {
        let mut lock = self.base.clone();
        lock.id = LockId(id);
        lock.path = OsStr::new(name).into();
        lock.judgement.verdict = verdict;
        let range = LockedRange { kind: LockKind::Flock, exclusive: holders.len() <= 1, start: 0, end: None };
        let held = verdict == Verdict::Held;
        let kernel = (held || !waiters.is_empty()).then(|| {
            Box::new(KernelState {
                kind: held.then_some(LockKind::Flock),
                holders: holders.iter().copied().map(process).collect(),
                ranges: if held { vec![range] } else { Vec::new() },
                waiters: waiters.iter().copied().map(process).collect(),
                ..KernelState::default()
            })
        });
        lock.facts.change(|seen| seen.kernel = kernel);
        self.slot(id, Some(Arc::new(lock)))
    }

    /// An existence lock, whose file has a birth time.
    pub(crate) fn born(&mut self, id: u32, name: &str, pid: u32, born: f64) -> &mut Self {
        self.put(id, name, Verdict::Held, &[], &[]);
        let chunk = Arc::make_mut(&mut self.snapshot.chunks[id as usize / CHUNK]);
        let lock = Arc::make_mut(chunk[id as usize % CHUNK].as_mut().unwrap());
        lock.judgement.row = 26;
        lock.facts.change(|seen| {
            seen.kernel = None;
            seen.users = crate::model::facts::Users::Looked { open: vec![process(pid)], works: None, unseen: 0 };
            seen.stat = Some(crate::model::facts::FileStat { born: Some(time(born)), ..sample_stat() });
        });
        self
    }

    pub(crate) fn slot(&mut self, id: u32, lock: Option<Arc<Lock>>) -> &mut Self {
        let (chunk, at) = (id as usize / CHUNK, id as usize % CHUNK);
        while self.snapshot.chunks.len() <= chunk {
            self.snapshot.chunks.push(Arc::default());
        }
        let chunk = Arc::make_mut(&mut self.snapshot.chunks[chunk]);
        if chunk.len() <= at {
            chunk.resize(at + 1, None);
        }
        chunk[at] = lock;
        self
    }
}

fn sample() -> (Lock, Snapshot) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("a.lock"), "").unwrap();
    let options = crate::inspect::LookOptions::default();
    let mut snapshot = crate::inspect::look(&crate::platform::this_machine(), directory.path(), &options).unwrap();
    let mut base = Lock::clone(snapshot.locks().next().unwrap());
    base.facts.change(|seen| seen.stat = None);
    snapshot.chunks = Vec::new();
    snapshot.directory = Path::new("/srv/locks").into();
    snapshot.watching = Watching::Live;
    (base, snapshot)
}

fn sample_stat() -> crate::model::facts::FileStat {
    crate::model::facts::FileStat {
        kind: crate::model::facts::FileKind::Regular,
        mode: 0o644,
        uid: 0,
        links: 1,
        size: 0,
        dev: 1,
        ino: 1,
        mount: 1,
        modified: time(0.0),
        changed: time(0.0),
        born: None,
        mount_root: false,
    }
}

pub(crate) fn time(secs: f64) -> Wall {
    Wall(BEGIN + (secs * 1e9) as i64)
}

fn process(pid: u32) -> ProcessRef {
    ProcessRef { pid: Pid::new(u64::from(pid)).unwrap(), facts: None }
}

pub(crate) fn recorder() -> Recorder {
    Recorder::new(History::new(Path::new("/srv/locks").into()))
}

/// A lock's holds as text: verdict, PID, begin, end, how it began and ended.
pub(crate) fn told(history: &History, name: &str) -> Vec<String> {
    let Some(lock) = history.lock(OsStr::new(name)) else { return Vec::new() };
    let secs = |at: Wall| (at.0 - BEGIN) as f64 / 1e9;
    lock.holds
        .iter()
        .map(|hold| {
            let pid = hold.who.pid.map_or("-".to_owned(), |pid| pid.to_string());
            let end = hold.ended.map_or("..".to_owned(), |(at, how)| format!("{} {how:?}", secs(at)));
            format!("{} {pid} {:?} {} - {end}", hold.verdict.id(), hold.start, secs(hold.began))
        })
        .collect()
}

use Verdict::{Held, Idle, Orphaned, Stale, Unknown};

#[test]
fn what_changes_in_a_picture_without_a_hold_or_a_wait_is_not_history() {
    let (mut recorder, mut film) = (recorder(), Film::new());
    let mut see = |film: &Film, expected: bool, what: &str| {
        let changes = recorder.see(&film.snapshot);
        assert!(!changes.changed.is_empty() || !changes.gone.is_empty(), "{what}: the picture changes");
        assert_eq!(changes.recorded, expected, "{what}");
    };
    see(film.at(0.0).put(0, "a", Held, &[7], &[]).put(1, "b", Idle, &[], &[]), true, "held from the first");
    see(film.at(1.0).put(1, "b", Unknown, &[], &[]), true, "left behind");
    // As when it has grown old enough for another reason, under the same verdict.
    see(film.at(2.0).put(1, "b", Unknown, &[], &[]), false, "still left behind");
    see(film.at(3.0).put(0, "a", Held, &[7], &[]), false, "still held by the same");
    see(film.at(4.0).put(0, "a", Held, &[7], &[8]), true, "waited for");
    see(film.at(5.0).put(0, "a", Held, &[8], &[]), true, "handed over");
    see(film.at(6.0).put(1, "b", Idle, &[], &[]), true, "free");
    see(film.at(7.0).put(2, "c", Idle, &[], &[]), false, "nobody has ever had it");
    see(film.at(8.0).slot(2, None), false, "and it goes");
    see(film.at(9.0).slot(0, None), true, "a held one goes");
}

#[test]
fn snapshots_in_holds_out() {
    type Frame = (f64, Option<(Verdict, &'static [u32])>);
    let cases: &[(&str, &[Frame], &[&str])] = &[
        (
            "a hold that was there when watching began has no known start",
            &[(0.0, Some((Held, &[7]))), (9.0, Some((Idle, &[])))],
            &["held 7 Since 0 - 9 Released"],
        ),
        (
            "one that begins and ends under our eyes is whole",
            &[(0.0, Some((Idle, &[]))), (1.0, Some((Held, &[7]))), (4.0, Some((Idle, &[])))],
            &["held 7 Seen 1 - 4 Released"],
        ),
        (
            "the next holder begins where the one before ended",
            &[(0.0, Some((Idle, &[]))), (1.0, Some((Held, &[7]))), (4.0, Some((Held, &[8]))), (5.0, None)],
            &["held 7 Seen 1 - 4 Released", "held 8 Seen 4 - 5 Released"],
        ),
        (
            "what a dead holder left is no hold",
            &[
                (0.0, None),
                (1.0, Some((Held, &[7]))),
                (3.0, Some((Orphaned, &[]))),
                (9.0, Some((Stale, &[]))),
                (11.0, None),
            ],
            &["held 7 Seen 1 - 3 LeftBehind", "orphaned - Seen 3 - 9 Changed", "stale - Seen 9 - 11 Changed"],
        ),
        (
            "could not look is neither a release nor a beginning",
            &[(0.0, None), (1.0, Some((Held, &[7]))), (3.0, Some((Unknown, &[]))), (5.0, Some((Held, &[7])))],
            &["held 7 Seen 1 - 3 Changed", "unknown - Seen 3 - 5 Changed", "held 7 Since 5 - .."],
        ),
        (
            "several that share it each have their span",
            &[
                (0.0, None),
                (1.0, Some((Held, &[7]))),
                (2.0, Some((Held, &[7, 8]))),
                (4.0, Some((Held, &[8]))),
                (5.0, None),
            ],
            &["held 7 Seen 1 - 4 Released", "held 8 Seen 2 - 5 Released"],
        ),
        ("what nobody holds has no history", &[(0.0, Some((Idle, &[]))), (5.0, None)], &[]),
    ];
    for (what, frames, holds) in cases {
        let mut film = Film::new();
        let mut recorder = recorder();
        for (at, lock) in *frames {
            film.at(*at);
            match lock {
                Some((verdict, holders)) => film.put(3, "a.lock", *verdict, holders, &[]),
                None => film.slot(3, None),
            };
            recorder.see(&film.snapshot);
        }
        assert_eq!(told(recorder.history(), "a.lock"), *holds, "{what}");
    }
}

#[test]
fn a_file_s_birth_tells_the_start_and_a_new_file_is_a_new_hold() {
    let mut film = Film::new();
    let mut recorder = recorder();
    recorder.see(&film.at(100.0).born(0, "a.lock", 7, 40.0).snapshot);
    assert_eq!(told(recorder.history(), "a.lock"), ["held 7 File 40 - .."]);
    // The same process has taken it anew since the last look.
    recorder.see(&film.at(120.0).born(0, "a.lock", 7, 119.5).snapshot);
    assert_eq!(told(recorder.history(), "a.lock"), ["held 7 File 40 - 119.5 Released", "held 7 Seen 119.5 - .."]);
    // An old file that comes by a rename was not made when it appeared.
    recorder.see(&film.at(130.0).slot(0, None).snapshot);
    recorder.see(&film.at(131.0).born(0, "b.lock", 7, 5.0).snapshot);
    assert_eq!(told(recorder.history(), "b.lock"), ["held 7 Seen 131 - .."]);
}

#[test]
fn a_gap_cuts_what_was_under_way_and_what_follows_has_no_known_start() {
    let mut film = Film::new();
    let mut recorder = recorder();
    recorder.see(&film.at(0.0).snapshot);
    recorder.see(&film.at(1.0).put(0, "a.lock", Held, &[7], &[9]).snapshot);
    film.snapshot.watching = Watching::Lost(LostReason::NoAnswer);
    recorder.see(&film.at(5.0).snapshot);
    assert_eq!(told(recorder.history(), "a.lock"), ["held 7 Seen 1 - 5 Unseen"]);
    assert_eq!(recorder.history().lock(OsStr::new("a.lock")).unwrap().waits[0].till, Some(time(5.0)));
    film.snapshot.watching = Watching::Loading(1);
    recorder.see(&film.at(19.0).slot(0, None).snapshot);
    film.snapshot.watching = Watching::Live;
    recorder.see(&film.at(20.0).put(0, "a.lock", Held, &[7], &[]).snapshot);
    assert_eq!(told(recorder.history(), "a.lock"), ["held 7 Seen 1 - 5 Unseen", "held 7 Since 20 - .."]);
    let gaps = recorder.history().gaps(time(-10.0), time(30.0), time(25.0));
    assert_eq!(gaps, [(time(-10.0), time(0.0)), (time(5.0), time(20.0))]);
    assert!(recorder.history().lock(OsStr::new("a.lock")).unwrap().usual.is_none());
}

#[test]
fn a_hold_that_outlasts_a_gap_with_its_file_is_one() {
    let mut film = Film::new();
    let mut recorder = recorder();
    recorder.see(&film.at(0.0).snapshot);
    recorder.see(&film.at(10.0).born(0, "a.lock", 7, 9.9).snapshot);
    recorder.stop(time(15.0));
    recorder.see(&film.at(30.0).snapshot);
    assert_eq!(
        told(recorder.history(), "a.lock"),
        ["held 7 File 9.9 - .."],
        "it is the same file, of the same process"
    );
    recorder.see(&film.at(40.0).slot(0, None).snapshot);
    let lock = recorder.history().lock(OsStr::new("a.lock")).unwrap();
    assert!(!lock.holds[0].is_whole(), "but its length is not one that was seen");
}

#[test]
fn waiters_have_their_spans_and_who_got_it_is_told() {
    let mut film = Film::new();
    let mut recorder = recorder();
    recorder.see(&film.at(0.0).put(0, "a.lock", Held, &[7], &[]).snapshot);
    recorder.see(&film.at(1.0).put(0, "a.lock", Held, &[7], &[8]).snapshot);
    recorder.see(&film.at(2.0).put(0, "a.lock", Held, &[7], &[8, 9]).snapshot);
    recorder.see(&film.at(3.0).put(0, "a.lock", Held, &[8], &[9]).snapshot);
    recorder.see(&film.at(4.0).put(0, "a.lock", Held, &[8], &[]).snapshot);
    let lock = recorder.history().lock(OsStr::new("a.lock")).unwrap();
    let waits: Vec<_> = lock.waits.iter().map(|w| (w.who.pid.unwrap(), w.from, w.till, w.got)).collect();
    assert_eq!(
        waits,
        [(8, time(1.0), Some(time(3.0)), true), (9, time(2.0), Some(time(4.0)), false)],
        "8 got it, 9 went"
    );
    let during: Vec<_> = lock.waits_during(&lock.holds[1], time(5.0)).map(|w| w.who.pid.unwrap()).collect();
    assert_eq!(during, [9], "while 8 had it");
}

#[test]
fn usual_needs_five_whole_holds_and_leaves_out_the_others() {
    let mut film = Film::new();
    let mut recorder = recorder();
    recorder.see(&film.at(0.0).put(0, "a.lock", Held, &[1], &[]).snapshot);
    let mut at = 100.0;
    for (number, length) in [2.0, 3.0, 4.0, 5.0, 60.0].into_iter().enumerate() {
        recorder.see(&film.at(at).put(0, "a.lock", Idle, &[], &[]).snapshot);
        assert!(recorder.history().lock(OsStr::new("a.lock")).unwrap().usual.is_none(), "after {number}");
        recorder.see(&film.at(at + 10.0).put(0, "a.lock", Held, &[2], &[]).snapshot);
        at += 10.0 + length;
    }
    recorder.see(&film.at(at).put(0, "a.lock", Idle, &[], &[]).snapshot);
    let usual = recorder.history().lock(OsStr::new("a.lock")).unwrap().usual.unwrap();
    assert_eq!((usual.median, usual.p95, usual.holds), (Duration::from_secs(4), Duration::from_mins(1), 5));
    assert!(usual.is_exceeded_by(Duration::from_secs(121)) && !usual.is_exceeded_by(Duration::from_mins(2)));
}

#[test]
fn a_burst_of_short_holds_is_counted_and_does_not_grow() {
    let mut film = Film::new();
    let mut recorder = recorder();
    recorder.see(&film.at(0.0).put(0, "a.lock", Idle, &[], &[]).snapshot);
    for number in 0..5000 {
        let at = 1.0 + f64::from(number) * 0.002;
        recorder.see(&film.at(at).put(0, "a.lock", Held, &[1000 + number as u32 % 7], &[]).snapshot);
        recorder.see(&film.at(at + 0.001).put(0, "a.lock", Idle, &[], &[]).snapshot);
    }
    let lock = recorder.history().lock(OsStr::new("a.lock")).unwrap();
    assert!(lock.holds.len() <= ONE_BY_ONE + 1, "{} entries", lock.holds.len());
    assert_eq!(lock.holds.iter().map(Hold::count).sum::<u32>(), 5000, "none is lost from the count");
    let usual = lock.usual.unwrap();
    assert_eq!((usual.median.as_micros().div_ceil(1000), usual.holds), (1, 5000));
}

#[test]
fn no_more_is_kept_than_the_bounds() {
    let mut film = Film::new();
    let mut recorder = recorder();
    recorder.see(&film.at(0.0).snapshot);
    // One lock with long holds, far apart.
    let mut at = 0.0;
    for _ in 0..PER_LOCK + 50 {
        recorder.see(&film.at(at + 5.0).put(0, "a.lock", Held, &[7], &[]).snapshot);
        at += 10.0;
        recorder.see(&film.at(at).put(0, "a.lock", Idle, &[], &[]).snapshot);
    }
    let lock = recorder.history().lock(OsStr::new("a.lock")).unwrap();
    assert_eq!(lock.holds.len(), PER_LOCK);
    assert_eq!(lock.holds.last().unwrap().ended.unwrap().0, time(at), "the newest stay");
    // Many locks, each of which comes once.
    for number in 0..PER_DIRECTORY as u32 + 500 {
        at += 1.0;
        film.at(at).put(number % 300, &format!("{number}.lock"), Held, &[7], &[]);
        recorder.see(&film.snapshot);
        film.slot(number % 300, None);
    }
    let history = recorder.history();
    assert!(history.len() <= PER_DIRECTORY, "{}", history.len());
    assert!(history.len() > PER_DIRECTORY / 2, "and no more is dropped than needed: {}", history.len());
    assert_eq!(history.locks().map(|lock| lock.entries()).sum::<usize>(), history.len(), "it is counted right");
    assert!(history.lock(OsStr::new("0.lock")).is_none() && history.lock(OsStr::new("20499.lock")).is_some());
    // What ended a month ago goes.
    recorder.prune(time(at).plus(crate::engine::history::OLDEST + Duration::from_secs(5)));
    assert!(recorder.history().locks().all(|lock| lock.open().next().is_some()));
}

#[test]
fn more_under_way_than_is_kept_is_said() {
    let mut film = Film::new();
    for number in 0..PER_DIRECTORY as u32 + 10 {
        film.put(number, &format!("{number}.lock"), Stale, &[], &[]);
    }
    let mut recorder = recorder();
    recorder.see(&film.snapshot);
    assert!(recorder.history().overfull);
    assert_eq!(recorder.history().len(), PER_DIRECTORY / 2, "what lies about has half of the room");
    for number in 0..PER_DIRECTORY as u32 {
        film.put(30_000 + number, &format!("held-{number}.lock"), Held, &[7], &[]);
    }
    recorder.see(&film.at(1.0).snapshot);
    assert_eq!(recorder.history().len(), PER_DIRECTORY, "and holds the rest");
}

#[test]
fn a_clock_that_is_set_back_makes_no_span_end_before_it_began() {
    let mut film = Film::new();
    let mut recorder = recorder();
    recorder.see(&film.at(100.0).put(0, "a.lock", Idle, &[], &[]).snapshot);
    recorder.see(&film.at(101.0).put(0, "a.lock", Held, &[7], &[8]).snapshot);
    recorder.see(&film.at(50.0).put(0, "a.lock", Idle, &[], &[]).snapshot);
    assert_eq!(told(recorder.history(), "a.lock"), ["held 7 Seen 101 - 101 Released"]);
}

#[test]
fn shared_chunks_are_not_looked_through() {
    let mut film = Film::new();
    for number in 0..600 {
        film.put(number, &format!("{number}.lock"), Idle, &[], &[]);
    }
    let mut recorder = recorder();
    assert!(recorder.see(&film.snapshot).first);
    film.at(1.0).put(300, "300.lock", Held, &[7], &[]);
    let changes = recorder.see(&film.snapshot);
    assert_eq!((changes.changed.len(), changes.gone.len(), changes.first), (1, 0, false));
    // Another lock in the place of one that went.
    film.at(2.0).put(300, "new.lock", Held, &[8], &[]);
    let changes = recorder.see(&film.snapshot);
    assert_eq!((changes.changed.len(), changes.gone.len()), (1, 1));
    assert_eq!(told(recorder.history(), "300.lock"), ["held 7 Seen 1 - 2 Released"]);
    assert_eq!(told(recorder.history(), "new.lock"), ["held 8 Seen 2 - .."]);
}

proptest! {
    #[test]
    fn spans_of_one_exclusive_holder_never_overlap(
        steps in prop::collection::vec((0_u32..4000, 0_usize..7, 1_u32..4, any::<bool>(), 0_u32..5000), 1..120)
    ) {
        let mut film = Film::new();
        let mut recorder = recorder();
        let mut at = 0.0;
        for (pause, verdict, pid, as_file, age) in steps {
            at += f64::from(pause) / 1000.0;
            film.at(at);
            match [Held, Held, Idle, Orphaned, Unknown, Stale, Held][verdict] {
                Held if as_file => film.born(0, "a.lock", pid, at - f64::from(age) / 1000.0),
                Held => film.put(0, "a.lock", Held, &[pid], &[]),
                Stale if as_file => film.slot(0, None),
                Unknown if as_file => { recorder.stop(time(at)); continue }
                other => film.put(0, "a.lock", other, &[], &[pid]),
            };
            recorder.see(&film.snapshot);
        }
        if let Some(lock) = recorder.history().lock(OsStr::new("a.lock")) {
            for pair in lock.holds.windows(2) {
                let end = pair[0].ended.expect("only the last is under way").0;
                prop_assert!(end <= pair[1].began, "{:?}", told(recorder.history(), "a.lock"));
            }
            for hold in &lock.holds {
                prop_assert!(hold.ended.is_none_or(|(end, _)| end >= hold.began));
            }
        }
    }
}
