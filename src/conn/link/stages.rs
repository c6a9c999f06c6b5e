//! How a link comes to be open.

use std::io;

use bytes::BytesMut;

use super::wire::{Fill, Outer};
use super::{HANDSHAKE_READ, Link, LinkFault};
use crate::conn::tls::TlsSession;
use crate::error::Phase;
use crate::net::Stream;
use crate::tls;

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
    /// Goes on towards [`Stage::Open`]; true once there. This may run foreign code, and
    /// so block.
    pub(crate) fn establish(&mut self) -> Result<bool, LinkFault> {
        while self.stage != Stage::Open {
            if !self.step()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Goes on in one stage; true when it is over and the next one stands.
    pub(super) fn step(&mut self) -> Result<bool, LinkFault> {
        let is_over = match self.stage {
            Stage::Connect => self.connect()?,
            Stage::ProxyHandshake | Stage::Handshake => self.handshake()?,
            Stage::Tunnel => self.dig()?,
            Stage::Open => true,
        };
        if is_over {
            self.stage = self.next_stage();
            if self.stage == Stage::Open {
                self.planned = None;
            }
        }
        Ok(is_over)
    }

    fn next_stage(&self) -> Stage {
        let detour = self.detour.as_ref();
        let (secure_proxy, asked) = detour.map_or((false, false), |detour| {
            (detour.tls_name().is_some(), detour.is_asked())
        });
        match self.stage {
            Stage::Connect if secure_proxy => Stage::ProxyHandshake,
            Stage::Connect | Stage::ProxyHandshake if asked => Stage::Tunnel,
            Stage::Connect | Stage::ProxyHandshake | Stage::Tunnel if self.planned.is_some() => {
                Stage::Handshake
            }
            _ => Stage::Open,
        }
    }

    /// Whose handshake this stage is.
    pub(super) fn whose(&self) -> Option<(&tls::Client, &str)> {
        match self.stage {
            Stage::ProxyHandshake => self.detour.as_ref()?.tls_name(),
            Stage::Handshake => self
                .planned
                .as_ref()
                .map(|(name, client)| (client, &**name)),
            Stage::Connect | Stage::Tunnel | Stage::Open => None,
        }
    }

    /// Makes the session of this stage, over the one that there is.
    fn begin_session(&mut self) -> Result<(), LinkFault> {
        let Some((client, name)) = self.whose() else {
            return Ok(());
        };
        let mut tls = Box::new(TlsSession::new(client, name)?);
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

    /// True when the handshake is over. What is left to send of it goes out with what
    /// comes next, in one piece: a server that gets it alone wakes up once more.
    fn handshake(&mut self) -> Result<bool, LinkFault> {
        if !self.tls.as_ref().is_some_and(|tls| tls.is_handshaking()) {
            self.begin_session()?;
        }
        let Some(tls) = &mut self.tls else {
            return Ok(true);
        };
        // Where data would go that nobody has asked for yet.
        let mut plain = BytesMut::new();
        let mut taken = 0;
        loop {
            let processed = tls.process(&mut plain, usize::MAX);
            if processed.is_ok() && plain.is_empty() && !tls.is_handshaking() {
                return Ok(true);
            }
            // An alert that was queued tells the server why; sending it is a
            // courtesy, and its own failure is not the news.
            let flushed = self.wire.flush(tls);
            processed?;
            flushed?;
            if !plain.is_empty() {
                let message = "the server sent data before it was asked for any";
                return Err(io::Error::new(io::ErrorKind::InvalidData, message).into());
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
