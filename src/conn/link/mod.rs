//! The way to the origin: a socket, whatever a proxy has to be asked for, and
//! TLS sessions over it.
//!
//! ```text
//! Connect ─▶ (ProxyHandshake) ─▶ (Tunnel) ─▶ (Handshake) ─▶ Open
//! ```
//!
//! What is in brackets is left out where there is nothing to do: TLS with an
//! https proxy; CONNECT or SOCKS; TLS with an https origin. [`stages`] walks
//! them, [`wire`] is what two sessions over one socket take.
//!
//! Above `Open` everything is plaintext. A link never waits: it says what it
//! could do and remembers, for edge-triggered drivers, whether the socket may
//! still be readable or writable.

mod foreign;
mod stages;
mod wire;

use std::io;

use bytes::BytesMut;

use self::wire::{Fill, Wire, read_plain};
use super::outgoing::Outgoing;
use super::scratch::SCRATCH;
use super::tls::{TlsFault, TlsSession};
use super::tunnel::Detour;
use crate::job::LinkFacts;
use crate::net::{Address, Readiness, Stream};
use crate::proto::tunnel::ProxyFault;
use crate::tls;

pub(crate) use self::foreign::Step;
pub(crate) use self::stages::{Stage, barren};

/// How much ciphertext may wait for the socket while more is being encrypted.
const MAX_CIPHERTEXT: usize = 128 * 1024;

/// Ciphertext read without any plaintext in it before others get their turn: a
/// server may send session tickets for ever.
const MAX_BARREN: usize = 32 * 1024;

/// Ciphertext read at a time during the handshake.
const HANDSHAKE_READ: usize = 4 * 1024;

#[derive(Debug)]
pub(crate) struct Link<S> {
    wire: Wire<S>,
    /// What it was made to.
    address: Address,
    /// What the handshake with the origin will need, until it begins. A session
    /// takes its server's newest ticket with it, so one made for every attempt
    /// of a race would waste the tickets of the losers.
    planned: Option<(Box<str>, tls::Client)>,
    /// Only where it leads through a proxy.
    detour: Option<Box<Detour>>,
    /// The session that plaintext goes through: with the origin, or with the
    /// proxy where there is none with that.
    tls: Option<Box<TlsSession>>,
    stage: Stage,
    /// The next read may wait for something to come.
    waits: bool,
    /// What the last large read went into, to be used again once nobody has
    /// any of it: new pages cost about as much as the bytes copied into them.
    spare: Option<BytesMut>,
    /// Under TLS: what became the bytes that were sent, before it was encrypted.
    encrypted: u64,
    /// The socket reported its end. TLS may still hold records of before.
    ended: bool,
    /// The system has told of the peer's end.
    hung_up: bool,
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
    Tls(Box<TlsFault>),
    /// Of the session with a proxy, under another one.
    Outer(Box<TlsFault>),
    /// The proxy leads nowhere.
    Proxy(Box<ProxyFault>),
}

impl From<io::Error> for LinkFault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<TlsFault> for LinkFault {
    fn from(fault: TlsFault) -> Self {
        Self::Tls(Box::new(fault))
    }
}

impl<S: Stream> Link<S> {
    /// A link over a socket that is connecting. `tls` is what is planned for the
    /// origin.
    pub(crate) fn new(
        stream: S,
        address: Address,
        tls: Option<(&tls::Client, &str)>,
        detour: Option<Box<Detour>>,
    ) -> Self {
        Self {
            wire: Wire::new(stream),
            address,
            planned: tls.map(|(client, server_name)| (server_name.into(), client.clone())),
            detour,
            tls: None,
            stage: Stage::Connect,
            waits: false,
            spare: None,
            encrypted: 0,
            ended: false,
            hung_up: false,
        }
    }

    /// What it connects to, or is connected to.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// What is to be known of it, told once, when it is open. And what has come
    /// of the origin already, behind the reply of a proxy.
    pub(crate) fn tell(&mut self) -> (LinkFacts, BytesMut) {
        let (proxy, early, is_with_origin) = match self.detour.take() {
            None => (None, BytesMut::new(), true),
            Some(mut detour) => {
                let early = detour.take_early();
                let is_with_origin = detour.is_secure();
                (Some(detour.into_facts()), early, is_with_origin)
            }
        };
        let tls = self.tls.as_ref().filter(|_| is_with_origin);
        let facts = LinkFacts {
            peer: self.address.ip().or_else(|| self.wire.stream.peer_addr()),
            path: self.address.path(),
            local: self.wire.stream.local_addr(),
            tls: tls.and_then(|tls| tls.info()),
            proxy,
        };
        (facts, early)
    }

    pub(crate) fn stage(&self) -> Stage {
        self.stage
    }

    pub(crate) fn stream(&self) -> &S {
        &self.wire.stream
    }

    pub(crate) fn stream_mut(&mut self) -> &mut S {
        &mut self.wire.stream
    }

    /// Lets the next read wait: it stands for a wait and a read, and brings
    /// nothing if the wait was in vain.
    pub(crate) fn wait_in_read(&mut self) {
        self.wire.readable = true;
        self.waits = true;
    }

    /// Nobody watched the socket for a while: it may be ready for anything.
    pub(crate) fn suspect(&mut self) {
        self.wire.readable = true;
        self.wire.writable = true;
        self.waits = false;
    }

    /// Notes what the driver has learnt of the socket.
    pub(crate) fn ready(&mut self, ready: Readiness) {
        self.wire.readable |= ready.readable;
        self.wire.writable |= ready.writable;
        self.hung_up |= ready.hung_up;
    }

    /// Whether the peer is known to send no more, though it may not all be read.
    pub(crate) fn is_hung_up(&self) -> bool {
        self.hung_up
    }

    /// Reads plaintext behind what `into` holds, about `room` bytes at most.
    pub(crate) fn read(&mut self, into: &mut BytesMut, room: usize) -> Result<Read, LinkFault> {
        // Of this read alone: what a session held already says nothing of the socket.
        self.wire.was_short = false;
        let Some(tls) = &mut self.tls else {
            let waits = std::mem::take(&mut self.waits);
            if !self.wire.readable {
                return Ok(Read::Blocked);
            }
            return match read_plain(&mut self.wire.stream, into, room, waits, &mut self.spare) {
                Ok(0) => Ok(Read::End { clean: true }),
                Ok(n) => {
                    self.wire.was_short = n < room.max(SCRATCH);
                    Ok(Read::Bytes(n))
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wire.readable = false;
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
            if let Err(fault) = self.wire.flush(tls) {
                self.wire.writable = false;
                self.wire.write_fault.get_or_insert(fault);
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
            if !self.wire.is_readable() {
                return Ok(Read::Blocked);
            }
            if taken >= MAX_BARREN {
                return Ok(Read::Barren);
            }
            let room = room.clamp(HANDSHAKE_READ, MAX_CIPHERTEXT);
            let waits = std::mem::take(&mut self.waits);
            match self.wire.fill(tls, room, waits, &mut taken)? {
                Fill::Bytes => {}
                Fill::Blocked => return Ok(Read::Blocked),
                Fill::Barren => return Ok(Read::Barren),
                Fill::End => self.ended = true,
            }
        }
    }

    /// For a driver that hears of all that is new: does without the read that would
    /// find nothing, where the last one has said so by what it brought.
    #[cfg(feature = "websocket")]
    pub(crate) fn trust_short_read(&mut self) {
        let wire = &mut self.wire;
        if wire.was_short && !self.hung_up && wire.stream.tells_of_more() {
            wire.readable = false;
        }
    }

    /// Whether [`release_buffers`](Self::release_buffers) would give anything back.
    #[cfg(feature = "websocket")]
    pub(crate) fn holds_buffers(&self) -> bool {
        self.spare.is_some() || self.tls.as_ref().is_some_and(|tls| tls.holds_buffers())
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
        if !self.wire.readable {
            return Ok(Read::Blocked);
        }
        let before = into.len();
        into.resize(before + room, 0);
        let read = self.wire.stream.read(&mut into[before..]);
        into.truncate(before + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => Ok(Read::End { clean: true }),
            Ok(n) => Ok(Read::Bytes(n)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.wire.readable = false;
                Ok(Read::Blocked)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Writes what it can; true when nothing is left to write.
    pub(crate) fn write(&mut self, out: &mut Outgoing) -> Result<bool, LinkFault> {
        if let Some(fault) = self.wire.write_fault.take() {
            return Err(fault.into());
        }
        let Some(tls) = &mut self.tls else {
            while !out.is_empty() && self.wire.writable {
                let written = out.with_slices(|slices| self.wire.stream.write_vectored(slices));
                match written {
                    Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
                    Ok(n) => {
                        self.wire.written += n as u64;
                        out.advance(n);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        self.wire.writable = false;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            return Ok(out.is_empty());
        };
        loop {
            let mut encrypted = 0;
            while !out.is_empty() {
                // Small pieces share a record.
                out.coalesce();
                let taken = tls.encrypt(out.front(), MAX_CIPHERTEXT)?;
                if taken == 0 {
                    break;
                }
                encrypted += taken;
                self.encrypted += taken as u64;
                out.advance(taken);
            }
            let waiting = !tls.outgoing().is_empty();
            self.wire.flush(tls)?;
            if out.is_empty() && tls.outgoing().is_empty() && !self.wire.has_outgoing() {
                return Ok(true);
            }
            // Nothing taken and nothing waiting: no further round would help.
            if !self.wire.writable || (encrypted == 0 && !waiting) {
                return Ok(false);
            }
        }
    }

    /// A write that failed while something was read, reported once.
    pub(crate) fn take_write_fault(&mut self) -> Option<LinkFault> {
        self.wire.write_fault.take().map(LinkFault::Io)
    }

    /// A new exchange begins: nothing of it has been sent.
    pub(crate) fn forget_sent(&mut self) {
        self.wire.written = 0;
        self.encrypted = 0;
    }

    pub(crate) fn has_sent(&self) -> bool {
        self.wire.written > 0
    }

    /// Bytes that the socket took of this exchange.
    pub(crate) fn written(&self) -> u64 {
        self.wire.written
    }

    /// How much of what was to be sent is out.
    pub(crate) fn bytes_sent(&self) -> u64 {
        match self.tls {
            None => self.wire.written,
            Some(_) => self.encrypted,
        }
    }

    /// Whether anything encrypted still waits for the socket.
    pub(crate) fn has_outgoing(&self) -> bool {
        self.tls
            .as_ref()
            .is_some_and(|tls| !tls.outgoing().is_empty() || self.wire.has_outgoing())
    }

    /// Whether an idle link still stands: quiet, or, under TLS, with nothing
    /// but session tickets and key updates to read (SPEC P4). The server may
    /// yet close it the next moment; this only weeds out what is known dead.
    pub(crate) fn probe(&mut self) -> bool {
        // What became of the socket while nobody used it went by unnoticed.
        self.wire.readable = true;
        self.wire.writable = true;
        if self.tls.is_none() {
            let mut byte = [0];
            let quiet = matches!(
                self.wire.stream.read(&mut byte),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock
            );
            // Whatever comes from here on is told of anew, so the next pump
            // need not look for an answer before its request is out.
            self.wire.readable = !quiet;
            return quiet;
        }
        let mut plain = BytesMut::new();
        let quiet = matches!(self.read(&mut plain, 1), Ok(Read::Blocked));
        // Half a record may be half an answer that nobody has asked for.
        let begun = self.tls.as_ref().is_some_and(|tls| tls.has_begun()) || self.wire.has_begun();
        self.release_buffers();
        quiet && !begun
    }

    /// Gives back what an idle link does not need.
    pub(crate) fn release_buffers(&mut self) {
        self.spare = None;
        if let Some(tls) = &mut self.tls {
            tls.release_buffers();
            self.wire.release_buffers();
        }
    }

    /// Gives up in the middle of an exchange.
    pub(crate) fn abort(&mut self) {
        self.wire.stream.abort_on_close();
    }

    /// Says goodbye, without waiting for an answer or even for room (SPEC S23).
    pub(crate) fn say_goodbye(&mut self) {
        if self.stage != Stage::Open {
            return;
        }
        if let Some(tls) = &mut self.tls {
            tls.queue_close_notify();
            self.wire.say_goodbye(tls);
        }
    }
}

#[cfg(all(test, feature = "tls", not(loom)))]
mod tests;
