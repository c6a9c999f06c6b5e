//! Headers against their rules and against tungstenite; frames of ours, read back.

use std::io::Cursor;

use super::*;
use crate::ws::CloseCode;

#[track_caller]
fn header(bytes: &[u8]) -> (Header, usize) {
    for length in 0..bytes.len() {
        assert_eq!(Header::parse(&bytes[..length]), Ok(None), "of {length}");
    }
    let behind = [bytes, b"\xff\xff"].concat();
    assert_eq!(Header::parse(&behind), Header::parse(bytes));
    Header::parse(bytes)
        .expect("it is sound")
        .expect("it is whole")
}

#[test]
fn headers_are_read() {
    // RFC 6455 §5.2.
    let table: &[(&[u8], Opcode, bool, bool, u64)] = &[
        (b"\x00\x05", Opcode::Continuation, false, false, 5),
        (b"\x80\x00", Opcode::Continuation, true, false, 0),
        (b"\x81\x7d", Opcode::Text, true, false, 125),
        (b"\x01\x01", Opcode::Text, false, false, 1),
        (b"\xc1\x01", Opcode::Text, true, true, 1),
        (b"\x82\x7e\x00\x7e", Opcode::Binary, true, false, 126),
        (b"\x82\x7e\xff\xff", Opcode::Binary, true, false, 65535),
        (
            b"\x82\x7f\0\0\0\0\0\x01\0\0",
            Opcode::Binary,
            true,
            false,
            65536,
        ),
        (
            b"\x42\x7f\x7f\xff\xff\xff\xff\xff\xff\xff",
            Opcode::Binary,
            false,
            true,
            (1 << 63) - 1,
        ),
        (b"\x88\x00", Opcode::Close, true, false, 0),
        (b"\x89\x7d", Opcode::Ping, true, false, 125),
        (b"\x8a\x03", Opcode::Pong, true, false, 3),
    ];
    for &(bytes, opcode, fin, rsv1, length) in table {
        let want = Header {
            fin,
            rsv1,
            opcode,
            length,
        };
        assert_eq!(header(bytes), (want, bytes.len()), "{bytes:x?}");
    }
}

#[test]
fn a_wrong_byte_is_found_as_it_comes() {
    // SPEC W13. RFC 6455 §5.2, §5.5: reserved bits and opcodes, fragmented control
    // frames; then masks and lengths. All 1002.
    let first: Vec<u8> = (0..=255)
        .filter(|byte| {
            let opcode = byte & 0xf;
            let is_reserved = (3..8).contains(&opcode) || opcode > 10;
            let is_control = opcode >= 8;
            byte & 0x30 != 0 || is_reserved || (is_control && byte & 0xc0 != 0x80)
        })
        .collect();
    assert_eq!(first.len(), 192 + 64 - 4 * 3 - 3);
    for byte in 0..=255 {
        let parsed = Header::parse(&[byte]);
        match first.contains(&byte) {
            true => assert_eq!(parsed.map_err(|v| v.code), Err(CloseCode::PROTOCOL)),
            false => assert_eq!(parsed, Ok(None)),
        }
    }
    let table: &[&[u8]] = &[
        b"\x81\x80",
        b"\x81\xff",
        b"\x88\x80",
        b"\x89\x7e",
        b"\x8a\x7f",
        b"\x82\x7e\x00\x00",
        b"\x82\x7e\x00\x7d",
        b"\x82\x7f\0\0\0\0\0\0\xff\xff",
        b"\x82\x7f\x80\0\0\0\0\0\0\0",
        b"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff",
    ];
    for bytes in table {
        let (_, before) = bytes.split_last().expect("none is empty");
        assert_eq!(Header::parse(before), Ok(None), "{bytes:x?}");
        let code = Header::parse(bytes).map_err(|violation| violation.code);
        assert_eq!(code, Err(CloseCode::PROTOCOL), "{bytes:x?}");
    }
}

#[test]
fn headers_are_what_tungstenite_reads() {
    let tails: [[u8; 8]; 4] = [
        [0; 8],
        [0xff; 8],
        [1, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 1, 2, 3],
    ];
    let mut sound = 0;
    for first in 0..=255 {
        for second in 0..=255 {
            for tail in tails {
                let bytes = [&[first, second][..], &tail].concat();
                let Ok(ours) = Header::parse(&bytes) else {
                    continue;
                };
                let mut cursor = Cursor::new(&bytes);
                let theirs = FrameHeader::parse(&mut cursor).expect("they refuse less");
                let (ours, size) = ours.expect("no header is longer");
                let (theirs, length) = theirs.expect("no header is longer");
                assert_eq!(ours.length, length);
                assert_eq!(
                    (size as u64, ours.fin),
                    (cursor.position(), theirs.is_final)
                );
                assert_eq!(
                    (ours.rsv1, Some(ours.opcode)),
                    (theirs.rsv1, Opcode::of(theirs.opcode.into()))
                );
                assert_eq!(
                    (theirs.rsv2, theirs.rsv3, theirs.mask),
                    (false, false, None)
                );
                sound += 1;
            }
        }
    }
    assert!(sound > 6000, "{sound}");
}

/// A frame of ours as a server reads it: opcode, RSV1, payload.
#[track_caller]
fn read_back(frame: &Frame) -> (Opcode, bool, Vec<u8>) {
    let wire = [&frame.head[..], &frame.body].concat();
    assert_eq!(wire.len(), frame.len());
    let mut cursor = Cursor::new(&wire);
    let parsed = FrameHeader::parse(&mut cursor).expect("it is sound");
    let (header, length) = parsed.expect("it is whole");
    assert!(header.is_final && !header.rsv2 && !header.rsv3);
    let mut payload = wire[cursor.position() as usize..].to_vec();
    assert_eq!(payload.len() as u64, length);
    assert_eq!(cursor.position() as usize, header.len(length));
    let key = header.mask.expect("frames of clients are masked");
    for (at, byte) in payload.iter_mut().enumerate() {
        *byte ^= key[at % 4];
    }
    let opcode = Opcode::of(header.opcode.into()).expect("it is not reserved");
    (opcode, header.rsv1, payload)
}

#[test]
fn frames_can_be_read_back() {
    // SPEC W11. RFC 6455 §5.1: every frame of a client is masked.
    for length in [
        0,
        1,
        7,
        125,
        126,
        127,
        SMALL,
        SMALL + 1,
        65535,
        65536,
        100_003,
    ] {
        let payload: Vec<u8> = (0..length).map(|at| at as u8).collect();
        for (opcode, rsv1) in [(Opcode::Text, false), (Opcode::Binary, true)] {
            let alone = Frame::data(opcode, rsv1, payload.clone().into());
            assert!(
                read_back(&alone) == (opcode, rsv1, payload.clone()),
                "{length}"
            );
            let kept = Bytes::from(payload.clone());
            let shared = Frame::data(opcode, rsv1, kept.clone());
            assert!(
                read_back(&shared) == (opcode, rsv1, payload.clone()),
                "{length}"
            );
            assert!(kept == payload, "what others have is not masked");
        }
    }
    let fixed = Frame::data(Opcode::Text, false, Bytes::from_static(&[b'x'; 2 * SMALL]));
    assert!(read_back(&fixed).2 == [b'x'; 2 * SMALL]);
}

#[test]
fn a_large_payload_of_ones_own_stays_where_it_is() {
    for offset in [0, 3] {
        let payload = Bytes::from(vec![b'x'; 4 * SMALL]).slice(offset..);
        let (at, length) = (payload.as_ptr(), payload.len());
        let frame = Frame::data(Opcode::Binary, false, payload);
        assert_eq!((frame.body.as_ptr(), frame.body.len()), (at, length));
        assert_eq!(read_back(&frame).2, vec![b'x'; length]);
    }
}

#[test]
fn no_frame_has_the_key_of_another() {
    // RFC 6455 §5.3.
    let frames: Vec<Frame> = (0..8).map(|_| Frame::control(Opcode::Ping, b"")).collect();
    let same = |frame: &&Frame| **frame == frames[0];
    assert_eq!(frames.iter().filter(same).count(), 1);
}

#[test]
fn control_frames_are_never_too_long() {
    // SPEC W11, W14. RFC 6455 §5.5.
    let ping = Frame::control(Opcode::Ping, &[b'p'; 125]);
    assert_eq!(read_back(&ping), (Opcode::Ping, false, vec![b'p'; 125]));
    let pong = Frame::control(Opcode::Pong, &[b'p'; 200]);
    assert_eq!(read_back(&pong), (Opcode::Pong, false, vec![b'p'; 125]));
    let close = |code: u16, reason: &str| CloseFrame {
        code: code.into(),
        reason: reason.into(),
    };
    let payload = |close: Option<&CloseFrame>| {
        let (opcode, rsv1, payload) = read_back(&Frame::close(close));
        assert_eq!((opcode, rsv1), (Opcode::Close, false));
        payload
    };
    assert_eq!(payload(None), b"");
    assert_eq!(payload(Some(&close(1000, ""))), b"\x03\xe8");
    assert_eq!(payload(Some(&close(4000, "why"))), b"\x0f\xa0why");
    // What is too long is cut between two characters.
    let long = close(1001, &"ä".repeat(62));
    assert!(long.fault().is_some());
    let want = [b"\x03\xe9", "ä".repeat(61).as_bytes()].concat();
    assert_eq!(payload(Some(&long)), want);
    // What stands for no code on the wire makes a frame without one.
    for code in [1005, 1006, 0, 999, 5000] {
        assert!(close(code, "").fault().is_some());
        assert_eq!(payload(Some(&close(code, "why"))), b"");
    }
    assert_eq!(close(1000, &"x".repeat(123)).fault(), None);
}

#[test]
fn messages_keep_their_order() {
    // SPEC W13. RFC 6455 §5.4; RFC 7692 §6: RSV1 on the first frame alone.
    let frame = |byte: u8| Header {
        fin: byte & 0x80 != 0,
        rsv1: byte & 0x40 != 0,
        opcode: Opcode::of(byte).expect("known"),
        length: 1,
    };
    let table: &[(bool, &[u8], Option<usize>)] = &[
        (false, &[0x81, 0x82, 0x81], None),
        (false, &[0x01, 0x00, 0x80, 0x02, 0x80], None),
        (false, &[0x01, 0x89, 0x8a, 0x80, 0x88], None),
        (false, &[0x80], Some(0)),
        (false, &[0x00], Some(0)),
        (false, &[0x81, 0x80], Some(1)),
        (false, &[0x01, 0x80, 0x80], Some(2)),
        (false, &[0x01, 0x81], Some(1)),
        (false, &[0x01, 0x00, 0x02], Some(2)),
        (false, &[0xc1], Some(0)),
        (false, &[0x01, 0xc0], Some(1)),
        (true, &[0xc1, 0x81, 0x42, 0x00, 0x80, 0x41, 0x80], None),
        (true, &[0x41, 0x40], Some(1)),
        (true, &[0x01, 0xc0], Some(1)),
    ];
    for &(deflate, frames, wrong) in table {
        let mut sequence = Sequence::new(deflate, 0);
        for (at, &byte) in frames.iter().enumerate() {
            let admitted = sequence.admit(&frame(byte)).map_err(|v| v.code);
            let want = match wrong == Some(at) {
                true => Err(CloseCode::PROTOCOL),
                false => Ok(()),
            };
            assert_eq!(admitted, want, "{at} of {frames:x?}");
        }
    }
}

#[test]
fn the_limit_holds_for_the_sum_of_the_frames() {
    // SPEC W8.
    let frame = |byte: u8, length: u64| Header {
        fin: byte & 0x80 != 0,
        rsv1: byte & 0x40 != 0,
        opcode: Opcode::of(byte).expect("known"),
        length,
    };
    let too_big = Err(CloseCode::TOO_BIG);
    let mut sequence = Sequence::new(true, 10);
    let mut admit = |header| sequence.admit(&header).map_err(|v| v.code);
    assert_eq!(admit(frame(0x82, 11)), too_big);
    assert_eq!(admit(frame(0x82, (1 << 63) - 1)), too_big);
    // What was refused has changed nothing.
    assert_eq!(admit(frame(0x82, 10)), Ok(()));
    assert_eq!(admit(frame(0x01, 4)), Ok(()));
    assert_eq!(admit(frame(0x89, 125)), Ok(()));
    assert_eq!(admit(frame(0x00, 4)), Ok(()));
    assert_eq!(admit(frame(0x80, 3)), too_big);
    assert_eq!(admit(frame(0x00, (1 << 63) - 1)), too_big);
    assert_eq!(admit(frame(0x80, 2)), Ok(()));
    // Of a compressed one the size is not known yet.
    assert_eq!(admit(frame(0xc2, 11)), Ok(()));
    let mut sequence = Sequence::new(false, 0);
    for _ in 0..4 {
        let header = frame(u8::from(sequence.open.is_none()), (1 << 63) - 1);
        assert_eq!(sequence.admit(&header), Ok(()));
    }
}
