//! The plain state behind the pool's mutex, and the one law that serves
//! waiters ([`Ledger::serve`]).
//!
//! | index | from | to |
//! |---|---|---|
//! | `hosts` | host | slots in use, waiters in order, idle connections by age |
//! | `fronts` | first waiter's number | host, if it has a waiter and is below its limit |
//! | `grants` | number | what a ticket may claim |
//! | `leases` | lease | who drives it, or where it is parked ([`Leases`]) |
//!
//! The everyday operations look up one host and touch the end of a list. Naming
//! one waiter or one idle connection among a host's others moves those behind
//! it, and a look at what has expired goes through all, once a connection's
//! life. Entries of hosts go when they are empty. Two invariants, true whenever the lock is released:
//!
//! - `fronts` is empty or the total limit is reached (nobody waits beside a
//!   free slot);
//! - the slots in use are those of the guards, plus the grants and the parked.

mod caps;
mod look;

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::task::Waker;
use std::time::Instant;

pub(crate) use self::caps::Caps;
pub(crate) use self::look::Unwatched;
use super::host::{Host, Idle, Waiter};
use super::leases::Leases;
use super::{IdleId, Key, Limits, PoolStats, Pooled};
use crate::handoff;
use crate::hash::Cheaply;
use crate::sync::this_thread;

pub(super) struct Ledger<K: Key, C: Pooled> {
    limits: Limits,
    caps: Option<Caps>,
    pub(super) closed: bool,
    /// Slots in use, and (further down) the same per host.
    in_use: usize,
    hosts: HashMap<K::Host, Host<K, C>, Cheaply>,
    /// In order.
    fronts: VecDeque<(u64, K::Host)>,
    /// All waiters of all hosts.
    waiting: usize,
    grants: HashMap<u64, (K, Grant<K, C>), Cheaply>,
    /// All idle connections of all hosts.
    idle: usize,
    /// They have been more than the caps allow since the last look.
    crowded: bool,
    /// No idle connection expires earlier. It may be too early: who is taken
    /// out does not change it.
    next_expiry: Option<Instant>,
    pub(super) leases: Leases<K, C>,
    /// The latest time anyone has told: what a slot that comes free without a
    /// `now` is judged by. It lags by a look's period at most.
    clock: Option<Instant>,
    /// The last number given, to a ticket or to an idle stay.
    serial: u64,
    /// When the steward looks at what came home unwatched or lies parked.
    look_at: Option<Instant>,
    /// When it looks at all of it, and not only at what is due: as late as that, or later.
    sweep_at: Option<Instant>,
    /// The last number given when it swept: what is older has lain for a while.
    looked: u64,
    opened: u64,
    reused: u64,
    retried: u64,
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

/// What is left to do once the lock is released.
#[derive(Default)]
pub(super) struct Aftermath {
    wakers: Vec<Waker>,
}

impl<K: Key, C: Pooled> Ledger<K, C> {
    pub(super) fn new(limits: Limits, caps: Option<Caps>) -> Self {
        Self {
            limits,
            caps,
            closed: false,
            in_use: 0,
            hosts: HashMap::default(),
            fronts: VecDeque::new(),
            waiting: 0,
            grants: HashMap::default(),
            idle: 0,
            crowded: false,
            next_expiry: None,
            leases: Leases::default(),
            clock: None,
            serial: 0,
            look_at: None,
            sweep_at: None,
            looked: 0,
            opened: 0,
            reused: 0,
            retried: 0,
        }
    }

    /// Takes notice of the time; it never runs backwards here.
    pub(super) fn observe(&mut self, now: Instant) {
        self.clock = self.clock.max(Some(now));
    }

    /// A slot at once, or a place in the queue. By the first invariant a
    /// waiter that is eligible means that the total limit is reached, so
    /// whoever finds both limits open overtakes nobody.
    pub(super) fn checkout(&mut self, key: &K, waker: impl FnOnce() -> Waker) -> Found<K, C> {
        let host = key.host();
        match self.lend(key) {
            Lendable::Slot(grant) => return Found::Slot(grant),
            Lendable::Closed => return Found::Closed,
            Lendable::Busy => {}
        }
        // Foreign, so first: if it panics, nothing has happened.
        let waker = waker();
        let seq = self.number();
        let waiter = Waiter {
            seq,
            key: key.clone(),
            waker,
        };
        let entry = self.hosts.entry(host.clone()).or_default();
        entry.waiters.push_back(waiter);
        self.waiting += 1;
        self.relist(host);
        Found::Queued(seq)
    }

    /// A slot at once, or nothing.
    pub(super) fn lend(&mut self, key: &K) -> Lendable<K, C> {
        if self.closed {
            return Lendable::Closed;
        }
        if !below(self.in_use, self.limits.total) {
            return Lendable::Busy;
        }
        let clock = self.clock;
        let host = key.host();
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
                self.idle -= 1;
                Grant::Conn(idle)
            }
            None => Grant::Permit,
        })
    }

    /// Makes a connection that comes home idle, and its slot free; gives it back
    /// if the pool is closed, and the slot stays in use.
    pub(super) fn put(
        &mut self,
        key: K,
        mut conn: C,
        note: impl FnOnce(IdleId, &mut C),
        expires: Instant,
        after: &mut Aftermath,
    ) -> Option<C> {
        if self.closed {
            return Some(conn);
        }
        let id = IdleId(self.number());
        note(id, &mut conn);
        // Of the slot that it gives back there is an entry; only an error in
        // the books could have lost it.
        if self.waiting == 0
            && let Some(entry) = self.hosts.get_mut(key.host())
        {
            entry.in_use -= 1;
            self.in_use -= 1;
            entry.idle.push(Idle {
                key,
                conn,
                id,
                expires,
                by: this_thread(),
            });
            let of_host = entry.idle.len();
            self.count_idle(expires, of_host);
            return None;
        }
        let host = key.host().clone();
        self.insert_idle(Idle {
            key,
            conn,
            id,
            expires,
            by: this_thread(),
        });
        self.release(&host, after);
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
            .is_some_and(|entry| entry.place(seq).is_some())
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
        let entry = self.hosts.get_mut(host)?;
        let waiter = entry.place(seq).and_then(|at| entry.waiters.remove(at))?;
        self.waiting -= 1;
        self.relist(host);
        Some(waiter.waker)
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
        self.idle -= 1;
        self.occupy(host);
        self.relist(host);
        Some(idle.conn)
    }

    pub(super) fn drain_idle(&mut self) -> Vec<C> {
        self.idle = 0;
        self.next_expiry = None;
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
        self.sweep_at = None;
        self.hosts.retain(|_, entry| {
            entry.listed = None;
            let waiters = entry.waiters.drain(..).map(|waiter| waiter.waker);
            after.wakers.extend(waiters);
            !entry.is_empty()
        });
        // Whoever holds a ticket with a grant has been woken for it already.
        for (key, grant) in mem::take(&mut self.grants).into_values() {
            self.vacate(key.host());
            if let Grant::Conn(idle) = grant {
                conns.push(idle.conn);
            }
        }
        conns
    }

    pub(super) fn count_opened(&mut self) {
        self.opened += 1;
    }

    pub(super) fn count_retry(&mut self) {
        self.retried += 1;
    }

    pub(super) fn count_reuse(&mut self) {
        self.reused += 1;
    }

    pub(super) fn stats(&self) -> PoolStats {
        PoolStats {
            in_use: self.in_use,
            idle: self.idle,
            waiting: self.waiting,
            opened: self.opened,
            reused: self.reused,
            retried: self.retried,
        }
    }

    /// How many idle connections each host has.
    #[cfg(all(test, not(loom)))]
    pub(super) fn idle_of_hosts(&self) -> impl Iterator<Item = (&K::Host, usize)> {
        let hosts = self.hosts.iter();
        hosts.map(|(host, entry)| (host, entry.idle.len()))
    }

    /// Whether nothing at all is kept: no empty entry was left behind.
    #[cfg(all(test, not(loom)))]
    pub(super) fn is_clean(&self) -> bool {
        self.in_use == 0
            && self.hosts.is_empty()
            && self.fronts.is_empty()
            && self.grants.is_empty()
            && self.idle == 0
            && self.leases.is_empty()
    }

    /// The law: while the total limit allows, the earliest waiter whose host
    /// is below its limit gets a slot.
    fn serve(&mut self, after: &mut Aftermath) {
        while below(self.in_use, self.limits.total)
            && let Some((seq, host)) = self.fronts.pop_front()
        {
            let clock = self.clock;
            let Some(entry) = self.hosts.get_mut(&host) else {
                debug_assert!(false, "a front without a host");
                continue;
            };
            entry.listed = None;
            let Some(waiter) = entry.place(seq).and_then(|at| entry.waiters.remove(at)) else {
                // Cannot be: `fronts` lists only waiters. Without its entry
                // the loop ends all the same.
                debug_assert!(false, "a front without a waiter");
                continue;
            };
            self.waiting -= 1;
            self.in_use += 1;
            entry.in_use += 1;
            let grant = match entry.newest(&waiter.key, clock) {
                Some(idle) => {
                    self.idle -= 1;
                    Grant::Conn(idle)
                }
                None => Grant::Permit,
            };
            self.relist(&host);
            self.grants.insert(seq, (waiter.key, grant));
            after.wakers.push(waiter.waker);
        }
    }

    fn insert_idle(&mut self, idle: Idle<K, C>) {
        let expires = idle.expires;
        let entry = match self.hosts.get_mut(idle.key.host()) {
            Some(entry) => entry,
            None => {
                let host = idle.key.host().clone();
                self.hosts.entry(host).or_default()
            }
        };
        entry.insert(idle);
        let of_host = entry.idle.len();
        self.count_idle(expires, of_host);
    }

    fn count_idle(&mut self, expires: Instant, of_host: usize) {
        let others = self.next_expiry.filter(|_| self.idle > 0);
        self.next_expiry = earliest(others, Some(expires));
        self.idle += 1;
        self.note_crowd(of_host);
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
            entry.waiters.front().map(|waiter| waiter.seq)
        } else {
            None
        };
        if due != entry.listed {
            if let Some(old) = mem::replace(&mut entry.listed, due) {
                self.fronts.retain(|(seq, _)| *seq != old);
            }
            if let Some(new) = due {
                let at = self.fronts.partition_point(|(seq, _)| *seq < new);
                self.fronts.insert(at, (new, host.clone()));
            }
        }
        if entry.is_empty() {
            self.hosts.remove(host);
        }
    }

    fn number(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }
}

fn earliest(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    [one, other].into_iter().flatten().min()
}

/// Whether one more fits under `limit`; 0 is unlimited.
fn below(in_use: usize, limit: usize) -> bool {
    limit == 0 || in_use < limit
}

impl Aftermath {
    #[inline]
    pub(super) fn run(self) {
        // As nearly always: even the end of an empty list takes its steps.
        if self.wakers.is_empty() {
            return;
        }
        for waker in self.wakers {
            handoff::wake(Some(waker));
        }
    }
}
