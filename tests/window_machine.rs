//! The start screen, the machine and the processes in the window.

#[test]
fn nothing_yet() {}
