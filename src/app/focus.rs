//! Where the focus goes: by Tab in reading order, and back to what had it when a dialog closes.
//!
//! Owns: that order. egui goes by the order of drawing, in which the edges of a window come before its middle and what
//! is laid out from the right comes backwards. Never: gives the focus to what is behind a dialog.

use super::tokens;
use super::window::Window;
use eframe::egui::{self, FocusDirection, Id, Key, Modifiers, Rect, Ui, WidgetRect};

/// What had the focus before a dialog was opened.
#[derive(Default)]
pub(super) struct FocusBefore {
    last: Option<Id>,
    asking: bool,
    /// Frames in which it is still to be given back: egui lets go of the dialog one frame after it has closed.
    giving: u8,
    /// It is to go to the side panel.
    beside: bool,
}

impl Window {
    /// At the end of a frame.
    pub(super) fn give_focus_back(&mut self, ctx: &egui::Context) {
        if std::mem::take(&mut self.focus.beside)
            && let Some((_, id)) = self.stops(ctx).into_iter().find(|(band, _)| *band == 3)
        {
            step_to(ctx, id);
        }
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

impl Window {
    /// Takes Tab away from egui, before anything is drawn; gives whether it goes back.
    pub(super) fn take_tab(ui: &Ui) -> Option<bool> {
        let tab = |modifiers| ui.input_mut(|i| i.consume_key(modifiers, Key::Tab));
        // Menus have their own way.
        if egui::Popup::is_any_open(ui.ctx()) {
            return None;
        }
        let back = tab(Modifiers::SHIFT);
        let step = (back || tab(Modifiers::NONE)).then_some(back);
        if step.is_some() {
            ui.memory_mut(|memory| memory.move_focus(FocusDirection::None));
        }
        step
    }

    /// All that Tab stops at, in reading order, each with its band.
    fn stops(&self, ctx: &egui::Context) -> Vec<(u8, Id)> {
        let modal = ctx.memory(egui::Memory::top_modal_layer);
        let middle = self.middle.unwrap_or_else(|| ctx.content_rect());
        let mut stops: Vec<(u8, i32, i32, Id)> = ctx.viewport(|viewport| {
            let layers = viewport.this_pass.widgets.layers();
            layers
                .filter(|(layer, _)| modal.is_none_or(|modal| **layer == modal))
                .flat_map(|(layer, widgets)| widgets.iter().map(move |widget| (layer.order, widget)))
                .filter(|(_, widget)| widget.enabled && widget.sense.is_focusable() && !is_handle(widget.rect))
                .map(|(order, widget)| {
                    let above = order != egui::Order::Background;
                    let (band, rect) = if above { (5, widget.rect) } else { band(widget, middle) };
                    (band, (rect.center().y / 12.0).round() as i32, rect.left().round() as i32, widget.id)
                })
                .collect()
        });
        stops.sort_by_key(|(band, y, x, _)| (*band, *y, *x));
        stops.into_iter().map(|(band, _, _, id)| (band, id)).collect()
    }

    /// Gives the focus to what comes next in reading order, once all is drawn.
    pub(super) fn step_focus(&self, ctx: &egui::Context, back: bool) {
        let stops = self.stops(ctx);
        let focused = ctx.memory(egui::Memory::focused);
        let now = focused.and_then(|id| stops.iter().position(|(_, known)| *known == id));
        let next = match (now, back) {
            (Some(now), false) => (now + 1) % stops.len(),
            (Some(now), true) => now.checked_sub(1).unwrap_or(stops.len() - 1),
            (None, false) => 0,
            (None, true) => stops.len().saturating_sub(1),
        };
        if let Some((_, id)) = stops.get(next) {
            step_to(ctx, *id);
        }
    }

    /// Gives the focus to the first control of the side panel, once it is drawn.
    pub(super) fn focus_beside(&mut self, ctx: &egui::Context) {
        self.focus.beside = true;
        ctx.request_repaint();
    }
}

fn step_to(ctx: &egui::Context, id: Id) {
    ctx.memory_mut(|memory| memory.request_focus(id));
    ctx.data_mut(|data| data.insert_temp(stepped(), id));
    ctx.request_repaint();
}

/// What is dragged to resize a panel or a column: it has no name, and keys do nothing there.
fn is_handle(rect: Rect) -> bool {
    rect.width().min(rect.height()) < 12.0
}

/// Above, left of, in, right of or below the table, by what of it can be seen.
fn band(widget: &WidgetRect, middle: Rect) -> (u8, Rect) {
    let seen = widget.interact_rect.is_positive();
    let rect = if seen { widget.interact_rect } else { widget.rect };
    let center = rect.center();
    let chips = tokens::TOP_BAR..tokens::TOP_BAR + tokens::CHIP_BAR;
    let band = if !seen && center.x >= middle.right() && !chips.contains(&center.y) {
        // Scrolled out of sight in the side panel.
        3
    } else if center.y < middle.top() {
        0
    } else if center.y > middle.bottom() {
        4
    } else if center.x < middle.left() {
        1
    } else if center.x > middle.right() {
        3
    } else {
        2
    };
    (band, widget.rect)
}

/// Where it is remembered which widget Tab has just come to.
fn stepped() -> Id {
    Id::unique("stepped-to-by-tab")
}

/// At the end of what scrolls: what Tab has come to is scrolled into sight.
pub(super) fn follow_focus(ui: &Ui) {
    let Some(id) = ui.data(|data| data.get_temp::<Id>(stepped())) else { return };
    let rect = ui.ctx().viewport(|viewport| viewport.this_pass.widgets.get(id).map(|widget| widget.rect));
    if let Some(rect) = rect.filter(|rect| ui.min_rect().contains_rect(*rect)) {
        ui.data_mut(|data| data.remove::<Id>(stepped()));
        if !ui.clip_rect().contains_rect(rect) {
            ui.scroll_to_rect(rect.expand(8.0), None);
        }
    }
}
