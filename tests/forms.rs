//! Forms: how fields and files are written, and which of two ways a form goes.

mod support;

use std::fs;
use std::io::Read;

use miohttp::{Body, Form, Kind, Part, Phase, RequestBuilder, Response, Session};
use support::{Peer, Request, head, ok};

/// Sends one request to a peer that answers anything, and gives what arrived.
fn arrived(build: impl FnOnce(RequestBuilder) -> RequestBuilder) -> Request {
    let peer = Peer::serve(|_| ok(""));
    let request = build(Session::new().post(peer.url("/")));
    assert_eq!(request.send().expect("an answer").status(), 200);
    peer.requests().pop().expect("the peer saw the request")
}

/// Tries a request that must be refused before anything reaches the network.
#[track_caller]
fn refused(build: impl FnOnce(RequestBuilder) -> RequestBuilder) -> miohttp::Error {
    let peer = Peer::serve(|_| ok(""));
    let request = build(Session::new().post(peer.url("/")));
    let error = request.send().expect_err("the request passed");
    assert_eq!(peer.connections(), 0, "it went to the network: {error}");
    assert_eq!(error.phase(), Some(Phase::Request), "{error:?}");
    assert_eq!(error.kind(), Kind::InvalidRequest, "{error:?}");
    error
}

/// A file of its own for each test; removed at the end.
struct Temporary(std::path::PathBuf);

impl Temporary {
    fn new(name: &str, content: &[u8]) -> Self {
        let folder = std::env::temp_dir().join(format!("miohttp-forms-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a temporary folder");
        let path = folder.join(name);
        fs::write(&path, content).expect("a temporary file");
        Self(path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
        if let Some(folder) = self.0.parent() {
            let _ = fs::remove_dir(folder);
        }
    }
}

const TYPE: &str = "application/x-www-form-urlencoded";

#[test]
fn pairs_are_urlencoded() {
    // SPEC B3
    let pairs = [("a b", "c&d=e"), ("ü", "é+%"), ("", ""), ("*-._", "~")];
    let request = arrived(|request| request.body(Body::form(pairs)));
    assert_eq!(request.header("content-type"), Some(TYPE));
    assert_eq!(
        request.text(),
        "a+b=c%26d%3De&%C3%BC=%C3%A9%2B%25&=&*-._=%7E"
    );
    let length = request.body.len().to_string();
    assert_eq!(request.header("content-length"), Some(length.as_str()));
}

#[cfg(feature = "json")]
#[test]
fn a_form_is_anything_that_serializes_to_pairs() {
    // SPEC B3, Q4
    #[derive(serde::Serialize)]
    struct Order {
        item: &'static str,
        count: u32,
        tags: Vec<&'static str>,
        note: Option<&'static str>,
    }
    let order = Order {
        item: "green tea",
        count: 2,
        tags: vec!["hot", "loose"],
        note: None,
    };
    let request = arrived(|request| request.form(&order));
    assert_eq!(request.header("content-type"), Some(TYPE));
    assert_eq!(request.text(), "item=green+tea&count=2&tags=hot&tags=loose");
    let own = "application/x-www-form-urlencoded; charset=utf-8";
    let request = arrived(|request| request.header("content-type", own).form(&[("a", 1)]));
    assert_eq!(request.header("content-type"), Some(own));
    refused(|request| request.form(&"no pairs"));
    refused(|request| request.form(&[("a", 1)]).body("another"));
    refused(|request| request.form(&[("a", 1)]).multipart(Form::new()));
}

#[test]
fn a_form_of_several_parts_is_written_byte_for_byte() {
    // SPEC F1, F3, F4, F5, F7
    let file = Temporary::new("notes.md", b"# Notes\n");
    let request = arrived(|request| {
        let form = Form::new()
            .text("title", "Grüße")
            .bytes("raw", &b"\0\r\n"[..])
            .file("notes", &file.0)
            .part("empty", Part::bytes("").file_name("empty.bin"))
            .part(
                "json",
                Part::text("{}")
                    .content_type("application/json")
                    .header("content-transfer-encoding", "binary"),
            )
            .fields([("tag", "a"), ("tag", "b")]);
        request.multipart(form.boundary("B"))
    });
    let whole = "--B\r\n\
        Content-Disposition: form-data; name=\"title\"\r\n\
        Content-Type: text/plain; charset=utf-8\r\n\r\nGrüße\r\n\
        --B\r\nContent-Disposition: form-data; name=\"raw\"\r\n\
        Content-Type: application/octet-stream\r\n\r\n\0\r\n\r\n\
        --B\r\nContent-Disposition: form-data; name=\"notes\"; filename=\"notes.md\"\r\n\
        Content-Type: text/markdown\r\n\r\n# Notes\n\r\n\
        --B\r\nContent-Disposition: form-data; name=\"empty\"; filename=\"empty.bin\"\r\n\
        Content-Type: application/octet-stream\r\n\r\n\r\n\
        --B\r\nContent-Disposition: form-data; name=\"json\"\r\n\
        Content-Type: application/json\r\n\
        content-transfer-encoding: binary\r\n\r\n{}\r\n\
        --B\r\nContent-Disposition: form-data; name=\"tag\"\r\n\
        Content-Type: text/plain; charset=utf-8\r\n\r\na\r\n\
        --B\r\nContent-Disposition: form-data; name=\"tag\"\r\n\
        Content-Type: text/plain; charset=utf-8\r\n\r\nb\r\n\
        --B--\r\n";
    assert_eq!(request.text(), whole);
    assert_eq!(
        request.header("content-type"),
        Some("multipart/form-data; boundary=B")
    );
    let length = whole.len().to_string();
    assert_eq!(request.header("content-length"), Some(length.as_str()));
    assert_eq!(request.header("transfer-encoding"), None);
}

#[test]
fn a_part_of_unknown_length_makes_the_form_chunked() {
    // SPEC F7
    let request = arrived(|request| {
        let form = Form::new()
            .text("a", "1")
            .reader("log", "log.txt", &b"line\n"[..])
            .part("sized", Part::sized_reader(&b"123"[..], 3))
            .part("any", Part::body(Body::iter(["x", "y"])));
        request.multipart(form.boundary("B"))
    });
    assert_eq!(request.header("content-length"), None);
    assert_eq!(request.header("transfer-encoding"), Some("chunked"));
    let text = request.text();
    let log = "name=\"log\"; filename=\"log.txt\"\r\n\
        Content-Type: application/octet-stream\r\n\r\nline\n\r\n--B\r\n";
    assert!(text.contains(log), "{text}");
    assert!(text.contains("\r\n\r\n123\r\n--B\r\n"), "{text}");
    assert!(text.ends_with("\r\n\r\nxy\r\n--B--\r\n"), "{text}");
    // Sized ones alone leave the length known.
    let request = arrived(|request| {
        let part = Part::sized_reader(&b"123"[..], 3).file_name("n");
        request.multipart(Form::new().part("sized", part))
    });
    let length = request.body.len().to_string();
    assert_eq!(request.header("content-length"), Some(length.as_str()));
}

#[test]
fn names_are_written_as_browsers_write_them() {
    // SPEC F6, F8
    let names = |extended| {
        let request = arrived(|request| {
            let part = Part::text("").file_name("ü\"\r\n%22\\.txt");
            let form = Form::new().part("a \"b\"; c=ö", part);
            request.multipart(form.extended_file_names(extended))
        });
        let text = request.text();
        let line = text.lines().nth(1).expect("a part has headers");
        line.to_owned()
    };
    let written = "Content-Disposition: form-data; name=\"a %22b%22; c=ö\"; \
        filename=\"ü%22%0D%0A%22\\.txt\"";
    assert_eq!(names(false), written);
    let extended = "; filename*=UTF-8''%C3%BC%22%0D%0A%2522%5C.txt";
    assert_eq!(names(true), format!("{written}{extended}"));
}

#[test]
fn nothing_can_be_smuggled_into_a_part() {
    // SPEC F8, H9
    for bad in ["a\rb", "a\nb", "a\0b", "a\r\nX-Own: 1"] {
        refused(|request| request.multipart(Form::new().text(bad, "x")));
        refused(|request| request.body(Form::new().text(bad, "x")));
        let typed = || Part::text("x").content_type(bad);
        refused(|request| request.multipart(Form::new().part("a", typed())));
        let header = || Part::text("x").header("x-own", bad);
        refused(|request| request.multipart(Form::new().part("a", header())));
        let name = || Part::text("x").header(bad, "x");
        refused(|request| request.multipart(Form::new().part("a", name())));
        refused(|request| request.multipart(Form::new().boundary(bad)));
    }
    refused(|request| {
        let part = Part::text("x").file_name("a\0b");
        request.multipart(Form::new().part("a", part))
    });
    refused(|request| {
        let part = Part::text("x").header("content-disposition", "inline");
        request.multipart(Form::new().part("a", part))
    });
    for bad in ["", "ends in space ", "<", "ü", &"x".repeat(71)] {
        refused(|request| request.multipart(Form::new().boundary(bad)));
    }
    let quoted = arrived(|request| request.multipart(Form::new().boundary("a b:c")));
    assert_eq!(
        quoted.header("content-type"),
        Some("multipart/form-data; boundary=\"a b:c\"")
    );
    assert_eq!(quoted.text(), "--a b:c--\r\n");
}

#[test]
fn boundaries_are_drawn_by_chance() {
    // SPEC F5
    let boundary = || {
        let request = arrived(|request| request.multipart(Form::new().text("a", "b")));
        let announced = request.header("content-type").expect("a type").to_owned();
        let boundary = announced.strip_prefix("multipart/form-data; boundary=");
        let boundary = boundary.expect("a boundary").to_owned();
        assert!(request.text().starts_with(&format!("--{boundary}\r\n")));
        assert!(request.text().ends_with(&format!("\r\n--{boundary}--\r\n")));
        boundary
    };
    let (one, other) = (boundary(), boundary());
    assert_ne!(one, other);
    for boundary in [one, other] {
        assert_eq!(boundary.len(), 32);
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        assert!(boundary.bytes().all(is_hex), "{boundary}");
    }
}

#[test]
fn a_form_as_a_body_is_what_a_browsers_would_be() {
    // SPEC F2, F3, F4
    let plain = || Form::from([("a", "b c"), ("d", "é")]).bytes("raw", &b"\xff&"[..]);
    let request = arrived(|request| request.body(plain()));
    assert_eq!(request.header("content-type"), Some(TYPE));
    assert_eq!(request.text(), "a=b+c&d=%C3%A9&raw=%FF%26");
    let collected: Form = vec![("a".to_owned(), "1".to_owned())].into_iter().collect();
    let request = arrived(|request| request.body(collected));
    assert_eq!(request.text(), "a=1");

    let file = Temporary::new("x.txt", b"x");
    for part in [
        Part::file(&file.0),
        Part::text("x").file_name("x"),
        Part::text("x").content_type("text/html"),
        Part::text("x").header("x-own", "1"),
        Part::body("x"),
        Part::reader(&b"x"[..]),
    ] {
        let request = arrived(|request| request.body(plain().part("p", part)));
        let announced = request.header("content-type").unwrap_or_default();
        assert!(
            announced.starts_with("multipart/form-data; "),
            "{announced}"
        );
    }
}

#[test]
fn a_form_can_be_sent_again_if_all_its_parts_can() {
    // SPEC B4, D10
    let peer = Peer::serve(|request| match request.target.as_str() {
        "/first" => head(
            "307 Temporary Redirect",
            &[("Location", "/second"), ("Content-Length", "0")],
        ),
        _ => ok(&request.body),
    });
    let content: Vec<u8> = (0..200_000_u32).map(|n| n as u8).collect();
    let file = Temporary::new("again.bin", &content);
    let session = Session::new();
    let form = Form::new().text("a", "b").file("f", &file.0);
    let sent = session.post(peer.url("/first")).multipart(form).send();
    let echo = sent.and_then(Response::bytes).expect("an echo");
    assert!(echo.windows(content.len()).any(|window| window == content));
    let requests = peer.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests[0].body == requests[1].body);

    let form = Form::new().reader("f", "n", &b"once"[..]);
    let sent = session.post(peer.url("/first")).multipart(form).send();
    let error = sent.expect_err("it is spent");
    assert_eq!(error.kind(), Kind::BodyNotReplayable);
}

#[test]
fn a_part_that_fails_fails_the_request() {
    // SPEC B8, H5
    let peer = Peer::serve(|_| ok(""));
    let send = |form: Form| {
        let sent = Session::new().post(peer.url("/")).multipart(form).send();
        sent.expect_err("half a form")
    };
    // One part's surplus does not pass for another's want.
    for (one, other) in [(4, 2), (2, 4)] {
        let form = Form::new()
            .part("one", Part::sized_reader(&b"123"[..], one))
            .part("other", Part::sized_reader(&b"123"[..], other));
        let error = send(form);
        assert_eq!(
            (error.kind(), error.phase()),
            (Kind::InvalidRequest, Some(Phase::Send))
        );
    }
    let missing = send(Form::new().file("f", "/no/such/file/for/miohttp"));
    assert_eq!(missing.kind(), Kind::Io);
    assert_eq!(missing.phase(), Some(Phase::Request));
}

#[test]
fn nothing_of_a_form_is_shown() {
    // SPEC F1
    let form = Form::new().text("password", "hunter2");
    let shown = format!("{form:?} {:?}", Part::text("hunter2").file_name("hunter2"));
    assert!(
        shown.contains("password") && !shown.contains("hunter2"),
        "{shown}"
    );
    let mut reader = std::io::empty();
    assert_eq!(reader.read(&mut [0]).ok(), Some(0));
}
