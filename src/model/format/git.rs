//! git's `<path>.lock`: it holds the next content of `<path>` and never names an owner (git `lockfile.h`).

use super::{Candidate, Format, Mechanism, PLAIN, RecordState, Scope};
use crate::model::facts::FileKind;

const PROGRAMS: &[&str] =
    &["git", "git-remote-http", "git-receive-pac", "git-upload-pack", "git-gc", "git-maintenance"];

pub(super) static FORMATS: &[Format] = &[Format {
    id: "git-lock",
    title: "git",
    mechanism: Mechanism::Existence,
    names: &["*.lock"],
    programs: PROGRAMS,
    scope: Scope::Tree(0), // the repository and its work trees are found by `inspect`
    companion: Some((".lock", "~pid.lock")),
    looks: "in a `.git` directory; `index.lock`, `packed-refs.lock`, `shallow.lock` anywhere, unless the content speaks against \
            it. Holds the next content, never an owner",
    stale_rule: Some("git never takes a lock for stale; it says \"Another git process seems to be running\" and stops"),
    caution: Some("Deleting it while git works loses what git was about to write"),
    after_clearing: Some("git status (and git fsck if it complains)"),
    read: lock,
    ..PLAIN
}];

/// Names that are git's wherever they stand, as long as the content does not speak against it.
const OWN_NAMES: &[&[u8]] = &[b"index.lock", b"packed-refs.lock", b"shallow.lock"];

fn lock(file: &Candidate<'_>) -> Option<RecordState> {
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
