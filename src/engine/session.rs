//! One directory being watched: the thread that looks, keeps the store, and publishes.
//!
//! Owns: when to look at what. Events lead to a look at their paths; twice a second the kernel's lock table and the
//! processes that verdicts hang on are asked again, as locks and deaths make no events; a slow full pass stands behind
//! all of it. Never: acts on a lock. A session whose directory hangs is left behind, never waited for.

mod pass;

use super::learned::{recall, remember};
use super::store::Store;
use super::watch::Watch;
use super::watched::Life;
use super::words::{Inbox, Wake, Word};
use crate::inspect::{LookError, LookOptions, Looker, Looks, Names, list_names, sight_of};
use crate::inspect::{Openings, SplitsByDirectory};
use crate::model::facts::{Seen, Sight};
use crate::model::format::{Listed, listed};
use crate::model::holder::ProcessLook;
use crate::model::ignore::IgnoreRules;
use crate::model::snapshot::{CHUNK, Lock, LockId, LostReason, Moment, PollingReason, Snapshot, Watching};
use crate::model::time::Wall;
use crate::platform::{Directory, DirectoryId, System};
use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How often the kernel's table and the processes are asked.
const TICK: Duration = Duration::from_millis(500);
/// The same of a directory in the background, where nobody waits for what it shows.
const BACKGROUND_TICK: Duration = Duration::from_secs(2);
/// Full passes over a directory in the background are this far apart, at least.
const BACKGROUND_PASS: Duration = Duration::from_secs(30);
const BACKGROUND_POLL: Duration = Duration::from_secs(5);
/// Where the system is out of watches for subfolders they are asked for again this often: to take the last ones again and
/// again would starve others.
const WATCHES_AGAIN: Duration = Duration::from_mins(5);
/// Events that come in a burst are answered together; far below the 100 ms in which a change must show.
pub(super) const GATHER: Duration = Duration::from_millis(15);
const BACKGROUND_GATHER: Duration = Duration::from_millis(200);
/// The slow full pass takes never more than this part of our time: a thousandth, and in the background or while nobody can see
/// the window half of that. A tenth where there are no events.
const SLOW_SHARE: u32 = 1000;
const BACKGROUND_SHARE: u32 = 2000;
const POLL_SHARE: u32 = 10;
/// About what one lock takes in a full pass.
const LOOK: Duration = Duration::from_micros(20);
/// While the first pass runs, the picture so far is shown this often.
const PROGRESS: Duration = Duration::from_millis(200);
/// Who has a file open is asked this often where a verdict hangs on it; less often where nobody looks.
const USERS: Duration = Duration::from_secs(3);
const BACKGROUND_USERS: Duration = Duration::from_secs(15);
/// That is to read the open files of all processes; it takes never more than this part of our time, however many there are.
const USERS_SHARE: u32 = 100;
/// Two clocks cannot be read at once: so far, in nanoseconds, they seem to drift apart without one being set.
const CLOCK_JITTER: i128 = 50_000_000;

/// What a session needs.
pub(super) struct Session<'a> {
    pub(super) system: Arc<dyn System>,
    pub(super) inbox: Inbox,
    pub(super) options: Arc<LookOptions>,
    pub(super) path: PathBuf,
    pub(super) life: Life,
    /// What was to be seen of the machine, while the directory could be looked at.
    pub(super) sight: Option<Arc<Sight>>,
    /// The ids of locks begin here; it grows each time that the directory is opened again.
    pub(super) first_id: u32,
    pub(super) slow_pass: Duration,
    /// For so long the events of a burst are gathered; usually [`GATHER`].
    pub(super) gather: Duration,
    /// Where what was learned is kept; `None` = nowhere.
    pub(super) state_dir: Option<PathBuf>,
    /// On the session's own thread; may say by `life` that it is to end.
    pub(super) publish: Box<dyn FnMut(Snapshot) + 'a>,
}

enum End {
    /// Nobody wants it any more, or the engine has ended.
    Ended,
    /// Try to open the directory again.
    Reopen,
}

/// The state of watching one opened directory.
struct Live {
    id: DirectoryId,
    watch: Option<Watch>,
    polling: Option<PollingReason>,
    store: Store,
    splits: Arc<SplitsByDirectory>,
    counts: Option<(u32, u32)>,
    /// Those of the last pass and since; the store has the names of its locks itself.
    names: Names,
    sight: Arc<Sight>,
    /// What was seen of the machine last, and when.
    machine: Machine,
    scanned_at: Wall,
    scanned_monotonic: Duration,
    scan_took: Duration,
    /// How many locks there were then.
    scanned: u32,
    clock_offset: i128,
    /// When the last tick was, on the monotonic clock.
    ticked: Duration,
    strangers: HashSet<u64>,
    /// When it was asked who has files open, on the monotonic clock, and how long that took.
    users_asked: Duration,
    asking_users_took: Duration,
    dirty: bool,
    /// `names` still has those of the locks, which the store has as well.
    names_twice: bool,
    /// The file system does not answer, and that has been said.
    silent: bool,
    /// When events were last answered, on the monotonic clock.
    heard: Option<Duration>,
    /// When there were no watches for all subfolders, on the monotonic clock.
    below_failed: Option<Duration>,
}

impl Live {
    /// How long a full pass would take now: there may be many more locks than at the last one.
    fn next_scan(&self) -> Duration {
        self.scan_took + LOOK * self.store.counts.all().saturating_sub(self.scanned)
    }

    /// What has an id has its name in the store; once is enough. Nobody waits for that: the picture is out.
    fn hold_names_once(&mut self) {
        if std::mem::take(&mut self.names_twice) {
            self.names.all = self.names.all.without(|name| self.store.id_named(name).is_some());
        }
    }

    /// Whether there is such a name.
    fn knows(&self, name: &[u8]) -> bool {
        self.names.all.contains(name) || self.store.id_named(name).is_some()
    }
}

/// What a look has seen of the machine.
struct Machine {
    sight: Arc<Sight>,
    /// On the monotonic clock.
    at: Duration,
    clock_offset: i128,
}

impl Machine {
    fn of(looker: &Looker) -> Self {
        let clock_offset = clock_offset(looker.now, looker.monotonic);
        Self { sight: Arc::clone(&looker.sight), at: looker.monotonic, clock_offset }
    }
}

impl Session<'_> {
    /// Runs until it is ended.
    pub(super) fn run(mut self) {
        let mut lost: Option<LostReason> = None;
        let mut recalled = false;
        loop {
            if self.is_ended() {
                return;
            }
            match self.open() {
                Ok(directory) => {
                    lost = None;
                    if !std::mem::replace(&mut recalled, true) {
                        let options = LookOptions::clone(&self.options);
                        self.options = Arc::new(recall(self.state_dir.as_deref(), &self.path, options));
                    }
                    match self.live(directory) {
                        End::Ended => return,
                        End::Reopen => {}
                    }
                }
                Err(reason) => {
                    if lost.as_ref() != Some(&reason) {
                        self.publish_lost(reason.clone());
                        lost = Some(reason);
                        if self.is_ended() {
                            return;
                        }
                    }
                    match self.inbox.wait(None, self.tick_length()) {
                        Wake::Word(Word::Threshold(threshold)) => self.options_mut().threshold = threshold,
                        Wake::Word(Word::Subfolders(recursive, ignore)) => {
                            self.look_below(recursive, ignore);
                        }
                        Wake::Word(Word::End) => return,
                        Wake::Word(Word::Rescan | Word::Look(_) | Word::Shown)
                        | Wake::Hints
                        | Wake::Tick
                        | Wake::Nothing => {}
                    }
                }
            }
        }
    }

    fn options_mut(&mut self) -> &mut LookOptions {
        Arc::make_mut(&mut self.options)
    }

    fn look_below(&mut self, recursive: bool, ignore: IgnoreRules) {
        let options = self.options_mut();
        options.recursive = recursive;
        options.ignore = ignore;
    }

    fn is_ended(&self) -> bool {
        self.life.ended.load(Ordering::Acquire)
    }

    fn is_shown(&self) -> bool {
        self.life.shown.load(Ordering::Acquire)
    }

    fn tick_length(&self) -> Duration {
        if self.is_shown() { TICK } else { BACKGROUND_TICK }
    }

    /// Opens the directory; a file is taken for a wish to see the directory that it is in.
    fn open(&mut self) -> Result<Box<dyn Directory>, LostReason> {
        let opened = self.system.open_directory(&self.path).map_err(|error| LookError::of(&self.path, error));
        match opened {
            Err(LookError::NotADirectory(path)) => match path.parent() {
                Some(parent) => {
                    parent.clone_into(&mut self.path);
                    self.system.open_directory(parent).map_err(|error| lost_reason(LookError::of(parent, error)))
                }
                None => Err(LostReason::NotADirectory),
            },
            other => other.map_err(lost_reason),
        }
    }

    fn live(&mut self, directory: Box<dyn Directory>) -> End {
        let id = directory.id();
        let fs = self.system.file_system(id.mount);
        // The watch stands before the first look, so that no change falls between them.
        let (mut watch, polling) = if fs.network || directory.may_not_answer() {
            (None, Some(PollingReason::FileSystem(fs.name)))
        } else {
            match Watch::start(&self.path, self.inbox.door()) {
                Ok(watch) => (Some(watch), None),
                Err(reason) => (None, Some(reason)),
            }
        };
        // The kernel's lock table may take as long to read as all names.
        let list = |looks: &dyn Looks| self.list(&mut watch, &*directory, looks);
        let (looker, names) = Looker::beside(&self.system, &*directory, &self.options, list);
        let mut live = Live {
            id,
            watch,
            polling,
            store: Store::after(self.first_id),
            splits: Arc::default(),
            counts: Some((looker.sight.processes, looker.sight.processes_denied)),
            names: Names::default(),
            sight: Arc::clone(&looker.sight),
            machine: Machine::of(&looker),
            scanned_at: looker.now,
            scanned_monotonic: looker.monotonic,
            scan_took: Duration::ZERO,
            scanned: 0,
            clock_offset: 0,
            ticked: looker.monotonic,
            strangers: HashSet::new(),
            users_asked: looker.monotonic,
            asking_users_took: Duration::ZERO,
            dirty: true,
            names_twice: false,
            silent: false,
            heard: None,
            below_failed: None,
        };
        live.clock_offset = clock_offset(looker.now, looker.monotonic);
        self.sight = Some(Arc::clone(&live.sight));
        let end = self.follow(&mut live, directory, looker, names);
        // A chunk is begun anew, so that the published ones never change their meaning.
        self.first_id = live.store.next_id().next_multiple_of(CHUNK as u32);
        end
    }

    /// Looks at everything, then follows what changes.
    fn follow(&mut self, live: &mut Live, directory: Box<dyn Directory>, looker: Looker, names: pass::List) -> End {
        if let Some(end) = self.full_pass(live, &*directory, &looker, Some(names)) {
            return end;
        }
        drop(looker);
        // Between looks the directory is closed: a monitor that holds it open would keep it from being unmounted.
        drop(directory);
        loop {
            if live.dirty {
                let silent = live.silent.then_some(Watching::Lost(LostReason::NoAnswer));
                self.publish(live, silent);
                if self.is_ended() {
                    return End::Ended;
                }
            }
            live.hold_names_once();
            let wake = self.inbox.wait(live.watch.as_ref().map(Watch::events), self.next_tick(live));
            match &wake {
                Wake::Nothing => continue,
                Wake::Word(Word::End) => return End::Ended,
                Wake::Word(_) | Wake::Tick => {}
                Wake::Hints => {
                    // A burst is answered together. A word meanwhile waits no longer than this.
                    // The first change after a while is answered at once.
                    let gather = if self.is_shown() { self.gather } else { BACKGROUND_GATHER };
                    if live.heard.is_some_and(|heard| self.system.monotonic().saturating_sub(heard) < gather * 4) {
                        std::thread::sleep(gather);
                    }
                    live.heard = Some(self.system.monotonic());
                }
            }
            // Deleted, moved away, unmounted, or another one in its place: begin again with what is there now.
            let at = match self.system.open_directory(&self.path) {
                Ok(now) if now.id() == live.id => Some(now),
                Err(error) if error.kind() == std::io::ErrorKind::TimedOut => None,
                _ => return End::Reopen,
            };
            match (at.is_none() || live.silent, &wake) {
                (true, Wake::Word(Word::Threshold(threshold))) => self.options_mut().threshold = *threshold,
                (true, Wake::Word(Word::Subfolders(recursive, ignore))) => {
                    self.look_below(*recursive, ignore.clone());
                    return End::Reopen;
                }
                _ => {}
            }
            let Some(at) = at else {
                self.hear_nothing(live);
                continue;
            };
            let ticks = matches!(wake, Wake::Tick);
            let mut end = match wake {
                _ if live.silent => {
                    let looker = self.looker(live, &*at);
                    self.full_pass(live, &*at, &looker, None)
                }
                Wake::Word(word) => self.obey(live, &*at, word),
                Wake::Hints => self.follow_hints(live, &*at),
                Wake::Tick | Wake::Nothing => None,
            };
            // Events that never end must not keep us from what makes none.
            let overdue = self.system.monotonic().saturating_sub(live.ticked) >= self.tick_length();
            if end.is_none() && !live.silent && (ticks || overdue) {
                end = self.tick(live, &*at);
            }
            if let Some(end) = end {
                return end;
            }
            if self.is_ended() {
                return End::Ended;
            }
        }
    }

    fn next_tick(&self, live: &Live) -> Duration {
        let due = live.store.next_due().and_then(|due| due.since(self.system.wall())).unwrap_or(BACKGROUND_TICK);
        // A verdict that changes by time alone does so on time, where somebody looks.
        let rest = self.tick_length().saturating_sub(self.system.monotonic().saturating_sub(live.ticked));
        if self.is_shown() { rest.min(due).max(Duration::from_millis(5)) } else { rest }
    }

    fn obey(&mut self, live: &mut Live, at: &dyn Directory, word: Word) -> Option<End> {
        match word {
            Word::Threshold(threshold) => {
                self.options_mut().threshold = threshold;
                let looker = self.looker(live, at);
                live.store.rejudge(&looker.moment(), true);
                live.dirty = true;
                None
            }
            Word::Rescan => {
                live.counts = None;
                live.below_failed = None;
                self.try_events_again(live);
                let looker = self.looker(live, at);
                live.counts = Some((looker.sight.processes, looker.sight.processes_denied));
                self.full_pass(live, at, &looker, None)
            }
            Word::Look(paths) => {
                let looker = self.looker(live, at);
                self.look_at_paths(live, at, &looker, paths);
                None
            }
            Word::Subfolders(recursive, ignore) => {
                self.look_below(recursive, ignore);
                // Watches and names of what is not looked at any more go with the old picture.
                Some(End::Reopen)
            }
            Word::Shown => None,
            Word::End => Some(End::Ended),
        }
    }

    fn looker(&self, live: &mut Live, at: &dyn Directory) -> Looker {
        let looker = Looker::new(&self.system, at, &self.options, live.counts).with_splits(Arc::clone(&live.splits));
        live.machine = Machine::of(&looker);
        looker
    }

    /// For a look at a few paths: with what was seen of the machine at most a tick ago, unless the clock was set since. A pass
    /// over many files takes as long with what it saw as it began.
    fn quick_looker(&self, live: &mut Live, at: &dyn Directory) -> Looker {
        let (now, monotonic) = (self.system.wall(), self.system.monotonic());
        let moved = (clock_offset(now, monotonic) - live.machine.clock_offset).abs();
        if monotonic.saturating_sub(live.machine.at) >= TICK || moved >= CLOCK_JITTER {
            return self.looker(live, at);
        }
        Looker::soon_after(&self.system, &self.options, &live.machine.sight).with_splits(Arc::clone(&live.splits))
    }

    fn follow_hints(&mut self, live: &mut Live, at: &dyn Directory) -> Option<End> {
        let hints = live.watch.as_mut().map(Watch::take).unwrap_or_default();
        if hints.root {
            return Some(End::Reopen);
        }
        if hints.rescan {
            let looker = self.looker(live, at);
            return self.full_pass(live, at, &looker, None);
        }
        let mut paths = Vec::new();
        for path in hints.paths {
            let bytes = path.as_encoded_bytes();
            let name = Path::new(&path).file_name().unwrap_or_default();
            // A new subdirectory may hold locks already; what has gone may have been one.
            if self.options.recursive
                && !self.options.ignore.pass_over(Path::new(&path))
                && (live.names.directories.contains(&path) || is_directory(at, &path))
            {
                let looker = self.looker(live, at);
                return self.full_pass(live, at, &looker, None);
            }
            // A sibling that appears or goes can change what other names mean, rarely; the slow pass sees to it.
            if live.store.id_of(&path).is_some() || !bytes.is_empty() && self.may_be_listed(at, &path, name) {
                live.names.all.insert(bytes);
                paths.push(path);
            }
        }
        if paths.is_empty() {
            return None;
        }
        let looker = self.quick_looker(live, at);
        self.look_at_paths(live, at, &looker, paths);
        if live.dirty {
            // At once: what was needed for the look can be put away afterwards.
            self.publish(live, None);
        }
        None
    }

    /// Whether a name may be that of a lock; the directories it stands in count.
    fn may_be_listed(&self, at: &dyn Directory, path: &std::ffi::OsStr, name: &std::ffi::OsStr) -> bool {
        let parent = at.path().join(path);
        let parent = parent.parent().unwrap_or(at.path()).as_os_str().as_encoded_bytes();
        let name = name.as_encoded_bytes();
        listed(parent, name) != Listed::No || self.options.custom.lists(parent, name)
    }

    fn is_listed(&self, at: &dyn Directory, lock: &Lock) -> bool {
        let name = Path::new(&lock.path).file_name().unwrap_or_default();
        lock.facts.kernel().is_some() || lock.facts.trouble().is_some() || self.may_be_listed(at, &lock.path, name)
    }

    fn look_at_paths(
        &mut self, live: &mut Live, at: &dyn Directory, looker: &Looker, paths: impl IntoIterator<Item = OsString>,
    ) {
        let mut openings = Openings::below(at);
        for path in paths {
            let id = live.store.id_for(&path);
            let earlier = live.store.get(id).cloned();
            let earlier = earlier.as_deref().filter(|lock| *lock.path == *path).map(|lock| &lock.facts);
            let exists = |sibling: &[u8]| live.knows(sibling);
            let lock = looker.lock(&mut openings, &exists, &path, id, &self.options, earlier);
            // What was listed for the kernel lock on it alone is not, once that is released.
            let lock = lock.filter(|lock| self.is_listed(at, lock));
            live.dirty |= if let Some(lock) = lock {
                live.store.put(lock)
            } else {
                live.names.all.remove(path.as_encoded_bytes());
                let gone = live.store.remove(&path);
                if let Some(stat) = gone.as_ref().and_then(|lock| lock.facts.stat()) {
                    // The next lock on its inode, or on another file of that number, is news.
                    live.strangers.remove(&stat.ino);
                }
                gone.is_some()
            };
        }
        self.learn(looker);
        live.splits = looker.splits();
    }

    /// Takes over what this look has learned, and keeps it for the next start.
    fn learn(&mut self, looker: &Looker) {
        if looker.learned_count() == self.options.learned.len() {
            return;
        }
        self.options_mut().learned = looker.learned();
        if let Some(state_dir) = &self.state_dir
            && let Err(error) = remember(state_dir, &self.path, &self.options.learned)
        {
            tracing::warn!(%error, "what was learned of empty files cannot be kept");
        }
    }

    /// The file system does not answer. Nothing is known of any lock now but how old it is; the picture stays, and says so.
    fn hear_nothing(&mut self, live: &mut Live) {
        if std::mem::replace(&mut live.silent, true) {
            return;
        }
        let sight = Arc::clone(&live.sight);
        let moment = Moment {
            sight: &sight,
            now: self.system.wall(),
            monotonic: self.system.monotonic(),
            threshold: self.options.threshold,
            scanned_at: live.scanned_at,
        };
        let all: Vec<Lock> =
            live.store.chunks.iter().flat_map(|c| c.iter().flatten()).map(|l| Lock::clone(l)).collect();
        for mut lock in all {
            lock.facts.change(Seen::hear_nothing);
            lock.rejudge(&moment);
            live.store.put(lock);
        }
        self.publish(live, Some(Watching::Lost(LostReason::NoAnswer)));
    }

    /// What makes no event: kernel locks, deaths, time, another directory at our path.
    fn tick(&mut self, live: &mut Live, at: &dyn Directory) -> Option<End> {
        let looker = self.looker(live, at);
        live.ticked = looker.monotonic;
        let share = match (live.polling.is_some(), self.is_shown()) {
            (true, _) => POLL_SHARE,
            (false, true) => SLOW_SHARE,
            (false, false) => BACKGROUND_SHARE,
        };
        let least = match (live.polling.is_some(), self.is_shown()) {
            (true, true) => Duration::from_secs(1),
            (true, false) => BACKGROUND_POLL,
            (false, true) => self.slow_pass,
            (false, false) => self.slow_pass.max(BACKGROUND_PASS),
        };
        if looker.monotonic.saturating_sub(live.scanned_monotonic) >= least.max(live.next_scan() * share) {
            self.try_events_again(live);
            return self.full_pass(live, at, &looker, None);
        }
        // What has a heart is looked at when the next beat is due; to judge it again would not do.
        let mut again: HashSet<LockId> = live.store.beats_due(looker.now).collect();
        // Kernel locks: what had one, and what has one now.
        again.extend(&live.store.kernel_locked);
        let mut stranger = false;
        live.strangers.retain(|ino| looker.may_be_locked(*ino));
        for file in looker.locked_inodes() {
            match live.store.by_ino(file) {
                Some(id) => drop(again.insert(id)),
                None => stranger |= live.strangers.insert(file),
            }
        }
        for (pid, start_ticks) in live.store.processes() {
            // Gone, or the number is another's by now.
            let same = match &*looker.process_look(pid) {
                ProcessLook::Running(facts) => Some(facts.incarnation()) == start_ticks,
                _ => false,
            };
            if !same {
                again.extend(live.store.locks_of(pid));
            }
        }
        let least = if self.is_shown() { USERS } else { BACKGROUND_USERS };
        let rest = least.max(live.asking_users_took * USERS_SHARE);
        if looker.monotonic.saturating_sub(live.users_asked) >= rest {
            // Of thousands that were left empty hardly one finds another user: each is compared, not looked at.
            let known = live.store.asks_users.iter().filter_map(|id| Some((*id, live.store.get(*id)?)));
            again.extend(known.filter(|(_, lock)| looker.may_have_other_users(&lock.facts)).map(|(id, _)| id));
            live.users_asked = looker.monotonic;
            live.asking_users_took = self.system.monotonic().saturating_sub(looker.monotonic);
        }
        let mut paths: Vec<OsString> =
            again.into_iter().filter_map(|id| Some(live.store.get(id)?.path.to_os_string())).collect();
        if stranger {
            paths.extend(self.strangers_here(live, at, &looker));
            // A locked inode without a name here may be a deleted file of ours.
            paths.extend(looker.split_names(at));
        }
        self.look_at_paths(live, at, &looker, paths);
        let offset = clock_offset(looker.now, looker.monotonic);
        let stepped = (offset - live.clock_offset).abs() > 2_000_000_000;
        live.clock_offset = offset;
        live.dirty |= live.store.rejudge(&looker.moment(), stepped);
        None
    }

    /// A kernel lock on an inode that no listed file has may be on one of ours whose name we do not list.
    fn strangers_here(&self, live: &Live, at: &dyn Directory, looker: &Looker) -> Vec<OsString> {
        let names = list_names(at, looker, &self.options).unwrap_or_default();
        names.listed.into_iter().filter(|path| live.store.id_of(path).is_none()).collect()
    }

    fn publish(&mut self, live: &mut Live, watching: Option<Watching>) {
        let watching = watching.unwrap_or_else(|| live.polling.clone().map_or(Watching::Live, Watching::Polling));
        live.dirty = false;
        (self.publish)(Snapshot {
            generation: 0,
            directory: self.path.as_path().into(),
            taken_at: self.system.wall(),
            taken_monotonic: self.system.monotonic(),
            scanned_at: live.scanned_at,
            threshold: self.options.threshold,
            sight: Arc::clone(&live.sight),
            watching,
            counts: live.store.counts,
            problems: live.names.problems.clone().into(),
            chunks: live.store.chunks.clone(),
        });
    }

    fn publish_lost(&mut self, reason: LostReason) {
        let sight = self.sight.clone().unwrap_or_else(|| Arc::new(blind(&*self.system)));
        (self.publish)(Snapshot {
            generation: 0,
            directory: self.path.as_path().into(),
            taken_at: self.system.wall(),
            taken_monotonic: self.system.monotonic(),
            scanned_at: self.system.wall(),
            threshold: self.options.threshold,
            sight,
            watching: Watching::Lost(reason),
            counts: crate::model::snapshot::Counts::default(),
            problems: Arc::new([]),
            chunks: Vec::new(),
        });
    }
}

fn is_directory(at: &dyn Directory, path: &OsString) -> bool {
    use crate::model::facts::FileKind;
    let mut openings = Openings::below(at);
    openings
        .parent(path)
        .ok()
        .and_then(|(parent, name)| parent.stat(name).ok())
        .is_some_and(|stat| stat.kind == FileKind::Directory)
}

/// By how much the two clocks differ, in nanoseconds: a jump means that the wall clock was set.
fn clock_offset(wall: Wall, monotonic: Duration) -> i128 {
    i128::from(wall.0) - monotonic.as_nanos() as i128
}

fn lost_reason(error: LookError) -> LostReason {
    match error {
        LookError::NotFound(_) => LostReason::Gone,
        LookError::NotADirectory(_) => LostReason::NotADirectory,
        LookError::Denied(_) => LostReason::Denied,
        LookError::Failed { error, .. } if error.kind() == std::io::ErrorKind::TimedOut => LostReason::NoAnswer,
        LookError::Failed { error, .. } => LostReason::Failed(error.to_string().into()),
    }
}

/// What is known of the machine when no directory could be opened.
fn blind(system: &dyn System) -> Sight {
    sight_of(system.host(), system.file_system(0), false, (0, 0))
}
