//! The heartbeat of a WebSocket (SPEC W5): whether to ask a quiet peer for a sign
//! of life, and when to believe that it will give none.

use std::time::{Duration, Instant};

/// Asks after `every` of quiet, and gives the answer half of that. Whatever comes
/// is an answer. It rests while nothing is read: the quiet is not the peer's then.
#[derive(Debug)]
pub(super) struct Pulse {
    every: Option<Duration>,
    state: State,
}

#[derive(Debug)]
enum State {
    Resting,
    /// Quiet since then.
    Quiet(Instant),
    /// Asked then.
    Asked(Instant),
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beat {
    Nothing,
    /// Send a Ping.
    Ask,
    /// It has not answered within this.
    Lost(Duration),
}

impl Pulse {
    pub(super) fn new(every: Option<Duration>) -> Self {
        Self {
            every: every.filter(|every| !every.is_zero()),
            state: State::Resting,
        }
    }

    /// Something came, or is waited for from now on.
    pub(super) fn heard(&mut self, now: Instant) {
        self.state = State::Quiet(now);
    }

    pub(super) fn rest(&mut self) {
        self.state = State::Resting;
    }

    pub(super) fn next(&self) -> Option<Instant> {
        let every = self.every?;
        match self.state {
            State::Resting => None,
            State::Quiet(since) => since.checked_add(every),
            State::Asked(at) => at.checked_add(every / 2),
        }
    }

    pub(super) fn beat(&mut self, now: Instant) -> Beat {
        let Some(every) = self
            .every
            .filter(|_| self.next().is_some_and(|at| at <= now))
        else {
            return Beat::Nothing;
        };
        match self.state {
            State::Asked(_) => Beat::Lost(every / 2),
            State::Resting | State::Quiet(_) => {
                self.state = State::Asked(now);
                Beat::Ask
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_asks_after_quiet_and_gives_up_half_as_long_later() {
        // SPEC W5
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let mut pulse = Pulse::new(Some(Duration::from_secs(10)));
        assert_eq!((pulse.next(), pulse.beat(at(99))), (None, Beat::Nothing));
        pulse.heard(at(0));
        assert_eq!(pulse.beat(at(9)), Beat::Nothing);
        pulse.heard(at(9));
        assert_eq!(
            (pulse.next(), pulse.beat(at(18))),
            (Some(at(19)), Beat::Nothing)
        );
        assert_eq!(pulse.beat(at(19)), Beat::Ask);
        assert_eq!(
            (pulse.next(), pulse.beat(at(23))),
            (Some(at(24)), Beat::Nothing)
        );
        assert_eq!(pulse.beat(at(24)), Beat::Lost(Duration::from_secs(5)));
        pulse.heard(at(24));
        assert_eq!(
            (pulse.next(), pulse.beat(at(24))),
            (Some(at(34)), Beat::Nothing)
        );
        pulse.rest();
        assert_eq!((pulse.next(), pulse.beat(at(99))), (None, Beat::Nothing));
    }

    #[test]
    fn none_at_all_and_none_that_a_clock_could_hold() {
        let start = Instant::now();
        for every in [None, Some(Duration::ZERO), Some(Duration::MAX)] {
            let mut pulse = Pulse::new(every);
            pulse.heard(start);
            assert_eq!((pulse.next(), pulse.beat(start)), (None, Beat::Nothing));
        }
    }
}
