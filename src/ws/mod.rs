//! The pure parts of WebSockets (RFC 6455, RFC 7692): frames, messages and the
//! opening handshake. Bytes in, values out.
//!
//! ```text
//!  bytes of the server ─► proto::ws::Machine ─► runs of data frames ─► Assembler ─► Message
//!                         (the connection's driver)                   (the reader's thread)
//!  Message ─► Frame::data, masked ─► bytes
//!           (the sender's thread)
//! ```
//!
//! Both ends of the upper line hold the frames to the same rules, which stand in
//! [`frame`]: what one header may say in [`Header::parse`](frame::Header::parse), what
//! may follow what in [`Sequence`](frame::Sequence). What breaks one is a
//! [`Violation`], and names the code to close with.

mod assembler;
mod close;
mod encoder;
pub(crate) mod extension;
pub(crate) mod frame;
mod gather;
pub(crate) mod handshake;
pub(crate) mod keys;
mod mask;
mod message;
mod utf8;
mod utf8_bytes;

use std::borrow::Cow;

pub(crate) use self::assembler::Assembler;
pub use self::close::{CloseCode, CloseFrame};
pub(crate) use self::encoder::Encoder;
pub(crate) use self::frame::Frame;
pub use self::message::Message;
pub use self::utf8_bytes::Utf8Bytes;
use crate::error::{Error, Kind};

/// What the server did against the rules, and the code that tells it so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// What the connection is closed with.
    pub(crate) code: CloseCode,
    pub(crate) message: Cow<'static, str>,
}

impl Violation {
    /// 1002: RFC 6455 does not have it so.
    #[cold]
    pub(crate) fn protocol(message: impl Into<Cow<'static, str>>) -> Self {
        let message = message.into();
        let code = CloseCode::PROTOCOL;
        Self { code, message }
    }

    /// 1007: what should be text is none, or what should be deflated is not.
    #[cold]
    pub(crate) fn payload(message: impl Into<Cow<'static, str>>) -> Self {
        let message = message.into();
        let code = CloseCode::INVALID_PAYLOAD;
        Self { code, message }
    }

    /// 1009: a message of more than `max` bytes.
    #[cold]
    pub(crate) fn too_big(max: usize) -> Self {
        let message = format!("a message is larger than {max} bytes").into();
        let code = CloseCode::TOO_BIG;
        Self { code, message }
    }
}

impl From<Violation> for Error {
    fn from(violation: Violation) -> Self {
        Self::new(Kind::WebSocket, violation.message)
    }
}
