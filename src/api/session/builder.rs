//! Building a [`Session`].

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

use super::{Inner, Session};
use crate::api::connector::Connector;
use crate::api::url::Known;
use crate::call::{Auth, Context, Cookies, RedirectPolicy, Settings, Timeouts};
#[cfg(feature = "cookies")]
use crate::cookie::CookieJar;
use crate::error::Error;
use crate::head::Fields;

/// Settings of a [`Session`]. Setters never fail: a header that cannot be sent
/// is an error of every request made with the session.
///
/// | setting | default |
/// |---|---|
/// | `connector` | one of its own |
/// | `timeouts` | total 300 s, sock_connect 30 s |
/// | `redirects`, `refuse_downgrade` | at most 10, false |
/// | `auto_decompress` | true |
/// | `max_decode_ratio`, `max_buffered` | 1000, 256 MiB |
/// | `error_for_status` | false |
/// | `retry_stale` | true |
/// | `read_buffer` | 256 KiB |
/// | `max_status_line`, `max_header_field`, `max_header_count` | 8190, 8190, 128 |
/// | cookies | kept in a jar of its own |
#[derive(Debug, Default)]
#[must_use]
pub struct SessionBuilder {
    connector: Option<Connector>,
    settings: Settings,
    fields: Fields,
    auth: Option<Auth>,
    mistake: Option<Error>,
    #[cfg(feature = "cookies")]
    jar: JarChoice,
}

#[cfg(feature = "cookies")]
#[derive(Debug, Default)]
enum JarChoice {
    #[default]
    Own,
    Given(CookieJar),
    None,
}

impl SessionBuilder {
    /// Shares a connector (SPEC S1). Closing the session then leaves it open.
    pub fn connector(mut self, connector: Connector) -> Self {
        self.connector = Some(connector);
        self
    }

    /// A header of every request that has none of that name. Repeats add up
    /// (SPEC S4).
    pub fn default_header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        V: TryInto<HeaderValue>,
    {
        match (name.try_into(), value.try_into()) {
            (Ok(name), Ok(value)) => self.fields.append(name, value),
            _ => {
                let mistake =
                    Error::invalid_request("a default header has an invalid name or value");
                self.mistake.get_or_insert(mistake);
            }
        }
        self
    }

    /// Headers of every request that has none of that name (SPEC S4).
    pub fn default_headers(mut self, headers: &HeaderMap) -> Self {
        for (name, value) in headers {
            self.fields.append(name.clone(), value.clone());
        }
        self
    }

    /// Never adds this header by itself (SPEC S5). `Host`, `Content-Length` and
    /// `Cookie` cannot be skipped.
    pub fn skip_auto_header(mut self, name: HeaderName) -> Self {
        self.settings.skip_auto_headers.push(name);
        self
    }

    /// Credentials of every request that brings none (SPEC S6).
    pub fn auth(mut self, auth: Auth) -> Self {
        self.auth = Some(auth);
        self
    }

    /// Time limits (SPEC S10, S11).
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.settings.timeouts = timeouts;
        self
    }

    /// The limit of a whole request, 300 s by default; zero or `None` is none
    /// (SPEC T1).
    pub fn timeout(mut self, total: impl Into<Option<Duration>>) -> Self {
        self.settings.timeouts = self.settings.timeouts.total(total);
        self
    }

    /// Which redirects are followed (SPEC Q8).
    pub fn redirects(mut self, policy: RedirectPolicy) -> Self {
        self.settings.redirects = policy;
        self
    }

    /// Whether a redirect from https to http is an error of kind
    /// [`BadRedirect`](crate::Kind::BadRedirect) instead of being followed
    /// (SPEC D6). Default false, as browsers have it; credentials never go along.
    pub fn refuse_downgrade(mut self, refuse: bool) -> Self {
        self.settings.refuse_downgrade = refuse;
        self
    }

    /// How many bytes each received byte of a coded body may become, past the
    /// first MiB (SPEC R40). More is an error of kind
    /// [`Limit`](crate::Kind::Limit), streamed bodies included. Default 1000; 0
    /// is no limit, for honest bodies that pack better than that.
    pub fn max_decode_ratio(mut self, ratio: u64) -> Self {
        self.settings.max_decode_ratio = ratio;
        self
    }

    /// The largest body that [`bytes`](crate::Response::bytes),
    /// [`text`](crate::Response::text) and `json` keep in memory, decoded
    /// (SPEC R40). More is an error of kind [`Limit`](crate::Kind::Limit).
    /// Default 256 MiB; `usize::MAX` is no limit. What is streamed has none.
    pub fn max_buffered(mut self, bytes: usize) -> Self {
        self.settings.max_buffered = bytes;
        self
    }

    /// Whether `Content-Encoding` is decoded, and asked for unless the request
    /// has a `Range` (SPEC S14).
    pub fn auto_decompress(mut self, decompress: bool) -> Self {
        self.settings.auto_decompress = decompress;
        self
    }

    /// Whether a status of 400 or above is an error (SPEC S12, R22).
    pub fn error_for_status(mut self, error: bool) -> Self {
        self.settings.error_for_status = error;
        self
    }

    /// Whether a request that a stale connection swallowed is sent again where
    /// that is safe (SPEC Y1).
    pub fn retry_stale(mut self, retry: bool) -> Self {
        self.settings.retry_stale = retry;
        self
    }

    /// How much of a body is read ahead of its reader; reading pauses above
    /// twice that (SPEC S20).
    pub fn read_buffer(mut self, bytes: usize) -> Self {
        self.settings.read_buffer = bytes.max(1);
        self
    }

    /// The longest status line that is accepted, in bytes (SPEC S21).
    pub fn max_status_line(mut self, bytes: usize) -> Self {
        self.settings.max_line = bytes;
        self
    }

    /// The longest header field that is accepted, in bytes (SPEC S21).
    pub fn max_header_field(mut self, bytes: usize) -> Self {
        self.settings.max_field = bytes;
        self
    }

    /// The most header fields that are accepted (SPEC S21).
    pub fn max_header_count(mut self, fields: usize) -> Self {
        self.settings.max_fields = fields;
        self
    }

    /// Keeps cookies in this jar, which others may share (SPEC S9).
    #[cfg(feature = "cookies")]
    pub fn cookie_jar(mut self, jar: CookieJar) -> Self {
        self.jar = JarChoice::Given(jar);
        self
    }

    /// Keeps no cookies (SPEC S9, K12).
    #[cfg(feature = "cookies")]
    pub fn no_cookies(mut self) -> Self {
        self.jar = JarChoice::None;
        self
    }

    /// The session. Nothing starts before its first request.
    pub fn build(self) -> Session {
        let owns_connector = self.connector.is_none();
        let connector = self.connector.unwrap_or_default();
        #[cfg(feature = "cookies")]
        let cookies = Cookies(match self.jar {
            JarChoice::Own => Some(CookieJar::new()),
            JarChoice::Given(jar) => Some(jar),
            JarChoice::None => None,
        });
        #[cfg(not(feature = "cookies"))]
        let cookies = Cookies;
        let mut settings = self.settings;
        settings.force_close = connector.force_close();
        let context = Context::new(connector.tls().clone(), cookies);
        Session {
            inner: Arc::new(Inner {
                connector,
                owns_connector,
                closed: AtomicBool::new(false),
                settings: Arc::new(settings),
                fields: self.fields,
                auth: self.auth,
                context,
                known: Known::default(),
                mistake: self.mistake,
            }),
        }
    }
}
