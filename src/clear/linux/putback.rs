//! What came out of the swap is not what was confirmed: it goes back, and nothing is overwritten on the way.
//!
//! Owns: the put-back loop (CLEARING.md step 9, "not OK"), shared by the protocol and by recovery.
//! Never: removes a name of something that has no other, nor leaves the path empty while what belongs there is in our hands.

use super::disk::{Name, Place, Seen};
use super::fingerprint::Identity;
use super::patience::{Patience, pause};
use super::placeholder::{Names, Placeholder};
use super::protocol::{Step, Steps};
use std::io;
use std::time::Duration;

/// How long we wait for another inspector to give our placeholder back.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// How a put-back ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PutBack {
    /// It stands where it stood.
    Restored,
    /// Its owner had meanwhile committed our placeholder by rename; its data now stands at that target.
    Replayed,
    /// Its owner has let go of it meanwhile: it stays under our name, to be kept.
    Released,
}

fn inode(seen: Option<Seen>) -> Option<Identity> {
    seen.map(|seen| Identity::of(&seen.stat))
}

fn same(one: Option<&Identity>, seen: Option<&Seen>) -> bool {
    one.zip(seen).is_some_and(|(one, seen)| one.is_same_inode(&seen.stat))
}

/// Puts what `names.other` holds back to where the placeholder is.
pub(crate) fn put_back(place: &Place, names: &Names, ours: &Placeholder, steps: &dyn Steps) -> io::Result<PutBack> {
    let patience = Patience::of(PATIENCE);
    // (a) A second link keeps the inode even if a breaker unlinks it the moment that it stands at the path again: the
    // owner of a git-style lock must find its data. Refused for directories, and by fs.protected_hardlinks. One that is
    // there already is of a put-back that was interrupted, and tells what came out then.
    let (came_out, linked) = match inode(place.look(&names.keep)?) {
        Some(kept) => (Some(kept), true),
        None => (inode(place.look(&names.other)?), place.link(&names.other, place, &names.keep).is_ok()),
    };
    steps.after(Step::Linked);
    let end = loop {
        match place.look(&names.lock)? {
            // (b) Our placeholder still stands there: swap again. Looked at first, so that a path that has moved on
            // without us is not touched at all.
            Some(seen) if ours.is(&seen) => match swap_until_ours(place, names, ours.identity(), None, steps)? {
                Swapped::Ours => break PutBack::Restored,
                Swapped::Again => {}
            },
            // (c) What happened to the placeholder is what its owner wanted to happen to the lock.
            _ if ours.is_deleted()? => break PutBack::Released,
            _ => {
                if replay(place, names, ours, linked)? {
                    break PutBack::Replayed;
                }
                if patience.is_over() {
                    break PutBack::Released;
                }
                // Another inspector has it in hand, or it is on its way: nothing tells when it is back.
                pause(Duration::from_millis(1));
            }
        }
    };
    tidy(place, names, ours, came_out.as_ref(), end)?;
    Ok(end)
}

enum Swapped {
    Ours,
    Again,
}

/// A put-back that died between two swaps: what came out of the first stands at the path (its second link tells), and what
/// belongs there is under our name. The swap that was next is made up for.
pub(crate) fn finish_swap(place: &Place, names: &Names, ours: &Identity) -> io::Result<()> {
    let kept = inode(place.look(&names.keep)?);
    let other = place.look(&names.other)?;
    let is_in_hand = other.is_some_and(|seen| !ours.is_same_inode(&seen.stat)) && !same(kept.as_ref(), other.as_ref());
    if kept.is_some() && is_in_hand && same(kept.as_ref(), place.look(&names.lock)?.as_ref()) {
        swap_until_ours(place, names, ours, kept, &super::protocol::Straight)?;
    }
    Ok(())
}

fn swap_until_ours(
    place: &Place, names: &Names, ours: &Identity, mut put_before: Option<Identity>, steps: &dyn Steps,
) -> io::Result<Swapped> {
    let mut in_hand = inode(place.look(&names.other)?);
    loop {
        match place.exchange(&names.lock, &names.other) {
            // The path was freed just now. If we hold somebody's lock that stood there a moment ago, it goes back to where
            // it was, if that is still free; if not, the look in the outer loop decides.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if put_before.is_some() {
                    let _ = place.move_to_free(&names.other, place, &names.lock);
                }
                return Ok(Swapped::Again);
            }
            other => other?,
        }
        steps.after(Step::SwappedBack);
        let got = place.look(&names.other)?;
        if got.as_ref().is_none_or(|seen| ours.is_same_inode(&seen.stat)) {
            return Ok(Swapped::Ours);
        }
        // Not the placeholder: somebody came in between the look and the swap. What we hold now belongs at the path, and
        // what we put there does not: swap until we get back what we put in by the swap before.
        if same(put_before.as_ref(), got.as_ref()) {
            return Ok(Swapped::Again);
        }
        put_before = in_hand;
        in_hand = inode(got);
    }
}

/// The placeholder was renamed away: a holder that commits by rename (git) has made it its target, and gets its real
/// data there. `false` = not now.
fn replay(place: &Place, names: &Names, ours: &Placeholder, linked: bool) -> io::Result<bool> {
    let path = ours.path_now()?;
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(false) };
    if name.as_encoded_bytes().starts_with(b".lockscope-") {
        return Ok(false); // in another inspector's hands
    }
    let Some(target) = Name::new(name) else { return Ok(false) };
    let there = match Place::open(parent) {
        Ok(there) => there,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let same_place = there.id()? == place.id()?;
    if (same_place && target == names.lock) || !there.look(&target)?.is_some_and(|seen| ours.is(&seen)) {
        return Ok(false); // it has moved on: look again
    }
    let from = if linked { &names.keep } else { &names.other };
    match place.exchange_with(from, &there, &target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        other => other?,
    }
    if place.look(from)?.is_some_and(|seen| ours.is(&seen)) {
        return Ok(true);
    }
    // It moved between the look and the swap, and we took something else: back with that.
    place.exchange_with(from, &there, &target)?;
    Ok(false)
}

/// Removes what is ours, and the second names of what is not.
fn tidy(place: &Place, names: &Names, ours: &Placeholder, came_out: Option<&Identity>, end: PutBack) -> io::Result<()> {
    ours.remove_at(place, &names.keep)?;
    ours.remove_at(place, &names.other)?;
    let second = |name: &Name| -> io::Result<()> {
        match place.look(name)? {
            Some(seen) if same(came_out, Some(&seen)) => place.unlink(name),
            _ => Ok(()),
        }
    };
    second(&names.keep)?;
    if end == PutBack::Replayed {
        // Its data stands at its target; under our name it is only a second link.
        second(&names.other)?;
    }
    if end != PutBack::Released {
        ours.remove_wherever_it_is();
    }
    Ok(())
}
