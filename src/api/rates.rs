//! How fast a request may go, and how strictly its answer is read: settings
//! that few programs have, for both builders.

/// Gives a builder the setters. It has `fn set(&mut self) -> &mut Settings`.
macro_rules! setters {
    ($builder:ident) => {
        impl $builder {
            /// Receives no more than so many bytes a second, on the average;
            /// zero or `None` is no limit, the default. Each request has the
            /// rate for itself.
            ///
            /// Bytes are counted as they arrive, before they are decoded. They
            /// come in pieces of a 16th of a second's worth, and what a slow
            /// server left unused is not made up for. The time in which a rate
            /// holds a transfer up counts neither for
            /// [`sock_read`](crate::Timeouts::sock_read) nor for
            /// [`low_speed`](crate::Timeouts::low_speed), but it does for the
            /// total.
            ///
            /// ```
            /// let session = miohttp::Session::builder().download_rate(1_000_000).build();
            /// # drop(session);
            /// ```
            pub fn download_rate(mut self, bytes_per_second: impl Into<Option<u64>>) -> Self {
                let rate = bytes_per_second.into().and_then(std::num::NonZeroU64::new);
                self.set().rare.download_rate = rate;
                self
            }

            /// Sends no more than so many bytes of a request's body a second,
            /// on the average; zero or `None` is no limit, the default. Each
            /// request has the rate for itself. Otherwise as
            /// [`download_rate`](Self::download_rate);
            /// [`write_stall`](crate::Timeouts::write_stall) stands still, too.
            pub fn upload_rate(mut self, bytes_per_second: impl Into<Option<u64>>) -> Self {
                let rate = bytes_per_second.into().and_then(std::num::NonZeroU64::new);
                self.set().rare.upload_rate = rate;
                self
            }

            /// Whether a response is refused that is readable, but not as
            /// RFC 9112 wants it written (SPEC R38). Default false: it is read
            /// in the one safe way, and its connection is not used again where
            /// there is doubt about its end.
            ///
            /// Strictly, it is an error of kind
            /// [`Protocol`](crate::Kind::Protocol) if there are both a
            /// `Content-Length` and `Transfer-Encoding: chunked`, chunks in
            /// HTTP/1.0, a transfer coding named twice or `identity`; if a line
            /// of the head ends in LF alone or is folded, if there is space
            /// before a colon, or an empty line before the head.
            pub fn strict_framing(mut self, strict: bool) -> Self {
                self.set().rare.strict_framing = strict;
                self
            }

            /// Whether [`Response::read_chunk`](crate::Response::read_chunk) tells
            /// where the chunks of a body end (SPEC R33). Default false; it costs
            /// a little for each chunk.
            pub fn chunk_marks(mut self, tell: bool) -> Self {
                self.set().rare.chunk_marks = tell;
                self
            }

            /// Whether a body that lasts until the connection ends may end
            /// where TLS is cut off without `close_notify` (SPEC R41). Default
            /// false: anybody on the way can cut it there, so it is an error of
            /// kind [`Payload`](crate::Kind::Payload) (RFC 9112 §9.8). Allowed,
            /// it passes, and
            /// [`Response::is_truncated`](crate::Response::is_truncated) tells.
            /// Bodies with a length or in chunks are never allowed to.
            pub fn allow_truncated_tls(mut self, allow: bool) -> Self {
                self.set().rare.allow_truncated_tls = allow;
                self
            }
        }
    };
}

pub(crate) use setters;
