//! CLEARING.md section 8, scenario 32: a Lockscope that dies at any step, and the next one that goes on from there.

use super::*;
use crate::clear::{UndoRefusal, recover_all, repair, undo};
use crate::model::holder::{Pid, ProcessLook};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

/// Tells a child of this test binary where to die.
const ORDERS: &str = "LOCKSCOPE_TEST_CRASH";

const BEFORE: [Step; 6] =
    [Step::Intended, Step::Probed, Step::PlaceholderMade, Step::Prepared, Step::Leased, Step::Checked];
const AFTER: [Step; 6] = [Step::Swapped, Step::Verified, Step::Emptied, Step::Freed, Step::Quarantined, Step::Done];
const PUT_BACK: [Step; 3] = [Step::Swapped, Step::Linked, Step::SwappedBack];

/// The child: clears, with a newcomer in between if so told, and dies by SIGKILL after the step.
fn die_as_told(orders: &str) {
    let [step, newcomer_first, name, base] = orders.splitn(4, '|').collect::<Vec<_>>()[..] else { panic!("{orders}") };
    let base = Path::new(base);
    let directory = base.join("in/locks");
    let lock = directory.join(name);
    let world = World { base: tempfile::tempdir_in(base).unwrap(), workplace: workplace(base), directory, lock };
    let all = BEFORE.into_iter().chain(AFTER).chain(PUT_BACK);
    let step = all.into_iter().find(|known| format!("{known:?}") == step).unwrap();
    let hook = Hook::at(step, || {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    });
    let hook = match newcomer_first {
        "true" => hook.and_at(Step::Checked, || {
            remove_tree(&world.lock);
            newcomer(&world.lock);
        }),
        _ => hook,
    };
    let result = world.clear(&hook);
    panic!("still alive: {result:?}");
}

/// Lets a child clear this world's lock and die; it is reaped, and proved gone.
fn crash(world: &World, step: Step, newcomer_first: bool) {
    let name = world.lock.file_name().unwrap().to_str().unwrap();
    let orders = format!("{step:?}|{newcomer_first}|{name}|{}", world.base.path().display());
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "clear::linux::tests::crash::a_crash_before_the_swap_changes_nothing", "--nocapture"])
        .env(ORDERS, orders)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(libc::SIGKILL), "{step:?}: the child died where it was told to: {status}");
    let look = world.workplace.system.look_at(Pid::new(child.id().into()).unwrap());
    assert!(matches!(look, ProcessLook::NoSuchProcess), "{look:?}");
    assert_eq!(world.pending().len(), 1, "{step:?}: the intent is on record");
}

fn recover(world: &World) {
    assert_eq!(recover_all(&world.workplace).unwrap(), 1);
    assert_eq!(recover_all(&world.workplace).unwrap(), 0, "once is enough");
}

#[test]
fn a_crash_before_the_swap_changes_nothing() {
    if let Ok(orders) = std::env::var(ORDERS) {
        return die_as_told(&orders);
    }
    for step in BEFORE {
        let world = World::new();
        let before = Look::at(&world.lock);
        crash(&world, step, false);
        recover(&world);
        world.assert_untouched(&before);
        let undoable = world.workplace.journal().last_clear_ids().unwrap();
        assert_eq!(undoable, [""; 0], "{step:?}: nothing was removed, so there is nothing to undo");
        world.clear(&crate::clear::linux::protocol::Straight).unwrap();
        assert!(free(&world.lock), "{step:?}: and it can be cleared as ever");
    }
}

#[test]
fn a_crash_after_the_swap_is_finished_and_can_be_undone() {
    for step in AFTER {
        let world = World::new();
        let before = Look::at(&world.lock);
        crash(&world, step, false);
        assert_eq!(free(&world.lock), step >= Step::Freed, "{step:?}: until it is freed, nobody gets in");
        recover(&world);
        world.assert_tidy(&[]);
        let [id] = &world.workplace.journal().last_clear_ids().unwrap()[..] else { panic!("{step:?}: one clear") };
        assert_eq!(*id, world.entry(State::Done).id);
        undo(&world.workplace, id).unwrap();
        world.assert_untouched(&before);
    }
}

/// A lock of `filelock`'s gets a file for a placeholder, one of Mercurial's a link: there is no marker to go by.
#[test]
fn the_same_with_a_record_of_the_tools_own_for_a_placeholder() {
    let host = this_machine().host().name;
    let file = || World::with(tempfile::tempdir().unwrap(), "data.lock", &format!("4194305\n{host}\n"));
    let link = || {
        let world = World::with(tempfile::tempdir().unwrap(), "wlock", "");
        fs::remove_file(&world.lock).unwrap();
        std::os::unix::fs::symlink(format!("{host}:4194305"), &world.lock).unwrap();
        let hour_ago = rustix::fs::Timespec { tv_sec: this_machine().wall().secs() - 3600, tv_nsec: 0 };
        let times = rustix::fs::Timestamps { last_access: hour_ago, last_modification: hour_ago };
        rustix::fs::utimensat(rustix::fs::CWD, &world.lock, &times, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).unwrap();
        world
    };
    let makes: [&dyn Fn() -> World; 2] = [&file, &link];
    for (make, step) in makes.into_iter().flat_map(|make| BEFORE.into_iter().chain(AFTER).map(move |step| (make, step)))
    {
        let world = make();
        let before = Look::at(&world.lock);
        crash(&world, step, false);
        recover(&world);
        if step < Step::Swapped {
            assert_eq!(Look::at(&world.lock), before, "{step:?}");
        } else {
            world.assert_tidy(&[]);
            undo(&world.workplace, &world.entry(State::Done).id).unwrap();
        }
        assert_eq!(Look::at(&world.lock), before, "{step:?}");
        world.assert_tidy(&[world.lock.file_name().unwrap().to_str().unwrap()]);
    }
}

#[test]
fn a_crash_with_anothers_lock_in_hand_gives_it_back() {
    for step in PUT_BACK {
        let world = World::new();
        crash(&world, step, true);
        recover(&world);
        let found = Look::at(&world.lock);
        assert_eq!((found.content, found.links), (b"new data".to_vec(), 1), "{step:?}");
        world.assert_tidy(&[NAME]);
        assert_eq!(world.workplace.journal().last_clear_ids().unwrap(), [""; 0]);
    }
}

/// The same for locks that are directories, whatever stands in for them.
#[test]
fn the_same_with_a_directory_for_a_lock() {
    for shape in SHAPES {
        for step in BEFORE.into_iter().chain(AFTER) {
            let world = World::shaped(shape);
            let before = Look::at(&world.lock);
            crash(&world, step, false);
            recover(&world);
            if step < Step::Swapped {
                assert_eq!(Look::at(&world.lock), before, "{shape:?} {step:?}");
            } else {
                world.assert_tidy(&[]);
                undo(&world.workplace, &world.entry(State::Done).id).unwrap();
            }
            assert_eq!(Look::at(&world.lock), before, "{shape:?} {step:?}");
            world.assert_tidy(&[shape.name()]);
        }
        // There is no second link of a directory.
        for step in PUT_BACK {
            let world = World::shaped(shape);
            crash(&world, step, true);
            recover(&world);
            let found = shape.inside("1").map(|(name, _)| name);
            assert_eq!(names(&world.lock), found.into_iter().collect::<Vec<_>>(), "{shape:?} {step:?}");
            world.assert_tidy(&[shape.name()]);
            assert_eq!(world.workplace.journal().last_clear_ids().unwrap(), [""; 0]);
        }
    }
}

/// Between crash and recovery a breaker takes the placeholder away, and somebody takes the lock.
#[test]
fn a_newcomer_after_the_crash_is_untouched_and_nothing_is_lost() {
    for (step, newcomer_first) in [
        (Step::Swapped, false),
        (Step::Emptied, false),
        (Step::Freed, false),
        (Step::Swapped, true),
        (Step::Linked, true),
    ] {
        let world = World::new();
        let old = ino(&world.lock);
        crash(&world, step, newcomer_first);
        if !free(&world.lock) {
            remove_tree(&world.lock);
        }
        let new = newcomer(&world.lock);
        recover(&world);
        assert_eq!(ino(&world.lock), new, "{step:?}");
        world.assert_tidy(&[NAME]);
        let entry = world.entry(if newcomer_first { State::KeptForeign } else { State::Done });
        let kept = entry.quarantine.unwrap();
        if newcomer_first {
            assert_eq!(fs::read(&kept).unwrap(), b"new data", "{step:?}");
        } else {
            assert_eq!(ino(&kept), old, "{step:?}");
        }
        let refused = undo(&world.workplace, &entry.id);
        assert!(matches!(refused, Err(UndoRefusal::Taken { .. })), "{step:?}: {refused:?}");
        assert_eq!(ino(&world.lock), new);
    }
}

/// The next clear in that directory repairs first, without any start of the program.
#[test]
fn the_next_clear_there_repairs_first() {
    let world = World::new();
    crash(&world, Step::Swapped, false);
    fs::write(world.directory.join("other.pid"), DEAD).unwrap();
    let other = World {
        base: tempfile::tempdir().unwrap(),
        workplace: world.workplace.clone(),
        directory: world.directory.clone(),
        lock: world.directory.join("other.pid"),
    };
    other.clear(&crate::clear::linux::protocol::Straight).unwrap();
    world.assert_tidy(&[]);
}

/// Somebody else's Lockscope died, and its journal is out of reach: the marker says enough.
#[test]
fn a_placeholder_is_repaired_by_its_marker_alone() {
    let world = World::new();
    let before = Look::at(&world.lock);
    crash(&world, Step::Swapped, false);
    let base = tempfile::tempdir().unwrap();
    let stranger = workplace(base.path());
    let look = look_at_one(&stranger.system, &world.directory, OsStr::new(NAME), &LookOptions::default());
    assert_eq!(look.unwrap().unwrap().0.judgement.verdict.id(), "interrupted");
    let repaired = repair(&stranger, &world.directory, Path::new(NAME)).unwrap();
    assert_eq!((repaired.outcome.as_str(), repaired.cleared), ("cleared, after an interruption", true));
    assert_eq!(world.names(), [""; 0]);
    let [id] = &stranger.journal().last_clear_ids().unwrap()[..] else { panic!("the repair can be undone") };
    assert_eq!(*id, repaired.id, "it gives what undo takes");
    undo(&stranger, id).unwrap();
    assert_eq!(Look::at(&world.lock), before);
}

/// The same where the placeholder is a file, and the lock a directory.
#[test]
fn a_placeholder_that_is_a_file_is_repaired_by_its_marker_too() {
    for shape in SHAPES {
        let world = World::shaped(shape);
        let before = Look::at(&world.lock);
        crash(&world, Step::Swapped, false);
        let base = tempfile::tempdir().unwrap();
        let stranger = workplace(base.path());
        let look = look_at_one(&stranger.system, &world.directory, OsStr::new(shape.name()), &LookOptions::default());
        assert_eq!(look.unwrap().unwrap().0.judgement.verdict.id(), "interrupted", "{shape:?}");
        let repaired = repair(&stranger, &world.directory, Path::new(shape.name())).unwrap();
        assert!(repaired.cleared, "{shape:?}");
        assert_eq!(world.names(), [""; 0], "{shape:?}");
        undo(&stranger, &repaired.id).unwrap();
        assert_eq!(Look::at(&world.lock), before, "{shape:?}");
    }
}

/// What a living Lockscope is at work on is no leftover, even where the mutex does not keep the other out.
#[test]
fn nothing_is_recovered_under_a_living_clear() {
    for step in BEFORE.into_iter().chain(AFTER) {
        let world = World::new();
        let other = Workplace { runtime_dir: world.base.path().join("other-run"), ..world.workplace.clone() };
        let repaired = Cell::new(None);
        let result = world.clear_with(step, || repaired.set(Some(recover_all(&other).unwrap())));
        assert_eq!(repaired.get(), Some(0), "{step:?}");
        result.unwrap();
        world.assert_tidy(&[]);
    }
}
