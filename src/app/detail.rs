//! The side panel: the chosen lock, its sentence, its evidence, its record, and what may be done.

use super::command::Action;
use super::deeds::why_not_clear;
use super::display_name::{visible, visible_name};
use super::focus::follow_focus;
use super::icons::Icon;
use super::table::PANEL_MARGIN;
use super::tokens::{self, Palette};
use super::widgets::{self, hairline, muted, number};
use super::window::Window;
use crate::model::checklist::Bearing;
use crate::model::facts::Danger;
use crate::model::format::Format;
use crate::model::snapshot::{Lock, Moment, Snapshot};
use crate::model::time::Zone;
use crate::model::verdict::{Certainty, Clearing, Verdict};
use eframe::egui::{self, Align, CornerRadius, Frame, Label, Layout, Margin, RichText, ScrollArea, Stroke, Ui, Vec2};

impl Window {
    pub(super) fn detail_panel(&mut self, ui: &mut Ui, snapshot: &Snapshot) {
        let palette = Palette::of(ui);
        let narrow = ui.available_width() < tokens::NARROW;
        if narrow && self.selection.len() == 0 {
            return;
        }
        let frame = Frame::new().fill(palette.panel).inner_margin(PANEL_MARGIN);
        if tokens::is_small(ui.ctx()) {
            return self.small_detail(ui, snapshot, frame);
        }
        let width = if narrow { 300.0 } else { tokens::SIDE };
        egui::Panel::right("detail").default_size(width).size_range(260.0..=520.0).frame(frame).show(ui, |ui| {
            // Else it would be as wide as its words, and the table beside it would jump.
            ui.set_min_width(ui.available_width());
            self.detail(ui, snapshot);
        });
    }

    /// Where there is no room beside the table: a line below it, and all of it in the table's place when asked for.
    fn small_detail(&mut self, ui: &mut Ui, snapshot: &Snapshot, frame: Frame) {
        if self.show_details {
            let height = ui.available_height();
            egui::Panel::bottom("small-detail").exact_size(height).frame(frame).show(ui, |ui| {
                let back = ui.button("Back to the list");
                if ui.memory(|memory| memory.focused().is_none()) {
                    back.request_focus();
                }
                if back.clicked() {
                    self.show_details = false;
                    self.focus_row = true;
                }
                ui.add_space(4.0);
                self.detail(ui, snapshot);
            });
            return;
        }
        let bar = widgets::bar(ui, Palette::of(ui).panel);
        egui::Panel::bottom("small-detail-bar").exact_size(tokens::CONTROL + 8.0).frame(bar).show(ui, |ui| {
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                self.show_details |= ui.button("Details").clicked();
                let text = match (self.selection.len(), self.chosen()) {
                    (1, Some(lock)) => {
                        format!("{}: {}", lock.judgement.verdict.title(), visible_name(&lock.display_path()))
                    }
                    (chosen, _) => format!("{} locks chosen", number(chosen)),
                };
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| widgets::cut(ui, text));
            });
        });
    }

    fn detail(&mut self, ui: &mut Ui, snapshot: &Snapshot) {
        if self.selection.len() > 1 {
            self.many(ui, snapshot);
            return;
        }
        let Some(lock) = self.chosen().cloned() else {
            self.nothing_chosen(ui, snapshot);
            return;
        };
        ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
            self.one(ui, snapshot, &lock);
            follow_focus(ui);
        });
    }

    fn many(&mut self, ui: &mut Ui, snapshot: &Snapshot) {
        let ids: Vec<_> = self.selection.ids().collect();
        ui.label(RichText::new(format!("{} locks chosen", ids.len())).font(tokens::title()));
        let locks = ids.iter().filter_map(|id| snapshot.lock(*id));
        let go = locks.filter(|lock| lock.is_bulk_clearable(&snapshot.sight)).count();
        ui.add_space(4.0);
        let text = match go {
            0 => "None of them may be cleared together: only what is stale can.".to_owned(),
            go => format!("{go} of them {} stale and can be cleared together.", if go == 1 { "is" } else { "are" }),
        };
        ui.label(muted(ui, text));
        ui.add_space(12.0);
        if go > 0
            && widgets::danger_command(ui, Some(Icon::Stale), &format!("Clear {}…", number(go)), Action::Clear)
                .clicked()
        {
            self.ask_to_clear(&ids);
        }
    }

    fn one(&mut self, ui: &mut Ui, snapshot: &Snapshot, lock: &Lock) {
        let palette = Palette::of(ui);
        let moment = snapshot.moment_at(self.now.0, self.now.1);
        let verdict = lock.judgement.verdict;
        ui.horizontal(|ui| {
            Icon::of(verdict).show(ui, palette.verdict(verdict));
            ui.label(RichText::new(verdict.title()).font(tokens::strong()).color(palette.verdict(verdict)));
            if let Some(certainty) = lock.judgement.certainty {
                ui.label(muted(ui, format!("· {}", certainty.id())));
            }
            if let Some(danger) = lock.facts.danger() {
                ui.add_space(6.0);
                danger_badge(ui, danger);
            }
        });
        ui.add_space(4.0);
        ui.add(Label::new(RichText::new(visible_name(&lock.display_path())).font(tokens::title())).wrap());
        ui.label(muted(ui, subtitle(lock)));
        ui.add_space(10.0);
        let sentence = RichText::new(visible(&lock.why(&moment))).font(tokens::sentence()).line_height(Some(21.0));
        ui.add(Label::new(sentence).wrap());
        self.usual_line(ui, lock, snapshot);
        ui.add_space(12.0);
        self.actions(ui, snapshot, lock);
        ui.add_space(12.0);
        evidence(ui, lock, &moment, &self.papers.zone);
        self.processes(ui, snapshot, lock, &moment);
        self.record(ui, lock);
        if verdict != Verdict::NotALock {
            tool(ui, lock.facts.reading().format);
        }
        ui.add_space(10.0);
        ui.horizontal(|ui| {
            if widgets::quiet_button(ui, "Copy the evidence").clicked() {
                self.copy_evidence();
            }
            if widgets::quiet_button(ui, "Export it…").clicked() {
                self.ask_to_export_evidence();
            }
        });
        heading(ui, "Path");
        mono_box(ui, &visible_name(&snapshot.full_path(lock).to_string_lossy()));
    }

    /// Why it cannot be cleared, if so; then what can be done, as one row.
    fn actions(&mut self, ui: &mut Ui, snapshot: &Snapshot, lock: &Lock) {
        let why_not = why_not_clear(lock);
        if let Some(reason) = &why_not {
            reason_box(ui, reason);
            ui.add_space(4.0);
        }
        ui.horizontal_wrapped(|ui| {
            // Three buttons fit beside each other.
            ui.spacing_mut().button_padding.x = 8.0;
            ui.spacing_mut().item_spacing = Vec2::splat(8.0);
            if why_not.is_none() {
                let word = if lock.clearing() == Clearing::Repair { "Repair…" } else { "Clear…" };
                if widgets::danger_command(ui, None, word, Action::Clear).clicked() {
                    self.ask_to_clear(&[lock.id]);
                }
            }
            self.force_actions(ui, lock);
            self.tell_button(ui, lock, snapshot);
        });
    }

    fn record(&mut self, ui: &mut Ui, lock: &Lock) {
        let size = lock.facts.stat().map_or(0, |stat| stat.size);
        let title = format!("Record · {}, {size} bytes", lock.facts.reading().format.title);
        ui.add_space(14.0);
        ui.horizontal(|ui| {
            ui.label(muted(ui, title).font(tokens::small()));
            if !lock.facts.bytes().is_empty() {
                let word = if self.record_as_hex { "Show text" } else { "Show hex" };
                if widgets::quiet_button(ui, word).clicked() {
                    self.record_as_hex = !self.record_as_hex;
                }
            }
        });
        if lock.facts.bytes().is_empty() {
            ui.label(muted(ui, "Empty: it says nothing about an owner.").font(tokens::small()));
        } else if self.record_as_hex {
            mono_box(ui, &hex_dump(lock.facts.bytes()));
        } else {
            mono_box(ui, &record_text(lock.facts.bytes()));
        }
    }
}

fn reason_box(ui: &mut Ui, reason: &str) {
    Frame::new()
        .fill(Palette::of(ui).raised)
        .corner_radius(CornerRadius::same(tokens::RADIUS))
        .inner_margin(Margin::symmetric(10, 8))
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.add(Label::new(muted(ui, reason).font(tokens::small())).wrap());
        });
}

fn subtitle(lock: &Lock) -> String {
    let mut parts = Vec::new();
    let group = lock.group();
    if !group.is_empty() {
        parts.push(format!("Group {}", visible(&group)));
    }
    let key = lock.key();
    if !key.is_empty() {
        parts.push(format!("key {}", visible(&key)));
    }
    parts.push(format!("{} lock", lock.facts.reading().mechanism.id()));
    parts.join(" · ")
}

pub(super) fn heading(ui: &mut Ui, text: &str) {
    ui.add_space(14.0);
    ui.label(muted(ui, text).font(tokens::small()));
    ui.add_space(2.0);
}

/// Two can be in at once: said beside the verdict, in words as well as in colour.
fn danger_badge(ui: &mut Ui, danger: Danger) {
    let color = Palette::of(ui).verdict(Verdict::Stale);
    Icon::Warning.show(ui, color);
    ui.label(RichText::new(format!("Danger: {}", danger.title())).font(tokens::strong()).color(color));
}

/// What is to know before such a lock is removed, and what its tool offers. Its stale rule stands in the checklist.
fn tool(ui: &mut Ui, format: &Format) {
    if let Some(caution) = format.caution {
        heading(ui, "Take care");
        ui.add(Label::new(format!("{caution}.")).wrap());
    }
    if let Some(command) = format.unlocker {
        heading(ui, "Its own way to unlock");
        mono_box(ui, command);
    }
    if let Some(command) = format.after_clearing {
        heading(ui, "After clearing, run");
        mono_box(ui, command);
    }
}

fn evidence(ui: &mut Ui, lock: &Lock, moment: &Moment<'_>, zone: &Zone) {
    let palette = Palette::of(ui);
    let facts = lock.checklist(moment);
    // Nearly always all were seen in the same look: its time is said once, below them.
    let usual = facts.first().map(|fact| fact.at);
    for fact in facts {
        hairline(ui);
        ui.add_space(6.0);
        let (icon, color, spoken) = match fact.bearing(lock.judgement.verdict) {
            Bearing::Supports => (Icon::Check, palette.ok, "supports: "),
            Bearing::Contradicts => (Icon::Cross, palette.verdict(Verdict::Stale), "speaks against it: "),
            Bearing::Neutral => (Icon::Dash, palette.muted, ""),
            Bearing::CouldNotLook => (Icon::Unknown, palette.verdict(Verdict::Unknown), "could not look: "),
        };
        ui.with_layout(Layout::left_to_right(Align::Min), |ui| {
            icon.show(ui, color);
            ui.vertical(|ui| {
                ui.spacing_mut().item_spacing.y = 1.0;
                let response = ui.add(Label::new(visible(&fact.text)).wrap());
                ui.ctx().accesskit_node_builder(response.id, |node| node.set_label(format!("{spoken}{}", fact.text)));
                if let Some(more) = fact.to_see_more {
                    ui.add(Label::new(muted(ui, format!("To see more: {more}")).font(tokens::small())).wrap());
                }
                let certainty = fact.certainty.map_or("not known", Certainty::id);
                let mut note = format!("{} · {certainty}", fact.source);
                let clock = zone.clock(fact.at);
                if usual.is_some_and(|usual| zone.clock(usual) != clock) {
                    note = format!("{note} · {clock}");
                }
                let seen = format!("{}\n{}", zone.stamp(fact.at), fact.at.rfc3339());
                ui.label(muted(ui, note).font(tokens::small())).on_hover_text(seen);
            });
        });
        ui.add_space(5.0);
    }
    if let Some(usual) = usual {
        hairline(ui);
        ui.add_space(6.0);
        let text = format!("Looked at {}", zone.clock(usual));
        let whole = format!("{}\n{}", zone.stamp(usual), usual.rfc3339());
        ui.label(muted(ui, text).font(tokens::small())).on_hover_text(whole);
    }
}

pub(super) fn mono_box(ui: &mut Ui, text: &str) {
    let palette = Palette::of(ui);
    Frame::new()
        .fill(palette.background)
        .stroke(Stroke::new(1.0, palette.line))
        .corner_radius(CornerRadius::same(tokens::RADIUS))
        .inner_margin(Margin::symmetric(10, 8))
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.set_min_size(Vec2::new(0.0, 17.0));
            ui.add(Label::new(RichText::new(text).font(tokens::mono())).wrap());
        });
}

/// The record as text: lines as lines, everything else that does not show as an escape.
fn record_text(bytes: &[u8]) -> String {
    const MOST_LINES: usize = 24;
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<String> = text.lines().take(MOST_LINES).map(visible).collect();
    let more = if text.lines().nth(MOST_LINES).is_some() { "\n…" } else { "" };
    format!("{}{more}", lines.join("\n"))
}

fn hex_dump(bytes: &[u8]) -> String {
    const MOST: usize = 256;
    let mut lines: Vec<String> = bytes
        .get(..MOST)
        .unwrap_or(bytes)
        .chunks(8)
        .enumerate()
        .map(|(at, chunk)| {
            let hex: Vec<String> = chunk.iter().map(|byte| format!("{byte:02x}")).collect();
            let text: String =
                chunk.iter().map(|b| if b.is_ascii_graphic() || *b == b' ' { char::from(*b) } else { '.' }).collect();
            format!("{:04x}  {:<23}  {text}", at * 8, hex.join(" "))
        })
        .collect();
    if bytes.len() > MOST {
        lines.push("…".to_owned());
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_show_as_text_and_as_hex() {
        assert_eq!(record_text(b"4711\nvm\x00\n"), "4711\nvm\\u{0}");
        assert_eq!(hex_dump(b"4711\nvm\n"), "0000  34 37 31 31 0a 76 6d 0a  4711.vm.");
        assert!(hex_dump(&[0; 300]).ends_with('…'));
    }
}
