//! Connections that fail, and how far the request had come (SPEC Y1).

use super::sim::*;
use crate::error::{Kind, Phase};
use crate::job::{Failure, Progress};

/// A fresh connection, or one that has carried a request before, with this
/// one sent.
fn asked(reused: bool) -> (Sim, Probe) {
    let mut sim = Sim::new();
    if reused {
        sim.serve(0, get(HOST));
    }
    let probe = sim.go(get(HOST));
    assert!(!sim.peer(0).received().is_empty());
    (sim, probe)
}

fn failed(sim: &mut Sim, probe: &Probe) -> Failure {
    sim.settle();
    assert!(sim.peer(0).is_closed());
    assert_eq!(sim.books(), (0, 0, 0));
    probe.failure()
}

#[test]
fn a_connection_lost_before_the_reply() {
    for (reused, progress) in [(false, Progress::Begun), (true, Progress::Unanswered)] {
        let (mut sim, probe) = asked(reused);
        sim.peer(0).reset();
        let failure = failed(&mut sim, &probe);
        assert_eq!(failure.error.kind(), Kind::Disconnected);
        assert_eq!(failure.error.phase(), Some(Phase::Head));
        assert_eq!(failure.error.peer(), Some(at80(HOST)));
        assert_eq!(failure.progress, progress);

        let (mut sim, probe) = asked(reused);
        sim.peer(0).finish();
        let failure = failed(&mut sim, &probe);
        assert_eq!(failure.error.kind(), Kind::Disconnected);
        assert_eq!(failure.progress, progress);
    }
}

/// One byte of a reply, and nothing may be sent again.
#[test]
fn a_connection_lost_inside_the_head() {
    for reused in [false, true] {
        let (mut sim, probe) = asked(reused);
        sim.peer(0).send("H");
        sim.peer(0).reset();
        let failure = failed(&mut sim, &probe);
        assert_eq!(failure.error.kind(), Kind::Disconnected);
        assert_eq!(failure.progress, Progress::Begun);
    }
}

/// The probe finds nothing wrong, the first write does.
#[test]
fn a_connection_that_takes_no_byte() {
    let mut sim = Sim::new();
    sim.serve(0, get(HOST));
    sim.peer(0).break_pipe();
    let probe = sim.go(get(HOST));
    let failure = failed(&mut sim, &probe);
    assert_eq!(failure.error.kind(), Kind::Disconnected);
    assert_eq!(failure.error.phase(), Some(Phase::Send));
    assert_eq!(failure.progress, Progress::Unsent);
}

/// Some of the request went out: the server may have seen enough of it.
#[test]
fn a_connection_that_breaks_inside_the_request() {
    let mut sim = Sim::new();
    sim.serve(0, get(HOST));
    sim.peer(0).set_window(5);
    let probe = sim.go(get(HOST));
    sim.peer(0).break_pipe();
    sim.peer(0).set_window(100);
    let failure = failed(&mut sim, &probe);
    assert_eq!(failure.progress, Progress::Unanswered);
    assert_eq!(failure.error.phase(), Some(Phase::Send));
}

/// RFC 9112 §9.5: the answer came before the write failed, and counts.
#[test]
fn an_answer_that_was_there_before_the_write_failed() {
    let mut sim = Sim::new();
    sim.serve(0, get(HOST));
    let probe = sim.start(post(HOST, "x"));
    sim.peer(0).set_window(5);
    sim.turn();
    sim.peer(0).break_pipe();
    sim.peer(0).set_window(100);
    sim.peer(0)
        .send("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n");
    sim.settle();
    assert_eq!(probe.status(), Some(408));
    assert!(sim.peer(0).is_closed());
    assert_eq!(sim.books(), (0, 0, 0));
}

/// The call's own retry: the same slot, another connection.
#[test]
fn a_request_sent_again_after_a_stale_connection() {
    let mut sim = Sim::limited(1, 0);
    sim.serve(0, get(HOST));
    sim.peer(0).break_pipe();
    let probe = sim.go(get(HOST).then(get(HOST)));
    assert!(sim.peer(0).is_closed());
    sim.peer(1).send(OK);
    sim.settle();
    assert_eq!((probe.status(), probe.hops()), (Some(200), 2));
}

#[test]
fn a_head_without_end_is_a_limit() {
    // SPEC S21.
    let (mut sim, probe) = asked(false);
    sim.peer(0).send("HTTP/1.1 200 OK\r\nA: ");
    sim.peer(0).send(vec![b'x'; 10_000]);
    let failure = failed(&mut sim, &probe);
    assert_eq!(failure.error.kind(), Kind::Limit);
    assert_eq!(failure.progress, Progress::Begun);
}
