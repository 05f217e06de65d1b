//! A window on a scene, and what can be done in it.

use super::canvas::Textures;
use super::scenes::{Scene, clock};
use super::states::{State, impact, journal};
use eframe::egui::{self, Key, Modifiers, Role};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use lockscope::app::Window;
use lockscope::engine::Event;
use lockscope::engine::listing::Query;
use lockscope::engine::settings::{Settings, ThemeChoice};
use lockscope::engine::standin::StandIn;
use lockscope::model::time::Zone;
use std::sync::Arc;

/// What is done in a window.
#[derive(Clone, Copy)]
pub(crate) enum Step {
    /// A click on the button with these words.
    Button(&'static str),
    /// A click on the row whose words begin so.
    Row(&'static str),
    /// A key.
    Press(Modifiers, Key),
    /// Words typed into a field.
    Write(&'static str, &'static str),
    /// The engine has something to tell.
    Tell(fn() -> Event),
    /// The engine tells what ending this process would hit.
    Impact(u32),
    /// The directory is like this now.
    Becomes(Scene),
}

/// An open window.
pub(crate) struct Stage {
    pub(crate) harness: Harness<'static, Window>,
    pub(crate) textures: Textures,
    engine: StandIn,
    scene: Scene,
    name: &'static str,
}

impl Stage {
    /// Opens a window in a state.
    pub(crate) fn open(state: &State, theme: ThemeChoice) -> Self {
        let settings = Settings { theme, window_size: (state.size[0], state.size[1]), ..state.scene.settings() };
        let query = Query { grouped: settings.grouped, sort: settings.sort, ..Query::default() };
        let (engine, standin) = StandIn::engine(state.scene.watched(), Scene::places(), &query);
        engine.show_machine(state.scene.machine().shown());
        engine.show_journal(journal());
        let engine = match state.scene.history() {
            Some(history) if !matches!(state.scene, Scene::Many) => engine.with_history(history),
            _ => engine,
        };
        let textures = Textures::default();
        let harness = Harness::builder()
            .with_size(state.size)
            .with_pixels_per_point(state.scale)
            // The harness sets one of its own, after the window has.
            .with_theme(if theme == ThemeChoice::Light { egui::Theme::Light } else { egui::Theme::Dark })
            .renderer(textures.clone())
            .build_eframe(move |cc| {
                let mut window = Window::new(cc, engine, settings, Arc::new(clock));
                window.set_zone(Zone::fixed(60));
                window
            });
        let mut stage = Self { harness, textures, engine: standin, scene: state.scene, name: state.name };
        stage.settle();
        for step in state.steps {
            stage.take(*step);
        }
        // Nothing lies under the pointer, and what fades has faded.
        stage.harness.remove_cursor();
        stage.settle();
        stage
    }

    fn settle(&mut self) {
        self.harness.run_steps(2);
        self.engine.asked();
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Button(words) => {
                let found = self.harness.query_by_role_and_label(Role::Button, words);
                found.unwrap_or_else(|| panic!("{}: there is a button {words}", self.name)).click();
            }
            Step::Row(start) => {
                let rows = self.harness.get_all_by_role(Role::Row);
                let begins = |label: String| label.starts_with(start);
                let row = rows.into_iter().find(|row| row.accesskit_node().label().is_some_and(begins));
                row.unwrap_or_else(|| panic!("{}: there is a row {start}", self.name)).click();
            }
            Step::Press(modifiers, key) => self.harness.key_press_modifiers(modifiers, key),
            Step::Write(field, words) => {
                self.harness.get_by_role_and_label(Role::TextInput, field).focus();
                self.harness.run_steps(1);
                self.harness.get_by_role_and_label(Role::TextInput, field).type_text(words);
            }
            Step::Tell(event) => self.engine.tell(event()),
            Step::Impact(number) => self.engine.tell(impact(self.scene, number)),
            Step::Becomes(scene) => self.engine.show(scene.snapshot().expect("a directory")),
        }
        self.settle();
    }

    /// Whether these words are there, for eyes or for a screen reader.
    pub(crate) fn shows(&self, words: &str) -> bool {
        self.harness.query_all_by_label_contains(words).next().is_some()
    }

    /// The buttons that the window's width cuts.
    pub(crate) fn beyond_the_edge(&self) -> Vec<String> {
        let window = self.harness.ctx.content_rect().expand(0.5);
        let buttons = self.harness.get_all_by_role(Role::Button);
        let out =
            |rect: egui::Rect| rect.is_positive() && (rect.left() < window.left() || rect.right() > window.right());
        buttons.into_iter().filter(|node| out(node.rect())).filter_map(|node| node.accesskit_node().label()).collect()
    }
}
