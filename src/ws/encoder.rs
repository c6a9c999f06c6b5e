//! From messages to frames, on the thread that sends.

use bytes::Bytes;

use super::Message;
use super::frame::{Frame, Opcode};
use crate::coding::ws::Deflater;

/// What the senders of a WebSocket share: whoever has its turn makes a frame with
/// it. So messages that are compressed with what came before them go out in the
/// order in which they were compressed.
pub(crate) struct Encoder {
    /// `None`: all goes as it is. Boxed, for an encoder goes from hand to hand with
    /// each message.
    deflater: Option<Box<Deflater>>,
    /// The bytes a message has at least that is compressed without being asked to be.
    threshold: usize,
}

impl Encoder {
    pub(crate) fn new(deflater: Option<Deflater>, threshold: usize) -> Self {
        Self {
            deflater: deflater.map(Box::new),
            threshold,
        }
    }

    /// A message as a frame, finished and masked. `compress` says for this one
    /// whether it is to be compressed, where that was agreed on at all. A frame that
    /// was made has to be sent, for the next may refer to it.
    pub(crate) fn encode(&mut self, message: Message, compress: Option<bool>) -> Frame {
        match message {
            Message::Text(text) => self.data(Opcode::Text, text.into_bytes(), compress),
            Message::Binary(bytes) => self.data(Opcode::Binary, bytes, compress),
            Message::Ping(payload) => Frame::control(Opcode::Ping, &payload),
            Message::Pong(payload) => Frame::control(Opcode::Pong, &payload),
            Message::Close(close) => Frame::close(close.as_ref()),
        }
    }

    /// As [`encode`](Self::encode), for a small message that is sent as it is, and so
    /// fast that it may be done under a lock. If it is one, says how many bytes that
    /// makes, and gives the frame, unless it was put behind `last`.
    pub(crate) fn encode_behind(
        &mut self,
        message: &Message,
        compress: Option<bool>,
        last: Option<&mut Frame>,
    ) -> Option<(Option<Frame>, usize)> {
        let (opcode, payload) = match message {
            Message::Text(text) => (Opcode::Text, text.as_bytes()),
            Message::Binary(bytes) => (Opcode::Binary, &bytes[..]),
            _ => return None,
        };
        let is_compressed =
            self.deflater.is_some() && compress.unwrap_or(payload.len() >= self.threshold);
        if is_compressed || !Frame::is_small(payload.len()) {
            return None;
        }
        if let Some(last) = last {
            let before = last.len();
            if last.join(opcode, payload) {
                return Some((None, last.len() - before));
            }
        }
        let frame = Frame::small(opcode, payload);
        let length = frame.len();
        Some((Some(frame), length))
    }

    fn data(&mut self, opcode: Opcode, payload: Bytes, compress: Option<bool>) -> Frame {
        if compress.unwrap_or(payload.len() >= self.threshold)
            && let Some(deflater) = &mut self.deflater
        {
            let mut deflated = Vec::new();
            if deflater.deflate(&payload, &mut deflated) {
                return Frame::data(opcode, true, deflated.into());
            }
        }
        Frame::data(opcode, false, payload)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn first_byte(frame: &Frame) -> u8 {
        frame.head[0]
    }

    fn deflating(threshold: usize) -> Encoder {
        Encoder::new(Some(Deflater::new(15, true, 6)), threshold)
    }

    const RSV1: u8 = 0x40;

    #[test]
    fn the_threshold_decides_unless_the_message_does() {
        // SPEC W7, W11
        let mut encoder = deflating(100);
        for (length, compress, is_compressed) in [
            (99, None, false),
            (100, None, true),
            (99, Some(true), true),
            (0, Some(true), true),
            (100, Some(false), false),
        ] {
            for (message, opcode) in [
                (Message::from(vec![b'a'; length]), 2),
                (Message::from("a".repeat(length)), 1),
            ] {
                let first = first_byte(&encoder.encode(message, compress));
                let wanted = 0x80 | opcode | if is_compressed { RSV1 } else { 0 };
                assert_eq!(first, wanted, "{length} {compress:?}");
            }
        }
    }

    #[test]
    fn nothing_is_compressed_that_was_not_agreed_on_and_no_control_frame() {
        // SPEC W7, W11
        let mut plain = Encoder::new(None, 0);
        let message = Message::from(vec![b'a'; 500]);
        assert_eq!(first_byte(&plain.encode(message, Some(true))), 0x82);
        let mut encoder = deflating(0);
        for (message, first) in [
            (Message::Ping(Bytes::from_static(b"ping")), 0x89),
            (Message::Pong(Bytes::from_static(b"pong")), 0x8a),
            (Message::Close(None), 0x88),
        ] {
            assert_eq!(first_byte(&encoder.encode(message, Some(true))), first);
        }
    }
}
