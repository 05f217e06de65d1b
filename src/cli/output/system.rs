//! `status --system`: all kernel locks of the machine, as a table and as JSON (docs/SYSTEM.md).
//!
//! Owns: their columns and keys. Never: leaves a lock out because its path is not known.

use super::json::PathText;
use super::table::{Screen, styled};
use super::text;
use crate::model::facts::ProcessRef;
use crate::model::machine::{MachineLock, MachinePicture, Place};
use anstyle::{AnsiColor, Style};
use serde::Serialize;
use std::io::{self, Write};

/// The version of this shape, as of all others.
const SCHEMA: u32 = 1;

const HEADINGS: [&str; 8] = ["PID", "COMMAND", "USER", "TYPE", "MODE", "RANGE", "WAITING", "PATH"];
const PATH: usize = HEADINGS.len() - 1;
const WAITING: usize = PATH - 1;
/// So much of the path is shown at least, even if the line becomes longer than the terminal.
const NARROWEST_PATH: usize = 24;
/// Indented no further than this.
const DEEPEST: usize = 6;
const WIDEST_COMMAND: usize = 24;

type Row = ([String; HEADINGS.len()], Style);

fn row(picture: &MachinePicture, at: usize) -> Row {
    let lock = &picture.locks[at];
    let facts = lock.facts();
    // Who waits stands under whom it waits for; a long queue goes on at the same depth.
    let indent = match usize::from(lock.line.depth).min(DEEPEST) {
        0 => String::new(),
        depth => format!("{}└ ", "  ".repeat(depth - 1)),
    };
    let more = match lock.processes.len() {
        0 | 1 => String::new(),
        more => format!(" +{}", more - 1),
    };
    let pid = lock.pid().map_or_else(|| "?".to_owned(), |pid| pid.to_string());
    let command = match facts {
        Some(facts) => text::line(facts.name()),
        None if lock.taker_gone => "(gone)".to_owned(),
        None => "?".to_owned(),
    };
    let (waiting, style) = match (lock.is_waiting(), picture.waiters_of(at)) {
        (true, _) if lock.in_circle => ("in a circle".to_owned(), Style::new().fg_color(Some(AnsiColor::Red.into()))),
        (true, _) => ("waits".to_owned(), Style::new().fg_color(Some(AnsiColor::Yellow.into()))),
        (false, 0) => (String::new(), Style::new()),
        (false, waiting) => (waiting.to_string(), Style::new().bold()),
    };
    let cells = [
        format!("{indent}{pid}{more}"),
        command,
        facts.and_then(|facts| facts.user.as_deref()).map_or_else(|| "?".to_owned(), text::line),
        lock.line.kind.word().to_owned(),
        lock.mode().to_owned(),
        lock.range(),
        waiting,
        path_cell(lock),
    ];
    (cells, style)
}

fn path_cell(lock: &MachineLock) -> String {
    match &lock.place {
        Place::Seen { path, deleted, elsewhere } => {
            let deleted = if *deleted { "  (deleted)" } else { "" };
            let elsewhere = if *elsewhere { "  (in its container)" } else { "" };
            format!("{}{deleted}{elsewhere}", text::name(path.as_os_str()))
        }
        // Under its holder the reason stands already.
        Place::Unseen { .. } if lock.is_waiting() => "?".to_owned(),
        Place::Unseen { why, mount } => {
            let on = mount.as_ref().map_or_else(String::new, |mount| format!(" on {}", text::name(mount.as_os_str())));
            let inode = lock.line.file.map_or_else(String::new, |file| format!(", inode {}", file.ino));
            format!("?{on}{inode}: {}", text::line(&why.why()))
        }
    }
}

/// For people.
pub fn table(out: &mut dyn Write, picture: &MachinePicture, screen: Screen) -> io::Result<()> {
    let rows: Vec<Row> = (0..picture.locks.len()).map(|at| row(picture, at)).collect();
    if !rows.is_empty() {
        let mut widths = HEADINGS.map(text::width);
        for (cells, _) in &rows {
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = (*width).max(text::width(cell));
            }
        }
        if screen.width.is_some() {
            widths[1] = widths[1].min(WIDEST_COMMAND);
        }
        let before: usize = widths[..PATH].iter().map(|width| width + 2).sum();
        let path = screen.width.map(|width| width.saturating_sub(before).max(NARROWEST_PATH));
        line(out, &HEADINGS.map(str::to_owned), &widths, path, [Style::new().bold(); 2], screen)?;
        for (cells, waiting) in &rows {
            line(out, cells, &widths, path, [Style::new(), *waiting], screen)?;
        }
        writeln!(out)?;
    }
    for said in summary(picture) {
        writeln!(out, "{said}")?;
    }
    out.flush()
}

fn line(
    out: &mut dyn Write, cells: &[String; HEADINGS.len()], widths: &[usize; HEADINGS.len()], path: Option<usize>,
    [all, waiting]: [Style; 2], screen: Screen,
) -> io::Result<()> {
    for (at, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let cell = match at {
            PATH => path.map_or_else(|| cell.clone(), |columns| text::fit_middle(cell, columns)),
            _ if screen.width.is_some() => text::fit(cell, *width),
            _ => cell.clone(),
        };
        let pad = if at == PATH { 0 } else { width.saturating_sub(text::width(&cell)) + 2 };
        styled(out, &cell, if at == WAITING { waiting } else { all }, screen)?;
        write!(out, "{:pad$}", "")?;
    }
    writeln!(out)
}

/// What the picture shows, and what it may not show.
fn summary(picture: &MachinePicture) -> Vec<String> {
    let (held, waiting) = picture.counts();
    let locks = |count: usize| if count == 1 { "1 lock".to_owned() } else { format!("{count} locks") };
    let directories = match picture.directories.len() {
        0 => String::new(),
        1 => ", in 1 directory".to_owned(),
        more => format!(", in {more} directories"),
    };
    let mut said = vec![match (held, waiting) {
        (0, 0) => "No kernel lock is held.".to_owned(),
        (held, 0) => format!("{} held{directories}.", locks(held)),
        (held, waiting) => format!("{} held, {waiting} waiting{directories}.", locks(held)),
    }];
    said.extend(picture.limits());
    said
}

#[derive(Serialize)]
struct SystemObject<'a> {
    schema: u32,
    host: &'a str,
    taken_at: String,
    counts: CountsObject,
    processes: u32,
    processes_unseen: u32,
    partial: bool,
    unreadable_lines: u32,
    directories: Vec<DirectoryObject<'a>>,
    locks: Vec<LockObject>,
}

#[derive(Serialize)]
struct CountsObject {
    held: usize,
    waiting: usize,
}

#[derive(Serialize)]
struct DirectoryObject<'a> {
    #[serde(flatten)]
    path: PathText,
    held: u32,
    waiting: u32,
    programs: &'a [Box<str>],
}

#[derive(Serialize)]
struct LockObject {
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_bytes: Option<String>,
    deleted: Option<bool>,
    elsewhere: Option<bool>,
    path_unseen: Option<UnseenObject>,
    device: Option<String>,
    inode: Option<u64>,
    #[serde(flatten)]
    line: LineObject,
    taken_by: Option<u32>,
    taker_gone: bool,
    holders: Vec<ProcessObject>,
    waiters: Vec<WaiterObject>,
}

#[derive(Serialize)]
struct UnseenObject {
    reason: &'static str,
    why: String,
    mount_point: Option<String>,
}

#[derive(Serialize)]
struct LineObject {
    r#type: &'static str,
    mode: &'static str,
    start: u64,
    end: Option<u64>,
}

#[derive(Serialize)]
struct WaiterObject {
    #[serde(flatten)]
    line: LineObject,
    process: Option<ProcessObject>,
    in_circle: bool,
    waiters: Vec<WaiterObject>,
}

#[derive(Serialize)]
struct ProcessObject {
    pid: u32,
    command: Option<String>,
    user: Option<String>,
    started_at: Option<String>,
}

impl LineObject {
    fn of(lock: &MachineLock) -> Self {
        Self { r#type: lock.line.kind.id(), mode: lock.mode(), start: lock.line.start, end: lock.line.end }
    }
}

impl ProcessObject {
    fn of(process: &ProcessRef) -> Self {
        let facts = process.facts.as_deref();
        Self {
            pid: process.pid.get(),
            command: facts.map(|facts| if facts.command.is_empty() { &facts.comm } else { &facts.command }.to_string()),
            user: facts.and_then(|facts| facts.user.as_ref()).map(ToString::to_string),
            started_at: facts.map(|facts| facts.started_at.rfc3339()),
        }
    }
}

/// Those that wait directly below the line `at`, with those behind them.
fn waiters(picture: &MachinePicture, at: usize) -> Vec<WaiterObject> {
    let end = at + 1 + picture.waiters_of(at);
    let mut found = Vec::new();
    let mut next = at + 1;
    while next < end {
        let lock = &picture.locks[next];
        found.push(WaiterObject {
            line: LineObject::of(lock),
            process: lock.process().map(ProcessObject::of),
            in_circle: lock.in_circle,
            waiters: waiters(picture, next),
        });
        next += 1 + picture.waiters_of(next);
    }
    found
}

fn lock_object(picture: &MachinePicture, at: usize) -> LockObject {
    let lock = &picture.locks[at];
    let (path, deleted, elsewhere, path_unseen) = match &lock.place {
        Place::Seen { path, deleted, elsewhere } => {
            (Some(PathText::of(path.as_os_str())), Some(*deleted), Some(*elsewhere), None)
        }
        Place::Unseen { why, mount } => {
            let mount_point = mount.as_ref().map(|mount| mount.to_string_lossy().into_owned());
            (None, None, None, Some(UnseenObject { reason: why.id(), why: why.why(), mount_point }))
        }
    };
    let (path, path_bytes) = path.map_or((None, None), |text| (Some(text.path), text.path_bytes));
    LockObject {
        path,
        path_bytes,
        deleted,
        elsewhere,
        path_unseen,
        device: lock.line.file.map(|file| format!("{:02x}:{:02x}", file.major, file.minor)),
        inode: lock.line.file.map(|file| file.ino),
        line: LineObject::of(lock),
        taken_by: lock.line.pid().map(crate::model::holder::Pid::get),
        taker_gone: lock.taker_gone,
        holders: lock.processes.iter().map(ProcessObject::of).collect(),
        waiters: waiters(picture, at),
    }
}

/// For programs.
pub fn json(out: &mut dyn Write, picture: &MachinePicture) -> io::Result<()> {
    let (held, waiting) = picture.counts();
    let held_at = (0..picture.locks.len()).filter(|at| !picture.locks[*at].is_waiting());
    let object = SystemObject {
        schema: SCHEMA,
        host: &picture.host,
        taken_at: picture.taken_at.rfc3339(),
        counts: CountsObject { held, waiting },
        processes: picture.processes,
        processes_unseen: picture.unseen,
        partial: picture.partial,
        unreadable_lines: picture.strange,
        directories: picture
            .directories
            .iter()
            .map(|directory| DirectoryObject {
                path: PathText::of(directory.path.as_os_str()),
                held: directory.held,
                waiting: directory.waiting,
                programs: &directory.programs,
            })
            .collect(),
        locks: held_at.map(|at| lock_object(picture, at)).collect(),
    };
    serde_json::to_writer_pretty(&mut *out, &object)?;
    out.write_all(b"\n")?;
    out.flush()
}
