//! Stands in for the charsets of a build without the feature `charset`.

use super::{Damage, Undecodable};

/// A label that names no [`Charset`] may still name one.
pub(crate) const KNOWS_ALL: bool = false;

/// UTF-8, the only one there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Charset(());

impl Charset {
    pub(crate) const UTF_8: Self = Self(());

    pub(super) fn foreign(_: &str) -> Option<Self> {
        None
    }

    /// Its name in lower case.
    pub(crate) fn name(self) -> String {
        "utf-8".to_owned()
    }

    /// Whether ASCII in it is ASCII.
    #[cfg(any(feature = "json", test))]
    pub(crate) fn is_ascii_compatible(self) -> bool {
        true
    }

    pub(super) fn encode(self, text: &str) -> Option<Vec<u8>> {
        Some(text.as_bytes().to_vec())
    }

    pub(super) fn decode(self, bytes: &[u8], damage: Damage) -> Result<String, Undecodable> {
        super::decode_utf8(bytes, damage)
    }
}
