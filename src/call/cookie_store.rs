//! Where cookies are kept, if not in a jar of ours.

use http::HeaderValue;
use url::Url;

/// Keeps a session's cookies (SPEC S9). `CookieJar` is one, with the feature
/// `cookies`; with another of its own a program can keep them in a file, a
/// database, or together with somebody else's.
///
/// Both methods are called on the threads that send requests and wait for their
/// responses, never on the connector's thread, and may block. Several threads may
/// be in them at once. So the redirects and retries of a *started* request that
/// has such a store are followed only while somebody waits for it or looks at
/// it.
///
/// ```
/// use std::sync::{Arc, Mutex};
///
/// use miohttp::{CookieStore, HeaderValue, Session, Url};
///
/// /// Sends the last cookie it was given, to whomever.
/// #[derive(Default)]
/// struct Last(Mutex<Option<HeaderValue>>);
///
/// impl CookieStore for Last {
///     fn store(&self, _: &Url, set_cookie: &mut dyn Iterator<Item = &HeaderValue>) {
///         if let Some(value) = set_cookie.last() {
///             let pair = value.as_bytes().split(|byte| *byte == b';').next();
///             *self.0.lock().unwrap() = pair.and_then(|pair| HeaderValue::from_bytes(pair).ok());
///         }
///     }
///
///     fn cookies(&self, _: &Url) -> Option<HeaderValue> {
///         self.0.lock().unwrap().clone()
///     }
/// }
///
/// let session = Session::builder().cookie_store(Arc::new(Last::default())).build();
/// # drop(session);
/// ```
pub trait CookieStore: Send + Sync {
    /// Takes the `Set-Cookie` fields of a response from this URL, in order; there
    /// is at least one. Called for each answer, redirects and refused tries
    /// included, before the next request is made (SPEC D8).
    fn store(&self, url: &Url, set_cookie: &mut dyn Iterator<Item = &HeaderValue>);

    /// The `Cookie` header of a request to this URL; `None` for no cookies.
    ///
    /// It is joined with a `Cookie` header of the request's own, where this
    /// store's value wins by name (SPEC H8).
    fn cookies(&self, url: &Url) -> Option<HeaderValue>;
}

#[cfg(feature = "cookies")]
impl CookieStore for crate::cookie::CookieJar {
    fn store(&self, url: &Url, set_cookie: &mut dyn Iterator<Item = &HeaderValue>) {
        Self::store(self, url, set_cookie);
    }

    fn cookies(&self, url: &Url) -> Option<HeaderValue> {
        Self::cookies(self, url)
    }
}
