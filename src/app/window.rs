//! The window's state and its frame: what is shown where, and what keys do.
//!
//! Owns: [`Window`]. The views are in their own files and draw from it. Never: asks a clock or a file itself.

use super::announce::Announcements;
use super::below::Below;
use super::confirm::Confirm;
use super::deeds::why_not_clear;
use super::dialog::FolderDialog;
use super::focus::FocusBefore;
use super::force::ForceDialog;
use super::machine::MachineView;
use super::palette::CommandPalette;
use super::papers::Papers;
use super::paused::Paused;
use super::rows::{HAND, Rows};
use super::selection::{Reach, Selection};
use super::sidebar::Sidebar;
use super::stuck::Stuck;
use super::tell::Tell;
use super::theme::Preference;
use super::timeline::Timeline;
use super::toast::Toast;
use super::tokens::{self, Palette};
use crate::engine::bulk::Progress;
use crate::engine::listing::{Listing, Query, Row};
use crate::engine::search::{Search, SearchError};
use crate::engine::settings::{BelowTab, Settings, ThemeChoice};
use crate::engine::{Command, Engine, Event, Sweeping};
use crate::model::snapshot::{Lock, LockId, Snapshot, Watching};
use crate::model::time::Wall;
use crate::model::verdict::{Clearing, Verdict};
use crate::platform::environment;
use eframe::egui;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Reads the wall clock and the monotonic clock.
pub type Clock = Arc<dyn Fn() -> (Wall, Duration) + Send + Sync>;

/// Settings are written so long after their last change.
const SAVE_AFTER: Duration = Duration::from_secs(1);

/// The window.
pub struct Window {
    pub(super) engine: Engine,
    pub(super) settings: Settings,
    saved: Settings,
    save_due: Option<Duration>,
    pub(super) clock: Clock,
    pub(super) home: Option<PathBuf>,
    pub(super) snapshot: Option<Arc<Snapshot>>,
    pub(super) listing: Arc<Listing>,
    pub(super) query: Query,
    sent_query: Option<Query>,
    pub(super) selection: Selection,
    pub(super) confirm: Option<Confirm>,
    pub(super) force: Option<ForceDialog>,
    pub(super) toast: Option<Toast>,
    pub(super) notices: Vec<String>,
    pub(super) typed_path: String,
    pub(super) typing_path: bool,
    pub(super) typed_threshold: String,
    pub(super) dialog: FolderDialog,
    pub(super) desktop_news: Option<crossbeam_channel::Receiver<Preference>>,
    pub(super) desktop_reduces_motion: bool,
    /// A whole directory has been shown; until then that is written to the log, for who measures the start.
    table_shown: bool,
    pub(super) record_as_hex: bool,
    pub(super) scroll_to: Option<usize>,
    pub(super) focus_search: bool,
    pub(super) now: (Wall, Duration),
    /// A dropped file is chosen as soon as its directory is shown: that directory, and the name.
    wanted: Option<(PathBuf, OsString)>,
    /// What the last clear took away, for Ctrl+Z after its toast has gone.
    pub(super) last_cleared: Vec<String>,
    /// How many locks may be cleared together; counted once a snapshot.
    pub(super) bulk_clearable: u32,
    /// How far the clear that runs has got.
    pub(super) clearing: Option<Progress>,
    /// The journal's panel, exports, bundles, and how times are said.
    pub(super) papers: Papers,
    /// Where automatic clearing is on.
    pub(super) sweeping: Vec<Sweeping>,
    pub(super) sidebar: Sidebar,
    /// All the machine's kernel locks, where they are shown.
    pub(super) machine: MachineView,
    pub(super) timeline: Timeline,
    pub(super) below: Below,
    pub(super) stuck: Stuck,
    pub(super) tell: Tell,
    title: String,
    pub(super) palette: CommandPalette,
    pub(super) show_shortcuts: bool,
    pub(super) focus: FocusBefore,
    pub(super) rows: Rows,
    pub(super) paused: Option<Paused>,
    pub(super) announcements: Announcements,
    /// The row whose menu was opened by key.
    pub(super) row_menu_by_key: Option<LockId>,
    /// What is typed into the search cannot be read, and why.
    pub(super) search_error: Option<SearchError>,
    /// What is typed to jump to a name, and when last.
    pub(super) jump: (String, Duration),
    /// The row where the keyboard stands is to have the focus, once it is drawn.
    pub(super) focus_row: bool,
    /// The search had the focus in the last frame.
    pub(super) searching: bool,
    /// In a small window: the details stand in the table's place.
    pub(super) show_details: bool,
    /// Where the table is.
    pub(super) middle: Option<egui::Rect>,
    /// Minimised, or behind others: as the engine was told.
    pub(super) hidden: bool,
    /// The search whose result was announced last.
    found_by: String,
}

impl Window {
    /// A window over an engine.
    pub fn new(cc: &eframe::CreationContext<'_>, engine: Engine, settings: Settings, clock: Clock) -> Self {
        egui_extras::install_image_loaders(&cc.egui_ctx);
        super::fonts::install(&cc.egui_ctx);
        tokens::install(&cc.egui_ctx);
        let query = first_query(&settings);
        let now = clock();
        let mut window = Self {
            engine,
            saved: settings.clone(),
            settings,
            save_due: None,
            clock,
            home: environment::home_dir(),
            snapshot: None,
            listing: Arc::default(),
            query,
            sent_query: None,
            selection: Selection::default(),
            confirm: None,
            force: None,
            toast: None,
            notices: Vec::new(),
            typed_path: String::new(),
            typing_path: false,
            typed_threshold: String::new(),
            dialog: FolderDialog::default(),
            desktop_news: None,
            desktop_reduces_motion: false,
            table_shown: false,
            record_as_hex: false,
            scroll_to: None,
            focus_search: false,
            now,
            wanted: None,
            last_cleared: Vec::new(),
            bulk_clearable: 0,
            clearing: None,
            papers: Papers::default(),
            sweeping: Vec::new(),
            sidebar: Sidebar::default(),
            machine: MachineView::default(),
            timeline: Timeline::default(),
            below: Below::default(),
            stuck: Stuck::default(),
            tell: Tell::default(),
            title: String::new(),
            palette: CommandPalette::default(),
            show_shortcuts: false,
            focus: FocusBefore::default(),
            rows: Rows::default(),
            paused: None,
            announcements: Announcements::default(),
            row_menu_by_key: None,
            search_error: None,
            jump: (String::new(), Duration::ZERO),
            focus_row: false,
            searching: false,
            show_details: false,
            middle: None,
            hidden: false,
            found_by: String::new(),
        };
        window.apply_theme(&cc.egui_ctx);
        window.apply_zoom(&cc.egui_ctx);
        window.apply_motion(&cc.egui_ctx);
        window.engine.send(Command::ReadJournal);
        window.engine.send(Command::FindPlaces);
        window.refresh(&cc.egui_ctx);
        window
    }

    /// The window's title, as the desktop shows it.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Asks for the frame in which an age reads differently. The ages of many rows change at as many moments of a second:
    /// they are drawn together, at whole seconds.
    pub(super) fn repaint_for_ages(&self, ctx: &egui::Context, next_change: Duration) {
        let due = self.now.1 + next_change;
        let whole = Duration::from_secs(due.as_secs() + u64::from(due.subsec_nanos() > 0));
        ctx.request_repaint_after(whole.saturating_sub(self.now.1));
    }

    /// Something to tell the person, above the table, until it is closed.
    pub fn tell(&mut self, notice: String) {
        if !self.notices.contains(&notice) {
            self.announce_now(notice.clone());
            self.notices.push(notice);
        }
    }

    pub(super) fn apply_theme(&self, ctx: &egui::Context) {
        match self.settings.theme {
            ThemeChoice::System => ctx.set_theme(egui::ThemePreference::System),
            ThemeChoice::Light => ctx.set_theme(egui::Theme::Light),
            ThemeChoice::Dark => ctx.set_theme(egui::Theme::Dark),
        }
    }

    /// How many rows a page is: what is seen, but for one to go on from.
    pub(super) fn page_rows(&self) -> isize {
        (self.rows.visible.len().saturating_sub(3) as isize).max(1)
    }

    /// Watches a directory, and remembers it. A file stands for the directory it is in.
    pub(super) fn open(&mut self, path: PathBuf) {
        self.prepare_to_open(&path);
        self.engine.send(Command::Watch(Some(path)));
    }

    pub(super) fn prepare_to_open(&mut self, path: &Path) {
        self.leave();
        self.wanted = path.parent().zip(path.file_name()).map(|(parent, name)| (parent.to_owned(), name.to_owned()));
        // A question about another directory's locks is void.
        self.confirm = None;
        self.force = None;
        self.selection.clear();
        self.machine.close();
        self.typing_path = false;
        self.settings.directory = Some(path.to_owned());
        self.remember_watched(path.to_owned());
    }

    fn note_first_table(&mut self, snapshot: &Snapshot) {
        let whole = matches!(snapshot.watching, Watching::Live | Watching::Polling(_));
        if !self.table_shown && whole && self.listing.complete && !self.listing.rows.is_empty() {
            self.table_shown = true;
            tracing::debug!("the first full table is shown");
        }
    }

    /// Shows a lock, and its directory first where that is not the one that is shown.
    pub(super) fn show_lock(&mut self, directory: &Path, path: &OsStr) {
        if self.snapshot.as_ref().is_none_or(|shown| *shown.directory != *directory) {
            self.open(directory.to_owned());
        }
        self.wanted = Some((directory.to_owned(), path.to_owned()));
    }

    /// Keeps the counts of what is watched, for the list of recent ones.
    fn leave(&mut self) {
        for picture in self.engine.watched().iter().filter_map(|one| one.picture.as_ref()) {
            if let Some(recent) = self.settings.recent.iter_mut().find(|recent| *recent.path == *picture.directory) {
                recent.stale = picture.counts.of(Verdict::Stale);
                recent.held = picture.counts.of(Verdict::Held);
            }
        }
    }

    /// Takes over what the engine has published. Rows keep their places while something is open over them.
    fn refresh(&mut self, ctx: &egui::Context) {
        self.now = (self.clock)();
        let newest = self.engine.snapshot();
        self.refresh_sidebar(newest.as_deref());
        let newest = self.picture(newest);
        let turned = self.snapshot.as_ref().map(|s| &s.directory) != newest.as_ref().map(|s| &s.directory);
        let held = self.rows_are_held(ctx);
        if let (Some(old), Some(new)) = (&self.snapshot, &newest)
            && !Arc::ptr_eq(old, new)
        {
            self.rows.picture_changes(&self.listing, old, new, self.now.1);
        }
        let listing = if self.paused.is_some() { self.paused_listing(ctx) } else { Some(self.engine.listing()) };
        if let Some(listing) = listing
            && !Arc::ptr_eq(&listing, &self.listing)
            && (!held || turned || self.listing.rows.is_empty() || listing.query != self.listing.query)
        {
            if let Some(picture) = &newest {
                self.rows.listing_changes(&self.listing, &listing, picture);
            }
            if listing.complete && listing.query.text != self.found_by {
                self.found_by.clone_from(&listing.query.text);
                self.announce(format!("{} found.", super::widgets::count(listing.matching as usize, "lock")));
            }
            self.listing = listing;
        }
        // While nothing can be seen nothing has to fade, and no frame is asked for.
        if let Some(next) = self.rows.expire(self.now.1, held)
            && !is_hidden(ctx)
        {
            ctx.request_repaint_after(next);
        }
        if let Some(snapshot) = &newest {
            let news = self.snapshot.as_ref().is_none_or(|shown| !Arc::ptr_eq(shown, snapshot));
            if news {
                if self.shows_below(BelowTab::Journal) {
                    // Another Lockscope may have cleared here.
                    self.engine.send(Command::ReadJournal);
                }
                self.note_directory(snapshot);
                self.selection.retain(|id| snapshot.lock(id).is_some());
                self.bulk_clearable = bulk_clearable(self.snapshot.as_deref(), self.bulk_clearable, snapshot);
                self.stuck.renew(self.snapshot.as_deref(), snapshot);
            }
            self.choose_wanted(snapshot);
        }
        self.snapshot = newest;
        self.show_title(ctx);
    }

    /// Rows keep their places while something is open over them, or a hand is on its way to one.
    fn rows_are_held(&mut self, ctx: &egui::Context) -> bool {
        if egui::Popup::is_any_open(ctx) || self.is_asking() || ctx.input(|i| i.pointer.any_down()) {
            return true;
        }
        let area = self.rows.area;
        let moving = ctx.input(|i| {
            let over = i.pointer.hover_pos().is_some_and(|at| area.is_some_and(|area| area.contains(at)));
            over && i.pointer.time_since_last_movement() < HAND.as_secs_f32()
        });
        if moving && !is_hidden(ctx) {
            ctx.request_repaint_after(HAND);
        }
        self.rows.held_by_hand(moving, self.now.1)
    }

    /// Chooses the file that was dropped, once its own directory is shown.
    fn choose_wanted(&mut self, snapshot: &Snapshot) {
        let Some((directory, name)) = self.wanted.take() else { return };
        if *snapshot.directory != *directory {
            // Still the directory before, or it was a directory itself that was dropped.
            let is_itself = snapshot.directory.parent() == Some(&*directory)
                && snapshot.directory.file_name() == Some(name.as_os_str());
            self.wanted = (!is_itself).then_some((directory, name));
            return;
        }
        let found = snapshot.find(&name).map(|lock| lock.id);
        let row = self.listing.rows.iter().position(|row| Some(row) == found.map(Row::Lock).as_ref());
        match (found, row) {
            (Some(id), Some(row)) => {
                self.selection.choose(id, Reach::Only, &self.listing.rows);
                self.scroll_to = Some(row);
            }
            // Not listed yet.
            _ if self.listing.generation < snapshot.generation => self.wanted = Some((directory, name)),
            _ if matches!(snapshot.watching, Watching::Loading(_)) => self.wanted = Some((directory, name)),
            _ => {}
        }
    }

    /// A directory that could be looked at is a recent one, as the engine calls it.
    fn note_directory(&mut self, snapshot: &Snapshot) {
        let lost = matches!(snapshot.watching, Watching::Lost(_));
        let first = self.settings.recent.first().map(|recent| &recent.path);
        let is_demo =
            snapshot.directory.file_name().is_some_and(|n| n.to_string_lossy().starts_with("lockscope-demo-"));
        if !lost && !is_demo && first.map(PathBuf::as_path) != Some(&*snapshot.directory) {
            self.settings.remember(snapshot.directory.to_path_buf());
        }
        if is_demo && self.settings.directory.as_deref() == Some(&*snapshot.directory) {
            self.settings.directory = self.settings.recent.first().map(|recent| recent.path.clone());
        }
    }

    fn show_title(&mut self, ctx: &egui::Context) {
        let title = match &self.snapshot {
            Some(snapshot) => {
                let name = super::visible_name(&snapshot.directory.file_name().unwrap_or_default().to_string_lossy());
                format!("{}{name} - Lockscope", self.title_counts(snapshot.counts.of(Verdict::Stale)))
            }
            None => "Lockscope".to_owned(),
        };
        if title != self.title {
            ctx.send_viewport_cmd(egui::ViewportCommand::Title(title.clone()));
            self.title = title;
        }
    }

    fn hear(&mut self, ctx: &egui::Context) {
        while let Some(event) = self.engine.next_event() {
            match event {
                Event::Clearing(progress) => self.clearing = Some(progress),
                Event::Sweeping(on) => self.sweeping = on,
                Event::Swept { directory, acts } => {
                    let elsewhere = self.snapshot.as_ref().is_none_or(|shown| shown.directory != directory);
                    let toast = Toast::swept(elsewhere.then_some(&*directory), acts, self.now.1);
                    if !toast.undoable().is_empty() {
                        self.last_cleared = toast.undoable();
                    }
                    self.show_toast(toast);
                    self.engine.send(Command::ReadJournal);
                }
                Event::Cleared { outcomes, left } => {
                    // A question that was asked meanwhile, in another folder, stays.
                    self.confirm.take_if(|confirm| confirm.is_sent());
                    self.force.take_if(|dialog| dialog.is_sent());
                    self.clearing = None;
                    let toast = Toast::cleared(outcomes, left, self.now.1);
                    self.last_cleared = toast.undoable();
                    self.show_toast(toast);
                    self.engine.send(Command::ReadJournal);
                }
                Event::Impact(pid, impact) => {
                    if let Some(dialog) = &mut self.force {
                        dialog.hear(pid, impact);
                    }
                }
                Event::HolderEnded(text) => {
                    self.force = None;
                    self.show_toast(Toast::said(text, self.now.1));
                    self.engine.send(Command::ReadJournal);
                }
                Event::Undone { outcomes } => {
                    self.show_toast(Toast::undone(outcomes, self.now.1));
                    self.engine.send(Command::ReadJournal);
                }
                event @ (Event::UndoAsked(..) | Event::Saved(_) | Event::Copied(_) | Event::Previewed(_)) => {
                    self.hear_papers(ctx, event);
                }
                Event::Notice(text) => self.tell(text),
                Event::Freed(freed, held) => self.hear_freed(ctx, &freed, held),
                Event::TurnedStale(turned) => self.hear_stale(&turned),
            }
        }
        while let Some(news) = self.desktop_news.as_ref().and_then(|news| news.try_recv().ok()) {
            match news {
                Preference::Theme(theme) => ctx.options_mut(|options| options.fallback_theme = theme),
                Preference::ReducedMotion(reduced) => {
                    self.desktop_reduces_motion = reduced;
                    self.apply_motion(ctx);
                }
            }
        }
        if let Some(answer) = self.dialog.answer(self.now.1) {
            match answer {
                super::dialog::Answer::Chosen(path) => self.open(path),
                super::dialog::Answer::Cancelled => {}
                super::dialog::Answer::NoDialog => self.tell(
                    "There is no file dialog on this desktop (neither a portal nor zenity). Type or paste a path instead."
                        .to_owned(),
                ),
            }
        }
    }

    /// The lock that the side panel shows.
    pub(super) fn chosen(&self) -> Option<&Arc<Lock>> {
        self.snapshot.as_ref()?.lock(self.selection.cursor?)
    }

    /// Asks to clear these; what may not be cleared together is left out.
    pub(super) fn ask_to_clear(&mut self, ids: &[LockId]) {
        let Some(snapshot) = &self.snapshot else { return };
        let locks: Vec<Arc<Lock>> = ids.iter().filter_map(|id| snapshot.lock(*id).cloned()).collect();
        self.confirm = match &locks[..] {
            [] => None,
            [one] if one.is_clearable() => Some(Confirm::of(vec![Arc::clone(one)], Vec::new())),
            [one] => {
                let name = super::visible_name(&one.display_path());
                let verdict = one.judgement.verdict.title().to_lowercase();
                let why = why_not_clear(one).unwrap_or_default();
                self.say(format!("{name} is {verdict}. {why}"));
                None
            }
            _ => {
                let (go, stay): (Vec<_>, Vec<_>) =
                    locks.into_iter().partition(|lock| lock.is_bulk_clearable(&snapshot.sight));
                if go.is_empty() {
                    self.say("None of these may be cleared together: only what is stale can.".to_owned());
                }
                (!go.is_empty()).then(|| Confirm::of(go, stay))
            }
        };
    }

    /// Asks to clear all that is stale; what is orphaned is named as left out.
    pub(super) fn ask_to_clear_stale(&mut self) {
        let Some(snapshot) = &self.snapshot else { return };
        let (mut go, mut stay) = (Vec::new(), Vec::new());
        for lock in snapshot.locks() {
            if lock.is_bulk_clearable(&snapshot.sight) {
                go.push(Arc::clone(lock));
            } else if lock.judgement.verdict.clearing() == Clearing::Bulk || lock.judgement.verdict == Verdict::Orphaned
            {
                stay.push(Arc::clone(lock));
            }
        }
        for locks in [&mut go, &mut stay] {
            locks.sort_by(|a, b| a.path.cmp(&b.path));
        }
        self.confirm = (!go.is_empty()).then(|| Confirm::of(go, stay));
    }

    pub(super) fn undo_last(&mut self) {
        let ids = std::mem::take(&mut self.last_cleared);
        if ids.is_empty() {
            // What an earlier session cleared is undone from the journal, where a person sees what it was.
            self.show_below(BelowTab::Journal);
            return;
        }
        self.engine.send(Command::Undo { ids });
        self.toast = None;
    }

    /// Whether a dialog is open.
    pub(super) fn is_asking(&self) -> bool {
        self.confirm.is_some()
            || self.force.is_some()
            || self.palette.is_open()
            || self.show_shortcuts
            || self.papers.is_asking()
            || self.sidebar.is_asking()
    }

    /// A path that is pasted where nothing else takes it is opened.
    pub(super) fn take_paste(&mut self, ui: &egui::Ui) {
        let pasted = ui.input(|i| {
            i.events
                .iter()
                .find_map(|event| if let egui::Event::Paste(text) = event { Some(text.clone()) } else { None })
        });
        if let Some(path) = pasted.as_deref().and_then(pasted_path) {
            self.open(path);
        }
    }

    fn take_drops(&mut self, ui: &egui::Ui) {
        let dropped: Vec<PathBuf> =
            ui.input(|i| i.raw.dropped_files.iter().map(|file| file.path().to_path_buf()).collect());
        let mut dropped = dropped.into_iter().filter(|path| !path.as_os_str().is_empty());
        if let Some(first) = dropped.next() {
            self.open(first);
            self.watch_too(dropped.collect());
        }
    }

    fn send_query(&mut self) {
        self.query.sort = self.settings.sort;
        self.query.descending = self.settings.sort_descending;
        self.query.grouped = self.settings.grouped;
        if self.sent_query.as_ref() == Some(&self.query) {
            return;
        }
        self.search_error = Search::parse(&self.query.text).err();
        if let Some(error) = &self.search_error {
            let text = error.to_string();
            self.announce(text);
        }
        let mut query = self.query.clone();
        if self.search_error.is_some() {
            // What cannot be read keeps the rows that are there.
            query.text = self.sent_query.as_ref().map_or_else(String::new, |sent| sent.text.clone());
        }
        if self.sent_query.as_ref() != Some(&query) {
            self.engine.send(Command::List(query.clone()));
            self.sent_query = Some(query);
        }
    }

    fn tell_whether_seen(&mut self, ctx: &egui::Context) {
        let hidden = is_hidden(ctx);
        if std::mem::replace(&mut self.hidden, hidden) != hidden {
            self.engine.send(Command::Hide(hidden));
        }
    }

    fn keep_settings(&mut self, ctx: &egui::Context) {
        // In points as they are before any zoom, which is how the next window asks for its size.
        if let Some(size) = ctx.input(|i| i.viewport().inner_rect).map(|rect| rect.size() * ctx.zoom_factor()) {
            self.settings.window_size = (size.x.round(), size.y.round());
        }
        if self.settings == self.saved {
            return;
        }
        let due = *self.save_due.get_or_insert(self.now.1 + SAVE_AFTER);
        if self.now.1 >= due {
            self.save();
        } else {
            ctx.request_repaint_after(due.saturating_sub(self.now.1));
        }
    }

    fn save(&mut self) {
        self.engine.send(Command::SaveSettings(Box::new(self.settings.clone())));
        self.saved = self.settings.clone();
        self.save_due = None;
    }
}

/// How many may be cleared together; of a picture that follows one of the same directory only what differs is looked at.
fn bulk_clearable(before: Option<&Snapshot>, count: u32, now: &Snapshot) -> u32 {
    let bulk = |lock: &Lock| lock.is_bulk_clearable(&now.sight);
    let alike = |before: &&Snapshot| {
        let (was, is) = (&before.sight, &now.sight);
        before.directory == now.directory && was.uid == is.uid && was.can_clear() == is.can_clear()
    };
    let Some(before) = before.filter(alike) else { return now.locks().filter(|lock| bulk(lock)).count() as u32 };
    let (mut more, mut less) = (0, 0);
    now.changes_since(before, &mut |was, is| {
        less += u32::from(was.is_some_and(|lock| bulk(lock)));
        more += u32::from(is.is_some_and(|lock| bulk(lock)));
    });
    (count + more).saturating_sub(less)
}

/// Over the whole window while something is dragged over it.
fn drop_hint(ui: &egui::Ui) {
    if ui.input(|i| i.raw.hovered_files.is_empty()) {
        return;
    }
    let palette = Palette::of(ui);
    let layer = egui::LayerId::new(egui::Order::Foreground, egui::Id::unique("drop-hint"));
    let painter = ui.ctx().layer_painter(layer);
    let rect = ui.ctx().content_rect();
    painter.rect_filled(rect, 0.0, palette.background.gamma_multiply(0.98));
    let inner = rect.shrink(16.0);
    painter.rect_stroke(inner, 10.0, egui::Stroke::new(2.0, palette.accent), egui::StrokeKind::Inside);
    let center = inner.center();
    painter.text(center, egui::Align2::CENTER_BOTTOM, "Drop to watch this folder", tokens::title(), palette.text);
    let hint = "A symbolic-link lock cannot be dropped itself: drop its folder, or paste its path.";
    painter.text(center + egui::vec2(0.0, 8.0), egui::Align2::CENTER_TOP, hint, tokens::small(), palette.muted);
}

/// A pasted path: plain, quoted, or a `file://` URI with percent escapes.
fn pasted_path(text: &str) -> Option<PathBuf> {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'))?;
    let path = match line.strip_prefix("file://") {
        Some(rest) => percent_decoded(&rest[rest.find('/')?..])?,
        None => line.trim_matches(['"', '\'']).to_owned(),
    };
    let path = match (path.strip_prefix("~/"), environment::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(path),
    };
    path.is_absolute().then_some(path)
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let hex = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&hex).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// What a window lists at first.
pub(super) fn first_query(settings: &Settings) -> Query {
    Query { sort: settings.sort, descending: settings.sort_descending, grouped: settings.grouped, ..Query::default() }
}

/// Whether nobody can see the window. Where the desktop does not say, somebody can.
pub(super) fn is_hidden(ctx: &egui::Context) -> bool {
    ctx.input(|i| i.viewport().visible()) == Some(false)
}

/// A typed path: `~` stands for the home directory.
pub(super) fn typed_path(text: &str) -> Option<PathBuf> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    pasted_path(text).or_else(|| Some(environment::absolute(Path::new(text))))
}

impl eframe::App for Window {
    fn logic(&mut self, ctx: &egui::Context, _frame: &mut eframe::Frame) {
        self.refresh(ctx);
        self.hear(ctx);
        self.hear_desktop(ctx);
        self.send_query();
        self.tell_whether_seen(ctx);
        self.follow_machine();
        self.keep_settings(ctx);
    }

    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
        // eframe does not come here then; whoever else drives the window need not draw either.
        if is_hidden(ui.ctx()) {
            return;
        }
        self.middle = None;
        ui.ctx().accesskit_node_builder(egui::accesskit_root_id(), |node| node.set_label(self.title.as_str()));
        let tab = Self::take_tab(ui);
        self.keys(ui);
        self.take_drops(ui);
        self.top_bar(ui);
        self.status_bar(ui);
        if !tokens::is_small(ui.ctx()) {
            self.sidebar(ui);
        }
        match self.snapshot.clone() {
            _ if self.machine.is_open() => {
                self.sweep_bar(ui);
                self.machine_screen(ui);
            }
            None => self.start_screen(ui),
            Some(snapshot) => {
                self.chip_bar(ui, &snapshot);
                self.pause_bar(ui);
                self.sweep_bar(ui);
                self.notice_bars(ui);
                self.below_panel(ui, &snapshot);
                // A table without a height would still draw its titles, over what took its place.
                if !self.below_is_in_front() {
                    self.detail_panel(ui, &snapshot);
                    self.main_area(ui, &snapshot);
                }
                self.note_first_table(&snapshot);
            }
        }
        self.confirm_dialog(ui);
        self.force_dialog(ui);
        self.save_dialog(ui);
        self.command_palette(ui);
        self.shortcut_sheet(ui);
        self.rules_dialog(ui);
        self.toast(ui);
        self.announcements(ui);
        drop_hint(ui);
        self.give_focus_back(ui.ctx());
        if let Some(back) = tab {
            self.step_focus(ui.ctx(), back);
        }
        self.send_query();
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        self.leave();
        if self.settings != self.saved {
            self.save();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_pasted_in_the_forms_that_desktops_give() {
        for (text, path) in [
            ("/run/lock", Some("/run/lock")),
            ("  '/run/my locks'\n", Some("/run/my locks")),
            ("file:///run/my%20locks\r\n", Some("/run/my locks")),
            ("file://localhost/run", Some("/run")),
            ("hello", None),
            ("file:///%zz", None),
            ("", None),
        ] {
            assert_eq!(pasted_path(text), path.map(PathBuf::from), "{text:?}");
        }
    }
}
