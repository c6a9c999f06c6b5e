//! Reading a reply head in its plainest form, which nearly all have, in one
//! pass: whole in the first bytes that came, lines that end in CRLF, no
//! folding, no space where none belongs.
//!
//! Whatever looks the least bit different is left to [`super::parse`], which
//! finds first and parses then. It alone knows what is wrong with a head, or
//! what is still to come of it, so what is read here is always something it
//! would read the same way, and a test holds the two against each other.

use bytes::BytesMut;
use http::{StatusCode, Version};

use super::machine::Limits;
use super::parse::Facts;
use crate::head::{FieldSpan, ResponseHead};

/// "HTTP/1.1 200 "
const BEFORE_REASON: usize = 13;

/// Takes a head off the input; `None`, and all is left, if it is not plain.
pub(super) fn head(input: &mut BytesMut, limits: &Limits) -> Option<(ResponseHead, Facts)> {
    let text: &[u8] = input;
    let (version, status) = status_line(text)?;
    // Then every offset fits; more than this is no head.
    u32::try_from(text.len()).ok()?;
    let reason_end = line_end(text, BEFORE_REASON)?;
    if reason_end > limits.max_line {
        return None;
    }
    let mut facts = Facts::default();
    let reason = (BEFORE_REASON as u32, reason_end as u32);
    let mut head = ResponseHead::new(version, status, reason);
    let mut line = reason_end + 2;
    while text.get(line)? != &b'\r' {
        let (colon, value, end) = field(text, line)?;
        if end - line > limits.max_field || head.len() >= limits.max_fields {
            return None;
        }
        head.push(FieldSpan {
            name: (line as u32, colon as u32),
            value: (value as u32, end as u32),
        });
        if Facts::concerns(colon - line) {
            facts.observe(text.get(line..colon)?, text.get(value..end)?);
        }
        line = end + 2;
    }
    let end = line + 2;
    if text.get(line..end)? != b"\r\n" || end > limits.max_total() {
        return None;
    }
    Some((head.over(input.split_to(end).freeze()), facts))
}

fn status_line(input: &[u8]) -> Option<(Version, StatusCode)> {
    let (version, rest) = input.split_first_chunk::<9>()?;
    let version = match version {
        b"HTTP/1.1 " => Version::HTTP_11,
        b"HTTP/1.0 " => Version::HTTP_10,
        _ => return None,
    };
    let [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', b' ', ..] = rest else {
        return None;
    };
    let digit = |byte: &u8| u16::from(byte - b'0');
    let status = StatusCode::from_u16(digit(a) * 100 + digit(b) * 10 + digit(c));
    Some((version, status.ok()?))
}

/// The field on the line that begins here: its colon, its value and its end. An
/// empty value, or space behind one, is not plain.
fn field(text: &[u8], line: usize) -> Option<(usize, usize, usize)> {
    let colon = line + name_end(text.get(line..)?)?;
    if colon == line || text.get(colon)? != &b':' {
        return None;
    }
    let mut value = colon + 1;
    while text.get(value)? == &b' ' {
        value += 1;
    }
    let end = line_end(text, value)?;
    if end == value || text.get(end - 1)? == &b' ' {
        return None;
    }
    Some((colon, value, end))
}

/// Where the text that begins at `at` ends, if it ends in CRLF and no control
/// character stands before that.
fn line_end(input: &[u8], at: usize) -> Option<usize> {
    let end = at + text_end(input.get(at..)?)?;
    (input.get(end..end + 2)? == b"\r\n").then_some(end)
}

/// How much stands before the first control character.
#[inline(never)]
fn text_end(text: &[u8]) -> Option<usize> {
    // Below the space a lane wraps, above 0x7e it fills, and bytes above 0x7f are
    // told by their own top bit. A borrow comes only from a lane below that is hit
    // itself. A carry comes from 0xff alone, and makes a `~` behind it a hit: then
    // the head is not plain.
    find(text, |word| {
        (word.wrapping_sub(each(b' ')) | word.wrapping_add(each(1))) & !word
    })
}

/// How much stands before the first byte that is neither letter, digit nor
/// hyphen, which is what names are made of nearly always.
fn name_end(text: &[u8]) -> Option<usize> {
    let (chunks, rest) = text.as_chunks::<8>();
    for (index, chunk) in chunks.iter().enumerate() {
        let mut others = others(u64::from_le_bytes(*chunk));
        while others != 0 {
            let at = others.trailing_zeros() as usize / 8;
            // A hyphen mostly, or a digit.
            if !chunk.get(at).is_some_and(|byte| NAME[usize::from(*byte)]) {
                return Some(index * 8 + at);
            }
            others &= others - 1;
        }
    }
    let at = rest.iter().position(|byte| !NAME[usize::from(*byte)])?;
    Some(chunks.len() * 8 + at)
}

/// Marks, by its top bit, each of eight bytes that is no letter.
fn others(word: u64) -> u64 {
    let folded = (word | each(0x20)) & each(0x7f);
    // No sum of two such lanes reaches into the next one.
    let from_a = folded + each(0x80 - b'a');
    let beyond_z = folded + each(0x7f - b'z');
    (!from_a | beyond_z | word) & each(0x80)
}

const NAME: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric() || byte as u8 == b'-';
        byte += 1;
    }
    table
};

/// The first byte whose top bit `judge` sets, given eight of them at a time:
/// values are most of a head.
fn find(text: &[u8], judge: impl Fn(u64) -> u64) -> Option<usize> {
    let hits = |chunk| judge(u64::from_le_bytes(chunk)) & each(0x80);
    let first = |hits: u64| hits.trailing_zeros() as usize / 8;
    let (chunks, rest) = text.as_chunks::<8>();
    for (index, chunk) in chunks.iter().enumerate() {
        let hits = hits(*chunk);
        if hits != 0 {
            return Some(index * 8 + first(hits));
        }
    }
    let mut last = [0; 8];
    last.get_mut(..rest.len())?.copy_from_slice(rest);
    let first = first(hits(last));
    (first < rest.len()).then_some(chunks.len() * 8 + first)
}

/// Eight times the same byte.
const fn each(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    const LIMITS: Limits = Limits {
        max_line: 24,
        max_field: 40,
        max_fields: 4,
        strict: false,
        marks: false,
    };

    /// Reads it both ways; whether it was plain.
    fn both(wire: &[u8]) -> bool {
        let shown = wire.escape_ascii();
        let mut left = BytesMut::from(wire);
        let Some((head, facts)) = head(&mut left, &LIMITS) else {
            assert_eq!(left, wire, "{shown}");
            return false;
        };
        let mut slowly = BytesMut::from(wire);
        let mut search = parse::HeadSearch::new();
        let read = parse::searched(&mut search, &mut slowly, &LIMITS);
        let (other, others) = read.unwrap().unwrap();
        assert_eq!(head, other, "{shown}");
        assert_eq!(head.reason(), other.reason(), "{shown}");
        assert_eq!(format!("{facts:?}"), format!("{others:?}"), "{shown}");
        assert_eq!(left, slowly, "{shown}");
        true
    }

    #[test]
    fn letters_are_told_from_all_others_wherever_they_stand() {
        for byte in 0..=255_u8 {
            for at in 0..8 {
                let mut text = *b"abcxyzAZ";
                text[at] = byte;
                let want = match byte.is_ascii_alphabetic() {
                    true => 0,
                    false => 0x80 << (8 * at),
                };
                assert_eq!(others(u64::from_le_bytes(text)), want, "{byte} at {at}");
                let is_name = byte.is_ascii_alphanumeric() || byte == b'-';
                let end = (!is_name).then_some(at);
                assert_eq!(name_end(&text), end, "{byte} at {at}");
            }
        }
    }

    const SAMPLES: &[&[u8]] = &[
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: b\r\n\r\nhello",
        b"HTTP/1.0 404 \r\nConnection:keep-alive, x\r\n\r\n",
        b"HTTP/1.1 999 \xe4 b\r\nTransfer-Encoding:  gzip, chunked\r\nx-y: \xffz\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1, 2\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n",
    ];

    #[test]
    fn what_is_plain_reads_the_same_both_ways() {
        for sample in SAMPLES {
            assert!(both(sample), "{}", sample.escape_ascii());
        }
    }

    #[test]
    fn what_is_not_plain_is_left() {
        for wire in [
            &b""[..],
            b"HTTP/1.1 200 OK\r\nA: b\r\n",
            b"HTTP/1.1 200 OK\r\nA: b\r\n\r",
            b"\r\nHTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 200\r\n\r\n",
            b"HTTP/1.1 099 OK\r\n\r\n",
            b"HTTP/2.0 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\n\n",
            b"HTTP/1.1 200 OK\r\nA: b\n\r\n",
            b"HTTP/1.1 200 OK\r\nA: b\r\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA:\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA: b \r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n: b\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA: b\x00\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA: b\x7f\r\n\r\n",
            // More than the limits allow.
            b"HTTP/1.1 200 twelve bytes\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA: 3456789012345678901234567890123456789X\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\n\r\n",
        ] {
            assert!(!both(wire), "{}", wire.escape_ascii());
        }
    }

    /// Every byte of the samples replaced by every other, left out, and the
    /// rest cut off behind it.
    #[test]
    fn no_damage_is_read_in_two_ways() {
        for sample in SAMPLES {
            for at in 0..sample.len() {
                for byte in 0..=255 {
                    let mut wire = sample.to_vec();
                    wire[at] = byte;
                    both(&wire);
                }
                let mut wire = sample.to_vec();
                wire.remove(at);
                both(&wire);
                both(&sample[..at]);
            }
        }
    }

    #[test]
    fn ends_are_found_at_every_offset() {
        for length in 1..20 {
            for at in 0..length {
                for byte in 0..=255_u8 {
                    let mut text = vec![b'x'; length];
                    text[at] = byte;
                    let is_control = byte < 0x20 || byte == 0x7f;
                    let is_odd = !byte.is_ascii_alphanumeric() && byte != b'-';
                    assert_eq!(text_end(&text), is_control.then_some(at), "{byte}");
                    assert_eq!(name_end(&text), is_odd.then_some(at), "{byte}");
                }
            }
        }
    }
}
