//! The toast: what came of a clear or an undo, with Undo while it can be.

use super::display_name::{elided, visible_name};
use super::tokens::{self, Palette};
use super::widgets::{self, count, number};
use super::window::Window;
use crate::engine::Outcome;
use crate::engine::sweep::Act;
use eframe::egui::{self, Align2, CornerRadius, Frame, Label, Margin, RichText, Stroke, Ui, Vec2};
use std::path::Path;
use std::time::Duration;

/// A toast without anything refused goes by itself after this.
const SHOWN_FOR: Duration = Duration::from_secs(20);
/// And not sooner than this after the pointer or the focus has left it.
const COME_BACK: Duration = Duration::from_secs(5);

pub(super) struct Toast {
    text: String,
    refusals: Vec<String>,
    undoable: Vec<String>,
    since: Duration,
    /// The focus or the pointer was in it in the last frame.
    attended: bool,
}

impl Toast {
    /// `left` were not begun, as a person stopped it.
    pub(super) fn cleared(outcomes: Vec<Outcome>, left: usize, since: Duration) -> Self {
        let mut toast =
            Self { text: String::new(), refusals: Vec::new(), undoable: Vec::new(), since, attended: false };
        for outcome in outcomes {
            match outcome.result {
                Ok(id) => toast.undoable.push(id),
                Err(why) => toast.refusals.push(format!("{}: {why}", visible_name(&outcome.path.to_string_lossy()))),
            }
        }
        toast.text = match (toast.undoable.len(), toast.refusals.len()) {
            (0, 1) => "Nothing was cleared.".to_owned(),
            (0, refused) => format!("Nothing was cleared; {} were refused.", number(refused)),
            (1, 0) => "1 lock cleared. It was checked again first.".to_owned(),
            (cleared, 0) => format!("{} cleared. Each was checked again first.", count(cleared, "lock")),
            (cleared, refused) => format!("{} cleared, {} refused.", count(cleared, "lock"), number(refused)),
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
        let mut toast =
            Self { text: String::new(), refusals: Vec::new(), undoable: Vec::new(), since, attended: false };
        let shown = |path: &std::ffi::OsStr| visible_name(&path.to_string_lossy());
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
            toast.text = format!("{}: {}", visible_name(&name.to_string_lossy()), toast.text);
        }
        toast
    }

    /// A word about why nothing happens.
    pub(super) fn said(text: String, since: Duration) -> Self {
        Self { text, refusals: Vec::new(), undoable: Vec::new(), since, attended: false }
    }

    pub(super) fn undone(outcomes: Vec<Outcome>, since: Duration) -> Self {
        let (mut back, mut refusals) = (0, Vec::new());
        for outcome in outcomes {
            match outcome.result {
                Ok(_) => back += 1,
                Err(why) => refusals.push(format!("{}: {why}", visible_name(&outcome.path.to_string_lossy()))),
            }
        }
        let text = match (back, refusals.len()) {
            (0, _) => "Nothing was put back.".to_owned(),
            (back, 0) => format!(
                "{} put back as {} before.",
                count(back, "lock"),
                if back == 1 { "it was" } else { "they were" }
            ),
            (back, refused) => format!("{} put back, {} refused.", count(back, "lock"), number(refused)),
        };
        Self { text, refusals, undoable: Vec::new(), since, attended: false }
    }

    pub(super) fn undoable(&self) -> Vec<String> {
        self.undoable.iter().rev().cloned().collect()
    }
}

/// Whether a screen reader or its like asks for what is shown.
fn is_read_out(ctx: &egui::Context) -> bool {
    ctx.accesskit_node_builder(egui::accesskit_root_id(), |_| ()).is_some()
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

    /// Nobody loses it on the way to Undo: not with the focus or the pointer in it, and not while a screen reader is on, as
    /// it is found there by listening.
    fn toast_is_kept(&self, ctx: &egui::Context) -> bool {
        is_read_out(ctx) || self.toast.as_ref().is_some_and(|toast| toast.attended)
    }

    pub(super) fn toast(&mut self, ui: &mut Ui) {
        let Some(toast) = &self.toast else { return };
        let shown = self.now.1.saturating_sub(toast.since);
        if toast.refusals.is_empty() {
            if shown >= SHOWN_FOR && !self.toast_is_kept(ui.ctx()) {
                self.toast = None;
                return;
            }
            if shown < SHOWN_FOR {
                ui.ctx().request_repaint_after(SHOWN_FOR.saturating_sub(shown));
            }
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
        let (mut undo, mut close, mut focused) = (false, false, false);
        let shown = area.show(ui.ctx(), |ui| {
            frame.show(ui, |ui| {
                ui.set_max_width(620.0);
                ui.horizontal(|ui| {
                    ui.add(Label::new(&toast.text).wrap());
                    ui.add_space(8.0);
                    if toast.undoable.is_empty() {
                        let response = widgets::quiet_button(ui, "Close");
                        (close, focused) = (response.clicked(), response.has_focus());
                    } else {
                        let key = RichText::new("Ctrl+Z").font(tokens::small()).color(palette.muted);
                        let response = ui.add(egui::Button::new("Undo").right_text(key));
                        (undo, focused) = (response.clicked(), response.has_focus());
                    }
                });
                for refusal in toast.refusals.iter().take(6) {
                    let text = elided(refusal, 220);
                    ui.add(Label::new(RichText::new(text).font(tokens::small()).color(palette.muted)).wrap());
                }
                if toast.refusals.len() > 6 {
                    let text = format!("and {} more; the journal has them all", number(toast.refusals.len() - 6));
                    ui.label(RichText::new(text).font(tokens::small()).color(palette.muted));
                }
            });
        });
        let pointed = ui.input(|i| i.pointer.hover_pos()).is_some_and(|at| shown.response.rect.contains(at));
        if let Some(toast) = &mut self.toast {
            toast.attended = focused || pointed;
            if toast.attended {
                // A hand that slips off it has time to come back.
                toast.since = toast.since.max(self.now.1.saturating_sub(SHOWN_FOR.saturating_sub(COME_BACK)));
            }
        }
        if undo {
            self.undo_last();
        } else if close {
            self.toast = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screen_reader_is_noticed() {
        let ctx = egui::Context::default();
        let mut seen = Vec::new();
        for on in [false, true, false] {
            if on {
                ctx.enable_accesskit();
            } else {
                ctx.disable_accesskit();
            }
            let mut output = ctx.run_ui(egui::RawInput::default(), |ui| seen.push(is_read_out(ui.ctx())));
            output.textures_delta.clear();
        }
        assert_eq!(seen, [false, true, false]);
    }
}
