//! The ledger of connections: who holds one, which are idle, who waits.
//!
//! The pool never names a connection and does no I/O; it keeps one mutex for
//! moments, and hands out guards by value:
//!
//! ```text
//!              checkout                 queued, then a waker and claim
//!            ┌────┴─────────────────┬──────────────────────────┐
//!            ▼                      ▼                          ▼
//!   Dial(Permit) ──adopt──► Taken(Lent) ◄──────claim────── Ticket
//!        │                   │        │                        │
//!        │ drop      discard │        │ put                    │ drop: a grant
//!        ▼                   ▼        ▼                        ▼ goes back
//!     slot free          slot free   idle (or under the next ticket)
//! ```
//!
//! A *slot* is in use while a connection is dialed, lent, granted under a
//! ticket or probed; idle connections hold none (SPEC C3). The law, applied
//! whenever a slot comes free or a connection comes home, in that same critical
//! section: *while the total limit allows, the earliest waiter whose host is
//! below its own limit (SPEC C4) gets a slot, with the newest idle connection
//! of its very key, or else with a permit to dial.* Hence its corollary: a
//! waiter is left only where no slot is free for it, and so a checkout that
//! finds one overtakes nobody. `ledger.rs` holds the state and that law; this
//! file locks, wakes, drops, and keeps the guards.
//!
//! Nothing foreign runs under the lock: wakers are woken and connections are
//! dropped after it. Each guard settles its own account when it is dropped, a
//! panic included.

mod ledger;
#[cfg(all(test, loom))]
mod loom;
#[cfg(all(test, not(loom)))]
mod model;
#[cfg(all(test, not(loom)))]
mod tests;

use std::fmt;
use std::hash::Hash;
use std::mem;
use std::ops::{Deref, DerefMut};
// Not loom's `Arc`: only std's may be a method receiver. The mutex inside is
// what loom has to see.
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use self::ledger::{Aftermath, Found, Grant, Ledger};
use crate::sync::{Mutex, lock};

/// What makes two connections interchangeable, and the host they count for.
pub(crate) trait Key: Clone + Eq + Hash {
    /// The unit of the limit per host: (host, port, TLS), SPEC C4.
    type Host: Clone + Eq + Hash;

    fn host(&self) -> Self::Host;
}

/// The settings of a pool (SPEC C3, C4).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Slots in use at most; 0 is unlimited.
    pub total: usize,
    /// Slots in use at most for one host; 0 is unlimited.
    pub per_host: usize,
}

/// One stay of a connection in the idle set; a later stay has a later id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct IdleId(u64);

/// A reading of the ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PoolStats {
    /// Slots in use: dialing, lent, granted and not yet claimed, probed.
    pub in_use: usize,
    pub idle: usize,
    /// Tickets that have not been granted anything.
    pub waiting: usize,
    /// Connections adopted since the start.
    pub opened: u64,
    /// How often a connection was handed out again.
    pub reused: u64,
}

/// The pool; shared as `Arc<Pool<K, C>>`.
pub(crate) struct Pool<K: Key, C> {
    limits: Limits,
    ledger: Mutex<Ledger<K, C>>,
}

/// What [`Pool::checkout`] gives.
#[derive(Debug)]
pub(crate) enum Checkout<K: Key, C> {
    /// An idle connection.
    Taken(Lent<K, C>),
    /// None idle, but a slot: dial.
    Dial(Permit<K, C>),
    /// No slot: the waker is woken when [`Ticket::claim`] has news.
    Queued(Ticket<K, C>),
    Closed,
}

/// What [`Ticket::claim`] gives.
#[derive(Debug)]
pub(crate) enum Claim<K: Key, C> {
    Taken(Lent<K, C>),
    Dial(Permit<K, C>),
    /// Nothing yet.
    Waiting(Ticket<K, C>),
    Closed,
}

impl<K: Key, C> Pool<K, C> {
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            ledger: Mutex::new(Ledger::new(limits)),
        })
    }

    /// The settings, for tests that check them against the books.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// A connection of `key`: an idle one, else a permit to dial, else a place
    /// in the queue (SPEC C8). Only then is `waker` called, under the lock.
    pub(crate) fn checkout(
        self: &Arc<Self>,
        key: &K,
        now: Instant,
        waker: impl FnOnce() -> Waker,
    ) -> Checkout<K, C> {
        let host = key.host();
        self.settle(|ledger, _| {
            ledger.observe(now);
            match ledger.checkout(key, &host, waker) {
                Found::Slot(grant) => {
                    // Made here, so that a panic in the aftermath frees it.
                    let permit = self.permit(key.clone(), host);
                    match grant {
                        Grant::Conn(idle) => {
                            ledger.count_reuse();
                            Checkout::Taken(Lent {
                                conn: idle.conn,
                                permit,
                            })
                        }
                        Grant::Permit => Checkout::Dial(permit),
                    }
                }
                Found::Queued(seq) => Checkout::Queued(Ticket {
                    pool: Arc::clone(self),
                    key: key.clone(),
                    host,
                    place: Some(seq),
                }),
                Found::Closed => Checkout::Closed,
            }
        })
    }

    /// Takes out what has been idle too long (SPEC C1), for the steward to
    /// close.
    pub(crate) fn sweep(&self, now: Instant) -> Vec<C> {
        let mut ledger = lock(&self.ledger);
        ledger.observe(now);
        ledger.expired()
    }

    /// When the next idle connection expires.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        lock(&self.ledger).next_expiry()
    }

    /// Takes one named connection out of the idle set, if it is still there,
    /// to probe it. It holds a slot meanwhile, above the limits if need be.
    pub(crate) fn take_idle(self: &Arc<Self>, key: &K, id: IdleId) -> Option<Lent<K, C>> {
        let host = key.host();
        let conn = lock(&self.ledger).take_idle(key, &host, id)?;
        let permit = self.permit(key.clone(), host);
        Some(Lent { conn, permit })
    }

    /// Takes out all idle connections.
    pub(crate) fn drain_idle(&self) -> Vec<C> {
        lock(&self.ledger).drain_idle()
    }

    /// Closes the pool (SPEC C7): checkouts and claims give `Closed`, waiters
    /// are woken, and a connection that is put back is dropped. Returns those
    /// that were idle or granted and not yet claimed. Idempotent.
    pub(crate) fn close(&self) -> Vec<C> {
        self.settle(Ledger::close)
    }

    pub(crate) fn stats(&self) -> PoolStats {
        lock(&self.ledger).stats()
    }

    /// One critical section, and after it what must not happen inside: first
    /// the wake-ups (contained), then the drops (which may panic).
    fn settle<T>(&self, section: impl FnOnce(&mut Ledger<K, C>, &mut Aftermath<C>) -> T) -> T {
        let mut after = Aftermath::default();
        let result = section(&mut lock(&self.ledger), &mut after);
        after.run();
        result
    }

    /// The guard for a slot the ledger has just counted.
    fn permit(self: &Arc<Self>, key: K, host: K::Host) -> Permit<K, C> {
        Permit {
            pool: Arc::clone(self),
            key,
            host,
            holds: true,
        }
    }
}

impl<K: Key, C> fmt::Debug for Pool<K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("limits", &self.limits)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// A slot without a connection: the right to dial one. Dropped, it serves the
/// next waiter.
pub(crate) struct Permit<K: Key, C> {
    pool: Arc<Pool<K, C>>,
    key: K,
    host: K::Host,
    /// Cleared by `put`, which frees the slot in the same critical section in
    /// which the connection comes home.
    holds: bool,
}

impl<K: Key, C> Permit<K, C> {
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

impl<K: Key, C> Drop for Permit<K, C> {
    fn drop(&mut self) {
        if mem::take(&mut self.holds) {
            self.pool
                .settle(|ledger, after| ledger.release(&self.host, after));
        }
    }
}

impl<K: Key, C> fmt::Debug for Permit<K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}

/// A connection in use. Dropped, it is closed and its slot serves the next
/// waiter.
pub(crate) struct Lent<K: Key, C> {
    // Dropped in this order, and the second even if the first panics: a slot
    // is free only once its socket is closed.
    conn: C,
    permit: Permit<K, C>,
}

impl<K: Key, C> Lent<K, C> {
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
        let pool = Arc::clone(&permit.pool);
        let refused = pool.settle(|ledger, after| {
            let refused = ledger.put(&permit.key, conn, id, expires);
            if refused.is_none() {
                permit.holds = false;
                ledger.release(&permit.host, after);
            }
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

    /// Closes a dead connection and keeps its slot, to dial again.
    pub(crate) fn into_permit(self) -> Permit<K, C> {
        let Self { conn, permit } = self;
        drop(conn);
        permit
    }
}

impl<K: Key, C> Deref for Lent<K, C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.conn
    }
}

impl<K: Key, C> DerefMut for Lent<K, C> {
    fn deref_mut(&mut self) -> &mut C {
        &mut self.conn
    }
}

impl<K: Key, C: fmt::Debug> fmt::Debug for Lent<K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lent").field(&self.conn).finish()
    }
}

/// A place in the queue. Dropped, it is given up: what was granted under it
/// goes back, or to the next waiter, so that a timeout that crosses a grant
/// loses nothing.
pub(crate) struct Ticket<K: Key, C> {
    pool: Arc<Pool<K, C>>,
    key: K,
    host: K::Host,
    /// The number in the queue; `None` once a claim has settled it.
    place: Option<u64>,
}

impl<K: Key, C> Ticket<K, C> {
    /// What has been granted under this ticket so far.
    pub(crate) fn claim(mut self) -> Claim<K, C> {
        let Some(seq) = self.place else {
            return Claim::Closed;
        };
        let mut ledger = lock(&self.pool.ledger);
        let Some(grant) = ledger.claim(seq) else {
            let waits = ledger.waits(&self.host, seq);
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
        let permit = self.pool.permit(self.key.clone(), self.host.clone());
        match grant {
            Grant::Conn(idle) => Claim::Taken(Lent {
                conn: idle.conn,
                permit,
            }),
            Grant::Permit => Claim::Dial(permit),
        }
    }
}

impl<K: Key, C> Drop for Ticket<K, C> {
    fn drop(&mut self) {
        if let Some(seq) = self.place.take() {
            let spent = self
                .pool
                .settle(|ledger, after| ledger.abandon(&self.key, &self.host, seq, after));
            drop(spent);
        }
    }
}

impl<K: Key, C> fmt::Debug for Ticket<K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}
