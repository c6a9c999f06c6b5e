//! Redirects over the wire (SPEC §3).

mod support;

#[path = "redirects/requote.rs"]
mod requote;

use std::collections::HashSet;

use miohttp::{
    Auth, Connector, Error, Kind, Method, Phase, RedirectPolicy, Response, Session, StatusCode,
    wait_all,
};
use support::{Gate, Peer, Request, chunked, ok, response};

fn to(status: &str, location: &str) -> Vec<u8> {
    response(status, &[("Location", location)], "gone")
}

/// Answers `/from` with this redirect and everything else with its request line.
fn redirecting(status: &'static str, location: &str) -> Peer {
    let location = location.to_owned();
    Peer::serve(move |request| match request.target.as_str() {
        "/from" => to(status, &location),
        _ => ok(request.line()),
    })
}

/// `/0` leads to `/1` and so on, for ever.
fn endless() -> Peer {
    Peer::serve(|request| {
        let number: u32 = request.target[1..].parse().expect("a number");
        to("302 Found", &format!("/{}", number + 1))
    })
}

fn lines(requests: &[Request]) -> Vec<String> {
    requests.iter().map(Request::line).collect()
}

#[test]
fn a_thousand_redirected_requests_need_nobody_to_wait_for_them() {
    // A started request makes progress by itself, redirects included.
    const REQUESTS: usize = 1000;
    let page = vec![b'x'; 1024];
    let peer = Peer::serve(move |request| match request.target.strip_prefix("/from/") {
        Some(number) => {
            let location = format!("/to/{number}");
            response("302 Found", &[("Location", &location)], &page)
        }
        None => ok(&page),
    });
    let connector = Connector::new();
    let session = Session::builder().connector(connector.clone()).build();
    let pending: Vec<_> = (0..REQUESTS)
        .map(|number| {
            session
                .get(peer.url(&format!("/from/{number}")))
                .start_send()
        })
        .collect();

    peer.wait_for_requests(2 * REQUESTS);
    let targets: HashSet<_> = peer.requests().into_iter().map(|r| r.target).collect();
    for number in 0..REQUESTS {
        assert!(targets.contains(&format!("/from/{number}")));
        assert!(targets.contains(&format!("/to/{number}")));
    }

    for (number, response) in wait_all(pending).into_iter().enumerate() {
        let response = response.expect("a response");
        assert_eq!(response.url().path(), format!("/to/{number}"));
        assert_eq!(response.history().len(), 1);
        assert_eq!(response.bytes().expect("its body").len(), 1024);
    }
    assert!(peer.peak_connections() <= 100, "the default limit");
    assert_eq!(connector.stats().in_use, 0);
    assert_eq!(connector.stats().waiting, 0);
}

#[test]
fn five_statuses_are_followed() {
    // SPEC D1
    for status in [
        "301 Moved Permanently",
        "302 Found",
        "303 See Other",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        let peer = redirecting(status, "/to?kept=1");
        let response = Session::new().get(peer.url("/from")).send().unwrap();
        assert_eq!(response.status(), 200, "{status}");
        assert_eq!(response.url().as_str(), peer.url("/to?kept=1"));
        assert_eq!(response.attempts(), 2);
        assert_eq!(response.text().unwrap(), "GET /to?kept=1");
    }
}

#[test]
fn others_are_responses_like_any() {
    // SPEC D1
    for status in [
        "300 Multiple Choices",
        "304 Not Modified",
        "305 Use Proxy",
        "306 (Unused)",
        "201 Created",
    ] {
        let peer = Peer::serve(move |_| to(status, "/to"));
        let response = Session::new().get(peer.url("/from")).send().unwrap();
        assert_eq!(response.status().as_str(), &status[..3]);
        assert!(response.history().is_empty());
        assert_eq!(peer.request_count(), 1, "{status}");
    }
}

#[test]
fn methods_and_bodies_change_as_browsers_have_it() {
    // SPEC D2, D3, D10
    for (status, method, next) in [
        ("303 See Other", Method::POST, Method::GET),
        ("303 See Other", Method::PUT, Method::GET),
        ("301 Moved Permanently", Method::POST, Method::GET),
        ("302 Found", Method::POST, Method::GET),
        ("302 Found", Method::PUT, Method::PUT),
        ("301 Moved Permanently", Method::DELETE, Method::DELETE),
        ("302 Found", Method::PATCH, Method::PATCH),
        ("307 Temporary Redirect", Method::POST, Method::POST),
        ("308 Permanent Redirect", Method::PUT, Method::PUT),
    ] {
        let name = format!("{status} {method}");
        let peer = redirecting(status, "/to");
        let response = Session::new()
            .request(method.clone(), peer.url("/from"))
            .header("content-language", "en")
            .body("the body")
            .send()
            .unwrap();
        assert_eq!(*response.method(), next, "{name}");
        let second = &peer.requests()[1];
        assert_eq!(second.line(), format!("{next} /to"), "{name}");
        let kept = next != Method::GET;
        assert_eq!(second.text(), if kept { "the body" } else { "" }, "{name}");
        assert_eq!(second.header("content-type").is_some(), kept, "{name}");
        assert_eq!(second.header("content-language").is_some(), kept, "{name}");
        assert_eq!(
            second.header("content-length"),
            kept.then_some("8"),
            "{name}"
        );
    }
}

#[test]
fn head_stays_and_is_followed_only_when_asked() {
    // SPEC Q8, D2
    let peer = Peer::serve(|request| match request.target.as_str() {
        "/from" => support::head(
            "303 See Other",
            &[("Location", "/to"), ("Content-Length", "9")],
        ),
        _ => support::head("200 OK", &[("Content-Length", "9")]),
    });
    let session = Session::new();
    let first = session.head(peer.url("/from")).send().unwrap();
    assert_eq!(first.status(), 303);
    assert_eq!(first.headers()["location"], "/to");
    let followed = session
        .head(peer.url("/from"))
        .redirects(RedirectPolicy::default())
        .send()
        .unwrap();
    assert_eq!(followed.status(), 200);
    assert_eq!(followed.bytes().unwrap(), "");
    let wanted = ["HEAD /from", "HEAD /from", "HEAD /to"];
    assert_eq!(peer.request_lines(), wanted);
}

#[test]
fn no_redirect_is_followed_where_the_policy_says_so() {
    // SPEC Q8, D14
    let peer = redirecting("302 Found", "/to");
    let session = Session::builder().redirects(RedirectPolicy::None).build();
    let response = session.get(peer.url("/from")).send().unwrap();
    assert_eq!(response.status(), 302);
    assert_eq!(response.text().unwrap(), "gone");
    let asked = session
        .get(peer.url("/from"))
        .redirects(RedirectPolicy::Limit(1))
        .send()
        .unwrap();
    assert_eq!(asked.status(), 200);
}

#[test]
fn the_target_is_location_or_uri_relative_to_where_it_was_said() {
    // SPEC D4
    for (header, location, target) in [
        ("Location", "other", "/dir/other"),
        ("Location", "../up", "/up"),
        ("Location", "?q=1", "/dir/page?q=1"),
        ("Location", "/with space/ü", "/with%20space/%C3%BC"),
        ("URI", "/by-uri", "/by-uri"),
    ] {
        let peer = Peer::serve(move |request| match request.target.as_str() {
            "/dir/page" => response("302 Found", &[(header, location)], ""),
            _ => ok(""),
        });
        let response = Session::new().get(peer.url("/dir/page")).send().unwrap();
        assert_eq!(response.url().as_str(), peer.url(target));
        assert_eq!(peer.requests()[1].target, target);
    }
}

#[test]
fn a_redirect_without_a_target_is_the_answer() {
    // SPEC D4: readable, and not in its own history.
    let nowhere: [&[(&str, &str)]; 3] = [&[], &[("Location", "")], &[("Location", " \t")]];
    for fields in nowhere {
        let peer = Peer::serve(|_| response("302 Found", fields, "read me"));
        let response = Session::new().get(peer.url("/")).send().unwrap();
        assert_eq!(response.status(), 302);
        assert!(response.history().is_empty());
        assert_eq!(response.text().unwrap(), "read me");
    }
}

#[test]
fn the_limit_is_how_many_are_followed() {
    // SPEC D5
    let peer = endless();
    let session = Session::new();
    for (policy, followed) in [
        (RedirectPolicy::default(), 10),
        (RedirectPolicy::Limit(0), 0),
        (RedirectPolicy::Limit(3), 3),
    ] {
        let before = peer.request_count();
        let error = session
            .get(peer.url("/0"))
            .redirects(policy)
            .send()
            .unwrap_err();
        assert_eq!(error.kind(), Kind::TooManyRedirects);
        assert!(error.is_redirect());
        assert_eq!(error.phase(), Some(Phase::Redirect));
        assert_eq!(error.status(), Some(StatusCode::FOUND));
        assert_eq!(peer.request_count() - before, followed + 1);
        let history: Vec<_> = error.history().iter().map(|hop| hop.url.path()).collect();
        let wanted: Vec<_> = (0..followed).map(|n| format!("/{n}")).collect();
        assert_eq!(history, wanted);
        let last = format!("/{followed}");
        assert_eq!(error.url().map(|url| url.path()), Some(&*last));
        let next = format!("/{}", followed + 1);
        assert_eq!(error.headers().unwrap()["location"], next);
    }
}

#[test]
fn history_is_the_way_that_led_here() {
    // SPEC R7
    let peer = Peer::serve(|request| match request.target.as_str() {
        "/a" => response("301 Moved", &[("Location", "/b"), ("X-Hop", "one")], ""),
        "/b" => response("307 Again", &[("Location", "/c"), ("X-Hop", "two")], ""),
        _ => ok("here"),
    });
    let url = peer.url("/a").replace("//", "//user:secret@");
    let response = Session::new().get(url).send().unwrap();
    let hops: Vec<_> = response
        .history()
        .iter()
        .map(|hop| (hop.status.as_u16(), hop.url.path(), &hop.headers["x-hop"]))
        .map(|(status, path, value)| (status, path, value.to_str().unwrap()))
        .collect();
    assert_eq!(hops, [(301, "/a", "one"), (307, "/b", "two")]);
    assert!(!format!("{:?}", response.history()).contains("secret"));
    assert_eq!(response.attempts(), 3);
    assert_eq!(response.text().unwrap(), "here");
}

#[test]
fn every_error_behind_a_redirect_has_the_history() {
    // SPEC R7
    let peer = Peer::start(|conn| {
        while let Some(request) = conn.next_request()? {
            match request.target.as_str() {
                "/cut" => return conn.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"),
                "/lost" => return Ok(()),
                from => conn.write(to("302 Found", from.strip_prefix("/from").unwrap_or(from)))?,
            }
        }
        Ok(())
    });
    let session = Session::new();
    let elsewhere = format!("/fromhttp://{}/", support::refusing_address());
    for (path, kind) in [
        ("/from/lost", Kind::Disconnected),
        ("/from/cut", Kind::Payload),
        (&*elsewhere, Kind::Connect),
        ("/from/from/fromftp://h/", Kind::BadRedirect),
    ] {
        let sent = session.get(peer.url(path)).send();
        let error = sent.and_then(Response::bytes).unwrap_err();
        assert_eq!(error.kind(), kind, "{path}: {error:#}");
        let first = error.history().first().map(|hop| hop.url.path());
        assert_eq!(first, Some(path), "{error:#}");
    }
}

#[test]
fn a_redirect_that_cannot_be_built_is_the_servers_mistake() {
    // SPEC D6, A2: a login with a colon in it has no header.
    let location = "http://a%3Ab:pa55word@127.0.0.1/";
    let peer = redirecting("302 Found", location);
    let error = Session::new().get(peer.url("/from")).send().unwrap_err();
    assert_eq!(error.kind(), Kind::BadRedirect, "{error:#}");
    assert_eq!(error.phase(), Some(Phase::Redirect));
    assert!(error.is_redirect() && !error.is_request());
    assert_eq!(error.status(), Some(StatusCode::FOUND));
    assert_eq!(error.url().map(|u| u.as_str()), Some(&*peer.url("/from")));
    let cause = std::error::Error::source(&error).and_then(|e| e.downcast_ref::<Error>());
    assert_eq!(cause.map(Error::kind), Some(Kind::InvalidRequest));
    assert!(!format!("{error:#} {error:?}").contains("pa55word"));
}

#[test]
fn where_no_request_can_go_is_a_bad_redirect() {
    // SPEC D6
    for location in [
        "ftp://files.test/x",
        "javascript:alert(1)",
        "mailto:a@b.test",
        "http://",
        "http://[::1",
        "http://host:99999/",
    ] {
        let peer = redirecting("302 Found", location);
        let error = Session::new().get(peer.url("/from")).send().unwrap_err();
        assert_eq!(error.kind(), Kind::BadRedirect, "{location}");
        assert_eq!(error.phase(), Some(Phase::Redirect), "{location}");
        assert_eq!(error.status(), Some(StatusCode::FOUND), "{location}");
        assert_eq!(peer.request_count(), 1, "{location}");
    }
}

#[test]
fn what_was_meant_for_one_origin_stays_there() {
    // SPEC D7: another port is another origin.
    let there = Peer::serve(|request| ok(request.line()));
    let here = redirecting("307 Temporary Redirect", &there.url("/to"));
    for explicit in [false, true] {
        let request = Session::new()
            .post(here.url("/from"))
            .header("cookie", "session=1")
            .header("proxy-authorization", "Basic cHJveHk=")
            .header("x-own", "kept")
            .body("kept too");
        let request = match explicit {
            true => request.header("authorization", "Bearer token"),
            false => request.auth(Auth::basic("user", "secret")),
        };
        request.send().unwrap();
        let (first, second) = (here.requests(), there.requests());
        let (first, second) = (first.last().unwrap(), second.last().unwrap());
        for name in ["authorization", "cookie", "proxy-authorization"] {
            assert!(first.header(name).is_some(), "{name}");
            assert_eq!(second.header(name), None, "{name}");
        }
        assert_eq!(second.header("x-own"), Some("kept"));
        assert_eq!(second.text(), "kept too");
        let host = format!("127.0.0.1:{}", there.port());
        assert_eq!(second.header("host"), Some(&*host));
    }
}

#[test]
fn the_same_origin_goes_on_getting_credentials() {
    // SPEC D7, A0
    let peer = redirecting("302 Found", "/to");
    let session = Session::builder().auth(Auth::bearer("token")).build();
    session.get(peer.url("/from")).send().unwrap();
    for request in peer.requests() {
        assert_eq!(request.header("authorization"), Some("Bearer token"));
    }
}

#[test]
fn userinfo_in_location_replaces_the_credentials() {
    // SPEC A0
    let there = Peer::serve(|request| ok(request.line()));
    let location = there.url("/to").replace("//", "//new:pass@");
    let here = redirecting("302 Found", &location);
    let response = Session::new()
        .get(here.url("/from"))
        .auth(Auth::basic("old", "word"))
        .send()
        .unwrap();
    assert_eq!(response.url().as_str(), there.url("/to"));
    let second = &there.requests()[0];
    assert_eq!(second.header("authorization"), Some("Basic bmV3OnBhc3M="));
}

#[cfg(feature = "cookies")]
#[test]
fn cookies_of_a_hop_are_there_on_the_next() {
    // SPEC D8
    let peer = Peer::serve(|request| match request.target.as_str() {
        "/login" => response(
            "302 Found",
            &[
                ("Location", "/inside/"),
                ("Set-Cookie", "id=7; Path=/"),
                ("Set-Cookie", "deep=1; Path=/inside"),
            ],
            "",
        ),
        "/inside/" => response(
            "302 Found",
            &[
                ("Location", "/out"),
                ("Set-Cookie", "id=; Path=/; Max-Age=0"),
            ],
            "",
        ),
        _ => ok(""),
    });
    let session = Session::new();
    session
        .get(peer.url_for("localhost", "/login"))
        .send()
        .unwrap();
    let cookies: Vec<_> = peer
        .requests()
        .iter()
        .map(|r| r.header("cookie").map(str::to_owned))
        .collect();
    assert_eq!(cookies, [None, Some("deep=1; id=7".to_owned()), None]);
}

#[test]
fn headers_are_sent_again_and_the_query_is_not() {
    // SPEC D9
    let peer = redirecting("302 Found", "/to");
    // `/from?x=1` is not `/from`: the redirect stands on another path.
    let peer_with_query = Peer::serve(|request| match request.target.as_str() {
        "/from?x=1" => to("302 Found", "/to"),
        _ => ok(""),
    });
    let session = Session::builder().default_header("x-default", "d").build();
    session
        .get(peer.url("/from"))
        .header("x-own", "1")
        .header("x-own", "2")
        .send()
        .unwrap();
    let second = &peer.requests()[1];
    assert_eq!(second.header_all("x-own").collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(second.header("x-default"), Some("d"));
    let request = session.get(peer_with_query.url("/from"));
    request.query_pair("x", "1").send().unwrap();
    let wanted = ["GET /from?x=1", "GET /to"];
    assert_eq!(lines(&peer_with_query.requests()), wanted);
}

#[test]
fn a_fragment_is_inherited_and_never_sent() {
    // SPEC D11, H10
    for (location, fragment) in [("/to", "kept"), ("/to#own", "own")] {
        let peer = redirecting("302 Found", location);
        let response = Session::new().get(peer.url("/from#kept")).send().unwrap();
        assert_eq!(response.url().fragment(), Some(fragment));
        assert_eq!(peer.request_lines(), ["GET /from", "GET /to"]);
    }
}

#[test]
fn a_short_body_is_read_away_and_a_long_one_costs_the_connection() {
    // SPEC D12
    for (length, connections) in [(0, 1), (60 * 1024, 1), (1024 * 1024, 2)] {
        let peer = Peer::serve(move |request| match request.target.as_str() {
            "/from" => response("302 Found", &[("Location", "/to")], vec![b'x'; length]),
            _ => ok("here"),
        });
        // One slot alone: the next hop has it only when the first has let go.
        let connector = Connector::builder().limit(1).build();
        let session = Session::builder().connector(connector.clone()).build();
        let response = session.get(peer.url("/from")).send().unwrap();
        assert_eq!(response.text().unwrap(), "here");
        assert_eq!(peer.connections(), connections, "{length}");
        assert_eq!(connector.stats().in_use, 0);
    }
}

#[test]
fn an_endless_body_does_not_hold_the_next_hop_up() {
    // SPEC D12
    let gate = Gate::new();
    let at = gate.clone();
    let peer = Peer::start(move |conn| {
        if conn.request()?.target == "/to" {
            return conn.write(ok("here"));
        }
        let whole = chunked(&[b"a piece"]);
        let endless = &whole[..whole.len() - 5];
        let head = String::from_utf8_lossy(endless).replacen(
            "200 OK\r\n",
            "302 Found\r\nLocation: /to\r\n",
            1,
        );
        conn.write(head)?;
        at.wait();
        Ok(())
    });
    // With one slot alone the next hop waits until the reading away is given up.
    for limit in [0, 1] {
        let connector = Connector::builder().limit(limit).build();
        let session = Session::builder().connector(connector).build();
        let response = session.get(peer.url("/from")).send().unwrap();
        assert_eq!(response.text().unwrap(), "here");
    }
    gate.open();
}

#[cfg(feature = "tls")]
mod tls {
    use miohttp::TlsConfig;

    use super::support::{TlsOptions, tls};
    use super::*;

    fn session() -> Session {
        let config = TlsConfig::new()
            .add_root_pem(tls::ca_pem().as_bytes())
            .unwrap();
        let connector = Connector::builder().tls(config).build();
        Session::builder().connector(connector).build()
    }

    #[test]
    fn a_redirect_may_change_the_scheme_but_not_take_secrets_along() {
        // SPEC D6, D7
        let plain = Peer::serve(|request| match request.target.as_str() {
            "/from" => to("302 Found", request.header("x-target").unwrap_or_default()),
            _ => ok(request.line()),
        });
        let secure = Peer::serve_tls(TlsOptions::default(), |request| {
            match request.target.as_str() {
                "/from" => to("302 Found", request.header("x-target").unwrap_or_default()),
                _ => ok(request.line()),
            }
        });
        let session = session();
        for (from, there) in [(&secure, &plain), (&plain, &secure)] {
            let response = session
                .get(from.url("/from"))
                .header("x-target", there.url("/to"))
                .auth(Auth::basic("user", "secret"))
                .send()
                .unwrap();
            assert_eq!(response.url().as_str(), there.url("/to"));
            assert_eq!(response.history().len(), 1);
            let second = there.requests();
            let second = second.iter().find(|r| r.target == "/to").unwrap();
            assert_eq!(second.header("authorization"), None);
        }
        // Leaving https can be refused, and only that.
        let strict = |from: &Peer, there: &Peer| {
            let request = session.get(from.url("/from")).refuse_downgrade(true);
            request.header("x-target", there.url("/to")).send()
        };
        let error = strict(&secure, &plain).unwrap_err();
        assert_eq!(error.kind(), Kind::BadRedirect);
        assert_eq!(error.status(), Some(StatusCode::FOUND));
        assert_eq!(strict(&plain, &secure).unwrap().status(), 200);
    }
}

#[test]
fn a_redirect_elsewhere_needs_no_second_slot() {
    // SPEC C3: an idle connection holds none.
    let there = Peer::serve(|_| ok("there"));
    let here = redirecting("302 Found", &there.url("/to"));
    let connector = Connector::builder().limit(1).build();
    let session = Session::builder().connector(connector.clone()).build();
    for _ in 0..3 {
        let response = session.get(here.url("/from")).send().unwrap();
        assert_eq!(response.text().unwrap(), "there");
    }
    assert_eq!((here.connections(), there.connections()), (1, 1));
    assert_eq!(connector.stats().idle, 2);
}

#[test]
fn a_redirect_to_itself_ends_at_the_limit() {
    // SPEC D5
    let peer = Peer::serve(|_| to("302 Found", "/"));
    let results: Vec<Result<Response, _>> = wait_all((0..10).map(|_| {
        let session = Session::new();
        session.get(peer.url("/")).start_send()
    }));
    for result in results {
        assert_eq!(result.unwrap_err().kind(), Kind::TooManyRedirects);
    }
    assert_eq!(peer.request_count(), 10 * 11);
}
