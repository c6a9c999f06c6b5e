//! What all requests of a session have in common.

use std::sync::{Arc, Mutex, OnceLock};

use url::{Position, Url};

use super::retry::Spent;
use super::{Cookies, Hsts, Settings, TlsSource};
use crate::auth::{Auth, Netrc};
use crate::error::Error;
use crate::job::{Config, PoolKey};
use crate::tls::Client;

/// One handle instead of several, so that a request clones one.
#[derive(Clone, Debug)]
pub(crate) struct Context(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Of a request that has none of its own.
    settings: Arc<Settings>,
    tls: TlsSource,
    cookies: Cookies,
    netrc: Option<Netrc>,
    hsts: Hsts,
    /// The connector's.
    config: Arc<Config>,
    spent: Spent,
    /// The key of the first request, and its origin: many sessions have but one.
    first: OnceLock<(Box<str>, PoolKey)>,
    /// The same of the request before, where it went elsewhere.
    last: Mutex<Option<(Box<str>, PoolKey)>>,
}

impl Context {
    pub(crate) fn new(
        settings: Arc<Settings>,
        tls: TlsSource,
        cookies: Cookies,
        netrc: Option<Netrc>,
        hsts: Hsts,
        config: Arc<Config>,
    ) -> Self {
        Self(Arc::new(Shared {
            settings,
            tls,
            cookies,
            netrc,
            hsts,
            config,
            spent: Spent::default(),
            first: OnceLock::new(),
            last: Mutex::new(None),
        }))
    }

    /// Whether anybody else holds it: a call does as long as it lives.
    pub(crate) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    pub(crate) fn settings(&self) -> &Arc<Settings> {
        &self.0.settings
    }

    /// A request's own settings, or the session's.
    pub(crate) fn settings_or<'a>(&'a self, own: Option<&'a Arc<Settings>>) -> &'a Settings {
        own.unwrap_or(&self.0.settings)
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

    /// The key of the first request or of the one before, if it is that of this URL and
    /// TLS client.
    pub(super) fn kept_key(&self, url: &Url, tls: Option<&Client>) -> Option<PoolKey> {
        let is_it = |origin: &str, key: &PoolKey| *origin == *origin_of(url) && key.tls() == tls;
        // Read alone, which several threads can do at once.
        if let Some((origin, key)) = self.0.first.get()
            && is_it(origin, key)
        {
            return Some(key.clone());
        }
        // Waiting for another thread costs more than a key does. A poisoned
        // lock is one that is never free.
        let last = self.0.last.try_lock().ok()?;
        let (origin, key) = last.as_ref()?;
        is_it(origin, key).then(|| key.clone())
    }

    pub(super) fn keep_key(&self, url: &Url, key: &PoolKey) {
        let kept = (origin_of(url).into(), key.clone());
        if let Err(kept) = self.0.first.set(kept)
            && let Ok(mut last) = self.0.last.try_lock()
        {
            *last = Some(kept);
        }
    }
}

/// As the URL spells it, which is always the same way. A request's URL has no
/// credentials there.
fn origin_of(url: &Url) -> &str {
    &url[..Position::BeforePath]
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
        let context = Context::new(
            Arc::default(),
            tls,
            Cookies::None,
            None,
            None,
            Arc::default(),
        );
        let kept = |url: &str, tls: Option<&Client>| {
            let url = Url::parse(url).unwrap();
            context.kept_key(&url, tls)
        };
        let keep = |url: &str, tls: Option<&Client>| {
            let url = Url::parse(url).unwrap();
            let port = url.port_or_known_default().unwrap();
            let key = PoolKey::new(url.host_str().unwrap(), port, tls.cloned());
            context.keep_key(&url, &key);
            key
        };
        assert_eq!(kept("http://a/", None), None);
        let first = keep("http://a", None);
        for origin in ["http://b", "http://b:81", "http://[::1]:8"] {
            let key = keep(origin, None);
            assert_eq!(kept(&format!("{origin}/path?query"), None), Some(key));
            assert_eq!(kept("http://a/", None).as_ref(), Some(&first));
            for other in ["http://c/", "https://a/", "http://a:8/", "http://aa/"] {
                assert_eq!(kept(other, None), None, "{other} behind {origin}");
            }
        }
        assert_eq!(kept("http://a:80/", None), Some(first));
        #[cfg(feature = "tls")]
        {
            let build = || Client::build(&crate::tls::Settings::default()).unwrap();
            let (one, other) = (build(), build());
            let first = keep("https://a/", Some(&one));
            assert_eq!(kept("https://a/", Some(&one)), Some(first));
            assert_eq!(kept("https://a/", Some(&other)), None);
            assert_eq!(kept("http://[::1]:8/", None), None, "two are kept");
            assert!(kept("http://a/", None).is_some(), "the first for good");
        }
    }
}
