//! The body chunk by chunk, as the server cut it.

use std::task::{Context, Poll};

use bytes::Bytes;

use super::Response;
use crate::api::body::{Body, Driver};
use crate::api::cancel::CancelHandle;
use crate::api::pending::{Operation, Pending, wait_on};
use crate::error::Error;

impl Response {
    /// The next piece of the body as it comes, decoded, and whether a chunk of
    /// its transfer coding ends behind it; `None` at its end (SPEC R33). Blocks
    /// until there is one.
    ///
    /// Only where the request asked for it by
    /// [`chunk_marks`](crate::RequestBuilder::chunk_marks), and the server sent
    /// the body in chunks (RFC 9112 §7.1), is there ever a `true`. A chunk may
    /// come in several pieces. Where its end arrives after its data it is told
    /// with an empty piece; with a coded body always so, for the end is that of
    /// what was decoded from the chunk. Chunks are a matter of transport, and
    /// anybody on the way may cut the body anew.
    ///
    /// ```no_run
    /// let session = miohttp::Session::new();
    /// let request = session.get("http://example.com/events").chunk_marks(true);
    /// let mut response = request.send()?;
    /// let mut message = Vec::new();
    /// while let Some((piece, ends)) = response.read_chunk()? {
    ///     message.extend_from_slice(&piece);
    ///     if ends {
    ///         println!("{} bytes", message.len());
    ///         message.clear();
    ///     }
    /// }
    /// # Ok::<(), miohttp::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`chunk`](Response::chunk).
    pub fn read_chunk(&mut self) -> Result<Option<(Bytes, bool)>, Error> {
        struct Here<'a>(&'a mut Body);

        impl Operation<Option<(Bytes, bool)>> for Here<'_> {
            fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<(Bytes, bool)>, Error>> {
                self.0.poll_marked(cx)
            }

            fn target(&self) -> CancelHandle {
                self.0.cancel_handle()
            }
        }

        let body = self.body()?;
        body.driven_by(Driver::Caller);
        wait_on(&mut Here(body))
    }

    /// As [`read_chunk`](Response::read_chunk), without blocking. One at a time.
    pub fn start_read_chunk(&mut self) -> Pending<Option<(Bytes, bool)>> {
        self.lend(Body::poll_marked)
    }
}
