//! Shortcuts: how they are written down, and which was pressed.
//!
//! Owns: [`Chord`]. Never: does what was asked; that is the command's.

use super::command::{Action, COMMANDS};
use super::selection::Reach;
use super::window::Window;
use crate::engine::listing::Row;
use crate::model::snapshot::LockId;
use eframe::egui::{self, Event, Key, KeyboardShortcut, ModifierNames, Modifiers};
use std::time::Duration;

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

/// The key called Ctrl, also where shortcuts have another one: turning pages is Ctrl+Tab everywhere.
pub(super) const fn real_ctrl(key: Key) -> Chord {
    chord(Modifiers::CTRL, key)
}

/// The same, backwards.
pub(super) const fn real_ctrl_shift(key: Key) -> Chord {
    chord(Modifiers::CTRL.plus(Modifiers::SHIFT), key)
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
        let shown = KeyboardShortcut::new(self.modifiers, key).format(&ModifierNames::NAMES, is_mac);
        // As it stands on the key; beside "Clear…" the word would read as one more thing to do.
        if key == Key::Delete { shown.replace("Delete", "Del") } else { shown }
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
        // egui has taken the focus away by now, so it is remembered who had it.
        if self.searching && ui.input_mut(|i| i.consume_key(Modifiers::NONE, Key::Escape)) {
            self.searching = false;
            self.query.text.clear();
            self.focus_row = self.selection.cursor.is_some();
        }
        let elsewhere = ui.text_edit_focused() || self.papers.journal.has_keys();
        let in_list = !elsewhere && !egui::Popup::is_any_open(ui.ctx());
        self.folder_number_keys(ui);
        if self.machine.is_open() {
            self.machine_keys(ui, in_list);
        } else if in_list {
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
            // egui would go on to another control.
            ui.memory_mut(|memory| memory.move_focus(egui::FocusDirection::None));
            if let Some((id, row)) = self.selection.moved(by, &self.listing.rows) {
                self.choose_row(id, row, reach);
            }
        }
        if consume(Modifiers::COMMAND, Key::Space)
            && let Some(id) = self.selection.cursor
        {
            self.selection.choose(id, Reach::Toggle, &self.listing.rows);
        }
        for (key, folded) in [(Key::ArrowLeft, true), (Key::ArrowRight, false)] {
            if self.selection.cursor.is_some() && consume(Modifiers::NONE, key) {
                ui.memory_mut(|memory| memory.move_focus(egui::FocusDirection::None));
                self.fold_here(folded);
            }
        }
        self.type_ahead(ui);
    }

    /// Chooses a row, shows it, and gives it the focus.
    pub(super) fn choose_row(&mut self, id: LockId, row: usize, reach: Reach) {
        self.selection.choose(id, reach, &self.listing.rows);
        self.scroll_to = Some(row);
        self.focus_row = true;
    }

    /// Folds the group that the keyboard stands in, or unfolds it.
    fn fold_here(&mut self, folded: bool) {
        let Some(id) = self.selection.cursor else { return };
        let rows = &self.listing.rows;
        let at = rows.iter().position(|row| *row == Row::Lock(id));
        let heading = |row: &Row| if let Row::Group(group) = row { Some(group.name.clone()) } else { None };
        let name = match at {
            Some(at) => rows[..at].iter().rev().find_map(heading),
            // Its group is folded: one of its own name, or the one of those that stand alone.
            None => self
                .chosen()
                .map(|lock| lock.group())
                .map(|own| if self.query.folded.contains(&own) { own } else { String::new() }),
        };
        if let Some(name) = name {
            self.fold(name, folded);
            self.scroll_to = at;
        }
    }

    /// Letters jump to the name that begins with them.
    fn type_ahead(&mut self, ui: &egui::Ui) {
        const PAUSE: Duration = Duration::from_secs(1);
        let (typed, commanding) = ui.input(|i| {
            let texts =
                i.events.iter().filter_map(|event| if let Event::Text(text) = event { Some(&**text) } else { None });
            (texts.collect::<String>(), i.modifiers.alt || i.modifiers.command || i.modifiers.ctrl)
        });
        if typed.is_empty() || commanding {
            return;
        }
        let going_on = !self.jump.0.is_empty() && self.now.1.saturating_sub(self.jump.1) < PAUSE;
        let starts = typed.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '.'));
        if !going_on && !starts {
            return;
        }
        let begun = if going_on { std::mem::take(&mut self.jump.0) } else { String::new() };
        let text = format!("{begun}{}", typed.to_lowercase());
        let Some(snapshot) = self.snapshot.clone() else { return };
        let begins = |row: &Row| match row {
            Row::Lock(id) => snapshot.lock(*id).filter(|lock| lock.display_path().to_lowercase().starts_with(&text)),
            Row::Group(_) => None,
        };
        let rows = &self.listing.rows;
        let now = self.selection.cursor.and_then(|id| rows.iter().position(|row| *row == Row::Lock(id)));
        // A first letter goes on to the next such name; more letters stay where they still fit.
        let from = now.map_or(0, |now| if begun.is_empty() { now + 1 } else { now });
        let found = (from..rows.len()).chain(0..from).find_map(|at| Some((at, begins(&rows[at])?.id)));
        if let Some((row, id)) = found {
            self.choose_row(id, row, Reach::Only);
        }
        self.jump = (text, self.now.1);
    }
}
