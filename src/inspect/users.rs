//! Who has a file open, and which program visibly works under a lock without an open file.
//!
//! git with its editor open holds `index.lock` with no descriptor at all: only its working directory tells
//! (CLEARING.md 2.4).

use super::evidence::Looker;
use crate::model::facts::{Facts, FileKind, FileStat, ProcessRef, Users};
use crate::model::format::{Format, Scope};
use crate::model::holder::Pid;
use crate::platform::{Directory, OpenFile, ProcessSweep, ProcessView, os_name};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A pass's sweep, sorted by what is asked of it: a file costs no walk through all processes.
#[derive(Debug)]
pub(super) struct UserIndex {
    pub(super) seen: ProcessSweep,
    /// By inode number: the open files with it, by their place.
    by_inode: HashMap<u64, Vec<usize>>,
    /// By PID: its place.
    by_pid: HashMap<Pid, usize>,
    /// Our own processes are no evidence: we read these files.
    ourselves: u32,
}

impl UserIndex {
    pub(super) fn of(seen: ProcessSweep) -> Self {
        let mut by_inode: HashMap<u64, Vec<usize>> = HashMap::new();
        for (place, file) in seen.open_files.iter().enumerate() {
            by_inode.entry(file.ino).or_default().push(place);
        }
        let by_pid = seen.processes.iter().enumerate().map(|(place, view)| (view.facts.pid, place)).collect();
        let ourselves = crate::platform::environment::own_pid();
        Self { seen, by_inode, by_pid, ourselves }
    }

    /// The open files with this inode number, on whatever file system.
    pub(super) fn with_inode(&self, ino: u64) -> impl Iterator<Item = &OpenFile> {
        self.by_inode.get(&ino).into_iter().flatten().map(|place| &self.seen.open_files[*place])
    }
}

impl Looker {
    /// Looks for users of one file.
    pub(super) fn users(&self, directory: &dyn Directory, stat: &FileStat, format: &Format) -> Users {
        let works = self.works(directory, format);
        let (open, unseen) = self.openers(stat);
        Users::Looked { open, works, unseen }
    }

    /// Whether others have the file open than it was when these facts were gathered. Asks nothing of the file itself; where
    /// a program's work in the directory counts, the answer is to look.
    pub fn may_have_other_users(&self, facts: &Facts) -> bool {
        let (Some(stat), Users::Looked { open, works: None, unseen }) = (facts.stat(), facts.users()) else {
            return true;
        };
        !facts.reading().format.programs.is_empty() || self.openers(&stat) != (open.clone(), *unseen)
    }

    /// Who has the file open, and how many processes could have it open unseen.
    fn openers(&self, stat: &FileStat) -> (Vec<ProcessRef>, u32) {
        let sweep = self.sweep();
        let mut open: Vec<ProcessRef> = Vec::new();
        // Whoever has a directory open reads it; that is no use of it as a lock.
        let opened = sweep.with_inode(stat.ino).filter(|_| stat.kind == FileKind::Regular);
        for file in opened.filter(|file| self.same_device(file.mount, stat.mount)) {
            let known = open.iter().any(|process| process.pid == file.pid);
            if let Some(place) = sweep.by_pid.get(&file.pid)
                && file.pid.get() != sweep.ourselves
                && !known
            {
                open.push(reference(&sweep.seen.processes[*place]));
            }
        }
        let unseen = *self.unseen.borrow_mut().entry(stat.uid).or_insert_with(|| self.unseen_users(stat.uid));
        (open, unseen)
    }

    /// A process of the format's program that is at work there.
    fn works(&self, directory: &dyn Directory, format: &Format) -> Option<ProcessRef> {
        if format.programs.is_empty() {
            return None;
        }
        let sweep = self.sweep();
        let place = (directory.id(), format.id);
        if let Some(known) = self.works.borrow().get(&place) {
            return known.clone();
        }
        let trees = protected_trees(directory, format);
        let found = sweep
            .seen
            .processes
            .iter()
            .filter(|view| view.facts.pid.get() != sweep.ourselves)
            .filter(|view| format.fits_program(&view.facts.comm) == Some(true))
            .find(|view| format.scope == Scope::Machine || self.works_in(view, &trees))
            .map(reference);
        self.works.borrow_mut().insert(place, found.clone());
        found
    }

    /// How many processes that would matter for a file of this owner could not be looked at.
    fn unseen_users(&self, owner: u32) -> u32 {
        // A process of the file's owner, or of ours, that would not show itself could be the one. Others cannot have
        // made the file, or (root's) are seen by name only; PID 1 and kernel threads do not lock.
        let matters = |view: &ProcessView| {
            let facts = &view.facts;
            let relevant = facts.uids.is_none_or(|uids| uids.contains(&owner) || uids.contains(&self.sight.uid));
            relevant && !facts.kernel_thread && facts.pid.get() != 1
        };
        let hidden = |view: &&ProcessView| matters(view) && !view.seen;
        self.sweep().seen.processes.iter().filter(hidden).count() as u32
    }

    fn works_in(&self, view: &ProcessView, trees: &[PathBuf]) -> bool {
        let inside = |path: &Path| trees.iter().any(|tree| path.starts_with(tree));
        let in_tree = |path: &PathBuf| inside(path) && !path.as_os_str().as_encoded_bytes().ends_with(b".lock");
        view.cwd.as_deref().is_some_and(inside)
            || self.system.open_paths(view.facts.pid).is_some_and(|paths| paths.iter().any(in_tree))
    }
}

fn reference(view: &ProcessView) -> ProcessRef {
    ProcessRef { pid: view.facts.pid, facts: Some(Arc::clone(&view.facts)) }
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
