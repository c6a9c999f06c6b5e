//! A map for what is mostly few: the first entries stand in a row, where
//! finding one takes a comparison or two and no hash.

use std::collections::HashMap;

use super::LeaseId;
use crate::hash::Cheaply;

/// How many stand in the row. Beyond this a search would cost what a hash does.
const NEAR: usize = 8;

pub(super) struct Few<V> {
    near: Vec<(LeaseId, V)>,
    /// What found no place in the row.
    far: HashMap<LeaseId, V, Cheaply>,
}

impl<V> Few<V> {
    /// Gives what stood there before.
    pub(super) fn insert(&mut self, id: LeaseId, value: V) -> Option<V> {
        if let Some(old) = self.get_mut(id) {
            return Some(std::mem::replace(old, value));
        }
        if self.near.len() < NEAR {
            self.near.push((id, value));
        } else {
            self.far.insert(id, value);
        }
        None
    }

    pub(super) fn remove(&mut self, id: LeaseId) -> Option<V> {
        match self.place(id) {
            Some(at) => Some(self.near.swap_remove(at).1),
            None if self.far.is_empty() => None,
            None => self.far.remove(&id),
        }
    }

    pub(super) fn get(&self, id: LeaseId) -> Option<&V> {
        match self.place(id) {
            Some(at) => self.near.get(at).map(|(_, value)| value),
            None if self.far.is_empty() => None,
            None => self.far.get(&id),
        }
    }

    pub(super) fn get_mut(&mut self, id: LeaseId) -> Option<&mut V> {
        match self.place(id) {
            Some(at) => self.near.get_mut(at).map(|(_, value)| value),
            None if self.far.is_empty() => None,
            None => self.far.get_mut(&id),
        }
    }

    /// The newest are asked for most, and stand last.
    fn place(&self, id: LeaseId) -> Option<usize> {
        self.near.iter().rposition(|(other, _)| *other == id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (LeaseId, &V)> {
        let near = self.near.iter().map(|(id, value)| (*id, value));
        near.chain(self.far.iter().map(|(id, value)| (*id, value)))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (LeaseId, &mut V)> {
        let near = self.near.iter_mut().map(|(id, value)| (*id, value));
        near.chain(self.far.iter_mut().map(|(id, value)| (*id, value)))
    }

    #[cfg(all(test, not(loom)))]
    pub(super) fn is_empty(&self) -> bool {
        self.near.is_empty() && self.far.is_empty()
    }
}

impl<V> Default for Few<V> {
    fn default() -> Self {
        Self {
            near: Vec::new(),
            far: HashMap::default(),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// A walk by chance beside an ordinary map.
    #[test]
    fn it_does_what_a_map_does() {
        let mut few = Few::default();
        let mut map = HashMap::new();
        let mut seed = 7_u64;
        let mut longest = 0;
        for step in 0..20_000_u64 {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1);
            let id = LeaseId((seed >> 33) % 24);
            // In turns it grows and shrinks.
            let grows = (step / 200) % 2 == 0;
            match (seed >> 20) % 4 {
                0 => assert_eq!(few.get(id), map.get(&id)),
                1 if grows => assert_eq!(few.insert(id, step), map.insert(id, step)),
                2 if !grows => assert_eq!(few.remove(id), map.remove(&id)),
                _ => assert_eq!(few.get_mut(id), map.get_mut(&id)),
            }
            longest = longest.max(map.len());
            let mut all: Vec<_> = few.iter().map(|(id, value)| (id.0, *value)).collect();
            let mut want: Vec<_> = map.iter().map(|(id, value)| (id.0, *value)).collect();
            all.sort_unstable();
            want.sort_unstable();
            assert_eq!(all, want);
            assert_eq!(few.iter_mut().count(), want.len());
            assert_eq!(few.is_empty(), want.is_empty());
        }
        assert!(longest > NEAR, "the row never overflowed");
    }
}
