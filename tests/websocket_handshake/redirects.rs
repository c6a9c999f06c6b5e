//! Handshakes that are sent elsewhere first (SPEC W6, §3).

use super::*;
use miohttp::{Action, RedirectPolicy};
use std::sync::{Arc, Mutex};
use support::enter;

fn to(location: &str) -> Vec<u8> {
    let fields = [("Location", location), ("Set-Cookie", "met=yes")];
    response("302 Found", &fields, "over there")
}

/// Sends everybody on.
fn leading(location: String) -> Peer {
    answering(move |_| to(&location))
}

#[test]
fn redirects_lead_to_schemes_of_websockets_too() {
    // SPEC W6, D1
    for started in DRIVERS {
        let there = agreeing();
        let relative = ws::url(&there, "/room?a=b").replace("ws:", "");
        for location in [
            ws::url(&there, "/room?a=b"),
            ws::url(&there, "/room?a=b").replace("ws:", "WS:"),
            there.url("/room?a=b"),
            relative,
        ] {
            let here = leading(location.clone());
            let socket = Session::new()
                .ws_connect(ws::url(&here, "/"))
                .protocols(["chat"])
                .origin("http://page");
            let socket = connect(socket, started).unwrap_or_else(|e| panic!("{location}: {e:#}"));
            works(&socket);
            let request = there.requests().pop().expect("a request");
            assert_eq!(request.line(), "GET /room?a=b");
            assert_eq!(request.header("sec-websocket-protocol"), Some("chat"));
            assert_eq!(request.header("origin"), Some("http://page"));
            let host = there.address().to_string();
            assert_eq!(request.header("host"), Some(&*host));
            assert_eq!(socket.url().as_str(), ws::url(&there, "/room?a=b"));
            let response = socket.response();
            let history = response.history().iter().map(|hop| hop.url.as_str());
            assert_eq!(history.collect::<Vec<_>>(), [ws::url(&here, "/")]);
            here.check();
        }
    }
}

#[test]
fn other_requests_go_to_no_websocket() {
    // SPEC D6
    let there = agreeing();
    for location in [ws::url(&there, "/"), "wss://h/".to_owned()] {
        let here = leading(location);
        for started in DRIVERS {
            let request = Session::new().get(here.url("/"));
            let result = match started {
                false => request.send(),
                true => request.start_send().wait(),
            };
            let error = result.expect_err("refused");
            assert_eq!(error.kind(), Kind::BadRedirect, "{error:#}");
        }
    }
    // Nor does a WebSocket go anywhere else.
    for location in ["ftp://h/", "wsx://h/", "ws:h", "ws://"] {
        let here = leading(location.to_owned());
        for started in DRIVERS {
            let socket = Session::new().ws_connect(ws::url(&here, "/"));
            let error = refused(connect(socket, started));
            assert_eq!(error.kind(), Kind::BadRedirect, "{location}: {error:#}");
            let url = error.url().map(|url| url.as_str().to_owned());
            assert_eq!(url, Some(ws::url(&here, "/")), "{location}");
        }
    }
    assert_eq!(there.connections(), 0);
}

#[test]
fn a_target_is_sent_as_it_is_written_where_that_is_asked_for() {
    // SPEC S32, W6
    for started in DRIVERS {
        let there = agreeing();
        let here = leading(ws::url(&there, "/%7e/%c3?q='x'"));
        let session = Session::new();
        let socket = session.ws_connect(ws::url(&here, "/"));
        works(&connect(socket, started).expect("a WebSocket"));
        let socket = session
            .ws_connect(ws::url(&here, "/"))
            .requote_redirect_url(false);
        works(&connect(socket, started).expect("a WebSocket"));
        let lines = there.request_lines();
        assert_eq!(lines, ["GET /~/%C3?q=%27x%27", "GET /%7e/%c3?q='x'"]);
    }
}

#[test]
fn what_was_for_one_origin_stays_there() {
    // SPEC D7, W6
    let named = |peer: &Peer| peer.url_for("localhost", "/").replacen("http", "ws", 1);
    for started in DRIVERS {
        let there = agreeing();
        let here = leading(named(&there));
        let socket = Session::new()
            .ws_connect(named(&here))
            .header("authorization", "Bearer token")
            .cookie("own", "1")
            .header("x-own", "1");
        works(&connect(socket, started).expect("a WebSocket"));
        let (first, second) = (&here.requests()[0], &there.requests()[0]);
        assert_eq!(first.header("authorization"), Some("Bearer token"));
        assert_eq!(first.header("cookie"), Some("own=1"));
        assert_eq!(second.header("authorization"), None);
        assert_eq!(second.header("x-own"), Some("1"));
        // The jar's goes by the host alone, which is the same.
        let jar = cfg!(feature = "cookies").then_some("met=yes");
        assert_eq!(second.header("cookie"), jar);
    }
}

#[test]
fn redirects_are_counted_and_can_be_refused() {
    // SPEC Q8, W6, W9
    for started in DRIVERS {
        let here = answering(|_| to("/again"));
        let session = Session::new();
        let socket = session.ws_connect(ws::url(&here, "/"));
        let error = refused(connect(socket.redirects(RedirectPolicy::Limit(2)), started));
        assert_eq!(error.kind(), Kind::TooManyRedirects, "{error:#}");
        let history: Vec<_> = error.history().iter().map(|hop| hop.url.as_str()).collect();
        assert_eq!(history, [ws::url(&here, "/"), ws::url(&here, "/again")]);

        let socket = session.ws_connect(ws::url(&here, "/"));
        let error = refused(connect(socket.redirects(RedirectPolicy::None), started));
        assert_eq!(error.kind(), Kind::WsHandshake, "{error:#}");
        assert_eq!(error.status().expect("a status").as_u16(), 302);
        assert_eq!(error.body(), Some(&b"over there"[..]));

        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        let policy = RedirectPolicy::custom(move |attempt| {
            enter(&seen).push(attempt.to().path().to_owned());
            match attempt.history().len() {
                0 => Action::Follow,
                _ => Action::Stop,
            }
        });
        let socket = session.ws_connect(ws::url(&here, "/"));
        let error = refused(connect(socket.redirects(policy), started));
        assert_eq!(error.kind(), Kind::WsHandshake, "{error:#}");
        assert_eq!(*enter(&asked), ["/again", "/again"]);
    }
}

#[test]
fn a_method_goes_along_as_of_any_request() {
    // SPEC D2, W6
    let here = answering(|request| match request.target.as_str() {
        "/" => to("/again"),
        _ => yes(request),
    });
    let socket = Session::new().ws_connect(ws::url(&here, "/"));
    works(&socket.method("post").connect().expect("a WebSocket"));
    assert_eq!(here.request_lines(), ["POST /", "GET /again"]);
}

#[cfg(feature = "tls")]
#[test]
fn redirects_lead_into_tls_and_out_of_it() {
    // SPEC W6, D6
    use miohttp::TlsConfig;
    use support::{Certificate, TlsOptions, tls};

    let trusting = TlsConfig::new()
        .add_root_pem(tls::ca_pem().as_bytes())
        .expect("a root");
    let options = || TlsOptions::new(Certificate::Good);
    for started in DRIVERS {
        let session = || Session::new();
        let safe = ws::start_tls(options(), Handshake::new(), |ws| ws.echo());
        let wss = safe
            .url_for("localhost", "/safe")
            .replacen("https", "wss", 1);
        let here = leading(wss.clone());
        let socket = session().ws_connect(ws::url(&here, "/")).tls(&trusting);
        let socket = connect(socket, started).expect("a WebSocket");
        works(&socket);
        assert_eq!(socket.url().as_str(), wss);
        assert!(socket.tls_info().is_some());

        let plain = agreeing();
        let location = ws::url(&plain, "/plain");
        let safe = Peer::serve_tls(options(), move |_| to(&location));
        let url = safe.url_for("localhost", "/").replacen("https", "wss", 1);
        let socket = session().ws_connect(&url).tls(&trusting);
        works(&connect(socket, started).expect("a WebSocket"));
        let socket = session()
            .ws_connect(&url)
            .tls(&trusting)
            .refuse_downgrade(true);
        let error = refused(connect(socket, started));
        assert_eq!(error.kind(), Kind::BadRedirect, "{error:#}");
        assert_eq!(error.url().map(|url| url.as_str()), Some(&*url));
        assert_eq!(plain.connections(), 1);
    }
}
