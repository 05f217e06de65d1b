//! CLEARING.md section 8, scenarios 25 to 30, 33, 34: others act between two steps.

use super::*;
use crate::clear::{Refusal, undo};
use std::os::unix::fs::OpenOptionsExt as _;

fn put_back(result: &Result<Cleared, ClearError>) {
    assert!(matches!(result, Err(ClearError::PutBack(_))), "{result:?}");
}

/// 26: the path names another's lock by the time of the swap.
#[test]
fn a_newcomer_before_the_swap_gets_its_lock_back() {
    let world = World::new();
    let new = Cell::new(0);
    put_back(&world.clear_with(Step::Checked, || {
        fs::remove_file(&world.lock).unwrap();
        new.set(newcomer(&world.lock));
    }));
    assert_eq!((ino(&world.lock), fs::read(&world.lock).unwrap()), (new.get(), b"new data".to_vec()));
    assert_eq!(Look::at(&world.lock).links, 1);
    world.assert_tidy(&[NAME]);
    assert_eq!(world.entry(State::Putback).path, Path::new(NAME));
}

/// 26, noticed by the last look already.
#[test]
fn a_newcomer_before_the_last_look_is_not_even_touched() {
    let world = World::new();
    let new = Cell::new(0);
    let result = world.clear_with(Step::Leased, || {
        fs::remove_file(&world.lock).unwrap();
        new.set(newcomer(&world.lock));
    });
    assert!(matches!(result, Err(ClearError::Refused(Refusal::Changed { .. }))), "{result:?}");
    assert_eq!(ino(&world.lock), new.get());
    world.assert_tidy(&[NAME]);
}

/// The owner's own tool removes its stale lock in the last moment.
#[test]
fn a_lock_that_goes_by_itself_leaves_nothing_behind() {
    for step in [Step::Prepared, Step::Checked] {
        let world = World::new();
        let result = world.clear_with(step, || fs::remove_file(&world.lock).unwrap());
        assert!(matches!(result, Err(ClearError::Refused(Refusal::Gone(_)))), "{step:?}: {result:?}");
        world.assert_tidy(&[]);
    }
}

/// 27: the newcomer lets go while its lock is in our hands: unlink fails on our directory, and it stays as a lock.
#[test]
fn a_release_during_the_window_never_frees_the_path_for_two() {
    for step in [Step::Swapped, Step::Linked] {
        let world = World::new();
        let new = Cell::new(0);
        let hook = Hook::at(Step::Checked, || {
            fs::remove_file(&world.lock).unwrap();
            new.set(newcomer(&world.lock));
        })
        .and_at(step, || {
            assert_eq!(fs::remove_file(&world.lock).unwrap_err().kind(), io::ErrorKind::IsADirectory);
            let second = fs::File::create_new(&world.lock).unwrap_err();
            assert_eq!(second.kind(), io::ErrorKind::AlreadyExists, "nobody gets in meanwhile");
        });
        put_back(&world.clear(&hook));
        assert!(hook.ran());
        assert_eq!(ino(&world.lock), new.get());
        world.assert_tidy(&[NAME]);
    }
}

/// 27: the release comes when its lock stands there again.
#[test]
fn a_release_right_after_the_swap_back_is_a_release() {
    let world = World::new();
    let hook = Hook::at(Step::Checked, || {
        fs::remove_file(&world.lock).unwrap();
        newcomer(&world.lock);
    })
    .and_at(Step::SwappedBack, || fs::remove_file(&world.lock).unwrap());
    put_back(&world.clear(&hook));
    assert!(hook.ran());
    world.assert_tidy(&[]);
}

/// 27: released with force (`rm -rf` on what stands at the path): the path is free, and what came out is kept.
#[test]
fn a_forced_release_during_the_window_frees_the_path_and_loses_nothing() {
    for step in [Step::Swapped, Step::Linked] {
        let world = World::new();
        let new = Cell::new(0);
        let hook = Hook::at(Step::Checked, || {
            fs::remove_file(&world.lock).unwrap();
            new.set(newcomer(&world.lock));
        })
        .and_at(step, || remove_tree(&world.lock));
        let result = world.clear(&hook);
        let Err(ClearError::Kept { kept, .. }) = &result else { panic!("{step:?}: {result:?}") };
        assert_eq!((ino(kept), fs::read(kept).unwrap()), (new.get(), b"new data".to_vec()));
        world.assert_tidy(&[]);
        let entry = world.entry(State::KeptForeign);
        assert_eq!(entry.quarantine.as_ref(), Some(kept));
    }
}

/// 27 and one more: after the forced release the next one takes the path, and keeps it.
#[test]
fn the_next_holder_after_a_forced_release_is_not_touched() {
    for step in [Step::Swapped, Step::Linked] {
        let world = World::new();
        let next = Cell::new(0);
        let hook = Hook::at(Step::Checked, || {
            fs::remove_file(&world.lock).unwrap();
            newcomer(&world.lock);
        })
        .and_at(step, || {
            remove_tree(&world.lock);
            next.set(newcomer(&world.lock));
        });
        let result = world.clear(&hook);
        assert!(matches!(result, Err(ClearError::Kept { .. })), "{step:?}: {result:?}");
        assert_eq!(ino(&world.lock), next.get());
        world.assert_tidy(&[NAME]);
    }
}

/// 28: a git-style holder commits by renaming its lock to a target that does not exist yet.
#[test]
fn a_commit_by_rename_gets_its_data_and_not_our_placeholder() {
    for step in [Step::Swapped, Step::Linked, Step::SwappedBack] {
        let world = World::new();
        let target = world.directory.join("index");
        let new = Cell::new(0);
        let hook = Hook::at(Step::Checked, || {
            fs::remove_file(&world.lock).unwrap();
            new.set(newcomer(&world.lock));
        })
        .and_at(step, || fs::rename(&world.lock, &target).unwrap());
        put_back(&world.clear(&hook));
        assert!(hook.ran());
        assert_eq!((ino(&target), fs::read(&target).unwrap()), (new.get(), b"new data".to_vec()), "{step:?}");
        assert_eq!(Look::at(&target).links, 1);
        world.assert_tidy(&["index"]);
    }
}

/// 28: over a file the commit fails as long as a directory stands there, changes nothing, and works when tried again.
#[test]
fn a_commit_over_an_existing_file_never_replaces_it_by_our_placeholder() {
    let world = World::new();
    let target = world.directory.join("index");
    fs::write(&target, "old data").unwrap();
    let hook = Hook::at(Step::Checked, || {
        fs::remove_file(&world.lock).unwrap();
        newcomer(&world.lock);
    })
    .and_at(Step::Swapped, || {
        assert_eq!(fs::rename(&world.lock, &target).unwrap_err().raw_os_error(), Some(libc::ENOTDIR));
        assert_eq!(fs::read(&target).unwrap(), b"old data");
    })
    .and_at(Step::SwappedBack, || fs::rename(&world.lock, &target).unwrap());
    put_back(&world.clear(&hook));
    assert!(hook.ran());
    assert_eq!(fs::read(&target).unwrap(), b"new data");
    world.assert_tidy(&["index"]);
}

/// 29: after the verification the path is ours alone, and whoever takes our placeholder away may have it.
#[test]
fn a_newcomer_after_the_verification_is_untouched() {
    for step in [Step::Verified, Step::Emptied] {
        for by_rename in [false, true] {
            let world = World::new();
            let old = ino(&world.lock);
            let new = Cell::new(0);
            let cleared = world
                .clear_with(step, || {
                    assert_eq!(fs::remove_file(&world.lock).unwrap_err().kind(), io::ErrorKind::IsADirectory);
                    if by_rename {
                        fs::rename(&world.lock, world.directory.join("elsewhere")).unwrap();
                    } else {
                        remove_tree(&world.lock);
                    }
                    new.set(newcomer(&world.lock));
                })
                .unwrap();
            assert_eq!(ino(&world.lock), new.get(), "{step:?}");
            world.assert_tidy(&[NAME]);
            let entry = world.entry(State::Done);
            assert_eq!((&entry.id, ino(&entry.quarantine.unwrap())), (&cleared.id, old));
            undo(&world.workplace, &cleared.id).unwrap_err();
            assert_eq!(ino(&world.lock), new.get());
        }
    }
}

/// 30: the file system would deal the inode number again, did the pin not keep it.
#[test]
fn a_number_dealt_again_is_not_taken_for_the_lock() {
    for round in 0..50 {
        let world = World::new();
        let (old, new) = (ino(&world.lock), Cell::new(0));
        put_back(&world.clear_with(Step::Checked, || {
            // The same number of bytes and the same time as the stale one: only the inode differs.
            let modified = fs::metadata(&world.lock).unwrap().modified().unwrap();
            fs::remove_file(&world.lock).unwrap();
            world.write_stale(DEAD);
            fs::File::open(&world.lock).unwrap().set_modified(modified).unwrap();
            new.set(ino(&world.lock));
        }));
        assert_ne!(old, new.get(), "round {round}: the pin keeps the number");
        assert_eq!(ino(&world.lock), new.get(), "round {round}");
        world.assert_tidy(&[NAME]);
    }
}

/// 34: somebody makes the stale file their own by writing into it. Its open waits for our lease, and finds the file back.
#[test]
fn a_thief_that_opens_it_for_writing_gets_it() {
    let world = World::new();
    let before = Look::at(&world.lock);
    put_back(&world.clear_with(Step::Checked, || {
        let mut options = fs::OpenOptions::new();
        let opened = options.write(true).custom_flags(libc::O_NONBLOCK).open(&world.lock);
        assert_eq!(opened.unwrap_err().kind(), io::ErrorKind::WouldBlock, "the lease makes it wait");
    }));
    world.assert_untouched(&before);
    fs::write(&world.lock, "1\n").unwrap();
}

/// 33: a heartbeat, or a change of rights, needs no open and breaks no lease.
#[test]
fn a_touch_without_an_open_is_noticed() {
    let touch = |world: &World| {
        let path = std::ffi::CString::new(world.lock.as_os_str().as_encoded_bytes()).unwrap();
        // SAFETY: the path is a C string, and no times are given: "now".
        assert_eq!(unsafe { libc::utimensat(libc::AT_FDCWD, path.as_ptr(), std::ptr::null(), 0) }, 0);
    };
    let chmod = |world: &World| {
        fs::set_permissions(&world.lock, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    };
    for act in [&touch as &dyn Fn(&World), &chmod] {
        let world = World::new();
        let before = ino(&world.lock);
        put_back(&world.clear_with(Step::Checked, || act(&world)));
        assert_eq!(ino(&world.lock), before);
        world.assert_tidy(&[NAME]);
    }
}

/// 25: the kernel counts a reader that came after the look in /proc.
#[test]
fn whoever_has_it_open_keeps_it() {
    let world = World::new();
    let before = Look::at(&world.lock);
    let reader = RefCell::new(None);
    let result = world.clear_with(Step::Prepared, || *reader.borrow_mut() = Some(fs::File::open(&world.lock).unwrap()));
    assert!(matches!(result, Err(ClearError::Refused(Refusal::InUse(_)))), "{result:?}");
    world.assert_untouched(&before);
    drop(reader);
    world.clear(&crate::clear::linux::protocol::Straight).unwrap();
    assert!(free(&world.lock));
}
