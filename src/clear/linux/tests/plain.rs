//! CLEARING.md section 8, scenarios 10, 38, 44 to 49: a clear without others in between, its undo, and what stops it.

use super::*;
use crate::clear::linux::permit::recheck_with;
use crate::clear::linux::placeholder::Form;
use crate::clear::linux::protocol::Straight;
use crate::clear::{Refusal, UndoRefusal, recover_all, undo};
use crate::model::verdict::Verdict;
use std::os::unix::fs::{PermissionsExt as _, symlink};

/// 10.
#[test]
fn a_stale_lock_goes_to_quarantine_and_comes_back_the_same() {
    let world = World::new();
    fs::set_permissions(&world.lock, fs::Permissions::from_mode(0o604)).unwrap();
    let before = Look::at(&world.lock);
    let cleared = world.clear(&Straight).unwrap();
    world.assert_tidy(&[]);
    let entry = world.entry(State::Done);
    assert_eq!((&entry.id, &*entry.verdict, &*entry.what), (&cleared.id, "stale", "clear"));
    assert_eq!(Look::at(entry.quarantine.as_ref().unwrap()), before);

    // The waiter gets in, and out again.
    newcomer(&world.lock);
    fs::remove_file(&world.lock).unwrap();

    assert_eq!(undo(&world.workplace, &cleared.id).unwrap().path, world.lock);
    world.assert_untouched(&before);
    let again = undo(&world.workplace, &cleared.id);
    assert!(matches!(again, Err(UndoRefusal::NothingToUndo { .. })), "{again:?}");
    let unknown = undo(&world.workplace, "20260101T000000-00000000");
    assert!(matches!(unknown, Err(UndoRefusal::NoSuchEntry(_))), "{unknown:?}");
}

/// 38: a link is the lock itself; where it leads is nobody's business.
#[test]
fn a_symbolic_link_is_moved_and_not_followed() {
    let world = World::new();
    let precious = world.base.path().join("precious");
    fs::write(&precious, "keep").unwrap();
    for target in [Path::new("somewhere:4194305"), &precious] {
        let _ = fs::remove_file(&world.lock);
        symlink(target, &world.lock).unwrap();
        let before = Look::at(&world.lock);
        let mut seen = (*world.seen()).clone();
        let refused = recheck(&world.workplace, &world.directory, &seen, &LookOptions::default(), Consent::ByName);
        assert!(matches!(refused, Err(Refusal::NotClearable { .. })), "no format of links is read yet: {refused:?}");
        world.assert_untouched(&before);

        // As a format that reads links will judge it.
        seen.judgement.verdict = Verdict::Stale;
        let look = || {
            let found = look_at_one(&world.workplace.system, &world.directory, &seen.path, &LookOptions::default())?;
            Ok(found.map(|(_, snapshot)| (Arc::new(seen.clone()), snapshot)))
        };
        let permit = recheck_with(&world.workplace, &world.directory, &seen, Consent::ByName, &look).unwrap();
        let cleared = run(permit, &Straight).unwrap();
        world.assert_tidy(&[]);
        undo(&world.workplace, &cleared.id).unwrap();
        world.assert_untouched(&before);
        assert_eq!(fs::read(&precious).unwrap(), b"keep");
    }
}

/// 44.
#[test]
fn the_other_name_of_a_hard_linked_lock_is_intact() {
    let world = World::new();
    let other = world.base.path().join("other");
    fs::hard_link(&world.lock, &other).unwrap();
    let before = Look::at(&other);
    assert_eq!(before.links, 2);
    let cleared = world.clear(&Straight).unwrap();
    world.assert_tidy(&[]);
    assert_eq!(Look::at(&other), before);
    undo(&world.workplace, &cleared.id).unwrap();
    world.assert_untouched(&before);
    assert_eq!(Look::at(&other), before);
}

/// 45.
#[test]
fn a_disk_without_the_exchange_is_left_alone() {
    for errno in [libc::EINVAL, libc::ENOSYS, libc::EOPNOTSUPP, libc::EXDEV] {
        let world = World::new();
        let before = Look::at(&world.lock);
        let hook = Hook::fault(Step::Probed, errno);
        let result = world.clear(&hook);
        assert!(hook.ran());
        assert!(matches!(result, Err(ClearError::Refused(Refusal::Unsupported { .. }))), "{errno}: {result:?}");
        world.assert_untouched(&before);
        assert_eq!(world.entry(State::Refused).deed, None);
    }
    let world = World::new();
    let result = world.clear(&Hook::fault(Step::Probed, libc::EACCES));
    assert!(matches!(result, Err(ClearError::Refused(Refusal::NotPermitted { .. }))), "{result:?}");
}

/// 46: quarantine is always on the lock's own file system.
#[test]
fn a_lock_on_another_mount_is_kept_there() {
    let mut world = World::with(tempfile::tempdir_in("/dev/shm").unwrap(), NAME, DEAD);
    let state = tempfile::tempdir().unwrap();
    let device = |path: &Path| fs::symlink_metadata(path).unwrap().dev();
    assert_ne!(device(state.path()), device(&world.directory), "this test needs two mounts");
    world.workplace.state_dir = state.path().to_owned();
    let before = Look::at(&world.lock);
    let cleared = world.clear(&Straight).unwrap();
    assert!(free(&world.lock));
    let kept = world.entry(State::Done).quarantine.unwrap();
    assert_eq!((Look::at(&kept), device(&kept)), (before, device(&world.directory)));
    let before = Look::at(&kept);
    undo(&world.workplace, &cleared.id).unwrap();
    world.assert_untouched(&before);
    // The trash of a mount that everybody shares: emptied, it goes, unless another uses it.
    let trash = kept.parent().unwrap();
    let _ = fs::remove_dir(trash).and_then(|()| fs::remove_dir(trash.parent().unwrap()));
}

/// 47: a plain rename would overwrite even an empty directory.
#[test]
fn undo_overwrites_nothing() {
    let stranger = |path: &Path, kind: &str| match kind {
        "file" => drop(newcomer(path)),
        "link" => symlink("nowhere", path).unwrap(),
        _ => fs::create_dir(path).unwrap(),
    };
    for kind in ["file", "link", "empty directory"] {
        let world = World::new();
        let before = Look::at(&world.lock);
        let cleared = world.clear(&Straight).unwrap();
        stranger(&world.lock, kind);
        let new = ino(&world.lock);
        let refused = undo(&world.workplace, &cleared.id);
        let Err(UndoRefusal::Taken { kept, .. }) = &refused else { panic!("{kind}: {refused:?}") };
        assert_eq!(ino(&world.lock), new, "{kind}");
        assert_eq!(Look::at(kept), before, "{kind}");
        if kind == "empty directory" { fs::remove_dir(&world.lock) } else { fs::remove_file(&world.lock) }.unwrap();
        undo(&world.workplace, &cleared.id).unwrap();
        world.assert_untouched(&before);
    }
}

/// 48.
#[test]
fn undo_does_not_follow_a_directory_nor_take_another_for_it() {
    for what in ["deleted", "renamed", "replaced"] {
        let world = World::new();
        let before = Look::at(&world.lock);
        let cleared = world.clear(&Straight).unwrap();
        let away = world.base.path().join("away");
        fs::rename(&world.directory, &away).unwrap();
        match what {
            "deleted" => fs::remove_dir(&away).unwrap(),
            "replaced" => fs::create_dir(&world.directory).unwrap(),
            _ => {}
        }
        let refused = undo(&world.workplace, &cleared.id);
        let Err(UndoRefusal::DirectoryGone { kept, .. }) = &refused else { panic!("{what}: {refused:?}") };
        assert_eq!(Look::at(kept), before, "{what}");
        assert_eq!(names(&away), [""; 0]);
        assert_eq!(names(&world.directory), [""; 0]);
        assert_eq!(world.entry(State::Done).id, cleared.id, "the clear stays on record");
    }
}

/// 49: without its intent on the disk nothing begins.
#[test]
fn without_a_journal_nothing_is_done() {
    let file = |world: &World| {
        fs::create_dir(&world.workplace.state_dir).unwrap();
        fs::write(world.workplace.state_dir.join("journal"), "").unwrap();
    };
    let full_disk = |world: &World| {
        fs::create_dir_all(world.workplace.state_dir.join("journal")).unwrap();
        symlink("/dev/full", world.workplace.state_dir.join("journal/journal.jsonl")).unwrap();
    };
    for spoil in [&file as &dyn Fn(&World), &full_disk] {
        let world = World::new();
        let before = Look::at(&world.lock);
        spoil(&world);
        let result = world.clear(&Straight);
        assert!(matches!(result, Err(ClearError::Refused(_))), "{result:?}");
        assert!(result.unwrap_err().to_string().contains("writing the journal"));
        assert_eq!((Look::at(&world.lock), world.names()), (before, vec![NAME.to_owned()]));
        // An intent stays until the journal has the end; and that it can have again.
        assert_eq!(world.pending().len(), 1);
        let journal = world.workplace.state_dir.join("journal");
        fs::remove_file(&journal).or_else(|_| fs::remove_dir_all(&journal)).unwrap();
        assert_eq!(recover_all(&world.workplace).unwrap(), 1);
        world.assert_tidy(&[NAME]);
    }
}

/// 37, forced: a waiter of Python's `SoftFileLock` finds a file with a record of a living holder at every moment.
#[test]
fn a_filelock_waiter_never_meets_a_directory() {
    let host = this_machine().host().name;
    let expected = format!("{}\n{host}\n", std::process::id());
    let soft = || World::with(tempfile::tempdir().unwrap(), "data.lock", &format!("4194305\n{host}\n"));
    let world = soft();
    assert_eq!(world.permit().into_grounds().form, Form::File);
    for step in [Step::Swapped, Step::Verified, Step::Emptied] {
        let world = soft();
        let read = RefCell::new(String::new());
        world.clear_with(step, || *read.borrow_mut() = fs::read_to_string(&world.lock).unwrap()).unwrap();
        assert_eq!(*read.borrow(), expected, "{step:?}");
        world.assert_tidy(&[]);

        // This form compares before it unlinks: a newcomer that came before that is untouched.
        let world = soft();
        let new = Cell::new(0);
        let result = world.clear_with(step, || {
            fs::remove_file(&world.lock).unwrap();
            new.set(newcomer(&world.lock));
        });
        result.unwrap();
        assert_eq!(ino(&world.lock), new.get(), "{step:?}");
        world.assert_tidy(&["data.lock"]);
    }
    let new = Cell::new(0);
    let result = world.clear_with(Step::Checked, || {
        fs::remove_file(&world.lock).unwrap();
        new.set(newcomer(&world.lock));
    });
    assert!(matches!(result, Err(ClearError::PutBack(_))), "{result:?}");
    assert_eq!(ino(&world.lock), new.get());
    world.assert_tidy(&["data.lock"]);
}
