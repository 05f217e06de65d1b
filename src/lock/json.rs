//! A JSON file that several processes read and change: each change under one lock, from reading to writing.
//!
//! Owns: [`read`], [`update`]. Never: replaces what it cannot understand silently: that is kept aside, and said.

use super::LockError;
use super::kernel::FlockLock;
use super::replace::replace;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

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
    /// It cannot be locked, read or written.
    #[error(transparent)]
    Lock(#[from] LockError),
}

/// Reads the file; missing = the default. A broken file is moved aside and told of, once.
pub fn read<T: DeserializeOwned + Default>(path: &Path, timeout: Duration) -> Result<T, JsonError> {
    // A plain read needs no lock: writers rename whole files into place.
    if let Ok(value) = parse(path)? {
        return Ok(value);
    }
    // Moving aside does: two readers must not move two different files, nor one a file that was just written anew.
    let _lock = lock(path, timeout)?;
    parse(path)?.map_err(|error| aside(path, error))
}

/// Reads, changes and writes the file under one lock scope, so that no other update is lost. Gives what `change` gives.
pub fn update<T: DeserializeOwned + Serialize + Default, R>(
    path: &Path, timeout: Duration, change: impl FnOnce(&mut T) -> R,
) -> Result<R, JsonError> {
    let _lock = lock(path, timeout)?;
    let mut value: T = parse(path)?.map_err(|error| aside(path, error))?;
    let result = change(&mut value);
    let encoded = serde_json::to_vec_pretty(&value).map_err(io::Error::from);
    let mut text = encoded.map_err(LockError::failed(path, "encoding"))?;
    text.push(b'\n');
    replace(path, &text)?;
    Ok(result)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// A file of its own: `<file>.lock` is the replacer's, and the file itself is replaced, which would take the lock along.
fn lock(path: &Path, timeout: Duration) -> Result<FlockLock, LockError> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(LockError::failed(directory, "making the directory"))?;
    }
    FlockLock::take(&beside(path, ".guard"), timeout)
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

    const WAIT: Duration = Duration::from_secs(20);
    type Map = BTreeMap<String, u32>;

    #[test]
    fn no_update_is_lost() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("deep/settings.json");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        update(&path, WAIT, |map: &mut Map| *map.entry("n".into()).or_default() += 1).unwrap();
                    }
                });
            }
        });
        assert_eq!(read::<Map>(&path, WAIT).unwrap()["n"], 400);
    }

    #[test]
    fn a_broken_file_is_kept_and_told_of() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("settings.json");
        assert_eq!(read::<Map>(&path, WAIT).unwrap(), Map::new(), "missing = default");
        for broken in ["{\"a\": 1", "[]"] {
            std::fs::write(&path, broken).unwrap();
            let Err(JsonError::Broken { kept, .. }) = update(&path, WAIT, |_: &mut Map| ()) else {
                panic!("must tell")
            };
            assert_eq!(std::fs::read_to_string(kept).unwrap(), broken);
            assert!(!path.exists());
        }
        std::fs::write(&path, "{").unwrap();
        let Err(JsonError::Broken { kept, .. }) = read::<Map>(&path, WAIT) else { panic!("must tell") };
        assert_eq!(std::fs::read_to_string(kept).unwrap(), "{");
        assert_eq!(read::<Map>(&path, WAIT).unwrap(), Map::new());
    }

    /// Of several readers at once one moves the broken file aside and tells; the others find the defaults.
    #[test]
    fn a_broken_file_is_told_of_once() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("settings.json");
        std::fs::write(&path, "{").unwrap();
        let told = std::thread::scope(|scope| {
            let readers = [(); 8].map(|()| scope.spawn(|| read::<Map>(&path, WAIT)));
            readers.map(|reader| reader.join().unwrap()).into_iter().filter(Result::is_err).count()
        });
        assert_eq!(told, 1);
        let names = std::fs::read_dir(base.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let kept = names.filter(|name| name.to_string_lossy().starts_with("settings.json.broken-")).count();
        assert_eq!(kept, 1);
    }
}
