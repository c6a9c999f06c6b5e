//! A connection in the program's hands: [`Held`], one that was switched to another
//! protocol; [`Loaned`], one that was asked for by itself; and [`Loose`], what that
//! becomes when the pool has nothing to do with it any more. The first two keep
//! their slot, and their name, by which they can be cancelled and closed.

#[cfg(feature = "websocket")]
use std::any::Any;
use std::io;
use std::time::{Duration, Instant};

use super::PooledConn;
use crate::error::Error;
use crate::job::{Loan, PoolKey, Tunnel};
use crate::net::Stream;
#[cfg(feature = "websocket")]
use crate::pool::Lent;
use crate::pool::{Lease, Revoked, Tell};

/// Empty once it was taken back.
pub(crate) struct Held<S: Stream>(Option<Lease<PoolKey, PooledConn<S>>>);

impl<S: Stream> Held<S> {
    /// Nobody else has it: neither a poller nor a waiting read.
    pub(crate) fn new(mut lease: Lease<PoolKey, PooledConn<S>>) -> Self {
        lease.link().suspect();
        Self(Some(lease))
    }

    /// For a driver that goes on with it.
    ///
    /// # Errors
    /// It was taken away, and is closed.
    #[cfg(feature = "websocket")]
    pub(crate) fn into_lent(mut self) -> Result<Lent<PoolKey, PooledConn<S>>, Error> {
        // There is none only while it is being dropped.
        let lease = self.0.take().ok_or_else(Error::closed)?;
        lease.into_lent().map_err(why)
    }

    fn lease(&mut self) -> io::Result<&mut Lease<PoolKey, PooledConn<S>>> {
        self.0
            .as_mut()
            .ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// The end that a socket shows may be one that was made here.
    fn told(&self, result: io::Result<usize>) -> io::Result<usize> {
        let is_end = match &result {
            Ok(n) => *n == 0,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        };
        let lease = self.0.as_ref().filter(|_| is_end);
        match lease.and_then(Lease::revoked) {
            Some(revoked) => Err(why(revoked).into()),
            None => result,
        }
    }
}

fn why(revoked: Revoked) -> Error {
    match revoked {
        Revoked::Cancelled => Error::cancelled(),
        Revoked::Closed => Error::closed(),
    }
}

impl<S: Stream> Tunnel for Held<S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.lease()?.read_raw(into);
        if into.is_empty() {
            return read;
        }
        self.told(read)
    }

    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        let written = self.lease()?.write_raw(from);
        if from.is_empty() {
            return written;
        }
        self.told(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.lease()?.flush_raw().map(|()| 1);
        self.told(flushed).map(drop)
    }

    fn wait(&mut self, read: bool, until: Option<Instant>) -> io::Result<()> {
        wait(self.lease()?, read, until)
    }

    #[cfg(feature = "websocket")]
    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

impl<S: Stream> Drop for Held<S> {
    fn drop(&mut self) {
        // What goes without waiting still goes.
        if let Some(lease) = &mut self.0 {
            let _ = lease.flush_raw();
            lease.link().say_goodbye();
        }
    }
}

pub(crate) struct Loaned<S: Stream>(Option<Lease<PoolKey, PooledConn<S>>>);

impl<S: Stream> Loaned<S> {
    /// Nobody else has it: neither a poller nor a waiting read.
    pub(crate) fn new(mut lease: Lease<PoolKey, PooledConn<S>>) -> Self {
        lease.link().suspect();
        // The end of a handshake, which waits for something to be sent. Ready
        // means that the server knows of it.
        let _ = lease.flush_raw();
        Self(Some(lease))
    }
}

impl<S: Stream + 'static> Loan for Loaned<S> {
    fn is_standing(&mut self) -> bool {
        match &mut self.0 {
            Some(lease) => lease.revoked().is_none() && lease.is_standing(),
            None => false,
        }
    }

    fn release(mut self: Box<Self>, keepalive: Duration, now: Instant) -> bool {
        // Where callers cannot wait for sockets, no poller could take it back.
        let Some(lease) = self.0.as_mut().filter(|_| cfg!(unix)) else {
            return false;
        };
        if !lease.rest_untouched() {
            return false;
        }
        let Some(expires) = super::expiry(keepalive, lease, None, now) else {
            return false;
        };
        match self.0.take() {
            Some(lease) => lease.put(expires, now) != Tell::Nothing,
            None => false,
        }
    }

    fn detach(mut self: Box<Self>) -> Option<Box<dyn Tunnel>> {
        let conn = self.0.take()?.detach()?;
        Some(Box::new(Loose(conn)))
    }
}

impl<S: Stream> Drop for Loaned<S> {
    fn drop(&mut self) {
        if let Some(mut lease) = self.0.take() {
            lease.hang_up();
            lease.discard();
        }
    }
}

pub(crate) struct Loose<S: Stream>(PooledConn<S>);

impl<S: Stream> Tunnel for Loose<S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read_raw(into)
    }

    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.0.write_raw(from)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush_raw()
    }

    fn wait(&mut self, read: bool, until: Option<Instant>) -> io::Result<()> {
        wait(&mut self.0, read, until)
    }

    #[cfg(feature = "websocket")]
    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

impl<S: Stream> Drop for Loose<S> {
    fn drop(&mut self) {
        let _ = self.0.flush_raw();
        self.0.link().say_goodbye();
    }
}

fn wait<S: Stream>(conn: &mut PooledConn<S>, read: bool, until: Option<Instant>) -> io::Result<()> {
    let write = !conn.is_flushed();
    let state = conn.stream().wait(read, write, until)?;
    conn.link().ready(state);
    Ok(())
}
