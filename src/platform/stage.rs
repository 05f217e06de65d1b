//! What the demo needs of the world: a directory of its own, files as programs leave them, and processes that act.
//!
//! Owns: the demo's directory and children, and their end. Never: touches anything outside that directory.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

/// A directory that goes with its owner.
#[derive(Debug)]
pub struct Stage {
    path: PathBuf,
    actors: Vec<Child>,
}

impl Stage {
    /// Makes `lockscope-demo-<pid>` in the temporary directory.
    pub fn make() -> io::Result<Self> {
        let base = std::env::temp_dir();
        for attempt in 0..100 {
            let path = base.join(format!("lockscope-demo-{}-{attempt}", std::process::id()));
            match std::fs::create_dir(&path) {
                Ok(()) => return Ok(Self { path, actors: Vec::new() }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::new(io::ErrorKind::AlreadyExists, "no free name for a demo directory"))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file into it, as if last touched `age` ago.
    pub fn write(&self, name: &str, content: &[u8], age: Duration) -> io::Result<()> {
        let path = self.path.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let mut file = File::create(&path)?;
        file.write_all(content)?;
        file.set_modified(SystemTime::now() - age)
    }

    /// Starts this very program as an actor. It lives until its standard input ends, so it cannot outlive us, however
    /// we end.
    pub fn spawn(&mut self, arguments: &[&str]) -> io::Result<()> {
        let program = std::env::current_exe()?;
        let mut command = Command::new(program);
        // Ctrl-C in the terminal is for us; the actors end by our end, and one of them cleans up after it.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = command
            .arg("demo-actor")
            .args(arguments)
            .current_dir(&self.path)
            // What an actor does in Lockscope's own name must not end up among the person's own things.
            .env("LOCKSCOPE_STATE_DIR", self.path.join(".lockscope-demo-state"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        self.actors.push(child);
        Ok(())
    }

    /// Takes note of actors that have ended, so that no zombie stays; tells how many are left.
    pub fn reap(&mut self) -> usize {
        self.actors.retain_mut(|actor| !matches!(actor.try_wait(), Ok(Some(_))));
        self.actors.len()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for actor in &mut self.actors {
            drop(actor.stdin.take());
            let _ = actor.kill();
            let _ = actor.wait();
        }
        // Ours alone: we made it, under a name that nobody else had.
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "the demo's directory could not be removed");
        }
    }
}

/// Ends this process when its standard input does: when whoever started it has ended.
pub fn end_with_parent() {
    std::thread::spawn(|| {
        let mut rest = Vec::new();
        let _ = io::stdin().lock().read_to_end(&mut rest);
        std::process::exit(0);
    });
}

/// Waits for the end of whoever started it, then removes the demo's directory: the program may have been killed, and had
/// no time to do so itself.
pub fn clean_up_after_parent(directory: &Path) {
    const TRIES: u32 = 100;
    let named_by_us = directory.file_name().is_some_and(|name| name.to_string_lossy().starts_with("lockscope-demo-"));
    if !named_by_us {
        return;
    }
    let mut rest = Vec::new();
    let _ = io::stdin().lock().read_to_end(&mut rest);
    for _ in 0..TRIES {
        // The actors end at the same moment; one may still make a file while the tree is being removed.
        match std::fs::remove_dir_all(directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => pause(Duration::from_millis(20)),
            _ => return,
        }
    }
}

/// Ends this process as `kill -9` does: no handler, no clean-up.
pub fn crash() -> ! {
    std::process::abort()
}

/// Takes an existence lock; `AlreadyExists` = somebody has it.
pub fn take_existence_lock(path: &Path, record: &[u8]) -> io::Result<()> {
    OpenOptions::new().create_new(true).write(true).open(path)?.write_all(record)
}

/// Makes a file look as if last touched `age` ago.
pub fn set_age(path: &Path, age: Duration) -> io::Result<()> {
    OpenOptions::new().write(true).open(path)?.set_modified(SystemTime::now() - age)
}

/// Releases an existence lock that this process took.
pub fn release_existence_lock(path: &Path) -> io::Result<()> {
    std::fs::remove_file(path)
}

/// Lets time pass.
pub fn pause(span: Duration) {
    std::thread::sleep(span);
}
