//! What stands behind the window where nothing is looked at: in tests of the window, and for its pictures.
//!
//! Owns: [`StandIn`], the other end of an engine without threads. Never: starts a thread, or looks at anything itself.

use super::listing::{Listing, Query};
use super::{Command, Engine, Event, JournalLine, Shared};
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
    /// An engine that shows `snapshot`, and its other end.
    pub fn engine(snapshot: Option<Snapshot>, query: &Query) -> (Engine, Self) {
        let (engine, commands, tell) = Engine::detached(snapshot, query);
        let shared = Arc::clone(&engine.shared);
        (engine, Self { shared, commands, tell, query: query.clone() })
    }

    /// Another picture.
    pub fn show(&self, snapshot: Snapshot) {
        self.shared.listing.store(Arc::new(Listing::of(&snapshot, &self.query)));
        self.shared.snapshot.store(Some(Arc::new(snapshot)));
    }

    /// Another journal, oldest first.
    pub fn show_journal(&self, lines: Vec<JournalLine>) {
        self.shared.journal.store(Arc::new(lines));
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
