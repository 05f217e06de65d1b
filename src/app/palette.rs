//! The palette: every command, lock and folder by a few letters of its name.
//!
//! Owns: [`CommandPalette`] and how what is typed is compared. Never: does what was chosen; that is the command's.

use super::command::{Action, COMMANDS};
use super::display_name::{elided, short_path, visible_name};
use super::icons::Icon;
use super::selection::Reach;
use super::tokens::{self, Palette};
use super::widgets;
use super::window::Window;
use crate::engine::listing::Row;
use crate::model::snapshot::LockId;
use eframe::egui::{self, Align, Align2, Key, Layout, Modifiers, RichText, ScrollArea, Sense, Ui, Vec2};
use std::path::PathBuf;

/// So many locks are offered beside the commands.
const MOST_LOCKS: usize = 8;
const ROW: f32 = 32.0;
/// The column of what each is.
const KIND: f32 = 96.0;
const NAME: &str = "Find a command, a lock or a folder";

/// What is typed and what it found.
#[derive(Default)]
pub(super) struct CommandPalette {
    text: Option<String>,
    /// What `found` was made for: the text, and the snapshot's generation.
    made_for: Option<(String, u64)>,
    found: Vec<Find>,
    at: usize,
    opened: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Find {
    Action(Action),
    Lock(LockId),
    Folder(PathBuf),
}

impl CommandPalette {
    pub(super) fn open(&mut self) {
        *self = Self { text: Some(String::new()), opened: true, ..Self::default() };
    }

    pub(super) fn is_open(&self) -> bool {
        self.text.is_some()
    }
}

/// How well a text fits what was typed; `None` = not at all, more is better. Each word must be there: at the beginning of a
/// word best, within one next, its letters one after the other last.
fn fits(typed: &str, text: &str) -> Option<i32> {
    all_fit(typed, text, true)
}

/// The same without letters that only follow one another: in many words they are found by chance.
fn strictly_fits(typed: &str, text: &str) -> Option<i32> {
    all_fit(typed, text, false)
}

fn all_fit(typed: &str, text: &str, loosely: bool) -> Option<i32> {
    let text = text.to_lowercase();
    let fits = |word| word_fits(word, &text).filter(|score| loosely || *score > LOOSE);
    typed.to_lowercase().split_whitespace().try_fold(0, |sum, word| Some(sum + fits(word)?))
}

/// Letters that only follow one another are worth this at most.
const LOOSE: i32 = 30;

fn word_fits(word: &str, text: &str) -> Option<i32> {
    if let Some(at) = text.find(word) {
        let begins = text[..at].chars().next_back().is_none_or(|before| !before.is_alphanumeric());
        return Some(if at == 0 {
            120
        } else if begins {
            100
        } else {
            60
        });
    }
    let mut letters = text.char_indices();
    let (mut first, mut last) = (None, 0);
    for wanted in word.chars() {
        let begins = |at: usize| text[..at].chars().next_back().is_none_or(|before| !before.is_alphanumeric());
        let (at, _) = letters.find(|(at, letter)| *letter == wanted && (first.is_some() || begins(*at)))?;
        first = first.or(Some(at));
        last = at;
    }
    // Letters that lie too far apart are chance.
    let spread = last - first.unwrap_or(0);
    (spread <= word.len() * 3).then(|| LOOSE - spread as i32)
}

impl Window {
    pub(super) fn command_palette(&mut self, ui: &mut Ui) {
        let Some(mut text) = self.palette.text.take() else { return };
        let moved = |key| ui.input_mut(|i| i.consume_key(Modifiers::NONE, key));
        let (down, up, enter) = (moved(Key::ArrowDown), moved(Key::ArrowUp), moved(Key::Enter));
        let width = 560.0_f32.min(ui.ctx().content_rect().width() - 32.0);
        let mut chosen = None;
        // Its top stays where it is while the list below gets shorter.
        let place = (Align2::CENTER_TOP, Vec2::new(0.0, (ui.ctx().content_rect().height() * 0.12).min(96.0)));
        let response = widgets::modal_at(ui, "palette", NAME, 8, place, |ui| {
            ui.set_width(width);
            let hint = RichText::new(NAME).color(Palette::of(ui).placeholder);
            let field = ui.add(widgets::field(&mut text).hint_text(hint).id(egui::Id::unique("palette-text")));
            field.widget_info(|| egui::WidgetInfo::labeled(egui::Role::TextInput, true, NAME));
            if self.palette.opened || !field.has_focus() {
                field.request_focus();
            }
            self.find(&text);
            let last = self.palette.found.len().saturating_sub(1);
            let at = self.palette.at.saturating_add(usize::from(down)).saturating_sub(usize::from(up)).min(last);
            let moved = at != self.palette.at || self.palette.opened;
            self.palette.at = at;
            self.palette.opened = false;
            if enter {
                chosen = self.palette.found.get(at).cloned();
            }
            ui.add_space(4.0);
            let most = (ui.ctx().content_rect().height() - 160.0).clamp(64.0, 420.0);
            ScrollArea::vertical().max_height(most).auto_shrink([false, true]).show(ui, |ui| {
                ui.spacing_mut().item_spacing.y = 0.0;
                for (row, find) in self.palette.found.iter().enumerate() {
                    let above = row.checked_sub(1).and_then(|above| self.palette.found.get(above));
                    let response = self.palette_row(ui, find, above, row == at);
                    if row == at && moved {
                        response.scroll_to_me(None);
                    }
                    if response.clicked() {
                        chosen = Some(find.clone());
                    }
                }
            });
            if self.palette.found.is_empty() {
                ui.label(widgets::muted(ui, "Nothing is called so."));
            }
            if let Some(find) = self.palette.found.get(at) {
                let (title, why) = self.spoken(find);
                let said = why.map_or(title.clone(), |why| format!("{title}, not now: {why}"));
                ui.ctx().accesskit_node_builder(field.id, |node| node.set_description(said.as_str()));
            }
        });
        if chosen.is_none() && !response.should_close() {
            self.palette.text = Some(text);
        }
        match chosen {
            Some(Find::Action(action)) => self.perform(ui.ctx(), action),
            Some(Find::Lock(id)) => self.go_to(id),
            Some(Find::Folder(path)) => self.open(path),
            None => {}
        }
    }

    /// Finds anew where the text or the picture is another.
    fn find(&mut self, text: &str) {
        let generation = self.snapshot.as_ref().map_or(0, |snapshot| snapshot.generation);
        let made_for = (text.to_owned(), generation);
        if self.palette.made_for.as_ref() == Some(&made_for) {
            return;
        }
        let same_text = self.palette.made_for.as_ref().is_some_and(|(before, _)| before == text);
        let mut found: Vec<(i32, Find)> = COMMANDS
            .iter()
            .filter(|command| command.action != Action::Palette)
            .filter_map(|command| {
                let by_title = fits(text, command.title).map(|score| score + 5);
                let all = format!("{} {} {}", command.title, command.words, command.section.title());
                by_title.or_else(|| strictly_fits(text, &all).map(|score| score - 10)).map(|score| {
                    // What somebody under pressure came for, before anything is typed.
                    let first = i32::from(text.trim().is_empty() && command.action == Action::ClearStale);
                    let later = if (command.why_not)(self).is_some() { 15 } else { 0 };
                    (score + first - later, Find::Action(command.action))
                })
            })
            .collect();
        let watched = self.sidebar.watched.iter().filter(|one| !one.shown).map(|one| one.directory().to_owned());
        let mut folders: Vec<PathBuf> = watched.collect();
        folders.extend(self.settings.recent.iter().map(|recent| recent.path.clone()));
        let mut seen = std::collections::HashSet::new();
        folders.retain(|path| seen.insert(path.clone()));
        for path in folders {
            let name = short_path(&path, self.home.as_deref());
            found.extend(strictly_fits(text, &name).map(|score| (score - 20, Find::Folder(path))));
        }
        if text.trim().len() > 1
            && let Some(snapshot) = &self.snapshot
        {
            let mut locks: Vec<(i32, LockId)> = snapshot
                .locks()
                .filter_map(|lock| Some((strictly_fits(text, &lock.display_path())?, lock.id)))
                .collect();
            locks.sort_by_key(|(score, id)| (-score, *id));
            found.extend(locks.into_iter().take(MOST_LOCKS).map(|(score, id)| (score - 5, Find::Lock(id))));
        }
        // A stable sort: what fits alike stays in the order of the menus.
        found.sort_by_key(|(score, _)| -score);
        self.palette.found = found.into_iter().map(|(_, find)| find).collect();
        self.palette.made_for = Some(made_for);
        if !same_text {
            self.palette.at = 0;
        }
    }

    /// The words of a find, and why it may not be used now.
    fn spoken(&self, find: &Find) -> (String, Option<String>) {
        match find {
            Find::Action(action) => {
                let command = action.command();
                let on = match action.is_on(self) {
                    Some(true) => " (on)",
                    _ => "",
                };
                (format!("{}{on}", command.title), (command.why_not)(self))
            }
            Find::Lock(id) => {
                let lock = self.snapshot.as_ref().and_then(|snapshot| snapshot.lock(*id));
                (lock.map(|lock| visible_name(&lock.display_path())).unwrap_or_default(), None)
            }
            Find::Folder(path) => (short_path(path, self.home.as_deref()), None),
        }
    }

    /// What a find is: the section of a command, the verdict of a lock.
    fn kind(&self, palette: &Palette, find: &Find) -> (Option<Icon>, egui::Color32, &'static str) {
        match find {
            Find::Action(action) => (None, palette.muted, action.command().section.title()),
            Find::Lock(id) => {
                let lock = self.snapshot.as_ref().and_then(|snapshot| snapshot.lock(*id));
                let verdict = lock.map_or(crate::model::verdict::Verdict::Unknown, |lock| lock.judgement.verdict);
                (Some(Icon::of(verdict)), palette.verdict(verdict), verdict.title())
            }
            Find::Folder(_) => (Some(Icon::Folder), palette.muted, "Folder"),
        }
    }

    fn palette_row(&self, ui: &mut Ui, find: &Find, above: Option<&Find>, current: bool) -> egui::Response {
        let palette = Palette::of(ui);
        let (title, why_not) = self.spoken(find);
        // CLICK and no focus: the field keeps it, as in every palette.
        let (rect, response) = ui.allocate_exact_size(Vec2::new(ui.available_width(), ROW), Sense::CLICK);
        response.widget_info(|| {
            let label = why_not.as_ref().map_or(title.clone(), |why| format!("{title}, not now: {why}"));
            egui::WidgetInfo::labeled(egui::Role::ListBoxOption, true, label)
        });
        ui.ctx().accesskit_node_builder(response.id, |node| node.set_selected(current));
        let fill = match (current, response.hovered()) {
            (true, _) => palette.selection,
            (false, true) => palette.hover,
            _ => egui::Color32::TRANSPARENT,
        };
        ui.painter().rect_filled(rect, f32::from(tokens::RADIUS), fill);
        let builder = egui::UiBuilder::new()
            .max_rect(rect.shrink2(Vec2::new(10.0, 0.0)))
            .layout(Layout::left_to_right(Align::Center));
        ui.scope_builder(builder, |ui| {
            // What it is stands at the left, said once where the rows above are of the same; keys stand alone at the right.
            let (icon, color, kind) = self.kind(palette, find);
            let heading = ui.available_rect_before_wrap().with_max_x(ui.max_rect().left() + KIND);
            ui.scope_builder(egui::UiBuilder::new().max_rect(heading), |ui| {
                ui.set_width(KIND);
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                    if let Some(icon) = icon {
                        icon.show(ui, color);
                    }
                    if icon.is_some() || above.is_none_or(|above| self.kind(palette, above).2 != kind) {
                        widgets::cut(ui, RichText::new(kind).font(tokens::small()).color(color));
                    }
                });
            });
            let key = match find {
                Find::Action(action) => action.key().unwrap_or_default(),
                Find::Lock(_) | Find::Folder(_) => String::new(),
            };
            widgets::from_right(ui, |ui| {
                let key = RichText::new(key).font(tokens::small()).color(palette.muted);
                ui.add(egui::Label::new(key).selectable(false));
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                    let color = if why_not.is_some() { palette.muted } else { palette.text };
                    let title = elided(&title, (ui.available_width() / 7.0) as usize);
                    ui.add(egui::Label::new(RichText::new(title).color(color)).selectable(false));
                    if let Some(why) = &why_not {
                        let why = RichText::new(why).font(tokens::small()).color(palette.muted);
                        widgets::cut(ui, why);
                    }
                });
            });
        });
        response
    }

    /// Chooses a lock and shows its row, whatever the filter says.
    fn go_to(&mut self, id: LockId) {
        let row = self.listing.rows.iter().position(|row| *row == Row::Lock(id));
        if row.is_none() {
            self.show_all();
            self.query.folded.clear();
        }
        self.selection.choose(id, Reach::Only, &self.listing.rows);
        self.scroll_to = row;
        self.focus_row = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_letters_find() {
        for (typed, text) in [
            ("", "anything"),
            ("clear", "Clear all that is stale…"),
            ("stale clear", "Clear all that is stale…"),
            ("thd", "Theme: dark"),
            ("DARK", "Theme: dark"),
        ] {
            assert!(fits(typed, text).is_some(), "{typed} finds {text}");
        }
        for (typed, text) in
            [("clear idle", "Clear all that is stale…"), ("xyz", "Theme: dark"), ("tk", "the first of many, kept")]
        {
            assert_eq!(fits(typed, text), None, "{typed} does not find {text}");
        }
        assert_eq!(strictly_fits("oldest", "Folders sidebar tabs directories"), None);
        assert_eq!(fits("oldest", "Folders sidebar tabs"), None, "letters begin where a word does");
        assert!(fits("the", "Theme: dark") > fits("the", "put the lock back"), "beginnings first");
        assert!(fits("dark", "Theme: dark") > fits("thd", "Theme: dark"), "words before letters");
    }

    #[test]
    fn each_command_is_found_by_its_own_title() {
        for command in COMMANDS {
            assert!(fits(command.title, command.title).is_some(), "{}", command.title);
        }
    }
}
