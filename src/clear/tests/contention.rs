//! Many at once, other mounts, and the recheck.

use super::*;
use crate::inspect::LookError;
use crate::model::facts::{Facts, OwnerState, Sight, Users};
use crate::model::format::{Mechanism, Reading, RecordState, by_id};
use crate::model::holder::Liveness;
use crate::model::naming::Naming;
use crate::model::snapshot::{Counts, Lock, LockId, Snapshot, Watching};
use crate::model::verdict::{Certainty, Judgement};
use std::sync::atomic::{AtomicU32, Ordering};

#[test]
fn s46_on_another_mount_the_lock_rests_in_that_mounts_trash() {
    let Ok(shm) = tempfile::tempdir_in("/dev/shm") else { return };
    let base = tempfile::tempdir().unwrap();
    let scene = Scene::at(base.path(), shm.path());
    let mount = |path: &Path| Place::open(path).unwrap().id().unwrap().mount;
    if mount(shm.path()) == mount(base.path()) {
        return; // this machine has one mount only
    }
    let stale = scene.make_lock();
    let cleared = scene.clear_with(&Straight).unwrap();
    let kept = scene.last().quarantine.unwrap();
    assert_eq!(mount(kept.parent().unwrap()), mount(shm.path()));
    undo(&scene.workplace, &cleared.id).unwrap();
    assert_eq!(ino(&scene.lock()), stale);
}

#[test]
fn s30_a_reused_inode_number_never_costs_the_newcomer() {
    let scene = Scene::new();
    for round in 0..20 {
        scene.make_lock();
        let act = || {
            std::fs::remove_file(scene.lock()).unwrap();
            std::fs::write(scene.lock(), "999999\n").unwrap();
        };
        let told = scene.clear_with(&At(Step::Checked, &act));
        assert!(matches!(told, Err(ClearError::PutBack(_))), "{round}: {told:?}");
        std::fs::remove_file(scene.lock()).unwrap();
    }
}

#[test]
fn s31_two_inspectors_and_two_newcomers_never_hold_twice() {
    let scene = Scene::new();
    let (holders, doubles, lost) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0));
    for _ in 0..60 {
        scene.make_lock();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                let scene = Scene { _base: None, dir: scene.dir.clone(), workplace: scene.workplace.clone() };
                scope.spawn(move || {
                    // Only the stale one: a newcomer's lock is empty, and its verdict would be another.
                    if let Ok(permit) = scene.permit(Consent::ByName, Form::Directory)
                        && permit.content() == b"999999\n"
                    {
                        let _ = clear(permit);
                    }
                });
            }
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..200_000 {
                        if std::fs::File::options().write(true).create_new(true).open(scene.lock()).is_err() {
                            std::thread::yield_now();
                            continue;
                        }
                        let before = holders.fetch_add(1, Ordering::SeqCst);
                        doubles.fetch_add(u32::from(before > 0), Ordering::SeqCst);
                        std::thread::yield_now();
                        holders.fetch_sub(1, Ordering::SeqCst);
                        lost.fetch_add(u32::from(std::fs::remove_file(scene.lock()).is_err()), Ordering::SeqCst);
                        return;
                    }
                    panic!("the path was never freed");
                });
            }
        });
    }
    assert_eq!(doubles.load(Ordering::SeqCst), 0, "two holders");
    assert_eq!(lost.load(Ordering::SeqCst), 0, "a holder found its lock gone");
    assert_eq!(scene.leftovers(), [""; 0]);
}

/// A lock as the inspection would give it.
fn seen(scene: &Scene, verdict: Verdict) -> Lock {
    let place = Place::open(&scene.dir).unwrap();
    let stat = place.look(&Name::new(OsStr::new("x.lock")).unwrap()).unwrap().unwrap().stat;
    let bytes = std::fs::read(scene.lock()).unwrap();
    let content = bytes.iter().fold(0, |sum, byte| sum * 31 + u64::from(*byte));
    Lock {
        id: LockId(0),
        path: Box::from(OsStr::new("x.lock")),
        naming: Naming::default(),
        facts: Facts {
            stat: Some(stat),
            trouble: None,
            reading: Reading {
                format: by_id("hand-pid").unwrap(),
                mechanism: Mechanism::Existence,
                record: RecordState::None,
            },
            content,
            kernel: None,
            kernel_rule: false,
            owner: OwnerState::NotNamed,
            users: Users::NotLooked,
            beat: None,
            danger: None,
            first_seen: Duration::ZERO,
        },
        judgement: Judgement {
            row: 21,
            verdict,
            certainty: Some(Certainty::Strong),
            liveness: Liveness::Gone,
            gone: None,
            due: None,
        },
        bytes: bytes.into(),
    }
}

#[allow(clippy::unnecessary_wraps)] // the shape that the recheck looks through
fn look(scene: &Scene, verdict: Verdict) -> Result<Option<(Arc<Lock>, Snapshot)>, LookError> {
    let sight = Sight {
        host: "testhost".into(),
        machine_id: None,
        boot_id: Some(7),
        boot_floor: None,
        clock_step: None,
        pid_ns: Some(1),
        host_pid_ns: true,
        hidden_processes: false,
        uid: effective_uid(),
        fs: Machine.file_system(0),
        kernel_table: true,
        processes: 1,
        processes_denied: 0,
    };
    let snapshot = Snapshot {
        generation: 1,
        directory: scene.dir.clone().into(),
        taken_at: Machine.wall(),
        taken_monotonic: Duration::ZERO,
        scanned_at: Machine.wall(),
        threshold: Duration::ZERO,
        sight: Arc::new(sight),
        watching: Watching::Live,
        counts: Counts::default(),
        problems: Arc::new([]),
        chunks: Vec::new(),
    };
    Ok(Some((Arc::new(seen(scene, verdict)), snapshot)))
}

#[test]
fn s51_the_recheck_permits_only_what_was_seen() {
    let scene = Scene::new();
    scene.make_lock();
    let recheck = |seen: &Lock, now: Verdict, consent| {
        let look = || look(&scene, now);
        permit::recheck_with(&scene.workplace, &scene.dir, seen, consent, &look).map(|permit| permit.path().to_owned())
    };
    let before = seen(&scene, Verdict::Stale);
    recheck(&before, Verdict::Stale, Consent::Bulk).unwrap();
    let held = recheck(&before, Verdict::Held, Consent::ByName);
    assert!(matches!(held, Err(Refusal::VerdictChanged { now: Verdict::Held, .. })), "{held:?}");
    let suspect = seen(&scene, Verdict::Suspect);
    let bulk = recheck(&suspect, Verdict::Suspect, Consent::Bulk);
    assert!(matches!(bulk, Err(Refusal::NotClearable { by_name: true, .. })), "{bulk:?}");
    recheck(&suspect, Verdict::Suspect, Consent::ByName).unwrap();
    for kept in [Verdict::Held, Verdict::Idle, Verdict::Foreign, Verdict::Unknown, Verdict::NotALock] {
        let refused = recheck(&seen(&scene, kept), kept, Consent::ByName);
        assert!(matches!(refused, Err(Refusal::NotClearable { by_name: false, .. })), "{refused:?}");
    }
    std::fs::remove_file(scene.lock()).unwrap();
    std::fs::write(scene.lock(), "999999\n").unwrap();
    let other = recheck(&before, Verdict::Stale, Consent::Bulk);
    assert!(matches!(other, Err(Refusal::Changed { .. })), "{other:?}");
    std::fs::remove_file(scene.lock()).unwrap();
    assert!(matches!(recheck(&before, Verdict::Stale, Consent::Bulk), Err(Refusal::Gone(_))));
    assert_eq!(scene.last().what, "refuse");
}
