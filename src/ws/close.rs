//! How a WebSocket ends: codes and reasons (RFC 6455 §7.4).

use std::fmt;

use bytes::Bytes;
use tungstenite::protocol::frame::coding::CloseCode as Known;

use super::frame::MAX_CONTROL;
use super::{Utf8Bytes, Violation};

/// Why a WebSocket was closed, as a number (RFC 6455 §7.4.1, SPEC W10).
///
/// Any number can be made into one, for a peer may send any; which of them may
/// stand on the wire is checked when a close is sent or received. 3000 to 3999 are
/// registered by libraries and frameworks, 4000 to 4999 are free for programs.
///
/// ```
/// use miohttp::CloseCode;
///
/// assert_eq!(CloseCode::NORMAL, 1000);
/// assert_eq!(u16::from(CloseCode::from(4001)), 4001);
/// assert_eq!(CloseCode::TOO_BIG.to_string(), "1009");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: what the connection was made for is done.
    pub const NORMAL: Self = Self(1000);
    /// 1001: one side goes away: a server that shuts down, a program that ends.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: one side broke the protocol.
    pub const PROTOCOL: Self = Self(1002);
    /// 1003: data of a type that is not taken.
    pub const UNSUPPORTED: Self = Self(1003);
    /// 1005: the close that was received had no code. Never sent.
    pub const NO_STATUS: Self = Self(1005);
    /// 1006: the connection ended without a close. Never sent.
    pub const ABNORMAL: Self = Self(1006);
    /// 1007: data that is not what its type says, such as text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// 1008: a message against the receiver's policy; for what no other code fits.
    pub const POLICY: Self = Self(1008);
    /// 1009: a message that is too large.
    pub const TOO_BIG: Self = Self(1009);
    /// 1010: the server did not agree to an extension that the client needs.
    pub const MISSING_EXTENSION: Self = Self(1010);
    /// 1011: the server met something that it was not prepared for.
    pub const INTERNAL: Self = Self(1011);
    /// 1012: the server restarts.
    pub const SERVICE_RESTART: Self = Self(1012);
    /// 1013: the server has too much to do; later it may go well.
    pub const TRY_AGAIN_LATER: Self = Self(1013);

    /// Whether it may stand in a close frame (RFC 6455 §7.4): what is registered,
    /// and what is left to libraries and programs.
    pub(crate) fn may_be_sent(self) -> bool {
        // 1014 was registered (a gateway's bad answer) after the list was made.
        Known::from(self.0).is_allowed() || self.0 == 1014
    }
}

impl From<u16> for CloseCode {
    fn from(code: u16) -> Self {
        Self(code)
    }
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> Self {
        code.0
    }
}

impl PartialEq<u16> for CloseCode {
    fn eq(&self, other: &u16) -> bool {
        self.0 == *other
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a close frame says (RFC 6455 §5.5.1): a code and a reason.
///
/// ```
/// use miohttp::{CloseCode, CloseFrame};
///
/// let close = CloseFrame { code: CloseCode::GOING_AWAY, reason: "restart".into() };
/// assert_eq!(close.to_string(), "1001 (restart)");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CloseFrame {
    /// Why, for programs.
    pub code: CloseCode,
    /// Why, for people: at most 123 bytes, often empty.
    pub reason: Utf8Bytes,
}

/// The bytes of a reason that fit beside the code.
pub(crate) const MAX_REASON: usize = MAX_CONTROL - 2;

impl CloseFrame {
    /// What the payload of a close frame says; `None` if it is empty.
    pub(crate) fn parse(payload: &Bytes) -> Result<Option<Self>, Violation> {
        let Some((code, reason)) = payload.split_first_chunk() else {
            return match payload.len() {
                0 => Ok(None),
                _ => Err(Violation::protocol("a close frame has half a code")),
            };
        };
        let code = CloseCode(u16::from_be_bytes(*code));
        if !code.may_be_sent() {
            let message = format!("a close frame has the code {code}, which may not be sent");
            return Err(Violation::protocol(message));
        }
        let reason = Utf8Bytes::try_from(payload.slice_ref(reason))
            .map_err(|_| Violation::payload("the reason of a close frame is not UTF-8"))?;
        Ok(Some(Self { code, reason }))
    }

    /// Why it may not be sent, if it may not.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        if !self.code.may_be_sent() {
            Some("this code may not stand in a close frame")
        } else if self.reason.len() > MAX_REASON {
            Some("the reason of a close frame is longer than 123 bytes")
        } else {
            None
        }
    }
}

impl fmt::Display for CloseFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.code.fmt(f)?;
        if !self.reason.is_empty() {
            write!(f, " ({})", self.reason)?;
        }
        Ok(())
    }
}
