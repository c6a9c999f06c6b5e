//! What concerns the engine as a whole: its end, its wait, and calls that
//! misbehave.

use super::sim::*;
use crate::error::Kind;
use crate::job::{Cancel, Command, Control};
use crate::net::sim::Manner;

#[test]
fn shutting_down_fails_everything_with_closed() {
    // SPEC C7: wherever a request stands, it hears of it.
    let mut sim = Sim::limited(5, 0);
    sim.world.set_manner(at80("10.9.9.9"), Manner::BlackHole);
    sim.serve(0, get(HOST));
    let asked = sim.go(get(HOST));
    let streaming = sim.go(get("10.0.0.2"));
    sim.peer(1).send(head_of(10));
    let dialing = sim.go(get("10.9.9.9"));
    let resolving = sim.go(get("never.test"));
    let drained = sim.go(get("10.0.0.3").then(get("never.test")));
    let n = sim.world.wires() - 1;
    sim.peer(n).send(head_of(10));
    sim.settle();
    let waiting = sim.go(get(HOST));
    assert_eq!(sim.books(), (5, 0, 2));
    sim.control(Control::Shutdown);
    assert!(sim.stopped);
    for probe in [asked, dialing, resolving, drained, waiting] {
        assert_eq!(probe.error().kind(), Kind::Closed);
    }
    assert_eq!(streaming.body_error().kind(), Kind::Closed);
    assert_eq!(sim.books(), (0, 0, 0));
    assert_eq!(sim.world.open(), 0);
    let late = Command::Control(Control::CloseIdle);
    assert!(
        sim.mailbox.push(late).is_err(),
        "nobody empties the mailbox"
    );
}

/// A peer whose answer nobody waits for learns of it at once, and no
/// half-closed socket stays behind beside the limit.
#[test]
fn giving_up_resets_and_being_done_does_not() {
    let mut sim = Sim::new();
    let (waiting, reading) = (sim.go(get(HOST)), sim.go(get("10.0.0.2")));
    sim.peer(1).send(head_of(1 << 20));
    sim.settle();
    sim.cancel(&waiting, Cancel::Abort);
    sim.cancel(&reading, Cancel::Drain);
    assert!(sim.peer(0).is_aborted() && sim.peer(1).is_aborted());

    let done = sim.go(get("10.0.0.3"));
    sim.peer(2)
        .send("HTTP/1.1 204 x\r\nConnection: close\r\n\r\n");
    sim.settle();
    assert!(done.is_answered());
    assert!(sim.peer(2).is_closed() && !sim.peer(2).is_aborted());
    assert_eq!(sim.books(), (0, 0, 0));
}

/// No call is left without an answer, though it came behind the end.
#[test]
fn requests_behind_a_shutdown_are_let_go() {
    let mut sim = Sim::new();
    let _ = sim.mailbox.push(Command::Control(Control::Shutdown));
    let late = sim.start(get(HOST));
    sim.settle();
    assert!(late.is_answered());
    let later = sim.start(get(HOST));
    assert!(later.is_lost());
}

/// A call that starts another exchange on its failure does not keep a closed
/// engine alive.
#[test]
fn a_retry_into_a_closed_engine_fails_too() {
    let mut sim = Sim::new();
    let probe = sim.go(get(HOST).then(get(HOST)));
    sim.control(Control::Shutdown);
    assert_eq!(probe.error().kind(), Kind::Closed);
    assert_eq!(probe.hops(), 2);
}

#[test]
fn a_call_that_panics_fails_alone() {
    // On a whole response, on a failure, on a head with more to come.
    let mut sim = Sim::limited(2, 0);
    let other = sim.go(get("10.0.0.2"));
    let whole = sim.go(get(HOST).panics());
    sim.peer(1).send(OK);
    sim.settle();
    assert!(whole.is_lost());
    assert_eq!(sim.books(), (1, 1, 0));

    let broken = sim.go(get(HOST).panics());
    sim.peer(1).reset();
    sim.settle();
    assert!(broken.is_lost());
    assert_eq!(sim.books(), (1, 0, 0));

    // Nobody reads this body and nobody will cancel it: an endless one must
    // not hold its slot for ever.
    let endless = sim.go(get(HOST).panics());
    sim.peer(2)
        .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n");
    sim.settle();
    assert!(endless.is_lost());
    sim.advance(secs(1));
    assert_eq!(sim.books(), (1, 0, 0));

    sim.peer(0).send(OK);
    sim.settle();
    assert_eq!(other.status(), Some(200));
}

/// One failing wait is weathered; a poller that only fails ends the engine,
/// and everybody hears of it.
#[test]
fn waits_that_fail() {
    let mut sim = Sim::new();
    let probe = sim.go(get(HOST));
    sim.world.fail_waits(3);
    sim.peer(0).send(OK);
    sim.settle();
    assert_eq!(probe.status(), Some(200));

    let probe = sim.go(get(HOST));
    sim.world.fail_waits(u32::MAX);
    sim.settle();
    assert!(sim.stopped);
    assert_eq!(probe.error().kind(), Kind::Internal);
    assert_eq!(sim.world.open(), 0);
}

/// Commands for requests that are long over, or never were.
#[test]
fn commands_for_nobody_do_nothing() {
    let mut sim = Sim::new();
    let probe = sim.go(get(HOST));
    sim.peer(0).send(OK);
    sim.settle();
    for how in [Cancel::Drain, Cancel::Abort] {
        sim.cancel(&probe, how);
    }
    let _ = sim.mailbox.push(Command::Wake(probe.id));
    sim.settle();
    assert_eq!(probe.status(), Some(200));
    assert_eq!(sim.books(), (0, 1, 0));
}
