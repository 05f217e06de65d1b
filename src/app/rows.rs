//! Which rows stand where: those of the listing, and for a moment those that have vanished.
//!
//! Owns: [`Rows`]: ghosts, what has just appeared, and when rows keep their places. Never: draws.

use super::tokens;
use crate::engine::listing::{Listing, Row};
use crate::model::snapshot::{Lock, LockId, Snapshot, Watching};
use eframe::egui::Rect;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// A row that has vanished stays so long, for the eye to follow.
const GHOST: Duration = Duration::from_millis(1600);
/// A hand on the way to a row has so long.
pub(super) const HAND: Duration = Duration::from_millis(400);
/// But rows that should move do so after this at the latest.
const LONGEST_HOLD: Duration = Duration::from_secs(3);

/// Something that has vanished.
struct Ghost {
    /// Before this row of the listing it stands; `None` where it still stands in its own.
    before: Option<usize>,
    lock: Arc<Lock>,
    since: Duration,
}

/// What the table shows beyond the listing.
#[derive(Default)]
pub(super) struct Rows {
    ghosts: BTreeMap<LockId, Ghost>,
    /// The ghosts that stand between rows, in their order.
    between: Vec<(usize, LockId)>,
    /// What appeared, and when.
    fresh: BTreeMap<LockId, Duration>,
    /// The picture before the newest rows: what is not in it has just appeared. Asked in the next frame only.
    before: Option<Arc<Snapshot>>,
    /// The picture that the shown listing goes with.
    listed: Option<Arc<Snapshot>>,
    /// Rows of the listing that are headings, which are lower.
    headings: Vec<usize>,
    /// What was drawn last, as numbers of shown rows.
    pub(super) visible: Range<usize>,
    /// Where the rows were drawn.
    pub(super) area: Option<Rect>,
    /// Since when rows keep their places for a hand that moves.
    held: Option<Duration>,
}

/// What stands in a row.
pub(super) enum Shown<'a> {
    /// A row of the listing, with its number there.
    Row(usize, &'a Row),
    /// What has vanished.
    Ghost(&'a Arc<Lock>),
}

impl Rows {
    /// How many rows are shown.
    pub(super) fn len(&self, listing: &Listing) -> usize {
        listing.rows.len() + self.between.len()
    }

    /// What stands in a row.
    pub(super) fn at<'a>(&'a self, listing: &'a Listing, shown: usize) -> Option<Shown<'a>> {
        let ahead = self.between.iter().enumerate().take_while(|(k, (before, _))| before + k <= shown).count();
        if let Some((before, id)) = ahead.checked_sub(1).and_then(|last| self.between.get(last))
            && before + ahead - 1 == shown
        {
            return self.ghosts.get(id).map(|ghost| Shown::Ghost(&ghost.lock));
        }
        let at = shown - ahead;
        listing.rows.get(at).map(|row| Shown::Row(at, row))
    }

    /// Where a row of the listing is shown.
    pub(super) fn shown(&self, row: usize) -> usize {
        row + self.between.iter().filter(|(before, _)| *before <= row).count()
    }

    /// How far down a shown row begins.
    pub(super) fn top(&self, shown: usize) -> f32 {
        let ghosts = self.between.iter().enumerate().filter(|(k, (before, _))| before + k < shown).count();
        let headings = self.headings.partition_point(|row| *row < shown - ghosts);
        shown as f32 * tokens::ROW - headings as f32 * (tokens::ROW - tokens::HEADER)
    }

    /// The lock of a row that has vanished and still stands in its place, as the rows behind it wait.
    pub(super) fn ghost(&self, id: LockId) -> Option<&Arc<Lock>> {
        self.ghosts.get(&id).map(|ghost| &ghost.lock)
    }

    /// How long ago a ghost vanished.
    pub(super) fn gone_for(&self, id: LockId, now: Duration) -> Option<Duration> {
        self.ghosts.get(&id).map(|ghost| now.saturating_sub(ghost.since))
    }

    /// How long ago a row appeared, where that was just now.
    pub(super) fn there_for(&self, id: LockId, now: Duration) -> Option<Duration> {
        self.fresh.get(&id).map(|since| now.saturating_sub(*since)).filter(|age| *age < tokens::APPEAR)
    }

    /// A row is drawn: if it was not in the picture before, it has just appeared.
    pub(super) fn drawn(&self, id: LockId) -> bool {
        self.before.as_ref().is_some_and(|before| before.lock(id).is_none())
    }

    /// Once a frame has been drawn: what in it has just appeared.
    pub(super) fn appeared(&mut self, ids: Vec<LockId>, now: Duration) {
        self.before = None;
        self.fresh.retain(|_, since| now.saturating_sub(*since) < tokens::APPEAR);
        self.fresh.extend(ids.into_iter().map(|id| (id, now)));
    }

    /// Takes note of what vanished from among the visible rows, before the picture changes.
    pub(super) fn picture_changes(&mut self, listing: &Listing, old: &Snapshot, new: &Snapshot, now: Duration) {
        if old.directory != new.directory {
            *self = Self::default();
            return;
        }
        let mut vanished = Vec::new();
        for shown in self.visible.clone() {
            if let Some(Shown::Row(_, Row::Lock(id))) = self.at(listing, shown)
                && let Some(lock) = old.lock(*id)
                && new.lock(*id).is_none()
            {
                vanished.push((*id, Ghost { before: None, lock: Arc::clone(lock), since: now }));
            }
        }
        for (id, ghost) in vanished {
            self.ghosts.entry(id).or_insert(ghost);
        }
    }

    /// The rows change: ghosts find their places between the new ones.
    pub(super) fn listing_changes(&mut self, old: &Listing, new: &Listing, picture: &Arc<Snapshot>) {
        let same_question = old.query == new.query;
        let was_there = self.listed.replace(Arc::clone(picture));
        let whole = |snapshot: &Arc<Snapshot>| {
            snapshot.directory == picture.directory && !matches!(snapshot.watching, Watching::Loading(_))
        };
        self.before = was_there.filter(|before| whole(before) && same_question && !old.rows.is_empty());
        let mut between = Vec::new();
        if same_question {
            let mut anchor = None;
            for shown in self.visible.clone() {
                match self.at(old, shown) {
                    Some(Shown::Ghost(lock)) => between.push((anchor, lock.id)),
                    Some(Shown::Row(_, Row::Lock(id))) if self.ghosts.contains_key(id) => between.push((anchor, *id)),
                    Some(Shown::Row(at, row)) => anchor = near(&new.rows, row, at).map(|at| at + 1).or(anchor),
                    None => {}
                }
            }
        }
        let first = self.visible.start.min(new.rows.len());
        self.between = between.into_iter().map(|(anchor, id)| (anchor.unwrap_or(first), id)).collect();
        self.between.sort_by_key(|(before, _)| *before);
        let standing: BTreeMap<LockId, usize> = self.between.iter().map(|(before, id)| (*id, *before)).collect();
        self.ghosts.retain(|id, ghost| {
            ghost.before = standing.get(id).copied();
            ghost.before.is_some()
        });
        self.headings = heading_places(new);
    }

    /// Ghosts go when their time is over; gives when the next one does. `held`: rows keep their places, so ghosts too.
    pub(super) fn expire(&mut self, now: Duration, held: bool) -> Option<Duration> {
        if !held {
            // One that still stands in its own row goes with that row.
            self.ghosts.retain(|_, ghost| ghost.before.is_none() || now.saturating_sub(ghost.since) < GHOST);
            let ghosts = &self.ghosts;
            self.between.retain(|(_, id)| ghosts.contains_key(id));
        }
        let left = self.between.iter().filter_map(|(_, id)| self.ghosts.get(id));
        left.map(|ghost| GHOST.saturating_sub(now.saturating_sub(ghost.since))).min()
    }

    /// Whether rows keep their places for a hand that is on the way to one of them.
    pub(super) fn held_by_hand(&mut self, moving: bool, now: Duration) -> bool {
        if !moving {
            self.held = None;
            return false;
        }
        let since = *self.held.get_or_insert(now);
        now.saturating_sub(since) < LONGEST_HOLD
    }

    /// How much of a ghost is still to be seen, from 1 to 0.
    pub(super) fn presence(gone_for: Duration, fade: Duration) -> f32 {
        let left = GHOST.saturating_sub(gone_for);
        if fade.is_zero() { 1.0 } else { (left.as_secs_f32() / fade.as_secs_f32()).clamp(0.0, 1.0) }
    }
}

/// The numbers of the headings among the rows.
pub(super) fn heading_places(listing: &Listing) -> Vec<usize> {
    let places = listing.rows.iter().enumerate();
    places.filter(|(_, row)| matches!(row, Row::Group(_))).map(|(at, _)| at).collect()
}

/// Where a row stands now, looked for from where it stood.
fn near(rows: &[Row], wanted: &Row, from: usize) -> Option<usize> {
    let same = |row: &Row| match (row, wanted) {
        (Row::Lock(a), Row::Lock(b)) => a == b,
        // Its numbers may have changed.
        (Row::Group(a), Row::Group(b)) => a.name == b.name,
        _ => false,
    };
    const REACH: usize = 2000;
    let from = from.min(rows.len());
    (0..REACH).find_map(|step| {
        let below = rows.get(from + step).filter(|row| same(row)).map(|_| from + step);
        below.or_else(|| {
            let above = from.checked_sub(step + 1)?;
            rows.get(above).filter(|row| same(row)).map(|_| above)
        })
    })
}
