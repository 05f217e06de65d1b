//! A set of names, for directories with very many.
//!
//! Owns: [`NameSet`]. Never: reads a directory.

use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher as _;

/// Relative paths, all in one piece of memory: a million of them cost a million times their bytes and some fifteen more,
/// and no allocation each.
#[derive(Clone, Debug, Default)]
pub struct NameSet {
    /// Each name after its length.
    bytes: Vec<u8>,
    /// Where each begins.
    table: HashTable<usize>,
    hasher: DefaultHashBuilder,
    /// Bytes of names that were taken out.
    dead: usize,
}

const LENGTH: usize = size_of::<u32>();

fn name_at(bytes: &[u8], at: usize) -> &[u8] {
    let length = bytes.get(at..).and_then(|rest| rest.first_chunk::<LENGTH>()).map_or(0, |l| u32::from_le_bytes(*l));
    bytes.get(at + LENGTH..at + LENGTH + length as usize).unwrap_or_default()
}

impl NameSet {
    /// Whether it is in the set.
    pub fn contains(&self, name: &[u8]) -> bool {
        self.table.find(self.hasher.hash_one(name), |at| name_at(&self.bytes, *at) == name).is_some()
    }

    /// Puts it in; tells whether it was not there before.
    pub fn insert(&mut self, name: &[u8]) -> bool {
        let Self { bytes, table, hasher, .. } = self;
        let hash = hasher.hash_one(name);
        if table.find(hash, |at| name_at(bytes, *at) == name).is_some() {
            return false;
        }
        let at = bytes.len();
        bytes.extend_from_slice(&(name.len() as u32).to_le_bytes());
        bytes.extend_from_slice(name);
        table.insert_unique(hash, at, |at| hasher.hash_one(name_at(bytes, *at)));
        true
    }

    /// The others, and room for no more.
    #[must_use]
    pub fn without(&self, out: impl Fn(&[u8]) -> bool) -> Self {
        let mut others = Self::default();
        for at in &self.table {
            let name = name_at(&self.bytes, *at);
            if !out(name) {
                others.insert(name);
            }
        }
        others
    }

    /// Takes it out; tells whether it was there.
    pub fn remove(&mut self, name: &[u8]) -> bool {
        let bytes = &self.bytes;
        let Ok(found) = self.table.find_entry(self.hasher.hash_one(name), |at| name_at(bytes, *at) == name) else {
            return false;
        };
        found.remove();
        self.dead += LENGTH + name.len();
        if self.dead > 64 * 1024 && self.dead > self.bytes.len() / 2 {
            let old = std::mem::take(self);
            for at in &old.table {
                self.insert(name_at(&old.bytes, *at));
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn it_holds_what_a_set_of_the_library_holds() {
        let (mut ours, mut theirs) = (NameSet::default(), HashSet::new());
        let mut state = 7u64;
        for _ in 0..60_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let name = format!("{:x}_some_longer_name.lock", state >> 54).into_bytes();
            match state >> 20 & 3 {
                0 | 1 => assert_eq!(ours.insert(&name), theirs.insert(name)),
                2 => assert_eq!(ours.remove(&name), theirs.remove(&name)),
                _ => assert_eq!(ours.contains(&name), theirs.contains(&name)),
            }
        }
        assert!(theirs.iter().all(|name| ours.contains(name)) && ours.table.len() == theirs.len());
        assert!(ours.bytes.len() < 200_000, "what was taken out is not kept for ever: {}", ours.bytes.len());
    }
}
