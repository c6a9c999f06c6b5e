//! What came back.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Version};
use url::Url;

use super::body::{Body, Driver};
use super::bytes::{Collect, may_be_text, to_text};
use super::pending::{CancelHandle, Operation, Pending, wait_on};
use super::reader::BodyReader;
use super::send::{StatusError, is_error};
use crate::call::About;
use crate::error::{Error, Phase};
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
    cancel: CancelHandle,
}

/// Where the body is: here, or with a `start_chunk` that has not ended.
enum BodyPlace {
    Here(Body),
    Lent(Arc<Mutex<Option<Body>>>),
}

impl Response {
    pub(super) fn new(about: Arc<About>, body: Body) -> Self {
        let cancel = body.cancel_handle();
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

    /// The announced length of the body on the wire, if there is one and it is
    /// a number (SPEC R6). A decoded body is usually longer.
    pub fn content_length(&self) -> Option<u64> {
        let value = std::str::from_utf8(self.about.head.first("content-length")?).ok()?;
        value.trim().parse().ok()
    }

    /// The redirects that led here, oldest first (SPEC R7).
    pub fn history(&self) -> &[Hop] {
        &self.about.history
    }

    pub(super) fn shared_history(&self) -> &Arc<[Hop]> {
        &self.about.history
    }

    /// The address that answered (SPEC R9); [`Error::peer`] is the same of a
    /// request that failed.
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        self.about.peer
    }

    /// Whether the connection had served an earlier request.
    pub fn is_reused(&self) -> bool {
        self.about.reused
    }

    /// How often a request was sent: once a hop, and once more for each stale
    /// connection that was made good (SPEC Y1).
    pub fn attempts(&self) -> u32 {
        self.about.attempts
    }

    /// This response, or an error if its status is 400 or above (SPEC R22).
    ///
    /// Below 400 it returns at once. Otherwise the error keeps the head and up
    /// to 64 KiB of the body, and this blocks until so much has come or the body
    /// has ended, in whatever way;
    /// [`start_error_for_status`](Response::start_error_for_status) does not.
    ///
    /// # Errors
    /// [`Kind::Status`](crate::Kind::Status).
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

    /// The whole body, decoded. Blocks until it is there (SPEC R20).
    ///
    /// # Errors
    /// The body breaks off or is damaged ([`Kind::Payload`](crate::Kind::Payload)),
    /// a limit passes, or it is larger than
    /// [`max_buffered`](crate::SessionBuilder::max_buffered), 256 MiB by default
    /// ([`Kind::Limit`](crate::Kind::Limit), SPEC R40).
    pub fn bytes(mut self) -> Result<Bytes, Error> {
        if let Some(whole) = self.body()?.take_whole() {
            return Ok(whole);
        }
        wait_on(&mut self.collect(Driver::Caller, Ok)?)
    }

    /// As [`bytes`](Response::bytes), without blocking.
    pub fn start_bytes(self) -> Pending<Bytes> {
        pending(self.collect(Driver::Reactor, Ok))
    }

    /// The whole body as text: UTF-8, with U+FFFD for what is not (SPEC R21, J1).
    ///
    /// # Errors
    /// As [`bytes`](Response::bytes); and [`Kind::Decode`](crate::Kind::Decode)
    /// if the server declares another charset and the body does not begin with
    /// UTF-8's byte order mark. Its first bytes tell, so the rest is not
    /// downloaded; the response is spent all the same. Where such a text is to
    /// be expected, look at `Content-Type` first and read
    /// [`bytes`](Response::bytes).
    pub fn text(self) -> Result<String, Error> {
        wait_on(&mut self.collect_text(Driver::Caller)?)
    }

    /// As [`text`](Response::text), without blocking.
    pub fn start_text(self) -> Pending<String> {
        pending(self.collect_text(Driver::Reactor))
    }

    /// The whole body as JSON (SPEC R23, J2). The content type is not looked at.
    ///
    /// # Errors
    /// As [`bytes`](Response::bytes); and [`Kind::Decode`](crate::Kind::Decode)
    /// if the body is not JSON or not a `T`.
    #[cfg(feature = "json")]
    pub fn json<T: serde::de::DeserializeOwned + 'static>(self) -> Result<T, Error> {
        wait_on(&mut self.collect(Driver::Caller, |bytes| super::bytes::to_json(&bytes))?)
    }

    /// As [`json`](Response::json), without blocking.
    #[cfg(feature = "json")]
    pub fn start_json<T: serde::de::DeserializeOwned + 'static>(self) -> Pending<T> {
        pending(self.collect(Driver::Reactor, |bytes| super::bytes::to_json(&bytes)))
    }

    /// The next piece of the body as it comes, decoded; `None` at its end.
    /// Blocks until there is one (SPEC R31).
    ///
    /// ```no_run
    /// let mut response = miohttp::Session::new().get("http://example.com/").send()?;
    /// let mut length = 0;
    /// while let Some(chunk) = response.chunk()? {
    ///     length += chunk.len();
    /// }
    /// # Ok::<(), miohttp::Error>(())
    /// ```
    ///
    /// # Errors
    /// The body breaks off or is damaged, or a limit passes; and
    /// [`Kind::InvalidRequest`](crate::Kind::InvalidRequest) while a
    /// [`start_chunk`](Response::start_chunk) has not ended.
    pub fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        struct Here<'a>(&'a mut Body);

        impl Operation<Option<Bytes>> for Here<'_> {
            fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
                self.0.poll_chunk(cx)
            }

            fn target(&self) -> CancelHandle {
                self.0.cancel_handle()
            }
        }

        let body = self.body()?;
        body.driven_by(Driver::Caller);
        wait_on(&mut Here(body))
    }

    /// As [`chunk`](Response::chunk), without blocking. One at a time.
    pub fn start_chunk(&mut self) -> Pending<Option<Bytes>> {
        match self.body() {
            Ok(body) => body.driven_by(Driver::Reactor),
            Err(error) => return Pending::failed(error),
        }
        let home = Arc::new(Mutex::new(None));
        match std::mem::replace(&mut self.body, BodyPlace::Lent(home.clone())) {
            BodyPlace::Here(body) => Pending::new(LentChunk {
                body: Some(body),
                home,
            }),
            // `body()` has just seen to it that it is here.
            BodyPlace::Lent(_) => Pending::failed(lent()),
        }
    }

    /// The body as `Read` and `BufRead`, decoded. Errors come as
    /// [`std::io::Error`] with this crate's [`Error`] inside.
    ///
    /// ```no_run
    /// use std::io::BufRead;
    ///
    /// let response = miohttp::Session::new().get("http://example.com/log").send()?;
    /// for line in response.into_reader().lines() {
    ///     println!("{}", line?);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_reader(self) -> BodyReader {
        BodyReader::new(self.into_body())
    }

    /// Writes the body to `writer` and gives its decoded length (SPEC R27).
    ///
    /// # Errors
    /// As [`chunk`](Response::chunk); and [`Kind::Write`](crate::Kind::Write) for
    /// what the writer fails with.
    pub fn copy_to(mut self, writer: &mut (impl std::io::Write + ?Sized)) -> Result<u64, Error> {
        let mut length = 0;
        while let Some(chunk) = self.chunk()? {
            writer.write_all(&chunk).map_err(|error| {
                let message = "the body cannot be written where it should go";
                Error::new(crate::Kind::Write, message)
                    .with_phase(Phase::Body)
                    .with_url(&self.about.url)
                    .with_history(&self.about.history)
                    .with_source(error)
            })?;
            length += chunk.len() as u64;
        }
        Ok(length)
    }

    /// The trailer fields, once the body was read to its end; empty before.
    pub fn trailers(&self) -> HeaderMap {
        match &self.body {
            BodyPlace::Here(body) => body.trailers().to_map(),
            // It is back unless the started chunk still runs.
            BodyPlace::Lent(home) => lock(home)
                .as_ref()
                .map(|body| body.trailers().to_map())
                .unwrap_or_default(),
        }
    }

    /// A handle with which any thread can break off the body while this one
    /// reads it, in whichever way.
    pub fn cancel_handle(&self) -> CancelHandle {
        self.cancel.clone()
    }

    pub(super) fn head(&self) -> &ResponseHead {
        &self.about.head
    }

    /// The declared charset of a text (SPEC R5).
    fn charset(&self) -> Option<String> {
        let value = String::from_utf8_lossy(self.about.head.first("content-type")?).into_owned();
        value
            .split(';')
            .skip(1)
            .filter_map(|parameter| parameter.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))
            .map(|(_, value)| value.trim().trim_matches(['"', '\'']).trim().to_owned())
            .filter(|charset| !charset.is_empty())
    }

    fn collect<T>(
        self,
        driver: Driver,
        convert: impl FnOnce(Bytes) -> Result<T, Error> + Send + 'static,
    ) -> Result<Collect<T>, Error> {
        let mut body = self.into_body()?;
        body.driven_by(driver);
        Ok(Collect::new(body, convert))
    }

    fn collect_text(self, driver: Driver) -> Result<Collect<String>, Error> {
        let charset = self.charset();
        let declared = charset.clone();
        let collect = self.collect(driver, move |bytes| to_text(&bytes, declared.as_deref()))?;
        Ok(match charset {
            Some(charset) => collect.admitted_by(move |start| may_be_text(start, &charset)),
            None => collect,
        })
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
            BodyPlace::Lent(_) => Err(lent()
                .with_url(&self.about.url)
                .with_history(&self.about.history)),
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

fn pending<T: 'static>(collect: Result<Collect<T>, Error>) -> Pending<T> {
    match collect {
        Ok(collect) => Pending::new(collect),
        Err(error) => Pending::failed(error),
    }
}

fn lent() -> Error {
    Error::invalid_request("a started chunk of this body has not ended yet")
}

fn lock(home: &Mutex<Option<Body>>) -> std::sync::MutexGuard<'_, Option<Body>> {
    // Nothing panics while it is held.
    home.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A chunk being waited for; the body goes home when it ends or is dropped.
struct LentChunk {
    body: Option<Body>,
    home: Arc<Mutex<Option<Body>>>,
}

impl Operation<Option<Bytes>> for LentChunk {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(Err(Error::internal("the chunk was taken already")));
        };
        let polled = body.poll_chunk(cx);
        if polled.is_ready() {
            *lock(&self.home) = self.body.take();
        }
        polled
    }

    fn target(&self) -> CancelHandle {
        match &self.body {
            Some(body) => body.cancel_handle(),
            None => CancelHandle::nothing(),
        }
    }
}

impl Drop for LentChunk {
    fn drop(&mut self) {
        if let Some(body) = self.body.take() {
            *lock(&self.home) = Some(body);
        }
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status())
            .field("url", &self.about.url.as_str())
            .finish_non_exhaustive()
    }
}
