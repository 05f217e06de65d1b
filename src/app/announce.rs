//! What is said aloud by a screen reader without being looked for: results, and why a lock is as it is.
//!
//! Owns: [`Announcements`]. Each is a node of its own that is there for a few frames, so that the same words twice are
//! said twice. Never: shows anything.

use super::display_name::visible;
use super::window::Window;
use crate::model::snapshot::LockId;
use crate::model::verdict::Verdict;
use eframe::egui::accesskit::Live;
use eframe::egui::{self, Role, Sense, Ui, Vec2};
use std::collections::VecDeque;

/// So many of the last ones stay in the tree.
const KEPT: usize = 3;

/// The last things that were said.
#[derive(Default)]
pub(super) struct Announcements {
    said: VecDeque<(u64, String, bool)>,
    number: u64,
    /// Whose sentence was said last, and which verdict it had.
    sentence: Option<(LockId, Verdict)>,
}

impl Window {
    /// Says something when there is a pause in speaking.
    pub(super) fn announce(&mut self, text: String) {
        self.announcements.add(text, false);
    }

    /// Says something at once: what went wrong.
    pub(super) fn announce_now(&mut self, text: String) {
        self.announcements.add(text, true);
    }

    /// The nodes that a screen reader hears of.
    pub(super) fn announcements(&mut self, ui: &mut Ui) {
        self.announce_sentence();
        for (number, text, urgent) in &self.announcements.said {
            let id = egui::Id::unique(("announcement", *number));
            let rect = egui::Rect::from_min_size(ui.max_rect().min, Vec2::ZERO);
            ui.interact(rect, id, Sense::HOVER);
            ui.ctx().accesskit_node_builder(id, |node| {
                node.set_role(if *urgent { Role::Alert } else { Role::Status });
                node.set_label(text.as_str());
                node.set_live(if *urgent { Live::Assertive } else { Live::Polite });
            });
        }
    }

    /// The sentence of the chosen lock: when it is chosen, and when its verdict becomes another. Its age goes on in silence.
    fn announce_sentence(&mut self) {
        let chosen = self.chosen().map(|lock| (lock.id, lock.judgement.verdict));
        if self.announcements.sentence == chosen {
            return;
        }
        self.announcements.sentence = chosen;
        let Some((snapshot, lock)) = self.snapshot.clone().zip(self.chosen().cloned()) else { return };
        let why = lock.why(&snapshot.moment_at(self.now.0, self.now.1));
        self.announce(visible(&why));
    }
}

impl Announcements {
    fn add(&mut self, text: String, urgent: bool) {
        self.number += 1;
        self.said.push_back((self.number, text, urgent));
        while self.said.len() > KEPT {
            self.said.pop_front();
        }
    }
}
