//! What all requests of a session have in common, beside their settings.

use std::sync::{Arc, Mutex};

use url::Url;

use super::retry::Spent;
use super::{Cookies, Hsts, TlsSource};
use crate::auth::{Auth, Netrc};
use crate::error::Error;
use crate::job::{Config, PoolKey};
use crate::tls::Client;

/// One handle instead of several, so that a request clones one.
#[derive(Clone, Debug)]
pub(crate) struct Context(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    tls: TlsSource,
    cookies: Cookies,
    netrc: Option<Netrc>,
    hsts: Hsts,
    /// The connector's.
    config: Arc<Config>,
    spent: Spent,
    /// The key of the request before: most go where that one went.
    last: Mutex<Option<PoolKey>>,
}

impl Context {
    pub(crate) fn new(
        tls: TlsSource,
        cookies: Cookies,
        netrc: Option<Netrc>,
        hsts: Hsts,
        config: Arc<Config>,
    ) -> Self {
        Self(Arc::new(Shared {
            tls,
            cookies,
            netrc,
            hsts,
            config,
            spent: Spent::default(),
            last: Mutex::new(None),
        }))
    }

    /// Whether anybody else holds it: a call does as long as it lives.
    pub(crate) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    pub(crate) fn tls(&self) -> &TlsSource {
        &self.0.tls
    }

    pub(crate) fn cookies(&self) -> &Cookies {
        &self.0.cookies
    }

    pub(super) fn hsts(&self) -> &Hsts {
        &self.0.hsts
    }

    /// Whether the connector lets a proxy be asked for this, as far as it can
    /// tell. Asked where one connection to a proxy serves all origins; any
    /// other is judged when it is opened.
    ///
    /// # Errors
    /// It does not.
    pub(super) fn judge(&self, url: &Url) -> Result<(), Error> {
        let host = url.host_str().unwrap_or_default();
        let judged = self.0.config.dns.judge(host);
        judged.map_err(|fault| fault.into_error(host))
    }

    pub(super) fn spent(&self) -> &Spent {
        &self.0.spent
    }

    pub(crate) fn netrc(&self) -> Option<&Netrc> {
        self.0.netrc.as_ref()
    }

    /// What the session's netrc has for a request that has no credentials
    /// (SPEC A6).
    pub(crate) fn found_auth(&self, url: &Url) -> Option<Auth> {
        let found = self.netrc()?.find(url.host_str()?)?;
        Some(found.into())
    }

    /// [`PoolKey::new`], or the last one if it is the same.
    pub(super) fn key(&self, host: &str, port: u16, tls: Option<Client>) -> PoolKey {
        // Waiting for another thread costs more than a key does. A poisoned
        // lock is one that is never free.
        let Ok(mut last) = self.0.last.try_lock() else {
            return PoolKey::new(host, port, tls);
        };
        if let Some(key) = &*last
            && key.names(host, port, tls.as_ref())
        {
            return key.clone();
        }
        let key = PoolKey::new(host, port, tls);
        *last = Some(key.clone());
        key
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_kept_as_long_as_it_is_the_one_wanted() {
        #[cfg(feature = "tls")]
        let tls = TlsSource::new(crate::tls::Settings::default());
        #[cfg(not(feature = "tls"))]
        let tls = TlsSource;
        let context = Context::new(tls, Cookies::None, None, None, Arc::default());
        for (host, port) in [("a", 80), ("a", 80), ("b", 80), ("b", 81), ("a", 80)] {
            let key = context.key(host, port, None);
            assert_eq!((key.host(), key.port()), (host, port));
            assert_eq!(key, PoolKey::new(host, port, None));
        }
        #[cfg(feature = "tls")]
        {
            let build = || Client::build(&crate::tls::Settings::default()).unwrap();
            let (one, other) = (build(), build());
            let plain = context.key("a", 443, None);
            let first = context.key("a", 443, Some(one.clone()));
            assert_ne!(plain, first);
            assert_eq!(first, context.key("a", 443, Some(one)));
            assert_ne!(first, context.key("a", 443, Some(other)));
        }
    }
}
