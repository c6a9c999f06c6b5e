//! https: whom it trusts, what it refuses, what it resumes, and how a truncated
//! body is told from a whole one.
#![cfg(feature = "tls")]

mod support;

use std::io::{self, Read, Write};
use std::net::TcpStream;

use miohttp::{Connector, Error, Kind, Phase, Session, TlsConfig};
use support::tls::ca_pem;
use support::{Certificate, Peer, PeerConn, TlsOptions, no_slot_in_use, ok};

/// TLS that trusts the peers' authority.
fn trusting() -> TlsConfig {
    let tls = TlsConfig::new().builtin_roots(false);
    tls.add_root_pem(ca_pem().as_bytes()).expect("good PEM")
}

fn session(tls: TlsConfig) -> Session {
    let connector = Connector::builder().tls(tls).build();
    Session::builder().connector(connector).build()
}

/// One request to a peer that shows this certificate.
fn fetch(session: &Session, options: TlsOptions) -> Result<String, Error> {
    let peer = Peer::serve_tls(options, |_| ok("hello"));
    session.get(peer.url("/")).send()?.text()
}

/// A peer behind TLS that answers one request with these bytes and ends.
fn answers(options: TlsOptions, bytes: &'static str) -> Peer {
    Peer::start_tls(options, move |conn| {
        conn.request()?;
        conn.write(bytes)
    })
}

#[test]
fn an_added_authority_is_trusted_by_name_and_by_address() {
    // SPEC C20
    let session = session(trusting());
    let peer = Peer::serve_tls(TlsOptions::default(), |request| ok(&request.body));
    for host in ["localhost", "127.0.0.1", "LOCALHOST"] {
        let url = peer.url_for(host, "/");
        let response = session.post(url).body("over TLS").send();
        let response = response.expect("a trusted peer");
        assert_eq!(response.remote_addr(), Some(peer.address()));
        assert_eq!(response.text().expect("the echo"), "over TLS");
    }
    assert_eq!(peer.connections(), 2, "one for each name");
    // With the built-in roots beside it just the same.
    let tls = TlsConfig::new().add_root_pem(ca_pem().as_bytes());
    let both = self::session(tls.expect("good PEM"));
    assert_eq!(
        fetch(&both, TlsOptions::default()).expect("trusted"),
        "hello"
    );
}

#[test]
fn a_large_body_goes_both_ways_in_records_of_any_size() {
    let body: Vec<u8> = (0..2_000_000_u32).map(|n| (n % 253) as u8).collect();
    let peer = Peer::start_tls(TlsOptions::default(), |conn| {
        while let Some(request) = conn.next_request()? {
            let answer = ok(&request.body);
            let (start, rest) = answer.split_at(300);
            conn.write_bytewise(start)?;
            conn.write(rest)?;
        }
        Ok(())
    });
    let session = session(trusting());
    for _ in 0..2 {
        let response = session.post(peer.url("/")).body(body.clone()).send();
        let echo = response.expect("an answer").bytes();
        assert!(echo.expect("the echo") == body);
    }
    assert_eq!(peer.connections(), 1);
}

#[test]
fn every_bad_certificate_is_refused_and_says_so() {
    // SPEC E2
    use Certificate::{Expired, NotYetValid, SelfSigned, Untrusted, WrongHost};
    let session = session(trusting());
    for certificate in [SelfSigned, Untrusted, Expired, NotYetValid, WrongHost] {
        let peer = Peer::serve_tls(TlsOptions::new(certificate), |_| ok("stolen"));
        let url = peer.url_for("user:pa55word@localhost", "/");
        let error = session.get(url).send().expect_err("a bad certificate");
        assert_eq!(
            error.kind(),
            Kind::Certificate,
            "{certificate:?}: {error:#}"
        );
        assert_eq!(error.phase(), Some(Phase::Tls), "{certificate:?}");
        assert!(error.is_tls() && error.is_connect() && !error.is_retryable());
        assert_eq!(error.peer(), Some(peer.address()));
        let url = peer.url_for("localhost", "/");
        assert_eq!(error.url().map(|u| u.as_str()), Some(&*url));
        assert!(std::error::Error::source(&error).is_some(), "{error:?}");
        assert!(!format!("{error:#} {error:?}").contains("pa55word"));
        peer.wait_for_ends(peer.connections());
        assert_eq!(
            peer.request_count(),
            0,
            "nothing was sent to {certificate:?}"
        );
    }
    no_slot_in_use(session.connector());
}

#[test]
fn the_roots_are_the_built_in_ones_unless_told_otherwise() {
    let error = fetch(&Session::new(), TlsOptions::default()).expect_err("not of this world");
    assert_eq!(error.kind(), Kind::Certificate, "{error:#}");
    let nobody = session(TlsConfig::new().builtin_roots(false));
    let error = fetch(&nobody, TlsOptions::default()).expect_err("nobody is trusted");
    assert!(error.is_tls(), "{error:#}");

    for pem in [
        "",
        "no PEM",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        let added = TlsConfig::new().add_root_pem(pem.as_bytes());
        match added.map_err(|error| error.kind()) {
            Err(kind) => assert_eq!(kind, Kind::InvalidRequest, "{pem:?}"),
            // Found to be damaged when it is used.
            Ok(tls) => {
                let error = fetch(&session(tls), TlsOptions::default());
                assert!(error.expect_err("no roots").is_tls(), "{pem:?}");
            }
        }
    }
}

#[test]
fn danger_accepts_anybody_and_nothing_of_it_reaches_a_strict_request() {
    // SPEC C20, P1
    use Certificate::{Expired, SelfSigned, Untrusted, WrongHost};
    let lenient = trusting().danger_accept_invalid_certs(true);
    for certificate in [SelfSigned, Untrusted, Expired, WrongHost] {
        let peer = Peer::serve_tls(TlsOptions::new(certificate), |_| ok("hello"));
        let session = session(trusting());
        let dared = session.get(peer.url("/")).tls(&lenient).send();
        let text = dared.and_then(|response| response.text());
        assert_eq!(text.expect("accepted"), "hello", "{certificate:?}");
        // A connection is idle now and a ticket is there: neither may serve.
        let error = session.get(peer.url("/")).send();
        let error = error.expect_err("the strict request passed");
        assert_eq!(error.kind(), Kind::Certificate, "{certificate:?}");
        assert_eq!(peer.request_count(), 1);
        let (_, resumed) = peer.handshakes();
        assert_eq!(resumed, 0);
    }
}

#[test]
fn requests_with_settings_of_their_own_share_no_connection() {
    // SPEC P1, Q15
    let peer = Peer::serve_tls(TlsOptions::default(), |_| ok(""));
    let session = session(trusting());
    let (one, other) = (trusting(), trusting());
    for tls in [
        None,
        Some(&one),
        Some(&other),
        None,
        Some(&one),
        Some(&other),
    ] {
        let request = session.get(peer.url("/"));
        let request = match tls {
            Some(tls) => request.tls(tls),
            None => request,
        };
        request.send().expect("trusted by all three");
    }
    let on: Vec<_> = peer.requests().iter().map(|r| r.connection).collect();
    assert_eq!(on, [0, 1, 2, 0, 1, 2]);
    assert_eq!(peer.handshakes(), (3, 0));
    // A clone is the same settings.
    let cloned = session.get(peer.url("/")).tls(&one.clone()).send();
    assert!(cloned.expect("trusted").is_reused());
}

#[test]
fn sessions_are_resumed_in_both_versions() {
    for options in [TlsOptions::default(), TlsOptions::only_tls12()] {
        let peer = Peer::serve_tls(options, |_| ok("hello"));
        let connector = Connector::builder()
            .tls(trusting())
            .force_close(true)
            .build();
        let session = Session::builder().connector(connector).build();
        for _ in 0..3 {
            let response = session.get(peer.url("/")).send().expect("an answer");
            assert_eq!(response.text().expect("its body"), "hello");
        }
        assert_eq!(peer.handshakes(), (3, 2));
    }
}

#[test]
fn http_1_1_is_the_protocol_that_is_agreed_on() {
    let session = session(trusting());
    for protocols in [&["http/1.1"][..], &["h2", "http/1.1"], &[]] {
        let text = fetch(&session, TlsOptions::default().alpn(protocols));
        assert_eq!(text.expect("an answer"), "hello", "{protocols:?}");
    }
    let error = fetch(&session, TlsOptions::default().alpn(&["h2"]));
    let error = error.expect_err("no protocol in common");
    assert_eq!((error.kind(), error.phase()), (Kind::Tls, Some(Phase::Tls)));
}

#[test]
fn a_peer_that_does_not_speak_tls_is_a_tls_error() {
    // SPEC E2
    fn greets(conn: &mut PeerConn) -> io::Result<()> {
        conn.read_exact(1)?;
        conn.write("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")?;
        conn.wait_for_close().map(drop)
    }

    fn hangs_up(conn: &mut PeerConn) -> io::Result<()> {
        conn.read_exact(1).map(drop)
    }

    fn resets(conn: &mut PeerConn) -> io::Result<()> {
        conn.read_exact(1)?;
        conn.reset()
    }

    let session = session(trusting());
    for script in [greets, hangs_up, resets] {
        let peer = Peer::start(script);
        let url = format!("https://{}/", peer.address());
        let error = session.get(url).send().expect_err("no TLS there");
        assert_eq!(error.kind(), Kind::Tls, "{error:#}");
        assert_eq!(error.phase(), Some(Phase::Tls));
        assert_eq!(error.peer(), Some(peer.address()));
        assert!(error.is_connect());
        no_slot_in_use(session.connector());
    }
    // The other way round: a TLS peer asked in plain HTTP.
    let peer = Peer::serve_tls(TlsOptions::default(), |_| ok(""));
    let url = format!("http://{}/", peer.address());
    let error = session.get(url).send().expect_err("no HTTP there");
    assert!(
        matches!(error.kind(), Kind::Protocol | Kind::Disconnected),
        "{error:#}"
    );
}

#[test]
fn a_body_that_only_the_end_delimits_needs_close_notify() {
    // SPEC R41, RFC 9112 section 9.8
    let quiet = || TlsOptions::default().without_close_notify();
    let session = session(trusting());
    let fetch = |peer: &Peer| session.get(peer.url("/")).send()?.text();
    let delimited = "HTTP/1.1 200 OK\r\n\r\nall of it";
    let peer = answers(TlsOptions::default(), delimited);
    assert_eq!(fetch(&peer).expect("it ended in order"), "all of it");

    let peer = answers(quiet(), delimited);
    let error = fetch(&peer).expect_err("it may have been cut");
    assert_eq!(
        (error.kind(), error.phase()),
        (Kind::Payload, Some(Phase::Body))
    );

    for complete in [
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nall of it",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nall of it\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\nConnection: close\r\nContent-Length: 9\r\n\r\nall of it",
    ] {
        let peer = answers(quiet(), complete);
        assert_eq!(
            fetch(&peer).expect("its framing says it is whole"),
            "all of it"
        );
    }
    for cut in [
        "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nall of it",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nall of it\r\n",
    ] {
        for options in [quiet(), TlsOptions::default()] {
            let error = fetch(&answers(options, cut)).expect_err("a short body");
            assert_eq!(error.kind(), Kind::Payload, "{error:#}");
        }
    }
    let error = fetch(&answers(quiet(), "HTTP/1.1 200 OK\r\nX: ")).expect_err("half a head");
    assert_eq!(
        (error.kind(), error.phase()),
        (Kind::Disconnected, Some(Phase::Head))
    );
    no_slot_in_use(session.connector());
}

#[test]
fn a_truncated_body_is_never_silent_however_it_is_read() {
    // SPEC R41
    use std::io::Read;
    let peer = Peer::start_tls(TlsOptions::default(), |conn| {
        conn.request()?;
        conn.write("HTTP/1.1 200 OK\r\n\r\n")?;
        conn.write([b'x'; 100_000])?;
        // What an attacker on the path can do: end TCP, but not TLS.
        conn.truncate()?;
        conn.wait_for_close().map(drop)
    });
    let session = session(trusting());
    let get = || session.get(peer.url("/")).send().expect("a head");
    assert!(get().bytes().expect_err("cut").is_payload());
    assert!(
        get()
            .copy_to(&mut io::sink())
            .expect_err("cut")
            .is_payload()
    );
    let mut read = Vec::new();
    let error = get().into_reader().read_to_end(&mut read).expect_err("cut");
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert_eq!(read.len(), 100_000, "what came is handed out");
}

#[test]
fn an_idle_connection_that_the_peer_ended_is_not_used() {
    let peer = answers(
        TlsOptions::default(),
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    );
    let session = session(trusting());
    for _ in 0..3 {
        let ended = peer.connections() + 1;
        let response = session.get(peer.url("/")).send().expect("an answer");
        assert!(!response.is_reused());
        assert_eq!(response.text().expect("its body"), "ok");
        peer.wait_for_ends(ended);
    }
    assert_eq!(peer.request_count(), 3);
}

#[test]
fn a_damaged_root_is_refused_where_it_is_added() {
    // SPEC C20: well-formed PEM around no certificate, or around half of one.
    let whole: String = ca_pem().lines().filter(|l| !l.starts_with('-')).collect();
    for inside in ["AAAA", &whole[..whole.len() / 8 * 4]] {
        let pem = format!("-----BEGIN CERTIFICATE-----\n{inside}\n-----END CERTIFICATE-----\n");
        let error = TlsConfig::new().add_root_pem(pem.as_bytes());
        let error = error.expect_err("no certificate");
        assert_eq!(error.kind(), Kind::InvalidRequest, "{error:#}");
        let fault = std::error::Error::source(&error).expect("what is wrong");
        assert!(fault.source().is_some(), "the cause's cause: {fault:?}");
    }
}

/// Reads a request through the session, after its handshake if that is still due.
fn hear(tls: &mut rustls::ServerConnection, mut socket: &TcpStream) -> io::Result<()> {
    let mut heard = Vec::new();
    while !heard.ends_with(b"\r\n\r\n") {
        while tls.wants_write() {
            tls.write_tls(&mut socket)?;
        }
        if tls.read_tls(&mut socket)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        tls.process_new_packets().map_err(io::Error::other)?;
        let mut piece = [0; 1024];
        while let Ok(n @ 1..) = tls.reader().read(&mut piece) {
            heard.extend_from_slice(&piece[..n]);
        }
    }
    Ok(())
}

/// The records of a message.
fn sealed(tls: &mut rustls::ServerConnection, message: &[u8]) -> io::Result<Vec<u8>> {
    tls.writer().write_all(message)?;
    let mut records = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut records)?;
    }
    Ok(records)
}

#[test]
fn half_a_record_behind_an_answer_is_not_the_beginning_of_the_next() {
    // SPEC P2, P4: whoever asks on that connection gets the other half.
    for drives in [true, false] {
        for options in [TlsOptions::only_tls12(), TlsOptions::only_tls13()] {
            let peer = Peer::start(move |conn| {
                let tls = rustls::ServerConnection::new(options.config());
                let mut tls = tls.map_err(io::Error::other)?;
                let mut socket = conn.socket()?;
                hear(&mut tls, socket)?;
                if conn.index() > 0 {
                    return socket.write_all(&sealed(&mut tls, &ok("second"))?);
                }
                let mut records = sealed(&mut tls, &ok("first"))?;
                records.extend(sealed(&mut tls, &ok("nobody's"))?);
                let (now, later) = records.split_at(records.len() - 10);
                socket.write_all(now)?;
                if socket.read(&mut [0])? > 0 {
                    // Refused if that was a goodbye.
                    let _ = socket.write_all(later);
                }
                Ok(())
            });
            let connector = Connector::builder().tls(trusting()).caller_drives(drives);
            let connector = connector.build();
            let session = Session::builder().connector(connector.clone()).build();
            let url = peer.url_for("localhost", "/").replace("http:", "https:");
            for answer in ["first", "second"] {
                let response = session.get(&url).send().expect("an answer");
                assert_eq!(response.text().expect("its body"), answer);
                no_slot_in_use(&connector);
            }
            assert_eq!(peer.connections(), 2);
        }
    }
}
