//! Tables of what a server sends and what it means, each also cut at every byte.

use super::*;
use crate::coding::ws::Deflater;
use crate::ws::{CloseCode, Utf8Bytes};

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

/// What Autobahn's sections 1 to 7 ask of a reader, by kind: what goes on as data, and
/// the code of a violation.
#[test]
fn rules_are_kept_by_the_table() {
    // SPEC W13. RFC 6455 §5.2, §5.4, §5.5, §7.4.
    let table: &[(&[u8], &[u8], Option<u16>)] = &[
        // Sizes.
        (b"\x81\x00", b"\x81\x00", None),
        (b"\x82\x01x", b"\x82\x01x", None),
        (b"\x82\x7e\x00\x7ex", b"\x82\x7e\x00\x7ex", None),
        (
            b"\x81\x7f\0\0\0\0\0\x01\0\0x",
            b"\x81\x7f\0\0\0\0\0\x01\0\0x",
            None,
        ),
        (b"\x81\x7e\x00\x7d", b"", Some(1002)),
        (b"\x81\x7f\0\0\0\0\0\0\xff\xff", b"", Some(1002)),
        (b"\x81\x7f\x80\0\0\0\0\0\0\0", b"", Some(1002)),
        // Control frames that are too long.
        (b"\x89\x7e", b"", Some(1002)),
        (b"\x8a\x7e\x00\x7e", b"", Some(1002)),
        (b"\x88\x7f", b"", Some(1002)),
        // Reserved bits.
        (b"\xc1\x01x", b"", Some(1002)),
        (b"\xa1\x01x", b"", Some(1002)),
        (b"\x91\x01x", b"", Some(1002)),
        (b"\x81\x01x\xb1\x01x", b"\x81\x01x", Some(1002)),
        (b"\xd9\x00", b"", Some(1002)),
        (b"\xf8\x00", b"", Some(1002)),
        (b"\x01\x01x\xc0\x01y", b"\x01\x01x", Some(1002)),
        // Reserved opcodes, of data and of control.
        (b"\x83\x00", b"", Some(1002)),
        (b"\x84\x01x", b"", Some(1002)),
        (b"\x81\x01x\x85\x00", b"\x81\x01x", Some(1002)),
        (b"\x07\x00", b"", Some(1002)),
        (b"\x8b\x00", b"", Some(1002)),
        (b"\x82\x00\x8f\x01x", b"\x82\x00", Some(1002)),
        // Masks are for clients.
        (b"\x81\x81\x01\x02\x03\x04x", b"", Some(1002)),
        (b"\x89\x80\x01\x02\x03\x04", b"", Some(1002)),
        // Fragments.
        (
            b"\x01\x01a\x00\x01b\x80\x00",
            b"\x01\x01a\x00\x01b\x80\x00",
            None,
        ),
        (b"\x09\x01a\x80\x01b", b"", Some(1002)),
        (b"\x08\x00", b"", Some(1002)),
        (b"\x0a\x01a", b"", Some(1002)),
        (b"\x80\x01a\x81\x01b", b"", Some(1002)),
        (b"\x00\x01a\x81\x01b", b"", Some(1002)),
        (b"\x01\x01a\x81\x01b", b"\x01\x01a", Some(1002)),
        (
            b"\x01\x01a\x80\x01b\x80\x01c",
            b"\x01\x01a\x80\x01b",
            Some(1002),
        ),
        (b"\x02\x00\x02\x00", b"\x02\x00", Some(1002)),
        // Bytes that are no text are no business of the machine's.
        (b"\x81\x01\xff", b"\x81\x01\xff", None),
        // Closes: half a code, codes that may not be sent, a reason that is no text.
        (b"\x88\x01\x03", b"", Some(1002)),
        (b"\x81\x00\x88\x02\x03\xed", b"\x81\x00", Some(1002)),
        (b"\x88\x03\x03\xe8\xff", b"", Some(1007)),
        (b"\x88\x06\x03\xe8\xce\xba\xed\xa0", b"", Some(1007)),
        (b"\x88\x7e\x00\x7e", b"", Some(1002)),
        // Not HTTP any more, and no frame.
        (b"HTTP/1.1 400 Bad Request", b"", Some(1002)),
    ];
    for (wire, through, code) in table {
        let got = told(RULES, wire);
        let want = match through.is_empty() {
            true => vec![],
            false => vec![data(through)],
        };
        assert_eq!(got.events, want, "{wire:x?}");
        assert_eq!(got.violation, *code, "{wire:x?}");
    }
}

#[test]
fn closes_have_codes_that_may_be_sent() {
    // SPEC W13. RFC 6455 §7.4, and what IANA has registered since.
    let close = |code: u16| {
        let [a, b] = code.to_be_bytes();
        told(RULES, &[0x88, 0x02, a, b])
    };
    let good = (1000..=1003).chain(1007..=1014).chain(3000..=4999);
    for code in 0..=u16::MAX {
        if (10..990).contains(&code) || (5010..65500).contains(&code) {
            continue;
        }
        if good.clone().any(|good| good == code) {
            let reason = Utf8Bytes::default();
            let frame = CloseFrame {
                code: code.into(),
                reason,
            };
            let want = Told::Control(ControlFrame::Close(Some(frame)));
            assert_eq!(close(code).events, [want], "{code}");
        } else {
            let (events, violation) = (vec![], Some(1002));
            assert_eq!(close(code), Story { events, violation }, "{code}");
        }
    }
    let want = Told::Control(ControlFrame::Close(None));
    assert_eq!(told(RULES, b"\x88\x00").events, [want]);
    let longest = [&b"\x88\x7d\x0f\xa0"[..], &[b'r'; 123]].concat();
    let got = told(RULES, &longest);
    assert!(
        matches!(&got.events[..], [Told::Control(ControlFrame::Close(Some(close)))]
        if close.code == 4000 && close.reason.len() == 123)
    );
}

#[test]
fn compressed_frames_pass_where_that_was_agreed_on() {
    // SPEC W7. RFC 7692 §6.
    let rules = Rules {
        deflate: true,
        max_message: 4,
    };
    // Their size says nothing on that of the message.
    let wire = b"\xc1\x05abcde\x42\x01a\x89\x00\x80\x04bcde\x81\x04abcd";
    let got = told(rules, wire);
    assert_eq!(got.events.len(), 3);
    assert_eq!(got.violation, None);
    for wire in [
        &b"\xc9\x00"[..],
        b"\x41\x00\xc0\x00",
        b"\xe1\x00",
        b"\xd1\x00",
    ] {
        assert_eq!(told(rules, wire).violation, Some(1002), "{wire:x?}");
    }
    assert_eq!(told(rules, b"\x81\x05").violation, Some(1009));
}

#[test]
fn too_large_a_message_is_told_at_its_header() {
    // SPEC W8.
    let rules = Rules {
        deflate: false,
        max_message: 1000,
    };
    let got = told(rules, b"\x82\x7e\x03\xe9");
    assert_eq!((got.events, got.violation), (vec![], Some(1009)));
    let got = told(rules, b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff");
    assert_eq!((got.events, got.violation), (vec![], Some(1009)));
    // The sum of the fragments; what came before goes on.
    let got = told(rules, b"\x02\x01a\x80\x7e\x03\xe8");
    assert_eq!(
        (got.events, got.violation),
        (vec![data(b"\x02\x01a")], Some(1009))
    );
    let got = told(rules, b"\x02\x01a\x80\x7e\x03\xe7");
    assert_eq!(got.violation, None);
    let got = told(RULES, b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff");
    assert_eq!(got.violation, None);
}

#[test]
fn a_run_of_data_is_one_slice_of_what_was_read() {
    let mut wire = Vec::new();
    for _ in 0..31 {
        wire.extend_from_slice(b"\x82\x7e\x04\x00");
        wire.resize(wire.len() + 1024, b'x');
    }
    wire.extend_from_slice(b"\x01\x7e\x04\x00half");
    let mut input = BytesMut::from(&wire[..]);
    let at = input.as_ptr();
    let mut machine = Machine::new(RULES);
    let Ok(Some(Event::Data(run))) = machine.receive(&mut input) else {
        panic!("it is data");
    };
    assert_eq!((run.as_ptr(), run.len()), (at, wire.len()));
    assert_eq!(machine.receive(&mut input), Ok(None));
    // The rest of the last one, and a control frame behind it.
    input.extend_from_slice(&[b'y'; 1020]);
    input.extend_from_slice(b"\x89\x01!\x80\x00");
    let at = input.as_ptr();
    let Ok(Some(Event::Data(rest))) = machine.receive(&mut input) else {
        panic!("it is data");
    };
    assert_eq!((rest.as_ptr(), rest.len()), (at, 1020));
    let Ok(Some(Event::Control { raw, .. })) = machine.receive(&mut input) else {
        panic!("it is a ping");
    };
    assert_eq!(raw.as_ptr() as usize, at as usize + 1020);
}

/// A server's frame.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = payload.len();
    let head = match length {
        0..126 => vec![first, length as u8],
        _ => vec![first, 126, (length >> 8) as u8, length as u8],
    };
    [head, payload.to_vec()].concat()
}

#[test]
fn whatever_comes_means_the_same_however_it_is_cut() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % below
    };
    let texts = ["", "a", "grüße", "κόσμε €𐍈", "0123456789abcdef0123456789"];
    let mut deflater = Deflater::new(15, true, 6);
    for round in 0..3000 {
        let mut data = vec![random(256) as u8, [1, 1, 2, 3, 5, 8, 13, 100][random(8)]];
        for _ in 0..random(6) {
            let text = texts[random(texts.len())].as_bytes();
            match random(10) {
                0 => data.extend(frame(0x89, text)),
                1 => data.extend(frame(0x8a, text)),
                2 => data.extend(frame(0x82, &text.repeat(random(20)))),
                3 => data.extend(frame(0x88, &[b"\x03\xe8", text].concat())),
                4 | 5 => {
                    let mut out = Vec::new();
                    assert!(deflater.deflate(&text.repeat(1 + random(9)), &mut out));
                    let (front, back) = out.split_at(random(out.len()));
                    data.extend(frame(0x41, front));
                    data.extend(frame(0x80, back));
                }
                6 | 7 => {
                    let (front, back) = text.split_at(random(text.len() + 1));
                    data.extend(frame(0x01, front));
                    data.extend(frame(0x80, back));
                }
                _ => data.extend(frame(0x81, text)),
            }
        }
        if round % 3 == 0 && data.len() > 2 {
            let at = 2 + random(data.len() - 2);
            data[at] ^= 1 << random(8);
        }
        laws::same_however_cut(&data);
        // Two bytes choose; the rest is noise.
        let noise: Vec<u8> = (0..random(40)).map(|_| random(256) as u8).collect();
        laws::same_however_cut(&noise);
    }
}
