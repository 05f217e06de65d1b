//! The chips: how many locks have each verdict, and a filter.

use super::focus::follow_focus;
use super::icons::Icon;
use super::tokens::{self, Palette};
use super::widgets::{self, from_right, number};
use super::window::Window;
use crate::model::snapshot::{Snapshot, Watching};
use crate::model::verdict::Verdict;
use eframe::egui::scroll_area::ScrollBarVisibility;
use eframe::egui::{self, Align, Color32, CornerRadius, Layout, Stroke, TextFormat, Ui, Vec2};

const ORDER: [Verdict; 9] = [
    Verdict::Held,
    Verdict::Stale,
    Verdict::Orphaned,
    Verdict::Interrupted,
    Verdict::Suspect,
    Verdict::Idle,
    Verdict::Foreign,
    Verdict::Unknown,
    Verdict::NotALock,
];

impl Window {
    pub(super) fn chip_bar(&mut self, ui: &mut Ui, snapshot: &Snapshot) {
        let palette = Palette::of(ui);
        egui::Panel::top("chips").exact_size(tokens::CHIP_BAR).frame(widgets::bar(ui, palette.background)).show(
            ui,
            |ui| {
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                    ui.spacing_mut().item_spacing.x = CHIP_GAP;
                    let grouping = if ui.available_width() < tokens::NARROW { 0.0 } else { 200.0 };
                    let room = ui.available_width() - grouping;
                    // Where they have no room they scroll, and none is out of reach.
                    let scroll = egui::ScrollArea::horizontal().id_salt("chips").max_width(room);
                    scroll.scroll_bar_visibility(ScrollBarVisibility::AlwaysHidden).show(ui, |ui| {
                        self.chips(ui, snapshot, room);
                        follow_focus(ui);
                    });
                    if grouping > 0.0 {
                        from_right(ui, |ui| self.grouping(ui));
                    }
                });
            },
        );
    }

    /// Where not all have room, the icons stand for the words, which show on hover.
    fn chips(&mut self, ui: &mut Ui, snapshot: &Snapshot, room: f32) {
        let palette = Palette::of(ui);
        let counts = &snapshot.counts;
        let hidden = |verdict| verdict == Verdict::NotALock && !self.query.show_not_locks;
        let chosen = |verdict: &Verdict| self.query.verdicts.contains(verdict);
        let has_chip = |verdict: &Verdict| (counts.of(*verdict) > 0 && !hidden(*verdict)) || chosen(verdict);
        let shown: Vec<Verdict> = ORDER.into_iter().filter(has_chip).collect();
        let known = is_counted(snapshot);
        let count_of = |count: u32| known.then_some(count);
        let spoken = shown.iter().map(|verdict| chip_width(ui, verdict.title(), counts.of(*verdict)));
        let with_words = spoken.sum::<f32>() + chip_width(ui, "All", counts.listed()) <= room;
        if chip_of(ui, None, "All", count_of(counts.listed()), self.query.verdicts.is_empty(), true).clicked() {
            self.query.verdicts.clear();
        }
        for verdict in shown {
            let (chosen, count) = (self.query.verdicts.contains(&verdict), count_of(counts.of(verdict)));
            let icon = Some((Icon::of(verdict), palette.verdict(verdict)));
            if chip_of(ui, icon, verdict.title(), count, chosen, with_words || chosen).clicked() {
                let several = ui.input(|i| i.modifiers.command || i.modifiers.shift);
                self.choose_verdict(verdict, several);
            }
        }
    }

    fn choose_verdict(&mut self, verdict: Verdict, several: bool) {
        let chosen = self.query.verdicts.contains(&verdict);
        match (several, chosen) {
            (true, true) => self.query.verdicts.retain(|known| *known != verdict),
            (true, false) => self.query.verdicts.push(verdict),
            (false, true) if self.query.verdicts.len() == 1 => self.query.verdicts.clear(),
            (false, _) => self.query.verdicts = vec![verdict],
        }
    }

    fn grouping(&mut self, ui: &mut Ui) {
        let palette = Palette::of(ui);
        let text = if self.settings.grouped { "Grouped by conversation" } else { "Not grouped" };
        let label = egui::RichText::new(text).color(palette.muted);
        let button = egui::Button::new(label).right_text(Icon::ChevronDown.image(palette.muted)).frame(false);
        let response = ui.add(button);
        egui::Popup::menu(&response).show(|ui| {
            for (grouped, text) in [(true, "Grouped by conversation"), (false, "Not grouped")] {
                if ui.radio(self.settings.grouped == grouped, text).clicked() {
                    self.settings.grouped = grouped;
                    ui.close();
                }
            }
        });
    }
}

/// Whether anything was counted: a folder that could not be looked at has no number, not 0.
pub(super) fn is_counted(snapshot: &Snapshot) -> bool {
    let looked = matches!(snapshot.watching, Watching::Live | Watching::Polling(_));
    // What was seen before it was lost, or so far, is still a number.
    looked || snapshot.counts.listed() > 0
}

const CHIP_PADDING: f32 = 9.0;
const CHIP_GAP: f32 = 6.0;

pub(super) fn chip(ui: &mut Ui, icon: Option<(Icon, Color32)>, word: &str, count: u32, chosen: bool) -> egui::Response {
    chip_of(ui, icon, word, Some(count), chosen, true)
}

/// How much room a chip takes with its word, icon and the gap to the next.
fn chip_width(ui: &Ui, word: &str, count: u32) -> f32 {
    let width = |text: String, font| ui.painter().layout_no_wrap(text, font, Color32::WHITE).size().x;
    let words = width(word.to_owned(), tokens::body()) + width(number(count as usize), tokens::strong());
    words + tokens::ICON + 2.0 * CHIP_PADDING + 3.0 * CHIP_GAP
}

fn chip_of(
    ui: &mut Ui, icon: Option<(Icon, Color32)>, word: &str, count: Option<u32>, chosen: bool, with_word: bool,
) -> egui::Response {
    let palette = Palette::of(ui);
    let count = count.map(|count| number(count as usize));
    let mut job = egui::text::LayoutJob::default();
    let format = |font, color| TextFormat { font_id: font, color, valign: Align::Center, ..Default::default() };
    if with_word {
        job.append(word, 0.0, format(tokens::body(), if chosen { palette.text } else { palette.muted }));
    }
    if let Some(count) = &count {
        job.append(count, if with_word { CHIP_GAP } else { 0.0 }, format(tokens::strong(), palette.text));
    }
    let button = match icon {
        Some((icon, color)) => egui::Button::image_and_text(icon.image(color), job),
        None => egui::Button::new(job),
    };
    let button = button
        .fill(if chosen { palette.selection } else { palette.background })
        .stroke(Stroke::new(1.0, if chosen { palette.accent } else { palette.line }))
        .corner_radius(CornerRadius::same(13))
        .gap(CHIP_GAP)
        .min_size(Vec2::new(0.0, 26.0));
    let response = ui
        .scope(|ui| {
            ui.spacing_mut().button_padding = Vec2::new(CHIP_PADDING, 3.0);
            ui.spacing_mut().interact_size.y = 26.0;
            ui.add(button)
        })
        .inner;
    let label = count.map_or_else(|| word.to_owned(), |count| format!("{word} {count}"));
    response.widget_info(|| egui::WidgetInfo::selected(egui::Role::Button, true, chosen, &label));
    if with_word { response } else { response.on_hover_text(word) }
}
