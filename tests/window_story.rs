//! The whole story through the window, with the real engine and a real process: drop a folder, see the lock held, kill the
//! holder, see it turn stale, clear it, see it gone, undo, see it back.

mod support;

use crossbeam_channel::{Receiver, unbounded};
use eframe::egui::Role;
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use lockscope::app::Window;
use lockscope::engine::settings::Settings;
use lockscope::engine::{Engine, EngineOptions};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::stage::Dropped;
use support::{DEADLINE, Process, machine, set_age};

struct Story {
    harness: Harness<'static, Window>,
    wakes: Receiver<()>,
}

impl Story {
    fn begin(state: &Path) -> Self {
        let (wake, wakes) = unbounded();
        let options = EngineOptions {
            system: machine(),
            settings: Settings::default(),
            config_dir: Some(state.join("config")),
            state_dir: Some(state.join("state")),
            slow_pass: lockscope::engine::SLOW_PASS,
        };
        let clock = machine();
        let harness = Harness::builder().with_size([1280.0, 800.0]).build_eframe(move |cc| {
            let ctx = cc.egui_ctx.clone();
            let wake = Arc::new(move || {
                ctx.request_repaint();
                let _ = wake.send(());
            });
            let engine = Engine::start(options, wake);
            Window::new(cc, engine, Settings::default(), Arc::new(move || (clock.wall(), clock.monotonic())))
        });
        Self { harness, wakes }
    }

    /// Draws frames as the engine wakes the window, until it shows what it should.
    fn until(&mut self, what: &str, so: impl Fn(&Harness<'static, Window>) -> bool) {
        let start = Instant::now();
        loop {
            self.harness.step();
            if so(&self.harness) {
                return;
            }
            assert!(start.elapsed() < DEADLINE, "not shown: {what}");
            // The window also draws when an age's text changes; no signal of the engine's tells of that.
            let _ = self.wakes.recv_timeout(Duration::from_millis(100));
        }
    }

    fn click(&mut self, label: &str) {
        self.harness.get_by_role_and_label(Role::Button, label).click();
        self.harness.step();
    }
}

fn shows(harness: &Harness<'static, Window>, label: &str) -> bool {
    harness.query_all_by_label_contains(label).next().is_some()
}

#[test]
fn drop_see_held_kill_see_stale_clear_see_gone_undo_see_back() {
    let locks = tempfile::tempdir().expect("a directory");
    let state = tempfile::tempdir().expect("a directory");
    let path = locks.path().join("chat_memory.lock");
    let mut holder = Process::shell(locks.path(), "echo $$ > chat_memory.lock; echo ready; exec sleep 1000");
    let record = std::fs::read(&path).expect("the record is there");
    let mut story = Story::begin(state.path());
    story.until("the first screen", |h| shows(h, "Drop a folder with lock files here"));

    let input = story.harness.input_mut();
    input.dropped_files.push(Arc::new(Dropped(locks.path().to_owned())));
    story.until("the held lock", |h| shows(h, "Held, chat_memory.lock, PID"));
    assert!(!shows(&story.harness, "Clear stale"), "nothing is stale, so there is no red button");

    holder.kill();
    set_age(&path, Duration::from_hours(1));
    story.until("the stale lock", |h| shows(h, "Stale, chat_memory.lock, PID"));
    story.until("the red button", |h| shows(h, "Clear stale (1)…"));
    story.click("Clear stale (1)…");
    story.until("the dialog", |h| h.query_by_role_and_label(Role::Button, "Clear 1 lock").is_some());
    story.harness.step();
    let cancel = story.harness.get_by_role_and_label(Role::Button, "Cancel");
    assert!(cancel.accesskit_node().is_focused(), "what Enter does by accident is nothing");
    story.click("Clear 1 lock");
    story.until("that it was cleared", |h| shows(h, "1 lock cleared. It was checked again first."));
    story.until("the empty folder", |h| shows(h, "No lock files here"));
    assert!(!path.exists(), "the file is gone");

    let undo = story
        .harness
        .get_all_by_role(Role::Button)
        .find(|node| node.accesskit_node().label().is_some_and(|label| label.starts_with("Undo")));
    undo.expect("the toast has Undo").click();
    story.until("the lock back in its row", |h| shows(h, "Stale, chat_memory.lock, PID"));
    assert_eq!(std::fs::read(&path).expect("it is back"), record);
}
