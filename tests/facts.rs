//! What a response or an error tells of its connection, of the request as it
//! was sent, and of what it has cost. Every story is told with both drivers.

mod support;

use miohttp::{Connector, Session, Stats};
use support::{Peer, head, ok};

/// Sessions whose connections are driven by the caller, and by the reactor.
fn sessions() -> [Session; 2] {
    [true, false].map(|drives| {
        let connector = Connector::builder().caller_drives(drives).build();
        Session::builder().connector(connector).build()
    })
}

#[test]
fn the_request_is_shown_as_it_was_sent() {
    // SPEC R8, A1
    for session in sessions() {
        let peer = Peer::serve(|request| match request.target.as_str() {
            "/from" => support::response("302 Found", &[("Location", "/to?q#new")], ""),
            _ => ok("there"),
        });
        let url = peer.url_for("user:secret@127.0.0.1", "/from#old");
        let request = session.get(url).header("x-own", "mine");
        let response = request.send().expect("an answer");
        let info = response.request_info();
        assert_eq!(info.method(), "GET");
        assert_eq!(info.url().as_str(), peer.url("/to?q"));
        assert_eq!(info.real_url().as_str(), peer.url("/to?q#new"));
        let sent = &peer.requests()[1];
        assert_eq!(info.headers().len(), sent.headers.len());
        assert_eq!(info.headers()["x-own"], "mine");
        assert!(info.headers().contains_key("user-agent"));
        let credentials = &info.headers()["authorization"];
        assert!(credentials.is_sensitive());
        assert!(!format!("{info:?}{response:?}").contains("secret"));
    }
}

#[test]
fn an_error_knows_what_was_sent() {
    // SPEC R8, A1, R10
    for session in sessions() {
        let peer = Peer::start(|conn| conn.request().map(drop));
        let request = session.post(peer.url("/a#b")).body("body");
        let error = request.send().expect_err("nobody answers");
        let info = error.request_info().expect("it was sent");
        assert_eq!(info.method(), "POST");
        assert_eq!(info.url().as_str(), peer.url("/a"));
        assert_eq!(info.headers()["content-length"], "4");
        let stats = error.stats();
        assert_eq!((stats.attempts, stats.reused), (1, false));
        assert!(stats.upload_complete);
        assert!(stats.bytes_sent > 4, "{stats:?}");
        assert_eq!(stats.bytes_received, 0);

        // In the body.
        let peer = Peer::start(|conn| {
            conn.request()?;
            conn.write(head("200 OK", &[("Content-Length", "10")]))?;
            conn.write("short")
        });
        let response = session.get(peer.url("/")).send().expect("a head");
        let error = response.bytes().expect_err("it is cut short");
        assert!(error.request_info().is_some(), "{error:?}");
        assert_eq!(error.stats().attempts, 1);
        assert!(error.stats().bytes_received > 5);
    }
    let error = Session::new().get("ftp://a/").send();
    let error = error.expect_err("not http");
    assert!(error.request_info().is_none());
    assert_eq!(error.stats(), Stats::default());
}

#[test]
fn bytes_are_counted_as_they_are_on_the_wire() {
    // SPEC R10
    let large = vec![b'x'; 3_000_000];
    for session in sessions() {
        let answer = support::response("200 OK", &[], &large);
        let length = answer.len() as u64;
        let peer = Peer::start(move |conn| {
            while conn.next_request()?.is_some() {
                conn.write(&answer)?;
            }
            Ok(())
        });
        for reused in [false, true] {
            let request = session.post(peer.url("/")).body(large.clone());
            let mut response = request.send().expect("an answer");
            let body = std::iter::from_fn(|| response.chunk().expect("a piece"));
            assert_eq!(body.map(|piece| piece.len()).sum::<usize>(), large.len());
            let stats = response.stats();
            assert_eq!(stats.bytes_received, length);
            let info = response.request_info();
            let fields = info.headers().iter();
            let fields: usize = fields
                .map(|(name, value)| name.as_str().len() + value.len() + 4)
                .sum();
            let sent = "POST / HTTP/1.1\r\n".len() + fields + 2 + large.len();
            assert_eq!(stats.bytes_sent, sent as u64);
            assert!(stats.upload_complete);
            assert_eq!((stats.reused, response.is_reused()), (reused, reused));
            assert_eq!((stats.attempts, stats.redirects), (1, 0));
        }
    }
}

#[test]
fn an_upload_that_was_cut_short_says_so() {
    // SPEC R10, B9
    for session in sessions() {
        let peer = Peer::start(|conn| {
            conn.request_head()?;
            conn.write(support::response("413 Content Too Large", &[], "no"))?;
            conn.wait_for_close().map(drop)
        });
        let request = session.post(peer.url("/")).body(vec![0; 50_000_000]);
        let response = request.send().expect("an early answer");
        assert!(!response.stats().upload_complete);
        assert!(response.stats().bytes_sent < 50_000_000);
    }
}

#[test]
fn both_ends_of_the_connection_are_known() {
    // SPEC R9
    for session in sessions() {
        let peer = Peer::serve(|_| ok("hello"));
        for _ in 0..2 {
            let response = session.get(peer.url("/")).send().expect("an answer");
            assert_eq!(response.remote_addr(), Some(peer.address()));
            let local = response.local_addr().expect("an address");
            assert!(local.ip().is_loopback());
            assert_ne!(local.port(), 0);
            assert!(response.tls_info().is_none());
            response.bytes().expect("a body");
        }
        assert_eq!(peer.connections(), 1);
    }
}

#[cfg(feature = "tls")]
mod tls {
    use miohttp::{Connector, Session, TlsConfig};

    use super::support::{Peer, TlsOptions, ok, tls::ca_pem};

    #[test]
    fn the_handshake_is_told() {
        // SPEC R9
        for drives in [true, false] {
            let tls = TlsConfig::new().builtin_roots(false);
            let tls = tls.add_root_pem(ca_pem().as_bytes()).expect("good PEM");
            let connector = Connector::builder().tls(tls).caller_drives(drives);
            let session = Session::builder().connector(connector.build()).build();
            let peer = Peer::serve_tls(TlsOptions::default(), |_| ok("hello"));
            let url = peer.url_for("localhost", "/");
            let response = session.get(&url).send().expect("an answer");
            let info = response.tls_info().expect("it is https").clone();
            assert_eq!(info.version(), "TLSv1.3");
            assert!(info.cipher_suite().starts_with("TLS_"), "{info:?}");
            assert!(!info.cipher_suite().contains("TLS13"), "{info:?}");
            assert_eq!(info.alpn(), Some(&b"http/1.1"[..]));
            assert_eq!(info.server_name(), "localhost");
            assert!(!info.is_resumed());
            // DER of a certificate: a sequence.
            let first = info.peer_certificates().next().expect("a certificate");
            assert_eq!(first[0], 0x30);
            response.bytes().expect("a body");

            let request = session.get(&url).header("connection", "close");
            let response = request.send().expect("an answer");
            assert!(response.is_reused());
            assert!(!response.tls_info().expect("https").is_resumed());
            response.bytes().expect("a body");

            let response = session.get(&url).send().expect("an answer");
            assert!(!response.is_reused());
            let again = response.tls_info().expect("it is https");
            assert!(again.is_resumed(), "{again:?}");
            assert_eq!(
                again.peer_certificates().collect::<Vec<_>>(),
                info.peer_certificates().collect::<Vec<_>>()
            );
        }
    }
}
