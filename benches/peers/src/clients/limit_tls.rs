//! The limit of TLS: rustls over buffers of our own, with large reads and
//! writes of whole batches of records. Its ready-made stream reads 4 KiB at a
//! time, and a client that does better would beat it.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::unbuffered::{ConnectionState, EncodeError, InsufficientSizeError, UnbufferedStatus};

use crate::Error;

/// The plaintext of a record at most, and what a record adds to it at most.
const RECORD: usize = 16 * 1024;
const OVERHEAD: usize = 64;

pub(super) struct BareTls {
    session: UnbufferedClientConnection,
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

impl BareTls {
    /// Shakes hands. `buffer` is how much is read at a time.
    pub(super) fn new(
        config: &Arc<ClientConfig>,
        stream: TcpStream,
        buffer: usize,
    ) -> Result<Self, Error> {
        let name = ServerName::from(stream.peer_addr()?.ip());
        let mut tls = Self {
            session: UnbufferedClientConnection::new(Arc::clone(config), name)?,
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
            match tls.step(&mut [])? {
                Step::Ready => return Ok(tls),
                Step::Blocked => tls.fill()?,
                Step::Again => {}
                Step::Data(_) | Step::Closed => return Err("an odd handshake".into()),
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

    fn step(&mut self, into: &mut [u8]) -> io::Result<Step> {
        let incoming = &mut self.incoming[self.start..self.end];
        let UnbufferedStatus { mut discard, state } = self.session.process_tls_records(incoming);
        let step = match state.map_err(io::Error::other)? {
            ConnectionState::ReadTraffic(mut traffic) => {
                let mut filled = 0;
                while let Some(record) = traffic.next_record() {
                    let record = record.map_err(io::Error::other)?;
                    discard += record.discard;
                    let n = record.payload.len().min(into.len() - filled);
                    let (fits, rest) = record.payload.split_at(n);
                    into[filled..filled + n].copy_from_slice(fits);
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
}

impl Read for BareTls {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.taken < self.plain.len() {
            let rest = &self.plain[self.taken..];
            let n = rest.len().min(into.len());
            into[..n].copy_from_slice(&rest[..n]);
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
            if filled > 0 && into.len() - filled < RECORD {
                return Ok(filled);
            }
            match self.step(&mut into[filled..])? {
                Step::Data(n) => filled += n,
                Step::Again => {}
                Step::Ready | Step::Blocked if filled > 0 => return Ok(filled),
                Step::Ready | Step::Blocked => self.fill()?,
                Step::Closed => return Ok(filled),
            }
        }
    }
}

impl Write for BareTls {
    /// All of it, encrypted and sent.
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        let room = self.pending + from.len() + (from.len() / RECORD + 1) * OVERHEAD;
        if self.outgoing.len() < room {
            self.outgoing.resize(room, 0);
        }
        loop {
            // What came meanwhile is taken first; only tickets do.
            let incoming = &mut self.incoming[self.start..self.end];
            let UnbufferedStatus { discard, state } = self.session.process_tls_records(incoming);
            if let ConnectionState::WriteTraffic(mut traffic) = state.map_err(io::Error::other)? {
                let encrypted = traffic.encrypt(from, &mut self.outgoing[self.pending..]);
                self.pending += encrypted.map_err(io::Error::other)?;
                self.start += discard;
                self.send()?;
                return Ok(from.len());
            }
            self.start += discard;
            if !matches!(self.step(&mut [])?, Step::Again | Step::Ready) {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
