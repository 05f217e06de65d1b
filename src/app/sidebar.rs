//! The sidebar: all folders that are watched, each with its state and its counts; and what it takes to turn between them.
//!
//! Owns: which folders are remembered, and what becomes of an open question when another folder is shown. Never: touches a
//! folder; the engine watches them.

use super::display_name::{elided, short_path, visible_name};
use super::icons::Icon;
use super::subfolders::RulesDialog;
use super::tokens::{self, Palette};
use super::topbar::{lost_why, lost_word};
use super::widgets::{self, muted, number};
use super::window::Window;
use crate::engine::Command;
use crate::engine::settings::WatchedFolder;
use crate::engine::watched::Watched;
use crate::model::snapshot::{Snapshot, Watching};
use crate::model::verdict::Verdict;
use eframe::egui::{
    self, Align2, Color32, Key, KeyboardShortcut, Modifiers, Rect, ScrollArea, Sense, Stroke, Ui, Vec2, pos2,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const ROW: f32 = 44.0;
const NARROWEST: f32 = 176.0;
const WIDEST: f32 = 380.0;

/// What the window keeps for it.
#[derive(Default)]
pub(super) struct Sidebar {
    /// As the engine publishes them.
    pub(super) watched: Arc<Vec<Watched>>,
    /// Opened here, and remembered as soon as the engine says which directory it is: a file stands for the one it is in.
    to_remember: Vec<PathBuf>,
    pub(super) rules: Option<RulesDialog>,
    /// The first screen lists all places, not only the first few.
    pub(super) all_places: bool,
}

impl Sidebar {
    fn shown(&self) -> Option<usize> {
        self.watched.iter().position(|one| one.shown)
    }

    /// Whether a question of its own is open.
    pub(super) fn is_asking(&self) -> bool {
        self.rules.is_some()
    }
}

/// What was done in a row.
enum Act {
    Show(Arc<Path>),
    Stop(Arc<Path>),
    Subfolders(WatchedFolder),
    EditRules(WatchedFolder),
}

/// As it would be remembered.
fn folder(one: &Watched) -> WatchedFolder {
    let ignore = one.ignore.as_ref().map(|lines| lines.to_vec());
    WatchedFolder { path: one.directory().to_owned(), recursive: one.recursive, ignore }
}

impl Window {
    /// Watches these folders too, in the background.
    pub(super) fn watch_too(&mut self, paths: Vec<PathBuf>) {
        self.sidebar.to_remember.extend(paths.iter().cloned());
        self.engine.send(Command::WatchToo(paths.into_iter().map(WatchedFolder::at).collect()));
    }

    /// It was opened here, so the next start has it too.
    pub(super) fn remember_watched(&mut self, path: PathBuf) {
        self.sidebar.to_remember.push(path);
    }

    /// Watches it no more.
    pub(super) fn stop_watching(&mut self, path: &Path) {
        self.settings.watched.retain(|folder| folder.path != path);
        self.sidebar.to_remember.retain(|known| known != path);
        if self.settings.directory.as_deref() == Some(path) {
            self.settings.directory = None;
        }
        self.engine.send(Command::Unwatch(path.to_owned()));
    }

    /// Stops watching the folder that is shown.
    pub(super) fn stop_watching_shown(&mut self) {
        if let Some(shown) = self.sidebar.shown().and_then(|at| self.sidebar.watched.get(at)) {
            let path = shown.directory().to_owned();
            self.stop_watching(&path);
        }
    }

    /// Shows the watched folder with this number, from 0.
    pub(super) fn show_watched(&mut self, at: usize) {
        if at < self.sidebar.watched.len() {
            self.machine.close();
        }
        if let Some(one) = self.sidebar.watched.get(at).filter(|one| !one.shown) {
            let path = one.directory().to_owned();
            self.settings.directory = Some(path.clone());
            self.turn_page();
            self.engine.send(Command::Watch(Some(path)));
        }
    }

    /// Shows the one so many places further down, round and round.
    pub(super) fn show_neighbour(&mut self, by: isize) {
        let count = self.sidebar.watched.len() as isize;
        if let Some(at) = self.sidebar.shown().filter(|_| count > 1) {
            self.show_watched((at as isize + by).rem_euclid(count) as usize);
        }
    }

    /// Whether the sidebar is there: by choice, else as soon as there is something to choose from.
    pub(super) fn has_sidebar(&self) -> bool {
        self.settings.sidebar.unwrap_or(self.sidebar.watched.len() > 1)
    }

    /// Shows or hides it, from now on.
    pub(super) fn toggle_sidebar(&mut self) {
        self.settings.sidebar = Some(!self.has_sidebar());
    }

    /// Looks at the subfolders of the folder that is shown too, or no more.
    pub(super) fn toggle_subfolders(&mut self) {
        if let Some(mut folder) = self.shown_folder() {
            folder.recursive = !folder.recursive;
            self.set_subfolders(folder);
        }
    }

    /// Asks which subfolders are passed over in the folder that is shown.
    pub(super) fn edit_rules(&mut self) {
        if let Some(folder) = self.shown_folder() {
            self.sidebar.rules = Some(RulesDialog::of(folder, &self.settings.ignore));
        }
    }

    pub(super) fn shown_folder(&self) -> Option<WatchedFolder> {
        self.sidebar.shown().and_then(|at| self.sidebar.watched.get(at)).map(folder)
    }

    pub(super) fn set_subfolders(&mut self, folder: WatchedFolder) {
        match self.settings.watched.iter_mut().find(|known| known.path == folder.path) {
            Some(known) => known.clone_from(&folder),
            None => self.settings.watched.push(folder.clone()),
        }
        self.engine.send(Command::SetSubfolders(folder));
    }

    /// Takes over what the engine has published.
    pub(super) fn refresh_sidebar(&mut self, newest: Option<&Snapshot>) {
        self.sidebar.watched = self.engine.watched();
        let (before, now) = (self.snapshot.as_deref().map(|s| &s.directory), newest.map(|s| &s.directory));
        if before.is_some() && before != now {
            self.turn_page();
        }
        let watched = Arc::clone(&self.sidebar.watched);
        let known: Vec<PathBuf> = std::mem::take(&mut self.sidebar.to_remember);
        for path in known {
            match watched.iter().find(|one| *one.path == *path) {
                Some(one) if one.picture.is_some() => {
                    if !self.settings.watched.iter().any(|known| *known.path == *one.directory()) {
                        self.settings.watched.push(folder(one));
                        // In the order in which they were asked for, not in that of their first pictures.
                        let place =
                            |known: &WatchedFolder| watched.iter().position(|one| *one.directory() == *known.path);
                        self.settings.watched.sort_by_key(|known| place(known).unwrap_or(usize::MAX));
                    }
                }
                _ => self.sidebar.to_remember.push(path),
            }
        }
    }

    /// A question about another directory's locks is void, and the same id is another lock there.
    fn turn_page(&mut self) {
        self.confirm = None;
        self.force = None;
        self.selection.clear();
    }

    pub(super) fn folder_number_keys(&mut self, ui: &Ui) {
        let consume = |modifiers, key| ui.input_mut(|i| i.consume_shortcut(&KeyboardShortcut::new(modifiers, key)));
        const NUMBERS: [Key; 9] =
            [Key::Num1, Key::Num2, Key::Num3, Key::Num4, Key::Num5, Key::Num6, Key::Num7, Key::Num8, Key::Num9];
        for (at, key) in NUMBERS.into_iter().enumerate() {
            if consume(Modifiers::COMMAND, key) {
                self.show_watched(at);
            }
        }
    }

    /// Hides and shows the sidebar, where there is something in it.
    pub(super) fn sidebar_button(&mut self, ui: &mut Ui) {
        if self.sidebar.watched.len() < 2 {
            return;
        }
        let palette = Palette::of(ui);
        let open = self.has_sidebar();
        let button = egui::Button::image(Icon::Sidebar.image(if open { palette.text } else { palette.muted }));
        let response = ui.add(button.frame(false).min_size(Vec2::splat(tokens::CONTROL)));
        let word = if open { "Hide the folders" } else { "Show the folders" };
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, word));
        if response.on_hover_text(format!("{word} (Ctrl+B)")).clicked() {
            self.toggle_sidebar();
        }
    }

    pub(super) fn sidebar(&mut self, ui: &mut Ui) {
        if !self.has_sidebar() {
            return;
        }
        let palette = Palette::of(ui);
        // In a narrow window the table needs the room.
        let widest = if ui.available_width() < tokens::NARROW { NARROWEST } else { WIDEST };
        let frame = egui::Frame::new().fill(palette.panel).inner_margin(egui::Margin::symmetric(8, 0));
        let panel = egui::Panel::left("sidebar")
            .default_size(self.settings.sidebar_width.clamp(NARROWEST, widest))
            .size_range(NARROWEST..=widest)
            .frame(frame);
        let mut act = None;
        let response = panel.show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 0.0;
            self.heading(ui);
            ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
                for at in 0..self.sidebar.watched.len() {
                    act = self.watched_row(ui, at).or(act.take());
                }
            });
        });
        let width = response.response.rect.width().round();
        // A narrow window says nothing about what is wanted in a wide one.
        if widest > NARROWEST && (width - self.settings.sidebar_width).abs() >= 1.0 {
            self.settings.sidebar_width = width;
        }
        match act {
            Some(Act::Show(path)) => {
                if let Some(at) = self.sidebar.watched.iter().position(|one| *one.directory() == *path) {
                    self.show_watched(at);
                }
            }
            Some(Act::Stop(path)) => self.stop_watching(&path),
            Some(Act::Subfolders(folder)) => self.set_subfolders(folder),
            Some(Act::EditRules(folder)) => self.sidebar.rules = Some(RulesDialog::of(folder, &self.settings.ignore)),
            None => {}
        }
    }

    fn heading(&mut self, ui: &mut Ui) {
        ui.horizontal(|ui| {
            ui.set_height(tokens::CHIP_BAR);
            ui.add_space(4.0);
            ui.add(egui::Label::new(muted(ui, "Folders").font(tokens::small())).selectable(false));
            widgets::from_right(ui, |ui| {
                let palette = Palette::of(ui);
                let button = egui::Button::image(Icon::Plus.image(palette.muted)).frame(false);
                let response = ui.add(button.min_size(Vec2::splat(24.0)));
                response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, "Add a folder…"));
                if response.on_hover_text("Open one more folder (Ctrl+O)").clicked() {
                    self.dialog.open(ui.ctx(), self.now.1);
                }
            });
        });
    }

    fn watched_row(&self, ui: &mut Ui, at: usize) -> Option<Act> {
        let one = &self.sidebar.watched[at];
        let palette = Palette::of(ui);
        let directory: Arc<Path> = one.directory().into();
        let name = name_of(&directory);
        let (word, why) = state(one);
        let (stale, held) = (one.counts().of(Verdict::Stale), one.counts().of(Verdict::Held));
        let swept = self.sweeping.iter().any(|on| on.directory == directory);
        let whole = short_path(&directory, self.home.as_deref());
        let mut words = vec![name.clone(), whole, word.clone()];
        words.extend((stale > 0).then(|| format!("{} stale", number(stale as usize))));
        words.extend((held > 0).then(|| format!("{} held", number(held as usize))));
        words.extend(one.recursive.then(|| "with subfolders".to_owned()));
        words.extend(swept.then(|| "cleared automatically".to_owned()));
        let label = words.join(", ");

        let (rect, response) = ui.allocate_exact_size(Vec2::new(ui.available_width(), ROW), Sense::click());
        response.widget_info(|| egui::WidgetInfo::selected(egui::Role::Button, true, one.shown, label.clone()));
        let mut act = response.clicked().then(|| Act::Show(Arc::clone(&directory)));
        let over = ui.rect_contains_pointer(rect);
        let inner = rect.shrink2(Vec2::new(0.0, 1.0));
        if one.shown || over {
            let fill = if one.shown { palette.selection } else { palette.hover };
            ui.painter().rect_filled(inner, tokens::RADIUS, fill);
        }
        if response.has_focus() {
            let stroke = Stroke::new(1.5, palette.accent);
            ui.painter().rect_stroke(inner, tokens::RADIUS, stroke, egui::StrokeKind::Inside);
        }
        state_mark(ui, pos2(rect.left() + 12.0, rect.top() + 15.0), one.watching());

        let close_rect = Rect::from_center_size(pos2(rect.right() - 12.0, rect.center().y), Vec2::splat(20.0));
        let close = ui.interact(close_rect, response.id.with("close"), Sense::click());
        close.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, format!("Stop watching {name}")));
        if over || one.shown || close.has_focus() {
            let color = if close.hovered() || close.has_focus() { palette.text } else { palette.muted };
            if close.hovered() || close.has_focus() {
                ui.painter().rect_filled(close_rect, 4.0, palette.raised);
            }
            Icon::Close.sized(11.0, color).paint_at(ui, Rect::from_center_size(close_rect.center(), Vec2::splat(11.0)));
        }
        if close.clicked() {
            act = Some(Act::Stop(Arc::clone(&directory)));
        }
        close.on_hover_text("Stop watching. Nothing in the folder is touched.");

        let mut right = close_rect.left() - 4.0;
        for (count, verdict) in [(held, Verdict::Held), (stale, Verdict::Stale)] {
            if count > 0 {
                right = badge(ui, pos2(right, rect.center().y), count, verdict);
            }
        }
        let second = match one.watching() {
            Some(Watching::Lost(_) | Watching::Loading(_)) => word.clone(),
            _ => tell_apart(&directory, self.sidebar.watched.iter().map(Watched::directory), self.home.as_deref()),
        };
        let lost = matches!(one.watching(), Some(Watching::Lost(_)));
        let room = Rect::from_min_max(pos2(rect.left() + 24.0, rect.top()), pos2(right - 6.0, rect.bottom()));
        let font = if one.shown { tokens::strong() } else { tokens::body() };
        line(ui, room, rect.top() + 15.0, &name, font, palette.text);
        let mut x = room.left();
        for (is, icon) in [(swept, Icon::Refresh), (one.recursive, Icon::Subfolders)] {
            if is {
                let at = Rect::from_center_size(pos2(x + 6.0, rect.top() + 31.0), Vec2::splat(12.0));
                icon.sized(12.0, palette.muted).paint_at(ui, at);
                x += 16.0;
            }
        }
        let color = if lost { palette.verdict(Verdict::Stale) } else { palette.muted };
        let room = Rect::from_min_max(pos2(x, room.top()), room.max);
        line(ui, room, rect.top() + 31.0, &second, tokens::small(), color);

        response.context_menu(|ui| act = Self::row_menu(ui, one).or(act.take()));
        let key = if at < 9 { format!(" (Ctrl+{})", at + 1) } else { String::new() };
        let more = if swept { "\nStale locks here are cleared automatically." } else { "" };
        response.on_hover_text(format!("{}{key}\n{word}: {why}{more}", visible_name(&directory.to_string_lossy())));
        act
    }

    fn row_menu(ui: &mut Ui, one: &Watched) -> Option<Act> {
        let mut act = None;
        let mut folder = folder(one);
        if ui.checkbox(&mut folder.recursive, "With subfolders").clicked() {
            act = Some(Act::Subfolders(folder.clone()));
            ui.close();
        }
        if ui.button("Subfolders to pass over…").clicked() {
            act = Some(Act::EditRules(folder));
            ui.close();
        }
        if ui.button("Copy path").clicked() {
            ui.ctx().copy_text(one.directory().to_string_lossy().into_owned());
            ui.close();
        }
        ui.separator();
        if ui.button("Stop watching").clicked() {
            act = Some(Act::Stop(one.directory().into()));
            ui.close();
        }
        act
    }
}

/// One line of text, cut where the room ends.
fn line(ui: &Ui, room: Rect, middle: f32, text: &str, font: egui::FontId, color: Color32) {
    let mut job = egui::text::LayoutJob::simple_singleline(text.to_owned(), font, color);
    job.wrap = egui::text::TextWrapping::truncate_at_width(room.width().max(8.0));
    let galley = ui.painter().layout_job(job);
    let at = pos2(room.left(), middle - galley.size().y / 2.0);
    ui.painter().galley(at, galley, color);
}

/// A count with its verdict's icon, to the left of a point; gives where the next may end.
fn badge(ui: &Ui, right: egui::Pos2, count: u32, verdict: Verdict) -> f32 {
    let color = Palette::of(ui).verdict(verdict);
    let text = if count > 99_999 { "99,999+".to_owned() } else { number(count as usize) };
    let drawn = ui.painter().text(right, Align2::RIGHT_CENTER, text, tokens::small(), color);
    let icon = Rect::from_center_size(pos2(drawn.left() - 9.0, right.y), Vec2::splat(12.0));
    Icon::of(verdict).sized(12.0, color).paint_at(ui, icon);
    icon.left() - 8.0
}

/// How it is watched, in a word, and what that means.
fn state(one: &Watched) -> (String, String) {
    match one.watching() {
        None => ("Opening".to_owned(), "it has not been looked at yet.".to_owned()),
        Some(Watching::Live) => ("Live".to_owned(), "the file system tells of each change.".to_owned()),
        Some(Watching::Polling(_)) => ("Polling".to_owned(), "it is read again and again.".to_owned()),
        Some(Watching::Loading(count)) => {
            (format!("Reading… {}", number(*count as usize)), "the first pass is under way.".to_owned())
        }
        Some(Watching::Lost(reason)) => (lost_word(reason).to_owned(), lost_why(reason)),
    }
}

/// The state as a mark: a dot, a ring, or a cross, so that colour never stands alone.
fn state_mark(ui: &Ui, center: egui::Pos2, watching: Option<&Watching>) {
    let palette = Palette::of(ui);
    let painter = ui.painter();
    match watching {
        Some(Watching::Live) => drop(painter.circle_filled(center, 4.0, palette.ok)),
        Some(Watching::Polling(_)) => {
            painter.circle_stroke(center, 3.5, Stroke::new(1.7, palette.verdict(Verdict::Held)));
        }
        Some(Watching::Loading(_)) | None => drop(painter.circle_stroke(center, 3.5, Stroke::new(1.7, palette.accent))),
        Some(Watching::Lost(_)) => {
            let color = palette.verdict(Verdict::Stale);
            Icon::Cross.sized(11.0, color).paint_at(ui, Rect::from_center_size(center, Vec2::splat(11.0)));
        }
    }
}

fn name_of(directory: &Path) -> String {
    visible_name(&directory.file_name().unwrap_or(directory.as_os_str()).to_string_lossy())
}

/// Where a folder stands: of several with one name, as much of the path as tells it from the others; else all of it.
fn tell_apart<'a>(path: &Path, all: impl Iterator<Item = &'a Path>, home: Option<&Path>) -> String {
    let Some(parent) = path.parent() else { return String::new() };
    let others: Vec<&Path> =
        all.filter(|other| *other != path && other.file_name() == path.file_name()).filter_map(Path::parent).collect();
    if others.is_empty() {
        return elided(&short_path(parent, home), 40);
    }
    let last = |path: &Path, parts: usize| -> PathBuf {
        let all: Vec<_> = path.components().collect();
        all[all.len().saturating_sub(parts)..].iter().collect()
    };
    let whole = parent.components().count();
    let parts = (1..whole).find(|parts| others.iter().all(|other| last(other, *parts) != last(parent, *parts)));
    match parts {
        Some(parts) => format!("…/{}", visible_name(&last(parent, parts).to_string_lossy())),
        None => elided(&short_path(parent, home), 40),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_one_name_are_told_apart() {
        let all = ["/srv/a/storage/locks", "/srv/b/storage/locks", "/home/ada/locks", "/run/lock"].map(Path::new);
        let home = Some(Path::new("/home/ada"));
        for (path, told) in [
            ("/srv/a/storage/locks", "…/a/storage"),
            ("/srv/b/storage/locks", "…/b/storage"),
            ("/home/ada/locks", "…/ada"),
            ("/run/lock", "/run"),
        ] {
            assert_eq!(tell_apart(Path::new(path), all.into_iter(), home), told);
        }
        assert_eq!(tell_apart(Path::new("/home/ada/x"), all.into_iter(), home), "~");
        assert_eq!(tell_apart(Path::new("/"), all.into_iter(), home), "");
    }
}
