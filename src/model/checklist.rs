//! The evidence behind a verdict, fact by fact: where each comes from, when it was seen, how sure it is, and which way it
//! points.
//!
//! Owns: [`Fact`] and [`checklist`]. Never: decides, and never leaves out what could not be looked at.

use super::facts::{LockedRange, OwnerState, Trouble, Users};
use super::format::{RecordState, Standing};
use super::holder::ProcessLook;
use super::time::{Wall, say_duration};
use super::verdict::{Certainty, Evidence, Gone, Judgement, Verdict};

/// Which way a fact points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weighs {
    /// Somebody has it.
    Held,
    /// Nobody has it any more.
    Stale,
    /// Neither.
    Neither,
}

impl Weighs {
    /// The word that the JSON output uses.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Stale => "stale",
            Self::Neither => "neither",
        }
    }
}

/// One line of evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Where it comes from.
    pub source: &'static str,
    /// What was found, or why nothing could be.
    pub text: String,
    /// `false` = could not look.
    pub known: bool,
    /// What a person can do to see more, where something could not be looked at.
    pub to_see_more: Option<&'static str>,
    /// Which way it points.
    pub weighs: Weighs,
    /// How sure it is; `None` for what could not be looked at.
    pub certainty: Option<Certainty>,
    /// When it was looked at.
    pub at: Wall,
}

/// Whether a fact speaks for the verdict, against it, or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bearing {
    /// Speaks for it.
    Supports,
    /// Speaks against it.
    Contradicts,
    /// Says nothing either way.
    Neutral,
    /// Could not be looked at.
    CouldNotLook,
}

impl Fact {
    /// How the fact bears on a verdict.
    pub fn bearing(&self, verdict: Verdict) -> Bearing {
        if !self.known {
            return Bearing::CouldNotLook;
        }
        let held = verdict == Verdict::Held;
        let free = matches!(
            verdict,
            Verdict::Stale | Verdict::Orphaned | Verdict::Suspect | Verdict::Idle | Verdict::Interrupted
        );
        match self.weighs {
            Weighs::Held if held => Bearing::Supports,
            Weighs::Stale if free => Bearing::Supports,
            Weighs::Held if free => Bearing::Contradicts,
            Weighs::Stale if held => Bearing::Contradicts,
            _ => Bearing::Neutral,
        }
    }
}

/// The checklist as it grows.
struct List {
    facts: Vec<Fact>,
    at: Wall,
}

impl List {
    fn add(&mut self, source: &'static str, weighs: Weighs, certainty: Certainty, text: impl Into<String>) {
        let (text, certainty) = (text.into(), Some(certainty));
        self.facts.push(Fact { source, text, known: true, to_see_more: None, weighs, certainty, at: self.at });
    }

    fn could_not_look(&mut self, source: &'static str, text: impl Into<String>, to_see_more: &'static str) {
        let (text, to_see_more) = (text.into(), Some(to_see_more).filter(|said| !said.is_empty()));
        let weighs = Weighs::Neither;
        self.facts.push(Fact { source, text, known: false, to_see_more, weighs, certainty: None, at: self.at });
    }
}

// What to do to see more.
const AS_OWNER: &str = "Run Lockscope as the file's owner or as root.";
const AS_ROOT: &str = "Run Lockscope as root.";
const CHECK_MOUNT: &str = "Check its server or its mount. It is looked at again by itself.";
const OWN_PATTERN: &str =
    "Read the record yourself. A pattern of your own in the settings can say where the PID stands.";
const WHERE_IT_WAS_MADE: &str = "Look from the computer or the container that made it.";
const WHERE_IT_IS_KEPT: &str = "Look from the computer that has the disk, outside containers.";
const ON_LINUX: &str = "Linux shows it, where /proc is mounted.";

const RECORD: &str = "record";
const PROCESS_TABLE: &str = "process table";
const KERNEL_TABLE: &str = "kernel lock table";
const OPEN_FILES: &str = "open files";
const FILE_TIMES: &str = "file times";

use Certainty::{Certain, Likely, Strong};

/// The evidence as a checklist, in the order in which it decides.
pub fn checklist(evidence: &Evidence<'_>, judgement: &Judgement) -> Vec<Fact> {
    let mut list = List { facts: Vec::new(), at: evidence.looked_at };
    record_facts(evidence, &mut list);
    owner_facts(evidence, judgement, &mut list);
    kernel_facts(evidence, judgement, &mut list);
    danger_facts(evidence, &mut list);
    user_facts(evidence, &mut list);
    beat_facts(evidence, &mut list);
    time_facts(evidence, judgement, &mut list);
    match evidence.facts.trouble() {
        Some(Trouble::Denied) => list.could_not_look("file", "The file may not be read: permission denied", AS_OWNER),
        Some(Trouble::NoAnswer) => list.could_not_look("file", "The file system did not answer", CHECK_MOUNT),
        Some(Trouble::Failed(why)) => list.could_not_look("file", format!("The file could not be read: {why}"), ""),
        None => {}
    }
    list.facts
}

fn record_facts(evidence: &Evidence<'_>, list: &mut List) {
    let (facts, sight) = (evidence.facts, evidence.sight);
    let format = facts.reading().format;
    let mut neutral = |text: String| list.add(RECORD, Weighs::Neither, Certain, text);
    match &facts.reading().record {
        RecordState::None => neutral(match format.id {
            "git-lock" => "git's lock; it holds the next content and names no owner".to_owned(),
            "filelock-unix" => "Empty, as Python's filelock leaves it; only the kernel knows a holder".to_owned(),
            _ => format!("{}: names no owner", format.title),
        }),
        RecordState::CutShort => neutral("Empty or cut short: names no owner".into()),
        RecordState::Malformed(why) => list.could_not_look(RECORD, format!("Not understood: {why}"), OWN_PATTERN),
        RecordState::Parsed(record) => {
            let mut text = match record.pid {
                Some(pid) if facts.reading().mechanism.is_kernel() => {
                    format!("{} record names PID {pid}, its last taker; only the kernel knows a holder", format.title)
                }
                Some(pid) => format!("{} record names PID {pid}", format.title),
                None => format!("{} record names no process", format.title),
            };
            if let Some(host) = &record.host {
                text = format!("{text} on {host}");
            }
            neutral(text);
            if !record.others.is_empty() {
                let others: Vec<String> = record.others.iter().map(ToString::to_string).collect();
                neutral(format!("It names further owners: PID {}", others.join(", ")));
            }
            if let Some(user) = record.user.as_deref().filter(|_| record.pid.is_none()) {
                neutral(format!("It names the user {user}"));
            }
            if let Some(detail) = &record.detail {
                neutral(format!("It says: {detail}"));
            }
            if let Some(precious) = record.precious {
                neutral(format!("It holds {precious}"));
            }
            if super::verdict::elsewhere(record, sight) {
                neutral(format!("Written elsewhere: this host is {}", sight.host));
            } else if record.host.is_some() {
                neutral(format!("Written on this host, {}", sight.host));
            }
        }
    }
    if matches!(format.standing, Standing::Lock | Standing::Data)
        && let Some(rule) = format.stale_rule
    {
        list.add("its tool", Weighs::Neither, Certain, say_rule(rule));
    }
}

/// A tool's own rule as a sentence; the catalogue says "none" where it has none, and why.
fn say_rule(rule: &str) -> String {
    if let Some(why) = rule.strip_prefix("none is needed: ") {
        return format!("The tool's own rule: {why}");
    }
    match rule.strip_prefix("none: ") {
        Some(instead) => format!("The tool has no rule of its own: {instead}"),
        None => format!("The tool's own rule: {rule}"),
    }
}

fn owner_facts(evidence: &Evidence<'_>, judgement: &Judgement, list: &mut List) {
    let facts = evidence.facts;
    let Some(record) = facts.reading().record() else { return };
    let Some(pid) = record.pid else { return };
    let OwnerState::Looked(look) = facts.owner() else {
        let why = "a number from elsewhere means nothing here";
        list.could_not_look(PROCESS_TABLE, format!("PID {pid} was not looked for: {why}"), WHERE_IT_WAS_MADE);
        return;
    };
    // Of a kernel lock the record's process is the last taker at best: whether it lives says nothing.
    let says = |weighs| if facts.reading().mechanism.is_kernel() { Weighs::Neither } else { weighs };
    match look.as_ref() {
        ProcessLook::NoSuchProcess => {
            list.add(PROCESS_TABLE, says(Weighs::Stale), Certain, format!("PID {pid} does not exist on this computer"));
        }
        ProcessLook::Exited(_) => {
            let text = format!("PID {pid} has exited; only its parent has not taken note yet (zombie)");
            list.add(PROCESS_TABLE, says(Weighs::Stale), Certain, text);
        }
        ProcessLook::Hidden => {
            let text = format!("PID {pid} exists, but its details are hidden from us");
            list.add(PROCESS_TABLE, says(Weighs::Held), Certain, text);
        }
        ProcessLook::Unknown(why) => {
            list.could_not_look(PROCESS_TABLE, format!("PID {pid} could not be looked at: {why}"), AS_ROOT);
        }
        ProcessLook::Running(process) => {
            let since = evidence.now.since(process.started_at).unwrap_or_default();
            let user = process.user.as_ref().map_or_else(String::new, |user| format!(", user {user}"));
            let text = format!("PID {pid} is {}{user}, running for {}", process.name(), say_duration(since));
            let weighs = if judgement.gone.is_some() { Weighs::Neither } else { says(Weighs::Held) };
            list.add(PROCESS_TABLE, weighs, Certain, text);
            identity_facts(judgement, record.token.is_some(), says(Weighs::Held), list);
        }
    }
}

/// Whether the process that runs under the number is the one that wrote the record.
fn identity_facts(judgement: &Judgement, has_token: bool, held: Weighs, list: &mut List) {
    match judgement.gone {
        Some(Gone::OtherToken) if has_token => {
            let text = "Its start differs from the one in the record: the number was reused";
            list.add("start token", Weighs::Stale, Certain, text);
        }
        Some(Gone::OtherToken) => {
            list.add("boot", Weighs::Stale, Certain, "The record names an earlier boot: the number was reused");
        }
        Some(Gone::OtherUser) => {
            list.add("file owner", Weighs::Stale, Strong, "It runs as a user who cannot have made the file");
        }
        Some(Gone::StartedLater) => {
            list.add("start time", Weighs::Stale, Strong, "It started after the file was last touched");
        }
        Some(Gone::OlderThanBoot) => {
            list.add("boot", Weighs::Stale, Strong, "The lock is older than this boot: the number was reused");
        }
        _ if has_token && judgement.row == 12 => {
            list.add("start token", held, Certain, "Its start matches the one in the record");
        }
        _ if has_token => {
            let text = "Start tokens cannot be compared: this system does not tell them, or it counts time in another namespace";
            list.could_not_look("start token", text, "");
        }
        _ => {
            let text = "The record carries no start token; it started before the file was last touched";
            list.add("start time", held, Strong, text);
        }
    }
}

fn kernel_facts(evidence: &Evidence<'_>, judgement: &Judgement, list: &mut List) {
    let (facts, sight) = (evidence.facts, evidence.sight);
    for taker in facts.leases().iter().take(SHOWN) {
        let text = format!(
            "{} (PID {}) has a lease on it: no lock, but it is told before another program opens the file",
            taker.name(),
            taker.pid
        );
        list.add(KERNEL_TABLE, Weighs::Neither, Certain, text);
    }
    match facts.kernel() {
        Some(kernel) if kernel.is_granted() => {
            let kind = kernel.kinds();
            let certainty = if kernel.ambiguous { Likely } else { Certain };
            let holder = kernel.holders.first().map_or_else(
                || "a process that cannot be named".to_owned(),
                |p| format!("{} (PID {})", p.name(), p.pid),
            );
            let text = format!("A kernel lock ({kind}) is held by {holder}{}", say_ranges(&kernel.ranges));
            list.add(KERNEL_TABLE, Weighs::Held, certainty, text);
            for other in kernel.holders.iter().skip(1).take(SHOWN) {
                let text = format!("{} (PID {}) holds one too", other.name(), other.pid);
                list.add(KERNEL_TABLE, Weighs::Held, certainty, text);
            }
            let waiters = match kernel.waiters.len() {
                0 => None,
                1 => Some("1 process waits for it".to_owned()),
                more => Some(format!("{more} processes wait for it")),
            };
            if let Some(text) = waiters {
                list.add(KERNEL_TABLE, Weighs::Held, Certain, text);
            }
        }
        _ if !sight.kernel_table => {
            list.could_not_look(KERNEL_TABLE, "The kernel's lock table cannot be read here", ON_LINUX);
        }
        _ if sight.full_view() => {
            // Who holds an existence lock needs no kernel lock: then its absence says nothing.
            let held = judgement.verdict == Verdict::Held;
            let weighs = if held { Weighs::Neither } else { Weighs::Stale };
            list.add(KERNEL_TABLE, weighs, Certain, "No kernel lock on the file");
        }
        _ => {
            let place = if sight.host_pid_ns { format!("a {} mount", sight.fs.name) } else { "a container".to_owned() };
            let text = format!("No kernel lock is visible, but from {place} not all are");
            list.could_not_look(KERNEL_TABLE, text, WHERE_IT_IS_KEPT);
        }
    }
}

/// So many of a kind are listed one by one.
const SHOWN: usize = 8;

/// ", on bytes 1073741826 to 1073742335 (shared)"; nothing for one exclusive lock on the whole file.
fn say_ranges(ranges: &[LockedRange]) -> String {
    let say = |range: &LockedRange| {
        let bytes = match (range.is_whole(), range.end) {
            (true, _) => "the whole file".to_owned(),
            (false, None) => format!("bytes {} to the end", range.start),
            (false, Some(end)) if end == range.start => format!("byte {end}"),
            (false, Some(end)) => format!("bytes {} to {end}", range.start),
        };
        if range.exclusive { bytes } else { format!("{bytes} (shared)") }
    };
    match ranges {
        [] => String::new(),
        [only] if only.is_whole() && only.exclusive => String::new(),
        ranges => {
            let mut said: Vec<String> = ranges.iter().take(SHOWN).map(say).collect();
            if ranges.len() > SHOWN {
                said.push(format!("{} more", ranges.len() - SHOWN));
            }
            format!(", on {}", said.join(", "))
        }
    }
}

fn danger_facts(evidence: &Evidence<'_>, list: &mut List) {
    for holder in evidence.facts.split_holders().iter().take(SHOWN) {
        let text = format!(
            "{} (PID {}) holds a kernel lock on a deleted file of this name: two holders are possible",
            holder.name(),
            holder.pid
        );
        list.add("split lock", Weighs::Held, Certain, text);
    }
}

fn user_facts(evidence: &Evidence<'_>, list: &mut List) {
    let Users::Looked { open, works, unseen } = evidence.facts.users() else { return };
    if let Some(process) = open.first() {
        let more = if open.len() > 1 { format!(" and {} more", open.len() - 1) } else { String::new() };
        let text = format!("{} (PID {}){more} has it open", process.name(), process.pid);
        list.add(OPEN_FILES, Weighs::Held, Certain, text);
    }
    if let Some(process) = works {
        let text = format!("{} (PID {}) works in this place", process.name(), process.pid);
        list.add("working directories", Weighs::Held, Likely, text);
    }
    if open.is_empty() && works.is_none() && *unseen == 0 {
        let looked_at = evidence.sight.processes;
        let text = format!("Nobody has it open or works here ({looked_at} processes looked at)");
        list.add(OPEN_FILES, Weighs::Stale, Likely, text);
    }
    if *unseen > 0 {
        let more = if evidence.sight.kernel_table { "; root can see more" } else { "" };
        let text = format!("The open files of {unseen} processes could not be looked at{more}");
        list.could_not_look(OPEN_FILES, text, if evidence.sight.kernel_table { AS_ROOT } else { ON_LINUX });
    }
}

fn beat_facts(evidence: &Evidence<'_>, list: &mut List) {
    const BEAT: &str = "heartbeat";
    let Some(beat) = evidence.facts.beat() else { return };
    let every = format!("every {}", say_duration(beat.interval));
    match beat.unchanged_for {
        _ if beat.moved => list.add(BEAT, Weighs::Held, Strong, format!("Seen to move; due {every}")),
        Some(span) if span >= beat.interval * 2 => {
            let text = format!("Due {every}; watched for {} by our own clock, and it did not move", say_duration(span));
            list.add(BEAT, Weighs::Stale, Strong, text);
        }
        _ => list.add(BEAT, Weighs::Neither, Likely, format!("Due {every}; not watched for long enough yet")),
    }
}

fn time_facts(evidence: &Evidence<'_>, judgement: &Judgement, list: &mut List) {
    let facts = evidence.facts;
    let Some(stat) = facts.stat() else { return };
    if let Some(age) = evidence.age() {
        let runs = matches!(facts.owner(), OwnerState::Looked(look) if matches!(**look, ProcessLook::Running(_)));
        let mut text = format!("Untouched for {}", say_duration(age));
        // Of a lock whose holder or owner lives the threshold says nothing.
        if judgement.verdict != Verdict::Held && (!runs || judgement.gone.is_some()) {
            let threshold = say_duration(evidence.threshold);
            text = format!("{text}; a dead owner's lock counts as stale after {threshold}");
        }
        list.add(FILE_TIMES, Weighs::Neither, Strong, text);
    } else {
        let ahead = stat.modified.since(evidence.now).unwrap_or_default();
        let text = format!("Its modification time lies {} ahead; its age is not known", say_duration(ahead));
        list.could_not_look(FILE_TIMES, text, "");
    }
    // Nothing in userland sets ctime: where it lies ahead, a clock was wrong, the file system's or ours.
    if let Some(ahead) = stat.changed.since(evidence.now).filter(|ahead| *ahead > super::verdict::AHEAD) {
        let text = format!(
            "The file system's clock was {} ahead of this computer's when it was made; times prove nothing",
            say_duration(ahead)
        );
        list.could_not_look(FILE_TIMES, text, "");
    }
    if evidence.sight.fs.network {
        let text = format!("Its times are by the clock of another computer ({})", evidence.sight.fs.name);
        list.add(FILE_TIMES, Weighs::Neither, Likely, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tools_own_rule_is_a_sentence_also_where_there_is_none() {
        for (rule, said) in [
            ("removed after 5 min", "The tool's own rule: removed after 5 min"),
            ("none is needed: the kernel drops it", "The tool's own rule: the kernel drops it"),
            ("none: it asks the person", "The tool has no rule of its own: it asks the person"),
            ("none, unless it is asked with `-l`", "The tool's own rule: none, unless it is asked with `-l`"),
        ] {
            assert_eq!(say_rule(rule), said);
        }
    }
}
