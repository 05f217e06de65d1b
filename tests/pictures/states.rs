//! The states of the window that have a picture, as one table. A new state is a new row: its name, what the window is
//! opened on, what is done in it, and words that must be there in the end.

use super::made::pid;
use super::scenes::Scene::{self, *};
use super::stage::Step::{self, *};
use eframe::egui::{Key, Modifiers};
use lockscope::engine::incident::Contents;
use lockscope::engine::{Event, JournalLine, Outcome};

/// 1280 x 800, the window's own size.
const USUAL: [f32; 2] = [1280.0, 800.0];
/// The smallest that it can be made.
const SMALLEST: [f32; 2] = [720.0, 480.0];

const COMMAND_SHIFT: Modifiers = Modifiers { shift: true, ..Modifiers::COMMAND };

/// One state of the window.
pub(crate) struct State {
    /// Its picture is `docs/screenshots/NAME-THEME.png`.
    pub(crate) name: &'static str,
    pub(crate) scene: Scene,
    /// In points.
    pub(crate) size: [f32; 2],
    /// Pixels a point.
    pub(crate) scale: f32,
    pub(crate) steps: &'static [Step],
    /// Words that it shows, so that the picture is of what its name says.
    pub(crate) shows: &'static [&'static str],
}

const fn state(name: &'static str, scene: Scene, steps: &'static [Step], shows: &'static [&'static str]) -> State {
    State { name, scene, size: USUAL, scale: 1.0, steps, shows }
}

/// All of them, in the order of docs/WINDOW.md.
pub(crate) const STATES: &[State] = &[
    state("main", Chat, &[], &["Clear stale (3)…"]),
    state("start", FirstRun, &[], &["Drop a folder with lock files here", "Try the demo"]),
    state("start-recent", Recent, &[], &["Recent: /srv/mail/queue"]),
    state("stale", Chat, &[Row("Stale, a41f9_memory.lock")], &["Owner PID 4711 is gone", "Clear…"]),
    state("held", Chat, &[Row("Held, a41f9_messages.lock")], &["End python3 (5102)…", "Waiting for it"]),
    state("suspect", Chat, &[Row("Suspect, index.lock")], &["After clearing, run", "git fsck"]),
    state("split", Split, &[Row("Held, jobs.lock")], &["Danger: split lock"]),
    state("confirm", Chat, &[Button("Clear stale (3)…")], &["Clear 3 stale locks?", "Clear 3 locks", "Cancel"]),
    state(
        "confirm-changed",
        Chat,
        &[Button("Clear stale (3)…"), Becomes(ChatTaken)],
        &["Clear 2 locks", "Left out: the file has changed since you looked."],
    ),
    state(
        "confirm-by-name",
        Chat,
        &[Row("Orphaned, b7702_message_operations.lock"), Button("Clear…"), Write("Name of the lock", "b7702_mess")],
        &["Clear this lock?", "Clear 1 lock"],
    ),
    state(
        "force",
        Chat,
        &[
            Row("Elsewhere, nightly-sync.lock"),
            Button("Force…"),
            Write("Name of the lock", "nightly-sync.lock"),
            Write("Reason", "nas2 was scrapped on Friday, ticket 1187"),
        ],
        &["Take this lock away by force?", "Take it away by force"],
    ),
    state(
        "end-holder",
        Chat,
        &[Row("Held, a41f9_messages.lock"), Button("End python3 (5102)…"), Impact(5102)],
        &["End python3 (PID 5102)?", "It holds locks on: "],
    ),
    state(
        "cleared",
        Chat,
        &[Tell(three_cleared), Becomes(ChatCleared)],
        &["3 locks cleared. Each was checked again first.", "Undo"],
    ),
    state("refused", Chat, &[Tell(one_refused)], &["2 locks cleared, 1 refused."]),
    state("journal", ChatCleared, &[Press(Modifiers::COMMAND, Key::J)], &["put back"]),
    state("search", Chat, &[Write("Search", "verdict:held user:chat")], &["Held, thumbnails.lock"]),
    state("nothing-matches", Chat, &[Write("Search", "verdict:stale postgres")], &["Nothing matches", "Show all"]),
    state("many-chosen", Chat, &[Press(Modifiers::COMMAND, Key::A)], &["13 locks chosen"]),
    state("palette", Chat, &[Press(Modifiers::COMMAND, Key::K)], &["Find a command, a lock or a folder"]),
    state("shortcuts", Chat, &[Press(Modifiers::NONE, Key::F1)], &["Shortcuts", "Undo the last clear"]),
    state("menu", Chat, &[Button("Menu")], &["Next stale lock"]),
    state("row-menu", Chat, &[Row("Stale, a41f9_memory.lock"), Press(Modifiers::SHIFT, Key::F10)], &["Copy path"]),
    state("paused", Chat, &[Press(Modifiers::COMMAND, Key::P), Becomes(ChatTaken)], &["Paused"]),
    state("timeline", Chat, &[Row("Held, a41f9_messages.lock"), Button("Chosen lock")], &["Timeline", "usually"]),
    state("timeline-list", Chat, &[Button("List")], &["Timeline"]),
    state("folders", Several, &[], &["uploads"]),
    state("machine", Chat, &[Press(COMMAND_SHIFT, Key::M)], &["a41f9_messages.lock"]),
    state("export", Chat, &[Press(Modifiers::COMMAND, Key::S)], &["Export", "The table as shown"]),
    state("incident", Chat, &[Press(COMMAND_SHIFT, Key::S), Tell(previewed)], &["Save an incident bundle"]),
    state("names", Hostile, &[Row("Stale, invoice\\u{202e}fdp.lock")], &["two\\nlines.lock"]),
    state("hundred-thousand", Many, &[], &["Clear stale (100,000)…"]),
    state("empty", Empty, &[], &["No lock files here"]),
    state("loading", Loading, &[], &["Reading the folder…"]),
    state("lost", Lost, &[], &["Folder gone"]),
    state("no-permission", Denied, &[], &["Not allowed"]),
    State { size: SMALLEST, ..state("smallest", Chat, &[], &["Clear stale (3)…"]) },
    State {
        size: SMALLEST,
        ..state("smallest-stale", Chat, &[Row("Stale, a41f9_memory.lock")], &["Owner PID 4711 is gone"])
    },
    State { size: SMALLEST, ..state("smallest-confirm", Chat, &[Button("Clear stale (3)…")], &["Clear 3 locks"]) },
    State { size: SMALLEST, ..state("smallest-start", Recent, &[], &["Recent: /srv/mail/queue"]) },
    State { size: SMALLEST, scale: 2.0, ..state("twice-the-scale", Chat, &[], &["Clear stale (3)…"]) },
];

fn outcome(path: &str, result: Result<&str, &str>) -> Outcome {
    Outcome { path: path.into(), result: result.map(str::to_owned).map_err(str::to_owned) }
}

fn three_cleared() -> Event {
    let names = ["a41f9_memory.lock", "b7702_all.lock", "b7702_uploaded_documents_list.lock"];
    let outcomes = names.iter().enumerate().map(|(at, name)| outcome(name, Ok(&at.to_string()))).collect();
    Event::Cleared { outcomes, left: 0 }
}

fn one_refused() -> Event {
    let outcomes = vec![
        outcome("a41f9_memory.lock", Err("the file has changed since you looked")),
        outcome("b7702_all.lock", Ok("1")),
        outcome("b7702_uploaded_documents_list.lock", Ok("2")),
    ];
    Event::Cleared { outcomes, left: 0 }
}

fn previewed() -> Event {
    Event::Previewed(Box::new(Contents {
        locks: (13, 0),
        evidence: (10, 0),
        entries: (6, 0),
        replaced: (1, 1, 1),
        history: true,
        directory: super::scenes::CHAT.to_owned(),
        example: Some(("python3 server.py --port 8080".to_owned(), "python3 (3 arguments)".to_owned())),
    }))
}

/// When, what, which, what came of it, why; undoable.
type Line = (&'static str, &'static str, &'static str, &'static str, &'static str, bool);

const LINES: &[Line] = &[
    ("2026-11-18T09:02:11Z", "force", "nightly-sync.lock", "cleared", "nas1 was scrapped, ticket 1102", true),
    ("2026-11-20T17:44:05Z", "sweep", "b7702_all.lock", "cleared", "Owner PID 2207 is gone: no such process.", false),
    (
        "2026-11-20T17:51:40Z",
        "refuse",
        "a41f9_messages.lock",
        "refused",
        "it is held now: PID 5102 has a kernel lock on it",
        false,
    ),
    ("2026-11-21T12:58:19Z", "undo", "b7702_all.lock", "put back", "as it was before", false),
    ("2026-11-21T13:29:51Z", "clear", "a41f9_memory.lock", "cleared", "Owner PID 4711 is gone: no such process.", true),
    ("2026-11-21T13:29:51Z", "clear", "b7702_all.lock", "cleared", "Owner PID 3990 is gone: no such process.", true),
];

/// What every picture's journal says.
pub(crate) fn journal() -> Vec<JournalLine> {
    let line = |(at, (when, what, path, outcome, why, undoable)): (usize, &Line)| JournalLine {
        id: at.to_string(),
        at: (*when).to_owned(),
        what: (*what).to_owned(),
        directory: super::scenes::CHAT.to_owned(),
        path: (*path).to_owned(),
        path_bytes: None,
        who: "ana@atlas".to_owned(),
        verdict: "stale".to_owned(),
        why: (*why).to_owned(),
        outcome: (*outcome).to_owned(),
        undoable: *undoable,
        kept_no_more: (*what == "sweep").then_some("It was put back already."),
    };
    LINES.iter().enumerate().map(line).collect()
}

/// What ending a process of the scene would hit.
pub(crate) fn impact(scene: Scene, number: u32) -> Event {
    let impact = lockscope::inspect::impact_of(&*scene.machine().machine(), pid(number));
    Event::Impact(pid(number), Ok(Box::new(impact.expect("it runs"))))
}
