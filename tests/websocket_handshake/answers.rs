//! Which answers are a yes (SPEC W1, W7, W9), and what is told of the others.

use super::*;
use miohttp::PerMessageDeflate;

/// A server that answers this way, and that waits for the end of a connection that
/// should not be used.
fn answered(handshake: Handshake, is_yes: bool) -> Peer {
    ws::start(handshake, move |ws| match is_yes {
        true => ws.echo(),
        false => ws.conn.wait_for_close().map(drop),
    })
}

#[test]
fn the_server_chooses_among_the_protocols() {
    // SPEC W1
    type Case = (
        &'static [&'static str],
        &'static [&'static str],
        Result<Option<&'static str>, ()>,
    );
    let cases: &[Case] = &[
        (&[], &[], Ok(None)),
        (&["chat", "superchat"], &[], Ok(None)),
        (&["chat", "superchat"], &[""], Ok(None)),
        (
            &["chat", "superchat"],
            &["superchat"],
            Ok(Some("superchat")),
        ),
        (&["chat", "superchat"], &["  chat "], Ok(Some("chat"))),
        (
            &["chat", "superchat"],
            &["superchat, chat"],
            Ok(Some("superchat")),
        ),
        (
            &["chat", "superchat"],
            &["superchat", "chat"],
            Ok(Some("superchat")),
        ),
        // RFC 6455 §4.1: not one of those, letter by letter.
        (&["chat"], &["Chat"], Err(())),
        (&["chat"], &["cha"], Err(())),
        (&["chat"], &["other"], Err(())),
        (&["chat"], &["chat, other"], Err(())),
        (&["chat"], &["other", "chat"], Err(())),
        (&["chat", "superchat"], &["chat superchat"], Err(())),
        (&[], &["chat"], Err(())),
    ];
    for started in DRIVERS {
        for (offered, chosen, want) in cases {
            let mut handshake = Handshake::new();
            for protocol in *chosen {
                handshake = handshake.protocol(protocol);
            }
            let peer = answered(handshake, want.is_ok());
            let socket = Session::new()
                .ws_connect(ws::url(&peer, "/"))
                .protocols(["gone"])
                .protocols(offered.iter().copied());
            match (connect(socket, started), want) {
                (Ok(socket), Ok(want)) => {
                    assert_eq!(socket.protocol(), *want, "{offered:?} {chosen:?}");
                    works(&socket);
                }
                (Err(error), Err(())) => {
                    assert_eq!(error.kind(), Kind::WsHandshake, "{error:#}");
                    assert!(error.to_string().contains("not one offered"), "{error}");
                    peer.wait_for_ends(1);
                }
                (result, _) => panic!("{offered:?} {chosen:?}: {result:?}"),
            }
            let list = offered.join(", ");
            let list = (!offered.is_empty()).then_some(&*list);
            assert_eq!(peer.requests()[0].header("sec-websocket-protocol"), list);
        }
    }
}

#[test]
fn an_answer_may_say_it_in_other_words() {
    // SPEC W9
    let yes = Handshake::new;
    for handshake in [
        yes().with("Upgrade", "WebSocket"),
        yes().with("UPGRADE", " websocket  "),
        yes().with("Connection", "upgrade"),
        yes().with("Connection", "keep-alive, Upgrade"),
        yes().with("Connection", ",UPGRADE ,, close"),
        yes()
            .with("Connection", "keep-alive")
            .field("connection", "upgrade"),
        yes().status("101 "),
        yes().status("101 Whatever"),
        yes().extensions(""),
        yes().extensions(" , "),
        // Neither is a body's here (RFC 9112 §6.1).
        yes().field("Content-Length", "7"),
        yes().field("Content-Encoding", "gzip"),
    ] {
        for started in DRIVERS {
            let peer = answered(handshake.clone(), true);
            let socket = Session::new().ws_connect(ws::url(&peer, "/"));
            match connect(socket, started) {
                Ok(socket) => works(&socket),
                Err(error) => panic!("{handshake:?}: {error:#}"),
            }
        }
    }
}

#[test]
fn a_101_that_is_not_the_answer_is_none() {
    // SPEC W9
    let yes = Handshake::new;
    let wrong = ws::accept_of("another key");
    let cases = [
        (yes().without("Upgrade"), "no Upgrade"),
        (yes().with("Upgrade", "h2c"), "not websocket"),
        (yes().with("Upgrade", ""), "not websocket"),
        (yes().with("Upgrade", "websocket, h2c"), "not websocket"),
        (yes().with("Upgrade", "web socket"), "not websocket"),
        (yes().field("Upgrade", "websocket"), "more than one Upgrade"),
        (yes().without("Connection"), "Connection"),
        (yes().with("Connection", "close"), "Connection"),
        (yes().with("Connection", "upgrades"), "Connection"),
        (yes().with("Connection", "keep-alive upgrade"), "Connection"),
        (
            yes().without("Sec-WebSocket-Accept"),
            "no Sec-WebSocket-Accept",
        ),
        (yes().with("Sec-WebSocket-Accept", ""), "that of the key"),
        (
            yes().with("Sec-WebSocket-Accept", &wrong),
            "that of the key",
        ),
        (
            yes().field("Sec-WebSocket-Accept", &wrong),
            "more than one Sec-WebSocket-Accept",
        ),
        (yes().extensions("x-webkit-deflate-frame"), "extension"),
        (yes().extensions("permessage-deflate"), "permessage-deflate"),
    ];
    for started in DRIVERS {
        for (handshake, said) in &cases {
            let session = narrow();
            let handshake = handshake.clone().field("X-Why", "because");
            let peer = answered(handshake, false);
            let socket = session.ws_connect(ws::url(&peer, "/chat#top"));
            let error = refused(connect(socket, started));
            assert_eq!(error.kind(), Kind::WsHandshake, "{said}: {error:#}");
            assert!(error.to_string().contains(said), "{said}: {error}");
            assert!(error.is_response() && !error.is_retryable());
            assert_eq!(error.phase(), Some(Phase::Handshake));
            assert_eq!(error.status().map(|status| status.as_u16()), Some(101));
            assert_eq!(error.reason(), Some("Switching Protocols"));
            assert_eq!(error.headers().expect("headers")["x-why"], "because");
            assert_eq!(error.body(), Some(&b""[..]));
            assert_eq!(error.peer(), Some(peer.address()));
            let url = error.url().map(|url| url.as_str().to_owned());
            assert_eq!(url, Some(ws::url(&peer, "/chat#top")));
            let info = error.request_info().expect("what was sent");
            assert_eq!(info.url().as_str(), ws::url(&peer, "/chat"));
            assert!(info.headers().contains_key("sec-websocket-key"));
            // The connection is closed, and its slot is free.
            peer.finish();
            assert_eq!(session.connector().stats().in_use, 0);
        }
    }
}

#[test]
fn another_status_is_a_refusal() {
    // SPEC W9, R22
    let long = "x".repeat(100 * 1024);
    let cases = [
        ("200 OK", "hello", false),
        ("201 Created", &*long, false),
        ("301 Moved", "no target", false),
        ("400 Bad Request", "", false),
        ("401 Unauthorized", "who?", false),
        ("403 Forbidden", "no", false),
        ("404 Not Found", &long, false),
        ("426 Upgrade Required", "13", false),
        ("429 Too Many Requests", "later", true),
        ("503 ", "later", true),
    ];
    for started in DRIVERS {
        for (status, body, is_retryable) in cases {
            let session = narrow();
            let own = (status.to_owned(), body.to_owned());
            let peer = answering(move |_| response(&own.0, &[("X-Why", "because")], &own.1));
            let socket = session.ws_connect(ws::url(&peer, "/"));
            let error = refused(connect(socket, started));
            let (code, reason) = status.split_once(' ').expect("a status");
            assert_eq!(error.kind(), Kind::WsHandshake, "{status}: {error:#}");
            assert!(error.is_response());
            assert_eq!(error.is_retryable(), is_retryable, "{status}");
            assert_eq!(error.phase(), Some(Phase::Handshake));
            assert_eq!(error.status().expect("a status").as_str(), code);
            assert_eq!(error.reason(), Some(reason));
            assert_eq!(error.headers().expect("headers")["x-why"], "because");
            let kept = &body.as_bytes()[..body.len().min(64 * 1024)];
            assert!(error.body() == Some(kept), "{status}");
            let text = format!("the server answered {}", status.trim_end());
            let text = format!(
                "{text} while in the WebSocket handshake [{}]",
                ws::url(&peer, "/")
            );
            assert_eq!(error.to_string(), text);
            let other = agreeing();
            let socket = session.ws_connect(ws::url(&other, "/"));
            works(&connect(socket, started).expect("a slot"));
        }
    }
}

#[test]
fn a_refusal_is_a_refusal_whatever_the_session_says_of_errors() {
    // SPEC W9, S12
    let peer = answering(|_| response("404 Not Found", &[], "nothing here"));
    for started in DRIVERS {
        let strict = Session::builder().error_for_status(true).build();
        let error = refused(connect(strict.ws_connect(ws::url(&peer, "/")), started));
        assert_eq!(error.kind(), Kind::WsHandshake, "{error:#}");
        let custom = Session::builder().error_for_status_when(|_| true).build();
        let fine = agreeing();
        works(&connect(custom.ws_connect(ws::url(&fine, "/")), started).expect("a WebSocket"));
    }
}

#[cfg(feature = "gzip")]
#[test]
fn a_refusal_that_is_coded_is_decoded() {
    // SPEC W9, R22
    use std::io::Write;

    let mut coded = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    coded.write_all(b"no such room").expect("in memory");
    let coded = coded.finish().expect("in memory");
    let peer = answering(move |_| response("404 No", &[("Content-Encoding", "gzip")], &coded));
    for started in DRIVERS {
        let socket = Session::new().ws_connect(ws::url(&peer, "/"));
        let error = refused(connect(socket, started));
        assert_eq!(error.body(), Some(&b"no such room"[..]));
    }
}

#[test]
fn compression_is_offered_as_it_is_asked_for() {
    // SPEC W7
    let new = PerMessageDeflate::new;
    for (deflate, offer) in [
        (None, None),
        (
            Some(new()),
            Some("permessage-deflate; client_max_window_bits"),
        ),
        (
            Some(new().client_window(9).server_window(10)),
            Some("permessage-deflate; client_max_window_bits=9; server_max_window_bits=10"),
        ),
        (
            Some(new().client_takeover(false).server_takeover(false)),
            Some(
                "permessage-deflate; client_max_window_bits; client_no_context_takeover; \
                 server_no_context_takeover",
            ),
        ),
    ] {
        // A server that knows nothing of it is no error.
        let peer = agreeing();
        let socket = Session::new().ws_connect(ws::url(&peer, "/"));
        let socket = socket.compress(deflate).connect().expect("a WebSocket");
        let request = &peer.requests()[0];
        assert_eq!(request.header("sec-websocket-extensions"), offer);
        assert_eq!(socket.compress(), None);
        works(&socket);
    }
}

#[test]
fn an_answer_to_the_offer_of_compression_is_held_to_it() {
    // SPEC W7, W9
    let new = PerMessageDeflate::new;
    let cases = [
        (new(), "permessage-deflate", true),
        (new(), "permessage-deflate; client_max_window_bits=15", true),
        // RFC 7692 §7.1.2: a peer's 8 is good.
        (new(), "permessage-deflate; client_max_window_bits=8", true),
        (new(), "permessage-deflate; server_max_window_bits=8", true),
        (
            new(),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            true,
        ),
        (new(), "permessage-deflate; client_max_window_bits", false),
        (
            new(),
            "permessage-deflate; client_max_window_bits=16",
            false,
        ),
        (new(), "permessage-deflate; client_max_window_bits=7", false),
        (new(), "permessage-deflate; unknown", false),
        (
            new(),
            "permessage-deflate; server_no_context_takeover=1",
            false,
        ),
        (new(), "permessage-deflate, permessage-deflate", false),
        (new(), "permessage-bzip2", false),
        (new(), "permessage-deflate; =", false),
        (
            new().client_window(10),
            "permessage-deflate; client_max_window_bits=11",
            false,
        ),
        (new().server_window(10), "permessage-deflate", false),
        (new().server_takeover(false), "permessage-deflate", false),
    ];
    for started in DRIVERS {
        for (deflate, answer, is_good) in &cases {
            let peer = answered(Handshake::new().extensions(answer), *is_good);
            let socket = Session::new().ws_connect(ws::url(&peer, "/"));
            match connect(socket.compress(*deflate), started) {
                Ok(socket) => {
                    assert!(is_good, "{answer}");
                    assert!(socket.compress().is_some(), "{answer}");
                    works(&socket);
                }
                Err(error) => {
                    assert!(!is_good, "{answer}: {error:#}");
                    assert_eq!(error.kind(), Kind::WsHandshake, "{answer}: {error:#}");
                    peer.wait_for_ends(1);
                }
            }
        }
    }
}
