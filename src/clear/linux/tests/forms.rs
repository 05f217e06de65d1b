//! CLEARING.md section 8, scenarios 35, 36 and their kin: what stands in for which lock, and locks that are directories.

use super::*;
use crate::clear::linux::placeholder::Form;
use crate::clear::linux::protocol::{Straight, run_forced};
use crate::clear::linux::recheck_forced;
use crate::clear::{Reason, Refusal, UndoRefusal, undo};
use crate::model::facts::FileKind;
use crate::model::format::{FORMATS, Mechanism, Reading, RecordState, by_id};
use std::os::unix::fs::{PermissionsExt as _, symlink};

/// The table of CLEARING.md section 4: kind, format, mechanism, and what stands in.
#[test]
fn each_kind_and_tool_has_its_stand_in() {
    use FileKind::{Directory, Regular, Symlink};
    let table = [
        (Regular, "git-lock", Mechanism::Existence, Form::Directory),
        (Regular, "hand-pid", Mechanism::Existence, Form::Directory),
        (Regular, "json-pid", Mechanism::Existence, Form::Directory),
        (Regular, "flufl-lock", Mechanism::Hardlink, Form::Directory),
        (Regular, "lockfile-link", Mechanism::Hardlink, Form::Directory),
        (Symlink, "mercurial", Mechanism::Symlink, Form::Link),
        // Where there are no links, a file.
        (Regular, "mercurial", Mechanism::Existence, Form::File),
        (Symlink, "emacs", Mechanism::Symlink, Form::Directory),
        (Symlink, "chromium", Mechanism::Symlink, Form::Directory),
        (Directory, "proper-lockfile", Mechanism::Heartbeat, Form::Marker),
        (Directory, "yarn1", Mechanism::Heartbeat, Form::Marker),
        // Made by mkdir, too: for a moment such a lock is an empty directory, which rmdir would remove.
        (Directory, "lockfile-mkdir", Mechanism::Directory, Form::Marker),
        (Directory, "custom", Mechanism::Directory, Form::Marker),
        (Directory, "borg1-excl", Mechanism::Directory, Form::Directory),
        (Directory, "twisted", Mechanism::Directory, Form::Directory),
        (Symlink, "twisted", Mechanism::Symlink, Form::Link),
        (Regular, "filelock-soft", Mechanism::Existence, Form::File),
        (Regular, "filelock-lease", Mechanism::Heartbeat, Form::File),
        (Regular, "filelock-strict", Mechanism::Existence, Form::File),
        (Regular, "filelock-softrw3", Mechanism::Heartbeat, Form::File),
        (Regular, "filelock-softrw4", Mechanism::Heartbeat, Form::File),
        (Regular, "empty", Mechanism::Existence, Form::File),
        // A file of ours could be locked through the kernel, and then be removed under its holder.
        (Regular, "empty", Mechanism::Flock, Form::Directory),
        (Regular, "filelock-unix", Mechanism::Flock, Form::Directory),
    ];
    for (kind, id, mechanism, expected) in table {
        let format = by_id(id).unwrap_or_else(|| panic!("there is a format {id}"));
        let reading = Reading { format, mechanism, record: RecordState::None };
        assert_eq!(Form::for_lock(kind, &reading), expected, "{kind:?} {id} {mechanism:?}");
    }
    // What a tool locks through the kernel is never stood in for by a file.
    for format in FORMATS.iter().filter(|format| format.mechanism.is_kernel()) {
        let reading = Reading { format, mechanism: format.mechanism, record: RecordState::None };
        assert_eq!(Form::for_lock(Regular, &reading), Form::Directory, "{}", format.id);
    }
}

#[test]
fn a_lock_directory_goes_to_quarantine_and_comes_back_the_same() {
    for shape in SHAPES {
        let world = World::shaped(shape);
        let before = Look::at(&world.lock);
        let as_file = matches!(shape, Shape::Empty | Shape::Child);
        let cleared = world
            .clear_with(Step::Swapped, || {
                assert_eq!(fs::symlink_metadata(&world.lock).unwrap().is_file(), as_file, "{shape:?}");
                let taken = shape.take(&world.lock, "1").unwrap_err();
                let expected: &[_] = &[libc::EEXIST, libc::ENOTEMPTY];
                assert!(expected.contains(&taken.raw_os_error().unwrap()), "{shape:?}: {taken}");
                // What breaks such locks by their age finds no empty directory.
                let broken = fs::remove_dir(&world.lock).unwrap_err();
                assert_eq!(broken.raw_os_error(), Some(if as_file { libc::ENOTDIR } else { libc::ENOTEMPTY }));
            })
            .unwrap();
        world.assert_tidy(&[]);
        let entry = world.entry(State::Done);
        assert_eq!(Look::at(entry.quarantine.as_ref().unwrap()), before, "{shape:?}");
        let inside = entry.deed.unwrap().inside;
        let recorded = shape.inside(DEAD.trim()).map(|(name, _)| name);
        let named: Vec<_> = inside.iter().map(|inner| inner.name.path().to_string_lossy().into_owned()).collect();
        assert_eq!(named, recorded.into_iter().collect::<Vec<_>>(), "{shape:?}: the journal knows what was in it");

        let new = newcomer(&world.lock);
        let refused = undo(&world.workplace, &cleared.id);
        assert!(matches!(refused, Err(UndoRefusal::Taken { .. })), "{shape:?}: {refused:?}");
        assert_eq!(ino(&world.lock), new);
        remove_tree(&world.lock);
        undo(&world.workplace, &cleared.id).unwrap();
        assert_eq!(Look::at(&world.lock), before, "{shape:?}");
        world.assert_tidy(&[shape.name()]);
    }
}

#[test]
fn a_newcomer_gets_its_directory_back() {
    for shape in SHAPES {
        let world = World::shaped(shape);
        let new = Cell::new(0);
        let result = world.clear_with(Step::Checked, || {
            remove_tree(&world.lock);
            new.set(newcomer(&world.lock));
        });
        assert!(matches!(result, Err(ClearError::PutBack(_))), "{shape:?}: {result:?}");
        assert_eq!(ino(&world.lock), new.get(), "{shape:?}");
        assert_eq!(names(&world.lock).len(), usize::from(shape != Shape::Empty));
        world.assert_tidy(&[shape.name()]);
    }
}

/// Whoever takes our placeholder away after the verification may have the path: the last step removes no directory of
/// theirs, not even an empty one that is about to be filled.
#[test]
fn a_newcomer_after_the_verification_keeps_its_directory() {
    for shape in SHAPES {
        for step in [Step::Verified, Step::Emptied] {
            let world = World::shaped(shape);
            let new = Cell::new(0);
            world
                .clear_with(step, || {
                    remove_tree(&world.lock);
                    new.set(newcomer(&world.lock));
                })
                .unwrap();
            assert_eq!(ino(&world.lock), new.get(), "{shape:?} {step:?}");
            world.assert_tidy(&[shape.name()]);
        }
    }
    let world = World::shaped(Shape::Child);
    world
        .clear_with(Step::Emptied, || {
            fs::remove_file(&world.lock).unwrap();
            fs::create_dir(&world.lock).unwrap();
        })
        .unwrap();
    assert!(world.lock.is_dir(), "the next step of that program is to put its file in");
}

/// 33 for a directory: what happens in it is no change of its inode number, and often none of its time.
#[test]
fn a_change_within_a_lock_directory_is_noticed() {
    let add = |world: &World| fs::write(world.lock.join("more"), "").unwrap();
    let write = |world: &World| fs::write(world.lock.join("symlink"), "1\n").unwrap();
    let replace = |world: &World| {
        let modified = fs::metadata(&world.lock).unwrap().modified().unwrap();
        fs::remove_file(world.lock.join("symlink")).unwrap();
        fs::write(world.lock.join("symlink"), DEAD.trim()).unwrap();
        fs::File::open(&world.lock).unwrap().set_modified(modified).unwrap();
    };
    let rights = |world: &World| {
        fs::set_permissions(world.lock.join("symlink"), fs::Permissions::from_mode(0o640)).unwrap();
    };
    for (at, act) in [&add as &dyn Fn(&World), &write, &replace, &rights].into_iter().enumerate() {
        let world = World::shaped(Shape::Full);
        let before = ino(&world.lock);
        let result = world.clear_with(Step::Leased, || act(&world));
        assert!(matches!(result, Err(ClearError::Refused(Refusal::Changed { .. }))), "{at}: {result:?}");
        assert_eq!(ino(&world.lock), before);

        let world = World::shaped(Shape::Full);
        let before = ino(&world.lock);
        let result = world.clear_with(Step::Checked, || act(&world));
        assert!(matches!(result, Err(ClearError::PutBack(_))), "{at}: {result:?}");
        assert_eq!(ino(&world.lock), before);
        world.assert_tidy(&[Shape::Full.name()]);

        // Between the look of the person and the recheck. Nobody's verdict hangs on the rights of a record.
        if at == 3 {
            continue;
        }
        let world = World::shaped(Shape::Full);
        let seen = world.seen();
        act(&world);
        let refused = recheck(&world.workplace, &world.directory, &seen, &LookOptions::default(), Consent::ByName);
        assert!(refused.is_err(), "{at}: {refused:?}");
    }
    // The beat of an empty one.
    let world = World::shaped(Shape::Empty);
    let beat = || fs::File::open(&world.lock).unwrap().set_modified(SystemTime::now()).unwrap();
    let result = world.clear_with(Step::Checked, beat);
    assert!(matches!(result, Err(ClearError::PutBack(_))), "{result:?}");
    world.assert_tidy(&[Shape::Empty.name()]);
}

/// What somebody put into a lock directory, and what is said of it.
type Strange = (&'static str, fn(&Path), &'static str);

const STRANGE: [Strange; 7] = [
    ("lock.exclusive", |path| fs::create_dir(path.join("deep")).unwrap(), "is a directory"),
    ("lock.exclusive", |path| drop(std::os::unix::net::UnixListener::bind(path.join("s")).unwrap()), "is a socket"),
    (
        "lock.exclusive",
        |path| fs::File::create(path.join("host@1.4194305-0")).unwrap().set_len(8 << 40).unwrap(),
        "is no lock\'s record",
    ),
    (
        "lock.exclusive",
        |path| (0..17).for_each(|number| fs::write(path.join(format!("host@1.{number}-0")), "").unwrap()),
        "more than 16 files",
    ),
    ("res.lock", |path| fs::write(path.join("treasure"), "kept").unwrap(), "1 file is in it"),
    ("00LOCK-pkg", |path| fs::create_dir(path.join("pkg")).unwrap(), "only old copy"),
    (
        "x.filelock",
        |path| {
            fs::create_dir(path.join("claims")).unwrap();
            let claim = "held-v1-00000000000000000000000000000001.claim";
            let record = "filelock-strict-v1\n00000000000000000000000000000001\n4194305\n766d\n\n";
            fs::write(path.join("claims").join(claim), record).unwrap();
        },
        "take away the one claim",
    ),
];

/// Beyond the layout of its format nothing is touched, not even by force.
#[test]
fn what_no_lock_of_the_format_holds_is_left_alone() {
    for (name, fill, expected) in STRANGE {
        let mut world = World::new();
        fs::remove_file(&world.lock).unwrap();
        world.lock = world.directory.join(name);
        fs::create_dir(&world.lock).unwrap();
        fill(&world.lock);
        fs::File::open(&world.lock).unwrap().set_modified(SystemTime::now() - Duration::from_hours(1)).unwrap();
        let before = (ino(&world.lock), names(&world.lock));
        let reason = Reason::new("it is in the way").unwrap();
        let refused =
            recheck_forced(&world.workplace, &world.directory, &world.seen(), &LookOptions::default(), &reason);
        let refusal = refused.map(|_| ()).unwrap_err();
        assert!(matches!(refusal, Refusal::Unsupported { .. }), "{name}: {refusal}");
        assert!(refusal.to_string().contains(expected), "{name}: {refusal}");
        assert_eq!((ino(&world.lock), names(&world.lock)), before);
        world.assert_tidy(&[name]);
    }
}

/// Nothing but the mutex keeps two Lockscopes apart there, and that is each user's own.
#[test]
fn a_mkdir_lock_where_others_may_write_is_refused() {
    for mode in [0o775, 0o757, 0o1777] {
        for shape in SHAPES {
            let world = World::shaped(shape);
            let before = Look::at(&world.lock);
            fs::set_permissions(&world.directory, fs::Permissions::from_mode(mode)).unwrap();
            let permit =
                recheck(&world.workplace, &world.directory, &world.seen(), &LookOptions::default(), Consent::ByName);
            if shape == Shape::Full {
                run(permit.unwrap(), &Straight).unwrap();
                continue;
            }
            let refusal = permit.map(|_| ()).unwrap_err();
            assert!(refusal.to_string().contains("other users may write"), "{shape:?} {mode:o}: {refusal}");
            world.assert_untouched_as(&before);
        }
    }
}

/// Borg's goes by force, as what it is.
#[test]
fn a_lock_whose_tool_has_its_own_way_goes_by_force() {
    let mut world = World::new();
    fs::remove_file(&world.lock).unwrap();
    world.lock = world.directory.join("lock.exclusive");
    fs::create_dir(&world.lock).unwrap();
    fs::write(world.lock.join(format!("{}@1.4194305-0", this_machine().host().name)), "").unwrap();
    fs::File::open(&world.lock).unwrap().set_modified(SystemTime::now() - Duration::from_hours(1)).unwrap();
    let before = Look::at(&world.lock);
    let seen = world.seen();
    assert_eq!(seen.judgement.verdict.id(), "stale");
    let refused = recheck(&world.workplace, &world.directory, &seen, &LookOptions::default(), Consent::ByName);
    assert!(matches!(refused, Err(Refusal::OwnWay { .. })), "{refused:?}");
    let reason = Reason::new("no borg anywhere").unwrap();
    let options = LookOptions::default();
    let force = recheck_forced(&world.workplace, &world.directory, &seen, &options, &reason).unwrap();
    let cleared = run_forced(force, &Straight).unwrap();
    world.assert_tidy(&[]);
    undo(&world.workplace, &cleared.id).unwrap();
    assert_eq!(Look::at(&world.lock), before);
}

impl World {
    fn assert_untouched_as(&self, before: &Look) {
        assert_eq!(Look::at(&self.lock), *before);
        self.assert_tidy(&[self.lock.file_name().unwrap().to_str().unwrap()]);
    }
}

/// A link within is the record itself; where it leads is nobody's business.
#[test]
fn a_link_within_a_lock_directory_is_moved_and_not_followed() {
    let world = World::shaped(Shape::Full);
    let precious = world.base.path().join("precious");
    fs::write(&precious, DEAD.trim()).unwrap();
    let before = Look::at(&precious);
    fs::remove_file(world.lock.join("symlink")).unwrap();
    symlink(&precious, world.lock.join("symlink")).unwrap();
    let lock = Look::at(&world.lock);
    let reason = Reason::new("it is in the way").unwrap();
    let options = LookOptions::default();
    let seen = world.seen();
    assert_eq!(seen.judgement.verdict.id(), "unknown", "the record is not read through a link");
    // What cannot be read is not taken away either.
    let refused = recheck_forced(&world.workplace, &world.directory, &seen, &options, &reason).map(|_| ()).unwrap_err();
    assert!(matches!(refused, Refusal::Unsupported { .. }), "{refused}");
    assert_eq!((Look::at(&precious), Look::at(&world.lock)), (before, lock));
}

/// 38 and its kin: links of real formats, whatever their text leads to.
#[test]
fn links_of_each_tool_are_cleared_as_links() {
    let host = this_machine().host().name;
    for (name, target) in [
        (".hg/wlock", format!("{host}:4194305")),
        (".#notes", format!("alice@{host}.4194305")),
        ("SingletonLock", format!("{host}-4194305")),
        ("x.lock", format!("/nowhere/{host}-fceb7b80.4194305-1234567890123")),
        ("twistd.pid.lock", "4194305".to_owned()),
    ] {
        for dangling in [true, false] {
            let mut world = World::new();
            fs::remove_file(&world.lock).unwrap();
            let full = world.directory.join(name);
            world.directory = full.parent().unwrap().to_owned();
            fs::create_dir_all(&world.directory).unwrap();
            world.lock = full;
            symlink(&target, &world.lock).unwrap();
            // What its text would lead to is a file by that name.
            let precious = world.directory.join(&target);
            if !dangling && !target.starts_with('/') {
                fs::write(&precious, "keep").unwrap();
            }
            let before = Look::at(&world.lock);
            let options = LookOptions { threshold: Duration::ZERO, ..LookOptions::default() };
            let file_name = world.lock.file_name().unwrap();
            let found = look_at_one(&world.workplace.system, &world.directory, file_name, &options).unwrap();
            let seen = found.unwrap().0;
            assert_eq!(seen.judgement.verdict.id(), "stale", "{name}");
            let permit = recheck(&world.workplace, &world.directory, &seen, &options, Consent::ByName).unwrap();
            let cleared = run(permit, &Straight).unwrap();
            assert!(free(&world.lock), "{name}");
            undo(&world.workplace, &cleared.id).unwrap();
            assert_eq!(Look::at(&world.lock), before, "{name}");
            if !dangling && !target.starts_with('/') {
                assert_eq!(fs::read(&precious).unwrap(), b"keep", "{name}");
            }
        }
    }
}

/// 44 and its kin: the lock's other name is the owner's own file.
#[test]
fn the_other_name_of_each_tools_hard_link_is_intact() {
    let host = this_machine().host().name;
    let claim = format!("locks/x|{host}|4194305|1234567");
    for (name, other, content, verdict) in [
        ("x.lck", "x.lck|claim", claim.as_str(), "stale"),
        ("x.lock", &format!("{host}-fceb7b80.4194305-1234567890123"), "", "stale"),
        ("book.LCK", "book.7f0101.4194305.LNK", "", "stale"),
        ("index.lock", "index.backup", "DIRC", "suspect"),
    ] {
        let mut world = World::new();
        fs::remove_file(&world.lock).unwrap();
        world.lock = world.directory.join(name);
        let other = world.directory.join(other);
        fs::write(&other, content).unwrap();
        fs::File::open(&other).unwrap().set_modified(SystemTime::now() - Duration::from_hours(1)).unwrap();
        fs::hard_link(&other, &world.lock).unwrap();
        let before = Look::at(&other);
        assert_eq!(before.links, 2);
        let seen = world.seen();
        assert_eq!(seen.judgement.verdict.id(), verdict, "{name}: {}", seen.facts.reading().format.id);
        let cleared = if seen.is_clearable() {
            world.clear(&Straight).unwrap()
        } else {
            let reason = Reason::new("its owner is gone").unwrap();
            let options = LookOptions::default();
            let force = recheck_forced(&world.workplace, &world.directory, &seen, &options, &reason).unwrap();
            run_forced(force, &Straight).unwrap()
        };
        assert!(free(&world.lock), "{name}");
        // The lock's own name rests in quarantine: the inode has both.
        assert_eq!(Look::at(&other), before, "{name}");
        undo(&world.workplace, &cleared.id).unwrap();
        assert_eq!((Look::at(&other), Look::at(&world.lock)), (before, Look::at(&other)), "{name}");
    }
}

/// 36 with Borg itself: while our directory stands there it waits in its ordinary way, and gets in afterwards.
#[test]
fn borg_waits_while_its_lock_is_taken_away() {
    let mut world = World::new();
    let repository = world.base.path().join("repository");
    let borg = |arguments: &[&str]| {
        let mut command = std::process::Command::new("borg");
        command.args(arguments).env("BORG_BASE_DIR", world.base.path()).env("BORG_RELOCATED_REPO_ACCESS_IS_OK", "yes");
        command.env("BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK", "yes").env("LC_ALL", "C").output()
    };
    let at = repository.to_str().unwrap();
    match borg(&["init", "-e", "none", at]) {
        Ok(made) if made.status.success() => {}
        other => return println!("not run: Borg beside a clear: there is no borg here ({other:?})"),
    }
    fs::remove_file(&world.lock).unwrap();
    world.lock = repository.join("lock.exclusive");
    world.directory.clone_from(&repository);
    fs::create_dir(&world.lock).unwrap();
    // Borg itself takes no lock of another machine for a dead one.
    fs::write(world.lock.join("elsewhere@1.4194305-0"), "").unwrap();
    let options = LookOptions::default();
    let reason = Reason::new("that machine is no more").unwrap();
    let force = recheck_forced(&world.workplace, &world.directory, &world.seen(), &options, &reason).unwrap();
    let said = RefCell::new(String::new());
    let hook = Hook::at(Step::Swapped, || {
        let waited = borg(&["--lock-wait", "1", "check", "--repository-only", at]).unwrap();
        *said.borrow_mut() = String::from_utf8_lossy(&waited.stderr).into_owned();
        assert!(!waited.status.success(), "it is taken");
    });
    run_forced(force, &hook).unwrap();
    assert!(hook.ran());
    drop(hook);
    let said = said.into_inner();
    assert!(said.contains("timeout") && !said.contains("Traceback"), "{said}");
    let after = borg(&["--lock-wait", "1", "check", "--repository-only", at]).unwrap();
    assert!(after.status.success(), "{after:?}");
}
