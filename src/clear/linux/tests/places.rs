//! CLEARING.md section 8, scenarios 40 and 41: names of every kind, and a directory that is another one by then.

use super::*;
use crate::clear::linux::protocol::Straight;
use crate::clear::{Refusal, undo};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;

/// 40: the name is bytes, and never becomes a part of one of ours.
#[test]
fn a_lock_of_any_name_is_cleared_and_comes_back() {
    let longest = [&b"x"[..]; 251].concat();
    let names: [&[u8]; 8] = [
        &[&longest, &b".pid"[..]].concat(),
        b"-rf.pid",
        b"a\nb.pid",
        b"\x1b[2J.pid",
        "\u{202e}kcol.pid".as_bytes(),
        b"\xff\xfe.pid",
        b" .pid",
        b"$(reboot).pid",
    ];
    for name in names {
        let mut world = World::new();
        fs::remove_file(&world.lock).unwrap();
        world.lock = world.directory.join(OsStr::from_bytes(name));
        world.write_stale(DEAD);
        let before = Look::at(&world.lock);
        let cleared = world.clear(&Straight).unwrap_or_else(|error| panic!("{name:?}: {error}"));
        assert_eq!(cleared.path.as_bytes(), name);
        world.assert_tidy(&[]);
        assert_eq!(undo(&world.workplace, &cleared.id).unwrap().path, world.lock, "{name:?}");
        assert_eq!(Look::at(&world.lock), before, "{name:?}");
    }
}

/// A world whose directory is known by a symbolic link, and another directory with a lock just like its.
fn behind_a_link() -> (World, PathBuf) {
    let mut world = World::new();
    let other = world.base.path().join("other");
    fs::create_dir(&other).unwrap();
    let link = world.base.path().join("link");
    symlink(&world.directory, &link).unwrap();
    (world.directory, world.lock) = (link.clone(), other.join(NAME));
    world.write_stale(DEAD);
    world.lock = link.join(NAME);
    (world, other)
}

fn point_elsewhere(link: &Path, to: &Path) {
    fs::remove_file(link).unwrap();
    symlink(to, link).unwrap();
}

/// 41: before the recheck, so that it finds another lock of the same name.
#[test]
fn a_directory_that_is_another_by_then_is_refused() {
    let (world, other) = behind_a_link();
    let seen = world.seen();
    let before = (Look::at(&world.lock), Look::at(&other.join(NAME)));
    point_elsewhere(&world.directory, &other);
    let refused = recheck(&world.workplace, &world.directory, &seen, &LookOptions::default(), Consent::ByName);
    assert!(matches!(refused, Err(Refusal::Changed { .. })), "{refused:?}");
    point_elsewhere(&world.directory, &world.base.path().join("in/locks"));
    assert_eq!((Look::at(&world.lock), Look::at(&other.join(NAME))), before);
}

/// 41: once the directory is open, it is that one, wherever its name leads.
#[test]
fn a_directory_that_is_open_is_the_one_to_act_in() {
    for step in [Step::Intended, Step::Prepared, Step::Checked, Step::Swapped, Step::Freed] {
        let (world, other) = behind_a_link();
        let before = Look::at(&other.join(NAME));
        let cleared = world.clear_with(step, || point_elsewhere(&world.directory, &other)).unwrap();
        assert_eq!(Look::at(&other.join(NAME)), before, "{step:?}");
        assert_eq!(names(&other), [NAME], "{step:?}");
        assert_eq!(names(&world.base.path().join("in/locks")), [""; 0], "{step:?}");
        // And there it comes back.
        undo(&world.workplace, &cleared.id).unwrap();
        assert_eq!(names(&world.base.path().join("in/locks")), [NAME], "{step:?}");
        assert_eq!(Look::at(&other.join(NAME)), before, "{step:?}");
    }
}
