//! One TLS client session: ciphertext in and out of our own buffers, and no I/O.
//!
//! ```text
//!   socket ─────► inbound ─────────────── process ─► plaintext (the caller's buffer)
//!   socket ◄─ outgoing/consume  ◄─ outbound ◄─ encrypt ─ plaintext
//! ```
//!
//! The driver's law: after every read, and after every drain of the plaintext
//! buffer, call [`process`](TlsSession::process); after every call of anything, write
//! [`outgoing`](TlsSession::outgoing) to the socket; wait for the socket to become
//! readable only while [`has_buffered`](TlsSession::has_buffered) is false.
//!
//! rustls decrypts and reassembles *inside* the buffer it is lent and remembers
//! positions from its front. Two rules follow, and the rest of the file obeys them:
//!
//! - What it has not told us to discard stays, and stays at the front.
//! - A call that only wants to write still lends a slice, and it has to be one in which
//!   nothing is left to be found, or plaintext would come out where nobody takes it.
//!   That is the part it has already searched in vain (`Receiving::Open { seen }`), or
//!   the empty slice if we stopped right behind a record of data (`Held`): handshake
//!   messages cannot be interleaved with data (RFC 8446 §5.1), so rustls then holds no
//!   position in the buffer.
//!
//! A fault is final. The alert that rustls queued with it still lies in `outgoing`.
//!
//! Memory: at most one incomplete record (16 KiB and its overhead), or one handshake
//! message of 64 KiB, waits in `inbound`. Room is made for what is about to be read,
//! never for a length that the peer announced. An idle session gives both buffers back
//! ([`release_buffers`](TlsSession::release_buffers)).

use std::fmt;
use std::net::IpAddr;

use bytes::BytesMut;
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::pki_types::ServerName;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, InsufficientSizeError,
    UnbufferedStatus, WriteTraffic,
};
use rustls::{CipherSuite, HandshakeKind, InvalidMessage, NamedGroup, ProtocolVersion};

use crate::job::TlsInfo;
use crate::sync::lock;
use crate::tls::Client;

mod contain;
mod fault;
mod window;

pub(crate) use fault::TlsFault;
use window::{Inbound, Window};

/// Most plaintext in one record (RFC 8446 §5.1).
const MAX_PLAINTEXT: usize = 16 * 1024;

/// Most that a record may add to its plaintext (RFC 5246 §6.2.3; TLS 1.3 allows 256).
const MAX_EXPANSION: usize = 2048;

/// Header: type, version, length.
const HEADER: usize = 5;

/// What our own suites really add to a record, header included: at most 5 + 8 + 16
/// (TLS 1.2 AES-GCM). Only a first guess; rustls names the exact size if it is wrong.
const OVERHEAD: usize = 32;

/// Ciphertext that may wait for the rest of a handshake message. rustls refuses messages
/// above 64 KiB, but a peer may cut one into records of a byte each, and all of them
/// stay in the buffer until it is whole. Real chains come in a few full records.
const MAX_INBOUND: usize = 128 * 1024;

/// A TLS client session over its own ciphertext buffers.
pub(crate) struct TlsSession {
    client: Client,
    connection: UnbufferedClientConnection,
    server_name: Box<str>,
    inbound: Inbound,
    outbound: Window,
    receiving: Receiving,
    sending: Sending,
}

enum Receiving {
    /// rustls has searched the first `seen` bytes of `inbound` and wants more.
    Open { seen: usize },
    /// The plaintext limit was reached right behind a record of data, and another
    /// complete record follows.
    Held,
    /// The peer's close_notify arrived: nothing after it counts (RFC 8446 §6.1).
    Closed,
    /// We sent close_notify and read no more. rustls takes that alert for its last one
    /// and asserts so if a later record made it queue another.
    Abandoned,
    /// Final.
    Failed(TlsFault),
}

enum Sending {
    Open,
    /// Our close_notify is queued or sent.
    Closed,
}

/// What one call of [`TlsSession::process`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Plaintext bytes appended. Zero with bytes read is normal: tickets, key updates.
    pub(crate) received: usize,
    /// The limit stopped it: another complete record is waiting inside.
    pub(crate) more: bool,
}

impl TlsSession {
    /// Starts a session with `server_name`: a host name or an IP address, the latter
    /// without brackets. The ClientHello lies in [`outgoing`](Self::outgoing) at once.
    pub(crate) fn new(client: &Client, server_name: &str) -> Result<Self, TlsFault> {
        let name = parse_name(server_name)?;
        let make = || {
            UnbufferedClientConnection::new(client.config().clone(), name)
                .map_err(TlsFault::Handshake)
        };
        let connection = match client.is_foreign() {
            false => make()?,
            true => contain::contain(make)?,
        };
        let mut session = Self {
            client: client.clone(),
            connection,
            server_name: server_name.into(),
            inbound: Inbound::default(),
            outbound: Window::default(),
            receiving: Receiving::Open { seen: 0 },
            sending: Sending::Open,
        };
        session.receive(&mut BytesMut::new(), usize::MAX)?;
        Ok(session)
    }

    /// Where the driver appends ciphertext, with room for at least `len` bytes. Do not
    /// read while [`has_buffered`](Self::has_buffered): that is the backpressure.
    pub(crate) fn inbound(&mut self, len: usize) -> &mut Vec<u8> {
        self.inbound.tail(len)
    }

    /// Takes all complete records: appends decrypted data to `plain`, queues replies.
    ///
    /// Stops before the next record once `plain` holds `limit` bytes or more, and says so
    /// in [`Progress::more`]; a record is never cut, so `plain` may exceed the limit by
    /// up to 16 KiB. The handshake knows no limit. When `more` is false, everything that
    /// can be done without further input has been done. A fault repeats on every call.
    pub(crate) fn process(
        &mut self,
        plain: &mut BytesMut,
        limit: usize,
    ) -> Result<Progress, TlsFault> {
        match &self.receiving {
            Receiving::Failed(fault) => return Err(fault.clone()),
            Receiving::Closed | Receiving::Abandoned => {
                self.inbound.clear();
                return Ok(Progress::default());
            }
            Receiving::Open { seen } if *seen == self.inbound.len() => {
                return Ok(Progress::default());
            }
            Receiving::Open { .. } | Receiving::Held => {}
        }
        let handshaking = self.is_handshaking();
        if !handshaking && plain.len() >= limit {
            return Ok(Progress {
                received: 0,
                more: self.has_buffered(),
            });
        }
        let before = plain.len();
        let more = self.receive(plain, limit)?;
        if handshaking && !self.is_handshaking() {
            self.check_protocol()?;
        }
        Ok(Progress {
            received: plain.len() - before,
            more,
        })
    }

    /// Encrypts a prefix of `data` and returns its length. Stops when about
    /// `max_outgoing` bytes wait in [`outgoing`](Self::outgoing), exceeding it by at most
    /// a record. Returns 0 while handshaking and while the buffer is full.
    pub(crate) fn encrypt(&mut self, data: &[u8], max_outgoing: usize) -> Result<usize, TlsFault> {
        if let Receiving::Failed(fault) = &self.receiving {
            return Err(fault.clone());
        }
        if matches!(self.sending, Sending::Closed) {
            return Err(TlsFault::Ended);
        }
        let budget = max_outgoing.saturating_sub(self.outbound.len());
        if data.is_empty() || budget == 0 || self.is_handshaking() {
            return Ok(0);
        }
        // Whole records, or a nearly full buffer would yield ever smaller ones.
        let budget = budget.div_ceil(MAX_PLAINTEXT).saturating_mul(MAX_PLAINTEXT);
        let chunk = data.get(..budget).unwrap_or(data);
        let records = chunk.len().div_ceil(MAX_PLAINTEXT);
        let guess = chunk.len().saturating_add(records * OVERHEAD);
        let written = self.write(guess, |traffic, space| traffic.encrypt(chunk, space))?;
        Ok(if written { chunk.len() } else { 0 })
    }

    /// Ciphertext to be written to the socket.
    pub(crate) fn outgoing(&self) -> &[u8] {
        self.outbound.filled()
    }

    /// Removes `len` written bytes from [`outgoing`](Self::outgoing).
    pub(crate) fn consume_outgoing(&mut self, len: usize) {
        self.outbound.consume(len);
    }

    /// Whether application data cannot flow yet.
    pub(crate) fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Queues close_notify, after everything encrypted so far, and ends the session: what
    /// arrives from here on is ignored, since nobody waits for the answer (S23). Does
    /// nothing during the handshake, after a fault and the second time.
    pub(crate) fn queue_close_notify(&mut self) {
        let failed = matches!(self.receiving, Receiving::Failed(_));
        if failed || self.is_handshaking() || matches!(self.sending, Sending::Closed) {
            return;
        }
        // A fault is kept in `receiving` by `write`; there is nobody to hear of it here.
        if let Ok(true) = self.write(2 * OVERHEAD, |traffic, space| {
            traffic.queue_close_notify(space)
        }) {
            self.sending = Sending::Closed;
            if !self.peer_closed() {
                self.receiving = Receiving::Abandoned;
            }
            self.inbound.clear();
        }
    }

    /// Whether the peer's close_notify was received. A close-delimited body that ends
    /// without it was cut short (RFC 9112 §9.8, R41).
    pub(crate) fn peer_closed(&self) -> bool {
        matches!(self.receiving, Receiving::Closed)
    }

    /// Reports the socket's end of file; call it after `process` has taken what was read.
    /// A fault during the handshake. Afterwards the end of file is the business of the
    /// protocol above, which asks [`peer_closed`](Self::peer_closed).
    pub(crate) fn eof(&mut self) -> Result<(), TlsFault> {
        if let Receiving::Failed(fault) = &self.receiving {
            return Err(fault.clone());
        }
        if self.is_handshaking() {
            self.receiving = Receiving::Failed(TlsFault::Closed);
            return Err(TlsFault::Closed);
        }
        Ok(())
    }

    /// Whether `process` could do something without further input. A driver must not
    /// wait for the socket then: it may never become readable again.
    pub(crate) fn has_buffered(&self) -> bool {
        match self.receiving {
            Receiving::Open { seen } => self.inbound.len() > seen,
            Receiving::Held => true,
            Receiving::Closed | Receiving::Abandoned | Receiving::Failed(_) => false,
        }
    }

    /// Whether a part of a record, or of a message over several, has come and the rest
    /// has not.
    pub(crate) fn has_begun(&self) -> bool {
        !self.inbound.is_empty()
    }

    /// Whether that would give much back.
    #[cfg(feature = "websocket")]
    pub(crate) fn holds_buffers(&self) -> bool {
        self.inbound.is_roomy() || self.outbound.is_roomy()
    }

    /// Gives the empty parts of both buffers back: for a connection that becomes idle.
    /// Costs an allocation at the next use, and loses nothing that is still inside.
    pub(crate) fn release_buffers(&mut self) {
        self.inbound.release();
        self.outbound.release();
    }

    /// The negotiated version, `"TLSv1.2"` or `"TLSv1.3"`.
    fn version(&self) -> Option<&'static str> {
        match self.connection.protocol_version()? {
            ProtocolVersion::TLSv1_2 => Some("TLSv1.2"),
            ProtocolVersion::TLSv1_3 => Some("TLSv1.3"),
            _ => None,
        }
    }

    /// Whether it may run foreign code.
    fn is_foreign(&self) -> bool {
        self.client.is_foreign()
    }

    /// What the handshake has settled; `None` before that.
    pub(crate) fn info(&self) -> Option<TlsInfo> {
        let suite = self.connection.negotiated_cipher_suite()?.suite();
        let group = self.connection.negotiated_key_exchange_group();
        let certificates = self.connection.peer_certificates().unwrap_or_default();
        Some(TlsInfo {
            version: self.version()?,
            cipher_suite: suite_name(suite),
            key_exchange: group.and_then(|group| group_name(group.name())),
            alpn: self.connection.alpn_protocol().map(<[u8]>::to_vec),
            peer_certificates: lock(self.client.chains()).share(certificates),
            server_name: self.server_name.clone(),
            resumed: self.connection.handshake_kind() == Some(HandshakeKind::Resumed),
        })
    }

    /// A server may choose what we do not speak, if it was offered. What is not the name
    /// of another HTTP is taken for one of the caller's, with HTTP/1.1 behind it.
    #[cold]
    fn check_protocol(&mut self) -> Result<(), TlsFault> {
        let protocol = self.connection.alpn_protocol().unwrap_or_default();
        let other = matches!(protocol, b"h2" | b"h2c" | b"h3")
            || protocol.starts_with(b"h3-")
            || protocol.starts_with(b"spdy/");
        if other {
            let fault = TlsFault::Protocol(protocol.to_vec());
            self.inbound.clear();
            self.receiving = Receiving::Failed(fault.clone());
            return Err(fault);
        }
        Ok(())
    }

    /// Runs rustls over everything in `inbound`. True if `limit` stopped it.
    fn receive(&mut self, plain: &mut BytesMut, limit: usize) -> Result<bool, TlsFault> {
        match self.is_foreign() {
            false => self.take_records(plain, limit),
            true => self.contained(|session| session.take_records(plain, limit)),
        }
    }

    fn take_records(&mut self, plain: &mut BytesMut, limit: usize) -> Result<bool, TlsFault> {
        loop {
            let incoming = self.inbound.front_mut(usize::MAX);
            let UnbufferedStatus { mut discard, state } =
                self.connection.process_tls_records(incoming);
            let step = match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => loop {
                    match traffic.next_record() {
                        None => break Ok(Step::Data),
                        Some(Ok(record)) => {
                            discard += record.discard;
                            plain.extend_from_slice(record.payload);
                        }
                        Some(Err(error)) => break Err(error),
                    }
                },
                Ok(ConnectionState::EncodeTlsData(mut reply)) => {
                    encode(&mut reply, &mut self.outbound).map(|()| Step::Reply)
                }
                Ok(ConnectionState::TransmitTlsData(sent)) => {
                    // "Transmitted" means that it is ours now.
                    sent.done();
                    Ok(Step::Reply)
                }
                Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => Ok(Step::Closed),
                // Blocked, ready to write, or a state this client cannot be in (early
                // data is a server's): all mean that nothing is left to be done.
                Ok(_) => Ok(Step::Idle),
                Err(error) => Err(error),
            };
            self.inbound.consume(discard);
            match step.map_err(|error| self.fail(error))? {
                Step::Reply => {}
                Step::Data if plain.len() >= limit && starts_with_record(self.inbound.filled()) => {
                    self.receiving = Receiving::Held;
                    return Ok(true);
                }
                Step::Data => {}
                Step::Closed => {
                    self.inbound.clear();
                    self.receiving = Receiving::Closed;
                    return Ok(false);
                }
                Step::Idle => {
                    let seen = self.inbound.len();
                    if seen > MAX_INBOUND {
                        let error = InvalidMessage::HandshakePayloadTooLarge;
                        return Err(self.fail(error.into()));
                    }
                    self.receiving = Receiving::Open { seen };
                    return Ok(false);
                }
            }
        }
    }

    /// Lets `put` write into `outbound`, `guess` bytes or as many as it asks for. False if
    /// the session cannot write now.
    fn write(
        &mut self,
        guess: usize,
        put: impl Fn(
            &mut WriteTraffic<'_, ClientConnectionData>,
            &mut [u8],
        ) -> Result<usize, EncryptError>,
    ) -> Result<bool, TlsFault> {
        match self.is_foreign() {
            false => self.put_records(guess, put),
            true => self.contained(|session| session.put_records(guess, put)),
        }
    }

    fn put_records(
        &mut self,
        guess: usize,
        put: impl Fn(
            &mut WriteTraffic<'_, ClientConnectionData>,
            &mut [u8],
        ) -> Result<usize, EncryptError>,
    ) -> Result<bool, TlsFault> {
        loop {
            // See the module's head: lend only what has nothing left to be found in it.
            let searched = match self.receiving {
                Receiving::Open { seen } => seen,
                _ => 0,
            };
            let incoming = self.inbound.front_mut(searched);
            let UnbufferedStatus { discard, state } = self.connection.process_tls_records(incoming);
            let done = match state {
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    match put(&mut traffic, self.outbound.spare(guess)) {
                        // A key update that waits to be sent comes first and takes room.
                        Err(EncryptError::InsufficientSize(InsufficientSizeError {
                            required_size,
                        })) => put(&mut traffic, self.outbound.spare(required_size)),
                        result => result,
                    }
                    .map(|written| {
                        self.outbound.advance(written);
                        Some(true)
                    })
                    .map_err(|_| rustls::Error::EncryptError)
                }
                Ok(ConnectionState::EncodeTlsData(mut reply)) => {
                    encode(&mut reply, &mut self.outbound).map(|()| None)
                }
                Ok(ConnectionState::TransmitTlsData(sent)) => {
                    sent.done();
                    Ok(None)
                }
                Ok(_) => Ok(Some(false)),
                Err(error) => Err(error),
            };
            self.inbound.consume(discard);
            if let Receiving::Open { seen } = &mut self.receiving {
                *seen = seen.saturating_sub(discard);
            }
            if let Some(written) = done.map_err(|error| self.fail(error))? {
                return Ok(written);
            }
        }
    }

    /// Makes `error` final and moves the alert that came with it to `outbound`.
    fn fail(&mut self, error: rustls::Error) -> TlsFault {
        // rustls hands out waiting replies before it looks at the input, and without input
        // it must not look at it: its positions would point behind the slice.
        while self.connection.wants_write() {
            let UnbufferedStatus { state, .. } = self.connection.process_tls_records(&mut []);
            let Ok(ConnectionState::EncodeTlsData(mut alert)) = state else {
                break;
            };
            if encode(&mut alert, &mut self.outbound).is_err() {
                break;
            }
        }
        self.inbound.clear();
        let fault = TlsFault::classify(error, &self.server_name, self.is_handshaking());
        self.receiving = Receiving::Failed(fault.clone());
        fault
    }
}

impl fmt::Debug for TlsSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let receiving = match &self.receiving {
            Receiving::Open { .. } => "open",
            Receiving::Held => "held",
            Receiving::Closed => "closed",
            Receiving::Abandoned => "abandoned",
            Receiving::Failed(_) => "failed",
        };
        f.debug_struct("TlsSession")
            .field("handshaking", &self.is_handshaking())
            .field("version", &self.version())
            .field("receiving", &receiving)
            .field("inbound", &self.inbound.len())
            .field("outbound", &self.outbound.len())
            .finish_non_exhaustive()
    }
}

/// What one status of rustls amounts to.
enum Step {
    Data,
    Reply,
    Closed,
    Idle,
}

fn encode(
    reply: &mut EncodeTlsData<'_, ClientConnectionData>,
    outbound: &mut Window,
) -> Result<(), rustls::Error> {
    let written = match reply.encode(outbound.spare(0)) {
        Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) => {
            reply.encode(outbound.spare(required_size))
        }
        result => result,
    };
    match written {
        Ok(written) => outbound.advance(written),
        // Encoded once per status and with the room it asked for: cannot happen.
        Err(error) => return Err(rustls::Error::General(error.to_string())),
    }
    Ok(())
}

/// Whether `buffer` begins with a complete record, or with something so wrong that
/// rustls refuses it without waiting for the rest.
fn starts_with_record(buffer: &[u8]) -> bool {
    let Some((&[_, _, _, high, low], payload)) = buffer.split_first_chunk::<HEADER>() else {
        return false;
    };
    let announced = usize::from(u16::from_be_bytes([high, low]));
    announced > MAX_PLAINTEXT + MAX_EXPANSION || payload.len() >= announced
}

/// Its IANA name; rustls names those of TLS 1.3 in its own way.
fn suite_name(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        suite => suite.as_str().unwrap_or_default(),
    }
}

/// Likewise.
fn group_name(group: NamedGroup) -> Option<&'static str> {
    match group {
        NamedGroup::X25519 => Some("x25519"),
        NamedGroup::secp256r1MLKEM768 => Some("SecP256r1MLKEM768"),
        group => group.as_str(),
    }
}

fn parse_name(name: &str) -> Result<ServerName<'static>, TlsFault> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(ServerName::from(address));
    }
    // The root's dot belongs to DNS; neither SNI nor certificates have it (RFC 6066 §3).
    let host = name.strip_suffix('.').unwrap_or(name);
    ServerName::try_from(host.to_owned()).map_err(|_| TlsFault::BadName(name.to_owned()))
}

#[cfg(test)]
mod tests;
