//! The status bar: what is watched, how, and what could not be seen.

use super::chips::is_counted;
use super::tokens::{self, Palette};
use super::widgets::{self, count, from_right, number};
use super::window::Window;
use crate::engine::Command;
use crate::model::snapshot::Watching;
use crate::model::time::{parse_duration, say_duration};
use eframe::egui::{self, Align, Layout, RichText, Ui};

impl Window {
    pub(super) fn status_bar(&mut self, ui: &mut Ui) {
        let palette = Palette::of(ui);
        let frame = widgets::bar(ui, palette.panel);
        egui::Panel::bottom("status").exact_size(tokens::STATUS_BAR).frame(frame).show(ui, |ui| {
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                ui.spacing_mut().item_spacing.x = 16.0;
                ui.spacing_mut().interact_size.y = 20.0;
                ui.spacing_mut().button_padding = egui::vec2(4.0, 0.0);
                let say = |ui: &mut Ui, text: String| {
                    ui.add(egui::Label::new(RichText::new(text).font(tokens::small()).color(palette.muted)).selectable(false))
                };
                if let Some(snapshot) = &self.snapshot {
                    let files = count(snapshot.counts.listed() as usize, "lock file");
                    let files = match snapshot.watching {
                        _ if !is_counted(snapshot) => "lock files not known".to_owned(),
                        Watching::Loading(_) => format!("{files} so far"),
                        Watching::Lost(_) => format!("{files} when last seen"),
                        Watching::Live | Watching::Polling(_) => files,
                    };
                    let files = say(ui, files);
                    let small = tokens::is_small(ui.ctx());
                    // There the right side needs the room.
                    let tight = ui.ctx().content_rect().width() < tokens::TIGHT;
                    let how = match snapshot.watching {
                        Watching::Live => "events, checked twice a second",
                        Watching::Polling(_) => "polling",
                        Watching::Loading(_) => "reading",
                        Watching::Lost(_) => "trying again",
                    };
                    let sight = &snapshot.sight;
                    let seen = sight.processes.saturating_sub(sight.processes_denied);
                    let mut facts = vec![how.to_owned()];
                    // Where nothing could be looked at yet, nobody was counted.
                    if sight.processes > 0 {
                        let (seen, all) = (number(seen as usize), number(sight.processes as usize));
                        facts.push(format!("{seen} of {all} processes visible"));
                    }
                    if small {
                        files.on_hover_text(facts.join("\n"));
                    } else {
                        let left_out = if tight && facts.len() > 1 { facts.pop() } else { None };
                        let mut last = facts.into_iter().map(|fact| say(ui, fact)).last();
                        if let Some(fact) = left_out {
                            last = last.map(|response| response.on_hover_text(fact));
                        }
                        if let Some(response) = last.filter(|_| sight.processes_denied > 0) {
                            response.on_hover_text(
                                "The open files of the others may not be seen: a lock that only they could hold is Unknown, \
                                 never free. Root sees more.",
                            );
                        }
                    }
                    if !snapshot.problems.is_empty() {
                        let text = count(snapshot.problems.len(), "problem");
                        let list: Vec<String> = snapshot
                            .problems
                            .iter()
                            .take(12)
                            .map(|p| format!("{}: {}", super::visible_name(&p.path.to_string_lossy()), p.error))
                            .collect();
                        say(ui, text).on_hover_text(list.join("\n"));
                    }
                }
                from_right(ui, |ui| {
                    self.sweep_menu(ui);
                    self.threshold_menu(ui);
                    if let Some(progress) = self.clearing.filter(|_| self.confirm.is_none()) {
                        if widgets::quiet_button(ui, "Cancel").clicked() {
                            self.engine.send(Command::StopClearing);
                        }
                        let (at, all) = (number(progress.done + 1), number(progress.total));
                        say(ui, format!("clearing {at} of {all}"));
                    }
                });
            });
        });
    }

    fn threshold_menu(&mut self, ui: &mut Ui) {
        let palette = Palette::of(ui);
        let text = format!("stale after {}", say_duration(self.settings.stale_after()));
        let label = RichText::new(text).font(tokens::small()).color(palette.muted);
        let response = ui.add(egui::Button::new(label).frame(false));
        egui::Popup::menu(&response).close_behavior(egui::PopupCloseBehavior::CloseOnClickOutside).show(|ui| {
            ui.set_width(300.0);
            ui.label("A dead owner's lock counts as stale when it has been untouched for:");
            ui.horizontal(|ui| {
                for text in ["0s", "1m", "10m", "1h", "1d"] {
                    if ui.button(text).clicked() {
                        self.set_threshold(text);
                        ui.close();
                    }
                }
            });
            let hint = RichText::new("or e.g. 90s, 2h").color(palette.placeholder);
            let response = ui.add(widgets::field(&mut self.typed_threshold).hint_text(hint));
            response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::TextInput, true, "Stale after"));
            if response.lost_focus() && ui.input(|i| i.key_pressed(egui::Key::Enter)) {
                let typed = std::mem::take(&mut self.typed_threshold);
                self.set_threshold(&typed);
                ui.close();
            }
            ui.label(
                RichText::new("It is a courtesy, not a proof: age alone never makes a lock clearable.")
                    .font(tokens::small())
                    .color(palette.muted),
            );
        });
    }

    fn set_threshold(&mut self, text: &str) {
        match parse_duration(text) {
            Ok(threshold) => {
                self.settings.stale_after_secs = threshold.as_secs();
                self.engine.send(Command::SetThreshold(threshold));
            }
            Err(error) => self.tell(error.to_string()),
        }
    }
}
