//! The toast: what came of a clear or an undo, with Undo while it can be.

use super::display_name::{elided, visible};
use super::tokens::{self, Palette};
use super::widgets::{self, count};
use super::window::Window;
use crate::engine::Outcome;
use crate::engine::sweep::Act;
use eframe::egui::{self, Align2, CornerRadius, Frame, Label, Margin, RichText, Stroke, Ui, Vec2};
use std::path::Path;
use std::time::Duration;

/// A toast without anything refused goes by itself after this.
const SHOWN_FOR: Duration = Duration::from_secs(20);

pub(super) struct Toast {
    text: String,
    refusals: Vec<String>,
    undoable: Vec<String>,
    since: Duration,
}

impl Toast {
    /// `left` were not begun, as a person stopped it.
    pub(super) fn cleared(outcomes: Vec<Outcome>, left: usize, since: Duration) -> Self {
        let mut toast = Self { text: String::new(), refusals: Vec::new(), undoable: Vec::new(), since };
        for outcome in outcomes {
            match outcome.result {
                Ok(id) => toast.undoable.push(id),
                Err(why) => toast.refusals.push(format!("{}: {why}", visible(&outcome.path.to_string_lossy()))),
            }
        }
        toast.text = match (toast.undoable.len(), toast.refusals.len()) {
            (0, 1) => "Nothing was cleared.".to_owned(),
            (0, refused) => format!("Nothing was cleared; {refused} were refused."),
            (1, 0) => "1 lock cleared. It was checked again first.".to_owned(),
            (cleared, 0) => format!("{} cleared. Each was checked again first.", count(cleared, "lock")),
            (cleared, refused) => format!("{} cleared, {refused} refused.", count(cleared, "lock")),
        };
        if left > 0 {
            let text = std::mem::take(&mut toast.text);
            toast.text = format!(
                "Stopped: {} left as {}. {text}",
                count(left, "lock"),
                if left == 1 { "it was" } else { "they were" }
            );
        }
        toast
    }

    /// What automatic clearing did; `elsewhere` names its folder where that is not the one that is shown.
    pub(super) fn swept(elsewhere: Option<&Path>, acts: Vec<Act>, since: Duration) -> Self {
        let mut toast = Self { text: String::new(), refusals: Vec::new(), undoable: Vec::new(), since };
        let shown = |path: &std::ffi::OsStr| visible(&path.to_string_lossy());
        let mut going_on = false;
        for act in acts {
            match act {
                Act::Cleared { id, .. } => toast.undoable.push(id),
                Act::Refused { path, why, .. } => toast.refusals.push(format!("{}: {why}", shown(&path))),
                Act::Failed { path, error } => toast.refusals.push(format!("{}: {error}", shown(&path))),
                Act::Spared { path } => toast.refusals.push(format!("{}: you put it back, so it stays", shown(&path))),
                Act::Stuck(why) => toast.refusals.push(format!("{why}; trying again, less and less often")),
                Act::Unstuck => going_on = true,
            }
        }
        toast.text = match (toast.undoable.len(), going_on) {
            (0, true) => "Automatic clearing goes on.".to_owned(),
            (0, false) => "Automatic clearing left something as it is.".to_owned(),
            (cleared, _) => format!("{} cleared automatically.", count(cleared, "lock")),
        };
        if let Some(name) = elsewhere.and_then(Path::file_name) {
            toast.text = format!("{}: {}", visible(&name.to_string_lossy()), toast.text);
        }
        toast
    }

    /// A word about why nothing happens.
    pub(super) fn said(text: String, since: Duration) -> Self {
        Self { text, refusals: Vec::new(), undoable: Vec::new(), since }
    }

    pub(super) fn undone(outcomes: Vec<Outcome>, since: Duration) -> Self {
        let (mut back, mut refusals) = (0, Vec::new());
        for outcome in outcomes {
            match outcome.result {
                Ok(_) => back += 1,
                Err(why) => refusals.push(format!("{}: {why}", visible(&outcome.path.to_string_lossy()))),
            }
        }
        let text = match (back, refusals.len()) {
            (0, _) => "Nothing was put back.".to_owned(),
            (back, 0) => format!(
                "{} put back as {} before.",
                count(back, "lock"),
                if back == 1 { "it was" } else { "they were" }
            ),
            (back, refused) => format!("{} put back, {refused} refused.", count(back, "lock")),
        };
        Self { text, refusals, undoable: Vec::new(), since }
    }

    pub(super) fn undoable(&self) -> Vec<String> {
        self.undoable.iter().rev().cloned().collect()
    }
}

impl Window {
    /// Shows a toast, and has it said: at once where something was refused, else when there is a pause in speaking.
    pub(super) fn show_toast(&mut self, toast: Toast) {
        let spoken = std::iter::once(&toast.text).chain(toast.refusals.iter().take(6)).cloned();
        let spoken = spoken.collect::<Vec<_>>().join(" ");
        if toast.refusals.is_empty() {
            self.announce(spoken);
        } else {
            self.announce_now(spoken);
        }
        self.toast = Some(toast);
    }

    pub(super) fn toast(&mut self, ui: &mut Ui) {
        let Some(toast) = &self.toast else { return };
        let shown = self.now.1.saturating_sub(toast.since);
        if toast.refusals.is_empty() {
            if shown >= SHOWN_FOR {
                self.toast = None;
                return;
            }
            ui.ctx().request_repaint_after(SHOWN_FOR.saturating_sub(shown));
        }
        let palette = Palette::of(ui);
        let frame = Frame::new()
            // On the grey of the light theme only white stands out.
            .fill(if ui.visuals().dark_mode { palette.raised } else { palette.panel })
            .stroke(Stroke::new(1.0, palette.line))
            .corner_radius(CornerRadius::same(8))
            .shadow(ui.visuals().popup_shadow)
            .inner_margin(Margin { left: 14, right: 8, top: 8, bottom: 8 });
        let area = egui::Area::new(egui::Id::unique("toast"))
            .order(egui::Order::Foreground)
            .anchor(Align2::CENTER_BOTTOM, Vec2::new(0.0, -(tokens::STATUS_BAR + 24.0)));
        let (mut undo, mut close) = (false, false);
        area.show(ui.ctx(), |ui| {
            frame.show(ui, |ui| {
                ui.set_max_width(620.0);
                ui.horizontal(|ui| {
                    ui.add(Label::new(&toast.text).wrap());
                    ui.add_space(8.0);
                    if toast.undoable.is_empty() {
                        close = widgets::quiet_button(ui, "Close").clicked();
                    } else {
                        let key = RichText::new("Ctrl+Z").font(tokens::small()).color(palette.muted);
                        undo = ui.add(egui::Button::new("Undo").right_text(key)).clicked();
                    }
                });
                for refusal in toast.refusals.iter().take(6) {
                    let text = elided(refusal, 220);
                    ui.add(Label::new(RichText::new(text).font(tokens::small()).color(palette.muted)).wrap());
                }
                if toast.refusals.len() > 6 {
                    let text = format!("and {} more; the journal has them all", toast.refusals.len() - 6);
                    ui.label(RichText::new(text).font(tokens::small()).color(palette.muted));
                }
            });
        });
        if undo {
            self.undo_last();
        } else if close {
            self.toast = None;
        }
    }
}
