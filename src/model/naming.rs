//! What a lock file's name says: which group it belongs to, and which part of the group it locks.
//!
//! Owns: the patterns of DESIGN.md section 3, as data, and what siblings decide. Never: looks for the siblings itself.

use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Keys that `{id}_{key}.lock` is known to have. Ids hold underscores themselves, so the longest known key wins.
pub const KNOWN_KEYS: [&str; 5] = ["uploaded_documents_list", "message_operations", "messages", "memory", "all"];

/// What follows the group in a name with a known key.
const KEYED_ENDINGS: [&[u8]; KNOWN_KEYS.len()] =
    [b"_uploaded_documents_list.lock", b"_message_operations.lock", b"_messages.lock", b"_memory.lock", b"_all.lock"];

/// The parts of a relative path that are its group and its key; ranges of its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Naming {
    /// The group: from the start of the path up to here; 0 = belongs to none.
    pub group_end: u16,
    /// The key within the group; empty for the group's main lock.
    pub key: Range<u16>,
}

impl Naming {
    /// The group as it stands in `path`.
    pub fn group<'a>(&self, path: &'a [u8]) -> &'a [u8] {
        path.get(..usize::from(self.group_end)).unwrap_or_default()
    }

    /// The key as it stands in `path`.
    pub fn key<'a>(&self, path: &'a [u8]) -> &'a [u8] {
        path.get(usize::from(self.key.start)..usize::from(self.key.end)).unwrap_or_default()
    }
}

/// A pattern of the user's: `{id}_{key}.lock` with more known keys, and globs that make more files be listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NamePatterns {
    /// More keys for `{id}_{key}.lock`.
    pub keys: Vec<String>,
}

/// Splits `path` (relative, bytes). `exists` answers whether another relative path is there beside it.
///
/// In order: `{id}_{known key}.lock`; `{id}-{key}.lock` where `{id}.lock` exists; `{file}.lock` beside an existing
/// `{file}`; `{id}.lock`.
pub fn split(path: &[u8], patterns: &NamePatterns, exists: &dyn Fn(&[u8]) -> bool) -> Naming {
    let base = path.iter().rposition(|b| *b == b'/').map_or(0, |slash| slash + 1);
    let Some(stem_len) = path.strip_suffix(b".lock").map(<[u8]>::len).filter(|len| *len > base) else {
        return Naming::default();
    };
    if stem_len > usize::from(u16::MAX) {
        return Naming::default();
    }
    let stem = &path[..stem_len];
    let keyed = KNOWN_KEYS
        .iter()
        .copied()
        .chain(patterns.keys.iter().map(String::as_str))
        .filter(|key| {
            let rest = stem.strip_suffix(key.as_bytes()).and_then(|rest| rest.strip_suffix(b"_"));
            rest.is_some_and(|id| id.len() > base)
        })
        .max_by_key(|key| key.len());
    if let Some(key) = keyed {
        let start = stem_len - key.len();
        return naming(start - 1, start..stem_len);
    }
    let dash = stem[base..].iter().enumerate().rev().filter(|(_, b)| **b == b'-').map(|(at, _)| base + at);
    let beside =
        dash.filter(|at| *at > base && at + 1 < stem_len).find(|at| exists(&[&stem[..*at], b".lock"].concat()));
    match beside {
        Some(at) => naming(at, at + 1..stem_len),
        None => naming(stem_len, stem_len..stem_len),
    }
}

fn naming(group_end: usize, key: Range<usize>) -> Naming {
    Naming { group_end: group_end as u16, key: key.start as u16..key.end as u16 }
}

/// Whether a name, split so, is one that Python's `FileLock` is known to use: with a known key, or the main lock beside one.
pub fn is_filelocks(path: &[u8], naming: &Naming, exists: &dyn Fn(&[u8]) -> bool) -> bool {
    let group = naming.group(path);
    if group.is_empty() {
        return false;
    }
    if !naming.key.is_empty() {
        // Only a known key is split off at an underscore.
        return path.get(group.len()) == Some(&b'_');
    }
    let mut sibling = Vec::with_capacity(path.len() + 32);
    KEYED_ENDINGS.iter().any(|ending| {
        sibling.clear();
        sibling.extend_from_slice(group);
        sibling.extend_from_slice(ending);
        exists(&sibling)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group_and_key(path: &str, siblings: &[&str]) -> (String, String) {
        let naming = split(path.as_bytes(), &NamePatterns::default(), &|p| siblings.iter().any(|s| s.as_bytes() == p));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (text(naming.group(path.as_bytes())), text(naming.key(path.as_bytes())))
    }

    #[test]
    fn names_split_as_the_table_says() {
        for (path, siblings, group, key) in [
            ("a41f9_memory.lock", &[][..], "a41f9", "memory"),
            ("a_b_message_operations.lock", &[], "a_b", "message_operations"),
            ("x_uploaded_documents_list.lock", &[], "x", "uploaded_documents_list"),
            ("a-b-c_all.lock", &[], "a-b-c", "all"),
            ("doc-indices.lock", &["doc.lock"], "doc", "indices"),
            ("a-b-c.lock", &["a-b.lock", "a.lock"], "a-b", "c"),
            ("doc-indices.lock", &[], "doc-indices", ""),
            ("index.lock", &["index"], "index", ""),
            ("_memory.lock", &[], "_memory", ""),
            ("sub/a_memory.lock", &[], "sub/a", "memory"),
            (".lock", &[], "", ""),
            ("sub/.lock", &[], "", ""),
            ("daemon.pid", &[], "", ""),
        ] {
            assert_eq!(group_and_key(path, siblings), (group.into(), key.into()), "{path}");
        }
    }

    #[test]
    fn the_endings_are_those_of_the_known_keys() {
        let endings = KNOWN_KEYS.map(|key| format!("_{key}.lock").into_bytes());
        assert!(endings.iter().zip(KEYED_ENDINGS).all(|(made, given)| made == given));
    }

    #[test]
    fn the_main_lock_beside_a_known_key_is_filelocks_too() {
        let is_filelocks = |path: &[u8], sibling: &'static [u8]| {
            let exists = |path: &[u8]| path == sibling;
            super::is_filelocks(path, &split(path, &NamePatterns::default(), &exists), &exists)
        };
        for (path, sibling, expected) in [
            (&b"a.lock"[..], &b"a_memory.lock"[..], true),
            (b"a_memory.lock", b"", true),
            (b"sub/a.lock", b"sub/a_all.lock", true),
            (b"a.lock", b"a-x.lock", false),
            (b"a-memory.lock", b"a.lock", false),
            (b"a_other.lock", b"a.lock", false),
            (b"a.pid", b"a_memory.lock", false),
        ] {
            assert_eq!(is_filelocks(path, sibling), expected, "{path:?}");
        }
    }
}
