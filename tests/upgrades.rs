//! Connections that speak another protocol after a 101. Every story is told
//! with both drivers.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use miohttp::{Connector, ConnectorBuilder, Error, Kind, RequestBuilder, Session, Upgraded};
use support::{Gate, Peer, PeerConn, ok};

const SWITCH: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";

/// Sessions whose connections are driven by the caller, and by the reactor.
fn sessions(connector: impl Fn(ConnectorBuilder) -> ConnectorBuilder) -> [Session; 2] {
    [true, false].map(|drives| {
        let connector = connector(Connector::builder().caller_drives(drives)).build();
        Session::builder().connector(connector).build()
    })
}

fn asking(request: RequestBuilder) -> RequestBuilder {
    let request = request.header("connection", "upgrade");
    request.header("upgrade", "echo")
}

fn upgraded(session: &Session, url: &str) -> Upgraded {
    let response = asking(session.get(url)).send().expect("an answer");
    assert_eq!(response.status(), 101);
    response.into_upgraded().expect("a connection")
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

/// Agrees to switch, with something behind the head in the same segment.
fn switches(conn: &mut PeerConn) -> std::io::Result<()> {
    conn.request()?;
    conn.write([SWITCH.as_bytes(), b"welcome"].concat())?;
    echo(conn)
}

#[test]
fn a_switched_connection_is_the_programs_own() {
    // SPEC N1, R9
    for session in sessions(|connector| connector.limit(1)) {
        let peer = Peer::start(switches);
        let mut connection = upgraded(&session, &peer.url("/"));
        assert_eq!(connection.remote_addr(), Some(peer.address()));
        assert!(connection.local_addr().is_some());
        assert!(connection.tls_info().is_none());
        let mut bytes = [0; 7];
        connection.read_exact(&mut bytes).expect("what came behind");
        assert_eq!(&bytes, b"welcome");
        for text in ["one", "two", "three"] {
            connection.write_all(text.as_bytes()).expect("written");
            let mut back = vec![0; text.len()];
            connection.read_exact(&mut back).expect("the echo");
            assert_eq!(back, text.as_bytes());
        }
        // It holds the only slot until it is dropped.
        assert_eq!(session.connector().stats().in_use, 1);
        let waiting = session
            .get(peer.url("/"))
            .timeout(Duration::from_millis(50));
        let error = waiting.send().expect_err("no slot");
        assert_eq!(error.kind(), Kind::Timeout, "{error:#}");
        drop(connection);
        peer.wait_for_ends(1);
        let other = Peer::serve(|_| ok("again"));
        let response = session.get(other.url("/")).send().expect("a slot");
        assert_eq!(response.text().expect("a body"), "again");
        peer.finish();
    }
}

#[test]
fn a_connection_that_was_used_before_can_be_switched() {
    // SPEC N1
    for session in sessions(|connector| connector) {
        let peer = Peer::start(|conn| {
            conn.request()?;
            conn.write(ok("first"))?;
            switches(conn)
        });
        let first = session.get(peer.url("/")).send().expect("an answer");
        assert_eq!(first.text().expect("a body"), "first");
        let response = asking(session.get(peer.url("/"))).start_send();
        let response = response.wait().expect("an answer");
        assert!(response.is_reused());
        let mut connection = response.into_upgraded().expect("a connection");
        connection.write_all(b"hello").expect("written");
        let mut bytes = [0; 12];
        connection.read_exact(&mut bytes).expect("both");
        assert_eq!(&bytes, b"welcomehello");
    }
}

#[test]
fn a_switch_has_no_body_whatever_its_head_says() {
    // SPEC N1, R39
    for coding in [
        "gzip",
        "deflate, gzip, deflate, gzip, deflate, gzip, deflate",
    ] {
        for session in sessions(|connector| connector) {
            let head = SWITCH.replace("\r\n\r\n", "\r\nContent-Encoding: ");
            let head = format!("{head}{coding}\r\nContent-Length: 9\r\n\r\n");
            let peer = Peer::start(move |conn| {
                conn.request()?;
                conn.write(head.as_bytes())?;
                echo(conn)
            });
            let response = asking(session.get(peer.url("/"))).send();
            let body = response.expect("an answer").bytes().expect("no body");
            assert!(body.is_empty());
            let mut connection = upgraded(&session, &peer.url("/"));
            connection.write_all(b"hello").expect("written");
            let mut bytes = [0; 5];
            connection.read_exact(&mut bytes).expect("the echo");
            assert_eq!(&bytes, b"hello");
        }
    }
}

#[test]
fn much_goes_both_ways() {
    // SPEC N1
    const LENGTH: usize = 5_000_000;
    for session in sessions(|connector| connector) {
        let gate = Gate::new();
        let read = gate.clone();
        let peer = Peer::start(move |conn| {
            conn.request()?;
            conn.write(SWITCH)?;
            // So much that neither side's buffers hold it.
            conn.write(vec![b'd'; LENGTH])?;
            read.wait();
            let up = conn.read_exact(LENGTH)?;
            assert!(up.iter().all(|byte| *byte == b'u'));
            conn.write("got it")
        });
        let mut connection = upgraded(&session, &peer.url("/"));
        let mut down = vec![0; LENGTH];
        connection.read_exact(&mut down).expect("all of it");
        assert!(down.iter().all(|byte| *byte == b'd'));
        gate.open();
        connection.write_all(&vec![b'u'; LENGTH]).expect("written");
        // The rest goes out with the read.
        let mut text = String::new();
        connection
            .read_to_string(&mut text)
            .expect("an answer and the end");
        assert_eq!(text, "got it");
        peer.finish();
    }
}

#[test]
fn reads_and_writes_have_limits() {
    // SPEC N1
    const LIMIT: Duration = Duration::from_millis(50);
    for session in sessions(|connector| connector) {
        let peer = Peer::start(|conn| {
            conn.request()?;
            conn.write(SWITCH)?;
            conn.read_exact(1)?;
            conn.write("late")?;
            conn.wait_for_close().map(drop)
        });
        let mut connection = upgraded(&session, &peer.url("/"));
        connection.set_read_timeout(LIMIT);
        connection.set_write_timeout(LIMIT);
        let start = Instant::now();
        let error = connection.read(&mut [0; 10]).expect_err("nothing comes");
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        assert!(start.elapsed() >= LIMIT);
        // Nothing is lost by it.
        connection.write_all(b"x").expect("written");
        connection.set_read_timeout(None);
        let mut bytes = [0; 4];
        connection.read_exact(&mut bytes).expect("the answer");
        assert_eq!(&bytes, b"late");

        let hold = Gate::new();
        let held = hold.clone();
        let peer = Peer::start(move |conn| {
            conn.request()?;
            conn.write(SWITCH)?;
            held.wait();
            Ok(())
        });
        let mut connection = upgraded(&session, &peer.url("/"));
        connection.set_write_timeout(LIMIT);
        let error = loop {
            if let Err(error) = connection.write(&[0; 100_000]) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        let error = connection.flush().expect_err("nobody reads");
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        hold.open();
    }
}

/// Which of our own errors is inside.
fn kind(error: &std::io::Error) -> Option<Kind> {
    let inner = error
        .get_ref()
        .and_then(|error| error.downcast_ref::<Error>());
    inner.map(Error::kind)
}

#[test]
fn another_thread_can_end_it() {
    // SPEC N1, C7
    for close in [false, true] {
        for session in sessions(|connector| connector) {
            let peer = Peer::start(switches);
            let mut connection = upgraded(&session, &peer.url("/"));
            let mut welcome = [0; 7];
            connection
                .read_exact(&mut welcome)
                .expect("what came behind");
            let cancel = connection.cancel_handle();
            let reader = thread::spawn(move || connection.read(&mut [0; 10]));
            if close {
                session.connector().close();
            } else {
                cancel.cancel();
            }
            let error = reader.join().expect("no panic").expect_err("ended");
            let expected = if close { Kind::Closed } else { Kind::Cancelled };
            assert_eq!(kind(&error), Some(expected), "{error:?}");
        }
    }
}

#[test]
fn what_was_not_switched_is_no_connection() {
    // SPEC N1
    for session in sessions(|connector| connector) {
        let peer = Peer::serve(|_| ok("no"));
        let response = asking(session.get(peer.url("/"))).send();
        let error = response.expect("an answer").into_upgraded();
        let error = error.expect_err("not switched");
        assert_eq!(error.kind(), Kind::InvalidRequest, "{error:#}");
        assert!(error.to_string().contains("200"), "{error}");
        // Nor one that nobody asked for.
        let peer = Peer::start(switches);
        let error = session.get(peer.url("/")).send();
        let error = error.expect_err("nobody asked");
        assert_eq!(error.kind(), Kind::Protocol, "{error:#}");
        // One that nobody takes is closed.
        let peer = Peer::start(switches);
        let response = asking(session.get(peer.url("/"))).send();
        let response = response.expect("an answer");
        assert!(response.bytes().expect("no body").is_empty());
        peer.wait_for_ends(1);
        peer.finish();
    }
}

#[cfg(feature = "tls")]
#[test]
fn a_switched_connection_may_be_over_tls() {
    // SPEC N1, R9
    use miohttp::TlsConfig;
    use support::{TlsOptions, tls::ca_pem};

    for session in sessions(|connector| {
        let tls = TlsConfig::new().builtin_roots(false);
        connector.tls(tls.add_root_pem(ca_pem().as_bytes()).expect("good PEM"))
    }) {
        let peer = Peer::start_tls(TlsOptions::default(), switches);
        let mut connection = upgraded(&session, &peer.url_for("localhost", "/"));
        assert!(connection.tls_info().is_some());
        let mut welcome = [0; 7];
        connection
            .read_exact(&mut welcome)
            .expect("what came behind");
        let text = vec![b'x'; 300_000];
        let mut back = Vec::new();
        for part in text.chunks(10_000) {
            connection.write_all(part).expect("written");
            let mut read = vec![0; part.len()];
            connection.read_exact(&mut read).expect("the echo");
            back.extend_from_slice(&read);
        }
        assert_eq!(back, text);
        drop(connection);
        // It has said goodbye.
        peer.finish();

        let peer = Peer::start_tls(TlsOptions::default().without_close_notify(), |conn| {
            conn.request()?;
            conn.write(SWITCH)
        });
        let mut connection = upgraded(&session, &peer.url_for("localhost", "/"));
        let error = connection.read(&mut [0; 10]).expect_err("cut off");
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{error}");
    }
}
