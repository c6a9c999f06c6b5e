//! The network as the engine sees it: [`Net`] makes sockets and waits for
//! them, [`Stream`] moves bytes without ever blocking. In production this is
//! mio ([`mio`]); tests put a scripted world with a virtual clock in its place.
//!
//! Readiness is edge-triggered: whoever stops reading before `WouldBlock` must
//! remember that the socket is still readable.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

pub(crate) mod mio;
#[cfg(all(test, not(loom)))]
pub(crate) mod sim;

/// A network a single thread drives.
pub(crate) trait Net {
    type Stream: Stream;

    /// The one clock of this driver.
    fn now(&self) -> Instant;

    /// Begins to connect; success is told by writability and [`Stream::connected`].
    fn connect(&mut self, address: SocketAddr) -> io::Result<Self::Stream>;

    /// Asks for readiness of both directions under this token.
    fn register(&mut self, stream: &mut Self::Stream, token: Token) -> io::Result<()>;

    /// Ends the asking. Events that were already fetched may still arrive.
    fn deregister(&mut self, stream: &mut Self::Stream);

    /// Waits for readiness, at most `timeout`, and appends what is ready.
    /// An interrupted or woken wait returns with nothing.
    fn poll(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()>;
}

/// A connected or connecting socket. No call blocks.
pub(crate) trait Stream: Send + 'static {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize>;
    fn write_vectored(&mut self, from: &[io::IoSlice<'_>]) -> io::Result<usize>;
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

/// One socket's readiness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ready {
    pub(crate) token: Token,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// The peer sends no more, or the socket is broken. There may be more to
    /// read before that shows.
    pub(crate) hung_up: bool,
}
