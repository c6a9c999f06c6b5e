//! Content codings over the wire: what is decoded, what is left alone, and what
//! damage looks like.
#![cfg(feature = "gzip")]

mod support;

use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use miohttp::{Error, Kind, Phase, Response, Session};
use support::{Peer, head, response};

const TEXT: &str = "A text that is long enough to be worth the trouble, trouble, trouble. ";

fn text() -> Vec<u8> {
    TEXT.repeat(5_000).into_bytes()
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(data).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

fn zlib(data: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(data).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

fn raw_deflate(data: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(data).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

/// One answer with this `Content-Encoding` and these bytes, by a session's defaults.
fn coded(coding: &str, body: &[u8]) -> Response {
    let bytes = response("200 OK", &[("Content-Encoding", coding)], body);
    let peer = Peer::serve(move |_| bytes.clone());
    let response = Session::new().get(peer.url("/")).send();
    response.expect("an answer")
}

/// Reads by chunk: what came before the end or the error, and the error.
fn drained(mut response: Response) -> (Vec<u8>, Option<Error>) {
    let mut body = Vec::new();
    loop {
        match response.chunk() {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return (body, None),
            Err(error) => {
                let again = response.chunk().expect_err("an error is no end");
                assert_eq!(again.kind(), error.kind());
                return (body, Some(error));
            }
        }
    }
}

#[test]
fn known_codings_are_undone_and_the_headers_stay_as_they_were() {
    // SPEC R3, R39, S14
    let text = text();
    let bodies = [
        ("gzip", gzip(&text)),
        ("X-GZip", gzip(&text)),
        ("deflate", zlib(&text)),
        ("deflate", raw_deflate(&text)),
        ("deflate, gzip", gzip(&zlib(&text))),
        ("identity, gzip,", gzip(&text)),
        (
            "gzip",
            [gzip(&text[..1_000]), gzip(&text[1_000..])].concat(),
        ),
    ];
    for (coding, body) in bodies {
        let response = coded(coding, &body);
        assert_eq!(response.headers()["content-encoding"], coding);
        assert_eq!(response.content_length(), Some(body.len() as u64));
        assert!(response.bytes().expect("the text") == text, "{coding}");
        let (read, error) = drained(coded(coding, &body));
        assert!(read == text && error.is_none(), "{coding}: {error:?}");
        let mut copy = Vec::new();
        let length = coded(coding, &body).copy_to(&mut copy).expect("the text");
        assert_eq!(length, text.len() as u64, "the decoded length");
    }
}

#[test]
fn a_coded_body_may_come_in_any_framing_and_in_any_pieces() {
    let coded = gzip(TEXT.as_bytes());
    let peer = Peer::start(move |conn| {
        let request = conn.request()?;
        let coding = ("Content-Encoding", "gzip");
        if request.target == "/close" {
            conn.write(head("200 OK", &[coding]))?;
            return conn.write_bytewise(&coded);
        }
        conn.write(head("200 OK", &[coding, ("Transfer-Encoding", "chunked")]))?;
        for byte in &coded {
            conn.write([b"1\r\n", &[*byte][..], b"\r\n"].concat())?;
        }
        conn.write("0\r\n\r\n")
    });
    for path in ["/chunked", "/close"] {
        let response = Session::new().get(peer.url(path)).send();
        let text = response.expect("an answer").text();
        assert_eq!(text.expect("the text"), TEXT, "{path}");
    }
}

#[test]
fn nothing_is_undone_unless_wanted_and_known() {
    // SPEC R39, S14, Q18
    let coded_text = gzip(TEXT.as_bytes());
    let bytes = response("200 OK", &[("Content-Encoding", "gzip")], &coded_text);
    let peer = Peer::serve(move |_| bytes.clone());
    let session = Session::builder().auto_decompress(false).build();
    let raw = session.get(peer.url("/")).send().expect("an answer");
    assert_eq!(raw.bytes().expect("as received"), coded_text);
    let decoded = session.get(peer.url("/")).auto_decompress(true).send();
    let decoded = decoded.expect("an answer").text();
    assert_eq!(decoded.expect("decoded"), TEXT);

    for coding in ["compress", "gzip, compress", "x-unknown", "g zip"] {
        let body = coded(coding, &coded_text).bytes().expect("as received");
        assert_eq!(body, coded_text, "{coding}");
    }
    // Where there is no body there is nothing to be damaged.
    assert_eq!(coded("gzip", b"").bytes().expect("nothing").len(), 0);
}

#[test]
fn damage_is_a_payload_error_behind_what_came_before_it() {
    // SPEC R37
    let text = text();
    let whole = gzip(&text);
    let mut flipped = whole.clone();
    // The checksum's first byte: everything was decoded before it is read.
    let checksum = flipped.len() - 8;
    flipped[checksum] ^= 0xff;
    let mut broken = whole.clone();
    broken[3] = 0xff;
    let half_zlib = zlib(&text);
    for (what, coding, body) in [
        ("truncated", "gzip", &whole[..whole.len() / 2]),
        ("without its checksum", "gzip", &whole[..whole.len() - 8]),
        ("with a wrong checksum", "gzip", &flipped[..]),
        ("with a broken header", "gzip", &broken[..]),
        ("no gzip", "gzip", b"plain text"),
        ("one byte", "gzip", &whole[..1]),
        ("a header alone", "gzip", &whole[..10]),
        ("truncated", "deflate", &half_zlib[..half_zlib.len() - 5]),
        ("no deflate", "deflate", b"\xff\xff\xff\xff"),
    ] {
        let (read, error) = drained(coded(coding, body));
        assert!(text.starts_with(&read), "{what} {coding}");
        for error in [error, coded(coding, body).bytes().err()] {
            let error = error.unwrap_or_else(|| panic!("{what} {coding} passed"));
            assert_eq!(error.kind(), Kind::Payload, "{what} {coding}: {error:#}");
            assert_eq!(error.phase(), Some(Phase::Body), "{what} {coding}");
            assert!(error.is_payload() && error.url().is_some());
        }
    }
    let (read, _) = drained(coded("gzip", &flipped));
    assert!(
        read == text,
        "the data before a wrong checksum is handed out"
    );
}

#[test]
fn a_bomb_is_stopped_by_its_ratio() {
    // SPEC R40
    let zeros = vec![0; 8 * 1024 * 1024];
    let bomb = gzip(&gzip(&zeros));
    assert!(bomb.len() < 2_000);
    let (read, error) = drained(coded("gzip, gzip", &bomb));
    let error = error.expect("a limit");
    assert_eq!(error.kind(), Kind::Limit, "{error:#}");
    assert!(
        read.len() <= 2 * 1024 * 1024,
        "{} bytes came out",
        read.len()
    );
    let error = coded("gzip, gzip", &bomb).text().expect_err("a limit");
    assert_eq!(error.kind(), Kind::Limit);

    // Whoever trusts the peer takes it off, or puts it where it suits.
    let packed = gzip(&zeros);
    let bytes = response("200 OK", &[("Content-Encoding", "gzip")], packed);
    let peer = Peer::serve(move |_| bytes.clone());
    let length = |sent: Result<Response, Error>| sent.and_then(Response::bytes).map(|b| b.len());
    for (ratio, passes) in [(0, true), (2_000, true), (100, false)] {
        let session = Session::builder().max_decode_ratio(ratio).build();
        let by_session = length(session.get(peer.url("/")).send());
        let request = Session::new().get(peer.url("/")).max_decode_ratio(ratio);
        for result in [by_session, length(request.send())] {
            match result {
                Ok(length) => assert!(passes && length == zeros.len(), "{ratio}"),
                Err(error) => assert!(!passes && error.kind() == Kind::Limit, "{error:#}"),
            }
        }
    }

    // Plain text that packs well stays below it.
    let dense = "0123456789".repeat(300_000);
    let body = coded("gzip", &gzip(dense.as_bytes())).text();
    assert!(body.expect("the text") == dense);
}

#[test]
fn an_errors_body_is_decoded_as_the_responses_would_be() {
    // SPEC R22
    let text = text();
    let body = gzip(&text);
    let bytes = response("500 Oops", &[("Content-Encoding", "gzip")], &body);
    let peer = Peer::serve(move |_| bytes.clone());
    let session = Session::builder().error_for_status(true).build();
    let error = session.get(peer.url("/")).send().expect_err("500");
    assert_eq!(error.body(), Some(&text[..64 * 1024]));
    let raw = session.get(peer.url("/")).auto_decompress(false).send();
    assert_eq!(raw.expect_err("500").body(), Some(&body[..]));
}

#[test]
fn what_can_be_decoded_is_not_held_back() {
    // SPEC R39: an event is there when it came, not when the next one does.
    use flate2::write::GzEncoder;
    use support::{Gate, WATCHDOG};

    /// A stream in which `data` is complete and which goes on.
    fn flushed(data: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(data).expect("memory takes it");
        encoder.flush().expect("memory takes it");
        encoder.get_ref().clone()
    }

    for length in [100, 32_769, 33_000, 34_000, 36_000, 66_000, 300_000] {
        let event = vec![b'e'; length];
        let stacked = ("gzip, gzip", flushed(&flushed(&event)));
        for (coding, bytes) in [("gzip", flushed(&event)), stacked] {
            let gate = Gate::new();
            let at = gate.clone();
            let peer = Peer::start(move |conn| {
                conn.request()?;
                conn.write(head("200 OK", &[("Content-Encoding", coding)]))?;
                conn.write(&bytes)?;
                at.wait();
                Ok(())
            });
            let response = Session::new().get(peer.url("/")).send();
            let mut response = response.expect("an answer");
            let mut got = 0;
            while got < length {
                let mut chunk = response.start_chunk();
                let chunk = chunk.wait_for(WATCHDOG / 4);
                let chunk = chunk.unwrap_or_else(|| panic!("{got} of {length} by {coding}"));
                got += chunk.expect("a chunk").expect("no end").len();
            }
            assert_eq!(got, length);
            gate.open();
        }
    }
}

#[test]
fn a_body_may_be_given_a_largest_size() {
    // SPEC R40
    let text = text();
    let size = text.len() as u64;
    let packed = gzip(&text);
    let peer = Peer::serve(move |request| match &request.target[..] {
        "/plain" => response("200 OK", &[], &text),
        "/coded" => response("200 OK", &[("Content-Encoding", "gzip")], &packed),
        "/chunked" => {
            let mut bytes = head("200 OK", &[("Transfer-Encoding", "chunked")]);
            for piece in text.chunks(1_000) {
                bytes.extend(format!("{:x}\r\n", piece.len()).bytes());
                bytes.extend([piece, b"\r\n"].concat());
            }
            bytes.extend(b"0\r\n\r\n");
            bytes
        }
        _ => {
            let length = ("Content-Length", "350000");
            head("200 OK", &[length])
        }
    });
    let text = self::text();
    for path in ["/plain", "/coded", "/chunked"] {
        for (most, passes) in [
            (size, true),
            (u64::MAX, true),
            (size - 1, false),
            (0, false),
        ] {
            let session = Session::builder().max_body_size(most).build();
            let by_session = || session.get(peer.url(path)).send().expect("a head");
            let request = || Session::new().get(peer.url(path)).max_body_size(most);
            let by_request = || request().send().expect("a head");
            let mut copy = Vec::new();
            for result in [
                by_session().bytes().map(|body| body.len() as u64),
                by_request().bytes().map(|body| body.len() as u64),
                by_request().copy_to(&mut copy),
            ] {
                match result {
                    Ok(length) => assert!(passes && length == size, "{path} {most}"),
                    Err(error) => {
                        assert!(!passes, "{path} {most}: {error:#}");
                        assert_eq!(error.kind(), Kind::Limit);
                        assert_eq!(error.phase(), Some(Phase::Body));
                        assert!(error.url().is_some());
                    }
                }
            }
            // As much as was allowed is handed out, unless it was clear at once
            // that it would not be enough.
            let (read, error) = drained(by_request());
            assert_eq!(error.is_none(), passes);
            assert!(text.starts_with(&read));
            if path != "/plain" {
                assert_eq!(read.len() as u64, most.min(size), "{path} {most}");
            }
        }
    }
    // What says that it is too long is not even begun, and a reply that has no
    // body is none that is too long.
    let announced = Session::new().get(peer.url("/announced"));
    let announced = announced.max_body_size(349_999).send().expect("a head");
    let (read, error) = drained(announced);
    assert_eq!(
        (read.len(), error.expect("a limit").kind()),
        (0, Kind::Limit)
    );
    let head = Session::new().head(peer.url("/announced"));
    let head = head.max_body_size(1).send().expect("a head");
    assert_eq!(head.bytes().expect("nothing").len(), 0);
}
