//! Message heads as they cross the layers: a request head on its way down,
//! a response head on its way up. A leaf: plain data, no I/O, no parsing.
//!
//! Both are kept small on purpose. Most requests carry fewer than ten fields,
//! so a request's [`Fields`] are a list searched in order, kept as the text it is
//! sent as. A response head stays the bytes it arrived as, with spans into them;
//! an `http::HeaderMap` is built only when somebody asks for one.

use std::fmt;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode, Version};

/// Header fields in order, repeats kept; names compare without case.
///
/// They are kept in the form they are sent in, `name: value` and a line end
/// each: one piece of memory, which becomes a head by being copied. Names are
/// in lower case, and neither part can hold a line end, since [`HeaderName`]
/// and [`HeaderValue`] cannot.
///
/// The fields of a request may have its target in front of them: a whole head is
/// then one piece of memory to be made and freed. It is none of the fields.
#[derive(Clone, Default)]
pub(crate) struct Fields {
    text: Vec<u8>,
    /// Where the fields begin, behind a target.
    start: u32,
    /// A bit for each name that is here, by [`mark`], so that most names that
    /// are not here are found missing without a search.
    marks: u32,
}

impl Fields {
    /// Room for so many bytes of text.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self {
            text: Vec::with_capacity(capacity),
            start: 0,
            marks: 0,
        }
    }

    /// None yet, behind this target of a request; room for so many bytes of text.
    pub(crate) fn behind(target: &[u8], capacity: usize) -> Self {
        let mut fields = Self::with_capacity(target.len() + capacity);
        // No URL is longer than this.
        fields.start = u32::try_from(target.len()).unwrap_or(u32::MAX);
        let target = target.get(..fields.start as usize).unwrap_or_default();
        fields.text.extend_from_slice(target);
        fields
    }

    /// What stands in front of them.
    pub(crate) fn target(&self) -> &[u8] {
        self.text.get(..self.start as usize).unwrap_or_default()
    }

    pub(crate) fn len(&self) -> usize {
        self.iter().count()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text.len() == self.start as usize
    }

    /// All fields as they are sent, each with its line end.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.text.get(self.start as usize..).unwrap_or_default()
    }

    /// The first value of this name, which is given in lower case.
    #[inline]
    pub(crate) fn first(&self, name: &str) -> Option<&[u8]> {
        // Inlined, as the mark of a constant is a constant.
        match self.marks & mark(name.as_bytes()) {
            0 => None,
            _ => self.all(name).next(),
        }
    }

    /// All values of this name, which is given in lower case, in order.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        lines(self.as_bytes())
            .filter(move |line| line.name == name.as_bytes())
            .map(|line| line.value)
    }

    #[inline]
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.first(name).is_some()
    }

    /// Adds a field behind the others, whatever stands there already.
    pub(crate) fn append(&mut self, name: HeaderName, value: HeaderValue) {
        self.write(name.as_str().as_bytes(), value.as_bytes());
    }

    /// Adds a constant, which is known to be a header value.
    #[inline]
    pub(crate) fn append_static(&mut self, name: &'static str, value: &'static str) {
        debug_assert!(HeaderValue::from_str(value).is_ok(), "{value:?}");
        self.write(name.as_bytes(), value.as_bytes());
    }

    /// Adds printable ASCII without spaces; false when it is anything else.
    #[must_use]
    pub(crate) fn append_word(&mut self, name: &'static str, value: &str) -> bool {
        let is_word = is_graphic(value.as_bytes());
        if is_word {
            self.write(name.as_bytes(), value.as_bytes());
        }
        is_word
    }

    /// Adds fields of another list.
    pub(crate) fn append_all(&mut self, others: &Self) {
        self.text.extend_from_slice(others.as_bytes());
        self.marks |= others.marks;
    }

    /// Adds the first field of this name in another list, if there is one.
    pub(crate) fn append_first(&mut self, others: &Self, name: &str) -> bool {
        let Some(value) = others.first(name) else {
            return false;
        };
        self.write(name.as_bytes(), value);
        true
    }

    /// Adds those fields of another list whose names pass.
    pub(crate) fn append_some(&mut self, others: &Self, pass: impl Fn(&[u8]) -> bool) {
        for line in lines(others.as_bytes()).filter(|line| pass(line.name)) {
            self.write(line.name, line.value);
        }
    }

    /// Adds the fields whose names are not here yet, repeats included.
    #[inline]
    pub(crate) fn append_missing(&mut self, others: &Self) {
        if others.is_empty() {
            return;
        }
        if self.is_empty() {
            self.append_all(others);
        } else {
            let own = self.clone();
            self.append_some(others, |name| lines(own.as_bytes()).all(|l| l.name != name));
        }
    }

    /// Removes all fields of this name, which is given in lower case.
    pub(crate) fn remove(&mut self, name: &str) {
        self.retain(|n| n != name.as_bytes());
    }

    /// Keeps the fields whose names pass; names come in lower case.
    pub(crate) fn retain(&mut self, keep: impl Fn(&[u8]) -> bool) {
        let all = std::mem::take(self);
        *self = Self::behind(all.target(), all.as_bytes().len());
        self.append_some(&all, keep);
    }

    /// Names, in lower case, and values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        lines(self.as_bytes()).map(|line| (line.name, line.value))
    }

    pub(crate) fn to_map(&self) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(self.len().min(MAP_CAPACITY));
        for (name, value) in self.iter() {
            if let (Ok(name), Ok(value)) =
                (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
            {
                // Fails beyond the map's own limit, far above ours.
                let _ = map.try_append(name, value);
            }
        }
        map
    }

    #[inline]
    fn write(&mut self, name: &[u8], value: &[u8]) {
        self.marks |= mark(name);
        self.text.reserve(name.len() + value.len() + 4);
        self.text.extend_from_slice(name);
        self.text.extend_from_slice(b": ");
        self.text.extend_from_slice(value);
        self.text.extend_from_slice(b"\r\n");
    }
}

/// Fields behind a body: boxed, since few have any.
pub(crate) type Trailers = Option<Box<Fields>>;

/// Two lists are equal when their fields are.
impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Fields {}

/// The bit of a name. Two names may share one, no two of those that a request
/// is searched for do.
#[inline]
fn mark(name: &[u8]) -> u32 {
    let ends = match name {
        [first, .., last] => usize::from(*first) + 4 * usize::from(*last),
        _ => 0,
    };
    1 << ((ends + name.len()) % 32)
}

/// Whether all of it is printable ASCII without spaces.
pub(crate) fn is_graphic(text: &[u8]) -> bool {
    let each = |byte| u64::from_le_bytes([byte; 8]);
    // What is below `!` wraps, and above `~` fills its lane or has filled it. A
    // lane changes another only where it is itself found.
    let odd = |chunk: &[u8; 8]| {
        let word = u64::from_le_bytes(*chunk);
        (word.wrapping_sub(each(b'!')) | word.wrapping_add(each(1)) | word) & each(0x80)
    };
    match text.last_chunk() {
        // The last eight may be looked at twice in part.
        Some(last) => {
            let chunks = text.as_chunks().0.iter();
            chunks.fold(odd(last), |all, chunk| all | odd(chunk)) == 0
        }
        None => text.iter().all(u8::is_ascii_graphic),
    }
}

struct Line<'a> {
    name: &'a [u8],
    value: &'a [u8],
}

/// The lines of a list's text, where the first colon ends the name and nothing
/// but the line's end is a CR.
fn lines(mut text: &[u8]) -> impl Iterator<Item = Line<'_>> {
    std::iter::from_fn(move || {
        let end = text.iter().position(|byte| *byte == b'\r')?;
        let (line, rest) = text.split_at_checked(end)?;
        text = rest.get(2..)?;
        let colon = line.iter().position(|byte| *byte == b':')?;
        Some(Line {
            name: line.get(..colon)?,
            value: line.get(colon + 2..)?,
        })
    })
}

impl fmt::Debug for Fields {
    // Values may hold cookies and tokens, so names alone are printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.iter().map(|(name, _)| name.escape_ascii().to_string()))
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
    pub(crate) version: Version,
    /// Behind its target.
    pub(crate) fields: Fields,
    pub(crate) body: BodyLength,
    /// Hold the body back until a 1xx reply (RFC 9110 §10.1.1).
    pub(crate) expect_continue: bool,
}

impl RequestHead {
    /// Origin form, absolute form or authority form (RFC 9112 §3.2).
    pub(crate) fn target(&self) -> &[u8] {
        self.fields.target()
    }

    pub(crate) fn set_target(&mut self, target: &[u8]) {
        let mut fields = Fields::behind(target, self.fields.as_bytes().len());
        fields.append_all(&self.fields);
        self.fields = fields;
    }
}

/// Where one field lies inside a head's bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FieldSpan {
    pub(crate) name: (u32, u32),
    pub(crate) value: (u32, u32),
}

/// The bit of names as long as this one.
fn length_bit(length: usize) -> u64 {
    1 << (length % 64)
}

/// Fields for which a response head needs no memory beside its own.
const NEAR: usize = 16;

/// A response head: the bytes that arrived and where the parts lie in them. Boxed:
/// it goes through many hands.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ResponseHead(Box<Parts>);

#[derive(Clone, PartialEq, Eq)]
struct Parts {
    version: Version,
    status: StatusCode,
    bytes: Bytes,
    reason: (u32, u32),
    /// The first fields, which are mostly all.
    near: [FieldSpan; NEAR],
    used: usize,
    far: Vec<FieldSpan>,
    /// A bit for each length a name has. Most fields that are asked for are not
    /// there, and mostly none is as long.
    lengths: u64,
}

impl ResponseHead {
    /// Of nothing but a status line. Spans that do not lie inside the bytes read as
    /// empty: a parser's slip must not become a panic.
    pub(crate) fn new(version: Version, status: StatusCode, reason: (u32, u32)) -> Self {
        Self(Box::new(Parts {
            version,
            status,
            bytes: Bytes::new(),
            reason,
            near: [FieldSpan::default(); NEAR],
            used: 0,
            far: Vec::new(),
            lengths: 0,
        }))
    }

    /// Adds a field.
    #[inline]
    pub(crate) fn push(&mut self, span: FieldSpan) {
        let parts = &mut *self.0;
        parts.lengths |= length_bit(range(span.name).len());
        match parts.near.get_mut(parts.used) {
            Some(place) => {
                *place = span;
                parts.used += 1;
            }
            None => parts.far.push(span),
        }
    }

    /// With the bytes that all spans are of.
    pub(crate) fn over(mut self, bytes: Bytes) -> Self {
        self.0.bytes = bytes;
        self
    }

    /// How many fields there are.
    pub(crate) fn len(&self) -> usize {
        self.0.used + self.0.far.len()
    }

    fn spans(&self) -> impl Iterator<Item = &FieldSpan> {
        self.0.near.iter().take(self.0.used).chain(&self.0.far)
    }

    pub(crate) fn version(&self) -> Version {
        self.0.version
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The reason phrase as it stood on the status line, possibly empty.
    pub(crate) fn reason(&self) -> &[u8] {
        self.slice(self.0.reason)
    }

    /// Names and values exactly as they arrived, in order (SPEC R3).
    pub(crate) fn raw_fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.spans()
            .map(|span| (self.slice(span.name), self.slice(span.value)))
    }

    /// Values of all fields of this name; `name` may have any case.
    pub(crate) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.spans()
            .filter(move |span| self.is_named(span, name))
            .map(|span| self.slice(span.value))
    }

    pub(crate) fn first(&self, name: &str) -> Option<&[u8]> {
        if self.0.lengths & length_bit(name.len()) == 0 {
            return None;
        }
        let mut fields = self.spans();
        let span = fields.find(|span| self.is_named(span, name))?;
        Some(self.slice(span.value))
    }

    /// Lengths differ, so most names are never looked at.
    fn is_named(&self, span: &FieldSpan, name: &str) -> bool {
        range(span.name).len() == name.len()
            && self.slice(span.name).eq_ignore_ascii_case(name.as_bytes())
    }

    /// The fields as a case-insensitive multimap. Built on each call; the
    /// caller keeps it. A field the map cannot hold is left out.
    pub(crate) fn to_map(&self) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(self.len().min(MAP_CAPACITY));
        for span in self.spans() {
            let value = self.0.bytes.get(range(span.value)).map(|v| {
                // Sharing the head's bytes costs no copy of the value.
                HeaderValue::from_maybe_shared(self.0.bytes.slice_ref(v))
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
        self.0.bytes.get(range(span)).unwrap_or_default()
    }
}

impl fmt::Debug for ResponseHead {
    // Values may hold cookies and tokens, so they are not printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseHead")
            .field("version", &self.0.version)
            .field("status", &self.0.status)
            .field("fields", &self.len())
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

#[cfg(all(test, not(loom)))]
mod tests;
