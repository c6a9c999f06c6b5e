//! Whole bodies in memory: as bytes, as text, as JSON.

use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};

use super::body::Body;
use super::cancel::CancelHandle;
use super::pending::Operation;
use crate::error::{Error, Kind, Phase};

/// Collects a body and turns it into a `T`.
pub(super) struct Collect<T> {
    body: Body,
    first: Bytes,
    rest: BytesMut,
    /// Judges the body by its first bytes, so that what will be refused is not
    /// downloaded.
    admit: Option<Admit>,
    convert: Option<Convert<T>>,
}

type Admit = Box<dyn Fn(&[u8]) -> Result<(), Error> + Send>;
type Convert<T> = Box<dyn FnOnce(Bytes) -> Result<T, Error> + Send>;

impl<T> Collect<T> {
    pub(super) fn new(
        body: Body,
        convert: impl FnOnce(Bytes) -> Result<T, Error> + Send + 'static,
    ) -> Self {
        Self {
            body,
            first: Bytes::new(),
            rest: BytesMut::new(),
            admit: None,
            convert: Some(Box::new(convert)),
        }
    }

    pub(super) fn admitted_by(
        mut self,
        admit: impl Fn(&[u8]) -> Result<(), Error> + Send + 'static,
    ) -> Self {
        self.admit = Some(Box::new(admit));
        self
    }

    fn push(&mut self, chunk: Bytes) -> Result<(), Error> {
        let held = self.first.len() + self.rest.len();
        let limit = self.body.max_buffered();
        if chunk.len() > limit.saturating_sub(held) {
            let message = format!("the body is larger than the {limit} bytes kept in memory");
            return Err(Error::new(Kind::Limit, message).with_phase(Phase::Body));
        }
        // One piece alone is handed on as it is.
        if held == 0 {
            self.first = chunk;
            return Ok(());
        }
        if self.rest.is_empty() {
            self.rest.reserve(self.first.len() + chunk.len());
            self.rest.extend_from_slice(&self.first);
            self.first = Bytes::new();
        }
        self.rest.extend_from_slice(&chunk);
        Ok(())
    }

    fn admissible(&self) -> Result<(), Error> {
        let Some(admit) = &self.admit else {
            return Ok(());
        };
        admit(if self.rest.is_empty() {
            &self.first
        } else {
            &self.rest
        })
    }
}

impl<T> Operation<T> for Collect<T> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, Error>> {
        loop {
            match self.body.poll_chunk(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(Some(chunk))) => {
                    if let Err(error) = self.push(chunk).and_then(|()| self.admissible()) {
                        return Poll::Ready(Err(self.body.context(error)));
                    }
                }
                Poll::Ready(Ok(None)) => break,
            }
        }
        let all = match self.rest.is_empty() {
            true => std::mem::take(&mut self.first),
            false => std::mem::take(&mut self.rest).freeze(),
        };
        let Some(convert) = self.convert.take() else {
            return Poll::Ready(Err(Error::internal("the body was collected already")));
        };
        Poll::Ready(convert(all).map_err(|error| self.body.context(error)))
    }

    fn target(&self) -> CancelHandle {
        self.body.cancel_handle()
    }
}

/// SPEC J1: a byte order mark, then the declared charset, then UTF-8; what is
/// no UTF-8 is replaced by U+FFFD.
pub(super) fn to_text(bytes: &Bytes, charset: Option<&str>) -> Result<String, Error> {
    if let Some(rest) = bytes.strip_prefix(BOM) {
        return Ok(String::from_utf8_lossy(rest).into_owned());
    }
    match charset.filter(|charset| !is_utf8(charset)) {
        Some(foreign) => Err(undecodable(foreign)),
        None => Ok(String::from_utf8_lossy(bytes).into_owned()),
    }
}

/// Whether text that begins so can still be decoded: in a foreign charset only
/// behind a byte order mark, which at most its first three bytes tell.
pub(super) fn may_be_text(start: &[u8], charset: &str) -> Result<(), Error> {
    let mark = &start[..start.len().min(BOM.len())];
    if is_utf8(charset) || BOM.starts_with(mark) {
        return Ok(());
    }
    Err(undecodable(charset))
}

fn is_utf8(charset: &str) -> bool {
    ["utf-8", "utf8", "us-ascii", "ascii"]
        .iter()
        .any(|known| charset.eq_ignore_ascii_case(known))
}

fn undecodable(charset: &str) -> Error {
    let message = format!("text in the charset {charset:?} cannot be decoded; read it as bytes");
    Error::new(Kind::Decode, message).with_phase(Phase::Body)
}

const BOM: &[u8] = b"\xef\xbb\xbf";

/// SPEC J2: white space alone is `null`.
#[cfg(feature = "json")]
pub(super) fn to_json<T: serde::de::DeserializeOwned>(bytes: &Bytes) -> Result<T, Error> {
    let text = bytes.strip_prefix(BOM).unwrap_or(bytes);
    let text = match text.iter().all(u8::is_ascii_whitespace) {
        true => b"null",
        false => text,
    };
    serde_json::from_slice(text).map_err(|error| {
        Error::new(Kind::Decode, "the body is not the JSON that was expected")
            .with_phase(Phase::Body)
            .with_source(error)
    })
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn text_is_utf8_with_replacement_unless_declared_otherwise() {
        // SPEC J1
        let text = |bytes: &'static [u8], charset| to_text(&Bytes::from_static(bytes), charset);
        assert_eq!(text(b"\xc3\xbc", None).unwrap(), "ü");
        assert_eq!(text(b"\xef\xbb\xbfx", Some("latin1")).unwrap(), "x");
        assert_eq!(text(b"a\xffb", Some("UTF-8")).unwrap(), "a\u{fffd}b");
        assert!(text(b"x", Some("iso-8859-1")).unwrap_err().is_decode());
        assert!(text(b"\xef\xbb", Some("latin1")).unwrap_err().is_decode());
    }

    #[test]
    fn the_first_bytes_tell_whether_a_foreign_charset_is_one() {
        // SPEC J1
        for (start, charset, may) in [
            (&b""[..], "latin1", true),
            (b"\xef", "latin1", true),
            (b"\xef\xbb\xbf and more", "latin1", true),
            (b"\xef\xbbx", "latin1", false),
            (b"x", "latin1", false),
            (b"x", "UTF8", true),
        ] {
            assert_eq!(may_be_text(start, charset).is_ok(), may, "{start:?}");
        }
    }

    #[cfg(feature = "json")]
    #[test]
    fn json_white_space_is_null_and_damage_is_a_decode_error() {
        // SPEC J2
        let json = |bytes: &'static [u8]| to_json::<Option<u32>>(&Bytes::from_static(bytes));
        assert_eq!(json(b" \r\n").unwrap(), None);
        assert_eq!(json(b"\xef\xbb\xbf7").unwrap(), Some(7));
        assert!(json(b"{").unwrap_err().is_decode());
    }
}
