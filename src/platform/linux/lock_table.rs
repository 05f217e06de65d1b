//! The kernel's lock table, `/proc/locks`, read so that no lock is missed.
//!
//! The kernel hands out the table a page at a time (`fs/seq_file.c`) and finds its place again by counting entries, so a
//! lock that is released between two pages makes it skip one that is held. With 1,000 locks held and two programs that
//! lock and unlock beside them, every second reading misses some. One page is read under the table's own lock, and is
//! whole.
//!
//! Owns: [`read`], [`read_table`]. Never: says what a lock means.

use crate::model::kernel::{KernelLock, TableLine, parse_proc_locks, parse_table};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// A table that keeps changing is read so often, and what any of the readings has shown counts as held: an entry too many
/// is gone at the next look, a missing one could be called free.
const MOST_READINGS: usize = 6;
/// More than the kernel gives at once.
const CHUNK: usize = 64 * 1024;

/// One reading of the table.
struct Reading {
    text: Vec<u8>,
    /// It came in one piece, and so is whole.
    whole: bool,
}

/// All locks in the table, and the leases.
pub(super) fn read() -> io::Result<Vec<KernelLock>> {
    gather(read_once)
}

/// The table, open, and what it is read into.
struct Kept {
    file: File,
    chunk: Box<[u8]>,
}

thread_local! {
    /// To open it and to make room each time takes longer than to read it. Each thread has its own: who reads between two
    /// pieces of another would make those two tables.
    static KEPT: RefCell<Option<Kept>> = const { RefCell::new(None) };
}

fn read_once() -> io::Result<Reading> {
    KEPT.with_borrow_mut(|kept| {
        if let Some(known) = kept
            && let Ok(reading) = known.read()
        {
            return Ok(reading);
        }
        // The first time; or there is another `/proc` by now.
        *kept = None;
        let mut fresh = Kept { file: File::open("/proc/locks")?, chunk: vec![0; CHUNK].into() };
        let reading = fresh.read()?;
        *kept = Some(fresh);
        Ok(reading)
    })
}

impl Kept {
    /// At the offset 0 the kernel makes the table anew.
    fn read(&mut self) -> io::Result<Reading> {
        let mut text = Vec::new();
        let mut pieces = 0;
        loop {
            match self.file.read_at(&mut self.chunk, text.len() as u64) {
                Ok(0) => return Ok(Reading { text, whole: pieces <= 1 }),
                Ok(count) => {
                    pieces += 1;
                    text.extend_from_slice(&self.chunk[..count]);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn gather(mut read_once: impl FnMut() -> io::Result<Reading>) -> io::Result<Vec<KernelLock>> {
    let mut last = read_once()?;
    let mut locks = parse(&last.text);
    if last.whole {
        return Ok(locks);
    }
    let mut known: HashSet<KernelLock> = locks.iter().copied().collect();
    for _ in 1..MOST_READINGS {
        let next = read_once()?;
        // Nothing moved from one reading to the next: so nothing was skipped.
        if next.text == last.text {
            break;
        }
        locks.extend(parse(&next.text).into_iter().filter(|lock| known.insert(*lock)));
        last = next;
    }
    Ok(locks)
}

/// The table with each waiter after whom it waits for, and how many lines fit no known grammar.
pub(super) fn read_table() -> io::Result<(Vec<TableLine>, usize)> {
    gather_table(read_once)
}

/// Without the locks that a reading in pieces shows twice: one that is taken meanwhile comes first in the table, and moves
/// those behind it into the next piece once more. Only of exclusive ones can it be told: two cannot be on the same bytes.
fn without_repeats(lines: Vec<TableLine>) -> Vec<TableLine> {
    let mut known = HashSet::new();
    let mut repeated = false;
    let mut kept = lines;
    kept.retain(|line| {
        if line.depth == 0 {
            repeated = line.exclusive && line.file.is_some() && !known.insert(*line);
        }
        !repeated
    });
    kept
}

/// As [`gather`]; but what counts is the newest reading, with what it has skipped. The kernel gives a lock and all that
/// wait for it together, so they are skipped together.
fn gather_table(mut read_once: impl FnMut() -> io::Result<Reading>) -> io::Result<(Vec<TableLine>, usize)> {
    let parse = |reading: &Reading| {
        let (lines, strange) = parse_table(&String::from_utf8_lossy(&reading.text));
        (if reading.whole { lines } else { without_repeats(lines) }, strange)
    };
    let mut last = read_once()?;
    let (mut lines, mut strange) = parse(&last);
    if last.whole {
        return Ok((lines, strange));
    }
    for _ in 1..MOST_READINGS {
        let next = read_once()?;
        if next.text == last.text {
            break;
        }
        let earlier = std::mem::take(&mut lines);
        (lines, strange) = parse(&next);
        let mut known: HashMap<TableLine, usize> = HashMap::new();
        lines.iter().filter(|line| line.depth == 0).for_each(|line| *known.entry(*line).or_default() += 1);
        let mut skipped = false;
        for line in earlier {
            if line.depth == 0 {
                let count = known.entry(line).or_default();
                skipped = *count == 0;
                *count = count.saturating_sub(1);
            }
            if skipped {
                lines.push(line);
            }
        }
        last = next;
    }
    Ok((lines, strange))
}

fn parse(text: &[u8]) -> Vec<KernelLock> {
    let (locks, strange) = parse_proc_locks(&String::from_utf8_lossy(text));
    if strange > 0 {
        tracing::warn!(strange, "lines of /proc/locks do not fit the known grammar");
    }
    locks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(inodes: &[u64]) -> Vec<u8> {
        let line = |(at, ino): (usize, &u64)| format!("{}: FLOCK  ADVISORY  WRITE 812 fe:00:{ino} 0 EOF\n", at + 1);
        inodes.iter().enumerate().map(line).collect::<String>().into_bytes()
    }

    /// What is gathered from these readings, and how many of them were made.
    fn gathered(readings: &[(&[u64], bool)]) -> (Vec<u64>, usize) {
        let mut made = 0;
        let locks = gather(|| {
            let (inodes, whole) = readings[made.min(readings.len() - 1)];
            made += 1;
            Ok(Reading { text: table(inodes), whole })
        });
        let mut inodes: Vec<u64> = locks.unwrap().iter().map(|lock| lock.file.ino).collect();
        inodes.sort_unstable();
        (inodes, made)
    }

    #[test]
    fn one_piece_is_whole() {
        assert_eq!(gathered(&[(&[1, 2], true)]), (vec![1, 2], 1));
    }

    #[test]
    fn two_readings_alike_are_whole() {
        assert_eq!(gathered(&[(&[1, 2], false)]), (vec![1, 2], 2));
    }

    #[test]
    fn what_one_reading_skips_another_shows() {
        assert_eq!(gathered(&[(&[1, 3], false), (&[1, 2, 3], false), (&[2, 3], false)]), (vec![1, 2, 3], 4));
    }

    #[test]
    fn a_table_that_never_rests_ends_the_reading_all_the_same() {
        let readings: Vec<[u64; 1]> = (0..20).map(|n| [n]).collect();
        let readings: Vec<(&[u64], bool)> = readings.iter().map(|inodes| (&inodes[..], false)).collect();
        assert_eq!(gathered(&readings).1, MOST_READINGS);
    }

    #[test]
    fn what_a_reading_skips_keeps_its_waiters() {
        let held = "1: FLOCK  ADVISORY  WRITE 1 fe:00:1 0 EOF\n";
        let waited = "2: FLOCK  ADVISORY  WRITE 2 fe:00:2 0 EOF\n2: -> FLOCK  ADVISORY  WRITE 3 fe:00:2 0 EOF\n";
        let readings = [format!("{held}{waited}"), held.to_owned(), held.to_owned()];
        let mut made = 0;
        let (lines, _) = gather_table(|| {
            made += 1;
            Ok(Reading { text: readings[made - 1].clone().into_bytes(), whole: false })
        })
        .unwrap();
        assert_eq!(lines.iter().map(|line| (line.number, line.depth)).collect::<Vec<_>>(), [(1, 0), (2, 0), (3, 1)]);
        // One whole reading is the present, with nothing of what was before.
        let text = held.as_bytes().to_vec();
        let (lines, _) = gather_table(|| Ok(Reading { text: text.clone(), whole: true })).unwrap();
        assert_eq!(lines.len(), 1);
    }

    #[test]
    fn what_a_reading_in_pieces_repeats_is_one_lock() {
        let lock = |number: u32, access: &str| format!("{number}: FLOCK  ADVISORY  {access} 7 fe:00:{number} 0 EOF\n");
        let waits = "1: -> FLOCK  ADVISORY  WRITE 3 fe:00:1 0 EOF\n";
        let exclusive = format!("{}{waits}", lock(1, "WRITE"));
        let shared = lock(2, "READ ");
        let text = format!("{exclusive}{shared}{exclusive}{shared}");
        let read = |whole| {
            let (lines, _) = gather_table(|| Ok(Reading { text: text.clone().into_bytes(), whole })).unwrap();
            lines.iter().map(|line| line.number).collect::<Vec<_>>()
        };
        assert_eq!(read(false), [7, 3, 7, 7], "shared locks of one process may be two");
        assert_eq!(read(true), [7, 3, 7, 7, 3, 7], "what is whole is as it is");
    }

    #[test]
    fn the_table_that_is_kept_open_is_made_anew_at_each_reading() {
        use std::os::unix::fs::MetadataExt as _;
        let directory = tempfile::tempdir().unwrap();
        let file = File::create(directory.path().join("x.lock")).unwrap();
        let ino = file.metadata().unwrap().ino();
        let ours = || read().unwrap().iter().filter(|lock| lock.file.ino == ino).count();
        assert_eq!(ours(), 0);
        file.lock().unwrap();
        assert_eq!(ours(), 1);
        file.unlock().unwrap();
        assert_eq!(ours(), 0);
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        assert!(gather(|| Err(io::Error::other("no"))).is_err());
    }
}
