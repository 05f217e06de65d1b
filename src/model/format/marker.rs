//! Records that are JSON objects: Lockscope's own marker, and what programs write by hand.

use super::asked::JSON;
use super::{Asked, Candidate, Claim, Format, Mechanism, PLAIN, Record, RecordState};
use crate::model::facts::FileKind;
use crate::model::holder::{Pid, StartToken, parse_boot_id};
use crate::model::time::Wall;
use serde_json::{Map, Value};

pub(super) static FORMATS: &[Format] = &[
    Format {
        id: "lockscope-flock",
        title: "Lockscope flock",
        mechanism: Mechanism::Flock,
        claim: Claim::Ours,
        looks: "one JSON object as Lockscope's marker has it, with `lock` = `flock`: who has or had the kernel lock",
        asked: Asked::FILE.if_it_begins(JSON),
        read: lockscope_flock,
        ..PLAIN
    },
    Format {
        id: "lockscope",
        title: "Lockscope",
        mechanism: Mechanism::Existence,
        claim: Claim::Ours,
        looks: "one JSON object with `pid`, `host`, `pid_ns`, `boot_id`, `start_token`, `command`, `created`; a placeholder \
                also has `placeholder`",
        asked: Asked::FILE_OR_DIRECTORY.if_it_begins(JSON),
        read: lockscope,
        ..PLAIN
    },
    Format {
        id: "json-pid",
        title: "JSON",
        mechanism: Mechanism::Existence,
        claim: Claim::Loose,
        looks: "a JSON object with `pid` (a number or digits); optional `host` or `hostname`, `user`, `cmd` or `command`, \
                `created` or `started`",
        asked: Asked::FILE.if_it_begins(JSON),
        read: json_pid,
        ..PLAIN
    },
];

pub(super) fn looks_like_json(file: &Candidate<'_>) -> bool {
    matches!(file.kind, FileKind::Regular | FileKind::Directory)
        && file.bytes.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'{')
}

/// The object, or why there is none. Nesting beyond 128 is refused by the parser, so brackets cannot exhaust the stack.
pub(super) fn object(file: &Candidate<'_>) -> Result<Map<String, Value>, RecordState> {
    match serde_json::from_slice::<Value>(file.bytes) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(RecordState::Malformed("JSON, but no object")),
        Err(error) if error.is_eof() => Err(RecordState::CutShort),
        Err(_) => Err(RecordState::Malformed("broken JSON")),
    }
}

pub(super) enum PidField {
    Missing,
    Nobody,
    Named(Pid),
    Bad(&'static str),
}

pub(super) fn pid_field(map: &Map<String, Value>) -> PidField {
    let text = match map.get("pid") {
        None | Some(Value::Null) => return PidField::Missing,
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(_) => return PidField::Bad("\"pid\" is no number"),
    };
    if text.starts_with('-') {
        return PidField::Bad("negative PID");
    }
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return PidField::Bad("\"pid\" is no number");
    }
    match text.parse::<u64>() {
        Ok(0) => PidField::Nobody,
        Ok(number) => Pid::new(number).map_or(PidField::Bad("PID beyond 2^31-1"), PidField::Named),
        Err(_) => PidField::Bad("PID beyond 2^31-1"),
    }
}

pub(super) fn text_field(map: &Map<String, Value>, names: &[&str]) -> Option<Box<str>> {
    names.iter().find_map(|name| map.get(*name)?.as_str()).filter(|text| !text.is_empty()).map(Into::into)
}

/// Seconds since the epoch (whole or not), or RFC 3339.
pub(super) fn time_field(map: &Map<String, Value>, names: &[&str]) -> Option<Wall> {
    names.iter().find_map(|name| match map.get(*name)? {
        Value::Number(number) => {
            let secs = number.as_f64().filter(|s| s.is_finite() && s.abs() < 9.0e9)?;
            Some(Wall((secs * 1e9) as i64))
        }
        Value::String(text) => {
            text.parse::<jiff::Timestamp>().ok().and_then(|t| i64::try_from(t.as_nanosecond()).ok()).map(Wall)
        }
        _ => None,
    })
}

/// What `lockscope run` writes into a file that it holds by the kernel: a record, and no claim to the lock.
fn lockscope_flock(file: &Candidate<'_>) -> Option<RecordState> {
    let is_one = file.kind == FileKind::Regular && contains(file.bytes, b"\"lock\":\"flock\"");
    is_one.then(|| lockscope(file)).flatten()
}

/// Lockscope's own marker: `pid, host, pid_ns, boot_id, start_token, command, created`; in a placeholder also `placeholder`.
fn lockscope(file: &Candidate<'_>) -> Option<RecordState> {
    const OWN_FIELDS: [&str; 4] = ["\"pid_ns\"", "\"boot_id\"", "\"start_token\"", "\"pid\""];
    if !looks_like_json(file) || !OWN_FIELDS.iter().all(|field| contains(file.bytes, field.as_bytes())) {
        return None;
    }
    let map = match object(file) {
        Ok(map) => map,
        Err(state) => return Some(state),
    };
    let PidField::Named(pid) = pid_field(&map) else {
        return Some(RecordState::Malformed("a marker of Lockscope's without a PID"));
    };
    let boot_id = map.get("boot_id").and_then(Value::as_str).and_then(parse_boot_id);
    let ticks = map.get("start_token").and_then(Value::as_u64);
    Some(RecordState::Parsed(Box::new(Record {
        pid: Some(pid),
        host: text_field(&map, &["host"]),
        pid_ns: map.get("pid_ns").and_then(Value::as_u64),
        user: text_field(&map, &["user"]),
        command: text_field(&map, &["command"]),
        token: ticks.map(|ticks| StartToken { boot_id, ticks }),
        started_at: time_field(&map, &["created"]),
        complete: true,
        placeholder: map.get("placeholder").and_then(Value::as_bool).unwrap_or(false),
        ..Record::default()
    })))
}

/// A JSON object with `pid` (number or digits); `host` or `hostname`, `user`, `cmd` or `command`, `created` or `started`.
fn json_pid(file: &Candidate<'_>) -> Option<RecordState> {
    if file.kind != FileKind::Regular || !looks_like_json(file) {
        return None;
    }
    let map = match object(file) {
        Ok(map) => map,
        Err(state) => return Some(state),
    };
    let pid = match pid_field(&map) {
        PidField::Missing => return None,
        PidField::Bad(why) => return Some(RecordState::Malformed(why)),
        PidField::Nobody => None,
        PidField::Named(pid) => Some(pid),
    };
    Some(RecordState::Parsed(Box::new(Record {
        pid,
        host: text_field(&map, &["host", "hostname"]),
        user: text_field(&map, &["user"]),
        command: text_field(&map, &["cmd", "command"]),
        started_at: time_field(&map, &["created", "started"]),
        complete: true,
        ..Record::default()
    })))
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}
