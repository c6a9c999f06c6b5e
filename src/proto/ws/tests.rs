//! Tables of what a server sends and what it means, each also cut at every byte.

use super::*;
use crate::ws::CloseCode;

const RULES: Rules = Rules {
    deflate: false,
    max_message: 0,
};

/// What became of the bytes: data joined, control frames, and how it ended.
#[derive(Debug, Default, PartialEq)]
struct Story {
    events: Vec<Told>,
    violation: Option<u16>,
}

#[derive(Debug, PartialEq)]
enum Told {
    Data(Vec<u8>),
    Control(ControlFrame),
}

fn story<'a>(rules: Rules, pieces: impl Iterator<Item = &'a [u8]>) -> Story {
    let mut machine = Machine::new(rules);
    let mut input = BytesMut::new();
    let mut story = Story::default();
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            match (machine.receive(&mut input), story.events.last_mut()) {
                (Ok(Some(Event::Data(data))), Some(Told::Data(before))) => {
                    assert!(!data.is_empty());
                    before.extend_from_slice(&data);
                }
                (Ok(Some(Event::Data(data))), _) => story.events.push(Told::Data(data.to_vec())),
                (Ok(Some(Event::Control { raw, frame })), _) => {
                    assert!(raw.len() <= 127);
                    story.events.push(Told::Control(frame));
                }
                (Ok(None), _) => break,
                (Err(violation), _) => {
                    assert_eq!(machine.receive(&mut input), Err(violation.clone()));
                    assert!(input.is_empty());
                    story.violation = Some(violation.code.into());
                    break;
                }
            }
        }
        assert!(input.len() < 127);
    }
    story
}

/// The story of these bytes, however they are cut.
#[track_caller]
fn told(rules: Rules, wire: &[u8]) -> Story {
    let whole = story(rules, std::iter::once(wire));
    for at in 0..wire.len() {
        let (front, back) = wire.split_at(at);
        assert_eq!(story(rules, [front, back].into_iter()), whole, "at {at}");
    }
    assert_eq!(story(rules, wire.chunks(1)), whole, "byte by byte");
    whole
}

fn data(bytes: &[u8]) -> Told {
    Told::Data(bytes.to_vec())
}

#[test]
fn data_goes_on_as_it_came_and_control_frames_one_by_one() {
    // SPEC W12. RFC 6455 §5.4, §5.5.
    let wire = b"\x01\x03hel\x89\x01!\x80\x02lo\x82\x00\x8a\x00";
    let want = vec![
        data(b"\x01\x03hel"),
        Told::Control(ControlFrame::Ping(Bytes::from_static(b"!"))),
        data(b"\x80\x02lo\x82\x00"),
        Told::Control(ControlFrame::Pong(Bytes::new())),
    ];
    let got = told(RULES, wire);
    assert_eq!(got.events, want);
    assert_eq!(got.violation, None);
}

#[test]
fn behind_a_close_there_is_nothing() {
    // RFC 6455 §5.5.1.
    let got = told(RULES, b"\x81\x01a\x88\x05\x03\xe8bye\x81\x01b\xff\xff\xff");
    let close = CloseFrame {
        code: CloseCode::NORMAL,
        reason: "bye".into(),
    };
    let want = vec![
        data(b"\x81\x01a"),
        Told::Control(ControlFrame::Close(Some(close))),
    ];
    assert_eq!(got.events, want);
    assert_eq!(got.violation, None);
}
