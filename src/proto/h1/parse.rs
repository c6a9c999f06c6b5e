//! Reading the line-structured parts of a reply: its head, and the trailer
//! section of a chunked body.
//!
//! Both are first *found* and then *parsed*. [`Section`] looks for the empty
//! line as bytes trickle in; it remembers where it stopped, so each byte is
//! searched once however the peer slices them, and it refuses a line the
//! moment it passes its limit. Only a complete section is parsed, once.
//!
//! Leniency (RFC 9112 §2.2, §5; SPEC R38), all of it in heads only or by
//! rewriting what is still our own buffer:
//!
//! * a bare LF ends a line of a head (not of a trailer section, which is part
//!   of chunk framing);
//! * obs-fold reads as spaces: the line end before the continuation is
//!   overwritten in place, so no parser behind this point knows of folding;
//! * lines between status line and first field that begin with a space are
//!   consumed unread, as §2.2 offers, by the same means: they become the tail
//!   of the status line, behind the end that was noted for the reason phrase;
//! * space between a field name and the colon is cut off. §5.1 has a proxy do
//!   so for a reply, and no second reader of this reply can be misled by it.
//!
//! Strict mode reads nothing of this, and no empty line before the head.

use std::io::BufRead;
use std::mem::MaybeUninit;

use bytes::BytesMut;
use http::header::{HeaderName, HeaderValue};
use http::{StatusCode, Version};
use httparse::{Header, ParserConfig, Response, Status};

use super::machine::Limits;
use super::plain;
use crate::head::{FieldSpan, Fields, ResponseHead};
use crate::proto::{ChunkFault, Fault, FramingFault, HeadFault, HeadLimit};

/// How much of a reply that is not HTTP is shown in the fault.
const SAMPLE: usize = 24;

/// Field counts up to this are parsed without a heap allocation.
const ON_STACK: usize = 48;

/// Looks for the end of a head in `input`; on success takes it off.
///
/// `None`: needs more bytes. A stray line end before the status line is
/// skipped, once (RFC 9112 §2.2 asks it of servers; some send one too many
/// after a body).
pub(super) fn head(
    search: &mut HeadSearch,
    input: &mut BytesMut,
    limits: &Limits,
) -> Result<Option<(ResponseHead, Facts)>, Fault> {
    // Tried once: a head that comes in pieces would be read from its beginning
    // for each of them.
    if !std::mem::replace(&mut search.tried, true)
        && let Some(plain) = plain::head(input, limits)
    {
        return Ok(Some(plain));
    }
    searched(search, input, limits)
}

/// The same for any head.
pub(super) fn searched(
    search: &mut HeadSearch,
    input: &mut BytesMut,
    limits: &Limits,
) -> Result<Option<(ResponseHead, Facts)>, Fault> {
    if !search.begun {
        if !search.skipped && !limits.strict {
            match input.as_ref() {
                [b'\r'] => return Ok(None),
                [b'\r', b'\n', ..] => {
                    let _ = input.split_to(2);
                    search.skipped = true;
                }
                [b'\n', ..] => {
                    let _ = input.split_to(1);
                    search.skipped = true;
                }
                _ => {}
            }
        }
        search.begun = begins_http1(input)?;
    }
    let too_large = |fault| match fault {
        SectionFault::TooLarge { limit, max } => Fault::HeadTooLarge { limit, max },
        SectionFault::LineEnd => Fault::BadHead(HeadFault::LineEnd),
        SectionFault::Folded => Fault::BadHead(HeadFault::Folded),
    };
    match search.section.find_end(input, limits).map_err(too_large)? {
        Some(end) => parse_head(input.split_to(end), &search.section, limits.strict).map(Some),
        None => Ok(None),
    }
}

/// Progress of the search for one head.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeadSearch {
    section: Section,
    /// The first eight bytes have been seen and are those of HTTP/1.
    begun: bool,
    skipped: bool,
    /// It was not plain, or not whole.
    tried: bool,
}

impl HeadSearch {
    pub(super) fn new() -> Self {
        Self {
            section: Section::new(SectionKind::Head),
            begun: false,
            skipped: false,
            tried: false,
        }
    }
}

/// Judges the first bytes as they come: a peer that speaks something else
/// (TLS, SSH, HTTP/0.9) is refused now, not at a line end that may never come.
/// True when all eight bytes are there.
fn begins_http1(input: &[u8]) -> Result<bool, Fault> {
    let start = input.get(..8).unwrap_or(input);
    for (at, byte) in start.iter().enumerate() {
        let as_expected = match at {
            0..5 => b"HTTP/".get(at) == Some(byte),
            5 => byte.is_ascii_digit(),
            // From here on it is HTTP, only of another version.
            6 if start.get(5) != Some(&b'1') || *byte != b'.' => return Err(Fault::BadVersion),
            7 if !matches!(byte, b'0' | b'1') => return Err(Fault::BadVersion),
            _ => true,
        };
        if !as_expected {
            let sample = input.get(..SAMPLE).unwrap_or(input);
            return Err(Fault::NotHttp {
                sample: sample.escape_ascii().to_string().into(),
            });
        }
    }
    Ok(start.len() == 8)
}

fn parse_head(
    bytes: BytesMut,
    section: &Section,
    strict: bool,
) -> Result<(ResponseHead, Facts), Fault> {
    let bytes = bytes.freeze();
    let mut on_stack = [const { MaybeUninit::<Header<'_>>::uninit() }; ON_STACK];
    let mut on_heap = Vec::new();
    let slots = match on_stack.get_mut(..section.fields) {
        Some(slots) => slots,
        None => {
            on_heap.resize(section.fields, MaybeUninit::uninit());
            on_heap.as_mut_slice()
        }
    };

    let mut reply = Response::new(&mut []);
    let end = ParserConfig::default()
        .allow_spaces_after_header_name_in_responses(!strict)
        .parse_response_with_uninit_headers(&mut reply, &bytes, slots)
        .map_err(|error| {
            Fault::BadHead(match error {
                httparse::Error::HeaderName => HeadFault::FieldName,
                httparse::Error::HeaderValue => HeadFault::FieldValue,
                // The slots were counted, so there is one for every line.
                httparse::Error::NewLine | httparse::Error::TooManyHeaders => HeadFault::LineEnd,
                httparse::Error::Status | httparse::Error::Version | httparse::Error::Token => {
                    HeadFault::StatusLine
                }
            })
        })?;
    // Both sides must agree where the head ends, or the rest is not a body.
    if end != Status::Complete(bytes.len()) {
        return Err(Fault::BadHead(HeadFault::LineEnd));
    }
    let (Some(minor), Some(Ok(status))) = (reply.version, reply.code.map(StatusCode::from_u16))
    else {
        return Err(Fault::BadHead(HeadFault::StatusLine));
    };
    let version = if minor == 0 {
        Version::HTTP_10
    } else {
        Version::HTTP_11
    };

    let mut facts = Facts::default();
    for field in reply.headers.iter() {
        facts.observe(field.name.as_bytes(), field.value);
    }
    // The section's limits keep every offset far below `u32::MAX`.
    let span = |part: &[u8]| {
        let start = part.as_ptr().addr().saturating_sub(bytes.as_ptr().addr());
        (start as u32, (start + part.len()) as u32)
    };
    // "HTTP/1.1 200 " has 13 bytes; the parser accepts no other spacing. It
    // would give no reason phrase that holds obs-text, so it is cut here.
    let reason = (13, (section.first_end as u32).max(13));
    let mut head = ResponseHead::new(version, status, reason);
    for field in reply.headers.iter() {
        head.push(FieldSpan {
            name: span(field.name.as_bytes()),
            value: span(field.value),
        });
    }
    Ok((head.over(bytes), facts))
}

/// What a head says of framing and of the connection's future.
#[derive(Debug)]
pub(super) struct Facts {
    /// Faults wait here because framing by status code overrides them: a HEAD
    /// reply with a broken length is still a reply (RFC 9112 §6.3, item 1).
    pub(super) length: Result<Option<u64>, FramingFault>,
    pub(super) coding: Result<Coding, FramingFault>,
    /// Coding lists no sound sender writes: `identity`, or chunked twice.
    pub(super) is_doubtful: bool,
    pub(super) close: bool,
    pub(super) keep_alive: bool,
}

/// Transfer codings, as far as this client reads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Absent,
    Chunked,
}

impl Default for Facts {
    fn default() -> Self {
        Self {
            length: Ok(None),
            coding: Ok(Coding::Absent),
            is_doubtful: false,
            close: false,
            keep_alive: false,
        }
    }
}

impl Facts {
    /// Whether a name of this length may be one of those that [`Self::observe`]
    /// looks for. Most are not.
    #[inline]
    pub(super) fn concerns(name_length: usize) -> bool {
        matches!(name_length, 10 | 14 | 17)
    }

    /// The usual spelling is compared first, since that is cheaper.
    pub(super) fn observe(&mut self, name: &[u8], value: &[u8]) {
        match name.len() {
            10 if name == b"Connection" || name.eq_ignore_ascii_case(b"connection") => {
                // One token alone, as nearly always, needs no list to be read.
                let is_alone = value == b"keep-alive";
                self.close |= !is_alone && has_token(value, b"close");
                self.keep_alive |= is_alone || has_token(value, b"keep-alive");
            }
            14 if name == b"Content-Length" || name.eq_ignore_ascii_case(b"content-length") => {
                self.observe_length(value);
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.observe_coding(value),
            _ => {}
        }
    }

    /// RFC 9110 §8.6: a list of identical values is one value; RFC 9112 §6.3
    /// item 5: anything else that is not one number is an error.
    fn observe_length(&mut self, value: &[u8]) {
        if self.length == Ok(None)
            && let Some(length) = decimal(value)
        {
            self.length = Ok(Some(length));
            return;
        }
        for element in elements(value) {
            let Ok(known) = self.length else { return };
            self.length = match (known, decimal(element)) {
                (_, None) => Err(FramingFault::InvalidLength),
                (Some(known), Some(length)) if known != length => {
                    Err(FramingFault::ConflictingLengths)
                }
                (_, length) => Ok(length),
            };
        }
    }

    /// Codings other than chunked are refused by name wherever they stand:
    /// handing out bytes still coded would be a wrong body. `identity` (gone
    /// since RFC 7230) says nothing, and chunked named twice is in the wild
    /// applied once.
    fn observe_coding(&mut self, value: &[u8]) {
        for element in elements(value) {
            if element.is_empty() || self.coding.is_err() {
                continue;
            }
            if element.eq_ignore_ascii_case(b"chunked") {
                self.is_doubtful |= self.coding == Ok(Coding::Chunked);
                self.coding = Ok(Coding::Chunked);
            } else if element.eq_ignore_ascii_case(b"identity") {
                self.is_doubtful = true;
            } else {
                let shown = element.get(..64).unwrap_or(element);
                self.coding = Err(FramingFault::UnsupportedCoding(
                    shown.escape_ascii().to_string().into(),
                ));
            }
        }
    }
}

/// Whether a comma list holds this token, without case (RFC 9110 §5.6.1).
pub(super) fn has_token(value: &[u8], token: &[u8]) -> bool {
    elements(value).any(|element| element.eq_ignore_ascii_case(token))
}

fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|b| *b == b',').map(<[u8]>::trim_ascii)
}

/// Digits and nothing else: the standard parser would take a sign.
fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |value, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

/// Parses a trailer section that [`Section`] has found, taken off the input.
/// Fields that must not stand in trailers are dropped, not refused: they come
/// from careless peers more often than from hostile ones.
pub(super) fn trailers(section: &[u8], strict: bool) -> Result<Fields, Fault> {
    const MALFORMED: Fault = Fault::BadChunk(ChunkFault::Trailer);
    let mut fields = Fields::default();
    for line in section.split(|b| *b == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        let colon = line.iter().position(|b| *b == b':').ok_or(MALFORMED)?;
        let (name, value) = line.split_at_checked(colon).ok_or(MALFORMED)?;
        // The split is at the colon, which is still the value's first byte.
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        // Space before the colon goes, space before the name is a fault.
        let name = if strict { name } else { name.trim_ascii_end() };
        let name = HeaderName::from_bytes(name).map_err(|_| MALFORMED)?;
        let value = HeaderValue::from_bytes(value).map_err(|_| MALFORMED)?;
        if !FORBIDDEN_TRAILERS.contains(&name.as_str()) {
            fields.append(name, value);
        }
    }
    Ok(fields)
}

/// RFC 9110 §6.5.1: what frames, routes, authenticates or describes the
/// message is too late behind it, and dangerous if somebody merges it.
const FORBIDDEN_TRAILERS: &[&str] = &[
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "host",
    "keep-alive",
    "location",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "www-authenticate",
];

/// The incremental search for the empty line that ends a head or trailers.
/// Offsets count from the beginning of the input, which must not be consumed
/// in between.
#[derive(Clone, Copy, Debug)]
pub(super) struct Section {
    kind: SectionKind,
    /// Where the current line begins.
    line: usize,
    /// No line end lies between `line` and here.
    scanned: usize,
    /// Where the current field begins, some lines earlier if it is folded.
    field: usize,
    /// The end of the previous line's text, before its CRLF.
    previous_end: usize,
    /// The end of the status line's text.
    first_end: usize,
    fields: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SectionKind {
    Head,
    Trailers,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SectionFault {
    TooLarge { limit: HeadLimit, max: usize },
    LineEnd,
    Folded,
}

/// What a line of a section is, as its first byte tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Status,
    Field,
    Continuation,
}

impl Section {
    pub(super) fn new(kind: SectionKind) -> Self {
        Self {
            kind,
            line: 0,
            scanned: 0,
            field: 0,
            previous_end: 0,
            first_end: 0,
            fields: 0,
        }
    }

    /// The offset behind the empty line, when it has come.
    pub(super) fn find_end(
        &mut self,
        input: &mut BytesMut,
        limits: &Limits,
    ) -> Result<Option<usize>, SectionFault> {
        loop {
            let Some(length) = line_length(input.get(self.scanned..).unwrap_or_default()) else {
                self.scanned = self.scanned.max(input.len());
                // A CR at the very end may yet prove to be half a line end.
                let text = input.get(self.line..).unwrap_or_default();
                let text = text.strip_suffix(b"\r").unwrap_or(text);
                if let Some(first) = text.first() {
                    let line = self.classify(*first);
                    self.check(line, self.line + text.len(), limits)?;
                }
                return Ok(None);
            };
            let next = self.scanned + length;
            let text = input.get(self.line..next - 1).unwrap_or_default();
            let text = match text.strip_suffix(b"\r") {
                Some(text) => text,
                None if self.kind == SectionKind::Trailers || limits.strict => {
                    return Err(SectionFault::LineEnd);
                }
                None => text,
            };
            let Some(first) = text.first() else {
                return Ok(Some(next));
            };
            let (line, end) = (self.classify(*first), self.line + text.len());
            self.check(line, end, limits)?;
            match line {
                Line::Status => {
                    self.first_end = end;
                    self.field = next;
                }
                Line::Field => {
                    self.fields += 1;
                    self.field = self.line;
                }
                Line::Continuation if limits.strict => return Err(SectionFault::Folded),
                Line::Continuation => {
                    let line_end = input.get_mut(self.previous_end..self.line);
                    line_end.unwrap_or_default().fill(b' ');
                }
            }
            self.previous_end = end;
            self.line = next;
            self.scanned = next;
        }
    }

    fn classify(&self, first: u8) -> Line {
        let is_first = self.line == 0;
        match (self.kind, first) {
            (SectionKind::Head, _) if is_first => Line::Status,
            (_, b' ' | b'\t') if !is_first => Line::Continuation,
            _ => Line::Field,
        }
    }

    /// Judges the current line, whose text reaches `end` so far. The same
    /// verdict falls on a line in full and on the part that passes a limit.
    fn check(&self, line: Line, end: usize, limits: &Limits) -> Result<(), SectionFault> {
        let (limit, max, size) = match line {
            Line::Status => (HeadLimit::Line, limits.max_line, end),
            Line::Field if self.fields >= limits.max_fields => {
                (HeadLimit::Fields, limits.max_fields, usize::MAX)
            }
            Line::Field => (HeadLimit::Field, limits.max_field, end - self.line),
            Line::Continuation => (HeadLimit::Field, limits.max_field, end - self.field),
        };
        if size > max {
            return Err(SectionFault::TooLarge { limit, max });
        }
        let max = limits.max_total();
        if end > max {
            let limit = HeadLimit::Total;
            return Err(SectionFault::TooLarge { limit, max });
        }
        Ok(())
    }
}

/// Length of the first line, its LF included. The standard library's search
/// for a delimiter is the platform's `memchr`, several bytes at a time.
fn line_length(mut bytes: &[u8]) -> Option<usize> {
    let whole = bytes;
    // Reading from a slice cannot fail.
    let length = bytes.skip_until(b'\n').unwrap_or(0);
    let last = whole.get(..length)?.last()?;
    (*last == b'\n').then_some(length)
}
