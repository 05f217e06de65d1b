//! Verdicts in words: one sentence that a tired operator understands.
//!
//! Owns: every sentence about a lock, for window, command line and journal alike. Never: decides.

use super::facts::{FileKind, KernelState, OwnerState, ProcessRef, Taker, Trouble, Users};
use super::format::{Mechanism, RecordState, Scope, Standing};
use super::holder::{Pid, ProcessFacts, ProcessLook};
use super::time::say_duration;
use super::verdict::{Evidence, Gone, Judgement, other_machine};

/// The sentence for one lock: what is so, and why, in the decision table's words.
pub fn why(evidence: &Evidence<'_>, judgement: &Judgement) -> String {
    let mut sentence = verdict(evidence, judgement);
    sentence.push_str(danger(evidence).as_deref().unwrap_or_default());
    sentence
}

fn verdict(evidence: &Evidence<'_>, judgement: &Judgement) -> String {
    let facts = evidence.facts;
    let sight = evidence.sight;
    let record = facts.reading().record();
    let owner_pid = record.and_then(|r| r.pid);
    let process = running(facts.owner());
    match judgement.row {
        1 => "Lockscope was interrupted here while clearing; repair now to finish or put back.".into(),
        2 => not_a_lock(evidence),
        3 => match facts.trouble() {
            Some(Trouble::Denied) => "May not be read: permission denied.".into(),
            Some(Trouble::NoAnswer) => {
                "The file system did not answer within 2 s. Check its server or its mount, then look again.".into()
            }
            Some(Trouble::Failed(why)) => format!("Could not be read: {why}."),
            None => "Could not be looked at.".into(),
        },
        4 => facts.kernel().map_or_else(String::new, kernel_hold),
        5 if facts.stat().is_some_and(|stat| stat.kind == FileKind::Directory) => {
            "This is a directory, and no lock format that is known fits it.".into()
        }
        5 => match &facts.reading().record {
            RecordState::Malformed(why) => format!("The contents are not understood: {why}."),
            _ => "The contents are not understood.".into(),
        },
        6 if facts.reading().format.standing == Standing::Data => {
            "Nobody holds a lock on it. It is data, not a lock file: never delete it.".into()
        }
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
                _ if record.is_some_and(|record| other_machine(record, sight)) => "another machine of this name".into(),
                _ => "another container or PID namespace".into(),
            };
            let pid = owner_pid.map_or_else(String::new, |pid| format!(" (PID {pid})"));
            format!("Made on {place}{pid}. Processes there cannot be checked from here.")
        }
        10 => "On a shared disk and without a host name: it may belong to another computer.".into(),
        11 if sight.host_pid_ns && facts.owner().is_gone() => {
            format!(
                "There is no process with PID {} any more, but this system hides other users' processes (hidepid): look \
                 as root to be sure that nobody works on.",
                owner_pid.map_or(0, Pid::get)
            )
        }
        11 if sight.host_pid_ns => {
            "This system hides other users' processes (hidepid): look as root to see whether one has it.".into()
        }
        11 => "Running in a sandbox: not all processes can be seen from here.".into(),
        12 => with_process(process, owner_pid, |p| {
            format!("{} (PID {}) holds it and is running: its start matches the record.", p.name(), p.pid)
        }),
        16 if !sight.fs.keeps_our_time() => with_process(process, owner_pid, |p| {
            format!(
                "PID {} ({}) seems younger than the file, but this disk ({}) may keep another computer's time.",
                p.pid,
                p.name(),
                sight.fs.name
            )
        }),
        16 => with_process(process, owner_pid, |p| {
            format!(
                "PID {} ({}) seems younger than the file, but the computer's clock was changed; times prove nothing.",
                p.pid,
                p.name()
            )
        }),
        17 if owner_pid.is_some_and(|pid| pid.get() == 1) => with_process(process, owner_pid, |p| {
            format!(
                "PID 1 is {} here; more likely the first process of a container wrote this, and that cannot be checked.",
                p.name()
            )
        }),
        17 => with_process(process, owner_pid, |p| {
            format!(
                "PID {} is alive but is {}, not {}. The number may have been reused.",
                p.pid,
                p.name(),
                record.and_then(|r| r.program.as_deref()).unwrap_or(facts.reading().format.title)
            )
        }),
        18 => with_process(process, owner_pid, |p| format!("{} (PID {}) is running and wrote this.", p.name(), p.pid)),
        20 => {
            let child = works(facts.users());
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
            let beat = facts.beat().unwrap_or(NO_BEAT);
            format!(
                "Its owner refreshes it every {}; unchanged for {}.",
                say_duration(beat.interval),
                say_duration(evidence.untouched())
            )
        }
        25 => {
            let beat = facts.beat().unwrap_or(NO_BEAT);
            let late = evidence.untouched().saturating_sub(beat.stale_after);
            format!("Should have been refreshed {} ago; watching for the next beat.", say_duration(late))
        }
        26 => opener(facts.users()).map_or_else(String::new, |p| format!("{} (PID {}) has it open.", p.name(), p.pid)),
        27 => works(facts.users()).map_or_else(String::new, |p| {
            let place = match (facts.reading().format.id, facts.reading().format.scope) {
                ("git-lock", _) => "in this repository, perhaps with an editor open",
                (_, Scope::Machine) => "on this computer, and may be using it",
                _ => "in the place that this protects",
            };
            format!("{} (PID {}) runs {place}.", p.name(), p.pid)
        }),
        28 => {
            let format = facts.reading().format;
            let who = match (format.programs.first(), format.scope) {
                (None, _) => "Nobody has it open".to_owned(),
                (Some(program), Scope::Machine) => format!("No {program} process runs"),
                (Some(program), Scope::Tree(_)) => format!("No {program} process works here"),
            };
            format!("{who}, and nothing has changed for {}.", say_duration(evidence.untouched()))
        }
        _ => anything_else(evidence, judgement),
    }
}

/// A danger is said whatever the verdict.
fn danger(evidence: &Evidence<'_>) -> Option<String> {
    evidence.facts.danger()?;
    let holders = evidence.facts.split_holders();
    let first = holders.first()?;
    let more = match holders.len() - 1 {
        0 => " still holds".to_owned(),
        more => format!(" and {more} more still hold"),
    };
    let present = evidence.facts.kernel().filter(|kernel| kernel.is_granted());
    let pid = first.pid;
    let next = match (present.map(|kernel| &kernel.holders[..]), holders.len()) {
        (Some([other]), 1) if other.pid != pid => {
            format!("End one of the two, PID {pid} or PID {}, or wait until one is done.", other.pid)
        }
        (Some(_), _) => "End all of them but one, or wait until they are done.".to_owned(),
        (None, 1) => format!("End PID {pid}, or wait until it is done, before anything else takes this lock."),
        (None, _) => "End them, or wait until they are done, before anything else takes this lock.".to_owned(),
    };
    Some(format!(
        " Danger: {} (PID {pid}){more} the lock on a deleted file of this name, so two can be in at once. {next}",
        first.name(),
    ))
}

const NO_BEAT: super::facts::Beat = super::facts::Beat {
    interval: std::time::Duration::ZERO,
    stale_after: std::time::Duration::ZERO,
    moved: false,
    unchanged_for: None,
};

fn not_a_lock(evidence: &Evidence<'_>) -> String {
    let facts = evidence.facts;
    match facts.stat() {
        Some(stat) if stat.mount_root => "This is a mount point, not a lock.".into(),
        Some(stat) if matches!(stat.kind, FileKind::Fifo | FileKind::Socket | FileKind::Device) => {
            format!("This is a {}, not a lock file; it was not opened.", stat.kind.name())
        }
        Some(stat) if stat.kind == FileKind::Symlink => {
            "This is a symbolic link that no lock format fits; it was not followed.".into()
        }
        _ => format!("{}.", facts.reading().format.caution.unwrap_or("This is no lock")),
    }
}

fn kernel_hold(kernel: &KernelState) -> String {
    let kind = kernel.kinds();
    let fate = |taker: Taker| if taker.exited { "which has exited" } else { "which does not have it open any more" };
    let mut sentence = match (&kernel.holders[..], kernel.taken_by) {
        ([], Some(taker)) => {
            format!(
                "Held by a kernel lock that PID {} took, {}; who has inherited it cannot be seen.",
                taker.pid,
                fate(taker)
            )
        }
        ([], None) => "Held by a kernel lock; which process has it cannot be seen from here.".to_owned(),
        ([holder, ..], Some(taker)) => format!(
            "Held by a kernel lock taken by PID {}, {}; {} (PID {}) has inherited it.",
            taker.pid,
            fate(taker),
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
    let pid = facts.reading().record().and_then(|r| r.pid).map_or(0, Pid::get);
    let process = running(facts.owner());
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
            let touched = facts.stat().map(|stat| stat.proof_time());
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
            let command = facts.reading().record().and_then(|r| r.command.as_deref());
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

fn anything_else(evidence: &Evidence<'_>, judgement: &Judgement) -> String {
    let facts = evidence.facts;
    let format = facts.reading().format;
    if format.standing == Standing::Administrative {
        let ends = format.unlocker.map_or_else(String::new, |command| format!(" {command} ends it."));
        let whom = format.programs.first().copied().unwrap_or("an administrator");
        return format!("Put there by {whom}, to stay until it is lifted.{ends}");
    }
    if let Some(precious) = facts.reading().record().and_then(|record| record.precious) {
        let gone =
            if judgement.gone.is_some() { format!("{} ", owner_gone(evidence, judgement)) } else { String::new() };
        return format!("{gone}It holds {precious}.");
    }
    if let OwnerState::Looked(look) = facts.owner()
        && let ProcessLook::Unknown(why) = look.as_ref()
    {
        return format!("Its owner could not be looked at: {why}.");
    }
    if facts.reading().format.id == "empty" && facts.reading().mechanism == Mechanism::Unknown {
        if !evidence.sight.kernel_table {
            return "Empty, and names no owner; whether a program holds it through the kernel cannot be seen here."
                .into();
        }
        return "Empty, and names no owner. If programs lock it through the kernel, nobody holds it now; if its being \
                there is the lock, somebody may."
            .into();
    }
    match facts.users() {
        Users::Looked { unseen: 0, .. } if facts.reading().mechanism.is_existence() => format!(
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
