//! A blocked caller drives the connection it waits on.
//!
//! Two changes of thread are the price of a reactor, and a caller that blocks
//! anyway need not pay it: it takes an idle connection out of the pool and runs
//! the very same [`Conn::pump`](crate::conn::Conn::pump), with poll(2) in the
//! place of epoll. What it does not do itself it leaves to the reactor: looking
//! up names, races, waiting for a slot, and everything nobody is blocked on.
//!
//! A lease lasts for one call. A response that is complete by then brings its
//! connection home at once; any other is parked in the ledger with the end of
//! its pipe, and the next call takes it out again, unless the reactor has: when
//! somebody waits for a slot, when a limit passes, when the response is dropped
//! or read without blocking, or when it has lain for a while.
//!
//! Results are those of the reactor: there is one call, one connection, one pipe,
//! and they do not know who drives.

mod dial;
#[cfg(feature = "websocket")]
mod websocket;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::conn::link::LinkFault;
use crate::conn::{ConnFault, Pumped, Want};
use crate::delivery::{self, ConnPool, Held, Inbox, Outlet, PooledConn, Sip, advance};
use crate::error::{Error, Phase};
use crate::handoff::mailbox::Mailbox;
use crate::handoff::park;
use crate::job::{
    Cancel, Command, Config, Exchange, ExchangeId, Failure, Next, PoolKey, Progress, Reply,
    ReplyBody,
};
use crate::net::mio::{MioStream, PATIENCE, Unwatcher};
use crate::net::poll;
use crate::pool::{Lending, Revoked, Tell};
use dial::Dialed;

type Lease = crate::pool::Lease<PoolKey, PooledConn<MioStream>>;
type Permit = crate::pool::Permit<PoolKey, PooledConn<MioStream>>;

/// What a caller needs to drive connections of one connector.
#[derive(Debug)]
pub(crate) struct Lessee {
    pool: Arc<ConnPool<MioStream>>,
    unwatcher: Unwatcher,
    mailbox: Arc<Mailbox<Command>>,
    config: Arc<Config>,
}

/// How an exchange ended for its driver.
enum Ended {
    Complete,
    /// The head is there, the body is not.
    Begun,
    Broken(ConnFault),
}

impl Lessee {
    /// `None` where callers cannot drive.
    pub(crate) fn new(
        pool: Arc<ConnPool<MioStream>>,
        unwatcher: Unwatcher,
        mailbox: Arc<Mailbox<Command>>,
        config: Arc<Config>,
    ) -> Option<Self> {
        Some(Self {
            pool,
            unwatcher,
            mailbox,
            config,
        })
    }

    /// Carries a request until its call is answered, redirects included.
    /// Blocks. What is given back has to go to the reactor.
    pub(crate) fn carry(
        &self,
        id: ExchangeId,
        mut exchange: Box<Exchange>,
        mut now: Instant,
    ) -> Option<Box<Exchange>> {
        // It would wait for itself, and the reactor says so better.
        if park::is_forbidden() {
            return Some(exchange);
        }
        loop {
            // The time told is that of the call, before which no limit passes.
            let total = exchange.limits.total;
            // A body that is still being made has no need of this thread, and
            // limits and early answers none of the body's next piece.
            if exchange.fresh
                || exchange.not_before.is_some()
                || exchange.upload.is_feed()
                || total.is_some_and(|(at, _)| is_over(at, now))
            {
                return Some(exchange);
            }
            let lease = match self.pool.lend(&exchange.key, now, id.lease()) {
                Lending::Taken(mut lease) => {
                    self.unwatch(&mut lease);
                    if !lease.probe() {
                        // Dead; there may be another.
                        lease.hang_up();
                        lease.discard();
                        continue;
                    }
                    lease
                }
                Lending::Dial(permit) => match self.dial(id, &exchange, permit, &mut now) {
                    Dialed::Open(lease) => lease,
                    Dialed::Failed(error) => {
                        let failure = Failure {
                            error,
                            progress: Progress::Unconnected,
                        };
                        match advance(exchange, Err(failure), now) {
                            Next::Deliver => return None,
                            Next::Again(next) => exchange = next,
                        }
                        continue;
                    }
                    Dialed::Declined => return Some(exchange),
                },
                Lending::Busy | Lending::Closed => return Some(exchange),
            };
            match self.ask(id, exchange, lease, &mut now) {
                Next::Deliver => return None,
                Next::Again(next) => exchange = next,
            }
            // A wait in a read is not counted by the time before it.
            now = poll::now();
        }
    }

    /// Sends one exchange and waits for its head.
    fn ask(
        &self,
        id: ExchangeId,
        mut exchange: Box<Exchange>,
        mut lease: Lease,
        now: &mut Instant,
    ) -> Next {
        let upload = std::mem::take(&mut exchange.upload);
        lease.assign(&exchange.head, upload, &exchange.limits, *now);
        let mut inbox = Inbox::new(exchange.limits.pipe.high);
        let mut has_waited = false;
        let ended = loop {
            match lease.pump(*now, &mut inbox) {
                Ok(Pumped::Done) => break Ended::Complete,
                Err(fault) => break Ended::Broken(fault),
                Ok(_) if inbox.has_head() => break Ended::Begun,
                Ok(Pumped::Again) => *now = poll::now(),
                Ok(Pumped::Wants(want)) => {
                    // The first time it is hardly later than it was.
                    if std::mem::replace(&mut has_waited, true) {
                        *now = poll::now();
                    }
                    match wait(&mut lease, want, *now) {
                        Ok(after) => *now = after,
                        Err(fault) => break Ended::Broken(fault),
                    }
                }
            }
        };
        // Its last read may have waited; what is counted from here is counted from now.
        *now = poll::now();
        let facts = lease.facts();
        match ended {
            Ended::Complete if lease.is_upgraded() => {
                let tunnel = Box::new(Held::new(lease));
                match inbox.into_whole(facts.tally) {
                    Some((head, _)) => {
                        let body = ReplyBody::Upgraded(tunnel);
                        advance(exchange, Ok(Reply { head, body, facts }), *now)
                    }
                    None => Next::Deliver,
                }
            }
            Ended::Complete => {
                if let Some(revoked) = self.retire(lease, inbox.keep_alive(), *now) {
                    let error = revoked_error(revoked).with_facts(&facts);
                    let progress = Progress::Begun;
                    return advance(exchange, Err(Failure { error, progress }), *now);
                }
                let outcome = match inbox.into_whole(facts.tally) {
                    Some((head, body)) => Ok(Reply { head, body, facts }),
                    None => {
                        // No machine completes a response without a head.
                        let error = Error::internal("a response ended before it began");
                        let progress = Progress::Begun;
                        Err(Failure { error, progress })
                    }
                };
                advance(exchange, outcome, *now)
            }
            Ended::Begun => {
                let Some((head, body, outlet)) = inbox.into_stream(exchange.limits.pipe) else {
                    return Next::Deliver;
                };
                let next = advance(exchange, Ok(Reply { head, body, facts }), *now);
                match &next {
                    Next::Deliver if !outlet.is_abandoned() => self.park(id, lease, outlet, *now),
                    // Nobody wants the rest. Another name: this one goes on.
                    _ => {
                        let rest = ExchangeId::next();
                        self.park(rest, lease, outlet, *now);
                        let _ = self.mailbox.push(Command::Cancel(rest, Cancel::Drain));
                    }
                }
                next
            }
            Ended::Broken(fault) => {
                let (progress, sent) = (lease.progress(&fault), lease.is_sent());
                lease.hang_up();
                let revoked = lease.discard();
                let phase = match (inbox.has_head(), sent) {
                    (true, _) => Phase::Body,
                    (false, true) => Phase::Head,
                    (false, false) => Phase::Send,
                };
                let error = failure(fault, revoked, phase).with_facts(&facts);
                match inbox.into_stream(exchange.limits.pipe) {
                    None => advance(exchange, Err(Failure { error, progress }), *now),
                    Some((head, body, outlet)) => {
                        outlet.fail(error);
                        advance(exchange, Ok(Reply { head, body, facts }), *now)
                    }
                }
            }
        }
    }

    /// Reads on in a response that [`carry`](Self::carry) has answered, until
    /// there is something in its pipe. Blocks. False: the reactor has it, and
    /// fills the pipe.
    pub(crate) fn read_on(&self, id: ExchangeId) -> bool {
        if park::is_forbidden() {
            return false;
        }
        let Some((mut lease, mut outlet)) = self.pool.resume(id.lease()) else {
            return false;
        };
        let mut now = poll::now();
        outlet.refresh();
        let fault = loop {
            let mut sip = Sip::new(&mut outlet);
            let pumped = lease.pump(now, &mut sip);
            let done = sip.is_done();
            match pumped {
                Ok(Pumped::Done) => {
                    let tally = lease.tally();
                    match self.retire(lease, outlet.keep_alive, poll::now()) {
                        None => outlet.finish(tally),
                        Some(revoked) => outlet.fail(revoked_error(revoked)),
                    }
                    return true;
                }
                Err(fault) => break fault,
                Ok(_) if done => {
                    self.park(id, lease, outlet, poll::now());
                    return true;
                }
                Ok(Pumped::Again) => now = poll::now(),
                Ok(Pumped::Wants(want)) => match wait(&mut lease, want, poll::now()) {
                    Ok(after) => now = after,
                    Err(fault) => break fault,
                },
            }
        };
        let facts = lease.facts();
        lease.hang_up();
        let revoked = lease.discard();
        let error = failure(fault, revoked, Phase::Body);
        outlet.fail(error.with_facts(&facts));
        true
    }

    /// Out of the poller's sight, or it would tell the reactor of every answer.
    fn unwatch(&self, lease: &mut Lease) {
        if let Some(token) = lease.token() {
            self.unwatcher.unwatch(lease.stream());
            lease.set_token(None);
            self.mailbox.leave(Command::Unwatched(token.0));
        }
    }

    /// The response is complete: keeps the connection if it can be used again.
    /// If not, says whether the lease was taken away: the end that was read may
    /// be that of a socket that was shut, and not the body's.
    fn retire(
        &self,
        mut lease: Lease,
        keep_alive: Option<Duration>,
        now: Instant,
    ) -> Option<Revoked> {
        if self.config.force_close || !lease.rest() {
            lease.hang_up();
            return lease.discard();
        }
        let Some(expires) = delivery::expiry(self.config.keepalive, &lease, keep_alive, now) else {
            lease.hang_up();
            return lease.discard();
        };
        self.tell(None, lease.put(expires, now));
        None
    }

    /// Leaves the rest of a response for the next call.
    fn park(&self, id: ExchangeId, mut lease: Lease, outlet: Outlet, now: Instant) {
        lease.pause(now);
        let deadline = lease.deadline();
        match lease.park(id.lease(), outlet, deadline, now) {
            Ok(tell) => self.tell(Some(id), tell),
            Err((revoked, outlet)) => outlet.fail(revoked_error(revoked)),
        }
    }

    fn tell(&self, id: Option<ExchangeId>, tell: Tell) {
        // A mailbox that is closed belongs to a pool that is closed, too.
        let _ = match (tell, id) {
            (Tell::Nothing, _) => return,
            (Tell::TakeOver, Some(id)) => self.mailbox.push(Command::Wake(id)),
            (Tell::TakeOver | Tell::Look, _) => self.mailbox.push(Command::Look),
        };
    }
}

/// Whether a limit has passed, by a clock that was read a moment ago: only one
/// that is about to pass is worth another look.
fn is_over(at: Instant, now: Instant) -> bool {
    at < now + Duration::from_millis(1) && at <= poll::now()
}

/// A limit that a wait in a read cannot overshoot.
const FAR: Duration = PATIENCE.saturating_add(Duration::from_millis(50));

/// Waits for what the connection wants, here or in its next read; gives the
/// time the next pump goes by. `now` is to be no older than the last wait.
fn wait(lease: &mut Lease, want: Want, now: Instant) -> Result<Instant, ConnFault> {
    // One call that waits and reads, instead of one for each. It wakes up late
    // if in vain, and a gap would be counted from before it.
    let is_far = want.deadline.is_none_or(|at| at > now + FAR);
    if want.read && !want.write && !want.gap && is_far && lease.link().stream_mut().may_wait() {
        lease.link().wait_in_read();
        return Ok(now);
    }
    let state = poll::wait(lease.stream(), want.read, want.write, want.deadline)
        .map_err(|error| ConnFault::from(LinkFault::from(error)))?;
    if state.readable && !want.read {
        // Told unasked: it is at its end, and no wait would last any more.
        lease.unthrottle();
    }
    lease.link().ready(state);
    Ok(poll::now())
}

fn failure(fault: ConnFault, revoked: Option<Revoked>, phase: Phase) -> Error {
    match revoked {
        // The socket was shut for it; what that looked like is not the news.
        Some(revoked) => revoked_error(revoked),
        None => fault.into_error(phase),
    }
}

fn revoked_error(revoked: Revoked) -> Error {
    match revoked {
        Revoked::Cancelled => Error::cancelled(),
        Revoked::Closed => Error::closed(),
    }
}
