//! Request bodies in a content coding (SPEC Q9).

use bytes::Bytes;
use http::Version;

use super::RequestBuilder;
use crate::call::{Compress, Request};
use crate::coding::encode::{Encoding, STEP};
use crate::error::Error;
use crate::job::Upload;

impl RequestBuilder {
    /// Sends the body compressed: `Content-Encoding` says how, and the body is
    /// chunked (SPEC Q9). A body in memory is compressed by the verb, on the
    /// thread that calls it. A redirect or a retry sends the same bytes again.
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
    let Some(body) = request.body.as_mut().filter(|body| !body.upload.is_empty()) else {
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
    body.upload = encoded(encoding, std::mem::take(&mut body.upload)).map_err(|error| {
        Error::invalid_request("the body cannot be compressed").with_source(error)
    })?;
    fields.append_static("content-encoding", encoding.name());
    if !fields.contains("transfer-encoding") {
        fields.append_static("transfer-encoding", "chunked");
    }
    Ok(())
}

fn encoded(encoding: Encoding, mut upload: Upload) -> std::io::Result<Upload> {
    let mut encoder = encoding.encoder()?;
    let mut pieces = Vec::new();
    loop {
        let piece = upload.take(STEP);
        if piece.is_empty() {
            break;
        }
        pieces.push(encoder.encode(&piece)?);
    }
    pieces.push(encoder.finish()?);
    Ok(Upload::of_pieces(pieces.into_iter().map(Bytes::from)))
}
