//! What ending a process would hit: said to a person before they decide to.
//!
//! Owns: [`Impact`]. Never: ends anything.

use crate::model::facts::ProcessRef;
use crate::model::holder::{Pid, ProcessFacts, ProcessLook};
use crate::platform::System;
use std::path::PathBuf;
use std::sync::Arc;

/// A process, and what hangs on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Impact {
    /// It.
    pub process: Arc<ProcessFacts>,
    /// What it has started and what still lives. They are not asked to end: they may go on, or end with it.
    pub children: Vec<ProcessRef>,
    /// The files that it holds kernel locks on; `None` where that may not be seen.
    pub locked_files: Option<Vec<PathBuf>>,
}

/// What ending the process would hit; `None` where there is no such process that can be looked at.
pub fn impact_of(system: &dyn System, pid: Pid) -> Option<Impact> {
    let facts = |pid| match system.look_at(pid) {
        ProcessLook::Running(facts) => Some(Arc::new(*facts)),
        ProcessLook::NoSuchProcess | ProcessLook::Exited(_) | ProcessLook::Hidden | ProcessLook::Unknown(_) => None,
    };
    let process = facts(pid)?;
    // Of a thread id its process is meant.
    let pid = process.pid;
    let children = system.children(pid).into_iter().map(|pid| ProcessRef { pid, facts: facts(pid) }).collect();
    Some(Impact { process, children, locked_files: system.locked_paths(pid) })
}
