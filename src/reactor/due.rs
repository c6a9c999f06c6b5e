//! When an exchange has to be looked at, and which of its limits has passed then.

use std::time::Instant;

use super::engine::Engine;
use super::exchange::{Running, total_error};
use super::socket::Socket;
use super::timer::{Entered, Owner};
use crate::error::{Error, Phase, Timeout};
use crate::job::ExchangeId;
use crate::net::Net;

impl<N: Net> Engine<N> {
    /// A deadline of this exchange may have passed.
    pub(super) fn exchange_due(&mut self, id: ExchangeId) {
        let now = self.now;
        let Some(entry) = self.exchanges.get_mut(&id) else {
            return;
        };
        entry.entered = Entered::No;
        let mut has_rested = false;
        let mut stage = None;
        let (exchange, connect, phase) = match &entry.running {
            Running::Resting { exchange, until } => {
                has_rested = *until <= now;
                (exchange, None, Phase::Retry)
            }
            Running::Waiting {
                exchange,
                connect,
                until,
                ..
            } => {
                let length = exchange
                    .limits
                    .rare
                    .as_ref()
                    .and_then(|rare| rare.pool_wait);
                stage = until.map(|at| (at, Timeout::PoolWait, length));
                (exchange, *connect, Phase::PoolWait)
            }
            Running::Dialing {
                exchange,
                connect,
                dial,
            } => {
                let length = exchange.limits.rare.as_ref().and_then(|rare| rare.dns);
                stage = dial.names_by().map(|at| (at, Timeout::Dns, length));
                (exchange, *connect, dial.phase(&mut self.sockets))
            }
            Running::Asked { token, .. } | Running::Streaming { token, .. } => {
                let token = *token;
                self.drive(token);
                // Not driven further (its reader is slow): look again later.
                return self.schedule(id);
            }
            #[cfg(feature = "websocket")]
            Running::WebSocket(_) => {
                self.websocket_due(id);
                return self.schedule(id);
            }
        };
        let (total, connect_limit) = (exchange.limits.total, exchange.limits.connect);
        if total.is_some_and(|(at, _)| at <= now) {
            self.end_exchange(id, total_error(total, phase));
        } else if has_rested {
            if let Some(Running::Resting { exchange, .. }) = self.remove(id) {
                self.start(id, exchange);
            }
        } else if connect.is_some_and(|at| at <= now) {
            let error = Error::timed_out(Timeout::Connect, connect_limit, phase);
            self.end_exchange(id, error);
        } else if let Some((at, which, length)) = stage
            && at <= now
        {
            if which == Timeout::Dns && self.make_do(id) {
                return;
            }
            self.end_exchange(id, Error::timed_out(which, length, phase));
        } else {
            self.race(id);
            self.schedule(id);
        }
    }

    pub(super) fn schedule(&mut self, id: ExchangeId) {
        let deadline = self.deadline(id);
        if let Some(entry) = self.exchanges.get_mut(&id) {
            let owner = Owner::Exchange(id);
            self.timers
                .schedule(owner, &mut entry.entered, deadline, self.now);
        }
    }

    /// Looks anew at those whose deadlines were far.
    pub(super) fn reschedule_far(&mut self) {
        let far = self.exchanges.iter_mut().filter_map(|(id, entry)| {
            let is_far = entry.entered == Entered::Far;
            is_far.then(|| {
                entry.entered = Entered::No;
                *id
            })
        });
        let far: Vec<_> = far.collect();
        for id in far {
            self.schedule(id);
        }
    }

    /// When this exchange has to be looked at.
    pub(super) fn deadline(&mut self, id: ExchangeId) -> Option<Instant> {
        match &self.exchanges.get(&id)?.running {
            Running::Resting { exchange, until } => {
                let total = exchange.limits.total.map(|(at, _)| at);
                earliest([total, Some(*until), None])
            }
            Running::Waiting {
                exchange,
                connect,
                until,
                ..
            } => earliest([exchange.limits.total.map(|(at, _)| at), *connect, *until]),
            Running::Dialing {
                exchange,
                connect,
                dial,
            } => earliest([
                exchange.limits.total.map(|(at, _)| at),
                *connect,
                dial.deadline(&mut self.sockets),
            ]),
            Running::Asked { token, .. } | Running::Streaming { token, .. } => {
                match self.sockets.get_mut(*token) {
                    Some(Socket::Busy { lent, .. }) => lent.deadline(),
                    _ => None,
                }
            }
            #[cfg(feature = "websocket")]
            Running::WebSocket(entry) => entry.deadline(),
        }
    }
}

fn earliest(deadlines: [Option<Instant>; 3]) -> Option<Instant> {
    deadlines.into_iter().flatten().min()
}
