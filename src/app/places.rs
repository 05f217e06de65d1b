//! Places where locks usually are, as far as they are on this machine: for the start screen and the folder menu.

use super::display_name::{elided, short_path};
use super::empty::{PlaceRow, section};
use super::icons::Icon;
use super::tokens::{self, Palette};
use super::widgets::{self};
use super::window::Window;
use crate::engine::Command;
use crate::engine::places::Place;
use eframe::egui::{self, RichText, ScrollArea, Ui, Vec2};

impl Window {
    /// Those that are not watched yet.
    fn offered(&self) -> Vec<Place> {
        let (places, watched) = (self.engine.places(), self.engine.watched());
        let is_new = |place: &&Place| !watched.iter().any(|one| *one.directory() == *place.folder.path);
        places.iter().filter(is_new).cloned().collect()
    }

    /// Watches one, in the way that suits it, and shows it.
    pub(super) fn open_place(&mut self, place: Place) {
        self.prepare_to_open(&place.folder.path);
        self.engine.send(Command::WatchSo(place.folder));
    }

    /// For the start screen: at first so many, each with what one finds there; the others on a click.
    pub(super) fn places_list(&mut self, ui: &mut Ui, most: usize) {
        let places = self.offered();
        if places.is_empty() {
            return;
        }
        let palette = Palette::of(ui);
        section(ui, "Places");
        let mut chosen = None;
        let more = if self.sidebar.all_places { 0 } else { places.len().saturating_sub(most) };
        let first = places.len() - more;
        ui.scope(|ui| {
            ui.spacing_mut().item_spacing.y = 0.0;
            for place in places.into_iter().take(first) {
                let path = short_path(&place.folder.path, self.home.as_deref());
                let row = PlaceRow {
                    label: format!("{}: {path}, {}", place.title, place.holds),
                    path: place.title.to_owned(),
                    more: place.holds.to_owned(),
                    facts: elided(&path, 32),
                    color: palette.muted,
                };
                if row.show(ui) {
                    chosen = Some(place);
                }
            }
        });
        if more > 0 && widgets::quiet_button(ui, &format!("{more} more places…")).clicked() {
            self.sidebar.all_places = true;
        }
        if let Some(place) = chosen {
            self.open_place(place);
        }
    }

    /// The same for the folder menu.
    pub(super) fn places_menu(&mut self, ui: &mut Ui) {
        let places = self.offered();
        if places.is_empty() {
            return;
        }
        let mut chosen = None;
        let palette = Palette::of(ui);
        let places_button = egui::Button::new("Places").right_text(Icon::ChevronRight.image(palette.muted));
        egui::containers::menu::SubMenuButton::from_button(places_button).ui(ui, |ui| {
            ui.set_width(480.0);
            ScrollArea::vertical().max_height(420.0).show(ui, |ui| {
                for place in places {
                    let holds = RichText::new(place.holds).font(tokens::small()).color(palette.muted);
                    let button = egui::Button::new(place.title)
                        .right_text(holds)
                        .frame(false)
                        .min_size(Vec2::new(ui.available_width(), 28.0));
                    let path = short_path(&place.folder.path, self.home.as_deref());
                    if ui.add(button).on_hover_text(path).clicked() {
                        chosen = Some(place);
                        ui.close();
                    }
                }
            });
        });
        if let Some(place) = chosen {
            self.open_place(place);
            ui.close();
        }
    }
}
