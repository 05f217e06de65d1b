//! Output for people: an aligned table, coloured on a terminal, and one line of counts.
//!
//! Owns: columns, widths, colours. Never: shows a name without making it safe first.

use super::{Shown, text};
use crate::cli::output::json::ClearReport;
use crate::engine::JournalLine;
use crate::engine::sweep::Act;
use crate::model::snapshot::{Counts, Lock, Moment, Snapshot};
use crate::model::time::say_duration;
use crate::model::verdict::Verdict;
use anstyle::{AnsiColor, Style};
use std::io::{self, Write};

/// How the output is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Screen {
    /// Colours may be used: a terminal, and nobody said NO_COLOR.
    pub colour: bool,
    /// Columns of the terminal; `None` = no terminal: nothing is cut off.
    pub width: Option<usize>,
}

const HEADINGS: [&str; 6] = ["VERDICT", "LOCK", "HOLDER", "AGE", "WAITING", "WHY"];
const WHY: usize = HEADINGS.len() - 1;
/// So much of the sentence is shown at least, even if the line becomes longer than the terminal.
const NARROWEST_WHY: usize = 24;
/// The longest that a name or a holder may be on a terminal.
const WIDEST_CELL: usize = 44;

fn colour(verdict: Verdict) -> Style {
    let colour = match verdict {
        Verdict::Held => AnsiColor::Yellow,
        Verdict::Stale => AnsiColor::Red,
        Verdict::Orphaned => AnsiColor::BrightRed,
        Verdict::Suspect => AnsiColor::Magenta,
        Verdict::Foreign => AnsiColor::Blue,
        Verdict::Unknown => AnsiColor::BrightMagenta,
        Verdict::Interrupted => AnsiColor::Cyan,
        Verdict::Idle | Verdict::NotALock => return Style::new().dimmed(),
    };
    Style::new().fg_color(Some(colour.into()))
}

/// A row: its cells, and the style of the first one and of the third.
type Row = ([String; HEADINGS.len()], Style, Style);

fn row(lock: &Lock, at: &Moment<'_>) -> Row {
    let holder = lock.holder().map(|(process, _)| format!("{} {}", process.pid, process.name()));
    let (holder, style) = match holder {
        Some(holder) => (holder, Style::new()),
        None => (owner(lock), Style::new().dimmed()),
    };
    let waiting = lock.facts.waiters().len();
    let cells = [
        lock.judgement.verdict.id().replace('_', " "),
        text::name(&lock.path),
        text::line(&holder),
        lock.age(at).map_or_else(|| "-".into(), say_duration),
        if waiting == 0 { String::new() } else { waiting.to_string() },
        text::line(&lock.why(at)),
    ];
    (cells, colour(lock.judgement.verdict), style)
}

/// Where nobody is proved to hold it, whom the record names.
fn owner(lock: &Lock) -> String {
    use crate::model::holder::Liveness;
    let Some(record) = lock.facts.reading().record() else { return "-".into() };
    let Some(pid) = record.pid else { return "-".into() };
    match (lock.liveness(), lock.judgement.verdict, &record.host) {
        (_, Verdict::Foreign, Some(host)) => format!("({pid} on {host})"),
        (Liveness::Gone, ..) => format!("({pid}, gone)"),
        _ => format!("({pid})"),
    }
}

/// `status` for people.
pub fn status(out: &mut dyn Write, snapshot: &Snapshot, shown: &Shown, screen: Screen) -> io::Result<()> {
    let at = snapshot.moment();
    let rows: Vec<Row> = shown.locks(snapshot).into_iter().map(|lock| row(lock, &at)).collect();
    if !rows.is_empty() {
        table(out, &rows, screen)?;
        writeln!(out)?;
    }
    writeln!(out, "{}", counts_line(snapshot, shown))?;
    for problem in snapshot.problems.iter() {
        writeln!(out, "could not look into {}: {}", text::name(problem.path.as_os_str()), text::line(&problem.error))?;
    }
    out.flush()
}

fn table(out: &mut dyn Write, rows: &[Row], screen: Screen) -> io::Result<()> {
    let mut widths = HEADINGS.map(text::width);
    for (cells, ..) in rows {
        for (width, cell) in widths.iter_mut().zip(cells) {
            *width = (*width).max(text::width(cell));
        }
    }
    if screen.width.is_some() {
        widths[1] = widths[1].min(WIDEST_CELL);
        widths[2] = widths[2].min(WIDEST_CELL);
    }
    let before_why: usize = widths[..WHY].iter().map(|width| width + 2).sum();
    let why = screen.width.map(|width| width.saturating_sub(before_why).max(NARROWEST_WHY));
    let heading = HEADINGS.map(str::to_owned);
    line(out, &heading, &widths, why, Style::new().bold(), Style::new().bold(), screen)?;
    for (cells, first, third) in rows {
        line(out, cells, &widths, why, *first, *third, screen)?;
    }
    Ok(())
}

fn line(
    out: &mut dyn Write, cells: &[String; HEADINGS.len()], widths: &[usize; HEADINGS.len()], why: Option<usize>,
    first: Style, third: Style, screen: Screen,
) -> io::Result<()> {
    for (at, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let style = match at {
            0 => first,
            2 => third,
            _ => Style::new(),
        };
        let cell = match at {
            1 if screen.width.is_some() => text::fit_middle(cell, *width),
            2 if screen.width.is_some() => text::fit(cell, *width),
            WHY => why.map_or_else(|| cell.clone(), |columns| text::fit(cell, columns)),
            _ => cell.clone(),
        };
        let pad = if at == WHY { 0 } else { width - text::width(&cell) + 2 };
        styled(out, &cell, style, screen)?;
        write!(out, "{:pad$}", "")?;
    }
    writeln!(out)
}

pub(super) fn styled(out: &mut dyn Write, cell: &str, style: Style, screen: Screen) -> io::Result<()> {
    if screen.colour && style != Style::new() {
        write!(out, "{style}{cell}{style:#}")
    } else {
        out.write_all(cell.as_bytes())
    }
}

/// `3 held, 1 stale, 2 idle: 6 lock files`.
fn counts_line(snapshot: &Snapshot, shown: &Shown) -> String {
    use std::fmt::Write as _;
    let counts = shown.counts(snapshot);
    let said: Vec<String> = counts
        .iter()
        .filter(|(verdict, count)| *count > 0 && *verdict != Verdict::NotALock)
        .map(|(verdict, count)| format!("{count} {}", verdict.id()))
        .collect();
    let none = counts[Verdict::NotALock as usize].1;
    let locks: usize = counts.iter().map(|(_, count)| count).sum::<usize>() - none;
    let place =
        shown.group.as_ref().map_or_else(|| "here".to_owned(), |group| format!("in group {}", text::line(group)));
    let mut line = match locks {
        0 => format!("No lock files {place}."),
        1 => format!("{}: 1 lock file.", said.join(", ")),
        more => format!("{}: {more} lock files.", said.join(", ")),
    };
    if none > 0 {
        let shown_or_not = if shown.all { "" } else { " (--all shows it)" };
        let is = if none == 1 { "is" } else { "are" };
        let _ = write!(line, " {none} called like a lock {is} none{shown_or_not}.");
    }
    line
}

/// `status --summary`: a line `verdict N` each, then `total N`.
pub fn summary(out: &mut dyn Write, counts: &Counts) -> io::Result<()> {
    let mut total = 0;
    for verdict in Verdict::ALL {
        let count = counts.of(verdict);
        writeln!(out, "{} {count}", verdict.id())?;
        total += count;
    }
    writeln!(out, "total {total}")?;
    out.flush()
}

/// One line of `watch`: time, change, verdict, lock, why.
pub fn change(
    out: &mut dyn Write, change: &'static str, lock: &Lock, at: &Moment<'_>, screen: Screen,
) -> io::Result<()> {
    let (cells, verdict_style, _) = row(lock, at);
    let time = at.now.rfc3339();
    write!(out, "{time}  {change:<8}  ")?;
    styled(out, &format!("{:<11}", cells[0]), verdict_style, screen)?;
    writeln!(out, "  {}  {}", cells[1], cells[WHY])?;
    out.flush()
}

/// What came of a clear.
pub fn clear(out: &mut dyn Write, report: &ClearReport) -> io::Result<()> {
    let verb = if report.dry_run { "would clear" } else { "cleared" };
    for done in &report.cleared {
        let id = done.id.as_ref().map_or_else(String::new, |id| format!("  (undo with: lockscope undo {id})"));
        writeln!(out, "{verb}  {}{id}", text::line(&done.path.path))?;
    }
    for refused in &report.refused {
        let verdict = refused.verdict.map_or_else(String::new, |verdict| format!("{verdict}: "));
        writeln!(out, "refused  {}  {verdict}{}", text::line(&refused.path.path), text::line(&refused.why))?;
    }
    for error in &report.errors {
        writeln!(out, "failed  {}  {}", text::line(&error.path.path), text::line(&error.error))?;
    }
    match report.cleared.len() {
        0 if report.refused.is_empty() && report.errors.is_empty() => writeln!(out, "Nothing to clear.")?,
        0 => writeln!(out, "Nothing was cleared.")?,
        1 => writeln!(out, "{} 1 lock.", capital(verb))?,
        more => writeln!(out, "{} {more} locks.", capital(verb))?,
    }
    out.flush()
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// One line of `sweep`.
pub fn act(out: &mut dyn Write, at: &str, act: &Act) -> io::Result<()> {
    match act {
        Act::Cleared { path, id, why } => {
            writeln!(
                out,
                "{at}  cleared  {}  {}  (undo with: lockscope undo {id})",
                text::name(path),
                text::line(why)
            )?;
        }
        Act::Refused { path, verdict, why } => {
            writeln!(out, "{at}  refused  {}  {}: {}", text::name(path), verdict.id(), text::line(why))?;
        }
        Act::Failed { path, error } => writeln!(out, "{at}  failed  {}  {}", text::name(path), text::line(error))?,
        Act::Spared { path } => {
            writeln!(out, "{at}  left  {}  somebody has put it back; clear it by its name", text::name(path))?;
        }
        Act::Stuck(why) => writeln!(out, "{at}  stuck  {}; trying again, less and less often", text::line(why))?,
        Act::Unstuck => writeln!(out, "{at}  going on")?,
    }
    out.flush()
}

/// `log` for people: a line each, newest last.
pub fn log(out: &mut dyn Write, entries: &[JournalLine]) -> io::Result<()> {
    for entry in entries {
        writeln!(
            out,
            "{}  {}  {:<6}  {}  {}  {}",
            entry.at,
            entry.id,
            entry.what,
            text::line(&entry.full_path()),
            text::line(&entry.who),
            text::line(&entry.told())
        )?;
    }
    if entries.is_empty() {
        writeln!(out, "The journal is empty.")?;
    }
    out.flush()
}
