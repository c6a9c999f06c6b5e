//! What a request carries: bytes in memory, or a source that is read while the
//! request is sent.
//!
//! ```text
//!  reader, iterator, file ─► a thread of its own ─┐
//!  BodySender: whoever holds it ──────────────────┴─► feed ─► the driver
//! ```
//!
//! No user code runs on the reactor's thread, and none stands between a request
//! and its limits: a source that blocks in a read keeps nobody waiting but the
//! thread that reads it, which ends when that read returns.

mod channel;
mod file;
mod guess;
mod produce;
mod progress;
mod reader;
pub(crate) mod source;

use std::fmt;
use std::io::{self, Read};
use std::path::Path;

use bytes::Bytes;
use http::HeaderValue;

pub use self::channel::BodySender;
use crate::call::{Content, RequestBody};
use crate::error::Error;
use crate::job::Pieces;

/// A request body: bytes, text, a file, a reader, an iterator, or what a
/// [`BodySender`] is given. Bodies come from values by `into()` too, and
/// [`RequestBuilder::body`](crate::RequestBuilder::body) takes those directly.
///
/// | made by | type announced | length | can be sent again |
/// |---|---|---|---|
/// | [`bytes`](Self::bytes), [`pieces`](Self::pieces) | `application/octet-stream` | known | yes |
/// | [`text`](Self::text) | `text/plain; charset=utf-8` | known | yes |
/// | [`file`](Self::file), a [`File`](std::fs::File) | by the file's name | known | yes |
/// | [`sized_reader`](Self::sized_reader) | `application/octet-stream` | known | no |
/// | [`reader`](Self::reader), [`iter`](Self::iter), [`channel`](Self::channel) | `application/octet-stream` | unknown | no |
/// | [`form`](Self::form) | `application/x-www-form-urlencoded` | known | yes |
/// | a [`Form`](crate::Form) | by what is in it | if that of each part is | if each part can |
///
/// A `Content-Type` header of the request goes before what is announced here,
/// and of an empty body no type is announced (SPEC H6). A body of unknown
/// length is sent in chunks, which HTTP/1.0 does not have (SPEC H5). Sending
/// again is what a redirect that keeps the body asks for, and a second attempt:
/// where that cannot be, the request fails with
/// [`Kind::BodyNotReplayable`](crate::Kind::BodyNotReplayable).
///
/// What is not in memory is read by a thread of its own (`miohttp-body`), which
/// lives while the body is sent, or is given by whoever holds the
/// [`BodySender`]. So a started request goes on though nobody waits for it, and
/// an early answer, a limit or a cancellation takes effect while a source is
/// blocked. A source that fails or panics fails its request, with
/// [`Kind::Io`](crate::Kind::Io) and its error as the cause, and the
/// connection is closed: no server takes half a body for a whole one.
///
/// Memory of your own ([`Bytes::from_owner`]) is let go by whichever thread is the last to
/// need it, the connector's own among them: its drop must neither block nor panic.
///
/// Cloning shares the body: of two requests with the same reader the second one
/// fails.
///
/// ```
/// use miohttp::{Body, Session};
///
/// let session = Session::new();
/// let text = session.post("http://example.com/").body("text");
/// let bytes = session.post("http://example.com/").body(vec![1, 2, 3]);
/// let body: Body = "text".into();
/// # drop((text, bytes, body));
/// ```
#[derive(Clone)]
pub struct Body(Result<RequestBody, Error>);

impl Body {
    /// Bytes, sent as `application/octet-stream` unless a `Content-Type` says
    /// otherwise (SPEC B1).
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self::typed::<Bytes>(bytes.into(), OCTETS)
    }

    /// Text, sent as `text/plain; charset=utf-8` unless a `Content-Type` says
    /// otherwise (SPEC B2).
    pub fn text(text: impl Into<String>) -> Self {
        Self::typed(Bytes::from(text.into()), TEXT)
    }

    /// Several pieces, sent one behind the other without being joined, as
    /// `application/octet-stream` unless a `Content-Type` says otherwise
    /// (SPEC B1). What a program has in parts need not be copied together, and
    /// one part may stand in it many times.
    ///
    /// ```
    /// use miohttp::{Body, Bytes};
    ///
    /// let line = Bytes::from_static(b"all work and no play\n");
    /// let page = Body::pieces((0..100).map(|_| line.clone()));
    /// # drop(page);
    /// ```
    pub fn pieces(pieces: impl IntoIterator<Item = impl Into<Bytes>>) -> Self {
        let pieces = pieces.into_iter().map(Into::into);
        Self::typed(Pieces::of(pieces), OCTETS)
    }

    /// The whole length in bytes; `None` where it is not known before the end
    /// (SPEC B8).
    pub fn length(&self) -> Option<u64> {
        self.0.as_ref().ok().and_then(RequestBody::length)
    }

    /// Whether this body can be sent any number of times (SPEC B8).
    pub fn is_replayable(&self) -> bool {
        self.0.as_ref().is_ok_and(RequestBody::is_replayable)
    }

    pub(crate) fn typed<P: Into<Pieces>>(pieces: P, content_type: &'static str) -> Self {
        let content = Content::Memory(pieces.into());
        Self::of(content, Some(HeaderValue::from_static(content_type)))
    }

    pub(crate) fn of(content: Content, content_type: Option<HeaderValue>) -> Self {
        Self(Ok(RequestBody::new(content, content_type)))
    }

    /// A body that is an error at the verb.
    pub(crate) fn mistaken(error: Error) -> Self {
        Self(Err(error))
    }

    /// A body that can be read from its beginning any number of times, each
    /// time by what `open` gives. That is called, and read, on a thread of its
    /// own, and must hold no code of the user's where it is dropped.
    pub(crate) fn from_opener(
        open: impl Fn() -> io::Result<Box<dyn Read + Send>> + Send + Sync + 'static,
        length: Option<u64>,
        content_type: Option<HeaderValue>,
    ) -> Self {
        Self::of(source::opener(open, length), content_type)
    }

    /// The type of a file of this name.
    pub(crate) fn guess(path: &Path) -> &'static str {
        guess::guess(path)
    }

    /// The type that is announced for it.
    pub(crate) fn announced_type(&self) -> Option<HeaderValue> {
        let body = self.request_body()?;
        body.content_type().cloned()
    }

    /// What is to be sent, if it can be.
    pub(crate) fn request_body(&self) -> Option<&RequestBody> {
        self.0.as_ref().ok()
    }

    /// What is to be sent, or why it cannot be.
    pub(crate) fn into_request_body(self) -> Result<RequestBody, Error> {
        self.0
    }
}

pub(crate) const OCTETS: &str = "application/octet-stream";
pub(crate) const TEXT: &str = "text/plain; charset=utf-8";

impl fmt::Debug for Body {
    // A body is the caller's own business, and may be long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Err(_) => f.write_str("Body(that cannot be sent)"),
            Ok(body) => match body.length() {
                Some(length) => write!(f, "Body({length} bytes)"),
                None => f.write_str("Body(of unknown length)"),
            },
        }
    }
}

macro_rules! body_from {
    ($($type:ty => $make:ident),* $(,)?) => {$(
        impl From<$type> for Body {
            fn from(value: $type) -> Self {
                Self::$make(value)
            }
        }
    )*};
}

body_from! {
    Bytes => bytes,
    Vec<u8> => bytes,
    &'static [u8] => bytes,
    String => text,
    &'static str => text,
}
