//! The listing thread: filters and sorts the picture that is shown by the newest query, over and over.
//!
//! Owns: which picture is shown, together with a listing of the same directory: ids of one directory mean other locks in
//! another. Never: lists what is in the background.

use super::Shared;
use super::listing::{Listing, Query, Steps};
use crate::model::snapshot::Snapshot;
use crate::platform::System;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A person takes an answer by then for an immediate one.
const FIRST_BY: Duration = Duration::from_millis(60);

/// What the thread is to do next. Only the newest wish counts.
#[derive(Default)]
struct Wish {
    query: Query,
    dirty: bool,
    ended: bool,
}

pub(super) struct Lister {
    shared: Arc<Shared>,
    wake: Arc<dyn Fn() + Send + Sync>,
    system: Arc<dyn System>,
    wish: Mutex<Wish>,
    changed: Condvar,
}

impl Lister {
    /// Starts the thread.
    pub(super) fn start(shared: Arc<Shared>, wake: Arc<dyn Fn() + Send + Sync>, system: Arc<dyn System>) -> Arc<Self> {
        let lister = Arc::new(Self { shared, wake, system, wish: Mutex::default(), changed: Condvar::new() });
        let thread = Arc::clone(&lister);
        if let Err(error) = std::thread::Builder::new().name("listing".into()).spawn(move || thread.run()) {
            tracing::error!(%error, "the listing thread could not be started");
        }
        lister
    }

    fn wish(&self) -> MutexGuard<'_, Wish> {
        self.wish.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists in this way from now on.
    pub(super) fn ask(&self, query: Query) {
        let mut wish = self.wish();
        wish.dirty |= wish.query != query;
        wish.query = query;
        self.changed.notify_one();
    }

    /// Shows this picture. Of another directory than the one before it is listed at once: nobody must see its locks under
    /// the rows of the other.
    pub(super) fn present(&self, picture: Arc<Snapshot>) {
        let mut wish = self.wish();
        let same = self.shared.snapshot.load().as_ref().is_some_and(|shown| shown.directory == picture.directory);
        if !same {
            self.shared.listing.store(Arc::new(Listing::of(&picture, &wish.query)));
        }
        self.shared.snapshot.store(Some(picture));
        wish.dirty = same;
        self.changed.notify_one();
    }

    /// Shows nothing.
    pub(super) fn present_nothing(&self) {
        let mut wish = self.wish();
        wish.dirty = false;
        self.shared.listing.store(Arc::default());
        self.shared.snapshot.store(None);
    }

    /// Ends the thread.
    pub(super) fn end(&self) {
        self.wish().ended = true;
        self.changed.notify_one();
    }

    fn run(&self) {
        let mut lately = Lately::default();
        loop {
            let query = {
                let mut wish = self.wish();
                while !wish.dirty && !wish.ended {
                    wish = self.changed.wait(wish).unwrap_or_else(PoisonError::into_inner);
                }
                if wish.ended {
                    return;
                }
                wish.dirty = false;
                wish.query.clone()
            };
            let Some(picture) = self.shared.snapshot.load_full() else { continue };
            let listing = lately.renewed(&picture, &query).or_else(|| {
                let mut first = |listing| self.publish(&picture, &Arc::new(listing));
                // Another picture alone makes nothing void: where one follows the other, no listing would come to its end.
                let void = || self.wish().query != query;
                let began = self.system.monotonic();
                let due = || self.system.monotonic().saturating_sub(began) >= FIRST_BY;
                Listing::in_steps(&picture, &query, Steps { first: &mut first, due: &due, void: &void })
            });
            let Some(listing) = listing else { continue };
            let listing = Arc::new(listing);
            self.publish(&picture, &listing);
            lately.add(picture, listing);
        }
    }

    fn publish(&self, picture: &Snapshot, listing: &Arc<Listing>) {
        let wish = self.wish();
        // Another directory was shown meanwhile, with a listing of its own.
        let still = self.shared.snapshot.load().as_ref().is_some_and(|now| now.directory == picture.directory);
        if still {
            self.shared.listing.store(Arc::clone(listing));
        }
        drop(wish);
        (self.wake)();
    }
}

type Listed = (Arc<Snapshot>, Arc<Listing>);

/// What was listed last, to make the next from it; and what was listed before that: once nobody looks at it any more, its
/// rows become the next ones. To copy a million for each change would take longer than all else.
#[derive(Default)]
struct Lately {
    last: Option<Listed>,
    before: Option<Listed>,
}

impl Lately {
    fn renewed(&mut self, picture: &Snapshot, query: &Query) -> Option<Listing> {
        if let Some((was, listing)) = self.before.take()
            && listing.can_be_renewed(&was, picture, query)
            && let Ok(unseen) = Arc::try_unwrap(listing)
            && let Some(renewed) = unseen.renewed(&was, picture)
        {
            return Some(renewed);
        }
        let (was, listing) = self.last.as_ref().filter(|(was, listing)| listing.can_be_renewed(was, picture, query))?;
        Listing::clone(listing).renewed(was, picture)
    }

    fn add(&mut self, picture: Arc<Snapshot>, listing: Arc<Listing>) {
        self.before = self.last.replace((picture, listing));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::history::recorder::tests::Film;
    use crate::engine::listing::SortKey;
    use crate::model::verdict::Verdict;
    use proptest::prelude::*;

    /// One to three locks become another, appear or go.
    type Step = Vec<(u32, Option<(u8, usize)>)>;

    fn steps() -> impl Strategy<Value = Vec<(Step, bool)>> {
        let change = (0..40_u32, proptest::option::weighted(0.8, (0..20_u8, 0..3_usize)));
        let one = proptest::collection::vec(change.clone(), 1);
        let some = proptest::collection::vec(change, 2..4);
        proptest::collection::vec((prop_oneof![4 => one, 1 => some], any::<bool>()), 1..40)
    }

    proptest! {
        #[test]
        fn what_is_made_from_earlier_listings_is_what_would_be_made_anew(steps in steps(), descending: bool, by_name: bool) {
            let sort = if by_name { SortKey::Lock } else { SortKey::Verdict };
            let query = Query { sort, descending, ..Query::default() };
            let verdicts = [Verdict::Stale, Verdict::Unknown, Verdict::NotALock];
            let mut film = Film::new();
            let mut lately = Lately::default();
            // Somebody still looks at it, now and then.
            let mut looked_at = None;
            let mut renewed = 0;
            for (number, (step, looks)) in steps.iter().enumerate() {
                for (id, to) in step {
                    match to {
                        Some((name, verdict)) => {
                            film.put(*id, &format!("{name:02}-{id:02}.lock"), verdicts[*verdict], &[], &[])
                        }
                        None => film.slot(*id, None),
                    };
                }
                film.snapshot.generation = number as u64 + 1;
                let picture = Arc::new(film.snapshot.clone());
                let anew = Listing::of(&picture, &query);
                let listing = match lately.renewed(&picture, &query) {
                    Some(listing) => {
                        renewed += 1;
                        listing
                    }
                    None => anew.clone(),
                };
                prop_assert_eq!(&listing.rows, &anew.rows);
                prop_assert_eq!((listing.matching, listing.generation), (anew.matching, anew.generation));
                let listing = Arc::new(listing);
                looked_at = looks.then(|| Arc::clone(&listing)).or(looked_at);
                lately.add(picture, listing);
            }
            prop_assert_eq!(renewed + 1, steps.len());
        }
    }
}
