//! Directories full of lock files, always the same for the same number.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// A small generator: the same names and contents in every run.
struct Dice(u64);

impl Dice {
    fn throw(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

const KEYS: [&str; 6] = ["", "_memory", "_messages", "_message_operations", "_uploaded_documents_list", "-indices"];
const AGES: [u64; 5] = [5, 50, 700, 4000, 90_000];

/// Makes `count` lock files: decimal PIDs of dead processes, empty files as a kernel lock leaves them behind, JSON records,
/// PIDs with this host. Gives the bytes of all names.
pub(crate) fn make(directory: &Path, count: usize) -> std::io::Result<u64> {
    std::fs::create_dir_all(directory)?;
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let now = SystemTime::now();
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let (mut names, mut content) = (0, String::new());
    for number in 0..count {
        let name = format!("{:016x}{}.lock", dice.throw(), KEYS[(dice.throw() >> 20) as usize % KEYS.len()]);
        let dead = 4_194_000 - dice.throw() % 2000;
        content.clear();
        let _ = match number % 5 {
            0 => writeln!(content, "{dead}"),
            1 => Ok(()),
            2 => write!(
                content,
                "{{\"pid\": {dead}, \"host\": \"{host}\", \"cmd\": \"worker\", \"created\": 1700000000.5}}"
            ),
            3 => write!(content, "{dead}\n{host}\n"),
            _ => write!(content, "{dead}"),
        };
        let mut file = File::create(directory.join(&name))?;
        file.write_all(content.as_bytes())?;
        file.set_modified(now - Duration::from_secs(AGES[(dice.throw() >> 20) as usize % AGES.len()]))?;
        names += name.len() as u64;
    }
    Ok(names)
}
