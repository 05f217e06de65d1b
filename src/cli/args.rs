//! What may be written on the command line.
//!
//! Owns: the clap types. Never: does anything.

use crate::inspect::LookOptions;
use crate::model::ignore::IgnoreRules;
use crate::model::time::parse_duration;
use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Shows who holds each lock file in a directory, whether that holder is alive, and clears the stale ones safely.
#[derive(Debug, Parser)]
#[command(name = "lockscope", version, args_conflicts_with_subcommands = true, after_help = AFTER_HELP)]
pub struct Cli {
    /// Open the window on this directory; without it, on the last one.
    ///
    /// A directory that is called like a command is given as ./status.
    #[arg(value_name = "DIR")]
    pub directory: Option<PathBuf>,
    /// Use X11 even under Wayland: only there can a folder be dropped on the window.
    #[arg(long)]
    pub x11: bool,
    /// What to do instead.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Between two rounds of a sweep.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

const AFTER_HELP: &str = "Durations: 0s, 90s, 10m, 2h, 1d.\n\
    Exit codes: 0 done, 1 refused, still held or timed out, 2 wrong usage, 3 could not look or act.";

const SYSTEM_HELP: &str = "With --system: what lslocks(8) tells, and the paths that it misses. Who waits stands under whom it \
    waits for. A path that cannot be seen is `?`, with the reason. Looking changes nothing.\n\
    Exit codes: 0 looked, whatever was found; 2 wrong usage; 3 could not look.";

/// The commands. Without one, the window opens.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The window on a made-up directory, with real processes coming and going.
    Demo(Demo),
    /// One part of the demo, in a process of its own.
    #[command(hide = true)]
    DemoActor {
        /// Role, file, and seconds.
        part: Vec<String>,
    },
    /// Show each lock file of a directory: verdict, holder, age, why.
    Status(Status),
    /// Print a line for each change, until interrupted.
    Watch(Watch),
    /// Take stale lock files away, after a recheck; `undo` puts them back.
    Clear(Clear),
    /// Put back what a clear took away.
    Undo(Undo),
    /// Show the journal: every clear, refusal and undo.
    Log(Log),
    /// Wait until lock files are released.
    Wait(Wait),
    /// Clear what is stale, again and again, until interrupted.
    Sweep(Sweep),
    /// Save an incident bundle for a ticket: a zip file without the names of people and computers.
    Report(Report),
    /// Run a command while a lock is held, as flock(1) does.
    Run(Run),
}

/// `run`.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Ends with COMMAND's own code; 128 and the number of the signal if one ended it; 126 or 127 if it \
    cannot be run. By default COMMAND inherits the lock, so that it is held for as long as COMMAND lives, even if this is \
    killed."
)]
pub struct Run {
    /// The lock file.
    #[arg(long, value_name = "PATH")]
    pub lock: PathBuf,
    /// By a kernel lock on the file, as flock(1) and Python's FileLock; so it is unless said.
    #[arg(long, conflicts_with = "marker")]
    pub flock: bool,
    /// By making the file, with a record of COMMAND in it.
    #[arg(long)]
    pub marker: bool,
    /// Wait this long at most for who has it; 0s: not at all [default: 30s, or as set].
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub timeout: Option<Duration>,
    /// With --marker: break the lock of a process that is proved gone from this age on [default: 10m, or as set].
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub stale_after: Option<Duration>,
    /// Pass over a file that is locked, say so and end with 0, so that a loop over many goes on; waits only with --timeout.
    #[arg(long)]
    pub skip: bool,
    /// The code to end with when it is locked for longer.
    #[arg(short = 'E', long, value_name = "CODE", default_value_t = 75)]
    pub conflict_exit_code: u8,
    /// What to run.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// `demo`.
#[derive(Args, Clone, Debug)]
pub struct Demo {
    /// Use X11 even under Wayland: only there can a folder be dropped on the window.
    #[arg(long)]
    pub x11: bool,
}

/// Where and how to look.
#[derive(Args, Clone, Debug)]
pub struct Look {
    /// The directory that the lock files are in.
    #[arg(default_value = ".", value_name = "DIR")]
    pub directory: PathBuf,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub filter: Filter,
}

/// Which subdirectories are looked at.
#[derive(Args, Clone, Debug, Default)]
pub struct Subfolders {
    /// Subdirectories too, but for those that the settings pass over (node_modules, .git/objects and their like).
    #[arg(long, short)]
    pub recursive: bool,
    /// With --recursive: pass over these subdirectories too, written as in a .gitignore; !NAME brings back.
    #[arg(long, value_name = "RULE", requires = "recursive", value_parser = parse_rule)]
    pub ignore: Vec<String>,
}

/// What to show of it.
#[derive(Args, Clone, Debug, Default)]
pub struct Filter {
    /// Only the locks of this group.
    #[arg(long, value_name = "ID")]
    pub group: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub subfolders: Subfolders,
    /// Also what is called like a lock and is none.
    #[arg(long, short)]
    pub all: bool,
    /// The age from which a dead owner's lock counts as stale [default: 10m, or as set].
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub stale_after: Option<Duration>,
}

/// `status`.
#[derive(Args, Clone, Debug)]
#[command(after_help = SYSTEM_HELP)]
pub struct Status {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub look: Look,
    /// As one JSON object.
    #[arg(long)]
    pub json: bool,
    /// Instead of a directory: every kernel lock of this machine, with path, holders and waiters.
    #[arg(
        long,
        conflicts_with_all = ["directory", "group", "recursive", "ignore", "all", "stale_after", "summary", "csv"],
    )]
    pub system: bool,
    /// As CSV, for spreadsheets.
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
    /// Only the counts: a line for each verdict, then the total.
    #[arg(long, conflicts_with_all = ["json", "csv"])]
    pub summary: bool,
}

/// `watch`.
#[derive(Args, Clone, Debug)]
pub struct Watch {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub look: Look,
    /// As one JSON object a line.
    #[arg(long)]
    pub json: bool,
}

/// `clear`.
#[derive(Args, Clone, Debug)]
pub struct Clear {
    /// `[DIR] NAME...`: the lock files, after their directory if that is another than the current one.
    ///
    /// With --stale or --group: the directory alone. A directory that is called like a lock file is written with a
    /// slash at its end.
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// All stale locks of the directory.
    #[arg(long, conflicts_with = "group")]
    pub stale: bool,
    /// The stale locks of this group.
    #[arg(long, value_name = "ID")]
    pub group: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub subfolders: Subfolders,
    /// Do not ask.
    #[arg(long, short)]
    pub yes: bool,
    /// Only say what would be cleared.
    #[arg(long, short = 'n')]
    pub dry_run: bool,
    /// First wait this long at most for those that are held to be released.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub wait: Option<Duration>,
    /// The age from which a dead owner's lock counts as stale [default: 10m, or as set].
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub stale_after: Option<Duration>,
    /// Take away by its name what is not proved stale; never what a process holds through the kernel or has open.
    #[arg(long, requires = "reason", conflicts_with_all = ["stale", "group", "wait"])]
    pub force: bool,
    /// With --force: first ask the processes that hold it to end (SIGTERM), after a question of its own.
    #[arg(long, requires = "force")]
    pub end_holder: bool,
    /// Why; kept in the journal.
    #[arg(long, value_name = "TEXT", requires = "force")]
    pub reason: Option<String>,
    /// As one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// `undo`.
#[derive(Args, Clone, Debug)]
pub struct Undo {
    /// The journal entry to undo; without it, the last clear.
    pub id: Option<String>,
    /// As one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// `log`.
#[derive(Args, Clone, Debug)]
pub struct Log {
    /// As one JSON object.
    #[arg(long)]
    pub json: bool,
    /// As CSV, for spreadsheets.
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
}

/// `report`.
#[derive(Args, Clone, Debug)]
pub struct Report {
    /// The directory that the lock files are in.
    #[arg(default_value = ".", value_name = "DIR")]
    pub directory: PathBuf,
    /// Where to save it; never over a file [default: lockscope-incident-DATE-TIME.zip here].
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Subdirectories too.
    #[arg(long, short)]
    pub recursive: bool,
    /// Leave the arguments of commands, and what stands in the lock files, as they are.
    #[arg(long)]
    pub include_arguments: bool,
    /// Leave home directories and the names of users and hosts as they are.
    #[arg(long)]
    pub include_home: bool,
}

/// `wait`.
#[derive(Args, Clone, Debug)]
pub struct Wait {
    /// The lock files.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Give up after this long.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub timeout: Option<Duration>,
}

/// `sweep`.
#[derive(Args, Clone, Debug)]
pub struct Sweep {
    /// The directory that the lock files are in.
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub subfolders: Subfolders,
    /// How far apart the rounds are; after errors, further.
    #[arg(long, value_name = "DURATION", value_parser = parse_interval)]
    pub every: Duration,
    /// The age from which a dead owner's lock counts as stale [default: 10m, or as set].
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub stale_after: Option<Duration>,
}

/// An interval that leaves the machine time for other things.
fn parse_interval(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Ok(every) if every < SHORTEST_INTERVAL => Err("the shortest interval is 1s".to_owned()),
        Ok(every) => Ok(every),
        Err(error) => Err(error.to_string()),
    }
}

fn parse_rule(text: &str) -> Result<String, String> {
    match &IgnoreRules::new(&[text.to_owned()]).1[..] {
        [] => Ok(text.to_owned()),
        [wrong, ..] => Err(wrong.clone()),
    }
}

impl Subfolders {
    /// On top of what the settings say.
    pub fn onto(&self, settings: LookOptions) -> LookOptions {
        let ignore = if self.ignore.is_empty() { settings.ignore } else { settings.ignore.with(&self.ignore) };
        LookOptions { recursive: self.recursive || settings.recursive, ignore, ..settings }
    }
}

impl Filter {
    /// How to look, on top of what the settings say.
    pub fn options(&self, settings: LookOptions) -> LookOptions {
        let threshold = self.stale_after.unwrap_or(settings.threshold);
        LookOptions { threshold, ..self.subfolders.onto(settings) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn parse(line: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once(&"lockscope").chain(line))
    }

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_directory_and_the_commands_live_side_by_side() {
        assert!(parse(&[]).is_ok_and(|cli| cli.directory.is_none() && cli.command.is_none()));
        let window = parse(&["./status"]).unwrap();
        assert_eq!(window.directory, Some("./status".into()));
        let window = parse(&["locks"]).unwrap();
        assert_eq!(window.directory, Some("locks".into()));
        assert!(matches!(parse(&["status", "status"]).unwrap().command, Some(Command::Status(_))));
        assert!(matches!(parse(&["demo"]).unwrap().command, Some(Command::Demo(_))));
        assert!(parse(&["locks", "status"]).is_err());
    }

    #[test]
    fn durations_are_checked_while_parsing() {
        let Some(Command::Status(status)) = parse(&["status", "--stale-after", "1h30m"]).unwrap().command else {
            panic!("status expected");
        };
        assert_eq!(status.look.filter.stale_after, Some(Duration::from_mins(90)));
        let error = parse(&["status", "--stale-after", "soon"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("write it as 90s, 10m, 2h or 1d"), "{error}");
    }

    #[test]
    fn what_contradicts_itself_is_wrong_usage() {
        for line in [
            &["status", "--json", "--summary"][..],
            &["status", "--json", "--csv"],
            &["log", "--json", "--csv"],
            &["clear", "--stale", "--group", "a"],
            &["status", "--ignore", "x"],
            &["status", "--recursive", "--ignore", "a["],
            &["clear", "x.lock", "--force"],
            &["clear", "x.lock", "--reason", "because"],
            &["wait"],
            &["sweep", "--every", "60s"],
            &["sweep", "x"],
            &["sweep", "x", "--every", "0s"],
            &["sweep", "x", "--every", "often"],
            &["run", "--lock", "x"],
            &["run", "--", "true"],
            &["run", "--lock", "x", "true"],
            &["run", "--lock", "x", "--flock", "--marker", "--", "true"],
            &["status", "--nonsense"],
        ] {
            assert_eq!(parse(line).map_err(|error| error.exit_code()).err(), Some(2), "{line:?}");
        }
    }
}
