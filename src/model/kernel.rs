//! The kernel's own words about locks: `/proc/locks` and the `lock:` lines of `/proc/PID/fdinfo/FD`.
//!
//! Owns: their grammar (`fs/locks.c`, `lock_get_status`). Never: reads the files, or decides what a lock means.

use super::holder::Pid;

/// The kind of a kernel lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LockKind {
    /// `flock(2)`.
    Flock,
    /// `fcntl(F_SETLK)`: owned by a process.
    Posix,
    /// `fcntl(F_OFD_SETLK)`: owned by an open file description; the kernel gives PID -1.
    Ofd,
    /// `fcntl(F_SETLEASE)`: no hold; its taker is told before another opens the file.
    Lease,
}

impl LockKind {
    /// The word that the JSON output uses.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Flock => "flock",
            Self::Posix => "posix",
            Self::Ofd => "ofd",
            Self::Lease => "lease",
        }
    }
}

/// A file as the kernel's lock table names it: the device of its superblock, and its inode number.
///
/// This is the device that `mountinfo` gives for the file's mount, not `st_dev` (they differ on btrfs and overlayfs).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KernelFile {
    /// Major device number.
    pub major: u32,
    /// Minor device number.
    pub minor: u32,
    /// Inode number.
    pub ino: u64,
}

/// One line of the kernel's lock table: a lock that is granted, or one that is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KernelLock {
    /// The file it is on.
    pub file: KernelFile,
    /// Which kind.
    pub kind: LockKind,
    /// Exclusive, or shared.
    pub exclusive: bool,
    /// Queued behind another, not granted (a `->` line).
    pub waiting: bool,
    /// Who took it (perhaps gone since, its child holding on); `None` for OFD locks, and for processes of a namespace
    /// that we cannot see.
    pub pid: Option<Pid>,
    /// First byte.
    pub start: u64,
    /// Last byte; `None` = to the end.
    pub end: Option<u64>,
}

/// All kernel locks in `/proc/locks`, in its order, and the leases among them. Delegations (of `nfsd`) are left out;
/// a line that does not fit the grammar is counted, not guessed at.
pub fn parse_proc_locks(text: &str) -> (Vec<KernelLock>, usize) {
    let mut locks = Vec::new();
    let mut strange = 0;
    for line in text.lines().filter(|l| !l.trim().is_empty()) {
        match parse_lock_line(line) {
            Line::Lock(lock) => locks.push(lock),
            Line::NotAHold => {}
            Line::Strange => strange += 1,
        }
    }
    (locks, strange)
}

/// What the first words of a line in the table say it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TableKind {
    /// `flock(2)`.
    Flock,
    /// `fcntl(F_SETLK)`.
    Posix,
    /// `fcntl(F_OFD_SETLK)`.
    Ofd,
    /// `fcntl(F_SETLEASE)`.
    Lease,
    /// A delegation, as `nfsd` takes them.
    Delegation,
    /// A layout, as `nfsd` takes them.
    Layout,
    /// A word of a later kernel.
    Other,
}

impl TableKind {
    fn of(word: &str) -> Self {
        match word {
            "FLOCK" => Self::Flock,
            "POSIX" | "ACCESS" => Self::Posix,
            "OFDLCK" => Self::Ofd,
            "LEASE" => Self::Lease,
            "DELEG" => Self::Delegation,
            "LAYOUT" => Self::Layout,
            _ => Self::Other,
        }
    }

    /// The word that the JSON output uses.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Flock => "flock",
            Self::Posix => "posix",
            Self::Ofd => "ofd",
            Self::Lease => "lease",
            Self::Delegation => "delegation",
            Self::Layout => "layout",
            Self::Other => "other",
        }
    }

    /// The word that the kernel's table and lslocks(8) use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Flock => "FLOCK",
            Self::Posix => "POSIX",
            Self::Ofd => "OFDLCK",
            Self::Lease => "LEASE",
            Self::Delegation => "DELEG",
            Self::Layout => "LAYOUT",
            Self::Other => "OTHER",
        }
    }
}

/// One line of the table as it stands there, with its place among those that wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TableLine {
    /// What it is.
    pub kind: TableKind,
    /// 0 = granted; 1 = waits for the line of depth 0 before it; 2 = waits behind one of depth 1; and so on.
    pub depth: u8,
    /// Exclusive, or shared.
    pub exclusive: bool,
    /// The number of the process, as our PID namespace has it: -1 for open file descriptions, 0 or less where the process
    /// is of another namespace or another host.
    pub number: i64,
    /// The file it is on; `None` where the kernel tells none.
    pub file: Option<KernelFile>,
    /// First byte.
    pub start: u64,
    /// Last byte; `None` = to the end.
    pub end: Option<u64>,
}

impl TableLine {
    /// The process that took it, or that waits.
    pub fn pid(&self) -> Option<Pid> {
        u64::try_from(self.number).ok().and_then(Pid::new)
    }

    /// Whether an open file that carries this lock carries what the line tells.
    pub fn is_told_by(&self, carried: &KernelLock) -> bool {
        let kind = match carried.kind {
            LockKind::Flock => TableKind::Flock,
            LockKind::Posix => TableKind::Posix,
            LockKind::Ofd => TableKind::Ofd,
            LockKind::Lease => TableKind::Lease,
        };
        let same_place = self.file == Some(carried.file) && (self.start, self.end) == (carried.start, carried.end);
        kind == self.kind && same_place && self.exclusive == carried.exclusive && self.pid() == carried.pid
    }
}

/// All lines of `/proc/locks` in their order, waiters after whom they wait for, and how many lines fit no known grammar.
pub fn parse_table(text: &str) -> (Vec<TableLine>, usize) {
    let mut strange = 0;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let lines = lines.filter_map(|line| {
        let parsed = parse_table_line(line);
        strange += usize::from(parsed.is_none());
        parsed
    });
    (lines.collect(), strange)
}

/// The arrow of a waiter stands a column further right with each level (`locks_show` in `fs/locks.c`).
fn parse_table_line(line: &str) -> Option<TableLine> {
    let (number, rest) = line.split_once(':')?;
    number.trim().parse::<u64>().ok()?;
    let rest = rest.strip_prefix(' ').unwrap_or(rest);
    let words = rest.trim_start_matches(' ');
    let indented = rest.len() - words.len();
    let (depth, words) = match words.strip_prefix("->") {
        Some(words) => (u8::try_from(indented + 1).unwrap_or(u8::MAX), words),
        None => (0, words),
    };
    let mut words = words.split_ascii_whitespace();
    let kind = TableKind::of(words.next()?);
    let _advisory = words.next()?;
    let exclusive = matches!(words.next()?, "WRITE" | "RW");
    let number = words.next()?.parse().ok()?;
    let file = words.next()?;
    let file = if file.starts_with("<none>") { None } else { Some(parse_kernel_file(file)?) };
    let start = words.next()?.parse().ok()?;
    let end = match words.next()? {
        "EOF" => None,
        last => Some(last.parse().ok()?),
    };
    Some(TableLine { kind, depth, exclusive, number, file, start, end })
}

enum Line {
    Lock(KernelLock),
    NotAHold,
    Strange,
}

/// `1: -> FLOCK  ADVISORY  WRITE 812 fe:00:11034641 0 EOF`; `->` (after spaces that grow with the depth) marks a waiter.
fn parse_lock_line(line: &str) -> Line {
    let mut words = line.split_ascii_whitespace();
    if !words.next().is_some_and(|number| number.ends_with(':')) {
        return Line::Strange;
    }
    let mut word = words.next();
    let waiting = word == Some("->");
    if waiting {
        word = words.next();
    }
    let kind = match word {
        Some("FLOCK") => LockKind::Flock,
        Some("POSIX" | "ACCESS") => LockKind::Posix,
        Some("OFDLCK") => LockKind::Ofd,
        Some("LEASE") => LockKind::Lease,
        Some("DELEG" | "LAYOUT") => return Line::NotAHold,
        _ => return Line::Strange,
    };
    let fields = (|| {
        let _advisory = words.next()?;
        let exclusive = match words.next()? {
            "WRITE" | "RW" => true,
            // UNLCK: a lease that is being given up.
            "READ" | "NONE" | "UNLCK" => false,
            _ => return None,
        };
        let pid = words.next()?.parse::<i64>().ok()?;
        let file = parse_kernel_file(words.next()?)?;
        let start = words.next()?.parse().ok()?;
        let end = match words.next()? {
            "EOF" => None,
            last => Some(last.parse().ok()?),
        };
        let pid = u64::try_from(pid).ok().and_then(Pid::new);
        Some(KernelLock { file, kind, exclusive, waiting, pid, start, end })
    })();
    fields.map_or(Line::Strange, Line::Lock)
}

/// `fe:00:11034641`: device numbers in hexadecimal, inode in decimal.
fn parse_kernel_file(text: &str) -> Option<KernelFile> {
    let mut parts = text.split(':');
    let major = u32::from_str_radix(parts.next()?, 16).ok()?;
    let minor = u32::from_str_radix(parts.next()?, 16).ok()?;
    let ino = parts.next()?.parse().ok()?;
    parts.next().is_none().then_some(KernelFile { major, minor, ino })
}

/// What `/proc/PID/fdinfo/FD` tells of one open file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FdInfo {
    /// The mount it was opened through; 0 where the kernel does not say.
    pub mount: u64,
    /// Its inode number (Linux 5.14 and later).
    pub ino: Option<u64>,
    /// The locks that this open file carries. Waiters are never among them.
    pub locks: Vec<KernelLock>,
}

/// Reads one fdinfo text; unknown lines are passed over, as the format grows with the kernel.
pub fn parse_fdinfo(text: &str) -> FdInfo {
    let mut info = FdInfo::default();
    for line in text.lines() {
        if let Some(value) = line.strip_prefix("mnt_id:") {
            info.mount = value.trim().parse().unwrap_or(0);
        } else if let Some(value) = line.strip_prefix("ino:") {
            info.ino = value.trim().parse().ok();
        } else if let Some(value) = line.strip_prefix("lock:")
            && let Line::Lock(lock) = parse_lock_line(value.trim_start())
        {
            info.locks.push(lock);
        }
    }
    info
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
1: FLOCK  ADVISORY  WRITE 812 fe:00:11034641 0 EOF
1: -> FLOCK  ADVISORY  WRITE 813 fe:00:11034641 0 EOF
1:  -> FLOCK  ADVISORY  WRITE 814 fe:00:11034641 0 EOF
2: POSIX  ADVISORY  READ  77 00:2a:12 1073741826 1073742335
3: OFDLCK ADVISORY  WRITE -1 fe:00:9 0 4095
4: LEASE  ACTIVE    WRITE 5 fe:00:10 0 EOF
4: DELEG  ACTIVE    READ 5 fe:00:11 0 EOF
5: FLOCK  ADVISORY  WRITE 0 fe:00:13 0 EOF
";

    #[test]
    fn holders_waiters_and_leases_are_told_apart() {
        let (locks, strange) = parse_proc_locks(TABLE);
        assert_eq!(strange, 0);
        assert_eq!(locks.len(), 7);
        assert_eq!(locks.iter().filter(|l| l.waiting).count(), 2);
        assert_eq!(locks[0].file, KernelFile { major: 0xfe, minor: 0, ino: 11_034_641 });
        assert_eq!((locks[3].start, locks[3].end, locks[3].exclusive), (1_073_741_826, Some(1_073_742_335), false));
        assert_eq!((locks[4].kind, locks[4].pid), (LockKind::Ofd, None));
        assert_eq!(locks[5].kind, LockKind::Lease);
        assert_eq!(locks[6].pid, None, "PID 0 = a process of a namespace that we cannot see");
    }

    #[test]
    fn what_does_not_fit_is_counted_and_never_panics() {
        for line in ["", "x", "1:", "1: FLOCK", "1: NEW ADVISORY WRITE 1 0:0:0 0 EOF", "1: FLOCK A WRITE x 0:0:0 0 EOF"]
        {
            let (locks, strange) = parse_proc_locks(line);
            assert!(locks.is_empty());
            assert_eq!(strange, usize::from(!line.is_empty()), "{line:?}");
        }
    }

    #[test]
    fn the_whole_table_keeps_its_order_its_depths_and_what_is_no_hold() {
        let (lines, strange) = parse_table(&format!("{TABLE}6: OFDLCK *NOINODE* READ -1 <none>:0 0 EOF\n7: FLOCK\n"));
        assert_eq!((lines.len(), strange), (9, 1));
        let depths: Vec<u8> = lines.iter().map(|line| line.depth).collect();
        assert_eq!(depths, [0, 1, 2, 0, 0, 0, 0, 0, 0]);
        assert_eq!((lines[6].kind, lines[6].pid().map(Pid::get)), (TableKind::Delegation, Some(5)));
        assert_eq!((lines[4].number, lines[4].pid(), lines[4].end), (-1, None, Some(4095)));
        assert_eq!((lines[7].number, lines[7].pid(), lines[8].file), (0, None, None));
        let older = "1: POSIX  ADVISORY  WRITE 7 fe:00:1 0 EOF\n1: -> POSIX  ADVISORY  WRITE 8 fe:00:1 0 EOF\n";
        assert_eq!(parse_table(older).0[1].depth, 1);
        let (held, _) = parse_proc_locks(TABLE);
        for lock in held {
            let told = lines.iter().filter(|line| line.is_told_by(&lock)).count();
            assert_eq!(told, 1, "{lock:?}");
        }
    }

    #[test]
    fn fdinfo_carries_mount_inode_and_locks() {
        let info = parse_fdinfo(
            "pos:\t0\nflags:\t02100002\nmnt_id:\t29\nino:\t5432\nlock:\t1: OFDLCK ADVISORY  WRITE -1 fe:00:5432 0 EOF\n",
        );
        assert_eq!((info.mount, info.ino, info.locks.len()), (29, Some(5432), 1));
        assert_eq!(parse_fdinfo("\u{0}garbage"), FdInfo::default());
    }
}
