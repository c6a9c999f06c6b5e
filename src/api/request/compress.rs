//! Request bodies in a content coding (SPEC Q9).

use std::sync::Arc;
use std::{io, mem};

use bytes::Bytes;
use http::Version;

use super::RequestBuilder;
use crate::api::upload::source;
use crate::call::{Compress, Content, InMemory, Pull, Request, RequestBody};
use crate::coding::encode::{Encode, Encoding, STEP};
use crate::error::Error;
use crate::job::Pieces;

impl RequestBuilder {
    /// Sends the body compressed: `Content-Encoding` says how, and the body is
    /// chunked (SPEC Q9). A body in memory is compressed by the verb, on the
    /// thread that calls it, and a redirect or a retry sends the same bytes
    /// again. One that is read while it is sent is compressed meanwhile, by the
    /// thread that reads it.
    ///
    /// Without a body, or with an empty one, nothing changes. It is for the
    /// caller to know that the server understands: HTTP has no way to ask first.
    ///
    /// ```
    /// # #[cfg(feature = "gzip")] {
    /// use miohttp::{Encoding, Session};
    ///
    /// let log = "GET /index.html 200\n".repeat(1_000);
    /// let request = Session::new()
    ///     .post("http://example.com/logs")
    ///     .body(log)
    ///     .compress(Encoding::Gzip);
    /// # drop(request);
    /// # }
    /// ```
    ///
    /// # Errors
    /// At the verb, of kind [`InvalidRequest`](crate::Kind::InvalidRequest): the
    /// request has a `Content-Encoding` or a `Content-Length` of its own, or is
    /// made in HTTP/1.0, which has no chunks.
    pub fn compress(mut self, encoding: Encoding) -> Self {
        self.set().compress = Some(Compress {
            encoding,
            apply: compress,
        });
        self
    }
}

/// Puts the body into the coding, and the header fields that say so beside it.
/// These are the request's own from here on: they go where its body goes.
fn compress(encoding: Encoding, request: &mut Request, version: Version) -> Result<(), Error> {
    let Some(body) = request
        .body
        .as_mut()
        .filter(|body| body.length() != Some(0))
    else {
        return Ok(());
    };
    let fields = &mut request.fields;
    if fields.contains("content-encoding") {
        let message = "a body that has a Content-Encoding is not compressed again";
        return Err(Error::invalid_request(message));
    }
    if fields.contains("content-length") {
        let message = "the length of a compressed body cannot be given";
        return Err(Error::invalid_request(message));
    }
    if version == Version::HTTP_10 {
        let message = "a compressed body is chunked, which HTTP/1.0 cannot be";
        return Err(Error::invalid_request(message));
    }
    *body = encoded(encoding, body)?;
    fields.append_static("content-encoding", encoding.name());
    // Where chunks are asked for, they are announced with the framing.
    let is_chunked = request.extra.as_ref().is_some_and(|extra| extra.chunked);
    if !is_chunked && !fields.contains("transfer-encoding") {
        fields.append_static("transfer-encoding", "chunked");
    }
    Ok(())
}

/// What is in memory is compressed here, what is read while it is sent by the
/// thread that reads it.
fn encoded(encoding: Encoding, body: &RequestBody) -> Result<RequestBody, Error> {
    let Content::Memory(pieces) = body.content() else {
        let wrap = move |inner| -> Box<dyn Pull> { Box::new(Encoded::new(encoding, inner)) };
        return Ok(source::map(body.clone(), None, Arc::new(wrap)));
    };
    let mut encoded = Encoded::new(encoding, Box::new(InMemory(pieces.clone())));
    let mut all = Vec::new();
    while let Some(piece) = encoded.next().map_err(|error| {
        Error::invalid_request("the body cannot be compressed").with_source(error)
    })? {
        all.push(piece);
    }
    let content = Content::Memory(Pieces::of(all.into_iter()));
    Ok(RequestBody::new(content, body.content_type().cloned()))
}

/// A body seen through an encoder, in steps of bounded size.
struct Encoded {
    state: State,
    inner: Box<dyn Pull>,
    /// Of the last piece, what is still to be encoded.
    piece: Bytes,
}

enum State {
    Unbegun(Encoding),
    Running(Box<dyn Encode>),
    Ended,
}

impl Encoded {
    fn new(encoding: Encoding, inner: Box<dyn Pull>) -> Self {
        Self {
            state: State::Unbegun(encoding),
            inner,
            piece: Bytes::new(),
        }
    }
}

impl Pull for Encoded {
    fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let encoder = match &mut self.state {
                State::Running(encoder) => encoder,
                State::Ended => return Ok(None),
                State::Unbegun(encoding) => {
                    self.state = State::Running(encoding.encoder()?);
                    continue;
                }
            };
            if !self.piece.is_empty() {
                let step = self.piece.split_to(self.piece.len().min(STEP));
                let out = encoder.encode(&step)?;
                if !out.is_empty() {
                    return Ok(Some(out.into()));
                }
            } else if let Some(piece) = self.inner.next()? {
                self.piece = piece;
            } else if let State::Running(encoder) = mem::replace(&mut self.state, State::Ended) {
                return Ok(Some(encoder.finish()?.into()));
            }
        }
    }
}
