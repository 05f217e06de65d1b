//! Following one directory without an engine: for a command that prints what changes.
//!
//! Owns: [`Following`]. Never: acts on a lock, or writes anything down.

use super::session::{Session, Word};
use super::watched::Life;
use crate::inspect::LookOptions;
use crate::model::snapshot::Snapshot;
use crate::platform::System;
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The pictures of one directory, each as soon as something in it has changed. They end with nothing but their reader.
pub struct Following {
    pictures: Receiver<Snapshot>,
    life: Life,
    _words: Sender<Word>,
}

impl Following {
    /// Begins; `directory` must be absolute.
    pub fn start(system: Arc<dyn System>, directory: PathBuf, options: LookOptions) -> io::Result<Self> {
        let (publish, pictures) = unbounded();
        let (words, received) = unbounded();
        let life = Life { ended: Arc::default(), shown: Arc::new(AtomicBool::new(true)) };
        let session = Session {
            system,
            words: received,
            options,
            path: directory,
            life: life.clone(),
            sight: None,
            first_id: 0,
            slow_pass: super::SLOW_PASS,
            // Each change is told as it comes: nobody's eyes have to follow.
            gather: Duration::ZERO,
            state_dir: None,
            publish: Box::new(move |picture| {
                // Nobody reads any more: it ends at its next look.
                let _ = publish.send(picture);
            }),
        };
        std::thread::Builder::new().name("watch".into()).spawn(move || session.run())?;
        Ok(Self { pictures, life, _words: words })
    }
}

impl Iterator for Following {
    type Item = Snapshot;

    fn next(&mut self) -> Option<Snapshot> {
        self.pictures.recv().ok()
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.life.ended.store(true, Ordering::Release);
    }
}
