//! The demo: a made-up directory in which real processes take, hold, wait for, release and lose real locks.
//!
//! Owns: the play and its actors. The records it writes carry start token and PID namespace, so that they can be judged
//! inside a container too. Never: runs unless asked for, and leaves nothing behind.

use crate::clear;
use crate::inspect::{LookOptions, look_at_one};
use crate::lock::{FlockLock, LockConfig, LockError, MarkerLock, RecordStyle, Wait};
use crate::platform::stage::{self, Stage};
use crate::platform::{System, environment};
use serde_json::json;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const MINUTE: Duration = Duration::from_mins(1);

/// A demo under way; it ends when this is dropped.
#[derive(Debug)]
pub struct Demo {
    directory: PathBuf,
    ended: Arc<AtomicBool>,
    director: Option<std::thread::JoinHandle<()>>,
}

impl Demo {
    /// Makes the directory and starts the play.
    pub fn start(system: &Arc<dyn System>) -> io::Result<Self> {
        let mut stage = Stage::make()?;
        set_scene(&stage, &**system)?;
        for actor in CAST {
            stage.spawn(actor)?;
        }
        let directory = stage.path().to_owned();
        let ended = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&ended);
        let director = std::thread::Builder::new().name("demo".into()).spawn(move || {
            while !over.load(Ordering::Acquire) {
                stage.reap();
                std::thread::park_timeout(Duration::from_millis(500));
            }
        })?;
        Ok(Self { directory, ended, director: Some(director) })
    }

    /// Where it plays.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        if let Some(director) = self.director.take() {
            director.thread().unpark();
            let _ = director.join();
        }
    }
}

/// Role, file, and seconds of holding and of pausing.
const CAST: &[&[&str]] = &[
    &["caretaker"],
    // One works long, two wait for it; a third takes short turns elsewhere.
    &["kernel", "a41f9_messages.lock", "40", "1"],
    &["kernel", "a41f9_messages.lock", "12", "3"],
    &["kernel", "a41f9_messages.lock", "9", "4"],
    &["kernel", "a41f9_all.lock", "3", "4"],
    &["marker", "a41f9_uploaded_documents_list.lock", "15", "3"],
    &["pid", "report.pptx.lock", "600", "1"],
    &["json", "quarterly-numbers-final-really-final-v7.xlsx.lock", "25", "5"],
    &["soft", "thumbnails.lock", "18", "4"],
    // These die with their lock in hand.
    &["crash-marker", "a41f9_memory.lock", "14"],
    &["crash-json", "b7702_all.lock", "192"],
    &["crash-soft", "b7702_uploaded_documents_list.lock", "41"],
    &["crash-marker", "b7702_message_operations.lock", "0"],
    &["crash-pid", "import.lock", "4"],
    // A clear of ours that a power cut ends: its placeholder stays where the lock was.
    &["interrupt", "export.lock", "30"],
];

/// What stands there already when the curtain rises.
fn set_scene(stage: &Stage, system: &dyn System) -> io::Result<()> {
    // Kernel-lock files that nobody holds.
    stage.write("a41f9.lock", b"", 120 * MINUTE)?;
    stage.write("b7702.lock", b"", 24 * 60 * MINUTE)?;
    stage.write("b7702_messages.lock", b"", 90 * MINUTE)?;
    // git was killed in the middle of an add.
    stage.write("index.lock", b"DIRC\0\0\0\x02\0\0\0\0", 25 * MINUTE)?;
    // Another computer's.
    let elsewhere = json!({
        "pid": 812, "host": "nas2", "pid_ns": 4_026_531_836_u64, "boot_id": "0d5c2a3e-7d0f-4f0b-9d5e-3f0a6f9a1c77",
        "start_token": 88_123, "command": "rsync --server", "created": system.wall().minus(300 * MINUTE).rfc3339(),
    });
    stage.write("nightly-sync.lock", format!("{elsewhere}\n").as_bytes(), 300 * MINUTE)?;
    // Nobody knows.
    stage.write("build.lock", b"locked by the nightly build, ask Kim\n", 2 * 24 * 60 * MINUTE)
}

fn boot_id(host: &crate::platform::Host) -> String {
    host.boot_id.map_or_else(String::new, |id| format!("{id:032x}"))
}

/// What an actor cannot do.
#[derive(Debug, thiserror::Error)]
pub enum ActorError {
    /// The play has no such part.
    #[error("the demo has no such part: {0}")]
    NoSuchPart(String),
    /// It could not take its lock.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// It could not act.
    #[error("{}: {error}", path.display())]
    Io {
        /// On what.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// Plays one part; called in a process of its own, in the demo's directory. Ends with its parent.
pub fn act(system: &Arc<dyn System>, part: &[String]) -> Result<(), ActorError> {
    if part.first().is_some_and(|role| role == "caretaker") {
        stage::clean_up_after_parent(&environment::absolute(Path::new(".")));
        return Ok(());
    }
    stage::end_with_parent();
    let machine = system;
    let system = &**machine;
    let number = |at: usize| part.get(at).and_then(|text| text.parse::<u64>().ok()).unwrap_or(1);
    let (Some(role), Some(name)) = (part.first(), part.get(1)) else {
        return Err(ActorError::NoSuchPart(part.join(" ")));
    };
    let path = Path::new(name);
    let failed = |error| ActorError::Io { path: path.to_owned(), error };
    let marker = |style, command: &str| {
        let config = LockConfig { timeout: Wait::Never, stale_after: None, ..LockConfig::default() };
        MarkerLock::request(path, &config).style(style).command(command).acquire()
    };
    if let Some(kind) = role.strip_prefix("crash-") {
        let command = format!("worker --job {name}");
        let held = style(kind).map(|style| marker(style, &command)).transpose()?;
        if held.is_none() {
            stage::take_existence_lock(path, &by_hand(system, &command)).map_err(failed)?;
        }
        stage::set_age(path, MINUTE * number(2) as u32).map_err(failed)?;
        // Nothing is let go: this is a kill.
        std::mem::forget(held);
        stage::crash();
    }
    if role == "interrupt" {
        interrupt(machine, path, MINUTE * number(2) as u32);
        return Ok(());
    }
    let (hold, rest) = (Duration::from_secs(number(2)), Duration::from_secs(number(3)));
    loop {
        if role == "kernel" {
            let held = FlockLock::acquire(path, &LockConfig::waiting(Wait::Forever))?;
            stage::pause(hold);
            drop(held);
        } else if let Some(style) = style(role) {
            match marker(style, "worker --live") {
                Ok(held) => {
                    stage::pause(hold);
                    drop(held);
                }
                Err(error) if error.is_contention() => {}
                Err(error) => return Err(error.into()),
            }
        } else if role == "json" {
            match stage::take_existence_lock(path, &by_hand(system, "worker --live")) {
                Ok(()) => {
                    stage::pause(hold);
                    stage::release_existence_lock(path).map_err(failed)?;
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(error)),
            }
        } else {
            return Err(ActorError::NoSuchPart(role.clone()));
        }
        stage::pause(rest);
    }
}

/// Leaves a stale lock and is killed in the middle of clearing it.
fn interrupt(system: &Arc<dyn System>, path: &Path, age: Duration) {
    let host = system.host();
    let dead = json!({
        "pid": i32::MAX, "host": &*host.name, "pid_ns": host.pid_ns, "boot_id": boot_id(&host), "start_token": 1,
        "command": "export --all", "created": system.wall().minus(age).rfc3339(),
    });
    let made =
        stage::take_existence_lock(path, format!("{dead}\n").as_bytes()).and_then(|()| stage::set_age(path, age));
    let Some(workplace) = crate::lock::usual_workplace(Arc::clone(system)).filter(|_| made.is_ok()) else { return };
    let directory = environment::absolute(Path::new("."));
    let options = LookOptions::default();
    let Ok(Some((lock, _))) = look_at_one(system, &directory, path.as_os_str(), &options) else { return };
    match clear::recheck(&workplace, &directory, &lock, &options, clear::Consent::ByName) {
        Ok(permit) => {
            let _ = clear::clear_and_crash(permit);
        }
        Err(refusal) => tracing::warn!(%refusal, "the demo shows no interrupted clear"),
    }
}

/// How a part writes its lock; `None` = not with our means.
fn style(kind: &str) -> Option<RecordStyle> {
    match kind {
        "marker" => Some(RecordStyle::Lockscope),
        "pid" => Some(RecordStyle::PlainPid),
        "soft" => Some(RecordStyle::SoftFileLock),
        _ => None,
    }
}

/// A record as programs write it that have their own idea of one.
fn by_hand(system: &dyn System, command: &str) -> Vec<u8> {
    let (pid, host) = (environment::own_pid(), system.host().name);
    format!("{}\n", json!({"pid": pid, "host": &*host, "cmd": command})).into_bytes()
}
