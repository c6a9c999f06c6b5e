//! The limits and options of an exchange that few requests have, behind one
//! pointer, so that a request without them pays for none.

use std::num::NonZeroU64;
use std::time::Duration;

/// Durations and rates that are `None` are not limited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RareLimits {
    // T6.
    pub(crate) dns: Option<Duration>,
    pub(crate) pool_wait: Option<Duration>,
    pub(crate) tls: Option<Duration>,
    pub(crate) write_stall: Option<Duration>,
    pub(crate) response_header: Option<Duration>,
    pub(crate) low_speed: Option<LowSpeed>,
    /// Bytes a second, received and sent.
    pub(crate) download_rate: Option<NonZeroU64>,
    pub(crate) upload_rate: Option<NonZeroU64>,
    /// R38.
    pub(crate) strict_framing: bool,
    /// R33.
    pub(crate) chunk_marks: bool,
    /// R41.
    pub(crate) allow_truncated_tls: bool,
}

/// So many bytes have to move within so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LowSpeed {
    pub(crate) bytes: u64,
    pub(crate) window: Duration,
}

impl RareLimits {
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
