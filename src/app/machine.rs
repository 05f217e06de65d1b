//! All kernel locks of the machine: a table of its own, with search, who waits under whom, and the way to a folder.

use super::cells::cell_frame;
use super::display_name::{elided, visible};
use super::icons::Icon;
use super::machine_words::{headline, place_words, said, sentence, waiting_words};
use super::process::ProcessView;
use super::table::{name_handles, place};
use super::tokens::{self, Palette};
use super::widgets::{self, count, cut, from_right, muted, number};
use super::window::Window;
use crate::engine::Command;
use crate::engine::machine::MachineWish;
use crate::model::kernel::TableLine;
use crate::model::machine::{MachineLock, MachinePicture, MachineSort, Place};
use crate::model::time::{say_duration, say_duration_drawn_in};
use crate::model::verdict::Verdict;
use eframe::egui::{self, Align, Color32, Frame, Key, Label, Layout, Margin, Modifiers, Rect, RichText, Role, Sense};
use eframe::egui::{Stroke, Ui, Vec2};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Title, what it sorts by, width in points; the path takes what is left.
const COLUMNS: [(&str, MachineSort, f32); 8] = [
    ("PID", MachineSort::Pid, 104.0),
    ("Program", MachineSort::Command, 132.0),
    ("User", MachineSort::User, 88.0),
    ("Type", MachineSort::Kind, 72.0),
    ("Mode", MachineSort::Mode, 60.0),
    ("Range", MachineSort::Range, 112.0),
    ("Waiting", MachineSort::Waiting, 104.0),
    ("Path", MachineSort::Path, 0.0),
];
const PATH: usize = COLUMNS.len() - 1;
/// What a narrow window leaves out: the strip below the table tells it of the chosen one.
const LESSER: [usize; 3] = [2, 4, 5];
/// The strip below the table: always as high, so that the rows stay where they are.
const CHOSEN: f32 = 132.0;
const NARROWEST_PATH: f32 = 200.0;

/// What of the machine is shown, and how.
#[derive(Default)]
pub(super) struct MachineView {
    open: bool,
    search: String,
    sort: MachineSort,
    ascending: bool,
    /// The rows, and what they were made from.
    rows: Vec<usize>,
    made_from: Option<(Arc<MachinePicture>, String, MachineSort, bool)>,
    chosen: Option<TableLine>,
    scroll_to: Option<u64>,
    /// What of the side panel's processes is unfolded.
    pub(super) processes: ProcessView,
    /// What the engine was last asked to look at.
    wished: MachineWish,
}

impl MachineView {
    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    pub(super) fn close(&mut self) {
        self.open = false;
    }

    /// Puts the rows in order, if anything has changed since they were.
    fn list(&mut self, picture: &Arc<MachinePicture>) {
        let same = |made: &(Arc<MachinePicture>, String, MachineSort, bool)| {
            Arc::ptr_eq(&made.0, picture) && made.1 == self.search && (made.2, made.3) == (self.sort, self.ascending)
        };
        if !self.made_from.as_ref().is_some_and(same) {
            self.rows = picture.listed(&self.search, self.sort, !self.ascending);
            self.made_from = Some((Arc::clone(picture), self.search.clone(), self.sort, self.ascending));
        }
    }

    /// Where the chosen lock is.
    fn chosen_place(&self) -> Option<Place> {
        let (picture, ..) = self.made_from.as_ref()?;
        Some(picture.locks.get(self.chosen_at(picture)?)?.place.clone())
    }

    /// Where in the picture the chosen one is.
    fn chosen_at(&self, picture: &MachinePicture) -> Option<usize> {
        let chosen = self.chosen?;
        picture.locks.iter().position(|lock| lock.line == chosen)
    }
}

/// What was done in the table in this frame.
enum Act {
    Sort(MachineSort),
    Choose(TableLine),
    Watch(PathBuf),
    Copy(String),
}

struct Table<'a> {
    picture: &'a MachinePicture,
    view: &'a MachineView,
    /// Places in [`COLUMNS`].
    columns: Vec<usize>,
    now: Duration,
    acts: Vec<Act>,
    next_change: Option<Duration>,
}

impl Window {
    /// Shows all kernel locks of the machine, over whatever is shown.
    pub(super) fn show_machine(&mut self) {
        self.machine.open = true;
        // What is chosen in a table that is not seen must not be acted on.
        self.selection.clear();
    }

    /// Shows them, or goes back.
    pub(super) fn toggle_machine(&mut self) {
        if self.machine.open { self.machine.close() } else { self.show_machine() }
    }

    /// Tells the engine what of the machine is shown now: what is not shown is not looked at.
    pub(super) fn follow_machine(&mut self) {
        let wish = if self.hidden {
            MachineWish::default()
        } else {
            let processes = self.shown_processes();
            MachineWish { picture: self.machine.open || self.snapshot.is_none() || !processes.is_empty(), processes }
        };
        if wish != self.machine.wished {
            self.machine.wished = wish.clone();
            self.engine.send(Command::WatchMachine(wish));
        }
    }

    /// The keys of this screen, before those of the commands.
    pub(super) fn machine_keys(&mut self, ui: &Ui, in_list: bool) {
        if ui.input_mut(|i| i.consume_key(Modifiers::COMMAND, Key::F)) {
            self.focus_search = true;
        }
        if !in_list {
            return;
        }
        let consume = |key| ui.input_mut(|i| i.consume_key(Modifiers::NONE, key));
        if consume(Key::Escape) {
            self.machine.close();
        }
        if consume(Key::Slash) {
            self.focus_search = true;
        }
        if let Some(place) = self.machine.chosen_place() {
            let copies = ui.input_mut(|i| {
                let before = i.events.len();
                i.events.retain(|event| !matches!(event, egui::Event::Copy));
                i.events.len() < before
            });
            if copies && let Place::Seen { path, .. } = &place {
                ui.ctx().copy_text(path.to_string_lossy().into_owned());
                self.say("Path copied.".to_owned());
            }
            if consume(Key::Enter)
                && let Some(path) = watched(&place)
            {
                self.open(path);
                return;
            }
        }
        const ALL: isize = isize::MAX / 2;
        for (key, by) in [
            (Key::ArrowDown, 1),
            (Key::ArrowUp, -1),
            (Key::PageDown, 15),
            (Key::PageUp, -15),
            (Key::End, ALL),
            (Key::Home, -ALL),
        ] {
            if consume(key) {
                self.move_choice(by);
            }
        }
    }

    fn move_choice(&mut self, by: isize) {
        let view = &mut self.machine;
        let Some((picture, ..)) = &view.made_from else { return };
        let at = view.chosen_at(picture).and_then(|at| view.rows.iter().position(|row| *row == at));
        let last = view.rows.len().saturating_sub(1);
        let next = at.map_or(0, |at| at.saturating_add_signed(by).min(last));
        if let Some(lock) = view.rows.get(next).and_then(|row| picture.locks.get(*row)) {
            view.chosen = Some(lock.line);
            view.scroll_to = Some(next as u64);
        }
    }

    /// All kernel locks.
    pub(super) fn machine_screen(&mut self, ui: &mut Ui) {
        let palette = Palette::of(ui);
        let shown = self.engine.machine();
        let picture = shown.picture.as_ref().and_then(|picture| picture.as_ref().ok()).cloned();
        self.machine_bar(ui, picture.as_deref());
        self.notice_bars(ui);
        if let Some(picture) = &picture {
            self.chosen_strip(ui, picture);
        }
        egui::CentralPanel::default().frame(Frame::new().fill(palette.background)).show(ui, |ui| {
            match &shown.picture {
                None => said(ui, Icon::Search, "Looking at the machine…", "The kernel's lock table is being read.", ""),
                Some(Err(why)) => {
                    let help = "Lockscope keeps trying. The lock files of a folder can still be looked at.";
                    said(ui, Icon::Warning, "The kernel's locks cannot be seen", &sentence(why), help);
                }
                Some(Ok(picture)) if picture.locks.is_empty() => {
                    let text = "No process of this machine holds one right now. What appears will show by itself.";
                    said(ui, Icon::Idle, "No kernel lock is held", text, &picture.limits().join(" "));
                }
                Some(Ok(picture)) => {
                    self.machine.list(picture);
                    if self.machine.rows.is_empty() {
                        let text = format!("{} are held, but none fits the search.", count(picture.counts().0, "lock"));
                        said(ui, Icon::Search, "Nothing matches", &text, "");
                        ui.vertical_centered(|ui| {
                            if ui.button("Show all").clicked() {
                                self.machine.search.clear();
                            }
                        });
                    } else {
                        self.machine_table(ui, picture);
                    }
                }
            }
        });
    }

    fn machine_bar(&mut self, ui: &mut Ui, picture: Option<&MachinePicture>) {
        let palette = Palette::of(ui);
        let frame = widgets::bar(ui, palette.panel);
        egui::Panel::top("machine").exact_size(tokens::CHIP_BAR).frame(frame).show(ui, |ui| {
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                let back = if self.snapshot.is_some() { "Back to the folder" } else { "Back" };
                let button = egui::Button::image_and_text(Icon::ChevronLeft.image(palette.muted), back);
                if ui.add(button.min_size(Vec2::new(0.0, tokens::CONTROL))).clicked() {
                    self.machine.close();
                }
                ui.add_space(8.0);
                ui.add(Label::new(RichText::new("All kernel locks").font(tokens::title())).selectable(false));
                if let Some(picture) = picture {
                    let (held, waiting) = picture.counts();
                    let text = match waiting {
                        0 => format!("{} held", number(held)),
                        waiting => format!("{} held · {} waiting", number(held), number(waiting)),
                    };
                    ui.add(Label::new(muted(ui, text)).selectable(false));
                    let limits = picture.limits().join(" ");
                    if !limits.is_empty() {
                        let (rect, response) = ui.allocate_exact_size(Vec2::splat(tokens::ICON), Sense::hover());
                        Icon::Warning.image(palette.verdict(Verdict::Held)).paint_at(ui, rect);
                        response.widget_info(|| egui::WidgetInfo::labeled(Role::Label, true, limits.clone()));
                        response.on_hover_text(limits);
                    }
                }
                from_right(ui, |ui| {
                    let width = (ui.available_width() - 16.0).clamp(80.0, 360.0);
                    let hint = if width > 240.0 { "Search path, program, PID, user…" } else { "Search" };
                    let hint = RichText::new(hint).color(palette.placeholder);
                    let field = widgets::field(&mut self.machine.search).hint_text(hint).desired_width(width - 22.0);
                    let response = ui.add(field);
                    response
                        .widget_info(|| egui::WidgetInfo::labeled(Role::TextInput, true, "Search all kernel locks"));
                    if std::mem::take(&mut self.focus_search) {
                        response.request_focus();
                    }
                    if response.has_focus() && ui.input(|i| i.key_pressed(Key::Escape)) {
                        self.machine.search.clear();
                        response.surrender_focus();
                    }
                });
            });
        });
    }

    /// What is to know of the chosen one, below the table.
    fn chosen_strip(&mut self, ui: &mut Ui, picture: &MachinePicture) {
        let Some(at) = self.machine.chosen_at(picture) else { return };
        let palette = Palette::of(ui);
        let lock = &picture.locks[at];
        let frame = Frame::new().fill(palette.panel).inner_margin(Margin::symmetric(16, 12));
        let mut acts = Vec::new();
        egui::Panel::bottom("machine-chosen").exact_size(CHOSEN).frame(frame).show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 4.0;
            ui.spacing_mut().interact_size.y = 20.0;
            ui.horizontal(|ui| {
                let title = RichText::new(visible(&headline(picture, at))).font(tokens::strong());
                ui.add(Label::new(title).truncate());
            });
            let text = place_words(lock);
            ui.add(Label::new(muted(ui, text.clone())).truncate()).on_hover_text(text);
            if let Some(command) = lock.facts().map(|facts| visible(&facts.command)).filter(|text| !text.is_empty()) {
                let mono = RichText::new(&command).font(tokens::mono()).color(palette.muted);
                ui.add(Label::new(mono).truncate()).on_hover_text(command);
            }
            ui.add_space(4.0);
            ui.horizontal(|ui| row_acts(ui, lock, &mut acts, false));
        });
        for act in acts {
            self.act_on_machine(ui, act);
        }
    }

    fn act_on_machine(&mut self, ui: &Ui, act: Act) {
        let view = &mut self.machine;
        match act {
            Act::Sort(key) if view.sort == key => view.ascending = !view.ascending,
            Act::Sort(key) => {
                view.sort = key;
                view.ascending = key != MachineSort::Waiting;
            }
            Act::Choose(line) => view.chosen = Some(line),
            Act::Watch(path) => self.open(path),
            Act::Copy(text) => ui.ctx().copy_text(text),
        }
    }

    fn machine_table(&mut self, ui: &mut Ui, picture: &MachinePicture) {
        ui.visuals_mut().widgets.noninteractive.bg_stroke = Stroke::NONE;
        let narrow = ui.ctx().content_rect().width() < tokens::NARROW;
        let used: Vec<usize> = (0..COLUMNS.len()).filter(|at| !(narrow && LESSER.contains(at))).collect();
        let id_of = |at: usize| egui::Id::unique(("machine-column", at));
        let columns: Vec<egui_table::Column> = used
            .iter()
            .map(|at| {
                let width = if *at == PATH { NARROWEST_PATH } else { COLUMNS[*at].2 };
                egui_table::Column::new(width).range(44.0..=2000.0).resizable(*at != PATH).id(id_of(*at))
            })
            .collect();
        let mut table = egui_table::Table::new()
            .id_salt("machine")
            .num_rows(self.machine.rows.len() as u64)
            .num_sticky_cols(0)
            .columns(columns)
            .headers([egui_table::HeaderRow::new(tokens::HEADER)]);
        // The path takes what the others leave, however wide they were made.
        let id = table.get_id(ui);
        let mut state = egui_table::TableState::load(ui.ctx(), id).unwrap_or_default();
        let width = |at: usize| state.col_widths.get(&id_of(at)).copied().unwrap_or(COLUMNS[at].2);
        let rest: f32 = used.iter().filter(|at| **at != PATH).map(|at| width(*at)).sum();
        for (at, (_, _, width)) in COLUMNS.iter().enumerate() {
            state.col_widths.entry(id_of(at)).or_insert(*width);
        }
        state.col_widths.insert(id_of(PATH), (ui.available_width() - rest).max(NARROWEST_PATH));
        state.store(ui.ctx(), id);
        if let Some(row) = self.machine.scroll_to.take() {
            table = table.scroll_to_row(row, None);
        }
        let mut view =
            Table { picture, view: &self.machine, columns: used, now: self.now.1, acts: Vec::new(), next_change: None };
        table.show(ui, &mut view);
        name_handles(ui, id, view.columns.iter().map(|at| (id_of(*at), COLUMNS[*at].0)));
        let (acts, next_change) = (view.acts, view.next_change);
        if let Some(next_change) = next_change {
            self.repaint_for_ages(ui.ctx(), next_change);
        }
        for act in acts {
            self.act_on_machine(ui, act);
        }
    }
}

impl egui_table::TableDelegate for Table<'_> {
    fn header_cell_ui(&mut self, ui: &mut Ui, cell: &egui_table::HeaderCellInfo) {
        let palette = Palette::of(ui);
        let rect = ui.max_rect();
        ui.painter().rect_filled(rect, 0.0, palette.panel);
        ui.painter().hline(rect.x_range(), rect.bottom() - 0.5, Stroke::new(1.0, palette.line));
        let Some((title, key, _)) = self.columns.get(cell.group_index).map(|at| COLUMNS[*at]) else { return };
        let sorted = self.view.sort == key;
        let arrow = match (sorted, self.view.ascending) {
            (true, true) => " ↓",
            (true, false) => " ↑",
            (false, _) => "",
        };
        let color = if sorted { palette.text } else { palette.muted };
        let text = RichText::new(format!("{title}{arrow}")).font(tokens::small()).color(color);
        let response = cell_frame(ui, rect, false, None, |ui| {
            ui.add(egui::Button::new(text).frame(false).min_size(Vec2::new(0.0, tokens::HEADER - 4.0)))
        });
        ui.ctx().accesskit_node_builder(response.id, |node| {
            node.set_role(Role::ColumnHeader);
            node.set_label(title);
            if sorted {
                use egui::accesskit::SortDirection::{Ascending, Descending};
                node.set_sort_direction(if self.view.ascending { Ascending } else { Descending });
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
        let Some(at) = self.view.rows.get(row as usize).copied() else { return };
        let palette = Palette::of(ui);
        let lock = &self.picture.locks[at];
        let rect = ui.max_rect();
        let chosen = self.view.chosen == Some(lock.line);
        let response = ui.interact(rect, row_id(at), Sense::CLICK);
        let fill = match (chosen, response.hovered()) {
            (true, _) => palette.selection,
            (false, true) => palette.hover,
            (false, false) => Color32::TRANSPARENT,
        };
        ui.painter().rect_filled(rect, 0.0, fill);
        ui.painter().hline(rect.x_range(), rect.bottom() - 0.5, Stroke::new(1.0, palette.line.gamma_multiply(0.55)));
        if chosen {
            let edge = Rect::from_min_size(rect.min, Vec2::new(2.0, rect.height()));
            ui.painter().rect_filled(edge, 0.0, palette.accent);
        }
        let label = visible(&format!("{}, {}", headline(self.picture, at), place_words(lock)));
        response.widget_info(|| egui::WidgetInfo::labeled(Role::Row, true, &label));
        let shown = rect.intersect(ui.clip_rect());
        ui.ctx().accesskit_node_builder(response.id, |node| {
            node.set_selected(chosen);
            place(node, shown, row as usize);
        });
        if response.clicked() || response.secondary_clicked() {
            self.acts.push(Act::Choose(lock.line));
        }
        response.context_menu(|ui| row_acts(ui, lock, &mut self.acts, true));
    }

    fn cell_ui(&mut self, ui: &mut Ui, cell: &egui_table::CellInfo) {
        let Some(at) = self.view.rows.get(cell.row_nr as usize).copied() else { return };
        let Some(column) = self.columns.get(cell.col_nr).copied() else { return };
        let (rect, parent) = (ui.max_rect(), row_id(at));
        let change = cell_frame(ui, rect, false, Some(parent), |ui| self.cell(ui, at, column));
        self.next_change = match (self.next_change, change) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }

    fn default_row_height(&self) -> f32 {
        tokens::ROW
    }
}

/// The widget of a row: the parent of its cells for screen readers.
fn row_id(at: usize) -> egui::Id {
    egui::Id::unique(("machine-row", at))
}

impl Table<'_> {
    fn cell(&self, ui: &mut Ui, at: usize, column: usize) -> Option<Duration> {
        let palette = Palette::of(ui);
        let lock = &self.picture.locks[at];
        let facts = lock.facts();
        let quiet = |text: &str| RichText::new(text.to_owned()).color(palette.muted);
        match column {
            0 => pid_cell(ui, lock),
            1 => match facts {
                Some(facts) => {
                    let response = cut(ui, visible(facts.name()));
                    if !facts.command.is_empty() {
                        response.on_hover_text(visible(&facts.command));
                    }
                }
                None => drop(cut(ui, quiet(if lock.taker_gone { "gone" } else { "not seen" }))),
            },
            2 => drop(cut(ui, quiet(&facts.and_then(|f| f.user.as_deref()).map_or_else(|| "—".to_owned(), visible)))),
            3 => drop(cut(ui, quiet(lock.line.kind.word()))),
            4 => drop(cut(ui, quiet(lock.mode()))),
            5 => drop(cut(ui, quiet(&lock.range()))),
            6 => return self.waiting_cell(ui, at),
            _ => path_cell(ui, lock),
        }
        None
    }

    fn waiting_cell(&self, ui: &mut Ui, at: usize) -> Option<Duration> {
        let palette = Palette::of(ui);
        let lock = &self.picture.locks[at];
        if !lock.is_waiting() {
            let waiters = self.picture.waiters_of(at);
            if waiters > 0 {
                let color = palette.verdict(Verdict::Held);
                cut(ui, RichText::new(format!("{waiters} waiting")).font(tokens::strong()).color(color));
            }
            return None;
        }
        let seen = self.now.saturating_sub(lock.waiting_since?);
        let (text, color) = if lock.in_circle {
            Icon::Warning.show(ui, palette.verdict(Verdict::Stale));
            ("in a circle".to_owned(), palette.verdict(Verdict::Stale))
        } else {
            (format!("for {}", say_duration(seen)), palette.text)
        };
        let response = cut(ui, RichText::new(text).color(color));
        response.on_hover_text(waiting_words(lock, seen));
        Some(say_duration_drawn_in(seen))
    }
}

/// The PID, further in with each one that it waits behind.
fn pid_cell(ui: &mut Ui, lock: &MachineLock) {
    let palette = Palette::of(ui);
    let depth = usize::from(lock.line.depth.min(4));
    if depth > 0 {
        ui.add_space(12.0 * (depth as f32 - 1.0));
        let (rect, _) = ui.allocate_exact_size(Vec2::new(10.0, tokens::ROW), Sense::hover());
        let corner = egui::pos2(rect.left() + 2.0, rect.center().y);
        let stroke = Stroke::new(1.0, palette.muted);
        ui.painter().line_segment([egui::pos2(corner.x, rect.top() + 4.0), corner], stroke);
        ui.painter().line_segment([corner, egui::pos2(rect.right(), corner.y)], stroke);
    }
    let more = lock.processes.len().saturating_sub(1);
    match lock.pid() {
        Some(pid) if more > 0 => {
            let all: Vec<String> =
                lock.processes.iter().map(|p| format!("{} (PID {})", visible(p.name()), p.pid)).collect();
            cut(ui, format!("{pid} +{more}")).on_hover_text(format!("They share the open file: {}", all.join(", ")));
        }
        Some(pid) => drop(cut(ui, pid.to_string())),
        None => drop(cut(ui, RichText::new("—").color(palette.muted))),
    }
}

/// A path that is too long loses its middle; a pointer shows it whole.
fn path_cell(ui: &mut Ui, lock: &MachineLock) {
    let palette = Palette::of(ui);
    let (text, color) = match &lock.place {
        // Who waits stands under whom it waits for: the same path again.
        Place::Seen { .. } if !lock.is_waiting() => (place_words(lock), palette.text),
        _ => (place_words(lock), palette.muted),
    };
    let whole = ui.painter().layout_no_wrap(text.clone(), tokens::body(), color).size().x;
    let room = ui.available_width();
    let letters = text.chars().count();
    if whole <= room {
        cut(ui, RichText::new(text).color(color));
        return;
    }
    // By the average width of its own letters, and two less, as those that stay may be wide ones.
    let fits = ((letters as f32 * room / whole) as usize).saturating_sub(2);
    let shown = if matches!(lock.place, Place::Seen { .. }) { elided(&text, fits) } else { text.clone() };
    cut(ui, RichText::new(shown).color(color)).on_hover_text(text);
}

/// What to open to watch a lock's folder: a file that is there is chosen in it then.
fn watched(place: &Place) -> Option<PathBuf> {
    let deleted = matches!(place, Place::Seen { deleted: true, .. });
    let path = place.path_here()?;
    if deleted { path.parent().map(std::path::Path::to_owned) } else { Some(path.to_owned()) }
}

/// What may be done with one of them.
fn row_acts(ui: &mut Ui, lock: &MachineLock, acts: &mut Vec<Act>, in_menu: bool) {
    let folder = watched(&lock.place);
    let button = egui::Button::new("Watch its folder");
    let response = ui.add_enabled(folder.is_some(), button);
    let response = response.on_disabled_hover_text("Its path is not one that can be watched from here.");
    if response.clicked() {
        acts.extend(folder.map(Act::Watch));
        ui.close();
    }
    if let Place::Seen { path, .. } = &lock.place
        && ui.button("Copy path").clicked()
    {
        acts.push(Act::Copy(path.to_string_lossy().into_owned()));
        ui.close();
    }
    if let Some(pid) = lock.pid()
        && ui.button(format!("Copy PID {pid}")).clicked()
    {
        acts.push(Act::Copy(pid.to_string()));
        ui.close();
    }
    if in_menu
        && let Some(facts) = lock.facts().filter(|facts| !facts.command.is_empty())
        && ui.button("Copy command line").clicked()
    {
        acts.push(Act::Copy(facts.command.to_string()));
        ui.close();
    }
}
