//! The incident bundle: what a ticket about stuck locks needs, in one zip file that may be given to strangers.
//!
//! Owns: which files are in it, and how large they may become. Never: writes it to a disk ([`super::papers`] does), and never
//! puts anything in that did not go through [`super::redact`].

use super::export::{counts, evidence_text, journal_json, one_line, pretty, table_csv, table_json};
use super::history::History;
use super::redact::{Include, Me, Redaction};
use super::{JournalLine, past};
use crate::model::snapshot::{Lock, LostReason, PollingReason, Snapshot, Watching};
use crate::model::time::{Wall, Zone, say_duration};
use crate::model::verdict::Verdict;
use crate::platform::about::About;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;

/// So many locks are told in full at most; those that are not idle come first.
const MOST_LOCKS: usize = 5_000;
/// So many have a file of their own with their evidence.
const MOST_EVIDENCE: usize = 200;
/// So many entries of the journal go along, the newest.
const MOST_ENTRIES: usize = 2_000;

/// All that a bundle is made of.
#[derive(Clone, Debug)]
pub struct Incident {
    /// The picture.
    pub snapshot: Arc<Snapshot>,
    /// The journal, oldest first; only what is about the picture's directory goes in.
    pub journal: Arc<Vec<JournalLine>>,
    /// What is asked to be shown as it is.
    pub include: Include,
    /// How times are said.
    pub zone: Zone,
    /// What was seen of the directory's locks over time, where that is kept.
    pub history: Option<Arc<History>>,
}

/// What will be in it, before it is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Locks in the tables, and how many are left out.
    pub locks: (usize, usize),
    /// Files of evidence, and how many are left out.
    pub evidence: (usize, usize),
    /// Entries of the journal, and how many are left out.
    pub entries: (usize, usize),
    /// Users, hosts and homes that are replaced.
    pub replaced: (usize, usize, usize),
    /// The history goes along.
    pub history: bool,
    /// The directory as the bundle names it.
    pub directory: String,
    /// A command line that is seen here, and how the bundle tells it.
    pub example: Option<(String, String)>,
}

/// One file in it.
pub type Member = (String, Vec<u8>);

impl Incident {
    /// Its name: `lockscope-incident-2026-11-21-140321.zip`.
    pub fn file_name(&self) -> String {
        format!("lockscope-incident-{}.zip", self.zone.file_stamp(self.snapshot.taken_at))
    }

    /// The locks in the order in which they matter, cut off where there are too many; and how many there are.
    fn locks(&self) -> (Vec<&Arc<Lock>>, usize) {
        let mut locks: Vec<&Arc<Lock>> = self.snapshot.locks().collect();
        let total = locks.len();
        locks.sort_by(|a, b| (is_dull(a), &a.path).cmp(&(is_dull(b), &b.path)));
        locks.truncate(MOST_LOCKS);
        (locks, total)
    }

    /// The entries of this directory, oldest first; and how many there are.
    fn entries(&self) -> (Vec<&JournalLine>, usize) {
        let directory = self.snapshot.directory.to_string_lossy();
        let here: Vec<&JournalLine> = self.journal.iter().filter(|line| line.is_in(&directory)).collect();
        let total = here.len();
        (here[total.saturating_sub(MOST_ENTRIES)..].to_vec(), total)
    }

    /// What will be in it.
    pub fn contents(&self, me: &Me) -> Contents {
        let (locks, total) = self.locks();
        let (entries, all_entries) = self.entries();
        let redaction = Redaction::of(&self.snapshot, &entries, me, self.include);
        let telling = locks.iter().filter(|lock| !is_dull(lock)).count();
        let seen = locks.iter().find_map(|lock| {
            let process = lock.holder().map(|(holder, _)| holder).or_else(|| lock.owner_process())?;
            let command = process.facts?.command.to_string();
            command.contains(' ').then_some(command)
        });
        Contents {
            locks: (locks.len(), total - locks.len()),
            evidence: (telling.min(MOST_EVIDENCE), telling.saturating_sub(MOST_EVIDENCE)),
            entries: (entries.len(), all_entries - entries.len()),
            replaced: redaction.counts(),
            history: self.history.as_ref().is_some_and(|history| !history.is_empty()),
            directory: redaction.snapshot(&self.snapshot, &[]).directory.to_string_lossy().into_owned(),
            example: seen.map(|command| {
                let told = redaction.command(&command);
                (command, told)
            }),
        }
    }

    /// All its files, redacted.
    pub fn members(&self, about: &About, me: &Me) -> Vec<Member> {
        let (mut locks, total) = self.locks();
        let (entries, all_entries) = self.entries();
        let redaction = Redaction::of(&self.snapshot, &entries, me, self.include);
        let left_out = total - locks.len();
        locks.sort_by(|a, b| a.path.cmp(&b.path));
        let shown = redaction.snapshot(&self.snapshot, &locks);
        let locks: Vec<&Arc<Lock>> = shown.locks().collect();
        let lines: Vec<JournalLine> = entries.iter().map(|line| redaction.journal_line(line)).collect();
        let telling: Vec<&Arc<Lock>> = locks.iter().filter(|lock| !is_dull(lock)).copied().collect();

        let mut members = vec![
            ("summary.txt".to_owned(), self.summary(&shown, &telling, &locks)),
            ("status.json".to_owned(), table_json(&shown, &locks)),
            ("status.csv".to_owned(), table_csv(&shown, &locks)),
            ("journal.json".to_owned(), journal_json(&lines.iter().collect::<Vec<_>>())),
            ("machine.json".to_owned(), self.machine(&shown, about, &redaction)),
        ];
        if let Some(past) = self.history.as_ref().and_then(|history| past::told(history, &redaction)) {
            members.push(("history.json".to_owned(), past));
        }
        for (at, lock) in telling.iter().take(MOST_EVIDENCE).enumerate() {
            let name = format!("evidence/{:03}-{}.md", at + 1, plain_name(&lock.display_path()));
            members.push((name, evidence_text(&shown, &[lock], &self.zone)));
        }
        let left = Left {
            locks: left_out,
            evidence: telling.len().saturating_sub(MOST_EVIDENCE),
            entries: all_entries - lines.len(),
        };
        members.insert(0, ("README.txt".to_owned(), self.readme(&shown, &members, &left, redaction.counts())));
        members.into_iter().map(|(name, text)| (name, text.into_bytes())).collect()
    }

    fn summary(&self, shown: &Snapshot, telling: &[&Arc<Lock>], locks: &[&Arc<Lock>]) -> String {
        let at = shown.moment();
        let said: Vec<String> = counts(locks)
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(verdict, count)| format!("{count} {}", verdict.title().to_lowercase()))
            .collect();
        let mut text = String::new();
        // Into a text; that cannot fail.
        let _ = writeln!(text, "Lock files in {}", one_line(&shown.directory.to_string_lossy()));
        let _ = writeln!(text, "on {}, {}", one_line(&shown.sight.host), self.zone.stamp(shown.taken_at));
        let stale_after = say_duration(shown.threshold);
        let none = if said.is_empty() { "no lock files".to_owned() } else { said.join(", ") };
        let _ = writeln!(text, "{none}; a dead owner's lock counts as stale after {stale_after}\n");
        if telling.is_empty() {
            let _ = writeln!(text, "Nothing is held or stuck.");
        }
        for lock in telling {
            let name = one_line(&lock.display_path());
            let _ = writeln!(text, "{}: {name}", lock.judgement.verdict.title());
            let _ = writeln!(text, "    {}", one_line(&lock.why(&at)));
        }
        let unseen = unseen(shown);
        if !unseen.is_empty() || !shown.problems.is_empty() {
            let _ = writeln!(text, "\nWhat could not be seen:");
        }
        for line in unseen {
            let _ = writeln!(text, "- {line}");
        }
        for problem in shown.problems.iter() {
            let path = problem.path.to_string_lossy();
            let _ = writeln!(text, "- {}: {}", one_line(&path), one_line(&problem.error));
        }
        text
    }

    fn machine(&self, shown: &Snapshot, about: &About, redaction: &Redaction) -> String {
        let sight = &shown.sight;
        let limits: serde_json::Map<String, serde_json::Value> =
            about.limits.iter().map(|(name, limit)| ((*name).to_owned(), (*limit).into())).collect();
        pretty(&serde_json::json!({
            "lockscope": env!("CARGO_PKG_VERSION"),
            "system": about.system,
            "kernel": about.kernel,
            "processor": about.processor,
            "host": sight.host,
            "up_for_secs": about.up_for.as_secs(),
            "clock": {
                "taken_at": shown.taken_at.rfc3339(),
                "local": self.zone.rfc3339(shown.taken_at),
                "stepped_secs_since_boot": sight.clock_step.map(|step| step.as_secs_f64()),
            },
            "directory": {
                "path": shown.directory.to_string_lossy(),
                "file_system": sight.fs.name,
                "network": sight.fs.network,
                "shows_kernel_locks": sight.fs.shows_locks,
                "watching": redaction.text(&watching(&shown.watching)),
            },
            "sight": {
                "kernel_lock_table": sight.kernel_table,
                "first_pid_namespace": sight.host_pid_ns,
                "hidden_processes": sight.hidden_processes,
                "as_root": sight.uid == 0,
                "processes": sight.processes,
                "processes_that_hide_their_open_files": sight.processes_denied,
                "could_not_be_seen": unseen(shown),
            },
            "inotify_limits": limits,
        }))
    }

    fn readme(
        &self, shown: &Snapshot, members: &[(String, String)], left: &Left,
        (users, hosts, homes): (usize, usize, usize),
    ) -> String {
        let mut text = format!(
            "Lockscope incident bundle, made {}\n\n\
             Start with summary.txt: one sentence for each lock that is held, stuck or unclear.\n\n",
            self.zone.stamp(shown.taken_at)
        );
        for (name, what) in [
            ("summary.txt", "what is held or stuck, and why, in sentences"),
            ("status.json", "all locks with their evidence, as `lockscope status --json` prints them"),
            ("status.csv", "the same as a table, without the evidence"),
            (
                "journal.json",
                "what was cleared, refused and undone in this folder, as `lockscope log --json` prints it",
            ),
            ("machine.json", "system, clock, file system, and what could not be seen from there"),
        ] {
            let _ = writeln!(text, "{name:<14} {what}");
        }
        if members.iter().any(|(name, _)| name == "history.json") {
            let _ = writeln!(
                text,
                "{:<14} who held which lock when, and who waited, as far as it was watched",
                "history.json"
            );
        }
        let evidence = members.iter().filter(|(name, _)| name.starts_with("evidence/")).count();
        let _ = writeln!(
            text,
            "{:<14} the evidence of each lock that is not idle, to read ({evidence} files)",
            "evidence/"
        );
        let _ = writeln!(text, "\nTimes in JSON and CSV are UTC; in the texts they are local, with the offset.");
        for (count, what) in [
            (left.locks, "locks"),
            (left.evidence, "locks' files of evidence"),
            (left.entries, "older journal entries"),
        ] {
            if count > 0 {
                let _ = writeln!(text, "Left out, as there are too many: {count} {what}.");
            }
        }
        let _ = writeln!(text, "\nWhat was replaced");
        if self.include.names {
            let _ = writeln!(text, "- Nothing of home directories, users and hosts: they were asked for.");
        } else {
            let _ = writeln!(
                text,
                "- Home directories are ~ ({homes} known by name), users are user-1, user-2, … ({users}), hosts are \
                 host-1, … ({hosts}).\n  The same name is the same throughout. root stays root."
            );
        }
        if self.include.arguments {
            let _ = writeln!(text, "- Nothing of command lines and records: they were asked for.");
        } else {
            let _ = writeln!(
                text,
                "- Of command lines the program and the count of its arguments are left.\n\
                 - Of what stands in the lock files numbers are left, and words that every record has; the rest is x."
            );
        }
        let _ = writeln!(
            text,
            "- Kept as they are: the names of locks and of folders (but homes), PIDs, times, and the reasons that people \
             gave for\n  a force. Look at them before you pass this on.\n\
             - Never in it: environment variables, the content of other files."
        );
        text
    }
}

/// What did not fit.
struct Left {
    locks: usize,
    evidence: usize,
    entries: usize,
}

/// Nobody will ask about it.
fn is_dull(lock: &Lock) -> bool {
    matches!(lock.judgement.verdict, Verdict::Idle | Verdict::NotALock)
}

/// What was not to be seen, in sentences.
fn unseen(snapshot: &Snapshot) -> Vec<String> {
    let sight = &snapshot.sight;
    let mut unseen = Vec::new();
    let mut add = |so: bool, text: &str| unseen.extend(so.then(|| text.to_owned()));
    add(!sight.kernel_table, "The kernel's lock table cannot be read here.");
    add(!sight.host_pid_ns, "Processes outside of this container cannot be seen.");
    add(sight.hidden_processes, "The system hides other users' processes (hidepid).");
    add(sight.fs.network, "Other computers may hold locks on this file system; they cannot be seen.");
    add(!sight.fs.shows_locks, "Kernel locks on this file system do not show in this computer's lock table.");
    if sight.processes_denied > 0 {
        unseen
            .push(format!("{} of {} processes do not show their open files.", sight.processes_denied, sight.processes));
    }
    unseen
}

fn watching(watching: &Watching) -> String {
    match watching {
        Watching::Live => "by events".to_owned(),
        Watching::Loading(_) => "the first look was not over".to_owned(),
        Watching::Polling(PollingReason::OutOfWatches) => "by polling: no inotify watches were left".to_owned(),
        Watching::Polling(PollingReason::FileSystem(name)) => format!("by polling: {name} tells of no changes"),
        Watching::Polling(PollingReason::Failed(why)) => format!("by polling: {why}"),
        Watching::Lost(LostReason::Gone) => "lost: the directory is gone".to_owned(),
        Watching::Lost(LostReason::Denied) => "lost: the directory may not be read".to_owned(),
        Watching::Lost(LostReason::NotADirectory) => "lost: it is no directory".to_owned(),
        Watching::Lost(LostReason::NoAnswer) => "lost: the file system does not answer".to_owned(),
        Watching::Lost(LostReason::Failed(why)) => format!("lost: {why}"),
    }
}

/// A lock's name as part of a file's name that every system takes.
fn plain_name(path: &str) -> String {
    let name: String = path
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' })
        .take(60)
        .collect();
    name.trim_start_matches('.').to_owned()
}

/// The files as one zip. Their times are that of the picture, as the clock here said it, so that the same picture gives the
/// same bytes.
pub fn zipped(members: &[Member], at: Wall, zone: &Zone) -> Result<Vec<u8>, String> {
    use zip::write::{SimpleFileOptions, ZipWriter};
    let failed = |error: &dyn std::fmt::Display| format!("the zip file could not be made: {error}");
    let options =
        SimpleFileOptions::default().unix_permissions(0o600).last_modified_time(zip_time(&zone.file_stamp(at)));
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in members {
        zip.start_file(name.as_str(), options).map_err(|error| failed(&error))?;
        zip.write_all(bytes).map_err(|error| failed(&error))?;
    }
    Ok(zip.finish().map_err(|error| failed(&error))?.into_inner())
}

/// Of `2026-11-21-140321`; 1980, where zip's time begins, where it cannot say that one.
fn zip_time(stamp: &str) -> zip::DateTime {
    let number = |from: usize, to: usize| stamp.get(from..to)?.parse::<u16>().ok();
    let byte = |from: usize| number(from, from + 2).and_then(|number| u8::try_from(number).ok());
    let time = || {
        let (year, month, day) = (number(0, 4)?, byte(5)?, byte(8)?);
        zip::DateTime::from_date_and_time(year, month, day, byte(11)?, byte(13)?, byte(15)?).ok()
    };
    time().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_have_the_time_of_the_picture() {
        for (stamp, said) in [
            ("2026-11-21-140321", "2026-11-21 14:03:20"), // in steps of two seconds
            ("1969-12-31-235959", "1980-01-01 00:00:00"),
            ("@17", "1980-01-01 00:00:00"),
        ] {
            assert_eq!(zip_time(stamp).to_string(), said, "{stamp}");
        }
    }
}
