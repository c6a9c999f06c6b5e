//! One field of a form.

use std::borrow::Cow;
use std::fmt;
use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue};

use super::content_type;
use crate::api::upload::{Body, OCTETS, TEXT};
use crate::call::{Content, RequestBody};
use crate::error::Error;

/// One field of a [`Form`](super::Form): its content, and what is said of it
/// (SPEC F1).
///
/// ```
/// use miohttp::{Form, Part};
///
/// let picture = Part::bytes(&b"GIF89a"[..]).file_name("dot.gif").content_type("image/gif");
/// let form = Form::new().part("picture", picture);
/// # drop(form);
/// ```
#[derive(Clone)]
#[must_use = "a part is sent with its form"]
pub struct Part {
    body: Body,
    content_type: Option<HeaderValue>,
    file_name: Option<String>,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Nothing was said of it that only a part of several can have.
    is_plain: bool,
    mistake: Option<Error>,
}

impl Part {
    /// Text, as `text/plain; charset=utf-8`.
    pub fn text(text: impl Into<String>) -> Self {
        Self::of(Body::text(text), TEXT, true)
    }

    /// Bytes, as `application/octet-stream`. Without a
    /// [`file_name`](Self::file_name) they are no file (SPEC F3).
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self::of(Body::bytes(bytes), OCTETS, true)
    }

    /// A file, under the last part of its path and as the type that this stands
    /// for; see [`Body::file`].
    pub fn file(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        let part = Self::of(Body::file(path), Body::guess(path), false);
        match path.file_name() {
            Some(name) => part.file_name(name.to_string_lossy()),
            None => part,
        }
    }

    /// What a reader gives, to its end, as `application/octet-stream`; see
    /// [`Body::reader`]. A form with such a part is sent in chunks, and once.
    pub fn reader(reader: impl Read + Send + 'static) -> Self {
        Self::of(Body::reader(reader), OCTETS, false)
    }

    /// What a reader gives, which must be `length` bytes; see
    /// [`Body::sized_reader`].
    pub fn sized_reader(reader: impl Read + Send + 'static, length: u64) -> Self {
        Self::of(Body::sized_reader(reader, length), OCTETS, false)
    }

    /// Any body, as the type it has.
    pub fn body(body: impl Into<Body>) -> Self {
        let body = body.into();
        let content_type = body.announced_type();
        Self {
            content_type,
            ..Self::of(body, OCTETS, false)
        }
    }

    fn of(body: Body, content_type: &'static str, is_plain: bool) -> Self {
        Self {
            body,
            content_type: Some(HeaderValue::from_static(content_type)),
            file_name: None,
            headers: Vec::new(),
            is_plain,
            mistake: None,
        }
    }

    /// The media type, in place of the usual one. What may not stand in a
    /// header is an error at the verb (SPEC F8).
    pub fn content_type(mut self, text: impl AsRef<str>) -> Self {
        self.is_plain = false;
        match content_type(text.as_ref()) {
            Ok(value) => self.content_type = Some(value),
            Err(mistake) => return self.mistaken(mistake),
        }
        self
    }

    /// The name of the file that this is, in place of the usual one. It is sent
    /// as UTF-8 with `"`, CR and LF escaped, as browsers do (SPEC F6). NUL is an
    /// error at the verb.
    pub fn file_name(mut self, name: impl Into<String>) -> Self {
        let name = name.into();
        self.is_plain = false;
        if name.contains('\0') {
            return self.mistaken(Error::invalid_request("a file name holds NUL"));
        }
        self.file_name = Some(name);
        self
    }

    /// Adds a header to those of the part: `Content-Transfer-Encoding`, say,
    /// which is only announced; the content has to be encoded so already. A
    /// `Content-Type` takes the place of the usual one. `Content-Disposition` is
    /// made of the names, and is an error at the verb, as is what may not stand
    /// in a header.
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        V: TryInto<HeaderValue>,
    {
        self.is_plain = false;
        let (Ok(name), Ok(value)) = (name.try_into(), value.try_into()) else {
            let message = "a header of a form's part holds what may not be sent";
            return self.mistaken(Error::invalid_request(message));
        };
        match name {
            CONTENT_TYPE => self.content_type = Some(value),
            CONTENT_DISPOSITION => {
                let message = "the Content-Disposition of a form's part is made of its names";
                return self.mistaken(Error::invalid_request(message));
            }
            name => self.headers.push((name, value)),
        }
        self
    }

    fn mistaken(mut self, mistake: Error) -> Self {
        self.mistake.get_or_insert(mistake);
        self
    }

    /// Whether a urlencoded form can hold it.
    pub(super) fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// All of a plain part.
    pub(super) fn plain_bytes(&self) -> Cow<'_, [u8]> {
        match self.body.request_body().map(RequestBody::content) {
            Some(Content::Memory(pieces)) => {
                let mut pieces = pieces.clone();
                let mut all = Vec::new();
                while !pieces.is_empty() {
                    all.extend_from_slice(&pieces.take(usize::MAX));
                }
                all.into()
            }
            _ => Cow::Borrowed(&[]),
        }
    }

    /// The headers of the part but for its name, and its content.
    ///
    /// # Errors
    /// Whatever is wrong with it.
    pub(super) fn open(self) -> Result<(Described, Content), Error> {
        if let Some(mistake) = self.mistake {
            return Err(mistake);
        }
        let body = self.body.into_request_body()?;
        let described = Described {
            content_type: self.content_type,
            file_name: self.file_name,
            headers: self.headers,
        };
        Ok((described, body.content().clone()))
    }
}

/// What is said of a part.
pub(super) struct Described {
    pub(super) content_type: Option<HeaderValue>,
    pub(super) file_name: Option<String>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

impl fmt::Debug for Part {
    // What is filled in is the user's own business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part")
            .field("content_type", &self.content_type)
            .finish_non_exhaustive()
    }
}
