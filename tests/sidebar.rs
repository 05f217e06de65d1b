//! The sidebar and the choice of subfolders, over pictures that stand still: what is shown, and what the engine is asked.

mod support;

use crossbeam_channel::{Receiver, Sender};
use eframe::egui::{Key, Modifiers, Role};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use lockscope::app::{Window, first_commands};
use lockscope::engine::listing::Query;
use lockscope::engine::settings::{self, Settings, WatchedFolder};
use lockscope::engine::watched::Watched;
use lockscope::engine::{Command, Engine, EngineOptions, Event, Sweeping};
use lockscope::model::snapshot::{LostReason, Snapshot, Watching};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::stage::Dropped;
use support::{DEAD, look_at, write};

struct Stage {
    harness: Harness<'static, Window>,
    commands: Receiver<Command>,
    tell: Sender<Event>,
}

impl Stage {
    fn over(pictures: Vec<Snapshot>, shown: usize, settings: Settings) -> Self {
        let now = (pictures[shown].taken_at, pictures[shown].taken_monotonic);
        let one = |(at, picture): (usize, Snapshot)| Watched {
            path: Arc::clone(&picture.directory),
            recursive: false,
            ignore: None,
            shown: at == shown,
            picture: Some(Arc::new(picture)),
        };
        let watched = pictures.into_iter().enumerate().map(one).collect();
        let query = Query { grouped: settings.grouped, sort: settings.sort, ..Query::default() };
        let (engine, commands, tell) = Engine::detached_over(watched, &query);
        let harness = Harness::builder()
            .with_size([1280.0, 800.0])
            .build_eframe(move |cc| Window::new(cc, engine, settings, Arc::new(move || now)));
        let mut stage = Self { harness, commands, tell };
        stage.harness.run_steps(2);
        stage
    }

    fn labels(&self, role: Role) -> Vec<String> {
        self.harness.get_all_by_role(role).filter_map(|node| node.accesskit_node().label()).collect()
    }

    /// The whole label of the button that begins so.
    fn row(&self, start: &str) -> Option<String> {
        self.labels(Role::Button).into_iter().find(|label| label.starts_with(start))
    }

    fn click_start(&mut self, start: &str) {
        let label = self.row(start).unwrap_or_else(|| panic!("there is {start}"));
        self.click(Role::Button, &label);
    }

    fn click(&mut self, role: Role, label: &str) {
        self.harness.get_by_role_and_label(role, label).click();
        self.harness.run_steps(2);
    }

    fn press(&mut self, modifiers: Modifiers, key: Key) {
        self.harness.key_press_modifiers(modifiers, key);
        self.harness.run_steps(2);
    }

    fn shows(&self, label: &str) -> bool {
        self.harness.query_all_by_label_contains(label).next().is_some()
    }

    fn asked(&self) -> Vec<Command> {
        self.commands.try_iter().collect()
    }

    /// The directory that was asked to be shown last.
    fn turned_to(&self) -> Option<PathBuf> {
        let shown = |command| if let Command::Watch(path) = command { path } else { None };
        self.asked().into_iter().filter_map(shown).next_back()
    }
}

/// Three directories: one with a stale lock, one with a held one, one that has gone.
struct Scene {
    top: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let scene = Self { top: tempfile::tempdir().expect("a directory") };
        for name in ["a/locks", "b/locks", "gone"] {
            std::fs::create_dir_all(scene.at(name)).expect("made");
        }
        write(&scene.at("a/locks"), "a.lock", format!("{DEAD}\n"), 3600);
        write(&scene.at("b/locks"), "mine.pid", format!("{}\n", std::process::id()), 0);
        scene
    }

    fn at(&self, name: &str) -> PathBuf {
        self.top.path().join(name)
    }

    fn pictures(&self) -> Vec<Snapshot> {
        let mut gone = look_at(&self.at("gone"));
        gone.watching = Watching::Lost(LostReason::Gone);
        vec![look_at(&self.at("a/locks")), look_at(&self.at("b/locks")), gone]
    }

    fn stage(&self) -> Stage {
        Stage::over(self.pictures(), 0, Settings::default())
    }
}

#[test]
fn each_folder_says_its_state_and_counts_and_a_click_shows_it() {
    let scene = Scene::new();
    let mut stage = scene.stage();
    let row = |name: &str, rest: &str| format!("{name}, {}, {rest}", scene.at(name).display());
    let labels = stage.labels(Role::Button);
    for row in [
        format!("locks, {}, Live, 1 stale", scene.at("a/locks").display()),
        format!("locks, {}, Live, 1 held", scene.at("b/locks").display()),
        row("gone", "Folder gone"),
    ] {
        assert!(labels.contains(&row), "{row} in {labels:?}");
    }
    stage.asked();
    stage.click(Role::Button, &format!("locks, {}, Live, 1 held", scene.at("b/locks").display()));
    assert_eq!(stage.turned_to(), Some(scene.at("b/locks")));
    stage.click_start("gone, ");
    assert_eq!(stage.turned_to(), Some(scene.at("gone")), "one that has gone can be looked at too");
}

#[test]
fn keys_turn_between_folders() {
    let scene = Scene::new();
    let mut stage = Stage::over(scene.pictures(), 1, Settings::default());
    stage.asked();
    for (modifiers, key, path) in [
        (Modifiers::COMMAND, Key::Num1, Some("a/locks")),
        (Modifiers::COMMAND, Key::Num2, None),
        (Modifiers::COMMAND, Key::Num3, Some("gone")),
        (Modifiers::COMMAND, Key::Num9, None),
        (Modifiers::CTRL | Modifiers::COMMAND, Key::Tab, Some("gone")),
        (Modifiers::CTRL | Modifiers::COMMAND | Modifiers::SHIFT, Key::Tab, Some("a/locks")),
    ] {
        stage.press(modifiers, key);
        assert_eq!(stage.turned_to(), path.map(|path| scene.at(path)), "{modifiers:?} {key:?}");
    }
    let mut first = scene.stage();
    first.asked();
    first.press(Modifiers::CTRL | Modifiers::COMMAND | Modifiers::SHIFT, Key::Tab);
    assert_eq!(first.turned_to(), Some(scene.at("gone")), "before the first comes the last");
}

#[test]
fn from_the_machine_s_locks_a_folder_is_one_click_away_and_clearing_is_not_forgotten() {
    let scene = Scene::new();
    let mut stage = scene.stage();
    let on = Sweeping { directory: scene.at("a/locks").into(), every: Duration::from_mins(10) };
    stage.tell.send(Event::Sweeping(vec![on])).expect("heard");
    stage.press(Modifiers::COMMAND | Modifiers::SHIFT, Key::M);
    assert!(stage.row("Stale 1").is_none() && stage.shows("are cleared automatically"));
    stage.click_start("locks, ");
    assert!(stage.row("Stale 1").is_some(), "the folder that was shown before");
}

#[test]
fn it_is_there_where_there_is_a_choice_and_can_be_put_away() {
    let scene = Scene::new();
    let one = Stage::over(vec![look_at(&scene.at("a/locks"))], 0, Settings::default());
    assert!(one.row("Stop watching").is_none() && one.row("Show the folders").is_none());
    let asked_for = Settings { sidebar: Some(true), ..Settings::default() };
    let one = Stage::over(vec![look_at(&scene.at("a/locks"))], 0, asked_for);
    assert!(one.row("Stop watching locks").is_some(), "asked for, it is there");

    let mut stage = scene.stage();
    assert!(stage.row("Stop watching gone").is_some());
    stage.click(Role::Button, "Hide the folders");
    assert!(stage.row("Stop watching gone").is_none());
    stage.press(Modifiers::COMMAND, Key::B);
    assert!(stage.row("Stop watching gone").is_some());
}

#[test]
fn a_folder_is_let_go_and_forgotten() {
    let scene = Scene::new();
    let watched = ["a/locks", "gone"].map(|name| WatchedFolder::at(scene.at(name))).to_vec();
    let settings = Settings { watched, ..Settings::default() };
    let mut stage = Stage::over(scene.pictures(), 0, settings);
    stage.asked();
    stage.click(Role::Button, "Stop watching gone");
    assert!(stage.asked().iter().any(|c| matches!(c, Command::Unwatch(path) if *path == scene.at("gone"))));
    let commands = stage.commands.clone();
    drop(stage.harness);
    let saved = commands.try_iter().filter_map(|c| if let Command::SaveSettings(s) = c { Some(*s) } else { None });
    let saved = saved.last().expect("written at the end");
    assert_eq!(saved.watched, [WatchedFolder::at(scene.at("a/locks"))]);
}

#[test]
fn of_several_dropped_folders_the_first_is_shown_and_all_are_watched_and_a_question_is_void() {
    let scene = Scene::new();
    let mut stage = scene.stage();
    stage.click(Role::Button, "Clear stale (1)…");
    assert!(stage.shows("Cancel"));
    stage.asked();
    for name in ["b/locks", "gone", "a"] {
        stage.harness.input_mut().dropped_files.push(Arc::new(Dropped(scene.at(name))));
    }
    stage.harness.run_steps(2);
    let asked = stage.asked();
    assert!(asked.iter().any(|c| matches!(c, Command::Watch(Some(path)) if *path == scene.at("b/locks"))));
    let too = asked.iter().find_map(|c| if let Command::WatchToo(folders) = c { Some(folders) } else { None });
    assert_eq!(*too.expect("the others too"), ["gone", "a"].map(|name| WatchedFolder::at(scene.at(name))));
    assert!(!stage.shows("Cancel"), "it was about locks of the folder before");
}

#[test]
fn a_question_survives_the_end_of_a_clear_that_was_asked_for_before() {
    let scene = Scene::new();
    let mut stage = scene.stage();
    stage.click(Role::Button, "Clear stale (1)…");
    // Another folder's clear, of which only the status bar told any more.
    stage.tell.send(Event::Cleared { outcomes: Vec::new(), left: 0 }).expect("heard");
    stage.harness.run_steps(2);
    assert!(stage.shows("Clear 1 lock"));
}

#[test]
fn automatic_clearing_elsewhere_is_named_and_has_its_own_switch() {
    let scene = Scene::new();
    let mut stage = scene.stage();
    let elsewhere = scene.at("b/locks");
    let every = Duration::from_mins(10);
    stage.tell.send(Event::Sweeping(vec![Sweeping { directory: (*elsewhere).into(), every }])).expect("heard");
    stage.harness.run_steps(2);
    assert!(stage.shows(&format!("Stale locks in {} are cleared automatically", elsewhere.display())));
    assert!(stage.row("automatic clearing off").is_some(), "here it is not on");
    assert!(stage.row("locks").is_some_and(|_| stage.shows("1 held, cleared automatically")));
    stage.asked();
    stage.click(Role::Button, "Turn off");
    let off = |c: &Command| matches!(c, Command::Sweep { directory, every: None } if **directory == *elsewhere);
    assert!(stage.asked().iter().any(off));
}

#[test]
fn subfolders_are_a_switch_in_the_folder_menu_and_their_rules_are_checked() {
    let scene = Scene::new();
    let mut stage = scene.stage();
    stage.asked();
    stage.click_start("Folder: ");
    stage.click(Role::CheckBox, "With subfolders");
    let set = |command| if let Command::SetSubfolders(folder) = command { Some(folder) } else { None };
    let folder = stage.asked().into_iter().find_map(set).expect("asked for");
    assert_eq!(folder, WatchedFolder { recursive: true, ..WatchedFolder::at(scene.at("a/locks")) });

    stage.click(Role::Button, "Rules…");
    stage.harness.get_by_role_and_label(Role::Dialog, "Subfolders to pass over");
    let rules = || Role::MultilineTextInput;
    let text = |stage: &Stage| stage.harness.get_by_role_and_label(rules(), "Rules").accesskit_node().value();
    assert!(text(&stage).is_some_and(|text| text.contains("node_modules")), "the usual rules to begin with");
    stage.harness.get_by_role_and_label(rules(), "Rules").type_text("\na[");
    stage.harness.run_steps(2);
    assert!(stage.shows("\"a[\" is no rule: "));
    let save = stage.harness.get_by_role_and_label(Role::Button, "Save");
    assert!(save.accesskit_node().is_disabled());
    stage.harness.get_by_role_and_label(rules(), "Rules").type_text("b]\nbig");
    stage.harness.run_steps(2);
    stage.click(Role::Button, "Save");
    let folder = stage.asked().into_iter().find_map(set).expect("asked for");
    let ignore = folder.ignore.expect("rules of its own");
    assert_eq!(ignore[ignore.len() - 2..], ["a[b]", "big"]);
    assert!(!stage.shows("Subfolders to pass over"));
}

/// The window over the real engine.
struct Live {
    harness: Harness<'static, Window>,
    wakes: Receiver<()>,
}

impl Live {
    fn start(config: &Path, directory: Option<PathBuf>) -> Self {
        let (wake, wakes) = crossbeam_channel::unbounded();
        let settings = settings::load(config).0;
        let options = EngineOptions {
            system: support::machine(),
            settings: settings.clone(),
            config_dir: Some(config.to_owned()),
            state_dir: Some(config.join("state")),
            slow_pass: Duration::from_hours(24),
        };
        let clock = support::machine();
        let harness = Harness::builder().with_size([1280.0, 800.0]).build_eframe(move |cc| {
            let ctx = cc.egui_ctx.clone();
            let wake = Arc::new(move || {
                ctx.request_repaint();
                let _ = wake.send(());
            });
            let engine = Engine::start(options, wake);
            for command in first_commands(directory, false, &settings) {
                engine.send(command);
            }
            Window::new(cc, engine, settings, Arc::new(move || (clock.wall(), clock.monotonic())))
        });
        Self { harness, wakes }
    }

    fn until(&mut self, what: &str, so: impl Fn(&[String]) -> bool) {
        let start = Instant::now();
        loop {
            self.harness.step();
            let nodes = self.harness.query_all_by_role(Role::Button);
            let labels: Vec<String> = nodes.filter_map(|node| node.accesskit_node().label()).collect();
            if so(&labels) {
                return;
            }
            assert!(start.elapsed() < support::DEADLINE, "not shown: {what}, but {labels:?}");
            let _ = self.wakes.recv_timeout(Duration::from_millis(100));
        }
    }
}

fn has(labels: &[String], start: &str, end: &str) -> bool {
    labels.iter().any(|label| label.starts_with(start) && label.ends_with(end))
}

#[test]
fn what_is_watched_is_remembered_with_its_rules_and_is_there_at_the_next_start() {
    let scene = Scene::new();
    let config = tempfile::tempdir().expect("a directory");
    let mut first = Live::start(config.path(), None);
    first.until("the first screen", |labels| has(labels, "Open folder", "…"));
    // A file stands for the folder it is in.
    for name in ["b/locks", "a/locks/a.lock", "gone"] {
        first.harness.input_mut().dropped_files.push(Arc::new(Dropped(scene.at(name))));
    }
    first.until("all three", |labels| {
        has(labels, "locks, ", "Live, 1 held")
            && has(labels, "locks, ", "Live, 1 stale")
            && has(labels, "gone, ", "Live")
    });
    first.harness.get_by_role_and_label(Role::Button, &format!("Folder: {}", scene.at("b/locks").display())).click();
    first.harness.run_steps(2);
    first.harness.get_by_role_and_label(Role::CheckBox, "With subfolders").click();
    first.until("it is so", |labels| has(labels, "locks, ", "1 held, with subfolders"));
    drop(first);
    std::fs::remove_dir(scene.at("gone")).expect("removed");

    let saved = settings::load(config.path()).0;
    let paths: Vec<&Path> = saved.watched.iter().map(|folder| &*folder.path).collect();
    assert_eq!(paths, [scene.at("b/locks"), scene.at("a/locks"), scene.at("gone")]);
    let mut second = Live::start(config.path(), None);
    second.until("all three, one of them lost", |labels| {
        has(labels, "locks, ", "1 held, with subfolders")
            && has(labels, "locks, ", "Live, 1 stale")
            && has(labels, "gone, ", "Folder gone")
            && has(labels, "Folder: ", "b/locks")
    });
    drop(second);
    let mut named = Live::start(config.path(), Some(scene.at("a/locks")));
    named.until("what was named, alone", |labels| has(labels, "Folder: ", "a/locks"));
    assert!(named.harness.query_all_by_label_contains("Stop watching").next().is_none());
    drop(named);
    assert_eq!(settings::load(config.path()).0.watched, saved.watched, "and the others are not forgotten");
}
