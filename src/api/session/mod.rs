//! A [`Session`]: defaults, a cookie jar and a connector, shared by requests.

mod builder;
mod closing;
#[cfg(feature = "cookies")]
mod cookies;
mod defaults;
mod hsts;
#[cfg(feature = "websocket")]
mod websocket;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use http::Method;
use url::Url;

#[cfg(feature = "json")]
pub use self::builder::JsonSerializer;
pub use self::builder::SessionBuilder;
use super::connector::Connector;
use super::request::RequestBuilder;
use super::url::{IntoUrl, Known};
use crate::call::{Auth, Context, RedirectPolicy, Settings};
use crate::error::Error;
use crate::head::Fields;

/// A client: makes requests with shared defaults, cookies and connections.
///
/// Cheap to clone, all clones are the same session; `Send` and `Sync`, for any
/// number of threads at once. Works on any thread, inside async code too (where
/// the blocking verbs block that thread).
///
/// ```no_run
/// use miohttp::Session;
///
/// let session = Session::new();
/// let text = session.get("http://example.com/").send()?.text()?;
/// println!("{text}");
/// # Ok::<(), miohttp::Error>(())
/// ```
#[derive(Clone)]
pub struct Session {
    inner: Arc<Inner>,
}

struct Inner {
    connector: Connector,
    /// Whether closing the session closes the connector (SPEC S13).
    owns_connector: bool,
    closed: AtomicBool,
    /// Its connector was taken out of it (SPEC S34).
    detached: AtomicBool,
    /// The settings without redirects: every HEAD request begins with them.
    for_head: OnceLock<Arc<Settings>>,
    /// S4.
    fields: Fields,
    /// S6.
    auth: Option<Auth>,
    context: Context,
    known: Known,
    trust_env: bool,
    #[cfg(feature = "json")]
    json_serializer: Option<JsonSerializer>,
    /// The first mistake made while building; every verb reports it.
    mistake: Option<Error>,
}

impl Session {
    /// A session with the defaults of [`SessionBuilder`] and a connector of its own.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Sets out to build one.
    pub fn builder() -> SessionBuilder {
        SessionBuilder::default()
    }

    /// A GET request.
    pub fn get(&self, url: impl IntoUrl) -> RequestBuilder {
        self.make(Method::GET, url)
    }

    /// A HEAD request. Redirects are not followed unless
    /// [`redirects`](RequestBuilder::redirects) says so (SPEC Q8).
    pub fn head(&self, url: impl IntoUrl) -> RequestBuilder {
        let inner = &self.inner;
        let settings = inner.for_head.get_or_init(|| {
            let mut settings = Settings::clone(inner.context.settings());
            settings.redirects = RedirectPolicy::None;
            Arc::new(settings)
        });
        let url = url.into_url(&inner.known);
        RequestBuilder::new(self.clone(), Method::HEAD, url, Some(settings.clone()))
    }

    /// A POST request.
    pub fn post(&self, url: impl IntoUrl) -> RequestBuilder {
        self.make(Method::POST, url)
    }

    /// A PUT request.
    pub fn put(&self, url: impl IntoUrl) -> RequestBuilder {
        self.make(Method::PUT, url)
    }

    /// A PATCH request.
    pub fn patch(&self, url: impl IntoUrl) -> RequestBuilder {
        self.make(Method::PATCH, url)
    }

    /// A DELETE request.
    pub fn delete(&self, url: impl IntoUrl) -> RequestBuilder {
        self.make(Method::DELETE, url)
    }

    /// An OPTIONS request.
    pub fn options(&self, url: impl IntoUrl) -> RequestBuilder {
        self.make(Method::OPTIONS, url)
    }

    /// A request with any method: a [`Method`], or the text of one. The nine
    /// methods that are known everywhere are sent in upper case however they are
    /// written; of any other the case is kept, since methods are case-sensitive
    /// (SPEC Q1, RFC 9110 §9.1). Text that is no token is an error at the verb.
    ///
    /// ```
    /// let session = miohttp::Session::new();
    /// let request = session.request("PROPFIND", "http://example.com/");
    /// # drop(request);
    /// ```
    pub fn request(
        &self,
        method: impl TryInto<Method, Error: Into<http::Error>>,
        url: impl IntoUrl,
    ) -> RequestBuilder {
        self.make(Method::GET, url).with_method(method)
    }

    fn make(&self, method: Method, url: impl IntoUrl) -> RequestBuilder {
        let url = url.into_url(&self.inner.known);
        RequestBuilder::new(self.clone(), method, url, None)
    }

    pub(super) fn fields(&self) -> &Fields {
        &self.inner.fields
    }

    /// Credentials for a request that goes to this URL and has none. Those of a
    /// session with a base are for that base's origin alone (SPEC S6).
    pub(super) fn auth_for(&self, url: &Url) -> Option<&Auth> {
        let auth = self.inner.auth.as_ref()?;
        match self.inner.known.base() {
            Some(base) if base.origin() != url.origin() => None,
            _ => Some(auth),
        }
    }

    #[cfg(feature = "json")]
    pub(super) fn json_serializer(&self) -> Option<JsonSerializer> {
        self.inner.json_serializer
    }

    pub(super) fn context(&self) -> &Context {
        &self.inner.context
    }

    /// # Errors
    /// The session was built with a mistake, or is closed, or this is a child of the
    /// process that built it.
    pub(super) fn usable(&self) -> Result<(), Error> {
        match &self.inner.mistake {
            Some(mistake) => Err(mistake.clone()),
            // Before any lock: it may be held for ever here.
            None if !self.inner.connector.is_home() => Err(Error::closed()),
            None if self.inner.closed.load(Ordering::Acquire) => Err(Error::closed()),
            // Whether its connector is closed comes out on the way there.
            None => Ok(()),
        }
    }
}

impl Default for Session {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("connector", &self.inner.connector)
            .finish_non_exhaustive()
    }
}
