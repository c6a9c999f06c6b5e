//! What the settings of names make of a dial: the filter, overrides, and what
//! the cache remembers.

use std::time::Duration;

use super::sim::*;
use crate::dns::{AddressFilter, Cache, DnsFault, IpFamily, Lookup};
use crate::error::{Kind, Phase, Timeout};
use crate::handoff::slot::slot;
use crate::job::{Control, Progress, RareLimits};
use crate::net::sim::Manner;

const V6: &str = "2001:db8::1";
const V4: &str = "192.0.2.1";

fn guarded(filter: AddressFilter) -> Sim {
    Sim::with(|setup| setup.config.dns.set_filter(filter))
}

/// So many milliseconds for names.
fn hurried(host: &str, limit: Duration) -> Ask {
    get(host).rare(RareLimits {
        dns: Some(limit),
        ..RareLimits::default()
    })
}

fn failing(what: &str) -> Lookup {
    Lookup::Done(
        Err(DnsFault::Failed(std::sync::Arc::from(Box::from(what)))),
        None,
    )
}

#[test]
fn only_admitted_addresses_are_connected_to() {
    // SPEC Q2: the filter judges what resolution brings.
    let mut sim = guarded(AddressFilter::public_only());
    sim.names
        .known("mixed.test", &["10.0.0.1", "::1", "8.8.8.8", "fd00::1"]);
    let probe = sim.go(get("mixed.test"));
    assert_eq!(
        (sim.world.wires(), sim.peer(0).address()),
        (1, at80("8.8.8.8"))
    );
    sim.peer(0).send(OK);
    sim.settle();
    assert_eq!(probe.status(), Some(200));

    sim.names.known("inside.test", &["10.0.0.1", "::1"]);
    for host in [
        "inside.test",
        "127.0.0.1",
        "::ffff:10.0.0.1",
        "::",
        "localhost",
    ] {
        let failure = sim.go(get(host)).failure();
        assert_eq!(failure.error.kind(), Kind::Blocked, "{host}");
        assert_eq!(failure.error.phase(), Some(Phase::Connect));
        assert_eq!(failure.progress, Progress::Unconnected);
        assert!(failure.error.is_connect() && !failure.error.is_retryable());
        let text = format!("{:#}", failure.error);
        assert!(
            !text.contains("10.0.0.1") || host.contains("10.0.0.1"),
            "{text}"
        );
    }
    assert_eq!((sim.world.wires(), sim.books()), (1, (0, 1, 0)));
}

/// A name that means something else at the second look, and each hop.
#[test]
fn every_connection_is_judged() {
    // SPEC Q2, D9.
    let mut sim = guarded(AddressFilter::public_only());
    sim.names.known("fickle.test", &["8.8.8.8"]);
    let probe = sim.go(get("fickle.test").then(get("127.0.0.1")));
    sim.peer(0)
        .send("HTTP/1.1 302 Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    sim.settle();
    assert_eq!(probe.error().kind(), Kind::Blocked);
    sim.names.unsay("fickle.test");
    sim.names.known("fickle.test", &["127.0.0.1"]);
    sim.advance(secs(11));
    assert_eq!(sim.go(get("fickle.test")).error().kind(), Kind::Blocked);
    assert_eq!((sim.world.wires(), sim.names.asked()), (1, 2));
}

/// One family is refused while the other is still coming.
#[test]
fn a_refused_part_waits_for_the_rest() {
    let mut sim = guarded(AddressFilter::all().deny("2001:db8::/32"));
    sim.names.partly("host.test", ms(0), &[V6]);
    let rest = Lookup::Done(Ok(vec![at80(V6), at80(V4)]), None);
    sim.names.says("host.test", ms(30), rest);
    let probe = sim.go(get("host.test"));
    assert_eq!((sim.world.wires(), probe.is_answered()), (0, false));
    sim.advance(ms(30));
    assert_eq!(sim.peer(0).address(), at80(V4));
    sim.peer(0).send(OK);
    sim.settle();
    assert_eq!(probe.peer(), Some(at80(V4)));
}

#[test]
fn overrides_go_before_everything() {
    // SPEC C24: and to whichever port they say, filter or not.
    let mut sim = Sim::with(|setup| {
        let dns = &mut setup.config.dns;
        dns.set_filter(AddressFilter::public_only());
        let to = |text: &str| [text.parse().unwrap()];
        dns.set_override("a.test", None, to("10.0.0.1:8080"));
        dns.set_override("192.0.2.1", Some(80), to("10.0.0.2:0"));
        dns.set_override("localhost", None, to("10.0.0.3:0"));
        dns.set_override("void.test", None, []);
    });
    for (n, (host, peer)) in [
        ("a.test", "10.0.0.1:8080"),
        ("192.0.2.1", "10.0.0.2:80"),
        ("localhost", "10.0.0.3:80"),
    ]
    .into_iter()
    .enumerate()
    {
        let probe = sim.go(get(host));
        sim.peer(n).send(OK);
        sim.settle();
        assert_eq!(probe.peer(), Some(peer.parse().unwrap()), "{host}");
    }
    assert_eq!(sim.go(get("void.test")).error().kind(), Kind::Dns);
    assert_eq!((sim.names.asked(), sim.world.wires()), (0, 3));
}

/// The addresses of a name of which the resolver says nothing any more.
#[test]
fn a_stale_entry_serves_while_the_resolver_fails() {
    // SPEC C22: opt-in, and in place of a failure or of the dns limit.
    for silent in [false, true] {
        let mut sim = Sim::with(|setup| {
            setup.config.dns.keep.stale = secs(60);
            setup.config.keepalive = secs(0);
        });
        sim.names.known("host.test", &[V4]);
        sim.serve(0, get("host.test"));
        sim.names.unsay("host.test");
        if !silent {
            sim.names.says("host.test", ms(300), failing("no route"));
        }
        sim.advance(secs(20));
        let probe = sim.go(hurried("host.test", ms(500)));
        sim.advance(ms(299));
        assert_eq!(sim.world.wires(), 1);
        sim.advance(ms(1));
        if silent {
            sim.advance(ms(199));
            assert_eq!(sim.world.wires(), 1);
            sim.advance(ms(1));
        }
        sim.peer(1).send(OK);
        sim.settle();
        assert_eq!(probe.peer(), Some(at80(V4)), "silent: {silent}");
        // Nobody is asked again for a while, and then it is over.
        sim.serve(2, hurried("host.test", ms(500)));
        assert_eq!(sim.names.asked(), 2);
        sim.advance(secs(60));
        let probe = sim.go(hurried("host.test", ms(500)));
        sim.advance(ms(500));
        let error = probe.error();
        assert_eq!(error.phase(), Some(Phase::Dns));
        let limit = silent.then_some(Timeout::Dns);
        assert_eq!(error.timeout(), limit);
        assert_eq!((sim.names.asked(), sim.books()), (3, (0, 0, 0)));
    }
}

/// A stale entry is the last word of its request: there is no second limit.
#[test]
fn a_stale_entry_that_leads_nowhere_fails() {
    let mut sim = Sim::with(|setup| {
        setup.config.dns.keep.stale = secs(60);
        setup.config.keepalive = secs(0);
    });
    sim.names.known("host.test", &[V4]);
    sim.serve(0, get("host.test"));
    sim.names.unsay("host.test");
    sim.world.set_manner(at80(V4), Manner::Refuses);
    sim.advance(secs(20));
    let probe = sim.go(hurried("host.test", ms(500)));
    sim.advance(ms(500));
    assert_eq!(probe.error().kind(), Kind::Connect);
    assert_eq!(sim.books(), (0, 0, 0));
}

#[test]
fn that_a_name_is_gone_is_remembered_where_asked_for() {
    // SPEC C22: only what an authority says.
    for (negative, asked) in [(secs(5), 1), (secs(0), 3)] {
        let mut sim = Sim::with(|setup| setup.config.dns.keep.negative = negative);
        sim.names.unknown("gone.test");
        for _ in 0..3 {
            let error = sim.go(get("gone.test")).error();
            assert_eq!(error.kind(), Kind::Dns);
            assert!(format!("{error:#}").contains("does not exist"), "{error:#}");
        }
        assert_eq!(sim.names.asked(), asked);
        sim.names.says("down.test", ms(0), failing("no route"));
        for _ in 0..3 {
            assert_eq!(sim.go(get("down.test")).error().kind(), Kind::Dns);
        }
        assert_eq!(sim.names.asked(), asked + 3, "a failure is no answer");
    }
}

#[test]
fn what_the_cache_holds_can_be_seen() {
    // SPEC C23.
    let mut sim = Sim::new();
    sim.names.known("host.test", &[V4, V6]);
    sim.go(get("host.test"));
    sim.advance(secs(4));
    let (sender, mut receiver) = slot();
    sim.control(Control::Names(Cache::snapshot, sender));
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(Some(hosts)) = receiver.poll(&mut cx) else {
        panic!("it answers at once");
    };
    let [host] = &hosts[..] else {
        panic!("{hosts:?}");
    };
    assert_eq!((host.host(), host.port()), ("host.test", 80));
    assert_eq!(host.family(), IpFamily::Any);
    assert_eq!(host.addresses(), [at80(V6), at80(V4)], "rotated by its use");
    assert_eq!(host.expires_in(), Some(secs(6)));
}

/// When each family is known, in milliseconds, and IPv6 leads nowhere: when the
/// connection stands. 250 ms behind the first attempt, which IPv6 has if it
/// comes within 50 ms of IPv4 (RFC 8305 §3, §5).
#[test]
fn a_black_hole_costs_a_quarter_of_a_second() {
    // SPEC C27.
    for (v6_at, v4_at, connected_at) in [
        (0, 0, 250),
        (0, 100, 250),
        (0, 249, 250),
        (0, 251, 251),
        (0, 400, 400),
        (30, 0, 280),
        (49, 0, 299),
        (51, 0, 50),
        (80, 0, 50),
        (5000, 0, 50),
        (40, 20, 290),
    ] {
        let mut sim = Sim::new();
        sim.world.set_manner(at80(V6), Manner::BlackHole);
        let (early, late) = if v6_at <= v4_at {
            (V6, v4_at)
        } else {
            (V4, v6_at)
        };
        sim.names
            .partly("dual.test", ms(v6_at.min(v4_at)), &[early]);
        let both = Lookup::Done(Ok(vec![at80(V6), at80(V4)]), None);
        sim.names.says("dual.test", ms(late), both);
        let probe = sim.start(get("dual.test"));
        let sent = |sim: &Sim| {
            let mut wires = (0..sim.world.wires()).map(|n| sim.peer(n));
            wires.any(|wire| wire.address() == at80(V4) && !wire.received().is_empty())
        };
        sim.advance(ms(connected_at - 1));
        assert!(!sent(&sim), "{v6_at} {v4_at}: too early");
        sim.advance(ms(1));
        assert!(sent(&sim), "{v6_at} {v4_at}: not at {connected_at} ms");
        assert_eq!(sim.world.open(), 1, "the black hole's socket is closed");
        let last = sim.world.wires() - 1;
        sim.peer(last).send(OK);
        sim.settle();
        assert_eq!(probe.peer(), Some(at80(V4)));
        assert_eq!(sim.world.elapsed(), ms(connected_at));
    }
}
