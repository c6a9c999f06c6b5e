//! What two servers make of bodies, and of the codings both ways.

use miohttp::Encoding;
use serde_json::{Value, json};

use super::{assert_pattern, header, origins, pattern, session};
use crate::support::interop::servers;

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
