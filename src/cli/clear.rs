//! `clear`: what is meant, what may go, one question, and what came of each.
//!
//! Owns: the selection and the question. Never: removes a file; each one goes through [`World::clear`], which rechecks it.

use super::Io;
use super::args::Clear;
use super::exit::{Exit, Failure};
use super::force;
use super::output::json::{ClearReport, Done, Errors, PathText, Refused};
use super::output::{json, table, text};
use super::wait::{is_taken, split};
use super::world::World;
use crate::clear::CANNOT_CLEAR;
use crate::engine::bulk::{Came, clear_each};
use crate::inspect::{EmptyFiles, LookError, LookOptions};
use crate::model::format::{Listed, listed};
use crate::model::snapshot::{Lock, Snapshot};
use crate::model::verdict::{Clearing, Verdict};
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How often held locks are looked at again with `--wait`.
const EVERY: Duration = Duration::from_millis(100);

/// What the person means.
pub(super) enum Meant {
    /// All stale ones.
    Stale(PathBuf),
    /// Those of one group.
    Group(PathBuf, String),
    /// These: as given, the directory each stands in, its name there.
    Named(Vec<(PathBuf, PathBuf, OsString)>),
}

/// A lock, and the picture it was seen in.
type Seen = (Arc<Lock>, Arc<Snapshot>);

/// One lock that may go, with the picture it was seen in.
struct Candidate {
    path: OsString,
    lock: Arc<Lock>,
    snapshot: Arc<Snapshot>,
    options: LookOptions,
}

/// What was found of what is meant.
#[derive(Default)]
struct Found {
    go: Vec<Candidate>,
    report: ClearReport,
    /// Some of it is held now.
    held: bool,
}

/// What was seen while waiting, and tells more than the last look alone.
#[derive(Default)]
struct Memory {
    /// The last picture: a heartbeat shows only in time.
    picture: Option<Arc<Snapshot>>,
    /// What had a kernel lock: these files are meeting points, and not locks that are just being made.
    kernel_locked: HashSet<OsString>,
}

/// Clears what is asked for.
pub fn clear(world: &dyn World, args: &Clear, io: &mut Io<'_>) -> Result<Exit, Failure> {
    if !args.dry_run {
        world.recover();
    }
    if let Some(reason) = force::reason(args)? {
        return force::force(world, args, &reason, io);
    }
    let meant = meant(world, args)?;
    let mut memory = Memory::default();
    let mut found = find(world, &meant, args, &mut memory)?;
    if let Some(longest) = args.wait {
        let start = world.monotonic();
        let mut released = false;
        loop {
            // A look reads the file, then asks for its owner: who takes its lock away in between and exits looks like a dead
            // owner. What an owner does it does before its end, so the look after that one tells.
            if !found.held && std::mem::replace(&mut released, true) {
                break;
            }
            if found.held {
                released = false;
                let rest = longest.saturating_sub(world.monotonic().saturating_sub(start));
                if rest.is_zero() {
                    break;
                }
                world.pause(meant.directory(), rest.min(EVERY));
            }
            found = find(world, &meant, args, &mut memory)?;
        }
    }
    let Found { go, mut report, .. } = found;
    report.dry_run = args.dry_run;
    if args.dry_run {
        report.cleared = go.iter().map(|one| Done { path: PathText::of(&one.path), id: None }).collect();
    } else if !go.is_empty() {
        match if args.yes { Some(true) } else { (io.ask)(&question(&go))? } {
            Some(true) => take_away(world, &go, &mut report, io)?,
            Some(false) => refuse_all(&mut report, &go, "You did not confirm."),
            None => refuse_all(&mut report, &go, "Not confirmed: there is no terminal to ask on; --yes confirms."),
        }
    }
    if args.json {
        json::clear(io.out, &report)?;
    } else {
        table::clear(io.out, &report)?;
    }
    if !report.cleared.is_empty() && !args.dry_run {
        // Only now: a disk that hangs must not keep the result back.
        world.expire();
    }
    Ok(if !report.errors.is_empty() {
        Exit::Failed
    } else if !report.refused.is_empty() {
        Exit::Refused
    } else {
        Exit::Done
    })
}

/// Clears one after another. An interrupt ends it between two of them, and what was done is told all the same.
fn take_away(world: &dyn World, go: &[Candidate], report: &mut ClearReport, io: &mut Io<'_>) -> Result<(), Failure> {
    // Not before: until now nothing was done, and an interrupt may end the question or the wait at once.
    world.heed_interrupts().map_err(Failure::Failed)?;
    let on_terminal = io.screen.width.is_some();
    let came = clear_each(
        go,
        |progress| {
            if on_terminal && progress.total > 1 {
                // Who does not see it loses nothing.
                let _ = write!(io.err, "\r{} of {}", progress.done, progress.total);
            }
            !world.is_interrupted()
        },
        |one| world.clear(&one.lock, &one.snapshot, &one.options),
    );
    if on_terminal && go.len() > 1 {
        let _ = write!(io.err, "\r\x1b[K");
    }
    let done = came.len();
    for (one, came) in go.iter().zip(came) {
        let path = PathText::of(&one.path);
        match came {
            Came::Cleared(id) => report.cleared.push(Done { path, id: Some(id) }),
            Came::Refused { verdict, why } => report.refused.push(Refused { path, verdict: Some(verdict.id()), why }),
            Came::Failed(error) => report.errors.push(Errors { path, error }),
        }
    }
    refuse_all(report, &go[done..], "Interrupted before its turn; nothing was done to it.");
    Ok(())
}

fn refuse_all(report: &mut ClearReport, go: &[Candidate], why: &str) {
    for one in go {
        let verdict = Some(one.lock.judgement.verdict.id());
        report.refused.push(Refused { path: PathText::of(&one.path), verdict, why: why.to_owned() });
    }
}

/// What will be removed, and on what grounds.
fn question(go: &[Candidate]) -> String {
    let mut question = String::new();
    for one in go {
        let why = one.lock.why(&one.snapshot.moment());
        let verdict = one.lock.judgement.verdict.id();
        let _ = writeln!(question, "  {}  {verdict}: {}", text::name(&one.path), text::line(&why));
    }
    let _ = match go.len() {
        1 => write!(question, "Clear 1 lock?"),
        count => write!(question, "Clear {count} locks?"),
    };
    question
}

impl Meant {
    fn directory(&self) -> &Path {
        match self {
            Self::Stale(directory) | Self::Group(directory, _) => directory,
            Self::Named(names) => names.first().map_or(Path::new("."), |(_, directory, _)| directory),
        }
    }
}

pub(super) fn meant(world: &dyn World, args: &Clear) -> Result<Meant, Failure> {
    if args.stale || args.group.is_some() {
        let directory = match &args.paths[..] {
            [] => PathBuf::from("."),
            [directory] => directory.clone(),
            [_, name, ..] => {
                let name = text::name(name.as_os_str());
                return Err(Failure::Usage(format!("give --stale, --group or names, not several: {name}")));
            }
        };
        return Ok(match &args.group {
            Some(group) => Meant::Group(directory, group.clone()),
            None => Meant::Stale(directory),
        });
    }
    if args.subfolders.recursive {
        return Err(Failure::Usage(
            "--recursive goes with --stale or --group; a name can lead into a subdirectory".into(),
        ));
    }
    let nothing = || Failure::Usage("say what to clear: --stale, --group ID, or the names of lock files".into());
    let (first, rest) = args.paths.split_first().ok_or_else(nothing)?;
    let (base, names) = if is_directory(world, first)? {
        if rest.is_empty() {
            return Err(nothing());
        }
        (Some(first), rest)
    } else {
        (None, &args.paths[..])
    };
    let mut named = Vec::new();
    for name in names {
        let path = base.map_or_else(|| name.clone(), |base| base.join(name));
        let (directory, base_name) = split(&path)?;
        named.push((name.clone(), directory, base_name));
    }
    Ok(Meant::Named(named))
}

/// Whether the first argument is the directory, not a name. A lock may be a directory too: what is called like a lock is
/// one, unless a slash ends it.
fn is_directory(world: &dyn World, path: &Path) -> Result<bool, Failure> {
    let slash = path.as_os_str().as_encoded_bytes().ends_with(b"/");
    let like_a_lock = path.file_name().is_some_and(|name| listed(b"", name.as_encoded_bytes()) == Listed::Yes);
    if like_a_lock && !slash {
        return Ok(false);
    }
    match world.look(path, &LookOptions::default()) {
        Ok(_) => Ok(true),
        Err(LookError::NotFound(_) | LookError::NotADirectory(_)) if !slash => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn find(world: &dyn World, meant: &Meant, args: &Clear, memory: &mut Memory) -> Result<Found, Failure> {
    let settings = world.settings();
    let options = |directory: &Path| {
        let options = args.subfolders.onto(settings.look_options(directory));
        LookOptions { threshold: args.stale_after.unwrap_or(options.threshold), ..options }
    };
    let mut found = Found::default();
    match meant {
        Meant::Stale(directory) => {
            let options = options(directory);
            let snapshot = memory.look(world, directory, &options)?;
            for lock in sorted(&snapshot) {
                found.held |= is_taken(&lock);
                if lock.is_stale() {
                    bulk(&mut found, lock, &snapshot, &options);
                }
            }
        }
        Meant::Group(directory, group) => {
            let options = options(directory);
            let snapshot = memory.look(world, directory, &options)?;
            for lock in sorted(&snapshot).into_iter().filter(|lock| lock.group() == *group) {
                let Some((lock, snapshot)) = memory.reconsider(world, lock, &snapshot, &options)? else { continue };
                found.held |= is_taken(&lock);
                match lock.judgement.verdict {
                    Verdict::Stale => bulk(&mut found, lock, &snapshot, &options),
                    // These block nobody: there is nothing to clear, and nothing to refuse.
                    Verdict::Idle | Verdict::NotALock => {}
                    _ => refuse(&mut found.report, &lock.path, &lock, &snapshot),
                }
            }
        }
        Meant::Named(names) => {
            for (given, directory, name) in names {
                let mut options = options(directory);
                if memory.kernel_locked.contains(given.as_os_str()) {
                    options.empty_files = EmptyFiles::KernelLocks;
                }
                match world.look_at_one(directory, name, &options)? {
                    Some((lock, snapshot)) => {
                        memory.note(given.as_os_str(), &lock);
                        found.held |= is_taken(&lock);
                        named(&mut found, given.as_os_str(), lock, snapshot, options);
                    }
                    // After waiting for its release, its being gone is what was waited for.
                    None if args.wait.is_some() => {}
                    None => found
                        .report
                        .errors
                        .push(Errors { path: PathText::of(given.as_os_str()), error: "no such file".to_owned() }),
                }
            }
        }
    }
    Ok(found)
}

impl Memory {
    fn look(&mut self, world: &dyn World, directory: &Path, options: &LookOptions) -> Result<Arc<Snapshot>, Failure> {
        let snapshot = Arc::new(match &self.picture {
            Some(earlier) => world.look_after(directory, options, earlier)?,
            None => world.look(directory, options)?,
        });
        for lock in snapshot.locks() {
            self.note(&lock.path, lock);
        }
        self.picture = Some(Arc::clone(&snapshot));
        Ok(snapshot)
    }

    fn note(&mut self, path: &OsStr, lock: &Lock) {
        if lock.facts.is_kernel_locked() {
            self.kernel_locked.insert(path.to_owned());
        }
    }

    /// What had a kernel lock while we waited is a meeting point: once released it is no lock that is just being made.
    /// `None` = it is gone by now.
    fn reconsider(
        &self, world: &dyn World, lock: Arc<Lock>, snapshot: &Arc<Snapshot>, options: &LookOptions,
    ) -> Result<Option<Seen>, Failure> {
        if lock.judgement.verdict != Verdict::Unknown || !self.kernel_locked.contains(&*lock.path) {
            return Ok(Some((lock, Arc::clone(snapshot))));
        }
        let options = LookOptions { empty_files: EmptyFiles::KernelLocks, ..options.clone() };
        let again = world.look_at_one(&snapshot.directory, &lock.path, &options)?;
        Ok(again.map(|(lock, snapshot)| (lock, Arc::new(snapshot))))
    }
}

fn sorted(snapshot: &Snapshot) -> Vec<Arc<Lock>> {
    let mut locks: Vec<_> = snapshot.locks().cloned().collect();
    locks.sort_by(|a, b| a.path.as_encoded_bytes().cmp(b.path.as_encoded_bytes()));
    locks
}

fn bulk(found: &mut Found, lock: Arc<Lock>, snapshot: &Arc<Snapshot>, options: &LookOptions) {
    if let Some(way) = own_way(&lock) {
        found.report.refused.push(refused(&lock.path, &lock, way));
    } else if lock.is_bulk_clearable(&snapshot.sight) {
        let (path, snapshot, options) = (lock.path.to_os_string(), Arc::clone(snapshot), options.clone());
        found.go.push(Candidate { path, lock, snapshot, options });
    } else {
        let why = if snapshot.sight.can_clear() {
            "It belongs to another user, so it is cleared by name only.".to_owned()
        } else {
            format!("{CANNOT_CLEAR}.")
        };
        found.report.refused.push(refused(&lock.path, &lock, why));
    }
}

/// What to run instead, where the lock's tool has its own command.
fn own_way(lock: &Lock) -> Option<String> {
    Some(format!("{}; --force --reason clears it all the same.", lock.own_way()?))
}

fn named(found: &mut Found, given: &OsStr, lock: Arc<Lock>, snapshot: Snapshot, options: LookOptions) {
    match lock.clearing() {
        Clearing::ByItsTool => found.report.refused.push(refused(given, &lock, own_way(&lock).unwrap_or_default())),
        Clearing::Bulk | Clearing::ByName | Clearing::Repair if !snapshot.sight.can_clear() => {
            found.report.refused.push(refused(given, &lock, format!("{CANNOT_CLEAR}.")));
        }
        Clearing::Bulk | Clearing::ByName | Clearing::Repair => {
            found.go.push(Candidate { path: given.to_owned(), lock, snapshot: Arc::new(snapshot), options });
        }
        Clearing::ForceOnly | Clearing::Never => refuse(&mut found.report, given, &lock, &snapshot),
    }
}

fn refuse(report: &mut ClearReport, given: &OsStr, lock: &Lock, snapshot: &Snapshot) {
    report.refused.push(refused(given, lock, lock.why(&snapshot.moment())));
}

fn refused(given: &OsStr, lock: &Lock, why: String) -> Refused {
    Refused { path: PathText::of(given), verdict: Some(lock.judgement.verdict.id()), why }
}
