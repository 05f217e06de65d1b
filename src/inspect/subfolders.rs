//! Going down into subfolders: which are entered, and never out of the tree.
//!
//! Owns: what is passed over (the person's rules, what the kernel makes up, what was entered already). A symbolic link is
//! never followed; another disk mounted in the tree belongs to it. Never: lists; [`super::pass`] does.

use super::LookOptions;
use super::evidence::Looker;
use crate::model::snapshot::Problem;
use crate::platform::{Directory, DirectoryId};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::path::Path;

/// File systems whose files the kernel makes up: nobody locks there, and a walk through `/proc` never ends well.
const MADE_UP: [&str; 16] = [
    "proc",
    "sysfs",
    "cgroup",
    "cgroup2",
    "debugfs",
    "tracefs",
    "securityfs",
    "selinuxfs",
    "bpf",
    "pstore",
    "configfs",
    "devpts",
    "fusectl",
    "binfmt_misc",
    "efivarfs",
    "nsfs",
];

/// One walk down a tree.
pub(super) struct Descent<'a> {
    /// A bind mount can show a directory of the tree once more within itself.
    entered: HashSet<(u64, u64)>,
    /// Is told of each subfolder before it is read: a watch that stands by then misses nothing.
    entering: &'a mut dyn FnMut(&Path, &dyn Directory),
}

impl<'a> Descent<'a> {
    pub(super) fn from(top: &dyn Directory, entering: &'a mut dyn FnMut(&Path, &dyn Directory)) -> Self {
        let DirectoryId { dev, ino, .. } = top.id();
        Self { entered: HashSet::from([(dev, ino)]), entering }
    }

    /// Opens a subfolder of `from`; `None` = it is passed over, or has gone since it was listed.
    pub(super) fn enter(
        &mut self, from: &dyn Directory, name: &OsStr, path: &Path, looker: &Looker, options: &LookOptions,
    ) -> Result<Option<Box<dyn Directory>>, Problem> {
        if options.ignore.pass_over(path) {
            return Ok(None);
        }
        let child = match from.open_child(name) {
            Ok(child) => child,
            Err(error) if has_gone(&error) => return Ok(None),
            Err(error) => return Err(Problem { path: path.to_owned(), error: error.to_string() }),
        };
        let DirectoryId { dev, ino, mount } = child.id();
        if mount != from.id().mount && MADE_UP.contains(&&*looker.system.file_system(mount).name) {
            return Ok(None);
        }
        // Where directories have no numbers, all have 0.
        if ino != 0 && !self.entered.insert((dev, ino)) {
            let error = "the same folder stands elsewhere in this tree, and is looked at there".to_owned();
            return Err(Problem { path: path.to_owned(), error });
        }
        (self.entering)(path, &*child);
        Ok(Some(child))
    }
}

/// Deleted since it was listed, or something else is there by now, such as a link.
pub(super) fn has_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
