//! What the steward looks at, and when: a look is due when something is, and about once
//! a second, while there is anything to find, it is a sweep of all that lies there.

use std::mem;
use std::time::{Duration, Instant};

use super::{Ledger, earliest};
use crate::pool::host::is_due;
use crate::pool::{IdleId, Key, Pooled};

/// How long after a connection came home unwatched the steward looks at it.
const LOOK: Duration = Duration::from_secs(1);

/// An idle connection nobody has touched since the last look, and no poller
/// watches.
#[derive(Debug)]
pub(crate) struct Unwatched<K, S> {
    pub(crate) key: K,
    pub(crate) id: IdleId,
    pub(crate) expires: Instant,
    pub(crate) socket: S,
}

impl<K: Key, C: Pooled> Ledger<K, C> {
    /// Takes out the idle connections whose time is up.
    pub(in crate::pool) fn expired(&mut self) -> Vec<C> {
        let clock = self.clock;
        let mut dead = Vec::new();
        if !self.next_expiry.is_some_and(|at| is_due(at, clock)) {
            return dead;
        }
        let mut next = None;
        self.hosts.retain(|_, entry| {
            dead.extend(
                entry
                    .idle
                    .extract_if(.., |idle| is_due(idle.expires, clock))
                    .map(|idle| idle.conn),
            );
            next = earliest(next, entry.idle.iter().map(|idle| idle.expires).min());
            !entry.is_empty()
        });
        self.idle -= dead.len();
        self.next_expiry = next;
        dead
    }

    /// Whether the steward has to be told to look earlier than it would.
    fn look_by(&mut self, at: Instant) -> bool {
        let sooner = self.look_at.is_none_or(|due| at < due);
        if sooner {
            self.look_at = Some(at);
        }
        sooner
    }

    /// The same for something that has come home just now and stays until
    /// `end`, if that is known.
    pub(in crate::pool) fn look_after(&mut self, now: Instant, end: Option<Instant>) -> bool {
        let sweep = *self.sweep_at.get_or_insert(now + LOOK);
        self.look_by(end.map_or(sweep, |end| end.min(sweep)))
    }

    pub(in crate::pool) fn next_look(&self) -> Option<Instant> {
        if self.crowded {
            return self.clock;
        }
        let expiry = self.next_expiry.filter(|_| self.idle > 0);
        earliest(expiry, self.look_at)
    }

    pub(in crate::pool) fn is_look_due(&self, now: Instant) -> bool {
        self.look_at.is_some_and(|at| at <= now)
    }

    pub(in crate::pool) fn is_sweep_due(&self, now: Instant) -> bool {
        self.sweep_at.is_some_and(|at| at <= now)
    }

    /// After a look, with or without a sweep: when the next one is due.
    pub(in crate::pool) fn schedule_look(&mut self) {
        self.look_at = earliest(self.leases.next_deadline(), self.sweep_at);
    }

    /// What has lain unwatched since the last sweep. The next one is due while
    /// there is anything younger, or parked.
    pub(in crate::pool) fn unwatched(&mut self, now: Instant) -> Vec<Unwatched<K, C::Socket>> {
        let looked = mem::replace(&mut self.looked, self.serial);
        let mut found = Vec::new();
        let mut young = false;
        for entry in self.hosts.values() {
            for idle in entry.idle.iter().filter(|idle| !idle.conn.is_watched()) {
                if idle.id.0 > looked {
                    young = true;
                    continue;
                }
                found.push(Unwatched {
                    key: idle.key.clone(),
                    id: idle.id,
                    expires: idle.expires,
                    socket: idle.conn.socket(),
                });
            }
        }
        self.sweep_at = (young || self.leases.has_parked()).then(|| now + LOOK);
        found
    }
}
