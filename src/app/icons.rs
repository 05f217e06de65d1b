//! Line icons, 16 x 16, drawn in white and tinted where they are used.

use super::tokens;
use crate::model::verdict::Verdict;
use eframe::egui::{self, Color32, Image, Vec2};

macro_rules! icons {
    ($($name:ident = $file:literal,)*) => {
        /// An icon.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Icon { $(#[doc = $file] $name,)* }

        impl Icon {
            fn source(self) -> egui::ImageSource<'static> {
                match self { $(Self::$name => egui::include_image!(concat!("../../assets/icons/", $file, ".svg")),)* }
            }

            fn name(self) -> &'static str {
                match self { $(Self::$name => $file,)* }
            }
        }
    };
}

icons! {
    Held = "held",
    Stale = "stale",
    Orphaned = "orphaned",
    Suspect = "suspect",
    Idle = "idle",
    Foreign = "foreign",
    Unknown = "unknown",
    Interrupted = "interrupted",
    NotALock = "not-a-lock",
    Folder = "folder",
    Search = "search",
    Check = "check",
    Cross = "cross",
    Dash = "dash",
    ChevronDown = "chevron-down",
    ChevronRight = "chevron-right",
    ChevronLeft = "chevron-left",
    Close = "close",
    Warning = "warning",
    Menu = "menu",
    Plus = "plus",
    Sidebar = "sidebar",
    Refresh = "refresh",
    Subfolders = "subfolders",
}

impl Icon {
    /// The icon of a verdict: a shape of its own, so that colour never stands alone.
    pub(super) fn of(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Held => Self::Held,
            Verdict::Stale => Self::Stale,
            Verdict::Orphaned => Self::Orphaned,
            Verdict::Suspect => Self::Suspect,
            Verdict::Idle => Self::Idle,
            Verdict::Foreign => Self::Foreign,
            Verdict::Unknown => Self::Unknown,
            Verdict::Interrupted => Self::Interrupted,
            Verdict::NotALock => Self::NotALock,
        }
    }

    /// As an image of the usual size. The word beside it says what it means, so it is hidden from screen readers.
    pub(super) fn image(self, color: Color32) -> Image<'static> {
        self.sized(tokens::ICON, color)
    }

    /// As an image of a given size in points.
    pub(super) fn sized(self, size: f32, color: Color32) -> Image<'static> {
        Image::new(self.source()).fit_to_exact_size(Vec2::splat(size)).tint(color).alt_text(self.name())
    }

    /// Draws it where the layout stands.
    pub(super) fn show(self, ui: &mut egui::Ui, color: Color32) {
        let (rect, _) = ui.allocate_exact_size(Vec2::splat(tokens::ICON), egui::Sense::hover());
        self.image(color).paint_at(ui, rect);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_verdict_is_told_by_colour_alone() {
        let shape = |verdict| match Icon::of(verdict).source() {
            egui::ImageSource::Bytes { bytes, .. } => bytes.as_ref().to_vec(),
            _ => Vec::new(),
        };
        for (at, verdict) in Verdict::ALL.iter().enumerate() {
            assert!(!shape(*verdict).is_empty(), "{verdict:?} has a shape");
            for other in &Verdict::ALL[..at] {
                assert_ne!(shape(*verdict), shape(*other), "{verdict:?} and {other:?} have one shape");
                assert_ne!(verdict.title(), other.title(), "{verdict:?} and {other:?} have one word");
            }
        }
    }
}
