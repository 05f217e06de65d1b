//! The decision table: each case file under `tests/cases/verdicts/` against `judge`, and each row has a case.
//!
//! A case starts from a plain world (a complete `hand-pid` record of PID 4711, an hour old, seen from the host as root)
//! and says only what is different.
#![allow(clippy::unwrap_used)] // a test fails by panicking

use lockscope::model::checklist::checklist;
use lockscope::model::facts::*;
use lockscope::model::format::{Candidate, Reading, Record, RecordState, by_id, recognise};
use lockscope::model::holder::{Pid, ProcessFacts, ProcessLook, StartToken};
use lockscope::model::kernel::LockKind;
use lockscope::model::sentence::why;
use lockscope::model::time::{Wall, parse_duration};
use lockscope::model::verdict::{Evidence, judge};
use proptest::prelude::*;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseFile {
    case: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    about: String,
    #[serde(default)]
    file: FileSays,
    /// The content, read by the real parser; or, for formats to come, `record`.
    text: Option<String>,
    name: Option<String>,
    directory: Option<String>,
    #[serde(default)]
    known_key: bool,
    record: Option<RecordSays>,
    owner: Option<OwnerSays>,
    kernel: Option<KernelSays>,
    users: Option<UsersSay>,
    beat: Option<BeatSays>,
    /// The PIDs that hold a lock on a deleted file of this name.
    #[serde(default)]
    split_holders: Vec<u64>,
    #[serde(default)]
    sight: SightSays,
    #[serde(default)]
    threshold: Option<String>,

    row: u8,
    verdict: String,
    certainty: Option<String>,
    liveness: String,
    why: String,
    /// What more must stand in the checklist.
    fact: Option<String>,
    /// What must not.
    no_fact: Option<String>,
    /// When time alone may change it, from now.
    due: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct FileSays {
    /// `file` unless said.
    kind: Option<String>,
    /// An hour unless said.
    age: Option<String>,
    /// Its time lies so far ahead.
    ahead: Option<String>,
    /// The inode changed this long ago; as the content unless said.
    changed: Option<String>,
    uid: Option<u32>,
    mount_root: bool,
    missing: bool,
    trouble: Option<String>,
    /// Seen by us for so long.
    seen_for: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RecordSays {
    format: String,
    /// `none`, `cut short`, `malformed`; else a record.
    state: Option<String>,
    pid: Option<u64>,
    host: Option<String>,
    pid_ns: Option<u64>,
    ticks: Option<u64>,
    boot_id: Option<String>,
    started_ago: Option<String>,
    placeholder: bool,
    /// The record's own word on the boot (not its token's): `ours` or another.
    own_boot_id: Option<String>,
    /// When its writer's machine was started, from now.
    booted_ago: Option<String>,
    /// `ours` or another.
    machine_id: Option<String>,
    program: Option<String>,
    precious: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct OwnerSays {
    /// `none` (no such process), `exited`, `running`, `hidden`, `unknown`, `not looked`.
    look: String,
    comm: Option<String>,
    uid: Option<u32>,
    user: Option<String>,
    started_ago: Option<String>,
    ticks: Option<u64>,
    kernel_thread: bool,
    /// The system tells neither its start in ticks nor its users.
    untold: bool,
    /// It lives in another time namespace: its ticks count from elsewhere.
    other_time_ns: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct KernelSays {
    /// No lock is granted, only waited for.
    waited_for_only: bool,
    holders: Vec<u64>,
    waiters: Vec<u64>,
    taken_by_exited: Option<u64>,
    ambiguous: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct UsersSay {
    open: Vec<u64>,
    works: Option<u64>,
    unseen: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BeatSays {
    interval: String,
    stale_after: String,
    #[serde(default)]
    moved: bool,
    unchanged_for: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SightSays {
    /// We are in a container.
    container: bool,
    hidden_processes: bool,
    network: bool,
    overlay: bool,
    no_kernel_table: bool,
    /// How far the clock was stepped; not at all unless said; `unknown`.
    clock_step: Option<String>,
}

/// The present.
const NOW: Wall = Wall(1_795_230_000_000_000_000);
/// The same on the monotonic clock: ten days after boot.
const MONOTONIC: Duration = Duration::from_hours(240);
const OUR_BOOT: u128 = 0xe371_d1e9_e652_4a5f_8922_5e55_eb27_0cca;
const OUR_MACHINE: u128 = 7;
const OUR_NS: u64 = 4_026_531_836;

fn span(text: &str) -> Duration {
    parse_duration(text).unwrap()
}

fn pid(number: u64) -> Pid {
    Pid::new(number).unwrap()
}

fn process(number: u64, says: &OwnerSays) -> ProcessFacts {
    let uid = says.uid.unwrap_or(1000);
    ProcessFacts {
        pid: pid(number),
        start_ticks: (!says.untold).then_some(says.ticks.unwrap_or(235_129)),
        started_at: NOW.minus(span(says.started_ago.as_deref().unwrap_or("2h"))),
        uids: (!says.untold).then_some([uid; 4]),
        user: says.user.as_deref().map(Into::into),
        comm: says.comm.as_deref().unwrap_or("python3").into(),
        command: "".into(),
        kernel_thread: says.kernel_thread,
        inner_pid: None,
        same_time_ns: Some(!says.other_time_ns),
    }
}

fn processes(numbers: &[u64]) -> Vec<ProcessRef> {
    numbers
        .iter()
        .map(|number| {
            let says = OwnerSays { comm: Some("git".into()), ..OwnerSays::default() };
            ProcessRef { pid: pid(*number), facts: Some(Arc::new(process(*number, &says))) }
        })
        .collect()
}

impl Case {
    fn kind(&self) -> FileKind {
        match self.file.kind.as_deref() {
            None => FileKind::Regular,
            Some("directory") => FileKind::Directory,
            Some("symlink") => FileKind::Symlink,
            Some("fifo") => FileKind::Fifo,
            Some("socket") => FileKind::Socket,
            Some("device") => FileKind::Device,
            Some(other) => panic!("{}: no kind {other}", self.about),
        }
    }

    fn reading(&self) -> Reading {
        let Some(says) = &self.record else {
            let text = self.text.as_deref().unwrap_or("4711\n");
            return recognise(&Candidate {
                known_key: self.known_key,
                ..Candidate::plain(
                    self.name.as_deref().unwrap_or("job.lock").as_bytes(),
                    self.directory.as_deref().unwrap_or("/srv/locks").as_bytes(),
                    self.kind(),
                    text.as_bytes(),
                )
            });
        };
        let format = by_id(&says.format).unwrap_or_else(|| panic!("{}: no format", self.about));
        let boot_id = says.boot_id.as_deref().map(|hex| if hex == "ours" { OUR_BOOT } else { 1 });
        let record = match says.state.as_deref() {
            Some("none") => RecordState::None,
            Some("cut short") => RecordState::CutShort,
            Some("malformed") => RecordState::Malformed("no known format"),
            Some(other) => panic!("{}: no state {other}", self.about),
            None => RecordState::Parsed(Box::new(Record {
                pid: says.pid.map(pid),
                host: says.host.as_deref().map(Into::into),
                pid_ns: says.pid_ns,
                token: says.ticks.map(|ticks| StartToken { boot_id, ticks }),
                started_at: says.started_ago.as_deref().map(|ago| NOW.minus(span(ago))),
                placeholder: says.placeholder,
                boot_id: says.own_boot_id.as_deref().map(|id| if id == "ours" { OUR_BOOT } else { 1 }),
                booted_at: says.booted_ago.as_deref().map(|ago| NOW.minus(span(ago))),
                machine_id: says.machine_id.as_deref().map(|id| if id == "ours" { OUR_MACHINE } else { 1 }),
                program: says.program.as_deref().map(Into::into),
                precious: says.precious.then_some("unsaved text: recover it with vim -r first"),
                complete: true,
                ..Record::default()
            })),
        };
        Reading { format, mechanism: format.mechanism, record }
    }

    fn facts(&self) -> Facts {
        let reading = self.reading();
        let file = &self.file;
        let age = span(file.age.as_deref().unwrap_or("1h"));
        let modified = file.ahead.as_deref().map_or_else(|| NOW.minus(age), |ahead| NOW.plus(span(ahead)));
        let changed = file.changed.as_deref().map_or(modified, |ago| NOW.minus(span(ago)));
        let stat = FileStat {
            kind: self.kind(),
            mode: 0o644,
            uid: file.uid.unwrap_or(1000),
            links: 1,
            size: 5,
            dev: 1,
            ino: 2,
            mount: 3,
            modified,
            changed,
            born: None,
            mount_root: file.mount_root,
        };
        let named = reading.record().and_then(|record| record.pid);
        let owner = match (named, &self.owner) {
            (None, _) => OwnerState::NotNamed,
            (Some(_), None) => OwnerState::Looked(Arc::new(ProcessLook::NoSuchProcess)),
            (Some(pid), Some(says)) => {
                let facts = Box::new(process(u64::from(pid.get()), says));
                match says.look.as_str() {
                    "none" => OwnerState::Looked(Arc::new(ProcessLook::NoSuchProcess)),
                    "exited" => OwnerState::Looked(Arc::new(ProcessLook::Exited(facts))),
                    "running" => OwnerState::Looked(Arc::new(ProcessLook::Running(facts))),
                    "hidden" => OwnerState::Looked(Arc::new(ProcessLook::Hidden)),
                    "unknown" => OwnerState::Looked(Arc::new(ProcessLook::Unknown("it did not answer".into()))),
                    "not looked" => OwnerState::NotLooked,
                    other => panic!("{}: no look {other}", self.about),
                }
            }
        };
        let kernel = self.kernel.as_ref().map(|says| {
            Box::new(KernelState {
                kind: (!says.waited_for_only).then_some(LockKind::Flock),
                holders: processes(&says.holders),
                taken_by: says.taken_by_exited.map(|number| Taker { pid: pid(number), exited: true }),
                ranges: Vec::new(),
                waiters: processes(&says.waiters),
                ambiguous: says.ambiguous,
            })
        });
        let users = self.users.as_ref().map_or(Users::NotLooked, |says| Users::Looked {
            open: processes(&says.open),
            works: says.works.and_then(|number| processes(&[number]).pop()),
            unseen: says.unseen,
        });
        let trouble = file.trouble.as_deref().map(|trouble| match trouble {
            "denied" => Trouble::Denied,
            "no answer" => Trouble::NoAnswer,
            other => Trouble::Failed(other.into()),
        });
        let beat = self.beat.as_ref().map(|says| Beat {
            interval: span(&says.interval),
            stale_after: span(&says.stale_after),
            moved: says.moved,
            unchanged_for: says.unchanged_for.as_deref().map(span),
        });
        Seen {
            stat: (!file.missing).then_some(stat),
            trouble,
            kernel_rule: reading.mechanism.is_kernel(),
            reading,
            content: 0,
            bytes: Box::default(),
            kernel,
            owner,
            users,
            beat,
            danger: (!self.split_holders.is_empty()).then_some(Danger::SplitLock),
            leases: Box::default(),
            split_holders: processes(&self.split_holders),
            first_seen: MONOTONIC.saturating_sub(span(file.seen_for.as_deref().unwrap_or("0s"))),
        }
        .into()
    }

    fn sight(&self) -> Sight {
        let says = &self.sight;
        let name = if says.network {
            "nfs4"
        } else if says.overlay {
            "overlay"
        } else {
            "ext4"
        };
        let step = says.clock_step.as_deref();
        Sight {
            host: "vm".into(),
            machine_id: Some(OUR_MACHINE),
            boot_id: Some(OUR_BOOT),
            boot_floor: Some(NOW.minus(MONOTONIC)),
            clock_step: if step == Some("unknown") { None } else { Some(step.map_or(Duration::ZERO, span)) },
            pid_ns: Some(OUR_NS),
            host_pid_ns: !says.container,
            hidden_processes: says.hidden_processes,
            uid: 0,
            fs: FileSystem { name: name.into(), network: says.network, shows_locks: !says.network && !says.overlay },
            kernel_table: !says.no_kernel_table,
            processes: 120,
            processes_denied: 0,
        }
    }

    fn check(&self) -> Vec<String> {
        let (facts, sight) = (self.facts(), self.sight());
        let evidence = Evidence {
            facts: &facts,
            sight: &sight,
            now: NOW,
            monotonic: MONOTONIC,
            threshold: span(self.threshold.as_deref().unwrap_or("10m")),
            looked_at: NOW,
        };
        let judgement = judge(&evidence);
        let mut wrong = Vec::new();
        let mut compare = |what: &str, found: String, expected: String| {
            if found != expected {
                wrong.push(format!("{what}: found {found}, expected {expected}"));
            }
        };
        compare("row", judgement.row.to_string(), self.row.to_string());
        compare("verdict", judgement.verdict.id().to_owned(), self.verdict.clone());
        let certainty = judgement.certainty.map(lockscope::model::verdict::Certainty::id);
        compare("certainty", format!("{certainty:?}"), format!("{:?}", self.certainty));
        compare("liveness", judgement.liveness.id().to_owned(), self.liveness.clone());
        compare("sentence", why(&evidence, &judgement), self.why.clone());
        let checklist = checklist(&evidence, &judgement);
        if let Some(fact) = &self.fact {
            let texts: Vec<_> = checklist.iter().map(|fact| fact.text.as_str()).collect();
            compare(
                "fact",
                format!("{:?}", texts.contains(&fact.as_str()).then_some(fact).ok_or(&texts)),
                format!("{:?}", Ok::<_, &Vec<&str>>(fact)),
            );
        }
        if let Some(no_fact) = &self.no_fact {
            let found = checklist.iter().map(|fact| fact.text.as_str()).find(|text| text.contains(no_fact));
            compare("no fact", format!("{found:?}"), "None".to_owned());
        }
        if let Some(due) = &self.due {
            let found = judgement.due.at().and_then(|due| due.since(NOW));
            compare("due", format!("{found:?}"), format!("{:?}", Some(span(due))));
        }
        wrong
    }
}

fn cases() -> Vec<(String, Case)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/verdicts");
    let mut all = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let file: CaseFile = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        all.extend(file.case.into_iter().map(|case| (name.clone(), case)));
    }
    all
}

#[test]
fn every_case_is_judged_as_it_says() {
    let failed: Vec<String> = cases()
        .iter()
        .flat_map(|(file, case)| case.check().into_iter().map(move |wrong| format!("{file}, {}: {wrong}", case.about)))
        .collect();
    assert!(failed.is_empty(), "{} differ:\n{}", failed.len(), failed.join("\n"));
}

/// Rows that are grounds, not ends: 13, 14, 15 and 19 lead to 20, 21 or 22.
const GROUNDS: [u8; 4] = [13, 14, 15, 19];

#[test]
fn each_row_has_a_case() {
    let seen: BTreeSet<u8> = cases().iter().map(|(_, case)| case.row).collect();
    let missing: Vec<u8> = (1..=29).filter(|row| !GROUNDS.contains(row) && !seen.contains(row)).collect();
    assert!(missing.is_empty(), "rows without a case: {missing:?}");
    assert!(seen.iter().all(|row| (1..=29).contains(row) && !GROUNDS.contains(row)));
    // The grounds are told by their sentences.
    for words in [
        "another process than the one that wrote this",
        "who cannot have made this file",
        "after the file was last touched",
        "no such process",
    ] {
        assert!(cases().iter().any(|(_, case)| case.row == 21 && case.why.contains(words)), "no case for: {words}");
    }
}

#[test]
fn the_runner_fails_where_a_case_is_wrong() {
    let text = "[[case]]\nabout = 'wrong'\nrow = 22\nverdict = 'stale'\ncertainty = 'strong'\nliveness = 'gone'\n\
                why = 'Owner PID 4711 is gone: no such process. Untouched for 1 h, stale after 10 min.'\n";
    let wrong: CaseFile = toml::from_str(text).unwrap();
    assert_eq!(wrong.case[0].check(), ["row: found 21, expected 22"]);
    assert!(toml::from_str::<CaseFile>("[[case]]\nnonsense = 1\n").is_err());
}

proptest! {
    /// Whatever else is so: a granted kernel lock, a container, or a running owner that nothing speaks against never
    /// become clearable; and no evidence makes `judge` panic.
    #[test]
    fn what_is_held_or_unseen_is_never_clearable(
        at in any::<prop::sample::Index>(), container in any::<bool>(), granted in any::<bool>(), age in 0u64..100_000,
        threshold in 0u64..2000, ahead in any::<bool>(),
    ) {
        use lockscope::model::verdict::Clearing;
        let mut cases = cases();
        let (_, mut case) = cases.swap_remove(at.index(cases.len()));
        case.sight.container |= container;
        if granted {
            case.kernel = Some(KernelSays { holders: vec![812], ..KernelSays::default() });
        }
        case.file.age = Some(format!("{age}s"));
        case.file.ahead = ahead.then(|| format!("{age}s"));
        let (facts, sight) = (case.facts(), case.sight());
        let threshold = Duration::from_secs(threshold);
        let evidence = Evidence { facts: &facts, sight: &sight, now: NOW, monotonic: MONOTONIC, threshold, looked_at: NOW };
        let judgement = judge(&evidence);
        let clearable = matches!(judgement.verdict.clearing(), Clearing::Bulk | Clearing::ByName);
        prop_assert!(!why(&evidence, &judgement).is_empty());
        prop_assert!(!checklist(&evidence, &judgement).is_empty() || facts.stat().is_none());
        if granted {
            prop_assert!(!clearable, "{:?}", judgement);
        }
        let names_ours = facts.reading().record().is_some_and(|record| record.pid_ns == Some(OUR_NS));
        if case.sight.container && !names_ours {
            prop_assert!(!clearable, "{:?}", judgement);
        }
        if judgement.verdict.clearing() == Clearing::Bulk && facts.beat().is_none() {
            prop_assert!(evidence.untouched() >= threshold);
        }
    }
}
