//! Handshakes that run foreign code: taken elsewhere, step by step.

use super::sim::*;
use super::tls::Secure;
use crate::error::{Kind, Phase, Timeout};
use crate::job::{Cancel, Control, Progress, RareLimits};

#[test]
fn a_foreign_handshake_goes_step_by_step() {
    // SPEC C20
    let mut world = Secure::foreign(Sim::new());
    let ask = world.secure(get(HOST));
    let probe = world.sim.go(ask.clone());
    let mut session = world.session(0);
    session.talk(&mut world.sim);
    assert_eq!(session.plain, b"GET / HTTP/1.1\r\n\r\n");
    assert!(world.sim.steps.taken() >= 2);
    session.say(&mut world.sim, OK);
    assert_eq!((probe.status(), probe.body()), (Some(200), b"ok".to_vec()));
    // Once it is open, nothing of it goes anywhere else.
    let taken = world.sim.steps.taken();
    let probe = world.sim.go(ask);
    session.talk(&mut world.sim);
    session.say(&mut world.sim, OK);
    assert_eq!((probe.status(), probe.reused()), (Some(200), true));
    assert_eq!(world.sim.steps.taken(), taken);
}

/// A world whose first attempt is away for its first step, or for the one that
/// looks at the certificate.
fn away(begun: bool, late: bool, ask: impl Fn(Ask) -> Ask) -> (Secure, Probe) {
    let mut world = Secure::foreign(Sim::limited(1, 0));
    if !late {
        world.sim.steps.hold(begun);
    }
    let asked = ask(world.secure(get(HOST)));
    let probe = world.sim.go(asked);
    if late {
        world.sim.steps.hold(begun);
        let mut session = world.session(0);
        session.listen(&world.sim);
        let hello = session.output();
        world.sim.peer(0).send(hello);
        world.sim.settle();
    }
    assert_eq!(world.sim.steps.tokens().len(), 1, "it is away");
    assert!(!probe.is_over());
    (world, probe)
}

#[test]
fn nobody_waits_for_what_is_away() {
    // SPEC C20
    for late in [false, true] {
        let (mut world, probe) = away(true, late, |ask| ask);
        let waiting = world.sim.go(get("10.0.0.2"));
        world.sim.advance(secs(20));
        assert_eq!(world.sim.books(), (1, 0, 1));
        // Whatever it was told meanwhile it knows when it is back.
        if late {
            assert_eq!(world.sim.steps.take(), 1);
            world.sim.settle();
        } else {
            while world.sim.steps.take() > 0 {
                world.sim.settle();
            }
            assert!(world.sim.steps.tokens().is_empty());
            assert!(!world.sim.peer(0).received().is_empty(), "a hello");
        }
        world.sim.cancel(&probe, Cancel::Abort);
        world.sim.settle();
        let wire = world.sim.world.wires() - 1;
        world.sim.peer(wire).send(OK);
        world.sim.settle();
        assert_eq!(waiting.status(), Some(200));
    }
}

#[test]
fn limits_pass_while_it_is_away() {
    // SPEC C20, T1, T2, T3, T6
    type Limit = fn(Ask) -> Ask;
    let tls: Limit = |ask| {
        ask.rare(RareLimits {
            tls: Some(ms(300)),
            ..RareLimits::default()
        })
    };
    let limits: [(Limit, Timeout); 4] = [
        (|ask| ask.total(ms(300)), Timeout::Total),
        (|ask| ask.connect(ms(300)), Timeout::Connect),
        (|ask| ask.sock_connect(ms(300)), Timeout::SockConnect),
        (tls, Timeout::Tls),
    ];
    for (limit, which) in limits {
        for (begun, late) in [(false, false), (true, false), (false, true), (true, true)] {
            let (mut world, probe) = away(begun, late, limit);
            world.sim.advance(ms(299));
            assert!(!probe.is_over(), "{which:?}");
            world.sim.advance(ms(1));
            let failure = probe.failure();
            assert_eq!(failure.error.timeout(), Some(which));
            assert_eq!(failure.progress, Progress::Unconnected);
            if which != Timeout::Total {
                assert_eq!(failure.error.phase(), Some(Phase::Tls));
            }
            over(world, begun);
        }
    }
}

#[test]
fn cancelling_finds_it_wherever_it_is() {
    // SPEC C20
    for (begun, late) in [(false, false), (true, false), (false, true), (true, true)] {
        let (mut world, probe) = away(begun, late, |ask| ask);
        world.sim.cancel(&probe, Cancel::Abort);
        assert_eq!(probe.error().kind(), Kind::Cancelled);
        over(world, begun);
    }
}

/// The slot is free at once, and what comes back finds nobody.
fn over(mut world: Secure, begun: bool) {
    assert_eq!(world.sim.books(), (0, 0, 0));
    assert_eq!(world.sim.steps.tokens().len(), usize::from(begun));
    let probe = world.sim.go(get("10.0.0.2"));
    assert_eq!(world.sim.steps.take(), usize::from(begun));
    world.sim.settle();
    assert!(world.sim.peer(0).is_closed());
    world.sim.peer(1).send(OK);
    world.sim.settle();
    assert_eq!(probe.status(), Some(200));
}

#[test]
fn the_race_rests_while_one_is_away_and_goes_on_behind_it() {
    // SPEC C20, C27
    let mut world = Secure::foreign(Sim::new());
    world.sim.names.known("h.test", &["10.0.0.1", "10.0.0.2"]);
    world.sim.steps.hold(true);
    let ask = world.secure(get("h.test"));
    let probe = world.sim.go(ask);
    world.sim.advance(secs(2));
    assert_eq!(world.sim.world.wires(), 1, "its address answers");
    // The server hangs up: the step finds that out, and the next address is tried.
    world.sim.peer(0).reset();
    world.sim.settle();
    while world.sim.world.wires() < 2 {
        assert!(world.sim.steps.take() > 0, "it is over without another try");
        world.sim.settle();
    }
    assert!(world.sim.peer(0).is_closed() && !probe.is_over());
}

#[test]
fn shutting_down_leaves_none_behind() {
    // SPEC C7, C20
    for begun in [false, true] {
        let (mut world, probe) = away(begun, true, |ask| ask);
        world.sim.control(Control::Shutdown);
        assert_eq!(probe.error().kind(), Kind::Closed);
        world.sim.steps.take();
    }
}

#[test]
fn what_is_ours_never_goes_away() {
    // SPEC C20
    let mut world = Secure::new(Sim::new(), true);
    let ask = world.secure(get(HOST));
    let probe = world.sim.go(ask);
    let mut session = world.session(0);
    session.talk(&mut world.sim);
    session.say(&mut world.sim, OK);
    assert_eq!(probe.status(), Some(200));
    assert_eq!(world.sim.steps.taken(), 0);
}
