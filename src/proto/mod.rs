//! Protocols as pure machines: bytes in, bytes out, events out.
//!
//! Nothing below this module knows a socket, a thread, a clock or a channel.
//! A driver (whoever owns the connection at the moment) moves bytes between
//! its link and a machine and reacts to what comes back:
//!
//! * an [`Event`] is something the peer said that the exchange must hear of;
//! * a [`Fault`] is something that went wrong with this one exchange. Input is
//!   never a reason to panic: every byte a peer can send leads to an event, a
//!   fault or a wait for more;
//! * a [`CloseReason`] says why the connection cannot carry another exchange.
//!   It is not an error: most connections that close do so in good order.

use std::fmt;

use bytes::Bytes;

use crate::head::{Fields, ResponseHead};

pub(crate) mod connect;
pub(crate) mod h1;
pub(crate) mod socks;
pub(crate) mod tunnel;
#[cfg(feature = "websocket")]
pub(crate) mod ws;

/// What a machine has read, in the order it arrived.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A 1xx reply; the final one is still to come.
    Informational(ResponseHead),
    /// The head of the final reply (or of an accepted 101).
    Head(ResponseHead),
    /// A piece of the body, free of transfer coding.
    Data(Bytes),
    /// A chunk has ended; only where that is asked for.
    ChunkEnd,
    /// Fields behind a chunked body; comes at most once, before [`Self::End`].
    Trailers(Fields),
    /// The message is complete.
    End,
    /// From here on the connection speaks another protocol (a wanted 101, or
    /// 2xx to CONNECT). Bytes behind the head stay in the input buffer.
    Upgrade,
}

impl fmt::Debug for Event {
    // Bodies and field values may hold secrets; logs get sizes only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Informational(head) => f.debug_tuple("Informational").field(head).finish(),
            Self::Head(head) => f.debug_tuple("Head").field(head).finish(),
            Self::Data(data) => f.debug_tuple("Data").field(&data.len()).finish(),
            Self::Trailers(fields) => f.debug_tuple("Trailers").field(&fields.len()).finish(),
            Self::ChunkEnd => f.write_str("ChunkEnd"),
            Self::End => f.write_str("End"),
            Self::Upgrade => f.write_str("Upgrade"),
        }
    }
}

/// Why a connection cannot be used again (SPEC P2). The first reason found is
/// the one that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CloseReason {
    /// Our own request said `Connection: close`.
    Requested,
    /// The peer said `Connection: close`, or has closed already.
    PeerClosing,
    /// One side speaks HTTP/1.0 and did not offer keep-alive.
    Http10,
    /// The body ends where the connection ends.
    CloseDelimited,
    /// The final reply came before the upload was complete.
    EarlyResponse,
    /// Bytes arrived that no request asked for.
    SurplusBytes,
    /// `Content-Length` stood beside `Transfer-Encoding: chunked`.
    LengthBesideChunked,
    /// The framing was readable, but not something a sound peer sends.
    DoubtfulFraming,
    /// The connection speaks another protocol now.
    Upgraded,
    /// A fault ended the exchange.
    Failed,
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Requested => "the request asked for it",
            Self::PeerClosing => "the peer closes the connection",
            Self::Http10 => "HTTP/1.0 without keep-alive",
            Self::CloseDelimited => "the body was delimited by close",
            Self::EarlyResponse => "the response came before the request body was sent",
            Self::SurplusBytes => "the peer sent bytes nobody asked for",
            Self::LengthBesideChunked => "Content-Length stood beside chunked coding",
            Self::DoubtfulFraming => "the framing of the response was doubtful",
            Self::Upgraded => "the connection was upgraded to another protocol",
            Self::Failed => "the exchange failed",
        })
    }
}

/// What can go wrong in an exchange. All but [`Fault::UploadLength`] are the
/// peer's doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The first bytes cannot begin an HTTP/1 reply; `sample` is their
    /// beginning, escaped to printable ASCII.
    NotHttp {
        sample: Box<str>,
    },
    /// HTTP, but neither 1.0 nor 1.1.
    BadVersion,
    BadHead(HeadFault),
    /// A limit of the head was passed (SPEC S21).
    HeadTooLarge {
        limit: HeadLimit,
        max: usize,
    },
    BadFraming(FramingFault),
    BadChunk(ChunkFault),
    /// A limit of the trailer section was passed; same limits as for heads.
    TrailerTooLarge {
        limit: HeadLimit,
        max: usize,
    },
    /// The peer closed before a whole head had come. Without `partial` not one
    /// byte of a reply had, so the request may never have been read.
    Disconnected {
        partial: bool,
    },
    /// The peer closed inside the body; `expected` is known with a length.
    ShortBody {
        expected: Option<u64>,
        got: u64,
    },
    /// The caller's body is longer or shorter than it declared (SPEC H5).
    UploadLength {
        declared: u64,
        offered: u64,
    },
}

/// What is wrong with a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeadFault {
    StatusLine,
    FieldName,
    FieldValue,
    LineEnd,
    /// A folded line, in strict mode.
    Folded,
    /// A 101 that no request asked for.
    UnaskedUpgrade,
    /// More 1xx replies than anybody needs.
    TooManyInformational,
}

/// Which limit a head has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeadLimit {
    /// Bytes of the status line.
    Line,
    /// Bytes of one field, folded lines included.
    Field,
    /// Number of fields.
    Fields,
    /// Bytes altogether.
    Total,
}

/// Why the length of a body cannot be told (RFC 9112 §6.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FramingFault {
    /// `Content-Length` is not a number, or too large a one.
    InvalidLength,
    /// Several values of `Content-Length` differ.
    ConflictingLengths,
    /// A transfer coding other than chunked.
    UnsupportedCoding(Box<str>),
    /// Readable, but in strict mode that is not enough (SPEC R38).
    Doubtful,
}

/// What is wrong with chunk framing (RFC 9112 §7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChunkFault {
    /// The size is missing or not hexadecimal.
    Size,
    /// The size has more than 16 digits.
    SizeOverflow,
    /// A line does not end in CRLF.
    LineEnd,
    /// One chunk extension, or all of them together, passed the limit.
    ExtensionTooLong,
    /// A trailer field is malformed.
    Trailer,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHttp { sample } => write!(f, "the reply is not HTTP: it begins \"{sample}\""),
            Self::BadVersion => f.write_str("the reply has an unsupported HTTP version"),
            Self::BadHead(fault) => fault.fmt(f),
            Self::HeadTooLarge { limit, max } => {
                write!(f, "{limit} of the response head passes {max}")
            }
            Self::BadFraming(fault) => fault.fmt(f),
            Self::BadChunk(fault) => fault.fmt(f),
            Self::TrailerTooLarge { limit, max } => {
                write!(f, "{limit} of the trailer section passes {max}")
            }
            Self::Disconnected { partial: false } => {
                f.write_str("the server disconnected without a response")
            }
            Self::Disconnected { partial: true } => {
                f.write_str("the server disconnected before the response head was complete")
            }
            Self::ShortBody {
                expected: Some(expected),
                got,
            } => write!(f, "the response body ended after {got} of {expected} bytes"),
            Self::ShortBody {
                expected: None,
                got,
            } => write!(
                f,
                "the chunked response body ended after {got} bytes, before its last chunk"
            ),
            Self::UploadLength { declared, offered } => write!(
                f,
                "the request body has {offered} bytes where {declared} were declared"
            ),
        }
    }
}

impl std::error::Error for Fault {}

impl fmt::Display for HeadFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StatusLine => "the status line is malformed",
            Self::FieldName => "a header field has an invalid name or no colon",
            Self::FieldValue => "a header field has an invalid value",
            Self::LineEnd => "a line of the response head has an invalid end",
            Self::Folded => "a header field is folded",
            Self::UnaskedUpgrade => "the server switches protocols without being asked",
            Self::TooManyInformational => "the server sent too many informational responses",
        })
    }
}

impl fmt::Display for HeadLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Line => "the length of the first line",
            Self::Field => "the length of a field",
            Self::Fields => "the number of fields",
            Self::Total => "the length",
        })
    }
}

impl fmt::Display for FramingFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidLength => f.write_str("the response has an invalid Content-Length"),
            Self::ConflictingLengths => {
                f.write_str("the response has conflicting Content-Length values")
            }
            Self::Doubtful => {
                f.write_str("the response has both a length and chunks, or a transfer coding twice")
            }
            Self::UnsupportedCoding(name) => {
                write!(f, "the response has an unsupported transfer coding: {name}")
            }
        }
    }
}

impl fmt::Display for ChunkFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Size => "a chunk of the response body has an invalid size",
            Self::SizeOverflow => "a chunk of the response body has too large a size",
            Self::LineEnd => "a line of the chunked response body does not end in CRLF",
            Self::ExtensionTooLong => "the chunk extensions of the response body are too long",
            Self::Trailer => "a trailer field of the response is malformed",
        })
    }
}
