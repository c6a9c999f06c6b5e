//! Requests without a session: the functions that share one.

mod support;

use miohttp::RequestBuilder;
use support::{Peer, head, response};

/// The verb, and what makes a request of it.
type Verb = (&'static str, fn(&str) -> RequestBuilder);

#[test]
fn every_verb_goes_by_one_session_without_cookies() {
    // SPEC O1, Q1
    let peer = Peer::serve(|request| match request.method.as_str() {
        "HEAD" => head("200 OK", &[("Content-Length", "5")]),
        _ => response("200 OK", &[("Set-Cookie", "a=1; Path=/")], ""),
    });
    let verbs: [Verb; 8] = [
        ("GET", |url| miohttp::get(url)),
        ("HEAD", |url| miohttp::head(url)),
        ("POST", |url| miohttp::post(url)),
        ("PUT", |url| miohttp::put(url)),
        ("PATCH", |url| miohttp::patch(url)),
        ("DELETE", |url| miohttp::delete(url)),
        ("OPTIONS", |url| miohttp::options(url)),
        ("Purge", |url| miohttp::request("Purge", url)),
    ];
    for (method, make) in verbs {
        let response = make(&peer.url("/")).send().expect("an answer");
        response.bytes().expect("no body");
        let request = peer.requests().pop().expect("it came");
        assert_eq!(request.method, method);
        assert_eq!(request.header("cookie"), None);
    }
    assert_eq!(peer.connections(), 1, "it is kept alive");

    // By a name, too: an address would have no cookies anyway.
    let named = peer.url_for("localhost", "/");
    for _ in 0..2 {
        let response = miohttp::get(&*named).send().expect("an answer");
        assert!(response.headers().contains_key("set-cookie"));
        response.bytes().expect("no body");
        let request = peer.requests().pop().expect("it came");
        assert_eq!(request.header("cookie"), None);
    }
    let connections = peer.connections();

    // On another thread it is the same.
    let url = peer.url("/");
    let elsewhere = std::thread::spawn(move || miohttp::get(url).send().map(drop));
    elsewhere.join().expect("no panic").expect("an answer");
    assert_eq!(peer.connections(), connections);
}

#[test]
fn a_head_request_follows_no_redirect() {
    // SPEC O1, Q8
    let peer = Peer::serve(|request| match request.target.as_str() {
        "/moved" => response("302 Found", &[("Location", "/end")], ""),
        _ => head("200 OK", &[("Content-Length", "5")]),
    });
    let moved = miohttp::head(peer.url("/moved")).send();
    assert_eq!(moved.expect("an answer").status(), 302);
    let limit = miohttp::RedirectPolicy::Limit(1);
    let end = miohttp::head(peer.url("/moved")).redirects(limit).send();
    assert_eq!(end.expect("an answer").status(), 200);
}
