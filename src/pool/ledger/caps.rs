//! How many idle connections are kept.
//!
//! A cap is passed for a moment: whatever comes home is let in, for a waiter may
//! want it, and the steward, who is told to look, takes out what is too much. So
//! there is one place where idle connections are closed.

use super::Ledger;
use crate::pool::{IdleId, Key, Pooled};

/// Idle connections at most, of all hosts and of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Caps {
    pub(crate) total: usize,
    pub(crate) per_host: usize,
}

impl<K: Key, C: Pooled> Ledger<K, C> {
    /// Whether there are more idle connections than are to be kept, as far as is
    /// known; a look finds out, and is due.
    pub(in crate::pool) fn is_crowded(&self) -> bool {
        self.crowded
    }

    /// A connection became idle at a host that has so many now.
    pub(super) fn note_crowd(&mut self, of_host: usize) {
        if let Some(caps) = self.caps {
            self.crowded |= self.idle > caps.total || of_host > caps.per_host;
        }
    }

    /// Takes out the idle connections that are too many, those that have been
    /// idle for longest first.
    pub(in crate::pool) fn surplus(&mut self) -> Vec<C> {
        let mut taken = Vec::new();
        self.crowded = false;
        let Some(caps) = self.caps else {
            return taken;
        };
        for entry in self.hosts.values_mut() {
            // They stand in order of age.
            let excess = entry.idle.len().saturating_sub(caps.per_host);
            taken.extend(entry.idle.drain(..excess).map(|idle| idle.conn));
        }
        self.idle -= taken.len();
        if let Some(newest) = self.newest_of_too_many(caps.total) {
            let before = taken.len();
            for entry in self.hosts.values_mut() {
                let old = entry.idle.partition_point(|idle| idle.id <= newest);
                taken.extend(entry.idle.drain(..old).map(|idle| idle.conn));
            }
            self.idle -= taken.len() - before;
        }
        self.hosts.retain(|_, entry| !entry.is_empty());
        taken
    }

    /// The newest of the oldest ones that are beyond `cap`.
    fn newest_of_too_many(&self, cap: usize) -> Option<IdleId> {
        let excess = self.idle.checked_sub(cap)?.checked_sub(1)?;
        let idle = self.hosts.values().flat_map(|entry| &entry.idle);
        let mut ids: Vec<IdleId> = idle.map(|idle| idle.id).collect();
        Some(*ids.select_nth_unstable(excess).1)
    }
}
