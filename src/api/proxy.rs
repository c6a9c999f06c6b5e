//! What a program may set of the TLS with a proxy.

use std::sync::Arc;

use super::tls::TlsConfig;
use crate::proxy::{ClientSource, Proxy};

impl Proxy {
    /// TLS settings towards an `https` proxy. Default: the session's, or else the
    /// connector's, so that an authority that is trusted there is trusted here;
    /// those that a request has for itself are for its origin alone. What is spoken with the origin
    /// inside of a tunnel has nothing to do with these.
    ///
    /// Without this the session's hold for the proxy as a whole: a client certificate
    /// is shown to a proxy that asks for one, pins have to match its certificate,
    /// and what a `danger_` method has switched off is off there, too. Where those
    /// are meant for origins, give the proxy settings of its own.
    ///
    /// ```
    /// use miohttp::{Proxy, TlsConfig};
    ///
    /// # fn proxy(pem: &[u8]) -> Result<Proxy, miohttp::Error> {
    /// let tls = TlsConfig::new().builtin_roots(false).add_root_pem(pem)?;
    /// let proxy = Proxy::all("https://proxy.example.com")?.tls(&tls);
    /// # Ok(proxy)
    /// # }
    /// ```
    pub fn tls(self, tls: &TlsConfig) -> Self {
        let source = tls.source();
        let source: ClientSource = Arc::new(move || source.client());
        self.client(&source)
    }
}
