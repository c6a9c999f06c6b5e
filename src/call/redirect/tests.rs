//! What a redirect makes of a request.

use bytes::Bytes;
use http::Version;
use http::header::{HeaderName, HeaderValue};

use super::*;
use crate::call::{Content, RequestBody};
use crate::head::{FieldSpan, Fields};

fn request(method: Method, url: &str) -> Request {
    let mut fields = Fields::default();
    for (name, value) in [
        ("content-type", "text/plain"),
        ("content-language", "en"),
        ("cookie", "a=b"),
        ("host", "h.test"),
        ("x-own", "1"),
    ] {
        let name = HeaderName::from_static(name);
        fields.append(name, HeaderValue::from_static(value));
    }
    Request {
        method,
        url: Url::parse(url).unwrap(),
        fields,
        body: Some(RequestBody::new(
            Content::Memory(Bytes::from_static(b"body").into()),
            None,
        )),
        auth: Some(Auth::basic("u", "p")),
        extra: None,
    }
}

fn reply(status: u16, field: &str, value: &[u8]) -> ResponseHead {
    let mut bytes = field.as_bytes().to_vec();
    bytes.extend_from_slice(value);
    let span = FieldSpan {
        name: (0, field.len() as u32),
        value: (field.len() as u32, bytes.len() as u32),
    };
    let status = StatusCode::from_u16(status).unwrap();
    let mut head = ResponseHead::new(Version::HTTP_11, status, (0, 0));
    head.push(span);
    head.over(Bytes::from(bytes))
}

fn with(redirects: RedirectPolicy) -> Settings {
    Settings {
        redirects,
        ..Settings::default()
    }
}

fn follow(request: &Request, status: u16, location: &str) -> Request {
    let head = reply(status, "Location", location.as_bytes());
    match decide(request, &Settings::default(), &None, &[], &head) {
        Decision::Follow(next) => *next,
        other => panic!("{other:?}"),
    }
}

#[test]
fn methods_change_as_browsers_have_it() {
    // SPEC D2
    for (status, method, want) in [
        (303, Method::POST, Method::GET),
        (303, Method::PUT, Method::GET),
        (303, Method::HEAD, Method::HEAD),
        (301, Method::POST, Method::GET),
        (302, Method::POST, Method::GET),
        (301, Method::PUT, Method::PUT),
        (302, Method::DELETE, Method::DELETE),
        (307, Method::POST, Method::POST),
        (308, Method::PATCH, Method::PATCH),
    ] {
        let next = follow(&request(method.clone(), "http://h.test/"), status, "/x");
        assert_eq!(next.method, want, "{status} {method}");
        let keeps = want == method && status != 303;
        assert_eq!(
            next.body.is_some(),
            keeps || want == Method::HEAD,
            "{status} {method}"
        );
    }
}

#[test]
fn a_rewrite_drops_every_field_about_the_body() {
    // SPEC D3
    let next = follow(&request(Method::POST, "http://h.test/"), 303, "/x");
    let left: Vec<_> = next
        .fields
        .iter()
        .map(|(n, _)| n.escape_ascii().to_string())
        .collect();
    assert_eq!(left, ["cookie", "host", "x-own"]);
}

#[test]
fn another_origin_gets_no_secrets() {
    // SPEC D7
    for location in ["https://h.test/", "http://other.test/", "http://h.test:81/"] {
        let next = follow(&request(Method::GET, "http://h.test/"), 302, location);
        assert!(next.auth.is_none(), "{location}");
        assert!(
            !next.fields.contains("cookie") && !next.fields.contains("host"),
            "{location}"
        );
    }
    let same = follow(
        &request(Method::GET, "http://h.test/"),
        302,
        "http://h.test:80/x",
    );
    assert!(same.auth.is_some() && same.fields.contains("cookie"));
}

#[test]
fn userinfo_stays_with_its_origin_and_is_replaced_by_the_targets() {
    // SPEC A0, D7
    let from = request(Method::GET, "http://h.test/");
    let value = |request: &Request| request.auth.as_ref().and_then(|a| a.header().unwrap());
    assert_eq!(value(&follow(&from, 302, "/x")), value(&from));
    assert_eq!(value(&follow(&from, 302, "http://other.test/")), None);
    for location in ["http://c:d@h.test/", "http://c:d@other.test/"] {
        let next = follow(&from, 302, location);
        assert_eq!(value(&next), Auth::basic("c", "d").header().unwrap());
        assert_eq!(next.url.username(), "");
    }
}

#[test]
fn targets_are_joined_and_the_fragment_is_inherited() {
    // SPEC D4, D11
    let from = request(Method::GET, "http://h.test/a/b?c#frag");
    for (location, want) in [
        ("x", "http://h.test/a/x#frag"),
        ("?q", "http://h.test/a/b?q#frag"),
        ("//o.test", "http://o.test/#frag"),
        ("/x#own", "http://h.test/x#own"),
        ("  /x ", "http://h.test/x#frag"),
        ("/ü", "http://h.test/%C3%BC#frag"),
    ] {
        assert_eq!(
            follow(&from, 302, location).url.as_str(),
            want,
            "{location}"
        );
    }
    let head = reply(302, "URI", b"/via-uri");
    let decision = decide(&from, &Settings::default(), &None, &[], &head);
    assert!(matches!(decision, Decision::Follow(next) if next.url.path() == "/via-uri"));
}

#[test]
fn what_is_no_redirect_is_delivered() {
    // SPEC D1, D4
    let from = request(Method::GET, "http://h.test/");
    for status in [200, 300, 304, 305, 306, 404] {
        let head = reply(status, "Location", b"/x");
        let decision = decide(&from, &Settings::default(), &None, &[], &head);
        assert!(matches!(decision, Decision::Deliver), "{status}");
    }
    let decision = decide(
        &from,
        &Settings::default(),
        &None,
        &[],
        &reply(302, "X", b"/x"),
    );
    assert!(matches!(decision, Decision::Deliver));
    let head = reply(302, "Location", b"/x");
    let decision = decide(&from, &with(RedirectPolicy::None), &None, &[], &head);
    assert!(matches!(decision, Decision::Deliver));
}

#[test]
fn targets_no_request_can_go_to_are_refused() {
    // SPEC D6
    let from = request(Method::GET, "http://h.test/");
    for location in [
        "ftp://h.test/",
        "file:///etc/passwd",
        "http://",
        "http://[::1",
        "data:,x",
    ] {
        let head = reply(302, "Location", location.as_bytes());
        match decide(&from, &Settings::default(), &None, &[], &head) {
            Decision::Refuse(error) => assert_eq!(error.kind(), Kind::BadRedirect),
            other => panic!("{location}: {other:?}"),
        }
    }
}

#[test]
fn leaving_https_is_refused_where_that_is_asked_for() {
    // SPEC D6
    let settings = Settings {
        refuse_downgrade: true,
        ..Settings::default()
    };
    for (from, to, refused) in [
        ("https://h.test/", "http://h.test/", true),
        ("https://h.test/", "http://other.test:443/", true),
        ("https://h.test/", "https://other.test/", false),
        ("https://h.test/", "/x", false),
        ("http://h.test/", "http://other.test/", false),
        ("http://h.test/", "https://h.test/", false),
    ] {
        let head = reply(302, "Location", to.as_bytes());
        let from = request(Method::GET, from);
        match decide(&from, &settings, &None, &[], &head) {
            Decision::Refuse(error) if refused => assert_eq!(error.kind(), Kind::BadRedirect),
            Decision::Follow(_) if !refused => {}
            other => panic!("{to}: {other:?}"),
        }
        let decision = decide(&from, &Settings::default(), &None, &[], &head);
        assert!(matches!(decision, Decision::Follow(_)));
    }
}

#[test]
fn a_limit_of_n_follows_exactly_n() {
    // SPEC D5
    let from = request(Method::GET, "http://h.test/");
    let head = reply(302, "Location", b"/x");
    let hop = Hop {
        status: StatusCode::FOUND,
        url: from.url.clone(),
        headers: http::HeaderMap::new(),
    };
    let history = vec![hop.clone(), hop.clone()];
    let decision = decide(
        &from,
        &with(RedirectPolicy::Limit(3)),
        &None,
        &history,
        &head,
    );
    assert!(matches!(decision, Decision::Follow(_)));
    match decide(
        &from,
        &with(RedirectPolicy::Limit(2)),
        &None,
        &history,
        &head,
    ) {
        Decision::Refuse(error) => assert_eq!(error.kind(), Kind::TooManyRedirects),
        other => panic!("{other:?}"),
    }
}
