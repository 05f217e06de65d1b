//! Putting very many locks in order, and one change into an order that stands.
//!
//! What is compared of a lock is made into a number once, so that a comparison fetches nothing; both processors look
//! through the locks; the first rows are there before the others are in their order; and a listing that differs from the
//! one before by a few locks is made from that.
//!
//! Owns: filtering and sorting for [`Listing`](super::listing::Listing). Never: decides what is shown or what goes first.

use super::listing::{FIRST_ROWS, Order, Row};
use crate::model::snapshot::{Lock, Snapshot};
use std::cmp::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A lock with what it is sorted by.
#[derive(Clone, Copy)]
pub(super) struct Ranked<'a> {
    key: u64,
    /// The first bytes of its path.
    begins: u64,
    pub(super) lock: &'a Lock,
}

impl<'a> Ranked<'a> {
    fn of(lock: &'a Lock, order: Order) -> Self {
        let key = order.key(lock);
        Self { key: if order.descending { !key } else { key }, begins: begins(lock.path.as_encoded_bytes()), lock }
    }

    /// A tie ends with the path, never reversed, so that no refresh makes rows change places.
    fn compare(&self, other: &Self) -> Ordering {
        let by_path = || self.lock.path.as_encoded_bytes().cmp(other.lock.path.as_encoded_bytes());
        self.key.cmp(&other.key).then_with(|| self.begins.cmp(&other.begins)).then_with(by_path)
    }
}

/// As a number that sorts as the bytes do.
pub(super) fn begins(bytes: &[u8]) -> u64 {
    let mut first = [0; 8];
    let length = bytes.len().min(first.len());
    first[..length].copy_from_slice(&bytes[..length]);
    u64::from_be_bytes(first)
}

/// So many locks are worth a second thread, and first rows before the rest.
const MANY: usize = 50_000;

type Chunk = Arc<Vec<Option<Arc<Lock>>>>;

/// What is looked for.
pub(super) struct Wanted<'f> {
    /// Whether a lock is listed.
    pub(super) fits: &'f (dyn Fn(&Lock) -> bool + Sync),
    pub(super) order: Order,
    /// Few may fit: what was found by then is shown while the rest is looked through. Else the first rows wait until all
    /// are selected, and are the right ones.
    pub(super) so_far: Option<Duration>,
    /// Something else is wanted by now.
    pub(super) void: &'f (dyn Fn() -> bool + Sync),
}

impl Wanted<'_> {
    /// Those of these chunks that fit, in no order; `None` = the question is void. `after_each` chunk is given what was
    /// found until then.
    fn select<'a>(
        &self, chunks: &'a [Chunk], mut after_each: impl FnMut(&mut Vec<Ranked<'a>>),
    ) -> Option<Vec<Ranked<'a>>> {
        let mut found = Vec::new();
        for chunk in chunks {
            if (self.void)() {
                return None;
            }
            let locks = chunk.iter().flatten().filter(|lock| (self.fits)(lock));
            found.extend(locks.map(|lock| Ranked::of(lock, self.order)));
            after_each(&mut found);
        }
        Some(found)
    }
}

/// The locks that fit, in their order; `None` = the question is void. `first` is given the first of them before that, where
/// there are very many.
pub(super) fn rank<'a>(
    snapshot: &'a Snapshot, wanted: &Wanted<'_>, first: &mut dyn FnMut(&[Ranked<'a>], usize),
) -> Option<Vec<Ranked<'a>>> {
    let chunks = &snapshot.chunks;
    if (snapshot.counts.all() as usize) < MANY {
        let mut ranked = wanted.select(chunks, |_| {})?;
        ranked.sort_unstable_by(Ranked::compare);
        return Some(ranked);
    }
    let (left, right) = chunks.split_at(chunks.len() / 2);
    let began = Instant::now();
    let mut due = wanted.so_far;
    let so_far = |found: &mut Vec<Ranked<'a>>| {
        if due.take_if(|due| began.elapsed() >= *due).is_some() {
            let mut top = lowest(found);
            top.sort_unstable_by(Ranked::compare);
            first(&top, found.len());
        }
    };
    let (mut left, mut right) = beside(|| wanted.select(left, so_far), || wanted.select(right, |_| {}));
    let (left, right) = (left.as_mut()?, right.as_mut()?);
    let mut top: Vec<Ranked<'a>> = [&mut *left, &mut *right].into_iter().flat_map(|part| lowest(part)).collect();
    top.sort_unstable_by(Ranked::compare);
    top.truncate(FIRST_ROWS);
    first(&top, left.len() + right.len());
    beside(|| left.sort_unstable_by(Ranked::compare), || right.sort_unstable_by(Ranked::compare));
    Some(merge(left, right))
}

/// Those that would stand first, in no order.
fn lowest<'a>(part: &mut [Ranked<'a>]) -> Vec<Ranked<'a>> {
    if part.len() > FIRST_ROWS {
        part.select_nth_unstable_by(FIRST_ROWS, Ranked::compare);
    }
    part[..part.len().min(FIRST_ROWS)].to_vec()
}

fn merge<'a>(left: &[Ranked<'a>], right: &[Ranked<'a>]) -> Vec<Ranked<'a>> {
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        let next = if a.compare(b) == Ordering::Greater { right.next() } else { left.next() };
        merged.extend(next.copied());
    }
    merged.extend(left.chain(right).copied());
    merged
}

/// Both at once, on two threads.
fn beside<A, B: Send>(ours: impl FnOnce() -> A, theirs: impl FnOnce() -> B + Send) -> (A, B) {
    std::thread::scope(|scope| {
        let other = scope.spawn(theirs);
        let ours = ours();
        (ours, other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

/// More changes than these are sorted anew.
const FEW: usize = 512;

/// The rows of `before` as they are after what has changed since, and by how many locks more or less; `None` where that
/// cannot be told, or is no less work than to begin anew.
pub(super) fn renew(
    before: &Snapshot, rows: &[Row], after: &Snapshot, fits: &dyn Fn(&Lock) -> bool, order: Order,
) -> Option<Vec<Row>> {
    let (mut gone, mut new): (Vec<&Lock>, Vec<&Lock>) = (Vec::new(), Vec::new());
    after.changes_since(before, &mut |was, is| {
        if gone.len() + new.len() <= FEW {
            gone.extend(was.map(|lock| &**lock).filter(|lock| fits(lock)));
            new.extend(is.map(|lock| &**lock).filter(|lock| fits(lock)));
        }
    });
    if gone.len() + new.len() > FEW {
        return None;
    }
    let mut rows = rows.to_vec();
    for lock in gone {
        let at = place(&rows, before, lock, order)?.ok()?;
        (rows.get(at) == Some(&Row::Lock(lock.id))).then(|| rows.remove(at))?;
    }
    for lock in new {
        let at = place(&rows, after, lock, order)?.err()?;
        rows.insert(at, Row::Lock(lock.id));
    }
    Some(rows)
}

/// Where a lock stands among rows, or would.
fn place(rows: &[Row], snapshot: &Snapshot, lock: &Lock, order: Order) -> Option<Result<usize, usize>> {
    let wanted = Ranked::of(lock, order);
    let mut astray = false;
    let found = rows.binary_search_by(|row| {
        let there = if let Row::Lock(id) = row { snapshot.lock(*id) } else { None };
        let Some(there) = there else {
            astray = true;
            return Ordering::Equal;
        };
        Ranked::of(there, order).compare(&wanted)
    });
    (!astray).then_some(found)
}

/// The rows of these.
pub(super) fn rows(ranked: &[Ranked<'_>]) -> Vec<Row> {
    ranked.iter().map(|ranked| Row::Lock(ranked.lock.id)).collect()
}
