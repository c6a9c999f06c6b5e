//! A form as `multipart/form-data` (RFC 7578, WHATWG HTML §4.10.21.8).

use std::hash::{BuildHasher, RandomState};

use bytes::Bytes;
use http::HeaderValue;

use super::part::Described;
use super::{Form, content_type};
use crate::api::upload::{Body, source};
use crate::call::Content;
use crate::error::Error;
use crate::job::Pieces;

/// # Errors
/// Whatever is wrong with the form.
pub(super) fn multipart(form: Form) -> Result<Body, Error> {
    if let Some(mistake) = form.mistake {
        return Err(mistake);
    }
    let boundary = match form.boundary {
        None => by_chance(),
        Some(given) if is_boundary(&given) => given,
        Some(_) => {
            let message = "the boundary of a form is not what RFC 2046 allows";
            return Err(Error::invalid_request(message));
        }
    };
    let announced = announced(&boundary)?;
    let mut contents = Vec::new();
    // Everything between two bodies is one piece.
    let mut between = Vec::new();
    for (name, part) in form.parts {
        let (described, content) = part.open()?;
        between.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
        describe(&name, &described, form.extended_file_names, &mut between);
        contents.push(in_memory(std::mem::take(&mut between)));
        contents.push(content);
        between.extend_from_slice(b"\r\n");
    }
    between.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    contents.push(in_memory(between));
    Ok(Body::of(together(contents), Some(announced)))
}

fn announced(boundary: &str) -> Result<HeaderValue, Error> {
    let is_token = boundary
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"'+_-.".contains(&byte));
    match is_token {
        true => content_type(&format!("multipart/form-data; boundary={boundary}")),
        false => content_type(&format!("multipart/form-data; boundary=\"{boundary}\"")),
    }
}

fn in_memory(bytes: Vec<u8>) -> Content {
    Content::Memory(Bytes::from(bytes).into())
}

/// One body of all: in memory if all of it is.
fn together(contents: Vec<Content>) -> Content {
    let mut pieces = Vec::new();
    for content in &contents {
        let Content::Memory(some) = content else {
            return source::joined(contents);
        };
        let mut some = some.clone();
        while !some.is_empty() {
            pieces.push(some.take(usize::MAX));
        }
    }
    Content::Memory(Pieces::of(pieces.into_iter()))
}

/// The headers of a part, and the empty line behind them.
fn describe(name: &str, part: &Described, extended: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(b"Content-Disposition: form-data; name=\"");
    quote(name, out);
    out.push(b'"');
    if let Some(file_name) = &part.file_name {
        out.extend_from_slice(b"; filename=\"");
        quote(file_name, out);
        out.push(b'"');
        if extended && !file_name.is_ascii() {
            out.extend_from_slice(b"; filename*=UTF-8''");
            extend(file_name, out);
        }
    }
    out.extend_from_slice(b"\r\n");
    if let Some(content_type) = &part.content_type {
        line(b"Content-Type", content_type, out);
    }
    for (name, value) in &part.headers {
        line(name.as_str().as_bytes(), value, out);
    }
    out.extend_from_slice(b"\r\n");
}

fn line(name: &[u8], value: &HeaderValue, out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// SPEC F6: what would end the quoted string or the line, and nothing else.
fn quote(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"%22"),
            b'\r' => out.extend_from_slice(b"%0D"),
            b'\n' => out.extend_from_slice(b"%0A"),
            _ => out.push(byte),
        }
    }
}

/// RFC 5987 §3.2.1: all but its `attr-char` in percent-encoding.
fn extend(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            true => out.push(byte),
            false => out.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
}

/// RFC 2046 §5.1.1.
fn is_boundary(text: &str) -> bool {
    (1..=70).contains(&text.len())
        && !text.ends_with(' ')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte))
}

/// SPEC F5. Seeded by the system, each time anew: whoever has chosen what is in
/// a part cannot know it.
fn by_chance() -> String {
    let draw = |salt: u8| RandomState::new().hash_one(salt);
    format!("{:016x}{:016x}", draw(0), draw(1))
}
