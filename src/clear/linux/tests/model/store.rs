//! Lockscope's own things, modelled: journal, intents, the directory mutex, patience. Each call of theirs is a point where
//! the process may die.

use super::stage::{at_once, call};
use crate::clear::journal::Entry;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

/// What all Lockscopes of one user share.
#[derive(Default)]
pub(super) struct Store {
    entries: BTreeMap<String, Entry>,
    intents: BTreeMap<String, mutex::Pending>,
    mutex: Option<usize>,
}

impl Store {
    pub(super) fn mutex_is_taken(&self) -> bool {
        self.mutex.is_some()
    }

    pub(super) fn has_intents(&self) -> bool {
        !self.intents.is_empty()
    }

    /// By the numbers that its transactions have.
    pub(super) fn has_intents_of(&self, me: usize) -> bool {
        let of = |txn: &str| u64::from_str_radix(&txn[16..], 16).is_ok_and(|number| number / 1000 == me as u64 + 1);
        self.intents.keys().any(|txn| of(txn))
    }

    pub(super) fn entries(&self) -> Vec<Entry> {
        self.entries.values().cloned().collect()
    }
}

impl Hash for Store {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.mutex.hash(state);
        for (id, entry) in &self.entries {
            (id, entry.state as u8, &entry.quarantine).hash(state);
        }
        for txn in self.intents.keys() {
            txn.hash(state);
        }
    }
}

/// As `clear::journal`, without a disk.
pub(super) mod journal {
    use super::*;
    pub(in super::super) use crate::clear::journal::{Deed, Inner, Line, RawPath, State};
    use crate::model::time::Wall;
    use std::io;

    pub(in super::super) struct Journal;

    impl Journal {
        pub(in super::super) fn append(&self, line: &Line) -> io::Result<()> {
            call("journal", |stage, _| {
                let entries = &mut stage.store.entries;
                entries.entry(line.id.clone()).or_insert_with(|| Entry::new(line)).take(line.clone());
                Ok(())
            })
        }

        pub(in super::super) fn read(&self) -> io::Result<Vec<Entry>> {
            call("read the journal", |stage, _| Ok(stage.store.entries()))
        }

        pub(in super::super) fn find(&self, id: &str) -> io::Result<Option<Entry>> {
            Ok(self.read()?.into_iter().find(|entry| entry.id == id))
        }
    }

    pub(in super::super) fn new_id(_: Wall) -> io::Result<String> {
        Ok(at_once(|stage, me| format!("{:06}", stage.next_number(me))))
    }
}

impl super::disk::Outcome for Vec<Entry> {
    fn digest(&self) -> u64 {
        self.iter().fold(0, |sum: u64, entry| sum.wrapping_mul(31).wrapping_add(1 + entry.state as u64))
    }
}

/// As `clear::mutex`, without a disk.
pub(super) mod mutex {
    use super::super::disk::{Outcome, Place};
    use super::super::placeholder::{Form, Maker};
    use super::super::{RawPath, Workplace};
    use super::*;
    use std::io;

    #[derive(Debug)]
    pub(in super::super) struct DirectoryMutex;

    impl DirectoryMutex {
        pub(in super::super) fn take(_: &Workplace, _: &Place) -> io::Result<Option<Self>> {
            at_once(|stage, me| stage.wants_mutex(me, true));
            call("take the mutex", |stage, me| {
                stage.wants_mutex(me, false);
                if stage.has_mutex() {
                    stage.store.mutex = Some(me);
                }
            });
            Ok(Some(Self))
        }
    }

    impl Drop for DirectoryMutex {
        fn drop(&mut self) {
            at_once(|stage, me| {
                if stage.store.mutex == Some(me) {
                    stage.store.mutex = None;
                }
            });
        }
    }

    #[derive(Clone)]
    pub(in super::super) struct Pending {
        pub(in super::super) id: String,
        pub(in super::super) txn: String,
        pub(in super::super) parent: RawPath,
        pub(in super::super) parent_dev: u64,
        pub(in super::super) parent_ino: u64,
        pub(in super::super) name: RawPath,
        #[allow(dead_code, reason = "the protocol writes it")]
        pub(in super::super) form: Form,
        pub(in super::super) maker: Maker,
    }

    impl Pending {
        pub(in super::super) fn write(&self, _: &Workplace) -> io::Result<()> {
            call("write the intent", |stage, _| {
                stage.store.intents.insert(self.txn.clone(), self.clone());
                Ok(())
            })
        }

        pub(in super::super) fn remove(_: &Workplace, txn: &str) -> io::Result<()> {
            call("remove the intent", |stage, _| {
                stage.store.intents.remove(txn);
                Ok(())
            })
        }

        pub(in super::super) fn all(_: &Workplace) -> io::Result<Vec<Self>> {
            call("list the intents", |stage, _| Ok(stage.store.intents.values().cloned().collect()))
        }
    }

    impl Outcome for Vec<Pending> {
        fn digest(&self) -> u64 {
            self.iter().fold(7, |sum: u64, one| {
                one.txn.bytes().fold(sum, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()))
            })
        }
    }
}

/// As `clear::patience`, without a clock: it may run out before anybody has done anything.
pub(super) mod patience {
    use std::cell::Cell;
    use std::time::Duration;

    pub(in super::super) struct Patience(Cell<u32>);

    impl Patience {
        pub(in super::super) fn of(_: Duration) -> Self {
            Self(Cell::new(0))
        }

        pub(in super::super) fn is_over(&self) -> bool {
            self.0.set(self.0.get() + 1);
            self.0.get() > 2
        }
    }

    pub(in super::super) fn pause(_: Duration) {}
}
