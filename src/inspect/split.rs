//! Split locks: a process holds a kernel lock on a file that was deleted, while its path exists again.
//!
//! Whoever deletes a kernel-lock file under its holder makes this: the next taker locks the new file, and two are in
//! (CLEARING.md 2.1). Only the holder's open files show it, as the deleted inode has no name.

use super::evidence::Looker;
use crate::model::facts::{FileStat, ProcessRef};
use crate::model::holder::Pid;
use crate::platform::{Directory, DirectoryId};
use hashbrown::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::sync::Arc;

/// Of one directory: by base name, which deleted inodes are still locked, and by whom.
pub(super) type Splits = HashMap<OsString, Vec<(u64, Pid)>>;

/// By directory.
pub(crate) type SplitsByDirectory = HashMap<DirectoryId, Splits>;

impl Looker {
    /// With what an earlier pass found: to find it costs a listing of the directory, so it is done again only when the
    /// kernel's table has an inode that nobody knows.
    pub(crate) fn with_splits(self, known: Arc<SplitsByDirectory>) -> Self {
        self.splits.replace(known);
        self
    }

    /// What was found, for the next pass.
    pub(crate) fn splits(&self) -> Arc<SplitsByDirectory> {
        Arc::clone(&self.splits.borrow())
    }

    /// Finds them anew; the names that they concern.
    pub(crate) fn split_names(&self, directory: &dyn Directory) -> Vec<OsString> {
        let splits = self.find_splits(directory);
        let names = splits.keys().cloned().collect();
        self.splits.replace(Arc::new(SplitsByDirectory::from_iter([(directory.id(), splits)])));
        names
    }

    /// Who holds a kernel lock on a deleted file of this name.
    pub(super) fn split_holders(&self, directory: &dyn Directory, name: &OsStr, stat: &FileStat) -> Vec<ProcessRef> {
        let mut known = self.splits.borrow_mut();
        let id = directory.id();
        if !known.contains_key(&id) {
            Arc::make_mut(&mut known).insert(id, self.find_splits(directory));
        }
        let splits = known.get(&id);
        let mut holders: Vec<ProcessRef> = Vec::new();
        for (ino, pid) in splits.and_then(|splits| splits.get(name)).into_iter().flatten() {
            // Released since, or it ended: then nothing is locked under that number any more.
            let still = *ino != stat.ino && self.table.may_lock(*ino);
            if still && !holders.iter().any(|known| known.pid == *pid) {
                holders.push(self.reference(*pid));
            }
        }
        holders
    }

    /// Asks those processes whose locks on this file system are on inodes that the directory does not have.
    fn find_splits(&self, directory: &dyn Directory) -> Splits {
        let mut splits = Splits::new();
        let DirectoryId { mount, .. } = directory.id();
        let Some((major, minor, _)) = self.lock_device(mount) else { return splits };
        let locks: Vec<_> = self.table.on_device(major, minor).collect();
        if locks.is_empty() {
            return splits;
        }
        let mut here = HashSet::new();
        let listed = directory.entries(&mut |_, _, ino| {
            here.insert(ino);
        });
        if listed.is_err() {
            return splits;
        }
        let mut takers: HashSet<Pid> = HashSet::new();
        let mut inherited = false;
        for lock in locks.into_iter().filter(|lock| !lock.waiting && !here.contains(&lock.file.ino)) {
            match lock.pid.filter(|pid| self.is_running(*pid)) {
                Some(pid) => drop(takers.insert(pid)),
                None => inherited = true,
            }
        }
        if takers.is_empty() && !inherited {
            return splits;
        }
        let Some(path) = directory.real_path() else { return splits };
        if inherited {
            // Its taker has exited, or the lock belongs to an open file: whoever carries one may be the holder.
            let locked = self.sweep().seen.open_files.iter().filter(|file| !file.locks.is_empty());
            takers.extend(locked.filter(|file| !here.contains(&file.ino)).map(|file| file.pid));
        }
        for pid in takers {
            for (was, file) in self.system.deleted_locked_files(pid).unwrap_or_default() {
                if was.parent() == Some(&*path)
                    && let Some(name) = was.file_name()
                {
                    splits.entry(name.to_owned()).or_default().push((file.ino, pid));
                }
            }
        }
        splits
    }
}
