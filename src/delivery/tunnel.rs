//! A connection that was switched to another protocol, in the program's hands.
//! It keeps its slot, and its name, by which it can be cancelled and closed.

use std::io;
use std::time::Instant;

use super::PooledConn;
use crate::error::Error;
use crate::job::{PoolKey, Tunnel};
use crate::net::Stream;
use crate::pool::{Lease, Revoked};

pub(crate) struct Held<S: Stream>(Lease<PoolKey, PooledConn<S>>);

impl<S: Stream> Held<S> {
    /// Nobody else has it: neither a poller nor a waiting read.
    pub(crate) fn new(mut lease: Lease<PoolKey, PooledConn<S>>) -> Self {
        lease.link().suspect();
        Self(lease)
    }

    /// The end that a socket shows may be one that was made here.
    fn told(&self, result: io::Result<usize>) -> io::Result<usize> {
        let is_end = match &result {
            Ok(n) => *n == 0,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        };
        match is_end.then(|| self.0.revoked()).flatten() {
            Some(Revoked::Cancelled) => Err(Error::cancelled().into()),
            Some(Revoked::Closed) => Err(Error::closed().into()),
            None => result,
        }
    }
}

impl<S: Stream> Tunnel for Held<S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read_raw(into);
        if into.is_empty() {
            return read;
        }
        self.told(read)
    }

    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        let written = self.0.write_raw(from);
        if from.is_empty() {
            return written;
        }
        self.told(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.0.flush_raw().map(|()| 1);
        self.told(flushed).map(drop)
    }

    fn wait(&mut self, read: bool, until: Option<Instant>) -> io::Result<()> {
        let write = !self.0.is_flushed();
        let state = self.0.stream().wait(read, write, until)?;
        self.0.link().ready(state);
        Ok(())
    }
}

impl<S: Stream> Drop for Held<S> {
    fn drop(&mut self) {
        // What goes without waiting still goes.
        let _ = self.0.flush_raw();
        self.0.link().say_goodbye();
    }
}
