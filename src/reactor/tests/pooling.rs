//! Connections that are used again, and those that are not.

use http::Method;
use http::header::UPGRADE;

use super::sim::*;
use crate::error::{Error, Kind};
use crate::job::{Cancel, Control};

#[test]
fn a_request_is_written_whole_and_its_connection_is_used_again() {
    let mut sim = Sim::new();
    let probe = sim.go(get(HOST).target("/first"));
    assert_eq!(sim.books(), (1, 0, 0));
    assert_eq!(sim.peer(0).received(), b"GET /first HTTP/1.1\r\n\r\n");
    sim.peer(0).send(OK);
    sim.settle();
    assert_eq!((probe.status(), probe.reused()), (Some(200), false));
    assert_eq!(probe.body(), b"ok");
    assert_eq!(probe.peer(), Some(at80(HOST)));
    assert_eq!(sim.books(), (0, 1, 0));

    let probe = sim.go(get(HOST).target("/second"));
    assert_eq!(sim.peer(0).received(), b"GET /second HTTP/1.1\r\n\r\n");
    sim.peer(0).send(OK);
    sim.settle();
    assert_eq!((probe.status(), probe.reused()), (Some(200), true));
    assert_eq!(sim.world.wires(), 1);
    assert_eq!((sim.pool.stats().opened, sim.pool.stats().reused), (1, 1));
}

#[test]
fn the_newest_idle_connection_is_taken_first() {
    // SPEC P3.
    let mut sim = Sim::new();
    let (first, second) = (sim.go(get(HOST)), sim.go(get(HOST)));
    sim.peer(1).send(OK);
    sim.settle();
    sim.peer(0).send(OK);
    sim.settle();
    assert_eq!((first.status(), second.status()), (Some(200), Some(200)));
    sim.peer(0).received();
    sim.peer(1).received();
    sim.go(get(HOST));
    assert!(sim.peer(1).received().is_empty());
    assert!(!sim.peer(0).received().is_empty());
}

#[test]
fn connections_are_shared_by_key_alone() {
    // SPEC P1: another port is another server.
    let mut sim = Sim::new();
    sim.serve(0, get(HOST));
    sim.serve(1, get("10.0.0.2"));
    assert_eq!(sim.books(), (0, 2, 0));
    sim.serve(1, get("10.0.0.2"));
    assert_eq!(sim.world.wires(), 2);
}

#[test]
fn an_idle_connection_lives_for_its_time() {
    // SPEC C1: to the millisecond of the virtual clock.
    let mut sim = Sim::new();
    sim.serve(0, get(HOST));
    sim.advance(secs(15) - ms(1));
    assert!(!sim.peer(0).is_closed());
    sim.advance(ms(1));
    assert!(sim.peer(0).is_closed());
    assert_eq!(sim.books(), (0, 0, 0));
}

#[test]
fn a_keep_alive_hint_shortens_the_life_of_a_connection() {
    // SPEC P4: the server's own word, less a second.
    for (hint, life) in [("5", 4), ("3600", 15)] {
        let mut sim = Sim::new();
        sim.go(get(HOST));
        let head =
            format!("HTTP/1.1 200 OK\r\nKeep-Alive: timeout={hint}\r\nContent-Length: 0\r\n\r\n");
        sim.peer(0).send(head);
        sim.settle();
        sim.advance(secs(life) - ms(1));
        assert!(!sim.peer(0).is_closed(), "{hint}");
        sim.advance(ms(1));
        assert!(sim.peer(0).is_closed(), "{hint}");
    }
}

/// The hint holds for a body that came in pieces, too.
#[test]
fn a_keep_alive_hint_of_a_streamed_response_counts() {
    let mut sim = Sim::new();
    let probe = sim.go(get(HOST));
    sim.peer(0)
        .send("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=3\r\nContent-Length: 2\r\n\r\no");
    sim.settle();
    sim.peer(0).send("k");
    sim.settle();
    assert_eq!(probe.body(), b"ok");
    sim.advance(secs(2));
    assert!(sim.peer(0).is_closed());
}

/// A hint that leaves no time at all.
#[test]
fn a_connection_without_a_future_is_closed_and_forgotten() {
    let mut sim = Sim::limited(1, 0);
    let first = sim.go(get(HOST));
    let second = sim.go(get(HOST));
    sim.peer(0)
        .send("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 0\r\n\r\n");
    sim.settle();
    assert_eq!(first.status(), Some(200));
    assert!(sim.peer(0).is_closed());
    sim.peer(1).send(OK);
    sim.settle();
    assert_eq!((second.status(), second.reused()), (Some(200), false));
}

/// The clock passes the expiry in the very wait that brings a request.
#[test]
fn a_connection_that_expires_at_checkout_is_closed_and_forgotten() {
    let mut sim = Sim::new();
    sim.serve(0, get(HOST));
    let probe = sim.start_after(secs(15), get(HOST));
    sim.advance(secs(15));
    assert!(sim.peer(0).is_closed());
    sim.peer(1).send(OK);
    sim.settle();
    assert_eq!((probe.status(), probe.reused()), (Some(200), false));
}

/// And in the wait that brings the slot somebody waited for.
#[test]
fn a_connection_that_expires_is_not_granted() {
    let mut sim = Sim::limited(1, 0);
    sim.serve(0, get(HOST));
    let busy = sim.go(get("10.0.0.2"));
    let waits = sim.go(get(HOST));
    // The slot comes free at the moment at which the idle one expires.
    let peer = sim.peer(1);
    sim.world.after(secs(15), move || peer.send(OK));
    sim.advance(secs(15));
    assert_eq!(busy.status(), Some(200));
    assert!(sim.peer(0).is_closed());
    sim.peer(2).send(OK);
    sim.settle();
    assert_eq!((waits.status(), waits.reused()), (Some(200), false));
}

#[test]
fn force_close_keeps_nothing() {
    // SPEC C2.
    let mut sim = Sim::with(|setup| setup.config.force_close = true);
    sim.serve(0, get(HOST));
    assert!(sim.peer(0).is_closed());
    assert_eq!(sim.books(), (0, 0, 0));
}

#[test]
fn a_connection_closed_while_idle_is_let_go_at_once() {
    // SPEC P4.
    let mut sim = Sim::new();
    sim.serve(0, get(HOST));
    sim.peer(0).finish();
    sim.settle();
    assert!(sim.peer(0).is_closed());
    assert_eq!(sim.books(), (0, 0, 0));

    sim.serve(1, get(HOST));
    sim.peer(1).reset();
    sim.settle();
    assert!(sim.peer(1).is_closed());
}

#[test]
fn a_connection_closed_while_idle_is_never_handed_out() {
    let mut sim = Sim::new();
    sim.serve(0, get(HOST));
    // Both in the same turn: the request comes first.
    let probe = sim.start(get(HOST));
    sim.peer(0).finish();
    sim.settle();
    assert!(sim.peer(0).received().is_empty());
    sim.peer(1).send(OK);
    sim.settle();
    assert_eq!((probe.status(), probe.reused()), (Some(200), false));
    assert_eq!(sim.books(), (0, 1, 0));
}

#[test]
fn surplus_bytes_close_the_connection() {
    // SPEC P2: bytes nobody asked for.
    let mut sim = Sim::new();
    let probe = sim.go(get(HOST));
    sim.peer(0).send(format!("{OK}HTTP/1.1 200 OK\r\n"));
    sim.settle();
    assert_eq!(probe.body(), b"ok");
    assert!(sim.peer(0).is_closed());

    sim.serve(1, get(HOST));
    sim.peer(1).send("x");
    sim.settle();
    assert!(sim.peer(1).is_closed());
    assert_eq!(sim.books(), (0, 0, 0));
}

/// What lies unread behind a response that ended with a read tells of itself
/// by no event; the next request finds it.
#[test]
fn surplus_bytes_that_were_not_read_with_the_response_are_noticed() {
    let mut sim = Sim::new();
    let probe = sim.go(get(HOST));
    sim.peer(0).limit_reads(OK.len());
    sim.peer(0).send(format!("{OK}surplus"));
    sim.settle();
    assert_eq!(probe.body(), b"ok");
    sim.peer(0).received();
    let probe = sim.go(get(HOST));
    assert!(sim.peer(0).received().is_empty());
    assert!(sim.peer(0).is_closed());
    sim.peer(1).send(OK);
    sim.settle();
    assert_eq!((probe.status(), probe.reused()), (Some(200), false));
}

#[test]
fn an_event_about_nothing_leaves_an_idle_connection_alone() {
    let mut sim = Sim::new();
    sim.serve(0, get(HOST));
    sim.peer(0).stir();
    sim.settle();
    assert_eq!(sim.books(), (0, 1, 0));
    sim.serve(0, get(HOST));
    assert_eq!(sim.world.wires(), 1);
}

/// RFC 9112 §6.3: these have no body, whatever their fields say.
#[test]
fn responses_without_a_body_leave_the_connection_usable() {
    let cases = [
        (Method::HEAD, "200 OK"),
        (Method::GET, "204 No Content"),
        (Method::GET, "304 Not Modified"),
    ];
    for (method, status) in cases {
        let mut sim = Sim::new();
        let probe = sim.go(get(HOST).method(method));
        sim.peer(0)
            .send(format!("HTTP/1.1 {status}\r\nContent-Length: 5\r\n\r\n"));
        sim.settle();
        assert!(matches!(probe.end(), Some(Ok(()))), "{status}");
        assert!(probe.body().is_empty());
        assert_eq!(sim.books(), (0, 1, 0), "{status}");
    }
}

#[test]
fn a_switch_of_protocols_hands_the_connection_over() {
    // SPEC N1
    let mut sim = Sim::new();
    let probe = sim.go(get(HOST).field(UPGRADE, "other"));
    sim.peer(0)
        .send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\n\r\n\x01\x02");
    sim.settle();
    assert_eq!(probe.status(), Some(101));
    let mut tunnel = probe.tunnel().expect("a connection");
    // It is nobody's to reuse, and holds its slot.
    assert_eq!(sim.books(), (1, 0, 0));
    assert!(!sim.peer(0).is_closed());
    let mut bytes = [0; 10];
    assert_eq!(tunnel.read(&mut bytes).unwrap(), 2);
    assert_eq!(bytes[..2], [1, 2]);
    let blocked = tunnel.read(&mut bytes).unwrap_err();
    assert_eq!(blocked.kind(), std::io::ErrorKind::WouldBlock);
    sim.peer(0).received();
    sim.peer(0).set_window(3);
    assert_eq!(tunnel.write(b"hello").unwrap(), 5);
    let blocked = tunnel.write(b"!").unwrap_err();
    assert_eq!(blocked.kind(), std::io::ErrorKind::WouldBlock);
    assert_eq!(sim.peer(0).received(), b"hel");
    drop(tunnel);
    sim.settle();
    assert!(sim.peer(0).is_closed() && !sim.peer(0).is_aborted());
    assert_eq!(sim.books(), (0, 0, 0));
}

#[test]
fn a_connection_that_was_handed_over_can_be_ended() {
    // SPEC N1, C7
    for close in [false, true] {
        let mut sim = Sim::new();
        let probe = sim.go(get(HOST).field(UPGRADE, "other"));
        sim.peer(0)
            .send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\n\r\n");
        sim.settle();
        let mut tunnel = probe.tunnel().expect("a connection");
        if close {
            sim.control(Control::Shutdown);
        } else {
            sim.cancel(&probe, Cancel::Abort);
        }
        let error = tunnel.read(&mut [0; 10]).unwrap_err();
        let error = error
            .get_ref()
            .and_then(|error| error.downcast_ref::<Error>());
        let kind = error.map(Error::kind);
        assert_eq!(
            kind,
            Some(if close { Kind::Closed } else { Kind::Cancelled })
        );
        drop(tunnel);
        assert_eq!(sim.books(), (0, 0, 0));
    }
}

#[test]
fn a_switch_before_the_whole_request_is_out_hands_nothing_over() {
    // SPEC N1
    let mut sim = Sim::new();
    sim.world.set_window(at80(HOST), 10);
    let probe = sim.go(post(HOST, vec![b'x'; 1000]).field(UPGRADE, "other"));
    sim.peer(0)
        .send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\n\r\n");
    sim.settle();
    assert_eq!(probe.status(), Some(101));
    assert!(probe.tunnel().is_none());
    assert!(sim.peer(0).is_closed());
    assert_eq!(sim.books(), (0, 0, 0));
}

#[test]
fn a_body_that_ends_with_the_connection_is_whole() {
    let mut sim = Sim::new();
    let probe = sim.go(get(HOST));
    sim.peer(0).send("HTTP/1.1 200 OK\r\n\r\nall of ");
    sim.settle();
    sim.peer(0).send("it");
    sim.peer(0).finish();
    sim.settle();
    assert_eq!(probe.body(), b"all of it");
    assert!(matches!(probe.end(), Some(Ok(()))));
    assert!(sim.peer(0).is_closed());
}

#[test]
fn idle_connections_close_when_asked_to() {
    // SPEC C23 and the connector's own wish.
    let mut sim = Sim::new();
    sim.serve(0, get(HOST));
    let busy = sim.go(get("10.0.0.2"));
    sim.control(Control::CloseIdle);
    assert!(sim.peer(0).is_closed());
    sim.peer(1).send(OK);
    sim.settle();
    assert_eq!(busy.status(), Some(200));
    assert_eq!(sim.books(), (0, 1, 0));
}

/// The end came with the response and is told only once: such a connection
/// does not go home.
#[test]
fn a_response_that_comes_with_the_end_leaves_no_idle_connection() {
    let mut sim = Sim::new();
    let probe = sim.go(get(HOST));
    sim.peer(0).send(OK);
    sim.peer(0).finish();
    sim.settle();
    assert_eq!(probe.body(), b"ok");
    assert_eq!(sim.books(), (0, 0, 0));
    assert!(sim.peer(0).is_closed());
}

/// Idle connections hold no slot, but they hold descriptors.
#[test]
fn idle_connections_make_way_when_descriptors_run_out() {
    let mut sim = Sim::new();
    sim.world.set_descriptors(2);
    for (n, host) in ["10.0.0.2", "10.0.0.3"].into_iter().enumerate() {
        sim.serve(n, get(host));
    }
    assert_eq!(sim.books(), (0, 2, 0));
    let third = sim.go(get("10.0.0.4"));
    assert_eq!(sim.books(), (1, 0, 0));
    sim.peer(2).send(OK);
    sim.settle();
    assert_eq!(third.status(), Some(200));

    // With nothing to give up it is an error, and a slot no longer held.
    sim.world.set_descriptors(0);
    sim.control(Control::CloseIdle);
    let failed = sim.go(get("10.0.0.5"));
    assert_eq!(failed.error().kind(), Kind::Connect);
    assert_eq!(sim.books(), (0, 0, 0));
}

#[test]
fn an_exchange_that_wants_a_new_connection_gets_one() {
    // SPEC Y1: what a stale connection swallowed goes on a new one, though there
    // are idle ones; its slot is that of the one it closes.
    let mut sim = Sim::limited(1, 0);
    sim.serve(0, get(HOST));
    assert_eq!(sim.books(), (0, 1, 0));
    let probe = sim.go(get(HOST).fresh());
    assert_eq!(sim.world.wires(), 2);
    assert!(sim.peer(0).is_closed());
    sim.peer(1).send(OK);
    sim.settle();
    assert_eq!((probe.status(), probe.reused()), (Some(200), false));
    assert_eq!(sim.books(), (0, 1, 0));
}
