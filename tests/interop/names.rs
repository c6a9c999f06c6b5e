//! The resolver of the feature `hickory-dns` against dnsmasq and unbound.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use miohttp::{
    Connector, ConnectorBuilder, Error, HickoryResolver, Kind, Response, Session, Timeouts,
    wait_all,
};

use super::assert_pattern;
use crate::support::interop::{Server, server};

fn address(port: u16) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)
}

/// Asks these servers, and nobody else.
fn session(servers: &[SocketAddr]) -> Session {
    with_builder(servers, |builder| builder)
}

fn with_builder(
    servers: &[SocketAddr],
    more: impl FnOnce(ConnectorBuilder) -> ConnectorBuilder,
) -> Session {
    let resolver = HickoryResolver::builder()
        .name_servers(servers.iter().copied())
        .hosts_file("/nonexistent")
        .timeout(Duration::from_secs(2))
        .build();
    let connector = more(Connector::builder().resolver(resolver)).build();
    Session::builder().connector(connector).build()
}

fn url(origin: &Server, name: &str) -> String {
    format!("http://{name}:{}/64k", origin.port)
}

/// By the caller's hand, and by the reactor's.
fn ask(session: &Session, url: &str) -> [Result<Response, Error>; 2] {
    [
        session.get(url).send(),
        session.get(url).start_send().wait(),
    ]
}

#[test]
fn names_are_found_by_real_servers() {
    // SPEC C24
    let Some(origin) = server("nginx") else {
        return;
    };
    for (via, names) in [
        // Of two families, of one, by another name, and too many for UDP.
        (
            "dnsmasq",
            &[
                "both.test",
                "four.test",
                "alias.test",
                "many.test",
                "BOTH.test",
            ][..],
        ),
        ("unbound", &["both.test", "four.test"][..]),
    ] {
        let Some(via) = server(via) else { continue };
        let session = session(&[address(via.port)]);
        for name in names {
            for answer in ask(&session, &url(&origin, name)) {
                let answer = answer.unwrap_or_else(|error| panic!("{name}: {error:#}"));
                assert_eq!(
                    answer.remote_addr().unwrap(),
                    address(origin.port),
                    "{name}"
                );
                assert_pattern(&answer.bytes().unwrap(), 65536);
            }
        }
    }
}

#[test]
fn names_that_nobody_has_are_an_error() {
    // SPEC C24: no such name, no address of it, and a server that does not say.
    let Some(origin) = server("nginx") else {
        return;
    };
    for via in ["dnsmasq", "unbound"] {
        let Some(via) = server(via) else { continue };
        let session = session(&[address(via.port)]);
        for name in ["nobody.test", "a.nobody.test", "elsewhere.example"] {
            for answer in ask(&session, &url(&origin, name)) {
                let error = answer.unwrap_err();
                assert_eq!(error.kind(), Kind::Dns, "{name}: {error:#}");
                assert!(error.is_connect() && !error.is_timeout());
            }
        }
    }
}

#[test]
fn a_name_that_is_not_answered_meets_the_limit() {
    // SPEC T2, T6
    let Some(origin) = server("nginx") else {
        return;
    };
    let Some(via) = server("unbound") else { return };
    let session = session(&[address(via.port)]);
    let limits = Timeouts::none().connect(Duration::from_millis(300));
    let started = Instant::now();
    let get = || session.get(url(&origin, "deaf.test")).timeouts(limits);
    for answer in [get().send(), get().start_send().wait()] {
        let error = answer.unwrap_err();
        assert_eq!(error.kind(), Kind::Timeout, "{error:#}");
    }
    assert!(started.elapsed() < Duration::from_secs(10));
    // Others are not held up by it.
    let pending = get().timeouts(Timeouts::none()).start_send();
    let answer = session.get(url(&origin, "four.test")).send().unwrap();
    assert_pattern(&answer.bytes().unwrap(), 65536);
    drop(pending);
}

#[test]
fn a_second_server_is_asked_when_the_first_is_silent() {
    // SPEC C24
    let Some(origin) = server("nginx") else {
        return;
    };
    let Some(via) = server("dnsmasq") else { return };
    let silent = UdpSocket::bind(address(0)).unwrap();
    let session = session(&[silent.local_addr().unwrap(), address(via.port)]);
    for answer in ask(&session, &url(&origin, "both.test")) {
        assert_pattern(&answer.unwrap().bytes().unwrap(), 65536);
    }
}

#[test]
fn a_thousand_names_at_once_on_a_dead_server_end_in_time() {
    // SPEC T1, C24
    let Some(origin) = server("nginx") else {
        return;
    };
    let silent = UdpSocket::bind(address(0)).unwrap();
    let session = session(&[silent.local_addr().unwrap()]);
    let started = Instant::now();
    let pending: Vec<_> = (0..1000)
        .map(|number| {
            let url = url(&origin, &format!("name{number}.test"));
            session
                .get(url)
                .timeout(Duration::from_secs(1))
                .start_send()
        })
        .collect();
    for answer in wait_all(pending) {
        let error = answer.unwrap_err();
        assert!(
            matches!(error.kind(), Kind::Timeout | Kind::Dns),
            "{error:#}"
        );
    }
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "{:?}",
        started.elapsed()
    );
    let stats = session.connector().stats();
    assert_eq!((stats.in_use, stats.waiting), (0, 0), "{stats:?}");
}

#[test]
fn a_name_is_asked_for_once_while_it_is_good() {
    // SPEC C22, C23: by the word of the server, which lets it be good for a minute.
    let Some(origin) = server("nginx") else {
        return;
    };
    let Some(via) = crate::support::interop::start("dnsmasq") else {
        return;
    };
    let session = with_builder(&[address(via.port)], |builder| builder.force_close(true));
    let asked = || via.log().matches("query[A] once.test").count();
    for _ in 0..3 {
        for answer in ask(&session, &url(&origin, "once.test")) {
            answer.unwrap().bytes().unwrap();
        }
    }
    assert_eq!(asked(), 1, "{}", via.log());
    session.connector().clear_dns(None);
    session.get(url(&origin, "once.test")).send().unwrap();
    assert_eq!(asked(), 2, "{}", via.log());
}

#[test]
fn what_a_dead_server_said_last_stands_where_that_is_wanted() {
    // SPEC C22, C24
    let Some(origin) = server("nginx") else {
        return;
    };
    let Some(via) = crate::support::interop::start("dnsmasq") else {
        return;
    };
    let short = |builder: ConnectorBuilder| {
        let builder = builder.force_close(true);
        builder.dns_ttl(Duration::from_millis(1))
    };
    let strict = with_builder(&[address(via.port)], short);
    let lenient = with_builder(&[address(via.port)], |builder| {
        short(builder).dns_stale_on_error(Duration::from_secs(3600))
    });
    let url = url(&origin, "four.test");
    for session in [&strict, &lenient] {
        session.get(&url).send().unwrap().bytes().unwrap();
    }
    via.kill();
    let started = Instant::now();
    for answer in ask(&strict, &url) {
        let error = answer.unwrap_err();
        assert_eq!(error.kind(), Kind::Dns, "{error:#}");
    }
    for answer in ask(&lenient, &url) {
        assert_pattern(&answer.unwrap().bytes().unwrap(), 65536);
    }
    assert!(started.elapsed() < Duration::from_secs(30));
}
