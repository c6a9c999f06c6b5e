//! The engine on the real network, with a resolver that asks name servers
//! itself: what that costs the reactor's thread.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::super::engine::{Engine, Turn};
use super::super::{Ledger, WorkerLookups, handshake};
use super::request::get;
use crate::HickoryResolver;
use crate::dns::{WorkerLimits, Workers};
use crate::handoff::mailbox::Mailbox;
use crate::job::{Command, Config};
use crate::net::mio::MioNet;
use crate::net::sim::World;
use crate::pool::{Limits, Pool};
use crate::sync::Arc;

const NAMES: usize = 500;

const WATCHDOG: Duration = Duration::from_secs(20);

/// What a turn may take of its thread's time. Code that is not optimized takes
/// several times as long; CI runs it optimized, too.
const TURN: Duration = match cfg!(debug_assertions) {
    true => Duration::from_millis(50),
    false => Duration::from_millis(10),
};

/// Answers questions for IPv4 with this machine, and others with nothing.
fn name_server() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let server = socket.try_clone().unwrap();
    thread::spawn(move || {
        let mut message = [0; 512];
        // An empty datagram ends it.
        while let Ok((length @ 1.., from)) = server.recv_from(&mut message) {
            let mut reply = message[..length].to_vec();
            // A response, with recursion.
            reply[2..4].copy_from_slice(&[0x81, 0x80]);
            if message[..length].ends_with(&[0, 1, 0, 1]) {
                reply[7] = 1;
                // The name of the question, A, IN, a minute, four bytes.
                reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
            }
            let _ = server.send_to(&reply, from);
        }
    });
    socket
}

/// Answers one request on each of so many connections.
fn web_server(connections: usize) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for _ in 0..connections {
            let (mut stream, _) = listener.accept().unwrap();
            let (mut head, mut buffer) = (Vec::new(), [0; 512]);
            while !head.ends_with(b"\r\n\r\n") {
                let length = stream.read(&mut buffer).unwrap();
                assert!(length > 0, "no request came");
                head.extend(&buffer[..length]);
            }
            // Kept open, they might be more than this process may have.
            let reply = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
            stream.write_all(reply).unwrap();
        }
    });
    port
}

/// What this thread has worked, by the system's count.
fn worked() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}

#[test]
fn five_hundred_names_at_once_cost_no_long_turn() {
    // SPEC C24
    let dns = name_server();
    let port = web_server(NAMES);
    let resolver = HickoryResolver::builder()
        .name_servers([dns.local_addr().unwrap()])
        .resolv_conf("/nonexistent")
        .hosts_file("/nonexistent")
        .build();
    let (net, alarm) = MioNet::new().unwrap();
    let mailbox = Arc::new(Mailbox::new(Box::new(alarm)));
    let (total, per_host) = (0, 0);
    let pool: Arc<Ledger> = Pool::new(Limits { total, per_host });
    let lookups = Box::new(WorkerLookups {
        workers: Arc::new(Workers::new(Arc::new(resolver), WorkerLimits::default())),
        mailbox: mailbox.clone(),
    });
    let config = Arc::new(Config::default());
    let handshakes = Box::new(handshake::Workers::new(mailbox.clone()));
    let mut engine = Engine::new(net, mailbox.clone(), pool, lookups, handshakes, config);

    // All of them in one turn, which is the worst that callers can do.
    let world = World::new();
    let mut probes = Vec::new();
    for n in 0..NAMES {
        let ask = get(&format!("n{n}.test")).port(port);
        let (probe, exchange) = ask.prepare(&world, &mailbox);
        assert!(mailbox.push(Command::Start(probe.id, exchange)).is_ok());
        probes.push(probe);
    }
    let start = Instant::now();
    let mut longest = Duration::ZERO;
    while !probes.iter().all(|probe| probe.is_answered()) {
        let before = worked();
        assert_eq!(engine.turn(), Turn::Continue);
        longest = longest.max(worked() - before);
        assert!(start.elapsed() < WATCHDOG, "the names take too long");
    }
    for probe in &probes {
        assert_eq!(probe.status(), Some(200), "{probe:?}");
    }
    println!("the longest turn took {longest:?}");
    assert!(longest < TURN, "a turn took {longest:?}");
    let _ = dns.send_to(&[], dns.local_addr().unwrap());
}
