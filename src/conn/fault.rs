//! What goes wrong on a connection, and its one translation into [`Error`].

use std::io;
use std::time::Duration;

use super::link::{LinkFault, Stage};
use crate::error::{Error, Kind, Phase, Timeout};
use crate::net::Address;
use crate::proto::Fault;

#[derive(Debug)]
pub(crate) enum ConnFault {
    Link(LinkFault),
    Peer(Fault),
    /// The request body cannot go on.
    Upload(Error),
    /// TLS ended without `close_notify` inside a body that only the end delimits.
    Truncated,
    /// T1, and its length.
    Total(Option<Duration>),
    /// T4, likewise.
    SockRead(Option<Duration>),
    /// T6, likewise.
    Limit(Timeout, Option<Duration>),
}

impl From<LinkFault> for ConnFault {
    fn from(fault: LinkFault) -> Self {
        Self::Link(fault)
    }
}

/// Where no exchange is any more.
impl From<LinkFault> for io::Error {
    fn from(fault: LinkFault) -> Self {
        match fault {
            LinkFault::Io(error) => error,
            LinkFault::Tls(fault) => Self::new(io::ErrorKind::InvalidData, fault.into_error()),
        }
    }
}

impl From<Fault> for ConnFault {
    fn from(fault: Fault) -> Self {
        Self::Peer(fault)
    }
}

impl ConnFault {
    /// The error of an exchange that stood in `phase` when this happened.
    pub(crate) fn into_error(self, phase: Phase) -> Error {
        let in_body = phase == Phase::Body;
        match self {
            Self::Total(length) => Error::timed_out(Timeout::Total, length, phase),
            Self::Limit(which, length) => Error::timed_out(which, length, phase),
            Self::SockRead(gap) => Error::timed_out(Timeout::SockRead, gap, phase),
            Self::Truncated => Error::new(
                Kind::Payload,
                "TLS ended without close_notify inside the body",
            )
            .broken_off()
            .with_phase(Phase::Body),
            Self::Link(LinkFault::Tls(fault)) => fault.into_error().with_phase(phase),
            Self::Link(LinkFault::Io(error)) => {
                let kind = match error.kind() {
                    _ if in_body => Kind::Payload,
                    io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::BrokenPipe
                    | io::ErrorKind::UnexpectedEof => Kind::Disconnected,
                    _ => Kind::Io,
                };
                let message = match kind {
                    Kind::Payload => "the body broke off",
                    Kind::Disconnected => "the server closed the connection",
                    _ => "the connection failed",
                };
                let fault = Error::new(kind, message)
                    .with_phase(phase)
                    .with_source(error);
                match kind {
                    Kind::Payload => fault.broken_off(),
                    _ => fault,
                }
            }
            Self::Upload(error) => error,
            Self::Peer(fault) => peer_error(fault, phase),
        }
    }
}

fn peer_error(fault: Fault, phase: Phase) -> Error {
    let (kind, message) = match &fault {
        Fault::Disconnected { .. } => (Kind::Disconnected, "the server closed the connection"),
        Fault::ShortBody { .. } => (Kind::Payload, "the body broke off"),
        Fault::BadChunk { .. } => (Kind::Payload, "the body's chunked framing is damaged"),
        Fault::HeadTooLarge { .. } => (Kind::Limit, "the response head is too large"),
        Fault::TrailerTooLarge { .. } => (Kind::Limit, "the trailers are too large"),
        Fault::UploadLength { .. } => (
            Kind::InvalidRequest,
            "the request body does not have the announced length",
        ),
        _ => (Kind::Protocol, "the reply is not valid HTTP"),
    };
    let phase = match fault {
        Fault::UploadLength { .. } => Phase::Send,
        _ => phase,
    };
    let broken_off = matches!(fault, Fault::ShortBody { .. });
    let error = Error::new(kind, message)
        .with_phase(phase)
        .with_source(fault);
    match broken_off {
        true => error.broken_off(),
        false => error,
    }
}

/// The error of one attempt to connect that failed in `stage`.
pub(crate) fn connect_error(fault: LinkFault, stage: Stage, address: &Address) -> Error {
    let error = match (fault, stage) {
        (LinkFault::Tls(fault), _) => fault.into_error().with_phase(Phase::Tls),
        (LinkFault::Io(error), Stage::Connect) => {
            Error::new(Kind::Connect, format!("no connection to {address}"))
                .with_phase(Phase::Connect)
                .with_source(error)
        }
        (LinkFault::Io(error), _) => Error::new(Kind::Tls, "the connection failed")
            .with_phase(Phase::Tls)
            .with_source(error),
    };
    error.with_peer(address.ip()).with_path(address.path())
}
