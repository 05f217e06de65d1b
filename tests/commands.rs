//! Commands by key, by menu and by the palette: the same, with the same reason where they may not be used.

mod support;

use eframe::egui::{Key, Modifiers, Role};
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use lockscope::engine::Command;
use lockscope::engine::listing::SortKey;
use support::stage::{Stage, stage};

fn open_palette(stage: &mut Stage, words: &str) {
    stage.press_with(Modifiers::COMMAND, Key::K);
    stage.harness.get_by_role_and_label(Role::TextInput, "Find a command, a lock or a folder").type_text(words);
    stage.harness.run_steps(2);
}

/// The palette's rows, as they are read out.
fn found(stage: &Stage) -> Vec<String> {
    let rows = stage.harness.query_all_by_role(Role::ListBoxOption);
    rows.filter_map(|row| row.accesskit_node().label()).collect()
}

#[test]
fn the_palette_finds_does_and_gives_the_focus_back() {
    let (_directory, mut stage) = stage();
    stage.press(Key::Slash);
    let is_searching =
        |stage: &Stage| stage.harness.get_by_role_and_label(Role::TextInput, "Search").accesskit_node().is_focused();
    assert!(is_searching(&stage));
    stage.asked();
    open_palette(&mut stage, "oldest");
    assert_eq!(found(&stage), ["Sort by age"], "found by a word that is not in its title");
    stage.press(Key::Enter);
    let query = stage.last_query().expect("asked for");
    assert_eq!((query.sort, query.descending, query.text.as_str()), (SortKey::Age, true, ""));
    stage.harness.run_steps(2);
    assert!(found(&stage).is_empty(), "the palette has closed");
    assert!(is_searching(&stage), "the focus is back where it was");
    open_palette(&mut stage, "fold");
    stage.press(Key::Escape);
    stage.harness.run_steps(2);
    assert!(found(&stage).is_empty() && is_searching(&stage));
}

#[test]
fn the_palette_goes_by_arrows_and_says_why_not() {
    let (_directory, mut stage) = stage();
    open_palette(&mut stage, "clear");
    let first = found(&stage);
    assert!(first.contains(&"Clear what is chosen…, not now: no lock is chosen.".to_owned()), "{first:?}");
    assert!(first.contains(&"Clear all that is stale…".to_owned()), "{first:?}");
    let at = first.iter().position(|label| label.starts_with("Clear what is chosen")).expect("found");
    for _ in 0..at {
        stage.press(Key::ArrowDown);
    }
    let chosen = stage.harness.get_all_by_role(Role::ListBoxOption).nth(at).expect("the row");
    assert_eq!(chosen.accesskit_node().is_selected(), Some(true));
    stage.press(Key::Enter);
    assert!(stage.shows("Clear what is chosen: no lock is chosen."), "it says why it did nothing");
    assert!(!stage.shows("Clear this lock?"));
}

#[test]
fn the_palette_begins_with_what_is_stale_if_anything_is() {
    let (_directory, mut stage) = stage();
    open_palette(&mut stage, "");
    assert_eq!(found(&stage).first().map(String::as_str), Some("Clear all that is stale…"));
    let empty = tempfile::tempdir().expect("a directory");
    let mut stage = Stage::on(support::look_at(empty.path()));
    open_palette(&mut stage, "");
    assert_eq!(found(&stage).first().map(String::as_str), Some("Open folder…"));
}

#[test]
fn the_palette_jumps_to_locks_and_folders() {
    let (_directory, mut stage) = stage();
    open_palette(&mut stage, "garbage");
    assert_eq!(found(&stage), ["garbage.lock"]);
    stage.press(Key::Enter);
    assert!(stage.shows("what is not known to be dead is left alone"), "it is chosen");
}

#[test]
fn the_menu_has_every_section_and_says_why_not() {
    let (_directory, mut stage) = stage();
    stage.click(Role::Button, "Menu");
    stage.harness.run_steps(2);
    for section in ["Lock", "File", "Edit", "View", "Help"] {
        assert!(stage.harness.query_by_role_and_label(Role::Heading, section).is_some(), "{section}");
    }
    assert!(stage.shows("Clear what is chosen…, not now: no lock is chosen."));
    stage.harness.get_by_role_and_label(Role::MenuItem, "Clear all that is stale…").click();
    stage.harness.run_steps(3);
    assert!(stage.shows("Clear 2 stale locks?"));
}

#[test]
fn keys_do_what_the_sheet_says() {
    let (_directory, mut stage) = stage();
    stage.press(Key::F1);
    assert!(stage.shows("Shortcuts") && stage.shows("Ctrl+Shift+P"));
    stage.press(Key::Escape);
    stage.harness.run_steps(2);
    assert!(!stage.shows("Ctrl+Shift+P"));
    stage.press(Key::Questionmark);
    assert!(stage.shows("Ctrl+Shift+P"));
    stage.press(Key::Escape);
    stage.asked();
    stage.press(Key::F5);
    assert!(stage.asked().iter().any(|command| matches!(command, Command::Rescan)));
    stage.press_with(Modifiers::ALT, Key::Num5);
    assert_eq!(stage.last_query().expect("asked for").sort, SortKey::Age);
    stage.press_with(Modifiers::COMMAND, Key::G);
    assert!(!stage.last_query().expect("asked for").grouped);
    stage.press(Key::F8);
    assert!(stage.shows("Owner PID"), "the next stale lock is chosen");
}

#[test]
fn a_button_tells_the_key_that_does_the_same() {
    let (_directory, mut stage) = stage();
    let key = |stage: &Stage, name: &str| {
        let button = stage.harness.get_by_role_and_label(Role::Button, name);
        button.accesskit_node().data().keyboard_shortcut().map(str::to_owned)
    };
    assert_eq!(key(&stage, "Clear stale (2)…").as_deref(), Some("Ctrl+Shift+Del"));
    stage.press(Key::F8);
    stage.harness.run_steps(2);
    let told = key(&stage, "Clear…").expect("a key");
    assert_eq!(told, "Del");
    stage.press(Key::Delete);
    stage.harness.run_steps(2);
    assert!(stage.shows("Clear this lock?"), "and so it does");
}

#[test]
fn a_letter_typed_into_a_field_is_no_command() {
    let (_directory, mut stage) = stage();
    stage.press(Key::Slash);
    stage.harness.get_by_role_and_label(Role::TextInput, "Search").type_text("?/");
    stage.press(Key::Questionmark);
    assert!(!stage.shows("Ctrl+Shift+P"), "a question mark is typed");
    stage.press(Key::Delete);
    assert!(!stage.shows("Clear this lock?") && !stage.shows("no lock is chosen"));
}
