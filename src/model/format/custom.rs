//! Formats of the user's own, from the settings: which names, how such a file locks, and where the PID stands.
//!
//! Owns: [`UserPattern`] as the settings give it, and reading a file by it. Never: outranks Lockscope's own marker.

use super::text::{is_digits, pid};
use super::{
    Candidate, Claim, Format, Holds, MOST_CHILDREN, Mechanism, PLAIN, Reading, Record, RecordState, name_glob,
};
use crate::model::facts::FileKind;
use globset::{GlobSet, GlobSetBuilder};
use serde::{Deserialize, Serialize};

pub(super) static FORMATS: &[Format] = &[Format {
    id: "custom",
    title: "your pattern",
    claim: Claim::Name,
    looks: "as a pattern in the settings says: names, mechanism, and where the PID stands",
    holds: Holds::Files(MOST_CHILDREN), // `mkdir lock && echo $$ > lock/pid`
    ..PLAIN
}];

/// A pattern of the user's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserPattern {
    /// A glob of the base name, or of the name with the directories it stands in: `job-*.busy`, `spool/*/lock`.
    pub name: String,
    /// How such a file locks.
    pub mechanism: Mechanism,
    /// Where the owner's PID stands in it.
    #[serde(default)]
    pub pid: PidPlace,
}

/// Where in a file the owner's PID stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum PidPlace {
    /// Nowhere: it names nobody.
    #[default]
    Nowhere,
    /// The first number in it.
    FirstNumber,
    /// The first number on this line, counted from 1.
    Line(usize),
    /// This field of a JSON object.
    Field(String),
}

impl TryFrom<String> for PidPlace {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let line = || text.strip_prefix("line ")?.parse().ok().filter(|line| *line > 0);
        match text.as_str() {
            "nowhere" => Ok(Self::Nowhere),
            "first number" => Ok(Self::FirstNumber),
            _ => line()
                .map(Self::Line)
                .or_else(|| text.strip_prefix("field ").map(|field| Self::Field(field.to_owned())))
                .ok_or_else(|| format!("\"{text}\" is none of: nowhere, first number, line N, field NAME")),
        }
    }
}

impl From<PidPlace> for String {
    fn from(place: PidPlace) -> Self {
        match place {
            PidPlace::Nowhere => "nowhere".to_owned(),
            PidPlace::FirstNumber => "first number".to_owned(),
            PidPlace::Line(line) => format!("line {line}"),
            PidPlace::Field(field) => format!("field {field}"),
        }
    }
}

/// The user's patterns, made ready. The first one that fits wins.
#[derive(Clone, Debug, Default)]
pub struct UserPatterns {
    patterns: Vec<UserPattern>,
    globs: GlobSet,
}

impl PartialEq for UserPatterns {
    fn eq(&self, other: &Self) -> bool {
        self.patterns == other.patterns
    }
}

impl Eq for UserPatterns {}

impl UserPatterns {
    /// The patterns that can be used, and what is wrong with the others.
    pub fn new(patterns: &[UserPattern]) -> (Self, Vec<String>) {
        let mut ready = Self::default();
        let mut wrong = Vec::new();
        let mut builder = GlobSetBuilder::new();
        for pattern in patterns {
            match name_glob(&pattern.name).filter(|_| !pattern.name.is_empty()) {
                Some(glob) => {
                    builder.add(glob);
                    ready.patterns.push(pattern.clone());
                }
                None => wrong.push(format!("\"{}\" is no pattern of names", pattern.name)),
            }
        }
        match builder.build() {
            Ok(globs) => ready.globs = globs,
            Err(error) => {
                ready.patterns.clear();
                wrong.push(error.to_string());
            }
        }
        (ready, wrong)
    }

    fn find(&self, directory: &[u8], name: &[u8]) -> Option<&UserPattern> {
        if self.patterns.is_empty() {
            return None;
        }
        let first = self.globs.matches(super::path_of(directory, name)).into_iter().min()?;
        self.patterns.get(first)
    }

    /// Whether such a name is listed.
    pub fn lists(&self, directory: &[u8], name: &[u8]) -> bool {
        self.find(directory, name).is_some()
    }

    pub(super) fn read(&self, file: &Candidate<'_>) -> Option<Reading> {
        let pattern = self.find(file.directory, file.name)?;
        let special = matches!(file.kind, FileKind::Fifo | FileKind::Socket | FileKind::Device);
        (!special).then(|| Reading {
            format: &FORMATS[0],
            mechanism: pattern.mechanism,
            record: record(&pattern.pid, file),
        })
    }
}

fn record(place: &PidPlace, file: &Candidate<'_>) -> RecordState {
    if *place == PidPlace::Nowhere {
        return RecordState::None;
    }
    if file.bytes.is_empty() {
        return RecordState::CutShort;
    }
    let Ok(text) = std::str::from_utf8(file.bytes) else { return RecordState::Malformed("no text") };
    let number = match place {
        PidPlace::Nowhere => None,
        PidPlace::FirstNumber => first_number(text),
        PidPlace::Line(line) => text.lines().nth(line - 1).and_then(first_number),
        PidPlace::Field(field) => match serde_json::from_str::<serde_json::Value>(text) {
            Ok(value) => value.get(field).and_then(|value| match value {
                serde_json::Value::Number(number) => Some(number.to_string()),
                serde_json::Value::String(digits) => Some(digits.clone()),
                _ => None,
            }),
            Err(error) if error.is_eof() => return RecordState::CutShort,
            Err(_) => return RecordState::Malformed("broken JSON"),
        },
    };
    match number.filter(|digits| is_digits(digits)).map(|digits| pid(&digits)) {
        None => RecordState::Malformed("no PID where the pattern says"),
        Some(Ok(pid)) => {
            // Without a line's end it may be the first half of a longer number.
            let complete = matches!(place, PidPlace::Field(_)) || text.ends_with('\n');
            RecordState::Parsed(Box::new(Record { pid, complete, ..Record::default() }))
        }
        Some(Err(state)) => state,
    }
}

fn first_number(text: &str) -> Option<String> {
    let start = text.find(|c: char| c.is_ascii_digit())?;
    // A sign is part of it, and makes it no PID.
    if text[..start].ends_with('-') {
        return None;
    }
    Some(text[start..].chars().take_while(char::is_ascii_digit).collect())
}
