//! The top bar: which folder, whether it is live, search, and the one red button.

use super::command::Action;
use super::display_name::{elided, short_path};
use super::icons::Icon;
use super::tokens::{self, Palette};
use super::widgets::{self, from_right, muted};
use super::window::{Window, typed_path};
use crate::engine::Command;
use crate::model::snapshot::{LostReason, PollingReason, Snapshot, Watching};
use crate::model::verdict::Verdict;
use eframe::egui::{self, Align, CornerRadius, Frame, Layout, Margin, RichText, Sense, Stroke, TextEdit, Ui, Vec2};

impl Window {
    pub(super) fn top_bar(&mut self, ui: &mut Ui) {
        let palette = Palette::of(ui);
        egui::Panel::top("top-bar").exact_size(tokens::TOP_BAR).frame(widgets::bar(ui, palette.panel)).show(ui, |ui| {
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                self.sidebar_button(ui);
                self.folder_field(ui);
                if let Some(snapshot) = self.snapshot.clone() {
                    self.watch_state(ui, &snapshot);
                }
                from_right(ui, |ui| {
                    self.clear_stale_button(ui);
                    self.menu_button(ui);
                    if ui.ctx().content_rect().width() >= tokens::TIGHT {
                        self.palette_button(ui);
                    }
                    self.search_field(ui);
                });
            });
        });
    }

    fn folder_field(&mut self, ui: &mut Ui) {
        let palette = Palette::of(ui);
        let width = match ui.ctx().content_rect().width() {
            ..tokens::SMALL => 96.0,
            ..tokens::NARROW => 220.0,
            _ => 360.0,
        };
        let text = match &self.snapshot {
            Some(snapshot) => elided(&short_path(&snapshot.directory, self.home.as_deref()), width as usize / 8),
            None => "No folder chosen".to_owned(),
        };
        let (before, name) =
            text.rsplit_once('/').map_or(("", text.as_str()), |(_, name)| (&text[..text.len() - name.len()], name));
        let mut job = egui::text::LayoutJob::default();
        let format =
            |font, color| egui::TextFormat { font_id: font, color, valign: Align::Center, ..Default::default() };
        job.append(before, 0.0, format(tokens::body(), palette.muted));
        let (font, color) =
            if self.snapshot.is_some() { (tokens::strong(), palette.text) } else { (tokens::body(), palette.muted) };
        job.append(name, 0.0, format(font, color));
        let button = egui::Button::image_and_text(Icon::Folder.image(palette.muted), job)
            .right_text(Icon::ChevronDown.image(palette.muted))
            .fill(palette.background)
            .min_size(Vec2::new(width, tokens::CONTROL));
        let response = ui.add(button);
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, format!("Folder: {text}")));
        let response = match &self.snapshot {
            Some(snapshot) => response.on_hover_text(super::visible_name(&snapshot.directory.to_string_lossy())),
            None => response,
        };
        let mut menu = egui::Popup::menu(&response);
        if self.typing_path && self.snapshot.is_some() {
            menu = menu.open_memory(egui::SetOpenCommand::Bool(true));
        }
        menu.width(width.max(360.0))
            .close_behavior(egui::PopupCloseBehavior::CloseOnClickOutside)
            .show(|ui| self.folder_menu(ui));
    }

    fn folder_menu(&mut self, ui: &mut Ui) {
        if self.path_entry(ui) {
            ui.close();
        }
        if ui.button("Open folder…").clicked() {
            self.dialog.open(ui.ctx(), self.now.1);
            ui.close();
        }
        if ui.button("Try the demo").clicked() {
            self.engine.send(Command::StartDemo);
            ui.close();
        }
        self.subfolder_choice(ui);
        self.places_menu(ui);
        if !self.settings.recent.is_empty() {
            ui.add_space(4.0);
            ui.label(muted(ui, "Recent").font(tokens::small()));
        }
        for recent in self.settings.recent.clone() {
            let text = elided(&short_path(&recent.path, self.home.as_deref()), 52);
            let button = egui::Button::new(text).frame(false).min_size(Vec2::new(ui.available_width(), 28.0));
            if ui.add(button).clicked() {
                self.open(recent.path);
                ui.close();
            }
        }
    }

    /// A field for a typed path; `true` when one was entered.
    pub(super) fn path_entry(&mut self, ui: &mut Ui) -> bool {
        let palette = Palette::of(ui);
        let hint = RichText::new("Type or paste a path").color(palette.placeholder);
        let response = ui.add(widgets::field(&mut self.typed_path).hint_text(hint));
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::TextInput, true, "Path of a folder"));
        if self.typing_path {
            response.request_focus();
            self.typing_path = false;
        }
        let entered = response.lost_focus() && ui.input(|i| i.key_pressed(egui::Key::Enter));
        if entered && let Some(path) = typed_path(&self.typed_path) {
            self.typed_path.clear();
            self.open(path);
            return true;
        }
        false
    }

    fn search_field(&mut self, ui: &mut Ui) {
        // All the machine's locks have a search of their own, and without a folder there is nothing to search.
        if self.machine.is_open() || self.snapshot.is_none() {
            return;
        }
        let palette = Palette::of(ui);
        let frame = Frame::new()
            .fill(palette.background)
            .stroke(Stroke::new(1.0, palette.line))
            .corner_radius(CornerRadius::same(tokens::RADIUS))
            .inner_margin(Margin::symmetric(10, 0));
        let width = ui.available_width() - 8.0;
        if width < 60.0 {
            return;
        }
        frame.show(ui, |ui| {
            ui.set_width(width - 22.0);
            ui.set_height(tokens::CONTROL - 2.0);
            ui.spacing_mut().interact_size.y = tokens::CONTROL - 2.0;
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                if self.search_error.is_some() {
                    Icon::Warning.show(ui, palette.verdict(Verdict::Stale));
                } else {
                    Icon::Search.show(ui, palette.muted);
                }
                let hint =
                    if width > 420.0 { "Search name, PID, command… or verdict:stale pid:4711" } else { "Search" };
                let edit = TextEdit::singleline(&mut self.query.text)
                    .hint_text(RichText::new(hint).color(palette.placeholder))
                    .frame(Frame::NONE)
                    .align(egui::Align2::LEFT_CENTER)
                    .desired_width(
                        (ui.available_width() - if tokens::is_small(ui.ctx()) { 4.0 } else { 30.0 }).max(20.0),
                    );
                let response = ui.add(edit);
                response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::TextInput, true, "Search"));
                self.search_hint(ui, &response);
                if self.focus_search {
                    response.request_focus();
                    // What is there already is typed over.
                    if let Some(mut state) = egui::text_edit::TextEditState::load(ui.ctx(), response.id) {
                        let end = egui::text::CCursor::new(self.query.text.chars().count());
                        let all = egui::text::CCursorRange::two(egui::text::CCursor::new(0), end);
                        state.cursor.set_char_range(Some(all));
                        state.store(ui.ctx(), response.id);
                    }
                    self.focus_search = false;
                }
                self.searching = response.has_focus();
                // On to what was found.
                let down = ui.input(|i| i.key_pressed(egui::Key::ArrowDown) || i.key_pressed(egui::Key::Enter));
                if (response.has_focus() || response.lost_focus()) && down && self.search_error.is_none() {
                    self.go_to_first();
                }
                if self.query.text.is_empty() && tokens::is_small(ui.ctx()) {
                    // The room is for what is typed.
                } else if self.query.text.is_empty() {
                    let (rect, _) = ui.allocate_exact_size(Vec2::splat(18.0), Sense::hover());
                    let line = Stroke::new(1.0, palette.line);
                    ui.painter().rect_stroke(rect, 3.0, line, egui::StrokeKind::Inside);
                    let (center, middle) = (rect.center(), egui::Align2::CENTER_CENTER);
                    ui.painter().text(center, middle, "/", tokens::mono(), palette.placeholder);
                } else {
                    let close = egui::Button::image(Icon::Close.image(palette.muted)).frame(false);
                    let response = ui.add(close);
                    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, "Clear the search"));
                    if response.clicked() {
                        self.query.text.clear();
                    }
                }
            });
        });
    }

    /// What can be typed, while nothing is; or why what is typed cannot be read.
    fn search_hint(&self, ui: &Ui, field: &egui::Response) {
        let palette = Palette::of(ui);
        let error = self.search_error.as_ref().map(|error| super::visible(&error.to_string()));
        let shown = field.has_focus() && (error.is_some() || self.query.text.is_empty());
        if let Some(error) = &error {
            ui.ctx().accesskit_node_builder(field.id, |node| {
                node.set_invalid(egui::accesskit::Invalid::True);
                node.set_description(error.as_str());
            });
        }
        egui::Popup::from_response(field).kind(egui::PopupKind::Tooltip).open(shown).gap(10.0).show(|ui| {
            ui.set_max_width(460.0);
            if let Some(error) = error {
                ui.add(egui::Label::new(RichText::new(error).color(palette.verdict(Verdict::Stale))).wrap());
                ui.label(muted(ui, "The list stays as it was.").font(tokens::small()));
                return;
            }
            ui.spacing_mut().interact_size.y = 18.0;
            egui::Grid::new("search-terms").num_columns(2).spacing([16.0, 4.0]).show(ui, |ui| {
                for (term, finds) in crate::engine::search::TERMS {
                    ui.label(RichText::new(term).font(tokens::mono()));
                    ui.label(muted(ui, finds).font(tokens::small()));
                    ui.end_row();
                }
            });
        });
    }

    fn palette_button(&mut self, ui: &mut Ui) {
        let text =
            RichText::new(Action::Palette.key().unwrap_or_default()).font(tokens::small()).color(Palette::of(ui).muted);
        let response = ui.add(bar_button(ui, egui::Button::new(text)));
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, Action::Palette.command().title));
        if response.on_hover_text(Action::Palette.command().title).clicked() {
            self.perform(ui.ctx(), Action::Palette);
        }
    }

    fn clear_stale_button(&mut self, ui: &mut Ui) {
        let stale = self.bulk_clearable;
        if self.snapshot.is_none() || stale == 0 {
            return;
        }
        let stale = widgets::number(stale as usize);
        let text = format!("Clear stale ({stale})…");
        let short = if tokens::is_small(ui.ctx()) { format!("{stale}…") } else { text.clone() };
        let response = widgets::danger_button(ui, Some(Icon::Stale), short, true);
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &text));
        if widgets::says_key(response, Action::ClearStale, Some(&text)).clicked() {
            self.ask_to_clear_stale();
        }
    }
}

/// A control of this bar: framed as the folder and the search are.
pub(super) fn bar_button<'a>(ui: &Ui, button: egui::Button<'a>) -> egui::Button<'a> {
    button.fill(Palette::of(ui).background).min_size(Vec2::splat(tokens::CONTROL))
}

impl Window {
    fn watch_state(&self, ui: &mut Ui, snapshot: &Snapshot) {
        let palette = Palette::of(ui);
        let (color, word, why) = match &self.paused {
            Some(_) => (palette.accent, "Paused".to_owned(), "The picture stands still until you go on.".to_owned()),
            None => watch_word(palette, snapshot),
        };
        ui.spacing_mut().item_spacing.x = 6.0;
        ui.add_space(2.0);
        let (rect, dot) = ui.allocate_exact_size(Vec2::splat(8.0), Sense::hover());
        if self.paused.is_some() {
            // Two bars: the state is not told by colour alone.
            for x in [rect.left() + 1.5, rect.right() - 1.5] {
                ui.painter().vline(x, rect.y_range(), Stroke::new(2.5, color));
            }
        } else {
            ui.painter().circle_filled(rect.center(), 4.0, color);
        }
        if tokens::is_small(ui.ctx()) {
            dot.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, &word));
            dot.on_hover_text(format!("{word}. {why}"));
        } else {
            ui.add(egui::Label::new(muted(ui, word)).selectable(false)).on_hover_text(why);
        }
        ui.add_space(6.0);
        ui.spacing_mut().item_spacing.x = 8.0;
    }

    /// Nobody shall take an old picture for a new one.
    pub(super) fn pause_bar(&mut self, ui: &mut Ui) {
        let Some(paused) = &self.paused else { return };
        let palette = Palette::of(ui);
        let waiting = match paused.waiting {
            0 => "nothing has changed since".to_owned(),
            number => format!("{} {}", widgets::count(number, "change"), if number == 1 { "waits" } else { "wait" }),
        };
        let text = format!("Paused: {waiting}. Ages go on, and a clear still checks everything again.");
        let frame = egui::Frame::new().fill(palette.panel).inner_margin(Margin::symmetric(12, 4));
        egui::Panel::top("paused").frame(frame).show(ui, |ui| {
            ui.horizontal(|ui| {
                from_right(ui, |ui| {
                    let key = Action::Pause.key().unwrap_or_default();
                    let key = RichText::new(key).font(tokens::small()).color(palette.muted);
                    if ui.add(egui::Button::new("Go on").right_text(key)).clicked() {
                        self.perform(ui.ctx(), Action::Pause);
                    }
                    ui.with_layout(Layout::left_to_right(Align::Center), |ui| widgets::cut(ui, text));
                });
            });
        });
    }
}

/// Whether the picture is live, in a word; why not, on hover.
fn watch_word(palette: &Palette, snapshot: &Snapshot) -> (egui::Color32, String, String) {
    match &snapshot.watching {
        Watching::Live => (palette.ok, "Live".to_owned(), "The file system tells of each change.".to_owned()),
        Watching::Polling(reason) => {
            let why = match reason {
                PollingReason::OutOfWatches => {
                    "The system is out of inotify watches (fs.inotify.max_user_watches), so the folder is read again and again."
                        .to_owned()
                }
                PollingReason::FileSystem(name) => {
                    format!("On {name}, changes made elsewhere are not told, so the folder is read again and again.")
                }
                PollingReason::Failed(why) => format!("No events ({why}), so the folder is read again and again."),
            };
            (palette.verdict(Verdict::Held), "Polling".to_owned(), why)
        }
        Watching::Loading(count) => (
            palette.accent,
            format!("Reading… {}", widgets::number(*count as usize)),
            "The first pass is still under way.".to_owned(),
        ),
        Watching::Lost(reason) => (palette.verdict(Verdict::Stale), lost_word(reason).to_owned(), lost_why(reason)),
    }
}

pub(super) fn lost_word(reason: &LostReason) -> &'static str {
    match reason {
        LostReason::Gone => "Folder gone",
        LostReason::Denied => "Not allowed",
        LostReason::NotADirectory => "Not a folder",
        LostReason::NoAnswer => "No answer",
        LostReason::Failed(_) => "Cannot look",
    }
}

pub(super) fn lost_why(reason: &LostReason) -> String {
    match reason {
        LostReason::Gone => {
            "There is no folder at this path: it was deleted, moved or unmounted, or the path is wrong. Lockscope keeps trying and goes on by itself when it is there."
                .to_owned()
        }
        LostReason::Denied => {
            "You may not read it. Run Lockscope as its owner or as root, or choose another folder.".to_owned()
        }
        LostReason::NotADirectory => "There is something else at this path.".to_owned(),
        LostReason::NoAnswer => "The file system does not answer. Check its server or its mount; Lockscope keeps trying and goes on by itself.".to_owned(),
        LostReason::Failed(why) => format!("{why}. Lockscope keeps trying."),
    }
}
