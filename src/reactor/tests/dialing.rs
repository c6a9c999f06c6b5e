//! Names, addresses and the race for a connection.

use super::sim::*;
use crate::dns::IpFamily;
use crate::error::{Kind, Phase, Timeout};
use crate::job::{Cancel, Progress};
use crate::net::sim::Manner;

const V6: &str = "2001:db8::1";
const V4: &str = "192.0.2.1";

fn world(manners: &[(&str, Manner)]) -> Sim {
    let sim = Sim::new();
    for (address, manner) in manners {
        sim.world.set_manner(at80(address), *manner);
    }
    sim
}

#[test]
fn the_second_family_is_tried_after_250_ms() {
    // SPEC C27: a black hole costs a quarter of a second, exactly.
    let mut sim = world(&[(V6, Manner::BlackHole)]);
    sim.names.known("host.test", &[V6, V4]);
    let probe = sim.go(get("host.test"));
    assert_eq!(sim.peer(0).address(), at80(V6));
    sim.advance(ms(249));
    assert_eq!(sim.world.wires(), 1);
    sim.advance(ms(1));
    assert_eq!(sim.peer(1).address(), at80(V4));
    assert!(sim.peer(0).is_closed(), "the loser is closed");
    sim.peer(1).send(OK);
    sim.settle();
    assert_eq!(probe.peer(), Some(at80(V4)));
    assert_eq!(sim.world.elapsed(), ms(250));
}

/// RFC 8305 §5.
#[test]
fn a_refusal_starts_the_next_attempt_at_once() {
    for refusal in [Manner::Refuses, Manner::Unreachable] {
        let mut sim = world(&[(V6, refusal)]);
        sim.names.known("host.test", &[V6, V4]);
        let probe = sim.go(get("host.test"));
        let n = sim.world.wires() - 1;
        sim.peer(n).send(OK);
        sim.settle();
        assert_eq!(probe.peer(), Some(at80(V4)), "{refusal:?}");
        assert_eq!(sim.world.elapsed(), ms(0));
        // The name is known now, and its addresses have rotated.
        sim.names.says(
            "host.test",
            ms(0),
            crate::dns::Lookup::Done(Err(crate::dns::DnsFault::NotFound), None),
        );
        assert_eq!(sim.names.asked(), 1);
    }
}

/// The first attempt may yet win after the second has started.
#[test]
fn the_first_to_answer_wins() {
    let mut sim = world(&[
        (V6, Manner::AcceptsAfter(ms(300))),
        (V4, Manner::AcceptsAfter(ms(100))),
    ]);
    sim.names.known("host.test", &[V6, V4]);
    let probe = sim.go(get("host.test"));
    sim.advance(ms(300));
    assert!(sim.peer(1).is_closed());
    sim.peer(0).send(OK);
    sim.settle();
    assert_eq!(probe.peer(), Some(at80(V6)));
}

#[test]
fn without_happy_eyeballs_addresses_are_tried_in_turn() {
    let mut sim = Sim::with(|setup| setup.config.happy_eyeballs = None);
    sim.world
        .set_manner(at80(V6), Manner::RefusesAfter(secs(20)));
    sim.names.known("host.test", &[V6, V4]);
    let probe = sim.go(get("host.test"));
    sim.advance(secs(20) - ms(1));
    assert_eq!(sim.world.wires(), 1);
    sim.advance(ms(1));
    sim.peer(1).send(OK);
    sim.settle();
    assert_eq!(probe.status(), Some(200));
}

/// A name that everybody refuses.
#[test]
fn refusals_everywhere_fail_with_the_address() {
    let mut sim = world(&[(V6, Manner::Refuses), (V4, Manner::Refuses)]);
    sim.names.known("host.test", &[V6, V4]);
    let failure = sim.go(get("host.test")).failure();
    assert_eq!(failure.error.kind(), Kind::Connect);
    assert_eq!(failure.error.phase(), Some(Phase::Connect));
    assert_eq!(failure.error.peer(), Some(at80(V4)));
    assert_eq!(failure.progress, Progress::Unconnected);
    assert!(format!("{:#}", failure.error).contains("refused"));
    assert_eq!(sim.books(), (0, 0, 0));
}

#[test]
fn an_unreachable_network_is_a_connect_error() {
    let mut sim = world(&[(HOST, Manner::Unreachable)]);
    let error = sim.go(get(HOST)).error();
    assert_eq!(
        (error.kind(), error.peer()),
        (Kind::Connect, Some(at80(HOST)))
    );
}

/// RFC 8305 §3: a head start of 50 ms for the AAAA answer.
#[test]
fn ipv4_alone_waits_for_ipv6_for_50_ms() {
    let mut sim = Sim::new();
    sim.names.partly("host.test", ms(10), &[V4]);
    let probe = sim.go(get("host.test"));
    sim.advance(ms(59));
    assert_eq!(sim.world.wires(), 0);
    sim.advance(ms(1));
    assert_eq!(sim.peer(0).address(), at80(V4));
    sim.peer(0).send(OK);
    sim.settle();
    assert_eq!(probe.status(), Some(200));
}

#[test]
fn ipv6_that_comes_in_time_goes_first() {
    let mut sim = Sim::new();
    sim.names.partly("host.test", ms(0), &[V4]);
    sim.names.partly("host.test", ms(49), &[V4, V6]);
    sim.go(get("host.test"));
    sim.advance(ms(49));
    assert_eq!(sim.peer(0).address(), at80(V6));
    assert_eq!(sim.world.wires(), 1);
}

/// The whole answer ends the wait for the other family.
#[test]
fn a_complete_answer_is_not_waited_on() {
    let mut sim = Sim::new();
    sim.names.partly("host.test", ms(0), &[V4]);
    sim.names.says(
        "host.test",
        ms(20),
        crate::dns::Lookup::Done(Ok(vec![at80(V4)]), None),
    );
    sim.go(get("host.test"));
    assert_eq!(sim.world.wires(), 0);
    sim.advance(ms(20));
    assert_eq!(sim.world.wires(), 1);
}

#[test]
fn a_single_family_is_not_waited_for() {
    // SPEC C25: no other family is coming.
    let mut sim = Sim::with(|setup| setup.config.dns.family = IpFamily::V4);
    sim.names.partly("host.test", ms(0), &[V4]);
    sim.go(get("host.test"));
    assert_eq!(sim.world.wires(), 1);
}

#[test]
fn addresses_that_come_late_join_the_race() {
    let mut sim = world(&[(V6, Manner::Refuses)]);
    sim.names.partly("host.test", ms(0), &[V6]);
    sim.names.says(
        "host.test",
        secs(3),
        crate::dns::Lookup::Done(Ok(vec![at80(V6), at80(V4)]), None),
    );
    let probe = sim.go(get("host.test"));
    sim.advance(secs(2));
    assert!(!probe.is_answered(), "more addresses are coming");
    sim.advance(secs(1));
    sim.peer(1).send(OK);
    sim.settle();
    assert_eq!(probe.peer(), Some(at80(V4)));
}

#[test]
fn an_unknown_name_is_a_dns_error() {
    let mut sim = Sim::new();
    sim.names.unknown("nowhere.test");
    let failure = sim.go(get("nowhere.test")).failure();
    assert_eq!(failure.error.kind(), Kind::Dns);
    assert_eq!(failure.error.phase(), Some(Phase::Dns));
    assert_eq!(failure.progress, Progress::Unconnected);
    assert_eq!(sim.books(), (0, 0, 0));
}

#[test]
fn a_name_without_addresses_of_the_family_is_a_dns_error() {
    let mut sim = Sim::with(|setup| setup.config.dns.family = IpFamily::V6);
    sim.names.known("host.test", &[V4]);
    assert_eq!(sim.go(get("host.test")).error().kind(), Kind::Dns);
    assert_eq!(sim.go(get(HOST)).error().kind(), Kind::Dns);
}

/// Neither a literal nor `localhost` is looked up.
#[test]
fn local_names_reach_no_resolver() {
    let mut sim = Sim::new();
    sim.go(get("localhost"));
    assert_eq!(sim.names.asked(), 0);
    assert!(sim.peer(0).address().ip().is_loopback());
    sim.go(get("2001:db8::7"));
    assert_eq!(sim.peer(1).address(), at80("2001:db8::7"));
}

#[test]
fn requests_for_one_name_share_one_lookup() {
    // SPEC C22.
    let mut sim = Sim::new();
    let answer = crate::dns::Lookup::Done(Ok(vec![at80(V4)]), None);
    sim.names.says("host.test", secs(1), answer);
    let (first, second) = (sim.go(get("host.test")), sim.go(get("host.test")));
    assert_eq!(sim.names.asked(), 1);
    sim.cancel(&first, Cancel::Abort);
    assert_eq!(first.error().kind(), Kind::Cancelled);
    sim.advance(secs(1));
    sim.peer(0).send(OK);
    sim.settle();
    assert_eq!(second.status(), Some(200));
    assert_eq!((sim.names.asked(), sim.world.wires()), (1, 1));
}

/// The lookup of a request that went away still fills the cache.
#[test]
fn a_lookup_outlives_its_requests() {
    let mut sim = Sim::new();
    let answer = crate::dns::Lookup::Done(Ok(vec![at80(V4)]), None);
    sim.names.says("host.test", secs(1), answer);
    let probe = sim.go(get("host.test"));
    sim.cancel(&probe, Cancel::Drain);
    sim.advance(secs(1));
    sim.go(get("host.test"));
    assert_eq!((sim.names.asked(), sim.world.wires()), (1, 1));
    sim.control(crate::job::Control::ClearDns(Some((
        "HOST.test".into(),
        80,
    ))));
    sim.go(get("host.test"));
    assert_eq!(sim.names.asked(), 2);
}

#[test]
fn sock_connect_moves_on_to_the_next_address() {
    // SPEC T3: the limit of one attempt, then the next address.
    let mut sim = world(&[(V6, Manner::BlackHole)]);
    sim.names.known("host.test", &[V6, V4]);
    let probe = sim.go(get("host.test").sock_connect(ms(100)));
    sim.advance(ms(99));
    assert_eq!(sim.world.wires(), 1);
    sim.advance(ms(1));
    assert!(sim.peer(0).is_closed());
    sim.peer(1).send(OK);
    sim.settle();
    assert_eq!(probe.status(), Some(200));
}

#[test]
fn sock_connect_on_every_address_is_a_timeout() {
    let mut sim = world(&[(V6, Manner::BlackHole), (V4, Manner::BlackHole)]);
    sim.names.known("host.test", &[V6, V4]);
    let probe = sim.go(get("host.test").sock_connect(secs(2)));
    sim.advance(ms(2249));
    assert!(!probe.is_answered());
    sim.advance(ms(1));
    let failure = probe.failure();
    assert_eq!(failure.error.timeout(), Some(Timeout::SockConnect));
    assert_eq!(failure.error.phase(), Some(Phase::Connect));
    assert_eq!(failure.error.peer(), Some(at80(V4)));
    assert_eq!(failure.progress, Progress::Unconnected);
    assert_eq!(sim.books(), (0, 0, 0));
}

/// One slot, and a name with any number of dead addresses.
#[test]
fn a_race_has_only_so_many_sockets() {
    let dead: Vec<_> = (1..=40).map(|n| format!("192.0.2.{n}")).collect();
    let dead: Vec<_> = dead.iter().map(String::as_str).collect();
    let mut sim = Sim::new();
    for address in &dead {
        sim.world.set_manner(at80(address), Manner::BlackHole);
    }
    sim.names.known("dead.test", &dead);
    let probe = sim.go(get("dead.test").sock_connect(secs(10)));
    for _ in 0..40 {
        sim.advance(ms(250));
        assert!(sim.world.open() <= 8, "{} sockets", sim.world.open());
    }
    assert_eq!(sim.world.wires(), 8 + 1, "the first has just failed");
    sim.advance(secs(60));
    assert_eq!(probe.error().timeout(), Some(Timeout::SockConnect));
    assert_eq!((sim.world.wires(), sim.world.open()), (40, 0));
}
