//! A scout: a process of ours that looks in our stead where a look may never return.
//!
//! A thread would not do. While a FUSE daemon has a request in hand (sshfs with its network gone), the caller waits
//! uninterruptibly (fs/fuse/dev.c, `request_wait_answer`), and so does the close of a file there (`fuse_flush`); a process
//! with such a thread cannot even be killed, and whoever started it waits with it. So we fork: the scout alone touches
//! the mount, and can be left behind.
//! Owns: the fork, the scout's whole life, and the words between us. Never: judges whether to wait (that is
//! [`super::guard`]'s); in the scout: allocates, takes a lock, or keeps anything of ours open.

use super::directory::{DIRECTORY, Regular, each_entry, file_kind, file_stat, read_regular, statx};
use crate::model::facts::{FileKind, FileStat};
use crate::model::time::Wall;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions};
use std::ffi::CStr;
use std::io::{self, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// How many directories a scout holds open at once; of more, the longest unused is opened again when it is asked.
pub(super) const SLOTS: usize = 64;
/// In place of a slot: the name is an absolute path.
pub(super) const NO_SLOT: u8 = u8::MAX;
/// More than `PATH_MAX`, with its end.
const LONGEST_NAME: usize = 4200;
/// The most that is read of a file in one request.
pub(super) const MOST_READ: usize = 64 * 1024;
const REQUEST: usize = 12;
const REPLY: usize = 8;
/// Entries are sent in batches of about this size.
const BATCH: usize = 32 * 1024;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Ask {
    /// Open a directory, put it in slot `into`, and give its stat; `limit` 1 = through a link, if it is one.
    Open = 1,
    Stat,
    Read,
    ReadLink,
    Entries,
    RealPath,
    /// Close all; no reply.
    Rest,
}

impl Ask {
    fn from(byte: u8) -> Option<Self> {
        let all = [Self::Open, Self::Stat, Self::Read, Self::ReadLink, Self::Entries, Self::RealPath, Self::Rest];
        all.into_iter().find(|ask| *ask as u8 == byte)
    }
}

/// One request: of the directory in a slot (or of none), about a name in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    pub(super) ask: Ask,
    pub(super) slot: u8,
    pub(super) into: u8,
    pub(super) limit: u32,
    pub(super) name: &'a [u8],
}

/// How a reply goes on.
const DONE: i32 = 0;
const MORE: i32 = -1;
const NOT_REGULAR: i32 = -2;

/// What came back.
#[derive(Debug)]
pub(super) enum Reply {
    /// All payloads, one after another.
    Done(Vec<u8>),
    Failed(Errno),
    /// It has become another kind of file.
    NotRegular(FileKind),
}

/// Why nothing came back.
#[derive(Debug)]
pub(super) enum Silence {
    /// Not in time. The scout may still be at it.
    Late,
    /// It has ended.
    Ended,
}

/// Our end.
#[derive(Debug)]
pub(super) struct Scout {
    channel: UnixStream,
    pid: Pid,
}

impl Scout {
    /// Forks one.
    pub(super) fn start() -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        // All that it will ever need is allocated here: at the fork another thread may hold the allocator's lock.
        let desk = Desk::new(theirs.into());
        // SAFETY: the process has several threads, so until it ends the child may call only what is async-signal-safe.
        // It runs `Desk::serve` alone, which makes system calls on memory that is there already, and never returns.
        match unsafe { libc::fork() } {
            0 => live_and_die(desk),
            pid => match Pid::from_raw(pid).filter(|_| pid > 0) {
                Some(pid) => Ok(Self { channel: ours, pid }),
                None => Err(io::Error::last_os_error()),
            },
        }
    }

    /// Its process.
    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// Asks and waits for the whole reply, so long at most for each part of it.
    pub(super) fn ask(&mut self, request: &Request<'_>, patience: Duration) -> Result<Reply, Silence> {
        self.send(request)?;
        let mut all = Vec::new();
        loop {
            let until = Instant::now() + patience;
            let mut head = [0; REPLY];
            self.receive(&mut head, until)?;
            let (length, status) = (number(&head, 0), number(&head, 4) as i32);
            let at = all.len();
            all.resize(at + length as usize, 0);
            self.receive(&mut all[at..], until)?;
            match status {
                MORE => {}
                DONE => return Ok(Reply::Done(all)),
                NOT_REGULAR => return Ok(Reply::NotRegular(kind_of(all.first().copied()))),
                errno => return Ok(Reply::Failed(Errno::from_raw_os_error(errno))),
            }
        }
    }

    /// Tells it to close what it has open. It is short, so it never waits.
    pub(super) fn rest(&mut self) -> Result<(), Silence> {
        self.send(&Request { ask: Ask::Rest, slot: NO_SLOT, into: NO_SLOT, limit: 0, name: &[] })
    }

    /// Whether a late reply has begun to come: `None` = it has ended.
    pub(super) fn has_answered(&self) -> Option<bool> {
        let ready = wait_for(&self.channel, Duration::ZERO);
        // An end shows as readable too; only a look at the bytes tells it from an answer.
        if !ready {
            return Some(false);
        }
        self.channel.set_nonblocking(true).ok()?;
        let got = (&self.channel).read(&mut [0; 1]);
        matches!(got, Ok(1)).then_some(true)
    }

    fn send(&mut self, request: &Request<'_>) -> Result<(), Silence> {
        let mut bytes = Vec::with_capacity(REQUEST + request.name.len());
        bytes.extend([request.ask as u8, request.slot, request.into, 0]);
        bytes.extend((request.name.len() as u32).to_le_bytes());
        bytes.extend(request.limit.to_le_bytes());
        bytes.extend(request.name);
        self.channel.write_all(&bytes).map_err(|_| Silence::Ended)
    }

    fn receive(&mut self, mut into: &mut [u8], until: Instant) -> Result<(), Silence> {
        while !into.is_empty() {
            if !wait_for(&self.channel, until.saturating_duration_since(Instant::now())) {
                return Err(Silence::Late);
            }
            match self.channel.read(into) {
                Ok(0) => return Err(Silence::Ended),
                Ok(count) => into = &mut into[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(Silence::Ended),
            }
        }
        Ok(())
    }
}

fn wait_for(channel: &impl std::os::fd::AsFd, at_most: Duration) -> bool {
    let until = Instant::now() + at_most;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        match poll(&mut [PollFd::new(channel, PollFlags::IN)], Some(&left)) {
            Err(Errno::INTR) => {}
            other => return other.is_ok_and(|ready| ready > 0),
        }
    }
}

/// The number that stands at `at` in the head of a message.
fn number(head: &[u8], at: usize) -> u32 {
    head.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

/// `kill -9`; it may be waiting where even that does not reach it.
pub(super) fn kill(pid: Pid) {
    let _ = rustix::process::kill_process(pid, Signal::KILL);
}

/// Waits for its end, without taking note of it.
pub(super) fn ends_within(pid: Pid, at_most: Duration) -> bool {
    rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).is_ok_and(|fd| wait_for(&fd, at_most))
}

/// Takes note of its end; `false` = it has not ended.
pub(super) fn has_ended(pid: Pid) -> bool {
    match rustix::process::waitpid(Some(pid), WaitOptions::NOHANG) {
        Ok(None) | Err(Errno::INTR) => false,
        // ECHILD: somebody here has taken note already, or nobody is to (SIGCHLD ignored).
        Ok(Some(_)) | Err(_) => true,
    }
}

/// The bytes of a stat, between us and the scout.
const STAT: usize = 13 * 8;

fn put_stat(stat: &FileStat, into: &mut Vec<u8>) {
    let words = [
        stat.kind as u64,
        stat.mode.into(),
        stat.uid.into(),
        stat.links.into(),
        stat.size,
        stat.dev,
        stat.ino,
        stat.mount,
        stat.modified.0 as u64,
        stat.changed.0 as u64,
        stat.born.is_some().into(),
        stat.born.unwrap_or_default().0 as u64,
        stat.mount_root.into(),
    ];
    for word in words {
        into.extend(word.to_le_bytes());
    }
}

/// A stat from the head of a payload, and what follows it.
pub(super) fn take_stat(payload: &[u8]) -> io::Result<(FileStat, &[u8])> {
    let Some((head, rest)) = payload.split_at_checked(STAT) else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the answer of our own process was cut short"));
    };
    let word = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&head[at * 8..at * 8 + 8]);
        u64::from_le_bytes(bytes)
    };
    let stat = FileStat {
        kind: kind_of(Some(word(0) as u8)),
        mode: word(1) as u16,
        uid: word(2) as u32,
        links: word(3) as u32,
        size: word(4),
        dev: word(5),
        ino: word(6),
        mount: word(7),
        modified: Wall(word(8) as i64),
        changed: Wall(word(9) as i64),
        born: (word(10) != 0).then_some(Wall(word(11) as i64)),
        mount_root: word(12) != 0,
    };
    Ok((stat, rest))
}

fn kind_of(byte: Option<u8>) -> FileKind {
    use FileKind::{Device, Directory, Fifo, Regular, Socket, Symlink};
    let all = [Regular, Directory, Symlink, Fifo, Socket, Device];
    all.into_iter().find(|kind| Some(*kind as u8) == byte).unwrap_or(Device)
}

const NO_KIND: u8 = u8::MAX;

/// One entry of a listing.
pub(super) struct Entry<'a> {
    pub(super) name: &'a [u8],
    pub(super) kind: Option<FileKind>,
    pub(super) ino: u64,
}

/// One entry from the head of a payload, and what follows it.
pub(super) fn take_entry(payload: &[u8]) -> Option<(Entry<'_>, &[u8])> {
    let (kind, rest) = payload.split_first()?;
    let (ino, rest) = rest.split_first_chunk::<8>()?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let (name, rest) = rest.split_at_checked(u16::from_le_bytes(*length).into())?;
    let kind = (*kind != NO_KIND).then(|| kind_of(Some(*kind)));
    Some((Entry { name, kind, ino: u64::from_le_bytes(*ino) }, rest))
}

/// All that a scout has, made before it is born. Its buffers never grow.
struct Desk {
    channel: OwnedFd,
    slots: [Option<OwnedFd>; SLOTS],
    name: Vec<u8>,
    out: Vec<u8>,
    content: Vec<u8>,
    raw: Vec<MaybeUninit<u8>>,
    most_files: u64,
}

fn live_and_die(mut desk: Desk) -> ! {
    // A panic must not unwind into the copy of our caller.
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| desk.serve()));
    // SAFETY: ends the process at once; nothing of the parent's (buffers, handlers) is run or flushed.
    unsafe { libc::_exit(0) }
}

impl Desk {
    fn new(channel: OwnedFd) -> Self {
        let most_files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        Self {
            channel,
            slots: [const { None }; SLOTS],
            name: Vec::with_capacity(LONGEST_NAME),
            out: Vec::with_capacity(REPLY + STAT + MOST_READ + BATCH),
            content: Vec::with_capacity(MOST_READ),
            raw: vec![MaybeUninit::uninit(); 64 * 1024],
            most_files: most_files.unwrap_or(65_536).min(1 << 20),
        }
    }

    /// Until the channel ends, which it does with us.
    fn serve(&mut self) {
        // If we end while it hangs, and it can be killed, it goes with us.
        let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
        self.keep_nothing();
        // It must keep no mount busy.
        let _ = rustix::process::chdir(c"/");
        let _ = rustix::thread::set_name(c"lockscope-scout");
        while self.serve_one().is_some() {}
    }

    /// Closes all but the channel. What we hold must end with us: kernel locks, and the pipe that a reader of our output
    /// waits at.
    fn keep_nothing(&self) {
        let kept = self.channel.as_raw_fd() as libc::c_uint;
        let range = |first: libc::c_uint, last: libc::c_uint| {
            // SAFETY: takes three numbers; nobody in this process uses the descriptors that it closes.
            first > last || unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) } == 0
        };
        if range(kept + 1, libc::c_uint::MAX) && (kept == 0 || range(0, kept - 1)) {
            return;
        }
        // Before Linux 5.9, one by one.
        for fd in (0..self.most_files as libc::c_int).filter(|fd| *fd != self.channel.as_raw_fd()) {
            // SAFETY: as above.
            unsafe { libc::close(fd) };
        }
    }

    /// `None` = nobody asks any more.
    fn serve_one(&mut self) -> Option<()> {
        let mut head = [0; REQUEST];
        receive(&self.channel, &mut head)?;
        let [ask, slot, into, ..] = head;
        let (length, limit) = (number(&head, 4) as usize, number(&head, 8) as usize);
        if length >= LONGEST_NAME {
            return None;
        }
        self.name.clear();
        self.name.resize(length, 0);
        receive(&self.channel, &mut self.name)?;
        self.name.push(0);
        let ask = Ask::from(ask)?;
        if ask == Ask::Rest {
            self.slots = [const { None }; SLOTS];
            return Some(());
        }
        self.out.clear();
        self.out.resize(REPLY, 0);
        let status = match self.look(ask, slot, into, limit) {
            Ok(status) => status,
            Err(error) => {
                self.out.truncate(REPLY);
                error.raw_os_error()
            }
        };
        self.reply(status)
    }

    /// Puts the payload behind the head of the reply, and gives its status.
    fn look(&mut self, ask: Ask, slot: u8, into: u8, limit: usize) -> rustix::io::Result<i32> {
        let name = CStr::from_bytes_with_nul(&self.name).map_err(|_| Errno::INVAL)?;
        let at = self.slots.get(usize::from(slot)).and_then(Option::as_ref);
        if ask == Ask::Open {
            let link = if limit == 0 { OFlags::NOFOLLOW } else { OFlags::empty() };
            let opened = match at {
                Some(at) => rustix::fs::openat(at, name, DIRECTORY | link, Mode::empty())?,
                None if slot == NO_SLOT => rustix::fs::open(name, DIRECTORY | link, Mode::empty())?,
                None => return Err(Errno::BADF),
            };
            put_stat(&file_stat(&statx(opened.as_fd(), c"", AtFlags::EMPTY_PATH)?), &mut self.out);
            *self.slots.get_mut(usize::from(into)).ok_or(Errno::BADF)? = Some(opened);
            return Ok(DONE);
        }
        let at = at.ok_or(Errno::BADF)?;
        match ask {
            Ask::Stat => put_stat(&file_stat(&statx(at.as_fd(), name, AtFlags::empty())?), &mut self.out),
            Ask::Read => {
                match read_regular(at.as_fd(), name, limit.min(MOST_READ), &mut self.content)? {
                    Regular::Is(stat) => put_stat(&stat, &mut self.out),
                    Regular::Became(kind) => {
                        self.out.push(kind as u8);
                        return Ok(NOT_REGULAR);
                    }
                }
                self.out.extend_from_slice(&self.content);
            }
            Ask::ReadLink => {
                let (target, _) = rustix::fs::readlinkat_raw(at, name, &mut self.raw[..])?;
                self.out.extend_from_slice(target);
            }
            Ask::RealPath => {
                // Names the directory without asking it.
                let links = rustix::fs::open(c"/proc/self/fd", DIRECTORY, Mode::empty())?;
                let number = rustix::path::DecInt::from_fd(at);
                let (target, _) = rustix::fs::readlinkat_raw(links, number.as_c_str(), &mut self.raw[..])?;
                self.out.extend_from_slice(target);
            }
            Ask::Entries => {
                let (out, channel) = (&mut self.out, &self.channel);
                let mut gone = false;
                each_entry(at.as_fd(), &mut self.raw, &mut |name, kind, ino| {
                    let kind = kind.map_or(NO_KIND, |kind| file_kind(kind) as u8);
                    out.push(kind);
                    out.extend(ino.to_le_bytes());
                    out.extend((name.len() as u16).to_le_bytes());
                    out.extend_from_slice(name);
                    if out.len() > BATCH {
                        gone |= send(channel, out, MORE).is_none();
                        out.truncate(REPLY);
                    }
                })?;
                if gone {
                    return Err(Errno::PIPE);
                }
            }
            Ask::Open | Ask::Rest => {}
        }
        Ok(DONE)
    }

    fn reply(&mut self, status: i32) -> Option<()> {
        send(&self.channel, &mut self.out, status)
    }
}

/// Sends what stands in `out` behind the place for the head.
fn send(channel: &OwnedFd, out: &mut [u8], status: i32) -> Option<()> {
    let length = out.len() - REPLY;
    out[..4].copy_from_slice(&(length as u32).to_le_bytes());
    out[4..REPLY].copy_from_slice(&status.to_le_bytes());
    let mut left = &*out;
    while !left.is_empty() {
        match rustix::io::write(channel, left) {
            Ok(count) => left = &left[count..],
            Err(Errno::INTR) => {}
            Err(_) => return None,
        }
    }
    Some(())
}

fn receive(channel: &OwnedFd, mut into: &mut [u8]) -> Option<()> {
    while !into.is_empty() {
        match rustix::io::read(channel, &mut *into) {
            Ok(0) => return None,
            Ok(count) => into = &mut into[count..],
            Err(Errno::INTR) => {}
            Err(_) => return None,
        }
    }
    Some(())
}
