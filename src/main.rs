//! The program: the command line, and the window where none of its commands is asked for.

use lockscope::cli::exit::Exit;
use lockscope::cli::machine::Machine;
use lockscope::cli::{self, Asked};
use lockscope::engine::settings::Settings;
use lockscope::platform;
use std::process::ExitCode;

fn main() -> ExitCode {
    let asked = cli::asked();
    cli::log_to_stderr();
    let exit = match asked {
        Asked::Window(on) => window::open(on),
        Asked::Actor(part) => cli::act(&part),
        Asked::Run(run) => {
            return ExitCode::from(cli::run::run(&run, &settings().0.locks, &mut std::io::stderr()));
        }
        Asked::Command(command) => {
            let world = Machine::new(platform::this_machine(), settings().0);
            cli::run_here(&command, &world)
        }
    };
    ExitCode::from(exit.code())
}

/// What is remembered, and what a person must be told about it.
fn settings() -> (Settings, Vec<String>) {
    let Some(directory) = platform::environment::config_dir() else {
        return (Settings::default(), vec!["There is no home directory, so nothing will be remembered.".to_owned()]);
    };
    let (settings, notice) = lockscope::engine::settings::load(&directory);
    if let Some(notice) = &notice {
        cli::complain(&mut std::io::stderr(), notice);
    }
    (settings, notice.into_iter().collect())
}

#[cfg(not(feature = "gui"))]
mod window {
    use super::{Exit, cli};

    pub(super) fn open(_on: cli::WindowOn) -> Exit {
        cli::complain(&mut std::io::stderr(), cli::NO_WINDOW);
        Exit::Failed
    }
}

#[cfg(feature = "gui")]
mod window {
    use super::{Exit, cli, platform};
    use lockscope::app::{self, WindowOptions};
    use lockscope::engine::{Engine, EngineOptions};
    use platform::environment;
    use std::sync::Arc;

    pub(super) fn open(on: cli::WindowOn) -> Exit {
        if !environment::has_display() {
            cli::complain(&mut std::io::stderr(), cli::NO_DISPLAY);
            return Exit::Failed;
        }
        let system = platform::this_machine();
        let (clock, ahead) = (Arc::clone(&system), Arc::clone(&system));
        // Who reads the kernel's lock table first in a while waits some 10 ms for all processors: that begins now.
        std::thread::spawn(move || drop(ahead.kernel_locks()));
        let (settings, notices) = super::settings();
        let engine_options = EngineOptions {
            system,
            settings: settings.clone(),
            config_dir: environment::config_dir(),
            state_dir: environment::state_dir(),
            slow_pass: lockscope::engine::SLOW_PASS,
        };
        let (directory, demo) = match on.shows {
            cli::Shows::Directory(directory) => (directory, false),
            cli::Shows::Demo => (None, true),
        };
        let options = WindowOptions {
            engine: Box::new(move |wake| Engine::start(engine_options, wake)),
            settings,
            directory: directory.map(|path| environment::absolute(&path)),
            demo,
            notices,
            clock: Arc::new(move || (clock.wall(), clock.monotonic())),
            force_x11: on.x11,
        };
        match app::run(options) {
            Ok(()) => Exit::Done,
            Err(error) => {
                cli::complain(&mut std::io::stderr(), &format!("{error}; {}", cli::WITHOUT_WINDOW));
                Exit::Failed
            }
        }
    }
}
