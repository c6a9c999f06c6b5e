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
//! A caller that blocks takes a [`Lease`] instead, which never queues; between two
//! of its calls the connection may lie *parked* (`leases.rs`).
//!
//! A *slot* is in use while a connection is dialed, lent, leased, parked, granted
//! under a ticket or probed; idle connections hold none (SPEC C3). The law, applied
//! whenever a slot comes free or a connection comes home, in that same critical
//! section: *while the total limit allows, the earliest waiter whose host is
//! below its own limit (SPEC C4) gets a slot, with the newest idle connection
//! of its very key, or else with a permit to dial.* Hence its corollary: a
//! waiter is left only where no slot is free for it, and so a checkout that
//! finds one overtakes nobody. `ledger.rs` holds the state and that law, `guards.rs`
//! and `leases.rs` the guards; this file locks, and wakes after it.
//!
//! Nothing foreign runs under the lock: wakers are woken and connections are
//! dropped after it. Each guard settles its own account when it is dropped, a
//! panic included.

mod few;
mod guards;
mod host;
mod leases;
mod ledger;
#[cfg(all(test, loom))]
mod loom;
#[cfg(all(test, not(loom)))]
mod model;
#[cfg(all(test, not(loom)))]
mod tests;

use std::fmt;
use std::hash::Hash;
// Not loom's `Arc`: only std's may be a method receiver. The mutex inside is
// what loom has to see.
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

pub(crate) use self::guards::{Lent, Permit, Ticket};
pub(crate) use self::leases::{Lease, Listing, Revocation, Revoked, Tell};
pub(crate) use self::ledger::Caps;
pub(crate) use self::ledger::Unwatched;
use self::ledger::{Aftermath, Found, Grant, Ledger, Lendable};
use crate::sync::{Mutex, lock};

/// What makes two connections interchangeable, and the host they count for.
pub(crate) trait Key: Clone + Eq + Hash {
    /// The unit of the limit per host: (host, port, TLS), SPEC C4.
    type Host: Clone + Eq + Hash;

    fn host(&self) -> &Self::Host;
}

/// What a pool keeps.
pub(crate) trait Pooled {
    /// A handle of its socket with which another thread can end what its driver
    /// waits for. It keeps the descriptor from being given to anybody else.
    type Socket: Clone;

    /// What a half-read response needs beside its connection.
    type Rest;

    fn socket(&self) -> Self::Socket;

    /// Whether the steward's poller would tell of it.
    fn is_watched(&self) -> bool;
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

/// Names what one caller drives, or has parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LeaseId(pub(crate) u64);

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
    /// Requests that were started once more.
    pub retried: u64,
}

/// The pool; shared as `Arc<Pool<K, C>>`.
pub(crate) struct Pool<K: Key, C: Pooled> {
    limits: Limits,
    caps: Option<Caps>,
    ledger: Mutex<Ledger<K, C>>,
}

/// What [`Pool::lend`] gives.
#[derive(Debug)]
pub(crate) enum Lending<K: Key, C: Pooled> {
    /// An idle connection, for the caller to drive.
    Taken(Lease<K, C>),
    /// None idle, but a slot.
    Dial(Permit<K, C>),
    /// No slot.
    Busy,
    Closed,
}

/// What a steward finds to do.
#[derive(Debug)]
pub(crate) struct Look<K: Key, C: Pooled> {
    /// Idle for too long (SPEC C1), or too many: to be closed.
    pub(crate) expired: Vec<C>,
    /// Parked for too long, or due: to be taken over.
    pub(crate) stale: Vec<(LeaseId, Lent<K, C>, C::Rest)>,
    /// Idle for a while, and watched by nobody.
    pub(crate) unwatched: Vec<Unwatched<K, C::Socket>>,
}

/// What was left of a pool that was closed.
#[derive(Debug)]
pub(crate) struct Remains<C: Pooled> {
    /// They were idle, or granted and not yet claimed.
    pub(crate) conns: Vec<C>,
    pub(crate) parked: Vec<(C, C::Rest)>,
    /// Of those somebody drives: shutting them wakes their drivers, who learn
    /// that they are to give up.
    pub(crate) driven: Vec<C::Socket>,
}

/// What [`Pool::checkout`] gives.
#[derive(Debug)]
pub(crate) enum Checkout<K: Key, C: Pooled> {
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
pub(crate) enum Claim<K: Key, C: Pooled> {
    Taken(Lent<K, C>),
    Dial(Permit<K, C>),
    /// Nothing yet.
    Waiting(Ticket<K, C>),
    Closed,
}

impl<K: Key, C: Pooled> Pool<K, C> {
    /// One that keeps any number of idle connections.
    #[cfg(test)]
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        Self::with_caps(limits, None)
    }

    pub(crate) fn with_caps(limits: Limits, caps: Option<Caps>) -> Arc<Self> {
        Arc::new(Self {
            limits,
            caps,
            ledger: Mutex::new(Ledger::new(limits, caps)),
        })
    }

    pub(crate) fn caps(&self) -> Option<Caps> {
        self.caps
    }

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
        self.settle(|ledger, _| {
            ledger.observe(now);
            match ledger.checkout(key, waker) {
                Found::Slot(grant) => {
                    // Made here, so that a panic in the aftermath frees it.
                    let permit = self.permit(key.clone());
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
                    place: Some(seq),
                }),
                Found::Closed => Checkout::Closed,
            }
        })
    }

    /// An idle connection of `key` for the caller to drive under the name `id`,
    /// else a permit to dial. It never queues, and overtakes nobody: whoever
    /// finds a slot free finds nobody waiting for it.
    pub(crate) fn lend(self: &Arc<Self>, key: &K, now: Instant, id: LeaseId) -> Lending<K, C> {
        let mut ledger = lock(&self.ledger);
        ledger.observe(now);
        match ledger.lend(key) {
            Lendable::Slot(Grant::Conn(idle)) => {
                ledger.count_reuse();
                ledger.leases.lend(id, idle.conn.socket());
                drop(ledger);
                let permit = self.permit(idle.key);
                let lent = Lent {
                    conn: idle.conn,
                    permit,
                };
                Lending::Taken(Lease::new(Listing::made(self, id), lent))
            }
            Lendable::Slot(Grant::Permit) => {
                drop(ledger);
                Lending::Dial(self.permit(key.clone()))
            }
            Lendable::Busy => Lending::Busy,
            Lendable::Closed => Lending::Closed,
        }
    }

    /// The steward's round, to be made at [`next_look`](Self::next_look).
    pub(crate) fn look(self: &Arc<Self>, now: Instant) -> Look<K, C> {
        let mut ledger = lock(&self.ledger);
        ledger.observe(now);
        let mut expired = ledger.expired();
        if ledger.is_crowded() {
            expired.extend(ledger.surplus());
        }
        let (mut stale, mut unwatched) = (Vec::new(), Vec::new());
        if ledger.is_look_due(now) {
            let sweeps = ledger.is_sweep_due(now);
            stale = ledger.leases.stale(now, sweeps);
            if sweeps {
                unwatched = ledger.unwatched(now);
            }
            ledger.schedule_look();
        }
        drop(ledger);
        Look {
            expired,
            stale: self.revive_all(stale),
            unwatched,
        }
    }

    /// When the steward has to look: an idle connection expires, or something
    /// came home or was parked that nobody watches.
    pub(crate) fn next_look(&self) -> Option<Instant> {
        lock(&self.ledger).next_look()
    }

    /// Takes one named connection out of the idle set, if it is still there,
    /// to probe it. It holds a slot meanwhile, above the limits if need be.
    pub(crate) fn take_idle(self: &Arc<Self>, key: &K, id: IdleId) -> Option<Lent<K, C>> {
        let conn = lock(&self.ledger).take_idle(key.host(), id)?;
        let permit = self.permit(key.clone());
        Some(Lent { conn, permit })
    }

    /// Takes out all idle connections.
    pub(crate) fn drain_idle(&self) -> Vec<C> {
        lock(&self.ledger).drain_idle()
    }

    /// Closes the pool (SPEC C7): checkouts and claims give `Closed`, waiters
    /// are woken, and a connection that is put back is dropped. Returns what it
    /// had, for whoever closes it to close. Idempotent.
    pub(crate) fn close(&self) -> Remains<C> {
        self.settle(|ledger, after| {
            let conns = ledger.close(after);
            let parked = ledger.leases.unpark_where(|_| true).into_iter();
            let parked = parked.map(|(_, parked)| {
                ledger.vacate(parked.key.host());
                (parked.conn, parked.rest)
            });
            let parked = parked.collect();
            Remains {
                conns,
                parked,
                driven: ledger.leases.revoke_all(Revoked::Closed),
            }
        })
    }

    /// For the books alone: a request is started that was sent before.
    pub(crate) fn count_retry(&self) {
        lock(&self.ledger).count_retry();
    }

    pub(crate) fn stats(&self) -> PoolStats {
        lock(&self.ledger).stats()
    }

    /// One critical section, and after it what must not happen inside: the
    /// wake-ups.
    fn settle<T>(&self, section: impl FnOnce(&mut Ledger<K, C>, &mut Aftermath) -> T) -> T {
        let mut after = Aftermath::default();
        let result = section(&mut lock(&self.ledger), &mut after);
        after.run();
        result
    }

    /// The guard for a slot the ledger has just counted.
    fn permit(self: &Arc<Self>, key: K) -> Permit<K, C> {
        Permit {
            pool: Arc::clone(self),
            key,
            holds: true,
        }
    }
}

impl<K: Key, C: Pooled> fmt::Debug for Pool<K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("limits", &self.limits)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
