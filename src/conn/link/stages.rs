//! How a link comes to be open.

use std::io;

use bytes::BytesMut;

use super::wire::{Fill, Outer};
use super::{HANDSHAKE_READ, Link, LinkFault};
use crate::conn::tls::TlsSession;
use crate::error::Phase;
use crate::net::Stream;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Connect,
    /// TLS with the proxy.
    ProxyHandshake,
    /// The proxy is asked for a way.
    Tunnel,
    /// TLS with the origin.
    Handshake,
    Open,
}

impl Stage {
    /// What a limit that passes in it interrupts.
    pub(crate) fn phase(self) -> Phase {
        match self {
            Self::Connect | Self::Open => Phase::Connect,
            Self::ProxyHandshake | Self::Handshake => Phase::Tls,
            Self::Tunnel => Phase::Proxy,
        }
    }

    /// Whether the limit of a handshake counts in it (SPEC T6).
    pub(crate) fn is_handshake(self) -> bool {
        matches!(self, Self::ProxyHandshake | Self::Handshake)
    }
}

impl<S: Stream> Link<S> {
    /// Goes on towards [`Stage::Open`]; true once there.
    pub(crate) fn establish(&mut self) -> Result<bool, LinkFault> {
        loop {
            let is_done = match self.stage {
                Stage::Open => return Ok(true),
                Stage::Connect => self.connect()?,
                Stage::ProxyHandshake | Stage::Handshake => self.handshake()?,
                Stage::Tunnel => self.dig()?,
            };
            if !is_done {
                return Ok(false);
            }
            self.go_on()?;
        }
    }

    /// Begins the next stage that there is something to do in.
    fn go_on(&mut self) -> Result<(), LinkFault> {
        // The stage changes first, so that a fault is one of the new stage.
        if self.stage == Stage::Connect
            && let Some((client, name)) = self.detour.as_ref().and_then(|detour| detour.tls_name())
        {
            self.stage = Stage::ProxyHandshake;
            self.tls = Some(Box::new(TlsSession::new(client, name)?));
            return Ok(());
        }
        if matches!(self.stage, Stage::Connect | Stage::ProxyHandshake)
            && self.detour.as_ref().is_some_and(|detour| detour.is_asked())
        {
            self.stage = Stage::Tunnel;
            return Ok(());
        }
        let Some((server_name, client)) = self.planned.take() else {
            self.stage = Stage::Open;
            return Ok(());
        };
        self.stage = Stage::Handshake;
        let mut tls = Box::new(TlsSession::new(&client, &server_name)?);
        let early = self.detour.as_mut().map(|detour| detour.take_early());
        let early = early.unwrap_or_default();
        match self.tls.take() {
            Some(session) => self.wire.outer = Some(Box::new(Outer::new(*session, early))),
            None if early.is_empty() => {}
            None => tls.inbound(early.len()).extend_from_slice(&early),
        }
        self.tls = Some(tls);
        Ok(())
    }

    fn connect(&mut self) -> Result<bool, LinkFault> {
        if !self.wire.writable && !self.wire.readable {
            return Ok(false);
        }
        if !self.wire.stream.connected()? {
            self.wire.writable = false;
            self.wire.readable = false;
            return Ok(false);
        }
        self.wire.writable = true;
        Ok(true)
    }

    /// True when the handshake is over; what is left to send of it goes out
    /// with what comes next.
    fn handshake(&mut self) -> Result<bool, LinkFault> {
        let Some(tls) = &mut self.tls else {
            return Ok(true);
        };
        // Where data would go that nobody has asked for yet.
        let mut plain = BytesMut::new();
        let mut taken = 0;
        loop {
            let processed = tls.process(&mut plain, usize::MAX);
            // An alert that was queued tells the server why; sending it is a
            // courtesy, and its own failure is not the news.
            let flushed = self.wire.flush(tls);
            processed?;
            flushed?;
            if !plain.is_empty() {
                let message = "the server sent data before it was asked for any";
                return Err(io::Error::new(io::ErrorKind::InvalidData, message).into());
            }
            if !tls.is_handshaking() {
                return Ok(true);
            }
            if !self.wire.is_readable() {
                return Ok(false);
            }
            match self.wire.fill(tls, HANDSHAKE_READ, false, &mut taken)? {
                Fill::Bytes => taken = 0,
                Fill::Blocked => return Ok(false),
                Fill::Barren => return Err(barren()),
                Fill::End => tls.eof()?,
            }
        }
    }

    /// True when the proxy has led to the origin.
    fn dig(&mut self) -> Result<bool, LinkFault> {
        let Some(mut detour) = self.detour.take() else {
            return Ok(true);
        };
        let dug = detour.dig(self);
        self.detour = Some(detour);
        dug
    }

    /// Whether the proxy has refused, and only the rest of its explanation is
    /// waited for: not for long.
    pub(crate) fn is_refused(&self) -> bool {
        self.detour
            .as_ref()
            .is_some_and(|detour| detour.is_refused())
    }

    /// The refusal, with as much of it as has come.
    pub(crate) fn refusal(&mut self) -> Option<LinkFault> {
        self.detour.as_mut().and_then(|detour| detour.refusal())
    }

    /// Whether something waits for the socket to become writable, on the way to
    /// being open.
    pub(crate) fn wants_write(&self) -> bool {
        self.stage == Stage::Connect
            || self.has_outgoing()
            || self
                .detour
                .as_ref()
                .is_some_and(|detour| detour.is_speaking())
    }
}

/// A proxy that sends TLS records without an end and no data in them.
pub(crate) fn barren() -> LinkFault {
    let message = "the proxy sends records without data";
    io::Error::new(io::ErrorKind::InvalidData, message).into()
}
