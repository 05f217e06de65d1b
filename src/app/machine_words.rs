//! The words for the machine's locks: who does what, where, for how long; and what could not be seen.

use super::display_name::{short_path, visible};
use super::icons::Icon;
use super::tokens::{self, Palette};
use super::widgets::muted;
use crate::model::machine::{MachineLock, MachinePicture, Place};
use crate::model::time::say_duration;
use eframe::egui::{Align, Label, Layout, RichText, Ui, Vec2};
use std::time::Duration;

/// Who has it, or waits for it.
pub(super) fn headline(picture: &MachinePicture, at: usize) -> String {
    let lock = &picture.locks[at];
    let who = match (lock.process(), lock.line.pid()) {
        (Some(process), _) => format!("{} (PID {})", process.name(), process.pid),
        (None, Some(pid)) => format!("PID {pid}"),
        (None, None) => "A process that is not named".to_owned(),
    };
    let does = if lock.is_waiting() { "waits for" } else { "holds" };
    let kind = lock.line.kind.word();
    let mode = if lock.line.exclusive { "exclusive" } else { "shared" };
    let range = if lock.line.start == 0 && lock.line.end.is_none() {
        String::new()
    } else {
        format!(" on bytes {}", lock.range())
    };
    let waiting = match picture.waiters_of(at) {
        0 => String::new(),
        waiting => format!(", {waiting} waiting"),
    };
    format!("{who} {does} {} {mode} {kind} lock{range}{waiting}", if mode == "exclusive" { "an" } else { "a" })
}

/// Where it is, or why that cannot be seen.
pub(super) fn place_words(lock: &MachineLock) -> String {
    match &lock.place {
        Place::Seen { path, deleted, elsewhere } => {
            let deleted = if *deleted { " (deleted)" } else { "" };
            let elsewhere = if *elsewhere { " (in its container)" } else { "" };
            format!("{}{deleted}{elsewhere}", short_path(path, None))
        }
        Place::Unseen { why, mount } => {
            let on = mount.as_ref().map_or_else(String::new, |mount| format!(" on {}", short_path(mount, None)));
            let inode = lock.line.file.map_or_else(String::new, |file| format!(", inode {}", file.ino));
            format!("Path not seen{on}{inode}. {}", visible(&why.why()))
        }
    }
}

/// What is to say about somebody who waits.
pub(super) fn waiting_words(lock: &MachineLock, seen: Duration) -> String {
    let mut text = format!("Seen waiting for {}; the kernel does not tell since when.", say_duration(seen));
    if lock.in_circle {
        text += " It waits in a circle: whom it waits for waits for it. Unless another of their threads lets go, this does \
                 not end by itself.";
    }
    text
}

/// An error as a sentence.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).chain(['.']).collect())
}

/// Instead of rows.
pub(super) fn said(ui: &mut Ui, icon: Icon, title: &str, text: &str, note: &str) {
    let palette = Palette::of(ui);
    ui.vertical_centered(|ui| {
        ui.add_space((ui.available_height() / 2.0 - 90.0).max(24.0));
        ui.add(icon.sized(34.0, palette.muted));
        ui.add_space(8.0);
        ui.label(RichText::new(visible(title)).font(tokens::title()));
        let width = 480.0_f32.min(ui.available_width() - 32.0);
        ui.allocate_ui_with_layout(Vec2::new(width, 0.0), Layout::top_down(Align::Center), |ui| {
            ui.add(Label::new(muted(ui, visible(text))).wrap());
            if !note.is_empty() {
                ui.add_space(4.0);
                ui.add(Label::new(muted(ui, note).font(tokens::small())).wrap());
            }
        });
        ui.add_space(8.0);
    });
}
