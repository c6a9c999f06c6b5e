//! Certificates of clients.

use std::fmt;
use std::path::Path;

use super::mistake;
use crate::error::Error;
use crate::tls::{Key, read};

/// A certificate of the client's own, and its private key: what it shows to
/// servers that ask for one (mTLS). Cheap to clone.
///
/// The key may be RSA (2048 to 8192 bits), ECDSA on P-256 or P-384, or Ed25519, as
/// PKCS#8, PKCS#1 (RFC 8017) or SEC1 (RFC 5915). An encrypted one has to be
/// decrypted first, and so has a PKCS#12 file (`openssl pkcs12 -nodes`).
///
/// ```no_run
/// use miohttp::{Identity, TlsConfig};
///
/// let identity = Identity::from_files("client.pem", "client.key")?;
/// let tls = TlsConfig::new().identity(&identity);
/// # drop(tls);
/// # Ok::<(), miohttp::Error>(())
/// ```
#[derive(Clone)]
pub struct Identity(pub(super) Key);

impl Identity {
    /// From texts in PEM: the chain has the client's certificate first, then those
    /// of its issuers as far as servers need them. The two may be the same text.
    /// Either may be DER, too: a single certificate, and a key.
    ///
    /// # Errors
    /// [`InvalidRequest`](crate::Kind::InvalidRequest): there is no certificate or
    /// no key, one is damaged or of an unknown kind, the key is encrypted, or it
    /// does not belong to the certificate.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, Error> {
        Key::new(chain, key).map(Self).map_err(mistake)
    }

    /// From two files, or twice the same: see [`from_pem`](Self::from_pem). They
    /// are read at once.
    ///
    /// # Errors
    /// As there, or a file cannot be read.
    pub fn from_files(chain: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, Error> {
        let chain = read(chain.as_ref()).map_err(mistake)?;
        let key = read(key.as_ref()).map_err(mistake)?;
        Self::from_pem(&chain, &key)
    }
}

impl fmt::Debug for Identity {
    // The key is nobody's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("certificates", &self.0.len())
            .finish_non_exhaustive()
    }
}
