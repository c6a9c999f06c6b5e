//! The ways to read a body.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, StatusCode};

use super::{BodyPlace, Response, lent, lock};
use crate::api::body::{Body, Driver};
use crate::api::bytes::Collect;
use crate::api::cancel::CancelHandle;
use crate::api::pending::{Operation, Pending, wait_on};
use crate::api::progress::Progress;
use crate::api::reader::{BodyReader, Chunks, Lines};
use crate::error::{Error, Phase};

impl Response {
    /// The whole body, decoded. Blocks until it is there (SPEC R20).
    ///
    /// # Errors
    /// The body breaks off or is damaged ([`Kind::Payload`](crate::Kind::Payload)),
    /// a limit passes, or it is larger than
    /// [`max_buffered`](crate::SessionBuilder::max_buffered), 256 MiB by default
    /// ([`Kind::Limit`](crate::Kind::Limit), SPEC R40).
    pub fn bytes(mut self) -> Result<Bytes, Error> {
        if let Some(whole) = self.body()?.take_whole() {
            return Ok(whole);
        }
        wait_on(&mut self.collect(Driver::Caller, Ok)?)
    }

    /// As [`bytes`](Response::bytes), without blocking.
    pub fn start_bytes(mut self) -> Pending<Bytes> {
        if let Ok(body) = self.body()
            && let Some(whole) = body.take_whole()
        {
            return Pending::done(whole);
        }
        pending(self.collect(Driver::Reactor, Ok))
    }

    /// The next piece of the body as it comes, decoded; `None` at its end.
    /// Blocks until there is one (SPEC R31).
    ///
    /// ```no_run
    /// let mut response = miohttp::Session::new().get("http://example.com/").send()?;
    /// let mut length = 0;
    /// while let Some(chunk) = response.chunk()? {
    ///     length += chunk.len();
    /// }
    /// # Ok::<(), miohttp::Error>(())
    /// ```
    ///
    /// # Errors
    /// The body breaks off or is damaged, or a limit passes; and
    /// [`Kind::InvalidRequest`](crate::Kind::InvalidRequest) while a
    /// [`start_chunk`](Response::start_chunk) has not ended.
    pub fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        struct Here<'a>(&'a mut Body);

        impl Operation<Option<Bytes>> for Here<'_> {
            fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
                self.0.poll_chunk(cx)
            }

            fn target(&self) -> CancelHandle {
                self.0.cancel_handle()
            }
        }

        let body = self.body()?;
        body.driven_by(Driver::Caller);
        wait_on(&mut Here(body))
    }

    /// As [`chunk`](Response::chunk), without blocking. One at a time.
    pub fn start_chunk(&mut self) -> Pending<Option<Bytes>> {
        self.lend(Body::poll_chunk)
    }

    /// Lends the body to a started operation on it.
    pub(super) fn lend<T: Send + 'static>(&mut self, poll: PollBody<T>) -> Pending<T> {
        match self.body() {
            Ok(body) => body.driven_by(Driver::Reactor),
            Err(error) => return Pending::failed(error),
        }
        let home = Arc::new(Mutex::new(None));
        match std::mem::replace(&mut self.body, BodyPlace::Lent(home.clone())) {
            BodyPlace::Here(body) => Pending::new(LentChunk {
                body: Some(body),
                home,
                poll,
            }),
            // `body()` has just seen to it that it is here.
            BodyPlace::Lent(_) => Pending::failed(lent()),
        }
    }

    /// The body as `Read` and `BufRead`, decoded. Errors come as
    /// [`std::io::Error`] with this crate's [`Error`] inside.
    ///
    /// ```no_run
    /// use std::io::BufRead;
    ///
    /// let response = miohttp::Session::new().get("http://example.com/log").send()?;
    /// for line in response.into_reader().lines() {
    ///     println!("{}", line?);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_reader(self) -> BodyReader {
        BodyReader::new(self.into_body())
    }

    /// The lines of the body, each through its `\n`, the last one perhaps without
    /// (SPEC R34). A line of more than 1 MiB is an error; see
    /// [`Lines::max_line_length`].
    ///
    /// ```no_run
    /// let response = miohttp::Session::new().get("http://example.com/events.jsonl").send()?;
    /// for line in response.lines() {
    ///     println!("{:?}", line?);
    /// }
    /// # Ok::<(), miohttp::Error>(())
    /// ```
    pub fn lines(self) -> Lines {
        Lines::new(self.into_reader())
    }

    /// The body in pieces, as they come (SPEC R34): [`chunk`](Response::chunk)
    /// as an iterator.
    pub fn chunks(self) -> Chunks {
        Chunks::new(self.into_reader(), None)
    }

    /// The body in pieces of `size` bytes, the last one perhaps shorter
    /// (SPEC R34). A `size` of 0 is an error of kind
    /// [`InvalidRequest`](crate::Kind::InvalidRequest), one above
    /// [`max_buffered`](crate::SessionBuilder::max_buffered) of kind
    /// [`Limit`](crate::Kind::Limit).
    pub fn chunks_of(self, size: usize) -> Chunks {
        Chunks::new(self.into_reader(), Some(size))
    }

    /// Puts bytes in front of what is read next, in whichever way (SPEC R36).
    /// They are kept in memory until then, whatever the limits say.
    ///
    /// # Errors
    /// [`Kind::InvalidRequest`](crate::Kind::InvalidRequest) while a
    /// [`start_chunk`](Response::start_chunk) has not ended.
    pub fn unread(&mut self, data: Bytes) -> Result<(), Error> {
        self.body()?.unread(data);
        Ok(())
    }

    /// Whether the end of the body has been received, whatever of it is read
    /// (SPEC R35). Of one that failed it never is, and while a
    /// [`start_chunk`](Response::start_chunk) has not ended nobody knows.
    pub fn is_eof(&self) -> bool {
        self.with_body(Body::is_eof).unwrap_or_default()
    }

    /// Whether all of the body was received and read: nothing is left
    /// (SPEC R35). Does not block. Of a body that failed it is false, so that a
    /// loop until then meets the error.
    pub fn at_eof(&mut self) -> bool {
        let Ok(body) = self.body() else {
            return false;
        };
        match body.now() {
            Some(Ok(None)) => true,
            Some(Ok(Some(chunk))) => {
                body.unread(chunk);
                false
            }
            Some(Err(_)) | None => false,
        }
    }

    /// What the body has failed with, if it has (SPEC R36). Every read gives it
    /// again.
    pub fn error(&self) -> Option<Error> {
        self.with_body(|body| body.error().cloned()).flatten()
    }

    /// Reads the rest of the body away, and gives its length. Blocks until its
    /// end (SPEC R35): then its [`trailers`](Response::trailers) are there, and
    /// its connection can serve again.
    ///
    /// # Errors
    /// As [`chunk`](Response::chunk).
    pub fn drain(&mut self) -> Result<u64, Error> {
        let mut length = 0;
        while let Some(chunk) = self.chunk()? {
            length += chunk.len() as u64;
        }
        Ok(length)
    }

    /// Gives the body up, and its connection unless all of it was received
    /// already (SPEC R25). Later reads fail with
    /// [`Kind::Closed`](crate::Kind::Closed); the head stays. Dropping a
    /// response does the same, but reads a short rest away so that the
    /// connection can serve again.
    pub fn close(&mut self) {
        match self.body() {
            Ok(body) => body.close(),
            // Whoever has it meets the end of its connection.
            Err(_) => self.cancel_handle().cancel(),
        }
    }

    /// Writes the body to `writer` and gives its decoded length (SPEC R27).
    ///
    /// # Errors
    /// As [`chunk`](Response::chunk); and [`Kind::Write`](crate::Kind::Write) for
    /// what the writer fails with.
    pub fn copy_to(self, writer: &mut (impl Write + ?Sized)) -> Result<u64, Error> {
        self.copy_to_with(writer, |_| {})
    }

    /// As [`copy_to`](Response::copy_to), and says after each piece how far it
    /// has come (SPEC R27). `progress` is called by this thread, at least once
    /// unless the body is empty.
    ///
    /// ```no_run
    /// let response = miohttp::Session::new().get("http://example.com/large").send()?;
    /// let mut file = std::fs::File::create("large")?;
    /// response.copy_to_with(&mut file, |progress| match progress.total {
    ///     Some(total) => eprintln!("{} of {total} bytes", progress.bytes),
    ///     None => eprintln!("{} bytes", progress.bytes),
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`copy_to`](Response::copy_to).
    pub fn copy_to_with(
        mut self,
        writer: &mut (impl Write + ?Sized),
        mut progress: impl FnMut(Progress),
    ) -> Result<u64, Error> {
        let total = self.total();
        let mut length = 0;
        while let Some(chunk) = self.chunk()? {
            writer.write_all(&chunk).map_err(|error| {
                let message = "the body cannot be written where it should go";
                Error::new(crate::Kind::Write, message)
                    .with_phase(Phase::Body)
                    .with_url(&self.about.url)
                    .with_history(&self.about.history)
                    .with_source(error)
            })?;
            length += chunk.len() as u64;
            progress(Progress {
                bytes: length,
                total,
            });
        }
        Ok(length)
    }

    /// How much [`chunk`](Response::chunk) will give in all, where that is known.
    fn total(&self) -> Option<u64> {
        let is_decoded = self.with_body(Body::is_decoded).unwrap_or_default();
        // RFC 9110 §8.6: it may be announced for what a GET would have given.
        let has_body = *self.method() != Method::HEAD && self.status() != StatusCode::NOT_MODIFIED;
        self.content_length().filter(|_| has_body && !is_decoded)
    }

    pub(super) fn collect<T>(
        self,
        driver: Driver,
        convert: impl FnOnce(Bytes) -> Result<T, Error> + Send + 'static,
    ) -> Result<Collect<T>, Error> {
        let mut body = self.into_body()?;
        body.driven_by(driver);
        Ok(Collect::new(body, convert))
    }
}

pub(super) fn pending<T: 'static>(collect: Result<Collect<T>, Error>) -> Pending<T> {
    match collect {
        Ok(collect) => Pending::new(collect),
        Err(error) => Pending::failed(error),
    }
}

/// A chunk being waited for; the body goes home when it ends or is dropped.
struct LentChunk<T> {
    body: Option<Body>,
    home: Arc<Mutex<Option<Body>>>,
    poll: PollBody<T>,
}

/// What is asked of a body that is lent.
pub(super) type PollBody<T> = fn(&mut Body, &mut Context<'_>) -> Poll<Result<T, Error>>;

impl<T> Operation<T> for LentChunk<T> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, Error>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(Err(Error::internal("the chunk was taken already")));
        };
        let polled = (self.poll)(body, cx);
        if polled.is_ready() {
            *lock(&self.home) = self.body.take();
        }
        polled
    }

    fn target(&self) -> CancelHandle {
        match &self.body {
            Some(body) => body.cancel_handle(),
            None => CancelHandle::nothing(),
        }
    }
}

impl<T> Drop for LentChunk<T> {
    fn drop(&mut self) {
        if let Some(body) = self.body.take() {
            *lock(&self.home) = Some(body);
        }
    }
}
