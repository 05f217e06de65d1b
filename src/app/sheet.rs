//! The sheet of shortcuts: every command that has a key, and the keys of the table, under their headings.

use super::command::{COMMANDS, Section};
use super::keys::Chord;
use super::tokens::{self, Palette};
use super::widgets;
use super::window::Window;
use eframe::egui::{self, Align, Layout, RichText, ScrollArea, Ui, Vec2};

/// What is no command: moving in the table.
const IN_THE_TABLE: [(&str, &str); 8] = [
    ("Move", "↑ ↓  Page Up  Page Down  Home  End"),
    ("Choose a range", "Shift with these, or Shift+click"),
    ("Move and keep the choice", "Ctrl+↑  Ctrl+↓"),
    ("Choose one more, or one less", "Ctrl+Space, or Ctrl+click"),
    ("Fold or unfold the group", "←  →"),
    ("Jump to a name", "type its first letters"),
    ("Go to its details", "Enter"),
    ("Step through the controls", "Tab  Shift+Tab"),
];

/// So high that all of them have room in a window of the usual size.
const LINE: f32 = 22.0;

impl Window {
    pub(super) fn shortcut_sheet(&mut self, ui: &mut Ui) {
        if !self.show_shortcuts {
            return;
        }
        let content = ui.ctx().content_rect();
        let width = widgets::dialog_width(ui, 780.0);
        let mut close = false;
        let response = widgets::modal(ui, "shortcuts", "Shortcuts", 20, |ui| {
            ui.set_width(width);
            ui.horizontal(|ui| {
                ui.label(RichText::new("Shortcuts").font(tokens::title()));
                widgets::from_right(ui, |ui| {
                    let key = RichText::new("Esc").font(tokens::small()).color(Palette::of(ui).muted);
                    let response = ui.add(egui::Button::new("Close").right_text(key));
                    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, "Close"));
                    if ui.memory(|memory| memory.focused().is_none()) {
                        response.request_focus();
                    }
                    close = response.clicked();
                });
            });
            ui.add_space(8.0);
            ScrollArea::vertical()
                .max_height(content.height() - 128.0)
                .min_scrolled_height(content.height() - 128.0)
                .auto_shrink([false, true])
                .show(ui, |ui| {
                    let columns = if width < 560.0 { 1 } else { 2 };
                    ui.spacing_mut().item_spacing = Vec2::new(32.0, 0.0);
                    // The scroll bar stands beside the keys, not on them.
                    ui.set_width(width - 16.0);
                    ui.columns(columns, |columns| {
                        // As many lines in the one as in the other.
                        let last = columns.len() - 1;
                        list(&mut columns[0], Section::Lock);
                        list(&mut columns[0], Section::File);
                        list(&mut columns[0], Section::Edit);
                        list(&mut columns[0], Section::Help);
                        list(&mut columns[last], Section::View);
                        table(&mut columns[last]);
                    });
                });
        });
        self.show_shortcuts = !close && !response.should_close();
    }
}

fn heading(ui: &mut Ui, text: &str) {
    ui.add_space(8.0);
    ui.label(RichText::new(text).font(tokens::strong()));
    ui.add_space(2.0);
}

fn line(ui: &mut Ui, title: &str, keys: &str) {
    let palette = Palette::of(ui);
    ui.allocate_ui_with_layout(Vec2::new(ui.available_width(), LINE), Layout::left_to_right(Align::Center), |ui| {
        ui.spacing_mut().item_spacing.x = 8.0;
        widgets::from_right(ui, |ui| {
            ui.add(egui::Label::new(RichText::new(keys).font(tokens::small()).color(palette.muted)));
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| widgets::cut(ui, title));
        });
    });
}

fn list(ui: &mut Ui, section: Section) {
    heading(ui, section.title());
    for command in COMMANDS.iter().filter(|command| command.section == section && !command.chords.is_empty()) {
        let keys: Vec<String> = command.chords.iter().copied().map(Chord::shown).collect();
        line(ui, command.title.trim_end_matches('…'), &keys.join("  or  "));
    }
}

fn table(ui: &mut Ui) {
    heading(ui, "In the table");
    for (title, keys) in IN_THE_TABLE {
        line(ui, title, keys);
    }
}
