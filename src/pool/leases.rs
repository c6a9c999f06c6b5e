//! Who drives a leased connection, or where it lies parked.
//!
//! ```text
//!            lend, list                 resume
//!   (none) ────────────► Lent ◄───────────────────── Parked
//!      ▲                  │ │          park             │
//!      └── put, discard ──┘ └───────────────────────────┘
//!      ▲                                                │
//!      └──────────── unpark, revoke (the steward) ──────┘
//! ```
//!
//! A blocked caller's thread drives a connection by itself for as long as one
//! call takes; between two calls of a half-read response it lies *parked*, and
//! whoever takes it out is its next driver: the caller again, or the steward
//! for good. Taking out is one critical section, so there is one winner.
//!
//! To end what another thread waits for, its entry is marked first, and then
//! its socket is shut, after the lock. The driver looks at the mark in the
//! section in which it gives the connection back, so a connection that was
//! meant is never used again, and a shut socket is never the next exchange's:
//! the entry's handle keeps the descriptor from being given to anybody else.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::time::Instant;

use super::few::Few;
use super::guards::{Lent, Permit};
use super::{IdleId, Key, LeaseId, Pool, Pooled};
use crate::sync::lock;

/// Why a lease was taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Revoked {
    Cancelled,
    /// The pool was closed.
    Closed,
}

/// What the steward must be told after a connection was given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tell {
    Nothing,
    /// To look earlier than it would.
    Look,
    /// To take over what was parked: somebody waits for its slot.
    TakeOver,
}

/// The entries of all leases; part of the ledger.
pub(super) struct Leases<K, C: Pooled> {
    entries: Few<Entry<K, C>>,
    parked: usize,
}

enum Entry<K, C: Pooled> {
    Lent {
        socket: C::Socket,
        revoked: Option<Revoked>,
    },
    Parked(Parked<K, C>),
}

/// A connection in the middle of a response, between two calls. It holds a slot.
pub(super) struct Parked<K, C: Pooled> {
    pub(super) key: K,
    pub(super) conn: C,
    pub(super) rest: C::Rest,
    deadline: Option<Instant>,
    /// The steward has seen it here once.
    seen: bool,
}

/// What became of an attempt to end a lease.
#[derive(Debug)]
pub(crate) enum Revocation<K: Key, C: Pooled> {
    /// It was parked, and is the steward's now.
    Parked(Lent<K, C>, C::Rest),
    /// It is driven; shutting the socket wakes its driver.
    Lent(C::Socket),
    /// There is none.
    Unknown,
}

impl<K, C: Pooled> Leases<K, C> {
    pub(super) fn lend(&mut self, id: LeaseId, socket: C::Socket) {
        let entry = Entry::Lent {
            socket,
            revoked: None,
        };
        let before = self.entries.insert(id, entry);
        debug_assert!(before.is_none(), "a lease was given twice");
    }

    /// Ends a lease; its socket's handle is left to drop.
    fn end(&mut self, id: LeaseId) -> (Option<C::Socket>, Option<Revoked>) {
        match self.entries.remove(id) {
            Some(Entry::Lent { socket, revoked }) => (Some(socket), revoked),
            Some(parked @ Entry::Parked(_)) => {
                debug_assert!(false, "what is parked has no driver");
                self.entries.insert(id, parked);
                (None, None)
            }
            None => (None, None),
        }
    }

    fn park(&mut self, id: LeaseId, parked: Parked<K, C>) {
        self.parked += 1;
        self.entries.insert(id, Entry::Parked(parked));
    }

    pub(super) fn unpark(&mut self, id: LeaseId) -> Option<Parked<K, C>> {
        if !matches!(self.entries.get(id), Some(Entry::Parked(_))) {
            return None;
        }
        match self.entries.remove(id) {
            Some(Entry::Parked(parked)) => {
                self.parked -= 1;
                Some(parked)
            }
            _ => None,
        }
    }

    /// Takes out everything parked for which `wanted` says so.
    pub(super) fn unpark_where(
        &mut self,
        mut wanted: impl FnMut(&mut Parked<K, C>) -> bool,
    ) -> Vec<(LeaseId, Parked<K, C>)> {
        if self.parked == 0 {
            return Vec::new();
        }
        let ids: Vec<_> = self
            .entries
            .iter_mut()
            .filter_map(|(id, entry)| match entry {
                Entry::Parked(parked) => wanted(parked).then_some(id),
                Entry::Lent { .. } => None,
            })
            .collect();
        ids.into_iter()
            .filter_map(|id| Some((id, self.unpark(id)?)))
            .collect()
    }

    /// What is due, and in a sweep what has lain untouched since the one before.
    pub(super) fn stale(&mut self, now: Instant, sweeps: bool) -> Vec<(LeaseId, Parked<K, C>)> {
        self.unpark_where(|parked| {
            let has_lain = sweeps && mem::replace(&mut parked.seen, true);
            has_lain || parked.deadline.is_some_and(|at| at <= now)
        })
    }

    /// Marks every driven lease and gives the sockets to shut.
    pub(super) fn revoke_all(&mut self, why: Revoked) -> Vec<C::Socket> {
        self.entries
            .iter_mut()
            .filter_map(|(_, entry)| match entry {
                Entry::Lent { socket, revoked } => {
                    revoked.get_or_insert(why);
                    Some(socket.clone())
                }
                Entry::Parked(_) => None,
            })
            .collect()
    }

    pub(super) fn has_parked(&self) -> bool {
        self.parked > 0
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        if self.parked == 0 {
            return None;
        }
        self.entries
            .iter()
            .filter_map(|(_, entry)| match entry {
                Entry::Parked(parked) => parked.deadline,
                Entry::Lent { .. } => None,
            })
            .min()
    }

    /// Which are driven, and which are parked.
    #[cfg(all(test, not(loom)))]
    pub(super) fn survey(&self) -> (Vec<LeaseId>, Vec<LeaseId>) {
        let (lent, parked): (Vec<_>, Vec<_>) = self
            .entries
            .iter()
            .partition(|(_, entry)| matches!(entry, Entry::Lent { .. }));
        let ids = |entries: Vec<(LeaseId, _)>| entries.into_iter().map(|(id, _)| id).collect();
        (ids(lent), ids(parked))
    }

    #[cfg(all(test, not(loom)))]
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.parked == 0
    }
}

impl<K, C: Pooled> Default for Leases<K, C> {
    fn default() -> Self {
        Self {
            entries: Few::default(),
            parked: 0,
        }
    }
}

/// The right to be found and woken under a lease's name, while its connection
/// is being driven or opened. Dropped, the name is free again.
pub(crate) struct Listing<K: Key, C: Pooled> {
    pool: Arc<Pool<K, C>>,
    id: LeaseId,
    listed: bool,
}

impl<K: Key, C: Pooled> Listing<K, C> {
    /// For an entry that was made under the lock.
    pub(super) fn made(pool: &Arc<Pool<K, C>>, id: LeaseId) -> Self {
        Self {
            pool: Arc::clone(pool),
            id,
            listed: true,
        }
    }

    /// Gives the name up, and says whether the lease was taken away meanwhile.
    pub(crate) fn end(mut self) -> Option<Revoked> {
        self.unlist()
    }

    fn unlist(&mut self) -> Option<Revoked> {
        if !mem::take(&mut self.listed) {
            return None;
        }
        let (socket, revoked) = lock(&self.pool.ledger).leases.end(self.id);
        drop(socket);
        revoked
    }
}

impl<K: Key, C: Pooled> Drop for Listing<K, C> {
    fn drop(&mut self) {
        self.unlist();
    }
}

/// A connection that a blocked caller drives. Dropped, it is closed, its name
/// is free and its slot serves the next waiter: a panic on the way loses
/// nothing.
pub(crate) struct Lease<K: Key, C: Pooled> {
    // Dropped in this order: the entry's handle of the socket goes first, so
    // that dropping the connection closes it, and then its slot is free.
    listing: Listing<K, C>,
    lent: Lent<K, C>,
}

impl<K: Key, C: Pooled> Lease<K, C> {
    pub(crate) fn new(listing: Listing<K, C>, lent: Lent<K, C>) -> Self {
        Self { listing, lent }
    }

    /// Whether it was taken away, and why.
    pub(crate) fn revoked(&self) -> Option<Revoked> {
        let ledger = lock(&self.listing.pool.ledger);
        match ledger.leases.entries.get(self.listing.id) {
            Some(Entry::Lent { revoked, .. }) => *revoked,
            _ => None,
        }
    }

    /// Closes the connection, and says whether the lease was taken away.
    pub(crate) fn discard(self) -> Option<Revoked> {
        let Self { listing, lent } = self;
        let revoked = listing.end();
        lent.discard();
        revoked
    }

    /// Takes the connection out of the pool's hands and frees its slot. One that
    /// was taken away is closed.
    pub(crate) fn detach(self) -> Option<C> {
        let Self { listing, lent } = self;
        match listing.end() {
            None => Some(lent.detach()),
            Some(_) => {
                lent.discard();
                None
            }
        }
    }

    /// Goes on to whoever is found by other means; its slot with it.
    ///
    /// # Errors
    /// It was taken away, and is closed.
    #[cfg(feature = "websocket")]
    pub(crate) fn into_lent(self) -> Result<Lent<K, C>, Revoked> {
        let Self { listing, lent } = self;
        match listing.end() {
            None => Ok(lent),
            Some(revoked) => {
                lent.discard();
                Err(revoked)
            }
        }
    }

    /// Brings the connection home, as [`Lent::put`] does. One that was taken
    /// away is closed.
    pub(crate) fn put(self, expires: Instant, now: Instant) -> Tell {
        let Self {
            mut listing,
            lent: Lent { conn, mut permit },
        } = self;
        let Permit { pool, key, holds } = &mut permit;
        let (refused, socket, tell) = pool.settle(|ledger, after| {
            ledger.observe(now);
            listing.listed = false;
            let (socket, revoked) = ledger.leases.end(listing.id);
            if revoked.is_some() {
                return (Some(conn), socket, Tell::Nothing);
            }
            let watched = conn.is_watched();
            let refused = ledger.put(key.clone(), conn, |_, _| (), expires, after);
            *holds = refused.is_some();
            let looks = refused.is_none() && !watched && ledger.look_after(now, Some(expires));
            let looks = looks || ledger.is_crowded();
            (
                refused,
                socket,
                if looks { Tell::Look } else { Tell::Nothing },
            )
        });
        // The handle, then the connection, then its slot.
        drop(socket);
        drop(refused);
        drop(permit);
        tell
    }

    /// Leaves the connection in the ledger between two calls, under the name
    /// `id`, where [`Pool::resume`] finds it. `deadline` is when somebody has
    /// to look after it.
    ///
    /// # Errors
    /// The lease was taken away: the connection is closed, and `rest` is back.
    pub(crate) fn park(
        self,
        id: LeaseId,
        rest: C::Rest,
        deadline: Option<Instant>,
        now: Instant,
    ) -> Result<Tell, (Revoked, C::Rest)> {
        let Self {
            mut listing,
            lent: Lent { conn, mut permit },
        } = self;
        let key = permit.key.clone();
        let mut ledger = lock(&permit.pool.ledger);
        listing.listed = false;
        let (socket, revoked) = ledger.leases.end(listing.id);
        let revoked = revoked.or(ledger.closed.then_some(Revoked::Closed));
        if let Some(revoked) = revoked {
            drop(ledger);
            drop(socket);
            drop(conn);
            return Err((revoked, rest));
        }
        let parked = Parked {
            key,
            conn,
            rest,
            deadline,
            seen: false,
        };
        ledger.leases.park(id, parked);
        let look = ledger.look_after(now, deadline);
        // Somebody waits, perhaps for this slot: it is not left to lie.
        let tell = match (ledger.has_waiters(), look) {
            (true, _) => Tell::TakeOver,
            (false, true) => Tell::Look,
            (false, false) => Tell::Nothing,
        };
        drop(ledger);
        // The parked entry has it now.
        permit.holds = false;
        drop(socket);
        Ok(tell)
    }
}

impl<K: Key, C: Pooled> fmt::Debug for Listing<K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Listing").field(&self.id).finish()
    }
}

impl<K: Key, C: Pooled + fmt::Debug> fmt::Debug for Lease<K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lease").field(&self.lent).finish()
    }
}

impl<K: Key, C: Pooled> std::ops::Deref for Lease<K, C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.lent
    }
}

impl<K: Key, C: Pooled> std::ops::DerefMut for Lease<K, C> {
    fn deref_mut(&mut self) -> &mut C {
        &mut self.lent
    }
}

impl<K: Key, C: Pooled> Pool<K, C> {
    /// Names an opening connection, so that closing the pool reaches whoever
    /// opens it. `None`: it is closed.
    pub(crate) fn list(self: &Arc<Self>, id: LeaseId, socket: C::Socket) -> Option<Listing<K, C>> {
        let mut ledger = lock(&self.ledger);
        if ledger.closed {
            return None;
        }
        ledger.leases.lend(id, socket);
        drop(ledger);
        Some(Listing::made(self, id))
    }

    /// Takes a parked connection to drive it. `None`: it is somebody else's by
    /// now, or was never parked.
    pub(crate) fn resume(self: &Arc<Self>, id: LeaseId) -> Option<(Lease<K, C>, C::Rest)> {
        let mut ledger = lock(&self.ledger);
        let parked = ledger.leases.unpark(id)?;
        ledger.leases.lend(id, parked.conn.socket());
        drop(ledger);
        let (lent, rest) = self.revive(parked);
        Some((Lease::new(Listing::made(self, id), lent), rest))
    }

    /// Takes a parked connection for good.
    pub(crate) fn unpark(self: &Arc<Self>, id: LeaseId) -> Option<(Lent<K, C>, C::Rest)> {
        let parked = lock(&self.ledger).leases.unpark(id)?;
        Some(self.revive(parked))
    }

    /// Takes all parked connections for good: somebody waits for a slot.
    pub(crate) fn unpark_all(self: &Arc<Self>) -> Vec<(LeaseId, Lent<K, C>, C::Rest)> {
        let parked = lock(&self.ledger).leases.unpark_where(|_| true);
        self.revive_all(parked)
    }

    /// Ends a lease, whoever has it. A driver finds out when it gives the
    /// connection back, and is woken by shutting the socket.
    pub(crate) fn revoke(self: &Arc<Self>, id: LeaseId) -> Revocation<K, C> {
        let mut ledger = lock(&self.ledger);
        let parked = match ledger.leases.entries.get_mut(id) {
            None => return Revocation::Unknown,
            Some(Entry::Lent { socket, revoked }) => {
                revoked.get_or_insert(Revoked::Cancelled);
                return Revocation::Lent(socket.clone());
            }
            Some(Entry::Parked(_)) => ledger.leases.unpark(id),
        };
        drop(ledger);
        match parked {
            Some(parked) => {
                let (lent, rest) = self.revive(parked);
                Revocation::Parked(lent, rest)
            }
            None => Revocation::Unknown,
        }
    }

    /// Lets `change` have a named idle connection, if it still lies there; it
    /// runs under the lock and must be trivial.
    pub(crate) fn with_idle(&self, key: &K, id: IdleId, change: impl FnOnce(&mut C)) -> bool {
        let mut ledger = lock(&self.ledger);
        let found = ledger.idle_mut(key.host(), id);
        found.map(change).is_some()
    }

    pub(super) fn revive_all(
        self: &Arc<Self>,
        parked: Vec<(LeaseId, Parked<K, C>)>,
    ) -> Vec<(LeaseId, Lent<K, C>, C::Rest)> {
        // Guards first, all of them: a panic in between must not lose a slot.
        let revived = parked.into_iter().map(|(id, parked)| {
            let (lent, rest) = self.revive(parked);
            (id, lent, rest)
        });
        revived.collect()
    }

    /// The guards of what was parked, which holds its slot all the while.
    fn revive(self: &Arc<Self>, parked: Parked<K, C>) -> (Lent<K, C>, C::Rest) {
        let Parked {
            key, conn, rest, ..
        } = parked;
        let permit = self.permit(key);
        (Lent { conn, permit }, rest)
    }
}
