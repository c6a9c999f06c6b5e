//! Connections that all go to one Unix socket, those that grow old, and those
//! that are too many.

use std::path::Path;
use std::time::Duration;

use super::sim::*;
use crate::error::{Kind, Phase, Timeout};
use crate::job::Cancel;
use crate::net::sim::Manner;
use crate::net::{Address, UnixAddress};
use crate::pool::Caps;

const PATH: &str = "/run/server.sock";

fn to_unix_socket(manner: Manner) -> Sim {
    let unix = UnixAddress::from(PATH);
    let sim = Sim::with(|setup| setup.config.sockets.unix = Some(unix.clone()));
    sim.world.set_manner(Address::Unix(unix), manner);
    sim
}

#[test]
fn no_name_is_looked_up_for_a_unix_socket() {
    // SPEC U1: whatever the host; the pool tells hosts apart all the same (P1).
    let mut sim = to_unix_socket(Manner::Accepts);
    for (n, host) in ["one.test", "10.0.0.1", "localhost"]
        .into_iter()
        .enumerate()
    {
        let probe = sim.go(get(host));
        sim.peer(n).send(OK);
        sim.settle();
        assert_eq!((probe.status(), probe.peer()), (Some(200), None));
    }
    assert_eq!((sim.names.asked(), sim.world.wires()), (0, 3));
    let probe = sim.go(get("one.test"));
    sim.peer(0).send(OK);
    sim.settle();
    assert!(probe.reused());
}

#[test]
fn a_full_queue_is_knocked_at_until_there_is_room() {
    // SPEC U1: connect says EAGAIN, and nothing tells when it would not.
    let mut sim = to_unix_socket(Manner::Full);
    let probe = sim.go(get("host.test"));
    let mut knocks = vec![sim.world.elapsed()];
    for _ in 0..200 {
        let before = sim.world.knocks();
        sim.advance(ms(1));
        if sim.world.knocks() > before {
            knocks.push(sim.world.elapsed());
        }
    }
    let expected = [0, 1, 3, 7, 15, 31, 63, 95, 127, 159, 191].map(ms);
    assert_eq!(knocks, expected);
    assert_eq!((sim.world.open(), sim.books()), (0, (1, 0, 0)));
    let unix = Address::Unix(PATH.into());
    sim.world.set_manner(unix, Manner::Accepts);
    sim.advance(ms(22));
    assert_eq!(sim.world.wires(), 0);
    sim.advance(ms(1));
    sim.peer(0).send(OK);
    sim.settle();
    assert_eq!(probe.status(), Some(200));
}

#[test]
fn knocking_ends_with_its_limits() {
    // SPEC U1, T1, T2, T3
    let limits = [Timeout::SockConnect, Timeout::Connect, Timeout::Total];
    for which in limits {
        let mut sim = to_unix_socket(Manner::Full);
        let ask = get("host.test");
        let probe = sim.go(match which {
            Timeout::SockConnect => ask.sock_connect(ms(100)).connect(secs(1)),
            Timeout::Connect => ask.sock_connect(secs(1)).connect(ms(100)),
            _ => ask.sock_connect(secs(1)).total(ms(100)),
        });
        sim.advance(ms(99));
        assert!(!probe.is_answered(), "{which}");
        sim.advance(ms(1));
        let error = probe.error();
        assert_eq!(
            (error.kind(), error.timeout()),
            (Kind::Timeout, Some(which))
        );
        assert_eq!(error.peer(), None);
        if which == Timeout::SockConnect {
            assert_eq!(error.path(), Some(Path::new(PATH)));
            assert_eq!(error.phase(), Some(Phase::Connect));
        }
        assert_eq!(sim.books(), (0, 0, 0));
        let knocks = sim.world.knocks();
        sim.advance(secs(1));
        assert_eq!(sim.world.knocks(), knocks, "nobody knocks any more");
    }
}

#[test]
fn knocking_ends_with_its_request() {
    let mut sim = to_unix_socket(Manner::Full);
    let probe = sim.go(get("host.test"));
    sim.cancel(&probe, Cancel::Abort);
    sim.settle();
    let knocks = sim.world.knocks();
    sim.advance(secs(1));
    assert_eq!((sim.world.knocks(), sim.books()), (knocks, (0, 0, 0)));
}

#[test]
fn a_unix_socket_that_refuses_is_an_error_with_its_path() {
    // SPEC U1, E1
    let cases = [
        (Manner::Refuses, "refused"),
        (Manner::Unreachable, "unreachable"),
    ];
    for (manner, cause) in cases {
        let mut sim = to_unix_socket(manner);
        let error = sim.go(get("host.test")).error();
        assert_eq!((error.kind(), error.peer()), (Kind::Connect, None));
        assert_eq!(error.path(), Some(Path::new(PATH)));
        let text = format!("{error:#}");
        assert!(text.contains(PATH) && text.contains(cause), "{text}");
    }
}

fn aged(age: Duration) -> Sim {
    Sim::with(|setup| setup.config.max_age = Some(age))
}

#[test]
fn a_connection_is_closed_when_it_is_old() {
    // SPEC C1: idle or not, and earlier than its idle life would end.
    let mut sim = aged(secs(10));
    sim.serve(0, get(HOST));
    sim.advance(secs(6));
    sim.serve(0, get(HOST));
    sim.advance(secs(4) - ms(1));
    assert!(!sim.peer(0).is_closed());
    sim.advance(ms(1));
    assert!(sim.peer(0).is_closed());
    assert_eq!(sim.books(), (0, 0, 0));
}

#[test]
fn a_response_is_carried_to_its_end_however_old() {
    let mut sim = aged(secs(10));
    let probe = sim.go(get(HOST));
    sim.advance(secs(60));
    assert!(!sim.peer(0).is_closed());
    sim.peer(0).send(OK);
    sim.settle();
    assert_eq!(probe.status(), Some(200));
    assert!(sim.peer(0).is_closed());
    assert_eq!(sim.books(), (0, 0, 0));
}

#[test]
fn a_server_that_takes_no_more_is_not_asked_again() {
    // SPEC P4
    for (hint, kept) in [("timeout=5, max=0", false), ("timeout=5, max=1", true)] {
        let mut sim = Sim::new();
        sim.go(get(HOST));
        sim.peer(0).send(format!(
            "HTTP/1.1 200 OK\r\nKeep-Alive: {hint}\r\nContent-Length: 0\r\n\r\n"
        ));
        sim.settle();
        assert_eq!(sim.peer(0).is_closed(), !kept, "{hint}");
    }
}

#[test]
fn the_oldest_idle_connection_makes_room() {
    // SPEC P4
    let caps = Caps {
        total: 2,
        per_host: 1,
    };
    let mut sim = Sim::with(|setup| setup.caps = Some(caps));
    for (n, host) in ["10.0.0.1", "10.0.0.2"].into_iter().enumerate() {
        sim.serve(n, get(host));
    }
    assert_eq!(sim.books(), (0, 2, 0));
    sim.serve(2, get("10.0.0.3"));
    assert_eq!(sim.books(), (0, 2, 0));
    assert!(sim.peer(0).is_closed());
    // Of one host, two at once and then one.
    let (one, two) = (sim.go(get("10.0.0.3")), sim.go(get("10.0.0.3")));
    sim.peer(3).send(OK);
    sim.settle();
    assert!(!sim.peer(3).is_closed() && !sim.peer(1).is_closed());
    sim.peer(2).send(OK);
    sim.settle();
    assert_eq!((one.status(), two.status()), (Some(200), Some(200)));
    assert!(sim.peer(3).is_closed());
    assert!(!sim.peer(2).is_closed() && !sim.peer(1).is_closed());
    assert_eq!(sim.books(), (0, 2, 0));
}

#[test]
fn what_a_caller_brings_home_makes_others_go() {
    let caps = Caps {
        total: 1,
        per_host: 9,
    };
    let mut sim = Sim::with(|setup| setup.caps = Some(caps));
    sim.serve(0, get(HOST));
    let other = sim.go(get("10.0.0.2"));
    sim.peer(1).send(OK);
    let mut caller = sim.lend(get(HOST));
    caller.pump(&sim).expect("it is open");
    sim.settle();
    assert_eq!(other.status(), Some(200));
    sim.peer(0).received();
    sim.peer(0).send(OK);
    assert!(caller.pump(&sim).expect("it answers"));
    caller.put(&sim, secs(15));
    sim.settle();
    assert!(sim.peer(1).is_closed() && !sim.peer(0).is_closed());
    assert_eq!(sim.books(), (0, 1, 0));
}
