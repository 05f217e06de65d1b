//! Pause: the picture stands still while what is behind it goes on.
//!
//! Owns: [`Paused`]. Ages go on too, and so does the clear's own check. Never: keeps the engine from looking.

use super::window::Window;
use crate::engine::listing::{Listing, Query};
use crate::model::snapshot::Snapshot;
use eframe::egui;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};

/// A picture that stands still.
pub(super) struct Paused {
    picture: Arc<Snapshot>,
    /// How many locks have changed since.
    pub(super) waiting: usize,
    /// The generation that they were counted in.
    counted: u64,
    /// The question that the rows answer, and a better answer on its way.
    asked: Query,
    answer: Option<Receiver<Listing>>,
}

impl Window {
    /// Pauses, or goes on.
    pub(super) fn toggle_pause(&mut self) {
        self.paused = match (self.paused.take(), &self.snapshot) {
            (None, Some(picture)) => Some(Paused {
                picture: Arc::clone(picture),
                waiting: 0,
                counted: picture.generation,
                asked: self.query.clone(),
                answer: None,
            }),
            _ => None,
        };
        let text = if self.paused.is_some() { "Paused. Nothing moves until you go on." } else { "Live again." };
        self.announce(text.to_owned());
    }

    /// The picture as it is now, also behind one that stands still.
    pub(super) fn newest(&self) -> Option<Arc<Snapshot>> {
        self.engine.snapshot()
    }

    /// The picture to show, given the newest.
    pub(super) fn picture(&mut self, newest: Option<Arc<Snapshot>>) -> Option<Arc<Snapshot>> {
        let Some(paused) = &mut self.paused else { return newest };
        let Some(newest) = newest.filter(|newest| newest.directory == paused.picture.directory) else {
            // Another folder, or none.
            self.paused = None;
            return self.engine.snapshot();
        };
        if paused.counted != newest.generation {
            paused.counted = newest.generation;
            paused.waiting = paused.picture.differences(&newest);
        }
        Some(Arc::clone(&paused.picture))
    }

    /// The rows to show while the picture stands still: another order or filter is made from it, off this thread.
    pub(super) fn paused_listing(&mut self, ctx: &egui::Context) -> Option<Arc<Listing>> {
        let paused = self.paused.as_mut()?;
        if paused.asked != self.query {
            let (tell, told) = channel();
            let (picture, query, ctx) = (Arc::clone(&paused.picture), self.query.clone(), ctx.clone());
            let work = move || {
                let _ = tell.send(Listing::of(&picture, &query));
                ctx.request_repaint_of(egui::ViewportId::ROOT);
            };
            if std::thread::Builder::new().name("paused-listing".into()).spawn(work).is_ok() {
                paused.answer = Some(told);
            }
            paused.asked = self.query.clone();
        }
        match paused.answer.as_ref().map(Receiver::try_recv) {
            Some(Ok(listing)) => {
                paused.answer = None;
                Some(Arc::new(listing))
            }
            Some(Err(TryRecvError::Disconnected)) => {
                paused.answer = None;
                None
            }
            _ => None,
        }
    }
}
