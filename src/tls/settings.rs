//! The choices behind a `Client` (SPEC C20, C21, S24), and which of them go together.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use rustls::{ClientConfig, SupportedProtocolVersion};

use super::fault::ConfigFault;
use super::identity::Key;
use super::key_log::KeyLogFile;
use super::verify;
use crate::error::Pin;

/// A version of TLS. Older ones than these do not exist here (RFC 8996).
///
/// ```
/// use miohttp::{TlsConfig, TlsVersion};
///
/// let tls = TlsConfig::new().min_version(TlsVersion::V13);
/// # drop(tls);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    V12,
    /// TLS 1.3 (RFC 8446).
    V13,
}

/// Something that few programs need, put into a configuration that is ready but for it.
pub(super) trait Part: Send + Sync {
    fn apply(
        &self,
        config: &mut ClientConfig,
        provider: &CryptoProvider,
    ) -> Result<(), ConfigFault>;
}

pub(super) type MakeVerifier =
    fn(&Settings, &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, ConfigFault>;

pub(super) type WrapVerifier = fn(
    &Settings,
    &CryptoProvider,
    Arc<dyn ServerCertVerifier>,
) -> Result<Arc<dyn ServerCertVerifier>, ConfigFault>;

/// What is to be made into a `Client`.
#[derive(Clone)]
pub(crate) struct Settings {
    /// Roots trusted besides the built-in ones.
    pub(crate) extra_roots: Vec<CertificateDer<'static>>,
    /// Trust the bundled Mozilla roots. Default: true.
    pub(crate) builtin_roots: bool,
    /// Send the host name in the clear (RFC 6066 §3). Default: true. IP addresses are
    /// never sent.
    pub(crate) sni: bool,
    /// What is offered by ALPN (RFC 7301). Default: `http/1.1` alone.
    pub(crate) alpn: Vec<Vec<u8>>,
    /// Keep session tickets. Default: true.
    pub(crate) resumption: bool,
    /// The oldest version to offer. Default: 1.2.
    pub(crate) min_version: TlsVersion,
    /// The newest one. Default: 1.3.
    pub(crate) max_version: TlsVersion,
    pub(super) revocation: Revocation,
    pub(super) pins: Vec<Pin>,
    /// Check that the certificate is for the server's name.
    pub(super) names: bool,
    unverified: bool,
    pins_only: bool,
    provider: fn() -> CryptoProvider,
    /// Makes the verifier that lets everybody pass.
    anybody: Option<MakeVerifier>,
    /// The one of the platform.
    platform: Option<MakeVerifier>,
    /// The one that looks into revocation lists.
    revoking: Option<MakeVerifier>,
    /// Adds what the others do not do: pins, and looking away from names.
    wrap: Option<WrapVerifier>,
    identity: Option<Arc<dyn Part>>,
    key_log: Option<Arc<dyn Part>>,
    prepared: Option<Arc<ClientConfig>>,
    /// Something was set besides a prepared configuration.
    mixed: bool,
}

/// Lists of certificates that their issuers have withdrawn, and how strict to be.
#[derive(Clone, Default)]
pub(super) struct Revocation {
    pub(super) lists: Vec<CertificateRevocationListDer<'static>>,
    pub(super) leaf_only: bool,
    pub(super) allow_unknown: bool,
    pub(super) allow_expired: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            extra_roots: Vec::new(),
            builtin_roots: true,
            sni: true,
            alpn: vec![b"http/1.1".to_vec()],
            resumption: true,
            min_version: TlsVersion::V12,
            max_version: TlsVersion::V13,
            revocation: Revocation::default(),
            pins: Vec::new(),
            names: true,
            unverified: false,
            pins_only: false,
            provider: ring::default_provider,
            anybody: None,
            platform: None,
            revoking: None,
            wrap: None,
            identity: None,
            key_log: None,
            prepared: None,
            mixed: false,
        }
    }
}

/// Each stores, beside its value, what will act on it.
impl Settings {
    /// Off accepts any certificate and any name; the handshake's signature is still
    /// checked, so the peer at least holds the key of the certificate it shows.
    pub(crate) fn verify(&mut self, verify: bool) {
        self.unverified = !verify;
        self.choose_anybody();
    }

    pub(crate) fn pins_only(&mut self, only: bool) {
        self.pins_only = only;
        self.choose_anybody();
    }

    fn choose_anybody(&mut self) {
        self.anybody = match self.unverified || self.pins_only {
            true => Some(verify::anybody),
            false => None,
        };
    }

    pub(crate) fn pin(&mut self, pin: Pin) {
        self.pins.push(pin);
        self.wrap = Some(verify::wrap);
    }

    pub(crate) fn check_names(&mut self, check: bool) {
        self.names = check;
        self.wrap = Some(verify::wrap);
    }

    pub(crate) fn add_revocation_lists(
        &mut self,
        lists: Vec<CertificateRevocationListDer<'static>>,
    ) {
        self.revocation.lists.extend(lists);
        self.revoking = Some(verify::revoking);
        self.wrap = Some(verify::wrap);
    }

    pub(crate) fn revoke_leaf_only(&mut self, only: bool) {
        self.revocation.leaf_only = only;
    }

    pub(crate) fn revoke_unknown(&mut self, allow: bool) {
        self.revocation.allow_unknown = allow;
    }

    pub(crate) fn revoke_by_expired(&mut self, allow: bool) {
        self.revocation.allow_expired = allow;
    }

    pub(crate) fn identity(&mut self, key: Key) {
        self.identity = Some(Arc::new(key));
    }

    pub(crate) fn log_keys(&mut self, path: PathBuf) {
        self.key_log = Some(Arc::new(KeyLogFile::new(path)));
    }

    #[cfg(feature = "platform-verifier")]
    pub(crate) fn platform(&mut self, platform: bool) {
        self.platform = match platform {
            true => Some(verify::platform),
            false => None,
        };
        self.wrap = Some(verify::wrap);
    }

    #[cfg(feature = "aws-lc-rs")]
    pub(crate) fn set_provider(&mut self, chosen: super::CryptoProvider) {
        self.provider = chosen.maker();
    }

    /// A configuration made elsewhere, to be used as it is.
    pub(crate) fn from_prepared(config: Arc<ClientConfig>) -> Self {
        Self {
            prepared: Some(config),
            ..Self::default()
        }
    }

    /// Called for whatever else is set.
    pub(crate) fn touched(&mut self) {
        self.mixed = self.prepared.is_some();
    }
}

impl Settings {
    /// What cannot be, whatever the rest.
    pub(super) fn check(&self) -> Result<(), ConfigFault> {
        let proper = |name: &Vec<u8>| (1..=255).contains(&name.len());
        if self.prepared.is_some() && self.mixed {
            Err(ConfigFault::Mixed)
        } else if self.min_version > self.max_version {
            Err(ConfigFault::NoVersion)
        } else if !self.alpn.iter().all(proper) {
            Err(ConfigFault::Alpn)
        } else if self.pins_only && self.pins.is_empty() {
            Err(ConfigFault::NoPins)
        } else if self.platform.is_some() && (!self.names || self.revoking.is_some()) {
            Err(ConfigFault::Platform)
        } else {
            Ok(())
        }
    }

    /// Whether building it reads files.
    pub(crate) fn is_slow_to_build(&self) -> bool {
        self.platform.is_some() || self.key_log.is_some()
    }

    pub(super) fn is_foreign(&self) -> bool {
        self.prepared.is_some() || self.is_slow_to_build()
    }

    /// Whether a server has to prove to be who it is asked for. What was made
    /// elsewhere is taken at its word.
    pub(super) fn verifies(&self) -> bool {
        self.anybody.is_none() && self.names
    }

    pub(super) fn prepared(&self) -> Option<&Arc<ClientConfig>> {
        self.prepared.as_ref()
    }

    pub(super) fn provider(&self) -> CryptoProvider {
        (self.provider)()
    }

    pub(super) fn versions(&self) -> &'static [&'static SupportedProtocolVersion] {
        static ONLY_12: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS12];
        static ONLY_13: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS13];
        match (self.min_version, self.max_version) {
            (TlsVersion::V12, TlsVersion::V12) => &ONLY_12,
            (TlsVersion::V13, _) => &ONLY_13,
            (TlsVersion::V12, TlsVersion::V13) => rustls::ALL_VERSIONS,
        }
    }

    /// Who decides on a certificate.
    pub(super) fn verifier(&self) -> MakeVerifier {
        self.anybody
            .or(self.platform)
            .or(self.revoking)
            .unwrap_or(verify::plain)
    }

    /// And what is looked at behind that.
    pub(super) fn wrapper(&self) -> Option<WrapVerifier> {
        self.wrap
    }

    pub(super) fn parts(&self) -> impl Iterator<Item = &Arc<dyn Part>> {
        self.identity.iter().chain(&self.key_log)
    }
}

impl fmt::Debug for Settings {
    // Certificates are pages of numbers, and a key is nobody's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("builtin_roots", &self.builtin_roots)
            .field("extra_roots", &self.extra_roots.len())
            .field("verify", &self.anybody.is_none())
            .field("names", &self.names)
            .field("pins", &self.pins)
            .field("revocation_lists", &self.revocation.lists.len())
            .field("versions", &(self.min_version, self.max_version))
            .field("sni", &self.sni)
            .field("resumption", &self.resumption)
            .field("identity", &self.identity.is_some())
            .field("key_log", &self.key_log.is_some())
            .field("prepared", &self.prepared.is_some())
            .finish_non_exhaustive()
    }
}
