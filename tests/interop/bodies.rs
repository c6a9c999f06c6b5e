//! What two servers make of bodies, and of the codings both ways.

use std::io::Cursor;
use std::thread;

use miohttp::{Auth, Body, Encoding};
use serde_json::{Value, json};

use super::{assert_pattern, header, origins, pattern, session};
use crate::support::interop::{Server, servers};

#[test]
fn compressed_uploads_are_undone_by_the_server() {
    // SPEC Q9
    let text = "all work and no play\n".repeat(40);
    for (server, path) in servers(["", "/echo"]).filter(|(_, path)| !path.is_empty()) {
        let session = session(&server);
        for origin in origins(&server) {
            let url = format!("{origin}{path}");
            for (encoding, name) in [(Encoding::Gzip, "gzip"), (Encoding::Deflate, "deflate")] {
                let request = session.post(&url).body(text.clone()).compress(encoding);
                let echo: Value = request.send().unwrap().json().unwrap();
                assert_eq!(header(&echo, "content-encoding"), [name]);
                assert_eq!(header(&echo, "transfer-encoding"), ["chunked"]);
                assert_eq!(echo["length"], json!(text.len()), "{name}");
                assert_eq!(echo["text"], json!(text));
            }
        }
    }
}

#[test]
fn bodies_that_are_made_while_they_are_sent_arrive() {
    // SPEC B5, B6, B8, H5
    let whole = pattern(3 << 20);
    let of = |kind: &str, server: &Server| match kind {
        "reader" => Body::reader(Cursor::new(whole.clone())),
        "sized" => Body::sized_reader(Cursor::new(whole.clone()), whole.len() as u64),
        "iter" => Body::iter(whole.chunks(70_001).map(<[u8]>::to_vec).collect::<Vec<_>>()),
        "file" => {
            let path = server.dir.join("upload.txt");
            std::fs::write(&path, &whole).unwrap();
            Body::file(path)
        }
        _ => {
            let (mut sender, body) = Body::channel();
            let pieces: Vec<Vec<u8>> = whole.chunks(50_003).map(<[u8]>::to_vec).collect();
            thread::spawn(move || {
                for piece in pieces {
                    sender.send(piece).unwrap();
                }
                sender.finish().unwrap();
            });
            body
        }
    };
    for (server, path) in servers(["", "/echo"]).filter(|(_, path)| !path.is_empty()) {
        let session = session(&server);
        for origin in origins(&server) {
            let send = |body: Body| -> Value {
                let request = session.post(format!("{origin}{path}"));
                request.body(body).send().unwrap().json().unwrap()
            };
            let known = send(Body::bytes(whole.clone()));
            assert_eq!(known["length"], json!(whole.len()));
            for kind in ["reader", "sized", "iter", "file", "channel"] {
                let echo = send(of(kind, &server));
                assert_eq!(echo["length"], known["length"], "{kind}");
                assert_eq!(echo["sha256"], known["sha256"], "{kind}");
                let is_chunked = !header(&echo, "transfer-encoding").is_empty();
                assert_eq!(is_chunked, !["sized", "file"].contains(&kind), "{kind}");
            }
        }
    }
}

#[test]
fn a_body_from_a_file_knows_its_length() {
    // SPEC B5, H5
    for (server, path) in servers(["/upload", "/echo"]) {
        let session = session(&server);
        let file = server.dir.join("note.txt");
        std::fs::write(&file, "hello").unwrap();
        let request = session.put(server.tls_url(path)).body(Body::file(&file));
        let text = request.send().unwrap().text().unwrap();
        match path {
            "/upload" => assert_eq!(text, "PUT 5\n"),
            _ => {
                let echo: Value = serde_json::from_str(&text).unwrap();
                assert_eq!(echo["text"], "hello");
                assert_eq!(header(&echo, "content-type"), ["text/plain"]);
                assert_eq!(header(&echo, "content-length"), ["5"]);
            }
        }
    }
}

#[test]
fn any_credentials_open_a_basic_door() {
    // SPEC A7: asked, the body goes with them.
    for (server, path) in servers(["/auth", "/auth"]) {
        let session = session(&server);
        for origin in origins(&server) {
            let url = format!("{origin}{path}");
            let any = Auth::any("user", "secret");
            for sent in [2, 1] {
                let answer = session.get(&url).auth(any.clone()).send().unwrap();
                assert_eq!((answer.status().as_u16(), answer.attempts()), (200, sent));
            }
            let wrong = session.get(&url).auth(Auth::any("user", "guess"));
            assert_eq!(wrong.send().unwrap().status(), 401);
        }
    }
}

#[test]
fn every_coding_is_undone() {
    // SPEC R39, H3
    let all = [
        ("/gzip", true),
        ("/deflate", true),
        ("/br", cfg!(feature = "brotli")),
        ("/zstd", cfg!(feature = "zstd")),
    ];
    for (server, paths) in servers([&[][..], &all]) {
        let session = session(&server);
        for origin in origins(&server) {
            for (path, is_known) in paths {
                let answer = session.get(format!("{origin}{path}")).send().unwrap();
                let body = answer.bytes().unwrap();
                match is_known {
                    true => assert_pattern(&body, 65536),
                    // Unknown ones pass as they are.
                    false => assert!(body.len() < 6000, "{path}"),
                }
            }
        }
    }
}

#[test]
fn ranges_are_cut_by_either_server() {
    // SPEC H3
    let whole = pattern(65536);
    for (server, path) in servers(["/64k", "/file"]) {
        let session = session(&server);
        for origin in origins(&server) {
            let url = format!("{origin}{path}");
            for (range, cut) in [
                ("bytes=0-0", 0..1),
                ("bytes=100-149", 100..150),
                ("bytes=65530-", 65530..65536),
                ("bytes=-7", 65529..65536),
            ] {
                let part = session.get(&url).header("range", range).send().unwrap();
                assert_eq!(part.status(), 206, "{range}");
                let said = format!("bytes {}-{}/65536", cut.start, cut.end - 1);
                assert_eq!(part.headers()["content-range"], *said);
                assert!(part.bytes().unwrap() == whole[cut], "{range}");
            }
            let beyond = session.get(&url).header("range", "bytes=70000-").send();
            assert_eq!(beyond.unwrap().status(), 416);
        }
    }
}
