//! The drawing: a lane a lock, or a lane a holder and a waiter; bars by verdict, with words or a pattern beside the colour.
//!
//! Owns: what is drawn where, and what is under the pointer. Never: a bar where nobody looked.

use super::lanes::Lanes;
use super::view::{View, mark_step, secs, wall};
use super::{Act, keys, words};
use crate::app::tokens::{self, Palette};
use crate::app::widgets::{elided_to, muted};
use crate::app::{visible, visible_name};
use crate::engine::history::{History, Hold, LockHistory, Start, Wait};
use crate::model::time::Wall;
use crate::model::verdict::Verdict;
use eframe::egui::{
    self, Align2, Color32, FontId, Pos2, Rect, RichText, ScrollArea, Sense, Stroke, StrokeKind, Ui, Vec2,
};
use egui_plot::{AxisHints, GridMark, Plot, PlotBounds};
use jiff::tz::TimeZone;
use std::ffi::OsStr;
use std::sync::Arc;
use std::time::Duration;

const LANE: f32 = 24.0;
const BAR: f32 = 16.0;
/// What is stuck, among all locks: the table says it already.
const THIN: f32 = 6.0;
const NAMES: f32 = 168.0;
const AXIS: f32 = 20.0;
/// Marks on the axis are at least so far apart, in points.
const MARKS: f32 = 88.0;
/// A bar is never narrower than this.
const THINNEST: f32 = 2.0;
/// So many sharers or waiters of one lock have lanes of their own.
const MOST_ROWS: usize = 24;

/// What is shown.
pub(super) struct Scene<'a> {
    pub(super) history: &'a Arc<History>,
    /// Only this lock.
    pub(super) one: Option<&'a OsStr>,
    /// Stands out among all.
    pub(super) chosen: Option<&'a OsStr>,
    pub(super) now: Wall,
    pub(super) zone: &'a TimeZone,
}

/// One row of the drawing.
struct Lane<'a> {
    name: String,
    /// The lock to choose by a click.
    lock: Option<&'a Arc<LockHistory>>,
    holds: Vec<&'a Hold>,
    waits: Vec<&'a Wait>,
    /// Waits are its matter, not a note below the holds.
    of_waits: bool,
}

pub(super) fn show(ui: &mut Ui, scene: &Scene<'_>, view: &View, lanes: &mut Lanes, acts: &mut Vec<Act>) {
    let all = ui.available_rect_before_wrap();
    let names = Rect::from_min_max(all.min, Pos2::new(all.left() + NAMES.min(all.width() / 3.0), all.bottom() - AXIS));
    let plot = Rect::from_min_max(Pos2::new(names.right() + 8.0, all.top()), all.max);
    let (left, right) = view.bounds(scene.now, plot.width());
    let steady = ui.rect_contains_pointer(all);
    let rows = if let Some(path) = scene.one {
        scene.history.lock(path).map(|lock| rows_of(lock, scene.now)).unwrap_or_default()
    } else {
        let order = lanes.of(scene.history, (wall(left), wall(right)), scene.now, steady);
        order.iter().filter_map(|path| scene.history.lock(path)).map(lane_of).collect()
    };
    let offset = name_column(ui, names, scene, &rows, acts);
    let mut under_pointer = None;
    ui.scope_builder(egui::UiBuilder::new().max_rect(plot), |ui| {
        let step = mark_step((right - left) * f64::from(MARKS / plot.width().max(1.0)));
        let zone = scene.zone.clone();
        let axis = AxisHints::new_x()
            .formatter(move |mark, _| words::mark(wall(mark.value), step, &zone))
            .tick_label_font(tokens::small())
            .tick_label_color(Palette::of(ui).muted)
            .min_thickness(AXIS);
        let shown = Plot::new("timeline-plot")
            .height(plot.height())
            .custom_x_axes(vec![axis])
            .show_axes([true, false])
            .show_grid([true, false])
            .show_background(false)
            .show_x(false)
            .show_y(false)
            .allow_zoom(false)
            .allow_scroll(false)
            .allow_drag(false)
            .allow_boxed_zoom(false)
            .allow_double_click_reset(false)
            .allow_axis_zoom_drag(false)
            .sense(Sense::click_and_drag())
            .grid_color(Palette::of(ui).line)
            .x_grid_spacer(move |input| marks(input.bounds, step))
            .show(ui, |plot| {
                plot.set_plot_bounds(PlotBounds::from_min_max([left, 0.0], [right, 1.0]));
            });
        let frame = *shown.transform.frame();
        let scale = Scale { frame, left, right };
        under_pointer = paint(ui, scene, &rows, &scale, offset);
        let response = shown.response;
        let (from, till) = (wall(left), wall(right));
        // All locks are counted for it: only where somebody reads it.
        let summary = || words::summary(scene.history, scene.one, (from, till), scene.now, scene.zone);
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, summary()));
        if response.has_focus() {
            let stroke = Stroke::new(1.5, Palette::of(ui).accent);
            ui.painter().rect_stroke(frame, 2.0, stroke, StrokeKind::Inside);
        }
        handle(ui, &response, &scale, view, scene, under_pointer.as_ref(), acts);
        if let Some(found) = &under_pointer {
            response.on_hover_ui_at_pointer(|ui| tooltip(ui, found, scene));
        }
    });
    let grows = rows.iter().any(|row| {
        row.holds.iter().any(|hold| hold.ended.is_none() || secs(hold.till(scene.now)) > left)
            || row.waits.iter().any(|wait| wait.till.is_none())
    });
    if grows && view.follows() {
        let pixel = view.span() / f64::from(plot.width().max(1.0));
        // In steps of a fortieth: to draw all of the window for each pixel that a bar grows is what an idle window costs.
        let step = (view.span() / 40.0).clamp(0.2, 60.0);
        ui.ctx().request_repaint_after(Duration::from_secs_f64(pixel.max(step)));
    }
}

/// Where a time stands.
struct Scale {
    frame: Rect,
    left: f64,
    right: f64,
}

impl Scale {
    fn x(&self, at: f64) -> f32 {
        let share = ((at - self.left) / (self.right - self.left)).clamp(-0.1, 1.1);
        self.frame.left() + share as f32 * self.frame.width()
    }

    fn at(&self, x: f32) -> f64 {
        self.left + f64::from((x - self.frame.left()) / self.frame.width().max(1.0)) * (self.right - self.left)
    }

    /// `None` where nothing of it is in sight.
    fn bar(&self, from: f64, till: f64, y: f32, height: f32) -> Option<Rect> {
        if till < self.left || from > self.right {
            return None;
        }
        let (a, b) = (self.x(from), self.x(till));
        Some(Rect::from_min_max(Pos2::new(a, y), Pos2::new(b.max(a + THINNEST), y + height)))
    }
}

/// What the pointer is at.
enum Found<'a> {
    Hold(&'a Lane<'a>, &'a Hold),
    Wait(&'a Wait),
    Gap(Wall, Wall),
    Free(&'a Lane<'a>),
}

fn lane_of(lock: &Arc<LockHistory>) -> Lane<'_> {
    Lane {
        name: visible_name(&lock.path.to_string_lossy()),
        lock: Some(lock),
        holds: lock.holds.iter().collect(),
        waits: lock.waits.iter().collect(),
        of_waits: false,
    }
}

/// The lanes of one lock: its holders, as many as it ever had at once, then its waiters.
fn rows_of(lock: &Arc<LockHistory>, now: Wall) -> Vec<Lane<'_>> {
    let holders = packed(&lock.holds, |hold| (hold.began, hold.till(now)));
    let waiters = packed(&lock.waits, |wait| (wait.from, wait.till.unwrap_or(now)));
    let lane = |name: &str, holds, waits, of_waits| Lane { name: name.to_owned(), lock: None, holds, waits, of_waits };
    let name = |at: usize, word: &str| if at == 0 { word.to_owned() } else { String::new() };
    let holders =
        holders.into_iter().enumerate().map(|(at, holds)| lane(&name(at, "Holder"), holds, Vec::new(), false));
    let waiters =
        waiters.into_iter().enumerate().map(|(at, waits)| lane(&name(at, "Waiting"), Vec::new(), waits, true));
    holders.chain(waiters).collect()
}

/// Puts spans into as few rows as they need without covering each other.
fn packed<T>(spans: &[T], times: impl Fn(&T) -> (Wall, Wall)) -> Vec<Vec<&T>> {
    let mut rows: Vec<Vec<&T>> = Vec::new();
    for span in spans {
        let free = rows.iter().position(|row| row.last().is_none_or(|last| times(last).1 <= times(span).0));
        match free {
            Some(at) => rows[at].push(span),
            None if rows.len() < MOST_ROWS => rows.push(vec![span]),
            None => {}
        }
    }
    rows
}

/// The names at the left; gives how far they are scrolled.
fn name_column(ui: &mut Ui, rect: Rect, scene: &Scene<'_>, rows: &[Lane<'_>], acts: &mut Vec<Act>) -> f32 {
    let palette = Palette::of(ui);
    let mut offset = 0.0;
    ui.scope_builder(egui::UiBuilder::new().max_rect(rect), |ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        ui.spacing_mut().interact_size.y = LANE;
        ui.spacing_mut().button_padding = Vec2::new(0.0, 2.0);
        let area = ScrollArea::vertical().id_salt("lanes").auto_shrink([false, false]).min_scrolled_height(0.0);
        let shown = area.show_rows(ui, LANE, rows.len(), |ui, range| {
            for row in &rows[range] {
                let Some(lock) = row.lock else {
                    let size = Vec2::new(ui.available_width(), LANE);
                    ui.allocate_ui_with_layout(size, egui::Layout::left_to_right(egui::Align::Center), |ui| {
                        ui.set_min_size(size);
                        ui.add(egui::Label::new(muted(ui, row.name.clone()).font(tokens::small())).selectable(false));
                    });
                    continue;
                };
                let chosen = scene.chosen == Some(&*lock.path);
                let color = if chosen { palette.text } else { palette.muted };
                let name = elided_to(ui.painter(), &row.name, &tokens::small(), ui.available_width());
                let text = RichText::new(name).font(tokens::small()).color(color);
                let button = egui::Button::new(text).frame(false).min_size(Vec2::new(0.0, LANE));
                let button = button.wrap_mode(egui::TextWrapMode::Extend);
                let response = ui.add(button);
                let note = words::in_short(lock, scene.now);
                response.widget_info(|| {
                    let now = lock.now.map_or("not there", Verdict::title);
                    egui::WidgetInfo::labeled(egui::Role::Button, true, format!("Lane {}, {now}, {note}", row.name))
                });
                if response.on_hover_text(&row.name).clicked() {
                    acts.push(Act::Choose(Arc::clone(&lock.path)));
                }
            }
        });
        offset = shown.state.clamped_offset().y;
    });
    offset
}

fn marks((from, till): (f64, f64), step: f64) -> Vec<GridMark> {
    let first = (from / step).ceil() as i64;
    let last = (till / step).floor() as i64;
    (first..=last.min(first + 64)).map(|at| GridMark { value: at as f64 * step, step_size: step }).collect()
}

/// Draws the lanes; gives what is under the pointer.
fn paint<'a>(ui: &Ui, scene: &Scene<'_>, rows: &'a [Lane<'a>], scale: &Scale, offset: f32) -> Option<Found<'a>> {
    let palette = Palette::of(ui);
    let painter = ui.painter_at(scale.frame);
    let pointer = ui.input(|input| input.pointer.hover_pos()).filter(|at| scale.frame.contains(*at));
    let gaps = scene.history.gaps(wall(scale.left), wall(scale.right), scene.now);
    let end = scale.x(secs(scene.now)).min(scale.frame.right());
    let mut found = None;
    for (at, row) in rows.iter().enumerate() {
        let top = scale.frame.top() + at as f32 * LANE - offset;
        if top + LANE < scale.frame.top() || top > scale.frame.bottom() {
            continue;
        }
        let y = top + (LANE - BAR) / 2.0;
        let color = if row.lock.is_some_and(|lock| scene.chosen == Some(&*lock.path)) {
            palette.selection
        } else {
            palette.raised
        };
        let track =
            Track { rect: Rect::from_min_max(Pos2::new(scale.frame.left(), y), Pos2::new(end, y + BAR)), color };
        let hit = pointer.filter(|at| at.y >= top && at.y < top + LANE);
        painter.rect_filled(track.rect, 3.0, track.color);
        if hit.is_some_and(|at| at.x <= end) {
            found = Some(Found::Free(row));
        }
        for hold in &row.holds {
            let thin = scene.one.is_none() && hold.verdict != Verdict::Held;
            let (y, height) = if thin { (y + (BAR - THIN) / 2.0, THIN) } else { (y, BAR) };
            let Some(bar) = scale.bar(secs(hold.began), secs(hold.till(scene.now)), y, height) else { continue };
            if thin {
                paint_stuck(&painter, palette, bar, track, hold);
            } else {
                paint_hold(&painter, palette, bar, scale.frame, hold);
            }
            if hit.is_some_and(|at| at.x >= bar.left() - 3.0 && at.x <= bar.right() + 3.0) {
                found = Some(Found::Hold(row, hold));
            }
        }
        for wait in &row.waits {
            let (y, height) = if row.of_waits { (y, BAR) } else { (y + BAR + 1.0, 3.0) };
            let till = secs(wait.till.unwrap_or(scene.now));
            let Some(bar) = scale.bar(secs(wait.from), till, y, height) else { continue };
            if row.of_waits {
                paint_wait(&painter, palette, bar, scale.frame, wait);
                if hit.is_some_and(|at| at.x >= bar.left() - 3.0 && at.x <= bar.right() + 3.0) {
                    found = Some(Found::Wait(wait));
                }
            } else {
                painter.rect_filled(bar, 1.0, palette.accent);
            }
        }
        // Over everything: what nobody watched is neither held nor free.
        for (number, (from, till)) in gaps.iter().enumerate() {
            let Some(gap) = scale.bar(secs(*from), secs(*till), y - 2.0, BAR + 6.0) else { continue };
            let gap = gap.intersect(scale.frame);
            painter.rect_filled(gap, 0.0, palette.panel);
            hatch(&painter, gap.shrink2(Vec2::new(0.0, 2.0)), palette.line, 6.0);
            if at == 0 && gap.width() > 96.0 {
                let text = painter.layout_no_wrap("not watched".to_owned(), tokens::small(), palette.muted);
                let rect = Rect::from_center_size(gap.center(), text.size() + Vec2::new(12.0, 0.0));
                painter.rect_filled(rect, 3.0, palette.panel);
                painter.galley(rect.center() - text.size() / 2.0, text, palette.muted);
            }
            if hit.is_some_and(|at| gap.x_range().contains(at.x)) {
                found = gaps.get(number).map(|(from, till)| Found::Gap(*from, *till));
            }
        }
    }
    let now = scale.x(secs(scene.now));
    painter.vline(now, scale.frame.y_range(), Stroke::new(1.0, palette.accent));
    found
}

/// The ground of a lane.
#[derive(Clone, Copy)]
struct Track {
    rect: Rect,
    color: Color32,
}

/// A thin, pale, striped line with its word in it.
fn paint_stuck(painter: &egui::Painter, palette: &Palette, bar: Rect, track: Track, hold: &Hold) {
    let color = palette.verdict(hold.verdict);
    let seen = within(bar, track.rect);
    painter.rect_filled(seen, 2.0, color.gamma_multiply(0.4));
    hatch(painter, seen, track.color, 7.0);
    let lane = seen.with_min_y(track.rect.top()).with_max_y(track.rect.bottom());
    label(painter, lane, &[&word_of(hold), hold.verdict.title()], color, track.color, 8.0);
}

/// Who has it; of what is no hold any more what it is, too.
fn word_of(hold: &Hold) -> String {
    match hold.verdict {
        Verdict::Held => visible(&hold.who.say()),
        other => match hold.who.pid {
            Some(_) => format!("{} · {}", other.title(), visible(&hold.who.say())),
            None => other.title().to_owned(),
        },
    }
}

fn paint_hold(painter: &egui::Painter, palette: &Palette, bar: Rect, frame: Rect, hold: &Hold) {
    let color = palette.verdict(hold.verdict);
    painter.rect_filled(bar, 3.0, color);
    let seen = within(bar, frame);
    if hold.burst.is_some() {
        comb(painter, seen, palette.raised);
    }
    if hold.verdict != Verdict::Held {
        // Left behind, elsewhere or not known: striped, whatever the colour.
        hatch(painter, seen, palette.background.gamma_multiply(0.45), 7.0);
    } else if !hold.exclusive {
        painter.rect_filled(seen.shrink2(Vec2::new(2.0, 4.0)), 2.0, palette.raised.gamma_multiply(0.6));
    }
    if hold.start == Start::Since && bar.width() > 10.0 {
        // Its beginning is torn off: nobody saw it.
        for step in 0..3 {
            let x = bar.left() + 1.0 + 3.0 * step as f32;
            painter.vline(x, bar.y_range(), Stroke::new(1.0, palette.raised));
        }
    }
    let word = word_of(hold);
    let margin = if hold.start == Start::Since { 14.0 } else { 6.0 };
    let shorter = hold.who.pid.map(|pid| pid.to_string()).unwrap_or_default();
    label(painter, seen, &[&word, &shorter], palette.background, color, margin);
}

fn paint_wait(painter: &egui::Painter, palette: &Palette, bar: Rect, frame: Rect, wait: &Wait) {
    painter.rect_filled(bar, 3.0, palette.panel);
    painter.rect_stroke(bar, 3.0, Stroke::new(1.0, palette.accent), StrokeKind::Inside);
    let shorter = wait.who.pid.map(|pid| pid.to_string()).unwrap_or_default();
    label(painter, within(bar, frame), &[&visible(&wait.who.say()), &shorter], palette.text, palette.panel, 6.0);
}

/// What of a bar lies between left and right; what lies above or below is cut by the painter.
fn within(bar: Rect, frame: Rect) -> Rect {
    bar.with_min_x(bar.left().max(frame.left())).with_max_x(bar.right().min(frame.right()))
}

/// The first of these words that the bar has room for; on a ground of its own, as the bar may be patterned.
fn label(painter: &egui::Painter, bar: Rect, words: &[&str], color: Color32, ground: Color32, margin: f32) {
    let room = bar.width() - margin - 6.0;
    if room < 16.0 {
        return;
    }
    for word in words {
        let font = FontId::new(11.0, egui::FontFamily::Proportional);
        let galley = painter.layout_no_wrap((*word).to_owned(), font, color);
        if galley.size().x <= room && !word.is_empty() {
            let at = Align2::LEFT_CENTER.anchor_size(Pos2::new(bar.left() + margin, bar.center().y), galley.size());
            painter.rect_filled(at.expand2(Vec2::new(2.0, 0.0)), 2.0, ground);
            painter.galley(at.min, galley, color);
            return;
        }
    }
}

/// Slanted lines; only what lies in the rectangle.
fn hatch(painter: &egui::Painter, rect: Rect, color: Color32, apart: f32) {
    if !rect.is_positive() || rect.width() < 3.0 {
        return;
    }
    let painter = painter.with_clip_rect(painter.clip_rect().intersect(rect));
    let stroke = Stroke::new(1.5, color);
    // On a raster of their own, so that they stand still while the bar grows.
    let mut x = ((rect.left() - rect.height()) / apart).floor() * apart;
    while x < rect.right() {
        painter.line_segment([Pos2::new(x, rect.bottom()), Pos2::new(x + rect.height(), rect.top())], stroke);
        x += apart;
    }
}

/// Upright lines: many in one.
fn comb(painter: &egui::Painter, rect: Rect, color: Color32) {
    let mut x = rect.left() + 4.0;
    while x < rect.right() - 1.0 {
        painter.vline(x, rect.y_range(), Stroke::new(1.0, color));
        x += 4.0;
    }
}

fn handle(
    ui: &Ui, response: &egui::Response, scale: &Scale, view: &View, scene: &Scene<'_>, found: Option<&Found<'_>>,
    acts: &mut Vec<Act>,
) {
    if response.double_clicked() {
        acts.push(Act::Fit);
    } else if response.clicked() {
        let lock = match found {
            Some(Found::Hold(row, _) | Found::Free(row)) => row.lock,
            _ => None,
        };
        acts.extend(lock.map(|lock| Act::Choose(Arc::clone(&lock.path))));
        response.request_focus();
    }
    if response.dragged() {
        let by = f64::from(-response.drag_delta().x / scale.frame.width().max(1.0)) * view.span();
        if by != 0.0 {
            acts.push(Act::Pan(by));
        }
    }
    if let Some(at) = response.hover_pos() {
        let (scroll, zoom) = ui.input(|input| (input.smooth_scroll_delta(), input.zoom_delta()));
        if scroll.y != 0.0 || (zoom - 1.0).abs() > 1e-4 {
            let factor = f64::from((-scroll.y / 240.0).exp() / zoom);
            acts.push(Act::Zoom(factor, scale.at(at.x)));
        }
        if scroll.x != 0.0 {
            acts.push(Act::Pan(f64::from(-scroll.x / scale.frame.width().max(1.0)) * view.span()));
        }
    }
    keys(ui, response, view, scene.now, acts);
}

fn tooltip(ui: &mut Ui, found: &Found<'_>, scene: &Scene<'_>) {
    let (now, zone) = (scene.now, scene.zone);
    match found {
        Found::Hold(row, hold) => {
            let palette = Palette::of(ui);
            if let Some(lock) = row.lock {
                ui.label(RichText::new(visible_name(&lock.path.to_string_lossy())).font(tokens::strong()));
            }
            let certainty = hold.certainty.map_or_else(String::new, |certainty| format!(", {}", certainty.id()));
            let verdict = RichText::new(format!("{}{certainty}", hold.verdict.title()));
            ui.label(verdict.color(palette.verdict(hold.verdict)));
            ui.label(visible(&hold.who.say()));
            if let Some(burst) = hold.burst {
                let each = words::span(burst.busy / burst.count.max(1));
                ui.label(format!("{} short holds, {each} each on average", burst.count));
            }
            ui.label(muted(ui, words::times(hold, now, zone)));
            let lock = row.lock.or_else(|| scene.history.lock(scene.one?));
            for wait in lock.into_iter().flat_map(|lock| lock.waits_during(hold, now)).take(5) {
                ui.label(muted(ui, words::wait(wait, now)));
            }
        }
        Found::Wait(wait) => {
            ui.label(words::wait(wait, now));
            let began = if wait.since { "seen since" } else { "since" };
            ui.label(muted(ui, format!("{began} {}", words::clock(wait.from, now, zone))));
        }
        Found::Gap(from, till) => {
            let (from, till) = (words::clock(*from, now, zone), words::clock(*till, now, zone));
            ui.label(format!("Not watched from {from} to {till}: nobody knows."));
        }
        Found::Free(row) => {
            ui.label(RichText::new(&row.name).font(tokens::strong()));
            ui.label(muted(ui, "Nobody was seen to have it here."));
        }
    }
}
