//! Bodies as streams: by amounts, lines and separators, given back and looked
//! at without waiting; and what the head says of them.

mod support;

use std::error::Error as _;
use std::io::{BufRead, Read};

use miohttp::{Bytes, Connector, IncompleteRead, Kind, Response, Session};
use support::{Gate, Peer, chunked, head, ok, response};

fn get(session: &Session, peer: &Peer) -> Response {
    session.get(peer.url("/")).send().expect("an answer")
}

/// A peer that answers everything with this body, in chunks of `size`.
fn in_chunks(body: &'static [u8], size: usize) -> Peer {
    Peer::serve(move |_| chunked(&body.chunks(size).collect::<Vec<_>>()))
}

/// A peer that announces ten bytes, gives `body`, and leaves.
fn breaks_off(body: &'static [u8]) -> Peer {
    Peer::start(move |conn| {
        conn.request()?;
        conn.write(head("200 OK", &[("Content-Length", "10")]))?;
        conn.write(body)
    })
}

/// The answer to one GET with these fields and no body.
fn with_fields(fields: &[(&str, &str)]) -> Response {
    let answer = response("200 OK", fields, "");
    let peer = Peer::start(move |conn| {
        conn.request()?;
        conn.write(&answer)
    });
    let response = get(&Session::new(), &peer);
    peer.finish();
    response
}

#[test]
fn a_reader_gives_amounts_lines_and_separated_pieces() {
    // SPEC R30, R31, R32, R36
    const BODY: &[u8] = b"one\ntwo\r\n\r\nthree||four|five||six\nrest";
    let session = Session::new();
    // Wherever the borders of the chunks fall.
    for size in 1..=BODY.len() {
        let peer = in_chunks(BODY, size);
        let mut reader = get(&session, &peer).into_reader();
        let line = reader.line().expect("a line").expect("no end");
        assert_eq!(line, "one\n");
        let until = |reader: &mut miohttp::BodyReader, separator: &[u8]| {
            reader.until(separator).expect("a piece").expect("no end")
        };
        assert_eq!(until(&mut reader, b"\r\n\r\n"), "two\r\n\r\n");
        assert_eq!(reader.exactly(3).expect("three bytes"), "thr");
        assert_eq!(reader.exactly(0).expect("no bytes"), "");
        assert_eq!(reader.up_to(0).expect("no bytes"), "");
        let some = reader.up_to(2).expect("one or two");
        assert!(!some.is_empty() && b"ee".starts_with(&some));
        reader.unread(some);
        assert_eq!(until(&mut reader, b"||"), "ee||");
        assert_eq!(until(&mut reader, b"||"), "four|five||");
        // The last given back is the first to come again.
        reader.unread(Bytes::from_static(b"-b-"));
        reader.unread(Bytes::new());
        reader.unread(Bytes::from_static(b"-a"));
        let mut four = [0; 4];
        reader.read_exact(&mut four).expect("four bytes");
        assert_eq!(&four, b"-a-b");
        assert_eq!(until(&mut reader, b"\n"), "-six\n");
        assert_eq!(until(&mut reader, b"\n"), "rest");
        assert_eq!(reader.until(b"\n").expect("the end"), None);
        assert_eq!(reader.line().expect("the end"), None);
        assert_eq!(reader.up_to(9).expect("the end"), "");
        assert_eq!(reader.chunk().expect("the end"), None);
        assert!(reader.at_eof() && reader.is_eof());
        // Even behind the end.
        reader.unread(Bytes::from_static(b"more"));
        assert!(reader.is_eof() && !reader.at_eof());
        let mut more = String::new();
        reader.read_to_string(&mut more).expect("more");
        assert_eq!(more, "more");
    }
}

#[test]
fn an_amount_that_is_not_there_is_an_error_with_what_there_is() {
    // SPEC R31
    let session = Session::new();
    let peer = in_chunks(b"abcdefg", 2);
    let mut reader = get(&session, &peer).into_reader();
    assert_eq!(reader.exactly(2).expect("two bytes"), "ab");
    let error = reader.exactly(9).expect_err("five are left");
    assert_eq!(error.kind(), Kind::Payload);
    assert!(!error.is_retryable() && error.url().is_some());
    let source = error
        .source()
        .and_then(|s| s.downcast_ref::<IncompleteRead>());
    let source = source.expect("what there was");
    assert_eq!(source.partial(), "cdefg");
    assert_eq!(source.expected(), 9);
    assert_eq!(source.to_string(), "5 of 9 bytes were left");
    assert!(reader.at_eof());
    assert!(reader.error().is_none(), "the body itself is sound");
    assert_eq!(reader.exactly(0).expect("nothing"), "");

    // What would not be kept in memory is refused before it is read.
    let request = session.get(peer.url("/")).max_buffered(4);
    let mut reader = request.send().expect("an answer").into_reader();
    assert_eq!(reader.exactly(5).expect_err("too many").kind(), Kind::Limit);
    assert_eq!(reader.exactly(4).expect("four bytes"), "abcd");
}

#[test]
fn a_line_has_a_limit_and_nothing_of_it_is_lost() {
    // SPEC R32
    const BODY: &[u8] = b"12345\n123456\nabc";
    let session = Session::new();
    for size in 1..=BODY.len() {
        let peer = in_chunks(BODY, size);
        let mut reader = get(&session, &peer).into_reader().max_line_length(6);
        assert_eq!(
            reader.line().expect("a line").as_deref(),
            Some(&b"12345\n"[..])
        );
        for _ in 0..2 {
            let error = reader.line().expect_err("too long");
            assert_eq!(error.kind(), Kind::Limit);
        }
        assert!(reader.error().is_none());
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).expect("the rest");
        assert_eq!(rest, b"123456\nabc");

        // A rest as long as the limit is no longer than it.
        let mut reader = get(&session, &peer).into_reader().max_line_length(6);
        reader.exactly(10).expect("the start");
        reader.line().expect("a line");
        reader.unread(Bytes::from_static(b"xyz"));
        assert_eq!(
            reader.line().expect("a rest").as_deref(),
            Some(&b"xyzabc"[..])
        );

        let request = session.get(peer.url("/")).max_buffered(5);
        let mut reader = request.send().expect("an answer").into_reader();
        assert_eq!(reader.line().expect_err("too long").kind(), Kind::Limit);
    }
    let peer = in_chunks(BODY, 3);
    let mut reader = get(&session, &peer).into_reader();
    let error = reader.until(b"").expect_err("no separator");
    assert_eq!(error.kind(), Kind::InvalidRequest);
    assert_eq!(reader.exactly(5).expect("all is there"), "12345");
}

#[test]
fn a_body_can_be_iterated_over() {
    // SPEC R34
    const BODY: &[u8] = b"one\n\ntwo\nthree";
    let session = Session::new();
    for size in 1..=BODY.len() {
        let peer = in_chunks(BODY, size);
        let get = || get(&session, &peer);
        let lines: Result<Vec<_>, _> = get().lines().collect();
        assert_eq!(lines.expect("lines"), ["one\n", "\n", "two\n", "three"]);
        let pieces: Result<Vec<_>, _> = get().chunks_of(4).collect();
        assert_eq!(pieces.expect("pieces"), ["one\n", "\ntwo", "\nthr", "ee"]);
        let chunks: Result<Vec<_>, _> = get().chunks().collect();
        let chunks = chunks.expect("chunks");
        assert!(chunks.iter().all(|chunk| !chunk.is_empty()));
        assert_eq!(chunks.concat(), BODY);

        let mut short = get().lines().max_line_length(4);
        let before: Vec<_> = short.by_ref().take(3).filter_map(Result::ok).collect();
        assert_eq!(before, ["one\n", "\n", "two\n"]);
        let error = short.next().expect("an error").expect_err("too long");
        assert_eq!(error.kind(), Kind::Limit);
        assert!(short.next().is_none(), "an error is the last");
        let nothing = get().chunks_of(0).next().expect("an error");
        assert_eq!(nothing.expect_err("no size").kind(), Kind::InvalidRequest);
        // The reader's own, by the trait.
        let lines: Result<Vec<_>, _> = get().into_reader().lines().collect();
        assert_eq!(lines.expect("lines"), ["one", "", "two", "three"]);
    }
}

#[test]
fn errors_of_a_body_stay_and_come_behind_what_was_received() {
    // SPEC R36, R37
    let session = Session::new();
    let peer = breaks_off(b"abc");
    let mut reader = get(&session, &peer).into_reader();
    for _ in 0..2 {
        // What was read for it is put back each time.
        let error = reader.exactly(5).expect_err("it breaks off");
        assert_eq!(error.kind(), Kind::Payload);
        assert!(error.is_retryable(), "the network's fault");
        let error = reader.line().expect_err("it breaks off");
        assert_eq!(error.kind(), Kind::Payload);
    }
    assert_eq!(reader.error().expect("it is kept").kind(), Kind::Payload);
    assert!(!reader.is_eof() && !reader.at_eof());
    assert_eq!(reader.up_to(9).expect("what came"), "abc");
    assert!(!reader.at_eof(), "or nobody would see the error");
    for _ in 0..2 {
        assert_eq!(reader.chunk().expect_err("again").kind(), Kind::Payload);
        assert_eq!(reader.buffered(1).expect_err("again").kind(), Kind::Payload);
        assert!(reader.read(&mut [0]).is_err());
    }

    let mut response = get(&session, &peer);
    assert!(response.error().is_none());
    assert_eq!(
        response.chunk().expect("a chunk").as_deref(),
        Some(&b"abc"[..])
    );
    for _ in 0..2 {
        assert_eq!(response.chunk().expect_err("again").kind(), Kind::Payload);
        let started = response.start_chunk().wait();
        assert_eq!(started.expect_err("again").kind(), Kind::Payload);
    }
    assert_eq!(response.error().expect("it is kept").kind(), Kind::Payload);
    assert!(!response.is_eof() && !response.at_eof());
    assert_eq!(response.drain().expect_err("again").kind(), Kind::Payload);
    let mut lines = get(&session, &peer).lines();
    assert_eq!(
        lines.next().expect("an error").expect_err("cut").kind(),
        Kind::Payload
    );
    assert!(lines.next().is_none());
}

#[test]
fn what_is_here_is_read_without_waiting() {
    // SPEC R35, R36
    let more = Gate::new();
    let gate = more.clone();
    let peer = Peer::start(move |conn| {
        conn.request()?;
        conn.write(head("200 OK", &[("Transfer-Encoding", "chunked")]))?;
        conn.write("3\r\nabc\r\n")?;
        gate.wait();
        conn.write("3\r\ndef\r\n0\r\nX-End: yes\r\n\r\n")
    });
    let mut reader = get(&Session::new(), &peer).into_reader();
    assert_eq!(reader.exactly(1).expect("the first"), "a");
    assert_eq!(reader.buffered(9).expect("the rest of it"), "bc");
    assert_eq!(reader.buffered(9).expect("not yet"), "");
    assert!(!reader.is_eof() && !reader.at_eof());
    assert!(reader.trailers().is_empty());
    more.open();
    // Nobody reads, and still it comes.
    let mut rest = Vec::new();
    while !reader.at_eof() {
        let piece = reader.buffered(2).expect("a piece");
        assert!(piece.len() <= 2);
        rest.extend_from_slice(&piece);
        std::thread::yield_now();
    }
    assert_eq!(rest, b"def");
    assert!(reader.is_eof());
    assert_eq!(reader.buffered(1).expect("the end"), "");
    assert_eq!(reader.trailers()["x-end"], "yes");
    peer.finish();
}

#[test]
fn a_response_tells_whether_its_body_is_at_its_end() {
    // SPEC R35, R36
    let session = Session::new();
    let peer = Peer::serve(|_| ok("body"));
    let mut response = get(&session, &peer);
    assert!(response.is_eof(), "it came with its head");
    assert!(!response.at_eof(), "nobody has read it");
    assert_eq!(
        response.chunk().expect("all").as_deref(),
        Some(&b"body"[..])
    );
    assert!(response.at_eof());
    response
        .unread(Bytes::from_static(b"again "))
        .expect("it is here");
    assert!(response.is_eof() && !response.at_eof());
    assert_eq!(response.text().expect("text"), "again ");

    let mut response = get(&session, &peer);
    response
        .unread(Bytes::from_static(b"any"))
        .expect("it is here");
    assert_eq!(response.bytes().expect("both"), "anybody");
    assert!(get(&session, &peer).into_reader().is_eof());

    let empty = Peer::serve(|_| ok(""));
    let mut response = get(&session, &empty);
    assert!(response.at_eof());
    assert_eq!(response.drain().expect("nothing"), 0);

    let long = Peer::start(|conn| {
        while conn.next_request()?.is_some() {
            let body = vec![b'x'; 100_000];
            conn.write(head("200 OK", &[("Transfer-Encoding", "chunked")]))?;
            conn.write(format!("{:x}\r\n", body.len()))?;
            conn.write(&body)?;
            conn.write("\r\n0\r\nX-End: yes\r\n\r\n")?;
        }
        Ok(())
    });
    for _ in 0..2 {
        let mut response = get(&session, &long);
        assert_eq!(response.drain().expect("its length"), 100_000);
        assert!(response.at_eof() && response.is_eof());
        assert_eq!(response.trailers()["x-end"], "yes");
    }
    assert_eq!(long.connections(), 1, "read to its end it serves again");
}

#[cfg(feature = "gzip")]
#[test]
fn the_end_of_a_coded_body_is_where_the_decoder_ends() {
    // SPEC R35, R39
    use std::io::Write;

    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder
        .write_all(&[b'x'; 100_000])
        .expect("memory takes it");
    let coded = encoder.finish().expect("memory takes it");
    let peer = Peer::serve(move |_| response("200 OK", &[("Content-Encoding", "gzip")], &coded));
    let mut response = get(&Session::new(), &peer);
    let mut length = 0;
    while !response.at_eof() {
        length += response.chunk().expect("a chunk").expect("no end").len();
    }
    assert_eq!(length, 100_000);
    assert_eq!(response.chunk().expect("the end"), None);
    let mut reader = get(&Session::new(), &peer).into_reader();
    assert!(reader.is_eof() && !reader.at_eof());
    assert_eq!(reader.exactly(100_000).expect("all").len(), 100_000);
    assert!(reader.at_eof());
}

#[test]
fn a_closed_response_drops_its_connection() {
    // SPEC R25
    let peer = Peer::start(|conn| {
        conn.request()?;
        conn.write(head("200 OK", &[("Content-Length", "10")]))?;
        conn.write("abc")?;
        conn.wait_for_close().map(drop)
    });
    let session = Session::new();
    let mut response = get(&session, &peer);
    response
        .unread(Bytes::from_static(b"x"))
        .expect("it is here");
    response.close();
    peer.wait_for_ends(1);
    for _ in 0..2 {
        assert_eq!(response.chunk().expect_err("closed").kind(), Kind::Closed);
    }
    assert!(response.error().is_some());
    assert_eq!(response.status(), 200, "the head stays");
    response.close();
    assert_eq!(response.text().expect_err("closed").kind(), Kind::Closed);

    let mut reader = get(&session, &peer).into_reader();
    assert_eq!(reader.exactly(1).expect("a byte"), "a");
    reader.close();
    peer.wait_for_ends(2);
    assert_eq!(reader.up_to(1).expect_err("closed").kind(), Kind::Closed);
    assert_eq!(reader.error().map(miohttp::Error::kind), Some(Kind::Closed));

    // One that somebody waits for ends, too.
    let mut response = get(&session, &peer);
    response.chunk().expect("what came");
    let waiting = response.start_chunk();
    response.close();
    assert!(waiting.wait().is_err());
    peer.wait_for_ends(3);

    // What was received whole has given its connection back already.
    let whole = Peer::serve(|_| ok("body"));
    let mut response = get(&session, &whole);
    response.close();
    assert_eq!(response.bytes().expect_err("closed").kind(), Kind::Closed);
    assert!(get(&session, &whole).is_reused());
}

#[test]
fn a_closed_response_waits_for_no_rest() {
    // SPEC R25
    let closed = Gate::new();
    let gate = closed.clone();
    let peer = Peer::start(move |conn| {
        // The first connection is reset, and that is no failure here.
        while let Ok(Some(_)) = conn.next_request() {
            conn.write(head("200 OK", &[("Content-Length", "10")]))?;
            conn.write("abc")?;
            gate.wait();
            if conn.write("defghij").is_err() {
                break;
            }
        }
        Ok(())
    });
    // Only one at a time: the second request takes what the first leaves.
    let connector = Connector::builder().limit_per_host(1).build();
    let session = Session::builder().connector(connector).build();
    let mut response = get(&session, &peer);
    response.close();
    // What is started behind it, elsewhere, is answered behind it.
    let other = Peer::serve(|_| ok("x"));
    let behind = session.get(other.url_for("localhost", "/")).start_send();
    behind.wait().expect("an answer");
    closed.open();
    let second = get(&session, &peer);
    assert!(!second.is_reused(), "the rest would have had to be read");
    assert_eq!(second.bytes().expect("all of it"), "abcdefghij");
    assert_eq!(peer.connections(), 2);
}

#[test]
fn a_copy_says_how_far_it_has_come() {
    // SPEC R27
    let body = vec![b'x'; 300_000];
    let sent = body.clone();
    let peer = Peer::serve(move |request| match request.target.as_str() {
        "/chunked" => chunked(&sent.chunks(70_001).collect::<Vec<_>>()),
        _ => ok(&sent),
    });
    let session = Session::new();
    for (path, total) in [("/", Some(300_000)), ("/chunked", None)] {
        let response = session.get(peer.url(path)).send().expect("an answer");
        let (mut copy, mut steps) = (Vec::new(), Vec::new());
        let copied = response.copy_to_with(&mut copy, |progress| {
            assert_eq!(progress.total, total);
            steps.push(progress.bytes);
        });
        assert_eq!(copied.expect("a copy"), 300_000);
        assert!(copy == body);
        assert!(steps.is_sorted_by(|a, b| a < b), "{steps:?}");
        assert_eq!(steps.last(), Some(&300_000));
    }
}

#[test]
fn the_type_of_a_body_is_told() {
    // SPEC R5
    let response = with_fields(&[("Content-Type", "Text/HTML; Charset=UTF-8; x=\"a b\"")]);
    let kind = response.content_type();
    assert_eq!(kind.essence(), "text/html");
    assert_eq!(kind.parameter("X"), Some("a b"));
    assert_eq!(response.charset().as_deref(), Some("UTF-8"));
    for fields in [&[][..], &[("Content-Type", "nonsense; charset=utf-8")]] {
        let response = with_fields(fields);
        let kind = response.content_type();
        assert_eq!(kind.essence(), "application/octet-stream");
        assert_eq!(response.charset(), None);
    }
}

#[test]
fn a_length_is_digits_and_nothing_else() {
    // SPEC R6
    // The framing does not look at it where there is no body.
    for (value, want) in [
        ("12", Some(12)),
        ("0012", Some(12)),
        ("+12", None),
        ("-1", None),
        ("1 2", None),
        ("0x10", None),
        ("99999999999999999999999", None),
    ] {
        let answer = head("200 OK", &[("Content-Length", value)]);
        let peer = Peer::start(move |conn| {
            conn.request()?;
            conn.write(&answer)
        });
        let sent = Session::new().head(peer.url("/")).send();
        // Refused or not, a wrong one is no length.
        if want.is_some() || sent.is_ok() {
            assert_eq!(sent.expect("a head").content_length(), want, "{value}");
        }
    }
}

#[test]
fn a_disposition_has_a_name_for_the_file() {
    // SPEC R6
    let value = "attachment; filename=\"fall back.txt\"; filename*=UTF-8''%C3%A4%2F..%2Fb.txt";
    let response = with_fields(&[("Content-Disposition", value)]);
    let disposition = response.content_disposition().expect("a disposition");
    assert_eq!(disposition.disposition_type(), "attachment");
    assert_eq!(disposition.parameter("filename"), Some("fall back.txt"));
    assert_eq!(disposition.filename(), Some("\u{e4}/../b.txt"));
    assert_eq!(disposition.safe_filename().as_deref(), Some("b.txt"));
    assert!(with_fields(&[]).content_disposition().is_none());
}

#[test]
fn links_are_joined_and_found_by_their_relation() {
    // SPEC R10
    let peer = Peer::serve(|_| {
        let fields = [
            (
                "Link",
                "</items?page=2>; rel=\"next last\"; title=\"a, b\", <b>; rel=self",
            ),
            (
                "Link",
                "<c>; rel=NEXT, <d>; rel=about; anchor=\"/elsewhere\", <http://[>; rel=x",
            ),
        ];
        response("200 OK", &fields, "")
    });
    let response = Session::new()
        .get(peer.url("/dir/page"))
        .send()
        .expect("an answer");
    let links: Vec<_> = response.links().collect();
    let urls: Vec<_> = links.iter().map(|link| link.url().path()).collect();
    assert_eq!(urls, ["/items", "/dir/b", "/dir/c", "/dir/d"]);
    assert!(links[0].has_rel("LAST") && links[0].parameter("title") == Some("a, b"));
    let next = response.link("next").expect("the first of both");
    assert_eq!(next.as_str(), peer.url("/items?page=2"));
    assert_eq!(response.link("about"), None, "of something else");
    assert_eq!(response.link("prev"), None);
}

#[cfg(feature = "cookies")]
#[test]
fn cookies_are_told_as_they_were_set() {
    // SPEC R4
    let response = with_fields(&[
        ("Set-Cookie", "a=1; Path=/x; HttpOnly"),
        ("Set-Cookie", "no equals sign"),
        ("set-cookie", "b=\"2\"; Domain=elsewhere.test"),
    ]);
    let cookies: Vec<_> = response.cookies().collect();
    let pairs: Vec<_> = cookies.iter().map(|c| (c.name(), c.value())).collect();
    let want: [(&[u8], &[u8]); 2] = [(b"a", b"1"), (b"b", b"\"2\"")];
    assert_eq!(pairs, want);
    assert_eq!(
        (cookies[0].path(), cookies[0].http_only()),
        (Some("/x"), true)
    );
    // Not its own to set; it is told all the same.
    assert_eq!(cookies[1].domain(), Some("elsewhere.test"));
}
