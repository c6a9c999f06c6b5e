//! What is known about names, and who waits to know it.
//!
//! Two tables. `entries` are results, kept for a time and evicted least
//! recently used first. `flights` are lookups under way, each with its
//! waiters; `joinable` finds the flight that a new waiter for the same key may
//! join, so that at most one lookup per key is started (SPEC C22).
//!
//! ```text
//!  lookup ─► entry fresh? ─ yes ─► Hit, the list then rotates
//!               │ no
//!               ▼
//!            flight under way? ─ yes ─► Joined ─┐
//!               │ no                            ├─► complete: all waiters,
//!               ▼                               │   in the order they came
//!             Start ─► (the caller's resolver) ─┘
//! ```
//!
//! A flight belongs to no waiter: one that gives up leaves it, and the result
//! is kept for the next. Failures are never kept.
//!
//! Pure: owned by one thread, the time passed in. Every operation costs at
//! most a logarithm of what is stored, plus what it returns.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{DnsFault, IpFamily, distinct};

/// Flights that nobody waits for any more and that have not landed. Beyond
/// this the oldest are forgotten: their resolver may never answer.
const MAX_DESERTED: usize = 1024;

/// A lookup that has taken this long is not joined any more: its resolver may
/// have lost it.
const MAX_JOINABLE: Duration = Duration::from_secs(30);

/// `W` names a waiter, such as an exchange's id; a waiter waits for one lookup
/// at a time.
#[derive(Debug)]
pub(crate) struct Cache<W> {
    keeping: Keeping,
    entries: HashMap<Arc<Key>, Entry>,
    /// The entries by last use, the oldest first.
    uses: BTreeMap<u64, Arc<Key>>,
    joinable: HashMap<Arc<Key>, LookupId>,
    flights: HashMap<LookupId, Flight<W>>,
    /// Flights without waiters, the oldest first.
    deserted: BTreeSet<LookupId>,
    /// Where each waiter waits.
    places: HashMap<W, (LookupId, u64)>,
    /// Source of lookup ids, use stamps and waiters' places: never repeats.
    clock: u64,
}

/// A lookup under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LookupId(u64);

#[cfg(test)]
impl LookupId {
    pub(super) fn numbered(n: u64) -> Self {
        Self(n)
    }
}

/// What [`Cache::lookup`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Known, and the waiter is not registered. Never empty.
    Hit(Vec<IpAddr>),
    /// A lookup is under way, and the waiter registered for its end. The
    /// addresses are those that have arrived in part already.
    Joined(Vec<IpAddr>),
    /// The caller starts this lookup; the waiter is registered.
    Start(LookupId),
}

/// Whether results are kept, and for how long.
#[derive(Clone, Copy, Debug)]
enum Keeping {
    Nothing,
    UpTo {
        capacity: usize,
        /// `None` is forever.
        ttl: Option<Duration>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    /// In lower case: names compare without it (RFC 4343).
    host: String,
    port: u16,
    family: IpFamily,
}

#[derive(Debug)]
struct Entry {
    addresses: Vec<IpAddr>,
    since: Instant,
    /// Its key in `uses`.
    used: u64,
}

#[derive(Debug)]
struct Flight<W> {
    key: Arc<Key>,
    since: Instant,
    /// By order of arrival.
    waiters: BTreeMap<u64, W>,
    /// What has arrived in part.
    early: Vec<IpAddr>,
}

impl<W: Copy + Eq + Hash> Cache<W> {
    /// Keeps up to `capacity` results for `ttl` each (`None`: forever). When
    /// not `enabled`, nothing is kept, but concurrent lookups still join.
    pub(crate) fn new(ttl: Option<Duration>, capacity: usize, enabled: bool) -> Self {
        Self {
            keeping: if enabled && capacity > 0 {
                Keeping::UpTo { capacity, ttl }
            } else {
                Keeping::Nothing
            },
            entries: HashMap::new(),
            uses: BTreeMap::new(),
            joinable: HashMap::new(),
            flights: HashMap::new(),
            deserted: BTreeSet::new(),
            places: HashMap::new(),
            clock: 0,
        }
    }

    /// What is known about a host; if nothing, `waiter` waits for it. If it
    /// was waiting for another lookup, it no longer does.
    pub(crate) fn lookup(
        &mut self,
        host: &str,
        port: u16,
        family: IpFamily,
        waiter: W,
        now: Instant,
    ) -> Found {
        self.abandon(waiter);
        let key = Key {
            host: host.to_ascii_lowercase(),
            port,
            family,
        };
        if let Some(addresses) = self.hit(&key, now) {
            return Found::Hit(addresses);
        }
        if let Some(&id) = self.joinable.get(&key) {
            let since = self.flights.get(&id).map(|flight| flight.since);
            if since.is_some_and(|at| now.saturating_duration_since(at) < MAX_JOINABLE) {
                return Found::Joined(self.join(id, waiter));
            }
        }
        let key = Arc::new(key);
        let id = LookupId(self.tick());
        self.joinable.insert(Arc::clone(&key), id);
        self.flights.insert(
            id,
            Flight {
                key,
                since: now,
                waiters: BTreeMap::new(),
                early: Vec::new(),
            },
        );
        self.join(id, waiter);
        Found::Start(id)
    }

    /// Some addresses have arrived and more are coming: who is to be told, and
    /// all that has arrived so far. Nobody and nothing for a lookup that is
    /// not known any more.
    pub(crate) fn partial(
        &mut self,
        id: LookupId,
        addresses: Vec<IpAddr>,
    ) -> (Vec<W>, Vec<IpAddr>) {
        let Some(flight) = self.flights.get_mut(&id) else {
            return (Vec::new(), Vec::new());
        };
        let all = flight.early.drain(..).chain(addresses);
        let family = flight.key.family;
        flight.early = distinct(all.filter(|address| family.admits(*address)));
        if flight.early.is_empty() {
            // All of the family not wanted: no news.
            return (Vec::new(), Vec::new());
        }
        let waiters = flight.waiters.values().copied().collect();
        (waiters, flight.early.clone())
    }

    /// A lookup has ended: who waited, in order, and the result for them all.
    pub(crate) fn complete(
        &mut self,
        id: LookupId,
        result: Result<Vec<IpAddr>, DnsFault>,
        now: Instant,
    ) -> (Vec<W>, Result<Vec<IpAddr>, DnsFault>) {
        let Some(flight) = self.flights.remove(&id) else {
            return (Vec::new(), result);
        };
        self.deserted.remove(&id);
        let waiters: Vec<W> = flight.waiters.into_values().collect();
        for waiter in &waiters {
            self.places.remove(waiter);
        }

        let family = flight.key.family;
        let result = result.and_then(|addresses| {
            let wanted = addresses.into_iter().filter(|a| family.admits(*a));
            let wanted = distinct(wanted);
            if wanted.is_empty() {
                Err(DnsFault::NoAddresses)
            } else {
                Ok(wanted)
            }
        });

        // Not joinable: cleared since, so what it found out is out of date.
        if self.joinable.get(&flight.key) == Some(&id) {
            self.joinable.remove(&flight.key);
            if let Ok(addresses) = &result {
                // These waiters have had the list; the next hit begins further.
                let mut addresses = addresses.clone();
                addresses.rotate_left(1);
                self.keep(flight.key, addresses, now);
            }
        }
        (waiters, result)
    }

    /// A waiter gives up. Its lookup goes on, for the others or for the cache.
    /// Named is a lookup nobody waits for any more: one that has not begun may
    /// be spared, and [forgotten](Self::forget).
    pub(crate) fn abandon(&mut self, waiter: W) -> Option<LookupId> {
        let (id, place) = self.places.remove(&waiter)?;
        let flight = self.flights.get_mut(&id)?;
        flight.waiters.remove(&place);
        if !flight.waiters.is_empty() {
            return None;
        }
        self.deserted.insert(id);
        if self.deserted.len() > MAX_DESERTED
            && let Some(oldest) = self.deserted.pop_first()
        {
            self.forget(oldest);
        }
        Some(id)
    }

    /// Drops what is known about one host and port, or about all (SPEC C23).
    /// Lookups under way still serve their waiters, but are neither joined by
    /// new ones nor kept.
    pub(crate) fn clear(&mut self, of: Option<(&str, u16)>) {
        let Some((host, port)) = of else {
            self.entries.clear();
            self.uses.clear();
            self.joinable.clear();
            return;
        };
        for family in [IpFamily::Any, IpFamily::V4, IpFamily::V6] {
            let key = Key {
                host: host.to_ascii_lowercase(),
                port,
                family,
            };
            self.remove(&key);
            self.joinable.remove(&key);
        }
    }

    /// A fresh entry's addresses; it is then the most recently used one, and
    /// rotated so that the next hit begins with another address.
    fn hit(&mut self, key: &Key, now: Instant) -> Option<Vec<IpAddr>> {
        if !self.keeping.fresh(self.entries.get(key)?, now) {
            self.remove(key);
            return None;
        }
        let stamp = self.tick();
        let entry = self.entries.get_mut(key)?;
        if let Some(shared) = self.uses.remove(&entry.used) {
            self.uses.insert(stamp, shared);
        }
        entry.used = stamp;
        let addresses = entry.addresses.clone();
        // An entry is never empty, and rotating by one needs no more.
        entry.addresses.rotate_left(1);
        Some(addresses)
    }

    fn keep(&mut self, key: Arc<Key>, addresses: Vec<IpAddr>, now: Instant) {
        let Keeping::UpTo { capacity, .. } = self.keeping else {
            return;
        };
        self.remove(&key);
        let used = self.tick();
        self.uses.insert(used, Arc::clone(&key));
        self.entries.insert(
            key,
            Entry {
                addresses,
                since: now,
                used,
            },
        );
        if self.entries.len() > capacity
            && let Some((_, oldest)) = self.uses.pop_first()
        {
            self.entries.remove(&oldest);
        }
    }

    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.uses.remove(&entry.used);
        }
    }

    /// Registers a waiter; what has arrived in part.
    fn join(&mut self, id: LookupId, waiter: W) -> Vec<IpAddr> {
        let place = self.tick();
        let Some(flight) = self.flights.get_mut(&id) else {
            return Vec::new();
        };
        flight.waiters.insert(place, waiter);
        self.places.insert(waiter, (id, place));
        self.deserted.remove(&id);
        flight.early.clone()
    }

    /// Gives up a flight without waiters; its end will not be noticed.
    pub(crate) fn forget(&mut self, id: LookupId) {
        self.deserted.remove(&id);
        if let Some(flight) = self.flights.remove(&id)
            && self.joinable.get(&flight.key) == Some(&id)
        {
            self.joinable.remove(&flight.key);
        }
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }
}

impl Keeping {
    fn fresh(self, entry: &Entry, now: Instant) -> bool {
        match self {
            Self::Nothing => false,
            Self::UpTo { ttl: None, .. } => true,
            // By age, not by a due time: `since + ttl` could overflow.
            Self::UpTo { ttl: Some(ttl), .. } => now.saturating_duration_since(entry.since) < ttl,
        }
    }
}

#[cfg(test)]
mod tests;
