//! Saving what is seen: a table, evidence or the journal, and the incident bundle. What goes in, where to, and how it ended.
//!
//! Owns: [`Papers`] and the two dialogs. Never: writes a file or makes a text itself; the engine's threads do.

use super::dialog::{Answer, FolderDialog};
use super::display_name::{short_path, visible};
use super::journal::JournalView;
use super::toast::Toast;
use super::tokens::{self, Palette};
use super::widgets::{self, count, hairline, muted};
use super::window::{Window, typed_path};
use crate::engine::export::{Form, Subject};
use crate::engine::incident::{Contents, Incident};
use crate::engine::listing::Row;
use crate::engine::papers::{Job, NotSaved, Paper, Target};
use crate::engine::redact::Include;
use crate::engine::{Command, Event};
use crate::model::snapshot::Lock;
use crate::model::time::Zone;
use crate::model::verdict::Verdict;
use crate::platform::environment;
use eframe::egui::{self, Key, Label, RichText, Ui, Vec2};
use std::path::PathBuf;
use std::sync::Arc;

/// What the window remembers of journal, exports and bundles.
pub(super) struct Papers {
    /// How times are said.
    pub(super) zone: Zone,
    pub(super) journal: JournalView,
    save: Option<Save>,
    chooser: FolderDialog,
}

impl Default for Papers {
    fn default() -> Self {
        Self {
            zone: environment::zone().clone(),
            journal: JournalView::default(),
            save: None,
            chooser: FolderDialog::default(),
        }
    }
}

impl Papers {
    /// A question is open.
    pub(super) fn is_asking(&self) -> bool {
        self.save.is_some()
    }
}

/// What can be exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Shown,
    All,
    Evidence,
    Journal,
    Bundle,
}

/// The dialog while it is open.
struct Save {
    what: What,
    form: Form,
    path: String,
    /// The person has written the path; it follows the choice no more.
    own_path: bool,
    include: Include,
    /// What a bundle will have in it, once that was looked at; and with what included.
    contents: Option<Box<Contents>>,
    asked: Option<Include>,
    waiting: bool,
    problem: Option<NotSaved>,
    note: Option<&'static str>,
    /// How many locks the table shows.
    rows: Option<usize>,
    focused: bool,
}

impl Save {
    fn of(what: What) -> Self {
        Self {
            what,
            form: if what == What::Evidence { Form::Markdown } else { Form::Csv },
            path: String::new(),
            own_path: false,
            include: Include::default(),
            contents: None,
            asked: None,
            waiting: false,
            problem: None,
            note: None,
            rows: None,
            focused: false,
        }
    }
}

// What the dialogs are called.
const EXPORT: &str = "Export";
const BUNDLE: &str = "Save an incident bundle";

impl Window {
    /// Says times as another place does: for tests.
    pub fn set_zone(&mut self, zone: Zone) {
        self.papers.zone = zone;
    }

    /// Asks what to export: the table as it is shown first.
    pub(super) fn ask_to_export(&mut self) {
        if self.snapshot.is_some() {
            self.papers.save = Some(Save::of(What::Shown));
        }
    }

    /// The same, with the evidence of the chosen locks first.
    pub(super) fn ask_to_export_evidence(&mut self) {
        if self.selection.len() > 0 {
            self.papers.save = Some(Save::of(What::Evidence));
        }
    }

    /// The same, with the journal as it is listed first.
    pub(super) fn ask_to_export_journal(&mut self) {
        self.papers.save = Some(Save::of(What::Journal));
    }

    /// Asks for an incident bundle.
    pub(super) fn ask_for_incident(&mut self) {
        if self.snapshot.is_some() {
            self.papers.save = Some(Save::of(What::Bundle));
        }
    }

    /// Copies the table as it is shown, as CSV.
    pub(super) fn copy_table(&mut self) {
        self.copy_paper(What::Shown, Form::Csv);
    }

    /// Copies the evidence of the chosen locks, to read.
    pub(super) fn copy_evidence(&mut self) {
        self.copy_paper(What::Evidence, Form::Markdown);
    }

    fn copy_paper(&mut self, what: What, form: Form) {
        if let Some(subject) = self.subject(what) {
            let paper = Paper::Export { subject, form, zone: self.papers.zone.clone() };
            self.engine.send(Command::Write(Box::new(Job { paper, target: Target::Clipboard })));
        }
    }

    /// What the engine has to tell of papers.
    pub(super) fn hear_papers(&mut self, ctx: &egui::Context, event: Event) {
        match event {
            Event::UndoAsked(id, can) => self.papers.journal.hear(&id, can),
            Event::Copied(text) => {
                let lines = text.lines().count();
                ctx.copy_text(text);
                self.papers.save = None;
                self.toast = Some(Toast::said(format!("Copied {}.", count(lines, "line")), self.now.1));
            }
            Event::Previewed(contents) => {
                if let Some(save) = &mut self.papers.save {
                    save.contents = Some(contents);
                }
            }
            Event::Saved(Ok((path, bytes))) => {
                let bundle = self.papers.save.take().is_some_and(|save| save.what == What::Bundle);
                let kept = if bundle { " Look at it before you pass it on." } else { "" };
                let text = format!("Saved {} ({}).{kept}", short_path(&path, self.home.as_deref()), size(bytes));
                self.toast = Some(Toast::said(text, self.now.1));
            }
            Event::Saved(Err(problem)) => match &mut self.papers.save {
                Some(save) => {
                    save.waiting = false;
                    save.problem = Some(problem);
                }
                None => self.tell(format!("{problem}.")),
            },
            _ => {}
        }
    }

    /// The locks that the table shows, in its order.
    fn shown_locks(&self) -> Vec<Arc<Lock>> {
        let Some(snapshot) = &self.snapshot else { return Vec::new() };
        let ids = self.listing.rows.iter().filter_map(|row| if let Row::Lock(id) = row { Some(*id) } else { None });
        ids.filter_map(|id| snapshot.lock(id).cloned()).collect()
    }

    fn subject(&self, what: What) -> Option<Subject> {
        if what == What::Journal {
            let (journal, places) = self.papers.journal.listed();
            return Some(Subject::Journal(journal, places));
        }
        let snapshot = self.snapshot.clone()?;
        let locks = match what {
            What::Shown => self.shown_locks(),
            What::All => return Some(Subject::All(snapshot)),
            _ => self.selection.ids().filter_map(|id| snapshot.lock(id).cloned()).collect(),
        };
        Some(if what == What::Evidence { Subject::Evidence(snapshot, locks) } else { Subject::Table(snapshot, locks) })
    }

    fn incident(&self, include: Include) -> Option<Incident> {
        Some(Incident {
            snapshot: self.snapshot.clone()?,
            journal: self.engine.journal(),
            include,
            zone: self.papers.zone.clone(),
            history: self.snapshot.as_ref().and_then(|snapshot| self.engine.history(&snapshot.directory)),
        })
    }

    /// The name that a file gets if nobody gives it another.
    fn usual_name(&self, save: &Save) -> String {
        let stamp = self.papers.zone.file_stamp(self.now.0);
        let what = match save.what {
            What::Bundle => return format!("lockscope-incident-{stamp}.zip"),
            What::Shown | What::All => "locks",
            What::Evidence => "evidence",
            What::Journal => "journal",
        };
        format!("lockscope-{what}-{stamp}.{}", save.form.ending())
    }

    /// The dialog, where one is open.
    pub(super) fn save_dialog(&mut self, ui: &mut Ui) {
        let Some(mut save) = self.papers.save.take() else { return };
        if !save.own_path {
            save.path = format!("{}{}", if self.home.is_some() { "~/" } else { "" }, self.usual_name(&save));
        }
        let width = widgets::dialog_width(ui, 560.0);
        let mut open = true;
        let name = if save.what == What::Bundle { BUNDLE } else { EXPORT };
        let response = widgets::modal(ui, "save", name, 20, |ui| {
            ui.set_width(width);
            let most = (ui.ctx().content_rect().height() - 260.0).max(120.0);
            let scroll = egui::ScrollArea::vertical().max_height(most).min_scrolled_height(most);
            scroll.auto_shrink([false, true]).show(ui, |ui| {
                ui.spacing_mut().interact_size.y = 24.0;
                if save.what == What::Bundle {
                    self.bundle_content(ui, &mut save);
                } else {
                    self.export_content(ui, &mut save);
                }
            });
            self.path_field(ui, &mut save);
            open = self.save_buttons(ui, &mut save);
        });
        if open && !response.should_close() {
            self.papers.save = Some(save);
        }
    }

    fn export_content(&mut self, ui: &mut Ui, save: &mut Save) {
        ui.label(RichText::new(EXPORT).font(tokens::title()));
        ui.label(muted(ui, "As it is now; names are never made into formulas of a spreadsheet."));
        ui.add_space(12.0);
        // The rows keep their places while this is open.
        let rows = || self.listing.rows.iter().filter(|row| matches!(row, Row::Lock(_))).count();
        let shown = *save.rows.get_or_insert_with(rows);
        let counts = self.snapshot.as_ref().map(|snapshot| snapshot.counts);
        let all = counts.map_or(0, |counts| counts.listed() + counts.of(Verdict::NotALock)) as usize;
        let (chosen, entries) = (self.selection.len(), self.papers.journal.count());
        for (what, text, number) in [
            (What::Shown, format!("The table as shown: {}, filtered and in its order", count(shown, "lock")), shown),
            (What::All, format!("All of this folder: {}", count(all, "lock")), all),
            (What::Evidence, format!("The evidence of what is chosen: {}", count(chosen, "lock")), chosen),
            (What::Journal, format!("The journal as listed: {entries} entries"), entries),
        ] {
            let may = number > 0 || save.what == what;
            let response = ui.add_enabled(may, egui::RadioButton::new(save.what == what, text));
            if response.clicked() && save.what != what {
                save.what = what;
                save.form = if what == What::Evidence { Form::Markdown } else { Form::Csv };
                save.problem = None;
            }
            let why = if what == What::Journal { "Open the journal first: nothing is listed" } else { "There is none" };
            response.on_disabled_hover_text(why);
        }
        ui.add_space(12.0);
        ui.horizontal(|ui| {
            let forms: &[(Form, &str)] = if save.what == What::Evidence {
                &[(Form::Markdown, "Text (Markdown)"), (Form::Csv, "CSV"), (Form::Json, "JSON")]
            } else {
                &[(Form::Csv, "CSV"), (Form::Json, "JSON")]
            };
            for (form, text) in forms {
                if ui.radio(save.form == *form, *text).clicked() {
                    save.form = *form;
                    save.problem = None;
                }
            }
        });
    }

    fn bundle_content(&mut self, ui: &mut Ui, save: &mut Save) {
        if save.asked != Some(save.include)
            && let Some(incident) = self.incident(save.include)
        {
            save.asked = Some(save.include);
            save.contents = None;
            let job = Job { paper: Paper::Incident(incident), target: Target::Preview };
            self.engine.send(Command::Write(Box::new(job)));
        }
        ui.label(RichText::new(BUNDLE).font(tokens::title()));
        ui.label(muted(ui, "One zip file for a ticket: what is held or stuck here, why, and what could not be seen."));
        ui.add_space(12.0);
        let Some(contents) = &save.contents else {
            ui.label(muted(ui, "Looking what goes in…"));
            ui.add_space(12.0);
            return include_choice(ui, save);
        };
        let left_out = |left: usize| if left > 0 { format!(", {left} more left out") } else { String::new() };
        for (file, what) in [
            ("summary.txt", "the sentences, and what could not be seen".to_owned()),
            ("status.json, .csv", format!("{}{}", count(contents.locks.0, "lock"), left_out(contents.locks.1))),
            (
                "evidence/",
                format!(
                    "of {} that {} not idle{}",
                    count(contents.evidence.0, "lock"),
                    if contents.evidence.0 == 1 { "is" } else { "are" },
                    left_out(contents.evidence.1)
                ),
            ),
            ("journal.json", format!("{} entries of this folder{}", contents.entries.0, left_out(contents.entries.1))),
            ("machine.json", "system, clock, file system, limits".to_owned()),
        ] {
            row(ui, file, &what);
        }
        if contents.history {
            row(ui, "history.json", "who held which lock when, and who waited");
        }
        ui.add_space(8.0);
        hairline(ui);
        ui.add_space(8.0);
        row(ui, "Folder", &visible(&contents.directory));
        let (users, hosts, _) = contents.replaced;
        let names = if save.include.names {
            "as they are".to_owned()
        } else {
            format!("{} and {}, as user-1, host-1 and so on", count(users, "user"), count(hosts, "host"))
        };
        row(ui, "Users, hosts", &names);
        if let Some((seen, told)) = &contents.example {
            let text = if seen == told { seen.clone() } else { format!("{}, told as {told}", super::elided(seen, 36)) };
            row(ui, "A command", &visible(&text));
        }
        row(ui, "Kept as they are", "the names of locks and folders, PIDs, times, reasons of a force");
        ui.add_space(12.0);
        include_choice(ui, save);
    }

    fn path_field(&mut self, ui: &mut Ui, save: &mut Save) {
        if let Some(answer) = self.papers.chooser.answer(self.now.1) {
            match answer {
                Answer::Chosen(path) => {
                    save.path = path.to_string_lossy().into_owned();
                    save.own_path = true;
                    save.problem = None;
                    save.note = None;
                }
                Answer::NoDialog => save.note = Some("This desktop has no file dialog: write the path."),
                Answer::Cancelled => {}
            }
        }
        ui.add_space(12.0);
        ui.label(muted(ui, "Save as").font(tokens::small()));
        super::confirm::from_right_row(ui, |ui| {
            if ui.button("Choose…").clicked() {
                let path = typed_path(&save.path);
                let name = path.and_then(|path| path.file_name().map(|name| name.to_string_lossy().into_owned()));
                self.papers.chooser.open_to_save(ui.ctx(), self.now.1, name.unwrap_or_default(), self.home.clone());
            }
            let response = ui.add(widgets::field(&mut save.path));
            response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::TextInput, true, "Save as"));
            if response.changed() {
                save.own_path = true;
                save.problem = None;
            }
        });
        let note = match (&save.problem, save.note) {
            (Some(NotSaved::Exists(_)), _) if save.what == What::Bundle => Some(
                "A file with this name is there already. A bundle never replaces one: choose another name.".to_owned(),
            ),
            (Some(NotSaved::Exists(_)), _) => Some("A file with this name is there already.".to_owned()),
            (Some(problem), _) => Some(format!("{problem}.")),
            (None, note) => note.map(str::to_owned),
        };
        if let Some(note) = note {
            ui.add_space(4.0);
            let color = Palette::of(ui).verdict(Verdict::Stale);
            let response = ui.add(Label::new(RichText::new(visible(&note)).color(color)).wrap());
            ui.ctx().accesskit_node_builder(response.id, |node| {
                node.set_role(egui::Role::Alert);
                node.set_label(note.as_str());
                node.set_live(egui::accesskit::Live::Assertive);
            });
        }
    }

    /// The buttons; tells whether the dialog stays.
    fn save_buttons(&mut self, ui: &mut Ui, save: &mut Save) -> bool {
        let mut keep = true;
        ui.add_space(14.0);
        super::confirm::from_right_row(ui, |ui| {
            let path = typed_path(&save.path).filter(|path| path.file_name().is_some());
            let may = path.is_some() && !save.waiting;
            let replaces = matches!(save.problem, Some(NotSaved::Exists(_))) && save.what != What::Bundle;
            let go = if replaces {
                widgets::danger_button(ui, None, "Replace it".to_owned(), may)
            } else {
                ui.add_enabled_ui(may, |ui| widgets::primary_button(ui, "Save")).inner
            };
            if !save.focused {
                go.request_focus();
                save.focused = go.has_focus();
            }
            if ui.add(egui::Button::new("Cancel").min_size(Vec2::new(70.0, tokens::CONTROL))).clicked()
                || ui.input(|i| i.key_pressed(Key::Escape))
            {
                keep = false;
            }
            if save.what != What::Bundle
                && ui.add_enabled(!save.waiting, egui::Button::new("Copy")).on_hover_text("To the clipboard").clicked()
            {
                save.waiting = true;
                self.copy_paper(save.what, save.form);
            }
            if save.waiting {
                ui.label(muted(ui, "Writing…"));
            }
            if go.clicked()
                && let Some(path) = path
            {
                self.write(save, path, replaces);
            }
        });
        keep
    }

    fn write(&mut self, save: &mut Save, path: PathBuf, replace: bool) {
        let paper = match save.what {
            What::Bundle => self.incident(save.include).map(Paper::Incident),
            what => self.subject(what).map(|subject| Paper::Export {
                subject,
                form: save.form,
                zone: self.papers.zone.clone(),
            }),
        };
        let Some(paper) = paper else { return };
        save.waiting = true;
        save.problem = None;
        self.engine.send(Command::Write(Box::new(Job { paper, target: Target::File { path, replace } })));
    }
}

fn include_choice(ui: &mut Ui, save: &mut Save) {
    ui.label(muted(ui, "Include as they are").font(tokens::small()));
    ui.checkbox(&mut save.include.names, "Home directories, users and hosts");
    ui.checkbox(&mut save.include.arguments, "Command arguments, and what stands in the lock files");
}

fn row(ui: &mut Ui, what: &str, text: &str) {
    let row = Vec2::new(ui.available_width(), 20.0);
    ui.allocate_ui_with_layout(row, egui::Layout::left_to_right(egui::Align::Center), |ui| {
        let size = Vec2::new(120.0, 20.0);
        ui.allocate_ui_with_layout(size, egui::Layout::left_to_right(egui::Align::Center), |ui| {
            ui.set_min_width(120.0);
            ui.label(muted(ui, what).font(tokens::small()));
        });
        widgets::cut(ui, RichText::new(text));
    });
}

/// `812 bytes`, `12 kB`, `3.4 MB`.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{} kB", bytes.div_ceil(1_000)),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_are_said_in_round_numbers() {
        for (bytes, said) in [(1, "1 bytes"), (999, "999 bytes"), (1_001, "2 kB"), (3_400_000, "3.4 MB")] {
            assert_eq!(size(bytes), said);
        }
    }
}
