//! Which redirects a request follows, and the caller's own word in that.

use std::cell::OnceCell;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, Method, StatusCode};
use url::Url;

use super::Request;
use crate::head::{Hop, ResponseHead};

/// Which redirects are followed (SPEC D14).
///
/// ```
/// use miohttp::{Action, RedirectPolicy, Session};
///
/// let session = Session::builder().redirects(RedirectPolicy::Limit(3)).build();
/// let request = session.get("http://example.com/").redirects(RedirectPolicy::None);
/// // Only where the host stays the same, and at most five times.
/// let careful = RedirectPolicy::custom(|redirect| {
///     if redirect.history().len() == 5 {
///         Action::fail("too many")
///     } else if redirect.from().host() == redirect.to().host() {
///         Action::Follow
///     } else {
///         Action::Stop
///     }
/// });
/// let other = session.get("http://example.com/").redirects(careful);
/// # drop((request, other));
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub enum RedirectPolicy {
    /// None: a redirect is a response like any other.
    None,
    /// This many; one more is an error of kind
    /// [`TooManyRedirects`](crate::Kind::TooManyRedirects) that carries the
    /// last status and the history (SPEC D5). The default is 10.
    Limit(u32),
    /// As this says, which is asked for each redirect: see
    /// [`custom`](Self::custom).
    Custom(Arc<RedirectRule>),
}

/// What a [`RedirectPolicy::Custom`] asks.
pub type RedirectRule = dyn Fn(&Attempt<'_>) -> Action + Send + Sync;

impl RedirectPolicy {
    /// Asks `rule` for each redirect that could be followed (SPEC D14). There is
    /// no other limit then but that of time: a rule that always says
    /// [`Action::Follow`] goes round in a circle until
    /// [`Timeouts::total`](crate::Timeouts::total).
    ///
    /// It is not asked where there is no target, nor where the target is nothing a
    /// request could go to, which is an error all the same (SPEC D4, D6).
    ///
    /// The rule is called on a thread that waits for the response, never on the
    /// connector's, and may block. So a *started* request comes as far as its
    /// first redirect by itself; the next step is made by whoever waits for it or
    /// looks at it. A panic in the rule ends the request, and is that thread's.
    pub fn custom(rule: impl Fn(&Attempt<'_>) -> Action + Send + Sync + 'static) -> Self {
        Self::Custom(Arc::new(rule))
    }

    pub(super) fn is_custom(&self) -> bool {
        matches!(self, Self::Custom(_))
    }
}

impl Default for RedirectPolicy {
    fn default() -> Self {
        Self::Limit(10)
    }
}

impl fmt::Debug for RedirectPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Limit(limit) => f.debug_tuple("Limit").field(limit).finish(),
            Self::Custom(_) => f.write_str("Custom(..)"),
        }
    }
}

/// A redirect that could be followed, as [`RedirectPolicy::custom`] is asked of
/// it.
pub struct Attempt<'a> {
    request: &'a Request,
    next: &'a Request,
    head: &'a ResponseHead,
    headers: OnceCell<HeaderMap>,
    history: &'a [Hop],
}

impl<'a> Attempt<'a> {
    pub(super) fn new(
        request: &'a Request,
        next: &'a Request,
        head: &'a ResponseHead,
        history: &'a [Hop],
    ) -> Self {
        Self {
            request,
            next,
            head,
            headers: OnceCell::new(),
            history,
        }
    }

    /// The status: 301, 302, 303, 307 or 308.
    pub fn status(&self) -> StatusCode {
        self.head.status()
    }

    /// The URL that answered with the redirect, without credentials.
    pub fn from(&self) -> &'a Url {
        &self.request.url
    }

    /// Where it leads, without credentials.
    pub fn to(&self) -> &'a Url {
        &self.next.url
    }

    /// The method of the request that would follow, which may be another than
    /// that of the one before (SPEC D2).
    pub fn method(&self) -> &'a Method {
        &self.next.method
    }

    /// The headers of the redirect. Built on the first call.
    pub fn headers(&self) -> &HeaderMap {
        self.headers.get_or_init(|| self.head.to_map())
    }

    /// The redirects that have been followed, oldest first, this one not among
    /// them.
    pub fn history(&self) -> &'a [Hop] {
        self.history
    }
}

impl fmt::Debug for Attempt<'_> {
    // Headers may hold cookies and tokens, so they are not printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt")
            .field("status", &self.status())
            .field("from", &self.from().as_str())
            .field("to", &self.to().as_str())
            .field("method", self.method())
            .field("history", &self.history.len())
            .finish_non_exhaustive()
    }
}

/// What becomes of a redirect: the answer of a [`RedirectPolicy::custom`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Action {
    /// It is followed.
    Follow,
    /// It is the response.
    Stop,
    /// The request fails with an error of kind
    /// [`BadRedirect`](crate::Kind::BadRedirect), whose source this is; the
    /// redirect's status and headers are in it.
    Fail(Box<dyn StdError + Send + Sync>),
}

impl Action {
    /// [`Action::Fail`] with this error, or text.
    pub fn fail(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Fail(error.into())
    }
}
