//! What aiohttp and httpbin read out of forms, and files that come in two runs.

use std::fs;
use std::io::Cursor;
use std::time::Duration;

use miohttp::{Form, Kind, Part, Session};
use serde_json::{Value, json};

use super::{assert_pattern, header, origins, pattern, session};
use crate::support::fetch::Scratch;
use crate::support::interop::{Server, server, servers};

const PAIRS: [(&str, &str); 6] = [
    ("q", "a&b=c; d+e%20"),
    ("q", "two"),
    ("\u{fc}", "\u{20ac} \u{1f600}"),
    ("empty", ""),
    ("lines", "a\r\nb\nc"),
    ("a b", "*-._~\"<>"),
];

/// A field that is no file, as aiohttp tells it.
fn field(name: &str, value: &str) -> Value {
    json!({"name": name, "value": value})
}

/// Plain and by TLS, with a session of its own each time.
fn everywhere(server: &Server, mut ask: impl FnMut(&Session, &str)) {
    for origin in origins(server) {
        ask(&session(server), &origin);
    }
}

#[test]
fn urlencoded_pairs_are_read_as_they_were_meant() {
    // SPEC B3, Q4
    if let Some(aiohttp) = server("aiohttp") {
        everywhere(&aiohttp, |session, origin| {
            let request = session.post(format!("{origin}/form")).form(&PAIRS);
            let said: Value = request.send().unwrap().json().unwrap();
            let fields: Vec<Value> = PAIRS.iter().map(|(n, v)| field(n, v)).collect();
            assert_eq!(said["type"], "application/x-www-form-urlencoded");
            assert_eq!(said["fields"], json!(fields));
        });
    }
    if let Some(httpbin) = server("httpbin") {
        everywhere(&httpbin, |session, origin| {
            let request = session.post(format!("{origin}/post")).form(&PAIRS);
            let said: Value = request.send().unwrap().json().unwrap();
            let [first, second, rest @ ..] = PAIRS;
            let mut fields = json!({"q": [first.1, second.1]});
            for (name, value) in rest {
                fields[name] = value.into();
            }
            assert_eq!(said["form"], fields);
            assert_eq!((&said["data"], &said["files"]), (&json!(""), &json!({})));
        });
    }
}

/// A form of everything: repeated fields, odd names, all bytes, a line that
/// looks like a boundary; the file from disk, and readers if asked for.
fn everything(folder: &Scratch, large: &[u8]) -> Form {
    let path = folder.0.join("\u{e4} note; 100%.txt");
    fs::write(&path, "hello").unwrap();
    let bytes: Vec<u8> = (0..=255).collect();
    PAIRS
        .iter()
        .fold(Form::new(), |form, (name, value)| form.text(*name, *value))
        .text("a \"b\"; c", "\r\n--x--\r\n")
        .part("bytes", Part::bytes(bytes).file_name("all.bin"))
        .file("note", path)
        .part(
            "sized",
            Part::sized_reader(Cursor::new(large.to_vec()), large.len() as u64)
                .file_name("large; \"1\".bin"),
        )
}

#[test]
fn multipart_is_read_as_it_was_meant() {
    // SPEC F1, F2, F3, F5, F6, F7
    let Some(aiohttp) = server("aiohttp") else {
        return;
    };
    let folder = Scratch::new("interop-forms");
    let large = pattern(300_001);
    everywhere(&aiohttp, |session, origin| {
        // What the server makes of the same bytes with no form around them.
        let hash = |content: &[u8]| -> Value {
            let request = session.post(format!("{origin}/echo"));
            let echo: Value = request
                .body(content.to_vec())
                .send()
                .unwrap()
                .json()
                .unwrap();
            echo["sha256"].clone()
        };
        let file = |name: &str, filename: &str, kind: &str, content: &[u8]| {
            json!({
                "name": name,
                "filename": filename,
                "type": kind,
                "length": content.len(),
                "sha256": hash(content),
            })
        };
        let bytes: Vec<u8> = (0..=255).collect();
        let binary = "application/octet-stream";
        let mut fields: Vec<Value> = PAIRS.iter().map(|(n, v)| field(n, v)).collect();
        fields.extend([
            // As browsers escape it; undoing that is left to the application.
            field("a %22b%22; c", "\r\n--x--\r\n"),
            file("bytes", "all.bin", binary, &bytes),
            file("note", "\u{e4} note; 100%.txt", "text/plain", b"hello"),
            file("sized", "large; %221%22.bin", binary, &large),
        ]);
        let send = |form: Form| -> Value {
            let request = session.post(format!("{origin}/form")).multipart(form);
            request.send().unwrap().json().unwrap()
        };
        let said = send(everything(&folder, &large));
        assert_eq!(said["type"], "multipart/form-data");
        assert_eq!(said["fields"], json!(fields));

        // With a reader of unknown length it goes in chunks, and means the same.
        let unsized_one = everything(&folder, &large).reader(
            "unsized",
            "\u{20ac}.bin",
            Cursor::new(large.clone()),
        );
        fields.push(file("unsized", "\u{20ac}.bin", binary, &large));
        assert_eq!(send(unsized_one)["fields"], json!(fields));

        // The other way of saying the name has no escapes to undo.
        let part = Part::text("x").file_name("\u{fc} \"1\"%22.txt");
        let said = send(Form::new().part("f", part).extended_file_names(true));
        assert_eq!(said["fields"][0]["filename"], "\u{fc} \"1\"%22.txt");
    });
}

#[test]
fn a_multipart_form_has_a_length_where_its_parts_have() {
    // SPEC F7
    let Some(aiohttp) = server("aiohttp") else {
        return;
    };
    let folder = Scratch::new("interop-forms-length");
    everywhere(&aiohttp, |session, origin| {
        let send = |form: Form| -> Value {
            let request = session.post(format!("{origin}/echo")).multipart(form);
            request.send().unwrap().json().unwrap()
        };
        let echo = send(everything(&folder, b"12345"));
        assert_eq!(
            header(&echo, "content-length"),
            [echo["length"].to_string()]
        );
        assert!(header(&echo, "transfer-encoding").is_empty());
        let echo = send(everything(&folder, b"12345").reader("u", "u", Cursor::new("x")));
        assert_eq!(header(&echo, "transfer-encoding"), ["chunked"]);
        assert!(header(&echo, "content-length").is_empty());
    });
}

#[test]
fn multipart_is_read_by_httpbin_too() {
    // SPEC F1, F3, F5, F6, F7
    let Some(httpbin) = server("httpbin") else {
        return;
    };
    let folder = Scratch::new("interop-forms-httpbin");
    let large = pattern(300_001);
    everywhere(&httpbin, |session, origin| {
        let text = String::from_utf8(large.clone()).unwrap();
        let mut form = json!({
            "q": [PAIRS[0].1, PAIRS[1].1],
            // This one undoes what browsers escape.
            "a \"b\"; c": "\r\n--x--\r\n",
        });
        for (name, value) in &PAIRS[2..] {
            form[*name] = (*value).into();
        }
        for is_sized in [true, false] {
            let mut sent = everything(&folder, &large);
            if !is_sized {
                sent = sent.reader("unsized", "u.bin", Cursor::new("end"));
            }
            let request = session.post(format!("{origin}/post")).multipart(sent);
            let said: Value = request.send().unwrap().json().unwrap();
            assert_eq!(said["form"], form);
            let files = &said["files"];
            assert_eq!(files["note"], "hello");
            assert_eq!(files["sized"], text);
            let bytes = files["bytes"].as_str().unwrap();
            assert!(
                bytes.starts_with("data:application/octet-stream;base64,AAECAwQF"),
                "{bytes}"
            );
            assert!(bytes.ends_with("+fr7/P3+/w=="), "{bytes}");
            let expected = if is_sized { Value::Null } else { json!("end") };
            assert_eq!(files["unsized"], expected);
        }
    });
}

#[test]
fn a_download_goes_on_where_it_was_left() {
    const LENGTH: usize = 100 << 20;
    for (server, path) in servers(["/100m", "/file/100m"]) {
        let folder = Scratch::new("interop-download");
        everywhere(&server, |session, origin| {
            let url = format!("{origin}{path}");
            let file = folder.0.join("100m");
            let ends = session.clone();
            let first = session.download(&url, &file).progress(move |now| {
                if now.received() > 1 << 20 {
                    ends.connector().close();
                }
            });
            assert_eq!(first.run().unwrap_err().kind(), Kind::Closed);
            assert!(!file.exists());

            let session = super::session(&server);
            let second = session.download(&url, &file);
            let done = second.retry_delay(Duration::ZERO).run().unwrap();
            assert!(done.resumed_from() > 1 << 20, "{}", done.resumed_from());
            assert_eq!((done.attempts(), done.length()), (1, LENGTH as u64));
            assert_pattern(&fs::read(&file).unwrap(), LENGTH);
            fs::remove_file(&file).unwrap();
        });
    }
}
