//! Frames cut anywhere, and the messages they make.

use super::*;
use crate::coding::ws::Deflater;
use crate::ws::CloseCode;

/// A frame of a server.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        length @ 0..126 => out.push(length as u8),
        length @ 126..65536 => {
            out.push(126);
            out.extend((length as u16).to_be_bytes());
        }
        length => {
            out.push(127);
            out.extend((length as u64).to_be_bytes());
        }
    }
    [&out, payload].concat()
}

fn frames(frames: &[(u8, &[u8])]) -> Vec<u8> {
    let frames = frames.iter().map(|(first, payload)| frame(*first, payload));
    frames.collect::<Vec<_>>().concat()
}

type Told = (Vec<Message>, Option<CloseCode>);

fn story<'a>(max: usize, deflate: bool, pieces: impl Iterator<Item = &'a [u8]>) -> Told {
    let mut assembler = Assembler::new(max, deflate.then(|| Inflater::new(true)));
    let mut messages = Vec::new();
    for piece in pieces {
        assembler.push(Bytes::copy_from_slice(piece));
        loop {
            match assembler.next() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(violation) => {
                    assert_eq!(assembler.next(), Err(violation.clone()));
                    return (messages, Some(violation.code));
                }
            }
        }
    }
    (messages, None)
}

/// The story of these frames, however they are cut.
#[track_caller]
fn told(max: usize, deflate: bool, wire: &[u8]) -> Told {
    let whole = story(max, deflate, std::iter::once(wire));
    for at in 0..=wire.len() {
        let (front, back) = wire.split_at(at);
        assert_eq!(
            story(max, deflate, [front, back].into_iter()),
            whole,
            "at {at}"
        );
    }
    for size in 1..5 {
        assert_eq!(story(max, deflate, wire.chunks(size)), whole, "by {size}");
    }
    whole
}

#[test]
fn messages_come_as_they_were_sent() {
    // SPEC W12. RFC 6455 §5.4, §5.6.
    let wire = frames(&[
        (0x81, b"hello"),
        (0x82, b""),
        (0x81, b""),
        (0x01, "grü".as_bytes()),
        (0x89, b"ping"),
        (0x00, b""),
        (0x8a, b""),
        (0x80, "ße".as_bytes()),
        (0x02, b"a"),
        (0x00, &[b'b'; 200]),
        (0x80, b"c"),
        (0x88, b"\x03\xe9bye"),
    ]);
    let close = CloseFrame {
        code: CloseCode::GOING_AWAY,
        reason: "bye".into(),
    };
    let want = vec![
        Message::text("hello"),
        Message::binary(b"".as_slice()),
        Message::text(""),
        Message::Ping(Bytes::from_static(b"ping")),
        Message::Pong(Bytes::new()),
        Message::text("grüße"),
        Message::binary([&b"a"[..], &[b'b'; 200], b"c"].concat()),
        Message::Close(Some(close)),
    ];
    assert_eq!(told(0, false, &wire), (want, None));
    assert_eq!(told(0, false, b"\x88\x00").0, [Message::Close(None)]);
    assert_eq!(told(0, false, b"").0, []);
}

#[test]
fn characters_may_be_cut_between_frames() {
    // RFC 6455 §5.6: the whole message is UTF-8, its frames need not be.
    let text = "κόσμε €𐍈!";
    let bytes = text.as_bytes();
    for at in 0..=bytes.len() {
        let wire = frames(&[(0x01, &bytes[..at]), (0x80, &bytes[at..])]);
        assert_eq!(told(0, false, &wire), (vec![Message::text(text)], None));
    }
    let singly: Vec<(u8, &[u8])> = bytes.chunks(1).map(|byte| (0x00, byte)).collect();
    let wire = frames(&[&[(0x01, &b""[..])], &singly[..], &[(0x80, b"")]].concat());
    assert_eq!(told(0, false, &wire), (vec![Message::text(text)], None));
}

#[test]
fn text_that_is_none_fails_at_its_first_wrong_byte() {
    // SPEC W13. RFC 6455 §8.1: 1007, in the middle of a frame and of a message.
    let invalid = Some(CloseCode::INVALID_PAYLOAD);
    for payload in [&b"abc\xff"[..], b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90"] {
        for behind in [&b""[..], b"xyz"] {
            let payload = [payload, behind].concat();
            let whole = frames(&[(0x81, b"ok"), (0x81, &payload)]);
            assert_eq!(told(0, false, &whole), (vec![Message::text("ok")], invalid));
            let parts = frames(&[(0x01, b"ok"), (0x00, &payload), (0x80, b"")]);
            assert_eq!(told(0, false, &parts), (vec![], invalid));
        }
    }
    // A character without an end, at the end.
    for payload in [&b"\xe2\x82"[..], b"abc\xf0\x90\x80", b"\xc3"] {
        assert_eq!(told(0, false, &frame(0x81, payload)), (vec![], invalid));
        let parts = frames(&[(0x01, payload), (0x80, b"")]);
        assert_eq!(told(0, false, &parts), (vec![], invalid));
    }
    // The rest of the message need not come.
    let mut assembler = Assembler::new(0, None);
    assembler.push(Bytes::from_static(b"\x01\x7e\x10\x00abc\xf4\x90"));
    let code = assembler.next().map_err(|violation| violation.code);
    assert_eq!(code, Err(CloseCode::INVALID_PAYLOAD));
    // Bytes that are no text are no fault of a binary message.
    assert_eq!(told(0, false, b"\x82\x01\xff").1, None);
}

#[test]
fn broken_rules_are_told() {
    // SPEC W13.
    let table: &[(&[u8], u16)] = &[
        (b"\x80\x00", 1002),
        (b"\x83\x00", 1002),
        (b"\xc1\x00", 1002),
        (b"\x01\x00\x81\x00", 1002),
        (b"\x81\x81", 1002),
        (b"\x88\x01\x03", 1002),
        (b"\x88\x02\x03\xed", 1002),
        (b"\x88\x03\x03\xe8\xff", 1007),
    ];
    for (wire, code) in table {
        assert_eq!(
            told(0, false, wire),
            (vec![], Some((*code).into())),
            "{wire:x?}"
        );
    }
}

#[test]
fn a_message_in_one_piece_is_that_piece() {
    let wire = Bytes::from(frames(&[
        (0x82, &[7; 1000]),
        (0x81, &[b'x'; 300]),
        (0x82, b""),
    ]));
    let mut assembler = Assembler::new(0, None);
    assembler.push(wire.clone());
    let mut next = || assembler.next().expect("it is sound").expect("it is whole");
    let (binary, text) = (next(), next());
    assert_eq!(binary.as_bytes().as_ptr(), wire[4..].as_ptr());
    assert_eq!(binary.len(), 1000);
    assert_eq!(text.as_bytes().as_ptr(), wire[1008..].as_ptr());
    assert_eq!(text.as_text().map(str::len), Some(300));
    assert_eq!(next(), Message::binary(Bytes::new()));
}

#[test]
fn what_is_at_hand_is_known_beforehand() {
    let wire = frames(&[
        (0x82, b"one"),
        (0x81, b"two"),
        (0x01, b"th"),
        (0x80, b"ree"),
    ]);
    let mut assembler = Assembler::new(0, None);
    assert!(!assembler.has_message());
    assembler.push(wire[..9].to_vec().into());
    assert!(assembler.has_message());
    assert!(assembler.next().is_ok_and(|message| message.is_some()));
    // The next one is cut.
    assert!(!assembler.has_message());
    assert_eq!(assembler.next(), Ok(None));
    assembler.push(wire[9..].to_vec().into());
    assert!(assembler.has_message());
    assert_eq!(assembler.next(), Ok(Some(Message::text("two"))));
    assert!(!assembler.has_message(), "fragments are not looked at");
    assert_eq!(assembler.next(), Ok(Some(Message::text("three"))));
    assert!(!assembler.has_message());
    assembler.push(Bytes::from_static(b"\x83\x00"));
    assert!(!assembler.has_message());
    assert!(assembler.next().is_err());
}

#[test]
fn messages_may_be_as_large_as_is_allowed() {
    // SPEC W8: 1009 at the header, before any of the payload.
    let too_big = Some(CloseCode::TOO_BIG);
    assert_eq!(told(4, false, b"\x82\x04abcd").1, None);
    assert_eq!(told(4, false, b"\x82\x05").1, too_big);
    assert_eq!(
        told(4, false, b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff").1,
        too_big
    );
    assert_eq!(told(4, false, b"\x02\x03abc\x00\x01d\x80\x01").1, too_big);
    assert_eq!(told(4, false, b"\x02\x03abc\x80\x01d\x82\x04abcd").1, None);
    // Without a limit the announced length makes no room either.
    let mut assembler = Assembler::new(0, None);
    assembler.push(Bytes::from_static(
        b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xffabc",
    ));
    assert_eq!(assembler.next(), Ok(None));
}

fn deflated(messages: &[(u8, &[u8])]) -> Vec<(u8, Vec<u8>)> {
    let mut deflater = Deflater::new(15, true, 6);
    let messages = messages.iter().map(|(first, message)| {
        let mut out = Vec::new();
        assert!(deflater.deflate(message, &mut out));
        (*first, out)
    });
    messages.collect()
}

#[test]
fn compressed_messages_are_inflated() {
    // SPEC W7. RFC 7692 §7.2.3: fragments are of the compressed bytes; what is not
    // compressed may stand between.
    let text = "so viel Text, so viel Text, κόσμε ".repeat(20);
    let messages = deflated(&[(0xc1, text.as_bytes()), (0xc2, &[9; 3000]), (0xc1, b"")]);
    let mut wire = Vec::new();
    for (first, deflated) in &messages {
        wire.extend(frame(*first, deflated));
        wire.extend(frame(0x81, b"plain"));
    }
    let again = deflated(&[(0xc1, text.as_bytes())]);
    let (front, back) = again[0].1.split_at(9);
    let cut = frames(&[(0x41, front), (0x00, b""), (0x89, b"!"), (0x80, back)]);
    let plain = || Message::text("plain");
    let want = vec![
        Message::text(&text),
        plain(),
        Message::binary(vec![9; 3000]),
        plain(),
        Message::text(""),
        plain(),
        Message::Ping(Bytes::from_static(b"!")),
        Message::text(&text),
    ];
    wire.extend(cut);
    assert_eq!(told(0, true, &wire), (want, None));
    assert_eq!(told(0, false, &wire).1, Some(CloseCode::PROTOCOL));
}

#[test]
fn the_limit_holds_for_what_is_inflated() {
    // SPEC W8: a bomb is stopped on its way, and makes no more than is allowed.
    let bomb = &deflated(&[(0xc2, &[0; 100_000])])[0].1;
    assert!(bomb.len() < 200);
    let wire = frame(0xc2, bomb);
    assert_eq!(told(99_999, true, &wire).1, Some(CloseCode::TOO_BIG));
    assert_eq!(told(100_000, true, &wire).1, None);
    // In the midst of it, too: its end need not come.
    let part = frame(0x42, &bomb[..bomb.len() / 2]);
    assert_eq!(told(10_000, true, &part).1, Some(CloseCode::TOO_BIG));
    let mut assembler = Assembler::new(10_000, Some(Inflater::new(false)));
    assembler.push(part.into());
    assert!(assembler.next().is_err());
    assert!(
        matches!(assembler.message, Body::None),
        "nothing of it is kept"
    );
}

#[test]
fn what_is_damaged_or_no_text_is_told_when_inflated() {
    // SPEC W13.
    let invalid = Some(CloseCode::INVALID_PAYLOAD);
    assert_eq!(told(0, true, &frame(0xc2, b"\xff\xff\xff")).1, invalid);
    let (_, bad) = &deflated(&[(0xc1, b"so far so good \xff and more")])[0];
    assert_eq!(told(0, true, &frame(0xc1, bad)).1, invalid);
    let (front, back) = bad.split_at(bad.len() - 3);
    let wire = frames(&[(0x41, front), (0x80, back)]);
    assert_eq!(told(0, true, &wire).1, invalid);
    // Text without an end.
    let (_, cut) = &deflated(&[(0xc1, b"\xe2\x82")])[0];
    assert_eq!(told(0, true, &frame(0xc1, cut)).1, invalid);
}

#[test]
fn large_messages_in_many_pieces_are_put_together() {
    let bytes: Vec<u8> = (0..300_000_u32).map(|at| (at % 251) as u8).collect();
    let text: String = "aä€𐍈 ".chars().cycle().take(100_000).collect();
    let wire = frames(&[(0x82, &bytes), (0x81, text.as_bytes())]);
    for size in [11, 1000, 8 * 1024, 16 * 1024 + 1, 100_000, 1_000_000] {
        let (messages, violation) = story(0, false, wire.chunks(size));
        assert_eq!(violation, None);
        assert!(messages[0].as_bytes() == bytes, "by {size}");
        assert!(messages[1].as_text() == Some(&text), "by {size}");
        assert_eq!(messages.len(), 2);
    }
}

#[test]
fn fragments_of_a_byte_hold_no_more_than_that() {
    // Each comes with a read of its own, most of which is not the message's.
    let mut assembler = Assembler::new(0, None);
    assembler.push(Bytes::from_static(b"\x02\x00"));
    assert_eq!(assembler.next(), Ok(None));
    let mut reads = Vec::new();
    for _ in 0..1000 {
        let read = Bytes::from(vec![0; 4096]);
        assembler.push(Bytes::from_static(b"\x00\x01"));
        assembler.push(read.slice(100..101));
        assert_eq!(assembler.next(), Ok(None));
        reads.push(read);
    }
    assert!(reads.iter().all(Bytes::is_unique));
    assembler.push(Bytes::from_static(b"\x80\x00"));
    let message = assembler.next().expect("it is sound").expect("it is whole");
    assert_eq!(message.len(), 1000);
}
