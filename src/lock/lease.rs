//! A marker that its holder renews for as long as it works, so that it ends also where nobody can see whether the holder
//! lives: on another computer, in another container.
//!
//! Owns: [`LeaseLock`] and its renewal. Never: compares two clocks. A lease has run out when whoever wants it has watched it
//! unchanged, by the own clock that never steps and goes on during suspend, for as long as the record says.
//!
//! The holder's side of that: it takes the lease for lost after two thirds of that time without a renewal, and from then on
//! touches the file no more. So a call of its own has a third of the time to finish before anybody else acts.

use super::breaking::Breaker;
use super::marker::{self, Marked};
use super::record::{count, this_process};
use super::registry::{Grip, Held, Hold, Kind, Released, group_of};
use super::succession::Watch;
use super::{Guard, LockConfig, LockError, Protection, Unreleased};
use crate::clear::Workplace;
use crate::platform::{environment, random, this_machine};
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a lease lasts unless said.
const USUAL: Duration = Duration::from_secs(30);
/// A shorter one would be lost to a busy machine.
const SHORTEST: Duration = Duration::from_millis(100);
/// The longest time between two looks at whether it still stands.
const LOOK: Duration = Duration::from_secs(1);
const REPLACED: &str = "the lock file was removed or replaced";

/// A lock that ends by itself when its holder stops renewing it. A thread of its own renews it; losing it is told at once,
/// by [`LeaseRequest::on_loss`], [`LeaseLock::wait_lost`] and [`Guard::check`].
#[derive(Debug)]
#[must_use = "a lock that is dropped at once protects nothing"]
pub struct LeaseLock {
    grip: Grip<Leased>,
    shared: Option<Arc<Shared>>,
    protection: Protection,
}

/// The clock that never steps and goes on during suspend.
type Clock = Box<dyn Fn() -> Duration + Send + Sync>;

/// What is called when the lease is lost, with the reason.
type OnLoss = Box<dyn FnOnce(&str) + Send>;

struct Shared {
    clock: Clock,
    path: PathBuf,
    group: String,
    span: Duration,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    marked: Marked,
    renewed: u64,
    /// When the last renewal was begun: nobody can have seen it earlier.
    last: Duration,
    lost: Option<String>,
    over: bool,
    on_loss: Option<OnLoss>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("path", &self.path).field("span", &self.span).finish_non_exhaustive()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the holder gives up, see the top of this file.
    fn limit(&self) -> Duration {
        self.span * 2 / 3
    }

    /// Whether so much time has passed that another may hold it soon.
    fn ran_out(&self, state: &State, now: Duration) -> Option<String> {
        let since = now.saturating_sub(state.last);
        let why = || {
            format!("not renewed for {} ms: this process was held up, or the disk did not answer", since.as_millis())
        };
        (since >= self.limit()).then(why)
    }

    /// One look: when it was, and why the lease is lost, if it is. The clock is asked after the file, so that a process that is
    /// stopped between the two finds that its time is over, and not only that somebody used it.
    fn look(&self, state: &State) -> (Duration, std::io::Result<Option<String>>) {
        let stands = state.marked.stands_at(&self.path);
        let now = (self.clock)();
        let lost = match self.ran_out(state, now) {
            Some(why) => Ok(Some(why)),
            None => stands.map(|stands| (!stands).then(|| REPLACED.to_owned())),
        };
        (now, lost)
    }

    /// Notes the loss, tells whoever waits, and calls what was to be called.
    fn lose(&self, mut state: MutexGuard<'_, State>, why: &str) {
        if state.lost.is_some() || state.over {
            return;
        }
        let pid = environment::own_pid();
        tracing::error!(path = %self.path.display(), group = self.group, pid, why, kind = "lease", "lost");
        state.lost = Some(why.to_owned());
        let told = state.on_loss.take();
        self.changed.notify_all();
        drop(state);
        if let Some(tell) = told {
            tell(why);
        }
    }

    /// One look: whether it still stands, and a renewal if it is time for one. `false` = it is over.
    fn tend(&self) -> bool {
        let mut state = self.state();
        if state.over || state.lost.is_some() {
            return false;
        }
        let (now, lost) = self.look(&state);
        match lost {
            Ok(None) => {}
            Ok(Some(why)) => {
                self.lose(state, &why);
                return false;
            }
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "the lease cannot be looked at; trying again");
                return true;
            }
        }
        if now.saturating_sub(state.last) >= self.span / 3 {
            let renewed = state.renewed + 1;
            match state.marked.renew(renewed) {
                Ok(()) => {
                    state.renewed = renewed;
                    state.last = now;
                    tracing::trace!(path = %self.path.display(), renewed, "renewed");
                }
                Err(error) => {
                    tracing::warn!(path = %self.path.display(), %error, "the lease was not renewed; trying again");
                }
            }
        }
        true
    }

    fn keep_renewing(&self) {
        let pause = (self.span / 10).min(LOOK);
        while self.tend() {
            let state = self.state();
            if state.over {
                return;
            }
            drop(self.changed.wait_timeout(state, pause));
        }
    }
}

/// A lease as the registry holds it.
#[derive(Debug)]
struct Leased(Arc<Shared>);

impl Hold for Leased {
    fn let_go(&mut self, path: &Path) -> Result<Released, LockError> {
        let mut state = self.0.state();
        // What may be another's by now is not touched; ours ends by itself.
        let ran_out = self.0.ran_out(&state, (self.0.clock)());
        let released =
            if state.lost.is_some() || ran_out.is_some() { Released::NotOurs } else { state.marked.let_go(path)? };
        state.over = true;
        self.0.changed.notify_all();
        Ok(released)
    }
}

impl Marked {
    /// Writes the count of renewals over the last one: another content and another time, in one call.
    fn renew(&mut self, renewed: u64) -> std::io::Result<()> {
        const FIELD: &[u8] = b"\"renewed\":\"";
        let at = self.content.windows(FIELD.len()).position(|part| part == FIELD).map(|at| at + FIELD.len());
        let at = at.ok_or(std::io::ErrorKind::InvalidData)?;
        let text = count(renewed);
        #[cfg(unix)]
        std::os::unix::fs::FileExt::write_all_at(&self.file, text.as_bytes(), at as u64)?;
        #[cfg(not(unix))]
        {
            use std::io::{Seek as _, SeekFrom, Write as _};
            self.file.seek(SeekFrom::Start(at as u64))?;
            self.file.write_all(text.as_bytes())?;
        }
        self.content[at..at + text.len()].copy_from_slice(text.as_bytes());
        Ok(())
    }
}

/// How a lease is to be taken.
#[must_use = "nothing is taken before `acquire`"]
pub struct LeaseRequest {
    path: PathBuf,
    config: LockConfig,
    span: Duration,
    group: Option<String>,
    command: Option<String>,
    workplace: Option<Workplace>,
    on_loss: Option<OnLoss>,
}

impl std::fmt::Debug for LeaseRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LeaseRequest").field("path", &self.path).field("span", &self.span).finish_non_exhaustive()
    }
}

impl LeaseRequest {
    /// How long it lasts without a renewal; 30 s unless said, 100 ms at least.
    pub fn lasting(mut self, span: Duration) -> Self {
        self.span = span.max(SHORTEST);
        self
    }

    /// As part of this piece of work; else of the one that its name gives.
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// What the record names as the command; else this process's command line.
    pub fn command(mut self, command: impl Into<String>) -> Self {
        self.command = Some(command.into());
        self
    }

    /// Where the journal and the quarantine of broken locks are; else where Lockscope keeps them.
    pub fn workplace(mut self, workplace: Workplace) -> Self {
        self.workplace = Some(workplace);
        self
    }

    /// Called once if the lease is lost, on the thread that notices, with the reason.
    pub fn on_loss(mut self, tell: impl FnOnce(&str) + Send + 'static) -> Self {
        self.on_loss = Some(Box::new(tell));
        self
    }

    /// Takes it, waiting as the settings say.
    pub fn acquire(self) -> Result<LeaseLock, LockError> {
        let Self { path, config, span, group, command, workplace, on_loss } = self;
        let group = group.unwrap_or_else(|| group_of(&path));
        if !config.enabled {
            let grip = Grip::disabled(&path, &group, Kind::Lease);
            return Ok(LeaseLock { grip, shared: None, protection: Protection::Disabled });
        }
        let system = this_machine();
        let token = random().map_err(LockError::failed(&path, "drawing a number for the lease"))?;
        let began = Cell::new(Duration::ZERO);
        let content = || {
            began.set(system.monotonic());
            this_process().lease_record(command.as_deref(), span, token)
        };
        let mut watch = Watch::new(Arc::clone(&system), span);
        let breaker = Breaker::new(&config, workplace);
        let mut expired = |path: &Path| watch.succeed(path, &content);
        let (marked, waited) = marker::take(&path, &group, &config, breaker, &content, &mut expired)?;
        let shared = Arc::new(Shared {
            clock: Box::new(move || system.monotonic()),
            path: path.clone(),
            group: group.clone(),
            span,
            state: Mutex::new(State { marked, renewed: 0, last: began.get(), lost: None, over: false, on_loss }),
            changed: Condvar::new(),
        });
        let renewing = Arc::clone(&shared);
        // Registered first: if there is no thread to be had, the guard lets go of what it has.
        let grip = Grip::new(&path, &group, Kind::Lease, waited, Leased(Arc::clone(&shared)));
        std::thread::Builder::new()
            .name("lease".into())
            .spawn(move || renewing.keep_renewing())
            .map_err(LockError::failed(&path, "starting the thread that renews the lease"))?;
        Ok(LeaseLock { grip, shared: Some(shared), protection: Protection::Enforced })
    }
}

impl LeaseLock {
    /// Takes it for 30 s at a time, waiting as the settings say.
    pub fn acquire(path: impl AsRef<Path>, config: &LockConfig) -> Result<Self, LockError> {
        Self::request(path, config).acquire()
    }

    /// To be taken with more said about it.
    pub fn request(path: impl AsRef<Path>, config: &LockConfig) -> LeaseRequest {
        LeaseRequest {
            path: path.as_ref().to_owned(),
            config: config.clone(),
            span: USUAL,
            group: None,
            command: None,
            workplace: None,
            on_loss: None,
        }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.grip.about().path
    }

    /// What this guard is worth.
    pub fn protection(&self) -> &Protection {
        &self.protection
    }

    /// Why it was lost, if it was.
    pub fn lost(&self) -> Option<String> {
        let shared = self.shared.as_ref()?;
        let state = shared.state();
        let ran_out = shared.ran_out(&state, (shared.clock)());
        if let (None, false, Some(why)) = (&state.lost, state.over, ran_out) {
            // Asked before the renewing thread has noticed.
            shared.lose(state, &why);
            return Some(why);
        }
        state.lost.clone()
    }

    /// Waits until it is lost, so long at most; the reason, if it was.
    pub fn wait_lost(&self, at_most: Duration) -> Option<String> {
        let shared = self.shared.as_ref()?;
        let waiting = |state: &mut State| state.lost.is_none() && !state.over;
        let waited = shared.changed.wait_timeout_while(shared.state(), at_most, waiting);
        waited.unwrap_or_else(PoisonError::into_inner).0.lost.clone()
    }

    /// How often it has been renewed.
    pub fn renewals(&self) -> u64 {
        self.shared.as_ref().map_or(0, |shared| shared.state().renewed)
    }

    /// Lets go, if it still is ours. If that fails, the guard comes back with the error.
    pub fn release(self) -> Result<Released, Unreleased<Self>> {
        match self.grip.release() {
            Ok(released) => Ok(released),
            Err(error) => Err(Unreleased { lock: self, error }),
        }
    }
}

impl Guard for LeaseLock {
    fn about(&self) -> &Held {
        self.grip.about()
    }

    fn check(&self) -> Result<(), LockError> {
        let Some(shared) = &self.shared else { return Ok(()) };
        let lost = |why| Err(LockError::Lost { path: shared.path.clone(), why });
        let state = shared.state();
        if let Some(why) = &state.lost {
            return lost(why.clone());
        }
        if state.over {
            return lost("it was released".to_owned());
        }
        match shared.look(&state).1 {
            Ok(None) => Ok(()),
            Ok(Some(why)) => {
                shared.lose(state, &why);
                lost(why)
            }
            Err(error) => Err(LockError::failed(&shared.path, "looking at the lock file")(error)),
        }
    }
}

// Elsewhere less is seen, and nothing is cleared.
#[cfg(all(target_os = "linux", not(feature = "portable")))]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::Wait;
    use std::sync::mpsc::channel;

    /// Far more than anything here takes; only a failure waits so long.
    const DEADLINE: Duration = Duration::from_secs(20);
    const SPAN: Duration = Duration::from_secs(2);

    /// No breaking by verdict, so that only time counts.
    fn waiting(wait: Wait) -> LockConfig {
        LockConfig { timeout: wait, stale_after: None, ..LockConfig::default() }
    }

    fn take(path: &Path, span: Duration, wait: Wait) -> Result<LeaseLock, LockError> {
        LeaseLock::request(path, &waiting(wait)).lasting(span).acquire()
    }

    /// A lease as another computer would have left it, of so many milliseconds.
    fn left_behind(path: &Path, token: u8, millis: u32) {
        let record = serde_json::json!({
            "pid": 44, "host": "another-computer", "pid_ns": 1, "boot_id": "00", "start_token": 1,
            "lease_secs": f64::from(millis) / 1000.0, "token": format!("{token:032x}"), "renewed": "0000000007",
        });
        std::fs::write(path, record.to_string()).expect("it can be written");
    }

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(directory)
            .expect("it can be listed")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn it_is_renewed_for_as_long_as_it_is_held_and_nobody_takes_over() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("x.lock");
        let lease = take(&path, SPAN, Wait::Never).unwrap();
        let before = std::fs::read(&path).unwrap();
        // Longer than the lease lasts unrenewed.
        let second = take(&path, SPAN, Wait::For(SPAN * 3 / 2));
        assert!(matches!(second, Err(LockError::TimedOut { .. })), "{second:?}");
        assert!(lease.renewals() >= 2);
        assert_eq!(std::fs::read(&path).unwrap().len(), before.len());
        assert_ne!(std::fs::read(&path).unwrap(), before, "it moves");
        lease.check().unwrap();
        assert_eq!(lease.release().unwrap(), Released::Freed);
        assert_eq!(names(base.path()), Vec::<String>::new());
    }

    #[test]
    fn one_that_nobody_renews_is_watched_for_its_whole_time_whatever_its_file_time_says() {
        for age in [Duration::ZERO, Duration::from_hours(24 * 365 * 20)] {
            let base = tempfile::tempdir().unwrap();
            let path = base.path().join("x.lock");
            left_behind(&path, 1, 400);
            crate::platform::stage::set_age(&path, age).unwrap();
            // One look proves nothing, however old it looks.
            assert!(matches!(take(&path, SPAN, Wait::Never), Err(LockError::Taken { .. })));
            let began = std::time::Instant::now();
            let lease = take(&path, SPAN, Wait::For(DEADLINE)).unwrap();
            assert!(began.elapsed() >= Duration::from_millis(400));
            lease.check().unwrap();
            assert_eq!(names(base.path()), ["x.lock"], "no claim is left");
        }
    }

    #[test]
    fn of_many_who_wait_one_follows() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("x.lock");
        left_behind(&path, 1, 200);
        let inside = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    let lease = take(&path, SPAN, Wait::For(DEADLINE)).unwrap();
                    assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0, "alone");
                    std::thread::yield_now();
                    lease.check().unwrap();
                    inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                    assert_eq!(lease.release().unwrap(), Released::Freed);
                });
            }
        });
        assert_eq!(names(base.path()), Vec::<String>::new());
    }

    #[test]
    fn a_successor_that_died_is_succeeded() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("x.lock");
        left_behind(&path, 1, 200);
        left_behind(&base.path().join(format!(".lease-{:032x}", 1)), 2, 200);
        let lease = take(&path, SPAN, Wait::For(DEADLINE)).unwrap();
        lease.check().unwrap();
        assert_eq!(names(base.path()), ["x.lock"]);
    }

    #[test]
    fn what_is_no_lease_never_runs_out() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("x.lock");
        std::fs::write(&path, "4711\n").unwrap();
        let result = take(&path, Duration::from_millis(100), Wait::For(Duration::from_millis(400)));
        assert!(matches!(result, Err(LockError::TimedOut { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), b"4711\n");
    }

    #[test]
    fn losing_it_is_told_at_once_and_once_and_the_others_file_is_left_alone() {
        let deeds: [fn(&Path); 2] = [
            |path| std::fs::remove_file(path).unwrap(),
            |path| {
                std::fs::write(path.with_extension("new"), "another's").unwrap();
                std::fs::rename(path.with_extension("new"), path).unwrap();
            },
        ];
        for deed in deeds {
            let base = tempfile::tempdir().unwrap();
            let path = base.path().join("x.lock");
            let (tell, told) = channel();
            let request = LeaseLock::request(&path, &waiting(Wait::Never)).lasting(SPAN);
            let lease = request.on_loss(move |why| tell.send(why.to_owned()).unwrap()).acquire().unwrap();
            assert_eq!(lease.lost(), None);
            deed(&path);
            assert_eq!(lease.wait_lost(DEADLINE).as_deref(), Some(REPLACED));
            assert_eq!(told.recv_timeout(DEADLINE).as_deref(), Ok(REPLACED));
            assert!(matches!(lease.check(), Err(LockError::Lost { .. })));
            let before = std::fs::read(&path).ok();
            assert_eq!(lease.release().unwrap(), Released::NotOurs);
            assert_eq!(std::fs::read(&path).ok(), before);
            assert!(told.recv().is_err(), "once");
        }
    }

    #[test]
    fn whoever_was_held_up_knows_it_before_anybody_can_have_taken_over() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("x.lock");
        let lease = take(&path, Duration::from_secs(30), Wait::Never).unwrap();
        let shared = lease.shared.as_ref().unwrap();
        for (secs, lost) in [(19, false), (20, true)] {
            let mut state = shared.state();
            let now = (shared.clock)();
            state.last = now.saturating_sub(Duration::from_secs(secs));
            assert_eq!(shared.ran_out(&state, now).is_some(), lost, "after {secs} of 30 s");
        }
        assert!(matches!(lease.check(), Err(LockError::Lost { .. })));
        assert_eq!(lease.release().unwrap(), Released::NotOurs);
        assert!(path.exists(), "left for whoever follows");
    }

    #[test]
    fn whoever_is_stopped_in_the_middle_of_a_look_knows_that_its_time_is_over() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("x.lock");
        let content = this_process().lease_record(None, SPAN, 1);
        let marked = Marked::new(crate::platform::publish(&path, &content).unwrap(), content);
        // The clock has just been read when the process is stopped; another follows; it goes on.
        let (successor, readings) = (path.clone(), std::sync::atomic::AtomicU32::new(0));
        let clock = move || match readings.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => {
                left_behind(&successor.with_extension("new"), 2, 60_000);
                std::fs::rename(successor.with_extension("new"), &successor).unwrap();
                SPAN / 3
            }
            _ => SPAN * 10,
        };
        let last = Duration::ZERO;
        let state = State { marked, renewed: 0, last, lost: None, over: false, on_loss: None };
        let (state, changed) = (Mutex::new(state), Condvar::new());
        let group = String::new();
        let shared = Shared { clock: Box::new(clock), path: path.clone(), group, span: SPAN, state, changed };
        assert!(shared.tend(), "as far as it knows, it holds it: it renews its own file, which nobody looks at now");
        assert_eq!(shared.state().renewed, 1);
        assert!(!shared.tend());
        assert_eq!(
            shared.state().lost.as_deref(),
            Some("not renewed for 19333 ms: this process was held up, or the disk did not answer")
        );
        let theirs = std::fs::read_to_string(&path).unwrap();
        assert!(theirs.contains("another-computer") && theirs.contains("\"renewed\":\"0000000007\""), "{theirs}");
    }

    #[test]
    fn disabled_means_no_file_and_no_thread() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("x.lock");
        let config = LockConfig { enabled: false, ..LockConfig::default() };
        let lease = LeaseLock::acquire(&path, &config).unwrap();
        assert_eq!((lease.protection(), lease.lost()), (&Protection::Disabled, None));
        lease.check().unwrap();
        assert!(!path.exists());
    }
}
