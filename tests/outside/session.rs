//! The real program in a desktop session of its own: display, message bus, accessibility bus, and what acts on it from
//! outside.

use crate::support::DEADLINE;
use crate::support::display::Display;
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// Debian's own: the packages that the scripts need are for this one.
const PYTHON: &str = "/usr/bin/python3";

/// A program that ends with the test.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A desktop session with the program's window in it.
pub(crate) struct Session {
    // They end in this order: the program before its display.
    _children: Vec<Ending>,
    reader: ChildStdin,
    answers: BufReader<ChildStdout>,
    pub(crate) display: Display,
    pub(crate) home: tempfile::TempDir,
    address: String,
    program: u32,
}

/// What is missing on this machine for a session; `None` = nothing.
pub(crate) fn missing() -> Option<String> {
    for tool in ["Xvfb", "xdotool", "dbus-daemon", "dbus-send"] {
        let found = std::env::split_paths(&std::env::var_os("PATH")?).any(|directory| directory.join(tool).exists());
        if !found {
            return Some(format!("there is no {tool} here"));
        }
    }
    let script = "import gi; gi.require_version('Atspi', '2.0'); gi.require_version('Gtk', '3.0')\n\
                  from gi.repository import Atspi, Gtk";
    let imports = Command::new(PYTHON).args(["-c", script]).stderr(Stdio::null()).status();
    if !imports.is_ok_and(|status| status.success()) {
        return Some(format!("{PYTHON} has no gi with Atspi and Gtk"));
    }
    None
}

impl Session {
    /// Starts the program with these arguments and waits until its window is there for eyes and for screen readers.
    pub(crate) fn start(arguments: &[&OsStr], title: &str) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let display = Display::start();
        // What the bus starts inherits from it: no settings of whoever runs this, and the test's display.
        let mut bus = display
            .command("dbus-daemon", home.path())
            .args(["--session", "--nofork", "--print-address=1"])
            .env("GSETTINGS_BACKEND", "memory")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("dbus-daemon is installed by ./dev test");
        let mut address = String::new();
        BufReader::new(bus.stdout.take().expect("a pipe")).read_line(&mut address).expect("its address");
        let address = address.trim().to_owned();
        // As a screen reader does when it starts.
        let told = display
            .command("dbus-send", home.path())
            .env("DBUS_SESSION_BUS_ADDRESS", &address)
            .args(["--session", "--print-reply", "--dest=org.a11y.Bus", "/org/a11y/bus"])
            .args(["org.freedesktop.DBus.Properties.Set", "string:org.a11y.Status", "string:IsEnabled"])
            .arg("variant:boolean:true")
            .output()
            .expect("dbus-send is installed by ./dev test");
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
        let program = display
            .command(env!("CARGO_BIN_EXE_lockscope"), home.path())
            .env("DBUS_SESSION_BUS_ADDRESS", &address)
            .args(arguments)
            .spawn()
            .expect("it starts");
        display.window(title);
        let mut reader = display
            .command(PYTHON, home.path())
            .env("DBUS_SESSION_BUS_ADDRESS", &address)
            .arg(script("reader.py"))
            .args([program.id().to_string(), DEADLINE.as_secs().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("python3 is installed by ./dev test");
        let number = program.id();
        let (asks, answers) = (reader.stdin.take().expect("a pipe"), reader.stdout.take().expect("a pipe"));
        let mut session = Self {
            _children: vec![Ending(program), Ending(reader), Ending(bus)],
            reader: asks,
            answers: BufReader::new(answers),
            display,
            home,
            address,
            program: number,
        };
        assert_eq!(session.answer(), json!({"ready": true}), "the window is in the accessibility tree");
        // There is no window manager that would.
        session.xdotool(&["windowfocus", "--sync", &session.window()]);
        session
    }

    fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the reader answers");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("the reader ended: {line:?}: {error}"))
    }

    fn ask(&mut self, wish: &Value) -> Value {
        writeln!(self.reader, "{wish}").expect("the reader runs");
        let answer = self.answer();
        assert!(answer.get("failed").is_none(), "{answer:#}");
        answer
    }

    fn with(wish: &str, mut what: Value) -> Value {
        what["do"] = wish.into();
        what
    }

    /// Waits until something like this is there.
    pub(crate) fn see(&mut self, what: Value) -> Value {
        self.ask(&Self::with("see", what))
    }

    /// Waits until nothing like this is there.
    pub(crate) fn gone(&mut self, what: Value) {
        self.ask(&Self::with("gone", what));
    }

    /// Does what a screen reader's user does with it.
    pub(crate) fn press(&mut self, what: Value) {
        self.ask(&Self::with("press", what));
    }

    /// Waits until these words were spoken.
    pub(crate) fn hear(&mut self, words: &str) {
        self.ask(&json!({"do": "announced", "holds": words}));
    }

    /// All that is there.
    pub(crate) fn tree(&mut self) -> Vec<Value> {
        self.ask(&json!({"do": "tree"}))["tree"].as_array().cloned().unwrap_or_default()
    }

    /// The mouse and the keyboard.
    pub(crate) fn xdotool(&self, arguments: &[&str]) -> String {
        let mut command = self.display.command("timeout", self.home.path());
        let done = command.arg(DEADLINE.as_secs().to_string()).arg("xdotool").args(arguments).output();
        let done = done.expect("xdotool is installed by ./dev test");
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).trim().to_owned()
    }

    /// The program's window, as the display knows it.
    pub(crate) fn window(&self) -> String {
        let found =
            self.xdotool(&["search", "--onlyvisible", "--pid", &self.program.to_string(), "--name", "Lockscope"]);
        found.lines().next().expect("one window").to_owned()
    }

    pub(crate) fn title(&self) -> String {
        self.xdotool(&["getwindowname", &self.window()])
    }

    /// Waits until the title begins so.
    pub(crate) fn until_title(&self, start: &str) {
        until(&format!("the title begins with {start:?}; it is {:?}", self.title()), || {
            self.title().starts_with(start)
        });
    }

    /// A real click, where the accessibility tree says that it is.
    pub(crate) fn click(&mut self, what: Value) {
        let at = self.ask(&Self::with("where", what));
        let [x, y] = ["x", "y"].map(|side| at[side].to_string());
        self.xdotool(&["mousemove", "--window", &self.window(), &x, &y, "click", "1"]);
    }

    /// Real keys.
    pub(crate) fn keys(&self, keys: &[&str]) {
        self.xdotool(&[&["key"], keys].concat());
    }

    /// Drags these from another program's window and drops them on ours.
    pub(crate) fn drag_and_drop(&self, paths: &[PathBuf]) {
        let mut source = self
            .display
            .command(PYTHON, self.home.path())
            .env("DBUS_SESSION_BUS_ADDRESS", &self.address)
            .envs([("GDK_BACKEND", "x11"), ("NO_AT_BRIDGE", "1")])
            .arg(script("source.py"))
            .args(["1000", "300"])
            .args(paths)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("python3 is installed by ./dev test");
        let words = BufReader::new(source.stdout.take().expect("a pipe"));
        let _source = Ending(source);
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || words.lines().map_while(Result::ok).try_for_each(|word| tell.send(word)));
        let next = |word: &str, wait: Duration| loop {
            match told.recv_timeout(wait) {
                Ok(said) if said == word => return true,
                Ok(_) => {}
                Err(_) => return false,
            }
        };
        assert!(next("ready", DEADLINE), "the other window is there");
        self.xdotool(&["mousemove", "1060", "340", "mousedown", "1"]);
        // A hand moves in steps; each gives both programs time to answer the other. A drag begins after some pixels.
        let start = Instant::now();
        let move_until = |word: &str, from: (i32, i32), to: (i32, i32)| {
            for step in 0.. {
                let along = |from: i32, to: i32| (from + (to - from) * (step % 8) / 8).to_string();
                self.xdotool(&["mousemove", &along(from.0, to.0), &along(from.1, to.1)]);
                if next(word, Duration::from_millis(50)) {
                    return;
                }
                assert!(start.elapsed() < DEADLINE, "the drag is not {word:?}");
            }
        };
        move_until("begun", (1060, 340), (1040, 350));
        // Our window asks for the names as soon as the drag is over it.
        move_until("asked", (900, 320), (500, 280));
        self.xdotool(&["mousemove", "480", "270", "mouseup", "1"]);
        assert!(next("ended", DEADLINE), "the drag is over");
    }
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/outside").join(name)
}

/// Waits until it is so.
pub(crate) fn until(what: &str, so: impl Fn() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}");
        std::thread::yield_now();
    }
}
