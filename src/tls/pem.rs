//! Certificates, revocation lists and private keys out of PEM (RFC 7468) or DER.
//! What is damaged is found here, not at the first request.

use std::fs;
use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use super::fault::ConfigFault;

/// Reads every certificate of a PEM text as a root to trust; other sections are
/// skipped.
pub(crate) fn certificates_from_pem(
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, ConfigFault> {
    let certificates = all(pem, ConfigFault::NoCertificate)?;
    check_roots(&certificates)?;
    Ok(certificates)
}

/// Roots out of PEM, or one of them in DER.
pub(crate) fn certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, ConfigFault> {
    if is_pem(bytes) {
        return certificates_from_pem(bytes);
    }
    let certificates = vec![CertificateDer::from(bytes.to_vec())];
    check_roots(&certificates)?;
    Ok(certificates)
}

fn check_roots(certificates: &[CertificateDer<'static>]) -> Result<(), ConfigFault> {
    let mut roots = RootCertStore::empty();
    for (index, certificate) in certificates.iter().enumerate() {
        roots
            .add(certificate.clone())
            .map_err(|error| ConfigFault::Root(index + 1, error))?;
    }
    Ok(())
}

/// Revocation lists out of PEM, or one of them in DER.
pub(crate) fn revocation_lists(
    bytes: &[u8],
) -> Result<Vec<CertificateRevocationListDer<'static>>, ConfigFault> {
    let lists = match is_pem(bytes) {
        true => all(bytes, ConfigFault::NoRevocationList)?,
        false => vec![CertificateRevocationListDer::from(bytes.to_vec())],
    };
    super::verify::check_revocation_lists(&lists)?;
    Ok(lists)
}

/// A chain as it is sent: the client's own certificate first.
pub(super) fn chain(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, ConfigFault> {
    match is_pem(bytes) {
        true => all(bytes, ConfigFault::NoCertificate),
        false => Ok(vec![CertificateDer::from(bytes.to_vec())]),
    }
}

/// The first private key of a PEM text (PKCS#8, PKCS#1 or SEC1), or the one in DER.
pub(super) fn private_key(bytes: &[u8]) -> Result<PrivateKeyDer<'static>, ConfigFault> {
    if !is_pem(bytes) {
        return PrivateKeyDer::try_from(bytes.to_vec()).map_err(|_| ConfigFault::NoKey);
    }
    // By its label (RFC 7468 §11), or by the header of old (RFC 1421).
    let encrypted = [&b"ENCRYPTED PRIVATE KEY"[..], b"Proc-Type: 4,ENCRYPTED"]
        .iter()
        .any(|mark| contains(bytes, mark));
    match PrivateKeyDer::from_pem_slice(bytes) {
        Ok(key) => Ok(key),
        Err(_) if encrypted => Err(ConfigFault::EncryptedKey),
        Err(pem::Error::NoItemsFound) => Err(ConfigFault::NoKey),
        Err(error) => Err(ConfigFault::Pem(error)),
    }
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, ConfigFault> {
    fs::read(path).map_err(|error| ConfigFault::File(path.to_owned(), error))
}

fn all<T: PemObject>(pem: &[u8], none: ConfigFault) -> Result<Vec<T>, ConfigFault> {
    let found = T::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(ConfigFault::Pem)?;
    if found.is_empty() {
        return Err(none);
    }
    Ok(found)
}

/// DER starts with the tag of a sequence, which is a zero in ASCII. A text may
/// begin with its own explanations (RFC 7468 §5.2), even with a zero.
fn is_pem(bytes: &[u8]) -> bool {
    bytes.first() != Some(&0x30) || contains(bytes, b"-----BEGIN ")
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
