//! The guards that a pool hands out by value. Each settles its own account when
//! it is dropped, a panic included.

use std::fmt;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Instant;

use super::ledger::Grant;
use super::{Claim, IdleId, Key, Pool, Pooled};
use crate::sync::lock;

/// A slot without a connection: the right to dial one. Dropped, it serves the
/// next waiter.
pub(crate) struct Permit<K: Key, C: Pooled> {
    pub(super) pool: Arc<Pool<K, C>>,
    pub(super) key: K,
    /// Cleared by `put`, which frees the slot in the same critical section in
    /// which the connection comes home.
    pub(super) holds: bool,
}

impl<K: Key, C: Pooled> Permit<K, C> {
    #[cfg(all(test, not(loom)))]
    pub(crate) fn key(&self) -> &K {
        &self.key
    }

    /// Enters the newly dialed connection.
    pub(crate) fn adopt(self, conn: C) -> Lent<K, C> {
        lock(&self.pool.ledger).count_opened();
        Lent { conn, permit: self }
    }
}

impl<K: Key, C: Pooled> Drop for Permit<K, C> {
    fn drop(&mut self) {
        if mem::take(&mut self.holds) {
            self.pool
                .settle(|ledger, after| ledger.release(self.key.host(), after));
        }
    }
}

impl<K: Key, C: Pooled> fmt::Debug for Permit<K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}

/// A connection in use. Dropped, it is closed and its slot serves the next
/// waiter.
pub(crate) struct Lent<K: Key, C: Pooled> {
    // Dropped in this order, and the second even if the first panics: a slot
    // is free only once its socket is closed.
    pub(super) conn: C,
    pub(super) permit: Permit<K, C>,
}

impl<K: Key, C: Pooled> Lent<K, C> {
    pub(crate) fn key(&self) -> &K {
        &self.permit.key
    }

    /// Brings the connection home: idle until `expires`, or straight under the
    /// ticket of the next eligible waiter of its key. `id` notes this stay's
    /// name in the connection, so that an event on it finds it
    /// ([`Pool::take_idle`]); it runs under the lock and must be trivial. A
    /// closed pool drops the connection.
    pub(crate) fn put(self, id: impl FnOnce(IdleId, &mut C), expires: Instant) {
        let Self { conn, mut permit } = self;
        let Permit { pool, key, holds } = &mut permit;
        let refused = pool.settle(|ledger, after| {
            let refused = ledger.put(key.clone(), conn, id, expires, after);
            *holds = refused.is_some();
            refused
        });
        // Closed: the connection first, then its slot.
        drop(refused);
        drop(permit);
    }

    /// Closes the connection, then frees its slot. The same as dropping it.
    pub(crate) fn discard(self) {
        drop(self);
    }

    /// Takes the connection out of the pool's hands and frees its slot.
    pub(crate) fn detach(self) -> C {
        let Self { conn, permit } = self;
        drop(permit);
        conn
    }

    /// Closes a dead connection and keeps its slot, to dial again.
    pub(crate) fn into_permit(self) -> Permit<K, C> {
        let Self { conn, permit } = self;
        drop(conn);
        permit
    }
}

impl<K: Key, C: Pooled> Deref for Lent<K, C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.conn
    }
}

impl<K: Key, C: Pooled> DerefMut for Lent<K, C> {
    fn deref_mut(&mut self) -> &mut C {
        &mut self.conn
    }
}

impl<K: Key, C: Pooled + fmt::Debug> fmt::Debug for Lent<K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lent").field(&self.conn).finish()
    }
}

/// A place in the queue. Dropped, it is given up: what was granted under it
/// goes back, or to the next waiter, so that a timeout that crosses a grant
/// loses nothing.
pub(crate) struct Ticket<K: Key, C: Pooled> {
    pub(super) pool: Arc<Pool<K, C>>,
    pub(super) key: K,
    /// The number in the queue; `None` once a claim has settled it.
    pub(super) place: Option<u64>,
}

impl<K: Key, C: Pooled> Ticket<K, C> {
    /// What has been granted under this ticket so far.
    pub(crate) fn claim(mut self) -> Claim<K, C> {
        let Some(seq) = self.place else {
            return Claim::Closed;
        };
        let mut ledger = lock(&self.pool.ledger);
        let Some(grant) = ledger.claim(seq) else {
            let waits = ledger.waits(self.key.host(), seq);
            drop(ledger);
            // Neither granted nor queued: the pool was closed meanwhile.
            return if waits {
                Claim::Waiting(self)
            } else {
                Claim::Closed
            };
        };
        drop(ledger);
        self.place = None;
        let permit = self.pool.permit(self.key.clone());
        match grant {
            Grant::Conn(idle) => Claim::Taken(Lent {
                conn: idle.conn,
                permit,
            }),
            Grant::Permit => Claim::Dial(permit),
        }
    }
}

impl<K: Key, C: Pooled> Drop for Ticket<K, C> {
    fn drop(&mut self) {
        if let Some(seq) = self.place.take() {
            let spent = self
                .pool
                .settle(|ledger, after| ledger.abandon(self.key.host(), seq, after));
            drop(spent);
        }
    }
}

impl<K: Key, C: Pooled> fmt::Debug for Ticket<K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}
