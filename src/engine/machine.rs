//! The thread that looks at the whole machine, for as long as somebody wants to see it.
//!
//! Owns: when it is looked at. Kernel locks and processes make no events, so it is looked at every two seconds while it is
//! shown, and not at all while it is not. Never: judges a lock.

use super::Shared;
use crate::inspect::{machine, process_detail};
use crate::model::holder::Pid;
use crate::model::machine::{MachinePicture, ProcessDetail};
use crate::model::time::Wall;
use crate::platform::System;
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How far apart looks are.
const EVERY: Duration = Duration::from_secs(2);
/// Looking takes never more than a fiftieth of our time.
const SHARE: u32 = 50;
/// Who is seen waiting in two pictures that are further apart may have had the lock in between.
const FOLLOWED_FOR: Duration = Duration::from_secs(10);

/// What of the machine is to be looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MachineWish {
    /// All kernel locks.
    pub picture: bool,
    /// These processes, more closely.
    pub processes: Vec<Pid>,
}

impl MachineWish {
    fn is_empty(&self) -> bool {
        !self.picture && self.processes.is_empty()
    }
}

/// What was last seen of the machine.
#[derive(Clone, Debug, Default)]
pub struct MachineShown {
    /// All kernel locks, or why they cannot be told; `None` = not looked yet.
    pub picture: Option<Result<Arc<MachinePicture>, Arc<str>>>,
    /// The processes that were asked for, and when each was looked at.
    pub processes: BTreeMap<Pid, (Wall, Arc<ProcessDetail>)>,
}

#[derive(Debug, Default)]
struct Wanted {
    wish: MachineWish,
    ended: bool,
}

/// When to look at what, on the monotonic clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Due {
    picture: Duration,
    processes: Duration,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Wait until something is wished for.
    Rest,
    /// Wait so long, or until something else is wished for.
    Wait(Duration),
    /// Look.
    Look {
        /// At all kernel locks.
        picture: bool,
        /// At the processes.
        processes: bool,
    },
}

impl Due {
    fn step(self, wish: &MachineWish, now: Duration) -> Step {
        let picture = wish.picture.then_some(self.picture);
        let processes = (!wish.processes.is_empty()).then_some(self.processes);
        let is_due = |due: Option<Duration>| due.is_some_and(|due| due <= now);
        match (picture.into_iter().chain(processes).min(), is_due(picture), is_due(processes)) {
            (None, ..) => Step::Rest,
            (Some(next), false, false) => Step::Wait(next.saturating_sub(now)),
            (Some(_), picture, processes) => Step::Look { picture, processes },
        }
    }
}

/// A handle on the thread. It starts with the first wish.
pub(super) struct MachineWatch {
    system: Arc<dyn System>,
    shared: Arc<Shared>,
    wake: Arc<dyn Fn() + Send + Sync>,
    wanted: Arc<(Mutex<Wanted>, Condvar)>,
    runs: bool,
}

impl MachineWatch {
    pub(super) fn start(system: Arc<dyn System>, shared: Arc<Shared>, wake: Arc<dyn Fn() + Send + Sync>) -> Self {
        Self { system, shared, wake, wanted: Arc::default(), runs: false }
    }

    /// From now on this is to be looked at.
    pub(super) fn wish(&mut self, wish: MachineWish) {
        if !self.runs && !wish.is_empty() {
            let body = Looking {
                system: Arc::clone(&self.system),
                shared: Arc::clone(&self.shared),
                wake: Arc::clone(&self.wake),
                wanted: Arc::clone(&self.wanted),
                due: Due::default(),
                asked: Vec::new(),
                pace: EVERY,
            };
            match std::thread::Builder::new().name("machine".into()).spawn(move || body.run()) {
                Ok(_) => self.runs = true,
                Err(error) => tracing::error!(%error, "the thread that looks at the machine could not be started"),
            }
        }
        self.change(|wanted| wanted.wish = wish);
    }

    /// No more.
    pub(super) fn end(&self) {
        self.change(|wanted| wanted.ended = true);
    }

    fn change(&self, change: impl FnOnce(&mut Wanted)) {
        let (wanted, changed) = &*self.wanted;
        change(&mut wanted.lock().unwrap_or_else(PoisonError::into_inner));
        changed.notify_one();
    }
}

struct Looking {
    system: Arc<dyn System>,
    shared: Arc<Shared>,
    wake: Arc<dyn Fn() + Send + Sync>,
    wanted: Arc<(Mutex<Wanted>, Condvar)>,
    due: Due,
    /// The processes that were looked at last.
    asked: Vec<Pid>,
    /// How far apart looks at all locks are: further where one takes long.
    pace: Duration,
}

impl Looking {
    fn run(mut self) {
        while let Some((wish, picture, processes)) = self.next() {
            if picture {
                self.look_at_all();
            }
            if processes {
                self.look_at_processes(wish.processes);
            }
        }
    }

    /// Waits until something is to be looked at; `None` = no more.
    fn next(&mut self) -> Option<(MachineWish, bool, bool)> {
        let (wanted, changed) = &*self.wanted;
        let mut wanted = wanted.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if wanted.ended {
                return None;
            }
            if wanted.wish.processes != self.asked {
                // Others than before: nobody has looked at them yet.
                self.due.processes = Duration::ZERO;
            }
            wanted = match self.due.step(&wanted.wish, self.system.monotonic()) {
                Step::Rest => changed.wait(wanted).unwrap_or_else(PoisonError::into_inner),
                Step::Wait(at_most) => changed.wait_timeout(wanted, at_most).unwrap_or_else(PoisonError::into_inner).0,
                Step::Look { picture, processes } => return Some((wanted.wish.clone(), picture, processes)),
            };
        }
    }

    /// When to look again, after a look that began then.
    fn after(&self, began: Duration) -> Duration {
        let now = self.system.monotonic();
        now + EVERY.max(now.saturating_sub(began) * SHARE)
    }

    fn look_at_all(&mut self) {
        let began = self.system.monotonic();
        let shown = self.shared.machine.load_full();
        let earlier = shown.picture.as_ref().and_then(|picture| picture.as_ref().ok());
        let at_most = FOLLOWED_FOR.max(self.pace * 2);
        let followed = earlier.filter(|earlier| began.saturating_sub(earlier.taken_monotonic) <= at_most);
        let picture = machine(&*self.system, followed.map(|earlier| &**earlier));
        self.due.picture = self.after(began);
        self.pace = self.due.picture.saturating_sub(began);
        let news = match (&picture, &shown.picture) {
            (Ok(now), Some(Ok(before))) => !now.shows_the_same(before),
            (Err(now), Some(Err(before))) => now.to_string() != **before,
            _ => true,
        };
        let picture = picture.map(Arc::new).map_err(|error| Arc::from(error.to_string()));
        // Also where nothing has changed: the next one follows this one.
        self.shared.machine.store(Arc::new(MachineShown { picture: Some(picture), ..(*shown).clone() }));
        if news {
            (self.wake)();
        }
    }

    fn look_at_processes(&mut self, pids: Vec<Pid>) {
        let began = self.system.monotonic();
        let at = self.system.wall();
        let shown = self.shared.machine.load_full();
        let looked: BTreeMap<Pid, (Wall, Arc<ProcessDetail>)> =
            pids.iter().map(|pid| (*pid, (at, Arc::new(process_detail(&*self.system, *pid))))).collect();
        self.due.processes = self.after(began);
        self.asked = pids;
        let details = |all: &BTreeMap<Pid, (Wall, Arc<ProcessDetail>)>| -> Vec<(Pid, Arc<ProcessDetail>)> {
            all.iter().map(|(pid, (_, detail))| (*pid, Arc::clone(detail))).collect()
        };
        let news = details(&looked) != details(&shown.processes);
        self.shared.machine.store(Arc::new(MachineShown { processes: looked, ..(*shown).clone() }));
        if news {
            (self.wake)();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pid() -> Pid {
        Pid::new(7).unwrap()
    }

    #[test]
    fn nothing_is_looked_at_that_is_not_shown() {
        let now = Duration::from_secs(100);
        let later = Due { picture: Duration::from_secs(102), processes: Duration::from_secs(101) };
        let wish = |picture, processes: &[Pid]| MachineWish { picture, processes: processes.to_vec() };
        for (due, wish, step) in [
            (Due::default(), wish(false, &[]), Step::Rest),
            (later, wish(false, &[]), Step::Rest),
            (Due::default(), wish(true, &[]), Step::Look { picture: true, processes: false }),
            (Due::default(), wish(false, &[pid()]), Step::Look { picture: false, processes: true }),
            (Due::default(), wish(true, &[pid()]), Step::Look { picture: true, processes: true }),
            (later, wish(true, &[]), Step::Wait(Duration::from_secs(2))),
            (later, wish(true, &[pid()]), Step::Wait(Duration::from_secs(1))),
            (Due { picture: now, ..later }, wish(true, &[pid()]), Step::Look { picture: true, processes: false }),
        ] {
            assert_eq!(due.step(&wish, now), step, "{due:?} {wish:?}");
        }
    }

    #[test]
    fn what_is_wished_for_is_looked_at_and_published() {
        let (woken, wakes) = crossbeam_channel::unbounded();
        let shared = Arc::new(Shared::default());
        let wake: Arc<dyn Fn() + Send + Sync> = Arc::new(move || {
            let _ = woken.send(());
        });
        let mut watch = MachineWatch::start(crate::platform::this_machine(), Arc::clone(&shared), wake);
        watch.wish(MachineWish::default());
        assert!(!watch.runs, "nobody wants anything yet");
        let me = Pid::new(u64::from(crate::platform::environment::own_pid())).unwrap();
        watch.wish(MachineWish { picture: true, processes: vec![me] });
        let seen = |shown: &MachineShown| shown.picture.is_some() && shown.processes.contains_key(&me);
        while !seen(&shared.machine.load()) {
            wakes.recv_timeout(Duration::from_secs(20)).unwrap();
        }
        watch.end();
    }
}
