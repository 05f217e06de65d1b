//! Shortcuts: how they are written down, and which was pressed.
//!
//! Owns: [`Chord`]. Never: does what was asked; that is the command's.

use super::command::{Action, COMMANDS};
use super::selection::Reach;
use super::window::Window;
use eframe::egui::{self, Event, Key, KeyboardShortcut, ModifierNames, Modifiers};

/// Where a shortcut works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Also while a text is being typed.
    Anywhere,
    /// Not while a text is being typed or a menu is open.
    List,
}

/// A key with its modifiers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chord {
    pub(super) modifiers: Modifiers,
    pub(super) key: Key,
    pub(super) place: Place,
}

const fn chord(modifiers: Modifiers, key: Key) -> Chord {
    Chord { modifiers, key, place: Place::Anywhere }
}

pub(super) const fn plain(key: Key) -> Chord {
    chord(Modifiers::NONE, key)
}

pub(super) const fn shift(key: Key) -> Chord {
    chord(Modifiers::SHIFT, key)
}

pub(super) const fn alt(key: Key) -> Chord {
    chord(Modifiers::ALT, key)
}

pub(super) const fn ctrl(key: Key) -> Chord {
    chord(Modifiers::COMMAND, key)
}

pub(super) const fn ctrl_shift(key: Key) -> Chord {
    chord(Modifiers::COMMAND.plus(Modifiers::SHIFT), key)
}

pub(super) const fn ctrl_alt(key: Key) -> Chord {
    chord(Modifiers::COMMAND.plus(Modifiers::ALT), key)
}

impl Chord {
    /// Not while a text is being typed.
    pub(super) const fn in_list(self) -> Self {
        Self { place: Place::List, ..self }
    }

    /// As a person reads it: `Ctrl+Shift+P`.
    pub(super) fn shown(self) -> String {
        let key = match self.key {
            Key::Questionmark => return "?".to_owned(),
            Key::Slash => return "/".to_owned(),
            key => key,
        };
        let is_mac = cfg!(target_os = "macos");
        KeyboardShortcut::new(self.modifiers, key).format(&ModifierNames::NAMES, is_mac)
    }

    /// Takes its press out of the input, if there was one.
    fn take(self, input: &mut egui::InputState) -> bool {
        // The desktop's copy key comes as a wish to copy.
        if self.key == Key::C && self.modifiers == Modifiers::COMMAND {
            let before = input.events.len();
            input.events.retain(|event| !matches!(event, Event::Copy));
            if input.events.len() < before {
                return true;
            }
        }
        input.consume_shortcut(&KeyboardShortcut::new(self.modifiers, self.key))
    }
}

/// What was pressed; the most modifiers first, as fewer match too. Only shortcuts of these places are looked for.
fn pressed(input: &mut egui::InputState, in_list: bool) -> Option<Action> {
    let asks = |event: &Event| matches!(event, Event::Key { pressed: true, .. } | Event::Copy);
    if !input.events.iter().any(asks) {
        return None;
    }
    let count = |m: Modifiers| usize::from(m.shift) + usize::from(m.alt) + usize::from(m.command || m.ctrl);
    (0..=3).rev().find_map(|modifiers| {
        COMMANDS
            .iter()
            .flat_map(|command| command.chords.iter().map(move |chord| (command.action, chord)))
            .filter(|(_, chord)| count(chord.modifiers) == modifiers && (in_list || chord.place == Place::Anywhere))
            .find_map(|(action, chord)| chord.take(input).then_some(action))
    })
}

impl Window {
    /// Does what was asked for by key.
    pub(super) fn keys(&mut self, ui: &egui::Ui) {
        if self.is_asking() {
            return;
        }
        let in_list = !ui.text_edit_focused() && !egui::Popup::is_any_open(ui.ctx());
        if in_list {
            self.list_keys(ui);
        }
        // A label's text that is marked is what Ctrl+C means.
        let marked = ui.ctx().plugin::<egui::text_selection::LabelSelectionState>().lock().has_selection();
        let copies = marked && ui.input(|i| i.events.iter().any(|event| matches!(event, Event::Copy)));
        if copies {
            return;
        }
        if let Some(action) = ui.input_mut(|i| pressed(i, in_list)) {
            self.perform(ui.ctx(), action);
        }
        if in_list {
            self.take_paste(ui);
        }
    }

    /// Arrows and their kin move the choice.
    fn list_keys(&mut self, ui: &egui::Ui) {
        const ALL: isize = isize::MAX / 2;
        let consume = |modifiers, key| ui.input_mut(|i| i.consume_shortcut(&KeyboardShortcut::new(modifiers, key)));
        let page = self.page_rows();
        for (key, by) in [
            (Key::ArrowDown, 1),
            (Key::ArrowUp, -1),
            (Key::PageDown, page),
            (Key::PageUp, -page),
            (Key::End, ALL),
            (Key::Home, -ALL),
        ] {
            let reach = if consume(Modifiers::SHIFT, key) {
                Reach::Range
            } else if consume(Modifiers::COMMAND, key) {
                Reach::Pass
            } else if consume(Modifiers::NONE, key) {
                Reach::Only
            } else {
                continue;
            };
            if let Some((id, row)) = self.selection.moved(by, &self.listing.rows) {
                self.selection.choose(id, reach, &self.listing.rows);
                self.scroll_to = Some(row);
            }
        }
        if consume(Modifiers::COMMAND, Key::Space)
            && let Some(id) = self.selection.cursor
        {
            self.selection.choose(id, Reach::Toggle, &self.listing.rows);
        }
    }
}
