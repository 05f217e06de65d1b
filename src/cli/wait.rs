//! `wait`: until lock files are released.
//!
//! Owns: what counts as taken while waiting. Never: takes a lock.

use super::Io;
use super::args::Wait;
use super::exit::{Exit, Failure};
use super::output::text;
use super::world::World;
use crate::inspect::{EmptyFiles, LookOptions};
use crate::model::snapshot::{Lock, Moment};
use crate::model::verdict::Verdict;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often the files are looked at again.
const EVERY: Duration = Duration::from_millis(100);
/// The row "a program may be in the middle of locking": that is no release.
const BEING_CREATED: u8 = 8;

/// Whether this one has not been released yet.
pub fn is_taken(lock: &Lock) -> bool {
    lock.judgement.verdict == Verdict::Held || lock.judgement.row == BEING_CREATED
}

/// The directory that a path stands in, and its name there.
pub fn split(path: &Path) -> Result<(PathBuf, OsString), Failure> {
    let name = path
        .file_name()
        .ok_or_else(|| Failure::Usage(format!("{} is no name of a lock file", text::name(path.as_os_str()))))?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    Ok((parent.unwrap_or(Path::new(".")).to_owned(), name.to_owned()))
}

/// Whether it is still taken, and by whom; `None` = released or not there.
///
/// A kernel lock that was seen on it says what its being empty means afterwards: a meeting point, not a lock that is just
/// being made.
fn taken(
    world: &dyn World, directory: &Path, name: &OsStr, options: &mut LookOptions,
) -> Result<Option<String>, Failure> {
    let Some((lock, snapshot)) = world.look_at_one(directory, name, options)? else { return Ok(None) };
    if lock.facts.is_kernel_locked() {
        options.empty_files = EmptyFiles::KernelLocks;
    }
    let at: Moment<'_> = snapshot.moment();
    Ok(is_taken(&lock).then(|| lock.why(&at)))
}

/// Waits until none of the paths is held.
pub fn wait(world: &dyn World, args: &Wait, io: &mut Io<'_>) -> Result<Exit, Failure> {
    let settings = world.settings();
    let mut left = Vec::new();
    for path in &args.paths {
        let (directory, name) = split(path)?;
        let options = settings.look_options(&directory);
        left.push((path, directory, name, options));
    }
    let start = world.monotonic();
    loop {
        let mut still = Vec::new();
        for (path, directory, name, options) in &mut left {
            if let Some(why) = taken(world, directory, name, options)? {
                still.push((*path, why));
            }
        }
        if still.is_empty() {
            return Ok(Exit::Done);
        }
        let spent = world.monotonic().saturating_sub(start);
        let rest = args.timeout.map(|timeout| timeout.saturating_sub(spent));
        if rest == Some(Duration::ZERO) {
            for (path, why) in still {
                writeln!(io.err, "still held: {}: {}", text::name(path.as_os_str()), text::line(&why))?;
            }
            return Ok(Exit::Refused);
        }
        let pause = rest.map_or(EVERY, |rest| rest.min(EVERY));
        let Some((_, directory, ..)) = left.first() else { return Ok(Exit::Done) };
        world.pause(directory, pause);
    }
}
