//! One existence lock and many processes: workers that take it (O_EXCL, with a PID record) and sometimes die with it,
//! supervisors that start them and clean up after them, and two that clear: Lockscope's library, or a breaker as scripts
//! write it. Shared by the short test and the long run; each process is this same program with orders in its environment.
#![allow(dead_code, unreachable_pub, reason = "each binary uses its part")]

use lockscope::clear::{ClearError, Consent, Refusal, Workplace, clear, recheck, recover_all};
use lockscope::inspect::{LookOptions, look_at_one};
use lockscope::platform::this_machine;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

const ORDERS: &str = "LOCKSCOPE_CONTENTION";
const NAME: &str = "job.pid";
pub const SUPERVISORS: usize = 2;
/// Of each supervisor.
pub const WORKERS: usize = 3;
pub const CLEARERS: usize = 2;
/// The exit code of a worker that died with a lock in its supervisor's name.
const LEFT_TO_SUPERVISOR: i32 = 9;
/// Far more than any put-back takes.
const GRACE: Duration = Duration::from_secs(20);

/// Who clears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breaker {
    /// Inspect, recheck, clear, with a threshold of 0.
    Lockscope,
    /// Reads the PID, sees that it is dead, unlinks by path. `gap`: one of the two is slow, and unlinks when the next
    /// holder is in.
    Naive { gap: bool },
}

#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub breaker: Breaker,
    /// How often the lock is to be taken.
    pub holds: u64,
    /// Every so many holds a worker dies, on average.
    pub crash_every: u64,
    /// End at the first double hold.
    pub until_double: bool,
    pub longest: Duration,
}

/// What all of them share, in a file that each has mapped. Plain counters: zeroes are valid.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Tally {
    /// The PID of who holds the lock; 0 = nobody. Set right after the lock was taken, cleared right before it is let go of.
    owner: AtomicU64,
    over: AtomicU64,
    /// How many are taking the lock right now, and whether a supervisor has asked for that to wait (see [`Tally::entering`]).
    takers: AtomicU64,
    gate: AtomicU64,
    /// The PIDs of the two that clear.
    clearers: [AtomicU64; CLEARERS],
    pub holds: AtomicU64,
    pub crashes: AtomicU64,
    pub lingering: AtomicU64,
    pub cleaned: AtomicU64,
    pub raced: AtomicU64,
    pub overtaken: AtomicU64,
    pub cleared: AtomicU64,
    pub put_back: AtomicU64,
    pub refused: AtomicU64,
    pub double: AtomicU64,
    pub lost: AtomicU64,
    pub failed_releases: AtomicU64,
}

/// The tally in a file, mapped.
struct Mapped {
    tally: *const Tally,
    _file: fs::File,
}

impl Mapped {
    fn open(path: &Path) -> Self {
        let file = fs::File::options().read(true).write(true).create(true).truncate(false).open(path).expect("a file");
        file.set_len(size_of::<Tally>() as u64).expect("its size");
        let (length, access) = (size_of::<Tally>(), libc::PROT_READ | libc::PROT_WRITE);
        // SAFETY: a new mapping, of a file that is long enough and that nobody makes shorter.
        let mapped = unsafe { libc::mmap(std::ptr::null_mut(), length, access, libc::MAP_SHARED, file.as_raw_fd(), 0) };
        assert_ne!(mapped, libc::MAP_FAILED, "the tally can be mapped");
        Self { tally: mapped.cast(), _file: file }
    }
}

impl std::ops::Deref for Mapped {
    type Target = Tally;
    fn deref(&self) -> &Tally {
        // SAFETY: the mapping is never taken away, is aligned to a page, and is only ever used through these atomics.
        unsafe { &*self.tally }
    }
}

impl Tally {
    /// Takers go together, and none while the gate is shut.
    fn entering<R>(&self, take: impl FnOnce() -> R) -> R {
        self.takers.fetch_add(1, SeqCst);
        while self.gate.load(SeqCst) != 0 {
            self.takers.fetch_sub(1, SeqCst);
            thread::yield_now();
            self.takers.fetch_add(1, SeqCst);
        }
        let result = take();
        self.takers.fetch_sub(1, SeqCst);
        result
    }

    /// Nobody takes the lock meanwhile. By this a supervisor's "is it still my child's? then remove it" is one step, as it
    /// is where nobody else may break locks: without it the two would be what `naive` is, and the fault its own.
    fn gate_shut<R>(&self, act: impl FnOnce() -> R) -> R {
        while self.gate.compare_exchange(0, 1, SeqCst, SeqCst).is_err() {
            thread::yield_now();
        }
        while self.takers.load(SeqCst) != 0 {
            thread::yield_now();
        }
        let result = act();
        self.gate.store(0, SeqCst);
        result
    }
}

/// Dice.
struct Dice(u64);

impl Dice {
    fn one_in(&mut self, count: u64) -> bool {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.is_multiple_of(count)
    }
}

fn bump(counter: &AtomicU64) -> u64 {
    counter.fetch_add(1, SeqCst)
}

/// Takes the lock, holds it, and lets go of it or dies with it.
fn work(tally: &Tally, lock: &Path, crash_every: u64, patient: bool) {
    let me = u64::from(std::process::id());
    let mut dice = Dice(me.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    while tally.over.load(SeqCst) == 0 {
        let created = tally.entering(|| fs::File::create_new(lock));
        let mut file = match created {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                thread::yield_now();
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        let alone = tally.owner.compare_exchange(0, me, SeqCst, SeqCst).is_ok();
        if !alone {
            bump(&tally.double);
        }
        bump(&tally.holds);
        // A lock can be taken in the supervisor's name: then it is the supervisor's to remove when the worker dies.
        let supervised = dice.one_in(2);
        let named = if supervised { std::os::unix::process::parent_id() } else { me as u32 };
        file.write_all(format!("{named}\n").as_bytes()).expect("written");
        for _ in 0..me % 4 {
            thread::yield_now();
        }
        if alone && tally.owner.compare_exchange(me, 0, SeqCst, SeqCst).is_err() {
            bump(&tally.double);
        }
        if dice.one_in(crash_every) {
            if supervised {
                std::process::exit(LEFT_TO_SUPERVISOR);
            }
            bump(&tally.crashes);
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        }
        let own = file.metadata().expect("its own").ino();
        let began = Instant::now();
        loop {
            let there = fs::symlink_metadata(lock).is_ok_and(|stat| stat.ino() == own);
            if there && fs::remove_file(lock).is_ok() {
                break;
            }
            if there {
                bump(&tally.failed_releases);
            }
            if !patient || began.elapsed() > GRACE {
                bump(&tally.lost);
                break;
            }
            thread::yield_now();
        }
    }
}

fn start(role: &str, base: &Path, plan: &str, entry: &[String]) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .args(entry)
        .env(ORDERS, format!("{role}|{plan}|{}", base.display()))
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts")
}

/// Removes what a dead child left (it is a zombie yet, so its number is its own), in a race with those that clear: as soon
/// as one of them has its lease, all of them are stopped wherever they are, the lock is removed under their hands, somebody
/// else takes it, and they go on.
fn race(tally: &Tally, lock: &Path, child: rustix::process::Pid) {
    let left = || -> Option<(fs::File, u64)> {
        let named = fs::read_to_string(lock).ok()?;
        let path_only = libc::O_PATH | libc::O_NOFOLLOW;
        let pin = fs::File::options().read(true).custom_flags(path_only).open(lock).ok()?;
        let ino = pin.metadata().ok()?.ino();
        (named.trim() == child.as_raw_nonzero().to_string()).then_some((pin, ino))
    };
    if tally.clearers.iter().all(|clearer| clearer.load(SeqCst) == 0) {
        return; // the naive ones get no help
    }
    let Some((_pin, ino)) = left() else { return };
    let began = Instant::now();
    let inode = format!(":{ino} ");
    let is_leased = || {
        let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
        locks.lines().any(|line| line.contains("LEASE") && line.contains(&inode))
    };
    while !is_leased() && began.elapsed() < Duration::from_millis(30) {
        std::hint::spin_loop();
    }
    let signal = |signal| {
        for clearer in &tally.clearers {
            let pid = i32::try_from(clearer.load(SeqCst)).ok().and_then(rustix::process::Pid::from_raw);
            pid.map(|pid| rustix::process::kill_process(pid, signal));
        }
    };
    signal(rustix::process::Signal::STOP);
    let holds = tally.holds.load(SeqCst);
    let removed = tally.gate_shut(|| {
        // By number, not by opening it, which would wait for the lease.
        fs::symlink_metadata(lock).is_ok_and(|stat| stat.ino() == ino) && fs::remove_file(lock).is_ok()
    });
    if removed {
        bump(&tally.raced);
        let began = Instant::now();
        while tally.holds.load(SeqCst) == holds && began.elapsed() < Duration::from_millis(20) {
            thread::yield_now();
        }
    }
    signal(rustix::process::Signal::CONT);
}

/// Starts workers, and others when they die. Who died with a lock in our name is cleaned up after: nobody else may remove
/// that one, for we live. Some of the others are left as zombies until somebody has cleared what they left.
fn supervise(tally: &Tally, base: &Path, plan: &str, entry: &[String]) {
    let lock = base.join("locks").join(NAME);
    let begin = || (start("worker", base, plan, entry), None::<u64>);
    let mut workers: Vec<_> = (0..WORKERS).map(|_| begin()).collect();
    let mut rounds = 0_u64;
    while tally.over.load(SeqCst) == 0 {
        rounds += 1;
        for (worker, lingers_since) in &mut workers {
            let pid = rustix::process::Pid::from_child(worker);
            let options = rustix::process::WaitIdOptions::EXITED
                | rustix::process::WaitIdOptions::NOHANG
                | rustix::process::WaitIdOptions::NOWAIT;
            let Ok(Some(status)) = rustix::process::waitid(rustix::process::WaitId::Pid(pid), options) else {
                continue;
            };
            assert_ne!(status.exit_status(), Some(101), "a worker panicked");
            if status.exit_status() == Some(LEFT_TO_SUPERVISOR) {
                while fs::remove_file(&lock).is_err() {
                    assert!(tally.over.load(SeqCst) == 0, "only the end comes before this");
                    thread::yield_now();
                }
                bump(&tally.cleaned);
            } else if pid.as_raw_nonzero().get() % 3 == 0 {
                race(tally, &lock, pid);
            } else if pid.as_raw_nonzero().get() % 2 == 0 {
                let cleared = tally.cleared.load(SeqCst);
                let since = *lingers_since.get_or_insert_with(|| {
                    bump(&tally.lingering);
                    rounds
                });
                if cleared + tally.raced.load(SeqCst) < tally.crashes.load(SeqCst) && rounds - since < 1_000 {
                    continue;
                }
            }
            let _ = worker.wait();
            (*worker, *lingers_since) = begin();
        }
        // Short: a race is over in a millisecond.
        thread::sleep(Duration::from_micros(150));
    }
    for (mut worker, _) in workers {
        let _ = worker.wait();
    }
}

fn clear_with_lockscope(tally: &Tally, base: &Path, number: usize) {
    let usual = lockscope::lock::workplace(this_machine(), &base.join(format!("state-{number}")));
    let workplace = Workplace { runtime_dir: base.join("run"), ..usual };
    let directory = base.join("locks");
    tally.clearers[number].store(std::process::id().into(), SeqCst);
    let options = LookOptions { threshold: Duration::ZERO, ..LookOptions::default() };
    while tally.over.load(SeqCst) == 0 {
        let seen = look_at_one(&workplace.system, &directory, OsStr::new(NAME), &options).expect("looked at");
        let Some((seen, _)) = seen.filter(|(seen, _)| seen.is_stale()) else {
            // Not to keep two processors from those who take the lock.
            thread::sleep(Duration::from_micros(500));
            continue;
        };
        match recheck(&workplace, &directory, &seen, &options, Consent::Bulk).map(clear) {
            Ok(Ok(_)) => drop(bump(&tally.cleared)),
            Ok(Err(ClearError::PutBack(_))) => drop(bump(&tally.put_back)),
            Ok(Err(ClearError::Refused(Refusal::Gone(_) | Refusal::Changed { .. }))) => drop(bump(&tally.overtaken)),
            Ok(Err(ClearError::Refused(Refusal::InUse(_)))) | Err(_) => drop(bump(&tally.refused)),
            Ok(Err(error)) => panic!("{error:?}"),
        }
    }
    assert_eq!(recover_all(&workplace).expect("the state can be read"), 0, "nothing was left half done");
}

fn clear_naively(tally: &Tally, lock: &Path, slow: bool) {
    while tally.over.load(SeqCst) == 0 {
        let named = fs::read_to_string(lock).ok().and_then(|text| text.trim().parse::<i32>().ok());
        let Some(pid) = named.filter(|pid| *pid > 0 && is_dead(*pid)) else {
            thread::yield_now();
            continue;
        };
        let before = tally.holds.load(SeqCst);
        let began = Instant::now();
        while slow && tally.holds.load(SeqCst) == before && began.elapsed() < Duration::from_secs(1) {
            thread::yield_now();
        }
        if fs::remove_file(lock).is_ok() {
            bump(&tally.cleared);
        }
        let _ = pid;
    }
}

fn is_dead(pid: i32) -> bool {
    // State Z: its whole process has exited (no worker has threads).
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.map_or(true, |stat| stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z')))
}

/// Plays the role that this process was started for; `false` = none. `entry`: the arguments that lead here.
pub fn play(entry: &[String]) -> bool {
    let Ok(orders) = std::env::var(ORDERS) else { return false };
    let [role, plan, base] = orders.splitn(3, '|').collect::<Vec<_>>()[..] else { panic!("{orders}") };
    let base = PathBuf::from(base);
    let tally = Mapped::open(&base.join("tally"));
    let lock = base.join("locks").join(NAME);
    let crash_every = plan.parse().expect("a number");
    // A naive breaker puts nothing back: there is nothing to wait for.
    match role {
        "worker" => work(&tally, &lock, crash_every, !base.join("naive").exists()),
        "supervisor" => supervise(&tally, &base, plan, entry),
        "lockscope-0" => clear_with_lockscope(&tally, &base, 0),
        "lockscope-1" => clear_with_lockscope(&tally, &base, 1),
        "naive" => clear_naively(&tally, &lock, false),
        "naive-slow" => clear_naively(&tally, &lock, true),
        other => panic!("no such role: {other}"),
    }
    true
}

/// Lets them all loose until there were holds enough. Each process has to end well.
pub fn contend(plan: Plan, entry: &[&str]) -> Tally {
    contend_in(&std::env::temp_dir(), plan, entry)
}

/// The same, on the disk of this directory.
pub fn contend_in(directory: &Path, plan: Plan, entry: &[&str]) -> Tally {
    let base = tempfile::tempdir_in(directory).expect("a directory");
    fs::create_dir(base.path().join("locks")).expect("a directory");
    if plan.breaker != Breaker::Lockscope {
        fs::write(base.path().join("naive"), "").expect("written");
    }
    let tally = Mapped::open(&base.path().join("tally"));
    let entry: Vec<String> = entry.iter().map(ToString::to_string).collect();
    let clearers: [&str; CLEARERS] = match plan.breaker {
        Breaker::Lockscope => ["lockscope-0", "lockscope-1"],
        Breaker::Naive { gap: true } => ["naive", "naive-slow"],
        Breaker::Naive { gap: false } => ["naive", "naive"],
    };
    let roles = clearers.into_iter().chain(["supervisor"; SUPERVISORS]);
    let crash_every = plan.crash_every.to_string();
    let mut processes: Vec<_> = roles.map(|role| start(role, base.path(), &crash_every, &entry)).collect();
    let began = Instant::now();
    let enough = || {
        let double = plan.until_double && tally.double.load(SeqCst) > 0;
        double || tally.holds.load(SeqCst) >= plan.holds || began.elapsed() > plan.longest
    };
    let mut failed = Vec::new();
    while !enough() && failed.is_empty() {
        thread::sleep(Duration::from_millis(5));
        failed.extend(processes.iter_mut().filter_map(|process| process.try_wait().ok().flatten()));
    }
    tally.over.store(1, SeqCst);
    failed.extend(processes.iter_mut().filter_map(|process| process.wait().ok()).filter(|status| !status.success()));
    assert!(failed.is_empty(), "{failed:?}");
    let names = fs::read_dir(base.path().join("locks")).expect("listed");
    let left: Vec<_> = names.map(|name| name.expect("a name").file_name()).filter(|name| name != NAME).collect();
    assert!(left.is_empty(), "{left:?}");
    let copy = |counter: &AtomicU64| AtomicU64::new(counter.load(SeqCst));
    Tally {
        owner: copy(&tally.owner),
        over: copy(&tally.over),
        takers: copy(&tally.takers),
        gate: copy(&tally.gate),
        clearers: [copy(&tally.clearers[0]), copy(&tally.clearers[1])],
        holds: copy(&tally.holds),
        crashes: copy(&tally.crashes),
        lingering: copy(&tally.lingering),
        cleaned: copy(&tally.cleaned),
        raced: copy(&tally.raced),
        overtaken: copy(&tally.overtaken),
        cleared: copy(&tally.cleared),
        put_back: copy(&tally.put_back),
        refused: copy(&tally.refused),
        double: copy(&tally.double),
        lost: copy(&tally.lost),
        failed_releases: copy(&tally.failed_releases),
    }
}

impl Tally {
    /// As people read it.
    pub fn report(&self, breaker: Breaker, took: Duration) -> String {
        let of = |counter: &AtomicU64| counter.load(SeqCst);
        format!(
            "{breaker:?}: {} holds by {} processes in {:.1} s; {} deaths with a lock of their own ({} zombies), {} with \
             their supervisor's (cleaned up by it); {} cleared, {} cleaned up under the clearers' hands, {} clears \
             overtaken, {} put back, {} refused; {} DOUBLE HOLDS, {} lost locks, {} failed releases",
            of(&self.holds),
            SUPERVISORS * WORKERS,
            took.as_secs_f64(),
            of(&self.crashes),
            of(&self.lingering),
            of(&self.cleaned),
            of(&self.cleared),
            of(&self.raced),
            of(&self.overtaken),
            of(&self.put_back),
            of(&self.refused),
            of(&self.double),
            of(&self.lost),
            of(&self.failed_releases),
        )
    }
}
