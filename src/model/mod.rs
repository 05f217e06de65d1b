//! Pure data and decisions. No files, no clock, no environment, no threads.

pub mod checklist;
pub mod facts;
pub mod format;
pub mod holder;
pub mod ignore;
pub mod kernel;
pub mod machine;
pub mod naming;
pub mod places;
pub mod sentence;
pub mod snapshot;
pub mod time;
pub mod verdict;
pub mod waits;
