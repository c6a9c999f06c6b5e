//! What comes back: heads as they were sent, bodies whole, in pieces and in
//! every framing, and statuses that are errors.

mod support;

use std::io::{BufRead, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use miohttp::{Error, Kind, Method, Phase, RequestBuilder, Response, Session, StatusCode, Version};
use support::{Gate, Peer, PeerConn, chunked, head, ok, response};

fn get(session: &Session, peer: &Peer, path: &str) -> Response {
    session.get(peer.url(path)).send().expect("an answer")
}

/// The answer to one GET of a session of its own.
fn answer(bytes: impl Into<Vec<u8>>) -> Response {
    let bytes = bytes.into();
    let peer = Peer::start(move |conn| {
        conn.request()?;
        conn.write(&bytes)
    });
    let response = get(&Session::new(), &peer, "/");
    peer.finish();
    response
}

/// A peer that answers with this on every connection, then waits for the client to go.
fn stays_open(bytes: impl Into<Vec<u8>>) -> Peer {
    let bytes = bytes.into();
    Peer::start(move |conn| {
        conn.request()?;
        conn.write(&bytes)?;
        conn.wait_for_close().map(drop)
    })
}

#[test]
fn the_head_is_there_as_it_was_sent() {
    // SPEC R1, R2, R3, R6, R9, R10
    let peer = Peer::serve(|_| {
        let mut bytes =
            b"HTTP/1.1 299 Fine, th\xe4nks\r\nX-A: 1\r\nx-a:2\r\nX-a: \t3 \r\n".to_vec();
        bytes.extend_from_slice(b"X-Raw: \xff\r\nEmpty:\r\nContent-Length: 4\r\n\r\nbody");
        bytes
    });
    let session = Session::new();
    let url = peer.url_for("user:secret@127.0.0.1", "/a?b#frag");
    let response = session.get(url).send().expect("an answer");
    assert_eq!(response.status(), 299);
    assert!(response.is_ok());
    assert_eq!(response.reason(), "Fine, th\u{fffd}nks");
    assert_eq!(response.version(), Version::HTTP_11);
    assert_eq!(response.method(), Method::GET);
    assert_eq!(response.url().as_str(), peer.url("/a?b#frag"));
    let all: Vec<_> = response.headers().get_all("x-A").iter().collect();
    assert_eq!(all, ["1", "2", "3"]);
    assert_eq!(response.headers()["x-raw"].as_bytes(), b"\xff");
    assert_eq!(response.headers()["empty"], "");
    let raw: Vec<_> = response.raw_headers().collect();
    let want: [(&[u8], &[u8]); 6] = [
        (b"X-A", b"1"),
        (b"x-a", b"2"),
        (b"X-a", b"3"),
        (b"X-Raw", b"\xff"),
        (b"Empty", b""),
        (b"Content-Length", b"4"),
    ];
    assert_eq!(raw, want);
    assert_eq!(response.content_length(), Some(4));
    assert_eq!(response.remote_addr(), Some(peer.address()));
    assert!(response.history().is_empty());
    assert!(!response.is_reused());
    assert_eq!(response.attempts(), 1);
    assert_eq!(response.text().expect("its body"), "body");
    assert!(get(&session, &peer, "/").is_reused());

    let bare = answer("HTTP/1.0 404\r\n\r\n");
    assert_eq!(
        (bare.status(), bare.reason().as_ref()),
        (StatusCode::NOT_FOUND, "")
    );
    assert_eq!((bare.version(), bare.is_ok()), (Version::HTTP_10, false));
    assert_eq!(bare.content_length(), None);
}

#[test]
fn every_way_to_read_a_body_gives_the_same() {
    // SPEC R20, R21, R27, R30, R31, J1
    let text = "line one\nline zwölf\n\nlast \u{1F980}".repeat(20_000);
    let sent = text.clone();
    let peer = Peer::serve(move |request| match request.target.as_str() {
        "/chunked" => chunked(&sent.as_bytes().chunks(7_001).collect::<Vec<_>>()),
        _ => ok(&sent),
    });
    let session = Session::new();
    for path in ["/length", "/chunked"] {
        let get = || get(&session, &peer, path);
        assert_eq!(get().text().expect("text"), text);
        assert_eq!(get().start_text().wait().expect("text"), text);
        assert_eq!(get().bytes().expect("bytes"), text.as_bytes());
        assert_eq!(get().start_bytes().wait().expect("bytes"), text.as_bytes());

        let (mut blocking, mut started) = (get(), get());
        let (mut by_chunk, mut by_start) = (Vec::new(), Vec::new());
        while let Some(chunk) = blocking.chunk().expect("a chunk") {
            assert!(!chunk.is_empty(), "only the end is empty");
            by_chunk.extend_from_slice(&chunk);
        }
        while let Some(chunk) = started.start_chunk().wait().expect("a chunk") {
            by_start.extend_from_slice(&chunk);
        }
        assert!(by_chunk == text.as_bytes() && by_start == text.as_bytes());
        assert_eq!(blocking.chunk().expect("the end again"), None);

        let mut copied = Vec::new();
        let length = get().copy_to(&mut copied).expect("a copy");
        assert_eq!(length, text.len() as u64);
        assert!(copied == text.as_bytes());

        let lines: Vec<_> = get()
            .into_reader()
            .lines()
            .map(|l| l.expect("a line"))
            .collect();
        assert!(lines.iter().eq(text.lines().collect::<Vec<_>>()));
        let mut exact = [0; 13];
        let mut reader = get().into_reader();
        reader.read_exact(&mut exact).expect("the start");
        assert_eq!(reader.read(&mut []).expect("nothing asked"), 0);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).expect("the rest");
        assert!(exact == text.as_bytes()[..13] && rest == text[13..]);
        assert_eq!(reader.read(&mut exact).expect("the end"), 0);
    }
    assert_eq!(
        peer.connections(),
        2,
        "every body was read to its end; two went at once"
    );
}

#[test]
fn pieces_are_handed_out_as_they_come() {
    // SPEC R31
    let read = Gate::new();
    let seen = read.clone();
    let peer = Peer::start(move |conn| {
        conn.request()?;
        conn.write(head("200 OK", &[("Transfer-Encoding", "chunked")]))?;
        conn.write("1\r\na\r\n")?;
        seen.wait();
        conn.write("1\r\nb\r\n0\r\n\r\n")
    });
    let mut response = get(&Session::new(), &peer, "/");
    assert_eq!(
        response.chunk().expect("a chunk").as_deref(),
        Some(&b"a"[..])
    );
    let mut second = response.start_chunk();
    assert!(second.try_take().is_none(), "it has not been sent");
    // One at a time; a dropped one loses nothing.
    assert_eq!(
        response.chunk().expect_err("it is lent").kind(),
        Kind::InvalidRequest
    );
    let twice = response.start_chunk().wait().expect_err("it is lent");
    assert_eq!(twice.kind(), Kind::InvalidRequest);
    second.cancel();
    read.open();
    assert_eq!(
        response.chunk().expect("a chunk").as_deref(),
        Some(&b"b"[..])
    );
    assert_eq!(response.chunk().expect("the end"), None);
    peer.finish();
}

#[test]
fn chunks_end_in_trailers_and_may_come_byte_by_byte() {
    // SPEC R38
    let peer = Peer::start(|conn| {
        while conn.next_request()?.is_some() {
            conn.write_bytewise("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n")?;
            conn.write_bytewise("5;ext=\"a;b\"\r\nhello\r\n0006 \r\n world\r\n000\r\n")?;
            conn.write_bytewise("X-Sum: 11\r\nx-sum: again\r\n\r\n")?;
        }
        Ok(())
    });
    let session = Session::new();
    for _ in 0..2 {
        let mut response = get(&session, &peer, "/");
        let mut body = Vec::new();
        assert!(response.trailers().is_empty());
        while let Some(chunk) = response.chunk().expect("a chunk") {
            body.extend_from_slice(&chunk);
        }
        assert_eq!(body, b"hello world");
        let trailers = response.trailers();
        let sums: Vec<_> = trailers.get_all("x-sum").iter().collect();
        assert_eq!(sums, ["11", "again"]);
        // Read to the end by a started chunk, they are there as well.
        let mut response = get(&session, &peer, "/");
        while response.start_chunk().wait().expect("a chunk").is_some() {}
        assert_eq!(response.trailers(), trailers);
        assert!(!response.headers().contains_key("x-sum"));
    }
    assert_eq!(peer.connections(), 1);
}

#[test]
fn what_has_no_body_has_none_and_the_connection_serves_on() {
    // SPEC R38: no body for HEAD, 204 and 304, whatever the head announces.
    let peer = Peer::serve(|request| match request.target.as_str() {
        "/204" => head("204 No Content", &[("Content-Length", "9")]),
        "/304" => head(
            "304 Not Modified",
            &[
                ("Transfer-Encoding", "chunked"),
                ("Content-Encoding", "gzip"),
            ],
        ),
        "/empty" => ok(""),
        _ => head(
            "200 OK",
            &[("Content-Length", "1000000"), ("Content-Encoding", "gzip")],
        ),
    });
    let session = Session::new();
    let whole = session.head(peer.url("/head")).send().expect("an answer");
    assert_eq!(whole.content_length(), Some(1_000_000));
    assert_eq!(whole.bytes().expect("no body").len(), 0);
    for path in ["/204", "/304", "/empty"] {
        assert_eq!(get(&session, &peer, path).text().expect("no body"), "");
        assert_eq!(get(&session, &peer, path).chunk().expect("no body"), None);
    }
    assert_eq!(peer.request_count(), 7);
    assert_eq!(peer.connections(), 1);
}

#[test]
fn a_body_without_framing_ends_with_the_connection() {
    // SPEC R38, P2
    let body = "x".repeat(300_000);
    let sent = body.clone();
    let peer = Peer::start(move |conn| {
        conn.request()?;
        conn.write("HTTP/1.1 200 OK\r\n\r\n")?;
        conn.write(&sent)
    });
    let session = Session::new();
    for _ in 0..2 {
        let response = get(&session, &peer, "/");
        assert_eq!(response.content_length(), None);
        assert!(response.text().expect("the body") == body);
    }
    assert_eq!(
        peer.connections(),
        2,
        "such a connection cannot be used again"
    );
}

#[test]
fn doubtful_framing_is_read_the_safe_way_and_the_connection_is_not_used_again() {
    // SPEC R38, P2
    let twice = "Transfer-Encoding: chunked\r\ntransfer-encoding: chunked\r\n";
    for (fields, body) in [
        // The length beside the chunks is what a smuggler lies with.
        (
            "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
            "5\r\nwhole\r\n0\r\n\r\n",
        ),
        (twice, "5\r\nwhole\r\n0\r\n\r\n"),
        (
            "Transfer-Encoding: chunked, chunked\r\n",
            "5\r\nwhole\r\n0\r\n\r\n",
        ),
        // The same length many times is one length; what stands behind the
        // body answers nobody's request.
        (
            "Content-Length: 5, 5\r\nContent-Length: 5\r\n",
            "wholeHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged",
        ),
        ("Content-Length: 5\r\nConnection: Close\r\n", "whole"),
    ] {
        let peer = stays_open(format!("HTTP/1.1 200 OK\r\n{fields}\r\n{body}"));
        let session = Session::new();
        for _ in 0..2 {
            let text = get(&session, &peer, "/").text();
            assert_eq!(text.expect("the body"), "whole", "{fields}");
        }
        assert_eq!(peer.connections(), 2, "{fields}");
    }
    // A space before the colon and a folded value are odd, not dangerous.
    let odd = answer("HTTP/1.1 200 OK\r\nContent-Length : 2\r\nX: a\r\n b\r\n\r\nok");
    // RFC 9112 section 5.2: a fold is one space or more.
    let folded = odd.headers()["x"].to_str().expect("text");
    assert_eq!(folded.split_whitespace().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(odd.text().expect("the body"), "ok");
}

#[test]
fn interim_replies_are_passed_over() {
    // RFC 9110 section 15.2
    let response = answer(
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    );
    assert_eq!(response.status(), 200);
    assert!(!response.headers().contains_key("link"));
    assert_eq!(response.text().expect("the body"), "ok");
}

#[test]
fn text_is_utf8_unless_another_charset_is_declared() {
    // SPEC R21, J1
    let text = |content_type: &str, body: &[u8]| {
        answer(response("200 OK", &[("Content-Type", content_type)], body)).text()
    };
    assert_eq!(text("text/html", b"gr\xc3\xbcn").expect("UTF-8"), "grün");
    assert_eq!(
        text("text/html", b"a\xffb").expect("replaced"),
        "a\u{fffd}b"
    );
    assert_eq!(
        text("text/html; charset=\"UTF-8\"", b"x").expect("UTF-8"),
        "x"
    );
    assert_eq!(
        text("text/html; a=b; Charset=us-ascii", b"x").expect("ASCII"),
        "x"
    );
    assert_eq!(
        text("text/html; charset=latin1", b"\xef\xbb\xbfx").expect("a BOM wins"),
        "x"
    );
    let empty = text("text/html; charset=", b"gr\xc3\xbcn");
    assert_eq!(empty.expect("nothing is declared"), "grün");
    let quoted = text("text/html; charset=\" \"; x=y", b"x");
    assert_eq!(quoted.expect("nothing is declared"), "x");
}

#[test]
fn an_unknown_charset_is_an_error_before_the_download() {
    // SPEC J1
    // Only a byte order mark could still make it text.
    let announced = [("Content-Length", "99999999")];
    let peer = stays_open([head("200 OK", &announced), b"gr\xfcn".to_vec()].concat());
    for _ in 0..2 {
        let mut text = get(&Session::new(), &peer, "/").start_text_with("no-such-charset");
        let text = text.wait_for(support::WATCHDOG).expect("no waiting");
        assert_eq!(text.expect_err("not decoded").kind(), Kind::Decode);
    }
    peer.finish();
}

#[test]
fn an_error_status_is_an_error_where_that_is_asked() {
    // SPEC S12, R22
    let peer = Peer::serve(|request| match request.target.as_str() {
        "/moved" => response("302 Found", &[("Location", "/gone")], ""),
        "/busy" => response("503 Busy", &[], ""),
        "/399" => response("399 Odd", &[], "fine"),
        "/400" => response("400 Bad", &[], ""),
        _ => response("410 Long Gone", &[("X-Why", "age")], "it was here once"),
    });
    let session = Session::new();
    assert_eq!(
        get(&session, &peer, "/gone").text().expect("its body"),
        "it was here once"
    );
    let strict = Session::builder().error_for_status(true).build();
    let lenient = strict.get(peer.url("/gone")).error_for_status(false).send();
    assert_eq!(lenient.expect("an answer").status(), 410);

    let by_hand = get(&session, &peer, "/moved").error_for_status();
    let by_request = session
        .get(peer.url("/moved"))
        .error_for_status(true)
        .send();
    let by_session = strict.get(peer.url("/moved")).start_send().wait();
    for error in [by_hand, by_request, by_session].map(|r| r.expect_err("410")) {
        assert_eq!(error.kind(), Kind::Status);
        assert!(error.is_response() && !error.is_retryable());
        assert_eq!(error.status(), Some(StatusCode::GONE));
        assert_eq!(error.reason(), Some("Long Gone"));
        assert_eq!(
            error.headers().map(|h| &h["x-why"]).expect("headers"),
            "age"
        );
        assert_eq!(error.body(), Some(&b"it was here once"[..]));
        let history: Vec<_> = error
            .history()
            .iter()
            .map(|h| (h.status.as_u16(), h.url.path()))
            .collect();
        assert_eq!(history, [(302, "/moved")]); // SPEC R7
        assert_eq!(error.url().map(|u| u.path()), Some("/gone"));
        assert_eq!(error.peer(), Some(peer.address()));
        assert!(error.to_string().contains("410 Long Gone"), "{error}");
    }
    let busy = strict.get(peer.url("/busy")).send().expect_err("503");
    assert!(busy.is_retryable());
    let odd = get(&strict, &peer, "/399")
        .error_for_status()
        .expect("below 400");
    assert_eq!(odd.text().expect("its body"), "fine");
    let first = get(&session, &peer, "/400").error_for_status();
    assert_eq!(first.expect_err("from 400 on").kind(), Kind::Status);
    assert_eq!(session.connector().stats().in_use, 0);
}

#[test]
fn an_error_keeps_64_kib_of_its_body_and_waits_for_no_more() {
    // SPEC R22
    let peer = Peer::start(|conn| {
        let request = conn.request()?;
        conn.write(head("500 Oops", &[("Content-Length", "99999999")]))?;
        match request.target.as_str() {
            "/endless" => while conn.write([b'e'; 10_000]).is_ok() {},
            "/enough" => {
                conn.write([b'e'; 64 * 1024])?;
                conn.wait_for_close()?;
            }
            _ => conn.write("short")?,
        }
        Ok(())
    });
    let session = Session::builder().error_for_status(true).build();
    for (path, length) in [
        ("/endless", 64 * 1024),
        ("/enough", 64 * 1024),
        ("/broken", 5),
    ] {
        let error = session.get(peer.url(path)).send().expect_err("500");
        // Whatever ends the body, the status is the news.
        assert_eq!(error.kind(), Kind::Status, "{path}");
        assert_eq!(error.body().map(<[u8]>::len), Some(length), "{path}");
    }
    peer.finish();
}

#[test]
fn what_nobody_reads_is_not_received_without_bound() {
    // SPEC S20
    const TOTAL: usize = 48 * 1024 * 1024;
    let waited: Sends = |request| request.send();
    let started: Sends = |request| request.start_send().wait();
    for send in [waited, started] {
        let blocked = Gate::new();
        let written = Arc::new(AtomicUsize::new(0));
        let (stuck, count) = (blocked.clone(), written.clone());
        let peer = Peer::start(move |conn| {
            conn.request()?;
            conn.write(head("200 OK", &[("Content-Length", &TOTAL.to_string())]))?;
            let sent = write_until_stuck(conn, TOTAL)?;
            count.store(sent, Ordering::SeqCst);
            stuck.open();
            for rest in vec![b'b'; TOTAL - sent].chunks(1024 * 1024) {
                conn.write(rest)?;
            }
            Ok(())
        });
        let session = Session::builder().read_buffer(64 * 1024).build();
        let mut response = send(session.get(peer.url("/"))).expect("an answer");
        blocked.wait();
        // Two windows of 64 KiB are ours, the rest is what the kernel buffers.
        let sent = written.load(Ordering::SeqCst);
        assert!(sent < TOTAL / 2, "{sent} bytes went out while nobody read");
        let mut got = 0;
        while let Some(chunk) = response.chunk().expect("a chunk") {
            got += chunk.len();
        }
        assert_eq!(got, TOTAL);
        peer.finish();
    }
}

/// A way to send a request, and to wait for its head.
type Sends = fn(RequestBuilder) -> Result<Response, Error>;

/// Writes until the kernel takes nothing more for a while; how much it took.
fn write_until_stuck(conn: &mut PeerConn, most: usize) -> std::io::Result<usize> {
    let mut socket = conn.socket()?;
    let before = socket.write_timeout()?;
    // On a machine so slow that this is too short less is counted, never more.
    socket.set_write_timeout(Some(Duration::from_millis(300)))?;
    let piece = [b'a'; 64 * 1024];
    let mut sent = 0;
    while sent < most {
        match socket.write(&piece[..piece.len().min(most - sent)]) {
            Ok(n) => sent += n,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    socket.set_write_timeout(before)?;
    Ok(sent)
}

#[test]
fn a_writer_that_fails_is_the_error_of_the_copy() {
    // SPEC R27
    struct Full;

    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let error = answer(ok("body"))
        .copy_to(&mut Full)
        .expect_err("a full disk");
    assert_eq!(
        (error.kind(), error.phase()),
        (Kind::Write, Some(Phase::Body))
    );
    assert!(!error.is_connection() && !error.is_retryable());
    let cause = std::error::Error::source(&error).expect("the writer's");
    assert!(cause.is::<std::io::Error>());
}

#[test]
fn a_reader_gives_errors_with_ours_inside() {
    // SPEC R37
    let response = answer("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort");
    let mut reader = response.into_reader();
    let mut read = Vec::new();
    let error = reader.read_to_end(&mut read).expect_err("a short body");
    assert_eq!(read, b"short", "what came is handed out first");
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    let inner = error.get_ref().and_then(|e| e.downcast_ref::<Error>());
    let inner = inner.expect("our error");
    assert_eq!(
        (inner.kind(), inner.phase()),
        (Kind::Payload, Some(Phase::Body))
    );
    assert!(reader.read(&mut [0]).is_err(), "an error is no end");
}

#[test]
fn what_is_kept_in_memory_has_a_limit_and_what_is_streamed_has_none() {
    // SPEC R40
    let body = "x".repeat(100_000);
    let peer = Peer::serve(move |request| match request.target.as_str() {
        "/500" => response("500 Oops", &[], &body),
        _ => chunked(&body.as_bytes().chunks(9_000).collect::<Vec<_>>()),
    });
    for limit in [0, 1, 99_999, 100_000] {
        let session = Session::builder().max_buffered(limit).build();
        let fits = limit >= 100_000;
        let request = Session::new().get(peer.url("/")).max_buffered(limit);
        for whole in [
            get(&session, &peer, "/").text(),
            request.send().and_then(Response::text),
        ] {
            match whole {
                Ok(text) => assert!(fits && text.len() == 100_000),
                Err(error) => {
                    assert!(!fits && error.kind() == Kind::Limit, "{limit}: {error:#}");
                    assert!(error.to_string().contains(&limit.to_string()));
                }
            }
        }
        let copied = get(&session, &peer, "/").copy_to(&mut Vec::new());
        assert_eq!(copied.expect("a copy"), 100_000);
        let error = get(&session, &peer, "/500").error_for_status();
        let kept = error.expect_err("500").body().map(<[u8]>::len);
        assert_eq!(kept, Some(limit.min(64 * 1024)));
    }
}
