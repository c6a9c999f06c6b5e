//! One connection: a [`Link`] to the origin, the protocol machine over it and
//! the bytes between them.
//!
//! [`Conn::pump`] moves the current exchange as far as it goes without
//! waiting, hands what arrives to a [`Sink`] and says what it wants next. It
//! assumes nothing of its driver: the reactor waits for a [`Want`] with epoll,
//! and anybody who owns a `Conn` could with poll(2). Only a `Want` is to be
//! waited for: bytes that TLS holds already would never make a socket readable.

mod fault;
pub(crate) mod link;
pub(crate) mod outgoing;
mod pace;
mod pumped;
mod raw;
mod scratch;
mod timing;
#[cfg(feature = "tls")]
mod tls;
#[cfg(not(feature = "tls"))]
#[path = "tls_none.rs"]
mod tls;
pub(crate) mod tunnel;

use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;

pub(crate) use fault::{ConnFault, connect_error};
pub(crate) use pumped::{Pumped, Sink, Want};

use crate::head::RequestHead;
use crate::job::{ExchangeLimits, Facts, LinkFacts, Progress, Taken, Tally, Upload};
use crate::net::{Stream, Token};
use crate::proto::h1::{Limits, Machine};
use crate::proto::{CloseReason, Event, Fault};
use link::{Link, Read};
use outgoing::Outgoing;
use pace::{Pace, Standing};
use timing::Timing;

/// The first read of a response; most fit.
const FIRST_READ: usize = 8 * 1024;

/// Reads grow to this while a body keeps filling them, or to what may wait for
/// its reader.
const MAX_READ: usize = 512 * 1024;

/// How much one pump may move before others get their turn.
const TURN: usize = 256 * 1024;

/// Body bytes handed to the link at a time: more than most sockets take, and
/// fewer calls than pieces.
const UPLOAD_PIECE: usize = 1024 * 1024;

#[derive(Debug)]
pub(crate) struct Conn<S> {
    link: Link<S>,
    facts: Arc<LinkFacts>,
    machine: Machine,
    input: BytesMut,
    out: Outgoing,
    upload: Upload,
    /// The upload had nothing more for now. Whoever wakes the driver lets the
    /// next pump ask again.
    starved: bool,
    timing: Timing,
    /// Only where the exchange has limits that few have.
    pace: Option<Box<Pace>>,
    /// Exchanges carried before the current one.
    served: u32,
    received: u64,
    /// The final head has come. An upload it cut short may be stuck for ever.
    answered: bool,
    /// It speaks another protocol now.
    upgraded: bool,
    /// Sending failed. A response may still have arrived before (RFC 9112 §9.5).
    send_fault: Option<ConnFault>,
    read_size: usize,
    max_read: usize,
    /// It is not used again after this.
    until: Option<Instant>,
    /// Its name at the reactor's poller, if that watches it.
    token: Option<Token>,
}

impl<S: Stream> Conn<S> {
    /// A connection over an open link.
    pub(crate) fn new(mut link: Link<S>, token: Option<Token>) -> Self {
        let (facts, input) = link.tell();
        Self {
            facts: Arc::new(facts),
            link,
            machine: Machine::new(Limits::default()),
            input,
            out: Outgoing::default(),
            upload: Upload::Nothing,
            starved: false,
            timing: Timing::default(),
            pace: None,
            served: 0,
            received: 0,
            answered: false,
            upgraded: false,
            send_fault: None,
            read_size: FIRST_READ,
            max_read: MAX_READ,
            until: None,
            token,
        }
    }

    pub(crate) fn token(&self) -> Option<Token> {
        self.token
    }

    /// The poller knows it under this name from here on, or not any more. What
    /// became of the socket meanwhile went by unnoticed.
    pub(crate) fn set_token(&mut self, token: Option<Token>) {
        self.token = token;
        self.link.suspect();
    }

    pub(crate) fn until(&self) -> Option<Instant> {
        self.until
    }

    /// It may carry another exchange until then.
    pub(crate) fn set_until(&mut self, until: Option<Instant>) {
        self.until = until;
    }

    pub(crate) fn stream(&self) -> &S {
        self.link.stream()
    }

    /// What is known of it and of the current exchange.
    pub(crate) fn facts(&self) -> Facts {
        Facts {
            link: Arc::clone(&self.facts),
            reused: self.served > 0,
            tally: self.tally(),
        }
    }

    /// What the current exchange has moved.
    pub(crate) fn tally(&self) -> Tally {
        Tally {
            sent: self.link.bytes_sent(),
            received: self.received,
            sent_all: self.machine.is_sent_whole(),
            truncated: self.pace.as_ref().is_some_and(|pace| pace.truncated),
        }
    }

    pub(crate) fn link(&mut self) -> &mut Link<S> {
        &mut self.link
    }

    /// Takes on an exchange; the next pump sends it.
    pub(crate) fn assign(
        &mut self,
        head: &RequestHead,
        upload: Upload,
        limits: &ExchangeLimits,
        now: Instant,
    ) {
        let head_limits = Limits {
            max_line: limits.max_line,
            max_field: limits.max_field,
            max_fields: limits.max_fields,
            strict: limits.rare.as_ref().is_some_and(|rare| rare.strict_framing),
            marks: limits.rare.as_ref().is_some_and(|rare| rare.chunk_marks),
        };
        self.machine
            .begin(head, head_limits, limits.read_until_eof, self.out.head());
        self.upload = upload;
        self.timing = Timing::new(limits);
        self.pace = limits
            .rare
            .as_ref()
            .map(|rare| Box::new(Pace::new(rare, now)));
        if self.machine.awaits_continue() {
            self.timing.await_continue(now);
        }
        self.link.forget_sent();
        self.received = 0;
        self.answered = false;
        self.send_fault = None;
        self.read_size = FIRST_READ;
        self.max_read = limits.pipe.high.clamp(FIRST_READ, MAX_READ);
    }

    /// Goes on with the current exchange as far as it goes.
    pub(crate) fn pump(&mut self, now: Instant, sink: &mut dyn Sink) -> Result<Pumped, ConnFault> {
        if let Some(pace) = &mut self.pace {
            pace.resume(now);
        }
        if self.timing.is_late(now) || self.pace.as_ref().is_some_and(|pace| pace.is_late(now)) {
            // What came in time counts, though nobody has told of it yet.
            self.link.suspect();
        }
        self.starved = false;
        let mut moved = 0;
        loop {
            self.send(&mut moved, now);
            if self.deliver(sink)? {
                return Ok(Pumped::Done);
            }
            if self.timing.total_is_due(now) {
                return Err(ConnFault::Total(self.timing.total_length()));
            }
            if moved >= TURN {
                return self.take_turn(now);
            }
            if !sink.reads_on() {
                // The peer is not the one who is slow: suspend its gap (T4).
                self.timing.suspend_read();
                if self.goes_without_continue(now) {
                    continue;
                }
                return self.wait_for(false, now);
            }
            let size = self.read_size.min(sink.room().max(FIRST_READ));
            let read = match &mut self.pace {
                None => self.link.read(&mut self.input, size)?,
                Some(pace) => match pace.may_read(size, now) {
                    Some(size) => self.link.read_little(&mut self.input, size)?,
                    None => {
                        // Nor here.
                        self.timing.suspend_read();
                        if self.goes_without_continue(now) {
                            continue;
                        }
                        return self.wait_for(false, now);
                    }
                },
            };
            match read {
                Read::Bytes(n) => {
                    moved += n;
                    self.received += n as u64;
                    self.timing.received(now);
                    if let Some(pace) = &mut self.pace {
                        pace.received(n, now);
                    }
                    if n >= size {
                        self.read_size = (self.read_size * 2).min(self.max_read);
                    } else if n < size / 4 {
                        self.read_size = (self.read_size / 2).max(FIRST_READ);
                    }
                }
                // Nothing for the exchange, but its turn is over.
                Read::Barren => return self.take_turn(now),
                Read::End { clean } => return self.ended(clean, sink),
                Read::Blocked => {
                    if let Some(fault) = self.link.take_write_fault()
                        && self.send_fault.is_none()
                    {
                        self.send_fault = Some(fault.into());
                        self.link.suspect();
                        continue;
                    }
                    if let Some(fault) = self.send_fault.take() {
                        return Err(fault);
                    }
                    if self.goes_without_continue(now) {
                        continue;
                    }
                    if self.machine.wants_body()
                        && self.out.is_empty()
                        && self.may_feed(now).is_some()
                    {
                        // 100 Continue came, or room did: go on sending. Each
                        // time round takes from the upload, ends it or finds
                        // that it has nothing for now.
                        continue;
                    }
                    if self.answered || self.is_sent() {
                        self.timing.arm_read(now);
                    }
                    if self.timing.read_is_due(now) {
                        return Err(ConnFault::SockRead(self.timing.gap()));
                    }
                    return self.wait_for(true, now);
                }
            }
        }
    }

    /// True once: the server does not speak 100-continue, and has said nothing else
    /// either, so the body is sent (SPEC Q11).
    fn goes_without_continue(&mut self, now: Instant) -> bool {
        let is_due = self.timing.continue_is_due(now);
        if is_due {
            self.machine.proceed();
        }
        is_due
    }

    /// Feeds and flushes what is to be sent. A fault waits until what the peer
    /// had to say before has been read.
    fn send(&mut self, moved: &mut usize, now: Instant) {
        if self.send_fault.is_some() {
            return;
        }
        loop {
            if self.machine.wants_body()
                && let Some(most) = self.may_feed(now)
                && let Err(fault) = self.feed(most, moved, now)
            {
                self.send_fault = Some(fault);
                return;
            }
            if self.out.is_empty() && !self.link.has_outgoing() {
                return;
            }
            match self.link.write(&mut self.out) {
                Ok(true) if self.machine.wants_body() && *moved < TURN => {
                    // What a feed gave is counted already.
                    if !self.upload.is_feed() {
                        *moved += UPLOAD_PIECE;
                    }
                }
                Ok(_) => return,
                Err(fault) => {
                    // The peer may have answered in this very moment, before any
                    // poller tells of it.
                    self.link.suspect();
                    self.send_fault = Some(fault.into());
                    return;
                }
            }
        }
    }

    /// How much of the upload may be handed on; `None`: not now. A body that is
    /// still being made is left alone until the head is out: what fails before
    /// that may then be sent again (SPEC Y1).
    fn may_feed(&mut self, now: Instant) -> Option<usize> {
        let is_ready = match self.upload.is_feed() {
            true => !self.starved && self.is_flushed(),
            false => self.out.body().is_empty(),
        };
        match &mut self.pace {
            _ if !is_ready => None,
            None => Some(UPLOAD_PIECE),
            Some(pace) => pace.may_send(UPLOAD_PIECE, now),
        }
    }

    /// Hands the next pieces of the upload to the machine, at most so much.
    fn feed(&mut self, most: usize, moved: &mut usize, now: Instant) -> Result<(), ConnFault> {
        let mut left = most;
        while left > 0 || self.upload.is_used_up() {
            match self.upload.take(left) {
                Taken::Data(piece) => {
                    left -= piece.len();
                    self.machine.send(piece, self.out.body())?;
                }
                Taken::End => {
                    self.machine.finish_send(self.out.body())?;
                    break;
                }
                Taken::Later => {
                    self.starved = true;
                    break;
                }
                Taken::Failed(error) => return Err(ConnFault::Upload(error)),
            }
        }
        if self.upload.is_feed() {
            *moved += most - left;
        }
        if let Some(pace) = &mut self.pace {
            pace.sent((most - left) as u64, now);
        }
        self.out.coalesce();
        Ok(())
    }

    /// Turns input into events; true when the response is complete.
    fn deliver(&mut self, sink: &mut dyn Sink) -> Result<bool, ConnFault> {
        while sink.has_room() {
            match self.machine.receive(&mut self.input)? {
                // What follows is another protocol's: this exchange is over,
                // and the connection is nobody's to reuse.
                Some(Event::Upgrade) => {
                    self.upgraded = self.machine.is_sent_whole() && self.is_flushed();
                    return Ok(true);
                }
                Some(Event::End) => {
                    sink.event(Event::End);
                    return Ok(true);
                }
                Some(event) => {
                    let is_head = matches!(event, Event::Head(_));
                    sink.event(event);
                    if is_head {
                        self.answered = true;
                        // No more of it is sent. Whoever makes it is told.
                        self.upload = Upload::Nothing;
                        self.expect_body();
                    }
                }
                None => break,
            }
        }
        Ok(self.machine.is_complete())
    }

    /// What is known to come is read in as few pieces as may be.
    fn expect_body(&mut self) {
        if let Some(left) = self.machine.body_remaining() {
            let left = usize::try_from(left).unwrap_or(usize::MAX);
            let rest = left.saturating_sub(self.input.len());
            self.read_size = rest.clamp(FIRST_READ, self.max_read);
        }
    }

    /// The peer sends no more.
    fn ended(&mut self, clean: bool, sink: &mut dyn Sink) -> Result<Pumped, ConnFault> {
        if !clean && self.machine.reads_until_close() {
            // Anybody on the path can cut TLS short (RFC 9112 §9.8, SPEC R41).
            let pace = self.pace.as_mut();
            let Some(pace) = pace.filter(|pace| pace.limits().allow_truncated_tls) else {
                return Err(ConnFault::Truncated);
            };
            pace.truncated = true;
        }
        loop {
            match self.machine.receive_eof(&mut self.input) {
                Ok(Some(event)) => sink.event(event),
                Ok(None) => break,
                Err(fault @ Fault::Disconnected { .. }) => {
                    // A failed write explains more than the end that followed it.
                    return Err(self.send_fault.take().unwrap_or(fault.into()));
                }
                Err(fault) => return Err(fault.into()),
            }
        }
        self.machine.force_close(CloseReason::PeerClosing);
        Ok(Pumped::Done)
    }

    /// The end of a pump that could go on.
    fn take_turn(&mut self, now: Instant) -> Result<Pumped, ConnFault> {
        self.judge(true, now)?;
        Ok(Pumped::Again)
    }

    /// The end of a pump that has to wait.
    fn wait_for(&mut self, read: bool, now: Instant) -> Result<Pumped, ConnFault> {
        self.judge(read, now)?;
        Ok(Pumped::Wants(self.want(read)))
    }

    /// Whether a limit has passed that few exchanges have.
    fn judge(&mut self, read: bool, now: Instant) -> Result<(), ConnFault> {
        if self.pace.is_some() {
            let standing = Standing {
                written: self.link.written(),
                is_sent: self.is_sent(),
                wants_write: !self.is_flushed(),
                awaits_continue: self.machine.awaits_continue(),
                answered: self.answered,
                reads: read,
            };
            if let Some(pace) = &mut self.pace {
                pace.judge(standing, now)?;
            }
        }
        Ok(())
    }

    fn want(&self, read: bool) -> Want {
        Want {
            read,
            write: !self.is_flushed(),
            deadline: self.deadline(),
            gap: self.timing.gap().is_some() || self.pace.is_some(),
        }
    }

    /// When [`Conn::pump`] has to be called even if nothing became ready.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let earliest = self.timing.earliest();
        match &self.pace {
            None => earliest,
            Some(pace) => earliest.into_iter().chain(pace.earliest()).min(),
        }
    }

    /// Nobody drives it for a while: that is not its peer's slowness.
    pub(crate) fn pause(&mut self, now: Instant) {
        if let Some(pace) = &mut self.pace {
            pace.pause(now);
        }
    }

    /// Its socket is at its end, and tells so whenever it is waited for: what
    /// is left is read without regard to a rate.
    pub(crate) fn unthrottle(&mut self) {
        if let Some(pace) = &mut self.pace {
            pace.unthrottle();
        }
    }

    /// How far the exchange came, should it fail now (SPEC Y1).
    pub(crate) fn progress(&self, fault: &ConnFault) -> Progress {
        if let ConnFault::Upload(_) = fault {
            // Not the connection's doing: another would not fare better.
            return Progress::Begun;
        }
        match (self.served > 0, self.link.has_sent(), self.received > 0) {
            (true, false, _) => Progress::Unsent,
            (true, true, false) => Progress::Unanswered,
            _ => Progress::Begun,
        }
    }

    /// Whether the connection can carry another exchange once the rest of this
    /// response is read, as far as that is known.
    pub(crate) fn may_rest(&self) -> bool {
        self.is_sent() && self.machine.close_reason().is_none()
    }

    /// Whether the request is out and only the response is waited for.
    pub(crate) fn is_sent(&self) -> bool {
        self.machine.is_sent() && self.is_flushed()
    }

    /// Body bytes still to come, where the length is known.
    pub(crate) fn body_remaining(&self) -> Option<u64> {
        self.machine.body_remaining()
    }

    /// After [`Pumped::Done`]: ready for the next exchange, its buffers given
    /// back; or false, and it must be closed (SPEC P2).
    pub(crate) fn rest(&mut self) -> bool {
        let is_reusable = self.machine.is_reusable(self.input.len());
        if !is_reusable || !self.is_flushed() || self.link.is_hung_up() {
            return false;
        }
        self.machine.reset();
        self.served = self.served.saturating_add(1);
        self.input = BytesMut::new();
        self.out.clear();
        self.timing = Timing::default();
        self.pace = None;
        self.link.release_buffers();
        true
    }

    /// Only the rest of the response is of interest now: no gap, no total,
    /// nothing more to send.
    pub(crate) fn drain_until(&mut self, until: Instant) {
        self.timing = Timing::until(until);
        self.pace = None;
    }

    /// Whether the peer still seems to be there (SPEC P4).
    pub(crate) fn probe(&mut self) -> bool {
        self.link.probe()
    }

    /// Before it is dropped: says goodbye where the protocol has one, or resets
    /// the connection if a response is still due on it.
    pub(crate) fn hang_up(&mut self) {
        if self.machine.is_idle() || self.machine.is_complete() {
            self.link.say_goodbye();
        } else {
            self.link.abort();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
