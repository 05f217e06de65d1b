//! What was learned of a directory's empty files, kept across restarts: name patterns on which kernel locks were seen.
//!
//! Owns: `learned.json` in the state directory, within a bound. Never: the rule itself ([`crate::inspect::Looker`]), and
//! never written by a command that only looks.

use crate::inspect::LookOptions;
use crate::lock::json::{self, JsonError};
use crate::lock::{LockConfig, Wait};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// So many directories are remembered, the most recent ones, and so many patterns of each.
const DIRECTORIES: usize = 200;
const PATTERNS: usize = 100;
/// Another Lockscope that writes the file holds its lock for milliseconds.
fn patience() -> LockConfig {
    LockConfig::waiting(Wait::For(Duration::from_secs(5)))
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    /// The most recent one first.
    directories: Vec<KeptDirectory>,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptDirectory {
    path: PathBuf,
    /// What stays of a name when its id is taken off, as `inspect` compares them. What is not UTF-8 is not kept.
    kernel_lock_names: Vec<String>,
}

fn file(state_dir: &Path) -> PathBuf {
    state_dir.join("learned.json")
}

/// The options with what is remembered of this directory. A file that cannot be read costs what it held, no more: the
/// kernel's table teaches it anew.
pub fn recall(state_dir: Option<&Path>, directory: &Path, mut options: LookOptions) -> LookOptions {
    let Some(state_dir) = state_dir else { return options };
    match json::read::<Kept>(file(state_dir), &patience()) {
        Ok(kept) => {
            let known = kept.directories.into_iter().find(|known| known.path == directory);
            let names = known.into_iter().flat_map(|known| known.kernel_lock_names);
            options.learned.extend(names.map(|name| name.into_bytes().into()));
        }
        Err(error) => tracing::warn!(%error, "what was learned of empty files cannot be read"),
    }
    options
}

/// Remembers the patterns of this directory.
pub(super) fn remember(state_dir: &Path, directory: &Path, learned: &HashSet<Box<[u8]>>) -> Result<(), JsonError> {
    let mut names: Vec<String> =
        learned.iter().filter_map(|name| std::str::from_utf8(name).ok().map(str::to_owned)).collect();
    names.sort_unstable();
    json::update(file(state_dir), &patience(), |kept: &mut Kept| {
        // Another window may have learned others meanwhile.
        if let Some(at) = kept.directories.iter().position(|known| known.path == directory) {
            names.extend(kept.directories.remove(at).kernel_lock_names);
            names.sort_unstable();
            names.dedup();
        }
        names.truncate(PATTERNS);
        kept.directories.insert(0, KeptDirectory { path: directory.to_owned(), kernel_lock_names: names });
        kept.directories.truncate(DIRECTORIES);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> HashSet<Box<[u8]>> {
        names.iter().map(|name| name.as_bytes().into()).collect()
    }

    #[test]
    fn what_was_learned_is_there_again_for_that_directory_alone() {
        let state = tempfile::tempdir().unwrap();
        remember(state.path(), Path::new("/srv/a"), &set(&["_stream.lock"])).unwrap();
        remember(state.path(), Path::new("/srv/b"), &set(&["x"])).unwrap();
        remember(state.path(), Path::new("/srv/a"), &set(&["other"])).unwrap();
        let recalled = |directory| recall(Some(state.path()), Path::new(directory), LookOptions::default()).learned;
        assert_eq!(recalled("/srv/a"), set(&["_stream.lock", "other"]));
        assert_eq!(recalled("/srv/b"), set(&["x"]));
        assert!(recalled("/srv").is_empty());
    }

    #[test]
    fn no_more_is_kept_than_the_bound_and_what_cannot_be_text_is_left_out() {
        let state = tempfile::tempdir().unwrap();
        let many: HashSet<Box<[u8]>> =
            (0..PATTERNS + 50).map(|n| format!("n{n}").into_bytes().into()).chain([Box::from(&b"\xff"[..])]).collect();
        for number in 0..DIRECTORIES + 3 {
            remember(state.path(), &PathBuf::from(format!("/srv/{number}")), &many).unwrap();
        }
        let kept: Kept = json::read(file(state.path()), &patience()).unwrap();
        assert_eq!(kept.directories.len(), DIRECTORIES);
        assert_eq!(kept.directories[0].path, Path::new("/srv/202"));
        assert!(kept.directories.iter().all(|known| known.kernel_lock_names.len() == PATTERNS));
    }
}
