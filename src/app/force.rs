//! What the evidence does not allow, on a person's word: ending the holder, and taking a lock away by force. Two dialogs,
//! two words, two decisions; neither is ever the button that clears.

use super::confirm::{dialog_row, dropped_out, from_right_row};
use super::display_name::{elided, visible, visible_name};
use super::tokens::{self, Palette};
use super::widgets::{self, hairline, muted};
use super::window::Window;
use crate::clear::Reason;
use crate::engine::Command;
use crate::inspect::Impact;
use crate::model::facts::ProcessRef;
use crate::model::holder::Pid;
use crate::model::snapshot::{Lock, Snapshot};
use crate::model::time::say_duration;
use crate::model::verdict::{Clearing, Verdict};
use eframe::egui::{self, Key, Label, RichText, Stroke, Ui, Vec2};
use std::sync::Arc;

/// What is asked.
enum Asks {
    /// Whether this process is to be ended. What that would hit is still looked at while it is `None`.
    ToEnd(Pid, Option<Result<Box<Impact>, String>>),
    /// Whether the lock is to be taken away by force.
    ToForce,
}

/// A question that waits for its answer.
pub(super) struct ForceDialog {
    seen: Arc<Lock>,
    asks: Asks,
    typed: String,
    reason: String,
    focused: bool,
    sent: bool,
}

impl ForceDialog {
    /// It was answered, and its clear runs.
    pub(super) fn is_sent(&self) -> bool {
        self.sent
    }

    fn new(seen: Arc<Lock>, asks: Asks) -> Self {
        Self { seen, asks, typed: String::new(), reason: String::new(), focused: false, sent: false }
    }

    /// Hears what ending the process would hit.
    pub(super) fn hear(&mut self, pid: Pid, impact: Result<Box<Impact>, String>) {
        if let Asks::ToEnd(asked, answer) = &mut self.asks
            && *asked == pid
        {
            *answer = Some(impact);
            // What stands above the buttons has grown: they are other widgets to egui, and the focus is lost.
            self.focused = false;
        }
    }
}

/// Of whom it could be asked to end: a holder that is known.
fn holder(lock: &Lock) -> Option<ProcessRef> {
    let holder = lock.holder().map(|(process, _)| process)?;
    holder.facts.as_ref().filter(|facts| facts.pid.get() != 1 && !facts.kernel_thread)?;
    Some(holder)
}

impl Window {
    /// The quiet buttons for what the evidence does not allow.
    pub(super) fn force_actions(&mut self, ui: &mut Ui, lock: &Lock) {
        if !matches!(lock.clearing(), Clearing::ForceOnly | Clearing::ByItsTool) {
            return;
        }
        let held = lock.judgement.verdict == Verdict::Held;
        // Several of one name may run: the number says which.
        let name = lock.holder().map_or_else(
            || "its holder".to_owned(),
            |(holder, _)| format!("{} ({})", elided(&visible(holder.name()), 16), holder.pid),
        );
        if held && widgets::button_or_why(ui, format!("End {name}…"), self.why_not_end()).clicked() {
            self.ask_to_end_chosen();
        }
        if widgets::button_or_why(ui, "Force…".to_owned(), self.why_not_force()).clicked() {
            self.ask_to_force_chosen();
        }
    }

    pub(super) fn why_not_end(&self) -> Option<String> {
        let Some(lock) = self.chosen() else { return Some("no lock is chosen.".to_owned()) };
        let why = match (lock.judgement.verdict, lock.holder(), holder(lock)) {
            (Verdict::Held, _, Some(_)) => return self.why_nothing_here(),
            (Verdict::Held, Some(_), None) => "it is not known well enough who holds it, or it is part of the system.",
            (Verdict::Held, None, None) => "who holds it may not be seen.",
            _ => "nobody is known to hold it.",
        };
        Some(why.to_owned())
    }

    pub(super) fn why_not_force(&self) -> Option<String> {
        let Some(lock) = self.chosen() else { return Some("no lock is chosen.".to_owned()) };
        match lock.clearing() {
            Clearing::Never => Some("it is no lock.".to_owned()),
            Clearing::Bulk | Clearing::ByName | Clearing::Repair => Some("it needs none: Clear is enough.".to_owned()),
            Clearing::ForceOnly | Clearing::ByItsTool => {
                let by_kernel = lock.facts.is_kernel_locked();
                by_kernel
                    .then(|| "A process holds it through the kernel: not even force takes that away.".to_owned())
                    .or_else(|| self.why_nothing_here())
            }
        }
    }

    /// Why nothing can be taken away on this system.
    fn why_nothing_here(&self) -> Option<String> {
        let can = self.snapshot.as_ref().is_some_and(|snapshot| snapshot.sight.can_clear());
        (!can).then(|| "nothing can be cleared on this system.".to_owned())
    }

    pub(super) fn ask_to_end_chosen(&mut self) {
        let Some(lock) = self.chosen().cloned() else { return };
        if let Some(holder) = holder(&lock) {
            self.engine.send(Command::AskImpact(holder.pid));
            self.force = Some(ForceDialog::new(lock, Asks::ToEnd(holder.pid, None)));
        }
    }

    pub(super) fn ask_to_force_chosen(&mut self) {
        if let Some(lock) = self.chosen().cloned() {
            self.force = Some(ForceDialog::new(lock, Asks::ToForce));
        }
    }

    pub(super) fn force_dialog(&mut self, ui: &mut Ui) {
        let (Some(mut dialog), Some(snapshot)) = (self.force.take(), self.newest()) else { return };
        let width = widgets::dialog_width(ui, 580.0);
        let mut open = true;
        let name = match dialog.asks {
            Asks::ToEnd(..) => "End the holder",
            Asks::ToForce => "Take this lock away by force",
        };
        let response = widgets::modal(ui, "force", name, 20, |ui| {
            ui.set_width(width);
            open = match dialog.asks {
                Asks::ToEnd(..) => self.end_content(ui, &mut dialog, &snapshot),
                Asks::ToForce => self.force_content(ui, &mut dialog, &snapshot),
            };
        });
        if open && !response.should_close() {
            self.force = Some(dialog);
        }
    }

    fn force_content(&mut self, ui: &mut Ui, dialog: &mut ForceDialog, snapshot: &Snapshot) -> bool {
        let name = visible_name(&dialog.seen.display_path());
        ui.label(RichText::new("Take this lock away by force?").font(tokens::title()));
        let text = "It is not proved stale. If whoever made it still works, two can be in at once, and what they work on can \
                    be lost. Everything is looked at once more; what the kernel says is held, or somebody has open, \
                    stays. The file is kept, and you can undo this.";
        ui.add(Label::new(muted(ui, text)).wrap());
        ui.add_space(10.0);
        let fell = dropped_out(&dialog.seen, snapshot);
        match &fell {
            None => {
                let why = dialog.seen.why(&snapshot.moment_at(self.now.0, self.now.1));
                dialog_row(ui, &dialog.seen, &why, true);
            }
            Some(why) => dialog_row(ui, &dialog.seen, &format!("Nothing will be done: {why}"), false),
        }
        ui.add_space(6.0);
        ui.label(format!("Type its name: {name}"));
        let response = ui.add(widgets::field(&mut dialog.typed));
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::TextInput, true, "Name of the lock"));
        let reason = self.reason_field(ui, dialog);
        let may = fell.is_none() && dialog.typed.trim() == name;
        self.answer_row(ui, dialog, "Take it away by force", reason.filter(|_| may), |window, dialog, reason| {
            let (directory, seen) = (Arc::clone(&snapshot.directory), Arc::clone(&dialog.seen));
            window.engine.send(Command::Force { directory, seen, reason });
        })
    }

    fn end_content(&mut self, ui: &mut Ui, dialog: &mut ForceDialog, snapshot: &Snapshot) -> bool {
        let Asks::ToEnd(_, answer) = &dialog.asks else { return false };
        let impact = match answer {
            Some(Ok(impact)) => Some(impact.clone()),
            _ => None,
        };
        let title = match &impact {
            Some(impact) => format!("End {} (PID {})?", visible(impact.process.name()), impact.process.pid),
            None => "End the holder?".to_owned(),
        };
        ui.label(RichText::new(title).font(tokens::title()));
        let text = "It is asked to end (SIGTERM), which lets it tidy up; what it has not saved may be lost. The lock itself \
                    is not touched by this. This cannot be undone.";
        ui.add(Label::new(muted(ui, text)).wrap());
        ui.add_space(10.0);
        match answer {
            None => drop(ui.label(muted(ui, "Looking at what that would hit…"))),
            Some(Err(why)) => drop(ui.add(Label::new(visible(why)).wrap())),
            Some(Ok(impact)) => self.impact(ui, impact),
        }
        ui.add_space(6.0);
        let reason = self.reason_field(ui, dialog);
        self.answer_row(ui, dialog, "End the process", reason.filter(|_| impact.is_some()), |window, dialog, reason| {
            if let Some(impact) = impact {
                let (directory, path) = (Arc::clone(&snapshot.directory), dialog.seen.path.clone());
                window.engine.send(Command::EndHolder { directory, path, process: impact.process, reason });
            }
        })
    }

    /// What ending the process would hit.
    fn impact(&self, ui: &mut Ui, impact: &Impact) {
        const MOST: usize = 8;
        let process = &impact.process;
        let since = self.now.0.since(process.started_at).map(say_duration).unwrap_or_default();
        let user = process.user.as_deref().unwrap_or("an unknown user");
        hairline(ui);
        ui.add_space(6.0);
        ui.label(format!("{} of {}, running for {since}", visible(process.name()), visible(user)));
        if !process.command.is_empty() {
            ui.add(Label::new(RichText::new(visible(&process.command)).font(tokens::mono())).wrap());
        }
        let list = |ui: &mut Ui, what: &str, items: Vec<String>| {
            if items.is_empty() {
                return;
            }
            let more = items.len().saturating_sub(MOST);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let shown = items.into_iter().take(MOST).collect::<Vec<_>>().join(", ");
            ui.add(Label::new(muted(ui, format!("{what}: {shown}{more}"))).wrap());
        };
        let child = |child: &ProcessRef| format!("{} (PID {})", visible(child.name()), child.pid);
        list(ui, "It has started", impact.children.iter().map(child).collect());
        let locked = impact.locked_files.as_ref();
        let locked = locked.map_or_else(
            || vec!["files that may not be seen".to_owned()],
            |files| files.iter().map(|path| visible(&path.to_string_lossy())).collect(),
        );
        list(ui, "It holds locks on", locked);
    }

    /// Why it is done; `None` while that says nothing.
    #[expect(clippy::unused_self, reason = "as its neighbours")]
    fn reason_field(&self, ui: &mut Ui, dialog: &mut ForceDialog) -> Option<Reason> {
        ui.add_space(6.0);
        ui.label("Why? It is kept in the journal.");
        let response = ui.add(widgets::field(&mut dialog.reason).id(egui::Id::unique("force-reason")));
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::TextInput, true, "Reason"));
        Reason::new(&dialog.reason)
    }

    /// Cancel, which has the focus, and the deed, which only a pointer or a deliberate Tab reaches.
    fn answer_row(
        &mut self, ui: &mut Ui, dialog: &mut ForceDialog, verb: &str, reason: Option<Reason>,
        act: impl FnOnce(&mut Self, &ForceDialog, Reason),
    ) -> bool {
        ui.add_space(14.0);
        let mut keep = true;
        from_right_row(ui, |ui: &mut Ui| {
            if dialog.sent {
                ui.label(muted(ui, "Looking again…"));
                return;
            }
            let deed = widgets::danger_button(ui, None, verb.to_owned(), reason.is_some());
            ui.add_space(super::confirm::BESIDE_THE_DEED);
            let cancel = ui.add(egui::Button::new("Cancel").min_size(Vec2::new(70.0, tokens::CONTROL)));
            if !dialog.focused {
                cancel.request_focus();
                dialog.focused = cancel.has_focus();
            }
            if cancel.has_focus() {
                let ring = Stroke::new(2.0, Palette::of(ui).accent);
                ui.painter().rect_stroke(cancel.rect.expand(3.0), 8.0, ring, egui::StrokeKind::Middle);
            }
            if cancel.clicked() || ui.input(|i| i.key_pressed(Key::Escape)) {
                keep = false;
            } else if deed.clicked()
                && let Some(reason) = reason
            {
                dialog.sent = true;
                act(self, dialog, reason);
            }
        });
        keep
    }
}
