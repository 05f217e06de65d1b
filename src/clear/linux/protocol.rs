//! Taking one lock away: steps 5 to 10 of the protocol (swap, verify, rmdir), after the recheck has done 1 to 4.
//!
//! Owns: the order of the calls, and [`Steps`], by which tests get in between. Never: unlinks or overwrites a lock.
//!
//! What holds at every moment: the path goes from taken to free only by `rmdir` of our own empty directory, so no lock
//! file can be removed by it; every move is an exchange or needs a free target, so nothing is overwritten; the lock's
//! inode is pinned, so no newcomer can be mistaken for it.

use super::disk::{self, NoLease, Place, Quiet, Seen, random};
use super::error::{ClearError, Refusal};
use super::fingerprint::Identity;
use super::force::ForceClear;
use super::journal::{Deed, Line, RawPath, State, new_id};
use super::mutex::Pending;
use super::patience::{Patience, pause};
use super::permit::{ClearPermit, EVIDENCE_ENDED, Grounds};
use super::placeholder::{AtWork, Form, Maker, Marker, Names, Placeholder};
use super::putback::{self, PATIENCE};
use super::{Cleared, quarantine};
use crate::model::format::StandIn;
use crate::platform::ProcessPin;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use std::ffi::OsStr;
use std::io;
use std::time::Duration;

/// A point of the protocol that was just passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// The intent is on record.
    Intended,
    /// An exchange of two files of our own worked.
    Probed,
    /// The placeholder stands under our own name.
    PlaceholderMade,
    /// The journal has the intent.
    Prepared,
    /// The lease is taken (or is not needed).
    Leased,
    /// The last look before the swap.
    Checked,
    /// The swap.
    Swapped,
    /// What came out is what was confirmed.
    Verified,
    /// The marker is gone from the placeholder.
    Emptied,
    /// The path is free.
    Freed,
    /// The inode is in quarantine.
    Quarantined,
    /// The journal has the end.
    Done,
    /// Put-back: the second link exists.
    Linked,
    /// Put-back: swapped back.
    SwappedBack,
}

/// What tests hang into the protocol; in production it does nothing.
pub(crate) trait Steps {
    /// A step was passed: others may act here, or the process may die.
    fn after(&self, _step: Step) {}
    /// An error that the call leading to this step gives instead of being made.
    fn fault(&self, _step: Step) -> Option<io::Error> {
        None
    }
}

/// Nobody gets in between.
pub(crate) struct Straight;

impl Steps for Straight {}

/// How often the lease is asked for: a scanner may have the file open for a moment.
const LEASE_TRIES: u32 = 5;

/// Takes the lock away.
pub(crate) fn run(permit: ClearPermit<'_>, steps: &dyn Steps) -> Result<Cleared, ClearError> {
    run_on(&permit.into_grounds(), steps)
}

/// The same, by force: no step is left out.
pub(crate) fn run_forced(force: ForceClear<'_>, steps: &dyn Steps) -> Result<Cleared, ClearError> {
    run_on(&force.into_grounds(), steps)
}

fn run_on(grounds: &Grounds<'_>, steps: &dyn Steps) -> Result<Cleared, ClearError> {
    let path = &grounds.full;
    let failed = |doing, error: io::Error| ClearError::Refused(Refusal::failed(path, doing, error));
    let mut txn = Transaction::begin(grounds).map_err(|error| failed("preparing", error))?;
    let result = txn.take_away(steps);
    if let Err(error) = &result {
        txn.tell(error);
    }
    result
}

struct Transaction<'a, 'w> {
    grounds: &'a Grounds<'w>,
    id: String,
    txn: String,
    names: Names,
    prepared: bool,
    _at_work: AtWork,
}

impl<'a, 'w> Transaction<'a, 'w> {
    fn begin(grounds: &'a Grounds<'w>) -> io::Result<Self> {
        let txn = format!("{:032x}", random()?);
        let names = Names::new(grounds.pinned.name.as_os_str(), &txn).ok_or(io::ErrorKind::InvalidInput)?;
        let id = new_id(grounds.workplace.system.wall())?;
        let at_work = AtWork::on(&txn);
        Ok(Self { grounds, id, txn, names, prepared: false, _at_work: at_work })
    }

    fn take_away(&mut self, steps: &dyn Steps) -> Result<Cleared, ClearError> {
        let path = &self.grounds.full;
        let failed = |doing, error: io::Error| ClearError::Refused(Refusal::failed(path, doing, error));

        // Step 5: everything that may fail or take long comes before the lock is touched.
        let held = self.prepare(steps).inspect_err(|_| {
            self.forget_temporaries();
        })?;
        let abandon = |error: ClearError| {
            // The intent goes when the journal has the end (`tell`), or a crash in between would leave the entry open.
            let _ = held.remove_at(&self.grounds.place, &self.names.other);
            error
        };

        // Step 6: while we hold the lease nobody can open the lock unseen.
        let leased = self.lease().map_err(|refusal| abandon(refusal.into()))?;
        steps.after(Step::Leased);

        // Step 7: the last look. Whoever broke the lock since the recheck is noticed here or, at the latest, in step 9.
        let place = &self.grounds.place;
        let pinned = &self.grounds.pinned;
        match place.look(&self.names.lock) {
            Ok(Some(now)) if pinned.is_as_pinned(&now.stat) && pinned.is_inside_as_pinned().unwrap_or(false) => {}
            Ok(Some(_)) => {
                let what = "another program changed it just now";
                return Err(abandon(Refusal::Changed { path: path.clone(), what }.into()));
            }
            Ok(None) => return Err(abandon(Refusal::Gone(path.clone()).into())),
            Err(error) => return Err(abandon(failed("looking once more", error))),
        }
        if self.grounds.witness.as_ref().is_some_and(ProcessPin::has_ended) {
            return Err(abandon(Refusal::Changed { path: path.clone(), what: EVIDENCE_ENDED }.into()));
        }
        steps.after(Step::Checked);

        match self.swap(leased, steps) {
            Swap::Taken => self.finish(&held, steps),
            Swap::Free => {
                // Somebody else cleared it in the last moment: what we would have done is done.
                Err(abandon(Refusal::Gone(path.clone()).into()))
            }
            Swap::Failed(error) => Err(abandon(failed("swapping it out", error))),
            Swap::Foreign => self.give_back(&held, steps),
        }
    }

    /// Step 5: intent, probe, placeholder with its marker, journal; all on the disk.
    fn prepare(&mut self, steps: &dyn Steps) -> Result<Placeholder, ClearError> {
        let grounds = self.grounds;
        let (place, names, stat) = (&grounds.place, &self.names, &grounds.pinned.seen.stat);
        let path = &grounds.full;
        let failed = |doing, error: io::Error| ClearError::Refused(Refusal::failed(path, doing, error));
        let maker = Maker::ourselves(&*grounds.workplace.system);
        let parent = place.id().map_err(|error| failed("looking at the directory", error))?;
        let pending = Pending {
            id: self.id.clone(),
            txn: self.txn.clone(),
            parent: RawPath::new(place.path().as_os_str()),
            parent_dev: parent.dev,
            parent_ino: parent.ino,
            name: RawPath::new(names.lock.as_os_str()),
            form: grounds.form,
            maker: maker.clone(),
        };
        pending.write(grounds.workplace).map_err(|error| failed("writing down the intent", error))?;
        steps.after(Step::Intended);

        // The probe, on two files of our own: a file system without the exchange must not be found out about on the lock.
        let probe = steps.fault(Step::Probed).map_or_else(|| probe(place, names), Err);
        match probe {
            Ok(()) => {}
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::EINVAL | libc::ENOSYS | libc::EOPNOTSUPP | libc::EXDEV)
                ) =>
            {
                let why = "this disk cannot do the safe swap".to_owned();
                return Err(Refusal::Unsupported { path: path.clone(), why }.into());
            }
            Err(error) => return Err(failed("writing to its directory", error)),
        }
        steps.after(Step::Probed);

        let lock = RawPath::new(names.lock.as_os_str());
        let identity = Identity::of(stat);
        let inners = |with_content| grounds.pinned.inside.as_ref().map_or(Vec::new(), |it| it.inners(with_content));
        let marker = Marker {
            maker: maker.clone(),
            placeholder: true,
            txn: self.txn.clone(),
            id: self.id.clone(),
            lock: lock.clone(),
            identity: identity.clone(),
            inside: inners(false),
        };
        let held = match grounds.form {
            Form::Directory => Placeholder::make_directory(place, names, &marker),
            Form::Marker => serde_json::to_vec(&marker)
                .map_err(io::Error::from)
                .and_then(|marker| Placeholder::make_file(place, names, &marker, 0o600)),
            // As that library writes it: its waiters see a living holder and wait.
            Form::File => {
                self.record(&maker).and_then(|record| Placeholder::make_file(place, names, &record, stat.mode))
            }
            Form::Link => self.record(&maker).and_then(|target| Placeholder::make_link(place, names, &target)),
        };
        let held = held.map_err(|error| failed("making the placeholder", error))?;
        steps.after(Step::PlaceholderMade);

        let line = Line {
            state: Some(State::Prepared),
            batch: grounds.workplace.batch.clone(),
            what: Some(grounds.what.to_owned()),
            directory: Some(RawPath::new(grounds.directory.as_os_str())),
            path: Some(RawPath::new(&grounds.path)),
            who: Some(grounds.workplace.who()),
            verdict: Some(grounds.verdict.id().to_owned()),
            why: Some(grounds.why.clone()),
            outcome: Some("begun".to_owned()),
            deed: Some(Deed {
                txn: self.txn.clone(),
                parent: RawPath::new(place.path().as_os_str()),
                parent_dev: parent.dev,
                parent_ino: parent.ino,
                name: lock,
                lock: identity,
                placeholder: held.identity().clone(),
                content: BASE64_STANDARD.encode(&grounds.pinned.content),
                inside: inners(true),
                boot_id: maker.boot_id,
            }),
            ..self.line()
        };
        // A full or read-only disk stops us here, with the lock untouched: without the intent on the disk, recovery could
        // not tell the lock from a newcomer.
        let journaled = grounds.workplace.journal().append(&line);
        if let Err(error) = journaled {
            let _ = held.remove_at(place, &self.names.other);
            return Err(failed("writing the journal", error));
        }
        self.prepared = true;
        steps.after(Step::Prepared);
        Ok(held)
    }

    /// The lock's own record, in our name.
    fn record(&self, maker: &Maker) -> io::Result<Vec<u8>> {
        let (StandIn::Record(make) | StandIn::Link(make)) = self.grounds.format.stand_in else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        Ok(make(&self.grounds.pinned.content, &maker.as_owner(random()?)))
    }

    /// Step 6. `true` = the lease is ours.
    fn lease(&self) -> Result<bool, Refusal> {
        let grounds = self.grounds;
        // A symbolic link cannot be written to: its inode is the proof. Of a directory what is in it is compared.
        let Some(reader) = &grounds.pinned.reader else { return Ok(false) };
        if grounds.format.opened_nonblocking {
            // EAGAIN, which those that wait for it do not expect. Its content is compared instead.
            if !grounds.needs_lease {
                return Ok(false);
            }
            let why = "its waiters would stop with an error if they were kept from opening it; clear it by its name";
            return Err(Refusal::Unsupported { path: grounds.full.clone(), why: why.to_owned() });
        }
        let mut tries = 0;
        loop {
            match reader.take_lease() {
                Ok(()) => return Ok(true),
                Err(NoLease::InUse) if tries < LEASE_TRIES => {
                    tries += 1;
                    // Not in step with another inspector's tries: each one's own open file would refuse the other for ever.
                    let jitter = disk::random().map_or(5, |random| random as u64 % 10);
                    pause(Duration::from_millis(5 + jitter));
                }
                // The kernel counts descriptors of other users, in flight and behind mappings, which no look in /proc shows.
                Err(NoLease::InUse) => return Err(Refusal::InUse(grounds.full.clone())),
                Err(NoLease::Impossible(_)) if !grounds.needs_lease => return Ok(false),
                Err(NoLease::Impossible(error)) => {
                    let why = format!("nobody can be kept from opening it meanwhile ({error}); clear it by its name");
                    return Err(Refusal::Unsupported { path: grounds.full.clone(), why });
                }
            }
        }
    }

    /// Steps 8 and 9. From here to the verification nothing may interrupt us: the path shows our placeholder, and if what
    /// came out is a living lock, its owner's release would fail meanwhile.
    fn swap(&self, leased: bool, steps: &dyn Steps) -> Swap {
        let (place, names, pinned) = (&self.grounds.place, &self.names, &self.grounds.pinned);
        let _quiet = Quiet::start();
        match place.exchange(&names.lock, &names.other) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Swap::Free,
            Err(error) => return Swap::Failed(error),
        }
        steps.after(Step::Swapped);
        let is_ours = match place.look(&names.other) {
            Ok(Some(Seen { stat, .. })) => pinned.came_out(&stat),
            // Nothing there, or it cannot be looked at: not proved, so it goes back.
            Ok(None) | Err(_) => false,
        };
        let unwritten = pinned.reader.as_ref().is_none_or(|reader| {
            // An opener that came after the lease waits in the kernel for us, and shows as a broken lease. One that was
            // there before would have refused us the lease. Without a lease the content must do.
            (!leased || reader.holds_lease()) && reader.starts_with(&pinned.content).unwrap_or(false)
        });
        if is_ours && unwritten && pinned.is_inside_as_pinned().unwrap_or(false) { Swap::Taken } else { Swap::Foreign }
    }

    /// Step 9, "OK", and step 10.
    fn finish(&self, held: &Placeholder, steps: &dyn Steps) -> Result<Cleared, ClearError> {
        let (place, names, path) = (&self.grounds.place, &self.names, &self.grounds.full);
        let unfinished = |doing, error| ClearError::Unfinished { path: path.clone(), doing, error };
        steps.after(Step::Verified);
        held.empty().map_err(|error| unfinished("taking the marker out", error))?;
        steps.after(Step::Emptied);
        free(place, names, held).map_err(|error| unfinished("freeing the path", error))?;
        steps.after(Step::Freed);
        self.journal(State::Swapped, "the path is free", None)
            .map_err(|error| unfinished("writing the journal", error))?;
        let (_, _, kept) = quarantine::keep(self.grounds.workplace, place, &names.other, names, &self.txn)
            .map_err(|error| unfinished("moving it into quarantine", error))?;
        steps.after(Step::Quarantined);
        // The lease goes before the disk is waited for: whoever wants to open the old inode may.
        if let Some(reader) = &self.grounds.pinned.reader {
            reader.drop_lease();
        }
        let _ = place.sync();
        self.journal(State::Done, "cleared", Some(&kept)).map_err(|error| unfinished("writing the journal", error))?;
        steps.after(Step::Done);
        let _ = Pending::remove(self.grounds.workplace, &self.txn);
        Ok(Cleared { path: self.grounds.path.clone(), id: self.id.clone() })
    }

    /// Step 9, "not OK".
    fn give_back(&self, held: &Placeholder, steps: &dyn Steps) -> Result<Cleared, ClearError> {
        let (place, names, path) = (&self.grounds.place, &self.names, &self.grounds.full);
        let unfinished = |doing, error| ClearError::Unfinished { path: path.clone(), doing, error };
        let end = putback::put_back(place, names, held, steps).map_err(|error| unfinished("putting it back", error))?;
        // Now whoever was waiting to open it finds it where it was.
        if let Some(reader) = &self.grounds.pinned.reader {
            reader.drop_lease();
        }
        // What is still under our name was let go of by its owner, who found the path otherwise than it left it.
        let left = place.look(&names.other).map_err(|error| unfinished("looking at what came out", error))?;
        tracing::debug!(?end, left = left.is_some(), "another program was faster");
        let error = if left.is_none() {
            ClearError::PutBack(path.clone())
        } else {
            let (_, _, kept) = quarantine::keep(self.grounds.workplace, place, &names.other, names, &self.txn)
                .map_err(|error| unfinished("keeping what came out", error))?;
            ClearError::Kept { path: path.clone(), kept }
        };
        let _ = place.sync();
        Err(error)
    }

    /// Ends the entry, as far as there is one, with what went wrong.
    fn tell(&self, error: &ClearError) {
        let said = error.to_string();
        let journaled = match error {
            ClearError::Refused(refusal) if !self.prepared => self.refuse(refusal),
            ClearError::Refused(_) => self.journal(State::Refused, &said, None),
            ClearError::PutBack(_) => self.journal(State::Putback, &said, None),
            ClearError::Kept { kept, .. } => self.journal(State::KeptForeign, &said, Some(kept)),
            // The entry and the intent stay open: recovery goes on from them.
            ClearError::Unfinished { .. } => return,
        };
        match journaled {
            Ok(()) => {
                if !self.leftovers() {
                    let _ = Pending::remove(self.grounds.workplace, &self.txn);
                }
            }
            Err(error) => tracing::warn!(%error, "the journal could not be written"),
        }
    }

    fn leftovers(&self) -> bool {
        let names = [&self.names.other, &self.names.keep, &self.names.probe_directory, &self.names.probe_file];
        names.into_iter().any(|name| self.grounds.place.look(name).is_ok_and(|seen| seen.is_some()))
    }

    /// After a failure before the lock was touched: all of our names are ours.
    fn forget_temporaries(&self) {
        let (place, names) = (&self.grounds.place, &self.names);
        let _ = place.remove_directory(&names.probe_directory);
        let _ = place.unlink(&names.probe_directory);
        let _ = place.remove_directory(&names.probe_file);
        let _ = place.unlink(&names.probe_file);
        if let Ok(held) = Placeholder::hold(place, &names.other, &names.marker) {
            let _ = held.remove_at(place, &names.other);
        }
    }

    /// Under the same id: if the intent is in the journal all the same (written, but the disk could not be waited for),
    /// this closes it.
    fn refuse(&self, refusal: &Refusal) -> io::Result<()> {
        let grounds = self.grounds;
        grounds.workplace.journal().append(&Line {
            state: Some(State::Refused),
            what: Some("refuse".to_owned()),
            directory: Some(RawPath::new(grounds.directory.as_os_str())),
            path: Some(RawPath::new(&grounds.path)),
            who: Some(grounds.workplace.who()),
            verdict: Some(refusal.verdict().unwrap_or(grounds.verdict).id().to_owned()),
            why: Some(refusal.to_string()),
            outcome: Some("nothing was changed".to_owned()),
            ..self.line()
        })
    }

    fn line(&self) -> Line {
        Line { id: self.id.clone(), at: self.grounds.workplace.system.wall().rfc3339(), ..Line::default() }
    }

    fn journal(&self, state: State, outcome: &str, kept: Option<&std::path::Path>) -> io::Result<()> {
        let quarantine = kept.map(|path| RawPath::new(path.as_os_str()));
        let line = Line { state: Some(state), outcome: Some(outcome.to_owned()), quarantine, ..self.line() };
        self.grounds.workplace.journal().append(&line)
    }
}

enum Swap {
    Taken,
    Free,
    Foreign,
    Failed(io::Error),
}

/// Exchanges a directory and a file of our own, as the swap will.
fn probe(place: &Place, names: &Names) -> io::Result<()> {
    place.make_directory(&names.probe_directory)?;
    drop(place.create(&names.probe_file, 0o600)?);
    place.exchange(&names.probe_directory, &names.probe_file)?;
    place.unlink(&names.probe_directory)?;
    place.remove_directory(&names.probe_file)
}

/// The last step of step 9: the path becomes free, by a call that can remove nothing but our own empty directory.
pub(crate) fn free(place: &Place, names: &Names, held: &Placeholder) -> io::Result<()> {
    let patience = Patience::of(PATIENCE);
    loop {
        let error = match held.remove_emptied_at(place, &names.lock) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        match error.raw_os_error() {
            // A breaker has taken our placeholder away or moved it, and perhaps a newcomer stands there: the path is not
            // ours any more, and rmdir (of a file: unlink) has touched nothing.
            Some(libc::ENOENT | libc::ENOTDIR | libc::EISDIR) => {
                held.remove_wherever_it_is();
                return Ok(());
            }
            // Another inspector's placeholder stands there (its marker is in it) and ours is in its hands: it gives it
            // back. Or it is some other directory by now, and ours is gone.
            Some(libc::ENOTEMPTY | libc::EEXIST) => {
                if held.is_deleted()? {
                    return Ok(());
                }
                if patience.is_over() {
                    if place.look(&names.lock)?.is_some_and(|seen| held.is(&seen)) {
                        return Err(error); // somebody has put something into it
                    }
                    held.remove_wherever_it_is();
                    return Ok(());
                }
                pause(Duration::from_millis(1));
            }
            _ => return Err(error),
        }
    }
}

/// The name of the lock, for whoever has the deed only.
pub(crate) fn names_from(deed: &Deed) -> Option<Names> {
    let name = deed.name.path();
    Names::new(name.file_name().unwrap_or(OsStr::new("")), &deed.txn)
}
