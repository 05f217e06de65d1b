//! Which locks are shown in which order: filter, sort, groups. Computed off the UI thread.
//!
//! Owns: [`Query`], [`Listing`]. Never: touches a file.

use crate::model::snapshot::{Lock, LockId, Moment, Snapshot};
use crate::model::verdict::Verdict;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// What to sort by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SortKey {
    /// What needs attention first.
    #[default]
    Verdict,
    /// Name.
    Lock,
    /// Holder's or owner's PID.
    Holder,
    /// Format.
    Format,
    /// Age.
    Age,
    /// Liveness.
    Liveness,
    /// Count of waiters.
    Waiting,
}

/// What to show, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Words that must all be found in name, PID, command, format or verdict; `pid:`, `verdict:`, `format:`,
    /// `group:`, `user:`, `name:` name a field.
    pub text: String,
    /// Only these; empty = all.
    pub verdicts: Vec<Verdict>,
    /// Sort by.
    pub sort: SortKey,
    /// The other way round.
    pub descending: bool,
    /// Under headings.
    pub grouped: bool,
    /// Groups that are folded.
    pub folded: Vec<String>,
    /// Also what is no lock.
    pub show_not_locks: bool,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// A heading.
    Group(Group),
    /// A lock.
    Lock(LockId),
}

/// A heading with its roll-up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Its name; empty = the locks that stand alone.
    pub name: String,
    /// Locks in it.
    pub locks: u32,
    /// Stale ones.
    pub stale: u32,
    /// Held ones.
    pub held: u32,
    /// Waiters.
    pub waiting: u32,
    /// Folded: its locks are not among the rows.
    pub folded: bool,
}

/// The rows for one query on one snapshot.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The snapshot it was made from.
    pub generation: u64,
    /// The query it answers.
    pub query: Query,
    /// The rows.
    pub rows: Vec<Row>,
    /// How many locks match, folded ones too.
    pub matching: u32,
}

impl Listing {
    /// Filters, sorts and groups.
    pub fn of(snapshot: &Snapshot, query: &Query) -> Self {
        let moment = snapshot.moment();
        let terms = Term::parse(&query.text);
        let mut locks: Vec<&Lock> = snapshot
            .locks()
            .map(|lock| &**lock)
            .filter(|lock| shown(lock, query) && terms.iter().all(|term| term.matches(lock)))
            .collect();
        let matching = locks.len() as u32;
        locks.sort_by(|a, b| {
            let order = compare(a, b, query.sort, &moment);
            // A tie ends with the path, never reversed, so that no refresh makes rows change places.
            (if query.descending { order.reverse() } else { order }).then_with(|| a.path.cmp(&b.path))
        });
        let rows =
            if query.grouped { grouped(&locks, query) } else { locks.iter().map(|lock| Row::Lock(lock.id)).collect() };
        Self { generation: snapshot.generation, query: query.clone(), rows, matching }
    }
}

fn shown(lock: &Lock, query: &Query) -> bool {
    let verdict = lock.judgement.verdict;
    if query.verdicts.is_empty() {
        verdict != Verdict::NotALock || query.show_not_locks
    } else {
        query.verdicts.contains(&verdict)
    }
}

/// What needs attention first.
fn urgency(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Interrupted => 0,
        Verdict::Stale => 1,
        Verdict::Orphaned => 2,
        Verdict::Suspect => 3,
        Verdict::Held => 4,
        Verdict::Unknown => 5,
        Verdict::Foreign => 6,
        Verdict::Idle => 7,
        Verdict::NotALock => 8,
    }
}

fn compare(a: &Lock, b: &Lock, key: SortKey, moment: &Moment<'_>) -> Ordering {
    match key {
        SortKey::Verdict => urgency(a.judgement.verdict).cmp(&urgency(b.judgement.verdict)),
        SortKey::Lock => a.path.cmp(&b.path),
        SortKey::Holder => holder_pid(a).cmp(&holder_pid(b)),
        SortKey::Format => a.facts.reading.format.title.cmp(b.facts.reading.format.title),
        SortKey::Age => a.age(moment).cmp(&b.age(moment)),
        SortKey::Liveness => a.liveness().cmp(&b.liveness()),
        SortKey::Waiting => a.facts.waiters().len().cmp(&b.facts.waiters().len()),
    }
}

/// Nobody sorts last, going up.
fn holder_pid(lock: &Lock) -> u32 {
    lock.holder()
        .map(|(p, _)| p.pid)
        .or_else(|| lock.facts.reading.record()?.pid)
        .map_or(u32::MAX, super::super::model::holder::Pid::get)
}

/// Groups stand where their first lock would; locks that share their group with no other come last, under one heading.
fn grouped(locks: &[&Lock], query: &Query) -> Vec<Row> {
    let mut members: BTreeMap<&[u8], Vec<usize>> = BTreeMap::new();
    for (at, lock) in locks.iter().enumerate() {
        members.entry(lock.naming.group(lock.path.as_encoded_bytes())).or_default().push(at);
    }
    let mut alone = Vec::new();
    let mut groups: Vec<(&[u8], Vec<usize>)> = Vec::new();
    for (name, at) in members {
        if name.is_empty() || at.len() == 1 {
            alone.extend(at);
        } else {
            groups.push((name, at));
        }
    }
    groups.sort_by_key(|(_, at)| at[0]);
    alone.sort_unstable();
    if groups.is_empty() {
        return locks.iter().map(|lock| Row::Lock(lock.id)).collect();
    }
    let mut rows = Vec::with_capacity(locks.len() + groups.len() + 1);
    for (name, at) in groups.into_iter().chain((!alone.is_empty()).then_some((&b""[..], alone))) {
        let name = String::from_utf8_lossy(name).into_owned();
        let folded = query.folded.contains(&name);
        let mut group = Group { name, folded, ..Group::default() };
        for lock in at.iter().map(|at| locks[*at]) {
            group.locks += 1;
            group.stale += u32::from(lock.is_stale());
            group.held += u32::from(lock.judgement.verdict == Verdict::Held);
            group.waiting += lock.facts.waiters().len() as u32;
        }
        rows.push(Row::Group(group));
        if !folded {
            rows.extend(at.iter().map(|at| Row::Lock(locks[*at].id)));
        }
    }
    rows
}

/// One word of the search.
enum Term {
    Anywhere(String),
    Field(Field, String),
}

#[derive(Clone, Copy)]
enum Field {
    Name,
    Pid,
    Verdict,
    Format,
    Group,
    User,
}

impl Term {
    fn parse(text: &str) -> Vec<Self> {
        text.split_whitespace()
            .map(|word| {
                let field = word.split_once(':').and_then(|(field, value)| {
                    let field = match field.to_ascii_lowercase().as_str() {
                        "name" | "lock" => Field::Name,
                        "pid" => Field::Pid,
                        "verdict" => Field::Verdict,
                        "format" => Field::Format,
                        "group" => Field::Group,
                        "user" => Field::User,
                        _ => return None,
                    };
                    Some(Self::Field(field, value.to_lowercase()))
                });
                field.unwrap_or_else(|| Self::Anywhere(word.to_lowercase()))
            })
            .collect()
    }

    fn matches(&self, lock: &Lock) -> bool {
        let verdict = lock.judgement.verdict;
        match self {
            Self::Field(Field::Name, text) => lock.display_path().to_lowercase().contains(text),
            Self::Field(Field::Pid, text) => pids(lock).any(|pid| pid.to_string() == *text),
            Self::Field(Field::Verdict, text) => {
                verdict.id().starts_with(text.as_str()) || verdict.title().to_lowercase().starts_with(text.as_str())
            }
            Self::Field(Field::Format, text) => {
                let format = lock.facts.reading.format;
                format.id.contains(text.as_str()) || format.title.to_lowercase().contains(text.as_str())
            }
            Self::Field(Field::Group, text) => lock.group().to_lowercase().contains(text),
            Self::Field(Field::User, text) => {
                let process = lock.holder().map(|(p, _)| p).or_else(|| lock.owner_process());
                process.and_then(|p| p.facts).and_then(|f| f.user.clone()).is_some_and(|u| u.to_lowercase() == *text)
            }
            Self::Anywhere(text) => {
                lock.display_path().to_lowercase().contains(text)
                    || pids(lock).any(|pid| pid.to_string().contains(text.as_str()))
                    || verdict.title().to_lowercase().contains(text.as_str())
                    || lock.facts.reading.format.title.to_lowercase().contains(text.as_str())
                    || commands(lock).any(|command| command.to_lowercase().contains(text.as_str()))
            }
        }
    }
}

fn pids(lock: &Lock) -> impl Iterator<Item = u32> {
    let owner = lock.facts.reading.record().and_then(|record| record.pid);
    let holder = lock.holder().map(|(process, _)| process.pid);
    owner
        .into_iter()
        .chain(holder)
        .chain(lock.facts.waiters().iter().map(|w| w.pid))
        .map(crate::model::holder::Pid::get)
}

fn commands(lock: &Lock) -> impl Iterator<Item = String> {
    let process = lock.holder().map(|(p, _)| p).or_else(|| lock.owner_process());
    let seen = process.and_then(|p| p.facts).map(|facts| format!("{} {}", facts.comm, facts.command));
    let recorded = lock.facts.reading.record().and_then(|record| record.command.as_deref().map(str::to_owned));
    seen.into_iter().chain(recorded)
}
