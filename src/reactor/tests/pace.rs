//! SPEC T6: the limits that few requests have, and rates, to the millisecond of
//! the virtual clock.

use std::num::NonZeroU64;
use std::time::Duration;

use super::sim::*;
use crate::error::{Error, Kind, Phase, Timeout};
use crate::job::{LowSpeed, RareLimits};

fn timed_out(error: &Error, which: Timeout, phase: Phase) {
    assert_eq!(error.kind(), Kind::Timeout, "{error:#}");
    assert_eq!(error.timeout(), Some(which), "{error:#}");
    assert_eq!(error.phase(), Some(phase), "{error:#}");
    assert!(error.to_string().contains("3s"), "{error}");
}

const LIMIT: Duration = Duration::from_secs(3);

fn low_speed(bytes: u64) -> RareLimits {
    RareLimits {
        low_speed: Some(LowSpeed {
            bytes,
            window: LIMIT,
        }),
        ..RareLimits::default()
    }
}

fn rates(down: u64, up: u64) -> RareLimits {
    RareLimits {
        download_rate: NonZeroU64::new(down),
        upload_rate: NonZeroU64::new(up),
        ..RareLimits::default()
    }
}

/// Nothing a millisecond before the limit, and the answer at it.
fn passes(sim: &mut Sim, over: impl Fn() -> bool) {
    sim.advance(LIMIT - ms(1));
    assert!(!over(), "too early");
    sim.advance(ms(1));
    assert!(over(), "too late");
}

#[test]
fn the_wait_for_a_slot_has_a_limit() {
    // SPEC T6
    let mut sim = Sim::limited(1, 0);
    sim.go(get(HOST));
    let rare = RareLimits {
        pool_wait: Some(LIMIT),
        ..RareLimits::default()
    };
    let probe = sim.go(get(HOST).rare(rare.clone()));
    passes(&mut sim, || probe.is_answered());
    timed_out(&probe.error(), Timeout::PoolWait, Phase::PoolWait);
    assert!(probe.error().is_connect());
    assert_eq!(sim.books(), (1, 0, 0));
    // With a slot it is over.
    let probe = sim.go(get(HOST).rare(rare));
    sim.advance(secs(2));
    sim.peer(0).send(OK);
    sim.advance(secs(60));
    assert!(!probe.is_answered());
    sim.peer(0).send(OK);
    sim.settle();
    assert_eq!(probe.status(), Some(200));
}

#[test]
fn the_lookup_of_a_name_has_a_limit() {
    // SPEC T6
    let mut sim = Sim::new();
    let rare = RareLimits {
        dns: Some(LIMIT),
        ..RareLimits::default()
    };
    let probe = sim.go(get("never.test").rare(rare.clone()));
    // Who joins it waits from then on.
    sim.advance(secs(1));
    let other = sim.go(get("never.test"));
    sim.advance(secs(2) - ms(1));
    assert!(!probe.is_answered());
    sim.advance(ms(1));
    timed_out(&probe.error(), Timeout::Dns, Phase::Dns);
    assert!(!other.is_answered());
    assert_eq!(sim.books(), (1, 0, 0));
    // One address is enough.
    sim.names.partly("some.test", secs(1), &[HOST]);
    let probe = sim.go(get("some.test").rare(rare));
    sim.advance(secs(30));
    sim.peer(0).send(OK);
    sim.settle();
    assert_eq!(probe.status(), Some(200));
}

#[cfg(feature = "tls")]
#[test]
fn a_handshake_has_a_limit() {
    // SPEC T6
    let client = crate::tls::Client::build(&crate::tls::Settings::default()).unwrap();
    let rare = RareLimits {
        tls: Some(LIMIT),
        ..RareLimits::default()
    };
    let mut sim = Sim::new();
    sim.names.known("two.test", &["10.0.0.1", "10.0.0.2"]);
    let mut ask = get("two.test").rare(rare);
    ask.tls = Some(client);
    let probe = sim.go(ask);
    sim.advance(LIMIT - ms(1));
    assert_eq!(sim.world.wires(), 1);
    // The next address has its own.
    sim.advance(ms(1));
    assert_eq!(sim.world.wires(), 2);
    assert!(!probe.is_answered());
    passes(&mut sim, || probe.is_answered());
    timed_out(&probe.error(), Timeout::Tls, Phase::Tls);
    assert!(probe.error().peer().is_some());
    assert_eq!(sim.books(), (0, 0, 0));
}

#[test]
fn a_network_that_takes_nothing_has_a_limit() {
    // SPEC T6
    let mut sim = Sim::new();
    sim.world.set_window(at80(HOST), 100);
    let rare = RareLimits {
        write_stall: Some(LIMIT),
        ..RareLimits::default()
    };
    let probe = sim.go(post(HOST, vec![b'x'; 100_000]).rare(rare.clone()));
    for _ in 0..5 {
        sim.advance(LIMIT - ms(1));
        assert!(!probe.is_answered());
        sim.peer(0).set_window(10);
        sim.settle();
    }
    passes(&mut sim, || probe.is_answered());
    timed_out(&probe.error(), Timeout::WriteStall, Phase::Send);
    assert_eq!(sim.books(), (0, 0, 0));
    // The server's silence is not the network's.
    sim.world.set_window(at80(HOST), usize::MAX);
    let probe = sim.go(post(HOST, vec![b'x'; 1000]).rare(rare));
    sim.advance(secs(60));
    assert!(!probe.is_answered());
    sim.peer(1).send(OK);
    sim.settle();
    assert_eq!(probe.status(), Some(200));
}

#[test]
fn the_wait_for_the_head_has_a_limit() {
    // SPEC T6
    let mut sim = Sim::new();
    sim.world.set_window(at80(HOST), 10);
    let rare = RareLimits {
        response_header: Some(LIMIT),
        ..RareLimits::default()
    };
    let probe = sim.go(post(HOST, vec![b'x'; 1000]).rare(rare.clone()));
    sim.advance(secs(60));
    assert!(!probe.is_answered());
    sim.peer(0).set_window(usize::MAX);
    sim.advance(secs(2));
    // Neither of these is a head.
    sim.peer(0)
        .send("HTTP/1.1 102 Wait\r\n\r\nHTTP/1.1 200 OK\r\n");
    sim.advance(secs(1) - ms(1));
    assert!(!probe.is_answered());
    sim.advance(ms(1));
    timed_out(&probe.error(), Timeout::ResponseHeader, Phase::Head);
    assert_eq!(sim.books(), (0, 0, 0));
    // The body may take as long as it wants.
    sim.world.set_window(at80(HOST), usize::MAX);
    let probe = sim.go(get(HOST).rare(rare));
    sim.peer(1).send(head_of(2));
    sim.advance(secs(60));
    sim.peer(1).send("ok");
    sim.settle();
    assert!(matches!(probe.end(), Some(Ok(()))));
}

#[test]
fn a_body_that_comes_too_slowly_is_given_up() {
    // SPEC T6
    let mut sim = Sim::new();
    let probe = sim.go(get(HOST).rare(low_speed(100)));
    // The server may think.
    sim.advance(secs(60));
    sim.peer(0).send(head_of(100_000));
    for _ in 0..10 {
        sim.advance(LIMIT - ms(1));
        assert!(probe.end().is_none());
        sim.peer(0).send([b'x'; 100]);
        sim.settle();
    }
    // What drips is not saved by it.
    for _ in 0..3 {
        sim.advance(ms(999));
        sim.peer(0).send([b'x'; 33]);
    }
    sim.advance(ms(2));
    assert!(probe.end().is_none());
    sim.advance(ms(1));
    timed_out(&probe.body_error(), Timeout::LowSpeed, Phase::Body);
    assert_eq!(probe.body().len(), 1099);
    assert_eq!(sim.books(), (0, 0, 0));
}

#[test]
fn an_upload_that_goes_too_slowly_is_given_up() {
    // SPEC T6
    let mut sim = Sim::new();
    sim.world.set_window(at80(HOST), 100);
    let probe = sim.go(post(HOST, vec![b'x'; 100_000]).rare(low_speed(100)));
    for _ in 0..10 {
        sim.advance(LIMIT - ms(1));
        assert!(!probe.is_answered());
        sim.peer(0).set_window(100);
        sim.settle();
    }
    sim.advance(secs(1));
    sim.peer(0).set_window(99);
    sim.advance(secs(2) - ms(1));
    assert!(!probe.is_answered());
    sim.advance(ms(1));
    timed_out(&probe.error(), Timeout::LowSpeed, Phase::Send);
}

#[test]
fn a_slow_reader_is_not_a_slow_peer() {
    // SPEC T6
    let length = 1_000_000;
    let mut sim = Sim::new();
    let probe = sim.go(get(HOST).rare(low_speed(100)).pipe(10, 20));
    sim.peer(0).send(head_of(length));
    sim.peer(0).send(vec![b'x'; length - 1]);
    sim.advance(secs(60));
    while probe.body().len() < length - 1 {
        sim.settle();
        sim.advance(secs(1));
        assert!(sim.world.elapsed() < secs(1_000_000));
    }
    // The reader has it all: now the peer is the slow one.
    sim.advance(LIMIT);
    timed_out(&probe.body_error(), Timeout::LowSpeed, Phase::Body);
}

#[test]
fn a_download_keeps_to_its_rate() {
    // SPEC T6, T4
    let mut sim = Sim::new();
    let rare = RareLimits {
        // Twice what the rate allows.
        low_speed: Some(LowSpeed {
            bytes: 60_000,
            window: LIMIT,
        }),
        ..rates(10_000, 0)
    };
    let probe = sim.go(get(HOST).rare(rare).sock_read(ms(20)));
    sim.peer(0).send(response(100_000));
    let mut turns = 0;
    while probe.end().is_none() {
        sim.advance(ms(100));
        turns += 1;
        let most = 10_000 * turns / 10 + 2000;
        let body = probe.body().len();
        assert!(body <= most, "{body} after {turns}");
        assert!(turns < 110);
    }
    assert!(matches!(probe.end(), Some(Ok(()))), "{probe:?}");
    assert!(turns > 95, "{turns}");
    assert_eq!(probe.body().len(), 100_000);
    assert_eq!(sim.books(), (0, 1, 0));
}

#[test]
fn an_upload_keeps_to_its_rate() {
    // SPEC T6
    let mut sim = Sim::new();
    let rare = RareLimits {
        write_stall: Some(ms(20)),
        low_speed: Some(LowSpeed {
            bytes: 60_000,
            window: LIMIT,
        }),
        response_header: Some(LIMIT),
        ..rates(0, 10_000)
    };
    let probe = sim.go(post(HOST, vec![b'x'; 100_000]).rare(rare));
    let (mut received, mut turns) = (0, 0);
    while received < 100_000 {
        sim.advance(ms(100));
        received += sim.peer(0).received().len();
        turns += 1;
        assert!(
            received <= 10_000 * turns / 10 + 2000,
            "{received} after {turns}"
        );
        assert!(turns < 110, "{received}");
    }
    assert!(turns > 95, "{turns}");
    assert!(!probe.is_answered());
    sim.peer(0).send(OK);
    sim.settle();
    assert_eq!(probe.status(), Some(200));
    assert_eq!(sim.books(), (0, 1, 0));
}

#[test]
fn a_rate_does_not_outlive_its_exchange() {
    // SPEC T6
    let mut sim = Sim::new();
    // An answer ends an upload that a rate would have held up for long.
    let probe = sim.go(post(HOST, vec![b'x'; 100_000]).rare(rates(1_000_000, 10)));
    sim.advance(secs(2));
    sim.peer(0).send(response(1000));
    sim.advance(secs(60));
    assert_eq!(probe.body().len(), 1000);
    assert!(sim.peer(0).is_closed());
    // Nor does it keep a connection from the next one.
    sim.serve(1, get(HOST).rare(rates(100_000, 1)));
    sim.advance(secs(10));
    sim.serve(1, get(HOST));
}

#[test]
fn a_body_nobody_wants_is_drained_at_full_speed() {
    // SPEC T6, D12
    let mut sim = Sim::new();
    let ask = get(HOST).rare(rates(1000, 0));
    sim.go(ask.then(get(HOST)));
    sim.peer(0).send(head_of(30_000));
    sim.advance(ms(900));
    sim.peer(0).send(vec![b'x'; 30_000]);
    sim.settle();
    assert_eq!(sim.books(), (1, 1, 0));
}
