//! The permission to take one lock away, once: made by the recheck alone.
//!
//! Owns: [`ClearPermit`] and the recheck. Never: moves anything.
//!
//! A permit cannot be forged:
//! ```compile_fail,E0451
//! # fn forge(grounds: Box<lockscope::clear::Grounds>) {
//! let permit = lockscope::clear::ClearPermit { grounds };
//! # }
//! ```
//! copied or cloned:
//! ```compile_fail,E0599
//! fn twice(permit: lockscope::clear::ClearPermit<'_>) {
//!     let other = permit.clone();
//! }
//! ```
//! used twice:
//! ```compile_fail,E0382
//! fn twice(permit: lockscope::clear::ClearPermit<'_>) {
//!     let _ = lockscope::clear::clear(permit);
//!     let _ = lockscope::clear::clear(permit);
//! }
//! ```
//! kept beyond its workplace's borrow:
//! ```compile_fail,E0621
//! use lockscope::clear::ClearPermit;
//! fn keep(drawer: &mut Vec<ClearPermit<'static>>, permit: ClearPermit<'_>) {
//!     drawer.push(permit);
//! }
//! ```
//! stored for all threads, or sent to another:
//! ```compile_fail,E0277
//! static LATER: std::sync::Mutex<Option<lockscope::clear::ClearPermit<'static>>> = std::sync::Mutex::new(None);
//! ```

use super::disk::{Name, Pin, Place, Reader, Seen, effective_uid};
use super::error::Refusal;
use super::fingerprint::Fingerprint;
use super::inside::Inside;
use super::mutex::DirectoryMutex;
use super::placeholder::Form;
use super::{Consent, Reason, Workplace, force, recovery};
use crate::inspect::{self, LookError, LookOptions};
use crate::model::facts::{FileKind, FileStat, OwnerState, Users};
use crate::model::format::Format;
use crate::model::holder::ProcessLook;
use crate::model::snapshot::{Lock, Snapshot};
use crate::model::verdict::{Clearing, Verdict};
use crate::platform::ProcessPin;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Said where the process that has the owner's PID ends before the swap.
pub(super) const EVIDENCE_ENDED: &str = "the process that has its owner's PID has just ended";

/// More of a lock's content than this is not copied; the inode itself rests in quarantine anyway.
const COPY: u64 = 1 << 20;

/// The permission to clear one lock: its inode and its directory held open, looked at anew, and no other Lockscope at work
/// in that directory for as long as this lives.
#[derive(Debug)]
#[must_use = "a permit does nothing until it is cleared"]
pub struct ClearPermit<'w> {
    grounds: Box<Grounds<'w>>,
    // Not Send: what was rechecked is cleared by who rechecked it, at once.
    _thread: std::marker::PhantomData<*const ()>,
}

impl Grounds<'_> {
    pub(super) fn full(&self) -> &Path {
        &self.full
    }
}

impl<'w> ClearPermit<'w> {
    pub(super) fn new(grounds: Grounds<'w>) -> Self {
        Self { grounds: Box::new(grounds), _thread: std::marker::PhantomData }
    }

    pub(super) fn into_grounds(self) -> Grounds<'w> {
        *self.grounds
    }

    /// The full path of the lock.
    pub fn path(&self) -> &Path {
        &self.grounds.full
    }

    /// On what grounds, in one sentence.
    pub fn why(&self) -> &str {
        &self.grounds.why
    }
}

/// What a permit rests on. Opaque.
#[derive(Debug)]
pub struct Grounds<'w> {
    pub(super) workplace: &'w Workplace,
    pub(super) directory: PathBuf,
    pub(super) path: Box<OsStr>,
    pub(super) full: PathBuf,
    pub(super) verdict: Verdict,
    pub(super) why: String,
    /// Without the lease nobody can be kept from opening it: then only a person's word for this one lock will do.
    pub(super) needs_lease: bool,
    /// The process that has the owner's PID now: that it is another one is the evidence, so it has to stay until the swap.
    pub(super) witness: Option<ProcessPin>,
    /// The word for it in the journal.
    pub(super) what: &'static str,
    pub(super) form: Form,
    pub(super) format: &'static Format,
    pub(super) pinned: Pinned,
    pub(super) place: Place,
    pub(super) _mutex: DirectoryMutex,
}

/// The lock itself, held so that its inode number stays its own.
#[derive(Debug)]
pub(super) struct Pinned {
    pub(super) name: Name,
    pub(super) pin: Pin,
    pub(super) seen: Seen,
    /// Of a regular file.
    pub(super) reader: Option<Reader>,
    /// At most [`COPY`] bytes; of a symbolic link its target.
    pub(super) content: Vec<u8>,
    /// Of a directory.
    pub(super) inside: Option<Inside>,
}

impl Pinned {
    /// Step 3. Opens nothing but a regular file; `None` = nothing there.
    pub(super) fn take(place: &Place, name: Name) -> io::Result<Option<Self>> {
        let pin = match place.pin(&name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let seen = pin.seen()?;
        let (reader, content) = match seen.stat.kind {
            FileKind::Regular => {
                let reader = pin.open()?;
                let content = reader.content(COPY)?;
                (Some(reader), content)
            }
            FileKind::Symlink => (None, pin.target()?.as_bytes().to_vec()),
            _ => (None, Vec::new()),
        };
        let inside = (seen.stat.kind == FileKind::Directory).then(|| Inside::of(&pin)).transpose()?;
        Ok(Some(Self { name, pin, seen, reader, content, inside }))
    }

    /// Whether a directory still holds what it held: an entry can be written to without any change of the directory itself.
    pub(super) fn is_inside_as_pinned(&self) -> io::Result<bool> {
        self.inside.as_ref().map_or(Ok(true), Inside::is_as_listed)
    }

    /// Whether a stat is of this inode, with nothing written to it since; before the swap ctime counts too.
    pub(super) fn is_as_pinned(&self, now: &FileStat) -> bool {
        let then = &self.seen.stat;
        self.came_out(now) && then.changed == now.changed
    }

    /// The same after the swap, which itself changes ctime on most file systems.
    pub(super) fn came_out(&self, now: &FileStat) -> bool {
        let then = &self.seen.stat;
        (then.dev, then.ino, then.kind, then.size, then.modified)
            == (now.dev, now.ino, now.kind, now.size, now.modified)
            && (then.uid, then.mode) == (now.uid, now.mode)
    }
}

/// Looks anew at what a person saw, and permits its clear if file, verdict and rights are as they must be.
///
/// A refusal is written to the journal.
pub fn recheck<'w>(
    workplace: &'w Workplace, directory: &Path, seen: &Lock, options: &LookOptions, consent: Consent,
) -> Result<ClearPermit<'w>, Refusal> {
    let look = || inspect::look_again(&workplace.system, directory, seen, options);
    recheck_with(workplace, directory, seen, consent, &look)
}

/// What [`recheck`] looks with.
pub(super) type Look<'a> = dyn Fn() -> Result<Option<(Arc<Lock>, Snapshot)>, LookError> + 'a;

pub(super) fn recheck_with<'w>(
    workplace: &'w Workplace, directory: &Path, seen: &Lock, consent: Consent, look: &Look<'_>,
) -> Result<ClearPermit<'w>, Refusal> {
    agree(workplace, directory, seen, Agreed::To(consent), look).map(ClearPermit::new)
}

/// What the person has agreed to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Agreed<'a> {
    /// To a clear.
    To(Consent),
    /// To force, for this reason.
    ToForce(&'a Reason),
}

/// Steps 1 to 4, for a clear and for force alike. A refusal is written to the journal.
pub(super) fn agree<'w>(
    workplace: &'w Workplace, directory: &Path, seen: &Lock, agreed: Agreed<'_>, look: &Look<'_>,
) -> Result<Grounds<'w>, Refusal> {
    let grounds = grounds(workplace, directory, seen, agreed, look);
    if let Err(refusal) = &grounds {
        workplace.journal_refusal(directory, &seen.path, seen.judgement.verdict, refusal);
    }
    grounds
}

fn grounds<'w>(
    workplace: &'w Workplace, directory: &Path, seen: &Lock, agreed: Agreed<'_>, look: &Look<'_>,
) -> Result<Grounds<'w>, Refusal> {
    let full = directory.join(&*seen.path);
    let failed = |doing, error| Refusal::failed(&full, doing, error);
    let unsupported = |why: &str| Err(Refusal::Unsupported { path: full.clone(), why: why.to_owned() });
    let (Some(parent), Some(name)) = (full.parent(), full.file_name().and_then(Name::new)) else {
        return unsupported("this is no name of a file");
    };

    // Step 1: resolved once. A parent that is re-pointed from now on changes nothing.
    let place = match Place::open(parent) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Refusal::Gone(full)),
        other => other.map_err(|error| failed("opening the directory", error))?,
    };
    // Step 2: one inspector at a time, and what another left half done comes first.
    let mutex = DirectoryMutex::take(workplace, &place)
        .map_err(|error| failed("keeping other Lockscopes out", error))?
        .ok_or_else(|| Refusal::Busy(full.clone()))?;
    recovery::recover_place(workplace, &place).map_err(|error| failed("repairing an interrupted clear", error))?;

    // Step 3 before step 4: what is judged is what is held.
    let changed = |what| Err(Refusal::Changed { path: full.clone(), what });
    let pinned = match Pinned::take(&place, name) {
        Ok(Some(pinned)) => pinned,
        Ok(None) => return Err(Refusal::Gone(full)),
        // Something in a directory.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return changed("it changed while it was looked at"),
        Err(error) => return Err(failed("opening it", error)),
    };

    // Step 4.
    let (fresh, snapshot) = match look() {
        Ok(Some(found)) => found,
        Ok(None) => return Err(Refusal::Gone(full)),
        Err(error) => return Err(failed("looking again", io::Error::other(error))),
    };
    match (Fingerprint::of(seen), Fingerprint::of(&fresh)) {
        (Some(then), Some(now)) => {
            if let Some(what) = then.difference(&now) {
                return changed(what);
            }
        }
        _ => return changed("it could not be looked at"),
    }
    let why = fresh.why(&snapshot.moment());
    let (was, now) = (seen.judgement.verdict, fresh.judgement.verdict);
    if !was.is_still(now) {
        return Err(Refusal::VerdictChanged { path: full, was, now, why });
    }
    let not_clearable = |by_name, why| Err(Refusal::NotClearable { path: full.clone(), verdict: now, by_name, why });
    match (fresh.clearing(), agreed) {
        (_, Agreed::ToForce(_)) => {
            if let Some(refusal) = force::forbids(&fresh, &full, &why) {
                return Err(refusal);
            }
        }
        (Clearing::Bulk, _) | (Clearing::ByName, Agreed::To(Consent::ByName)) => {}
        (Clearing::ByName, Agreed::To(Consent::Bulk)) => return not_clearable(true, why),
        (Clearing::ByItsTool, Agreed::To(_)) => {
            let way = fresh.own_way().unwrap_or_default();
            return Err(Refusal::OwnWay { path: full, verdict: now, way });
        }
        (Clearing::Repair | Clearing::ForceOnly | Clearing::Never, _) => return not_clearable(false, why),
    }
    if fresh.facts.trouble().is_some() || !snapshot.sight.can_clear() {
        return unsupported("evidence is missing: it, or the kernel's lock table, could not be read");
    }
    // Bulk rests on the lease, and a lease is for the owner and root.
    let in_bulk = matches!(agreed, Agreed::To(Consent::Bulk));
    if in_bulk && !fresh.is_bulk_clearable(&snapshot.sight) {
        return not_clearable(true, format!("{why} It belongs to another user"));
    }
    if matches!(fresh.facts.users(), Users::Looked { open, .. } if !open.is_empty()) {
        return Err(Refusal::InUse(full));
    }
    // What was judged is what is held: the same inode, and not touched from before the look until after it.
    let after = pinned.pin.seen().map_err(|error| failed("looking again", error))?;
    let judged = fresh.facts.stat().is_some_and(|stat| pinned.is_as_pinned(&stat));
    // Of a directory the bytes are those of files in it, which are compared one by one.
    let same_bytes = pinned.inside.is_some() || pinned.content.starts_with(fresh.facts.bytes());
    let same_inside = pinned.is_inside_as_pinned().map_err(|error| failed("looking into it again", error))?;
    if !judged || after.stat.changed != pinned.seen.stat.changed || !same_bytes || !same_inside {
        return changed("it changed while it was looked at");
    }

    let witness = match fresh.facts.owner() {
        OwnerState::Looked(look) => match look.as_ref() {
            ProcessLook::Running(process) => {
                let pinned = workplace.system.pin_process(process);
                Some(pinned.ok_or_else(|| Refusal::Changed { path: full.clone(), what: EVIDENCE_ENDED })?)
            }
            _ => None,
        },
        _ => None,
    };
    let reading = fresh.facts.reading();
    let form = Form::for_lock(pinned.seen.stat.kind, reading);
    supported(&full, &place, &pinned, &snapshot, reading.format, form)?;
    let (what, why) = match agreed {
        Agreed::ToForce(reason) => ("force", format!("{} (It was {}: {why})", reason.as_str(), now.id())),
        Agreed::To(_) => (if workplace.sweeps { "sweep" } else { "clear" }, why),
    };
    Ok(Grounds {
        workplace,
        directory: directory.to_owned(),
        path: seen.path.clone(),
        full,
        verdict: now,
        why,
        // Of a kernel-lock file the lease is what shows that no process has it open, wherever that process is.
        needs_lease: in_bulk || fresh.facts.kernel_rule(),
        what,
        form,
        format: reading.format,
        witness,
        pinned,
        place,
        _mutex: mutex,
    })
}

/// What can be said before anything is made: kind, file system, rights.
fn supported(
    full: &Path, place: &Place, pinned: &Pinned, snapshot: &Snapshot, format: &Format, form: Form,
) -> Result<(), Refusal> {
    let unsupported = |why: &str| Err(Refusal::Unsupported { path: full.to_owned(), why: why.to_owned() });
    let denied = |why: String| Err(Refusal::NotPermitted { path: full.to_owned(), why });
    let stat = &pinned.seen.stat;
    match stat.kind {
        FileKind::Regular | FileKind::Symlink => {}
        FileKind::Directory => {
            // It is moved as one inode, so what is in it comes along: only what is known to be part of such a lock may.
            if let Some(why) = pinned.inside.as_ref().and_then(|inside| inside.beyond(format.holds)) {
                return unsupported(&why);
            }
        }
        _ => return unsupported("it is no lock file"),
    }
    if snapshot.sight.fs.network {
        return unsupported("on a network file system other computers cannot be kept out");
    }
    let parent = place.seen().map_err(|error| Refusal::failed(full, "looking at the directory", error))?;
    if stat.mount_root || stat.mount != parent.stat.mount {
        return unsupported("something is mounted on it");
    }
    if pinned.seen.fixed {
        return denied("it is immutable; root can lift that with chattr -i".to_owned());
    }
    if parent.fixed {
        return denied("its directory is immutable; root can lift that with chattr -i".to_owned());
    }
    let uid = effective_uid();
    // The mutex is each user's own, and a file has no marker in it that would keep another's Lockscope from removing it.
    let others_write = parent.stat.mode & 0o022 != 0 || ![uid, 0].contains(&parent.stat.uid);
    if form == Form::Marker && others_write {
        return unsupported(
            "other users may write in this directory, and nothing would keep their Lockscope away from this kind of lock; \
             an empty directory is removed by rmdir",
        );
    }
    // S_ISVTX: in such a directory only the file's owner, the directory's owner and root may rename.
    if uid != 0 && parent.stat.mode & 0o1000 != 0 && ![stat.uid, parent.stat.uid].contains(&uid) {
        return denied(format!("in this directory only its owner (user {}) or root can remove it", stat.uid));
    }
    Ok(())
}
