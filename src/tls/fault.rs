//! Why a configuration cannot be built. Always the caller's input, never a peer's.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

use rustls::pki_types::pem;

#[derive(Debug)]
pub(crate) enum ConfigFault {
    /// The text is not well-formed PEM.
    Pem(pem::Error),
    /// The PEM text holds no certificate.
    NoCertificate,
    /// It holds no revocation list.
    NoRevocationList,
    /// It holds no private key.
    NoKey,
    /// It holds one that only a password opens.
    EncryptedKey,
    /// A file cannot be read, or the log of keys not be opened.
    File(PathBuf, io::Error),
    /// Verification is on, but there is nothing to trust.
    NoRoots,
    /// A root cannot be parsed; the first has the number one.
    Root(usize, rustls::Error),
    /// The private key is of no known kind, or not that of the certificate.
    Identity(rustls::Error),
    RevocationList(Box<dyn Error + Send + Sync>),
    /// The oldest version is newer than the newest one.
    NoVersion,
    /// A protocol's name is empty, or longer than 255 bytes.
    Alpn,
    /// Pins alone are to decide, and there are none.
    NoPins,
    /// The provider has no SHA-256.
    NoDigest,
    /// The platform's verifier knows nothing of the caller's revocation lists, and
    /// always checks names.
    Platform,
    /// A configuration made elsewhere, and something else.
    Mixed,
    /// The TLS library refuses the combination.
    Rejected(rustls::Error),
}

impl fmt::Display for ConfigFault {
    // One level only; the cause follows through `source`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pem(_) => "malformed PEM",
            Self::NoCertificate => "no certificate in the PEM text",
            Self::NoRevocationList => "no revocation list in the PEM text",
            Self::NoKey => "no private key in the PEM text",
            Self::EncryptedKey => "the private key is encrypted: decrypt it first",
            Self::File(path, _) => return write!(f, "cannot open {}", path.display()),
            Self::NoRoots => "certificate verification is on, but no root is trusted",
            Self::Root(number, _) => {
                return write!(f, "unusable root certificate (number {number})");
            }
            Self::Identity(rustls::Error::InconsistentKeys(_)) => {
                "the private key does not belong to the certificate"
            }
            Self::Identity(_) => "unusable client certificate or private key",
            Self::RevocationList(_) => "unusable certificate revocation list",
            Self::NoVersion => "min_version is above max_version",
            Self::Alpn => "a protocol's name for ALPN has 1 to 255 bytes",
            Self::NoPins => "danger_pins_only, but nothing is pinned",
            Self::NoDigest => "pins need a provider with SHA-256",
            Self::Platform => {
                "the platform's verifier takes no revocation lists and always checks names"
            }
            Self::Mixed => "a prepared rustls configuration takes no further settings",
            Self::Rejected(_) => "unusable TLS configuration",
        })
    }
}

impl Error for ConfigFault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Pem(error) => Some(error),
            Self::File(_, error) => Some(error),
            Self::Root(_, error) | Self::Identity(error) | Self::Rejected(error) => Some(error),
            Self::RevocationList(error) => Some(&**error),
            _ => None,
        }
    }
}
