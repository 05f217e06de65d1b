//! A screen for the real program, on which nobody looks.

use super::DEADLINE;
use std::io::BufRead as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// An X server of our own on a free display; ends with the test.
pub struct Display {
    server: Child,
    pub name: String,
}

impl Display {
    pub fn start() -> Self {
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", "1280x800x24", "-nolisten", "tcp"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb is installed by ./dev test");
        // It writes its number when it is ready.
        let mut number = String::new();
        let output = server.stdout.as_mut().expect("a pipe");
        std::io::BufReader::new(output).read_line(&mut number).expect("a display number");
        Self { server, name: format!(":{}", number.trim()) }
    }

    /// A command on this display, with settings and state of its own.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>, home: &Path) -> Command {
        let runtime = home.join("run");
        std::fs::create_dir_all(&runtime).expect("made");
        let mut command = Command::new(program);
        command
            .env("DISPLAY", &self.name)
            .env("XDG_RUNTIME_DIR", runtime)
            .env("LOCKSCOPE_STATE_DIR", home.join("state"))
            .env("LOCKSCOPE_CONFIG_DIR", home.join("config"))
            .env("LOCKSCOPE_PROFILE", "dev")
            .env_remove("WAYLAND_DISPLAY")
            .stdin(Stdio::null());
        command
    }

    /// Waits for a window whose title holds this.
    pub fn window(&self, title: &str) {
        let start = Instant::now();
        loop {
            let found = Command::new("timeout")
                .args([
                    &DEADLINE.as_secs().to_string(),
                    "xdotool",
                    "search",
                    "--sync",
                    "--onlyvisible",
                    "--name",
                    title,
                ])
                .env("DISPLAY", &self.name)
                .output()
                .expect("xdotool is installed by ./dev test");
            if found.status.success() {
                return;
            }
            // A window that goes while it looks makes it fail (BadWindow); then it looks again.
            let said = String::from_utf8_lossy(&found.stderr);
            assert!(start.elapsed() < DEADLINE, "a window called {title} appears: {said}");
        }
    }

    /// How many colours are on the screen.
    pub fn colours(&self, shot: &Path) -> u32 {
        let taken = Command::new("import").args(["-window", "root"]).arg(shot).env("DISPLAY", &self.name).status();
        assert!(taken.expect("import is installed by ./dev test").success());
        let counted = Command::new("identify").args(["-format", "%k"]).arg(shot).output().expect("identify runs");
        String::from_utf8_lossy(&counted.stdout).trim().parse().expect("a number")
    }

    /// Takes pictures until one is not blank.
    pub fn until_it_shows_something(&self, shot: &Path) {
        let start = Instant::now();
        loop {
            let colours = self.colours(shot);
            if colours > 100 {
                return;
            }
            assert!(start.elapsed() < DEADLINE, "the window stays blank: {colours} colours");
        }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
