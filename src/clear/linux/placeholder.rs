//! What stands at the lock's path for the moment of the swap: a directory with a marker of ours, or, where the tool's own
//! waiters would crash on a directory, a file with a record of that tool.
//!
//! Owns: the names of our temporary things, the marker's content, and telling whether a marker's process is gone.
//! Never: touches what is not ours; each removal is by type and by identity.

use super::disk::{Name, Pin, Place, Seen, effective_uid};
use super::fingerprint::Identity;
use super::journal::{Inner, RawPath};
use crate::model::facts::FileKind;
use crate::model::format::{Ourselves, Reading, StandIn};
use crate::model::holder::{Pid, ProcessLook};
use crate::platform::System;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The most that a marker of ours can be.
const MARKER: u64 = 64 * 1024;

/// What the placeholder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Form {
    /// A directory with a marker: no breaker's `unlink` and no inspector's `rmdir` removes it.
    Directory,
    /// A file with a record of the tool's own: for waiters that crash on a directory (Python's `SoftFileLock` raises
    /// IsADirectoryError). Weaker: its removal can only compare first.
    File,
    /// A symbolic link to a record of the tool's own: for waiters that read the link, and stop with an error where there is
    /// none to read (Mercurial, Twisted). As weak as a file.
    Link,
    /// A file with our marker, for a lock that is a directory made by `mkdir`: `unlink` removes no directory (EISDIR), and
    /// a breaker's `rmdir` no file (ENOTDIR).
    Marker,
}

impl Form {
    /// What stands in for a lock.
    pub(crate) fn for_lock(kind: FileKind, reading: &Reading) -> Self {
        match (kind, reading.format.stand_in) {
            // A file of ours could be opened and locked through the kernel, and then be removed: two would be in.
            (FileKind::Regular, StandIn::Record(_) | StandIn::Link(_)) if !reading.mechanism.is_kernel() => Self::File,
            (FileKind::Symlink, StandIn::Link(_)) => Self::Link,
            (FileKind::Directory, StandIn::ByKind | StandIn::Record(_)) => Self::Marker,
            (FileKind::Directory, StandIn::Directory | StandIn::Link(_))
            | (FileKind::Regular | FileKind::Symlink | FileKind::Fifo | FileKind::Socket | FileKind::Device, _) => {
                Self::Directory
            }
        }
    }
}

/// Our names around one lock. Short and fixed: the lock's own name may already be 255 bytes long.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    /// The lock.
    pub(crate) lock: Name,
    /// The placeholder, and after the swap whatever came out.
    pub(crate) other: Name,
    /// A second link to what came out, for the put-back.
    pub(crate) keep: Name,
    /// Quarantine beside the lock.
    pub(crate) cleared: Name,
    /// For the probe.
    pub(crate) probe_directory: Name,
    /// For the probe.
    pub(crate) probe_file: Name,
    /// Within the placeholder.
    pub(crate) marker: Name,
}

impl Names {
    /// `None` where the lock's name is no single component, or `txn` is not ours.
    pub(crate) fn new(lock: &OsStr, txn: &str) -> Option<Self> {
        let hex = txn.len() == 32 && txn.bytes().all(|b| b.is_ascii_hexdigit());
        let name = |text: String| Name::new(OsStr::new(&text));
        hex.then_some(())?;
        Some(Self {
            lock: Name::new(lock)?,
            other: name(format!(".lockscope-{txn}"))?,
            keep: name(format!(".lockscope-{txn}.keep"))?,
            cleared: name(format!(".lockscope-{txn}.cleared"))?,
            probe_directory: name(format!(".lockscope-{txn}.probe-d"))?,
            probe_file: name(format!(".lockscope-{txn}.probe-f"))?,
            marker: name(format!("lockscope-{txn}.json"))?,
        })
    }
}

/// Who made a marker: what it takes to tell later whether that process still runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Maker {
    pub(crate) pid: u32,
    pub(crate) host: String,
    pub(crate) pid_ns: Option<u64>,
    pub(crate) boot_id: Option<String>,
    pub(crate) start_token: Option<u64>,
    pub(crate) command: String,
    pub(crate) created: String,
}

/// What stands in a placeholder directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marker {
    #[serde(flatten)]
    pub(crate) maker: Maker,
    pub(crate) placeholder: bool,
    pub(crate) txn: String,
    pub(crate) id: String,
    pub(crate) lock: RawPath,
    pub(crate) identity: Identity,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) inside: Vec<Inner>,
}

impl Maker {
    /// For a record of the lock's own tool.
    pub(crate) fn as_owner(&self, token: u128) -> Ourselves<'_> {
        Ourselves {
            pid: self.pid,
            host: &self.host,
            pid_ns: self.pid_ns,
            boot_id: self.boot_id.as_deref().and_then(|id| u128::from_str_radix(id, 16).ok()),
            ticks: self.start_token,
            token,
        }
    }

    /// This process.
    pub(crate) fn ourselves(system: &dyn System) -> Self {
        let host = system.host();
        let pid = crate::platform::environment::own_pid();
        let look = Pid::new(pid.into()).map(|pid| system.look_at(pid));
        let start_token = match look {
            Some(ProcessLook::Running(facts)) => facts.start_ticks,
            _ => None,
        };
        Self {
            pid,
            host: host.name.into(),
            pid_ns: host.pid_ns,
            boot_id: host.boot_id.map(|id| format!("{id:032x}")),
            start_token,
            command: "lockscope".to_owned(),
            created: system.wall().rfc3339(),
        }
    }

    /// Whether that process is proved gone. Unknown is not gone: a marker of another host or PID namespace stays.
    pub(crate) fn is_gone(&self, system: &dyn System, txn: &str) -> bool {
        let host = system.host();
        if self.host != *host.name || self.pid_ns.is_none() || self.pid_ns != host.pid_ns {
            return false;
        }
        let boot = host.boot_id.map(|id| format!("{id:032x}"));
        if matches!((&self.boot_id, &boot), (Some(theirs), Some(ours)) if theirs != ours) {
            return true;
        }
        let Some(pid) = Pid::new(self.pid.into()) else { return false };
        match system.look_at(pid) {
            ProcessLook::NoSuchProcess | ProcessLook::Exited(_) => true,
            ProcessLook::Running(facts) => match self.start_token {
                Some(ticks) if facts.start_ticks.is_some_and(|now| now != ticks) => true,
                // Ourselves: gone if no clear of ours is at work under that name any more (a thread that panicked).
                _ => self.pid == crate::platform::environment::own_pid() && !active().contains(txn),
            },
            ProcessLook::Hidden | ProcessLook::Unknown(_) => false,
        }
    }
}

fn active() -> MutexGuard<'static, BTreeSet<String>> {
    static ACTIVE: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    ACTIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says that this process is at work on a transaction, until it is dropped.
#[derive(Debug)]
pub(crate) struct AtWork(String);

impl AtWork {
    pub(crate) fn on(txn: &str) -> Self {
        active().insert(txn.to_owned());
        Self(txn.to_owned())
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        active().remove(&self.0);
    }
}

/// A placeholder that is held, so that it is known wherever it is moved.
#[derive(Debug)]
pub(crate) struct Placeholder {
    form: Form,
    pin: Pin,
    inside: Option<Place>,
    identity: Identity,
    marker: Name,
}

impl Placeholder {
    /// Makes the directory and its marker, and brings both to the disk.
    pub(crate) fn make_directory(place: &Place, names: &Names, marker: &Marker) -> io::Result<Self> {
        place.make_directory(&names.other)?;
        let held = Self::hold(place, &names.other, &names.marker)?;
        let Some(inside) = &held.inside else { return Err(io::ErrorKind::NotADirectory.into()) };
        // Somebody with rights here could have put another directory under the name before we opened it.
        if held.pin.seen()?.stat.uid != effective_uid() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let mut file = inside.create(&names.marker, 0o600)?;
        file.write_all(&serde_json::to_vec(marker)?)?;
        file.sync_all()?;
        inside.sync()?;
        place.sync()?;
        Ok(held)
    }

    /// Makes the file.
    pub(crate) fn make_file(place: &Place, names: &Names, record: &[u8], mode: u16) -> io::Result<Self> {
        let mut file = place.create(&names.other, u32::from(mode & 0o666) | 0o600)?;
        file.write_all(record)?;
        file.sync_all()?;
        place.sync()?;
        Self::hold(place, &names.other, &names.marker)
    }

    /// Makes the link.
    pub(crate) fn make_link(place: &Place, names: &Names, target: &[u8]) -> io::Result<Self> {
        place.create_link(&names.other, target)?;
        place.sync()?;
        Self::hold(place, &names.other, &names.marker)
    }

    /// Holds what stands at `name`, whatever it is.
    pub(crate) fn hold(place: &Place, name: &Name, marker: &Name) -> io::Result<Self> {
        let pin = place.pin(name)?;
        let stat = pin.seen()?.stat;
        let (form, inside) = if stat.kind == FileKind::Directory {
            let inside = place.open_child(name)?;
            if inside.id()?.ino != stat.ino {
                return Err(io::ErrorKind::NotFound.into());
            }
            (Form::Directory, Some(inside))
        } else {
            (Form::File, None)
        };
        Ok(Self { form, pin, inside, identity: Identity::of(&stat), marker: marker.clone() })
    }

    /// Holds what stands at `name` if it is the placeholder that the journal names. Compared after it is held: between a
    /// look and that, a newcomer's lock could have come to stand there.
    pub(crate) fn hold_known(place: &Place, name: &Name, marker: &Name, known: &Identity) -> io::Result<Option<Self>> {
        match Self::hold(place, name, marker) {
            Ok(held) => Ok(known.is_same_inode(&held.pin.seen()?.stat).then_some(held)),
            Err(error) => match error.raw_os_error() {
                Some(libc::ENOENT | libc::ENOTDIR | libc::ELOOP) => Ok(None),
                None if error.kind() == io::ErrorKind::NotFound => Ok(None),
                _ => Err(error),
            },
        }
    }

    /// How the journal names it.
    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Whether this is what was seen. The pin keeps the inode number from being dealt again.
    pub(crate) fn is(&self, seen: &Seen) -> bool {
        self.identity.is_same_inode(&seen.stat)
    }

    /// Deleted by somebody (`rm -rf`, an rmdir after our marker was taken out).
    pub(crate) fn is_deleted(&self) -> io::Result<bool> {
        Ok(self.pin.seen()?.stat.links == 0)
    }

    /// Where it is now.
    pub(crate) fn path_now(&self) -> io::Result<std::path::PathBuf> {
        self.pin.path_now()
    }

    /// Takes the marker out, so that the directory can be removed by what removes nothing but empty directories.
    pub(crate) fn empty(&self) -> io::Result<()> {
        match self.inside.as_ref().map(|inside| inside.unlink(&self.marker)) {
            Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes it from `name`, by its type. `false` = something else stands there, or nothing.
    pub(crate) fn remove_at(&self, place: &Place, name: &Name) -> io::Result<bool> {
        if !place.look(name)?.is_some_and(|seen| self.is(&seen)) {
            return Ok(false);
        }
        self.empty()?;
        match self.remove_emptied_at(place, name) {
            Ok(()) => Ok(true),
            Err(error) => match error.raw_os_error() {
                Some(libc::ENOENT | libc::ENOTDIR | libc::EISDIR) => Ok(false),
                _ => Err(error),
            },
        }
    }

    /// The last step: `rmdir`, which can remove neither a lock file (ENOTDIR) nor another inspector's placeholder
    /// (ENOTEMPTY). For a file an `unlink` right after a look: the one gap where locks are files; none where they are
    /// directories (EISDIR).
    pub(crate) fn remove_emptied_at(&self, place: &Place, name: &Name) -> io::Result<()> {
        match self.form {
            Form::Directory => place.remove_directory(name),
            Form::File | Form::Link | Form::Marker if place.look(name)?.is_some_and(|seen| self.is(&seen)) => {
                place.unlink(name)
            }
            Form::File | Form::Link | Form::Marker => Err(io::Error::from_raw_os_error(libc::ENOTDIR)),
        }
    }

    /// Removes it from wherever a breaker has moved it. It is ours and empty; what is not, stays.
    pub(crate) fn remove_wherever_it_is(&self) {
        let removed = || -> io::Result<()> {
            if self.is_deleted()? {
                return Ok(());
            }
            let path = self.path_now()?;
            let (Some(parent), Some(name)) = (path.parent(), path.file_name().and_then(Name::new)) else {
                return Ok(());
            };
            self.remove_at(&Place::open(parent)?, &name).map(drop)
        };
        if let Err(error) = removed() {
            tracing::warn!(%error, "a placeholder that another program moved away could not be removed");
        }
    }
}

/// The marker at `name`, or in the directory there, whatever its transaction; `None` = no placeholder of ours.
pub(crate) fn marker_at(place: &Place, name: &Name) -> io::Result<Option<Marker>> {
    if place.look(name)?.is_some_and(|seen| seen.stat.kind == FileKind::Regular && seen.stat.size <= MARKER) {
        let read = match place.read(name, MARKER) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EACCES)) => return Ok(None),
            other => other?,
        };
        return Ok(serde_json::from_slice::<Marker>(&read).ok().filter(|marker| marker.placeholder));
    }
    let inside = match place.open_child(name) {
        Ok(inside) => inside,
        Err(error) => {
            return match error.raw_os_error() {
                Some(libc::ENOENT | libc::ENOTDIR | libc::ELOOP | libc::EACCES) => Ok(None),
                _ => Err(error),
            };
        }
    };
    for file in inside.names()? {
        let Some(txn) = file.to_str().and_then(|f| f.strip_prefix("lockscope-")?.strip_suffix(".json")) else {
            continue;
        };
        let Some(marker) = Name::new(&file) else { continue };
        let read = inside.read(&marker, MARKER)?;
        match serde_json::from_slice::<Marker>(&read) {
            Ok(marker) if marker.placeholder && marker.txn == txn => return Ok(Some(marker)),
            _ => {}
        }
    }
    Ok(None)
}
