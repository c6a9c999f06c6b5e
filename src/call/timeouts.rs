//! The time limits of a request, as a program sets them.

use std::time::Duration;

use crate::job::{LowSpeed, RareLimits};

/// Time limits of a request (SPEC §5). `None` is no limit.
///
/// | limit | default | covers |
/// |---|---|---|
/// | `total` | 300 s | from the start to the last byte of the body, redirects included |
/// | `connect` | none | until a connection is ready: slot, name, TCP, TLS |
/// | `pool_wait` | none | of it, the wait for a free slot |
/// | `dns` | none | of it, until an address of the name is known |
/// | `sock_connect` | 30 s | one attempt to connect: TCP and TLS |
/// | `tls` | none | of it, the TLS handshake |
/// | `write_stall` | none | the gap between bytes the network takes of the request |
/// | `response_header` | none | from the end of the request to the head of the response |
/// | `sock_read` | none | the gap between received bytes, once the request is sent |
/// | `low_speed` | none | a least amount within each stretch of time, in bodies |
///
/// A zero duration means none, too. Limits are exact: none is rounded up
/// (SPEC T5). All but `total` begin anew with each redirect. Which one has
/// passed, and where the request stood, is what
/// [`Error::timeout`](crate::Error::timeout) and
/// [`Error::phase`](crate::Error::phase) say.
///
/// **A longer limit lifts the total** (SPEC T7): whoever allows ten minutes
/// between two bytes does not mean to end the request after five. So the total
/// is never less than the largest of the others that were set here, in whatever
/// order; the default of `sock_connect` lifts nothing. The limit that
/// [`RequestBuilder::timeout`](crate::RequestBuilder::timeout) sets is not
/// lifted.
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
    /// As it was set.
    total: Option<Duration>,
    /// As it holds, which is kept here so that no request works it out.
    effective: Option<Duration>,
    /// It is not lifted.
    firm: bool,
    pub(super) connect: Option<Duration>,
    pub(super) sock_connect: Option<Duration>,
    /// Not the default, which lifts nothing.
    sock_connect_is_set: bool,
    pub(crate) sock_read: Option<Duration>,
    dns: Option<Duration>,
    pool_wait: Option<Duration>,
    tls: Option<Duration>,
    write_stall: Option<Duration>,
    response_header: Option<Duration>,
    low_speed: Option<LowSpeed>,
}

impl Default for Timeouts {
    fn default() -> Self {
        let total = Some(Duration::from_secs(300));
        Self {
            total,
            effective: total,
            sock_connect: Some(Duration::from_secs(30)),
            ..Self::none()
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
            effective: None,
            firm: false,
            connect: None,
            sock_connect: None,
            sock_connect_is_set: false,
            sock_read: None,
            dns: None,
            pool_wait: None,
            tls: None,
            write_stall: None,
            response_header: None,
            low_speed: None,
        }
    }

    /// From the start of the request to the last byte of its body, all
    /// redirects included (SPEC T1). It goes on while the caller reads. A
    /// longer limit of another kind [lifts it](Timeouts).
    #[must_use]
    pub fn total(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.total = positive(limit);
        self.firm = false;
        self.lifted()
    }

    /// The limit of a whole request, said by itself: it stands.
    pub(crate) fn firm_total(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.total = positive(limit);
        self.firm = true;
        self.lifted()
    }

    /// Until a connection is ready: waiting for a slot, resolving the name,
    /// TCP and TLS (SPEC T2). Begins anew with each redirect.
    #[must_use]
    pub fn connect(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.connect = positive(limit);
        self.lifted()
    }

    /// The wait for a free slot where the [`limit`](crate::ConnectorBuilder::limit)
    /// of connections is reached (SPEC T6).
    #[must_use]
    pub fn pool_wait(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.pool_wait = positive(limit);
        self.lifted()
    }

    /// Until the first address of the host name is known (SPEC T6). The lookup
    /// itself goes on for others who wait for it.
    #[must_use]
    pub fn dns(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.dns = positive(limit);
        self.lifted()
    }

    /// One attempt to connect to one address, TLS included (SPEC T3). When it
    /// passes, the next address is tried.
    #[must_use]
    pub fn sock_connect(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.sock_connect = positive(limit);
        self.sock_connect_is_set = true;
        self.lifted()
    }

    /// The TLS handshake of one attempt (SPEC T6). When it passes, the next
    /// address is tried.
    #[must_use]
    pub fn tls(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.tls = positive(limit);
        self.lifted()
    }

    /// How long the network may take no byte of a request that is ready to be
    /// sent (SPEC T6). A body that is itself slow to come does not count, nor
    /// does the wait for `100 Continue` or for an
    /// [`upload_rate`](crate::RequestBuilder::upload_rate).
    #[must_use]
    pub fn write_stall(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.write_stall = positive(limit);
        self.lifted()
    }

    /// From the end of the request until the head of its response is complete
    /// (SPEC T6). `1xx` responses do not end it.
    #[must_use]
    pub fn response_header(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.response_header = positive(limit);
        self.lifted()
    }

    /// The gap between received bytes (SPEC T4). Counts once the request is
    /// sent and stands still while the reader of the body is the slow one, or a
    /// [`download_rate`](crate::RequestBuilder::download_rate).
    #[must_use]
    pub fn sock_read(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.sock_read = positive(limit);
        self.lifted()
    }

    /// A transfer that is too slow: `bytes` have to move within `window`, again
    /// and again, while the body of the request is sent and while the body of
    /// the response comes (SPEC T6). The time between the two is the server's
    /// to think, and so is limited by
    /// [`response_header`](Timeouts::response_header). It stands still while
    /// this side is the slow one: the reader of the body, the source of an
    /// upload, or a rate that was set. Zero bytes, or a zero window, is no limit.
    ///
    /// ```
    /// use std::time::Duration;
    /// use miohttp::Timeouts;
    ///
    /// // Less than 1 kB/s for half a minute.
    /// let timeouts = Timeouts::new().total(None).low_speed(30_000, Duration::from_secs(30));
    /// # drop(timeouts);
    /// ```
    #[must_use]
    pub fn low_speed(mut self, bytes: u64, window: impl Into<Option<Duration>>) -> Self {
        let window = positive(window).filter(|_| bytes > 0);
        self.low_speed = window.map(|window| LowSpeed { bytes, window });
        self.lifted()
    }

    /// The total as it holds (SPEC T7).
    pub(super) fn effective_total(&self) -> Option<Duration> {
        self.effective
    }

    /// Those that few requests have.
    pub(super) fn rare(&self) -> RareLimits {
        RareLimits {
            dns: self.dns,
            pool_wait: self.pool_wait,
            tls: self.tls,
            write_stall: self.write_stall,
            response_header: self.response_header,
            low_speed: self.low_speed,
            ..RareLimits::default()
        }
    }

    fn lifted(mut self) -> Self {
        let others = [
            self.connect,
            self.sock_connect.filter(|_| self.sock_connect_is_set),
            self.sock_read,
            self.dns,
            self.pool_wait,
            self.tls,
            self.write_stall,
            self.response_header,
            self.low_speed.map(|limit| limit.window),
        ];
        let longest = others.into_iter().flatten().max().filter(|_| !self.firm);
        let total = self.total;
        self.effective = total.map(|total| longest.map_or(total, |longest| total.max(longest)));
        self
    }
}

/// SPEC T7: zero is none.
fn positive(limit: impl Into<Option<Duration>>) -> Option<Duration> {
    limit.into().filter(|limit| !limit.is_zero())
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn most_limits_are_off_unless_they_are_set() {
        // SPEC S10, S11, T1, T3, T4, T6
        let timeouts = Timeouts::default();
        assert_eq!(timeouts.effective_total(), Some(secs(300)));
        assert_eq!(timeouts.connect, None);
        assert_eq!(timeouts.sock_connect, Some(secs(30)));
        assert_eq!(timeouts.sock_read, None);
        assert!(timeouts.rare().is_default());
        assert_eq!(timeouts, Timeouts::new());
    }

    #[test]
    fn zero_and_none_mean_no_limit() {
        // SPEC T7, T6
        let zero = Duration::ZERO;
        let timeouts = Timeouts::new()
            .total(zero)
            .sock_connect(None)
            .sock_read(secs(1))
            .dns(zero)
            .pool_wait(zero)
            .tls(zero)
            .write_stall(zero)
            .response_header(zero)
            .low_speed(1, zero);
        assert_eq!(timeouts.effective_total(), None);
        assert_eq!(timeouts.sock_connect, None);
        assert_eq!(timeouts.sock_read, Some(secs(1)));
        assert!(timeouts.rare().is_default());
        assert!(timeouts.low_speed(0, secs(1)).rare().is_default());
        assert!(!timeouts.low_speed(1, secs(1)).rare().is_default());
    }

    #[test]
    fn a_longer_limit_lifts_the_total_in_whatever_order() {
        // SPEC T7
        let total = |timeouts: Timeouts| timeouts.effective_total();
        let longer: [fn(Timeouts) -> Timeouts; 9] = [
            |t| t.connect(secs(600)),
            |t| t.sock_connect(secs(600)),
            |t| t.sock_read(secs(600)),
            |t| t.dns(secs(600)),
            |t| t.pool_wait(secs(600)),
            |t| t.tls(secs(600)),
            |t| t.write_stall(secs(600)),
            |t| t.response_header(secs(600)),
            |t| t.low_speed(1, secs(600)),
        ];
        for longer in longer {
            assert_eq!(total(longer(Timeouts::new())), Some(secs(600)));
            let timeouts = Timeouts::new();
            assert_eq!(total(longer(timeouts).total(secs(20))), Some(secs(600)));
            assert_eq!(total(longer(timeouts.total(secs(20)))), Some(secs(600)));
            assert_eq!(total(longer(timeouts.total(None))), None);
            assert_eq!(total(longer(timeouts.firm_total(secs(20)))), Some(secs(20)));
            assert_eq!(total(longer(timeouts).firm_total(secs(20))), Some(secs(20)));
        }
        // The last word counts, and a shorter limit lifts nothing.
        let timeouts = Timeouts::new().total(secs(20)).sock_read(secs(60));
        assert_eq!(total(timeouts.sock_read(secs(5))), Some(secs(20)));
        // The default of sock_connect is nobody's wish.
        assert_eq!(total(Timeouts::new().total(secs(1))), Some(secs(1)));
        assert_eq!(total(Timeouts::new()), Some(secs(300)));
    }
}
