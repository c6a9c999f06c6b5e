//! The settings that a session has for all its requests and a request for
//! itself: one list of setters over one [`Settings`](crate::call::Settings), for
//! both builders.

/// Gives a builder the setters. It has `fn set(&mut self) -> &mut Settings`.
///
/// [`Settings`]: crate::call::Settings
macro_rules! setters {
    ($builder:ident) => {
        impl $builder {
            /// The limit of a whole request, redirects and body included, 300 s
            /// by default; zero or `None` is none (SPEC Q14, T1). It stands as it
            /// is: no longer limit of another kind lifts it (SPEC T7).
            pub fn timeout(mut self, total: impl Into<Option<std::time::Duration>>) -> Self {
                let settings = self.set();
                settings.timeouts = settings.timeouts.firm_total(total);
                self
            }

            /// All time limits (SPEC S10, S11, Q14).
            pub fn timeouts(mut self, timeouts: crate::call::Timeouts) -> Self {
                self.set().timeouts = timeouts;
                self
            }

            /// Which redirects are followed (SPEC Q8); at most 10 by default.
            pub fn redirects(mut self, policy: crate::call::RedirectPolicy) -> Self {
                self.set().redirects = policy;
                self
            }

            /// Whether a redirect from https to http is an error of kind
            /// [`BadRedirect`](crate::Kind::BadRedirect) instead of being
            /// followed (SPEC D6). Default false, as browsers have it;
            /// credentials never go along.
            pub fn refuse_downgrade(mut self, refuse: bool) -> Self {
                self.set().refuse_downgrade = refuse;
                self
            }

            /// Whether the target of a redirect is brought into one form before it is
            /// asked for (SPEC S32, RFC 3986 §6.2.2): `%7e` becomes `~`, `%c3` becomes
            /// `%C3`, and what a URL cannot hold is encoded, a space in the query as
            /// `+`. Default true.
            ///
            /// With false path and query go out as the server has written them, for
            /// servers that compare them byte by byte; only spaces, control characters
            /// and what is not ASCII are encoded. [`Response::url`](crate::Response::url)
            /// shows the URL as it is understood either way.
            pub fn requote_redirect_url(mut self, requote: bool) -> Self {
                self.set().requote = requote;
                self
            }

            /// The version requests are sent in (SPEC S8): HTTP/1.1, the
            /// default, or HTTP/1.0, whose keep-alive is then asked for. Others
            /// are an error of kind
            /// [`InvalidRequest`](crate::Kind::InvalidRequest) at the verb.
            pub fn version(mut self, version: http::Version) -> Self {
                self.set().version = version;
                self
            }

            /// Never adds this header by itself (SPEC S5). A request's add up
            /// with its session's. `Host`, `Content-Length` and `Cookie` cannot
            /// be skipped.
            pub fn skip_auto_header(mut self, name: http::HeaderName) -> Self {
                self.set().skip_auto_headers.push(name);
                self
            }

            /// Announces a body by `Expect: 100-continue`, and holds it back
            /// until the server says that it wants it, or for this long; then
            /// it is sent all the same (SPEC Q11). A final answer that comes
            /// first spares the body, and ends the connection. A zero duration
            /// announces and does not wait.
            ///
            /// Default `None`: nothing is announced, unless the request has the
            /// header itself; then the wait is one second. Requests without a
            /// body and in HTTP/1.0 are never announced (RFC 9110 §10.1.1).
            pub fn expect_continue(mut self, wait: impl Into<Option<std::time::Duration>>) -> Self {
                self.set().expect_continue = wait.into();
                self
            }

            /// Whether a response whose body has neither a length nor chunks is
            /// read until the server ends the connection (SPEC Q12). Default
            /// true, as RFC 9112 §6.3 has it. With false such a body is empty,
            /// and its connection is not used again.
            pub fn read_until_eof(mut self, read: bool) -> Self {
                self.set().read_until_eof = read;
                self
            }

            /// The proxy that requests go through (SPEC S18, Q13): see
            /// [`Proxy`](crate::Proxy). A request's goes before its session's, and
            /// that before the environment's (SPEC X8). Asked anew for each
            /// redirect. Default none.
            ///
            /// ```
            /// use miohttp::{Proxy, Session};
            ///
            /// let session = Session::builder()
            ///     .proxy(Proxy::all("socks5h://127.0.0.1:9050")?)
            ///     .build();
            /// # drop(session);
            /// # Ok::<(), miohttp::Error>(())
            /// ```
            pub fn proxy(mut self, proxy: crate::proxy::Proxy) -> Self {
                self.set().proxy = Some(std::sync::Arc::new(proxy));
                self
            }

            /// Goes through no proxy, whatever the session or the environment says
            /// (SPEC Q13). [`Proxy::no_proxy`](crate::Proxy::no_proxy) does that
            /// for some hosts.
            pub fn no_proxy(self) -> Self {
                self.proxy(crate::proxy::Proxy::none())
            }

            /// Whether `Content-Encoding` is decoded, and asked for unless the
            /// request has a `Range` (SPEC S14, Q18). Default true.
            pub fn auto_decompress(mut self, decompress: bool) -> Self {
                self.set().reading.auto_decompress = decompress;
                self
            }

            /// Whether a status of 400 or above is an error of kind
            /// [`Status`](crate::Kind::Status) (SPEC S12, R22, Q18). Default
            /// false.
            pub fn error_for_status(mut self, error: bool) -> Self {
                let errors: fn(http::StatusCode) -> bool = crate::call::is_error_status;
                self.set().reading.error_for_status = error.then_some(errors);
                self
            }

            /// Which statuses are an error of kind
            /// [`Status`](crate::Kind::Status) (SPEC S12); in place of
            /// [`error_for_status`](Self::error_for_status), the later call
            /// counts. Asked on the thread that waits for the response.
            ///
            /// ```
            /// use miohttp::Session;
            ///
            /// let session = Session::builder()
            ///     .error_for_status_when(|status| status.is_server_error())
            ///     .build();
            /// # drop(session);
            /// ```
            pub fn error_for_status_when(mut self, is_error: fn(http::StatusCode) -> bool) -> Self {
                self.set().reading.error_for_status = Some(is_error);
                self
            }

            /// How many bytes each received byte of a coded body may become,
            /// past the first MiB (SPEC R40). More is an error of kind
            /// [`Limit`](crate::Kind::Limit), streamed bodies included. Default
            /// 1000; 0 is no limit, for honest bodies that pack better.
            pub fn max_decode_ratio(mut self, ratio: u64) -> Self {
                self.set().reading.limits.max_decode_ratio = ratio;
                self
            }

            /// The largest body that [`bytes`](crate::Response::bytes),
            /// [`text`](crate::Response::text) and `json` keep in memory,
            /// decoded (SPEC R40). More is an error of kind
            /// [`Limit`](crate::Kind::Limit). Default 256 MiB; `usize::MAX` is
            /// no limit. What is streamed has none of this kind, but see
            /// [`max_body_size`](Self::max_body_size).
            pub fn max_buffered(mut self, bytes: usize) -> Self {
                self.set().reading.limits.max_buffered = bytes;
                self
            }

            /// The largest body, decoded, however it is read: streamed, copied
            /// or kept (SPEC R40). More is an error of kind
            /// [`Limit`](crate::Kind::Limit), behind the bytes that were
            /// allowed; where an uncoded body says at once that it is longer,
            /// nothing of it is read. Default `u64::MAX`, which is no limit.
            pub fn max_body_size(mut self, bytes: u64) -> Self {
                self.set().reading.limits.max_body_size = bytes;
                self
            }

            /// Says in which charset a text is that does not say it (SPEC S22):
            /// no byte order mark, none declared that anybody knows, and no
            /// JSON. Given the response, whose body is no longer in it, and all
            /// of the body, decoded. Default UTF-8.
            ///
            /// It runs on the thread that reads the text. Without the feature
            /// `charset` it may name UTF-8 and ASCII only; a name that nothing
            /// is known by makes the text an error of kind
            /// [`Decode`](crate::Kind::Decode). With that feature
            /// `detect_charset` is one that guesses.
            ///
            /// ```
            /// let session = miohttp::Session::builder()
            ///     .charset_fallback(|response, _body| {
            ///         match response.url().path().ends_with(".txt") {
            ///             true => "windows-1252",
            ///             false => "utf-8",
            ///         }
            ///     })
            ///     .build();
            /// # drop(session);
            /// ```
            pub fn charset_fallback<C: Into<String>>(
                mut self,
                resolve: impl Fn(&crate::Response, &[u8]) -> C + Send + Sync + 'static,
            ) -> Self {
                self.set().charset_fallback = Some(crate::api::charset::fallback(resolve));
                self
            }

            /// Whether a request that a stale connection swallowed is sent again
            /// where that is safe (SPEC Y1). Default true.
            pub fn retry_stale(mut self, retry: bool) -> Self {
                self.set().retry_stale = retry;
                self
            }

            /// When a request that failed, or was answered by certain statuses, is
            /// tried again, and after how long (SPEC Y2): see
            /// [`RetryPolicy`](crate::RetryPolicy). Default `None`: never.
            pub fn retry(mut self, policy: impl Into<Option<crate::call::RetryPolicy>>) -> Self {
                self.set().retry = policy.into().map(std::sync::Arc::new);
                self
            }

            /// How much of a body is read ahead of its reader, in bytes; reading
            /// pauses above twice that (SPEC S20, Q18). Default 256 KiB; 0 is 1.
            pub fn read_buffer(mut self, bytes: usize) -> Self {
                self.set().read_buffer = bytes.max(1);
                self
            }

            /// The longest status line that is accepted, in bytes (SPEC S21,
            /// Q18). Default 8190; a longer one is an error of kind
            /// [`Limit`](crate::Kind::Limit).
            pub fn max_status_line(mut self, bytes: usize) -> Self {
                self.set().max_line = bytes;
                self
            }

            /// The longest header field that is accepted, in bytes (SPEC S21,
            /// Q18). Default 8190; a longer one is an error of kind
            /// [`Limit`](crate::Kind::Limit).
            pub fn max_header_field(mut self, bytes: usize) -> Self {
                self.set().max_field = bytes;
                self
            }

            /// The most header fields that are accepted (SPEC S21, Q18).
            /// Default 128; more are an error of kind
            /// [`Limit`](crate::Kind::Limit).
            pub fn max_header_count(mut self, fields: usize) -> Self {
                self.set().max_fields = fields;
                self
            }
        }
    };
}

pub(super) use setters;
