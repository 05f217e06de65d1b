//! A session's full passes: the first, by two threads into an empty store, and those that come after it, slowly.
//!
//! Owns: what a full pass finds and what it finds gone; watches for what it enters. Never: decides when.

use super::{End, Live, PROGRESS, Session, WATCHES_AGAIN, lost_reason};
use crate::engine::watch::Watch;
use crate::inspect::{LookError, Looker, Looks, Names, Openings, list_names_entering, look_at_all};
use crate::model::snapshot::{PollingReason, Watching};
use crate::platform::Directory;
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

/// The names to look at, and why some subfolder that they stand in is not watched.
pub(super) struct List {
    names: std::io::Result<Names>,
    unwatched: Option<PollingReason>,
}

impl Session<'_> {
    /// Lists the names, and watches what it enters.
    pub(super) fn list(&self, watch: &mut Option<Watch>, at: &dyn Directory, looks: &dyn Looks) -> List {
        let (mut watch, mut unwatched) = (watch.as_mut().filter(|watch| watch.takes_more), None);
        let mut entering = |below: &Path, child: &dyn Directory| {
            if let Some(watch) = watch.as_mut().filter(|_| unwatched.is_none() && !child.may_not_answer()) {
                unwatched = watch.add(below).err();
            }
        };
        let names = list_names_entering(at, looks, &self.options, &mut entering);
        List { names, unwatched }
    }

    /// Looks at everything; the first time at what was listed already, and the picture so far is shown while it grows.
    pub(super) fn full_pass(
        &mut self, live: &mut Live, at: &dyn Directory, looker: &Looker, listed: Option<List>,
    ) -> Option<End> {
        looker.split_names(at);
        let first = listed.is_some();
        let List { names, unwatched } = listed.unwrap_or_else(|| self.list(&mut live.watch, at, looker));
        let mut names = match names {
            Ok(names) => names,
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {
                self.hear_nothing(live);
                return None;
            }
            Err(error) => {
                self.publish_lost(lost_reason(LookError::of(&self.path, error)));
                return Some(End::Reopen);
            }
        };
        if let Some(reason) = unwatched {
            self.do_without_watches_below(live, reason);
        }
        if let (Some(below), None) = (names.unwatched, &live.polling) {
            live.polling = Some(PollingReason::FileSystem(self.system.file_system(below.mount).name));
        }
        // What stood below a directory that cannot be listed now has not vanished: it cannot be seen.
        let unseen = |path: &&OsStr| names.problems.iter().any(|p| Path::new(path).starts_with(&p.path));
        let unseen: Vec<OsString> = live.store.paths().filter(unseen).map(OsStr::to_owned).collect();
        names.listed.extend(unseen);
        let learned_before = looker.learned_count();
        let looked = if first {
            self.look_first(live, at, looker, &names)
        } else {
            self.look_at_each_again(live, at, looker, &names)
        };
        if looked.is_break() {
            return Some(End::Ended);
        }
        let mut vanished = Vec::new();
        if !first {
            let listed: HashSet<&OsStr> = names.listed.iter().map(OsString::as_os_str).collect();
            vanished.extend(live.store.paths().filter(|path| !listed.contains(path)).map(OsStr::to_owned));
        }
        (names.listed, names.kinds) = (Vec::new(), Vec::new());
        live.names = names;
        for path in vanished {
            live.dirty |= live.store.remove(&path).is_some();
        }
        live.names_twice = true;
        if looker.learned_count() > learned_before {
            // A kernel lock seen late says what an empty file of the same pattern, seen early, means.
            let empties: Vec<OsString> =
                live.store.asks_users.iter().filter_map(|id| Some(live.store.get(*id)?.path.to_os_string())).collect();
            self.look_at_paths(live, at, looker, empties);
        }
        self.learn(looker);
        live.splits = looker.splits();
        live.strangers.clear();
        live.dirty |= first || *live.sight != *looker.sight || std::mem::take(&mut live.silent);
        live.sight = Arc::clone(&looker.sight);
        live.scanned_at = looker.now;
        let end = self.system.monotonic();
        live.scan_took = end.saturating_sub(looker.monotonic);
        live.scanned_monotonic = end;
        live.scanned = live.store.counts.all();
        None
    }

    /// Fills the empty store. The picture so far is shown while it grows.
    fn look_first(&mut self, live: &mut Live, at: &dyn Directory, looker: &Looker, names: &Names) -> ControlFlow<()> {
        let options = Arc::clone(&self.options);
        let (mut looked, mut shown) = (0, self.system.monotonic());
        live.store.reserve(names.listed.len());
        look_at_all(looker, at, names, &options, &mut |locks| {
            looked += locks.len() as u32;
            for mut lock in locks {
                // Made anew by this thread, so that it lies beside the lock: who sorts a million goes from one to the other.
                lock.path = (&*lock.path).into();
                live.store.add(lock);
            }
            if self.is_ended() {
                return ControlFlow::Break(());
            }
            let now = self.system.monotonic();
            if now.saturating_sub(shown) >= PROGRESS {
                shown = now;
                self.publish(live, Some(Watching::Loading(looked)));
            }
            ControlFlow::Continue(())
        })
    }

    /// On one thread alone: it is in no hurry, and may be one of many.
    fn look_at_each_again(
        &self, live: &mut Live, at: &dyn Directory, looker: &Looker, names: &Names,
    ) -> ControlFlow<()> {
        let mut openings = Openings::below(at);
        for (number, path) in names.listed.iter().enumerate() {
            let id = live.store.id_for(path);
            let exists = |sibling: &[u8]| names.all.contains(sibling);
            let earlier = live.store.get(id).cloned();
            let earlier = earlier.as_deref().filter(|lock| *lock.path == **path).map(|lock| &lock.facts);
            let kind = names.kind(number);
            let lock = looker.listed_lock(&mut openings, &exists, path, kind, id, &self.options, earlier);
            live.dirty |= match lock {
                Some(lock) => live.store.put(lock),
                None => live.store.remove(path).is_some(),
            };
            if number % 512 == 511 && self.is_ended() {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    /// Without a watch on each subfolder the events tell too little. Those that were taken are given back: others need
    /// some too.
    fn do_without_watches_below(&self, live: &mut Live, reason: PollingReason) {
        live.polling = Some(reason);
        live.watch = None;
        live.watch = Watch::start(&self.path, self.inbox.door()).ok();
        if let Some(watch) = &mut live.watch {
            watch.takes_more = false;
        }
        live.below_failed = Some(self.system.monotonic());
        live.dirty = true;
    }

    /// Watches may be free by now, or the limit raised. Before the full pass, so that no change falls between.
    pub(super) fn try_events_again(&self, live: &mut Live) {
        let now = self.system.monotonic();
        let too_soon = live.below_failed.is_some_and(|failed| now.saturating_sub(failed) < WATCHES_AGAIN);
        if matches!(live.polling, Some(PollingReason::OutOfWatches | PollingReason::Failed(_)))
            && !too_soon
            && let Ok(watch) = Watch::start(&self.path, self.inbox.door())
        {
            live.watch = Some(watch);
            live.below_failed = None;
            live.polling = None;
            live.dirty = true;
        }
    }
}
