//! What goes wrong on a connection, and its one translation into [`Error`].

use std::io;
use std::time::Duration;

use super::link::{LinkFault, Stage};
use super::tls::TlsFault;
use crate::error::{Error, ErrorResponse, Kind, Phase, Timeout};
use crate::job::Route;
use crate::net::Address;
use crate::proto::Fault;
use crate::proto::tunnel::{ProxyFault, Refusal};

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
            LinkFault::Outer(fault) => {
                Self::new(io::ErrorKind::InvalidData, proxy_tls_error(*fault))
            }
            LinkFault::Proxy(fault) => Self::other(fault),
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
            Self::Link(LinkFault::Outer(fault)) => proxy_tls_error(*fault).with_phase(phase),
            // None comes once a link is open.
            Self::Link(LinkFault::Proxy(fault)) => proxy_error(*fault),
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

/// Of a session with a proxy.
fn proxy_tls_error(fault: TlsFault) -> Error {
    fault.into_error().prefixed("TLS with the proxy")
}

/// A proxy that leads nowhere.
fn proxy_error(fault: ProxyFault) -> Error {
    let may_pass = fault.may_pass();
    let error = match fault {
        ProxyFault::Refused(refusal) => {
            let Refusal { head, body } = *refusal;
            let reason = String::from_utf8_lossy(head.reason()).into_owned();
            let status = head.status();
            let message = match reason.is_empty() {
                true => format!("the proxy refused a tunnel: {}", status.as_str()),
                false => format!("the proxy refused a tunnel: {} {reason}", status.as_str()),
            };
            Error::new(Kind::ProxyRefused, message).with_response(ErrorResponse {
                status,
                reason,
                headers: head.to_map(),
                body,
            })
        }
        fault => Error::new(Kind::ProxyConnect, "no way through the proxy")
            .passing(may_pass)
            .with_source(fault),
    };
    error.with_phase(Phase::Proxy)
}

/// The error of one attempt to connect that failed in `stage`, on this way if it
/// was not straight.
pub(crate) fn connect_error(
    fault: LinkFault,
    stage: Stage,
    address: &Address,
    route: Option<&Route>,
) -> Error {
    let error = match (fault, stage) {
        (LinkFault::Tls(fault), Stage::ProxyHandshake | Stage::Tunnel)
        | (LinkFault::Outer(fault), _) => proxy_tls_error(*fault).with_phase(Phase::Tls),
        (LinkFault::Tls(fault), _) => fault.into_error().with_phase(Phase::Tls),
        (LinkFault::Proxy(fault), _) => proxy_error(*fault),
        (LinkFault::Io(error), Stage::Connect) => match route {
            None => Error::new(Kind::Connect, format!("no connection to {address}")),
            Some(_) => {
                let message = format!("no connection to the proxy at {address}");
                Error::new(Kind::ProxyConnect, message).passing(true)
            }
        }
        .with_phase(Phase::Connect)
        .with_source(error),
        (LinkFault::Io(error), Stage::Tunnel) => {
            Error::new(Kind::ProxyConnect, "the connection to the proxy failed")
                .passing(true)
                .with_phase(Phase::Proxy)
                .with_source(error)
        }
        (LinkFault::Io(error), stage) => {
            let message = match stage {
                Stage::ProxyHandshake => "the connection to the proxy failed",
                _ => "the connection failed",
            };
            Error::new(Kind::Tls, message)
                .with_phase(Phase::Tls)
                .with_source(error)
        }
    };
    error.with_peer(address.ip()).with_path(address.path())
}
