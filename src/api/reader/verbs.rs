//! Reading a body by amounts, lines and separators (SPEC R30 to R32, R36).

use std::fmt;

use bytes::{Buf, Bytes, BytesMut};

use super::BodyReader;
use crate::error::{Error, Kind, Phase};

/// How long a line may be unless the caller says otherwise.
pub(super) const MAX_LINE: usize = 1024 * 1024;

impl BodyReader {
    /// What is there of the body, as soon as there is any; `None` at its end
    /// (SPEC R31). Blocks until then.
    ///
    /// # Errors
    /// The body breaks off or is damaged, or a limit passes.
    pub fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let more = self.fill()?;
        Ok(more.then(|| std::mem::take(&mut self.chunk)))
    }

    /// At most `n` bytes, as soon as there are any (SPEC R30). Nothing, if `n`
    /// is 0 or the body has ended. Blocks until then.
    ///
    /// # Errors
    /// As [`chunk`](BodyReader::chunk).
    pub fn up_to(&mut self, n: usize) -> Result<Bytes, Error> {
        if n == 0 || !self.fill()? {
            return Ok(Bytes::new());
        }
        Ok(self.chunk.split_to(n.min(self.chunk.len())))
    }

    /// Exactly `n` bytes (SPEC R31). Blocks until they are there.
    ///
    /// ```no_run
    /// use std::error::Error as _;
    ///
    /// use miohttp::IncompleteRead;
    ///
    /// let response = miohttp::Session::new().get("http://example.com/records").send()?;
    /// match response.into_reader().exactly(128) {
    ///     Ok(record) => println!("{record:?}"),
    ///     Err(error) => match error.source().and_then(|s| s.downcast_ref::<IncompleteRead>()) {
    ///         Some(short) => println!("{} of {}", short.partial().len(), short.expected()),
    ///         None => return Err(error),
    ///     },
    /// }
    /// # Ok::<(), miohttp::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`chunk`](BodyReader::chunk), and then nothing is lost: what was read
    /// is read again next time. If the body ends first,
    /// [`Kind::Payload`] with an [`IncompleteRead`] as its
    /// source, which has the rest of the body. If `n` is more than
    /// [`max_buffered`](crate::SessionBuilder::max_buffered),
    /// [`Kind::Limit`] before anything is read.
    pub fn exactly(&mut self, n: usize) -> Result<Bytes, Error> {
        let read = self.at_most(n)?;
        if read.len() == n {
            return Ok(read);
        }
        let message = "the body ends before as much as was asked for";
        let cause = IncompleteRead {
            partial: read,
            expected: n,
        };
        Err(self.error_of(Kind::Payload, message).with_source(cause))
    }

    /// `n` bytes, or the rest of the body where it is shorter.
    pub(super) fn at_most(&mut self, n: usize) -> Result<Bytes, Error> {
        let limit = self.max_buffered();
        if n > limit {
            let message = format!("{n} bytes at once are more than the {limit} kept in memory");
            return Err(self.error_of(Kind::Limit, message));
        }
        if self.chunk.len() >= n {
            return Ok(self.chunk.split_to(n));
        }
        let mut read = BytesMut::new();
        loop {
            let part = self.chunk.len().min(n - read.len());
            read.extend_from_slice(&self.chunk[..part]);
            self.chunk.advance(part);
            if read.len() == n || !self.more(&mut read)? {
                return Ok(read.freeze());
            }
        }
    }

    /// The next line through its `\n`, or what is left of the body behind the
    /// last one; `None` at the end (SPEC R32). Blocks until then.
    ///
    /// For lines as `String`s and without their ends take
    /// [`BufRead::lines`](std::io::BufRead::lines), which knows no limit.
    ///
    /// # Errors
    /// As [`until`](BodyReader::until).
    pub fn line(&mut self) -> Result<Option<Bytes>, Error> {
        self.until(b"\n")
    }

    /// The body through the next `separator`, or what is left of it where there
    /// is none; `None` at the end (SPEC R32). Blocks until then.
    ///
    /// ```no_run
    /// let mut reader = miohttp::Session::new().get("http://example.com/").send()?.into_reader();
    /// while let Some(record) = reader.until(b"\r\n\r\n")? {
    ///     println!("{} bytes", record.len());
    /// }
    /// # Ok::<(), miohttp::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`chunk`](BodyReader::chunk);
    /// [`Kind::Limit`] if there is no separator within
    /// [`max_line_length`](BodyReader::max_line_length); and
    /// [`Kind::InvalidRequest`] if `separator` is
    /// empty. What was read is not lost: [`chunk`](BodyReader::chunk) gives it.
    pub fn until(&mut self, separator: &[u8]) -> Result<Option<Bytes>, Error> {
        if separator.is_empty() {
            let error = Error::invalid_request("nothing separates nothing: the separator is empty");
            return Err(error);
        }
        if !self.fill()? {
            return Ok(None);
        }
        let limit = self.max_line_length.min(self.max_buffered());
        let within = self.chunk.len().min(limit);
        if let Some(end) = end_of(separator, &self.chunk[..within]) {
            return Ok(Some(self.chunk.split_to(end)));
        }
        let mut read = BytesMut::new();
        loop {
            let within = self.chunk.len().min(limit - read.len());
            let end = end_across(separator, &read, &self.chunk[..within]);
            let part = end.unwrap_or(within);
            read.extend_from_slice(&self.chunk[..part]);
            self.chunk.advance(part);
            if end.is_some() {
                return Ok(Some(read.freeze()));
            }
            // Anything more would be too much. (The end may come just here.)
            if !self.more(&mut read)? {
                return Ok(Some(read.freeze()));
            }
            if read.len() == limit {
                self.unread(read.freeze());
                let message = format!("no separator within {limit} bytes of the body");
                return Err(self.error_of(Kind::Limit, message));
            }
        }
    }

    /// The longest line, or other piece up to a separator, the separator
    /// included (SPEC R32). Default 1 MiB; never more than
    /// [`max_buffered`](crate::SessionBuilder::max_buffered).
    #[must_use]
    pub fn max_line_length(mut self, bytes: usize) -> Self {
        self.max_line_length = bytes;
        self
    }

    /// At most `n` bytes of what is here, without waiting (SPEC R36). Nothing
    /// means that nothing is here just now; whether the body has ended
    /// [`at_eof`](BodyReader::at_eof) tells. What is here may be in several
    /// pieces, and this gives of the first.
    ///
    /// Where nothing is here the body goes on arriving by itself from then on.
    ///
    /// # Errors
    /// As [`chunk`](BodyReader::chunk).
    pub fn buffered(&mut self, n: usize) -> Result<Bytes, Error> {
        if self.chunk.is_empty() {
            let body = self.body.as_mut().map_err(|error| error.clone())?;
            match body.now() {
                Some(next) => self.chunk = next?.unwrap_or_default(),
                None => body.hand_over(),
            }
        }
        Ok(self.chunk.split_to(n.min(self.chunk.len())))
    }

    /// Puts bytes in front of what is read next (SPEC R36), of the body or any
    /// others. They are kept in memory until then, whatever the limits say.
    ///
    /// ```no_run
    /// let mut reader = miohttp::Session::new().get("http://example.com/").send()?.into_reader();
    /// let magic = reader.exactly(4)?;
    /// let is_png = &magic[..] == b"\x89PNG";
    /// reader.unread(magic);
    /// # drop(is_png);
    /// # Ok::<(), miohttp::Error>(())
    /// ```
    pub fn unread(&mut self, data: Bytes) {
        if data.is_empty() {
            return;
        }
        let chunk = std::mem::replace(&mut self.chunk, data);
        match &mut self.body {
            Ok(body) => body.unread(chunk),
            Err(_) if chunk.is_empty() => {}
            // There is no body behind it that could keep it.
            Err(_) => self.chunk = [&self.chunk[..], &chunk].concat().into(),
        }
    }

    /// Waits for another chunk behind what was `read`, which an error puts back.
    /// False: there is none.
    fn more(&mut self, read: &mut BytesMut) -> Result<bool, Error> {
        self.fill().inspect_err(|_| {
            let read = std::mem::take(read).freeze();
            self.unread(read);
        })
    }

    fn max_buffered(&self) -> usize {
        // Of one that cannot be read the error comes first.
        self.body
            .as_ref()
            .map_or(usize::MAX, |body| body.max_buffered())
    }

    fn error_of(&self, kind: Kind, message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
        let error = Error::new(kind, message).with_phase(Phase::Body);
        match &self.body {
            Ok(body) => body.context(error),
            Err(_) => error,
        }
    }
}

/// Where the first separator ends.
fn end_of(separator: &[u8], data: &[u8]) -> Option<usize> {
    let start = match separator {
        [byte] => data.iter().position(|b| b == byte)?,
        _ => data
            .windows(separator.len())
            .position(|window| window == separator)?,
    };
    Some(start + separator.len())
}

/// Where in `next` the first separator ends that is not wholly in what comes
/// `before` it.
fn end_across(separator: &[u8], before: &[u8], next: &[u8]) -> Option<usize> {
    // One across the border comes before any behind it.
    let reach = separator.len() - 1;
    let tail = &before[before.len().saturating_sub(reach)..];
    if !tail.is_empty() {
        let border = [tail, &next[..next.len().min(reach)]].concat();
        if let Some(end) = end_of(separator, &border) {
            return Some(end - tail.len());
        }
    }
    end_of(separator, next)
}

/// A body that ended before as much of it as was asked for: the source of the
/// error of [`BodyReader::exactly`] (SPEC R31).
#[derive(Clone, PartialEq, Eq)]
pub struct IncompleteRead {
    partial: Bytes,
    expected: usize,
}

impl IncompleteRead {
    /// What there was.
    pub fn partial(&self) -> &Bytes {
        &self.partial
    }

    /// How many bytes there should have been.
    pub fn expected(&self) -> usize {
        self.expected
    }
}

impl fmt::Display for IncompleteRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (partial, expected) = (self.partial.len(), self.expected);
        write!(f, "{partial} of {expected} bytes were left")
    }
}

impl fmt::Debug for IncompleteRead {
    // What was read is the caller's own business, and may be long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IncompleteRead")
            .field("partial", &self.partial.len())
            .field("expected", &self.expected)
            .finish()
    }
}

impl std::error::Error for IncompleteRead {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_separator_is_found_wherever_the_border_falls() {
        // SPEC R32
        for (separator, data, want) in [
            (&b"\n"[..], &b"ab\ncd\n"[..], Some(3)),
            (b"\r\n", b"ab\r\ncd", Some(4)),
            (b"aab", b"aaaab", Some(5)),
            (b"abab", b"xababab", Some(5)),
            (b"\r\n", b"ab\rcd\n", None),
            (b"long separator", b"short", None),
            (b"x", b"", None),
        ] {
            assert_eq!(end_of(separator, data), want);
            for border in 0..=data.len() {
                let (before, next) = data.split_at(border);
                // Else it would have been found in what came before.
                if want.is_none_or(|end| end > border) {
                    let end = end_across(separator, before, next);
                    assert_eq!(end, want.map(|end| end - border), "{data:?} at {border}");
                }
            }
        }
    }
}
