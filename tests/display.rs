//! The real program on a real (virtual) display: its window opens, shows something, and ends with its children. And the
//! README's commands, each run as it stands there (all but `./dev test`, which is what runs this).

mod support;

use std::io::BufRead as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;
use support::{DEAD, DEADLINE, write};

/// An X server of our own on a free display; ends with the test.
struct Display {
    server: Child,
    name: String,
}

impl Display {
    fn start() -> Self {
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
    fn command(&self, program: impl AsRef<std::ffi::OsStr>, home: &Path) -> Command {
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
    fn window(&self, title: &str) {
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
    fn colours(&self, shot: &Path) -> u32 {
        let taken = Command::new("import").args(["-window", "root"]).arg(shot).env("DISPLAY", &self.name).status();
        assert!(taken.expect("import is installed by ./dev test").success());
        let counted = Command::new("identify").args(["-format", "%k"]).arg(shot).output().expect("identify runs");
        String::from_utf8_lossy(&counted.stdout).trim().parse().expect("a number")
    }

    /// Takes pictures until one is not blank.
    fn until_it_shows_something(&self, shot: &Path) {
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

fn demo_processes() -> usize {
    let entries = std::fs::read_dir("/proc").expect("readable").flatten();
    let actors = entries.filter(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        line.windows(10).any(|part| part == b"demo-actor")
            && line.starts_with(env!("CARGO_BIN_EXE_lockscope").as_bytes())
    });
    actors.count()
}

#[test]
fn the_demo_opens_shows_and_leaves_nothing_behind() {
    let home = tempfile::tempdir().expect("a directory");
    let display = Display::start();
    let mut program =
        display.command(env!("CARGO_BIN_EXE_lockscope"), home.path()).arg("demo").spawn().expect("it starts");
    display.window("lockscope-demo-");
    display.until_it_shows_something(&home.path().join("shot.png"));
    assert!(demo_processes() > 0, "real processes play");
    // However it ends, its children end with it.
    program.kill().expect("killed");
    program.wait().expect("reaped");
    let start = Instant::now();
    while demo_processes() > 0 {
        assert!(start.elapsed() < DEADLINE, "the demo's processes outlive it");
        std::thread::yield_now();
    }
    let left = std::fs::read_dir(std::env::temp_dir()).expect("readable").flatten();
    let ours = format!("lockscope-demo-{}-", program.id());
    assert!(!left.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with(&ours)), "nor its directory");
}

/// The command lines in the README's code blocks, without what is said about them.
fn readme_commands() -> Vec<String> {
    let readme = include_str!("../README.md");
    let mut commands = Vec::new();
    let mut inside = false;
    for line in readme.lines() {
        if line.starts_with("```") {
            inside = !inside;
        } else if inside && (line.starts_with("./dev ") || line.starts_with("lockscope ")) {
            commands.push(line.split("   ").next().unwrap_or(line).trim().to_owned());
        }
    }
    commands
}

#[test]
fn the_readmes_commands_do_what_it_says() {
    let home = tempfile::tempdir().expect("a directory");
    let locks = tempfile::tempdir().expect("a directory");
    let display = Display::start();
    let commands = readme_commands();
    assert!(commands.len() >= 7, "two to start with and the five most used: {commands:?}");
    write(locks.path(), "x.lock", format!("{DEAD}\n"), 3600);
    // What the first `./dev run` builds may take minutes; how long a window takes is asked after that.
    let dev = Path::new(env!("CARGO_MANIFEST_DIR")).join("dev");
    let built = display.command(dev, home.path()).args(["run", "--version"]).output().expect("it runs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    for line in commands {
        let mut words = line.split_whitespace();
        let program = words.next().expect("a program");
        let arguments: Vec<String> =
            words.map(|word| word.replace("DIR", locks.path().to_str().expect("text"))).collect();
        let opens_window = match (program, &arguments[..]) {
            ("./dev", [test]) if test == "test" => continue,
            ("./dev", _) => true,
            (_, [only]) => only.starts_with('/'),
            _ => false,
        };
        let path = if program == "./dev" {
            Path::new(env!("CARGO_MANIFEST_DIR")).join("dev")
        } else {
            env!("CARGO_BIN_EXE_lockscope").into()
        };
        let mut command = display.command(path, home.path());
        command.args(&arguments);
        let is = |name: &str| arguments.first().is_some_and(|word| word == name);
        if is("clear") && !arguments.iter().any(|word| word == "--yes") {
            command.arg("--yes"); // nobody is there to ask
        }
        if opens_window {
            use std::os::unix::process::CommandExt as _;
            let mut child = command.process_group(0).spawn().expect("it starts");
            display.window("Lockscope$");
            let group = rustix::process::Pid::from_child(&child);
            rustix::process::kill_process_group(group, rustix::process::Signal::TERM).expect("ended");
            child.wait().expect("reaped");
        } else if is("sweep") {
            let mut child = command.stderr(std::process::Stdio::piped()).spawn().expect("it starts");
            let mut said = String::new();
            let errors = child.stderr.take().expect("a pipe");
            std::io::BufRead::read_line(&mut std::io::BufReader::new(errors), &mut said).expect("it says so");
            assert!(said.starts_with("Clearing what is stale in "), "{line}: {said}");
            rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM)
                .expect("it runs");
            assert!(child.wait().expect("it ends").success(), "{line}");
        } else {
            let output = command.output().expect("it runs");
            assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}
