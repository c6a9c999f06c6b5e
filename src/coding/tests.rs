//! Every case runs whole, byte by byte and split at each place, into output
//! buffers of 1, 7 and 4096 bytes, and must give the same.

#[cfg(all(feature = "gzip", feature = "brotli", feature = "zstd"))]
mod others;

use super::*;

const OFF: Limits = Limits {
    max_ratio: 0,
    ratio_floor: 0,
};

fn decoder(header: &str, limits: Limits) -> Result<Option<Decoder>, CodingFault> {
    Decoder::new(header.split('\n').map(str::as_bytes), limits)
}

#[test]
fn passed_through() {
    // SPEC R39: nothing to decode, or an unknown coding, is handed on untouched.
    for header in [
        "",
        " , ,",
        "identity",
        "Identity, IDENTITY",
        "x-unheard-of",
        "gzip, x-unheard-of",
        "x-unheard-of, gzip",
        "gzip\nx-unheard-of",
        "gzipped",
        "\u{e9}",
    ] {
        assert!(decoder(header, OFF).unwrap().is_none(), "{header:?}");
    }
    assert!(Decoder::new(std::iter::empty(), OFF).unwrap().is_none());
}

#[cfg(not(any(feature = "gzip", feature = "brotli", feature = "zstd")))]
#[test]
fn without_codings() {
    assert!(decoder("gzip", OFF).unwrap().is_none());
    assert_eq!(Decoder::accept_encoding(), "");
}

#[cfg(feature = "gzip")]
mod compiled_in {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(data: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn raw(data: &[u8], level: u32) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(level));
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    /// Some text that compresses, but not into nothing.
    pub(super) fn text() -> Vec<u8> {
        (0..20_u32)
            .flat_map(|n| format!("{} green bottles, ", n * n).into_bytes())
            .collect()
    }

    pub(super) type Outcome = (Vec<u8>, Option<CodingFault>);

    /// Reads as a body's reader does.
    pub(super) fn run(header: &str, limits: Limits, pieces: &[&[u8]], room: usize) -> Outcome {
        let mut decoder = decoder(header, limits).unwrap().unwrap();
        let mut output = vec![0; room];
        let mut decoded = Vec::new();
        for piece in pieces {
            let mut input = Bytes::copy_from_slice(piece);
            loop {
                match decoder.decode(&mut input, &mut output) {
                    Ok(0) => break,
                    Ok(written) => decoded.extend_from_slice(&output[..written]),
                    Err(fault) => {
                        let again = decoder.decode(&mut input, &mut output);
                        assert_eq!(again, Err(fault.clone()), "a fault stays");
                        return (decoded, Some(fault));
                    }
                }
            }
            assert!(input.is_empty(), "0 means that more input is needed");
        }
        loop {
            match decoder.finish(&mut output) {
                Ok(0) => break,
                Ok(written) => decoded.extend_from_slice(&output[..written]),
                Err(fault) => {
                    assert_eq!(decoder.finish(&mut output), Err(fault.clone()));
                    return (decoded, Some(fault));
                }
            }
        }
        assert_eq!(decoder.finish(&mut output), Ok(0), "the end stays");
        (decoded, None)
    }

    /// The outcome of `body`, the same for every way of feeding it.
    pub(super) fn outcome(header: &str, body: &[u8]) -> Outcome {
        let expected = run(header, OFF, &[body], 4096);
        for room in [1, 7, 4096] {
            let bytes: Vec<&[u8]> = body.chunks(1).collect();
            assert_eq!(run(header, OFF, &bytes, room), expected, "byte by byte");
            for at in 0..=body.len() {
                let (head, tail) = body.split_at(at);
                let split = run(header, OFF, &[head, tail], room);
                assert_eq!(split, expected, "{header:?} at {at}, room {room}");
            }
        }
        expected
    }

    /// A gzip member with every optional header field.
    fn dressed_gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::GzBuilder::new()
            .filename("file name")
            .comment("a comment")
            .extra(vec![b'x'; 40])
            .mtime(1_700_000_000)
            .write(Vec::new(), Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn decoded() {
        // SPEC R39.
        let text = text();
        let mut members = gzip(&text);
        members.extend(dressed_gzip(b"second"));
        members.extend(gzip(b""));
        members.extend(gzip(b"last"));
        let in_all = [&text[..], b"second", b"last"].concat();

        let cases: Vec<(&str, Vec<u8>, Vec<u8>)> = vec![
            ("gzip", gzip(&text), text.clone()),
            ("x-gzip", gzip(&text), text.clone()),
            ("GZIP", gzip(&text), text.clone()),
            (" ,\tGzip , identity", gzip(&text), text.clone()),
            ("gzip", dressed_gzip(b"dressed"), b"dressed".to_vec()),
            ("gzip", gzip(b""), vec![]),
            ("gzip", members, in_all),
            ("deflate", zlib(&text), text.clone()),
            ("Deflate", raw(&text, 6), text.clone()),
            ("deflate", raw(&text, 0), text.clone()),
            ("deflate", raw(b"a", 9), b"a".to_vec()),
            ("deflate", raw(b"", 9), vec![]),
            ("deflate", zlib(b""), vec![]),
            ("gzip, deflate", zlib(&gzip(&text)), text.clone()),
            ("deflate\ngzip", gzip(&raw(&text, 9)), text.clone()),
            ("gzip,gzip,gzip", gzip(&gzip(&gzip(&text))), text.clone()),
            ("gzip, gzip", gzip(&gzip(b"")), vec![]),
            // Nothing, coded once and then not: the inner body has no bytes.
            ("deflate, gzip", gzip(b""), vec![]),
        ];
        for (header, body, expected) in cases {
            assert_eq!(outcome(header, &body), (expected, None), "{header:?}");
        }
    }

    /// No body at all is a complete one, whatever the header says.
    #[test]
    fn empty_bodies() {
        for header in ["gzip", "deflate", "gzip, deflate", "deflate, gzip"] {
            assert_eq!(outcome(header, b""), (vec![], None), "{header}");
        }
        let mut decoder = decoder("gzip", OFF).unwrap().unwrap();
        let mut input = Bytes::from(gzip(b"a"));
        assert_eq!(decoder.decode(&mut input, &mut []), Ok(0));
        assert_eq!(decoder.finish(&mut []), Ok(0));
        assert!(!input.is_empty(), "no room, no work");
    }

    /// What follows the end is ignored.
    #[test]
    fn trailing_bytes() {
        let text = text();
        for tail in [
            &b"\0"[..],
            &[0; 600],
            b"garbage",
            b"\0\0garbage",
            b"\x1f",
            b"\x1f\x1f\x8b",
            b"\x1fgarbage",
            b"\0\x1f",
        ] {
            for (header, body) in [("gzip", gzip(&text)), ("deflate", zlib(&text))] {
                let body = [&body, tail].concat();
                assert_eq!(outcome(header, &body), (text.clone(), None), "{tail:?}");
            }
        }
        // A member behind padding is one more.
        let body = [gzip(b"a"), vec![0; 9], gzip(b"b")].concat();
        assert_eq!(outcome("gzip", &body), (b"ab".to_vec(), None));
        // And one that has begun has to end.
        let cut = [&gzip(b"a")[..], &MEMBER_START[..]].concat();
        let truncated = CodingFault::Truncated { coding: "gzip" };
        assert_eq!(outcome("gzip", &cut), (b"a".to_vec(), Some(truncated)));
    }

    const MEMBER_START: [u8; 4] = [0x1f, 0x8b, 8, 0];

    /// Cut anywhere but at the ends, a body is too short, and what came is
    /// delivered before that is said.
    #[test]
    fn truncated_bodies() {
        let text = text();
        for (header, coding, body) in [
            ("gzip", "gzip", gzip(&text)),
            ("deflate", "deflate", zlib(&text)),
            ("deflate", "deflate", raw(&text, 6)),
            ("deflate", "deflate", raw(&text, 0)),
        ] {
            for cut in 1..body.len() {
                let (decoded, fault) = run(header, OFF, &[&body[..cut]], 100);
                assert_eq!(fault, Some(CodingFault::Truncated { coding }), "{cut}");
                assert!(text.starts_with(&decoded));
            }
            let nearly = run(header, OFF, &[&body[..body.len() - 1]], 100).0;
            assert!(nearly.len() > text.len() / 2, "{header}: {}", nearly.len());
        }
        // The outer coding is complete, the inner is not.
        let inner = gzip(&text);
        let body = zlib(&inner[..inner.len() - 3]);
        let truncated = CodingFault::Truncated { coding: "gzip" };
        assert_eq!(outcome("gzip, deflate", &body), (text, Some(truncated)));
    }

    #[test]
    fn corrupt_bodies() {
        let text = text();
        let corrupt = |header: &str, body: &[u8]| match outcome(header, body) {
            (decoded, Some(CodingFault::Corrupt { coding, message })) => {
                assert!(!message.is_empty());
                (coding, decoded)
            }
            other => panic!("{header:?}: {other:?}"),
        };
        assert_eq!(corrupt("gzip", b"not gzip at all").0, "gzip");
        assert_eq!(corrupt("gzip", &zlib(&text)).0, "gzip");
        assert_eq!(corrupt("deflate", b"\xff\xff\xff\xff").0, "deflate");
        // A zlib header that asks for a dictionary.
        assert_eq!(corrupt("deflate", b"\x78\xbb\0\0\0\x01abc").0, "deflate");
        // A member that begins well and goes on badly.
        let body = [&gzip(b"a")[..], b"\x1f\x8b\x08\xff\xff"].concat();
        assert_eq!(corrupt("gzip", &body), ("gzip", b"a".to_vec()));

        // The checksums: CRC-32 and length of gzip, Adler-32 of zlib. All of
        // the data has been delivered by then.
        for (header, mut body, from_end) in [
            ("gzip", gzip(&text), 8),
            ("gzip", gzip(&text), 1),
            ("deflate", zlib(&text), 1),
        ] {
            let at = body.len() - from_end;
            body[at] ^= 0x40;
            assert_eq!(corrupt(header, &body).1, text);
        }

        // Behind damage in the outer coding the inner still delivers.
        let mut body = zlib(&gzip(&text));
        let at = body.len() - 1;
        body[at] ^= 1;
        assert_eq!(corrupt("gzip, deflate", &body), ("deflate", text));
    }

    /// Any single wrong byte gives an outcome, and the same for every feeding
    /// (but for the words: zlib-rs may tell of damage one call late).
    #[test]
    fn every_flipped_byte() {
        let body = zlib(&gzip(b"some data, some data, some data"));
        let silent = |(decoded, fault): Outcome| match fault {
            Some(CodingFault::Corrupt { coding, .. }) => {
                let message = String::new();
                (decoded, Some(CodingFault::Corrupt { coding, message }))
            }
            fault => (decoded, fault),
        };
        for at in 0..body.len() {
            for mask in [0x01, 0x80, 0xff] {
                let mut body = body.clone();
                body[at] ^= mask;
                let whole = run("gzip, deflate", OFF, &[&body], 4096);
                let bytes: Vec<&[u8]> = body.chunks(1).collect();
                let single = run("gzip, deflate", OFF, &bytes, 1);
                assert_eq!(silent(single), silent(whole), "{at} {mask:#x}");
            }
        }
    }

    /// A bare deflate stream of so many MiB of zeros. One MiB is compressed
    /// and repeated, which a stream flushed at its end allows.
    fn zeros(mib: usize) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&vec![0; MIB]).unwrap();
        encoder.flush().unwrap();
        let mut bomb = encoder.get_ref().repeat(mib);
        // The last block: stored, and of no bytes.
        bomb.extend([1, 0, 0, 0xff, 0xff]);
        bomb
    }

    const MIB: usize = 1024 * 1024;

    #[test]
    fn bombs() {
        // SPEC R40: 1000 times past the first MiB; 0 is off.
        let bomb = zeros(20);
        assert!(20 * MIB / bomb.len() > 1000, "{}", bomb.len());
        let default = Limits::default();
        let ratio = Some(CodingFault::Ratio { limit: 1000 });

        let (decoded, fault) = run("deflate", default, &[&bomb], 4096);
        assert_eq!(fault, ratio);
        assert!(decoded.len() <= bomb.len() * 1000 + 4096);

        let off = Limits {
            max_ratio: 0,
            ..default
        };
        let (decoded, fault) = run("deflate", off, &[&bomb], 64 * 1024);
        assert_eq!((decoded.len(), fault), (20 * MIB, None));

        // A stack of two: few bytes, stopped at the first MiB.
        let twice = gzip(&bomb);
        assert!(twice.len() < 1000, "{}", twice.len());
        let (decoded, fault) = run("deflate, gzip", default, &[&twice], 4096);
        assert_eq!(fault, ratio);
        assert!(decoded.len() <= MIB + 4096, "{}", decoded.len());

        // Up to the floor any ratio is fine.
        let (decoded, fault) = run("deflate, gzip", default, &[&gzip(&zeros(1))], 4096);
        assert_eq!((decoded.len(), fault), (MIB, None));

        let strict = Limits {
            max_ratio: 10,
            ratio_floor: 100,
        };
        let (_, fault) = run("gzip", strict, &[&gzip(&[0; 2000])], 64);
        assert_eq!(fault, Some(CodingFault::Ratio { limit: 10 }));
        assert_eq!(run("gzip", strict, &[&gzip(&text())], 64).1, None);
    }

    /// A stack that expands inside and delivers nothing is a bomb as well.
    #[test]
    fn hidden_bombs() {
        // Stored blocks of no bytes: valid, long, and without output.
        let mut hollow = [0, 0, 0, 0xff, 0xff].repeat(MIB);
        hollow.extend([1, 0, 0, 0xff, 0xff]);
        let body = gzip(&hollow);
        let header = "deflate, gzip";
        let limits = Limits {
            max_ratio: 100,
            ..Limits::default()
        };
        let (decoded, fault) = run(header, limits, &[&body], 4096);
        assert_eq!(decoded, b"");
        assert_eq!(fault, Some(CodingFault::Ratio { limit: 100 }));
        assert_eq!(run(header, OFF, &[&body], 4096), (vec![], None));
    }

    #[test]
    fn stacks_are_bounded() {
        let many = |count| vec!["gzip"; count].join(", ");
        assert!(decoder(&many(8), OFF).unwrap().is_some());
        for header in [many(9), many(9).replace(", ", "\n"), many(10_000)] {
            let fault = decoder(&header, OFF).unwrap_err();
            assert_eq!(fault, CodingFault::TooManyCodings);
        }
        let unknown = many(9) + ", x-unheard-of";
        assert!(decoder(&unknown, OFF).unwrap().is_none());
        let text = text();
        let body = (0..8).fold(text.clone(), |body, _| gzip(&body));
        assert_eq!(run(&many(8), OFF, &[&body], 50), (text, None));
    }

    #[test]
    fn faults_in_words() {
        assert!(Decoder::accept_encoding().starts_with("gzip, deflate"));
        let (_, fault) = run("gzip", OFF, &[b"no gzip"], 9);
        let words = fault.unwrap().to_string();
        assert_eq!(words, "corrupt gzip body: incorrect header check");
        let limit = CodingFault::Ratio { limit: 1000 };
        assert_eq!(limit.to_string(), "the body expands more than 1000 times");
    }
}
