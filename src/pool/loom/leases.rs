//! Leases: one winner of what is parked, a cancellation that meets the exchange
//! it was meant for or none, and nobody who waits beside what lies parked.

use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use super::super::{
    Checkout, Claim, Lease, LeaseId, Lending, Limits, Pool, Pooled, Revocation, Revoked, Tell,
};

/// A connection whose socket can be shut, and that nobody watches.
#[derive(Clone, Debug)]
struct Wire(Shut);

type Shut = Arc<AtomicBool>;

impl Pooled for Wire {
    type Socket = Shut;
    type Rest = &'static str;

    fn socket(&self) -> Shut {
        Arc::clone(&self.0)
    }

    fn is_watched(&self) -> bool {
        false
    }
}

type WirePool = Arc<Pool<u8, Wire>>;

const KEY: u8 = 1;
const FIRST: LeaseId = LeaseId(1);
const SECOND: LeaseId = LeaseId(2);

/// When a regular look is due after something came home, and a bit.
const LOOK: Duration = Duration::from_secs(1);

fn pool() -> (WirePool, Instant) {
    let limits = Limits {
        total: 1,
        per_host: 0,
    };
    (Pool::new(limits), Instant::now())
}

/// A lease of a new connection.
fn lease(pool: &WirePool, now: Instant, id: LeaseId) -> Lease<u8, Wire> {
    let wire = Wire(Arc::new(AtomicBool::new(false)));
    let Some(listing) = pool.list(id, wire.socket()) else {
        panic!("the pool is open");
    };
    match pool.lend(&KEY, now, id) {
        Lending::Dial(permit) => Lease::new(listing, permit.adopt(wire)),
        _ => panic!("an empty pool gives a permit"),
    }
}

/// One that is parked.
fn parked(pool: &WirePool, now: Instant, id: LeaseId) {
    let told = lease(pool, now, id).park(id, "rest", None, now);
    assert!(matches!(told, Ok(Tell::Look)));
}

/// One that is idle.
fn idle(pool: &WirePool, now: Instant) {
    let told = lease(pool, now, SECOND).put(later(now), now);
    assert_eq!(told, Tell::Look);
}

fn later(now: Instant) -> Instant {
    now + Duration::from_secs(15)
}

#[track_caller]
fn assert_at_rest(pool: &WirePool) {
    let stats = pool.stats();
    assert_eq!((stats.in_use, stats.idle, stats.waiting), (0, 0, 0));
    assert!(matches!(pool.revoke(FIRST), Revocation::Unknown));
}

/// The caller, the steward and a canceller reach for the same connection.
#[test]
fn one_takes_what_is_parked() {
    loom::model(|| {
        let (pool, now) = pool();
        parked(&pool, now, FIRST);
        let steward = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || pool.unpark(FIRST).is_some())
        };
        let canceller = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || match pool.revoke(FIRST) {
                Revocation::Parked(..) => (true, false),
                Revocation::Lent(_) => (false, true),
                Revocation::Unknown => (false, false),
            })
        };
        let resumed = pool.resume(FIRST);
        let unparked = steward.join().unwrap();
        // It is somebody's all the while, so a cancellation reaches somebody.
        let (seized, marked) = canceller.join().unwrap();
        let winners = usize::from(resumed.is_some()) + usize::from(unparked) + usize::from(seized);
        assert_eq!(winners, 1);
        assert_eq!(marked, resumed.is_some());
        let resumed = resumed.map(|(lease, rest)| {
            assert_eq!(rest, "rest");
            lease.discard()
        });
        // Whoever drives when it is cancelled learns it.
        let told = resumed.flatten() == Some(Revoked::Cancelled);
        assert_eq!(marked, told);
        assert_at_rest(&pool);
    });
}

/// Before the connection is parked its driver is told, after that the steward
/// has it.
#[test]
fn revoke_against_park() {
    loom::model(|| {
        let (pool, now) = pool();
        let driven = lease(&pool, now, FIRST);
        let canceller = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || match pool.revoke(FIRST) {
                Revocation::Parked(lent, rest) => {
                    assert_eq!(rest, "rest");
                    lent.discard();
                    true
                }
                Revocation::Lent(socket) => {
                    socket.store(true, Ordering::SeqCst);
                    false
                }
                Revocation::Unknown => panic!("it is driven, or it is parked"),
            })
        };
        let parked = match driven.park(FIRST, "rest", None, now) {
            Ok(_) => true,
            Err((why, rest)) => {
                assert_eq!((why, rest), (Revoked::Cancelled, "rest"));
                false
            }
        };
        assert_eq!(canceller.join().unwrap(), parked);
        assert_at_rest(&pool);
    });
}

/// A cancellation meets the exchange it was meant for, or none: what is lent
/// again is a connection nobody has shut, and nobody will.
#[test]
fn revoke_against_put_and_the_next_lease() {
    loom::model(|| {
        let (pool, now) = pool();
        let driven = lease(&pool, now, FIRST);
        let canceller = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || match pool.revoke(FIRST) {
                Revocation::Lent(socket) => {
                    socket.store(true, Ordering::SeqCst);
                    true
                }
                Revocation::Parked(..) => panic!("it was never parked"),
                Revocation::Unknown => false,
            })
        };
        driven.put(later(now), now);
        let next = pool.lend(&KEY, now, SECOND);
        let cancelled = canceller.join().unwrap();
        match next {
            Lending::Taken(lease) => {
                assert!(!cancelled, "it came home though it was cancelled");
                assert!(!lease.0.load(Ordering::SeqCst));
                assert_eq!(lease.discard(), None);
            }
            Lending::Dial(permit) => {
                assert!(cancelled, "it should have come home");
                drop(permit);
            }
            Lending::Busy | Lending::Closed => panic!("the slot is lost"),
        }
        assert_at_rest(&pool);
    });
}

/// Closing finds the connection once, wherever its driver is with it.
#[test]
fn close_against_lend_and_park() {
    loom::model(|| {
        let (pool, now) = pool();
        idle(&pool, now);
        let closer = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || {
                let remains = pool.close();
                for socket in &remains.driven {
                    socket.store(true, Ordering::SeqCst);
                }
                (
                    remains.conns.len(),
                    remains.driven.len(),
                    remains.parked.len(),
                )
            })
        };
        let driven = match pool.lend(&KEY, now, FIRST) {
            Lending::Taken(lease) => Some(lease.park(FIRST, "rest", None, now)),
            Lending::Closed => None,
            _ => panic!("it is idle, or the pool is closed"),
        };
        let found = closer.join().unwrap();
        match driven {
            None => assert_eq!(found, (1, 0, 0)),
            Some(Err((why, _))) => {
                assert_eq!((why, found), (Revoked::Closed, (0, 1, 0)));
            }
            Some(Ok(_)) => assert_eq!(found, (0, 0, 1)),
        }
        assert_at_rest(&pool);
    });
}

#[test]
fn close_against_lend_and_put() {
    loom::model(|| {
        let (pool, now) = pool();
        idle(&pool, now);
        let closer = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || {
                let remains = pool.close();
                (remains.conns.len(), remains.driven.len())
            })
        };
        if let Lending::Taken(lease) = pool.lend(&KEY, now, FIRST) {
            lease.put(later(now), now);
        }
        let (conns, driven) = closer.join().unwrap();
        assert_eq!(conns + driven, 1);
        assert_at_rest(&pool);
    });
}

/// Whoever opens a connection while the pool is closed is told before or after.
#[test]
fn close_against_list() {
    loom::model(|| {
        let (pool, _) = pool();
        let closer = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || pool.close().driven.len())
        };
        let listed = pool.list(FIRST, Shut::default());
        let found = closer.join().unwrap();
        match listed {
            None => assert_eq!(found, 0),
            Some(listing) => {
                assert_eq!(found, 1);
                assert_eq!(listing.end(), Some(Revoked::Closed));
            }
        }
        assert_at_rest(&pool);
    });
}

/// A waiter that queues and then takes over what lies parked, against a caller
/// that parks and then says so if somebody waits: one of them sees the other.
#[test]
fn queue_against_park() {
    loom::model(|| {
        let (pool, now) = pool();
        let driven = lease(&pool, now, FIRST);
        let caller = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || {
                let told = driven.park(FIRST, "rest", None, now);
                if matches!(told, Ok(Tell::TakeOver)) {
                    drop(pool.unpark(FIRST));
                }
            })
        };
        let Checkout::Queued(ticket) = pool.checkout(&KEY, now, || Waker::noop().clone()) else {
            panic!("the one slot is in use");
        };
        drop(pool.unpark_all());
        caller.join().unwrap();
        assert!(
            matches!(ticket.claim(), Claim::Dial(_)),
            "it waits beside what is parked"
        );
        assert_at_rest(&pool);
    });
}

/// What comes home unwatched while the steward looks is either found by it, or
/// will be: it has planned another look behind it, or is told to.
#[test]
fn look_against_put() {
    loom::model(|| {
        let (pool, now) = pool();
        // So that a look is planned already.
        idle(&pool, now);
        let Lending::Taken(driven) = pool.lend(&KEY, now, FIRST) else {
            panic!("it is idle");
        };
        let steward = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || {
                let found = pool.look(now + LOOK).unwatched.len();
                (found, pool.next_look())
            })
        };
        let told = driven.put(later(now), now);
        let (found, next) = steward.join().unwrap();
        let planned = next.is_some_and(|at| at <= now + 2 * LOOK);
        assert!(found == 1 || planned || told == Tell::Look);
        drop(pool.drain_idle());
        assert_at_rest(&pool);
    });
}

/// The same for what is parked.
#[test]
fn look_against_park() {
    loom::model(|| {
        let (pool, now) = pool();
        idle(&pool, now);
        let Lending::Taken(driven) = pool.lend(&KEY, now, FIRST) else {
            panic!("it is idle");
        };
        let steward = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || {
                let found = pool.look(now + LOOK).stale.len();
                (found, pool.next_look())
            })
        };
        let told = driven.park(FIRST, "rest", None, now);
        let (found, next) = steward.join().unwrap();
        let planned = next.is_some_and(|at| at <= now + 2 * LOOK);
        assert!(found == 1 || planned || matches!(told, Ok(Tell::Look)));
        drop(pool.unpark(FIRST));
        assert_at_rest(&pool);
    });
}
