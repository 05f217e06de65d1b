//! The timeline: who held and who waited, of the chosen lock or of the whole directory, as a drawing or as a list.
//!
//! Owns: the panel, its controls and its keys. [`view`] is the span of time in sight, [`lanes`] what stands in which row,
//! [`draw`] the drawing, [`list`] the same in words. Never: works out a history; the engine publishes those.

mod draw;
mod lanes;
mod list;
mod view;
mod words;

use super::selection::Reach;
use super::tokens::{self, Palette};
use super::widgets::{self, from_right, muted};
use super::window::Window;
use crate::engine::history::{History, LockHistory};
use crate::engine::listing::Row;
use crate::model::snapshot::{Lock, Snapshot};
use crate::platform::environment;
use eframe::egui::{self, Align, Frame, Key, Label, Layout, Margin, RichText, Ui, Vec2};
use jiff::tz::TimeZone;
use lanes::Lanes;
use std::ffi::OsStr;
use std::sync::Arc;
use view::{Range, View};

/// Below this height of the window there is room for the table alone.
const LOWEST: f32 = 430.0;

/// What the timeline remembers between two frames.
pub(super) struct Timeline {
    view: View,
    lanes: Lanes,
    zone: TimeZone,
}

impl Default for Timeline {
    fn default() -> Self {
        Self { view: View::default(), lanes: Lanes::default(), zone: environment::zone().rules().clone() }
    }
}

/// What was done in the panel in this frame.
enum Act {
    Choose(Arc<OsStr>),
    Zoom(f64, f64),
    Pan(f64),
    Fit,
}

impl Window {
    /// Shows or hides the timeline.
    pub(super) fn toggle_timeline(&mut self) {
        self.settings.timeline.shown = !self.settings.timeline.shown;
    }

    pub(super) fn timeline_panel(&mut self, ui: &mut Ui, snapshot: &Snapshot) {
        if !self.settings.timeline.shown || ui.ctx().content_rect().height() < LOWEST {
            return;
        }
        let palette = Palette::of(ui);
        let frame = Frame::new().fill(palette.panel).inner_margin(Margin { left: 12, right: 12, top: 4, bottom: 4 });
        // In a low window the table comes first.
        let most = (ui.available_height() - 260.0).clamp(104.0, 480.0);
        let shown = egui::Panel::bottom("timeline")
            .resizable(true)
            .default_size(self.settings.timeline.height)
            .size_range(96.0..=most)
            .frame(frame)
            .show(ui, |ui| self.timeline(ui, snapshot));
        let height = shown.response.rect.height().round();
        if height < most.floor() {
            self.settings.timeline.height = height;
        }
    }

    fn timeline(&mut self, ui: &mut Ui, snapshot: &Snapshot) {
        let history = self.engine.history(&snapshot.directory);
        let chosen = self.chosen().map(Arc::clone);
        let of_one = chosen.as_ref().filter(|_| !self.settings.timeline.all);
        self.timeline_head(ui, chosen.as_deref(), history.as_deref());
        let Some(history) = history else {
            ui.label(muted(ui, "Watching has just begun."));
            return;
        };
        let one = of_one.map(|lock| &*lock.path);
        let seen = |lock: &Arc<LockHistory>| !lock.holds.is_empty() || !lock.waits.is_empty();
        let nothing = match one {
            Some(path) => !history.lock(path).is_some_and(seen),
            None => history.is_empty(),
        };
        if nothing {
            ui.add_space(8.0);
            let text = words::nothing_yet(one, &history, self.now.0, &self.timeline.zone);
            ui.add(Label::new(muted(ui, text)).wrap());
            return;
        }
        let mut acts = Vec::new();
        if self.settings.timeline.as_list {
            list::show(ui, &history, one, self.now.0, &self.timeline.zone, &mut acts);
        } else {
            let Timeline { view, lanes, zone } = &mut self.timeline;
            view.settle(&history, one, self.now.0);
            let chosen = chosen.as_ref().map(|lock| &*lock.path);
            draw::show(
                ui,
                &draw::Scene { history: &history, one, chosen, now: self.now.0, zone },
                view,
                lanes,
                &mut acts,
            );
        }
        for act in acts {
            self.timeline_act(snapshot, act);
        }
    }

    fn timeline_act(&mut self, snapshot: &Snapshot, act: Act) {
        let now = self.now.0;
        match act {
            Act::Choose(path) => {
                let history = self.engine.history(&snapshot.directory);
                let id = history.as_ref().and_then(|history| history.lock(&path)?.id);
                let Some(id) = id.filter(|id| snapshot.lock(*id).is_some_and(|lock| *lock.path == *path)) else {
                    return;
                };
                let listing = Arc::clone(&self.listing);
                self.selection.choose(id, Reach::Only, &listing.rows);
                self.scroll_to = listing.rows.iter().position(|row| *row == Row::Lock(id));
            }
            Act::Zoom(factor, at) => self.timeline.view.zoom(factor, at, now),
            Act::Pan(secs) => self.timeline.view.pan(secs, now),
            Act::Fit => self.timeline.view.choose(Range::All),
        }
    }

    /// What it shows, and how much of it.
    fn timeline_head(&mut self, ui: &mut Ui, chosen: Option<&Lock>, history: Option<&History>) {
        let palette = Palette::of(ui);
        ui.scope(|ui| {
            ui.spacing_mut().interact_size.y = 24.0;
            ui.spacing_mut().button_padding = Vec2::new(8.0, 2.0);
            ui.spacing_mut().item_spacing.x = 4.0;
            ui.allocate_ui_with_layout(
                Vec2::new(ui.available_width(), 28.0),
                Layout::left_to_right(Align::Center),
                |ui| {
                    ui.add(Label::new(RichText::new("Timeline").font(tokens::strong())).selectable(false));
                    ui.add_space(8.0);
                    let all = self.settings.timeline.all;
                    if tab(ui, all || chosen.is_none(), "All locks", true).clicked() {
                        self.settings.timeline.all = true;
                    }
                    if tab(ui, !all && chosen.is_some(), "Chosen lock", chosen.is_some()).clicked() {
                        self.settings.timeline.all = false;
                    }
                    from_right(ui, |ui| {
                        if tab(ui, false, "Hide", true).on_hover_text("Ctrl+T brings it back.").clicked() {
                            self.settings.timeline.shown = false;
                        }
                        let as_list = self.settings.timeline.as_list;
                        if tab(ui, as_list, "List", true).on_hover_text("The same in words, newest first.").clicked() {
                            self.settings.timeline.as_list = !as_list;
                        }
                        if !as_list {
                            ui.add_space(8.0);
                            for range in Range::ALL.iter().rev() {
                                let on = self.timeline.view.range() == Some(*range);
                                if tab(ui, on, range.title(), true).clicked() {
                                    self.timeline.view.choose(*range);
                                }
                            }
                        }
                        let note = if history.is_some_and(|history| history.overfull) {
                            "More is held than is kept here: not every hold is shown.".to_owned()
                        } else {
                            let known = chosen.zip(history).filter(|_| !self.settings.timeline.all);
                            let lock = known.and_then(|(lock, history)| history.lock(&lock.path));
                            lock.map(|lock| words::in_short(lock, self.now.0)).unwrap_or_default()
                        };
                        ui.add_space(8.0);
                        widgets::cut(ui, RichText::new(note).font(tokens::small()).color(palette.muted));
                    });
                },
            );
        });
    }

    /// What is usual for a lock, under its sentence.
    pub(super) fn usual_line(&mut self, ui: &mut Ui, lock: &Lock, snapshot: &Snapshot) {
        let Some(history) = self.engine.history(&snapshot.directory) else { return };
        let Some(known) = history.lock(&lock.path) else { return };
        let Some(said) = words::usual(known, &history, self.now.0, &self.timeline.zone) else { return };
        ui.add_space(4.0);
        ui.add(Label::new(muted(ui, said.text)).wrap());
        if let Some(changes) = said.changes_in {
            ui.ctx().request_repaint_after(changes);
        }
    }

    /// A quiet mark at an age, where the lock is held far longer than usual; the words are its tooltip.
    pub(super) fn unusual_mark(&self, ui: &mut Ui, rect: egui::Rect, lock: &Lock, snapshot: &Snapshot) {
        let Some(history) = self.engine.history(&snapshot.directory) else { return };
        let Some(known) = history.lock(&lock.path) else { return };
        if !words::is_unusual(known, self.now.0) {
            return;
        }
        let Some(said) = words::usual(known, &history, self.now.0, &self.timeline.zone) else { return };
        let palette = Palette::of(ui);
        let at = egui::pos2(rect.left() + 12.0, rect.center().y);
        ui.painter().circle_stroke(at, 3.0, egui::Stroke::new(1.5, palette.verdict(lock.judgement.verdict)));
        let response = ui.interact(rect, ui.scope_id().with("unusual"), egui::Sense::hover());
        response.on_hover_text(said.text);
    }
}

/// A choice among others, as a word.
fn tab(ui: &mut Ui, on: bool, text: &str, enabled: bool) -> egui::Response {
    let palette = Palette::of(ui);
    let text = RichText::new(text).font(tokens::small()).color(if on { palette.text } else { palette.muted });
    let button = egui::Button::selectable(on, text).min_size(Vec2::new(0.0, 24.0));
    ui.add_enabled(enabled, button)
}

/// Keys of the drawing while it has the focus.
fn keys(ui: &Ui, response: &egui::Response, view: &View, now: crate::model::time::Wall, acts: &mut Vec<Act>) {
    if !response.has_focus() {
        return;
    }
    let filter = egui::EventFilter { horizontal_arrows: true, ..Default::default() };
    ui.memory_mut(|memory| memory.set_focus_lock_filter(response.id, filter));
    let middle = view.middle(now);
    let span = view.span();
    ui.input_mut(|input| {
        let mut pressed = |key| input.consume_key(egui::Modifiers::NONE, key);
        if pressed(Key::Plus) || pressed(Key::Equals) {
            acts.push(Act::Zoom(0.5, middle));
        }
        if pressed(Key::Minus) {
            acts.push(Act::Zoom(2.0, middle));
        }
        if pressed(Key::ArrowLeft) {
            acts.push(Act::Pan(-span / 8.0));
        }
        if pressed(Key::ArrowRight) {
            acts.push(Act::Pan(span / 8.0));
        }
        if pressed(Key::Num0) {
            acts.push(Act::Fit);
        }
    });
}
