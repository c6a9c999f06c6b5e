//! The life of an exchange in the engine.
//!
//! ```text
//! start ─▶ Waiting (for a slot) ─▶ Dialing ─▶ Asked ─▶ Streaming ─▶ done
//!   └─ Resting ─▲ └── an idle connection ───────▲ └─ short body ─────▲
//! ```
//!
//! Whatever happens, its [`Advance`](crate::job::Advance) is called once a hop
//! with the outcome, and its pipe is ended with a reason.

use std::time::{Duration, Instant};

use super::dial::Dial;
use super::engine::{Engine, Pooled};
use super::socket::Socket;
use super::timer::{Entered, Owner};
#[cfg(feature = "websocket")]
use super::websocket::OpenEntry;
use crate::conn::{ConnFault, Pumped};
use crate::delivery::{Inbox, Outlet, advance};
use crate::error::{Error, Phase, Timeout};
use crate::job::{
    Cancel, Exchange, ExchangeId, Facts, Failure, Next, PoolKey, Progress, Reply, ReplyBody,
};
use crate::net::{Net, Stream, Token};
use crate::pool::{Checkout, Claim, Lent, Permit, Revocation, Ticket};

pub(super) struct Entry<N: Net> {
    pub(super) running: Running<N>,
    /// Its entry among the timers.
    pub(super) entered: Entered,
}

pub(super) enum Running<N: Net> {
    /// It is not to start before this, and holds nothing meanwhile.
    Resting {
        exchange: Box<Exchange>,
        until: Instant,
    },
    /// For a connection slot.
    Waiting {
        exchange: Box<Exchange>,
        ticket: Ticket<PoolKey, Pooled<N>>,
        connect: ConnectLimit,
        /// T6: for no longer.
        until: Option<Instant>,
    },
    Dialing {
        exchange: Box<Exchange>,
        dial: Box<Dial<N>>,
        connect: ConnectLimit,
    },
    /// On a connection; the head is not complete.
    Asked {
        exchange: Box<Exchange>,
        token: Token,
        inbox: Inbox,
    },
    /// The head is delivered, the body goes through a pipe.
    Streaming { token: Token, outlet: Outlet },
    /// The connection speaks WebSocket.
    #[cfg(feature = "websocket")]
    WebSocket(Box<OpenEntry>),
}

/// Between a failure and the next try.
const LEAST_REST: Duration = Duration::from_millis(1);

/// T2, as a point in time.
pub(super) type ConnectLimit = Option<Instant>;

impl<N: Net> Engine<N> {
    pub(super) fn start(&mut self, id: ExchangeId, mut exchange: Box<Exchange>) {
        let not_before = exchange.not_before.take();
        if exchange.fresh || not_before.is_some() {
            // Both come here, whoever drove the one before.
            self.pool.count_retry();
        }
        if let Some(until) = not_before.filter(|until| *until > self.now) {
            return self.set(id, Running::Resting { exchange, until });
        }
        // Of each try; the rest before it does not count.
        let connect = exchange
            .limits
            .connect
            .and_then(|limit| self.now.checked_add(limit));
        if exchange.limits.total.is_some_and(|(at, _)| at <= self.now) {
            let error = total_error(exchange.limits.total, Phase::PoolWait);
            return self.fail(id, exchange, error, Progress::Unconnected);
        }
        let checkout = {
            let nudge = || self.nudge(id);
            self.pool.checkout(&exchange.key, self.now, nudge)
        };
        match checkout {
            Checkout::Taken(lent) => self.take(id, exchange, connect, lent),
            Checkout::Dial(permit) => self.dial(id, exchange, connect, permit),
            Checkout::Queued(ticket) => {
                let limit = exchange
                    .limits
                    .rare
                    .as_ref()
                    .and_then(|rare| rare.pool_wait);
                let until = limit.and_then(|limit| self.now.checked_add(limit));
                self.wait_for_slot(id, exchange, connect, ticket, until);
                // What lies parked may end in the bytes that have come, and
                // then its slot is free.
                self.take_over_parked();
            }
            Checkout::Closed => self.fail(id, exchange, Error::closed(), Progress::Unconnected),
        }
    }

    fn wait_for_slot(
        &mut self,
        id: ExchangeId,
        exchange: Box<Exchange>,
        connect: ConnectLimit,
        ticket: Ticket<PoolKey, Pooled<N>>,
        until: Option<Instant>,
    ) {
        let waiting = Running::Waiting {
            exchange,
            ticket,
            connect,
            until,
        };
        self.set(id, waiting);
    }

    /// An idle connection, if it still stands and the exchange may have one.
    fn take(
        &mut self,
        id: ExchangeId,
        exchange: Box<Exchange>,
        connect: ConnectLimit,
        mut lent: Lent<PoolKey, Pooled<N>>,
    ) {
        if !exchange.fresh && lent.probe() {
            return match self.watch(&mut lent) {
                Ok(token) => self.assign(id, exchange, token, lent),
                Err(error) => {
                    lent.discard();
                    self.fail(id, exchange, error, Progress::Unconnected);
                }
            };
        }
        self.close_conn(&mut lent);
        let permit: Permit<_, _> = lent.into_permit();
        self.dial(id, exchange, connect, permit);
    }

    /// Sends the exchange on this connection.
    pub(super) fn assign(
        &mut self,
        id: ExchangeId,
        mut exchange: Box<Exchange>,
        token: Token,
        mut lent: Lent<PoolKey, Pooled<N>>,
    ) {
        if exchange.bare {
            return self.lend_out(id, exchange, token, lent);
        }
        let mut upload = std::mem::take(&mut exchange.upload);
        upload.wake_by(|| self.nudge(id));
        lent.assign(&exchange.head, upload, &exchange.limits, self.now);
        self.sockets
            .replace(token, Socket::Busy { exchange: id, lent });
        let inbox = Inbox::new(exchange.limits.pipe.high);
        let asked = Running::Asked {
            exchange,
            token,
            inbox,
        };
        // Driving it schedules it.
        self.enter(id, asked);
        self.drive_busy(token);
    }

    pub(super) fn drive_busy(&mut self, token: Token) {
        let Some(Socket::Busy { exchange: id, lent }) = self.sockets.get_mut(token) else {
            return;
        };
        let id = *id;
        let Some(entry) = self.exchanges.get_mut(&id) else {
            // Its exchange has ended, and should have taken it along.
            return self.close_socket(token);
        };
        let pumped = match &mut entry.running {
            Running::Asked { inbox, .. } => lent.pump(self.now, inbox),
            Running::Streaming { outlet, .. } => {
                outlet.refresh();
                lent.pump(self.now, outlet)
            }
            // It is none of a connection's.
            _ => return self.close_socket(token),
        };
        match pumped {
            Ok(Pumped::Done) => self.complete(id, token),
            Err(fault) => self.broken(id, token, fault),
            Ok(pumped) => {
                if pumped == Pumped::Again {
                    self.unfinished.push(token);
                }
                let (owner, deadline) = (Owner::Exchange(id), lent.deadline());
                self.timers
                    .schedule(owner, &mut entry.entered, deadline, self.now);
                if matches!(&entry.running, Running::Asked { inbox, .. } if inbox.has_head()) {
                    self.deliver_head(id);
                }
            }
        }
    }

    /// The head is there and the body is still coming: hands out both.
    fn deliver_head(&mut self, id: ExchangeId) {
        let Some(Running::Asked { token, .. }) = self.running(id) else {
            return;
        };
        let token = *token;
        let Some(facts) = self.facts(token) else {
            return;
        };
        let Some(Running::Asked {
            exchange, inbox, ..
        }) = self.remove(id)
        else {
            return;
        };
        let has_more = inbox.is_full();
        let Some((head, body, outlet)) = inbox.into_stream(exchange.limits.pipe) else {
            return;
        };
        let keep_alive = outlet.keep_alive;
        let reply = Reply { head, body, facts };
        match advance(exchange, Ok(reply), self.now) {
            // Refused by the call, or taken by nobody: its body is unwanted.
            Next::Deliver if outlet.is_abandoned() => self.drain(token, keep_alive),
            Next::Deliver => {
                self.set(id, Running::Streaming { token, outlet });
                if has_more {
                    // Its socket will not tell of what lies in it already.
                    self.unfinished.push(token);
                }
            }
            Next::Again(next) => {
                self.drain(token, keep_alive);
                self.start(id, next);
            }
        }
    }

    /// The response is complete. The connection goes home first, so that
    /// whoever is woken by the answer finds it there.
    fn complete(&mut self, id: ExchangeId, token: Token) {
        let Some(Socket::Busy { lent, .. }) = self.sockets.get_mut(token) else {
            return;
        };
        let (facts, is_upgraded) = (lent.facts(), lent.is_upgraded());
        match self.remove(id) {
            Some(Running::Asked {
                exchange, inbox, ..
            }) => {
                let tunnel = match is_upgraded {
                    true => self.detach(id, token),
                    false => None,
                };
                if tunnel.is_none() {
                    self.retire(token, inbox.keep_alive());
                }
                let Some((head, body)) = inbox.into_whole(facts.tally) else {
                    // No machine completes a response without a head.
                    let error = Error::internal("a response ended before it began");
                    return self.fail(id, exchange, error, Progress::Begun);
                };
                let body = tunnel.map_or(body, ReplyBody::Upgraded);
                let reply = Reply { head, body, facts };
                if let Next::Again(next) = advance(exchange, Ok(reply), self.now) {
                    self.start(id, next);
                }
            }
            Some(Running::Streaming { outlet, .. }) => {
                self.retire(token, outlet.keep_alive);
                outlet.finish(facts.tally);
            }
            _ => self.close_socket(token),
        }
    }

    /// The connection failed under the exchange.
    fn broken(&mut self, id: ExchangeId, token: Token, fault: ConnFault) {
        let Some(Socket::Busy { lent, .. }) = self.sockets.get_mut(token) else {
            return;
        };
        let (facts, progress, sent) = (lent.facts(), lent.progress(&fault), lent.is_sent());
        self.close_socket(token);
        match self.remove(id) {
            Some(Running::Asked {
                exchange, inbox, ..
            }) => {
                let phase = match (inbox.has_head(), sent) {
                    (true, _) => Phase::Body,
                    (false, true) => Phase::Head,
                    (false, false) => Phase::Send,
                };
                let error = fault.into_error(phase).with_facts(&facts);
                let Some((head, body, outlet)) = inbox.into_stream(exchange.limits.pipe) else {
                    return self.fail(id, exchange, error, progress);
                };
                outlet.fail(error);
                let reply = Reply { head, body, facts };
                if let Next::Again(next) = advance(exchange, Ok(reply), self.now) {
                    self.start(id, next);
                }
            }
            Some(Running::Streaming { outlet, .. }) => {
                let error = fault.into_error(Phase::Body);
                outlet.fail(error.with_facts(&facts));
            }
            _ => {}
        }
    }

    /// Ends an exchange whose head never came.
    pub(super) fn fail(
        &mut self,
        id: ExchangeId,
        exchange: Box<Exchange>,
        error: Error,
        progress: Progress,
    ) {
        self.remove(id);
        let failure = Failure { error, progress };
        if let Next::Again(mut next) = advance(exchange, Err(failure), self.now) {
            if let Some(until) = &mut next.not_before {
                // What fails as soon as it starts would come back here before
                // it has left, ever deeper, and nobody else had a turn.
                *until = (*until).max(self.now + LEAST_REST);
            }
            self.start(id, next);
        }
    }

    /// What the exchange waited for has come.
    pub(super) fn wake(&mut self, id: ExchangeId) {
        match self.exchanges.get(&id).map(|entry| &entry.running) {
            Some(Running::Waiting { .. }) => {}
            Some(Running::Asked { token, .. } | Running::Streaming { token, .. }) => {
                // The request body has more, or has ended. Or the reader of the
                // response made room, or has gone; the pipe tells the sink.
                let token = *token;
                return self.drive(token);
            }
            #[cfg(feature = "websocket")]
            Some(Running::WebSocket(_)) => {
                // Something is to be sent, its reader made room, or it is back.
                return self.drive_websocket(id);
            }
            // A caller drives it, or has parked it and wants no more of that.
            None => return self.take_over(id),
            _ => return,
        }
        let Some(Running::Waiting {
            exchange,
            ticket,
            connect,
            until,
        }) = self.remove(id)
        else {
            return;
        };
        match ticket.claim() {
            Claim::Taken(lent) => self.take(id, exchange, connect, lent),
            Claim::Dial(permit) => self.dial(id, exchange, connect, permit),
            Claim::Waiting(ticket) => self.wait_for_slot(id, exchange, connect, ticket, until),
            Claim::Closed => self.fail(id, exchange, Error::closed(), Progress::Unconnected),
        }
    }

    pub(super) fn cancel(&mut self, id: ExchangeId, how: Cancel) {
        if !self.exchanges.contains_key(&id) {
            match self.pool.revoke(id.lease()) {
                Revocation::Unknown => return,
                Revocation::Lent(socket) => return N::Stream::shut(&socket),
                Revocation::Parked(lent, outlet) => self.adopt(id, lent, outlet),
            }
        }
        if how == Cancel::Drain
            && let Some(Entry {
                running: Running::Streaming { .. },
                ..
            }) = self.exchanges.get(&id)
            && let Some(Running::Streaming { token, outlet, .. }) = self.remove(id)
        {
            let keep_alive = outlet.keep_alive;
            outlet.fail(Error::cancelled());
            return self.drain(token, keep_alive);
        }
        self.end_exchange(id, Error::cancelled());
    }

    /// Ends an exchange wherever it stands, closing what it holds.
    pub(super) fn end_exchange(&mut self, id: ExchangeId, error: Error) {
        match self.remove(id) {
            None => {}
            Some(Running::Resting { exchange, .. }) => {
                self.fail(id, exchange, error, Progress::Unconnected);
            }
            Some(Running::Waiting {
                exchange, ticket, ..
            }) => {
                drop(ticket);
                self.fail(id, exchange, error, Progress::Unconnected);
            }
            Some(Running::Dialing { exchange, dial, .. }) => {
                self.hang_up(id, *dial);
                self.fail(id, exchange, error, Progress::Unconnected);
            }
            Some(Running::Asked {
                exchange, token, ..
            }) => {
                self.close_socket(token);
                self.fail(id, exchange, error, Progress::Begun);
            }
            Some(Running::Streaming { token, outlet, .. }) => {
                self.close_socket(token);
                outlet.fail(error);
            }
            #[cfg(feature = "websocket")]
            Some(Running::WebSocket(entry)) => self.end_websocket(id, entry, error),
        }
    }

    /// Enters or replaces an exchange, keeping its entry among the timers.
    pub(super) fn set(&mut self, id: ExchangeId, running: Running<N>) {
        self.enter(id, running);
        self.schedule(id);
    }

    /// The same for one that whoever calls this has scheduled by itself.
    fn enter(&mut self, id: ExchangeId, running: Running<N>) {
        match self.exchanges.get_mut(&id) {
            Some(entry) => entry.running = running,
            None => {
                let entry = Entry {
                    running,
                    entered: Entered::No,
                };
                self.exchanges.insert(id, entry);
            }
        }
    }

    pub(super) fn remove(&mut self, id: ExchangeId) -> Option<Running<N>> {
        let entry = self.exchanges.remove(&id)?;
        self.timers.remove(Owner::Exchange(id), entry.entered);
        Some(entry.running)
    }

    fn facts(&mut self, token: Token) -> Option<Facts> {
        match self.sockets.get_mut(token) {
            Some(Socket::Busy { lent, .. }) => Some(lent.facts()),
            _ => None,
        }
    }
}

pub(super) fn total_error(total: Option<(Instant, Duration)>, phase: Phase) -> Error {
    let length = total.map(|(_, length)| length);
    Error::timed_out(Timeout::Total, length, phase)
}
