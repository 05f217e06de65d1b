//! The side panel's processes: who holds the chosen lock, what else it holds, and who waits for it behind whom.
//!
//! What costs system calls the engine looks at while it is shown ([`crate::engine::machine`]); here it is only drawn.

use super::detail::{heading, mono_box};
use super::display_name::{elided, short_path, visible};
use super::icons::Icon;
use super::machine_words::{self, waiting_words};
use super::selection::Reach;
use super::tokens::{self, Palette};
use super::widgets::muted;
use super::window::Window;
use crate::engine::machine::MachineShown;
use crate::model::facts::ProcessRef;
use crate::model::holder::Pid;
use crate::model::kernel::KernelFile;
use crate::model::machine::{Condition, Cwd, MachinePicture, Place, ProcessDetail};
use crate::model::snapshot::{Lock, Moment, Snapshot};
use crate::model::time::{Wall, say_duration, say_duration_drawn_in};
use crate::model::verdict::Verdict;
use crate::model::waits::{Waiter, wait_tree};
use eframe::egui::{self, Label, RichText, Sense, Stroke, Ui, Vec2};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// So many processes are shown in full; more share a lock only where somebody forks very much.
const MOST_PROCESSES: usize = 4;
/// So many of its other locks are listed before it is asked for more.
const FEW_LOCKS: usize = 5;
const MOST_LOCKS: usize = 200;
/// A long queue is indented no further than this.
const DEEPEST: usize = 6;
const MOST_WAITERS: usize = 50;
/// A command line that is longer is cut until it is asked for.
const SHORT_COMMAND: usize = 96;

/// What of the processes is unfolded.
#[derive(Default)]
pub(super) struct ProcessView {
    /// Whose command line is shown whole.
    commands: BTreeSet<Pid>,
    /// Whose locks are all listed.
    locks: BTreeSet<Pid>,
}

/// What was done in this part of the panel.
enum Act {
    Command(Pid),
    Locks(Pid),
    Copy(String),
    /// A lock of the directory that is shown.
    Choose(PathBuf),
    /// A lock elsewhere.
    Watch(PathBuf),
}

struct View<'a> {
    window: &'a Window,
    snapshot: &'a Snapshot,
    lock: &'a Lock,
    shown: Arc<MachineShown>,
    now: (Wall, Duration),
    acts: Vec<Act>,
    next_change: Option<Duration>,
}

/// Whom to show, and as what.
fn shown(lock: &Lock) -> (String, Vec<ProcessRef>) {
    let holders = lock.facts.kernel().filter(|kernel| kernel.is_granted()).map(|kernel| &kernel.holders);
    match holders.map(Vec::as_slice) {
        Some([one]) => ("Holder".to_owned(), vec![one.clone()]),
        Some([first, rest @ ..]) if lock.judgement.verdict == Verdict::Held => {
            let all = [std::slice::from_ref(first), rest].concat();
            (format!("Holders · {} have it", all.len()), all)
        }
        _ => match (lock.holder(), lock.owner_process()) {
            (Some((holder, _)), _) => ("Holder".to_owned(), vec![holder]),
            (None, Some(owner)) if owner.facts.is_some() => {
                ("The process that has its PID now".to_owned(), vec![owner])
            }
            _ => (String::new(), Vec::new()),
        },
    }
}

impl Window {
    /// Whom the panel shows: these the engine looks at more closely.
    pub(super) fn shown_processes(&self) -> Vec<Pid> {
        let Some(lock) = self.chosen().filter(|_| self.selection.len() == 1) else { return Vec::new() };
        let mut pids: Vec<Pid> = shown(lock).1.iter().take(MOST_PROCESSES).map(|process| process.pid).collect();
        pids.sort_unstable();
        pids
    }

    /// Holders and waiters of the chosen lock.
    pub(super) fn processes(&mut self, ui: &mut Ui, snapshot: &Snapshot, lock: &Lock, moment: &Moment<'_>) {
        let mut view = View {
            window: self,
            snapshot,
            lock,
            shown: self.engine.machine(),
            now: (moment.now, moment.monotonic),
            acts: Vec::new(),
            next_change: None,
        };
        let (title, processes) = shown(lock);
        if !processes.is_empty() {
            heading(ui, &title);
            for (at, process) in processes.iter().take(MOST_PROCESSES).enumerate() {
                if at > 0 {
                    ui.add_space(8.0);
                }
                view.process(ui, process);
            }
            if processes.len() > MOST_PROCESSES {
                ui.label(muted(ui, format!("and {} more", processes.len() - MOST_PROCESSES)));
            }
        }
        view.waiters(ui);
        let (acts, next_change) = (view.acts, view.next_change);
        if let Some(next_change) = next_change {
            self.repaint_for_ages(ui.ctx(), next_change);
        }
        for act in acts {
            self.act_on_process(ui, snapshot, act);
        }
    }

    fn act_on_process(&mut self, ui: &Ui, snapshot: &Snapshot, act: Act) {
        let toggle = |set: &mut BTreeSet<Pid>, pid: Pid| {
            if !set.remove(&pid) {
                set.insert(pid);
            }
        };
        match act {
            Act::Command(pid) => toggle(&mut self.machine.processes.commands, pid),
            Act::Locks(pid) => toggle(&mut self.machine.processes.locks, pid),
            Act::Copy(text) => ui.ctx().copy_text(text),
            Act::Choose(path) => {
                let found =
                    path.strip_prefix(&*snapshot.directory).ok().and_then(|path| snapshot.find(path.as_os_str()));
                let Some(id) = found.map(|lock| lock.id) else { return };
                let listing = Arc::clone(&self.listing);
                self.selection.choose(id, Reach::Only, &listing.rows);
                self.scroll_to = listing.rows.iter().position(|row| *row == crate::engine::listing::Row::Lock(id));
            }
            Act::Watch(path) => self.open(path),
        }
    }
}

impl View<'_> {
    fn picture(&self) -> Option<Arc<MachinePicture>> {
        self.shown.picture.as_ref()?.as_ref().ok().cloned()
    }

    fn process(&mut self, ui: &mut Ui, process: &ProcessRef) {
        let detail = self.shown.processes.get(&process.pid).cloned();
        let facts = process.facts.clone().or_else(|| detail.as_ref()?.1.facts.clone());
        let Some(facts) = facts else {
            ui.label(format!("PID {}", process.pid));
            ui.add(Label::new(muted(ui, "Nothing more of it may be seen. Root sees more.")).wrap());
            return;
        };
        // Another process may have the number by now: then what was looked at is not of this one.
        let detail = detail
            .filter(|(_, detail)| detail.facts.as_ref().is_none_or(|seen| seen.incarnation() == facts.incarnation()));
        ui.horizontal_wrapped(|ui| {
            let name = RichText::new(visible(facts.name())).font(tokens::strong());
            ui.label(name);
            let user = facts.user.as_deref().map_or_else(String::new, |user| format!(" · {}", visible(user)));
            ui.label(muted(ui, format!("PID {}{user}", process.pid)));
        });
        ui.add_space(2.0);
        let ago = self.now.0.since(facts.started_at);
        if let Some(ago) = ago {
            self.changes_in(say_duration_drawn_in(ago));
        }
        let ago = ago.map_or_else(String::new, |ago| format!(" · {} ago", say_duration(ago)));
        let started = format!("{}{ago}", self.local(facts.started_at));
        fact(ui, "Started", &started, Some(&facts.started_at.rfc3339()));
        match &detail {
            None => fact(ui, "", "Looking at the process…", None),
            Some((at, detail)) => self.detail(ui, detail, *at),
        }
        if let Some(inner) = facts.inner_pid {
            fact(ui, "Inside", &format!("PID {inner} in its own namespace"), None);
        } else if detail.as_ref().is_some_and(|(_, detail)| detail.contained == Some(true)) {
            fact(ui, "Inside", "other namespaces than Lockscope: a container, mostly", None);
        }
        if !facts.command.is_empty() {
            ui.add_space(4.0);
            self.command(ui, process.pid, &facts.command);
        }
        self.other_locks(ui, process.pid, detail.as_ref().map(|(_, detail)| &**detail));
    }

    fn detail(&self, ui: &mut Ui, detail: &ProcessDetail, at: Wall) {
        let palette = Palette::of(ui);
        let state = match detail.condition {
            None => Some("It has ended, or may not be looked at any more."),
            Some(Condition::Stopped) => Some("Stopped: it goes on, and lets go, only when somebody lets it."),
            Some(Condition::Uninterruptible) => {
                Some("Waits inside the kernel, mostly for a disk: no signal reaches it.")
            }
            Some(Condition::Exited) => Some("It has ended; its parent has not taken note of it yet."),
            Some(Condition::Running) => None,
        };
        if let Some(state) = state {
            ui.horizontal_top(|ui| {
                Icon::Warning.show(ui, palette.verdict(Verdict::Held));
                ui.add(Label::new(RichText::new(state).color(palette.verdict(Verdict::Held))).wrap());
            });
        }
        if detail.condition.is_none() {
            return;
        }
        let source = format!("From /proc, looked at {}.", self.local(at));
        if let Some(parent) = &detail.parent {
            let text = format!("{} · PID {}", visible(parent.name()), parent.pid);
            let command = parent.facts.as_ref().map(|facts| visible(&facts.command)).filter(|text| !text.is_empty());
            fact(ui, "Parent", &text, command.as_deref().or(Some(&source)));
        }
        match &detail.cwd {
            Cwd::Seen(path) => {
                let text = short_path(path, self.window.home.as_deref());
                fact(ui, "Works in", &elided(&text, 44), Some(&visible(&path.to_string_lossy())));
            }
            Cwd::Denied => fact(ui, "Works in", "a folder that you may not see", Some("Root sees more.")),
            Cwd::Gone => fact(ui, "Works in", "a folder that is gone", Some(&source)),
        }
    }

    fn command(&mut self, ui: &mut Ui, pid: Pid, command: &str) {
        let whole = visible(command);
        let long = whole.chars().count() > SHORT_COMMAND;
        let unfolded = self.window.machine.processes.commands.contains(&pid);
        mono_box(ui, if long && !unfolded { elided(&whole, SHORT_COMMAND) } else { whole }.as_str());
        ui.horizontal(|ui| {
            if small_button(ui, "Copy").on_hover_text("Copy the command line").clicked() {
                self.acts.push(Act::Copy(command.to_owned()));
            }
            if long && small_button(ui, if unfolded { "Show less" } else { "Show all" }).clicked() {
                self.acts.push(Act::Command(pid));
            }
        });
    }

    /// What else it holds, here and elsewhere.
    fn other_locks(&mut self, ui: &mut Ui, pid: Pid, detail: Option<&ProcessDetail>) {
        let picture = match &self.shown.picture {
            Some(Ok(picture)) => Arc::clone(picture),
            Some(Err(why)) => {
                ui.add(Label::new(muted(ui, machine_words::sentence(why)).font(tokens::small())).wrap());
                return;
            }
            None => {
                ui.label(muted(ui, "Looking for its other locks…").font(tokens::small()));
                return;
            }
        };
        let own = self.snapshot.full_path(self.lock);
        let mut paths: BTreeSet<(bool, Arc<Path>)> = BTreeSet::new();
        let mut unseen = 0;
        for at in picture.held_by(pid) {
            match &picture.locks[at].place {
                Place::Seen { path, elsewhere: false, .. } if **path != *own => {
                    paths.insert((!path.starts_with(&*self.snapshot.directory), Arc::clone(path)));
                }
                Place::Seen { .. } => {}
                Place::Unseen { .. } => unseen += 1,
            }
        }
        if paths.is_empty() && unseen == 0 {
            if detail.is_some_and(|detail| detail.cwd == Cwd::Denied) {
                let text = "What else it holds may not be seen by you. Root sees more.";
                ui.add(Label::new(muted(ui, text).font(tokens::small())).wrap());
            }
            return;
        }
        ui.add_space(6.0);
        ui.label(muted(ui, format!("It also holds {}", locks(paths.len() + unseen))).font(tokens::small()));
        let all = self.window.machine.processes.locks.contains(&pid);
        let most = if all { MOST_LOCKS } else { FEW_LOCKS };
        for (elsewhere, path) in paths.iter().take(most) {
            let (text, hint) = if *elsewhere {
                (elided(&short_path(path, self.window.home.as_deref()), 46), "Watch its folder")
            } else {
                let name = path.strip_prefix(&*self.snapshot.directory).unwrap_or(path);
                (elided(&visible(&name.to_string_lossy()), 46), "Show it in the table")
            };
            let button = egui::Button::new(RichText::new(text).color(Palette::of(ui).accent)).frame(false);
            let whole = visible(&path.to_string_lossy());
            let response = ui.add(button.min_size(Vec2::new(0.0, 22.0))).on_hover_text(format!("{hint}\n{whole}"));
            if response.clicked() {
                let act = if *elsewhere { Act::Watch } else { Act::Choose };
                self.acts.push(act(path.to_path_buf()));
            }
        }
        if unseen > 0 {
            let text = format!("{} whose path may not be seen", locks(unseen));
            ui.label(muted(ui, text).font(tokens::small()));
        }
        if paths.len() > FEW_LOCKS {
            let text = if all { "Show fewer".to_owned() } else { format!("Show all {}", paths.len()) };
            if small_button(ui, &text).clicked() {
                self.acts.push(Act::Locks(pid));
            }
        }
    }

    /// Who waits for it, behind whom, and for how long that was seen.
    fn waiters(&mut self, ui: &mut Ui) {
        let queued = self.lock.facts.waiters();
        let picture = self.picture();
        let file = picture.as_ref().and_then(|picture| self.file(picture));
        let tree = match (&picture, file) {
            (Some(picture), Some(file)) => wait_tree(picture, file, MOST_WAITERS),
            _ => Vec::new(),
        };
        if queued.is_empty() && tree.is_empty() {
            return;
        }
        heading(ui, "Waiting for it");
        match picture.filter(|_| !tree.is_empty()) {
            Some(picture) => {
                let mut drawn = 0;
                for waiter in &tree {
                    self.waiter(ui, &picture, waiter, 0, &mut drawn);
                }
                if drawn >= MOST_WAITERS {
                    ui.label(muted(ui, "Only the first ones are shown.").font(tokens::small()));
                }
            }
            // The two looks fall into different moments; who waits is known from the first one already.
            None => {
                for process in queued.iter().take(MOST_WAITERS) {
                    ui.label(format!("{} · PID {}", visible(process.name()), process.pid));
                }
            }
        }
    }

    /// The chosen file as the kernel's table calls it.
    fn file(&self, picture: &MachinePicture) -> Option<KernelFile> {
        let stat = self.lock.facts.stat()?;
        let path = self.snapshot.full_path(self.lock);
        let known: Vec<Pid> = self.lock.facts.waiters().iter().chain(&shown(self.lock).1).map(|p| p.pid).collect();
        let is_it = |lock: &&crate::model::machine::MachineLock| {
            let same = lock.line.file.is_some_and(|file| file.ino == stat.ino);
            let seen = matches!(&lock.place, Place::Seen { path: its, .. } if **its == *path);
            same && (seen || lock.processes.iter().any(|process| known.contains(&process.pid)))
        };
        picture.locks.iter().find(is_it)?.line.file
    }

    fn waiter(&mut self, ui: &mut Ui, picture: &MachinePicture, waiter: &Waiter, depth: usize, drawn: &mut usize) {
        *drawn += 1;
        let palette = Palette::of(ui);
        let lock = &picture.locks[waiter.at];
        let seen = self.now.1.saturating_sub(lock.waiting_since.unwrap_or(self.now.1));
        self.changes_in(say_duration_drawn_in(seen));
        let name = lock.process().map_or_else(|| "A process that is not named".to_owned(), |p| visible(p.name()));
        let pid = waiter.process.as_ref().map_or_else(String::new, |process| format!("PID {}", process.pid));
        let through = waiter.through.and_then(|at| picture.locks[at].place.path_here()?.file_name());
        let through = through.map(|name| elided(&visible(&name.to_string_lossy()), 28));
        let circle = palette.verdict(Verdict::Stale);
        let row = ui.horizontal_top(|ui| {
            ui.add_space(14.0 * depth.min(DEEPEST) as f32);
            let (rect, _) = ui.allocate_exact_size(Vec2::new(12.0, 18.0), Sense::hover());
            let corner = egui::pos2(rect.left() + 3.0, rect.center().y);
            let stroke = Stroke::new(1.0, palette.muted);
            ui.painter().line_segment([egui::pos2(corner.x, rect.top()), corner], stroke);
            ui.painter().line_segment([corner, egui::pos2(rect.right() - 1.0, corner.y)], stroke);
            if waiter.in_circle {
                Icon::Warning.show(ui, circle);
            }
            ui.vertical(|ui| {
                ui.spacing_mut().item_spacing.y = 1.0;
                ui.horizontal(|ui| {
                    ui.spacing_mut().interact_size.y = 18.0;
                    ui.label(name);
                    ui.label(muted(ui, pid));
                });
                // Behind whom it waits tells the tree, but not that it is another lock.
                let of = through.map_or_else(String::new, |name| format!(", for {name}, which the one above holds"));
                let text = format!("seen waiting for {}{of}", say_duration(seen));
                ui.add(Label::new(muted(ui, text).font(tokens::small())).wrap());
                if waiter.in_circle {
                    let text = "waits in a circle: whom it waits for waits for it";
                    ui.add(Label::new(RichText::new(text).font(tokens::small()).color(circle)).wrap());
                }
            });
        });
        row.response.on_hover_text(waiting_words(lock, seen));
        ui.add_space(2.0);
        for below in &waiter.waiters {
            self.waiter(ui, picture, below, depth + 1, drawn);
        }
    }

    /// The time here: of today the time of day, else with the day.
    fn local(&self, at: Wall) -> String {
        self.window.papers.zone.said(at, self.now.0)
    }

    fn changes_in(&mut self, next: Duration) {
        self.next_change = Some(self.next_change.map_or(next, |known| known.min(next)));
    }
}

/// What is known, under its name.
fn fact(ui: &mut Ui, name: &str, text: &str, hover: Option<&str>) {
    const NAME: f32 = 64.0;
    ui.horizontal_top(|ui| {
        ui.spacing_mut().interact_size.y = 20.0;
        ui.spacing_mut().item_spacing.x = 8.0;
        ui.allocate_ui(Vec2::new(NAME, 18.0), |ui| {
            ui.set_min_width(NAME);
            ui.label(muted(ui, name));
        });
        let response = ui.add(Label::new(text).wrap());
        if let Some(hover) = hover {
            response.on_hover_text(hover);
        }
    });
}

fn small_button(ui: &mut Ui, text: &str) -> egui::Response {
    let text = RichText::new(text).font(tokens::small()).color(Palette::of(ui).accent);
    ui.add(egui::Button::new(text).frame(false).min_size(Vec2::new(0.0, 24.0)))
}

fn locks(number: usize) -> String {
    match number {
        1 => "1 more lock".to_owned(),
        more => format!("{more} more locks"),
    }
}
