//! Message heads as they cross the layers: a request head on its way down,
//! a response head on its way up. A leaf: plain data, no I/O, no parsing.
//!
//! Both are kept small on purpose. Most requests carry fewer than ten fields,
//! so a request's [`Fields`] are a list searched in order, and a response head
//! stays the bytes it arrived as, with spans into them; an `http::HeaderMap`
//! is built only when somebody asks for one.

use std::fmt;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode, Version};

/// Header fields in order, repeats kept; names compare without case.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Fields(Vec<(HeaderName, HeaderValue)>);

impl Fields {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first value of this name.
    pub(crate) fn first(&self, name: &HeaderName) -> Option<&HeaderValue> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v)
    }

    /// All values of this name, in order.
    pub(crate) fn all(&self, name: &HeaderName) -> impl Iterator<Item = &HeaderValue> {
        self.0
            .iter()
            .filter(move |(n, _)| n == name)
            .map(|(_, v)| v)
    }

    pub(crate) fn contains(&self, name: &HeaderName) -> bool {
        self.first(name).is_some()
    }

    /// Adds a field behind the others, whatever stands there already.
    pub(crate) fn append(&mut self, name: HeaderName, value: HeaderValue) {
        self.0.push((name, value));
    }

    pub(crate) fn remove(&mut self, name: &HeaderName) {
        self.0.retain(|(n, _)| n != name);
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&HeaderName) -> bool) {
        self.0.retain(|(n, _)| keep(n));
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.0.iter().map(|(n, v)| (n, v))
    }

    pub(crate) fn to_map(&self) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(self.0.len().min(MAP_CAPACITY));
        for (name, value) in &self.0 {
            // Fails beyond the map's own limit, far above ours.
            let _ = map.try_append(name.clone(), value.clone());
        }
        map
    }
}

impl fmt::Debug for Fields {
    // Values may hold cookies and tokens, so names alone are printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.iter().map(|(name, _)| name.as_str()))
            .finish()
    }
}

/// A map refuses, by a panic, to be made larger than it can be; this it grows
/// from by itself.
const MAP_CAPACITY: usize = 1024;

/// How a request body is framed on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyLength {
    /// No body follows the head.
    Empty,
    /// `Content-Length` announces this many bytes.
    Known(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// Everything the wire needs of a request's head. `fields` are final: Host,
/// framing and all other automatic fields are already among them.
#[derive(Clone, Debug)]
pub(crate) struct RequestHead {
    pub(crate) method: Method,
    /// Origin form, absolute form or authority form (RFC 9112 §3.2).
    pub(crate) target: Bytes,
    pub(crate) version: Version,
    pub(crate) fields: Fields,
    pub(crate) body: BodyLength,
    /// Hold the body back until a 1xx reply (RFC 9110 §10.1.1).
    pub(crate) expect_continue: bool,
}

/// Where one field lies inside a head's bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FieldSpan {
    pub(crate) name: (u32, u32),
    pub(crate) value: (u32, u32),
}

/// A response head: the bytes that arrived and where the parts lie in them.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ResponseHead {
    version: Version,
    status: StatusCode,
    bytes: Bytes,
    reason: (u32, u32),
    fields: Box<[FieldSpan]>,
}

impl ResponseHead {
    /// Spans that do not lie inside `bytes` read as empty: a parser's slip
    /// must not become a panic.
    pub(crate) fn new(
        version: Version,
        status: StatusCode,
        bytes: Bytes,
        reason: (u32, u32),
        fields: Box<[FieldSpan]>,
    ) -> Self {
        Self {
            version,
            status,
            bytes,
            reason,
            fields,
        }
    }

    pub(crate) fn version(&self) -> Version {
        self.version
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The reason phrase as it stood on the status line, possibly empty.
    pub(crate) fn reason(&self) -> &[u8] {
        self.slice(self.reason)
    }

    /// Names and values exactly as they arrived, in order (SPEC R3).
    pub(crate) fn raw_fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields
            .iter()
            .map(|span| (self.slice(span.name), self.slice(span.value)))
    }

    /// Values of all fields of this name; `name` may have any case.
    pub(crate) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.raw_fields()
            .filter(move |(n, _)| n.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, v)| v)
    }

    pub(crate) fn first(&self, name: &str) -> Option<&[u8]> {
        self.raw_fields()
            .find(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, v)| v)
    }

    /// The fields as a case-insensitive multimap. Built on each call; the
    /// caller keeps it. A field the map cannot hold is left out.
    pub(crate) fn to_map(&self) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(self.fields.len().min(MAP_CAPACITY));
        for span in &self.fields {
            let value = self.bytes.get(range(span.value)).map(|v| {
                // Sharing the head's bytes costs no copy of the value.
                HeaderValue::from_maybe_shared(self.bytes.slice_ref(v))
            });
            if let (Ok(name), Some(Ok(value))) =
                (HeaderName::from_bytes(self.slice(span.name)), value)
            {
                // A session may allow more fields than a map can hold.
                let _ = map.try_append(name, value);
            }
        }
        map
    }

    fn slice(&self, span: (u32, u32)) -> &[u8] {
        self.bytes.get(range(span)).unwrap_or_default()
    }
}

impl fmt::Debug for ResponseHead {
    // Values may hold cookies and tokens, so they are not printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseHead")
            .field("version", &self.version)
            .field("status", &self.status)
            .field("fields", &self.fields.len())
            .finish_non_exhaustive()
    }
}

fn range(span: (u32, u32)) -> std::ops::Range<usize> {
    span.0 as usize..span.1 as usize
}

/// One answered step of a request that led to another: a redirect that was
/// followed (SPEC R7). `Debug` says how many headers there are, not what is in
/// them.
#[derive(Clone)]
#[non_exhaustive]
pub struct Hop {
    /// The status of the answer.
    pub status: StatusCode,
    /// The URL that was asked, without credentials.
    pub url: url::Url,
    /// The headers of the answer.
    pub headers: HeaderMap,
}

impl fmt::Debug for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hop")
            .field("status", &self.status)
            .field("url", &self.url.as_str())
            .field("headers", &self.headers.len())
            .finish()
    }
}
