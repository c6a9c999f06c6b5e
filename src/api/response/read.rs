//! The ways to read a body.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;

use super::{BodyPlace, Response, lent, lock};
use crate::api::body::{Body, Driver};
use crate::api::bytes::{Collect, may_be_text, to_text};
use crate::api::cancel::CancelHandle;
use crate::api::pending::{Operation, Pending, wait_on};
use crate::api::reader::BodyReader;
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
    pub fn start_bytes(self) -> Pending<Bytes> {
        pending(self.collect(Driver::Reactor, Ok))
    }

    /// The whole body as text: UTF-8, with U+FFFD for what is not (SPEC R21, J1).
    ///
    /// # Errors
    /// As [`bytes`](Response::bytes); and [`Kind::Decode`](crate::Kind::Decode)
    /// if the server declares another charset and the body does not begin with
    /// UTF-8's byte order mark. Its first bytes tell, so the rest is not
    /// downloaded; the response is spent all the same. Where such a text is to
    /// be expected, look at `Content-Type` first and read
    /// [`bytes`](Response::bytes).
    pub fn text(self) -> Result<String, Error> {
        wait_on(&mut self.collect_text(Driver::Caller)?)
    }

    /// As [`text`](Response::text), without blocking.
    pub fn start_text(self) -> Pending<String> {
        pending(self.collect_text(Driver::Reactor))
    }

    /// The whole body as JSON (SPEC R23, J2). The content type is not looked at.
    ///
    /// # Errors
    /// As [`bytes`](Response::bytes); and [`Kind::Decode`](crate::Kind::Decode)
    /// if the body is not JSON or not a `T`.
    #[cfg(feature = "json")]
    pub fn json<T: serde::de::DeserializeOwned + 'static>(self) -> Result<T, Error> {
        wait_on(&mut self.collect(Driver::Caller, |bytes| crate::api::bytes::to_json(&bytes))?)
    }

    /// As [`json`](Response::json), without blocking.
    #[cfg(feature = "json")]
    pub fn start_json<T: serde::de::DeserializeOwned + 'static>(self) -> Pending<T> {
        pending(self.collect(Driver::Reactor, |bytes| crate::api::bytes::to_json(&bytes)))
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
        match self.body() {
            Ok(body) => body.driven_by(Driver::Reactor),
            Err(error) => return Pending::failed(error),
        }
        let home = Arc::new(Mutex::new(None));
        match std::mem::replace(&mut self.body, BodyPlace::Lent(home.clone())) {
            BodyPlace::Here(body) => Pending::new(LentChunk {
                body: Some(body),
                home,
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

    /// Writes the body to `writer` and gives its decoded length (SPEC R27).
    ///
    /// # Errors
    /// As [`chunk`](Response::chunk); and [`Kind::Write`](crate::Kind::Write) for
    /// what the writer fails with.
    pub fn copy_to(mut self, writer: &mut (impl std::io::Write + ?Sized)) -> Result<u64, Error> {
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
        }
        Ok(length)
    }

    fn collect<T>(
        self,
        driver: Driver,
        convert: impl FnOnce(Bytes) -> Result<T, Error> + Send + 'static,
    ) -> Result<Collect<T>, Error> {
        let mut body = self.into_body()?;
        body.driven_by(driver);
        Ok(Collect::new(body, convert))
    }

    fn collect_text(self, driver: Driver) -> Result<Collect<String>, Error> {
        let charset = self.charset();
        let declared = charset.clone();
        let collect = self.collect(driver, move |bytes| to_text(&bytes, declared.as_deref()))?;
        Ok(match charset {
            Some(charset) => collect.admitted_by(move |start| may_be_text(start, &charset)),
            None => collect,
        })
    }
}

fn pending<T: 'static>(collect: Result<Collect<T>, Error>) -> Pending<T> {
    match collect {
        Ok(collect) => Pending::new(collect),
        Err(error) => Pending::failed(error),
    }
}

/// A chunk being waited for; the body goes home when it ends or is dropped.
struct LentChunk {
    body: Option<Body>,
    home: Arc<Mutex<Option<Body>>>,
}

impl Operation<Option<Bytes>> for LentChunk {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(Err(Error::internal("the chunk was taken already")));
        };
        let polled = body.poll_chunk(cx);
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

impl Drop for LentChunk {
    fn drop(&mut self) {
        if let Some(body) = self.body.take() {
            *lock(&self.home) = Some(body);
        }
    }
}
