//! What a request carries.

use std::fmt;

use bytes::Bytes;

use crate::call::RequestBody;
use crate::job::Upload;

/// A request body. Made from bytes or text; text is sent as UTF-8 and says so.
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
pub struct Body(pub(super) RequestBody);

impl Body {
    /// Bytes, sent as `application/octet-stream` unless a `Content-Type` says
    /// otherwise (SPEC B1).
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self::typed::<Bytes>(bytes.into(), "application/octet-stream")
    }

    /// Text, sent as `text/plain; charset=utf-8` unless a `Content-Type` says
    /// otherwise (SPEC B2).
    pub fn text(text: impl Into<String>) -> Self {
        Self::typed(Bytes::from(text.into()), "text/plain; charset=utf-8")
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
        Self::typed(Upload::of_pieces(pieces), "application/octet-stream")
    }

    pub(super) fn typed<U: Into<Upload>>(upload: U, content_type: &'static str) -> Self {
        let upload = upload.into();
        // SPEC H6: nothing is said of the type of nothing.
        let content_type = (!upload.is_empty()).then_some(content_type);
        Self(RequestBody {
            upload,
            content_type,
        })
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.0.upload.len())
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
