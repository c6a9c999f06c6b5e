//! What goes out: request lines and header fields as a server sees them.

mod support;

use miohttp::{Auth, HeaderMap, HeaderName, HeaderValue, Kind, Method, Phase, Session, Url};
use miohttp::{RequestBuilder, Version};
use support::{Peer, Request, head, ok, response};

/// Sends one request to a peer that answers anything, and gives what arrived.
fn arrived(session: &Session, build: impl FnOnce(&Session, String) -> RequestBuilder) -> Request {
    let peer = Peer::serve(|_| ok(""));
    let sent = build(session, peer.url("/"));
    assert_eq!(sent.send().expect("the request is answered").status(), 200);
    let request = peer.requests().pop();
    request.expect("the peer saw the request")
}

/// Tries a request that must be refused before anything reaches the network.
#[track_caller]
fn refused(build: impl FnOnce(String) -> RequestBuilder) -> miohttp::Error {
    let peer = Peer::serve(|_| ok(""));
    let error = build(peer.url("/")).send().expect_err("the request passed");
    assert_eq!(peer.connections(), 0, "it went to the network: {error}");
    assert_eq!(error.phase(), Some(Phase::Request), "{error:?}");
    assert_eq!(error.kind(), Kind::InvalidRequest, "{error:?}");
    assert!(error.is_request());
    error
}

fn header_value(bytes: &'static str) -> HeaderValue {
    HeaderValue::from_static(bytes)
}

#[test]
fn every_verb_arrives_as_itself() {
    // SPEC Q1
    let peer = Peer::serve(|request| match request.method.as_str() {
        "HEAD" => head("200 OK", &[("Content-Length", "5")]),
        _ => ok("hello"),
    });
    let session = Session::new();
    let url = peer.url("/v");
    let odd = Method::from_bytes(b"Purge").expect("a token is a method");
    for request in [
        session.get(&url),
        session.head(&url),
        session.post(&url),
        session.put(&url),
        session.patch(&url),
        session.delete(&url),
        session.options(&url),
        session.request(odd, &url),
    ] {
        let response = request.send().expect("the verb is answered");
        let want = if *response.method() == Method::HEAD {
            ""
        } else {
            "hello"
        };
        assert_eq!(response.text().expect("its body is whole"), want);
    }
    let verbs = [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "Purge",
    ];
    assert_eq!(peer.request_lines(), verbs.map(|verb| format!("{verb} /v")));
    assert_eq!(peer.connections(), 1, "one after the other they share one");
    peer.requests()
        .iter()
        .for_each(|request| assert_eq!(request.version, "HTTP/1.1"));
}

#[test]
fn queries_are_appended_and_encoded_and_fragments_stay_here() {
    // SPEC Q3, H10
    let peer = Peer::serve(|_| ok(""));
    let session = Session::new();
    for (url, want) in [
        ("/p", "GET /p?b+c=d%26e%3D%C3%BC&empty="),
        ("/p?a=1", "GET /p?a=1&b+c=d%26e%3D%C3%BC&empty="),
        (
            "/p?raw=%20+;#frag",
            "GET /p?raw=%20+;&b+c=d%26e%3D%C3%BC&empty=",
        ),
    ] {
        let request = session.get(peer.url(url));
        let request = request.query_pair("b c", "d&e=ü").query_pair("empty", "");
        request.send().expect("the query is sent");
        assert_eq!(peer.request_lines().pop().as_deref(), Some(want));
    }
    for (url, want) in [
        ("", "GET /"),
        ("/a%2Fb/../c", "GET /c"),
        ("/sp ace/ü", "GET /sp%20ace/%C3%BC"),
        ("/a?b#c?d", "GET /a?b"),
        ("/#only", "GET /"),
        ("?q", "GET /?q"),
    ] {
        session.get(peer.url(url)).send().expect("the path is sent");
        assert_eq!(peer.request_lines().pop().as_deref(), Some(want));
    }
}

#[test]
fn a_raw_query_goes_out_as_it_is() {
    // SPEC Q3, H9
    let peer = Peer::serve(|request| match request.target.as_str() {
        "/moved?'" => response("302 Found", &[("Location", "/new")], ""),
        _ => ok(""),
    });
    let session = Session::new();
    for (url, raw, want) in [
        ("/p", "a='b'|c\"d<e>`{}[]^", "/p?a='b'|c\"d<e>`{}[]^"),
        ("/p?own=%27", "a='", "/p?own=%27&a='"),
        ("/p?", "a=%zz%41", "/p?a=%zz%41"),
        ("/p#frag", "a", "/p?a"),
        ("/p", "a b\t\u{7f}#c", "/p?a%20b%09%7F%23c"),
        ("/p", "a=ü", "/p?a=%C3%BC"),
        ("/p?x", "", "/p?x"),
        ("/moved", "'", "/new"),
    ] {
        let request = session.get(peer.url(url)).raw_query(raw);
        let response = request.send().expect("the query is sent");
        let sent = peer.requests().pop().expect("it arrived").target;
        assert_eq!(sent, want);
        // What is shown is a URL like any other.
        let shown = response.url();
        assert_eq!(Url::parse(shown.as_str()).as_ref(), Ok(shown));
    }
    let request = session.get(peer.url("/p?z")).query_pair("a b", "'");
    let request = request
        .raw_query("r='")
        .query_pair("c", "'")
        .raw_query("s='");
    let response = request.send().expect("the query is sent");
    assert_eq!(
        peer.requests().pop().expect("it arrived").target,
        "/p?z&a+b=%27&r='&c=%27&s='"
    );
    assert_eq!(response.url().query(), Some("z&a+b=%27&r=%27&c=%27&s=%27"));
    for refuse in ["a\rb", "a\nb", "\0"] {
        refused(|url| session.get(url).raw_query(refuse));
    }
}

#[cfg(feature = "json")]
#[test]
fn a_query_is_anything_that_serializes_to_pairs() {
    // SPEC Q3
    let peer = Peer::serve(|_| ok(""));
    let session = Session::new();
    let sorted = std::collections::BTreeMap::from([("n", 2), ("a", 1)]);
    let request = session.get(peer.url("/?z=0"));
    let request = request.query(&sorted).query(&[("a", "x y")]);
    request.send().expect("the query is sent");
    let nothing: [(&str, &str); 0] = [];
    let request = session.get(peer.url("/")).query(&nothing);
    request.send().expect("no query is sent");
    assert_eq!(peer.request_lines(), ["GET /?z=0&a=1&n=2&a=x+y", "GET /"]);

    let request = session.get(peer.url("/"));
    let request = request.query(&[("list", vec![1, 2])]);
    request.send().expect("lists expand");
    assert_eq!(
        peer.request_lines().pop().as_deref(),
        Some("GET /?list=1&list=2")
    );

    refused(|url| session.get(url).query(&[("nested", [[1, 2]])]));
    refused(|url| session.get(url).query("a=b"));
}

#[test]
fn a_plain_request_has_the_automatic_headers_and_no_more() {
    // SPEC H1, H2, H3, H4, H5, H7
    let request = arrived(&Session::new(), |session, url| session.get(url));
    let names: Vec<_> = request
        .headers
        .iter()
        .map(|(n, _)| n.to_lowercase())
        .collect();
    let mut want = vec!["host", "accept", "accept-encoding", "user-agent"];
    let coded = cfg!(any(feature = "gzip", feature = "brotli", feature = "zstd"));
    if !coded {
        want.retain(|name| *name != "accept-encoding");
    }
    assert_eq!(names, want);
    assert_eq!(request.header("accept"), Some("*/*"));
    let agent = concat!("miohttp/", env!("CARGO_PKG_VERSION"));
    assert_eq!(request.header("user-agent"), Some(agent));
    if cfg!(feature = "gzip") {
        let mut codings = vec!["gzip, deflate"];
        codings.extend(cfg!(feature = "brotli").then_some("br"));
        codings.extend(cfg!(feature = "zstd").then_some("zstd"));
        let codings = codings.join(", ");
        assert_eq!(request.header("accept-encoding"), Some(&codings[..]));
    }
    let plain = arrived(&Session::new(), |s, url| s.get(url).auto_decompress(false));
    assert_eq!(
        plain.header("accept-encoding"),
        None,
        "what is not decoded is not asked for"
    );
}

#[test]
fn a_requests_headers_replace_the_sessions_by_name_and_repeats_are_all_sent() {
    // SPEC S4, Q6
    let more = HeaderMap::from_iter([(HeaderName::from_static("x-map"), header_value("m"))]);
    let session = Session::builder()
        .default_header("x-kept", "1")
        .default_header("X-Kept", "2")
        .default_header("x-replaced", "session")
        .default_header("x-replaced", "session too")
        .default_header("user-agent", "mine")
        .default_headers(&more)
        .build();
    let mut own = HeaderMap::new();
    own.append("x-own", header_value("b"));
    own.append("x-own", header_value("c"));
    let request = arrived(&session, |session, url| {
        let request = session.get(url).header("X-Replaced", "request");
        request.header("x-own", "a").headers(&own)
    });
    let all = |name| request.header_all(name).collect::<Vec<_>>();
    assert_eq!(all("x-kept"), ["1", "2"]);
    assert_eq!(all("x-replaced"), ["request"]);
    assert_eq!(all("x-own"), ["a", "b", "c"]);
    assert_eq!(all("x-map"), ["m"]);
    assert_eq!(all("user-agent"), ["mine"]);
}

#[test]
fn skipped_automatic_headers_stay_out_and_explicit_ones_still_go() {
    // SPEC S5
    let session = Session::builder()
        .skip_auto_header(HeaderName::from_static("user-agent"))
        .build();
    let skip = |request: RequestBuilder| {
        [
            "accept",
            "accept-encoding",
            "content-type",
            "content-length",
            "host",
        ]
        .map(HeaderName::from_static)
        .into_iter()
        .fold(request, RequestBuilder::skip_auto_header)
    };
    let request = arrived(&session, |session, url| {
        skip(session.post(url)).body("text")
    });
    let names: Vec<_> = request
        .headers
        .iter()
        .map(|(n, _)| n.to_lowercase())
        .collect();
    assert_eq!(
        names,
        ["host", "content-length"],
        "the two that cannot be skipped"
    );
    assert_eq!(request.text(), "text");

    let explicit = |s: &Session, url| {
        skip(s.get(url))
            .header("accept", "a/b")
            .header("user-agent", "u")
    };
    let request = arrived(&session, explicit);
    assert_eq!(request.header("accept"), Some("a/b"));
    assert_eq!(request.header("user-agent"), Some("u"));
}

#[test]
fn an_explicit_host_wins_and_stands_alone() {
    // SPEC H1
    let peer = Peer::serve(|_| ok(""));
    let session = Session::new();
    for url in [
        peer.url("/"),
        peer.url_for("localhost", "/"),
        peer.url_for("LocalHost", "/"),
    ] {
        session.get(url).send().expect("the request is answered");
    }
    let named = session.get(peer.url("/")).header("host", "virtual.test");
    named.send().expect("the request is answered");
    let secret = peer.url_for("user:secret@127.0.0.1", "/");
    session.get(secret).send().expect("the request is answered");
    let hosts: Vec<_> = peer
        .requests()
        .iter()
        .map(|request| request.header_all("host").collect::<Vec<_>>().join("|"))
        .collect();
    let port = peer.port();
    let (ip, name) = (format!("127.0.0.1:{port}"), format!("localhost:{port}"));
    assert_eq!(hosts, [&ip, &name, &name, "virtual.test", &ip]);
    for request in peer.requests() {
        let first = request.headers.first().map(|(n, _)| n.to_lowercase());
        assert_eq!(first.as_deref(), Some("host"), "RFC 9110 section 7.2");
    }
}

#[test]
fn credentials_go_in_the_order_request_url_session() {
    // SPEC A0, A4, A5, S6
    let basic = Session::builder().auth(Auth::basic("default", "d")).build();
    let header = |session: &Session, build: &dyn Fn(&Session, &Peer) -> RequestBuilder| {
        let peer = Peer::serve(|_| ok(""));
        build(session, &peer)
            .send()
            .expect("the request is answered");
        let request = peer.requests().pop().expect("one request");
        assert!(request.header_all("authorization").count() <= 1);
        assert!(
            request
                .header("host")
                .is_some_and(|host| !host.contains('@'))
        );
        request.header("authorization").map(str::to_owned)
    };
    let get = |session: &Session, peer: &Peer| session.get(peer.url("/"));
    assert_eq!(header(&Session::new(), &get), None);
    assert_eq!(header(&basic, &get).as_deref(), Some("Basic ZGVmYXVsdDpk"));
    let own = header(&basic, &|s, p| get(s, p).auth(Auth::bearer("tok.en")));
    assert_eq!(own.as_deref(), Some("Bearer tok.en"));
    let url = header(&basic, &|s, p| {
        s.get(p.url_for("a%40b:c%20d@127.0.0.1", "/"))
    });
    assert_eq!(url.as_deref(), Some("Basic YUBiOmMgZA=="));
    let explicit = header(&basic, &|s, p| get(s, p).header("authorization", "Own x"));
    assert_eq!(explicit.as_deref(), Some("Own x"));
}

#[test]
fn credentials_given_twice_are_refused() {
    // SPEC Q7, A2
    let session = Session::new();
    let with_user = |url: String| {
        let mut url = Url::parse(&url).expect("the peer's URL");
        url.set_username("user").expect("http has users");
        url
    };
    let auth = || Auth::basic("user", "pass");
    refused(|url| session.get(with_user(url)).auth(auth()));
    refused(|url| session.get(url).auth(auth()).header("authorization", "x"));
    refused(|url| session.get(with_user(url)).header("authorization", "x"));
    refused(|url| session.get(url).auth(Auth::basic("us:er", "pass")));
    refused(|url| session.get(url).auth(Auth::basic("user", "pa\r\nss")));
    refused(|url| session.get(url).auth(Auth::bearer("to\r\nX-Evil: 1")));
}

#[test]
fn http_1_0_is_spoken_where_asked_and_keeps_alive_where_both_say_so() {
    // SPEC S8, H7, P2
    let peer = Peer::serve(|request| match request.target.as_str() {
        "/keep" => {
            b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\na".to_vec()
        }
        _ => b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na".to_vec(),
    });
    let session = Session::new();
    for path in ["/keep", "/close", "/keep"] {
        let request = session.get(peer.url(path)).version(Version::HTTP_10);
        let response = request.send().expect("an answer in HTTP/1.0");
        assert_eq!(response.version(), Version::HTTP_10);
        assert_eq!(response.text().expect("a body"), "a");
    }
    let on: Vec<_> = peer.requests().iter().map(|r| r.connection).collect();
    assert_eq!(on, [0, 0, 1], "the second answer did not offer keep-alive");
    for request in peer.requests() {
        assert_eq!(request.version, "HTTP/1.0");
        assert_eq!(request.header("connection"), Some("keep-alive"));
    }
    for version in [Version::HTTP_09, Version::HTTP_2, Version::HTTP_3] {
        refused(|url| session.get(url).version(version));
    }
    refused(|url| {
        let request = session.post(url).version(Version::HTTP_10).body("x");
        request.header("transfer-encoding", "chunked")
    });
}

#[test]
fn nothing_can_be_smuggled_into_a_head() {
    // SPEC H9
    let session = Session::new();
    for value in [
        "a\r\nX-Evil: 1",
        "a\nb",
        "a\rb",
        "a\0b",
        "\r\n\r\nGET / HTTP/1.1",
    ] {
        let error = refused(|url| session.get(url).header("x-value", value));
        assert!(!error.to_string().contains("Evil"), "{error}");
        let built = Session::builder().default_header("x-value", value).build();
        refused(|url| built.get(url));
    }
    for name in ["", "two words", "colon:", "new\nline", "nul\0", "ünïcode"] {
        refused(|url| session.get(url).header(name, "fine"));
        let built = Session::builder().default_header(name, "fine").build();
        refused(|url| built.get(url));
    }
    refused(|url| session.request(Method::CONNECT, url));

    // In a URL they are encoded or, by the URL Standard, dropped.
    let peer = Peer::serve(|_| ok(""));
    let request = session
        .get(peer.url("/a b\r\nX-Evil:1"))
        .query_pair("q\r\n", "\0 HTTP/1.1");
    request.send().expect("a harmless request");
    let line = "GET /a%20bX-Evil:1?q%0D%0A=%00+HTTP%2F1.1";
    assert_eq!(peer.request_lines(), [line]);
    assert_eq!(peer.requests()[0].header("x-evil"), None);
}

#[test]
fn the_first_mistake_is_reported_with_the_url_and_at_every_verb() {
    let build = || {
        let request = Session::new().get("http://user:pw@host.test/path");
        request.header("first bad", "x").header("x-second", "\0")
    };
    let waited = build().start_send().wait().expect_err("a bad name");
    for error in [build().send().expect_err("a bad name"), waited] {
        assert_eq!(error.kind(), Kind::InvalidRequest);
        assert!(error.to_string().contains("header name"), "{error}");
        assert_eq!(error.url().map(Url::as_str), Some("http://host.test/path"));
    }
}

#[cfg(feature = "cookies")]
#[test]
fn the_jars_cookies_join_an_explicit_cookie_header() {
    // SPEC H8, S9
    let peer = Peer::serve(|request| match request.target.as_str() {
        "/set" => response("200 OK", &[("Set-Cookie", "a=jar; Path=/")], ""),
        _ => ok(""),
    });
    let send = |session: &Session, path, cookie: Option<&str>| {
        let request = session.get(peer.url_for("localhost", path));
        let request = match cookie {
            Some(cookie) => request.header("Cookie", cookie),
            None => request,
        };
        request.send().expect("an answer");
        let request = peer.requests().pop().expect("a request");
        assert!(request.header_all("cookie").count() <= 1);
        request.header("cookie").map(str::to_owned)
    };
    let session = Session::new();
    assert_eq!(send(&session, "/set", None), None);
    assert_eq!(send(&session, "/", None).as_deref(), Some("a=jar"));
    let merged = send(&session, "/", Some("a=mine; b=2")).expect("cookies");
    let mut pairs: Vec<_> = merged.split("; ").collect();
    pairs.sort_unstable();
    assert_eq!(pairs, ["a=jar", "b=2"], "the jar wins by name");

    let forgetful = Session::builder().no_cookies().build();
    assert_eq!(send(&forgetful, "/set", None), None);
    assert_eq!(send(&forgetful, "/", None), None);
    assert_eq!(send(&forgetful, "/", Some("c=3")).as_deref(), Some("c=3"));
}

#[test]
fn every_explicit_cookie_header_is_sent_as_one() {
    // SPEC H8; RFC 6265 section 5.4: one Cookie header at most.
    let session = Session::new();
    let twice = arrived(&session, |session, url| {
        let request = session.get(url).header("cookie", "a=1; b=2");
        request.header("cookie", "").header("cookie", "c=3")
    });
    let cookies: Vec<_> = twice.header_all("cookie").collect();
    assert_eq!(cookies, ["a=1; b=2; c=3"]);
}

#[test]
fn a_range_is_asked_for_of_the_bytes_as_they_are() {
    // RFC 9110 section 14.2: a range of a coded body cannot be decoded.
    let session = Session::new();
    let ranged = arrived(&session, |session, url| {
        session.get(url).header("range", "bytes=100-199")
    });
    assert_eq!(ranged.header("range"), Some("bytes=100-199"));
    assert_eq!(ranged.header("accept-encoding"), None);
    // Whoever asks for both gets both.
    let both = arrived(&session, |session, url| {
        let request = session.get(url).header("range", "bytes=0-1");
        request.header("accept-encoding", "gzip")
    });
    assert_eq!(both.header("accept-encoding"), Some("gzip"));
}
