//! Who drives a WebSocket: the thread that sends, the one that blocks to receive, and
//! the reactor where neither is there. Whoever it is, the same comes of it.
#![cfg(feature = "websocket")]

mod support;

use std::cell::RefCell;
use std::thread;
use std::time::{Duration, Instant};

use miohttp::{CloseCode, Connector, Kind, Message, Session, Timeout, WebSocket, wait_all};
use support::ws::{self, Frame, Handshake, PING, PONG, TEXT};
use support::{Gate, Peer, WATCHDOG};

/// The test with either driver.
fn both(test: impl Fn(&dyn Fn(&Peer) -> WebSocket)) {
    for caller_drives in [true, false] {
        println!("callers drive: {caller_drives}");
        test(&|peer| {
            let connector = Connector::builder().caller_drives(caller_drives).build();
            let session = Session::builder().connector(connector).build();
            let socket = session.ws_connect(ws::url(peer, "/")).connect();
            socket.expect("a WebSocket")
        });
    }
}

fn texts(range: std::ops::Range<usize>) -> Vec<Frame> {
    range.map(|n| Frame::text(n.to_string())).collect()
}

fn text_of(message: Option<Message>) -> String {
    match message {
        Some(Message::Text(text)) => text.to_string(),
        other => panic!("no text: {other:?}"),
    }
}

#[test]
fn pings_are_answered_behind_a_receive_with_nobody_there() {
    // SPEC W4: by whoever waits, and later by nobody's doing.
    both(|connect| {
        let gates = [Gate::new(), Gate::new(), Gate::new()];
        let answered = gates.clone();
        let peer = ws::start(Handshake::new(), move |ws| {
            for (round, answered) in answered.iter().enumerate() {
                ws.send(Frame::ping(format!("before {round}")))?;
                let pong = ws.message()?;
                assert_eq!(pong.opcode, PONG);
                ws.send(Frame::text("a message"))?;
                ws.send(Frame::ping(format!("behind {round}")))?;
                let pong = ws.message()?;
                assert_eq!(pong.payload, format!("behind {round}").into_bytes());
                assert_eq!(pong.opcode, PONG);
                answered.open();
            }
            ws.answer_close().map(drop)
        });
        let socket = connect(&peer);
        for answered in &gates {
            assert_eq!(text_of(socket.recv().expect("a message")), "a message");
            // Nobody receives until it is.
            answered.wait();
        }
        socket.close(CloseCode::NORMAL, "").expect("closed");
        peer.finish();
    });
}

#[test]
fn an_answer_goes_though_its_thread_does_not_come_back() {
    // SPEC W11: of several messages that came together one is answered.
    both(|connect| {
        let gate = Gate::new();
        let seen = gate.clone();
        let peer = ws::start(Handshake::new(), move |ws| {
            ws.send_all(&texts(0..10))?;
            assert_eq!(ws.text()?, "0");
            seen.open();
            for n in 1..10 {
                assert_eq!(ws.text()?, n.to_string());
            }
            ws.answer_close().map(drop)
        });
        let socket = connect(&peer);
        for n in 0..10 {
            let text = text_of(socket.recv().expect("a message"));
            assert_eq!(text, n.to_string());
            socket.send_text(text).expect("sent");
            if n == 0 {
                gate.wait();
            }
        }
        socket.close(CloseCode::NORMAL, "").expect("closed");
        peer.finish();
    });
}

#[test]
fn answers_go_out_in_their_order_whoever_sends() {
    // SPEC W11: small ones that are put together, large ones, and a Ping, a Pong.
    both(|connect| {
        const ROUNDS: usize = 4;
        const TOGETHER: usize = 40;
        let peer = ws::start(Handshake::new(), |ws| {
            for round in 0..ROUNDS {
                ws.send_all(&texts(0..TOGETHER))?;
                for n in 0..TOGETHER {
                    let answer = ws.message()?;
                    assert_eq!(answer.opcode, TEXT, "{round} {n}");
                    let text = String::from_utf8(answer.payload).expect("text");
                    let (number, rest) = text.split_at(text.find(' ').expect("two parts"));
                    assert_eq!(number, n.to_string());
                    assert!(rest[1..].bytes().all(|byte| byte == b'x'));
                    if n % 7 == 3 {
                        let ping = ws.message()?;
                        assert_eq!(ping.opcode, PING);
                        assert_eq!(ping.payload, number.as_bytes());
                        ws.send(Frame::pong(ping.payload))?;
                    }
                }
            }
            ws.answer_close().map(drop)
        });
        let socket = connect(&peer);
        for n in 0..ROUNDS * TOGETHER {
            let number = text_of(socket.recv().expect("a message"));
            // From nothing to more than a batch.
            let length = [0, 1, 100, 5000, 90_000][n % 5];
            let answer = format!("{number} {}", "x".repeat(length));
            socket.send_text(answer).expect("sent");
            if n % TOGETHER % 7 == 3 {
                socket.ping(number.into_bytes()).expect("sent");
            }
        }
        socket.close(CloseCode::NORMAL, "").expect("closed");
        peer.finish();
    });
}

#[test]
fn a_reader_hears_of_what_others_do() {
    // SPEC W12, W13: while one thread waits, others send, and then close.
    both(|connect| {
        let peer = ws::echo();
        let socket = connect(&peer);
        let reader = {
            let socket = socket.clone();
            thread::spawn(move || {
                let mut received = Vec::new();
                while let Some(text) = socket.recv_text().expect("no error") {
                    received.push(text.to_string());
                }
                received
            })
        };
        let senders: Vec<_> = (0..4)
            .map(|sender| {
                let socket = socket.clone();
                thread::spawn(move || {
                    for n in 0..100 {
                        socket.send_text(format!("{sender} {n:02}")).expect("sent");
                    }
                })
            })
            .collect();
        for sender in senders {
            sender.join().expect("no panic");
        }
        socket.close(CloseCode::NORMAL, "").expect("closed");
        let mut received = reader.join().expect("no panic");
        received.sort();
        let wanted = (0..4).flat_map(|sender| (0..100).map(move |n| format!("{sender} {n:02}")));
        assert_eq!(received, wanted.collect::<Vec<_>>());
        peer.finish();
    });
}

#[test]
fn waits_here_and_elsewhere_take_turns() {
    // SPEC W3, W12: blocking, started, tried, with a limit that passes, on one WebSocket.
    both(|connect| {
        let peer = ws::echo();
        let socket = connect(&peer);
        for round in 0..30 {
            let sent = format!("round {round}");
            let received = match round % 5 {
                0 => {
                    socket.send_text(&*sent).expect("sent");
                    socket.recv()
                }
                1 => {
                    let waiting = socket.start_recv();
                    socket.send_text(&*sent).expect("sent");
                    waiting.wait()
                }
                2 => {
                    let mut waiting = socket.start_recv();
                    assert!(waiting.try_take().is_none());
                    socket.start_send(&*sent).wait().expect("sent");
                    let start = Instant::now();
                    loop {
                        if let Some(received) = waiting.try_take() {
                            break received;
                        }
                        assert!(start.elapsed() < WATCHDOG, "it never came");
                        thread::yield_now();
                    }
                }
                3 => {
                    socket.send_text(&*sent).expect("sent");
                    let start = Instant::now();
                    loop {
                        match socket.recv_timeout(Duration::ZERO) {
                            Err(error) if error.timeout() == Some(Timeout::WsReceive) => {}
                            other => break other,
                        }
                        assert!(start.elapsed() < WATCHDOG, "it never came");
                    }
                }
                _ => {
                    let late = socket.recv_timeout(Duration::from_millis(1));
                    let late = late.expect_err("nothing was sent");
                    assert_eq!(late.timeout(), Some(Timeout::WsReceive));
                    socket.send_text(&*sent).expect("sent");
                    socket.recv_timeout(WATCHDOG)
                }
            };
            assert_eq!(text_of(received.expect("a message")), sent);
        }
        socket.close(CloseCode::NORMAL, "").expect("closed");
        peer.finish();
    });
}

#[test]
fn many_wait_on_one_thread_and_others_on_their_own() {
    // SPEC W12
    both(|connect| {
        let peer = ws::echo();
        let sockets: Vec<_> = (0..10).map(|_| connect(&peer)).collect();
        for round in 0..5 {
            for socket in &sockets {
                socket.send_text(format!("{round}")).expect("sent");
            }
            let own = sockets[5..].iter().map(|socket| {
                let socket = socket.clone();
                thread::spawn(move || text_of(socket.recv().expect("a message")))
            });
            let own: Vec<_> = own.collect();
            for received in wait_all(sockets[..5].iter().map(WebSocket::start_recv)) {
                assert_eq!(text_of(received.expect("a message")), round.to_string());
            }
            for thread in own {
                assert_eq!(thread.join().expect("no panic"), round.to_string());
            }
        }
        for socket in &sockets {
            socket.close(CloseCode::NORMAL, "").expect("closed");
        }
        peer.finish();
    });
}

#[test]
fn what_is_larger_than_all_buffers_goes_both_ways_at_once() {
    // SPEC W10: the server sends back while it still receives.
    both(|connect| {
        let peer = ws::echo();
        let socket = connect(&peer);
        let large = "0123456789abcdef".repeat(1 << 16);
        for _ in 0..2 {
            for part in [1, 3, 64, 1024, 1 << 14, 1 << 16] {
                socket.send_text(&large[..16 * part]).expect("sent");
            }
            for part in [1, 3, 64, 1024, 1 << 14, 1 << 16] {
                let text = text_of(socket.recv().expect("a message"));
                assert!(text == large[..16 * part], "{} bytes", text.len());
            }
        }
        socket.close(CloseCode::NORMAL, "").expect("closed");
        peer.finish();
    });
}

#[test]
fn a_lost_connection_and_a_closed_connector_end_the_wait() {
    // SPEC W13, C7
    both(|connect| {
        let peer = ws::start(Handshake::new(), |ws| {
            ws.send(Frame::text("that was all"))?;
            ws.text().map(drop)
        });
        let socket = connect(&peer);
        assert_eq!(text_of(socket.recv().expect("a message")), "that was all");
        socket.send_text("bye").expect("sent");
        let lost = socket.recv().expect_err("it is gone");
        assert!(lost.is_connection(), "{lost:#}");
        assert_eq!(socket.close_code(), Some(CloseCode::ABNORMAL));
        peer.finish();
    });
    for caller_drives in [true, false] {
        let peer = ws::start(Handshake::new(), |ws| ws.conn.wait_for_close().map(drop));
        let connector = Connector::builder().caller_drives(caller_drives).build();
        let session = Session::builder().connector(connector.clone()).build();
        let socket = session
            .ws_connect(ws::url(&peer, "/"))
            .connect()
            .expect("a WebSocket");
        let waiting = socket.clone();
        let waiting = thread::spawn(move || waiting.recv().map(drop));
        // It waits by then, or finds it closed: the same comes of it.
        thread::yield_now();
        connector.close();
        let closed = waiting.join().expect("no panic").expect_err("it is closed");
        assert_eq!(closed.kind(), Kind::Closed, "{closed:#}");
        assert_eq!(connector.stats().in_use, 0);
        peer.finish();
    }
}

#[cfg(feature = "tls")]
#[test]
fn what_tls_has_read_already_is_not_waited_for() {
    // SPEC W10: many messages in one record, and one in many.
    use support::{TlsOptions, tls::ca_pem};

    let tls = miohttp::TlsConfig::new();
    let tls = tls.add_root_pem(ca_pem().as_bytes()).expect("good PEM");
    for caller_drives in [true, false] {
        let peer = ws::start_tls(TlsOptions::default(), Handshake::new(), |ws| {
            ws.send_all(&texts(0..1000))?;
            let last = ws.message()?;
            ws.send(Frame::text(last.payload))?;
            ws.answer_close().map(drop)
        });
        let connector = Connector::builder()
            .caller_drives(caller_drives)
            .tls(tls.clone());
        let session = Session::builder().connector(connector.build()).build();
        let socket = session
            .ws_connect(ws::url(&peer, "/"))
            .connect()
            .expect("a WebSocket");
        for n in 0..1000 {
            assert_eq!(text_of(socket.recv().expect("a message")), n.to_string());
        }
        let large = "x".repeat(1 << 20);
        socket.send_text(&*large).expect("sent");
        assert!(text_of(socket.recv().expect("a message")) == large);
        socket.close(CloseCode::NORMAL, "").expect("closed");
        peer.finish();
    }
}

/// Says goodbye when its thread ends.
struct Farewell(WebSocket);

impl Drop for Farewell {
    fn drop(&mut self) {
        self.0.send_text("goodbye").expect("it can still be sent");
    }
}

thread_local! {
    static FAREWELL: RefCell<Option<Farewell>> = const { RefCell::new(None) };
}

#[test]
fn a_thread_sends_while_it_ends() {
    // SPEC W11: whatever of its own is gone by then.
    both(|connect| {
        let peer = ws::echo();
        let socket = connect(&peer);
        let sender = socket.clone();
        let ending = thread::spawn(move || {
            // Registered first, it goes last.
            FAREWELL.set(Some(Farewell(sender.clone())));
            sender.send_text("hello").expect("sent");
            assert_eq!(text_of(sender.recv().expect("a message")), "hello");
        });
        ending.join().expect("no panic");
        assert_eq!(text_of(socket.recv().expect("a message")), "goodbye");
        socket.close(CloseCode::NORMAL, "").expect("closed");
        peer.finish();
    });
}
