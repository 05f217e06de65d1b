//! `clear --force`: one lock after another, each by its name, against what the evidence allows.
//!
//! Owns: the two questions, first whether the holder is to be ended, then whether the lock is to go. Never: removes a file
//! or ends a process itself; [`World`] does, which looks again first.

use super::Io;
use super::args::Clear;
use super::clear::{Meant, meant};
use super::exit::{Exit, Failure};
use super::output::json::{ClearReport, Done, Errors, PathText, Refused};
use super::output::{json, table, text};
use super::world::World;
use crate::clear::Reason;
use crate::engine::bulk::Came;
use crate::inspect::{Impact, LookOptions};
use crate::model::facts::{Facts, ProcessRef};
use crate::model::holder::Pid;
use crate::model::snapshot::{Lock, Snapshot};
use crate::model::time::say_duration;
use crate::model::verdict::{Clearing, Verdict};
use crate::platform::Ending;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// So long a process that was asked to end is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// One lock that is meant.
struct Target {
    given: PathBuf,
    directory: PathBuf,
    name: OsString,
    options: LookOptions,
}

impl Target {
    fn look(&self, world: &dyn World) -> Result<Option<(Arc<Lock>, Snapshot)>, Failure> {
        Ok(world.look_at_one(&self.directory, &self.name, &self.options)?)
    }

    fn refused(&self, lock: &Lock, why: impl Into<String>) -> Refused {
        let verdict = Some(lock.judgement.verdict.id());
        Refused { path: PathText::of(self.given.as_os_str()), verdict, why: why.into() }
    }
}

/// What becomes of one lock.
enum End {
    Cleared(Done),
    Refused(Refused),
    Failed(Errors),
    /// There is nothing left to clear.
    Free,
}

/// Clears by force what is named.
pub fn force(world: &dyn World, args: &Clear, reason: &Reason, io: &mut Io<'_>) -> Result<Exit, Failure> {
    let Meant::Named(names) = meant(world, args)? else {
        return Err(Failure::Usage(
            "--force takes the names of lock files: what is forced is decided one by one".into(),
        ));
    };
    let settings = world.settings();
    let mut report = ClearReport { dry_run: args.dry_run, ..ClearReport::default() };
    for (given, directory, name) in names {
        let options = settings.look_options(&directory);
        let threshold = args.stale_after.unwrap_or(options.threshold);
        let options = LookOptions { threshold, ..options };
        let target = Target { given, directory, name, options };
        if world.is_interrupted() {
            report
                .errors
                .push(Errors { path: PathText::of(target.given.as_os_str()), error: "interrupted".to_owned() });
            break;
        }
        match one(world, args, reason, &target, io)? {
            End::Cleared(done) => report.cleared.push(done),
            End::Refused(refused) => report.refused.push(refused),
            End::Failed(error) => report.errors.push(error),
            End::Free => {}
        }
    }
    if args.json {
        json::clear(io.out, &report)?;
    } else {
        table::clear(io.out, &report)?;
    }
    Ok(if !report.errors.is_empty() {
        Exit::Failed
    } else if !report.refused.is_empty() {
        Exit::Refused
    } else {
        Exit::Done
    })
}

fn one(world: &dyn World, args: &Clear, reason: &Reason, target: &Target, io: &mut Io<'_>) -> Result<End, Failure> {
    let Some((mut lock, mut snapshot)) = target.look(world)? else {
        return Ok(failed(target, "no such file"));
    };
    if args.end_holder && !args.dry_run && lock.judgement.verdict == Verdict::Held {
        for pid in holders(&lock.facts, &lock) {
            if let Some(refused) = end(world, args, reason, target, &lock, pid, io)? {
                return Ok(End::Refused(refused));
            }
        }
        let Some(again) = target.look(world)? else {
            writeln!(io.err, "{}: released by its holder.", text::name(target.given.as_os_str()))?;
            return Ok(End::Free);
        };
        (lock, snapshot) = again;
        if lock.judgement.verdict == Verdict::Idle {
            writeln!(io.err, "{}: nobody holds it any more; the file stays.", text::name(target.given.as_os_str()))?;
            return Ok(End::Free);
        }
    }
    let why = lock.why(&snapshot.moment());
    if lock.judgement.verdict.clearing() == Clearing::Never {
        return Ok(End::Refused(target.refused(&lock, why)));
    }
    if args.dry_run {
        return Ok(End::Cleared(Done { path: PathText::of(target.given.as_os_str()), id: None }));
    }
    let question = format!(
        "  {}  {}: {}\n  Reason: {}\nTake it away by force, though it is not proved stale?",
        text::name(target.given.as_os_str()),
        lock.judgement.verdict.id(),
        text::line(&why),
        text::line(reason.as_str()),
    );
    if let Some(refused) = ask(&question, args, target, &lock, io)? {
        return Ok(End::Refused(refused));
    }
    heed(world)?;
    let path = PathText::of(target.given.as_os_str());
    Ok(match world.force(&lock, &snapshot, &target.options, reason) {
        Came::Cleared(id) => End::Cleared(Done { path, id: Some(id) }),
        Came::Refused { verdict, why } => End::Refused(Refused { path, verdict: Some(verdict.id()), why }),
        Came::Failed(error) => End::Failed(Errors { path, error }),
    })
}

/// From here on an interrupt waits until what is begun is done and in the journal.
fn heed(world: &dyn World) -> Result<(), Failure> {
    world.heed_interrupts().map_err(Failure::Failed)
}

fn failed(target: &Target, error: &str) -> End {
    End::Failed(Errors { path: PathText::of(target.given.as_os_str()), error: error.to_owned() })
}

/// `None` = agreed.
fn ask(
    question: &str, args: &Clear, target: &Target, lock: &Lock, io: &mut Io<'_>,
) -> Result<Option<Refused>, Failure> {
    Ok(match if args.yes { Some(true) } else { (io.ask)(question)? } {
        Some(true) => None,
        Some(false) => Some(target.refused(lock, "You did not confirm.")),
        None => Some(target.refused(lock, "Not confirmed: there is no terminal to ask on; --yes confirms.")),
    })
}

/// Everybody who is known to hold it.
fn holders(facts: &Facts, lock: &Lock) -> Vec<Pid> {
    let mut holders: Vec<Pid> =
        facts.kernel().into_iter().flat_map(|kernel| &kernel.holders).map(|holder| holder.pid).collect();
    holders.extend(lock.holder().map(|(process, _)| process.pid).filter(|pid| !holders.contains(pid)).as_slice());
    holders
}

/// Asks one holder to end. Gives why the lock stays, where it does.
fn end(
    world: &dyn World, args: &Clear, reason: &Reason, target: &Target, lock: &Lock, pid: Pid, io: &mut Io<'_>,
) -> Result<Option<Refused>, Failure> {
    // It may have ended by itself meanwhile: the look that follows tells.
    let Some(impact) = world.impact(pid) else { return Ok(None) };
    let question = format!("{}End it (SIGTERM to PID {})?", said(&impact, world), impact.process.pid);
    if let Some(refused) = ask(&question, args, target, lock, io)? {
        return Ok(Some(refused));
    }
    let name = format!("{} (PID {})", text::name(OsStr::new(impact.process.name())), impact.process.pid);
    heed(world)?;
    Ok(match world.end(&target.directory, &target.name, &impact, reason, PATIENCE) {
        Ok(Ending::Ended) => {
            writeln!(io.err, "{name} has ended.")?;
            None
        }
        Ok(Ending::StillRunning) => {
            let why =
                format!("{name} was asked to end {} ago and runs on; nothing was removed.", say_duration(PATIENCE));
            Some(target.refused(lock, why))
        }
        Err(why) => Some(target.refused(lock, format!("{why}."))),
    })
}

/// What ending it would hit.
fn said(impact: &Impact, world: &dyn World) -> String {
    const MOST: usize = 8;
    let process = &impact.process;
    let mut said = String::new();
    let user = process.user.as_deref().unwrap_or("an unknown user");
    let since = world.wall().since(process.started_at).unwrap_or_default();
    let name = text::name(OsStr::new(process.name()));
    let _ = writeln!(said, "  {name} (PID {}) of {user}, running for {}", process.pid, say_duration(since));
    if !process.command.is_empty() {
        let _ = writeln!(said, "    {}", text::line(&process.command));
    }
    let mut list = |what: &str, items: Vec<String>| {
        if let Some((last, _)) = items.len().checked_sub(MOST).zip(items.get(MOST)) {
            let _ = writeln!(said, "    {what}: {} and {last} more", items[..MOST].join(", "));
        } else if !items.is_empty() {
            let _ = writeln!(said, "    {what}: {}", items.join(", "));
        }
    };
    let child = |child: &ProcessRef| format!("{} (PID {})", text::name(OsStr::new(child.name())), child.pid);
    list("it has started", impact.children.iter().map(child).collect());
    match &impact.locked_files {
        Some(files) => list("it holds locks on", files.iter().map(|path| text::name(path.as_os_str())).collect()),
        None => list("it holds locks on", vec!["files that may not be seen".to_owned()]),
    }
    said
}

/// Where the reason is missing or says nothing.
pub(super) fn reason(args: &Clear) -> Result<Option<Reason>, Failure> {
    if !args.force {
        return Ok(None);
    }
    let reason = args.reason.as_deref().and_then(Reason::new);
    reason.map(Some).ok_or_else(|| Failure::Usage("--reason needs words: they are kept in the journal".into()))
}
