//! The fields a request gets by itself.

use bytes::Bytes;
use http::header::{HOST, TRANSFER_ENCODING};

use super::*;
use crate::call::{Auth, Content, RequestBody};

fn request(method: Method, url: &str) -> Request {
    Request {
        method,
        url: Url::parse(url).unwrap(),
        fields: Fields::default(),
        body: None,
        auth: None,
        extra: None,
    }
}

fn lines(request: &Request, settings: &Settings) -> Result<Vec<String>, Error> {
    let head = build(request, settings, None)?;
    let target = String::from_utf8(head.target().to_vec()).unwrap();
    let mut lines = vec![format!("{} {target}", head.method)];
    lines.extend(
        head.fields
            .iter()
            .map(|(n, v)| format!("{}: {}", n.escape_ascii(), v.escape_ascii())),
    );
    Ok(lines)
}

#[test]
fn a_plain_get_has_the_automatic_fields_and_no_more() {
    // SPEC H1, H2, H3, H4, H5, H10
    let lines = lines(
        &request(Method::GET, "http://h.test:8080/a?b=c#d"),
        &Settings::default(),
    )
    .unwrap();
    assert_eq!(lines[0], "GET /a?b=c");
    assert_eq!(lines[1], "host: h.test:8080");
    assert_eq!(lines[2], "accept: */*");
    assert!(
        !lines
            .iter()
            .any(|l| l.starts_with("content-") || l.starts_with("connection"))
    );
    assert!(lines.contains(&format!("user-agent: {AGENT}")));
}

#[test]
fn the_default_port_is_left_out_and_ipv6_is_bracketed() {
    // SPEC H1
    let of = |url| lines(&request(Method::GET, url), &Settings::default()).unwrap()[1].clone();
    assert_eq!(of("http://h.test:80/"), "host: h.test");
    assert_eq!(of("https://h.test:443/"), "host: h.test");
    assert_eq!(of("https://[::1]:8443/"), "host: [::1]:8443");
    assert_eq!(of("http://user:secret@h.test/"), "host: h.test");
}

#[test]
fn explicit_fields_win_and_skipped_ones_stay_out() {
    // SPEC S4, S5
    let mut request = request(Method::GET, "http://h.test/");
    request
        .fields
        .append(HOST, HeaderValue::from_static("other"));
    request
        .fields
        .append(USER_AGENT, HeaderValue::from_static("me"));
    let settings = Settings {
        skip_auto_headers: vec![ACCEPT],
        ..Settings::default()
    };
    let lines = lines(&request, &settings).unwrap();
    assert!(lines.contains(&"host: other".into()) && lines.contains(&"user-agent: me".into()));
    assert_eq!(lines.iter().filter(|l| l.starts_with("host")).count(), 1);
    assert!(!lines.iter().any(|l| l.starts_with("accept:")));
}

#[test]
fn lengths_are_announced_where_a_body_is_expected() {
    // SPEC H5
    for (method, body, want) in [
        (Method::GET, None, None),
        (Method::POST, None, Some("content-length: 0")),
        (Method::PUT, Some(""), Some("content-length: 0")),
        (Method::DELETE, None, None),
        (Method::DELETE, Some("xy"), Some("content-length: 2")),
        (Method::GET, Some("xyz"), Some("content-length: 3")),
    ] {
        let mut request = request(method.clone(), "http://h.test/");
        request.body = body.map(|text| {
            RequestBody::new(
                Content::Memory(Bytes::from_static(text.as_bytes()).into()),
                None,
            )
        });
        let lines = lines(&request, &Settings::default()).unwrap();
        let got = lines.iter().find(|l| l.starts_with("content-length"));
        assert_eq!(got.map(String::as_str), want, "{method} {body:?}");
    }
}

#[test]
fn contradictions_are_the_callers_errors() {
    // SPEC H5, Q7, Q10
    let cases: [(&[(HeaderName, &'static str)], &str); 8] = [
        (&[(CONTENT_LENGTH, "5")], "http://h.test/"),
        (&[(CONTENT_LENGTH, "+0")], "http://h.test/"),
        (&[(CONTENT_LENGTH, "")], "http://h.test/"),
        (&[(TRANSFER_ENCODING, "gzip")], "http://h.test/"),
        (
            &[(TRANSFER_ENCODING, "chunked"), (CONTENT_LENGTH, "0")],
            "http://h.test/",
        ),
        (
            &[(CONTENT_LENGTH, "0"), (CONTENT_LENGTH, "9")],
            "http://h.test/",
        ),
        (
            &[(TRANSFER_ENCODING, "chunked"), (TRANSFER_ENCODING, "x")],
            "http://h.test/",
        ),
        (&[(AUTHORIZATION, "x")], "http://h.test/"),
    ];
    for (fields, url) in cases {
        let mut request = request(Method::POST, url);
        let gives_auth = fields.iter().any(|(name, _)| *name == AUTHORIZATION);
        request.auth = gives_auth.then(|| Auth::basic("u", "p"));
        for (name, value) in fields {
            request
                .fields
                .append(name.clone(), HeaderValue::from_static(value));
        }
        let error = lines(&request, &Settings::default()).unwrap_err();
        assert!(error.is_request(), "{fields:?}: {error}");
    }
}

#[test]
fn connection_says_what_the_version_does_not() {
    // SPEC H7
    for (version, force_close, want) in [
        (Version::HTTP_11, false, None),
        (Version::HTTP_11, true, Some("connection: close")),
        (Version::HTTP_10, false, Some("connection: keep-alive")),
        (Version::HTTP_10, true, None),
    ] {
        let settings = Settings {
            version,
            force_close,
            ..Settings::default()
        };
        let lines = lines(&request(Method::GET, "http://h.test/"), &settings).unwrap();
        let got = lines.iter().find(|l| l.starts_with("connection"));
        assert_eq!(got.map(String::as_str), want);
    }
}
