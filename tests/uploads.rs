//! Request bodies: their types and framing, what is refused, and when they are
//! held back or broken off.

mod support;

use miohttp::{Body, Kind, Method, Phase, RequestBuilder, Session};
use support::{Gate, Peer, Request, ok, response};

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

#[test]
fn bodies_have_their_type_and_their_length() {
    // SPEC B1, B2, B7, H5, H6
    const OCTETS: Option<&str> = Some("application/octet-stream");
    const TEXT: Option<&str> = Some("text/plain; charset=utf-8");
    // Method, body, and the type and length that must be announced for it.
    let bodies = [
        ("GET", None, None, None),
        ("DELETE", None, None, None),
        ("POST", None, None, Some("0")),
        ("PUT", None, None, Some("0")),
        ("PATCH", Some("".into()), None, Some("0")),
        ("POST", Some("grüße".into()), TEXT, Some("7")),
        ("PUT", Some(vec![0, 255, 10, 13].into()), OCTETS, Some("4")),
        ("GET", Some(Body::bytes(&b"x"[..])), OCTETS, Some("1")),
        ("DELETE", Some(String::from("why").into()), TEXT, Some("3")),
    ];
    for (method, body, kind, length) in bodies {
        let what = format!("{method} {body:?}");
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let request = arrived(&Session::new(), |session, url| {
            let request = session.request(method, url);
            match body {
                Some(body) => request.body(body),
                None => request,
            }
        });
        assert_eq!(request.header("content-type"), kind, "{what}");
        assert_eq!(request.header("content-length"), length, "{what}");
        let announced = length.map_or(0, |length| length.parse().expect("digits"));
        assert_eq!(request.body.len(), announced, "{what}");
        assert_eq!(request.header("transfer-encoding"), None, "{what}");
    }
    let typed = arrived(&Session::new(), |session, url| {
        session.post(url).header("Content-Type", "a/b").body("<a/>")
    });
    assert_eq!(
        typed.header_all("content-type").collect::<Vec<_>>(),
        ["a/b"]
    );
}

#[test]
fn a_large_body_arrives_as_it_is() {
    // SPEC B1
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let sent = body.clone();
    let request = arrived(&Session::new(), |session, url| session.post(url).body(sent));
    assert_eq!(request.header("content-length"), Some("3000000"));
    assert!(request.body == body, "the body was changed on the way");
}

#[test]
fn chunked_is_sent_where_it_is_asked_for() {
    // SPEC Q10
    let request = arrived(&Session::new(), |session, url| {
        session
            .post(url)
            .header("transfer-encoding", "chunked")
            .body("in pieces")
    });
    assert_eq!(request.header("content-length"), None);
    assert_eq!(request.chunks.iter().sum::<usize>(), 9);
    assert_eq!(request.text(), "in pieces");
}

#[test]
fn framing_that_contradicts_itself_is_refused() {
    // SPEC H5, Q10
    let session = Session::new();
    for (name, value) in [
        ("content-length", "5"),
        ("content-length", "+4"),
        ("content-length", "many"),
        ("transfer-encoding", "gzip"),
        ("transfer-encoding", "chunked, chunked"),
    ] {
        let error = refused(|url| session.post(url).header(name, value).body("four"));
        assert!(error.url().is_some(), "{name}: {value}");
    }
    refused(|url| {
        let request = session.post(url).header("content-length", "4").body("four");
        request.header("transfer-encoding", "chunked")
    });
    // Two lengths are two messages to whoever reads the other one.
    refused(|url| {
        let request = session.post(url).header("content-length", "4").body("four");
        request.header("content-length", "40")
    });
    refused(|url| {
        let request = session.post(url).header("transfer-encoding", "chunked");
        request.header("transfer-encoding", "gzip").body("four")
    });
}

#[cfg(feature = "json")]
#[test]
fn json_goes_both_ways() {
    // SPEC Q5, J2
    use serde_json::{Value, json};
    let peer = Peer::serve(|request| match request.target.as_str() {
        "/blank" => ok(" \r\n\t"),
        "/bom" => ok("\u{feff}[1]"),
        "/broken" => ok("{\"a\":"),
        _ => response("200 OK", &[("Content-Type", "text/html")], &request.body),
    });
    let session = Session::new();
    let value = json!({"ü": [1, 2.5, null], "nested": {"a": "b\n"}});
    let answer = session.post(peer.url("/")).json(&value).send();
    let answer: Value = answer.and_then(|r| r.json()).expect("an echo");
    assert_eq!(answer, value, "the answer's content type does not matter");
    let request = peer.requests().pop().expect("one request");
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(
        serde_json::from_slice::<Value>(&request.body).ok(),
        Some(value)
    );

    let get = |path: &str| session.get(peer.url(path)).send().expect("an answer");
    assert_eq!(get("/blank").json::<Value>().ok(), Some(Value::Null));
    assert_eq!(get("/bom").json::<Vec<u8>>().ok(), Some(vec![1]));
    for error in [
        get("/broken").json::<Value>().map(drop),
        get("/bom").json::<String>().map(drop),
        get("/broken").start_json::<Value>().wait().map(drop),
    ] {
        let error = error.expect_err("no JSON of this type");
        assert_eq!(error.kind(), Kind::Decode);
        assert_eq!(error.phase(), Some(Phase::Body));
        assert!(std::error::Error::source(&error).is_some());
    }
    // A map whose keys are no strings has no JSON.
    let unserializable = std::collections::BTreeMap::from([((1, 2), 3)]);
    refused(|url| session.post(url).json(&unserializable));
}

#[test]
fn an_expectation_is_waited_for_and_a_final_answer_spares_the_body() {
    // SPEC Q11
    let peer = Peer::start(|conn| {
        let mut request = conn.request_head()?;
        assert_eq!(request.header("expect"), Some("100-continue"));
        if request.target == "/refuse" {
            conn.write(response("417 Expectation Failed", &[], "no"))?;
            assert_eq!(conn.wait_for_close()?, b"", "the body came all the same");
            return Ok(());
        }
        conn.write("HTTP/1.1 100 Continue\r\n\r\n")?;
        conn.read_body(&mut request)?;
        conn.write(ok(&request.body))
    });
    let send = |path| {
        // A session each: the peer closes after one exchange.
        let request = Session::new().post(peer.url(path));
        let request = request.header("Expect", "100-continue").body("after you");
        request.send().expect("an answer")
    };
    assert_eq!(send("/go").text().expect("the echo"), "after you");
    let refused = send("/refuse");
    assert_eq!(refused.status(), 417);
    assert_eq!(refused.text().expect("its body"), "no");
    peer.finish();
}

#[test]
fn an_early_answer_is_delivered_and_the_upload_stops() {
    // SPEC B9
    const BODY: usize = 32 * 1024 * 1024;
    let answered = Gate::new();
    let opened = answered.clone();
    let peer = Peer::start(move |conn| {
        conn.request_head()?;
        conn.write(response("413 Content Too Large", &[], "too much"))?;
        // Nothing is read before the client has its answer, so that all it
        // could send until then is what the kernel buffers.
        opened.wait();
        let sent = conn.wait_for_close()?;
        assert!(sent.len() < BODY, "the client sent all of it");
        Ok(())
    });
    let request = Session::new().post(peer.url("/")).body(vec![b'x'; BODY]);
    let response = request.send().expect("the early answer");
    assert_eq!(response.status(), 413);
    assert_eq!(response.text().expect("its body"), "too much");
    answered.open();
    peer.finish();
}

#[test]
fn a_request_has_one_body() {
    // SPEC Q5
    refused(|url| Session::new().post(url).body("one").body("two"));
    #[cfg(feature = "json")]
    {
        refused(|url| Session::new().post(url).body("one").json(&2));
        refused(|url| Session::new().post(url).json(&1).body("two"));
    }
}

#[test]
fn pieces_are_sent_one_behind_the_other() {
    // SPEC B1, H5
    let block: Vec<u8> = (0..300_000_u32).map(|n| n as u8).collect();
    let block = miohttp::Bytes::from(block);
    let pieces = [block.clone(), "".into(), block.clone(), "end".into(), block];
    let whole: Vec<u8> = pieces.concat();
    let session = Session::new();
    let request = arrived(&session, |session, url| {
        session.post(url).body(Body::pieces(pieces.clone()))
    });
    assert_eq!(request.header("content-length"), Some("900003"));
    assert!(request.body == whole);
    // And chunked, where they are framed.
    let request = arrived(&session, |session, url| {
        let request = session.post(url).header("transfer-encoding", "chunked");
        request.body(Body::pieces(pieces))
    });
    assert_eq!(request.header("content-length"), None);
    assert!(request.body == whole);
    let nothing: [Vec<u8>; 0] = [];
    let request = arrived(&session, |session, url| {
        session.post(url).body(Body::pieces(nothing))
    });
    assert_eq!(request.header("content-length"), Some("0"));
    assert_eq!(request.header("content-type"), None);
}
