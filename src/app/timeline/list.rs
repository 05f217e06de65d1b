//! The timeline in words: the last holds, newest first. For who cannot see the drawing, and for who wants it exact.
//!
//! Owns: the list. Never: another truth than the drawing's.

use super::{Act, words};
use crate::app::tokens;
use crate::app::visible_name;
use crate::app::widgets::{cut, muted};
use crate::engine::history::{History, Hold, LockHistory};
use crate::model::time::Wall;
use eframe::egui::{self, RichText, ScrollArea, Ui};
use jiff::tz::TimeZone;
use std::ffi::OsStr;
use std::sync::Arc;

/// So many holds at most.
const MOST: usize = 200;
const ROW: f32 = 24.0;

pub(super) fn show(
    ui: &mut Ui, history: &Arc<History>, one: Option<&OsStr>, now: Wall, zone: &TimeZone, acts: &mut Vec<Act>,
) {
    let holds = newest(history, one);
    ui.spacing_mut().item_spacing.y = 0.0;
    ui.spacing_mut().interact_size.y = ROW;
    ScrollArea::vertical().id_salt("holds").auto_shrink([false, false]).show_rows(ui, ROW, holds.len(), |ui, range| {
        for (lock, hold) in &holds[range] {
            let mut text = words::hold(hold, now, zone);
            let waits: Vec<String> = lock.waits_during(hold, now).take(3).map(|wait| words::wait(wait, now)).collect();
            if !waits.is_empty() {
                text += "; ";
                text += &waits.join(", ");
            }
            ui.horizontal(|ui| {
                ui.set_height(ROW);
                ui.spacing_mut().interact_size.y = ROW;
                ui.spacing_mut().button_padding = egui::vec2(4.0, 0.0);
                if one.is_none() {
                    let name = visible_name(&lock.path.to_string_lossy());
                    let button = egui::Button::new(RichText::new(crate::app::elided(&name, 40))).frame(false);
                    if ui.add(button).on_hover_text(name).clicked() {
                        acts.push(Act::Choose(Arc::clone(&lock.path)));
                    }
                }
                cut(ui, muted(ui, text.clone()).font(tokens::small())).on_hover_text(text);
            });
        }
    });
    if holds.iter().any(|(_, hold)| hold.ended.is_none()) {
        ui.ctx().request_repaint_after(std::time::Duration::from_secs(1));
    }
}

fn newest<'a>(history: &'a History, one: Option<&OsStr>) -> Vec<(&'a LockHistory, &'a Hold)> {
    let of = |lock: &'a Arc<LockHistory>| lock.holds.iter().map(move |hold| (&**lock, hold));
    let mut holds: Vec<_> = match one {
        Some(path) => history.lock(path).into_iter().flat_map(of).collect(),
        None => history.locks().flat_map(of).collect(),
    };
    // What is under way comes first, then the newest.
    let key = |(lock, hold): &(&LockHistory, &Hold)| {
        (hold.ended.is_some(), std::cmp::Reverse(hold.began), Arc::clone(&lock.path))
    };
    if holds.len() > MOST {
        holds.select_nth_unstable_by_key(MOST, key);
        holds.truncate(MOST);
    }
    holds.sort_by_cached_key(key);
    holds
}
