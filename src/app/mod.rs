//! The window: egui only. Reads what the engine publishes, sends it commands.
//!
//! Owns: what is shown and how. Never: touches a file or a process; whatever could take time is the engine's.

mod announce;
mod below;
mod cells;
mod chips;
mod command;
mod confirm;
mod deeds;
mod detail;
mod dialog;
mod display_name;
mod empty;
mod focus;
mod fonts;
mod force;
mod icons;
mod journal;
mod keys;
mod machine;
mod machine_words;
mod menu;
mod opening;
mod palette;
mod papers;
mod paused;
mod places;
mod process;
mod rows;
mod selection;
mod sheet;
mod sidebar;
mod sieve;
mod status;
mod stuck;
mod subfolders;
mod sweep;
mod table;
mod tell;
mod theme;
mod timeline;
mod toast;
mod tokens;
mod topbar;
mod widgets;
mod window;

pub use display_name::{elided, visible, visible_name};
pub use tell::{Chosen, Desktop, Letter, NotificationService};
pub use window::{Clock, Window};

use crate::engine::settings::Settings;
use crate::engine::{Command, Engine};
use eframe::egui;
use opening::Opening;
use std::path::PathBuf;
use std::sync::Arc;

/// Makes the engine, given what wakes the window.
pub type EngineFactory = Box<dyn FnOnce(Arc<dyn Fn() + Send + Sync>) -> Engine>;

/// What the window opens with.
pub struct WindowOptions {
    /// Makes the engine.
    pub engine: EngineFactory,
    /// As loaded.
    pub settings: Settings,
    /// The directory to open with; `None` = the last one.
    pub directory: Option<PathBuf>,
    /// Start the demo.
    pub demo: bool,
    /// Things to tell at once, such as settings that were damaged.
    pub notices: Vec<String>,
    /// Wall clock and monotonic clock, for ages that go on between snapshots.
    pub clock: Clock,
    /// X11 even where Wayland is there: only there can a folder be dropped.
    pub force_x11: bool,
}

/// Why there is no window.
#[derive(Debug, thiserror::Error)]
#[error("the window could not be opened: {0}")]
pub struct WindowError(String);

/// Opens the window and runs until it is closed.
pub fn run(options: WindowOptions) -> Result<(), WindowError> {
    let (width, height) = options.settings.window_size;
    let icon = eframe::icon_data::from_png_bytes(include_bytes!("../../assets/icons/lockscope-128.png"));
    let mut viewport = egui::ViewportBuilder::default()
        .with_title("Lockscope")
        .with_app_id("lockscope")
        .with_inner_size([width.max(720.0), height.max(480.0)])
        .with_min_inner_size([720.0, 480.0]);
    if let Ok(icon) = icon {
        viewport = viewport.with_icon(icon);
    }
    #[cfg_attr(not(target_os = "linux"), expect(unused_mut))]
    let mut native = eframe::NativeOptions { viewport, renderer: eframe::Renderer::Glow, ..Default::default() };
    #[cfg(target_os = "linux")]
    if options.force_x11 {
        native.event_loop_builder = Some(Box::new(|builder| {
            use winit::platform::x11::EventLoopBuilderExtX11 as _;
            builder.with_x11();
        }));
    }
    let WindowOptions { engine, settings, directory, demo, notices, clock, .. } = options;
    let mut first = first_commands(directory, demo, &settings);
    // Before the folder: its first picture is then listed as it will be shown.
    first.insert(0, Command::List(window::first_query(&settings)));
    let opening = Opening::begin(engine, first);
    let create: eframe::AppCreator<'_> = Box::new(move |cc| {
        let mut window = opening.finish(&cc.egui_ctx, |engine| Window::new(cc, engine, settings, clock));
        window.follow_desktop_theme(&cc.egui_ctx);
        window.tell_through(&cc.egui_ctx, Box::<NotificationService>::default());
        for notice in notices {
            window.tell(notice);
        }
        Ok(Box::new(window))
    });
    eframe::run_native("lockscope", native, create).map_err(|error| WindowError(error.to_string()))
}

/// What the window begins with. A directory that was named, or the demo, is what is wanted, alone; else all goes on where
/// it was left.
pub fn first_commands(directory: Option<PathBuf>, demo: bool, settings: &Settings) -> Vec<Command> {
    match directory {
        _ if demo => vec![Command::StartDemo],
        Some(directory) => vec![Command::Watch(Some(directory))],
        None => vec![Command::WatchToo(settings.watched.clone()), Command::Watch(settings.directory.clone())],
    }
}
