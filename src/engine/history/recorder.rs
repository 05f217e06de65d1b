//! From snapshots to history: what differs between two of them, and what that means for holds and waits.
//!
//! Owns: [`Recorder`], pure: it is given snapshots and told when nobody looks. A chunk that two snapshots share is passed
//! over, so that a snapshot costs what it changed. Never: takes a clock, a file or a thread.

use super::{Burst, End, History, Hold, LockHistory, PER_DIRECTORY, PER_LOCK, Start, Usual, Wait, Watched, Who};
use crate::model::facts::ProcessRef;
use crate::model::snapshot::{Lock, Snapshot, Watching};
use crate::model::time::Wall;
use crate::model::verdict::{Certainty, Verdict};
use std::ffi::OsStr;
use std::sync::Arc;
use std::time::Duration;

/// Holds that are shorter than this, and no further apart, are counted together where there are many.
const SHORT: Duration = Duration::from_secs(1);
/// So many holds are kept one by one before short ones are counted together.
const ONE_BY_ONE: usize = 32;
/// A file that is younger than this when it is first listed was made since the look before.
const FRESH: Duration = Duration::from_secs(10);
/// Of several that share a lock, so many are told apart.
const MOST_TAKERS: usize = 64;

type Chunks = Vec<Arc<Vec<Option<Arc<Lock>>>>>;

/// What a snapshot changed, for those who wait for a change.
#[derive(Debug, Default)]
pub struct Changes {
    /// Paths that are not there any more.
    pub gone: Vec<Arc<Lock>>,
    /// Locks that are new or have changed, with what they were.
    pub changed: Vec<(Option<Arc<Lock>>, Arc<Lock>)>,
    /// These are all locks, seen for the first time: none of it has happened just now.
    pub first: bool,
    /// Who has a lock, or who waits, is other than it was: not all that changes in a picture is history.
    pub recorded: bool,
}

/// Makes a directory's history from its snapshots.
#[derive(Debug)]
pub struct Recorder {
    history: History,
    /// The newest picture; `None` while nobody looks.
    chunks: Option<Chunks>,
    /// When that was.
    at: Wall,
    /// Room was made for this snapshot: to try it again for each lock would not help.
    made_room: bool,
}

/// A process that has a lock, or had it.
struct Taker {
    who: Who,
    exclusive: bool,
}

impl Recorder {
    /// Goes on with what was kept.
    pub fn new(history: History) -> Self {
        Self { history, chunks: None, at: Wall::default(), made_room: false }
    }

    /// As it stands.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Takes in a snapshot; gives what it changed.
    pub fn see(&mut self, snapshot: &Snapshot) -> Changes {
        match snapshot.watching {
            Watching::Live | Watching::Polling(_) => {}
            // Half a picture: what is not in it yet has not gone.
            Watching::Loading(_) => return Changes::default(),
            Watching::Lost(_) => {
                self.stop(snapshot.taken_at);
                return Changes::default();
            }
        }
        // A clock that was set back makes no span end before it began.
        let now = snapshot.taken_at.max(self.at);
        self.at = now;
        let (before, first) = match self.chunks.replace(snapshot.chunks.clone()) {
            Some(chunks) => (chunks, false),
            None => (Chunks::new(), true),
        };
        if first {
            self.history.watched.push(Watched { from: now, till: None });
        }
        let mut changes = changes(&before, &snapshot.chunks, first);
        self.made_room = false;
        for lock in &changes.gone {
            changes.recorded |= self.leave(&lock.path, now);
        }
        let own_time = snapshot.sight.fs.keeps_our_time();
        for (_, lock) in &changes.changed {
            changes.recorded |= self.follow(lock, now, first, own_time);
        }
        if self.history.len() > PER_DIRECTORY {
            self.history.bound(PER_DIRECTORY, now);
        }
        changes
    }

    /// Nobody looks from now on: whatever is under way ends in the dark.
    pub fn stop(&mut self, at: Wall) {
        if self.chunks.take().is_none() {
            return;
        }
        let at = at.max(self.at);
        self.at = at;
        if let Some(span) = self.history.watched.last_mut() {
            span.till = Some(at);
        }
        self.history.change_all(|lock| {
            lock.now = None;
            lock.id = None;
            end_all(lock, at, End::Unseen, |_| true);
            lock.waits.iter_mut().filter(|wait| wait.till.is_none()).for_each(|wait| wait.till = Some(at));
        });
        self.history.bound(PER_DIRECTORY, at);
    }

    /// Drops what has grown too old.
    pub fn prune(&mut self, now: Wall) {
        self.history.bound(PER_DIRECTORY, now);
    }

    /// A lock that is not there any more; tells whether it was on record.
    fn leave(&mut self, path: &OsStr, now: Wall) -> bool {
        if self.history.lock(path).is_none() {
            return false;
        }
        self.history.change(path, |lock| {
            lock.now = None;
            lock.id = None;
            end_all(lock, now, End::Released, |_| true);
            lock.waits.iter_mut().filter(|wait| wait.till.is_none()).for_each(|wait| wait.till = Some(now));
            tidy(lock);
        });
        true
    }

    /// Tells whether that changed what is on record.
    fn follow(&mut self, seen: &Lock, now: Wall, first: bool, own_time: bool) -> bool {
        let takers = takers(seen);
        let known = self.history.lock(&seen.path);
        if takers.is_empty() && seen.facts.waiters().is_empty() && known.is_none() {
            return false;
        }
        // Holds have half of the room for themselves, whatever else lies about.
        let held = seen.judgement.verdict == Verdict::Held;
        let most = if held { PER_DIRECTORY } else { PER_DIRECTORY / 2 };
        if known.is_none() && self.history.len() >= most {
            if held && !std::mem::replace(&mut self.made_room, true) {
                self.history.bound(PER_DIRECTORY - PER_DIRECTORY / 10, now);
            }
            if self.history.len() >= most {
                self.history.overfull = true;
                return false;
            }
        }
        let mut recorded = false;
        self.history.change(&seen.path, |lock| {
            let (holds, waits) = (lock.holds.clone(), lock.waits.clone());
            lock.id = Some(seen.id);
            let before = lock.now.replace(seen.judgement.verdict);
            take(lock, seen, &takers, (now, first, own_time), before);
            queue(lock, seen.facts.waiters(), &takers, now, first);
            tidy(lock);
            recorded = lock.holds != holds || lock.waits != waits;
        });
        recorded
    }
}

/// What differs between two pictures of one directory.
fn changes(before: &Chunks, now: &Chunks, first: bool) -> Changes {
    let mut changes = Changes { first, ..Changes::default() };
    for at in 0..before.len().max(now.len()) {
        let (old, new) = (before.get(at), now.get(at));
        if let (Some(old), Some(new)) = (old, new)
            && Arc::ptr_eq(old, new)
        {
            continue;
        }
        let (old, new) = (old.map_or(&[][..], |old| old), new.map_or(&[][..], |new| new));
        for slot in 0..old.len().max(new.len()) {
            let (old, new) = (old.get(slot).and_then(Option::as_ref), new.get(slot).and_then(Option::as_ref));
            match (old, new) {
                (Some(old), Some(new)) if Arc::ptr_eq(old, new) => {}
                (old, Some(new)) => {
                    let same = old.filter(|old| old.path == new.path);
                    if let (Some(old), None) = (old, same) {
                        changes.gone.push(Arc::clone(old));
                    }
                    changes.changed.push((same.cloned(), Arc::clone(new)));
                }
                (Some(old), None) => changes.gone.push(Arc::clone(old)),
                (None, None) => {}
            }
        }
    }
    changes
}

fn who(process: &ProcessRef) -> Who {
    Who {
        pid: Some(process.pid.get()),
        incarnation: process.facts.as_ref().map(|facts| facts.incarnation()),
        command: short(process.name()),
    }
}

/// A name that does not fill the history.
fn short(name: &str) -> Arc<str> {
    name.chars().take(40).collect::<String>().into()
}

/// Who has the lock; what is left behind counts as its owner's.
fn takers(lock: &Lock) -> Vec<Taker> {
    let nobody = || Who { pid: None, incarnation: None, command: "".into() };
    match lock.judgement.verdict {
        Verdict::Idle | Verdict::NotALock => Vec::new(),
        Verdict::Held => {
            if let Some(kernel) = lock.facts.kernel().filter(|kernel| kernel.is_granted()) {
                let whole = kernel.ranges.iter().all(|range| range.exclusive && range.is_whole());
                let exclusive = whole && kernel.holders.len() <= 1;
                let holders = kernel.holders.iter().take(MOST_TAKERS);
                let takers: Vec<Taker> = holders.map(|holder| Taker { who: who(holder), exclusive }).collect();
                if takers.is_empty() { vec![Taker { who: nobody(), exclusive }] } else { takers }
            } else {
                let holder = lock.holder().map_or_else(nobody, |(process, _)| who(&process));
                vec![Taker { who: holder, exclusive: true }]
            }
        }
        Verdict::Stale
        | Verdict::Orphaned
        | Verdict::Suspect
        | Verdict::Foreign
        | Verdict::Unknown
        | Verdict::Interrupted => {
            let record = lock.facts.reading().record();
            let word = record.and_then(|record| match (&record.host, lock.judgement.verdict) {
                (Some(host), Verdict::Foreign) => Some(format!("on {host}")),
                _ => record.command.as_deref().and_then(|c| c.split_whitespace().next()).map(str::to_owned),
            });
            let owner = Who {
                pid: record.and_then(|record| record.pid).map(crate::model::holder::Pid::get),
                incarnation: None,
                command: short(word.as_deref().unwrap_or_default()),
            };
            vec![Taker { who: owner, exclusive: true }]
        }
    }
}

/// Takes over who has the lock now.
fn take(lock: &mut LockHistory, seen: &Lock, takers: &[Taker], at: (Wall, bool, bool), before: Option<Verdict>) {
    let (now, first, own_time) = at;
    let (verdict, certainty) = (seen.judgement.verdict, seen.judgement.certainty);
    // The file's birth tells when an existence lock was taken, and another file at its path that it was taken anew.
    let by_kernel = seen.facts.is_kernel_locked();
    let born = seen.facts.stat().and_then(|stat| stat.born);
    let born = born.filter(|born| own_time && !by_kernel && *born <= now && verdict == Verdict::Held);
    let heartless = seen.facts.beat().is_none();
    let stays = |hold: &Hold, taker: &Taker| {
        let anew = heartless && born.is_some_and(|born| born > hold.began);
        hold.verdict == verdict && hold.who.is(&taker.who) && !anew
    };
    if let [taker] = takers {
        // The table is a moment ahead of the processes: who has it could be named only now.
        lock.holds
            .iter_mut()
            .filter(|hold| hold.ended.is_none() && hold.verdict == verdict && hold.who.pid.is_none())
            .for_each(|hold| hold.who = taker.who.clone());
    }
    let is_new = |taker: &&Taker| !lock.open().any(|hold| stays(hold, taker));
    let new: Vec<&Taker> = takers.iter().filter(is_new).collect();
    let goes = |hold: &Hold| hold.ended.is_none() && !takers.iter().any(|taker| stays(hold, taker));
    let (began, start) = if first {
        if let Some(born) = born {
            // It is the hold that an earlier watching was cut off from.
            let same = |hold: &Hold| matches!(hold.ended, Some((_, End::Unseen))) && hold.began.plus(SHORT) >= born;
            lock.holds.retain(|hold| !(same(hold) && takers.iter().any(|taker| taker.who.is(&hold.who))));
        }
        let last_end = lock.holds.iter().filter_map(|hold| hold.ended.map(|(at, _)| at)).max();
        let born = born.map(|born| born.max(last_end.unwrap_or(born)).min(now));
        (born.unwrap_or(now), if born.is_some() { Start::File } else { Start::Since })
    } else {
        // Of what is open the file is older, or it is no new file.
        let after = |hold: &Hold| hold.ended.map_or(hold.began, |(at, _)| at);
        let floor = lock.holds.iter().filter(|hold| hold.ended.is_some() || goes(hold)).map(after).max();
        let fresh = born.filter(|born| {
            now.since(*born).is_some_and(|age| age < FRESH)
                && !lock.open().any(|hold| goes(hold) && hold.began >= *born)
        });
        let unclear = matches!(before, Some(Verdict::Unknown | Verdict::Foreign)) && fresh.is_none();
        let began = fresh.map_or(now, |born| born.max(floor.unwrap_or(born)));
        (began, if unclear { Start::Since } else { Start::Seen })
    };
    let how = match verdict {
        Verdict::Stale | Verdict::Orphaned | Verdict::Suspect | Verdict::Interrupted => End::LeftBehind,
        Verdict::Foreign | Verdict::Unknown => End::Changed,
        Verdict::Held | Verdict::Idle | Verdict::NotALock => End::Released,
    };
    // Where one took it from the other, the one ended when the other began.
    let handed_over = !new.is_empty() && takers.len() == 1;
    end_all(lock, if handed_over { began } else { now }, how, goes);
    for hold in lock.holds.iter_mut().filter(|hold| hold.ended.is_none()) {
        hold.certainty = certainty;
        hold.exclusive &= takers.len() <= 1;
    }
    lock.holds.extend(new.into_iter().map(|taker| begin(taker, verdict, certainty, began, start)));
}

fn begin(taker: &Taker, verdict: Verdict, certainty: Option<Certainty>, began: Wall, start: Start) -> Hold {
    let Taker { who, exclusive } = taker;
    Hold { verdict, certainty, who: who.clone(), exclusive: *exclusive, began, start, ended: None, burst: None }
}

/// Ends those that are under way and meant.
fn end_all(lock: &mut LockHistory, at: Wall, how: End, which: impl Fn(&Hold) -> bool) {
    for hold in lock.holds.iter_mut().filter(|hold| hold.ended.is_none() && which(hold)) {
        let how = if hold.verdict == Verdict::Held || how == End::Unseen { how } else { End::Changed };
        hold.ended = Some((at.max(hold.began), how));
    }
}

/// Takes over who waits now.
fn queue(lock: &mut LockHistory, waiters: &[ProcessRef], takers: &[Taker], now: Wall, first: bool) {
    let waiting: Vec<Who> = waiters.iter().take(PER_LOCK).map(who).collect();
    for wait in lock.waits.iter_mut().filter(|wait| wait.till.is_none()) {
        if !waiting.iter().any(|who| who.is(&wait.who)) {
            wait.till = Some(now);
            wait.got = takers.iter().any(|taker| taker.who.is(&wait.who));
        }
    }
    for who in waiting {
        if !lock.waits.iter().any(|wait| wait.till.is_none() && wait.who.is(&who)) {
            lock.waits.push(Wait { who, from: now, since: first, till: None, got: false });
        }
    }
}

/// Counts short holds together where there are many, keeps to the bounds, and says anew what is usual.
fn tidy(lock: &mut LockHistory) {
    if lock.holds.len() > ONE_BY_ONE {
        while let Some(together) = lock.holds.len().checked_sub(2).and_then(|at| both(&lock.holds[at..])) {
            lock.holds.truncate(lock.holds.len() - 2);
            lock.holds.push(together);
        }
        // The newest may be under way; then the two before it.
        if lock.holds.last().is_some_and(|hold| hold.ended.is_none())
            && let Some(at) = lock.holds.len().checked_sub(3)
            && let Some(together) = both(&lock.holds[at..at + 2])
        {
            lock.holds.splice(at..at + 2, [together]);
        }
    }
    let mut extra = lock.holds.len().saturating_sub(PER_LOCK);
    lock.holds.retain(|hold| {
        let goes = extra > 0 && hold.ended.is_some();
        extra -= usize::from(goes);
        !goes
    });
    let mut extra = lock.waits.len().saturating_sub(PER_LOCK);
    lock.waits.retain(|wait| {
        let goes = extra > 0 && wait.till.is_some();
        extra -= usize::from(goes);
        !goes
    });
    lock.usual = Usual::of(&lock.holds);
}

/// Two short holds that follow each other, as one; `None` where they are not such.
fn both(two: &[Hold]) -> Option<Hold> {
    let [a, b] = two else { return None };
    let (till, _) = a.ended?;
    let (end, how) = b.ended?;
    let busy = |hold: &Hold| hold.burst.map_or_else(|| hold.length(hold.began), |burst| burst.busy);
    let is_short = |hold: &Hold| hold.is_whole() && hold.exclusive && busy(hold) / hold.count().max(1) < SHORT;
    let near = b.began.since(till).is_some_and(|pause| pause < SHORT);
    if !(is_short(a) && is_short(b) && near) {
        return None;
    }
    let burst = Burst { count: a.count().saturating_add(b.count()), busy: busy(a) + busy(b) };
    let who = if a.who.is(&b.who) {
        a.who.clone()
    } else {
        let command = if a.who.command == b.who.command { Arc::clone(&a.who.command) } else { "".into() };
        Who { pid: None, incarnation: None, command }
    };
    Some(Hold { who, ended: Some((end, how)), burst: Some(burst), certainty: b.certainty, ..a.clone() })
}

#[cfg(test)]
pub(crate) mod tests;
