//! What the commands print: tables for people, JSON for programs, names made safe to show.
//!
//! Owns: every byte on stdout. Never: looks at a file; it is given snapshots and outcomes.

pub mod json;
pub mod system;
pub mod table;
pub mod text;

pub use crate::engine::shape::Shown;
