//! The plain state behind the pool's mutex, and the one law that serves
//! waiters ([`Ledger::serve`]).
//!
//! | index | from | to |
//! |---|---|---|
//! | `idle` | key, id | the connection; the newest has the greatest id |
//! | `expiries` | instant, id | its key |
//! | `hosts` | host | slots in use, waiters by number |
//! | `fronts` | first waiter's number | host, if it has a waiter and is below its limit |
//! | `grants` | number | what a ticket may claim |
//!
//! Every operation is logarithmic in what the ledger holds; entries of hosts
//! and keys go when they are empty. Two invariants, true whenever the lock is
//! released:
//!
//! - `fronts` is empty or the total limit is reached (nobody waits beside a
//!   free slot);
//! - the slots in use are those of the guards, plus the grants.

use std::collections::{BTreeMap, HashMap};
use std::mem;
use std::task::Waker;
use std::time::Instant;

use super::{IdleId, Key, Limits, PoolStats};
use crate::handoff;

pub(super) struct Ledger<K: Key, C> {
    limits: Limits,
    closed: bool,
    /// Slots in use, and (further down) the same per host.
    in_use: usize,
    hosts: HashMap<K::Host, Host<K>>,
    fronts: BTreeMap<u64, K::Host>,
    /// All waiters of all hosts.
    waiting: usize,
    grants: HashMap<u64, (K, Grant<C>)>,
    idle: HashMap<K, BTreeMap<IdleId, Idle<C>>>,
    /// Has one entry for each idle connection.
    expiries: BTreeMap<(Instant, IdleId), K>,
    /// The latest time anyone has told: what a slot that comes free without a
    /// `now` is judged by. It lags by a sweep's period at most.
    clock: Option<Instant>,
    /// The last number given, to a ticket or to an idle stay.
    serial: u64,
    opened: u64,
    reused: u64,
}

/// A connection in the idle set, or granted out of it.
pub(super) struct Idle<C> {
    pub(super) conn: C,
    id: IdleId,
    expires: Instant,
}

/// A slot, with or without a connection.
pub(super) enum Grant<C> {
    Conn(Idle<C>),
    Permit,
}

/// What a checkout finds.
pub(super) enum Found<C> {
    Slot(Grant<C>),
    /// Queued under this number.
    Queued(u64),
    Closed,
}

/// What is left to do once the lock is released.
pub(super) struct Aftermath<C> {
    wakers: Vec<Waker>,
    /// Expired connections that were met on the way.
    dead: Vec<C>,
}

/// What counts for one host; gone when it is all zero.
struct Host<K> {
    in_use: usize,
    waiters: BTreeMap<u64, Waiter<K>>,
    /// The number under which `fronts` lists this host.
    listed: Option<u64>,
}

struct Waiter<K> {
    key: K,
    waker: Waker,
}

impl<K: Key, C> Ledger<K, C> {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            closed: false,
            in_use: 0,
            hosts: HashMap::new(),
            fronts: BTreeMap::new(),
            waiting: 0,
            grants: HashMap::new(),
            idle: HashMap::new(),
            expiries: BTreeMap::new(),
            clock: None,
            serial: 0,
            opened: 0,
            reused: 0,
        }
    }

    /// Takes notice of the time; it never runs backwards here.
    pub(super) fn observe(&mut self, now: Instant) {
        self.clock = self.clock.max(Some(now));
    }

    /// A slot at once, or a place in the queue. By the first invariant a
    /// waiter that is eligible means that the total limit is reached, so
    /// whoever finds both limits open overtakes nobody.
    pub(super) fn checkout(
        &mut self,
        key: &K,
        host: &K::Host,
        waker: impl FnOnce() -> Waker,
    ) -> Found<C> {
        if self.closed {
            return Found::Closed;
        }
        let in_use = self.hosts.get(host).map_or(0, |entry| entry.in_use);
        if below(self.in_use, self.limits.total) && below(in_use, self.limits.per_host) {
            debug_assert!(self.fronts.is_empty(), "a waiter beside a free slot");
            self.occupy(host);
            return Found::Slot(self.newest_or_permit(key));
        }
        // Foreign, so first: if it panics, nothing has happened.
        let waker = waker();
        let seq = self.number();
        let waiter = Waiter {
            key: key.clone(),
            waker,
        };
        let entry = self.hosts.entry(host.clone()).or_default();
        entry.waiters.insert(seq, waiter);
        self.waiting += 1;
        self.relist(host);
        Found::Queued(seq)
    }

    /// Makes a connection that comes home idle; gives it back if the pool is
    /// closed. Its slot is still in use: [`release`](Self::release) follows in
    /// the same critical section, and may grant it at once.
    pub(super) fn put(
        &mut self,
        key: &K,
        mut conn: C,
        note: impl FnOnce(IdleId, &mut C),
        expires: Instant,
    ) -> Option<C> {
        if self.closed {
            return Some(conn);
        }
        let id = IdleId(self.number());
        note(id, &mut conn);
        self.insert_idle(key, Idle { conn, id, expires });
        None
    }

    /// Frees a slot and serves who waited for it.
    pub(super) fn release(&mut self, host: &K::Host, after: &mut Aftermath<C>) {
        self.vacate(host);
        self.serve(after);
    }

    /// Takes what was granted under `seq`; the slot goes along.
    pub(super) fn claim(&mut self, seq: u64) -> Option<Grant<C>> {
        let (_, grant) = self.grants.remove(&seq)?;
        if matches!(grant, Grant::Conn(_)) {
            self.reused += 1;
        }
        Some(grant)
    }

    /// Whether `seq` is in the queue still.
    pub(super) fn waits(&self, host: &K::Host, seq: u64) -> bool {
        self.hosts
            .get(host)
            .is_some_and(|entry| entry.waiters.contains_key(&seq))
    }

    /// Gives up a ticket: what was granted under it, or its place in the queue,
    /// of which the waker is left to drop.
    pub(super) fn abandon(
        &mut self,
        key: &K,
        host: &K::Host,
        seq: u64,
        after: &mut Aftermath<C>,
    ) -> Option<Waker> {
        if let Some((_, grant)) = self.grants.remove(&seq) {
            if let Grant::Conn(idle) = grant {
                // As it lay there before: same age, same name, same expiry.
                self.insert_idle(key, idle);
            }
            self.release(host, after);
            return None;
        }
        // A closed pool knows the number no more.
        let waiter = self.hosts.get_mut(host)?.waiters.remove(&seq)?;
        self.waiting -= 1;
        self.relist(host);
        Some(waiter.waker)
    }

    /// Takes out the idle connections whose time is up.
    pub(super) fn expired(&mut self) -> Vec<C> {
        let mut dead = Vec::new();
        while let Some(first) = self.expiries.first_entry()
            && is_due(first.key().0, self.clock)
        {
            let ((_, id), key) = first.remove_entry();
            if let Some(set) = self.idle.get_mut(&key) {
                dead.extend(set.remove(&id).map(|idle| idle.conn));
                if set.is_empty() {
                    self.idle.remove(&key);
                }
            }
        }
        dead
    }

    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.expiries
            .first_key_value()
            .map(|((expires, _), _)| *expires)
    }

    /// Takes a named idle connection out, together with a slot.
    pub(super) fn take_idle(&mut self, key: &K, host: &K::Host, id: IdleId) -> Option<C> {
        let set = self.idle.get_mut(key)?;
        let idle = set.remove(&id)?;
        if set.is_empty() {
            self.idle.remove(key);
        }
        self.expiries.remove(&(idle.expires, id));
        self.occupy(host);
        self.relist(host);
        Some(idle.conn)
    }

    pub(super) fn drain_idle(&mut self) -> Vec<C> {
        self.expiries.clear();
        mem::take(&mut self.idle)
            .into_values()
            .flat_map(BTreeMap::into_values)
            .map(|idle| idle.conn)
            .collect()
    }

    /// Closes: no waiters and no grants from here on, only guards.
    pub(super) fn close(&mut self, after: &mut Aftermath<C>) -> Vec<C> {
        self.closed = true;
        let mut conns = self.drain_idle();
        // Waiters first, so that the slots of the grants serve nobody.
        self.fronts.clear();
        self.waiting = 0;
        let mut waiters = BTreeMap::new();
        for entry in self.hosts.values_mut() {
            entry.listed = None;
            waiters.append(&mut entry.waiters);
        }
        self.hosts.retain(|_, entry| entry.in_use > 0);
        after
            .wakers
            .extend(waiters.into_values().map(|waiter| waiter.waker));
        // Whoever holds a ticket with a grant has been woken for it already.
        for (key, grant) in mem::take(&mut self.grants).into_values() {
            self.vacate(&key.host());
            if let Grant::Conn(idle) = grant {
                conns.push(idle.conn);
            }
        }
        conns
    }

    pub(super) fn count_opened(&mut self) {
        self.opened += 1;
    }

    pub(super) fn count_reuse(&mut self) {
        self.reused += 1;
    }

    pub(super) fn stats(&self) -> PoolStats {
        PoolStats {
            in_use: self.in_use,
            idle: self.expiries.len(),
            waiting: self.waiting,
            opened: self.opened,
            reused: self.reused,
        }
    }

    /// Whether nothing at all is kept: no empty entry was left behind.
    #[cfg(all(test, not(loom)))]
    pub(super) fn is_clean(&self) -> bool {
        self.in_use == 0
            && self.hosts.is_empty()
            && self.fronts.is_empty()
            && self.grants.is_empty()
            && self.idle.is_empty()
            && self.expiries.is_empty()
    }

    /// The law: while the total limit allows, the earliest waiter whose host
    /// is below its limit gets a slot.
    fn serve(&mut self, after: &mut Aftermath<C>) {
        while below(self.in_use, self.limits.total)
            && let Some((&seq, host)) = self.fronts.first_key_value()
        {
            let host = host.clone();
            let waiter = self
                .hosts
                .get_mut(&host)
                .and_then(|entry| entry.waiters.remove(&seq));
            let Some(waiter) = waiter else {
                // Cannot be: `fronts` lists only waiters. Without its entry
                // the loop ends all the same.
                debug_assert!(false, "a front without a waiter");
                self.fronts.remove(&seq);
                continue;
            };
            self.waiting -= 1;
            self.occupy(&host);
            self.relist(&host);
            let grant = self.newest_or_permit(&waiter.key);
            self.grants.insert(seq, (waiter.key, grant));
            after.wakers.push(waiter.waker);
        }
    }

    /// The newest idle connection of `key` that has not expired. Expired ones
    /// stay for the sweep: closing a connection takes more than dropping it,
    /// and is the steward's.
    fn newest_or_permit(&mut self, key: &K) -> Grant<C> {
        let clock = self.clock;
        let Some(set) = self.idle.get_mut(key) else {
            return Grant::Permit;
        };
        let newest = set
            .iter()
            .rev()
            .find(|(_, idle)| !is_due(idle.expires, clock))
            .map(|(&id, _)| id);
        let Some(idle) = newest.and_then(|id| set.remove(&id)) else {
            return Grant::Permit;
        };
        if set.is_empty() {
            self.idle.remove(key);
        }
        self.expiries.remove(&(idle.expires, idle.id));
        Grant::Conn(idle)
    }

    fn insert_idle(&mut self, key: &K, idle: Idle<C>) {
        self.expiries.insert((idle.expires, idle.id), key.clone());
        match self.idle.get_mut(key) {
            Some(set) => {
                set.insert(idle.id, idle);
            }
            None => {
                let set = BTreeMap::from([(idle.id, idle)]);
                self.idle.insert(key.clone(), set);
            }
        }
    }

    /// Counts a slot in. Whoever may have waiters calls `relist` after it.
    fn occupy(&mut self, host: &K::Host) {
        self.in_use += 1;
        match self.hosts.get_mut(host) {
            Some(entry) => entry.in_use += 1,
            None => {
                let entry = Host {
                    in_use: 1,
                    ..Host::default()
                };
                self.hosts.insert(host.clone(), entry);
            }
        }
    }

    /// Counts a slot out.
    fn vacate(&mut self, host: &K::Host) {
        self.in_use -= 1;
        if let Some(entry) = self.hosts.get_mut(host) {
            entry.in_use -= 1;
        }
        self.relist(host);
    }

    /// Makes `fronts` true for `host` again, after a change of its waiters or
    /// its slots.
    fn relist(&mut self, host: &K::Host) {
        let Some(entry) = self.hosts.get_mut(host) else {
            return;
        };
        let due = if below(entry.in_use, self.limits.per_host) {
            entry.waiters.first_key_value().map(|(&seq, _)| seq)
        } else {
            None
        };
        if due != entry.listed {
            if let Some(old) = mem::replace(&mut entry.listed, due) {
                self.fronts.remove(&old);
            }
            if let Some(new) = due {
                self.fronts.insert(new, host.clone());
            }
        }
        if entry.in_use == 0 && entry.waiters.is_empty() {
            self.hosts.remove(host);
        }
    }

    fn number(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }
}

/// Whether one more fits under `limit`; 0 is unlimited.
fn below(in_use: usize, limit: usize) -> bool {
    limit == 0 || in_use < limit
}

/// Whether a connection that expires at `expires` must not be used any more.
fn is_due(expires: Instant, clock: Option<Instant>) -> bool {
    clock.is_some_and(|now| expires <= now)
}

impl<C> Aftermath<C> {
    /// Wakes first: a connection's drop may panic, a contained waker cannot.
    pub(super) fn run(self) {
        for waker in self.wakers {
            handoff::wake(Some(waker));
        }
        drop(self.dead);
    }
}

impl<C> Default for Aftermath<C> {
    fn default() -> Self {
        Self {
            wakers: Vec::new(),
            dead: Vec::new(),
        }
    }
}

impl<K> Default for Host<K> {
    fn default() -> Self {
        Self {
            in_use: 0,
            waiters: BTreeMap::new(),
            listed: None,
        }
    }
}
