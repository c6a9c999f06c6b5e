//! Pins of certificates, and what a server showed in their place (SPEC C21).

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Error;

/// One thing a server's certificate may be pinned to
/// (`TlsConfig::pin_sha256`, `TlsConfig::pin_spki_sha256`).
///
/// `Display` writes the pin of a certificate as 64 hex digits, and that of a
/// key as `sha256//` and base64, as curl has it. Both can be parsed; the digits may
/// have colons between the bytes, as openssl writes them.
///
/// ```
/// use miohttp::Pin;
///
/// assert_eq!(Pin::Certificate([0xab; 32]).to_string(), "ab".repeat(32));
/// let key = Pin::Spki([0; 32]).to_string();
/// assert_eq!(key, "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
/// assert_eq!(key.parse::<Pin>()?, Pin::Spki([0; 32]));
/// # Ok::<(), miohttp::Error>(())
/// ```
///
/// # Errors
/// Parsing fails with [`InvalidRequest`](crate::Kind::InvalidRequest) for anything
/// else: MD5 and SHA-1 are no protection any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Pin {
    /// SHA-256 of the whole certificate of the server, in DER.
    Certificate([u8; 32]),
    /// SHA-256 of its `SubjectPublicKeyInfo` (RFC 5280 §4.1.2.7), in DER: the
    /// key alone, which a renewed certificate may keep.
    Spki([u8; 32]),
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate(digest) => digest.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
            Self::Spki(digest) => write!(f, "sha256//{}", STANDARD.encode(digest)),
        }
    }
}

impl FromStr for Pin {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || {
            let what = "a pin is the SHA-256 of a certificate in hex, or sha256// and that of \
                        its key in base64";
            Error::invalid_request(what)
        };
        match text.strip_prefix("sha256//") {
            Some(base64) => {
                let digest = STANDARD.decode(base64).map_err(|_| wrong())?;
                digest.try_into().map(Self::Spki).map_err(|_| wrong())
            }
            None => hex(text).map(Self::Certificate).ok_or_else(wrong),
        }
    }
}

/// 32 bytes of two digits each, with colons between all of them or none.
fn hex(text: &str) -> Option<[u8; 32]> {
    let step = match text.len() {
        64 => 2,
        95 => 3,
        _ => return None,
    };
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks(step)) {
        let &[high, low, ref colon @ ..] = pair else {
            return None;
        };
        if !matches!(colon, [] | [b':']) {
            return None;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16);
        *byte = u8::try_from(digit(high)? << 4 | digit(low)?).ok()?;
    }
    Some(digest)
}

/// Which pins were expected, and what the server showed; of an error by
/// [`Error::fingerprints`](crate::Error::fingerprints).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprints {
    pub(crate) expected: Vec<Pin>,
    pub(crate) got: Vec<Pin>,
}

impl Fingerprints {
    /// Every pin of the configuration. None of them matched.
    pub fn expected(&self) -> &[Pin] {
        &self.expected
    }

    /// The fingerprints of the server's certificate: of the certificate itself,
    /// then of its key, if that could be read.
    pub fn got(&self) -> &[Pin] {
        &self.got
    }
}

impl fmt::Display for Fingerprints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected ")?;
        list(f, &self.expected)?;
        f.write_str("; the server has ")?;
        list(f, &self.got)
    }
}

fn list(f: &mut fmt::Formatter<'_>, pins: &[Pin]) -> fmt::Result {
    for (index, pin) in pins.iter().enumerate() {
        let comma = if index > 0 { ", " } else { "" };
        write!(f, "{comma}{pin}")?;
    }
    Ok(())
}
