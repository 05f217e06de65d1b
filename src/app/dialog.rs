//! The desktop's folder dialog, on a thread of its own: a portal may never answer, and the window must go on.

use eframe::egui;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// A dialog that nobody could have seen so quickly was none: rfd gives the same answer for "cancelled".
const TOO_QUICK: Duration = Duration::from_millis(250);

#[derive(Default)]
pub(super) struct FolderDialog(Option<(Duration, Receiver<Option<PathBuf>>)>);

pub(super) enum Answer {
    Chosen(PathBuf),
    Cancelled,
    NoDialog,
}

impl FolderDialog {
    /// Opens it, unless one is open. `now` is the monotonic clock.
    pub(super) fn open(&mut self, ctx: &egui::Context, now: Duration) {
        self.ask(ctx, now, || rfd::FileDialog::new().set_title("Choose a folder with lock files").pick_folder());
    }

    /// Asks instead where to save a file.
    pub(super) fn open_to_save(
        &mut self, ctx: &egui::Context, now: Duration, name: String, directory: Option<PathBuf>,
    ) {
        self.ask(ctx, now, || {
            let dialog = rfd::FileDialog::new().set_title("Save as").set_file_name(name);
            directory.map_or_else(|| dialog.clone(), |directory| dialog.clone().set_directory(directory)).save_file()
        });
    }

    fn ask(&mut self, ctx: &egui::Context, now: Duration, dialog: impl FnOnce() -> Option<PathBuf> + Send + 'static) {
        if self.0.is_some() {
            return;
        }
        let (tell, told) = channel();
        let ctx = ctx.clone();
        let ask = move || {
            let _ = tell.send(dialog());
            ctx.request_repaint_of(egui::ViewportId::ROOT);
        };
        if std::thread::Builder::new().name("folder-dialog".into()).spawn(ask).is_ok() {
            self.0 = Some((now, told));
        }
    }

    /// Its answer, once there is one.
    pub(super) fn answer(&mut self, now: Duration) -> Option<Answer> {
        let (opened, told) = self.0.as_ref()?;
        let answer = match told.try_recv() {
            Ok(Some(path)) => Answer::Chosen(path),
            Ok(None) if now.saturating_sub(*opened) < TOO_QUICK => Answer::NoDialog,
            Ok(None) | Err(std::sync::mpsc::TryRecvError::Disconnected) => Answer::Cancelled,
            Err(std::sync::mpsc::TryRecvError::Empty) => return None,
        };
        self.0 = None;
        Some(answer)
    }
}
