//! WebSockets under load and in use: who is too slow on either side, floods and bombs,
//! many threads at once, and everything that is ended while something waits. Where
//! memory is counted it is that of a process that does nothing else.
#![cfg(feature = "websocket")]

mod support;

use std::io::{self, Write};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{env, fs};

use miohttp::{
    CancelHandle, CloseCode, Connector, Error, Kind, Message, Pending, PerMessageDeflate, Session,
    Timeout, WebSocket, WebSocketBuilder,
};
use socket2::SockRef;
use support::ws::{self, Deflate, Frame, Handshake};
use support::{Gate, Peer, WATCHDOG};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

const SHORT: Duration = Duration::from_millis(150);

fn builder(peer: &Peer) -> WebSocketBuilder {
    Session::new().ws_connect(ws::url(peer, "/"))
}

fn connect(peer: &Peer) -> WebSocket {
    builder(peer).connect().expect("a WebSocket")
}

#[track_caller]
fn until(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < WATCHDOG, "never came about: {what}");
        thread::yield_now();
    }
}

/// Runs the test of this name in a process of its own, and there `body`, which may
/// have the process grow by `most` bytes.
fn alone(name: &str, most: usize, body: fn()) {
    const INSIDE: &str = "MIOHTTP_ALONE";
    if env::var_os(INSIDE).is_some() {
        // So that the code itself is in memory, which counts too.
        let peer = ws::echo();
        let socket = connect(&peer);
        socket.send(vec![0; MIB]).expect("sent");
        socket.recv().expect("answered");
        socket.close(CloseCode::NORMAL, "").expect("closed");
        peer.finish();
        let before = memory("VmRSS:");
        body();
        if let (Some(before), Some(peak)) = (before, memory("VmHWM:")) {
            let grown = peak.saturating_sub(before);
            println!("grown by {} KiB", grown / KIB);
            assert!(grown < most, "grown by {} KiB", grown / KIB);
        }
        return;
    }
    let done = Command::new(env::current_exe().expect("a program"))
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&done.stdout);
    let wrong = String::from_utf8_lossy(&done.stderr);
    println!("{said}");
    assert!(done.status.success(), "{said}\n{wrong}");
    assert!(said.contains("1 passed"), "it ran: {said}");
}

/// Of this process, in bytes; Linux tells.
fn memory(name: &str) -> Option<usize> {
    let status = match fs::read_to_string("/proc/self/status") {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        status => status.expect("it can be read"),
    };
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.expect("a number").trim().trim_end_matches(" kB");
    Some(kib.parse::<usize>().expect("a number") * KIB)
}

/// A server that writes `bytes` again and again until nothing has moved for a while,
/// says how often it did, and then whether the rest went out as well: as soon as the
/// client takes some.
fn floods(bytes: Vec<u8>, told: mpsc::Sender<usize>) -> Peer {
    ws::start(Handshake::new(), move |ws| {
        let mut socket = ws.conn.socket()?.try_clone()?;
        SockRef::from(&socket).set_send_buffer_size(64 * KIB)?;
        socket.set_write_timeout(Some(Duration::from_millis(500)))?;
        let mut times = 0;
        let mut rest = &bytes[..];
        loop {
            match socket.write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
            if rest.is_empty() {
                rest = &bytes;
                times += 1;
            }
        }
        // What has begun goes out whole.
        socket.set_write_timeout(Some(WATCHDOG))?;
        told.send(times + usize::from(rest.len() < bytes.len()))
            .expect("somebody listens");
        if rest.len() < bytes.len() {
            socket.write_all(rest)?;
        }
        ws.close(1000, "")
    })
}

#[test]
fn a_reader_that_is_too_slow_holds_up_the_server() {
    // SPEC W12: in bounded memory, and nothing is lost.
    alone(
        "a_reader_that_is_too_slow_holds_up_the_server",
        8 * MIB,
        || {
            for length in [10, 1000, 100 * KIB] {
                let (told, tells) = mpsc::channel();
                let frame = Frame::binary(vec![7; length]).bytes();
                // In pieces that are worth a call.
                let many = (64 * KIB / frame.len()).max(1);
                let peer = floods(frame.repeat(many), told);
                // A beat that stands still while reading does (SPEC W5).
                let asking = builder(&peer).heartbeat(Duration::from_millis(200));
                let socket = asking.connect().expect("a WebSocket");
                let frames = tells.recv_timeout(WATCHDOG).expect("it is held up") * many;
                let bytes = frames * frame.len();
                println!("{frames} frames of {length} bytes are on their way");
                // Most of that waits in the kernel's buffers.
                assert!(bytes < 16 * MIB, "{bytes} bytes were taken");
                let mut count = 0;
                while let Some(message) = socket.recv().expect("a message") {
                    assert_eq!(message.len(), length);
                    count += 1;
                }
                assert_eq!(count, frames);
                assert_eq!(socket.close_code(), Some(CloseCode::NORMAL));
                peer.finish();
            }
        },
    );
}

#[test]
fn a_server_that_is_too_slow_holds_up_the_sender() {
    // SPEC W11: what did not go in time is not sent, and never in part.
    alone(
        "a_server_that_is_too_slow_holds_up_the_sender",
        8 * MIB,
        || {
            for length in [10, 100 * KIB] {
                let gate = Gate::new();
                let (open, (told, tells)) = (gate.clone(), mpsc::channel());
                let peer = ws::start(Handshake::new(), move |ws| {
                    open.wait();
                    // How many, and all their numbers.
                    let (mut count, mut sum, mut last) = (0_u64, 0_u64, None);
                    loop {
                        let frame = ws.frame()?;
                        if frame.opcode == ws::CLOSE {
                            ws.send(Frame::close(1000, ""))?;
                            told.send((count, sum)).expect("somebody listens");
                            return Ok(());
                        }
                        assert_eq!(frame.payload.len(), length);
                        let number = frame.payload[..8].try_into().expect("eight bytes");
                        let number = u64::from_be_bytes(number);
                        assert!(last.replace(number) < Some(number), "{number} is late");
                        (count, sum) = (count + 1, sum.wrapping_add(number));
                    }
                });
                let socket = connect(&peer);
                let mut payload = vec![0; length];
                let (mut count, mut sum) = (0_u64, 0_u64);
                let mut refused = 0;
                for number in 0_u64.. {
                    payload[..8].copy_from_slice(&number.to_be_bytes());
                    let start = Instant::now();
                    match socket.send_timeout(&payload[..], SHORT) {
                        Ok(()) => (count, sum) = (count + 1, sum.wrapping_add(number)),
                        Err(error) => {
                            assert_eq!(error.timeout(), Some(Timeout::WsSend), "{error:#}");
                            assert!(start.elapsed() >= SHORT);
                            refused += 1;
                        }
                    }
                    // The kernel's buffers may grow in between.
                    if refused == 3 {
                        break;
                    }
                }
                println!("{count} messages of {length} bytes are on their way");
                assert!(count as usize * length < 32 * MIB, "{count} messages");
                assert!(socket.exception().is_none());
                gate.open();
                let after = socket.start_send(vec![0xff; length]);
                after.wait().expect("there is room again");
                (count, sum) = (count + 1, sum.wrapping_add(u64::MAX));
                assert!(socket.close(CloseCode::NORMAL, "").expect("a good code"));
                assert_eq!(tells.recv_timeout(WATCHDOG), Ok((count, sum)));
                peer.finish();
            }
        },
    );
}

#[test]
fn both_ways_may_be_stuck_at_once() {
    // SPEC W11, W12: two that send and do not read, until this side reads.
    let (told, tells) = mpsc::channel();
    let peer = ws::start(Handshake::new(), move |ws| {
        let frame = Frame::binary(vec![1; 64 * KIB]).bytes();
        for _ in 0..400 {
            ws.conn.write(&frame)?;
        }
        let mut count = 0;
        while ws.frame()?.opcode == ws::BINARY {
            count += 1;
        }
        told.send(count).expect("somebody listens");
        ws.send(Frame::close(1000, ""))
    });
    let socket = connect(&peer);
    let sender = socket.clone();
    let sending = thread::spawn(move || {
        for _ in 0..400 {
            sender.send(vec![2; 64 * KIB]).expect("sent at last");
        }
        sender.close(CloseCode::NORMAL, "").expect("a good code")
    });
    let mut count = 0;
    while let Some(message) = socket.recv().expect("a message") {
        assert_eq!(message.len(), 64 * KIB);
        count += 1;
    }
    assert_eq!(count, 400);
    assert!(sending.join().expect("it does not panic"));
    assert_eq!(tells.recv_timeout(WATCHDOG), Ok(400));
    peer.finish();
}

#[test]
fn a_flood_of_pings_costs_no_memory() {
    // SPEC W4: nobody receives, and the server does not read what it is answered.
    alone("a_flood_of_pings_costs_no_memory", 8 * MIB, || {
        const PINGS: usize = 300_000;
        let peer = ws::start(Handshake::new(), |ws| {
            let block: Vec<u8> = (0..1000)
                .flat_map(|number| Frame::ping(format!("{number:0125}")).bytes())
                .collect();
            for _ in 0..PINGS / 1000 {
                ws.conn.write(&block)?;
            }
            ws.send_all(&[Frame::ping("last"), Frame::text("still there?")])?;
            let mut pongs = 0;
            loop {
                let frame = ws.frame()?;
                if frame.opcode == ws::TEXT {
                    break;
                }
                assert_eq!(frame.opcode, ws::PONG);
                pongs += 1;
                // Whatever is left out, the last one is not.
                if frame.payload == b"last" {
                    ws.send(Frame::text("answered"))?;
                }
            }
            println!("{pongs} pongs");
            assert!((1..=PINGS + 1).contains(&pongs));
            ws.answer_close().map(drop)
        });
        let socket = connect(&peer);
        let text = |text: &str| Some(Message::from(text));
        assert_eq!(socket.recv().expect("a message"), text("still there?"));
        assert_eq!(socket.recv().expect("a message"), text("answered"));
        socket.send("yes").expect("it is open");
        assert!(socket.close(CloseCode::NORMAL, "").expect("a good code"));
        peer.finish();
    });
}

#[test]
fn pings_that_are_shown_hold_up_the_server() {
    // SPEC W4
    alone("pings_that_are_shown_hold_up_the_server", 8 * MIB, || {
        let (told, tells) = mpsc::channel();
        let frame = Frame::ping([b'p'; 20]).bytes();
        let peer = floods(frame.repeat(1000), told);
        let socket = builder(&peer).autoping(false).connect();
        let socket = socket.expect("a WebSocket");
        let pings = tells.recv_timeout(WATCHDOG).expect("it is held up") * 1000;
        assert!(pings * frame.len() < 16 * MIB, "{pings} pings were taken");
        let mut count = 0;
        while let Some(message) = socket.recv().expect("a message") {
            assert!(message.is_ping());
            count += 1;
        }
        assert_eq!(count, pings);
        peer.finish();
    });
}

#[test]
fn what_is_announced_is_not_set_aside() {
    // SPEC W8: without a limit, and far more than there is.
    alone("what_is_announced_is_not_set_aside", 8 * MIB, || {
        for length in [1 << 32, 1 << 62, (1 << 63) - 1] {
            let peer = ws::start(Handshake::new(), move |ws| {
                ws.conn.write(Frame::binary("").head(length))?;
                ws.conn.write([1; 1000])?;
                assert_eq!(ws.text()?, "and?");
                ws.conn.close();
                Ok(())
            });
            let socket = builder(&peer).max_message_size(0).connect();
            let socket = socket.expect("a WebSocket");
            let error = socket.recv_timeout(SHORT).expect_err("it is not whole");
            assert_eq!(error.timeout(), Some(Timeout::WsReceive), "{error:#}");
            socket.send("and?").expect("it is open");
            let error = socket.recv().expect_err("it never will be");
            assert!(error.is_connection(), "{error:#}");
            assert_eq!(socket.close_code(), Some(CloseCode::ABNORMAL));
            peer.finish();
        }
    });
}

#[test]
fn empty_fragments_cost_nothing() {
    // SPEC W8, W12
    alone("empty_fragments_cost_nothing", 8 * MIB, || {
        const BLOCKS: usize = 100;
        let peer = ws::start(Handshake::new(), |ws| {
            ws.send(Frame::text("a").part())?;
            let block = Frame::continuation("").part().bytes().repeat(10_000);
            for _ in 0..BLOCKS {
                ws.conn.write(&block)?;
            }
            ws.send(Frame::continuation("b"))?;
            ws.close(1000, "")
        });
        let socket = connect(&peer);
        assert_eq!(socket.recv().expect("a message"), Some("ab".into()));
        assert_eq!(socket.recv().expect("the end"), None);
        peer.finish();
    });
}

/// Zeros by the MiB, as one message.
fn bomb(mib: usize) -> Vec<u8> {
    // Each MiB refers to nothing before it, and ends with what is taken off the last.
    let mut bytes = Deflate::new((15, false), (15, false)).compress(&vec![0; MIB]);
    bytes.extend([0, 0, 0xff, 0xff]);
    let mut bytes = bytes.repeat(mib);
    bytes.truncate(bytes.len() - 4);
    bytes
}

#[test]
fn a_bomb_is_stopped_at_the_limit() {
    // SPEC W8: 1009, and not much beyond the limit was ever there.
    alone("a_bomb_is_stopped_at_the_limit", 24 * MIB, || {
        let agreed = || Handshake::new().extensions("permessage-deflate");
        let bytes = bomb(512);
        println!("{} bytes mean 512 MiB", bytes.len());
        let parts: Vec<_> = bytes
            .chunks(1000)
            .enumerate()
            .map(|(number, part)| match number {
                0 => Frame::binary(part).rsv(4).part(),
                _ => Frame::continuation(part).part(),
            })
            .flat_map(|frame| frame.bytes())
            .collect();
        let whole = Frame::binary(&bytes).rsv(4).bytes();
        drop(bytes);
        for bytes in [whole, parts] {
            let peer = ws::start(agreed(), move |ws| {
                // It may be told before it has sent all.
                let _ = ws.conn.write(&bytes);
                let said = ws.read_close()?;
                assert_eq!(said.map(|(code, _)| code), Some(1009));
                ws.conn.wait_for_close().map(drop)
            });
            let socket = builder(&peer).compress(PerMessageDeflate::new());
            let socket = socket.connect().expect("a WebSocket");
            let error = socket.recv().expect_err("too much");
            assert!(error.is_websocket(), "{error:#}");
            assert_eq!(socket.close_code(), Some(CloseCode::TOO_BIG));
            peer.finish();
        }
    });
}

#[test]
fn twenty_threads_send_at_once() {
    // SPEC W11: each message whole, and each thread's in its order.
    for deflate in [None, Some(PerMessageDeflate::new().threshold(0))] {
        let handshake = match deflate {
            None => Handshake::new(),
            Some(_) => Handshake::new().extensions("permessage-deflate"),
        };
        let peer = ws::start(handshake, |ws| {
            let mut inflate = Deflate::new((15, true), (15, true));
            let mut next = [0; 20];
            loop {
                let frame = ws.message()?;
                if frame.opcode == ws::CLOSE {
                    ws.send(Frame::close(1000, ""))?;
                    break;
                }
                let payload = match frame.rsv {
                    0 => frame.payload,
                    _ => inflate.decompress(&frame.payload).expect("it is right"),
                };
                let text = String::from_utf8(payload).expect("a text");
                let mut words = text.split(' ');
                let mut number = || words.next().and_then(|n| n.parse().ok());
                let (Some(of), Some(count)) = (number(), number()) else {
                    panic!("{text} is not what was sent");
                };
                let of: usize = of;
                assert_eq!(count, next[of], "of thread {of}");
                assert_eq!(words.next(), Some(&*"x".repeat(count * 37 % 3000)));
                next[of] += 1;
            }
            assert_eq!(next, [200; 20]);
            Ok(())
        });
        let socket = builder(&peer).compress(deflate).connect();
        let socket = socket.expect("a WebSocket");
        let together = Barrier::new(20);
        thread::scope(|scope| {
            for of in 0..20 {
                let (socket, together) = (&socket, &together);
                scope.spawn(move || {
                    together.wait();
                    for count in 0..200 {
                        let filling = "x".repeat(count * 37 % 3000);
                        let text = format!("{of} {count} {filling}");
                        match count % 3 {
                            0 => socket.start_send(text).wait(),
                            _ => socket.send(text),
                        }
                        .expect("it is open");
                    }
                });
            }
        });
        assert!(socket.close(CloseCode::NORMAL, "").expect("a good code"));
        peer.finish();
    }
}

/// Fills everything up to a server that reads nothing, so that the next one waits.
fn fill(socket: &WebSocket) {
    let mut refused = 0;
    while refused < 2 {
        match socket.send_timeout(vec![0; 64 * KIB], Duration::from_millis(100)) {
            Ok(()) => {}
            Err(error) => {
                assert_eq!(error.timeout(), Some(Timeout::WsSend), "{error:#}");
                refused += 1;
            }
        }
    }
}

/// Reads nothing until the end.
fn deaf(gate: &Gate) -> Peer {
    let gate = gate.clone();
    ws::start(Handshake::new(), move |ws| {
        gate.wait();
        ws.conn.wait_for_close().map(drop)
    })
}

#[test]
fn closing_frees_senders_that_are_blocked() {
    // SPEC W2, W14
    let gate = Gate::new();
    let peer = deaf(&gate);
    let socket = builder(&peer).close_timeout(SHORT).connect();
    let socket = socket.expect("a WebSocket");
    fill(&socket);
    let waiting = AtomicUsize::new(0);
    thread::scope(|scope| {
        let senders: Vec<_> = (0..5)
            .map(|_| {
                scope.spawn(|| {
                    waiting.fetch_add(1, Ordering::SeqCst);
                    socket.send(vec![0; 64 * KIB])
                })
            })
            .collect();
        until("all of them send", || waiting.load(Ordering::SeqCst) == 5);
        let start = Instant::now();
        assert!(!socket.close(CloseCode::NORMAL, "").expect("a good code"));
        let taken = start.elapsed();
        assert!(taken >= SHORT && taken < WATCHDOG / 4, "{taken:?}");
        for sender in senders {
            let error = sender.join().expect("no panic").expect_err("it is closed");
            assert_eq!(error.kind(), Kind::Closed, "{error:#}");
        }
    });
    assert_eq!(socket.close_code(), Some(CloseCode::ABNORMAL));
    gate.open();
    peer.wait_for_ends(1);
}

/// Something that a thread waits for, with a handle to cancel it by.
type Waiting = (CancelHandle, JoinHandle<Result<(), Error>>);

/// One of the verbs.
type Verb = (&'static str, fn(&WebSocket) -> Waiting);

fn waiting<T: Send + 'static>(pending: Pending<T>) -> Waiting {
    let handle = pending.cancel_handle();
    (handle, thread::spawn(move || pending.wait().map(drop)))
}

#[test]
fn every_verb_can_be_cancelled() {
    // SPEC W10, W15
    let verbs: [Verb; 3] = [
        ("a receiver", |socket| waiting(socket.start_recv())),
        ("a sender", |socket| {
            fill(socket);
            waiting(socket.start_send(vec![0; 64 * KIB]))
        }),
        ("one that closes", |socket| {
            waiting(socket.start_close(CloseCode::NORMAL, ""))
        }),
    ];
    for (what, verb) in verbs {
        for by_socket in [true, false] {
            println!("{what}");
            let gate = Gate::new();
            let peer = deaf(&gate);
            let session = Session::new();
            let socket = session.ws_connect(ws::url(&peer, "/")).connect();
            let socket = socket.expect("a WebSocket");
            let (handle, waiting) = verb(&socket);
            match by_socket {
                true => socket.cancel_handle().cancel(),
                false => handle.cancel(),
            }
            let start = Instant::now();
            let outcome = waiting.join().expect("no panic");
            assert!(start.elapsed() < WATCHDOG / 4, "{what}");
            match (what, outcome) {
                // It says whether it closed, and that is all.
                ("one that closes", Ok(())) => {}
                ("a sender", Err(error)) => assert!(
                    matches!(error.kind(), Kind::Closed | Kind::Cancelled),
                    "{error:#}"
                ),
                (_, outcome) => {
                    let error = outcome.expect_err("it was cancelled");
                    assert_eq!(error.kind(), Kind::Cancelled, "{what}: {error:#}");
                }
            }
            until("it is told", || socket.close_code().is_some());
            assert_eq!(socket.close_code(), Some(CloseCode::ABNORMAL), "{what}");
            assert!(socket.is_closed());
            until("the slot is free", || {
                session.connector().stats().in_use == 0
            });
            gate.open();
            peer.wait_for_ends(1);
        }
    }
}

#[test]
fn connecting_can_be_cancelled() {
    // SPEC W6
    let gate = Gate::new();
    let open = gate.clone();
    let peer = Peer::start(move |conn| {
        conn.request()?;
        open.wait();
        conn.wait_for_close().map(drop)
    });
    let session = Session::new();
    let pending = session.ws_connect(ws::url(&peer, "/")).start_connect();
    let handle = pending.cancel_handle();
    peer.wait_for_requests(1);
    handle.cancel();
    let error = pending.wait().expect_err("it was cancelled");
    assert_eq!(error.kind(), Kind::Cancelled, "{error:#}");
    // Dropped, it is no less.
    let pending = session.ws_connect(ws::url(&peer, "/")).start_connect();
    peer.wait_for_requests(2);
    drop(pending);
    // And by its limit.
    let late = session.ws_connect(ws::url(&peer, "/")).timeout(SHORT);
    let error = late.connect().expect_err("nobody answers");
    assert_eq!(error.timeout(), Some(Timeout::Total), "{error:#}");
    until("the slots are free", || {
        session.connector().stats().in_use == 0
    });
    gate.open();
    peer.wait_for_ends(3);
}

#[test]
fn dropping_what_waits_loses_nothing() {
    // SPEC W11, W12
    let peer = ws::echo();
    let socket = connect(&peer);
    for number in 0..50 {
        drop(socket.start_recv());
        let sent = format!("message {number}");
        socket.send(&sent).expect("it is open");
        let receiving = socket.start_recv();
        if number % 2 == 0 {
            drop(receiving);
            assert_eq!(socket.recv().expect("it is open"), Some(sent.into()));
        } else {
            assert_eq!(receiving.wait().expect("it is open"), Some(sent.into()));
        }
    }
    // A second one at the same time is a mistake of the program's.
    let first = socket.start_recv();
    let error = socket.recv().expect_err("somebody receives");
    assert_eq!(error.kind(), Kind::InvalidRequest, "{error:#}");
    drop(first);
    assert!(socket.close(CloseCode::NORMAL, "").expect("a good code"));
    peer.finish();
}

#[test]
fn a_connector_that_is_closed_ends_its_sockets() {
    // SPEC W15, C6
    let gate = Gate::new();
    let peer = deaf(&gate);
    let connector = Connector::builder().build();
    let session = Session::builder().connector(connector.clone()).build();
    let sockets: Vec<_> = (0..3)
        .map(|_| {
            let socket = session.ws_connect(ws::url(&peer, "/")).connect();
            socket.expect("a WebSocket")
        })
        .collect();
    fill(&sockets[1]);
    let receiving = sockets[0].start_recv();
    let sending = sockets[1].start_send(vec![0; 64 * KIB]);
    let waits = thread::spawn(move || (receiving.wait(), sending.wait()));
    connector.close();
    let (received, sent) = waits.join().expect("no panic");
    let error = received.expect_err("it is closed");
    assert_eq!(error.kind(), Kind::Closed, "{error:#}");
    let error = sent.expect_err("it is closed");
    assert_eq!(error.kind(), Kind::Closed, "{error:#}");
    for socket in &sockets {
        until("it is told", || socket.close_code().is_some());
        assert_eq!(socket.close_code(), Some(CloseCode::ABNORMAL));
        assert!(!socket.close(CloseCode::NORMAL, "").expect("a good code"));
    }
    let error = sockets[2].recv().expect_err("it is closed");
    assert_eq!(error.kind(), Kind::Closed, "{error:#}");
    gate.open();
    peer.wait_for_ends(3);
}

#[test]
fn a_socket_outlives_its_session() {
    // SPEC W10
    let peer = ws::echo();
    let session = Session::new();
    let socket = session.ws_connect(ws::url(&peer, "/")).connect();
    let socket = socket.expect("a WebSocket");
    drop(session);
    socket.send("still here").expect("it is open");
    assert_eq!(
        socket.recv().expect("it is open"),
        Some("still here".into())
    );
    assert!(socket.close(CloseCode::NORMAL, "").expect("a good code"));
    peer.finish();
}

#[test]
fn dropping_the_last_handle_says_goodbye() {
    // SPEC W14
    let (told, tells) = mpsc::channel();
    let peer = ws::start(Handshake::new(), move |ws| {
        assert_eq!(ws.text()?, "sent before");
        told.send(ws.answer_close()?).expect("somebody listens");
        Ok(())
    });
    let socket = connect(&peer);
    let other = socket.clone();
    socket.send("sent before").expect("it is open");
    drop(socket);
    assert!(tells.try_recv().is_err());
    assert!(!other.is_closed());
    drop(other);
    let said = tells.recv_timeout(WATCHDOG).expect("a goodbye");
    assert_eq!(said.map(|(code, _)| code), Some(1001));
    peer.finish();
}

#[test]
fn an_open_socket_holds_its_slot() {
    // SPEC C6, W15
    let peer = ws::echo();
    let connector = Connector::builder().limit(1).build();
    let session = Session::builder().connector(connector).build();
    let url = ws::url(&peer, "/");
    let first = session.ws_connect(&url).connect().expect("a WebSocket");
    let late = session.ws_connect(&url).timeout(SHORT).connect();
    let error = late.expect_err("there is no slot");
    assert!(error.is_timeout(), "{error:#}");
    let waiting = session.ws_connect(&url).start_connect();
    assert!(first.close(CloseCode::NORMAL, "").expect("a good code"));
    // The server has closed its end, so this one is gone at once.
    let second = waiting.wait().expect("a slot");
    second.send("hello").expect("it is open");
    assert_eq!(second.recv().expect("it is open"), Some("hello".into()));
    drop(second);
    until("the slot is free", || {
        session.connector().stats().in_use == 0
    });
    peer.finish();
}

#[test]
fn one_that_sends_and_one_that_receives_do_not_wait_for_each_other() {
    // SPEC W11, W12
    let peer = ws::echo();
    let socket = connect(&peer);
    let count = Arc::new(AtomicUsize::new(0));
    let (receiver, counted) = (socket.clone(), Arc::clone(&count));
    let receiving = thread::spawn(move || {
        while let Some(message) = receiver.recv().expect("a message") {
            assert_eq!(message.len(), counted.fetch_add(1, Ordering::SeqCst) % 5000);
        }
    });
    for number in 0..5000 {
        socket.send(vec![1; number]).expect("it is open");
    }
    until("all came back", || count.load(Ordering::SeqCst) == 5000);
    assert!(socket.close(CloseCode::NORMAL, "").expect("a good code"));
    receiving.join().expect("no panic");
    peer.finish();
}

#[test]
#[cfg(feature = "tls")]
fn tls_within_tls_leaves_nothing_lying() {
    // SPEC W6, X2
    use support::{Proxy, TlsOptions, tls::ca_pem};

    let tls = miohttp::TlsConfig::new();
    let tls = tls.add_root_pem(ca_pem().as_bytes()).expect("good PEM");
    let connector = Connector::builder().tls(tls.clone()).build();
    let session = Session::builder().connector(connector).build();
    let proxy = Proxy::start_tls(TlsOptions::default());
    let via = miohttp::Proxy::all(proxy.url("https"))
        .expect("a URL")
        .tls(&tls);
    for secure in [false, true] {
        let script = |ws: &mut ws::Ws<'_>| ws.echo();
        let peer = match secure {
            true => ws::start_tls(TlsOptions::default(), Handshake::new(), script),
            false => ws::start(Handshake::new(), script),
        };
        let asking = session.ws_connect(ws::url(&peer, "/")).proxy(via.clone());
        let socket = asking.connect().expect("a WebSocket");
        for length in [0, 126, 70_000, MIB, 10] {
            let sent = vec![7; length];
            socket.send(sent.clone()).expect("it is open");
            let back = socket.recv_bytes().expect("it is open").expect("a message");
            assert!(back == sent, "{} of {length} bytes", back.len());
        }
        assert!(socket.close(CloseCode::NORMAL, "").expect("a good code"));
        peer.finish();
    }
    // Not in absolute form, whether or not there is TLS within.
    assert!(
        proxy
            .asked()
            .iter()
            .all(|asked| asked.starts_with("CONNECT "))
    );
    assert_eq!(proxy.asked().len(), 2);
}
