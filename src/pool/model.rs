//! Thousands of random steps, and after each the books are compared with what
//! the guards in hand say.

use std::time::Duration;

use super::*;
use crate::handoff::testing::Count;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct ModelKey {
    host: usize,
    variant: usize,
}

impl Key for ModelKey {
    type Host = usize;

    fn host(&self) -> &usize {
        &self.host
    }
}

impl Pooled for u64 {
    type Socket = Self;
    type Rest = ();

    fn socket(&self) -> Self {
        *self
    }

    /// Every other one comes from a caller.
    fn is_watched(&self) -> bool {
        self.is_multiple_of(2)
    }
}

const HOSTS: usize = 3;
const VARIANTS: usize = 2;

/// xorshift64: seeded, so that a failure can be run again.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }
}

struct Waiting {
    ticket: Ticket<ModelKey, u64>,
    key: ModelKey,
    woken: Arc<Count>,
}

/// What a caller drives.
struct Driven {
    lease: Lease<ModelKey, u64>,
    id: LeaseId,
    key: ModelKey,
    revoked: bool,
}

/// What a caller has left in the pool.
#[derive(Clone, Copy)]
struct Parked {
    id: LeaseId,
    key: ModelKey,
    name: u64,
}

/// A pool, and every guard it has given out. Tickets stand in order of arrival.
struct Model {
    pool: Arc<Pool<ModelKey, u64>>,
    random: Random,
    now: Instant,
    lent: Vec<Lent<ModelKey, u64>>,
    permits: Vec<Permit<ModelKey, u64>>,
    tickets: Vec<Waiting>,
    /// The names of connections, which are never given twice.
    dialed: u64,
    /// Idle stays as the connections noted them; many are stale.
    noted: Vec<(ModelKey, IdleId)>,
    driven: Vec<Driven>,
    parked: Vec<Parked>,
    /// The last name of a lease.
    leased: u64,
}

impl Model {
    fn new((total, per_host): (usize, usize), caps: Option<Caps>, seed: u64) -> Self {
        Self {
            pool: Pool::with_caps(Limits { total, per_host }, caps),
            random: Random(seed),
            now: Instant::now(),
            lent: Vec::new(),
            permits: Vec::new(),
            tickets: Vec::new(),
            dialed: 0,
            noted: Vec::new(),
            driven: Vec::new(),
            parked: Vec::new(),
            leased: 0,
        }
    }

    fn step(&mut self) {
        match self.random.below(22) {
            0..=3 => self.checkout(),
            4 | 5 => self.put(),
            6 => {
                if let Some(lent) = pick(&mut self.random, &mut self.lent) {
                    if self.random.below(3) == 0 {
                        self.permits.push(lent.into_permit());
                    } else {
                        lent.discard();
                    }
                }
            }
            7 | 8 => {
                if let Some(permit) = pick(&mut self.random, &mut self.permits)
                    && self.random.below(4) > 0
                {
                    self.dialed += 1;
                    self.lent.push(permit.adopt(self.dialed));
                }
            }
            9 => self.claim(),
            10 => drop(pick(&mut self.random, &mut self.tickets)),
            11 => self.look(),
            12..=14 => self.lend(),
            15 | 16 => self.put_lease(),
            17 | 18 => self.park(),
            19 => {
                if let Some(parked) = pick(&mut self.random, &mut self.parked) {
                    let (lease, ()) = self.pool.resume(parked.id).expect("it is parked");
                    assert_eq!(*lease, parked.name);
                    self.drive(lease, parked.id, parked.key);
                }
            }
            20 => {
                if let Some(parked) = pick(&mut self.random, &mut self.parked) {
                    let (lent, ()) = self.pool.unpark(parked.id).expect("it is parked");
                    assert_eq!((*lent, *lent.key()), (parked.name, parked.key));
                    self.lent.push(lent);
                }
            }
            _ => self.revoke(),
        }
    }

    fn look(&mut self) {
        self.now += Duration::from_millis(500 * self.random.below(6) as u64);
        let look = self.pool.look(self.now);
        for (id, lent, ()) in look.stale {
            let at = self.parked.iter().position(|parked| parked.id == id);
            self.parked.remove(at.expect("it was parked"));
            self.lent.push(lent);
        }
        for idle in look.unwatched {
            assert!(!idle.socket.is_watched());
            assert!(self.pool.with_idle(&idle.key, idle.id, |_| ()));
        }
        assert!(self.pool.next_look().is_none_or(|next| next > self.now));
        if let Some(caps) = self.pool.caps() {
            let mut hosts = [0; HOSTS];
            let ledger = lock(&self.pool.ledger);
            let idle = ledger.idle_of_hosts();
            idle.for_each(|(host, idle)| hosts[*host] = idle);
            assert!(hosts.iter().sum::<usize>() <= caps.total);
            assert!(hosts.iter().all(|idle| *idle <= caps.per_host));
        }
    }

    fn lend(&mut self) {
        let key = ModelKey {
            host: self.random.below(HOSTS),
            variant: self.random.below(VARIANTS),
        };
        self.leased += 1;
        let id = LeaseId(self.leased);
        match self.pool.lend(&key, self.now, id) {
            Lending::Taken(lease) => self.drive(lease, id, key),
            Lending::Dial(permit) => {
                self.dialed += 1;
                let listing = self.pool.list(id, self.dialed).expect("not closed");
                let lease = Lease::new(listing, permit.adopt(self.dialed));
                self.drive(lease, id, key);
            }
            Lending::Busy => {}
            Lending::Closed => panic!("not closed"),
        }
    }

    fn drive(&mut self, lease: Lease<ModelKey, u64>, id: LeaseId, key: ModelKey) {
        self.driven.push(Driven {
            lease,
            id,
            key,
            revoked: false,
        });
    }

    fn put_lease(&mut self) {
        let Some(driven) = pick(&mut self.random, &mut self.driven) else {
            return;
        };
        if self.random.below(4) == 0 {
            assert_eq!(driven.lease.discard().is_some(), driven.revoked);
            return;
        }
        let life = Duration::from_secs(1 + self.random.below(15) as u64);
        let tell = driven.lease.put(self.now + life, self.now);
        assert!(tell == Tell::Nothing || !driven.revoked);
        assert!(tell == Tell::Nothing || self.pool.next_look().is_some());
    }

    fn park(&mut self) {
        let Some(driven) = pick(&mut self.random, &mut self.driven) else {
            return;
        };
        let Driven { lease, id, key, .. } = driven;
        let name = *lease;
        let deadline = match self.random.below(3) {
            0 => None,
            n => Some(self.now + Duration::from_millis(700 * n as u64)),
        };
        match lease.park(id, (), deadline, self.now) {
            Ok(tell) => {
                assert!(!driven.revoked);
                let waits = self.pool.stats().waiting > 0;
                assert_eq!(tell == Tell::TakeOver, waits);
                self.parked.push(Parked { id, key, name });
            }
            Err((why, ())) => assert!(why == Revoked::Cancelled && driven.revoked),
        }
    }

    /// Any name there ever was.
    fn revoke(&mut self) {
        let id = LeaseId(1 + self.random.below(self.leased as usize) as u64);
        match self.pool.revoke(id) {
            Revocation::Parked(lent, ()) => {
                let at = self.parked.iter().position(|parked| parked.id == id);
                let parked = self.parked.remove(at.expect("it was parked"));
                assert_eq!(*lent, parked.name);
            }
            Revocation::Lent(socket) => {
                let driven = self.driven.iter_mut().find(|driven| driven.id == id);
                let driven = driven.expect("it is driven");
                assert_eq!(*driven.lease, socket);
                driven.revoked = true;
            }
            Revocation::Unknown => {
                assert!(self.driven.iter().all(|driven| driven.id != id));
                assert!(self.parked.iter().all(|parked| parked.id != id));
            }
        }
    }

    /// Keeps an unlimited pool small.
    fn trim(&mut self) {
        self.lent.truncate(12);
        self.permits.truncate(12);
        self.driven.truncate(12);
        while self.tickets.len() > 12 {
            self.tickets.pop();
        }
        while self.parked.len() > 12 {
            let parked = self.parked.remove(0);
            drop(self.pool.unpark(parked.id));
        }
    }

    fn checkout(&mut self) {
        let key = ModelKey {
            host: self.random.below(HOSTS),
            variant: self.random.below(VARIANTS),
        };
        let (woken, waker) = Count::new();
        match self.pool.checkout(&key, self.now, || waker) {
            Checkout::Taken(lent) => self.lent.push(lent),
            Checkout::Dial(permit) => self.permits.push(permit),
            Checkout::Queued(ticket) => self.tickets.push(Waiting { ticket, key, woken }),
            Checkout::Closed => panic!("not closed"),
        }
    }

    fn put(&mut self) {
        let Some(lent) = pick(&mut self.random, &mut self.lent) else {
            return;
        };
        let key = *lent.key();
        let life = Duration::from_secs(1 + self.random.below(15) as u64);
        let noted = &mut self.noted;
        lent.put(|id, _| noted.push((key, id)), self.now + life);
    }

    /// Claims one ticket; a woken one must have been granted something, and
    /// one that was not must have nothing.
    fn claim(&mut self) {
        if self.tickets.is_empty() {
            return;
        }
        let at = self.random.below(self.tickets.len());
        let Waiting { ticket, key, woken } = self.tickets.remove(at);
        let was_woken = woken.woken() == 1;
        match ticket.claim() {
            Claim::Taken(lent) => {
                assert!(was_woken && *lent.key() == key);
                self.lent.push(lent);
            }
            Claim::Dial(permit) => {
                assert!(was_woken && *permit.key() == key);
                self.permits.push(permit);
            }
            Claim::Waiting(ticket) => {
                assert!(!was_woken);
                self.tickets.insert(at, Waiting { ticket, key, woken });
            }
            Claim::Closed => panic!("not closed"),
        }
    }

    /// Probes one noted connection, in one step: out and home again, so that
    /// the limits hold between steps.
    fn probe(&mut self) {
        let Some((key, id)) = pick(&mut self.random, &mut self.noted) else {
            return;
        };
        if let Some(lent) = self.pool.take_idle(&key, id) {
            let noted = &mut self.noted;
            lent.put(
                |id, _| noted.push((key, id)),
                self.now + Duration::from_secs(5),
            );
        }
    }

    fn check(&self) {
        let Limits {
            total, per_host, ..
        } = self.pool.limits();
        let stats = self.pool.stats();
        let granted = |waiting: &&Waiting| waiting.woken.woken() > 0;

        // The slots in use are those of the guards, of the grants and of what
        // is parked.
        let grants = self.tickets.iter().filter(granted).count();
        let held = self.lent.len() + self.permits.len() + grants;
        let held = held + self.driven.len() + self.parked.len();
        assert_eq!(stats.in_use, held);
        assert_eq!(stats.waiting, self.tickets.len() - grants);
        assert!(total == 0 || stats.in_use <= total);

        let mut hosts = [0; HOSTS];
        let keys = self.lent.iter().map(|lent| lent.key().host);
        let keys = keys.chain(self.permits.iter().map(|permit| permit.key().host));
        let keys = keys.chain(self.driven.iter().map(|driven| driven.key.host));
        let keys = keys.chain(self.parked.iter().map(|parked| parked.key.host));
        let grants = self.tickets.iter().filter(granted).map(|w| w.key.host);
        for host in keys.chain(grants) {
            hosts[host] += 1;
        }
        for (host, in_use) in hosts.into_iter().enumerate() {
            assert!(per_host == 0 || in_use <= per_host);
            let queue: Vec<_> = self.tickets.iter().filter(|w| w.key.host == host).collect();
            // First come, first served: the granted ones stand in front.
            assert!(queue.is_sorted_by_key(|waiting| waiting.woken.woken() == 0));
            // Nobody waits beside a slot that is free for him.
            let waits = queue.iter().any(|waiting| waiting.woken.woken() == 0);
            let room = (total == 0 || stats.in_use < total) && (per_host == 0 || in_use < per_host);
            assert!(!(waits && room));
            assert!(queue.iter().all(|waiting| waiting.woken.woken() <= 1));
        }
        // No connection is in two hands.
        let mut names: Vec<_> = self.lent.iter().map(|lent| **lent).collect();
        names.extend(self.driven.iter().map(|driven| *driven.lease));
        names.extend(self.parked.iter().map(|parked| parked.name));
        names.sort_unstable();
        assert!(names.is_sorted_by(|one, next| one < next));
        // What is too much is looked at at once.
        if self.pool.caps().is_some_and(|caps| stats.idle > caps.total) {
            let next = self.pool.next_look();
            assert!(next.is_some_and(|next| next <= self.now));
        }
        // What is parked is looked at within a second.
        if !self.parked.is_empty() {
            let next = self.pool.next_look();
            assert!(next.is_some_and(|next| next <= self.now + Duration::from_secs(1)));
        }
    }
}

/// One of `items`, taken out; the order of the rest is kept.
fn pick<T>(random: &mut Random, items: &mut Vec<T>) -> Option<T> {
    let at = random.below(items.len());
    (at < items.len()).then(|| items.remove(at))
}

#[test]
fn the_books_balance_after_every_step() {
    // SPEC C3, C4, C8, P3, P4, over every shape of limit.
    let shapes = [
        (0, 0),
        (1, 0),
        (1, 1),
        (4, 0),
        (4, 2),
        (5, 3),
        (0, 1),
        (3, 9),
    ];
    for (index, (total, per_host)) in shapes.into_iter().enumerate() {
        for seed in 1..=4 {
            // Half of them keep any number of idle connections.
            let caps = Caps {
                total: 1 + index,
                per_host: 1 + index % 3,
            };
            let caps = Some(caps).filter(|_| seed > 2);
            let mut model = Model::new((total, per_host), caps, seed * 7919 + index as u64);
            for step in 0..4000 {
                if step % 11 == 0 {
                    model.probe();
                } else {
                    model.step();
                }
                model.check();
                model.trim();
                model.check();
            }
            let stats = model.pool.stats();
            assert_eq!(stats.opened, model.dialed);
            assert!(stats.reused > 0);
            // Half end by a close in the middle of it, half are unwound.
            if seed % 2 == 0 {
                let remains = model.pool.close();
                assert_eq!(remains.parked.len(), model.parked.len());
                assert_eq!(remains.driven.len(), model.driven.len());
                drop(remains);
                for Driven { lease, revoked, .. } in model.driven.drain(..) {
                    let why = match revoked {
                        true => Revoked::Cancelled,
                        false => Revoked::Closed,
                    };
                    assert_eq!(lease.discard(), Some(why));
                }
                for waiting in model.tickets.drain(..) {
                    assert!(matches!(waiting.ticket.claim(), Claim::Closed));
                }
                for lent in model.lent.drain(..) {
                    lent.put(|_, _| (), model.now);
                }
            }
            model.tickets.clear();
            model.driven.clear();
            drop(model.pool.unpark_all());
            model.lent.clear();
            model.permits.clear();
            drop(model.pool.drain_idle());
            let PoolStats {
                in_use,
                idle,
                waiting,
                ..
            } = model.pool.stats();
            assert_eq!((in_use, idle, waiting), (0, 0, 0));
            assert!(lock(&model.pool.ledger).is_clean());
        }
    }
}
