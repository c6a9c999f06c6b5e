//! A body as a stream: `std::io::Read`, and the verbs of SPEC §7.3.

mod pieces;
mod verbs;

use std::fmt;
use std::io::{self, BufRead, Read};
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};
use http::HeaderMap;

pub use self::pieces::{Chunks, Lines};
pub use self::verbs::IncompleteRead;
use super::body::{Body, Driver};
use super::pending::refused;
use crate::error::Error;
use crate::handoff::park::block_on;

/// The body of a response as `Read` and `BufRead`; made by
/// [`Response::into_reader`](crate::Response::into_reader). Reading blocks until
/// there is something.
///
/// As `Read` and `BufRead` it gives [`std::io::Error`]s that carry this crate's
/// [`Error`]:
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
///
/// Its own verbs give [`Bytes`], mostly without a copy, and [`Error`]s:
///
/// | verb | gives |
/// |---|---|
/// | [`chunk`](BodyReader::chunk) | what is there, as soon as there is any |
/// | [`up_to`](BodyReader::up_to) | the same, but no more than so much |
/// | [`exactly`](BodyReader::exactly) | so many bytes, or an error with those there were |
/// | [`line`](BodyReader::line), [`until`](BodyReader::until) | through the next separator |
/// | [`buffered`](BodyReader::buffered) | what is here, without waiting |
///
/// All of them may be mixed, with each other and with `Read`. What a verb has
/// read when it fails is not lost: the next one begins with it. An error of the
/// body itself stays, and every read behind it gives it again.
pub struct BodyReader {
    body: Result<Body, Error>,
    chunk: Bytes,
    max_line_length: usize,
}

impl BodyReader {
    pub(super) fn new(mut body: Result<Body, Error>) -> Self {
        if let Ok(body) = &mut body {
            body.driven_by(Driver::Caller);
        }
        Self {
            body,
            chunk: Bytes::new(),
            max_line_length: verbs::MAX_LINE,
        }
    }

    /// The trailer fields, once the body was read to its end; empty before.
    pub fn trailers(&self) -> HeaderMap {
        let body = self.body.as_ref();
        body.map(Body::trailers).unwrap_or_default()
    }

    /// Whether the end of the body has been received, whatever of it is read
    /// (SPEC R35). Of one that failed it never is.
    pub fn is_eof(&self) -> bool {
        self.body.as_ref().is_ok_and(Body::is_eof)
    }

    /// Whether all of the body was received and read: nothing is left
    /// (SPEC R35). Does not block. Of a body that failed it is false, so that a
    /// loop until then meets the error.
    pub fn at_eof(&mut self) -> bool {
        if !self.chunk.is_empty() {
            return false;
        }
        let Ok(body) = &mut self.body else {
            return false;
        };
        match body.now() {
            Some(Ok(None)) => true,
            Some(Ok(Some(chunk))) => {
                self.chunk = chunk;
                false
            }
            Some(Err(_)) | None => false,
        }
    }

    /// What the body has failed with, if it has (SPEC R36). Every read gives it
    /// again.
    pub fn error(&self) -> Option<&Error> {
        match &self.body {
            Ok(body) => body.error(),
            Err(error) => Some(error),
        }
    }

    /// Gives the body up, and its connection unless all of it was received
    /// already (SPEC R25). Later reads fail with
    /// [`Kind::Closed`](crate::Kind::Closed). Dropping a reader does the same,
    /// but reads a short rest away so that the connection can serve again.
    pub fn close(&mut self) {
        self.chunk = Bytes::new();
        if let Ok(body) = &mut self.body {
            body.close();
        }
    }

    /// Waits until there is something in `chunk`. False: it is the end.
    fn fill(&mut self) -> Result<bool, Error> {
        while self.chunk.is_empty() {
            let body = self.body.as_mut().map_err(|error| error.clone())?;
            // Nothing of it is held while more is read: its memory is free.
            self.chunk = Bytes::new();
            // What this thread drives by itself is there now, and needs no waker.
            let next = match body.poll_chunk(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(next) => next,
                Poll::Pending => block_on(None, |cx| body.poll_chunk(cx))
                    .unwrap_or_else(|unwaited| Err(refused(unwaited))),
            };
            match next? {
                Some(chunk) => self.chunk = chunk,
                None => return Ok(false),
            }
        }
        Ok(true)
    }
}

impl BufRead for BodyReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.fill()?;
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
            .field("ended", &self.is_eof())
            .finish_non_exhaustive()
    }
}
