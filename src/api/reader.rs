//! A body as `std::io::Read`.

use std::fmt;
use std::io::{self, BufRead, Read};

use bytes::{Buf, Bytes};

use super::body::{Body, Driver};
use super::pending::refused;
use crate::error::Error;
use crate::handoff::park::block_on;

/// The body of a response as `Read` and `BufRead`; made by
/// [`Response::into_reader`](crate::Response::into_reader). Reading blocks until
/// there is something.
///
/// Errors carry this crate's [`Error`]:
///
/// ```no_run
/// use std::io::Read;
///
/// let mut reader = miohttp::Session::new().get("http://example.com/").send()?.into_reader();
/// let mut text = String::new();
/// if let Err(error) = reader.read_to_string(&mut text) {
///     let inner = error.get_ref().and_then(|e| e.downcast_ref::<miohttp::Error>());
///     println!("{:?}", inner.map(|e| e.kind()));
/// }
/// # Ok::<(), miohttp::Error>(())
/// ```
pub struct BodyReader {
    body: Result<Body, Error>,
    chunk: Bytes,
    ended: bool,
}

impl BodyReader {
    pub(super) fn new(mut body: Result<Body, Error>) -> Self {
        if let Ok(body) = &mut body {
            body.driven_by(Driver::Caller);
        }
        Self {
            body,
            chunk: Bytes::new(),
            ended: false,
        }
    }
}

impl BufRead for BodyReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.chunk.is_empty() && !self.ended {
            let body = match &mut self.body {
                Ok(body) => body,
                Err(error) => return Err(error.clone().into()),
            };
            // Nothing of it is held while more is read: its memory is free.
            self.chunk = Bytes::new();
            let next = block_on(None, |cx| body.poll_chunk(cx))
                .unwrap_or_else(|unwaited| Err(refused(unwaited)))?;
            match next {
                Some(chunk) => self.chunk = chunk,
                None => self.ended = true,
            }
        }
        Ok(&self.chunk)
    }

    fn consume(&mut self, amount: usize) {
        self.chunk.advance(amount.min(self.chunk.len()));
    }
}

impl Read for BodyReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        let available = self.fill_buf()?;
        let n = available.len().min(into.len());
        into[..n].copy_from_slice(&available[..n]);
        self.consume(n);
        Ok(n)
    }
}

impl fmt::Debug for BodyReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyReader")
            .field("buffered", &self.chunk.len())
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
