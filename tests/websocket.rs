//! The WebSocket object: every verb, both halves, every way it ends.
#![cfg(feature = "websocket")]

#[path = "websocket/closing.rs"]
mod closing;
#[cfg(feature = "async")]
#[path = "websocket/futures.rs"]
mod futures;
#[path = "websocket/handles.rs"]
mod handles;
mod support;

use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use miohttp::{
    Bytes, Connector, Error, Kind, Message, PerMessageDeflate, SendOptions, Session, Timeout,
    WebSocket, WebSocketBuilder,
};
use support::ws::{self, Frame, Handshake};
use support::{Gate, Peer, WATCHDOG};

/// So short that a test need not wait, and so long that nothing happens meanwhile.
const SHORT: Duration = Duration::from_millis(30);

fn builder(peer: &Peer) -> WebSocketBuilder {
    Session::new().ws_connect(ws::url(peer, "/"))
}

fn connect(peer: &Peer) -> WebSocket {
    builder(peer).connect().expect("a WebSocket")
}

/// A session over this connector, whose slots can be counted.
fn connect_with(connector: &Connector, peer: &Peer) -> WebSocket {
    let session = Session::builder().connector(connector.clone()).build();
    let connecting = session.ws_connect(ws::url(peer, "/")).connect();
    connecting.expect("a WebSocket")
}

#[track_caller]
fn until(what: &str, done: impl Fn() -> bool) {
    let start = std::time::Instant::now();
    while !done() {
        assert!(start.elapsed() < WATCHDOG, "never came about: {what}");
        thread::yield_now();
    }
}

#[track_caller]
fn kind<T: std::fmt::Debug>(result: Result<T, Error>) -> Kind {
    result.unwrap_err().kind()
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n % 251) as u8).collect()
}

#[test]
fn messages_come_back_as_they_were_sent() {
    // SPEC W11, W12
    let peer = ws::echo();
    let socket = connect(&peer);
    for length in [0, 1, 125, 126, 65_535, 65_536, 1_000_000] {
        let sent = Message::from(bytes(length));
        socket.send(sent.clone()).unwrap();
        assert_eq!(socket.recv().unwrap(), Some(sent));
        let sent = Message::from("ü".repeat(length / 2));
        socket.send(sent.clone()).unwrap();
        assert_eq!(socket.recv().unwrap(), Some(sent));
    }
    assert!(socket.close(1000, "").unwrap());
    peer.finish();
}

#[test]
fn every_verb_does_what_its_twins_do() {
    // SPEC W11, W12
    let peer = ws::echo();
    let socket = connect(&peer);
    let text = |sent: Result<(), Error>| {
        sent.unwrap();
        assert_eq!(socket.recv_timeout(WATCHDOG).unwrap(), Some("text".into()));
    };
    text(socket.send("text"));
    text(socket.start_send("text").wait());
    text(socket.send_timeout("text", WATCHDOG));
    text(socket.send_with("text", SendOptions::new()));
    text(socket.start_send_with("text", SendOptions::new()).wait());
    text(socket.send_text("text"));
    text(socket.start_send_text("text").wait());
    text(socket.send_text_timeout("text", WATCHDOG));
    let binary = |sent: Result<(), Error>| {
        sent.unwrap();
        let wanted = Some(Message::Binary(Bytes::from_static(b"bytes")));
        assert_eq!(socket.start_recv().wait().unwrap(), wanted);
    };
    binary(socket.send_bytes("bytes"));
    binary(socket.start_send_bytes("bytes").wait());
    binary(socket.send_bytes_timeout(b"bytes".as_slice(), WATCHDOG));

    for _ in 0..3 {
        socket.send("text").unwrap();
        socket.send(b"bytes").unwrap();
    }
    assert_eq!(socket.recv_text().unwrap().unwrap(), "text");
    assert_eq!(socket.recv_bytes().unwrap().unwrap(), "bytes");
    assert_eq!(socket.start_recv_text().wait().unwrap().unwrap(), "text");
    assert_eq!(socket.start_recv_bytes().wait().unwrap().unwrap(), "bytes");
    assert_eq!(socket.recv_text_timeout(WATCHDOG).unwrap().unwrap(), "text");
    assert_eq!(
        socket.recv_bytes_timeout(WATCHDOG).unwrap().unwrap(),
        "bytes"
    );
    assert!(socket.start_close(1000, "").wait().unwrap());
    assert_eq!(socket.recv_text().unwrap(), None);
    assert_eq!(socket.recv_bytes().unwrap(), None);
    peer.finish();
}

#[cfg(feature = "json")]
#[test]
fn json_goes_as_text_and_comes_as_a_value() {
    // SPEC W11, W12
    let peer = ws::echo();
    let session = Session::builder()
        .json_serializer(|value| Ok(format!("{value} ").into_bytes()))
        .build();
    let socket = session.ws_connect(ws::url(&peer, "/")).connect().unwrap();
    let value = serde_json::json!({"a": [1, 2]});
    socket.send_json(&value).unwrap();
    assert_eq!(
        socket.recv_text().unwrap().unwrap(),
        "{\"a\":[1,2]} ",
        "by the session's"
    );
    let socket = connect(&peer);
    socket.send_json(&value).unwrap();
    socket.start_send_json(&value).wait().unwrap();
    socket.send_json_timeout(&value, WATCHDOG).unwrap();
    assert_eq!(socket.recv_json().unwrap(), Some(value.clone()));
    assert_eq!(
        socket.start_recv_json().wait().unwrap(),
        Some(value.clone())
    );
    assert_eq!(
        socket.recv_json_timeout(WATCHDOG).unwrap(),
        Some(value.clone())
    );
    // What cannot be written, and what cannot be read.
    let unwritable = std::collections::HashMap::from([((1, 2), 3)]);
    assert_eq!(kind(socket.send_json(&unwritable)), Kind::InvalidRequest);
    socket.send("{").unwrap();
    socket.send("[1]").unwrap();
    socket.send(b"[1]").unwrap();
    socket.send("7").unwrap();
    assert_eq!(kind(socket.recv_json::<u8>()), Kind::Decode);
    assert_eq!(kind(socket.recv_json::<u8>()), Kind::Decode);
    assert_eq!(kind(socket.recv_json::<Vec<u8>>()), Kind::WebSocket);
    assert_eq!(socket.recv_json::<u8>().unwrap(), Some(7));
    socket.close(1000, "").unwrap();
    assert_eq!(socket.recv_json::<u8>().unwrap(), None);
}

#[test]
fn a_message_of_another_type_is_an_error_and_gone() {
    // SPEC W12
    let peer = ws::echo();
    let socket = connect(&peer);
    socket.send("text").unwrap();
    socket.send(b"bytes").unwrap();
    socket.send("behind").unwrap();
    let error = socket.recv_bytes().unwrap_err();
    assert!(error.is_websocket(), "{error:?}");
    assert!(error.to_string().contains("text"), "{error}");
    assert!(error.url().is_some_and(|url| url.scheme() == "ws"));
    assert_eq!(kind(socket.recv_text()), Kind::WebSocket);
    assert_eq!(socket.recv().unwrap(), Some("behind".into()));
    assert!(!socket.is_closed() && socket.exception().is_none());
}

#[test]
fn pings_and_pongs_are_sent_and_shown_where_that_is_asked_for() {
    // SPEC W4, W11
    let peer = ws::start(Handshake::new(), |ws| {
        assert_eq!(ws.frame()?.payload, b"are you there");
        assert_eq!(ws.frame()?.opcode, ws::PONG);
        ws.send_all(&[
            Frame::text("par").part(),
            Frame::ping("p1"),
            Frame::pong("p2"),
            Frame::continuation("ts"),
        ])?;
        ws.answer_close().map(drop)
    });
    let socket = builder(&peer).autoping(false).connect().unwrap();
    socket.ping("are you there").unwrap();
    socket.start_pong(Bytes::new()).wait().unwrap();
    let ping = Message::Ping(Bytes::from_static(b"p1"));
    assert_eq!(socket.recv().unwrap(), Some(ping));
    assert_eq!(kind(socket.recv_text()), Kind::WebSocket, "a pong");
    assert_eq!(socket.recv_text().unwrap().unwrap(), "parts");
    assert_eq!(kind(socket.ping(vec![0; 126])), Kind::InvalidRequest);
    assert_eq!(
        kind(socket.start_ping(vec![0; 126]).wait()),
        Kind::InvalidRequest
    );
    assert_eq!(kind(socket.pong(vec![0; 126])), Kind::InvalidRequest);
    socket.close(1000, "").unwrap();
    peer.finish();

    // Answered and hidden otherwise, while nobody receives.
    let peer = ws::start(Handshake::new(), |ws| {
        ws.send_all(&[Frame::ping("1"), Frame::pong("2"), Frame::text("end")])?;
        let pong = ws.frame()?;
        assert_eq!((pong.opcode, &*pong.payload), (ws::PONG, &b"1"[..]));
        ws.send(Frame::close(1000, ""))?;
        ws.read_close().map(drop)
    });
    let socket = connect(&peer);
    until("it is closed", || socket.close_code().is_some());
    assert_eq!(socket.recv().unwrap(), Some("end".into()));
    assert_eq!(socket.recv().unwrap(), None);
    peer.finish();
}

#[test]
fn one_thread_sends_while_another_receives() {
    let peer = ws::echo();
    let (sender, mut receiver) = connect(&peer).split();
    let sending = thread::spawn(move || {
        for n in 0..2000u32 {
            sender.send(n.to_string()).unwrap();
        }
        sender
    });
    for n in 0..2000u32 {
        assert_eq!(receiver.recv_text().unwrap().unwrap(), *n.to_string());
    }
    let sender = sending.join().unwrap();
    assert!(sender.close(1000, "").unwrap());
    assert_eq!(receiver.recv().unwrap(), None);
    assert_eq!(receiver.close_code().unwrap(), 1000);
    peer.finish();
}

#[test]
fn messages_of_many_senders_stay_whole_and_in_the_order_of_each() {
    let peer = ws::start(
        Handshake::new().extensions("permessage-deflate; client_max_window_bits=9"),
        |ws| {
            let mut deflate = ws::Deflate::new((15, true), (9, true));
            let mut next = [0; 4];
            for _ in 0..4 * 200 {
                let message = ws.message()?;
                let plain = match message.rsv {
                    0 => message.payload,
                    _ => deflate.decompress(&message.payload).expect("in order"),
                };
                let (who, number) = (plain[0], plain[1]);
                assert!(plain[2..].iter().all(|byte| *byte == who), "torn");
                assert_eq!(number, next[usize::from(who)]);
                next[usize::from(who)] += 1;
            }
            ws.answer_close().map(drop)
        },
    );
    let socket = builder(&peer)
        .compress(PerMessageDeflate::new())
        .connect()
        .unwrap();
    thread::scope(|scope| {
        for who in 0..4u8 {
            let socket = socket.clone();
            scope.spawn(move || {
                for number in 0..200u8 {
                    let length = usize::from(number) * 37 + 2;
                    let mut message = vec![who; length];
                    message[1] = number;
                    if number % 2 == 0 {
                        message[0] = who;
                    }
                    socket.send(message).unwrap();
                }
            });
        }
    });
    assert!(socket.close(1000, "").unwrap());
    peer.finish();
}

#[test]
fn the_halves_tell_what_the_whole_does() {
    // SPEC W10
    let handshake = Handshake::new().protocol("chat").field("X-Word", "yes");
    let peer = ws::start(handshake, |ws| ws.answer_close().map(drop));
    let builder = Session::new().ws_connect(ws::url(&peer, "/"));
    let socket = builder.protocols(["chat"]).connect().unwrap();
    let (url, local) = (socket.url().clone(), socket.local_addr());
    let (sender, receiver) = socket.split();
    macro_rules! tells {
        ($half:expr) => {
            assert_eq!($half.protocol(), Some("chat"));
            assert_eq!($half.compress(), None);
            assert_eq!($half.response().headers()["x-word"], "yes");
            assert_eq!($half.url(), &url);
            assert_eq!($half.peer_addr(), Some(peer.address()));
            assert_eq!($half.local_addr(), local);
            assert!($half.tls_info().is_none());
        };
    }
    tells!(sender);
    tells!(receiver);
    sender.close(1000, "").unwrap();
    peer.finish();
}

#[test]
fn only_one_receives_at_a_time() {
    // SPEC W12
    let gate = Gate::new();
    let at = gate.clone();
    let peer = ws::start(Handshake::new(), move |ws| {
        at.wait();
        ws.send(Frame::text("one"))?;
        ws.send(Frame::text("two"))?;
        ws.answer_close().map(drop)
    });
    let socket = connect(&peer);
    let pending = socket.start_recv();
    for refused in [
        kind(socket.recv()),
        kind(socket.recv_timeout(WATCHDOG)),
        kind(socket.start_recv_text().wait()),
        kind(socket.clone().recv_bytes()),
        kind(socket.iter().next().unwrap()),
    ] {
        assert_eq!(refused, Kind::InvalidRequest);
    }
    // Sending is another matter.
    socket.send("sent").unwrap();
    drop(pending);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| socket.recv());
        // It has begun, or has not, and then this one has the claim for a moment.
        until("it receives", || {
            waiting.is_finished() || matches!(socket.start_recv().try_take(), Some(Err(_)))
        });
        gate.open();
        let first = match waiting.join().unwrap() {
            Ok(first) => first,
            Err(error) => {
                // This thread was at it when that one began.
                assert_eq!(error.kind(), Kind::InvalidRequest);
                socket.recv().unwrap()
            }
        };
        assert_eq!(first, Some("one".into()));
    });
    assert_eq!(socket.recv().unwrap(), Some("two".into()));
    socket.close(1000, "").unwrap();
    peer.finish();
}

#[test]
fn a_wait_that_is_given_up_loses_no_message() {
    let gate = Gate::new();
    let at = gate.clone();
    let peer = ws::start(Handshake::new(), move |ws| {
        ws.send(Frame::text("be").part())?;
        at.wait();
        ws.send(Frame::continuation("gun"))?;
        ws.send(Frame::text("next"))?;
        ws.answer_close().map(drop)
    });
    let socket = connect(&peer);
    let error = socket.recv_timeout(SHORT).unwrap_err();
    assert_eq!(error.timeout(), Some(Timeout::WsReceive));
    assert!(error.to_string().contains("30ms"), "{error}");
    let mut pending = socket.start_recv();
    assert!(pending.wait_for(SHORT).is_none());
    drop(pending);
    assert!(!socket.is_closed() && socket.exception().is_none());
    gate.open();
    // Already here, and not taken.
    let pending = socket.start_recv_text();
    drop(pending);
    assert_eq!(socket.recv_text().unwrap().unwrap(), "begun");
    assert_eq!(socket.recv_text().unwrap().unwrap(), "next");
    socket.close(1000, "").unwrap();
    peer.finish();
}

#[test]
fn the_receive_timeout_ends_the_connection() {
    // SPEC W3
    let peer = ws::start(Handshake::new(), |ws| {
        ws.send(Frame::text("one"))?;
        ws.conn.wait_for_close().map(drop)
    });
    for pending in [false, true] {
        let connector = Connector::new();
        let session = Session::builder().connector(connector.clone()).build();
        let socket = session
            .ws_connect(ws::url(&peer, "/"))
            .receive_timeout(SHORT)
            .connect()
            .unwrap();
        // What comes in time does not count, however long nobody asks.
        assert_eq!(socket.recv_timeout(WATCHDOG).unwrap(), Some("one".into()));
        thread::park_timeout(2 * SHORT);
        assert!(!socket.is_closed(), "nobody receives");
        let error = match pending {
            true => socket.start_recv().wait(),
            false => socket.recv(),
        }
        .unwrap_err();
        assert_eq!(error.timeout(), Some(Timeout::WsReceive));
        assert_eq!(socket.close_code().unwrap(), 1006);
        assert_eq!(socket.recv().unwrap(), None);
        assert_eq!(
            socket.exception().unwrap().timeout(),
            Some(Timeout::WsReceive)
        );
        assert_eq!(kind(socket.send("more")), Kind::Closed);
        until("its slot is free", || connector.stats().in_use == 0);
    }
}

#[test]
fn a_full_outbox_makes_senders_wait_and_sends_all_or_nothing() {
    let gate = Gate::new();
    let at = gate.clone();
    let (tell, told) = channel();
    let tell = std::sync::Mutex::new(tell);
    let peer = ws::start(Handshake::new(), move |ws| {
        at.wait();
        loop {
            let message = ws.message()?;
            if message.opcode == ws::CLOSE {
                return ws.send(Frame::close(1000, ""));
            }
            let tell = support::enter(&tell);
            let _ = tell.send((message.payload[0], message.payload.len()));
        }
    });
    let socket = connect(&peer);
    // More than the network takes with nobody reading.
    let piece = vec![1; 200_000];
    let mut sent = 0;
    let error = loop {
        match socket.send_timeout(piece.clone(), SHORT) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
        assert!(sent < 1000, "there is no limit");
    };
    assert_eq!(error.timeout(), Some(Timeout::WsSend));
    assert!(!socket.is_closed());
    let mut given_up = socket.start_send(vec![2; 10]);
    assert!(given_up.wait_for(SHORT).is_none());
    let behind = socket.start_send(vec![3; 10]);
    drop(given_up);
    gate.open();
    behind.wait().unwrap();
    assert!(socket.close(1000, "").unwrap());
    peer.finish();
    let told: Vec<_> = told.try_iter().collect();
    let mut wanted = vec![(1, piece.len()); sent];
    wanted.push((3, 10));
    assert!(told == wanted, "{:?}", told.last());
}

#[test]
fn messages_are_compressed_by_the_threshold_or_one_by_one() {
    // SPEC W7, W11
    let agreed = "permessage-deflate; client_max_window_bits=10";
    let peer = ws::start(Handshake::new().extensions(agreed), |ws| {
        let mut deflate = ws::Deflate::new((15, true), (10, true));
        for compressed in [true, false, false, true, true] {
            let message = ws.message()?;
            assert_eq!(message.rsv, if compressed { 4 } else { 0 });
            let plain = match compressed {
                true => deflate.decompress(&message.payload).expect("deflated"),
                false => message.payload,
            };
            assert!(plain.iter().all(|byte| *byte == b'a'));
            ws.send(Frame::text(deflate.compress(&plain)).rsv(4))?;
        }
        ws.answer_close().map(drop)
    });
    let socket = builder(&peer)
        .compress(PerMessageDeflate::new().threshold(100))
        .connect()
        .unwrap();
    assert_eq!(socket.compress(), Some(10));
    let (short, long) = ("a".repeat(99), "a".repeat(100));
    let with = |compress| SendOptions::new().compress(compress);
    socket.send(&long).unwrap();
    socket.send(&short).unwrap();
    socket.send_with(&long, with(false)).unwrap();
    socket.send_with(&short, with(true)).unwrap();
    socket
        .start_send_with(&long, SendOptions::new())
        .wait()
        .unwrap();
    for wanted in [&long, &short, &long, &short, &long] {
        assert_eq!(socket.recv_text().unwrap().unwrap(), *wanted);
    }
    assert!(socket.close(1000, "").unwrap());
    peer.finish();
}

#[test]
fn a_stall_of_the_receiver_stalls_the_server_and_ends() {
    let peer = ws::start(Handshake::new(), |ws| {
        for n in 0..64u8 {
            ws.send(Frame::binary(vec![n; 100_000]))?;
        }
        ws.answer_close().map(drop)
    });
    let socket = connect(&peer);
    for n in 0..64u8 {
        let message = socket.recv_bytes().unwrap().unwrap();
        assert!(message.len() == 100_000 && message.iter().all(|byte| *byte == n));
    }
    assert!(socket.close(1000, "").unwrap());
    peer.finish();
}
