//! Who holds each lock file, whether that holder is alive, and how to clear the stale ones safely.
//!
//! As a library, without window and command line (`default-features = false`), it takes locks that do not get stuck: see
//! [`lock`], with its limitations. A JSON file that several processes change, in five lines:
//!
//! ```
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("settings.json");
//! use lockscope::lock::{LockConfig, json};
//! use serde_json::Value;
//!
//! json::update(&path, &LockConfig::default(), |settings: &mut Value| {
//!     settings["theme"] = "dark".into();
//! })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! To look, without changing anything: [`inspect::look`]. To take away what is proved stale: [`clear`].

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
