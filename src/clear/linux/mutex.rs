//! One inspector at a time in a directory, and the intents of those at work.
//!
//! Owns: `<runtime>/<dev>-<ino>.mutex` (a kernel lock on a file of our own, which stays), `<state>/pending/<txn>.json`.
//! Never: locks the user's directory itself: tools do that.

use super::Workplace;
use super::journal::RawPath;
use super::placeholder::{Form, Maker};
use super::putback::PATIENCE;
use crate::platform::linux::change::{Place, private_directory};
use serde::{Deserialize, Serialize};
use std::fs::{File, TryLockError};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Keeps other Lockscopes of this user out of one directory until it is dropped. The kernel drops it with the process.
#[derive(Debug)]
pub(crate) struct DirectoryMutex(#[allow(dead_code, reason = "held for its lock")] File);

impl DirectoryMutex {
    /// `None` where another does not let go in time.
    pub(crate) fn take(workplace: &Workplace, place: &Place) -> io::Result<Option<Self>> {
        private_directory(&workplace.runtime_dir)?;
        let id = place.id()?;
        let path = workplace.runtime_dir.join(format!("{}-{}.mutex", id.dev, id.ino));
        let file = File::options().create(true).truncate(false).write(true).open(path)?;
        let began = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Some(Self(file))),
                Err(TryLockError::WouldBlock) if began.elapsed() > PATIENCE * 5 => return Ok(None),
                // A clear takes milliseconds; flock itself knows no time limit.
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(2)),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }
}

/// Written before the first of our names appears in a directory, removed after the last has gone: recovery looks here and
/// need not read the journal, nor list directories of 100,000 files, to know that there is nothing to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Pending {
    pub(crate) id: String,
    pub(crate) txn: String,
    pub(crate) parent: RawPath,
    pub(crate) parent_dev: u64,
    pub(crate) parent_ino: u64,
    pub(crate) name: RawPath,
    pub(crate) form: Form,
    pub(crate) maker: Maker,
}

impl Pending {
    fn directory(workplace: &Workplace) -> PathBuf {
        workplace.state_dir.join("pending")
    }

    pub(crate) fn write(&self, workplace: &Workplace) -> io::Result<()> {
        let directory = Self::directory(workplace);
        private_directory(&directory)?;
        // Under another name first: a reader never sees half of it.
        let draft = directory.join(format!("{}.draft", self.txn));
        std::fs::write(&draft, serde_json::to_vec(self)?)?;
        std::fs::rename(&draft, directory.join(format!("{}.json", self.txn)))
    }

    pub(crate) fn remove(workplace: &Workplace, txn: &str) -> io::Result<()> {
        match std::fs::remove_file(Self::directory(workplace).join(format!("{txn}.json"))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// All that are there. What cannot be read is passed over: the journal has the rest.
    pub(crate) fn all(workplace: &Workplace) -> io::Result<Vec<Self>> {
        let entries = match std::fs::read_dir(Self::directory(workplace)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|end| end == "json") {
                let read = std::fs::read(&path).and_then(|bytes| Ok(serde_json::from_slice::<Self>(&bytes)?));
                match read {
                    Ok(pending) => found.push(pending),
                    Err(error) => tracing::warn!(path = %path.display(), %error, "an intent cannot be read"),
                }
            }
        }
        Ok(found)
    }
}
