//! Colour, type, spacing and radii, light and dark, in one place.
//!
//! Owns: every number that has to do with looks. Never: draws.

use crate::model::verdict::Verdict;
use eframe::egui::{
    self, Color32, CornerRadius, FontFamily, FontId, Margin, Shadow, Stroke, Style, TextStyle, Theme, Vec2, Visuals,
};
use std::time::Duration;

/// The colours of one theme.
#[derive(Clone, Copy, Debug)]
pub(super) struct Palette {
    /// Behind the table.
    pub background: Color32,
    /// Bars, side panel, dialogs.
    pub panel: Color32,
    /// Buttons, chips, toasts.
    pub raised: Color32,
    /// Hairlines.
    pub line: Color32,
    /// Text.
    pub text: Color32,
    /// Secondary text.
    pub muted: Color32,
    /// Hints in empty fields.
    pub placeholder: Color32,
    /// Links, focus.
    pub accent: Color32,
    /// Selected rows.
    pub selection: Color32,
    /// Rows under the pointer.
    pub hover: Color32,
    /// What is well.
    pub ok: Color32,
    /// The button that clears; its text is white.
    pub danger: Color32,
    /// By verdict, in the order of [`Verdict::ALL`].
    pub verdicts: [Color32; 9],
}

const fn rgb(hex: u32) -> Color32 {
    Color32::from_rgb((hex >> 16) as u8, (hex >> 8) as u8, hex as u8)
}

/// The dark theme.
pub(super) const DARK: Palette = Palette {
    background: rgb(0x14_161b),
    panel: rgb(0x1a_1d24),
    raised: rgb(0x22_2630),
    line: rgb(0x2b_303b),
    text: rgb(0xe7_eaf0),
    muted: rgb(0x9b_a4b4),
    placeholder: rgb(0x86_8fa0),
    accent: rgb(0x6e_a8fe),
    selection: rgb(0x26_334d),
    hover: rgb(0x20_242d),
    ok: rgb(0x7f_d494),
    danger: rgb(0xcf_3339),
    verdicts: [
        rgb(0xf2_b63c),
        rgb(0xff_7a70),
        rgb(0xff_a86b),
        rgb(0xff_9ecb),
        rgb(0x9a_a3b3),
        rgb(0x6f_b6e8),
        rgb(0xc0_9bf5),
        rgb(0x6e_a8fe),
        rgb(0x9b_a4b4),
    ],
};

/// The light theme.
pub(super) const LIGHT: Palette = Palette {
    background: rgb(0xf4_f5f7),
    panel: rgb(0xff_ffff),
    raised: rgb(0xf1_f3f6),
    line: rgb(0xdf_e3ea),
    text: rgb(0x19_1d25),
    muted: rgb(0x56_6070),
    placeholder: rgb(0x64_6d7c),
    accent: rgb(0x1f_5fd0),
    selection: rgb(0xdf_eaff),
    hover: rgb(0xee_f1f6),
    ok: rgb(0x15_692d),
    danger: rgb(0xc4_262b),
    verdicts: [
        rgb(0x8a_5b00),
        rgb(0xb4_2318),
        rgb(0xa3_4a00),
        rgb(0xa3_246b),
        rgb(0x58_6274),
        rgb(0x0b_5f94),
        rgb(0x6d_3fc0),
        rgb(0x1f_5fd0),
        rgb(0x56_6070),
    ],
};

impl Palette {
    /// The palette in force.
    pub(super) fn of(ui: &egui::Ui) -> &'static Self {
        if ui.visuals().dark_mode { &DARK } else { &LIGHT }
    }

    /// The colour of a verdict.
    pub(super) fn verdict(&self, verdict: Verdict) -> Color32 {
        self.verdicts[verdict as usize]
    }
}

/// Heights of bars and rows, in points.
pub(super) const TOP_BAR: f32 = 48.0;
/// The chips.
pub(super) const CHIP_BAR: f32 = 44.0;
/// The status bar.
pub(super) const STATUS_BAR: f32 = 24.0;
/// One lock.
pub(super) const ROW: f32 = 32.0;
/// The column titles.
pub(super) const HEADER: f32 = 30.0;
/// Buttons and fields.
pub(super) const CONTROL: f32 = 32.0;
/// The side panel.
pub(super) const SIDE: f32 = 372.0;
/// Below this width the side panel steps back.
pub(super) const NARROW: f32 = 980.0;
/// Whether there is room for one thing at a time only, as at 300 % in a window of the usual size.
pub(super) fn is_small(ctx: &egui::Context) -> bool {
    ctx.content_rect().width() < SMALL
}

/// How long what has just appeared is set off.
pub(super) const APPEAR: Duration = Duration::from_millis(900);
/// Below this width there is room for one thing at a time: the whole size at 300 %.
pub(super) const SMALL: f32 = 640.0;
/// Below this width bars leave out what can be found elsewhere.
pub(super) const TIGHT: f32 = 800.0;
/// Icons.
pub(super) const ICON: f32 = 15.0;
/// Corners.
pub(super) const RADIUS: u8 = 6;
/// Corners of dialogs.
pub(super) const DIALOG_RADIUS: u8 = 10;

/// Semi-bold, for what heads a block.
pub(super) fn strong_family() -> FontFamily {
    FontFamily::Name("strong".into())
}

/// 16 pt semi-bold.
pub(super) fn title() -> FontId {
    FontId::new(16.0, strong_family())
}

/// 13 pt semi-bold.
pub(super) fn strong() -> FontId {
    FontId::new(13.0, strong_family())
}

/// 13 pt.
pub(super) fn body() -> FontId {
    FontId::new(13.0, FontFamily::Proportional)
}

/// 12 pt.
pub(super) fn small() -> FontId {
    FontId::new(12.0, FontFamily::Proportional)
}

/// 14 pt, for the sentence.
pub(super) fn sentence() -> FontId {
    FontId::new(14.0, FontFamily::Proportional)
}

/// 12 pt monospace, for records.
pub(super) fn mono() -> FontId {
    FontId::new(12.0, FontFamily::Monospace)
}

/// How long something takes to appear or to go; nothing where motion is reduced. All that moves goes by it.
pub(super) fn fade(ui: &egui::Ui) -> Duration {
    Duration::from_secs_f32(ui.style().animation_time)
}

/// Lets things move, or not.
pub(super) fn set_motion(ctx: &egui::Context, reduced: bool) {
    let time = if reduced { 0.0 } else { FADE_SECS };
    ctx.all_styles_mut(|style| {
        style.animation_time = time;
        style.scroll_animation =
            if reduced { egui::style::ScrollAnimation::none() } else { egui::style::ScrollAnimation::default() };
    });
}

const FADE_SECS: f32 = 0.2;

/// Sets both themes' styles.
pub(super) fn install(ctx: &egui::Context) {
    for (theme, palette) in [(Theme::Dark, &DARK), (Theme::Light, &LIGHT)] {
        ctx.set_style_of(theme, style(theme, palette));
    }
    ctx.options_mut(|options| {
        options.fallback_theme = Theme::Dark;
        // A slip of the finger must not close the window of somebody under pressure.
        options.quit_shortcuts.clear();
        // Our own commands zoom, and remember it.
        options.zoom_with_keyboard = false;
    });
}

fn style(theme: Theme, palette: &Palette) -> Style {
    let mut style = Style { visuals: visuals(theme, palette), ..Style::default() };
    style.text_styles = [
        (TextStyle::Heading, title()),
        (TextStyle::Body, body()),
        (TextStyle::Button, body()),
        (TextStyle::Small, small()),
        (TextStyle::Monospace, mono()),
    ]
    .into();
    let spacing = &mut style.spacing;
    spacing.item_spacing = Vec2::new(8.0, 4.0);
    spacing.button_padding = Vec2::new(12.0, 7.0);
    spacing.interact_size = Vec2::new(24.0, CONTROL);
    spacing.menu_margin = Margin::same(6);
    spacing.window_margin = Margin::same(20);
    spacing.tooltip_width = 420.0;
    style.animation_time = FADE_SECS;
    style.interaction.selectable_labels = true;
    style.interaction.tooltip_delay = 0.4;
    style
}

fn visuals(theme: Theme, palette: &Palette) -> Visuals {
    let mut visuals = match theme {
        Theme::Dark => Visuals::dark(),
        Theme::Light => Visuals::light(),
    };
    let radius = CornerRadius::same(RADIUS);
    let line = Stroke::new(1.0, palette.line);
    visuals.panel_fill = palette.background;
    visuals.window_fill = palette.panel;
    visuals.window_stroke = line;
    visuals.window_corner_radius = CornerRadius::same(DIALOG_RADIUS);
    visuals.menu_corner_radius = CornerRadius::same(8);
    visuals.extreme_bg_color = palette.background;
    visuals.text_edit_bg_color = Some(palette.background);
    visuals.code_bg_color = palette.background;
    visuals.faint_bg_color = palette.panel;
    visuals.hyperlink_color = palette.accent;
    visuals.error_fg_color = palette.verdict(Verdict::Stale);
    visuals.warn_fg_color = palette.verdict(Verdict::Held);
    visuals.weak_text_color = Some(palette.muted);
    // What may not be used is muted, never faint: its reason has to be read.
    visuals.disabled_alpha = 1.0;
    visuals.selection.bg_fill = palette.selection;
    visuals.selection.stroke = Stroke::new(1.5, palette.accent);
    let shadow = Shadow {
        offset: [0, 8],
        blur: 28,
        spread: 0,
        color: Color32::from_black_alpha(if theme == Theme::Dark { 140 } else { 50 }),
    };
    visuals.window_shadow = shadow;
    visuals.popup_shadow = shadow;
    let widgets = &mut visuals.widgets;
    for (widget, fill, stroke) in [
        (&mut widgets.noninteractive, palette.panel, line),
        (&mut widgets.inactive, palette.raised, line),
        (&mut widgets.hovered, palette.hover, Stroke::new(1.0, palette.muted)),
        (&mut widgets.active, palette.selection, Stroke::new(1.0, palette.accent)),
        (&mut widgets.open, palette.selection, Stroke::new(1.0, palette.accent)),
    ] {
        widget.bg_fill = fill;
        widget.weak_bg_fill = fill;
        widget.bg_stroke = stroke;
        widget.fg_stroke = Stroke::new(1.0, palette.text);
        widget.corner_radius = radius;
        widget.expansion = 0.0;
    }
    visuals
}

#[cfg(test)]
mod tests {
    use super::*;

    /// WCAG 2 relative luminance.
    fn luminance(color: Color32) -> f64 {
        let channel = |value: u8| {
            let value = f64::from(value) / 255.0;
            if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(color.r()) + 0.7152 * channel(color.g()) + 0.0722 * channel(color.b())
    }

    fn contrast(a: Color32, b: Color32) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn every_text_stands_out_from_every_surface() {
        for (name, palette) in [("dark", &DARK), ("light", &LIGHT)] {
            let surfaces = [palette.background, palette.panel, palette.raised, palette.selection, palette.hover];
            let mut texts = vec![palette.text, palette.muted, palette.accent, palette.ok];
            texts.extend(palette.verdicts);
            for text in texts {
                for surface in surfaces {
                    let ratio = contrast(text, surface);
                    assert!(ratio >= 4.5, "{name}: {text:?} on {surface:?} is {ratio:.2}");
                }
            }
            for surface in [palette.background, palette.panel] {
                assert!(contrast(palette.placeholder, surface) >= 4.5, "{name}: placeholder");
            }
            assert!(contrast(Color32::WHITE, palette.danger) >= 4.5, "{name}: danger button");
        }
    }

    #[test]
    fn what_is_drawn_otherwise_stands_out_too() {
        for (name, palette) in [("dark", &DARK), ("light", &LIGHT)] {
            // The first button's label, the menu's mark, what cannot be used, a row that has gone.
            let mut pairs = vec![
                ("the blue button", palette.background, palette.accent),
                ("what may not be used", palette.muted, palette.raised),
                ("a row that has vanished", palette.muted, palette.background),
                ("the terms of the search", palette.muted, palette.panel),
                ("a focus ring on a chosen row", palette.accent, palette.selection),
                ("a focus ring", palette.accent, palette.raised),
            ];
            // What has just appeared: its tint lies over the background, at its strongest.
            let tint = |ink: u8, ground: u8| (f64::from(ink) * 0.22 + f64::from(ground) * 0.78).round() as u8;
            let (a, b) = (palette.accent, palette.background);
            let tinted = Color32::from_rgb(tint(a.r(), b.r()), tint(a.g(), b.g()), tint(a.b(), b.b()));
            pairs.push(("a row that has just appeared", palette.text, tinted));
            for (what, ink, ground) in pairs {
                let ratio = contrast(ink, ground);
                assert!(ratio >= 4.5, "{name}: {what} is {ratio:.2}");
            }
            // The bars of a plot are no text: 3 is asked of them (WCAG 1.4.11).
            for (verdict, color) in Verdict::ALL.iter().zip(palette.verdicts) {
                assert!(contrast(color, palette.panel) >= 3.0, "{name}: a bar of {verdict:?}");
            }
        }
    }

    #[test]
    fn contrast_is_measured_right() {
        assert!((contrast(Color32::WHITE, Color32::BLACK) - 21.0).abs() < 0.01);
    }
}
