//! Proxies as a program sets them up (SPEC §6.5): which one a request goes
//! through, what that one is told, and what nobody else is.

mod support;

#[cfg(feature = "digest")]
#[path = "proxies/asked.rs"]
mod asked;
#[path = "proxies/environment.rs"]
mod environment;
#[cfg(feature = "tls")]
#[path = "proxies/fetch.rs"]
mod fetch;
#[path = "proxies/leaks.rs"]
mod leaks;
#[path = "proxies/tunnels.rs"]
mod tunnels;

use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

use miohttp::{
    AddressFilter, Auth, BasicAuth, Connector, Error, Kind, NoProxy, Proxy, RequestBuilder,
    Response, Session,
};
use support::{Peer, Request, enter, ok, response};

/// A proxy that is every origin itself: to each request it answers with its line.
/// Through a tunnel it does the same.
fn gate() -> Peer {
    gate_of(|request| ok(request.line()))
}

fn gate_of(answer: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> Peer {
    Peer::start(move |conn| {
        while let Some(request) = conn.next_request()? {
            match request.method.as_str() {
                "CONNECT" => conn.write("HTTP/1.1 200 Come in\r\nX-Gate: open\r\n\r\n")?,
                _ => conn.write(answer(&request))?,
            }
        }
        Ok(())
    })
}

fn named(peer: &Peer) -> String {
    format!("http://{}", peer.address())
}

fn through(peer: &Peer) -> Proxy {
    Proxy::all(named(peer)).expect("a proxy")
}

fn session(proxy: Proxy) -> Session {
    Session::builder().proxy(proxy).build()
}

/// By either driver.
fn send(request: RequestBuilder, started: bool) -> Result<Response, Error> {
    match started {
        false => request.send(),
        true => request.start_send().wait(),
    }
}

fn text(response: Result<Response, Error>) -> String {
    response.expect("an answer").text().expect("a body")
}

fn basic(login: &str, password: &str) -> String {
    let value = BasicAuth::new(login, password).encode().unwrap();
    value.to_str().unwrap().to_owned()
}

fn to(location: impl AsRef<str>) -> Vec<u8> {
    response("302 Found", &[("Location", location.as_ref())], "")
}

#[test]
fn a_request_for_http_goes_to_the_proxy_as_it_is() {
    // SPEC H10, S18, X1, X2
    let gate = gate();
    let session = session(through(&gate));
    for started in [false, true] {
        for (url, line, host) in [
            ("http://a.test", "http://a.test/", "a.test"),
            ("http://b.test:80/x", "http://b.test/x", "b.test"),
            (
                "http://A.test:81/x?y=z#top",
                "http://a.test:81/x?y=z",
                "a.test:81",
            ),
            (
                "http://[2001:DB8::1]:81/",
                "http://[2001:db8::1]:81/",
                "[2001:db8::1]:81",
            ),
            ("http://127.1/a b", "http://127.0.0.1/a%20b", "127.0.0.1"),
        ] {
            let answer = send(session.get(url), started).expect("an answer");
            assert_eq!(answer.remote_addr(), Some(gate.address()));
            assert_eq!(answer.proxy_headers(), None);
            assert_eq!(text(Ok(answer)), format!("GET {line}"));
            let request = gate.requests().pop().unwrap();
            assert_eq!(request.header_all("host").collect::<Vec<_>>(), [host]);
            assert_eq!(request.header("proxy-authorization"), None);
            assert_eq!(request.header("proxy-connection"), None);
        }
    }
    // One connection serves all origins.
    assert_eq!(gate.connections(), 1);
}

#[test]
fn what_a_request_says_of_itself_stays_as_it_is() {
    // SPEC H10, X2
    let gate = gate_of(|request| ok(&request.body));
    let session = session(through(&gate));
    let request = session
        .post("http://me:pass@a.test/find")
        .raw_query("a='b'|c")
        .header("host", "other.test")
        .header("proxy-connection", "keep-alive")
        .body("hello");
    assert_eq!(text(request.send()), "hello");
    let request = gate.requests().pop().unwrap();
    assert_eq!(request.line(), "POST http://a.test/find?a='b'|c");
    assert_eq!(request.header("host"), Some("other.test"));
    assert_eq!(request.header("authorization"), Some(&*basic("me", "pass")));
    assert_eq!(request.header_all("proxy-connection").count(), 1);
    assert_eq!(request.header("proxy-authorization"), None);
    // And what was sent can be seen, with the proxy's password marked as one.
    let proxy = through(&gate).auth(("user", "secret"));
    let answer = session.get("http://a.test/").proxy(proxy).send().unwrap();
    let info = answer.request_info();
    assert_eq!(info.url().as_str(), "http://a.test/");
    assert!(info.headers()["proxy-authorization"].is_sensitive());
    assert!(!format!("{info:?} {answer:?}").contains("secret"));
}

#[test]
fn credentials_are_sent_at_once() {
    // SPEC X3
    let gate = gate();
    let address = gate.address();
    for (proxy, want) in [
        (Proxy::all(format!("http://{address}")), None),
        (
            Proxy::all(format!("http://f%61ke:@{address}")),
            Some(basic("fake", "")),
        ),
        (
            Proxy::all(format!("http://f%61ke@{address}")),
            Some(basic("fake", "")),
        ),
        (
            Proxy::all(format!("user:se%3Acret@{address}")),
            Some(basic("user", "se:cret")),
        ),
        (
            Proxy::all(format!("user:secret@{address}")).map(|proxy| proxy.auth(("a", "b"))),
            Some(basic("a", "b")),
        ),
        (
            Proxy::http(named(&gate)).map(|proxy| proxy.auth(Auth::bearer("token"))),
            Some("Bearer token".to_owned()),
        ),
    ] {
        let session = session(proxy.expect("a proxy"));
        for started in [false, true] {
            let answer = send(session.get("http://a.test/"), started).expect("an answer");
            assert_eq!((answer.status().as_u16(), answer.attempts()), (200, 1));
            let request = gate.requests().pop().unwrap();
            assert_eq!(request.header("proxy-authorization"), want.as_deref());
            assert_eq!(request.header("authorization"), None);
        }
    }
    // What cannot be sent is the caller's mistake.
    let session = session(through(&gate).auth(("us:er", "x")));
    let error = session.get("http://a.test/").send().unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidRequest);
    assert_eq!(error.url().unwrap().as_str(), "http://a.test/");
}

#[test]
fn headers_for_the_proxy_stand_beside_the_requests_own() {
    // SPEC X5
    let gate = gate();
    let proxy = through(&gate)
        .header("x-gate", "one")
        .header("X-Gate", "two")
        .header("user-agent", "of the proxy")
        .header("accept-language", "la");
    let session = Session::builder()
        .proxy(proxy)
        .default_header("accept-language", "en")
        .build();
    session.get("http://a.test/").send().unwrap();
    let request = gate.requests().pop().unwrap();
    let all = |name: &str| request.header_all(name).collect::<Vec<_>>().join(", ");
    assert_eq!(all("x-gate"), "one, two");
    // None of the request's is replaced, and none said twice.
    assert_eq!(all("accept-language"), "en");
    assert!(all("user-agent").starts_with("miohttp/") && !all("user-agent").contains(','));
    // They are of the proxy: no other sees them.
    let origin = Peer::serve(|request| ok(request.line()));
    session.get(origin.url("/")).no_proxy().send().unwrap();
    assert_eq!(origin.requests()[0].header("x-gate"), None);
}

#[test]
fn a_request_goes_before_its_session() {
    // SPEC Q13, S18, X8
    let (one, two) = (gate(), gate());
    let origin = Peer::serve(|request| ok(request.line()));
    let session = session(through(&one));
    let ask = |request: RequestBuilder| text(request.send());
    let url = origin.url("/x");
    assert_eq!(ask(session.get(&url)), format!("GET {url}"));
    assert_eq!(
        ask(session.get(&url).proxy(through(&two))),
        format!("GET {url}")
    );
    assert_eq!(ask(session.get(&url).no_proxy()), "GET /x");
    // The last word counts.
    assert_eq!(
        ask(session.get(&url).no_proxy().proxy(through(&two))),
        format!("GET {url}")
    );
    assert_eq!(
        ask(session.get(&url).proxy(through(&two)).no_proxy()),
        "GET /x"
    );
    assert_eq!(ask(session.get(&url)), format!("GET {url}"));
    let counts = [&one, &two, &origin].map(Peer::request_count);
    assert_eq!(counts, [2, 2, 2]);
    // A HEAD request has settings of its own beginning.
    session.head(&url).send().unwrap();
    assert_eq!(one.requests().pop().unwrap().line(), format!("HEAD {url}"));
    let direct = Session::builder().proxy(through(&one)).no_proxy().build();
    assert_eq!(ask(direct.get(&url)), "GET /x");
}

#[test]
fn hosts_of_the_list_are_reached_directly() {
    // SPEC X7
    let gate = gate();
    let origin = Peer::serve(|request| ok(request.line()));
    let list = format!("a.test, 127.0.0.1:{}", origin.port());
    let session = session(through(&gate).no_proxy(NoProxy::parse(&list).unwrap()));
    assert_eq!(text(session.get(origin.url("/x")).send()), "GET /x");
    let other = "http://127.0.0.1:9/x";
    assert_eq!(text(session.get(other).send()), format!("GET {other}"));
    let url = origin.url_for("localhost", "/x");
    assert_eq!(text(session.get(&url).send()), format!("GET {url}"));
}

#[test]
fn each_hop_of_a_redirect_chooses_anew() {
    // SPEC D9, X8
    let origin = Peer::serve(|request| match request.target.as_str() {
        "/from" => to("http://a.test/"),
        _ => ok(request.line()),
    });
    let home = origin.url("/x");
    let gate = gate_of(move |request| match request.target.as_str() {
        "http://a.test/from" => to(&home),
        "http://a.test/up" => to("http://b.test/end"),
        _ => ok(request.line()),
    });
    let list = NoProxy::parse("127.0.0.0/8").unwrap();
    let proxy = through(&gate).auth(("user", "secret")).no_proxy(list);
    let session = session(proxy.header("x-gate", "1"));
    for started in [false, true] {
        // From the proxy to the origin itself, from there to the proxy.
        let answer = send(session.get("http://a.test/from"), started).unwrap();
        assert_eq!(answer.url().as_str(), origin.url("/x"));
        assert_eq!(text(Ok(answer)), "GET /x");
        let direct = origin.requests().pop().unwrap();
        assert_eq!(direct.header("proxy-authorization"), None);
        assert_eq!(direct.header("x-gate"), None);

        let answer = send(session.get(origin.url("/from")), started).unwrap();
        assert_eq!(text(Ok(answer)), "GET http://a.test/");
        let forwarded = gate.requests().pop().unwrap();
        let want = basic("user", "secret");
        assert_eq!(forwarded.header("proxy-authorization"), Some(&*want));
        // And within the proxy, where its credentials go on.
        assert_eq!(
            text(send(session.get("http://a.test/up"), started)),
            "GET http://b.test/end"
        );
        let forwarded = gate.requests().pop().unwrap();
        assert_eq!(forwarded.header("proxy-authorization"), Some(&*want));
    }
    assert_eq!((origin.connections(), gate.connections()), (1, 1));
}

#[test]
fn a_function_chooses_on_the_thread_that_waits() {
    // SPEC D9, X8
    let origin = Peer::serve(|request| match request.target.as_str() {
        "/from" => to("/two"),
        _ => ok(request.line()),
    });
    let (one, two) = (gate(), gate());
    let seen = Arc::<Mutex<Vec<(String, ThreadId)>>>::default();
    let seen_here = Arc::clone(&seen);
    let (to_one, to_two) = (through(&one), through(&two));
    let session = session(Proxy::by(move |url| {
        let who = thread::current().id();
        enter(&seen_here).push((url.to_string(), who));
        match url.path() {
            "/one" => Some(to_one.clone()),
            "/two" => Some(to_two.clone()),
            _ => None,
        }
    }));
    for started in [false, true] {
        enter(&seen).clear();
        let from = origin.url_for("user:secret@127.0.0.1", "/from#top");
        let two_url = origin.url("/two");
        let answer = send(session.get(&from), started).unwrap();
        assert_eq!(text(Ok(answer)), format!("GET {two_url}"));
        let url = origin.url("/one");
        assert_eq!(text(send(session.get(&url), started)), format!("GET {url}"));
        let seen = enter(&seen).clone();
        let urls: Vec<_> = seen.iter().map(|(url, _)| url.as_str()).collect();
        assert_eq!(urls, [origin.url("/from#top"), origin.url("/two#top"), url]);
        assert!(seen.iter().all(|(_, who)| *who == thread::current().id()));
    }
    assert_eq!([&one, &two, &origin].map(Peer::request_count), [2, 2, 2]);

    // What it gives may be of no use; then that is so for this request.
    let broken = Proxy::by(|_| Some(Proxy::all("p.test").unwrap().header("host", "x")));
    let error = session
        .get("http://a.test/")
        .proxy(broken)
        .send()
        .unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidRequest);
}

#[test]
fn what_is_wrong_with_a_proxy_behind_a_redirect_is_said_of_that() {
    // SPEC D9, X8
    let origin = Peer::serve(|_| to("https://a.test/"));
    let session = session(Proxy::https("p.test").unwrap().header("host", "x"));
    for started in [false, true] {
        let error = send(session.get(origin.url("/")), started).unwrap_err();
        assert_eq!(error.kind(), Kind::BadRedirect);
        assert_eq!(error.status().map(|status| status.as_u16()), Some(302));
        assert!(format!("{error:#}").contains("proxy"), "{error:#}");
    }
}

#[test]
fn each_scheme_may_have_its_own() {
    // SPEC X1, X8
    let (one, two) = (gate(), gate());
    let proxy = Proxy::https(named(&one)).unwrap();
    let origin = Peer::serve(|request| ok(request.line()));
    let only_https = session(proxy.clone());
    assert_eq!(text(only_https.get(origin.url("/x")).send()), "GET /x");
    let both = session(proxy.or(Proxy::http(named(&two)).unwrap()));
    let url = origin.url("/x");
    assert_eq!(text(both.get(&url).send()), format!("GET {url}"));
    assert_eq!([&one, &two, &origin].map(Peer::request_count), [0, 1, 1]);
}

#[test]
fn a_proxy_that_is_not_there_says_so_and_shows_no_password() {
    // SPEC E1, E2, X4, X5
    let nobody = support::refusing_address();
    let session = session(Proxy::all(format!("http://user:hunter2@{nobody}")).unwrap());
    for url in ["http://a.test/", "https://a.test/"] {
        if url.starts_with("https") && !cfg!(feature = "tls") {
            continue;
        }
        for started in [false, true] {
            let error = send(session.get(url), started).unwrap_err();
            assert_eq!(error.kind(), Kind::ProxyConnect, "{error:#}");
            assert!(error.is_proxy() && error.is_connect());
            assert_eq!(error.url().unwrap().as_str(), url);
            let shown = format!("{error:#} {error:?} {:?}", error.request_info());
            assert!(!shown.contains("hunter2"), "{shown}");
            assert!(!shown.contains(&basic("user", "hunter2")), "{shown}");
        }
    }
    // Its name is looked up, and nobody else's.
    let session = self::session(Proxy::all("http://user:hunter2@proxy.invalid:1").unwrap());
    let error = session.get("http://127.0.0.1:9/").send().unwrap_err();
    assert_eq!(error.kind(), Kind::Dns, "{error:#}");
    assert!(!format!("{error:#} {error:?}").contains("hunter2"));
}

#[test]
fn what_the_proxy_answers_is_the_response() {
    // SPEC X4
    let gate = gate_of(|_| response("503 Too Busy", &[("X-Gate", "shut")], "later"));
    let session = session(through(&gate));
    for started in [false, true] {
        let answer = send(session.get("http://a.test/"), started).unwrap();
        assert_eq!(
            (answer.status().as_u16(), &*answer.reason()),
            (503, "Too Busy")
        );
        assert_eq!(answer.headers()["x-gate"], "shut");
        assert_eq!(text(Ok(answer)), "later");
    }
    let again = session.get("http://a.test/").error_for_status(true).send();
    assert_eq!(again.unwrap_err().kind(), Kind::Status);
}

#[test]
fn a_proxy_is_no_way_around_the_address_filter() {
    // SPEC Q2, X2: what a URL spells out is judged, the proxy itself is not.
    let gate = gate_of(|request| match request.target.as_str() {
        "http://a.test/in" => to("http://127.1/"),
        _ => ok(request.line()),
    });
    let connector = Connector::builder()
        .address_filter(AddressFilter::public_only())
        .build();
    for tunnel in [false, true] {
        let session = Session::builder().connector(connector.clone());
        let session = session.proxy(through(&gate).tunnel(tunnel)).build();
        for started in [false, true] {
            assert!(send(session.get("http://a.test/"), started).is_ok());
            let before = gate.request_count();
            for url in [
                "http://127.0.0.1/",
                "http://2130706433/",
                "http://[::1]/",
                "http://x.localhost/",
            ] {
                let error = send(session.get(url), started).unwrap_err();
                assert_eq!(error.kind(), Kind::Blocked, "{url} {tunnel} {error:#}");
            }
            assert_eq!(gate.request_count(), before);
        }
    }
    let session = Session::builder()
        .connector(connector)
        .proxy(through(&gate))
        .build();
    let error = session.get("http://a.test/in").send().unwrap_err();
    assert_eq!(error.kind(), Kind::Blocked, "{error:#}");
    assert_eq!(gate.requests().pop().unwrap().target, "http://a.test/in");
}
