//! Which directories stand on a disk of this computer alone.
//!
//! Only what is found among its own disks, with a file system that no other computer writes to, counts as local. All else
//! may be shared: there a record without a host's name proves nothing.

use crate::model::facts::FileSystem;
use std::collections::HashMap;
use std::fs::Metadata;
use std::path::{Component, Path, Prefix};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use sysinfo::{DiskRefreshKind, Disks};

/// Lower case, as systems name them.
const LOCAL: &[&str] = &[
    "apfs", "bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "fat", "fat32", "ffs", "hfs", "jfs", "msdos",
    "ntfs", "overlay", "refs", "tmpfs", "ufs", "vfat", "xfs", "zfs",
];

/// Disks come and go, and their numbers are dealt anew.
const FRESH: Duration = Duration::from_mins(1);

/// The number of the volume that a file stands on: its device number, or of `C:\` the letter; 0 = not known.
pub(super) fn number(real: &Path, metadata: &Metadata) -> u64 {
    #[cfg(unix)]
    {
        let _ = real;
        std::os::unix::fs::MetadataExt::dev(metadata)
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        letter(real)
    }
}

/// Of a path without links: a network drive's shows as `\\server\share` then, not as its letter.
#[cfg_attr(unix, expect(dead_code, reason = "paths have no letters there"))]
fn letter(real: &Path) -> u64 {
    match real.components().next() {
        Some(Component::Prefix(prefix)) => match prefix.kind() {
            Prefix::VerbatimDisk(letter) | Prefix::Disk(letter) => u64::from(letter.to_ascii_uppercase()),
            _ => 0,
        },
        _ => 0,
    }
}

/// The name of each one's file system, by the volume's number.
type Local = HashMap<u64, Box<str>>;

/// The computer's own disks, and when they were asked for.
#[derive(Debug, Default)]
pub(super) struct Volumes(Mutex<Option<(Instant, Local)>>);

impl Volumes {
    pub(super) fn file_system(&self, number: u64) -> FileSystem {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref().is_none_or(|(since, _)| since.elapsed() > FRESH) {
            *known = Some((Instant::now(), local()));
        }
        let name = known.as_ref().and_then(|(_, volumes)| volumes.get(&number));
        match name.filter(|_| number != 0) {
            Some(name) => FileSystem { name: name.clone(), network: false, shows_locks: false },
            None => FileSystem { name: "an unknown file system".into(), network: true, shows_locks: false },
        }
    }
}

fn local() -> Local {
    let Ok(disks) = Disks::new_with_refreshed_list_specifics(DiskRefreshKind::nothing()) else { return HashMap::new() };
    let numbered = disks.iter().filter_map(|disk| {
        let name = disk.file_system().to_string_lossy().to_lowercase();
        let point = disk.mount_point();
        LOCAL.contains(&name.as_str()).then_some(())?;
        // Another volume may be mounted over it: then the number is that one's, and that one decides.
        Some((number(point, &point.metadata().ok()?), name.into_boxed_str()))
    });
    numbered.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_disk_is_found_and_all_else_may_be_shared() {
        let here = std::fs::canonicalize(env!("CARGO_MANIFEST_DIR")).unwrap();
        let volumes = Volumes::default();
        let found = volumes.file_system(number(&here, &here.metadata().unwrap()));
        assert!(!found.shows_locks);
        assert!(!found.network, "the tests run from a local disk: {found:?}");
        for unknown in [0, u64::MAX] {
            assert!(volumes.file_system(unknown).network);
        }
    }
}
