//! Linux.
/// This machine.
#[derive(Debug, Default)]
pub struct Linux {}
