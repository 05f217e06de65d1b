//! A JSON file that several processes read and change: each change under one lock, from reading to writing.
//!
//! Owns: [`read`], [`write()`], [`update`], [`try_update`]. Never: replaces what it cannot understand silently: that is kept
//! aside, and said.
//!
//! The lock is a kernel lock on `<file>.guard`, which is there only while somebody has it. For programs that agree on
//! another lock file, [`update_under`] works under whatever lock is held.
//!
//! ```
//! # let base = tempfile::tempdir()?;
//! # let path = base.path().join("counts.json");
//! use lockscope::lock::{LockConfig, json};
//! use std::collections::BTreeMap;
//!
//! let config = LockConfig::default();
//! json::update(&path, &config, |counts: &mut BTreeMap<String, u32>| *counts.entry("visits".into()).or_default() += 1)?;
//! assert_eq!(json::read::<BTreeMap<String, u32>>(&path, &config)?["visits"], 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::kernel::FlockLock;
use super::registry::group_of;
use super::{Guard, LockConfig, LockError};
use crate::platform::{replace_private, replace_whole, sync_directory};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::convert::Infallible;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// Why a JSON file was not read or not changed.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// It is no JSON of the expected shape. It was kept, and the next read starts from the default.
    #[error("{}: not understood ({error}); kept as {}, and the defaults are used", path.display(), kept.display())]
    Broken {
        /// Where.
        path: PathBuf,
        /// Where it is now.
        kept: PathBuf,
        /// What is wrong with it.
        error: serde_json::Error,
    },
    /// The new value cannot be JSON (a map whose keys are no text, a number that is none). Nothing was changed.
    #[error("{}: cannot be written as JSON ({error}); nothing was changed", path.display())]
    NotJson {
        /// Where.
        path: PathBuf,
        /// Why.
        error: serde_json::Error,
    },
    /// It cannot be locked, read or written.
    #[error(transparent)]
    Lock(#[from] LockError),
}

/// Why an update did not happen. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError<E> {
    /// The change itself gave an error.
    #[error("{0}")]
    Change(E),
    /// The file.
    #[error(transparent)]
    Json(#[from] JsonError),
}

impl<E> From<LockError> for UpdateError<E> {
    fn from(error: LockError) -> Self {
        Self::Json(error.into())
    }
}

/// Reads the file; missing = the default. A broken file is moved aside and told of, once.
pub fn read<T: DeserializeOwned + Default>(path: impl AsRef<Path>, config: &LockConfig) -> Result<T, JsonError> {
    let path = path.as_ref();
    // A plain read needs no lock: writers rename whole files into place.
    if let Ok(value) = parse(path)? {
        return Ok(value);
    }
    // Moving aside does: two readers must not move two different files, nor one a file that was just written anew.
    let _lock = lock(path, config)?;
    parse(path)?.map_err(|error| aside(path, error))
}

/// Writes the file, whatever it was.
pub fn write<T: Serialize>(path: impl AsRef<Path>, config: &LockConfig, value: &T) -> Result<(), JsonError> {
    let path = path.as_ref();
    let text = encode(path, value)?;
    let _lock = lock(path, config)?;
    Ok(put(path, &text)?)
}

/// Reads, changes and writes the file under one lock scope, so that no other update is lost. Gives what `change` gives.
pub fn update<T: DeserializeOwned + Serialize + Default, R>(
    path: impl AsRef<Path>, config: &LockConfig, change: impl FnOnce(&mut T) -> R,
) -> Result<R, JsonError> {
    unfailing(try_update(path, config, |value| Ok(change(value))))
}

/// As [`update`], for what is long and nobody else's business: written without line breaks, and readable to its user alone.
pub fn update_private<T: DeserializeOwned + Serialize + Default, R>(
    path: impl AsRef<Path>, config: &LockConfig, change: impl FnOnce(&mut T) -> R,
) -> Result<R, JsonError> {
    let path = path.as_ref();
    let _lock = lock(path, config)?;
    let mut value: T = parse(path)?.map_err(|error| aside(path, error))?;
    let result = change(&mut value);
    let text = serde_json::to_vec(&value).map_err(|error| JsonError::NotJson { path: path.to_owned(), error })?;
    replace_private(path, &text).map_err(LockError::failed(path, "writing"))?;
    Ok(result)
}

/// Removes all but the newest of our own files in a directory of ours. What cannot be removed stays.
pub(crate) fn keep_newest(directory: &Path, most: usize) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    let is_json = |path: &Path| path.extension().is_some_and(|end| end == "json");
    let mut files: Vec<_> = entries
        .flatten()
        .filter(|entry| is_json(&entry.path()))
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    files.sort_unstable();
    for (_, path) in &files[..files.len().saturating_sub(most)] {
        if let Err(error) = std::fs::remove_file(path) {
            tracing::warn!(path = %path.display(), %error, "an old file of ours could not be removed");
        }
    }
}

/// As [`update`], for a change that may fail: then the file stays as it is.
pub fn try_update<T: DeserializeOwned + Serialize + Default, R, E>(
    path: impl AsRef<Path>, config: &LockConfig, change: impl FnOnce(&mut T) -> Result<R, E>,
) -> Result<R, UpdateError<E>> {
    let path = path.as_ref();
    let _lock = lock(path, config)?;
    changed(path, change)
}

/// As [`try_update`], under a lock that is held already: for programs that agree on another lock than `<file>.guard`.
pub fn update_under<T: DeserializeOwned + Serialize + Default, R, E>(
    lock: &impl Guard, path: impl AsRef<Path>, change: impl FnOnce(&mut T) -> Result<R, E>,
) -> Result<R, UpdateError<E>> {
    // The guard proves that a lock is held, for as long as this works.
    lock.check()?;
    changed(path.as_ref(), change)
}

fn unfailing<R>(result: Result<R, UpdateError<Infallible>>) -> Result<R, JsonError> {
    result.map_err(|error| match error {
        UpdateError::Change(never) => match never {},
        UpdateError::Json(error) => error,
    })
}

fn changed<T: DeserializeOwned + Serialize + Default, R, E>(
    path: &Path, change: impl FnOnce(&mut T) -> Result<R, E>,
) -> Result<R, UpdateError<E>> {
    let mut value: T = parse(path)?.map_err(|error| aside(path, error))?;
    let result = change(&mut value).map_err(UpdateError::Change)?;
    put(path, &encode(path, &value)?)?;
    Ok(result)
}

fn encode<T: Serialize>(path: &Path, value: &T) -> Result<Vec<u8>, JsonError> {
    let encoded = serde_json::to_vec_pretty(value);
    let mut text = encoded.map_err(|error| JsonError::NotJson { path: path.to_owned(), error })?;
    text.push(b'\n');
    Ok(text)
}

/// On the disk, the renaming too, before it is called done.
pub(super) fn put(path: &Path, text: &[u8]) -> Result<(), LockError> {
    // The file that a link leads to is what is meant, not the link.
    let path = &std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    replace_whole(path, text).map_err(LockError::failed(path, "writing"))?;
    if let Err(error) = sync_directory(&super::ask::parent(path)) {
        tracing::warn!(path = %path.display(), %error, "written, but perhaps not to stay over a power cut");
    }
    Ok(())
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// A file of its own: the file itself is replaced, which would take the lock along. A link and what it leads to have one.
pub(super) fn lock(path: &Path, config: &LockConfig) -> Result<FlockLock, LockError> {
    let directory = super::ask::parent(path);
    std::fs::create_dir_all(&directory).map_err(LockError::failed(&directory, "making the directory"))?;
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    FlockLock::acquire_passing(&group_of(path), &beside(&target, ".guard"), config)
}

fn parse<T: DeserializeOwned + Default>(path: &Path) -> Result<Result<T, serde_json::Error>, LockError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Ok(T::default())),
        Err(error) => Err(LockError::failed(path, "reading")(error)),
    }
}

fn aside(path: &Path, error: serde_json::Error) -> JsonError {
    let secs = crate::platform::environment::wall().secs();
    let mut kept = beside(path, &format!(".broken-{secs}"));
    let mut number = 1;
    while kept.symlink_metadata().is_ok() {
        kept = beside(path, &format!(".broken-{secs}-{number}"));
        number += 1;
    }
    match std::fs::rename(path, &kept) {
        Ok(()) => JsonError::Broken { path: path.to_owned(), kept, error },
        Err(error) => LockError::failed(path, "moving the broken file aside")(error).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn patient() -> LockConfig {
        LockConfig::waiting(crate::lock::Wait::Forever)
    }

    type Map = BTreeMap<String, u32>;

    #[test]
    fn no_update_is_lost() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("deep/settings.json");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        update(&path, &patient(), |map: &mut Map| *map.entry("n".into()).or_default() += 1).unwrap();
                    }
                });
            }
        });
        assert_eq!(read::<Map>(&path, &patient()).unwrap()["n"], 400);
    }

    #[test]
    fn a_broken_file_is_kept_and_told_of() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("settings.json");
        assert_eq!(read::<Map>(&path, &patient()).unwrap(), Map::new(), "missing = default");
        for broken in ["{\"a\": 1", "[]"] {
            std::fs::write(&path, broken).unwrap();
            let Err(JsonError::Broken { kept, .. }) = update(&path, &patient(), |_: &mut Map| ()) else {
                panic!("must tell")
            };
            assert_eq!(std::fs::read_to_string(kept).unwrap(), broken);
            assert!(!path.exists());
        }
        std::fs::write(&path, "{").unwrap();
        let Err(JsonError::Broken { kept, .. }) = read::<Map>(&path, &patient()) else { panic!("must tell") };
        assert_eq!(std::fs::read_to_string(kept).unwrap(), "{");
        assert_eq!(read::<Map>(&path, &patient()).unwrap(), Map::new());
    }

    /// Of several readers at once one moves the broken file aside and tells; the others find the defaults.
    #[test]
    fn a_broken_file_is_told_of_once() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("settings.json");
        std::fs::write(&path, "{").unwrap();
        let told = std::thread::scope(|scope| {
            let readers = [(); 8].map(|()| scope.spawn(|| read::<Map>(&path, &patient())));
            readers.map(|reader| reader.join().unwrap()).into_iter().filter(Result::is_err).count()
        });
        assert_eq!(told, 1);
        let names = std::fs::read_dir(base.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let kept = names.filter(|name| name.to_string_lossy().starts_with("settings.json.broken-")).count();
        assert_eq!(kept, 1);
    }

    #[test]
    fn a_change_that_fails_or_panics_changes_nothing_and_leaves_nothing() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("a.json");
        write(&path, &patient(), &Map::from([("n".into(), 1)])).unwrap();
        let failed = try_update(&path, &patient(), |map: &mut Map| {
            map.insert("n".into(), 2);
            Err::<(), _>("no")
        });
        assert!(matches!(failed, Err(UpdateError::Change("no"))));
        let panicked = std::panic::catch_unwind(|| {
            let _ = update(&path, &patient(), |map: &mut Map| {
                map.clear();
                panic!("in the middle");
            });
        });
        assert!(panicked.is_err());
        assert_eq!(read::<Map>(&path, &patient()).unwrap()["n"], 1);
        let names: Vec<_> = std::fs::read_dir(base.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["a.json"]);
    }

    #[test]
    fn every_script_is_kept_as_it_is() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("Größe 大小.json");
        let text = "日本語 – Ελληνικά – עברית – 🔒 – \u{202e}rtl – e\u{301} – \u{7f}\n\"quoted\"";
        let map = std::collections::BTreeMap::from([(text.to_owned(), text.to_owned())]);
        write(&path, &patient(), &map).unwrap();
        assert_eq!(read::<std::collections::BTreeMap<String, String>>(&path, &patient()).unwrap(), map);
        assert!(std::fs::read_to_string(&path).unwrap().contains("日本語 – Ελληνικά"), "not escaped");
    }

    #[test]
    fn what_cannot_be_json_changes_nothing() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("a.json");
        std::fs::write(&path, "1").unwrap();
        let keys_are_no_text = std::collections::BTreeMap::from([((1, 2), 3)]);
        assert!(matches!(write(&path, &patient(), &keys_are_no_text), Err(JsonError::NotJson { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), b"1");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link_and_shares_the_lock_of_its_file() {
        let base = tempfile::tempdir().unwrap();
        let (path, link) = (base.path().join("a.json"), base.path().join("link.json"));
        write(&path, &patient(), &1).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let held = lock(&path, &patient()).unwrap();
        assert!(lock(&link, &LockConfig::waiting(crate::lock::Wait::Never)).is_err());
        drop(held);
        update(&link, &patient(), |n: &mut u32| *n += 1).unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(read::<u32>(&path, &patient()).unwrap(), 2);
    }

    #[test]
    fn an_update_under_another_lock_needs_it_to_be_held() {
        let base = tempfile::tempdir().unwrap();
        let (path, lock) = (base.path().join("a.json"), base.path().join("shared_all.lock"));
        let guard = FlockLock::acquire_in("under", &lock, &patient()).unwrap();
        update_under(&guard, &path, |n: &mut u32| {
            *n += 1;
            Ok::<_, Infallible>(())
        })
        .unwrap();
        crate::lock::release_group("under");
        let late = update_under(&guard, &path, |n: &mut u32| {
            *n += 1;
            Ok::<_, Infallible>(())
        });
        assert!(matches!(late, Err(UpdateError::Json(JsonError::Lock(LockError::Lost { .. })))));
        assert_eq!(read::<u32>(&path, &patient()).unwrap(), 1);
    }
}
