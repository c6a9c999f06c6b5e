//! TLS with as little as can be: rustls over buffers of our own, with large
//! reads, and writes of whole batches of records. Its ready-made stream reads
//! 4 KiB at a time; a client that does better would beat it, and a server that
//! does not would be what is measured. So it serves both.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::pki_types::ServerName;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, InsufficientSizeError, UnbufferedStatus};
use rustls::{ClientConfig, ServerConfig};

use crate::Error;

/// The plaintext of a record at most, and what a record adds to it at most.
const RECORD: usize = 16 * 1024;
const OVERHEAD: usize = 64;

/// Plaintext that is encrypted at a time.
const BATCH: usize = 128 * 1024;

/// Either side of a connection.
pub(crate) trait Side {
    type Data;

    fn process<'c, 'i>(
        &'c mut self,
        incoming: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Data>;
}

impl Side for UnbufferedClientConnection {
    type Data = ClientConnectionData;

    fn process<'c, 'i>(
        &'c mut self,
        incoming: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, ClientConnectionData> {
        self.process_tls_records(incoming)
    }
}

impl Side for UnbufferedServerConnection {
    type Data = ServerConnectionData;

    fn process<'c, 'i>(
        &'c mut self,
        incoming: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, ServerConnectionData> {
        self.process_tls_records(incoming)
    }
}

pub(crate) struct BareTls<S> {
    session: S,
    stream: TcpStream,
    /// Ciphertext from `start` to `end`.
    incoming: Vec<u8>,
    start: usize,
    end: usize,
    outgoing: Vec<u8>,
    /// So much of it waits to be sent: with the request, if it can.
    pending: usize,
    /// Plaintext from `taken` on, that found no room.
    plain: Vec<u8>,
    taken: usize,
}

/// What one step came to.
enum Step {
    /// So many bytes of plaintext.
    Data(usize),
    /// Something was done; on with it.
    Again,
    /// Only the server can help.
    Blocked,
    /// The handshake is over, and nothing is left to be read.
    Ready,
    Closed,
}

impl BareTls<UnbufferedClientConnection> {
    /// Shakes hands. `buffer` is how much is read at a time.
    pub(crate) fn client(
        config: &Arc<ClientConfig>,
        stream: TcpStream,
        buffer: usize,
    ) -> Result<Self, Error> {
        let name = ServerName::from(stream.peer_addr()?.ip());
        let session = UnbufferedClientConnection::new(Arc::clone(config), name)?;
        Self::new(session, stream, buffer)
    }
}

impl BareTls<UnbufferedServerConnection> {
    /// Shakes hands. `buffer` is how much is read at a time.
    pub(crate) fn server(
        config: &Arc<ServerConfig>,
        stream: TcpStream,
        buffer: usize,
    ) -> Result<Self, Error> {
        let session = UnbufferedServerConnection::new(Arc::clone(config))?;
        Self::new(session, stream, buffer)
    }

    /// Says that no more comes.
    pub(crate) fn close(&mut self) -> io::Result<()> {
        let incoming = &mut self.incoming[self.start..self.end];
        let UnbufferedStatus { state, .. } = self.session.process(incoming);
        if let Ok(ConnectionState::WriteTraffic(mut traffic)) = state {
            let alert = traffic.queue_close_notify(&mut self.outgoing[self.pending..]);
            self.pending += alert.map_err(io::Error::other)?;
            self.send()?;
        }
        Ok(())
    }
}

impl<S: Side> BareTls<S> {
    fn new(session: S, stream: TcpStream, buffer: usize) -> Result<Self, Error> {
        let mut tls = Self {
            session,
            stream,
            // A record must fit, whatever is read.
            incoming: vec![0; buffer.max(2 * RECORD)],
            start: 0,
            end: 0,
            outgoing: vec![0; 4096],
            pending: 0,
            plain: Vec::new(),
            taken: 0,
        };
        loop {
            match tls.step(0, &mut |_| {})? {
                Step::Ready => return Ok(tls),
                Step::Blocked => tls.fill()?,
                // Data is a request that came with the end of the handshake.
                Step::Again | Step::Data(_) => {}
                Step::Closed => return Err("an odd handshake".into()),
            }
        }
    }

    fn send(&mut self) -> io::Result<()> {
        let pending = std::mem::take(&mut self.pending);
        self.stream.write_all(&self.outgoing[..pending])
    }

    /// Reads, which is when the server must have all that is for it.
    fn fill(&mut self) -> io::Result<()> {
        if self.pending > 0 {
            self.send()?;
        }
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.incoming.len() - self.end < RECORD + OVERHEAD {
            self.incoming.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        match self.stream.read(&mut self.incoming[self.end..])? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            n => {
                self.end += n;
                Ok(())
            }
        }
    }

    /// At most so many bytes of plaintext go to `sink`, and others are kept.
    fn step(&mut self, most: usize, sink: &mut impl FnMut(&[u8])) -> io::Result<Step> {
        let incoming = &mut self.incoming[self.start..self.end];
        let UnbufferedStatus { mut discard, state } = self.session.process(incoming);
        let step = match state.map_err(io::Error::other)? {
            ConnectionState::ReadTraffic(mut traffic) => {
                let mut filled = 0;
                while let Some(record) = traffic.next_record() {
                    let record = record.map_err(io::Error::other)?;
                    discard += record.discard;
                    let n = record.payload.len().min(most - filled);
                    let (fits, rest) = record.payload.split_at(n);
                    sink(fits);
                    filled += n;
                    self.plain.extend_from_slice(rest);
                }
                Step::Data(filled)
            }
            ConnectionState::EncodeTlsData(mut data) => {
                let mut written = data.encode(&mut self.outgoing[self.pending..]);
                if let Err(EncodeError::InsufficientSize(InsufficientSizeError {
                    required_size,
                    ..
                })) = written
                {
                    self.outgoing.resize(self.pending + required_size, 0);
                    written = data.encode(&mut self.outgoing[self.pending..]);
                }
                self.pending += written.map_err(io::Error::other)?;
                Step::Again
            }
            ConnectionState::TransmitTlsData(sent) => {
                sent.done();
                Step::Again
            }
            ConnectionState::WriteTraffic(_) => Step::Ready,
            ConnectionState::PeerClosed | ConnectionState::Closed => Step::Closed,
            _ => Step::Blocked,
        };
        self.start += discard;
        Ok(step)
    }

    /// Gives `sink` what is there, at most so many bytes, and waits only if
    /// there is nothing.
    fn take(&mut self, most: usize, mut sink: impl FnMut(&[u8])) -> io::Result<usize> {
        if self.taken < self.plain.len() {
            let rest = &self.plain[self.taken..];
            let n = rest.len().min(most);
            sink(&rest[..n]);
            self.taken += n;
            if self.taken == self.plain.len() {
                self.plain.clear();
                self.taken = 0;
            }
            return Ok(n);
        }
        let mut filled = 0;
        loop {
            // No more than surely finds room, once there is something.
            if filled > 0 && most - filled < RECORD {
                return Ok(filled);
            }
            match self.step(most - filled, &mut sink)? {
                Step::Data(n) => filled += n,
                Step::Again => {}
                Step::Ready | Step::Blocked if filled > 0 => return Ok(filled),
                Step::Ready | Step::Blocked => self.fill()?,
                Step::Closed => return Ok(filled),
            }
        }
    }

    /// Decrypts at most so many bytes and keeps none; how many they were.
    pub(crate) fn discard(&mut self, most: usize) -> io::Result<usize> {
        self.take(most, |_| {})
    }
}

impl<S: Side> Read for BareTls<S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        self.take(into.len(), |piece| {
            into[filled..filled + piece.len()].copy_from_slice(piece);
            filled += piece.len();
        })
    }
}

impl<S: Side> Write for BareTls<S> {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        // Only so much that what is encrypted stays in the processor's cache.
        let from = &from[..from.len().min(BATCH)];
        let room = self.pending + from.len() + (from.len() / RECORD + 1) * OVERHEAD;
        if self.outgoing.len() < room {
            self.outgoing.resize(room, 0);
        }
        loop {
            // What came meanwhile is taken first; only tickets do.
            let incoming = &mut self.incoming[self.start..self.end];
            let UnbufferedStatus { discard, state } = self.session.process(incoming);
            if let ConnectionState::WriteTraffic(mut traffic) = state.map_err(io::Error::other)? {
                let encrypted = traffic.encrypt(from, &mut self.outgoing[self.pending..]);
                self.pending += encrypted.map_err(io::Error::other)?;
                self.start += discard;
                self.send()?;
                return Ok(from.len());
            }
            self.start += discard;
            if !matches!(self.step(0, &mut |_| {})?, Step::Again | Step::Ready) {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
