//! The bytes of a connection that speaks another protocol now: what is read
//! and written is no HTTP any more, only TLS is still between.

use std::io;

use bytes::{Buf, Bytes};

use super::Conn;
use super::link::Read;
#[cfg(feature = "websocket")]
use super::{BytesMut, ConnFault};
#[cfg(feature = "websocket")]
use crate::error::{Error, Phase};
#[cfg(feature = "websocket")]
use crate::job::{Got, Line};
use crate::net::Stream;

/// Read at a time.
const READ: usize = 16 * 1024;

/// Taken at a time of what is to be written.
const WRITE: usize = 64 * 1024;

impl<S: Stream> Conn<S> {
    /// Whether the protocol was switched, with the whole request sent before.
    pub(crate) fn is_upgraded(&self) -> bool {
        self.upgraded
    }

    /// What has come, behind the head first; `WouldBlock` where nothing has.
    pub(crate) fn read_raw(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        // A peer may wait for what was written before it says anything. Should
        // that fail, the next write tells; what has come is still to be read.
        let _ = self.link.write(&mut self.out);
        while self.input.is_empty() {
            match self.link.read(&mut self.input, READ)? {
                Read::Bytes(_) => {}
                // Much came and nothing of it was data: whoever waits looks at
                // its limit before it goes on.
                Read::Barren | Read::Blocked => return Err(io::ErrorKind::WouldBlock.into()),
                Read::End { clean: true } => return Ok(0),
                Read::End { clean: false } => {
                    let message = "TLS ended without close_notify";
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
                }
            }
        }
        let n = into.len().min(self.input.len());
        self.input.copy_to_slice(&mut into[..n]);
        Ok(n)
    }

    /// Takes a part of `from`; `WouldBlock` while something waits.
    pub(crate) fn write_raw(&mut self, from: &[u8]) -> io::Result<usize> {
        self.flush_raw()?;
        let part = &from[..from.len().min(WRITE)];
        if !part.is_empty() {
            self.out.body().push_back(Bytes::copy_from_slice(part));
            self.link.write(&mut self.out)?;
        }
        Ok(part.len())
    }

    pub(crate) fn flush_raw(&mut self) -> io::Result<()> {
        match self.link.write(&mut self.out)? {
            true => Ok(()),
            false => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Whether the peer has neither ended it nor broken it off, as far as this
    /// end can know. What has come is kept, to be [read](Self::read_raw).
    pub(crate) fn is_standing(&mut self) -> bool {
        self.link.suspect();
        let read = match self.input.is_empty() {
            true => self.link.read(&mut self.input, READ),
            false => Ok(Read::Barren),
        };
        matches!(read, Ok(Read::Bytes(_) | Read::Blocked | Read::Barren)) && !self.link.is_hung_up()
    }

    /// After nothing was sent on it: ready for an exchange, or false, and it must
    /// be closed. From here on it counts as used, for it may have grown stale.
    pub(crate) fn rest_untouched(&mut self) -> bool {
        // What ends a handshake goes with the first bytes that are sent.
        let flushed = self.flush_raw().is_ok();
        if !flushed || !self.machine.is_idle() || !self.is_standing() || !self.input.is_empty() {
            return false;
        }
        self.served = self.served.saturating_add(1);
        self.link.release_buffers();
        true
    }

    /// Whether nothing waits to be sent.
    pub(crate) fn is_flushed(&self) -> bool {
        self.out.is_empty() && !self.link.has_outgoing()
    }
}

#[cfg(feature = "websocket")]
impl<S: Stream> Line for Conn<S> {
    fn input(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    fn read(&mut self, size: usize) -> Result<Got, Error> {
        match self.link.read(&mut self.input, size) {
            Ok(Read::Bytes(n)) => {
                self.link.trust_short_read();
                Ok(Got::Bytes(n))
            }
            Ok(Read::Blocked) => match self.link.take_write_fault() {
                None => Ok(Got::Nothing),
                Some(fault) => {
                    // The peer may have spoken before, and no poller told of it yet.
                    self.link.suspect();
                    match self.link.read(&mut self.input, size) {
                        Ok(Read::Bytes(n)) => Ok(Got::Bytes(n)),
                        _ => Err(broken(fault)),
                    }
                }
            },
            Ok(Read::Barren) => Ok(Got::Barren),
            Ok(Read::End { .. }) => Ok(Got::End),
            Err(fault) => Err(broken(fault)),
        }
    }

    fn queue(&mut self, piece: Bytes) {
        self.out.append(piece);
    }

    fn flush(&mut self) -> Result<bool, Error> {
        self.link.write(&mut self.out).map_err(broken)
    }

    fn is_flushed(&self) -> bool {
        Self::is_flushed(self)
    }

    fn suspect(&mut self) {
        self.link.suspect();
    }

    fn holds_buffers(&self) -> bool {
        (self.out.is_empty() && self.out.is_roomy()) || self.link.holds_buffers()
    }

    fn release_buffers(&mut self) {
        if self.out.is_empty() {
            self.out.clear();
        }
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        self.link.release_buffers();
    }
}

#[cfg(feature = "websocket")]
fn broken(fault: super::link::LinkFault) -> Error {
    ConnFault::from(fault).into_error(Phase::WebSocket)
}
