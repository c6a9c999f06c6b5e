//! Exchanges that wait before they start: a failed one, tried again after a
//! while (SPEC Y2).

use super::sim::*;
use crate::error::{Kind, Phase, Timeout};
use crate::job::{Cancel, Control, Progress};

const UNAVAILABLE: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy";

/// A request that was refused and rests for two seconds.
fn resting(sim: &mut Sim, first: Ask, next: Ask) -> Probe {
    let probe = sim.go(first.then_after(secs(2), next));
    sim.peer(0).received();
    sim.peer(0).send(UNAVAILABLE);
    sim.settle();
    assert_eq!(probe.hops(), 1);
    probe
}

#[test]
fn it_starts_when_its_time_has_come_and_not_before() {
    // SPEC Y2
    let mut sim = Sim::new();
    let probe = resting(&mut sim, get(HOST), get(HOST).target("/again"));
    sim.advance(secs(2) - ms(1));
    assert_eq!(sim.peer(0).received(), b"");
    sim.advance(ms(1));
    assert_eq!(sim.peer(0).received(), b"GET /again HTTP/1.1\r\n\r\n");
    sim.peer(0).send(OK);
    sim.settle();
    assert_eq!((probe.status(), probe.hops()), (Some(200), 2));
    assert!(probe.reused());
}

#[test]
fn whoever_rests_holds_no_slot() {
    // SPEC Y2, C3
    let mut sim = Sim::limited(1, 0);
    let probe = resting(&mut sim, get(HOST), get(HOST).target("/again"));
    assert_eq!(sim.books(), (0, 1, 0));
    let other = sim.go(get(HOST).target("/other"));
    assert_eq!(sim.peer(0).received(), b"GET /other HTTP/1.1\r\n\r\n");
    // Its time comes while the slot is taken: it waits like any other.
    sim.advance(secs(3));
    assert_eq!(sim.books(), (1, 0, 1));
    sim.peer(0).send(OK);
    sim.settle();
    assert_eq!(other.status(), Some(200));
    assert_eq!(sim.peer(0).received(), b"GET /again HTTP/1.1\r\n\r\n");
    sim.peer(0).send(OK);
    sim.settle();
    assert_eq!(probe.status(), Some(200));
}

#[test]
fn a_failure_may_rest_too() {
    // SPEC Y2
    let mut sim = Sim::new();
    let probe = sim.go(get(HOST).then_after(ms(10), get(HOST)));
    sim.peer(0).reset();
    sim.settle();
    assert_eq!((probe.hops(), sim.books()), (1, (0, 0, 0)));
    sim.advance(ms(10));
    sim.peer(1).send(OK);
    sim.settle();
    assert_eq!(probe.status(), Some(200));
}

#[test]
fn the_total_limit_ends_a_rest() {
    // SPEC T1, Y2
    let mut sim = Sim::new();
    let next = get(HOST).total(secs(1));
    let probe = resting(&mut sim, get(HOST).total(secs(1)), next);
    sim.advance(secs(1) - ms(1));
    assert!(!probe.is_answered());
    sim.advance(ms(1));
    let failure = probe.failure();
    assert_eq!(failure.progress, Progress::Unconnected);
    assert_eq!(failure.error.timeout(), Some(Timeout::Total));
    assert_eq!(failure.error.phase(), Some(Phase::Total));
    assert!(failure.error.to_string().contains("waiting to try again"));
    assert_eq!(sim.books(), (0, 1, 0));
}

#[test]
fn the_connect_limit_begins_behind_the_rest() {
    // SPEC T2, Y2
    let mut sim = Sim::new();
    let black_hole = crate::net::sim::Manner::BlackHole;
    sim.world.set_manner(at80("10.0.0.9"), black_hole);
    let next = get("10.0.0.9").connect(secs(1));
    let probe = resting(&mut sim, get(HOST).connect(secs(1)), next);
    sim.advance(secs(3) - ms(1));
    assert!(!probe.is_answered());
    sim.advance(ms(1));
    assert_eq!(probe.error().timeout(), Some(Timeout::Connect));
}

#[test]
fn a_rest_can_be_broken_off() {
    // SPEC Y2
    for how in [Cancel::Abort, Cancel::Drain] {
        let mut sim = Sim::new();
        let probe = resting(&mut sim, get(HOST), get(HOST));
        sim.cancel(&probe, how);
        assert_eq!(probe.error().kind(), Kind::Cancelled);
        sim.advance(secs(5));
        assert_eq!(sim.peer(0).received(), b"");
        assert_eq!((probe.hops(), sim.books()), (2, (0, 1, 0)));
    }
    let mut sim = Sim::new();
    let probe = resting(&mut sim, get(HOST), get(HOST));
    sim.control(Control::Shutdown);
    assert_eq!(probe.error().kind(), Kind::Closed);
}

#[test]
fn a_rest_that_is_over_already_is_none() {
    // SPEC Y2
    let mut sim = Sim::new();
    let probe = sim.go(get(HOST).then_after(ms(0), get(HOST).target("/again")));
    sim.peer(0).received();
    sim.peer(0).send(UNAVAILABLE);
    sim.settle();
    assert_eq!(sim.peer(0).received(), b"GET /again HTTP/1.1\r\n\r\n");
    sim.peer(0).send(OK);
    sim.settle();
    assert_eq!(probe.status(), Some(200));
}
