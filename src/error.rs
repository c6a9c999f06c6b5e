//! One error for everything that can go wrong (SPEC §13).
//!
//! An [`Error`] is one word wide, cheap to clone, and says what happened
//! ([`Error::kind`]), when ([`Error::phase`]), for which URL (credentials
//! stripped) and why (its [`source`](std::error::Error::source) chain).

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use url::Url;

use crate::head::Hop;

/// What went wrong, as a class a program can act on.
///
/// New kinds may join; match with a wildcard arm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The URL cannot be parsed, has no host, or has a scheme this client does not speak.
    InvalidUrl,
    /// The request contradicts itself or holds something that may not be sent.
    InvalidRequest,
    /// More redirects than the policy allows.
    TooManyRedirects,
    /// A redirect points where no request can go.
    BadRedirect,
    /// A response status of 400 or above, where that was asked to be an error.
    Status,
    /// The host name could not be resolved.
    Dns,
    /// No connection to any address of the host.
    Connect,
    /// The TLS handshake or a TLS record failed.
    Tls,
    /// The server's certificate is not acceptable.
    Certificate,
    /// The peer closed or reset the connection before the response was whole.
    Disconnected,
    /// The operating system reported a fault on an open connection.
    Io,
    /// The body cannot be written where it should go
    /// ([`copy_to`](crate::Response::copy_to)); the writer's own error is the
    /// source.
    Write,
    /// A time limit passed; [`Error::timeout`] says which.
    Timeout,
    /// The body broke off, or its framing or its coding is damaged.
    Payload,
    /// The body is whole but is not the text or the JSON that was asked for.
    Decode,
    /// The reply is not HTTP as RFC 9112 has it.
    Protocol,
    /// A size limit was passed.
    Limit,
    /// The request body cannot be sent a second time.
    BodyNotReplayable,
    /// The request was cancelled.
    Cancelled,
    /// The session or its connector is closed.
    Closed,
    /// A fault inside this crate, or of the system it runs on (no thread, no descriptor).
    Internal,
}

/// What the request was doing when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Building the request, before anything was sent.
    Request,
    /// Waiting for a free connection slot.
    PoolWait,
    /// Resolving the host name.
    Dns,
    /// Opening the TCP connection.
    Connect,
    /// In the TLS handshake.
    Tls,
    /// Sending the request.
    Send,
    /// Waiting for the response head.
    Head,
    /// Reading the response body.
    Body,
    /// Following a redirect.
    Redirect,
    /// The limit of the whole request passed, wherever it was.
    Total,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Request => "preparing the request",
            Self::PoolWait => "waiting for a connection slot",
            Self::Dns => "resolving the host name",
            Self::Connect => "connecting",
            Self::Tls => "in the TLS handshake",
            Self::Send => "sending the request",
            Self::Head => "waiting for the response head",
            Self::Body => "reading the response body",
            Self::Redirect => "following a redirect",
            Self::Total => "in progress",
        })
    }
}

/// Which time limit passed (SPEC T1 to T4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Timeout {
    /// From the start to the last byte of the body, redirects included.
    Total,
    /// Until a connection is ready: slot, name, TCP and TLS.
    Connect,
    /// One attempt to connect: TCP and TLS.
    SockConnect,
    /// The gap between received bytes.
    SockRead,
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Total => "total",
            Self::Connect => "connect",
            Self::SockConnect => "sock_connect",
            Self::SockRead => "sock_read",
        })
    }
}

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
    /// The network cut a body short; of all payload faults this one alone may
    /// pass.
    broken_off: bool,
    history: Arc<[Hop]>,
    response: Option<Arc<ErrorResponse>>,
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
    /// this error (SPEC R22); decoded if the response would have been.
    pub fn body(&self) -> Option<&[u8]> {
        self.0.response.as_ref().map(|r| &r.body[..])
    }

    /// The redirects that were followed before this happened, oldest first
    /// (SPEC R7).
    pub fn history(&self) -> &[Hop] {
        &self.0.history
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
        matches!(self.kind(), Kind::Status)
    }

    /// No connection came about: the name, the address, TLS, or a limit on these.
    pub fn is_connect(&self) -> bool {
        match self.kind() {
            Kind::Dns | Kind::Connect => true,
            Kind::Tls | Kind::Certificate => self.0.phase == Some(Phase::Tls),
            Kind::Timeout => matches!(
                self.timeout(),
                Some(Timeout::Connect | Timeout::SockConnect)
            ),
            _ => false,
        }
    }

    /// TLS failed, the certificate included.
    pub fn is_tls(&self) -> bool {
        matches!(self.kind(), Kind::Tls | Kind::Certificate)
    }

    /// An open connection failed.
    pub fn is_connection(&self) -> bool {
        matches!(self.kind(), Kind::Disconnected | Kind::Io)
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

    /// Whether the same request may fare better later: a fault of the network
    /// or of timing, not of the request. A body that broke off is among them, a
    /// damaged one is not. Says nothing on whether the server has acted on the
    /// first one.
    pub fn is_retryable(&self) -> bool {
        match self.kind() {
            Kind::Dns | Kind::Connect | Kind::Disconnected | Kind::Io | Kind::Timeout => true,
            Kind::Payload => self.0.broken_off,
            Kind::Status => self
                .status()
                .is_some_and(|s| matches!(s.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504)),
            _ => false,
        }
    }
}

/// Making errors: the layers below fill in what they know. All of it is cold
/// and out of line: there are many places where an error is made, and it
/// happens at few of them.
impl Error {
    pub(crate) fn new(kind: Kind, message: impl Into<Cow<'static, str>>) -> Self {
        Self::saying(kind, message.into())
    }

    #[cold]
    #[inline(never)]
    fn saying(kind: Kind, message: Cow<'static, str>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message,
            phase: None,
            during: None,
            timeout: None,
            url: None,
            peer: None,
            broken_off: false,
            history: Arc::default(),
            response: None,
            source: None,
        }))
    }

    pub(crate) fn invalid_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::InvalidRequest, message).with_phase(Phase::Request)
    }

    /// A limit that passed while the request stood in `during`.
    #[cold]
    pub(crate) fn timed_out(which: Timeout, limit: Option<Duration>, during: Phase) -> Self {
        let mut error = Self::new(Kind::Timeout, "timed out");
        let inner = error.edit();
        inner.timeout = Some((which, limit));
        inner.during = Some(during);
        inner.phase = Some(match which {
            Timeout::Total => Phase::Total,
            _ => during,
        });
        error
    }

    #[cold]
    pub(crate) fn closed() -> Self {
        Self::new(Kind::Closed, "the session or its connector is closed")
    }

    #[cold]
    pub(crate) fn cancelled() -> Self {
        Self::new(Kind::Cancelled, "the request was cancelled")
    }

    pub(crate) fn internal(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Internal, message)
    }

    pub(crate) fn with_source(self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.caused_by(source.into())
    }

    #[cold]
    #[inline(never)]
    fn caused_by(mut self, source: Box<dyn StdError + Send + Sync>) -> Self {
        self.edit().source = Some(Arc::from(source));
        self
    }

    #[cold]
    pub(crate) fn with_phase(mut self, phase: Phase) -> Self {
        self.edit().phase = Some(phase);
        self
    }

    #[cold]
    pub(crate) fn with_peer(mut self, peer: Option<SocketAddr>) -> Self {
        if self.0.peer.is_none() && peer.is_some() {
            self.edit().peer = peer;
        }
        self
    }

    /// Adds the URL unless a layer below knew a better one. A URL without an
    /// authority is never added: nothing in it tells credentials from the rest.
    #[cold]
    pub(crate) fn with_url(mut self, url: &Url) -> Self {
        if self.0.url.is_none() && url.has_authority() {
            self.edit().url = Some(without_credentials(url));
        }
        self
    }

    /// The network cut the body short: [`Error::is_retryable`].
    #[cold]
    pub(crate) fn broken_off(mut self) -> Self {
        self.edit().broken_off = true;
        self
    }

    /// Adds the redirects that were followed, unless they are known already.
    #[cold]
    pub(crate) fn with_history(mut self, history: &Arc<[Hop]>) -> Self {
        if self.0.history.is_empty() && !history.is_empty() {
            self.edit().history = Arc::clone(history);
        }
        self
    }

    #[cold]
    pub(crate) fn with_response(mut self, response: ErrorResponse) -> Self {
        self.edit().response = Some(Arc::new(response));
        self
    }

    #[cold]
    fn edit(&mut self) -> &mut Inner {
        Arc::make_mut(&mut self.0)
    }
}

/// A copy of the URL with neither user name nor password.
pub(crate) fn without_credentials(url: &Url) -> Url {
    let mut url = url.clone();
    // Both fail only for URLs without a host, and those have no credentials:
    // with an `@` before an empty host none is parsed.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
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

/// For `Read` over a body: the error travels inside and can be downcast.
impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            Kind::Timeout => std::io::ErrorKind::TimedOut,
            Kind::Disconnected => std::io::ErrorKind::ConnectionReset,
            Kind::Payload => std::io::ErrorKind::InvalidData,
            _ => std::io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_is_one_level_and_the_alternate_form_is_the_chain() {
        let url = Url::parse("http://user:secret@host.test/path").unwrap();
        let error = Error::new(Kind::Connect, "no connection to 192.0.2.1:80")
            .with_phase(Phase::Connect)
            .with_url(&url)
            .with_source(std::io::Error::from(std::io::ErrorKind::ConnectionRefused));
        assert_eq!(
            error.to_string(),
            "no connection to 192.0.2.1:80 while connecting [http://host.test/path]"
        );
        assert_eq!(
            format!("{error:#}"),
            "no connection to 192.0.2.1:80 while connecting [http://host.test/path]: connection refused"
        );
        assert!(!format!("{error:?}").contains("secret"));
    }

    #[test]
    fn a_total_timeout_names_the_limit_and_the_stage() {
        let error = Error::timed_out(Timeout::Total, Some(Duration::from_secs(5)), Phase::Dns);
        assert_eq!(error.phase(), Some(Phase::Total)); // SPEC T1
        assert_eq!(error.timeout(), Some(Timeout::Total));
        assert_eq!(
            error.to_string(),
            "timed out after 5s (total limit) while resolving the host name"
        );
    }

    #[test]
    fn no_url_shows_credentials() {
        for text in [
            "http://user:pa55word@h.test/",
            "http://:pa55word@h.test:81/p",
            "http://pa55word@h.test/",
            "odd://user:pa55word@h.test/",
            "odd://pa55word@/",
            "file://pa55word@h.test/",
        ] {
            // What cannot be parsed never becomes a `Url` either.
            let Ok(url) = Url::parse(text) else { continue };
            let stripped = without_credentials(&url);
            assert!(!stripped.as_str().contains("pa55word"), "{stripped}");
        }
        let opaque = Url::parse("user:pa55word@h.test/").unwrap();
        let error = Error::new(Kind::InvalidUrl, "x").with_url(&opaque);
        assert_eq!(error.url(), None);
    }

    #[test]
    fn of_payload_faults_only_a_cut_is_retryable() {
        let error = Error::new(Kind::Payload, "x");
        assert!(!error.is_retryable());
        assert!(error.broken_off().is_retryable());
        let write = Error::new(Kind::Write, "x");
        assert!(!write.is_retryable() && !write.is_connection());
    }

    #[test]
    fn an_error_is_one_word() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }
}
