//! The listing thread: filters and sorts the picture that is shown by the newest query, over and over.
//!
//! Owns: which picture is shown, together with a listing of the same directory: ids of one directory mean other locks in
//! another. Never: lists what is in the background.

use super::Shared;
use super::listing::{FIRST_BY, Listing, Query, Steps};
use crate::model::snapshot::Snapshot;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

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
    wish: Mutex<Wish>,
    changed: Condvar,
}

impl Lister {
    /// Starts the thread.
    pub(super) fn start(shared: Arc<Shared>, wake: Arc<dyn Fn() + Send + Sync>) -> Arc<Self> {
        let lister = Arc::new(Self { shared, wake, wish: Mutex::default(), changed: Condvar::new() });
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
        // What was listed last, to make the next from it.
        let mut last: Option<(Arc<Snapshot>, Arc<Listing>)> = None;
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
            let renewed = last.as_ref().and_then(|(before, listing)| listing.renewed(before, &picture, &query));
            let listing = renewed.or_else(|| {
                let mut first = |listing| self.publish(&picture, &Arc::new(listing));
                // Another picture alone makes nothing void: where one follows the other, no listing would come to its end.
                let void = || self.wish().query != query;
                Listing::in_steps(&picture, &query, Steps { first: &mut first, first_by: FIRST_BY, void: &void })
            });
            let Some(listing) = listing else { continue };
            let listing = Arc::new(listing);
            self.publish(&picture, &listing);
            last = Some((picture, listing));
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
