//! What a request may have otherwise than its session.

use std::time::Duration;

use http::Version;
use http::header::HeaderName;

use super::RequestBuilder;
#[cfg(feature = "tls")]
use crate::api::tls::TlsConfig;
use crate::call::{Auth, RedirectPolicy, Timeouts};

impl RequestBuilder {
    /// Credentials (SPEC Q7). Together with credentials in the URL or an
    /// `Authorization` header they are an error.
    pub fn auth(mut self, auth: Auth) -> Self {
        self.auth = Some(auth);
        self
    }

    /// The limit of this whole request; zero or `None` is none (SPEC Q14, T1).
    pub fn timeout(mut self, total: impl Into<Option<Duration>>) -> Self {
        let timeouts = self.settings.timeouts.total(total);
        self.set().timeouts = timeouts;
        self
    }

    /// All time limits of this request (SPEC Q14).
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.set().timeouts = timeouts;
        self
    }

    /// Which redirects are followed (SPEC Q8).
    pub fn redirects(mut self, policy: RedirectPolicy) -> Self {
        self.set().redirects = policy;
        self
    }

    /// Whether a redirect from https to http is an error instead of being
    /// followed (SPEC D6); [as for the session](crate::SessionBuilder::refuse_downgrade).
    pub fn refuse_downgrade(mut self, refuse: bool) -> Self {
        self.set().refuse_downgrade = refuse;
        self
    }

    /// Whether `Content-Encoding` is decoded, and asked for unless the request
    /// has a `Range` (SPEC S14, Q18).
    pub fn auto_decompress(mut self, decompress: bool) -> Self {
        self.set().auto_decompress = decompress;
        self
    }

    /// Whether a status of 400 or above is an error (SPEC Q18).
    pub fn error_for_status(mut self, error: bool) -> Self {
        self.set().error_for_status = error;
        self
    }

    /// How many bytes each received byte of a coded body may become, past the
    /// first MiB; 0 is no limit (SPEC R40).
    pub fn max_decode_ratio(mut self, ratio: u64) -> Self {
        self.set().max_decode_ratio = ratio;
        self
    }

    /// The largest body that `bytes`, `text` and `json` keep in memory, decoded
    /// (SPEC R40); [as for the session](crate::SessionBuilder::max_buffered).
    pub fn max_buffered(mut self, bytes: usize) -> Self {
        self.set().max_buffered = bytes;
        self
    }

    /// Never adds this header by itself (SPEC S5).
    pub fn skip_auto_header(mut self, name: HeaderName) -> Self {
        self.set().skip_auto_headers.push(name);
        self
    }

    /// HTTP/1.1, or HTTP/1.0 with its keep-alive asked for (SPEC S8). Others
    /// are an error at the verb.
    pub fn version(mut self, version: Version) -> Self {
        self.set().version = version;
        self
    }

    /// TLS settings of this request instead of the connector's (SPEC Q15).
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: &TlsConfig) -> Self {
        self.tls = Some(tls.source());
        self
    }
}
