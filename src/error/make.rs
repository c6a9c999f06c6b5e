//! Making errors, below this crate's surface.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::{Error, ErrorResponse, Fingerprints, Inner, Kind, Phase, Timeout};
use crate::head::Hop;
use crate::job::{Facts, RequestInfo, Stats};

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
            path: None,
            broken_off: false,
            may_pass: false,
            of_source: false,
            history: Arc::default(),
            response: None,
            request: None,
            stats: None,
            fingerprints: None,
            source: None,
        }))
    }

    pub(crate) fn invalid_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::InvalidRequest, message).with_phase(Phase::Request)
    }

    /// The source of the request body failed while it was sent.
    #[cold]
    pub(crate) fn of_source(message: impl Into<Cow<'static, str>>) -> Self {
        let mut error = Self::new(Kind::Io, message).with_phase(Phase::Send);
        error.edit().of_source = true;
        error
    }

    /// Says first where that was.
    #[cold]
    pub(crate) fn prefixed(mut self, place: &str) -> Self {
        let inner = self.edit();
        inner.message = format!("{place}: {}", inner.message).into();
        self
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

    #[cold]
    pub(crate) fn with_path(mut self, path: Option<Arc<Path>>) -> Self {
        if self.0.path.is_none() && path.is_some() {
            self.edit().path = path;
        }
        self
    }

    /// Adds what is known of the connection and of what went over it, unless a
    /// layer below knew better.
    #[cold]
    pub(crate) fn with_facts(mut self, facts: &Facts) -> Self {
        if self.0.stats.is_none() {
            self.edit().stats = Some(Stats::of(facts.reused, facts.tally));
        }
        self.with_peer(facts.link.peer)
            .with_path(facts.link.path.clone())
    }

    /// Adds how often the request was sent, how often of these once more, and over
    /// how many redirects.
    #[cold]
    pub(crate) fn with_attempts(mut self, attempts: u32, retries: u32, redirects: usize) -> Self {
        let stats = self.edit().stats.get_or_insert_default();
        stats.attempts = attempts;
        stats.retries = retries;
        stats.redirects = u32::try_from(redirects).unwrap_or(u32::MAX);
        self
    }

    /// Adds what it has cost, all of it.
    #[cold]
    pub(crate) fn with_stats(mut self, stats: Stats) -> Self {
        self.edit().stats = Some(stats);
        self
    }

    /// Adds what was sent, unless that is known.
    #[cold]
    pub(crate) fn with_request(mut self, request: RequestInfo) -> Self {
        if self.0.request.is_none() {
            self.edit().request = Some(Arc::new(request));
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

    /// The same may fare better later: [`Error::is_retryable`].
    #[cold]
    pub(crate) fn passing(mut self, may_pass: bool) -> Self {
        self.edit().may_pass = may_pass;
        self
    }

    /// Adds the redirects that were followed, unless they are known already.
    #[cold]
    pub(crate) fn with_history(mut self, history: &[Hop]) -> Self {
        if self.0.history.is_empty() && !history.is_empty() {
            self.edit().history = history.into();
        }
        self
    }

    /// Adds the pins of a certificate that has none of them.
    #[cold]
    #[cfg_attr(not(feature = "tls"), allow(dead_code))]
    pub(crate) fn with_fingerprints(mut self, fingerprints: Arc<Fingerprints>) -> Self {
        self.edit().fingerprints = Some(fingerprints);
        self
    }

    #[cold]
    pub(crate) fn with_response(mut self, response: ErrorResponse) -> Self {
        self.edit().response = Some(Arc::new(response));
        self
    }

    /// Shows the URLs of a WebSocket as such: below they are those of http.
    #[cfg(feature = "websocket")]
    #[cold]
    pub(crate) fn of_websocket(mut self) -> Self {
        let inner = self.edit();
        if let Some(url) = &mut inner.url {
            as_websocket(url);
        }
        let mut history = inner.history.to_vec();
        history
            .iter_mut()
            .for_each(|hop| as_websocket(&mut hop.url));
        inner.history = history.into();
        if let Some(request) = &mut inner.request {
            Arc::make_mut(request).map_urls(as_websocket);
        }
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

/// From the schemes of http to those of WebSockets.
#[cfg(feature = "websocket")]
pub(crate) fn as_websocket(url: &mut Url) {
    let scheme = match url.scheme() {
        "http" => "ws",
        "https" => "wss",
        _ => return,
    };
    // These have the same default ports, and take one another's place.
    let _ = url.set_scheme(scheme);
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
