//! Which rows of the catalogue are asked about a file, by its kind and its first byte: most say no to most files, and to ask
//! them all takes longer than the rest of judging.
//!
//! Owns: [`Asked`], [`Filter`]. Never: decides otherwise than the rows themselves; what is not asked would have said no (a
//! test asks it).

use super::lookup::Places;
use super::{Candidate, Format};
use crate::model::facts::FileKind;

/// About which files a row is asked.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// Empty = any.
    kinds: &'static [FileKind],
    content: Content,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Any,
    /// Its first byte is one of these.
    Begins(&'static [u8]),
    /// It has none, by its size.
    Nothing,
}

/// What a number in a record may begin with.
pub(super) const DIGIT: &[u8] = b"0123456789";
/// A token in hexadecimal.
pub(super) const HEX: &[u8] = b"0123456789abcdefABCDEF";
/// What a JSON object may begin with.
pub(super) const JSON: &[u8] = b"{ \t\n\x0c\r";

impl Asked {
    /// About any.
    pub(super) const ALWAYS: Self = Self { kinds: &[], content: Content::Any };
    /// About regular files.
    pub(super) const FILE: Self = Self::of(&[FileKind::Regular]);
    /// About regular files and directories: those have the content of what is in them.
    pub(super) const FILE_OR_DIRECTORY: Self = Self::of(&[FileKind::Regular, FileKind::Directory]);

    /// About these kinds.
    pub(super) const fn of(kinds: &'static [FileKind]) -> Self {
        Self { kinds, content: Content::Any }
    }

    /// If the content begins with one of these bytes.
    pub(super) const fn if_it_begins(self, first: &'static [u8]) -> Self {
        Self { content: Content::Begins(first), ..self }
    }

    /// If its size is 0.
    pub(super) const fn if_empty(self) -> Self {
        Self { content: Content::Nothing, ..self }
    }

    /// Whether the row is asked about this file.
    pub fn admits(&self, file: &Candidate<'_>) -> bool {
        let content = match self.content {
            Content::Nothing => file.size == 0,
            _ => self.admits_first(file.bytes.first().copied()),
        };
        self.admits_kind(file.kind) && content
    }

    fn admits_kind(&self, kind: FileKind) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&kind)
    }

    fn admits_first(&self, first: Option<u8>) -> bool {
        match self.content {
            Content::Begins(bytes) => first.is_some_and(|first| bytes.contains(&first)),
            Content::Any | Content::Nothing => true,
        }
    }
}

const KINDS: [FileKind; 6] =
    [FileKind::Regular, FileKind::Directory, FileKind::Symlink, FileKind::Fifo, FileKind::Socket, FileKind::Device];
/// Where the rows stand that are asked where there is no first byte.
const NO_BYTE: usize = 256;

/// The rows by what they are asked about.
#[derive(Debug)]
pub(super) struct Filter {
    by_kind: [Places; KINDS.len()],
    by_first: Box<[Places]>,
    only_empty: Places,
}

impl Filter {
    pub(super) fn of(formats: &[&Format]) -> Self {
        let those =
            |fits: &dyn Fn(&Asked) -> bool| Places::of((0..formats.len()).filter(|place| fits(&formats[*place].asked)));
        let first = |at: usize| u8::try_from(at).ok();
        Self {
            by_kind: KINDS.map(|kind| those(&|asked| asked.admits_kind(kind))),
            by_first: (0..=NO_BYTE).map(|at| those(&|asked| asked.admits_first(first(at)))).collect(),
            only_empty: those(&|asked| asked.content == Content::Nothing),
        }
    }

    /// The rows that are asked about this file.
    pub(super) fn admitted(&self, file: &Candidate<'_>) -> Places {
        let kind = KINDS.iter().position(|kind| *kind == file.kind).map_or(Places::default(), |at| self.by_kind[at]);
        let first = file.bytes.first().map_or(NO_BYTE, |first| usize::from(*first));
        let admitted = kind.and(self.by_first[first]);
        if file.size == 0 { admitted } else { admitted.but(self.only_empty) }
    }
}
