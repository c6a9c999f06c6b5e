//! Building a [`Session`].

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use url::Url;

use super::{Inner, Session};
use crate::api::connector::Connector;
#[cfg(feature = "tls")]
use crate::api::tls::TlsConfig;
use crate::api::url::{IntoUrl, Known};
use crate::auth::Netrc;
use crate::call::{Auth, Context, CookieStore, Cookies, Hsts, Proxies, Settings, TlsSource};
#[cfg(feature = "cookies")]
use crate::cookie::CookieJar;
use crate::error::{Error, Kind, Phase, without_credentials};
use crate::head::Fields;
use crate::proxy::Proxy;

/// Writes a JSON body: see [`SessionBuilder::json_serializer`].
#[cfg(feature = "json")]
pub type JsonSerializer =
    fn(&serde_json::Value) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>>;

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
/// | `charset_fallback` | UTF-8 |
/// | `error_for_status` | false |
/// | `requote_redirect_url` | true |
/// | `retry_stale`, `retry` | true, none |
/// | `read_buffer` | 256 KiB |
/// | `max_status_line`, `max_header_field`, `max_header_count` | 8190, 8190, 128 |
/// | `cookie`, `cookie_for` | none |
/// | cookies | kept in a jar of its own |
/// | `proxy` | none; with `trust_env` the environment's |
/// | `base_url`, `trust_env` | none, false |
/// | `netrc` | none; with `trust_env` the user's own |
/// | `hsts` | none |
#[derive(Debug, Default)]
#[must_use]
pub struct SessionBuilder {
    connector: Option<Connector>,
    settings: Settings,
    fields: Fields,
    auth: Option<Auth>,
    tls: Option<TlsSource>,
    base: Option<Url>,
    /// S15: what reads the proxies of the environment, unless everything goes to
    /// one address. Here because whoever does not trust it is not to carry that
    /// along.
    trust_env: Option<fn(bool) -> Proxies>,
    netrc: Option<Netrc>,
    pub(super) hsts: Hsts,
    #[cfg(feature = "json")]
    json_serializer: Option<JsonSerializer>,
    mistake: Option<Error>,
    /// A jar of its own, unless something is said.
    cookies: Option<Cookies>,
    #[cfg(feature = "cookies")]
    pub(super) seeds: super::cookies::Seeds,
}

crate::api::rates::setters!(SessionBuilder);
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
                self.mistaken(mistake);
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

    /// What relative URLs are joined to, as RFC 3986 §5 has it (SPEC S17): with
    /// `http://example.com/api/` the text `users` is
    /// `http://example.com/api/users`, and `/users` is
    /// `http://example.com/users`. Requests may still go elsewhere by an absolute
    /// URL, but what [`auth`](Self::auth) has set is then only for the origin
    /// of this one (SPEC S6). Credentials in it are taken for what
    /// `auth` would set. Redirects are joined to where they come from.
    ///
    /// A base without a host, not of http or https, or whose path does not end
    /// in `/` is an error of kind [`InvalidUrl`](crate::Kind::InvalidUrl) of
    /// every request; credentials in it beside [`auth`](Self::auth) are one of
    /// kind [`InvalidRequest`](crate::Kind::InvalidRequest).
    ///
    /// ```
    /// use miohttp::Session;
    ///
    /// let session = Session::builder().base_url("http://example.com/api/").build();
    /// let request = session.get("users/7");
    /// # drop(request);
    /// ```
    pub fn base_url(mut self, url: impl IntoUrl) -> Self {
        match url.into_url(&Known::default()) {
            Ok(url) if !url.path().ends_with('/') => {
                let message = "the path of the base URL does not end in a slash";
                let mistake = Error::new(Kind::InvalidUrl, message).with_phase(Phase::Request);
                self.mistaken(mistake.with_url(&url));
            }
            Ok(url) => self.base = Some(url),
            Err(error) => self.mistaken(error),
        }
        self
    }

    /// Whether the environment has a say (SPEC S15). Default false. With true
    /// requests go through the proxies that `http_proxy` and its like name, as
    /// [`Proxy::from_env`] has it, unless [`proxy`](Self::proxy) or
    /// [`no_proxy`](Self::no_proxy) says something else, or the connector leads to
    /// a Unix socket. Whatever it names, and if it names none: a
    /// `Proxy-Authorization` header of the session's or a request's goes to proxies
    /// alone, as [`Proxy`] has it. And
    /// requests without credentials take those that `.netrc` has for their host:
    /// `$NETRC` if that is set, else `.netrc` (on Windows `_netrc`) in the home
    /// directory, as [`netrc`](Self::netrc) would. The environment is looked at
    /// once, when the session is built.
    pub fn trust_env(mut self, trust: bool) -> Self {
        // One without rules, too: it keeps from origins what is meant for proxies.
        self.trust_env = trust.then_some(|has_one_address| {
            Some(Arc::new(match has_one_address {
                true => Proxy::none(),
                false => Proxy::from_env(),
            }))
        });
        self
    }

    /// Takes credentials for requests that have none from this file, by host
    /// (SPEC A6): what the request, its URL and [`auth`](Self::auth) have goes
    /// before it. [`Netrc`] says how the file is read. It is read here, and not
    /// again. That it does not exist is silent; one that cannot be read is a
    /// warning in the log, and is not used. [`netrc_entries`](Self::netrc_entries)
    /// takes one that was read by [`Netrc::load`], which reports both.
    ///
    /// Each redirect to another origin is looked up for its own host. A user name
    /// alone in a URL gets its password from here, too.
    ///
    /// ```
    /// use miohttp::Session;
    ///
    /// let session = Session::builder().netrc("/etc/service/netrc").build();
    /// # drop(session);
    /// ```
    pub fn netrc(self, path: impl AsRef<Path>) -> Self {
        self.netrc_entries(Netrc::load_or_none(path.as_ref()))
    }

    /// The same with what was read before.
    pub fn netrc_entries(mut self, netrc: Netrc) -> Self {
        self.netrc = Some(netrc);
        self
    }

    /// Writes JSON bodies by this instead of by `serde_json` (SPEC S7): what
    /// [`json`](crate::RequestBuilder::json) is given becomes a
    /// [`Value`](serde_json::Value), and that these bytes. Called in `json`, on
    /// its thread; its error is the source of one of kind
    /// [`InvalidRequest`](crate::Kind::InvalidRequest) at the verb.
    ///
    /// ```
    /// use miohttp::Session;
    ///
    /// let session = Session::builder()
    ///     .json_serializer(|value| Ok(serde_json::to_vec_pretty(value)?))
    ///     .build();
    /// # drop(session);
    /// ```
    #[cfg(feature = "json")]
    pub fn json_serializer(mut self, serializer: JsonSerializer) -> Self {
        self.json_serializer = Some(serializer);
        self
    }

    /// Keeps cookies in this jar, which others may share (SPEC S9).
    #[cfg(feature = "cookies")]
    pub fn cookie_jar(mut self, jar: CookieJar) -> Self {
        self.cookies = Some(Cookies::Jar(jar));
        self
    }

    /// Keeps cookies in this store, which is called on the threads that send
    /// requests and wait for them (SPEC S9): see [`CookieStore`].
    pub fn cookie_store(mut self, store: Arc<dyn CookieStore>) -> Self {
        self.cookies = Some(Cookies::Foreign(store));
        self
    }

    /// Keeps no cookies (SPEC S9, K12). Without the feature `cookies` that is the
    /// default.
    pub fn no_cookies(mut self) -> Self {
        self.cookies = Some(Cookies::None);
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
    pub fn build(mut self) -> Session {
        let base = self.take_base();
        let owns_connector = self.connector.is_none();
        let connector = self.connector.unwrap_or_default();
        let cookies = self.cookies.unwrap_or_else(Cookies::own);
        #[cfg(feature = "cookies")]
        let mistake = self.mistake.or(self.seeds.put_into(&cookies).err());
        #[cfg(not(feature = "cookies"))]
        let mistake = self.mistake;
        let mut settings = self.settings;
        settings.force_close = connector.force_close();
        let tls = self.tls.unwrap_or_else(|| connector.tls().clone());
        if let (None, Some(proxies)) = (&settings.proxy, self.trust_env) {
            settings.proxy = proxies(connector.has_one_address());
        }
        let trust_env = self.trust_env.is_some();
        let netrc = match trust_env {
            true => self.netrc.or_else(|| Some(Netrc::of_environment())),
            false => self.netrc,
        };
        let config = connector.config().clone();
        let context = Context::new(Arc::new(settings), tls, cookies, netrc, self.hsts, config);
        Session {
            inner: Arc::new(Inner {
                connector,
                owns_connector,
                closed: AtomicBool::new(false),
                detached: AtomicBool::new(false),
                for_head: OnceLock::new(),
                fields: self.fields,
                auth: self.auth,
                context,
                known: Known::with_base(base),
                trust_env,
                #[cfg(feature = "json")]
                json_serializer: self.json_serializer,
                mistake,
            }),
        }
    }

    pub(super) fn mistaken(&mut self, mistake: Error) {
        self.mistake.get_or_insert(mistake);
    }

    /// The base, and the credentials that stood in it, which then are the
    /// session's.
    fn take_base(&mut self) -> Option<Url> {
        let base = self.base.take()?;
        let Some(auth) = Auth::from_url(&base) else {
            return Some(base);
        };
        if self.auth.is_some() {
            let message = "credentials are given twice: as auth and in the base URL";
            self.mistaken(Error::invalid_request(message));
        }
        self.auth = Some(auth);
        Some(without_credentials(&base))
    }

    fn set(&mut self) -> &mut Settings {
        &mut self.settings
    }
}
