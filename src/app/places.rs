//! Places where locks usually are, as far as they are on this machine: for the start screen and the folder menu.

use super::display_name::{elided, short_path};
use super::empty::section;
use super::icons::Icon;
use super::tokens::{self, Palette};
use super::widgets::{self, from_right};
use super::window::Window;
use crate::engine::Command;
use crate::engine::places::Place;
use eframe::egui::{self, Align, Layout, RichText, ScrollArea, Sense, Stroke, Ui, Vec2};

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
                let (rect, response) =
                    ui.allocate_exact_size(Vec2::new(ui.available_width(), tokens::ROW), Sense::click());
                let path = short_path(&place.folder.path, self.home.as_deref());
                let label = format!("{}: {path}, {}", place.title, place.holds);
                response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, label.clone()));
                if response.hovered() || response.has_focus() {
                    ui.painter().rect_filled(rect, 6.0, palette.hover);
                }
                ui.painter().hline(rect.x_range(), rect.bottom(), Stroke::new(1.0, palette.line));
                let builder = egui::UiBuilder::new()
                    .max_rect(rect.shrink2(Vec2::new(12.0, 0.0)))
                    .layout(Layout::left_to_right(Align::Center));
                ui.scope_builder(builder, |ui| {
                    Icon::Folder.show(ui, palette.muted);
                    ui.add_space(6.0);
                    ui.add(egui::Label::new(place.title).selectable(false));
                    from_right(ui, |ui| {
                        let path = RichText::new(elided(&path, 32)).font(tokens::small()).color(palette.muted);
                        ui.add(egui::Label::new(path).selectable(false));
                        ui.add_space(8.0);
                        let holds = RichText::new(place.holds).font(tokens::small()).color(palette.muted);
                        ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                            ui.add(egui::Label::new(holds).truncate().selectable(false));
                        });
                    });
                });
                if response.clicked() {
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
