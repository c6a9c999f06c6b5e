//! What a server sends over a WebSocket, told apart without being taken apart
//! (RFC 6455 §5).
//!
//! Control frames are for whoever drives the connection, data for whoever reads it.
//! So the machine looks at headers, hands on what lies between two control frames as
//! it came, headers included and in one piece, and gives control frames one by one.
//! Whatever breaks a rule is a [`Violation`], as early as it can be known; what came
//! before is handed on first.
//!
//! UTF-8 and compression are not its business: see [`Assembler`](crate::ws::Assembler).

use bytes::{Bytes, BytesMut};

use crate::ws::frame::{Header, Opcode, Sequence};
use crate::ws::{CloseFrame, Violation};

/// What was agreed on, and what is taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Whether messages may be compressed.
    pub(crate) deflate: bool,
    /// The bytes of a message at most; 0 sets no limit. Of a compressed one only
    /// whoever inflates it knows the size.
    pub(crate) max_message: usize,
}

/// What the server sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Data frames as they came, the first of them and the last one cut anywhere.
    Data(Bytes),
    /// A control frame, whole.
    Control {
        /// As it came.
        raw: Bytes,
        frame: ControlFrame,
    },
}

/// What a control frame says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ControlFrame {
    Ping(Bytes),
    Pong(Bytes),
    Close(Option<CloseFrame>),
}

/// Reads what a server sends.
#[derive(Debug)]
pub(crate) struct Machine {
    sequence: Sequence,
    /// What is still to come of the payload of a data frame.
    left: u64,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Open,
    /// The server has said its last.
    Closed,
    Failed(Violation),
}

impl Machine {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            sequence: Sequence::new(rules.deflate, rules.max_message),
            left: 0,
            stage: Stage::Open,
        }
    }

    /// Takes what can be told from the input; the rest stays in it, and is less than
    /// one control frame. `None` asks for more bytes. Behind a close there are no more
    /// events, whatever comes; a violation is given again at each further call.
    pub(crate) fn receive(&mut self, input: &mut BytesMut) -> Result<Option<Event>, Violation> {
        match &self.stage {
            Stage::Open => {}
            Stage::Closed => {
                input.clear();
                return Ok(None);
            }
            Stage::Failed(violation) => {
                input.clear();
                return Err(violation.clone());
            }
        }
        let read = self.read(input);
        if let Err(violation) = &read {
            self.stage = Stage::Failed(violation.clone());
        }
        read
    }

    fn read(&mut self, input: &mut BytesMut) -> Result<Option<Event>, Violation> {
        // How far the run of data goes.
        let mut run = 0;
        loop {
            let here = (input.len() - run) as u64;
            let taken = self.left.min(here);
            self.left -= taken;
            // No more than there is.
            run += taken as usize;
            if self.left > 0 {
                break;
            }
            let header = Header::parse(&input[run..]);
            let (header, length) = match header {
                Ok(Some(parsed)) => parsed,
                Ok(None) => break,
                // First what was good; the rest fails again.
                Err(_) if run > 0 => break,
                Err(violation) => return Err(violation),
            };
            if header.opcode.is_control() {
                if run > 0 {
                    break;
                }
                return self.control(&header, length, input);
            }
            match self.sequence.admit(&header) {
                Ok(()) => {}
                Err(_) if run > 0 => break,
                Err(violation) => return Err(violation),
            }
            run += length;
            self.left = header.length;
        }
        Ok((run > 0).then(|| Event::Data(input.split_to(run).freeze())))
    }

    fn control(
        &mut self,
        header: &Header,
        length: usize,
        input: &mut BytesMut,
    ) -> Result<Option<Event>, Violation> {
        // At most 125 bytes: it was checked with the header.
        let whole = length + header.length as usize;
        if input.len() < whole {
            return Ok(None);
        }
        let raw = input.split_to(whole).freeze();
        let payload = raw.slice(length..);
        let frame = match header.opcode {
            Opcode::Ping => ControlFrame::Ping(payload),
            Opcode::Pong => ControlFrame::Pong(payload),
            _ => {
                let close = CloseFrame::parse(&payload)?;
                self.stage = Stage::Closed;
                ControlFrame::Close(close)
            }
        };
        Ok(Some(Event::Control { raw, frame }))
    }
}

#[cfg(any(fuzzing, test))]
pub(crate) mod laws;
#[cfg(test)]
mod tests;
