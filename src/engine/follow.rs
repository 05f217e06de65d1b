//! Following one directory without an engine: for a command that prints what changes.
//!
//! Owns: [`follow`]. Never: acts on a lock, or writes anything down.

use super::session::Session;
use super::watched::Life;
use super::words::Inbox;
use crate::inspect::LookOptions;
use crate::model::snapshot::Snapshot;
use crate::platform::System;
use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Gives `each` the pictures of one directory, each as soon as something in it has changed, until it breaks off. It is
/// called by the thread that looks, which is the caller's: nobody has to be woken to print. `directory` must be absolute.
pub fn follow(
    system: Arc<dyn System>, directory: PathBuf, options: LookOptions,
    each: &mut dyn FnMut(Snapshot) -> ControlFlow<()>,
) -> io::Result<()> {
    // Nobody says anything, but a session whose words have nobody to come from would end.
    let (_words, inbox) = Inbox::open()?;
    let life = Life { ended: Arc::default(), shown: Arc::new(AtomicBool::new(true)) };
    let ended = Arc::clone(&life.ended);
    let publish = |picture| {
        // What was begun by then may still publish once more.
        if !ended.load(Ordering::Acquire) && each(picture).is_break() {
            ended.store(true, Ordering::Release);
        }
    };
    let session = Session {
        system,
        inbox,
        options: Arc::new(options),
        path: directory,
        life,
        sight: None,
        first_id: 0,
        slow_pass: super::SLOW_PASS,
        // Each change is told as it comes: nobody's eyes have to follow.
        gather: Duration::ZERO,
        state_dir: None,
        publish: Box::new(publish),
    };
    session.run();
    Ok(())
}
