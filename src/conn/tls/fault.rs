//! What ends a TLS session, told apart by who has to act on it.

use std::fmt;
use std::sync::Arc;

use rustls::{AlertDescription, CertificateError, InvalidMessage, OtherError, PeerIncompatible};

use crate::error::{Error, Fingerprints, Kind};
use crate::tls::{PinMismatch, describe, original};

/// Why a TLS session failed. Cloneable, since it repeats on every later call.
#[derive(Clone, Debug)]
pub(crate) enum TlsFault {
    /// The server's name is neither a host name nor an IP address.
    BadName(String),
    /// The server's certificate is untrusted, expired, for another name, …; in words.
    Certificate(Box<str>, rustls::Error),
    /// It is none of those that were pinned.
    Pinned(Box<str>, Arc<Fingerprints>),
    /// The handshake failed for another reason: no common version, not TLS at all, …
    Handshake(rustls::Error),
    /// The peer ended the session with a fatal alert.
    Alert(AlertDescription),
    /// The server chose another protocol than HTTP/1.1.
    Protocol(Vec<u8>),
    /// Foreign code in it did.
    Panicked,
    /// The socket ended during the handshake.
    Closed,
    /// Something was to be sent after our own close_notify.
    Ended,
    /// A record after the handshake is broken or forged.
    Record(rustls::Error),
}

impl TlsFault {
    #[cold]
    pub(super) fn classify(error: rustls::Error, server_name: &str, handshaking: bool) -> Self {
        match error {
            rustls::Error::AlertReceived(alert) => Self::Alert(alert),
            rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(ref cause))) => {
                match cause.downcast_ref::<PinMismatch>() {
                    Some(PinMismatch(fingerprints)) => {
                        Self::Pinned(server_name.into(), Arc::clone(fingerprints))
                    }
                    None => Self::certificate(error, server_name),
                }
            }
            rustls::Error::InvalidCertificate(_)
            | rustls::Error::InvalidCertRevocationList(_)
            | rustls::Error::NoCertificatesPresented
            | rustls::Error::UnsupportedNameType => Self::certificate(error, server_name),
            error if handshaking => Self::Handshake(error),
            error => Self::Record(error),
        }
    }

    fn certificate(error: rustls::Error, server_name: &str) -> Self {
        Self::Certificate(describe(&error, server_name).into(), original(error))
    }

    #[cold]
    pub(crate) fn into_error(self) -> Error {
        let kind = match &self {
            Self::Certificate(..) => Kind::Certificate,
            Self::Pinned(..) => Kind::Fingerprint,
            _ => Kind::Tls,
        };
        let error = Error::new(kind, self.to_string());
        match self {
            Self::Certificate(_, cause) | Self::Handshake(cause) | Self::Record(cause) => {
                error.with_source(cause)
            }
            Self::Alert(alert) => error.with_source(rustls::Error::AlertReceived(alert)),
            Self::Pinned(_, fingerprints) => error.with_fingerprints(fingerprints),
            Self::BadName(_) | Self::Protocol(_) | Self::Panicked | Self::Closed | Self::Ended => {
                error
            }
        }
    }
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadName(name) => write!(f, "{name:?} is no valid TLS server name"),
            Self::Certificate(words, _) => f.write_str(words),
            Self::Pinned(server, fingerprints) => {
                write!(
                    f,
                    "the certificate of {server} has no expected pin: {fingerprints}"
                )
            }
            Self::Handshake(error) => f.write_str(match error {
                rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
                    "the TLS handshake failed: the answer is not TLS"
                }
                rustls::Error::PeerIncompatible(
                    PeerIncompatible::ServerDoesNotSupportTls12Or13
                    | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
                ) => "the TLS handshake failed: no version in common",
                _ => "the TLS handshake failed",
            }),
            Self::Alert(alert) => {
                write!(f, "the peer ended TLS with the alert {alert:?}")?;
                f.write_str(match alert {
                    AlertDescription::CertificateRequired => ": it requires a client certificate",
                    AlertDescription::ProtocolVersion => ": no version in common",
                    AlertDescription::NoApplicationProtocol => {
                        ": it speaks none of the protocols offered by ALPN"
                    }
                    AlertDescription::UnrecognisedName => ": it knows no host of this name",
                    AlertDescription::UnknownCA
                    | AlertDescription::BadCertificate
                    | AlertDescription::CertificateExpired
                    | AlertDescription::CertificateRevoked
                    | AlertDescription::CertificateUnknown
                    | AlertDescription::UnsupportedCertificate
                    | AlertDescription::AccessDenied => ": it refuses the client's certificate",
                    _ => "",
                })
            }
            Self::Protocol(name) => write!(
                f,
                "the server chose {:?} by ALPN, which is not spoken here",
                String::from_utf8_lossy(name)
            ),
            Self::Panicked => f.write_str("the code of the TLS configuration panicked"),
            Self::Closed => f.write_str("closed during the TLS handshake"),
            Self::Ended => f.write_str("the TLS session was ended before"),
            Self::Record(_) => f.write_str("a TLS record cannot be accepted"),
        }
    }
}

impl std::error::Error for TlsFault {}
