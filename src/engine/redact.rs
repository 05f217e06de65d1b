//! Making a picture fit to be shown to strangers: what names a person, a computer or a program's arguments goes, before any
//! sentence is made of it.
//!
//! Owns: [`Redaction`]. Names of users and hosts become `user-1`, `host-1`, the same in every file; homes become `~`; of a
//! command line its program and the count of its arguments stay. Never: changes a verdict, a time, a number, or the name of a
//! lock.

use super::JournalLine;
use crate::model::facts::{Facts, OwnerState, ProcessRef, Users};
use crate::model::format::{Record, RecordState};
use crate::model::holder::{ProcessFacts, ProcessLook};
use crate::model::snapshot::{CHUNK, Lock, Problem, Snapshot};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is shown as it is, because it was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Include {
    /// The arguments of commands, and the bytes of records.
    pub arguments: bool,
    /// Home directories, and the names of users and hosts.
    pub names: bool,
}

/// Whose names we know beforehand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Me {
    /// This user's home directory.
    pub home: Option<PathBuf>,
    /// This user's name.
    pub user: Option<String>,
}

/// Below these stand the homes of people, by their names.
const HOMES: [&str; 4] = ["/home/", "/Users/", "/var/home/", "/export/home/"];

/// Words of records that tell nothing of anybody.
const HARMLESS: [&str; 34] = [
    "pid",
    "ppid",
    "host",
    "hostname",
    "user",
    "username",
    "uid",
    "cmd",
    "command",
    "created",
    "started",
    "start",
    "token",
    "boot",
    "boot_id",
    "pid_ns",
    "start_token",
    "time",
    "timestamp",
    "id",
    "lock",
    "locked",
    "exclusive",
    "shared",
    "true",
    "false",
    "null",
    "version",
    "left",
    "out",
    "t",
    "z",
    "x",
    "utc",
];

/// Arguments shorter than this are not looked for in free text: `-v` is everywhere.
const SHORTEST_ARGUMENT: usize = 4;

/// What is replaced by what, gathered from all that will be shown.
#[derive(Clone, Debug, Default)]
pub struct Redaction {
    include: Include,
    /// In the order in which they were met; the first is user-1.
    users: Vec<String>,
    hosts: Vec<String>,
    /// The longest first.
    homes: Vec<String>,
    arguments: BTreeSet<String>,
}

impl Redaction {
    /// Gathers the names that stand in a picture and in the journal.
    pub fn of(snapshot: &Snapshot, journal: &[&JournalLine], me: &Me, include: Include) -> Self {
        let mut known = Self { include, ..Self::default() };
        known.meet_host(&snapshot.sight.host);
        known.homes.extend(me.home.as_deref().filter(|home| home.components().count() > 1).map(text_of));
        me.user.iter().for_each(|user| known.meet_user(user));
        known.meet_path(&text_of(&snapshot.directory));
        for problem in snapshot.problems.iter() {
            known.meet_path(&text_of(&problem.path));
        }
        for lock in snapshot.locks() {
            known.meet_lock(snapshot, lock);
        }
        for line in journal {
            known.meet_path(&line.full_path());
            known.meet_who(&line.who);
        }
        known.homes.sort_by_key(|home| std::cmp::Reverse(home.len()));
        known.homes.dedup();
        known
    }

    /// So many users, hosts and homes are known by name.
    pub fn counts(&self) -> (usize, usize, usize) {
        (self.users.len(), self.hosts.len(), self.homes.len())
    }

    fn meet_user(&mut self, user: &str) {
        // `root` is a role, not a person; a number names nobody.
        let person = !user.is_empty() && user != "root" && !user.bytes().all(|b| b.is_ascii_digit());
        if person && !self.users.iter().any(|known| known == user) {
            self.users.push(user.to_owned());
        }
    }

    fn meet_host(&mut self, host: &str) {
        let computer = !host.is_empty() && !host.eq_ignore_ascii_case("localhost");
        if computer && !self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host)) {
            self.hosts.push(host.to_owned());
        }
    }

    /// `user@host PID 4711`, as the journal says who.
    fn meet_who(&mut self, who: &str) {
        let Some((user, rest)) = who.split_once('@') else { return };
        self.meet_user(user);
        self.meet_host(rest.rsplit_once(" PID ").map_or(rest, |(host, _)| host));
    }

    /// Whose home a path leads into.
    fn meet_path(&mut self, path: &str) {
        for above in HOMES {
            if let Some(rest) = path.strip_prefix(above) {
                let name = rest.split('/').next().unwrap_or_default();
                if !name.is_empty() {
                    self.homes.push(format!("{above}{name}"));
                    self.meet_user(name);
                }
            }
        }
    }

    fn meet_lock(&mut self, snapshot: &Snapshot, lock: &Lock) {
        // The name of a lock itself stays, so only what it stands in can be somebody's.
        if let Some(parent) = snapshot.full_path(lock).parent() {
            self.meet_path(&text_of(parent));
        }
        if let Some(record) = lock.facts.reading().record() {
            record.host.iter().for_each(|host| self.meet_host(host));
            record.user.iter().for_each(|user| self.meet_user(user));
            record.command.iter().for_each(|command| self.meet_command(command));
        }
        for process in processes(&lock.facts) {
            process.user.iter().for_each(|user| self.meet_user(user));
            self.meet_command(&process.command);
        }
    }

    fn meet_command(&mut self, command: &str) {
        for word in command.split_whitespace() {
            for above in HOMES {
                if let Some(at) = word.find(above) {
                    self.meet_path(&word[at..]);
                }
            }
        }
        let arguments = command.split_whitespace().skip(1);
        // Of `--token=abcd` the value may stand somewhere by itself.
        let values = arguments.clone().filter_map(|word| word.split_once('=').map(|(_, value)| value));
        let told = arguments.chain(values).filter(|word| word.chars().count() >= SHORTEST_ARGUMENT);
        self.arguments.extend(told.map(str::to_owned));
    }

    /// A user's name, or what stands for it.
    fn user(&self, user: &str) -> String {
        self.stands_for(user, &self.users, "user", |a, b| a == b)
    }

    fn host(&self, host: &str) -> String {
        self.stands_for(host, &self.hosts, "host", str::eq_ignore_ascii_case)
    }

    fn stands_for(&self, name: &str, known: &[String], word: &str, same: fn(&str, &str) -> bool) -> String {
        match known.iter().position(|known| same(known, name)) {
            Some(at) if !self.include.names => format!("{word}-{}", at + 1),
            _ => name.to_owned(),
        }
    }

    /// Free text of others: homes, names and arguments that are known, wherever they stand as words.
    pub fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        if !self.include.names {
            for home in &self.homes {
                text = replace_words(&text, home, "~");
            }
            for above in HOMES {
                text = without_homes(&text, above);
            }
            text = replace_words(&text, "/root", "~");
            for (at, host) in longest_first(&self.hosts) {
                text = replace_words(&text, host, &format!("host-{}", at + 1));
            }
            for (at, user) in longest_first(&self.users) {
                text = replace_words(&text, user, &format!("user-{}", at + 1));
            }
        }
        if !self.include.arguments {
            text = without_told_command(&text);
            let mut arguments: Vec<&String> = self.arguments.iter().collect();
            arguments.sort_by_key(|argument| std::cmp::Reverse(argument.len()));
            for argument in arguments {
                // There may be thousands, and hardly one of them stands in any text.
                if text.contains(argument.as_str()) {
                    text = replace_words(&text, argument, "…");
                }
            }
        }
        text
    }

    /// A path: homes, and directories that are called like a known user.
    fn path(&self, path: &str) -> String {
        if self.include.names {
            return path.to_owned();
        }
        let mut path = path.to_owned();
        for home in self.homes.iter().map(String::as_str).chain(["/root"]) {
            if let Some(rest) = path.strip_prefix(home).filter(|rest| rest.is_empty() || rest.starts_with('/')) {
                path = format!("~{rest}");
                break;
            }
        }
        let parts: Vec<String> = path.split('/').map(|part| self.host(&self.user(part))).collect();
        parts.join("/")
    }

    /// A path of a lock within its directory: its own name stays.
    pub(super) fn relative(&self, path: &OsStr) -> OsString {
        let bytes = path.as_encoded_bytes();
        let Some(slash) = bytes.iter().rposition(|b| *b == b'/') else { return path.to_owned() };
        let above = self.path(&String::from_utf8_lossy(&bytes[..slash]));
        crate::platform::os_name(&[above.as_bytes(), &bytes[slash..]].concat())
    }

    /// `python3 (3 arguments)`.
    pub(super) fn command(&self, command: &str) -> String {
        if self.include.arguments {
            return self.text(command);
        }
        let mut words = command.split_whitespace();
        let Some(program) = words.next() else { return String::new() };
        let program = self.text(program.rsplit('/').next().unwrap_or(program));
        match words.count() {
            0 => program,
            1 => format!("{program} (1 argument)"),
            more => format!("{program} ({more} arguments)"),
        }
    }

    /// What a file says, where nobody knows what it may say: what are no numbers and no harmless words becomes `x`.
    fn masked(&self, text: &str) -> String {
        let text = self.text(text);
        if self.include.arguments {
            return text;
        }
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let mut shown = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let end = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            let number = word.bytes().all(|b| b.is_ascii_digit());
            if number || HARMLESS.contains(&word.to_ascii_lowercase().as_str()) {
                shown.push_str(word);
            } else {
                shown.extend(word.chars().map(|_| 'x'));
            }
            let between = after.find(is_word).unwrap_or(after.len());
            shown.push_str(&after[..between]);
            rest = &after[between..];
        }
        shown
    }

    fn process(&self, facts: &ProcessFacts) -> ProcessFacts {
        ProcessFacts {
            user: facts.user.as_ref().map(|user| self.user(user).into()),
            comm: self.text(&facts.comm).into(),
            command: self.command(&facts.command).into(),
            ..facts.clone()
        }
    }

    fn process_refs(&self, refs: &[ProcessRef]) -> Vec<ProcessRef> {
        refs.iter().map(|process| self.process_ref(process)).collect()
    }

    fn process_ref(&self, process: &ProcessRef) -> ProcessRef {
        ProcessRef { pid: process.pid, facts: process.facts.as_ref().map(|facts| Arc::new(self.process(facts))) }
    }

    fn record(&self, record: &Record) -> Record {
        Record {
            host: record.host.as_ref().map(|host| self.host(host).into()),
            user: record.user.as_ref().map(|user| self.user(user).into()),
            command: record.command.as_ref().map(|command| self.command(command).into()),
            program: record.program.as_ref().map(|program| self.command(program).into()),
            detail: record.detail.as_ref().map(|detail| self.masked(detail).into()),
            ..record.clone()
        }
    }

    fn facts(&self, facts: &Facts) -> Facts {
        let mut facts = facts.seen();
        if let RecordState::Parsed(record) = &facts.reading.record {
            facts.reading.record = RecordState::Parsed(Box::new(self.record(record)));
        }
        if let Some(kernel) = &mut facts.kernel {
            kernel.holders = self.process_refs(&kernel.holders);
            kernel.waiters = self.process_refs(&kernel.waiters);
        }
        facts.leases = self.process_refs(&facts.leases).into();
        facts.split_holders = self.process_refs(&facts.split_holders);
        if let OwnerState::Looked(look) = &facts.owner {
            facts.owner = OwnerState::Looked(Arc::new(match look.as_ref() {
                ProcessLook::Running(process) => ProcessLook::Running(Box::new(self.process(process))),
                ProcessLook::Exited(process) => ProcessLook::Exited(Box::new(self.process(process))),
                ProcessLook::Unknown(why) => ProcessLook::Unknown(self.text(why).into()),
                other => other.clone(),
            }));
        }
        if let Users::Looked { open, works, .. } = &mut facts.users {
            *open = self.process_refs(open);
            *works = works.as_ref().map(|process| self.process_ref(process));
        }
        facts.bytes = self.masked(&String::from_utf8_lossy(&facts.bytes)).into_bytes().into();
        facts.into()
    }

    fn lock(&self, lock: &Lock) -> Lock {
        let path = self.relative(&lock.path);
        // Group and key are told by places in the path, and stand in its last part.
        let moved = path.len() as isize - lock.path.len() as isize;
        let shift = |place: u16| (place as isize + moved).clamp(0, u16::MAX as isize) as u16;
        let mut naming = lock.naming.clone();
        if naming.group_end > 0 {
            naming.group_end = shift(naming.group_end);
            naming.key = shift(naming.key.start)..shift(naming.key.end);
        }
        Lock { path: path.into_boxed_os_str(), naming, facts: self.facts(&lock.facts), ..lock.clone() }
    }

    /// The picture as it may be shown, with these of its locks.
    pub fn snapshot(&self, snapshot: &Snapshot, locks: &[&Arc<Lock>]) -> Snapshot {
        let mut sight = (*snapshot.sight).clone();
        sight.host = self.host(&sight.host).into();
        let problems: Vec<Problem> = snapshot
            .problems
            .iter()
            .map(|problem| Problem {
                path: self.path(&text_of(&problem.path)).into(),
                error: self.text(&problem.error),
            })
            .collect();
        let kept: Vec<Option<Arc<Lock>>> = locks.iter().map(|lock| Some(Arc::new(self.lock(lock)))).collect();
        Snapshot {
            directory: Path::new(&self.path(&text_of(&snapshot.directory))).into(),
            sight: Arc::new(sight),
            problems: problems.into(),
            chunks: kept.chunks(CHUNK).map(|chunk| Arc::new(chunk.to_vec())).collect(),
            ..snapshot.clone()
        }
    }

    /// An entry of the journal as it may be shown.
    pub fn journal_line(&self, line: &JournalLine) -> JournalLine {
        let path = self.relative(OsStr::new(&line.path)).to_string_lossy().into_owned();
        JournalLine {
            directory: self.path(&line.directory),
            // Its bytes would tell what the text no longer does.
            path_bytes: line.path_bytes.clone().filter(|_| path == line.path),
            path,
            who: self.text(&line.who),
            why: self.text(&line.why),
            outcome: self.text(&line.outcome),
            ..line.clone()
        }
    }
}

fn text_of(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// All processes that evidence speaks of.
fn processes(facts: &Facts) -> Vec<&ProcessFacts> {
    let mut refs: Vec<&ProcessRef> = facts.leases().iter().chain(facts.split_holders()).collect();
    refs.extend(facts.kernel().into_iter().flat_map(|kernel| kernel.holders.iter().chain(&kernel.waiters)));
    if let Users::Looked { open, works, .. } = facts.users() {
        refs.extend(open.iter().chain(works));
    }
    let mut seen: Vec<&ProcessFacts> = refs.into_iter().filter_map(|process| process.facts.as_deref()).collect();
    if let OwnerState::Looked(look) = facts.owner()
        && let ProcessLook::Running(process) | ProcessLook::Exited(process) = look.as_ref()
    {
        seen.push(process);
    }
    seen
}

/// With their places, so that `ada` does not break `ada.example`.
fn longest_first(names: &[String]) -> Vec<(usize, &String)> {
    let mut ordered: Vec<_> = names.iter().enumerate().collect();
    ordered.sort_by_key(|(_, name)| std::cmp::Reverse(name.len()));
    ordered
}

/// Replaces `word` wherever it stands by itself, in any case.
fn replace_words(text: &str, word: &str, by: &str) -> String {
    if word.is_empty() {
        return text.to_owned();
    }
    // ASCII alone changes case, so that places stay where they are.
    let (low, word) = (text.to_ascii_lowercase(), word.to_ascii_lowercase());
    let joins = |c: char| c.is_alphanumeric() || c == '_';
    let (starts, ends) = (word.chars().next().is_some_and(joins), word.chars().next_back().is_some_and(joins));
    let mut shown = String::with_capacity(text.len());
    let mut from = 0;
    for (at, _) in low.match_indices(&word) {
        let end = at + word.len();
        let before = starts && low[..at].chars().next_back().is_some_and(joins);
        let after = ends && low[end..].chars().next().is_some_and(joins);
        if at >= from && !before && !after {
            shown.push_str(&text[from..at]);
            shown.push_str(by);
            from = end;
        }
    }
    shown.push_str(&text[from..]);
    shown
}

/// Homes that nothing else named: `/home/` and whatever follows it up to the next slash, space or quote.
fn without_homes(text: &str, above: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(above) {
        let name = &rest[at + above.len()..];
        let end = name.find(|c: char| c.is_whitespace() || "/\"'`<>|;,:()[]{}".contains(c)).unwrap_or(name.len());
        shown.push_str(&rest[..at]);
        shown.push_str(if end == 0 { above } else { "~" });
        rest = &name[end..];
    }
    shown.push_str(rest);
    shown
}

/// Our own sentence about a dead owner tells its command; in the journal it stands as it was said then.
fn without_told_command(text: &str) -> String {
    const BEFORE: &str = "no such process (";
    let Some(start) = text.find(BEFORE).map(|at| at + BEFORE.len()) else { return text.to_owned() };
    let end = text.rfind(").").filter(|end| *end >= start).unwrap_or(text.len());
    let program = text[start..end].split_whitespace().next().unwrap_or_default();
    format!("{}{}{}", &text[..start], program.rsplit('/').next().unwrap_or(program), &text[end..])
}
