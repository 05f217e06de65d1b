//! The journal: every clear, refusal and undo, newest first, with Undo where something can be put back.

use super::display_name::{elided, visible};
use super::table::right_note;
use super::tokens::{self, Palette};
use super::widgets::{self, from_right, muted};
use super::window::Window;
use crate::engine::{Command, JournalLine};
use eframe::egui::{self, Frame, Label, Margin, RichText, ScrollArea, Ui};

/// Whether an entry took something away that is still to be had back.
pub(super) fn is_undoable(line: &JournalLine) -> bool {
    line.undoable
}

impl Window {
    pub(super) fn journal_panel(&mut self, ui: &mut Ui) {
        if !self.show_journal {
            return;
        }
        let palette = Palette::of(ui);
        let frame = Frame::new().fill(palette.panel).inner_margin(Margin::symmetric(12, 8));
        let panel = if tokens::is_small(ui.ctx()) {
            // No room for both: it takes the table's place.
            egui::Panel::bottom("small-journal").exact_size(ui.available_height())
        } else {
            egui::Panel::bottom("journal").resizable(true).default_size(150.0).size_range(80.0..=400.0)
        };
        panel.frame(frame).show(ui, |ui| {
            ui.horizontal(|ui| {
                ui.label(RichText::new("Journal").font(tokens::strong()));
                right_note(
                    ui,
                    muted(ui, "every clear, sweep, refusal and undo, on this computer").font(tokens::small()),
                );
            });
            let journal = self.engine.journal();
            if journal.is_empty() {
                ui.label(muted(ui, "Nothing has been cleared yet."));
                return;
            }
            let mut undo = None;
            ScrollArea::vertical().auto_shrink([false, false]).show_rows(ui, 24.0, journal.len(), |ui, range| {
                for at in range {
                    let line = &journal[journal.len() - 1 - at];
                    if journal_row(ui, line) {
                        undo = Some(line.id.clone());
                    }
                }
            });
            if let Some(id) = undo {
                self.engine.send(Command::Undo { ids: vec![id] });
            }
        });
    }
}

fn journal_row(ui: &mut Ui, line: &JournalLine) -> bool {
    let mut undo = false;
    ui.horizontal(|ui| {
        ui.set_height(24.0);
        ui.spacing_mut().interact_size.y = 22.0;
        ui.spacing_mut().button_padding = egui::vec2(8.0, 1.0);
        let at = line.at.get(..19).unwrap_or(&line.at).replace('T', " ");
        ui.add(Label::new(muted(ui, at).font(tokens::small())).selectable(false));
        ui.add(Label::new(RichText::new(format!("{:7}", line.what)).font(tokens::small())).selectable(false));
        let path = elided(&visible(&line.path), 48);
        ui.add(Label::new(path)).on_hover_text(visible(&line.full_path()));
        from_right(ui, |ui| {
            if is_undoable(line) {
                undo = ui.button("Undo").clicked();
            }
            let told = visible(&line.told());
            widgets::cut(ui, muted(ui, told.clone()).font(tokens::small())).on_hover_text(told);
        });
    });
    undo
}
