//! What ends a TLS session, told apart by who has to act on it.

use std::error::Error;
use std::fmt;

use rustls::AlertDescription;

/// Why a TLS session failed. Cloneable, since it repeats on every later call.
#[derive(Clone, Debug)]
pub(crate) enum TlsFault {
    /// The server's name is neither a host name nor an IP address.
    BadName(String),
    /// The server's certificate is untrusted, expired, for another name, …
    Certificate(rustls::Error),
    /// The handshake failed for another reason: no common version, not TLS at all, …
    Handshake(rustls::Error),
    /// The peer ended the session with a fatal alert.
    Alert(AlertDescription),
    /// The socket ended during the handshake.
    Closed,
    /// Something was to be sent after our own close_notify.
    Ended,
    /// A record after the handshake is broken or forged.
    Record(rustls::Error),
}

impl TlsFault {
    pub(super) fn classify(error: rustls::Error, handshaking: bool) -> Self {
        match error {
            rustls::Error::AlertReceived(alert) => Self::Alert(alert),
            rustls::Error::InvalidCertificate(_)
            | rustls::Error::InvalidCertRevocationList(_)
            | rustls::Error::NoCertificatesPresented
            | rustls::Error::UnsupportedNameType => Self::Certificate(error),
            error if handshaking => Self::Handshake(error),
            error => Self::Record(error),
        }
    }

    /// Whether the server's certificate is at fault, which another attempt or another
    /// address of the same host is unlikely to mend.
    pub(crate) fn is_certificate(&self) -> bool {
        matches!(self, Self::Certificate(_))
    }
}

impl fmt::Display for TlsFault {
    // One level only; the cause follows through `source`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadName(name) => write!(f, "{name:?} is no valid TLS server name"),
            Self::Certificate(_) => f.write_str("the server's certificate was refused"),
            Self::Handshake(_) => f.write_str("the TLS handshake failed"),
            Self::Alert(alert) => write!(f, "the peer sent the TLS alert {alert:?}"),
            Self::Closed => f.write_str("closed during the TLS handshake"),
            Self::Ended => f.write_str("the TLS session was ended before"),
            Self::Record(_) => f.write_str("a TLS record cannot be accepted"),
        }
    }
}

impl Error for TlsFault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Certificate(error) | Self::Handshake(error) | Self::Record(error) => Some(error),
            Self::BadName(_) | Self::Alert(_) | Self::Closed | Self::Ended => None,
        }
    }
}
