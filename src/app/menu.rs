//! The menu button, and the menu of a row: both are lists of commands.

use super::command::{Action, COMMANDS, Section};
use super::display_name::elided;
use super::focus::follow_focus;
use super::icons::Icon;
use super::tokens::{self, Palette};
use super::topbar::bar_button;
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

/// Between what belongs together, within a section.
const GAP: f32 = 8.0;

const ITEM: f32 = 28.0;
const WIDTH: f32 = 360.0;

impl Window {
    pub(super) fn menu_button(&mut self, ui: &mut Ui) {
        let palette = Palette::of(ui);
        let padding = Vec2::new((tokens::CONTROL - tokens::ICON) / 2.0 - 1.0, 0.0);
        let button = bar_button(ui, egui::Button::image(Icon::Menu.image(palette.muted)));
        let response = ui.scope(|ui| {
            ui.spacing_mut().button_padding = padding;
            ui.add(button)
        });
        let response = response.inner.on_hover_text("Menu");
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, "Menu"));
        let mut asked = None;
        egui::Popup::menu(&response).accessible_name("Menu").show(|ui| {
            ui.set_width(WIDTH.min(ui.ctx().content_rect().width() - 32.0));
            let most = ui.ctx().content_rect().bottom() - response.rect.bottom() - 32.0;
            // That there is more below has to be seen.
            ui.spacing_mut().scroll =
                egui::style::ScrollStyle { dormant_handle_opacity: 0.5, ..egui::style::ScrollStyle::thin() };
            egui::ScrollArea::vertical().max_height(most).min_scrolled_height(most).show(ui, |ui| {
                ui.spacing_mut().item_spacing.y = 0.0;
                ui.spacing_mut().interact_size.y = ITEM;
                for (at, section) in Section::ALL.into_iter().enumerate() {
                    if at > 0 {
                        ui.separator();
                    }
                    menu_heading(ui, section.title());
                    for command in COMMANDS.iter().filter(|command| command.section == section) {
                        if BEGINS.contains(&command.action) {
                            ui.add_space(GAP);
                        }
                        asked = asked.or(menu_item(ui, self, command.action));
                    }
                }
                follow_focus(ui);
            });
        });
        if let Some(action) = asked {
            self.perform(ui.ctx(), action);
        }
    }
}

fn menu_heading(ui: &mut Ui, title: &str) {
    let text = RichText::new(title).font(tokens::strong());
    let (rect, _) = ui.allocate_exact_size(Vec2::new(ui.available_width(), ITEM), egui::Sense::hover());
    let builder = egui::UiBuilder::new()
        .max_rect(rect.shrink2(Vec2::new(ui.spacing().button_padding.x, 0.0)))
        .layout(egui::Layout::left_to_right(egui::Align::Center));
    ui.scope_builder(builder, |ui| {
        let response = ui.add(egui::Label::new(text).selectable(false));
        ui.ctx().accesskit_node_builder(response.id, |node| {
            node.set_role(egui::Role::Heading);
            node.set_label(title);
        });
    });
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
    let key = command.action.key().unwrap_or_default();
    let palette = Palette::of(ui);
    let title = RichText::new(command.title).color(if why_not.is_some() { palette.muted } else { palette.text });
    // What may not be done says why where its key would stand.
    let room = 52_usize.saturating_sub(command.title.chars().count()).max(12);
    let key = why_not.as_ref().map_or(key, |why| elided(why, room));
    let key = RichText::new(key).font(tokens::small()).color(palette.muted);
    // Where one can be on, all titles stand beside the mark.
    let mark = Icon::Check.image(if on == Some(true) { palette.accent } else { egui::Color32::TRANSPARENT });
    let button =
        egui::Button::image_and_text(mark, title).right_text(key).min_size(Vec2::new(ui.available_width(), ITEM));
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
