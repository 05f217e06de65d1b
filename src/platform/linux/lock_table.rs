//! The kernel's lock table, `/proc/locks`, read so that no lock is missed.
//!
//! The kernel hands out the table a page at a time (`fs/seq_file.c`) and finds its place again by counting entries, so a
//! lock that is released between two pages makes it skip one that is held. With 1,000 locks held and two programs that
//! lock and unlock beside them, every second reading misses some. One page is read under the table's own lock, and is
//! whole.
//!
//! Owns: [`read`]. Never: says what a lock means.

use crate::model::kernel::{KernelLock, parse_proc_locks};
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read as _};

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

fn read_once() -> io::Result<Reading> {
    let mut file = File::open("/proc/locks")?;
    let mut text = Vec::new();
    let mut pieces = 0;
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return Ok(Reading { text, whole: pieces <= 1 }),
            Ok(count) => {
                pieces += 1;
                text.extend_from_slice(&chunk[..count]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
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
    fn what_cannot_be_read_is_an_error() {
        assert!(gather(|| Err(io::Error::other("no"))).is_err());
    }
}
