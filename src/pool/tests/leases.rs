//! The verbs of leases.

use super::*;

const ONE: LeaseId = LeaseId(1);
const TWO: LeaseId = LeaseId(2);
const THREE: LeaseId = LeaseId(3);

/// What a caller's connection is: out of the poller's sight.
fn own(name: u32) -> Conn {
    Conn {
        watched: false,
        ..conn(name)
    }
}

fn ms(base: Instant, millis: u64) -> Instant {
    base + Duration::from_millis(millis)
}

impl<C: Pooled> Lending<TestKey, C> {
    fn taken(self) -> Lease<TestKey, C> {
        match self {
            Self::Taken(lease) => lease,
            _ => panic!("not taken"),
        }
    }

    fn dial(self) -> Permit<TestKey, C> {
        match self {
            Self::Dial(permit) => permit,
            _ => panic!("no permit"),
        }
    }
}

/// A lease of a new connection, as a caller gets one that has dialed.
fn opened(
    pool: &TestPool,
    key: TestKey,
    id: LeaseId,
    name: u32,
    now: Instant,
) -> Lease<TestKey, Conn> {
    let permit = pool.lend(&key, now, id).dial();
    let listing = pool.list(id, name).expect("the pool is open");
    Lease::new(listing, permit.adopt(own(name)))
}

fn is_clean(pool: &TestPool) -> bool {
    lock(&pool.ledger).is_clean()
}

/// A closed pool may keep nothing, and an open one at rest neither.
#[track_caller]
fn assert_clean(pool: &TestPool) {
    assert_eq!(counts(pool), (0, 0, 0));
    assert!(is_clean(pool));
}

#[test]
fn lending_never_queues() {
    // SPEC C8 without the queue: an idle one, else a permit, else nothing.
    let now = Instant::now();
    let pool = pool(2, 1);
    let permit = pool.lend(&A, now, ONE).dial();
    assert_eq!(counts(&pool), (1, 0, 0));
    assert!(matches!(pool.lend(&A2, now, TWO), Lending::Busy));
    let other = pool.lend(&B, now, TWO).dial();
    assert!(matches!(pool.lend(&C, now, THREE), Lending::Busy));
    assert_eq!(counts(&pool), (2, 0, 0));
    drop(other);

    permit.adopt(own(1)).put(|_, _| (), secs(now, 15));
    let lease = pool.lend(&A, now, ONE).taken();
    assert_eq!(lease.name, 1);
    assert_eq!(counts(&pool), (1, 0, 0));
    assert_eq!((pool.stats().opened, pool.stats().reused), (1, 1));
    assert_eq!(lease.discard(), None);
    assert_clean(&pool);

    drop(pool.close());
    assert!(matches!(pool.lend(&A, now, ONE), Lending::Closed));
    assert!(pool.list(ONE, 1).is_none());
}

#[test]
fn an_expired_connection_is_not_lent() {
    // SPEC C1.
    let now = Instant::now();
    let pool = pool(0, 0);
    opened(&pool, A, ONE, 1, now).put(secs(now, 5), now);
    drop(pool.lend(&A, secs(now, 5), ONE).dial());
    assert_eq!(pool.lend(&A, secs(now, 4), ONE).dial().key(), &A);
    assert_eq!(pool.look(secs(now, 5)).expired.len(), 1);
    assert_clean(&pool);
}

#[test]
fn a_lease_comes_home_and_serves_whoever_waits() {
    let now = Instant::now();
    let pool = pool(1, 0);
    let lease = opened(&pool, A, ONE, 1, now);
    assert_eq!(counts(&pool), (1, 0, 0));
    assert_eq!(lease.put(secs(now, 15), now), Tell::Look);
    assert_eq!(counts(&pool), (0, 1, 0));

    let lease = pool.lend(&A, now, ONE).taken();
    let (count, waker) = Count::new();
    let ticket = pool.checkout(&A, now, || waker).queued();
    assert_eq!(lease.put(secs(now, 15), now), Tell::Nothing, "planned");
    assert_eq!(count.woken(), 1);
    assert_eq!(counts(&pool), (1, 0, 0));
    assert_eq!(ticket.claim().taken().name, 1);

    // Whoever discards frees a slot.
    let lease = opened(&pool, A, ONE, 2, now);
    let ticket = checkout(&pool, B, now).queued();
    assert_eq!(lease.discard(), None);
    drop(ticket.claim().dial());
    assert_clean(&pool);
}

/// When putting tells the steward to look: unless it will look by then anyway,
/// or its poller tells.
#[test]
fn putting_plans_a_look() {
    let now = Instant::now();
    // Watched, the planned look, when it expires, what is told, what is planned.
    let cases = [
        (false, None, 15_000, Tell::Look, 1000),
        (true, None, 15_000, Tell::Nothing, 15_000),
        (false, Some(15_000), 15_000, Tell::Nothing, 1000),
        (false, Some(15_000), 400, Tell::Look, 400),
        (false, Some(300), 15_000, Tell::Nothing, 300),
    ];
    for (watched, planned, expires, told, next) in cases {
        let pool = pool(0, 0);
        if let Some(expires) = planned {
            opened(&pool, B, TWO, 9, now).put(ms(now, expires), now);
        }
        let mut lease = opened(&pool, A, ONE, 1, now);
        lease.watched = watched;
        assert_eq!(lease.put(ms(now, expires), now), told);
        assert_eq!(pool.next_look(), Some(ms(now, next)));
    }
}

/// Parking keeps the slot, and whoever takes the connection out has it.
#[test]
fn what_is_parked_holds_its_slot() {
    let now = Instant::now();
    let pool = pool(1, 1);
    for name in 1..4 {
        let lease = opened(&pool, A, ONE, name, now);
        let told = lease.park(ONE, "rest", None, now);
        assert_eq!(told, Ok(if name == 1 { Tell::Look } else { Tell::Nothing }));
        assert_eq!(counts(&pool), (1, 0, 0));
        assert!(matches!(pool.lend(&A, now, TWO), Lending::Busy));
        assert!(pool.resume(TWO).is_none() && pool.unpark(TWO).is_none());
        match name {
            1 => {
                let (lease, rest) = pool.resume(ONE).expect("it is parked");
                assert_eq!((lease.name, rest), (1, "rest"));
                assert!(pool.resume(ONE).is_none() && pool.unpark(ONE).is_none());
                assert_eq!(counts(&pool), (1, 0, 0));
                // And again under another name.
                assert_eq!(lease.park(TWO, "more", None, now), Ok(Tell::Nothing));
                assert!(pool.resume(ONE).is_none());
                let (lease, rest) = pool.resume(TWO).expect("it is parked");
                assert_eq!(rest, "more");
                lease.put(secs(now, 15), now);
                assert_eq!(counts(&pool), (0, 1, 0));
                assert_eq!(pool.drain_idle().len(), 1);
            }
            2 => {
                let (lent, rest) = pool.unpark(ONE).expect("it is parked");
                assert_eq!((lent.name, *lent.key(), rest), (2, A, "rest"));
                assert_eq!(counts(&pool), (1, 0, 0));
                lent.discard();
            }
            _ => match pool.revoke(ONE) {
                Revocation::Parked(lent, "rest") => assert_eq!(lent.name, 3),
                other => panic!("{other:?}"),
            },
        }
        assert_clean(&pool);
    }
}

#[test]
fn all_that_is_parked_is_taken_out_together() {
    let now = Instant::now();
    let pool = pool(0, 0);
    let driven = opened(&pool, A, THREE, 3, now);
    for (key, id, name) in [(A, ONE, 1), (B, TWO, 2)] {
        let lease = opened(&pool, key, id, name, now);
        assert!(lease.park(id, "rest", None, now).is_ok());
    }
    let mut taken = pool.unpark_all();
    taken.sort_by_key(|(id, ..)| *id);
    let names: Vec<_> = taken.iter().map(|(id, lent, _)| (*id, lent.name)).collect();
    assert_eq!(names, [(ONE, 1), (TWO, 2)]);
    assert!(pool.unpark_all().is_empty());
    assert_eq!(counts(&pool), (3, 0, 0));
    drop((taken, driven));
    assert_clean(&pool);
}

/// Nobody is to wait beside a slot that merely lies there.
#[test]
fn parking_says_so_when_somebody_waits() {
    let now = Instant::now();
    let pool = pool(1, 0);
    let lease = opened(&pool, A, ONE, 1, now);
    let ticket = checkout(&pool, B, now).queued();
    assert_eq!(lease.park(ONE, "rest", None, now), Ok(Tell::TakeOver));
    assert_eq!(counts(&pool), (1, 0, 1));
    let ticket = ticket.claim().waiting();
    let (lent, _) = pool.unpark(ONE).expect("it is parked");
    lent.discard();
    drop(ticket.claim().dial());

    // A waiter that has gone, or been granted something, counts no more.
    let lease = opened(&pool, A, ONE, 2, now);
    drop(checkout(&pool, B, now).queued());
    assert_eq!(lease.park(ONE, "rest", None, now), Ok(Tell::Nothing));
    drop(pool.unpark(ONE));
    assert_clean(&pool);
}

/// Until a limit passes, or for one whole period and no more than two.
#[test]
fn parking_plans_a_look_by_the_deadline() {
    let now = Instant::now();
    for (deadline, next) in [(None, 1000), (Some(400), 400), (Some(9000), 1000)] {
        let pool = pool(0, 0);
        let lease = opened(&pool, A, ONE, 1, now);
        let deadline = deadline.map(|at| ms(now, at));
        assert_eq!(lease.park(ONE, "rest", deadline, now), Ok(Tell::Look));
        assert_eq!(pool.next_look(), Some(ms(now, next)));
    }
}

#[test]
fn a_look_takes_what_has_lain_parked_for_a_period() {
    let now = Instant::now();
    let pool = pool(0, 0);
    // The look at 1000 is planned here, and sees both for the first time.
    let lease = opened(&pool, A, ONE, 1, now);
    assert!(lease.park(ONE, "one", None, now).is_ok());
    let lease = opened(&pool, A, TWO, 2, now);
    assert!(lease.park(TWO, "two", None, ms(now, 900)).is_ok());
    assert!(pool.look(ms(now, 999)).stale.is_empty(), "too early");
    assert!(pool.look(ms(now, 1000)).stale.is_empty(), "seen once");
    assert_eq!(pool.next_look(), Some(ms(now, 2000)));

    // The second was touched in between.
    let (lease, rest) = pool.resume(TWO).expect("it is parked");
    assert!(lease.park(TWO, rest, None, ms(now, 1500)).is_ok());
    let stale = pool.look(ms(now, 2000)).stale;
    let [(ONE, lent, "one")] = &stale[..] else {
        panic!("{stale:?}");
    };
    assert_eq!(lent.name, 1);
    drop(stale);
    assert_eq!(counts(&pool), (1, 0, 0));
    let stale = pool.look(ms(now, 3000)).stale;
    assert!(matches!(&stale[..], [(TWO, ..)]));
    drop(stale);
    assert_eq!(pool.next_look(), None, "nothing is left to look after");
    assert_clean(&pool);
}

#[test]
fn a_look_takes_what_is_due() {
    let now = Instant::now();
    let pool = pool(0, 0);
    for (id, deadline) in [(ONE, 200), (TWO, 1300), (THREE, 700)] {
        let lease = opened(&pool, A, id, 1, now);
        assert!(lease.park(id, "rest", Some(ms(now, deadline)), now).is_ok());
    }
    let found = |at| {
        let stale = pool.look(ms(now, at)).stale;
        stale.into_iter().map(|(id, ..)| id).collect::<Vec<_>>()
    };
    assert!(found(199).is_empty());
    assert_eq!(found(200), [ONE]);
    // The next deadline is nearer than the next sweep.
    assert_eq!(pool.next_look(), Some(ms(now, 700)));
    assert_eq!(found(700), [THREE]);
    assert_eq!(pool.next_look(), Some(ms(now, 1000)));
    assert!(found(1000).is_empty(), "seen once");
    assert_eq!(pool.next_look(), Some(ms(now, 1300)));
    assert_eq!(found(1300), [TWO]);
    assert_clean(&pool);
}

/// What is due comes often where much is parked for a short while. What has just come
/// home does not come into the poller's sight for it, and what is parked for long stays.
#[test]
fn a_look_at_what_is_due_is_no_sweep() {
    let now = Instant::now();
    let pool = pool(0, 0);
    let idle = opened(&pool, A, ONE, 1, now);
    idle.put(secs(now, 15), now);
    let long = opened(&pool, C, TWO, 2, now);
    assert!(long.park(TWO, "rest", None, now).is_ok());
    for at in (0..=990).step_by(5) {
        let lease = opened(&pool, B, THREE, 3, ms(now, at));
        let due = Some(ms(now, at + 5));
        assert!(lease.park(THREE, "soon", due, ms(now, at)).is_ok());
        assert_eq!(pool.next_look(), due);
        let look = pool.look(ms(now, at + 5));
        assert!(matches!(&look.stale[..], [(THREE, ..)]));
        assert!(look.unwatched.is_empty());
    }
    assert_eq!(pool.next_look(), Some(ms(now, 1000)));
    drop(pool.look(ms(now, 1000)));
    let look = pool.look(ms(now, 2000));
    assert!(matches!(&look.stale[..], [(TWO, ..)]));
    assert!(matches!(&look.unwatched[..], [idle] if idle.socket == 1));
}

/// Idle connections come into the poller's sight once they have lain for a
/// while: one that is used all the time never does.
#[test]
fn a_look_finds_what_has_lain_unwatched_for_a_period() {
    let now = Instant::now();
    let pool = pool(0, 0);
    let [cold, hot] = [(A, ONE, 1), (B, TWO, 2)].map(|(key, id, name)| {
        let lease = opened(&pool, key, id, name, now);
        (lease, key)
    });
    cold.0.put(secs(now, 15), now);
    hot.0.put(secs(now, 15), now);
    // One that came from the steward: its poller knows it.
    let watched = checkout(&pool, C, now).dial().adopt(conn(3));
    watched.put(|_, _| (), secs(now, 15));
    let look = pool.look(ms(now, 1000));
    assert!(look.unwatched.is_empty(), "they have only just come");
    assert_eq!(pool.next_look(), Some(ms(now, 2000)));

    let lease = pool.lend(&hot.1, ms(now, 1500), TWO).taken();
    lease.put(secs(now, 16), ms(now, 1500));
    let found = pool.look(ms(now, 2000)).unwatched;
    let [idle] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!((idle.key, idle.socket), (A, 1));
    assert_eq!(idle.expires, secs(now, 15));
    assert_eq!(counts(&pool), (0, 3, 0), "it stays where it is");
    assert!(pool.with_idle(&idle.key, idle.id, |conn| conn.watched = true));

    let found = pool.look(ms(now, 3000)).unwatched;
    assert!(matches!(&found[..], [idle] if idle.socket == 2));
    assert_eq!(pool.next_look(), Some(secs(now, 15)), "only expiries");
}

/// A connection that was granted while the steward looked, and is given back
/// by its ticket, must not lie out of everybody's sight.
#[test]
fn an_abandoned_grant_is_looked_after() {
    let now = Instant::now();
    let pool = pool(1, 0);
    let lease = opened(&pool, A, ONE, 1, now);
    let ticket = checkout(&pool, A, now).queued();
    lease.put(secs(now, 60), now);
    assert!(pool.look(secs(now, 1)).unwatched.is_empty(), "granted");
    drop(ticket);
    assert_eq!(counts(&pool), (0, 1, 0));
    let mut at = secs(now, 1);
    let mut found = 0;
    while found == 0 {
        at = pool.next_look().expect("something idle");
        assert!(at <= secs(now, 3), "nobody looks before it expires");
        found = pool.look(at).unwatched.len();
    }
    assert!(at > secs(now, 1));
}

/// Only the stay that was meant is changed.
#[test]
fn a_named_idle_connection_is_found_while_it_lies_there() {
    let now = Instant::now();
    let pool = pool(0, 0);
    let mut noted = None;
    let lent = checkout(&pool, A, now).dial().adopt(own(1));
    lent.put(|id, _| noted = Some(id), secs(now, 15));
    let id = noted.expect("an id");
    assert!(pool.with_idle(&A, id, |conn| conn.watched = true));
    assert!(!pool.with_idle(&B, id, |_| unreachable!("another host's")));
    let lease = pool.lend(&A, now, ONE).taken();
    assert!(lease.watched);
    assert!(!pool.with_idle(&A, id, |_| unreachable!("it is lent")));
    lease.put(secs(now, 15), now);
    assert!(!pool.with_idle(&A, id, |_| unreachable!("a later stay")));
    drop(pool.drain_idle());
    assert_clean(&pool);
}

/// A cancelled connection is never used again, whatever its driver does with it.
#[test]
fn a_revoked_connection_does_not_come_home() {
    let now = Instant::now();
    let pool = pool(1, 0);
    let drop_it: fn(Lease<TestKey, Conn>, Instant) = |lease, _| drop(lease);
    let ends: [fn(Lease<TestKey, Conn>, Instant); 4] = [
        |lease, now| assert_eq!(lease.put(secs(now, 15), now), Tell::Nothing),
        |lease, now| {
            let parked = lease.park(ONE, "rest", None, now);
            assert_eq!(parked, Err((Revoked::Cancelled, "rest")));
        },
        |lease, _| assert_eq!(lease.discard(), Some(Revoked::Cancelled)),
        drop_it,
    ];
    for (name, end) in ends.into_iter().enumerate() {
        let lease = opened(&pool, A, ONE, name as u32, now);
        match pool.revoke(ONE) {
            Revocation::Lent(socket) => assert_eq!(socket, name as u32),
            other => panic!("{other:?}"),
        }
        // Twice is once.
        assert!(matches!(pool.revoke(ONE), Revocation::Lent(_)));
        let ticket = checkout(&pool, A, now).queued();
        assert_eq!(counts(&pool), (1, 0, 1), "its driver has it still");
        end(lease, now);
        drop(ticket.claim().dial());
        assert!(matches!(pool.revoke(ONE), Revocation::Unknown));
        assert!(pool.resume(ONE).is_none());
        assert_clean(&pool);
    }
}

#[test]
fn a_listing_is_found_and_goes() {
    let now = Instant::now();
    let pool = pool(0, 0);
    let listing = pool.list(ONE, 7).expect("the pool is open");
    assert_eq!(counts(&pool), (0, 0, 0), "a name is no slot");
    assert!(matches!(pool.revoke(ONE), Revocation::Lent(7)));
    assert_eq!(listing.end(), Some(Revoked::Cancelled));
    let listing = pool.list(ONE, 8).expect("the pool is open");
    assert_eq!(listing.end(), None);
    drop(pool.list(ONE, 9));
    assert!(matches!(pool.revoke(ONE), Revocation::Unknown));
    // The mark stays with the name while it becomes a lease's.
    let permit = pool.lend(&A, now, ONE).dial();
    let listing = pool.list(ONE, 1).expect("the pool is open");
    assert!(matches!(pool.revoke(ONE), Revocation::Lent(1)));
    let lease = Lease::new(listing, permit.adopt(own(1)));
    assert_eq!(lease.discard(), Some(Revoked::Cancelled));
    assert_clean(&pool);
}

#[test]
fn closing_reaches_every_lease() {
    // SPEC C7: what is idle or parked is given back, what is driven is told.
    let now = Instant::now();
    let pool = pool(0, 0);
    opened(&pool, C, ONE, 1, now).put(secs(now, 15), now);
    let parked = opened(&pool, A, TWO, 2, now);
    assert!(parked.park(TWO, "rest", None, now).is_ok());
    let [putting, parking, giving_up] =
        [(3, 3), (4, 4), (5, 5)].map(|(id, name)| opened(&pool, B, LeaseId(id), name, now));
    let listing = pool.list(LeaseId(6), 6).expect("the pool is open");
    assert!(matches!(pool.revoke(LeaseId(5)), Revocation::Lent(5)));
    assert_eq!(counts(&pool), (4, 1, 0));

    let mut remains = pool.close();
    let names: Vec<_> = remains.conns.iter().map(|conn| conn.name).collect();
    assert_eq!(names, [1]);
    let [(conn, "rest")] = &remains.parked[..] else {
        panic!("{:?}", remains.parked);
    };
    assert_eq!(conn.name, 2);
    remains.driven.sort_unstable();
    assert_eq!(remains.driven, [3, 4, 5, 6]);
    assert_eq!(counts(&pool), (3, 0, 0), "the drivers' own");
    assert_eq!(pool.next_look(), None);

    assert_eq!(putting.put(secs(now, 15), now), Tell::Nothing);
    let parked = parking.park(LeaseId(4), "late", None, now);
    assert_eq!(parked, Err((Revoked::Closed, "late")));
    let first = Some(Revoked::Cancelled);
    assert_eq!(giving_up.discard(), first, "the first reason is the news");
    assert_eq!(listing.end(), Some(Revoked::Closed));
    assert!(pool.resume(TWO).is_none() && pool.unpark_all().is_empty());
    assert_clean(&pool);
    let again = pool.close();
    assert!(again.conns.is_empty() && again.parked.is_empty() && again.driven.is_empty());
}

/// A panic on the way loses nothing, and the next one in line is served.
#[test]
fn whatever_drops_a_lease_settles_its_account() {
    let now = Instant::now();
    let pool = pool(1, 0);
    for panics in [false, true] {
        let lease = opened(&pool, A, ONE, 1, now);
        let ticket = checkout(&pool, A, now).queued();
        let fall = AssertUnwindSafe(move || {
            let _lease = lease;
            if panics {
                panic::resume_unwind(Box::new("on the way"));
            }
        });
        assert_eq!(panic::catch_unwind(fall).is_err(), panics);
        assert!(matches!(pool.revoke(ONE), Revocation::Unknown));
        drop(ticket.claim().dial());

        let listing = pool.list(ONE, 1);
        let fall = AssertUnwindSafe(move || {
            let _listing = listing;
            if panics {
                panic::resume_unwind(Box::new("on the way"));
            }
        });
        assert_eq!(panic::catch_unwind(fall).is_err(), panics);
        assert_clean(&pool);
    }
}

/// The handle in the ledger goes first, then the connection, then the slot: a
/// free slot means a closed socket, whichever way the lease ended.
#[test]
fn a_lease_closes_its_connection_before_its_slot_is_free() {
    struct Spy(Arc<Pool<TestKey, Self>>, Arc<AtomicUsize>);
    impl Pooled for Spy {
        type Socket = Arc<AtomicUsize>;
        type Rest = ();

        fn socket(&self) -> Arc<AtomicUsize> {
            Arc::clone(&self.1)
        }

        fn is_watched(&self) -> bool {
            false
        }
    }
    impl Drop for Spy {
        fn drop(&mut self) {
            assert_eq!(self.0.stats().in_use, 1, "the slot is free already");
            // This one's, the test's, and none in the ledger.
            assert_eq!(Arc::strong_count(&self.1), 2, "a handle keeps it open");
            self.1.fetch_add(1, Ordering::SeqCst);
        }
    }
    let now = Instant::now();
    let ends: [fn(Lease<TestKey, Spy>, Instant); 4] = [
        |lease, _| drop(lease),
        |lease, _| assert_eq!(lease.discard(), Some(Revoked::Cancelled)),
        |lease, now| assert_eq!(lease.put(secs(now, 15), now), Tell::Nothing),
        |lease, now| assert!(lease.park(ONE, (), None, now).is_err()),
    ];
    for end in ends {
        let limits = Limits {
            total: 1,
            per_host: 0,
        };
        let pool: Arc<Pool<TestKey, Spy>> = Pool::new(limits);
        let closed = Arc::new(AtomicUsize::new(0));
        let permit = pool.lend(&A, now, ONE).dial();
        let listing = pool.list(ONE, Arc::clone(&closed));
        let spy = Spy(Arc::clone(&pool), Arc::clone(&closed));
        let lease = Lease::new(listing.expect("the pool is open"), permit.adopt(spy));
        drop(pool.revoke(ONE));
        end(lease, now);
        assert_eq!(closed.load(Ordering::SeqCst), 1);
        assert_eq!(pool.stats().in_use, 0);
    }
}

#[test]
fn leases_cross_threads() {
    fn is_send<T: Send>() {}
    is_send::<Lending<TestKey, Conn>>();
    is_send::<Listing<TestKey, Conn>>();
    is_send::<Revocation<TestKey, Conn>>();
    is_send::<Look<TestKey, Conn>>();
}

/// A thread goes on with the connection it had, though others have brought theirs home
/// since: not with one that has expired or is of another key, nor with one that lies deep.
#[test]
fn a_thread_is_lent_what_it_brought_home() {
    let now = Instant::now();
    let later = secs(now, 2);
    for (own_key, life, others, lent) in [
        (A, 9, 1, 0),
        (A, 9, 7, 0),
        (A, 9, 8, 8),
        (A, 1, 7, 7),
        // Of the same host.
        (A2, 9, 7, 7),
    ] {
        let pool = pool(0, 0);
        let own = opened(&pool, own_key, LeaseId(0), 0, now);
        let rest: Vec<_> = (1..=others)
            .map(|name| opened(&pool, A, LeaseId(u64::from(name)), name, now))
            .collect();
        own.put(secs(now, life), now);
        let put = || {
            for lease in rest {
                lease.put(secs(now, 9), now);
            }
        };
        std::thread::scope(|scope| scope.spawn(put).join().expect("it puts them all"));
        let lease = pool.lend(&A, later, ONE).taken();
        assert_eq!(lease.name, lent, "{others} others");
    }
}
