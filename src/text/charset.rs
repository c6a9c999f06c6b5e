//! Charsets by `encoding_rs`, and guesses by `chardetng` (feature `charset`).

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8};

use super::{Damage, Undecodable};

/// A label that names no [`Charset`] names nothing at all.
pub(crate) const KNOWS_ALL: bool = true;

/// A charset of the WHATWG's Encoding Standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Charset(&'static Encoding);

impl Charset {
    pub(crate) const UTF_8: Self = Self(UTF_8);

    /// The charset of this label. Labels that the standard decodes to nothing
    /// but a replacement character, as they are used in attacks, name none.
    pub(super) fn foreign(label: &str) -> Option<Self> {
        let known = |label: &str| Encoding::for_label_no_replacement(label.as_bytes());
        // `latin-1`, `utf_16le`: what others than browsers write.
        let bare = || label.replace(['-', '_'], "");
        known(label).or_else(|| known(&bare())).map(Self)
    }

    /// The name in the standard, in lower case.
    pub(crate) fn name(self) -> String {
        self.0.name().to_ascii_lowercase()
    }

    /// Whether ASCII in it is ASCII.
    #[cfg(any(feature = "json", test))]
    pub(crate) fn is_ascii_compatible(self) -> bool {
        self.0.is_ascii_compatible()
    }

    /// `None` if some of the text has no place in it.
    pub(super) fn encode(self, text: &str) -> Option<Vec<u8>> {
        let (bytes, written, is_damaged) = self.0.encode(text);
        // The standard writes UTF-16 as UTF-8.
        let fits = written == self.0 && !is_damaged;
        fits.then(|| bytes.into_owned())
    }

    pub(super) fn decode(self, bytes: &[u8], damage: Damage) -> Result<String, Undecodable> {
        let (text, damaged) = self.0.decode_without_bom_handling(bytes);
        match damaged && damage == Damage::Refuse {
            true => Err(Undecodable {
                charset: self.0.name().into(),
                at: None,
            }),
            false => Ok(text.into_owned()),
        }
    }
}

/// How much of a body is looked at.
const SAMPLE: usize = 256 * 1024;

/// The charset that a text is probably in. `top_domain` is the last label of
/// the host it came from, a hint.
pub(crate) fn detect(bytes: &[u8], top_domain: Option<&str>) -> &'static str {
    // Most is, and what is cannot be mistaken.
    if str::from_utf8(bytes).is_ok() && !bytes.contains(&ESCAPE) {
        return "utf-8";
    }
    // ASCII in front tells nothing.
    let foreign = bytes
        .iter()
        .position(|byte| !byte.is_ascii() || *byte == ESCAPE);
    let telling = &bytes[foreign.unwrap_or_default().saturating_sub(64)..];
    let sample = &telling[..telling.len().min(SAMPLE)];
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(sample, sample.len() == telling.len());
    let top_domain = top_domain.filter(|label| is_plain(label));
    let guess = detector.guess(top_domain.map(str::as_bytes), Utf8Detection::Allow);
    guess.name()
}

/// It begins each change of alphabet in ISO-2022-JP, whose bytes are all ASCII.
const ESCAPE: u8 = 0x1b;

/// The detector panics over any other.
fn is_plain(label: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii() && !byte.is_ascii_uppercase() && byte != b'.';
    !label.is_empty() && label.bytes().all(plain)
}
