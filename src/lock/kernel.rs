//! `flock(2)` on a file: the kernel drops it with its holder, so it cannot become stale.
//!
//! Owns: [`FlockLock`], and what can be said of a file system's locks. Never: deletes a file that others may lock; that is
//! what lets two in.

use super::patience::Patience;
use super::record::{Identity, this_process};
use super::registry::{Grip, Held, Hold, Kind, Released, group_of};
use super::{LockConfig, LockError, Protection, Unreleased};
use crate::platform::{locks_unsupported, this_machine};
use fs4::{FileExt, TryLockError};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// An exclusive kernel lock, held until it is released or dropped.
///
/// It keeps out whoever asks by `flock(2)` (`LockFileEx` on Windows): Python's `filelock.FileLock`, `flock(1)`. The file
/// stays; it is only a meeting point.
#[derive(Debug)]
#[must_use = "a lock that is dropped at once protects nothing"]
pub struct FlockLock {
    grip: Grip<Locked>,
    protection: Protection,
}

/// A locked file.
#[derive(Debug)]
struct Locked {
    file: File,
    after: After,
    /// What we have written into it.
    record: Vec<u8>,
}

/// What becomes of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    /// It stays: others may have it open to lock it, and would lock what nobody else can find.
    Stays,
    /// It goes while it is still locked. Only for files that nobody but [`FlockLock`] locks: it looks again.
    #[cfg_attr(not(unix), allow(dead_code, reason = "an open file cannot be deleted there"))]
    Goes,
    /// It stays, and so does the lock, for as long as a child has the file open.
    Inherited,
}

impl Hold for Locked {
    fn let_go(&mut self, path: &Path) -> Result<Released, LockError> {
        self.take_record_back();
        if self.after == After::Inherited {
            // Closing ours ends the lock if no child has it; unlocking would end the child's.
            return Ok(Released::Freed);
        }
        if self.after == After::Goes && stands_at(&self.file, path).is_some() {
            // Still locked: whoever has it open finds, once it gets the lock, that it stands nowhere any more.
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::debug!(path = %path.display(), %error, "the lock file stays behind");
                }
                _ => {}
            }
        }
        // Said, not left to closing: another thread may be between fork and exec, and its child has a copy of the file.
        FileExt::unlock(&self.file).map_err(LockError::failed(path, "unlocking"))?;
        Ok(Released::Freed)
    }
}

impl Locked {
    /// Writes a record into the file if it is empty or has such a record; `false` = it is left as it is.
    fn record(&mut self, record: Vec<u8>) -> io::Result<bool> {
        // More than any record of ours.
        const LONGEST: u64 = 64 * 1024;
        if !self.file.metadata()?.is_file() {
            return Ok(false);
        }
        let mut there = Vec::new();
        self.file.rewind()?;
        (&self.file).take(LONGEST).read_to_end(&mut there)?;
        if !there.is_empty() && !is_flock_record(&there) {
            return Ok(false);
        }
        self.file.rewind()?;
        self.file.set_len(0)?;
        self.file.write_all(&record)?;
        self.record = record;
        Ok(true)
    }

    /// Empties the file, if what stands in it still is ours. Others write into such files too.
    fn take_record_back(&mut self) {
        let record = std::mem::take(&mut self.record);
        if record.is_empty() {
            return;
        }
        let mut there = vec![0; record.len() + 1];
        let length = self.file.rewind().and_then(|()| self.file.read(&mut there));
        if length.is_ok_and(|length| there[..length] == record) {
            let _ = self.file.set_len(0);
        }
    }
}

impl FlockLock {
    /// Takes it, waiting as the settings say. The group is what its name gives.
    pub fn acquire(path: impl AsRef<Path>, config: &LockConfig) -> Result<Self, LockError> {
        let path = path.as_ref();
        Self::acquire_in(&group_of(path), path, config)
    }

    /// The same, as part of a piece of work.
    pub fn acquire_in(group: &str, path: impl AsRef<Path>, config: &LockConfig) -> Result<Self, LockError> {
        Self::take(group, path.as_ref(), config, After::Stays)
    }

    /// A lock on a file of our own that nobody else locks: it leaves no file behind.
    pub(super) fn acquire_passing(group: &str, path: &Path, config: &LockConfig) -> Result<Self, LockError> {
        // Elsewhere than on Unix nobody can delete what another has open.
        Self::take(group, path, config, if cfg!(unix) { After::Goes } else { After::Stays })
    }

    fn take(group: &str, path: &Path, config: &LockConfig, after: After) -> Result<Self, LockError> {
        if !config.enabled {
            return Ok(Self { grip: Grip::disabled(path, group, Kind::Flock), protection: Protection::Disabled });
        }
        let mut patience = Patience::new(path, group, config);
        let (file, device) = Self::locked(path, &mut patience)?;
        let protection = protection(device, path);
        let grip = Grip::new(path, group, Kind::Flock, patience.waited(), Locked { file, after, record: Vec::new() });
        Ok(Self { grip, protection })
    }

    fn locked(path: &Path, patience: &mut Patience) -> Result<(File, Device), LockError> {
        // Without end it could go on only while others delete and remake the file without end.
        const MOVED_AT_MOST: u32 = 1000;
        let failed = |patience: &Patience, doing, error| patience.failed(LockError::failed(path, doing)(error));
        let mut moved = 0;
        loop {
            let file = open(path).map_err(|error| failed(patience, "opening the lock file", error))?;
            match FileExt::try_lock(&file) {
                Ok(()) => {
                    if let Some(device) = stands_at(&file, path) {
                        return Ok((file, device));
                    }
                    // Somebody has deleted and remade the file between our open and our lock: ours is a lock on a file
                    // that nobody else will ever open. The next open finds the new one.
                    moved += 1;
                    if moved < MOVED_AT_MOST {
                        continue;
                    }
                }
                Err(TryLockError::WouldBlock) if patience.waits_in_the_kernel() => {
                    // In its queue: no polling, in turn, and whoever looks sees that we wait.
                    patience.count();
                    match FileExt::lock(&file) {
                        Ok(()) => {
                            if let Some(device) = stands_at(&file, path) {
                                return Ok((file, device));
                            }
                            continue;
                        }
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                        Err(error) => return Err(failed(patience, "locking", error)),
                    }
                }
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) if locks_unsupported(&error) => {
                    return Err(patience.failed(LockError::NotEnforced { path: path.to_owned(), error }));
                }
                Err(TryLockError::Error(error)) => return Err(failed(patience, "locking", error)),
            }
            if !patience.pause() {
                return Err(patience.failed(patience.spent(super::ask::holder_sentence(path))));
            }
        }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.about().path
    }

    /// Path, group, and since when.
    pub fn about(&self) -> &Held {
        self.grip.about()
    }

    /// What this guard is worth.
    pub fn protection(&self) -> &Protection {
        &self.protection
    }

    /// Whether it is still held: not after its group was released.
    pub fn is_held(&self) -> bool {
        self.grip.is_held()
    }

    /// Writes into the file who has it: `pid`, or this process, with a command. Only information for people and for Lockscope;
    /// it is the kernel's lock that keeps others out. Taken back when the lock is let go.
    ///
    /// `false` = nothing was written, as the file holds something else (a lock may be taken on any file), or may only be
    /// read.
    pub fn record(&self, pid: Option<u32>, command: Option<&str>) -> bool {
        let owner = pid.map_or_else(this_process, |pid| Arc::new(Identity::of(pid)));
        let written = self.grip.with(|locked| locked.record(owner.flock_record(command)));
        match written {
            None => false,
            Some(Ok(written)) => written,
            Some(Err(error)) => {
                let about = self.about();
                let (path, group, pid) = (about.path.display(), &about.group, owner.process);
                tracing::debug!(%path, group, pid, %error, "who has it could not be written into it");
                false
            }
        }
    }

    /// Lets go. If that fails, the guard comes back with the error.
    pub fn release(self) -> Result<Released, Unreleased<Self>> {
        match self.grip.release() {
            Ok(released) => Ok(released),
            Err(error) => Err(Unreleased { lock: self, error }),
        }
    }

    /// From now on child processes inherit the lock, and it ends with the last of them that has it, as with `flock(1)`.
    #[cfg(unix)]
    pub fn let_children_inherit(&self) -> Result<(), LockError> {
        let inherit = |locked: &mut Locked| {
            locked.after = After::Inherited;
            crate::platform::let_children_inherit(&locked.file)
        };
        self.grip.with(inherit).unwrap_or(Ok(())).map_err(LockError::failed(self.path(), "passing the lock on"))
    }
}

impl super::Guard for FlockLock {
    fn about(&self) -> &Held {
        self.about()
    }

    fn check(&self) -> Result<(), LockError> {
        if self.protection == Protection::Disabled {
            return Ok(());
        }
        let lost = |why: &str| LockError::Lost { path: self.path().to_owned(), why: why.to_owned() };
        match self.grip.with(|held| stands_at(&held.file, self.path()).is_some()) {
            Some(true) => Ok(()),
            Some(false) => Err(lost("the lock file was deleted or replaced")),
            None => Err(lost("it was released")),
        }
    }
}

fn is_flock_record(bytes: &[u8]) -> bool {
    let record = serde_json::from_slice::<Value>(bytes).unwrap_or_default();
    record["lock"] == "flock" && record.get("start_token").is_some() && record.get("boot_id").is_some()
}

/// Opens it for locking. A directory, or a file that we may not write, can be locked all the same.
fn open(path: &Path) -> io::Result<File> {
    match File::options().create(true).truncate(false).read(true).write(true).open(path) {
        Err(error) if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::IsADirectory) => {
            // What was in the way at first says more than that nothing could be read either.
            File::open(path).map_err(|_| error)
        }
        other => other,
    }
}

/// The device of a file, where files have one.
type Device = Option<u64>;

/// Whether the path leads to this very file; if so, on which device it is.
#[cfg(unix)]
fn stands_at(file: &File, path: &Path) -> Option<Device> {
    use std::os::unix::fs::MetadataExt as _;
    let (held, named) = (file.metadata().ok()?, std::fs::metadata(path).ok()?);
    ((held.dev(), held.ino()) == (named.dev(), named.ino())).then(|| Some(held.dev()))
}

#[cfg(not(unix))]
fn stands_at(_file: &File, path: &Path) -> Option<Device> {
    path.exists().then_some(None) // elsewhere an open file cannot be deleted
}

/// What a lock on this device is worth. Looked up once for each: the answer costs more than the lock.
fn protection(device: Device, path: &Path) -> Protection {
    static KNOWN: Mutex<BTreeMap<Device, Protection>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.entry(device).or_insert_with(|| say(path, look_up(path))).clone()
}

fn say(path: &Path, protection: Protection) -> Protection {
    if let Protection::NotEnforced(why) = &protection {
        tracing::warn!(path = %path.display(), why, "this lock may not keep everybody out");
    }
    protection
}

/// What the file system of this path makes of locks.
fn look_up(path: &Path) -> Protection {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let system = this_machine();
    system
        .open_directory(parent)
        .map_or(Protection::Enforced, |directory| Protection::on(&system.file_system(directory.id().mount)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::Wait;
    use std::time::Duration;

    fn now(path: &Path) -> Result<FlockLock, LockError> {
        FlockLock::acquire(path, &LockConfig::waiting(Wait::Never))
    }

    #[test]
    fn the_second_waits_no_longer_than_it_was_told() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("x.lock");
        let first = now(&path).unwrap();
        let second = FlockLock::acquire(&path, &LockConfig::waiting(Wait::For(Duration::from_millis(20))));
        assert!(matches!(second, Err(LockError::TimedOut { waited, .. }) if waited >= Duration::from_millis(20)));
        assert!(matches!(now(&path), Err(LockError::Taken { .. })));
        assert_eq!(first.release().unwrap(), Released::Freed);
        assert!(now(&path).is_ok());
        assert!(path.exists(), "the file stays");
    }

    #[test]
    fn a_file_that_was_remade_is_another_lock() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("x.lock");
        let first = now(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let second = now(&path).unwrap();
        assert_eq!(first.grip.with(|held| stands_at(&held.file, &path).is_some()), Some(false));
        assert_eq!(second.grip.with(|held| stands_at(&held.file, &path).is_some()), Some(true));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn whoever_waits_for_ever_is_seen_in_the_kernels_queue() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("x.lock");
        let first = now(&path).unwrap();
        let system = crate::platform::linux::Linux::default();
        let ino = std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(&path).unwrap());
        std::thread::scope(|scope| {
            let second = scope.spawn(|| FlockLock::acquire(&path, &LockConfig::waiting(Wait::Forever)));
            let waits = || {
                let locks = crate::platform::System::kernel_locks(&system).unwrap();
                locks.iter().any(|lock| lock.waiting && lock.file.ino == ino)
            };
            while !waits() {
                std::thread::yield_now();
            }
            drop(first);
            assert!(second.join().unwrap().unwrap().is_held());
        });
    }

    #[test]
    fn who_has_it_stands_in_a_file_that_is_for_nothing_else() {
        let base = tempfile::tempdir().unwrap();
        let text = |path: &Path| std::fs::read_to_string(path).unwrap();
        let path = base.path().join("x.lock");
        let lock = now(&path).unwrap();
        assert!(lock.record(None, Some("make nightly")));
        assert!(text(&path).contains("\"command\":\"make nightly\""), "{}", text(&path));
        assert!(is_flock_record(text(&path).as_bytes()));
        // Of one who was killed: written over.
        let left = text(&path);
        drop(lock);
        assert_eq!(text(&path), "", "taken back");
        std::fs::write(&path, left.replace("make nightly", "a much longer command than the one that comes now"))
            .unwrap();
        let lock = now(&path).unwrap();
        assert!(lock.record(None, Some("true")));
        assert!(is_flock_record(text(&path).as_bytes()));
        // What another has written meanwhile stays.
        std::fs::write(&path, "another's").unwrap();
        drop(lock);
        assert_eq!(text(&path), "another's");
        // A file with a content of its own.
        for content in ["4711\n", "{\"lock\":\"flock\"}", "data", " "] {
            std::fs::write(&path, content).unwrap();
            let lock = now(&path).unwrap();
            assert!(!lock.record(None, None), "{content:?}");
            drop(lock);
            assert_eq!(text(&path), content);
        }
        assert!(!now(base.path()).unwrap().record(None, None), "a directory");
    }

    #[test]
    fn disabled_means_no_file_and_a_guard_that_says_so() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("x.lock");
        let config = LockConfig { enabled: false, ..LockConfig::default() };
        let (one, two) = (FlockLock::acquire(&path, &config).unwrap(), FlockLock::acquire(&path, &config).unwrap());
        assert_eq!((one.protection(), two.is_held()), (&Protection::Disabled, false));
        assert!(!path.exists());
        assert_eq!(one.release().unwrap(), Released::Already);
    }

    #[test]
    fn a_passing_lock_leaves_nothing_and_keeps_everybody_out() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("x.guard");
        let inside = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let config = LockConfig::waiting(Wait::Forever);
                        let guard = FlockLock::acquire_passing("g", &path, &config).unwrap();
                        assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0, "alone");
                        std::thread::yield_now();
                        inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                        drop(guard);
                    }
                });
            }
        });
        assert_eq!(std::fs::read_dir(base.path()).unwrap().count(), usize::from(cfg!(not(unix))));
    }

    #[cfg(unix)]
    #[test]
    fn what_may_only_be_read_can_be_locked() {
        use std::os::unix::fs::PermissionsExt as _;
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("x.lock");
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o444)).unwrap();
        let first = now(&path).unwrap();
        assert!(now(&path).is_err());
        drop(first);
        let directory = now(base.path()).unwrap();
        assert!(now(base.path()).is_err());
        drop(directory);
    }

    #[test]
    fn a_missing_directory_is_told_with_what_to_do() {
        let base = tempfile::tempdir().unwrap();
        let error = now(&base.path().join("no/x.lock")).unwrap_err();
        assert!(error.to_string().contains("make its directory first"), "{error}");
        assert!(!error.is_contention());
    }
}
