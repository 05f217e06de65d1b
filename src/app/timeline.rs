//! The timeline: who held and who waited, of the chosen lock or of the whole directory, as a drawing or as a list.
//!
//! Owns: the panel, its controls and its keys. [`view`] is the span of time in sight, [`lanes`] what stands in which row,
//! [`draw`] the drawing, [`list`] the same in words. Never: works out a history; the engine publishes those.

mod draw;
mod lanes;
mod list;
mod view;
mod words;

use super::below::{choice, head, is_narrow};
use super::selection::Reach;
use super::tokens::{self, Palette};
use super::widgets::{self, from_right, muted};
use super::window::Window;
use crate::engine::history::{History, LockHistory};
use crate::engine::listing::Row;
use crate::model::snapshot::{Lock, Snapshot};
use eframe::egui::{self, Key, Label, RichText, Ui};
use lanes::Lanes;
use std::ffi::OsStr;
use std::sync::Arc;
use view::{Range, View};

/// What the timeline remembers between two frames.
#[derive(Default)]
pub(super) struct Timeline {
    view: View,
    lanes: Lanes,
}

/// What was done in the panel in this frame.
enum Act {
    Choose(Arc<OsStr>),
    Zoom(f64, f64),
    Pan(f64),
    Fit,
}

impl Window {
    /// The panel's content.
    pub(super) fn timeline(&mut self, ui: &mut Ui, snapshot: &Snapshot) {
        let history = self.engine.history(&snapshot.directory);
        let chosen = self.chosen().map(Arc::clone);
        let of_one = chosen.as_ref().filter(|_| !self.settings.timeline.all);
        let gap = std::mem::take(&mut ui.spacing_mut().item_spacing.y);
        self.timeline_head(ui, chosen.as_deref(), history.as_deref());
        ui.spacing_mut().item_spacing.y = gap;
        let Some(history) = history else {
            ui.add_space(8.0);
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
            let text = words::nothing_yet(one, &history, &snapshot.watching, self.now.0, self.papers.zone.rules());
            ui.add(Label::new(muted(ui, text)).wrap());
            return;
        }
        let mut acts = Vec::new();
        if self.settings.timeline.as_list {
            list::show(ui, &history, one, self.now.0, self.papers.zone.rules(), &mut acts);
        } else {
            let zone = self.papers.zone.rules();
            let Timeline { view, lanes } = &mut self.timeline;
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
        let narrow = is_narrow(ui);
        if narrow {
            self.below_first_line(ui);
        }
        head(ui, |ui| {
            if !narrow {
                self.below_tabs(ui);
            }
            let all = self.settings.timeline.all;
            if choice(ui, all || chosen.is_none(), "All locks", true).clicked() {
                self.settings.timeline.all = true;
            }
            if choice(ui, !all && chosen.is_some(), "Chosen lock", chosen.is_some()).clicked() {
                self.settings.timeline.all = false;
            }
            from_right(ui, |ui| {
                if !narrow {
                    self.below_hide(ui);
                }
                let as_list = self.settings.timeline.as_list;
                if choice(ui, as_list, "List", true).on_hover_text("The same in words, newest first.").clicked() {
                    self.settings.timeline.as_list = !as_list;
                }
                if !as_list {
                    ui.add_space(8.0);
                    for range in Range::ALL.iter().rev() {
                        let on = self.timeline.view.range() == Some(*range);
                        if choice(ui, on, range.title(), true).clicked() {
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
        });
    }

    /// What is usual for a lock, under its sentence.
    pub(super) fn usual_line(&mut self, ui: &mut Ui, lock: &Lock, snapshot: &Snapshot) {
        let Some(history) = self.engine.history(&snapshot.directory) else { return };
        let Some(known) = history.lock(&lock.path) else { return };
        let Some(said) = words::usual(known, &history, self.now.0, self.papers.zone.rules()) else { return };
        ui.add_space(4.0);
        ui.add(Label::new(muted(ui, said.text)).wrap());
        if let Some(changes) = said.changes_in {
            self.repaint_for_ages(ui.ctx(), changes);
        }
    }

    /// A quiet mark at an age, where the lock is held far longer than usual; the words are its tooltip.
    pub(super) fn unusual_mark(&self, ui: &mut Ui, rect: egui::Rect, lock: &Lock, snapshot: &Snapshot) {
        let Some(history) = self.engine.history(&snapshot.directory) else { return };
        let Some(known) = history.lock(&lock.path) else { return };
        if !words::is_unusual(known, self.now.0) {
            return;
        }
        let Some(said) = words::usual(known, &history, self.now.0, self.papers.zone.rules()) else { return };
        let palette = Palette::of(ui);
        let at = egui::pos2(rect.left() + 12.0, rect.center().y);
        ui.painter().circle_stroke(at, 3.0, egui::Stroke::new(1.5, palette.verdict(lock.judgement.verdict)));
        let response = ui.interact(rect, ui.scope_id().with("unusual"), egui::Sense::hover());
        response.on_hover_text(said.text);
    }
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
