//! The engine as the steward of what callers drive: it takes over what they
//! leave lying, ends what it is told to end, and watches what nobody else does.

use super::sim::*;
use crate::error::{Kind, Timeout};
use crate::job::{Cancel, Command, Control};
use crate::pool::Revoked;

/// An engine of so many slots, with one idle connection to [`HOST`].
fn warm(limit: usize) -> Sim {
    let mut sim = Sim::limited(limit, 0);
    sim.serve(0, get(HOST));
    sim
}

/// The caller's own way, from the head to the next request, without the engine.
#[test]
fn a_caller_reads_a_response_in_several_calls() {
    let mut sim = warm(1);
    let mut caller = sim.lend(get(HOST).target("/mine"));
    assert_eq!(sim.peer(0).received(), b"GET /mine HTTP/1.1\r\n\r\n");
    sim.settle();
    assert_eq!(sim.books(), (1, 0, 0));
    assert_eq!(sim.world.watched(), 0);
    sim.peer(0).send(head_of(6));
    assert_eq!(caller.pump(&sim).ok(), Some(false));
    caller.deliver();
    let probe = caller.probe.clone();
    assert!(probe.reused());
    caller.park(&sim).unwrap();
    sim.settle();
    for piece in ["ab", "cd"] {
        let mut caller = sim.resume(&probe).expect("it lies there");
        assert!(sim.resume(&probe).is_none());
        sim.peer(0).send(piece);
        assert_eq!(caller.pump(&sim).ok(), Some(false));
        caller.park(&sim).unwrap();
        sim.settle();
    }
    assert_eq!(probe.body(), b"abcd");
    let mut caller = sim.resume(&probe).expect("it lies there");
    sim.peer(0).send("ef");
    assert_eq!(caller.pump(&sim).ok(), Some(true));
    caller.put(&sim, secs(15));
    sim.settle();
    assert_eq!(probe.body(), b"abcdef");
    assert!(matches!(probe.end(), Some(Ok(()))));
    assert_eq!(sim.books(), (0, 1, 0));
    // The engine uses it, and watches it from here on.
    sim.serve(0, get(HOST));
    assert_eq!((sim.world.wires(), sim.world.watched()), (1, 1));
    assert!(!sim.carries(&probe));
}

#[test]
fn a_waiter_makes_the_engine_take_over() {
    // SPEC C3: nobody waits beside what merely lies there. The waiter comes while
    // it is parked, or it is parked while the waiter waits.
    for waiter_first in [false, true] {
        let mut sim = warm(1);
        let (parked, waiter) = if waiter_first {
            let mut caller = sim.lend(get(HOST));
            let waiter = sim.go(get(HOST));
            assert_eq!(sim.books(), (1, 0, 1));
            sim.peer(0).send(head_of(4));
            sim.peer(0).send("xx");
            assert!(caller.pump(&sim).is_ok());
            caller.deliver();
            let parked = caller.probe.clone();
            caller.park(&sim).unwrap();
            sim.settle();
            (parked, waiter)
        } else {
            let parked = sim.parked(0, get(HOST), 4);
            sim.settle();
            assert!(!sim.carries(&parked), "nobody asks for it yet");
            let waiter = sim.go(get(HOST));
            (parked, waiter)
        };
        assert!(sim.carries(&parked));
        assert!(sim.resume(&parked).is_none());
        assert_eq!(sim.books(), (1, 0, 1));
        sim.peer(0).received();
        sim.peer(0).send("yy");
        sim.settle();
        assert_eq!(parked.body(), b"xxyy");
        assert!(matches!(parked.end(), Some(Ok(()))));
        assert_eq!(sim.peer(0).received(), b"GET / HTTP/1.1\r\n\r\n");
        sim.peer(0).send(OK);
        sim.settle();
        assert_eq!((waiter.status(), waiter.reused()), (Some(200), true));
        assert_eq!(sim.books(), (0, 1, 0));
    }
}

/// What has all come by then ends at once, and the slot is free.
#[test]
fn what_is_complete_when_it_is_taken_over_makes_room() {
    let mut sim = warm(1);
    let parked = sim.parked(0, get(HOST), 4);
    sim.peer(0).send("yy");
    sim.settle();
    let waiter = sim.go(get("10.0.0.2"));
    assert_eq!(sim.world.wires(), 2, "there is room");
    assert_eq!(parked.body(), b"xxyy");
    assert_eq!(sim.books(), (1, 1, 0));
    sim.peer(1).send(OK);
    sim.settle();
    assert_eq!(waiter.status(), Some(200));
}

/// A body of which the reader takes nothing stops at its pipe, as any other.
#[test]
fn what_is_taken_over_keeps_to_its_pipe() {
    let mut sim = warm(1);
    let parked = sim.parked(0, get(HOST).pipe(10, 20), 1 << 20);
    sim.peer(0).send(vec![b'y'; 100_000]);
    let _ = sim.mailbox.push(Command::Wake(parked.id));
    sim.settle();
    assert!(sim.carries(&parked));
    assert!(sim.peer(0).unread() > 0, "it was read without end");
    sim.peer(0).send(vec![b'y'; (1 << 20) - 100_002]);
    for _ in 0..1000 {
        parked.read();
        sim.settle();
    }
    assert_eq!(parked.body().len(), 1 << 20);
    assert_eq!(sim.books(), (0, 1, 0));
}

/// The reader goes over to waiting without blocking.
#[test]
fn a_wake_takes_over() {
    let mut sim = warm(1);
    let parked = sim.parked(0, get(HOST), 6);
    let _ = sim.mailbox.push(Command::Wake(parked.id));
    sim.settle();
    assert!(sim.carries(&parked));
    sim.peer(0).send("yyyy");
    sim.settle();
    assert_eq!(parked.body(), b"xxyyyy");
    assert_eq!(sim.books(), (0, 1, 0));
    // And once more for nobody.
    let _ = sim.mailbox.push(Command::Wake(parked.id));
    sim.settle();
    assert_eq!(sim.books(), (0, 1, 0));
}

#[test]
fn draining_what_is_parked() {
    // SPEC D12: its response was dropped.
    for (length, kept) in [(6, true), (1 << 20, false)] {
        let mut sim = warm(1);
        let parked = sim.parked(0, get(HOST), length);
        parked.drop_reader();
        sim.cancel(&parked, Cancel::Drain);
        assert_eq!(sim.books(), (usize::from(kept), 0, 0));
        assert_eq!(sim.peer(0).is_aborted(), !kept);
        if kept {
            sim.peer(0).send("yyyy");
            sim.settle();
            assert_eq!(sim.books(), (0, 1, 0));
        }
    }
}

#[test]
fn cancelling_what_is_parked() {
    let mut sim = warm(1);
    let parked = sim.parked(0, get(HOST), 6);
    sim.peer(0).send("yyyy");
    sim.cancel(&parked, Cancel::Abort);
    assert_eq!(parked.body_error().kind(), Kind::Cancelled);
    assert_eq!(parked.body(), b"xx");
    assert!(sim.peer(0).is_aborted());
    assert_eq!(sim.books(), (0, 0, 0));
}

/// A driven one is told by its socket, and closes the connection itself.
#[test]
fn cancelling_what_is_driven() {
    for how in [Cancel::Drain, Cancel::Abort] {
        let mut sim = warm(1);
        let parked = sim.parked(0, get(HOST), 6);
        let mut caller = sim.resume(&parked).expect("it lies there");
        sim.cancel(&parked, how);
        assert!(caller.socket().is_shut());
        assert_eq!(sim.books(), (1, 0, 0));
        assert!(caller.pump(&sim).is_err(), "the end is not the body's");
        assert_eq!(caller.discard(), Some(Revoked::Cancelled));
        sim.settle();
        assert_eq!(sim.books(), (0, 0, 0));
        assert!(sim.peer(0).is_closed());
    }
    // One who parks it just then is told, too.
    let mut sim = warm(1);
    let parked = sim.parked(0, get(HOST), 6);
    let caller = sim.resume(&parked).expect("it lies there");
    sim.cancel(&parked, Cancel::Abort);
    assert_eq!(caller.park(&sim), Err(Revoked::Cancelled));
    assert!(sim.peer(0).is_closed());
    assert_eq!(sim.books(), (0, 0, 0));
    // And one who is through with it does not bring it home.
    let mut sim = warm(1);
    let parked = sim.parked(0, get(HOST), 4);
    let mut caller = sim.resume(&parked).expect("it lies there");
    sim.peer(0).send("yy");
    assert_eq!(caller.pump(&sim).ok(), Some(true));
    sim.cancel(&parked, Cancel::Abort);
    caller.put(&sim, secs(15));
    assert!(sim.peer(0).is_closed());
    assert_eq!(sim.books(), (0, 0, 0));
}

#[test]
fn limits_pass_while_a_response_is_parked() {
    // SPEC T1, T4, T5: to the millisecond, though nobody reads.
    type Limited = fn(Ask, std::time::Duration) -> Ask;
    let limits: [(Limited, Timeout); 2] = [
        (Ask::total, Timeout::Total),
        (Ask::sock_read, Timeout::SockRead),
    ];
    for limit in [700, 2700] {
        for (limited, which) in limits {
            for more in [false, true] {
                let mut sim = warm(1);
                let parked = sim.parked(0, limited(get(HOST), ms(limit)), 6);
                if more {
                    // No excuse for the total, and the end of a gap.
                    sim.peer(0).send("yy");
                }
                sim.advance(ms(limit - 1));
                assert!(parked.end().is_none());
                sim.advance(ms(1));
                if more && which == Timeout::SockRead {
                    assert_eq!(parked.body(), b"xxyy");
                    assert!(parked.end().is_none());
                    sim.advance(ms(limit));
                }
                assert_eq!(parked.body_error().timeout(), Some(which));
                assert_eq!(sim.books(), (0, 0, 0));
                assert!(sim.peer(0).is_aborted());
            }
        }
    }
}

/// Whoever holds a response for long does not read it away by himself.
#[test]
fn what_lies_parked_is_taken_over_in_a_while() {
    let mut sim = warm(2);
    let parked = sim.parked(0, get(HOST), 6);
    sim.peer(0).send("yy");
    sim.advance(ms(999));
    assert!(!sim.carries(&parked));
    sim.advance(ms(1001));
    assert!(sim.carries(&parked), "it has lain for two looks");
    assert_eq!(parked.body(), b"xxyy");
    sim.peer(0).send("zz");
    sim.settle();
    assert_eq!(parked.body(), b"xxyyzz");
    assert_eq!(sim.books(), (0, 1, 0));
    assert_eq!(sim.world.watched(), 1);
}

/// One that is read all the time stays with its reader.
#[test]
fn what_is_touched_is_not_taken_over() {
    let mut sim = warm(1);
    let parked = sim.parked(0, get(HOST), 1000);
    for turn in 0..30 {
        sim.advance(ms(400));
        let mut caller = sim.resume(&parked).expect("it lies there");
        sim.peer(0).send("y");
        assert!(caller.pump(&sim).is_ok());
        caller.park(&sim).unwrap();
        assert_eq!(parked.body().len(), 3 + turn);
    }
    assert_eq!(sim.world.watched(), 0);
}

/// An idle connection a caller has used comes into sight after a while, and
/// then its server's end is noticed; SPEC P4.
#[test]
fn what_lies_idle_is_watched_in_a_while() {
    let mut sim = warm(1);
    let mut caller = sim.lend(get(HOST));
    sim.peer(0).send(OK);
    assert_eq!(caller.pump(&sim).ok(), Some(true));
    caller.put(&sim, secs(15));
    sim.settle();
    assert_eq!((sim.world.watched(), sim.books()), (0, (0, 1, 0)));
    sim.advance(ms(999));
    assert_eq!(sim.world.watched(), 0);
    sim.advance(ms(1001));
    assert_eq!(sim.world.watched(), 1);
    // Nothing more to look for but its expiry.
    let far = sim.world.now() + secs(12);
    assert!(sim.pool.next_look().is_some_and(|at| at > far));
    sim.peer(0).finish();
    sim.settle();
    assert!(sim.peer(0).is_closed());
    assert_eq!(sim.books(), (0, 0, 0));
}

/// The server's end came before anybody watched: the watching tells.
#[test]
fn an_end_that_came_unseen_is_noticed_in_a_while() {
    let mut sim = warm(1);
    let mut caller = sim.lend(get(HOST));
    sim.peer(0).send(OK);
    assert_eq!(caller.pump(&sim).ok(), Some(true));
    caller.put(&sim, secs(15));
    sim.peer(0).finish();
    sim.settle();
    assert!(!sim.peer(0).is_closed());
    sim.advance(secs(2));
    assert!(sim.peer(0).is_closed());
    assert_eq!(sim.books(), (0, 0, 0));
}

#[test]
fn what_lies_idle_unwatched_expires() {
    // SPEC C1: unwatched connections expire like any other, to the millisecond.
    for life in [1, 500, 1000, 1700, 15_000] {
        let mut sim = warm(1);
        let mut caller = sim.lend(get(HOST));
        sim.peer(0).send(OK);
        assert_eq!(caller.pump(&sim).ok(), Some(true));
        caller.put(&sim, ms(life));
        sim.settle();
        sim.advance(ms(life - 1));
        assert!(!sim.peer(0).is_closed(), "{life}");
        sim.advance(ms(1));
        assert!(sim.peer(0).is_closed(), "{life}");
        assert_eq!(sim.books(), (0, 0, 0));
    }
}

/// Closing the idle ones closes those nobody watches, and leaves those alone
/// that a caller has.
#[test]
fn closing_idle_connections_spares_leases() {
    let mut sim = warm(3);
    sim.serve(1, get("10.0.0.2"));
    sim.serve(2, get("10.0.0.3"));
    let mut caller = sim.lend(get(HOST));
    sim.peer(0).send(OK);
    assert_eq!(caller.pump(&sim).ok(), Some(true));
    caller.put(&sim, secs(15));
    let parked = sim.parked(1, get("10.0.0.2"), 4);
    let driven = sim.lend(get("10.0.0.3"));
    sim.control(Control::CloseIdle);
    assert!(sim.peer(0).is_closed());
    assert!(!sim.peer(1).is_closed() && !sim.peer(2).is_closed());
    assert_eq!(sim.books(), (2, 0, 0));
    assert_eq!(driven.discard(), None);
    sim.cancel(&parked, Cancel::Abort);
    assert_eq!(sim.books(), (0, 0, 0));
}

#[test]
fn shutting_down_reaches_every_lease() {
    // SPEC C7.
    let mut sim = warm(4);
    for (n, host) in [(1, "10.0.0.2"), (2, "10.0.0.3"), (3, "10.0.0.4")] {
        sim.serve(n, get(host));
    }
    let parked = sim.parked(0, get(HOST), 6);
    let asking = sim.lend(get("10.0.0.2"));
    let reading = sim.parked(2, get("10.0.0.3"), 6);
    let reading = sim.resume(&reading).expect("it lies there");
    let mut done = sim.lend(get("10.0.0.4"));
    sim.peer(3).send(OK);
    assert_eq!(done.pump(&sim).ok(), Some(true));
    sim.control(Control::Shutdown);
    assert!(sim.stopped);
    assert_eq!(parked.body_error().kind(), Kind::Closed);
    assert!(sim.peer(0).is_aborted());
    for caller in [&asking, &reading, &done] {
        assert!(caller.socket().is_shut());
    }
    assert_eq!(sim.books(), (3, 0, 0));
    assert_eq!(asking.discard(), Some(Revoked::Closed));
    assert_eq!(reading.park(&sim), Err(Revoked::Closed));
    done.put(&sim, secs(15));
    assert_eq!(sim.books(), (0, 0, 0));
    assert_eq!(sim.world.open(), 0);
}

/// An event was under way when a caller took the connection: it is for nobody.
#[test]
fn a_late_event_does_not_reach_into_a_lease() {
    let mut sim = warm(1);
    // Fetched in this wait, and told in it; the caller comes just before.
    let mut caller = sim.lend(get(HOST));
    sim.peer(0).stir();
    sim.peer(0).send(OK);
    sim.settle();
    assert!(!sim.peer(0).is_closed());
    assert_eq!(caller.pump(&sim).ok(), Some(true));
    caller.put(&sim, secs(15));
    sim.settle();
    assert_eq!(sim.books(), (0, 1, 0));
}

/// What dies while it lies parked is found when somebody looks.
#[test]
fn what_breaks_while_it_is_parked() {
    for reset in [false, true] {
        let mut sim = warm(1);
        let parked = sim.parked(0, get(HOST), 6);
        if reset {
            sim.peer(0).reset();
        } else {
            sim.peer(0).finish();
        }
        sim.settle();
        assert_eq!(sim.books(), (1, 0, 0), "nobody has looked yet");
        sim.advance(secs(2));
        assert_eq!(parked.body_error().kind(), Kind::Payload);
        assert_eq!(parked.body(), b"xx");
        assert_eq!(sim.books(), (0, 0, 0));
    }
}
