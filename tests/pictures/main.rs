//! A picture of each state of the window in both themes, drawn by the program's own renderer on a made-up machine.
//! `./dev screenshots` writes them to docs/screenshots; the test draws them all and looks that docs has and shows them.

mod canvas;
mod made;
mod scenes;
mod stage;
mod states;

use canvas::{Canvas, Picture};
use lockscope::engine::settings::ThemeChoice;
use stage::Stage;
use states::STATES;
use std::path::{Path, PathBuf};

const THEMES: [(&str, ThemeChoice); 2] = [("dark", ThemeChoice::Dark), ("light", ThemeChoice::Light)];

/// The whole folder stays below this.
const MOST_BYTES: u64 = 8 << 20;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/screenshots")
}

fn file_name(state: &states::State, theme: &str) -> String {
    format!("{}-{theme}.png", state.name)
}

#[test]
fn each_state_can_be_drawn_in_both_themes() {
    let drawn = std::thread::scope(|scope| {
        let threads = THEMES.map(|(theme, choice)| scope.spawn(move || draw_all(theme, choice)));
        threads.map(|thread| thread.join().expect("no panic"))
    });
    let faults = drawn.concat();
    assert!(faults.is_empty(), "{faults:#?}");
}

/// Draws all states in one theme; tells what is wrong.
fn draw_all(theme: &str, choice: ThemeChoice) -> Vec<String> {
    let canvas = Canvas::new();
    if let Err(why) = &canvas {
        println!("not run: drawing the window's states: no OpenGL without a display here ({why})");
    }
    // Asked for by `./dev screenshots`; a word picks the states whose names hold it.
    let wanted = std::env::var("LOCKSCOPE_PICTURES").ok();
    let mut faults = Vec::new();
    for state in STATES {
        if wanted.as_ref().is_some_and(|word| !state.name.contains(word)) {
            continue;
        }
        let stage = Stage::open(state, choice);
        let missing = state.shows.iter().filter(|words| !stage.shows(words));
        faults.extend(missing.map(|words| format!("{}: does not show {words:?}", state.name)));
        let beyond = stage.beyond_the_edge();
        faults.extend(beyond.into_iter().map(|button| format!("{}: {button} is beyond the edge", state.name)));
        let Ok(canvas) = &canvas else { continue };
        let picture = canvas.draw(&stage.harness, &stage.textures);
        if picture.colours() < 40 {
            faults.push(format!("{}: the picture is blank", state.name));
        }
        if wanted.is_some() {
            std::fs::create_dir_all(folder()).expect("made");
            picture.write(&folder().join(file_name(state, theme)));
        }
    }
    faults
}

#[test]
fn each_state_has_its_pictures_and_docs_show_them() {
    if std::env::var_os("LOCKSCOPE_PICTURES").is_some() {
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| std::fs::read_to_string(root.join(name)).expect("it can be read");
    let (guide, readme) = (read("docs/WINDOW.md"), read("README.md"));
    let mut known = Vec::new();
    for state in STATES {
        let shown = THEMES.iter().any(|(theme, _)| guide.contains(&file_name(state, theme)));
        assert!(shown, "docs/WINDOW.md shows {}", state.name);
        for (theme, _) in THEMES {
            let name = file_name(state, theme);
            let size = state.size.map(|side| (side * state.scale) as u32);
            let said = format!("{name} is there, and of the right size: ./dev screenshots {}", state.name);
            assert_eq!(Picture::size_of(&folder().join(&name)), Some(size), "{said}");
            known.push(name);
        }
    }
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder()).expect("the folder is there").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        assert!(known.contains(&name), "{name} belongs to a state of the table");
        bytes += entry.metadata().expect("its size").len();
    }
    assert!(bytes < MOST_BYTES, "the pictures take {bytes} bytes");
    // Whatever the documents show is there.
    for (document, text) in [("README.md", readme), ("docs/WINDOW.md", guide)] {
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if Path::new(link).extension().is_some_and(|kind| kind == "png") {
                let path = root.join(document).with_file_name(link);
                assert!(path.exists(), "{document} shows {link}");
            }
        }
    }
}
