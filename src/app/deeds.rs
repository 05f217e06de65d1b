//! What the commands do that need no view of their own, and why some may not be done now.

use super::display_name::visible_name;
use super::selection::Reach;
use super::toast::Toast;
use super::widgets::number;
use super::window::Window;
use crate::engine::Command;
use crate::engine::listing::{Row, SortKey};
use crate::engine::settings::{Column, MotionChoice, ThemeChoice};
use crate::model::snapshot::Lock;
use crate::model::verdict::{Clearing, Verdict};
use eframe::egui;
use std::sync::Arc;

/// Sizes that zooming stops at, in percent.
const ZOOMS: [u16; 9] = [100, 110, 125, 150, 175, 200, 225, 250, 300];

/// Why a lock cannot be cleared, for a person; `None` where it can.
pub(super) fn why_not_clear(lock: &Lock) -> Option<String> {
    let why = match lock.clearing() {
        Clearing::Bulk | Clearing::ByName | Clearing::Repair => return None,
        Clearing::ByItsTool => return lock.own_way().map(|way| format!("{way}.")),
        Clearing::ForceOnly => match lock.judgement.verdict {
            Verdict::Held => "It cannot be cleared: a process has it. End that process, or wait for it.",
            Verdict::Idle => "There is nothing to clear: it blocks nobody, and deleting it is what lets two in.",
            Verdict::Foreign => "It cannot be cleared from here: look on the computer that made it.",
            _ => "It cannot be cleared: what is not known to be dead is left alone.",
        },
        Clearing::Never => "There is nothing to clear: it is no lock.",
    };
    Some(why.to_owned())
}

impl Window {
    /// A word to the person, seen and heard.
    pub(super) fn say(&mut self, text: String) {
        self.show_toast(Toast::said(text, self.now.1));
    }

    pub(super) fn choose_folder(&mut self, ctx: &egui::Context) {
        self.dialog.open(ctx, self.now.1);
    }

    /// Opens the field for a path: in the folder menu, or on the first screen.
    pub(super) fn ask_for_path(&mut self) {
        self.typing_path = true;
    }

    pub(super) fn rescan(&mut self) {
        self.engine.send(Command::Rescan);
    }

    pub(super) fn start_demo(&mut self) {
        self.engine.send(Command::StartDemo);
    }

    pub(super) fn choose_all(&mut self) {
        self.selection.all(&self.listing.rows);
    }

    /// One step back: first the toast goes, then the details of a small window, what was searched for, the choice.
    pub(super) fn step_back(&mut self) {
        if self.toast.take().is_some() {
            return;
        }
        // The search field has lost the focus to Escape by now.
        if std::mem::take(&mut self.show_details) {
            self.focus_row = true;
        } else if self.below_is_in_front() {
            self.hide_below();
        } else if self.query.text.is_empty() {
            self.selection.clear();
        } else {
            self.query.text.clear();
        }
    }

    fn chosen_locks(&self) -> Vec<Arc<Lock>> {
        let Some(snapshot) = &self.snapshot else { return Vec::new() };
        self.selection.ids().filter_map(|id| snapshot.lock(id).cloned()).collect()
    }

    fn copy(&mut self, ctx: &egui::Context, lines: &[String], what: &str) {
        ctx.copy_text(lines.join("\n"));
        self.say(match lines.len() {
            1 => format!("{what} copied."),
            more => format!("{} lines copied.", number(more)),
        });
    }

    pub(super) fn copy_paths(&mut self, ctx: &egui::Context) {
        let Some(snapshot) = self.snapshot.clone() else { return };
        let full = |lock: &Arc<Lock>| snapshot.full_path(lock).to_string_lossy().into_owned();
        let lines: Vec<String> = self.chosen_locks().iter().map(full).collect();
        self.copy(ctx, &lines, "Path");
    }

    pub(super) fn copy_sentences(&mut self, ctx: &egui::Context) {
        let Some(snapshot) = self.snapshot.clone() else { return };
        let moment = snapshot.moment_at(self.now.0, self.now.1);
        let locks = self.chosen_locks();
        let several = locks.len() > 1;
        let line = |lock: &Arc<Lock>| {
            let why = lock.why(&moment);
            if several { format!("{}: {why}", visible_name(&lock.display_path())) } else { why }
        };
        let lines: Vec<String> = locks.iter().map(line).collect();
        self.copy(ctx, &lines, "Sentence");
    }

    /// The holder's PID, or the owner's.
    pub(super) fn chosen_pid(&self) -> Option<u32> {
        let lock = self.chosen()?;
        let holder = lock.holder().map(|(process, _)| process.pid);
        holder.or_else(|| lock.facts.reading().record()?.pid).map(crate::model::holder::Pid::get)
    }

    pub(super) fn copy_pid(&mut self, ctx: &egui::Context) {
        if let Some(pid) = self.chosen_pid() {
            self.copy(ctx, &[pid.to_string()], &format!("PID {pid}"));
        }
    }

    pub(super) fn is_filtered(&self) -> bool {
        !self.query.text.is_empty() || !self.query.verdicts.is_empty()
    }

    pub(super) fn show_all(&mut self) {
        self.query.text.clear();
        self.query.verdicts.clear();
    }

    pub(super) fn show_only(&mut self, verdict: Verdict) {
        self.query.verdicts = if self.query.verdicts == [verdict] { Vec::new() } else { vec![verdict] };
    }

    pub(super) fn group_names(&self) -> impl Iterator<Item = &str> {
        self.listing.rows.iter().filter_map(|row| if let Row::Group(group) = row { Some(&*group.name) } else { None })
    }

    pub(super) fn fold_all(&mut self, folded: bool) {
        self.query.folded = if folded { self.group_names().map(str::to_owned).collect() } else { Vec::new() };
    }

    /// Folds a group, or unfolds it.
    pub(super) fn fold(&mut self, name: String, folded: bool) {
        self.query.folded.retain(|known| *known != name);
        if folded {
            self.query.folded.push(name);
        }
    }

    /// Sorts by this, or the other way round where that is so already.
    pub(super) fn sort_by(&mut self, key: SortKey) {
        if self.settings.sort == key {
            self.settings.sort_descending = !self.settings.sort_descending;
        } else {
            self.settings.sort = key;
            self.settings.sort_descending = matches!(key, SortKey::Age | SortKey::Waiting);
        }
    }

    pub(super) fn shows_column(&self, column: Column) -> bool {
        self.shown_columns().iter().any(|setting| setting.column == column && setting.shown)
    }

    pub(super) fn toggle_column(&mut self, column: Column) {
        let mut columns = self.shown_columns();
        columns
            .iter_mut()
            .filter(|setting| setting.column == column)
            .for_each(|setting| setting.shown = !setting.shown);
        self.settings.columns = columns;
    }

    pub(super) fn choose_theme(&mut self, ctx: &egui::Context, theme: ThemeChoice) {
        self.settings.theme = theme;
        self.apply_theme(ctx);
    }

    /// The next size up or down, in percent; 0 = the usual one.
    pub(super) fn zoomed(&self, by: i8) -> Option<u16> {
        let now = self.settings.zoom_percent;
        match by {
            0 => Some(100),
            1.. => ZOOMS.into_iter().find(|size| *size > now),
            _ => ZOOMS.into_iter().rev().find(|size| *size < now),
        }
    }

    pub(super) fn zoom(&mut self, ctx: &egui::Context, by: i8) {
        if let Some(size) = self.zoomed(by) {
            self.settings.zoom_percent = size;
            self.apply_zoom(ctx);
        }
    }

    pub(super) fn apply_zoom(&self, ctx: &egui::Context) {
        let percent = self.settings.zoom_percent.clamp(ZOOMS[0], ZOOMS[ZOOMS.len() - 1]);
        ctx.set_zoom_factor(f32::from(percent) / 100.0);
    }

    pub(super) fn clear_chosen(&mut self) {
        let ids: Vec<_> = self.selection.ids().collect();
        self.ask_to_clear(&ids);
    }

    pub(super) fn why_not_clear(&self) -> Option<String> {
        let snapshot = self.snapshot.as_ref()?;
        match &self.chosen_locks()[..] {
            [one] => why_not_clear(one),
            many if many.iter().any(|lock| lock.is_bulk_clearable(&snapshot.sight)) => None,
            _ => Some("none of these may be cleared together: only what is stale can.".to_owned()),
        }
    }

    /// To the side panel: in a small window it takes the table's place, else its first control gets the focus.
    pub(super) fn go_to_details(&mut self, ctx: &egui::Context) {
        if super::tokens::is_small(ctx) {
            self.hide_below_in_front();
            self.show_details = true;
        } else {
            self.focus_beside(ctx);
        }
    }

    /// Chooses the first row that is listed.
    pub(super) fn go_to_first(&mut self) {
        let first = self
            .listing
            .rows
            .iter()
            .enumerate()
            .find_map(|(at, row)| if let Row::Lock(id) = row { Some((at, *id)) } else { None });
        if let Some((row, id)) = first {
            self.choose_row(id, row, Reach::Only);
        }
    }

    pub(super) fn choose_motion(&mut self, ctx: &egui::Context, motion: MotionChoice) {
        self.settings.motion = motion;
        self.apply_motion(ctx);
    }

    /// Lets things move as the person or the desktop wishes.
    pub(super) fn apply_motion(&self, ctx: &egui::Context) {
        let reduced = match self.settings.motion {
            MotionChoice::System => self.desktop_reduces_motion,
            MotionChoice::Reduced => true,
        };
        super::tokens::set_motion(ctx, reduced);
    }

    /// Chooses the next row that is stale, round the end.
    pub(super) fn jump_to_stale(&mut self, down: bool) {
        let Some(snapshot) = self.snapshot.clone() else { return };
        let stale: Vec<_> = self
            .listing
            .rows
            .iter()
            .enumerate()
            .filter_map(|(at, row)| if let Row::Lock(id) = row { Some((at, *id)) } else { None })
            .filter(|(_, id)| snapshot.lock(*id).is_some_and(|lock| lock.is_stale()))
            .collect();
        let now = self.selection.cursor.and_then(|id| self.listing.rows.iter().position(|row| *row == Row::Lock(id)));
        let next = match (now, down) {
            (Some(now), true) => stale.iter().find(|(at, _)| *at > now).or(stale.first()),
            (Some(now), false) => stale.iter().rev().find(|(at, _)| *at < now).or(stale.last()),
            (None, true) => stale.first(),
            (None, false) => stale.last(),
        };
        let Some((row, id)) = next.copied() else {
            return self.say("What is stale is filtered out or in a folded group.".to_owned());
        };
        self.choose_row(id, row, Reach::Only);
    }
}
