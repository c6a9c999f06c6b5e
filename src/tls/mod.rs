//! What a TLS client is, as data: roots and switches become one shared
//! `rustls::ClientConfig`.
//!
//! ```text
//! Settings ── Client::build ──► Client (Arc<ClientConfig>) ── conn::tls::TlsSession::new ──► …
//! ```
//!
//! No TLS state is process-wide: the provider of cryptography is passed explicitly, so
//! another crate that installs a default one neither helps nor hurts. The cache of
//! session tickets lives inside the config, hence one `Client` per connector: a clone
//! shares the tickets, a second `build` does not. A resumed session skips the
//! certificate check (RFC 8446 §2.2), so tickets must never cross from a lenient
//! configuration into a strict one: they live and die with their configuration, and the
//! pool tells connections apart by the same identity (`Client` in a key, SPEC P1).
//!
//! Most programs set nothing of this. What only a few need (identities, revocation,
//! pins, the log of keys, other providers) is therefore reached through pointers that
//! their setters store, so that a linker leaves it out of all other programs.

use std::fmt;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;

use crate::sync::Mutex;

mod certificate;
mod chains;
mod der;
mod fault;
mod identity;
mod key_log;
mod pem;
mod pins;
#[cfg(feature = "aws-lc-rs")]
mod provider;
mod settings;
mod verify;

pub(crate) use self::certificate::{describe, original};
pub(crate) use self::chains::Chains;
pub(crate) use self::fault::ConfigFault;
pub(crate) use self::identity::Key;
pub(crate) use self::pem::{certificates, certificates_from_pem, read, revocation_lists};
pub(crate) use self::pins::PinMismatch;
#[cfg(feature = "aws-lc-rs")]
pub use self::provider::CryptoProvider;
pub(crate) use self::settings::Settings;
pub use self::settings::TlsVersion;

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
    chains: Mutex<Chains>,
}

impl Client {
    /// Builds a configuration from `settings`.
    pub(crate) fn build(settings: &Settings) -> Result<Self, ConfigFault> {
        settings.check()?;
        let config = match settings.prepared() {
            Some(config) => Arc::clone(config),
            None => Arc::new(configure(settings)?),
        };
        Ok(Self(Arc::new(Built {
            config,
            foreign: settings.is_foreign(),
            verifies: settings.verifies(),
            chains: Mutex::default(),
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

    /// The certificates that servers have shown to connections which still live.
    pub(crate) fn chains(&self) -> &Mutex<Chains> {
        &self.0.chains
    }

    /// Whether a handshake of this client runs foreign code, or may block: a
    /// configuration made elsewhere, the platform's verifier, a log of keys. The
    /// reactor's thread must do none of them.
    pub(crate) fn is_foreign(&self) -> bool {
        self.0.foreign
    }
}

fn configure(settings: &Settings) -> Result<ClientConfig, ConfigFault> {
    let provider = Arc::new(settings.provider());
    let verifier = verify::make(settings, &provider)?;
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(settings.versions())
        .map_err(ConfigFault::Rejected)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.enable_sni = settings.sni;
    config.alpn_protocols = settings.alpn.clone();
    if !settings.resumption {
        config.resumption = Resumption::disabled();
    }
    for part in settings.parts() {
        part.apply(&mut config, &provider)?;
    }
    Ok(config)
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

#[cfg(test)]
mod tests;
