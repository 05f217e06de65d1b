//! All that can be asked of the window, in one list: keys, menus, palette and the sheet of shortcuts are made from it.
//!
//! Owns: [`Action`] and what belongs to each: title, words to find it by, keys, why it may not be used now, what it does.
//! A new one is one row of the list. Never: draws.

use super::keys::{Chord, alt, ctrl, ctrl_alt, ctrl_shift, plain, real_ctrl, real_ctrl_shift, shift};
use super::tell::why_not_awaited;
use super::window::Window;
use crate::engine::listing::SortKey;
use crate::engine::settings::{BelowTab, Column, MotionChoice, ThemeChoice};
use crate::model::verdict::Verdict;
use eframe::egui::{self, Key};

/// The menus, and the headings of the palette and of the sheet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    /// What is looked at.
    File,
    /// Choosing and copying.
    Edit,
    /// How it is shown.
    View,
    /// What is done about a lock.
    Lock,
    /// What helps.
    Help,
}

impl Section {
    /// In the order of the menu: first what somebody under pressure came for.
    pub(super) const ALL: [Self; 5] = [Self::Lock, Self::File, Self::Edit, Self::View, Self::Help];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::File => "File",
            Self::Edit => "Edit",
            Self::View => "View",
            Self::Lock => "Lock",
            Self::Help => "Help",
        }
    }
}

/// What belongs to one action.
pub(super) struct Command {
    pub(super) action: Action,
    pub(super) section: Section,
    pub(super) title: &'static str,
    /// More words that the palette finds it by.
    pub(super) words: &'static str,
    pub(super) chords: &'static [Chord],
    /// Why it may not be used now: shown, not hidden.
    pub(super) why_not: fn(&Window) -> Option<String>,
    pub(super) perform: fn(&mut Window, &egui::Context),
}

macro_rules! actions {
    ($($name:ident($section:ident, $title:literal, $words:literal, [$($chord:expr),*], $why_not:expr, $perform:expr);)*) => {
        /// Something that can be asked of the window.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(super) enum Action { $(#[doc = $title] $name,)* }

        /// All of them, in the order in which they are shown.
        pub(super) const COMMANDS: &[Command] = &[$(Command {
            action: Action::$name,
            section: Section::$section,
            title: $title,
            words: $words,
            chords: &[$($chord),*],
            why_not: $why_not,
            perform: $perform,
        }),*];
    };
}

// Name(section, title, words to find it by, [keys], why it may not be used now, what it does);
actions! {
    OpenFolder(File, "Open folder…", "directory choose watch", [ctrl(Key::O)], always, |w, ctx| w.choose_folder(ctx));
    TypePath(File, "Type or paste a path…", "directory go to location", [ctrl(Key::L)], always, |w, _| w.ask_for_path());
    Rescan(File, "Look again now", "refresh reload rescan", [plain(Key::F5), ctrl(Key::R)], no_folder, |w, _| w.rescan());
    Export(File, "Export…", "save csv json table evidence journal spreadsheet", [ctrl(Key::S)], no_folder,
        |w, _| w.ask_to_export());
    Bundle(File, "Save an incident bundle…", "report ticket zip redacted support", [ctrl_shift(Key::S)], no_folder,
        |w, _| w.ask_for_incident());
    NextFolder(File, "Next folder", "directory tab switch", [real_ctrl(Key::Tab)], one_folder, |w, _| w.show_neighbour(1));
    PreviousFolder(File, "Previous folder", "directory tab switch back", [real_ctrl_shift(Key::Tab)], one_folder,
        |w, _| w.show_neighbour(-1));
    StopWatching(File, "Stop watching this folder", "close directory tab", [ctrl(Key::W)], no_folder,
        |w, _| w.stop_watching_shown());
    Demo(File, "Try the demo", "example tour", [], always, |w, _| w.start_demo());
    Quit(File, "Quit", "exit close leave", [], always, |_, ctx| ctx.send_viewport_cmd(egui::ViewportCommand::Close));

    Undo(Edit, "Undo the last clear", "put back restore", [ctrl(Key::Z).in_list()], nothing_to_undo, |w, _| w.undo_last());
    SelectAll(Edit, "Choose all", "select everything", [ctrl(Key::A).in_list()], no_rows, |w, _| w.choose_all());
    SelectNone(Edit, "Choose nothing", "select none deselect", [plain(Key::Escape).in_list()], always, |w, _| w.step_back());
    CopyPath(Edit, "Copy path", "clipboard file name", [ctrl(Key::C).in_list()], none_chosen, |w, ctx| w.copy_paths(ctx));
    CopySentence(Edit, "Copy the sentence", "clipboard why reason", [ctrl_shift(Key::C).in_list()], none_chosen,
        |w, ctx| w.copy_sentences(ctx));
    CopyPid(Edit, "Copy PID", "clipboard process number", [ctrl_alt(Key::C).in_list()], no_pid, |w, ctx| w.copy_pid(ctx));
    CopyEvidence(Edit, "Copy the evidence", "clipboard markdown ticket facts", [], none_chosen, |w, _| w.copy_evidence());
    CopyTable(Edit, "Copy the table", "clipboard csv spreadsheet", [], no_rows, |w, _| w.copy_table());
    Search(Edit, "Search", "find filter", [ctrl(Key::F), plain(Key::Slash).in_list()], no_folder, |w, _| w.focus_search = true);
    ShowAll(Edit, "Show all locks again", "clear the search no filter", [ctrl_shift(Key::F)], not_filtered, |w, _| w.show_all());

    Grouped(View, "Grouped by conversation", "group by headings flat", [ctrl(Key::G)], always,
        |w, _| w.settings.grouped = !w.settings.grouped);
    FoldAll(View, "Fold all groups", "collapse close", [ctrl_shift(Key::ArrowLeft).in_list()], no_groups, |w, _| w.fold_all(true));
    UnfoldAll(View, "Unfold all groups", "expand open", [ctrl_shift(Key::ArrowRight).in_list()], no_groups,
        |w, _| w.fold_all(false));
    OnlyStale(View, "Show only what is stale", "filter stuck", [], no_folder, |w, _| w.show_only(Verdict::Stale));
    OnlyHeld(View, "Show only what is held", "filter in use", [], no_folder, |w, _| w.show_only(Verdict::Held));
    NotLocks(View, "Show what is no lock", "dependency all files", [], no_folder,
        |w, _| w.query.show_not_locks = !w.query.show_not_locks);
    Folders(View, "Folders", "sidebar tabs directories", [ctrl(Key::B)], one_folder, |w, _| w.toggle_sidebar());
    Subfolders(View, "With subfolders", "recursive deep", [], no_folder, |w, _| w.toggle_subfolders());
    SubfolderRules(View, "What to pass over in subfolders…", "ignore rules glob", [], no_folder, |w, _| w.edit_rules());
    Timeline(View, "Timeline", "history plot time usual", [ctrl(Key::T)], always, |w, _| w.toggle_timeline());
    TellStale(View, "Tell me when a lock turns stale", "notification notify", [], always,
        |w, _| w.settings.tell_when_stale = !w.settings.tell_when_stale);
    Journal(View, "Journal", "log history undo", [ctrl(Key::J)], always, |w, _| w.toggle_journal());
    Machine(View, "All kernel locks of this machine", "lslocks system flock fcntl processes", [ctrl_shift(Key::M)], always,
        |w, _| w.toggle_machine());
    Pause(View, "Pause", "freeze stand still hold go on", [ctrl(Key::P)], no_folder, |w, _| w.toggle_pause());
    SortVerdict(View, "Sort by verdict", "order urgency", [alt(Key::Num1)], always, |w, _| w.sort_by(SortKey::Verdict));
    SortLock(View, "Sort by name", "order lock", [alt(Key::Num2)], always, |w, _| w.sort_by(SortKey::Lock));
    SortHolder(View, "Sort by holder", "order pid process", [alt(Key::Num3)], always, |w, _| w.sort_by(SortKey::Holder));
    SortFormat(View, "Sort by format", "order tool", [alt(Key::Num4)], always, |w, _| w.sort_by(SortKey::Format));
    SortAge(View, "Sort by age", "order time oldest", [alt(Key::Num5)], always, |w, _| w.sort_by(SortKey::Age));
    SortLiveness(View, "Sort by what the holder is", "order alive gone", [alt(Key::Num6)], always,
        |w, _| w.sort_by(SortKey::Liveness));
    SortWaiting(View, "Sort by waiting", "order waiters queue", [alt(Key::Num7)], always, |w, _| w.sort_by(SortKey::Waiting));
    ColumnHolder(View, "Column: Holder", "show hide pid", [], always, |w, _| w.toggle_column(Column::Holder));
    ColumnFormat(View, "Column: Format", "show hide tool", [], always, |w, _| w.toggle_column(Column::Format));
    ColumnAge(View, "Column: Age", "show hide time", [], always, |w, _| w.toggle_column(Column::Age));
    ColumnLiveness(View, "Column: Holder is", "show hide alive gone", [], always, |w, _| w.toggle_column(Column::Liveness));
    ColumnWaiting(View, "Column: Waiting", "show hide waiters", [], always, |w, _| w.toggle_column(Column::Waiting));
    ThemeSystem(View, "Theme: as the desktop", "colour light dark", [], always,
        |w, ctx| w.choose_theme(ctx, ThemeChoice::System));
    ThemeLight(View, "Theme: light", "colour bright", [], always, |w, ctx| w.choose_theme(ctx, ThemeChoice::Light));
    ThemeDark(View, "Theme: dark", "colour night", [], always, |w, ctx| w.choose_theme(ctx, ThemeChoice::Dark));
    MotionSystem(View, "Motion: as the desktop", "animation fade", [], always,
        |w, ctx| w.choose_motion(ctx, MotionChoice::System));
    MotionReduced(View, "Motion: reduced", "animation still no fade", [], always,
        |w, ctx| w.choose_motion(ctx, MotionChoice::Reduced));
    ZoomIn(View, "Larger", "zoom in scale text", [ctrl(Key::Plus), ctrl(Key::Equals)], at_largest, |w, ctx| w.zoom(ctx, 1));
    ZoomOut(View, "Smaller", "zoom out scale text", [ctrl(Key::Minus)], at_smallest, |w, ctx| w.zoom(ctx, -1));
    ZoomReset(View, "Usual size", "zoom reset scale 100 %", [ctrl(Key::Num0)], always, |w, ctx| w.zoom(ctx, 0));

    Clear(Lock, "Clear what is chosen…", "remove delete lock", [plain(Key::Delete).in_list()], not_clearable,
        |w, _| w.clear_chosen());
    ClearStale(Lock, "Clear all that is stale…", "remove delete stuck bulk", [ctrl_shift(Key::Delete)], nothing_stale,
        |w, _| w.ask_to_clear_stale());
    TellFree(Lock, "Tell me when it is free", "notification notify wait", [ctrl_shift(Key::T)], not_awaitable,
        |w, _| w.toggle_tell_chosen());
    NextStale(Lock, "Next stale lock", "jump stuck down", [plain(Key::F8)], no_stale_row, |w, _| w.jump_to_stale(true));
    PreviousStale(Lock, "Previous stale lock", "jump stuck up", [shift(Key::F8)], no_stale_row, |w, _| w.jump_to_stale(false));
    EndHolder(Lock, "End its holder…", "kill terminate process sigterm", [], no_holder_to_end, |w, _| w.ask_to_end_chosen());
    Force(Lock, "Force…", "take away remove anyway", [], not_forcible, |w, _| w.ask_to_force_chosen());

    Details(Lock, "Show its details", "evidence why panel", [], none_chosen, |w, ctx| w.go_to_details(ctx));
    RowMenu(Lock, "Open its menu", "context", [shift(Key::F10).in_list()], none_chosen, |w, _| {
        w.row_menu_by_key = w.selection.cursor;
    });

    Palette(Help, "Find a command, a lock or a folder…", "palette run", [ctrl(Key::K), ctrl_shift(Key::P)], always,
        |w, _| w.palette.open());
    Shortcuts(Help, "Shortcuts", "keys keyboard help", [plain(Key::F1), plain(Key::Questionmark).in_list()], always,
        |w, _| w.show_shortcuts = true);
}

impl Action {
    /// What belongs to it.
    pub(super) fn command(self) -> &'static Command {
        &COMMANDS[self as usize]
    }

    /// The first of its keys, as a person reads it.
    pub(super) fn key(self) -> Option<String> {
        self.command().chords.first().map(|chord| chord.shown())
    }

    /// Whether it is on; `None` for what cannot be on or off.
    pub(super) fn is_on(self, window: &Window) -> Option<bool> {
        let settings = &window.settings;
        Some(match self {
            Self::Grouped => settings.grouped,
            Self::NotLocks => window.query.show_not_locks,
            Self::Journal => window.shows_below(BelowTab::Journal),
            Self::Timeline => window.shows_below(BelowTab::Timeline),
            Self::TellStale => settings.tell_when_stale,
            Self::TellFree => window.chosen_is_awaited(),
            Self::Machine => window.machine.is_open(),
            Self::Pause => window.paused.is_some(),
            Self::OnlyStale => window.query.verdicts == [Verdict::Stale],
            Self::OnlyHeld => window.query.verdicts == [Verdict::Held],
            Self::SortVerdict => settings.sort == SortKey::Verdict,
            Self::SortLock => settings.sort == SortKey::Lock,
            Self::SortHolder => settings.sort == SortKey::Holder,
            Self::SortFormat => settings.sort == SortKey::Format,
            Self::SortAge => settings.sort == SortKey::Age,
            Self::SortLiveness => settings.sort == SortKey::Liveness,
            Self::SortWaiting => settings.sort == SortKey::Waiting,
            Self::ColumnHolder => window.shows_column(Column::Holder),
            Self::ColumnFormat => window.shows_column(Column::Format),
            Self::ColumnAge => window.shows_column(Column::Age),
            Self::ColumnLiveness => window.shows_column(Column::Liveness),
            Self::ColumnWaiting => window.shows_column(Column::Waiting),
            Self::ThemeSystem => settings.theme == ThemeChoice::System,
            Self::ThemeLight => settings.theme == ThemeChoice::Light,
            Self::MotionSystem => settings.motion == MotionChoice::System,
            Self::MotionReduced => settings.motion == MotionChoice::Reduced,
            Self::ThemeDark => settings.theme == ThemeChoice::Dark,
            _ => return None,
        })
    }
}

impl Window {
    /// Does what is asked, or says why not.
    pub(super) fn perform(&mut self, ctx: &egui::Context, action: Action) {
        let command = action.command();
        match (command.why_not)(self) {
            None => (command.perform)(self, ctx),
            Some(why) => self.say(format!("{}: {why}", command.title.trim_end_matches('…'))),
        }
    }
}

fn always(_: &Window) -> Option<String> {
    None
}

fn unless(may: bool, why: &str) -> Option<String> {
    (!may).then(|| why.to_owned())
}

fn no_folder(window: &Window) -> Option<String> {
    unless(window.snapshot.is_some(), "no folder is open.")
}

fn not_awaitable(window: &Window) -> Option<String> {
    let Some(lock) = window.chosen() else { return Some("no lock is chosen.".to_owned()) };
    why_not_awaited(lock).filter(|_| !window.chosen_is_awaited()).map(str::to_owned)
}

fn one_folder(window: &Window) -> Option<String> {
    unless(window.sidebar.watched.len() > 1, "no other folder is watched.")
}

fn no_rows(window: &Window) -> Option<String> {
    unless(!window.listing.rows.is_empty(), "no lock is listed.")
}

fn no_groups(window: &Window) -> Option<String> {
    unless(window.group_names().next().is_some(), "no group is listed.")
}

fn none_chosen(window: &Window) -> Option<String> {
    unless(window.selection.len() > 0, "no lock is chosen.")
}

fn nothing_to_undo(window: &Window) -> Option<String> {
    let may = !window.last_cleared.is_empty() || window.engine.journal().iter().any(|line| line.undoable);
    unless(may, "nothing was cleared that could be put back.")
}

fn not_filtered(window: &Window) -> Option<String> {
    unless(window.is_filtered(), "all are shown.")
}

fn no_pid(window: &Window) -> Option<String> {
    none_chosen(window).or_else(|| unless(window.chosen_pid().is_some(), "the lock that is chosen names no process."))
}

fn at_largest(window: &Window) -> Option<String> {
    unless(window.zoomed(1).is_some(), "it is as large as it gets.")
}

fn at_smallest(window: &Window) -> Option<String> {
    unless(window.zoomed(-1).is_some(), "it is as small as it gets.")
}

fn not_clearable(window: &Window) -> Option<String> {
    none_chosen(window).or_else(|| window.why_not_clear())
}

fn nothing_stale(window: &Window) -> Option<String> {
    no_folder(window).or_else(|| unless(window.bulk_clearable > 0, "nothing here is stale."))
}

fn no_stale_row(window: &Window) -> Option<String> {
    no_folder(window).or_else(|| {
        let stale = window.snapshot.as_ref().is_some_and(|snapshot| snapshot.counts.of(Verdict::Stale) > 0);
        unless(stale, "nothing here is stale.")
    })
}

fn no_holder_to_end(window: &Window) -> Option<String> {
    none_chosen(window).or_else(|| window.why_not_end())
}

fn not_forcible(window: &Window) -> Option<String> {
    none_chosen(window).or_else(|| window.why_not_force())
}

#[cfg(test)]
mod tests {
    use super::super::keys::Place;
    use super::*;

    #[test]
    fn no_two_actions_share_a_shortcut() {
        let all: Vec<(&str, &Chord)> =
            COMMANDS.iter().flat_map(|c| c.chords.iter().map(move |chord| (c.title, chord))).collect();
        for (at, (title, chord)) in all.iter().enumerate() {
            for (other, same) in &all[at + 1..] {
                // What works anywhere works in the list too, so the place makes no difference.
                let clash = chord.key == same.key && chord.modifiers == same.modifiers;
                assert!(!clash, "{title} and {other} share {}", chord.shown());
            }
        }
    }

    #[test]
    fn single_keys_do_not_disturb_typing() {
        for command in COMMANDS {
            for chord in command.chords {
                let types = chord.modifiers.is_none() && chord.key.name().len() == 1 || chord.key == Key::Slash;
                assert!(!types || chord.place == Place::List, "{}: {}", command.title, chord.shown());
                let letter = chord.key.name().len() == 1 && chord.key.name().chars().all(char::is_alphanumeric);
                assert!(!(letter && chord.modifiers.is_none()), "{}: letters jump in the table", command.title);
            }
        }
    }

    #[test]
    fn every_action_has_a_title_of_its_own_and_words() {
        for (at, command) in COMMANDS.iter().enumerate() {
            assert_eq!(command.action as usize, at, "{}: its own row is found by its number", command.title);
            assert!(!command.title.is_empty() && !command.words.is_empty(), "{:?}", command.action);
            assert!(COMMANDS[..at].iter().all(|other| other.title != command.title), "{} twice", command.title);
        }
    }
}
