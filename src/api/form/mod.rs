//! Forms: fields and files, as `multipart/form-data` or
//! `application/x-www-form-urlencoded` (SPEC §10).

mod encode;
mod part;

use std::fmt;
use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use http::HeaderValue;
use url::form_urlencoded;

pub use self::part::Part;
use super::upload::Body;
use crate::error::Error;

const URLENCODED: &str = "application/x-www-form-urlencoded";

/// The fields of a form, in their order; a name may stand there several times.
///
/// [`RequestBuilder::multipart`](crate::RequestBuilder::multipart) sends it as
/// `multipart/form-data` (RFC 7578), whatever is in it. As a [`Body`], by
/// `into()`, it is what a browser's form would be: urlencoded where every field
/// is plain text or bytes, and multipart where one is a file or has a type, a
/// file name or headers of its own (SPEC F2).
///
/// A form of several parts has a `Content-Length` if the length of each part is
/// known, and is sent in chunks otherwise (SPEC F7). It can be sent again if
/// each of its parts can. Files and readers are read one after the other by a
/// thread of their own; see [`Body`]. What is wrong with a field is an error at
/// the verb, of kind [`InvalidRequest`](crate::Kind::InvalidRequest).
///
/// ```no_run
/// use miohttp::{Form, Part, Session};
///
/// let form = Form::new()
///     .text("title", "Grüße aus Rom")
///     .file("photo", "/home/me/IMG_0042.jpeg")
///     .part("notes", Part::text("{}").content_type("application/json"));
/// Session::new().post("http://example.com/album").multipart(form).send()?;
/// # Ok::<(), miohttp::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Form {
    parts: Vec<(String, Part)>,
    boundary: Option<String>,
    extended_file_names: bool,
    /// The first mistake; the verb reports it.
    mistake: Option<Error>,
}

impl Form {
    /// A form without fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// A field of text. As a part of several it is
    /// `text/plain; charset=utf-8` (SPEC F5).
    ///
    /// A name may hold anything but CR, LF and NUL (SPEC F8).
    pub fn text(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.part(name, Part::text(value))
    }

    /// A field of bytes. It is no file: it has no file name (SPEC F3).
    pub fn bytes(self, name: impl Into<String>, value: impl Into<Bytes>) -> Self {
        self.part(name, Part::bytes(value))
    }

    /// A file, under its own name and as the type that this stands for; see
    /// [`Part::file`].
    pub fn file(self, name: impl Into<String>, path: impl AsRef<Path>) -> Self {
        self.part(name, Part::file(path))
    }

    /// What a reader gives, as a file of this name; see [`Part::reader`].
    pub fn reader(
        self,
        name: impl Into<String>,
        file_name: impl Into<String>,
        reader: impl Read + Send + 'static,
    ) -> Self {
        self.part(name, Part::reader(reader).file_name(file_name))
    }

    /// Any part (SPEC F1).
    pub fn part(mut self, name: impl Into<String>, part: Part) -> Self {
        let name = name.into();
        if name.contains(['\r', '\n', '\0']) {
            let message = "the name of a form field holds a line end or NUL";
            self.mistake
                .get_or_insert_with(|| Error::invalid_request(message));
        }
        self.parts.push((name, part));
        self
    }

    /// Several fields of text (SPEC F4).
    ///
    /// ```
    /// use miohttp::Form;
    ///
    /// let form = Form::new().fields([("tag", "new"), ("tag", "cheap")]);
    /// # drop(form);
    /// ```
    pub fn fields<K, V>(self, fields: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<String>,
        V: Into<String>,
    {
        let fields = fields.into_iter();
        fields.fold(self, |form, (name, value)| form.text(name, value))
    }

    /// What separates the parts: 1 to 70 letters, digits and some signs
    /// (RFC 2046, section 5.1.1). The default is 32 hexadecimal digits drawn by
    /// chance (SPEC F5), so that no part holds them. Others are an error at the
    /// verb.
    pub fn boundary(mut self, boundary: impl Into<String>) -> Self {
        self.boundary = Some(boundary.into());
        self
    }

    /// Whether a file name that is not ASCII is also sent as `filename*`
    /// (RFC 5987, SPEC F6), for the few servers that read that only. Default
    /// false: RFC 7578 forbids it, and names go out as UTF-8, as browsers send
    /// them.
    pub fn extended_file_names(mut self, extended: bool) -> Self {
        self.extended_file_names = extended;
        self
    }

    /// The form as `multipart/form-data`, whatever is in it.
    pub(crate) fn into_multipart(self) -> Body {
        encode::multipart(self).unwrap_or_else(Body::mistaken)
    }

    fn into_urlencoded(self) -> Body {
        if let Some(mistake) = self.mistake {
            return Body::mistaken(mistake);
        }
        let mut text = String::new();
        for (name, part) in &self.parts {
            if !text.is_empty() {
                text.push('&');
            }
            text.extend(form_urlencoded::byte_serialize(name.as_bytes()));
            text.push('=');
            text.extend(form_urlencoded::byte_serialize(&part.plain_bytes()));
        }
        Body::urlencoded(text)
    }
}

/// Urlencoded where that can be, multipart otherwise (SPEC F2).
impl From<Form> for Body {
    fn from(form: Form) -> Self {
        match form.parts.iter().all(|(_, part)| part.is_plain()) {
            true => form.into_urlencoded(),
            false => form.into_multipart(),
        }
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Form {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(fields: I) -> Self {
        Self::new().fields(fields)
    }
}

impl<K: Into<String>, V: Into<String>, const N: usize> From<[(K, V); N]> for Form {
    fn from(fields: [(K, V); N]) -> Self {
        Self::new().fields(fields)
    }
}

impl Body {
    /// Pairs as `application/x-www-form-urlencoded`: UTF-8, with `+` for a
    /// space (SPEC B3). With the feature `json`,
    /// [`RequestBuilder::form`](crate::RequestBuilder::form) takes whatever
    /// serializes to pairs.
    ///
    /// ```
    /// let body = miohttp::Body::form([("name", "Ada Lovelace"), ("year", "1843")]);
    /// # drop(body);
    /// ```
    pub fn form<K, V>(pairs: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: AsRef<str>,
        V: AsRef<str>,
    {
        let mut text = form_urlencoded::Serializer::new(String::new());
        text.extend_pairs(pairs);
        Self::urlencoded(text.finish())
    }

    pub(crate) fn urlencoded(text: String) -> Self {
        Self::typed(Bytes::from(text), URLENCODED)
    }
}

impl fmt::Debug for Form {
    // What is filled in is the user's own business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.parts.iter().map(|(name, _)| name);
        f.debug_list().entries(names).finish()
    }
}

/// A media type a program has made up, if it can be sent.
fn content_type(text: &str) -> Result<HeaderValue, Error> {
    let value = HeaderValue::from_str(text)
        .ok()
        .filter(|value| !value.is_empty());
    value.ok_or_else(|| Error::invalid_request("a content type holds what may not be sent"))
}
