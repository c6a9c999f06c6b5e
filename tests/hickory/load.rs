//! Many names at once: sockets stay few, a dead server is survived.

use std::collections::HashSet;
use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use miohttp::{Connector, ConnectorBuilder, HickoryResolver, Kind, Pending, Response};

use super::support::dns::{Asked, NameServer};
use super::support::{Peer, WATCHDOG, enter, response};
use super::{HERE, LATE, asking, fails, hello, passes, session_by};

/// The sockets of this process that are connected to a port, by the kernel's
/// tables; `None` where there are none.
fn sockets_to(port: u16) -> Option<usize> {
    let held: HashSet<String> = fs::read_dir("/proc/self/fd")
        .ok()?
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .filter_map(|target| {
            let target = target.to_string_lossy().into_owned();
            let inode = target.strip_prefix("socket:[")?.strip_suffix(']')?;
            Some(inode.to_owned())
        })
        .collect();
    let remote = format!(":{port:04X}");
    // Each once: a table that changes while it is read tells one twice.
    let mut found = HashSet::new();
    for table in ["udp", "udp6", "tcp", "tcp6"] {
        let text = fs::read_to_string(format!("/proc/self/net/{table}")).unwrap_or_default();
        for line in text.lines().skip(1) {
            // sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode
            let columns: Vec<&str> = line.split_ascii_whitespace().collect();
            let [_, _, to, .., _] = &columns[..] else {
                continue;
            };
            let inode = columns.get(9).copied().unwrap_or_default();
            if to.ends_with(&remote) && held.contains(inode) {
                found.insert(inode.to_owned());
            }
        }
    }
    Some(found.len())
}

fn wide(resolver: HickoryResolver) -> ConnectorBuilder {
    Connector::builder().resolver(resolver).limit(0)
}

#[test]
fn five_hundred_names_at_once_take_sixty_four_sockets() {
    // SPEC C24. The server waits until as many questions stand open as there
    // may be, and answers them all; so that many there are, and never more.
    const NAMES: usize = 500;
    const SOCKETS: usize = 64;
    let most = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&most);
    let state = Mutex::new((0, Vec::<Asked>::new()));
    let port = Arc::new(AtomicUsize::new(0));
    let own = Arc::clone(&port);
    let replies = Arc::new(Mutex::new(Vec::<(SocketAddr, Vec<u8>)>::new()));
    let outbox = Arc::clone(&replies);
    let server = Arc::new(NameServer::start(move |asked: &Asked| {
        let mut state = enter(&state);
        state.0 += 1;
        state.1.push(asked.clone());
        let mut open = state.1.len();
        if open >= SOCKETS || state.0 == 2 * NAMES {
            let port = u16::try_from(own.load(Ordering::Relaxed)).unwrap();
            open = open.max(sockets_to(port).unwrap_or_default());
            let all = state.1.drain(..);
            let all = all.map(|asked| (asked.from, asked.v4(HERE).bytes()));
            enter(&outbox).extend(all);
        }
        seen.fetch_max(open, Ordering::Relaxed);
        None
    }));
    port.store(usize::from(server.address().port()), Ordering::Relaxed);

    // Kept open, connections might be more than this process may have.
    let peer = Peer::serve(|_| response("200 OK", &[("connection", "close")], "hello"));
    let session = session_by(wide(asking([&*server]).build()));
    let requests: Vec<Pending<Response>> = (0..NAMES)
        .map(|n| {
            session
                .get(format!("http://n{n}.test:{}/", peer.port()))
                .start_send()
        })
        .collect();
    let start = Instant::now();
    let mut said = 0;
    while said < 2 * NAMES {
        let ready = std::mem::take(&mut *enter(&replies));
        said += ready.len();
        for (to, message) in ready {
            server.say(to, &message);
        }
        assert!(start.elapsed() < WATCHDOG, "{said} answers in {WATCHDOG:?}");
        std::thread::yield_now();
    }
    for request in requests {
        assert_eq!(request.wait().unwrap().text().unwrap(), "hello");
    }
    assert_eq!(most.load(Ordering::Relaxed), SOCKETS);
    assert_eq!(server.asked().len(), 2 * NAMES);
}

#[test]
fn a_thousand_names_on_a_dead_server() {
    // SPEC C24, T2: each ends in time, sockets stay few, and when the server is
    // back, so are the names.
    const NAMES: usize = 1000;
    let limit = Duration::from_millis(500);
    let dead = NameServer::silent();
    let address = dead.address();
    let resolver = asking([&dead]).timeout(limit / 2).attempts(2).build();
    let session = session_by(wide(resolver));
    let peer = hello();
    let start = Instant::now();
    let requests: Vec<Pending<Response>> = (0..NAMES)
        .map(|n| {
            session
                .get(format!("http://n{n}.test:{}/", peer.port()))
                .start_send()
        })
        .collect();
    dead.wait_for(64);
    if let Some(sockets) = sockets_to(address.port()) {
        assert!((1..=64).contains(&sockets), "{sockets} sockets");
    }
    for request in requests {
        let error = request.wait().expect_err("nobody answers");
        assert_eq!(error.kind(), Kind::Dns, "{error:#}");
    }
    let taken = start.elapsed();
    assert!(taken >= limit && taken < LATE, "{taken:?}");
    fails(&session, &peer, "still.test");
    drop(dead);
    let alive = NameServer::revive(address, |asked| asked.v4(HERE).bytes());
    passes(&session, &peer, "back.test");
    assert!(alive.count("back.test") > 0);
    // Whoever has ended holds no socket.
    let start = Instant::now();
    while sockets_to(address.port()).is_some_and(|sockets| sockets > 0) {
        assert!(start.elapsed() < WATCHDOG, "sockets stay open");
        std::thread::yield_now();
    }
}

#[test]
fn fewer_may_be_allowed() {
    let server = NameServer::start(|asked| asked.v4(HERE).bytes());
    let peer = hello();
    let session = session_by(wide(asking([&server]).max_in_flight(0).build()));
    let requests: Vec<Pending<Response>> = (0..50)
        .map(|n| {
            session
                .get(format!("http://n{n}.test:{}/", peer.port()))
                .start_send()
        })
        .collect();
    for request in requests {
        assert_eq!(request.wait().unwrap().text().unwrap(), "hello");
    }
}
