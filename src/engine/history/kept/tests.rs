//! Restarts, two writers, damage.

use super::*;
use crate::engine::history::recorder::tests::{Film, recorder, time, told};
use crate::model::verdict::Verdict::{Held, Idle, Stale};
use proptest::prelude::*;
use std::os::unix::fs::PermissionsExt as _;

fn directory() -> Arc<Path> {
    Path::new("/srv/locks").into()
}

#[test]
fn what_was_seen_is_there_after_a_restart_and_what_was_under_way_is_cut() {
    let state = tempfile::tempdir().unwrap();
    let (mut film, mut first) = (Film::new(), recorder());
    first.see(&film.at(0.0).put(0, "a.lock", Idle, &[], &[]).snapshot);
    first.see(&film.at(1.0).put(0, "a.lock", Held, &[7], &[8]).snapshot);
    first.see(&film.at(3.0).put(0, "a.lock", Idle, &[], &[]).snapshot);
    first.see(&film.at(4.0).put(0, "a.lock", Held, &[9], &[]).put(1, "b.lock", Stale, &[], &[]).snapshot);
    // Killed a second after it had written.
    save(state.path(), first.history(), time(5.0)).unwrap();
    let history = load(state.path(), &directory(), time(100.0)).unwrap();
    assert_eq!(told(&history, "a.lock"), ["held 7 Seen 1 - 3 Released", "held 9 Seen 4 - 5 Unseen"]);
    assert_eq!(told(&history, "b.lock"), ["stale - Seen 4 - 5 Unseen"]);
    assert_eq!(history.watched, [Watched { from: time(0.0), till: Some(time(5.0)) }]);
    assert_eq!(history.gaps(time(0.0), time(100.0), time(100.0)), [(time(5.0), time(100.0))]);
    let wait = &history.lock(OsStr::new("a.lock")).unwrap().waits[0];
    assert_eq!((wait.who.pid, wait.from, wait.till), (Some(8), time(1.0), Some(time(3.0))));
    // It goes on from there.
    let mut second = crate::engine::history::recorder::Recorder::new(history);
    second.see(&film.at(100.0).snapshot);
    second.see(&film.at(101.0).put(0, "a.lock", Idle, &[], &[]).snapshot);
    save(state.path(), second.history(), time(102.0)).unwrap();
    let history = load(state.path(), &directory(), time(103.0)).unwrap();
    assert_eq!(
        told(&history, "a.lock"),
        ["held 7 Seen 1 - 3 Released", "held 9 Seen 4 - 5 Unseen", "held 9 Since 100 - 101 Released"]
    );
    assert_eq!(history.watched.len(), 2);
}

#[test]
fn the_file_is_its_user_s_alone_and_each_directory_has_its_own() {
    let state = tempfile::tempdir().unwrap();
    let (mut film, mut recorder) = (Film::new(), recorder());
    recorder.see(&film.at(0.0).put(0, "a.lock", Held, &[7], &[]).snapshot);
    let file = file(state.path(), &directory()).unwrap();
    // Even if it was not before.
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, "{\"directory\": \"/srv/locks\", \"watched\": [], \"locks\": {}}").unwrap();
    save(state.path(), recorder.history(), time(1.0)).unwrap();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(load(state.path(), &Path::new("/srv/other").into(), time(2.0)).unwrap().is_empty());
    // As if two paths had the same name for their file.
    std::fs::write(&file, "{\"directory\": \"/srv/third\", \"watched\": [], \"locks\": {}}").unwrap();
    assert!(load(state.path(), &directory(), time(2.0)).unwrap().watched.is_empty());
}

#[test]
fn a_damaged_file_is_kept_aside_and_said() {
    let state = tempfile::tempdir().unwrap();
    let file = file(state.path(), &directory()).unwrap();
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, "{\"directory\": 7").unwrap();
    let error = load(state.path(), &directory(), time(0.0)).unwrap_err();
    let JsonError::Broken { kept, .. } = &error else { panic!("{error}") };
    assert_eq!(std::fs::read_to_string(kept).unwrap(), "{\"directory\": 7");
    assert!(load(state.path(), &directory(), time(0.0)).unwrap().is_empty(), "the next start is a fresh one");
}

#[test]
fn two_that_watch_the_same_directory_keep_one_history() {
    let state = tempfile::tempdir().unwrap();
    // The second began later, sees a little later, and writes first.
    let (mut early, mut late) = (recorder(), recorder());
    let mut film = Film::new();
    early.see(&film.at(0.0).put(0, "a.lock", Idle, &[], &[]).snapshot);
    early.see(&film.at(1.0).put(0, "a.lock", Held, &[7], &[]).snapshot);
    late.see(&film.at(2.0).snapshot);
    film.put(0, "a.lock", Held, &[8], &[]);
    early.see(&film.at(5.0).snapshot);
    late.see(&film.at(5.4).snapshot);
    film.put(0, "a.lock", Idle, &[], &[]);
    early.see(&film.at(7.0).snapshot);
    save(state.path(), late.history(), time(7.1)).unwrap();
    save(state.path(), early.history(), time(7.2)).unwrap();
    late.see(&film.at(7.3).snapshot);
    // And one lock that only one of them has seen.
    late.see(&film.at(8.0).put(1, "b.lock", Held, &[9], &[]).snapshot);
    save(state.path(), late.history(), time(9.0)).unwrap();
    save(state.path(), early.history(), time(9.1)).unwrap();
    let history = load(state.path(), &directory(), time(10.0)).unwrap();
    assert_eq!(told(&history, "a.lock"), ["held 7 Seen 1 - 5 Released", "held 8 Seen 5 - 7 Released"]);
    assert_eq!(told(&history, "b.lock"), ["held 9 Seen 8 - 9 Unseen"]);
    assert_eq!(history.watched.len(), 1, "one span for both: {:?}", history.watched);
}

#[test]
fn writers_at_the_same_time_lose_nothing() {
    let state = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for writer in 0..4_u32 {
            let state = state.path();
            scope.spawn(move || {
                let (mut film, mut recorder) = (Film::new(), recorder());
                recorder.see(&film.at(0.0).snapshot);
                for turn in 0..10_u32 {
                    let at = f64::from(turn * 10 + writer);
                    let name = format!("{writer}-{turn}.lock");
                    recorder.see(&film.at(at + 1.0).put(turn, &name, Held, &[7 + writer], &[]).snapshot);
                    save(state, recorder.history(), time(at + 2.0)).unwrap();
                }
            });
        }
    });
    let history = load(state.path(), &directory(), time(200.0)).unwrap();
    assert_eq!(history.locks().count(), 40);
}

#[test]
fn the_file_keeps_to_its_bounds() {
    let state = tempfile::tempdir().unwrap();
    // Each run alone is within them; together they are not.
    for run in 0..3_u32 {
        let (mut film, mut recorder) = (Film::new(), recorder());
        for number in 0..8000_u32 {
            film.put(number, &format!("{run}-{number}.lock"), Held, &[7], &[]);
        }
        let at = f64::from(run) * 100.0;
        recorder.see(&film.at(at).snapshot);
        recorder.stop(time(at + 50.0));
        save(state.path(), recorder.history(), time(at + 60.0)).unwrap();
    }
    let history = load(state.path(), &directory(), time(400.0)).unwrap();
    assert!(history.len() <= PER_DIRECTORY, "{}", history.len());
    assert!(history.lock(OsStr::new("2-7999.lock")).is_some(), "the newest stay");
    let size = std::fs::metadata(file(state.path(), &directory()).unwrap()).unwrap().len();
    assert!(size < 6_000_000, "{size} bytes");
    // A month later all of it is old.
    let later = time(400.0).plus(crate::engine::history::OLDEST + Duration::from_secs(400));
    assert!(load(state.path(), &directory(), later).unwrap().is_empty());
}

#[test]
fn a_burst_that_grew_since_it_was_written_is_one_burst() {
    let state = tempfile::tempdir().unwrap();
    let (mut film, mut recorder) = (Film::new(), recorder());
    recorder.see(&film.at(0.0).put(0, "a.lock", Idle, &[], &[]).snapshot);
    for number in 0..400_u32 {
        let at = 1.0 + f64::from(number) * 0.2;
        recorder.see(&film.at(at).put(0, "a.lock", Held, &[7], &[]).snapshot);
        recorder.see(&film.at(at + 0.1).put(0, "a.lock", Idle, &[], &[]).snapshot);
        if number % 40 == 3 {
            save(state.path(), recorder.history(), time(at + 0.15)).unwrap();
        }
    }
    save(state.path(), recorder.history(), time(100.0)).unwrap();
    let history = load(state.path(), &directory(), time(101.0)).unwrap();
    let lock = history.lock(OsStr::new("a.lock")).unwrap();
    assert_eq!(lock.holds.iter().map(Hold::count).sum::<u32>(), 400, "{:?}", told(&history, "a.lock"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_two_have_seen_never_overlaps_once_it_is_one(
        steps in prop::collection::vec((100_u32..3000, 0_usize..4, 1_u32..4, 0_u32..600, any::<bool>()), 2..40)
    ) {
        let state = tempfile::tempdir().unwrap();
        let (mut film, mut first, mut second) = (Film::new(), recorder(), recorder());
        let mut at = 0.0;
        for (pause, verdict, pid, lag, other_looks) in steps {
            at += f64::from(pause) / 1000.0;
            let verdict = [Held, Idle, Held, Stale][verdict];
            first.see(&film.at(at).put(0, "a.lock", verdict, &[pid], &[]).snapshot);
            let later = at + f64::from(lag.min(pause / 2)) / 1000.0;
            if other_looks {
                second.see(&film.at(later).snapshot);
                save(state.path(), second.history(), time(later)).unwrap();
            }
        }
        save(state.path(), first.history(), time(at)).unwrap();
        save(state.path(), second.history(), time(at + 1.0)).unwrap();
        let history = load(state.path(), &directory(), time(at + 2.0)).unwrap();
        if let Some(lock) = history.lock(OsStr::new("a.lock")) {
            for pair in lock.holds.windows(2) {
                prop_assert!(pair[0].ended.unwrap().0 <= pair[1].began, "{:?}", told(&history, "a.lock"));
            }
        }
    }
}
