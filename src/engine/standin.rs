//! What stands behind the window where nothing is looked at: in tests of the window, and for its pictures.
//!
//! Owns: [`StandIn`], the other end of an engine without threads. Never: starts a thread, or looks at anything itself.

use super::listing::{Listing, Query};
use super::places::Place;
use super::watched::Watched;
use super::{Command, Engine, Event, Shared};
use crate::model::snapshot::Snapshot;
use crossbeam_channel::{Receiver, Sender};
use std::sync::Arc;

/// The other end of an engine without threads: publishes what it is told to, and hears what is asked for.
#[derive(Debug)]
pub struct StandIn {
    shared: Arc<Shared>,
    commands: Receiver<Command>,
    tell: Sender<Event>,
    query: Query,
}

impl StandIn {
    /// An engine that shows these, and its other end.
    pub fn engine(watched: Vec<Watched>, places: Vec<Place>, query: &Query) -> (Engine, Self) {
        let (engine, commands, tell) = Engine::detached_with(watched, places, query);
        let shared = Arc::clone(&engine.shared);
        (engine, Self { shared, commands, tell, query: query.clone() })
    }

    /// Another picture of the directory that is shown.
    pub fn show(&self, mut snapshot: Snapshot) {
        // As the store does: what has not changed is the very same.
        if let Some(before) = self.shared.snapshot.load_full() {
            for chunk in &mut snapshot.chunks {
                for lock in Arc::make_mut(chunk).iter_mut().flatten() {
                    if let Some(same) = before.find(&lock.path).filter(|known| ***known == **lock) {
                        *lock = Arc::clone(same);
                    }
                }
            }
        }
        let picture = Arc::new(snapshot);
        let mut watched = Vec::clone(&self.shared.watched.load());
        for one in watched.iter_mut().filter(|one| one.shown) {
            one.picture = Some(Arc::clone(&picture));
        }
        self.shared.watched.store(Arc::new(watched));
        self.shared.listing.store(Arc::new(Listing::of(&picture, &self.query)));
        self.shared.snapshot.store(Some(picture));
    }

    /// Something to tell.
    pub fn tell(&self, event: Event) {
        // A send fails only after the window has gone.
        let _ = self.tell.send(event);
    }

    /// What was asked for since the last time. A wish for another listing is granted.
    pub fn asked(&mut self) -> Vec<Command> {
        let asked: Vec<Command> = self.commands.try_iter().collect();
        for command in &asked {
            if let Command::List(query) = command {
                self.query = query.clone();
                if let Some(snapshot) = self.shared.snapshot.load_full() {
                    self.shared.listing.store(Arc::new(Listing::of(&snapshot, query)));
                }
            }
        }
        asked
    }
}
