//! A connection on its way to whoever asked for it: because it speaks another
//! protocol from now on, or for itself.

#[cfg(feature = "websocket")]
use std::any::Any;
use std::fmt;
use std::io;
use std::time::{Duration, Instant};

/// A connection that carries no HTTP (SPEC N1). It holds its slot, if it has one,
/// until it is dropped, which closes it. Nothing here blocks but [`wait`](Tunnel::wait):
/// what cannot go on now is `WouldBlock`.
pub(crate) trait Tunnel: Send {
    /// What came behind the response's head comes first. Zero is the end.
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize>;

    /// Takes a part of it, once nothing of before waits to be sent.
    fn write(&mut self, from: &[u8]) -> io::Result<usize>;

    /// Nothing waits to be sent any more.
    fn flush(&mut self) -> io::Result<()>;

    /// Waits until there is something to read, if that is wanted, or until what
    /// waits to be sent can go on; at most until then.
    fn wait(&mut self, read: bool, until: Option<Instant>) -> io::Result<()>;

    /// For the driver that has made it and takes it back.
    #[cfg(feature = "websocket")]
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

impl fmt::Debug for dyn Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tunnel")
    }
}

/// A ready connection that nothing was sent on for whoever has it (SPEC N1). It
/// holds its slot until it is dropped, which closes it. Nothing here blocks.
pub(crate) trait Loan: Send {
    /// Whether it still stands, as far as this end can know.
    fn is_standing(&mut self) -> bool;

    /// Gives it back to the pool, to be idle for so long, if it can serve. True:
    /// the pool's steward has to be told to look.
    fn release(self: Box<Self>, keepalive: Duration, now: Instant) -> bool;

    /// Out of the pool's hands. `None`: it was taken away, and is closed.
    fn detach(self: Box<Self>) -> Option<Box<dyn Tunnel>>;
}

impl fmt::Debug for dyn Loan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Loan")
    }
}
