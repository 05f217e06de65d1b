//! What is shown where there are no rows: no folder, an empty one, nothing found, a folder that is gone.

use super::display_name::{elided, short_path};
use super::icons::Icon;
use super::tokens::{self, Palette};
use super::topbar::{lost_why, lost_word};
use super::widgets::{self, count, from_right, muted};
use super::window::Window;
use crate::engine::Command;
use crate::model::snapshot::{Snapshot, Watching};
use crate::model::verdict::Verdict;
use crate::platform::environment;
use eframe::egui::{self, Align, Layout, Margin, RichText, Sense, Shape, Stroke, Ui, Vec2};

impl Window {
    /// The first screen: a place to drop a folder, three other ways, and the recent ones.
    pub(super) fn start_screen(&mut self, ui: &mut Ui) {
        let palette = Palette::of(ui);
        egui::CentralPanel::default().frame(egui::Frame::new().fill(palette.background)).show(ui, |ui| {
            self.notice_list(ui);
            let width = 640.0_f32.min(ui.available_width() - 32.0);
            let recent = self.settings.recent.len().min(6) as f32;
            let height = 250.0 + if recent > 0.0 { 48.0 + 32.0 * recent } else { 0.0 };
            let top = ((ui.available_height() - height) / 2.0).max(16.0);
            let left = ((ui.available_width() - width) / 2.0).max(0.0);
            let rect = egui::Rect::from_min_size(ui.min_rect().min + Vec2::new(left, top), Vec2::new(width, height));
            let builder = egui::UiBuilder::new().max_rect(rect).layout(Layout::top_down(Align::Center));
            ui.scope_builder(builder, |ui| {
                let zone = egui::Rect::from_min_size(rect.min, Vec2::new(width, 250.0));
                let corners =
                    [zone.left_top(), zone.right_top(), zone.right_bottom(), zone.left_bottom(), zone.left_top()];
                ui.painter().extend(Shape::dashed_line(&corners, Stroke::new(1.5, palette.line), 5.0, 4.0));
                ui.add_space(46.0);
                ui.add(Icon::Held.sized(38.0, palette.verdict(Verdict::Idle)));
                ui.add_space(14.0);
                let title = egui::FontId::new(20.0, tokens::strong_family());
                ui.label(RichText::new("Drop a folder with lock files here").font(title).color(palette.text));
                ui.label(muted(ui, "See who holds each lock, whether they are alive, and clear what is stuck."));
                if environment::is_wayland() {
                    let text = "On Wayland a folder cannot be dropped yet: open or paste it, or start with --x11.";
                    ui.label(muted(ui, text).font(tokens::small()));
                }
                ui.add_space(14.0);
                if self.typing_path || !self.typed_path.is_empty() {
                    ui.allocate_ui(Vec2::new(width - 120.0, 36.0), |ui| self.path_entry(ui));
                } else {
                    ui.allocate_ui_with_layout(Vec2::new(306.0, 36.0), Layout::left_to_right(Align::Center), |ui| {
                        if widgets::primary_button(ui, "Open folder…").clicked() {
                            self.dialog.open(ui.ctx(), self.now.1);
                        }
                        if ui.button("Paste a path").clicked() {
                            self.typing_path = true;
                            // The field must be there in the next frame to take the focus and the paste.
                            self.typed_path = String::from(" ");
                            ui.ctx().send_viewport_cmd(egui::ViewportCommand::RequestPaste);
                        }
                        if widgets::quiet_button(ui, "Try the demo").clicked() {
                            self.engine.send(Command::StartDemo);
                        }
                    });
                }
            });
            let below = egui::Rect::from_min_size(rect.min + Vec2::new(0.0, 270.0), Vec2::new(width, height - 270.0));
            if recent > 0.0 {
                let builder = egui::UiBuilder::new().max_rect(below).layout(Layout::top_down(Align::Min));
                ui.scope_builder(builder, |ui| self.recent_list(ui));
            }
        });
    }

    fn recent_list(&mut self, ui: &mut Ui) {
        let palette = Palette::of(ui);
        ui.label(muted(ui, "Recent").font(tokens::small()));
        for recent in self.settings.recent.clone().into_iter().take(6) {
            let (rect, response) = ui.allocate_exact_size(Vec2::new(ui.available_width(), 32.0), Sense::click());
            let path = short_path(&recent.path, self.home.as_deref());
            response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, format!("Recent: {path}")));
            if response.hovered() || response.has_focus() {
                ui.painter().rect_filled(rect, 6.0, palette.hover);
            }
            ui.painter().hline(rect.x_range(), rect.bottom(), Stroke::new(1.0, palette.line));
            let builder = egui::UiBuilder::new()
                .max_rect(rect.shrink2(Vec2::new(12.0, 0.0)))
                .layout(Layout::left_to_right(Align::Center));
            ui.scope_builder(builder, |ui| {
                Icon::Folder.show(ui, palette.muted);
                ui.add_space(6.0);
                ui.add(egui::Label::new(elided(&path, 64)).selectable(false));
                from_right(ui, |ui| {
                    let (text, color) = match (recent.stale, recent.held) {
                        (0, 0) => ("nothing held".to_owned(), palette.muted),
                        (0, held) => (format!("{held} held"), palette.verdict(Verdict::Held)),
                        (stale, 0) => (format!("{stale} stale"), palette.verdict(Verdict::Stale)),
                        (stale, held) => (format!("{stale} stale · {held} held"), palette.verdict(Verdict::Stale)),
                    };
                    ui.add(egui::Label::new(RichText::new(text).color(color)).selectable(false));
                });
            });
            if response.clicked() {
                self.open(recent.path);
            }
        }
    }

    /// Instead of rows.
    pub(super) fn no_rows(&mut self, ui: &mut Ui, snapshot: &Snapshot) {
        let palette = Palette::of(ui);
        let filtered = self.is_filtered();
        let (icon, title, text) = match &snapshot.watching {
            Watching::Lost(reason) => (Icon::Warning, lost_word(reason).to_owned(), lost_why(reason)),
            Watching::Loading(read) => {
                (Icon::Folder, "Reading the folder…".to_owned(), format!("{} so far", count(*read as usize, "file")))
            }
            _ if filtered => (
                Icon::Search,
                "Nothing matches".to_owned(),
                format!(
                    "{} are here, but none fits the filter.",
                    count(snapshot.counts.listed() as usize, "lock file")
                ),
            ),
            _ => (
                Icon::Idle,
                "No lock files here".to_owned(),
                "Nothing is locked and nothing was left behind. What appears will show at once.".to_owned(),
            ),
        };
        ui.vertical_centered(|ui| {
            ui.add_space((ui.available_height() / 2.0 - 90.0).max(24.0));
            ui.add(icon.sized(34.0, palette.muted));
            ui.add_space(8.0);
            ui.label(RichText::new(title).font(tokens::title()));
            ui.label(muted(ui, text));
            ui.add_space(8.0);
            if filtered && ui.button("Show all").clicked() {
                self.show_all();
            }
            if matches!(snapshot.watching, Watching::Lost(_)) && ui.button("Open folder…").clicked() {
                self.dialog.open(ui.ctx(), self.now.1);
            }
        });
    }

    /// Notices, each with a way to close it.
    pub(super) fn notice_bars(&mut self, ui: &mut Ui) {
        if !self.notices.is_empty() {
            let frame = egui::Frame::new().fill(Palette::of(ui).panel).inner_margin(Margin::symmetric(12, 4));
            egui::Panel::top("notices").frame(frame).show(ui, |ui| self.notice_list(ui));
        }
    }

    fn notice_list(&mut self, ui: &mut Ui) {
        let palette = Palette::of(ui);
        let mut closed = None;
        for (at, notice) in self.notices.iter().enumerate() {
            ui.horizontal(|ui| {
                Icon::Warning.show(ui, palette.verdict(Verdict::Held));
                let response = ui.label(notice);
                ui.ctx().accesskit_node_builder(response.id, |node| node.set_live(egui::accesskit::Live::Polite));
                if widgets::quiet_button(ui, "Dismiss").clicked() {
                    closed = Some(at);
                }
            });
        }
        if let Some(at) = closed {
            self.notices.remove(at);
        }
    }
}
