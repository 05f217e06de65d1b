//! Databases: what their servers and libraries lock their data with.

use super::files::{KERNEL, empty_file, is_regular, kernel_file, last_taker, long_text, owned_by, parsed, pid_file};
use super::text::{is_digits, is_host, pid, text};
use super::{Asked, Candidate, Claim, Format, Mechanism, PLAIN, Record, RecordState, Standing};
use crate::model::time::Wall;

const POSTGRES: &[&str] = &["postgres", "postmaster"];
const MYSQL: &[&str] = &["mysqld", "mariadbd"];
const JAVA: &[&str] = &["java"];

pub(super) static FORMATS: &[Format] = &[
    Format {
        id: "pg-postmaster",
        title: "PostgreSQL",
        mechanism: Mechanism::Existence,
        names: &["postmaster.pid"],
        programs: POSTGRES,
        looks: "lines: PID (negative = one process alone), data directory, start time, port, socket directory, address, \
                shared memory, state",
        stale_rule: Some(
            "the next server takes it over if the PID is gone or another user's, and the shared memory is unused",
        ),
        caution: Some("Deleting it while PostgreSQL runs makes the server shut down at once within a minute"),
        read: postmaster,
        ..PLAIN
    },
    Format {
        id: "pg-socket",
        title: "PostgreSQL socket",
        mechanism: Mechanism::Existence,
        names: &[".s.PGSQL.*.lock"],
        programs: POSTGRES,
        looks: "the first five lines of `postmaster.pid`, beside the socket",
        stale_rule: Some("the next server on this port takes it over if the PID is gone or another user's"),
        caution: Some("Deleting it while PostgreSQL runs lets a second server take the socket"),
        read: postmaster,
        ..PLAIN
    },
    Format {
        id: "mysql-socket",
        title: "MySQL socket",
        mechanism: Mechanism::Existence,
        names: &["{mysql,mysqld,mysqlx}.sock.lock"],
        programs: MYSQL,
        looks: "`PID` and a newline, beside the socket",
        stale_rule: Some("the next server removes it if it cannot signal the PID, even where that is another user's"),
        caution: Some("Deleting it while MySQL runs lets a second server take the socket"),
        read: pid_file,
        ..PLAIN
    },
    // The lock itself is the kernel's, on `ibdata1` and `aria_log_control`: data, listed only while it is held.
    Format {
        id: "mariadb",
        title: "MySQL, MariaDB",
        mechanism: Mechanism::Existence,
        names: &["{mysqld,mariadbd,mariadb}.pid", "{mysql,mysqld,mariadb}/*.pid"],
        programs: MYSQL,
        looks: "`PID` and a newline; the lock itself is the kernel's, on `ibdata1` and `aria_log_control`",
        stale_rule: Some("none: the server writes it anew when it starts"),
        caution: Some("Never delete `ibdata1` or `aria_log_control`: they are the database"),
        read: pid_file,
        ..PLAIN
    },
    Format {
        id: "mongod",
        title: "MongoDB",
        mechanism: Mechanism::Flock,
        names: &["mongod.lock"],
        programs: &["mongod"],
        looks: "the PID of the last server; empty after a clean stop",
        stale_rule: Some("a PID left in it tells the next server only that the last one was not stopped cleanly"),
        read: last_taker,
        ..KERNEL
    },
    Format {
        id: "clickhouse",
        title: "ClickHouse",
        mechanism: Mechanism::Flock,
        names: &["status"],
        common_names: true,
        // The kernel cuts `clickhouse-server` at 15 bytes.
        programs: &["clickhouse-serv", "clickhouse"],
        looks: "lines `PID: N`, `Started at: TIME` (local time, without a zone), `Revision: N`",
        stale_rule: Some("what is left in it is logged as an unclean restart, nothing more"),
        read: clickhouse,
        ..KERNEL
    },
    Format {
        id: "lucene",
        title: "Lucene",
        mechanism: Mechanism::Posix,
        names: &["{write,node}.lock"],
        programs: JAVA,
        looks: "always empty. Also of Elasticsearch and Solr",
        caution: Some("Deleting it, or writing into it, makes its holder give up; it frees nobody"),
        read: empty_file,
        ..KERNEL
    },
    Format {
        id: "hdfs",
        title: "Hadoop storage",
        mechanism: Mechanism::Posix,
        names: &["in_use.lock"],
        programs: JAVA,
        looks: "`PID@HOST` of the last taker, no newline",
        read: in_use,
        ..KERNEL
    },
    Format {
        id: "leveldb",
        title: "LevelDB, RocksDB",
        mechanism: Mechanism::Posix, // Go's LevelDB uses `flock`
        names: &["LOCK"],
        read: empty_file,
        ..KERNEL
    },
    Format {
        id: "sqlite",
        title: "SQLite",
        mechanism: Mechanism::Posix,
        standing: Standing::Data,
        names: &["*-{journal,wal,shm}"],
        common_names: true,
        claim: Claim::Magic,
        looks: "a database, its `-journal`, `-wal` or `-shm`, by their first bytes. The lock is the kernel's, on bytes of the \
                database or of `-shm`",
        stale_rule: Some("the next program that opens the database rolls an unfinished change back"),
        caution: Some("Never delete it: it can hold committed data, and a database without it may be damaged"),
        asked: Asked::FILE.if_it_begins(b"S\xd9\x37\0\x18"),
        read: sqlite,
        ..PLAIN
    },
    Format {
        id: "h2",
        title: "H2",
        mechanism: Mechanism::Existence,
        names: &["*.lock.db"],
        programs: JAVA,
        looks: "Java properties: `method`, `id`, and with `method=socket` also `ipAddress` and `port`",
        // `org/h2/store/FileLock.java`: the holder looks every second or less and writes it anew if it was touched. It
        // does not touch it otherwise, so an old mtime proves nothing and this is no heartbeat.
        stale_rule: Some(
            "a rival writes its own id, waits about 2 s, and owns it if its holder has not written it back",
        ),
        caution: Some("A living holder writes it back within about 2 s; until then a second one may enter"),
        read: h2,
        ..PLAIN
    },
];

/// `CreateLockFile` of `miscinit.c`, lines as in `pidfile.h`; the first five are written at once, the others added.
fn postmaster(file: &Candidate<'_>) -> Option<RecordState> {
    if !is_regular(file) {
        return None;
    }
    if file.size == 0 {
        return Some(RecordState::CutShort);
    }
    let Some(text) = long_text(file) else { return Some(RecordState::Malformed("no lines of text")) };
    Some(postmaster_lines(text).unwrap_or_else(|state| state))
}

fn postmaster_lines(text: &str) -> Result<RecordState, RecordState> {
    let mut lines = text.split('\n');
    let first = lines.next().unwrap_or_default();
    // One process alone (`postgres --single`) writes its PID with a minus; `kill(-n)` would ask a process group.
    let alone = first.strip_prefix('-');
    let digits = alone.unwrap_or(first);
    if !is_digits(digits) {
        return Err(RecordState::Malformed("line 1 is no PID"));
    }
    let Some(pid) = pid(digits)? else { return Err(RecordState::Malformed("PID 0")) };
    let rest: Vec<&str> = lines.collect();
    let [_directory, start, port, _socket_directory, more @ ..] = &rest[..] else {
        return Err(RecordState::CutShort);
    };
    if more.is_empty() {
        return Err(RecordState::CutShort); // line 5 has no newline yet
    }
    if !is_digits(start) || !is_digits(port) {
        return Err(RecordState::Malformed("no start time and port on lines 3 and 4"));
    }
    let state = more.get(2).map(|line| line.trim_ascii()).filter(|state| !state.is_empty());
    let kind = if alone.is_some() { "single-user" } else { "server" };
    let detail = [Some(kind.to_owned()), Some(format!("port {port}")), state.map(str::to_owned)];
    Ok(parsed(Record {
        pid: Some(pid),
        started_at: start.parse().ok().and_then(epoch),
        detail: Some(detail.into_iter().flatten().collect::<Vec<_>>().join(", ").into()),
        complete: text.ends_with('\n'),
        ..Record::default()
    }))
}

/// Within what a clock of this century can show.
fn epoch(secs: i64) -> Option<Wall> {
    (1..9_000_000_000).contains(&secs).then(|| Wall::from_parts(secs, 0))
}

/// `src/Common/StatusFile.cpp`. The time has no zone: words for people, not an instant.
fn clickhouse(file: &Candidate<'_>) -> Option<RecordState> {
    let mut lines = text(file)?.strip_suffix('\n')?.split('\n');
    let digits = lines.next()?.strip_prefix("PID: ")?;
    let started = lines.next()?.strip_prefix("Started at: ")?;
    lines.next()?.strip_prefix("Revision: ").filter(|revision| is_digits(revision))?;
    if lines.next().is_some() || !is_digits(digits) || started.is_empty() {
        return None;
    }
    Some(owned_by(
        pid(digits),
        Record {
            detail: Some(format!("started at {started}, by its own clock").into()),
            complete: true,
            ..Record::default()
        },
    ))
}

/// `hdfs/server/common/Storage.java` writes the name of the virtual machine.
fn in_use(file: &Candidate<'_>) -> Option<RecordState> {
    if !is_regular(file) || file.size == 0 {
        return kernel_file(file);
    }
    let owner = text(file).and_then(|text| text.trim_ascii_end().split_once('@'));
    Some(match owner {
        Some((digits, host)) if is_digits(digits) && is_host(host) => {
            owned_by(pid(digits), Record { host: Some(host.into()), ..Record::default() })
        }
        _ => RecordState::Malformed("no PID@HOST"),
    })
}

/// By the first bytes, whatever the name: a database, its rollback journal, its write-ahead log. By name too: a journal
/// whose header is zeroed (in use, or spent), a shared memory of the log.
fn sqlite(file: &Candidate<'_>) -> Option<RecordState> {
    const DATABASE: &[u8] = b"SQLite format 3\0";
    const JOURNAL: &[u8] = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7";
    const LOGS: [&[u8]; 2] = [b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83"];
    /// `WALINDEX_MAX_VERSION` of `wal.c`, in the machine's own byte order, then four zeros.
    const INDEX_VERSION: u32 = 3_007_000;
    let bytes = file.bytes;
    let starts = |magic: &[u8]| bytes.starts_with(magic);
    let index = |version: [u8; 4]| starts(&[version, [0; 4]].concat());
    let mine = starts(DATABASE)
        || starts(JOURNAL)
        || LOGS.iter().any(|magic| starts(magic))
        || (file.name.ends_with(b"-journal") && is_zeroed_journal(bytes))
        || (file.name.ends_with(b"-shm") && (index(INDEX_VERSION.to_le_bytes()) || index(INDEX_VERSION.to_be_bytes())));
    (is_regular(file) && mine).then_some(RecordState::None)
}

/// The magic and the count of records are zero; what stands behind them gives sizes of sector and page.
fn is_zeroed_journal(bytes: &[u8]) -> bool {
    let Some((header, _)) = bytes.split_first_chunk::<28>() else { return false };
    let size = |at: usize| header.get(at..at + 4).and_then(|four| four.try_into().ok()).map(u32::from_be_bytes);
    let fits = |size: Option<u32>| size.is_some_and(|size| size.is_power_of_two() && (512..=65_536).contains(&size));
    let spent = header.iter().all(|b| *b == 0);
    spent || (header.starts_with(&[0; 12]) && fits(size(20)) && fits(size(24)))
}

/// `FileLock.java`: the id is the time in milliseconds, in hexadecimal, before 32 hexadecimal digits of chance.
fn h2(file: &Candidate<'_>) -> Option<RecordState> {
    if !is_regular(file) {
        return None;
    }
    if file.size == 0 {
        return Some(RecordState::CutShort);
    }
    let text = long_text(file).unwrap_or_default();
    let property = |key: &str| {
        let mut pairs =
            text.lines().filter(|line| !line.starts_with(['#', '!'])).filter_map(|line| line.split_once('='));
        pairs.find(|(name, _)| *name == key).map(|(_, value)| value.trim_ascii_end().replace('\\', ""))
    };
    let (Some(method), Some(id)) = (property("method"), property("id")) else {
        return Some(RecordState::Malformed("no \"method\" and \"id\""));
    };
    let millis =
        id.len().checked_sub(32).and_then(|split| id.get(..split)).and_then(|ms| i64::from_str_radix(ms, 16).ok());
    let address = property("ipAddress").map(|ip| match property("port") {
        Some(port) => format!(", at {ip}:{port}"),
        None => format!(", at {ip}"),
    });
    Some(parsed(Record {
        started_at: millis.and_then(|ms| epoch(ms / 1000).map(|_| Wall(ms * 1_000_000))),
        detail: Some(format!("method {method}{}", address.unwrap_or_default()).into()),
        complete: text.ends_with('\n'),
        ..Record::default()
    }))
}
