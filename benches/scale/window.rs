//! The window: a frame over many rows, the start, and what it costs to be open.

use crate::live::thread_time;
use crate::{Place, Row, Rows, Runs, in_turn};
use eframe::egui;
use lockscope::app::Window;
use lockscope::engine::Engine;
use lockscope::engine::listing::Query;
use lockscope::engine::settings::Settings;
use lockscope::model::snapshot::{CHUNK, Snapshot};
use std::io::BufRead as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A window over a picture, scrolled to the middle.
fn harness(snapshot: Snapshot) -> egui_kittest::Harness<'static, Window> {
    let rows: usize = snapshot.counts.listed() as usize;
    let now = (snapshot.taken_at, snapshot.taken_monotonic);
    let settings = Settings { grouped: false, ..Settings::default() };
    let query = Query { sort: settings.sort, text: "lock".to_owned(), ..Query::default() };
    let (engine, _, _) = Engine::detached(Some(snapshot), &query);
    let mut harness = egui_kittest::Harness::builder()
        .with_size([1280.0, 800.0])
        .build_eframe(move |cc| Window::new(cc, engine, settings, Arc::new(move || now)));
    harness.run_steps(3);
    harness.hover_at(egui::pos2(400.0, 400.0));
    harness.event(egui::Event::MouseWheel {
        unit: egui::MouseWheelUnit::Point,
        delta: egui::vec2(0.0, rows as f32 * -16.0),
        phase: egui::TouchPhase::Move,
        source: egui::MouseWheelSource::Wheel,
        modifiers: egui::Modifiers::NONE,
    });
    harness.run_steps(60);
    harness
}

/// The processor time of one frame over all these rows, and over the first thousand of them.
pub(crate) fn frame(snapshot: Snapshot) -> Result<Row, String> {
    let mut first = snapshot.clone();
    first.chunks.truncate(1000_usize.div_ceil(CHUNK));
    let (mut small, mut large) = (harness(first), harness(snapshot));
    let step = |harness: &mut egui_kittest::Harness<'static, Window>| {
        let before = thread_time();
        harness.run_steps(10);
        Ok((thread_time().saturating_sub(before)) / 10)
    };
    let (many, few) = in_turn(41, || step(&mut large), || step(&mut small))?;
    let ratio = many.median() / few.median();
    Ok(Row {
        work: "processor time of a window's frame with 1,000,000 rows, sorted, filtered, scrolled to the middle",
        against: "with 1,000 rows",
        goal: "at most 1.2 x",
        measured: format!("{:.0} us, {:.0} us: {ratio:.2} x", many.median() * 1e6, few.median() * 1e6),
        met: ratio <= 1.2,
    })
}

/// The bare window that the start is compared with; `ticking`, it is drawn once a second, as ages are.
pub(crate) fn hello(ticking: bool) {
    let options = eframe::NativeOptions {
        viewport: egui::ViewportBuilder::default().with_inner_size([1280.0, 800.0]),
        renderer: eframe::Renderer::Glow,
        ..Default::default()
    };
    struct Hello {
        ticking: bool,
    }
    impl eframe::App for Hello {
        fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
            ui.label("hello");
            eprintln!("shown");
            if self.ticking {
                ui.ctx().request_repaint_after(Duration::from_secs(1));
            }
        }
    }
    let _ = eframe::run_native("hello", options, Box::new(move |_| Ok(Box::new(Hello { ticking }))));
}

/// A screen of its own.
struct Screen {
    server: Child,
    name: String,
}

impl Screen {
    fn start() -> Result<Self, String> {
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", "1280x800x24", "-nolisten", "tcp"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("Xvfb: {error}"))?;
        let mut number = String::new();
        let _ = std::io::BufReader::new(server.stdout.take().unwrap()).read_line(&mut number);
        let name = format!(":{}", number.trim());
        if name.len() < 2 { Err("Xvfb does not start".to_owned()) } else { Ok(Self { server, name }) }
    }

    /// Starts a window there, and waits until it says on stderr that it is shown.
    fn open(&self, command: &mut Command, place: &Place) -> Result<(Child, Duration), String> {
        let runtime = place.directory("runtime");
        command.env("DISPLAY", &self.name).env("XDG_RUNTIME_DIR", runtime).env_remove("WAYLAND_DISPLAY");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let began = Instant::now();
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let mut lines = std::io::BufReader::new(child.stderr.take().unwrap()).lines();
        let shown = lines.by_ref().map_while(Result::ok).any(|line| line.contains("shown"));
        let took = began.elapsed();
        // Whatever else it says must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        if shown { Ok((child, took)) } else { Err("the window does not open".to_owned()) }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn end(mut child: Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn ten_thousand(place: &Place) -> std::path::PathBuf {
    let directory = place.directory("ten-thousand");
    if std::fs::read_dir(&directory).is_ok_and(|mut entries| entries.next().is_none()) {
        crate::corpus::make(&directory, 10_000).unwrap();
    }
    directory
}

fn window(place: &Place) -> Command {
    let mut command = place.lockscope();
    command.arg(ten_thousand(place)).env("LOCKSCOPE_LOG", "lockscope::app=debug");
    command
}

pub(crate) fn start(place: &Place) -> Rows {
    let screen = Screen::start()?;
    let open = |mut command: Command, processor: &mut Runs| {
        let (child, took) = screen.open(&mut command, place)?;
        if let Some(spent) = processor_time(child.id()) {
            processor.add(spent);
        }
        end(child);
        Ok(took)
    };
    let (mut our_time, mut bare_time, mut rest) = (Runs::default(), Runs::default(), Runs::default());
    let bare = |processor: &mut Runs| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("hello");
        open(command, processor)
    };
    let (ours, bares) = in_turn(15, || open(window(place), &mut our_time), || bare(&mut bare_time))?;
    let ratio = ours.median() / bares.median();
    // The least: the same files are opened, looked at, read and closed beside a bare window, by a process of its own.
    let floor = place.peer("floor")?;
    let files = ten_thousand(place);
    let beside = || {
        let began = Instant::now();
        let reads = Command::new(&floor).arg(&files).stdout(Stdio::null()).spawn();
        let mut reads = reads.map_err(|error| error.to_string())?;
        let opened = bare(&mut rest)?;
        // As a rule it has ended before the window is there.
        let ended = reads.try_wait().is_ok_and(|status| status.is_some());
        let _ = reads.wait();
        Ok(if ended { opened } else { began.elapsed() })
    };
    let (least, bares_again) = in_turn(9, beside, || bare(&mut bare_time))?;
    let least = least.median() / bares_again.median();
    Ok(vec![Row {
        work: "start to the first full table, 10,000 locks",
        against: "a bare eframe window",
        goal: "at most 1.3 x",
        measured: format!(
            "{:.0} ms, {:.0} ms: {ratio:.2} x; processor time until then {:.0} ms, {:.0} ms (without the display \
             server's); a bare window with `floor.c` over the same files beside it: {least:.2} x",
            ours.median() * 1e3,
            bares.median() * 1e3,
            our_time.mean() * 1e3,
            bare_time.mean() * 1e3,
        ),
        met: ratio <= 1.3,
    }])
}

/// By then what belongs to the start is done: the first history is written, fonts are known. The start has a row of its own.
const SETTLED: Duration = Duration::from_secs(10);

/// Processor time of a process so far, with that of its threads that have ended; in steps of 10 ms, so that a mean of many
/// runs is good for some 5 ms.
fn processor_time(pid: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // proc(5): utime and stime are fields 14 and 15, the name in brackets is field 2.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    let ticks: u64 = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    // USER_HZ is 100, whatever the kernel's own clock.
    Some(Duration::from_millis(ticks * 10))
}

/// Processor time, and how often its threads were woken, so far.
fn spent(pid: u32) -> Option<(Duration, u64)> {
    let (mut woken, mut time) = (0, 0);
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        let status = std::fs::read_to_string(task.path().join("status")).unwrap_or_default();
        woken += status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")?.trim().parse::<u64>().ok())
            .unwrap_or_default();
        let schedule = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        time += schedule.split(' ').next().and_then(|nanos| nanos.parse::<u64>().ok()).unwrap_or_default();
    }
    Some((Duration::from_nanos(time), woken))
}

fn idle_for(pid: u32, span: Duration) -> Result<(f64, f64), String> {
    let gone = || "the window has gone".to_owned();
    let (time, woken) = spent(pid).ok_or_else(gone)?;
    std::thread::sleep(span);
    let (later, more) = spent(pid).ok_or_else(gone)?;
    let share = (later.saturating_sub(time)).as_secs_f64() / span.as_secs_f64();
    Ok((share * 100.0, more.saturating_sub(woken) as f64 / span.as_secs_f64()))
}

pub(crate) fn idle(place: &Place) -> Rows {
    let screen = Screen::start()?;
    let (child, _) = screen.open(&mut window(place), place)?;
    let pid = child.id();
    std::thread::sleep(SETTLED);
    let span = Duration::from_secs(30);
    let shown = idle_for(pid, span);
    // What a window manager does, where there is none.
    let on_screen = |program: &str, arguments: &[&str]| {
        let done = Command::new(program).args(arguments).env("DISPLAY", &screen.name).output();
        done.ok().filter(|done| done.status.success()).map(|done| String::from_utf8_lossy(&done.stdout).into_owned())
    };
    let id = on_screen("xdotool", &["search", "--class", "lockscope"]).unwrap_or_default();
    let id = id.lines().last().unwrap_or_default().to_owned();
    let hidden = ["-id", &id, "-f", "_NET_WM_STATE", "32a", "-set", "_NET_WM_STATE", "_NET_WM_STATE_HIDDEN"];
    let minimised = on_screen("xprop", &hidden).and_then(|_| on_screen("xdotool", &["windowunmap", &id]));
    let away = minimised.ok_or("neither xprop nor xdotool").map(|_| {
        std::thread::sleep(Duration::from_secs(2));
        idle_for(pid, span)
    });
    end(child);
    let mut ticking = Command::new(std::env::current_exe().unwrap());
    let (bare, _) = screen.open(ticking.arg("hello-ticking"), place)?;
    std::thread::sleep(SETTLED);
    let floor = idle_for(bare.id(), span);
    end(bare);
    let (floor, _) = floor?;
    let row = |work, goal, limit: f64, (share, wakeups): (f64, f64)| Row {
        work,
        against: "one processor",
        goal,
        measured: format!("{share:.2} %, {wakeups:.1} wakeups/s"),
        met: share < limit,
    };
    let drawn = format!("; a bare window that is drawn once a second, as ages are: {floor:.2} %");
    let mut rows = vec![row(
        "30 s idle with 10,000 locks, from the tenth second after the start; window shown",
        "under 1 %",
        1.0,
        shown?,
    )];
    rows[0].measured.push_str(&drawn);
    rows.push(row("the same, minimised", "under 0.1 %", 0.1, away??));
    Ok(rows)
}
