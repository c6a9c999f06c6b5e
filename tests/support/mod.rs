//! What the black-box tests stand on: peers that say exactly what a test tells
//! them to, byte by byte if need be, and real servers where a script will not do.
//!
//! ```no_run
//! let peer = Peer::start(|conn| {
//!     let request = conn.request()?;
//!     assert_eq!(request.target, "/a");
//!     conn.write(&ok("hello"))
//! });
//! // … drive the client against peer.url("/a") …
//! peer.finish();
//! ```
//!
//! Three rules keep the tests quick and quiet:
//!
//! - **Nothing sleeps.** Order is made with a [`Gate`] or by waiting for the
//!   peer's own counters, never by hoping that some time is enough.
//! - **Every wait has a watchdog** ([`WATCHDOG`]) which fails the test with a
//!   message, so a hang is a failure and not a stuck build.
//! - **Everything stops when dropped**, without joining: a peer closes its
//!   listener and its connections, and a failed assertion inside a script fails
//!   the test that owns the peer.
//!
//! Each test file takes what it needs with `mod support;`, so no single one
//! uses all of it.
#![allow(dead_code, unused_imports)]

pub(crate) mod conn;
pub(crate) mod dns;
pub(crate) mod example;
pub(crate) mod fetch;
pub(crate) mod interop;
pub(crate) mod message;
pub(crate) mod peer;
pub(crate) mod proxy;
pub(crate) mod sockets;
pub(crate) mod tls;
pub(crate) mod unix;
#[cfg(feature = "websocket")]
pub(crate) mod ws;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

pub(crate) use conn::PeerConn;
pub(crate) use message::{Request, chunked, head, ok, response};
pub(crate) use peer::Peer;
pub(crate) use proxy::Proxy;
pub(crate) use tls::{Certificate, TlsOptions};

/// How long anything here waits before it calls the test failed. Far beyond
/// what a loaded machine needs: it tells hanging from slow, nothing finer.
pub(crate) const WATCHDOG: Duration = Duration::from_secs(20);

/// Waits until no slot is in use. The reactor takes one for the moment in which it looks
/// at an idle connection on which something came, as session tickets do.
#[track_caller]
pub(crate) fn no_slot_in_use(connector: &miohttp::Connector) {
    let start = std::time::Instant::now();
    while connector.stats().in_use > 0 {
        assert!(start.elapsed() < WATCHDOG, "a slot is still in use");
        std::thread::yield_now();
    }
}

/// Whether the one test of a program without a harness is to run, which is asked as a
/// harness would be; told of, where it is only listed.
pub(crate) fn is_asked_for(name: &str) -> bool {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    if has("--list") {
        if !has("--ignored") {
            println!("{name}: test");
        }
        return false;
    }
    let filters: Vec<_> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    let is_meant = filters.is_empty() || filters.iter().any(|filter| name.contains(&***filter));
    is_meant && !has("--ignored")
}

/// A door that a peer's script or a test waits at until the other opens it.
///
/// It counts who stands before it, so a test can wait for sixteen connections
/// to be in the same place before it lets any of them go on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate(Arc<(Mutex<GateState>, Condvar)>);

#[derive(Debug, Default)]
struct GateState {
    open: bool,
    /// How many have come to the gate so far, through it or not.
    arrived: usize,
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Lets through everyone who waits and everyone who will come.
    pub(crate) fn open(&self) {
        enter(&self.0.0).open = true;
        self.0.1.notify_all();
    }

    /// Waits until the gate is open; panics when the watchdog bites.
    #[track_caller]
    pub(crate) fn wait(&self) {
        enter(&self.0.0).arrived += 1;
        self.0.1.notify_all();
        let open = wait_until(&self.0.0, &self.0.1, |state| state.open);
        assert!(open, "a gate stayed shut for {WATCHDOG:?}");
    }

    /// Waits until `count` have come to the gate.
    #[track_caller]
    pub(crate) fn wait_for_arrivals(&self, count: usize) {
        let came = wait_until(&self.0.0, &self.0.1, |state| state.arrived >= count);
        let arrived = enter(&self.0.0).arrived;
        assert!(came, "only {arrived} of {count} came to the gate");
    }
}

/// Locks, entering a poisoned lock too: a failed script must not hide its
/// message behind a second panic.
pub(crate) fn enter<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Waits for `done` to hold, at most [`WATCHDOG`]; tells whether it does.
pub(crate) fn wait_until<T>(
    mutex: &Mutex<T>,
    changed: &Condvar,
    mut done: impl FnMut(&T) -> bool,
) -> bool {
    let guard = enter(mutex);
    let (guard, _) = changed
        .wait_timeout_while(guard, WATCHDOG, |state| !done(state))
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    done(&guard)
}

/// An address of this machine where nobody listens: a connection is refused.
pub(crate) fn refusing_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind a loopback port");
    listener.local_addr().expect("the listener has an address")
}

/// A listener whose queue is full, so that a further connection attempt gets
/// no answer at all and stays in `SYN_SENT`: what a connect timeout is for.
#[derive(Debug)]
pub(crate) struct Blackhole {
    address: SocketAddr,
    _listener: socket2::Socket,
    /// The connections that fill the queue.
    _fillers: Vec<TcpStream>,
}

impl Blackhole {
    /// `None` where the platform answers all the same.
    pub(crate) fn new() -> Option<Self> {
        Self::fill().expect("a listener on loopback")
    }

    fn fill() -> io::Result<Option<Self>> {
        let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
        listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        listener.listen(0)?;
        let address = listener
            .local_addr()?
            .as_socket()
            .ok_or(io::ErrorKind::AddrNotAvailable)?;
        let mut fillers = Vec::new();
        // The kernel rounds the backlog up in its own way; a handful is plenty.
        for _ in 0..8 {
            match TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
                Ok(filler) => fillers.push(filler),
                Err(_) => {
                    return Ok(Some(Self {
                        address,
                        _listener: listener,
                        _fillers: fillers,
                    }));
                }
            }
        }
        Ok(None)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}
