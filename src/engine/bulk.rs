//! Clearing one lock after another: each is a transaction of its own, and between two of them a person can stop it.
//!
//! Owns: what comes of one lock, in the words that window and command line share, and the order of several. Never:
//! stops in the middle of one, and never lets what one cannot do keep the others from being done.

use crate::clear::{self, ClearError, Consent, Refusal, Workplace};
use crate::inspect::LookOptions;
use crate::model::snapshot::Lock;
use crate::model::verdict::Verdict;
use std::path::Path;

/// What came of one lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Came {
    /// Taken away; the journal entry's id.
    Cleared(String),
    /// Left as it is.
    Refused {
        /// What the recheck found it to be.
        verdict: Verdict,
        /// One sentence.
        why: String,
    },
    /// It could not be done.
    Failed(String),
}

impl Came {
    /// The journal entry's id, or why nothing was taken away.
    pub fn result(self) -> Result<String, String> {
        match self {
            Self::Cleared(id) => Ok(id),
            Self::Refused { why, .. } | Self::Failed(why) => Err(why),
        }
    }
}

/// How far a clear of several has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// So many are done, cleared or not.
    pub done: usize,
    /// Of so many.
    pub total: usize,
}

/// Does each of them, in their order; `goes_on` is asked before each. Gives what came of those that had their turn.
pub fn clear_each<T>(
    items: &[T], mut goes_on: impl FnMut(Progress) -> bool, mut one: impl FnMut(&T) -> Came,
) -> Vec<Came> {
    let total = items.len();
    let turns = items.iter().enumerate();
    turns.take_while(|(done, _)| goes_on(Progress { done: *done, total })).map(|(_, item)| one(item)).collect()
}

/// Rechecks and clears one lock. A placeholder that an interrupted clear of ours left is repaired instead.
pub fn clear_one(
    workplace: &Workplace, directory: &Path, seen: &Lock, options: &LookOptions, consent: Consent,
) -> Came {
    let refused = |refusal: &Refusal| Came::Refused {
        verdict: refusal.verdict().unwrap_or(seen.judgement.verdict),
        why: refusal.to_string(),
    };
    if seen.judgement.verdict == Verdict::Interrupted {
        return match clear::repair(workplace, directory, Path::new(&seen.path)) {
            Ok(repaired) if repaired.cleared => Came::Cleared(repaired.id),
            Ok(repaired) => Came::Refused { verdict: Verdict::Interrupted, why: repaired.outcome },
            Err(refusal) => refused(&refusal),
        };
    }
    let permit = match clear::recheck(workplace, directory, seen, options, consent) {
        Ok(permit) => permit,
        Err(refusal) => return refused(&refusal),
    };
    match clear::clear(permit) {
        Ok(cleared) => Came::Cleared(cleared.id),
        Err(ClearError::Refused(refusal)) => refused(&refusal),
        Err(error @ (ClearError::PutBack(_) | ClearError::Kept { .. })) => {
            Came::Refused { verdict: Verdict::Held, why: error.to_string() }
        }
        Err(error @ ClearError::Unfinished { .. }) => Came::Failed(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stops_between_two_and_what_fails_stops_nothing() {
        let mut seen = Vec::new();
        let came = clear_each(
            &["a", "b", "c", "d"],
            |progress| {
                seen.push((progress.done, progress.total));
                progress.done < 3
            },
            |name| if *name == "b" { Came::Failed("disk full".into()) } else { Came::Cleared((*name).to_owned()) },
        );
        let failed = Came::Failed("disk full".into());
        assert_eq!(came, [Came::Cleared("a".into()), failed, Came::Cleared("c".into())]);
        assert_eq!(seen, [(0, 4), (1, 4), (2, 4), (3, 4)]);
    }
}
