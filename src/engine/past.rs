//! The history of a directory as an incident bundle tells it: who held which lock when, and who waited.
//!
//! Owns: that shape, and its bound. Never: names anybody; names went through [`super::redact`].

use super::history::{History, Hold, LockHistory, Wait, Who};
use super::redact::Redaction;
use super::shape::SCHEMA;
use crate::model::time::Wall;
use serde::Serialize;
use std::sync::Arc;

/// So many locks go along, those of which most was seen first.
const MOST_LOCKS: usize = 500;
/// Of each so many holds and waits, the newest.
const MOST_SPANS: usize = 100;

#[derive(Serialize)]
struct PastObject {
    schema: u32,
    watched: Vec<SpanObject>,
    locks: Vec<LockObject>,
    left_out: usize,
}

#[derive(Serialize)]
struct SpanObject {
    from: String,
    till: Option<String>,
}

#[derive(Serialize)]
struct LockObject {
    path: String,
    holds: Vec<HoldObject>,
    waits: Vec<WaitObject>,
}

#[derive(Serialize)]
struct HoldObject {
    verdict: &'static str,
    pid: Option<u32>,
    command: String,
    began: String,
    ended: Option<String>,
    /// More than one: many short ones told as one.
    count: u32,
    /// Its beginning and its end were both seen.
    whole: bool,
}

#[derive(Serialize)]
struct WaitObject {
    pid: Option<u32>,
    command: String,
    from: String,
    till: Option<String>,
    got: bool,
}

/// As JSON; `None` where nothing was seen.
pub(super) fn told(history: &History, redaction: &Redaction) -> Option<String> {
    if history.is_empty() {
        return None;
    }
    let mut locks: Vec<&Arc<LockHistory>> = history.locks().collect();
    let total = locks.len();
    let spans = |lock: &LockHistory| lock.holds.len() + lock.waits.len();
    locks.sort_by(|a, b| spans(b).cmp(&spans(a)).then_with(|| a.path.cmp(&b.path)));
    locks.truncate(MOST_LOCKS);
    locks.sort_by(|a, b| a.path.cmp(&b.path));
    let command = |who: &Who| redaction.text(&who.command);
    let hold = |hold: &Hold| HoldObject {
        verdict: hold.verdict.id(),
        pid: hold.who.pid,
        command: command(&hold.who),
        began: hold.began.rfc3339(),
        ended: hold.ended.map(|(at, _)| at.rfc3339()),
        count: hold.count(),
        whole: hold.is_whole(),
    };
    let wait = |wait: &Wait| WaitObject {
        pid: wait.who.pid,
        command: command(&wait.who),
        from: wait.from.rfc3339(),
        till: wait.till.map(Wall::rfc3339),
        got: wait.got,
    };
    let newest = |count: usize| count.saturating_sub(MOST_SPANS);
    let object = PastObject {
        schema: SCHEMA,
        watched: history
            .watched
            .iter()
            .map(|span| SpanObject { from: span.from.rfc3339(), till: span.till.map(Wall::rfc3339) })
            .collect(),
        left_out: total - locks.len(),
        locks: locks
            .iter()
            .map(|lock| LockObject {
                path: redaction.relative(&lock.path).to_string_lossy().into_owned(),
                holds: lock.holds.iter().skip(newest(lock.holds.len())).map(hold).collect(),
                waits: lock.waits.iter().skip(newest(lock.waits.len())).map(wait).collect(),
            })
            .collect(),
    };
    Some(super::export::pretty(&object))
}
