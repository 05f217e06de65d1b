//! The bundled fonts: Inter with tabular figures, JetBrains Mono for records.

use super::tokens;
use eframe::egui::{self, FontData, FontDefinitions, FontFamily};
use std::sync::Arc;

/// Sets the fonts; egui's own stay behind them for glyphs that ours lack.
pub(super) fn install(ctx: &egui::Context) {
    let mut fonts = FontDefinitions::default();
    let bundled: [(&str, &[u8]); 3] = [
        ("inter", include_bytes!("../../assets/fonts/Inter-Regular.ttf")),
        ("inter-strong", include_bytes!("../../assets/fonts/Inter-SemiBold.ttf")),
        ("jetbrains-mono", include_bytes!("../../assets/fonts/JetBrainsMono-Regular.ttf")),
    ];
    for (name, bytes) in bundled {
        fonts.font_data.insert(name.to_owned(), Arc::new(FontData::from_static(bytes)));
    }
    let fallbacks = fonts.families.get(&FontFamily::Proportional).cloned().unwrap_or_default();
    let family = |first: &str| {
        let mut names = vec![first.to_owned()];
        names.extend(fallbacks.iter().cloned());
        names.push("Hack".to_owned());
        names
    };
    fonts.families.insert(FontFamily::Proportional, family("inter"));
    fonts.families.insert(tokens::strong_family(), family("inter-strong"));
    if let Some(mono) = fonts.families.get_mut(&FontFamily::Monospace) {
        mono.insert(0, "jetbrains-mono".to_owned());
    }
    ctx.set_fonts(fonts);
}
