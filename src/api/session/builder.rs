//! Building a [`Session`].

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

use super::{Inner, Session};
use crate::api::connector::Connector;
#[cfg(feature = "tls")]
use crate::api::tls::TlsConfig;
use crate::api::url::Known;
use crate::call::{Auth, Context, Cookies, Settings, TlsSource};
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
/// | `version` | HTTP/1.1 |
/// | `expect_continue`, `read_until_eof` | none, true |
/// | `tls` | the connector's |
/// | `auto_decompress` | true |
/// | `max_decode_ratio`, `max_buffered`, `max_body_size` | 1000, 256 MiB, none |
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
    tls: Option<TlsSource>,
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

crate::api::settings::setters!(SessionBuilder);

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

    /// Credentials of every request that brings none (SPEC S6).
    pub fn auth(mut self, auth: impl Into<Auth>) -> Self {
        self.auth = Some(auth.into());
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

    /// TLS settings of all requests of this session, instead of the connector's
    /// (SPEC S24). A request's own go before them. Sessions with different
    /// settings share no connection, whatever connector they share.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: &TlsConfig) -> Self {
        self.tls = Some(tls.source());
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
        let tls = self.tls.unwrap_or_else(|| connector.tls().clone());
        let context = Context::new(tls, cookies);
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

    fn set(&mut self) -> &mut Settings {
        &mut self.settings
    }
}
