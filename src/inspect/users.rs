//! Who has a file open, and which program visibly works under a lock without an open file.
//!
//! git with its editor open holds `index.lock` with no descriptor at all: only its working directory tells
//! (CLEARING.md 2.4).

use super::evidence::Looker;
use crate::model::facts::{FileKind, FileStat, ProcessRef, Users};
use crate::model::format::{Format, Scope};
use crate::platform::{Directory, ProcessView, os_name};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Our own processes are no evidence: we read these files.
fn is_ourselves(view: &ProcessView) -> bool {
    view.facts.pid.get() == crate::platform::environment::own_pid()
}

impl Looker {
    /// Looks for users of one file.
    pub(super) fn users(&self, directory: &dyn Directory, stat: &FileStat, format: &Format) -> Users {
        let sweep = self.sweep();
        let reference = |view: &ProcessView| ProcessRef { pid: view.facts.pid, facts: Some(Arc::clone(&view.facts)) };
        let has_it_open = |view: &ProcessView| {
            sweep.open_files.iter().any(|file| {
                file.pid == view.facts.pid && file.ino == stat.ino && self.same_device(file.mount, stat.mount)
            })
        };
        // Whoever has a directory open reads it; that is no use of it as a lock.
        let candidates = stat.kind == FileKind::Regular && sweep.open_files.iter().any(|file| file.ino == stat.ino);
        let open = if candidates {
            sweep.processes.iter().filter(|v| !is_ourselves(v) && has_it_open(v)).map(reference).collect()
        } else {
            Vec::new()
        };
        let trees = protected_trees(directory, format);
        let works = sweep
            .processes
            .iter()
            .filter(|view| !is_ourselves(view) && format.fits_program(&view.facts.comm) == Some(true))
            .find(|view| format.scope == Scope::Machine || self.works_in(view, &trees));
        // A process of the file's owner, or of ours, that would not show itself could be the one. Others cannot have
        // made the file, or (root's) are seen by name only; PID 1 and kernel threads do not lock.
        let matters = |view: &ProcessView| {
            let facts = &view.facts;
            let relevant = facts.uids.is_none_or(|uids| uids.contains(&stat.uid) || uids.contains(&self.sight.uid));
            relevant && !facts.kernel_thread && facts.pid.get() != 1
        };
        let hidden = |view: &&ProcessView| matters(view) && !view.seen;
        let unseen = sweep.processes.iter().filter(hidden).count() as u32;
        Users::Looked { open, works: works.map(reference), unseen }
    }

    fn works_in(&self, view: &ProcessView, trees: &[PathBuf]) -> bool {
        let inside = |path: &Path| trees.iter().any(|tree| path.starts_with(tree));
        let in_tree = |path: &PathBuf| inside(path) && !path.as_os_str().as_encoded_bytes().ends_with(b".lock");
        view.cwd.as_deref().is_some_and(inside)
            || self.system.open_paths(view.facts.pid).is_some_and(|paths| paths.iter().any(in_tree))
    }
}

/// The trees that a lock in this directory protects: for git the work tree and the repository, else the directory.
fn protected_trees(directory: &dyn Directory, format: &Format) -> Vec<PathBuf> {
    let path = directory.path();
    if !format.id.starts_with("git-") {
        // Never the root: everything works under that.
        let up = if let Scope::Tree(up) = format.scope { usize::from(up) } else { 0 };
        let tree = path.ancestors().nth(up).filter(|tree| tree.parent().is_some()).unwrap_or(path);
        return vec![tree.to_owned()];
    }
    let mut trees = vec![path.to_owned()];
    let repository =
        path.ancestors().find(|part| part.file_name().is_some_and(|n| n.as_encoded_bytes().ends_with(b".git")));
    if let Some(repository) = repository {
        let bare = repository.file_name() != Some(OsStr::new(".git"));
        trees.push(if bare { repository.to_owned() } else { repository.parent().unwrap_or(repository).to_owned() });
        // A linked work tree stands elsewhere; `gitdir` names its `.git` file (gitrepository-layout(5)).
        if let Ok((_, bytes)) = directory.read(OsStr::new("gitdir"), 4096)
            && let Some(tree) = Path::new(&os_name(bytes.trim_ascii_end())).parent()
        {
            trees.push(tree.to_owned());
        }
    }
    trees
}
