//! The table: one row a lock, under group headings; virtual, so that 100,000 cost what a screenful does.

use super::command::Action;
use super::display_name::{elided, visible};
use super::icons::Icon;
use super::menu::row_menu;
use super::selection::Reach;
use super::tokens::{self, Palette};
use super::widgets::{count, cut, from_right};
use super::window::Window;
use crate::engine::listing::{Group, Listing, Row, SortKey};
use crate::engine::settings::{Column, ColumnSetting};
use crate::model::holder::Liveness;
use crate::model::snapshot::{Lock, LockId, Moment, Snapshot};
use crate::model::time::{say_duration, say_duration_changes_in};
use crate::model::verdict::{Gone, Verdict};
use eframe::egui::{self, Align, Color32, Layout, Margin, Rect, RichText, Role, Sense, Stroke, Ui, Vec2};
use std::time::Duration;

/// The columns as designed: title, what they sort by, width in points; the name takes what is left.
const COLUMNS: [(Column, &str, SortKey, f32); 7] = [
    (Column::Verdict, "Verdict", SortKey::Verdict, 116.0),
    (Column::Lock, "Lock", SortKey::Lock, 0.0),
    (Column::Holder, "Holder", SortKey::Holder, 150.0),
    (Column::Format, "Format", SortKey::Format, 112.0),
    (Column::Age, "Age", SortKey::Age, 104.0),
    (Column::Liveness, "Holder is", SortKey::Liveness, 104.0),
    (Column::Waiting, "Waiting", SortKey::Waiting, 64.0),
];
const NARROWEST_NAME: f32 = 180.0;

fn design(column: Column) -> (&'static str, SortKey, f32) {
    let (_, title, sort, width) = COLUMNS[column as usize];
    (title, sort, width)
}

/// Numbers stand at the right of their column.
fn is_number(column: Column) -> bool {
    matches!(column, Column::Age | Column::Waiting)
}

/// What was done in the table in this frame.
enum Act {
    Sort(SortKey),
    Choose(LockId, Reach),
    Fold(String, bool),
    Perform(Action),
}

struct Table<'a> {
    snapshot: &'a Snapshot,
    listing: &'a Listing,
    window: &'a Window,
    moment: Moment<'a>,
    columns: Vec<Column>,
    acts: Vec<Act>,
    /// When the first visible age will read differently.
    next_change: Option<Duration>,
}

impl Window {
    pub(super) fn main_area(&mut self, ui: &mut Ui, snapshot: &Snapshot) {
        let palette = Palette::of(ui);
        egui::CentralPanel::default().frame(egui::Frame::new().fill(palette.background)).show(ui, |ui| {
            if self.listing.rows.is_empty() {
                self.no_rows(ui, snapshot);
            } else {
                self.table(ui, snapshot);
            }
        });
    }

    pub(super) fn shown_columns(&self) -> Vec<ColumnSetting> {
        let known = |column| self.settings.columns.iter().find(|setting| setting.column == column);
        COLUMNS
            .iter()
            .map(|(column, _, _, width)| match known(*column) {
                Some(setting) => setting.clone(),
                None => ColumnSetting { column: *column, width: *width, shown: true },
            })
            .collect()
    }

    fn table(&mut self, ui: &mut Ui, snapshot: &Snapshot) {
        // The lines between columns show only under the pointer: rows are what is read here.
        ui.visuals_mut().widgets.noninteractive.bg_stroke = Stroke::NONE;
        let mut columns = self.shown_columns();
        columns.retain(|setting| setting.shown);
        let rest: f32 = columns.iter().filter(|s| s.column != Column::Lock).map(|s| s.width).sum();
        for setting in columns.iter_mut().filter(|setting| setting.column == Column::Lock) {
            setting.width = (ui.available_width() - rest).max(NARROWEST_NAME);
        }
        let mut table = egui_table::Table::new()
            .id_salt("locks")
            .num_rows(self.listing.rows.len() as u64)
            .num_sticky_cols(0)
            .columns(
                columns
                    .iter()
                    .map(|setting| {
                        egui_table::Column::new(setting.width)
                            .range(44.0..=2000.0)
                            .resizable(setting.column != Column::Lock)
                            .id(egui::Id::unique(("column", setting.column as u8)))
                    })
                    .collect::<Vec<_>>(),
            )
            .headers([egui_table::HeaderRow::new(tokens::HEADER)]);
        // The widths are ours (the name takes what is left), so the table's own memory of them is set before each frame.
        let id = table.get_id(ui);
        let mut state = egui_table::TableState::load(ui.ctx(), id).unwrap_or_default();
        for setting in &columns {
            state.col_widths.insert(egui::Id::unique(("column", setting.column as u8)), setting.width);
        }
        state.store(ui.ctx(), id);
        if let Some(row) = self.scroll_to.take() {
            table = table.scroll_to_row(row as u64, None);
        }
        let listing = std::sync::Arc::clone(&self.listing);
        let mut view = Table {
            snapshot,
            listing: &listing,
            window: self,
            moment: snapshot.moment_at(self.now.0, self.now.1),
            columns: columns.iter().map(|setting| setting.column).collect(),
            acts: Vec::new(),
            next_change: None,
        };
        ui.ctx().accesskit_node_builder(ui.unique_id(), |node| {
            node.set_role(Role::Table);
            node.set_label("Locks");
        });
        table.show(ui, &mut view);
        let (acts, next_change) = (view.acts, view.next_change);
        if let Some(next_change) = next_change {
            ui.ctx().request_repaint_after(next_change);
        }
        self.keep_widths(ui, id, &columns);
        for act in acts {
            self.act(ui, act);
        }
    }

    /// A column that was dragged keeps its width.
    fn keep_widths(&mut self, ui: &Ui, table: egui::Id, before: &[ColumnSetting]) {
        let Some(state) = egui_table::TableState::load(ui.ctx(), table) else { return };
        let dragged = before.iter().filter(|s| s.column != Column::Lock).find_map(|setting| {
            let width = *state.col_widths.get(&egui::Id::unique(("column", setting.column as u8)))?;
            ((width - setting.width).abs() > 0.5).then_some((setting.column, width))
        });
        if let Some((column, width)) = dragged {
            let mut settings = self.shown_columns();
            settings.iter_mut().filter(|setting| setting.column == column).for_each(|setting| setting.width = width);
            self.settings.columns = settings;
        }
    }

    fn act(&mut self, ui: &Ui, act: Act) {
        match act {
            Act::Sort(key) => self.sort_by(key),
            Act::Choose(id, reach) => {
                let listing = std::sync::Arc::clone(&self.listing);
                self.selection.choose(id, reach, &listing.rows);
            }
            Act::Fold(name, folded) => self.fold(name, folded),
            Act::Perform(action) => self.perform(ui.ctx(), action),
        }
    }
}

impl egui_table::TableDelegate for Table<'_> {
    fn header_cell_ui(&mut self, ui: &mut Ui, cell: &egui_table::HeaderCellInfo) {
        let palette = Palette::of(ui);
        let rect = ui.max_rect();
        ui.painter().rect_filled(rect, 0.0, palette.panel);
        ui.painter().hline(rect.x_range(), rect.bottom() - 0.5, Stroke::new(1.0, palette.line));
        let Some(column) = self.columns.get(cell.group_index).copied() else { return };
        let (title, key, _) = design(column);
        let settings = &self.window.settings;
        let sorted = settings.sort == key;
        let arrow = match (sorted, settings.sort_descending) {
            (true, false) => " ↓",
            (true, true) => " ↑",
            (false, _) => "",
        };
        let color = if sorted { palette.text } else { palette.muted };
        let text = RichText::new(format!("{title}{arrow}")).font(tokens::small()).color(color);
        let response = cell_frame(ui, rect, is_number(column), |ui| {
            ui.add(egui::Button::new(text).frame(false).min_size(Vec2::new(0.0, tokens::HEADER - 4.0)))
        });
        ui.ctx().accesskit_node_builder(response.id, |node| {
            node.set_role(Role::ColumnHeader);
            node.set_label(title);
            if sorted {
                use egui::accesskit::SortDirection::{Ascending, Descending};
                node.set_sort_direction(if settings.sort_descending { Descending } else { Ascending });
            }
        });
        if response.clicked() {
            self.acts.push(Act::Sort(key));
        }
    }

    fn row_ui(&mut self, ui: &mut Ui, row: u64) {
        // Also called for the area of sticky columns, of which there are none.
        if !ui.clip_rect().is_positive() {
            return;
        }
        let at = row as usize;
        match self.listing.rows.get(at) {
            Some(Row::Group(group)) => self.group_row(ui, at, group),
            Some(Row::Lock(id)) => self.lock_row(ui, at, *id),
            None => {}
        }
    }

    fn cell_ui(&mut self, ui: &mut Ui, cell: &egui_table::CellInfo) {
        let Some(Row::Lock(id)) = self.listing.rows.get(cell.row_nr as usize) else { return };
        let (Some(lock), Some(column)) = (self.snapshot.lock(*id), self.columns.get(cell.col_nr).copied()) else {
            return;
        };
        let rect = ui.max_rect();
        let moment = self.moment;
        let change = cell_frame(ui, rect, is_number(column), |ui| lock_cell(ui, lock, column, &moment));
        self.next_change = match (self.next_change, change) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }

    fn default_row_height(&self) -> f32 {
        tokens::ROW
    }
}

/// Lays out a cell with the table's margins, from the right where numbers stand.
fn cell_frame<R>(ui: &mut Ui, rect: Rect, number: bool, content: impl FnOnce(&mut Ui) -> R) -> R {
    let inner = rect.shrink2(Vec2::new(12.0, 0.0)).with_max_x(rect.right() - 2.0);
    let layout = if number { Layout::right_to_left(Align::Center) } else { Layout::left_to_right(Align::Center) };
    let inner = if number { inner.with_max_x(rect.right() - 10.0) } else { inner };
    ui.scope_builder(egui::UiBuilder::new().max_rect(inner).layout(layout), |ui| {
        ui.set_clip_rect(ui.clip_rect().intersect(rect));
        content(ui)
    })
    .inner
}

impl Table<'_> {
    fn group_row(&mut self, ui: &mut Ui, at: usize, group: &Group) {
        let palette = Palette::of(ui);
        let rect = ui.max_rect();
        let response = ui.interact(rect, ui.scope_id().with(("group", at)), Sense::CLICK);
        let fill = if response.hovered() { palette.hover } else { palette.panel };
        ui.painter().rect_filled(rect, 0.0, fill);
        ui.painter().hline(rect.x_range(), rect.bottom() - 0.5, Stroke::new(1.0, palette.line));
        let name = if group.name.is_empty() { "Others".to_owned() } else { visible(&group.name) };
        let mut facts = vec![count(group.locks as usize, "lock")];
        for (number, word) in [(group.stale, "stale"), (group.held, "held"), (group.waiting, "waiting")] {
            if number > 0 {
                facts.push(format!("{number} {word}"));
            }
        }
        let facts = facts.join(" · ");
        // The heading spans all columns, so it is drawn over the row and not into a cell.
        let visible_rect = rect.intersect(ui.clip_rect());
        let builder = egui::UiBuilder::new()
            .max_rect(visible_rect.shrink2(Vec2::new(12.0, 0.0)))
            .layout(Layout::left_to_right(Align::Center));
        ui.scope_builder(builder, |ui| {
            let chevron = if group.folded { Icon::ChevronRight } else { Icon::ChevronDown };
            chevron.show(ui, palette.muted);
            ui.add(egui::Label::new(RichText::new(elided(&name, 60)).font(tokens::strong())).selectable(false));
            ui.add(
                egui::Label::new(RichText::new(&facts).font(tokens::small()).color(palette.muted)).selectable(false),
            );
        });
        let label = format!("Group {name}, {facts}");
        let pressed = row_node(ui, visible_rect, at, &label, false);
        ui.ctx().accesskit_node_builder(ui.unique_id(), |node| node.set_expanded(!group.folded));
        if response.clicked() || pressed {
            self.acts.push(Act::Fold(group.name.clone(), !group.folded));
        }
    }

    fn lock_row(&mut self, ui: &mut Ui, at: usize, id: LockId) {
        let palette = Palette::of(ui);
        let rect = ui.max_rect();
        let Some(lock) = self.snapshot.lock(id) else { return };
        let selected = self.window.selection.contains(id);
        let response = ui.interact(rect, ui.scope_id().with(("row", id.0)), Sense::CLICK);
        let fill = match (selected, response.hovered()) {
            (true, _) => palette.selection,
            (false, true) => palette.hover,
            (false, false) => Color32::TRANSPARENT,
        };
        ui.painter().rect_filled(rect, 0.0, fill);
        ui.painter().hline(rect.x_range(), rect.bottom() - 0.5, Stroke::new(1.0, palette.line.gamma_multiply(0.55)));
        if self.window.selection.cursor == Some(id) {
            let edge = Rect::from_min_size(rect.min, Vec2::new(2.0, rect.height()));
            ui.painter().rect_filled(edge, 0.0, palette.accent);
        }
        let pressed = row_node(ui, rect.intersect(ui.clip_rect()), at, &row_label(lock, &self.moment), selected);
        if response.clicked() || pressed {
            let modifiers = ui.input(|i| i.modifiers);
            let reach = match (modifiers.shift, modifiers.command) {
                (true, _) => Reach::Range,
                (false, true) => Reach::Toggle,
                (false, false) => Reach::Only,
            };
            self.acts.push(Act::Choose(id, reach));
        }
        if response.secondary_clicked() && !selected {
            self.acts.push(Act::Choose(id, Reach::Only));
        }
        response.context_menu(|ui| self.acts.extend(row_menu(ui, self.window).map(Act::Perform)));
    }
}

/// One node a row for screen readers; the cells are its children. Tells whether it was pressed through one.
fn row_node(ui: &Ui, rect: Rect, at: usize, label: &str, selected: bool) -> bool {
    use egui::accesskit::Action;
    ui.ctx().accesskit_node_builder(ui.unique_id(), |node| {
        node.add_action(Action::Click);
        node.set_role(Role::Row);
        node.set_label(label);
        node.set_selected(selected);
        node.set_row_index(at);
        node.set_bounds(egui::accesskit::Rect {
            x0: f64::from(rect.min.x),
            y0: f64::from(rect.min.y),
            x1: f64::from(rect.max.x),
            y1: f64::from(rect.max.y),
        });
    });
    ui.input(|i| i.has_accesskit_action_request(ui.unique_id(), Action::Click))
}

fn row_label(lock: &Lock, moment: &Moment<'_>) -> String {
    let mut parts = vec![lock.judgement.verdict.title().to_owned(), visible(&lock.display_path())];
    if let Some(pid) = lock.holder().map(|(p, _)| p.pid).or_else(|| lock.facts.reading.record()?.pid) {
        parts.push(format!("PID {pid}"));
    }
    parts.extend(lock.age(moment).map(say_duration));
    parts.extend(lock.facts.danger.map(|danger| format!("danger: {}", danger.title())));
    match lock.facts.waiters().len() {
        0 => {}
        waiting => parts.push(format!("{waiting} waiting")),
    }
    parts.join(", ")
}

/// Draws one cell; gives when its text will change by time alone.
fn lock_cell(ui: &mut Ui, lock: &Lock, column: Column, moment: &Moment<'_>) -> Option<Duration> {
    let palette = Palette::of(ui);
    let verdict = lock.judgement.verdict;
    match column {
        Column::Verdict => {
            let color = palette.verdict(verdict);
            Icon::of(verdict).show(ui, color);
            if let Some(danger) = lock.facts.danger {
                let (rect, response) = ui.allocate_exact_size(Vec2::splat(tokens::ICON), Sense::hover());
                Icon::Warning.image(palette.verdict(Verdict::Stale)).paint_at(ui, rect);
                response.on_hover_text(format!("Danger: {}", danger.title()));
            }
            cut(ui, RichText::new(verdict.title()).color(color));
        }
        Column::Lock => name_cell(ui, lock),
        Column::Holder => holder_cell(ui, lock),
        Column::Format => {
            cut(ui, RichText::new(lock.facts.reading.format.title).color(palette.muted));
        }
        Column::Age => return age_cell(ui, lock, moment),
        Column::Liveness => {
            let (text, known) = liveness_words(lock);
            cut(ui, RichText::new(text).color(if known { palette.text } else { palette.muted }));
        }
        Column::Waiting => {
            if !lock.facts.waiters().is_empty() {
                cut(ui, RichText::new(lock.facts.waiters().len().to_string()));
            }
        }
    }
    None
}

/// The group's part of the name is dimmed; a long name loses its middle.
fn name_cell(ui: &mut Ui, lock: &Lock) {
    let palette = Palette::of(ui);
    let full = lock.path.to_string_lossy();
    let group = String::from_utf8_lossy(lock.naming.group(lock.path.as_encoded_bytes()));
    let keyed = !lock.naming.key.is_empty();
    let prefix = if keyed && full.starts_with(&*group) { group.len() + 1 } else { 0 };
    let prefix = if full.is_char_boundary(prefix) { prefix } else { 0 };
    let (head, tail) = (visible(&full[..prefix]), visible(&full[prefix..]));
    // Cut in the middle by ourselves, before the label cuts at the end. By the average width of this name's own letters, and
    // two less, as those that stay may be wide ones.
    let letters = head.chars().count() + tail.chars().count();
    let whole = ui.painter().layout_no_wrap(format!("{head}{tail}"), tokens::body(), palette.text).size().x;
    let room = ui.available_width();
    let too_long = whole > room;
    let fits = if too_long { ((letters as f32 * room / whole) as usize).saturating_sub(2) } else { letters };
    let mut job = egui::text::LayoutJob::default();
    let format =
        |color| egui::TextFormat { font_id: tokens::body(), color, valign: Align::Center, ..Default::default() };
    if too_long && head.chars().count() + 8 > fits {
        job.append(&elided(&format!("{head}{tail}"), fits), 0.0, format(palette.text));
    } else {
        job.append(&head, 0.0, format(palette.muted));
        let room = fits.saturating_sub(head.chars().count());
        job.append(&if too_long { elided(&tail, room) } else { tail.clone() }, 0.0, format(palette.text));
    }
    let response = cut(ui, job);
    if too_long {
        response.on_hover_text(format!("{head}{tail}"));
    }
}

/// The holder; dimmed, the owner that the record names where nobody holds.
fn holder_cell(ui: &mut Ui, lock: &Lock) {
    let palette = Palette::of(ui);
    if let Some((process, _)) = lock.holder() {
        let text = format!("{} · {}", process.pid, visible(process.name()));
        let command = process.facts.as_ref().map(|facts| visible(&facts.command)).filter(|text| !text.is_empty());
        let response = cut(ui, text);
        if let Some(command) = command {
            response.on_hover_text(command);
        }
    } else if let Some(record) = lock.facts.reading.record()
        && let Some(pid) = record.pid
    {
        let mut text = pid.to_string();
        let host = record.host.as_deref().filter(|_| lock.judgement.verdict == Verdict::Foreign);
        if let Some(host) = host {
            text += " · on ";
            text += &visible(host);
        } else if let Some(word) = record.command.as_deref().and_then(|command| command.split_whitespace().next()) {
            text += " · ";
            text += &visible(word);
        }
        cut(ui, RichText::new(text).color(palette.muted));
    } else {
        cut(ui, RichText::new("—").color(palette.muted));
    }
}

/// The age, over a bar that fills on the way to the threshold where that matters.
fn age_cell(ui: &mut Ui, lock: &Lock, moment: &Moment<'_>) -> Option<Duration> {
    let palette = Palette::of(ui);
    let Some(age) = lock.age(moment) else {
        cut(ui, RichText::new("ahead").color(palette.muted)).on_hover_text("Its modification time lies in the future.");
        return None;
    };
    let verdict = lock.judgement.verdict;
    let with_bar = matches!(verdict, Verdict::Stale | Verdict::Orphaned);
    let rect = ui.max_rect();
    let lift = if with_bar { 2.0 } else { 0.0 };
    ui.painter().text(
        rect.right_center() - Vec2::new(0.0, lift),
        egui::Align2::RIGHT_CENTER,
        say_duration(age),
        tokens::body(),
        palette.text,
    );
    if with_bar {
        let track = Rect::from_min_size(egui::pos2(rect.right() - 84.0, rect.bottom() - 7.0), Vec2::new(84.0, 3.0));
        ui.painter().rect_filled(track, 2.0, palette.line);
        let share = (age.as_secs_f32() / moment.threshold.as_secs_f32().max(0.001)).clamp(0.0, 1.0);
        let filled = track.with_max_x(track.left() + track.width() * share);
        ui.painter().rect_filled(filled, 2.0, palette.verdict(verdict));
    }
    Some(say_duration_changes_in(age))
}

/// What the holder or owner is, in a word or two.
pub(super) fn liveness_words(lock: &Lock) -> (&'static str, bool) {
    match (lock.judgement.liveness, lock.judgement.verdict, lock.judgement.gone) {
        (Liveness::Alive, _, _) => match lock.judgement.row {
            17 => ("alive, other program", true),
            20 => ("child at work", true),
            26 => ("alive, has it open", true),
            27 => ("alive, at work here", true),
            _ => ("alive", true),
        },
        (Liveness::Gone, _, Some(Gone::OtherToken | Gone::OtherUser | Gone::StartedLater)) => ("PID reused", false),
        (Liveness::Gone, _, _) => ("gone", false),
        (Liveness::Unknown, Verdict::Foreign, _) => ("elsewhere", false),
        (Liveness::Unknown, Verdict::Suspect, _) => ("nobody seen", false),
        (Liveness::Unknown, Verdict::Idle | Verdict::NotALock, _) => ("—", false),
        (Liveness::Unknown, _, _) => ("not known", false),
    }
}

/// So that the margins of table and panels stay the same.
pub(super) const PANEL_MARGIN: Margin = Margin::same(16);

/// A line of words at the right end of a row.
pub(super) fn right_note(ui: &mut Ui, text: RichText) {
    from_right(ui, |ui| cut(ui, text));
}
