//! "Tell me when it is free": desktop notifications, sent from a thread of their own; a toast where there is no desktop to
//! tell.
//!
//! Owns: what is said, [`Desktop`] (who says it), and what happens when a person chooses Show. Never: waits for a
//! notification service on the window's thread.

use super::command::Action;
use super::display_name::{visible, visible_name};
use super::icons::Icon;
use super::toast::Toast;
use super::widgets::{self, count};
use super::window::Window;
use crate::engine::Command;
use crate::engine::vigil::{Awaited, Freed, FreedAs, TurnedStale};
use crate::model::snapshot::{Lock, Snapshot};
use crate::model::time::say_duration;
use crate::model::verdict::Verdict;
use crossbeam_channel::{Receiver, Sender, unbounded};
use eframe::egui::{self, Ui};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// What is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// In a few words.
    pub title: String,
    /// The rest.
    pub body: String,
    /// The lock that Show leads to.
    pub lock: Awaited,
}

/// Is called when a person chooses Show on a notification.
pub type Chosen = Box<dyn FnOnce() + Send>;

/// Who can show a notification. Called on a thread of its own; may take its time.
pub trait Desktop: Send {
    /// Shows it, or says why it cannot.
    fn show(&mut self, letter: &Letter, chosen: Chosen) -> Result<(), String>;
}

/// The real desktop.
#[derive(Debug, Default)]
pub struct NotificationService {
    /// What it can do; asked once it has answered.
    #[cfg(all(unix, not(target_os = "macos")))]
    abilities: Option<Vec<String>>,
    /// Threads that wait for somebody to choose Show.
    waiting: Arc<AtomicUsize>,
}

/// Further notifications are shown without Show.
const MOST_WAITING: usize = 8;

impl Desktop for NotificationService {
    fn show(&mut self, letter: &Letter, chosen: Chosen) -> Result<(), String> {
        let mut notification = notify_rust::Notification::new();
        notification.appname("Lockscope").summary(&letter.title).body(&letter.body);
        #[cfg(all(unix, not(target_os = "macos")))]
        {
            if self.abilities.is_none() {
                self.abilities = Some(notify_rust::get_capabilities().map_err(|error| error.to_string())?);
            }
            let abilities = self.abilities.as_deref().unwrap_or_default();
            let can = |ability: &str| abilities.iter().any(|known| known == ability);
            if can("body-markup") {
                // A file name is no markup.
                let plain = letter.body.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
                notification.body(&plain);
            }
            notification.icon("lockscope").hint(notify_rust::Hint::DesktopEntry("lockscope".to_owned()));
            if can("actions") {
                notification.action("default", "Show").action("show", "Show");
            }
        }
        let shown = notification.show().map_err(|error| error.to_string())?;
        self.wait(shown, chosen);
        Ok(())
    }
}

impl NotificationService {
    #[cfg(all(unix, not(target_os = "macos")))]
    fn wait(&self, shown: notify_rust::NotificationHandle, chosen: Chosen) {
        let waiting = Arc::clone(&self.waiting);
        if waiting.fetch_add(1, Ordering::AcqRel) >= MOST_WAITING {
            waiting.fetch_sub(1, Ordering::AcqRel);
            return;
        }
        let body = move || {
            shown.wait_for_action(|action| {
                if matches!(action, "default" | "show") {
                    chosen();
                }
            });
            waiting.fetch_sub(1, Ordering::AcqRel);
        };
        if std::thread::Builder::new().name("notification".into()).spawn(body).is_err() {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
        }
    }

    #[cfg(not(all(unix, not(target_os = "macos"))))]
    fn wait<T>(&self, _shown: T, _chosen: Chosen) {
        let _ = (&self.waiting, MOST_WAITING, Ordering::AcqRel);
    }
}

/// What comes back from the thread that tells.
enum Answer {
    /// It could not be shown, and why.
    Failed(Letter, String),
    /// A person chose Show.
    Show(Awaited),
}

/// What the window remembers of what it tells.
#[derive(Default)]
pub(super) struct Tell {
    desktop: Option<(Sender<Letter>, Receiver<Answer>)>,
    /// It has been said that there is nobody to tell.
    said: bool,
    /// Locks that came free while nobody looked at the window.
    freed: usize,
}

impl Window {
    /// Notifications go to this desktop from now on.
    pub fn tell_through(&mut self, ctx: &egui::Context, mut desktop: Box<dyn Desktop>) {
        let (letters, received) = unbounded::<Letter>();
        let (answer, answers) = unbounded();
        let wake = ctx.clone();
        let body = move || {
            for letter in received {
                let (chosen, wake_too, lock) = (answer.clone(), wake.clone(), letter.lock.clone());
                let chosen: Chosen = Box::new(move || {
                    let _ = chosen.send(Answer::Show(lock));
                    wake_too.request_repaint_of(egui::ViewportId::ROOT);
                });
                if let Err(why) = desktop.show(&letter, chosen) {
                    let _ = answer.send(Answer::Failed(letter, why));
                    wake.request_repaint_of(egui::ViewportId::ROOT);
                }
            }
        };
        if std::thread::Builder::new().name("notifications".into()).spawn(body).is_ok() {
            self.tell.desktop = Some((letters, answers));
        }
    }

    /// Whether somebody waits for a lock.
    pub(super) fn is_awaited(&self, lock: &Lock, directory: &Path) -> bool {
        let awaited = self.engine.awaited();
        awaited.iter().any(|known| known.path == lock.path && *known.directory == *directory)
    }

    /// Tell when this lock is free; if that was asked for already, do not.
    pub(super) fn toggle_tell(&mut self, lock: &Lock, directory: &Arc<Path>) {
        let on = !self.is_awaited(lock, directory);
        let lock = Awaited { directory: Arc::clone(directory), path: lock.path.clone() };
        self.engine.send(Command::TellWhenFree { lock, on });
    }

    /// The same for the chosen lock.
    pub(super) fn toggle_tell_chosen(&mut self) {
        if let (Some(lock), Some(snapshot)) = (self.chosen().cloned(), self.snapshot.clone()) {
            self.toggle_tell(&lock, &snapshot.directory);
        }
    }

    /// Whether that was asked for the chosen lock.
    pub(super) fn chosen_is_awaited(&self) -> bool {
        let shown = self.chosen().zip(self.snapshot.as_ref());
        shown.is_some_and(|(lock, snapshot)| self.is_awaited(lock, &snapshot.directory))
    }

    /// The switch in the side panel. Only where there is something to wait for.
    pub(super) fn tell_button(&mut self, ui: &mut Ui, lock: &Lock, snapshot: &Snapshot) {
        let on = self.is_awaited(lock, &snapshot.directory);
        if !on && why_not_awaited(lock).is_some() {
            return;
        }
        let button = egui::Button::new(tell_words(on)).selected(on);
        let hint = if on {
            "You will be told. Choose it again to stop that."
        } else {
            "A notification on the desktop, also when this window is hidden or shows another folder."
        };
        let response = ui.add(button);
        if on {
            Icon::Check.show(ui, super::tokens::Palette::of(ui).ok);
        }
        if widgets::says_key(response, Action::TellFree, Some(hint)).clicked() {
            self.toggle_tell(lock, &snapshot.directory);
        }
    }

    pub(super) fn hear_freed(&mut self, ctx: &egui::Context, freed: &Freed, held: Option<Duration>) {
        if !ctx.input(|input| input.focused) {
            self.tell.freed += 1;
        }
        self.send_letter(letter_of_freed(freed, held));
    }

    pub(super) fn hear_stale(&mut self, turned: &TurnedStale) {
        if let Some(letter) = letter_of_stale(turned) {
            self.send_letter(letter);
        }
    }

    fn send_letter(&mut self, letter: Letter) {
        let unsent = match &self.tell.desktop {
            Some((letters, _)) => letters.send(letter).map_err(|error| error.0).err(),
            None => Some(letter),
        };
        if let Some(letter) = unsent {
            self.tell_here(&letter);
        }
    }

    /// In the window itself.
    fn tell_here(&mut self, letter: &Letter) {
        self.show_toast(Toast::said(format!("{}: {}", letter.title, letter.body), self.now.1));
    }

    /// Takes over what came back. Runs also while the window is hidden.
    pub(super) fn hear_desktop(&mut self, ctx: &egui::Context) {
        if self.tell.freed > 0 && ctx.input(|input| input.focused) {
            self.tell.freed = 0;
        }
        let Some((_, answers)) = &self.tell.desktop else { return };
        for answer in answers.try_iter().collect::<Vec<_>>() {
            match answer {
                Answer::Failed(letter, why) => {
                    self.tell_here(&letter);
                    if !std::mem::replace(&mut self.tell.said, true) {
                        self.tell(format!(
                            "This desktop shows no notifications ({}). What there is to tell is shown in this window.",
                            visible(&why)
                        ));
                    }
                }
                Answer::Show(lock) => {
                    ctx.send_viewport_cmd(egui::ViewportCommand::Visible(true));
                    ctx.send_viewport_cmd(egui::ViewportCommand::Minimized(false));
                    ctx.send_viewport_cmd(egui::ViewportCommand::Focus);
                    self.show_lock(&lock.directory, &lock.path);
                }
            }
        }
    }

    /// What the title says before the directory: `(3 stale, waiting for 1) `.
    pub(super) fn title_counts(&self, stale: u32) -> String {
        let mut parts = Vec::new();
        if self.tell.freed > 0 {
            parts.push(format!("{} free now", self.tell.freed));
        }
        if stale > 0 {
            parts.push(format!("{stale} stale"));
        }
        match self.engine.awaited().len() {
            0 => {}
            awaited => parts.push(format!("waiting for {awaited}")),
        }
        if parts.is_empty() { String::new() } else { format!("({}) ", parts.join(", ")) }
    }
}

/// Why there is nothing to wait for; `None` where somebody has it, or may.
pub(super) fn why_not_awaited(lock: &Lock) -> Option<&'static str> {
    match lock.judgement.verdict {
        Verdict::Idle | Verdict::NotALock => Some("it is free."),
        Verdict::Stale | Verdict::Orphaned | Verdict::Interrupted => {
            Some("nobody has it; it will not become free by itself.")
        }
        Verdict::Held | Verdict::Suspect | Verdict::Foreign | Verdict::Unknown => None,
    }
}

/// The words on the switch and in the menu.
pub(super) fn tell_words(on: bool) -> &'static str {
    if on { "Telling you when it is free" } else { "Tell me when it is free" }
}

fn name(lock: &Awaited) -> String {
    visible_name(&lock.path.to_string_lossy())
}

fn place(directory: &Path) -> String {
    visible(&directory.to_string_lossy())
}

fn letter_of_freed(freed: &Freed, held: Option<Duration>) -> Letter {
    let name = name(&freed.lock);
    let who = if freed.holder.is_empty() { "Its holder" } else { &freed.holder };
    let held = held.map_or_else(String::new, |held| format!(" after {}", say_duration(held)));
    let place = place(&freed.lock.directory);
    let (title, body) = match freed.now {
        FreedAs::Gone if freed.holder.is_empty() => {
            (format!("{name} is free"), format!("The lock file has gone. In {place}."))
        }
        FreedAs::Gone | FreedAs::Idle => (format!("{name} is free"), format!("{who} let go of it{held}. In {place}.")),
        FreedAs::LeftBehind(verdict) => (
            format!("{name} was left behind"),
            format!(
                "{who} has gone{held} and left the lock: it is {} now, and not free. In {place}.",
                verdict.title().to_lowercase()
            ),
        ),
    };
    Letter { title, body, lock: freed.lock.clone() }
}

fn letter_of_stale(turned: &TurnedStale) -> Option<Letter> {
    let first = turned.locks.first()?;
    let names: Vec<String> = turned.locks.iter().take(3).map(name).collect();
    let place = place(&first.directory);
    let more = turned.locks.len() - names.len();
    let (title, body) = if turned.locks.len() == 1 {
        (format!("{} is stale", names[0]), format!("Its owner is gone, and nothing has touched it since. In {place}."))
    } else {
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        (
            format!("{} turned stale", count(turned.locks.len(), "lock")),
            format!("{}{more}. In {place}.", names.join(", ")),
        )
    };
    Some(Letter { title, body, lock: first.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn awaited(path: &str) -> Awaited {
        Awaited { directory: Path::new("/srv/locks").into(), path: std::ffi::OsStr::new(path).into() }
    }

    #[test]
    fn letters_say_what_happened_and_no_more() {
        let freed = |now, holder: &str| Freed { lock: awaited("a.lock"), now, holder: holder.to_owned() };
        for (freed, held, title, body) in [
            (
                freed(FreedAs::Idle, "PID 7 (python3)"),
                Some(Duration::from_mins(41)),
                "a.lock is free",
                "PID 7 (python3) let go of it after 41 min. In /srv/locks.",
            ),
            (freed(FreedAs::Gone, ""), None, "a.lock is free", "The lock file has gone. In /srv/locks."),
            (
                freed(FreedAs::LeftBehind(Verdict::Orphaned), "PID 7 (python3)"),
                None,
                "a.lock was left behind",
                "PID 7 (python3) has gone and left the lock: it is orphaned now, and not free. In /srv/locks.",
            ),
        ] {
            let letter = letter_of_freed(&freed, held);
            assert_eq!((letter.title.as_str(), letter.body.as_str()), (title, body));
        }
    }

    #[test]
    fn ten_that_turn_stale_at_once_are_one_letter() {
        assert_eq!(letter_of_stale(&TurnedStale { locks: Vec::new() }), None);
        let locks: Vec<Awaited> = (0..10).map(|n| awaited(&format!("{n}.lock"))).collect();
        let letter = letter_of_stale(&TurnedStale { locks: locks.clone() }).unwrap();
        assert_eq!(letter.title, "10 locks turned stale");
        assert_eq!(letter.body, "0.lock, 1.lock, 2.lock and 7 more. In /srv/locks.");
        let letter = letter_of_stale(&TurnedStale { locks: locks[..1].to_vec() }).unwrap();
        assert_eq!(letter.title, "0.lock is stale");
    }
}
