//! Which subfolders are looked at: the switch in the folder menu, and the rules for those that are passed over.

use super::display_name::{elided, short_path};
use super::tokens::{self, Palette};
use super::widgets::{self, from_right, hairline, muted};
use super::window::Window;
use crate::engine::settings::WatchedFolder;
use crate::model::ignore::IgnoreRules;
use crate::model::verdict::Verdict;
use eframe::egui::{self, Label, Margin, RichText, ScrollArea, TextEdit, Ui};

/// What the dialog is called.
const NAME: &str = "Subfolders to pass over";

/// The rules of one folder while they are edited.
pub(super) struct RulesDialog {
    folder: WatchedFolder,
    usual: Vec<String>,
    text: String,
    focused: bool,
}

impl RulesDialog {
    pub(super) fn of(folder: WatchedFolder, usual: &[String]) -> Self {
        let text = folder.ignore.as_deref().unwrap_or(usual).join("\n");
        Self { folder, usual: usual.to_vec(), text, focused: false }
    }

    fn lines(&self) -> Vec<String> {
        self.text.lines().map(|line| line.trim_end().to_owned()).filter(|line| !line.is_empty()).collect()
    }
}

impl Window {
    /// In the folder menu: whether the subfolders of the folder that is shown are looked at too.
    pub(super) fn subfolder_choice(&mut self, ui: &mut Ui) {
        let Some(mut folder) = self.shown_folder() else { return };
        ui.horizontal(|ui| {
            if ui.checkbox(&mut folder.recursive, "With subfolders").clicked() {
                self.toggle_subfolders();
            }
            from_right(ui, |ui| {
                if widgets::quiet_button(ui, "Rules…").on_hover_text("Which subfolders are passed over").clicked() {
                    self.edit_rules();
                    ui.close();
                }
            });
        });
    }

    pub(super) fn rules_dialog(&mut self, ui: &mut Ui) {
        let Some(mut dialog) = self.sidebar.rules.take() else { return };
        let width = widgets::dialog_width(ui, 480.0);
        let mut open = true;
        let response = widgets::modal(ui, "rules", NAME, 20, |ui| {
            ui.set_width(width);
            open = self.rules_content(ui, &mut dialog);
        });
        if open && !response.should_close() {
            self.sidebar.rules = Some(dialog);
        }
    }

    fn rules_content(&mut self, ui: &mut Ui, dialog: &mut RulesDialog) -> bool {
        let palette = Palette::of(ui);
        ui.label(RichText::new(NAME).font(tokens::title()));
        let path = elided(&short_path(&dialog.folder.path, self.home.as_deref()), 64);
        ui.label(muted(ui, path));
        ui.add_space(12.0);
        ui.add(
            Label::new(
                "One rule a line, as in a .gitignore: a name fits at any depth, /name only at the top, **/a/b a path \
                 at any depth, and !name brings back. Rules are for folders alone: lock files in a folder that is \
                 entered are always listed.",
            )
            .wrap(),
        );
        ui.add_space(8.0);
        ScrollArea::vertical().max_height(200.0).show(ui, |ui| {
            let edit = TextEdit::multiline(&mut dialog.text)
                .font(tokens::mono())
                .desired_rows(8)
                .margin(Margin::symmetric(10, 8))
                .desired_width(f32::INFINITY);
            let response = ui.add(edit);
            response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::MultilineTextInput, true, "Rules"));
            if !std::mem::replace(&mut dialog.focused, true) {
                response.request_focus();
            }
        });
        let wrong = IgnoreRules::new(&dialog.lines()).1;
        for text in &wrong {
            let response = ui.add(Label::new(RichText::new(text).color(palette.verdict(Verdict::Stale))).wrap());
            ui.ctx().accesskit_node_builder(response.id, |node| node.set_live(egui::accesskit::Live::Polite));
        }
        if !dialog.folder.recursive {
            ui.add_space(4.0);
            ui.label(muted(ui, "They take effect once this folder is looked at with its subfolders."));
        }
        ui.add_space(12.0);
        hairline(ui);
        ui.add_space(12.0);
        let (mut save, mut cancel) = (false, false);
        ui.horizontal(|ui| {
            if widgets::quiet_button(ui, "Usual rules").clicked() {
                dialog.text = dialog.usual.join("\n");
            }
            from_right(ui, |ui| {
                save = ui.add_enabled_ui(wrong.is_empty(), |ui| widgets::primary_button(ui, "Save")).inner.clicked();
                cancel = ui.button("Cancel").clicked();
            });
        });
        if save {
            let lines = dialog.lines();
            dialog.folder.ignore = (lines != dialog.usual).then_some(lines);
            self.set_subfolders(dialog.folder.clone());
        }
        !save && !cancel
    }
}
