//! Request bodies that are sent compressed (SPEC Q9).
#![cfg(feature = "gzip")]

mod support;

use std::io::Read;

use flate2::read::{MultiGzDecoder, ZlibDecoder};
use miohttp::{Body, Encoding, Kind, Session, Version};
use support::{Peer, Request, ok, response};

fn text() -> String {
    "all work and no play makes jack a dull boy\n".repeat(5_000)
}

/// What a body of this coding means.
fn decoded(coding: &str, body: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let read = match coding {
        "gzip" => MultiGzDecoder::new(body).read_to_end(&mut text),
        "deflate" => ZlibDecoder::new(body).read_to_end(&mut text),
        #[cfg(feature = "brotli")]
        "br" => brotli::Decompressor::new(body, 4096).read_to_end(&mut text),
        #[cfg(feature = "zstd")]
        "zstd" => {
            text.resize(1 << 20, 0);
            let length = zstd_safe::decompress(&mut text[..], body).expect("zstd");
            text.truncate(length);
            Ok(length)
        }
        other => panic!("the coding {other}"),
    };
    read.expect("it is of that coding");
    text
}

fn all() -> Vec<(&'static str, Encoding)> {
    vec![
        ("deflate", Encoding::Deflate),
        ("gzip", Encoding::Gzip),
        #[cfg(feature = "brotli")]
        ("br", Encoding::Brotli),
        #[cfg(feature = "zstd")]
        ("zstd", Encoding::Zstd),
    ]
}

#[track_caller]
fn check(request: &Request, coding: &str, body: &[u8]) {
    assert_eq!(request.header("content-encoding"), Some(coding));
    assert_eq!(request.header("transfer-encoding"), Some("chunked"));
    assert_eq!(request.header("content-length"), None);
    assert!(decoded(coding, &request.body) == body, "{coding}");
}

#[test]
fn a_body_is_sent_in_every_coding() {
    // SPEC Q9
    let peer = Peer::serve(|_| ok(""));
    let session = Session::new();
    let text = text();
    let bytes: Vec<u8> = text.bytes().rev().collect();
    for (name, encoding) in all() {
        let post = || session.post(peer.url("/")).compress(encoding);
        post().body(text.clone()).send().expect("an answer");
        let requests = peer.requests();
        let request = requests.last().expect("a request");
        check(request, name, text.as_bytes());
        assert!(
            request.body.len() < text.len() / 10,
            "{}",
            request.body.len()
        );
        // The type is still that of what is compressed.
        assert_eq!(
            request.header("content-type"),
            Some("text/plain; charset=utf-8")
        );

        post().body(bytes.clone()).send().expect("an answer");
        check(peer.requests().last().expect("a request"), name, &bytes);
        let pieces = Body::pieces(text.lines().map(str::to_owned));
        post().body(pieces).start_send().wait().expect("an answer");
        let joined = text.replace('\n', "");
        check(
            peer.requests().last().expect("a request"),
            name,
            joined.as_bytes(),
        );
    }
    // It is chunked anyway, so asking for that is no contradiction.
    let post = session.post(peer.url("/")).compress(Encoding::Gzip);
    let post = post.chunked(true).body(text.clone());
    post.send().expect("an answer");
    check(
        peer.requests().last().expect("a request"),
        "gzip",
        text.as_bytes(),
    );
    drop(session);
    peer.finish();
}

#[test]
fn an_empty_body_is_not_compressed() {
    // SPEC Q9
    let peer = Peer::serve(|_| ok(""));
    let session = Session::new();
    let post = || session.post(peer.url("/")).compress(Encoding::Gzip);
    post().send().expect("an answer");
    post().body("").send().expect("an answer");
    // Nothing is contradicted where nothing is compressed.
    let other = post().header("content-encoding", "x-own").body("");
    other.send().expect("an answer");
    for (request, coding) in peer.requests().iter().zip([None, None, Some("x-own")]) {
        assert_eq!(request.header("content-encoding"), coding);
        assert_eq!(request.header("transfer-encoding"), None);
        assert_eq!(request.header("content-length"), Some("0"));
    }
    drop(session);
    peer.finish();
}

#[test]
fn what_contradicts_it_is_an_error_at_the_verb() {
    // SPEC Q9
    let peer = Peer::serve(|_| ok(""));
    let session = Session::builder()
        .default_header("content-encoding", "x")
        .build();
    let plain = Session::new();
    let post = |session: &Session| {
        let post = session.post(peer.url("/"));
        post.body("text").compress(Encoding::Deflate)
    };
    for request in [
        post(&session),
        post(&plain).header("content-encoding", "gzip"),
        post(&plain).header("content-encoding", "identity"),
        post(&plain).header("content-length", "4"),
        post(&plain).version(Version::HTTP_10),
    ] {
        let error = request.send().expect_err("a contradiction");
        assert_eq!(error.kind(), Kind::InvalidRequest, "{error:#}");
        assert!(error.url().is_some());
    }
    assert_eq!(peer.request_count(), 0);
    // To ask for chunks as well is none.
    let twice = post(&plain).header("transfer-encoding", "chunked");
    twice.send().expect("an answer");
    check(&peer.requests()[0], "deflate", b"text");
}

#[test]
fn a_redirect_sends_it_again_or_drops_all_of_it() {
    // SPEC Q9, D2, D3
    let peer = Peer::serve(|request| match &request.target[..] {
        "/kept" => response("307 Over there", &[("Location", "/")], ""),
        "/dropped" => response("303 Over there", &[("Location", "/")], ""),
        _ => ok(""),
    });
    let session = Session::new();
    for path in ["/kept", "/dropped"] {
        let post = session.post(peer.url(path)).body("text");
        post.compress(Encoding::Gzip).send().expect("an answer");
    }
    let requests = peer.requests();
    for request in &requests[..3] {
        check(request, "gzip", b"text");
    }
    let get = &requests[3];
    assert_eq!(get.line(), "GET /");
    assert_eq!(get.header("content-encoding"), None);
    assert_eq!(get.header("transfer-encoding"), None);
    assert_eq!(get.body.len(), 0);
    drop(session);
    peer.finish();
}

#[test]
fn what_is_read_while_it_is_sent_is_compressed_in_every_coding() {
    // SPEC Q9
    let peer = Peer::serve(|request| match &request.target[..] {
        "/again" => response("307 Over there", &[("Location", "/")], ""),
        _ => ok(""),
    });
    let session = Session::new();
    let text = text();
    for (name, encoding) in all() {
        let post = || session.post(peer.url("/")).compress(encoding);
        let reader = Body::reader(std::io::Cursor::new(text.clone()));
        post().body(reader).send().expect("an answer");
        check(
            &peer.requests()[peer.request_count() - 1],
            name,
            text.as_bytes(),
        );
        let sized = Body::sized_reader(std::io::Cursor::new("short"), 5);
        post().body(sized).start_send().wait().expect("an answer");
        check(&peer.requests()[peer.request_count() - 1], name, b"short");
    }
    // What has no bytes after all is still one whole body of its coding.
    let post = session.post(peer.url("/")).compress(Encoding::Gzip);
    post.body(Body::reader(std::io::empty()))
        .send()
        .expect("an answer");
    check(&peer.requests()[peer.request_count() - 1], "gzip", b"");
    // What can be read once cannot be sent again, compressed or not.
    let post = session.post(peer.url("/again")).compress(Encoding::Gzip);
    let once = Body::reader(std::io::Cursor::new("once"));
    let error = post.body(once).send().expect_err("it is spent");
    assert_eq!(error.kind(), Kind::BodyNotReplayable, "{error:#}");
}
