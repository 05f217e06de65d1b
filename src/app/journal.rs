//! The journal as a logbook: what was cleared, refused and put back, by whom and why, newest first, with Undo.
//!
//! Owns: the panel and its rows. Never: goes through the whole journal in one frame ([`super::sieve`] does not either).

use super::below::{choice, head, is_narrow};
use super::display_name::{elided, short_path, visible, visible_name};
use super::icons::Icon;
use super::selection::Reach;
use super::sieve::{Item, Kind, Listed, Sieve, Wanted};
use super::tokens::{self, Palette};
use super::widgets::{self, from_right, muted};
use super::window::Window;
use crate::engine::listing::Row;
use crate::engine::{Command, JournalLine};
use crate::model::time::{Wall, Zone};
use crate::model::verdict::Verdict;
use eframe::egui::{
    self, Align, CornerRadius, Event, EventFilter, Key, Label, Layout, Margin, Modifiers, Rect, RichText, ScrollArea,
    Sense, Stroke, Ui, UiBuilder, Vec2,
};
use std::path::Path;
use std::sync::Arc;

/// One entry, and the heading of a day.
const LINE: f32 = 28.0;
/// From this width on all stands in the head's one line.
const WIDE: f32 = 1100.0;

/// What the panel remembers.
#[derive(Debug, Default)]
pub(super) struct JournalView {
    wanted: Wanted,
    /// Only this folder's.
    pub(super) here_only: bool,
    sieve: Sieve,
    /// The chosen entry, by its id.
    chosen: Option<String>,
    /// Where it stands in which list.
    place: Option<(Arc<Listed>, String, Option<usize>)>,
    /// It is shown in full.
    open: bool,
    /// How high the chosen entry was, in full, in the last frame.
    height: f32,
    /// Whether it could be put back, once that was looked at; for which entry, in which journal.
    asked: Option<(String, Arc<Vec<JournalLine>>)>,
    can: Option<Result<(), String>>,
    scroll_to: bool,
    focused: bool,
}

impl JournalView {
    /// The answer to whether an entry can be put back.
    pub(super) fn hear(&mut self, id: &str, can: Result<(), String>) {
        if self.asked.as_ref().is_some_and(|(asked, _)| asked == id) {
            self.can = Some(can);
        }
    }

    /// What is listed now: the journal, and the places in it.
    pub(super) fn listed(&self) -> (Arc<Vec<JournalLine>>, Vec<u32>) {
        let listed = self.sieve.listed();
        (Arc::clone(&listed.journal), listed.entries().collect())
    }

    /// How many entries are listed.
    pub(super) fn count(&self) -> usize {
        self.sieve.listed().count
    }

    /// Where the chosen entry stands; looked for once a list.
    fn place_of_chosen(&mut self, listed: &Arc<Listed>) -> Option<usize> {
        let known =
            self.place.as_ref().filter(|(list, id, _)| Arc::ptr_eq(list, listed) && Some(id) == self.chosen.as_ref());
        if let Some((_, _, at)) = known {
            return *at;
        }
        let id = self.chosen.clone()?;
        let is_it = |item: &Item| matches!(item, Item::Entry(at) if listed.journal.get(*at as usize).is_some_and(|line| line.id == id));
        let at = listed.items.iter().position(is_it);
        self.place = Some((Arc::clone(listed), id, at));
        at
    }

    /// It is not in sight any more.
    pub(super) fn lose_keys(&mut self) {
        self.focused = false;
    }

    /// The keys belong to it.
    pub(super) fn has_keys(&self) -> bool {
        self.focused
    }
}

/// What a row was asked for.
enum Wish {
    Choose(String),
    Undo(String),
    Copy(String),
    Show(Box<JournalLine>),
}

impl Window {
    /// The panel's content.
    pub(super) fn journal(&mut self, ui: &mut Ui) {
        let mut view = std::mem::take(&mut self.papers.journal);
        let here = self.snapshot.as_ref().map(|snapshot| snapshot.directory.to_string_lossy().into_owned());
        view.wanted.directory = here.filter(|_| view.here_only);
        let zone = self.papers.zone.clone();
        if view.sieve.step(&self.engine.journal(), &view.wanted, &zone) {
            ui.ctx().request_repaint();
        }
        ui.spacing_mut().item_spacing.y = 0.0;
        self.journal_head(ui, &mut view);
        let listed = view.sieve.listed();
        if listed.items.is_empty() {
            nothing_listed(ui, &mut view, &listed);
        } else {
            self.journal_rows(ui, &mut view, &listed, &zone);
        }
        self.papers.journal = view;
    }

    fn journal_head(&mut self, ui: &mut Ui, view: &mut JournalView) {
        // Where the chips have room beside the rest they cost no line.
        let in_line = ui.available_width() >= WIDE;
        let narrow = is_narrow(ui);
        if narrow {
            self.below_first_line(ui);
        }
        head(ui, |ui| {
            if !narrow {
                self.below_tabs(ui);
            }
            if choice(ui, !view.here_only, "All folders", true).clicked() {
                view.here_only = false;
            }
            if choice(ui, view.here_only, "This folder", true).clicked() {
                view.here_only = true;
            }
            from_right(ui, |ui| {
                if !narrow {
                    self.below_hide(ui);
                }
                if choice(ui, false, "Export…", true).on_hover_text("Save or copy what is listed here").clicked() {
                    self.ask_to_export_journal();
                }
                ui.add_space(4.0);
                let width = ui.available_width().min(180.0);
                let field = egui::TextEdit::singleline(&mut view.wanted.text)
                    .hint_text(RichText::new("Filter the journal").color(Palette::of(ui).placeholder))
                    .align(egui::Align2::LEFT_CENTER)
                    .margin(Margin::symmetric(8, 3))
                    .desired_width(width - 16.0);
                let response = ui.add(field);
                response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::TextInput, true, "Filter the journal"));
                if in_line {
                    ui.add_space(8.0);
                    ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                        ui.add_space(12.0);
                        journal_chips(ui, view);
                    });
                }
            });
        });
        if !in_line {
            journal_chips(ui, view);
            ui.add_space(4.0);
        }
    }

    fn journal_rows(&mut self, ui: &mut Ui, view: &mut JournalView, listed: &Arc<Listed>, zone: &Zone) {
        let chosen = view.place_of_chosen(listed);
        let open = chosen.filter(|_| view.open);
        let extra = if open.is_some() { (view.height - LINE).max(0.0) } else { 0.0 };
        let list = ui.make_persistent_id("journal-list");
        self.journal_keys(ui, view, listed, chosen, list);
        let mut wish = None;
        let mut scroll = ScrollArea::vertical().auto_shrink([false, false]).id_salt("journal-rows");
        if let Some(at) = chosen.filter(|_| std::mem::take(&mut view.scroll_to)) {
            let seen = ui.available_height();
            let top = at as f32 * LINE;
            let now = ui.data(|data| data.get_temp::<f32>(list)).unwrap_or(0.0);
            let need = LINE + if open.is_some() { extra.max(96.0) + 12.0 } else { 0.0 };
            // All of it, and a line above; of what is higher than the list, the beginning.
            let (least, most) = ((top + need - seen).max(0.0), (top - LINE).max(0.0));
            let target = if least > most { least.min(top) } else { now.clamp(least, most) };
            scroll = scroll.vertical_scroll_offset(target);
        }
        let output = scroll.show_viewport(ui, |ui, seen| {
            let total = listed.items.len() as f32 * LINE + extra;
            ui.set_height(total);
            let origin = ui.max_rect().min;
            let width = ui.available_width();
            let place = |at: usize| at as f32 * LINE + if open.is_some_and(|open| at > open) { extra } else { 0.0 };
            // With one line to spare on each side of the entry that is higher than the others.
            let first = (((seen.min.y - extra) / LINE).floor().max(0.0) as usize).min(listed.items.len());
            let last = ((seen.max.y / LINE).ceil() as usize + 1).min(listed.items.len());
            for at in first..last {
                let height = if open == Some(at) { LINE + extra } else { LINE };
                let top = place(at);
                if top > seen.max.y || top + height < seen.min.y {
                    continue;
                }
                let rect = Rect::from_min_size(origin + Vec2::new(0.0, top), Vec2::new(width, height));
                match &listed.items[at] {
                    Item::Day(day) => day_line(ui, rect, day),
                    Item::Entry(place) => {
                        let line = &listed.journal[*place as usize];
                        let state = (chosen == Some(at), open == Some(at));
                        if let Some(asked) = self.journal_row(ui, rect, line, zone, state, view) {
                            wish = Some(asked);
                        }
                    }
                }
            }
        });
        ui.data_mut(|data| data.insert_temp(list, output.state.clamped_offset().y));
        if let Some(wish) = wish {
            if matches!(wish, Wish::Choose(_)) {
                ui.memory_mut(|memory| memory.request_focus(list));
            }
            self.grant(ui, view, wish, zone);
        }
    }

    /// The list is one stop of the Tab key; within it the arrows go from entry to entry.
    fn journal_keys(
        &mut self, ui: &mut Ui, view: &mut JournalView, listed: &Listed, chosen: Option<usize>, list: egui::Id,
    ) {
        let rect = ui.available_rect_before_wrap();
        let response = ui.interact(rect, list, Sense::focusable_noninteractive());
        let entries = listed.items.len();
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::List, true, format!("Journal, {entries} lines")));
        view.focused = response.has_focus();
        if !view.focused {
            return;
        }
        let filter = EventFilter { vertical_arrows: true, ..EventFilter::default() };
        ui.memory_mut(|memory| memory.set_focus_lock_filter(list, filter));
        let ring = Stroke::new(1.5, Palette::of(ui).accent);
        ui.painter().rect_stroke(rect.shrink(1.0), f32::from(tokens::RADIUS), ring, egui::StrokeKind::Inside);
        let pressed = |ui: &Ui, key| ui.input_mut(|i| i.consume_key(Modifiers::NONE, key));
        let page = ((rect.height() / LINE) as isize - 1).max(1);
        let all = listed.items.len() as isize;
        let steps = [
            (Key::ArrowDown, 1),
            (Key::ArrowUp, -1),
            (Key::PageDown, page),
            (Key::PageUp, -page),
            (Key::End, all),
            (Key::Home, -all),
        ];
        for (key, by) in steps {
            if pressed(ui, key) {
                let from = chosen.map_or(-1, |at| at as isize);
                let id = next_entry(listed, from, by).map(|at| listed.journal[at as usize].id.clone());
                if id.is_some() {
                    view.chosen = id;
                    view.scroll_to = true;
                }
            }
        }
        if pressed(ui, Key::Enter) || pressed(ui, Key::Space) {
            view.open = !view.open;
            view.scroll_to = true;
        }
        if pressed(ui, Key::Escape) {
            view.open = false;
            ui.memory_mut(|memory| memory.surrender_focus(list));
        }
        let line = chosen.and_then(|at| entry_at(listed, at));
        let copied = ui.input(|i| i.events.iter().any(|event| matches!(event, Event::Copy)));
        if let Some(line) = line
            && copied
        {
            ui.ctx().copy_text(plain_line(line, &self.papers.zone));
        }
    }

    fn journal_row(
        &self, ui: &mut Ui, rect: Rect, line: &JournalLine, zone: &Zone, (chosen, open): (bool, bool),
        view: &mut JournalView,
    ) -> Option<Wish> {
        let palette = Palette::of(ui);
        let head = Rect::from_min_size(rect.min, Vec2::new(rect.width(), LINE));
        let id = ui.scope_id().with(("journal", &line.id));
        let response = ui.interact(head, id, Sense::CLICK);
        let kind = Kind::of(line);
        let when = Wall::parse_rfc3339(&line.at);
        let clock = when.map_or_else(|| line.at.clone(), |when| zone.clock(when));
        response.widget_info(|| {
            let verdict = verdict_of(line).map_or_else(String::new, |verdict| format!(", {}", verdict.title()));
            let label =
                format!("{clock}, {}, {}{verdict}, {}", kind.title(), visible_name(&line.path), visible(&line.told()));
            egui::WidgetInfo::selected(egui::Role::ListItem, true, chosen, label)
        });
        ui.ctx().accesskit_node_builder(response.id, |node| {
            node.clear_toggled();
            node.set_selected(chosen);
            node.set_expanded(open);
        });
        let fill = match (chosen, response.hovered()) {
            (true, _) => Some(palette.selection),
            (_, true) => Some(palette.hover),
            _ => None,
        };
        if let Some(fill) = fill {
            ui.painter().rect_filled(head, CornerRadius::same(4), fill);
        }
        let mut wish = response.clicked().then(|| Wish::Choose(line.id.clone()));
        let inner = head.shrink2(Vec2::new(8.0, 0.0));
        let builder = UiBuilder::new().max_rect(inner).layout(Layout::left_to_right(Align::Center));
        ui.scope_builder(builder, |ui| {
            ui.spacing_mut().item_spacing.x = 8.0;
            ui.spacing_mut().interact_size.y = 20.0;
            ui.spacing_mut().button_padding = Vec2::new(8.0, 1.0);
            let arrow = if open { Icon::ChevronDown } else { Icon::ChevronRight };
            arrow.show(ui, palette.muted);
            let time = cell(ui, 60.0, muted(ui, clock).font(tokens::small()));
            if let Some(when) = when {
                time.on_hover_text(format!("{}\n{}", zone.stamp(when), line.at));
            }
            cell(ui, 48.0, RichText::new(kind.title()).font(tokens::small()));
            verdict_cell(ui, line);
            let name = (ui.available_width() * 0.26).clamp(100.0, 280.0);
            let here = self.snapshot.as_ref().is_some_and(|shown| *shown.directory == *Path::new(&line.directory));
            // Of another folder its name too: the same lock may be in several.
            let path = if here {
                visible_name(&line.path)
            } else {
                short_path(Path::new(&line.full_path()), self.home.as_deref())
            };
            let shown = elided(&path, (name / 7.0) as usize);
            cell(ui, name, RichText::new(shown)).on_hover_text(visible_name(&line.full_path()));
            from_right(ui, |ui| {
                if line.undoable {
                    let undo = ui.button("Undo");
                    let label = format!("Undo {}", visible_name(&line.path));
                    undo.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &label));
                    if undo.clicked() {
                        wish = Some(Wish::Undo(line.id.clone()));
                    }
                }
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                    widgets::cut(ui, muted(ui, visible(&line.told())).font(tokens::small()));
                });
            });
        });
        if open {
            let below = Rect::from_min_max(egui::pos2(rect.left() + 31.0, head.bottom() + 4.0), rect.max);
            let below = Rect::from_min_max(below.min, egui::pos2(rect.right() - 8.0, f32::INFINITY));
            let builder = UiBuilder::new().max_rect(below).layout(Layout::top_down(Align::Min));
            let whole = ui.scope_builder(builder, |ui| self.whole_entry(ui, line, zone, view));
            let height = whole.response.rect.bottom() - rect.top() + 8.0;
            if (height - view.height).abs() > 0.5 {
                view.height = height;
                view.scroll_to = true;
                ui.ctx().request_repaint();
            }
            wish = whole.inner.or(wish);
        }
        wish
    }

    /// All that an entry says, and what may be done with it.
    fn whole_entry(&self, ui: &mut Ui, line: &JournalLine, zone: &Zone, view: &mut JournalView) -> Option<Wish> {
        ui.spacing_mut().item_spacing.y = 4.0;
        let when = Wall::parse_rfc3339(&line.at).map_or_else(|| line.at.clone(), |when| zone.stamp(when));
        for (what, text) in [
            ("Outcome", &line.outcome),
            ("Reason", &line.why),
            ("Path", &line.full_path()),
            ("Who", &line.who),
            ("When", &when),
            ("Entry", &line.id),
        ] {
            if text.is_empty() {
                continue;
            }
            ui.with_layout(Layout::left_to_right(Align::Min), |ui| {
                ui.allocate_ui_with_layout(Vec2::new(60.0, 16.0), Layout::left_to_right(Align::Min), |ui| {
                    ui.set_min_width(60.0);
                    ui.label(muted(ui, what).font(tokens::small()));
                });
                ui.add(Label::new(RichText::new(visible(text)).font(tokens::small())).wrap());
            });
        }
        let why_not = self.why_no_undo(line, view);
        let mut wish = None;
        ui.add_space(2.0);
        ui.horizontal(|ui| {
            ui.spacing_mut().interact_size.y = 26.0;
            ui.spacing_mut().button_padding = Vec2::new(10.0, 3.0);
            let undo = ui.add_enabled(why_not.is_none(), egui::Button::new("Put it back"));
            if undo.clicked() {
                wish = Some(Wish::Undo(line.id.clone()));
            }
            if ui.button("Show the lock").clicked() {
                wish = Some(Wish::Show(Box::new(line.clone())));
            }
            if ui.button("Copy").on_hover_text("The whole entry as one line of text").clicked() {
                wish = Some(Wish::Copy(line.id.clone()));
            }
        });
        if let Some(why_not) = why_not {
            ui.add(Label::new(muted(ui, visible(&why_not)).font(tokens::small())).wrap());
        }
        wish
    }

    /// Why an entry cannot be undone; what only a look at the disk tells is asked once, when the entry is opened.
    fn why_no_undo(&self, line: &JournalLine, view: &mut JournalView) -> Option<String> {
        if let Some(why) = line.kept_no_more {
            return Some(why.to_owned());
        }
        if !line.undoable {
            return Some("There is nothing to put back: it took nothing away.".to_owned());
        }
        let journal = self.engine.journal();
        let same = view.asked.as_ref().is_some_and(|(id, asked)| *id == line.id && Arc::ptr_eq(asked, &journal));
        if !same {
            view.asked = Some((line.id.clone(), journal));
            view.can = None;
            self.engine.send(Command::AskUndo(line.id.clone()));
        }
        match &view.can {
            // What is being looked at may be tried: it is all checked again then.
            None | Some(Ok(())) => None,
            Some(Err(why)) => Some(format!("It cannot be put back: {why}.")),
        }
    }

    fn grant(&mut self, ui: &Ui, view: &mut JournalView, wish: Wish, zone: &Zone) {
        match wish {
            Wish::Choose(id) if view.chosen.as_ref() == Some(&id) => view.open = !view.open,
            Wish::Choose(id) => {
                view.chosen = Some(id);
                view.open = true;
                view.scroll_to = true;
            }
            Wish::Undo(id) => self.engine.send(Command::Undo { ids: vec![id] }),
            Wish::Copy(id) => {
                let listed = view.sieve.listed();
                if let Some(line) = listed.journal.iter().rev().find(|line| line.id == id) {
                    ui.ctx().copy_text(plain_line(line, zone));
                }
            }
            Wish::Show(line) => self.show_lock_of(&line),
        }
    }

    /// Goes to the lock that an entry is about: in its folder, chosen if it is there.
    fn show_lock_of(&mut self, line: &JournalLine) {
        let shown = self.snapshot.as_ref().filter(|snapshot| *snapshot.directory == *Path::new(&line.directory));
        let Some(snapshot) = shown else { return self.open(Path::new(&line.directory).join(&line.path)) };
        let found = snapshot.locks().find(|lock| lock.display_path() == line.path).map(|lock| lock.id);
        let row = self.listing.rows.iter().position(|row| found.is_some_and(|id| *row == Row::Lock(id)));
        match (found, row) {
            (Some(id), Some(row)) => {
                self.selection.choose(id, Reach::Only, &self.listing.rows);
                self.scroll_to = Some(row);
            }
            (Some(_), None) => {
                self.say(format!("{} is there, but not listed now: show all locks.", visible_name(&line.path)));
            }
            (None, _) => self.say(format!("{} is not there now.", visible_name(&line.path))),
        }
    }
}

/// The entry `by` lines further, days not counted.
fn next_entry(listed: &Listed, from: isize, by: isize) -> Option<u32> {
    let last = listed.items.len() as isize - 1;
    let aim = from.saturating_add(by).clamp(0, last.max(0)) as usize;
    let is_entry = |at: &usize| matches!(listed.items.get(*at), Some(Item::Entry(_)));
    let found = if by > 0 {
        (aim..listed.items.len()).find(is_entry).or_else(|| (0..aim).rev().find(is_entry))
    } else {
        (0..=aim).rev().find(is_entry).or_else(|| (aim..listed.items.len()).find(is_entry))
    };
    match listed.items.get(found?) {
        Some(Item::Entry(at)) => Some(*at),
        _ => None,
    }
}

fn entry_at(listed: &Listed, at: usize) -> Option<&JournalLine> {
    match listed.items.get(at)? {
        Item::Entry(place) => listed.journal.get(*place as usize),
        Item::Day(_) => None,
    }
}

fn verdict_of(line: &JournalLine) -> Option<Verdict> {
    Verdict::ALL.into_iter().find(|verdict| verdict.id() == line.verdict)
}

/// An entry as one line of text, for a chat or a ticket.
fn plain_line(line: &JournalLine, zone: &Zone) -> String {
    let when = Wall::parse_rfc3339(&line.at).map_or_else(|| line.at.clone(), |when| zone.rfc3339(when));
    let verdict = if line.verdict.is_empty() { "-" } else { &line.verdict };
    let (path, told) = (visible_name(&line.full_path()), visible(&line.told()));
    format!("{when}  {}  {path}  {verdict}  {told}  ({}, {})", line.what, visible(&line.who), line.id)
}

/// A text in a column of this width.
fn cell(ui: &mut Ui, width: f32, text: RichText) -> egui::Response {
    let size = Vec2::new(width, 20.0);
    ui.allocate_ui_with_layout(size, Layout::left_to_right(Align::Center), |ui| {
        ui.set_min_width(width);
        widgets::cut(ui, text)
    })
    .inner
}

fn verdict_cell(ui: &mut Ui, line: &JournalLine) {
    let palette = Palette::of(ui);
    ui.allocate_ui_with_layout(Vec2::new(92.0, 20.0), Layout::left_to_right(Align::Center), |ui| {
        ui.set_min_width(92.0);
        ui.spacing_mut().item_spacing.x = 6.0;
        if let Some(verdict) = verdict_of(line) {
            let color = palette.verdict(verdict);
            Icon::of(verdict).show(ui, color);
            widgets::cut(ui, RichText::new(verdict.title()).font(tokens::small()).color(color));
        }
    });
}

fn day_line(ui: &mut Ui, rect: Rect, day: &str) {
    let palette = Palette::of(ui);
    let builder =
        UiBuilder::new().max_rect(rect.shrink2(Vec2::new(8.0, 0.0))).layout(Layout::left_to_right(Align::Max));
    ui.scope_builder(builder, |ui| {
        let response = ui.add(Label::new(muted(ui, day).font(tokens::small())).selectable(false));
        let y = response.rect.center().y;
        let from = response.rect.right() + 8.0;
        ui.painter().hline(from..=rect.right() - 8.0, y, Stroke::new(1.0, palette.line));
    });
}

fn journal_chips(ui: &mut Ui, view: &mut JournalView) {
    let counts = view.sieve.listed().counts;
    let all: u32 = counts.iter().sum();
    let scroll = ScrollArea::horizontal().id_salt("journal-chips");
    scroll.scroll_bar_visibility(egui::scroll_area::ScrollBarVisibility::AlwaysHidden).show(ui, |ui| {
        ui.horizontal(|ui| {
            ui.set_height(28.0);
            ui.spacing_mut().item_spacing.x = 6.0;
            if super::chips::chip(ui, None, "All entries", all, view.wanted.kinds.is_empty()).clicked() {
                view.wanted.kinds.clear();
            }
            for kind in Kind::ALL {
                let (count, chosen) = (counts[kind as usize], view.wanted.kinds.contains(&kind));
                if count == 0 && !chosen {
                    continue;
                }
                if super::chips::chip(ui, None, kind.title(), count, chosen).clicked() {
                    let several = ui.input(|i| i.modifiers.command || i.modifiers.shift);
                    match (several, chosen) {
                        (true, true) => view.wanted.kinds.retain(|known| *known != kind),
                        (true, false) => view.wanted.kinds.push(kind),
                        (false, true) if view.wanted.kinds.len() == 1 => view.wanted.kinds.clear(),
                        (false, _) => view.wanted.kinds = vec![kind],
                    }
                }
            }
        });
    });
}

/// Nothing to list: because there is nothing, or because of what was asked for.
fn nothing_listed(ui: &mut Ui, view: &mut JournalView, listed: &Listed) {
    let (title, text) = if listed.journal.is_empty() {
        (
            "Nothing has been cleared yet",
            "Each clear, refusal and undo on this computer will stand here: when, what, by whom and why.",
        )
    } else if view.wanted.kinds.is_empty() && view.wanted.text.trim().is_empty() {
        ("Nothing has been cleared in this folder yet", "The entries of other folders are under All folders.")
    } else {
        ("No entry fits", "Other words, or fewer chips, show more.")
    };
    ui.vertical_centered(|ui| {
        ui.add_space((ui.available_height() / 2.0 - 40.0).max(8.0));
        ui.label(RichText::new(title).font(tokens::strong()));
        ui.add_space(4.0);
        ui.label(muted(ui, text));
        let filtered = !view.wanted.kinds.is_empty() || !view.wanted.text.trim().is_empty();
        if !listed.journal.is_empty() && filtered {
            ui.add_space(8.0);
            if ui.button("Show all entries").clicked() {
                view.wanted = Wanted::default();
            }
        }
    });
}
