//! The window over a picture that stands still, for tests of what its controls show and ask for.

use super::{DEAD, look_at, write};
use crossbeam_channel::{Receiver, Sender};
use eframe::egui::accesskit::Live;
use eframe::egui::{Key, Modifiers, Role};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use lockscope::app::Window;
use lockscope::engine::listing::Query;
use lockscope::engine::settings::Settings;
use lockscope::engine::{Command, Engine, Event, Projector};
use lockscope::model::snapshot::Snapshot;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A directory that is dropped on the window.
#[derive(Debug)]
pub struct Dropped(pub PathBuf);

impl eframe::egui::DroppedFile for Dropped {
    fn path(&self) -> &Path {
        &self.0
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        Err("a directory has none".to_owned())
    }
}

/// A window whose engine is the test itself.
pub struct Stage {
    pub harness: Harness<'static, Window>,
    pub commands: Receiver<Command>,
    pub tell: Sender<Event>,
    projector: Projector,
    passed: Arc<AtomicU64>,
}

impl Stage {
    pub fn with(snapshot: Option<Snapshot>, settings: Settings, size: [f32; 2]) -> Self {
        let query = Query { grouped: settings.grouped, sort: settings.sort, ..Query::default() };
        let now = snapshot.as_ref().map_or_else(Default::default, |s| (s.taken_at, s.taken_monotonic));
        let (engine, commands, tell, projector) = Engine::projected();
        if let Some(snapshot) = snapshot {
            projector.show(snapshot, &query);
        }
        let passed = Arc::new(AtomicU64::new(0));
        let clock = {
            let passed = Arc::clone(&passed);
            move || {
                let passed = Duration::from_millis(passed.load(Ordering::Acquire));
                (now.0.plus(passed), now.1 + passed)
            }
        };
        let harness = Harness::builder()
            .with_size(size)
            .build_eframe(move |cc| Window::new(cc, engine, settings, Arc::new(clock)));
        let mut stage = Self { harness, commands, tell, projector, passed };
        stage.harness.run_steps(2);
        stage
    }

    /// The directory changes: this is what is seen now.
    pub fn show(&mut self, mut snapshot: Snapshot, generation: u64, query: &Query) {
        snapshot.generation = generation;
        self.projector.show(snapshot, query);
        self.harness.run_steps(2);
    }

    /// Time passes on the window's clock.
    pub fn pass(&mut self, time: Duration) {
        self.passed.fetch_add(time.as_millis() as u64, Ordering::AcqRel);
        self.harness.run_steps(2);
    }

    /// The rows as they are read out, from above.
    pub fn rows(&self) -> Vec<String> {
        let mut rows: Vec<(f32, String)> = self
            .harness
            .query_all_by_role(Role::Row)
            .filter_map(|row| Some((row.rect().top(), row.accesskit_node().label()?)))
            .collect();
        rows.sort_by(|a, b| a.0.total_cmp(&b.0));
        rows.into_iter().map(|(_, label)| label).collect()
    }

    /// What has the focus, as it is read out.
    pub fn focus(&self) -> Option<String> {
        let root = self.harness.root();
        let mut left = vec![root];
        while let Some(node) = left.pop() {
            if node.accesskit_node().is_focused() && node.accesskit_node().label().is_some() {
                return node.accesskit_node().label();
            }
            left.extend(node.children());
        }
        None
    }

    /// What a screen reader was told without looking: text, and whether at once.
    pub fn told(&self) -> Vec<(String, bool)> {
        let mut told = Vec::new();
        let mut left = vec![self.harness.root()];
        while let Some(node) = left.pop() {
            let access = node.accesskit_node();
            if access.live() != Live::Off && matches!(access.role(), Role::Status | Role::Alert) {
                told.push((access.label().unwrap_or_default(), access.live() == Live::Assertive));
            }
            left.extend(node.children());
        }
        told
    }

    pub fn on(snapshot: Snapshot) -> Self {
        Self::with(Some(snapshot), Settings::default(), [1280.0, 800.0])
    }

    pub fn shows(&self, label: &str) -> bool {
        self.harness.query_all_by_label_contains(label).next().is_some()
    }

    pub fn button(&self, label: &str) -> bool {
        self.harness.query_by_role_and_label(Role::Button, label).is_some()
    }

    pub fn click(&mut self, role: Role, label: &str) {
        self.harness.get_by_role_and_label(role, label).click();
        self.harness.run_steps(2);
    }

    /// A key with Ctrl.
    pub fn press_with(&mut self, modifiers: Modifiers, key: Key) {
        self.harness.key_press_modifiers(modifiers, key);
        self.harness.run_steps(2);
    }

    /// Clicks the row whose label begins so.
    pub fn click_row(&mut self, start: &str) {
        let rows = self.harness.get_all_by_role(Role::Row);
        let row =
            rows.into_iter().find(|row| row.accesskit_node().label().is_some_and(|label| label.starts_with(start)));
        row.unwrap_or_else(|| panic!("there is a row {start}")).click();
        self.harness.run_steps(2);
    }

    pub fn press(&mut self, key: Key) {
        self.harness.key_press(key);
        self.harness.run_steps(2);
    }

    pub fn write_into(&mut self, field: &str, words: &str) {
        self.harness.get_by_role_and_label(Role::TextInput, field).focus();
        self.harness.run_steps(1);
        self.harness.get_by_role_and_label(Role::TextInput, field).type_text(words);
        self.harness.run_steps(2);
    }

    /// The commands since the last time.
    pub fn asked(&self) -> Vec<Command> {
        self.commands.try_iter().collect()
    }

    pub fn last_query(&self) -> Option<Query> {
        self.asked()
            .into_iter()
            .rev()
            .find_map(|command| if let Command::List(query) = command { Some(query) } else { None })
    }
}

/// A directory with a lock of each kind, as it is looked at.
pub fn locks(directory: &Path) -> Snapshot {
    write(directory, "a_memory.lock", format!("{DEAD}\n"), 840);
    write(directory, "a_all.lock", format!("{DEAD}\n"), 7200);
    write(directory, "a_messages.lock", "", 100);
    write(directory, "young.lock", format!("{DEAD}\n"), 60);
    write(directory, "far.lock", "{\"pid\": 812, \"host\": \"nas2\"}", 7200);
    write(directory, "garbage.lock", "what is this\n", 7200);
    write(directory, "mine.pid", format!("{}\n", std::process::id()), 0);
    look_at(directory)
}

pub fn stage() -> (tempfile::TempDir, Stage) {
    let directory = tempfile::tempdir().expect("a directory");
    let snapshot = locks(directory.path());
    (directory, Stage::on(snapshot))
}
