//! The verdict: the decision table of 29 rows, evaluated in its order; the first row that matches wins.
//!
//! Owns: [`judge`], pure and total. Never: looks at anything, and never takes Unknown for dead.
//! The rows are numbered as in ARCHITECTURE.md, "The decision table".
#![deny(clippy::wildcard_enum_match_arm, reason = "a new kind of evidence must be decided on, not fall through")]

use super::facts::{Facts, FileKind, OwnerState, Sight, Users};
use super::format::{Record, RecordState, Standing};
use super::holder::{Liveness, ProcessFacts, ProcessLook};
use super::time::Wall;
use std::time::Duration;

/// What Lockscope concludes about one lock file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// A process has it.
    Held,
    /// An existence lock whose owner is proved gone, untouched for the threshold.
    Stale,
    /// The same, but untouched for less than the threshold.
    Orphaned,
    /// Names no owner; nobody who could hold it is there; unchanged for the threshold.
    Suspect,
    /// A kernel-lock file that nobody holds.
    Idle,
    /// The record names another host, machine or PID namespace.
    Foreign,
    /// Anything else, with its reason.
    Unknown,
    /// A placeholder of ours that a crash left.
    Interrupted,
    /// No lock at all.
    NotALock,
}

impl Verdict {
    /// All, in the order in which they are counted and shown.
    pub const ALL: [Self; 9] = [
        Self::Held,
        Self::Stale,
        Self::Orphaned,
        Self::Suspect,
        Self::Idle,
        Self::Foreign,
        Self::Unknown,
        Self::Interrupted,
        Self::NotALock,
    ];

    /// The word that the JSON output uses.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Stale => "stale",
            Self::Orphaned => "orphaned",
            Self::Suspect => "suspect",
            Self::Idle => "idle",
            Self::Foreign => "foreign",
            Self::Unknown => "unknown",
            Self::Interrupted => "interrupted",
            Self::NotALock => "not_a_lock",
        }
    }

    /// The word in the window.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Held => "Held",
            Self::Stale => "Stale",
            Self::Orphaned => "Orphaned",
            Self::Suspect => "Suspect",
            Self::Idle => "Idle",
            Self::Foreign => "Elsewhere",
            Self::Unknown => "Unknown",
            Self::Interrupted => "Interrupted",
            Self::NotALock => "Not a lock",
        }
    }

    /// Whether what a person saw as this may be taken for the same now: it is, or time alone has turned it, as they were
    /// told it would.
    pub fn is_still(self, now: Self) -> bool {
        self == now || (self, now) == (Self::Orphaned, Self::Stale)
    }

    /// What may be done about it.
    pub const fn clearing(self) -> Clearing {
        match self {
            Self::Stale => Clearing::Bulk,
            Self::Orphaned | Self::Suspect => Clearing::ByName,
            Self::Interrupted => Clearing::Repair,
            Self::Held | Self::Idle | Self::Foreign | Self::Unknown => Clearing::ForceOnly,
            Self::NotALock => Clearing::Never,
        }
    }
}

/// What may be done about a lock with some verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clearing {
    /// Clearable, also many at once.
    Bulk,
    /// Clearable one by one, named by the person.
    ByName,
    /// A placeholder of ours: repaired, not cleared.
    Repair,
    /// By its tool's own command, which knows what else belongs to it; else by force. Never said of a verdict alone: see
    /// [`super::snapshot::Lock::clearing`].
    ByItsTool,
    /// Only by force.
    ForceOnly,
    /// Never.
    Never,
}

/// How sure the verdict is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Certainty {
    /// Weak grounds.
    Likely,
    /// Bounded clock evidence.
    Strong,
    /// Proof that needs no clock.
    Certain,
}

impl Certainty {
    /// The word that the JSON output and the window use.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Likely => "likely",
            Self::Strong => "strong",
            Self::Certain => "certain",
        }
    }
}

/// How the owner is known to be gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// There is no such process.
    NoSuchProcess,
    /// It has exited and waits for its parent.
    Exited,
    /// The PID lives, with another start token or in another boot (row 13).
    OtherToken,
    /// The PID lives and belongs to a user who cannot have made the file, or is a kernel thread (row 14).
    OtherUser,
    /// The PID lives and started after the file was last touched (row 15).
    StartedLater,
    /// The file is older than this boot.
    OlderThanBoot,
}

/// The conclusion about one lock file, with the row that led to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The row of the decision table, 1 to 29.
    pub row: u8,
    /// The verdict.
    pub verdict: Verdict,
    /// How sure; `None` for `unknown`.
    pub certainty: Option<Certainty>,
    /// Whether the owner or holder lives.
    pub liveness: Liveness,
    /// How the owner is known to be gone, where it is.
    pub gone: Option<Gone>,
    /// When time alone may change the conclusion, if nothing else does.
    pub due: Due,
}

/// When time alone may change a conclusion, if ever: an `Option<Wall>` in half its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due(Wall);

impl Due {
    /// Time alone changes nothing.
    pub const NEVER: Self = Self(Wall(i64::MAX));

    /// At this time.
    pub const fn on(at: Wall) -> Self {
        Self(at)
    }

    /// When; `None` = never.
    pub fn at(self) -> Option<Wall> {
        (self != Self::NEVER).then_some(self.0)
    }
}

/// Everything that a judgement rests on.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// What was seen of the file.
    pub facts: &'a Facts,
    /// What was to be seen of the machine.
    pub sight: &'a Sight,
    /// The present, on the wall clock.
    pub now: Wall,
    /// The present, on the monotonic clock.
    pub monotonic: Duration,
    /// The age from which a dead owner's lock counts as stale.
    pub threshold: Duration,
    /// When the facts were gathered.
    pub looked_at: Wall,
}

/// An mtime further ahead than this is no age at all.
pub(super) const AHEAD: Duration = Duration::from_secs(10);
/// A record that is not whole may be in the middle of being written for this long.
const BEING_CREATED: Duration = Duration::from_mins(1);
/// Granularity of file times (2 s on FAT) and 10 s for clocks that are slewed.
const MARGIN: Duration = Duration::from_secs(12);

impl Evidence<'_> {
    /// Now minus the last modification; `None` where that lies more than 10 s ahead (or the file cannot be looked at).
    pub fn age(&self) -> Option<Duration> {
        let modified = self.facts.stat()?.modified;
        match self.now.since(modified) {
            Some(age) => Some(age),
            None if modified.since(self.now)? <= AHEAD => Some(Duration::ZERO),
            None => None,
        }
    }

    /// For how long the threshold has been running: the age, or our own watching where the file's time lies ahead.
    pub fn untouched(&self) -> Duration {
        self.age().unwrap_or_else(|| self.monotonic.saturating_sub(self.facts.first_seen()))
    }

    fn due_in(&self, span: Duration) -> Due {
        Due::on(self.now.plus(span))
    }
}

/// Evaluates the decision table.
pub fn judge(evidence: &Evidence<'_>) -> Judgement {
    let facts = evidence.facts;
    let reading = facts.reading();
    let stated = |row, verdict, certainty, liveness| Judgement {
        row,
        verdict,
        certainty: Some(certainty),
        liveness,
        gone: None,
        due: Due::NEVER,
    };
    let held = |row, certainty| stated(row, Verdict::Held, certainty, Liveness::Alive);
    let unknown = |row| Judgement {
        row,
        verdict: Verdict::Unknown,
        certainty: None,
        liveness: Liveness::Unknown,
        gone: None,
        due: Due::NEVER,
    };
    use Certainty::{Certain, Likely, Strong};

    let record = reading.record();
    let owner = owner_state(evidence, record);

    // 1: a placeholder of ours whose process is gone. That it is not seen from a sandbox, or elsewhere, is no proof.
    let placeholder = record.filter(|r| r.placeholder && !elsewhere(r, evidence.sight));
    if placeholder.is_some_and(|r| sees_owner(Some(r), evidence.sight)) && matches!(owner, Owner::Gone(..)) {
        return stated(1, Verdict::Interrupted, Certain, Liveness::Gone);
    }
    // 2: no lock at all.
    if let Some(stat) = facts.stat() {
        let special = matches!(stat.kind, FileKind::Fifo | FileKind::Socket | FileKind::Device);
        let plain_link = stat.kind == FileKind::Symlink && matches!(reading.record, RecordState::Malformed(_));
        if special || stat.mount_root || plain_link || reading.format.standing == Standing::NotALock {
            return stated(2, Verdict::NotALock, Certain, Liveness::Unknown);
        }
    }
    // 3: could not look.
    if facts.stat().is_none() {
        return unknown(3);
    }
    // 4: a granted kernel lock. The kernel's table needs no right to read the file, so it counts where row 3 would.
    if let Some(certainty) = granted(facts) {
        return held(4, certainty);
    }
    if facts.trouble().is_some() {
        return unknown(3);
    }
    // 5: not understood.
    if matches!(reading.record, RecordState::Malformed(_)) {
        return unknown(5);
    }
    // 6, 7: a kernel-lock file that nobody holds.
    if facts.kernel_rule() {
        return if evidence.sight.full_view() {
            stated(6, Verdict::Idle, Certain, Liveness::Unknown)
        } else {
            unknown(7)
        };
    }
    // 8: may be in the middle of being written.
    let age = evidence.age();
    if is_cut_short(evidence, owner) && age.is_none_or(|age| age < BEING_CREATED) && someone_has_it(facts).is_none() {
        return Judgement { due: evidence.due_in(BEING_CREATED.saturating_sub(age.unwrap_or_default())), ..unknown(8) };
    }
    // 9, 10: elsewhere.
    if record.is_some_and(|record| elsewhere(record, evidence.sight)) {
        return stated(9, Verdict::Foreign, Certain, Liveness::Unknown);
    }
    if evidence.sight.fs.network && record.is_none_or(|r| r.host.is_none() && !is_our_boot(r, evidence.sight)) {
        return stated(10, Verdict::Foreign, Likely, Liveness::Unknown);
    }
    // 11: not all processes can be seen, and the record does not say that it speaks of the ones that can.
    // Where they are only hidden (`hidepid`), the numbers are the same: a living owner is seen all the same.
    let living_though_hidden = evidence.sight.host_pid_ns && matches!(owner, Owner::Held(..));
    if !sees_owner(record, evidence.sight) && !living_though_hidden {
        return unknown(11);
    }
    // 12, 16, 17, 18: the owner lives. 13, 14, 15, 19: it is gone.
    match owner {
        Owner::Held(row, certainty) => return held(row, certainty),
        Owner::ClockChanged => return Judgement { liveness: Liveness::Unknown, ..unknown(16) },
        Owner::Gone(how, certainty) => {
            return gone(evidence, how, certainty);
        }
        Owner::Nobody | Owner::Unknown => {}
    }
    // 23, 24, 25: heartbeats. Each leads to a new look when the next beat is due.
    if let Some(beat) = facts.beat() {
        let fresh = age.is_some_and(|age| age <= beat.stale_after);
        let alive = beat.moved && beat.unchanged_for.is_none_or(|span| span <= beat.stale_after);
        if alive || fresh {
            return Judgement { due: evidence.due_in(beat.interval), ..held(23, Strong) };
        }
        let watched = beat.unchanged_for.is_some_and(|span| span >= beat.interval * 2);
        let judgement = if watched {
            stated(24, Verdict::Stale, Strong, Liveness::Gone)
        } else {
            stated(25, Verdict::Suspect, Likely, Liveness::Unknown)
        };
        return Judgement { due: evidence.due_in(beat.interval), ..judgement };
    }
    // 29, before the rows that lead to a clear: an administrator's sign, to stay.
    if reading.format.standing == Standing::Administrative {
        return unknown(29);
    }
    // 26, 27, 28: no owner is named.
    if matches!(owner, Owner::Nobody) {
        match someone_has_it(facts) {
            // An empty file of no known format that somebody has open: filelock's SoftFileLock up to 3.21 looks so.
            Some(Use::Open) if reading.mechanism.is_existence() => return held(26, Certain),
            Some(Use::Open) => return held(26, Likely),
            Some(Use::WorksUnder) => return held(27, Likely),
            None => {}
        }
        let seen = matches!(facts.users(), Users::Looked { unseen: 0, .. });
        let known_existence = reading.mechanism.is_existence() && !reading.format.is_generic();
        let precious = record.is_some_and(|record| record.precious.is_some());
        if known_existence && seen && !precious {
            let untouched = evidence.untouched();
            if untouched >= evidence.threshold {
                return stated(28, Verdict::Suspect, Likely, Liveness::Unknown);
            }
            return Judgement { due: evidence.due_in(evidence.threshold.saturating_sub(untouched)), ..unknown(29) };
        }
    }
    // 29: anything else.
    unknown(29)
}

/// Rows 20 to 22: the owner is gone; does a child of its work on, and how long ago was the file touched?
fn gone(evidence: &Evidence<'_>, how: Gone, certainty: Certainty) -> Judgement {
    let base = Judgement {
        row: 20,
        verdict: Verdict::Held,
        certainty: Some(Certainty::Likely),
        liveness: Liveness::Alive,
        gone: Some(how),
        due: Due::NEVER,
    };
    // Whoever has it open as well does not outweigh the one that works under it.
    if matches!(evidence.facts.users(), Users::Looked { works: Some(_), .. }) {
        return base;
    }
    // It holds what would be lost with it: that is for a person to decide, not for a threshold.
    if evidence.facts.reading().record().is_some_and(|record| record.precious.is_some()) {
        return Judgement { row: 29, verdict: Verdict::Unknown, certainty: None, liveness: Liveness::Gone, ..base };
    }
    // A bare PID could also be a kernel-lock file that somebody is about to open.
    let hand_made = evidence.facts.reading().format.id == "hand-pid";
    let certainty = if hand_made { certainty.min(Certainty::Strong) } else { certainty };
    let untouched = evidence.untouched();
    let base = Judgement { certainty: Some(certainty), liveness: Liveness::Gone, ..base };
    if untouched >= evidence.threshold {
        Judgement { row: 21, verdict: Verdict::Stale, ..base }
    } else {
        let due = evidence.due_in(evidence.threshold.saturating_sub(untouched));
        Judgement { row: 22, verdict: Verdict::Orphaned, due, ..base }
    }
}

/// What rows 12 to 19 make of the owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Nobody,
    Held(u8, Certainty),
    ClockChanged,
    Gone(Gone, Certainty),
    Unknown,
}

fn owner_state(evidence: &Evidence<'_>, record: Option<&Record>) -> Owner {
    let look = match (evidence.facts.owner(), record) {
        (OwnerState::NotNamed, _) | (_, None) => return Owner::Nobody,
        (OwnerState::NotLooked, _) => return Owner::Unknown,
        (OwnerState::Looked(look), Some(record)) => (look.as_ref(), record),
    };
    match look {
        (ProcessLook::NoSuchProcess, _) => Owner::Gone(Gone::NoSuchProcess, Certainty::Certain),
        (ProcessLook::Exited(_), _) => Owner::Gone(Gone::Exited, Certainty::Certain),
        (ProcessLook::Running(process), record) => living_owner(evidence, record, process),
        // Somebody has this number: that is all that can be seen, and it is enough to keep off.
        (ProcessLook::Hidden, _) => Owner::Held(18, Certainty::Strong),
        (ProcessLook::Unknown(_), _) => {
            let ours = evidence.sight.fs.keeps_our_time();
            let times = evidence.sight.boot_floor.zip(evidence.facts.stat()).filter(|_| ours);
            if times.is_some_and(|(floor, stat)| stat.proof_time() < floor.minus(AHEAD)) {
                Owner::Gone(Gone::OlderThanBoot, Certainty::Strong)
            } else {
                Owner::Unknown
            }
        }
    }
}

/// Rows 12 to 18: a process has the PID that the record names. Is it the one that wrote it?
fn living_owner(evidence: &Evidence<'_>, record: &Record, process: &ProcessFacts) -> Owner {
    let (facts, sight) = (evidence.facts, evidence.sight);
    // 12, 13: clock-free.
    if let Some(token) = record.token {
        // Where its writer, or we, could not read the boot's id, the ticks alone are compared.
        let same_boot = token.boot_id.zip(sight.boot_id).is_none_or(|(theirs, ours)| theirs == ours);
        if same_boot && Some(token.ticks) == process.start_ticks {
            return Owner::Held(12, Certainty::Certain);
        }
        // In another time namespace the writer counted other ticks (time_namespaces(7)): they tell nothing then, nor
        // where the system does not tell any.
        let comparable = process.start_ticks.is_some() && process.same_time_ns == Some(true);
        if !same_boot || comparable {
            return Owner::Gone(Gone::OtherToken, Certainty::Certain);
        }
    }
    // As 13, by the record's own word on the boot, where it gives no token.
    if record.boot_id.is_some() && sight.boot_id.is_some() && record.boot_id != sight.boot_id {
        return Owner::Gone(Gone::OtherToken, Certainty::Certain);
    }
    if record.booted_at.zip(sight.boot_floor).is_some_and(|(booted, floor)| booted < floor.minus(MARGIN)) {
        return Owner::Gone(Gone::OlderThanBoot, Certainty::Strong);
    }
    // 14: none of its uids is the file's owner, and it is not root's.
    if let Some(stat) = facts.stat() {
        let could_have_made_it = process.uids.is_none_or(|uids| uids.iter().any(|uid| *uid == stat.uid || *uid == 0));
        if process.kernel_thread || !could_have_made_it {
            return Owner::Gone(Gone::OtherUser, Certainty::Strong);
        }
        // 15, 16: it started after the file was last touched, by more than the clocks can be wrong.
        let latest = record.started_at.map_or(stat.proof_time(), |stated| stat.proof_time().min(stated));
        if let Some(gap) = process.started_at.since(latest).filter(|gap| *gap > MARGIN) {
            let proved = sight.fs.keeps_our_time() && sight.clock_step.is_some_and(|step| gap > MARGIN + step);
            return if proved { Owner::Gone(Gone::StartedLater, Certainty::Strong) } else { Owner::ClockChanged };
        }
    }
    // 17, 18. The first process of a machine writes no such records; that of a container has the same number there.
    let first = record.pid.is_some_and(|pid| pid.get() == 1) && record.pid_ns.is_none() && record.token.is_none();
    if first {
        return Owner::Held(17, Certainty::Likely);
    }
    let named = record.program.as_deref().map(|program| is_program(program, &process.comm));
    if named.or(facts.reading().format.fits_program(&process.comm)) == Some(false) {
        Owner::Held(17, Certainty::Likely)
    } else {
        Owner::Held(18, Certainty::Strong)
    }
}

/// Whether a process with this short name can be of this program: the kernel keeps 15 bytes of a name (`TASK_COMM_LEN`).
fn is_program(program: &str, comm: &str) -> bool {
    const LONGEST: usize = 15;
    comm.as_bytes() == program.as_bytes().get(..LONGEST).unwrap_or(program.as_bytes())
}

fn granted(facts: &Facts) -> Option<Certainty> {
    let kernel = facts.kernel().filter(|kernel| kernel.is_granted())?;
    Some(if kernel.ambiguous { Certainty::Likely } else { Certainty::Certain })
}

/// Empty or cut short; a bare PID without a newline is whole if its owner lives, or the file is a second old.
fn is_cut_short(evidence: &Evidence<'_>, owner: Owner) -> bool {
    match &evidence.facts.reading().record {
        RecordState::CutShort => true,
        RecordState::Parsed(record) => {
            let settled = evidence.age().is_some_and(|age| age >= Duration::from_secs(1));
            !record.complete && !settled && !matches!(owner, Owner::Held(..))
        }
        RecordState::None | RecordState::Malformed(_) => false,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Open,
    WorksUnder,
}

fn someone_has_it(facts: &Facts) -> Option<Use> {
    match facts.users() {
        Users::Looked { open, .. } if !open.is_empty() => Some(Use::Open),
        Users::Looked { works, .. } => works.is_some().then_some(Use::WorksUnder),
        Users::NotLooked => None,
    }
}

/// All processes can be seen, or the record says that it speaks of those that can.
fn sees_owner(record: Option<&Record>, sight: &Sight) -> bool {
    (sight.host_pid_ns && !sight.hidden_processes)
        || record.is_some_and(|r| r.pid_ns.is_some() && r.pid_ns == sight.pid_ns)
}

/// The record carries this very boot's id: it was written on this machine, whatever host name it gives.
fn is_our_boot(record: &Record, sight: &Sight) -> bool {
    let boot_id = record.token.and_then(|token| token.boot_id).or(record.boot_id);
    boot_id.is_some() && boot_id == sight.boot_id
}

/// The same machine id proves nothing: containers of one image share it. Another one does.
pub(super) fn other_machine(record: &Record, sight: &Sight) -> bool {
    record.machine_id.zip(sight.machine_id).is_some_and(|(theirs, ours)| theirs != ours)
}

/// Row 9. Shared by whoever must decide whether asking for the PID here makes sense at all.
pub fn elsewhere(record: &Record, sight: &Sight) -> bool {
    let other_machine = other_machine(record, sight);
    let other_host = record.host.as_ref().is_some_and(|host| !host.eq_ignore_ascii_case(&sight.host));
    let other_ns = matches!((record.pid_ns, sight.pid_ns), (Some(theirs), Some(ours)) if theirs != ours);
    other_ns || ((other_host || other_machine) && !is_our_boot(record, sight))
}
