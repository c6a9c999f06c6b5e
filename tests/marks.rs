//! Bodies chunk by chunk, as the server cut them. Every story is told with both
//! drivers.

mod support;

use miohttp::{Connector, Response, Session};
use support::{Gate, Peer, chunked, head, ok};

/// Sessions whose connections are driven by the caller, and by the reactor.
fn sessions() -> [Session; 2] {
    [true, false].map(|drives| {
        let connector = Connector::builder().caller_drives(drives).build();
        Session::builder().connector(connector).build()
    })
}

fn asked(session: &Session, url: &str) -> Response {
    let request = session.get(url).chunk_marks(true);
    request.send().expect("an answer")
}

/// What stands between the marks, and what follows the last one.
fn cut(mut next: impl FnMut() -> Option<(miohttp::Bytes, bool)>) -> (Vec<Vec<u8>>, Vec<u8>) {
    let (mut chunks, mut rest) = (Vec::new(), Vec::new());
    while let Some((piece, ends)) = next() {
        assert!(ends || !piece.is_empty(), "nothing and no end of anything");
        rest.extend_from_slice(&piece);
        if ends {
            chunks.push(std::mem::take(&mut rest));
        }
    }
    (chunks, rest)
}

#[test]
fn chunks_are_told_apart_however_they_arrive() {
    // SPEC R33
    let large = vec![b'x'; 700_000];
    let parts: [&[u8]; 5] = [b"one", b"2", &large, b"", b"the last one"];
    let parts: Vec<&[u8]> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    let small: [&[u8]; 3] = [b"a", b"b", b"cd"];
    for session in sessions() {
        for parts in [&parts[..], &small[..]] {
            let wanted: Vec<Vec<u8>> = parts.iter().map(|part| part.to_vec()).collect();
            let body = chunked(parts);
            for bytewise in [false, true] {
                if bytewise && body.len() > 1000 {
                    continue;
                }
                let body = body.clone();
                let peer = Peer::start(move |conn| {
                    while conn.next_request()?.is_some() {
                        match bytewise {
                            false => conn.write(&body)?,
                            true => conn.write_bytewise(&body)?,
                        }
                    }
                    Ok(())
                });
                let mut response = asked(&session, &peer.url("/"));
                let (chunks, rest) = cut(|| response.read_chunk().expect("a piece"));
                assert!(chunks == wanted, "{} chunks", chunks.len());
                assert!(rest.is_empty());
                let mut response = asked(&session, &peer.url("/"));
                let next = || response.start_read_chunk().wait().expect("a piece");
                assert!(cut(next).0 == wanted);
                // The marks are in nobody else's way.
                let whole = asked(&session, &peer.url("/")).bytes();
                assert_eq!(whole.expect("a body"), wanted.concat());
                let mut response = asked(&session, &peer.url("/"));
                let mut all = Vec::new();
                while let Some(piece) = response.chunk().expect("a piece") {
                    assert!(!piece.is_empty());
                    all.extend_from_slice(&piece);
                }
                assert_eq!(all, wanted.concat());
                assert_eq!(peer.connections(), 1);
            }
        }
    }
}

#[test]
fn an_end_that_comes_later_is_told_with_nothing() {
    // SPEC R33
    for session in sessions() {
        let gate = Gate::new();
        let ended = gate.clone();
        let peer = Peer::start(move |conn| {
            conn.request()?;
            conn.write(head("200 OK", &[("Transfer-Encoding", "chunked")]))?;
            conn.write("5\r\nhello")?;
            ended.wait();
            conn.write("\r\n0\r\n\r\n")
        });
        let mut response = asked(&session, &peer.url("/"));
        let (piece, ends) = response.read_chunk().expect("a piece").expect("data");
        assert_eq!((&piece[..], ends), (&b"hello"[..], false));
        gate.open();
        let (piece, ends) = response.read_chunk().expect("a piece").expect("a mark");
        assert_eq!((&piece[..], ends), (&b""[..], true));
        assert_eq!(response.read_chunk().expect("the end"), None);
        assert_eq!(response.read_chunk().expect("still"), None);
    }
}

#[test]
fn without_chunks_or_without_asking_there_are_no_marks() {
    // SPEC R33
    for session in sessions() {
        let peer = Peer::serve(|request| match request.target.as_str() {
            "/length" => ok("all of it"),
            "/nothing" => ok(""),
            _ => chunked(&[b"all", b" of it"]),
        });
        let mut response = asked(&session, &peer.url("/length"));
        let (chunks, rest) = cut(|| response.read_chunk().expect("a piece"));
        assert_eq!((chunks.len(), &rest[..]), (0, &b"all of it"[..]));
        let mut response = asked(&session, &peer.url("/nothing"));
        assert_eq!(response.read_chunk().expect("the end"), None);
        let request = session.get(peer.url("/chunks"));
        let mut response = request.send().expect("an answer");
        let (chunks, rest) = cut(|| response.read_chunk().expect("a piece"));
        assert_eq!((chunks.len(), &rest[..]), (0, &b"all of it"[..]));
    }
}

#[cfg(feature = "gzip")]
#[test]
fn the_marks_of_a_coded_body_lie_in_what_was_decoded() {
    // SPEC R33, R39
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let mut chunks = Vec::new();
    for text in ["first ", "second ", "third"] {
        encoder.write_all(text.as_bytes()).expect("in memory");
        encoder.flush().expect("in memory");
        chunks.push(std::mem::take(encoder.get_mut()));
    }
    chunks.push(encoder.finish().expect("in memory"));
    for session in sessions() {
        let chunks = chunks.clone();
        let peer = Peer::serve(move |_| {
            let parts: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
            let plain = String::from_utf8_lossy(&chunked(&[])).into_owned();
            let start = plain.find("\r\n\r\n").expect("a head") + 4;
            let mut bytes = head(
                "200 OK",
                &[
                    ("Transfer-Encoding", "chunked"),
                    ("Content-Encoding", "gzip"),
                ],
            );
            bytes.extend_from_slice(&chunked(&parts)[start..]);
            bytes
        });
        let mut response = asked(&session, &peer.url("/"));
        let (chunks, rest) = cut(|| response.read_chunk().expect("a piece"));
        let texts = [&b"first "[..], b"second ", b"third", b""];
        assert_eq!(chunks, texts);
        assert!(rest.is_empty());
    }
}
