//! Points in time and spans of time, and how people write them.
//!
//! Owns: [`Wall`] (a reading of the wall clock), [`Zone`] (how a place reads it), parsing of `10m` and saying `14 min`.
//! Never: reads a clock or asks which zone this is. Whoever needs the present is given it.

use std::fmt;
use std::time::Duration;

/// A reading of the wall clock: nanoseconds since 1970-01-01 00:00 UTC.
///
/// 64 bits reach from 1677 to 2262; what a file system claims beyond that is clamped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Wall(pub i64);

impl Wall {
    /// From seconds and nanoseconds as `statx(2)` gives them; clamped, never wrapped.
    pub const fn from_parts(secs: i64, nanos: u32) -> Self {
        Self(secs.saturating_mul(1_000_000_000).saturating_add(nanos as i64))
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1_000_000_000)
    }

    /// How long ago `earlier` was; `None` where it lies ahead.
    pub fn since(self, earlier: Self) -> Option<Duration> {
        u64::try_from(self.0.saturating_sub(earlier.0)).ok().map(Duration::from_nanos)
    }

    /// This much later.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// This much earlier.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// As RFC 3339 in UTC with milliseconds, as the JSON output gives it.
    pub fn rfc3339(self) -> String {
        let millis = self.0.div_euclid(1_000_000);
        jiff::Timestamp::from_millisecond(millis).map_or_else(|_| format!("@{}", self.secs()), |t| format!("{t:.3}"))
    }

    /// From RFC 3339, as [`Self::rfc3339`] writes it; `None` where the text is none.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let nanos = text.parse::<jiff::Timestamp>().ok()?.as_nanosecond();
        i64::try_from(nanos).ok().map(Self)
    }
}

/// How the clocks of a place read a moment: its time zone, with its summer times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(jiff::tz::TimeZone);

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Self = Self(jiff::tz::TimeZone::UTC);

    /// Of rules that were read elsewhere.
    pub fn of(rules: jiff::tz::TimeZone) -> Self {
        Self(rules)
    }

    /// The rules, for reckoning with them.
    pub fn rules(&self) -> &jiff::tz::TimeZone {
        &self.0
    }

    /// So many minutes east of UTC the whole year; UTC where there is no such place.
    pub fn fixed(minutes_east: i32) -> Self {
        let offset = jiff::tz::Offset::from_seconds(minutes_east.saturating_mul(60));
        offset.map_or(Self::UTC, |offset| Self(jiff::tz::TimeZone::fixed(offset)))
    }

    fn say(&self, at: Wall, pattern: &str) -> String {
        let moment = jiff::Timestamp::from_microsecond(at.0.div_euclid(1_000)).ok();
        let said = moment.map(|moment| moment.to_zoned(self.0.clone()).strftime(pattern).to_string());
        said.unwrap_or_else(|| format!("@{}", at.secs()))
    }

    /// `14:03:21`.
    pub fn clock(&self, at: Wall) -> String {
        self.say(at, "%H:%M:%S")
    }

    /// The time of day if it is of the same day as `now`, else with the date.
    pub fn said(&self, at: Wall, now: Wall) -> String {
        if self.day(at) == self.day(now) { self.clock(at) } else { self.say(at, "%Y-%m-%d %H:%M:%S") }
    }

    /// `Sat 21 November 2026`; also what tells one day from another.
    pub fn day(&self, at: Wall) -> String {
        self.say(at, "%a %-d %B %Y")
    }

    /// All of it, with the offset: `2026-11-21 14:03:21 +01:00`.
    pub fn stamp(&self, at: Wall) -> String {
        self.say(at, "%Y-%m-%d %H:%M:%S %:z")
    }

    /// RFC 3339 with milliseconds and the offset, for whoever compares it with other logs.
    pub fn rfc3339(&self, at: Wall) -> String {
        self.say(at, "%Y-%m-%dT%H:%M:%S%.3f%:z")
    }

    /// For the names of files: `2026-11-21-140321`.
    pub fn file_stamp(&self, at: Wall) -> String {
        self.say(at, "%Y-%m-%d-%H%M%S")
    }
}

/// Why a text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadDuration(String);

impl fmt::Display for BadDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is not a duration; write it as 90s, 10m, 2h or 1d", self.0)
    }
}

impl std::error::Error for BadDuration {}

/// Reads `0s`, `500ms`, `90s`, `10m`, `2h`, `1d`, and sums such as `1h30m`.
pub fn parse_duration(text: &str) -> Result<Duration, BadDuration> {
    let bad = || BadDuration(text.to_owned());
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(bad());
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().map_err(|_| bad())?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit_millis: u64 = match &rest[..letters] {
            "ms" => 1,
            "s" | "sec" | "secs" => 1_000,
            "m" | "min" | "mins" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(bad()),
        };
        rest = rest[letters..].trim_start();
        let millis = number.checked_mul(unit_millis).ok_or_else(bad)?;
        total = total.checked_add(Duration::from_millis(millis)).ok_or_else(bad)?;
    }
    Ok(total)
}

/// Says a span as the window and the sentences do: `0 s`, `41 s`, `1 min 2 s`, `14 min`, `3 h 12 min`, `2 d`.
pub fn say_duration(span: Duration) -> String {
    let secs = span.as_secs();
    let (unit, large, small) = match secs {
        0..60 => return format!("{secs} s"),
        60..600 => ("min", secs / 60, (secs % 60, "s")),
        600..3600 => ("min", secs / 60, (0, "s")),
        3600..86_400 => ("h", secs / 3600, (secs % 3600 / 60, "min")),
        _ => ("d", secs / 86_400, (if secs < 10 * 86_400 { secs % 86_400 / 3600 } else { 0 }, "h")),
    };
    match small {
        (0, _) => format!("{large} {unit}"),
        (count, small_unit) => format!("{large} {unit} {count} {small_unit}"),
    }
}

/// How long until [`say_duration`] of a growing span reads differently, so that a repaint is due then and not before.
pub fn say_duration_changes_in(span: Duration) -> Duration {
    let step = match span.as_secs() {
        0..600 => 1,
        600..86_400 => 60,
        _ => 3600,
    };
    let into = span.as_nanos() % (u128::from(step as u32) * 1_000_000_000);
    Duration::from_secs(step).saturating_sub(Duration::from_nanos(into as u64))
}

/// How long until what [`say_duration`] says of a growing span is to be drawn anew: at once where seconds are told; where only
/// minutes or hours are, ten seconds late at most, so that many are drawn together.
pub fn say_duration_drawn_in(span: Duration) -> Duration {
    let slack = if span < Duration::from_mins(10) { Duration::ZERO } else { Duration::from_secs(9) };
    say_duration_changes_in(span) + slack
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, secs) in [("0s", 0), ("90s", 90), ("10m", 600), ("2h", 7200), ("1d", 86_400), ("1h30m", 5400)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(secs)), "{text}");
        }
        for text in ["", "10", "m", "-3s", "10 fortnights", "99999999999999999999d", "1.5h"] {
            assert!(parse_duration(text).is_err(), "{text} must be refused");
        }
    }

    #[test]
    fn spans_are_said_in_at_most_two_units() {
        for (secs, said) in [
            (0, "0 s"),
            (59, "59 s"),
            (62, "1 min 2 s"),
            (120, "2 min"),
            (840, "14 min"),
            (11_520, "3 h 12 min"),
            (86_400, "1 d"),
            (90_000, "1 d 1 h"),
            (1_000_000, "11 d"),
        ] {
            assert_eq!(say_duration(Duration::from_secs(secs)), said);
        }
    }

    #[test]
    fn the_next_text_change_is_never_late() {
        for millis in [0u64, 1, 999, 1000, 59_999, 599_999, 600_000, 3_600_001, 86_400_000] {
            let span = Duration::from_millis(millis);
            assert!(say_duration_drawn_in(span) >= say_duration_changes_in(span), "{span:?}");
            assert!(say_duration_drawn_in(span) <= say_duration_changes_in(span) + Duration::from_secs(10), "{span:?}");
            let next = span + say_duration_changes_in(span);
            assert!(next > span);
            let before = next.saturating_sub(Duration::from_nanos(1));
            assert_eq!(say_duration(span), say_duration(before), "at {millis} ms");
        }
    }

    #[test]
    fn a_time_ahead_is_no_age() {
        assert_eq!(Wall(5).since(Wall(6)), None);
        assert_eq!(Wall(6).since(Wall(6)), Some(Duration::ZERO));
        assert_eq!(Wall::from_parts(i64::MAX, 0).0, i64::MAX);
    }

    #[test]
    fn a_place_reads_its_own_clock() {
        let at = Wall::from_parts(1_795_228_648, 651_673_000);
        for (zone, clock, day, stamp) in [
            (Zone::UTC, "02:37:28", "Sat 21 November 2026", "2026-11-21 02:37:28 +00:00"),
            (Zone::fixed(330), "08:07:28", "Sat 21 November 2026", "2026-11-21 08:07:28 +05:30"),
            (Zone::fixed(-300), "21:37:28", "Fri 20 November 2026", "2026-11-20 21:37:28 -05:00"),
        ] {
            assert_eq!((zone.clock(at), zone.day(at), zone.stamp(at)), (clock.into(), day.into(), stamp.into()));
        }
        let later = at.plus(Duration::from_hours(22));
        assert_eq!(Zone::UTC.said(at, later), "2026-11-21 02:37:28");
        assert_eq!(Zone::fixed(-300).said(later, later), "19:37:28");
        assert_eq!(Zone::fixed(60).rfc3339(at), "2026-11-21T03:37:28.651+01:00");
        assert_eq!(Zone::fixed(60).file_stamp(at), "2026-11-21-033728");
        assert_eq!(Zone::fixed(1_000_000), Zone::UTC, "no place is that far");
        let rules = jiff::tz::TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let summer = at.minus(Duration::from_hours(24 * 120));
        assert_eq!(Zone::of(rules.clone()).stamp(summer), "2026-07-24 04:37:28 +02:00");
        assert_eq!(Zone::of(rules).stamp(at), "2026-11-21 03:37:28 +01:00");
    }

    #[test]
    fn times_are_read_as_they_are_written() {
        let at = Wall::from_parts(1_795_228_648, 651_000_000);
        assert_eq!(Wall::parse_rfc3339(&at.rfc3339()), Some(at));
        assert_eq!(Wall::parse_rfc3339("2026-11-21T03:37:28.651+01:00"), Some(at));
        assert_eq!(Wall::parse_rfc3339("yesterday"), None);
    }

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(Wall::from_parts(1_795_228_648, 651_673_000).rfc3339(), "2026-11-21T02:37:28.651Z");
    }
}
