use super::{Deflater, InflateFault, Inflater, TAIL};

const NO_LIMIT: usize = usize::MAX;

/// Inflates one message from pieces of this size.
fn inflate_in(
    inflater: &mut Inflater,
    bytes: &[u8],
    piece: usize,
) -> Result<Vec<u8>, InflateFault> {
    let mut out = Vec::new();
    for piece in bytes.chunks(piece.max(1)) {
        inflater.inflate(piece, &mut out, NO_LIMIT)?;
    }
    inflater.finish(&mut out, NO_LIMIT)?;
    Ok(out)
}

fn inflate(inflater: &mut Inflater, bytes: &[u8]) -> Result<Vec<u8>, InflateFault> {
    inflate_in(inflater, bytes, usize::MAX)
}

fn deflate(deflater: &mut Deflater, message: &[u8]) -> Vec<u8> {
    let mut out = b"before".to_vec();
    assert!(deflater.deflate(message, &mut out));
    assert!(out.starts_with(b"before"));
    out.split_off(6)
}

/// Bytes that do not compress, always the same.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(step).take(length).collect()
}

/// Text of the kind that messages are.
fn text(length: usize) -> Vec<u8> {
    let mut text = Vec::new();
    let mut number = 7_u32;
    while text.len() < length {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text.extend(format!("{{\"id\":{number},\"state\":\"open\"}},").bytes());
    }
    text.truncate(length);
    text
}

/// Messages of every kind; some twice, so that takeover has something to take.
fn messages() -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    for length in [0, 1, 5, 126, 1000, 40_000] {
        messages.extend([text(length), noise(length), vec![b'x'; length]]);
        messages.extend([Vec::new(), Vec::new(), text(length)]);
    }
    messages
}

#[test]
fn messages_come_back_whatever_window_and_takeover() {
    // SPEC W7
    for window_bits in 9..=15 {
        let levels: &[u32] = match window_bits {
            9 | 15 => &[0, 1, 2, 4, 6, 9],
            _ => &[1, 6],
        };
        for takeover in [true, false] {
            for &level in levels {
                let mut deflater = Deflater::new(window_bits, takeover, level);
                let mut inflater = Inflater::new(takeover);
                for message in messages() {
                    let deflated = deflate(&mut deflater, &message);
                    let back = inflate_in(&mut inflater, &deflated, 1 + message.len() / 7);
                    assert!(
                        back.as_ref() == Ok(&message),
                        "window {window_bits}, takeover {takeover}, level {level}, {} bytes",
                        message.len()
                    );
                }
            }
        }
    }
}

#[test]
fn the_tail_does_not_travel() {
    // RFC 7692, section 7.2.3.1 and 7.2.3.2.
    let mut deflater = Deflater::new(15, true, 6);
    let first = deflate(&mut deflater, b"Hello");
    assert_eq!(first, [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]);
    let second = deflate(&mut deflater, b"Hello");
    assert_eq!(second, [0xf2, 0x00, 0x11, 0x00, 0x00]);
    assert_eq!(deflate(&mut deflater, b""), [0x00]);
    assert_eq!(deflate(&mut deflater, b""), [0x00]);

    let mut deflater = Deflater::new(15, false, 6);
    assert_eq!(deflate(&mut deflater, b"Hello"), first);
    assert_eq!(deflate(&mut deflater, b"Hello"), first);
}

#[test]
fn every_example_of_the_rfc_split_anywhere() {
    // RFC 7692, section 7.2.3: with a stored block, with a final block, with two
    // blocks, and a message of none.
    let table: &[(&[u8], &[u8])] = &[
        (&[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00], b"Hello"),
        (
            &[
                0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00,
            ],
            b"Hello",
        ),
        (&[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00], b"Hello"),
        (
            &[
                0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00,
            ],
            b"Hello",
        ),
        (&[0x00], b""),
        // None of the RFC's: a second flush of nothing, as some zlibs have it.
        (&[], b""),
        // A final block without the byte behind it.
        (&[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00], b"Hello"),
        // Two final blocks.
        (
            &[
                0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00,
                0x00,
            ],
            b"HelloHello",
        ),
    ];
    for takeover in [true, false] {
        let mut inflater = Inflater::new(takeover);
        for (bytes, message) in table {
            for piece in 1..=bytes.len().max(1) {
                let back = inflate_in(&mut inflater, bytes, piece);
                assert_eq!(back.as_deref(), Ok(*message), "{bytes:x?} by {piece}");
            }
        }
    }
}

#[test]
fn the_window_goes_on_only_with_takeover() {
    // RFC 7692, section 7.2.3.2: the second one refers to the first.
    let first = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let second = [0xf2, 0x00, 0x11, 0x00, 0x00];
    let mut inflater = Inflater::new(true);
    assert_eq!(inflate(&mut inflater, &first).as_deref(), Ok(&b"Hello"[..]));
    assert_eq!(
        inflate(&mut inflater, &second).as_deref(),
        Ok(&b"Hello"[..])
    );

    let mut inflater = Inflater::new(false);
    assert_eq!(inflate(&mut inflater, &first).as_deref(), Ok(&b"Hello"[..]));
    let damaged = inflate(&mut inflater, &second);
    assert!(matches!(damaged, Err(InflateFault::Damaged { .. })));
}

#[test]
fn memory_is_taken_late_and_given_back() {
    for takeover in [true, false] {
        let mut deflater = Deflater::new(15, takeover, 6);
        let mut inflater = Inflater::new(takeover);
        assert!(deflater.stream.is_none() && inflater.stream.is_none());
        let deflated = deflate(&mut deflater, b"Hello");
        assert_eq!(deflater.stream.is_some(), takeover);
        inflate(&mut inflater, &deflated).expect("intact");
        assert_eq!(inflater.stream.is_some(), takeover);
    }
}

#[test]
fn a_message_may_be_as_long_as_the_limit_and_no_longer() {
    // SPEC W8
    for length in [0, 1, 127, 128, 1000, 100_000] {
        for message in [vec![0; length], noise(length)] {
            let deflated = deflate(&mut Deflater::new(15, true, 6), &message);
            for piece in [1, 10, usize::MAX] {
                let run = |limit| {
                    let mut inflater = Inflater::new(true);
                    let mut out = Vec::new();
                    let result = deflated
                        .chunks(piece)
                        .try_for_each(|piece| inflater.inflate(piece, &mut out, limit))
                        .and_then(|()| inflater.finish(&mut out, limit));
                    (result, out)
                };
                let (result, out) = run(length);
                assert_eq!(result, Ok(()), "{length} bytes, {piece} at a time");
                assert!(out == message);
                if let Some(limit) = length.checked_sub(1) {
                    let (result, out) = run(limit);
                    assert_eq!(result, Err(InflateFault::TooBig { limit }));
                    assert_eq!(out.len(), length, "no more than one byte over");
                }
            }
        }
    }
}

#[test]
fn a_bomb_makes_no_more_than_is_allowed() {
    // SPEC W8: 256 MiB of zeros in one piece of 260 KiB.
    let mut deflater = Deflater::new(15, true, 6);
    let zeros = vec![0; 1 << 20];
    deflate(&mut deflater, &zeros);
    let block = [&deflate(&mut deflater, &zeros)[..], &TAIL].concat();
    let first = deflate(&mut Deflater::new(15, true, 6), &zeros);
    let bomb = [&first[..], &TAIL, &block.repeat(255)].concat();
    assert!(bomb.len() < 300 << 10, "{} bytes", bomb.len());
    let limit = 1 << 20;
    let mut out = Vec::new();
    let result = Inflater::new(true).inflate(&bomb, &mut out, limit);
    assert_eq!(result, Err(InflateFault::TooBig { limit }));
    assert!(out.capacity() <= limit + 1, "{} bytes", out.capacity());
}

#[test]
fn a_limit_counts_the_fragments_before() {
    // SPEC W8
    let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let mut out = b"12345".to_vec();
    let mut inflater = Inflater::new(true);
    assert_eq!(inflater.inflate(&hello, &mut out, 10), Ok(()));
    assert_eq!(inflater.finish(&mut out, 10), Ok(()));
    assert_eq!(out, b"12345Hello");

    let mut out = b"123456".to_vec();
    let result = Inflater::new(true).inflate(&hello, &mut out, 10);
    assert_eq!(result, Err(InflateFault::TooBig { limit: 10 }));
}

#[test]
fn damage_is_an_error() {
    // SPEC W13
    let table: &[&[u8]] = &[
        // The reserved type of a block.
        &[0x06],
        // A stored block whose lengths do not agree.
        &[0x00, 0x05, 0x00, 0x00, 0x00, 0x48],
        // A reference to what was never there.
        &[0xf2, 0x00, 0x11, 0x00, 0x00],
        // A stored block of five bytes with only three: the tail is not its own.
        &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c],
        // A zlib header.
        &[0x78, 0x9c, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
        // Behind a final block: no block at all.
        &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x06],
    ];
    for bytes in table {
        for takeover in [true, false] {
            for piece in 1..=bytes.len() {
                let result = inflate_in(&mut Inflater::new(takeover), bytes, piece);
                assert!(
                    matches!(result, Err(InflateFault::Damaged { .. })),
                    "{bytes:x?} by {piece}: {result:?}"
                );
            }
        }
    }
}

#[test]
fn a_message_cut_short_is_an_error_without_takeover() {
    // Every end but the right one.
    let message = text(300);
    let deflated = deflate(&mut Deflater::new(15, true, 6), &message);
    for end in 1..deflated.len() {
        let result = inflate(&mut Inflater::new(false), &deflated[..end]);
        assert!(result.is_err(), "{end} of {}", deflated.len());
    }
}

/// A peer that inflates with no more than the agreed window.
mod strict {
    /// The inflated bytes, and the farthest reference in them.
    pub(super) fn inflate(bytes: &[u8], before: &[u8]) -> (Vec<u8>, usize) {
        let mut bits = Bits { bytes, at: 0 };
        let mut out = before.to_vec();
        let mut farthest = 0;
        loop {
            let last = bits.take(1) == 1;
            match bits.take(2) {
                0 => {
                    bits.at = bits.at.next_multiple_of(8);
                    let length = bits.take(16);
                    assert_eq!(length ^ 0xffff, bits.take(16));
                    for _ in 0..length {
                        let byte = bits.take(8);
                        out.push(byte as u8);
                    }
                }
                kind => {
                    let (literals, distances) = match kind {
                        1 => fixed(),
                        _ => dynamic(&mut bits),
                    };
                    loop {
                        let symbol = literals.next(&mut bits);
                        match symbol {
                            0..256 => out.push(symbol as u8),
                            256 => break,
                            _ => {
                                let (base, extra) = LENGTHS[symbol - 257];
                                let length = base + bits.take(extra);
                                let (base, extra) = distance(distances.next(&mut bits));
                                let distance = base + bits.take(extra);
                                farthest = farthest.max(distance);
                                for _ in 0..length {
                                    out.push(out[out.len() - distance]);
                                }
                            }
                        }
                    }
                }
            }
            if last || bits.at.next_multiple_of(8) >= bits.bytes.len() * 8 {
                return (out.split_off(before.len()), farthest);
            }
        }
    }

    struct Bits<'a> {
        bytes: &'a [u8],
        at: usize,
    }

    impl Bits<'_> {
        fn take(&mut self, count: usize) -> usize {
            let mut value = 0;
            for place in 0..count {
                let bit = self.bytes[self.at / 8] >> (self.at % 8) & 1;
                value |= usize::from(bit) << place;
                self.at += 1;
            }
            value
        }
    }

    /// Codes by length, then by value: (length, code, symbol).
    struct Codes(std::collections::HashMap<(usize, usize), usize>);

    impl Codes {
        /// RFC 1951, section 3.2.2.
        fn new(lengths: &[usize]) -> Self {
            let mut codes = std::collections::HashMap::new();
            let mut code = 0;
            for length in 1..=15 {
                for (symbol, _) in lengths.iter().enumerate().filter(|(_, l)| **l == length) {
                    codes.insert((length, code), symbol);
                    code += 1;
                }
                code <<= 1;
            }
            Self(codes)
        }

        fn next(&self, bits: &mut Bits<'_>) -> usize {
            let mut code = 0;
            for length in 1..=15 {
                code = code << 1 | bits.take(1);
                if let Some(symbol) = self.0.get(&(length, code)) {
                    return *symbol;
                }
            }
            panic!("no such code");
        }
    }

    fn fixed() -> (Codes, Codes) {
        let mut lengths = [8; 288];
        lengths[144..256].fill(9);
        lengths[256..280].fill(7);
        (Codes::new(&lengths), Codes::new(&[5; 30]))
    }

    /// RFC 1951, section 3.2.7.
    fn dynamic(bits: &mut Bits<'_>) -> (Codes, Codes) {
        const ORDER: [usize; 19] = [
            16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
        ];
        let literals = bits.take(5) + 257;
        let distances = bits.take(5) + 1;
        let count = bits.take(4) + 4;
        let mut lengths = [0; 19];
        for place in &ORDER[..count] {
            lengths[*place] = bits.take(3);
        }
        let codes = Codes::new(&lengths);
        let mut lengths: Vec<usize> = Vec::new();
        while lengths.len() < literals + distances {
            let (value, count) = match codes.next(bits) {
                16 => (*lengths.last().expect("not the first"), 3 + bits.take(2)),
                17 => (0, 3 + bits.take(3)),
                18 => (0, 11 + bits.take(7)),
                length => (length, 1),
            };
            lengths.extend(std::iter::repeat_n(value, count));
        }
        let (literals, distances) = lengths.split_at(literals);
        (Codes::new(literals), Codes::new(distances))
    }

    /// RFC 1951, section 3.2.5: base and extra bits.
    #[rustfmt::skip]
    const LENGTHS: [(usize, usize); 29] = [
        (3, 0), (4, 0), (5, 0), (6, 0), (7, 0), (8, 0), (9, 0), (10, 0),
        (11, 1), (13, 1), (15, 1), (17, 1), (19, 2), (23, 2), (27, 2), (31, 2),
        (35, 3), (43, 3), (51, 3), (59, 3), (67, 4), (83, 4), (99, 4), (115, 4),
        (131, 5), (163, 5), (195, 5), (227, 5), (258, 0),
    ];

    fn distance(code: usize) -> (usize, usize) {
        match code {
            0..4 => (code + 1, 0),
            _ => {
                let extra = code / 2 - 1;
                (((2 + code % 2) << extra) + 1, extra)
            }
        }
    }
}

#[test]
fn nothing_refers_farther_back_than_the_window() {
    // SPEC W7
    let mut reached = false;
    for window_bits in 9..=15 {
        let window = 1 << window_bits;
        // All levels where it takes no long time.
        let levels = if window_bits < 12 { 0..=9 } else { 1..=2 };
        for level in levels {
            let mut deflater = Deflater::new(window_bits, true, level);
            let mut before = Vec::new();
            for round in 0..3 {
                // The same again at every distance below, at and above the window's size.
                let mut message = noise(window * 3 / 4 + round);
                message.extend(noise(300));
                message.extend(text(window / 3));
                message.extend(noise(400));
                let deflated = deflate(&mut deflater, &message);
                let whole = [&deflated[..], &TAIL].concat();
                let (back, farthest) = strict::inflate(&whole, &before);
                assert!(back == message, "window {window_bits}, level {level}");
                assert!(
                    farthest <= window,
                    "window {window_bits}, level {level}: {farthest}"
                );
                reached |= farthest > window / 2;
                before = message;
            }
        }
    }
    assert!(reached, "the messages test nothing");
}
