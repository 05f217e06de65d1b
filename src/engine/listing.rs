//! Which locks are shown in which order: filter, sort, groups. Computed off the UI thread.
//!
//! Owns: [`Query`], [`Listing`]. Never: touches a file.

use super::ranking::{self, Wanted, begins, rank, renew};
use super::search::Search;
use crate::model::format::{FORMATS, Format};
use crate::model::snapshot::{Lock, LockId, Snapshot};
use crate::model::verdict::Verdict;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::LazyLock;

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
    /// As typed; [`Search`] reads it.
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
    Group(Box<Group>),
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
    /// Its locks by name, where they are so few that they are seen at a glance; else none.
    pub members: Vec<LockId>,
}

/// The rows for one query on one snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The snapshot it was made from.
    pub generation: u64,
    /// The query it answers.
    pub query: Query,
    /// The rows.
    pub rows: Vec<Row>,
    /// How many locks match, folded ones too.
    pub matching: u32,
    /// All rows are there; else the first ones, while the others are still put in their order.
    pub complete: bool,
}

/// How a listing comes about where there are very many locks.
pub struct Steps<'f> {
    /// Is given the first rows before the others are in their order.
    pub first: &'f mut dyn FnMut(Listing),
    /// Of a search, where few may be found: once this is so, what was found until then is the first.
    pub due: &'f dyn Fn() -> bool,
    /// Something else is wanted by now.
    pub void: &'f (dyn Fn() -> bool + Sync),
}

impl Listing {
    /// Filters, sorts and groups.
    pub fn of(snapshot: &Snapshot, query: &Query) -> Self {
        let steps = Steps { first: &mut |_| {}, due: &|| false, void: &|| false };
        // What is never void comes to its end.
        Self::in_steps(snapshot, query, steps).unwrap_or_default()
    }

    /// The same, for whoever waits for it; `None` = the question became void.
    pub fn in_steps(snapshot: &Snapshot, query: &Query, steps: Steps<'_>) -> Option<Self> {
        let Steps { first, due, void } = steps;
        let moment = snapshot.moment();
        // The window asks for nothing that cannot be read.
        let search = Search::parse(&query.text).unwrap_or_default();
        let anything = query.text.trim().is_empty();
        let fits = |lock: &Lock| shown(lock, query) && (anything || search.matches(lock, &moment));
        let made = |rows, matching, complete| Self {
            generation: snapshot.generation,
            query: query.clone(),
            rows,
            matching,
            complete,
        };
        let so_far = (!anything).then_some(due);
        let wanted = Wanted { fits: &fits, order: Order::of(query), so_far, void };
        let ranked = rank(snapshot, &wanted, &mut |top, matching| {
            if !query.grouped {
                first(made(ranking::rows(top), matching as u32, false));
            }
        })?;
        let rows = if query.grouped {
            grouped(&ranked.iter().map(|ranked| ranked.lock).collect::<Vec<_>>(), snapshot, query)
        } else {
            ranking::rows(&ranked)
        };
        Some(made(rows, ranked.len() as u32, true))
    }

    /// Whether the listing of a later picture of the same directory can be made from this one. A search may hang on the time,
    /// and groups on their first locks.
    pub(super) fn can_be_renewed(&self, before: &Snapshot, after: &Snapshot, query: &Query) -> bool {
        let same = self.complete && self.query == *query && self.generation == before.generation;
        same && !query.grouped && query.text.trim().is_empty() && before.directory == after.directory
    }

    /// The listing of a later picture of the same directory, out of this one where few locks have changed since; `None` = it
    /// is to be made anew.
    pub(super) fn renewed(self, before: &Snapshot, after: &Snapshot) -> Option<Self> {
        let query = self.query;
        let rows = renew(before, self.rows, after, &|lock| shown(lock, &query), Order::of(&query))?;
        let matching = rows.len() as u32;
        Some(Self { generation: after.generation, query, rows, matching, complete: true })
    }
}

/// So many rows come first: more than any window shows at once.
pub(super) const FIRST_ROWS: usize = 1000;

/// By what, and which way round.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    key: SortKey,
    pub(super) descending: bool,
}

impl Order {
    fn of(query: &Query) -> Self {
        Self { key: query.sort, descending: query.descending }
    }

    /// What it is sorted by, as a number. No two pictures order the same two locks differently as time goes by.
    pub(super) fn key(self, lock: &Lock) -> u64 {
        match self.key {
            SortKey::Verdict => urgency(lock.judgement.verdict).into(),
            SortKey::Lock => begins(lock.path.as_encoded_bytes()),
            SortKey::Holder => holder_pid(lock).into(),
            SortKey::Format => format_rank(lock.facts.reading().format),
            // What was touched last is the youngest.
            SortKey::Age => lock.facts.stat().map_or(0, |stat| {
                let modified = stat.modified.0.cast_unsigned() ^ (1 << 63);
                u64::MAX - modified
            }),
            SortKey::Liveness => lock.liveness() as u64,
            SortKey::Waiting => lock.facts.waiters().len() as u64,
        }
    }
}

/// The place of a format's title among all titles. Asked for a million locks, it is found by the row's address: to compare
/// titles takes as long as all else of the sorting until its first result.
fn format_rank(format: &'static Format) -> u64 {
    static RANKS: LazyLock<HashMap<usize, u64>> = LazyLock::new(|| {
        let mut titles: Vec<&str> = FORMATS.iter().map(|format| format.title).collect();
        titles.sort_unstable();
        titles.dedup();
        let rank = |format: &Format| titles.partition_point(|title| *title < format.title) as u64;
        FORMATS.iter().map(|format| (std::ptr::from_ref::<Format>(format).addr(), rank(format))).collect()
    });
    // Each format is a row of the catalogue.
    RANKS.get(&std::ptr::from_ref(format).addr()).copied().unwrap_or(u64::MAX)
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

/// Nobody sorts last, going up.
fn holder_pid(lock: &Lock) -> u32 {
    lock.holder()
        .map(|(p, _)| p.pid)
        .or_else(|| lock.facts.reading().record()?.pid)
        .map_or(u32::MAX, super::super::model::holder::Pid::get)
}

/// So many are seen at a glance.
const FEW: usize = 8;

/// The groups of which several locks would be listed without search and chips, among those of which `one_is` listed.
fn only_filtered<'a>(one_is: impl Fn(&[u8]) -> bool, snapshot: &'a Snapshot, query: &Query) -> BTreeSet<&'a [u8]> {
    if query.verdicts.is_empty() && query.text.trim().is_empty() {
        return BTreeSet::new();
    }
    let unfiltered = Query { show_not_locks: query.show_not_locks, ..Query::default() };
    let (mut once, mut more) = (BTreeSet::new(), BTreeSet::new());
    for lock in snapshot.locks().filter(|lock| shown(lock, &unfiltered) || shown(lock, query)) {
        let name = lock.naming.group(lock.path.as_encoded_bytes());
        if one_is(name) && !once.insert(name) {
            more.insert(name);
        }
    }
    more
}

/// Groups stand where their first lock would; locks that share their group with no other come last, under one heading.
/// A group whose other members are only filtered out keeps its heading.
fn grouped(locks: &[&Lock], snapshot: &Snapshot, query: &Query) -> Vec<Row> {
    // Most groups of a large directory have one lock: all that such a one costs is its number.
    let mut numbers: HashMap<&[u8], usize> = HashMap::new();
    let (mut sizes, mut number_of): (Vec<u32>, Vec<usize>) = (Vec::new(), Vec::with_capacity(locks.len()));
    for lock in locks {
        let number = *numbers.entry(lock.naming.group(lock.path.as_encoded_bytes())).or_insert(sizes.len());
        if number == sizes.len() {
            sizes.push(0);
        }
        sizes[number] += 1;
        number_of.push(number);
    }
    let filtered = only_filtered(|name| numbers.get(name).is_some_and(|number| sizes[*number] == 1), snapshot, query);
    let mut names: Vec<Option<&[u8]>> = vec![None; sizes.len()];
    for (name, number) in numbers {
        let is_group = !name.is_empty() && (sizes[number] > 1 || filtered.contains(name));
        names[number] = is_group.then_some(name);
    }
    // In the order of the numbers, which is that of their first locks.
    let mut groups: Vec<(&[u8], Vec<usize>)> = Vec::new();
    let places: Vec<Option<usize>> = (names.into_iter().zip(&sizes))
        .map(|(name, size)| {
            groups.push((name?, Vec::with_capacity(*size as usize)));
            Some(groups.len() - 1)
        })
        .collect();
    let mut alone = Vec::new();
    for (at, number) in number_of.into_iter().enumerate() {
        match places[number] {
            Some(place) => groups[place].1.push(at),
            None => alone.push(at),
        }
    }
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
        if !group.name.is_empty() && at.len() <= FEW {
            let mut members: Vec<&Lock> = at.iter().map(|at| locks[*at]).collect();
            members.sort_by(|a, b| a.path.cmp(&b.path));
            group.members = members.into_iter().map(|lock| lock.id).collect();
        }
        rows.push(Row::Group(Box::new(group)));
        if !folded {
            rows.extend(at.iter().map(|at| Row::Lock(locks[*at].id)));
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_stand_in_the_order_of_their_titles() {
        for one in FORMATS.iter() {
            for other in FORMATS.iter() {
                let ranks = format_rank(one).cmp(&format_rank(other));
                assert_eq!(ranks, one.title.cmp(other.title), "{} and {}", one.id, other.id);
            }
        }
    }
}
