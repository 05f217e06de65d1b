//! git's `<path>.lock`: it holds the next content of `<path>` and never names an owner (git `lockfile.h`).

use super::{Candidate, RecordState};
use crate::model::facts::FileKind;

/// Names that are git's wherever they stand, as long as the content does not speak against it.
const OWN_NAMES: &[&[u8]] = &[b"index.lock", b"packed-refs.lock", b"shallow.lock"];

pub(super) fn lock(file: &Candidate<'_>) -> Option<RecordState> {
    if file.kind != FileKind::Regular || !file.name.ends_with(b".lock") {
        return None;
    }
    let at_home = file.directory.split(|b| *b == b'/').any(|part| part == b".git" || part.ends_with(b".git"));
    let index = file.bytes.is_empty() || file.bytes.starts_with(b"DIRC");
    let next_content = match file.name {
        b"index.lock" => index,
        b"packed-refs.lock" => file.bytes.is_empty() || file.bytes.starts_with(b"# pack-refs"),
        b"shallow.lock" => file.bytes.iter().all(|b| b.is_ascii_hexdigit() || *b == b'\n'),
        _ => true,
    };
    let mine = if OWN_NAMES.contains(&file.name) { next_content || at_home } else { at_home };
    mine.then_some(RecordState::None)
}
