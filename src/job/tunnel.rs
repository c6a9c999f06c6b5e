//! A connection that speaks another protocol from now on, on its way to whoever
//! asked for that.

use std::fmt;
use std::io;
use std::time::Instant;

/// A connection that was switched (SPEC N1). It holds its slot until it is
/// dropped, which closes it. Nothing here blocks but [`wait`](Tunnel::wait):
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
}

impl fmt::Debug for dyn Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tunnel")
    }
}
