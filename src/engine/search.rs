//! What is typed into the search: words, patterns and field terms, each of which a lock must fit.
//!
//! Owns: [`Search`] and its grammar. Never: reads a clock or a file; ages are given their moment.

use crate::model::holder::Pid;
use crate::model::snapshot::{Lock, Moment};
use crate::model::time::parse_duration;
use regex::{Regex, RegexBuilder};
use std::time::Duration;

/// The terms, for the hint beside the field: what is typed, and what it finds.
pub const TERMS: [(&str, &str); 10] = [
    ("words", "in name, PID, command, format or verdict; all must fit"),
    ("\"two words\"", "as they stand, with the space"),
    ("pid:4711", "holder, owner or waiter with this PID"),
    ("verdict:stale", "held, stale, orphaned, suspect, idle, foreign, unknown"),
    ("user:ada", "whose process it is"),
    ("group:a41f9", "in this group"),
    ("name:memory", "in the name alone; format:git in the format"),
    ("age:>10m", "older than 10 minutes; age:<1h younger than an hour"),
    ("/_(all|memory)\\./", "a regular expression for the name; also re:…"),
    ("-idle", "not what fits the term after the minus"),
];

/// Why what is typed cannot be searched for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SearchError {
    /// A pattern that is none.
    #[error("{pattern} is not a regular expression: {why}")]
    Pattern {
        /// As typed.
        pattern: String,
        /// In a few words.
        why: String,
    },
    /// An age that is none.
    #[error("age:{0} is no age: write it as age:>10m, with s, m, h or d")]
    Age(String),
}

/// A search, ready to be compared with locks.
#[derive(Clone, Debug, Default)]
pub struct Search(Vec<Term>);

#[derive(Clone, Debug)]
struct Term {
    /// With a minus before it.
    not: bool,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Anywhere(String),
    Pattern(Regex),
    Name(String),
    Pid(String),
    Verdict(String),
    Format(String),
    Group(String),
    User(String),
    OlderThan(Duration),
    YoungerThan(Duration),
    /// A field whose value is still to be typed.
    Unfinished,
}

impl Search {
    /// Reads what was typed.
    pub fn parse(text: &str) -> Result<Self, SearchError> {
        words(text).into_iter().map(|word| Term::parse(&word)).collect::<Result<Vec<_>, _>>().map(Self)
    }

    /// Whether everything fits it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this lock fits all its terms.
    pub fn matches(&self, lock: &Lock, at: &Moment<'_>) -> bool {
        self.0.iter().all(|term| matches!(term.what, What::Unfinished) || term.what.matches(lock, at) != term.not)
    }
}

/// A word of what was typed: what stands in quotes or between slashes holds together.
struct Word {
    text: String,
    /// It began with a quote, so it is no field term and no pattern.
    literal: bool,
    not: bool,
}

fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let unsigned =
            rest.strip_prefix('-').filter(|after| !after.is_empty() && !after.starts_with(char::is_whitespace));
        let not = unsigned.is_some();
        rest = unsigned.unwrap_or(rest);
        let quoted = rest.strip_prefix('"').and_then(|inside| inside.split_once('"'));
        let (text, literal, after) = if let Some((inside, after)) = quoted {
            (inside, true, after)
        } else if let Some(end) = pattern_end(rest) {
            (&rest[..end], false, &rest[end..])
        } else {
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            (&rest[..end], false, &rest[end..])
        };
        if !text.is_empty() {
            words.push(Word { text: text.to_owned(), literal, not });
        }
        rest = after.trim_start();
    }
    words
}

/// Where `/pattern/` ends: at a slash that a space or nothing follows.
fn pattern_end(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('/')?;
    let ends = |at: &usize| inside[at + 1..].chars().next().is_none_or(char::is_whitespace);
    inside.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0).find(ends).map(|at| at + 2)
}

impl Term {
    fn parse(word: &Word) -> Result<Self, SearchError> {
        let text = word.text.as_str();
        let lower = || text.to_lowercase();
        let what = if word.literal {
            What::Anywhere(lower())
        } else if let Some(inside) = pattern_end(text).filter(|end| *end == text.len()).map(|end| &text[1..end - 1]) {
            What::Pattern(pattern(inside)?)
        } else {
            match text.split_once(':') {
                Some((field, value)) => Self::field(field, value)?.unwrap_or_else(|| What::Anywhere(lower())),
                None => What::Anywhere(lower()),
            }
        };
        Ok(Self { not: word.not, what })
    }

    /// `None` where there is no such field: then it is a word with a colon in it.
    fn field(field: &str, value: &str) -> Result<Option<What>, SearchError> {
        let make: fn(String) -> What = match field.to_ascii_lowercase().as_str() {
            "re" if value.is_empty() => return Ok(Some(What::Unfinished)),
            "re" => return pattern(value).map(|pattern| Some(What::Pattern(pattern))),
            "age" => return age(value).map(Some),
            "name" | "lock" => What::Name,
            "pid" => What::Pid,
            "verdict" => What::Verdict,
            "format" => What::Format,
            "group" => What::Group,
            "user" => What::User,
            _ => return Ok(None),
        };
        Ok(Some(if value.is_empty() { What::Unfinished } else { make(value.to_lowercase()) }))
    }
}

fn pattern(text: &str) -> Result<Regex, SearchError> {
    RegexBuilder::new(text).case_insensitive(true).size_limit(1 << 20).build().map_err(|error| {
        let why = match error {
            regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
            // The last line says what is wrong; those before draw where.
            other => other.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned(),
        };
        SearchError::Pattern { pattern: text.to_owned(), why }
    })
}

fn age(value: &str) -> Result<What, SearchError> {
    let (younger, number) = match value.strip_prefix('<') {
        Some(number) => (true, number),
        None => (false, value.strip_prefix('>').unwrap_or(value)),
    };
    let number = number.strip_prefix('=').unwrap_or(number);
    if number.is_empty() {
        return Ok(What::Unfinished);
    }
    // A bare number is still being typed.
    if number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(What::Unfinished);
    }
    let age = parse_duration(number).map_err(|_| SearchError::Age(value.to_owned()))?;
    Ok(if younger { What::YoungerThan(age) } else { What::OlderThan(age) })
}

/// Whether a text holds this one, which is in lower case, in any case.
fn holds(text: &str, wanted: &str) -> bool {
    if wanted.is_ascii() {
        // Most names: without a copy of each.
        let (text, wanted) = (text.as_bytes(), wanted.as_bytes());
        return wanted.is_empty() || text.windows(wanted.len()).any(|part| part.eq_ignore_ascii_case(wanted));
    }
    text.to_lowercase().contains(wanted)
}

impl What {
    fn matches(&self, lock: &Lock, at: &Moment<'_>) -> bool {
        let verdict = lock.judgement.verdict;
        match self {
            Self::Unfinished => true,
            Self::Name(text) => holds(&lock.display_path(), text),
            Self::Pid(text) => pids(lock).any(|pid| pid.to_string() == *text),
            Self::Verdict(text) => {
                verdict.id().starts_with(text.as_str()) || verdict.title().to_lowercase().starts_with(text.as_str())
            }
            Self::Format(text) => {
                let format = lock.facts.reading().format;
                holds(format.id, text) || holds(format.title, text)
            }
            Self::Group(text) => holds(&lock.group(), text),
            Self::User(text) => {
                let process = lock.holder().map(|(p, _)| p).or_else(|| lock.owner_process());
                process.and_then(|p| p.facts).and_then(|f| f.user.clone()).is_some_and(|u| u.to_lowercase() == *text)
            }
            // An age that is not known is neither.
            Self::OlderThan(age) => lock.age(at).is_some_and(|its| its >= *age),
            Self::YoungerThan(age) => lock.age(at).is_some_and(|its| its < *age),
            Self::Pattern(pattern) => pattern.is_match(&lock.display_path()),
            Self::Anywhere(text) => {
                holds(&lock.display_path(), text)
                    || holds(verdict.title(), text)
                    || holds(lock.facts.reading().format.title, text)
                    || pids(lock).any(|pid| pid.to_string().contains(text.as_str()))
                    || commands(lock).any(|command| holds(&command, text))
            }
        }
    }
}

fn pids(lock: &Lock) -> impl Iterator<Item = u32> {
    let owner = lock.facts.reading().record().and_then(|record| record.pid);
    let holder = lock.holder().map(|(process, _)| process.pid);
    owner.into_iter().chain(holder).chain(lock.facts.waiters().iter().map(|waiter| waiter.pid)).map(Pid::get)
}

fn commands(lock: &Lock) -> impl Iterator<Item = String> {
    let process = lock.holder().map(|(p, _)| p).or_else(|| lock.owner_process());
    let seen = process.and_then(|p| p.facts).map(|facts| format!("{} {}", facts.comm, facts.command));
    let recorded = lock.facts.reading().record().and_then(|record| record.command.as_deref().map(str::to_owned));
    seen.into_iter().chain(recorded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<String> {
        let kind = |what: &What| match what {
            What::Anywhere(text) => format!("word {text}"),
            What::Pattern(pattern) => format!("pattern {pattern}"),
            What::Name(text) => format!("name {text}"),
            What::Pid(text) => format!("pid {text}"),
            What::Verdict(text) => format!("verdict {text}"),
            What::Format(text) => format!("format {text}"),
            What::Group(text) => format!("group {text}"),
            What::User(text) => format!("user {text}"),
            What::OlderThan(age) => format!("older {}", age.as_secs()),
            What::YoungerThan(age) => format!("younger {}", age.as_secs()),
            What::Unfinished => "unfinished".to_owned(),
        };
        let Search(terms) = Search::parse(text).expect("it can be read");
        terms.iter().map(|term| format!("{}{}", if term.not { "not " } else { "" }, kind(&term.what))).collect()
    }

    #[test]
    fn what_is_typed_is_read_term_by_term() {
        for (text, terms) in [
            ("", &[][..]),
            ("  Memory  STALE ", &["word memory", "word stale"]),
            ("pid:4711 verdict:stale", &["pid 4711", "verdict stale"]),
            ("lock:a name:B group:c user:D format:e", &["name a", "name b", "group c", "user d", "format e"]),
            ("-idle -pid:7", &["not word idle", "not pid 7"]),
            ("- -", &["word -", "word -"]),
            ("\"two words\" -\"no more\"", &["word two words", "not word no more"]),
            ("\"pid:7\"", &["word pid:7"]),
            ("\"open", &["word \"open"]),
            ("/a b|c/ re:^x -/y/", &["pattern a b|c", "pattern ^x", "not pattern y"]),
            ("/etc/x /open", &["word /etc/x", "word /open"]),
            ("age:>10m age:<1h age:2d age:>=5s", &["older 600", "younger 3600", "older 172800", "older 5"]),
            ("pid: re: age: age:> age:>1", &["unfinished"; 5]),
            ("http://x", &["word http://x"]),
        ] {
            assert_eq!(read(text), terms, "{text:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_says_what_and_why() {
        for (text, start) in [
            ("re:(", "( is not a regular expression: unclosed group"),
            ("/a[/", "a[ is not a regular expression: unclosed character class"),
            ("age:>soon", "age:>soon is no age: write it as age:>10m"),
            ("re:\\w{1000}{1000}", "\\w{1000}{1000} is not a regular expression: it is too large"),
        ] {
            let error = Search::parse(text).expect_err(text).to_string();
            assert!(error.starts_with(start), "{error}");
        }
    }

    #[test]
    fn case_makes_no_difference() {
        assert!(holds("A_Memory.lock", "memory") && holds("GRÜSSE", "grüsse") && holds("x", ""));
        assert!(!holds("mem", "memory"));
    }
}
