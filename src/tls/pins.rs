//! Whether a certificate is one of those that were pinned (SPEC C21).

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use rustls::CertificateError;
use rustls::OtherError;
use rustls::crypto::CryptoProvider;
use rustls::crypto::hash::{Hash, HashAlgorithm};
use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;

use super::fault::ConfigFault;
use crate::error::{Fingerprints, Pin};

/// The pins of a configuration, and what it takes to compare with them.
pub(super) struct Pins {
    expected: Vec<Pin>,
    sha256: &'static dyn Hash,
}

impl Pins {
    pub(super) fn new(expected: Vec<Pin>, provider: &CryptoProvider) -> Result<Self, ConfigFault> {
        let sha256 = provider
            .cipher_suites
            .iter()
            .filter_map(|suite| suite.tls13())
            .map(|suite| suite.common.hash_provider)
            .find(|hash| hash.algorithm() == HashAlgorithm::SHA256)
            .ok_or(ConfigFault::NoDigest)?;
        Ok(Self { expected, sha256 })
    }

    /// Nothing is pinned, or one of the pins is this certificate's.
    pub(super) fn check(&self, certificate: &CertificateDer<'_>) -> Result<(), rustls::Error> {
        if self.expected.is_empty() {
            return Ok(());
        }
        let mut got = vec![Pin::Certificate(self.digest(certificate))];
        if let Ok(parsed) = ParsedCertificate::try_from(certificate) {
            got.push(Pin::Spki(self.digest(&parsed.subject_public_key_info())));
        }
        if got.iter().any(|pin| self.expected.contains(pin)) {
            return Ok(());
        }
        let expected = self.expected.clone();
        let mismatch = PinMismatch(Arc::new(Fingerprints { expected, got }));
        Err(CertificateError::Other(OtherError(Arc::new(mismatch))).into())
    }

    fn digest(&self, data: &[u8]) -> [u8; 32] {
        let output = self.sha256.hash(data);
        // A SHA-256 has 32 bytes. All zeros otherwise, which nobody pins.
        output.as_ref().try_into().unwrap_or([0; 32])
    }
}

/// How a mismatch travels through the TLS library.
#[derive(Debug)]
pub(crate) struct PinMismatch(pub(crate) Arc<Fingerprints>);

impl fmt::Display for PinMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for PinMismatch {}
