//! A file whose existence is the lock, with a record of who made it.
//!
//! Owns: [`MarkerLock`]. Never: removes a marker that is not its own; what a dead process left is broken by
//! [`super::breaking`].

use super::breaking::Breaker;
use super::patience::Patience;
use super::record::{Identity, RecordStyle, this_process};
use super::registry::{Grip, Held, Hold, Kind, Released, group_of};
use super::{Guard, LockConfig, LockError, Protection, Unreleased};
use crate::clear::Workplace;
use crate::platform::publish;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// An existence lock, held until it is released or dropped.
///
/// It keeps out whoever makes the same file by `O_CREAT|O_EXCL` or `link(2)`.
#[derive(Debug)]
#[must_use = "a lock that is dropped at once protects nothing"]
pub struct MarkerLock {
    grip: Grip<Marked>,
    protection: Protection,
}

/// A marker of ours. The file is held open, so that its inode number stays its own, and so that whoever wants to clear it
/// sees that it is in use.
#[derive(Debug)]
pub(super) struct Marked {
    pub(super) file: File,
    pub(super) content: Vec<u8>,
}

impl Hold for Marked {
    fn let_go(&mut self, path: &Path) -> Result<Released, LockError> {
        if !self.stands_at(path).map_err(LockError::failed(path, "looking at the lock file"))? {
            return Ok(Released::NotOurs);
        }
        // Between that look and this call another could put its own file here only by breaking ours, which lives: the
        // system has no call that removes a name only if it leads to a certain file.
        match std::fs::remove_file(path) {
            Ok(()) => Ok(Released::Freed),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Released::NotOurs),
            Err(error) => Err(LockError::failed(path, "removing the lock file")(error)),
        }
    }
}

impl Marked {
    pub(super) fn new(file: File, content: Vec<u8>) -> Self {
        Self { file, content }
    }

    /// Whether the path leads to our file, and it says what we wrote: some take a lock over by writing into it.
    #[cfg(unix)]
    pub(super) fn stands_at(&self, path: &Path) -> io::Result<bool> {
        use std::os::unix::fs::{FileExt as _, MetadataExt as _};
        let named = match std::fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            other => other?,
        };
        let held = self.file.metadata()?;
        if (held.dev(), held.ino()) != (named.dev(), named.ino()) || held.size() != self.content.len() as u64 {
            return Ok(false);
        }
        let mut now = vec![0; self.content.len()];
        let read = self.file.read_at(&mut now, 0)?;
        Ok(read == now.len() && now == self.content)
    }

    #[cfg(not(unix))]
    pub(super) fn stands_at(&self, path: &Path) -> io::Result<bool> {
        match std::fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            found => Ok(found? == self.content),
        }
    }
}

/// How a marker is to be taken.
#[derive(Clone, Debug)]
#[must_use = "nothing is taken before `acquire`"]
pub struct MarkerRequest {
    path: PathBuf,
    config: LockConfig,
    group: Option<String>,
    style: RecordStyle,
    command: Option<String>,
    owner: Option<u32>,
    workplace: Option<Workplace>,
}

impl MarkerRequest {
    /// As part of this piece of work; else of the one that its name gives.
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// How the record is spelt.
    pub fn style(mut self, style: RecordStyle) -> Self {
        self.style = style;
        self
    }

    /// What the record names as the command; else this process's command line.
    pub fn command(mut self, command: impl Into<String>) -> Self {
        self.command = Some(command.into());
        self
    }

    /// Names another process as the owner, a child that the lock is for: whoever looks takes it for held as long as that
    /// lives, even if we do not. It is still this guard that lets go.
    pub fn owned_by(mut self, pid: u32) -> Self {
        self.owner = Some(pid);
        self
    }

    /// Where the journal and the quarantine of broken locks are; else where Lockscope keeps them.
    pub fn workplace(mut self, workplace: Workplace) -> Self {
        self.workplace = Some(workplace);
        self
    }

    /// Takes it, waiting as the settings say.
    pub fn acquire(self) -> Result<MarkerLock, LockError> {
        let Self { path, config, group, style, command, owner, workplace } = self;
        let group = group.unwrap_or_else(|| group_of(&path));
        if !config.enabled {
            return Ok(MarkerLock {
                grip: Grip::disabled(&path, &group, Kind::Marker),
                protection: Protection::Disabled,
            });
        }
        let breaker = Breaker::new(&config, workplace);
        let owner = owner.map_or_else(this_process, |pid| Arc::new(Identity::of(pid)));
        let content = || owner.record(style, command.as_deref());
        let (marked, waited) = take(&path, &group, &config, breaker, &content, &mut |_| None)?;
        let grip = Grip::new(&path, &group, Kind::Marker, waited, marked);
        Ok(MarkerLock { grip, protection: Protection::Enforced })
    }
}

/// Publishes a marker, and waits where there is one. `expired` may know another way to get it (a lease's).
pub(super) fn take(
    path: &Path, group: &str, config: &LockConfig, mut breaker: Breaker, content: &dyn Fn() -> Vec<u8>,
    expired: &mut dyn FnMut(&Path) -> Option<Marked>,
) -> Result<(Marked, Duration), LockError> {
    let mut patience = Patience::new(path, group, config);
    let mut waiting = false;
    loop {
        // While one stands there, only looking is cheaper than making a file and failing to give it the name.
        if !waiting || path.symlink_metadata().is_err() {
            let content = content();
            match publish(path, &content) {
                Ok(file) => return Ok((Marked::new(file, content), patience.waited())),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(patience.failed(LockError::failed(path, "making the lock file")(error))),
            }
        }
        if breaker.make_way(path, group) && !waiting {
            // At once, so that even who does not wait gets what a dead process left; but once.
            waiting = true;
            continue;
        }
        if let Some(marked) = expired(path) {
            return Ok((marked, patience.waited()));
        }
        waiting = true;
        if !patience.pause() {
            return Err(patience.failed(patience.spent(breaker.why(path))));
        }
    }
}

impl MarkerLock {
    /// Takes it, waiting as the settings say. The group is what its name gives.
    pub fn acquire(path: impl AsRef<Path>, config: &LockConfig) -> Result<Self, LockError> {
        Self::request(path, config).acquire()
    }

    /// To be taken with more said about it.
    pub fn request(path: impl AsRef<Path>, config: &LockConfig) -> MarkerRequest {
        MarkerRequest {
            path: path.as_ref().to_owned(),
            config: config.clone(),
            group: None,
            style: RecordStyle::default(),
            command: None,
            owner: None,
            workplace: None,
        }
    }

    /// Where the lock of a file stands: `<file>.lock` beside it.
    pub fn beside(file: impl AsRef<Path>) -> PathBuf {
        let mut name = OsString::from(file.as_ref());
        name.push(".lock");
        name.into()
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.grip.about().path
    }

    /// What this guard is worth.
    pub fn protection(&self) -> &Protection {
        &self.protection
    }

    /// Whether it is still held: not after its group was released, nor once somebody has taken it away.
    pub fn is_held(&self) -> bool {
        let path = self.path();
        self.grip.with(|marked| marked.stands_at(path).unwrap_or(true)).unwrap_or(false)
    }

    /// Lets go, if it still is ours. If that fails, the guard comes back with the error.
    pub fn release(self) -> Result<Released, Unreleased<Self>> {
        match self.grip.release() {
            Ok(released) => Ok(released),
            Err(error) => Err(Unreleased { lock: self, error }),
        }
    }
}

impl Guard for MarkerLock {
    fn about(&self) -> &Held {
        self.grip.about()
    }

    fn check(&self) -> Result<(), LockError> {
        if self.protection == Protection::Disabled {
            return Ok(());
        }
        check(&self.grip, |_| None)
    }
}

/// Whether a marker is still held; `also` may know another reason why it is not.
pub(super) fn check<H: Hold + AsRef<Marked>>(
    grip: &Grip<H>, also: impl FnOnce(&H) -> Option<String>,
) -> Result<(), LockError> {
    let path = &grip.about().path;
    let lost = |why: String| Err(LockError::Lost { path: path.clone(), why });
    let looked = grip.with(|held| (also(held), held.as_ref().stands_at(path)));
    match looked {
        Some((Some(why), _)) => lost(why),
        Some((None, Ok(true))) => Ok(()),
        Some((None, Ok(false))) => lost("the lock file was removed or replaced".to_owned()),
        Some((None, Err(error))) => Err(LockError::failed(path, "looking at the lock file")(error)),
        None => lost("it was released".to_owned()),
    }
}

impl AsRef<Marked> for Marked {
    fn as_ref(&self) -> &Marked {
        self
    }
}

// Elsewhere less is seen, and nothing is cleared.
#[cfg(all(target_os = "linux", not(feature = "portable")))]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::Wait;
    use crate::platform::this_machine;
    use std::os::unix::fs::PermissionsExt as _;

    /// A PID that no process has.
    const DEAD: u32 = 4_194_305;

    fn config(stale_after: Option<Duration>) -> LockConfig {
        LockConfig { timeout: Wait::Never, stale_after, ..LockConfig::default() }
    }

    fn workplace(base: &Path) -> Workplace {
        let state = base.join("state");
        Workplace { runtime_dir: base.join("run"), ..crate::lock::workplace(this_machine(), &state) }
    }

    fn at_once(base: &Path, path: &Path) -> MarkerRequest {
        MarkerLock::request(path, &config(Some(Duration::ZERO))).workplace(workplace(base))
    }

    fn dead_record() -> String {
        let host = this_machine().host();
        format!(
            "{{\"pid\":{DEAD},\"host\":\"{}\",\"pid_ns\":{},\"boot_id\":\"{:032x}\",\"start_token\":1}}\n",
            host.name,
            host.pid_ns.expect("Linux has them"),
            host.boot_id.expect("Linux has one")
        )
    }

    #[test]
    fn it_is_whole_readable_to_all_and_gone_afterwards() {
        let base = tempfile::tempdir().unwrap();
        let path = MarkerLock::beside(base.path().join("report.txt"));
        assert!(path.ends_with("report.txt.lock"));
        let lock = MarkerLock::acquire(&path, &config(None)).unwrap();
        let record: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(record["pid"], std::process::id());
        for field in ["host", "start_token", "boot_id", "command", "created"] {
            assert!(!record[field].is_null(), "{field}");
        }
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode & !0o644, 0, "0644 or, by the umask, less");
        let error = MarkerLock::acquire(&path, &config(Some(Duration::ZERO))).unwrap_err();
        assert!(error.to_string().contains(&format!("PID {}", std::process::id())), "{error}");
        assert!(lock.is_held());
        assert_eq!(lock.release().unwrap(), Released::Freed);
        assert_eq!(std::fs::read_dir(base.path()).unwrap().count(), 0, "nothing stays");
    }

    #[test]
    fn each_style_is_read_as_held_by_the_inspector() {
        for (style, id) in [
            (RecordStyle::Lockscope, "lockscope"),
            (RecordStyle::PlainPid, "hand-pid"),
            (RecordStyle::SoftFileLock, "filelock-soft"),
        ] {
            let base = tempfile::tempdir().unwrap();
            let path = base.path().join("x.lock");
            let lock = MarkerLock::request(&path, &config(None)).style(style).acquire().unwrap();
            let (seen, _) = crate::lock::ask::look(&this_machine(), &path, &crate::inspect::LookOptions::default())
                .unwrap()
                .unwrap();
            assert_eq!((seen.facts.reading().format.id, seen.judgement.verdict.id()), (id, "held"));
            drop(lock);
            assert!(!path.exists());
        }
    }

    #[test]
    fn a_dead_owners_lock_is_broken_once_it_is_stale_and_can_be_put_back() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("x.lock");
        std::fs::write(&path, dead_record()).unwrap();
        // Not yet: touched just now, and the threshold is ten minutes.
        let patient =
            MarkerLock::request(&path, &config(Some(Duration::from_mins(10)))).workplace(workplace(base.path()));
        let error = patient.acquire().unwrap_err();
        assert!(error.to_string().contains("It turns stale in"), "{error}");
        let lock = at_once(base.path(), &path).acquire().unwrap();
        assert_eq!(workplace(base.path()).journal().read().unwrap().len(), 1, "on record");
        drop(lock);
        let id = crate::clear::last_clear_ids(&workplace(base.path())).unwrap().remove(0);
        crate::clear::undo(&workplace(base.path()), &id).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), dead_record(), "the same again");
    }

    #[test]
    fn age_alone_never_breaks() {
        let host = this_machine().host().name;
        let alive = format!("{}\n", std::process::id());
        for content in ["", "locked by hand, ask Kim\n", "{\"pid\": 4194305, \"host\": \"another\"}\n", alive.as_str()]
        {
            let base = tempfile::tempdir().unwrap();
            let path = base.path().join("x.lock");
            std::fs::write(&path, content).unwrap();
            crate::platform::stage::set_age(&path, Duration::from_hours(24 * 365)).unwrap();
            let result = at_once(base.path(), &path).acquire();
            assert!(matches!(result, Err(LockError::Taken { .. })), "{content:?} on {host}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        }
    }

    #[test]
    fn what_is_not_ours_any_more_is_left_alone() {
        // Taken away; replaced; written over in place.
        let deeds: [fn(&Path); 3] = [
            |path| std::fs::remove_file(path).unwrap(),
            |path| {
                std::fs::remove_file(path).unwrap();
                std::fs::write(path, "another's").unwrap();
            },
            |path| std::fs::write(path, "a thief's").unwrap(),
        ];
        for deed in deeds {
            let base = tempfile::tempdir().unwrap();
            let path = base.path().join("x.lock");
            let lock = MarkerLock::acquire(&path, &config(None)).unwrap();
            deed(&path);
            assert!(!lock.is_held());
            assert!(matches!(lock.check(), Err(LockError::Lost { .. })));
            let before = std::fs::read(&path).ok();
            assert_eq!(lock.release().unwrap(), Released::NotOurs);
            assert_eq!(std::fs::read(&path).ok(), before);
        }
    }

    #[test]
    fn a_release_that_fails_gives_the_guard_back() {
        let base = tempfile::tempdir().unwrap();
        let directory = base.path().join("d");
        std::fs::create_dir(&directory).unwrap();
        let path = directory.join("x.lock");
        let lock = MarkerLock::acquire(&path, &config(None)).unwrap();
        // A directory that leads to itself: the path cannot be looked at (ELOOP), whoever asks.
        std::fs::rename(&directory, base.path().join("aside")).unwrap();
        std::os::unix::fs::symlink("d", &directory).unwrap();
        let Unreleased { lock, error } = lock.release().unwrap_err();
        assert!(error.to_string().contains("looking at the lock file failed"), "{error}");
        std::fs::remove_file(&directory).unwrap();
        std::fs::rename(base.path().join("aside"), &directory).unwrap();
        assert_eq!(lock.release().unwrap(), Released::Freed);
        assert!(!path.exists());
    }

    #[test]
    fn it_goes_when_its_holder_panics() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("x.lock");
        let panicked = std::panic::catch_unwind(|| {
            let _lock = MarkerLock::acquire(&path, &config(None)).unwrap();
            assert!(path.exists());
            panic!("in the middle of the work");
        });
        assert!(panicked.is_err());
        assert!(!path.exists());
    }

    #[test]
    fn a_starting_program_clears_what_is_stale_and_nothing_else() {
        let base = tempfile::tempdir().unwrap();
        let directory = base.path().join("locks");
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(directory.join("dead.lock"), dead_record()).unwrap();
        std::fs::write(directory.join("unclear.lock"), "ask Kim").unwrap();
        let held = MarkerLock::acquire(directory.join("held.lock"), &config(None)).unwrap();
        let settings = LockConfig { clear_stale_at_start: false, ..config(Some(Duration::ZERO)) };
        let clear = |settings: &LockConfig| {
            super::super::breaking::clear_stale_in(&directory, settings, &workplace(base.path())).unwrap()
        };
        assert_eq!(clear(&settings), Vec::<PathBuf>::new(), "not asked for");
        assert_eq!(clear(&LockConfig { clear_stale_at_start: true, ..settings }), [directory.join("dead.lock")]);
        assert!(held.is_held() && directory.join("unclear.lock").exists());
    }
}
