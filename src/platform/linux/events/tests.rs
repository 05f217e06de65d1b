//! What the events of real directories come to; those that were lost too.

use super::*;
use std::fs;

/// As the engine writes them: `name`, `below/name`, `below/` of a directory as a whole, `!` of what was lost.
fn said(events: &mut Events) -> Vec<String> {
    let mut said = Vec::new();
    loop {
        let before = said.len();
        events.take(&mut |happened| {
            said.push(match happened {
                Happened::To(directory, name) => directory.join(name).to_string_lossy().into_owned(),
                Happened::ToAll(directory) => format!("{}/", directory.display()),
                Happened::Lost => "!".to_owned(),
            });
        });
        if said.len() == before {
            return said;
        }
    }
}

fn watched() -> (tempfile::TempDir, Events, Door) {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("root");
    fs::create_dir(&root).unwrap();
    let door = Door::new().unwrap();
    let events = Events::of(&root, &door).unwrap();
    (place, events, door)
}

#[test]
fn what_is_written_moved_over_and_deleted_is_told_by_its_name() {
    let (place, mut events, _door) = watched();
    let root = place.path().join("root");
    assert_eq!(said(&mut events), Vec::<String>::new());
    fs::write(place.path().join("new"), "1\n").unwrap();
    fs::write(root.join("a.lock"), "1\n").unwrap();
    assert_eq!(said(&mut events).iter().filter(|name| *name == "a.lock").count(), 3, "made, changed, closed");
    fs::rename(place.path().join("new"), root.join("a.lock")).unwrap();
    assert_eq!(said(&mut events), ["a.lock"]);
    // To read is no change.
    fs::read(root.join("a.lock")).unwrap();
    fs::read_dir(&root).unwrap().for_each(drop);
    assert_eq!(said(&mut events), Vec::<String>::new());
    fs::rename(root.join("a.lock"), root.join("b.lock")).unwrap();
    assert_eq!(said(&mut events), ["a.lock", "b.lock"]);
    fs::remove_file(root.join("b.lock")).unwrap();
    assert_eq!(said(&mut events), ["b.lock"]);
}

#[test]
fn the_directory_that_goes_or_is_moved_is_told_of_as_a_whole() {
    let (place, mut events, door) = watched();
    let root = place.path().join("root");
    fs::rename(&root, place.path().join("moved")).unwrap();
    assert_eq!(said(&mut events), ["/"]);
    // It is followed as what it is, wherever it is; what stands at the path now needs a watch of its own.
    fs::create_dir(&root).unwrap();
    fs::write(root.join("a.lock"), "").unwrap();
    assert_eq!(said(&mut events), Vec::<String>::new());
    let mut anew = Events::of(&root, &door).unwrap();
    fs::remove_file(root.join("a.lock")).unwrap();
    fs::remove_dir(&root).unwrap();
    let of_it = said(&mut anew);
    assert_eq!(of_it[0], "a.lock");
    assert!(of_it.len() > 1 && of_it[1..].iter().all(|what| what == "/"), "{of_it:?}");
}

#[test]
fn subfolders_are_told_of_by_their_path_until_they_are_forgotten() {
    let (place, mut events, _door) = watched();
    let root = place.path().join("root");
    fs::create_dir_all(root.join("x/y")).unwrap();
    assert_eq!(said(&mut events), ["x"], "what is below a new one is not told before it is added");
    events.add(Path::new("x")).unwrap();
    events.add(Path::new("x/y")).unwrap();
    fs::write(root.join("x/y/a.lock"), "").unwrap();
    assert!(said(&mut events).iter().all(|what| what == "x/y/a.lock"));
    // Moved and added again, it has its new path.
    fs::rename(root.join("x/y"), root.join("z")).unwrap();
    assert_eq!(said(&mut events), ["x/y", "z", "x/y/"]);
    events.add(Path::new("z")).unwrap();
    fs::remove_file(root.join("z/a.lock")).unwrap();
    assert_eq!(said(&mut events), ["z/a.lock"]);
    events.forget(&HashSet::from(["x".into(), "z".into()]));
    fs::write(root.join("z/b.lock"), "").unwrap();
    fs::write(root.join("x/b.lock"), "").unwrap();
    assert_eq!(said(&mut events), Vec::<String>::new(), "nor is it told that they were forgotten");
    events.add(Path::new("z")).unwrap();
    fs::remove_file(root.join("z/b.lock")).unwrap();
    assert_eq!(said(&mut events), ["z/b.lock"]);
}

#[test]
fn what_cannot_be_watched_is_told_apart() {
    let (place, mut events, door) = watched();
    let root = place.path().join("root");
    fs::write(root.join("file"), "").unwrap();
    std::os::unix::fs::symlink(place.path(), root.join("link")).unwrap();
    for below in ["gone", "file", "link"] {
        assert_eq!(events.add(Path::new(below)), Err(NoEvents::OfThisOne), "{below}");
    }
    // The directory that was asked for may be reached through a link.
    let link = place.path().join("to-root");
    std::os::unix::fs::symlink(&root, &link).unwrap();
    let mut through = Events::of(&link, &door).unwrap();
    fs::write(root.join("a.lock"), "").unwrap();
    assert!(said(&mut through).contains(&"a.lock".to_owned()));
}

#[test]
fn more_than_the_kernel_keeps_is_told_as_lost_and_no_event_before_that_is() {
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let limit: usize = limit.trim().parse().unwrap();
    if limit > 100_000 {
        println!("not run: a queue of {limit} events is too long to be filled here");
        return;
    }
    let (place, mut events, door) = watched();
    let root = place.path().join("root");
    fs::write(root.join("0"), "").unwrap();
    said(&mut events);
    // One event for each, all unlike the one before: such are put together.
    for number in 0..=limit {
        fs::rename(root.join(number.to_string()), place.path().join("out")).unwrap();
        fs::rename(place.path().join("out"), root.join((number + 1).to_string())).unwrap();
    }
    assert_eq!(door.wait(Some(&events), Duration::ZERO), Waited::Happened);
    let told = said(&mut events);
    assert_eq!(told.len(), limit + 1);
    assert_eq!(told.last().map(String::as_str), Some("!"));
    for (at, name) in told[..limit].iter().enumerate() {
        assert_eq!(*name, at.div_ceil(2).to_string());
    }
    // And it goes on.
    fs::write(root.join("after"), "").unwrap();
    assert!(said(&mut events).contains(&"after".to_owned()));
}

#[test]
fn the_door_opens_for_the_bell_for_events_and_at_its_time() {
    let (place, mut events, door) = watched();
    let long = Duration::from_mins(10);
    assert_eq!(door.wait(Some(&events), Duration::ZERO), Waited::InVain);
    assert_eq!(door.wait(None, Duration::from_millis(1)), Waited::InVain);
    fs::write(place.path().join("root/a"), "").unwrap();
    assert_eq!(door.wait(Some(&events), long), Waited::Happened);
    assert_eq!(door.wait(Some(&events), long), Waited::Happened, "they were not taken");
    // Rung before anybody waits, and twice: one wait ends, and what happened is still there.
    let bell = door.bell();
    bell.ring();
    bell.ring();
    assert_eq!(door.wait(Some(&events), long), Waited::Rung);
    assert_eq!(door.wait(Some(&events), long), Waited::Happened);
    said(&mut events);
    assert_eq!(door.wait(Some(&events), Duration::ZERO), Waited::InVain);
    let other = std::thread::spawn(move || bell.ring());
    assert_eq!(door.wait(Some(&events), long), Waited::Rung, "by another thread");
    other.join().unwrap();
}
