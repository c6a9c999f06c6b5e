//! A certificate for 127.0.0.1 by an authority made afresh in each run.

use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::{CA, CERTIFICATE, KEY};
use crate::Error;

/// TLS 1.2 and 1.3, tickets for resumption, ALPN `http/1.1`. The
/// certificates and the key go into `folder` as PEM.
pub(super) fn config(folder: &Path) -> Result<Arc<ServerConfig>, Error> {
    let authority_key = KeyPair::generate()?;
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority
        .distinguished_name
        .push(rcgen::DnType::CommonName, "authority of one benchmark");
    std::fs::write(
        folder.join(CA),
        authority.self_signed(&authority_key)?.pem(),
    )?;
    let issuer = Issuer::new(authority, authority_key);

    let key = KeyPair::generate()?;
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let mut params = CertificateParams::new(names)?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = params.signed_by(&key, &issuer)?;

    std::fs::write(folder.join(CERTIFICATE), certificate.pem())?;
    std::fs::write(folder.join(KEY), key.serialize_pem())?;

    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.ticketer = ring::Ticketer::new()?;
    Ok(Arc::new(config))
}
