//! Connections through proxies: CONNECT and SOCKS, with scripted proxies.

use std::net::SocketAddr;

use http::header::HeaderName;

use super::sim::*;
use crate::dns::Lookup;
use crate::error::{Kind, Phase, Timeout};
use crate::head::Fields;
use crate::job::{Cancel, Progress, RareLimits, Route, Via};
use crate::net::sim::Manner;

const PROXY: &str = "10.9.9.9";
const PORT: u16 = 3128;

fn at(host: &str) -> SocketAddr {
    SocketAddr::new(ip(host), PORT)
}

fn connect_to(host: &str) -> Route {
    let via = Via::Connect {
        fields: Fields::default(),
        login: None,
    };
    Route::new(host, PORT, None, via)
}

fn by_connect() -> Route {
    connect_to(PROXY)
}

fn by_socks4(remote_dns: bool) -> Route {
    let user = b"me".as_slice().into();
    Route::new(PROXY, PORT, None, Via::Socks4 { user, remote_dns })
}

fn by_socks5(remote_dns: bool) -> Route {
    let login = Some((b"me".as_slice().into(), b"pw".as_slice().into()));
    Route::new(PROXY, PORT, None, Via::Socks5 { login, remote_dns })
}

const ASKED: &[u8] = b"CONNECT 10.0.0.1:80 HTTP/1.1\r\nhost: 10.0.0.1:80\r\n\r\n";
const GRANTED: &[u8] =
    b"HTTP/1.1 200 Connection established\r\nVia: p\r\nContent-Length: 9\r\n\r\n";

/// Sends byte by byte, each with its own turns.
fn trickle(sim: &mut Sim, n: usize, bytes: &[u8]) {
    for byte in bytes {
        sim.peer(n).send([*byte]);
        sim.settle();
    }
}

#[test]
fn a_tunnel_carries_requests_one_after_another() {
    // SPEC X2, X4, X5
    let mut sim = Sim::new();
    let probe = sim.go(get(HOST).via(&by_connect()));
    assert_eq!(sim.peer(0).address(), at(PROXY));
    assert_eq!(sim.peer(0).received(), ASKED);
    trickle(&mut sim, 0, GRANTED);
    assert_eq!(sim.peer(0).received(), b"GET / HTTP/1.1\r\n\r\n");
    sim.peer(0).send(OK);
    sim.settle();
    assert_eq!((probe.status(), probe.reused()), (Some(200), false));
    assert_eq!(probe.peer(), Some(at(PROXY)));
    let proxy = (PROXY.to_owned(), PORT, Some(200));
    assert_eq!(probe.proxy(), Some(proxy.clone()));

    let probe = sim.go(get(HOST).via(&by_connect()));
    assert_eq!(sim.peer(0).received(), b"GET / HTTP/1.1\r\n\r\n");
    sim.peer(0).send(OK);
    sim.settle();
    assert_eq!((probe.status(), probe.reused()), (Some(200), true));
    assert_eq!(probe.proxy(), Some(proxy));
    assert_eq!(sim.books(), (0, 1, 0));

    // SPEC P1: straight to it is another connection, and to another origin.
    for ask in [get(HOST), get("10.0.0.2").via(&by_connect())] {
        let before = sim.world.wires();
        sim.go(ask);
        assert_eq!(sim.world.wires(), before + 1);
    }
}

#[test]
fn every_socks_leads_to_its_origin() {
    // SPEC X1
    let v4: &[u8] = b"\0\x5a\0\0\0\0\0\0";
    let v5: &[u8] = b"\x05\x02\x01\0\x05\0\0\x03\x04here\0\x50";
    let told4 = b"\x04\x01\0\x50\x0a\0\0\x01me\0".to_vec();
    let told4a = b"\x04\x01\0\x50\0\0\0\x01me\0host.test\0".to_vec();
    let greeting = b"\x05\x02\0\x02\x01\x02me\x02pw\x05\x01\0";
    let told5 = [greeting.as_slice(), b"\x01\x0a\0\0\x01\0\x50"].concat();
    let told5h = [greeting.as_slice(), b"\x03\x09host.test\0\x50"].concat();
    let told6 = [
        greeting.as_slice(),
        b"\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\0\x50",
    ]
    .concat();
    let cases = [
        (by_socks4(false), HOST, v4, &told4),
        // A literal is one, whoever looks names up.
        (by_socks4(true), HOST, v4, &told4),
        (by_socks4(true), "host.test", v4, &told4a),
        (by_socks5(false), HOST, v5, &told5),
        (by_socks5(true), HOST, v5, &told5),
        (by_socks5(true), "host.test", v5, &told5h),
        (by_socks5(false), "2001:db8::1", v5, &told6),
    ];
    for (route, host, reply, told) in cases {
        let mut sim = Sim::new();
        let probe = sim.go(get(host).via(&route));
        assert_eq!(sim.peer(0).address(), at(PROXY));
        trickle(&mut sim, 0, reply);
        let said = [told.as_slice(), b"GET / HTTP/1.1\r\n\r\n"].concat();
        assert_eq!(sim.peer(0).received(), said, "{route:?} to {host}");
        sim.peer(0).send(OK);
        sim.settle();
        assert_eq!(probe.status(), Some(200));
        assert_eq!(probe.proxy(), Some((PROXY.to_owned(), PORT, None)));
        assert_eq!((sim.names.asked(), sim.books()), (0, (0, 1, 0)));
    }
}

/// One byte is read at a time, and one written.
#[test]
fn the_narrowest_socket_does() {
    for (route, reply) in [
        (by_connect(), GRANTED),
        (by_socks4(false), b"\0\x5a\0\0\0\0\0\0".as_slice()),
        (
            by_socks5(true),
            b"\x05\x02\x01\0\x05\0\0\x01\0\0\0\0\0\0".as_slice(),
        ),
    ] {
        let mut sim = Sim::new();
        sim.world.set_window(at(PROXY), 1);
        let probe = sim.go(get(HOST).via(&route));
        sim.peer(0).limit_reads(1);
        sim.peer(0).send(reply);
        let mut said = Vec::new();
        for _ in 0..200 {
            sim.settle();
            said.extend(sim.peer(0).received());
            sim.peer(0).set_window(1);
        }
        assert!(said.ends_with(b"GET / HTTP/1.1\r\n\r\n"), "{route:?}");
        sim.peer(0).send(OK);
        sim.settle();
        assert_eq!(probe.status(), Some(200));
    }
}

#[test]
fn what_is_the_proxys_goes_to_the_proxy_alone() {
    // SPEC X5
    let mut fields = Fields::default();
    fields.append_static("proxy-authorization", "Basic bWU6cHc=");
    fields.append_static("x-tenant", "7");
    let login = None;
    let route = Route::new(PROXY, PORT, None, Via::Connect { fields, login });
    let mut sim = Sim::new();
    let own = HeaderName::from_static("authorization");
    sim.go(get(HOST).field(own.clone(), "Bearer t").via(&route));
    let said = String::from_utf8(sim.peer(0).received()).unwrap();
    assert_eq!(
        said,
        "CONNECT 10.0.0.1:80 HTTP/1.1\r\nhost: 10.0.0.1:80\r\n\
         proxy-authorization: Basic bWU6cHc=\r\nx-tenant: 7\r\n\r\n"
    );
    sim.peer(0).send(GRANTED);
    sim.settle();
    let said = String::from_utf8(sim.peer(0).received()).unwrap();
    assert_eq!(said, "GET / HTTP/1.1\r\nauthorization: Bearer t\r\n\r\n");

    // An answer of its own, in the place of what the route says.
    let ask = get(HOST).via(&route).proxy_authorization("Digest 1");
    sim.go(ask);
    let said = String::from_utf8(sim.peer(1).received()).unwrap();
    assert!(said.ends_with("x-tenant: 7\r\nproxy-authorization: Digest 1\r\n\r\n"));
    assert!(!said.contains("Basic"));
    assert!(!format!("{route:?}").contains("bWU6"));
}

#[test]
fn forwarded_requests_of_all_origins_share_a_connection() {
    // SPEC X2, P1
    let route = Route::new(PROXY, PORT, None, Via::Forward);
    let mut sim = Sim::new();
    let target = "http://a.test/x";
    let probe = sim.go(get("a.test").target(target).via(&route));
    assert_eq!(sim.peer(0).address(), at(PROXY));
    assert_eq!(
        sim.peer(0).received(),
        b"GET http://a.test/x HTTP/1.1\r\n\r\n"
    );
    sim.peer(0).send(OK);
    sim.settle();
    assert_eq!(probe.proxy(), Some((PROXY.to_owned(), PORT, None)));
    let probe = sim.go(get("b.test").target("http://b.test/").via(&route));
    assert_eq!(
        sim.peer(0).received(),
        b"GET http://b.test/ HTTP/1.1\r\n\r\n"
    );
    sim.peer(0).send(OK);
    sim.settle();
    assert_eq!((probe.status(), probe.reused()), (Some(200), true));
    assert_eq!((sim.names.asked(), sim.world.wires()), (0, 1));
    // What goes to the proxy itself is no such request.
    sim.go(get(PROXY).port(PORT));
    assert_eq!(sim.world.wires(), 2);
}

#[test]
fn a_refusal_is_final_and_told_whole() {
    // SPEC X4
    let mut sim = Sim::new();
    sim.names.known("proxy.test", &["2001:db8::9", "192.0.2.9"]);
    let probe = sim.go(get(HOST).via(&connect_to("proxy.test")));
    let refusal = "HTTP/1.1 407 Who are you\r\nProxy-Authenticate: Basic realm=\"p\"\r\n\
                   Content-Length: 4\r\n\r\ntold";
    trickle(&mut sim, 0, &refusal.as_bytes()[..refusal.len() - 1]);
    assert!(!probe.is_answered());
    trickle(&mut sim, 0, b"d");
    let failure = probe.failure();
    let error = failure.error;
    assert_eq!(
        (error.kind(), error.phase()),
        (Kind::ProxyRefused, Some(Phase::Proxy))
    );
    assert_eq!(failure.progress, Progress::Unconnected);
    assert_eq!(error.status().map(|status| status.as_u16()), Some(407));
    assert_eq!(error.reason(), Some("Who are you"));
    assert_eq!(
        error.headers().unwrap()["proxy-authenticate"],
        "Basic realm=\"p\""
    );
    assert_eq!(error.body(), Some(&b"told"[..]));
    assert!(error.is_proxy() && !error.is_connect() && !error.is_retryable());
    assert_eq!(error.peer().map(|peer| peer.ip()), Some(ip("2001:db8::9")));
    assert_eq!(
        error.to_string(),
        "the proxy refused a tunnel: 407 Who are you while asking the proxy"
    );
    // The other address of the proxy was not bothered.
    assert_eq!((sim.world.wires(), sim.world.open()), (1, 0));
    assert_eq!(sim.books(), (0, 0, 0));
}

/// The explanation of a refusal is waited for, but not for long.
#[test]
fn a_refusal_that_never_ends_is_told_as_far_as_it_came() {
    // SPEC X4
    let heads = [
        "HTTP/1.1 503 Later\r\nConnection: close\r\n\r\nsome",
        "HTTP/1.1 503 Later\r\nContent-Length: 100\r\n\r\nsome",
        "HTTP/1.1 503 Later\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nsome",
    ];
    let waits = [
        (None, ms(1000)),
        (Some(ms(300)), ms(300)),
        (Some(secs(9)), ms(1000)),
    ];
    for (head, (limit, wait)) in heads
        .into_iter()
        .flat_map(|head| waits.map(|wait| (head, wait)))
    {
        let mut sim = Sim::new();
        let mut ask = get(HOST).via(&by_connect());
        if let Some(limit) = limit {
            ask = ask.sock_connect(limit);
        }
        let probe = sim.go(ask);
        sim.peer(0).send(head);
        sim.advance(wait - ms(1));
        assert!(!probe.is_answered());
        // More of it is no reason to wait for longer.
        sim.peer(0).send(" more");
        sim.advance(ms(1));
        let error = probe.error();
        assert_eq!(error.kind(), Kind::ProxyRefused);
        assert!(error.is_retryable(), "503");
        let body = error.body().unwrap();
        assert!(body.starts_with(b"some more"), "{body:?}");
        assert_eq!((sim.world.open(), sim.books()), (0, (0, 0, 0)));
    }
    // And one that is cut off is told as well.
    for cut in [Cut::Finish, Cut::Reset] {
        let mut sim = Sim::new();
        let probe = sim.go(get(HOST).via(&by_connect()));
        sim.peer(0).send(heads[1]);
        sim.settle();
        match cut {
            Cut::Finish => sim.peer(0).finish(),
            Cut::Reset => sim.peer(0).reset(),
        }
        sim.settle();
        assert_eq!(probe.error().body(), Some(&b"some"[..]));
    }
}

enum Cut {
    Finish,
    Reset,
}

/// The total limit passes first, and is the news.
#[test]
fn the_limits_of_the_whole_request_count_in_a_refusal() {
    let mut sim = Sim::new();
    let probe = sim.go(get(HOST).via(&by_connect()).total(ms(500)));
    sim.peer(0)
        .send("HTTP/1.1 403 No\r\nContent-Length: 9\r\n\r\n");
    sim.advance(ms(500));
    assert_eq!(probe.error().timeout(), Some(Timeout::Total));
    assert_eq!(sim.books(), (0, 0, 0));
}

#[test]
fn a_proxy_that_stalls_ends_by_the_limits_of_a_connection() {
    // SPEC T1, T2, T3
    let partly: [(Route, &[u8]); 5] = [
        (by_connect(), b""),
        (by_connect(), b"HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 2"),
        (by_socks4(false), b"\0\x5a\0"),
        (by_socks5(true), b"\x05"),
        (by_socks5(true), b"\x05\x02\x01\0\x05\0\0\x03\xff"),
    ];
    for (route, said) in &partly {
        for which in [Timeout::SockConnect, Timeout::Connect, Timeout::Total] {
            let mut sim = Sim::new();
            let ask = get(HOST).via(route);
            let probe = sim.go(match which {
                Timeout::SockConnect => ask.sock_connect(secs(2)),
                Timeout::Connect => ask.connect(secs(2)),
                _ => ask.total(secs(2)),
            });
            sim.peer(0).send(said);
            sim.advance(secs(2) - ms(1));
            assert!(!probe.is_answered());
            sim.advance(ms(1));
            let error = probe.error();
            assert_eq!(error.timeout(), Some(which));
            if which != Timeout::Total {
                assert_eq!(error.phase(), Some(Phase::Proxy));
            }
            assert!(error.to_string().contains("asking the proxy"), "{error}");
            assert_eq!((sim.world.open(), sim.books()), (0, (0, 0, 0)));
        }
    }
}

#[test]
fn a_proxy_that_lies_fails_at_once() {
    // SPEC X4
    let lies: [(Route, &[u8]); 8] = [
        (by_connect(), b"SSH-2.0-x\r\n"),
        (by_connect(), b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n"),
        (by_connect(), b"\x05\0"),
        (by_socks4(false), b"HTTP/1.1 400 Bad"),
        (by_socks4(false), b"\x04\x5a"),
        (by_socks5(true), b"\x04\x5a"),
        (by_socks5(true), b"\x05\x01"),
        (by_socks5(true), b"\x05\0\x05\0\0\x09"),
    ];
    for (route, lie) in &lies {
        let mut sim = Sim::new();
        let probe = sim.go(get(HOST).via(route));
        trickle(&mut sim, 0, lie);
        let error = probe.error();
        assert_eq!(error.kind(), Kind::ProxyConnect, "{route:?} {lie:?}");
        assert_eq!(error.phase(), Some(Phase::Proxy));
        assert!(error.is_proxy() && error.is_connect() && !error.is_retryable());
        assert!(std::error::Error::source(&error).is_some());
        assert_eq!(error.peer(), Some(at(PROXY)));
        assert_eq!((sim.world.open(), sim.books()), (0, (0, 0, 0)));
        // Others are unharmed.
        let next = sim.world.wires();
        sim.serve(next, get(HOST));
    }
}

#[test]
fn a_proxy_that_breaks_off_is_another_matter_than_one_that_refuses() {
    for cut in [Cut::Finish, Cut::Reset] {
        for said in ["", "HTTP/1.1 20"] {
            let mut sim = Sim::new();
            let probe = sim.go(get(HOST).via(&by_connect()));
            sim.peer(0).send(said);
            match cut {
                Cut::Finish => sim.peer(0).finish(),
                Cut::Reset => sim.peer(0).reset(),
            }
            sim.settle();
            let error = probe.error();
            assert_eq!(error.kind(), Kind::ProxyConnect);
            assert!(error.is_retryable());
            assert_eq!(sim.books(), (0, 0, 0));
        }
    }
    // A refusal by SOCKS; which of them may pass, it says itself.
    for (code, may_pass) in [(1, true), (2, false), (4, true), (5, true), (8, false)] {
        let mut sim = Sim::new();
        sim.names.known("proxy.test", &["2001:db8::9", "192.0.2.9"]);
        let via = Via::Socks5 {
            login: None,
            remote_dns: true,
        };
        let route = Route::new("proxy.test", PORT, None, via);
        let probe = sim.go(get(HOST).via(&route));
        sim.peer(0).send([5, 0, 5, code]);
        sim.settle();
        let error = probe.error();
        assert_eq!(
            (error.kind(), error.is_retryable()),
            (Kind::ProxyConnect, may_pass)
        );
        // It is decided: no other address of the proxy is tried.
        assert_eq!(sim.world.wires(), 1);
    }
}

#[test]
fn a_proxy_out_of_reach_is_one_whose_other_addresses_are_tried() {
    // SPEC X4
    let mut sim = Sim::new();
    sim.names.known("proxy.test", &["2001:db8::9", "192.0.2.9"]);
    for address in ["2001:db8::9", "192.0.2.9"] {
        sim.world.set_manner(at80(address), Manner::Refuses);
    }
    let error = sim.go(get(HOST).via(&connect_to("proxy.test"))).error();
    assert_eq!(
        (error.kind(), error.phase()),
        (Kind::ProxyConnect, Some(Phase::Connect))
    );
    assert_eq!(error.peer(), Some(at80("192.0.2.9")));
    assert!(error.is_proxy() && error.is_connect() && error.is_retryable());
    assert!(format!("{error:#}").contains("refused"), "{error:#}");
    assert_eq!((sim.world.wires(), sim.books()), (2, (0, 0, 0)));

    // What one address says may be nonsense where another's is not.
    let mut sim = Sim::new();
    sim.names.known("proxy.test", &["2001:db8::9", "192.0.2.9"]);
    let probe = sim.go(get(HOST).via(&connect_to("proxy.test")));
    sim.peer(0).send("SSH-2.0-x\r\n");
    sim.settle();
    sim.peer(1).send(GRANTED);
    sim.peer(1).send(OK);
    sim.settle();
    assert_eq!(probe.status(), Some(200));
}

#[test]
fn a_proxy_that_cannot_be_resolved_is_a_dns_error() {
    // SPEC X4
    let mut sim = Sim::new();
    sim.names.unknown("proxy.test");
    let error = sim.go(get(HOST).via(&connect_to("proxy.test"))).error();
    assert_eq!((error.kind(), error.phase()), (Kind::Dns, Some(Phase::Dns)));
    assert!(error.to_string().contains("proxy.test"), "{error}");
    assert_eq!(sim.books(), (0, 0, 0));
}

/// While a proxy is being asked no further attempt is made.
#[test]
fn the_race_pauses_for_a_proxy_that_is_asked() {
    let mut sim = Sim::new();
    sim.names.known("proxy.test", &["2001:db8::9", "192.0.2.9"]);
    let probe = sim.go(get(HOST).via(&connect_to("proxy.test")));
    sim.advance(secs(3));
    assert_eq!(sim.world.wires(), 1);
    sim.peer(0).reset();
    sim.settle();
    assert_eq!(sim.world.wires(), 2);
    assert!(!probe.is_answered());
    sim.cancel(&probe, Cancel::Abort);
    assert_eq!((sim.world.open(), sim.books()), (0, (0, 0, 0)));
}

#[test]
fn names_are_looked_up_where_the_proxy_wants_it() {
    // SPEC X1: socks4 and socks5 here, first the origin's, then the proxy's.
    for route in [by_socks4(false), by_socks5(false)] {
        let mut sim = Sim::new();
        let via = route.via().clone();
        let route = Route::new("proxy.test", PORT, None, via);
        sim.names.says(
            "host.test",
            ms(20),
            Lookup::Done(Ok(vec![at80("2001:db8::5"), at80("192.0.2.5")]), None),
        );
        sim.names.partly("host.test", ms(10), &["2001:db8::5"]);
        sim.names.known("proxy.test", &["192.0.2.9"]);
        let probe = sim.go(get("host.test").via(&route));
        sim.advance(ms(19));
        assert_eq!((sim.names.asked(), sim.world.wires()), (1, 0));
        sim.advance(ms(1));
        assert_eq!((sim.names.asked(), sim.world.wires()), (2, 1));
        let reply: &[u8] = match route.via() {
            Via::Socks4 { .. } => b"\0\x5a\0\0\0\0\0\0",
            _ => b"\x05\x02\x01\0\x05\0\0\x01\0\0\0\0\0\0",
        };
        sim.peer(0).send(reply);
        sim.settle();
        let said = sim.peer(0).received();
        // Every SOCKS server can do IPv4.
        assert!(
            said.windows(4).any(|part| part == [192, 0, 2, 5]),
            "{said:?}"
        );
        sim.peer(0).send(OK);
        sim.settle();
        assert_eq!(probe.status(), Some(200));
    }
    // An origin without a name: its own error, and nobody is connected to.
    let mut sim = Sim::new();
    sim.names.unknown("host.test");
    let error = sim.go(get("host.test").via(&by_socks5(false))).error();
    assert_eq!(error.kind(), Kind::Dns);
    assert!(error.to_string().contains("host.test"), "{error}");
    // Only IPv6 for SOCKS4.
    let mut sim = Sim::new();
    sim.names.known("host.test", &["2001:db8::5"]);
    let error = sim.go(get("host.test").via(&by_socks4(false))).error();
    assert_eq!(error.kind(), Kind::Dns);
    let error = sim.go(get("2001:db8::5").via(&by_socks4(false))).error();
    assert_eq!(error.kind(), Kind::Dns);
    assert_eq!((sim.world.wires(), sim.books()), (0, (0, 0, 0)));
}

/// One limit for all names that have to be known.
#[test]
fn the_limit_of_names_covers_both_lookups() {
    // SPEC T6
    let mut sim = Sim::new();
    let found = Lookup::Done(Ok(vec![at80("192.0.2.5")]), None);
    sim.names.says("host.test", ms(600), found);
    let via = by_socks5(false).via().clone();
    let route = Route::new("proxy.test", PORT, None, via);
    let rare = RareLimits {
        dns: Some(secs(1)),
        ..RareLimits::default()
    };
    let probe = sim.go(get("host.test").via(&route).rare(rare));
    sim.advance(ms(999));
    assert!(!probe.is_answered());
    sim.advance(ms(1));
    assert_eq!(probe.error().timeout(), Some(Timeout::Dns));
    assert_eq!(sim.books(), (0, 0, 0));
}

/// What SOCKS cannot carry is found before anybody is connected to.
#[test]
fn what_cannot_be_asked_is_an_error_at_once() {
    let long = "h".repeat(256);
    let via = Via::Socks4 {
        user: b"a\0b".as_slice().into(),
        remote_dns: true,
    };
    let mut sim = Sim::new();
    for ask in [
        get(&long).via(&by_socks5(true)),
        get(HOST).via(&Route::new(PROXY, PORT, None, via)),
    ] {
        let error = sim.go(ask).error();
        assert_eq!(
            (error.kind(), error.is_retryable()),
            (Kind::ProxyConnect, false)
        );
        assert_eq!((sim.world.wires(), sim.books()), (0, (0, 0, 0)));
    }
}

/// A proxy that answers before it has heard everything, and breaks the pipe.
#[test]
fn a_refusal_survives_the_write_that_fails_after_it() {
    let mut sim = Sim::new();
    sim.world.set_window(at(PROXY), 10);
    let probe = sim.go(get(HOST).via(&by_connect()));
    sim.peer(0)
        .send("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n");
    sim.peer(0).break_pipe();
    sim.settle();
    assert_eq!(
        probe.error().status().map(|status| status.as_u16()),
        Some(403)
    );
    // And one that grants before that is still told the rest first.
    let mut sim = Sim::new();
    sim.world.set_window(at(PROXY), 10);
    let probe = sim.go(get(HOST).via(&by_connect()));
    sim.peer(0).send(GRANTED);
    sim.settle();
    assert_eq!(sim.peer(0).received(), ASKED[..10]);
    sim.peer(0).set_window(usize::MAX);
    sim.settle();
    let rest = [&ASKED[10..], b"GET / HTTP/1.1\r\n\r\n"].concat();
    assert_eq!(sim.peer(0).received(), rest);
    sim.peer(0).send(OK);
    sim.settle();
    assert_eq!(probe.status(), Some(200));
}

/// Whatever proxies do, slots come free and those who wait are served.
#[test]
fn slots_come_free_however_a_proxy_fails() {
    // SPEC P3
    let mut sim = Sim::limited(1, 0);
    let ends: [&[u8]; 4] = [
        b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n",
        b"nonsense",
        b"HTTP/1.1 403 No\r\nContent-Length: 5\r\n\r\n",
        b"",
    ];
    for (n, end) in ends.into_iter().enumerate() {
        let probe = sim.go(get(HOST).via(&by_connect()).sock_connect(secs(5)));
        let waiter = sim.go(get(HOST));
        assert_eq!(sim.books(), (1, 0, 1));
        sim.peer(2 * n).send(end);
        sim.advance(secs(5));
        assert!(probe.is_answered());
        assert_eq!(sim.books(), (1, 0, 0));
        sim.peer(2 * n + 1)
            .send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        sim.settle();
        assert_eq!(waiter.status(), Some(200));
    }
    // Cancelled in the middle of it.
    let probe = sim.go(get(HOST).via(&by_connect()));
    sim.cancel(&probe, Cancel::Abort);
    assert_eq!((sim.world.open(), sim.books()), (0, (0, 0, 0)));
}

/// An old entry stands in for the origin's lookup, which ends later: what it
/// brings is not the proxy's.
#[test]
fn a_late_answer_about_the_origin_is_not_taken_for_the_proxys() {
    // SPEC C22, X1
    for route in [by_socks4(false), by_socks5(false)] {
        let mut sim = stale_origin();
        let found = Lookup::Done(Ok(vec![at80("10.0.0.8")]), None);
        sim.names.says("host.test", ms(700), found);
        sim.world.set_manner(at(PROXY), Manner::BlackHole);
        let probe = sim.go(hurried("host.test", &route).total(secs(5)));
        sim.advance(ms(500));
        assert_eq!((sim.world.wires(), sim.peer(1).address()), (2, at(PROXY)));
        sim.advance(secs(2));
        assert_eq!(sim.world.wires(), 2, "{route:?}");
        sim.advance(secs(3));
        assert_eq!(probe.error().timeout(), Some(Timeout::Total));
        assert_eq!((sim.world.open(), sim.books()), (0, (0, 0, 0)));
    }
}

/// The limit of names has passed with the origin's, and the proxy's is still to
/// be looked up.
#[test]
fn a_proxy_that_is_not_found_after_an_old_entry_has_served_holds_nobody_up() {
    // SPEC C22, T6, X1
    let via = Via::Socks5 {
        login: None,
        remote_dns: false,
    };
    let mut sim = stale_origin();
    let route = Route::new("proxy.test", PORT, None, via);
    let probe = sim.go(hurried("host.test", &route).total(secs(5)));
    sim.advance(secs(5));
    let error = probe.error();
    assert_eq!(error.timeout(), Some(Timeout::Dns), "{error:#}");
    assert_eq!((sim.world.open(), sim.books()), (0, (0, 0, 0)));
}

/// What is known of `host.test` has had its time, and nobody answers.
fn stale_origin() -> Sim {
    let mut sim = Sim::with(|setup| {
        setup.config.dns.keep.stale = secs(60);
        setup.config.keepalive = secs(0);
    });
    sim.names.known("host.test", &["10.0.0.7"]);
    sim.serve(0, get("host.test"));
    sim.names.unsay("host.test");
    sim.advance(secs(20));
    sim
}

fn hurried(host: &str, route: &Route) -> Ask {
    get(host).via(route).rare(RareLimits {
        dns: Some(ms(500)),
        ..RareLimits::default()
    })
}
