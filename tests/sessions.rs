//! What a session has for all its requests and a request for itself, and how a
//! session ends.

mod support;

use std::io::Read;
use std::time::Duration;

use miohttp::{
    Auth, Connector, Error, HeaderName, Kind, Method, Phase, RequestBuilder, Response, Session,
    SessionBuilder, StatusCode, Timeouts, Url, Version,
};
use support::{Gate, Peer, Request, WATCHDOG, head, ok, response};

fn get(session: &Session, url: String) -> Response {
    session.get(url).send().expect("an answer")
}

/// What arrives of one request.
fn arrived(session: &Session, build: impl FnOnce(&Session, String) -> RequestBuilder) -> Request {
    let peer = Peer::serve(|_| ok(""));
    let sent = build(session, peer.url("/")).send();
    assert_eq!(sent.expect("the request is answered").status(), 200);
    peer.requests().pop().expect("the peer saw the request")
}

/// Tries a request that must be refused before anything reaches the network.
#[track_caller]
fn refused(build: impl FnOnce(String) -> RequestBuilder) -> Error {
    let peer = Peer::serve(|_| ok(""));
    let error = build(peer.url("/")).send().expect_err("the request passed");
    assert_eq!(peer.connections(), 0, "it went to the network: {error}");
    assert_eq!(error.phase(), Some(Phase::Request), "{error:?}");
    assert!(error.is_request(), "{error:?}");
    error
}

/// Every request of a session that was built so is refused.
#[track_caller]
fn refused_session(build: SessionBuilder) -> Error {
    refused(|url| build.build().get(url))
}

#[test]
fn relative_urls_are_joined_to_the_base() {
    // SPEC S17, S31
    let peer = Peer::serve(|_| ok(""));
    let session = Session::builder().base_url(peer.url("/api/v1/")).build();
    let base = session.base_url().map(Url::as_str);
    assert_eq!(base, Some(peer.url("/api/v1/").as_str()));
    for (relative, want) in [
        ("users", "/api/v1/users"),
        ("users/7?a=b#c", "/api/v1/users/7?a=b"),
        ("./x", "/api/v1/x"),
        ("../v2", "/api/v2"),
        ("/root", "/root"),
        ("?q", "/api/v1/?q"),
        ("", "/api/v1/"),
    ] {
        session.get(relative).send().expect("it is joined");
        assert_eq!(peer.requests().pop().expect("it came").target, want);
    }
    let url = Url::parse(&peer.url("/absolute")).expect("a URL");
    session
        .get(url)
        .send()
        .expect("an absolute URL stays itself");
    assert_eq!(peer.requests().pop().expect("it came").target, "/absolute");
    assert_eq!(peer.connections(), 1);
    // Without a base they lead nowhere.
    let error = Session::new().get("users").send().expect_err("no base");
    assert_eq!(error.kind(), Kind::InvalidUrl);
    assert!(Session::new().base_url().is_none());
}

#[test]
fn a_redirect_is_joined_to_where_it_comes_from() {
    // SPEC S17
    let peer = Peer::serve(|request| match request.target.as_str() {
        "/api/a/b" => response("302 Found", &[("Location", "c")], ""),
        _ => ok(""),
    });
    let session = Session::builder().base_url(peer.url("/api/")).build();
    session.get("a/b").send().expect("it is followed");
    assert_eq!(peer.request_lines(), ["GET /api/a/b", "GET /api/a/c"]);
}

#[test]
fn a_base_that_is_none_is_an_error_of_every_request() {
    // SPEC S17
    for base in ["http://h.test/api", "ftp://h.test/", "/api/", "mailto:a@b"] {
        let error = refused_session(Session::builder().base_url(base));
        assert_eq!(error.kind(), Kind::InvalidUrl, "{base}");
    }
    let twice = Session::builder()
        .auth(Auth::basic("a", "b"))
        .base_url("http://user:secret@h.test/");
    let error = refused_session(twice);
    assert_eq!(error.kind(), Kind::InvalidRequest);
    assert!(!format!("{error:?}").contains("secret"));
}

#[test]
fn the_credentials_of_a_session_stay_at_its_base() {
    // SPEC S6, A0
    const BASIC: Option<&str> = Some("Basic dTpw");
    let (home, away) = (Peer::serve(|_| ok("")), Peer::serve(|_| ok("")));
    let sent = |peer: &Peer| {
        let request = peer.requests().pop().expect("a request came");
        request.header("authorization").map(String::from)
    };
    let given = Session::builder().auth(Auth::basic("u", "p"));
    let given = given.base_url(home.url("/")).build();
    let inside = home.url_for("u:p@127.0.0.1", "/");
    let inside = Session::builder().base_url(inside).build();
    for session in [given, inside] {
        assert!(session.auth().is_some());
        let base = session.base_url().expect("it has one");
        assert_eq!((base.username(), base.password()), ("", None));
        get(&session, "x".into());
        assert_eq!(sent(&home).as_deref(), BASIC);
        get(&session, away.url("/"));
        assert_eq!(sent(&away), None, "another origin");
        let own = session.get(away.url("/")).auth(Auth::bearer("t"));
        own.send().expect("an answer");
        assert_eq!(sent(&away).as_deref(), Some("Bearer t"));
    }
    // Without a base they are for whatever is asked.
    let session = Session::builder().auth(Auth::basic("u", "p")).build();
    get(&session, away.url("/"));
    assert_eq!(sent(&away).as_deref(), BASIC);
}

#[test]
fn a_session_tells_what_it_was_built_with() {
    // SPEC S1, S31
    let connector = Connector::builder().limit(7).build();
    let limits = Timeouts::new().connect(Duration::from_secs(3));
    let session = Session::builder()
        .connector(connector)
        .timeouts(limits)
        .version(Version::HTTP_10)
        .default_header("x-a", "1")
        .default_header("x-a", "2")
        .auth(Auth::bearer("secret"))
        .skip_auto_header(HeaderName::from_static("accept"))
        .trust_env(true)
        .build();
    assert_eq!(session.timeouts(), limits);
    assert_eq!(session.version(), Version::HTTP_10);
    let headers = session.default_headers();
    let values: Vec<_> = headers.get_all("X-A").iter().collect();
    assert_eq!(values, ["1", "2"]);
    assert!(session.auth().is_some());
    assert_eq!(session.skip_auto_headers(), ["accept"]);
    assert!(session.trust_env());
    let shown = format!("{session:?} {:?}", session.auth());
    assert!(!shown.contains("secret"), "{shown}");

    let plain = Session::new();
    assert_eq!(plain.timeouts(), Timeouts::new());
    assert_eq!(plain.version(), Version::HTTP_11);
    assert!(plain.default_headers().is_empty() && plain.auth().is_none());
    assert!(plain.skip_auto_headers().is_empty() && !plain.trust_env());
}

#[test]
fn methods_are_upper_case_where_everybody_knows_them() {
    // SPEC Q1, D2
    let session = Session::new();
    for (method, want) in [
        ("get", "GET"),
        ("Post", "POST"),
        ("OPTIONS", "OPTIONS"),
        ("Purge", "Purge"),
        ("query", "query"),
        ("!#$%&'*+-.^_`|~", "!#$%&'*+-.^_`|~"),
    ] {
        let request = arrived(&session, |session, url| session.request(method, url));
        assert_eq!(request.method, want);
    }
    let written = Method::from_bytes(b"delete").expect("a token");
    let request = arrived(&session, |session, url| session.request(written, url));
    assert_eq!(request.method, "DELETE");
    for method in ["", "G ET", "GET\r\n", "a\0", "ü", "(x)", "connect"] {
        let error = refused(|url| session.request(method, url));
        assert_eq!(error.kind(), Kind::InvalidRequest, "{method:?}");
    }
}

#[test]
fn the_version_is_a_sessions_until_a_request_has_another() {
    // SPEC S8
    let session = Session::builder().version(Version::HTTP_10).build();
    let request = arrived(&session, |session, url| session.get(url));
    assert_eq!(request.version, "HTTP/1.0");
    assert_eq!(request.header("connection"), Some("keep-alive"));
    let request = arrived(&session, |session, url| {
        session.get(url).version(Version::HTTP_11)
    });
    assert_eq!(request.version, "HTTP/1.1");
    refused_session(Session::builder().version(Version::HTTP_2));
}

#[test]
fn which_statuses_are_errors_may_be_said() {
    // SPEC S12, Q18
    let peer = Peer::serve(|request| {
        let status = match request.target.as_str() {
            "/404" => "404 Not Found",
            "/503" => "503 Unavailable",
            _ => "299 Fine",
        };
        response(status, &[], "why")
    });
    let session = Session::builder()
        .error_for_status_when(|status| status.is_server_error())
        .build();
    assert_eq!(get(&session, peer.url("/404")).status(), 404);
    let error = session.get(peer.url("/503")).send().expect_err("an error");
    assert_eq!(
        (error.kind(), error.body()),
        (Kind::Status, Some(&b"why"[..]))
    );
    // A request's own goes before it, in either form.
    let any = session.get(peer.url("/404")).error_for_status(true);
    assert_eq!(any.send().expect_err("an error").kind(), Kind::Status);
    let none = session.get(peer.url("/503")).error_for_status(false);
    assert_eq!(none.send().expect("an answer").status(), 503);
    let odd = session.get(peer.url("/299"));
    let odd = odd.error_for_status_when(|status| status == 299);
    assert_eq!(
        odd.send().expect_err("an error").status(),
        StatusCode::from_u16(299).ok()
    );
}

#[test]
fn limits_of_heads_and_of_reading_ahead_may_be_a_requests_own() {
    // SPEC Q18, S20, S21
    let peer = Peer::serve(|_| head("200 A long reason", &[("X-A", "12345678"), ("X-B", "2")]));
    let session = Session::new();
    let ask = || session.get(peer.url("/"));
    for (request, passes) in [
        (ask().max_status_line(26), true),
        (ask().max_status_line(25), false),
        (ask().max_header_field(8), false),
        (ask().max_header_field(40), true),
        (ask().max_header_count(1), false),
        (ask().max_header_count(2), true),
        (ask().read_buffer(0), true),
    ] {
        match request.send() {
            Ok(_) => assert!(passes),
            Err(error) => assert_eq!((error.kind(), passes), (Kind::Limit, false)),
        }
    }
}

#[test]
fn the_read_buffer_is_a_requests_own() {
    // SPEC Q18, S20
    const LENGTH: usize = 32 * 1024 * 1024;
    let (gate, sent) = (Gate::new(), Gate::new());
    let (theirs, told) = (gate.clone(), sent.clone());
    let peer = Peer::start(move |conn| {
        conn.request()?;
        conn.write(head("200 OK", &[("Content-Length", &LENGTH.to_string())]))?;
        conn.write(vec![b'x'; LENGTH])?;
        told.open();
        theirs.wait();
        Ok(())
    });
    // All of it fits into what this one reads ahead: it comes without a reader.
    let session = Session::builder().read_buffer(1024).build();
    let request = session.get(peer.url("/")).read_buffer(LENGTH);
    let pending = request.start_send();
    let response = pending.wait().expect("an answer");
    sent.wait();
    gate.open();
    assert_eq!(response.bytes().expect("it is whole").len(), LENGTH);
    peer.finish();
}

#[test]
fn a_body_without_length_may_be_taken_for_none() {
    // SPEC Q12, P2
    let peer = Peer::start(|conn| {
        conn.request()?;
        conn.write("HTTP/1.1 200 OK\r\n\r\n")?;
        conn.wait_for_close().map(drop)
    });
    let session = Session::builder().read_until_eof(false).build();
    for _ in 0..2 {
        let response = get(&session, peer.url("/"));
        assert_eq!(response.bytes().expect("it is empty"), "");
    }
    assert_eq!(peer.connections(), 2, "neither is used again");
    peer.finish();

    // What says how long it is is read, and so is all where a request wants it.
    let peer = Peer::serve(|_| ok("hello"));
    assert_eq!(
        get(&session, peer.url("/")).text().expect("5 bytes"),
        "hello"
    );
    let peer = Peer::start(|conn| {
        conn.request()?;
        conn.write("HTTP/1.1 200 OK\r\n\r\nhello")
    });
    let request = session.get(peer.url("/")).read_until_eof(true);
    let response = request.send().expect("an answer");
    assert_eq!(response.text().expect("all of it"), "hello");
}

#[test]
fn bodies_may_be_sent_in_chunks() {
    // SPEC Q10
    let session = Session::new();
    let request = arrived(&session, |session, url| {
        session.post(url).body("hello").chunked(true)
    });
    assert_eq!(request.header("transfer-encoding"), Some("chunked"));
    assert_eq!(request.header("content-length"), None);
    assert_eq!(
        (request.text().as_str(), request.chunks),
        ("hello", vec![5])
    );
    let request = arrived(&session, |session, url| session.post(url).chunked(true));
    assert_eq!(request.header("transfer-encoding"), Some("chunked"));
    assert_eq!(request.body, b"");
    let request = arrived(&session, |session, url| {
        session.post(url).body("hello").chunked(true).chunked(false)
    });
    assert_eq!(request.header("content-length"), Some("5"));
    assert!(request.chunks.is_empty());

    for header in [("content-length", "5"), ("transfer-encoding", "chunked")] {
        refused(|url| {
            let request = session.post(url).body("hello").chunked(true);
            request.header(header.0, header.1)
        });
    }
    refused(|url| {
        let request = session.post(url).body("hello").chunked(true);
        request.version(Version::HTTP_10)
    });
}

#[test]
fn chunks_are_about_the_body_and_go_with_it() {
    // SPEC Q10, D3, D10
    let peer = Peer::serve(|request| match request.target.as_str() {
        "/303" => response("303 See Other", &[("Location", "/end")], ""),
        "/307" => response("307 Temporary Redirect", &[("Location", "/end")], ""),
        _ => ok(""),
    });
    let session = Session::new();
    for (path, coding) in [("/303", None), ("/307", Some("chunked"))] {
        let request = session.post(peer.url(path)).body("hello").chunked(true);
        request.send().expect("it is followed");
        let last = peer.requests().pop().expect("it came");
        assert_eq!(last.header("transfer-encoding"), coding, "{path}");
        assert_eq!(last.text(), coding.map_or("", |_| "hello"));
    }
}

#[test]
fn a_body_is_announced_where_that_is_asked_for() {
    // SPEC Q11
    let peer = Peer::start(|conn| {
        loop {
            let mut request = conn.request_head()?;
            if request.header("expect") == Some("100-continue") {
                conn.write("HTTP/1.1 100 Continue\r\n\r\n")?;
            }
            conn.read_body(&mut request)?;
            conn.write(ok(request.text()))?;
        }
    });
    let session = Session::builder().expect_continue(WATCHDOG).build();
    let response = session.post(peer.url("/")).body("hello").send();
    assert_eq!(response.expect("an answer").text().expect("whole"), "hello");
    get(&session, peer.url("/"));
    let never = session.post(peer.url("/")).body("x").expect_continue(None);
    never.send().expect("an answer");
    let old = session.post(peer.url("/")).body("x");
    old.version(Version::HTTP_10).send().expect("an answer");
    let own = session.post(peer.url("/")).body("x");
    let own = own.header("expect", "100-continue").send();
    own.expect("an answer");
    let expects = peer.requests().into_iter();
    let expects: Vec<_> = expects
        .map(|request| request.header_all("expect").count())
        .collect();
    assert_eq!(expects, [1, 0, 0, 0, 1]);
}

#[test]
fn an_announced_body_is_not_held_back_for_ever() {
    // SPEC Q11
    let peer = Peer::serve(|request| ok(request.text()));
    for wait in [Duration::ZERO, Duration::from_millis(20)] {
        let request = Session::new().put(peer.url("/")).body("hello");
        let response = request.expect_continue(wait).send();
        assert_eq!(response.expect("an answer").text().expect("whole"), "hello");
    }
    // A final answer spares it, however long it would be held back.
    let peer = Peer::start(|conn| {
        let request = conn.request_head()?;
        assert_eq!(request.header("expect"), Some("100-continue"));
        conn.write(response("413 Too Large", &[], ""))?;
        assert_eq!(conn.wait_for_close()?, b"", "nothing of the body came");
        Ok(())
    });
    let request = Session::new().put(peer.url("/")).body("hello");
    let response = request.expect_continue(WATCHDOG * 2).send();
    assert_eq!(response.expect("an answer").status(), 413);
    peer.finish();
}

#[cfg(feature = "json")]
#[test]
fn json_may_be_written_otherwise() {
    // SPEC S7
    let session = Session::builder()
        .json_serializer(|value| match value.as_array() {
            Some(_) => Err("no arrays here".into()),
            None => Ok(format!("<{value}>").into_bytes()),
        })
        .build();
    let request = arrived(&session, |session, url| session.post(url).json(&7));
    assert_eq!(request.text(), "<7>");
    assert_eq!(request.header("content-type"), Some("application/json"));
    let error = refused(|url| session.post(url).json(&[7]));
    assert_eq!(error.kind(), Kind::InvalidRequest);
    assert!(format!("{error:#}").contains("no arrays here"), "{error:#}");
}

#[test]
fn a_server_name_is_a_name_or_an_address() {
    // SPEC Q17, H9
    let session = Session::new();
    let mut names = vec!["", "a b", "a\r\nb", "http://h/", "h:80", "[::1"];
    if cfg!(feature = "tls") {
        names.push("-a.test");
    }
    for name in names {
        let error = refused(|url| session.get(url).server_name(name));
        assert_eq!(error.kind(), Kind::InvalidRequest, "{name:?}");
    }
    // Where there is no TLS it says nothing, and divides no connections.
    let peer = Peer::serve(|_| ok(""));
    for name in ["example.com", "::1", "[::1]", "192.0.2.1", "bücher.example"] {
        let request = session.get(peer.url("/")).server_name(name);
        request.send().expect("an answer").bytes().expect("no body");
    }
    assert_eq!(peer.connections(), 1);
    let request = peer.requests().pop().expect("it came");
    assert_eq!(
        request.header("host"),
        Some(peer.address().to_string().as_str())
    );
}

#[test]
fn a_requests_own_cookies_are_for_it_alone() {
    // SPEC Q16, H8, D7
    let away = Peer::serve(|_| ok(""));
    let target = away.url("/away");
    let peer = Peer::serve(move |request| match request.target.as_str() {
        "/here" => response("302 Found", &[("Location", "/end")], ""),
        "/leave" => response("302 Found", &[("Location", &target)], ""),
        _ => ok(""),
    });
    let session = Session::new();
    let cookies = |peer: &Peer| {
        let request = peer.requests().pop().expect("it came");
        let all: Vec<_> = request.header_all("cookie").map(String::from).collect();
        all.join(" & ")
    };
    let ask = |path| {
        let request = session.get(peer.url(path)).cookie("a", "1");
        request.cookie("b", "\"x y\"").cookie("a", "2")
    };
    ask("/").send().expect("an answer");
    assert_eq!(cookies(&peer), "b=\"x y\"; a=2");
    let beside = ask("/").header("cookie", "a=9; c=3");
    beside.send().expect("an answer");
    assert_eq!(cookies(&peer), "c=3; b=\"x y\"; a=2");
    ask("/here").send().expect("it is followed");
    assert_eq!(cookies(&peer), "b=\"x y\"; a=2");
    ask("/leave").send().expect("it is followed");
    assert_eq!(cookies(&away), "");
    get(&session, peer.url("/"));
    assert_eq!(cookies(&peer), "", "the next request has none");

    for (name, value) in [
        ("", "1"),
        ("a=b", "1"),
        ("a;b", "1"),
        (" a", "1"),
        ("a", "1;b=2"),
        ("a", "1 "),
        ("a", "1\r\nx: y"),
        ("a", "\0"),
    ] {
        let error = refused(|url| session.get(url).cookie(name, value));
        assert_eq!(error.kind(), Kind::InvalidRequest, "{name:?}={value:?}");
    }
}

#[cfg(feature = "cookies")]
#[test]
fn cookies_of_a_session_go_to_every_host_or_to_one() {
    // SPEC S3, Q16
    let peer = Peer::serve(|_| ok(""));
    let sent = |session: &Session, host: &str, path: &str, own: Option<&str>| {
        let request = session.get(peer.url_for(host, path));
        let request = match own {
            Some(value) => request.cookie("all", value),
            None => request,
        };
        request.send().expect("an answer");
        let request = peer.requests().pop().expect("it came");
        request.header("cookie").map(String::from)
    };
    let there = peer.url_for("localhost", "/a/b");
    let jar = miohttp::CookieJar::new();
    let own = Session::builder().cookie("all", "1");
    let given = Session::builder()
        .cookie_jar(jar.clone())
        .cookie("all", "1");
    for builder in [own, given] {
        let session = builder.cookie_for(&there, "one", "2").build();
        let both = sent(&session, "localhost", "/a/c", None).expect("two");
        let mut both: Vec<_> = both.split("; ").collect();
        both.sort_unstable();
        assert_eq!(both, ["all=1", "one=2"]);
        assert_eq!(
            sent(&session, "localhost", "/", None).as_deref(),
            Some("all=1")
        );
        assert_eq!(
            sent(&session, "127.0.0.1", "/a/c", None).as_deref(),
            Some("all=1")
        );
        let own = sent(&session, "127.0.0.1", "/", Some("3"));
        assert_eq!(own.as_deref(), Some("all=3"), "a request's own goes first");
        assert_eq!(session.cookie_jar().expect("it has one").len(), 2);
    }
    assert_eq!(jar.len(), 2, "they were put into the one that was given");
}

/// A peer that answers when the gate is open, and a request that waits there.
fn gated(gate: &Gate) -> Peer {
    let gate = gate.clone();
    Peer::serve(move |_| {
        gate.wait();
        ok("hello")
    })
}

#[test]
fn a_shutdown_lets_what_is_in_flight_end() {
    // SPEC S30, S33
    let gate = Gate::new();
    let peer = gated(&gate);
    let session = Session::new();
    let pending = session.get(peer.url("/")).start_send();
    gate.wait_for_arrivals(1);
    let ending = session.clone();
    let ended = std::thread::spawn(move || ending.shutdown(WATCHDOG));
    // It is closed to others at once.
    while !session.is_closed() {
        std::thread::yield_now();
    }
    let late = session.get(peer.url("/")).send().expect_err("closed");
    assert_eq!(late.kind(), Kind::Closed);
    gate.open();
    let response = pending.wait().expect("it goes on");
    assert_eq!(response.text().expect("to its end"), "hello");
    assert!(ended.join().expect("no panic"), "nothing was broken off");
    assert!(session.connector().is_closed());
    assert!(session.shutdown(WATCHDOG), "once more is nothing");
}

#[test]
fn a_body_and_a_redirect_are_in_flight() {
    // SPEC S33
    let gate = Gate::new();
    let inside = gate.clone();
    let peer = Peer::serve(move |request| match request.target.as_str() {
        "/moved" => {
            inside.wait();
            response("302 Found", &[("Location", "/end")], "")
        }
        _ => ok(vec![b'x'; 4 * 1024 * 1024]),
    });
    let session = Session::builder().read_buffer(1024).build();
    let pending = session.get(peer.url("/moved")).start_send();
    gate.wait_for_arrivals(1);
    let ending = session.clone();
    let ended = std::thread::spawn(move || ending.shutdown(WATCHDOG));
    while !session.is_closed() {
        std::thread::yield_now();
    }
    gate.open();
    let response = pending.wait().expect("the redirect is followed");
    let mut body = Vec::new();
    let mut reader = response.into_reader();
    reader.read_to_end(&mut body).expect("and all of it comes");
    assert_eq!(body.len(), 4 * 1024 * 1024);
    drop(reader);
    assert!(ended.join().expect("no panic"));
}

#[test]
fn a_blocked_caller_and_what_it_has_not_read_are_in_flight() {
    // SPEC S33
    const LENGTH: usize = 8 * 1024 * 1024;
    let gate = Gate::new();
    let inside = gate.clone();
    let peer = Peer::serve(move |_| {
        inside.wait();
        ok(vec![b'x'; LENGTH])
    });
    let session = Session::builder().read_buffer(1024).build();
    let (caller, url) = (session.clone(), peer.url("/"));
    let calling = std::thread::spawn(move || caller.get(url).send());
    gate.wait_for_arrivals(1);
    let ending = session.clone();
    let ended = std::thread::spawn(move || ending.shutdown(WATCHDOG));
    while !session.is_closed() {
        std::thread::yield_now();
    }
    gate.open();
    let response = calling.join().expect("no panic").expect("an answer");
    let body = response.bytes().expect("nothing breaks it off");
    assert_eq!(body.len(), LENGTH);
    assert!(ended.join().expect("no panic"));

    // What nobody reads has the grace, and no more.
    let session = Session::builder().read_buffer(1024).build();
    let response = get(&session, peer.url("/"));
    assert!(!session.shutdown(Duration::from_millis(10)));
    let error = response.bytes().expect_err("it was broken off");
    assert_eq!(error.kind(), Kind::Closed, "{error:?}");
}

#[test]
fn the_grace_of_a_shutdown_ends() {
    // SPEC S33
    let gate = Gate::new();
    let peer = gated(&gate);
    let session = Session::new();
    let pending = session.get(peer.url("/")).start_send();
    gate.wait_for_arrivals(1);
    assert!(!session.shutdown(Duration::from_millis(10)));
    let error = pending.wait().expect_err("it was broken off");
    assert_eq!(error.kind(), Kind::Closed);
    gate.open();
}

#[test]
fn a_shared_connector_outlives_its_sessions() {
    // SPEC S13, S33, S34
    let peer = Peer::serve(|_| ok("hello"));
    let connector = Connector::new();
    let make = || Session::builder().connector(connector.clone()).build();
    let (one, other) = (make(), make());
    get(&one, peer.url("/")).text().expect("whole");
    assert!(one.shutdown(Duration::ZERO));
    assert!(one.is_closed() && !other.is_closed() && !connector.is_closed());
    get(&other, peer.url("/")).text().expect("whole");
    assert_eq!(peer.connections(), 1);
    connector.close();
    assert!(other.is_closed());
}

#[test]
fn a_connector_can_be_taken_out() {
    // SPEC S30, S34
    let peer = Peer::serve(|_| ok("hello"));
    let session = Session::new();
    get(&session, peer.url("/")).text().expect("whole");
    let clone = session.clone();
    let connector = session.into_connector();
    assert!(clone.is_closed());
    let error = clone.get(peer.url("/")).send().expect_err("closed");
    assert_eq!(error.kind(), Kind::Closed);
    // Even of this one, whose own it was.
    clone.close();
    assert!(clone.shutdown(WATCHDOG));
    assert!(!connector.is_closed());
    let next = Session::builder().connector(connector).build();
    get(&next, peer.url("/")).text().expect("whole");
    assert_eq!(peer.connections(), 1, "its connections are still there");
}

#[test]
fn dropping_a_session_breaks_nothing_off() {
    // SPEC S35
    let gate = Gate::new();
    let peer = gated(&gate);
    let session = Session::new();
    let pending = session.get(peer.url("/")).start_send();
    gate.wait_for_arrivals(1);
    drop(session);
    gate.open();
    assert_eq!(
        pending.wait().expect("an answer").text().expect("whole"),
        "hello"
    );
}

#[cfg(feature = "tls")]
mod tls {
    use miohttp::{Connector, Kind, Session, TlsConfig};

    use super::support::tls::ca_pem;
    use super::support::{Certificate, Peer, TlsOptions, ok, response};

    fn trusting() -> TlsConfig {
        let tls = TlsConfig::new().builtin_roots(false);
        tls.add_root_pem(ca_pem().as_bytes()).expect("good PEM")
    }

    #[test]
    fn settings_of_a_request_go_before_those_of_session_and_connector() {
        // SPEC S24, Q15
        let peer = Peer::serve_tls(TlsOptions::default(), |_| ok(""));
        let (trusts, strict) = (trusting(), TlsConfig::new());
        let passes =
            |connector: &TlsConfig, session: Option<&TlsConfig>, own: Option<&TlsConfig>| {
                let connector = Connector::builder().tls(connector.clone()).build();
                let builder = Session::builder().connector(connector);
                let session = match session {
                    Some(tls) => builder.tls(tls).build(),
                    None => builder.build(),
                };
                let request = session.get(peer.url("/"));
                let request = match own {
                    Some(tls) => request.tls(tls),
                    None => request,
                };
                match request.send() {
                    Ok(_) => true,
                    Err(error) => {
                        assert_eq!(error.kind(), Kind::Certificate, "{error:#}");
                        false
                    }
                }
            };
        assert!(!passes(&strict, None, None));
        assert!(passes(&strict, Some(&trusts), None));
        assert!(!passes(&trusts, Some(&strict), None));
        assert!(passes(&strict, Some(&strict), Some(&trusts)));
        assert!(!passes(&trusts, Some(&trusts), Some(&strict)));
    }

    #[test]
    fn sessions_with_other_settings_share_no_connection() {
        // SPEC S24, P1
        let peer = Peer::serve_tls(TlsOptions::default(), |_| ok(""));
        let connector = Connector::builder().tls(trusting()).build();
        let tls = trusting();
        for (own, connections) in [(false, 1), (true, 2), (false, 2), (true, 2)] {
            let builder = Session::builder().connector(connector.clone());
            let session = match own {
                true => builder.tls(&tls).build(),
                false => builder.build(),
            };
            let response = session.get(peer.url("/")).send().expect("trusted");
            response.bytes().expect("no body");
            assert_eq!(peer.connections(), connections);
        }
    }

    #[test]
    fn the_server_name_is_what_has_to_be_proved() {
        // SPEC Q17, P1
        let options = TlsOptions::new(Certificate::WrongHost);
        let peer = Peer::serve_tls(options, |_| ok(""));
        let session = Session::builder().tls(&trusting()).build();
        let error = session.get(peer.url("/")).send().expect_err("another name");
        assert_eq!(error.kind(), Kind::Certificate);
        for _ in 0..2 {
            let request = session.get(peer.url("/")).server_name("elsewhere.test");
            let response = request.send().expect("the right name");
            response.bytes().expect("no body");
        }
        assert_eq!(peer.request_count(), 2);
        let host = peer.requests().pop().expect("it came");
        let address = peer.address().to_string();
        assert_eq!(host.header("host"), Some(address.as_str()));
        // Its connection serves nobody who has not asked for that name.
        let error = session.get(peer.url("/")).send().expect_err("another name");
        assert_eq!(error.kind(), Kind::Certificate);
        let request = session.get(peer.url("/")).server_name("third.test");
        assert_eq!(
            request.send().expect_err("no such name").kind(),
            Kind::Certificate
        );
        assert_eq!(peer.request_count(), 2);
    }

    #[test]
    fn a_server_name_stays_at_its_origin() {
        // SPEC Q17, D7
        let good = Peer::serve_tls(TlsOptions::default(), |_| ok("good"));
        let target = good.url("/");
        let options = TlsOptions::new(Certificate::WrongHost);
        let named = Peer::serve_tls(options, move |request| match request.target.as_str() {
            "/here" => response("302 Found", &[("Location", "/end")], ""),
            "/away" => response("302 Found", &[("Location", &target)], ""),
            _ => ok("named"),
        });
        let session = Session::builder().tls(&trusting()).build();
        for (path, want) in [("/here", "named"), ("/away", "good")] {
            let request = session.get(named.url(path)).server_name("elsewhere.test");
            let response = request.send().expect("each is who it has to be");
            assert_eq!(response.text().expect("whole"), want);
        }
    }
}
