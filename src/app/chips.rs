//! The chips: how many locks have each verdict, and a filter.

use super::icons::Icon;
use super::tokens::{self, Palette};
use super::widgets::{self, from_right};
use super::window::Window;
use crate::model::snapshot::Snapshot;
use crate::model::verdict::Verdict;
use eframe::egui::{self, Align, Color32, CornerRadius, Layout, Stroke, TextFormat, Ui, Vec2};

impl Window {
    pub(super) fn chip_bar(&mut self, ui: &mut Ui, snapshot: &Snapshot) {
        let palette = Palette::of(ui);
        egui::Panel::top("chips").exact_size(tokens::CHIP_BAR).frame(widgets::bar(ui, palette.background)).show(
            ui,
            |ui| {
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                    ui.spacing_mut().item_spacing.x = 6.0;
                    if chip(ui, None, "All", snapshot.counts.listed(), self.query.verdicts.is_empty()).clicked() {
                        self.query.verdicts.clear();
                    }
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
                    for verdict in ORDER {
                        let count = snapshot.counts.of(verdict);
                        let chosen = self.query.verdicts.contains(&verdict);
                        let hidden = verdict == Verdict::NotALock && !self.query.show_not_locks;
                        if (count == 0 || hidden) && !chosen {
                            continue;
                        }
                        let color = palette.verdict(verdict);
                        if chip(ui, Some((Icon::of(verdict), color)), verdict.title(), count, chosen).clicked() {
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

pub(super) fn chip(ui: &mut Ui, icon: Option<(Icon, Color32)>, word: &str, count: u32, chosen: bool) -> egui::Response {
    let palette = Palette::of(ui);
    let mut job = egui::text::LayoutJob::default();
    let format = |font, color| TextFormat { font_id: font, color, valign: Align::Center, ..Default::default() };
    job.append(word, 0.0, format(tokens::body(), if chosen { palette.text } else { palette.muted }));
    job.append(&count.to_string(), 6.0, format(tokens::strong(), palette.text));
    let button = match icon {
        Some((icon, color)) => egui::Button::image_and_text(icon.image(color), job),
        None => egui::Button::new(job),
    };
    let button = button
        .fill(if chosen { palette.selection } else { palette.background })
        .stroke(Stroke::new(1.0, if chosen { palette.accent } else { palette.line }))
        .corner_radius(CornerRadius::same(13))
        .gap(6.0)
        .min_size(Vec2::new(0.0, 26.0));
    let response = ui
        .scope(|ui| {
            ui.spacing_mut().button_padding = Vec2::new(9.0, 3.0);
            ui.spacing_mut().interact_size.y = 26.0;
            ui.add(button)
        })
        .inner;
    response.widget_info(|| egui::WidgetInfo::selected(egui::Role::Button, true, chosen, format!("{word} {count}")));
    response
}
