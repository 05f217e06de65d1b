//! The chips: how many locks have each verdict, and a filter.

use super::icons::Icon;
use super::tokens::{self, Palette};
use super::widgets::{self, from_right};
use super::window::Window;
use crate::model::snapshot::Snapshot;
use crate::model::verdict::Verdict;
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
                    let counts = &snapshot.counts;
                    let shown: Vec<Verdict> = ORDER.into_iter().filter(|v| self.has_chip(*v, counts.of(*v))).collect();
                    let all = (None, "All", counts.listed());
                    let spoken = shown.iter().map(|v| (Some(*v), v.title(), counts.of(*v)));
                    // Where not all have room, the icons stand for the words, which show on hover.
                    let room = [all].into_iter().chain(spoken).map(|(_, word, count)| chip_width(ui, word, count));
                    let with_words = room.sum::<f32>() <= ui.available_width();
                    let chosen = self.query.verdicts.is_empty();
                    if chip(ui, None, "All", counts.listed(), chosen).clicked() {
                        self.query.verdicts.clear();
                    }
                    for verdict in shown {
                        let chosen = self.query.verdicts.contains(&verdict);
                        let icon = Some((Icon::of(verdict), palette.verdict(verdict)));
                        let words = with_words || chosen;
                        if chip_of(ui, icon, verdict.title(), counts.of(verdict), chosen, words).clicked() {
                            let several = ui.input(|i| i.modifiers.command || i.modifiers.shift);
                            self.choose_verdict(verdict, several);
                        }
                    }
                    from_right(ui, |ui| {
                        if ui.available_width() > 190.0 {
                            self.grouping(ui);
                        }
                    });
                });
            },
        );
    }

    fn has_chip(&self, verdict: Verdict, count: u32) -> bool {
        let hidden = verdict == Verdict::NotALock && !self.query.show_not_locks;
        (count > 0 && !hidden) || self.query.verdicts.contains(&verdict)
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

const CHIP_PADDING: f32 = 9.0;
const CHIP_GAP: f32 = 6.0;

pub(super) fn chip(ui: &mut Ui, icon: Option<(Icon, Color32)>, word: &str, count: u32, chosen: bool) -> egui::Response {
    chip_of(ui, icon, word, count, chosen, true)
}

/// How much room a chip takes with its word, icon and the gap to the next.
fn chip_width(ui: &Ui, word: &str, count: u32) -> f32 {
    let width = |text: String, font| ui.painter().layout_no_wrap(text, font, Color32::WHITE).size().x;
    let words = width(word.to_owned(), tokens::body()) + width(count.to_string(), tokens::strong());
    words + tokens::ICON + 2.0 * CHIP_PADDING + 3.0 * CHIP_GAP
}

fn chip_of(
    ui: &mut Ui, icon: Option<(Icon, Color32)>, word: &str, count: u32, chosen: bool, with_word: bool,
) -> egui::Response {
    let palette = Palette::of(ui);
    let mut job = egui::text::LayoutJob::default();
    let format = |font, color| TextFormat { font_id: font, color, valign: Align::Center, ..Default::default() };
    if with_word {
        job.append(word, 0.0, format(tokens::body(), if chosen { palette.text } else { palette.muted }));
    }
    job.append(&count.to_string(), if with_word { CHIP_GAP } else { 0.0 }, format(tokens::strong(), palette.text));
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
    response.widget_info(|| egui::WidgetInfo::selected(egui::Role::Button, true, chosen, format!("{word} {count}")));
    if with_word { response } else { response.on_hover_text(word) }
}
