//! What goes wrong, as the caller hears of it: the kind, the phase, the URL
//! without its credentials, and soon.

mod support;

use std::error::Error as _;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use miohttp::{Answer, Connector, Error, Kind, Phase, Query, Resolve, Session, Url};
use support::{Gate, Peer, PeerConn, head, ok, refusing_address, response};

const USER: &str = "user:pa55word@127.0.0.1";
/// What the user and password become in a header.
const BASIC: &str = "dXNlcjpwYTU1d29yZA";

fn short() -> Session {
    // A wait for what never comes is a timeout, and so another kind than the
    // one a test asks for.
    Session::builder().timeout(support::WATCHDOG / 2).build()
}

/// Sends a GET with credentials in its URL, reads the body, and checks what
/// holds for every error.
#[track_caller]
fn failure(session: &Session, peer: &Peer) -> Error {
    let sent = session.get(peer.url_for(USER, "/path?q#f")).send();
    let error = match sent.and_then(|response| response.text()) {
        Ok(text) => panic!("it passed: {text:.200}"),
        Err(error) => error,
    };
    let url = error.url().map(Url::as_str);
    assert_eq!(url, Some(&*peer.url("/path?q#f")), "{error:?}");
    assert_eq!(error.peer(), Some(peer.address()), "{error:?}");
    assert!(!error.is_timeout(), "{error}");
    keeps_secrets(&error);
    error
}

/// Neither in `Display`, its alternate form or `Debug`, the causes included.
#[track_caller]
fn keeps_secrets(error: &Error) {
    let mut shown = format!("{error} {error:#} {error:?} {error:#?}");
    let mut cause = error.source();
    while let Some(inner) = cause {
        shown += &format!(" {inner} {inner:?}");
        cause = inner.source();
    }
    for secret in ["pa55word", "user:", BASIC] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

/// A peer that answers with these bytes and then waits for the client to go:
/// the client has to give up by what it read, not by the connection's end.
fn says(bytes: impl Into<Vec<u8>>) -> Peer {
    let bytes = bytes.into();
    Peer::start(move |conn| {
        conn.request()?;
        conn.write(&bytes)?;
        conn.wait_for_close().map(drop)
    })
}

/// A peer that answers with these bytes and closes.
fn says_and_closes(bytes: impl Into<Vec<u8>>) -> Peer {
    let bytes = bytes.into();
    Peer::start(move |conn| {
        conn.request()?;
        conn.write(&bytes)
    })
}

#[track_caller]
fn is(error: &Error, kind: Kind, phase: Phase) {
    assert_eq!(
        (error.kind(), error.phase()),
        (kind, Some(phase)),
        "{error:#}"
    );
}

#[test]
fn a_url_no_request_can_go_to_is_refused_at_the_verb() {
    // SPEC Q2
    let session = Session::new();
    for url in [
        "",
        "no scheme",
        "/relative",
        "http://",
        "http://user:pa55word@",
        "http://user:pa55word@[::1",
        "http://user:pa55word@ho st/",
        "http://user:pa55word@host:99999/",
        "ftp://user:pa55word@host/",
        "mailto:user:pa55word@host",
        "file:///etc/passwd",
        "http://host.test:port/",
        // The scheme forgotten: the user becomes it, and the rest a path.
        "user:pa55word@host/",
        "user:/pa55word@host/",
        "pa55word:x",
    ] {
        let sent = session.get(url).send();
        for result in [sent, session.get(url).start_send().wait()] {
            let error = result.expect_err(url);
            is(&error, Kind::InvalidUrl, Phase::Request);
            assert!(error.is_request() && !error.is_retryable(), "{url}");
            assert!(error.peer().is_none());
            // A URL that has a user part by the URL Standard loses it; one
            // that has none, or cannot be parsed, is not repeated at all.
            keeps_secrets(&error);
            let shown = error.url().map_or("", Url::as_str);
            assert!(!shown.contains("pa55word"), "{shown}");
        }
    }
    assert_eq!(session.connector().stats().opened, 0);
}

#[test]
fn a_name_without_addresses_is_a_dns_error() {
    // SPEC C24
    struct Names;

    impl Resolve for Names {
        fn resolve(&self, query: &Query, answer: Answer) {
            match query.host() {
                "nowhere.test" => answer.not_found(),
                "empty.test" => answer.addresses([]),
                "broken.test" => answer.fail(io::Error::from(ErrorKind::HostUnreachable)),
                "forgotten.test" => drop(answer),
                _ => panic!("no such name"),
            }
        }
    }

    let connector = Connector::builder().resolver(Names).build();
    let builder = Session::builder().connector(connector);
    let session = builder.timeout(support::WATCHDOG / 2).build();
    for host in ["nowhere", "empty", "broken", "forgotten", "panic"] {
        let url = format!("http://user:pa55word@{host}.test:81/a");
        let error = session.get(url).send().expect_err(host);
        is(&error, Kind::Dns, Phase::Dns);
        assert!(error.is_connect() && error.is_retryable(), "{host}");
        let url = format!("http://{host}.test:81/a");
        assert_eq!(error.url().map(Url::as_str), Some(&*url));
        assert!(error.peer().is_none());
        keeps_secrets(&error);
    }
    let stats = session.connector().stats();
    assert_eq!((stats.in_use, stats.waiting), (0, 0));
}

#[test]
fn a_refused_connection_says_where_and_why() {
    let address: SocketAddr = refusing_address();
    let session = short();
    let url = format!("http://user:pa55word@{address}/a");
    let error = session.get(&url).send().expect_err("nobody listens");
    is(&error, Kind::Connect, Phase::Connect);
    assert!(error.is_connect() && error.is_retryable());
    assert_eq!(error.peer(), Some(address));
    assert!(error.to_string().contains(&address.to_string()), "{error}");
    let cause = error.source().and_then(|s| s.downcast_ref::<io::Error>());
    assert_eq!(
        cause.map(io::Error::kind),
        Some(ErrorKind::ConnectionRefused)
    );
    let (one, chain) = (error.to_string(), format!("{error:#}"));
    assert!(
        chain.starts_with(&one) && chain.len() > one.len(),
        "{chain}"
    );
    keeps_secrets(&error);
    // A POST is no different: nothing was sent.
    let error = session
        .post(url)
        .body("x")
        .send()
        .expect_err("nobody listens");
    is(&error, Kind::Connect, Phase::Connect);
    assert_eq!(session.connector().stats().in_use, 0);
}

#[test]
fn a_reply_that_is_no_http_1_is_a_protocol_error_at_once() {
    let session = short();
    for bytes in [
        &b"SSH-2.0-OpenSSH_9.6\r\n"[..],
        b"220 mail.test ESMTP\r\n",
        b"<html><body>no head</body></html>",
        b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x64\0\x04\0\x10\0\0",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.2 200 OK\r\n\r\n",
        b"HTTP/0.9 200 OK\r\n\r\n",
        b"HTTP/11 200 OK\r\n\r\n",
        b"http/1.1 200 OK\r\n\r\n",
        b"\x16\x03\x01\x02\0\x01\0",
        b" HTTP/1.1 200 OK\r\n\r\n",
        b"garbage\xff\xfe\xfd",
        b"\n\n\n\n",
    ] {
        let error = failure(&session, &says(bytes));
        is(&error, Kind::Protocol, Phase::Head);
        assert!(error.source().is_some());
        let cut = failure(&session, &says_and_closes(&bytes[..1]));
        let kinds = [Kind::Protocol, Kind::Disconnected];
        assert!(kinds.contains(&cut.kind()), "{cut:?}");
    }
    assert_eq!(session.connector().stats().in_use, 0);
}

#[test]
fn a_malformed_head_is_a_protocol_error() {
    // SPEC R38, §13
    let session = short();
    for status_line in [
        "HTTP/1.1",
        "HTTP/1.1 ",
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 abc OK",
        "HTTP/1.1 099 Low",
        "HTTP/1.1 -01 OK",
    ] {
        let error = failure(&session, &says(format!("{status_line}\r\n\r\n")));
        is(&error, Kind::Protocol, Phase::Head);
    }
    for field in [
        "no colon",
        ": no name",
        "two words: x",
        "nul\0name: x",
        "value: nul\0",
        "Content-Length: x",
        "Content-Length: -1",
        "Content-Length: +1",
        "Content-Length: 1 1",
        "Content-Length: 0x1",
        "Content-Length: 99999999999999999999999",
        "Content-Length: 1, 2",
        "Content-Length: 1\r\nContent-Length: 2",
        "Content-Length: 1\r\ncontent-length: 1x",
        "Transfer-Encoding: rot13",
        "Transfer-Encoding: chunked, rot13",
    ] {
        let head = format!("HTTP/1.1 200 OK\r\nX: y\r\n{field}\r\n\r\nab");
        let error = failure(&session, &says(head));
        assert_eq!(error.kind(), Kind::Protocol, "{field:?}: {error:#}");
        assert_eq!(error.phase(), Some(Phase::Head), "{field:?}");
    }
    let error = failure(
        &session,
        &says("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
    );
    is(&error, Kind::Protocol, Phase::Head);
    let stats = session.connector().stats();
    assert_eq!((stats.in_use, stats.idle), (0, 0));
}

#[test]
fn the_limits_of_a_head_hold_to_the_byte() {
    // SPEC S21
    let reply = |reason: usize, value: usize, count: usize| {
        let line = format!("HTTP/1.1 200 {}\r\n", "r".repeat(reason));
        let fields: String = (1..count).map(|_| "a: b\r\n").collect();
        let long = format!("x: {}\r\n", "v".repeat(value));
        let length = "Content-Length: 0\r\n";
        // The length is one of the fields.
        let fields = fields.strip_suffix("a: b\r\n").unwrap_or_default();
        format!("{line}{long}{length}{fields}\r\n")
    };
    let custom = || {
        let builder = Session::builder().timeout(support::WATCHDOG / 2);
        builder
            .max_status_line(100)
            .max_header_field(200)
            .max_header_count(5)
    };
    let limits = [(short(), 8190, 8190, 128), (custom().build(), 100, 200, 5)];
    for (session, line, field, count) in limits {
        let (reason, value) = (line - "HTTP/1.1 200 ".len(), field - "x: ".len());
        let fits = says(reply(reason, value, count));
        let response = session.get(fits.url("/")).send();
        let response = response.expect("a head as large as is allowed");
        assert_eq!(response.raw_headers().count(), count);
        drop(response);
        for (reason, value, count) in [
            (reason + 1, value, count),
            (reason, value + 1, count),
            (reason, value, count + 1),
        ] {
            let error = failure(&session, &says(reply(reason, value, count)));
            is(&error, Kind::Limit, Phase::Head);
            assert!(error.source().is_some() && !error.is_retryable());
        }
    }
}

#[test]
fn an_endless_reply_head_or_trailer_is_given_up() {
    // SPEC S21
    fn endless(conn: &mut PeerConn, start: &str, piece: &[u8]) -> io::Result<()> {
        conn.request()?;
        conn.write(start)?;
        let block = piece.repeat(1 + 16_000 / piece.len());
        // It ends when the client has hung up, by an error.
        while conn.write(&block).is_ok() {}
        Ok(())
    }

    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let trailer = format!("{chunked}0\r\n");
    let extension = format!("{chunked}1;");
    let session = short();
    for (start, piece, kind, phase) in [
        ("HTTP/1.1 200 ", &b"r"[..], Kind::Limit, Phase::Head),
        ("HTTP/1.1 200 OK\r\n", b"x", Kind::Limit, Phase::Head),
        ("HTTP/1.1 200 OK\r\nx: ", b"x", Kind::Limit, Phase::Head),
        ("HTTP/1.1 200 OK\r\n", b"a: b\r\n", Kind::Limit, Phase::Head),
        (
            "",
            b"HTTP/1.1 100 Continue\r\n\r\n",
            Kind::Protocol,
            Phase::Head,
        ),
        (&trailer, b"a: b\r\n", Kind::Limit, Phase::Body),
        (&trailer, b"x", Kind::Limit, Phase::Body),
        (&extension, b"x", Kind::Payload, Phase::Body),
        (chunked, b"0", Kind::Payload, Phase::Body),
    ] {
        let start = start.to_owned();
        let piece = piece.to_owned();
        let shown = start.clone();
        let peer = Peer::start(move |conn| endless(conn, &start, &piece));
        let error = failure(&session, &peer);
        assert_eq!(
            (error.kind(), error.phase()),
            (kind, Some(phase)),
            "{shown:?}: {error:#}"
        );
        peer.finish();
    }
    assert_eq!(session.connector().stats().in_use, 0);
}

#[test]
fn a_connection_lost_before_the_head_is_whole_is_disconnected() {
    // SPEC E2, Y1: a fresh connection is not retried.
    let session = short();
    for start in [
        "",
        "H",
        "HTTP/1.1 200 OK\r\nX: y",
        "HTTP/1.1 100 Continue\r\n\r\n",
    ] {
        let reset = start.len() > 1;
        let peer = Peer::start(move |conn| {
            conn.request()?;
            conn.write(start)?;
            match reset {
                true => conn.reset(),
                false => Ok(()),
            }
        });
        let error = failure(&session, &peer);
        is(&error, Kind::Disconnected, Phase::Head);
        assert!(error.is_connection() && error.is_retryable());
        assert_eq!(peer.connections(), 1, "{start:?}");
    }
    // Lost while the request still goes out.
    let peer = Peer::start(|conn| {
        conn.request_head()?;
        conn.reset()
    });
    let request = session.post(peer.url("/")).body(vec![0; 32 * 1024 * 1024]);
    let error = request.send().expect_err("nobody took it");
    assert_eq!(error.kind(), Kind::Disconnected, "{error:#}");
    assert!(matches!(error.phase(), Some(Phase::Send | Phase::Head)));
    assert_eq!(peer.connections(), 1);
}

#[test]
fn a_body_that_breaks_off_or_is_damaged_is_a_payload_error() {
    // SPEC R37, R38
    let session = short();
    let chunked =
        |body: &str| format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
    for cut in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n123456789".to_owned(),
        chunked(""),
        chunked("5"),
        chunked("5\r\nhel"),
        chunked("5\r\nhello"),
        chunked("5\r\nhello\r\n"),
        chunked("5\r\nhello\r\n0"),
        chunked("5\r\nhello\r\n0\r\n"),
        chunked("5\r\nhello\r\n0\r\nX: y\r\n"),
    ] {
        let error = failure(&session, &says_and_closes(cut.as_str()));
        assert_eq!(error.kind(), Kind::Payload, "{cut:?}: {error:#}");
        assert_eq!(error.phase(), Some(Phase::Body), "{cut:?}");
        assert!(error.is_payload() && error.source().is_some());
        assert!(error.is_retryable(), "the network's fault: {cut:?}");
    }
    let peer = Peer::start(|conn| {
        conn.request()?;
        conn.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")?;
        conn.reset()
    });
    let error = failure(&session, &peer);
    is(&error, Kind::Payload, Phase::Body);
    assert!(error.is_retryable(), "a reset: {error:#}");
    for damaged in [
        "x\r\n",
        "\r\nhello",
        "-1\r\nx",
        "+1\r\nx\r\n0\r\n\r\n",
        "0x1\r\nx\r\n0\r\n\r\n",
        "5 5\r\nhello\r\n0\r\n\r\n",
        "1\nx\r\n0\r\n\r\n",
        "1\r\nxy\r\n0\r\n\r\n",
        "1\r\nx\n0\r\n\r\n",
        "1\r\nx0\r\n\r\n",
        "10000000000000000\r\nx",
        "1;\nx\r\n",
        "0\r\nno colon\r\n\r\n",
        "0\r\n two: words\r\n\r\n",
    ] {
        let error = failure(&session, &says(chunked(damaged)));
        assert_eq!(error.kind(), Kind::Payload, "{damaged:?}: {error:#}");
        assert_eq!(error.phase(), Some(Phase::Body), "{damaged:?}");
    }
    let peer = Peer::start(|conn| {
        conn.request()?;
        conn.write(head("200 OK", &[("Content-Length", "10")]))?;
        conn.reset()
    });
    // The reset may overtake the head.
    let error = failure(&session, &peer);
    assert!(
        matches!(error.kind(), Kind::Payload | Kind::Disconnected),
        "{error:#}"
    );
    let stats = session.connector().stats();
    assert_eq!((stats.in_use, stats.idle), (0, 0), "none can be used again");
}

#[test]
fn what_came_before_the_damage_is_handed_out() {
    let body = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n";
    let peer = says(body);
    let mut response = short().get(peer.url("/")).send().expect("a head");
    let first = response.chunk().expect("a whole chunk");
    assert_eq!(first.as_deref(), Some(&b"hello"[..]));
    for _ in 0..2 {
        let error = response.chunk().expect_err("damage is no end, and stays");
        is(&error, Kind::Payload, Phase::Body);
    }
}

#[test]
fn a_redirect_to_nowhere_shows_no_password_either() {
    // SPEC D6
    let session = short();
    for location in [
        "ftp://user:pa55word@host/",
        "http://user:pa55word@ho st/",
        "mailto:x",
    ] {
        let peer = says(response("302 Found", &[("Location", location)], ""));
        let error = session.get(peer.url_for(USER, "/")).send();
        let error = error.expect_err(location);
        assert_eq!(error.kind(), Kind::BadRedirect, "{location}: {error:#}");
        assert_eq!(error.status().map(|s| s.as_u16()), Some(302));
        keeps_secrets(&error);
    }
}

#[test]
fn nothing_else_that_is_printed_shows_credentials() {
    use miohttp::Auth;

    let peer = Peer::serve(|_| response("404 Not Found", &[], "gone"));
    let auth = Auth::basic("user", "pa55word");
    let session = Session::builder().auth(auth.clone()).build();
    let request = session.get(peer.url_for(USER, "/"));
    let mut shown = format!("{auth:?} {session:?} {request:?} {:?}", session.connector());
    // Headers hold tokens and cookies, whoever wrote them.
    let builder = Session::builder().default_header("x-api-key", "pa55word");
    let request_with = session.get(peer.url("/")).header("x-api-key", "pa55word");
    shown += &format!("{:?} {request_with:?}", builder.auth(auth));
    let leads = Peer::serve(|request| match request.target.as_str() {
        "/" => {
            let fields = [("Location", "/b"), ("Set-Cookie", "sid=pa55word")];
            response("302 Found", &fields, "")
        }
        _ => response("404 Gone", &[("Set-Cookie", "sid=pa55word")], ""),
    });
    let led = session.get(leads.url("/")).send().expect("an answer");
    assert_eq!(led.history()[0].headers["set-cookie"], "sid=pa55word");
    shown += &format!("{led:?} {:?}", led.history());
    keeps_secrets(&led.error_for_status().expect_err("404"));
    let pending = request.start_send();
    shown += &format!("{pending:?}");
    let response = pending.wait().expect("an answer");
    shown += &format!("{response:?} {} {:?}", response.url(), response.history());
    keeps_secrets(&response.error_for_status().expect_err("404"));
    for secret in ["pa55word", BASIC] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn an_error_is_small_and_goes_anywhere() {
    fn anywhere<T: Clone + Send + Sync + std::error::Error + 'static>(_: &T) {}

    let error = Session::new().get("nowhere").send().expect_err("no URL");
    anywhere(&error);
    assert_eq!(size_of::<Error>(), size_of::<usize>());
    let io: io::Error = error.clone().into();
    assert_eq!(io.kind(), ErrorKind::Other);
    let inner = io.get_ref().and_then(|e| e.downcast_ref::<Error>());
    assert_eq!(inner.map(Error::kind), Some(error.kind()));
}

#[test]
fn a_closed_session_fails_at_the_verb() {
    // SPEC S30, S33
    let peer = Peer::serve(|_| ok(""));
    let session = Session::new();
    session.get(peer.url("/")).send().expect("an answer");
    session.close();
    session.close();
    assert!(session.is_closed() && session.connector().is_closed());
    let waited = session.get(peer.url("/")).start_send().wait();
    for result in [session.get(peer.url("/")).send(), waited] {
        assert_eq!(result.expect_err("closed").kind(), Kind::Closed);
    }
    assert_eq!(peer.request_count(), 1);
}

#[test]
fn an_errors_body_is_waited_for_only_by_whoever_blocks() {
    // SPEC R22
    let gate = Gate::new();
    let at = gate.clone();
    let peer = Peer::start(move |conn| {
        while let Some(request) = conn.next_request()? {
            if request.target == "/fine" {
                conn.write(ok("fine"))?;
                continue;
            }
            conn.write(head("500 Oops", &[("Content-Length", "4")]))?;
            at.wait();
            conn.write("slow")?;
        }
        Ok(())
    });
    let session = Session::new();
    let mut fine = session
        .get(peer.url("/fine"))
        .send()
        .expect("a head")
        .start_error_for_status();
    let fine = fine.try_take().expect("no waiting").expect("below 400");
    assert_eq!(fine.text().expect("its body"), "fine");
    let mut pending = session
        .get(peer.url("/"))
        .send()
        .expect("a head")
        .start_error_for_status();
    assert!(pending.try_take().is_none(), "its body has not come");
    gate.open();
    let error = pending.wait().expect_err("500");
    assert_eq!(
        (error.kind(), error.body()),
        (Kind::Status, Some(&b"slow"[..]))
    );
}
