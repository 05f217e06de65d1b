//! What is told, and what is not.

use super::*;
use crate::engine::history::recorder::tests::{Film, recorder};
use crate::model::verdict::Verdict::{Foreign, Held, Idle, Orphaned, Stale, Unknown};

fn awaited(directory: &Arc<Path>, path: &str) -> Awaited {
    Awaited { directory: Arc::clone(directory), path: OsStr::new(path).into() }
}

#[test]
fn it_is_told_once_when_the_lock_leaves_held() {
    type Frame = Option<Verdict>;
    let cases: &[(&str, &[Frame], Option<FreedAs>)] = &[
        ("released", &[Some(Held), Some(Idle), Some(Held), Some(Idle)], Some(FreedAs::Idle)),
        ("the file goes", &[Some(Held), None, Some(Held), None], Some(FreedAs::Gone)),
        ("its holder dies", &[Some(Held), Some(Orphaned), Some(Stale)], Some(FreedAs::LeftBehind(Orphaned))),
        ("could not look is not free", &[Some(Held), Some(Unknown), Some(Foreign), Some(Held)], None),
        ("left behind already: it is told when it goes", &[Some(Stale), Some(Orphaned), None], Some(FreedAs::Gone)),
        ("another holder is no freedom", &[Some(Held), Some(Held)], None),
    ];
    for (what, frames, told) in cases {
        let (mut film, mut recorder, mut vigil) = (Film::new(), recorder(), Vigil::default());
        let directory = Arc::clone(&film.snapshot.directory);
        vigil.wish(awaited(&directory, "a.lock"), true);
        let mut freed = Vec::new();
        for (number, frame) in frames.iter().enumerate() {
            film.at(number as f64);
            match frame {
                Some(verdict) => film.put(0, "a.lock", *verdict, &[7 + number as u32], &[]),
                None => film.slot(0, None),
            };
            let changes = recorder.see(&film.snapshot);
            freed.extend(vigil.hear(&directory, &changes, Duration::ZERO));
        }
        assert_eq!(
            freed.iter().map(|freed| freed.now).collect::<Vec<_>>(),
            told.iter().copied().collect::<Vec<_>>(),
            "{what}"
        );
        assert_eq!(vigil.awaited().len(), usize::from(told.is_none()), "{what}: told means done");
        if let [Freed { holder, now: FreedAs::Idle | FreedAs::LeftBehind(_), .. }] = &freed[..] {
            assert!(holder.starts_with("PID 7"), "{holder}");
        }
    }
}

#[test]
fn only_what_is_waited_for_is_told_and_a_wish_can_be_taken_back() {
    let (mut film, mut recorder, mut vigil) = (Film::new(), recorder(), Vigil::default());
    let directory = Arc::clone(&film.snapshot.directory);
    let elsewhere: Arc<Path> = Path::new("/srv/elsewhere").into();
    vigil.wish(awaited(&elsewhere, "a.lock"), true);
    vigil.wish(awaited(&directory, "b.lock"), true);
    vigil.wish(awaited(&directory, "c.lock"), true);
    vigil.wish(awaited(&directory, "c.lock"), false);
    for name in [(0, "a.lock"), (1, "b.lock"), (2, "c.lock")] {
        film.put(name.0, name.1, Held, &[7], &[]);
    }
    vigil.hear(&directory, &recorder.see(&film.snapshot), Duration::ZERO);
    for id in 0..3 {
        film.slot(id, None);
    }
    let freed = vigil.hear(&directory, &recorder.see(&film.at(1.0).snapshot), Duration::ZERO);
    assert_eq!(freed.iter().map(|freed| freed.lock.clone()).collect::<Vec<_>>(), [awaited(&directory, "b.lock")]);
    assert_eq!(vigil.awaited(), [awaited(&elsewhere, "a.lock")]);
}

#[test]
fn a_directory_that_cannot_be_looked_at_frees_nothing() {
    let (mut film, mut recorder, mut vigil) = (Film::new(), recorder(), Vigil::default());
    let directory = Arc::clone(&film.snapshot.directory);
    vigil.wish(awaited(&directory, "a.lock"), true);
    vigil.hear(&directory, &recorder.see(&film.put(0, "a.lock", Held, &[7], &[]).snapshot), Duration::ZERO);
    let full = film.snapshot.chunks.clone();
    film.snapshot.watching = crate::model::snapshot::Watching::Lost(crate::model::snapshot::LostReason::Gone);
    film.snapshot.chunks = Vec::new();
    assert!(vigil.hear(&directory, &recorder.see(&film.at(1.0).snapshot), Duration::ZERO).is_empty());
    film.snapshot.watching = crate::model::snapshot::Watching::Live;
    film.snapshot.chunks = full;
    assert!(vigil.hear(&directory, &recorder.see(&film.at(2.0).snapshot), Duration::ZERO).is_empty());
    let changes = recorder.see(&film.at(3.0).slot(0, None).snapshot);
    assert_eq!(vigil.hear(&directory, &changes, Duration::ZERO).len(), 1);
}

#[test]
fn many_that_turn_stale_at_once_are_told_together_and_what_was_stale_already_is_not() {
    let (mut film, mut recorder) = (Film::new(), recorder());
    let mut vigil = Vigil { tell_stale: true, ..Vigil::default() };
    let directory = Arc::clone(&film.snapshot.directory);
    film.put(0, "old.lock", Stale, &[], &[]);
    for number in 1..11 {
        film.put(number, &format!("{number}.lock"), Orphaned, &[], &[]);
    }
    vigil.hear(&directory, &recorder.see(&film.snapshot), Duration::from_secs(100));
    assert_eq!((vigil.due(), vigil.turned_stale(Duration::from_secs(200))), (None, None));
    for number in 1..11 {
        film.at(f64::from(number) / 20.0).put(number, &format!("{number}.lock"), Stale, &[], &[]);
        vigil.hear(
            &directory,
            &recorder.see(&film.snapshot),
            Duration::from_mins(5) + Duration::from_millis(50) * number,
        );
    }
    let due = vigil.due().unwrap();
    assert_eq!(vigil.turned_stale(due.saturating_sub(Duration::from_millis(1))), None);
    assert_eq!(vigil.turned_stale(due).unwrap().locks.len(), 10);
    assert_eq!(vigil.turned_stale(due + GATHER), None, "once");
    // Not asked for: not told.
    vigil.tell_stale = false;
    film.put(1, "1.lock", Orphaned, &[], &[]);
    vigil.hear(&directory, &recorder.see(&film.at(9.0).snapshot), Duration::from_secs(400));
    film.put(1, "1.lock", Stale, &[], &[]);
    vigil.hear(&directory, &recorder.see(&film.at(10.0).snapshot), Duration::from_secs(400));
    assert_eq!(vigil.due(), None);
}
