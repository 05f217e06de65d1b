//! What a listed path is called, and what its siblings make of that.
//!
//! Owns: [`Named`]. Its answers are found only when they are asked for: they matter for empty files alone, and each costs
//! looks for siblings. Never: looks at a file itself.

use crate::model::naming::{Naming, is_filelocks};
use std::borrow::Cow;
use std::ffi::OsStr;

/// A listed path, relative to the directory that is looked at.
#[derive(Clone, Copy)]
pub(super) struct Named<'a> {
    pub(super) path: &'a OsStr,
    pub(super) naming: &'a Naming,
    /// Answers whether another relative path is there.
    pub(super) exists: &'a dyn Fn(&[u8]) -> bool,
}

impl<'a> Named<'a> {
    /// Whether Python's `FileLock` is known to use such a name.
    pub(super) fn is_filelocks(&self) -> bool {
        is_filelocks(self.path.as_encoded_bytes(), self.naming, self.exists)
    }

    /// What stays of the name when its id is taken off: files alike in this are locked alike.
    pub(super) fn pattern(&self) -> Cow<'a, [u8]> {
        let bytes = self.path.as_encoded_bytes();
        if self.naming.group_end == 0 {
            let dot = bytes.iter().rposition(|b| *b == b'.');
            return dot.map_or(Cow::Borrowed(&[]), |at| Cow::Borrowed(&bytes[at..]));
        }
        let beside_file = bytes.strip_suffix(b".lock").is_some_and(self.exists);
        let rest = &bytes[usize::from(self.naming.group_end)..];
        if beside_file { [b"/", rest].concat().into() } else { Cow::Borrowed(rest) }
    }
}
