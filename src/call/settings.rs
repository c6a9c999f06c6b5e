//! How requests are made: a session's settings, and the request's over them.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::header::HeaderName;
use http::{StatusCode, Version};

use super::{CharsetFallback, RedirectPolicy, Request, RetryPolicy, Timeouts, Ways};
use crate::coding::encode::Encoding;
use crate::error::Error;
use crate::handoff::pipe::Budget;
use crate::head::Fields;
use crate::job::RareLimits;

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

/// What says which proxy a URL is reached through, if anything does.
pub(crate) type Proxies = Option<Arc<dyn Ways>>;

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
    /// S18, Q13: what says which proxy a URL is reached through.
    pub(crate) proxy: Proxies,
    pub(crate) reading: Reading,
    /// Q9.
    pub(crate) compress: Option<Compress>,
    /// S22.
    pub(crate) charset_fallback: Option<CharsetFallback>,
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
    /// What is set of these beside the timeouts.
    pub(crate) rare: RareLimits,
    /// With those of the timeouts, if there is any: made on first use, like
    /// the fields.
    pub(super) all_rare: OnceLock<Option<Arc<RareLimits>>>,
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
            proxy: None,
            reading: Reading::default(),
            compress: None,
            charset_fallback: None,
            skip_auto_headers: Vec::new(),
            read_buffer: 256 * 1024,
            max_line: 8190,
            max_field: 8190,
            max_fields: 128,
            expect_continue: None,
            read_until_eof: true,
            force_close: false,
            automatic: OnceLock::new(),
            rare: RareLimits::default(),
            all_rare: OnceLock::new(),
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
        own.all_rare = OnceLock::new();
        own
    }

    /// The limits that few requests have, if these have any.
    pub(super) fn rare(&self) -> Option<&Arc<RareLimits>> {
        let all = self.all_rare.get_or_init(|| {
            let timeouts = self.timeouts.rare();
            let all = RareLimits {
                dns: timeouts.dns,
                pool_wait: timeouts.pool_wait,
                tls: timeouts.tls,
                write_stall: timeouts.write_stall,
                response_header: timeouts.response_header,
                low_speed: timeouts.low_speed,
                ..self.rare.clone()
            };
            (!all.is_default()).then(|| Arc::new(all))
        });
        all.as_ref()
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
    fn reading_pauses_above_twice_the_mark_and_goes_on_below_it() {
        // SPEC S20
        let mut settings = Settings::default();
        for mark in [settings.read_buffer, 1, 1000, usize::MAX] {
            settings.read_buffer = mark;
            let Budget { low, high } = settings.pipe_budget();
            assert_eq!((low, high), (mark, mark.saturating_mul(2)));
        }
        assert_eq!(Settings::default().read_buffer, 256 * 1024);
    }
}
