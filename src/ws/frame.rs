//! Frames (RFC 6455 §5.2): the headers of the server's, and whole ones of ours.

use std::fmt;

use bytes::Bytes;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::close::MAX_REASON;
use super::{CloseFrame, Violation, keys, mask};

/// The payload of a control frame at most (RFC 6455 §5.5).
pub(crate) const MAX_CONTROL: usize = 125;

/// The header of a masked frame at most.
const LONGEST_HEADER: usize = 14;

/// Payloads up to this size are copied behind their header; larger ones stay where
/// they are if nobody else has them.
const SMALL: usize = 4 * 1024;

/// And such frames are put together up to this size: one piece of memory, and one to be
/// written.
const TOGETHER: usize = 64 * 1024;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    /// Whether frames of this kind may stand between those of a message.
    pub(crate) fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }

    /// What the lower half of a frame's first byte says; `None` for what is reserved.
    #[inline]
    fn of(first: u8) -> Option<Self> {
        match first & 0xf {
            0 => Some(Self::Continuation),
            1 => Some(Self::Text),
            2 => Some(Self::Binary),
            8 => Some(Self::Close),
            9 => Some(Self::Ping),
            10 => Some(Self::Pong),
            _ => None,
        }
    }

    fn code(self) -> OpCode {
        match self {
            Self::Continuation => OpCode::Data(Data::Continue),
            Self::Text => OpCode::Data(Data::Text),
            Self::Binary => OpCode::Data(Data::Binary),
            Self::Close => OpCode::Control(Control::Close),
            Self::Ping => OpCode::Control(Control::Ping),
            Self::Pong => OpCode::Control(Control::Pong),
        }
    }
}

/// The header of a frame of the server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The last frame of its message.
    pub(crate) fin: bool,
    /// Compressed, where that was agreed on (RFC 7692 §6).
    pub(crate) rsv1: bool,
    pub(crate) opcode: Opcode,
    /// Of the payload.
    pub(crate) length: u64,
}

impl Header {
    /// The header at the beginning of `bytes`, and its own length; `None` if they are
    /// too few. What one frame of a server may say is checked here, at the first byte
    /// that is wrong; what may follow what is a matter of [`Sequence`].
    #[inline]
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Violation> {
        let &[first, ref rest @ ..] = bytes else {
            return Ok(None);
        };
        let second = rest.first().copied();
        // Data without anything special is what mostly comes.
        let opcode = match Opcode::of(first) {
            Some(opcode) if first & 0x38 == 0 && second.is_some_and(|second| second < 0x80) => {
                opcode
            }
            opcode => Self::check(first, second, opcode)?,
        };
        let Some(second) = second else {
            return Ok(None);
        };
        let (length, shortest, size) = match second {
            126 => match rest[1..].first_chunk() {
                Some(length) => (u64::from(u16::from_be_bytes(*length)), 126, 4),
                None => return Ok(None),
            },
            127 => match rest[1..].first_chunk() {
                Some(length) => (u64::from_be_bytes(*length), 1 << 16, 10),
                None => return Ok(None),
            },
            length => (u64::from(length), 0, 2),
        };
        if length < shortest || length >> 63 != 0 {
            return Err(Violation::protocol(match length < shortest {
                true => "the length of a frame is written longer than needed",
                false => "the length of a frame is 2^63 or more",
            }));
        }
        let header = Self {
            fin: first & 0x80 != 0,
            rsv1: first & 0x40 != 0,
            opcode,
            length,
        };
        Ok(Some((header, size)))
    }

    /// What the first two bytes may say, or the first one alone.
    #[cold]
    fn check(first: u8, second: Option<u8>, opcode: Option<Opcode>) -> Result<Opcode, Violation> {
        if first & 0x30 != 0 {
            return Err(Violation::protocol("a frame has a reserved bit set"));
        }
        let Some(opcode) = opcode else {
            let message = format!("a frame has the reserved opcode {}", first & 0xf);
            return Err(Violation::protocol(message));
        };
        if opcode.is_control() && first & 0xc0 != 0x80 {
            return Err(Violation::protocol(match first & 0x80 {
                0 => "a control frame is fragmented",
                _ => "a control frame has a reserved bit set",
            }));
        }
        let Some(second) = second else {
            return Ok(opcode);
        };
        if second & 0x80 != 0 {
            return Err(Violation::protocol("a frame of the server is masked"));
        }
        if opcode.is_control() && usize::from(second) > MAX_CONTROL {
            let message = "a control frame is longer than 125 bytes";
            return Err(Violation::protocol(message));
        }
        Ok(opcode)
    }
}

/// What may follow what (RFC 6455 §5.4), and how much of it.
#[derive(Clone, Debug)]
pub(crate) struct Sequence {
    /// Whether messages may be compressed.
    deflate: bool,
    /// The bytes of a message at most; 0 sets no limit.
    max_message: usize,
    /// The message whose last frame has not begun.
    open: Option<Open>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    compressed: bool,
    /// The sum of its frames so far.
    length: u64,
}

impl Sequence {
    pub(crate) fn new(deflate: bool, max_message: usize) -> Self {
        Self {
            deflate,
            max_message,
            open: None,
        }
    }

    /// Takes note of the next header, or says what is wrong with it here; then
    /// nothing has changed. The limit holds for what is not compressed: of the rest
    /// only whoever inflates it knows the size.
    pub(crate) fn admit(&mut self, header: &Header) -> Result<(), Violation> {
        if header.opcode.is_control() {
            return Ok(());
        }
        let continues = header.opcode == Opcode::Continuation;
        let before = match (self.open, continues) {
            (Some(open), true) => open,
            (None, false) => Open {
                compressed: header.rsv1,
                length: 0,
            },
            (None, true) => {
                let message = "a continuation frame continues nothing";
                return Err(Violation::protocol(message));
            }
            (Some(_), false) => {
                let message = "a message begins inside another one";
                return Err(Violation::protocol(message));
            }
        };
        if header.rsv1 && (continues || !self.deflate) {
            return Err(Violation::protocol(match continues {
                true => "a continuation frame says that it is compressed",
                false => "a message is compressed, which was not agreed on",
            }));
        }
        let length = before.length.saturating_add(header.length);
        if self.max_message != 0 && !before.compressed && length > self.max_message as u64 {
            return Err(Violation::too_big(self.max_message));
        }
        self.open = (!header.fin).then_some(Open { length, ..before });
        Ok(())
    }
}

/// A frame of ours, or several small ones in a row: finished, masked, and what goes over
/// the wire as it is.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The header, and mostly all of the frame.
    pub(crate) head: Vec<u8>,
    /// The payload, where it was masked in its place.
    pub(crate) body: Bytes,
}

impl Frame {
    /// A message in one frame; `rsv1` says that the payload is deflated. A payload
    /// that nobody else has a handle on is masked in its place, if it is not small;
    /// any other is copied once.
    pub(crate) fn data(opcode: Opcode, rsv1: bool, payload: Bytes) -> Self {
        let key = keys::fresh();
        if payload.len() <= SMALL {
            return Self::copied(opcode, rsv1, &payload, key);
        }
        match payload.try_into_mut() {
            Ok(mut payload) => {
                mask::apply(&mut payload, key);
                Self {
                    head: head(opcode, rsv1, payload.len(), 0, key),
                    body: payload.freeze(),
                }
            }
            Err(payload) => Self::copied(opcode, rsv1, &payload, key),
        }
    }

    /// A control frame. What is beyond 125 bytes is left out; whoever lets programs
    /// choose the payload refuses it before.
    pub(crate) fn control(opcode: Opcode, payload: &[u8]) -> Self {
        let payload = &payload[..payload.len().min(MAX_CONTROL)];
        Self::copied(opcode, false, payload, keys::fresh())
    }

    /// A close frame; the part of a reason that does not fit is left out. The codes
    /// that may not be sent (1005, 1006) make one without a code.
    pub(crate) fn close(close: Option<&CloseFrame>) -> Self {
        let mut payload = [0; MAX_CONTROL];
        let mut length = 0;
        if let Some(close) = close.filter(|close| close.code.may_be_sent()) {
            let reason = &close.reason;
            let most = reason.len().min(MAX_REASON);
            let whole = (0..=most).rev().find(|at| reason.is_char_boundary(*at));
            let reason = &reason.as_bytes()[..whole.unwrap_or(0)];
            length = 2 + reason.len();
            payload[..2].copy_from_slice(&u16::from(close.code).to_be_bytes());
            payload[2..length].copy_from_slice(reason);
        }
        Self::control(Opcode::Close, &payload[..length])
    }

    /// Its bytes on the wire.
    pub(crate) fn len(&self) -> usize {
        self.head.len() + self.body.len()
    }

    fn copied(opcode: Opcode, rsv1: bool, payload: &[u8], key: [u8; 4]) -> Self {
        let mut frame = head(opcode, rsv1, payload.len(), payload.len(), key);
        mask::append(&mut frame, payload, key);
        Self {
            head: frame,
            body: Bytes::new(),
        }
    }

    /// A message that [is small](Self::is_small), in one frame and not compressed.
    pub(crate) fn small(opcode: Opcode, payload: &[u8]) -> Self {
        Self::copied(opcode, false, payload, keys::fresh())
    }

    /// Whether a message of so many bytes is copied in any case.
    pub(crate) fn is_small(length: usize) -> bool {
        length <= SMALL
    }

    /// Puts a small message behind it, in a frame of its own. False: there is no room.
    pub(crate) fn join(&mut self, opcode: Opcode, payload: &[u8]) -> bool {
        let length = self.head.len() + LONGEST_HEADER + payload.len();
        if !self.body.is_empty() || length > TOGETHER {
            return false;
        }
        if length > self.head.capacity() {
            let roomy = (32 * length).min(TOGETHER);
            self.head.reserve_exact(roomy - self.head.len());
        }
        let key = keys::fresh();
        write_head(&mut self.head, opcode, false, payload.len(), key);
        mask::append(&mut self.head, payload, key);
        true
    }
}

impl fmt::Debug for Frame {
    // The key is there to be read; logs get sizes only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Frame").field(&self.len()).finish()
    }
}

/// The header of a masked frame, with room for what shall stand behind it.
fn head(opcode: Opcode, rsv1: bool, length: usize, room: usize, key: [u8; 4]) -> Vec<u8> {
    let mut out = Vec::with_capacity(LONGEST_HEADER + room);
    write_head(&mut out, opcode, rsv1, length, key);
    out
}

fn write_head(out: &mut Vec<u8>, opcode: Opcode, rsv1: bool, length: usize, key: [u8; 4]) {
    let header = FrameHeader {
        is_final: true,
        rsv1,
        rsv2: false,
        rsv3: false,
        opcode: opcode.code(),
        mask: Some(key),
    };
    // Writing into a vector does not fail.
    let _ = header.format(length as u64, out);
}

#[cfg(test)]
mod tests;
