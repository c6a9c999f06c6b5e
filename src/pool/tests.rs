//! Each verb of the pool, one table or story each.

mod caps;
mod leases;

use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;
use crate::handoff::testing::{Count, Hostile};

/// A host and a variant of it (another proxy, say): two keys, one limit.
type TestKey = (u8, u8);

impl Key for TestKey {
    type Host = u8;

    fn host(&self) -> &u8 {
        &self.0
    }
}

const A: TestKey = (1, 0);
const A2: TestKey = (1, 1);
const B: TestKey = (2, 0);
const C: TestKey = (3, 0);

/// A connection with a name, and room to note its id.
#[derive(Debug)]
struct Conn {
    name: u32,
    id: Option<IdleId>,
    watched: bool,
}

impl Pooled for Conn {
    type Socket = u32;
    type Rest = &'static str;

    fn socket(&self) -> u32 {
        self.name
    }

    fn is_watched(&self) -> bool {
        self.watched
    }
}

/// For connections of which nothing is asked but to be kept.
macro_rules! pooled {
    ($type:ty) => {
        impl Pooled for $type {
            type Socket = ();
            type Rest = ();

            fn socket(&self) {}

            fn is_watched(&self) -> bool {
                true
            }
        }
    };
}

impl<K: Key, C: Pooled> Pool<K, C> {
    /// The leases that are driven, and those that are parked: for those who go
    /// over all the books at once.
    pub(crate) fn survey(&self) -> (Vec<LeaseId>, Vec<LeaseId>) {
        lock(&self.ledger).leases.survey()
    }
}

type TestPool = Arc<Pool<TestKey, Conn>>;

fn pool(total: usize, per_host: usize) -> TestPool {
    Pool::new(Limits { total, per_host })
}

fn conn(name: u32) -> Conn {
    Conn {
        name,
        id: None,
        watched: true,
    }
}

fn secs(base: Instant, secs: u64) -> Instant {
    base + Duration::from_secs(secs)
}

impl<C: Pooled> Checkout<TestKey, C> {
    fn taken(self) -> Lent<TestKey, C> {
        match self {
            Self::Taken(lent) => lent,
            _ => panic!("not taken"),
        }
    }

    fn dial(self) -> Permit<TestKey, C> {
        match self {
            Self::Dial(permit) => permit,
            _ => panic!("no permit"),
        }
    }

    fn queued(self) -> Ticket<TestKey, C> {
        match self {
            Self::Queued(ticket) => ticket,
            _ => panic!("not queued"),
        }
    }
}

impl<C: Pooled> Claim<TestKey, C> {
    fn taken(self) -> Lent<TestKey, C> {
        match self {
            Self::Taken(lent) => lent,
            _ => panic!("not taken"),
        }
    }

    fn dial(self) -> Permit<TestKey, C> {
        match self {
            Self::Dial(permit) => permit,
            _ => panic!("no permit"),
        }
    }

    fn waiting(self) -> Ticket<TestKey, C> {
        match self {
            Self::Waiting(ticket) => ticket,
            _ => panic!("not waiting"),
        }
    }
}

/// A checkout whose waker, if it is made, wakes nobody.
fn checkout(pool: &TestPool, key: TestKey, now: Instant) -> Checkout<TestKey, Conn> {
    pool.checkout(&key, now, || Waker::noop().clone())
}

fn counts(pool: &TestPool) -> (usize, usize, usize) {
    let stats = pool.stats();
    (stats.in_use, stats.idle, stats.waiting)
}

#[test]
fn reuse_else_dial_else_wait() {
    // SPEC C8: reuse idle, else create, else wait.
    let now = Instant::now();
    let pool = pool(1, 0);
    let no_waker = || -> Waker { unreachable!("only made when queued") };
    let lent = pool.checkout(&A, now, no_waker).dial().adopt(conn(1));
    assert_eq!(counts(&pool), (1, 0, 0));
    assert_eq!(*lent.key(), A);
    lent.put(|_, _| (), secs(now, 15));
    assert_eq!(counts(&pool), (0, 1, 0));
    let lent = pool.checkout(&A, now, no_waker).taken();
    assert_eq!(lent.name, 1);

    let (count, waker) = Count::new();
    let ticket = pool.checkout(&A, now, || waker).queued();
    assert_eq!(counts(&pool), (1, 0, 1));
    let ticket = ticket.claim().waiting();
    assert_eq!(count.woken(), 0);
    lent.put(|_, _| (), secs(now, 15));
    assert_eq!(count.woken(), 1);
    assert_eq!(counts(&pool), (1, 0, 0), "granted, and in use");
    assert_eq!(ticket.claim().taken().name, 1);
    let stats = pool.stats();
    assert_eq!((stats.opened, stats.reused), (1, 2));
    assert_eq!(counts(&pool), (0, 0, 0), "dropped by this test");
}

#[test]
fn idle_connections_do_not_count() {
    // SPEC C3: idle connections hold no slot, and another key's is no use.
    let now = Instant::now();
    let pool = pool(1, 0);
    let a = checkout(&pool, A, now).dial().adopt(conn(1));
    a.put(|_, _| (), secs(now, 15));
    let a2 = checkout(&pool, A2, now).dial().adopt(conn(2));
    a2.put(|_, _| (), secs(now, 15));
    let b = checkout(&pool, B, now).dial();
    assert_eq!(counts(&pool), (1, 2, 0));
    // The slot that b frees finds the idle connection of the waiter's key.
    let ticket = checkout(&pool, A2, now).queued();
    drop(b);
    assert_eq!(ticket.claim().taken().name, 2);
}

#[test]
fn zero_limits_never_queue() {
    // SPEC C3, C4: 0 is unlimited.
    let now = Instant::now();
    let pool = pool(0, 0);
    let permits: Vec<_> = (0..500).map(|_| checkout(&pool, A, now).dial()).collect();
    assert_eq!(pool.stats().in_use, 500);
    drop(permits);
    assert_eq!(pool.stats(), PoolStats::default());
}

#[test]
fn the_newest_idle_connection_first() {
    let now = Instant::now();
    let pool = pool(0, 0);
    let lent: Vec<_> = (0..3)
        .map(|name| checkout(&pool, A, now).dial().adopt(conn(name)))
        .collect();
    for lent in lent {
        lent.put(|_, _| (), secs(now, 15));
    }
    for name in [2, 1, 0] {
        let lent = checkout(&pool, A, now).taken();
        assert_eq!(lent.name, name);
    }
}

#[test]
fn an_expired_connection_is_not_handed_out() {
    // SPEC C1: expiry is checked at reuse and by the sweep.
    let now = Instant::now();
    let pool = pool(0, 0);
    let [one, two, three] = [1, 2, 3].map(|n| checkout(&pool, A, now).dial().adopt(conn(n)));
    assert_eq!(pool.next_look(), None);
    one.put(|_, _| (), secs(now, 20));
    two.put(|_, _| (), secs(now, 10));
    three.put(|_, _| (), secs(now, 5));
    assert_eq!(pool.next_look(), Some(secs(now, 5)));
    assert_eq!(checkout(&pool, A, secs(now, 10)).taken().name, 1);
    assert_eq!(counts(&pool), (0, 2, 0), "the other two wait for the sweep");
    assert_eq!(pool.look(secs(now, 10)).expired.len(), 2);
    assert_eq!(pool.next_look(), None);
}

#[test]
fn the_sweep_takes_out_what_is_due() {
    let now = Instant::now();
    let pool = pool(0, 0);
    let lent = [(A, 1, 5), (B, 2, 10), (A, 3, 15)].map(|(key, name, expires)| {
        let lent = checkout(&pool, key, now).dial().adopt(conn(name));
        (lent, secs(now, expires))
    });
    for (lent, expires) in lent {
        lent.put(|_, _| (), expires);
    }
    assert!(pool.look(secs(now, 4)).expired.is_empty());
    let names = |conns: Vec<Conn>| conns.iter().map(|conn| conn.name).collect::<Vec<_>>();
    assert_eq!(names(pool.look(secs(now, 10)).expired), [1, 2]);
    assert_eq!(pool.next_look(), Some(secs(now, 15)));
    assert_eq!(names(pool.drain_idle()), [3]);
    assert_eq!(counts(&pool), (0, 0, 0));
    assert_eq!(pool.next_look(), None);
}

/// A slot that comes free tells no time; the latest time told decides.
#[test]
fn a_waiter_is_not_granted_what_has_expired() {
    let now = Instant::now();
    let pool = pool(1, 0);
    let a = checkout(&pool, A, now).dial().adopt(conn(1));
    a.put(|_, _| (), secs(now, 5));
    let b = checkout(&pool, B, now).dial();
    let ticket = checkout(&pool, A, secs(now, 6)).queued();
    drop(b);
    let permit = ticket.claim().dial();
    assert_eq!(counts(&pool), (1, 1, 0));
    assert_eq!(pool.look(secs(now, 6)).expired.len(), 1);
    drop(permit);
}

#[test]
fn a_full_host_does_not_block_others() {
    // SPEC C4: a full host's waiters do not hold up another host's, whoever came
    // first; within a host it is first come, first served.
    let now = Instant::now();
    let pool = pool(3, 1);
    let a = checkout(&pool, A, now).dial();
    let first = checkout(&pool, A, now).queued();
    let second = checkout(&pool, A2, now).queued();
    let b = checkout(&pool, B, now).dial();
    let third = checkout(&pool, B, now).queued();
    drop(b);
    let b = third.claim().dial();
    let first = first.claim().waiting();
    let second = second.claim().waiting();
    drop(a);
    let second = second.claim().waiting();
    let a = first.claim().dial();
    drop(a);
    assert_eq!(*second.claim().dial().key(), A2);
    drop(b);
    assert_eq!(counts(&pool), (0, 0, 0));
}

#[test]
fn the_total_serves_in_order_of_arrival() {
    // SPEC C3: the total's queue is first come, first served across hosts.
    let now = Instant::now();
    let pool = pool(2, 0);
    let mut held = vec![
        checkout(&pool, A, now).dial(),
        checkout(&pool, B, now).dial(),
    ];
    let mut queue: Vec<_> = [B, A, A, B, A2]
        .into_iter()
        .map(|key| checkout(&pool, key, now).queued())
        .collect();
    while !queue.is_empty() {
        drop(held.remove(0));
        held.push(queue.remove(0).claim().dial());
        queue = queue
            .into_iter()
            .map(|ticket| ticket.claim().waiting())
            .collect();
    }
    held.clear();
    assert_eq!(counts(&pool), (0, 0, 0));
}

/// A timeout that crosses a grant loses neither connection nor permit.
#[test]
fn an_abandoned_grant_goes_to_the_next() {
    let now = Instant::now();
    let pool = pool(1, 0);
    let lent = checkout(&pool, A, now).dial().adopt(conn(1));
    let first = checkout(&pool, A, now).queued();
    let second = checkout(&pool, A, now).queued();
    let third = checkout(&pool, B, now).queued();
    let mut noted = None;
    lent.put(|id, _| noted = Some(id), secs(now, 15));
    drop(first);
    let lent = second.claim().taken();
    assert_eq!(lent.name, 1);
    drop(lent);
    // Third has its permit now; given up, the slot is free.
    assert_eq!(counts(&pool), (1, 0, 0));
    drop(third);
    assert_eq!(counts(&pool), (0, 0, 0));

    // Given up with nobody behind it, the connection is idle again, under the
    // name that was noted for it.
    let lent = checkout(&pool, A, now).dial().adopt(conn(2));
    let ticket = checkout(&pool, A, now).queued();
    lent.put(|id, _| noted = Some(id), secs(now, 15));
    drop(ticket);
    assert_eq!(counts(&pool), (0, 1, 0));
    assert_eq!(pool.next_look(), Some(secs(now, 15)));
    assert!(pool.take_idle(&A, noted.unwrap()).is_some());
}

#[test]
fn an_abandoned_place_is_skipped() {
    let now = Instant::now();
    let pool = pool(1, 0);
    let permit = checkout(&pool, A, now).dial();
    let first = checkout(&pool, A, now).queued();
    let second = checkout(&pool, A, now).queued();
    drop(first);
    assert_eq!(counts(&pool), (1, 0, 1));
    drop(permit);
    drop(second.claim().dial());
    assert_eq!(counts(&pool), (0, 0, 0));
}

/// A probe takes one named connection, above the limits if need be; the
/// waiters stay put until it is back.
#[test]
fn a_probe_holds_a_slot() {
    let now = Instant::now();
    let pool = pool(1, 1);
    let a = checkout(&pool, A, now).dial().adopt(conn(1));
    a.put(|id, conn| conn.id = Some(id), secs(now, 15));
    let lent = checkout(&pool, A, now).taken();
    let stale = lent.id.unwrap();
    let mut noted = None;
    lent.put(|id, _| noted = Some(id), secs(now, 15));
    let id = noted.unwrap();
    assert!(id > stale);
    assert!(pool.take_idle(&A, stale).is_none(), "an earlier stay");
    assert!(pool.take_idle(&B, id).is_none(), "another key");

    let b = checkout(&pool, B, now).dial();
    let probe = pool.take_idle(&A, id).unwrap();
    assert_eq!(probe.name, 1);
    assert_eq!(counts(&pool), (2, 0, 0));
    let ticket = checkout(&pool, A, now).queued();
    drop(b);
    let ticket = ticket.claim().waiting();
    probe.put(|_, _| (), secs(now, 15));
    assert_eq!(ticket.claim().taken().name, 1);
}

#[test]
fn a_probe_counts_for_its_host() {
    // SPEC C4: a probe counts for its host, whose waiters it may hold back.
    let now = Instant::now();
    let pool = pool(2, 1);
    let mut noted = None;
    let a = checkout(&pool, A, now).dial().adopt(conn(1));
    a.put(|id, _| noted = Some(id), secs(now, 15));
    let held = [B, C].map(|key| checkout(&pool, key, now).dial());
    let ticket = checkout(&pool, A2, now).queued();
    let probe = pool.take_idle(&A, noted.unwrap()).unwrap();
    drop(held);
    let ticket = ticket.claim().waiting();
    drop(probe);
    assert!(matches!(ticket.claim(), Claim::Dial(_)));
}

#[test]
fn a_dead_connection_is_dialed_again_in_its_slot() {
    let now = Instant::now();
    let pool = pool(1, 0);
    let lent = checkout(&pool, A, now).dial().adopt(conn(1));
    let ticket = checkout(&pool, A, now).queued();
    let permit = lent.into_permit();
    let ticket = ticket.claim().waiting();
    let lent = permit.adopt(conn(2));
    assert_eq!(pool.stats().opened, 2);
    lent.discard();
    assert!(matches!(ticket.claim(), Claim::Dial(_)));
}

#[test]
fn a_closed_pool_gives_and_keeps_nothing() {
    // SPEC C7.
    let now = Instant::now();
    let pool = pool(2, 0);
    let [one, two] = [1, 2].map(|name| checkout(&pool, A, now).dial().adopt(conn(name)));
    let granted = checkout(&pool, A, now).queued();
    let (count, waker) = Count::new();
    let waiting = pool.checkout(&A, now, || waker).queued();
    let dropped = checkout(&pool, B, now).queued();
    one.put(|_, _| (), secs(now, 15));
    let closed = pool.close().conns;
    assert_eq!(closed.len(), 1);
    assert_eq!(count.woken(), 1);
    assert_eq!(counts(&pool), (1, 0, 0));
    assert!(matches!(granted.claim(), Claim::Closed));
    assert!(matches!(waiting.claim(), Claim::Closed));
    drop(dropped);
    assert!(matches!(checkout(&pool, A, now), Checkout::Closed));
    two.put(|_, _| unreachable!("not kept"), secs(now, 15));
    assert_eq!(counts(&pool), (0, 0, 0));
    assert!(pool.close().conns.is_empty());
    assert!(lock(&pool.ledger).is_clean());
}

/// Dropped outside the lock (it locks the pool itself), and before its slot is
/// free.
#[test]
fn a_connection_is_dropped_before_its_slot_is_free() {
    struct Spy(Arc<Pool<TestKey, Self>>, Arc<AtomicUsize>);
    pooled!(Spy);
    impl Drop for Spy {
        fn drop(&mut self) {
            self.1.store(self.0.stats().in_use, Ordering::SeqCst);
        }
    }
    let now = Instant::now();
    let pool = Pool::new(Limits {
        total: 1,
        per_host: 0,
    });
    let in_use = Arc::new(AtomicUsize::new(9));
    let dial = || {
        let permit = pool.checkout(&A, now, || Waker::noop().clone()).dial();
        permit.adopt(Spy(Arc::clone(&pool), Arc::clone(&in_use)))
    };
    dial().discard();
    assert_eq!(in_use.load(Ordering::SeqCst), 1);
    // An expired one, which a checkout leaves to the sweep.
    dial().put(|_, _| (), secs(now, 1));
    let permit = pool
        .checkout(&A, secs(now, 2), || Waker::noop().clone())
        .dial();
    drop(permit);
    drop(pool.look(secs(now, 2)));
    // One that comes home to a closed pool.
    let lent = dial();
    assert!(pool.close().conns.is_empty());
    in_use.store(9, Ordering::SeqCst);
    lent.put(|_, _| (), secs(now, 9));
    assert_eq!(in_use.load(Ordering::SeqCst), 1);
    assert_eq!(pool.stats().in_use, 0);
}

/// A foreign waker or a foreign connection may panic: the account is settled.
#[test]
fn panics_of_others_lose_no_slot() {
    struct Bomb;
    pooled!(Bomb);
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("a hostile connection");
        }
    }
    let now = Instant::now();
    let pool: Arc<Pool<TestKey, Bomb>> = Pool::new(Limits {
        total: 1,
        per_host: 0,
    });
    let noop = || Waker::noop().clone();
    let hostile = || Waker::from(Arc::new(Hostile));
    let lent = pool.checkout(&A, now, noop).dial().adopt(Bomb);
    let first = pool.checkout(&A, now, hostile).queued();
    let second = pool.checkout(&A, now, noop).queued();
    assert!(panic::catch_unwind(AssertUnwindSafe(|| drop(lent))).is_err());
    drop(first.claim().dial());
    let lent = second.claim().dial().adopt(Bomb);
    // A waker that cannot even be made.
    let made = AssertUnwindSafe(|| drop(pool.checkout(&A, now, || panic!("no waker"))));
    assert!(panic::catch_unwind(made).is_err());
    assert_eq!(pool.stats().waiting, 0);
    // An expired connection that panics when it goes.
    lent.put(|_, _| (), secs(now, 1));
    let met = AssertUnwindSafe(|| drop(pool.look(secs(now, 2))));
    assert!(panic::catch_unwind(met).is_err());
    assert_eq!(pool.stats().in_use, 0);
    assert!(lock(&pool.ledger).is_clean());
}

#[test]
fn guards_cross_threads() {
    fn is_send<T: Send>() {}
    fn is_sync<T: Sync>() {}
    is_send::<Checkout<TestKey, Conn>>();
    is_send::<Claim<TestKey, Conn>>();
    is_sync::<Pool<TestKey, Conn>>();
}
