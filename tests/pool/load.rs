//! Ten thousand requests from sixty-four threads over sixteen connections, a
//! tenth of them dropped by the server at every stage.
//!
//! The bodies come in pieces, and most are held back between pieces until the
//! client has the head, or until other connections have moved on: the server's
//! pace is made by events, not by time.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::{fs, io, thread};

use miohttp::{Connector, ConnectorStats, Error, Kind, Session};

use super::support::{Peer, PeerConn, enter, head, wait_until};

const REQUESTS: usize = 10_000;
const THREADS: usize = 64;
const LIMIT: usize = 16;
const LARGEST: usize = 256 * 1024;
const PIECE: usize = 20_000;

/// What the server does to one request; its number decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Served,
    DroppedBeforeHead,
    DroppedInHead,
    DroppedInBody,
}

fn fate(number: usize) -> Fate {
    match number % 30 {
        9 => Fate::DroppedBeforeHead,
        19 => Fate::DroppedInHead,
        29 => Fate::DroppedInBody,
        _ => Fate::Served,
    }
}

/// Sizes from nothing to the largest, spread evenly; a body to be broken off
/// has two pieces at least.
fn size(number: usize) -> usize {
    let size = number * 7919 % (LARGEST + 1);
    match fate(number) {
        Fate::DroppedInBody => size.max(2 * PIECE),
        _ => size,
    }
}

/// No two requests in a row have the same bytes in the same place.
fn body(pattern: &[u8], number: usize) -> &[u8] {
    &pattern[number % 251..][..size(number)]
}

/// Which requests' heads the clients have seen.
#[derive(Debug, Default)]
struct Seen {
    heads: Mutex<HashSet<usize>>,
    changed: Condvar,
}

impl Seen {
    fn note(&self, number: usize) {
        enter(&self.heads).insert(number);
        self.changed.notify_all();
    }

    fn wait_for(&self, number: usize) {
        let seen = wait_until(&self.heads, &self.changed, |heads| heads.contains(&number));
        assert!(
            seen,
            "the head of request {number} never reached its client"
        );
    }
}

fn serve(conn: &mut PeerConn, pattern: &[u8], seen: &Seen) -> io::Result<()> {
    while let Some(request) = conn.next_request()? {
        let number: usize = request.target[1..].parse().expect("a number");
        let body = body(pattern, number);
        let length = body.len().to_string();
        let head = head("200 OK", &[("Content-Length", &length)]);
        match fate(number) {
            Fate::DroppedBeforeHead => return Ok(()),
            Fate::DroppedInHead => return conn.write(&head[..head.len() / 2]),
            Fate::DroppedInBody => {
                conn.write(&head)?;
                return conn.write(&body[..body.len() / 2]);
            }
            Fate::Served => {}
        }
        conn.write(&head)?;
        for (at, piece) in body.chunks(PIECE).enumerate() {
            // Every third body waits for its reader in the middle.
            if number.is_multiple_of(3) && at == 1 {
                seen.wait_for(number);
            }
            conn.write(piece)?;
            thread::yield_now();
        }
    }
    Ok(())
}

#[test]
fn ten_thousand_requests_never_use_more_than_the_limit() {
    // SPEC C3, P3: also while connections break under their requests.
    let pattern: Arc<[u8]> = (0..LARGEST + 251).map(|n| (n % 241) as u8).collect();
    let seen = Arc::new(Seen::default());
    let peer = Peer::start({
        let (pattern, seen) = (Arc::clone(&pattern), Arc::clone(&seen));
        move |conn| serve(conn, &pattern, &seen)
    });
    let connector = Connector::builder().limit(LIMIT).build();
    let session = Session::builder().connector(connector.clone()).build();

    let (next, finished) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let figures = scope.spawn(|| watch_figures(&connector, &finished));
        let sockets = scope.spawn(|| watch_sockets(peer.port(), &finished));
        let workers: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= REQUESTS {
                            break;
                        }
                        fetch(&session, &peer, &seen, number, body(&pattern, number));
                    }
                })
            })
            .collect();
        let outcomes: Vec<_> = workers.into_iter().map(|worker| worker.join()).collect();
        finished.store(true, Ordering::Release);
        let in_use = figures.join().expect("the figures keep the limit");
        let open = sockets.join().expect("the sockets keep the limit");
        assert!(outcomes.iter().all(Result::is_ok), "a worker failed");
        assert_eq!(in_use, LIMIT, "the limit was never reached");
        assert!(open > 0 || cfg!(not(target_os = "linux")));
    });

    let ConnectorStats {
        in_use, waiting, ..
    } = connector.stats();
    assert_eq!((in_use, waiting), (0, 0));
    // Each dropped one cost a connection, and those swallowed before a head
    // came may have cost a second one (SPEC Y1).
    assert!(peer.request_count() >= REQUESTS);
    session.close();
    connector.close();
    peer.finish();
}

fn fetch(session: &Session, peer: &Peer, seen: &Seen, number: usize, wanted: &[u8]) {
    let result = session.get(peer.url(&format!("/{number}"))).send();
    seen.note(number);
    match (fate(number), result) {
        (Fate::Served, Ok(response)) => match response.bytes() {
            Ok(bytes) => assert!(bytes == wanted, "request {number} got other bytes"),
            Err(error) => panic!("request {number}: {error:#}"),
        },
        (Fate::DroppedInBody, Ok(response)) => {
            let kind = response.bytes().as_ref().map_err(Error::kind).unwrap_err();
            assert_eq!(kind, Kind::Payload, "request {number}");
        }
        (Fate::DroppedBeforeHead | Fate::DroppedInHead, Err(error)) => {
            assert_eq!(error.kind(), Kind::Disconnected, "request {number}");
        }
        (fate, result) => panic!("request {number}, {fate:?}: {result:?}"),
    }
}

/// Reads the pool's own figures all the time; gives the most slots in use.
fn watch_figures(connector: &Connector, finished: &AtomicBool) -> usize {
    let mut most = 0;
    while !finished.load(Ordering::Acquire) {
        let in_use = connector.stats().in_use;
        assert!(in_use <= LIMIT, "{in_use} in use");
        most = most.max(in_use);
        thread::yield_now();
    }
    most
}

/// Asks the kernel all the time; gives the most sockets open at once.
///
/// Its table is not read at one instant: a socket that closes and the one that
/// replaces it may both be seen. So each reading is held against the one
/// before: what is in both was open all the time between them.
fn watch_sockets(port: u16, finished: &AtomicBool) -> usize {
    let (mut most, mut before) = (0, HashSet::new());
    while !finished.load(Ordering::Acquire) {
        let now = open_sockets(port);
        let both = now.intersection(&before).count();
        assert!(both <= LIMIT, "{both} sockets are open");
        most = most.max(both);
        before = now;
    }
    most
}

/// The client's sockets towards `port` whose descriptor it still holds, by
/// inode; none on a platform that has no `/proc/net/tcp`.
fn open_sockets(port: u16) -> HashSet<u64> {
    let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    // ESTABLISHED, SYN_SENT, CLOSE_WAIT
    let wanted = ["01", "02", "08"].map(|state| format!(":{port:04X} {state} "));
    table
        .lines()
        // Thousands of lines are connections long closed (TIME_WAIT), so the
        // remote port and the state are looked for where they stand.
        .filter(|line| {
            let remote = line.get(20..40).unwrap_or_default();
            wanted.iter().any(|wanted| remote.contains(wanted))
        })
        .filter_map(|line| line.split_whitespace().nth(9)?.parse().ok())
        // 0: nobody holds it any more.
        .filter(|&inode| inode != 0)
        .collect()
}
