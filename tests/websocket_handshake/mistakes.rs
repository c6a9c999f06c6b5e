//! What comes out at the verb, before anything is sent.

use super::*;
use miohttp::{PerMessageDeflate, Version};

/// A place that nobody knows.
const NOWHERE: &str = "ws://nowhere.invalid/chat";

#[track_caller]
fn is_mistake(build: impl Fn(WebSocketBuilder) -> WebSocketBuilder, said: &str) {
    for started in DRIVERS {
        let socket = build(Session::new().ws_connect(NOWHERE));
        let error = refused(connect(socket, started));
        assert_eq!(error.kind(), Kind::InvalidRequest, "{said}: {error:#}");
        assert!(error.to_string().contains(said), "{said}: {error}");
        assert_eq!(error.phase(), Some(Phase::Request));
        assert_eq!(error.url().map(|url| url.as_str()), Some(NOWHERE));
    }
}

#[test]
fn a_protocol_is_a_token_and_there_once() {
    // SPEC W1
    for protocol in ["", "a b", "a,b", "a/b", "caf\u{e9}", "a\r\nb", "\"a\""] {
        is_mistake(|socket| socket.protocols([protocol]), "is not a token");
        is_mistake(
            |socket| socket.protocols(["ok", protocol]),
            "is not a token",
        );
    }
    is_mistake(
        |socket| socket.protocols(["a", "b", "a"]),
        "is offered twice",
    );
    // They differ by case (RFC 6455 §11.5), and the last call counts.
    let peer = agreeing();
    let socket = Session::new().ws_connect(ws::url(&peer, "/"));
    let socket = socket.protocols(["a", "a"]).protocols(["a", "A"]);
    works(&socket.connect().expect("a WebSocket"));
}

#[test]
fn a_window_has_9_to_15_bits() {
    // SPEC W7
    let new = PerMessageDeflate::new;
    for bits in [0, 1, 8, 16, 255] {
        is_mistake(
            |socket| socket.compress(new().client_window(bits)),
            "9 to 15 bits",
        );
        is_mistake(
            |socket| socket.compress(new().server_window(bits)),
            "9 to 15 bits",
        );
    }
    for level in [0, 10] {
        is_mistake(
            |socket| socket.compress(new().level(level)),
            "levels from 1 to 9",
        );
    }
    let peer = agreeing();
    for bits in 9..=15 {
        let deflate = new().client_window(bits).server_window(15).level(bits - 6);
        let socket = Session::new()
            .ws_connect(ws::url(&peer, "/"))
            .compress(deflate);
        works(&socket.connect().expect("a WebSocket"));
    }
    // One that is taken back is none.
    let socket = Session::new().ws_connect(ws::url(&peer, "/"));
    let socket = socket.compress(new().client_window(8)).compress(None);
    works(&socket.connect().expect("a WebSocket"));
}

#[test]
fn the_handshakes_own_headers_cannot_be_set() {
    // SPEC W6
    for name in [
        "Upgrade",
        "Connection",
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Version",
        "Sec-WebSocket-Accept",
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Extensions",
        "Content-Length",
        "Transfer-Encoding",
        "Expect",
    ] {
        is_mistake(
            |socket| socket.header(name, "0"),
            "the WebSocket handshake's own",
        );
    }
    is_mistake(
        |socket| socket.origin("http://a").header("origin", "http://b"),
        "twice",
    );
    is_mistake(
        |socket| socket.origin("http://a\r\nx: y"),
        "may not be sent",
    );
    is_mistake(|socket| socket.header("x", "a\nb"), "may not be sent");
    is_mistake(|socket| socket.header("a b", "c"), "not a token");
    is_mistake(|socket| socket.cookie("", "c"), "cookie");
    is_mistake(|socket| socket.server_name("a b"), "server name");
    is_mistake(|socket| socket.method("a b"), "not a token");
    is_mistake(|socket| socket.method(Method::CONNECT), "CONNECT");
}

#[test]
fn a_sessions_headers_may_not_pretend_to_be_an_offer() {
    // SPEC W6, S4
    for name in [
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Extensions",
        "Transfer-Encoding",
    ] {
        let session = Session::builder().default_header(name, "chat").build();
        let error = refused(session.ws_connect(NOWHERE).connect());
        assert_eq!(error.kind(), Kind::InvalidRequest, "{error:#}");
        assert!(
            error.to_string().contains("the session's header"),
            "{error}"
        );
    }
    // Its own offer goes in place of the session's.
    let peer = ws::start(Handshake::new().protocol("own"), |ws| ws.echo());
    let session = Session::builder()
        .default_header("Sec-WebSocket-Protocol", "chat")
        .build();
    let socket = session.ws_connect(ws::url(&peer, "/")).protocols(["own"]);
    works(&socket.connect().expect("a WebSocket"));
    let requests = peer.requests();
    let offered: Vec<_> = requests[0].header_all("sec-websocket-protocol").collect();
    assert_eq!(offered, ["own"]);
}

#[test]
fn a_websocket_is_not_of_http_1_0() {
    // SPEC W6
    let session = Session::builder().version(Version::HTTP_10).build();
    let error = refused(session.ws_connect(NOWHERE).connect());
    assert_eq!(error.kind(), Kind::InvalidRequest, "{error:#}");
    assert!(error.to_string().contains("HTTP/1.1"), "{error}");
}

#[test]
fn a_url_is_one_of_four_schemes() {
    // SPEC Q2, W6
    for url in [
        "ftp://h/",
        "wsx://h/",
        "ws:",
        "ws://",
        "/chat",
        "ws://h:99999/",
        "wss:///",
    ] {
        for started in DRIVERS {
            let error = refused(connect(Session::new().ws_connect(url), started));
            assert_eq!(error.kind(), Kind::InvalidUrl, "{url}: {error:#}");
            assert!(error.is_request());
        }
    }
    let error = refused(Session::new().ws_connect("ftp://h/").connect());
    assert!(
        error
            .to_string()
            .contains("none of ws, wss, http and https"),
        "{error}"
    );
    // Of any other request these are not (SPEC Q2).
    for url in ["ws://h/", "wss://h/"] {
        let error = Session::new()
            .get(url)
            .send()
            .expect_err("no scheme of http");
        assert_eq!(error.kind(), Kind::InvalidUrl, "{error:#}");
        assert!(
            error.to_string().contains("neither http nor https"),
            "{error}"
        );
    }
}

#[cfg(not(feature = "tls"))]
#[test]
fn without_tls_there_is_no_wss() {
    // SPEC Q2
    let error = refused(Session::new().ws_connect("wss://h/").connect());
    assert_eq!(error.kind(), Kind::InvalidUrl, "{error:#}");
}

#[test]
fn the_first_mistake_is_told() {
    // SPEC W6
    let socket = Session::new().ws_connect("ftp://h/").protocols(["a b"]);
    assert_eq!(refused(socket.connect()).kind(), Kind::InvalidUrl);
    is_mistake(
        |socket| socket.header("a b", "c").protocols(["a b"]),
        "a header name",
    );
}
