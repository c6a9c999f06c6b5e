//! A dial to the one address that all connections of its connector go to, with
//! no name to look up (SPEC U1).
//!
//! A Unix socket whose queue is full refuses at once, with `WouldBlock`, and
//! nothing tells when it has room (connect(2)). So the dial knocks again after a
//! while, without a socket meanwhile, until a limit passes.

use std::time::{Duration, Instant};

use super::Dial;
use crate::error::{Error, Phase, Timeout};
use crate::job::ExchangeId;
use crate::net::{Address, Net};
use crate::reactor::engine::Engine;
use crate::reactor::exchange::Running;

/// Between two tries at first, and at most: short enough that a server which
/// catches up is not left waiting.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(32);

#[derive(Debug)]
pub(super) struct Fixed {
    pub(super) address: Address,
    /// Before the next try.
    pause: Duration,
    /// T3, which the tries share: they are one attempt.
    pub(super) until: Option<Instant>,
}

impl Fixed {
    pub(super) fn new(address: Address) -> Box<Self> {
        Box::new(Self {
            address,
            pause: FIRST_PAUSE,
            until: None,
        })
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// When the next try is due, after one that found no room; earlier where
    /// the limit passes first.
    fn refused(&mut self, now: Instant, until: Option<Instant>) -> Instant {
        self.until = until;
        let at = now + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        until.map_or(at, |until| at.min(until))
    }
}

impl<N: Net> Dial<N> {
    /// The peer's queue was full.
    pub(super) fn knock_again(
        &mut self,
        mut fixed: Box<Fixed>,
        now: Instant,
        until: Option<Instant>,
    ) {
        self.next_at = Some(fixed.refused(now, until));
        self.fixed = Some(fixed);
    }
}

impl<N: Net> Engine<N> {
    /// Ends the knocking whose limit has passed.
    pub(super) fn stop_knocking(&mut self, id: ExchangeId) {
        let now = self.now;
        let Some(Running::Dialing { dial, exchange, .. }) = self.running(id) else {
            return;
        };
        if let Some(fixed) = dial.fixed.take_if(|fixed| fixed.is_over(now)) {
            let limit = exchange.limits.sock_connect;
            let error = Error::timed_out(Timeout::SockConnect, limit, Phase::Connect)
                .with_path(fixed.address.path());
            self.attempt_failed(id, error);
        }
    }
}
