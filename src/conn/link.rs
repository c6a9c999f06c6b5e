//! The way to the origin: a socket and, for https, a TLS session over it.
//!
//! ```text
//! Connect ──writable──▶ Handshake (https only) ──▶ Open
//! ```
//!
//! Above `Open` everything is plaintext. A link never waits: it says what it
//! could do and remembers, for edge-triggered drivers, whether the socket may
//! still be readable or writable.

use std::cell::Cell;
use std::io;

use bytes::{Bytes, BytesMut};

use super::outgoing::Outgoing;
use super::tls::{TlsFault, TlsSession};
use crate::job::LinkFacts;
use crate::net::{Address, Readiness, Stream};
use crate::tls;

/// How much ciphertext may wait for the socket while more is being encrypted.
const MAX_CIPHERTEXT: usize = 128 * 1024;

/// Ciphertext read without any plaintext in it before others get their turn: a
/// server may send session tickets for ever.
const MAX_BARREN: usize = 32 * 1024;

/// Ciphertext read at a time during the handshake.
const HANDSHAKE_READ: usize = 4 * 1024;

#[derive(Debug)]
pub(crate) struct Link<S> {
    stream: S,
    /// What it was made to.
    address: Address,
    /// What the handshake will need, until the socket is connected. A session
    /// takes its server's newest ticket with it, so one made for every attempt
    /// of a race would waste the tickets of the losers.
    planned: Option<(Box<str>, tls::Client)>,
    tls: Option<Box<TlsSession>>,
    stage: Stage,
    readable: bool,
    writable: bool,
    /// The next read may wait for something to come.
    waits: bool,
    /// What the last large read went into, to be used again once nobody has
    /// any of it: new pages cost about as much as the bytes copied into them.
    spare: Option<BytesMut>,
    /// Bytes that the socket took since [`Link::forget_sent`].
    written: u64,
    /// Under TLS: what became those, before it was encrypted.
    encrypted: u64,
    /// The socket reported its end. TLS may still hold records of before.
    ended: bool,
    /// The system has told of the peer's end.
    hung_up: bool,
    /// Writing failed while something was read. What the peer said before that
    /// goes first; the next write reports it.
    write_fault: Option<io::Error>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Connect,
    Handshake,
    Open,
}

/// What one read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// This many plaintext bytes, never zero.
    Bytes(usize),
    /// Nothing now; readiness will tell.
    Blocked,
    /// Much was read and nothing of it was data. There may be more at once.
    Barren,
    /// The peer sends no more. `clean` is false for a TLS session that ended
    /// without `close_notify` (SPEC R41).
    End { clean: bool },
}

#[derive(Debug)]
pub(crate) enum LinkFault {
    Io(io::Error),
    Tls(TlsFault),
}

impl From<io::Error> for LinkFault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<TlsFault> for LinkFault {
    fn from(fault: TlsFault) -> Self {
        Self::Tls(fault)
    }
}

impl<S: Stream> Link<S> {
    /// A link over a socket that is connecting.
    pub(crate) fn new(stream: S, address: Address, tls: Option<(&tls::Client, &str)>) -> Self {
        Self {
            stream,
            address,
            planned: tls.map(|(client, server_name)| (server_name.into(), client.clone())),
            tls: None,
            stage: Stage::Connect,
            readable: false,
            writable: false,
            waits: false,
            spare: None,
            written: 0,
            encrypted: 0,
            ended: false,
            hung_up: false,
            write_fault: None,
        }
    }

    /// What it connects to, or is connected to.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// What is to be known of it, once it is open.
    pub(crate) fn facts(&self) -> LinkFacts {
        LinkFacts {
            peer: self.address.ip(),
            path: self.address.path(),
            local: self.stream.local_addr(),
            tls: self.tls.as_ref().and_then(|tls| tls.info()),
            proxy: None,
        }
    }

    pub(crate) fn stage(&self) -> Stage {
        self.stage
    }

    pub(crate) fn stream(&self) -> &S {
        &self.stream
    }

    pub(crate) fn stream_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Lets the next read wait: it stands for a wait and a read, and brings
    /// nothing if the wait was in vain.
    pub(crate) fn wait_in_read(&mut self) {
        self.readable = true;
        self.waits = true;
    }

    /// Nobody watched the socket for a while: it may be ready for anything.
    pub(crate) fn suspect(&mut self) {
        self.readable = true;
        self.writable = true;
        self.waits = false;
    }

    /// Notes what the driver has learnt of the socket.
    pub(crate) fn ready(&mut self, ready: Readiness) {
        self.readable |= ready.readable;
        self.writable |= ready.writable;
        self.hung_up |= ready.hung_up;
    }

    /// Whether the peer is known to send no more, though it may not all be read.
    pub(crate) fn is_hung_up(&self) -> bool {
        self.hung_up
    }

    /// Goes on towards [`Stage::Open`]; true once there.
    pub(crate) fn establish(&mut self) -> Result<bool, LinkFault> {
        loop {
            match self.stage {
                Stage::Open => return Ok(true),
                Stage::Connect => {
                    if !self.writable && !self.readable {
                        return Ok(false);
                    }
                    if !self.stream.connected()? {
                        self.writable = false;
                        self.readable = false;
                        return Ok(false);
                    }
                    self.writable = true;
                    match self.planned.take() {
                        None => self.stage = Stage::Open,
                        Some((server_name, client)) => {
                            // First, so that a fault is one of the handshake.
                            self.stage = Stage::Handshake;
                            self.tls = Some(Box::new(TlsSession::new(&client, &server_name)?));
                        }
                    }
                }
                Stage::Handshake => {
                    if !self.handshake()? {
                        return Ok(false);
                    }
                    self.stage = Stage::Open;
                }
            }
        }
    }

    /// True when the handshake is over; what is left to send of it goes out
    /// with the first request.
    fn handshake(&mut self) -> Result<bool, LinkFault> {
        let Some(tls) = &mut self.tls else {
            return Ok(true);
        };
        // Where data would go that nobody has asked for yet.
        let mut plain = BytesMut::new();
        loop {
            let processed = tls.process(&mut plain, usize::MAX);
            // What ends the handshake waits for the first request: the server
            // then wakes up once for both. An alert that was queued tells it
            // why; sending it is a courtesy, and its own failure is not the news.
            let flushed = match processed.is_err() || tls.is_handshaking() {
                true => flush(&mut self.stream, tls, &mut self.writable),
                false => Ok(()),
            };
            processed?;
            flushed?;
            if !plain.is_empty() {
                let message = "the server sent data before it was asked for any";
                return Err(io::Error::new(io::ErrorKind::InvalidData, message).into());
            }
            if !tls.is_handshaking() {
                return Ok(true);
            }
            if !self.readable {
                return Ok(false);
            }
            match fill(
                &mut self.stream,
                tls,
                HANDSHAKE_READ,
                &mut self.readable,
                false,
            )? {
                Fill::Bytes(_) => {}
                Fill::Blocked => return Ok(false),
                Fill::End => tls.eof()?,
            }
        }
    }

    /// Reads plaintext behind what `into` holds, about `room` bytes at most.
    pub(crate) fn read(&mut self, into: &mut BytesMut, room: usize) -> Result<Read, LinkFault> {
        let Some(tls) = &mut self.tls else {
            let waits = std::mem::take(&mut self.waits);
            if !self.readable {
                return Ok(Read::Blocked);
            }
            return match read_plain(&mut self.stream, into, room, waits, &mut self.spare) {
                Ok(0) => Ok(Read::End { clean: true }),
                Ok(n) => Ok(Read::Bytes(n)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.readable = false;
                    Ok(Read::Blocked)
                }
                Err(error) => Err(error.into()),
            };
        };
        let before = into.len();
        let limit = before.saturating_add(room);
        let mut taken = 0;
        loop {
            let processed = tls.process(into, limit);
            // A KeyUpdate or an alert of ours may want to go out.
            if let Err(fault) = flush(&mut self.stream, tls, &mut self.writable) {
                self.writable = false;
                self.write_fault.get_or_insert(fault);
            }
            // What was decrypted before a fault comes first; the fault is
            // repeated by the next call.
            if into.len() > before {
                return Ok(Read::Bytes(into.len() - before));
            }
            processed?;
            if tls.peer_closed() {
                return Ok(Read::End { clean: true });
            }
            if self.ended {
                return Ok(Read::End { clean: false });
            }
            if !self.readable {
                return Ok(Read::Blocked);
            }
            if taken >= MAX_BARREN {
                return Ok(Read::Barren);
            }
            let room = room.clamp(HANDSHAKE_READ, MAX_CIPHERTEXT);
            let waits = std::mem::take(&mut self.waits);
            match fill(&mut self.stream, tls, room, &mut self.readable, waits)? {
                Fill::Bytes(n) => taken += n,
                Fill::Blocked => return Ok(Read::Blocked),
                Fill::End => self.ended = true,
            }
        }
    }

    /// As [`read`](Self::read), but of a plain socket no more than `room`, for
    /// whoever counts. It never waits.
    pub(crate) fn read_little(
        &mut self,
        into: &mut BytesMut,
        room: usize,
    ) -> Result<Read, LinkFault> {
        self.waits = false;
        if self.tls.is_some() || room >= SCRATCH {
            return self.read(into, room);
        }
        if !self.readable {
            return Ok(Read::Blocked);
        }
        let before = into.len();
        into.resize(before + room, 0);
        let read = self.stream.read(&mut into[before..]);
        into.truncate(before + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => Ok(Read::End { clean: true }),
            Ok(n) => Ok(Read::Bytes(n)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.readable = false;
                Ok(Read::Blocked)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Writes what it can; true when nothing is left to write.
    pub(crate) fn write(&mut self, out: &mut Outgoing) -> Result<bool, LinkFault> {
        if let Some(fault) = self.write_fault.take() {
            return Err(fault.into());
        }
        let Some(tls) = &mut self.tls else {
            while !out.is_empty() && self.writable {
                let written = out.with_slices(|slices| self.stream.write_vectored(slices));
                match written {
                    Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
                    Ok(n) => {
                        self.written += n as u64;
                        out.advance(n);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        self.writable = false;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            return Ok(out.is_empty());
        };
        loop {
            let mut encrypted = 0;
            while !out.is_empty() {
                let taken = tls.encrypt(out.front(), MAX_CIPHERTEXT)?;
                if taken == 0 {
                    break;
                }
                encrypted += taken;
                self.encrypted += taken as u64;
                out.advance(taken);
            }
            let waiting = tls.outgoing().len();
            let flushed = flush(&mut self.stream, tls, &mut self.writable);
            self.written += waiting.saturating_sub(tls.outgoing().len()) as u64;
            flushed?;
            if out.is_empty() && tls.outgoing().is_empty() {
                return Ok(true);
            }
            // Nothing taken and nothing waiting: no further round would help.
            if !self.writable || (encrypted == 0 && waiting == 0) {
                return Ok(false);
            }
        }
    }

    /// A write that failed while something was read, reported once.
    pub(crate) fn take_write_fault(&mut self) -> Option<LinkFault> {
        self.write_fault.take().map(LinkFault::Io)
    }

    /// A new exchange begins: nothing of it has been sent.
    pub(crate) fn forget_sent(&mut self) {
        self.written = 0;
        self.encrypted = 0;
    }

    pub(crate) fn has_sent(&self) -> bool {
        self.written > 0
    }

    /// Bytes that the socket took of this exchange.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// How much of what was to be sent is out.
    pub(crate) fn bytes_sent(&self) -> u64 {
        match self.tls {
            None => self.written,
            Some(_) => self.encrypted,
        }
    }

    /// Whether anything encrypted still waits for the socket.
    pub(crate) fn has_outgoing(&self) -> bool {
        self.tls
            .as_ref()
            .is_some_and(|tls| !tls.outgoing().is_empty())
    }

    /// Whether an idle link still stands: quiet, or, under TLS, with nothing
    /// but session tickets and key updates to read (SPEC P4). The server may
    /// yet close it the next moment; this only weeds out what is known dead.
    pub(crate) fn probe(&mut self) -> bool {
        // What became of the socket while nobody used it went by unnoticed.
        self.readable = true;
        self.writable = true;
        if self.tls.is_none() {
            let mut byte = [0];
            let quiet = matches!(
                self.stream.read(&mut byte),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock
            );
            // Whatever comes from here on is told of anew, so the next pump
            // need not look for an answer before its request is out.
            self.readable = !quiet;
            return quiet;
        }
        let mut plain = BytesMut::new();
        let quiet = matches!(self.read(&mut plain, 1), Ok(Read::Blocked));
        self.release_buffers();
        quiet
    }

    /// Gives back what an idle link does not need.
    pub(crate) fn release_buffers(&mut self) {
        self.spare = None;
        if let Some(tls) = &mut self.tls {
            tls.release_buffers();
        }
    }

    /// Gives up in the middle of an exchange.
    pub(crate) fn abort(&mut self) {
        self.stream.abort_on_close();
    }

    /// Says goodbye, without waiting for an answer or even for room (SPEC S23).
    pub(crate) fn say_goodbye(&mut self) {
        if self.stage != Stage::Open {
            return;
        }
        if let Some(tls) = &mut self.tls {
            tls.queue_close_notify();
            // The socket is closed next, whatever comes of this.
            let _ = self.stream.write_last(tls.outgoing());
        }
    }
}

enum Fill {
    Bytes(usize),
    Blocked,
    End,
}

/// Reads ciphertext into the session.
fn fill<S: Stream>(
    stream: &mut S,
    tls: &mut TlsSession,
    room: usize,
    readable: &mut bool,
    waits: bool,
) -> Result<Fill, LinkFault> {
    match read_into(stream, tls.inbound(room), waits) {
        Ok(0) => Ok(Fill::End),
        Ok(n) => Ok(Fill::Bytes(n)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            *readable = false;
            Ok(Fill::Blocked)
        }
        Err(error) => Err(error.into()),
    }
}

/// Writes the session's ciphertext as far as the socket takes it.
fn flush<S: Stream>(stream: &mut S, tls: &mut TlsSession, writable: &mut bool) -> io::Result<()> {
    while *writable && !tls.outgoing().is_empty() {
        match stream.write_vectored(&[io::IoSlice::new(tls.outgoing())]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => tls.consume_outgoing(n),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => *writable = false,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn read_into<S: Stream>(stream: &mut S, into: &mut Vec<u8>, waits: bool) -> io::Result<usize> {
    if waits {
        stream.read_waiting(into)
    } else {
        stream.read_spare(into)
    }
}

/// Reads up to this go into a buffer that the thread keeps for them.
const SCRATCH: usize = 8 * 1024;

thread_local! {
    static SCRATCHES: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

fn read_plain<S: Stream>(
    stream: &mut S,
    into: &mut BytesMut,
    room: usize,
    waits: bool,
    spare: &mut Option<BytesMut>,
) -> io::Result<usize> {
    // Not into `into` itself, since this need not be cleared first. What fills
    // little of its buffer is copied, so that a piece that waits for its reader
    // keeps not much more alive than itself.
    if room <= SCRATCH {
        let mut buffer = SCRATCHES.try_with(Cell::take).unwrap_or_default();
        buffer.reserve_exact(SCRATCH);
        let read = read_into(stream, &mut buffer, waits);
        append(into, &buffer);
        buffer.clear();
        let _ = SCRATCHES.try_with(|scratch| scratch.set(buffer));
        return read;
    }
    if into.is_empty() {
        // Without this, the rest of what was taken out of it.
        *into = BytesMut::new();
    }
    let reclaimed = spare.take().and_then(|mut buffer| {
        let is_free = buffer.try_reclaim(room);
        is_free.then(|| Vec::from(buffer))
    });
    let mut buffer = reclaimed.unwrap_or_else(|| Vec::with_capacity(room));
    let read = read_into(stream, &mut buffer, waits);
    if !into.is_empty() || buffer.len() <= SCRATCH || buffer.len() < room / 4 {
        append(into, &buffer);
        buffer.clear();
        *spare = Some(Bytes::from(buffer).into());
    } else {
        *into = Bytes::from(buffer).into();
        *spare = Some(into.split_to(0));
    }
    read
}

fn append(into: &mut BytesMut, bytes: &[u8]) {
    match into.is_empty() {
        true => *into = BytesMut::from(bytes),
        false => into.extend_from_slice(bytes),
    }
}

#[cfg(all(test, feature = "tls", not(loom)))]
mod tests;
