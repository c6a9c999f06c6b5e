//! A blocked thread may drive its own connection, and nobody can tell: every
//! story here is told both ways, and ends the same.

mod support;

#[path = "leases/broken_off.rs"]
mod broken_off;
#[path = "leases/limits.rs"]
mod limits;
#[path = "leases/together.rs"]
mod together;

use std::fmt::Debug;
use std::io::Read;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use miohttp::{
    Connector, ConnectorBuilder, Error, Kind, Phase, Response, Session, Timeout, Timeouts,
};
use support::peer::Script;
use support::{Gate, Peer, PeerConn, WATCHDOG, head, ok};

/// Tells a story with the caller and with the reactor driving. Its outcome is
/// the same.
#[track_caller]
fn both<T: PartialEq + Debug>(story: impl Fn(ConnectorBuilder) -> T) -> T {
    let [caller, reactor] =
        [true, false].map(|drives| story(Connector::builder().caller_drives(drives)));
    assert_eq!(caller, reactor, "with the caller and with the reactor");
    caller
}

fn session_of(connector: &Connector) -> Session {
    Session::builder().connector(connector.clone()).build()
}

/// Waits for what happens in its own time.
#[track_caller]
fn until(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < WATCHDOG, "never came about: {what}");
        thread::yield_now();
    }
}

/// No slot is in use and nobody waits, at the latest soon; so many are idle.
#[track_caller]
fn at_rest(connector: &Connector) -> usize {
    until("every slot is free", || {
        let stats = connector.stats();
        (stats.in_use, stats.waiting) == (0, 0)
    });
    connector.stats().idle
}

/// A blocking call on a thread of its own, which may be asked to break it off.
struct Blocked<T> {
    thread: Option<String>,
    result: mpsc::Receiver<T>,
}

/// Begins such a call. `prepare` comes before it blocks and gives what it is to
/// block with.
fn blocked<R: Send + 'static, T: Send + 'static>(
    prepare: impl FnOnce() -> R + Send + 'static,
    block: impl FnOnce(R) -> T + Send + 'static,
) -> Blocked<T> {
    let (ready, begun) = mpsc::channel();
    let (sender, result) = mpsc::channel();
    thread::spawn(move || {
        let prepared = prepare();
        // The system's name for this thread, where it has one.
        let name = std::fs::read_link("/proc/thread-self").ok();
        let name = name.map(|path| format!("/proc/{}/stat", path.display()));
        let _ = ready.send(name);
        let _ = sender.send(block(prepared));
    });
    let thread = begun.recv_timeout(WATCHDOG).expect("it comes to block");
    Blocked { thread, result }
}

impl<T> Blocked<T> {
    /// Waits until the thread sleeps in its call, where that can be seen.
    #[track_caller]
    fn asleep(self) -> Self {
        if let Some(stat) = &self.thread {
            until("it sleeps", || {
                let stat = std::fs::read_to_string(stat).expect("the thread is there");
                stat.rsplit_once(") ")
                    .is_some_and(|(_, rest)| rest.starts_with('S'))
            });
        }
        self
    }

    #[track_caller]
    fn result(self) -> T {
        let result = self.result.recv_timeout(WATCHDOG);
        result.expect("it should not block any more")
    }
}

/// How a body is read by blocking.
type Read_ = fn(Response) -> Result<Vec<u8>, Error>;

const READS: [(&str, Read_); 4] = [
    ("bytes", |response| response.bytes().map(|all| all.to_vec())),
    ("chunk", |mut response| {
        let mut all = Vec::new();
        while let Some(chunk) = response.chunk()? {
            all.extend_from_slice(&chunk);
        }
        Ok(all)
    }),
    ("reader", |response| {
        let mut all = Vec::new();
        match response.into_reader().read_to_end(&mut all) {
            Ok(_) => Ok(all),
            Err(error) => Err(inner(error)),
        }
    }),
    ("copy_to", |response| {
        let mut all = Vec::new();
        response.copy_to(&mut all)?;
        Ok(all)
    }),
];

fn inner(error: std::io::Error) -> Error {
    let inner = error.into_inner().expect("an error of ours inside");
    *inner.downcast().expect("of this crate's type")
}

/// A peer whose bodies are as long as the path says.
fn sized() -> Peer {
    Peer::serve(|request| {
        let length = request.target[1..].parse().expect("a length");
        ok(vec![b'x'; length])
    })
}

#[test]
fn a_response_held_unread_gives_its_slot_to_whoever_waits() {
    // SPEC C3: a response that is held unread keeps its slot only as long as its
    // body does not fit what may be read ahead.
    for (length, fits) in [(1024, true), (100 * 1024, true), (4 << 20, false)] {
        both(|builder| {
            let peer = sized();
            let connector = builder.limit(1).build();
            let session = session_of(&connector);
            let held = session.get(peer.url(&format!("/{length}"))).send().unwrap();
            let limit = if fits {
                WATCHDOG
            } else {
                Duration::from_millis(300)
            };
            let second = session.get(peer.url("/1")).timeout(limit).send();
            match second {
                Ok(response) => {
                    assert!(fits, "{length} bytes wait somewhere");
                    assert_eq!(response.bytes().unwrap().len(), 1);
                }
                Err(error) => {
                    assert!(!fits, "{length}: {error:#}");
                    assert_eq!(error.timeout(), Some(Timeout::Total));
                    assert_eq!(error.phase(), Some(Phase::Total));
                }
            }
            assert_eq!(held.bytes().unwrap().len(), length);
            let last = session.get(peer.url("/2")).send().unwrap();
            assert_eq!(last.bytes().unwrap().len(), 2);
            assert_eq!(at_rest(&connector), 1);
            peer.connections()
        });
    }
}

/// The waiter was there first: whoever parks then gives way at once.
#[test]
fn a_waiter_is_served_while_the_other_goes_on_reading() {
    both(|builder| {
        let gate = Gate::new();
        let at = gate.clone();
        let peer = Peer::start(move |conn| {
            let long = conn.request()?.target == "/long";
            if long {
                conn.write(head("200 OK", &[("Content-Length", "20000")]))?;
                conn.write(vec![b'a'; 10_000])?;
                at.wait();
                conn.write(vec![b'b'; 10_000])?;
                conn.request()?;
            }
            conn.write(ok("next"))?;
            conn.wait_for_close().map(drop)
        });
        let connector = connector_of_one(builder);
        let session = session_of(&connector);
        let mut long = session.get(peer.url("/long")).send().unwrap();
        let waiting = session.get(peer.url("/next")).start_send();
        until("it waits", || connector.stats().waiting == 1);
        // Reads, and leaves it to lie; the rest comes while nobody reads.
        let first = long.chunk().unwrap().expect("a chunk");
        gate.open();
        assert_eq!(waiting.wait().unwrap().text().unwrap(), "next");
        let rest = long.bytes().unwrap();
        assert_eq!(first.len() + rest.len(), 20_000);
        at_rest(&connector)
    });
}

fn connector_of_one(builder: ConnectorBuilder) -> Connector {
    builder.limit(1).build()
}

#[test]
fn dropping_a_half_read_response_frees_its_slot() {
    // SPEC D12: a short rest is read for the connection's sake, a long one is not.
    for (length, kept) in [(40_000, 1), (4 << 20, 0)] {
        let idle = both(|builder| {
            let peer = sized();
            let connector = connector_of_one(builder);
            let session = session_of(&connector);
            let mut held = session.get(peer.url(&format!("/{length}"))).send().unwrap();
            assert!(held.chunk().unwrap().is_some());
            drop(held);
            let next = session.get(peer.url("/3")).send().unwrap();
            assert_eq!(next.is_reused(), kept == 1, "{length}");
            assert_eq!(next.bytes().unwrap().len(), 3);
            at_rest(&connector);
            // And with nobody behind it.
            let mut held = session.get(peer.url(&format!("/{length}"))).send().unwrap();
            assert!(held.chunk().unwrap().is_some());
            drop(held);
            at_rest(&connector)
        });
        assert_eq!(idle, kept, "{length}");
    }
}

/// Drivers change in the middle of a body, and not a byte is lost or doubled.
#[test]
fn a_body_is_read_in_every_mixture_of_drivers() {
    const LENGTH: usize = 3_000_000;
    let peer = Peer::serve(|_| {
        let body: Vec<u8> = (0..LENGTH).map(|at| (at % 251) as u8).collect();
        ok(body)
    });
    both(|builder| {
        let connector = connector_of_one(builder);
        let session = session_of(&connector);
        let want: Vec<u8> = (0..LENGTH).map(|at| (at % 251) as u8).collect();
        for started in [false, true] {
            // Where the driver changes, counted in chunks.
            for period in [1, 2, 5, usize::MAX] {
                let request = session.get(peer.url("/"));
                let mut response = if started {
                    request.start_send().wait().unwrap()
                } else {
                    request.send().unwrap()
                };
                let mut all = Vec::new();
                let mut turn = 0;
                loop {
                    let chunk = match turn / period % 2 {
                        0 => response.chunk(),
                        _ => response.start_chunk().wait(),
                    };
                    match chunk.unwrap() {
                        Some(chunk) => all.extend_from_slice(&chunk),
                        None => break,
                    }
                    turn += 1;
                    if turn == 12 {
                        break;
                    }
                }
                let rest = match period {
                    1 => response.start_bytes().wait().unwrap().to_vec(),
                    2 => READS[2].1(response).unwrap(),
                    _ => response.bytes().unwrap().to_vec(),
                };
                all.extend_from_slice(&rest);
                assert!(all == want, "started: {started}, {period}");
                at_rest(&connector);
            }
        }
        connector.stats().opened
    });
    assert_eq!(peer.connections(), 2);
}

/// With a future, too: polled by hand, between two blocking reads.
#[cfg(feature = "async")]
#[test]
fn a_future_goes_on_where_a_blocked_thread_left_off() {
    both(|builder| {
        let peer = sized();
        let connector = connector_of_one(builder);
        let session = session_of(&connector);
        let mut response = session.get(peer.url("/3000000")).send().unwrap();
        let mut length = response.chunk().unwrap().expect("a chunk").len();
        length += miohttp_block_on(response.start_chunk())
            .unwrap()
            .expect("a chunk")
            .len();
        length += response.chunk().unwrap().expect("a chunk").len();
        length += miohttp_block_on(response.start_bytes()).unwrap().len();
        assert_eq!(length, 3_000_000);
        at_rest(&connector)
    });
}

/// The smallest executor there is.
#[cfg(feature = "async")]
fn miohttp_block_on<F: Future>(future: F) -> F::Output {
    use std::sync::Arc;
    use std::task::{Context, Poll, Wake, Waker};
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = std::pin::pin!(future);
    let start = Instant::now();
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        assert!(start.elapsed() < WATCHDOG, "a future that is never woken");
        thread::park_timeout(WATCHDOG);
    }
}

#[test]
fn a_connection_changes_drivers_between_requests() {
    both(|builder| {
        let peer = sized();
        let connector = builder.build();
        let session = session_of(&connector);
        for turn in 0..12 {
            let request = session.get(peer.url(&format!("/{turn}")));
            let response = match turn % 3 {
                1 => request.start_send().wait(),
                _ => request.send(),
            };
            let response = response.unwrap();
            assert_eq!(response.is_reused(), turn > 0);
            let length = match turn % 2 {
                0 => response.bytes().unwrap().len(),
                _ => response.start_bytes().wait().unwrap().len(),
            };
            assert_eq!(length, turn);
        }
        assert_eq!(peer.connections(), 1);
        let stats = connector.stats();
        (stats.opened, stats.reused, at_rest(&connector))
    });
}

/// Bodies that nobody reads lie between the hops; some without an end.
#[test]
fn redirects_are_followed_past_their_bodies() {
    for length in [0, 10, 50_000, 10 << 20] {
        both(|builder| {
            let peer = Peer::start(move |conn| {
                while let Some(request) = conn.next_request()? {
                    let hop: usize = request.target[1..].parse().expect("a number");
                    if hop == 4 {
                        conn.write(ok("there"))?;
                        continue;
                    }
                    let location = format!("/{}", hop + 1);
                    let length = length.to_string();
                    conn.write(head(
                        "302 Found",
                        &[("Location", &location), ("Content-Length", &length)],
                    ))?;
                    let length: usize = length.parse().expect("a number");
                    for piece in vec![b'x'; length].chunks(1 << 16) {
                        // A client that has heard enough hangs up.
                        if conn.write(piece).is_err() {
                            return Ok(());
                        }
                    }
                }
                Ok(())
            });
            let connector = builder.limit(2).build();
            let session = session_of(&connector);
            let response = session.get(peer.url("/0")).send().unwrap();
            assert_eq!(response.history().len(), 4);
            assert_eq!(response.text().unwrap(), "there");
            at_rest(&connector);
            peer.request_count()
        });
    }
}

fn answer(conn: &mut PeerConn) -> std::io::Result<()> {
    while conn.next_request()?.is_some() {
        conn.write(ok("fine"))?;
    }
    Ok(())
}

#[test]
fn a_stale_connection_is_made_good() {
    // SPEC Y1, P4: whatever became of an idle connection, what may be sent again
    // is, and a connection that is known to be dead is not used.
    // Swallows the second request.
    let swallow = || -> Script {
        Box::new(|conn| {
            conn.request()?;
            conn.write(ok("warm"))?;
            conn.request().map(drop)
        })
    };
    // Closes as soon as it has answered.
    let close = || -> Script {
        Box::new(|conn| {
            conn.request()?;
            conn.write(ok("warm"))
        })
    };
    for (posts, swallows) in [(false, true), (true, true), (false, false), (true, false)] {
        let outcome = both(|builder| {
            let first = if swallows { swallow() } else { close() };
            let peer = Peer::scripts(vec![first, Box::new(answer)]);
            let connector = builder.build();
            let session = session_of(&connector);
            let warm = session.get(peer.url("/")).send().unwrap();
            assert_eq!(warm.text().unwrap(), "warm");
            if !swallows {
                peer.wait_for_ends(1);
            }
            let request = match posts {
                true => session.post(peer.url("/")).body("once"),
                false => session.get(peer.url("/")),
            };
            let outcome = match request.send() {
                Ok(response) => Ok((response.attempts(), response.is_reused())),
                Err(error) => Err((error.kind(), error.phase())),
            };
            at_rest(&connector);
            outcome
        });
        let want = match (posts, swallows) {
            (_, false) => Ok((1, false)),
            (false, true) => Ok((2, false)),
            (true, true) => Err((Kind::Disconnected, Some(Phase::Head))),
        };
        assert_eq!(outcome, want, "posts: {posts}");
    }
}

/// What becomes of a response that is held unread is for its reader to find.
#[test]
fn a_response_held_unread_ends_as_the_server_ends_it() {
    const LENGTH: usize = 100_000;
    type End = fn(&mut PeerConn) -> std::io::Result<()>;
    let ends: [(&str, End); 5] = [
        ("finishes", |conn| {
            conn.write(vec![b'x'; LENGTH - 10])?;
            answer(conn)
        }),
        ("finishes and closes", |conn| {
            conn.write(vec![b'x'; LENGTH - 10])
        }),
        ("closes", |_| Ok(())),
        ("closes in the middle", |conn| conn.write([b'x'; 1000])),
        ("resets", |conn| conn.reset()),
    ];
    let story = |name: &str, end: End, lies: bool| {
        let outcome = both(|builder| {
            let gate = Gate::new();
            let at = gate.clone();
            let peer = Peer::scripts(vec![
                Box::new(move |conn| {
                    conn.request()?;
                    conn.write(head("200 OK", &[("Content-Length", &LENGTH.to_string())]))?;
                    conn.write([b'x'; 10])?;
                    at.wait();
                    end(conn)
                }),
                Box::new(answer),
            ]);
            let connector = builder.build();
            let session = session_of(&connector);
            let response = session.get(peer.url("/")).send().unwrap();
            gate.open();
            if lies {
                // Until the reactor has found the end of it by itself.
                until("nobody drives it", || connector.stats().in_use == 0);
            }
            let outcome = match response.bytes() {
                Ok(body) => Ok(body.len()),
                Err(error) => Err((error.kind(), error.phase())),
            };
            let next = session.get(peer.url("/")).send().unwrap();
            let reused = next.is_reused();
            assert_eq!(next.text().unwrap(), "fine");
            (outcome, reused)
        });
        let want = match name {
            "finishes" => (Ok(LENGTH), true),
            "finishes and closes" => (Ok(LENGTH), false),
            _ => (Err((Kind::Payload, Some(Phase::Body))), false),
        };
        assert_eq!(outcome, want, "{name}, lies: {lies}");
    };
    // Side by side, since it takes the reactor a while to look.
    thread::scope(|scope| {
        for (name, end) in ends {
            for lies in [false, true] {
                scope.spawn(move || story(name, end, lies));
            }
        }
    });
}

#[test]
fn surplus_bytes_are_no_answer() {
    // SPEC P2: what follows a response unasked is nobody's answer, however the
    // reads happened to fall.
    const READ: usize = 8 * 1024;
    for over in [0, 1, READ] {
        both(|builder| {
            let peer = Peer::start(move |conn| {
                while let Some(request) = conn.next_request()? {
                    if request.target != "/poison" {
                        conn.write(ok("fine"))?;
                        continue;
                    }
                    // The head and the body fill the first read, or a bit more.
                    let fields = "HTTP/1.1 200 OK\r\nContent-Length: ";
                    let length = READ + over - fields.len() - "8000\r\n\r\n".len();
                    let mut bytes = format!("{fields}{length}\r\n\r\n").into_bytes();
                    bytes.resize(bytes.len() + length, b'x');
                    bytes.extend_from_slice(ok("poison").as_ref());
                    conn.write(bytes)?;
                }
                Ok(())
            });
            let session = Session::builder().connector(builder.build()).build();
            for _ in 0..20 {
                let read = session.get(peer.url("/poison")).send().unwrap().bytes();
                assert!(read.unwrap().iter().all(|&byte| byte == b'x'));
                let next = session.get(peer.url("/")).send().unwrap();
                assert_eq!(next.text().unwrap(), "fine");
            }
        });
    }
}

/// The reactor fills the pipe of a response somebody else waits for the slot
/// of. When its reader has made room, it goes on, whoever read before.
#[test]
fn room_that_is_made_later_is_used() {
    const BODY: usize = 900 * 1024;
    both(|builder| {
        let peer = Peer::start(|conn| {
            while let Some(request) = conn.next_request()? {
                let body = if request.target == "/big" { BODY } else { 2 };
                conn.write(ok(vec![b'x'; body]))?;
            }
            Ok(())
        });
        let connector = builder.limit(1).build();
        let session = session_of(&connector);
        let mut big = session.get(peer.url("/big")).send().unwrap();
        let behind = session.get(peer.url("/")).timeout(WATCHDOG).start_send();
        until("it waits", || connector.stats().waiting == 1);
        let mut read = 0;
        while read < BODY - 256 * 1024 {
            read += big.chunk().unwrap().expect("there is more").len();
        }
        // The rest fits into what is read ahead, and so the slot comes free.
        assert_eq!(behind.wait().unwrap().text().unwrap(), "xx");
        assert_eq!(big.bytes().unwrap().len(), BODY - read);
    });
}
