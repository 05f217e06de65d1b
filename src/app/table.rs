//! The table: one row a lock, under group headings; virtual, so that 100,000 cost what a screenful does.

use super::cells::{cell_frame, lock_cell};
use super::command::Action;
use super::display_name::{elided, visible_name};
use super::icons::Icon;
use super::menu::row_menu;
use super::rows::{Rows, Shown};
use super::selection::Reach;
use super::tokens::{self, Palette};
use super::widgets::{self, count};
use super::window::Window;
use crate::engine::listing::{Group, Listing, Row, SortKey};
use crate::engine::settings::{Column, ColumnSetting};
use crate::model::snapshot::{Lock, LockId, Moment, Snapshot};
use crate::model::time::say_duration;
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
    /// The newest picture, where another one stands still before it.
    newest: Option<std::sync::Arc<Snapshot>>,
    visible: std::ops::Range<usize>,
    /// The row that Tab reaches.
    stop: Option<LockId>,
    appeared: Vec<LockId>,
    /// The focus has been given to the row where the keyboard stands.
    focused: bool,
    columns: Vec<Column>,
    /// How far from the left the column of names begins.
    names_at: f32,
    acts: Vec<Act>,
    /// When the first visible age will read differently.
    next_change: Option<Duration>,
}

impl Window {
    pub(super) fn main_area(&mut self, ui: &mut Ui, snapshot: &Snapshot) {
        let palette = Palette::of(ui);
        egui::CentralPanel::default().frame(egui::Frame::new().fill(palette.background)).show(ui, |ui| {
            self.middle = Some(ui.max_rect());
            if self.rows.len(&self.listing) == 0 {
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
            .num_rows(self.rows.len(&self.listing) as u64)
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
            table = table.scroll_to_row(self.rows.shown(row) as u64, None);
        }
        let listing = std::sync::Arc::clone(&self.listing);
        let (rows, shown_columns) = (self.rows.len(&listing), columns.len());
        ui.ctx().accesskit_node_builder(ui.unique_id(), |node| {
            node.set_role(Role::Grid);
            node.set_label("Locks");
            node.set_row_count(rows);
            node.set_column_count(shown_columns);
            node.set_size_of_set(rows);
            node.set_multiselectable();
        });
        let mut view = Table {
            snapshot,
            listing: &listing,
            window: self,
            moment: snapshot.moment_at(self.now.0, self.now.1),
            newest: self.paused.is_some().then(|| self.newest()).flatten(),
            visible: 0..0,
            stop: None,
            appeared: Vec::new(),
            focused: false,
            columns: columns.iter().map(|setting| setting.column).collect(),
            names_at: columns.iter().take_while(|s| s.column != Column::Lock).map(|s| s.width).sum(),
            acts: Vec::new(),
            next_change: None,
        };
        let area = table.show(ui, &mut view).rect;
        name_handles(
            ui,
            id,
            columns.iter().map(|s| (egui::Id::unique(("column", s.column as u8)), design(s.column).0)),
        );
        let (acts, next_change, focused) = (view.acts, view.next_change, view.focused);
        let (shown, appeared) = (view.visible, view.appeared);
        self.focus_row &= !focused;
        self.rows.visible = shown;
        self.rows.area = Some(area.with_min_y(area.min.y + tokens::HEADER));
        self.rows.appeared(appeared, self.now.1);
        if self.row_menu_by_key.is_some() && !egui::Popup::is_any_open(ui.ctx()) {
            self.row_menu_by_key = None;
        }
        if let Some(next_change) = next_change {
            self.repaint_for_ages(ui.ctx(), next_change);
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
        let response = cell_frame(ui, rect, is_number(column), None, |ui| {
            ui.add(egui::Button::new(text).frame(false).min_size(Vec2::new(0.0, tokens::HEADER - 4.0)))
        });
        ui.ctx().accesskit_node_builder(response.id, |node| {
            node.set_role(Role::ColumnHeader);
            node.set_label(title);
            node.set_column_index(cell.group_index);
            if sorted {
                use egui::accesskit::SortDirection::{Ascending, Descending};
                node.set_sort_direction(if settings.sort_descending { Descending } else { Ascending });
            }
        });
        if response.clicked() {
            self.acts.push(Act::Sort(key));
        }
    }

    fn prepare(&mut self, info: &egui_table::PrefetchInfo) {
        self.visible = info.visible_rows.start as usize..info.visible_rows.end as usize;
    }

    fn row_ui(&mut self, ui: &mut Ui, row: u64) {
        // Also called for the area of sticky columns, of which there are none.
        if !ui.clip_rect().is_positive() {
            return;
        }
        let (window, at) = (self.window, row as usize);
        match window.rows.at(self.listing, at) {
            Some(Shown::Row(_, Row::Group(group))) => self.group_row(ui, at, group),
            Some(Shown::Row(_, Row::Lock(id))) => match (self.snapshot.lock(*id), window.rows.ghost(*id)) {
                (Some(lock), _) => self.lock_row(ui, at, lock),
                (None, Some(lock)) => self.ghost_row(ui, at, lock),
                (None, None) => {}
            },
            Some(Shown::Ghost(lock)) => self.ghost_row(ui, at, lock),
            None => {}
        }
    }

    fn cell_ui(&mut self, ui: &mut Ui, cell: &egui_table::CellInfo) {
        let Some(Shown::Row(_, Row::Lock(id))) = self.window.rows.at(self.listing, cell.row_nr as usize) else {
            return;
        };
        let (Some(lock), Some(column)) = (self.snapshot.lock(*id), self.columns.get(cell.col_nr).copied()) else {
            return;
        };
        if self.is_gone(*id) {
            return;
        }
        let rect = ui.max_rect();
        let moment = self.moment;
        let change = cell_frame(ui, rect, is_number(column), Some(row_id(*id)), |ui| {
            ui.ctx().accesskit_node_builder(ui.unique_id(), |node| {
                node.set_role(Role::Cell);
                node.set_column_index(cell.col_nr);
            });
            lock_cell(ui, lock, column, &moment)
        });
        if column == Column::Age {
            self.window.unusual_mark(ui, rect, lock, self.snapshot);
        }
        self.next_change = match (self.next_change, change) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }

    fn row_top_offset(&self, _ctx: &egui::Context, _table: egui::Id, row: u64) -> f32 {
        self.window.rows.top(row as usize)
    }

    fn default_row_height(&self) -> f32 {
        tokens::ROW
    }
}

/// The widget of a lock's row: it stays with its lock when rows move, and so does the focus.
pub(super) fn row_id(id: LockId) -> egui::Id {
    egui::Id::unique(("row", id.0))
}

impl Table<'_> {
    /// Whether it has gone from behind a picture that stands still.
    fn is_gone(&self, id: LockId) -> bool {
        self.newest.as_ref().is_some_and(|newest| newest.lock(id).is_none())
    }

    fn group_row(&mut self, ui: &mut Ui, at: usize, group: &Group) {
        let palette = Palette::of(ui);
        let rect = ui.max_rect();
        let id = egui::Id::unique(("group", &group.name));
        let response = ui.interact(rect, id, Sense::CLICK);
        let fill = if response.hovered() { palette.hover } else { palette.panel };
        ui.painter().rect_filled(rect, 0.0, fill);
        ui.painter().hline(rect.x_range(), rect.bottom() - 0.5, Stroke::new(1.0, palette.line));
        let name = if group.name.is_empty() { "Others".to_owned() } else { visible_name(&group.name) };
        let mut facts = vec![count(group.locks as usize, "lock")];
        for (number, word) in [(group.stale, "stale"), (group.held, "held"), (group.waiting, "waiting")] {
            if number > 0 {
                facts.push(format!("{} {word}", widgets::number(number as usize)));
            }
        }
        let facts = facts.join(" · ");
        // The heading spans all columns, so it is drawn over the row and not into a cell.
        let visible_rect = rect.intersect(ui.clip_rect());
        let label = format!("Group {name}, {facts}");
        response.widget_info(|| egui::WidgetInfo::labeled(Role::Row, true, &label));
        ui.ctx().accesskit_node_builder(id, |node| {
            node.set_expanded(!group.folded);
            node.set_level(1);
            place(node, visible_rect, at);
        });
        let mut builder = egui::UiBuilder::new()
            .max_rect(visible_rect.shrink2(Vec2::new(12.0, 0.0)))
            .layout(Layout::left_to_right(Align::Center));
        builder.accessibility_parent = Some(id);
        ui.scope_builder(builder, |ui| {
            let chevron = if group.folded { Icon::ChevronRight } else { Icon::ChevronDown };
            chevron.show(ui, palette.muted);
            let short = elided(&name, ((ui.available_width() * 0.5 / 8.0) as usize).max(12));
            let title = RichText::new(&short).font(tokens::strong());
            let title = ui.add(egui::Label::new(title).selectable(false));
            if short != name {
                title.on_hover_text(&name);
            }
            let facts = RichText::new(&facts).font(tokens::small()).color(palette.muted);
            ui.add(egui::Label::new(facts).selectable(false));
            self.roll_up(ui, group);
        });
        if response.clicked() {
            self.acts.push(Act::Fold(group.name.clone(), !group.folded));
        }
    }

    /// The members of a small group at a glance: an icon each, in the order of their keys.
    fn roll_up(&self, ui: &mut Ui, group: &Group) {
        let palette = Palette::of(ui);
        ui.spacing_mut().item_spacing.x = 4.0;
        ui.add_space(4.0);
        for lock in group.members.iter().filter_map(|id| self.snapshot.lock(*id)) {
            let verdict = lock.judgement.verdict;
            let (rect, response) = ui.allocate_exact_size(Vec2::splat(tokens::ICON), Sense::hover());
            Icon::of(verdict).image(palette.verdict(verdict)).paint_at(ui, rect);
            let key = lock.key();
            let key = if key.is_empty() { "main".to_owned() } else { visible_name(&key) };
            let text = format!("{key}: {}", verdict.title());
            response.widget_info(|| egui::WidgetInfo::labeled(Role::Image, true, &text));
            response.on_hover_text(text);
        }
    }

    fn lock_row(&mut self, ui: &mut Ui, at: usize, lock: &Lock) {
        let id = lock.id;
        if self.is_gone(id) {
            return self.ghost_row(ui, at, lock);
        }
        let palette = Palette::of(ui);
        let rect = ui.max_rect();
        let selected = self.window.selection.contains(id);
        let cursor = self.window.selection.cursor;
        // One stop for Tab: where the keyboard stands, else the first row.
        let stop =
            cursor == Some(id) || (self.stop.is_none() && cursor.is_none_or(|id| self.snapshot.lock(id).is_none()));
        if stop {
            self.stop = Some(id);
        }
        let sense = if stop { Sense::click() } else { Sense::CLICK };
        let response = ui.interact(rect, row_id(id), sense);
        if self.window.rows.drawn(id) {
            self.appeared.push(id);
        }
        let fill = match (selected, response.hovered()) {
            (true, _) => palette.selection,
            (false, true) => palette.hover,
            (false, false) => Color32::TRANSPARENT,
        };
        ui.painter().rect_filled(rect, 0.0, fill);
        if let Some(age) = self.window.rows.there_for(id, self.window.now.1) {
            let fade = tokens::fade(ui);
            if !fade.is_zero() {
                let left = 1.0 - age.as_secs_f32() / tokens::APPEAR.as_secs_f32();
                ui.painter().rect_filled(rect, 0.0, palette.accent.gamma_multiply(0.22 * left));
                ui.set_opacity((age.as_secs_f32() / fade.as_secs_f32()).clamp(0.25, 1.0));
                ui.ctx().request_repaint();
            }
        }
        ui.painter().hline(rect.x_range(), rect.bottom() - 0.5, Stroke::new(1.0, palette.line.gamma_multiply(0.55)));
        if cursor == Some(id) {
            let edge = Rect::from_min_size(rect.min, Vec2::new(2.0, rect.height()));
            ui.painter().rect_filled(edge, 0.0, palette.accent);
        }
        if self.window.focus_row && cursor == Some(id) {
            response.request_focus();
            self.focused = true;
        }
        if response.has_focus() {
            let ring = Stroke::new(1.5, palette.accent);
            ui.painter().rect_stroke(rect.intersect(ui.clip_rect()).shrink(1.0), 2.0, ring, egui::StrokeKind::Inside);
            // The arrows are ours here, not egui's.
            let filter = egui::EventFilter { horizontal_arrows: true, vertical_arrows: true, escape: true, tab: false };
            ui.memory_mut(|memory| memory.set_focus_lock_filter(row_id(id), filter));
        }
        response.widget_info(|| egui::WidgetInfo::labeled(Role::Row, true, row_label(lock, &self.moment)));
        let shown = rect.intersect(ui.clip_rect());
        ui.ctx().accesskit_node_builder(row_id(id), |node| {
            node.set_selected(selected);
            place(node, shown, at);
        });
        if response.clicked() {
            let modifiers = ui.input(|i| i.modifiers);
            let reach = match (modifiers.shift, modifiers.command) {
                (true, _) => Reach::Range,
                (false, true) => Reach::Toggle,
                (false, false) => Reach::Only,
            };
            self.acts.push(Act::Choose(id, reach));
            response.request_focus();
            if ui.input(|i| i.key_pressed(egui::Key::Enter)) {
                self.acts.push(Act::Perform(Action::Details));
            }
        }
        if response.double_clicked() {
            self.acts.push(Act::Perform(Action::Details));
        }
        if response.secondary_clicked() && !selected {
            self.acts.push(Act::Choose(id, Reach::Only));
        }
        let mut menu = egui::Popup::context_menu(&response);
        if self.window.row_menu_by_key == Some(id) {
            // By key it opens at the row, as the pointer may be anywhere.
            menu = menu.at_position(shown.left_bottom() + Vec2::new(24.0, -8.0));
            if !menu.is_open() {
                menu = menu.open_memory(egui::SetOpenCommand::Bool(true));
            }
        }
        menu.accessible_name("Lock").show(|ui| self.acts.extend(row_menu(ui, self.window).map(Act::Perform)));
    }

    /// What has vanished: dimmed, struck through and inert, for the eye to follow.
    fn ghost_row(&self, ui: &mut Ui, at: usize, lock: &Lock) {
        let palette = Palette::of(ui);
        let rect = ui.max_rect();
        let fade = tokens::fade(ui);
        if let Some(gone_for) = self.window.rows.gone_for(lock.id, self.window.now.1) {
            let presence = Rows::presence(gone_for, fade);
            ui.set_opacity(presence);
            if presence < 1.0 {
                ui.ctx().request_repaint();
            }
        }
        ui.painter().hline(rect.x_range(), rect.bottom() - 0.5, Stroke::new(1.0, palette.line.gamma_multiply(0.55)));
        let id = egui::Id::unique(("ghost", lock.id.0));
        let response = ui.interact(rect, id, Sense::HOVER);
        let name = visible_name(&lock.display_path());
        let label = format!("Gone, {name}");
        response.widget_info(|| egui::WidgetInfo::labeled(Role::Row, false, &label));
        let shown = rect.intersect(ui.clip_rect());
        ui.ctx().accesskit_node_builder(id, |node| place(node, shown, at));
        let builder = egui::UiBuilder::new()
            .max_rect(shown.shrink2(Vec2::new(12.0, 0.0)))
            .layout(Layout::left_to_right(Align::Center));
        ui.scope_builder(builder, |ui| {
            Icon::Dash.show(ui, palette.muted);
            let word = RichText::new("Gone").color(palette.muted);
            ui.add(egui::Label::new(word).selectable(false));
            // The name stands where the names stand, however wide the columns before it are.
            ui.add_space((rect.left() + self.names_at + 12.0 - ui.cursor().left()).max(0.0));
            let name = RichText::new(elided(&name, 64)).color(palette.muted).strikethrough();
            ui.add(egui::Label::new(name).selectable(false));
        });
    }
}

/// What is dragged to make a column wider is the table's own and comes without a name: each gets one for screen readers.
pub(super) fn name_handles(ui: &Ui, table: egui::Id, columns: impl Iterator<Item = (egui::Id, &'static str)>) {
    for (column, title) in columns {
        let handle = table.with(column).with("resize");
        if ui.ctx().read_response(handle).is_some() {
            ui.ctx().accesskit_node_builder(handle, |node| {
                node.set_role(Role::Splitter);
                node.set_label(format!("Width of the column {title}"));
            });
        }
    }
}

/// Where a row stands, for screen readers.
pub(super) fn place(node: &mut egui::accesskit::Node, rect: Rect, at: usize) {
    node.set_row_index(at);
    node.set_position_in_set(at + 1);
    node.set_bounds(egui::accesskit::Rect {
        x0: f64::from(rect.min.x),
        y0: f64::from(rect.min.y),
        x1: f64::from(rect.max.x),
        y1: f64::from(rect.max.y),
    });
}

fn row_label(lock: &Lock, moment: &Moment<'_>) -> String {
    let mut parts = vec![lock.judgement.verdict.title().to_owned(), visible_name(&lock.display_path())];
    if let Some(pid) = lock.holder().map(|(p, _)| p.pid).or_else(|| lock.facts.reading().record()?.pid) {
        parts.push(format!("PID {pid}"));
    }
    parts.extend(lock.age(moment).map(say_duration));
    parts.extend(lock.facts.danger().map(|danger| format!("danger: {}", danger.title())));
    match lock.facts.waiters().len() {
        0 => {}
        waiting => parts.push(format!("{} waiting", widgets::number(waiting))),
    }
    parts.join(", ")
}

/// So that the margins of table and panels stay the same.
pub(super) const PANEL_MARGIN: Margin = Margin::same(16);
