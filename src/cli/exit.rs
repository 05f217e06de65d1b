//! How the program ends: four codes, each with one meaning.
//!
//! Owns: [`Exit`], [`Failure`]. Never: ends the program itself; `main` does.

use crate::inspect::LookError;
use std::io;

/// The exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// 0: done; for `status`: looked.
    Done,
    /// 1: something was refused, is still held, or timed out.
    Refused,
    /// 2: wrong usage.
    Usage,
    /// 3: could not look or act.
    Failed,
}

impl Exit {
    /// The number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Refused => 1,
            Self::Usage => 2,
            Self::Failed => 3,
        }
    }
}

/// Why a command ended before its work was done.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A directory could not be looked at.
    #[error(transparent)]
    Look(#[from] LookError),
    /// Its output could not be written.
    #[error("could not write: {0}")]
    Write(#[from] io::Error),
    /// It was asked for in a way that has no meaning.
    #[error("{0}")]
    Usage(String),
    /// Anything else that was in the way.
    #[error("{0}")]
    Failed(String),
}

impl Failure {
    /// The exit code it leads to. A reader that has seen enough (`| head`) is no failure.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Write(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
            Self::Usage(_) => Exit::Usage,
            Self::Look(_) | Self::Write(_) | Self::Failed(_) => Exit::Failed,
        }
    }

    /// The line for stderr; `None` where there is nothing to say.
    pub fn message(&self) -> Option<String> {
        (self.exit() != Exit::Done).then(|| self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_has_its_code() {
        let pipe = Failure::Write(io::ErrorKind::BrokenPipe.into());
        assert_eq!((pipe.exit(), pipe.message()), (Exit::Done, None));
        let missing = Failure::from(LookError::NotFound("/no".into()));
        assert_eq!(missing.exit().code(), 3);
        assert_eq!(missing.message().as_deref(), Some("no such directory: /no"));
        assert_eq!(Failure::Usage("x".into()).exit().code(), 2);
        assert_eq!(Failure::Write(io::ErrorKind::StorageFull.into()).exit().code(), 3);
    }
}
