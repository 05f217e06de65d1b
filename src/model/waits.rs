//! Who waits for whom: for one file as a tree, and over the whole machine as circles.
//!
//! Owns: [`wait_tree`], [`circles`]. Never: calls a circle a deadlock: another thread of one of them may let go.

use super::facts::ProcessRef;
use super::holder::Pid;
use super::kernel::KernelFile;
use super::machine::MachinePicture;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// By a waiting process: the processes that have what it waits for.
fn edges(picture: &MachinePicture) -> BTreeMap<Pid, BTreeSet<Pid>> {
    let mut edges: BTreeMap<Pid, BTreeSet<Pid>> = BTreeMap::new();
    let mut root: Vec<Pid> = Vec::new();
    for lock in &picture.locks {
        if lock.is_waiting() {
            for waiter in &lock.processes {
                let holders = edges.entry(waiter.pid).or_default();
                holders.extend(root.iter().copied());
            }
        } else {
            root = lock.processes.iter().map(|process| process.pid).collect();
        }
    }
    edges
}

/// For each line of the picture: whether its process waits there for one that waits, over however many others, for it.
/// Who only stands in the queue behind such a one does not.
pub fn circles(picture: &MachinePicture) -> Vec<bool> {
    let edges = edges(picture);
    // Each process's answer once: what it can reach by waiting.
    let mut reaches: HashMap<Pid, HashSet<Pid>> = HashMap::new();
    for start in edges.keys() {
        let mut reached = HashSet::new();
        let mut left: Vec<Pid> = edges[start].iter().copied().collect();
        while let Some(pid) = left.pop() {
            if reached.insert(pid) {
                left.extend(edges.get(&pid).into_iter().flatten());
            }
        }
        reaches.insert(*start, reached);
    }
    let mut root: Vec<Pid> = Vec::new();
    let mut circles = Vec::with_capacity(picture.locks.len());
    for lock in &picture.locks {
        if !lock.is_waiting() {
            root = lock.processes.iter().map(|process| process.pid).collect();
            circles.push(false);
            continue;
        }
        let closes = |waiter: Pid| {
            let back = |holder: &Pid| *holder == waiter || reaches.get(holder).is_some_and(|r| r.contains(&waiter));
            root.iter().any(back)
        };
        circles.push(lock.processes.iter().any(|process| closes(process.pid)));
    }
    circles
}

/// Somebody who waits, and who waits because of that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiter {
    /// Its line in the picture.
    pub at: usize,
    /// It; `None` where the kernel does not name it.
    pub process: Option<ProcessRef>,
    /// Of who waits for another lock that the one above holds: the line of that lock.
    pub through: Option<usize>,
    /// It waits for one that waits for it.
    pub in_circle: bool,
    /// Who waits behind it, or for what it holds.
    pub waiters: Vec<Waiter>,
}

/// Who waits for the locks on one file, and who waits for what those hold in turn; so many at most.
pub fn wait_tree(picture: &MachinePicture, file: KernelFile, most: usize) -> Vec<Waiter> {
    let mut tree = Vec::new();
    let roots = picture.locks.iter().enumerate().filter(|(_, lock)| !lock.is_waiting() && lock.line.file == Some(file));
    let mut building = Building { picture, shown: HashSet::new(), left: most };
    for (root, _) in roots {
        building.shown.insert(root);
        tree.extend(building.below(root, None));
    }
    tree
}

/// A tree in the making.
struct Building<'a> {
    picture: &'a MachinePicture,
    /// Each lock's waiters are shown once, so that a circle ends.
    shown: HashSet<usize>,
    left: usize,
}

impl Building<'_> {
    /// Who waits under the line `at`.
    fn below(&mut self, at: usize, through: Option<usize>) -> Vec<Waiter> {
        let picture = self.picture;
        let end = at + 1 + picture.waiters_of(at);
        let mut waiters = Vec::new();
        let mut next = at + 1;
        while next < end && self.left > 0 {
            self.left -= 1;
            let lock = &picture.locks[next];
            let place = waiters.len();
            waiters.push(Waiter {
                at: next,
                process: lock.process().cloned(),
                through,
                in_circle: lock.in_circle,
                waiters: Vec::new(),
            });
            let mut its = self.below(next, None);
            for process in &lock.processes {
                for held in picture.held_by(process.pid) {
                    if self.left > 0 && picture.waiters_of(held) > 0 && self.shown.insert(held) {
                        its.extend(self.below(held, Some(held)));
                    }
                }
            }
            waiters[place].waiters = its;
            next += 1 + picture.waiters_of(next);
        }
        waiters
    }
}
