//! Tables, evidence and journal as text that others read: CSV for spreadsheets, JSON as the command line prints it, Markdown
//! for tickets.
//!
//! Owns: those texts, made whole in memory. Never: writes a file, and never lets a name become a formula.

use super::JournalLine;
use super::shape::{LockObject, LogObject, PathText, SCHEMA, StatusObject, lock_object};
use crate::model::checklist::Bearing;
use crate::model::format::RecordState;
use crate::model::snapshot::{Lock, Moment, Snapshot};
use crate::model::time::{Wall, Zone, say_duration};
use crate::model::verdict::{Certainty, Verdict};
use base64::Engine as _;
use serde::Serialize;
use std::fmt::Write as _;
use std::sync::Arc;

/// What a text is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As the command line's `--json`.
    Json,
    /// RFC 4180.
    Csv,
    /// Headings and lists that read well as they stand.
    Markdown,
}

impl Form {
    /// What the file's name ends with.
    pub const fn ending(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Markdown => "md",
        }
    }
}

/// What is exported. It holds what was shown, so that nothing changes between the choice and the file.
#[derive(Clone, Debug)]
pub enum Subject {
    /// These locks, in this order.
    Table(Arc<Snapshot>, Vec<Arc<Lock>>),
    /// All locks of a directory, by path.
    All(Arc<Snapshot>),
    /// The evidence of these.
    Evidence(Arc<Snapshot>, Vec<Arc<Lock>>),
    /// These entries, in this order, by their places in the journal.
    Journal(Arc<Vec<JournalLine>>, Vec<u32>),
}

impl Subject {
    /// In which forms it can be had.
    pub const fn forms(&self) -> &'static [Form] {
        match self {
            Self::Table(..) | Self::All(_) | Self::Journal(..) => &[Form::Csv, Form::Json],
            Self::Evidence(..) => &[Form::Markdown, Form::Csv, Form::Json],
        }
    }

    /// As text.
    pub fn render(&self, form: Form, zone: &Zone) -> String {
        match (self, form) {
            (Self::Table(snapshot, locks), Form::Csv) => table_csv(snapshot, &refs(locks)),
            (Self::Table(snapshot, locks), _) => table_json(snapshot, &refs(locks)),
            (Self::All(snapshot), form) => {
                let mut locks: Vec<&Arc<Lock>> = snapshot.locks().collect();
                locks.sort_by(|a, b| a.path.cmp(&b.path));
                if form == Form::Csv { table_csv(snapshot, &locks) } else { table_json(snapshot, &locks) }
            }
            (Self::Evidence(snapshot, locks), Form::Json) => evidence_json(snapshot, &refs(locks)),
            (Self::Evidence(snapshot, locks), Form::Csv) => evidence_csv(snapshot, &refs(locks)),
            (Self::Evidence(snapshot, locks), _) => evidence_text(snapshot, &refs(locks), zone),
            (Self::Journal(journal, at), form) => {
                let lines: Vec<&JournalLine> = at.iter().filter_map(|at| journal.get(*at as usize)).collect();
                if form == Form::Csv { journal_csv(&lines) } else { journal_json(&lines) }
            }
        }
    }
}

fn refs(locks: &[Arc<Lock>]) -> Vec<&Arc<Lock>> {
    locks.iter().collect()
}

/// An object as the command line prints it: indented, with a newline at its end.
pub(super) fn pretty(object: &impl Serialize) -> String {
    // Nothing here has keys that are no text, which alone could fail.
    serde_json::to_string_pretty(object).unwrap_or_default() + "\n"
}

/// How many of these have each verdict.
pub(super) fn counts(locks: &[&Arc<Lock>]) -> [(Verdict, usize); Verdict::ALL.len()] {
    let mut counts = Verdict::ALL.map(|verdict| (verdict, 0));
    for lock in locks {
        counts[lock.judgement.verdict as usize].1 += 1;
    }
    counts
}

/// Exactly the shape of `status --json`, with these locks in this order.
pub fn table_json(snapshot: &Snapshot, locks: &[&Arc<Lock>]) -> String {
    pretty(&StatusObject::of(snapshot, locks, counts(locks), false))
}

/// Exactly the shape of `log --json`.
pub fn journal_json(lines: &[&JournalLine]) -> String {
    pretty(&LogObject::of(lines.iter().copied()))
}

/// What a spreadsheet takes for the beginning of a formula, also in its full-width forms.
const FORMULA: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'];

/// A text as a cell: what does not show becomes an escape, and no text can become a formula.
fn cell(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    if text.starts_with(FORMULA) {
        shown.push('\'');
    }
    for c in text.chars() {
        let turns = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}');
        if c.is_control() || turns { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

/// A path as two cells: readable, and in base64 where the first is not exactly it.
fn path_cells(path: &PathText) -> [String; 2] {
    let readable = cell(&path.path);
    let encode = || base64::engine::general_purpose::STANDARD.encode(&path.path);
    let bytes = path.path_bytes.clone().or_else(|| (readable != path.path).then(encode));
    [readable, bytes.unwrap_or_default()]
}

/// RFC 4180; all but numbers in quotes, so that no other separator of some country splits a cell.
struct Sheet(csv::Writer<Vec<u8>>);

impl Sheet {
    fn new(headings: &[&str]) -> Self {
        let mut writer = csv::WriterBuilder::new();
        let writer = writer.terminator(csv::Terminator::CRLF).quote_style(csv::QuoteStyle::NonNumeric);
        let mut sheet = Self(writer.from_writer(Vec::new()));
        sheet.row(headings.iter().map(|heading| (*heading).to_owned()));
        sheet
    }

    fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        // Into memory, and each row as long as the first: neither can fail.
        let _ = self.0.write_record(cells);
    }

    fn text(self) -> String {
        String::from_utf8(self.0.into_inner().unwrap_or_default()).unwrap_or_default()
    }
}

fn number(value: Option<impl ToString>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

fn words(value: Option<&String>) -> String {
    value.map_or_else(String::new, |value| cell(value))
}

const TABLE: [&str; 25] = [
    "verdict",
    "path",
    "path_bytes",
    "group",
    "key",
    "holder_pid",
    "holder_command",
    "holder_user",
    "holder_started_at",
    "age_secs",
    "modified_at",
    "format",
    "mechanism",
    "certainty",
    "stale",
    "clearable",
    "liveness",
    "owner_pid",
    "owner_host",
    "owner_user",
    "owner_command",
    "owner_started_at",
    "waiters",
    "danger",
    "why",
];

/// One line a lock, in this order.
pub fn table_csv(snapshot: &Snapshot, locks: &[&Arc<Lock>]) -> String {
    let at = snapshot.moment();
    let mut sheet = Sheet::new(&TABLE);
    for lock in locks {
        sheet.row(table_row(&lock_object(lock, &at)));
    }
    sheet.text()
}

fn table_row(lock: &LockObject<'_>) -> [String; TABLE.len()] {
    let [path, path_bytes] = path_cells(&lock.path);
    let (holder, owner) = (lock.holder.as_ref(), lock.owner.as_ref());
    let waiters: Vec<String> = lock.waiters.iter().map(ToString::to_string).collect();
    [
        lock.verdict.to_owned(),
        path,
        path_bytes,
        cell(&lock.group),
        cell(&lock.key),
        number(holder.map(|holder| holder.pid)),
        words(holder.and_then(|holder| holder.command.as_ref())),
        words(holder.and_then(|holder| holder.user.as_ref())),
        words(holder.and_then(|holder| holder.started_at.as_ref())),
        number(lock.age_secs),
        words(lock.modified_at.as_ref()),
        cell(lock.format),
        lock.mechanism.to_owned(),
        lock.certainty.unwrap_or_default().to_owned(),
        lock.stale.to_string(),
        lock.clearable.to_string(),
        lock.liveness.to_owned(),
        number(owner.map(|owner| owner.pid)),
        words(owner.and_then(|owner| owner.host.as_ref())),
        words(owner.and_then(|owner| owner.user.as_ref())),
        words(owner.and_then(|owner| owner.command.as_ref())),
        words(owner.and_then(|owner| owner.started_at.as_ref())),
        waiters.join(" "),
        lock.danger.unwrap_or_default().to_owned(),
        cell(&lock.why),
    ]
}

/// One line an entry, in this order.
pub fn journal_csv(lines: &[&JournalLine]) -> String {
    let mut sheet =
        Sheet::new(&["at", "what", "directory", "path", "path_bytes", "verdict", "outcome", "why", "who", "id"]);
    for line in lines {
        let [path, path_bytes] = path_cells(&PathText { path: line.path.clone(), path_bytes: line.path_bytes.clone() });
        let texts = [&line.at, &line.what, &line.directory].map(|text| cell(text));
        let rest = [&line.verdict, &line.outcome, &line.why, &line.who, &line.id].map(|text| cell(text));
        sheet.row(texts.into_iter().chain([path, path_bytes]).chain(rest));
    }
    sheet.text()
}

/// The evidence of some locks: one line a fact, in the words of `status --json`.
pub fn evidence_csv(snapshot: &Snapshot, locks: &[&Arc<Lock>]) -> String {
    let at = snapshot.moment();
    let mut sheet =
        Sheet::new(&["path", "path_bytes", "verdict", "fact", "weighs", "known", "source", "certainty", "at"]);
    for lock in locks {
        let [path, path_bytes] = path_cells(&lock_object(lock, &at).path);
        for fact in lock.checklist(&at) {
            sheet.row([
                path.clone(),
                path_bytes.clone(),
                lock.judgement.verdict.id().to_owned(),
                cell(&fact.text),
                fact.weighs.id().to_owned(),
                fact.known.to_string(),
                fact.source.to_owned(),
                fact.certainty.map_or_else(String::new, |certainty| certainty.id().to_owned()),
                fact.at.rfc3339(),
            ]);
        }
    }
    sheet.text()
}

/// The evidence of some locks: each as `status --json` has it, and their directory.
pub fn evidence_json(snapshot: &Snapshot, locks: &[&Arc<Lock>]) -> String {
    #[derive(Serialize)]
    struct EvidenceObject<'a> {
        schema: u32,
        directory: String,
        host: &'a str,
        taken_at: String,
        locks: Vec<LockObject<'a>>,
    }
    let at = snapshot.moment();
    pretty(&EvidenceObject {
        schema: SCHEMA,
        directory: snapshot.directory.display().to_string(),
        host: &snapshot.sight.host,
        taken_at: snapshot.taken_at.rfc3339(),
        locks: locks.iter().map(|lock| lock_object(lock, &at)).collect(),
    })
}

/// The evidence of some locks, to read: one after the other.
pub fn evidence_text(snapshot: &Snapshot, locks: &[&Arc<Lock>], zone: &Zone) -> String {
    let mut text = String::new();
    for lock in locks {
        // Into a text; that cannot fail.
        let _ = evidence_of(&mut text, snapshot, lock, zone);
    }
    text
}

/// One line, whatever stands in it.
pub(super) fn one_line(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

fn evidence_of(text: &mut String, snapshot: &Snapshot, lock: &Lock, zone: &Zone) -> std::fmt::Result {
    let at = snapshot.moment();
    let say = |at: Wall| zone.stamp(at);
    writeln!(text, "# {}\n", one_line(&lock.display_path()))?;
    let certainty = lock.judgement.certainty.map_or_else(String::new, |certainty| format!(" ({})", certainty.id()));
    writeln!(text, "**{}**{certainty}: {}\n", lock.judgement.verdict.title(), one_line(&lock.why(&at)))?;
    writeln!(text, "- Folder: {}", one_line(&snapshot.directory.to_string_lossy()))?;
    writeln!(text, "- Host: {}", one_line(&snapshot.sight.host))?;
    writeln!(text, "- Seen: {}", say(snapshot.taken_at))?;
    if let Some(stat) = lock.facts.stat() {
        writeln!(text, "- Last touched: {}", say(stat.modified))?;
    }
    writeln!(text, "- Age: {}", lock.age(&at).map_or_else(|| "not known".to_owned(), say_duration))?;
    writeln!(text, "- Format: {}, {}", lock.facts.reading().format.title, lock.facts.reading().mechanism.id())?;
    processes_of(text, lock, &at, zone)?;
    writeln!(text, "\n## Evidence\n")?;
    for fact in lock.checklist(&at) {
        let bearing = match fact.bearing(lock.judgement.verdict) {
            Bearing::Supports => "supports it",
            Bearing::Contradicts => "speaks against it",
            Bearing::Neutral => "says nothing either way",
            Bearing::CouldNotLook => "could not look",
        };
        let certainty = fact.certainty.map_or("not known", Certainty::id);
        let seen = zone.clock(fact.at);
        let more = fact.to_see_more.map_or_else(String::new, |more| format!(" To see more: {more}"));
        writeln!(text, "- {}{more} [{bearing}; {}, {certainty}, {seen}]", one_line(&fact.text), fact.source)?;
    }
    let size = lock.facts.stat().map_or(0, |stat| stat.size);
    writeln!(text, "\n## Record ({size} bytes)\n")?;
    if let RecordState::Malformed(why) = &lock.facts.reading().record {
        writeln!(text, "Not understood: {why}.\n")?;
    }
    // Four spaces: whatever stands in it stays as it is, in Markdown too.
    for line in String::from_utf8_lossy(lock.facts.bytes()).lines() {
        writeln!(text, "    {}", one_line(line))?;
    }
    writeln!(text)
}

fn processes_of(text: &mut String, lock: &Lock, at: &Moment<'_>, zone: &Zone) -> std::fmt::Result {
    let mut line = |what: &str, process: &crate::model::facts::ProcessRef| match &process.facts {
        None => writeln!(text, "- {what}: PID {} (nothing more may be seen)", process.pid),
        Some(facts) => {
            let user = facts.user.as_deref().unwrap_or("?");
            let since = at.now.since(facts.started_at).map(say_duration).unwrap_or_default();
            let command = if facts.command.is_empty() { &facts.comm } else { &facts.command };
            writeln!(
                text,
                "- {what}: PID {}, user {}, since {} ({since}): {}",
                process.pid,
                one_line(user),
                zone.stamp(facts.started_at),
                one_line(command)
            )
        }
    };
    match (lock.holder(), lock.owner_process()) {
        (Some((holder, _)), _) => line("Holder", &holder)?,
        (None, Some(owner)) if owner.facts.is_some() => line("The process that has its PID now", &owner)?,
        _ => {}
    }
    for waiter in lock.facts.waiters() {
        line("Waiting for it", waiter)?;
    }
    Ok(())
}
