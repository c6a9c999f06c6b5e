//! Bytes become text (SPEC J1). Pure: bytes and the name of a charset in, text
//! out.
//!
//! UTF-8 is decoded by every build, and so is UTF-16 behind a byte order mark.
//! All other charsets are [`Charset`]s that the feature `charset` brings; without
//! it a stand-in of the same name knows UTF-8 alone.

use std::borrow::Cow;
use std::fmt;

#[cfg(feature = "charset")]
mod charset;
#[cfg(not(feature = "charset"))]
#[path = "none.rs"]
mod charset;

#[cfg(feature = "charset")]
pub(crate) use self::charset::detect;
pub(crate) use self::charset::{Charset, KNOWS_ALL};

/// What becomes of bytes that are no text in their charset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    /// U+FFFD takes their place.
    Replace,
    Refuse,
}

/// Why there is no text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Undecodable {
    charset: Cow<'static, str>,
    /// The first byte that does not belong, where that is known.
    at: Option<usize>,
}

impl fmt::Display for Undecodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some(at) => write!(f, "byte {at} is not {}", self.charset),
            None => write!(f, "some of it is not {}", self.charset),
        }
    }
}

impl std::error::Error for Undecodable {}

/// The charset of this name, in any case; `None` if this build has none.
pub(crate) fn charset(label: &str) -> Option<Charset> {
    match is_utf8(label) {
        true => Some(Charset::UTF_8),
        false => Charset::foreign(label),
    }
}

/// ASCII is a part of UTF-8, and nobody who says so means anything else.
fn is_utf8(label: &str) -> bool {
    ["utf-8", "utf8", "us-ascii", "ascii"]
        .iter()
        .any(|known| label.eq_ignore_ascii_case(known))
}

/// Text in the charset of this name; `None` if this build does not know it, or
/// if it has no place for some of the text.
pub(crate) fn encode(label: &str, text: &str) -> Option<Vec<u8>> {
    let known = charset(label);
    let starts = |family: &&str| {
        let start = label.get(..family.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(family))
    };
    // Known or not, ASCII is the same in these.
    let families = ["iso-8859-", "latin", "windows-125", "us-ascii", "ascii"];
    if text.is_ascii() && families.iter().any(starts) {
        return Some(text.as_bytes().to_vec());
    }
    if known == Some(Charset::UTF_8) && ["us-ascii", "ascii"].iter().any(starts) {
        return None;
    }
    known?.encode(text)
}

/// Decodes what begins with a byte order mark, which goes before all else that
/// names a charset; `None` if it begins with none.
pub(crate) fn decode_marked(bytes: &[u8], damage: Damage) -> Option<Result<String, Undecodable>> {
    Some(match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => decode_utf8(rest, damage),
        [0xff, 0xfe, rest @ ..] => decode_utf16(rest, u16::from_le_bytes, "UTF-16LE", damage),
        [0xfe, 0xff, rest @ ..] => decode_utf16(rest, u16::from_be_bytes, "UTF-16BE", damage),
        _ => return None,
    })
}

/// Whether bytes that begin so may turn out to begin with a byte order mark.
pub(crate) fn may_be_marked(start: &[u8]) -> bool {
    let marks: [&[u8]; 3] = [b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"];
    marks
        .iter()
        .any(|mark| start.starts_with(mark) || mark.starts_with(start))
}

/// Decodes without looking for a byte order mark.
pub(crate) fn decode(
    bytes: &[u8],
    charset: Charset,
    damage: Damage,
) -> Result<String, Undecodable> {
    match charset == Charset::UTF_8 {
        true => decode_utf8(bytes, damage),
        false => charset.decode(bytes, damage),
    }
}

/// Text in the charset of an extended parameter (RFC 8187 §3.2.1): UTF-8 where
/// it names none. `None` if it cannot be decoded to the last byte.
pub(crate) fn decode_strictly(label: &str, bytes: &[u8]) -> Option<String> {
    if label.is_empty() {
        return decode_utf8(bytes, Damage::Refuse).ok();
    }
    // Named by the RFC, so known to every build.
    if label.eq_ignore_ascii_case("iso-8859-1") {
        return Some(bytes.iter().map(|byte| char::from(*byte)).collect());
    }
    decode(bytes, charset(label)?, Damage::Refuse).ok()
}

fn decode_utf8(bytes: &[u8], damage: Damage) -> Result<String, Undecodable> {
    if damage == Damage::Replace {
        return Ok(String::from_utf8_lossy(bytes).into_owned());
    }
    match str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(error) => Err(Undecodable {
            charset: "UTF-8".into(),
            at: Some(error.valid_up_to()),
        }),
    }
}

fn decode_utf16(
    bytes: &[u8],
    unit: fn([u8; 2]) -> u16,
    name: &'static str,
    damage: Damage,
) -> Result<String, Undecodable> {
    let (pairs, odd) = bytes.as_chunks();
    let units = pairs.iter().map(|pair| unit(*pair));
    let mut text = String::with_capacity(bytes.len() / 2);
    let mut at = 0;
    for decoded in char::decode_utf16(units) {
        let (c, length) = match decoded {
            Ok(c) => (c, 2 * c.len_utf16()),
            Err(_) if damage == Damage::Replace => (char::REPLACEMENT_CHARACTER, 2),
            Err(_) => {
                return Err(Undecodable {
                    charset: name.into(),
                    at: Some(at),
                });
            }
        };
        text.push(c);
        at += length;
    }
    match (odd, damage) {
        ([], _) => {}
        (_, Damage::Replace) => text.push(char::REPLACEMENT_CHARACTER),
        (_, Damage::Refuse) => {
            return Err(Undecodable {
                charset: name.into(),
                at: Some(at),
            });
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
