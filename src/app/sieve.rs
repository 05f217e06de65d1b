//! Which entries of the journal are listed: a long journal is gone through a piece a frame, newest first, so that no frame
//! waits for all of it.
//!
//! Owns: [`Sieve`], [`Wanted`], [`Kind`]. Never: draws.

use crate::engine::JournalLine;
use crate::model::time::{Wall, Zone};
use std::sync::Arc;

/// So many entries are looked at in one frame.
pub(super) const A_FRAME: usize = 2_000;

/// What an entry is about, as the chips name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Clear,
    Sweep,
    Force,
    End,
    Undo,
    Refuse,
    Repair,
}

impl Kind {
    pub(super) const ALL: [Self; 7] =
        [Self::Clear, Self::Sweep, Self::Force, Self::End, Self::Undo, Self::Refuse, Self::Repair];

    /// Of an entry. The end of a holder stands in the journal as a force that asked a process to end.
    pub(super) fn of(line: &JournalLine) -> Self {
        match line.what.as_str() {
            "sweep" => Self::Sweep,
            "undo" => Self::Undo,
            "refuse" => Self::Refuse,
            "repair" => Self::Repair,
            "force" if line.outcome.contains("(SIGTERM)") || line.outcome.starts_with("nothing was sent") => Self::End,
            "force" => Self::Force,
            _ => Self::Clear,
        }
    }

    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Clear => "Clear",
            Self::Sweep => "Sweep",
            Self::Force => "Force",
            Self::End => "End",
            Self::Undo => "Undo",
            Self::Refuse => "Refuse",
            Self::Repair => "Repair",
        }
    }
}

/// What is to be listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Only these; empty = all.
    pub(super) kinds: Vec<Kind>,
    /// Words that must all be found, in any case.
    pub(super) text: String,
    /// Only what is about this directory or below.
    pub(super) directory: Option<String>,
}

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// A new day begins, going back in time.
    Day(String),
    /// An entry, by its place in the journal.
    Entry(u32),
}

/// What was found, newest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Listed {
    /// The journal that the places are in.
    pub(super) journal: Arc<Vec<JournalLine>>,
    pub(super) items: Vec<Item>,
    /// How many entries of each kind fit but for their kind, in the order of [`Kind::ALL`].
    pub(super) counts: [u32; Kind::ALL.len()],
    /// So many entries are listed.
    pub(super) count: usize,
    /// So many entries are not looked at yet.
    pub(super) left: usize,
    /// The quarter of an hour of the last entry: within it no day can begin, in any zone.
    quarter: Option<i64>,
    day: String,
}

impl Listed {
    /// The places of the entries, in the order in which they are listed.
    pub(super) fn entries(&self) -> impl Iterator<Item = u32> {
        self.items.iter().filter_map(|item| if let Item::Entry(at) = item { Some(*at) } else { None })
    }

    fn take(&mut self, at: usize, wanted: &Wanted, words: &[String], zone: &Zone) {
        let line = &self.journal[at];
        let here = wanted.directory.as_ref().is_none_or(|directory| line.is_in(directory));
        if !here || !has_words(line, words) {
            return;
        }
        let kind = Kind::of(line);
        self.counts[kind as usize] += 1;
        if !wanted.kinds.is_empty() && !wanted.kinds.contains(&kind) {
            return;
        }
        let when = Wall::parse_rfc3339(&line.at);
        let quarter = when.map(|when| when.secs().div_euclid(900));
        if quarter.is_none() || quarter != self.quarter {
            self.quarter = quarter;
            let day = when.map_or_else(|| "At an unknown time".to_owned(), |when| zone.day(when));
            if day != self.day || self.items.is_empty() {
                self.items.push(Item::Day(day.clone()));
                self.day = day;
            }
        }
        self.items.push(Item::Entry(at as u32));
        self.count += 1;
    }
}

fn has_words(line: &JournalLine, words: &[String]) -> bool {
    words.iter().all(|word| {
        let texts = [&line.path, &line.directory, &line.why, &line.outcome, &line.who, &line.verdict, &line.what];
        texts.into_iter().chain([&line.id]).any(|text| contains(text, word))
    })
}

/// Whether `text` has `word`, which is in small letters, in any case.
fn contains(text: &str, word: &str) -> bool {
    if text.is_ascii() {
        return text.as_bytes().windows(word.len()).any(|window| window.eq_ignore_ascii_case(word.as_bytes()));
    }
    text.to_lowercase().contains(word)
}

/// The list as it is shown, and the next one as it is made.
#[derive(Debug, Default)]
pub(super) struct Sieve {
    wanted: Wanted,
    shown: Arc<Listed>,
    making: Option<Listed>,
}

impl Sieve {
    /// Goes on by one piece; tells whether there is more to do.
    pub(super) fn step(&mut self, journal: &Arc<Vec<JournalLine>>, wanted: &Wanted, zone: &Zone) -> bool {
        let current = self.making.as_ref().map_or(&self.shown.journal, |making| &making.journal);
        let other = self.wanted != *wanted;
        if other || !Arc::ptr_eq(current, journal) {
            self.wanted = wanted.clone();
            self.making = Some(Listed { journal: Arc::clone(journal), left: journal.len(), ..Listed::default() });
        }
        let Some(making) = &mut self.making else { return false };
        let words: Vec<String> = wanted.text.split_whitespace().map(str::to_lowercase).collect();
        for _ in 0..A_FRAME.min(making.left) {
            making.left -= 1;
            making.take(making.left, wanted, &words, zone);
        }
        let more = making.left > 0;
        if !more {
            self.shown = Arc::new(self.making.take().unwrap_or_default());
        } else if other || self.shown.items.is_empty() {
            // What was asked for before must not stand there; of the new the newest is already known.
            self.shown = Arc::new(making.clone());
        }
        more
    }

    /// What is listed.
    pub(super) fn listed(&self) -> Arc<Listed> {
        Arc::clone(&self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: usize, what: &str, path: &str) -> JournalLine {
        JournalLine {
            id: format!("id-{number}"),
            at: Wall::from_parts(1_795_000_000 + number as i64 * 3600, 0).rfc3339(),
            what: what.into(),
            directory: if number.is_multiple_of(2) { "/locks".into() } else { "/locks-other".into() },
            path: path.into(),
            path_bytes: None,
            who: "ada@vm PID 1".into(),
            verdict: "stale".into(),
            why: "Gone.".into(),
            outcome: "cleared".into(),
            undoable: false,
            kept_no_more: None,
        }
    }

    fn sifted(lines: Vec<JournalLine>, wanted: &Wanted, zone: &Zone) -> (Arc<Listed>, usize) {
        let journal = Arc::new(lines);
        let mut sieve = Sieve::default();
        let mut frames = 1;
        while sieve.step(&journal, wanted, zone) {
            frames += 1;
        }
        assert!(!sieve.step(&journal, wanted, zone), "what is done stays done");
        (sieve.listed(), frames)
    }

    #[test]
    fn the_newest_comes_first_under_its_day_as_the_place_counts_days() {
        let lines = || (0..30).map(|at| line(at, "clear", "a.lock")).collect();
        let days = |zone: &Zone| -> Vec<String> {
            let (listed, _) = sifted(lines(), &Wanted::default(), zone);
            assert_eq!(listed.entries().collect::<Vec<_>>(), (0..30).rev().collect::<Vec<_>>());
            listed
                .items
                .iter()
                .filter_map(|item| if let Item::Day(day) = item { Some(day.clone()) } else { None })
                .collect()
        };
        assert_eq!(days(&Zone::UTC), ["Thu 19 November 2026", "Wed 18 November 2026"]);
        assert_eq!(days(&Zone::fixed(12 * 60)).len(), 3, "elsewhere midnight falls in twice");
    }

    #[test]
    fn kinds_words_and_the_folder_filter_and_are_counted() {
        let lines = vec![
            line(0, "clear", "alpha.lock"),
            line(1, "clear", "beta.lock"),
            line(2, "refuse", "ALPHA_all.lock"),
            JournalLine {
                outcome: "make (PID 3) was asked to end (SIGTERM), and has ended".into(),
                ..line(4, "force", "c.pid")
            },
            JournalLine { why: "Grüße".into(), ..line(6, "force", "d.pid") },
        ];
        let found = |wanted: &Wanted| sifted(lines.clone(), wanted, &Zone::UTC).0;
        let alpha = found(&Wanted { text: "alpha".into(), ..Wanted::default() });
        assert_eq!(alpha.entries().collect::<Vec<_>>(), [2, 0]);
        let refused = found(&Wanted { kinds: vec![Kind::Refuse], text: "alpha".into(), ..Wanted::default() });
        assert_eq!(refused.entries().collect::<Vec<_>>(), [2]);
        assert_eq!(refused.counts, [1, 0, 0, 0, 0, 1, 0], "a chip tells what it would show");
        let here = found(&Wanted { directory: Some("/locks/".into()), ..Wanted::default() });
        assert_eq!(here.entries().collect::<Vec<_>>(), [4, 3, 2, 0], "/locks-other is another folder");
        assert_eq!(found(&Wanted { kinds: vec![Kind::End], ..Wanted::default() }).entries().collect::<Vec<_>>(), [3]);
        assert_eq!(found(&Wanted { text: "grüße FORCE".into(), ..Wanted::default() }).entries().count(), 1);
    }

    #[test]
    fn a_long_journal_is_gone_through_a_piece_a_frame_with_the_newest_at_once() {
        let lines: Vec<_> = (0..100_000).map(|at| line(at, "clear", "a.lock")).collect();
        let journal = Arc::new(lines);
        let mut sieve = Sieve::default();
        let wanted = Wanted::default();
        assert!(sieve.step(&journal, &wanted, &Zone::UTC));
        let first = sieve.listed();
        assert_eq!((first.entries().next(), first.entries().count(), first.left), (Some(99_999), A_FRAME, 98_000));
        let mut frames = 1;
        while sieve.step(&journal, &wanted, &Zone::UTC) {
            frames += 1;
            assert!(Arc::ptr_eq(&first, &sieve.listed()), "the list does not jump while the rest is looked at");
        }
        assert_eq!((frames + 1, sieve.listed().entries().count()), (100_000 / A_FRAME, 100_000));
        // An entry more: the old list stands until the new one is whole.
        let mut more = (*journal).clone();
        more.push(line(100_000, "undo", "a.lock"));
        let more = Arc::new(more);
        let old = sieve.listed();
        assert!(sieve.step(&more, &wanted, &Zone::UTC));
        assert!(Arc::ptr_eq(&old, &sieve.listed()));
        while sieve.step(&more, &wanted, &Zone::UTC) {}
        assert_eq!(sieve.listed().entries().next(), Some(100_000));
    }
}
