//! The panel below the table: the timeline or the journal, one at a time, under two tabs.
//!
//! Owns: which of them is shown, how high, and where there is no room for both them and the table. Never: what is in them.

use super::tokens::{self, Palette};
use super::widgets;
use super::window::Window;
use crate::engine::Command;
use crate::engine::settings::BelowTab;
use crate::model::snapshot::Snapshot;
use eframe::egui::{self, Frame, Margin, RichText, Role, Sense, Stroke, Ui, Vec2, WidgetInfo};

/// Below this height of the window the panel leaves no room for the table.
const LOWEST: f32 = 430.0;
/// The row with the tabs.
pub(super) const HEAD: f32 = 28.0;

/// What the panel remembers between two frames.
#[derive(Debug, Default)]
pub(super) struct Below {
    /// There is room for either the panel or the table.
    no_room: bool,
    /// In such a window: the panel stands in the table's place.
    in_front: bool,
}

impl Window {
    fn below_is_shown(&self) -> bool {
        if self.below.no_room { self.below.in_front } else { self.settings.below.shown }
    }

    /// Whether this tab is in sight.
    pub(super) fn shows_below(&self, tab: BelowTab) -> bool {
        self.below_is_shown() && self.settings.below.tab == tab
    }

    /// The panel stands in the table's place.
    pub(super) fn below_is_in_front(&self) -> bool {
        self.below.no_room && self.below.in_front
    }

    pub(super) fn show_below(&mut self, tab: BelowTab) {
        self.settings.below.tab = tab;
        if self.below.no_room {
            self.below.in_front = true;
            self.show_details = false;
        } else {
            self.settings.below.shown = true;
        }
        if tab == BelowTab::Journal {
            self.engine.send(Command::ReadJournal);
        }
    }

    pub(super) fn hide_below(&mut self) {
        if self.below.no_room {
            self.focus_row |= std::mem::take(&mut self.below.in_front);
        } else {
            self.settings.below.shown = false;
        }
    }

    /// Where there is room for one thing at a time, another has come.
    pub(super) fn hide_below_in_front(&mut self) {
        self.below.in_front = false;
    }

    /// Shows this tab, or hides the panel where it is in sight already.
    pub(super) fn toggle_below(&mut self, tab: BelowTab) {
        if self.shows_below(tab) { self.hide_below() } else { self.show_below(tab) }
    }

    pub(super) fn toggle_timeline(&mut self) {
        self.toggle_below(BelowTab::Timeline);
    }

    pub(super) fn toggle_journal(&mut self) {
        self.toggle_below(BelowTab::Journal);
    }

    pub(super) fn below_panel(&mut self, ui: &mut Ui, snapshot: &Snapshot) {
        self.below.no_room = tokens::is_small(ui.ctx()) || ui.ctx().content_rect().height() < LOWEST;
        if !self.shows_below(BelowTab::Journal) {
            self.papers.journal.lose_keys();
        }
        if !self.below_is_shown() {
            return;
        }
        let palette = Palette::of(ui);
        let frame = Frame::new().fill(palette.panel).inner_margin(Margin { left: 12, right: 12, top: 4, bottom: 0 });
        let room = ui.available_height();
        if self.below.no_room {
            egui::Panel::bottom("below-in-front")
                .exact_size(room)
                .frame(frame)
                .show(ui, |ui| self.below_content(ui, snapshot));
            return;
        }
        // In a low window the table comes first; of the journal less than three lines are of no use.
        let (least, most) = match self.settings.below.tab {
            BelowTab::Timeline => (96.0, (room - 260.0).clamp(104.0, 600.0)),
            BelowTab::Journal => (148.0, (room - 140.0).clamp(160.0, 900.0)),
        };
        // A window that is low for a while does not change the height that was chosen.
        let fits = self.settings.below.height <= most;
        let shown = egui::Panel::bottom(if fits { "below" } else { "below-low" })
            .resizable(true)
            .default_size(self.settings.below.height)
            .size_range(least..=most)
            .frame(frame)
            .show(ui, |ui| self.below_content(ui, snapshot));
        let height = shown.response.rect.height().round();
        if fits {
            self.settings.below.height = height;
        }
    }

    fn below_content(&mut self, ui: &mut Ui, snapshot: &Snapshot) {
        match self.settings.below.tab {
            BelowTab::Timeline => self.timeline(ui, snapshot),
            BelowTab::Journal => self.journal(ui),
        }
        // A panel is as high as what is in it: it must not change with that.
        ui.set_min_height(ui.available_height());
    }

    /// The tabs, at the left of the head.
    pub(super) fn below_tabs(&mut self, ui: &mut Ui) {
        ui.spacing_mut().item_spacing.x = 16.0;
        for (tab, text) in [(BelowTab::Timeline, "Timeline"), (BelowTab::Journal, "Journal")] {
            let on = self.settings.below.tab == tab;
            if head_tab(ui, text, on).clicked() && !on {
                self.show_below(tab);
            }
        }
        ui.spacing_mut().item_spacing.x = 4.0;
        ui.add_space(12.0);
    }

    /// In a narrow panel: the tabs and what hides it.
    pub(super) fn below_first_line(&mut self, ui: &mut Ui) {
        head(ui, |ui| {
            self.below_tabs(ui);
            widgets::from_right(ui, |ui| self.below_hide(ui));
        });
    }

    /// What hides the panel, at the right of the head.
    pub(super) fn below_hide(&mut self, ui: &mut Ui) {
        let (word, hint) = match (self.below.no_room, self.settings.below.tab) {
            (true, _) => ("Back to the list", "Shows the locks again."),
            (false, BelowTab::Timeline) => ("Hide", "Ctrl+T brings it back."),
            (false, BelowTab::Journal) => ("Hide", "Ctrl+J brings it back."),
        };
        let response = choice(ui, false, word, true).on_hover_text(hint);
        if self.below.no_room && ui.memory(|memory| memory.focused().is_none()) {
            response.request_focus();
        }
        if response.clicked() {
            self.hide_below();
        }
    }
}

fn head_tab(ui: &mut Ui, text: &str, on: bool) -> egui::Response {
    let palette = Palette::of(ui);
    let color = if on { palette.text } else { palette.muted };
    let galley = ui.painter().layout_no_wrap(text.to_owned(), tokens::strong(), color);
    let (rect, response) = ui.allocate_exact_size(Vec2::new(galley.size().x, 28.0), Sense::CLICK);
    response.widget_info(|| WidgetInfo::selected(Role::Tab, true, on, text));
    ui.ctx().accesskit_node_builder(response.id, |node| {
        node.clear_toggled();
        node.set_selected(on);
    });
    let color = if response.hovered() { palette.text } else { color };
    let at = egui::pos2(rect.left(), rect.center().y - galley.size().y / 2.0);
    ui.painter().galley_with_override_text_color(at, galley, color);
    if on {
        let line = Stroke::new(2.0, palette.accent);
        ui.painter().hline(rect.x_range(), rect.bottom() - 2.0, line);
    }
    if response.has_focus() {
        let ring = Stroke::new(1.5, palette.accent);
        ui.painter().rect_stroke(rect.expand2(Vec2::new(4.0, 0.0)), 4.0, ring, egui::StrokeKind::Inside);
    }
    response
}

/// A choice among others, as a word.
pub(super) fn choice(ui: &mut Ui, on: bool, text: &str, enabled: bool) -> egui::Response {
    let palette = Palette::of(ui);
    let text = RichText::new(text).font(tokens::small()).color(if on { palette.text } else { palette.muted });
    let button = egui::Button::selectable(on, text).min_size(Vec2::new(0.0, 24.0));
    ui.add_enabled(enabled, button)
}

/// Whether the tabs need a line for themselves.
pub(super) fn is_narrow(ui: &Ui) -> bool {
    ui.available_width() < 660.0
}

/// The row that heads either tab.
pub(super) fn head(ui: &mut Ui, content: impl FnOnce(&mut Ui)) {
    ui.scope(|ui| {
        ui.spacing_mut().interact_size.y = 24.0;
        ui.spacing_mut().button_padding = Vec2::new(8.0, 2.0);
        ui.spacing_mut().item_spacing.x = 4.0;
        let size = Vec2::new(ui.available_width(), HEAD);
        ui.allocate_ui_with_layout(size, egui::Layout::left_to_right(egui::Align::Center), content);
    });
}
