//! WebSockets with servers that others wrote: aiohttp, the Python package `websockets`,
//! the Node package `ws`, and tungstenite. Plain, over TLS, and through proxies.

use std::sync::Arc;
use std::time::Duration;

use miohttp::{
    CloseCode, Connector, Kind, Message, PerMessageDeflate, Session, Timeout, TlsConfig, Utf8Bytes,
    WebSocket, WebSocketBuilder,
};

use super::by_tungstenite;
use super::proxies::http_proxies;
use crate::support::interop::{PATTERN, Server, server, start};
use crate::support::tls::ca_pem;
use crate::support::{Peer, ws};

/// A server, by its two ways in.
struct Other {
    name: &'static str,
    plain: String,
    tls: String,
    ca: Vec<u8>,
    _running: Running,
}

#[expect(dead_code, reason = "they are kept until the test is done")]
enum Running {
    Outside(Arc<Server>),
    Inside(Peer, Peer),
}

/// Those that are installed.
fn others() -> Vec<Other> {
    let mut others: Vec<_> = ["aiohttp", "websockets", "nodews"]
        .into_iter()
        .filter_map(installed)
        .collect();
    let (plain, tls) = by_tungstenite::start();
    others.push(Other {
        name: "tungstenite",
        plain: ws::url(&plain, ""),
        tls: ws::url(&tls, ""),
        ca: ca_pem().into(),
        _running: Running::Inside(plain, tls),
    });
    others
}

fn installed(name: &'static str) -> Option<Other> {
    let server = server(name)?;
    Some(Other {
        name,
        plain: server.url("").replacen("http", "ws", 1),
        tls: server.tls_url("").replacen("http", "ws", 1),
        ca: server.ca_pem(),
        _running: Running::Outside(server),
    })
}

impl Other {
    /// One that trusts it.
    fn session(&self) -> Session {
        let tls = TlsConfig::new().add_root_pem(&self.ca).unwrap();
        let connector = Connector::builder().tls(tls).build();
        Session::builder().connector(connector).build()
    }

    fn origins(&self) -> [&str; 2] {
        [&self.plain, &self.tls]
    }

    /// aiohttp has nothing to send fragments with.
    fn sends_fragments(&self) -> bool {
        self.name != "aiohttp"
    }
}

const SIZES: [usize; 7] = [0, 1, 125, 126, 65535, 65536, 1 << 20];

fn pattern(length: usize) -> Vec<u8> {
    let mut pattern = PATTERN.repeat(length / PATTERN.len() + 1);
    pattern.truncate(length);
    pattern
}

/// Text of so many bytes, and letters of one, two, three and four of them.
fn letters(length: usize) -> String {
    let mut text = "aé€😀".repeat(length / 10);
    text.push_str(&"x".repeat(length - text.len()));
    text
}

/// What is sent comes back: messages of every size, as text and not.
fn assert_echo(socket: &WebSocket, sizes: &[usize], what: &str) {
    for &size in sizes {
        let (text, bytes) = (letters(size), pattern(size));
        socket.send(&text).unwrap();
        let back = socket.recv().unwrap();
        let same = matches!(&back, Some(Message::Text(back)) if **back == *text);
        assert!(same, "{what}: a text of {size} bytes");
        socket.send(bytes.clone()).unwrap();
        let back = socket.recv().unwrap();
        let same = matches!(&back, Some(Message::Binary(back)) if **back == *bytes);
        assert!(same, "{what}: {size} bytes");
    }
}

/// The closing is done by both sides.
fn assert_closes(socket: &WebSocket, what: &str) {
    assert!(socket.close(CloseCode::NORMAL, "").unwrap(), "{what}");
    assert_eq!(socket.close_code(), Some(CloseCode::NORMAL), "{what}");
    assert!(socket.recv().unwrap().is_none(), "{what}");
}

#[test]
fn messages_come_back_as_they_were_sent() {
    // SPEC W11, W12, W14
    for other in others() {
        let session = other.session();
        for origin in other.origins() {
            let socket = session.ws_connect(format!("{origin}/ws/echo"));
            let socket = socket.connect().unwrap();
            assert_echo(&socket, &SIZES, origin);
            assert_closes(&socket, origin);
        }
    }
}

#[test]
fn messages_in_fragments_are_put_together() {
    // SPEC W12
    for other in others() {
        if !other.sends_fragments() {
            continue;
        }
        let session = other.session();
        for origin in other.origins() {
            for (parts, sizes) in [(1, &[0, 1, 3000][..]), (1000, &[999, 65536, 1 << 20])] {
                // In the middle of a letter a text may be cut, but not by all.
                let url = format!("{origin}/ws/echo?parts={parts}");
                let socket = session.ws_connect(url).connect().unwrap();
                for &size in sizes {
                    let bytes = pattern(size);
                    socket.send(bytes.clone()).unwrap();
                    assert_eq!(socket.recv_bytes().unwrap().unwrap(), bytes);
                    let text = String::from_utf8(bytes).unwrap();
                    socket.send(&text).unwrap();
                    assert_eq!(*socket.recv_text().unwrap().unwrap(), *text);
                }
                assert_closes(&socket, origin);
            }
        }
    }
}

#[test]
fn a_proxy_leads_to_all_of_them() {
    // SPEC W6, X2
    for other in others() {
        let tls = TlsConfig::new().add_root_pem(&other.ca).unwrap();
        for way in http_proxies() {
            // One that comes between is a WebSocket of its own, by its own rules; and
            // what is said to those that ask for a login is no other than for requests.
            if way.intercepts || way.name.split(' ').count() > 2 {
                continue;
            }
            let connector = Connector::builder().tls(tls.clone()).build();
            let session = Session::builder().connector(connector);
            let session = session.proxy(way.proxy.clone()).build();
            for origin in other.origins() {
                let socket = session.ws_connect(format!("{origin}/ws/echo"));
                let socket = socket.connect().unwrap();
                // Not past the proxy.
                assert_eq!(socket.peer_addr().unwrap().port(), way.port);
                let what = format!("{} by {}", origin, way.name);
                assert_echo(&socket, &[0, 126, 65536, 1 << 20], &what);
                assert_closes(&socket, &what);
            }
        }
    }
}

/// Bytes that do not get smaller, the same for the same seed.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// Messages that lead whoever uses a larger window than was agreed into error, or
/// remembers what was to be forgotten: what repeats does so just within and just
/// beyond either window, in one message and from one to the next.
fn assert_windows(socket: &WebSocket, windows: [u8; 2], what: &str) {
    let echoed = |message: Vec<u8>| {
        socket.send(message.clone()).unwrap();
        let back = socket.recv_bytes();
        let back = back.unwrap_or_else(|error| panic!("{what}: {error:#}"));
        assert!(back.unwrap() == message, "{what}: {} bytes", message.len());
    };
    for bits in windows {
        for length in [(1 << bits) - 300, (1 << bits) + 300] {
            let once = noise(length, u64::from(bits));
            echoed(once.clone());
            echoed(once.clone());
            echoed([&once[..], &once[..]].concat());
        }
    }
    for size in [0, 1, 125, 126, 70_000] {
        let text = letters(size);
        socket.send(&text).unwrap();
        assert_eq!(*socket.recv_text().unwrap().unwrap(), *text, "{what}");
    }
}

fn compressed(socket: WebSocketBuilder, deflate: PerMessageDeflate) -> WebSocket {
    let socket = socket.compress(deflate.threshold(0));
    socket.connect().unwrap()
}

fn agreed(socket: &WebSocket) -> String {
    let response = socket.response();
    let value = &response.headers()["sec-websocket-extensions"];
    value.to_str().unwrap().to_owned()
}

/// All rules that can be made of two windows and two takeovers: each window with both
/// takeovers, the two sides' windows running against each other.
fn rules() -> impl Iterator<Item = ([u8; 2], [bool; 2])> {
    (9..=15).flat_map(|bits| {
        let keeps = [[true, true], [true, false], [false, true], [false, false]];
        keeps.map(|keeps| ([bits, 24 - bits], keeps))
    })
}

#[test]
fn a_server_may_set_every_window_and_rule() {
    // SPEC W7
    for other in ["websockets", "nodews"].into_iter().filter_map(installed) {
        let session = other.session();
        for ([server_bits, client_bits], [server_keeps, client_keeps]) in rules() {
            let mut url = format!(
                "{}/ws/echo?deflate=1&server_bits={server_bits}&client_bits={client_bits}",
                other.plain
            );
            for (keeps, side) in [(server_keeps, "server"), (client_keeps, "client")] {
                if !keeps {
                    url.push_str(&format!("&{side}_forgets=1"));
                }
            }
            let deflate = PerMessageDeflate::new();
            let socket = compressed(session.ws_connect(&url), deflate);
            let agreed = agreed(&socket);
            for (said, wanted) in [
                (format!("server_max_window_bits={server_bits}"), true),
                (format!("client_max_window_bits={client_bits}"), true),
                ("server_no_context_takeover".to_owned(), !server_keeps),
                ("client_no_context_takeover".to_owned(), !client_keeps),
            ] {
                assert_eq!(agreed.contains(&said), wanted, "{url}: {agreed}");
            }
            assert_windows(&socket, [server_bits, client_bits], &url);
            assert_closes(&socket, &url);
        }
    }
}

#[test]
fn a_client_may_ask_for_every_window_and_rule() {
    // SPEC W7
    for other in ["aiohttp", "websockets", "nodews"]
        .into_iter()
        .filter_map(installed)
    {
        let session = other.session();
        let url = format!("{}/ws/echo?deflate=1", other.plain);
        for ([server_bits, client_bits], [server_keeps, client_keeps]) in rules() {
            let deflate = PerMessageDeflate::new()
                .server_window(server_bits)
                .client_window(client_bits)
                .server_takeover(server_keeps)
                .client_takeover(client_keeps);
            let socket = compressed(session.ws_connect(&url), deflate);
            let agreed = agreed(&socket);
            let what = format!("{} {deflate:?}: {agreed}", other.name);
            assert!(agreed.starts_with("permessage-deflate"), "{what}");
            // A server need not say of itself what is what it does anyway.
            let forgets = agreed.contains("server_no_context_takeover");
            assert!(server_keeps || forgets, "{what}");
            let limits = agreed.contains(&format!("server_max_window_bits={server_bits}"));
            assert!(server_bits == 15 || limits, "{what}");
            assert_windows(&socket, [server_bits, client_bits], &what);
            assert_closes(&socket, &what);
        }
    }
}

#[test]
fn compressed_messages_go_through_tls_and_in_fragments() {
    // SPEC W7
    for other in ["aiohttp", "websockets", "nodews"]
        .into_iter()
        .filter_map(installed)
    {
        let session = other.session();
        for origin in other.origins() {
            let mut url = format!("{origin}/ws/echo?deflate=1");
            if other.sends_fragments() {
                url.push_str("&parts=1000");
            }
            for deflate in [
                PerMessageDeflate::new().threshold(0),
                PerMessageDeflate::new(),
            ] {
                let socket = session.ws_connect(&url).compress(deflate);
                let socket = socket.connect().unwrap();
                assert!(agreed(&socket).starts_with("permessage-deflate"));
                for size in SIZES {
                    let text = String::from_utf8(pattern(size)).unwrap();
                    socket.send(&text).unwrap();
                    assert_eq!(*socket.recv_text().unwrap().unwrap(), *text, "{url}");
                }
                assert_closes(&socket, &url);
            }
        }
    }
}

#[test]
fn a_server_that_does_not_compress_is_taken_as_it_is() {
    // SPEC W7
    for other in others() {
        let session = other.session();
        let socket = session.ws_connect(format!("{}/ws/echo", other.plain));
        let socket = compressed(socket, PerMessageDeflate::new());
        let response = socket.response();
        assert!(!response.headers().contains_key("sec-websocket-extensions"));
        assert_echo(&socket, &[0, 126, 65536], other.name);
        assert_closes(&socket, other.name);
    }
}

#[test]
fn a_subprotocol_is_chosen_by_the_server() {
    // SPEC W1
    for other in others() {
        let session = other.session();
        let url = format!("{}/ws/echo", other.plain);
        for (offered, chosen) in [
            (&[][..], &[][..]),
            (&["chat"], &["chat"]),
            (&["sidechat", "chat"], &["chat"]),
            (&["chat", "superchat"], &["chat", "superchat"]),
            (&["sidechat"], &[]),
        ] {
            let socket = session.ws_connect(&url).protocols(offered.to_vec());
            let socket = socket.connect().unwrap();
            match socket.protocol() {
                None => assert!(chosen.is_empty(), "{}: {offered:?}", other.name),
                Some(one) => assert!(chosen.contains(&one), "{}: {one}", other.name),
            }
            assert_closes(&socket, &url);
        }
    }
}

#[test]
fn closing_codes_go_both_ways() {
    // SPEC W10, W14
    let long = "r".repeat(123);
    let codes = [
        (1000, ""),
        (1000, "done"),
        (1001, "é€😀"),
        (3000, ""),
        (4999, &long),
    ];
    for other in others() {
        let session = other.session();
        for origin in other.origins() {
            for (number, (code, reason)) in codes.into_iter().enumerate() {
                // From here.
                let key = format!("key={number}{}", &origin[..3]);
                let socket = session.ws_connect(format!("{origin}/ws/echo?{key}"));
                let socket = socket.connect().unwrap();
                assert_eq!(socket.close_code(), None);
                assert!(socket.close(code, reason).unwrap());
                // aiohttp answers every Close with this one.
                let answer = if other.name == "aiohttp" { 1000 } else { code };
                assert_eq!(socket.close_code(), Some(CloseCode::from(answer)));
                assert!(socket.exception().is_none());
                let error = socket.send("late").unwrap_err();
                assert_eq!(error.kind(), Kind::Closed, "{error:#}");
                let seen = session.ws_connect(format!("{origin}/ws/seen?{key}"));
                let seen = seen.connect().unwrap().recv_text().unwrap();
                assert_eq!(&*seen.unwrap(), format!("{code} {reason}"), "{origin}");
                // From there.
                let socket = session.ws_connect(format!("{origin}/ws/talk"));
                let socket = socket.connect().unwrap();
                socket.send(format!("close {code} {reason}")).unwrap();
                assert!(socket.recv().unwrap().is_none());
                assert!(socket.recv().unwrap().is_none());
                assert_eq!(socket.close_code(), Some(CloseCode::from(code)));
            }
        }
    }
}

#[test]
fn a_close_of_the_servers_can_be_answered_by_hand() {
    // SPEC W4
    for other in others() {
        let session = other.session();
        let socket = session.ws_connect(format!("{}/ws/talk", other.plain));
        let socket = socket.autoclose(false).connect().unwrap();
        socket.send("close 4000 that is all").unwrap();
        let Some(Message::Close(Some(close))) = socket.recv().unwrap() else {
            panic!("{}: no Close", other.name);
        };
        assert_eq!(close.code, CloseCode::from(4000));
        assert_eq!(&*close.reason, "that is all");
        socket.close(4000, "").unwrap();
        assert!(socket.recv().unwrap().is_none());
        assert_eq!(socket.close_code(), Some(CloseCode::from(4000)));
    }
}

#[test]
fn pings_go_both_ways() {
    // SPEC W4, W11
    for other in others() {
        let session = other.session();
        for origin in other.origins() {
            let url = format!("{origin}/ws/talk");
            let text = |socket: &WebSocket| -> Utf8Bytes { socket.recv_text().unwrap().unwrap() };
            // It answers by itself.
            let socket = session.ws_connect(&url).connect().unwrap();
            for word in ["", "one", &"w".repeat(125)] {
                socket.send(format!("ping {word}")).unwrap();
                assert_eq!(&*text(&socket), format!("pong {word}"), "{origin}");
            }
            assert_closes(&socket, &url);
            // It is shown both.
            let socket = session.ws_connect(&url).autoping(false).connect().unwrap();
            socket.ping("from here").unwrap();
            let pong = socket.recv().unwrap().unwrap();
            assert_eq!(pong, Message::Pong("from here".into()), "{origin}");
            socket.send("ping from there").unwrap();
            let ping = socket.recv().unwrap().unwrap();
            assert_eq!(ping, Message::Ping("from there".into()), "{origin}");
            socket.pong("from there").unwrap();
            assert_eq!(&*text(&socket), "pong from there", "{origin}");
            assert_closes(&socket, &url);
        }
    }
}

#[test]
fn a_heartbeat_is_answered_by_all_of_them() {
    // SPEC W5: some beats, while nobody sends anything. Half of one is the time for a
    // pong, which a busy machine needs.
    for other in others() {
        let session = other.session();
        for origin in other.origins() {
            let socket = session.ws_connect(format!("{origin}/ws/echo"));
            let socket = socket.heartbeat(Duration::from_millis(400));
            let socket = socket.connect().unwrap();
            let error = socket
                .recv_timeout(Duration::from_millis(1500))
                .unwrap_err();
            assert!(error.is_timeout(), "{error:#}");
            assert_ne!(error.timeout(), Some(Timeout::Heartbeat), "{error:#}");
            assert_echo(&socket, &[5], origin);
            assert_closes(&socket, origin);
        }
    }
}

#[test]
fn a_server_that_is_killed_is_a_loss() {
    // SPEC W10, W15
    for name in ["aiohttp", "websockets", "nodews"] {
        let Some(server) = start(name) else {
            continue;
        };
        let tls = TlsConfig::new().add_root_pem(&server.ca_pem()).unwrap();
        let connector = Connector::builder().tls(tls).build();
        let session = Session::builder().connector(connector).build();
        let sockets = [server.url("/ws/echo"), server.tls_url("/ws/echo")].map(|url| {
            let url = url.replacen("http", "ws", 1);
            session.ws_connect(url).connect().unwrap()
        });
        for socket in &sockets {
            assert_echo(socket, &[5, 70_000], name);
        }
        server.kill();
        for socket in &sockets {
            let error = socket.recv().unwrap_err();
            assert!(error.is_connection(), "{name}: {error:#}");
            assert!(socket.recv().unwrap().is_none(), "{name}");
            assert_eq!(socket.close_code(), Some(CloseCode::ABNORMAL), "{name}");
            assert!(socket.exception().is_some(), "{name}");
            let error = socket.send("hello?").unwrap_err();
            assert_eq!(error.kind(), Kind::Closed, "{name}: {error:#}");
        }
    }
}
