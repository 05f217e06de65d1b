//! What goes on while Lockscope watches: one change among many, a line for each change, a million rows.

use crate::{Place, Row, Rows, Runs, heap, passes, window};
use lockscope::engine::listing::{Listing, Query, SortKey};
use lockscope::engine::settings::Settings;
use lockscope::engine::{Command, Engine, EngineOptions};
use lockscope::model::snapshot::{Snapshot, Watching};
use lockscope::platform::this_machine;
use rustix::time::{ClockId, clock_gettime};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Only a failure waits so long.
const LONGEST: Duration = Duration::from_mins(1);

struct Watched {
    engine: Engine,
    wakes: Receiver<()>,
}

impl Watched {
    fn start(directory: &Path) -> Result<Self, String> {
        let (wake, wakes) = channel();
        let options = EngineOptions {
            system: this_machine(),
            settings: Settings::default(),
            config_dir: None,
            state_dir: None,
            slow_pass: Duration::from_hours(24),
        };
        let engine = Engine::start(
            options,
            Arc::new(move || {
                let _ = wake.send(());
            }),
        );
        engine.send(Command::Watch(Some(directory.to_owned())));
        let watched = Self { engine, wakes };
        watched.until("the first pass", |snapshot, _| snapshot.watching == Watching::Live)?;
        watched.until("its listing", |snapshot, listing| listing.generation == snapshot.generation)?;
        Ok(watched)
    }

    fn until(&self, what: &str, so: impl Fn(&Snapshot, &Listing) -> bool) -> Result<Duration, String> {
        let began = Instant::now();
        loop {
            if self.engine.snapshot().is_some_and(|snapshot| so(&snapshot, &self.engine.listing())) {
                return Ok(began.elapsed());
            }
            let left = LONGEST.checked_sub(began.elapsed()).ok_or(format!("{what} took too long"))?;
            let _ = self.wakes.recv_timeout(left);
        }
    }
}

fn processor_time(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

pub(crate) fn thread_time() -> Duration {
    processor_time(ClockId::ThreadCPUTime)
}

/// A watched directory in which one file changes again and again.
struct Changing {
    watched: Watched,
    file: PathBuf,
    turn: usize,
}

impl Changing {
    const NAME: &str = "one_changes_memory.lock";

    fn start(directory: &Path) -> Result<Self, String> {
        Ok(Self { watched: Watched::start(directory)?, file: directory.join(Self::NAME), turn: 0 })
    }

    /// Processor time of all our threads for one change, until picture and listing have it.
    fn once(&mut self) -> Result<Duration, String> {
        self.turn += 1;
        let number = 4_194_304 + self.turn;
        let before = processor_time(ClockId::ProcessCPUTime);
        let text = format!("{number}\n");
        let size = text.len() as u64;
        std::fs::write(&self.file, text).unwrap();
        let name = OsStr::new(Self::NAME);
        self.watched.until("a change", |snapshot, listing| {
            // As a rule it is among the newest; to look for it by its path is not what is measured.
            let newest = snapshot.chunks.last().cloned();
            let lock = newest.and_then(|chunk| chunk.iter().rev().flatten().find(|lock| *lock.path == *name).cloned());
            let lock = lock.or_else(|| snapshot.find(name).cloned());
            let pid = lock.as_ref().and_then(|lock| lock.facts.reading().record()?.pid).map(|pid| pid.get() as usize);
            let there = pid == Some(number) && lock.and_then(|l| l.facts.stat()).is_some_and(|s| s.size == size);
            there && listing.generation == snapshot.generation
        })?;
        Ok(processor_time(ClockId::ProcessCPUTime).saturating_sub(before))
    }
}

impl Drop for Changing {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

pub(crate) fn one_change(place: &Place) -> Rows {
    let small = place.directory("small");
    crate::corpus::make(&small, 100).map_err(|error| error.to_string())?;
    let (mut few, mut many) = (Changing::start(&small)?, Changing::start(place.large())?);
    let (many, few) = crate::in_turn(200, || many.once(), || few.once())?;
    let ratio = many.median() / few.median();
    Ok(vec![Row {
        work: "one file changes among 100,000: processor time until picture and listing have it",
        against: "among 100",
        goal: "at most 1.2 x",
        measured: format!("{:.0} us, {:.0} us: {ratio:.2} x", many.median() * 1e6, few.median() * 1e6),
        met: ratio <= 1.2,
    }])
}

/// A program that prints a line for each file that appears.
struct Teller {
    child: Child,
    lines: Receiver<(Instant, String)>,
}

impl Teller {
    fn start(command: &mut std::process::Command) -> Result<Self, String> {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().map_err(|error| error.to_string())?;
        let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
        let (tell, lines) = channel();
        std::thread::spawn(move || {
            let mut line = Vec::new();
            while output.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                let now = Instant::now();
                let _ = tell.send((now, String::from_utf8_lossy(&line).into_owned()));
                line.clear();
            }
        });
        Ok(Self { child, lines })
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The number in the name of a file that [`appear`] made.
fn number_in(line: &str) -> Option<usize> {
    let at = line.find("new-")? + 4;
    line[at..].split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// A file appears, whole, and already some time old.
fn appear(staging: &Path, directory: &Path, number: usize) -> Instant {
    let name = format!("new-{number}.lock");
    std::fs::write(staging.join(&name), "4194304\n").unwrap();
    let began = Instant::now();
    std::fs::rename(staging.join(&name), directory.join(&name)).unwrap();
    began
}

/// Waits until it tells of what appears.
fn wait_until_it_tells(teller: &Teller, staging: &Path, directory: &Path) -> Result<(), String> {
    let began = Instant::now();
    let mut number = 900_000_000;
    while began.elapsed() < LONGEST {
        number += 1;
        appear(staging, directory, number);
        while let Ok((_, line)) = teller.lines.recv_timeout(Duration::from_millis(200)) {
            if number_in(&line) == Some(number) {
                return Ok(());
            }
        }
    }
    Err("it never told of a file".to_owned())
}

/// The latencies when nothing else goes on, and with 1,000 changes a second; and how many lines never came.
fn latencies(teller: &Teller, staging: &Path, directory: &Path) -> Result<(Runs, Runs, usize), String> {
    wait_until_it_tells(teller, staging, directory)?;
    let (mut idle, mut busy) = (Runs::default(), Runs::default());
    for number in 0..200 {
        std::thread::sleep(Duration::from_millis(8));
        let began = appear(staging, directory, number);
        loop {
            let (at, line) = teller.lines.recv_timeout(LONGEST).map_err(|_| "a line is missing".to_owned())?;
            if number_in(&line) == Some(number) {
                idle.add(at.saturating_duration_since(began));
                break;
            }
        }
    }
    let mut began = HashMap::new();
    let start = Instant::now();
    for turn in 0..3000_usize {
        let due = start + Duration::from_millis(turn as u64);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        began.insert(1000 + turn, appear(staging, directory, 1000 + turn));
    }
    while !began.is_empty() {
        let Ok((at, line)) = teller.lines.recv_timeout(Duration::from_secs(3)) else { break };
        if let Some(began) = number_in(&line).and_then(|number| began.remove(&number)) {
            busy.add(at.saturating_duration_since(began));
        }
    }
    Ok((idle, busy, began.len()))
}

/// What one program's lines took in each of its turns, in microseconds.
#[derive(Default)]
struct Told {
    idle_p50: Vec<f64>,
    idle_p99: Vec<f64>,
    busy_p50: Vec<f64>,
    busy_p99: Vec<f64>,
    lost: usize,
}

impl Told {
    fn add(&mut self, (idle, busy, lost): &(Runs, Runs, usize)) {
        self.idle_p50.push(idle.at(0.5) * 1e6);
        self.idle_p99.push(idle.at(0.99) * 1e6);
        self.busy_p50.push(busy.at(0.5) * 1e6);
        self.busy_p99.push(busy.at(0.99) * 1e6);
        self.lost += lost;
    }
}

fn middle(turns: &[f64]) -> f64 {
    let mut sorted = turns.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

pub(crate) fn watch(place: &Place) -> Rows {
    const TURNS: usize = 3;
    let staging = place.directory("staging");
    // The evidence costs what it costs: the least that looks at as much as ours needs for a line.
    let least_program = place.peer("watch")?;
    let (mut ours, mut theirs, mut least) = (Told::default(), Told::default(), Told::default());
    for turn in 0..TURNS {
        let directory = |whose: &str| place.directory(&format!("watched-by-{whose}-{turn}"));
        let tell = |told: &mut Told, command: &mut std::process::Command, directory: &Path| {
            let teller = Teller::start(command)?;
            told.add(&latencies(&teller, &staging, directory)?);
            Ok::<_, String>(())
        };
        let (here, there, elsewhere) = (directory("us"), directory("them"), directory("the-least"));
        tell(&mut ours, place.lockscope().args(["watch", "--json"]).arg(&here), &here)?;
        let mut inotifywait = std::process::Command::new("inotifywait");
        let inotifywait = inotifywait.args(["-m", "-q", "-e", "moved_to", "--format", "%f"]).arg(&there);
        tell(&mut theirs, inotifywait, &there).map_err(|error| format!("inotifywait: {error}"))?;
        tell(&mut least, std::process::Command::new(&least_program).arg(&elsewhere), &elsewhere)?;
    }
    let (p50, p99) =
        (middle(&ours.idle_p50) / middle(&theirs.idle_p50), middle(&ours.busy_p99) / middle(&theirs.busy_p99));
    let least_p50 = middle(&least.idle_p50);
    Ok(vec![
        Row {
            work: "file appears -> line out of `watch --json`, idle (200 lines, three turns, their medians)",
            against: "`inotifywait -m`",
            goal: "p50 at most 1.5 x",
            measured: format!(
                "p50 {:.0} us, p99 {:.0} us; it {:.0} us, {:.0} us: {p50:.2} x; `watch.c`, which reads the lock table, the file \
                 and the owner and does nothing else, p50 {least_p50:.0} us: {:.2} x",
                middle(&ours.idle_p50),
                middle(&ours.idle_p99),
                middle(&theirs.idle_p50),
                middle(&theirs.idle_p99),
                least_p50 / middle(&theirs.idle_p50),
            ),
            met: p50 <= 1.5,
        },
        Row {
            work: "the same, with 1,000 changes a second",
            against: "`inotifywait -m`",
            goal: "p99 at most 3 x, no change lost",
            measured: format!(
                "p50 {:.0} us, p99 {:.0} us, {} of 9,000 lost; it {:.0} us, {:.0} us, {} lost: {p99:.2} x",
                middle(&ours.busy_p50),
                middle(&ours.busy_p99),
                ours.lost,
                middle(&theirs.busy_p50),
                middle(&theirs.busy_p99),
                theirs.lost
            ),
            met: p99 <= 3.0 && ours.lost == 0,
        },
    ])
}

/// Asks for a listing, and waits for the first rows and for all.
fn list(watched: &Watched, query: &Query) -> Result<(Duration, Duration), String> {
    let began = Instant::now();
    watched.engine.send(Command::List(query.clone()));
    watched.until("the first rows", |_, listing| listing.query == *query)?;
    let first = began.elapsed();
    watched.until("all rows", |_, listing| listing.query == *query && listing.complete)?;
    Ok((first, began.elapsed()))
}

/// Memory, sorting, searching and drawing, over the same million rows.
pub(crate) fn rows(_place: &Place) -> Rows {
    let (_base, directory, names) = passes::in_memory(1_000_000)?;
    let before = heap::held();
    let watched = Watched::start(&directory)?;
    watched.until("all rows", |_, listing| listing.complete)?;
    let listing = watched.engine.listing();
    let rows = listing.rows.capacity() * size_of_val(&listing.rows[0]);
    drop(listing);
    // What was made on the way goes when the other threads have done with it.
    let settled = (0..50).map(|_| {
        std::thread::sleep(Duration::from_millis(100));
        heap::held()
    });
    let held = settled.min().unwrap_or_default().saturating_sub(before + rows + names as usize) as f64 / 1e6;
    let mut found = vec![Row {
        work: "memory per lock, 1,000,000 rows (all that the engine holds but the listing; a counting allocator)",
        against: "its own name's bytes",
        goal: "at most 200 bytes beyond them",
        measured: format!("{held:.0} bytes beyond {:.1}", names as f64 / 1e6),
        met: held <= 200.0,
    }];
    let mut slowest = (Duration::ZERO, Duration::ZERO, String::new());
    let plain = |sort| Query { sort, ..Query::default() };
    let searched = |text: &str| Query { text: text.to_owned(), ..Query::default() };
    let queries = [
        ("by name", plain(SortKey::Lock)),
        ("by age, descending", Query { descending: true, ..plain(SortKey::Age) }),
        ("by holder", plain(SortKey::Holder)),
        ("by format", plain(SortKey::Format)),
        ("search for `beef`", searched("beef")),
        ("search for what is nowhere", searched("nowhere-at-all")),
        ("by verdict", plain(SortKey::Verdict)),
    ];
    let mut each = Vec::new();
    for (name, query) in queries {
        let (first, all) = list(&watched, &query)?;
        each.push(format!("{name} {:.0}/{:.0} ms", first.as_secs_f64() * 1e3, all.as_secs_f64() * 1e3));
        if first > slowest.0 {
            slowest = (first, all, name.to_owned());
        }
    }
    found.push(Row {
        work: "sort or search over 1,000,000 rows, on the engine's threads",
        against: "",
        goal: "first result under 100 ms",
        measured: format!("first/all: {}; slowest first: {}", each.join(", "), slowest.2),
        met: slowest.0 < Duration::from_millis(100),
    });
    let shown = watched.engine.snapshot().ok_or("no picture")?;
    let snapshot = Snapshot::clone(&shown);
    drop(shown);
    drop(watched);
    found.push(window::frame(snapshot)?);
    Ok(found)
}
