//! The start screen, all the machine's locks, and the processes of the side panel: what each control shows and asks for.
#![cfg(all(target_os = "linux", not(feature = "portable")))]

mod support;

use crossbeam_channel::Receiver;
use eframe::egui::{Key, Role};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use lockscope::app::Window;
use lockscope::engine::listing::Query;
use lockscope::engine::machine::{MachineShown, MachineWish};
use lockscope::engine::settings::{Settings, ThemeChoice};
use lockscope::engine::{Command, Engine};
use lockscope::inspect::{machine, process_detail};
use lockscope::model::facts::ProcessRef;
use lockscope::model::holder::Pid;
use lockscope::model::kernel::parse_table;
use lockscope::model::machine::{MachineLock, MachinePicture, Place, Unseen};
use lockscope::model::snapshot::Snapshot;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::{DEADLINE, Process, look_at};

struct Stage {
    harness: Harness<'static, Window>,
    commands: Receiver<Command>,
}

impl Stage {
    fn with(snapshot: Option<Snapshot>, shown: MachineShown, settings: Settings, size: [f32; 2]) -> Self {
        let query = Query { grouped: settings.grouped, sort: settings.sort, ..Query::default() };
        let seen = |picture: &MachineShown| {
            let picture = picture.picture.as_ref()?.as_ref().ok()?;
            Some((picture.taken_at, picture.taken_monotonic + Duration::from_secs(12)))
        };
        let now = seen(&shown).or(snapshot.as_ref().map(|s| (s.taken_at, s.taken_monotonic))).unwrap_or_default();
        let (engine, commands, _) = Engine::detached(snapshot, &query);
        engine.show_machine(shown);
        let harness = Harness::builder()
            .with_size(size)
            .build_eframe(move |cc| Window::new(cc, engine, settings, Arc::new(move || now)));
        let mut stage = Self { harness, commands };
        stage.harness.run_steps(2);
        stage
    }

    fn start(shown: MachineShown) -> Self {
        Self::with(None, shown, Settings::default(), [1280.0, 800.0])
    }

    fn shows(&self, label: &str) -> bool {
        self.harness.query_all_by_label_contains(label).next().is_some()
    }

    fn click(&mut self, role: Role, label: &str) {
        self.harness.get_by_role_and_label(role, label).click();
        self.harness.run_steps(2);
    }

    fn press(&mut self, key: Key) {
        self.harness.key_press(key);
        self.harness.run_steps(2);
    }

    fn rows(&self) -> Vec<String> {
        let rows = self.harness.get_all_by_role(Role::Row);
        rows.into_iter().filter_map(|row| row.accesskit_node().label()).collect()
    }

    fn click_row(&mut self, part: &str) {
        let rows = self.harness.get_all_by_role(Role::Row);
        let row = rows.into_iter().find(|row| row.accesskit_node().label().is_some_and(|label| label.contains(part)));
        row.unwrap_or_else(|| panic!("there is a row with {part}")).click();
        self.harness.run_steps(2);
    }

    fn asked(&self) -> Vec<Command> {
        self.commands.try_iter().collect()
    }

    fn watches(&self) -> Option<PathBuf> {
        self.asked().into_iter().find_map(|command| match command {
            Command::Watch(path) => path,
            _ => None,
        })
    }

    fn wish(&self) -> Option<MachineWish> {
        self.asked().into_iter().rev().find_map(|command| match command {
            Command::WatchMachine(wish) => Some(wish),
            _ => None,
        })
    }
}

const TABLE: &str = "\
1: FLOCK  ADVISORY  WRITE 10 fe:00:12 0 EOF
1: -> FLOCK  ADVISORY  WRITE 11 fe:00:12 0 EOF
1:  -> FLOCK  ADVISORY  WRITE 12 fe:00:12 0 EOF
2: POSIX  ADVISORY  READ  13 fe:00:20 100 199
3: FLOCK  ADVISORY  WRITE 14 fe:00:99 0 EOF
";

/// Made by hand: `/d/1/12.lock` with two that wait, `/d/2/20.lock`, and one whose path is not seen.
fn picture(table: &str) -> MachinePicture {
    let process = |pid: Pid| ProcessRef { pid, facts: None };
    let (lines, _) = parse_table(table);
    let locks = lines.into_iter().map(|line| {
        let ino = line.file.map_or(0, |file| file.ino);
        let place = if ino == 99 {
            let why = Unseen::Denied(process(line.pid().expect("a PID")));
            Place::Unseen { why, mount: Some(Path::new("/srv").into()) }
        } else {
            let path = PathBuf::from(format!("/d/{}/{ino}.lock", ino / 10));
            Place::Seen { path: path.into(), deleted: false, elsewhere: false }
        };
        let processes = line.pid().map(process).into_iter().collect();
        MachineLock { line, processes, taker_gone: false, place, waiting_since: None, in_circle: false }
    });
    let mut picture = MachinePicture {
        locks: locks.collect(),
        processes: 40,
        unseen: 7,
        taken_monotonic: Duration::from_secs(500),
        ..MachinePicture::default()
    };
    picture.complete(None);
    picture
}

fn showing(picture: MachinePicture) -> MachineShown {
    MachineShown { picture: Some(Ok(Arc::new(picture))), processes: BTreeMap::new() }
}

#[test]
fn the_start_screen_lists_where_locks_are_held_and_a_click_watches() {
    let mut stage = Stage::start(showing(picture(TABLE)));
    assert!(stage.shows("Drop a folder with lock files here"));
    assert!(stage.wish().is_some_and(|wish| wish.picture && wish.processes.is_empty()), "it is looked at while shown");
    assert!(stage.shows("7 of 40 processes do not show you their open files"));
    stage.click(Role::Button, "Watch /d/2, 1 held");
    assert_eq!(stage.watches(), Some(PathBuf::from("/d/2")));
    assert!(stage.shows("Watch /d/1, 1 held · 2 waiting"));
}

#[test]
fn the_first_run_explains_itself_and_later_ones_do_not() {
    let first = Stage::start(MachineShown::default());
    for words in ["Shows who holds each lock", "Clears only what is proved stale", "Never removes a lock that somebody"]
    {
        assert!(first.shows(words), "{words}");
    }
    let recent = lockscope::engine::settings::Recent { path: "/srv/locks".into(), stale: 0, held: 1 };
    let settings = Settings { recent: vec![recent], ..Settings::default() };
    let later = Stage::with(None, MachineShown::default(), settings, [1280.0, 800.0]);
    assert!(later.shows("Recent: /srv/locks") && !later.shows("Clears only what is proved stale"));
}

#[test]
fn loading_nothing_and_not_to_be_seen_are_told_apart() {
    let why: Arc<str> = "the kernel's lock table cannot be read: no".into();
    let error = MachineShown { picture: Some(Err(why)), processes: BTreeMap::new() };
    let unseen = "1: FLOCK  ADVISORY  WRITE 14 fe:00:99 0 EOF\n";
    for (shown, on_start, in_table) in [
        (MachineShown::default(), "Looking at the machine…", "Looking at the machine…"),
        (showing(picture("")), "No kernel lock is held right now.", "No kernel lock is held"),
        (error, "The kernel's lock table cannot be read: no.", "The kernel's locks cannot be seen"),
        (showing(picture(unseen)), "1 lock is held, but where may not be seen", "does not show you its open files"),
    ] {
        let mut stage = Stage::start(shown);
        assert!(stage.shows(on_start), "{on_start}");
        stage.click(Role::Button, "Show all kernel locks");
        assert!(stage.shows(in_table), "{in_table}");
        stage.click(Role::Button, "Back");
        assert!(stage.shows("Drop a folder with lock files here"));
    }
}

#[test]
fn the_table_has_waiters_under_their_blocker_searches_sorts_and_leads_to_the_folder() {
    let mut stage = Stage::start(showing(picture(TABLE)));
    stage.click(Role::Button, "Show all kernel locks");
    let numbers = |stage: &Stage| -> Vec<String> {
        let of = |row: &String| row.split("PID ").nth(1).and_then(|rest| rest.split(')').next()).map(str::to_owned);
        stage.rows().iter().filter_map(of).collect()
    };
    assert_eq!(numbers(&stage), ["10", "11", "12", "13", "14"]);
    assert!(stage.shows("3 held · 2 waiting") && stage.shows("for 12 s"));
    stage.click(Role::ColumnHeader, "PID");
    stage.click(Role::ColumnHeader, "PID");
    assert_eq!(numbers(&stage), ["14", "13", "10", "11", "12"], "who waits stays under whom it waits for");
    stage.press(Key::Slash);
    stage.harness.get_by_role_and_label(Role::TextInput, "Search all kernel locks").type_text("20.lock");
    stage.harness.run_steps(2);
    assert_eq!(numbers(&stage), ["13"]);
    stage.click_row("/d/2/20.lock");
    assert!(stage.shows("holds a shared POSIX lock on bytes 100-199"));
    stage.click(Role::Button, "Watch its folder");
    assert_eq!(stage.watches(), Some(PathBuf::from("/d/2/20.lock")), "it is chosen there");
    assert!(!stage.shows("All kernel locks"), "the folder is shown then");
}

#[test]
fn what_cannot_be_watched_says_so_and_nothing_matches_has_a_way_back() {
    let mut stage = Stage::start(showing(picture(TABLE)));
    stage.click(Role::Button, "Show all kernel locks");
    stage.click_row("inode 99");
    assert!(stage.shows("Path not seen on /srv, inode 99. PID 14 runs as another user"));
    let button = stage.harness.get_by_role_and_label(Role::Button, "Watch its folder");
    assert!(button.accesskit_node().is_disabled());
    stage.press(Key::Slash);
    stage.harness.get_by_role_and_label(Role::TextInput, "Search all kernel locks").type_text("nowhere");
    stage.harness.run_steps(2);
    assert!(stage.shows("Nothing matches") && stage.shows("3 locks are held, but none fits"));
    stage.click(Role::Button, "Show all");
    assert_eq!(stage.rows().len(), 5);
    stage.press(Key::Escape);
    assert!(stage.shows("Drop a folder with lock files here"), "Escape goes back");
}

#[test]
fn arrows_choose_and_delete_asks_for_nothing_while_the_machine_is_shown() {
    let directory = tempfile::tempdir().expect("a directory");
    support::write(directory.path(), "a.lock", format!("{}\n", support::DEAD), 3600);
    let mut stage =
        Stage::with(Some(look_at(directory.path())), showing(picture(TABLE)), Settings::default(), [1280.0, 800.0]);
    assert!(!stage.wish().unwrap_or_default().picture, "nothing of the machine is shown, so nothing is looked at");
    stage.press(Key::ArrowDown);
    stage.harness.key_press_modifiers(eframe::egui::Modifiers::COMMAND | eframe::egui::Modifiers::SHIFT, Key::M);
    stage.harness.run_steps(2);
    assert!(stage.wish().is_some_and(|wish| wish.picture));
    stage.press(Key::Delete);
    assert!(!stage.shows("Clear this lock?"), "what was chosen in the other table is not acted on");
    stage.press(Key::End);
    stage.press(Key::ArrowUp);
    stage.press(Key::ArrowUp);
    assert!(stage.shows("PID 12 waits for an exclusive FLOCK lock") || stage.shows("(PID 12) waits for"));
    stage.harness.input_mut().events.push(eframe::egui::Event::Copy);
    stage.harness.run_steps(2);
    assert!(stage.shows("Path copied."));
    stage.click(Role::Button, "Back to the folder");
    assert!(stage.shows("Stale, a.lock"));
    assert!(stage.wish().is_some_and(|wish| !wish.picture), "looking ends with showing");
}

#[test]
fn a_chosen_lock_shows_its_process_what_else_it_holds_and_who_waits() {
    let kept = tempfile::tempdir().expect("a directory");
    let here = kept.path().canonicalize().expect("it is there");
    let elsewhere = tempfile::tempdir().expect("a directory");
    let far = elsewhere.path().canonicalize().expect("it is there");
    let script = format!(
        "exec 9>job.lock 8>second.lock 7>{}/far.lock; flock 9; flock 8; flock 7; echo ready; exec sleep 1000",
        far.display()
    );
    let holder = Process::shell(&here, &script);
    let waiter = Process::shell(&here, "exec 6>own.lock; flock 6; exec 9>>job.lock; echo ready; exec flock 9");
    let behind = Process::shell(&here, "exec 9>>own.lock; echo ready; exec flock 9");
    let system = support::machine();
    let start = Instant::now();
    let (snapshot, picture) = loop {
        let snapshot = look_at(&here);
        let picture = machine(&*system, None).expect("read");
        let waits = |pid: u32| {
            picture.locks.iter().any(|lock| lock.is_waiting() && lock.processes.iter().any(|p| p.pid.get() == pid))
        };
        if waits(waiter.pid()) && waits(behind.pid()) {
            break (snapshot, picture);
        }
        assert!(start.elapsed() < DEADLINE, "they wait");
    };
    let pid = Pid::new(u64::from(holder.pid())).expect("a PID");
    let detail = (snapshot.taken_at, Arc::new(process_detail(&*system, pid)));
    let shown = MachineShown { picture: Some(Ok(Arc::new(picture))), processes: BTreeMap::from([(pid, detail)]) };
    // Before the engine has looked, that is said.
    let mut stage = Stage::with(Some(snapshot.clone()), MachineShown::default(), Settings::default(), [1280.0, 2000.0]);
    stage.click_row("Held, job.lock");
    assert!(stage.shows("Looking at the process…") && stage.shows("Looking for its other locks…"));
    assert_eq!(stage.wish(), Some(MachineWish { picture: true, processes: vec![pid] }));

    let mut stage = Stage::with(Some(snapshot), shown, Settings::default(), [1280.0, 2000.0]);
    stage.click_row("Held, job.lock");
    let me = std::process::id();
    for words in [
        format!("PID {pid} · "),
        format!("PID {me}"),
        here.file_name().expect("a name").to_string_lossy().into_owned(),
        "It also holds 2 more locks".to_owned(),
        format!("PID {}", waiter.pid()),
        "seen waiting for 12 s".to_owned(),
        "for own.lock, which the one above holds".to_owned(),
        format!("PID {}", behind.pid()),
    ] {
        assert!(stage.shows(&words), "{words}");
    }
    stage.asked();
    stage.click(Role::Button, "second.lock");
    assert!(stage.shows("second.lock") && !stage.shows("which the one above holds"), "the other one is chosen");
    let far_button = format!("{}/far.lock", far.display());
    stage.click(Role::Button, &far_button);
    assert_eq!(stage.watches(), Some(far.join("far.lock")));
}

#[test]
fn the_smallest_window_and_both_themes_hold_start_screen_and_table() {
    for theme in [ThemeChoice::Dark, ThemeChoice::Light] {
        let settings = Settings { theme, ..Settings::default() };
        let mut stage = Stage::with(None, showing(picture(TABLE)), settings, [720.0, 480.0]);
        let window = eframe::egui::Rect::from_min_size(eframe::egui::Pos2::ZERO, eframe::egui::vec2(720.0, 480.0));
        let open = stage.harness.get_by_role_and_label(Role::Button, "Open folder…").rect();
        assert!(window.contains_rect(open), "{open:?}");
        stage.harness.get_by_role_and_label(Role::Button, "Show all kernel locks").click_accesskit();
        stage.harness.run_steps(3);
        let search = stage.harness.get_by_role_and_label(Role::TextInput, "Search all kernel locks").rect();
        assert!(window.contains_rect(search), "{search:?}");
        assert_eq!(stage.rows().len(), 5);
    }
}

#[test]
fn an_idle_start_screen_asks_for_no_frame() {
    let mut stage = Stage::start(showing(picture("1: FLOCK  ADVISORY  WRITE 10 fe:00:12 0 EOF\n")));
    stage.harness.run();
    assert_eq!(stage.harness.run(), 1, "one frame, and no wish for another");
}

#[test]
fn what_was_not_looked_at_is_never_said_to_be_free() {
    use lockscope::model::snapshot::{LostReason, Watching};
    let directory = tempfile::tempdir().expect("a directory");
    let empty = look_at(directory.path());
    let on = |watching| {
        let snapshot = Snapshot { watching, ..empty.clone() };
        Stage::with(Some(snapshot), MachineShown::default(), Settings::default(), [1280.0, 800.0])
    };
    let reasons = [
        LostReason::Gone,
        LostReason::Denied,
        LostReason::NotADirectory,
        LostReason::NoAnswer,
        LostReason::Failed("no".into()),
    ];
    for reason in reasons {
        let mut lost = on(Watching::Lost(reason.clone()));
        assert!(lost.shows("Nothing is known") && !lost.shows("Nothing is stuck"), "{reason:?}");
        lost.asked();
        lost.click(Role::Button, "Try again now");
        assert!(lost.asked().iter().any(|command| matches!(command, Command::Rescan)), "{reason:?}");
    }
    let loading = on(Watching::Loading(12));
    assert!(loading.shows("Still looking") && !loading.shows("Nothing is stuck"));
    let mut live = on(Watching::Live);
    assert!(live.shows("Nothing is stuck"));
    live.click(Role::Button, "Show all kernel locks of this machine");
    assert!(live.shows("All kernel locks"));
    // One that could not be judged is not free either.
    support::write(directory.path(), "garbage.lock", "what is this\n", 7200);
    let unknown =
        Stage::with(Some(look_at(directory.path())), MachineShown::default(), Settings::default(), [1280.0, 800.0]);
    assert!(unknown.shows("Nothing is proved stuck") && !unknown.shows("Nothing is stuck"));
}

#[test]
fn enter_watches_the_folder_of_the_chosen_one() {
    let mut stage = Stage::start(showing(picture(TABLE)));
    stage.click(Role::Button, "Show all kernel locks");
    stage.asked();
    stage.press(Key::Enter);
    assert_eq!(stage.watches(), None, "nothing is chosen yet");
    stage.press(Key::ArrowDown);
    stage.press(Key::Enter);
    assert_eq!(stage.watches(), Some(PathBuf::from("/d/1/12.lock")));
}
