//! Bodies as text and as JSON, in whatever charset they are in (SPEC §7.4).

use std::sync::Arc;

use bytes::Bytes;

use super::Response;
use super::read::pending;
use crate::api::body::{Body, Driver};
use crate::api::bytes::Collect;
use crate::api::pending::{Pending, wait_on};
use crate::call::{About, CharsetFallback};
use crate::error::{Error, Kind, Phase};
use crate::field::MediaType;
use crate::text::{self, Charset, Damage, KNOWS_ALL};

impl Response {
    /// The whole body as text, with U+FFFD for what is not (SPEC R21, J1).
    ///
    /// Its charset is, in this order:
    ///
    /// 1. what a byte order mark says: UTF-8 or UTF-16;
    /// 2. what `Content-Type` declares, unless nobody knows such a charset;
    /// 3. UTF-8, of JSON;
    /// 4. what the session's
    ///    [`charset_fallback`](crate::SessionBuilder::charset_fallback) says;
    /// 5. UTF-8.
    ///
    /// Other charsets than UTF-8 and ASCII are those of the WHATWG's Encoding
    /// Standard, and need the feature `charset`. (`ISO-8859-1` is windows-1252
    /// there, as in browsers.)
    ///
    /// # Errors
    /// As [`bytes`](Response::bytes), whose limit counts what is received and
    /// inflated; the text may be up to three times as long. And
    /// [`Kind::Decode`], without the feature `charset`, if
    /// another charset is declared and there is no byte order mark: the first
    /// bytes tell, so the rest is not downloaded. The response is spent all the
    /// same; where such a text is to be expected, look at
    /// [`encoding`](Response::encoding) first.
    pub fn text(self) -> Result<String, Error> {
        let plan = self.declared(Damage::Replace);
        self.decoded(plan)
    }

    /// As [`text`](Response::text), without blocking.
    pub fn start_text(self) -> Pending<String> {
        let plan = self.declared(Damage::Replace);
        pending(self.collect_text(Driver::Reactor, plan))
    }

    /// As [`text`](Response::text), but in this charset, whatever is declared;
    /// a byte order mark still goes before it (SPEC R21, J1).
    ///
    /// ```no_run
    /// let response = miohttp::Session::new().get("http://example.com/old.txt").send()?;
    /// println!("{}", response.text_with("latin1")?);
    /// # Ok::<(), miohttp::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`text`](Response::text); and [`Kind::Decode`] if
    /// this build knows no such charset.
    pub fn text_with(self, charset: impl AsRef<str>) -> Result<String, Error> {
        self.decoded(Plan::given(charset.as_ref()))
    }

    /// As [`text_with`](Response::text_with), without blocking.
    pub fn start_text_with(self, charset: impl AsRef<str>) -> Pending<String> {
        pending(self.collect_text(Driver::Reactor, Plan::given(charset.as_ref())))
    }

    /// As [`text`](Response::text), but what is no text in its charset is an
    /// error (SPEC R21).
    ///
    /// # Errors
    /// As [`text`](Response::text); and [`Kind::Decode`],
    /// whose source says where in the body.
    pub fn text_strict(self) -> Result<String, Error> {
        let plan = self.declared(Damage::Refuse);
        self.decoded(plan)
    }

    /// As [`text_strict`](Response::text_strict), without blocking.
    pub fn start_text_strict(self) -> Pending<String> {
        let plan = self.declared(Damage::Refuse);
        pending(self.collect_text(Driver::Reactor, plan))
    }

    /// The charset that the head alone gives [`text`](Response::text), in lower
    /// case (SPEC R26): the declared one, by the name that the Encoding Standard
    /// has for it, or `utf-8` for JSON. `None` where the body decides, or the
    /// fallback. Without the feature `charset` a foreign one comes as it is
    /// declared; `text` then fails.
    pub fn encoding(&self) -> Option<String> {
        match self.declared(Damage::Replace).named {
            Named::Known(charset) => Some(charset.name()),
            Named::Foreign(label) => Some(label.to_ascii_lowercase()),
            Named::Nowhere(_) => None,
        }
    }

    /// The whole body as JSON (SPEC R23, J2). The content type is not looked
    /// at: see [`json_strict`](Response::json_strict). White space alone is
    /// `null`.
    ///
    /// JSON is UTF-8 (RFC 8259 §8.1), so that is what it is read as where it
    /// can be. Otherwise a byte order mark or the declared charset count, the
    /// latter with the feature `charset`.
    ///
    /// # Errors
    /// As [`bytes`](Response::bytes); and [`Kind::Decode`]
    /// if the body is not JSON or not a `T`.
    #[cfg(feature = "json")]
    pub fn json<T: serde_core::de::DeserializeOwned + 'static>(mut self) -> Result<T, Error> {
        let declared = self.foreign_charset();
        if let Some(whole) = self.body()?.take_whole() {
            let value = to_json(&whole, declared.as_deref());
            return value.map_err(|error| self.about.context(error));
        }
        wait_on(&mut self.collect(Driver::Caller, move |bytes| {
            to_json(&bytes, declared.as_deref())
        })?)
    }

    /// As [`json`](Response::json), without blocking.
    #[cfg(feature = "json")]
    pub fn start_json<T: serde_core::de::DeserializeOwned + 'static>(self) -> Pending<T> {
        let declared = self.foreign_charset();
        pending(self.collect(Driver::Reactor, move |bytes| {
            to_json(&bytes, declared.as_deref())
        }))
    }

    /// As [`json`](Response::json), if `Content-Type` says that it is JSON:
    /// `application/json` or `application/*+json` (SPEC J2). So the HTML of a
    /// page that was not expected is told from broken JSON, and is not
    /// downloaded.
    ///
    /// # Errors
    /// As [`json`](Response::json); and
    /// [`Kind::ContentType`], with the status, the
    /// headers and what has come of the body, up to 64 KiB, in
    /// [`Error::body`].
    #[cfg(feature = "json")]
    pub fn json_strict<T: serde_core::de::DeserializeOwned + 'static>(self) -> Result<T, Error> {
        self.expect_json()?.json()
    }

    /// As [`json_strict`](Response::json_strict), without blocking.
    #[cfg(feature = "json")]
    pub fn start_json_strict<T: serde_core::de::DeserializeOwned + 'static>(self) -> Pending<T> {
        match self.expect_json() {
            Ok(response) => response.start_json(),
            Err(error) => Pending::failed(error),
        }
    }

    #[cfg(feature = "json")]
    fn expect_json(mut self) -> Result<Self, Error> {
        let kind = self.media_type();
        if kind.as_ref().is_some_and(MediaType::is_json) {
            return Ok(self);
        }
        let message = match &kind {
            Some(kind) => format!("the body is {}, not JSON", kind.essence()),
            None => "the body has no content type, so it is not known to be JSON".to_owned(),
        };
        let mut start = bytes::BytesMut::new();
        if let Ok(body) = self.body() {
            while let Some(Ok(Some(chunk))) = body.now() {
                let room = ERROR_BODY.saturating_sub(start.len());
                start.extend_from_slice(&chunk[..chunk.len().min(room)]);
                if chunk.len() >= room {
                    break;
                }
            }
        }
        let error = self.error_with(Kind::ContentType, message, start.freeze());
        Err(error.with_phase(Phase::Head))
    }

    /// What is declared that is no UTF-8.
    #[cfg(feature = "json")]
    fn foreign_charset(&self) -> Option<String> {
        self.charset()
            .filter(|label| text::charset(label) != Some(Charset::UTF_8))
    }

    /// How the head has its text decoded.
    fn declared(&self, damage: Damage) -> Plan {
        let kind = self.media_type();
        let named = match kind.as_ref().and_then(MediaType::charset) {
            None => None,
            Some(label) => match text::charset(label) {
                Some(charset) => Some(Named::Known(charset)),
                None if KNOWS_ALL => None,
                None => Some(Named::Foreign(label.to_owned())),
            },
        };
        let is_json = || kind.as_ref().is_some_and(MediaType::is_json);
        let named = named.unwrap_or_else(|| match is_json() {
            true => Named::Known(Charset::UTF_8),
            false => Named::Nowhere(self.fallback()),
        });
        Plan { named, damage }
    }

    fn fallback(&self) -> Option<Fallback> {
        let fallback = self.about.charset_fallback.clone()?;
        Some(Fallback(fallback, Arc::clone(&self.about)))
    }

    /// Blocks until the whole text is there.
    fn decoded(mut self, plan: Plan) -> Result<String, Error> {
        if let Some(whole) = self.body()?.take_whole() {
            return plan
                .decode(&whole)
                .map_err(|error| self.about.context(error));
        }
        wait_on(&mut self.collect_text(Driver::Caller, plan)?)
    }

    fn collect_text(self, driver: Driver, plan: Plan) -> Result<Collect<String>, Error> {
        let foreign = match &plan.named {
            Named::Foreign(label) => Some(label.clone()),
            _ => None,
        };
        let collect = self.collect(driver, move |bytes: Bytes| plan.decode(&bytes))?;
        Ok(match foreign {
            // What will be refused is not downloaded.
            Some(label) => collect.admitted_by(move |start| match text::may_be_marked(start) {
                true => Ok(()),
                false => Err(undecodable(&label)),
            }),
            None => collect,
        })
    }
}

/// How a text is decoded.
struct Plan {
    named: Named,
    damage: Damage,
}

/// Where its charset comes from, but for the byte order mark.
enum Named {
    Known(Charset),
    /// One that this build does not have.
    Foreign(String),
    Nowhere(Option<Fallback>),
}

/// The caller's own idea of a charset, and the response it is asked about.
struct Fallback(CharsetFallback, Arc<About>);

impl Plan {
    fn given(label: &str) -> Self {
        let known = text::charset(label).map(Named::Known);
        Self {
            named: known.unwrap_or_else(|| Named::Foreign(label.to_owned())),
            damage: Damage::Replace,
        }
    }

    fn decode(&self, bytes: &[u8]) -> Result<String, Error> {
        if let Some(decoded) = text::decode_marked(bytes, self.damage) {
            return decoded.map_err(damaged);
        }
        let charset = match &self.named {
            Named::Known(charset) => *charset,
            Named::Foreign(label) => return Err(undecodable(label)),
            Named::Nowhere(None) => Charset::UTF_8,
            Named::Nowhere(Some(Fallback(fallback, about))) => {
                let label = fallback.ask(about, bytes);
                text::charset(&label).ok_or_else(|| undecodable(&label))?
            }
        };
        text::decode(bytes, charset, self.damage).map_err(damaged)
    }
}

/// The response as a fallback sees it: all but the body, which it is given.
pub(in crate::api) fn without_body(about: &Arc<About>) -> Response {
    Response::new(Arc::clone(about), Body::spent(Arc::clone(about)))
}

fn undecodable(label: &str) -> Error {
    let message = match KNOWS_ALL {
        true => format!("no charset is called {label:?}; read the body as bytes"),
        false => {
            format!("text in the charset {label:?} needs the feature `charset`; read it as bytes")
        }
    };
    Error::new(Kind::Decode, message).with_phase(Phase::Body)
}

fn damaged(cause: text::Undecodable) -> Error {
    Error::new(Kind::Decode, "the body is not text in its charset")
        .with_phase(Phase::Body)
        .with_source(cause)
}

/// What an error keeps of a body that was not wanted.
#[cfg(feature = "json")]
const ERROR_BODY: usize = 64 * 1024;

/// SPEC J2. `declared` is a charset other than UTF-8.
#[cfg(feature = "json")]
fn to_json<T: serde_core::de::DeserializeOwned>(
    bytes: &[u8],
    declared: Option<&str>,
) -> Result<T, Error> {
    // Its mark is taken off without a copy of the rest.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if let Some(decoded) = text::decode_marked(bytes, Damage::Refuse) {
        return parse(decoded.map_err(damaged)?.as_bytes());
    }
    let Some(label) = declared else {
        return parse(bytes);
    };
    let charset = text::charset(label);
    // UTF-8 is hardly ever anything else by chance, unless the other is made of
    // the same bytes.
    let may_be_utf8 = charset.is_none_or(Charset::is_ascii_compatible);
    if may_be_utf8 && str::from_utf8(bytes).is_ok() {
        return parse(bytes);
    }
    match charset {
        Some(charset) => {
            let decoded = text::decode(bytes, charset, Damage::Refuse);
            parse(decoded.map_err(damaged)?.as_bytes())
        }
        None => Err(undecodable(label)),
    }
}

/// White space alone is `null`.
#[cfg(feature = "json")]
fn parse<T: serde_core::de::DeserializeOwned>(json: &[u8]) -> Result<T, Error> {
    let json = match json.iter().all(u8::is_ascii_whitespace) {
        true => b"null",
        false => json,
    };
    serde_json::from_slice(json).map_err(|error| {
        Error::new(Kind::Decode, "the body is not the JSON that was expected")
            .with_phase(Phase::Body)
            .with_source(error)
    })
}

#[cfg(test)]
mod tests;
