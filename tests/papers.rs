//! Exports and incident bundles: what stands in them, what does not, and that nothing is ever written over.
#![cfg(target_os = "linux")]

mod support;

use lockscope::engine::export::{Form, Subject, evidence_text, journal_csv, table_csv, table_json};
use lockscope::engine::history::{History, LockHistory, Wait, Who};
use lockscope::engine::incident::{Incident, zipped};
use lockscope::engine::papers::{Job, Paper, Target};
use lockscope::engine::papers::{NotSaved, write};
use lockscope::engine::redact::{Include, Me};
use lockscope::engine::{Command as EngineCommand, Event, JournalLine};
use lockscope::model::facts::{OwnerState, ProcessRef, Users};
use lockscope::model::holder::{Pid, ProcessFacts, ProcessLook};
use lockscope::model::snapshot::{CHUNK, Lock, Problem, Snapshot};
use lockscope::model::time::{Wall, Zone};
use lockscope::platform::ReadBy;
use lockscope::platform::about::About;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use support::{DEAD, look_at, write as write_file};

fn line(path: &str, directory: &str, what: &str) -> JournalLine {
    JournalLine {
        id: "20261121T030000000000Z-1".into(),
        at: "2026-11-21T03:00:00.000Z".into(),
        what: what.into(),
        directory: directory.into(),
        path: path.into(),
        path_bytes: None,
        who: "ada@workstation PID 812".into(),
        verdict: "stale".into(),
        why: "Gone.".into(),
        outcome: "cleared".into(),
        undoable: true,
        kept_no_more: None,
    }
}

fn cells(csv: &str) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(csv.as_bytes());
    reader.records().map(|row| row.expect("a row").iter().map(str::to_owned).collect()).collect()
}

fn all(snapshot: &Snapshot) -> Vec<&Arc<Lock>> {
    snapshot.locks().collect()
}

/// Another picture with these locks.
fn with_locks(snapshot: &Snapshot, locks: Vec<Lock>) -> Snapshot {
    let locks: Vec<_> = locks.into_iter().map(|lock| Some(Arc::new(lock))).collect();
    Snapshot { chunks: locks.chunks(CHUNK).map(|chunk| Arc::new(chunk.to_vec())).collect(), ..snapshot.clone() }
}

#[test]
fn no_name_becomes_a_formula_and_each_can_be_had_back_to_the_byte() {
    let directory = tempfile::tempdir().expect("a directory");
    let names: [&[u8]; 9] = [
        b"=cmd|' C calc'!A1.lock",
        b"+1.lock",
        b"-2.lock",
        b"@sum.lock",
        b"\ttab.lock",
        b"\rreturn.lock",
        "\u{ff1d}wide.lock".as_bytes(),
        b"two\nlines, \"quoted\".lock",
        b"bad\xff\xfe.lock",
    ];
    for name in names {
        std::fs::write(directory.path().join(OsStr::from_bytes(name)), "").expect("written");
    }
    write_file(directory.path(), "plain.lock", "", 0);
    let snapshot = look_at(directory.path());
    let csv = table_csv(&snapshot, &all(&snapshot));
    assert!(csv.split('\n').all(|line| line.ends_with('\r') || line.is_empty()), "RFC 4180 ends lines with CRLF");
    let rows = cells(&csv);
    let at = |heading: &str| rows[0].iter().position(|cell| cell == heading).expect("a column");
    assert_eq!(rows.len(), names.len() + 2);
    let mut found: Vec<Vec<u8>> = Vec::new();
    for row in &rows[1..] {
        for cell in row {
            let first = cell.chars().next().unwrap_or('.');
            assert!(!"=+-@\t\r\u{ff1d}\u{ff0b}\u{ff0d}\u{ff20}".contains(first), "{cell:?} is a formula");
            assert!(!cell.contains(char::is_control), "{cell:?}");
        }
        let bytes = &row[at("path_bytes")];
        found.push(if bytes.is_empty() {
            row[at("path")].clone().into_bytes()
        } else {
            use base64::Engine as _;
            base64::prelude::BASE64_STANDARD.decode(bytes).expect("base64")
        });
    }
    found.sort();
    let mut expected: Vec<Vec<u8>> = names.iter().map(|name| name.to_vec()).chain([b"plain.lock".to_vec()]).collect();
    expected.sort();
    assert_eq!(found, expected);
    let plain = rows.iter().find(|row| row[at("path")] == "plain.lock").expect("listed");
    assert_eq!(plain[at("path_bytes")], "", "what is exact needs no second column");
}

#[test]
fn an_export_is_what_was_shown_in_its_order() {
    let directory = tempfile::tempdir().expect("a directory");
    for name in ["a.pid", "b.pid", "c.pid"] {
        write_file(directory.path(), name, format!("{DEAD}\n"), 3600);
    }
    let snapshot = Arc::new(look_at(directory.path()));
    let pick = |name: &str| support::lock(&snapshot, name);
    let subject = Subject::Table(Arc::clone(&snapshot), vec![pick("c.pid"), pick("a.pid")]);
    let json: serde_json::Value = serde_json::from_str(&subject.render(Form::Json, &Zone::UTC)).expect("JSON");
    let paths: Vec<_> = json["locks"].as_array().expect("a list").iter().map(|lock| lock["path"].clone()).collect();
    assert_eq!(paths, ["c.pid", "a.pid"]);
    assert_eq!((&json["schema"], &json["counts"]["stale"]), (&1.into(), &2.into()));
    let rows = cells(&subject.render(Form::Csv, &Zone::UTC));
    assert_eq!((rows[1][1].as_str(), rows[2][1].as_str(), rows.len()), ("c.pid", "a.pid", 3));
    let text = evidence_text(&snapshot, &[&pick("b.pid")], &Zone::fixed(60));
    for words in ["# b.pid", "**Stale** (strong): Owner PID", "## Evidence", "process table, certain", "+01:00"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let facts = Subject::Evidence(Arc::clone(&snapshot), vec![pick("b.pid"), pick("a.pid")]);
    let rows = cells(&facts.render(Form::Csv, &Zone::UTC));
    assert_eq!(rows[0], ["path", "path_bytes", "verdict", "fact", "weighs", "known", "source", "certainty", "at"]);
    let of = |name: &str| rows.iter().filter(|row| row[0] == name).count();
    assert_eq!((of("b.pid"), of("a.pid")), (pick("b.pid").checklist(&snapshot.moment()).len(), of("b.pid")));
    let gone = rows.iter().find(|row| row[6] == "process table").expect("that is looked at");
    assert_eq!((gone[2].as_str(), gone[5].as_str(), gone[7].as_str()), ("stale", "true", "certain"), "{gone:?}");
}

#[test]
fn the_journal_goes_into_a_table_too() {
    let evil = JournalLine { why: "=HYPERLINK(\"http://x\")".into(), ..line("@a.lock", "/locks", "clear") };
    let rows = cells(&journal_csv(&[&evil, &line("b.lock", "/locks", "undo")]));
    let headings = ["at", "what", "directory", "path", "path_bytes", "verdict", "outcome", "why", "who", "id"];
    assert_eq!(rows[0], headings);
    assert_eq!((rows[1][3].as_str(), rows[1][7].as_str()), ("'@a.lock", "'=HYPERLINK(\"http://x\")"));
    assert!(!rows[1][4].is_empty() && rows[2][4].is_empty());
    let journal = Arc::new(vec![evil, line("b.lock", "/locks", "undo")]);
    let shown = Subject::Journal(journal, vec![1]).render(Form::Json, &Zone::UTC);
    let json: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(json["entries"].as_array().map(Vec::len), Some(1));
    assert_eq!(json["entries"][0]["what"], "undo");
}

#[test]
fn nothing_is_written_over_unless_that_was_agreed_and_then_whole() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("table.csv");
    write(&path, b"first", ReadBy::Everybody, false).expect("written");
    assert_eq!(write(&path, b"second", ReadBy::Everybody, false), Err(NotSaved::Exists(path.clone())));
    assert_eq!(std::fs::read(&path).expect("readable"), b"first");
    write(&path, b"second", ReadBy::Everybody, true).expect("agreed");
    assert_eq!(std::fs::read(&path).expect("readable"), b"second");
    let missing = write(&directory.path().join("no/table.csv"), b"", ReadBy::Owner, false);
    assert_eq!(missing, Err(NotSaved::NoFolder(directory.path().join("no"))));
    assert_eq!(std::fs::read_dir(directory.path()).expect("readable").count(), 1, "nothing else is left");
}

/// What a bundle may tell nobody.
struct Secrets {
    home: String,
    user: String,
    host: String,
    argument: String,
}

fn process(pid: u64, secrets: &Secrets) -> ProcessFacts {
    ProcessFacts {
        pid: Pid::new(pid).expect("a PID"),
        start_ticks: Some(5),
        started_at: Wall::from_parts(1_795_000_000, 0),
        uids: Some([1000; 4]),
        user: Some(secrets.user.as_str().into()),
        comm: "python3".into(),
        command: format!(
            "/home/{}/venv/bin/python3 train.py --token={} {}",
            secrets.home, secrets.argument, secrets.argument
        )
        .into(),
        kernel_thread: false,
        inner_pid: None,
        same_time_ns: Some(true),
    }
}

/// A picture with the secrets at every place that evidence has, some of them from real files.
fn incident(secrets: &Secrets, include: Include) -> (Incident, tempfile::TempDir) {
    let Secrets { home, user, host, argument } = secrets;
    let directory = tempfile::tempdir().expect("a directory");
    let command = format!("/home/{home}/bin/job --password {argument}");
    let json = serde_json::json!({"pid": DEAD, "hostname": host, "user": user, "command": command});
    write_file(directory.path(), "record.lock", json.to_string(), 7200);
    write_file(
        directory.path(),
        "garbage.lock",
        format!("what {user} did on {host} with {argument} in /home/{home}/x"),
        7200,
    );
    write_file(directory.path(), "list_all.lock", format!("{{\"pid\": {DEAD}, \"argv\": [\"{argument}\"]}}"), 7200);
    std::os::unix::fs::symlink(format!("{user}@{host}.{DEAD}:1790000000"), directory.path().join(".#notes.txt"))
        .expect("a link");
    write_file(directory.path(), "held.lock", "", 60);
    let seen = look_at(directory.path());
    let someone = |pid| ProcessRef { pid: Pid::new(pid).expect("a PID"), facts: Some(Arc::new(process(pid, secrets))) };
    let locks = seen.locks().map(|lock| {
        let mut lock = Lock::clone(lock);
        if &*lock.path == OsStr::new("held.lock") {
            lock.facts.change(|seen| {
                seen.users = Users::Looked { open: vec![someone(71)], works: Some(someone(72)), unseen: 0 };
                seen.leases = [someone(73)].into();
                seen.split_holders = vec![someone(74)];
                seen.kernel = Some(Box::new(lockscope::model::facts::KernelState {
                    kind: Some(lockscope::model::kernel::LockKind::Flock),
                    holders: vec![someone(75)],
                    waiters: vec![someone(76)],
                    ..Default::default()
                }));
                seen.owner = OwnerState::Looked(Arc::new(ProcessLook::Running(Box::new(process(77, secrets)))));
            });
        }
        lock
    });
    let locks: Vec<Lock> = locks.collect();
    let mut snapshot = with_locks(&seen, locks);
    let moment_owner = snapshot.clone();
    let rejudged = snapshot.locks().map(|lock| {
        let mut lock = Lock::clone(lock);
        lock.rejudge(&moment_owner.moment());
        // Below a directory of somebody's.
        if &*lock.path == OsStr::new("record.lock") {
            lock.path = OsStr::new(&format!("{user}/record.lock")).into();
        }
        lock
    });
    snapshot = with_locks(&snapshot, rejudged.collect());
    snapshot.directory = Path::new(&format!("/home/{home}/project/locks")).into();
    snapshot.problems = Arc::new([Problem {
        path: PathBuf::from(format!("/home/{home}/project/closed")),
        error: format!("/home/{home}/project/closed: not for {user}"),
    }]);
    let mut sight = (*snapshot.sight).clone();
    sight.host = host.as_str().into();
    snapshot.sight = Arc::new(sight);
    let entry = JournalLine {
        who: format!("{user}@{host} PID 12"),
        why: format!(
            "Owner PID 9 is gone: no such process (/home/{home}/run {argument}). Untouched for 1 h, stale after 10 min."
        ),
        outcome: format!("kept in /home/{home}/.local/state/lockscope/quarantine/1 for {user}"),
        path_bytes: None,
        ..line("sub/old.lock", &format!("/home/{home}/project/locks"), "clear")
    };
    let mut history = History::new(Arc::clone(&snapshot.directory));
    let who = Who { pid: Some(71), incarnation: None, command: user.as_str().into() };
    let mut past = LockHistory::of(OsStr::new(&format!("{user}/record.lock")).into());
    past.waits.push(Wait { who, from: Wall::from_parts(1_795_000_000, 0), since: false, till: None, got: false });
    history.put(past);
    let incident = Incident {
        snapshot: Arc::new(snapshot),
        journal: Arc::new(vec![entry, line("x", "/somewhere/else", "clear")]),
        include,
        zone: Zone::fixed(60),
        history: Some(Arc::new(history)),
    };
    (incident, directory)
}

fn unzipped(bytes: &[u8]) -> BTreeMap<String, String> {
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(bytes)).expect("a zip file");
    (0..zip.len())
        .map(|at| {
            let mut file = zip.by_index(at).expect("a member");
            assert_eq!(file.unix_mode().map(|mode| mode & 0o777), Some(0o600));
            let mut text = String::new();
            file.read_to_string(&mut text).expect("text");
            (file.name().expect("a name").into_owned(), text)
        })
        .collect()
}

fn bundle(incident: &Incident, me: &Me) -> BTreeMap<String, String> {
    unzipped(
        &zipped(&incident.members(&About::default(), me), incident.snapshot.moment().now, &incident.zone)
            .expect("made"),
    )
}

fn ada() -> Secrets {
    Secrets {
        home: "ada.lovelace".into(),
        user: "ada".into(),
        host: "analytical.example.org".into(),
        argument: "s3cr3t-token".into(),
    }
}

#[test]
fn a_bundle_tells_what_a_ticket_needs_and_of_nobody() {
    let (incident, _directory) = incident(&ada(), Include::default());
    let files = bundle(&incident, &Me { home: Some("/home/ada.lovelace".into()), user: Some("ada".into()) });
    for name in
        ["README.txt", "summary.txt", "status.json", "status.csv", "journal.json", "machine.json", "history.json"]
    {
        assert!(files.contains_key(name), "{name}");
    }
    assert!(files.keys().filter(|name| name.starts_with("evidence/")).count() >= 4);
    let (summary, status) = (&files["summary.txt"], &files["status.json"]);
    assert!(summary.starts_with("Lock files in ~/project/locks\non host-1, "), "{summary}");
    assert!(summary.contains("held.lock") && summary.contains("python3 (PID 75)"), "{summary}");
    assert!(summary.contains("~/project/closed: not for user-1"), "the problems: {summary}");
    let json: serde_json::Value = serde_json::from_str(status).expect("JSON");
    assert_eq!((&json["directory"], &json["host"]), (&"~/project/locks".into(), &"host-1".into()));
    let locks = json["locks"].as_array().expect("a list");
    let record = locks.iter().find(|lock| lock["path"] == "user-1/record.lock").expect("listed, its name kept");
    assert_eq!(record["owner"]["command"], "job (2 arguments)");
    assert_eq!((&record["owner"]["user"], &record["owner"]["host"]), (&"user-1".into(), &"host-1".into()));
    let held = locks.iter().find(|lock| lock["path"] == "held.lock").expect("listed");
    assert_eq!(held["holder"]["command"], "python3 (3 arguments)");
    let past: serde_json::Value = serde_json::from_str(&files["history.json"]).expect("JSON");
    assert_eq!(past["locks"][0]["path"], "user-1/record.lock");
    assert_eq!(
        (&past["locks"][0]["waits"][0]["pid"], &past["locks"][0]["waits"][0]["command"]),
        (&71.into(), &"user-1".into())
    );
    let journal: serde_json::Value = serde_json::from_str(&files["journal.json"]).expect("JSON");
    assert_eq!(journal["entries"].as_array().map(Vec::len), Some(1), "other directories' entries stay away");
    assert_eq!(
        journal["entries"][0]["why"],
        "Owner PID 9 is gone: no such process (run). Untouched for 1 h, stale after 10 min."
    );
    assert_eq!(journal["entries"][0]["who"], "user-1@host-1 PID 12");
    let garbage = files.iter().find(|(name, _)| name.contains("garbage.lock")).expect("evidence").1;
    assert!(garbage.contains("    xxxx user-1 xxx xx host-1 xxxx"), "{garbage}");
    assert!(files["README.txt"].contains("the names of locks"), "{}", files["README.txt"]);
}

#[test]
fn what_is_asked_for_is_in_it() {
    let secrets = ada();
    let (whole, _directory) = incident(&secrets, Include { arguments: true, names: true });
    let told: String = bundle(&whole, &Me::default()).into_values().collect();
    for secret in [&secrets.home, &secrets.user, &secrets.host, &secrets.argument] {
        assert!(told.contains(secret.as_str()), "{secret}");
    }
    let (names, _directory) = incident(&secrets, Include { arguments: false, names: true });
    let told: String = bundle(&names, &Me::default()).into_values().collect();
    assert!(told.contains(&secrets.host) && !told.contains(&secrets.argument));
    let (arguments, _directory) = incident(&secrets, Include { arguments: true, names: false });
    let told: String = bundle(&arguments, &Me::default()).into_values().collect();
    assert!(told.contains(&secrets.argument) && !told.contains(&secrets.host) && !told.contains(&secrets.home));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever people, computers and arguments are called, nothing in the unzipped bundle has it.
    #[test]
    fn no_secret_leaves(
        home in "[a-z][a-zA-Z0-9._ü-]{5,14}[a-z]",
        user in "[a-z_][a-z0-9_-]{5,14}",
        host in "[a-z][a-z0-9-]{5,14}[a-z](\\.[a-z]{3,8}){0,2}",
        argument in "[A-Za-z0-9+/=%!#~ß-]{2,8}[a-z][A-Za-z0-9+/=%!~ß-]{4,20}",
    ) {
        let secrets = Secrets { home, user, host, argument };
        let (incident, _directory) = incident(&secrets, Include::default());
        let files = bundle(&incident, &Me::default());
        for (name, text) in files {
            for secret in [&secrets.home, &secrets.user, &secrets.host, &secrets.argument] {
                prop_assert!(!text.contains(secret.as_str()), "{secret:?} stands in {name}: {text}");
                prop_assert!(!name.contains(secret.as_str()), "{secret:?} stands in the name {name}");
            }
        }
    }
}

struct Desk {
    base: tempfile::TempDir,
}

impl Desk {
    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_lockscope"))
            .args(arguments)
            .current_dir(self.base.path().join("locks"))
            .env("LOCKSCOPE_STATE_DIR", self.base.path().join("state"))
            .env("LOCKSCOPE_CONFIG_DIR", self.base.path().join("config"))
            .env("TZ", "UTC-5:30")
            .env_remove("USER")
            .env_remove("LOGNAME")
            .env_remove("USERNAME")
            .output()
            .expect("the program runs")
    }
}

fn desk() -> Desk {
    let desk = Desk { base: tempfile::tempdir().expect("a directory") };
    std::fs::create_dir(desk.base.path().join("locks")).expect("made");
    write_file(&desk.base.path().join("locks"), "a.pid", format!("{DEAD}\n"), 3600);
    desk
}

#[test]
fn the_command_line_saves_a_bundle_and_never_over_a_file() {
    let desk = desk();
    let saved = desk.run(&["report", ".", "--output", "../ticket.zip"]);
    assert_eq!(saved.status.code(), Some(0), "{}", String::from_utf8_lossy(&saved.stderr));
    let path = desk.base.path().join("ticket.zip");
    let bytes = std::fs::read(&path).expect("saved");
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&path).expect("there"));
    assert_eq!(mode & 0o777, 0o600);
    let files = unzipped(&bytes);
    assert!(files["summary.txt"].contains("1 stale") && files["summary.txt"].contains("+05:30"), "{files:?}");
    let again = desk.run(&["report", ".", "--output", "../ticket.zip"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("is there already; nothing was written"));
    assert_eq!(std::fs::read(&path).expect("there"), bytes);
    assert_eq!(desk.run(&["report", "missing"]).status.code(), Some(3));
    assert_eq!(desk.run(&["report", ".", "--output", "missing/x.zip"]).status.code(), Some(3));
    assert_eq!(desk.run(&["report"]).status.code(), Some(0), "without --output it has a name of its own");
    let own = std::fs::read_dir(desk.base.path().join("locks")).expect("readable");
    let named = own.filter_map(Result::ok).any(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.starts_with("lockscope-incident-") && Path::new(&name).extension() == Some(OsStr::new("zip"))
    });
    assert!(named);
}

#[test]
fn the_command_line_prints_csv_and_the_journal_names_the_user() {
    let desk = desk();
    let table = desk.run(&["status", "--csv"]);
    let rows = cells(&String::from_utf8(table.stdout).expect("text"));
    assert_eq!((rows.len(), rows[1][0].as_str(), rows[1][1].as_str()), (2, "stale", "a.pid"));
    assert_eq!(desk.run(&["clear", "--stale", "--yes"]).status.code(), Some(0));
    let log = desk.run(&["log", "--csv"]);
    let rows = cells(&String::from_utf8(log.stdout).expect("text"));
    let me = lockscope::platform::this_machine();
    let user = me.user_name(me.host().uid).expect("this user has a name");
    assert!(rows[1][8].starts_with(&format!("{user}@")), "{:?}", rows[1]);
}

#[test]
fn the_shape_is_that_of_the_command_line() {
    let desk = desk();
    let printed: serde_json::Value =
        serde_json::from_slice(&desk.run(&["status", "--json"]).stdout).expect("one JSON object");
    let snapshot = look_at(&desk.base.path().join("locks"));
    let ours: serde_json::Value = serde_json::from_str(&table_json(&snapshot, &all(&snapshot))).expect("JSON");
    let keys =
        |value: &serde_json::Value| -> Vec<String> { value.as_object().expect("an object").keys().cloned().collect() };
    assert_eq!(keys(&printed), keys(&ours));
    assert_eq!(keys(&printed["locks"][0]), keys(&ours["locks"][0]));
}

/// An engine on a directory with one stale lock, which it has cleared; and the id of that entry.
fn cleared() -> (tempfile::TempDir, tempfile::TempDir, support::Watched, String) {
    let (locks, state) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    write_file(locks.path(), "a.pid", format!("{DEAD}\n"), 3600);
    let watched = support::Watched::start(locks.path(), state.path(), lockscope::engine::settings::Settings::default());
    let snapshot = watched.engine.snapshot().expect("shown");
    let seen = vec![support::lock(&snapshot, "a.pid")];
    watched.engine.send(EngineCommand::Clear { directory: Arc::clone(&snapshot.directory), seen });
    let id = loop {
        if let Event::Cleared { outcomes, .. } = watched.event() {
            break outcomes[0].result.clone().expect("cleared");
        }
    };
    (locks, state, watched, id)
}

fn can_undo(watched: &support::Watched, id: &str) -> Result<(), String> {
    watched.engine.send(EngineCommand::AskUndo(id.to_owned()));
    loop {
        if let Event::UndoAsked(asked, can) = watched.event() {
            assert_eq!(asked, id);
            return can;
        }
    }
}

#[test]
fn whether_it_can_be_put_back_is_told_without_a_change() {
    let (locks, state, watched, id) = cleared();
    assert_eq!(can_undo(&watched, &id), Ok(()));
    assert!(!locks.path().join("a.pid").exists(), "asking puts nothing back");
    write_file(locks.path(), "a.pid", "4711\n", 0);
    let taken = can_undo(&watched, &id).expect_err("its place is taken");
    assert!(taken.contains("a new lock is there now"), "{taken}");
    std::fs::remove_file(locks.path().join("a.pid")).expect("removed");
    let journal = lockscope::lock::workplace(support::machine(), &state.path().join("state")).journal();
    let kept = journal.find(&id).expect("readable").and_then(|entry| entry.quarantine).expect("kept");
    let aside = state.path().join("aside");
    std::fs::rename(&kept, &aside).expect("moved");
    let gone = can_undo(&watched, &id).expect_err("what was kept is gone");
    assert!(gone.contains("what was kept is gone"), "{gone}");
    std::fs::rename(&aside, &kept).expect("moved back");
    assert_eq!(can_undo(&watched, &id), Ok(()));
    assert_eq!(journal.read().expect("readable").len(), 1, "asking leaves no entry");
    watched.engine.send(EngineCommand::Undo { ids: vec![id.clone()] });
    while !matches!(watched.event(), Event::Undone { .. }) {}
    assert!(locks.path().join("a.pid").exists());
    let done = can_undo(&watched, &id).expect_err("undone");
    assert!(done.contains("put back already"), "{done}");
    let entry = journal.find(&id).expect("readable").expect("there");
    assert_eq!(JournalLine::from(entry).kept_no_more, Some("It was put back already."));
}

#[test]
fn the_engine_writes_previews_and_copies() {
    let (locks, state, watched, _) = cleared();
    write_file(locks.path(), "b.pid", format!("{DEAD}\n"), 3600);
    watched.until_verdict("b.pid", "stale");
    let snapshot = watched.engine.snapshot().expect("shown");
    let ask = |paper: Paper, target: Target| {
        watched.engine.send(EngineCommand::Write(Box::new(Job { paper, target })));
        loop {
            if let event @ (Event::Saved(_) | Event::Copied(_) | Event::Previewed(_)) = watched.event() {
                return event;
            }
        }
    };
    let table = || Paper::Export { subject: Subject::All(Arc::clone(&snapshot)), form: Form::Csv, zone: Zone::UTC };
    let path = state.path().join("locks.csv");
    let file = |replace| Target::File { path: path.clone(), replace };
    let Event::Saved(Ok((saved, length))) = ask(table(), file(false)) else { panic!("it is saved") };
    let text = std::fs::read_to_string(&path).expect("readable");
    assert_eq!((saved, length, cells(&text).len()), (path.clone(), text.len() as u64, 2));
    assert_eq!(ask(table(), file(false)), Event::Saved(Err(NotSaved::Exists(path.clone()))));
    assert_eq!(ask(table(), Target::Clipboard), Event::Copied(text));
    watched.engine.send(EngineCommand::ReadJournal);
    let incident = || {
        Paper::Incident(Incident {
            snapshot: Arc::clone(&snapshot),
            journal: Arc::new(vec![line("a.pid", &snapshot.directory.to_string_lossy(), "clear")]),
            include: Include::default(),
            zone: Zone::UTC,
            history: None,
        })
    };
    let Event::Previewed(contents) = ask(incident(), Target::Preview) else { panic!("it is previewed") };
    assert_eq!((contents.locks, contents.evidence, contents.entries), ((1, 0), (1, 0), (1, 0)));
    assert_eq!(ask(incident(), file(true)), Event::Saved(Err(NotSaved::Exists(path))), "a bundle replaces nothing");
    let path = state.path().join("x.zip");
    let Event::Saved(Ok(_)) = ask(incident(), Target::File { path: path.clone(), replace: false }) else {
        panic!("it is saved")
    };
    assert!(unzipped(&std::fs::read(path).expect("there")).contains_key("evidence/001-b.pid.md"));
}
