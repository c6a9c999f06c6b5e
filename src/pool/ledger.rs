//! The plain state behind the pool's mutex, and the one law that serves
//! waiters ([`Ledger::serve`]).
//!
//! | index | from | to |
//! |---|---|---|
//! | `hosts` | host | slots in use, waiters by number, idle connections by age |
//! | `expiries` | instant, id | the host of an idle connection |
//! | `fronts` | first waiter's number | host, if it has a waiter and is below its limit |
//! | `grants` | number | what a ticket may claim |
//! | `leases` | lease | who drives it, or where it is parked ([`Leases`]) |
//!
//! Every operation is logarithmic in what the ledger holds, but for naming one
//! idle connection of a host among its others; entries of hosts go when they
//! are empty. Two invariants, true whenever the lock is released:
//!
//! - `fronts` is empty or the total limit is reached (nobody waits beside a
//!   free slot);
//! - the slots in use are those of the guards, plus the grants and the parked.

use std::collections::{BTreeMap, HashMap};
use std::mem;
use std::task::Waker;
use std::time::{Duration, Instant};

use super::hash::Cheaply;
use super::leases::Leases;
use super::{IdleId, Key, Limits, PoolStats, Pooled};
use crate::handoff;

/// How long after a connection came home unwatched the steward looks at it.
const LOOK: Duration = Duration::from_secs(1);

pub(super) struct Ledger<K: Key, C: Pooled> {
    limits: Limits,
    pub(super) closed: bool,
    /// Slots in use, and (further down) the same per host.
    in_use: usize,
    hosts: HashMap<K::Host, Host<K, C>, Cheaply>,
    fronts: BTreeMap<u64, K::Host>,
    /// All waiters of all hosts.
    waiting: usize,
    grants: HashMap<u64, (K, Grant<K, C>), Cheaply>,
    /// Has one entry for each idle connection.
    expiries: BTreeMap<(Instant, IdleId), K::Host>,
    pub(super) leases: Leases<K, C>,
    /// The latest time anyone has told: what a slot that comes free without a
    /// `now` is judged by. It lags by a look's period at most.
    clock: Option<Instant>,
    /// The last number given, to a ticket or to an idle stay.
    serial: u64,
    /// When the steward looks at what came home unwatched or lies parked.
    look_at: Option<Instant>,
    /// The last number given when it looked: what is older has lain for a while.
    looked: u64,
    opened: u64,
    reused: u64,
}

/// A connection in the idle set, or granted out of it.
pub(super) struct Idle<K, C> {
    key: K,
    pub(super) conn: C,
    id: IdleId,
    expires: Instant,
}

/// A slot, with or without a connection.
pub(super) enum Grant<K, C> {
    Conn(Idle<K, C>),
    Permit,
}

/// What a checkout finds.
pub(super) enum Found<K, C> {
    Slot(Grant<K, C>),
    /// Queued under this number.
    Queued(u64),
    Closed,
}

/// What a checkout that does not queue finds.
pub(super) enum Lendable<K, C> {
    Slot(Grant<K, C>),
    /// No slot is free.
    Busy,
    Closed,
}

/// An idle connection nobody has touched since the last look, and no poller
/// watches.
#[derive(Debug)]
pub(crate) struct Unwatched<K, S> {
    pub(crate) key: K,
    pub(crate) id: IdleId,
    pub(crate) expires: Instant,
    pub(crate) socket: S,
}

/// What is left to do once the lock is released.
#[derive(Default)]
pub(super) struct Aftermath {
    wakers: Vec<Waker>,
}

/// What counts for one host; gone when it is all empty.
struct Host<K, C> {
    in_use: usize,
    waiters: BTreeMap<u64, Waiter<K>>,
    /// The number under which `fronts` lists this host.
    listed: Option<u64>,
    /// The newest, which has the greatest id, is the last.
    idle: Vec<Idle<K, C>>,
}

struct Waiter<K> {
    key: K,
    waker: Waker,
}

impl<K: Key, C: Pooled> Ledger<K, C> {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            closed: false,
            in_use: 0,
            hosts: HashMap::default(),
            fronts: BTreeMap::new(),
            waiting: 0,
            grants: HashMap::default(),
            expiries: BTreeMap::new(),
            leases: Leases::default(),
            clock: None,
            serial: 0,
            look_at: None,
            looked: 0,
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
    ) -> Found<K, C> {
        match self.lend(key, host) {
            Lendable::Slot(grant) => return Found::Slot(grant),
            Lendable::Closed => return Found::Closed,
            Lendable::Busy => {}
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

    /// A slot at once, or nothing.
    pub(super) fn lend(&mut self, key: &K, host: &K::Host) -> Lendable<K, C> {
        if self.closed {
            return Lendable::Closed;
        }
        if !below(self.in_use, self.limits.total) {
            return Lendable::Busy;
        }
        let clock = self.clock;
        let Some(entry) = self.hosts.get_mut(host) else {
            self.occupy(host);
            return Lendable::Slot(Grant::Permit);
        };
        if !below(entry.in_use, self.limits.per_host) {
            return Lendable::Busy;
        }
        debug_assert!(self.fronts.is_empty(), "a waiter beside a free slot");
        self.in_use += 1;
        entry.in_use += 1;
        Lendable::Slot(match entry.newest(key, clock) {
            Some(idle) => {
                self.expiries.remove(&(idle.expires, idle.id));
                Grant::Conn(idle)
            }
            None => Grant::Permit,
        })
    }

    /// Makes a connection that comes home idle; gives it back if the pool is
    /// closed. Its slot is still in use: [`release`](Self::release) follows in
    /// the same critical section, and may grant it at once.
    pub(super) fn put(
        &mut self,
        key: K,
        mut conn: C,
        note: impl FnOnce(IdleId, &mut C),
        expires: Instant,
    ) -> Option<C> {
        if self.closed {
            return Some(conn);
        }
        let id = IdleId(self.number());
        note(id, &mut conn);
        self.insert_idle(Idle {
            key,
            conn,
            id,
            expires,
        });
        None
    }

    /// Frees a slot and serves who waited for it.
    pub(super) fn release(&mut self, host: &K::Host, after: &mut Aftermath) {
        self.vacate(host);
        self.serve(after);
    }

    /// Takes what was granted under `seq`; the slot goes along.
    pub(super) fn claim(&mut self, seq: u64) -> Option<Grant<K, C>> {
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

    pub(super) fn has_waiters(&self) -> bool {
        self.waiting > 0
    }

    /// Gives up a ticket: what was granted under it, or its place in the queue,
    /// of which the waker is left to drop.
    pub(super) fn abandon(
        &mut self,
        host: &K::Host,
        seq: u64,
        after: &mut Aftermath,
    ) -> Option<Waker> {
        if let Some((_, grant)) = self.grants.remove(&seq) {
            if let Grant::Conn(idle) = grant {
                // As it lay there before: same age, same name, same expiry. The
                // steward, whose ticket this was, may have looked meanwhile.
                let unwatched = !idle.conn.is_watched();
                if let Some(now) = self.clock.filter(|_| unwatched) {
                    self.look_after(now, None);
                }
                self.insert_idle(idle);
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
            let ((_, id), host) = first.remove_entry();
            if let Some(entry) = self.hosts.get_mut(&host) {
                dead.extend(entry.take(id).map(|idle| idle.conn));
            }
            self.tidy(&host);
        }
        dead
    }

    /// Whether the steward has to be told to look earlier than it would.
    pub(super) fn look_by(&mut self, at: Instant) -> bool {
        let sooner = self.look_at.is_none_or(|due| at < due);
        if sooner {
            self.look_at = Some(at);
        }
        sooner
    }

    /// The same for something that has come home just now and stays until
    /// `end`, if that is known.
    pub(super) fn look_after(&mut self, now: Instant, end: Option<Instant>) -> bool {
        let regular = now + LOOK;
        self.look_by(end.map_or(regular, |end| end.min(regular)))
    }

    pub(super) fn next_look(&self) -> Option<Instant> {
        let expiry = self.expiries.first_key_value().map(|((at, _), _)| *at);
        [expiry, self.look_at].into_iter().flatten().min()
    }

    pub(super) fn is_look_due(&self, now: Instant) -> bool {
        self.look_at.is_some_and(|at| at <= now)
    }

    /// What has lain unwatched since the last look. The next one is due while
    /// there is anything younger, or parked.
    pub(super) fn unwatched(&mut self, now: Instant) -> Vec<Unwatched<K, C::Socket>> {
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
        self.look_at = self.leases.next_deadline();
        if young || self.leases.has_parked() {
            self.look_by(now + LOOK);
        }
        found
    }

    /// A named idle connection, if it still lies there.
    pub(super) fn idle_mut(&mut self, host: &K::Host, id: IdleId) -> Option<&mut C> {
        let idle = &mut self.hosts.get_mut(host)?.idle;
        let at = idle.binary_search_by_key(&id, |idle| idle.id).ok()?;
        idle.get_mut(at).map(|idle| &mut idle.conn)
    }

    /// Takes a named idle connection out, together with a slot.
    pub(super) fn take_idle(&mut self, host: &K::Host, id: IdleId) -> Option<C> {
        let idle = self.hosts.get_mut(host)?.take(id)?;
        self.expiries.remove(&(idle.expires, id));
        self.occupy(host);
        self.relist(host);
        Some(idle.conn)
    }

    pub(super) fn drain_idle(&mut self) -> Vec<C> {
        self.expiries.clear();
        let mut conns = Vec::new();
        self.hosts.retain(|_, entry| {
            conns.extend(entry.idle.drain(..).map(|idle| idle.conn));
            !entry.is_empty()
        });
        conns
    }

    /// Closes: no waiters and no grants from here on, only guards.
    pub(super) fn close(&mut self, after: &mut Aftermath) -> Vec<C> {
        self.closed = true;
        let mut conns = self.drain_idle();
        // Waiters first, so that the slots of the grants serve nobody.
        self.fronts.clear();
        self.waiting = 0;
        self.look_at = None;
        let mut waiters = BTreeMap::new();
        for entry in self.hosts.values_mut() {
            entry.listed = None;
            waiters.append(&mut entry.waiters);
        }
        self.hosts.retain(|_, entry| !entry.is_empty());
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
            && self.expiries.is_empty()
            && self.leases.is_empty()
    }

    /// The law: while the total limit allows, the earliest waiter whose host
    /// is below its limit gets a slot.
    fn serve(&mut self, after: &mut Aftermath) {
        while below(self.in_use, self.limits.total)
            && let Some((&seq, host)) = self.fronts.first_key_value()
        {
            let host = host.clone();
            let clock = self.clock;
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
            let newest = self
                .hosts
                .get_mut(&host)
                .and_then(|entry| entry.newest(&waiter.key, clock));
            self.relist(&host);
            let grant = match newest {
                Some(idle) => {
                    self.expiries.remove(&(idle.expires, idle.id));
                    Grant::Conn(idle)
                }
                None => Grant::Permit,
            };
            self.grants.insert(seq, (waiter.key, grant));
            after.wakers.push(waiter.waker);
        }
    }

    fn insert_idle(&mut self, idle: Idle<K, C>) {
        let host = idle.key.host();
        let name = (idle.expires, idle.id);
        self.hosts.entry(host.clone()).or_default().insert(idle);
        self.expiries.insert(name, host);
    }

    /// Counts a slot in. Whoever may have waiters calls `relist` after it.
    pub(super) fn occupy(&mut self, host: &K::Host) {
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
    pub(super) fn vacate(&mut self, host: &K::Host) {
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
        if entry.is_empty() {
            self.hosts.remove(host);
        }
    }

    /// Forgets a host of which nothing is left.
    fn tidy(&mut self, host: &K::Host) {
        if self.hosts.get(host).is_some_and(Host::is_empty) {
            self.hosts.remove(host);
        }
    }

    fn number(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }
}

impl<K: Key, C> Host<K, C> {
    /// The newest idle connection of `key` that has not expired. Expired ones
    /// stay for the look: closing a connection takes more than dropping it,
    /// and is the steward's.
    fn newest(&mut self, key: &K, clock: Option<Instant>) -> Option<Idle<K, C>> {
        let at = self
            .idle
            .iter()
            .rposition(|idle| idle.key == *key && !is_due(idle.expires, clock))?;
        Some(self.idle.remove(at))
    }

    fn take(&mut self, id: IdleId) -> Option<Idle<K, C>> {
        let at = self.idle.binary_search_by_key(&id, |idle| idle.id).ok()?;
        Some(self.idle.remove(at))
    }

    /// Nearly always the newest of all; not so a grant that was given back.
    fn insert(&mut self, idle: Idle<K, C>) {
        let at = self.idle.partition_point(|other| other.id < idle.id);
        self.idle.insert(at, idle);
    }
}

impl<K, C> Host<K, C> {
    fn is_empty(&self) -> bool {
        self.in_use == 0 && self.waiters.is_empty() && self.idle.is_empty()
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

impl Aftermath {
    pub(super) fn run(self) {
        for waker in self.wakers {
            handoff::wake(Some(waker));
        }
    }
}

impl<K, C> Default for Host<K, C> {
    fn default() -> Self {
        Self {
            in_use: 0,
            waiters: BTreeMap::new(),
            listed: None,
            idle: Vec::new(),
        }
    }
}
