//! How many idle connections are kept, and which go.

use super::*;

fn capped(total: usize, per_host: usize) -> TestPool {
    let limits = Limits {
        total: 0,
        per_host: 0,
    };
    Pool::with_caps(limits, Some(Caps { total, per_host }))
}

/// Makes connections idle, in this order.
fn settle(pool: &TestPool, names: &[(TestKey, u32)], now: Instant) {
    let lent: Vec<_> = names
        .iter()
        .map(|&(key, name)| match checkout(pool, key, now) {
            Checkout::Dial(permit) => permit.adopt(conn(name)),
            other => panic!("{other:?}"),
        })
        .collect();
    for lent in lent {
        lent.put(|id, conn| conn.id = Some(id), secs(now, 10));
    }
}

fn names(conns: Vec<Conn>) -> Vec<u32> {
    let mut names: Vec<_> = conns.iter().map(|conn| conn.name).collect();
    names.sort_unstable();
    names
}

#[test]
fn the_oldest_go_first() {
    // SPEC P4
    let base = Instant::now();
    let all = [(A, 1), (B, 2), (A, 3), (C, 4), (A2, 5), (B, 6)];
    let cases: [(usize, usize, &[u32]); 6] = [
        (6, 3, &[]),
        (5, 9, &[1]),
        (2, 9, &[1, 2, 3, 4]),
        (0, 9, &[1, 2, 3, 4, 5, 6]),
        (9, 1, &[1, 2, 3]),
        (2, 2, &[1, 2, 3, 4]),
    ];
    for (total, per_host, expected) in cases {
        let pool = capped(total, per_host);
        settle(&pool, &all, base);
        let is_due = pool.next_look().is_some_and(|at| at <= base);
        assert_eq!(is_due, !expected.is_empty(), "{total} {per_host}");
        let gone = names(pool.look(base).expired);
        assert_eq!(gone, expected, "{total} {per_host}");
        assert_eq!(pool.stats().idle, all.len() - expected.len());
        assert!(pool.next_look().is_none_or(|at| at > base));
        assert!(pool.look(base).expired.is_empty());
        drop(pool.drain_idle());
        assert!(lock(&pool.ledger).is_clean());
    }
}

#[test]
fn a_waiter_takes_what_would_be_too_much() {
    let base = Instant::now();
    let limits = Limits {
        total: 1,
        per_host: 0,
    };
    let none = Caps {
        total: 0,
        per_host: 0,
    };
    let pool: TestPool = Pool::with_caps(limits, Some(none));
    let Checkout::Dial(permit) = checkout(&pool, A, base) else {
        panic!("a slot is free");
    };
    let lent = permit.adopt(conn(1));
    let Checkout::Queued(ticket) = checkout(&pool, A, base) else {
        panic!("no slot is free");
    };
    lent.put(|_, _| (), secs(base, 10));
    assert!(pool.look(base).expired.is_empty());
    let Claim::Taken(lent) = ticket.claim() else {
        panic!("it was granted");
    };
    assert_eq!(lent.name, 1);
    lent.put(|_, _| (), secs(base, 10));
    assert_eq!(names(pool.look(base).expired), [1]);
}

#[test]
fn a_caller_tells_the_steward() {
    let base = Instant::now();
    let pool = capped(1, 9);
    settle(&pool, &[(A, 1)], base);
    let Lending::Dial(permit) = pool.lend(&B, base, LeaseId(1)) else {
        panic!("a slot is free");
    };
    let listing = pool.list(LeaseId(1), 2).expect("open");
    let mut second = conn(2);
    second.watched = true;
    let lease = Lease::new(listing, permit.adopt(second));
    assert_eq!(lease.put(secs(base, 10), base), Tell::Look);
    assert_eq!(names(pool.look(base).expired), [1]);
}
