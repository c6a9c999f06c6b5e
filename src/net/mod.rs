//! The network as the engine sees it: [`Net`] makes sockets and waits for
//! them, [`Stream`] moves bytes and blocks only in the one call that says so. In production this is
//! mio ([`mio`]); tests put a scripted world with a virtual clock in its place.
//!
//! Readiness is edge-triggered: whoever stops reading before `WouldBlock` must
//! remember that the socket is still readable.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

pub(crate) mod address;
pub(crate) mod mio;
pub(crate) mod options;
#[cfg(unix)]
pub(crate) mod poll;
#[cfg(all(test, not(loom)))]
pub(crate) mod sim;
mod socket;
#[cfg(unix)]
pub(crate) mod transport;

#[cfg(unix)]
pub use address::UnixAddress;
pub(crate) use address::{Address, Destination};
pub(crate) use options::Sockets;
pub use options::{LocalAddr, SocketOptions};
#[cfg(unix)]
pub use transport::{Target, Transport, TransportStream};

/// A network a single thread drives.
pub(crate) trait Net {
    type Stream: Stream;

    /// The one clock of this driver.
    fn now(&self) -> Instant;

    /// Begins to connect; success is told by writability and [`Stream::connected`].
    ///
    /// # Errors
    /// `WouldBlock`: not even begun, the peer's queue is full and nothing will
    /// tell when it is not. Worth another try after a while.
    fn connect(&mut self, to: &Destination<'_>) -> io::Result<Self::Stream>;

    /// Asks for readiness of both directions under this token.
    fn register(&mut self, stream: &mut Self::Stream, token: Token) -> io::Result<()>;

    /// Ends the asking. Events that were already fetched may still arrive.
    fn deregister(&mut self, stream: &mut Self::Stream);

    /// Registers a socket whose owner is elsewhere, by its handle.
    fn watch(&mut self, socket: &Shared<Self>, token: Token) -> io::Result<()>;

    /// Ends a [`watch`](Self::watch).
    fn unwatch(&mut self, socket: &Shared<Self>);

    /// Waits for readiness, at most `timeout`, and appends what is ready.
    /// An interrupted or woken wait returns with nothing.
    fn poll(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()>;
}

/// The handle of a network's sockets.
pub(crate) type Shared<N> = <<N as Net>::Stream as Stream>::Shared;

/// A connected or connecting socket. No call blocks but
/// [`read_waiting`](Stream::read_waiting).
pub(crate) trait Stream: Send + 'static {
    /// A handle that keeps the descriptor, for other threads.
    type Shared: Clone + Send + 'static;

    fn share(&self) -> Self::Shared;

    /// Ends both directions, whoever reads or writes or waits for it.
    fn shut(socket: &Self::Shared);

    /// The peer's address, where that is known of the socket alone.
    fn peer_addr(&self) -> Option<SocketAddr> {
        None
    }

    /// This end's address, where the system tells.
    fn local_addr(&self) -> Option<SocketAddr> {
        None
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize>;

    /// Whether a read that fills less than its room has emptied the socket, so that
    /// a watcher is told of what comes next.
    #[cfg(feature = "websocket")]
    fn tells_of_more(&self) -> bool {
        false
    }

    /// Reads behind what `into` holds, as much as fits its capacity, which must
    /// have room. Nothing has to be cleared for it first.
    fn read_spare(&mut self, into: &mut Vec<u8>) -> io::Result<usize>;

    /// As [`read_spare`](Self::read_spare), but may first wait for a while
    /// where that was asked for; `WouldBlock` after it.
    fn read_waiting(&mut self, into: &mut Vec<u8>) -> io::Result<usize> {
        self.read_spare(into)
    }

    /// Blocks until the socket can be read or written, as asked, or until then.
    ///
    /// # Errors
    /// `Unsupported` where there is no way to wait for one socket.
    fn wait(&self, _read: bool, _write: bool, _until: Option<Instant>) -> io::Result<Readiness> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn write_vectored(&mut self, from: &[io::IoSlice<'_>]) -> io::Result<usize>;

    /// Writes what it can of the last words, behind which the socket is closed:
    /// where the system can, both go out together, and the peer wakes up once.
    fn write_last(&mut self, from: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[io::IoSlice::new(from)])
    }

    /// `Ok(false)`: still connecting.
    fn connected(&mut self) -> io::Result<bool>;
    /// Closing will reset the connection: the peer learns at once that nobody
    /// listens, and no half-closed socket is left behind on this side.
    fn abort_on_close(&mut self);
}

/// Names a registered socket; carries a generation, so that a late event of a
/// closed socket finds nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Token(pub(crate) usize);

/// What a wait tells of one socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ready {
    pub(crate) token: Token,
    pub(crate) state: Readiness,
}

/// What can be done with a socket now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Readiness {
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// The peer sends no more, or the socket is broken. There may be more to
    /// read before that shows.
    pub(crate) hung_up: bool,
}

impl Readiness {
    /// What was told before still holds.
    pub(crate) fn add(&mut self, more: Self) {
        self.readable |= more.readable;
        self.writable |= more.writable;
        self.hung_up |= more.hung_up;
    }
}

/// EMFILE and ENFILE, for which std has no kind; the numbers are the same on
/// every Unix.
pub(crate) fn is_out_of_descriptors(error: &io::Error) -> bool {
    cfg!(unix) && matches!(error.raw_os_error(), Some(23 | 24))
}
