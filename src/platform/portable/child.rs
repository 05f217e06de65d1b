//! A command that runs under a lock, where nothing is known of signals: it gets what its terminal sends, by itself.
//!
//! Owns: what [`crate::platform::linux`]'s namesake has, with less in it. Never: signals anybody.

use std::ffi::OsString;
use std::io;
use std::process::{Child, Command};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this code.
    Code(u8),
    /// By this signal.
    Signal(i32),
}

/// Nothing is caught here.
#[derive(Debug)]
pub struct Signals;

impl Signals {
    /// Catches nothing.
    pub fn catch() -> io::Result<Self> {
        Ok(Self)
    }

    /// None ever came.
    pub fn came(&mut self) -> Option<i32> {
        None
    }
}

/// A command to be started; here its PID is not known before, and ours stands for it.
#[derive(Debug)]
pub struct Prepared(Vec<OsString>);

/// Prepares it.
pub fn prepare(line: &[OsString]) -> io::Result<Prepared> {
    Ok(Prepared(line.to_vec()))
}

impl Prepared {
    /// Ours.
    pub fn pid(&self) -> u32 {
        std::process::id()
    }

    /// Starts it.
    pub fn start(self) -> io::Result<Running> {
        let (program, arguments) = self.0.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        Command::new(program).args(arguments).spawn().map(|child| Running { child })
    }
}

/// A command that runs.
#[derive(Debug)]
pub struct Running {
    child: Child,
}

impl Running {
    /// Its PID.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end.
    pub fn wait(mut self, _signals: &mut Signals) -> io::Result<Ended> {
        Ok(Ended::Code(self.child.wait()?.code().unwrap_or(1) as u8))
    }
}
