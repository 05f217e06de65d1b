//! What Lockscope costs at scale, beside the least that could be done: `./dev bench`.
//!
//! Each row is a pair that runs in turn, in the same minute on the same machine; the median of its runs counts. The table
//! goes to `docs/BENCHMARKS.md`, with what stands below it there kept. A row that cannot be measured says why.
#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

mod corpus;
mod heap;
mod live;
mod passes;
mod report;
mod window;

use report::{Report, Row};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[global_allocator]
static HEAP: heap::Counting = heap::Counting;

/// The program, as it is shipped.
const LOCKSCOPE: &str = env!("CARGO_BIN_EXE_lockscope");

type Rows = Result<Vec<Row>, String>;
type Part = fn(&Place) -> Rows;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("hello") => return window::hello(false),
        Some("hello-ticking") => return window::hello(true),
        Some("hold") => return passes::hold(Path::new(&arguments[2])),
        _ => {}
    }
    // `cargo test --benches` builds and starts this too.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let only = arguments.iter().skip(1).find(|argument| !argument.starts_with('-'));
    let parts: [(&str, Part); 8] = [
        ("pass", passes::full_pass),
        ("holders", passes::holders),
        ("million", passes::million),
        ("change", live::one_change),
        ("watch", live::watch),
        ("rows", live::rows),
        ("start", window::start),
        ("idle", window::idle),
    ];
    let known = |only: &String| parts.iter().any(|(name, _)| name == only);
    if let Some(unknown) = only.filter(|only| !known(only)) {
        let names: Vec<&str> = parts.iter().map(|(name, _)| *name).collect();
        eprintln!("bench: there is no part {unknown}; there are {}", names.join(", "));
        std::process::exit(2);
    }
    let work = tempfile::tempdir().unwrap();
    let place = Place::new(work.path());
    let mut report = Report::default();
    for (name, part) in parts {
        if only.is_some_and(|only| only != name) {
            continue;
        }
        let began = Instant::now();
        eprintln!("-- {name}");
        report.add(name, part(&place));
        eprintln!("-- {name}: {:.0} s", began.elapsed().as_secs_f64());
    }
    report.print();
    if only.is_none() {
        report.write(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/BENCHMARKS.md").as_path());
    }
}

/// Where corpora and built peers are; all of it goes at the end.
pub(crate) struct Place {
    base: PathBuf,
    /// The 100,000 files, on the disk where temporary files are.
    pub(crate) large: PathBuf,
}

impl Place {
    fn new(base: &Path) -> Self {
        Self { base: base.to_owned(), large: base.join("large") }
    }

    /// A directory of its own.
    pub(crate) fn directory(&self, name: &str) -> PathBuf {
        let path = self.base.join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    /// The large corpus, made when it is first asked for.
    pub(crate) fn large(&self) -> &Path {
        if !self.large.exists() {
            corpus::make(&self.large, 100_000).unwrap();
        }
        &self.large
    }

    /// A peer in C, built.
    pub(crate) fn peer(&self, name: &str) -> Result<PathBuf, String> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("benches/scale/peers/{name}.c"));
        let built = self.base.join(name);
        let compiled = Command::new("cc").args(["-O2", "-pthread", "-o"]).arg(&built).arg(source).status();
        if compiled.is_ok_and(|status| status.success()) { Ok(built) } else { Err("no C compiler".to_owned()) }
    }

    /// Lockscope with these arguments, with settings and state of its own.
    pub(crate) fn lockscope(&self) -> Command {
        let mut command = Command::new(LOCKSCOPE);
        command
            .env("LOCKSCOPE_STATE_DIR", self.base.join("state"))
            .env("LOCKSCOPE_CONFIG_DIR", self.base.join("config"))
            .env_remove("WAYLAND_DISPLAY")
            .stdin(Stdio::null());
        command
    }
}

/// How long a program runs, its output thrown away.
pub(crate) fn timed(command: &mut Command) -> Result<Duration, String> {
    let began = Instant::now();
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().map_err(|error| error.to_string())?;
    if status.success() { Ok(began.elapsed()) } else { Err(format!("{} failed", command.get_program().display())) }
}

/// Some runs of one thing, in seconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Runs(Vec<f64>);

impl Runs {
    pub(crate) fn add(&mut self, took: Duration) {
        self.0.push(took.as_secs_f64());
    }

    /// The value below which this share of them is.
    pub(crate) fn at(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(((sorted.len() as f64 - 1.0) * share).round() as usize).copied().unwrap_or(f64::NAN)
    }

    /// For what is measured in coarse steps.
    pub(crate) fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len() as f64
    }

    pub(crate) fn median(&self) -> f64 {
        self.at(0.5)
    }
}

/// Runs the two in turn, so that both have the same weather; once before that counts for neither.
pub(crate) fn in_turn(
    times: usize, mut one: impl FnMut() -> Result<Duration, String>,
    mut other: impl FnMut() -> Result<Duration, String>,
) -> Result<(Runs, Runs), String> {
    let (mut ones, mut others) = (Runs::default(), Runs::default());
    for turn in 0..=times {
        let (a, b) = (one()?, other()?);
        if turn > 0 || times == 1 {
            ones.add(a);
            others.add(b);
        }
    }
    Ok((ones, others))
}
