//! What a program may set of TLS (SPEC C20).

use crate::call::TlsSource;
use crate::error::Error;
use crate::tls::{Settings, certificates_from_pem};

/// TLS settings of a connector or of one request.
///
/// By default certificates are verified against the Mozilla roots, TLS 1.2 and
/// 1.3 are spoken, and sessions are resumed. Requests with different settings
/// never share a connection (SPEC P1). Cloning shares the resumption state;
/// make one and keep it.
///
/// ```no_run
/// use miohttp::{Connector, Session, TlsConfig};
///
/// let pem = std::fs::read("ca.pem")?;
/// let tls = TlsConfig::new().add_root_pem(&pem)?;
/// let connector = Connector::builder().tls(tls).build();
/// let session = Session::builder().connector(connector).build();
/// # drop(session);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct TlsConfig {
    settings: Settings,
    source: TlsSource,
}

impl TlsConfig {
    /// Verified against the Mozilla roots.
    pub fn new() -> Self {
        Self::with(Settings::default())
    }

    /// Trusts the certificates in this PEM text too.
    ///
    /// # Errors
    /// The text holds no certificate, or a damaged one.
    pub fn add_root_pem(self, pem: &[u8]) -> Result<Self, Error> {
        let roots = certificates_from_pem(pem).map_err(|fault| {
            Error::invalid_request("the PEM text holds no usable certificate").with_source(fault)
        })?;
        let mut settings = self.settings;
        settings.extra_roots.extend(roots);
        Ok(Self::with(settings))
    }

    /// Whether the Mozilla roots are trusted. Default true; false leaves only
    /// what was added.
    pub fn builtin_roots(self, trusted: bool) -> Self {
        Self::with(Settings {
            builtin_roots: trusted,
            ..self.settings
        })
    }

    /// **Dangerous**: true accepts any certificate of anybody for any name, so
    /// that whoever sits on the path can read and change everything.
    pub fn danger_accept_invalid_certs(self, accept: bool) -> Self {
        Self::with(Settings {
            verify: !accept,
            ..self.settings
        })
    }

    pub(crate) fn source(&self) -> TlsSource {
        self.source.clone()
    }

    fn with(settings: Settings) -> Self {
        Self {
            source: TlsSource::new(settings.clone()),
            settings,
        }
    }
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self::new()
    }
}
