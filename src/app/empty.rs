//! What is shown where there are no rows: no folder, an empty one, nothing found, a folder that is gone.

use super::display_name::{elided, short_path, visible};
use super::icons::Icon;
use super::machine_words;
use super::tokens::{self, Palette};
use super::topbar::{lost_why, lost_word};
use super::widgets::{self, count, from_right, muted, number};
use super::window::Window;
use crate::engine::Command;
use crate::model::snapshot::{Snapshot, Watching};
use crate::model::verdict::Verdict;
use crate::platform::environment;
use eframe::egui::{self, Align, Layout, Margin, RichText, Sense, Shape, Stroke, Ui, Vec2};

/// The start screen is a column of this width.
const COLUMN: f32 = 640.0;
/// Above each section of it.
const SECTION_GAP: f32 = 20.0;
/// So many directories are listed at once; the table has them all.
const MOST_DIRECTORIES: usize = 8;

impl Window {
    /// The first screen: a place to drop a folder, three other ways, the recent ones, and what is locked right now.
    pub(super) fn start_screen(&mut self, ui: &mut Ui) {
        let palette = Palette::of(ui);
        egui::CentralPanel::default().frame(egui::Frame::new().fill(palette.background)).show(ui, |ui| {
            self.notice_list(ui);
            egui::ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
                let width = COLUMN.min(ui.available_width() - 32.0);
                let side = ((ui.available_width() - width) / 2.0).max(0.0);
                ui.add_space((ui.available_height() * 0.06).clamp(16.0, 48.0));
                ui.horizontal(|ui| {
                    ui.add_space(side);
                    ui.vertical(|ui| {
                        ui.set_width(width);
                        ui.spacing_mut().item_spacing = Vec2::new(8.0, 0.0);
                        self.drop_zone(ui, width);
                        if self.settings.recent.is_empty() {
                            what_it_does(ui);
                        } else {
                            self.recent_list(ui);
                        }
                        self.locked_now(ui);
                        self.places_list(ui, 6);
                        ui.add_space(24.0);
                    });
                });
            });
        });
    }

    fn drop_zone(&mut self, ui: &mut Ui, width: f32) {
        let palette = Palette::of(ui);
        // Where the window is low, as at 300 %, what can be done must still be seen.
        let low = ui.ctx().content_rect().height() < 400.0;
        let inside = egui::Frame::new().inner_margin(Margin::symmetric(16, if low { 8 } else { 32 })).show(ui, |ui| {
            ui.set_width(width - 32.0);
            ui.vertical_centered(|ui| {
                if !low {
                    ui.add(Icon::Held.sized(38.0, palette.verdict(Verdict::Idle)));
                    ui.add_space(12.0);
                }
                let title = egui::FontId::new(20.0, tokens::strong_family());
                ui.label(RichText::new("Drop a folder with lock files here").font(title).color(palette.text));
                ui.add_space(6.0);
                ui.label(muted(ui, "See who holds each lock, whether they are alive, and clear what is stuck."));
                if environment::is_wayland() {
                    let text = "On Wayland a folder cannot be dropped yet: open or paste it, or start with --x11.";
                    ui.label(muted(ui, text).font(tokens::small()));
                }
                ui.add_space(if low { 8.0 } else { 14.0 });
                if self.typing_path || !self.typed_path.is_empty() {
                    ui.allocate_ui(Vec2::new(width - 152.0, 36.0), |ui| self.path_entry(ui));
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
        });
        let zone = inside.response.rect;
        let corners = [zone.left_top(), zone.right_top(), zone.right_bottom(), zone.left_bottom(), zone.left_top()];
        ui.painter().extend(Shape::dashed_line(
            &corners,
            Stroke::new(1.5, palette.muted.gamma_multiply(0.55)),
            5.0,
            4.0,
        ));
    }

    fn recent_list(&mut self, ui: &mut Ui) {
        let palette = Palette::of(ui);
        section(ui, "Recent");
        for recent in self.settings.recent.clone().into_iter().take(6) {
            let path = short_path(&recent.path, self.home.as_deref());
            let number = |count: u32| number(count as usize);
            let (text, color) = match (recent.stale, recent.held) {
                (0, 0) => ("nothing held".to_owned(), palette.muted),
                (0, held) => (format!("{} held", number(held)), palette.verdict(Verdict::Held)),
                (stale, 0) => (format!("{} stale", number(stale)), palette.verdict(Verdict::Stale)),
                (stale, held) => {
                    (format!("{} stale · {} held", number(stale), number(held)), palette.verdict(Verdict::Stale))
                }
            };
            let row = PlaceRow { label: format!("Recent: {path}"), path, more: String::new(), facts: text, color };
            if row.show(ui) {
                self.open(recent.path);
            }
        }
    }

    /// The directories in which kernel locks are held right now.
    fn locked_now(&mut self, ui: &mut Ui) {
        let palette = Palette::of(ui);
        let shown = self.engine.machine();
        ui.add_space(SECTION_GAP);
        ui.scope(|ui| {
            // As high as the other headings, so that the steps between sections are the same.
            ui.spacing_mut().interact_size.y = 16.0;
            ui.spacing_mut().button_padding = Vec2::ZERO;
            ui.horizontal(|ui| {
                ui.label(muted(ui, "Locks held on this machine now").font(tokens::small()));
                from_right(ui, |ui| {
                    let text = RichText::new("Show all kernel locks").font(tokens::small()).color(palette.accent);
                    if ui.add(egui::Button::new(text).frame(false)).clicked() {
                        self.show_machine();
                    }
                });
            });
        });
        ui.add_space(4.0);
        let picture = match &shown.picture {
            None => {
                ui.label(muted(ui, "Looking at the machine…"));
                return;
            }
            Some(Err(why)) => {
                ui.label(muted(ui, machine_words::sentence(why)));
                return;
            }
            Some(Ok(picture)) => picture,
        };
        let mut chosen = None;
        for directory in picture.directories.iter().take(MOST_DIRECTORIES) {
            let path = short_path(&directory.path, self.home.as_deref());
            let (facts, color) = match directory.waiting {
                0 => (format!("{} held", number(directory.held as usize)), palette.muted),
                waiting => {
                    let (held, waiting) = (number(directory.held as usize), number(waiting as usize));
                    (format!("{held} held · {waiting} waiting"), palette.verdict(Verdict::Held))
                }
            };
            let label = format!("Watch {path}, {facts}");
            let row = PlaceRow { path, more: programs(&directory.programs), facts, color, label };
            if row.show(ui) {
                chosen = Some(directory.path.to_path_buf());
            }
        }
        let (held, _) = picture.counts();
        let left = picture.directories.len().saturating_sub(MOST_DIRECTORIES);
        let mut notes = Vec::new();
        if held == 0 {
            notes.push("No kernel lock is held right now. What appears will show by itself.".to_owned());
        } else if picture.directories.is_empty() {
            notes.push(format!("{} held, but where may not be seen from here.", are(held, "lock")));
        } else if left > 0 {
            notes.push(format!("And {}.", count_of(left, "more directory", "more directories")));
        }
        let limits = picture.limits().join(" ");
        if !limits.is_empty() {
            notes.push(limits);
        }
        if !notes.is_empty() {
            ui.add_space(6.0);
            ui.add(egui::Label::new(muted(ui, notes.join(" ")).font(tokens::small())).wrap());
        }
        if let Some(path) = chosen {
            self.open(path);
        }
    }

    /// Instead of rows.
    pub(super) fn no_rows(&mut self, ui: &mut Ui, snapshot: &Snapshot) {
        let filtered = self.is_filtered();
        let (icon, title, text) = match &snapshot.watching {
            Watching::Lost(reason) => (Icon::Warning, lost_word(reason).to_owned(), lost_why(reason)),
            Watching::Loading(read) => {
                (Icon::Folder, "Reading the folder…".to_owned(), format!("{} so far", count(*read as usize, "file")))
            }
            _ if !self.listing.complete => (
                Icon::Search,
                "Searching…".to_owned(),
                format!("among {}", count(snapshot.counts.listed() as usize, "lock file")),
            ),
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
        machine_words::said(ui, icon, &title, &text, "");
        ui.vertical_centered(|ui| {
            if filtered && ui.button("Show all").clicked() {
                self.show_all();
            }
            match &snapshot.watching {
                Watching::Lost(_) => {
                    ui.allocate_ui_with_layout(Vec2::new(212.0, 36.0), Layout::left_to_right(Align::Center), |ui| {
                        if ui.button("Try again now").clicked() {
                            self.engine.send(Command::Rescan);
                        }
                        if ui.button("Open folder…").clicked() {
                            self.dialog.open(ui.ctx(), self.now.1);
                        }
                    });
                }
                Watching::Live | Watching::Polling(_) => {
                    let mut asks = || widgets::quiet_button(ui, "Show all kernel locks of this machine").clicked();
                    if !filtered && asks() {
                        self.show_machine();
                    }
                }
                Watching::Loading(_) => {}
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

/// The head of a list on the start screen.
pub(super) fn section(ui: &mut Ui, title: &str) {
    ui.add_space(SECTION_GAP);
    ui.label(muted(ui, title).font(tokens::small()));
    ui.add_space(4.0);
}

/// A directory on the start screen: a click watches it.
pub(super) struct PlaceRow {
    /// Its path as it is shown, or its name.
    pub path: String,
    /// What else there is to say, after that.
    pub more: String,
    /// What is known of it, at the right.
    pub facts: String,
    /// The colour of that.
    pub color: egui::Color32,
    /// All of it, for who cannot see it.
    pub label: String,
}

impl PlaceRow {
    /// Draws it; `true` = it was clicked.
    pub(super) fn show(self, ui: &mut Ui) -> bool {
        let palette = Palette::of(ui);
        let (rect, response) = ui.allocate_exact_size(Vec2::new(ui.available_width(), tokens::ROW), Sense::click());
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &self.label));
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
            from_right(ui, |ui| {
                ui.add(egui::Label::new(RichText::new(self.facts).color(self.color)).selectable(false));
                ui.add_space(8.0);
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                    // Both ends of a path tell more than its middle; the programs give way first.
                    let most = ((ui.available_width() / 7.4) as usize).max(12);
                    let path = elided(&self.path, most);
                    ui.add(egui::Label::new(path).selectable(false));
                    if !self.more.is_empty() {
                        widgets::cut(ui, muted(ui, self.more).font(tokens::small()));
                    }
                });
            });
        });
        response.clicked()
    }
}

/// Said where nothing was ever opened: what it does and what it never does.
fn what_it_does(ui: &mut Ui) {
    let palette = Palette::of(ui);
    ui.add_space(16.0);
    for (icon, color, text) in [
        (Icon::Check, palette.ok, "Shows who holds each lock, whether that process lives, and how that is known."),
        (
            Icon::Check,
            palette.ok,
            "Clears only what is proved stale: you confirm, it checks again, and Undo puts it back.",
        ),
        (Icon::Cross, palette.muted, "Never removes a lock that somebody holds, and changes nothing by looking."),
    ] {
        ui.horizontal(|ui| {
            ui.spacing_mut().interact_size.y = 26.0;
            ui.add_space(12.0);
            icon.show(ui, color);
            ui.add(egui::Label::new(muted(ui, text)).wrap());
        });
    }
}

/// The programs that hold locks somewhere, the first few of them.
fn programs(programs: &[Box<str>]) -> String {
    const MOST: usize = 3;
    let mut names: Vec<String> = programs.iter().take(MOST).map(|name| visible(name)).collect();
    if programs.len() > MOST {
        names.push(format!("{} more", programs.len() - MOST));
    }
    names.join(", ")
}

fn count_of(number: usize, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}

fn are(number: usize, noun: &str) -> String {
    format!("{} {}", count(number, noun), if number == 1 { "is" } else { "are" })
}
