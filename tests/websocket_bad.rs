//! WebSockets whose other end does wrong: frames that may not be, ends that are none, a
//! network that is lost. The server is scripted, byte by byte.
#![cfg(feature = "websocket")]

mod support;

use std::io;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use miohttp::{CloseCode, Error, Kind, Message, Session, Timeout, WebSocket, WebSocketBuilder};
use support::ws::{self, Deflate, Frame, Handshake, Ws};
use support::{Gate, Peer, WATCHDOG};
use tungstenite::protocol::frame::coding::CloseCode as TheirCode;
use tungstenite::{Message as TheirMessage, client};

fn builder(peer: &Peer) -> WebSocketBuilder {
    Session::new().ws_connect(ws::url(peer, "/"))
}

fn connect(peer: &Peer) -> WebSocket {
    builder(peer).connect().expect("a WebSocket")
}

/// Takes messages until there are no more: those, and the error if there was one.
fn drain(socket: &WebSocket) -> (Vec<Message>, Option<Error>) {
    let mut messages = Vec::new();
    loop {
        match socket.recv() {
            Ok(Some(message)) => messages.push(message),
            Ok(None) => return (messages, None),
            Err(error) => {
                // Once, and then it is closed.
                assert_eq!(socket.recv().expect("the end"), None);
                return (messages, Some(error));
            }
        }
    }
}

/// The connection was lost, and everything says so.
#[track_caller]
fn assert_lost(socket: &WebSocket, error: Option<Error>) -> Error {
    let error = error.expect("an error");
    assert_eq!(socket.close_code(), Some(CloseCode::ABNORMAL), "{error:#}");
    let kept = socket.exception().expect("an error is kept");
    assert_eq!(kept.kind(), error.kind());
    assert!(socket.is_closed());
    let late = socket.send("late").expect_err("it is closed");
    assert_eq!(late.kind(), Kind::Closed, "{late:#}");
    error
}

#[track_caller]
fn until(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < WATCHDOG, "never came about: {what}");
        std::thread::yield_now();
    }
}

/// A server that sends these bytes and reads until the client's Close, whose code must
/// be `code`.
fn faulty(handshake: Handshake, bytes: Vec<u8>, code: u16) -> Peer {
    ws::start(handshake, move |ws| {
        ws.conn.write(&bytes)?;
        let said = ws.read_close()?;
        assert_eq!(said.map(|(code, _)| code), Some(code), "{bytes:x?}");
        Ok(())
    })
}

/// What a server sends that it must not is told to it and to whoever receives, and what
/// came before is not lost.
fn assert_refused(handshake: &Handshake, frames: &[u8], code: CloseCode) {
    let good = Frame::text("good").bytes();
    for before in [&good[..], &[]] {
        let bytes = [before, frames].concat();
        let what = format!("{:x?}", &bytes[..bytes.len().min(40)]);
        let peer = faulty(handshake.clone(), bytes, code.into());
        let deflate = miohttp::PerMessageDeflate::new();
        let asking = match handshake.compresses() {
            true => builder(&peer).compress(deflate),
            false => builder(&peer),
        };
        let socket = asking.connect().expect("a WebSocket");
        let (messages, error) = drain(&socket);
        assert_eq!(messages.len(), usize::from(!before.is_empty()), "{what}");
        let error = error.unwrap_or_else(|| panic!("nothing is wrong with {what}"));
        assert!(error.is_websocket(), "{what}: {error:#}");
        assert_eq!(error.kind(), Kind::WebSocket, "{what}: {error:#}");
        assert_eq!(socket.close_code(), Some(code), "{what}: {error:#}");
        let kept = socket.exception().expect("an error is kept");
        assert_eq!(kept.to_string(), error.to_string());
        let late = socket.send("late").expect_err("it is closed");
        assert_eq!(late.kind(), Kind::Closed, "{late:#}");
        peer.finish();
    }
}

#[test]
fn frames_that_may_not_be_end_it() {
    // SPEC W13
    let text = || Frame::text("hello");
    let large = Frame::ping([b'x'; 126]);
    let mut cases = vec![
        ("masked", text().masked([1, 2, 3, 4]).bytes()),
        ("masked with nothing", text().masked([0; 4]).bytes()),
        (
            "a masked ping",
            Frame::ping("").masked([1, 2, 3, 4]).bytes(),
        ),
        ("a ping of 126 bytes", large.bytes()),
        ("its head", large.head(126)),
        ("a ping in parts", Frame::ping("a").part().bytes()),
        ("a pong in parts", Frame::pong("a").part().bytes()),
        ("a close in parts", Frame::close(1000, "").part().bytes()),
        (
            "a continuation of nothing",
            Frame::continuation("a").bytes(),
        ),
        ("its part", Frame::continuation("a").part().bytes()),
        (
            "text within text",
            [text().part().bytes(), text().bytes()].concat(),
        ),
        (
            "bytes within text",
            [text().part().bytes(), Frame::binary("a").part().bytes()].concat(),
        ),
        ("2^63 bytes", Frame::binary("").head(1 << 63)),
        ("2^64 - 1 bytes", Frame::binary("").head(u64::MAX)),
    ];
    for bits in 1..=7 {
        cases.push(("a reserved bit", text().rsv(bits).bytes()));
        cases.push(("of a ping", Frame::ping("").rsv(bits).bytes()));
    }
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        cases.push(("a reserved opcode", Frame::new(opcode, "").bytes()));
    }
    for (length, width) in [(0, 2), (125, 2), (0, 8), (125, 8), (126, 8), (0xffff, 8)] {
        let head = Frame::binary("").head_with(length, width);
        let payload = vec![0; length as usize];
        // Not every end of such a length is known to be wrong before it came.
        cases.push(("a length too long", [head, payload].concat()));
    }
    for (what, frames) in cases {
        println!("{what}");
        // What a Close or a text of several frames has begun with may have been taken.
        assert_refused(&Handshake::new(), &frames, CloseCode::PROTOCOL);
    }
}

#[test]
fn closes_that_may_not_be_are_answered_with_what_is_wrong() {
    // SPEC W13
    let mut cases = vec![(Frame::new(ws::CLOSE, [3]), CloseCode::PROTOCOL)];
    for code in [
        0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 0xffff,
    ] {
        cases.push((Frame::close(code, ""), CloseCode::PROTOCOL));
        cases.push((Frame::close(code, "why"), CloseCode::PROTOCOL));
    }
    for reason in [
        &b"\xff"[..],
        b"\xc3",
        b"\xed\xa0\x80",
        b"ok \xf4\x90\x80\x80",
    ] {
        cases.push((Frame::close(1000, reason), CloseCode::INVALID_PAYLOAD));
    }
    for (frame, code) in cases {
        assert_refused(&Handshake::new(), &frame.bytes(), code);
    }
}

#[test]
fn text_that_is_not_utf8_ends_it() {
    // SPEC W13
    for wrong in [
        &b"\xff"[..],
        b"\xc0\xaf",
        b"\xe0\x80\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xf8\x88\x80\x80\x80",
        b"good \xce",
    ] {
        let code = CloseCode::INVALID_PAYLOAD;
        assert_refused(&Handshake::new(), &Frame::text(wrong).bytes(), code);
        let parts: Vec<u8> = [Frame::text("").part()]
            .into_iter()
            .chain(wrong.iter().map(|byte| Frame::continuation([*byte]).part()))
            .chain([Frame::continuation("")])
            .flat_map(|frame| frame.bytes())
            .collect();
        assert_refused(&Handshake::new(), &parts, code);
    }
    // It is found before the rest has come, of the frame or of the message.
    let begun = [&Frame::text("").head(1000)[..], b"good \xce\xba\xff"].concat();
    assert_refused(&Handshake::new(), &begun, CloseCode::INVALID_PAYLOAD);
    let part = Frame::text(b"good \xce\xba\xff").part().bytes();
    assert_refused(&Handshake::new(), &part, CloseCode::INVALID_PAYLOAD);
}

#[test]
fn a_letter_may_be_cut_anywhere() {
    // SPEC W12, W13
    let letters = "aé€😀\u{10ffff}".as_bytes();
    let peer = ws::start(Handshake::new(), move |ws| {
        for cut in 0..=letters.len() {
            let (one, other) = letters.split_at(cut);
            ws.send_all(&[
                Frame::text(one).part(),
                Frame::ping("between"),
                Frame::continuation("").part(),
                Frame::continuation(other),
            ])?;
        }
        ws.close(1000, "")
    });
    let socket = connect(&peer);
    let (messages, error) = drain(&socket);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(messages.len(), letters.len() + 1);
    assert!(
        messages
            .iter()
            .all(|m| m.as_bytes() == letters && m.is_text())
    );
    peer.finish();
}

#[test]
fn compressed_frames_that_may_not_be_end_it() {
    // SPEC W7, W13
    let agreed = Handshake::new().extensions("permessage-deflate");
    let hello = || Deflate::new((15, true), (15, true)).compress(b"hello");
    for (what, frames, code) in [
        (
            "the bit on a continuation",
            [
                Frame::text("a").part().bytes(),
                Frame::continuation("b").rsv(4).bytes(),
            ]
            .concat(),
            CloseCode::PROTOCOL,
        ),
        (
            "on a ping",
            Frame::ping("").rsv(4).bytes(),
            CloseCode::PROTOCOL,
        ),
        (
            "on a close",
            Frame::close(1000, "").rsv(4).bytes(),
            CloseCode::PROTOCOL,
        ),
        (
            "another bit",
            Frame::text(hello()).rsv(6).bytes(),
            CloseCode::PROTOCOL,
        ),
        (
            "what is not deflated",
            Frame::text(b"\xff\xff\xff\xff").rsv(4).bytes(),
            CloseCode::INVALID_PAYLOAD,
        ),
        (
            "what refers to nothing",
            // A match of a distance beyond the start.
            Frame::text([0x02, 0x02, 0x00]).rsv(4).bytes(),
            CloseCode::INVALID_PAYLOAD,
        ),
        (
            "what is deflated and no text",
            Frame::text(Deflate::new((15, true), (15, true)).compress(b"a\xff"))
                .rsv(4)
                .bytes(),
            CloseCode::INVALID_PAYLOAD,
        ),
    ] {
        println!("{what}");
        assert_refused(&agreed, &frames, code);
    }
    // Without an agreement none of it means anything.
    let frame = Frame::text(hello()).rsv(4).bytes();
    assert_refused(&Handshake::new(), &frame, CloseCode::PROTOCOL);
}

#[test]
fn messages_beyond_the_limit_end_it() {
    // SPEC W8
    let limit = 1000;
    let part = |length: usize| Frame::binary(vec![1; length]).part().bytes();
    let more = |length: usize| Frame::continuation(vec![1; length]).part().bytes();
    let zeros = vec![0; 1001];
    let deflated = Deflate::new((15, true), (15, true)).compress(&zeros);
    let agreed = Handshake::new().extensions("permessage-deflate");
    for (handshake, bytes) in [
        // By its head alone.
        (Handshake::new(), Frame::binary("").head(1001)),
        (Handshake::new(), Frame::text("").head((1 << 63) - 1)),
        (
            Handshake::new(),
            [part(600), Frame::continuation("").head(401)].concat(),
        ),
        (
            Handshake::new(),
            [part(0), more(500), more(500), more(1)].concat(),
        ),
        // By what it means in full.
        (agreed.clone(), Frame::binary(&deflated).rsv(4).bytes()),
        (agreed, Frame::binary(&deflated).rsv(4).part().bytes()),
    ] {
        let compresses = handshake.compresses();
        let peer = faulty(handshake, bytes, 1009);
        let mut asking = builder(&peer).max_message_size(limit);
        if compresses {
            asking = asking.compress(miohttp::PerMessageDeflate::new());
        }
        let socket = asking.connect().expect("a WebSocket");
        let error = socket.recv().expect_err("too much");
        assert!(error.is_websocket(), "{error:#}");
        assert_eq!(socket.close_code(), Some(CloseCode::TOO_BIG));
        assert_eq!(socket.recv().expect("the end"), None);
        peer.finish();
    }
    // Up to the limit it is none of them; and the default is 4 MiB.
    for (length, limit) in [
        (1000, Some(1000)),
        (4 << 20, None),
        ((4 << 20) + 1, Some(0)),
    ] {
        let peer = ws::start(Handshake::new(), move |ws| {
            ws.send(Frame::binary(vec![7; length]))?;
            ws.close(1000, "")
        });
        let asking = builder(&peer);
        let socket = match limit {
            Some(limit) => asking.max_message_size(limit),
            None => asking,
        };
        let socket = socket.connect().expect("a WebSocket");
        let message = socket.recv_bytes().expect("a message").expect("one");
        assert_eq!(message.len(), length);
        assert_eq!(socket.recv().expect("the end"), None);
        peer.finish();
    }
    let peer = faulty(
        Handshake::new(),
        Frame::binary("").head((4 << 20) + 1),
        1009,
    );
    let error = connect(&peer).recv().expect_err("too much");
    assert!(error.is_websocket(), "{error:#}");
    peer.finish();
}

#[test]
fn everything_may_come_byte_by_byte() {
    // SPEC W12
    let agreed = Handshake::new().extensions("permessage-deflate");
    let peer = ws::start(agreed, |ws| {
        let mut deflate = Deflate::new((15, true), (15, true));
        let mut bytes = Vec::new();
        for frame in [
            Frame::text("héllo"),
            Frame::binary(""),
            Frame::ping("p"),
            Frame::text("frag").part(),
            Frame::ping(""),
            Frame::continuation("ment").part(),
            Frame::continuation(""),
            Frame::binary([7; 300]),
            Frame::text(deflate.compress(b"packed")).rsv(4),
            Frame::binary(vec![8; 66_000]),
            Frame::close(1000, "bye"),
        ] {
            bytes.extend(frame.bytes());
        }
        // The last kilobytes in one piece: it is long enough.
        let (slow, fast) = bytes.split_at(2000);
        ws.conn.write_bytewise(slow)?;
        ws.conn.write(&fast[..fast.len() - 7])?;
        ws.conn.write_bytewise(&fast[fast.len() - 7..])?;
        assert_eq!(ws.frame()?.payload, b"p");
        assert_eq!(ws.frame()?.payload, b"");
        assert_eq!(ws.read_close()?.map(|(code, _)| code), Some(1000));
        Ok(())
    });
    let asking = builder(&peer).compress(miohttp::PerMessageDeflate::new());
    let socket = asking.connect().expect("a WebSocket");
    let (messages, error) = drain(&socket);
    assert!(error.is_none(), "{error:?}");
    let wanted: [Message; 6] = [
        "héllo".into(),
        Vec::new().into(),
        "fragment".into(),
        vec![7; 300].into(),
        "packed".into(),
        vec![8; 66_000].into(),
    ];
    assert!(messages == wanted, "{} messages", messages.len());
    assert_eq!(socket.close_code(), Some(CloseCode::NORMAL));
    assert_eq!(&*socket.close_reason().expect("a reason"), "bye");
    peer.finish();
}

#[test]
fn frames_may_come_with_the_handshake() {
    // SPEC W9, W12
    let mut behind = Frame::text("early").bytes();
    behind.extend(Frame::ping("here?").bytes());
    behind.extend(&Frame::binary([9; 300]).bytes()[..100]);
    for drives in [true, false] {
        let peer = ws::start(Handshake::new().behind(&behind), |ws| {
            assert_eq!(ws.frame()?.payload, b"here?");
            ws.conn.write(&Frame::binary([9; 300]).bytes()[100..])?;
            ws.close(1000, "")
        });
        let connector = miohttp::Connector::builder().caller_drives(drives).build();
        let session = Session::builder().connector(connector).build();
        let socket = session.ws_connect(ws::url(&peer, "/")).connect();
        let (messages, error) = drain(&socket.expect("a WebSocket"));
        assert!(error.is_none(), "{error:?}");
        let wanted: [Message; 2] = ["early".into(), vec![9; 300].into()];
        assert_eq!(messages, wanted);
        peer.finish();
    }
}

#[test]
fn nothing_behind_a_close_counts() {
    // SPEC W13, W15
    let peer = ws::start(Handshake::new(), |ws| {
        ws.send_all(&[
            Frame::text("before"),
            Frame::close(3000, "that is all"),
            Frame::text("behind"),
            Frame::close(3001, ""),
        ])?;
        ws.conn.write(b"\xff\xff nonsense")?;
        assert_eq!(ws.read_close()?.map(|(code, _)| code), Some(3000));
        Ok(())
    });
    let socket = connect(&peer);
    let (messages, error) = drain(&socket);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(messages, ["before".into()]);
    assert_eq!(socket.close_code(), Some(CloseCode::from(3000)));
    assert!(socket.exception().is_none());
    peer.finish();
}

/// What a server does, and in words.
type Story = (&'static str, fn(&mut Ws<'_>) -> io::Result<()>);

/// How a connection can end with no Close, behind what may be cut off.
fn ends() -> Vec<Story> {
    fn gone(ws: &mut Ws<'_>) -> io::Result<()> {
        ws.conn.close();
        Ok(())
    }
    vec![
        ("an end between messages", gone),
        ("an end in a head", |ws| {
            ws.conn.write(&Frame::binary([1; 300]).bytes()[..3])?;
            gone(ws)
        }),
        ("an end in a frame", |ws| {
            ws.conn.write(&Frame::binary([1; 300]).bytes()[..200])?;
            gone(ws)
        }),
        ("an end in a message", |ws| {
            ws.send(Frame::text("half").part())?;
            gone(ws)
        }),
        ("the end of one way", |ws| {
            ws.send(Frame::text("half").part())?;
            ws.conn.shutdown_write()?;
            ws.conn.wait_for_close().map(drop)
        }),
        ("a reset", |ws| ws.conn.reset()),
        ("a reset in a frame", |ws| {
            ws.conn.write(&Frame::binary([1; 300]).bytes()[..200])?;
            ws.conn.reset()
        }),
    ]
}

#[test]
fn an_end_without_a_close_is_a_loss() {
    // SPEC W10, W15
    for (what, end) in ends() {
        println!("{what}");
        let peer = ws::start(Handshake::new(), move |ws| {
            assert_eq!(ws.text()?, "ready");
            ws.send(Frame::text("whole"))?;
            assert_eq!(ws.text()?, "taken");
            end(ws)
        });
        let socket = connect(&peer);
        socket.send("ready").expect("it is open");
        assert_eq!(socket.recv().expect("a message"), Some("whole".into()));
        socket.send("taken").expect("it is open");
        let (messages, error) = drain(&socket);
        assert!(messages.is_empty(), "{what}: {messages:?}");
        let error = assert_lost(&socket, error);
        assert!(error.is_connection(), "{what}: {error:#}");
        assert!(
            !socket.close(CloseCode::NORMAL, "").expect("a good code"),
            "{what}"
        );
        peer.finish();
    }
}

#[test]
#[cfg(feature = "tls")]
fn tls_that_is_cut_off_is_a_loss() {
    // SPEC W10, W15
    use support::{TlsOptions, tls::ca_pem};

    let tls = miohttp::TlsConfig::new();
    let tls = tls.add_root_pem(ca_pem().as_bytes()).expect("good PEM");
    let connector = miohttp::Connector::builder().tls(tls).build();
    let session = Session::builder().connector(connector).build();
    for (what, end) in ends() {
        println!("{what}");
        let options = TlsOptions::default().without_close_notify();
        let peer = ws::start_tls(options, Handshake::new(), move |ws| {
            assert_eq!(ws.text()?, "ready");
            end(ws)
        });
        let socket = session.ws_connect(ws::url(&peer, "/")).connect();
        let socket = socket.expect("a WebSocket");
        socket.send("ready").expect("it is open");
        let (messages, error) = drain(&socket);
        assert!(messages.is_empty(), "{what}: {messages:?}");
        let error = assert_lost(&socket, error);
        assert!(error.is_connection() || error.is_tls(), "{what}: {error:#}");
        peer.finish();
    }
    // With a Close it is none, whether or not TLS was said goodbye to.
    for options in [
        TlsOptions::default(),
        TlsOptions::default().without_close_notify(),
    ] {
        let peer = ws::start_tls(options, Handshake::new(), |ws| ws.close(1000, ""));
        let socket = session.ws_connect(ws::url(&peer, "/")).connect();
        let socket = socket.expect("a WebSocket");
        assert_eq!(socket.recv().expect("the end"), None);
        assert_eq!(socket.close_code(), Some(CloseCode::NORMAL));
        assert!(socket.exception().is_none());
        peer.finish();
    }
}

const SHORT: Duration = Duration::from_millis(150);

#[test]
fn a_server_that_never_closes_is_not_waited_for() {
    // SPEC W2, W14
    let noisy = |ws: &mut Ws<'_>| {
        // It goes on talking, and never looks.
        while ws
            .send_all(&[Frame::text("blah"), Frame::ping("blah")])
            .is_ok()
        {}
        Ok(())
    };
    let deaf = |ws: &mut Ws<'_>| ws.conn.wait_for_close().map(drop);
    let scripts: [Story; 2] = [("one that says nothing", deaf), ("one that goes on", noisy)];
    for (what, script) in scripts {
        println!("{what}");
        let peer = ws::start(Handshake::new(), script);
        let session = Session::new();
        let socket = session.ws_connect(ws::url(&peer, "/")).close_timeout(SHORT);
        let socket = socket.connect().expect("a WebSocket");
        let start = Instant::now();
        assert!(!socket.close(CloseCode::NORMAL, "bye").expect("a good code"));
        let taken = start.elapsed();
        assert!(taken >= SHORT && taken < WATCHDOG / 4, "{what}: {taken:?}");
        assert_eq!(socket.close_code(), Some(CloseCode::ABNORMAL), "{what}");
        // Its connection is ended, and gives its slot back.
        peer.wait_for_ends(1);
        until("the slot is free", || {
            session.connector().stats().in_use == 0
        });
        // What came before the end may be there, and then it is closed.
        let (_, error) = drain(&socket);
        assert!(error.is_none_or(|e| e.is_timeout()), "{what}");
        assert!(!socket.close(CloseCode::NORMAL, "").expect("a good code"));
    }
}

#[test]
fn a_server_that_keeps_the_connection_is_left() {
    // SPEC W2, W14: both have said their Close, and it goes on holding the line.
    enum First {
        Server,
        Client,
        Fault,
    }
    for first in [First::Server, First::Client, First::Fault] {
        let faulty = matches!(first, First::Fault);
        let peer = ws::start(Handshake::new(), move |ws| {
            match first {
                First::Server => ws.close(1000, "")?,
                First::Client => assert!(ws.answer_close()?.is_some()),
                First::Fault => {
                    ws.send(Frame::new(15, ""))?;
                    assert!(ws.answer_close()?.is_some());
                }
            }
            ws.wait_for_end()
        });
        let socket = builder(&peer).close_timeout(SHORT).connect();
        let socket = socket.expect("a WebSocket");
        if !faulty {
            // If the server is first, this changes nothing.
            socket.close(CloseCode::NORMAL, "").expect("a good code");
        }
        let (_, error) = drain(&socket);
        assert_eq!(error.is_some(), faulty, "{error:?}");
        let code = if faulty {
            CloseCode::PROTOCOL
        } else {
            CloseCode::NORMAL
        };
        assert_eq!(socket.close_code(), Some(code));
        peer.finish();
    }
}

#[test]
fn a_close_that_crosses_another_is_a_good_end() {
    // SPEC W14
    let peer = ws::start(Handshake::new(), |ws| {
        let said = ws.read_close()?;
        assert_eq!(said, Some((3000, "mine".to_owned())));
        // As if it had been on its way already.
        ws.send(Frame::close(3001, "theirs"))
    });
    let socket = connect(&peer);
    assert!(socket.close(3000, "mine").expect("a good code"));
    assert_eq!(socket.close_code(), Some(CloseCode::from(3001)));
    assert_eq!(&*socket.close_reason().expect("a reason"), "theirs");
    peer.finish();
}

#[test]
fn a_close_without_a_code_says_so() {
    // SPEC W10
    for answered in [true, false] {
        let peer = ws::start(Handshake::new(), move |ws| {
            if answered {
                ws.read_close()?;
                return ws.send(Frame::new(ws::CLOSE, ""));
            }
            ws.send(Frame::new(ws::CLOSE, ""))?;
            ws.read_close()?;
            Ok(())
        });
        let socket = connect(&peer);
        if answered {
            assert!(socket.close(CloseCode::NORMAL, "").expect("a good code"));
        }
        assert_eq!(socket.recv().expect("the end"), None);
        assert_eq!(socket.close_code(), Some(CloseCode::NO_STATUS));
        assert!(socket.exception().is_none());
        peer.finish();
    }
}

#[test]
fn a_server_that_ends_instead_of_answering_is_an_abnormal_end() {
    // SPEC W10, W14
    let ends: [fn(&mut Ws<'_>) -> io::Result<()>; 2] = [
        |ws| ws.read_close().map(drop),
        |ws| {
            ws.read_close()?;
            ws.conn.reset()
        },
    ];
    for end in ends {
        let peer = ws::start(Handshake::new(), end);
        let socket = connect(&peer);
        assert!(!socket.close(CloseCode::NORMAL, "").expect("a good code"));
        assert_eq!(socket.close_code(), Some(CloseCode::ABNORMAL));
        peer.finish();
    }
}

#[test]
fn a_heartbeat_finds_who_is_gone() {
    // SPEC W5: it neither reads nor answers any more.
    let beat = Duration::from_millis(100);
    for receives in [true, false] {
        let peer = ws::start(Handshake::new(), |ws| {
            // Once it answers, so the next beat is another one.
            let ping = ws.frame()?;
            assert_eq!(ping.opcode, ws::PING);
            ws.send(Frame::pong(ping.payload))?;
            ws.conn.wait_for_close().map(drop)
        });
        let socket = builder(&peer).heartbeat(beat).connect();
        let socket = socket.expect("a WebSocket");
        let start = Instant::now();
        if !receives {
            // Nobody waits, and it is found all the same.
            peer.wait_for_ends(1);
            until("it is told", || socket.close_code().is_some());
            assert!(socket.is_closed());
        }
        let error = socket.recv().expect_err("nobody is there");
        assert_eq!(error.timeout(), Some(Timeout::Heartbeat), "{error:#}");
        let taken = start.elapsed();
        assert!(taken >= beat * 5 / 2 && taken < WATCHDOG / 4, "{taken:?}");
        assert_eq!(socket.recv().expect("the end"), None);
        assert_lost(&socket, Some(error));
        peer.finish();
    }
}

#[test]
fn a_heartbeat_is_content_with_any_sign_of_life() {
    // SPEC W5: no pong, and data all the time.
    let beat = Duration::from_millis(200);
    let gate = Gate::new();
    let open = gate.clone();
    let peer = ws::start(Handshake::new(), move |ws| {
        let start = Instant::now();
        let socket = ws.conn.socket()?.try_clone()?;
        socket.set_read_timeout(Some(Duration::from_millis(20)))?;
        while start.elapsed() < Duration::from_secs(1) {
            ws.send(Frame::text("alive"))?;
            // Waits a little; a ping that comes is thrown away.
            let mut away = [0; 100];
            let _ = io::Read::read(&mut &socket, &mut away);
        }
        socket.set_read_timeout(Some(WATCHDOG))?;
        open.wait();
        ws.close(1000, "")
    });
    let socket = builder(&peer).heartbeat(beat).connect();
    let socket = socket.expect("a WebSocket");
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(900) {
        assert_eq!(socket.recv().expect("alive"), Some("alive".into()));
    }
    gate.open();
    let (messages, error) = drain(&socket);
    assert!(error.is_none(), "{error:?}");
    assert!(
        messages
            .iter()
            .all(|message| message.as_text() == Some("alive"))
    );
    peer.finish();
}

#[test]
fn a_receive_timeout_ends_it_and_that_of_one_call_does_not() {
    // SPEC W3
    let peer = ws::echo();
    let socket = connect(&peer);
    let error = socket.recv_timeout(SHORT).expect_err("nothing came");
    assert_eq!(error.timeout(), Some(Timeout::WsReceive), "{error:#}");
    assert!(socket.exception().is_none());
    socket.send("still here").expect("it is open");
    assert_eq!(
        socket.recv().expect("it is open"),
        Some("still here".into())
    );
    assert!(socket.close(CloseCode::NORMAL, "").expect("a good code"));

    for started in [false, true] {
        let peer = ws::start(Handshake::new(), |ws| ws.conn.wait_for_close().map(drop));
        let socket = builder(&peer).receive_timeout(SHORT).connect();
        let socket = socket.expect("a WebSocket");
        let start = Instant::now();
        let error = match started {
            true => socket.start_recv().wait(),
            false => socket.recv(),
        };
        let error = error.expect_err("nothing came");
        assert!(start.elapsed() >= SHORT);
        assert_eq!(error.timeout(), Some(Timeout::WsReceive), "{error:#}");
        assert_eq!(socket.recv().expect("the end"), None);
        assert_lost(&socket, Some(error));
        peer.finish();
    }
}

/// The scripted server of these tests against a client that others wrote.
#[test]
fn the_scripted_server_speaks_the_protocol() {
    let handshake = Handshake::new()
        .protocol("chat")
        .behind(Frame::text("welcome").bytes());
    let peer = ws::start(handshake, |ws| {
        assert_eq!(ws.request.header("sec-websocket-protocol"), Some("chat"));
        assert_eq!(ws.text()?, "hello");
        let large = ws.message()?;
        assert_eq!((large.opcode, large.payload.len()), (ws::BINARY, 70_000));
        ws.send_all(&[
            Frame::text("one").part(),
            Frame::ping("still there?"),
            Frame::continuation(" message"),
        ])?;
        assert_eq!(ws.frame()?.payload, b"still there?");
        ws.close(1001, "bye")
    });
    let socket = TcpStream::connect(peer.address()).expect("it listens");
    let request = http::Request::builder()
        .uri(ws::url(&peer, "/"))
        .header("host", "localhost")
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("sec-websocket-protocol", "chat")
        .body(())
        .expect("a request");
    let (mut client, response) = client(request, socket).expect("a handshake");
    assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
    assert_eq!(
        client.read().expect("a message"),
        TheirMessage::text("welcome")
    );
    client.send(TheirMessage::text("hello")).expect("sent");
    client
        .send(TheirMessage::binary(vec![1; 70_000]))
        .expect("sent");
    let ping = TheirMessage::Ping("still there?".into());
    assert_eq!(client.read().expect("a message"), ping);
    client.flush().expect("sent");
    assert_eq!(
        client.read().expect("a message"),
        TheirMessage::text("one message")
    );
    let TheirMessage::Close(Some(close)) = client.read().expect("a message") else {
        panic!("no Close");
    };
    assert_eq!(
        (close.code, close.reason.as_str()),
        (TheirCode::Away, "bye")
    );
    while client.read().is_ok() {}
    drop(client);
    peer.finish();
}

#[test]
fn its_compression_goes_there_and_back() {
    // RFC 7692 section 7.2.3.1: the same text again, with the window kept.
    let mut hello = Deflate::new((15, true), (15, true));
    assert_eq!(
        hello.compress(b"Hello"),
        [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]
    );
    assert_eq!(hello.compress(b"Hello"), [0xf2, 0x00, 0x11, 0x00, 0x00]);
    for bits in 9..=15 {
        for takeover in [true, false] {
            let mut deflate = Deflate::new((bits, takeover), (bits, takeover));
            for length in [0, 1, 5, 600, 70_000] {
                let message: Vec<u8> = (0..length).map(|n| (n / 7 * n % 251) as u8).collect();
                let compressed = deflate.compress(&message);
                assert_eq!(deflate.decompress(&compressed), Some(message));
            }
        }
    }
}
