//! Small pieces that several views share.

use super::command::Action;
use super::display_name::elided;
use super::icons::Icon;
use super::tokens::{self, Palette};
use eframe::egui::{self, Align, Color32, Label, Layout, Response, RichText, Sense, Stroke, Ui, Vec2};

/// A label that is not selectable, cut with an ellipsis and whole on hover.
pub(super) fn cut(ui: &mut Ui, text: impl Into<egui::WidgetText>) -> Response {
    ui.add(Label::new(text).truncate().selectable(false))
}

/// The text on one line no wider than `room`, its middle left out where it does not fit: names differ at both ends.
pub(super) fn elided_to(painter: &egui::Painter, text: &str, font: &egui::FontId, room: f32) -> String {
    // The color is none of what is measured.
    let width = |text: &str| painter.layout_no_wrap(text.to_owned(), font.clone(), Color32::PLACEHOLDER).size().x;
    let (whole, letters) = (width(text), text.chars().count());
    if whole <= room {
        return text.to_owned();
    }
    // Letters are not equally wide: begin with what would fit on average.
    let mut most = (letters as f32 * room / whole) as usize;
    loop {
        let shown = elided(text, most.max(LEAST));
        if most <= LEAST || width(&shown) <= room {
            return shown;
        }
        most -= 1;
    }
}

/// Less of a name tells nothing.
const LEAST: usize = 5;

/// Secondary text.
pub(super) fn muted(ui: &Ui, text: impl Into<String>) -> RichText {
    RichText::new(text).color(Palette::of(ui).muted)
}

/// The red button.
pub(super) fn danger_button(ui: &mut Ui, icon: Option<Icon>, text: String, enabled: bool) -> Response {
    let palette = Palette::of(ui);
    // What may not be done is plain, and as easy to read.
    let (ink, fill) = if enabled { (Color32::WHITE, palette.danger) } else { (palette.muted, palette.raised) };
    let label = RichText::new(text).font(tokens::strong()).color(ink);
    ui.add_enabled(enabled, red(fill, icon.map(|icon| icon.image(ink)), label, None))
}

/// The red button of a command, with the key that does the same beside its words.
pub(super) fn danger_command(ui: &mut Ui, icon: Option<Icon>, text: &str, action: Action) -> Response {
    let ink = Color32::WHITE;
    let label = RichText::new(text).font(tokens::strong()).color(ink);
    let key = action.key().map(|key| RichText::new(key).font(tokens::small()).color(ink));
    let response = ui.add(red(Palette::of(ui).danger, icon.map(|icon| icon.image(ink)), label, key));
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, text));
    says_key(response, action, None)
}

fn red(
    fill: Color32, icon: Option<egui::Image<'static>>, label: RichText, key: Option<RichText>,
) -> egui::Button<'static> {
    let mut content = egui::Atoms::new(label);
    if let Some(icon) = icon {
        content.push_left(icon);
    }
    if let Some(key) = key {
        content.push_right(key);
    }
    egui::Button::new(content).fill(fill).stroke(Stroke::NONE).min_size(Vec2::new(0.0, tokens::CONTROL))
}

/// Tells which key does the same: to a screen reader, and on hover after what there is to say about it.
pub(super) fn says_key(response: Response, action: Action, hint: Option<&str>) -> Response {
    let Some(key) = action.key() else { return response };
    response.ctx.accesskit_node_builder(response.id, |node| node.set_keyboard_shortcut(key.as_str()));
    match hint {
        None => response,
        Some(hint) => response.on_hover_ui(|ui| {
            ui.label(hint);
            ui.label(muted(ui, key).font(tokens::small()));
        }),
    }
}

/// The blue button, for the first thing to do.
pub(super) fn primary_button(ui: &mut Ui, text: &str) -> Response {
    let palette = Palette::of(ui);
    let label = RichText::new(text).font(tokens::strong()).color(palette.background);
    ui.add(egui::Button::new(label).fill(palette.accent).stroke(Stroke::NONE).min_size(Vec2::new(0.0, tokens::CONTROL)))
}

/// A button without a frame, for lesser things.
pub(super) fn quiet_button(ui: &mut Ui, text: &str) -> Response {
    let color = Palette::of(ui).muted;
    ui.add(egui::Button::new(RichText::new(text).color(color)).frame(false).min_size(Vec2::new(0.0, tokens::CONTROL)))
}

/// A button that says why where it may not be used: on hover, and to a screen reader.
pub(super) fn button_or_why(ui: &mut Ui, text: String, why_not: Option<String>) -> Response {
    let palette = Palette::of(ui);
    let ink = if why_not.is_some() { palette.muted } else { palette.text };
    let response = ui.add_enabled(why_not.is_none(), egui::Button::new(RichText::new(text).color(ink)));
    match why_not {
        None => response,
        Some(why) => {
            ui.ctx().accesskit_node_builder(response.id, |node| node.set_description(why.as_str()));
            response.on_disabled_hover_text(why)
        }
    }
}

/// A field for one line of text, as high as a button.
pub(super) fn field(text: &mut String) -> egui::TextEdit<'_> {
    egui::TextEdit::singleline(text)
        .align(egui::Align2::LEFT_CENTER)
        .margin(egui::Margin::symmetric(10, 7))
        .desired_width(f32::INFINITY)
}

/// A hairline over the whole width.
pub(super) fn hairline(ui: &mut Ui) {
    let (rect, _) = ui.allocate_exact_size(Vec2::new(ui.available_width(), 1.0), Sense::hover());
    ui.painter().hline(rect.x_range(), rect.center().y, Stroke::new(1.0, Palette::of(ui).line));
}

/// A dialog over everything else, with a name for screen readers. egui keeps the focus inside.
pub(super) fn modal<R>(
    ui: &Ui, id: &str, name: &str, margin: i8, content: impl FnOnce(&mut Ui) -> R,
) -> egui::ModalResponse<R> {
    modal_at(ui, id, name, margin, (egui::Align2::CENTER_CENTER, Vec2::ZERO), content)
}

/// How wide a dialog may be.
pub(super) fn dialog_width(ui: &Ui, wanted: f32) -> f32 {
    let content = ui.ctx().content_rect().width();
    wanted.min(content - if content < tokens::SMALL { 56.0 } else { 80.0 })
}

/// The same at a place of its own.
pub(super) fn modal_at<R>(
    ui: &Ui, id: &str, name: &str, margin: i8, anchor: (egui::Align2, Vec2), content: impl FnOnce(&mut Ui) -> R,
) -> egui::ModalResponse<R> {
    let palette = Palette::of(ui);
    let frame = egui::Frame::new()
        .fill(palette.panel)
        .stroke(Stroke::new(1.0, palette.line))
        .corner_radius(egui::CornerRadius::same(tokens::DIALOG_RADIUS))
        .shadow(ui.visuals().window_shadow)
        .inner_margin(egui::Margin::same(margin));
    let id = egui::Id::unique(id);
    let area = egui::Modal::default_area(id).anchor(anchor.0, anchor.1).accessible_name(name);
    egui::Modal::new(id).area(area).frame(frame).show(ui.ctx(), |ui| {
        // A dialog has a layer of its own, and its node is that layer's.
        ui.ctx().accesskit_node_builder(ui.layer_id().id, egui::accesskit::Node::set_modal);
        // Where the window is too small for it, all of it scrolls.
        let most = ui.ctx().content_rect().height() - 2.0 * f32::from(margin) - 16.0;
        let scroll = egui::ScrollArea::vertical().id_salt("dialog").max_height(most).min_scrolled_height(most);
        let shown = scroll.show(ui, |ui| {
            let answer = content(ui);
            super::focus::follow_focus(ui);
            answer
        });
        shown.inner
    })
}

/// Lays out from the right.
pub(super) fn from_right<R>(ui: &mut Ui, content: impl FnOnce(&mut Ui) -> R) -> R {
    ui.with_layout(Layout::right_to_left(Align::Center), content).inner
}

/// The frame of a bar.
pub(super) fn bar(ui: &Ui, fill: Color32) -> egui::Frame {
    let _ = ui;
    egui::Frame::new().fill(fill).inner_margin(egui::Margin::symmetric(12, 0))
}

/// Says a number with its noun: `1 lock`, `3 locks`.
pub(super) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{} {noun}s", self::number(number)) }
}

/// A count that is read at a glance: `1,234`.
pub(super) fn number(count: usize) -> String {
    let digits = count.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_at_a_glance() {
        for (value, shown) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (12_345, "12,345"),
            (100_000, "100,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(number(value), shown);
        }
        assert_eq!(count(1, "lock"), "1 lock");
        assert_eq!(count(1234, "lock"), "1,234 locks");
    }
}
