//! Where a cleared lock rests: the same inode, on the same file system, until undo or expiry.
//!
//! Owns: choosing the place and moving there. Never: copies, and never overwrites.

use super::Workplace;
use super::disk::{Name, Place, effective_uid, mount_point, private_directory};
use super::placeholder::Names;
use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;

/// Moves what `from` stands for (a name in `place`) to the first quarantine that can take it: in the state directory if
/// that is on the same mount, else in the mount's own trash, else beside the lock.
pub(crate) fn keep(
    workplace: &Workplace, place: &Place, from: &Name, names: &Names, txn: &str,
) -> io::Result<(Place, Name, PathBuf)> {
    let in_there = Name::new(OsStr::new(txn)).ok_or(io::ErrorKind::InvalidInput)?;
    for directory in candidates(workplace, place) {
        let moved = private_directory(&directory).and_then(|()| Place::open(&directory)).and_then(|there| {
            // EXDEV also within one mount: btrfs subvolumes, project quotas.
            place.move_to_free(from, &there, &in_there)?;
            there.sync()?;
            Ok(there)
        });
        match moved {
            Ok(there) => {
                let path = there.path().join(in_there.as_os_str());
                return Ok((there, in_there, path));
            }
            Err(error) => tracing::debug!(directory = %directory.display(), %error, "no quarantine there"),
        }
    }
    place.move_to_free(from, place, &names.cleared)?;
    let beside = Place::open(place.path())?;
    let path = beside.path().join(names.cleared.as_os_str());
    Ok((beside, names.cleared.clone(), path))
}

/// The directories that come into question, best first.
pub(crate) fn candidates(workplace: &Workplace, place: &Place) -> Vec<PathBuf> {
    let Ok(id) = place.id() else { return Vec::new() };
    let mut found = Vec::new();
    let own = workplace.state_dir.join("quarantine");
    // rename(2) does not go from mount to mount, not even of one file system.
    if private_directory(&own).and_then(|()| Place::open(&own)?.id()).is_ok_and(|there| there.mount == id.mount) {
        found.push(own);
    }
    if let Ok(Some(root)) = mount_point(id.mount) {
        let trash = root.join(format!(".Trash-{}", effective_uid()));
        if private_directory(&trash).is_ok() {
            found.push(trash.join("lockscope"));
        }
    }
    found
}
