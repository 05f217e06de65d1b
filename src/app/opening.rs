//! From the start to the first frame: the engine looks while the window is still being made.
//!
//! Owns: who is woken by the engine before there is a window, and how long the first frame waits for the first table. Never:
//! waits later than that.

use super::{EngineFactory, Window};
use crate::engine::{Command, Engine};
use crate::model::snapshot::Watching;
use crossbeam_channel::{Receiver, after, bounded, select};
use eframe::egui;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// A window that opens with its table is better than one that opens a moment earlier and empty: a frame that says "Reading"
/// takes about as long to draw as ten thousand locks take to look at. What is larger fills while it is seen.
const FIRST_TABLE: Duration = Duration::from_millis(200);

/// An engine whose window is not there yet.
pub(super) struct Opening {
    engine: Engine,
    window: Arc<OnceLock<egui::Context>>,
    news: Receiver<()>,
    /// Whether there will be a table.
    waits: bool,
}

impl Opening {
    /// Starts it, with what it is to do first.
    pub(super) fn begin(engine: EngineFactory, first: Vec<Command>) -> Self {
        let window = Arc::new(OnceLock::<egui::Context>::new());
        let (tell, news) = bounded(1);
        let to = Arc::clone(&window);
        let engine = engine(Arc::new(move || {
            if let Some(ctx) = to.get() {
                ctx.request_repaint_of(egui::ViewportId::ROOT);
            } else {
                // Full = a word is under way already.
                let _ = tell.try_send(());
            }
        }));
        let waits = first.iter().any(|command| matches!(command, Command::Watch(Some(_))));
        for command in first {
            engine.send(command);
        }
        Self { engine, window, news, waits }
    }

    /// Gives the engine to the window that `make` makes, and waits a moment for its first table.
    pub(super) fn finish(self, ctx: &egui::Context, make: impl FnOnce(Engine) -> Window) -> Window {
        let Self { engine, window: woken, news, waits } = self;
        tracing::debug!("there is something to draw on");
        let window = make(engine);
        tracing::debug!(has_table = has_table(&window.engine), "the window is made");
        if waits {
            wait_until(|| has_table(&window.engine), &news, FIRST_TABLE);
        }
        tracing::debug!(has_table = has_table(&window.engine), "the first frame");
        // What comes from here on finds the window; what came before is found by the first frame.
        let _ = woken.set(ctx.clone());
        window
    }
}

/// Asks again whenever there is news; not for longer than this, nor after the last who could tell has gone.
fn wait_until(is_there: impl Fn() -> bool, news: &Receiver<()>, at_most: Duration) {
    let late = after(at_most);
    while !is_there() {
        select! {
            recv(news) -> news => if news.is_err() { return },
            recv(late) -> _ => return,
        }
    }
}

fn has_table(engine: &Engine) -> bool {
    let listing = engine.listing();
    engine.snapshot().is_some_and(|snapshot| {
        let looked = !matches!(snapshot.watching, Watching::Loading(_));
        looked && listing.complete && listing.generation == snapshot.generation
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    const LONG: Duration = Duration::from_mins(10);

    #[test]
    fn the_first_frame_waits_for_the_table_and_for_no_other_news() {
        let (tell, news) = bounded(2);
        tell.send(()).expect("there is room");
        tell.send(()).expect("there is room");
        let asked = Cell::new(0);
        let third_time = || asked.replace(asked.get() + 1) == 2;
        wait_until(third_time, &news, LONG);
        assert_eq!(asked.get(), 3, "before all news, and after each");
        assert!(news.is_empty());
        wait_until(|| true, &news, LONG);
    }

    #[test]
    fn a_table_that_does_not_come_is_not_waited_for() {
        let (tell, news) = bounded(1);
        wait_until(|| false, &news, Duration::from_millis(1));
        drop(tell);
        wait_until(|| false, &news, LONG);
    }
}
