//! The window over a picture that stands still: what each control shows, and what it asks the engine for.

mod support;

use eframe::egui::{self, Key, Modifiers, Role};
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use lockscope::engine::bulk::Progress;
use lockscope::engine::listing::SortKey;
use lockscope::engine::settings::{Recent, Settings};
use lockscope::engine::sweep::Act;
use lockscope::engine::{Command, Event, Outcome, Sweeping};
use lockscope::model::snapshot::{CHUNK, Lock, LockId, LostReason, Snapshot, Watching};
use lockscope::model::verdict::Verdict;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use support::stage::{Stage, locks, stage};
use support::{DEAD, Process, look_at, write};

#[test]
fn chips_count_and_filter() {
    let (_directory, mut stage) = stage();
    stage.asked();
    for (word, count) in [("All", 7), ("Stale", 2), ("Orphaned", 1), ("Idle", 1), ("Elsewhere", 1), ("Unknown", 1)] {
        assert!(stage.button(&format!("{word} {count}")), "{word} {count}");
    }
    stage.click(Role::Button, "Stale 2");
    assert_eq!(stage.last_query().expect("asked for").verdicts, [Verdict::Stale]);
    stage.click(Role::Button, "Stale 2");
    assert!(stage.last_query().expect("asked for").verdicts.is_empty(), "a second click shows all again");
}

#[test]
fn headers_sort_and_the_search_searches() {
    let (_directory, mut stage) = stage();
    stage.asked();
    stage.click(Role::ColumnHeader, "Lock");
    let query = stage.last_query().expect("asked for");
    assert_eq!((query.sort, query.descending), (SortKey::Lock, false));
    stage.click(Role::ColumnHeader, "Lock");
    assert!(stage.last_query().expect("asked for").descending);
    stage.press(Key::Slash);
    stage.harness.get_by_role_and_label(Role::TextInput, "Search").type_text("verdict:stale");
    stage.harness.run_steps(2);
    assert_eq!(stage.last_query().expect("asked for").text, "verdict:stale");
}

#[test]
fn a_chosen_lock_tells_why_and_what_may_be_done() {
    let (_directory, mut stage) = stage();
    stage.click_row("Stale, a_memory.lock");
    assert!(
        stage.shows(&format!("Owner PID {DEAD} is gone: no such process. Untouched for 14 min, stale after 10 min."))
    );
    assert!(stage.button("Clear…"));
    for (row, reason) in [
        ("Held, mine.pid", "a process has it"),
        ("Idle, a_messages.lock", "it blocks nobody"),
        ("Elsewhere, far.lock", "look on the computer that made it"),
        ("Unknown, garbage.lock", "what is not known to be dead is left alone"),
    ] {
        stage.click_row(row);
        assert!(stage.shows(reason), "{row}");
        assert!(!stage.button("Clear…"), "{row} has no button to clear it");
    }
}

#[test]
fn a_split_lock_is_a_danger_in_words_and_each_fact_says_how_sure_and_when() {
    let directory = tempfile::tempdir().expect("a directory");
    let script = "exec 9>job.lock; flock 9; rm job.lock; exec 8>job.lock; echo ready; exec sleep 1000";
    let _holder = Process::shell(directory.path(), script);
    let snapshot = look_at(directory.path());
    let seen = lockscope::platform::environment::zone().clock(snapshot.taken_at);
    let mut stage = Stage::on(snapshot);
    let rows = stage.harness.get_all_by_role(Role::Row);
    let labels: Vec<String> = rows.into_iter().filter_map(|row| row.accesskit_node().label()).collect();
    assert!(
        labels.iter().any(|label| label.contains("job.lock") && label.contains("danger: split lock")),
        "{labels:?}"
    );
    stage.click_row("Held, job.lock");
    assert!(stage.shows("Danger: split lock"));
    assert!(stage.shows("split lock · certain"));
    assert!(stage.shows("before anything else takes this lock."), "what to do");
    // All was seen in one look: its time stands once, below.
    assert!(stage.shows(&format!("Looked at {seen}")));
    assert!(!stage.shows(&format!("certain · {seen}")), "not on each line");
}

#[test]
fn what_is_to_know_before_removing_a_lock_stands_beside_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let git = directory.path().join(".git");
    std::fs::create_dir(&git).expect("made");
    write(&git, "index.lock", "", 7200);
    let mut stage = Stage::on(look_at(&git));
    stage.click_row("Suspect, index.lock");
    for words in ["After clearing, run", "git fsck"] {
        assert!(stage.shows(words), "{words}");
    }
}

#[test]
fn where_nothing_could_be_looked_at_it_says_how_to_see_more() {
    let directory = tempfile::tempdir().expect("a directory");
    write(directory.path(), "far.lock", "{\"pid\": 812, \"host\": \"nas2\"}\n", 7200);
    write(directory.path(), "odd.lock", "{\"pid\": \"many\"}\n", 7200);
    write(directory.path(), "gone.lock", format!("{DEAD}\n"), 7200);
    let mut stage = Stage::on(look_at(directory.path()));
    for (row, more) in [
        ("Elsewhere, far.lock", Some("To see more: Look from the computer or the container that made it.")),
        ("Unknown, odd.lock", Some("To see more: Read the record yourself.")),
        ("Stale, gone.lock", None),
    ] {
        stage.click_row(row);
        assert_eq!(stage.shows("To see more:"), more.is_some(), "{row}");
        assert!(more.is_none_or(|more| stage.shows(more)), "{row}");
    }
}

#[test]
fn cancel_has_the_focus_and_enter_destroys_nothing() {
    let (_directory, mut stage) = stage();
    stage.click(Role::Button, "Clear stale (2)…");
    let cancel = stage.harness.get_by_role_and_label(Role::Button, "Cancel");
    assert!(cancel.accesskit_node().is_focused());
    stage.asked();
    stage.press(Key::Enter);
    assert!(!stage.button("Cancel"), "the dialog is closed");
    assert!(!stage.asked().iter().any(|command| matches!(command, Command::Clear { .. })));
}

#[test]
fn what_is_confirmed_is_exactly_what_was_shown() {
    let directory = tempfile::tempdir().expect("a directory");
    let snapshot = locks(directory.path());
    let shown: Vec<Arc<Lock>> = snapshot.locks().filter(|lock| lock.is_stale()).cloned().collect();
    let mut stage = Stage::on(snapshot);
    stage.click(Role::Button, "Clear stale (2)…");
    assert!(stage.shows("Left out: its owner is gone, but it turns stale only in"), "the orphan is named");
    stage.click(Role::Button, "Clear 2 locks");
    let seen = stage
        .asked()
        .into_iter()
        .find_map(|command| if let Command::Clear { seen, .. } = command { Some(seen) } else { None });
    let seen = seen.expect("a clear was asked for");
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|lock| shown.iter().any(|shown| Arc::ptr_eq(lock, shown))));

    let outcome = |name: &str, result: Result<&str, &str>| Outcome {
        path: name.into(),
        result: result.map(str::to_owned).map_err(str::to_owned),
    };
    let outcomes = vec![outcome("a_all.lock", Ok("1")), outcome("a_memory.lock", Ok("2"))];
    stage.tell.send(Event::Cleared { outcomes, left: 0 }).expect("heard");
    stage.harness.run_steps(2);
    assert!(stage.shows("2 locks cleared. Each was checked again first."));
    stage.asked();
    stage.harness.key_press_modifiers(Modifiers::COMMAND, Key::Z);
    stage.harness.run_steps(2);
    let undone = stage
        .asked()
        .into_iter()
        .find_map(|command| if let Command::Undo { ids } = command { Some(ids) } else { None });
    assert_eq!(undone.expect("an undo was asked for"), ["2", "1"], "newest first");
}

#[test]
fn a_refusal_is_told_with_its_reason() {
    let (_directory, mut stage) = stage();
    let result = Err("the file has changed since you looked".to_owned());
    stage
        .tell
        .send(Event::Cleared { outcomes: vec![Outcome { path: "a.lock".into(), result }], left: 0 })
        .expect("heard");
    stage.harness.run_steps(2);
    assert!(stage.shows("Nothing was cleared.") && stage.shows("a.lock: the file has changed since you looked"));
}

#[test]
fn what_is_not_proved_stale_wants_its_name_typed() {
    let (_directory, mut stage) = stage();
    stage.click_row("Orphaned, young.lock");
    stage.click(Role::Button, "Clear…");
    stage.asked();
    stage.click(Role::Button, "Clear 1 lock");
    assert!(!stage.asked().iter().any(|command| matches!(command, Command::Clear { .. })), "not yet");
    stage.harness.get_by_role_and_label(Role::TextInput, "Name of the lock").focus();
    stage.harness.run_steps(1);
    stage.harness.get_by_role_and_label(Role::TextInput, "Name of the lock").type_text("young.lock");
    stage.harness.run_steps(2);
    stage.click(Role::Button, "Clear 1 lock");
    assert!(stage.asked().iter().any(|command| matches!(command, Command::Clear { .. })));
}

#[test]
fn force_is_behind_its_own_button_the_typed_name_and_a_reason() {
    let (_directory, mut stage) = stage();
    stage.click_row("Elsewhere, far.lock");
    stage.click(Role::Button, "Force…");
    assert!(stage.shows("Take this lock away by force?"));
    stage.asked();
    let forced = |stage: &Stage| {
        stage.asked().into_iter().find_map(|command| match command {
            Command::Force { seen, reason, .. } => Some((seen.path.to_os_string(), reason.as_str().to_owned())),
            _ => None,
        })
    };
    stage.press(Key::Enter);
    assert!(!stage.shows("Take this lock away by force?"), "what Enter does by accident is nothing");
    stage.click(Role::Button, "Force…");
    for (field, words) in [("Name of the lock", "far.lock"), ("Reason", "ticket 7")] {
        stage.click(Role::Button, "Take it away by force");
        assert_eq!(forced(&stage), None, "no {field}");
        stage.write_into(field, words);
    }
    stage.click(Role::Button, "Take it away by force");
    assert_eq!(forced(&stage), Some(("far.lock".into(), "ticket 7".to_owned())));
}

#[test]
fn what_the_kernel_says_is_held_cannot_be_forced_and_its_holder_is_ended_by_a_dialog_of_its_own() {
    let directory = tempfile::tempdir().expect("a directory");
    let holder = Process::shell(directory.path(), "exec 9>a_memory.lock; flock 9; echo ready; exec sleep 1000");
    let mut stage = Stage::on(look_at(directory.path()));
    stage.click_row("Held, a_memory.lock");
    stage.click(Role::Button, "Force…");
    assert!(!stage.shows("Take this lock away by force?"), "the button is off");
    stage.click(Role::Button, &format!("End sleep ({})…", holder.pid()));
    assert!(stage.shows("Looking at what that would hit"));
    let pid = stage.asked().into_iter().find_map(|command| match command {
        Command::AskImpact(pid) => Some(pid),
        _ => None,
    });
    let pid = pid.expect("asked for");
    assert_eq!(pid.get(), holder.pid());
    let impact = lockscope::inspect::impact_of(&*support::machine(), pid).expect("running");
    stage.tell.send(Event::Impact(pid, Ok(Box::new(impact)))).expect("heard");
    stage.harness.run_steps(2);
    assert!(stage.shows(&format!("End sleep (PID {pid})?")));
    assert!(stage.shows("It holds locks on: "));
    stage.press(Key::Enter);
    assert!(!stage.shows("It holds locks on: "), "what Enter does by accident is nothing");
    stage.click(Role::Button, &format!("End sleep ({})…", holder.pid()));
    let impact = lockscope::inspect::impact_of(&*support::machine(), pid).expect("running");
    stage.tell.send(Event::Impact(pid, Ok(Box::new(impact)))).expect("heard");
    stage.harness.run_steps(2);
    stage.click(Role::Button, "End the process");
    let ended = |stage: &Stage| stage.asked().iter().any(|command| matches!(command, Command::EndHolder { .. }));
    assert!(!ended(&stage), "no reason");
    stage.write_into("Reason", "ticket 7");
    stage.click(Role::Button, "End the process");
    assert!(ended(&stage));
    stage.tell.send(Event::HolderEnded("sleep has ended.".to_owned())).expect("heard");
    stage.harness.run_steps(2);
    assert!(stage.shows("sleep has ended.") && !stage.shows("End the process"));
}

#[test]
fn keys_move_choose_and_ask() {
    let (_directory, mut stage) = stage();
    stage.press(Key::ArrowDown);
    stage.press(Key::Delete);
    assert!(stage.shows("Clear this lock?"), "the first row is a stale one");
    stage.press(Key::Escape);
    assert!(!stage.shows("Clear this lock?"));
    stage.harness.key_press_modifiers(Modifiers::COMMAND, Key::A);
    stage.harness.run_steps(2);
    assert!(stage.shows("7 locks chosen") && stage.shows("2 of them are stale"));
    stage.press(Key::Escape);
    assert!(!stage.shows("7 locks chosen"));
}

#[test]
fn no_name_can_disguise_itself() {
    let directory = tempfile::tempdir().expect("a directory");
    write(directory.path(), "evil\u{202e}kcol.lock", format!("{DEAD}\n"), 3600);
    write(directory.path(), "two\nlines.lock", format!("{DEAD}\n"), 3600);
    let stage = Stage::on(look_at(directory.path()));
    assert!(stage.shows("evil\\u{202e}kcol.lock") && stage.shows("two\\nlines.lock"));
    assert!(!stage.shows("\u{202e}") && !stage.shows("\n"));
}

#[test]
fn each_empty_state_says_what_is_so() {
    let recent = Recent { path: "/srv/locks".into(), stale: 3, held: 1 };
    let settings = Settings { recent: vec![recent], ..Settings::default() };
    let mut start = Stage::with(None, settings, [1280.0, 800.0]);
    assert!(start.shows("Drop a folder with lock files here") && start.button("Open folder…"));
    assert!(start.shows("3 stale · 1 held"));
    start.asked();
    start.click(Role::Button, "Recent: /srv/locks");
    assert!(start.asked().iter().any(|c| matches!(c, Command::Watch(Some(path)) if path == Path::new("/srv/locks"))));

    let directory = tempfile::tempdir().expect("a directory");
    let empty = look_at(directory.path());
    assert!(Stage::on(empty.clone()).shows("No lock files here"));
    let lost = Snapshot { watching: Watching::Lost(LostReason::Gone), ..empty.clone() };
    assert!(Stage::on(lost).shows("Folder gone"));
    let loading = Snapshot { watching: Watching::Loading(512), ..empty };
    assert!(Stage::on(loading).shows("Reading the folder"));
}

/// The same lock many times over, under other names.
fn many(count: u32) -> Snapshot {
    let directory = tempfile::tempdir().expect("a directory");
    write(directory.path(), "0.lock", format!("{DEAD}\n"), 3600);
    let mut snapshot = look_at(directory.path());
    let one = Lock::clone(&support::lock(&snapshot, "0.lock"));
    let lock = |at: u32| {
        Some(Arc::new(Lock {
            id: LockId(at),
            path: std::ffi::OsStr::new(&format!("{at:06}.lock")).into(),
            ..one.clone()
        }))
    };
    let ids: Vec<u32> = (0..count).collect();
    snapshot.chunks = ids.chunks(CHUNK).map(|part| Arc::new(part.iter().map(|at| lock(*at)).collect())).collect();
    (1..count).for_each(|_| snapshot.counts.add(Verdict::Stale));
    snapshot
}

#[test]
fn a_hundred_thousand_locks_cost_a_screenful() {
    let mut stage = Stage::on(many(100_000));
    let rows = stage.harness.get_all_by_role(Role::Row).count();
    assert!((10..60).contains(&rows), "{rows} rows are drawn");
    assert!(stage.button("Clear stale (100,000)…"));
    stage.press(Key::End);
    stage.harness.run_steps(30); // scrolling is animated
    assert!(stage.shows("099999.lock"), "the last one is scrolled to");
}

#[test]
fn an_idle_window_asks_for_no_frame_but_for_its_ages() {
    let (_directory, mut stage) = stage();
    // `run` draws for as long as frames are asked for at once, and panics if that does not end.
    stage.harness.run();
    assert_eq!(stage.harness.run(), 1, "one frame, and no wish for another");
}

#[test]
fn ages_that_change_at_many_moments_are_drawn_together() {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, age_ms) in [("a.lock", 5_050), ("b.lock", 7_350), ("c.lock", 9_750)] {
        let path = write(directory.path(), name, format!("{DEAD}\n"), 0);
        support::set_age(&path, Duration::from_millis(age_ms));
    }
    let mut settings = Settings::default();
    settings.below.shown = false;
    let snapshot = look_at(directory.path());
    let mut now = snapshot.taken_monotonic;
    let mut stage = Stage::with(Some(snapshot), settings, [1280.0, 800.0]);
    // What the window keeps of itself (its size, the folder) is saved by then, so that nothing else is due.
    let passed = Duration::from_secs(2);
    stage.pass(passed);
    now += passed;
    stage.harness.run();
    let wish = stage.harness.output().viewport_output[&eframe::egui::ViewportId::ROOT].repaint_delay;
    // The first of them changes within a second. It is drawn at the whole second after that, as all others are.
    assert!(wish <= Duration::from_secs(2), "{wish:?}");
    let due = (now + wish).as_millis() % 1000;
    assert!(due <= 1 || due >= 999, "{now:?} and {wish:?}");
}

#[test]
fn the_smallest_window_and_both_themes_hold_everything() {
    use lockscope::engine::settings::ThemeChoice;
    for theme in [ThemeChoice::Dark, ThemeChoice::Light] {
        let directory = tempfile::tempdir().expect("a directory");
        let settings = Settings { theme, ..Settings::default() };
        let stage = Stage::with(Some(locks(directory.path())), settings, [720.0, 480.0]);
        let button = stage.harness.get_by_role_and_label(Role::Button, "Clear stale (2)…");
        let window = egui::Rect::from_min_size(egui::Pos2::ZERO, egui::vec2(720.0, 480.0));
        assert!(window.contains_rect(button.rect()), "{:?}", button.rect());
        assert!(stage.shows("Stale, a_memory.lock"));
    }
}

#[test]
fn a_clear_of_many_tells_how_far_it_is_and_can_be_stopped() {
    let (_directory, mut stage) = stage();
    stage.click(Role::Button, "Clear stale (2)…");
    stage.click(Role::Button, "Clear 2 locks");
    stage.tell.send(Event::Clearing(Progress { done: 1, total: 2 })).expect("heard");
    stage.harness.run_steps(2);
    assert!(stage.shows("Checking again and clearing: 2 of 2"));
    stage.asked();
    stage.click(Role::Button, "Cancel");
    assert!(stage.asked().iter().any(|command| matches!(command, Command::StopClearing)));
    assert!(stage.shows("Stopping after this one…"));
    let outcomes = vec![Outcome { path: "a_all.lock".into(), result: Ok("1".into()) }];
    stage.tell.send(Event::Cleared { outcomes, left: 1 }).expect("heard");
    stage.harness.run_steps(2);
    assert!(stage.shows("Stopped: 1 lock left as it was. 1 lock cleared."));
    assert!(!stage.shows("Stopping after this one…") && stage.button("Clear stale (2)…"));
}

#[test]
fn a_clear_goes_on_in_the_status_bar_when_its_dialog_is_closed() {
    let (_directory, mut stage) = stage();
    stage.click(Role::Button, "Clear stale (2)…");
    stage.click(Role::Button, "Clear 2 locks");
    stage.tell.send(Event::Clearing(Progress { done: 0, total: 2 })).expect("heard");
    stage.press(Key::Escape);
    assert!(stage.shows("clearing 1 of 2"));
    stage.asked();
    stage.click(Role::Button, "Cancel");
    assert!(stage.asked().iter().any(|command| matches!(command, Command::StopClearing)));
}

#[test]
fn automatic_clearing_is_off_until_turned_on_and_then_always_visible() {
    let (directory, mut stage) = stage();
    assert!(!stage.asked().iter().any(|command| matches!(command, Command::Sweep { .. })), "off by default");
    stage.click(Role::Button, "automatic clearing off");
    stage.click(Role::RadioButton, "Clear stale every 10 min");
    let on = |command: &Command| {
        matches!(command, Command::Sweep { directory: at, every: Some(every) }
            if **at == *directory.path() && every.as_secs() == 600)
    };
    assert!(stage.asked().iter().any(on));
    assert!(!stage.button("Turn off"), "on only when the engine says so");
    let every = std::time::Duration::from_mins(10);
    stage.tell.send(Event::Sweeping(vec![Sweeping { directory: directory.path().into(), every }])).expect("heard");
    stage.harness.run_steps(2);
    assert!(
        stage.shows("Stale locks here are cleared automatically, every 10 min.")
            && stage.button("clearing every 10 min")
    );
    let acts = vec![
        Act::Cleared { path: "a_all.lock".into(), id: "7".into(), why: "Gone.".into() },
        Act::Spared { path: "a_memory.lock".into() },
    ];
    stage.tell.send(Event::Swept { directory: directory.path().into(), acts }).expect("heard");
    stage.harness.run_steps(2);
    assert!(stage.shows("1 lock cleared automatically.") && stage.shows("a_memory.lock: you put it back, so it stays"));
    stage.asked();
    stage.harness.key_press_modifiers(Modifiers::COMMAND, Key::Z);
    stage.harness.run_steps(2);
    assert!(stage.asked().iter().any(|command| matches!(command, Command::Undo { ids } if *ids == ["7"])));
    stage.click(Role::Button, "Turn off");
    assert!(stage.asked().iter().any(|command| matches!(command, Command::Sweep { every: None, .. })));
    stage.tell.send(Event::Sweeping(Vec::new())).expect("heard");
    stage.harness.run_steps(2);
    assert!(!stage.button("Turn off") && stage.button("automatic clearing off"));
}
