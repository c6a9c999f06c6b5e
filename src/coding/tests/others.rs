//! br and zstd, alone and in stacks.

use super::compiled_in::{Outcome, outcome, run, text};
use super::*;
use crate::coding::encode::Encoding;

fn encoded(encoding: Encoding, data: &[u8]) -> Vec<u8> {
    let mut encoder = encoding.encoder().unwrap();
    let mut all = Vec::new();
    for piece in data.chunks(1000) {
        all.extend(encoder.encode(piece).unwrap());
    }
    all.extend(encoder.finish().unwrap());
    all
}

fn br(data: &[u8]) -> Vec<u8> {
    encoded(Encoding::Brotli, data)
}

fn zstd(data: &[u8]) -> Vec<u8> {
    encoded(Encoding::Zstd, data)
}

/// Some bytes that do not compress.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    (0..length).map(|_| next()).collect()
}

/// A zstd frame by hand: the bytes of its header behind the magic number, then
/// blocks.
fn frame(header: &[u8], blocks: &[&[u8]]) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd];
    frame.extend_from_slice(header);
    for block in blocks {
        frame.extend_from_slice(block);
    }
    frame
}

/// A block of one byte repeated so often.
fn run_length(last: bool, length: u32, byte: u8) -> [u8; 4] {
    let [low, middle, high, _] = (u32::from(last) | 1 << 1 | length << 3).to_le_bytes();
    [low, middle, high, byte]
}

/// Nothing set, then a window descriptor: 1 KiB and 2 to the power of this.
fn window(exponent: u8) -> [u8; 2] {
    [0, exponent << 3]
}

#[test]
fn every_encoding_is_undone() {
    // SPEC R39, Q9
    let text = text();
    for encoding in [
        Encoding::Deflate,
        Encoding::Gzip,
        Encoding::Brotli,
        Encoding::Zstd,
    ] {
        let name = encoding.name();
        let loud = name.to_ascii_uppercase();
        for data in [&text[..], b"a", b""] {
            let body = encoded(encoding, data);
            assert_eq!(outcome(name, &body), (data.to_vec(), None), "{name}");
            assert_eq!(outcome(&loud, &body), (data.to_vec(), None), "{loud}");
        }
        assert_eq!(outcome(name, b""), (vec![], None), "{name}");
        let noise = noise(300_000);
        let body = encoded(encoding, &noise);
        for room in [7, 4096, 200_000] {
            assert_eq!(run(name, OFF, &[&body], room), (noise.clone(), None));
        }
    }
}

#[test]
fn they_stack_with_the_others() {
    // SPEC R39
    let text = text();
    let gzip = |data: &[u8]| encoded(Encoding::Gzip, data);
    for (header, body) in [
        ("br, gzip", gzip(&br(&text))),
        ("gzip\nZstd", zstd(&gzip(&text))),
        ("zstd, br", br(&zstd(&text))),
        (
            "br, zstd, deflate",
            encoded(Encoding::Deflate, &zstd(&br(&text))),
        ),
    ] {
        assert_eq!(outcome(header, &body), (text.clone(), None), "{header}");
    }
    for header in ["dcb", "dcz", "brotli", "zstandard", "br, dcz"] {
        assert!(decoder(header, OFF).unwrap().is_none(), "{header}");
    }
}

#[test]
fn frames_may_follow_each_other_and_be_skippable() {
    // SPEC R39
    let skippable = [&[0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
    let body = [
        skippable.clone(),
        zstd(b"one, "),
        zstd(b""),
        skippable.clone(),
        frame(&window(7), &[&run_length(true, 5, b'z')]),
        skippable,
    ];
    let body = body.concat();
    assert_eq!(outcome("zstd", &body), (b"one, zzzzz".to_vec(), None));
    // Behind a frame comes a frame or nothing.
    for tail in [&b"\0\0\0\0\0\0\0\0"[..], b"garbage behind it"] {
        let body = [&zstd(b"one")[..], tail].concat();
        let (decoded, fault) = outcome("zstd", &body);
        assert_eq!(decoded, b"one");
        assert!(matches!(
            fault,
            Some(CodingFault::Corrupt { coding: "zstd", .. })
        ));
    }
    // Behind the end of br what comes is ignored.
    let body = [&br(b"one")[..], b"garbage"].concat();
    assert_eq!(outcome("br", &body), (b"one".to_vec(), None));
}

#[test]
fn windows_are_bounded() {
    // SPEC R40; RFC 9659: 8 MiB and not more.
    let block = run_length(true, 100, b'a');
    let allowed = frame(&window(13), &[&block]);
    assert_eq!(outcome("zstd", &allowed), (vec![b'a'; 100], None));
    let one_more = [0, 13 << 3 | 1];
    for header in [window(14), window(21), one_more] {
        let (decoded, fault) = outcome("zstd", &frame(&header, &[&block]));
        assert_eq!(decoded, b"");
        assert!(matches!(
            fault,
            Some(CodingFault::Corrupt { coding: "zstd", .. })
        ));
    }
    // A single segment of 9 MiB has a window as large as itself.
    let size = (9_u32 << 20).to_le_bytes();
    let header = [&[0xa0], &size[..]].concat();
    let (_, fault) = outcome("zstd", &frame(&header, &[&block]));
    assert!(
        matches!(fault, Some(CodingFault::Corrupt { .. })),
        "{fault:?}"
    );
    // "Large window brotli" is another format: 0x11, then how large.
    let (_, fault) = outcome("br", &[0x11, 0x1e, 0x03]);
    assert!(matches!(
        fault,
        Some(CodingFault::Corrupt { coding: "br", .. })
    ));
}

#[test]
fn a_dictionary_is_refused() {
    // Dictionary 7, of which nobody has heard.
    let header = [0x01, 7 << 3, 7];
    let body = frame(&header, &[&run_length(true, 3, b'a')]);
    let (decoded, fault) = outcome("zstd", &body);
    assert_eq!(decoded, b"");
    let fault = fault.unwrap().to_string();
    assert!(fault.to_ascii_lowercase().contains("dictionary"), "{fault}");
}

#[test]
fn what_is_cut_is_truncated() {
    // SPEC R37
    let text = text();
    for (coding, body) in [("br", br(&text)), ("zstd", zstd(&text))] {
        for cut in 1..body.len() {
            let (decoded, fault) = run(coding, OFF, &[&body[..cut]], 100);
            assert_eq!(fault, Some(CodingFault::Truncated { coding }), "{cut}");
            assert!(text.starts_with(&decoded));
        }
    }
    // Of what needs no more input nothing is held back.
    let two = [zstd(&text), zstd(b"and more")].concat();
    let cut = zstd(&text).len() + 5;
    let (decoded, fault) = run("zstd", OFF, &[&two[..cut]], 100);
    assert_eq!(decoded, text);
    assert_eq!(fault, Some(CodingFault::Truncated { coding: "zstd" }));
}

#[test]
fn damage_is_found_and_told_the_same_way() {
    // SPEC R37
    let text = text();
    // zstd has a checksum: no wrong byte passes, and all before is delivered.
    let mut body = zstd(&text);
    let at = body.len() - 1;
    body[at] ^= 1;
    let (decoded, fault) = outcome("zstd", &body);
    assert_eq!(decoded, text);
    assert!(matches!(
        fault,
        Some(CodingFault::Corrupt { coding: "zstd", .. })
    ));
    // A good block, and one of a type that does not exist.
    let good = run_length(false, 4, b'b');
    let body = frame(&window(7), &[&good, &[0b0000_0110, 0, 0, 0]]);
    assert_eq!(outcome("zstd", &body).0, b"bbbb");

    let same = |(decoded, fault): Outcome| (decoded, fault.map(|fault| fault.to_string()));
    for (coding, body) in [("zstd", zstd(&text)), ("br", br(&text))] {
        for at in 0..body.len() {
            for mask in [0x01, 0x80, 0xff] {
                let mut body = body.clone();
                body[at] ^= mask;
                let whole = run(coding, OFF, &[&body], 4096);
                let bytes: Vec<&[u8]> = body.chunks(1).collect();
                let single = run(coding, OFF, &bytes, 1);
                if coding == "zstd" {
                    assert_eq!(same(single), same(whole), "{at} {mask:#x}");
                } else {
                    // What is decoded of the last bytes before the damage is
                    // not told apart from the damage.
                    assert_eq!(single.1, whole.1, "{at} {mask:#x}");
                    assert!(single.0.starts_with(&whole.0), "{at} {mask:#x}");
                }
            }
        }
    }
}

#[test]
fn what_is_flushed_is_delivered_at_once() {
    // SPEC R39: not when the frame ends, as by decoders that keep the window.
    use std::io::Write;

    let mut encoder = ::brotli::CompressorWriter::new(Vec::new(), 4096, 5, 22);
    encoder.write_all(b"an event").unwrap();
    encoder.flush().unwrap();
    let flushed_br = encoder.get_ref().clone();
    let raw_block = [&[8 << 3, 0, 0][..], b"an event"].concat();
    let flushed_zstd = frame(&window(13), &[&raw_block]);

    for (coding, body) in [("br", flushed_br), ("zstd", flushed_zstd)] {
        let mut decoder = decoder(coding, OFF).unwrap().unwrap();
        let mut input = Bytes::from(body);
        let mut output = [0; 100];
        let mut got = Vec::new();
        loop {
            match decoder.decode(&mut input, &mut output).unwrap() {
                0 => break,
                written => got.extend_from_slice(&output[..written]),
            }
        }
        assert_eq!(got, b"an event", "{coding}");
    }
}

#[test]
fn they_are_bombs_as_well() {
    // SPEC R40
    let limits = Limits::default();
    let block = run_length(false, 128 * 1024, 0);
    let blocks = block.repeat(1000);
    let bomb = frame(&window(7), &[&blocks]);
    let ratio = Some(CodingFault::Ratio { limit: 1000 });
    let (decoded, fault) = run("zstd", limits, &[&bomb], 32 * 1024);
    assert_eq!(fault, ratio);
    assert!(
        decoded.len() <= 1024 * 1000 + bomb.len() * 1000,
        "{}",
        decoded.len()
    );
    let bomb = br(&vec![0; 20 << 20]);
    let (decoded, fault) = run("br", limits, &[&bomb], 32 * 1024);
    assert_eq!(fault, ratio);
    assert!(decoded.len() <= (1 << 20) + 32 * 1024, "{}", decoded.len());
    assert_eq!(Decoder::accept_encoding(), "gzip, deflate, br, zstd");
}
