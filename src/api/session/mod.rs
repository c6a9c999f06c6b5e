//! A [`Session`]: defaults, a cookie jar and a connector, shared by requests.

mod builder;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::Method;

pub use self::builder::SessionBuilder;
use super::connector::Connector;
use super::request::RequestBuilder;
use super::url::{IntoUrl, Known};
use crate::call::{Auth, Context, RedirectPolicy, Settings};
#[cfg(feature = "cookies")]
use crate::cookie::CookieJar;
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
    settings: Arc<Settings>,
    /// S4.
    fields: Fields,
    /// S6.
    auth: Option<Auth>,
    context: Context,
    known: Known,
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
        self.request(Method::GET, url)
    }

    /// A HEAD request. Redirects are not followed unless
    /// [`redirects`](RequestBuilder::redirects) says so (SPEC Q8).
    pub fn head(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::HEAD, url)
            .redirects(RedirectPolicy::None)
    }

    /// A POST request.
    pub fn post(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::POST, url)
    }

    /// A PUT request.
    pub fn put(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::PUT, url)
    }

    /// A PATCH request.
    pub fn patch(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::PATCH, url)
    }

    /// A DELETE request.
    pub fn delete(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::DELETE, url)
    }

    /// An OPTIONS request.
    pub fn options(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::OPTIONS, url)
    }

    /// A request with any method.
    pub fn request(&self, method: Method, url: impl IntoUrl) -> RequestBuilder {
        RequestBuilder::new(self.clone(), method, url.into_url(&self.inner.known))
    }

    /// Ends the session: later requests fail with
    /// [`Kind::Closed`](crate::Kind::Closed). Its own connector is closed with
    /// it, one it was given stays open (SPEC S13, S33). Waits for the reactor
    /// thread to end. Idempotent.
    pub fn close(&self) {
        self.inner.closed.store(true, Ordering::Release);
        if self.inner.owns_connector {
            self.inner.connector.close();
        }
    }

    /// Whether the session or its connector is closed (SPEC S30).
    pub fn is_closed(&self) -> bool {
        self.inner.closed.load(Ordering::Acquire) || self.inner.connector.is_closed()
    }

    /// The connector (SPEC S31).
    pub fn connector(&self) -> &Connector {
        &self.inner.connector
    }

    /// The cookie jar, unless the session keeps none (SPEC S31).
    #[cfg(feature = "cookies")]
    pub fn cookie_jar(&self) -> Option<&CookieJar> {
        self.inner.context.cookies().0.as_ref()
    }

    pub(super) fn settings(&self) -> &Arc<Settings> {
        &self.inner.settings
    }

    pub(super) fn fields(&self) -> &Fields {
        &self.inner.fields
    }

    pub(super) fn auth(&self) -> Option<&Auth> {
        self.inner.auth.as_ref()
    }

    pub(super) fn context(&self) -> &Context {
        &self.inner.context
    }

    /// # Errors
    /// The session was built with a mistake, or is closed.
    pub(super) fn usable(&self) -> Result<(), Error> {
        match &self.inner.mistake {
            Some(mistake) => Err(mistake.clone()),
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
