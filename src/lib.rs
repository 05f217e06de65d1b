//! Who holds each lock file, whether that holder is alive, and how to clear the stale ones safely.

#[cfg(feature = "gui")]
pub mod app;
pub mod clear;
#[cfg(feature = "cli")]
pub mod cli;
pub mod engine;
pub mod inspect;
pub mod lock;
pub mod model;
pub mod platform;
