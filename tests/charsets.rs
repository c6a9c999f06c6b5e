//! Text and JSON in whatever charset they come, and types that are not what was
//! expected.

mod support;

use std::sync::{Arc, Mutex};

use miohttp::{Error, Kind, Response, Session};
use support::{Peer, response};

/// The answer to one GET: a body of this type.
fn typed(session: &Session, content_type: &str, body: &[u8]) -> Response {
    let answer = response("200 OK", &[("Content-Type", content_type)], body);
    let peer = Peer::start(move |conn| {
        conn.request()?;
        conn.write(&answer)
    });
    let response = session.get(peer.url("/")).send().expect("an answer");
    peer.finish();
    response
}

#[test]
fn text_is_what_its_mark_says_before_what_is_declared() {
    // SPEC R21, J1
    let session = Session::new();
    for (content_type, body, want) in [
        ("text/plain", &b"\xc3\xa4"[..], "\u{e4}"),
        ("text/plain; charset=UTF-8", b"\xc3\xa4", "\u{e4}"),
        ("text/plain", b"a\xe4b", "a\u{fffd}b"),
        (
            "text/plain; charset=latin1",
            b"\xef\xbb\xbf\xc3\xa4",
            "\u{e4}",
        ),
        ("text/plain; charset=latin1", b"\xff\xfe\xe4\0", "\u{e4}"),
        ("text/plain", b"\xfe\xff\0\xe4", "\u{e4}"),
        ("text/plain; charset=us-ascii", b"\xc3\xa4", "\u{e4}"),
    ] {
        let get = || typed(&session, content_type, body);
        assert_eq!(get().text().expect("text"), want, "{content_type} {body:?}");
        assert_eq!(get().start_text().wait().expect("text"), want);
        assert_eq!(get().text_with("utf-8").expect("text"), want);
        assert_eq!(get().start_text_with("UTF8").wait().expect("text"), want);
    }
}

#[test]
fn strict_text_is_whole_or_an_error() {
    // SPEC R21
    let session = Session::new();
    let whole = || typed(&session, "text/plain", b"\xc3\xa4");
    assert_eq!(whole().text_strict().expect("text"), "\u{e4}");
    assert_eq!(whole().start_text_strict().wait().expect("text"), "\u{e4}");
    let damaged = || typed(&session, "text/plain", b"ab\xc3");
    let check = |error: Error| {
        assert_eq!(error.kind(), Kind::Decode);
        assert!(format!("{error:#}").contains("byte 2"), "{error:#}");
        assert!(error.url().is_some(), "it says whose body it was");
    };
    check(damaged().text_strict().expect_err("damaged"));
    check(damaged().start_text_strict().wait().expect_err("damaged"));
    assert_eq!(damaged().text().expect("replaced"), "ab\u{fffd}");
}

#[test]
fn a_fallback_is_asked_where_nothing_says_it() {
    // SPEC S22, J1
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let session = Session::builder()
        .charset_fallback(move |response, body| {
            let kind = response.content_type().essence().to_owned();
            log.lock().expect("a log").push((kind, body.to_vec()));
            "no-such-charset".to_owned()
        })
        .build();
    for (content_type, body) in [
        ("text/plain; charset=utf-8", &b"a"[..]),
        ("text/plain", b"\xef\xbb\xbfa"),
        ("application/json", b"a"),
        ("application/x+json", b"a"),
    ] {
        let get = || typed(&session, content_type, body);
        assert_eq!(get().text().expect("text"), "a");
        assert_eq!(get().start_text().wait().expect("text"), "a");
    }
    assert!(asked.lock().expect("a log").is_empty(), "all of it is said");
    let error = typed(&session, "text/html", b"b")
        .text()
        .expect_err("no such");
    assert_eq!(error.kind(), Kind::Decode);
    assert!(error.to_string().contains("no-such-charset"), "{error}");
    let started = typed(&session, "text/x", b"c").start_text().wait();
    assert_eq!(started.expect_err("no such").kind(), Kind::Decode);
    let log = asked.lock().expect("a log");
    let want = [("text/html", &b"b"[..]), ("text/x", b"c")];
    assert!(
        log.iter()
            .map(|(kind, body)| (&kind[..], &body[..]))
            .eq(want)
    );
    drop(log);

    // The request's own goes before the session's.
    let answer = response("200 OK", &[], b"\xc3\xa4");
    let peer = Peer::serve(move |_| answer.clone());
    let request = session.get(peer.url("/")).charset_fallback(|_, _| "utf-8");
    let text = request.send().expect("an answer").text().expect("text");
    assert_eq!(text, "\u{e4}");
}

#[test]
fn the_head_tells_the_charset_as_far_as_it_knows() {
    // SPEC R5, R26
    let session = Session::new();
    let known = cfg!(feature = "charset");
    let latin = if known { "windows-1252" } else { "latin1" };
    for (content_type, charset, encoding) in [
        ("text/plain; charset=\"UTF8\"", Some("UTF8"), Some("utf-8")),
        ("text/plain; charset=Latin1", Some("Latin1"), Some(latin)),
        ("text/plain", None, None),
        ("application/json", None, Some("utf-8")),
        ("nonsense; charset=utf-8", None, None),
    ] {
        let response = typed(&session, content_type, b"");
        assert_eq!(response.charset().as_deref(), charset, "{content_type}");
        assert_eq!(response.encoding().as_deref(), encoding, "{content_type}");
    }
}

#[cfg(not(feature = "charset"))]
#[test]
fn a_foreign_charset_is_a_clear_error() {
    // SPEC J1
    let session = Session::new();
    let get = || typed(&session, "text/plain; charset=latin1", b"\xe4");
    let check = |error: Error| {
        assert_eq!(error.kind(), Kind::Decode);
        let text = error.to_string();
        assert!(
            text.contains("latin1") && text.contains("feature"),
            "{text}"
        );
    };
    check(get().text().expect_err("foreign"));
    check(get().start_text().wait().expect_err("foreign"));
    check(get().text_strict().expect_err("foreign"));
    let plain = || typed(&session, "text/plain", b"\xe4");
    check(plain().text_with("latin1").expect_err("foreign"));
}

#[cfg(feature = "charset")]
mod foreign {
    use super::*;

    #[test]
    fn declared_charsets_are_decoded() {
        // SPEC J1, R21
        let session = Session::new();
        for (content_type, body, want) in [
            ("text/plain; charset=latin1", &b"\xe4"[..], "\u{e4}"),
            ("text/plain; charset=shift_jis", b"\x93\xfa", "\u{65e5}"),
            ("text/plain; charset=utf-16be", b"\0a", "a"),
            // Nobody knows it, so it says nothing.
            ("text/plain; charset=no-such-charset", b"\xc3\xa4", "\u{e4}"),
        ] {
            let get = || typed(&session, content_type, body);
            assert_eq!(get().text().expect("text"), want, "{content_type}");
            assert_eq!(get().start_text().wait().expect("text"), want);
            assert_eq!(get().text_strict().expect("text"), want);
        }
        let argument = typed(&session, "text/plain; charset=utf-8", b"\xe4").text_with("latin1");
        assert_eq!(argument.expect("text"), "\u{e4}");
        let nobody = typed(&session, "text/plain", b"a").text_with("no-such-charset");
        assert_eq!(nobody.expect_err("no such").kind(), Kind::Decode);
        let damaged = typed(&session, "text/plain; charset=shift_jis", b"\x93");
        assert_eq!(
            damaged.text_strict().expect_err("damaged").kind(),
            Kind::Decode
        );
    }

    #[test]
    fn what_nobody_declares_can_be_guessed() {
        // SPEC S22, J1
        let session = Session::builder()
            .charset_fallback(miohttp::detect_charset)
            .build();
        let (russian, ..) = (
            b"\xd1\xfa\xe5\xf8\xfc \xe6\xe5 \xe5\xf9\xb8 \xfd\xf2\xe8\xf5 \xec\xff\xe3\xea\xe8\xf5",
        );
        let text = typed(&session, "text/plain", russian).text().expect("text");
        assert!(
            text.starts_with("\u{421}\u{44a}\u{435}\u{448}\u{44c}"),
            "{text}"
        );
        let utf8 = typed(&session, "text/plain", b"\xc3\xa4").text();
        assert_eq!(utf8.expect("text"), "\u{e4}");
        let plain = typed(&Session::new(), "text/plain", russian).text();
        assert!(
            plain.expect("text").contains('\u{fffd}'),
            "only where it is asked for"
        );
    }

    #[cfg(feature = "json")]
    #[test]
    fn json_may_be_in_the_charset_it_declares() {
        // SPEC R23, J2
        let session = Session::new();
        let json = |content_type, body| typed(&session, content_type, body).json::<String>();
        let latin = json("application/json; charset=latin1", b"\"\xe4\"");
        assert_eq!(latin.expect("JSON"), "\u{e4}");
        let wide = json("application/json; charset=utf-16le", b"\"\0a\0\"\0");
        assert_eq!(wide.expect("JSON"), "a");
        let utf8 = json("application/json; charset=latin1", b"\"\xc3\xa4\"");
        assert_eq!(utf8.expect("JSON"), "\u{e4}", "RFC 8259 has it in UTF-8");
    }
}

#[cfg(feature = "json")]
mod json {
    use super::*;

    #[test]
    fn strict_json_wants_the_type_before_the_body() {
        // SPEC J2
        let session = Session::new();
        for (content_type, body) in [
            ("application/json", &b"[1]"[..]),
            ("Application/Problem+JSON; charset=utf-8", b"[1]"),
        ] {
            let get = || typed(&session, content_type, body);
            assert_eq!(get().json_strict::<Vec<u8>>().expect("JSON"), [1]);
            let started = get().start_json_strict::<Vec<u8>>().wait();
            assert_eq!(started.expect("JSON"), [1]);
        }
        let html = || typed(&session, "text/html; charset=utf-8", b"<p>");
        assert!(html().json::<Vec<u8>>().expect_err("no JSON").is_decode());
        let check = |error: Error| {
            assert_eq!(error.kind(), Kind::ContentType);
            assert!(error.is_response() && !error.is_decode());
            assert_eq!(error.status().map(|status| status.as_u16()), Some(200));
            let headers = error.headers().expect("headers");
            assert_eq!(headers["content-type"], "text/html; charset=utf-8");
            assert_eq!(error.body(), Some(&b"<p>"[..]));
            assert!(error.to_string().contains("text/html"), "{error}");
            assert!(error.url().is_some() && error.peer().is_some());
        };
        check(html().json_strict::<Vec<u8>>().expect_err("HTML"));
        check(
            html()
                .start_json_strict::<Vec<u8>>()
                .wait()
                .expect_err("HTML"),
        );
        // It is JSON to `json`, which does not look.
        let untyped = typed(&session, "nonsense", b"[1]").json::<Vec<u8>>();
        assert_eq!(untyped.expect("JSON"), [1]);
        let nonsense = typed(&session, "nonsense", b"[1]").json_strict::<Vec<u8>>();
        assert_eq!(nonsense.expect_err("no type").kind(), Kind::ContentType);
    }

    #[test]
    fn the_wrong_type_is_told_without_waiting_for_the_body() {
        // SPEC J2
        let peer = Peer::start(|conn| {
            conn.request()?;
            let fields = [("Content-Type", "text/html"), ("Content-Length", "1000000")];
            conn.write(support::head("503 Busy", &fields))?;
            conn.write("<p>")?;
            // The rest never comes.
            conn.wait_for_close().map(drop)
        });
        let session = Session::new();
        for started in [false, true] {
            let response = session.get(peer.url("/")).send().expect("a head");
            let error = match started {
                false => response.json_strict::<u32>(),
                true => response.start_json_strict::<u32>().wait(),
            };
            let error = error.expect_err("HTML");
            assert_eq!(error.kind(), Kind::ContentType);
            assert_eq!(error.status().map(|status| status.as_u16()), Some(503));
        }
        peer.finish();
    }

    #[test]
    fn a_mark_does_not_hide_json() {
        // SPEC J2
        let session = Session::new();
        for body in [&b"\xef\xbb\xbf7"[..], b"\xff\xfe7\0", b"\xfe\xff\x007"] {
            let number = typed(&session, "application/json", body).json::<u32>();
            assert_eq!(number.expect("JSON"), 7);
        }
        let blank = typed(&session, "application/json", b"\n ").json::<Option<u32>>();
        assert_eq!(blank.expect("null"), None);
    }
}
