//! The table, on the terminal and in `docs/BENCHMARKS.md`.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

/// One line of the table.
pub(crate) struct Row {
    pub(crate) work: &'static str,
    pub(crate) against: &'static str,
    pub(crate) goal: &'static str,
    /// What was measured, in words.
    pub(crate) measured: String,
    pub(crate) met: bool,
}

#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
    not_run: Vec<String>,
}

/// What stands below this line in the document is written by hand, and kept.
const BY_HAND: &str = "## What was tried";

impl Report {
    pub(crate) fn add(&mut self, name: &str, rows: Result<Vec<Row>, String>) {
        match rows {
            Ok(rows) => self.rows.extend(rows),
            Err(why) => self.not_run.push(format!("not run: {name}: {why}")),
        }
    }

    fn table(&self) -> String {
        let mut text = String::from("| work | against | measured | goal | |\n|---|---|---|---|---|\n");
        for row in &self.rows {
            let met = if row.met { "met" } else { "**not met**" };
            let _ = writeln!(text, "| {} | {} | {} | {} | {met} |", row.work, row.against, row.measured, row.goal);
        }
        for line in &self.not_run {
            let _ = writeln!(text, "\n{line}");
        }
        text
    }

    pub(crate) fn print(&self) {
        println!("{}", self.table());
    }

    pub(crate) fn write(&self, path: &Path) {
        let old = std::fs::read_to_string(path).unwrap_or_default();
        let kept = old.find(BY_HAND).map_or_else(|| format!("{BY_HAND}\n"), |at| old[at..].to_owned());
        let text = format!("# Benchmarks\n\n{}\n{}\n{kept}", machine(), self.table());
        std::fs::write(path, text).unwrap();
        println!("written to {}", path.display());
    }
}

fn first_line(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or("?").trim().to_owned()
}

/// The kind of machine, the day, and how it was measured. No names.
fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1)).unwrap_or("?");
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib: f64 = memory.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or(f64::NAN);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    let kernel = kernel.split('-').next().unwrap_or("?").to_owned();
    format!(
        "Written by `./dev bench` on {}: {cores} processors ({model}), {:.0} GiB of memory, Linux {kernel}, {}, {}.\n\n\
         Each pair runs in turn in the same minute, after a run that does not count; medians, and the ratio of the medians. \
         Times are of whole processes, from their start to their end, unless the row says otherwise. The files are in the \
         cache. The corpora are made by `benches/scale/corpus.rs` (a fifth each: a PID with and without a newline, empty, \
         JSON, PID and host), the peers are in `benches/scale/peers/`.\n",
        first_line("date", &["-u", "+%Y-%m-%d"]),
        kib / 1024.0 / 1024.0,
        first_line("lslocks", &["--version"]),
        first_line("python3", &["--version"]),
    )
}
