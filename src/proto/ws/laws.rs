//! What holds for all that a server may send, whatever it is: for tests and fuzzers.

use bytes::{Bytes, BytesMut};

use super::{ControlFrame, Event, Machine, Rules};
use crate::coding::ws::Inflater;
use crate::ws::{Assembler, Message};

/// No panic, no memory beyond a bound, and the same messages, control frames and
/// violation however the bytes are cut. The first two bytes choose the rules and the
/// size of a piece.
pub(crate) fn same_however_cut(data: &[u8]) {
    let Some((&[which, cut], wire)) = data.split_first_chunk() else {
        return;
    };
    let rules = Rules {
        deflate: which & 1 != 0,
        max_message: [0, 1, 125, 4096][usize::from(which >> 1 & 3)],
    };
    // With compression and no limit a bomb is what it is.
    let rules = match rules {
        Rules {
            deflate: true,
            max_message: 0,
        } => Rules {
            max_message: 1 << 20,
            ..rules
        },
        rules => rules,
    };
    let shown = which & 8 != 0;
    let whole = told(rules, shown, wire, usize::MAX);
    let split = told(rules, shown, wire, usize::from(cut).max(1));
    assert_eq!(whole.told, split.told);
    if rules.deflate {
        // Of a message that is damaged, too large and not text, what is found first
        // depends on the pieces.
        assert_eq!(whole.violation.is_some(), split.violation.is_some());
    } else {
        assert_eq!(whole.violation, split.violation);
    }
}

#[derive(Debug, Default, PartialEq)]
struct Story {
    told: Vec<Told>,
    violation: Option<u16>,
}

#[derive(Debug, PartialEq)]
enum Told {
    Message(Message),
    Control(ControlFrame),
}

/// With `shown` the control frames go the way of the data, too, as they do where a
/// program wants to see them.
fn told(rules: Rules, shown: bool, wire: &[u8], piece: usize) -> Story {
    let mut machine = Machine::new(rules);
    let inflater = rules.deflate.then(|| Inflater::new(true));
    let mut assembler = Assembler::new(rules.max_message, inflater);
    let mut input = BytesMut::new();
    let mut story = Story::default();
    for part in wire.chunks(piece.min(wire.len().max(1))) {
        input.extend_from_slice(part);
        loop {
            let raw = match machine.receive(&mut input) {
                Ok(Some(Event::Data(data))) => {
                    assert!(!data.is_empty());
                    data
                }
                Ok(Some(Event::Control { raw, frame })) => {
                    story.told.push(Told::Control(frame));
                    if shown { raw } else { Bytes::new() }
                }
                Ok(None) => break,
                Err(violation) => {
                    story.violation = Some(violation.code.into());
                    return story;
                }
            };
            assembler.push(raw);
            loop {
                match assembler.next() {
                    Ok(Some(message)) => {
                        assert!(
                            rules.max_message == 0 || message.len() <= rules.max_message.max(125)
                        );
                        story.told.push(Told::Message(message));
                    }
                    Ok(None) => break,
                    Err(violation) => {
                        story.violation = Some(violation.code.into());
                        return story;
                    }
                }
            }
        }
        assert!(input.len() < 127, "less than a control frame waits");
    }
    story
}
