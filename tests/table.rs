//! The table: search, pause, what appears and what vanishes, and the keys of a file manager.

mod support;

use eframe::egui::{Key, Modifiers, Role};
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use lockscope::engine::Command;
use lockscope::engine::listing::{Listing, Query, Row, SortKey};
use lockscope::engine::settings::{MotionChoice, Settings};
use lockscope::model::snapshot::{Lock, Snapshot};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use support::stage::{Stage, locks, stage};
use support::{DEAD, look_at, write};

/// Grouped, as the settings have it.
fn usual() -> Query {
    Query { grouped: true, ..Query::default() }
}

/// The names that a search lists.
fn found(snapshot: &Snapshot, text: &str) -> Vec<String> {
    let listing = Listing::of(snapshot, &Query { text: text.to_owned(), ..Query::default() });
    let name = |row: &Row| match row {
        Row::Lock(id) => snapshot.lock(*id).expect("listed").display_path().into_owned(),
        Row::Group(group) => panic!("{} is a heading", group.name),
    };
    let mut names: Vec<String> = listing.rows.iter().map(name).collect();
    names.sort();
    names
}

#[test]
fn each_term_of_the_search_finds_what_it_says() {
    let directory = tempfile::tempdir().expect("a directory");
    let snapshot = locks(directory.path());
    let me = snapshot.find("mine.pid".as_ref()).and_then(|lock| lock.holder()?.0.facts?.user.clone()).expect("a user");
    for (text, names) in [
        ("memory", &["a_memory.lock"][..]),
        ("A_ stale", &["a_all.lock", "a_memory.lock"]),
        ("verdict:orph", &["young.lock"]),
        ("-verdict:stale -verdict:idle -name:far", &["garbage.lock", "mine.pid", "young.lock"]),
        ("re:^a_(all|mess)", &["a_all.lock", "a_messages.lock"]),
        ("/^a_.*y\\.lock$/", &["a_memory.lock"]),
        ("age:>1h", &["a_all.lock", "far.lock", "garbage.lock"]),
        ("age:<3m", &["a_messages.lock", "mine.pid", "young.lock"]),
        ("age:>1h -age:>1d group:a name:all", &["a_all.lock"]),
        (&format!("pid:{DEAD} -young"), &["a_all.lock", "a_memory.lock"]),
        (&format!("user:{me}"), &["mine.pid"]),
        (
            "verdict:",
            &["a_all.lock", "a_memory.lock", "a_messages.lock", "far.lock", "garbage.lock", "mine.pid", "young.lock"],
        ),
    ] {
        assert_eq!(found(&snapshot, text), names, "{text}");
    }
}

#[test]
fn a_group_keeps_its_heading_while_others_of_it_are_filtered_out() {
    use lockscope::model::verdict::Verdict::{self, Foreign, Idle, Orphaned, Stale};
    let directory = tempfile::tempdir().expect("a directory");
    let snapshot = locks(directory.path());
    let cases: [(&[Verdict], &str, &[&str]); 6] = [
        (&[], "", &["a 3", " 4"]),
        (&[Stale], "", &["a 2"]),
        (&[Idle], "", &["a 1"]),
        (&[Idle, Foreign], "", &["a 1", " 1"]),
        (&[], "messages", &["a 1"]),
        // Those that never shared a group get no heading.
        (&[Orphaned, Foreign], "", &[]),
    ];
    for (verdicts, text, headings) in cases {
        let query = Query { verdicts: verdicts.to_vec(), text: text.to_owned(), ..usual() };
        let listing = Listing::of(&snapshot, &query);
        let heading = |row: &Row| match row {
            Row::Group(group) => Some(format!("{} {}", group.name, group.locks)),
            Row::Lock(_) => None,
        };
        assert_eq!(listing.rows.iter().filter_map(heading).collect::<Vec<_>>(), headings, "{verdicts:?} {text:?}");
    }
}

#[test]
fn groups_stand_where_their_first_lock_would_and_what_stands_alone_comes_last() {
    let directory = tempfile::tempdir().expect("a directory");
    for number in 0..90_u32 {
        // Thirty conversations: of some three locks, of some two, of some one.
        let (conversation, key) = (number / 3, number % 3);
        if key <= conversation % 3 {
            let key = ["all", "memory", "messages"][key as usize];
            let content = if number % 4 == 0 { format!("{DEAD}\n") } else { String::new() };
            write(directory.path(), &format!("{conversation:x}_{key}.lock"), content, u64::from(number * 37 % 97) * 60);
        }
    }
    let snapshot = look_at(directory.path());
    let group_of = |lock: &Lock| String::from_utf8_lossy(lock.naming.group(lock.path.as_encoded_bytes())).into_owned();
    for (sort, descending) in [(SortKey::Verdict, false), (SortKey::Age, true), (SortKey::Lock, true)] {
        let query = Query { sort, descending, ..Query::default() };
        let written = |row: &Row| match row {
            Row::Lock(id) => snapshot.lock(*id).expect("listed").display_path().into_owned(),
            Row::Group(group) => format!("{}: {}", group.name, group.locks),
        };
        let order: Vec<&Arc<Lock>> = (Listing::of(&snapshot, &query).rows.iter())
            .filter_map(|row| if let Row::Lock(id) = row { snapshot.lock(*id) } else { None })
            .collect();
        // Slowly: for each lock all others are looked at.
        let (mut expected, mut alone) = (Vec::new(), Vec::new());
        for (at, lock) in order.iter().enumerate() {
            let name = group_of(lock);
            let others: Vec<usize> = (0..order.len()).filter(|other| group_of(order[*other]) == name).collect();
            match others[..] {
                [_] => alone.push(lock.display_path().into_owned()),
                [first, ..] if first == at => {
                    expected.push(format!("{name}: {}", others.len()));
                    expected.extend(others.iter().map(|other| order[*other].display_path().into_owned()));
                }
                _ => {}
            }
        }
        assert!(expected.len() > 40 && alone.len() > 5, "both occur: {} and {}", expected.len(), alone.len());
        expected.push(format!(": {}", alone.len()));
        expected.extend(alone);
        let listing = Listing::of(&snapshot, &Query { grouped: true, ..query });
        assert_eq!(listing.rows.iter().map(written).collect::<Vec<_>>(), expected, "{sort:?}");
    }
}

#[test]
fn what_has_vanished_stands_in_the_columns_of_the_others() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut stage = Stage::with(
        Some(locks(directory.path())),
        Settings { motion: MotionChoice::Reduced, ..Settings::default() },
        [1280.0, 800.0],
    );
    std::fs::remove_file(directory.path().join("young.lock")).expect("removed");
    stage.show(look_again(directory.path()), 2, &usual());
    let left = |stage: &Stage, text: &str| {
        let mut found = stage.harness.query_all_by_label(text);
        found.find(|node| node.accesskit_node().role() == Role::Label).map(|node| node.rect().left().round())
    };
    assert!(left(&stage, "Gone").is_some());
    assert_eq!(left(&stage, "Gone"), left(&stage, "Idle"), "the word");
    assert!(left(&stage, "young.lock").is_some());
    assert_eq!(left(&stage, "young.lock"), left(&stage, "garbage.lock"), "the name");
}

#[test]
fn where_nothing_could_be_looked_at_there_is_no_number() {
    use lockscope::model::snapshot::{LostReason, Watching};
    let empty = tempfile::tempdir().expect("a directory");
    let full = tempfile::tempdir().expect("a directory");
    let lost = || Watching::Lost(LostReason::Denied);
    for (seen, watching, chip, status) in [
        (look_at(empty.path()), Watching::Live, "All 0", "0 lock files"),
        (look_at(empty.path()), lost(), "All", "lock files not known"),
        (look_at(empty.path()), Watching::Loading(7), "All", "lock files not known"),
        (locks(full.path()), lost(), "All 7", "7 lock files when last seen"),
        (locks(full.path()), Watching::Loading(70), "All 7", "7 lock files so far"),
    ] {
        // The timeline has a button All too.
        let mut settings = Settings::default();
        settings.below.shown = false;
        let stage = Stage::with(Some(Snapshot { watching, ..seen }), settings, [1280.0, 800.0]);
        assert!(stage.button(chip), "{chip}");
        assert!(stage.harness.query_by_label(status).is_some(), "{status}");
    }
}

#[test]
fn a_pattern_that_is_none_is_told_and_keeps_the_list() {
    let (_directory, mut stage) = stage();
    stage.press(Key::Slash);
    assert!(stage.shows("in name, PID, command, format or verdict; all must fit"), "the terms are listed");
    stage.harness.get_by_role_and_label(Role::TextInput, "Search").type_text("memory");
    stage.harness.run_steps(2);
    assert_eq!(stage.last_query().expect("asked for").text, "memory");
    stage.harness.get_by_role_and_label(Role::TextInput, "Search").type_text(" re:(");
    stage.harness.run_steps(3);
    assert!(stage.last_query().is_none(), "nothing else is asked for");
    assert!(stage.shows("( is not a regular expression: unclosed group"));
    let field = stage.harness.get_by_role_and_label(Role::TextInput, "Search");
    assert!(field.accesskit_node().description().is_some_and(|text| text.contains("unclosed group")));
}

#[test]
fn what_vanishes_stays_a_moment_inert_and_then_goes() {
    let directory = tempfile::tempdir().expect("a directory");
    for (motion, what) in [(MotionChoice::System, "fading"), (MotionChoice::Reduced, "still")] {
        let settings = Settings { motion, ..Settings::default() };
        let mut stage = Stage::with(Some(locks(directory.path())), settings, [1280.0, 800.0]);
        let before = stage.rows();
        let at = before.iter().position(|row| row.starts_with("Orphaned, young.lock")).expect("there");
        std::fs::remove_file(directory.path().join("young.lock")).expect("removed");
        stage.show(look_again(directory.path()), 2, &usual());
        let after = stage.rows();
        assert_eq!(after.len(), before.len(), "{what}: nothing has moved");
        assert_eq!(after[at], "Gone, young.lock", "{what}: {after:?}");
        stage.asked();
        stage.harness.get_by_role_and_label(Role::Row, "Gone, young.lock").click();
        stage.harness.run_steps(2);
        stage.press(Key::Delete);
        assert!(!stage.shows("Clear this lock?"), "{what}: no action on it");
        assert!(!stage.asked().iter().any(|command| matches!(command, Command::Clear { .. })));
        stage.pass(Duration::from_secs(4));
        stage.harness.run_steps(4);
        assert!(!stage.rows().iter().any(|row| row.contains("young.lock")), "{what}: it has gone");
    }
}

/// The same locks without `young.lock`, which `locks` would write again.
fn look_again(directory: &Path) -> Snapshot {
    let mut names: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(directory).expect("read") {
        names.push(entry.expect("an entry").file_name().to_string_lossy().into_owned());
    }
    assert!(!names.contains(&"young.lock".to_owned()));
    renumbered(look_at(directory), &locks_of(directory))
}

/// What `locks` numbers, so that a second look can number the same.
fn locks_of(directory: &Path) -> Vec<String> {
    let other = tempfile::tempdir().expect("a directory");
    let _ = directory;
    let first = locks(other.path());
    first.locks().map(|lock| lock.display_path().into_owned()).collect()
}

/// A second look keeps the numbers of the first, as the engine's store does.
fn renumbered(snapshot: Snapshot, order: &[String]) -> Snapshot {
    use lockscope::model::snapshot::{Lock, LockId};
    use std::sync::Arc;
    let mut slots: Vec<Option<Arc<Lock>>> = vec![None; order.len()];
    let mut more = Vec::new();
    for lock in snapshot.locks() {
        match order.iter().position(|name| *name == lock.display_path()) {
            Some(at) => slots[at] = Some(Arc::new(Lock { id: LockId(at as u32), ..Lock::clone(lock) })),
            None => more.push(Lock::clone(lock)),
        }
    }
    for lock in more {
        let id = LockId(slots.len() as u32);
        slots.push(Some(Arc::new(Lock { id, ..lock })));
    }
    Snapshot { chunks: vec![Arc::new(slots)], ..snapshot }
}

#[test]
fn what_appears_comes_at_once_and_where_it_belongs() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut stage = Stage::on(renumbered(locks(directory.path()), &locks_of(directory.path())));
    write(directory.path(), "a_new.lock", format!("{DEAD}\n"), 900);
    stage.show(renumbered(look_at(directory.path()), &locks_of(directory.path())), 2, &usual());
    assert!(stage.rows().iter().any(|row| row.starts_with("Stale, a_new.lock")), "{:?}", stage.rows());
    // While it is set off frames are drawn, then no more.
    stage.pass(Duration::from_secs(2));
    stage.harness.run();
    assert_eq!(stage.harness.run(), 1, "and then it is still");
}

#[test]
fn a_paused_picture_stands_still_counts_and_is_checked_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let order = locks_of(directory.path());
    let mut stage = Stage::on(renumbered(locks(directory.path()), &order));
    let before = stage.rows();
    stage.press_with(Modifiers::COMMAND, Key::P);
    assert!(stage.shows("Paused: nothing has changed since."));
    std::fs::remove_file(directory.path().join("far.lock")).expect("removed");
    write(directory.path(), "a_all.lock", "7\n", 5);
    write(directory.path(), "another.lock", format!("{DEAD}\n"), 900);
    stage.show(renumbered(look_at(directory.path()), &order), 2, &usual());
    let paused = stage.rows();
    assert_eq!(paused.len(), before.len(), "{paused:?}");
    assert!(!paused.iter().any(|row| row.contains("another.lock")), "{paused:?}");
    assert!(paused.iter().any(|row| row == "Gone, far.lock"), "what has gone is inert: {paused:?}");
    assert!(stage.shows("changes wait. Ages go on"));
    // The old picture has two stale ones. One of them is another file now, and drops out before anything is done.
    stage.press_with(Modifiers::COMMAND.plus(Modifiers::SHIFT), Key::Delete);
    assert!(stage.shows("Left out: the file has changed since you looked."));
    stage.asked();
    stage.click(Role::Button, "Clear 1 lock");
    let seen = stage
        .asked()
        .into_iter()
        .find_map(|command| if let Command::Clear { seen, .. } = command { Some(seen) } else { None });
    let seen = seen.expect("asked for");
    assert_eq!(seen.iter().map(|lock| lock.display_path().into_owned()).collect::<Vec<_>>(), ["a_memory.lock"]);
    stage.press(Key::Escape);
    stage.harness.run_steps(2);
    stage.press_with(Modifiers::COMMAND, Key::P);
    stage.harness.run_steps(2);
    assert!(!stage.shows("Paused: ") && stage.rows().iter().any(|row| row.contains("another.lock")));
}

#[test]
fn a_paused_picture_is_sorted_and_searched_as_it_stands() {
    let directory = tempfile::tempdir().expect("a directory");
    let order = locks_of(directory.path());
    let mut stage = Stage::on(renumbered(locks(directory.path()), &order));
    stage.press_with(Modifiers::COMMAND, Key::P);
    std::fs::remove_file(directory.path().join("far.lock")).expect("removed");
    stage.show(renumbered(look_at(directory.path()), &order), 2, &usual());
    stage.press_with(Modifiers::COMMAND, Key::G);
    // Another thread makes the rows anew and wakes the window.
    let heading = |stage: &Stage| stage.rows().iter().any(|row| row.starts_with("Group"));
    let start = std::time::Instant::now();
    while heading(&stage) {
        assert!(start.elapsed() < support::DEADLINE, "the rows are not made anew");
        std::thread::yield_now();
        stage.harness.run_steps(1);
    }
    assert_eq!(stage.rows().len(), 7, "{:?}", stage.rows());
}

#[test]
fn many_are_chosen_as_in_a_file_manager() {
    let (_directory, mut stage) = stage();
    let chosen = |stage: &Stage| {
        let rows = stage.harness.get_all_by_role(Role::Row);
        rows.filter(|row| row.accesskit_node().is_selected() == Some(true)).count()
    };
    stage.press(Key::ArrowDown);
    assert_eq!(chosen(&stage), 1);
    stage.press_with(Modifiers::SHIFT, Key::ArrowDown);
    assert_eq!(chosen(&stage), 2);
    stage.press_with(Modifiers::COMMAND, Key::ArrowDown);
    assert_eq!(chosen(&stage), 2, "Ctrl and an arrow only moves");
    stage.press_with(Modifiers::COMMAND, Key::Space);
    assert_eq!(chosen(&stage), 3);
    stage.press_with(Modifiers::COMMAND, Key::Space);
    assert_eq!(chosen(&stage), 2);
    stage.press(Key::Home);
    stage.press_with(Modifiers::SHIFT, Key::End);
    assert_eq!(chosen(&stage), 7);
}

#[test]
fn letters_jump_and_arrows_fold() {
    let (_directory, mut stage) = stage();
    let cursor = |stage: &Stage| stage.focus().unwrap_or_default();
    for letters in ["g", "a"] {
        stage.harness.event(eframe::egui::Event::Text(letters.to_owned()));
        stage.harness.run_steps(2);
    }
    assert!(cursor(&stage).contains("garbage.lock"), "{:?}", stage.focus());
    stage.pass(Duration::from_secs(2));
    stage.harness.event(eframe::egui::Event::Text("a".to_owned()));
    stage.harness.run_steps(3);
    assert!(cursor(&stage).contains("a_"), "{:?}", stage.focus());
    stage.asked();
    stage.press(Key::ArrowLeft);
    assert_eq!(stage.last_query().expect("asked for").folded, ["a"]);
    stage.press(Key::ArrowRight);
    assert!(stage.last_query().expect("asked for").folded.is_empty());
}

#[test]
fn a_small_group_shows_each_of_its_keys() {
    let (_directory, stage) = stage();
    for member in ["all: Stale", "memory: Stale", "messages: Idle"] {
        assert!(stage.harness.query_by_role_and_label(Role::Image, member).is_some(), "{member}");
    }
}
