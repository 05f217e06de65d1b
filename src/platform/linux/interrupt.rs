//! SIGINT and SIGTERM, caught: whoever works through many things asks between two of them whether to stop.
//!
//! Owns: the handlers, and a socket by which a wait ends at once. Never: ends the program, but at the second signal, for
//! whoever does not want to wait (a hung file system); what is half done then, recovery finishes.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::{flag, low_level::pipe};
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// From when it is made the two signals no longer end the program, the first time.
#[derive(Debug)]
pub struct Interrupt {
    came: UnixStream,
}

impl Interrupt {
    /// Catches them from now on.
    pub fn catch() -> io::Result<Self> {
        let (came, wake) = UnixStream::pair()?;
        let once = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first signal finds the flag down and raises it, the second finds it up.
            flag::register_conditional_default(signal, Arc::clone(&once))?;
            flag::register(signal, Arc::clone(&once))?;
            pipe::register(signal, wake.try_clone()?)?;
        }
        Ok(Self { came })
    }

    /// Whether one came.
    pub fn is_set(&self) -> bool {
        self.wait(Duration::ZERO)
    }

    /// Waits for one, so long at most; tells whether one came, now or earlier.
    pub fn wait(&self, at_most: Duration) -> bool {
        // Nothing is ever read from the socket, so it stays readable. A handler that ran meanwhile ends the call (EINTR).
        let ready = |span: Duration| {
            let span = Timespec::try_from(span).unwrap_or(Timespec { tv_sec: i64::from(i32::MAX), tv_nsec: 0 });
            poll(&mut [PollFd::new(&self.came, PollFlags::IN)], Some(&span))
        };
        match ready(at_most) {
            Err(_) => ready(Duration::ZERO).is_ok_and(|count| count > 0),
            Ok(count) => count > 0,
        }
    }
}
