//! One proxy: where it is, and what it is told.

use std::fmt;
use std::sync::Arc;

use http::HeaderValue;
use http::header::{HOST, HeaderName, PROXY_AUTHORIZATION};
use url::{Host, Url};

use crate::auth::{Asked, Auth, BasicAuth};
use crate::error::{Error, Kind as ErrorKind, Phase};
use crate::head::Fields;
use crate::tls::Client;

#[derive(Clone)]
pub(crate) struct Server {
    kind: Kind,
    /// Without brackets.
    host: Box<str>,
    port: u16,
    /// The same as a URL, which an HTTP proxy's credentials are bound to. Of
    /// SOCKS, too, where its scheme is a lie that nobody is told.
    url: Url,
    credentials: Option<Credentials>,
    fields: Fields,
    /// A header that cannot be sent.
    mistake: Option<&'static str>,
    pub(super) tunnel: bool,
    pub(super) client: Option<ClientSource>,
}

/// What is spoken with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Http,
    /// HTTP over TLS.
    Https,
    Socks4 {
        remote_dns: bool,
    },
    Socks5 {
        remote_dns: bool,
    },
}

/// Gives the TLS client for a proxy that has settings of its own.
pub(crate) type ClientSource = Arc<dyn Fn() -> Result<Client, Error> + Send + Sync>;

#[derive(Clone)]
enum Credentials {
    Url(BasicAuth),
    Given(Auth),
}

/// Login and password, as a SOCKS proxy is told them.
pub(crate) type Login = (Box<[u8]>, Box<[u8]>);

/// SOCKS says the length of a login and a password in a byte each (RFC 1929 §2).
const MAX_LOGIN: usize = 255;

impl Server {
    /// # Errors
    /// The text is no proxy's URL. None of it is repeated, for it may hold a
    /// password anywhere.
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let (scheme, rest) = match text.split_once("://") {
            Some(parts) => parts,
            None if lacks_slashes(text) => {
                return Err(refused(
                    "the proxy's URL has no \"://\" behind its scheme; without a scheme it is \
                     host:port",
                ));
            }
            None => ("http", text),
        };
        let kind = Kind::of(scheme).ok_or_else(|| {
            refused(
                "the proxy's URL has none of the schemes http, https, socks4, socks4a, socks5 \
                 and socks5h",
            )
        })?;
        // Hosts of schemes that the URL Standard does not know are not read as
        // such, and the port that is a scheme's own is not kept. So it is read
        // as both that are known: one of them kept the port, if there was one.
        let read = |scheme: &str| {
            Url::parse(&format!("{scheme}://{rest}"))
                .map_err(|error| refused("the proxy's URL cannot be parsed").with_source(error))
        };
        let url = read("http")?;
        let port = match url.port() {
            Some(port) => port,
            None => read("https")?.port().unwrap_or(kind.port()),
        };
        if url.query().is_some() || url.fragment().is_some() {
            return Err(refused(
                "the proxy's URL has a query or a fragment; a `?` or `#` in a password is \
                 written %3F or %23",
            ));
        }
        // `user:1/2@host`: a password again, and the host would be `user`.
        if url.path().contains('@') {
            return Err(refused(
                "the proxy's URL has an `@` in its path; a `/` in a password is written %2F",
            ));
        }
        let host = match url.host() {
            Some(Host::Ipv6(address)) => address.to_string(),
            Some(host) => host.to_string(),
            None => return Err(refused("the proxy's URL has no host")),
        };
        if port == 0 {
            return Err(refused("the proxy's URL has the port 0"));
        }
        Ok(Self {
            kind,
            url: kind.url(&url, port)?,
            host: host.into(),
            port,
            credentials: BasicAuth::from_url(&url).map(Credentials::Url),
            fields: Fields::default(),
            mistake: None,
            tunnel: false,
            client: None,
        })
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// A name, or an IP address without brackets.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// What an HTTP proxy's credentials are bound to.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// Whether a request for this URL goes to it as it is, and not through a
    /// tunnel (SPEC X2).
    pub(crate) fn forwards(&self, url: &Url) -> bool {
        let speaks_http = matches!(self.kind, Kind::Http | Kind::Https);
        speaks_http && !self.tunnel && url.scheme() == "http"
    }

    /// The fields of its own.
    pub(crate) fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Its `Proxy-Authorization`, where that is known beforehand.
    ///
    /// # Errors
    /// The credentials cannot be sent.
    pub(crate) fn authorization(&self) -> Result<Option<HeaderValue>, Error> {
        match &self.credentials {
            None => Ok(None),
            Some(Credentials::Url(basic)) => basic.encode().map(Some),
            Some(Credentials::Given(auth)) => auth.header(),
        }
    }

    /// Credentials that it has to ask for.
    pub(crate) fn asked(&self) -> Option<&Asked> {
        match &self.credentials {
            Some(Credentials::Given(auth)) => auth.asked(),
            _ => None,
        }
    }

    /// Login and password for SOCKS.
    ///
    /// # Errors
    /// They are none, or cannot be said there.
    pub(crate) fn login(&self) -> Result<Option<Login>, Error> {
        let bytes = |text: &str| Box::from(text.as_bytes());
        let (login, password): Login = match &self.credentials {
            None => return Ok(None),
            Some(Credentials::Url(basic)) => (bytes(basic.login()), bytes(basic.password())),
            Some(Credentials::Given(auth)) => match auth.login()? {
                Some((login, password)) => (login.into(), password.into()),
                None => {
                    return Err(Error::invalid_request(
                        "a SOCKS proxy takes a login and a password, and no other credentials",
                    ));
                }
            },
        };
        if login.len() > MAX_LOGIN || password.len() > MAX_LOGIN {
            return Err(Error::invalid_request(
                "login or password for a SOCKS proxy have more than 255 bytes",
            ));
        }
        if let Kind::Socks4 { .. } = self.kind {
            if !password.is_empty() {
                return Err(Error::invalid_request(
                    "SOCKS 4 knows a login and no password",
                ));
            }
            if login.contains(&0) {
                return Err(Error::invalid_request("a login for SOCKS 4 holds a NUL"));
            }
        }
        Ok(Some((login, password)))
    }

    /// Whether it is the same one, asked by the same: kind, place and credentials.
    pub(crate) fn is(&self, other: &Self) -> bool {
        let who = |server: &Self| {
            let known = server.authorization().ok().flatten();
            (known, server.asked().map(Asked::id))
        };
        (self.kind, &self.host, self.port) == (other.kind, &other.host, other.port)
            && who(self) == who(other)
    }

    /// Its own TLS settings, if it has any.
    pub(crate) fn client(&self) -> Option<&ClientSource> {
        self.client.as_ref()
    }

    pub(super) fn set_auth(&mut self, auth: Auth) {
        self.credentials = Some(Credentials::Given(auth));
    }

    /// `None` is one that cannot be sent.
    pub(super) fn add_field(&mut self, field: Option<(HeaderName, HeaderValue)>) {
        match field {
            Some((name, value)) if !is_of_the_connection(&name) => self.fields.append(name, value),
            Some((HOST, _)) => self.mistaken("the host of a request to a proxy is its target's"),
            Some(_) => self.mistaken("a proxy's header is one of the connection or of the body"),
            None => self.mistaken("a proxy's header has an invalid name or value"),
        }
    }

    fn mistaken(&mut self, mistake: &'static str) {
        self.mistake.get_or_insert(mistake);
    }

    /// Why nothing can be sent to it.
    pub(super) fn mistake(&self) -> Option<Error> {
        let is_twice =
            self.credentials.is_some() && self.fields.contains(PROXY_AUTHORIZATION.as_str());
        let twice = "credentials for the proxy are given twice: as such, and as a header";
        let mistake = self.mistake.or(is_twice.then_some(twice))?;
        Some(Error::invalid_request(mistake))
    }
}

impl Kind {
    fn of(scheme: &str) -> Option<Self> {
        Some(match scheme.to_ascii_lowercase().as_str() {
            "http" => Self::Http,
            "https" => Self::Https,
            "socks4" => Self::Socks4 { remote_dns: false },
            "socks4a" => Self::Socks4 { remote_dns: true },
            // The second is how GNOME writes it into the environment.
            "socks5" | "socks" => Self::Socks5 { remote_dns: false },
            "socks5h" => Self::Socks5 { remote_dns: true },
            _ => return None,
        })
    }

    fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
            Self::Socks4 { .. } | Self::Socks5 { .. } => 1080,
        }
    }

    fn scheme(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Socks4 { remote_dns: false } => "socks4",
            Self::Socks4 { remote_dns: true } => "socks4a",
            Self::Socks5 { remote_dns: false } => "socks5",
            Self::Socks5 { remote_dns: true } => "socks5h",
        }
    }

    /// Host and port of `url`, and nothing else of it.
    fn url(self, url: &Url, port: u16) -> Result<Url, Error> {
        let scheme = match self {
            Self::Https => "https",
            _ => "http",
        };
        let host = url.host_str().unwrap_or_default();
        Url::parse(&format!("{scheme}://{host}:{port}/"))
            .map_err(|error| refused("the proxy's URL cannot be parsed").with_source(error))
    }
}

/// Whether it begins with what is meant as a scheme, and is followed by one slash
/// or none: read as a host that would be another than the one that is meant. A
/// host may well be called `http`, if a port follows, and so may a login.
fn lacks_slashes(text: &str) -> bool {
    // Of the brackets of an IPv6 address no colon is behind a scheme.
    let Some((name, rest)) = text.split_once(':').filter(|_| !text.starts_with('[')) else {
        return false;
    };
    let port = rest.split('/').next().unwrap_or_default();
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    rest.starts_with('/') || (Kind::of(name).is_some() && !is_port && !rest.contains('@'))
}

fn refused(message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidUrl, message).with_phase(Phase::Request)
}

/// What a program may not say by itself: it belongs to the message or to the
/// connection it goes over.
fn is_of_the_connection(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "host" | "connection" | "content-length" | "transfer-encoding" | "expect" | "upgrade"
    )
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.url.host_str().unwrap_or_default();
        write!(f, "{}://{host}:{}", self.kind.scheme(), self.port)
    }
}
