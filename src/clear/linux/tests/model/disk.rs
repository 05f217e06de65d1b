//! The modelled disk, by the names that `platform::linux::change` has for the real one: the clear's own code runs on it.

use super::stage::{Stage, at_once, call};
use super::world::{DEAD, DEAD_OWNER, Ino, KEPT, LOCK, LOCKS, Lease, Mutation, REMAINS, STALE};
use crate::platform::DirectoryId;
pub(super) use crate::platform::linux::change::{Name, NoLease, Seen};
use std::ffi::{OsStr, OsString};
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

pub(super) const LOCKS_PATH: &str = "/locks";
const KEPT_PATH: &str = "/state/quarantine";

/// What a call told its caller, as a number: nothing else of the world can reach the caller's state.
pub(super) trait Outcome: Sized {
    fn digest(&self) -> u64;
    /// What a call gives that fails for no reason of the model's: a bad sector, a full disk, a server that is gone.
    fn failed() -> Option<Self> {
        None
    }
}

fn hashed(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish() & 0xff_ffff_ffff
}

impl Outcome for () {
    fn digest(&self) -> u64 {
        1
    }
}

impl Outcome for bool {
    fn digest(&self) -> u64 {
        (*self).into()
    }
}

impl Outcome for Seen {
    fn digest(&self) -> u64 {
        let stat = &self.stat;
        hashed((stat.ino, stat.links, stat.size, stat.modified.0, stat.changed.0, stat.kind))
    }
}

impl<T: Outcome> Outcome for Option<T> {
    fn digest(&self) -> u64 {
        self.as_ref().map_or(0, Outcome::digest)
    }
}

impl<T: Outcome> Outcome for io::Result<T> {
    fn digest(&self) -> u64 {
        match self {
            Ok(value) => value.digest(),
            Err(error) => 0x1_0000 + error.raw_os_error().unwrap_or(0) as u64,
        }
    }

    fn failed() -> Option<Self> {
        Some(Err(io::Error::from_raw_os_error(libc::EIO)))
    }
}

impl Outcome for PathBuf {
    fn digest(&self) -> u64 {
        hashed(self)
    }
}

impl Outcome for Vec<u8> {
    fn digest(&self) -> u64 {
        hashed(self)
    }
}

impl Outcome for Vec<OsString> {
    fn digest(&self) -> u64 {
        hashed(self)
    }
}

fn io(result: Result<(), i32>) -> io::Result<()> {
    result.map_err(io::Error::from_raw_os_error)
}

/// The call, if it is not one of the probe's: those are on two names that nobody knows of.
fn unless_probe(name: &Name, call: &'static str) -> &'static str {
    if bytes(name).ends_with(b".probe") { "probe" } else { call }
}

fn bytes(name: &Name) -> &[u8] {
    name.as_os_str().as_bytes()
}

/// A modelled directory.
#[derive(Debug)]
pub(super) struct Place {
    ino: Ino,
    path: PathBuf,
}

impl Place {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let ino = match path.to_str() {
            Some(LOCKS_PATH) => LOCKS,
            Some(KEPT_PATH) => KEPT,
            _ => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(Self { ino, path: path.to_owned() })
    }

    pub(super) fn open_child(&self, name: &Name) -> io::Result<Self> {
        let ino = call("open a directory", |stage, _| match stage.world.get(self.ino, bytes(name)) {
            None => Err(io::Error::from_raw_os_error(libc::ENOENT)),
            Some(ino) if !stage.world.inodes[&ino].directory => Err(io::Error::from_raw_os_error(libc::ENOTDIR)),
            Some(ino) => Ok(Opened(ino)),
        })?;
        Ok(Self { ino: ino.0, path: self.path.join(name.as_os_str()) })
    }

    pub(super) fn names(&self) -> io::Result<Vec<OsString>> {
        call("list", |stage, _| {
            let names = stage.world.inodes[&self.ino].inside.keys();
            Ok(names.map(|name| OsStr::from_bytes(name).to_owned()).collect())
        })
    }

    pub(super) fn names_within(&self, most: usize) -> io::Result<Option<Vec<OsString>>> {
        Ok(Some(self.names()?).filter(|names| names.len() <= most))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn seen(&self) -> io::Result<Seen> {
        at_once(|stage, _| {
            // Entries come and go: no property of a directory that is gone by but its kind, mode and number.
            let mut seen = stage.world.seen(self.ino);
            seen.stat.uid = effective_uid();
            Ok(seen)
        })
    }

    pub(super) fn id(&self) -> io::Result<DirectoryId> {
        let stat = self.seen()?.stat;
        Ok(DirectoryId { dev: stat.dev, ino: stat.ino, mount: stat.mount })
    }

    pub(super) fn look(&self, name: &Name) -> io::Result<Option<Seen>> {
        call("look", |stage, _| {
            let ino = stage.world.get(self.ino, bytes(name));
            let is_other = bytes(name).starts_with(b".lockscope-") && bytes(name).len() == ".lockscope-".len() + 32;
            let lies = stage.world.mutation == Mutation::Unverified && is_other;
            let unseen = stage.world.mutation == Mutation::InsideUnseen && bytes(name) == DEAD_OWNER;
            match ino {
                _ if unseen => Ok(Some(stage.unchanged(REMAINS))),
                Some(ino) if lies && !stage.world.inodes[&ino].ours => Ok(Some(stage.world.seen(STALE))),
                ino => Ok(ino.map(|ino| stage.world.seen(ino))),
            }
        })
    }

    pub(super) fn pin(&self, name: &Name) -> io::Result<Pin> {
        let ino = call("pin", |stage, _| {
            stage.world.get(self.ino, bytes(name)).map(Opened).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOENT))
        });
        Ok(Pin { ino: ino?.0 })
    }

    pub(super) fn make_directory(&self, name: &Name) -> io::Result<()> {
        call("mkdir", |stage, me| {
            let ino = stage.next_number(me);
            io(stage.world.create(self.ino, bytes(name), ino, true, true, &[]))
        })
    }

    pub(super) fn create(&self, name: &Name, _mode: u32) -> io::Result<File> {
        call("create", |stage, me| {
            let ino = stage.next_number(me);
            io(stage.world.create(self.ino, bytes(name), ino, false, true, &[]))?;
            Ok(File { ino })
        })
    }

    pub(super) fn create_link(&self, name: &Name, _target: &[u8]) -> io::Result<()> {
        call("symlink", |stage, me| {
            let ino = stage.next_number(me);
            io(stage.world.create(self.ino, bytes(name), ino, false, true, &[]))
        })
    }

    pub(super) fn read(&self, name: &Name, _limit: u64) -> io::Result<Vec<u8>> {
        call("read", |stage, _| match stage.world.get(self.ino, bytes(name)) {
            _ if stage.world.mutation == Mutation::InsideUnseen && bytes(name) == DEAD_OWNER => Ok(DEAD.to_vec()),
            Some(ino) => Ok(stage.world.inodes[&ino].content.clone()),
            None => Err(io::Error::from_raw_os_error(libc::ENOENT)),
        })
    }

    pub(super) fn exchange(&self, one: &Name, other: &Name) -> io::Result<()> {
        self.exchange_with(one, self, other)
    }

    pub(super) fn exchange_with(&self, name: &Name, place: &Place, other: &Name) -> io::Result<()> {
        call(unless_probe(name, "exchange"), |stage, _| {
            let (from, to) = ((self.ino, bytes(name)), (place.ino, bytes(other)));
            let put_back =
                from.1 == LOCK && stage.world.get(to.0, to.1).is_some_and(|ino| !stage.world.inodes[&ino].ours);
            if stage.world.mutation == Mutation::PutBackByRename && put_back {
                stage.world.remove_tree(from.0, from.1);
                return io(stage.world.rename(to, from, false));
            }
            io(stage.world.exchange(from, to))
        })
    }

    pub(super) fn move_to_free(&self, name: &Name, place: &Place, other: &Name) -> io::Result<()> {
        call("move to a free name", |stage, _| {
            io(stage.world.rename((self.ino, bytes(name)), (place.ino, bytes(other)), true))
        })
    }

    pub(super) fn link(&self, name: &Name, place: &Place, other: &Name) -> io::Result<()> {
        call("link", |stage, _| io(stage.world.link((self.ino, bytes(name)), (place.ino, bytes(other)))))
    }

    pub(super) fn unlink(&self, name: &Name) -> io::Result<()> {
        call(unless_probe(name, "unlink"), |stage, _| io(stage.world.unlink(self.ino, bytes(name))))
    }

    pub(super) fn remove_directory(&self, name: &Name) -> io::Result<()> {
        call(unless_probe(name, "rmdir"), |stage, _| io(stage.world.rmdir(self.ino, bytes(name))))
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

struct Opened(Ino);

impl Outcome for Opened {
    fn digest(&self) -> u64 {
        self.0
    }
}

/// A file of ours that is being written.
pub(super) struct File {
    ino: Ino,
}

impl Outcome for File {
    fn digest(&self) -> u64 {
        self.ino
    }
}

impl File {
    pub(super) fn sync_all(&self) -> io::Result<()> {
        Ok(())
    }
}

impl io::Write for File {
    fn write(&mut self, written: &[u8]) -> io::Result<usize> {
        call("write", |stage, _| {
            stage.world.at(self.ino).content.extend_from_slice(written);
            Ok(())
        })?;
        Ok(written.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A modelled inode that is held.
#[derive(Debug)]
pub(super) struct Pin {
    ino: Ino,
}

impl Pin {
    pub(super) fn seen(&self) -> io::Result<Seen> {
        call("fstat", |stage, _| Ok(stage.world.seen(self.ino)))
    }

    pub(super) fn path_now(&self) -> io::Result<PathBuf> {
        call("readlink of the descriptor", |stage, _| {
            let Some((directory, name)) = stage.world.place_of(self.ino) else {
                return Ok(PathBuf::from("/locks/gone (deleted)"));
            };
            let directory = if directory == KEPT { KEPT_PATH } else { LOCKS_PATH };
            Ok(Path::new(directory).join(OsStr::from_bytes(&name)))
        })
    }

    pub(super) fn inside(&self) -> io::Result<Place> {
        Ok(Place { ino: self.ino, path: PathBuf::from("/held") })
    }

    pub(super) fn target(&self) -> io::Result<OsString> {
        Err(io::ErrorKind::InvalidInput.into())
    }

    pub(super) fn open(&self) -> io::Result<Reader> {
        call("open", |stage, _| {
            let blind = stage.world.is_blind();
            let inode = stage.world.at(self.ino);
            if let Some(lease) = inode.lease.as_mut().filter(|_| !blind) {
                lease.broken = true;
                return Err(io::ErrorKind::WouldBlock.into());
            }
            inode.opens += 1;
            Ok(Opened(self.ino))
        })
        .map(|opened| Reader { ino: opened.0 })
    }
}

/// A modelled file open for reading.
#[derive(Debug)]
pub(super) struct Reader {
    ino: Ino,
}

impl Reader {
    pub(super) fn content(&self, _limit: u64) -> io::Result<Vec<u8>> {
        call("read", |stage, _| Ok(stage.world.inodes[&self.ino].content.clone()))
    }

    pub(super) fn starts_with(&self, expected: &[u8]) -> io::Result<bool> {
        call("read again", |stage, _| Ok(stage.world.inodes[&self.ino].content.starts_with(expected)))
    }

    pub(super) fn take_lease(&self) -> Result<(), NoLease> {
        let granted = call("take the lease", |stage, _| {
            let blind = stage.world.is_blind();
            let inode = stage.world.at(self.ino);
            let granted = blind || (inode.opens == 1 && inode.lease.is_none());
            if granted {
                inode.lease = Some(Lease::default());
            }
            granted
        });
        if granted { Ok(()) } else { Err(NoLease::InUse) }
    }

    pub(super) fn holds_lease(&self) -> bool {
        call("ask for the lease", |stage, _| {
            let blind = stage.world.is_blind();
            blind || stage.world.inodes[&self.ino].lease.is_some_and(|lease| !lease.broken)
        })
    }

    pub(super) fn drop_lease(&self) {
        call("drop the lease", |stage, _| self.end_lease(stage));
    }

    fn end_lease(&self, stage: &mut Stage) {
        stage.world.at(self.ino).lease = None;
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // The kernel drops it with the descriptor.
        at_once(|stage, _| {
            self.end_lease(stage);
            stage.world.at(self.ino).opens -= 1;
        });
    }
}

/// Signals do not reach a model.
pub(super) struct Quiet;

impl Quiet {
    pub(super) fn start() -> Self {
        Self
    }
}

pub(super) fn random() -> io::Result<u128> {
    // In the upper half what tells the explorations of this process from each other.
    Ok(at_once(|stage, me| (stage.exploration() << 64) | u128::from(stage.next_number(me))))
}

pub(super) fn effective_uid() -> u32 {
    crate::platform::linux::change::effective_uid()
}

pub(super) fn mount_point(_: u64) -> io::Result<Option<PathBuf>> {
    Ok(None)
}

pub(super) fn private_directory(_: &Path) -> io::Result<()> {
    Ok(())
}
