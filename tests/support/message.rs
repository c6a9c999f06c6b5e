//! HTTP messages as the peers see them: a request taken apart without any of
//! the client's own code, and responses put together as plain bytes.
//!
//! The parser is strict about framing on purpose: what it cannot read is a
//! fault of the client, and the script ends in an error that says so.

use std::io;

/// One request as it came over the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) version: String,
    /// In the order and the spelling they came in.
    pub(crate) headers: Vec<(String, String)>,
    /// The body with its transfer coding taken off.
    pub(crate) body: Vec<u8>,
    /// The sizes of its chunks, the last one (0) left out; empty if not chunked.
    pub(crate) chunks: Vec<usize>,
    pub(crate) trailers: Vec<(String, String)>,
    /// The head's own bytes, the empty line included.
    pub(crate) raw_head: Vec<u8>,
    /// Which of the peer's connections it came on, counted from 0.
    pub(crate) connection: usize,
}

impl Request {
    /// The first value of this header, whatever its letters' case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.header_all(name).next()
    }

    pub(crate) fn header_all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers
            .iter()
            .filter(move |(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// `GET /path`, which is what a list of requests is compared by.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Whether the client asked for the connection to be closed after this.
    pub(crate) fn wants_close(&self) -> bool {
        self.header_all("connection").any(has_close)
    }

    pub(crate) fn framing(&self) -> io::Result<Framing> {
        let coding = self.header("transfer-encoding");
        let length: Vec<_> = self.header_all("content-length").collect();
        match (coding, length.as_slice()) {
            (None, []) => Ok(Framing::Length(0)),
            (Some(coding), []) if coding.eq_ignore_ascii_case("chunked") => Ok(Framing::Chunked),
            (None, [length]) if length.bytes().all(|b| b.is_ascii_digit()) => length
                .parse()
                .map(Framing::Length)
                .map_err(|_| malformed("Content-Length", length)),
            other => Err(malformed("body framing", &format!("{other:?}"))),
        }
    }
}

/// How a request's body ends (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(usize),
    Chunked,
}

/// Takes a head apart; `raw` ends with the empty line.
pub(crate) fn parse_head(raw: &[u8]) -> io::Result<Request> {
    let text = std::str::from_utf8(raw)
        .map_err(|_| malformed("request head", &String::from_utf8_lossy(raw)))?;
    let mut lines = text.trim_end_matches("\r\n").split("\r\n");
    let line = lines.next().unwrap_or_default();
    let parts: Vec<_> = line.split(' ').collect();
    let [method, target, version] = parts.as_slice() else {
        return Err(malformed("request line", line));
    };
    Ok(Request {
        method: (*method).to_owned(),
        target: (*target).to_owned(),
        version: (*version).to_owned(),
        headers: parse_fields(lines)?,
        raw_head: raw.to_vec(),
        ..Request::default()
    })
}

/// Reads `name: value` lines, of a head or of trailers.
pub(crate) fn parse_fields<'a>(
    lines: impl Iterator<Item = &'a str>,
) -> io::Result<Vec<(String, String)>> {
    lines
        .map(|line| match line.split_once(':') {
            Some((name, value)) if !name.is_empty() && !name.contains([' ', '\t']) => {
                Ok((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()))
            }
            _ => Err(malformed("header line", line)),
        })
        .collect()
}

/// A chunk's size from its line; extensions after `;` are skipped.
pub(crate) fn parse_chunk_size(line: &str) -> io::Result<usize> {
    let digits = line.split(';').next().unwrap_or_default().trim_end();
    usize::from_str_radix(digits, 16).map_err(|_| malformed("chunk size", line))
}

pub(crate) fn malformed(what: &str, found: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the client sent a malformed {what}: {found:?}"),
    )
}

/// `200 OK` with this body and its length.
pub(crate) fn ok(body: impl AsRef<[u8]>) -> Vec<u8> {
    response("200 OK", &[], body)
}

/// A whole response with `Content-Length`; `status` is `404 Not Found`, say.
pub(crate) fn response(status: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Vec<u8> {
    let length = body.as_ref().len().to_string();
    let mut all = headers.to_vec();
    all.push(("Content-Length", &length));
    let mut bytes = head(status, &all);
    bytes.extend_from_slice(body.as_ref());
    bytes
}

/// Only a response's head, with nothing added.
pub(crate) fn head(status: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status}\r\n");
    for (name, value) in headers {
        text.push_str(name);
        text.push_str(": ");
        text.push_str(value);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// A whole `200 OK` in chunks; an empty part is left out, as it would end the body.
pub(crate) fn chunked(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = head("200 OK", &[("Transfer-Encoding", "chunked")]);
    for part in parts.iter().filter(|part| !part.is_empty()) {
        bytes.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
        bytes.extend_from_slice(part);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

/// Whether a response that a handler made announces the connection's end.
pub(crate) fn response_closes(bytes: &[u8]) -> bool {
    let end = bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap_or(bytes.len());
    let text = String::from_utf8_lossy(&bytes[..end]);
    text.lines().skip(1).any(|line| {
        line.split_once(':').is_some_and(|(name, value)| {
            name.eq_ignore_ascii_case("connection") && has_close(value)
        })
    })
}

fn has_close(value: &str) -> bool {
    value
        .split(',')
        .any(|option| option.trim().eq_ignore_ascii_case("close"))
}
