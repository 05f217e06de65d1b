//! The explorer: runs Lockscope's own code again and again, each time by another list of choices, until every order of
//! everybody's steps has been seen.
//!
//! Each call of the modelled disk is a point where, first, any other may step or this process may die. A run follows its
//! list of choices, then takes the first of each, and notes the others for later. It stops where it comes to a state that
//! was seen before: the disk, the others, and what each Lockscope has been told so far, which is all that its code can
//! depend on. Two Lockscopes are two threads, of which only the one whose turn it is runs.

use super::super::Shape;
use super::actors::{Actor, Kind};
use super::disk::Outcome;
use super::store::Store;
use super::world::{INDEX, Ino, KEPT, LOCK, LOCKS, Mutation, REMAINS, STALE, TARGET, World};
use crate::clear::journal::{Entry, State as Journaled};
use crate::model::facts::FileStat;
use crate::platform::linux::change::Seen;
use std::any::Any;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Who takes part.
#[derive(Clone, Debug)]
pub(super) struct Cast {
    pub(super) inspectors: usize,
    pub(super) others: Vec<Kind>,
    /// A git-style holder's target is there already.
    pub(super) index: bool,
    /// How often a Lockscope may die.
    pub(super) crashes: u32,
    /// How often a call may fail.
    pub(super) faults: u32,
    pub(super) mutation: Mutation,
    /// What the locks are, where they are directories.
    pub(super) shape: Option<Shape>,
}

/// More calls than any run that ends has.
const ENDLESS: u32 = 400;

/// A violated property: its name, and how often.
pub(super) type Violations = BTreeMap<&'static str, usize>;

/// What came of an exploration.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) states: usize,
    pub(super) runs: usize,
    pub(super) violations: Violations,
    /// In so many of them the lock was cleared.
    pub(super) cleared: usize,
    /// The steps that led to the first violation.
    pub(super) trace: Vec<String>,
}

/// One Lockscope, as the stage knows it.
#[derive(Clone, Default, Hash)]
struct Inspector {
    /// All that it was told, in order: its local state follows from this.
    told: u64,
    done: bool,
    wants_mutex: bool,
    made: u64,
}

pub(super) struct Stage {
    pub(super) cast: Cast,
    pub(super) world: World,
    pub(super) store: Store,
    actors: Vec<Actor>,
    inspectors: Vec<Inspector>,
    crashes: u32,
    faults: u32,
    /// Calls made in this run.
    calls: u32,
    /// Another breaker removed a living lock: what follows is not our doing.
    guilty: bool,
    turn: usize,
    /// This run has ended, here or in another thread.
    over: bool,
    violated: Violations,
    cleared: usize,
    exploration: u128,
    log: Option<Vec<String>>,
    path: Vec<u8>,
    at: usize,
    left: Vec<Vec<u8>>,
    visited: HashSet<u64>,
}

/// How a run is left from within the code under test.
enum Exit {
    /// Dead.
    Crashed,
    /// Known from here on.
    Pruned,
}

#[derive(Clone, Copy)]
enum Move {
    Continue,
    Other(usize),
    Turn(usize),
    Crash,
    /// The next call fails: before it has done anything, or (a journal that is written and cannot be synced) after.
    Fail {
        late: bool,
    },
}

struct Shared {
    stage: Mutex<Stage>,
    turn: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

thread_local! {
    static HERE: RefCell<Option<(Arc<Shared>, usize)>> = const { RefCell::new(None) };
}

fn here() -> (Arc<Shared>, usize) {
    HERE.with_borrow(Clone::clone).expect("the code under test runs on a stage")
}

/// Does something at once, without letting anybody go first: what the kernel does when a process dies.
pub(super) fn at_once<R>(act: impl FnOnce(&mut Stage, usize) -> R) -> R {
    let (shared, me) = here();
    act(&mut shared.lock(), me)
}

/// One call: others may go first, or we die; then it happens, in one go.
pub(super) fn call<R: Outcome>(what: &'static str, act: impl FnOnce(&mut Stage, usize) -> R) -> R {
    let (shared, me) = here();
    if std::thread::panicking() {
        return act(&mut shared.lock(), me);
    }
    let can_fail = R::failed().is_some();
    let mut stage = shared.lock();
    loop {
        while stage.turn != me && !stage.over {
            stage = shared.turn.wait(stage).unwrap_or_else(PoisonError::into_inner);
        }
        let moves = if stage.over { Vec::new() } else { stage.moves(me, Some((what, can_fail))) };
        if moves.is_empty() && !stage.over {
            stage.violate("everybody waits for ever");
        }
        if stage.calls > ENDLESS && !stage.over {
            stage.violate("a Lockscope goes round for ever");
        }
        let choice = if moves.is_empty() || stage.calls > ENDLESS { None } else { stage.choose(moves.len()) };
        match choice.map(|choice| moves[choice]) {
            None => {
                stage.over = true;
                shared.turn.notify_all();
                drop(stage);
                resume_unwind(Box::new(Exit::Pruned));
            }
            Some(Move::Continue) => break,
            Some(Move::Other(number)) => stage.step(number),
            Some(Move::Turn(other)) => {
                stage.turn = other;
                shared.turn.notify_all();
            }
            Some(Move::Fail { late }) => {
                let Some(outcome) = R::failed() else { continue };
                stage.faults += 1;
                stage.calls += 1;
                if late {
                    act(&mut stage, me);
                }
                stage.note(|| format!("Lockscope {me}: {what} FAILS"));
                let digest = outcome.digest();
                stage.told(me, what, digest);
                return outcome;
            }
            Some(Move::Crash) => {
                stage.crashes += 1;
                stage.note(|| format!("Lockscope {me} dies before: {what}"));
                // All forgotten; and it is the next start that goes on, not the first.
                stage.inspectors[me].told = u64::MAX;
                drop(stage);
                resume_unwind(Box::new(Exit::Crashed));
            }
        }
    }
    stage.calls += 1;
    let before = stage.before();
    let outcome = act(&mut stage, me);
    let digest = outcome.digest();
    stage.told(me, what, digest);
    stage.note(|| format!("Lockscope {me}: {what} -> {digest:x}"));
    stage.check(&before, None);
    outcome
}

/// What a step is compared with: the living holders with their locks, and whether something stands at the path.
struct Before {
    holders: Vec<(usize, Ino, bool)>,
    taken: bool,
}

impl Stage {
    fn reset(&mut self, epoch: FileStat, path: Vec<u8>) {
        self.world = World::new(epoch, self.cast.mutation, self.cast.index, self.cast.shape);
        self.store = Store::default();
        self.actors = self.cast.others.iter().map(|kind| Actor::new(*kind)).collect();
        // The first that each does is to take the mutex.
        self.inspectors = vec![Inspector { wants_mutex: true, ..Inspector::default() }; self.cast.inspectors];
        (self.crashes, self.faults, self.calls) = (0, 0, 0);
        (self.guilty, self.turn, self.over) = (false, 0, false);
        (self.path, self.at) = (path, 0);
    }

    /// What has to be tried right before a call: steps of the others, those of another Lockscope, our death. Not what makes
    /// no difference: a step that neither sees nor changes what the call does, can as well come after it; and who dies
    /// before it looks, forgets what it would have seen.
    fn may_come_before(&self, call: &str) -> [bool; 3] {
        let books = matches!(
            call,
            "write the intent"
                | "remove the intent"
                | "list the intents"
                | "any intents"
                | "journal"
                | "read the journal"
        );
        let own = books || matches!(call, "mkdir" | "create" | "write" | "probe");
        let looks = matches!(
            call,
            "look"
                | "fstat"
                | "pin"
                | "open a directory"
                | "list"
                | "read"
                | "read again"
                | "judge"
                | "ask for the lease"
                | "readlink of the descriptor"
                | "list the intents"
                | "any intents"
                | "read the journal"
        );
        // With the mutex the other is outside, where it can but look into the books. Without it they could take turns at
        // every call, too many to go through: there, at those alone that touch what the other touches.
        let touches = if self.has_mutex() { books } else { matches!(call, "exchange" | "rmdir") };
        let lockscopes = touches || call == "take the mutex";
        [!own && (self.has_mutex() || lockscopes), lockscopes, !looks]
    }

    /// `before`: the call that is next, and whether it can fail; `None` = this Lockscope has ended.
    fn moves(&self, me: usize, before: Option<(&str, bool)>) -> Vec<Move> {
        let mut moves = Vec::new();
        let waits = |inspector: &Inspector| inspector.wants_mutex && self.store.mutex_is_taken();
        if !waits(&self.inspectors[me]) {
            moves.push(Move::Continue);
        }
        let [others, mut lockscopes, death] = before.map_or([true; 3], |(call, _)| self.may_come_before(call));
        // They are alike: which of them begins makes no difference.
        lockscopes &= self.inspectors[me].told != 0;
        if others || moves.is_empty() {
            moves.extend((0..self.actors.len()).filter(|n| self.actors[*n].can_step(&self.world)).map(Move::Other));
        }
        if lockscopes || moves.is_empty() {
            let others = self.inspectors.iter().enumerate();
            let others = others.filter(|(number, other)| *number != me && !other.done && !waits(other));
            moves.extend(others.map(|(number, _)| Move::Turn(number)));
        }
        if death && before.is_some() && self.crashes < self.cast.crashes {
            moves.push(Move::Crash);
        }
        if before.is_some_and(|(_, can_fail)| can_fail) && self.faults < self.cast.faults {
            moves.push(Move::Fail { late: false });
            if before.is_some_and(|(call, _)| call == "journal") {
                moves.push(Move::Fail { late: true });
            }
        }
        moves
    }

    /// The next choice of `count`; `None` where all that follows has been seen.
    fn choose(&mut self, count: usize) -> Option<usize> {
        if count == 1 {
            return Some(0);
        }
        if self.at == self.path.len() {
            if !self.visited.insert(self.key()) {
                return None;
            }
            for other in 1..count as u8 {
                self.left.push(self.path.iter().copied().chain([other]).collect());
            }
            self.path.push(0);
        }
        self.at += 1;
        Some(self.path[self.at - 1].into())
    }

    fn key(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.world.key(&mut hasher);
        self.store.hash(&mut hasher);
        self.actors.hash(&mut hasher);
        self.inspectors.hash(&mut hasher);
        (self.crashes, self.faults, self.guilty, self.turn).hash(&mut hasher);
        hasher.finish()
    }

    fn told(&mut self, me: usize, what: &str, digest: u64) {
        let mut hasher = DefaultHasher::new();
        (self.inspectors[me].told, what, digest).hash(&mut hasher);
        self.inspectors[me].told = hasher.finish();
    }

    fn note(&mut self, what: impl FnOnce() -> String) {
        if let Some(log) = &mut self.log {
            log.push(what());
        }
    }

    /// The number of the next thing that this Lockscope makes: the same in every order of the others' steps.
    pub(super) fn next_number(&mut self, me: usize) -> u64 {
        self.inspectors[me].made += 1;
        1000 * (me as u64 + 1) + self.inspectors[me].made
    }

    /// Tells the explorations of this process from each other.
    pub(super) fn exploration(&self) -> u128 {
        self.exploration
    }

    /// What an inode of the beginning looked like then.
    pub(super) fn unchanged(&self, ino: Ino) -> Seen {
        World::new(self.world.epoch, Mutation::None, self.cast.index, self.cast.shape).seen(ino)
    }

    pub(super) fn has_mutex(&self) -> bool {
        use Mutation::{WithoutMarkerToo, WithoutMutex, WithoutMutexAndLease};
        !matches!(self.cast.mutation, WithoutMutex | WithoutMutexAndLease | WithoutMarkerToo)
    }

    pub(super) fn wants_mutex(&mut self, me: usize, wants: bool) {
        self.inspectors[me].wants_mutex = wants;
    }

    fn step(&mut self, number: usize) {
        let before = self.before();
        let mut actor = self.actors[number];
        let did = actor.step(number, &mut self.world);
        self.actors[number] = actor;
        self.guilty |= did.guilty;
        self.note(|| format!("{:?} {number} {}", actor.kind, did.what));
        self.check(&before, Some(number));
    }

    fn holders(&self) -> impl Iterator<Item = (usize, Ino)> {
        self.actors.iter().enumerate().filter_map(|(number, actor)| Some((number, actor.holds()?)))
    }

    /// Those too who have made their lock and not yet said whose it is.
    fn owners(&self) -> impl Iterator<Item = (usize, Ino)> {
        self.actors.iter().enumerate().filter_map(|(number, actor)| Some((number, actor.owns()?)))
    }

    fn before(&self) -> Before {
        let holders = self.owners().map(|(n, ino)| (n, ino, self.world.stands(ino))).collect();
        Before { holders, taken: self.world.get(LOCKS, LOCK).is_some() }
    }

    fn violate(&mut self, what: &'static str) {
        *self.violated.entry(what).or_default() += 1;
        self.note(|| format!("VIOLATED: {what}"));
    }

    /// What may never happen in one step; `by` = another's, else ours.
    fn check(&mut self, before: &Before, by: Option<usize>) {
        let hidden = before.taken && self.world.get(LOCKS, LOCK).is_none();
        for (holder, ino, stood) in &before.holders {
            if self.actors[*holder].owns() != Some(*ino) || by == Some(*holder) {
                continue;
            }
            let gone = *stood && !self.world.stands(*ino);
            match by {
                // Where another has removed one name of it, what we take away is our own second one.
                None if gone && !self.world.inodes[ino].let_go => self.violate("a living lock is deleted"),
                None if hidden && !self.guilty => self.violate("the path is free while somebody holds the lock"),
                None => {}
                Some(_) => self.guilty |= gone || hidden,
            }
        }
        if !self.guilty && self.holders().count() > 1 {
            self.violate("two holders");
        }
    }

    /// What must be so when a Lockscope has ended.
    fn check_end(&mut self) {
        let held: Vec<Ino> = self.owners().map(|(_, ino)| ino).collect();
        for ino in held {
            let ours = |name: &[u8]| name.starts_with(b".lockscope-");
            // One that is still at work may have it in hand.
            let all_done = self.inspectors.iter().all(|inspector| inspector.done);
            let in_hand = all_done && self.world.stands_at(ino, LOCKS, ours);
            let aside = in_hand || self.world.stands_at(ino, KEPT, |_| true);
            let at_home = self.world.stands_at(ino, LOCKS, |name| !ours(name));
            if aside && !at_home && !self.guilty {
                self.violate("a living lock stays in quarantine");
            }
        }
    }

    /// What must be so when all have ended, and every interrupted clear was recovered.
    fn check_all_ended(&mut self) {
        let is_left = |name: &[u8]| name.starts_with(b".lockscope-") && !name.ends_with(b".cleared");
        if self.world.inodes[&LOCKS].inside.keys().any(|name| is_left(name)) {
            self.violate("a name of ours is left");
        }
        if self.world.inodes.values().any(|inode| inode.ours && inode.links > 0) {
            self.violate("a placeholder is left");
        }
        if self.store.has_intents() {
            self.violate("an intent is left");
        }
        let entries = self.store.entries();
        self.cleared += usize::from(entries.iter().any(|entry| entry.state == Journaled::Done));
        if entries.iter().any(|entry| matches!(entry.state, Journaled::Prepared | Journaled::Swapped)) {
            self.violate("a journal entry is left open");
        }
        let theirs: Vec<_> = self.world.inodes.keys().copied().filter(|ino| is_theirs(*ino)).collect();
        for ino in theirs {
            let inode = &self.world.inodes[&ino];
            if inode.links == 0 && !inode.let_go {
                self.violate("a file is destroyed");
            }
        }
        // In quarantine, or (where that cannot be) beside the lock.
        let beside = self.world.inodes[&LOCKS].inside.keys().filter(|name| name.ends_with(b".cleared"));
        let kept: Vec<_> = self.world.inodes[&KEPT].inside.keys().chain(beside).cloned().collect();
        for name in kept {
            let names_it = |entry: &Entry| {
                let kept = entry.quarantine.as_ref().and_then(|path| path.file_name());
                kept.is_some_and(|kept| kept.as_encoded_bytes() == name)
                    && matches!(entry.state, Journaled::Done | Journaled::KeptForeign)
            };
            if !entries.iter().any(names_it) {
                self.violate("the journal does not know what is kept");
            }
        }
        // Of several that committed, one came last.
        let committed = self.actors.iter().enumerate().filter(|(_, actor)| actor.committed);
        let mut data = committed.map(|(number, _)| Actor::own(number)).peekable();
        let target = self.world.get(LOCKS, TARGET);
        if !self.guilty && data.peek().is_some() && !data.any(|data| target == Some(data)) {
            self.violate("a commit lost its data");
        }
    }
}

fn is_theirs(ino: Ino) -> bool {
    [STALE, INDEX, REMAINS].contains(&ino) || (100..1000).contains(&ino)
}

/// Runs one Lockscope: the program, and after each death the next start of it.
fn live(shared: &Arc<Shared>, me: usize, program: fn(), restart: fn()) {
    HERE.set(Some((Arc::clone(shared), me)));
    let mut result = catch_unwind(program);
    loop {
        match result.map_err(Box::<dyn Any + Send>::downcast::<Exit>) {
            Ok(()) => break,
            Err(Ok(exit)) if matches!(*exit, Exit::Crashed) => result = catch_unwind(restart),
            Err(Ok(_)) => return,
            Err(Err(panic)) => {
                shared.lock().over = true;
                shared.turn.notify_all();
                resume_unwind(panic);
            }
        }
    }
    let mut stage = shared.lock();
    stage.inspectors[me].done = true;
    stage.check_end();
    if let Some(other) = stage.inspectors.iter().position(|other| !other.done) {
        stage.turn = other;
        shared.turn.notify_all();
        return;
    }
    // The last turns off the light: the others go on until none can.
    loop {
        let moves: Vec<_> = stage.moves(me, None).split_off(1);
        let Some(choice) = (if moves.is_empty() { None } else { stage.choose(moves.len()) }) else {
            if moves.is_empty() {
                stage.check_all_ended();
            }
            return;
        };
        if let Move::Other(number) = moves[choice] {
            stage.step(number);
        }
    }
}

/// Goes through every order of steps. Stops at the first violation where that is all that is asked for.
pub(super) fn explore(cast: &Cast, epoch: FileStat, until_violated: bool, program: fn(), restart: fn()) -> Found {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let stage = Stage {
        cast: cast.clone(),
        world: World::new(epoch, cast.mutation, cast.index, cast.shape),
        store: Store::default(),
        actors: Vec::new(),
        inspectors: Vec::new(),
        crashes: 0,
        faults: 0,
        calls: 0,
        guilty: false,
        turn: 0,
        over: false,
        violated: Violations::new(),
        cleared: 0,
        exploration: COUNT.fetch_add(1, Ordering::Relaxed).into(),
        log: None,
        path: Vec::new(),
        at: 0,
        left: vec![Vec::new()],
        visited: HashSet::new(),
    };
    let shared = Arc::new(Shared { stage: Mutex::new(stage), turn: Condvar::new() });
    let run = |path: Vec<u8>| {
        shared.lock().reset(epoch, path);
        std::thread::scope(|scope| {
            for me in 1..cast.inspectors {
                let shared = &shared;
                scope.spawn(move || live(shared, me, program, restart));
            }
            let ended = catch_unwind(AssertUnwindSafe(|| live(&shared, 0, program, restart)));
            if let Err(panic) = ended {
                resume_unwind(panic);
            }
        });
    };
    let (mut runs, mut trace) = (0, Vec::new());
    while let Some(path) = { shared.lock().left.pop() } {
        run(path);
        runs += 1;
        let mut stage = shared.lock();
        if !stage.violated.is_empty() && trace.is_empty() {
            // Once more the same way, this time taking notes.
            let path = stage.path.clone();
            let (seen, left) = (std::mem::take(&mut stage.visited), std::mem::take(&mut stage.left));
            let violated = stage.violated.clone();
            stage.log = Some(Vec::new());
            drop(stage);
            run(path);
            stage = shared.lock();
            trace = stage.log.take().unwrap_or_default();
            (stage.visited, stage.left, stage.violated) = (seen, left, violated);
            if until_violated {
                break;
            }
        }
    }
    let stage = shared.lock();
    Found { states: stage.visited.len(), runs, violations: stage.violated.clone(), cleared: stage.cleared, trace }
}
