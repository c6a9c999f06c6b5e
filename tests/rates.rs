//! How fast a request has to go and how fast it may, and how strictly its
//! answer is read. Every story is told with both drivers.

mod support;

use std::time::{Duration, Instant};

use miohttp::{
    Answer, Connector, ConnectorBuilder, Error, Kind, Phase, Query, Resolve, Session,
    SessionBuilder, Timeout, Timeouts,
};
use support::{Gate, Peer, PeerConn, head, ok};

/// The limit under test.
const LIMIT: Duration = Duration::from_millis(150);

/// How late a limit may be on a machine that is busy with other tests.
const LATE: Duration = Duration::from_secs(5);

/// Sessions whose connections are driven by the caller, and by the reactor.
fn sessions(
    connector: impl Fn(ConnectorBuilder) -> ConnectorBuilder,
    session: impl Fn(SessionBuilder) -> SessionBuilder,
) -> [Session; 2] {
    [true, false].map(|drives| {
        let connector = connector(Connector::builder().caller_drives(drives)).build();
        session(Session::builder().connector(connector)).build()
    })
}

fn limited(timeouts: Timeouts) -> [Session; 2] {
    sessions(|connector| connector, |session| session.timeouts(timeouts))
}

/// Runs `operation` to its timeout and checks that it came in time.
#[track_caller]
fn timed_out<T: std::fmt::Debug>(
    which: Timeout,
    phase: Phase,
    operation: impl FnOnce() -> Result<T, Error>,
) -> Error {
    let start = Instant::now();
    let error = operation().expect_err("a limit should have passed");
    let taken = start.elapsed();
    assert_eq!(error.kind(), Kind::Timeout, "{error:#}");
    assert_eq!(error.timeout(), Some(which), "{error:#}");
    assert_eq!(error.phase(), Some(phase), "{error:#}");
    assert!(error.to_string().contains("150ms"), "{error}");
    assert!(taken >= LIMIT, "fired after {taken:?}");
    assert!(taken < LIMIT + LATE, "fired after {taken:?}");
    error
}

/// Answers nothing, and waits for the client to go.
fn silent() -> Peer {
    Peer::start(|conn| conn.wait_for_close().map(drop))
}

#[test]
fn the_wait_for_a_head_ends() {
    // SPEC T6
    for session in limited(Timeouts::none().response_header(LIMIT)) {
        let peer = silent();
        for _ in 0..2 {
            let request = session.post(peer.url("/")).body("asked");
            let error = timed_out(Timeout::ResponseHeader, Phase::Head, || request.send());
            assert!(!error.is_connect());
        }
        // Bodies may come when they will.
        let gate = Gate::new();
        let opened = gate.clone();
        let peer = Peer::start(move |conn| {
            conn.request()?;
            conn.write(head("200 OK", &[("Content-Length", "2")]))?;
            opened.wait();
            conn.write("ok")
        });
        let response = session.get(peer.url("/")).send().expect("a head");
        let other = timed_out(Timeout::ResponseHeader, Phase::Head, || {
            session.get(silent().url("/")).send()
        });
        drop(other);
        gate.open();
        assert_eq!(response.text().expect("a body"), "ok");
    }
}

#[test]
fn a_network_that_takes_nothing_is_given_up() {
    // SPEC T6
    for session in limited(Timeouts::none().write_stall(LIMIT)) {
        let peer = Peer::never_accepts();
        let request = session.post(peer.url("/")).body(vec![0; 64 << 20]);
        timed_out(Timeout::WriteStall, Phase::Send, || request.send());
    }
}

#[test]
fn a_transfer_that_is_too_slow_is_given_up() {
    // SPEC T6
    for session in limited(Timeouts::none().low_speed(1000, LIMIT)) {
        let peer = Peer::start(|conn| {
            conn.request()?;
            conn.write(head("200 OK", &[("Content-Length", "100000")]))?;
            conn.write([b'x'; 999])?;
            conn.wait_for_close().map(drop)
        });
        let error = timed_out(Timeout::LowSpeed, Phase::Body, || {
            let response = session.get(peer.url("/")).send();
            response.expect("a head").bytes()
        });
        assert!(error.is_retryable());
        let peer = Peer::never_accepts();
        let request = session.post(peer.url("/")).body(vec![0; 64 << 20]);
        timed_out(Timeout::LowSpeed, Phase::Send, || request.send());
    }
}

#[test]
fn a_reader_that_comes_late_is_not_a_slow_server() {
    // SPEC T6
    let body = vec![b'x'; 2_000_000];
    // Long enough for a server on a busy machine.
    let window = LIMIT * 4;
    let timeouts = Timeouts::none().low_speed(100_000, window);
    for session in limited(timeouts) {
        let peer = Peer::serve(move |_| ok(vec![b'x'; 2_000_000]));
        let mut slow = session.get(peer.url("/")).send().expect("a head");
        let first = slow.chunk().expect("a piece").expect("a body");
        // Twice as long as the window, in which nobody reads.
        for _ in 0..2 {
            let waiting = session.get(silent().url("/")).timeout(window);
            waiting.send().expect_err("nobody answers");
        }
        let rest = slow.bytes().expect("the rest");
        assert_eq!(first.len() + rest.len(), body.len());
    }
}

#[test]
fn the_wait_for_a_slot_ends() {
    // SPEC T6
    let timeouts = Timeouts::none().pool_wait(LIMIT);
    for session in sessions(|c| c.limit(1), |s| s.timeouts(timeouts)) {
        let peer = silent();
        let held = session.get(peer.url("/")).start_send();
        peer.wait_for_connections(1);
        let error = timed_out(Timeout::PoolWait, Phase::PoolWait, || {
            session.get(peer.url("/")).send()
        });
        assert!(error.is_connect());
        drop(held);
    }
}

#[test]
fn a_name_is_not_waited_for_longer_than_that() {
    // SPEC T6, T7
    let timeouts = Timeouts::none().dns(LIMIT);
    /// Keeps what it is asked, and says nothing.
    struct Never;
    impl Resolve for Never {
        fn resolve(&self, _: &Query, answer: Answer) {
            std::mem::forget(answer);
        }
    }
    for session in sessions(|c| c.resolver(Never), |s| s.timeouts(timeouts)) {
        let error = timed_out(Timeout::Dns, Phase::Dns, || {
            session.get("http://never.test/").send()
        });
        assert!(error.is_connect());
    }
}

#[test]
fn a_longer_limit_lifts_the_total_and_a_requests_own_stands() {
    // SPEC T7
    let timeouts = Timeouts::none().total(LIMIT / 10);
    let timeouts = timeouts.response_header(LIMIT).sock_read(LATE);
    for session in limited(timeouts) {
        let peer = silent();
        timed_out(Timeout::ResponseHeader, Phase::Head, || {
            session.get(peer.url("/")).send()
        });
    }
    let timeouts = Timeouts::none().response_header(Duration::from_secs(60));
    for session in limited(timeouts) {
        let peer = silent();
        timed_out(Timeout::Total, Phase::Total, || {
            session.get(peer.url("/")).timeout(LIMIT).send()
        });
    }
}

#[test]
fn transfers_keep_to_their_rates() {
    // SPEC T6
    const BODY: usize = 100_000;
    let session = |session: SessionBuilder| session.download_rate(400_000).upload_rate(400_000);
    for session in sessions(|connector| connector, session) {
        let peer = Peer::serve(|request| match request.body.len() {
            0 => ok(vec![b'x'; BODY]),
            _ => ok("got it"),
        });
        // A quarter of a second, but for the first and the last slice.
        let least = Duration::from_millis(180);
        let start = Instant::now();
        let response = session.get(peer.url("/")).send().expect("an answer");
        assert_eq!(response.bytes().expect("a body").len(), BODY);
        assert!(start.elapsed() >= least, "{:?}", start.elapsed());
        let start = Instant::now();
        let request = session.post(peer.url("/")).body(vec![0; BODY]);
        let response = request.send().expect("an answer");
        assert!(start.elapsed() >= least, "{:?}", start.elapsed());
        assert_eq!(response.text().expect("a body"), "got it");
        assert_eq!(peer.connections(), 1);
    }
    // What a request says goes before that: this would take it an hour.
    for session in sessions(|c| c, |s| s.download_rate(25).upload_rate(25)) {
        let peer = Peer::serve(|request| ok(&request.body));
        let request = session.post(peer.url("/")).body(vec![0; BODY]);
        let request = request.download_rate(0).upload_rate(None);
        let response = request.send().expect("an answer");
        assert_eq!(response.bytes().expect("a body").len(), BODY);
    }
}

#[test]
fn a_transfer_that_a_rate_holds_up_can_be_cancelled() {
    // SPEC T6
    for session in sessions(|c| c, |s| s.download_rate(100)) {
        let peer = Peer::serve(|_| ok(vec![b'x'; 100_000]));
        let response = session.get(peer.url("/")).send().expect("a head");
        let cancel = response.cancel_handle();
        let reader = std::thread::spawn(move || response.bytes());
        cancel.cancel();
        let error = reader.join().expect("no panic").expect_err("cancelled");
        assert_eq!(error.kind(), Kind::Cancelled, "{error:#}");
    }
}

/// An answer with both a length and chunks.
fn doubtful(conn: &mut PeerConn) -> std::io::Result<()> {
    conn.request()?;
    let fields = [("Content-Length", "5"), ("Transfer-Encoding", "chunked")];
    conn.write(head("200 OK", &fields))?;
    conn.write("2\r\nok\r\n0\r\n\r\n")
}

#[test]
fn what_is_doubtful_is_refused_where_that_is_asked() {
    // SPEC R38
    for session in sessions(
        |connector| connector,
        |session| session.strict_framing(true),
    ) {
        let peer = Peer::start(doubtful);
        let error = session.get(peer.url("/")).send();
        let error = error.expect_err("it is doubtful");
        assert_eq!(error.kind(), Kind::Protocol, "{error:#}");
        let request = session.get(peer.url("/")).strict_framing(false);
        let response = request.send().expect("readable");
        assert_eq!(response.text().expect("a body"), "ok");
        let peer = Peer::serve(|_| ok("sound"));
        let response = session.get(peer.url("/")).send().expect("an answer");
        assert_eq!(response.text().expect("a body"), "sound");
    }
}

#[cfg(feature = "tls")]
mod tls {
    use miohttp::{Kind, TlsConfig};

    use super::support::{Peer, TlsOptions, head, ok, tls::ca_pem};
    use super::*;

    fn trusting() -> TlsConfig {
        let tls = TlsConfig::new().builtin_roots(false);
        tls.add_root_pem(ca_pem().as_bytes()).expect("good PEM")
    }

    #[test]
    fn a_handshake_that_does_not_come_about_is_given_up() {
        // SPEC T6
        for session in limited(Timeouts::none().tls(LIMIT)) {
            let peer = silent();
            let url = peer.url("/").replace("http:", "https:");
            let error = timed_out(Timeout::Tls, Phase::Tls, || session.get(&url).send());
            assert!(error.is_connect());
            assert_eq!(error.peer(), Some(peer.address()));
        }
    }

    #[test]
    fn a_body_that_tls_cuts_short_may_pass_and_says_so() {
        // SPEC R41
        for session in sessions(|c| c.tls(trusting()), |s| s.allow_truncated_tls(true)) {
            let peer = Peer::start_tls(TlsOptions::default().without_close_notify(), |conn| {
                conn.request()?;
                conn.write("HTTP/1.1 200 OK\r\n\r\nsome of it")
            });
            let url = peer.url_for("localhost", "/");
            let mut response = session.get(&url).send().expect("a head");
            let mut body = Vec::new();
            while let Some(piece) = response.chunk().expect("a piece") {
                body.extend_from_slice(&piece);
            }
            assert_eq!(body, b"some of it");
            assert!(response.is_truncated());
            let request = session.get(&url).allow_truncated_tls(false);
            let error = request.send().and_then(|response| response.bytes());
            let error = error.expect_err("it is cut short");
            assert_eq!(error.kind(), Kind::Payload, "{error:#}");
            // A length is a length.
            let peer = Peer::start_tls(TlsOptions::default().without_close_notify(), |conn| {
                conn.request()?;
                conn.write(head("200 OK", &[("Content-Length", "5")]))?;
                conn.write("some")
            });
            let response = session.get(peer.url_for("localhost", "/")).send();
            let error = response.expect("a head").bytes();
            let error = error.expect_err("it is cut short");
            assert_eq!(error.kind(), Kind::Payload, "{error:#}");
            // What ends in order is whole.
            let peer = Peer::start_tls(TlsOptions::default(), |conn| {
                conn.request()?;
                conn.write("HTTP/1.1 200 OK\r\n\r\nall of it")
            });
            let url = peer.url_for("localhost", "/");
            let mut response = session.get(url).send().expect("a head");
            while response.chunk().expect("a piece").is_some() {}
            assert!(!response.is_truncated());
        }
    }

    #[test]
    fn rates_hold_over_tls() {
        // SPEC T6
        for session in sessions(|c| c.tls(trusting()), |s| s.download_rate(400_000)) {
            let peer = Peer::serve_tls(TlsOptions::default(), |_| ok(vec![b'x'; 100_000]));
            let url = peer.url_for("localhost", "/");
            let start = Instant::now();
            let response = session.get(url).send().expect("an answer");
            assert_eq!(response.bytes().expect("a body").len(), 100_000);
            let least = Duration::from_millis(150);
            assert!(start.elapsed() >= least, "{:?}", start.elapsed());
        }
    }
}
