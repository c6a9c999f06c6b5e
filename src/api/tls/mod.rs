//! What a program may set of TLS (SPEC C20, C21).

mod identity;
mod rare;

pub use self::identity::Identity;
use crate::call::TlsSource;
use crate::error::{Error, Pin};
use crate::tls::{ConfigFault, Settings, TlsVersion, certificates, certificates_from_pem};

/// TLS settings of a connector, a session or one request.
///
/// By default certificates are verified against the Mozilla roots, TLS 1.2 and
/// 1.3 are spoken, and sessions are resumed. Requests with different settings
/// never share a connection, nor the state by which sessions are resumed (SPEC P1):
/// each `TlsConfig` that a setter returns is one of its own, whatever it says, and
/// its clones are the same one. So make one and keep it.
///
/// A setter never fails. What needs to be parsed is parsed at once, and is an error
/// there; what cannot be together is an error of kind [`Tls`](crate::Kind::Tls) of
/// the request.
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
///
/// What decides on a server's certificate, from the outside in:
///
/// 1. Its chain has to lead to a trusted root: the Mozilla ones
///    ([`builtin_roots`](Self::builtin_roots)), those that were added, or those of the
///    operating system (`platform_verifier`).
/// 2. Nothing in the chain may be expired, not valid yet, or misused, nor revoked by a
///    list that was given ([`add_crl`](Self::add_crl)).
/// 3. It has to be for the name in the URL, or for the
///    [`server_name`](crate::RequestBuilder::server_name) of the request.
/// 4. If anything is pinned ([`pin`](Self::pin)), one of the pins has to match.
///
/// A certificate that is refused is an error of kind
/// [`Certificate`](crate::Kind::Certificate) whose message says what is wrong with it,
/// or of kind [`Fingerprint`](crate::Kind::Fingerprint).
#[derive(Clone, Debug)]
#[must_use]
pub struct TlsConfig {
    source: TlsSource,
}

impl TlsConfig {
    /// Verified against the Mozilla roots.
    pub fn new() -> Self {
        Self::with(Settings::default())
    }

    /// Trusts the certificates in this PEM text too; what else stands in it is
    /// skipped.
    ///
    /// # Errors
    /// [`InvalidRequest`](crate::Kind::InvalidRequest): the text holds no certificate,
    /// or a damaged one.
    pub fn add_root_pem(self, pem: &[u8]) -> Result<Self, Error> {
        let roots = certificates_from_pem(pem).map_err(mistake)?;
        Ok(self.edit(|settings| settings.extra_roots.extend(roots)))
    }

    /// Trusts this certificate in DER, too.
    ///
    /// # Errors
    /// [`InvalidRequest`](crate::Kind::InvalidRequest): it is no certificate.
    pub fn add_root_der(self, der: &[u8]) -> Result<Self, Error> {
        let roots = certificates(der).map_err(mistake)?;
        Ok(self.edit(|settings| settings.extra_roots.extend(roots)))
    }

    /// Trusts what this file holds, too: one certificate in DER, or any number of
    /// them in PEM, such as `/etc/ssl/certs/ca-certificates.crt`. It is read at once.
    ///
    /// # Errors
    /// [`InvalidRequest`](crate::Kind::InvalidRequest): the file cannot be read, or
    /// holds no certificate, or a damaged one.
    pub fn add_root_file(self, path: impl AsRef<std::path::Path>) -> Result<Self, Error> {
        let bytes = crate::tls::read(path.as_ref()).map_err(mistake)?;
        let roots = certificates(&bytes).map_err(mistake)?;
        Ok(self.edit(|settings| settings.extra_roots.extend(roots)))
    }

    /// Whether the Mozilla roots are trusted. Default true; false leaves only
    /// what was added.
    pub fn builtin_roots(self, trusted: bool) -> Self {
        self.edit(|settings| settings.builtin_roots = trusted)
    }

    /// Shows this certificate to servers that ask for one. Default: none.
    pub fn identity(self, identity: &Identity) -> Self {
        let key = identity.0.clone();
        self.edit(|settings| settings.identity(key))
    }

    /// The same out of PEM texts: [`Identity::from_pem`].
    ///
    /// # Errors
    /// As there.
    pub fn identity_pem(self, chain: &[u8], key: &[u8]) -> Result<Self, Error> {
        Ok(self.identity(&Identity::from_pem(chain, key)?))
    }

    /// Accepts only servers whose certificate has this pin, or one of the others that
    /// were given (SPEC C21). Default: none, and any certificate that is otherwise
    /// right.
    ///
    /// Pins are looked at on top of everything else: a certificate that is expired,
    /// untrusted or for another name is refused whatever its pin. See
    /// [`danger_pins_only`](Self::danger_pins_only) for the other way. They say
    /// something of the server's own certificate, not of its issuers. A server that
    /// renews its certificate keeps its key if it is told to, so pin the key, and a
    /// spare one beside it.
    ///
    /// A mismatch makes the next address of the host be tried, and in the end an error
    /// of kind [`Fingerprint`](crate::Kind::Fingerprint), whose
    /// [`fingerprints`](Error::fingerprints) tell what the server has.
    ///
    /// ```
    /// use miohttp::{Pin, TlsConfig};
    ///
    /// let key: Pin = "sha256//YhKJKSzoTt2b5FP18fvpHo7fJYqQCjAa3HWY3tvRMwE=".parse()?;
    /// let tls = TlsConfig::new().pin(key);
    /// # drop(tls);
    /// # Ok::<(), miohttp::Error>(())
    /// ```
    pub fn pin(self, pin: Pin) -> Self {
        self.edit(|settings| settings.pin(pin))
    }

    /// Pins the certificate with this SHA-256 of its DER: [`pin`](Self::pin).
    pub fn pin_sha256(self, digest: [u8; 32]) -> Self {
        self.pin(Pin::Certificate(digest))
    }

    /// Pins the key with this SHA-256 of its `SubjectPublicKeyInfo` in DER, as curl's
    /// `--pinnedpubkey` does: [`pin`](Self::pin).
    pub fn pin_spki_sha256(self, digest: [u8; 32]) -> Self {
        self.pin(Pin::Spki(digest))
    }

    /// The oldest version of TLS to speak. Default 1.2.
    pub fn min_version(self, version: TlsVersion) -> Self {
        self.edit(|settings| settings.min_version = version)
    }

    /// The newest version of TLS to speak. Default 1.3. One below
    /// [`min_version`](Self::min_version) is an error of the request.
    pub fn max_version(self, version: TlsVersion) -> Self {
        self.edit(|settings| settings.max_version = version)
    }

    /// Whether the handshake tells the host's name in the clear (SNI, RFC 6066 §3).
    /// Default true. Servers of many hosts need it; an IP address is never told.
    pub fn sni(self, sni: bool) -> Self {
        self.edit(|settings| settings.sni = sni)
    }

    /// Whether sessions are resumed (RFC 8446 §2.2), which saves half of a
    /// handshake and lets a server recognize its client. Default true.
    pub fn resumption(self, resumption: bool) -> Self {
        self.edit(|settings| settings.resumption = resumption)
    }

    /// **Dangerous**: true accepts any certificate of anybody for any name, so
    /// that whoever sits on the path can read and change everything. Pins are still
    /// looked at. Default false.
    pub fn danger_accept_invalid_certs(self, accept: bool) -> Self {
        self.edit(|settings| settings.verify(!accept))
    }

    /// **Dangerous**: true accepts a certificate for any name, so that whoever has one
    /// that is trusted, for a host of their own, can be any other. The rest of it is
    /// checked. Default false.
    ///
    /// For a server whose certificate is for one other name, say that name instead:
    /// [`server_name`](crate::RequestBuilder::server_name).
    pub fn danger_accept_invalid_hostnames(self, accept: bool) -> Self {
        self.edit(|settings| settings.check_names(!accept))
    }

    /// **Dangerous**: true has the pins alone decide, as is due for a self-signed
    /// certificate that is known: neither its issuer nor its name nor its dates count.
    /// Without a [`pin`](Self::pin) every request is an error. Default false.
    pub fn danger_pins_only(self, only: bool) -> Self {
        self.edit(|settings| settings.pins_only(only))
    }

    /// What a source was made of.
    pub(crate) fn of(source: TlsSource) -> Self {
        Self { source }
    }

    pub(crate) fn source(&self) -> TlsSource {
        // Reads files, which no reactor should, and a redirect may ask it to.
        self.source.prepare();
        self.source.clone()
    }

    fn edit(self, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = self.source.into_settings();
        settings.touched();
        change(&mut settings);
        Self::with(settings)
    }

    fn with(settings: Settings) -> Self {
        Self {
            source: TlsSource::new(settings),
        }
    }
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// What was given cannot be used.
#[cold]
fn mistake(fault: ConfigFault) -> Error {
    Error::invalid_request(fault.to_string()).with_source(fault)
}

#[cfg(all(test, not(loom)))]
mod tests;
