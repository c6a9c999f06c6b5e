//! Proxies as a program sets them up (SPEC §6.5): which one a URL is reached
//! through, and what that one is told. How it is spoken to is the business of
//! the connection, and what a request has to do with it that of the call.
//!
//! ```text
//! Proxy ── rules: the first one for the URL's scheme ──┬─ covered by its NoProxy ──▶ direct
//!   ▲                                                  ├─ a server ───────────────▶ Server
//!   └────────── another set, or nothing: direct ◀──────┴─ a function of the program's
//! ```

mod environment;
mod no_proxy;
mod rules;
mod server;

use std::env;
use std::fmt;
use std::sync::Arc;

use http::header::{HeaderName, HeaderValue};
use url::Url;

pub use self::no_proxy::NoProxy;
use self::rules::{Rule, To};
#[cfg(feature = "tls")]
pub(crate) use self::server::ClientSource;
pub(crate) use self::server::{Kind, Server};
use crate::auth::Auth;
use crate::error::Error;

/// A proxy, or a set of rules that say which one a URL is reached through
/// (SPEC X1). A session has one by
/// [`proxy`](crate::SessionBuilder::proxy), a request another one by
/// [`its own`](crate::RequestBuilder::proxy).
///
/// ```no_run
/// use miohttp::{NoProxy, Proxy, Session};
///
/// let proxy = Proxy::all("http://user:secret@proxy.example.com:3128")?
///     .no_proxy(NoProxy::parse("localhost, .example.com, 10.0.0.0/8")?);
/// let session = Session::builder().proxy(proxy).build();
/// let text = session.get("https://example.org/").send()?.text()?;
/// # drop(text);
/// # Ok::<(), miohttp::Error>(())
/// ```
///
/// # Kinds
///
/// | URL | what it is | names are resolved by | default port |
/// |---|---|---|---|
/// | `http://host:port`, `host:port` | an HTTP proxy | the proxy | 80 |
/// | `https://host:port` | the same, spoken to over TLS | the proxy | 443 |
/// | `socks4://host:port` | SOCKS 4, for IPv4 alone | this program | 1080 |
/// | `socks4a://host:port` | SOCKS 4a | the proxy | 1080 |
/// | `socks5://host:port`, `socks://host:port` | SOCKS 5 (RFC 1928) | this program | 1080 |
/// | `socks5h://host:port` | SOCKS 5 | the proxy | 1080 |
///
/// A URL without a scheme is one of an HTTP proxy, on port 80 if it has no port
/// (curl takes 1080 there). A scheme whose `://` is not whole, as in `http:/host`, is
/// an error. `socks` is what GNOME writes into the environment for a proxy of any
/// version, and means `socks5` here (curl takes it for `socks4`). User name and password
/// in it are credentials for the proxy, percent-decoded (SPEC X3). A path is ignored, as curl has it; a query
/// or a fragment is an error, since most often it is a password with a `?` or a
/// `#` that should have been written `%3F` or `%23`.
///
/// # What a proxy is told
///
/// A request for `http` goes to an HTTP proxy as it is, with the whole URL in
/// its first line, the proxy's [headers](Self::header) and credentials beside its own (SPEC
/// X2). One for `https`, and every WebSocket, goes through a tunnel: the proxy is asked
/// by `CONNECT` for a connection to the host and sees nothing of what goes over it. That
/// `CONNECT` has the host, the proxy's own headers and credentials, and nothing
/// of the session's or the request's: no cookie, no token, no `User-Agent`
/// (SPEC X5). [`tunnel`](Self::tunnel) makes tunnels for `http`, too. A SOCKS proxy is
/// told host and port.
///
/// The credentials of a proxy go to that proxy alone, whatever redirects say. A
/// `Proxy-Authorization` header among the request's own goes to the proxy with
/// the whole URL in the first line, in place of the proxy's credentials. A redirect
/// to another origin drops it, and so does one that leads another way: through
/// another proxy, to the same one under other credentials, past it, or to one where
/// there was none before. And it is left out where the request goes through a tunnel or,
/// by a rule or for want of one, to its host directly, for who answers there must not
/// see it. That holds where proxies are spoken of at all: by `proxy`, `no_proxy` or
/// `trust_env`. In a session and a request that have none of these it is a header like
/// any other.
///
/// # Failures
///
/// A proxy that cannot be reached, or that refuses or garbles a SOCKS request, is
/// an error of kind [`ProxyConnect`](crate::Kind::ProxyConnect); a `CONNECT` that
/// is answered by another status than 2xx is one of kind
/// [`ProxyRefused`](crate::Kind::ProxyRefused), with that status, its headers and
/// the start of its body (SPEC X4). To a request that goes to the proxy as it is
/// the proxy's answer is a response like any other.
///
/// Clones share what a proxy has asked for ([`auth`](Self::auth)). `Debug` shows
/// no credentials.
#[derive(Clone)]
#[must_use]
pub struct Proxy {
    /// The first that is for a URL decides.
    rules: Arc<Vec<Rule>>,
}

impl Proxy {
    /// This proxy for every URL.
    ///
    /// # Errors
    /// [`Kind::InvalidUrl`](crate::Kind::InvalidUrl): the text is no URL, has no
    /// host, a query or a fragment, a scheme of no proxy, or one without its `://`.
    /// None of the text is repeated.
    pub fn all(url: impl AsRef<str>) -> Result<Self, Error> {
        Ok(Self::of(Rule::new(
            rules::ALL,
            Server::parse(url.as_ref())?,
        )))
    }

    /// This proxy for `http` and `ws` URLs; others are reached directly, or as
    /// [`or`](Self::or) says.
    ///
    /// ```
    /// use miohttp::Proxy;
    ///
    /// let proxy = Proxy::http("proxy.example.com:3128")?.or(Proxy::https("socks5h://[::1]")?);
    /// # drop(proxy);
    /// # Ok::<(), miohttp::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`all`](Self::all).
    pub fn http(url: impl AsRef<str>) -> Result<Self, Error> {
        Ok(Self::of(Rule::new(
            rules::HTTP,
            Server::parse(url.as_ref())?,
        )))
    }

    /// This proxy for `https` and `wss` URLs; others are reached directly, or as
    /// [`or`](Self::or) says.
    ///
    /// # Errors
    /// Those of [`all`](Self::all).
    pub fn https(url: impl AsRef<str>) -> Result<Self, Error> {
        Ok(Self::of(Rule::new(
            rules::HTTPS,
            Server::parse(url.as_ref())?,
        )))
    }

    /// The proxy that this says for a URL; `None` is none. Given the URL without
    /// credentials, of a WebSocket with the scheme `ws` or `wss`, once for each request and once more for each redirect.
    ///
    /// It runs on the thread that sends the request or waits for it, never on the
    /// connector's, so with one a started request makes its redirects while
    /// somebody waits for it. What it gives is as it is: the settings of this
    /// value do not go over to it, but for [`no_proxy`](Self::no_proxy), which
    /// goes first. Make the proxies before and give clones, or what one of them
    /// has asked for is forgotten each time.
    ///
    /// ```
    /// use miohttp::{Proxy, Session};
    ///
    /// let lab = Proxy::all("http://gate.lab.example:3128")?;
    /// let proxy = Proxy::by(move |url| {
    ///     let is_lab = url.host_str().is_some_and(|host| host.ends_with(".lab.example"));
    ///     is_lab.then(|| lab.clone())
    /// });
    /// let session = Session::builder().proxy(proxy).build();
    /// # drop(session);
    /// # Ok::<(), miohttp::Error>(())
    /// ```
    pub fn by(choose: impl Fn(&Url) -> Option<Self> + Send + Sync + 'static) -> Self {
        Self::of(Rule::by(Arc::new(choose)))
    }

    /// What the environment says, read now (SPEC X6). A session has the same by
    /// [`trust_env`](crate::SessionBuilder::trust_env).
    ///
    /// | variable | what it is |
    /// |---|---|
    /// | `http_proxy` | the proxy for `http`, and for `ws` |
    /// | `https_proxy` | the proxy for `https`, and for `wss` |
    /// | `ws_proxy`, `wss_proxy` | the proxy for these instead |
    /// | `all_proxy` | the proxy for what has none of these |
    /// | `no_proxy` | hosts without a proxy: a list as [`NoProxy`] has it |
    ///
    /// The names are looked for in lower case, then in upper case; one that is
    /// set and empty counts as not set. `HTTP_PROXY` is ignored where
    /// `REQUEST_METHOD` is set, for there it is the header `Proxy` of a request to
    /// a CGI program (httpoxy, CVE-2016-5385); so is `http_proxy` there where names
    /// have no case, as on Windows. Values are URLs as
    /// [`all`](Self::all) takes them. A value that is none is an error of every
    /// request it is for, which names the variable and not its value. An entry of
    /// the list that can cover no host is a warning in the log.
    ///
    /// Where nothing is set everything is reached directly. A list that is set
    /// here goes in place of the environment's:
    ///
    /// ```
    /// use miohttp::{NoProxy, Proxy};
    ///
    /// let proxy = Proxy::from_env().no_proxy(NoProxy::parse("localhost")?);
    /// # drop(proxy);
    /// # Ok::<(), miohttp::Error>(())
    /// ```
    pub fn from_env() -> Self {
        Self::with(environment::read(|name| env::var_os(name)))
    }

    /// No proxy for anything.
    pub(crate) fn none() -> Self {
        Self::with(Vec::new())
    }

    /// These rules, and `other` for the schemes that they are not for. A host that
    /// [`no_proxy`](Self::no_proxy) covers is reached directly and does not fall
    /// to `other`.
    pub fn or(mut self, other: Self) -> Self {
        self.rules_mut().extend(other.rules.iter().cloned());
        self
    }

    /// Credentials for the proxy, in place of those in its URL (SPEC X3): a login
    /// and its password, an [`Auth`], or a `DigestAuth`. An HTTP proxy takes all of them, a SOCKS
    /// proxy a login and a password alone (SOCKS 4 the login), anything else is
    /// an error at the verb.
    ///
    /// Basic and bearer credentials go with the first request. Digest answers
    /// the proxy's `407`, once (and once more if the nonce was used up by then),
    /// for requests as for tunnels; all clones remember what was asked for, and
    /// answer at once the next time. A body is sent again for that, as for a
    /// `401`. Credentials of that kind are for one server: do not use the same
    /// value for two proxies, or for a proxy and an origin.
    ///
    /// ```
    /// use miohttp::Proxy;
    ///
    /// let proxy = Proxy::all("https://proxy.example.com")?.auth(("user", "secret"));
    /// # drop(proxy);
    /// # Ok::<(), miohttp::Error>(())
    /// ```
    pub fn auth(self, auth: impl Into<Auth>) -> Self {
        let auth = auth.into();
        self.each_server(|server| server.set_auth(auth.clone()))
    }

    /// Adds a header for the proxy alone (SPEC X5): it stands on each `CONNECT`,
    /// or beside a request that goes to the proxy as it is, unless the request
    /// has one of that name itself. Never sent to an origin; SOCKS has no headers.
    ///
    /// An invalid name or value, `Host`, `Connection`, `Expect`, `Upgrade` and what says
    /// how a body is framed are an error at the verb; so is a
    /// `Proxy-Authorization` beside credentials.
    pub fn header<N, V>(self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        V: TryInto<HeaderValue>,
    {
        let field = match (name.try_into(), value.try_into()) {
            (Ok(name), Ok(value)) => Some((name, value)),
            _ => None,
        };
        self.each_server(|server| server.add_field(field.clone()))
    }

    /// Hosts that are reached without a proxy (SPEC X7), in place of a list that
    /// was set before, the environment's included.
    pub fn no_proxy(mut self, hosts: NoProxy) -> Self {
        let hosts = Arc::new(hosts);
        for rule in self.rules_mut() {
            rule.no_proxy = Some(Arc::clone(&hosts));
        }
        self
    }

    /// Whether an HTTP proxy is asked for a tunnel by `CONNECT` for `http` URLs,
    /// too (SPEC X2). Default false. It then sees host and port of them and
    /// nothing else by itself; what is not encrypted can still be read by it. Many
    /// proxies allow tunnels to port 443 alone.
    pub fn tunnel(self, tunnel: bool) -> Self {
        self.each_server(|server| server.tunnel = tunnel)
    }

    /// Where the TLS settings towards `https` proxies come from.
    #[cfg(feature = "tls")]
    pub(crate) fn client(self, source: &ClientSource) -> Self {
        self.each_server(|server| server.client = Some(Arc::clone(source)))
    }

    /// The server that this URL is reached through, if it is by any.
    ///
    /// # Errors
    /// It cannot be used; or the program's functions lead in circles.
    pub(crate) fn choose(&self, url: &Url) -> Result<Option<Arc<Server>>, Error> {
        rules::choose(self, url)
    }

    /// Whether the program's own code is asked.
    pub(crate) fn is_custom(&self) -> bool {
        self.rules.iter().any(Rule::is_custom)
    }

    /// Whether a server has credentials that it has to ask for.
    pub(crate) fn asks(&self) -> bool {
        let mut servers = self.rules.iter().filter_map(Rule::server);
        servers.any(|server| server.asked().is_some())
    }

    fn of(rule: Rule) -> Self {
        Self::with(vec![rule])
    }

    fn with(rules: Vec<Rule>) -> Self {
        Self {
            rules: Arc::new(rules),
        }
    }

    fn rules_mut(&mut self) -> &mut Vec<Rule> {
        Arc::make_mut(&mut self.rules)
    }

    fn each_server(mut self, mut change: impl FnMut(&mut Server)) -> Self {
        for rule in self.rules_mut() {
            if let To::Server(server) = &mut rule.to {
                change(Arc::make_mut(server));
            }
        }
        self
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proxy")?;
        f.debug_list().entries(self.rules.iter()).finish()
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
