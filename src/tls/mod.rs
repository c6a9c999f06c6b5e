//! What a TLS client is, as data: roots and switches become one shared
//! `rustls::ClientConfig`.
//!
//! ```text
//! Settings ── Client::build ──► Client (Arc<ClientConfig>) ── conn::tls::TlsSession::new ──► …
//! ```
//!
//! No TLS state is process-wide: the ring provider is passed explicitly, so another
//! crate that installs a default provider neither helps nor hurts. The cache of
//! session tickets lives inside the config, hence one `Client` per connector: a clone
//! shares the tickets, a second `build` does not. A resumed session skips the
//! certificate check (RFC 8446 §2.2), so tickets must never cross from a lenient
//! configuration into a strict one: they live and die with their configuration, and the
//! pool tells connections apart by the same identity (`Client` in a key, SPEC P1).

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme, SupportedProtocolVersion,
};

/// A ready TLS configuration, cheap to clone.
///
/// Equality goes by identity: two clients built from equal settings differ,
/// because their caches of session tickets do (see the module's head).
#[derive(Clone)]
pub(crate) struct Client(Arc<Built>);

struct Built {
    config: Arc<ClientConfig>,
    foreign: bool,
    verifies: bool,
}

impl Client {
    /// Builds a configuration from `settings`.
    pub(crate) fn build(settings: &Settings) -> Result<Self, ConfigFault> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(settings.versions())
            .map_err(ConfigFault::Rejected)?;
        let builder = if settings.verify {
            builder.with_root_certificates(trusted(settings)?)
        } else {
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        };
        let mut config = builder.with_no_client_auth();
        config.enable_sni = settings.sni;
        if settings.alpn {
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
        }
        if !settings.resumption {
            config.resumption = Resumption::disabled();
        }
        Ok(Self(Arc::new(Built {
            config: Arc::new(config),
            foreign: false,
            verifies: settings.verify,
        })))
    }

    /// Whether a server has to prove to be who it is asked for.
    pub(crate) fn verifies(&self) -> bool {
        self.0.verifies
    }

    /// The configuration itself, for a new session.
    pub(crate) fn config(&self) -> &Arc<ClientConfig> {
        &self.0.config
    }
}

impl Client {
    /// Whether a handshake of this client runs foreign code, or may block: a
    /// configuration made elsewhere, the platform's verifier, a log of keys. The
    /// reactor's thread must do none of them.
    pub(crate) fn is_foreign(&self) -> bool {
        self.0.foreign
    }
}

/// Whether TLS can ask for this name, or for this address.
pub(crate) fn may_name_a_server(name: &str) -> bool {
    // The root's dot belongs to DNS (RFC 6066 §3).
    let name = name.strip_suffix('.').unwrap_or(name);
    ServerName::try_from(name).is_ok()
}

impl PartialEq for Client {
    fn eq(&self, other: &Self) -> bool {
        // Whoever compares holds both, so neither address can be a dropped one's.
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Client {}

impl fmt::Debug for Client {
    // `ClientConfig` prints pages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("foreign", &self.is_foreign())
            .finish_non_exhaustive()
    }
}

/// The choices behind a [`Client`] (SPEC C20, S24).
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Roots trusted besides the built-in ones.
    pub(crate) extra_roots: Vec<CertificateDer<'static>>,
    /// Trust the bundled Mozilla roots. Default: true.
    pub(crate) builtin_roots: bool,
    /// Check the certificate chain and its name. Default: true. Off accepts any
    /// certificate and any name; the handshake's signature is still checked, so the peer
    /// at least holds the key of the certificate it shows.
    pub(crate) verify: bool,
    /// Send the host name in the clear (RFC 6066 §3). Default: true. IP addresses are
    /// never sent.
    pub(crate) sni: bool,
    /// Offer `http/1.1` by ALPN (RFC 7301). Default: true.
    pub(crate) alpn: bool,
    /// Keep session tickets. Default: true.
    pub(crate) resumption: bool,
    /// Protocol versions to offer, for tests that need one of them. TLS 1.2 and 1.3
    /// otherwise; older ones do not exist here (RFC 8996).
    #[cfg(test)]
    pub(crate) versions: &'static [&'static SupportedProtocolVersion],
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            extra_roots: Vec::new(),
            builtin_roots: true,
            verify: true,
            sni: true,
            alpn: true,
            resumption: true,
            #[cfg(test)]
            versions: rustls::ALL_VERSIONS,
        }
    }
}

impl Settings {
    #[cfg(not(test))]
    fn versions(&self) -> &'static [&'static SupportedProtocolVersion] {
        rustls::ALL_VERSIONS
    }

    #[cfg(test)]
    fn versions(&self) -> &'static [&'static SupportedProtocolVersion] {
        self.versions
    }
}

/// Reads every certificate of a PEM text as a root to trust; other sections are
/// skipped. A damaged one is found here, not at the first request.
pub(crate) fn certificates_from_pem(
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, ConfigFault> {
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(ConfigFault::Pem)?;
    if certificates.is_empty() {
        return Err(ConfigFault::NoCertificate);
    }
    let mut roots = RootCertStore::empty();
    for certificate in &certificates {
        roots.add(certificate.clone()).map_err(ConfigFault::Root)?;
    }
    Ok(certificates)
}

/// Why a configuration cannot be built. Always the caller's input, never a peer's.
#[derive(Debug)]
pub(crate) enum ConfigFault {
    /// The text is not well-formed PEM.
    Pem(pem::Error),
    /// The PEM text holds no certificate.
    NoCertificate,
    /// Verification is on, but there is nothing to trust.
    NoRoots,
    /// A root cannot be parsed.
    Root(rustls::Error),
    /// The TLS library refuses the combination.
    Rejected(rustls::Error),
}

impl fmt::Display for ConfigFault {
    // One level only; the cause follows through `source`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pem(_) => "malformed PEM",
            Self::NoCertificate => "no certificate in the PEM text",
            Self::NoRoots => "certificate verification is on, but no root is trusted",
            Self::Root(_) => "unusable root certificate",
            Self::Rejected(_) => "unusable TLS configuration",
        })
    }
}

impl Error for ConfigFault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Pem(error) => Some(error),
            Self::Root(error) | Self::Rejected(error) => Some(error),
            Self::NoCertificate | Self::NoRoots => None,
        }
    }
}

fn trusted(settings: &Settings) -> Result<RootCertStore, ConfigFault> {
    let mut roots = RootCertStore::empty();
    if settings.builtin_roots {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    for root in &settings.extra_roots {
        roots.add(root.clone()).map_err(ConfigFault::Root)?;
    }
    if roots.is_empty() {
        return Err(ConfigFault::NoRoots);
    }
    Ok(roots)
}

/// Takes whatever certificate comes: verification is off. The signatures are checked
/// all the same; they prove that the peer holds the key of what it shows.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
