//! The real program on a real (virtual) display: its window opens, shows something, and ends with its children. And the
//! README's commands, each run as it stands there (all but `./dev test`, which is what runs this).

mod support;

use std::path::Path;
use std::time::Instant;
use support::display::Display;
use support::{DEAD, DEADLINE, write};

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

/// As a shell takes them apart: what stands in double quotes is one word.
fn shell_words(line: &str) -> Vec<String> {
    let parts = line.split('"').enumerate();
    parts
        .flat_map(|(number, part)| match number % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        })
        .collect()
}

#[test]
fn the_readmes_commands_do_what_it_says() {
    let home = tempfile::tempdir().expect("a directory");
    let locks = tempfile::tempdir().expect("a directory");
    let display = Display::start();
    let commands = readme_commands();
    assert!(commands.len() >= 7, "two to start with and the five most used: {commands:?}");
    // What the first `./dev run` builds may take minutes; how long a window takes is asked after that.
    let dev = Path::new(env!("CARGO_MANIFEST_DIR")).join("dev");
    let built = display.command(dev, home.path()).args(["run", "--version"]).output().expect("it runs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    for line in commands {
        let mut words = shell_words(&line).into_iter();
        let program = words.next().expect("a program");
        let arguments: Vec<String> =
            words.map(|word| word.replace("DIR", locks.path().to_str().expect("text"))).collect();
        if arguments.first().is_some_and(|word| word == "clear") {
            write(locks.path(), "x.lock", format!("{DEAD}\n"), 3600);
        }
        let opens_window = match (&*program, &arguments[..]) {
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
