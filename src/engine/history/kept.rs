//! History across restarts: one file a directory in the state directory, within the bounds of the history itself.
//!
//! Owns: its shape, and merging with what another Lockscope has written meanwhile. Never: loses the other's, and never
//! takes a damaged file for an empty one silently: that is kept aside, and said.

use super::{Burst, End, History, Hold, LockHistory, PER_DIRECTORY, PER_LOCK, Start, Usual, Wait, Watched, Who};
use crate::lock::json::{self, JsonError};
use crate::lock::{LockConfig, Wait as Patience};
use crate::model::time::Wall;
use crate::model::verdict::{Certainty, Verdict};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// So many directories are kept, those that were written last.
const DIRECTORIES: usize = 200;
/// The same hold, seen by two, begins and ends for each when it looked.
const SAME: Duration = Duration::from_secs(2);

/// The file. Times are nanoseconds since 1970; what is not said has its usual value, to keep it short.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    directory: String,
    /// From, until.
    watched: Vec<(i64, i64)>,
    locks: BTreeMap<String, KeptLock>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct KeptLock {
    holds: Vec<KeptHold>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    waits: Vec<KeptWait>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct KeptHold {
    verdict: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certainty: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    incarnation: Option<u64>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    command: String,
    #[serde(default, skip_serializing_if = "is_false")]
    shared: bool,
    began: i64,
    start: Start,
    /// When it ended, or until when it was seen.
    ended: i64,
    /// `None` = it had not ended when this was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    how: Option<End>,
    /// Count, and nanoseconds held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    burst: Option<(u32, u64)>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct KeptWait {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    incarnation: Option<u64>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    command: String,
    from: i64,
    #[serde(default, skip_serializing_if = "is_false")]
    since: bool,
    till: i64,
    #[serde(default, skip_serializing_if = "is_false")]
    got: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(value: &bool) -> bool {
    !*value
}

/// Another Lockscope that writes the file holds its lock for milliseconds.
fn patience() -> LockConfig {
    LockConfig::waiting(Patience::For(Duration::from_secs(5)))
}

/// The file of a directory; `None` where its path is no text: JSON could not tell it.
pub fn file(state_dir: &Path, directory: &Path) -> Option<PathBuf> {
    // FNV-1a: the same in every version, and no secret.
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let digest = directory.to_str()?.bytes().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128, |digest, byte| {
        (digest ^ u128::from(byte)).wrapping_mul(PRIME)
    });
    Some(state_dir.join("history").join(format!("{digest:032x}.json")))
}

/// What is kept of a directory.
pub fn load(state_dir: &Path, directory: &Arc<Path>, now: Wall) -> Result<History, JsonError> {
    let mut history = History::new(Arc::clone(directory));
    let Some(file) = file(state_dir, directory) else { return Ok(history) };
    let kept: Kept = json::read(file, &patience())?;
    if Path::new(&kept.directory) != &**directory {
        return Ok(history);
    }
    history.watched = spans(&kept.watched);
    for (path, lock) in kept.locks {
        let mut loaded = LockHistory::of(OsStr::new(&path).into());
        // What had not ended when it was written was not seen to end.
        loaded.holds = lock.holds.iter().filter_map(|hold| hold.read(End::Unseen)).collect();
        loaded.waits = lock.waits.iter().map(KeptWait::read).collect();
        loaded.usual = Usual::of(&loaded.holds);
        history.put(loaded);
    }
    history.bound(PER_DIRECTORY, now);
    Ok(history)
}

/// Writes what was seen into what is kept. What another Lockscope has written stays, within the bounds.
pub fn save(state_dir: &Path, history: &History, now: Wall) -> Result<(), JsonError> {
    let Some(file) = file(state_dir, &history.directory) else { return Ok(()) };
    json::update_private(&file, &patience(), |kept: &mut Kept| merge(kept, history, now))?;
    if let Some(directory) = file.parent() {
        json::keep_newest(directory, DIRECTORIES);
    }
    Ok(())
}

fn merge(kept: &mut Kept, history: &History, now: Wall) {
    let directory = history.directory.to_string_lossy().into_owned();
    if kept.directory != directory {
        *kept = Kept { directory, ..Kept::default() };
    }
    let mut both = History::new(Arc::clone(&history.directory));
    let mut watched = spans(&kept.watched);
    watched.extend(&history.watched);
    both.watched = union(watched, now);
    let mut theirs = std::mem::take(&mut kept.locks);
    for ours in history.locks() {
        let mut lock = LockHistory::clone(ours);
        if let Some(theirs) = ours.path.to_str().and_then(|path| theirs.remove(path)) {
            // What they have not seen the end of stays open here until it is known which of them it is.
            let holds = theirs.holds.iter().filter_map(|hold| hold.read(End::Unseen)).collect();
            lock.holds = merge_holds(holds, lock.holds, now);
            lock.waits = merge_waits(theirs.waits.iter().map(KeptWait::read).collect(), lock.waits, now);
        }
        both.put(lock);
    }
    for (path, lock) in theirs {
        let mut loaded = LockHistory::of(OsStr::new(&path).into());
        loaded.holds = lock.holds.iter().filter_map(|hold| hold.read(End::Unseen)).collect();
        loaded.waits = lock.waits.iter().map(KeptWait::read).collect();
        both.put(loaded);
    }
    both.bound(PER_DIRECTORY, now);
    kept.watched = both.watched.iter().map(|span| (span.from.0, span.till.unwrap_or(now).0)).collect();
    for lock in both.locks() {
        // What is not UTF-8 is not kept.
        let Some(path) = lock.path.to_str() else { continue };
        let (holds, waits) = (newest(&lock.holds), newest(&lock.waits));
        let lock = KeptLock {
            holds: holds.iter().map(|hold| KeptHold::of(hold, now)).collect(),
            waits: waits.iter().map(|wait| KeptWait::of(wait, now)).collect(),
        };
        kept.locks.insert(path.to_owned(), lock);
    }
}

fn newest<T>(all: &[T]) -> &[T] {
    &all[all.len().saturating_sub(PER_LOCK)..]
}

fn spans(kept: &[(i64, i64)]) -> Vec<Watched> {
    kept.iter().map(|(from, till)| Watched { from: Wall(*from), till: Some(Wall(*till)) }).collect()
}

/// The spans in which anybody watched, in order and without overlaps.
fn union(mut spans: Vec<Watched>, now: Wall) -> Vec<Watched> {
    spans.sort_by_key(|span| span.from);
    let mut all: Vec<Watched> = Vec::new();
    for span in spans {
        let till = span.till.unwrap_or(now);
        match all.last_mut() {
            Some(last) if last.till.is_some_and(|end| end >= span.from) => {
                last.till = last.till.max(Some(till));
            }
            _ => all.push(Watched { from: span.from, till: Some(till) }),
        }
    }
    all
}

/// The same holds seen by two, once each; what was exclusive never overlaps. `theirs` were all cut where they were written
/// before their end.
fn merge_holds(theirs: Vec<Hold>, ours: Vec<Hold>, now: Wall) -> Vec<Hold> {
    let mut all = ours;
    for other in theirs {
        let meets = |hold: &Hold| {
            (hold.burst, other.burst) == (None, None)
                && hold.verdict == other.verdict
                && hold.who.is(&other.who)
                && hold.began <= other.till(now).plus(SAME)
                && other.began <= hold.till(now).plus(SAME)
                // Two turns of one process that follow each other are not one.
                && (hold.began <= other.began.plus(SAME) && other.began <= hold.began.plus(SAME)
                    || hold.start != Start::Seen
                    || other.start != Start::Seen)
        };
        match all.iter_mut().find(|hold| meets(hold)) {
            Some(hold) => unify(hold, &other),
            None => all.push(other),
        }
    }
    all.sort_by_key(|hold| hold.began);
    // What was exclusive is cut where the next began; what another covers as a whole is told by that.
    let mut apart: Vec<Hold> = Vec::with_capacity(all.len());
    for hold in all {
        if let Some(last) = apart.iter_mut().rev().find(|last| last.exclusive && hold.exclusive)
            && last.till(now) > hold.began
        {
            if last.till(now) >= hold.till(now) && last.ended.is_some() {
                continue;
            }
            if last.burst.is_some() && hold.burst.is_some() {
                // One tally goes on where the other stopped.
                if last.count() < hold.count() {
                    *last = hold;
                }
                continue;
            }
            let how = last.ended.map_or(End::Changed, |(_, how)| how);
            last.ended = Some((hold.began, how));
        }
        apart.push(hold);
    }
    apart
}

/// What two have seen of one hold.
fn unify(hold: &mut Hold, other: &Hold) {
    if other.start > hold.start || other.start == hold.start && other.began < hold.began {
        (hold.began, hold.start) = (other.began, other.start);
    }
    hold.exclusive &= other.exclusive;
    let is_seen = |end: &Option<(Wall, End)>| end.is_some_and(|(_, how)| how != End::Unseen);
    hold.ended = match (hold.ended, other.ended) {
        // Ours goes on; theirs was cut when it was written, or they looked away.
        (None, other) if !is_seen(&other) => None,
        // Each saw it end when it next looked.
        (Some(ours), Some(theirs)) if is_seen(&Some(ours)) && is_seen(&Some(theirs)) => {
            Some(if theirs.0 < ours.0 { theirs } else { ours })
        }
        (ours, _) if is_seen(&ours) => ours,
        (_, theirs) if is_seen(&theirs) => theirs,
        (ours, theirs) => {
            if ours.map(|(at, _)| at) >= theirs.map(|(at, _)| at) {
                ours
            } else {
                theirs
            }
        }
    };
    if let Some((at, _)) = &mut hold.ended {
        *at = (*at).max(hold.began);
    }
}

fn merge_waits(theirs: Vec<Wait>, ours: Vec<Wait>, now: Wall) -> Vec<Wait> {
    let mut all = ours;
    for other in theirs {
        let till = other.till.unwrap_or(now);
        let same = all.iter_mut().find(|wait| {
            let end = wait.till.unwrap_or(now);
            wait.who.is(&other.who) && wait.from <= till.plus(SAME) && other.from <= end.plus(SAME)
        });
        match same {
            Some(wait) => {
                wait.from = wait.from.min(other.from);
                wait.since &= other.since;
                wait.got |= other.got;
                wait.till = wait.till.map(|end| end.max(till));
            }
            None => all.push(other),
        }
    }
    all.sort_by_key(|wait| wait.from);
    all
}

impl KeptHold {
    fn of(hold: &Hold, now: Wall) -> Self {
        Self {
            verdict: hold.verdict.id().to_owned(),
            certainty: hold.certainty.map(|certainty| certainty.id().to_owned()),
            pid: hold.who.pid,
            incarnation: hold.who.incarnation,
            command: hold.who.command.to_string(),
            shared: !hold.exclusive,
            began: hold.began.0,
            start: hold.start,
            ended: hold.till(now).0,
            how: hold.ended.map(|(_, how)| how),
            burst: hold.burst.map(|burst| (burst.count, burst.busy.as_nanos() as u64)),
        }
    }

    /// `None` for a verdict that only a newer version knows.
    fn read(&self, cut: End) -> Option<Hold> {
        let verdict = Verdict::ALL.into_iter().find(|verdict| verdict.id() == self.verdict)?;
        let certainties = [Certainty::Likely, Certainty::Strong, Certainty::Certain];
        let began = Wall(self.began);
        Some(Hold {
            verdict,
            certainty: certainties.into_iter().find(|certainty| Some(certainty.id()) == self.certainty.as_deref()),
            who: Who { pid: self.pid, incarnation: self.incarnation, command: self.command.as_str().into() },
            exclusive: !self.shared,
            began,
            start: self.start,
            ended: Some((Wall(self.ended).max(began), self.how.unwrap_or(cut))),
            burst: self.burst.map(|(count, nanos)| Burst { count, busy: Duration::from_nanos(nanos) }),
        })
    }
}

impl KeptWait {
    fn of(wait: &Wait, now: Wall) -> Self {
        Self {
            pid: wait.who.pid,
            incarnation: wait.who.incarnation,
            command: wait.who.command.to_string(),
            from: wait.from.0,
            since: wait.since,
            till: wait.till.unwrap_or(now.max(wait.from)).0,
            got: wait.got,
        }
    }

    fn read(&self) -> Wait {
        let who = Who { pid: self.pid, incarnation: self.incarnation, command: self.command.as_str().into() };
        let from = Wall(self.from);
        Wait { who, from, since: self.since, till: Some(Wall(self.till).max(from)), got: self.got }
    }
}

#[cfg(test)]
mod tests;
