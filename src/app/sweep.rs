//! Automatic clearing: the menu that turns it on, and the bar that shows all the while that it is.

use super::display_name::{elided, short_path};
use super::icons::Icon;
use super::tokens::{self, Palette};
use super::widgets::{self, muted};
use super::window::Window;
use crate::engine::{Command, Sweeping};
use crate::model::time::say_duration;
use crate::model::verdict::Verdict;
use eframe::egui::{self, Align, Layout, Margin, RichText, Ui};
use std::sync::Arc;
use std::time::Duration;

/// How often it may be done, as the buttons offer it.
const INTERVALS: [Duration; 3] = [Duration::from_mins(1), Duration::from_mins(10), Duration::from_hours(1)];

impl Window {
    pub(super) fn sweep_menu(&mut self, ui: &mut Ui) {
        let palette = Palette::of(ui);
        let on = self.sweeping_here();
        let text = match &on {
            Some(on) => format!("clearing every {}", say_duration(on.every)),
            None => "automatic clearing off".to_owned(),
        };
        let color = if on.is_some() { palette.verdict(Verdict::Stale) } else { palette.muted };
        let label = RichText::new(text).font(tokens::small()).color(color);
        // Where nothing can be cleared there is nothing to turn on.
        let can_clear = self.snapshot.as_ref().is_some_and(|snapshot| snapshot.sight.can_clear());
        let response = ui.add_enabled(can_clear, egui::Button::new(label).frame(false));
        egui::Popup::menu(&response).show(|ui| {
            ui.set_width(320.0);
            // A menu justifies, which tears sentences apart.
            ui.with_layout(Layout::top_down(Align::Min), |ui| self.sweep_choice(ui));
        });
    }

    fn sweep_choice(&self, ui: &mut Ui) {
        let below = self.shown_folder().is_some_and(|folder| folder.recursive);
        let here = if below { "this folder and its subfolders" } else { "this folder" };
        ui.label(format!(
            "Lockscope can clear by itself what is stale in {here}: its owner is proved gone, and it is untouched \
             for {}. Each is checked again first, is in the journal, and can be undone.",
            say_duration(self.settings.stale_after())
        ));
        for every in INTERVALS {
            let is_on = self.sweeping_here().is_some_and(|on| on.every == every);
            if ui.radio(is_on, format!("Clear stale every {}", say_duration(every))).clicked() {
                self.sweep_here(Some(every));
                ui.close();
            }
        }
        if ui.radio(self.sweeping_here().is_none(), "Off").clicked() {
            self.sweep_here(None);
            ui.close();
        }
        ui.label(
            muted(ui, "It goes on while you look at another folder, and ends with this window.").font(tokens::small()),
        );
    }

    /// Automatic clearing of the folder that is shown, where it is on.
    pub(super) fn sweeping_here(&self) -> Option<&Sweeping> {
        let shown = self.snapshot.as_ref()?;
        self.sweeping.iter().find(|on| on.directory == shown.directory)
    }

    /// Turns automatic clearing of the folder that is shown on or off.
    pub(super) fn sweep_here(&self, every: Option<Duration>) {
        if let Some(shown) = &self.snapshot {
            self.engine.send(Command::Sweep { directory: Arc::clone(&shown.directory), every });
        }
    }

    /// Nobody shall wonder where a lock went, whatever folder is shown.
    pub(super) fn sweep_bar(&mut self, ui: &mut Ui) {
        if self.sweeping.is_empty() {
            return;
        }
        let palette = Palette::of(ui);
        let shown = self.snapshot.as_ref().map(|shown| Arc::clone(&shown.directory));
        let with_subfolders = self.shown_folder().is_some_and(|folder| folder.recursive);
        let frame = egui::Frame::new().fill(palette.panel).inner_margin(Margin::symmetric(12, 4));
        egui::Panel::top("sweep").frame(frame).show(ui, |ui| {
            for on in self.sweeping.clone() {
                let here = shown.as_ref() == Some(&on.directory);
                let every = say_duration(on.every);
                let text = match (here, with_subfolders) {
                    (true, false) => format!("Stale locks here are cleared automatically, every {every}."),
                    (true, true) => {
                        format!("Stale locks here and in subfolders are cleared automatically, every {every}.")
                    }
                    (false, _) => {
                        let path = elided(&short_path(&on.directory, self.home.as_deref()), 48);
                        format!("Stale locks in {path} are cleared automatically, every {every}.")
                    }
                };
                ui.horizontal(|ui| {
                    Icon::Stale.show(ui, palette.verdict(Verdict::Stale));
                    let response = ui.label(text);
                    ui.ctx().accesskit_node_builder(response.id, |node| node.set_live(egui::accesskit::Live::Polite));
                    if widgets::quiet_button(ui, "Turn off").clicked() {
                        self.engine.send(Command::Sweep { directory: Arc::clone(&on.directory), every: None });
                    }
                });
            }
        });
    }
}
