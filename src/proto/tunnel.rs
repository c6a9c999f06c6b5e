//! Asking a proxy for a way to an origin: what is said before the connection
//! is the origin's.
//!
//! A [`Dialog`] is one such talk, [`connect`](super::connect) or
//! [`socks`](super::socks). The law of use: write what stands in `out`, give it
//! what comes by [`Dialog::receive`], and change the input only by appending.
//! What it leaves there after [`Step::Open`] is the origin's, not one byte more
//! or less.

use std::fmt;

use bytes::{Bytes, BytesMut};
use http::HeaderValue;

use super::Fault;
use super::h1::Limits;
use super::socks::SocksFault;
use crate::head::ResponseHead;

pub(crate) trait Dialog: fmt::Debug + Send {
    /// Takes what it can of the input, and says what comes of it. An answer of
    /// its own goes behind what waits in `out`.
    fn receive(&mut self, input: &mut BytesMut, out: &mut Vec<u8>) -> Result<Step, ProxyFault>;

    /// The proxy sends no more, or nobody waits for the rest of a refusal any
    /// longer.
    fn end(&mut self, input: &mut BytesMut) -> ProxyFault;
}

/// Where a dialog stands.
#[derive(Debug)]
pub(crate) enum Step {
    /// More has to come.
    More,
    /// It is refused, which more may come to explain.
    Refused,
    /// The rest is the origin's. With the head of the reply, where it has one.
    Open(Option<ResponseHead>),
}

/// Where a proxy is asked to lead, and what this asking has of its own.
#[derive(Clone, Copy)]
pub(crate) struct Goal<'a> {
    /// A name, or an IP literal without brackets.
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    /// What is to be told in its place.
    pub(crate) address: Option<Octets>,
    /// What a CONNECT says for itself, in the place of what all others say.
    pub(crate) authorization: Option<&'a HeaderValue>,
    /// Of the reply's head.
    pub(crate) limits: Limits,
}

/// An IP address, as it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Octets {
    V4([u8; 4]),
    V6([u8; 16]),
}

/// Why there is no way through a proxy.
#[derive(Debug)]
pub(crate) enum ProxyFault {
    /// Another status than 2xx.
    Refused(Box<Refusal>),
    /// What it said to a CONNECT is no reply, or not a whole one.
    Http(Fault),
    Socks(SocksFault),
}

/// A refused CONNECT, and as much of the explanation as came.
pub(crate) struct Refusal {
    pub(crate) head: ResponseHead,
    pub(crate) body: Bytes,
}

impl ProxyFault {
    /// Whether the proxy has decided, and would not do otherwise at another of
    /// its addresses.
    pub(crate) fn is_refusal(&self) -> bool {
        match self {
            Self::Refused(_) => true,
            Self::Socks(fault) => fault.is_refusal(),
            Self::Http(_) => false,
        }
    }

    /// Whether the same may fare better later.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            // Its status says so.
            Self::Refused(_) => false,
            Self::Socks(fault) => fault.may_pass(),
            Self::Http(fault) => matches!(fault, Fault::Disconnected { .. }),
        }
    }
}

impl fmt::Display for ProxyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => write!(f, "the proxy answered {}", refusal.head.status()),
            // The words of a fault are those of a server's reply.
            Self::Http(Fault::Disconnected { partial: false }) => {
                f.write_str("the proxy disconnected without a reply")
            }
            Self::Http(Fault::Disconnected { partial: true }) => {
                f.write_str("the proxy disconnected before its reply was complete")
            }
            Self::Http(_) => f.write_str("what the proxy replied to CONNECT cannot be read"),
            Self::Socks(fault) => fault.fmt(f),
        }
    }
}

impl std::error::Error for ProxyFault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Http(Fault::Disconnected { .. }) | Self::Refused(_) | Self::Socks(_) => None,
            Self::Http(fault) => Some(fault),
        }
    }
}

impl fmt::Debug for Refusal {
    // Bodies may hold anything.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusal")
            .field("head", &self.head)
            .field("body", &self.body.len())
            .finish()
    }
}

#[cfg(test)]
pub(super) mod tests;
