//! `run`: a command that runs while a lock is held.
//!
//! Owns: its words and exit codes. Never: takes the lock itself, `lock` does; or leaves it held when the command has ended.

use super::args::Run;
use super::complain;
use super::output::text;
use crate::lock::{FlockLock, LockConfig, LockError, MarkerLock, Protection, Wait, clear_stale_at_start};
use crate::platform::{Ended, Running, Signals, prepare, this_machine};
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

/// So long at most until a signal is heeded while we wait for the lock.
const SLICE: Duration = Duration::from_millis(250);
/// As shells say it: found but not executable, and not found; plus the number of the signal.
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;
const BY_SIGNAL: u8 = 128;
/// Could not act, as everywhere else.
const FAILED: u8 = 3;

/// How it ended before the command ran.
enum Stopped {
    Contention(LockError),
    Signal(i32),
    Failed(String),
}

impl From<LockError> for Stopped {
    fn from(error: LockError) -> Self {
        if error.is_contention() { Self::Contention(error) } else { Self::Failed(error.to_string()) }
    }
}

/// Runs the command under the lock; gives the code to end with.
pub fn run(args: &Run, settings: &LockConfig, err: &mut dyn Write) -> u8 {
    let config = LockConfig {
        timeout: match args.timeout {
            Some(Duration::ZERO) => Wait::Never,
            Some(span) => Wait::For(span),
            None if args.skip => Wait::Never,
            None => settings.timeout,
        },
        stale_after: args.stale_after.or(settings.stale_after),
        ..settings.clone()
    };
    let mut signals = match Signals::catch() {
        Ok(signals) => signals,
        Err(error) => {
            complain(err, &format!("signals cannot be caught: {error}"));
            return FAILED;
        }
    };
    tidy_up(args, &config, err);
    let result = if args.marker {
        under_marker(args, &config, &mut signals, err)
    } else {
        under_flock(args, &config, &mut signals, err)
    };
    match result {
        Ok(code) => code,
        Err(Stopped::Signal(signal)) => BY_SIGNAL.saturating_add(signal as u8),
        Err(Stopped::Contention(error)) if args.skip => {
            complain(err, &format!("skipped: {error}"));
            0
        }
        Err(Stopped::Contention(error)) => {
            complain(err, &error.to_string());
            args.conflict_exit_code
        }
        Err(Stopped::Failed(why)) => {
            complain(err, &why);
            FAILED
        }
    }
}

/// What the settings ask for at each start: the stale locks beside ours go first. If that fails, the lock decides.
fn tidy_up(args: &Run, config: &LockConfig, err: &mut dyn Write) {
    let beside = args.lock.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match clear_stale_at_start(beside, config) {
        Ok(cleared) if cleared.is_empty() => {}
        Ok(cleared) => {
            let names: Vec<_> = cleared.iter().map(|path| text::name(path.as_os_str())).collect();
            complain(err, &format!("cleared what was stale: {} (lockscope undo puts it back)", names.join(", ")));
        }
        Err(error) => complain(err, &error.to_string()),
    }
}

/// COMMAND inherits the lock, so it ends with the last process that has it, whatever becomes of us.
fn under_flock(args: &Run, config: &LockConfig, signals: &mut Signals, err: &mut dyn Write) -> Result<u8, Stopped> {
    let lock = acquire(config, signals, |config| FlockLock::acquire(&args.lock, config))?;
    say_worth(lock.protection(), args, err);
    #[cfg(unix)]
    lock.let_children_inherit()?;
    let prepared = prepare(&args.command).map_err(|error| no_process(&error))?;
    lock.record(Some(prepared.pid()), Some(&line(&args.command)));
    Ok(finish(&args.command, prepared.start(), signals, err))
}

fn no_process(error: &io::Error) -> Stopped {
    Stopped::Failed(format!("no process to be had: {error}"))
}

/// The marker names COMMAND, whose PID is known before it runs: so it counts as held for as long as COMMAND lives, whatever
/// becomes of us.
fn under_marker(args: &Run, config: &LockConfig, signals: &mut Signals, err: &mut dyn Write) -> Result<u8, Stopped> {
    let prepared = prepare(&args.command).map_err(|error| no_process(&error))?;
    let line = line(&args.command);
    let request = |config: &LockConfig| {
        MarkerLock::request(&args.lock, config).owned_by(prepared.pid()).command(line.as_str()).acquire()
    };
    let lock = acquire(config, signals, request)?;
    say_worth(lock.protection(), args, err);
    let code = finish(&args.command, prepared.start(), signals, err);
    if let Err(unreleased) = lock.release() {
        complain(err, &unreleased.to_string());
    }
    Ok(code)
}

/// Takes the lock in slices of the time there is, and heeds signals between them.
fn acquire<L>(
    config: &LockConfig, signals: &mut Signals, take: impl Fn(&LockConfig) -> Result<L, LockError>,
) -> Result<L, Stopped> {
    let clock = this_machine();
    let began = clock.monotonic();
    let mut tries = 0;
    let elapsed = || clock.monotonic().saturating_sub(began);
    loop {
        if let Some(signal) = signals.came() {
            return Err(Stopped::Signal(signal));
        }
        let left = match config.timeout {
            Wait::Never => Duration::ZERO,
            Wait::For(span) => span.saturating_sub(elapsed()),
            Wait::Forever => Duration::MAX,
        };
        let wait = if left.is_zero() { Wait::Never } else { Wait::For(left.min(SLICE)) };
        let (path, tried, why) = match take(&LockConfig { timeout: wait, ..config.clone() }) {
            Err(LockError::TimedOut { path, tries, why, .. }) => (path, tries, why),
            Err(LockError::Taken { path, why }) if config.timeout != Wait::Never => (path, 1, why),
            other => return Ok(other?),
        };
        tries += tried;
        if left <= SLICE || config.retry_attempts.is_some_and(|most| tries > most) {
            return Err(LockError::TimedOut { path, waited: elapsed(), tries, why }.into());
        }
    }
}

fn finish(command: &[OsString], started: io::Result<Running>, signals: &mut Signals, err: &mut dyn Write) -> u8 {
    let name = || command.first().map_or_else(String::new, |program| text::name(program));
    let running = match started {
        Ok(running) => running,
        Err(error) => {
            complain(err, &format!("{}: cannot be run: {error}", name()));
            return if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_EXECUTABLE };
        }
    };
    tracing::debug!(pid = running.pid(), command = line(command), "runs under the lock");
    match running.wait(signals) {
        Ok(Ended::Code(code)) => code,
        Ok(Ended::Signal(signal)) => BY_SIGNAL.saturating_add(signal as u8),
        Err(error) => {
            complain(err, &format!("{}: its end was missed: {error}", name()));
            FAILED
        }
    }
}

fn line(command: &[OsString]) -> String {
    let words: Vec<_> = command.iter().map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}

fn say_worth(protection: &Protection, args: &Run, err: &mut dyn Write) {
    let lock = text::name(args.lock.as_os_str());
    match protection {
        Protection::Enforced => {}
        Protection::Disabled => complain(err, &format!("{lock}: not locked: locking is disabled in the settings")),
        Protection::NotEnforced(why) => complain(err, &format!("{lock}: {why}")),
    }
}
