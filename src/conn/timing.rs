//! The deadlines of one exchange on its connection.

use std::time::{Duration, Instant};

use crate::job::ExchangeLimits;

#[derive(Debug, Default)]
pub(crate) struct Timing {
    total: Option<(Instant, Duration)>,
    gap: Option<Duration>,
    continue_wait: Duration,
    /// When the peer has been silent for too long; set while that counts.
    read_at: Option<Instant>,
    continue_at: Option<Instant>,
}

impl Timing {
    pub(crate) fn new(limits: &ExchangeLimits) -> Self {
        Self {
            total: limits.total,
            gap: limits.sock_read,
            continue_wait: limits.expect_continue,
            read_at: None,
            continue_at: None,
        }
    }

    pub(crate) fn until(total: Instant) -> Self {
        Self {
            total: Some((total, Duration::ZERO)),
            ..Self::default()
        }
    }

    pub(crate) fn await_continue(&mut self, now: Instant) {
        self.continue_at = now.checked_add(self.continue_wait);
    }

    /// True once, when the wait for `100 Continue` is over.
    pub(crate) fn continue_is_due(&mut self, now: Instant) -> bool {
        let due = self.continue_at.is_some_and(|at| at <= now);
        if due {
            self.continue_at = None;
        }
        due
    }

    /// Whether the peer seems to have been silent for too long. It may not have been.
    pub(crate) fn is_late(&self, now: Instant) -> bool {
        let ends = [self.read_at, self.continue_at];
        ends.into_iter().flatten().any(|at| at <= now)
    }

    pub(crate) fn total_is_due(&self, now: Instant) -> bool {
        self.total.is_some_and(|(at, _)| at <= now)
    }

    /// The limits, for whoever explains which has passed.
    pub(crate) fn total_length(&self) -> Option<Duration> {
        self.total.map(|(_, length)| length)
    }

    pub(crate) fn gap(&self) -> Option<Duration> {
        self.gap
    }

    pub(crate) fn read_is_due(&self, now: Instant) -> bool {
        self.read_at.is_some_and(|at| at <= now)
    }

    /// The request is out: the gap counts from now, if it does not already.
    pub(crate) fn arm_read(&mut self, now: Instant) {
        if self.read_at.is_none() {
            self.read_at = self.gap.and_then(|gap| now.checked_add(gap));
        }
    }

    /// Bytes came: the gap begins anew, once it is armed.
    pub(crate) fn received(&mut self, now: Instant) {
        if self.read_at.is_some() {
            self.read_at = None;
            self.arm_read(now);
        }
    }

    pub(crate) fn suspend_read(&mut self) {
        self.read_at = None;
    }

    pub(crate) fn earliest(&self) -> Option<Instant> {
        [self.total.map(|(at, _)| at), self.read_at, self.continue_at]
            .into_iter()
            .flatten()
            .min()
    }
}
