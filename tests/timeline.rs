//! The timeline and what is usual, in the window over a picture that stands still.

mod support;

use crossbeam_channel::Receiver;
use eframe::egui::{self, Key, Modifiers, Role};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use lockscope::app::Window;
use lockscope::engine::history::{End, History, Hold, LockHistory, Start, Usual, Wait, Watched, Who};
use lockscope::engine::listing::Query;
use lockscope::engine::settings::{BelowSettings, BelowTab, Settings, TimelineSettings};
use lockscope::engine::{Command, Engine};
use lockscope::model::snapshot::{Lock, Snapshot, Watching};
use lockscope::model::time::{Wall, Zone};
use lockscope::model::verdict::Verdict;
use std::ffi::OsStr;
use std::sync::Arc;
use std::time::Duration;
use support::{DEAD, Process, lock, look_at, write};

fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// As high as one line of a lane.
const LANE: f32 = 24.0;

fn who(pid: u32, command: &str) -> Who {
    Who { pid: Some(pid), incarnation: None, command: command.into() }
}

fn hold(verdict: Verdict, pid: u32, began: Wall, ended: Option<(Wall, End)>) -> Hold {
    let who = who(pid, "worker");
    Hold { verdict, certainty: None, who, exclusive: true, began, start: Start::Seen, ended, burst: None }
}

/// A held lock, a stale one and one that is free again, watched for an hour.
struct Scene {
    _directory: tempfile::TempDir,
    _holder: Process,
    snapshot: Snapshot,
    history: History,
}

fn scene() -> Scene {
    let directory = tempfile::tempdir().expect("a directory");
    write(directory.path(), "a_memory.lock", "", 4000);
    write(directory.path(), "stuck.lock", format!("{DEAD}\n"), 7200);
    let holder = Process::shell(directory.path(), "exec 9<a_memory.lock; flock 9; echo ready; exec sleep 1000");
    let snapshot = look_at(directory.path());
    let now = snapshot.taken_at;
    let mut history = History::new(Arc::clone(&snapshot.directory));
    history.watched.push(Watched { from: now.minus(secs(3600)), till: None });
    let mut put = |name: &str, there: Option<&Arc<Lock>>, holds: Vec<Hold>, waits: Vec<Wait>, usual| {
        let mut lock = LockHistory::of(OsStr::new(name).into());
        (lock.id, lock.now) = (there.map(|lock| lock.id), there.map(|lock| lock.judgement.verdict));
        (lock.holds, lock.waits, lock.usual) = (holds, waits, usual);
        history.put(lock);
    };
    let released = |ago: u64, length: u64| {
        let began = now.minus(secs(ago));
        hold(Verdict::Held, 7, began, Some((began.plus(secs(length)), End::Released)))
    };
    let mut holds: Vec<Hold> = (0..6).map(|turn| released(3000 - turn * 60, 3)).collect();
    holds.push(hold(Verdict::Held, holder.pid(), now.minus(secs(41 * 60)), None));
    let waits = vec![Wait { who: who(9, "waiter"), from: now.minus(secs(120)), since: false, till: None, got: false }];
    let usual = Some(Usual { median: secs(3), p95: secs(9), holds: 120 });
    put("a_memory.lock", Some(&lock(&snapshot, "a_memory.lock")), holds, waits, usual);
    let stale = hold(Verdict::Stale, DEAD, now.minus(secs(600)), None);
    put("stuck.lock", Some(&lock(&snapshot, "stuck.lock")), vec![stale], Vec::new(), None);
    put("gone.lock", None, vec![released(100, 20)], Vec::new(), None);
    Scene { _directory: directory, _holder: holder, snapshot, history }
}

fn window(snapshot: Snapshot, history: Option<History>, timeline: TimelineSettings) -> Harness<'static, Window> {
    window_and_commands(snapshot, history, timeline).0
}

fn window_and_commands(
    snapshot: Snapshot, history: Option<History>, timeline: TimelineSettings,
) -> (Harness<'static, Window>, Receiver<Command>) {
    let below = BelowSettings { height: 320.0, ..BelowSettings::default() };
    window_with(snapshot, history, Settings { timeline, below, ..Settings::default() }, [1280.0, 800.0])
}

fn window_with(
    snapshot: Snapshot, history: Option<History>, settings: Settings, size: [f32; 2],
) -> (Harness<'static, Window>, Receiver<Command>) {
    let now = (snapshot.taken_at, snapshot.taken_monotonic);
    let (engine, commands, _) = Engine::detached(Some(snapshot), &Query { grouped: true, ..Query::default() });
    let engine = match history {
        Some(history) => engine.with_history(history),
        None => engine,
    };
    let mut harness = Harness::builder()
        .with_size(size)
        .build_eframe(move |cc| Window::new(cc, engine, settings, Arc::new(move || now)));
    harness.run_steps(3);
    (harness, commands)
}

fn shows(harness: &Harness<'_, Window>, label: &str) -> bool {
    harness.query_all_by_label_contains(label).next().is_some()
}

fn click(harness: &mut Harness<'_, Window>, label: &str) {
    harness.get_by_role_and_label(Role::Button, label).click();
    harness.run_steps(3);
}

fn summary(harness: &Harness<'_, Window>) -> String {
    let drawing = harness
        .get_all_by_role(Role::Image)
        .find_map(|node| node.accesskit_node().label().filter(|label| label.starts_with("Timeline of")));
    drawing.expect("the drawing says what it shows")
}

/// Whether a choice is the one that is on.
fn is_on(harness: &Harness<'_, Window>, label: &str) -> bool {
    let node = harness.get_by_role_and_label(Role::Button, label);
    node.accesskit_node().toggled() == Some(egui::accesskit::Toggled::True)
}

#[test]
fn nothing_held_yet_is_said_with_the_time_since_when() {
    let scene = scene();
    let mut empty = History::new(Arc::clone(&scene.snapshot.directory));
    empty.watched.push(Watched { from: scene.snapshot.taken_at, till: None });
    let reading = Snapshot { watching: Watching::Loading(2), ..scene.snapshot.clone() };
    let not_yet = History::new(Arc::clone(&scene.snapshot.directory));
    let harness = window(reading, Some(not_yet), TimelineSettings::default());
    assert!(shows(&harness, "What is held is kept here once the whole folder has been read."));
    let harness = window(scene.snapshot, Some(empty), TimelineSettings::default());
    assert!(shows(&harness, "Nothing has been held since ") && shows(&harness, ", when watching began."));
}

#[test]
fn a_long_name_stays_on_the_one_line_of_its_lane() {
    let mut scene = scene();
    for name in ["0032e464f324fcfb_messages_of_all_operations.lock", "WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWW.lock"] {
        let mut lock = LockHistory::of(OsStr::new(name).into());
        let began = scene.snapshot.taken_at.minus(secs(100));
        lock.holds = vec![hold(Verdict::Held, 7, began, Some((began.plus(secs(20)), End::Released)))];
        scene.history.put(lock);
    }
    let harness = window(scene.snapshot, Some(scene.history), TimelineSettings::default());
    let lanes = harness
        .get_all_by_role(Role::Button)
        .filter(|node| node.accesskit_node().label().is_some_and(|label| label.starts_with("Lane ")));
    let heights: Vec<f32> = lanes.map(|lane| lane.rect().height()).collect();
    assert_eq!(heights, [LANE; 5]);
}

#[test]
fn all_locks_have_a_lane_what_is_held_first_and_what_is_stuck_last_and_a_click_chooses_one() {
    let scene = scene();
    let mut harness = window(scene.snapshot, Some(scene.history), TimelineSettings::default());
    click(&mut harness, "1 h");
    let lanes: Vec<String> = harness
        .get_all_by_role(Role::Button)
        .filter_map(|node| node.accesskit_node().label().filter(|label| label.starts_with("Lane ")))
        .collect();
    assert_eq!(
        lanes,
        [
            "Lane a_memory.lock, Held, now 41 min, usually 3 s",
            "Lane gone.lock, not there, ",
            "Lane stuck.lock, Stale, "
        ]
    );
    assert!(summary(&harness).contains("8 holds of 2 locks, 1 held now, 1 waiting"), "{}", summary(&harness));
    click(&mut harness, "Lane a_memory.lock, Held, now 41 min, usually 3 s");
    assert!(shows(&harness, "Held for 41 min, usually 3 s (95 % within 9 s; 120 holds seen)."), "under the sentence");
    click(&mut harness, "Chosen lock");
    assert!(summary(&harness).starts_with("Timeline of a_memory.lock"), "{}", summary(&harness));
    assert!(summary(&harness).contains("7 holds, 1 held now, 1 waiting"), "{}", summary(&harness));
    assert!(shows(&harness, "Holder") && shows(&harness, "Waiting") && shows(&harness, "now 41 min, usually 3 s"));
    // And back to all.
    click(&mut harness, "All locks");
    assert!(summary(&harness).starts_with("Timeline of all locks"));
}

#[test]
fn the_list_says_the_same_in_words() {
    let scene = scene();
    let listed = TimelineSettings { as_list: true, ..TimelineSettings::default() };
    let mut harness = window(scene.snapshot, Some(scene.history), listed);
    assert!(shows(&harness, "Stale, ") && shows(&harness, "since "));
    assert!(shows(&harness, "Held, 7 · worker, from ") && shows(&harness, "20 s, released"));
    assert!(shows(&harness, "9 · waiter waits 2 min"), "who waited meanwhile");
    click(&mut harness, "List");
    assert!(summary(&harness).starts_with("Timeline of all locks"), "the drawing is back");
}

#[test]
fn keys_zoom_and_move_the_drawing_while_it_has_the_focus() {
    let scene = scene();
    let mut harness = window(scene.snapshot, Some(scene.history), TimelineSettings::default());
    assert!(is_on(&harness, "5 min") && !is_on(&harness, "1 h"));
    let press = |harness: &mut Harness<'_, Window>, key| {
        harness.key_press(key);
        harness.run_steps(2);
    };
    let before = summary(&harness);
    press(&mut harness, Key::Minus);
    assert_eq!(summary(&harness), before, "without the focus the keys are others'");
    harness.get_by_role_and_label(Role::Image, &before).focus();
    harness.run_steps(2);
    press(&mut harness, Key::Minus);
    assert!(!is_on(&harness, "5 min"), "it is no range of ours any more");
    let wider = summary(&harness);
    assert_ne!(wider, before);
    for _ in 0..4 {
        press(&mut harness, Key::Minus);
    }
    assert!(summary(&harness).contains("8 holds of 2 locks"), "{}", summary(&harness));
    for _ in 0..9 {
        press(&mut harness, Key::ArrowLeft);
    }
    let earlier = summary(&harness);
    assert!(earlier.contains("0 holds of 0 locks") || !earlier.contains("8 holds"), "{earlier}");
    press(&mut harness, Key::Num0);
    assert!(is_on(&harness, "All") && summary(&harness).contains("8 holds of 2 locks"));
}

#[test]
fn it_can_be_hidden_and_brought_back() {
    let scene = scene();
    let mut harness = window(scene.snapshot, Some(scene.history), TimelineSettings::default());
    assert!(shows(&harness, "All locks"));
    click(&mut harness, "Hide");
    assert!(!shows(&harness, "All locks"));
    harness.key_press_modifiers(Modifiers::COMMAND, Key::T);
    harness.run_steps(3);
    assert!(shows(&harness, "All locks"));
}

fn tab_is_on(harness: &Harness<'_, Window>, label: &str) -> Option<bool> {
    let tab = harness.query_by_role_and_label(Role::Tab, label)?;
    tab.accesskit_node().is_selected()
}

fn press(harness: &mut Harness<'_, Window>, key: Key) {
    harness.key_press_modifiers(Modifiers::COMMAND, key);
    harness.run_steps(3);
}

#[test]
fn timeline_and_journal_are_one_panel_with_tabs_which_is_remembered() {
    let scene = scene();
    let timeline = TimelineSettings::default();
    let (mut harness, commands) = window_and_commands(scene.snapshot, Some(scene.history), timeline);
    assert_eq!((tab_is_on(&harness, "Timeline"), tab_is_on(&harness, "Journal")), (Some(true), Some(false)));
    assert!(shows(&harness, "All locks") && !shows(&harness, "All folders"));
    let bounds = |harness: &Harness<'_, Window>| harness.get_by_role_and_label(Role::Tab, "Timeline").rect();
    let before = bounds(&harness);
    harness.get_by_role_and_label(Role::Tab, "Journal").click();
    harness.run_steps(3);
    assert_eq!((tab_is_on(&harness, "Timeline"), tab_is_on(&harness, "Journal")), (Some(false), Some(true)));
    assert!(!shows(&harness, "All locks") && shows(&harness, "All folders"));
    assert_eq!(bounds(&harness), before, "the panel keeps its height");
    // The key of the other tab shows that; its own key hides the panel.
    press(&mut harness, Key::T);
    assert!(shows(&harness, "All locks") && tab_is_on(&harness, "Timeline") == Some(true));
    press(&mut harness, Key::T);
    assert_eq!(tab_is_on(&harness, "Timeline"), None);
    press(&mut harness, Key::J);
    assert!(shows(&harness, "All folders") && tab_is_on(&harness, "Journal") == Some(true));
    click(&mut harness, "Hide");
    assert_eq!(tab_is_on(&harness, "Journal"), None);
    drop(harness);
    let kept = commands.try_iter().filter_map(|command| match command {
        Command::SaveSettings(settings) => Some(settings.below),
        _ => None,
    });
    let kept = kept.last().expect("it is kept");
    assert_eq!((kept.shown, kept.tab, kept.height), (false, BelowTab::Journal, 320.0));
}

#[test]
fn where_there_is_no_room_it_takes_the_place_of_the_table_and_gives_it_back() {
    for (size, key, tab) in [
        ([426.0, 640.0], Key::T, "Timeline"),
        ([426.0, 266.0], Key::J, "Journal"),
        ([1280.0, 400.0], Key::T, "Timeline"),
        ([1280.0, 400.0], Key::J, "Journal"),
    ] {
        let scene = scene();
        let (mut harness, _) = window_with(scene.snapshot, Some(scene.history), Settings::default(), size);
        let rows = |harness: &Harness<'_, Window>| {
            harness.query_all_by_role(Role::Row).count() + harness.query_all_by_role(Role::ColumnHeader).count()
        };
        assert!(rows(&harness) > 0 && tab_is_on(&harness, tab).is_none(), "{size:?}: the table comes first");
        press(&mut harness, key);
        assert_eq!((rows(&harness), tab_is_on(&harness, tab)), (0, Some(true)), "{size:?} {tab}");
        for button in harness.query_all_by_role(Role::Button).filter(|node| node.rect().top() > 96.0) {
            let label = button.accesskit_node().label().unwrap_or_default();
            assert!(button.rect().right() <= size[0], "{size:?}: {label} is beyond the edge");
        }
        click(&mut harness, "Back to the list");
        assert!(rows(&harness) > 0 && tab_is_on(&harness, tab).is_none(), "{size:?} {tab}");
        // Its key, too, and Escape.
        press(&mut harness, key);
        press(&mut harness, key);
        assert!(rows(&harness) > 0, "{size:?} {tab}");
        press(&mut harness, key);
        for _ in 0..2 {
            // The first one leaves the button that has the focus.
            harness.key_press(Key::Escape);
            harness.run_steps(3);
        }
        assert!(rows(&harness) > 0, "{size:?} {tab}");
    }
}

#[test]
fn its_times_are_those_of_the_zone_that_the_window_was_told() {
    let scene = scene();
    let zone = Zone::fixed(330);
    let since = zone.clock(scene.snapshot.taken_at);
    let mut empty = History::new(Arc::clone(&scene.snapshot.directory));
    empty.watched.push(Watched { from: scene.snapshot.taken_at, till: None });
    let mut harness = window(scene.snapshot, Some(empty), TimelineSettings::default());
    harness.state_mut().set_zone(zone);
    harness.run_steps(2);
    assert!(shows(&harness, &format!("Nothing has been held since {since}")));
}

#[test]
fn what_is_stuck_is_listed_beside_the_table_until_something_is_chosen() {
    let scene = scene();
    let mut harness = window(scene.snapshot, None, TimelineSettings::default());
    assert!(shows(&harness, "1 lock is stuck"));
    click(&mut harness, "Stale, stuck.lock, 2 h");
    assert!(shows(&harness, "is gone: no such process") && !shows(&harness, "1 lock is stuck"));
    let empty = tempfile::tempdir().expect("a directory");
    let harness = window(look_at(empty.path()), None, TimelineSettings::default());
    assert!(shows(&harness, "Nothing is stuck") && !shows(&harness, "Choose a lock"));
}

#[test]
fn what_nobody_has_is_not_waited_for_and_the_command_says_why() {
    let scene = scene();
    let mut harness = window(scene.snapshot, Some(scene.history), TimelineSettings::default());
    click(&mut harness, "Stale, stuck.lock, 2 h");
    assert!(harness.query_by_role_and_label(Role::Button, "Tell me when it is free").is_none());
    harness.key_press_modifiers(Modifiers::COMMAND | Modifiers::SHIFT, Key::T);
    harness.run_steps(3);
    assert!(shows(&harness, "nobody has it; it will not become free by itself."));
}

#[test]
fn to_be_told_of_stale_locks_is_off_until_it_is_chosen_and_is_remembered() {
    let scene = scene();
    let (mut harness, commands) = window_and_commands(scene.snapshot, Some(scene.history), TimelineSettings::default());
    click(&mut harness, "Menu");
    let words = "Tell me when a lock turns stale";
    // By the list's own way: it may have to be scrolled to.
    harness.query_all_by_label_contains(words).next().expect("it is in the menu").click_accesskit();
    harness.run_steps(3);
    drop(harness);
    let kept = commands.try_iter().filter_map(|command| match command {
        Command::SaveSettings(settings) => Some(settings.tell_when_stale),
        _ => None,
    });
    assert_eq!((Settings::default().tell_when_stale, kept.last()), (false, Some(true)));
}

#[test]
fn a_hold_far_longer_than_usual_is_marked_at_its_age() {
    let scene = scene();
    let mut harness = window(scene.snapshot, Some(scene.history), TimelineSettings::default());
    assert!(!shows(&harness, "120 holds seen"), "quiet until it is pointed at");
    let rows = harness.get_all_by_role(Role::Row);
    let row =
        rows.into_iter().find(|row| row.accesskit_node().label().is_some_and(|l| l.starts_with("Held, a_memory")));
    let row = row.expect("it is listed").rect();
    let header = harness.get_by_role_and_label(Role::ColumnHeader, "Age").rect();
    harness.hover_at(egui::pos2(header.center().x, row.center().y));
    harness.run_steps(6);
    assert!(shows(&harness, "Held for 41 min, usually 3 s (95 % within 9 s; 120 holds seen)."));
}

#[test]
fn without_a_history_it_says_that_watching_has_just_begun() {
    let scene = scene();
    let harness = window(scene.snapshot, None, TimelineSettings::default());
    assert!(shows(&harness, "Watching has just begun."));
}
