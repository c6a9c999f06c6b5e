//! What the ledger knows of one host: its slots in use, who waits for one, and
//! its idle connections.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::Instant;

use super::{IdleId, Key};
use crate::sync::this_thread;

/// How many of the newest are looked at for one that this thread has had.
const NEAR: usize = 8;

/// A connection in the idle set, or granted out of it.
pub(super) struct Idle<K, C> {
    pub(super) key: K,
    pub(super) conn: C,
    pub(super) id: IdleId,
    pub(super) expires: Instant,
    /// The thread that brought it home.
    pub(super) by: usize,
}

/// What counts for one host; gone when it is all empty.
pub(super) struct Host<K, C> {
    pub(super) in_use: usize,
    pub(super) waiters: VecDeque<Waiter<K>>,
    /// The number under which `fronts` lists this host.
    pub(super) listed: Option<u64>,
    /// The newest, which has the greatest id, is the last.
    pub(super) idle: Vec<Idle<K, C>>,
}

pub(super) struct Waiter<K> {
    pub(super) seq: u64,
    pub(super) key: K,
    pub(super) waker: Waker,
}

impl<K: Key, C> Host<K, C> {
    /// The newest idle connection of `key` that has not expired; among the few newest,
    /// one that this thread has had before, for its memory is near. Expired ones
    /// stay for the look: closing a connection takes more than dropping it,
    /// and is the steward's.
    pub(super) fn newest(&mut self, key: &K, clock: Option<Instant>) -> Option<Idle<K, C>> {
        let fits = |idle: &Idle<K, C>| idle.key == *key && !is_due(idle.expires, clock);
        let here = this_thread();
        let (mut at, mut newest) = (self.idle.len(), None);
        for idle in self.idle.iter().rev() {
            at -= 1;
            if fits(idle) {
                if idle.by == here {
                    return Some(self.idle.remove(at));
                }
                newest = newest.or(Some(at));
            }
            if newest.is_some() && self.idle.len() - at >= NEAR {
                break;
            }
        }
        newest.map(|at| self.idle.remove(at))
    }

    pub(super) fn take(&mut self, id: IdleId) -> Option<Idle<K, C>> {
        let at = self.idle.binary_search_by_key(&id, |idle| idle.id).ok()?;
        Some(self.idle.remove(at))
    }

    /// Nearly always the newest of all; not so a grant that was given back.
    pub(super) fn insert(&mut self, idle: Idle<K, C>) {
        let at = self.idle.partition_point(|other| other.id < idle.id);
        self.idle.insert(at, idle);
    }
}

impl<K, C> Host<K, C> {
    /// Where the waiter of this number stands.
    pub(super) fn place(&self, seq: u64) -> Option<usize> {
        self.waiters
            .binary_search_by_key(&seq, |waiter| waiter.seq)
            .ok()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.in_use == 0 && self.waiters.is_empty() && self.idle.is_empty()
    }
}

/// Whether a connection that expires at `expires` must not be used any more.
pub(super) fn is_due(expires: Instant, clock: Option<Instant>) -> bool {
    clock.is_some_and(|now| expires <= now)
}

impl<K, C> Default for Host<K, C> {
    fn default() -> Self {
        Self {
            in_use: 0,
            waiters: VecDeque::new(),
            listed: None,
            idle: Vec::new(),
        }
    }
}
