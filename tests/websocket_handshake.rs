//! The opening handshake of WebSockets: what is asked, which answers are a yes, and
//! everything that a WebSocket has of the session it is made by. Every story is told
//! with both drivers.
#![cfg(feature = "websocket")]

mod support;

#[path = "websocket_handshake/answers.rs"]
mod answers;
#[path = "websocket_handshake/credentials.rs"]
mod credentials;
#[path = "websocket_handshake/mistakes.rs"]
mod mistakes;
#[path = "websocket_handshake/redirects.rs"]
mod redirects;
#[path = "websocket_handshake/ways.rs"]
mod ways;

use std::io;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use miohttp::{
    Connector, Error, Kind, Method, Phase, RetryPolicy, Session, Timeout, WebSocket,
    WebSocketBuilder,
};
use support::ws::{self, Handshake};
use support::{Peer, PeerConn, Request, ok, response};

/// By either driver.
const DRIVERS: [bool; 2] = [false, true];

fn connect(socket: WebSocketBuilder, started: bool) -> Result<WebSocket, Error> {
    match started {
        false => socket.connect(),
        true => socket.start_connect().wait(),
    }
}

#[track_caller]
fn refused(result: Result<WebSocket, Error>) -> Error {
    match result {
        Ok(socket) => panic!("{socket:?} was connected"),
        Err(error) => error,
    }
}

/// One that has a single slot, so that a connection that is kept shows.
fn narrow() -> Session {
    let connector = Connector::builder().limit(1).build();
    Session::builder().connector(connector).build()
}

/// A server that agrees, and sends back what comes.
fn agreeing() -> Peer {
    ws::echo()
}

/// Answers every request for a WebSocket by `answer`, and speaks as one where that is a
/// yes.
fn answering(answer: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> Peer {
    Peer::start(move |conn| {
        while let Some(request) = conn.next_request()? {
            let bytes = answer(&request);
            conn.write(&bytes)?;
            if bytes.starts_with(b"HTTP/1.1 101") {
                return Handshake::new().over(conn, request).echo();
            }
            if request.wants_close() {
                break;
            }
        }
        Ok(())
    })
}

fn yes(request: &Request) -> Vec<u8> {
    Handshake::new().answer(request)
}

/// It speaks with its server and not with anybody else's.
#[track_caller]
fn works(socket: &WebSocket) {
    socket.send_text("are you there?").expect("sent");
    let text = socket.recv_text().expect("received").expect("a message");
    assert_eq!(&*text, "are you there?");
}

/// Names of the header fields, as they were sent.
fn names(request: &Request) -> Vec<&str> {
    let fields = request.headers.iter();
    let mut names: Vec<_> = fields.map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names
}

#[test]
fn what_is_sent_is_a_handshake_and_no_more() {
    // SPEC W6, H2
    for started in DRIVERS {
        let peer = agreeing();
        let session = Session::new();
        for url in [ws::url(&peer, "/chat?a=b#c"), peer.url("/chat?a=b")] {
            let socket = connect(session.ws_connect(url), started).expect("a WebSocket");
            works(&socket);
        }
        let requests = peer.requests();
        for request in &requests {
            assert_eq!(request.line(), "GET /chat?a=b");
            assert_eq!(
                names(request),
                [
                    "connection",
                    "host",
                    "sec-websocket-key",
                    "sec-websocket-version",
                    "upgrade",
                    "user-agent"
                ]
            );
            let host = peer.address().to_string();
            assert_eq!(request.header("host"), Some(&*host));
            assert_eq!(request.header("upgrade"), Some("websocket"));
            assert_eq!(request.header("connection"), Some("Upgrade"));
            assert_eq!(request.header("sec-websocket-version"), Some("13"));
            let key = request.header("sec-websocket-key").expect("a key");
            assert_eq!(BASE64_STANDARD.decode(key).expect("base64").len(), 16);
        }
        let keys: Vec<_> = requests
            .iter()
            .map(|request| request.header("sec-websocket-key"))
            .collect();
        assert_ne!(keys[0], keys[1], "a fresh one each time");
    }
}

#[test]
fn a_handshake_has_what_requests_have() {
    // SPEC W6
    for started in DRIVERS {
        let peer = answering(yes);
        let session = Session::builder()
            .default_header("x-session", "1")
            .default_header("x-both", "session")
            .default_header("upgrade", "h2c")
            .default_header("connection", "keep-alive")
            .build();
        let socket = session
            .ws_connect(ws::url(&peer, "/chat?a=b"))
            .method(Method::POST)
            .origin("https://example.com")
            .header("x-both", "own")
            .header("authorization", "Bearer token")
            .query_pair("c", "d e")
            .raw_query("f='g'")
            .cookie("theme", "dark")
            .skip_auto_header(miohttp::HeaderName::from_static("user-agent"));
        works(&connect(socket, started).expect("a WebSocket"));
        let request = &peer.requests()[0];
        assert_eq!(request.line(), "POST /chat?a=b&c=d+e&f='g'");
        for (name, value) in [
            ("origin", Some("https://example.com")),
            ("x-session", Some("1")),
            ("x-both", Some("own")),
            ("authorization", Some("Bearer token")),
            ("cookie", Some("theme=dark")),
            ("user-agent", None),
            ("upgrade", Some("websocket")),
            ("connection", Some("Upgrade")),
            ("accept-encoding", None),
        ] {
            let all: Vec<_> = request.header_all(name).collect();
            assert_eq!(all, Vec::from_iter(value), "{name}");
        }
    }
}

#[test]
fn a_relative_url_is_joined_to_the_sessions_base() {
    // SPEC S17, W6
    for started in DRIVERS {
        let peer = agreeing();
        let session = Session::builder().base_url(peer.url("/api/")).build();
        works(&connect(session.ws_connect("chat"), started).expect("a WebSocket"));
        assert_eq!(peer.request_lines(), ["GET /api/chat"]);
    }
}

#[test]
fn what_comes_behind_the_answer_is_the_first_message() {
    // SPEC W12
    for started in DRIVERS {
        let behind = ws::Frame::text("welcome").bytes();
        let peer = ws::start(Handshake::new().behind(behind), |ws| ws.echo());
        let socket = Session::new().ws_connect(ws::url(&peer, "/"));
        let socket = connect(socket, started).expect("a WebSocket");
        let text = socket.recv_text().expect("received").expect("a message");
        assert_eq!(&*text, "welcome");
        works(&socket);
    }
}

#[test]
fn an_answer_may_come_byte_by_byte() {
    // SPEC W9
    for started in DRIVERS {
        let peer = Peer::start(|conn| {
            let request = conn.request()?;
            conn.write_bytewise(Handshake::new().answer(&request))?;
            Handshake::new().over(conn, request).echo()
        });
        let socket = Session::new().ws_connect(ws::url(&peer, "/"));
        works(&connect(socket, started).expect("a WebSocket"));
    }
}

#[test]
fn a_limit_of_time_ends_a_handshake() {
    // SPEC W6, T1
    for started in DRIVERS {
        let session = narrow();
        let peer = Peer::start(|conn| {
            conn.request()?;
            conn.wait_for_close().map(drop)
        });
        let socket = session
            .ws_connect(ws::url(&peer, "/slow"))
            .timeout(Duration::from_millis(50));
        let error = refused(connect(socket, started));
        assert_eq!(error.kind(), Kind::Timeout, "{error:#}");
        assert_eq!(error.timeout(), Some(Timeout::Total));
        let url = error.url().map(|url| url.as_str().to_owned());
        assert_eq!(url, Some(ws::url(&peer, "/slow")));
        peer.finish();
        // Its slot is free.
        let other = agreeing();
        let socket = session.ws_connect(ws::url(&other, "/"));
        works(&connect(socket, started).expect("a slot"));
    }
}

#[test]
fn a_limit_of_time_ends_a_refusal_that_does_not_end() {
    // SPEC W9, R22
    for started in DRIVERS {
        let peer = Peer::start(|conn| {
            conn.request()?;
            conn.write("HTTP/1.1 503 Busy\r\nContent-Length: 100\r\n\r\nsoon")?;
            conn.wait_for_close().map(drop)
        });
        let session = narrow();
        let socket = session
            .ws_connect(ws::url(&peer, "/"))
            .timeout(Duration::from_millis(100));
        let error = refused(connect(socket, started));
        assert_eq!(error.kind(), Kind::WsHandshake, "{error:#}");
        assert_eq!(error.body(), Some(&b"soon"[..]));
        peer.finish();
    }
}

#[test]
fn limits_of_the_handshake_end_with_it() {
    // SPEC W6
    for started in DRIVERS {
        let peer = agreeing();
        let session = Session::new();
        let limit = Duration::from_millis(200);
        let socket = session.ws_connect(ws::url(&peer, "/")).timeouts(
            miohttp::Timeouts::new()
                .total(limit)
                .sock_read(limit)
                .connect(limit),
        );
        let socket = connect(socket, started).expect("a WebSocket");
        // More than the limit passes for certain.
        let silent = Peer::never_accepts();
        let error = session.get(silent.url("/")).timeout(limit * 2).send();
        assert_eq!(error.expect_err("no answer").kind(), Kind::Timeout);
        works(&socket);
        assert_eq!(socket.close_code(), None);
    }
}

#[test]
fn a_handshake_can_be_given_up() {
    // SPEC W6
    let session = narrow();
    for cancels in [true, false] {
        let peer = Peer::start(|conn| {
            conn.request()?;
            conn.wait_for_close().map(drop)
        });
        let pending = session.ws_connect(ws::url(&peer, "/")).start_connect();
        peer.wait_for_requests(1);
        if cancels {
            pending.cancel_handle().cancel();
            let error = refused(pending.wait());
            assert_eq!(error.kind(), Kind::Cancelled, "{error:#}");
        } else {
            drop(pending);
        }
        peer.finish();
    }
    let other = agreeing();
    works(
        &session
            .ws_connect(ws::url(&other, "/"))
            .connect()
            .expect("a slot"),
    );
}

#[test]
fn a_refusal_can_be_tried_again() {
    // SPEC W6, Y2
    for started in DRIVERS {
        let peer = Peer::start(|conn: &mut PeerConn| -> io::Result<()> {
            let request = conn.request()?;
            if conn.index() == 0 {
                return conn.write(response("503 Busy", &[("Connection", "close")], "later"));
            }
            conn.write(yes(&request))?;
            Handshake::new().over(conn, request).echo()
        });
        let retry = RetryPolicy::new()
            .attempts(2)
            .backoff(Duration::ZERO, Duration::ZERO);
        let socket = Session::new().ws_connect(ws::url(&peer, "/")).retry(retry);
        works(&connect(socket, started).expect("a WebSocket"));
        assert_eq!(peer.request_count(), 2);
    }
}

#[test]
fn a_stale_connection_is_made_good() {
    // SPEC W6, Y1
    for started in DRIVERS {
        let peer = Peer::start(|conn: &mut PeerConn| -> io::Result<()> {
            let request = conn.request()?;
            if request.target == "/first" {
                conn.write(ok("first"))?;
                // Read and never answered.
                conn.request()?;
                return Ok(());
            }
            conn.write(yes(&request))?;
            Handshake::new().over(conn, request).echo()
        });
        let session = Session::new();
        let first = session.get(peer.url("/first")).send().expect("an answer");
        assert_eq!(first.text().expect("a body"), "first");
        let socket = session.ws_connect(ws::url(&peer, "/chat"));
        works(&connect(socket, started).expect("a WebSocket"));
        assert_eq!(
            peer.request_lines(),
            ["GET /first", "GET /chat", "GET /chat"]
        );
    }
}

#[test]
fn a_closed_session_connects_nothing() {
    // SPEC S13
    let peer = agreeing();
    let session = Session::new();
    let socket = session.ws_connect(ws::url(&peer, "/"));
    session.close();
    let error = refused(socket.connect());
    assert_eq!(error.kind(), Kind::Closed, "{error:#}");
    assert_eq!(peer.connections(), 0);
}

#[test]
fn a_server_that_is_gone_is_no_handshake() {
    // SPEC W9
    for started in DRIVERS {
        let address = support::refusing_address();
        let socket = Session::new().ws_connect(format!("ws://{address}/"));
        let error = refused(connect(socket, started));
        assert!(error.is_connect() && !error.is_response(), "{error:#}");
        let peer = Peer::start(|conn| conn.request().map(drop));
        let socket = Session::new().ws_connect(ws::url(&peer, "/"));
        let error = refused(connect(socket, started));
        assert_eq!(error.kind(), Kind::Disconnected, "{error:#}");
        assert_eq!(error.phase(), Some(Phase::Head));
    }
}

#[cfg(feature = "async")]
#[test]
fn awaiting_it_connects_it() {
    // SPEC W6
    let peer = agreeing();
    let socket = Session::new().ws_connect(ws::url(&peer, "/"));
    let mut future = std::pin::pin!(IntoFuture::into_future(socket));
    let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
    let mut cx = std::task::Context::from_waker(&waker);
    let socket = loop {
        match future.as_mut().poll(&mut cx) {
            std::task::Poll::Ready(socket) => break socket,
            std::task::Poll::Pending => std::thread::park_timeout(support::WATCHDOG),
        }
    };
    works(&socket.expect("a WebSocket"));
}

#[cfg(feature = "async")]
struct Unpark(std::thread::Thread);

#[cfg(feature = "async")]
impl std::task::Wake for Unpark {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.unpark();
    }
}
