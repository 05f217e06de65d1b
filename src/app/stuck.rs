//! The side panel while no lock is chosen: whether anything is stuck, and what.

use super::display_name::visible_name;
use super::icons::Icon;
use super::selection::Reach;
use super::tokens::{self, Palette};
use super::widgets::{elided_to, muted, number};
use super::window::Window;
use crate::engine::listing::Row;
use crate::model::snapshot::{Lock, LockId, Snapshot, Watching};
use crate::model::time::{say_duration, say_duration_drawn_in};
use crate::model::verdict::Verdict;
use eframe::egui::{self, Align2, CornerRadius, RichText, Role, Sense, Ui, Vec2, WidgetInfo};
use std::sync::Arc;

/// So many are listed; the table has them all.
const MOST: usize = 8;

/// What is stuck, found once a snapshot.
#[derive(Default)]
pub(super) struct Stuck {
    stale: Vec<Arc<Lock>>,
    interrupted: Vec<Arc<Lock>>,
}

impl Stuck {
    /// Goes through all locks only if something was or is stuck among those that have changed: there may be a million.
    pub(super) fn renew(&mut self, before: Option<&Snapshot>, now: &Snapshot) {
        let is_stuck = |lock: &Lock| matches!(lock.judgement.verdict, Verdict::Stale | Verdict::Interrupted);
        let mut changed = true;
        if let Some(before) = before.filter(|before| before.directory == now.directory) {
            changed = false;
            now.changes_since(before, &mut |was, is| {
                changed |= was.is_some_and(|lock| is_stuck(lock)) || is.is_some_and(|lock| is_stuck(lock));
            });
        }
        if changed {
            *self = Self::of(now);
        }
    }

    fn of(snapshot: &Snapshot) -> Self {
        let first = |verdict, most: usize| {
            // Where there are fewer, the last of them ends the search.
            let most = most.min(snapshot.counts.of(verdict) as usize);
            let those = snapshot.locks().filter(|lock| lock.judgement.verdict == verdict);
            let mut those: Vec<Arc<Lock>> = those.take(most).cloned().collect();
            those.sort_by(|a, b| a.path.cmp(&b.path));
            those
        };
        let stale = first(Verdict::Stale, MOST);
        let interrupted = first(Verdict::Interrupted, MOST - stale.len());
        Self { stale, interrupted }
    }
}

impl Window {
    pub(super) fn nothing_chosen(&mut self, ui: &mut Ui, snapshot: &Snapshot) {
        let stale = snapshot.counts.of(Verdict::Stale);
        let interrupted = snapshot.counts.of(Verdict::Interrupted);
        let unknown = snapshot.counts.of(Verdict::Unknown);
        // What was not looked at is not free.
        let unseen = match &snapshot.watching {
            Watching::Lost(_) if stale == 0 => Some((
                "Nothing is known",
                "The folder cannot be looked at now, so whether a lock in it is stuck cannot be told.",
            )),
            Watching::Loading(_) if stale == 0 => {
                Some(("Still looking", "What is stuck is known when the whole folder has been read."))
            }
            _ => None,
        };
        if let Some((title, text)) = unseen {
            ui.label(RichText::new(title).font(tokens::title()));
            ui.add_space(4.0);
            ui.label(muted(ui, text));
            return;
        }
        ui.label(RichText::new(title(stale, interrupted, unknown)).font(tokens::title()));
        let text = if snapshot.counts.listed() == 0 {
            "There is no lock file in this folder now. One that appears is shown at once."
        } else if stale == 1 {
            "Its owner is proved gone, and nothing has touched it for longer than the threshold."
        } else if stale > 1 {
            "Their owners are proved gone, and nothing has touched them for longer than the threshold."
        } else if interrupted == 0 && unknown > 0 {
            "Some could not be judged: choose one to see why, and what may be done."
        } else {
            "Choose a lock to see who has it, how that is known, and what may be done."
        };
        ui.add_space(4.0);
        ui.label(muted(ui, text));
        self.stuck_rows(ui, snapshot);
    }

    /// The stuck locks as rows to choose.
    fn stuck_rows(&mut self, ui: &mut Ui, snapshot: &Snapshot) {
        let mut chosen = None;
        let Stuck { stale, interrupted } = &self.stuck;
        for (locks, verdict) in [(stale, Verdict::Stale), (interrupted, Verdict::Interrupted)] {
            if locks.is_empty() {
                continue;
            }
            ui.add_space(12.0);
            if verdict == Verdict::Interrupted && !stale.is_empty() {
                ui.label(muted(ui, "Left by a clear that was interrupted, to be repaired:"));
            }
            chosen = self.rows_of_stuck(ui, snapshot, locks).or(chosen);
            let more = (snapshot.counts.of(verdict) as usize).saturating_sub(locks.len());
            if more > 0 {
                ui.add_space(4.0);
                ui.label(muted(ui, format!("and {} more in the table", number(more))));
            }
        }
        if let Some(id) = chosen {
            self.choose_stuck(id);
        }
    }

    fn rows_of_stuck(&self, ui: &mut Ui, snapshot: &Snapshot, locks: &[Arc<Lock>]) -> Option<LockId> {
        let moment = snapshot.moment_at(self.now.0, self.now.1);
        let mut chosen = None;
        ui.scope(|ui| {
            ui.spacing_mut().item_spacing.y = 0.0;
            for lock in locks {
                let age = lock.age(&moment).map(say_duration).unwrap_or_default();
                if stuck_row(ui, lock, &age).clicked() {
                    chosen = Some(lock.id);
                }
            }
        });
        if let Some(next_change) = locks.iter().filter_map(|lock| lock.age(&moment)).map(say_duration_drawn_in).min() {
            self.repaint_for_ages(ui.ctx(), next_change);
        }
        chosen
    }

    fn choose_stuck(&mut self, id: LockId) {
        let listing = Arc::clone(&self.listing);
        self.selection.choose(id, Reach::Only, &listing.rows);
        self.scroll_to = listing.rows.iter().position(|row| *row == Row::Lock(id));
    }
}

/// In a word, by how many are stale, interrupted and unknown.
fn title(stale: u32, interrupted: u32, unknown: u32) -> String {
    match (stale, interrupted) {
        (0, 0) if unknown > 0 => "Nothing is proved stuck".to_owned(),
        (0, 0) => "Nothing is stuck".to_owned(),
        (0, _) => "A clear was interrupted".to_owned(),
        (1, _) => "1 lock is stuck".to_owned(),
        (more, _) => format!("{} locks are stuck", number(more as usize)),
    }
}

fn stuck_row(ui: &mut Ui, lock: &Lock, age: &str) -> egui::Response {
    let palette = Palette::of(ui);
    let verdict = lock.judgement.verdict;
    // As wide as the panel, with the icons under the words above.
    let size = Vec2::new(ui.available_width(), tokens::ROW);
    let (rect, response) = ui.allocate_exact_size(size, Sense::CLICK);
    let name = visible_name(&lock.display_path());
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, format!("{}, {name}, {age}", verdict.title())));
    let ground = rect.expand2(Vec2::new(8.0, 0.0));
    if response.hovered() {
        ui.painter().rect_filled(ground, CornerRadius::same(tokens::RADIUS), palette.hover);
    }
    if response.has_focus() {
        let ring = egui::Stroke::new(1.5, palette.accent);
        ui.painter().rect_stroke(ground, f32::from(tokens::RADIUS), ring, egui::StrokeKind::Inside);
    }
    let icon = egui::Rect::from_center_size(
        egui::pos2(rect.left() + tokens::ICON / 2.0, rect.center().y),
        Vec2::splat(tokens::ICON),
    );
    Icon::of(verdict).image(palette.verdict(verdict)).paint_at(ui, icon);
    let painter = ui.painter();
    let age = painter.text(rect.right_center(), Align2::RIGHT_CENTER, age, tokens::small(), palette.muted);
    let room = age.left() - 12.0 - (icon.right() + 8.0);
    let text = elided_to(painter, &name, &tokens::body(), room);
    let at = egui::pos2(icon.right() + 8.0, rect.center().y);
    painter.text(at, Align2::LEFT_CENTER, text, tokens::body(), palette.text);
    response.on_hover_text(visible_name(&lock.path.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_title_tells_how_many_are_stuck() {
        for (counts, said) in [
            ((0, 0, 0), "Nothing is stuck"),
            ((0, 0, 7), "Nothing is proved stuck"),
            ((0, 2, 7), "A clear was interrupted"),
            ((1, 2, 7), "1 lock is stuck"),
            ((64_280, 0, 0), "64,280 locks are stuck"),
        ] {
            let (stale, interrupted, unknown) = counts;
            assert_eq!(title(stale, interrupted, unknown), said);
        }
    }
}
