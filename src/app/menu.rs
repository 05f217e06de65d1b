//! The menu button, and the menu of a row: both are lists of commands.

use super::command::{Action, COMMANDS, Section};
use super::display_name::elided;
use super::icons::Icon;
use super::tokens::{self, Palette};
use super::window::Window;
use eframe::egui::{self, RichText, Ui, Vec2};

/// What the menu of a row offers.
const OF_A_ROW: [Action; 8] = [
    Action::Clear,
    Action::EndHolder,
    Action::Force,
    Action::TellFree,
    Action::CopyPath,
    Action::CopySentence,
    Action::CopyPid,
    Action::CopyEvidence,
];

/// Before these a line is drawn: they begin something else.
const BEGINS: [Action; 12] = [
    Action::Export,
    Action::Quit,
    Action::CopyPath,
    Action::Search,
    Action::OnlyStale,
    Action::Pause,
    Action::SortVerdict,
    Action::ColumnHolder,
    Action::ThemeSystem,
    Action::MotionSystem,
    Action::ZoomIn,
    Action::NextStale,
];

const WIDTH: f32 = 360.0;

impl Window {
    pub(super) fn menu_button(&mut self, ui: &mut Ui) {
        let palette = Palette::of(ui);
        let button =
            egui::Button::image(Icon::Menu.image(palette.muted)).frame(false).min_size(Vec2::splat(tokens::CONTROL));
        let response = ui.add(button).on_hover_text("Menu");
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, "Menu"));
        let mut asked = None;
        egui::Popup::menu(&response).accessible_name("Menu").show(|ui| {
            ui.set_min_width(150.0);
            for section in Section::ALL {
                ui.menu_button(section.title(), |ui| {
                    ui.set_width(WIDTH.min(ui.ctx().content_rect().width() - 32.0));
                    let most = ui.ctx().content_rect().height() - 24.0;
                    egui::ScrollArea::vertical().max_height(most).show(ui, |ui| {
                        for command in COMMANDS.iter().filter(|command| command.section == section) {
                            if BEGINS.contains(&command.action) {
                                ui.separator();
                            }
                            asked = asked.or(menu_item(ui, self, command.action));
                        }
                    });
                });
            }
        });
        if let Some(action) = asked {
            self.perform(ui.ctx(), action);
        }
    }
}

/// The menu of a row; gives what was asked for.
pub(super) fn row_menu(ui: &mut Ui, window: &Window) -> Option<Action> {
    ui.set_width(WIDTH.min(ui.ctx().content_rect().width() - 32.0));
    let mut asked = None;
    for action in OF_A_ROW {
        if BEGINS.contains(&action) {
            ui.separator();
        }
        asked = asked.or(menu_item(ui, window, action));
    }
    asked
}

/// One item: its title and its key; the reason in its place where it may not be used.
fn menu_item(ui: &mut Ui, window: &Window, action: Action) -> Option<Action> {
    let command = action.command();
    let why_not = (command.why_not)(window);
    let on = action.is_on(window);
    let key = command.chords.first().copied().map(super::keys::Chord::shown).unwrap_or_default();
    let palette = Palette::of(ui);
    let title = RichText::new(command.title).color(if why_not.is_some() { palette.muted } else { palette.text });
    // What may not be done says why where its key would stand.
    let room = 52_usize.saturating_sub(command.title.chars().count()).max(12);
    let key = why_not.as_ref().map_or(key, |why| elided(why, room));
    let key = RichText::new(key).font(tokens::small()).color(palette.muted);
    // Where one can be on, all titles stand beside the mark.
    let mark = Icon::Check.image(if on == Some(true) { palette.accent } else { egui::Color32::TRANSPARENT });
    let button =
        egui::Button::image_and_text(mark, title).right_text(key).min_size(Vec2::new(ui.available_width(), 28.0));
    let response = ui.add_enabled(why_not.is_none(), button);
    response.widget_info(|| {
        let role = if on.is_some() { egui::Role::MenuItemCheckBox } else { egui::Role::MenuItem };
        let label = match &why_not {
            Some(why) => format!("{}, not now: {why}", command.title),
            None => command.title.to_owned(),
        };
        match on {
            Some(on) => egui::WidgetInfo::selected(role, why_not.is_none(), on, label),
            None => egui::WidgetInfo::labeled(role, why_not.is_none(), label),
        }
    });
    let chosen = response.clicked();
    if let Some(why) = why_not {
        response.on_disabled_hover_text(why);
    }
    if chosen {
        ui.close();
    }
    chosen.then_some(action)
}
