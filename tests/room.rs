//! Room and rest: as large as 300 %, as still as a window that nobody sees.

mod support;

use eframe::egui::{self, Key, Modifiers, Rect, Role, ViewportId};
use egui_kittest::kittest::Queryable as _;
use lockscope::engine::Command;
use lockscope::engine::settings::Settings;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::stage::{Stage, locks, stage};
use support::write;

/// What 300 % leaves of 1280 x 800.
const AT_300: [f32; 2] = [427.0, 267.0];

#[test]
fn sizes_go_from_100_to_300_percent_and_are_remembered() {
    let (_directory, mut stage) = stage();
    let zoom = |stage: &Stage| (stage.harness.ctx.zoom_factor() * 100.0).round() as u32;
    let mut sizes = vec![zoom(&stage)];
    for _ in 0..12 {
        stage.press_with(Modifiers::COMMAND, Key::Plus);
        sizes.push(zoom(&stage));
    }
    assert_eq!(&sizes[..9], [100, 110, 125, 150, 175, 200, 225, 250, 300], "{sizes:?}");
    assert_eq!(sizes[12], 300, "and no further");
    assert!(stage.shows("Larger: it is as large as it gets."));
    stage.press_with(Modifiers::COMMAND, Key::Minus);
    assert_eq!(zoom(&stage), 250);
    stage.asked();
    stage.pass(std::time::Duration::from_secs(3));
    let kept = stage.asked().into_iter().find_map(|command| match command {
        Command::SaveSettings(settings) => Some(settings.zoom_percent),
        _ => None,
    });
    assert_eq!(kept, Some(250));
    stage.press_with(Modifiers::COMMAND, Key::Num0);
    assert_eq!(zoom(&stage), 100);
    let settings = Settings { zoom_percent: 175, ..Settings::default() };
    assert_eq!(zoom(&Stage::with(None, settings, [1280.0, 800.0])), 175);
}

#[test]
fn at_300_percent_nothing_is_out_of_reach() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut stage = Stage::with(Some(locks(directory.path())), Settings::default(), AT_300);
    let window = Rect::from_min_size(egui::Pos2::ZERO, AT_300.into());
    let is_seen = |stage: &Stage, label: &str| {
        let node = stage.harness.query_by_role_and_label(Role::Button, label);
        node.is_some_and(|node| window.contains_rect(node.rect()))
    };
    for button in ["Menu", "Clear stale (2)…", "All 7"] {
        assert!(is_seen(&stage, button), "{button}");
    }
    let search = stage.harness.get_by_role_and_label(Role::TextInput, "Search").rect();
    assert!(search.width() >= 32.0, "{search:?}");
    // The last chip is scrolled to by Tab.
    stage.harness.get_by_role_and_label(Role::Button, "Elsewhere 1").focus();
    stage.harness.run_steps(1);
    stage.press(Key::Tab);
    stage.harness.run_steps(12);
    assert_eq!(stage.focus().as_deref(), Some("Unknown 1"));
    assert!(
        is_seen(&stage, "Unknown 1"),
        "{:?}",
        stage.harness.get_by_role_and_label(Role::Button, "Unknown 1").rect()
    );
    // The details take the table's place, and give it back.
    stage.press(Key::F8);
    assert!(is_seen(&stage, "Details") && !stage.shows("existence lock"));
    stage.press(Key::Enter);
    stage.harness.run_steps(2);
    assert!(stage.shows("existence lock") && is_seen(&stage, "Back to the list"));
    stage.press(Key::Escape);
    assert!(is_seen(&stage, "Details"), "one step back, and the lock is still chosen");
    // The dialog with all that it asks.
    stage.press(Key::Delete);
    stage.harness.run_steps(2);
    for button in ["Cancel", "Clear 1 lock"] {
        assert!(is_seen(&stage, button), "{button}");
    }
}

#[test]
fn the_start_screen_shows_what_can_be_done_at_any_size() {
    for size in [AT_300, [720.0, 480.0], [1280.0, 800.0]] {
        let stage = Stage::with(None, Settings::default(), size);
        let above_the_status_bar = Rect::from_min_size(egui::Pos2::ZERO, egui::vec2(size[0], size[1] - 24.0));
        for button in ["Menu", "Open folder…", "Paste a path", "Try the demo"] {
            let rect = stage.harness.get_by_role_and_label(Role::Button, button).rect();
            assert!(above_the_status_bar.contains_rect(rect), "{size:?}: {button} at {rect:?}");
        }
        let search = stage.harness.query_by_role_and_label(Role::TextInput, "Search");
        assert!(search.is_none(), "without a folder there is nothing to search");
    }
}

#[test]
fn a_window_that_nobody_sees_asks_for_no_frame() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut stage = Stage::on(locks(directory.path()));
    // The directory is remembered once, a second after it was opened.
    stage.pass(std::time::Duration::from_secs(3));
    stage.harness.run();
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    stage.harness.ctx.set_repaint_observer(move |_| {
        counter.fetch_add(1, Ordering::AcqRel);
    });
    let query = lockscope::engine::listing::Query { grouped: true, ..Default::default() };
    let changes = |stage: &mut Stage, generation| {
        asked.store(0, Ordering::Release);
        write(directory.path(), &format!("new{generation}.lock"), "7\n", 5);
        std::fs::remove_file(directory.path().join(format!("new{}.lock", generation - 1))).ok();
        stage.show(support::look_at(directory.path()), generation, &query);
        asked.load(Ordering::Acquire)
    };
    assert!(changes(&mut stage, 2) > 0, "a window that is seen draws what changed, and its ages");
    let hide = |stage: &mut Stage, hidden: bool| {
        let viewport = stage.harness.input_mut().viewports.entry(ViewportId::ROOT).or_default();
        viewport.minimized = Some(hidden);
        viewport.occluded = Some(false);
        stage.harness.run_steps(4);
    };
    stage.asked();
    hide(&mut stage, true);
    let hides = |stage: &Stage| {
        let told = stage.asked().into_iter();
        told.filter_map(|command| if let Command::Hide(hidden) = command { Some(hidden) } else { None })
            .collect::<Vec<_>>()
    };
    assert_eq!(hides(&stage), [true], "and the engine looks less often");
    assert_eq!(changes(&mut stage, 3), 0, "minimised: the engine goes on, and nothing is drawn");
    hide(&mut stage, false);
    assert_eq!(hides(&stage), [false]);
    assert!(stage.rows().iter().any(|row| row.contains("new3.lock")), "back again, it shows what is so now");
}

#[test]
fn reduced_motion_lets_nothing_move() {
    let (_directory, mut stage) = stage();
    let choose = |stage: &mut Stage, words: &str| {
        stage.press_with(Modifiers::COMMAND, Key::K);
        let field = "Find a command, a lock or a folder";
        stage.harness.get_by_role_and_label(Role::TextInput, field).type_text(words);
        stage.harness.run_steps(2);
        stage.press(Key::Enter);
        stage.harness.ctx.global_style().animation_time
    };
    assert!(choose(&mut stage, "motion desktop") > 0.0);
    let reduced = choose(&mut stage, "motion reduced");
    assert!(reduced.abs() < f32::EPSILON, "{reduced}");
}
