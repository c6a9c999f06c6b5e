//! Hosts that want https alone (RFC 6797), as a call sees them: a request's URL
//! is made an https one before anything looks at it, and what is learnt from
//! responses is kept.

use std::fmt;
use std::sync::Arc;

use url::{Host, Url};

use super::Call;
use crate::head::ResponseHead;
use crate::job::Exchange;

/// Where such hosts are kept. Called on the reactor's thread too, so its code is
/// ours. A trait, so that a program that sets none has none of it.
pub(crate) trait Strict: Send + Sync {
    fn covers(&self, host: &str) -> bool;

    /// What a host has said of itself.
    fn note(&self, host: &str, field: &[u8]);
}

impl fmt::Debug for dyn Strict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Strict")
    }
}

pub(crate) type Hsts = Option<Arc<dyn Strict>>;

/// RFC 6797 §8.3. Whether the URL is another one now.
pub(super) fn secure(hsts: &Hsts, url: &mut Url) -> bool {
    let Some(hsts) = hsts else {
        return false;
    };
    let Some(Host::Domain(host)) = url.host() else {
        return false;
    };
    // The default port becomes the other default one; any other stays.
    url.scheme() == "http" && hsts.covers(host) && url.set_scheme("https").is_ok()
}

impl Call {
    /// RFC 6797 §8.1: what came over a connection that proved to be this host's.
    pub(super) fn note_hsts(&self, asked: &Exchange, head: &ResponseHead) {
        let Some(hsts) = self.context.hsts() else {
            return;
        };
        let Some(Host::Domain(host)) = self.request.url.host() else {
            return;
        };
        let is_proven = |(client, name): (&crate::tls::Client, &str)| {
            client.verifies() && name.eq_ignore_ascii_case(asked.key.host())
        };
        if asked.key.tls_name().is_some_and(is_proven)
            && let Some(field) = head.first("strict-transport-security")
        {
            hsts.note(host, field);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    struct Below(&'static str);

    impl Strict for Below {
        fn covers(&self, host: &str) -> bool {
            host.ends_with(self.0)
        }

        fn note(&self, _host: &str, _field: &[u8]) {}
    }

    #[test]
    fn a_url_becomes_an_https_one() {
        let hsts: Hsts = Some(Arc::new(Below("test")));
        for (url, want) in [
            ("http://a.test/x?y#z", Some("https://a.test/x?y#z")),
            ("http://a.test:80/", Some("https://a.test/")),
            ("http://a.test:443/", Some("https://a.test/")),
            ("http://a.test:8080/", Some("https://a.test:8080/")),
            ("HTTP://A.TEST/", Some("https://a.test/")),
            ("https://a.test/", None),
            ("https://a.test:80/", None),
            ("http://other/", None),
            ("ftp://a.test/", None),
            ("http://127.0.0.1/", None),
            ("http://[::1]/", None),
        ] {
            let before = Url::parse(url).unwrap();
            let mut after = before.clone();
            assert_eq!(secure(&hsts, &mut after), want.is_some(), "{url}");
            assert_eq!(after.as_str(), want.unwrap_or(before.as_str()));
            let mut after = before.clone();
            assert!(!secure(&None, &mut after) && after == before);
        }
    }
}
