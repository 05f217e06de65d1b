//! The span of time in sight: which range, where it ends, zoomed and panned. Pure.
//!
//! Owns: [`View`]. Seconds since 1970 as the plot counts them. Never: draws.

use crate::engine::history::History;
use crate::model::time::Wall;
use std::ffi::OsStr;

/// A range to choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Range {
    FiveMinutes,
    Hour,
    Day,
    All,
}

impl Range {
    pub(super) const ALL: [Self; 4] = [Self::FiveMinutes, Self::Hour, Self::Day, Self::All];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::FiveMinutes => "5 min",
            Self::Hour => "1 h",
            Self::Day => "24 h",
            Self::All => "All",
        }
    }

    /// In seconds; `None` = as much as there is.
    fn secs(self) -> Option<f64> {
        match self {
            Self::FiveMinutes => Some(300.0),
            Self::Hour => Some(3600.0),
            Self::Day => Some(86_400.0),
            Self::All => None,
        }
    }
}

/// The closest and the widest look, in seconds.
const CLOSEST: f64 = 2.0;
const WIDEST: f64 = 40.0 * 86_400.0;
/// Room to the right of now, as a share of the span.
const MARGIN: f64 = 0.02;

#[derive(Clone, Debug)]
pub(super) struct View {
    range: Option<Range>,
    span: f64,
    /// Where it ends; `None` = it goes along with now.
    right: Option<f64>,
}

impl Default for View {
    fn default() -> Self {
        Self { range: Some(Range::FiveMinutes), span: with_margin(300.0), right: None }
    }
}

/// So many seconds up to now, and the room after it.
fn with_margin(secs: f64) -> f64 {
    secs / (1.0 - MARGIN)
}

/// Seconds since 1970.
pub(super) fn secs(at: Wall) -> f64 {
    at.0 as f64 / 1e9
}

pub(super) fn wall(secs: f64) -> Wall {
    Wall((secs * 1e9) as i64)
}

impl View {
    /// The range that was chosen, unless it was zoomed or panned since.
    pub(super) fn range(&self) -> Option<Range> {
        self.range
    }

    pub(super) fn span(&self) -> f64 {
        self.span
    }

    pub(super) fn choose(&mut self, range: Range) {
        *self = Self { range: Some(range), span: range.secs().map_or(self.span, with_margin), right: None };
    }

    /// Whether it goes along with now.
    pub(super) fn follows(&self) -> bool {
        self.right.is_none()
    }

    /// For [`Range::All`], as much as there is.
    pub(super) fn settle(&mut self, history: &History, one: Option<&OsStr>, now: Wall) {
        if self.range != Some(Range::All) {
            return;
        }
        let earliest = |lock: &crate::engine::history::LockHistory| {
            lock.holds.iter().map(|hold| hold.began).chain(lock.waits.iter().map(|wait| wait.from)).min()
        };
        let first = match one {
            Some(path) => history.lock(path).and_then(|lock| earliest(lock)),
            None => history.locks().filter_map(|lock| earliest(lock)).min(),
        };
        let all = first.and_then(|first| now.since(first)).map_or(60.0, |all| all.as_secs_f64());
        self.span = (all * 1.05).clamp(10.0, WIDEST);
    }

    /// First and last second in sight; in steps of a pixel, so that nothing trembles.
    pub(super) fn bounds(&self, now: Wall, pixels: f32) -> (f64, f64) {
        let step = self.span / f64::from(pixels.max(1.0));
        let right = self.right.unwrap_or_else(|| ((secs(now) / step).ceil()) * step + self.span * MARGIN);
        (right - self.span, right)
    }

    pub(super) fn middle(&self, now: Wall) -> f64 {
        self.right.unwrap_or(secs(now) + self.span * MARGIN) - self.span / 2.0
    }

    /// Closer (below 1) or wider, around a moment.
    pub(super) fn zoom(&mut self, factor: f64, at: f64, now: Wall) {
        let right = self.right.unwrap_or(secs(now) + self.span * MARGIN);
        let span = (self.span * factor).clamp(CLOSEST, WIDEST);
        let factor = span / self.span;
        let moved = at + (right - at) * factor;
        self.range = None;
        self.span = span;
        self.stand(moved, now);
    }

    /// Later, or earlier (below 0).
    pub(super) fn pan(&mut self, by: f64, now: Wall) {
        let right = self.right.unwrap_or(secs(now) + self.span * MARGIN);
        self.range = None;
        self.stand(right + by, now);
    }

    /// Whoever reaches now goes along with it: there is nothing beyond.
    fn stand(&mut self, right: f64, now: Wall) {
        let last = secs(now) + self.span * MARGIN;
        self.right = (right < secs(now)).then_some(right.min(last));
    }
}

/// Distances of the marks on the axis: about so many seconds apart.
pub(super) fn mark_step(least: f64) -> f64 {
    const STEPS: [f64; 18] = [
        1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 10_800.0, 21_600.0,
        43_200.0, 86_400.0,
    ];
    STEPS.into_iter().find(|step| *step >= least).unwrap_or_else(|| (least / 86_400.0).ceil() * 86_400.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::history::Watched;
    use std::time::Duration;

    const NOW: Wall = Wall(1_000_000_000_000);

    #[test]
    fn a_zoom_keeps_what_is_under_the_pointer_and_ends_at_its_limits() {
        let mut view = View::default();
        view.pan(-600.0, NOW);
        let (left, right) = view.bounds(NOW, 1000.0);
        let at = left + 100.0;
        let share = (at - left) / (right - left);
        view.zoom(0.5, at, NOW);
        let (left, right) = view.bounds(NOW, 1000.0);
        assert!(((at - left) / (right - left) - share).abs() < 1e-9);
        assert!((view.span() - with_margin(300.0) / 2.0).abs() < 1e-9);
        for _ in 0..60 {
            view.zoom(0.5, at, NOW);
        }
        assert!((view.span() - CLOSEST).abs() < 1e-9);
        for _ in 0..60 {
            view.zoom(2.0, at, NOW);
        }
        assert!((view.span() - WIDEST).abs() < 1e-6);
    }

    #[test]
    fn it_goes_along_with_now_until_it_is_moved_and_again_when_it_is_back() {
        let mut view = View::default();
        assert!(view.follows());
        view.pan(-60.0, NOW);
        assert!(!view.follows() && view.range().is_none());
        view.pan(90.0, NOW);
        assert!(view.follows(), "there is nothing beyond now");
        view.choose(Range::Hour);
        assert_eq!(view.range(), Some(Range::Hour));
    }

    #[test]
    fn a_range_is_as_long_as_it_says_however_little_was_watched() {
        let mut history = History::new(std::path::Path::new("/srv").into());
        history.watched.push(Watched { from: NOW.minus(Duration::from_secs(40)), till: None });
        for (range, past) in [(Range::FiveMinutes, 300.0), (Range::Hour, 3600.0), (Range::Day, 86_400.0)] {
            let mut view = View::default();
            view.choose(range);
            view.settle(&history, None, NOW);
            let (left, _) = view.bounds(NOW, 1e6);
            assert!((secs(NOW) - left - past).abs() < 0.2, "{}: {} s", range.title(), secs(NOW) - left);
        }
        let mut view = View::default();
        view.settle(&history, None, NOW);
        assert!((secs(NOW) - view.bounds(NOW, 1e6).0 - 300.0).abs() < 0.01, "also before one is chosen");
    }

    #[test]
    fn marks_are_whole_units_apart() {
        for (least, step) in [(0.3, 1.0), (7.0, 10.0), (61.0, 120.0), (4000.0, 7200.0), (100_000.0, 172_800.0)] {
            assert!((mark_step(least) - step).abs() < 1e-9, "{least}");
        }
    }
}
