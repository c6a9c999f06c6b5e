//! TLS for the peers: an authority made afresh in each test process, and leaf
//! certificates that are good or bad in one way each.
//!
//! A client that shall trust a peer is given [`ca_pem`]; everything is made at
//! run time, so no certificate in the tree ever expires.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    NameConstraints, PublicKeyData, RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    HandshakeKind, ProtocolVersion, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
};

use super::conn::Stream;
use super::enter;

/// What certificate a peer shows. What is not said to be otherwise is for `localhost`,
/// `127.0.0.1` and `::1`, and by the test authority.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Certificate {
    #[default]
    Good,
    /// With an RSA key of 2048 bits.
    Rsa,
    /// For `*.wild.test`.
    Wildcard,
    /// By an authority below the test authority, whose certificate comes along.
    Chained,
    /// All from here on must be refused. By nobody else.
    SelfSigned,
    /// By an authority that nobody trusts.
    Untrusted,
    /// By one that looks like the test authority, and has another key.
    Impostor,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYetValid,
    /// For `elsewhere.test` and `127.0.0.9` only.
    WrongHost,
    /// By an authority below, which is not told.
    MissingIntermediate,
    /// By an authority below whose time is over.
    ExpiredIntermediate,
    /// By an authority below that may vouch for `elsewhere.test` alone.
    NameConstraints,
    /// By another server, whose certificate comes along.
    ByServer,
    /// Has the name `localhost` as its common name, and nowhere else.
    CommonNameOnly,
    /// For clients.
    WrongPurpose,
    /// The authority's own.
    Authority,
}

/// How a peer does TLS; cheap to clone, and clones share their session cache.
#[derive(Clone, Debug)]
pub(crate) struct TlsOptions {
    config: Arc<ServerConfig>,
    close_notify: bool,
    issued: Arc<Issued>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// What a peer learned of its client in a handshake.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) server_name: Option<String>,
    pub(crate) alpn: Option<String>,
    /// `"1.2"` or `"1.3"`.
    pub(crate) version: &'static str,
    pub(crate) resumed: bool,
    /// How many certificates the client showed.
    pub(crate) certificates: usize,
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
        Self::make(authority().issue(certificate), &versions, None)
    }

    pub(crate) fn only_tls12() -> Self {
        let issued = authority().issue(Certificate::Good);
        Self::make(issued, &[&rustls::version::TLS12], None)
    }

    pub(crate) fn only_tls13() -> Self {
        let issued = authority().issue(Certificate::Good);
        Self::make(issued, &[&rustls::version::TLS13], None)
    }

    /// Asks for a client's certificate by the test authority, and may do without.
    pub(crate) fn client_auth(self, required: bool) -> Self {
        let versions = [&rustls::version::TLS13, &rustls::version::TLS12];
        Self::make(Arc::clone(&self.issued), &versions, Some(required))
    }

    /// The same with TLS 1.2 alone.
    pub(crate) fn client_auth_tls12(self, required: bool) -> Self {
        let versions = [&rustls::version::TLS12];
        Self::make(Arc::clone(&self.issued), &versions, Some(required))
    }

    fn make(
        issued: Arc<Issued>,
        versions: &[&'static rustls::SupportedProtocolVersion],
        client_auth: Option<bool>,
    ) -> Self {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .expect("ring supports both versions");
        let builder = match client_auth {
            None => builder.with_no_client_auth(),
            Some(required) => {
                let mut roots = RootCertStore::empty();
                roots.add(ca_der()).expect("a root");
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
                let verifier = match required {
                    true => verifier,
                    false => verifier.allow_unauthenticated(),
                };
                builder.with_client_cert_verifier(verifier.build().expect("a root is there"))
            }
        };
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(issued.key.clone()));
        let mut config = builder
            .with_single_cert(issued.chain.clone(), key)
            .expect("the key belongs to the certificate");
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self {
            config: Arc::new(config),
            close_notify: true,
            issued,
            seen: Arc::default(),
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

    /// With the cryptography of another provider.
    pub(crate) fn with_provider(mut self, provider: rustls::crypto::CryptoProvider) -> Self {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.issued.key.clone()));
        let config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .expect("both versions are supported")
            .with_no_client_auth()
            .with_single_cert(self.issued.chain.clone(), key)
            .expect("the key belongs to the certificate");
        self.config = Arc::new(config);
        self
    }

    /// For a script that does the records itself.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// The handshakes that were completed so far, by all clones.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        enter(&self.seen).clone()
    }

    /// The peer's own certificate.
    pub(crate) fn leaf(&self) -> &CertificateDer<'static> {
        &self.issued.chain[0]
    }

    /// Its `SubjectPublicKeyInfo`.
    pub(crate) fn spki(&self) -> &[u8] {
        &self.issued.spki
    }

    /// Its serial number.
    pub(crate) fn serial(&self) -> u64 {
        self.issued.serial
    }

    /// The server's side of a session of these.
    pub(super) fn session(&self) -> ServerConnection {
        ServerConnection::new(Arc::clone(&self.config)).expect("a usable configuration")
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

/// A client's certificate and its key, in PEM: by the test authority, or by a stranger.
pub(crate) fn client_identity(trusted: bool) -> (String, String) {
    let make = || {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "a client");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let issuer = match trusted {
            true => &authority().issuer,
            false => &authority().stranger,
        };
        let certificate = params.signed_by(&key, issuer)?;
        Ok::<_, rcgen::Error>((certificate.pem(), key.serialize_pem()))
    };
    make().expect("ring makes certificates")
}

/// The authorities that sign revocation lists.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Revoker {
    /// The test authority.
    Root,
    /// The one below, which signs [`Certificate::Chained`].
    Below,
}

/// A revocation list in PEM with these serial numbers. `current` is false for one
/// that should have been replaced long ago.
pub(crate) fn revocation_list(by: Revoker, serials: &[u64], current: bool) -> String {
    let revoked = |serial: &u64| RevokedCertParams {
        serial_number: SerialNumber::from(*serial),
        revocation_time: date_time_ymd(2020, 1, 1),
        reason_code: None,
        invalidity_date: None,
    };
    let params = CertificateRevocationListParams {
        this_update: date_time_ymd(2020, 1, 2),
        next_update: date_time_ymd(if current { 4000 } else { 2021 }, 1, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: serials.iter().map(revoked).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let issuer = match by {
        Revoker::Root => &authority().issuer,
        Revoker::Below => &authority().below.0,
    };
    let list = params.signed_by(issuer).expect("ring signs lists");
    list.pem().expect("a list has a PEM form")
}

/// SHA-256, by the provider of the peers.
pub(crate) fn sha256(data: &[u8]) -> [u8; 32] {
    let suite = ring::cipher_suite::TLS13_AES_128_GCM_SHA256.tls13();
    let digest = suite
        .expect("a suite of 1.3")
        .common
        .hash_provider
        .hash(data);
    digest.as_ref().try_into().expect("32 bytes")
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
        if let Err(error) = connection.complete_io(&mut inner) {
            // The alert may stand behind other messages.
            while connection.wants_write() {
                connection.write_tls(&mut inner)?;
            }
            return Err(error);
        }
    }
    let resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    enter(&options.seen).push(Seen {
        server_name: connection.server_name().map(str::to_owned),
        alpn: connection.alpn_protocol().map(text),
        version: match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "1.2",
            _ => "1.3",
        },
        resumed,
        certificates: connection.peer_certificates().map_or(0, <[_]>::len),
    });
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
    der: CertificateDer<'static>,
    pem: String,
    /// Trusted by nobody.
    stranger: Issuer<'static, KeyPair>,
    /// The same name as the test authority.
    impostor: Issuer<'static, KeyPair>,
    /// Below the test authority, with its certificate.
    below: (Issuer<'static, KeyPair>, CertificateDer<'static>),
}

/// What a peer shows, and has.
#[derive(Debug)]
struct Issued {
    chain: Vec<CertificateDer<'static>>,
    /// In PKCS#8.
    key: Vec<u8>,
    spki: Vec<u8>,
    serial: u64,
}

const AUTHORITY: &str = "miohttp test authority";

fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| Authority::make().expect("ring makes certificates"))
}

impl Authority {
    fn make() -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate()?;
        let params = authority_params(AUTHORITY);
        let certificate = params.self_signed(&key)?;
        let issuer = Issuer::new(params, key);
        Ok(Self {
            der: certificate.der().clone(),
            pem: certificate.pem(),
            stranger: Issuer::new(authority_params("a stranger"), KeyPair::generate()?),
            impostor: Issuer::new(authority_params(AUTHORITY), KeyPair::generate()?),
            below: below(&issuer, |_| {})?,
            issuer,
        })
    }

    fn issue(&self, flavour: Certificate) -> Arc<Issued> {
        Arc::new(self.try_issue(flavour).expect("ring makes certificates"))
    }

    fn try_issue(&self, flavour: Certificate) -> Result<Issued, rcgen::Error> {
        let key = match flavour {
            // ring makes no RSA keys.
            Certificate::Rsa => KeyPair::from_pem(include_str!("keys/rsa_pkcs8.pem"))?,
            _ => KeyPair::generate()?,
        };
        let (mut params, serial) = leaf_params(flavour)?;
        let mut above = None;
        let leaf = match flavour {
            Certificate::SelfSigned => params.self_signed(&key)?,
            Certificate::Authority => {
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
                params.signed_by(&key, &self.issuer)?
            }
            Certificate::Untrusted => params.signed_by(&key, &self.stranger)?,
            Certificate::Impostor => params.signed_by(&key, &self.impostor)?,
            Certificate::MissingIntermediate => params.signed_by(&key, &self.below.0)?,
            Certificate::Chained => {
                above = Some(self.below.1.clone());
                params.signed_by(&key, &self.below.0)?
            }
            Certificate::ExpiredIntermediate => {
                let over = |params: &mut CertificateParams| {
                    params.not_after = date_time_ymd(2020, 1, 1);
                };
                let (issuer, der) = below(&self.issuer, over)?;
                above = Some(der);
                params.signed_by(&key, &issuer)?
            }
            Certificate::NameConstraints => {
                let limited = |params: &mut CertificateParams| {
                    params.name_constraints = Some(NameConstraints {
                        permitted_subtrees: vec![GeneralSubtree::DnsName("elsewhere.test".into())],
                        excluded_subtrees: Vec::new(),
                    });
                };
                let (issuer, der) = below(&self.issuer, limited)?;
                above = Some(der);
                params.signed_by(&key, &issuer)?
            }
            Certificate::ByServer => {
                let server = |params: &mut CertificateParams| params.is_ca = IsCa::ExplicitNoCa;
                let (issuer, der) = below(&self.issuer, server)?;
                above = Some(der);
                params.signed_by(&key, &issuer)?
            }
            _ => params.signed_by(&key, &self.issuer)?,
        };
        Ok(Issued {
            chain: std::iter::once(leaf.der().clone()).chain(above).collect(),
            spki: key.subject_public_key_info(),
            key: key.serialize_der(),
            serial,
        })
    }
}

/// An authority below another one, with its certificate.
fn below(
    issuer: &Issuer<'static, KeyPair>,
    change: impl FnOnce(&mut CertificateParams),
) -> Result<(Issuer<'static, KeyPair>, CertificateDer<'static>), rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = authority_params("an authority below");
    params.serial_number = Some(SerialNumber::from(BELOW));
    change(&mut params);
    let certificate = params.signed_by(&key, issuer)?;
    let der = certificate.der().clone();
    Ok((Issuer::new(params, key), der))
}

/// The serial number of the authority below.
pub(crate) const BELOW: u64 = 7;

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn leaf_params(flavour: Certificate) -> Result<(CertificateParams, u64), rcgen::Error> {
    static SERIAL: AtomicU64 = AtomicU64::new(1000);
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from(serial));
    let name = match flavour {
        Certificate::CommonNameOnly => "localhost",
        _ => "miohttp test peer",
    };
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![match flavour {
        Certificate::WrongPurpose => ExtendedKeyUsagePurpose::ClientAuth,
        _ => ExtendedKeyUsagePurpose::ServerAuth,
    }];
    params.subject_alt_names = match flavour {
        Certificate::CommonNameOnly => Vec::new(),
        Certificate::Wildcard => vec![SanType::DnsName("*.wild.test".try_into()?)],
        Certificate::WrongHost => vec![
            SanType::DnsName("elsewhere.test".try_into()?),
            SanType::IpAddress(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9))),
        ],
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
    Ok((params, serial))
}
