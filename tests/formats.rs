//! The formats: each case file under `tests/cases/formats/` against the parser, anything at all against the parser, and
//! `docs/FORMATS.md` against the catalogue.
#![allow(clippy::unwrap_used)] // a test fails by panicking

use lockscope::model::facts::FileKind;
use lockscope::model::format::{Candidate, FORMATS, Reading, Record, RecordState, by_id, recognise};
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
        let bytes = self.bytes();
        let size = self.size.unwrap_or(bytes.len() as u64);
        let read = &bytes[..bytes.len().min(64 * 1024)];
        recognise(&Candidate {
            name: self.name.as_bytes(),
            directory: self.directory.as_bytes(),
            kind: kind(&self.kind),
            size,
            bytes: read,
            known_key: self.known_key,
        })
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
    for format in FORMATS {
        let Some(cases) = files.get(format.id) else { panic!("tests/cases/formats/{}.toml is missing", format.id) };
        let own = cases.iter().filter(|case| case.format == format.id).count();
        assert!(own >= 3, "{}: {own} cases of its own are too few", format.id);
    }
    let known: BTreeSet<&str> = FORMATS.iter().map(|format| format.id).collect();
    assert!(files.keys().all(|file| known.contains(file.as_str())), "a case file that is no format's: {files:?}");
}

#[test]
fn the_documentation_has_the_catalogue_row_by_row() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/FORMATS.md")).unwrap();
    let written: Vec<Vec<&str>> = text
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split('|').take(5).map(|cell| cell.trim().trim_matches('`')).collect())
        .collect();
    let expected: Vec<Vec<String>> = FORMATS
        .iter()
        .map(|format| {
            let programs = if format.programs.is_empty() { "any".to_owned() } else { format.programs.join(", ") };
            let after = format.after_clearing.unwrap_or("-").to_owned();
            vec![format.id.to_owned(), format.title.to_owned(), format.mechanism.id().to_owned(), programs, after]
        })
        .collect();
    assert_eq!(written, expected, "docs/FORMATS.md and model::format::FORMATS differ");
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
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_file_gives_a_reading(
        name in prop::collection::vec(any::<u8>(), 0..40),
        directory in prop::collection::vec(any::<u8>(), 0..40),
        kind in any_kind(),
        bytes in prop_oneof![prop::collection::vec(any::<u8>(), 0..300), near_records()],
        size in prop_oneof![Just(None), any::<u64>().prop_map(Some)],
        known_key in any::<bool>(),
    ) {
        let size = size.unwrap_or(bytes.len() as u64);
        let file = Candidate { name: &name, directory: &directory, kind, size, bytes: &bytes, known_key };
        let reading = recognise(&file);
        prop_assert!(by_id(reading.format.id).is_some());
        prop_assert_eq!(&reading, &recognise(&file), "the same file reads the same");
        if let Some(pid) = reading.record().and_then(|record| record.pid) {
            prop_assert!((1..=i32::MAX as u32).contains(&pid.get()));
        }
        if matches!(kind, FileKind::Fifo | FileKind::Socket | FileKind::Device) {
            prop_assert!(reading.record().is_none());
        }
    }

    #[test]
    fn every_pid_in_range_is_read_back(pid in 1u32..=i32::MAX as u32, spaces in 0usize..6) {
        let text = format!("{}{pid}\n", " ".repeat(spaces));
        let reading = recognise(&Candidate {
            name: b"x.pid",
            directory: b"/run",
            kind: FileKind::Regular,
            size: text.len() as u64,
            bytes: text.as_bytes(),
            known_key: false,
        });
        prop_assert_eq!(reading.record().and_then(|record| record.pid).map(lockscope::model::holder::Pid::get), Some(pid));
    }
}
