//! Connections that are lent without a request: what they hold, where they go, and
//! how they end.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use miohttp::{Connector, ConnectorBuilder, Kind, Session};
use support::{Gate, Peer, PeerConn, WATCHDOG, enter, ok, refusing_address};

/// Connectors whose callers drive, and one whose reactor does.
fn connectors(set: impl Fn(ConnectorBuilder) -> ConnectorBuilder) -> [Connector; 2] {
    [true, false].map(|drives| set(Connector::builder().caller_drives(drives)).build())
}

fn session(connector: &Connector) -> Session {
    Session::builder().connector(connector.clone()).build()
}

fn text(session: &Session, url: &str) -> String {
    let response = session.get(url).send().expect("an answer");
    response.text().expect("a body")
}

#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + WATCHDOG;
    while !holds() {
        assert!(Instant::now() < end, "{what}: not after {WATCHDOG:?}");
        thread::yield_now();
    }
}

/// In use, idle, waiting.
fn books(connector: &Connector) -> (usize, usize, usize) {
    let stats = connector.stats();
    (stats.in_use, stats.idle, stats.waiting)
}

/// Sends back what comes.
fn echo(conn: &mut PeerConn) -> std::io::Result<()> {
    loop {
        let some = conn.read_some()?;
        if some.is_empty() {
            return Ok(());
        }
        conn.write(some)?;
    }
}

#[test]
fn what_is_released_serves_the_next_request() {
    // SPEC N1
    for connector in connectors(|connector| connector.limit(1)) {
        let peer = Peer::serve(|request| ok(&request.target));
        let mut connection = connector.connect(peer.url("/")).expect("a connection");
        peer.wait_for_connections(1);
        assert_eq!(connection.peer_addr(), Some(peer.address()));
        assert!(connection.local_addr().is_some() && connection.tls_info().is_none());
        assert!(!connection.info().is_reused() && !connection.is_closed());
        assert_eq!(books(&connector), (1, 0, 0));
        connection.release();
        assert_eq!(books(&connector), (0, 1, 0));

        let session = session(&connector);
        let response = session.get(peer.url("/one")).send().expect("an answer");
        assert!(response.is_reused());
        assert_eq!(response.text().expect("a body"), "/one");
        // The other way round, and dropped it goes back as well.
        let connection = connector.start_connect(peer.url("/")).wait();
        let connection = connection.expect("a connection");
        assert!(connection.info().is_reused());
        drop(connection);
        assert_eq!(text(&session, &peer.url("/two")), "/two");
        assert_eq!(peer.connections(), 1);
        assert_eq!(peer.request_lines(), ["GET /one", "GET /two"]);
        assert_eq!(connector.stats().opened, 1);
    }
}

#[test]
fn it_holds_a_slot_in_one_queue_with_requests() {
    // SPEC N1, C3, C8
    for connector in connectors(|connector| connector.limit(1)) {
        let peer = Peer::serve(|request| ok(&request.target));
        let session = session(&connector);
        let connection = connector.connect(peer.url("/")).expect("a connection");
        let first = session.get(peer.url("/first")).start_send();
        until("it waits", || books(&connector) == (1, 0, 1));
        let second = connector.start_connect(peer.url("/"));
        until("both wait", || books(&connector) == (1, 0, 2));
        let third = session.get(peer.url("/third")).start_send();
        until("all wait", || books(&connector) == (1, 0, 3));
        connection.release();
        assert_eq!(first.wait().expect("a slot").text().unwrap(), "/first");
        let second = second.wait().expect("the slot after it");
        assert_eq!(books(&connector), (1, 0, 1));
        second.release();
        assert_eq!(third.wait().expect("a slot").text().unwrap(), "/third");
        assert_eq!(peer.connections(), 1);
        // Giving up while it waits leaves nothing behind.
        let connection = connector.connect(peer.url("/")).expect("a connection");
        let mut late = connector.start_connect(peer.url("/"));
        until("it waits", || books(&connector) == (1, 0, 1));
        assert!(late.try_take().is_none());
        drop(late);
        until("it is gone", || books(&connector) == (1, 0, 0));
        drop(connection);
        assert_eq!(text(&session, &peer.url("/last")), "/last");
    }
}

#[test]
fn closing_it_frees_its_slot() {
    // SPEC N1
    for connector in connectors(|connector| connector.limit(1)) {
        let peer = Peer::serve(|request| ok(&request.target));
        let connection = connector.connect(peer.url("/")).expect("a connection");
        connection.close();
        assert_eq!(books(&connector), (0, 0, 0));
        peer.wait_for_ends(1);
        assert_eq!(text(&session(&connector), &peer.url("/new")), "/new");
        assert_eq!(peer.connections(), 2);
    }
}

#[test]
fn a_detached_one_is_the_programs_own() {
    // SPEC N1
    for connector in connectors(|connector| connector.limit(1)) {
        // The server speaks first, as it does in many a protocol.
        let peer = Peer::start(|conn| {
            conn.write("220 ready\r\n")?;
            echo(conn)
        });
        let mut connection = connector.connect(peer.url("/")).expect("a connection");
        peer.wait_for_connections(1);
        for _ in 0..3 {
            assert!(!connection.is_closed(), "greeted, not closed");
        }
        let mut detached = connection.detach().expect("a connection");
        assert_eq!(detached.peer_addr(), Some(peer.address()));
        assert_eq!(books(&connector), (0, 0, 0), "its slot is free");
        let mut greeting = [0; 11];
        detached.read_exact(&mut greeting).expect("what came first");
        assert_eq!(&greeting, b"220 ready\r\n");

        // Others take the slot, and closing the connector is nothing to it.
        let other = Peer::serve(|_| ok("other"));
        assert_eq!(text(&session(&connector), &other.url("/")), "other");
        connector.close();
        let large: Vec<u8> = (0..300_000_u32).map(|n| n as u8).collect();
        for piece in large.chunks(10_000) {
            detached.write_all(piece).expect("written");
            let mut back = vec![0; piece.len()];
            detached.read_exact(&mut back).expect("the echo");
            assert!(back == piece);
        }
        detached.set_read_timeout(Duration::from_millis(20));
        let error = detached.read(&mut [0]).expect_err("nothing comes");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        drop(detached);
        peer.finish();
    }
}

#[test]
fn what_the_server_has_ended_is_closed_and_not_given_back() {
    // SPEC N1
    for connector in connectors(|connector| connector) {
        let gate = Gate::new();
        let at = gate.clone();
        let peer = Peer::start(move |conn| {
            if conn.index() == 0 {
                at.wait();
                return Ok(());
            }
            conn.request()?;
            conn.write(ok("new"))
        });
        let mut connection = connector.connect(peer.url("/")).expect("a connection");
        assert!(!connection.is_closed());
        gate.open();
        until("the end is seen", || connection.is_closed());
        connection.release();
        assert_eq!(books(&connector), (0, 0, 0));
        assert_eq!(text(&session(&connector), &peer.url("/")), "new");
    }
}

#[test]
fn one_on_which_the_server_has_spoken_serves_nobody() {
    // SPEC N1, P4
    for connector in connectors(|connector| connector) {
        let spoken = Gate::new();
        let speaks = spoken.clone();
        let peer = Peer::start(move |conn| {
            if conn.index() == 0 {
                conn.write("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")?;
                speaks.open();
                return conn.wait_for_close().map(drop);
            }
            conn.request()?;
            conn.write(ok("honest"))
        });
        let connection = connector.connect(peer.url("/")).expect("a connection");
        spoken.wait();
        drop(connection);
        assert_eq!(books(&connector), (0, 0, 0), "it is not kept");
        assert_eq!(text(&session(&connector), &peer.url("/")), "honest");
    }
}

#[test]
fn closing_the_connector_or_cancelling_ends_it() {
    // SPEC N1, C7
    for connector in connectors(|connector| connector) {
        let peer = Peer::serve(|_| ok(""));
        let mut cancelled = connector.connect(peer.url("/")).expect("a connection");
        let handle = cancelled.cancel_handle();
        assert!(!cancelled.is_closed());
        handle.cancel();
        until("it is cancelled", || cancelled.is_closed());
        cancelled.release();
        assert_eq!(books(&connector), (0, 0, 0));

        let kept = connector.connect(peer.url("/")).expect("a connection");
        let mut closed = connector.connect(peer.url("/")).expect("a connection");
        connector.close();
        assert!(closed.is_closed());
        drop(closed);
        let error = kept.detach().expect_err("it was closed");
        assert_eq!(error.kind(), Kind::Closed);
        assert_eq!(books(&connector), (0, 0, 0));
        let error = connector.connect(peer.url("/")).expect_err("no more");
        assert_eq!(error.kind(), Kind::Closed);
        peer.wait_for_ends(3);
    }
}

#[test]
fn the_last_handle_may_go_before_it() {
    // SPEC N1
    let peer = Peer::start(echo);
    let connector = Connector::new();
    let connection = connector.connect(peer.url("/")).expect("a connection");
    drop(connector);
    let mut detached = connection.detach().expect("a connection");
    detached.write_all(b"still").expect("written");
    let mut back = [0; 5];
    detached.read_exact(&mut back).expect("the echo");
    assert_eq!(&back, b"still");
}

#[test]
fn a_connector_that_keeps_none_closes_it() {
    // SPEC N1, C2
    for connector in connectors(|connector| connector.force_close(true)) {
        let peer = Peer::serve(|_| ok(""));
        drop(connector.connect(peer.url("/")).expect("a connection"));
        assert_eq!(books(&connector), (0, 0, 0));
        peer.wait_for_ends(1);
    }
}

#[test]
fn what_cannot_be_lent_says_why() {
    // SPEC N1, E1
    for connector in connectors(|connector| connector) {
        let url = format!("http://user:secret@{}/", refusing_address());
        let error = connector.connect(&url).expect_err("nobody listens");
        assert_eq!(error.kind(), Kind::Connect, "{error:#}");
        let told = error.url().expect("a URL").as_str();
        assert!(!told.contains("secret") && !format!("{error:#}").contains("secret"));
        for url in ["ftp://127.0.0.1/", "no URL", "/path"] {
            let error = connector.connect(url).expect_err("no URL of http");
            assert_eq!(error.kind(), Kind::InvalidUrl, "{url}");
            let started = connector.start_connect(url).wait();
            assert_eq!(started.expect_err("nor here").kind(), Kind::InvalidUrl);
        }
        // A wait that is given up gives up the attempt.
        if let Some(full) = support::Blackhole::new() {
            let url = format!("http://{}/", full.address());
            let mut pending = connector.start_connect(url);
            let result = pending.wait_for(Duration::from_millis(50));
            assert!(result.is_none());
            drop(pending);
        }
        until("no slot is held", || books(&connector) == (0, 0, 0));
    }
}

#[test]
fn many_threads_share_few() {
    // SPEC N1, C3
    for connector in connectors(|connector| connector.limit(2)) {
        let peer = Peer::serve(|request| ok(&request.target));
        let most = Arc::new(Mutex::new((0_usize, 0_usize)));
        let session = session(&connector);
        thread::scope(|scope| {
            for n in 0..8 {
                let (connector, session, most, peer) = (&connector, &session, &most, &peer);
                scope.spawn(move || {
                    for round in 0..10 {
                        let connection = connector.connect(peer.url("/")).expect("a slot");
                        let mut count = enter(most);
                        count.0 += 1;
                        count.1 = count.1.max(count.0);
                        drop(count);
                        thread::yield_now();
                        enter(most).0 -= 1;
                        match round % 3 {
                            0 => connection.close(),
                            _ => connection.release(),
                        }
                        let path = format!("/{n}/{round}");
                        assert_eq!(text(session, &peer.url(&path)), path);
                    }
                });
            }
        });
        assert!(enter(&most).1 <= 2);
        assert_eq!(connector.stats().in_use, 0);
    }
}

#[test]
fn a_response_tells_of_its_connection_while_it_has_one() {
    // SPEC N1, R9
    for connector in connectors(|connector| connector) {
        let gate = Gate::new();
        let at = gate.clone();
        let peer = Peer::start(move |conn| {
            conn.request()?;
            conn.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha")?;
            at.wait();
            conn.write("lf")?;
            conn.request()?;
            conn.write(ok("whole"))
        });
        let session = session(&connector);
        let mut response = session.get(peer.url("/")).send().expect("a head");
        let info = response.connection().expect("the rest is coming");
        assert_eq!(info.peer_addr(), Some(peer.address()));
        assert_eq!(info.local_addr(), response.local_addr());
        assert!(!info.is_reused() && info.tls_info().is_none());
        gate.open();
        while response.chunk().expect("a piece").is_some() {}
        assert!(response.connection().is_none(), "it serves others now");
        let response = session.get(peer.url("/")).send().expect("an answer");
        until("all of it came", || response.connection().is_none());
    }
}

#[cfg(feature = "tls")]
mod secure {
    use miohttp::{Connection, TlsConfig};

    use super::support::TlsOptions;
    use super::support::tls::ca_pem;
    use super::*;

    fn trusting() -> TlsConfig {
        let tls = TlsConfig::new().builtin_roots(false);
        tls.add_root_pem(ca_pem().as_bytes()).expect("good PEM")
    }

    fn lent(connector: &Connector, peer: &Peer) -> Connection {
        let connection = connector.connect(peer.url_for("localhost", "/"));
        connection.expect("a connection")
    }

    #[test]
    fn its_handshake_is_done() {
        // SPEC N1
        for connector in connectors(|connector| connector.tls(trusting())) {
            let peer = Peer::serve_tls(TlsOptions::default(), |_| ok("secure"));
            let mut connection = lent(&connector, &peer);
            // On the server's side too, though nothing was asked yet.
            until("the handshake is over", || peer.handshakes().0 == 1);
            let tls = connection.tls_info().expect("TLS");
            assert_eq!(tls.server_name(), "localhost");
            assert!(!connection.is_closed());
            drop(connection);
            let url = peer.url_for("localhost", "/");
            assert_eq!(text(&session(&connector), &url), "secure");
            assert_eq!(peer.connections(), 1);
        }
    }

    #[test]
    fn detached_it_speaks_through_tls() {
        // SPEC N1
        for connector in connectors(|connector| connector.tls(trusting())) {
            let peer = Peer::start_tls(TlsOptions::default(), |conn| {
                conn.write("hello")?;
                echo(conn)
            });
            let mut detached = lent(&connector, &peer).detach().expect("a connection");
            assert!(detached.tls_info().is_some());
            let mut bytes = [0; 5];
            detached.read_exact(&mut bytes).expect("the greeting");
            assert_eq!(&bytes, b"hello");
            detached.write_all(b"world").expect("written");
            detached.read_exact(&mut bytes).expect("the echo");
            assert_eq!(&bytes, b"world");
            drop(detached);
            // A clean end: `close_notify` was said.
            peer.finish();
        }
    }

    #[test]
    fn one_that_nobody_vouches_for_is_not_lent() {
        // SPEC N1, E2
        let peer = Peer::serve_tls(TlsOptions::default(), |_| ok(""));
        let connector = Connector::new();
        let error = connector.connect(peer.url("/")).expect_err("untrusted");
        assert_eq!(error.kind(), Kind::Certificate, "{error:#}");
        assert_eq!(books(&connector), (0, 0, 0));
    }
}
