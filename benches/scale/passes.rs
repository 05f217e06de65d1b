//! Full passes: the whole program against the least that a scan can do, and against what others do.

use crate::{Place, Row, Rows, Runs, corpus, in_turn, timed};
use std::io::BufRead as _;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) fn full_pass(place: &Place) -> Rows {
    let large = place.large();
    let floor = place.peer("floor")?;
    let summary = || timed(place.lockscope().args(["status", "--summary"]).arg(large));
    let (ours, floors) = in_turn(11, summary, || timed(Command::new(&floor).arg(large)))?;
    let ratio = ours.median() / floors.median();
    let measured = |ours: &Runs, other: &str, others: &Runs, ratio: f64| {
        format!(
            "{:.0} ms (least {:.0}), {other} {:.0} ms (least {:.0}): {ratio:.2} x",
            ours.median() * 1e3,
            ours.at(0.0) * 1e3,
            others.median() * 1e3,
            others.at(0.0) * 1e3,
        )
    };
    let mut rows = vec![Row {
        work: "full pass over 100,000 files (`status --summary`)",
        against: "`floor.c`, one thread",
        goal: "at most 1.3 x",
        measured: measured(&ours, "it", &floors, ratio),
        met: ratio <= 1.3,
    }];
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/scale/peers/loop.py");
    let python = || timed(Command::new("python3").arg(&script).arg(large));
    let (ours, loops) = in_turn(5, summary, python)?;
    let ratio = loops.median() / ours.median();
    // What no program can do in less: both processors do nothing but open, look, read and close.
    let halves = ["half", "other-half"].map(|name| place.directory(name));
    for half in &halves {
        crate::corpus::make(half, 50_000).map_err(|error| error.to_string())?;
    }
    let both =
        || side_by_side(halves.each_ref().map(|half| Command::new(&floor).arg(half).stdout(Stdio::null()).spawn()));
    let (least, loops_again) = in_turn(5, both, python)?;
    let reachable = loops_again.median() / least.median();
    rows.push(Row {
        work: "the same",
        against: "a Python loop (flock probe, PID, `psutil`)",
        goal: "at least 5 x faster",
        measured: format!(
            "{}; the least on both processors (two of `floor.c`, half of the files each) {:.0} ms: {reachable:.2} x",
            measured(&ours, "it", &loops, ratio),
            least.median() * 1e3
        ),
        met: ratio >= 5.0,
    });
    Ok(rows)
}

/// How long it takes until both have ended.
fn side_by_side(both: [std::io::Result<Child>; 2]) -> Result<Duration, String> {
    let began = Instant::now();
    for child in both {
        let status = child.and_then(|mut child| child.wait()).map_err(|error| error.to_string())?;
        if !status.success() {
            return Err("the floor failed".to_owned());
        }
    }
    Ok(began.elapsed())
}

const HELD: usize = 3000;

/// The part of the holder, in a process of its own: locks all files of a directory, says so, and waits.
pub(crate) fn hold(directory: &Path) {
    let most = rustix::process::Rlimit { current: Some(8192), maximum: Some(8192) };
    let _ = rustix::process::setrlimit(rustix::process::Resource::Nofile, most);
    let files: Vec<std::fs::File> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| std::fs::File::open(entry.unwrap().path()).unwrap())
        .inspect(|file| rustix::fs::flock(file.as_fd(), rustix::fs::FlockOperation::LockExclusive).unwrap())
        .collect();
    println!("holding {}", files.len());
    let _ = std::io::stdin().lock().lines().next();
}

pub(crate) fn holders(place: &Place) -> Rows {
    let directory = place.directory("held");
    for number in 0..HELD {
        std::fs::write(directory.join(format!("{number:04}_memory.lock")), "").unwrap();
    }
    let holder = Command::new(std::env::current_exe().unwrap())
        .arg("hold")
        .arg(&directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut holder = holder.map_err(|error| error.to_string())?;
    let mut said = String::new();
    let _ = std::io::BufReader::new(holder.stdout.take().unwrap()).read_line(&mut said);
    let rows = if said.trim() == format!("holding {HELD}") {
        compare_holders(place, &directory)
    } else {
        Err("3,000 files cannot be held open here".to_owned())
    };
    drop(holder.stdin.take());
    let _ = holder.wait();
    rows
}

fn compare_holders(place: &Place, directory: &Path) -> Rows {
    let seen = place.lockscope().args(["status", "--json"]).arg(directory).output().map_err(|e| e.to_string())?;
    let seen: serde_json::Value = serde_json::from_slice(&seen.stdout).map_err(|e| e.to_string())?;
    if seen["counts"]["held"] != HELD {
        return Err(format!("{} are seen as held", seen["counts"]["held"]));
    }
    let joined = place.peer("locks")?;
    let status = || timed(place.lockscope().args(["status", "--json"]).arg(directory));
    let (ours, joins) = in_turn(21, status, || timed(Command::new(&joined).arg(directory)))?;
    let lslocks = timed(Command::new("lslocks").arg("-J"))?.as_secs_f64();
    let (against_lslocks, against_c) = (lslocks / ours.median(), ours.median() / joins.median());
    let ms = ours.median() * 1e3;
    Ok(vec![
        Row {
            work: "who holds 3,000 flocks of one process (`status --json`)",
            against: "`lslocks -J`",
            goal: "at least 200 x faster",
            measured: format!("{ms:.1} ms, it {:.0} ms (one run): {against_lslocks:.0} x", lslocks * 1e3),
            met: against_lslocks >= 200.0,
        },
        Row {
            work: "the same",
            against: "`locks.c`: reads `/proc/locks`, stats the names",
            goal: "at most 3 x",
            measured: format!("{ms:.1} ms, it {:.1} ms: {against_c:.2} x", joins.median() * 1e3),
            met: against_c <= 3.0,
        },
    ])
}

/// A place in memory for a million files: on a disk their writing back would be measured too.
pub(crate) fn in_memory(count: usize) -> Result<(tempfile::TempDir, PathBuf, u64), String> {
    let shm = Path::new("/dev/shm");
    let room = rustix::fs::statvfs(shm).map_err(|_| "there is no /dev/shm".to_owned())?;
    if room.f_bavail * room.f_frsize < count as u64 * 8192 {
        return Err("too little memory for a million files".to_owned());
    }
    let base = tempfile::tempdir_in(shm).map_err(|error| error.to_string())?;
    let path = base.path().join("locks");
    let names = corpus::make(&path, count).map_err(|error| error.to_string())?;
    Ok((base, path, names))
}

pub(crate) fn million(place: &Place) -> Rows {
    let (_few, few, _) = in_memory(100_000)?;
    let (_many, many, _) = in_memory(1_000_000)?;
    let pass = |directory: &Path| timed(place.lockscope().args(["status", "--summary"]).arg(directory));
    let (ones, tens) = in_turn(3, || pass(&few), || pass(&many))?;
    let ratio = tens.median() / ones.median();
    Ok(vec![Row {
        work: "1,000,000 files, one pass (both on tmpfs)",
        against: "100,000 files",
        goal: "at most 11 x",
        measured: format!("{:.2} s, {:.3} s: {ratio:.1} x", tens.median(), ones.median()),
        met: ratio <= 11.0,
    }])
}
