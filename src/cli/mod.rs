//! The command line: what may be written, what is done for it, what is printed, how it ends.
//!
//! Owns: words and exit codes. Never: decides about a lock, or removes one; `model` and `clear` do.

pub mod args;
pub mod clear;
pub mod exit;
pub mod force;
pub mod journal;
pub mod machine;
pub mod output;
pub mod report;
pub mod run;
pub mod status;
pub mod sweep;
pub mod wait;
pub mod world;

use args::{Cli, Command};
use clap::Parser as _;
use exit::{Exit, Failure};
use output::table::Screen;
use std::io::{self, BufRead as _, IsTerminal as _, Write};
use std::path::PathBuf;
use world::World;

/// Where a command reads and writes.
pub struct Io<'a> {
    /// Results.
    pub out: &'a mut dyn Write,
    /// Everything else.
    pub err: &'a mut dyn Write,
    /// What is known of the terminal.
    pub screen: Screen,
    /// Asks a yes-or-no question; `None` = there is nobody to ask.
    pub ask: &'a mut dyn FnMut(&str) -> io::Result<Option<bool>>,
}

impl std::fmt::Debug for Io<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Io").field("screen", &self.screen).finish_non_exhaustive()
    }
}

/// What the window shows first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shows {
    /// This directory, or the last one.
    Directory(Option<PathBuf>),
    /// The demo.
    Demo,
}

/// What the window opens with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowOn {
    /// What it shows.
    pub shows: Shows,
    /// X11 even under Wayland.
    pub x11: bool,
}

/// What is to be done.
#[derive(Debug)]
pub enum Asked {
    /// Open the window.
    Window(WindowOn),
    /// Play a part of the demo.
    Actor(Vec<String>),
    /// Run a command of the person's under a lock.
    Run(args::Run),
    /// Run a command that needs none.
    Command(Command),
}

/// Reads the command line; ends the program itself for `--help`, `--version` and wrong usage.
pub fn asked() -> Asked {
    let cli = Cli::parse();
    match cli.command {
        None => Asked::Window(WindowOn { shows: Shows::Directory(cli.directory), x11: cli.x11 }),
        Some(Command::Demo(demo)) => Asked::Window(WindowOn { shows: Shows::Demo, x11: demo.x11 }),
        Some(Command::DemoActor { part }) => Asked::Actor(part),
        Some(Command::Run(run)) => Asked::Run(run),
        Some(command) => Asked::Command(command),
    }
}

/// Plays a part of the demo, until whoever started it ends.
pub fn act(part: &[String]) -> Exit {
    match crate::engine::demo::act(&crate::platform::this_machine(), part) {
        Ok(()) => Exit::Done,
        Err(error) => {
            complain(&mut io::stderr(), &error.to_string());
            Exit::Failed
        }
    }
}

/// Sends what the program notes about itself to stderr, as the variable `LOCKSCOPE_LOG` asks (`debug`, `lockscope=trace`);
/// without it, errors alone.
pub fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::from_env("LOCKSCOPE_LOG");
    // A second start (in a test) keeps the first one's.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).try_init();
}

/// Runs a command against a world.
pub fn run(command: &Command, world: &dyn World, io: &mut Io<'_>) -> Exit {
    let result = match command {
        Command::Demo(_) | Command::DemoActor { .. } => Err(Failure::Usage("the demo opens a window".into())),
        Command::Run(_) => Err(Failure::Usage("run ends with its command's own code".into())),
        Command::Status(args) => status::status(world, args, io),
        Command::Watch(args) => status::watch(world, args, io),
        Command::Clear(args) => clear::clear(world, args, io),
        Command::Undo(args) => journal::undo(world, args, io),
        Command::Log(args) => journal::log(world, args, io),
        Command::Wait(args) => wait::wait(world, args, io),
        Command::Sweep(args) => sweep::sweep(world, args, io),
        Command::Report(args) => report::report(world, args, io),
    };
    match result {
        Ok(exit) => exit,
        Err(failure) => {
            if let Some(message) = failure.message() {
                complain(io.err, &message);
            }
            failure.exit()
        }
    }
}

/// Runs a command with the program's own streams.
pub fn run_here(command: &Command, world: &dyn World) -> Exit {
    let stdout = io::stdout();
    let colour = anstream::AutoStream::choice(&stdout) != anstream::ColorChoice::Never;
    let width = stdout.is_terminal().then(|| terminal_size::terminal_size().map_or(80, |(w, _)| usize::from(w.0)));
    let screen = Screen { colour: colour && stdout.is_terminal(), width };
    // Nobody reads along line by line where this is no terminal; `watch` flushes after each line by itself.
    let mut out = io::BufWriter::new(stdout.lock());
    let mut err = io::stderr();
    let exit = run(command, world, &mut Io { out: &mut out, err: &mut err, screen, ask: &mut ask_here });
    match out.flush() {
        Ok(()) => exit,
        Err(error) => {
            let failure = Failure::Write(error);
            failure.message().inspect(|message| complain(&mut err, message));
            exit.max(failure.exit())
        }
    }
}

/// Asks on stderr, so that stdout stays what it is asked to be.
fn ask_here(question: &str) -> io::Result<Option<bool>> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(None);
    }
    let mut err = io::stderr();
    write!(err, "{question} [y/N] ")?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(Some(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")))
}

/// One line on stderr. If even that fails, nobody is left to tell.
pub fn complain(err: &mut dyn Write, message: &str) {
    let _ = writeln!(err, "lockscope: {}", output::text::line(message));
}

/// What works without a window.
pub const WITHOUT_WINDOW: &str = "these commands need none: status, watch, clear, undo, log, wait, sweep, run, report";

/// Said where a window is asked for and none can be shown.
pub const NO_DISPLAY: &str = "no display here for the window; these commands need none: status, watch, clear, undo, log, wait, sweep, run, report";

/// Said where the program was built without the window.
pub const NO_WINDOW: &str =
    "built without the window; these commands need none: status, watch, clear, undo, log, wait, sweep, run, report";

#[cfg(test)]
mod tests;
