//! Scenarios of the clear, by their numbers in the list of test scenarios.

use super::*;
use std::fs::File;

/// What a breaker and a newcomer do: the old lock goes, a living one appears.
fn take_over(scene: &Scene) {
    std::fs::remove_file(scene.lock()).unwrap();
    drop(File::options().write(true).create_new(true).open(scene.lock()).unwrap());
    std::fs::write(scene.lock(), "1\n").unwrap();
}

#[test]
fn s10_a_stale_lock_goes_and_undo_brings_the_same_inode_back() {
    let scene = Scene::new();
    let stale = scene.make_lock();
    let cleared = clear(scene.permit(Consent::Bulk, Form::Directory).unwrap()).unwrap();
    assert!(!scene.lock().exists());
    assert_eq!(scene.leftovers(), [""; 0]);
    let entry = scene.last();
    assert_eq!((entry.state, entry.verdict.as_str()), (State::Done, "stale"));
    assert_eq!(ino(entry.quarantine.as_ref().unwrap()), stale);
    assert_eq!(last_clear_ids(&scene.workplace).unwrap(), std::slice::from_ref(&cleared.id));
    let restored = undo(&scene.workplace, &cleared.id).unwrap();
    assert_eq!((restored.path.file_name(), ino(&scene.lock())), (scene.lock().file_name(), stale));
    let again = undo(&scene.workplace, &cleared.id);
    assert!(matches!(again, Err(UndoRefusal::NothingToUndo { .. })), "{again:?}");
}

#[test]
fn s25_a_lock_that_somebody_has_open_stays() {
    let scene = Scene::new();
    let stale = scene.make_lock();
    let open = File::open(scene.lock()).unwrap();
    let refused = scene.clear_with(&Straight);
    assert!(matches!(refused, Err(ClearError::Refused(Refusal::InUse(_)))), "{refused:?}");
    drop(open);
    assert_eq!((ino(&scene.lock()), scene.leftovers().len()), (stale, 0));
    assert_eq!(scene.last().state, State::Refused);
}

#[test]
fn s26_a_newcomer_before_the_swap_keeps_its_lock() {
    let scene = Scene::new();
    scene.make_lock();
    let newcomer = std::cell::Cell::new(0);
    let act = || {
        take_over(&scene);
        newcomer.set(ino(&scene.lock()));
    };
    let told = scene.clear_with(&At(Step::Checked, &act));
    assert!(matches!(told, Err(ClearError::PutBack(_))), "{told:?}");
    assert_eq!(ino(&scene.lock()), newcomer.get());
    assert_eq!(std::fs::read(scene.lock()).unwrap(), b"1\n");
    assert_eq!(scene.leftovers(), [""; 0]);
    assert_eq!(scene.last().state, State::Putback);
}

#[test]
fn s28_a_holder_that_commits_by_rename_gets_its_data() {
    let scene = Scene::new();
    scene.make_lock();
    let target = scene.dir.join("index");
    struct Git<'a>(&'a Scene, &'a Path);
    impl Steps for Git<'_> {
        fn after(&self, step: Step) {
            match step {
                Step::Checked => take_over(self.0),
                Step::Swapped => std::fs::rename(self.0.lock(), self.1).unwrap(),
                _ => {}
            }
        }
    }
    let told = scene.clear_with(&Git(&scene, &target));
    assert!(matches!(told, Err(ClearError::PutBack(_))), "{told:?}");
    assert_eq!(std::fs::read(&target).unwrap(), b"1\n");
    assert!(!scene.lock().exists());
    assert_eq!(scene.leftovers(), [""; 0]);
}

#[test]
fn s29_a_breaker_after_the_swap_costs_no_newcomer() {
    let break_by: [fn(&Scene); 2] = [
        |scene| std::fs::remove_dir_all(scene.lock()).unwrap(),
        |scene| std::fs::rename(scene.lock(), scene.dir.join("tmp")).unwrap(),
    ];
    for breaker in break_by {
        let scene = Scene::new();
        scene.make_lock();
        let act = || {
            breaker(&scene);
            std::fs::write(scene.lock(), "1\n").unwrap();
        };
        scene.clear_with(&At(Step::Swapped, &act)).unwrap();
        assert_eq!(std::fs::read(scene.lock()).unwrap(), b"1\n");
        assert_eq!(scene.leftovers(), [""; 0]);
        assert!(!scene.dir.join("tmp").exists());
    }
}

#[test]
fn s33_s34_a_lock_that_is_written_to_is_put_back() {
    let scene = Scene::new();
    let stale = scene.make_lock();
    let told = scene.clear_with(&At(Step::Prepared, &|| std::fs::write(scene.lock(), "1\n").unwrap()));
    assert!(matches!(told, Err(ClearError::Refused(Refusal::Changed { .. }))), "{told:?}");
    let opened = std::cell::Cell::new(None);
    let thief = || {
        let path = scene.lock();
        let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NONBLOCK;
        opened.set(rustix::fs::open(&path, flags, rustix::fs::Mode::empty()).err());
    };
    let told = scene.clear_with(&At(Step::Checked, &thief));
    assert_eq!(opened.get(), Some(rustix::io::Errno::WOULDBLOCK));
    assert!(matches!(told, Err(ClearError::PutBack(_))), "{told:?}");
    assert_eq!((ino(&scene.lock()), scene.leftovers().len()), (stale, 0));
}

#[test]
fn s38_a_symbolic_link_moves_and_its_target_is_not_touched() {
    let scene = Scene::new();
    std::os::unix::fs::symlink("host:999999", scene.lock()).unwrap();
    let cleared = scene.clear_with(&Straight).unwrap();
    assert!(scene.lock().symlink_metadata().is_err());
    undo(&scene.workplace, &cleared.id).unwrap();
    assert_eq!(std::fs::read_link(scene.lock()).unwrap(), Path::new("host:999999"));
}

#[test]
fn s44_the_other_hard_link_stays() {
    let scene = Scene::new();
    let stale = scene.make_lock();
    std::fs::hard_link(scene.lock(), scene.dir.join("other")).unwrap();
    let cleared = scene.clear_with(&Straight).unwrap();
    assert_eq!(ino(&scene.dir.join("other")), stale);
    undo(&scene.workplace, &cleared.id).unwrap();
    assert_eq!(ino(&scene.lock()), stale);
}

#[test]
fn s45_without_the_exchange_nothing_is_changed() {
    let scene = Scene::new();
    let stale = scene.make_lock();
    let refused = scene.clear_with(&Fault(Step::Probed, libc::EINVAL));
    assert!(matches!(refused, Err(ClearError::Refused(Refusal::Unsupported { .. }))), "{refused:?}");
    assert_eq!((ino(&scene.lock()), scene.leftovers().len()), (stale, 0));
}

#[test]
fn s47_s48_undo_overwrites_nothing_and_knows_another_directory() {
    let scene = Scene::new();
    scene.make_lock();
    let cleared = scene.clear_with(&Straight).unwrap();
    std::fs::create_dir(scene.lock()).unwrap();
    let empty_directory = ino(&scene.lock());
    assert!(matches!(undo(&scene.workplace, &cleared.id), Err(UndoRefusal::Taken { .. })));
    assert_eq!(ino(&scene.lock()), empty_directory);
    std::fs::rename(&scene.dir, scene.dir.with_extension("moved")).unwrap();
    std::fs::create_dir(&scene.dir).unwrap();
    assert!(matches!(undo(&scene.workplace, &cleared.id), Err(UndoRefusal::DirectoryGone { .. })));
    assert!(!scene.lock().exists());
}

#[test]
fn s49_a_journal_that_cannot_be_written_stops_it_before_the_swap() {
    let scene = Scene::new();
    let stale = scene.make_lock();
    std::fs::create_dir_all(scene.workplace.state_dir.join("journal")).unwrap();
    std::os::unix::fs::symlink("/dev/full", scene.workplace.state_dir.join("journal/journal.jsonl")).unwrap();
    let refused = scene.clear_with(&Straight);
    assert!(matches!(refused, Err(ClearError::Refused(Refusal::Failed { .. }))), "{refused:?}");
    assert_eq!((ino(&scene.lock()), scene.leftovers().len()), (stale, 0));
}

#[test]
fn a_soft_file_lock_is_replaced_by_a_file_never_by_a_directory() {
    let scene = Scene::new();
    scene.make_lock();
    let seen = std::cell::RefCell::new(String::new());
    let look = || *seen.borrow_mut() = std::fs::read_to_string(scene.lock()).unwrap();
    let permit = scene.permit(Consent::ByName, Form::File).unwrap();
    protocol_run(permit, &At(Step::Swapped, &look)).unwrap();
    assert_eq!(*seen.borrow(), format!("{}\ntesthost\n", std::process::id()));
    assert!(!scene.lock().exists());
    assert_eq!(scene.leftovers(), [""; 0]);
}

const STEPS: [Step; 12] = [
    Step::Intended,
    Step::Probed,
    Step::PlaceholderMade,
    Step::Prepared,
    Step::Leased,
    Step::Checked,
    Step::Swapped,
    Step::Verified,
    Step::Emptied,
    Step::Freed,
    Step::Quarantined,
    Step::Done,
];

/// Not a test by itself: the process that [`s32_a_crash_at_every_step_is_recovered_from`] starts and that dies at a step.
#[test]
fn crash_child() {
    let Some(root) = std::env::var_os("LOCKSCOPE_TEST_CRASH_ROOT") else { return };
    let step = STEPS[std::env::var("LOCKSCOPE_TEST_CRASH_STEP").unwrap().parse::<usize>().unwrap()];
    let root = PathBuf::from(root);
    let scene = Scene::at(&root, &root);
    let die = || {
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).unwrap();
    };
    let _ = scene.clear_with(&At(step, &die));
    panic!("must have died at {step:?}");
}

#[test]
fn s32_a_crash_at_every_step_is_recovered_from() {
    use std::os::unix::process::ExitStatusExt as _;
    for (number, step) in STEPS.iter().enumerate() {
        let base = tempfile::tempdir().unwrap();
        let scene = Scene::at(base.path(), base.path());
        let stale = scene.make_lock();
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "clear::tests::protocol::crash_child"])
            .env("LOCKSCOPE_TEST_CRASH_ROOT", base.path())
            .env("LOCKSCOPE_TEST_CRASH_STEP", number.to_string())
            .stdout(std::process::Stdio::null())
            .status()
            .unwrap();
        assert_eq!(child.signal(), Some(9), "{step:?}");
        assert_eq!(recover_all(&scene.workplace).unwrap(), 1, "{step:?}");
        assert_eq!(scene.leftovers(), [""; 0], "{step:?}");
        assert_eq!(recover_all(&scene.workplace).unwrap(), 0, "{step:?}: once is enough");
        if *step < Step::Swapped {
            assert_eq!(ino(&scene.lock()), stale, "{step:?}");
        } else {
            assert!(scene.lock().symlink_metadata().is_err(), "{step:?}");
            let entry = scene.last();
            assert_eq!(entry.state, State::Done, "{step:?}");
            undo(&scene.workplace, &entry.id).unwrap();
            assert_eq!(ino(&scene.lock()), stale, "{step:?}");
        }
    }
}
