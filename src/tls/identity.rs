//! Who the client is, where a server asks for its certificate.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use super::fault::ConfigFault;
use super::pem;
use super::settings::Part;

/// A chain and the key of its first certificate, which is known to belong to it.
#[derive(Clone)]
pub(crate) struct Key {
    chain: Vec<CertificateDer<'static>>,
    key: Arc<PrivateKeyDer<'static>>,
}

impl Key {
    /// Each is PEM or DER; they may be the same text.
    pub(crate) fn new(chain: &[u8], key: &[u8]) -> Result<Self, ConfigFault> {
        let key = Self {
            chain: pem::chain(chain)?,
            key: Arc::new(pem::private_key(key)?),
        };
        key.check()?;
        Ok(key)
    }

    /// Some provider that is compiled in has to understand the key: which of them
    /// will use it is not known yet.
    fn check(&self) -> Result<(), ConfigFault> {
        let result = self.certified(&ring::default_provider());
        #[cfg(feature = "aws-lc-rs")]
        let result = result.or_else(|fault| match fault {
            ConfigFault::Identity(rustls::Error::InconsistentKeys(_)) => Err(fault),
            _ => self.certified(&super::CryptoProvider::AwsLcRs.maker()()),
        });
        result.map(drop)
    }

    fn certified(&self, provider: &CryptoProvider) -> Result<CertifiedKey, ConfigFault> {
        CertifiedKey::from_der(self.chain.clone(), self.key.clone_key(), provider)
            .map_err(ConfigFault::Identity)
    }

    /// How many certificates the chain has.
    pub(crate) fn len(&self) -> usize {
        self.chain.len()
    }
}

impl Part for Key {
    fn apply(
        &self,
        config: &mut ClientConfig,
        provider: &CryptoProvider,
    ) -> Result<(), ConfigFault> {
        let key = self.certified(provider)?;
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(key));
        Ok(())
    }
}
