//! Who decides on a server's certificate.
//!
//! ```text
//!   plain       the roots of the settings                the usual one
//!   revoking    the same, and revocation lists
//!   platform    what the operating system trusts         feature `platform-verifier`
//!   anybody     nobody is refused                        danger_*
//!      └──► wrap    pins, and looking away from names    over any of them
//! ```
//!
//! A pin never replaces the decision: it is looked at when the rest has passed
//! (SPEC C21).

use std::fmt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, ServerName, UnixTime};
use rustls::server::{ParsedCertificate, VerifierBuilderError};
use rustls::{CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::certificate::Untrusted;
use super::fault::ConfigFault;
use super::pins::Pins;
use super::settings::Settings;

type Verifier = Arc<dyn ServerCertVerifier>;

pub(super) fn make(
    settings: &Settings,
    provider: &Arc<CryptoProvider>,
) -> Result<Verifier, ConfigFault> {
    let verifier = settings.verifier()(settings, provider)?;
    match settings.wrapper() {
        Some(wrap) => wrap(settings, provider, verifier),
        None => Ok(verifier),
    }
}

/// Checks the chain against the roots, and the name.
pub(super) fn plain(
    settings: &Settings,
    provider: &Arc<CryptoProvider>,
) -> Result<Verifier, ConfigFault> {
    Ok(Arc::new(Plain {
        roots: roots(settings)?,
        algorithms: provider.signature_verification_algorithms,
    }))
}

/// The same, and that nothing in the chain was withdrawn.
pub(super) fn revoking(
    settings: &Settings,
    provider: &Arc<CryptoProvider>,
) -> Result<Verifier, ConfigFault> {
    let roots = Arc::new(roots(settings)?);
    let revocation = &settings.revocation;
    let mut builder = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider))
        .with_crls(revocation.lists.iter().cloned());
    if revocation.leaf_only {
        builder = builder.only_check_end_entity_revocation();
    }
    if revocation.allow_unknown {
        builder = builder.allow_unknown_revocation_status();
    }
    if !revocation.allow_expired {
        builder = builder.enforce_revocation_expiration();
    }
    Ok(builder.build().map_err(list_fault)?)
}

/// Whether these lists can be used at all.
pub(super) fn check_revocation_lists(
    lists: &[CertificateRevocationListDer<'static>],
) -> Result<(), ConfigFault> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.first().cloned());
    let provider = Arc::new(ring::default_provider());
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .with_crls(lists.iter().cloned())
        .build()
        .map(drop)
        .map_err(list_fault)
}

fn list_fault(error: VerifierBuilderError) -> ConfigFault {
    ConfigFault::RevocationList(Box::new(error))
}

/// What the operating system trusts, and the roots that were added.
#[cfg(feature = "platform-verifier")]
pub(super) fn platform(
    settings: &Settings,
    provider: &Arc<CryptoProvider>,
) -> Result<Verifier, ConfigFault> {
    let provider = Arc::clone(provider);
    #[cfg(not(target_os = "android"))]
    let verifier = rustls_platform_verifier::Verifier::new_with_extra_roots(
        settings.extra_roots.iter().cloned(),
        provider,
    );
    // It knows no further roots, so they must not be lost in silence.
    #[cfg(target_os = "android")]
    let verifier = match settings.extra_roots.is_empty() {
        true => rustls_platform_verifier::Verifier::new(provider),
        false => return Err(ConfigFault::Platform),
    };
    Ok(Arc::new(verifier.map_err(ConfigFault::Rejected)?))
}

/// Takes whatever comes.
pub(super) fn anybody(
    _settings: &Settings,
    provider: &Arc<CryptoProvider>,
) -> Result<Verifier, ConfigFault> {
    let algorithms = provider.signature_verification_algorithms;
    Ok(Arc::new(Anybody { algorithms }))
}

pub(super) fn wrap(
    settings: &Settings,
    provider: &CryptoProvider,
    inner: Verifier,
) -> Result<Verifier, ConfigFault> {
    Ok(Arc::new(Wrapped {
        inner,
        names: settings.names,
        pins: Pins::new(settings.pins.clone(), provider)?,
    }))
}

fn roots(settings: &Settings) -> Result<RootCertStore, ConfigFault> {
    let mut roots = RootCertStore::empty();
    if settings.builtin_roots {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    for (index, root) in settings.extra_roots.iter().enumerate() {
        roots
            .add(root.clone())
            .map_err(|error| ConfigFault::Root(index + 1, error))?;
    }
    if roots.is_empty() {
        return Err(ConfigFault::NoRoots);
    }
    Ok(roots)
}

/// What a verifier here does with the signature of a handshake, whatever it thinks
/// of certificates: it proves that the peer holds the key of what it shows.
macro_rules! check_signatures {
    ($algorithms:ident) => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            verify_tls12_signature(message, cert, dss, &self.$algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            verify_tls13_signature(message, cert, dss, &self.$algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.$algorithms.supported_schemes()
        }
    };
}

struct Plain {
    roots: RootCertStore,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Plain {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &self.roots,
            intermediates,
            now,
            self.algorithms.all,
        )
        .map_err(|error| name_the_issuer(error, end_entity, intermediates))?;
        verify_server_name(&certificate, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    check_signatures!(algorithms);
}

impl fmt::Debug for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let roots = self.roots.len();
        f.debug_struct("Plain").field("roots", &roots).finish()
    }
}

struct Anybody {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Anybody {
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

    check_signatures!(algorithms);
}

impl fmt::Debug for Anybody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Anybody")
    }
}

struct Wrapped {
    inner: Verifier,
    names: bool,
    pins: Pins,
}

impl ServerCertVerifier for Wrapped {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self.inner.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match verified {
            Ok(_) => {}
            // Our own and rustls's verifiers look at the name when all else is right.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.names => {}
            Err(error) => return Err(name_the_issuer(error, end_entity, intermediates)),
        }
        self.pins.check(end_entity)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

impl fmt::Debug for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wrapped")
            .field("inner", &self.inner)
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

/// "Unknown issuer" is what people meet most, and says least.
fn name_the_issuer(
    error: rustls::Error,
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
) -> rustls::Error {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            Untrusted::new(end_entity, intermediates).into()
        }
        error => error,
    }
}
