//! Where the focus goes back to when a dialog closes: to what had it before, not to nowhere.

use super::window::Window;
use eframe::egui::{self, Id};

/// What had the focus before a dialog was opened.
#[derive(Default)]
pub(super) struct FocusBefore {
    last: Option<Id>,
    asking: bool,
    /// Frames in which it is still to be given back: egui lets go of the dialog one frame after it has closed.
    giving: u8,
}

impl Window {
    /// At the end of a frame.
    pub(super) fn give_focus_back(&mut self, ctx: &egui::Context) {
        let asking = self.is_asking();
        if self.focus.asking && !asking {
            self.focus.giving = 2;
        }
        self.focus.asking = asking;
        if self.focus.giving > 0 && !asking {
            self.focus.giving -= 1;
            if let Some(last) = self.focus.last {
                ctx.memory_mut(|memory| memory.request_focus(last));
                ctx.request_repaint();
            }
            return;
        }
        // What is in a menu goes with it.
        if !asking && !egui::Popup::is_any_open(ctx) {
            self.focus.last = ctx.memory(egui::Memory::focused);
        }
    }
}
