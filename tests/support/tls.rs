//! TLS for the peers: an authority made afresh in each test process, and leaf
//! certificates that are good or bad in one way each.
//!
//! A client that shall trust a peer is given [`ca_pem`]; everything is made at
//! run time, so no certificate in the tree ever expires.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, OnceLock};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{HandshakeKind, ServerConfig, ServerConnection, StreamOwned};

use super::conn::Stream;

/// What certificate a peer shows; all but the first must be refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Certificate {
    /// For `localhost`, `127.0.0.1` and `::1`, by the test authority.
    #[default]
    Good,
    /// The right names, by nobody.
    SelfSigned,
    /// The right names, by an authority that nobody trusts.
    Untrusted,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYetValid,
    /// For `elsewhere.test` only.
    WrongHost,
}

/// How a peer does TLS; cheap to clone, and clones share their session cache.
#[derive(Clone, Debug)]
pub(crate) struct TlsOptions {
    config: Arc<ServerConfig>,
    close_notify: bool,
}

impl Default for TlsOptions {
    fn default() -> Self {
        Self::new(Certificate::Good)
    }
}

impl TlsOptions {
    /// TLS 1.2 and 1.3, ALPN `http/1.1`, `close_notify` when a script ends.
    pub(crate) fn new(certificate: Certificate) -> Self {
        let versions = [&rustls::version::TLS13, &rustls::version::TLS12];
        Self::with_versions(certificate, &versions)
    }

    pub(crate) fn only_tls12() -> Self {
        Self::with_versions(Certificate::Good, &[&rustls::version::TLS12])
    }

    fn with_versions(
        certificate: Certificate,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> Self {
        let (chain, key) = authority().issue(certificate);
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .expect("ring supports both versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("the key belongs to the certificate");
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self {
            config: Arc::new(config),
            close_notify: true,
        }
    }

    /// Ends the connection by closing the socket alone, which on TLS says
    /// nothing about whether the body was whole (RFC 8446 section 6.1).
    pub(crate) fn without_close_notify(mut self) -> Self {
        self.close_notify = false;
        self
    }

    /// Offers these application protocols in place of `http/1.1`; none for no ALPN.
    pub(crate) fn alpn(mut self, protocols: &[&str]) -> Self {
        let config = Arc::make_mut(&mut self.config);
        config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
        self
    }

    pub(super) fn sends_close_notify(&self) -> bool {
        self.close_notify
    }
}

/// The certificate that vouches for [`Certificate::Good`], as PEM.
pub(crate) fn ca_pem() -> &'static str {
    &authority().pem
}

/// The same as DER.
pub(crate) fn ca_der() -> CertificateDer<'static> {
    authority().der.clone()
}

/// Runs the server's handshake over `inner`, whose first bytes are `early`.
/// Tells whether it resumed a session.
pub(super) fn accept(
    options: &TlsOptions,
    early: Vec<u8>,
    inner: Box<dyn Stream>,
) -> io::Result<(Box<dyn Stream>, bool)> {
    let mut connection =
        ServerConnection::new(Arc::clone(&options.config)).map_err(io::Error::other)?;
    let mut inner = Prefixed { early, inner };
    while connection.is_handshaking() {
        connection.complete_io(&mut inner)?;
    }
    let resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
    let stream = Secured(StreamOwned::new(connection, inner));
    Ok((Box::new(stream), resumed))
}

/// Bytes that were read too early, then the stream they came from.
struct Prefixed {
    early: Vec<u8>,
    inner: Box<dyn Stream>,
}

impl Read for Prefixed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.early.is_empty() {
            return self.inner.read(buffer);
        }
        let count = self.early.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.early[..count]);
        self.early.drain(..count);
        Ok(count)
    }
}

impl Write for Prefixed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

struct Secured(StreamOwned<ServerConnection, Prefixed>);

impl Read for Secured {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Secured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Stream for Secured {
    fn close_notify(&mut self) -> io::Result<()> {
        self.0.conn.send_close_notify();
        self.0.flush()
    }
}

/// A certificate authority that lives as long as the test process.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Looks the same and is trusted by nobody.
    stranger: Issuer<'static, KeyPair>,
    der: CertificateDer<'static>,
    pem: String,
}

fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| Authority::make().expect("ring makes certificates"))
}

impl Authority {
    fn make() -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate()?;
        let params = authority_params("miohttp test authority");
        let certificate = params.self_signed(&key)?;
        Ok(Self {
            issuer: Issuer::new(params, key),
            stranger: Issuer::new(authority_params("a stranger"), KeyPair::generate()?),
            der: certificate.der().clone(),
            pem: certificate.pem(),
        })
    }

    fn issue(
        &self,
        flavour: Certificate,
    ) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        self.try_issue(flavour).expect("ring makes certificates")
    }

    fn try_issue(
        &self,
        flavour: Certificate,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), rcgen::Error> {
        let key = KeyPair::generate()?;
        let params = leaf_params(flavour)?;
        let leaf = match flavour {
            Certificate::SelfSigned => params.self_signed(&key)?,
            Certificate::Untrusted => params.signed_by(&key, &self.stranger)?,
            _ => params.signed_by(&key, &self.issuer)?,
        };
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok((vec![leaf.der().clone()], key))
    }
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn leaf_params(flavour: Certificate) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "miohttp test peer");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.subject_alt_names = match flavour {
        Certificate::WrongHost => vec![SanType::DnsName("elsewhere.test".try_into()?)],
        _ => vec![
            SanType::DnsName("localhost".try_into()?),
            SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            SanType::IpAddress(IpAddr::V6(Ipv6Addr::LOCALHOST)),
        ],
    };
    match flavour {
        Certificate::Expired => params.not_after = date_time_ymd(2020, 1, 1),
        Certificate::NotYetValid => params.not_before = date_time_ymd(4000, 1, 1),
        _ => {}
    }
    Ok(params)
}
