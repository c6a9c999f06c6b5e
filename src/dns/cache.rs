//! What is known about names, and who waits to know it.
//!
//! Two tables. `flights` are lookups under way, each with its waiters. `names`
//! says of each key either its result, kept for a time and evicted least
//! recently used first, or the flight that a new waiter for it may join, so
//! that at most one lookup per key is started (SPEC C22).
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
//! is kept for the next. That a name has no address is kept only where that is
//! asked for, and never on the word of a lookup that failed. Where it is asked
//! for, an entry that has had its time serves on while lookups fail (RFC 8767).
//!
//! Pure: owned by one thread, the time passed in. What an operation costs does
//! not depend on how much is stored, with two exceptions that look at all
//! names: keeping a result, which is little beside the lookup that brought it,
//! and clearing.

mod snapshot;

use std::collections::HashMap;
use std::hash::Hash;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use self::snapshot::CachedHost;
use super::answer::take_in;
use super::{DnsFault, IpFamily, Keep};

/// Flights that nobody waits for any more and that have not landed. Beyond
/// this the oldest are forgotten: their resolver may never answer.
const MAX_DESERTED: usize = 1024;

/// A lookup that has taken this long is not joined any more: its resolver may
/// have lost it.
const MAX_JOINABLE: Duration = Duration::from_secs(30);

/// How long a lookup that failed is not tried again where an old entry serves
/// in its place (RFC 8767 §5).
const RECHECK: Duration = Duration::from_secs(30);

/// `W` names a waiter, such as an exchange's id; a waiter waits for one lookup
/// at a time.
#[derive(Debug)]
pub(crate) struct Cache<W> {
    keep: Keep,
    names: HashMap<Arc<Key>, Name>,
    flights: HashMap<LookupId, Flight<W>>,
    /// Flights without waiters, sorted: the oldest first.
    deserted: Vec<LookupId>,
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
#[derive(Clone, Debug)]
pub(crate) enum Found {
    /// Known, and the waiter is not registered. Never empty.
    Hit(Vec<SocketAddr>),
    /// Known to have no address, and the waiter is not registered.
    Miss(DnsFault),
    /// A lookup is under way, and the waiter registered for its end. The
    /// addresses are those that have arrived in part already.
    Joined(Vec<SocketAddr>),
    /// The caller starts this lookup; the waiter is registered.
    Start(LookupId),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    /// In lower case: names compare without it (RFC 4343).
    host: String,
    port: u16,
    family: IpFamily,
}

/// At least one of the two is there.
#[derive(Debug, Default)]
struct Name {
    entry: Option<Entry>,
    /// The flight that may be joined.
    asked: Option<LookupId>,
}

#[derive(Debug)]
struct Entry {
    /// Never empty; or why there is none, on good authority.
    result: Result<Vec<SocketAddr>, DnsFault>,
    since: Instant,
    /// How long it is good for; `None` is for ever.
    life: Option<Duration>,
    /// It has had its time, but lookups fail: until then they are spared.
    spared: Option<Instant>,
    /// Stamp of the last use.
    used: u64,
}

#[derive(Debug)]
struct Flight<W> {
    key: Arc<Key>,
    since: Instant,
    /// By order of arrival, each with its place. Those that have given up are
    /// in no place any more, and weeded out when they are the most.
    waiters: Vec<(u64, W)>,
    /// How many of them wait.
    waiting: usize,
    /// What has arrived in part.
    early: Vec<SocketAddr>,
}

impl<W: Copy + Eq + Hash> Cache<W> {
    pub(crate) fn new(keep: Keep) -> Self {
        Self {
            keep,
            names: HashMap::new(),
            flights: HashMap::new(),
            deserted: Vec::new(),
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
        let stamp = self.tick();
        if let Some(name) = self.names.get_mut(&key) {
            if let Some(entry) = &mut name.entry
                && entry.serves(now)
            {
                return entry.hit(stamp);
            }
            if let Some(id) = name.asked {
                let since = self.flights.get(&id).map(|flight| flight.since);
                if since.is_some_and(|at| now.saturating_duration_since(at) < MAX_JOINABLE) {
                    return Found::Joined(self.join(id, waiter));
                }
            }
        }
        let key = Arc::new(key);
        let id = LookupId(stamp);
        self.names.entry(Arc::clone(&key)).or_default().asked = Some(id);
        self.flights.insert(
            id,
            Flight {
                key,
                since: now,
                waiters: Vec::new(),
                waiting: 0,
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
        addresses: Vec<SocketAddr>,
    ) -> (Vec<W>, Vec<SocketAddr>) {
        let Some(flight) = self.flights.get_mut(&id) else {
            return (Vec::new(), Vec::new());
        };
        let family = flight.key.family;
        let mut wanted = addresses.into_iter().filter(|a| family.admits(a.ip()));
        take_in(&mut flight.early, &mut wanted);
        if flight.early.is_empty() {
            // All of the family not wanted: no news.
            return (Vec::new(), Vec::new());
        }
        let mut waiters = Vec::with_capacity(flight.waiting);
        for (place, waiter) in &flight.waiters {
            if self.places.get(waiter) == Some(&(id, *place)) {
                waiters.push(*waiter);
            }
        }
        (waiters, flight.early.clone())
    }

    /// A lookup has ended: who waited, in order, and the result for them all.
    /// `ttl` is how long its resolver lets it be kept, where it says so.
    pub(crate) fn complete(
        &mut self,
        id: LookupId,
        result: Result<Vec<SocketAddr>, DnsFault>,
        ttl: Option<Duration>,
        now: Instant,
    ) -> (Vec<W>, Result<Vec<SocketAddr>, DnsFault>) {
        let Some(flight) = self.flights.remove(&id) else {
            return (Vec::new(), result);
        };
        self.no_longer_deserted(id);
        let mut waiters = Vec::with_capacity(flight.waiting);
        for (place, waiter) in flight.waiters {
            if self.places.get(&waiter) == Some(&(id, place)) {
                self.places.remove(&waiter);
                waiters.push(waiter);
            }
        }

        let family = flight.key.family;
        let result = result.and_then(|addresses| {
            let mut wanted = Vec::new();
            let mut all = addresses.into_iter().filter(|a| family.admits(a.ip()));
            take_in(&mut wanted, &mut all);
            if wanted.is_empty() {
                Err(DnsFault::NoAddresses)
            } else {
                Ok(wanted)
            }
        });

        // Not joinable: cleared since, so what it found out is out of date.
        let is_news = self.unask(&flight.key, id);
        let result = match result {
            Err(fault) if fault.is_temporary() => match self.stale(&flight.key, now) {
                Some(addresses) => Ok(addresses),
                None => Err(fault),
            },
            result => {
                if is_news {
                    self.keep(flight.key, &result, ttl, now);
                }
                result
            }
        };
        (waiters, result)
    }

    /// What an entry that has had its time says, for a waiter whose lookup
    /// takes too long. The waiter stays registered: the lookup may end yet.
    pub(crate) fn make_do(&mut self, waiter: W, now: Instant) -> Option<Vec<SocketAddr>> {
        let (id, _) = self.places.get(&waiter)?;
        let key = Arc::clone(&self.flights.get(id)?.key);
        self.stale(&key, now)
    }

    /// What an entry that has had its time says, if it may still serve. It does
    /// so for a while, and the lookups are spared.
    fn stale(&mut self, key: &Arc<Key>, now: Instant) -> Option<Vec<SocketAddr>> {
        let stamp = self.tick();
        let entry = self.names.get_mut(key)?.entry.as_mut()?;
        entry.result.as_ref().ok()?;
        if !entry.serves(now) {
            let left = entry.left_of(self.keep.stale, now)?;
            entry.spared = now.checked_add(left.min(RECHECK));
        }
        match entry.hit(stamp) {
            Found::Hit(addresses) => Some(addresses),
            _ => None,
        }
    }

    /// A waiter gives up. Its lookup goes on, for the others or for the cache.
    /// Named is a lookup nobody waits for any more: one that has not begun may
    /// be spared, and [forgotten](Self::forget).
    pub(crate) fn abandon(&mut self, waiter: W) -> Option<LookupId> {
        let (id, _) = self.places.remove(&waiter)?;
        let flight = self.flights.get_mut(&id)?;
        flight.waiting -= 1;
        if flight.waiters.len() > 2 * flight.waiting {
            let places = &self.places;
            let waits = |(place, waiter): &(u64, W)| places.get(waiter) == Some(&(id, *place));
            flight.waiters.retain(waits);
        }
        if flight.waiting > 0 {
            return None;
        }
        if let Err(at) = self.deserted.binary_search(&id) {
            self.deserted.insert(at, id);
        }
        if self.deserted.len() > MAX_DESERTED
            && let Some(&oldest) = self.deserted.first()
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
            return self.names.clear();
        };
        let host = host.to_ascii_lowercase();
        self.names
            .retain(|key, _| key.port != port || key.host != host);
    }

    /// Keeps what a lookup has found out, in place of what was known.
    fn keep(
        &mut self,
        key: Arc<Key>,
        result: &Result<Vec<SocketAddr>, DnsFault>,
        ttl: Option<Duration>,
        now: Instant,
    ) {
        let most = match result {
            Ok(_) => self.keep.ttl,
            Err(_) => Some(self.keep.negative),
        };
        let life = [most, ttl].into_iter().flatten().min();
        // One that is over at once may serve while lookups fail, too.
        let is_useless =
            life == Some(Duration::ZERO) && (result.is_err() || self.keep.stale.is_zero());
        if !self.keep.enabled || self.keep.capacity == 0 || is_useless {
            self.drop_entry(&key);
            return;
        }
        let mut entry = Entry {
            result: result.clone(),
            since: now,
            life,
            spared: None,
            used: 0,
        };
        // The waiters have had the list; the next hit begins further.
        entry.hit(self.tick());
        self.names.entry(key).or_default().entry = Some(entry);

        let mut known = 0;
        let mut oldest = None;
        for (key, name) in &self.names {
            if let Some(entry) = &name.entry {
                known += 1;
                if oldest.is_none_or(|(used, _)| entry.used < used) {
                    oldest = Some((entry.used, key));
                }
            }
        }
        if known > self.keep.capacity
            && let Some((_, key)) = oldest
        {
            let key = Arc::clone(key);
            self.drop_entry(&key);
        }
    }

    fn drop_entry(&mut self, key: &Arc<Key>) {
        if let Some(name) = self.names.get_mut(key) {
            name.entry = None;
            if name.asked.is_none() {
                self.names.remove(key);
            }
        }
    }

    /// New waiters join this flight no more; whether they would have until now.
    fn unask(&mut self, key: &Arc<Key>, id: LookupId) -> bool {
        let Some(name) = self
            .names
            .get_mut(key)
            .filter(|name| name.asked == Some(id))
        else {
            return false;
        };
        name.asked = None;
        if name.entry.is_none() {
            self.names.remove(key);
        }
        true
    }

    /// Registers a waiter; what has arrived in part.
    fn join(&mut self, id: LookupId, waiter: W) -> Vec<SocketAddr> {
        let place = self.tick();
        let Some(flight) = self.flights.get_mut(&id) else {
            return Vec::new();
        };
        flight.waiters.push((place, waiter));
        flight.waiting += 1;
        self.places.insert(waiter, (id, place));
        let early = flight.early.clone();
        self.no_longer_deserted(id);
        early
    }

    /// Gives up a flight without waiters; its end will not be noticed.
    pub(crate) fn forget(&mut self, id: LookupId) {
        self.no_longer_deserted(id);
        if let Some(flight) = self.flights.remove(&id) {
            self.unask(&flight.key, id);
        }
    }

    fn no_longer_deserted(&mut self, id: LookupId) {
        if let Ok(at) = self.deserted.binary_search(&id) {
            self.deserted.remove(at);
        }
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }
}

impl Entry {
    /// What it says; it is then the most recently used one, and rotated so
    /// that the next hit begins with another address.
    fn hit(&mut self, stamp: u64) -> Found {
        self.used = stamp;
        match &mut self.result {
            Ok(addresses) => {
                let all = addresses.clone();
                addresses.rotate_left(1);
                Found::Hit(all)
            }
            Err(fault) => Found::Miss(fault.clone()),
        }
    }

    /// Whether it answers without a lookup.
    fn serves(&self, now: Instant) -> bool {
        // By age, not by a due time: `since + life` could overflow.
        self.life.is_none_or(|life| self.age(now) < life) || self.spared.is_some_and(|at| now < at)
    }

    /// What is left of `grace`, which begins with the end of its life.
    fn left_of(&self, grace: Duration, now: Instant) -> Option<Duration> {
        let over = self.age(now).saturating_sub(self.life?);
        grace.checked_sub(over).filter(|left| !left.is_zero())
    }

    fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }
}

#[cfg(test)]
mod tests;
