//! Who follows when a lease has run out: exactly one of those who wait.
//!
//! Owns: [`Watch`]. Never: takes over what moved while it was watched, or what is no lease.
//!
//! Each lease has a token. Whoever finds one unchanged for its whole time makes a file called after the token, `.lease-TOKEN`
//! beside the lock, which only one can do; the file holds its own lease. Then it exchanges the two names and looks at what
//! came out. A successor that dies in between leaves its file, which is a lease too, with a token of its own: it runs out in
//! the same way, and is succeeded in the same way.

use super::ask;
use super::marker::Marked;
use crate::model::facts::FileStat;
use crate::platform::{System, exchange, publish};
use serde_json::Value;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// More than any lease of ours.
const LONGEST_RECORD: usize = 64 * 1024;
/// So many dead successors in a row are looked through.
const LONGEST_LINE: usize = 16;

/// What a lease file was like.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    stat: FileStat,
    bytes: Vec<u8>,
}

/// One wait for one lease: what was seen of it and of those that claim to follow, and since when.
pub(super) struct Watch {
    system: Arc<dyn System>,
    span: Duration,
    seen: HashMap<PathBuf, (Seen, Duration)>,
}

impl Watch {
    pub(super) fn new(system: Arc<dyn System>, span: Duration) -> Self {
        Self { system, span, seen: HashMap::new() }
    }

    /// Looks at the lease at `path`; takes its place with `content` if it has run out and nobody else does.
    pub(super) fn succeed(&mut self, path: &Path, content: &dyn Fn() -> Vec<u8>) -> Option<Marked> {
        let mut current = path.to_owned();
        let mut dead = Vec::new();
        for _ in 0..LONGEST_LINE {
            let (seen, token) = self.run_out(&current)?;
            let claim = path.with_file_name(format!(".lease-{token}"));
            if claim.symlink_metadata().is_ok() {
                // Somebody follows already. Unless that one has died too.
                dead.push(claim.clone());
                current = claim;
                continue;
            }
            let began = self.system.monotonic();
            let content = content();
            let file = match publish(&claim, &content) {
                Ok(file) => file,
                Err(error) => {
                    tracing::debug!(path = %path.display(), %error, "another follows");
                    return None;
                }
            };
            let marked = Marked::new(file, content);
            return match self.take_place(path, &claim, &seen, &current, began) {
                Ok(()) => {
                    for claim in dead {
                        // Of successors that died: their leases have run out, and the lock is ours.
                        let _ = std::fs::remove_file(claim);
                    }
                    tracing::info!(path = %path.display(), "took over a lease that had run out");
                    Some(marked)
                }
                Err(error) => {
                    tracing::debug!(path = %path.display(), %error, "did not take over");
                    // One that was held up may have a successor of its own by now, who goes by this file.
                    if self.is_in_time(began) && marked.stands_at(&claim).unwrap_or(false) {
                        let _ = std::fs::remove_file(&claim);
                    }
                    None
                }
            };
        }
        None
    }

    /// Puts the claim where the lock is, if that still is what ran out.
    fn take_place(&self, path: &Path, claim: &Path, ran_out: &Seen, at: &Path, began: Duration) -> io::Result<()> {
        let changed = |what: &str| io::Error::other(what.to_owned());
        let old = if at == path { ran_out.clone() } else { self.known(path).ok_or_else(|| changed("not seen"))? };
        if self.read(path).as_ref() != Some(&old) {
            return Err(changed("it moved in the last moment"));
        }
        if !self.is_in_time(began) {
            return Err(changed("held up for too long"));
        }
        match exchange(claim, path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                // Network file systems. That nobody else acts between the look above and this call rests on the times alone.
                return std::fs::rename(claim, path);
            }
            Err(error) => return Err(error),
        }
        // Another program that breaks locks may have been faster: then what came out is not what ran out.
        let out = self.read(claim);
        if out.is_some_and(|out| (out.stat.ino, &out.bytes) == (old.stat.ino, &old.bytes)) {
            return std::fs::remove_file(claim);
        }
        exchange(claim, path)?;
        Err(changed("another took it in the last moment; it was put back"))
    }

    /// Whoever was held up since its claim may have been succeeded itself.
    fn is_in_time(&self, began: Duration) -> bool {
        self.system.monotonic().saturating_sub(began) < self.span / 3
    }

    fn known(&self, path: &Path) -> Option<Seen> {
        self.seen.get(path).map(|(seen, _)| seen.clone())
    }

    /// What stands there and its token, if it is a lease that was watched unchanged for its whole time.
    fn run_out(&mut self, path: &Path) -> Option<(Seen, String)> {
        let now = self.system.monotonic();
        let Some(seen) = self.read(path) else {
            self.seen.remove(path);
            return None;
        };
        let (span, token) = lease(&seen.bytes)?;
        match self.seen.get(path) {
            Some((before, since)) if *before == seen => (now.saturating_sub(*since) >= span).then_some((seen, token)),
            _ => {
                // As of the end of reading: it may have been renewed while we read.
                let since = self.system.monotonic();
                self.seen.insert(path.to_owned(), (seen, since));
                None
            }
        }
    }

    /// By the careful way of looking: no link is followed, no FIFO waited for.
    fn read(&self, path: &Path) -> Option<Seen> {
        let name: &OsStr = path.file_name()?;
        let directory = self.system.open_directory(&ask::parent(path)).ok()?;
        let (stat, bytes) = directory.read(name, LONGEST_RECORD).ok()?;
        Some(Seen { stat, bytes })
    }
}

/// How long a lease lasts and what it is called, by its record; `None` = this is no lease.
fn lease(bytes: &[u8]) -> Option<(Duration, String)> {
    let record: Value = serde_json::from_slice(bytes).ok()?;
    let span = record.get("lease_secs")?.as_f64()?;
    let span = Duration::try_from_secs_f64(span).ok().filter(|span| !span.is_zero())?;
    let token = record.get("token")?.as_str()?;
    // It becomes part of a file name.
    let is_token = token.len() == 32 && token.bytes().all(|b| b.is_ascii_hexdigit());
    is_token.then(|| (span, token.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_lease_is_one() {
        let token = "0123456789abcdef0123456789abcdef";
        let good = format!("{{\"lease_secs\": 0.5, \"token\": \"{token}\"}}");
        assert_eq!(lease(good.as_bytes()), Some((Duration::from_millis(500), token.to_owned())));
        for text in [
            String::new(),
            "4711\n".to_owned(),
            format!("{{\"token\": \"{token}\"}}"),
            format!("{{\"lease_secs\": 0, \"token\": \"{token}\"}}"),
            format!("{{\"lease_secs\": -1, \"token\": \"{token}\"}}"),
            format!("{{\"lease_secs\": \"5\", \"token\": \"{token}\"}}"),
            "{\"lease_secs\": 5, \"token\": \"../../../../etc/passwd0123456789\"}".to_owned(),
            good[..good.len() - 1].to_owned(),
        ] {
            assert_eq!(lease(text.as_bytes()), None, "{text}");
        }
    }
}
