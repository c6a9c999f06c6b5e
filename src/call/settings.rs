//! How requests are made: a session's settings, and the request's over them.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::header::HeaderName;
use http::{StatusCode, Version};

use super::{RedirectPolicy, Request, RetryPolicy};
use crate::coding::encode::Encoding;
use crate::error::Error;
use crate::handoff::pipe::Budget;
use crate::head::Fields;

/// Time limits of a request (SPEC §5). `None` is no limit.
///
/// | limit | default | covers |
/// |---|---|---|
/// | `total` | 300 s | from the start to the last byte of the body, redirects included |
/// | `connect` | none | until a connection is ready: slot, name, TCP, TLS |
/// | `sock_connect` | 30 s | one attempt to connect: TCP and TLS |
/// | `sock_read` | none | the gap between received bytes, once the request is sent |
///
/// A zero duration means none, too.
///
/// ```
/// use std::time::Duration;
/// use miohttp::{Session, Timeouts};
///
/// let timeouts = Timeouts::new()
///     .total(Duration::from_secs(20))
///     .sock_read(Duration::from_secs(5));
/// let session = Session::builder().timeouts(timeouts).build();
/// # drop(session);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    pub(crate) total: Option<Duration>,
    pub(crate) connect: Option<Duration>,
    pub(crate) sock_connect: Option<Duration>,
    pub(crate) sock_read: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            total: Some(Duration::from_secs(300)),
            connect: None,
            sock_connect: Some(Duration::from_secs(30)),
            sock_read: None,
        }
    }
}

impl Timeouts {
    /// The defaults of the table above.
    pub fn new() -> Self {
        Self::default()
    }

    /// No limit at all. A server that goes silent then holds a request for ever.
    pub fn none() -> Self {
        Self {
            total: None,
            connect: None,
            sock_connect: None,
            sock_read: None,
        }
    }

    /// From the start of the request to the last byte of its body, all
    /// redirects included (SPEC T1). It goes on while the caller reads.
    #[must_use]
    pub fn total(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.total = positive(limit);
        self
    }

    /// Until a connection is ready: waiting for a slot, resolving the name,
    /// TCP and TLS (SPEC T2). Begins anew with each redirect.
    #[must_use]
    pub fn connect(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.connect = positive(limit);
        self
    }

    /// One attempt to connect to one address, TLS included (SPEC T3).
    #[must_use]
    pub fn sock_connect(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.sock_connect = positive(limit);
        self
    }

    /// The gap between received bytes (SPEC T4). Counts once the request is
    /// sent and stands still while the reader of the body is the slow one.
    #[must_use]
    pub fn sock_read(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.sock_read = positive(limit);
        self
    }
}

/// SPEC T7: zero is none.
fn positive(limit: impl Into<Option<Duration>>) -> Option<Duration> {
    limit.into().filter(|limit| !limit.is_zero())
}

/// What is done with an answer once it is there, by whoever reads it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    /// S14.
    pub(crate) auto_decompress: bool,
    /// S12, R22: which statuses are an error.
    pub(crate) error_for_status: Option<fn(StatusCode) -> bool>,
    pub(crate) limits: ReadLimits,
}

/// How much may come of a body (SPEC R40).
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadLimits {
    /// Decoded bytes for each byte received; 0 is no limit.
    pub(crate) max_decode_ratio: u64,
    /// Bytes that are kept in memory for a body that is read whole.
    pub(crate) max_buffered: usize,
    /// Decoded bytes of any body; `u64::MAX` is no limit.
    pub(crate) max_body_size: u64,
}

impl Default for Reading {
    fn default() -> Self {
        Self {
            auto_decompress: true,
            error_for_status: None,
            limits: ReadLimits {
                max_decode_ratio: 1000,
                max_buffered: 256 * 1024 * 1024,
                max_body_size: u64::MAX,
            },
        }
    }
}

/// SPEC R10, R22.
pub(crate) fn is_error_status(status: StatusCode) -> bool {
    status.as_u16() >= 400
}

/// What a request's body is compressed with. The function is here because
/// whoever never compresses is not to carry the encoders along.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Compress {
    pub(crate) encoding: Encoding,
    pub(crate) apply: fn(Encoding, &mut Request, Version) -> Result<(), Error>,
}

/// Everything a call needs to know of how it is to be made. The setters stand
/// in `api::settings`, for both that have one of these.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) timeouts: Timeouts,
    pub(crate) redirects: RedirectPolicy,
    /// D6: no redirect leads from https to http.
    pub(crate) refuse_downgrade: bool,
    /// S32.
    pub(crate) requote: bool,
    pub(crate) retry_stale: bool,
    /// Y2.
    pub(crate) retry: Option<Arc<RetryPolicy>>,
    pub(crate) version: Version,
    pub(crate) reading: Reading,
    /// Q9.
    pub(crate) compress: Option<Compress>,
    /// S5.
    pub(crate) skip_auto_headers: Vec<HeaderName>,
    /// S20.
    pub(crate) read_buffer: usize,
    /// S21.
    pub(crate) max_line: usize,
    pub(crate) max_field: usize,
    pub(crate) max_fields: usize,
    /// Q11: announces bodies, and waits so long with them.
    pub(crate) expect_continue: Option<Duration>,
    /// Q12.
    pub(crate) read_until_eof: bool,
    /// C2: says `Connection: close`, since the connector will.
    pub(crate) force_close: bool,
    /// The automatic fields of a request that brings none of them: made of what
    /// stands above on first use, and to be emptied when that changes.
    pub(super) automatic: OnceLock<Fields>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            timeouts: Timeouts::default(),
            redirects: RedirectPolicy::default(),
            refuse_downgrade: false,
            requote: true,
            retry_stale: true,
            retry: None,
            version: Version::HTTP_11,
            reading: Reading::default(),
            compress: None,
            skip_auto_headers: Vec::new(),
            read_buffer: 256 * 1024,
            max_line: 8190,
            max_field: 8190,
            max_fields: 128,
            expect_continue: None,
            read_until_eof: true,
            force_close: false,
            automatic: OnceLock::new(),
        }
    }
}

impl Settings {
    pub(crate) fn skips(&self, name: &HeaderName) -> bool {
        self.skip_auto_headers.contains(name)
    }

    /// The settings of one request, to change them: its session's, copied if
    /// they have not been yet.
    pub(crate) fn of_request(shared: &mut Arc<Self>) -> &mut Self {
        let own = Arc::make_mut(shared);
        own.automatic = OnceLock::new();
        own
    }

    /// SPEC S20: reading pauses above twice the mark and goes on below it.
    pub(crate) fn pipe_budget(&self) -> Budget {
        Budget {
            low: self.read_buffer,
            high: self.read_buffer.saturating_mul(2),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn zero_and_none_mean_no_limit() {
        // SPEC T7
        let timeouts = Timeouts::new()
            .total(Duration::ZERO)
            .sock_connect(None)
            .sock_read(Duration::from_millis(1));
        assert_eq!(timeouts.total, None);
        assert_eq!(timeouts.sock_connect, None);
        assert_eq!(timeouts.sock_read, Some(Duration::from_millis(1)));
    }
}
