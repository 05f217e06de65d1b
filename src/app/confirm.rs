//! The confirm dialog: what will be removed and on what grounds, live while it is open. Cancel has the focus.

use super::display_name::{elided, visible, visible_name};
use super::icons::Icon;
use super::tokens::{self, Palette};
use super::widgets::{self, count, from_right, hairline, muted, number};
use super::window::Window;
use crate::engine::Command;
use crate::model::snapshot::{Lock, Snapshot};
use crate::model::time::say_duration;
use crate::model::verdict::{Clearing, Verdict};
use eframe::egui::{self, Align, Key, Label, Layout, RichText, ScrollArea, Stroke, Ui, Vec2};
use std::sync::Arc;

/// A question that waits for its answer.
pub(super) struct Confirm {
    /// What would be cleared, exactly as it was shown.
    seen: Vec<Arc<Lock>>,
    /// What a person might expect here and is not touched.
    left_out: Vec<Arc<Lock>>,
    typed: String,
    focused: bool,
    sent: bool,
    /// Stopped by the person, and not over yet.
    stopping: bool,
    /// The generation of the snapshot that the two lists below were made from.
    generation: Option<u64>,
    /// What is still as it was seen.
    go: Vec<Arc<Lock>>,
    /// What is so no longer, and why.
    fell: Vec<(Arc<Lock>, String)>,
}

/// More rows than this are counted, not listed.
const MOST_ROWS: usize = 200;

impl Confirm {
    pub(super) fn of(seen: Vec<Arc<Lock>>, left_out: Vec<Arc<Lock>>) -> Self {
        Self {
            seen,
            left_out,
            typed: String::new(),
            focused: false,
            sent: false,
            stopping: false,
            generation: None,
            go: Vec::new(),
            fell: Vec::new(),
        }
    }

    /// It was answered, and its clear runs.
    pub(super) fn is_sent(&self) -> bool {
        self.sent
    }

    /// Compares what was seen with the newest picture, once a picture and not once a frame.
    fn compare(&mut self, snapshot: &Snapshot) {
        if self.generation == Some(snapshot.generation) {
            return;
        }
        self.generation = Some(snapshot.generation);
        (self.go, self.fell) = (Vec::new(), Vec::new());
        for lock in &self.seen {
            match dropped_out(lock, snapshot) {
                None => self.go.push(Arc::clone(lock)),
                Some(why) => self.fell.push((Arc::clone(lock), why)),
            }
        }
    }

    fn is_repair(&self) -> bool {
        matches!(&self.seen[..], [one] if one.judgement.verdict == Verdict::Interrupted)
    }

    fn title(&self) -> String {
        match &self.seen[..] {
            [_] if self.is_repair() => "Repair this lock?".to_owned(),
            [_] => "Clear this lock?".to_owned(),
            many if many.iter().all(|lock| lock.is_stale()) => format!("Clear {} stale locks?", number(self.go.len())),
            _ => format!("Clear {} locks?", number(self.go.len())),
        }
    }

    /// The name that must be typed: of a single lock that is not stale.
    fn name_to_type(&self) -> Option<String> {
        match &self.seen[..] {
            [one] if one.clearing() == Clearing::ByName => Some(visible_name(&one.display_path())),
            _ => None,
        }
    }
}

/// Why a lock that was to be cleared is so no longer; `None` = it is as it was seen.
pub(super) fn dropped_out(seen: &Lock, snapshot: &Snapshot) -> Option<String> {
    let Some(now) = snapshot.lock(seen.id).filter(|now| now.path == seen.path) else {
        return Some("it is not there any more.".to_owned());
    };
    if now.facts.stat() != seen.facts.stat() || now.facts.content() != seen.facts.content() {
        return Some("the file has changed since you looked.".to_owned());
    }
    if !seen.judgement.verdict.is_still(now.judgement.verdict) {
        return Some(format!("it is {} now.", now.judgement.verdict.title().to_lowercase()));
    }
    None
}

impl Window {
    pub(super) fn confirm_dialog(&mut self, ui: &mut Ui) {
        let (Some(mut confirm), Some(snapshot)) = (self.confirm.take(), self.newest()) else { return };
        confirm.compare(&snapshot);
        let width = widgets::dialog_width(ui, 580.0);
        let mut open = true;
        let name = confirm.title();
        let response = widgets::modal(ui, "confirm", &name, 20, |ui| {
            ui.set_width(width);
            open = self.confirm_content(ui, &mut confirm, &snapshot);
        });
        // Escape and a click beside the dialog mean Cancel; once the clear runs they only close the dialog, and its end is
        // told all the same.
        let closed = response.should_close();
        if open && !closed {
            self.confirm = Some(confirm);
        }
    }

    fn confirm_content(&mut self, ui: &mut Ui, confirm: &mut Confirm, snapshot: &Snapshot) -> bool {
        let repair = confirm.is_repair();
        ui.label(RichText::new(confirm.title()).font(tokens::title()));
        ui.label(muted(
            ui,
            "Everything is checked once more at the moment you confirm. Whatever changed stays. You can undo this.",
        ));
        ui.add_space(10.0);
        let most = (ui.ctx().content_rect().height() - 320.0).max(56.0);
        ScrollArea::vertical().max_height(most).auto_shrink([false, true]).show(ui, |ui| {
            for lock in confirm.go.iter().take(MOST_ROWS) {
                dialog_row(ui, lock, &grounds(lock, snapshot, self), true);
            }
            for (lock, why) in confirm.fell.iter().take(MOST_ROWS) {
                dialog_row(ui, lock, &format!("Left out: {why}"), false);
            }
            for lock in confirm.left_out.iter().take(MOST_ROWS) {
                let now = snapshot.lock(lock.id).filter(|now| now.path == lock.path).unwrap_or(lock);
                dialog_row(ui, now, &left_out_grounds(now, snapshot, self), false);
            }
            let more = confirm.go.len().saturating_sub(MOST_ROWS);
            if more > 0 {
                ui.label(muted(ui, format!("and {} more, each with its own check", number(more))));
            }
        });
        let mut may = !confirm.go.is_empty();
        if let Some(name) = confirm.name_to_type() {
            ui.add_space(10.0);
            ui.label(format!("It is not proved stale. Type its name to clear it all the same: {name}"));
            let response = ui.add(widgets::field(&mut confirm.typed));
            response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::TextInput, true, "Name of the lock"));
            may &= confirm.typed == name || confirm.typed.trim() == name;
        }
        ui.add_space(14.0);
        let mut keep = true;
        let number = confirm.go.len();
        from_right_row(ui, |ui| {
            if confirm.sent {
                self.clearing_row(ui, &mut confirm.stopping);
                return;
            }
            let verb = if repair { "Repair" } else { "Clear" };
            let clear = widgets::danger_button(ui, None, format!("{verb} {}", count(number, "lock")), may);
            ui.add_space(BESIDE_THE_DEED);
            let cancel = ui.add(egui::Button::new("Cancel").min_size(Vec2::new(70.0, tokens::CONTROL)));
            if !confirm.focused {
                // What Enter does by accident is nothing.
                cancel.request_focus();
                // In its first frame a modal may not have the focus yet.
                confirm.focused = cancel.has_focus();
            }
            if cancel.has_focus() {
                let ring = Stroke::new(2.0, Palette::of(ui).accent);
                ui.painter().rect_stroke(cancel.rect.expand(3.0), 8.0, ring, egui::StrokeKind::Middle);
            }
            if cancel.clicked() || ui.input(|i| i.key_pressed(Key::Escape)) {
                keep = false;
            } else if clear.clicked() {
                confirm.sent = true;
                let (directory, seen) = (Arc::clone(&snapshot.directory), confirm.go.clone());
                self.engine.send(Command::Clear { directory, seen });
            }
        });
        keep
    }
}

impl Window {
    /// How far the clear has got, and the button that stops it after the lock that it is at.
    pub(super) fn clearing_row(&self, ui: &mut Ui, stopping: &mut bool) {
        let cancel = egui::Button::new("Cancel").min_size(Vec2::new(70.0, tokens::CONTROL));
        if ui.add_enabled(!*stopping, cancel).clicked() {
            *stopping = true;
            self.engine.send(Command::StopClearing);
        }
        let text = match self.clearing {
            _ if *stopping => "Stopping after this one…".to_owned(),
            Some(progress) if progress.total > 1 => {
                format!("Checking again and clearing: {} of {}", progress.done + 1, progress.total)
            }
            _ => "Checking again and clearing…".to_owned(),
        };
        ui.label(muted(ui, text));
    }
}

/// With the usual gap it makes 12 points: Cancel has a ring, and a hand may slip.
pub(super) const BESIDE_THE_DEED: f32 = 4.0;

pub(super) fn from_right_row(ui: &mut Ui, content: impl FnOnce(&mut Ui)) {
    let size = Vec2::new(ui.available_width(), tokens::CONTROL + 4.0);
    ui.allocate_ui_with_layout(size, Layout::right_to_left(Align::Center), content);
}

pub(super) fn dialog_row(ui: &mut Ui, lock: &Lock, text: &str, goes: bool) {
    let palette = Palette::of(ui);
    hairline(ui);
    ui.add_space(7.0);
    ui.with_layout(Layout::left_to_right(Align::Min), |ui| {
        let verdict = lock.judgement.verdict;
        Icon::of(verdict).show(ui, palette.verdict(verdict));
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.y = 1.0;
            ui.spacing_mut().interact_size.y = 18.0;
            ui.horizontal(|ui| {
                let color = if goes { palette.text } else { palette.muted };
                let name = elided(&visible_name(&lock.display_path()), 64);
                ui.add(Label::new(RichText::new(name).color(color)));
                if goes {
                    from_right(ui, |ui| Icon::Check.show(ui, palette.ok));
                }
            });
            ui.add(Label::new(muted(ui, visible(text)).font(tokens::small())).wrap());
        });
    });
    ui.add_space(6.0);
}

fn grounds(lock: &Lock, snapshot: &Snapshot, window: &Window) -> String {
    lock.why(&snapshot.moment_at(window.now.0, window.now.1))
}

fn left_out_grounds(lock: &Lock, snapshot: &Snapshot, window: &Window) -> String {
    let moment = snapshot.moment_at(window.now.0, window.now.1);
    if let Some(way) = lock.own_way() {
        return format!("Left out: {way}.");
    }
    match lock.judgement.verdict {
        Verdict::Orphaned => {
            let left = snapshot.threshold.saturating_sub(lock.evidence(&moment).untouched());
            format!("Left out: its owner is gone, but it turns stale only in {}.", say_duration(left))
        }
        Verdict::Stale => "Left out: it is another user's; clear it by itself.".to_owned(),
        _ => format!("Left out: {}", lock.why(&moment)),
    }
}
