//! From the bytes of frames to messages, on the thread that receives them: there
//! they are inflated, and text is checked to be text.

use std::collections::VecDeque;

use bytes::{Buf as _, Bytes};

use super::frame::{Header, Opcode, Sequence};
use super::gather::Gather;
use super::utf8::{self, Invalid};
use super::{CloseFrame, Message, Utf8Bytes, Violation};
use crate::coding::ws::{InflateFault, Inflater};

/// The longest header of a frame that is not masked.
const MAX_HEADER: usize = 10;

/// Puts messages together (RFC 6455 §5.4). The bytes may be cut anywhere; a message
/// that lies in one piece is a slice of it.
///
/// What it holds is bounded by the limit of a message, however it is fragmented.
#[derive(Debug)]
pub(crate) struct Assembler {
    /// What is read next, and what stands behind it.
    input: Bytes,
    behind: VecDeque<Bytes>,
    /// A header that was cut.
    cut: Cut,
    sequence: Sequence,
    /// The frame whose payload comes.
    frame: Option<Payload>,
    /// Of a control frame, where it was cut.
    control: Vec<u8>,
    message: Body,
    inflater: Option<Inflater>,
    max_message: usize,
    failed: Option<Violation>,
}

#[derive(Debug, Default)]
struct Cut {
    bytes: [u8; MAX_HEADER],
    length: usize,
}

#[derive(Clone, Copy, Debug)]
struct Payload {
    opcode: Opcode,
    fin: bool,
    /// Still to come.
    left: u64,
}

/// The message that has begun.
#[derive(Debug)]
enum Body {
    None,
    Text(utf8::Stream, Gather<Utf8Bytes>),
    Binary(Gather<Bytes>),
    Deflated(Inflating),
}

/// A compressed message that has begun.
#[derive(Debug, Default)]
struct Inflating {
    is_text: bool,
    out: Vec<u8>,
    /// Of text that comes in pieces: how far it was checked.
    stream: utf8::Stream,
    checked: usize,
}

impl Assembler {
    /// For messages of at most so many bytes, inflated; 0 sets no limit. Without an
    /// inflater no message may be compressed.
    pub(crate) fn new(max_message: usize, inflater: Option<Inflater>) -> Self {
        Self {
            input: Bytes::new(),
            behind: VecDeque::new(),
            cut: Cut::default(),
            sequence: Sequence::new(inflater.is_some(), max_message),
            frame: None,
            control: Vec::new(),
            message: Body::None,
            inflater,
            max_message,
            failed: None,
        }
    }

    /// More bytes of frames.
    pub(crate) fn push(&mut self, bytes: Bytes) {
        if self.failed.is_some() {
            return;
        }
        if self.input.is_empty() {
            self.input = bytes;
        } else {
            self.behind.push_back(bytes);
        }
    }

    /// The next message that is whole. Behind a violation there is nothing more: each
    /// further call gives it again.
    pub(crate) fn next(&mut self) -> Result<Option<Message>, Violation> {
        if let Some(message) = self.at_once() {
            return Ok(Some(message));
        }
        if let Some(violation) = &self.failed {
            return Err(violation.clone());
        }
        self.assemble()
            .inspect_err(|violation| self.fail(violation.clone()))
    }

    /// The next message, if it is what most are: one frame, all of it here, as it was
    /// sent. Then it is a slice of the input. Takes no time but that of a look at text.
    #[inline]
    pub(crate) fn at_once(&mut self) -> Option<Message> {
        if self.frame.is_some() || self.cut.length > 0 {
            return None;
        }
        let (header, size) = Header::parse(&self.input).ok().flatten()?;
        let is_text = match header.opcode {
            Opcode::Text => true,
            Opcode::Binary => false,
            _ => return None,
        };
        let length = usize::try_from(header.length).ok()?;
        let is_here = length <= self.input.len() - size;
        if !header.fin || header.rsv1 || !is_here || self.sequence.admit(&header).is_err() {
            return None;
        }
        self.input.advance(size);
        let payload = self.input.split_to(length);
        if !is_text {
            return Some(Message::Binary(payload));
        }
        match Utf8Bytes::try_from(payload) {
            Ok(text) => Some(Message::Text(text)),
            Err(_) => {
                self.fail(not_utf8(Invalid));
                None
            }
        }
    }

    /// Keeps the violation, and nothing else.
    #[cold]
    fn fail(&mut self, violation: Violation) {
        self.failed = Some(violation);
        self.input = Bytes::new();
        self.behind = VecDeque::new();
        self.control = Vec::new();
        self.message = Body::None;
    }

    /// Whether the next message is at hand for certain, so that nobody need wait for it:
    /// all of its only or last frame. Costs no more than a look at a header.
    pub(crate) fn has_message(&self) -> bool {
        let here = self.input.len() as u64;
        if let Some(frame) = self.frame {
            return frame.fin && frame.left <= here;
        }
        let header = match self.cut.length {
            0 => Header::parse(&self.input).ok().flatten(),
            _ => None,
        };
        header.is_some_and(|(header, size)| header.fin && header.length <= here - size as u64)
    }

    fn assemble(&mut self) -> Result<Option<Message>, Violation> {
        loop {
            let Some(mut frame) = self.frame.take() else {
                let Some(header) = self.header()? else {
                    return Ok(None);
                };
                self.begin(&header)?;
                continue;
            };
            let piece = self.take(frame.left);
            if piece.is_empty() && frame.left > 0 {
                self.frame = Some(frame);
                return Ok(None);
            }
            frame.left -= piece.len() as u64;
            let message = match frame.opcode.is_control() {
                true => self.control(frame, piece)?,
                false => self.data(frame, piece)?,
            };
            if frame.left > 0 {
                self.frame = Some(frame);
            }
            if message.is_some() {
                return Ok(message);
            }
        }
    }

    /// The next header, put together where it was cut.
    fn header(&mut self) -> Result<Option<Header>, Violation> {
        if self.cut.length == 0
            && let Some((header, length)) = Header::parse(&self.input)?
        {
            self.input.advance(length);
            return Ok(Some(header));
        }
        while let [byte] = self.take(1)[..] {
            let Cut { bytes, length } = &mut self.cut;
            bytes[*length] = byte;
            *length += 1;
            // It is whole with its tenth byte, if not before.
            if let Some((header, _)) = Header::parse(&bytes[..*length])? {
                *length = 0;
                return Ok(Some(header));
            }
        }
        Ok(None)
    }

    fn begin(&mut self, header: &Header) -> Result<(), Violation> {
        self.sequence.admit(header)?;
        match header.opcode {
            // A continuation has no bit of its own: see `Sequence`.
            opcode @ (Opcode::Text | Opcode::Binary) if header.rsv1 => {
                self.message = Body::Deflated(Inflating {
                    is_text: opcode == Opcode::Text,
                    ..Inflating::default()
                });
            }
            Opcode::Text => self.message = Body::Text(utf8::Stream::default(), Gather::default()),
            Opcode::Binary => self.message = Body::Binary(Gather::default()),
            _ => {}
        }
        self.frame = Some(Payload {
            opcode: header.opcode,
            fin: header.fin,
            left: header.length,
        });
        Ok(())
    }

    /// What is there in one piece, up to so many bytes.
    fn take(&mut self, most: u64) -> Bytes {
        while self.input.is_empty() {
            let Some(next) = self.behind.pop_front() else {
                break;
            };
            self.input = next;
        }
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        self.input.split_to(self.input.len().min(most))
    }

    fn control(&mut self, frame: Payload, piece: Bytes) -> Result<Option<Message>, Violation> {
        let payload = if self.control.is_empty() && frame.left == 0 {
            piece
        } else {
            self.control.extend_from_slice(&piece);
            if frame.left > 0 {
                return Ok(None);
            }
            std::mem::take(&mut self.control).into()
        };
        Ok(Some(match frame.opcode {
            Opcode::Ping => Message::Ping(payload),
            Opcode::Pong => Message::Pong(payload),
            _ => Message::Close(CloseFrame::parse(&payload)?),
        }))
    }

    fn data(&mut self, frame: Payload, piece: Bytes) -> Result<Option<Message>, Violation> {
        let ends = frame.fin && frame.left == 0;
        match &mut self.message {
            // The sequence admits no payload without a beginning.
            Body::None => return Ok(None),
            Body::Binary(gather) => gather.push(piece),
            Body::Text(stream, gather) => {
                let (ended, text) = stream.text(&piece).map_err(not_utf8)?;
                if let Some(character) = ended {
                    gather.push((&*character.encode_utf8(&mut [0; 4])).into());
                }
                gather.push(text);
                if ends && !stream.is_whole() {
                    return Err(not_utf8(Invalid));
                }
            }
            Body::Deflated(message) => {
                let Some(inflater) = &mut self.inflater else {
                    return Ok(None);
                };
                message.inflate(inflater, &piece, ends, self.max_message)?;
            }
        }
        if !ends {
            return Ok(None);
        }
        Ok(match std::mem::replace(&mut self.message, Body::None) {
            Body::None => None,
            Body::Binary(gather) => Some(Message::Binary(gather.finish())),
            Body::Text(_, gather) => Some(Message::Text(gather.finish())),
            Body::Deflated(message) => Some(message.finish()?),
        })
    }
}

impl Inflating {
    /// Inflates the next piece, and checks what it makes of text unless all is there:
    /// then that is done at once, in the end.
    fn inflate(
        &mut self,
        inflater: &mut Inflater,
        piece: &[u8],
        ends: bool,
        max_message: usize,
    ) -> Result<(), Violation> {
        let limit = match max_message {
            0 => usize::MAX,
            max => max,
        };
        inflater
            .inflate(piece, &mut self.out, limit)
            .map_err(cannot_inflate)?;
        if ends {
            return inflater
                .finish(&mut self.out, limit)
                .map_err(cannot_inflate);
        }
        if self.is_text {
            self.stream
                .check(&self.out[self.checked..])
                .map_err(not_utf8)?;
            self.checked = self.out.len();
        }
        Ok(())
    }

    fn finish(self) -> Result<Message, Violation> {
        if self.is_text {
            let text = Utf8Bytes::try_from(self.out).map_err(|_| not_utf8(Invalid))?;
            return Ok(Message::Text(text));
        }
        Ok(Message::Binary(self.out.into()))
    }
}

#[cold]
fn cannot_inflate(fault: InflateFault) -> Violation {
    match fault {
        InflateFault::TooBig { limit } => Violation::too_big(limit),
        InflateFault::Damaged { .. } => Violation::payload(fault.to_string()),
    }
}

#[cold]
fn not_utf8(_: Invalid) -> Violation {
    Violation::payload("a text message is not UTF-8")
}

#[cfg(test)]
mod tests;
