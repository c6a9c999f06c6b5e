//! SPEC T1 to T4: each limit, in each place where it may pass, to the
//! millisecond of the virtual clock.

use super::sim::*;
use crate::error::{Error, Kind, Phase, Timeout};
use crate::job::Progress;
use crate::net::sim::Manner;

const DARK: &str = "10.9.9.9";

fn dark() -> Sim {
    let sim = Sim::limited(1, 0);
    sim.world.set_manner(at80(DARK), Manner::BlackHole);
    sim
}

fn timed_out(error: &Error, which: Timeout, phase: Phase) {
    assert_eq!(error.kind(), Kind::Timeout);
    assert_eq!(error.timeout(), Some(which));
    assert_eq!(error.phase(), Some(phase), "{error}");
}

#[test]
fn limits_pass_while_there_is_no_connection() {
    // SPEC S11, T1, T2: both limits where no connection has come about yet.
    // Who holds the slot, where the request is stuck, how that reads.
    let cases = [
        (true, HOST, Phase::PoolWait, "waiting for a connection slot"),
        (false, "never.test", Phase::Dns, "resolving the host name"),
        (false, DARK, Phase::Connect, "connecting"),
    ];
    for (full, host, phase, stage) in cases {
        for which in [Timeout::Connect, Timeout::Total] {
            let mut sim = dark();
            if full {
                sim.go(get(HOST));
            }
            let ask = get(host);
            let probe = sim.go(match which {
                Timeout::Connect => ask.connect(secs(3)).total(secs(9)),
                _ => ask.connect(secs(9)).total(secs(3)),
            });
            sim.advance(secs(3) - ms(1));
            assert!(!probe.is_answered());
            sim.advance(ms(1));
            let failure = probe.failure();
            let named = if which == Timeout::Total {
                Phase::Total
            } else {
                phase
            };
            timed_out(&failure.error, which, named);
            assert!(
                failure.error.to_string().contains(stage),
                "{}",
                failure.error
            );
            assert_eq!(failure.progress, Progress::Unconnected);
            assert_eq!(sim.books(), (usize::from(full), 0, 0));
        }
    }
}

#[test]
fn a_limit_that_passes_before_the_request_is_seen_ends_it() {
    // SPEC T1: time that went by since the reactor's last wait counts.
    for warm in [false, true] {
        let mut sim = Sim::new();
        if warm {
            let probe = sim.go(get(HOST));
            sim.peer(0).send(OK);
            sim.settle();
            drop(probe);
            sim.peer(0).received();
        }
        let wires = sim.world.wires();
        let probe = sim.start(get(HOST).total(ms(1)));
        sim.world.pass(ms(1));
        sim.engine.turn();
        timed_out(&probe.error(), Timeout::Total, Phase::Total);
        assert_eq!(sim.world.wires(), wires);
        if warm {
            assert_eq!(sim.peer(0).received(), b"");
        }
    }
}

#[test]
fn the_connect_limit_spans_the_wait_and_the_dial() {
    // SPEC S11, T2: the wait for a slot counts, and the slot does not start it anew.
    let mut sim = dark();
    sim.go(get(HOST));
    let probe = sim.go(get(DARK).connect(secs(3)));
    sim.advance(secs(2));
    sim.peer(0).send(OK);
    sim.advance(secs(1) - ms(1));
    assert!(!probe.is_answered());
    sim.advance(ms(1));
    timed_out(&probe.error(), Timeout::Connect, Phase::Connect);
    assert_eq!(sim.books(), (0, 1, 0));
}

#[test]
fn the_connect_limit_ends_with_the_connection() {
    let mut sim = Sim::new();
    let probe = sim.go(get(HOST).connect(secs(3)));
    sim.advance(secs(60));
    sim.peer(0).send(OK);
    sim.settle();
    assert_eq!(probe.status(), Some(200));
}

#[test]
fn the_total_limit_passes_before_the_head() {
    let mut sim = Sim::new();
    let probe = sim.go(get(HOST).total(secs(3)));
    sim.advance(secs(3));
    let failure = probe.failure();
    timed_out(&failure.error, Timeout::Total, Phase::Total);
    assert!(
        failure
            .error
            .to_string()
            .contains("waiting for the response head")
    );
    assert_eq!(failure.error.peer(), Some(at80(HOST)));
    assert!(sim.peer(0).is_closed());

    sim.world.set_window(at80(HOST), 10);
    let probe = sim.go(post(HOST, vec![b'x'; 1 << 20]).total(secs(3)));
    sim.advance(secs(3));
    assert!(probe.error().to_string().contains("sending the request"));
}

#[test]
fn the_total_limit_passes_inside_a_body() {
    // SPEC T1: a body that drips is not saved by dripping.
    let mut sim = Sim::new();
    let probe = sim.go(get(HOST).total(secs(10)).sock_read(secs(2)));
    sim.peer(0).send(head_of(1000));
    for _ in 0..9 {
        sim.advance(secs(1));
        sim.peer(0).send("x");
    }
    sim.settle();
    assert!(probe.end().is_none());
    sim.advance(secs(1));
    timed_out(&probe.body_error(), Timeout::Total, Phase::Total);
    assert_eq!(probe.body().len(), 9);
    assert_eq!(sim.books(), (0, 0, 0));
}

#[test]
fn the_total_limit_passes_while_the_reader_is_slow() {
    // SPEC T1: it runs while the reader sleeps.
    let mut sim = Sim::new();
    let probe = sim.go(get(HOST).total(secs(10)).pipe(10, 20));
    sim.peer(0).send(response(1_000_000));
    sim.advance(secs(10));
    assert!(sim.peer(0).is_closed());
    timed_out(&probe.body_error(), Timeout::Total, Phase::Total);
}

#[test]
fn a_hop_does_not_restart_the_total_limit() {
    // SPEC D13.
    let mut sim = Sim::new();
    // What the call asks for next has the rest of its time: 10 - 6.
    let probe = sim.go(get(HOST).total(secs(10)).then(get(HOST).total(secs(4))));
    sim.advance(secs(6));
    sim.peer(0).send(OK);
    sim.advance(secs(4));
    timed_out(&probe.error(), Timeout::Total, Phase::Total);
    assert_eq!(probe.hops(), 2);
}

#[test]
fn a_request_that_comes_too_late_is_not_begun() {
    let mut sim = Sim::new();
    let probe = sim.go(get(HOST).total(ms(0)));
    timed_out(&probe.error(), Timeout::Total, Phase::Total);
    assert_eq!(sim.world.wires(), 0);
}

#[test]
fn sock_read_counts_from_the_end_of_the_request() {
    // SPEC T4: armed once the request is sent, not before.
    let mut sim = Sim::new();
    sim.world.set_window(at80(HOST), 10);
    let probe = sim.go(post(HOST, vec![b'x'; 1000]).sock_read(secs(2)));
    sim.advance(secs(30));
    assert!(!probe.is_answered());
    sim.peer(0).set_window(usize::MAX);
    sim.advance(secs(2) - ms(1));
    assert!(!probe.is_answered());
    sim.advance(ms(1));
    timed_out(&probe.error(), Timeout::SockRead, Phase::Head);
    assert_eq!(sim.books(), (0, 0, 0));
}

#[test]
fn sock_read_is_reset_by_data() {
    // SPEC T4: each byte starts it anew.
    let mut sim = Sim::new();
    let probe = sim.go(get(HOST).sock_read(secs(2)));
    for byte in head_of(5).iter().chain(b"dat") {
        sim.advance(secs(2) - ms(1));
        sim.peer(0).send([*byte]);
    }
    sim.advance(secs(2) - ms(1));
    assert!(probe.end().is_none());
    sim.advance(ms(1));
    timed_out(&probe.body_error(), Timeout::SockRead, Phase::Body);
    assert_eq!(probe.body(), b"dat");
}

#[test]
fn sock_read_is_suspended_while_the_reader_is_slow() {
    // SPEC T4: a slow reader is not a slow peer.
    let length = 1_000_000;
    let mut sim = Sim::new();
    let probe = sim.go(get(HOST).sock_read(secs(2)).pipe(10, 20));
    sim.peer(0).send(head_of(length));
    sim.peer(0).send(vec![b'x'; length - 1]);
    sim.advance(secs(60));
    assert!(probe.status().is_some());
    while probe.body().len() < length - 1 {
        sim.settle();
    }
    // The reader has it all: now the peer is the slow one.
    sim.advance(secs(2) - ms(1));
    assert!(probe.end().is_none());
    sim.advance(ms(1));
    timed_out(&probe.body_error(), Timeout::SockRead, Phase::Body);
}

#[test]
fn sock_read_leaves_idle_connections_alone() {
    // SPEC T4: cleared when the connection comes home.
    let mut sim = Sim::new();
    sim.serve(0, get(HOST).sock_read(secs(2)).total(secs(3)));
    sim.advance(secs(14));
    assert_eq!(sim.books(), (0, 1, 0));
    let probe = sim.go(get(HOST));
    sim.advance(secs(60));
    assert!(!probe.is_answered());
    sim.peer(0).send(OK);
    sim.settle();
    assert!(probe.reused());
}

#[test]
fn a_drain_has_its_own_limit_only() {
    // SPEC T4: nor does the old gap run in the drain of a body.
    let mut sim = Sim::new();
    sim.go(get(HOST).sock_read(ms(100)).total(ms(200)).then(get(HOST)));
    sim.peer(0).send(head_of(10));
    sim.advance(ms(999));
    assert!(!sim.peer(0).is_closed());
    sim.peer(0).send("0123456789");
    sim.settle();
    assert_eq!(sim.books(), (1, 1, 0));
}
