//! The cells of the table: what each column says of a lock.

use super::display_name::{elided, visible, visible_name};
use super::icons::Icon;
use super::tokens::{self, Palette};
use super::widgets::cut;
use crate::engine::settings::Column;
use crate::model::holder::Liveness;
use crate::model::snapshot::{Lock, Moment};
use crate::model::time::{say_duration, say_duration_drawn_in};
use crate::model::verdict::{Gone, Verdict};
use eframe::egui::{self, Align, Layout, Rect, RichText, Sense, Ui, Vec2};
use std::time::Duration;

/// Lays out a cell with the table's margins, from the right where numbers stand.
pub(super) fn cell_frame<R>(
    ui: &mut Ui, rect: Rect, number: bool, parent: Option<egui::Id>, content: impl FnOnce(&mut Ui) -> R,
) -> R {
    let inner = rect.shrink2(Vec2::new(12.0, 0.0)).with_max_x(rect.right() - 2.0);
    let layout = if number { Layout::right_to_left(Align::Center) } else { Layout::left_to_right(Align::Center) };
    let inner = if number { inner.with_max_x(rect.right() - 10.0) } else { inner };
    let mut builder = egui::UiBuilder::new().max_rect(inner).layout(layout);
    builder.accessibility_parent = parent;
    ui.scope_builder(builder, |ui| {
        ui.set_clip_rect(ui.clip_rect().intersect(rect));
        content(ui)
    })
    .inner
}

/// Draws one cell; gives when its text will change by time alone.
pub(super) fn lock_cell(ui: &mut Ui, lock: &Lock, column: Column, moment: &Moment<'_>) -> Option<Duration> {
    let palette = Palette::of(ui);
    let verdict = lock.judgement.verdict;
    match column {
        Column::Verdict => {
            let color = palette.verdict(verdict);
            Icon::of(verdict).show(ui, color);
            if let Some(danger) = lock.facts.danger() {
                let (rect, response) = ui.allocate_exact_size(Vec2::splat(tokens::ICON), Sense::hover());
                Icon::Warning.image(palette.verdict(Verdict::Stale)).paint_at(ui, rect);
                response.on_hover_text(format!("Danger: {}", danger.title()));
            }
            cut(ui, RichText::new(verdict.title()).color(color));
        }
        Column::Lock => name_cell(ui, lock),
        Column::Holder => holder_cell(ui, lock),
        Column::Format => {
            cut(ui, RichText::new(lock.facts.reading().format.title).color(palette.muted));
        }
        Column::Age => return age_cell(ui, lock, moment),
        Column::Liveness => {
            let (text, known) = liveness_words(lock);
            cut(ui, RichText::new(text).color(if known { palette.text } else { palette.muted }));
        }
        Column::Waiting => {
            if !lock.facts.waiters().is_empty() {
                cut(ui, RichText::new(lock.facts.waiters().len().to_string()));
            }
        }
    }
    None
}

/// The group's part of the name is dimmed; a long name loses its middle.
fn name_cell(ui: &mut Ui, lock: &Lock) {
    let palette = Palette::of(ui);
    let full = lock.path.to_string_lossy();
    let group = String::from_utf8_lossy(lock.naming.group(lock.path.as_encoded_bytes()));
    let keyed = !lock.naming.key.is_empty();
    let prefix = if keyed && full.starts_with(&*group) { group.len() + 1 } else { 0 };
    let prefix = if full.is_char_boundary(prefix) { prefix } else { 0 };
    let (head, tail) = (visible_name(&full[..prefix]), visible_name(&full[prefix..]));
    // Cut in the middle by ourselves, before the label cuts at the end. By the average width of this name's own letters, and
    // two less, as those that stay may be wide ones.
    let letters = head.chars().count() + tail.chars().count();
    let whole = ui.painter().layout_no_wrap(format!("{head}{tail}"), tokens::body(), palette.text).size().x;
    let room = ui.available_width();
    let too_long = whole > room;
    let fits = if too_long { ((letters as f32 * room / whole) as usize).saturating_sub(2) } else { letters };
    let mut job = egui::text::LayoutJob::default();
    let format =
        |color| egui::TextFormat { font_id: tokens::body(), color, valign: Align::Center, ..Default::default() };
    if too_long && head.chars().count() + 8 > fits {
        job.append(&elided(&format!("{head}{tail}"), fits), 0.0, format(palette.text));
    } else {
        job.append(&head, 0.0, format(palette.muted));
        let room = fits.saturating_sub(head.chars().count());
        job.append(&if too_long { elided(&tail, room) } else { tail.clone() }, 0.0, format(palette.text));
    }
    let response = cut(ui, job);
    if too_long {
        response.on_hover_text(format!("{head}{tail}"));
    }
}

/// The holder; dimmed, the owner that the record names where nobody holds.
fn holder_cell(ui: &mut Ui, lock: &Lock) {
    let palette = Palette::of(ui);
    if let Some((process, _)) = lock.holder() {
        let text = format!("{} · {}", process.pid, visible(process.name()));
        let command = process.facts.as_ref().map(|facts| visible(&facts.command)).filter(|text| !text.is_empty());
        let response = cut(ui, text);
        if let Some(command) = command {
            response.on_hover_text(command);
        }
    } else if let Some(record) = lock.facts.reading().record()
        && let Some(pid) = record.pid
    {
        let mut text = pid.to_string();
        let host = record.host.as_deref().filter(|_| lock.judgement.verdict == Verdict::Foreign);
        if let Some(host) = host {
            text += " · on ";
            text += &visible(host);
        } else if let Some(word) = record.command.as_deref().and_then(|command| command.split_whitespace().next()) {
            text += " · ";
            text += &visible(word);
        }
        cut(ui, RichText::new(text).color(palette.muted));
    } else {
        cut(ui, RichText::new("—").color(palette.muted));
    }
}

/// The age, over a bar that fills on the way to the threshold where that matters.
fn age_cell(ui: &mut Ui, lock: &Lock, moment: &Moment<'_>) -> Option<Duration> {
    let palette = Palette::of(ui);
    let Some(age) = lock.age(moment) else {
        cut(ui, RichText::new("ahead").color(palette.muted)).on_hover_text("Its modification time lies in the future.");
        return None;
    };
    let verdict = lock.judgement.verdict;
    let with_bar = matches!(verdict, Verdict::Stale | Verdict::Orphaned);
    let rect = ui.max_rect();
    let lift = if with_bar { 2.0 } else { 0.0 };
    ui.painter().text(
        rect.right_center() - Vec2::new(0.0, lift),
        egui::Align2::RIGHT_CENTER,
        say_duration(age),
        tokens::body(),
        palette.text,
    );
    if with_bar {
        let track = Rect::from_min_size(egui::pos2(rect.right() - 84.0, rect.bottom() - 7.0), Vec2::new(84.0, 3.0));
        ui.painter().rect_filled(track, 2.0, palette.line);
        let share = (age.as_secs_f32() / moment.threshold.as_secs_f32().max(0.001)).clamp(0.0, 1.0);
        let filled = track.with_max_x(track.left() + track.width() * share);
        ui.painter().rect_filled(filled, 2.0, palette.verdict(verdict));
    }
    Some(say_duration_drawn_in(age))
}

/// What the holder or owner is, in a word or two.
pub(super) fn liveness_words(lock: &Lock) -> (&'static str, bool) {
    match (lock.judgement.liveness, lock.judgement.verdict, lock.judgement.gone) {
        (Liveness::Alive, _, _) => match lock.judgement.row {
            17 => ("alive, other program", true),
            20 => ("child at work", true),
            26 => ("alive, has it open", true),
            27 => ("alive, at work here", true),
            _ => ("alive", true),
        },
        (Liveness::Gone, _, Some(Gone::OtherToken | Gone::OtherUser | Gone::StartedLater)) => ("PID reused", false),
        (Liveness::Gone, _, _) => ("gone", false),
        (Liveness::Unknown, Verdict::Foreign, _) => ("elsewhere", false),
        (Liveness::Unknown, Verdict::Suspect, _) => ("nobody seen", false),
        (Liveness::Unknown, Verdict::Idle | Verdict::NotALock, _) => ("—", false),
        (Liveness::Unknown, _, _) => ("not known", false),
    }
}
