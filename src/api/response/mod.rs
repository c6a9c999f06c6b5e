//! What came back.

mod attributes;
mod info;
mod marks;
mod read;
pub(in crate::api) mod text;
#[cfg(feature = "websocket")]
pub(in crate::api) mod websocket;

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Version};
use url::Url;

use super::body::{Body, Driver};
use super::cancel::{Aim, CancelHandle};
use super::pending::{Pending, wait_on};
use super::send::{StatusError, is_error};
use crate::call::About;
use crate::error::{Error, ErrorResponse, Kind};
use crate::head::{Hop, ResponseHead};

/// A response: its head, and its body as far as it has come.
///
/// The body goes on arriving while nobody reads, up to twice the
/// [`read_buffer`](crate::SessionBuilder::read_buffer), then waits. (What a
/// blocking [`send`](crate::RequestBuilder::send) has brought lies still for up
/// to two seconds first, unless somebody waits for its connection's slot: mostly
/// its reader comes at once, and [reads by itself](crate::Connector#who-does-the-work).)
/// It is read once: whole by [`bytes`](Response::bytes), [`text`](Response::text) or
/// `json`, or piece by piece by [`chunk`](Response::chunk) or
/// [`into_reader`](Response::into_reader). Dropping a response reads a short
/// rest away, so that its connection can serve again, and closes it otherwise.
///
/// Until its body has ended a response holds a connection, and so one of the
/// slots of the [`limit`](crate::ConnectorBuilder::limit) unless the whole body
/// fits into what is read ahead. Whoever keeps as many unread responses as
/// there are slots waits in vain for another: read each, or drop it, before
/// the next is waited for.
///
/// ```no_run
/// let response = miohttp::Session::new().get("http://example.com/").send()?;
/// println!("{} {}", response.status(), response.url());
/// if let Some(kind) = response.headers().get("content-type") {
///     println!("{kind:?}");
/// }
/// let text = response.text()?;
/// # drop(text);
/// # Ok::<(), miohttp::Error>(())
/// ```
pub struct Response {
    about: Arc<About>,
    /// Boxed, since few are asked for and every response is moved.
    headers: OnceLock<Box<HeaderMap>>,
    body: BodyPlace,
    /// Kept here, for the body may be elsewhere.
    cancel: Option<Aim>,
}

/// Where the body is: here, or with a `start_chunk` that has not ended.
enum BodyPlace {
    Here(Body),
    Lent(Arc<Mutex<Option<Body>>>),
}

impl Response {
    pub(super) fn new(about: Arc<About>, body: Body) -> Self {
        let cancel = body.aim();
        Self {
            about,
            headers: OnceLock::new(),
            body: BodyPlace::Here(body),
            cancel,
        }
    }

    /// The status code (SPEC R1).
    pub fn status(&self) -> StatusCode {
        self.about.head.status()
    }

    /// Whether the status is below 400 (SPEC R10).
    pub fn is_ok(&self) -> bool {
        !is_error(self)
    }

    /// The reason phrase as the server sent it, possibly empty; what is not
    /// UTF-8 in it is replaced (SPEC R1).
    pub fn reason(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.about.head.reason())
    }

    /// The version the server answered in (SPEC R1).
    pub fn version(&self) -> Version {
        self.about.head.version()
    }

    /// The method of the last hop (SPEC R2).
    pub fn method(&self) -> &Method {
        &self.about.method
    }

    /// The URL of the last hop, with its fragment and without credentials
    /// (SPEC R2, D11).
    pub fn url(&self) -> &Url {
        &self.about.url
    }

    /// The header fields as a case-insensitive multimap, as they were received
    /// (SPEC R3). Built on the first call.
    pub fn headers(&self) -> &HeaderMap {
        self.headers
            .get_or_init(|| Box::new(self.about.head.to_map()))
    }

    /// Names and values of the header fields exactly as they arrived, in order
    /// (SPEC R3).
    pub fn raw_headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.about.head.raw_fields()
    }

    /// The redirects that led here, oldest first (SPEC R7).
    pub fn history(&self) -> &[Hop] {
        &self.about.history
    }

    /// The address that answered (SPEC R9), which is the proxy's where there is
    /// one; [`Error::peer`] is the same of a request that failed.
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        self.about.facts.link.peer
    }

    /// Whether the connection had served an earlier request.
    pub fn is_reused(&self) -> bool {
        self.about.facts.reused
    }

    /// How often the request was sent: once a hop, and once more for each
    /// [retry](Self::retries).
    pub fn attempts(&self) -> u32 {
        self.about.attempts
    }

    /// How often it was sent once more: since a stale connection had swallowed it
    /// (SPEC Y1), or since a [`RetryPolicy`](crate::RetryPolicy) said so (SPEC Y2).
    pub fn retries(&self) -> u32 {
        self.about.retries
    }

    /// This response, or an error if its status is 400 or above (SPEC R22).
    ///
    /// Below 400 it returns at once. Otherwise the error keeps the head and up
    /// to 64 KiB of the body, and this blocks until so much has come or the body
    /// has ended, in whatever way;
    /// [`start_error_for_status`](Response::start_error_for_status) does not.
    ///
    /// # Errors
    /// [`Kind::Status`].
    pub fn error_for_status(self) -> Result<Self, Error> {
        match is_error(&self) {
            false => Ok(self),
            true => wait_on(&mut StatusError::new(self, Driver::Caller)),
        }
    }

    /// As [`error_for_status`](Response::error_for_status), without blocking.
    pub fn start_error_for_status(self) -> Pending<Self> {
        match is_error(&self) {
            false => Pending::done(self),
            true => Pending::new(StatusError::new(self, Driver::Reactor)),
        }
    }

    /// The trailer fields, once the body was read to its end; empty before.
    pub fn trailers(&self) -> HeaderMap {
        self.with_body(Body::trailers).unwrap_or_default()
    }

    /// A handle with which any thread can break off the body while this one
    /// reads it, in whichever way.
    pub fn cancel_handle(&self) -> CancelHandle {
        self.cancel.clone().into()
    }

    fn head(&self) -> &ResponseHead {
        &self.about.head
    }

    /// An error that this response is, with the start of its body.
    pub(super) fn error_with(&self, kind: Kind, message: String, body: Bytes) -> Error {
        let error = Error::new(kind, message).with_response(ErrorResponse {
            status: self.status(),
            reason: self.reason().into_owned(),
            headers: self.headers().clone(),
            body,
        });
        self.about.context(error).with_stats(self.stats())
    }

    /// Looks at the body, unless a `start_chunk` still holds it.
    fn with_body<T>(&self, look: impl FnOnce(&Body) -> T) -> Option<T> {
        match &self.body {
            BodyPlace::Here(body) => Some(look(body)),
            BodyPlace::Lent(home) => lock(home).as_ref().map(look),
        }
    }

    /// The body, which a response has unless a `start_chunk` still holds it.
    pub(super) fn body(&mut self) -> Result<&mut Body, Error> {
        let returned = match &self.body {
            BodyPlace::Here(_) => None,
            BodyPlace::Lent(home) => lock(home).take(),
        };
        if let Some(body) = returned {
            self.body = BodyPlace::Here(body);
        }
        match &mut self.body {
            BodyPlace::Here(body) => Ok(body),
            BodyPlace::Lent(_) => Err(self.about.context(lent())),
        }
    }

    fn into_body(mut self) -> Result<Body, Error> {
        self.body()?;
        match self.body {
            BodyPlace::Here(body) => Ok(body),
            BodyPlace::Lent(_) => Err(lent()),
        }
    }
}

fn lent() -> Error {
    Error::invalid_request("a started chunk of this body has not ended yet")
}

fn lock(home: &Mutex<Option<Body>>) -> std::sync::MutexGuard<'_, Option<Body>> {
    // Nothing panics while it is held.
    home.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status())
            .field("url", &self.about.url.as_str())
            .finish_non_exhaustive()
    }
}
