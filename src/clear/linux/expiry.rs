//! The end of undo: what was cleared 30 days ago is deleted from quarantine.
//!
//! Owns: which entries are over. Never: deletes anything but the very inode that the journal names, untouched since; a
//! disk that is not mounted, or something else at that place, is left for another time.

use super::super::KEPT_FOR;
use super::Workplace;
use super::inside;
use super::journal::{Deed, Entry, Line, State};
use super::mutex::Pending;
use super::undo::{is_the_kept_one, open_kept};
use crate::model::facts::{FileKind, FileStat};
use crate::model::time::Wall;
use std::collections::HashSet;
use std::io;
use std::time::Duration;

/// After a larger step of the clock nobody knows how old an entry is.
const LARGEST_STEP: Duration = Duration::from_hours(24);

/// Deletes what has rested in quarantine for [`KEPT_FOR`] by the machine's clock, and says so in the journal. Gives how
/// many entries ended.
pub fn expire(workplace: &Workplace) -> io::Result<usize> {
    let now = workplace.system.wall();
    let host = workplace.system.host();
    if host.clock_step.is_some_and(|step| step > LARGEST_STEP) {
        return Ok(0);
    }
    let boot = host.boot_id.map(|id| format!("{id:032x}"));
    // Recovery has not been there yet, and may need what lies in quarantine.
    let intents: HashSet<String> = Pending::all(workplace)?.into_iter().map(|pending| pending.id).collect();
    let mut ended = 0;
    for entry in workplace.journal().read()? {
        let is_old = begun(&entry).and_then(|at| now.since(at)).is_some_and(|age| age > KEPT_FOR);
        // What was kept of another program's lock is no entry that can be undone: nobody knows that inode well enough to
        // delete it.
        if !is_old || !entry.can_be_undone() || intents.contains(&entry.id) {
            continue;
        }
        match delete(&entry, boot.as_deref()) {
            Ok(Some(outcome)) => {
                workplace.journal().append(&Line {
                    id: entry.id,
                    state: Some(State::Expired),
                    at: now.rfc3339(),
                    outcome: Some(outcome.to_owned()),
                    ..Line::default()
                })?;
                ended += 1;
            }
            Ok(None) => {}
            Err(error) => tracing::debug!(id = entry.id, %error, "what was kept stays for now"),
        }
    }
    Ok(ended)
}

fn begun(entry: &Entry) -> Option<Wall> {
    let at: jiff::Timestamp = entry.at.parse().ok()?;
    i64::try_from(at.as_nanosecond()).ok().map(Wall)
}

/// Deletes what an entry keeps, if that is what lies there. Gives the entry's end; `None` = it is not over.
fn delete(entry: &Entry, boot: Option<&str>) -> io::Result<Option<&'static str>> {
    let (Some(deed), Some(kept)) = (&entry.deed, &entry.quarantine) else { return Ok(None) };
    // Where the disk is not mounted there is no such directory.
    let (there, name) = open_kept(kept, kept).map_err(io::Error::other)?;
    let Some(found) = there.look(&name)? else { return Ok(Some("cleared; what was kept is gone")) };
    let same_boot = deed.boot_id.as_deref() == boot;
    let removed = match found.stat.kind {
        // Its own time changes with the first entry that goes: of one that is half deleted only the inode can be asked for.
        FileKind::Directory if is_the_same_directory(deed, &found.stat, same_boot) => {
            match inside::delete(&there, &name, &deed.inside, same_boot) {
                Ok(true) => Ok(()),
                Ok(false) => return Ok(None),
                Err(error) => Err(error),
            }
        }
        FileKind::Regular | FileKind::Symlink if is_the_kept_one(deed, &found.stat, same_boot) => there.unlink(&name),
        _ => return Ok(None),
    };
    match removed {
        // Undone or expired by another Lockscope just now; that one says so.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    }
    there.sync()?;
    Ok(Some("cleared; kept for 30 days, then deleted"))
}

fn is_the_same_directory(deed: &Deed, stat: &FileStat, same_boot: bool) -> bool {
    if same_boot { deed.lock.is_same_inode(stat) } else { deed.lock.is_same_inode_but_for_device(stat) }
}
