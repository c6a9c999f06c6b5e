//! UTF-8 that comes in pieces, cut anywhere.

use std::ops::Range;
use std::str;

use bytes::Bytes;

use super::Utf8Bytes;

/// Bytes that no text begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Invalid;

/// Text that is checked as it comes. It fails at the first byte that cannot be part
/// of any text which begins like this one (RFC 6455 §8.1; the table is RFC 3629 §4).
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// A character that has begun: what came of it.
    begun: [u8; 4],
    /// How many bytes that are: up to 3.
    length: usize,
}

impl Stream {
    /// The text in the next piece, without copying: a character that was begun before
    /// and ends here, and what follows. What is begun at the end is kept.
    pub(super) fn text(&mut self, piece: &Bytes) -> Result<(Option<char>, Utf8Bytes), Invalid> {
        let (ended, middle) = self.cut(piece)?;
        let text = Utf8Bytes::try_from(piece.slice(middle)).map_err(|_| Invalid)?;
        Ok((ended, text))
    }

    /// Only checks the next piece.
    pub(super) fn check(&mut self, piece: &[u8]) -> Result<(), Invalid> {
        let (_, middle) = self.cut(piece)?;
        match str::from_utf8(&piece[middle]) {
            Ok(_) => Ok(()),
            Err(_) => Err(Invalid),
        }
    }

    /// Whether every character has its end so far.
    pub(super) fn is_whole(&self) -> bool {
        self.length == 0
    }

    /// The character that ends in this piece, and which part of it should be whole
    /// characters.
    fn cut(&mut self, piece: &[u8]) -> Result<(Option<char>, Range<usize>), Invalid> {
        let mut from = 0;
        let mut ended = None;
        while self.length > 0 && ended.is_none() {
            let Some(byte) = piece.get(from) else {
                return Ok((None, from..from));
            };
            from += 1;
            self.begun[self.length] = *byte;
            self.length += 1;
            match str::from_utf8(&self.begun[..self.length]) {
                Ok(text) => {
                    ended = text.chars().next();
                    self.length = 0;
                }
                Err(error) if error.error_len().is_some() => return Err(Invalid),
                Err(_) => {}
            }
        }
        let begun = begun(&piece[from..]);
        self.begun[..begun.len()].copy_from_slice(begun);
        self.length = begun.len();
        Ok((ended, from..piece.len() - begun.len()))
    }
}

/// The beginning of a character that these bytes end with; mostly nothing.
fn begun(bytes: &[u8]) -> &[u8] {
    let last = &bytes[bytes.len().saturating_sub(3)..];
    let Some(at) = last.iter().rposition(|byte| *byte >= 0xc0) else {
        return &[];
    };
    match str::from_utf8(&last[at..]) {
        // No byte of it is wrong so far.
        Err(error) if error.error_len().is_none() && error.valid_up_to() == 0 => &last[at..],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many bytes there are when no more can make it text: what std says of each
    /// beginning.
    fn wrong_with(bytes: &[u8]) -> Option<usize> {
        (1..=bytes.len()).find(|length| {
            str::from_utf8(&bytes[..*length]).is_err_and(|error| error.error_len().is_some())
        })
    }

    fn in_pieces<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Result<Option<String>, Invalid> {
        let mut stream = Stream::default();
        let mut only_checks = Stream::default();
        let mut text = String::new();
        for piece in pieces {
            let told = stream.text(&Bytes::copy_from_slice(piece));
            assert_eq!(
                only_checks.check(piece),
                told.as_ref().map(|_| ()).map_err(|e| *e)
            );
            let (ended, rest) = told?;
            text.extend(ended);
            text.push_str(&rest);
        }
        Ok(stream.is_whole().then_some(text))
    }

    #[track_caller]
    fn check(bytes: &[u8]) {
        let wrong = wrong_with(bytes);
        // It fails with that very byte.
        let mut stream = Stream::default();
        let found = bytes
            .iter()
            .position(|byte| stream.check(&[*byte]).is_err());
        assert_eq!(found.map(|at| at + 1), wrong, "{bytes:x?}");
        let want = match wrong {
            Some(_) => Err(Invalid),
            None => Ok(String::from_utf8(bytes.to_vec()).ok()),
        };
        assert_eq!(in_pieces(bytes.chunks(1)), want, "{bytes:x?}");
        for at in 0..=bytes.len() {
            let (front, back) = bytes.split_at(at);
            assert_eq!(
                in_pieces([front, back].into_iter()),
                want,
                "{bytes:x?} at {at}"
            );
        }
        for size in 2..8 {
            assert_eq!(in_pieces(bytes.chunks(size)), want, "{bytes:x?} by {size}");
        }
    }

    #[test]
    fn text_is_told_from_what_is_none_at_its_first_wrong_byte() {
        // SPEC W13. RFC 3629 §4, and each kind of fault there is.
        let sound = "κόσμε äöü ß€ 𐍈 \u{10ffff}\u{fffd}\u{d7ff}\u{e000}\u{0}x";
        let faults: &[&[u8]] = &[
            b"\x80",
            b"\xbf",
            b"\xc0\x80",
            b"\xc1\xbf",
            b"\xc2",
            b"\xc2x",
            b"\xc2\xc2",
            b"\xe0\x80\x80",
            b"\xe0\x9f\xbf",
            b"\xe0\xa0",
            b"\xe2\x82x",
            b"\xed\xa0\x80",
            b"\xed\xad\xbf\xed\xbf\xbf",
            b"\xf0\x80\x80\x80",
            b"\xf0\x8f\xbf\xbf",
            b"\xf0\x90\x80",
            b"\xf0\x90\x80x",
            b"\xf4\x90\x80\x80",
            b"\xf5\x80\x80\x80",
            b"\xf8\x88\x80\x80\x80",
            b"\xfc\x84\x80\x80\x80\x80",
            b"\xfe",
            b"\xff",
        ];
        check(sound.as_bytes());
        check(b"");
        for fault in faults {
            check(fault);
            check(&[sound.as_bytes(), fault].concat());
            check(&[fault, sound.as_bytes()].concat());
            check(&[b"0123456789abcdef", *fault, b"0123456789abcdef"].concat());
        }
    }

    #[test]
    fn random_bytes_are_told_as_std_tells_them() {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        // Bytes that say much, and characters of every length.
        let bytes = b"a\x7f\x80\x8f\x90\x9f\xa0\xbf\xc2\xdf\xe0\xe1\xec\xed\xee\xf0\xf1\xf4\xf5";
        let characters = ["a", "ä", "€", "\u{d7ff}", "\u{e000}", "𐍈", "\u{10ffff}"];
        for _ in 0..2000 {
            let mut sample = Vec::new();
            for _ in 0..random() % 12 {
                let at = random() as usize;
                match random() % 8 {
                    0 => sample.push(bytes[at % bytes.len()]),
                    _ => sample.extend_from_slice(characters[at % characters.len()].as_bytes()),
                }
            }
            check(&sample);
        }
    }

    #[test]
    fn nothing_is_copied_but_characters_that_were_cut() {
        let text = Bytes::from_static("aä€ bcd €".as_bytes());
        let mut stream = Stream::default();
        let front = text.slice(..4);
        let (ended, rest) = stream.text(&front).expect("it is text");
        assert_eq!((ended, rest.as_str()), (None, "aä"));
        assert_eq!(rest.as_ptr(), front.as_ptr());
        let back = text.slice(4..);
        let (ended, rest) = stream.text(&back).expect("it is text");
        assert_eq!((ended, rest.as_str()), (Some('€'), " bcd €"));
        assert_eq!(rest.as_ptr(), back[2..].as_ptr());
    }
}
