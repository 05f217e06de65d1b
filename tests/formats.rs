//! The formats: each case file under `tests/cases/formats/` against the parser, anything at all against the parser, and
//! `docs/FORMATS.md` against the catalogue.
#![allow(clippy::unwrap_used)] // a test fails by panicking

use lockscope::model::facts::FileKind;
use lockscope::model::format::{
    Candidate, FORMATS, Listed, Mechanism, Reading, Record, RecordState, Standing, UserPattern, UserPatterns, by_id,
    listed, name_glob, recognise, recognise_with,
};
use proptest::prelude::*;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseFile {
    case: Vec<Case>,
}

/// One case: a file, and what must be made of it. What is left out must not be there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What it shows.
    about: String,
    name: String,
    #[serde(default = "usual_directory")]
    directory: String,
    #[serde(default = "regular")]
    kind: String,
    /// The content, as text or in base64.
    text: Option<String>,
    base64: Option<String>,
    /// The content is written so many times.
    times: Option<usize>,
    /// Where it is not the length of the content.
    size: Option<u64>,
    #[serde(default)]
    known_key: bool,
    /// Permission bits; 0o644 unless said.
    mode: Option<u16>,
    /// Hard links; 1 unless said.
    links: Option<u32>,
    /// Of a directory: the names in it.
    #[serde(default)]
    children: Vec<String>,
    /// A pattern of the user's.
    pattern: Option<UserPattern>,
    /// Another name of the same inode here.
    linked_name: Option<String>,

    /// The id of the format.
    format: String,
    mechanism: Option<String>,
    /// `none`, `cut short`, `malformed`, `record`.
    state: String,
    /// The words for a malformed one.
    why: Option<String>,
    pid: Option<u32>,
    host: Option<String>,
    pid_ns: Option<u64>,
    user: Option<String>,
    command: Option<String>,
    boot_id: Option<String>,
    ticks: Option<u64>,
    started_at: Option<String>,
    /// Of a record; true unless said.
    complete: Option<bool>,
    placeholder: Option<bool>,
    /// Further owners.
    #[serde(default)]
    others: Vec<u32>,
    machine_id: Option<String>,
    /// Of the record itself, without a start token.
    record_boot_id: Option<String>,
    program: Option<String>,
    booted_at: Option<String>,
    lease_secs: Option<f64>,
    detail: Option<String>,
    precious: Option<String>,
}

fn usual_directory() -> String {
    "/srv/locks".to_owned()
}

fn regular() -> String {
    "file".to_owned()
}

fn kind(word: &str) -> FileKind {
    match word {
        "file" => FileKind::Regular,
        "directory" => FileKind::Directory,
        "symlink" => FileKind::Symlink,
        "fifo" => FileKind::Fifo,
        "socket" => FileKind::Socket,
        "device" => FileKind::Device,
        _ => panic!("unknown kind {word}"),
    }
}

impl Case {
    fn bytes(&self) -> Vec<u8> {
        use base64::Engine as _;
        let once = match (&self.text, &self.base64) {
            (Some(text), None) => text.clone().into_bytes(),
            (None, Some(coded)) => base64::engine::general_purpose::STANDARD.decode(coded).unwrap(),
            _ => panic!("{}: one of text and base64", self.about),
        };
        once.repeat(self.times.unwrap_or(1))
    }

    fn read(&self) -> Reading {
        let patterns = UserPatterns::new(self.pattern.as_slice()).0;
        self.with_file(|file| recognise_with(file, &patterns))
    }

    fn with_file<R>(&self, deed: impl FnOnce(&Candidate<'_>) -> R) -> R {
        let bytes = self.bytes();
        let size = self.size.unwrap_or(bytes.len() as u64);
        let read = &bytes[..bytes.len().min(64 * 1024)];
        let mut children: Vec<Box<[u8]>> = self.children.iter().map(|name| name.as_bytes().into()).collect();
        children.sort();
        let file = Candidate {
            size,
            mode: self.mode.unwrap_or(0o644),
            links: self.links.unwrap_or(1),
            known_key: self.known_key,
            children: &children,
            linked_name: self.linked_name.as_deref().map(str::as_bytes),
            ..Candidate::plain(self.name.as_bytes(), self.directory.as_bytes(), kind(&self.kind), read)
        };
        deed(&file)
    }

    /// What differs from what is expected.
    fn check(&self) -> Vec<String> {
        let reading = self.read();
        let mut wrong = Vec::new();
        let mut compare = |what: &str, found: String, expected: String| {
            if found != expected {
                wrong.push(format!("{what}: found {found}, expected {expected}"));
            }
        };
        compare("format", reading.format.id.to_owned(), self.format.clone());
        let format = by_id(&self.format).unwrap_or_else(|| panic!("{}: no format {}", self.about, self.format));
        let mechanism = self.mechanism.clone().unwrap_or_else(|| format.mechanism.id().to_owned());
        compare("mechanism", reading.mechanism.id().to_owned(), mechanism);
        let (state, why) = match &reading.record {
            RecordState::None => ("none", None),
            RecordState::CutShort => ("cut short", None),
            RecordState::Malformed(why) => ("malformed", Some((*why).to_owned())),
            RecordState::Parsed(_) => ("record", None),
        };
        compare("state", state.to_owned(), self.state.clone());
        if self.why.is_some() {
            compare("why", format!("{why:?}"), format!("{:?}", self.why));
        }
        let none = Record::default();
        let record = reading.record().unwrap_or(&none);
        compare("pid", format!("{:?}", record.pid.map(lockscope::model::holder::Pid::get)), format!("{:?}", self.pid));
        compare("host", format!("{:?}", record.host.as_deref()), format!("{:?}", self.host));
        compare("pid_ns", format!("{:?}", record.pid_ns), format!("{:?}", self.pid_ns));
        compare("user", format!("{:?}", record.user.as_deref()), format!("{:?}", self.user));
        compare("command", format!("{:?}", record.command.as_deref()), format!("{:?}", self.command));
        compare("ticks", format!("{:?}", record.token.map(|token| token.ticks)), format!("{:?}", self.ticks));
        let boot = record.token.and_then(|token| token.boot_id).map(|boot| format!("{boot:032x}"));
        compare("boot_id", format!("{boot:?}"), format!("{:?}", self.boot_id));
        let started = record.started_at.map(lockscope::model::time::Wall::rfc3339);
        compare("started_at", format!("{started:?}"), format!("{:?}", self.started_at));
        let others: Vec<u32> = record.others.iter().map(|pid| pid.get()).collect();
        compare("others", format!("{others:?}"), format!("{:?}", self.others));
        let machine = record.machine_id.map(|id| format!("{id:032x}"));
        compare("machine_id", format!("{machine:?}"), format!("{:?}", self.machine_id));
        let boot = record.boot_id.map(|id| format!("{id:032x}"));
        compare("record_boot_id", format!("{boot:?}"), format!("{:?}", self.record_boot_id));
        compare("program", format!("{:?}", record.program.as_deref()), format!("{:?}", self.program));
        let booted = record.booted_at.map(lockscope::model::time::Wall::rfc3339);
        compare("booted_at", format!("{booted:?}"), format!("{:?}", self.booted_at));
        compare("lease_secs", format!("{:?}", record.lease.map(|l| l.as_secs_f64())), format!("{:?}", self.lease_secs));
        compare("detail", format!("{:?}", record.detail.as_deref()), format!("{:?}", self.detail));
        compare("precious", format!("{:?}", record.precious), format!("{:?}", self.precious));
        if self.state == "record" {
            compare("complete", record.complete.to_string(), self.complete.unwrap_or(true).to_string());
            compare("placeholder", record.placeholder.to_string(), self.placeholder.unwrap_or(false).to_string());
        }
        wrong
    }
}

fn cases() -> BTreeMap<String, Vec<Case>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/formats");
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let file: CaseFile = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        files.insert(path.file_stem().unwrap().to_string_lossy().into_owned(), file.case);
    }
    files
}

#[test]
fn every_case_is_read_as_it_says() {
    let mut failed = Vec::new();
    for (file, cases) in cases() {
        for case in cases {
            for wrong in case.check() {
                failed.push(format!("{file}.toml, {}: {wrong}", case.about));
            }
        }
    }
    assert!(failed.is_empty(), "{} differ:\n{}", failed.len(), failed.join("\n"));
}

/// The rows that would claim a file they are not asked about.
fn claimed_unasked(file: &Candidate<'_>) -> Vec<&'static str> {
    let unasked = FORMATS.iter().filter(|format| !format.asked.admits(file));
    unasked.filter(|format| format.claims(file)).map(|format| format.id).collect()
}

#[test]
fn a_row_that_is_not_asked_would_not_have_claimed_the_file() {
    let kinds = [FileKind::Regular, FileKind::Directory, FileKind::Symlink, FileKind::Fifo];
    let cases = cases();
    let firsts: BTreeSet<u8> = cases.values().flatten().filter_map(|case| case.bytes().first().copied()).collect();
    for case in cases.values().flatten() {
        case.with_file(|file| {
            let check = |file: &Candidate<'_>| assert_eq!(claimed_unasked(file), <[&str; 0]>::default(), "{file:?}");
            for kind in kinds {
                check(&Candidate { kind, ..*file });
                check(&Candidate { kind, bytes: b"", size: 0, ..*file });
            }
            // As another begins; and as it would be behind that.
            for first in &firsts {
                let behind = [&[*first], file.bytes].concat();
                let instead = [&[*first], file.bytes.get(1..).unwrap_or_default()].concat();
                for bytes in [behind, instead] {
                    check(&Candidate { bytes: &bytes, size: bytes.len() as u64, ..*file });
                }
            }
        });
    }
}

#[test]
fn the_runner_fails_where_a_case_is_wrong() {
    let wrong: CaseFile = toml::from_str(
        "[[case]]\nabout = 'wrong'\nname = 'x.pid'\ntext = \"12\\n\"\nformat = 'hand-pid'\nstate = 'record'\npid = 13\n",
    )
    .unwrap();
    assert_eq!(wrong.case[0].check(), ["pid: found Some(12), expected Some(13)"]);
    assert!(toml::from_str::<CaseFile>("[[case]]\nnonsense = 1\n").is_err());
}

#[test]
fn each_format_has_its_case_file_with_enough_cases() {
    let files = cases();
    for format in FORMATS.iter() {
        let Some(cases) = files.get(format.id) else { panic!("tests/cases/formats/{}.toml is missing", format.id) };
        let own = cases.iter().filter(|case| case.format == format.id).count();
        assert!(own >= 3, "{}: {own} cases of its own are too few", format.id);
        let cut = format.programs.iter().find(|program| program.len() > 15);
        assert!(cut.is_none(), "{}: the kernel cuts {cut:?} to 15 bytes", format.id);
    }
    let known: BTreeSet<&str> = FORMATS.iter().map(|format| format.id).collect();
    assert!(files.keys().all(|file| known.contains(file.as_str())), "a case file that is no format's: {files:?}");
}

#[test]
fn what_is_known_of_databases_systems_backups_builds_and_mail_is_in_the_catalogue() {
    const IDS: &str = "pg-postmaster pg-socket mysql-socket mariadb mongod clickhouse lucene hdfs leveldb sqlite h2 \
        prometheus sshd docker containers-storage minikube snapd-lock snapd-hint dpkg rpm dnf4 zypp pacman shadow lckpwdf \
        uucp puppet-run puppet-disabled chef terraform borg1-excl borg1-roster borg2 restic rclone-old rclone-new unison \
        syncthing kopia nix qemu cargo uv proper-lockfile yarn1 bundler gradle maven bazel r-00lock flock1 lockfile1 \
        dotlockfile dovecot mbox-dotlock gnupg hand-pid";
    let missing: Vec<&str> = IDS.split_whitespace().filter(|id| by_id(id).is_none()).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn each_row_is_well_formed() {
    let mut ids = BTreeSet::new();
    for format in FORMATS.iter() {
        for id in std::iter::once(&format.id).chain(format.also) {
            // What a tool leaves beside its lock has the lock's id: told apart by whether it is one.
            assert!(ids.insert((*id, format.standing == Standing::Lock)), "{id} is there twice");
        }
        assert!(!format.title.is_empty() && !format.looks.is_empty(), "{}", format.id);
        assert!(format.programs.iter().all(|comm| comm.len() <= 15), "{}: the kernel cuts names at 15", format.id);
        let bad = format.names.iter().find(|name| name_glob(name).is_none());
        assert!(bad.is_none(), "{}: {bad:?} is no glob", format.id);
        let beats = matches!(format.mechanism, Mechanism::Heartbeat | Mechanism::Directory);
        assert!(beats || format.heartbeat.is_none(), "{}", format.id);
        let sentences = [format.stale_rule, format.caution, format.unlocker, format.after_clearing];
        let bare = |text: &str| !text.is_empty() && !text.ends_with('.') && !text.contains('\n');
        assert!(sentences.into_iter().flatten().all(bare), "{}: no full stop, one line", format.id);
    }
}

#[test]
fn names_of_tools_are_listed_and_ordinary_names_only_by_their_content() {
    const HASH: &str = "f535fc64821d00ede6f55ef987a704c1b508d4f6749f1e02ad41e0954f81760f";
    let by = |directory: &str, name: &str| listed(directory.as_bytes(), name.as_bytes());
    for (directory, name) in [
        ("/home/ann/.cargo", ".package-cache"),
        ("/tmp", ".s.PGSQL.5432.lock"),
        ("/run/lock", "LCK..ttyS0"),
        ("/usr/lib/R/library", "00LOCK-ggplot2"),
        ("/srv/repo", "lock.exclusive"),
        ("/srv/repo", "lock.roster"),
        ("/srv/repo", ".terraform.tfstate.lock.info"),
        ("/srv/h2", "test.lock.db"),
        ("/home/ann/.config/kopia", "repository.config.mlock"),
        ("/var/lib/dpkg", "lock-frontend"),
        ("/var/lib/dpkg/triggers", "Lock"),
    ] {
        assert_eq!(by(directory, name), Listed::Yes, "{directory}/{name}");
    }
    for (directory, name) in [
        ("/var/lib/clickhouse", "status"),
        ("/srv", "a.db-journal"),
        ("/srv", "a.db-wal"),
        ("/srv/repo/locks", HASH),
        ("/home/ann/.unison", "lkcff3f2f26a7d3e9df9314881b03aad92"),
        ("/home/ann/.m2/repository/.locks", "3a5f0c"),
    ] {
        assert_eq!(by(directory, name), Listed::IfRecognised, "{directory}/{name}");
    }
    for (directory, name) in [
        ("/srv", "a.db"),
        ("/srv/repo/data", HASH),
        ("/srv/dpkg-mirror/triggers", "Lock"),
        ("/srv", "ibdata1"),
        ("/srv", "disk.qcow2"),
        ("/srv", "postmaster.pid.bak"),
    ] {
        assert_eq!(by(directory, name), Listed::No, "{directory}/{name}");
    }
}

/// The catalogue as `docs/FORMATS.md` shows it.
fn catalogue() -> String {
    let code = |words: &[&str]| words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    let mut text = String::from(
        "| id | title | mechanism | names | what it looks like | programs | the tool's own rule | mind | after clearing |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for format in FORMATS.iter() {
        let names = match format.names {
            [] => "any".to_owned(),
            names if names.len() > 12 => format!("{} and {} more", code(&names[..6]), names.len() - 6),
            names => code(names),
        };
        let also = if format.also.is_empty() { String::new() } else { format!("; also {}", code(format.also)) };
        let programs = if format.programs.is_empty() { "any".to_owned() } else { format.programs.join(", ") };
        let unlocker = format.unlocker.map(|command| format!("`{command}`"));
        let mind: Vec<String> = format.caution.map(str::to_owned).into_iter().chain(unlocker).collect();
        let cells = [
            format!("`{}`{also}", format.id),
            format.title.to_owned(),
            format.mechanism.id().to_owned(),
            names,
            format.looks.to_owned(),
            programs,
            format.stale_rule.unwrap_or("-").to_owned(),
            if mind.is_empty() { "-".to_owned() } else { mind.join("; ") },
            format.after_clearing.unwrap_or("-").to_owned(),
        ];
        let cells = cells.map(|cell| cell.replace('|', "\\|"));
        text = text + "| " + &cells.join(" | ") + " |\n";
    }
    text
}

/// `LOCKSCOPE_BLESS=1 cargo test --test formats` writes it.
#[test]
fn the_documentation_has_the_catalogue_row_by_row() {
    const MARKS: [&str; 2] = ["<!-- catalogue -->\n", "<!-- end of the catalogue -->\n"];
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/FORMATS.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(MARKS[0]).unwrap();
    let (written, after) = rest.split_once(MARKS[1]).unwrap();
    if std::env::var_os("LOCKSCOPE_BLESS").is_some() {
        std::fs::write(&path, [before, MARKS[0], &catalogue(), MARKS[1], after].concat()).unwrap();
        return;
    }
    assert!(written == catalogue(), "docs/FORMATS.md is not what the code says; LOCKSCOPE_BLESS=1 writes it");
}

fn any_kind() -> impl Strategy<Value = FileKind> {
    prop::sample::select(vec![
        FileKind::Regular,
        FileKind::Directory,
        FileKind::Symlink,
        FileKind::Fifo,
        FileKind::Socket,
        FileKind::Device,
    ])
}

/// What single formats are made of.
const PIECES: [&[u8]; 48] = [
    b"filelock/2\n",
    b"filelock-rw/1\n",
    b"filelock-strict-v1\n",
    b"1\nfilelock-strict-v1\0\n0\n",
    b"mode=lease\n",
    b"pid=",
    b"host=vm\n",
    b"duration=",
    b"lease=90.0\n",
    b"start=",
    b"generation=1\n",
    b"a873754f16ee4e749d6427a6c66f41b1",
    b"12345678901234567890123456789012",
    b"766d",
    b"?c3",
    b"?",
    b"|",
    b"^",
    b";",
    b"/",
    b".",
    b"-7ac2eb80.",
    b".-fceb7b80",
    b"{\"write\":{\"a\":{\"pid\":",
    b"\"read\":{\"b\":[{\"pid\":",
    b"}]}",
    b"\"cmd\":\"dvc\"",
    b"pid ",
    b"vm/effffffc:",
    b"alice@ws1.",
    b"\xef\x80\xa2",
    b"b0VIM 9.1\0\0",
    b"bcnVIM 0.1\0",
    b"\0\x10\0\0",
    b"3210\0\0\0\0",
    b"\0\0\0\0\x30\x31\x32\x33",
    b"U",
    b"Alice\\,,",
    b",21.11.2026 03:14,",
    b"file:///x;",
    b"{\"hostname\":",
    b"\"username\":\"alice\"}",
    b"127.0.0.1:+",
    b"192.0.2.10:",
    b"build-host-7-",
    b"\npython3.11\nvm\n",
    b"\ne371d1e9-e652-4a5f-8922-5e55eb270cca\n",
    b"SQLite format 3\0",
];

/// A name that fits one of the catalogue's globs, with its directory: `*` filled, the first of `{...}` and `[...]` taken.
fn from_glob(glob: &str, fill: &str) -> (String, String) {
    let mut path = String::from("/srv/");
    let mut letters = glob.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '*' if path.ends_with(fill) => {}
            '*' => path.push_str(fill),
            '\\' => path.extend(letters.next()),
            '[' => {
                let choices: String = letters.by_ref().take_while(|letter| *letter != ']').collect();
                path.extend(choices.chars().next());
            }
            '{' => {
                let choices: String = letters.by_ref().take_while(|letter| *letter != '}').collect();
                path.push_str(choices.split(',').next().unwrap_or_default());
            }
            plain => path.push(plain),
        }
    }
    let (directory, name) = path.rsplit_once('/').unwrap();
    (directory.to_owned(), name.to_owned())
}

/// A name and a directory: any at all, or such as a format claims.
fn any_place() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let globs: Vec<&str> = FORMATS.iter().flat_map(|format| format.names).copied().collect();
    prop_oneof![
        (prop::collection::vec(any::<u8>(), 0..40), prop::collection::vec(any::<u8>(), 0..40)),
        (prop::sample::select(globs), "[a-z0-9.-]{1,8}").prop_map(|(glob, fill)| {
            let (directory, name) = from_glob(glob, &fill);
            (directory.into_bytes(), name.into_bytes())
        }),
    ]
}

/// Bytes of the length of a fixed layout, noise with an id before it.
fn near_layouts() -> impl Strategy<Value = Vec<u8>> {
    let length = prop::sample::select(vec![11usize, 24, 161, 162, 165, 1015, 1016, 1100]);
    let noise = prop::collection::vec(prop_oneof![Just(0u8), any::<u8>()], 1100);
    (length, prop::sample::select(PIECES.to_vec()), noise, any::<bool>()).prop_map(|(length, id, mut noise, magic)| {
        noise[..id.len()].copy_from_slice(id);
        if magic {
            noise[1008..1012].copy_from_slice(b"3210");
        }
        noise.truncate(length);
        noise
    })
}

/// Names in a lock directory, or of a second link.
fn near_names() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<u32>().prop_map(|number| number.to_string()),
        prop::sample::select(vec![
            "vm",
            ".",
            "-",
            ".-fceb7b80",
            "-403c1b80.",
            "claims",
            "gen",
            "holders",
            "symlink",
            "x.7f0101.",
            ".LNK",
            "é",
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 1..6).prop_map(|pieces| pieces.concat())
}

/// Bytes that come close to a record, more often than chance would make them.
fn near_records() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        any::<u64>().prop_map(|number| number.to_string().into_bytes()),
        prop::sample::select(vec![
            &b"\n"[..],
            b"\r\n",
            b" ",
            b"\0",
            b"-",
            b"@",
            b":",
            b"{",
            b"}",
            b"\"pid\":",
            b"\"host\":\"vm\"",
            b",",
            b"vm",
            b"vm?pidns-f0000152",
            b"?pidns-",
            b"\"boot_id\":",
            b"\"start_token\":",
            b"\"pid_ns\":",
            b"DIRC",
            b"\xff",
            b"1e999",
            b"[",
            b"\xef\xbb\xbf",
            b"\"created\":",
            b"99999999999999999999",
        ])
        .prop_map(<[u8]>::to_vec),
        prop::sample::select(PIECES.to_vec()).prop_map(<[u8]>::to_vec),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// Names under which readers of exact names are asked, each with its place.
fn names_of_tools() -> impl Strategy<Value = (&'static [u8], &'static [u8])> {
    prop::sample::select(vec![
        (&b"/data"[..], &b"postmaster.pid"[..]),
        (b"/tmp", b".s.PGSQL.5432.lock"),
        (b"/run/mysqld", b"mysqld.sock.lock"),
        (b"/data", b"status"),
        (b"/data", b"in_use.lock"),
        (b"/data", b"a.db-journal"),
        (b"/data", b"a.db-shm"),
        (b"/data", b"test.lock.db"),
        (b"/var/lib/containers/storage", b"storage.lock"),
        (b"/var/lib/snapd/inhibit", b"firefox.lock"),
        (b"/var/lib/dpkg", b"lock"),
        (b"/etc", b"passwd.lock"),
        (b"/run/lock", b"LCK..ttyS0"),
        (b"/state", b"agent_disabled.lock"),
        (b"/repo", b".terraform.tfstate.lock.info"),
        (b"/repo", b"lock.exclusive"),
        (b"/repo", b"lock.roster"),
        (b"/repo/locks", b"f535fc64821d00ede6f55ef987a704c1b508d4f6749f1e02ad41e0954f81760f"),
        (b"/cache/rclone/bisync", b"a..b.lck"),
        (b"/nix/store", b"x.lock"),
        (b"/app/.gradle/8.0", b"fileHashes.lock"),
        (b"/app", b"bundler.lock"),
        (b"/lib", b"00LOCK-x"),
        (b"/home", b"pubring.kbx.lock"),
    ])
}

/// Pieces of the grammars of databases, backups, build tools and mail.
fn more_near_records() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        any::<u32>().prop_map(|number| number.to_string().into_bytes()),
        any::<u64>().prop_map(|number| number.to_le_bytes().to_vec()),
        any::<u32>().prop_map(|pid| format!("{pid:>10}\n").into_bytes()),
        prop::sample::select(vec![
            &b"\n"[..],
            b"\0",
            b"-",
            b"\n/data\n1795230341\n5432\n/tmp\n",
            b"PID: ",
            b"\nStarted at: 2026-11-21 03:14:15\nRevision: ",
            b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7",
            b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02\0\0\0\x10\0",
            b"method=socket\n",
            b"id=19aa3f1c2d80123456789abcdef0123456789abcdef\n",
            b"\x03F\x1c\x9ci:\x92\x00%\0\0\0\0\0\0\0\0",
            b"\x03\0\0\xc2\x96\0\0\0\0\0\0\0\0\0\x05",
            b"\xff\xff",
            b"pid=",
            b"owner=client\n",
            b"{\"exclusive\": [",
            b"[\"vm@1\", ",
            b", 0]",
            b"], \"shared\": []}",
            b"{\"Session\":\"s\",\"TimeExpires\":\"t\",\"PID\":\"",
            b"{\"exclusive\":true,\"hostid\":\"vm@1\",\"threadid\":0,\"time\":\"\",\"processid\":",
            b"{\"time\":1e300,\"exclusive\":false,\"hostname\":\"vm\",\"pid\":",
            b"{\"ID\":\"1\",\"Who\":\"a@b@c\",\"Created\":-1}",
            b"\"}",
            b"}",
            b":mail1",
            b"@",
            b"d",
            b"refresh",
        ])
        .prop_map(<[u8]>::to_vec),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn anything_under_a_name_of_a_tool_gives_a_reading(
        (directory, name) in names_of_tools(),
        kind in any_kind(),
        bytes in prop_oneof![prop::collection::vec(any::<u8>(), 0..80), near_records(), more_near_records()],
        size in prop_oneof![4 => Just(None), 1 => any::<u64>().prop_map(Some)],
        children in prop::collection::vec("[a-z@.-]{0,8}[0-9]{0,11}[-.]{0,2}[0-9a-f]{0,3}", 0..4),
        mode in any::<u16>(),
    ) {
        let children: Vec<Box<[u8]>> = children.into_iter().map(|name| name.into_bytes().into()).collect();
        let size = size.unwrap_or(bytes.len() as u64);
        let file = Candidate { size, mode, children: &children, ..Candidate::plain(name, directory, kind, &bytes) };
        let reading = recognise(&file);
        prop_assert!(by_id(reading.format.id).is_some());
        prop_assert_eq!(claimed_unasked(&file), <[&str; 0]>::default());
        if let Some(record) = reading.record() {
            let mut pids = record.pid.iter().chain(&record.others);
            prop_assert!(pids.all(|pid| (1..=i32::MAX as u32).contains(&pid.get())));
        }
        if matches!(kind, FileKind::Fifo | FileKind::Socket | FileKind::Device) {
            prop_assert!(reading.record().is_none());
        }
    }

    #[test]
    fn any_file_gives_a_reading(
        (directory, name) in any_place(),
        kind in any_kind(),
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..300), near_records(), more_near_records(), near_layouts()
        ],
        children in prop::collection::vec(near_names(), 0..4),
        linked_name in prop::option::of(near_names()),
        size in prop_oneof![Just(None), any::<u64>().prop_map(Some)],
        known_key in any::<bool>(),
    ) {
        let size = size.unwrap_or(bytes.len() as u64);
        let children: Vec<Box<[u8]>> = children.into_iter().map(|name| name.into_bytes().into()).collect();
        let file = Candidate {
            size,
            known_key,
            links: 1 + u32::from(linked_name.is_some()),
            children: &children,
            linked_name: linked_name.as_deref().map(str::as_bytes),
            ..Candidate::plain(&name, &directory, kind, &bytes)
        };
        let reading = recognise(&file);
        prop_assert!(by_id(reading.format.id).is_some());
        prop_assert_eq!(&reading, &recognise(&file), "the same file reads the same");
        prop_assert_eq!(claimed_unasked(&file), <[&str; 0]>::default());
        for pid in reading.record().into_iter().flat_map(|record| record.pid.iter().chain(&record.others)) {
            prop_assert!((1..=i32::MAX as u32).contains(&pid.get()));
        }
        if matches!(kind, FileKind::Fifo | FileKind::Socket | FileKind::Device) {
            prop_assert!(reading.record().is_none());
        }
    }

    #[test]
    fn every_glob_is_listed_by_a_name_that_fits_it(fill in "[a-z0-9][a-z0-9.-]{0,7}") {
        for format in FORMATS.iter() {
            for glob in format.names {
                let (directory, name) = from_glob(glob, &fill);
                let found = listed(directory.as_bytes(), name.as_bytes());
                prop_assert!(found != Listed::No, "{}: {directory}/{name} is not listed", format.id);
            }
        }
    }

    #[test]
    fn every_pid_in_range_is_read_back(pid in 1u32..=i32::MAX as u32, spaces in 0usize..6) {
        let text = format!("{}{pid}\n", " ".repeat(spaces));
        let reading = recognise(&Candidate::plain(b"x.pid", b"/run", FileKind::Regular, text.as_bytes()));
        prop_assert_eq!(reading.record().and_then(|record| record.pid).map(lockscope::model::holder::Pid::get), Some(pid));
    }
}
