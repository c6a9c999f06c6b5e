//! What a connector settles of its sockets and of the connections it keeps, and
//! that it can be asked for all of it. Stories are told with the caller and with
//! the reactor driving.

mod support;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use miohttp::{Connector, ConnectorBuilder, Error, IpFamily, Kind, Phase, Session, SocketOptions};
use support::{Gate, Peer, WATCHDOG, ok, response};

/// Tells a story with either driver.
fn both(story: impl Fn(fn() -> ConnectorBuilder)) {
    story(|| Connector::builder().caller_drives(true));
    story(|| Connector::builder().caller_drives(false));
}

fn session_of(connector: &Connector) -> Session {
    Session::builder().connector(connector.clone()).build()
}

fn get(builder: ConnectorBuilder, url: &str) -> Result<String, Error> {
    session_of(&builder.build()).get(url).send()?.text()
}

/// Waits for what happens in its own time.
#[track_caller]
fn until(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < WATCHDOG, "never came about: {what}");
        thread::yield_now();
    }
}

#[test]
fn a_connector_says_what_it_was_set_to() {
    // SPEC C6, C30
    let plain = Connector::new();
    assert_eq!((plain.limit(), plain.limit_per_host()), (100, 0));
    assert_eq!((plain.force_close(), plain.nodelay()), (false, true));
    assert_eq!(plain.keepalive_timeout(), Duration::from_secs(15));
    assert_eq!((plain.max_idle(), plain.max_idle_per_host()), (None, None));
    assert_eq!((plain.max_age(), plain.interface()), (None, None));
    assert_eq!(plain.local_addrs().count(), 0);
    assert_eq!(plain.socket_options(), SocketOptions::new());
    assert_eq!(plain.ip_family(), IpFamily::Any);

    let local: SocketAddr = "192.0.2.7:99".parse().unwrap();
    let options = SocketOptions::new().traffic_class(8);
    let set = Connector::builder()
        .limit(7)
        .limit_per_host(3)
        .keepalive_timeout(Duration::from_secs(2))
        .max_idle(5)
        .max_age(Duration::from_secs(60))
        .nodelay(false)
        .socket_options(options.clone())
        .interface("eth9")
        .local_addr(Ipv4Addr::LOCALHOST)
        .local_addr(local)
        .local_addr(IpAddr::V6(Ipv6Addr::LOCALHOST))
        .build();
    assert_eq!((set.limit(), set.limit_per_host()), (7, 3));
    assert_eq!(set.keepalive_timeout(), Duration::from_secs(2));
    assert_eq!((set.max_idle(), set.max_idle_per_host()), (Some(5), None));
    assert_eq!(set.max_age(), Some(Duration::from_secs(60)));
    assert_eq!((set.nodelay(), set.interface()), (false, Some("eth9")));
    assert_eq!(set.socket_options(), options);
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
    assert_eq!(set.local_addrs().collect::<Vec<_>>(), [local, v6]);
    assert!(!set.force_close() && !set.is_closed());
    set.close();
    assert!(set.is_closed() && set.limit() == 7);
    // What is not there is not asked for.
    let one_family = Connector::builder().local_addr(Ipv4Addr::LOCALHOST).build();
    assert_eq!(one_family.ip_family(), IpFamily::V4);
    assert!(Connector::builder().force_close(true).build().force_close());
    let per_host = Connector::builder().max_idle_per_host(0).build();
    assert_eq!(
        (per_host.max_idle(), per_host.max_idle_per_host()),
        (None, Some(0))
    );
}

#[test]
fn settings_that_contradict_each_other_are_told_at_the_verb() {
    // SPEC C1, C25, C26
    both(|builder| {
        let second = Duration::from_secs(1);
        let contradictions = [
            (
                builder().keepalive_timeout(second).force_close(true),
                "force_close",
            ),
            (
                builder().force_close(true).keepalive_timeout(second),
                "force_close",
            ),
            (
                builder()
                    .local_addr(Ipv4Addr::LOCALHOST)
                    .ip_family(IpFamily::V6),
                "local address",
            ),
        ];
        for (builder, what) in contradictions {
            let connector = builder.build();
            let session = session_of(&connector);
            for _ in 0..2 {
                let error = session.get("http://127.0.0.1:9/").send().unwrap_err();
                assert_eq!(error.kind(), Kind::InvalidRequest);
                assert!(error.to_string().contains(what), "{error}");
                let started = session.get("http://127.0.0.1:9/").start_send();
                assert_eq!(started.wait().unwrap_err().kind(), Kind::InvalidRequest);
            }
            assert!(!connector.is_closed());
        }
        let peer = Peer::serve(|_| ok("fine"));
        for builder in [
            builder().force_close(true),
            builder().force_close(false).keepalive_timeout(second),
        ] {
            assert_eq!(get(builder, &peer.url("/")).unwrap(), "fine");
        }
    });
}

/// Answers with the address that the request came from.
fn mirror() -> Peer {
    Peer::start(|conn| {
        while conn.next_request()?.is_some() {
            let from = conn.socket()?.peer_addr()?;
            conn.write(ok(from.to_string()))?;
        }
        Ok(())
    })
}

// All of 127.0.0.0/8 is this machine's, but on Linux alone.
#[cfg(target_os = "linux")]
#[test]
fn connections_come_from_the_local_address() {
    // SPEC C26
    both(|builder| {
        let peer = mirror();
        let local = Ipv4Addr::new(127, 0, 0, 7);
        for host in ["127.0.0.1", "localhost"] {
            let url = peer.url_for(host, "/");
            let builder = builder().local_addr(local);
            let response = session_of(&builder.build()).get(url).send().unwrap();
            assert_eq!(response.local_addr().unwrap().ip(), local);
            let told = response.local_addr().unwrap().to_string();
            assert_eq!(response.text().unwrap(), told);
        }
        // And from a port that is given, too.
        let free = TcpListener::bind((local, 0)).unwrap().local_addr().unwrap();
        let options = SocketOptions::new().reuse_address(true);
        let builder = builder().local_addr(free).socket_options(options);
        assert_eq!(get(builder, &peer.url("/")).unwrap(), free.to_string());
    });
}

#[test]
fn a_family_without_a_local_address_is_not_tried() {
    // SPEC C26
    both(|builder| {
        let peer = mirror();
        let v4 = Ipv4Addr::LOCALHOST;
        let url = format!("http://[::1]:{}/", peer.port());
        let error = get(builder().local_addr(v4), &url).unwrap_err();
        assert_eq!(error.kind(), Kind::Dns, "{error:#}");
        let error = get(builder().local_addr(Ipv6Addr::LOCALHOST), &peer.url("/")).unwrap_err();
        assert_eq!(error.kind(), Kind::Dns, "{error:#}");
        // With one of each, it is that of the peer's family which counts.
        let two = builder().local_addr(Ipv6Addr::LOCALHOST).local_addr(v4);
        let from = get(two, &peer.url("/")).unwrap();
        assert!(from.starts_with("127.0.0.1:"), "{from}");
    });
}

#[test]
fn an_address_that_is_not_ours_is_a_connect_error() {
    // SPEC C26. Of TEST-NET-1, which nobody has (RFC 5737).
    both(|builder| {
        let peer = Peer::serve(|_| ok(""));
        let builder = builder().local_addr(Ipv4Addr::new(192, 0, 2, 1));
        let error = get(builder, &peer.url("/")).unwrap_err();
        assert_eq!(
            (error.kind(), error.phase()),
            (Kind::Connect, Some(Phase::Connect))
        );
        let text = format!("{error:#}");
        assert!(text.contains("cannot bind to 192.0.2.1:0"), "{text}");
        assert_eq!(peer.connections(), 0);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn an_interface_is_gone_out_by() {
    // SPEC C26
    both(|builder| {
        let peer = Peer::serve(|_| ok("by lo"));
        match get(builder().interface("lo"), &peer.url("/")) {
            Ok(text) => assert_eq!(text, "by lo"),
            // Systems may keep this for the privileged.
            Err(error) => assert!(format!("{error:#}").contains("interface \"lo\"")),
        }
        let error = get(builder().interface("miohttp-none"), &peer.url("/")).unwrap_err();
        assert_eq!(
            (error.kind(), error.phase()),
            (Kind::Connect, Some(Phase::Connect))
        );
        let text = format!("{error:#}");
        assert!(text.contains("interface \"miohttp-none\""), "{text}");
        for name in ["", "eth\0", "much-too-long-for-one"] {
            let error = get(builder().interface(name), &peer.url("/")).unwrap_err();
            assert_eq!(error.kind(), Kind::InvalidRequest, "{name}");
        }
        assert_eq!(peer.connections(), 1);
    });
}

#[test]
fn an_option_that_is_refused_is_named() {
    // SPEC C28
    both(|builder| {
        let peer = Peer::serve(|_| ok("set"));
        // No connection is probed before it was silent for a moment.
        let never = SocketOptions::new().keepalive(Duration::ZERO);
        let error = get(builder().socket_options(never), &peer.url("/")).unwrap_err();
        assert_eq!(
            (error.kind(), error.phase()),
            (Kind::Connect, Some(Phase::Connect))
        );
        let text = format!("{error:#}");
        assert!(text.contains("cannot set SO_KEEPALIVE"), "{text}");
        assert_eq!(peer.connections(), 0);
        let sound = SocketOptions::new()
            .keepalive(Duration::from_millis(1500))
            .keepalive_interval(Duration::from_secs(5))
            .keepalive_count(3)
            .send_buffer(100_000)
            .receive_buffer(100_000)
            .traffic_class(0x20);
        let builder = builder().socket_options(sound).nodelay(false);
        assert_eq!(get(builder, &peer.url("/")).unwrap(), "set");
    });
}

#[test]
fn idle_connections_are_kept_up_to_their_caps() {
    // SPEC P4: the oldest goes first.
    both(|builder| {
        let peers: Vec<Peer> = (0..3).map(|_| Peer::serve(|_| ok(""))).collect();
        let connector = builder().max_idle(2).build();
        let session = session_of(&connector);
        for peer in &peers {
            session.get(peer.url("/")).send().unwrap();
        }
        peers[0].wait_for_ends(1);
        until("one too many is closed", || connector.stats().idle == 2);
        for peer in &peers[1..] {
            session.get(peer.url("/")).send().unwrap();
            assert_eq!(peer.connections(), 1);
        }
        // Of one host.
        let gate = Gate::new();
        let door = gate.clone();
        let peer = Peer::serve(move |_| {
            door.wait();
            ok("")
        });
        let connector = builder().max_idle_per_host(1).build();
        let session = session_of(&connector);
        let many: Vec<_> = (0..4)
            .map(|_| session.get(peer.url("/")).start_send())
            .collect();
        gate.wait_for_arrivals(4);
        gate.open();
        for pending in many {
            pending.wait().unwrap();
        }
        peer.wait_for_ends(3);
        until("one is left", || connector.stats().idle == 1);
        // None at all.
        let connector = builder().max_idle(0).build();
        let session = session_of(&connector);
        session.get(peers[0].url("/")).send().unwrap();
        peers[0].wait_for_ends(2);
        until("none is left", || connector.stats().idle == 0);
    });
}

#[test]
fn an_old_connection_is_not_used_again() {
    // SPEC C1
    both(|builder| {
        let peer = Peer::serve(|_| ok(""));
        let connector = builder().max_age(Duration::ZERO).build();
        let session = session_of(&connector);
        for _ in 0..3 {
            session.get(peer.url("/")).send().unwrap().bytes().unwrap();
        }
        assert_eq!((peer.connections(), connector.stats().reused), (3, 0));
        peer.wait_for_ends(3);
        let connector = builder().max_age(WATCHDOG * 10).build();
        let session = session_of(&connector);
        for _ in 0..3 {
            session.get(peer.url("/")).send().unwrap().bytes().unwrap();
        }
        assert_eq!((peer.connections(), connector.stats().reused), (4, 2));
    });
}

#[test]
fn a_server_says_how_often_it_may_be_asked() {
    // SPEC P4
    both(|builder| {
        let peer = Peer::serve(|_| response("200 OK", &[("Keep-Alive", "timeout=9, max=0")], "x"));
        let connector = builder().build();
        let session = session_of(&connector);
        for _ in 0..2 {
            session.get(peer.url("/")).send().unwrap().bytes().unwrap();
        }
        assert_eq!((peer.connections(), connector.stats().reused), (2, 0));
    });
}

#[test]
fn no_limit_is_none() {
    // SPEC C3, C4: 0 is no limit, where the default of 100 is one.
    const MANY: usize = 104;
    let gate = Gate::new();
    let door = gate.clone();
    let peer = Peer::serve(move |_| {
        door.wait();
        ok("")
    });
    let connector = Connector::builder().limit(0).limit_per_host(0).build();
    let session = session_of(&connector);
    let many: Vec<_> = (0..MANY)
        .map(|_| session.get(peer.url("/")).start_send())
        .collect();
    gate.wait_for_arrivals(MANY);
    let stats = connector.stats();
    assert_eq!((stats.in_use, stats.waiting), (MANY, 0));
    gate.open();
    for pending in many {
        pending.wait().unwrap();
    }
    assert_eq!(peer.peak_connections(), MANY);
}

#[cfg(feature = "tls")]
#[test]
fn a_connectors_tls_settings_can_be_had_again() {
    // SPEC C30
    use miohttp::TlsConfig;
    use support::{Certificate, TlsOptions};

    both(|builder| {
        let peer = Peer::serve_tls(TlsOptions::new(Certificate::Good), |_| ok(""));
        let roots = TlsConfig::new().add_root_pem(support::tls::ca_pem().as_bytes());
        let connector = builder().tls(roots.expect("a root")).build();
        let session = session_of(&connector);
        let get = || session.get(peer.url("/"));
        get().send().unwrap().bytes().unwrap();
        let same = connector.tls_config();
        get().tls(&same).send().unwrap().bytes().unwrap();
        assert_eq!((peer.connections(), connector.stats().reused), (1, 1));
        // It has its roots and its own connections elsewhere.
        let other = Session::new();
        let response = other.get(peer.url("/")).tls(&same).send().unwrap();
        assert!(response.tls_info().is_some());
    });
}
