//! What few programs set: protocols, revocation, the log of keys, and where else
//! verification or cryptography may come from.

use std::path::PathBuf;
use std::sync::Arc;

use super::{TlsConfig, mistake};
use crate::error::Error;
use crate::tls::{Settings, revocation_lists};

impl TlsConfig {
    /// What to offer by ALPN (RFC 7301), the most wanted first. Default: `http/1.1`
    /// alone. An empty list offers nothing; an empty name, or one of more than 255
    /// bytes, is an error of the request.
    ///
    /// HTTP/1.1 is spoken whatever the server chooses, but for what stands for
    /// another HTTP (`h2`, `h3`, `spdy/3`), which ends the handshake with an error of
    /// kind [`Tls`](crate::Kind::Tls). So a list with `h2` makes sense only to find out
    /// about servers.
    ///
    /// ```
    /// let tls = miohttp::TlsConfig::new().alpn(["x-amzn-http-ca"]);
    /// # drop(tls);
    /// ```
    pub fn alpn<P: AsRef<[u8]>>(self, protocols: impl IntoIterator<Item = P>) -> Self {
        let protocols = protocols.into_iter().map(|name| name.as_ref().to_vec());
        let protocols: Vec<Vec<u8>> = protocols.collect();
        self.edit(|settings| settings.alpn = protocols)
    }

    /// Refuses certificates that these lists withdraw (RFC 5280 §5): any number of
    /// CRLs in PEM, or one in DER. Default: none, and nothing is looked up. Lists are
    /// never fetched.
    ///
    /// As soon as there is one list, each certificate of the chain but the root has
    /// to be covered by a list of its issuer that has not expired. The `crl_` setters
    /// ask for less.
    ///
    /// ```no_run
    /// use miohttp::TlsConfig;
    ///
    /// let lists = std::fs::read("revoked.pem")?;
    /// let tls = TlsConfig::new().add_crl(&lists)?.crl_leaf_only(true);
    /// # drop(tls);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidRequest`](crate::Kind::InvalidRequest): there is no list, or one that
    /// is damaged or of a kind that is not known (indirect or delta CRLs).
    pub fn add_crl(self, bytes: &[u8]) -> Result<Self, Error> {
        let lists = revocation_lists(bytes).map_err(mistake)?;
        Ok(self.edit(|settings| settings.add_revocation_lists(lists)))
    }

    /// True looks only for the server's own certificate in the revocation lists, not
    /// for those of its issuers. Default false. Says nothing without
    /// [`add_crl`](Self::add_crl).
    pub fn crl_leaf_only(self, only: bool) -> Self {
        self.edit(|settings| settings.revoke_leaf_only(only))
    }

    /// True accepts a certificate that no revocation list covers. Default false. Says
    /// nothing without [`add_crl`](Self::add_crl).
    pub fn crl_allow_unknown(self, allow: bool) -> Self {
        self.edit(|settings| settings.revoke_unknown(allow))
    }

    /// True goes by revocation lists that have expired, too. Default false. Says
    /// nothing without [`add_crl`](Self::add_crl).
    pub fn crl_allow_expired(self, allow: bool) -> Self {
        self.edit(|settings| settings.revoke_by_expired(allow))
    }

    /// Appends the secrets of every session to this file, for Wireshark and other
    /// programs that decrypt what they have captured. Whoever reads the file can
    /// do so, too: it is for finding faults, and never for users. A new file is
    /// readable by its owner alone (on Unix). Default: none.
    ///
    /// A file that cannot be opened is an error of the request; when it cannot be
    /// written later, the log ends with a warning of the `log` facade.
    pub fn key_log_file(self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        self.edit(|settings| settings.log_keys(path))
    }

    /// The same for the file that the environment variable `SSLKEYLOGFILE` names, as
    /// browsers and curl have it. Nothing happens if there is none, or an empty one.
    /// The variable is read now.
    pub fn key_log_from_env(self) -> Self {
        match std::env::var_os("SSLKEYLOGFILE").filter(|path| !path.is_empty()) {
            Some(path) => self.key_log_file(path),
            None => self,
        }
    }

    /// True has the operating system decide, with what it trusts: on Windows, macOS,
    /// iOS and Android by its own verifier, elsewhere by rustls with the roots that
    /// are installed (`SSL_CERT_FILE` and `SSL_CERT_DIR` are respected). Default
    /// false. The Mozilla roots say nothing then; those that were added do, but on
    /// Android.
    ///
    /// The roots are read once, when the settings are given to a connector, a session
    /// or a request. With [`add_crl`](Self::add_crl) or
    /// [`danger_accept_invalid_hostnames`](Self::danger_accept_invalid_hostnames) it
    /// is an error of the request.
    ///
    /// Needs the feature `platform-verifier`.
    ///
    /// ```
    /// let tls = miohttp::TlsConfig::new().platform_verifier(true);
    /// # drop(tls);
    /// ```
    #[cfg(feature = "platform-verifier")]
    pub fn platform_verifier(self, platform: bool) -> Self {
        self.edit(|settings| settings.platform(platform))
    }

    /// Who does the cryptography. Default [`Ring`](crate::CryptoProvider::Ring), with
    /// this feature, too.
    ///
    /// Needs the feature `aws-lc-rs`.
    ///
    /// ```
    /// use miohttp::{CryptoProvider, TlsConfig};
    ///
    /// let tls = TlsConfig::new().provider(CryptoProvider::AwsLcRs);
    /// # drop(tls);
    /// ```
    #[cfg(feature = "aws-lc-rs")]
    pub fn provider(self, provider: crate::CryptoProvider) -> Self {
        self.edit(|settings| settings.set_provider(provider))
    }

    /// TLS as this rustls configuration has it, and nothing else: its roots or its
    /// verifier, its versions, ALPN, identity and tickets. It is used as it is, and
    /// any further setter makes every request an error, so that no pin is lost in
    /// silence. Its handshakes are never done on the reactor's thread, so its parts
    /// may block, or panic, which fails the one request. (At most eight block at a time;
    /// other handshakes of this kind wait for one of them to end, and nobody else does.)
    /// Once the connection is open, a store of tickets and the ciphers are called by
    /// whoever drives it, which may be that thread: they must not block.
    ///
    /// The type is that of rustls 0.23, which is at hand as
    /// [`miohttp::rustls`](crate::rustls).
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use miohttp::{TlsConfig, rustls};
    ///
    /// fn tls(config: rustls::ClientConfig) -> TlsConfig {
    ///     TlsConfig::from_rustls(Arc::new(config))
    /// }
    /// ```
    pub fn from_rustls(config: Arc<rustls::ClientConfig>) -> Self {
        Self::with(Settings::from_prepared(config))
    }
}
