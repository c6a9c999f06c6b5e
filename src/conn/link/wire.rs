//! A socket, and the TLS session with an https proxy over it, if another one
//! goes through that: the way of the ciphertext of a link.
//!
//! With one session, its ciphertext is the socket's. With two, the outer one
//! takes the inner one's ciphertext for its data:
//!
//! ```text
//! socket ──▶ outer.inbound ─ process ─▶ plain ──▶ inner.inbound
//! socket ◀── outer.outgoing ◀─ encrypt ────────── inner.outgoing
//! ```

use std::io;

use bytes::{Bytes, BytesMut};

use super::{HANDSHAKE_READ, LinkFault, MAX_BARREN, MAX_CIPHERTEXT};
use crate::conn::scratch::{self, SCRATCH};
use crate::conn::tls::TlsSession;
use crate::net::Stream;

#[derive(Debug)]
pub(super) struct Wire<S> {
    pub(super) stream: S,
    pub(super) readable: bool,
    pub(super) writable: bool,
    /// The last read brought less than it had room for.
    pub(super) was_short: bool,
    /// Bytes that the socket took since the count was set back.
    pub(super) written: u64,
    /// Writing failed while something was read. What the peer said before that
    /// goes first; the next write reports it.
    pub(super) write_fault: Option<io::Error>,
    pub(super) outer: Option<Box<Outer>>,
}

/// The session with an https proxy, under another one.
#[derive(Debug)]
pub(super) struct Outer {
    session: TlsSession,
    /// Decrypted, and not yet the inner session's.
    plain: BytesMut,
    ended: bool,
}

impl Outer {
    /// `plain` is what has come through it already.
    pub(super) fn new(session: TlsSession, plain: BytesMut) -> Self {
        Self {
            session,
            plain,
            ended: false,
        }
    }

    /// Whether there is something to be had of it with nothing new to read.
    fn has_more(&self) -> bool {
        !self.plain.is_empty()
            || self.ended
            || self.session.has_buffered()
            || self.session.peer_closed()
    }
}

pub(super) enum Fill {
    Bytes,
    Blocked,
    /// Much was read, and nothing of it was for the inner session.
    Barren,
    End,
}

impl<S: Stream> Wire<S> {
    /// Over a socket that is connecting.
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            readable: false,
            writable: false,
            was_short: false,
            written: 0,
            write_fault: None,
            outer: None,
        }
    }

    /// Whether [`fill`](Self::fill) may bring something.
    pub(super) fn is_readable(&self) -> bool {
        self.readable || self.outer.as_ref().is_some_and(|outer| outer.has_more())
    }

    /// Whether something has come through the outer session, or for it, that is not
    /// whole yet.
    pub(super) fn has_begun(&self) -> bool {
        self.outer
            .as_ref()
            .is_some_and(|outer| !outer.plain.is_empty() || outer.session.has_begun())
    }

    /// Reads ciphertext into the session, and adds what it took of the socket.
    pub(super) fn fill(
        &mut self,
        tls: &mut TlsSession,
        room: usize,
        waits: bool,
        taken: &mut usize,
    ) -> Result<Fill, LinkFault> {
        if self.outer.is_some() {
            return self.fill_through(tls, room, waits, taken);
        }
        match read_into(&mut self.stream, tls.inbound(room), waits) {
            Ok(0) => Ok(Fill::End),
            Ok(n) => {
                *taken += n;
                self.was_short = n < room;
                Ok(Fill::Bytes)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.readable = false;
                Ok(Fill::Blocked)
            }
            Err(error) => Err(error.into()),
        }
    }

    #[cold]
    fn fill_through(
        &mut self,
        tls: &mut TlsSession,
        room: usize,
        mut waits: bool,
        taken: &mut usize,
    ) -> Result<Fill, LinkFault> {
        loop {
            let Some(outer) = &mut self.outer else {
                return Ok(Fill::Blocked);
            };
            let processed = outer.session.process(&mut outer.plain, room);
            // A KeyUpdate or an alert of the outer session may want to go out.
            let flushed = drain(
                &mut self.stream,
                &mut outer.session,
                &mut self.writable,
                &mut self.written,
            );
            if let Err(fault) = flushed {
                self.writable = false;
                self.write_fault.get_or_insert(fault);
            }
            if !outer.plain.is_empty() {
                tls.inbound(outer.plain.len())
                    .extend_from_slice(&outer.plain);
                outer.plain.clear();
                return Ok(Fill::Bytes);
            }
            processed.map_err(|fault| LinkFault::Outer(Box::new(fault)))?;
            if outer.session.peer_closed() || outer.ended {
                return Ok(Fill::End);
            }
            if !self.readable {
                return Ok(Fill::Blocked);
            }
            if *taken >= MAX_BARREN {
                return Ok(Fill::Barren);
            }
            let room = room.max(HANDSHAKE_READ);
            let waits = std::mem::take(&mut waits);
            match read_into(&mut self.stream, outer.session.inbound(room), waits) {
                Ok(0) => outer.ended = true,
                Ok(n) => {
                    *taken += n;
                    self.was_short = n < room;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.readable = false;
                    return Ok(Fill::Blocked);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Writes the session's ciphertext as far as the socket takes it.
    pub(super) fn flush(&mut self, tls: &mut TlsSession) -> io::Result<()> {
        if self.outer.is_some() {
            return self.flush_through(tls);
        }
        drain(&mut self.stream, tls, &mut self.writable, &mut self.written)
    }

    #[cold]
    fn flush_through(&mut self, tls: &mut TlsSession) -> io::Result<()> {
        let Some(outer) = &mut self.outer else {
            return Ok(());
        };
        loop {
            let mut has_moved = false;
            while !tls.outgoing().is_empty() {
                let taken = outer
                    .session
                    .encrypt(tls.outgoing(), MAX_CIPHERTEXT)
                    .map_err(|fault| LinkFault::Outer(Box::new(fault)))?;
                if taken == 0 {
                    break;
                }
                tls.consume_outgoing(taken);
                has_moved = true;
            }
            drain(
                &mut self.stream,
                &mut outer.session,
                &mut self.writable,
                &mut self.written,
            )?;
            if tls.outgoing().is_empty() || !self.writable || !has_moved {
                return Ok(());
            }
        }
    }

    /// Whether the outer session has something that waits for the socket.
    pub(super) fn has_outgoing(&self) -> bool {
        self.outer
            .as_ref()
            .is_some_and(|outer| !outer.session.outgoing().is_empty())
    }

    /// Writes the session's last words, and those of the outer one behind them.
    pub(super) fn say_goodbye(&mut self, tls: &mut TlsSession) {
        let last = match &mut self.outer {
            None => tls,
            Some(outer) => {
                // No room, no goodbye: nobody waits.
                let _ = outer.session.encrypt(tls.outgoing(), MAX_CIPHERTEXT);
                outer.session.queue_close_notify();
                &mut outer.session
            }
        };
        // The socket is closed next, whatever comes of this.
        let _ = self.stream.write_last(last.outgoing());
    }

    pub(super) fn release_buffers(&mut self) {
        if let Some(outer) = &mut self.outer {
            outer.session.release_buffers();
            if outer.plain.is_empty() {
                outer.plain = BytesMut::new();
            }
        }
    }
}

/// Writes what a session has for the socket, as far as that takes it.
fn drain<S: Stream>(
    stream: &mut S,
    tls: &mut TlsSession,
    writable: &mut bool,
    written: &mut u64,
) -> io::Result<()> {
    while *writable && !tls.outgoing().is_empty() {
        match stream.write_vectored(&[io::IoSlice::new(tls.outgoing())]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                *written += n as u64;
                tls.consume_outgoing(n);
            }
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

pub(super) fn read_plain<S: Stream>(
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
        let mut buffer = scratch::take();
        let read = read_into(stream, &mut buffer, waits);
        append(into, &buffer);
        scratch::give(buffer);
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
