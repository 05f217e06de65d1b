//! CLEARING.md section 8, scenario 31: two that clear and two that take the lock, all at once. Never two holders, and no
//! holder whose lock is taken away; the same with a breaker as scripts write it, to show that this would be noticed.

mod support;

use lockscope::clear::{ClearError, Consent, Refusal, State, Workplace, clear, recheck};
use lockscope::inspect::{LookOptions, look_at_one};
use lockscope::platform::this_machine;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant, SystemTime};
use support::DEAD;

const NAME: &str = "job.pid";
/// How often the lock is taken.
const ROUNDS: usize = 1_500;
/// Every so many rounds its holder "crashes": it leaves a stale lock behind.
const CRASH: usize = 3;
/// Far more than it takes; only a failure lasts so long.
const PATIENCE: Duration = Duration::from_mins(1);

/// What happened.
#[derive(Debug, Default)]
struct Tally {
    holders: AtomicUsize,
    rounds: AtomicUsize,
    crashes: AtomicUsize,
    double: AtomicUsize,
    lost: AtomicUsize,
    cleared: AtomicUsize,
    over: AtomicBool,
}

impl Tally {
    fn violations(&self) -> usize {
        self.double.load(SeqCst) + self.lost.load(SeqCst)
    }
}

/// Ends the others when its thread ends, however that ends: a panic must not leave them running for ever.
struct Ending<'a>(&'a Tally);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, SeqCst);
    }
}

/// Takes the lock as O_EXCL holders do, holds it, and looks whether it still is its own.
///
/// With `grace` it waits so long for its lock to be put back where it was.
fn hold(path: &Path, grace: Duration, tally: &Tally) {
    let mut file = match fs::File::create_new(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return thread::yield_now(),
        Err(error) => panic!("{error}"),
    };
    if tally.holders.fetch_add(1, SeqCst) > 0 {
        tally.double.fetch_add(1, SeqCst);
    }
    let round = tally.rounds.fetch_add(1, SeqCst);
    writeln!(file, "{}", std::process::id()).expect("written");
    for _ in 0..round % 20 {
        thread::yield_now();
    }
    let own = file.metadata().expect("its own").ino();
    let is_own = || fs::symlink_metadata(path).is_ok_and(|stat| stat.ino() == own);
    let in_time = |so: &dyn Fn() -> bool| {
        let began = Instant::now();
        loop {
            if so() {
                return true;
            }
            if began.elapsed() >= grace {
                return false;
            }
            thread::yield_now();
        }
    };
    let is_own = in_time(&is_own);
    tally.holders.fetch_sub(1, SeqCst);
    if !is_own {
        tally.lost.fetch_add(1, SeqCst);
    } else if round.is_multiple_of(CRASH) {
        // In place; from its new time on it is stale.
        tally.crashes.fetch_add(1, SeqCst);
        file.set_len(0).expect("emptied");
        io::Seek::rewind(&mut file).expect("rewound");
        writeln!(file, "{DEAD}").expect("written");
        file.set_modified(SystemTime::now() - Duration::from_hours(1)).expect("set");
    } else if !in_time(&|| fs::remove_file(path).is_ok()) {
        tally.lost.fetch_add(1, SeqCst);
    }
}

/// Two breakers and two newcomers, until it is over.
fn run(
    path: &Path, grace: Duration, enough: impl Fn(&Tally) -> bool + Sync, breaker: impl Fn(usize, &Tally) + Sync,
) -> Tally {
    let tally = Tally::default();
    let began = Instant::now();
    let over = || tally.over.load(SeqCst) || enough(&tally) || began.elapsed() > PATIENCE;
    thread::scope(|scope| {
        for number in 0..2 {
            let (tally, over, breaker) = (&tally, &over, &breaker);
            scope.spawn(move || {
                let _ending = Ending(tally);
                while !over() {
                    breaker(number, tally);
                }
            });
            scope.spawn(move || {
                let _ending = Ending(tally);
                while !over() {
                    hold(path, grace, tally);
                }
            });
        }
    });
    tally
}

/// A directory, two workplaces, and what they do in it.
struct Scene {
    directory: PathBuf,
    workplaces: [Workplace; 2],
    _base: tempfile::TempDir,
}

impl Scene {
    /// One user, two programs: each with a journal of its own, and with one mutex or with two that know nothing of each
    /// other.
    fn new(mutexes: [&str; 2]) -> Self {
        let base = tempfile::tempdir().expect("a directory");
        let directory = base.path().join("locks");
        fs::create_dir(&directory).expect("a directory");
        let workplaces = [0, 1].map(|number| {
            let usual = lockscope::lock::workplace(this_machine(), &base.path().join(format!("state-{number}")));
            Workplace { runtime_dir: base.path().join(mutexes[number]), ..usual }
        });
        Self { directory, workplaces, _base: base }
    }

    fn run(&self, rounds: usize, grace: Duration, acceptable: fn(&ClearError) -> bool) -> Tally {
        let options = LookOptions::default();
        let breaker = |number: usize, tally: &Tally| {
            let workplace = &self.workplaces[number];
            let seen = look_at_one(&workplace.system, &self.directory, OsStr::new(NAME), &options).expect("looked at");
            let Some((seen, _)) = seen.filter(|(seen, _)| seen.is_stale()) else { return };
            let Ok(permit) = recheck(workplace, &self.directory, &seen, &options, Consent::Bulk) else { return };
            match clear(permit) {
                Ok(_) => drop(tally.cleared.fetch_add(1, SeqCst)),
                Err(error) => {
                    assert!(acceptable(&error), "{error:?}");
                    // Each has it open and so keeps the other from its lease: one gives way, or they try in step for ever.
                    let before = tally.cleared.load(SeqCst);
                    while number == 1 && tally.cleared.load(SeqCst) == before && !tally.over.load(SeqCst) {
                        thread::yield_now();
                    }
                }
            }
        };
        let tally = run(&self.directory.join(NAME), grace, |tally| tally.rounds.load(SeqCst) >= rounds, breaker);
        assert!(tally.rounds.load(SeqCst) >= rounds, "not in {PATIENCE:?}: {tally:?}");
        assert_eq!((tally.double.load(SeqCst), tally.lost.load(SeqCst)), (0, 0), "{tally:?}");
        tally
    }

    /// Nothing of ours is left; what was cleared is in quarantine. Gives how many.
    fn kept(&self) -> usize {
        let mut kept = 0;
        for workplace in &self.workplaces {
            let entries = workplace.journal().read().expect("the journal can be read");
            for entry in entries.iter().filter(|entry| entry.state == State::Done) {
                let place = entry.quarantine.as_ref().expect("a place");
                assert_eq!(fs::read_to_string(place).expect("it is there"), format!("{DEAD}\n"));
                kept += 1;
            }
            let open = entries.iter().filter(|entry| matches!(entry.state, State::Prepared | State::Swapped));
            assert_eq!(open.count(), 0, "entries without an end");
            assert_eq!(fs::read_dir(workplace.state_dir.join("pending")).expect("listed").count(), 0, "open intents");
        }
        kept
    }

    fn names(&self) -> Vec<OsString> {
        let entries = fs::read_dir(&self.directory).expect("listed");
        entries.map(|entry| entry.expect("a name").file_name()).collect()
    }
}

#[test]
fn two_that_clear_and_two_that_take_never_meet() {
    let scene = Scene::new(["run", "run"]);
    // Nobody but the two breaks it, and they take turns. What one can do to the other is to look: if it opens the file in
    // the moment of the swap, the file is put back.
    let in_its_way =
        |error: &ClearError| matches!(error, ClearError::Refused(Refusal::InUse(_)) | ClearError::PutBack(_));
    let tally = scene.run(ROUNDS, Duration::ZERO, in_its_way);
    assert!(tally.cleared.load(SeqCst) > ROUNDS / CRASH / 2, "there was something to clear: {tally:?}");
    // Each stale one was cleared once, but perhaps the last.
    let names = scene.names();
    assert!(names.is_empty() || names == [NAME], "{names:?}");
    assert_eq!(tally.cleared.load(SeqCst) + names.len(), tally.crashes.load(SeqCst), "{tally:?}");
    assert_eq!(scene.kept(), tally.cleared.load(SeqCst));
}

/// Two users, or two hosts' views of one directory: the protocol is safe without the mutex, only less smooth.
#[test]
fn without_the_mutex_they_do_not_meet_either() {
    let scene = Scene::new(["run-0", "run-1"]);
    let grace = Duration::from_secs(20);
    // Fewer: each time that both have it open, both wait for their lease in vain.
    let rounds = ROUNDS / 10;
    let tally = scene.run(rounds, grace, |error| match error {
        ClearError::PutBack(_) => true,
        ClearError::Refused(refusal) => {
            matches!(refusal, Refusal::InUse(_) | Refusal::Gone(_) | Refusal::Changed { .. })
        }
        ClearError::Kept { .. } | ClearError::Unfinished { .. } => false,
    });
    assert!(tally.cleared.load(SeqCst) > rounds / CRASH / 2, "there was something to clear: {tally:?}");
    let names = scene.names();
    assert!(names.is_empty() || names == [NAME], "{names:?}");
    assert_eq!(scene.kept(), tally.cleared.load(SeqCst));
}

/// Check, then unlink by path: what scripts do, and what this harness is there to notice.
#[test]
fn a_breaker_that_checks_and_unlinks_is_caught() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join(NAME);
    let tally = run(
        &path,
        Duration::ZERO,
        |tally| tally.violations() > 0,
        |_, tally| {
            if fs::read_to_string(&path).is_ok_and(|content| content == format!("{DEAD}\n")) {
                thread::yield_now();
                if fs::remove_file(&path).is_ok() {
                    tally.cleared.fetch_add(1, SeqCst);
                }
            }
        },
    );
    assert!(tally.violations() > 0, "{tally:?}");
}
