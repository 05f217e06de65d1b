//! Verdicts and evidence in words: one sentence that a tired operator understands, and the checklist behind it.
//!
//! Owns: every sentence about a lock, for window, command line and journal alike. Never: decides.

use super::facts::{FileKind, KernelState, OwnerState, ProcessRef, Trouble, Users};
use super::format::{Mechanism, RecordState};
use super::holder::{Pid, ProcessFacts, ProcessLook};
use super::time::say_duration;
use super::verdict::{Evidence, Gone, Judgement, Verdict};

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
    /// Which way it points.
    pub weighs: Weighs,
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

/// The sentence for one lock: what is so, and why, in the decision table's words.
pub fn why(evidence: &Evidence<'_>, judgement: &Judgement) -> String {
    let facts = evidence.facts;
    let sight = evidence.sight;
    let record = facts.reading.record();
    let owner_pid = record.and_then(|r| r.pid);
    let process = running(&facts.owner);
    match judgement.row {
        1 => "Lockscope was interrupted here while clearing; repair now to finish or put back.".into(),
        2 => not_a_lock(evidence),
        3 => match &facts.trouble {
            Some(Trouble::Denied) => "May not be read: permission denied.".into(),
            Some(Trouble::NoAnswer) => "The file system does not answer.".into(),
            Some(Trouble::Failed(why)) => format!("Could not be read: {why}."),
            None => "Could not be looked at.".into(),
        },
        4 => facts.kernel.as_ref().map_or_else(String::new, |kernel| kernel_hold(kernel)),
        5 if facts.stat.is_some_and(|stat| stat.kind == FileKind::Directory) => {
            "This is a directory, and no lock format that is known fits it.".into()
        }
        5 => match &facts.reading.record {
            RecordState::Malformed(why) => format!("The contents are not understood: {why}."),
            _ => "The contents are not understood.".into(),
        },
        6 => "Nobody holds it. The file is only a meeting point: it blocks nothing; leave it.".into(),
        7 if !sight.kernel_table => {
            "Locked through the kernel, if at all; who holds such locks cannot be seen here.".into()
        }
        7 => "Nobody here holds it, but holders on other machines or mounts cannot be seen.".into(),
        8 => format!(
            "Written {} ago; a program may be in the middle of locking.",
            say_duration(evidence.age().unwrap_or_default())
        ),
        9 => {
            let host = record.and_then(|r| r.host.as_deref());
            let place = match host {
                Some(host) if !host.eq_ignore_ascii_case(&sight.host) => host.to_owned(),
                _ => "another container or PID namespace".into(),
            };
            let pid = owner_pid.map_or_else(String::new, |pid| format!(" (PID {pid})"));
            format!("Made on {place}{pid}. Processes there cannot be checked from here.")
        }
        10 => "On a shared disk and without a host name: it may belong to another computer.".into(),
        11 => "Running in a sandbox: not all processes can be seen from here.".into(),
        12 => with_process(process, owner_pid, |p| {
            format!("{} (PID {}) holds it and is running: its start matches the record.", p.name(), p.pid)
        }),
        16 => with_process(process, owner_pid, |p| {
            format!(
                "PID {} ({}) seems younger than the file, but the computer's clock was changed; times prove nothing.",
                p.pid,
                p.name()
            )
        }),
        17 => with_process(process, owner_pid, |p| {
            format!(
                "PID {} is alive but is {}, not {}. The number may have been reused.",
                p.pid,
                p.name(),
                facts.reading.format.title
            )
        }),
        18 => with_process(process, owner_pid, |p| format!("{} (PID {}) is running and wrote this.", p.name(), p.pid)),
        20 => {
            let child = works(&facts.users);
            let child = child.map_or_else(|| "a child".to_owned(), |c| format!("{} (PID {})", c.name(), c.pid));
            format!("The writer is gone, but {child} still works here.")
        }
        21 => format!(
            "{} Untouched for {}, stale after {}.",
            owner_gone(evidence, judgement),
            say_duration(evidence.untouched()),
            say_duration(evidence.threshold)
        ),
        22 => format!(
            "{} It turns stale in {}.",
            owner_gone(evidence, judgement),
            say_duration(evidence.threshold.saturating_sub(evidence.untouched()))
        ),
        23 => format!("Refreshed {} ago by its owner.", say_duration(evidence.age().unwrap_or_default())),
        24 => {
            let beat = facts.beat.unwrap_or(NO_BEAT);
            format!(
                "Its owner refreshes it every {}; unchanged for {}.",
                say_duration(beat.interval),
                say_duration(evidence.untouched())
            )
        }
        25 => {
            let beat = facts.beat.unwrap_or(NO_BEAT);
            let late = evidence.untouched().saturating_sub(beat.stale_after);
            format!("Should have been refreshed {} ago; watching for the next beat.", say_duration(late))
        }
        26 => opener(&facts.users).map_or_else(String::new, |p| format!("{} (PID {}) has it open.", p.name(), p.pid)),
        27 => works(&facts.users).map_or_else(String::new, |p| {
            format!("{} (PID {}) runs in this repository, perhaps with an editor open.", p.name(), p.pid)
        }),
        28 => {
            let program = facts.reading.format.programs.first();
            let who = program.map_or("Nobody has it open".to_owned(), |p| format!("No {p} process works here"));
            format!("{who}, and nothing has changed for {}.", say_duration(evidence.untouched()))
        }
        _ => anything_else(evidence),
    }
}

const NO_BEAT: super::facts::Beat = super::facts::Beat {
    interval: std::time::Duration::ZERO,
    stale_after: std::time::Duration::ZERO,
    moved: false,
    unchanged_for: None,
};

fn not_a_lock(evidence: &Evidence<'_>) -> String {
    let facts = evidence.facts;
    match &facts.stat {
        Some(stat) if stat.mount_root => "This is a mount point, not a lock.".into(),
        Some(stat) if matches!(stat.kind, FileKind::Fifo | FileKind::Socket | FileKind::Device) => {
            format!("This is a {}, not a lock file; it was not opened.", stat.kind.name())
        }
        Some(stat) if stat.kind == FileKind::Symlink => {
            "This is a symbolic link that no lock format fits; it was not followed.".into()
        }
        _ => "This pins the versions of dependencies; it is content, not a lock.".into(),
    }
}

fn kernel_hold(kernel: &KernelState) -> String {
    let kind = kernel.kind.map_or("kernel", super::kernel::LockKind::id);
    let mut sentence = match (&kernel.holders[..], kernel.taken_by_exited) {
        ([], Some(taker)) => {
            format!("Held by a kernel lock that PID {taker} took, which has exited; who inherited it cannot be seen.")
        }
        ([], None) => "Held by a kernel lock; which process has it cannot be seen from here.".to_owned(),
        ([holder, ..], Some(taker)) => format!(
            "Held by a kernel lock taken by PID {taker}, which has exited; {} (PID {}) has inherited it.",
            holder.name(),
            holder.pid
        ),
        ([holder], None) => {
            format!("{} (PID {}) holds a kernel lock ({kind}) on it.", capital(holder.name()), holder.pid)
        }
        ([holder, rest @ ..], None) => {
            format!(
                "{} (PID {}) and {} more hold kernel locks ({kind}) on it.",
                capital(holder.name()),
                holder.pid,
                rest.len()
            )
        }
    };
    if kernel.ambiguous {
        sentence.push_str(" Its number is ambiguous on this file system: it may be a file of another subvolume.");
    }
    match kernel.waiters.len() {
        0 => {}
        1 => sentence.push_str(" One process waits for it."),
        more => sentence = format!("{sentence} {more} processes wait for it."),
    }
    sentence
}

fn capital(name: &str) -> String {
    if name == "a process" { "A process".into() } else { name.to_owned() }
}

fn owner_gone(evidence: &Evidence<'_>, judgement: &Judgement) -> String {
    let facts = evidence.facts;
    let pid = facts.reading.record().and_then(|r| r.pid).map_or(0, Pid::get);
    let process = running(&facts.owner);
    let now = process.map_or("another program", |p| p.name());
    match judgement.gone {
        Some(Gone::Exited) => format!("Owner PID {pid} has exited."),
        Some(Gone::OtherToken) => match process {
            Some(_) => format!("PID {pid} is now {now}: another process than the one that wrote this."),
            None => format!("Owner PID {pid} belongs to an earlier boot."),
        },
        Some(Gone::OtherUser) => {
            let user = process.and_then(|p| p.user.as_deref());
            let kernel = process.is_some_and(|p| p.kernel_thread);
            match (kernel, user) {
                (true, _) => format!("PID {pid} is now the kernel thread {now}, which writes no files."),
                (_, Some(user)) => format!("PID {pid} is now {now} of {user}, who cannot have made this file."),
                _ => format!("PID {pid} is now {now} of another user, who cannot have made this file."),
            }
        }
        Some(Gone::StartedLater) => {
            let touched = facts.stat.as_ref().map(super::facts::FileStat::proof_time);
            let later = process.zip(touched).and_then(|(p, t)| p.started_at.since(t));
            match later {
                Some(span) => {
                    format!("PID {pid} is now {now}, started {} after the file was last touched.", say_duration(span))
                }
                None => format!("PID {pid} is now {now}, started after this was written."),
            }
        }
        Some(Gone::OlderThanBoot) => format!("Owner PID {pid} is gone: the file is older than this boot."),
        Some(Gone::NoSuchProcess) | None => {
            let command = facts.reading.record().and_then(|r| r.command.as_deref());
            match command {
                Some(command) => format!("Owner PID {pid} is gone: no such process ({}).", shorten(command)),
                None => format!("Owner PID {pid} is gone: no such process."),
            }
        }
    }
}

fn shorten(command: &str) -> String {
    const LONGEST: usize = 60;
    if command.chars().count() <= LONGEST {
        return command.to_owned();
    }
    command.chars().take(LONGEST - 1).chain(['…']).collect()
}

fn anything_else(evidence: &Evidence<'_>) -> String {
    let facts = evidence.facts;
    if let OwnerState::Looked(look) = &facts.owner
        && let ProcessLook::Unknown(why) = look.as_ref()
    {
        return format!("Its owner could not be looked at: {why}.");
    }
    if facts.reading.format.id == "empty" && facts.reading.mechanism == Mechanism::Unknown {
        if !evidence.sight.kernel_table {
            return "Empty, and names no owner; whether a program holds it through the kernel cannot be seen here."
                .into();
        }
        return "Empty, and names no owner. If programs lock it through the kernel, nobody holds it now; if its being \
                there is the lock, somebody may."
            .into();
    }
    match &facts.users {
        Users::Looked { unseen: 0, .. } if facts.reading.mechanism.is_existence() => format!(
            "Names no owner, and nobody has it open; unchanged for {} only.",
            say_duration(evidence.untouched())
        ),
        Users::Looked { unseen: 1, .. } => "Names no owner, and 1 process could not be looked at.".into(),
        Users::Looked { unseen, .. } if *unseen > 0 => {
            format!("Names no owner, and {unseen} processes could not be looked at.")
        }
        _ => "Names no owner.".into(),
    }
}

fn running(owner: &OwnerState) -> Option<&ProcessFacts> {
    match owner {
        OwnerState::Looked(look) => match look.as_ref() {
            ProcessLook::Running(process) => Some(process),
            _ => None,
        },
        _ => None,
    }
}

fn with_process(process: Option<&ProcessFacts>, pid: Option<Pid>, say: impl FnOnce(&ProcessFacts) -> String) -> String {
    process
        .map_or_else(|| format!("PID {} exists, though its details are hidden from us.", pid.map_or(0, Pid::get)), say)
}

fn opener(users: &Users) -> Option<&ProcessRef> {
    match users {
        Users::Looked { open, .. } => open.first(),
        Users::NotLooked => None,
    }
}

fn works(users: &Users) -> Option<&ProcessRef> {
    match users {
        Users::Looked { works, .. } => works.as_ref(),
        Users::NotLooked => None,
    }
}

/// The evidence as a checklist, in the order in which it decides.
pub fn checklist(evidence: &Evidence<'_>, judgement: &Judgement) -> Vec<Fact> {
    let mut list = Vec::new();
    let mut add = |source, known, weighs, text: String| list.push(Fact { source, text, known, weighs });
    let (facts, sight) = (evidence.facts, evidence.sight);
    record_facts(evidence, &mut add);
    owner_facts(evidence, judgement, &mut add);
    kernel_facts(evidence, judgement, &mut add);
    match &facts.users {
        Users::NotLooked => {}
        Users::Looked { open, works, unseen } => {
            if let Some(process) = open.first() {
                let more = if open.len() > 1 { format!(" and {} more", open.len() - 1) } else { String::new() };
                add(
                    "open files",
                    true,
                    Weighs::Held,
                    format!("{} (PID {}){more} has it open", process.name(), process.pid),
                );
            }
            if let Some(process) = works {
                let text = format!("{} (PID {}) works in this place", process.name(), process.pid);
                add("working directories", true, Weighs::Held, text);
            }
            if open.is_empty() && works.is_none() && *unseen == 0 {
                let text = format!("Nobody has it open or works here ({} processes looked at)", sight.processes);
                add("open files", true, Weighs::Stale, text);
            }
            if *unseen > 0 {
                let more = if sight.kernel_table { "; root can see more" } else { "" };
                let text = format!("The open files of {unseen} processes could not be looked at{more}");
                add("open files", false, Weighs::Neither, text);
            }
        }
    }
    match (&facts.stat, evidence.age()) {
        (Some(_), Some(age)) => {
            let text = format!(
                "Untouched for {}; a dead owner's lock counts as stale after {}",
                say_duration(age),
                say_duration(evidence.threshold)
            );
            add("file times", true, Weighs::Neither, text);
        }
        (Some(stat), None) => {
            let ahead = stat.modified.since(evidence.now).unwrap_or_default();
            let text = format!("Its modification time lies {} ahead; its age is not known", say_duration(ahead));
            add("file times", false, Weighs::Neither, text);
        }
        (None, _) => {}
    }
    if let Some(trouble) = &facts.trouble {
        let text = match trouble {
            Trouble::Denied => "The file may not be read: permission denied".to_owned(),
            Trouble::NoAnswer => "The file system did not answer".to_owned(),
            Trouble::Failed(why) => format!("The file could not be read: {why}"),
        };
        add("file", false, Weighs::Neither, text);
    }
    list
}

type Add<'a> = dyn FnMut(&'static str, bool, Weighs, String) + 'a;

fn record_facts(evidence: &Evidence<'_>, add: &mut Add<'_>) {
    let (facts, sight) = (evidence.facts, evidence.sight);
    let title = facts.reading.format.title;
    match &facts.reading.record {
        RecordState::None => {
            let text = match facts.reading.format.id {
                "git-lock" => "git's lock; it holds the next content and names no owner".to_owned(),
                "filelock-unix" => "Empty, as Python's filelock leaves it; only the kernel knows a holder".to_owned(),
                _ => format!("{title}: names no owner"),
            };
            add("record", true, Weighs::Neither, text);
        }
        RecordState::CutShort => add("record", true, Weighs::Neither, "Empty or cut short: names no owner".into()),
        RecordState::Malformed(why) => add("record", false, Weighs::Neither, format!("Not understood: {why}")),
        RecordState::Parsed(record) => {
            let mut text = match record.pid {
                Some(pid) => format!("{title} record names PID {pid}"),
                None => format!("{title} record names no process"),
            };
            if let Some(host) = &record.host {
                text = format!("{text} on {host}");
            }
            add("record", true, Weighs::Neither, text);
            if super::verdict::elsewhere(record, sight) {
                add("record", true, Weighs::Neither, format!("Written elsewhere: this host is {}", sight.host));
            } else if record.host.is_some() {
                add("record", true, Weighs::Neither, format!("Written on this host, {}", sight.host));
            }
        }
    }
}

fn owner_facts(evidence: &Evidence<'_>, judgement: &Judgement, add: &mut Add<'_>) {
    let facts = evidence.facts;
    let Some(record) = facts.reading.record() else { return };
    let Some(pid) = record.pid else { return };
    const PROCESS_TABLE: &str = "process table";
    let OwnerState::Looked(look) = &facts.owner else {
        let text = format!("PID {pid} was not looked for: a number from elsewhere means nothing here");
        add(PROCESS_TABLE, false, Weighs::Neither, text);
        return;
    };
    match look.as_ref() {
        ProcessLook::NoSuchProcess => {
            add(PROCESS_TABLE, true, Weighs::Stale, format!("PID {pid} does not exist on this computer"));
        }
        ProcessLook::Exited(_) => {
            let text = format!("PID {pid} has exited; only its parent has not taken note yet (zombie)");
            add(PROCESS_TABLE, true, Weighs::Stale, text);
        }
        ProcessLook::Hidden => {
            let text = format!("PID {pid} exists, but its details are hidden from us");
            add(PROCESS_TABLE, true, Weighs::Held, text);
        }
        ProcessLook::Unknown(why) => {
            add(PROCESS_TABLE, false, Weighs::Neither, format!("PID {pid} could not be looked at: {why}"));
        }
        ProcessLook::Running(process) => {
            let user = process.user.as_ref().map_or_else(String::new, |user| format!(", user {user}"));
            let since = evidence.now.since(process.started_at).unwrap_or_default();
            let text = format!("PID {pid} is {}{user}, running for {}", process.name(), say_duration(since));
            let weighs = if judgement.gone.is_some() { Weighs::Neither } else { Weighs::Held };
            add(PROCESS_TABLE, true, weighs, text);
            match judgement.gone {
                Some(Gone::OtherToken) => {
                    let text = "Its start differs from the one in the record: the number was reused".to_owned();
                    add("start token", true, Weighs::Stale, text);
                }
                Some(Gone::OtherUser) => {
                    add("file owner", true, Weighs::Stale, "It runs as a user who cannot have made the file".into());
                }
                Some(Gone::StartedLater) => {
                    add("start time", true, Weighs::Stale, "It started after the file was last touched".into());
                }
                _ if record.token.is_some() && process.start_ticks.is_none() => {
                    let text = "The record carries a start token, but here no process shows its own".to_owned();
                    add("start token", false, Weighs::Neither, text);
                }
                _ if record.token.is_some() => {
                    add("start token", true, Weighs::Held, "Its start matches the one in the record".into());
                }
                _ => {
                    let text =
                        "The record carries no start token; it started before the file was last touched".to_owned();
                    add("start time", true, Weighs::Held, text);
                }
            }
        }
    }
}

fn kernel_facts(evidence: &Evidence<'_>, judgement: &Judgement, add: &mut Add<'_>) {
    const TABLE: &str = "kernel lock table";
    let (facts, sight) = (evidence.facts, evidence.sight);
    match &facts.kernel {
        Some(kernel) if kernel.is_granted() => {
            let kind = kernel.kind.map_or("", super::kernel::LockKind::id);
            let holder = kernel.holders.first().map_or_else(
                || "a process that cannot be named".to_owned(),
                |p| format!("{} (PID {})", p.name(), p.pid),
            );
            add(TABLE, true, Weighs::Held, format!("A kernel lock ({kind}) is held by {holder}"));
            for waiter in kernel.waiters.iter().take(8) {
                add(TABLE, true, Weighs::Held, format!("{} (PID {}) waits for it", waiter.name(), waiter.pid));
            }
        }
        _ if !sight.kernel_table => {
            add(TABLE, false, Weighs::Neither, "The kernel's lock table cannot be read here".into());
        }
        _ if sight.full_view() => {
            // Who holds an existence lock needs no kernel lock: then its absence says nothing.
            let held = judgement.verdict == Verdict::Held;
            let weighs = if held { Weighs::Neither } else { Weighs::Stale };
            add(TABLE, true, weighs, "No kernel lock on the file".into());
        }
        _ => {
            let place = if sight.host_pid_ns { format!("a {} mount", sight.fs.name) } else { "a container".to_owned() };
            let text = format!("No kernel lock is visible, but from {place} not all are");
            add(TABLE, false, Weighs::Neither, text);
        }
    }
}
