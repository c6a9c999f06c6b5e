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
