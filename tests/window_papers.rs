//! The journal's panel, exports and bundles in the window: what is shown, what the engine is asked for, what is told.
#![cfg(target_os = "linux")]

mod support;

use crossbeam_channel::{Receiver, Sender};
use eframe::egui::{self, Key, Modifiers, Role};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use lockscope::app::Window;
use lockscope::engine::export::{Form, Subject};
use lockscope::engine::incident::Contents;
use lockscope::engine::listing::Query;
use lockscope::engine::papers::{Job, NotSaved, Paper, Target};
use lockscope::engine::settings::{BelowSettings, Settings};
use lockscope::engine::{Command, Engine, Event, JournalLine};
use lockscope::model::snapshot::Snapshot;
use lockscope::model::time::{Wall, Zone};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use support::{DEAD, look_at, write};

struct Stage {
    harness: Harness<'static, Window>,
    commands: Receiver<Command>,
    tell: Sender<Event>,
    _directory: tempfile::TempDir,
}

fn line(directory: &Path, number: usize, what: &str, path: &str) -> JournalLine {
    JournalLine {
        id: format!("20261120T22{number:04}"),
        at: Wall::from_parts(1_795_213_000 + number as i64 * 600, 0).rfc3339(),
        what: what.into(),
        directory: directory.to_string_lossy().into_owned(),
        path: path.into(),
        path_bytes: None,
        who: "ada@vm PID 812".into(),
        verdict: "stale".into(),
        why: "Owner PID 4711 is gone: no such process.".into(),
        outcome: "cleared".into(),
        undoable: what == "clear",
        kept_no_more: None,
    }
}

fn usual(directory: &Path) -> Vec<JournalLine> {
    let put_back = JournalLine {
        undoable: false,
        kept_no_more: Some("It was put back already."),
        outcome: "cleared, then put back".into(),
        ..line(directory, 1, "clear", "a.pid")
    };
    vec![
        put_back,
        line(directory, 2, "undo", "a.pid"),
        JournalLine {
            outcome: "nothing was changed".into(),
            why: "It is held.".into(),
            ..line(directory, 3, "refuse", "b.pid")
        },
        line(Path::new("/elsewhere"), 4, "clear", "far.lock"),
        line(directory, 20, "clear", "c.pid"),
    ]
}

impl Stage {
    fn with(journal: impl FnOnce(&Path) -> Vec<JournalLine>, size: [f32; 2]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        for name in ["a.pid", "b.pid", "c.pid"] {
            write(directory.path(), name, format!("{DEAD}\n"), 3600);
        }
        let snapshot: Snapshot = look_at(directory.path());
        let now = (snapshot.taken_at, snapshot.taken_monotonic);
        let (engine, commands, tell) = Engine::detached(Some(snapshot), &Query::default());
        engine.show_journal(journal(directory.path()));
        let harness = Harness::builder().with_size(size).build_eframe(move |cc| {
            let below = BelowSettings { height: 420.0, ..BelowSettings::default() };
            let settings = Settings { below, ..Settings::default() };
            let mut window = Window::new(cc, engine, settings, Arc::new(move || now));
            window.set_zone(Zone::fixed(330));
            window
        });
        let mut stage = Self { harness, commands, tell, _directory: directory };
        stage.harness.run_steps(2);
        stage
    }

    fn new() -> Self {
        let mut stage = Self::with(usual, [1280.0, 1400.0]);
        stage.press(Modifiers::COMMAND, Key::J);
        stage
    }

    fn press(&mut self, modifiers: Modifiers, key: Key) {
        self.harness.key_press_modifiers(modifiers, key);
        self.harness.run_steps(3);
    }

    fn shows(&self, label: &str) -> bool {
        self.harness.query_all_by_label_contains(label).next().is_some()
    }

    fn click(&mut self, role: Role, label: &str) {
        self.harness.get_by_role_and_label(role, label).click();
        self.harness.run_steps(3);
    }

    /// The entries as they are listed, by what a screen reader says.
    fn entries(&self) -> Vec<String> {
        let rows = self.harness.query_all_by_role(Role::ListItem);
        rows.filter_map(|row| row.accesskit_node().label()).collect()
    }

    fn click_entry(&mut self, part: &str) {
        let rows = self.harness.query_all_by_role(Role::ListItem);
        let row = rows.into_iter().find(|row| row.accesskit_node().label().is_some_and(|label| label.contains(part)));
        row.unwrap_or_else(|| panic!("there is an entry {part}")).click();
        self.harness.run_steps(3);
    }

    fn write_into(&mut self, field: &str, words: &str) {
        self.harness.get_by_role_and_label(Role::TextInput, field).focus();
        self.harness.run_steps(1);
        self.harness.get_by_role_and_label(Role::TextInput, field).type_text(words);
        self.harness.run_steps(3);
    }

    fn asked(&self) -> Vec<Command> {
        self.commands.try_iter().collect()
    }

    fn jobs(&self) -> Vec<Job> {
        let jobs = self.asked().into_iter();
        jobs.filter_map(|command| if let Command::Write(job) = command { Some(*job) } else { None }).collect()
    }

    fn told(&mut self, event: Event) {
        self.tell.send(event).expect("the window listens");
        self.harness.run_steps(3);
    }

    fn is_enabled(&self, button: &str) -> bool {
        !self.harness.get_by_role_and_label(Role::Button, button).accesskit_node().is_disabled()
    }
}

#[test]
fn the_newest_entry_comes_first_with_the_wall_clock_of_the_place() {
    let stage = Stage::new();
    let entries = stage.entries();
    assert_eq!(entries.len(), 5, "{entries:?}");
    // 22:16:40 UTC and 330 minutes: the next day.
    assert!(entries[0].starts_with("07:06:40, Clear, c.pid, Stale, cleared: Owner PID 4711"), "{}", entries[0]);
    assert!(entries[4].starts_with("03:56:40, Clear, a.pid"), "{}", entries[4]);
    assert!(stage.shows("Sat 21 November 2026"));
}

#[test]
fn chips_words_and_the_folder_filter() {
    let mut stage = Stage::new();
    stage.click(Role::Button, "Refuse 1");
    assert_eq!(stage.entries().len(), 1);
    stage.click(Role::Button, "Refuse 1");
    assert_eq!(stage.entries().len(), 5, "a second click shows all again");
    stage.click(Role::Button, "This folder");
    assert_eq!(stage.entries().len(), 4);
    stage.write_into("Filter the journal", "C.PID gone");
    let entries = stage.entries();
    assert!(entries.len() == 1 && entries[0].contains("c.pid"), "{entries:?}");
    stage.write_into("Filter the journal", " nonsense");
    assert!(stage.shows("No entry fits"));
    stage.click(Role::Button, "Show all entries");
    stage.harness.run_steps(3);
    assert_eq!(stage.entries().len(), 4, "of this folder");
    stage.click(Role::Button, "All folders");
    assert_eq!(stage.entries().len(), 5);
}

#[test]
fn an_entry_in_full_says_who_when_and_why_it_cannot_be_put_back() {
    let mut stage = Stage::new();
    stage.click_entry("Clear, a.pid");
    for words in ["ada@vm PID 812", "2026-11-21 03:56:40 +05:30", "20261120T220001", "It was put back already."] {
        assert!(stage.shows(words), "{words}");
    }
    assert!(!stage.is_enabled("Put it back"));
    stage.click_entry("Refuse, b.pid");
    assert!(stage.shows("There is nothing to put back: it took nothing away."));
    stage.asked();
    stage.click_entry("Clear, c.pid");
    let asked = stage.asked();
    assert!(
        asked.iter().any(|command| matches!(command, Command::AskUndo(id) if id == "20261120T220020")),
        "{asked:?}"
    );
    assert!(stage.is_enabled("Put it back"));
    stage.told(Event::UndoAsked("20261120T220020".into(), Err("a new lock is there now".into())));
    assert!(!stage.is_enabled("Put it back"));
    assert!(stage.shows("It cannot be put back: a new lock is there now."));
    stage.told(Event::UndoAsked("20261120T220020".into(), Ok(())));
    stage.click(Role::Button, "Put it back");
    let asked = stage.asked();
    assert!(
        asked.iter().any(|command| matches!(command, Command::Undo { ids } if ids == &["20261120T220020"])),
        "{asked:?}"
    );
    stage.click(Role::Button, "Show the lock");
    let rows = stage.harness.query_all_by_role(Role::Row);
    let chosen = rows.into_iter().find(|row| row.accesskit_node().is_selected() == Some(true));
    let label = chosen.and_then(|row| row.accesskit_node().label()).expect("a lock is chosen");
    assert!(label.contains("c.pid"), "{label}");
    stage.click_entry("Clear, far.lock");
    stage.asked();
    stage.click(Role::Button, "Show the lock");
    let path = PathBuf::from("/elsewhere/far.lock");
    let asked = stage.asked();
    assert!(asked.iter().any(|command| matches!(command, Command::Watch(Some(to)) if *to == path)), "{asked:?}");
}

#[test]
fn the_keyboard_walks_the_journal_and_leaves_the_table_alone() {
    let mut stage = Stage::new();
    stage.click_entry("Clear, c.pid");
    let chosen = |stage: &Stage| -> Vec<String> {
        let rows = stage.harness.query_all_by_role(Role::ListItem);
        rows.filter(|row| row.accesskit_node().is_selected() == Some(true))
            .filter_map(|row| row.accesskit_node().label())
            .collect()
    };
    assert!(chosen(&stage)[0].contains("c.pid"));
    stage.press(Modifiers::NONE, Key::ArrowDown);
    assert!(chosen(&stage)[0].contains("far.lock"), "{:?}", chosen(&stage));
    stage.press(Modifiers::NONE, Key::End);
    assert!(chosen(&stage)[0].contains("Clear, a.pid"), "{:?}", chosen(&stage));
    assert!(stage.shows("It was put back already."), "what is chosen stays open");
    stage.press(Modifiers::NONE, Key::Enter);
    assert!(!stage.shows("It was put back already."));
    let rows = stage.harness.get_all_by_role(Role::Row);
    assert!(rows.into_iter().all(|row| row.accesskit_node().is_selected() != Some(true)), "no lock was chosen");
    stage.press(Modifiers::NONE, Key::Home);
    stage.harness.event(egui::Event::Copy);
    stage.harness.run_steps(1);
    let copied = stage.harness.output().platform_output.commands.iter().any(|command| {
        matches!(command, egui::OutputCommand::CopyText(text) if text.starts_with("2026-11-21T07:06:40.000+05:30  clear"))
    });
    assert!(copied, "{:?}", stage.harness.output().platform_output.commands);
}

#[test]
fn an_empty_journal_says_what_will_stand_there() {
    let mut stage = Stage::with(|_| Vec::new(), [720.0, 480.0]);
    stage.press(Modifiers::COMMAND, Key::J);
    assert!(stage.shows("Nothing has been cleared yet"));
    let mut elsewhere = Stage::with(|_| vec![line(Path::new("/elsewhere"), 1, "clear", "x")], [720.0, 480.0]);
    elsewhere.press(Modifiers::COMMAND, Key::J);
    elsewhere.click(Role::Button, "This folder");
    assert!(elsewhere.shows("Nothing has been cleared in this folder yet"));
}

#[test]
fn a_long_journal_is_listed_without_its_rows_being_made() {
    let mut stage = Stage::with(
        |directory| (0..100_000).map(|number| line(directory, number, "clear", "x.pid")).collect(),
        [1280.0, 800.0],
    );
    stage.press(Modifiers::COMMAND, Key::J);
    assert!(stage.entries().len() < 40 && !stage.entries().is_empty());
    for _ in 0..60 {
        stage.harness.run_steps(1);
    }
    assert!(stage.shows("Clear 100,000"), "all of it was looked at");
    assert!(stage.entries().len() < 40);
}

#[test]
fn what_is_shown_is_exported_in_its_order_and_nothing_is_replaced_unasked() {
    let mut stage = Stage::new();
    stage.asked();
    stage.press(Modifiers::COMMAND, Key::S);
    assert!(stage.shows("The table as shown: 3 locks"));
    stage.harness.get_by_role_and_label(Role::Dialog, "Export");
    stage.click(Role::Button, "Save");
    let jobs = stage.jobs();
    let [Job { paper: Paper::Export { subject, form: Form::Csv, .. }, target: Target::File { path, replace: false } }] =
        &jobs[..]
    else {
        panic!("one file: {jobs:?}");
    };
    let Subject::Table(_, locks) = subject else { panic!("the table: {subject:?}") };
    assert_eq!(
        locks.iter().map(|lock| lock.display_path().into_owned()).collect::<Vec<_>>(),
        ["a.pid", "b.pid", "c.pid"]
    );
    assert!(path.is_absolute() && path.to_string_lossy().ends_with(".csv"), "{path:?}");
    stage.told(Event::Saved(Err(NotSaved::Exists(path.clone()))));
    assert!(stage.shows("A file with this name is there already."));
    stage.click(Role::Button, "Replace it");
    let jobs = stage.jobs();
    assert!(matches!(&jobs[..], [Job { target: Target::File { replace: true, .. }, .. }]), "{jobs:?}");
    stage.told(Event::Saved(Ok((PathBuf::from("/tmp/t.csv"), 1234))));
    assert!(stage.shows("Saved /tmp/t.csv (2 kB)."));
    assert!(!stage.shows("The table as shown"), "the dialog is closed");
}

#[test]
fn evidence_and_journal_are_copied_as_they_stand() {
    let mut stage = Stage::new();
    stage.click(Role::Button, "Refuse 1");
    stage.asked();
    stage.click(Role::Button, "Export…");
    stage.click(Role::RadioButton, "JSON");
    stage.click(Role::Button, "Copy");
    let jobs = stage.jobs();
    let [
        Job {
            paper: Paper::Export { subject: Subject::Journal(_, places), form: Form::Json, .. },
            target: Target::Clipboard,
        },
    ] = &jobs[..]
    else {
        panic!("the journal: {jobs:?}");
    };
    assert_eq!(places, &[2], "the one that is listed");
    stage.told(Event::Copied("{}\n".into()));
    assert!(stage.shows("Copied 1 line."));
}

#[test]
fn a_bundle_shows_what_goes_in_and_hides_names_unless_asked() {
    let mut stage = Stage::new();
    stage.asked();
    stage.press(Modifiers::COMMAND | Modifiers::SHIFT, Key::S);
    assert!(stage.shows("Looking what goes in…"));
    let preview = stage.jobs();
    assert!(matches!(&preview[..], [Job { paper: Paper::Incident(_), target: Target::Preview }]), "{preview:?}");
    let contents = Contents {
        locks: (3, 0),
        evidence: (3, 0),
        entries: (4, 2),
        replaced: (2, 1, 1),
        history: true,
        directory: "~/project".into(),
        example: Some(("python3 a b".into(), "python3 (2 arguments)".into())),
    };
    stage.told(Event::Previewed(Box::new(contents)));
    for words in
        ["4 entries of this folder, 2 more left out", "~/project", "python3 (2 arguments)", "3 locks", "history.json"]
    {
        assert!(stage.shows(words), "{words}");
    }
    stage.click(Role::CheckBox, "Command arguments, and what stands in the lock files");
    let again = stage.jobs();
    let [Job { paper: Paper::Incident(incident), .. }] = &again[..] else { panic!("looked again: {again:?}") };
    assert!(incident.include.arguments && !incident.include.names);
    stage.click(Role::Button, "Save");
    let jobs = stage.jobs();
    let [Job { paper: Paper::Incident(_), target: Target::File { path, replace: false } }] = &jobs[..] else {
        panic!("one file: {jobs:?}");
    };
    assert!(path.to_string_lossy().ends_with(".zip"), "{path:?}");
    stage.told(Event::Saved(Err(NotSaved::Exists(path.clone()))));
    assert!(stage.shows("A bundle never replaces one: choose another name."));
    assert!(stage.harness.query_by_role_and_label(Role::Button, "Replace it").is_none());
    stage.told(Event::Saved(Ok((path.clone(), 12_000))));
    assert!(stage.shows("Look at it before you pass it on."));
}
