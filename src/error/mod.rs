//! One error for everything that can go wrong (SPEC §13).
//!
//! An [`Error`] is one word wide, cheap to clone, and says what happened
//! ([`Error::kind`]), when ([`Error::phase`]), for which URL (credentials
//! stripped) and why (its [`source`](std::error::Error::source) chain).

mod fingerprint;
mod kind;
mod make;

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use url::Url;

pub use self::fingerprint::{Fingerprints, Pin};
pub use self::kind::{Kind, Phase, Timeout};
#[cfg(feature = "websocket")]
pub(crate) use self::make::as_websocket;
pub(crate) use self::make::without_credentials;
use crate::head::Hop;
use crate::job::{RequestInfo, Stats};

type Source = Arc<dyn StdError + Send + Sync + 'static>;

/// The one error of this crate.
///
/// `Display` prints one level; the alternate form `{:#}` prints the whole
/// chain of causes on one line. Neither shows credentials.
///
/// ```
/// let error = miohttp::Session::new().get("http://user:secret@[bad").send().unwrap_err();
/// assert_eq!(error.kind(), miohttp::Kind::InvalidUrl);
/// assert!(!format!("{error:#}").contains("secret"));
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: Kind,
    message: Cow<'static, str>,
    phase: Option<Phase>,
    /// Where the request stood when its total limit passed.
    during: Option<Phase>,
    timeout: Option<(Timeout, Option<Duration>)>,
    url: Option<Url>,
    peer: Option<SocketAddr>,
    /// Of a Unix socket.
    path: Option<Arc<Path>>,
    /// The network cut a body short; of all payload faults this one alone may
    /// pass.
    broken_off: bool,
    /// The proxy could not be reached, or could not reach the origin.
    may_pass: bool,
    /// The source of the request body failed, and not the network.
    of_source: bool,
    history: Arc<[Hop]>,
    response: Option<Arc<ErrorResponse>>,
    request: Option<Arc<RequestInfo>>,
    stats: Option<Stats>,
    fingerprints: Option<Arc<Fingerprints>>,
    source: Option<Source>,
}

/// What an error keeps of the response that caused it.
#[derive(Clone)]
pub(crate) struct ErrorResponse {
    pub(crate) status: StatusCode,
    pub(crate) reason: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Error {
    /// The class of the failure.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// What the request was doing when it failed. For the total limit this is
    /// [`Phase::Total`]; the message then names the stage it stood in.
    pub fn phase(&self) -> Option<Phase> {
        self.0.phase
    }

    /// Which limit passed, if this is a timeout.
    pub fn timeout(&self) -> Option<Timeout> {
        self.0.timeout.map(|(which, _)| which)
    }

    /// The URL of the exchange that failed, without user name and password.
    pub fn url(&self) -> Option<&Url> {
        self.0.url.as_ref()
    }

    /// The address of the peer, once one was connected; what
    /// [`Response::remote_addr`](crate::Response::remote_addr) is of a response.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.0.peer
    }

    /// The path of the Unix socket that the request was to go over (SPEC U1): to
    /// which it could not connect, or over which it failed. An abstract name
    /// stands behind an `@`.
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// The status of the response behind this error, if there was one.
    pub fn status(&self) -> Option<StatusCode> {
        self.0.response.as_ref().map(|r| r.status)
    }

    /// The reason phrase of the response behind this error.
    pub fn reason(&self) -> Option<&str> {
        self.0.response.as_ref().map(|r| r.reason.as_str())
    }

    /// The headers of the response behind this error.
    pub fn headers(&self) -> Option<&HeaderMap> {
        self.0.response.as_ref().map(|r| &r.headers)
    }

    /// The first bytes (64 KiB at most) of the body of a response that
    /// [`error_for_status`](crate::Response::error_for_status) turned into
    /// this error (SPEC R22), or `json_strict`, or that is no answer to a WebSocket's
    /// handshake (SPEC W9); decoded if the response would have been.
    pub fn body(&self) -> Option<&[u8]> {
        self.0.response.as_ref().map(|r| &r.body[..])
    }

    /// The redirects that were followed before this happened, oldest first
    /// (SPEC R7).
    pub fn history(&self) -> &[Hop] {
        &self.0.history
    }

    /// What was sent, or would have been next: `None` for a request that was
    /// refused at the verb (SPEC R8, A1).
    pub fn request_info(&self) -> Option<&RequestInfo> {
        self.0.request.as_deref()
    }

    /// What the request had cost until it failed (SPEC R10); all zero for one
    /// that was refused at the verb.
    pub fn stats(&self) -> Stats {
        self.0.stats.unwrap_or_default()
    }

    /// The pins that were expected and what the server showed in their place, of
    /// an error of kind [`Fingerprint`](Kind::Fingerprint) (SPEC C21).
    pub fn fingerprints(&self) -> Option<&Fingerprints> {
        self.0.fingerprints.as_deref()
    }

    /// The caller's mistake: a bad URL or a request that may not be sent.
    pub fn is_request(&self) -> bool {
        matches!(self.kind(), Kind::InvalidUrl | Kind::InvalidRequest)
    }

    /// A redirect that cannot or may not be followed.
    pub fn is_redirect(&self) -> bool {
        matches!(self.kind(), Kind::TooManyRedirects | Kind::BadRedirect)
    }

    /// The server answered, with an answer that is an error.
    pub fn is_response(&self) -> bool {
        matches!(
            self.kind(),
            Kind::Status | Kind::ContentType | Kind::WsHandshake
        )
    }

    /// No connection came about: the name, the address, the proxy, TLS, or a limit
    /// on these.
    pub fn is_connect(&self) -> bool {
        match self.kind() {
            Kind::Dns | Kind::Connect | Kind::ProxyConnect | Kind::Blocked => true,
            Kind::Tls | Kind::Certificate | Kind::Fingerprint => self.0.phase == Some(Phase::Tls),
            Kind::Timeout => matches!(
                self.timeout(),
                Some(
                    Timeout::Connect
                        | Timeout::SockConnect
                        | Timeout::PoolWait
                        | Timeout::Dns
                        | Timeout::Tls
                )
            ),
            _ => false,
        }
    }

    /// No connection came about because of the proxy: it cannot be reached, or
    /// refused. A limit that passed meanwhile is not among them, nor its name.
    pub fn is_proxy(&self) -> bool {
        matches!(self.kind(), Kind::ProxyConnect | Kind::ProxyRefused)
    }

    /// TLS failed, the certificate and pins of it included.
    pub fn is_tls(&self) -> bool {
        matches!(
            self.kind(),
            Kind::Tls | Kind::Certificate | Kind::Fingerprint
        )
    }

    /// An open connection failed.
    pub fn is_connection(&self) -> bool {
        match self.kind() {
            Kind::Disconnected => true,
            Kind::Io => !self.0.of_source,
            _ => false,
        }
    }

    /// A time limit passed.
    pub fn is_timeout(&self) -> bool {
        self.kind() == Kind::Timeout
    }

    /// The body is damaged or incomplete.
    pub fn is_payload(&self) -> bool {
        self.kind() == Kind::Payload
    }

    /// The body is not the text or JSON that was asked for.
    pub fn is_decode(&self) -> bool {
        self.kind() == Kind::Decode
    }

    /// What came over a WebSocket is against its rules, or not what was asked for
    /// (SPEC W8, W12, W13).
    pub fn is_websocket(&self) -> bool {
        self.kind() == Kind::WebSocket
    }

    /// Whether the same request may fare better later: a fault of the network
    /// or of timing, not of the request. A body that broke off is among them, a
    /// damaged one is not. Says nothing on whether the server has acted on the
    /// first one.
    pub fn is_retryable(&self) -> bool {
        match self.kind() {
            Kind::Io => !self.0.of_source,
            Kind::Dns | Kind::Connect | Kind::Disconnected | Kind::Timeout => true,
            Kind::Payload => self.0.broken_off,
            Kind::ProxyConnect => self.0.may_pass,
            Kind::Status | Kind::ProxyRefused | Kind::WsHandshake => self
                .status()
                .is_some_and(|s| matches!(s.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504)),
            _ => false,
        }
    }
}

impl fmt::Debug for ErrorResponse {
    // Headers and body may hold cookies and tokens, so they are not printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ErrorResponse")
            .field("status", &self.status)
            .field("headers", &self.headers.len())
            .field("body", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        f.write_str(&inner.message)?;
        if let Some((which, limit)) = inner.timeout {
            if let Some(limit) = limit {
                write!(f, " after {limit:?}")?;
            }
            write!(f, " ({which} limit)")?;
        }
        if let Some(phase) = inner.during.or(inner.phase) {
            write!(f, " while {phase}")?;
        }
        if let Some(url) = &inner.url {
            write!(f, " [{url}]")?;
        }
        if f.alternate() {
            let mut cause = StdError::source(self);
            while let Some(error) = cause {
                write!(f, ": {error}")?;
                cause = error.source();
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        let mut debug = f.debug_struct("Error");
        debug
            .field("kind", &inner.kind)
            .field("message", &inner.message);
        if let Some(phase) = inner.phase {
            debug.field("phase", &phase);
        }
        if let Some((which, limit)) = inner.timeout {
            debug.field("timeout", &which).field("limit", &limit);
        }
        if let Some(url) = &inner.url {
            debug.field("url", &url.as_str());
        }
        if let Some(peer) = inner.peer {
            debug.field("peer", &peer);
        }
        if let Some(path) = &inner.path {
            debug.field("path", path);
        }
        if let Some(response) = &inner.response {
            debug.field("status", &response.status);
        }
        if let Some(source) = &inner.source {
            debug.field("source", source);
        }
        debug.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|s| s as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests;
