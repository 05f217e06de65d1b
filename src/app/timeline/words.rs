//! Holds in words: times of day, sentences, what is usual.
//!
//! Owns: every text of the timeline. Never: a number that was not seen.

use crate::app::visible;
use crate::engine::history::{End, History, Hold, LEAST_HOLDS, LockHistory, Start, Wait};
use crate::model::snapshot::Watching;
use crate::model::time::{Wall, say_duration, say_duration_drawn_in};
use crate::model::verdict::Verdict;
use jiff::tz::TimeZone;
use std::ffi::OsStr;
use std::time::Duration;

/// A text, and when it reads differently by time alone.
pub(super) struct Said {
    pub(super) text: String,
    pub(super) changes_in: Option<Duration>,
}

/// A time of day, with the day where it is another one: `14:02:11`, `20 Nov 14:02`.
pub(super) fn clock(at: Wall, now: Wall, zone: &TimeZone) -> String {
    let zoned = |at: Wall| {
        let stamp = jiff::Timestamp::from_nanosecond(i128::from(at.0)).unwrap_or_default();
        stamp.to_zoned(zone.clone())
    };
    let (at, now) = (zoned(at), zoned(now));
    let pattern = if at.date() == now.date() { "%H:%M:%S" } else { "%-d %b %H:%M" };
    at.strftime(pattern).to_string()
}

/// A mark on the axis, as exact as the marks are apart.
pub(super) fn mark(at: Wall, step: f64, zone: &TimeZone) -> String {
    let stamp = jiff::Timestamp::from_nanosecond(i128::from(at.0)).unwrap_or_default().to_zoned(zone.clone());
    let midnight = stamp.hour() == 0 && stamp.minute() == 0 && stamp.second() == 0;
    let pattern = match step {
        _ if midnight => "%-d %b",
        step if step < 60.0 => "%H:%M:%S",
        _ => "%H:%M",
    };
    stamp.strftime(pattern).to_string()
}

/// A span that may be very short.
pub(super) fn span(span: Duration) -> String {
    if span < Duration::from_secs(1) { "under 1 s".to_owned() } else { say_duration(span) }
}

/// To the nearest second: what is usual is not exact.
fn rounded(span: Duration) -> String {
    self::span(if span < Duration::from_secs(1) { span } else { span + Duration::from_millis(500) })
}

/// To the next second: so many are within it.
fn rounded_up(span: Duration) -> String {
    say_duration(Duration::from_secs(span.as_secs() + u64::from(span.subsec_nanos() > 0)))
}

/// What a lane shows where there is nothing in it yet.
pub(super) fn nothing_yet(
    one: Option<&OsStr>, history: &History, watching: &Watching, now: Wall, zone: &TimeZone,
) -> String {
    let what = one.map_or("Nothing".to_owned(), |path| visible(&path.to_string_lossy()));
    match history.watching_since() {
        Some(since) if one.is_some() => {
            format!("{what} has not been held since {}, when watching began.", clock(since, now, zone))
        }
        Some(since) => format!("Nothing has been held since {}, when watching began.", clock(since, now, zone)),
        None if matches!(watching, Watching::Loading(_)) => {
            "What is held is kept here once the whole folder has been read.".to_owned()
        }
        None => "The folder is not watched now, and nothing was held while it was.".to_owned(),
    }
}

/// One hold in a line: when, how long, by whom, how it ended.
pub(super) fn hold(hold: &Hold, now: Wall, zone: &TimeZone) -> String {
    let mut parts = vec![hold.verdict.title().to_owned()];
    if let Some(burst) = hold.burst {
        parts.push(format!("{} short holds, {} each on average", burst.count, span(burst.busy / burst.count.max(1))));
    }
    parts.push(visible(&hold.who.say()));
    if !hold.exclusive {
        parts.push("shared".to_owned());
    }
    parts.push(times(hold, now, zone));
    parts.join(", ")
}

/// From when to when, how long, and how both are known.
pub(super) fn times(hold: &Hold, now: Wall, zone: &TimeZone) -> String {
    let began = clock(hold.began, now, zone);
    let length = span(hold.length(now));
    let known = match hold.start {
        Start::Since => "at least ",
        Start::Seen | Start::File => "",
    };
    match hold.ended {
        None if hold.start == Start::Since => format!("seen since {began}, {known}{length} by now"),
        None => format!("since {began}, {length} by now"),
        Some((end, how)) => {
            let how = match how {
                End::Released => "released",
                End::LeftBehind => "its process went and left it",
                End::Changed => "then it was something else",
                End::Unseen => "its end was not watched",
            };
            let from = if hold.start == Start::Since { format!("seen from {began}") } else { format!("from {began}") };
            format!("{from} to {}, {known}{}, {how}", clock(end, now, zone), rounded(hold.length(now)))
        }
    }
}

/// One wait in a line.
pub(super) fn wait(wait: &Wait, now: Wall) -> String {
    let length = span(wait.till.unwrap_or(now).since(wait.from).unwrap_or_default());
    let least = if wait.since { "at least " } else { "" };
    let end = match (wait.till, wait.got) {
        (None, _) => "waits",
        (Some(_), true) => "got it after",
        (Some(_), false) => "waited",
    };
    format!("{} {end} {least}{length}", visible(&wait.who.say()))
}

/// For the panel's head: `now 41 min, usually 3 s`.
pub(super) fn in_short(lock: &LockHistory, now: Wall) -> String {
    let held = lock.holding().map(|hold| format!("now {}", span(hold.length(now))));
    let usual = lock.usual.map(|usual| format!("usually {}", rounded(usual.median)));
    held.into_iter().chain(usual).collect::<Vec<_>>().join(", ")
}

/// Whether it is held far longer than almost always.
pub(super) fn is_unusual(lock: &LockHistory, now: Wall) -> bool {
    lock.usual.zip(lock.holding()).is_some_and(|(usual, hold)| usual.is_exceeded_by(hold.length(now)))
}

/// What is usual, under the sentence of a lock: `Held for 41 min, usually 3 s (95 % within 9 s; 120 holds seen).`
pub(super) fn usual(lock: &LockHistory, history: &History, now: Wall, zone: &TimeZone) -> Option<Said> {
    let holding = lock.holding();
    let whole: u32 = lock.holds.iter().filter(|hold| hold.is_whole()).map(Hold::count).sum();
    let usual = lock.usual.map(|usual| {
        format!("{} (95 % within {}; {} holds seen)", rounded(usual.median), rounded_up(usual.p95), usual.holds)
    });
    let Some(hold) = holding else {
        let gone = lock.now.is_some_and(|verdict| verdict == Verdict::NotALock);
        return usual
            .filter(|_| !gone)
            .map(|usual| Said { text: format!("Usually held for {usual}."), changes_in: None });
    };
    let length = hold.length(now);
    let least = if hold.start == Start::Since { "at least " } else { "" };
    let mut parts = vec![format!("Held for {least}{}", span(length))];
    if let Some(usual) = &usual {
        parts.push(format!(", usually {usual}"));
    } else if whole > 0 {
        parts.push(format!("; what is usual is said from {LEAST_HOLDS} holds on, {whole} seen"));
    }
    parts.push(".".to_owned());
    if hold.start == Start::Since
        && let Some(since) = history.watching_since()
    {
        parts.push(format!(" It was held already when watching began, at {}.", clock(since, now, zone)));
    }
    Some(Said { text: parts.concat(), changes_in: Some(say_duration_drawn_in(length)) })
}

/// The drawing in a sentence, for who cannot see it.
pub(super) fn summary(
    history: &History, one: Option<&OsStr>, (from, till): (Wall, Wall), now: Wall, zone: &TimeZone,
) -> String {
    let shown = clock(from, now, zone);
    let ended = clock(till.min(now), now, zone);
    let (mut locks, mut holds, mut held, mut waiting) = (0, 0, 0, 0);
    let mut add = |lock: &LockHistory| {
        let count = lock
            .holds
            .iter()
            .filter(|hold| hold.verdict == Verdict::Held && hold.began < till && hold.till(now) > from)
            .map(Hold::count)
            .sum::<u32>();
        locks += u32::from(count > 0);
        holds += count;
        held += u32::from(lock.holding().is_some());
        waiting += lock.waits.iter().filter(|wait| wait.till.is_none()).count();
    };
    let what = if let Some(path) = one {
        history.lock(path).into_iter().for_each(|lock| add(lock));
        visible(&path.to_string_lossy())
    } else {
        history.locks().for_each(|lock| add(lock));
        "all locks".to_owned()
    };
    let of = if one.is_some() { String::new() } else { format!(" of {locks} locks") };
    format!(
        "Timeline of {what} from {shown} to {ended}: {holds} holds{of}, {held} held now, {waiting} waiting. \
         Plus and minus zoom, arrows move, 0 shows all. List has it in words."
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::history::{Usual, Who};

    const SECOND: i64 = 1_000_000_000;
    const NOW: Wall = Wall(1_795_228_648 * SECOND);

    fn sample(ago: u64, start: Start, ended: Option<(u64, End)>) -> Hold {
        Hold {
            verdict: Verdict::Held,
            certainty: None,
            who: Who { pid: Some(7), incarnation: None, command: "worker".into() },
            exclusive: true,
            began: NOW.minus(Duration::from_secs(ago)),
            start,
            ended: ended.map(|(ago, how)| (NOW.minus(Duration::from_secs(ago)), how)),
            burst: None,
        }
    }

    #[test]
    fn holds_are_said_with_what_is_not_known_of_them() {
        let zone = TimeZone::UTC;
        for (hold, said) in [
            (sample(60, Start::Seen, None), "since 02:36:28, 1 min by now"),
            (sample(60, Start::Since, None), "seen since 02:36:28, at least 1 min by now"),
            (sample(60, Start::Seen, Some((57, End::Released))), "from 02:36:28 to 02:36:31, 3 s, released"),
            (
                sample(60, Start::Since, Some((57, End::Unseen))),
                "seen from 02:36:28 to 02:36:31, at least 3 s, its end was not watched",
            ),
            (
                sample(86_400, Start::Seen, Some((86_400, End::LeftBehind))),
                "from 20 Nov 02:37 to 20 Nov 02:37, under 1 s, its process went and left it",
            ),
        ] {
            assert_eq!(times(&hold, NOW, &zone), said);
        }
        assert_eq!(
            super::hold(&sample(60, Start::Seen, None), NOW, &zone),
            "Held, 7 · worker, since 02:36:28, 1 min by now"
        );
    }

    #[test]
    fn what_is_usual_is_said_under_the_sentence() {
        let mut history = History::new(std::path::Path::new("/srv").into());
        history.watched.push(crate::engine::history::Watched { from: NOW.minus(Duration::from_hours(1)), till: None });
        let mut lock = LockHistory::of(OsStr::new("a.lock").into());
        let said = |lock: &LockHistory| usual(lock, &history, NOW, &TimeZone::UTC).map(|said| said.text);
        assert_eq!(said(&lock), None);
        lock.usual = Some(Usual { median: Duration::from_secs(3), p95: Duration::from_secs(9), holds: 120 });
        assert_eq!(said(&lock).as_deref(), Some("Usually held for 3 s (95 % within 9 s; 120 holds seen)."));
        lock.holds.push(sample(41 * 60, Start::Seen, None));
        assert_eq!(said(&lock).as_deref(), Some("Held for 41 min, usually 3 s (95 % within 9 s; 120 holds seen)."));
        assert_eq!(in_short(&lock, NOW), "now 41 min, usually 3 s");
        assert!(is_unusual(&lock, NOW));
        lock.usual = None;
        lock.holds[0].start = Start::Since;
        assert_eq!(
            said(&lock).as_deref(),
            Some("Held for at least 41 min. It was held already when watching began, at 01:37:28.")
        );
    }
}
