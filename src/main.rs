//! The program: the command line, and the window where none of its commands is asked for.

use lockscope::cli::{self, Asked, WindowOn};
use std::process::ExitCode;

fn main() -> ExitCode {
    let asked = cli::asked();
    cli::log_to_stderr();
    let exit = match asked {
        Asked::Window(on) => window(&on),
        Asked::Command(command) => command_line(&command),
    };
    ExitCode::from(exit.code())
}

fn command_line(_command: &cli::args::Command) -> cli::exit::Exit {
    // WIRE: cli::run_here(command, &Machine::new(system, settings))
    cli::complain(&mut std::io::stderr(), "no way to look at this machine is part of this build");
    cli::exit::Exit::Failed
}

fn window(_on: &WindowOn) -> cli::exit::Exit {
    let why = if !cfg!(feature = "gui") {
        cli::NO_WINDOW
    } else if !lockscope::platform::environment::has_display() {
        cli::NO_DISPLAY
    } else {
        // WIRE: lockscope::app::run(on)
        "the window is not part of this build"
    };
    cli::complain(&mut std::io::stderr(), why);
    cli::exit::Exit::Failed
}
