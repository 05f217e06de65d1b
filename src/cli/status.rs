//! `status` and `watch`.
//!
//! Owns: comparing one picture with the next. Never: changes anything.

use super::Io;
use super::args::{Look, Status, Watch};
use super::exit::{Exit, Failure};
use super::output::{Shown, json, system, table};
use super::world::World;
use crate::engine::export::table_csv;
use crate::inspect::{LookError, LookOptions};
use crate::model::snapshot::{Lock, LostReason, Snapshot, Watching};
use crate::model::verdict::Verdict;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

fn shown(look: &Look) -> Shown {
    Shown { group: look.filter.group.clone(), all: look.filter.all }
}

fn options(world: &dyn World, look: &Look) -> LookOptions {
    look.filter.options(world.settings().look_options(&look.directory))
}

/// Shows a directory once.
pub fn status(world: &dyn World, args: &Status, io: &mut Io<'_>) -> Result<Exit, Failure> {
    if args.system {
        return system_wide(world, args, io);
    }
    let (directory, options, shown) = (&args.look.directory, options(world, &args.look), shown(&args.look));
    if args.summary && !args.json && !args.csv {
        // Counts alone: no lock is kept once it is judged.
        table::summary(io.out, &world.count(directory, &options, &|lock| shown.covers(lock))?)?;
        return Ok(Exit::Done);
    }
    let snapshot = world.look(directory, &options)?;
    if args.json {
        json::status(io.out, &snapshot, &shown)?;
    } else if args.csv {
        write!(io.out, "{}", table_csv(&snapshot, &shown.locks(&snapshot)))?;
    } else {
        table::status(io.out, &snapshot, &shown, io.screen)?;
    }
    Ok(Exit::Done)
}

/// Shows all kernel locks of the machine.
fn system_wide(world: &dyn World, args: &Status, io: &mut Io<'_>) -> Result<Exit, Failure> {
    let picture = world.kernel_locks().map_err(|error| Failure::Failed(error.to_string()))?;
    if args.json {
        system::json(io.out, &picture)?;
    } else {
        system::table(io.out, &picture, io.screen)?;
    }
    Ok(Exit::Done)
}

/// What a line is printed for, if it changes.
fn state(lock: &Lock) -> impl PartialEq + use<> {
    let holder = lock.holder().map(|(process, by)| (process.pid, by.id()));
    let waiters: Vec<_> = lock.facts.waiters().iter().map(|process| process.pid).collect();
    let inode = lock.facts.stat().map(|stat| (stat.dev, stat.ino, stat.kind));
    let judgement = &lock.judgement;
    let said = (
        judgement.verdict,
        judgement.row,
        judgement.liveness,
        lock.facts.danger().map(crate::model::facts::Danger::id),
    );
    (said, holder, waiters, inode, lock.facts.content())
}

/// What happened between two pictures, in the order of the paths.
pub fn changes<'a>(before: &'a Snapshot, after: &'a Snapshot, shown: &Shown) -> Vec<(&'static str, &'a Arc<Lock>)> {
    // What the two share is passed over. A lock may have another place in the later one: its path tells.
    let (mut old, mut new) = (BTreeMap::new(), BTreeMap::new());
    after.changes_since(before, &mut |was, is| {
        old.extend(was.filter(|lock| shown.lists(lock)).map(|lock| (&*lock.path, lock)));
        new.extend(is.filter(|lock| shown.lists(lock)).map(|lock| (&*lock.path, lock)));
    });
    let mut changes: BTreeMap<&OsStr, (&'static str, &Arc<Lock>)> = BTreeMap::new();
    for (path, lock) in &new {
        match old.get(path) {
            None => drop(changes.insert(path, ("appeared", *lock))),
            Some(earlier) if state(earlier) != state(lock) => drop(changes.insert(path, ("changed", *lock))),
            Some(_) => {}
        }
    }
    for (path, lock) in old.iter().filter(|(path, _)| !new.contains_key(*path)) {
        changes.insert(path, ("vanished", *lock));
    }
    changes.into_values().collect()
}

fn tell(before: &Snapshot, after: &Snapshot, shown: &Shown, as_json: bool, io: &mut Io<'_>) -> Result<(), Failure> {
    for (change, lock) in changes(before, after, shown) {
        let at = after.moment();
        if as_json {
            json::change(io.out, change, lock, &at)?;
        } else {
            table::change(io.out, change, lock, &at, io.screen)?;
        }
    }
    Ok(())
}

fn say_watching(directory: &Path, before: &Snapshot, shown: &Shown, io: &mut Io<'_>) -> Result<(), Failure> {
    let held = shown.counts(before)[Verdict::Held as usize].1;
    let name = super::output::text::name(directory.as_os_str());
    writeln!(io.err, "Watching {name}: {} lock files, {held} held.", shown.locks(before).len())?;
    Ok(())
}

/// Why a directory cannot be looked at, as a look itself would say it.
fn lost(directory: &Path, reason: &LostReason) -> LookError {
    let path = directory.to_owned();
    match reason {
        LostReason::Gone => LookError::NotFound(path),
        LostReason::Denied => LookError::Denied(path),
        LostReason::NotADirectory => LookError::NotADirectory(path),
        LostReason::NoAnswer => LookError::Failed { path, error: std::io::ErrorKind::TimedOut.into() },
        LostReason::Failed(text) => LookError::Failed { path, error: std::io::Error::other(&**text) },
    }
}

/// What one picture after the other makes to be said.
struct Telling<'a, 'b> {
    directory: &'a Path,
    shown: &'a Shown,
    as_json: bool,
    io: &'a mut Io<'b>,
    before: Option<Snapshot>,
    is_lost: bool,
}

impl Telling<'_, '_> {
    /// `look` is asked for the first picture where the one that came is none.
    fn next(&mut self, after: Snapshot, look: &dyn Fn() -> Result<Snapshot, LookError>) -> Result<(), Failure> {
        if matches!(after.watching, Watching::Loading(_)) {
            return Ok(());
        }
        let Some(before) = &self.before else {
            let seen = matches!(after.watching, Watching::Live | Watching::Polling(_))
                && *after.directory == *crate::platform::environment::absolute(self.directory);
            // Else a look says what is in the way.
            let first = if seen { after } else { look()? };
            say_watching(self.directory, &first, self.shown, self.io)?;
            self.before = Some(first);
            return Ok(());
        };
        if let Watching::Lost(reason) = &after.watching {
            if !std::mem::replace(&mut self.is_lost, true) {
                writeln!(self.io.err, "lockscope: {}; watching for it to come back", lost(self.directory, reason))?;
            }
            return Ok(());
        }
        if std::mem::replace(&mut self.is_lost, false) {
            writeln!(self.io.err, "lockscope: the directory is back")?;
        }
        tell(before, &after, self.shown, self.as_json, self.io)?;
        self.before = Some(after);
        Ok(())
    }
}

/// Prints a line for each change, until interrupted or nobody reads on.
pub fn watch(world: &dyn World, args: &Watch, io: &mut Io<'_>) -> Result<Exit, Failure> {
    const SHORTEST: Duration = Duration::from_millis(200);
    let (options, shown) = (options(world, &args.look), shown(&args.look));
    let directory = &args.look.directory;
    let mut telling = Telling { directory, shown: &shown, as_json: args.json, io, before: None, is_lost: false };
    let mut failed = None;
    // By events, as the window watches.
    let followed = world.follow(directory, &options, &mut |picture| match telling
        .next(picture, &|| world.look(directory, &options))
    {
        Ok(()) => ControlFlow::Continue(()),
        Err(failure) => {
            failed = Some(failure);
            ControlFlow::Break(())
        }
    });
    if followed {
        return failed.map_or(Ok(Exit::Failed), Err);
    }
    let mut before = world.look(directory, &options)?;
    say_watching(directory, &before, &shown, io)?;
    let mut lost = false;
    let mut took = Duration::ZERO;
    loop {
        // A look at a large directory costs; a tenth of the time at most goes into looking.
        world.pause(directory, SHORTEST.max(took * 9));
        let start = world.monotonic();
        let after = match world.look_after(directory, &options, &before) {
            Ok(after) => after,
            Err(error) => {
                if !std::mem::replace(&mut lost, true) {
                    writeln!(io.err, "lockscope: {error}; watching for it to come back")?;
                }
                continue;
            }
        };
        took = world.monotonic().saturating_sub(start);
        if std::mem::replace(&mut lost, false) {
            writeln!(io.err, "lockscope: the directory is back")?;
        }
        tell(&before, &after, &shown, args.json, io)?;
        before = after;
    }
}
