//! The window as a screen reader and a keyboard have it: no picture, no mouse.

mod support;

use eframe::egui::{Key, Modifiers, Role};
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use lockscope::engine::{Command, Event, Outcome};
use support::stage::{Stage, stage};

/// Whether this was said, politely (`false`) or at once (`true`).
fn heard(stage: &Stage, text: &str, at_once: bool) -> bool {
    stage.told().iter().any(|(said, urgent)| said.contains(text) && *urgent == at_once)
}

#[test]
fn a_stale_lock_is_found_understood_cleared_and_put_back_without_eyes_or_mouse() {
    let (_directory, mut stage) = stage();
    // Find it.
    stage.press(Key::F8);
    stage.harness.run_steps(2);
    let row = stage.focus().expect("the row has the focus");
    assert!(row.starts_with("Stale, a_") && row.contains("PID"), "{row}");
    // Hear why.
    assert!(heard(&stage, "is gone: no such process. Untouched for", false), "{:?}", stage.told());
    // Clear it: the dialog is one, has a name, and what Enter does by accident is nothing.
    stage.press(Key::Delete);
    let dialog = stage.harness.get_by_role_and_label(Role::Dialog, "Clear this lock?");
    assert!(dialog.accesskit_node().is_modal());
    assert_eq!(stage.focus().as_deref(), Some("Cancel"));
    // Tab stays inside.
    stage.press(Key::Tab);
    assert_eq!(stage.focus().as_deref(), Some("Clear 1 lock"));
    stage.press(Key::Tab);
    assert_eq!(stage.focus().as_deref(), Some("Cancel"));
    stage.press_with(Modifiers::SHIFT, Key::Tab);
    assert_eq!(stage.focus().as_deref(), Some("Clear 1 lock"));
    stage.asked();
    stage.press(Key::Enter);
    assert!(stage.asked().iter().any(|command| matches!(command, Command::Clear { seen, .. } if seen.len() == 1)));
    // Hear that it is done.
    let done = |path: &str, result| Outcome { path: path.into(), result };
    let outcomes = vec![done("a_all.lock", Ok("17".to_owned()))];
    stage.tell.send(Event::Cleared { outcomes, left: 0 }).expect("heard");
    stage.harness.run_steps(3);
    assert!(heard(&stage, "1 lock cleared. It was checked again first.", false), "{:?}", stage.told());
    let back = stage.focus().unwrap_or_default();
    assert!(back.starts_with("Stale, a_"), "the focus is back in the table: {back}");
    // Put it back.
    stage.press_with(Modifiers::COMMAND, Key::Z);
    assert!(stage.asked().iter().any(|command| matches!(command, Command::Undo { ids } if *ids == ["17"])));
    stage.tell.send(Event::Undone { outcomes: vec![done("a_all.lock", Ok("17".to_owned()))] }).expect("heard");
    stage.harness.run_steps(2);
    assert!(heard(&stage, "1 lock put back as it was before.", false));
    // A refusal is said at once.
    let refused = vec![done("a_all.lock", Err("the file has changed since you looked".to_owned()))];
    stage.tell.send(Event::Cleared { outcomes: refused, left: 0 }).expect("heard");
    stage.harness.run_steps(2);
    assert!(heard(&stage, "the file has changed since you looked", true), "{:?}", stage.told());
}

#[test]
fn tab_goes_through_the_window_as_it_is_read_and_comes_round() {
    let (_directory, mut stage) = stage();
    stage.press(Key::ArrowDown);
    stage.press(Key::Escape);
    stage.press(Key::Escape);
    let mut order = Vec::new();
    // From the table on, once round.
    for _ in 0..60 {
        stage.press(Key::Tab);
        let name = stage.focus().unwrap_or_default();
        if order.contains(&name) {
            break;
        }
        order.push(name);
    }
    let at = |start: &str| {
        order.iter().position(|name| name.starts_with(start)).unwrap_or_else(|| panic!("{start} in {order:?}"))
    };
    let way = ["Folder: ", "Search", "Menu", "Clear stale (2)", "All 7", "Held 1", "Stale 2"];
    for pair in way.windows(2) {
        assert!(at(pair[0]) < at(pair[1]), "{} before {}: {order:?}", pair[0], pair[1]);
    }
    for pair in ["Verdict", "Lock", "Holder", "Age"].windows(2) {
        assert!(at(pair[0]) < at(pair[1]), "{} before {}: {order:?}", pair[0], pair[1]);
    }
    let stops = order.iter().filter(|name| name.contains(".lock,") || name.contains(".pid,")).count();
    assert!(stops <= 1, "the table is one stop: {order:?}");
    assert!(order.iter().all(|name| !name.is_empty()), "each stop has a name: {order:?}");
}

#[test]
fn rows_say_where_they_stand_and_whether_they_are_chosen() {
    let (_directory, mut stage) = stage();
    stage.press_with(Modifiers::COMMAND, Key::A);
    let grid = stage.harness.get_by_role_and_label(Role::Grid, "Locks");
    let data = grid.accesskit_node();
    assert_eq!(data.data().row_count(), Some(9), "seven locks and two headings");
    assert!(data.data().is_multiselectable());
    let rows = stage.harness.get_all_by_role(Role::Row);
    let (mut places, mut chosen) = (Vec::new(), 0);
    for row in rows {
        let node = row.accesskit_node();
        places.push(node.data().row_index().expect("it says where it stands"));
        chosen += usize::from(node.is_selected() == Some(true));
    }
    places.sort_unstable();
    assert_eq!(places, (0..9).collect::<Vec<_>>());
    assert_eq!(chosen, 7);
    let cells = stage.harness.get_all_by_role(Role::Cell).count();
    assert_eq!(cells, 49, "seven cells in each of seven rows");
}

#[test]
fn nothing_is_without_a_role() {
    let (_directory, mut stage) = stage();
    let nameless = |stage: &Stage| {
        let mut left = vec![stage.harness.root()];
        let (mut nameless, mut widths) = (Vec::new(), 0);
        while let Some(node) = left.pop() {
            let access = node.accesskit_node();
            widths += usize::from(access.label().is_some_and(|label| label.starts_with("Width of the column")));
            nameless.extend((access.role() == Role::Unknown).then(|| node.rect()));
            left.extend(node.children());
        }
        (nameless, widths)
    };
    // Six of the seven columns can be dragged: the name takes what is left.
    assert_eq!(nameless(&stage), (Vec::new(), 6));
    stage.press(Key::F8);
    assert_eq!(nameless(&stage).0, Vec::new(), "with the details of a lock");
    stage.click(Role::Button, "Menu");
    assert_eq!(nameless(&stage).0, Vec::new(), "with the menu");
}
