//! Slots: who gets one, and when it is free again.

use super::sim::*;
use crate::error::Kind;
use crate::job::{Cancel, Progress};

#[test]
fn waiters_get_the_returned_connection_in_their_order() {
    // SPEC C3, C8: first come, first served.
    let mut sim = Sim::limited(1, 0);
    let probes: Vec<_> = ["/0", "/1", "/2"]
        .into_iter()
        .map(|target| sim.go(get(HOST).target(target)))
        .collect();
    assert_eq!(sim.books(), (1, 0, 2));
    for (n, probe) in probes.iter().enumerate() {
        let asked = format!("GET /{n} HTTP/1.1\r\n\r\n");
        assert_eq!(sim.peer(0).received(), asked.as_bytes());
        sim.peer(0).send(OK);
        sim.settle();
        assert_eq!((probe.status(), probe.reused()), (Some(200), n > 0));
    }
    assert_eq!(sim.world.wires(), 1);
    assert_eq!(sim.books(), (0, 1, 0));
}

#[test]
fn the_limit_per_host_holds_up_that_host_alone() {
    // SPEC C4: a full host does not hold up another.
    let mut sim = Sim::limited(3, 1);
    sim.go(get(HOST));
    let second = sim.go(get(HOST));
    let other = sim.go(get("10.0.0.2"));
    assert_eq!(sim.books(), (2, 0, 1));
    assert_eq!(sim.peer(1).address(), at80("10.0.0.2"));
    sim.peer(1).send(OK);
    sim.settle();
    assert_eq!((other.status(), second.status()), (Some(200), None));
    sim.peer(0).send(OK);
    sim.settle();
    sim.peer(0).send(OK);
    sim.settle();
    assert_eq!(second.status(), Some(200));
}

/// The slot goes to the waiter, whatever its host; the idle connection stays.
#[test]
fn a_waiter_for_another_host_gets_the_slot_and_dials() {
    let mut sim = Sim::limited(1, 0);
    sim.go(get(HOST));
    let other = sim.go(get("10.0.0.2"));
    sim.peer(0).send(OK);
    sim.settle();
    assert_eq!(sim.books(), (1, 1, 0));
    sim.peer(1).send(OK);
    sim.settle();
    assert_eq!(other.status(), Some(200));
    assert_eq!(sim.books(), (0, 2, 0));
}

/// Wherever the one slot's holder stands when it is cancelled, the waiter
/// behind it is served.
#[test]
fn a_cancelled_request_frees_its_slot_for_the_next() {
    #[derive(Clone, Copy, PartialEq, Debug)]
    enum Stands {
        Resolving,
        Connecting,
        Head,
        Body,
        LongBody,
    }
    use Stands::{Body, Connecting, Head, LongBody, Resolving};
    let cases = [
        (Resolving, Cancel::Drain),
        (Resolving, Cancel::Abort),
        (Connecting, Cancel::Abort),
        (Head, Cancel::Drain),
        (Head, Cancel::Abort),
        (Body, Cancel::Drain),
        (Body, Cancel::Abort),
        (LongBody, Cancel::Drain),
    ];
    for (stands, how) in cases {
        let mut sim = Sim::limited(1, 0);
        let black_hole = crate::net::sim::Manner::BlackHole;
        sim.world.set_manner(at80("10.0.0.9"), black_hole);
        let host = match stands {
            Resolving => "never.test",
            Connecting => "10.0.0.9",
            _ => HOST,
        };
        let first = sim.go(get(host));
        let next = sim.go(get(HOST).target("/next"));
        assert_eq!(sim.books(), (1, 0, 1));
        let length = if stands == LongBody { 65_537 } else { 4 };
        if matches!(stands, Body | LongBody) {
            sim.peer(0).received();
            sim.peer(0).send(head_of(length));
            sim.settle();
            assert_eq!(first.status(), Some(200));
            first.drop_reader();
        }
        sim.cancel(&first, how);
        if first.status().is_none() {
            assert_eq!(first.error().kind(), Kind::Cancelled);
            assert!(matches!(
                first.failure().progress,
                Progress::Unconnected | Progress::Begun
            ));
        }
        let kept = (stands, how) == (Body, Cancel::Drain);
        if kept {
            assert_eq!(sim.books(), (1, 0, 1), "the rest is being read");
            sim.peer(0).send("rest");
            sim.settle();
        }
        let n = sim.world.wires() - 1;
        assert_eq!(sim.peer(n).received(), b"GET /next HTTP/1.1\r\n\r\n");
        for n in 0..n {
            assert!(sim.peer(n).is_closed(), "{stands:?} {how:?}");
        }
        sim.peer(n).send(OK);
        sim.settle();
        assert_eq!(next.status(), Some(200), "{stands:?} {how:?}");
        assert_eq!(next.reused(), kept);
        assert_eq!(sim.books(), (0, 1, 0));
    }
}

#[test]
fn a_waiter_that_is_cancelled_leaves_the_queue() {
    let mut sim = Sim::limited(1, 0);
    let first = sim.go(get(HOST));
    let (second, third) = (sim.go(get(HOST)), sim.go(get(HOST)));
    sim.cancel(&second, Cancel::Abort);
    assert_eq!(second.error().kind(), Kind::Cancelled);
    assert_eq!(sim.books(), (1, 0, 1));
    for probe in [first, third] {
        sim.peer(0).send(OK);
        sim.settle();
        assert_eq!(probe.status(), Some(200));
    }
    assert_eq!(sim.books(), (0, 1, 0));
}

/// The grant and the cancellation cross: nothing is lost.
#[test]
fn a_granted_waiter_that_is_cancelled_passes_it_on() {
    let mut sim = Sim::limited(1, 0);
    sim.go(get(HOST));
    let (second, third) = (sim.go(get(HOST)), sim.go(get(HOST)));
    // The cancellation is in the mail before the grant's wake-up.
    let _ = sim
        .mailbox
        .push(crate::job::Command::Cancel(second.id, Cancel::Drain));
    sim.peer(0).send(OK);
    sim.settle();
    assert_eq!(second.error().kind(), Kind::Cancelled);
    sim.peer(0).send(OK);
    sim.settle();
    assert_eq!((third.status(), third.reused()), (Some(200), true));
    assert_eq!(sim.books(), (0, 1, 0));
}

#[test]
fn a_redirect_drains_what_is_short() {
    // SPEC D12: up to 64 KiB are read to keep the connection, and not a byte more.
    for (length, kept) in [(0, true), (1, true), (65_536, true), (65_537, false)] {
        let mut sim = Sim::limited(1, 0);
        let probe = sim.go(get(HOST).then(get(HOST).target("/to")));
        sim.peer(0).received();
        sim.peer(0).send(head_of(length));
        sim.settle();
        assert_eq!(sim.peer(0).is_closed(), !kept, "{length}");
        if kept {
            sim.peer(0).send(vec![b'x'; length]);
            sim.settle();
            assert!(!sim.peer(0).is_closed(), "{length}");
        }
        let n = sim.world.wires() - 1;
        assert_eq!(n, usize::from(!kept), "{length}");
        assert_eq!(sim.peer(n).received(), b"GET /to HTTP/1.1\r\n\r\n");
        sim.peer(n).send(OK);
        sim.settle();
        assert_eq!((probe.status(), probe.reused()), (Some(200), kept));
        assert_eq!(probe.hops(), 2);
        assert_eq!(sim.books(), (0, 1, 0));
    }
}

/// A length that is not known is read up to the same bound.
#[test]
fn a_chunked_rest_is_drained_up_to_the_bound() {
    for (length, kept) in [(1000, true), (70_000, false)] {
        let mut sim = Sim::new();
        sim.go(get(HOST).then(get(HOST)));
        sim.peer(0)
            .send("HTTP/1.1 302 Found\r\nTransfer-Encoding: chunked\r\n\r\n");
        sim.settle();
        sim.peer(0)
            .send(format!("{length:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(length)));
        sim.settle();
        assert_eq!(sim.peer(0).is_closed(), !kept);
    }
}

#[test]
fn draining_ends_after_a_second() {
    let mut sim = Sim::limited(1, 0);
    let probe = sim.go(get(HOST).then(get(HOST)));
    sim.peer(0).send(head_of(10));
    sim.advance(ms(999));
    assert_eq!(sim.books(), (1, 0, 1));
    sim.peer(0).send("x");
    sim.advance(ms(1));
    assert!(sim.peer(0).is_closed());
    sim.peer(1).send(OK);
    sim.settle();
    assert_eq!(probe.status(), Some(200));
}

/// Nothing is gained by draining what is closed afterwards.
#[test]
fn a_rest_that_cannot_keep_its_connection_is_not_drained() {
    for field in ["Connection: close\r\nContent-Length: 9", "X-Until: close"] {
        let mut sim = Sim::limited(1, 0);
        sim.go(get(HOST).then(get(HOST)));
        sim.peer(0)
            .send(format!("HTTP/1.1 302 Found\r\n{field}\r\n\r\n"));
        sim.settle();
        assert!(sim.peer(0).is_closed(), "{field}");
        assert_eq!(sim.world.wires(), 2);
    }
}

#[test]
fn a_reset_while_draining_frees_the_slot() {
    let mut sim = Sim::limited(1, 0);
    sim.go(get(HOST).then(get(HOST)));
    sim.peer(0).send(head_of(10));
    sim.settle();
    sim.peer(0).reset();
    sim.settle();
    assert!(sim.peer(0).is_closed());
    assert_eq!(sim.world.wires(), 2);
}

/// A reader who goes away without a word is noticed by its cancellation.
#[test]
fn a_dropped_reader_gives_its_slot_to_a_waiter() {
    let mut sim = Sim::limited(1, 0);
    let first = sim.go(get(HOST));
    let second = sim.go(get(HOST));
    sim.peer(0).send(head_of(100));
    sim.settle();
    first.drop_reader();
    sim.peer(0).send(vec![b'x'; 50]);
    sim.cancel(&first, Cancel::Drain);
    sim.peer(0).send(vec![b'x'; 50]);
    sim.settle();
    sim.peer(0).send(OK);
    sim.settle();
    assert_eq!((second.status(), second.reused()), (Some(200), true));
}
