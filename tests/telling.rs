//! "Tell me when it is free", from the button to the desktop: the real engine, real processes, and a real (private) D-Bus.

mod support;

use crossbeam_channel::{Receiver, Sender, unbounded};
use eframe::egui::{self, Role};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use lockscope::app::{Chosen, Desktop, Letter, NotificationService, Window};
use lockscope::engine::settings::Settings;
use lockscope::engine::{Command, Engine, EngineOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::{DEAD, DEADLINE, Process, machine, set_age, write};

/// Keeps what it is given, with the way to choose Show.
struct Recording(Sender<(Letter, Chosen)>);

impl Desktop for Recording {
    fn show(&mut self, letter: &Letter, chosen: Chosen) -> Result<(), String> {
        self.0.send((letter.clone(), chosen)).map_err(|error| error.to_string())
    }
}

/// A desktop without a notification service.
struct Deaf;

impl Desktop for Deaf {
    fn show(&mut self, _: &Letter, _: Chosen) -> Result<(), String> {
        Err("nobody answers".to_owned())
    }
}

struct Story {
    harness: Harness<'static, Window>,
    wakes: Receiver<()>,
}

impl Story {
    fn begin(directory: &Path, state: &Path, settings: Settings, desktop: Box<dyn Desktop>) -> Self {
        let (wake, wakes) = unbounded();
        let options = EngineOptions {
            system: machine(),
            settings: settings.clone(),
            config_dir: None,
            state_dir: Some(state.join("state")),
            slow_pass: lockscope::engine::SLOW_PASS,
        };
        let (clock, directory) = (machine(), directory.to_owned());
        let harness = Harness::builder().with_size([1280.0, 800.0]).build_eframe(move |cc| {
            let ctx = cc.egui_ctx.clone();
            let wake = Arc::new(move || {
                ctx.request_repaint();
                let _ = wake.send(());
            });
            let engine = Engine::start(options, wake);
            engine.send(Command::Watch(Some(directory)));
            let mut window = Window::new(cc, engine, settings, Arc::new(move || (clock.wall(), clock.monotonic())));
            window.tell_through(&cc.egui_ctx, desktop);
            window
        });
        Self { harness, wakes }
    }

    /// Draws frames as the engine wakes the window, until it shows what it should.
    fn until(&mut self, what: &str, so: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        loop {
            self.harness.step();
            if so(self) {
                return;
            }
            assert!(start.elapsed() < DEADLINE, "not shown: {what}");
            // A letter's way back is no signal of the engine's.
            let _ = self.wakes.recv_timeout(Duration::from_millis(50));
        }
    }

    fn until_shown(&mut self, label: &str) {
        self.until(label, |story| story.harness.query_all_by_label_contains(label).next().is_some());
    }

    fn click(&mut self, role: Role, label: &str) {
        self.harness.get_by_role_and_label(role, label).click();
        self.harness.run_steps(2);
    }

    fn choose(&mut self, start: &str) {
        let find = |story: &Self| {
            let mut rows = story.harness.get_all_by_role(Role::Row);
            rows.any(|row| row.accesskit_node().label().is_some_and(|label| label.starts_with(start)))
        };
        self.until(start, |story| story.harness.query_all_by_role(Role::Row).next().is_some() && find(story));
        {
            let mut rows = self.harness.get_all_by_role(Role::Row);
            let row = rows.find(|row| row.accesskit_node().label().is_some_and(|label| label.starts_with(start)));
            row.expect("it is there").click();
        }
        self.harness.run_steps(2);
    }
}

fn flock(directory: &Path) -> Process {
    Process::shell(directory, "exec 9<a_memory.lock; flock 9; echo ready; exec sleep 1000")
}

fn places() -> (tempfile::TempDir, tempfile::TempDir) {
    let (directory, state) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    write(directory.path(), "a_memory.lock", "", 100);
    (directory, state)
}

/// Asks to be told of the lock that is held, in the side panel.
fn ask(story: &mut Story) {
    story.choose("Held, a_memory.lock");
    story.click(Role::Button, "Tell me when it is free");
    story.until_shown("Telling you when it is free");
}

#[test]
fn a_released_lock_is_told_and_show_leads_to_it_from_another_directory() {
    let (directory, state) = places();
    let other = tempfile::tempdir().expect("a directory");
    let (sent, letters) = unbounded();
    let mut story = Story::begin(directory.path(), state.path(), Settings::default(), Box::new(Recording(sent)));
    let mut holder = flock(directory.path());
    ask(&mut story);
    story.until("the title counts it", |story| story.harness.state().title().starts_with("(waiting for 1) "));
    // Another folder is shown meanwhile.
    let elsewhere: PathBuf = other.path().to_owned();
    write(other.path(), "b_memory.lock", "", 100);
    story.harness.event(egui::Event::Paste(elsewhere.to_string_lossy().into_owned()));
    story.until_shown("b_memory.lock");
    assert!(letters.is_empty(), "not before it is free");
    let pid = holder.pid();
    holder.kill();
    story.until("it is told", |_| !letters.is_empty());
    let (letter, show) = letters.recv().expect("a letter");
    assert_eq!(letter.title, "a_memory.lock is free");
    assert!(
        letter.body.starts_with(&format!("PID {pid} (")) && letter.body.contains("let go of it"),
        "{}",
        letter.body
    );
    assert!(letter.body.ends_with(&format!("In {}.", directory.path().display())), "{}", letter.body);
    show();
    story.until_shown("Idle, a_memory.lock");
    // It is chosen: its sentence is beside the table.
    story.until_shown("Nobody holds it.");
    assert!(letters.is_empty(), "once");
}

#[test]
fn a_holder_that_dies_and_leaves_its_lock_is_told_as_that() {
    let (directory, state) = places();
    let (sent, letters) = unbounded();
    let mut story = Story::begin(directory.path(), state.path(), Settings::default(), Box::new(Recording(sent)));
    let mut holder = Process::shell(directory.path(), "echo $$ > work.lock; echo ready; exec sleep 1000");
    story.choose("Held, work.lock");
    story.click(Role::Button, "Tell me when it is free");
    story.until_shown("Telling you when it is free");
    holder.kill();
    story.until("it is told", |_| !letters.is_empty());
    let (letter, _) = letters.recv().expect("a letter");
    assert_eq!(letter.title, "work.lock was left behind");
    assert!(letter.body.contains("it is orphaned now, and not free"), "{}", letter.body);
}

#[test]
fn without_a_desktop_to_tell_it_is_told_in_the_window_and_why_is_said_once() {
    let (directory, state) = places();
    let mut story = Story::begin(directory.path(), state.path(), Settings::default(), Box::new(Deaf));
    for _ in 0..2 {
        let mut holder = flock(directory.path());
        ask(&mut story);
        holder.kill();
        story.until_shown("a_memory.lock is free: PID");
        story.until_shown("This desktop shows no notifications (nobody answers).");
        story.until_shown("Idle, a_memory.lock");
        let said = story.harness.query_all_by_role_and_label(Role::Button, "Dismiss").count();
        assert_eq!(said, 1, "it is said once");
    }
}

#[test]
fn locks_that_turn_stale_are_told_together_only_where_that_was_asked_for() {
    let (directory, state) = places();
    for number in 0..10 {
        let path = write(directory.path(), &format!("{number}.lock"), format!("{DEAD}\n"), 0);
        set_age(&path, Duration::from_secs(0));
    }
    let (sent, letters) = unbounded();
    let settings = Settings { tell_when_stale: true, ..Settings::default() };
    let mut story = Story::begin(directory.path(), state.path(), settings, Box::new(Recording(sent)));
    story.until_shown("Orphaned, 9.lock");
    story.click(Role::Button, "stale after 10 min");
    story.click(Role::Button, "0s");
    story.until("it is told", |_| !letters.is_empty());
    let (letter, _) = letters.recv().expect("a letter");
    assert_eq!(letter.title, "10 locks turned stale");
    assert!(letter.body.contains(" and 7 more. In "), "{}", letter.body);
    story.until_shown("Stale, 9.lock");
    assert!(letters.is_empty(), "one letter for all");
}

/// Set in the process that has a message bus of its own.
const OWN_BUS: &str = "LOCKSCOPE_TEST_OWN_BUS";

#[test]
#[cfg(target_os = "linux")]
fn a_notification_reaches_a_real_message_bus_and_its_action_comes_back() {
    if std::env::var_os(OWN_BUS).is_some() {
        bus::speaks_to_a_service();
        return;
    }
    let available = std::process::Command::new("dbus-run-session").arg("--version").output();
    if !available.is_ok_and(|output| output.status.success()) {
        println!("not run: notifications over D-Bus: dbus-run-session is not installed");
        return;
    }
    let ended = std::process::Command::new("dbus-run-session")
        .arg("--")
        .arg(std::env::current_exe().expect("a path"))
        .args(["--exact", "a_notification_reaches_a_real_message_bus_and_its_action_comes_back", "--nocapture"])
        .env(OWN_BUS, "1")
        .output()
        .expect("it runs");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    assert!(String::from_utf8_lossy(&ended.stdout).contains("1 passed"), "it ran");
}

#[cfg(target_os = "linux")]
mod bus {
    #![allow(clippy::unused_self, clippy::used_underscore_binding, reason = "the interface is the specification's")]

    use super::*;
    use std::collections::HashMap;
    use zbus::blocking::connection::Builder;
    use zbus::zvariant::OwnedValue;

    const NAME: &str = "org.freedesktop.Notifications";
    const PATH: &str = "/org/freedesktop/Notifications";

    /// What arrived: name of the program, title, body, actions.
    type Arrived = (String, String, String, Vec<String>);

    struct Service(Sender<Arrived>);

    #[zbus::interface(name = "org.freedesktop.Notifications")]
    impl Service {
        fn get_capabilities(&self) -> Vec<String> {
            ["actions", "body", "body-markup"].map(str::to_owned).to_vec()
        }

        #[expect(clippy::too_many_arguments, reason = "the specification's")]
        fn notify(
            &self, app_name: String, _replaces: u32, _icon: String, summary: String, body: String,
            actions: Vec<String>, _hints: HashMap<String, OwnedValue>, _timeout: i32,
        ) -> u32 {
            let _ = self.0.send((app_name, summary, body, actions));
            7
        }

        fn close_notification(&self, _id: u32) {}

        fn get_server_information(&self) -> (String, String, String, String) {
            ("test".to_owned(), "lockscope".to_owned(), "1".to_owned(), "1.2".to_owned())
        }
    }

    pub(super) fn speaks_to_a_service() {
        let (directory, state) = places();
        // Without a service it is told in the window.
        let desktop = Box::<NotificationService>::default();
        let mut story = Story::begin(directory.path(), state.path(), Settings::default(), desktop);
        let mut holder = flock(directory.path());
        ask(&mut story);
        holder.kill();
        story.until_shown("a_memory.lock is free: PID");
        story.until_shown("This desktop shows no notifications");
        // From now on there is one.
        let (sent, arrived) = unbounded();
        let builder = Builder::session().and_then(|builder| builder.name(NAME));
        let connection = builder
            .and_then(|builder| builder.serve_at(PATH, Service(sent)))
            .and_then(Builder::build)
            .expect("a service on our own bus");
        let mut holder = Process::shell(directory.path(), "echo $$ > 'b&<i>.lock'; echo ready; exec sleep 1000");
        story.choose("Held, b&<i>.lock");
        story.click(Role::Button, "Tell me when it is free");
        story.until_shown("Telling you when it is free");
        holder.kill();
        story.until("it arrives", |_| !arrived.is_empty());
        let (program, title, body, actions) = arrived.recv().expect("a notification");
        assert_eq!((program.as_str(), title.as_str()), ("Lockscope", "b&<i>.lock was left behind"));
        assert!(body.contains("it is orphaned now") && !body.contains('<'), "no markup from a file's name: {body}");
        assert_eq!(actions, ["default", "Show", "show", "Show"]);
        // Somebody chooses another lock, and then Show. It listens a moment after the call has returned.
        story.choose("Idle, a_memory.lock");
        story.until("Show leads to the lock", |story| {
            let press = connection.emit_signal(None::<&str>, PATH, NAME, "ActionInvoked", &(7_u32, "default"));
            press.expect("it is said");
            let found = story.harness.query_all_by_label_contains("Untouched for ").next();
            found.is_some()
        });
    }
}
