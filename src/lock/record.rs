//! What a marker says: who made it, in one of three spellings.
//!
//! Owns: [`RecordStyle`] and the texts. Never: decides what a record means; `model::format` reads them.

use super::ask::ProcessId;
use crate::model::holder::ProcessLook;
use crate::platform::{Host, environment, this_machine};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How a marker is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecordStyle {
    /// One JSON object: PID, host, PID namespace, start token, boot id, command, time. With it Lockscope can tell for
    /// certain whether the owner lives.
    #[default]
    Lockscope,
    /// The PID in decimal and a newline, for programs that read such files.
    PlainPid,
    /// As Python's `filelock.SoftFileLock` writes and reads it. It takes any other spelling for broken and removes it after
    /// two seconds: on a path that is shared with it, this one must be used.
    SoftFileLock,
}

/// A process, as records name it. Reading it costs more than taking a lock, so it is kept.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) process: u32,
    host: Host,
    ticks: Option<u64>,
    command: String,
    user: Option<String>,
}

/// This process.
pub(super) fn this_process() -> Arc<Identity> {
    static KNOWN: Mutex<Option<Arc<Identity>>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let own = environment::own_pid();
    match &*known {
        // After a fork the child is another process.
        Some(identity) if identity.process == own => Arc::clone(identity),
        _ => Arc::clone(known.insert(Arc::new(Identity::of(own)))),
    }
}

impl Identity {
    /// Another process, a child of ours: it is named as it is now.
    pub(super) fn of(pid: u32) -> Self {
        let system = this_machine();
        let look = crate::model::holder::Pid::new(u64::from(pid)).map(|pid| system.look_at(pid));
        let (ticks, command) = match look {
            Some(ProcessLook::Running(facts)) => (facts.start_ticks, facts.command.to_string()),
            _ => (None, String::new()),
        };
        Self { process: pid, host: system.host(), ticks, command, user: environment::user() }
    }

    /// The record of a marker.
    pub(super) fn record(&self, style: RecordStyle, command: Option<&str>) -> Vec<u8> {
        match style {
            RecordStyle::Lockscope => self.json(command, &[]),
            RecordStyle::PlainPid => format!("{}\n", self.process).into_bytes(),
            RecordStyle::SoftFileLock => self.soft(),
        }
    }

    /// The record of a lease: also for how long, a token that no other has, and a count of renewals that is overwritten in
    /// place, always as long.
    pub(super) fn lease_record(&self, command: Option<&str>, span: Duration, token: u128) -> Vec<u8> {
        let fields = [
            ("lease_secs", json!(span.as_secs_f64())),
            ("token", json!(format!("{token:032x}"))),
            ("renewed", json!(count(0))),
        ];
        self.json(command, &fields)
    }

    /// What stands in a file that the kernel has locked for it: only information.
    pub(super) fn flock_record(&self, command: Option<&str>) -> Vec<u8> {
        self.json(command, &[("lock", json!("flock"))])
    }

    fn json(&self, command: Option<&str>, more: &[(&str, Value)]) -> Vec<u8> {
        let host = &self.host;
        let mut record = json!({
            "pid": self.process, "host": &*host.name, "pid_ns": host.pid_ns,
            "boot_id": host.boot_id.map(|id| format!("{id:032x}")), "start_token": self.ticks,
            "command": command.unwrap_or(&self.command), "user": self.user,
            "created": this_machine().wall().rfc3339(),
        });
        for (name, value) in more {
            record[*name] = value.clone();
        }
        format!("{record}\n").into_bytes()
    }

    /// `_soft.py`, `_identity.py`: PID, host (with the PID namespace, where it is not the first), and the start token with
    /// the boot's id in its high bits.
    fn soft(&self) -> Vec<u8> {
        let host = &self.host;
        let mut name: String = String::new();
        for byte in host.name.bytes() {
            match byte {
                b'?' => name.push_str("?3f"),
                0x21..=0x7e => name.push(char::from(byte)),
                other => drop(write!(name, "?{other:02x}")),
            }
        }
        if let Some(ns) = host.pid_ns.filter(|_| !host.host_pid_ns) {
            let _ = write!(name, "?pidns-{ns:x}");
        }
        let mut text = format!("{}\n{name}\n", self.process);
        if let (Some(boot), Some(ticks)) = (host.boot_id, self.ticks) {
            // Python's integers have no end; 192 bits are written in decimal by hand.
            text.push_str(&decimal(boot, ticks));
            text.push('\n');
        }
        text.into_bytes()
    }
}

/// Renewals so far, always ten digits.
pub(super) fn count(renewed: u64) -> String {
    format!("{:010}", renewed % 10_000_000_000)
}

/// `high * 2^64 + low` in decimal.
fn decimal(high: u128, low: u64) -> String {
    const BASE: u128 = 1_000_000_000;
    let mut limbs =
        [(high >> 96) as u32, (high >> 64) as u32, (high >> 32) as u32, high as u32, (low >> 32) as u32, low as u32];
    let mut groups = Vec::new();
    while limbs.iter().any(|limb| *limb != 0) {
        let mut rest: u128 = 0;
        for limb in &mut limbs {
            let value = rest << 32 | u128::from(*limb);
            *limb = (value / BASE) as u32;
            rest = value % BASE;
        }
        groups.push(rest);
    }
    let mut text = groups.pop().unwrap_or_default().to_string();
    for group in groups.iter().rev() {
        let _ = write!(text, "{group:09}");
    }
    text
}

impl From<&Identity> for Option<ProcessId> {
    fn from(identity: &Identity) -> Self {
        let pid = crate::model::holder::Pid::new(u64::from(identity.process))?;
        let boot_id = identity.host.boot_id;
        Some(ProcessId { pid, token: identity.ticks.map(|ticks| crate::model::holder::StartToken { boot_id, ticks }) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_numbers_are_written_as_python_writes_them() {
        // python3 -c 'print((h << 64) + l)'
        for (high, low, text) in [
            (0, 0, "0"),
            (0, u64::MAX, "18446744073709551615"),
            (1, 0, "18446744073709551616"),
            (u128::MAX, u64::MAX, "6277101735386680763835789423207666416102355444464034512895"),
            (0xffff, 5, "1208907372870555465154565"),
        ] {
            assert_eq!(decimal(high, low), text);
        }
    }
}
