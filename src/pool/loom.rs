//! Model checks of the pool: every interleaving of two threads, no lost
//! wake-up, no lost slot. A lost wake-up shows as a deadlock.

mod leases;

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use loom::future::block_on;
use loom::thread;

use super::{Checkout, Claim, Key, Lent, Limits, Permit, Pool, Pooled, Ticket};

impl Key for u8 {
    type Host = Self;

    fn host(&self) -> &Self {
        self
    }
}

impl Pooled for u8 {
    type Socket = Self;
    type Rest = Self;

    fn socket(&self) -> Self {
        *self
    }

    fn is_watched(&self) -> bool {
        true
    }
}

type LoomPool = Arc<Pool<u8, u8>>;

fn pool() -> (LoomPool, Instant) {
    let limits = Limits {
        total: 1,
        per_host: 0,
    };
    (Pool::new(limits), Instant::now())
}

fn lent(pool: &LoomPool, now: Instant) -> Lent<u8, u8> {
    match pool.checkout(&1, now, || Waker::noop().clone()) {
        Checkout::Dial(permit) => permit.adopt(7),
        _ => panic!("an empty pool gives a permit"),
    }
}

fn queued(pool: &LoomPool, now: Instant) -> Ticket<u8, u8> {
    match pool.checkout(&1, now, || Waker::noop().clone()) {
        Checkout::Queued(ticket) => ticket,
        _ => panic!("a full pool queues"),
    }
}

/// Blocks until the pool gives something for `key`: a connection, a permit, or
/// `None` when it is closed.
fn obtain(pool: &LoomPool, key: u8, now: Instant) -> Option<Result<Lent<u8, u8>, Permit<u8, u8>>> {
    let mut ticket = None;
    block_on(poll_fn(|cx| {
        let claim = match ticket.take() {
            Some(waiting) => Ticket::claim(waiting),
            None => match pool.checkout(&key, now, || cx.waker().clone()) {
                Checkout::Taken(lent) => Claim::Taken(lent),
                Checkout::Dial(permit) => Claim::Dial(permit),
                Checkout::Queued(ticket) => Claim::Waiting(ticket),
                Checkout::Closed => Claim::Closed,
            },
        };
        match claim {
            Claim::Taken(lent) => Poll::Ready(Some(Ok(lent))),
            Claim::Dial(permit) => Poll::Ready(Some(Err(permit))),
            Claim::Waiting(waiting) => {
                ticket = Some(waiting);
                Poll::Pending
            }
            Claim::Closed => Poll::Ready(None),
        }
    }))
}

/// "Nothing idle: queue me" against "it came home: whom do I serve".
#[test]
fn put_against_checkout() {
    loom::model(|| {
        let (pool, now) = pool();
        let conn = lent(&pool, now);
        let giver = thread::spawn(move || conn.put(|_, _| (), now + Duration::from_secs(9)));
        let got = obtain(&pool, 1, now);
        assert!(matches!(got, Some(Ok(_))), "the connection that came home");
        giver.join().unwrap();
        assert_eq!(pool.stats().in_use, 1);
    });
}

/// A discarded connection of one host gives its slot to another's waiter.
#[test]
fn discard_against_checkout() {
    loom::model(|| {
        let (pool, now) = pool();
        let conn = lent(&pool, now);
        let giver = thread::spawn(move || conn.discard());
        assert!(matches!(obtain(&pool, 2, now), Some(Err(_))));
        giver.join().unwrap();
    });
}

/// A ticket given up while it is granted: the connection is not lost, and the
/// one behind it is served.
#[test]
fn abandon_against_grant() {
    loom::model(|| {
        let (pool, now) = pool();
        let conn = lent(&pool, now);
        let ticket = queued(&pool, now);
        let giver = thread::spawn(move || conn.put(|_, _| (), now + Duration::from_secs(9)));
        let quitter = thread::spawn(move || drop(ticket));
        let got = obtain(&pool, 1, now);
        assert!(matches!(got, Some(Ok(_))));
        giver.join().unwrap();
        quitter.join().unwrap();
        drop(got);
        assert_eq!(pool.stats().in_use, 0);
        assert_eq!(pool.stats().waiting, 0);
    });
}

#[test]
fn close_against_put_and_waiter() {
    loom::model(|| {
        let (pool, now) = pool();
        let conn = lent(&pool, now);
        let giver = thread::spawn(move || conn.put(|_, _| (), now + Duration::from_secs(9)));
        let closer = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || pool.close().conns.len())
        };
        let got = obtain(&pool, 1, now);
        giver.join().unwrap();
        closer.join().unwrap();
        drop(got);
        let stats = pool.stats();
        assert_eq!((stats.in_use, stats.idle, stats.waiting), (0, 0, 0));
    });
}
