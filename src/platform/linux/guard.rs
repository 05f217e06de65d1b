//! File systems that may not answer (network, FUSE, automounts): each call on one is made by a [`Scout`], and waited for
//! no longer than [`PATIENCE`].
//!
//! Owns: which scout is asked, how long, and how many may be lost. Never: touches such a mount from our own process;
//! which mounts those are is read from mountinfo, before the first touch. A call on any other file system goes its
//! direct way and costs nothing more.

use super::directory::{LinuxDirectory, became};
use super::mounts::{self, Located, Mount};
use super::scout::{self, Ask, MOST_READ, NO_SLOT, Reply, Request, SLOTS, Scout, Silence};
use crate::model::facts::{FileKind, FileStat};
use crate::platform::{Directory, DirectoryId};
use rustix::io::Errno;
use rustix::process::Pid;
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long one call may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// After so many calls without an answer, one after another, a mount is taken for silent: its calls fail at once. One alone
/// may have been a single file's.
const STRIKES: u32 = 2;
/// A silent mount is known to answer again as soon as one of the scouts that wait there gets its answer. Should none ever
/// get one, it is asked anew this often.
const ASK_ANEW: Duration = Duration::from_secs(30);
/// Scouts that were lost and have not ended, whatever the mount. With so many nothing more is risked.
const MOST_LOST: usize = 16;
/// A scout that can be killed has ended within this.
const LAST_WORDS: Duration = Duration::from_millis(100);
/// Scouts that wait for the next directory to be opened.
const MOST_IDLE: usize = 2;

/// Opens a directory, by a scout where it may not answer.
pub(super) fn open_directory(path: &Path) -> io::Result<Box<dyn Directory>> {
    let mounts = mounts::read();
    // The kernel names the working directory without asking its file system. A deleted one has no name.
    let Some(absolute) = mounts.risky.then(|| absolute(path)).flatten() else {
        return Ok(Box::new(LinuxDirectory::open(path, None)?));
    };
    match mounts::locate(&mounts, &absolute) {
        Located::Plain(real) => Ok(Box::new(LinuxDirectory::open(path, Nested::of(&mounts, real))?)),
        Located::Guarded(mount, way) => {
            let nested = Some(Nested::all(&mounts, way.clone()));
            Ok(Box::new(Guarded::open(&Arc::default(), path.to_owned(), way, Arc::new(mount), nested)?))
        }
    }
}

/// Whether the directory answers, for those who are about to touch it directly. It may fall silent right afterwards.
pub(super) fn ask_for_an_answer(path: &Path) -> io::Result<()> {
    let mounts = mounts::read();
    let located = mounts.risky.then(|| mounts::locate(&mounts, &absolute(path)?).into());
    match located.flatten() {
        Some(Located::Guarded(mount, way)) => {
            Guarded::open(&Arc::default(), path.to_owned(), way, Arc::new(mount), None).map(drop)
        }
        _ => Ok(()),
    }
}

/// The processes that look for us: like ourselves they are no evidence for anything.
pub(super) fn scouts() -> Vec<Pid> {
    let office = office();
    let idle = office.idle.iter().map(|party| party.scout.pid());
    let lost = office.lost.iter().map(|(_, scout)| scout.pid());
    idle.chain(lost).chain(office.leaving.iter().copied()).chain(office.out.iter().copied()).collect()
}

fn absolute(path: &Path) -> Option<PathBuf> {
    if path.is_absolute() {
        return Some(path.to_owned());
    }
    let here = rustix::process::getcwd(Vec::new()).ok()?;
    let here = PathBuf::from(OsString::from_vec(here.into_bytes()));
    // Outside of our root the kernel says "(unreachable)".
    here.is_absolute().then(|| here.join(path))
}

/// A scout with the directories that it has open, by the numbers of their [`Guarded`].
#[derive(Debug)]
struct Party {
    scout: Scout,
    slots: [u64; SLOTS],
    next: usize,
}

impl Party {
    /// The slot that is given out next; never `but`.
    fn next_slot(&mut self, but: Option<usize>) -> usize {
        self.next = (self.next + 1) % SLOTS;
        if Some(self.next) == but {
            self.next = (self.next + 1) % SLOTS;
        }
        self.slots[self.next] = 0;
        self.next
    }
}

/// A mount that has left calls unanswered.
#[derive(Debug)]
struct Unanswered {
    strikes: u32,
    asked: Instant,
}

/// All scouts of this process, wherever they are.
#[derive(Debug, Default)]
struct Office {
    idle: Vec<Party>,
    /// With a directory that is open now.
    out: Vec<Pid>,
    /// Still waiting at a mount: they tell when it answers again.
    lost: Vec<(u64, Scout)>,
    /// Told to end, and not seen to have ended.
    leaving: Vec<Pid>,
    unanswered: HashMap<u64, Unanswered>,
}

fn office() -> MutexGuard<'static, Office> {
    static OFFICE: LazyLock<Mutex<Office>> = LazyLock::new(Mutex::default);
    OFFICE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Office {
    /// Whether a mount may be asked now.
    fn admits(&mut self, mount: u64) -> bool {
        self.hear_the_lost();
        let Some(unanswered) = self.unanswered.get_mut(&mount) else { return self.has_room(None) };
        // A scout that waits there tells when it answers. Where none is left (it ends with the thread that sent it), the
        // mount must be asked to know.
        let watched = self.lost.iter().any(|(waits_at, _)| *waits_at == mount);
        if unanswered.strikes >= STRIKES && watched {
            if unanswered.asked.elapsed() < ASK_ANEW {
                return false;
            }
            unanswered.asked = Instant::now();
            return self.has_room(Some(mount));
        }
        self.has_room(None)
    }

    /// Whether one more may be lost. One is given up for it where there are too many (of a mount where others wait too,
    /// so that each is still watched), and of the mount that is asked anew.
    fn has_room(&mut self, anew: Option<u64>) -> bool {
        self.leaving.retain(|pid| !scout::has_ended(*pid));
        let of_mount = self.lost.iter().position(|(mount, _)| Some(*mount) == anew);
        let full = self.lost.len() + self.leaving.len() >= MOST_LOST;
        let crowded = |at: &usize| self.lost.iter().filter(|(mount, _)| *mount == self.lost[*at].0).count() > 1;
        let to_spare = (0..self.lost.len()).find(crowded).or((!self.lost.is_empty()).then_some(0));
        if let Some(oldest) = of_mount.or(to_spare.filter(|_| full)) {
            let (_, scout) = self.lost.remove(oldest);
            self.dismiss(&scout);
            scout::ends_within(scout.pid(), LAST_WORDS);
            self.leaving.retain(|pid| !scout::has_ended(*pid));
        }
        self.lost.len() + self.leaving.len() < MOST_LOST
    }

    fn hear_the_lost(&mut self) {
        let (mut waiting, mut back) = (Vec::new(), Vec::new());
        for (mount, scout) in self.lost.drain(..) {
            match scout.has_answered() {
                Some(false) => waiting.push((mount, scout)),
                Some(true) => {
                    self.unanswered.remove(&mount);
                    back.push(scout);
                }
                None => back.push(scout),
            }
        }
        self.lost = waiting;
        for scout in back {
            self.dismiss(&scout);
        }
    }

    fn send_out(&mut self) -> io::Result<Party> {
        let party = match self.idle.pop() {
            Some(party) => party,
            None => Party { scout: Scout::start()?, slots: [0; SLOTS], next: 0 },
        };
        self.out.push(party.scout.pid());
        Ok(party)
    }

    fn is_back(&mut self, scout: &Scout) {
        self.out.retain(|pid| *pid != scout.pid());
    }

    fn lose(&mut self, mount: u64, scout: Scout) {
        self.is_back(&scout);
        let unanswered =
            self.unanswered.entry(mount).or_insert_with(|| Unanswered { strikes: 0, asked: Instant::now() });
        unanswered.strikes += 1;
        unanswered.asked = Instant::now();
        self.lost.push((mount, scout));
    }

    /// Ends one. Where it waits uninterruptibly it ends when the mount lets it.
    fn dismiss(&mut self, scout: &Scout) {
        self.is_back(scout);
        scout::kill(scout.pid());
        self.leaving.push(scout.pid());
        self.leaving.retain(|pid| !scout::has_ended(*pid));
    }

    fn take_back(&mut self, mut party: Party) {
        self.is_back(&party.scout);
        party.slots = [0; SLOTS];
        // What is held open keeps a disk from being unmounted.
        if self.idle.len() < MOST_IDLE && party.scout.rest().is_ok() {
            self.idle.push(party);
        } else {
            self.dismiss(&party.scout);
        }
    }
}

/// One opened directory's claim on a scout, shared by all that was opened from it.
#[derive(Debug, Default)]
pub(super) struct Claim(Mutex<Option<Party>>);

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(party) = self.0.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            office().take_back(party);
        }
    }
}

/// The mounts below a directory that may not answer.
#[derive(Clone, Debug)]
pub(super) struct Nested {
    mounts: Arc<[Arc<Mount>]>,
    /// The directory's path without links.
    real: PathBuf,
    claim: Arc<Claim>,
}

impl Nested {
    /// `None` where there are none.
    fn of(mounts: &[Mount], real: PathBuf) -> Option<Self> {
        Some(Self::all(mounts, real)).filter(Self::has_any)
    }

    fn all(mounts: &[Mount], real: PathBuf) -> Self {
        let mounts = mounts.iter().filter(|mount| mount.may_not_answer()).cloned().map(Arc::new).collect();
        Self { mounts, real, claim: Arc::default() }
    }

    fn has_any(&self) -> bool {
        self.mounts.iter().any(|mount| mount.point != self.real && mount.point.starts_with(&self.real))
    }

    /// The same for a directory within.
    pub(super) fn below(&self, name: &OsStr) -> Option<Self> {
        Some(Self { real: self.real.join(name), ..self.clone() }).filter(Self::has_any)
    }

    fn at(&self, name: &OsStr) -> Option<&Arc<Mount>> {
        let path = self.real.join(name);
        self.mounts.iter().rfind(|mount| mount.point == path)
    }

    /// The directory as a scout sees it, for a name in it that such a mount stands at.
    pub(super) fn guarded(&self, name: &OsStr, directory: &LinuxDirectory) -> Option<Box<dyn Directory>> {
        let mount = self.at(name)?;
        Some(Box::new(Guarded {
            number: Guarded::next_number(),
            claim: Arc::clone(&self.claim),
            path: directory.path().to_owned(),
            way: self.real.clone(),
            follow: false,
            id: directory.id(),
            mount: Arc::clone(mount),
            nested: None,
        }))
    }
}

/// A directory that a scout holds open for us.
struct Guarded {
    /// Tells it from all others, for the slots; 0 is nobody's.
    number: u64,
    claim: Arc<Claim>,
    /// What it is called.
    path: PathBuf,
    /// By what it is opened.
    way: PathBuf,
    follow: bool,
    id: DirectoryId,
    /// Whose silence it is if there is no answer.
    mount: Arc<Mount>,
    nested: Option<Nested>,
}

/// A call that got no reply, and at which mount.
enum Fault {
    Silent,
    Ended,
    Error(io::Error),
}

impl From<Silence> for Fault {
    fn from(silence: Silence) -> Self {
        match silence {
            Silence::Late => Self::Silent,
            Silence::Ended => Self::Ended,
        }
    }
}

fn payload(reply: Reply) -> io::Result<Vec<u8>> {
    match reply {
        Reply::Done(payload) => Ok(payload),
        Reply::Failed(errno) => Err(errno.into()),
        Reply::NotRegular(kind) => Err(became(kind)),
    }
}

impl Guarded {
    fn next_number() -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        NEXT.fetch_add(1, Ordering::Relaxed)
    }

    fn open(
        claim: &Arc<Claim>, path: PathBuf, way: PathBuf, mount: Arc<Mount>, nested: Option<Nested>,
    ) -> io::Result<Self> {
        let id = DirectoryId { dev: 0, ino: 0, mount: 0 };
        let claim = Arc::clone(claim);
        let mut opened = Self { number: Self::next_number(), claim, path, way, follow: true, id, mount, nested };
        let stat = opened.call(&opened.mount, |party| opened.open_slot(party).map(|(_, stat)| stat))?;
        opened.id = DirectoryId::of(&stat);
        Ok(opened)
    }

    /// Has something done by the scout. One that was lost before is replaced; what it had open is opened again.
    fn call<T>(&self, mount: &Arc<Mount>, ask: impl Fn(&mut Party) -> Result<T, Fault>) -> io::Result<T> {
        let mut held = self.claim.0.lock().unwrap_or_else(PoisonError::into_inner);
        // An idle one may have ended meanwhile: with the thread that it was forked from, or by somebody's hand.
        for _ in 0..=MOST_IDLE {
            if !office().admits(mount.id) {
                return Err(silent(mount));
            }
            let mut party = match held.take() {
                Some(party) => party,
                None => office().send_out()?,
            };
            match ask(&mut party) {
                Ok(answer) => {
                    office().unanswered.remove(&mount.id);
                    *held = Some(party);
                    return Ok(answer);
                }
                Err(Fault::Error(error)) => {
                    office().unanswered.remove(&mount.id);
                    *held = Some(party);
                    return Err(error);
                }
                Err(Fault::Silent) => {
                    office().lose(mount.id, party.scout);
                    return Err(silent(mount));
                }
                Err(Fault::Ended) => office().dismiss(&party.scout),
            }
        }
        Err(io::Error::other("the process that looks at such file systems for us was ended again and again"))
    }

    /// The slot in which it is open, opened again where it is not.
    fn slot(&self, party: &mut Party) -> Result<usize, Fault> {
        if let Some(slot) = party.slots.iter().position(|number| *number == self.number) {
            return Ok(slot);
        }
        let (slot, stat) = self.open_slot(party)?;
        if DirectoryId::of(&stat) != self.id {
            party.slots[slot] = 0;
            return Err(Fault::Error(Errno::STALE.into()));
        }
        Ok(slot)
    }

    fn open_slot(&self, party: &mut Party) -> Result<(usize, FileStat), Fault> {
        let slot = party.next_slot(None);
        let name = self.way.as_os_str().as_bytes();
        let request = Request { ask: Ask::Open, slot: NO_SLOT, into: slot as u8, limit: self.follow.into(), name };
        let opened = payload(party.scout.ask(&request, PATIENCE)?).map_err(Fault::Error)?;
        let (stat, _) = scout::take_stat(&opened).map_err(Fault::Error)?;
        party.slots[slot] = self.number;
        Ok((slot, stat))
    }

    /// The mount that a name in it is on.
    fn mount_of(&self, name: &OsStr) -> &Arc<Mount> {
        self.nested.as_ref().and_then(|nested| nested.at(name)).unwrap_or(&self.mount)
    }

    fn ask(&self, ask: Ask, name: &OsStr, limit: usize) -> io::Result<Vec<u8>> {
        self.call(self.mount_of(name), |party| {
            let slot = self.slot(party)?;
            let name = name.as_bytes();
            let request = Request { ask, slot: slot as u8, into: NO_SLOT, limit: limit as u32, name };
            payload(party.scout.ask(&request, PATIENCE)?).map_err(Fault::Error)
        })
    }
}

fn silent(mount: &Mount) -> io::Error {
    let text = format!(
        "{} on {} did not answer within {} s; check its server or its network, or unmount it",
        mount.kind,
        mount.point.display(),
        PATIENCE.as_secs()
    );
    io::Error::new(io::ErrorKind::TimedOut, text)
}

impl Directory for Guarded {
    fn path(&self) -> &Path {
        &self.path
    }

    fn id(&self) -> DirectoryId {
        self.id
    }

    fn may_not_answer(&self) -> bool {
        true
    }

    fn real_path(&self) -> Option<PathBuf> {
        let path = self.ask(Ask::RealPath, OsStr::new(""), 0).ok()?;
        Some(PathBuf::from(OsString::from_vec(path)))
    }

    fn entries(&self, each: &mut dyn FnMut(&OsStr, Option<FileKind>, u64)) -> io::Result<()> {
        // All of them first: `each` may ask about the very entry that it is told of.
        let all = self.ask(Ask::Entries, OsStr::new(""), 0)?;
        let mut left = &all[..];
        while let Some((entry, rest)) = scout::take_entry(left) {
            each(OsStr::from_bytes(entry.name), entry.kind, entry.ino);
            left = rest;
        }
        Ok(())
    }

    fn stat(&self, name: &OsStr) -> io::Result<FileStat> {
        Ok(scout::take_stat(&self.ask(Ask::Stat, name, 0)?)?.0)
    }

    fn read(&self, name: &OsStr, limit: usize) -> io::Result<(FileStat, Vec<u8>)> {
        let answer = self.ask(Ask::Read, name, limit.min(MOST_READ))?;
        let (stat, bytes) = scout::take_stat(&answer)?;
        Ok((stat, bytes.to_vec()))
    }

    fn read_link(&self, name: &OsStr) -> io::Result<OsString> {
        Ok(OsString::from_vec(self.ask(Ask::ReadLink, name, 0)?))
    }

    fn open_child(&self, name: &OsStr) -> io::Result<Box<dyn Directory>> {
        let mount = self.mount_of(name);
        let number = Self::next_number();
        let stat = self.call(mount, |party| {
            let from = self.slot(party)?;
            let into = party.next_slot(Some(from));
            let request =
                Request { ask: Ask::Open, slot: from as u8, into: into as u8, limit: 0, name: name.as_bytes() };
            let opened = payload(party.scout.ask(&request, PATIENCE)?).map_err(Fault::Error)?;
            party.slots[into] = number;
            Ok(scout::take_stat(&opened).map_err(Fault::Error)?.0)
        })?;
        Ok(Box::new(Self {
            number,
            claim: Arc::clone(&self.claim),
            path: self.path.join(name),
            way: self.way.join(name),
            follow: false,
            id: DirectoryId::of(&stat),
            mount: Arc::clone(mount),
            nested: self.nested.as_ref().map(|nested| Nested { real: nested.real.join(name), ..nested.clone() }),
        }))
    }
}

#[cfg(test)]
mod tests;
