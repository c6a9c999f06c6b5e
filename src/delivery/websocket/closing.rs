//! How a WebSocket ends: the two Closes, a failure, or nothing of the kind.

use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{LONGEST_LINGER, PATIENCE, Pump, Stage, Verdict, keep, lent, put};
use crate::error::{Error, Kind, Phase, Timeout};
use crate::handoff::outbox::Taken;
use crate::handoff::pipe::{Credit, PipeWriter};
use crate::job::{Line, Talked, WsEnd};
use crate::ws::frame::Frame;
use crate::ws::{CloseCode, CloseFrame, Utf8Bytes, Violation};

impl<C> Pump<C> {
    /// RFC 6455 §5.5.1, §7.1.5
    pub(super) fn peer_closes(
        &mut self,
        close: Option<CloseFrame>,
        raw: Bytes,
        line: &mut dyn Line,
        now: Instant,
    ) {
        self.pulse.rest();
        let code = close.as_ref().map(|close| close.code);
        let mut end = WsEnd {
            code: code.unwrap_or(CloseCode::NO_STATUS),
            reason: close.map(|close| close.reason).unwrap_or_default(),
            error: None,
            clean: false,
        };
        if !self.settings.autoclose && self.stage == Stage::Open {
            self.give(raw);
            // There is nothing more, but for the end of the connection.
            (self.paused, self.discards) = (false, true);
            self.peer_close = Some(end);
            return;
        }
        if !self.said_close {
            let echo = code.map(|code| CloseFrame {
                code,
                reason: Utf8Bytes::default(),
            });
            self.answer(Frame::close(echo.as_ref()), line);
        }
        end.clean = true;
        self.tell(end);
        self.linger(now);
    }

    /// Queues all that was to be sent so far, and a Close behind it: our own, if there
    /// is one, or else this.
    pub(super) fn answer(&mut self, close: Frame, line: &mut dyn Line) {
        self.pongs.drain(..).for_each(|pong| line.queue(pong));
        let mut frames = lent();
        let mut last = None;
        if let Some(outbox) = &mut self.outbox {
            let mut cx = Context::from_waker(&self.waker);
            // Once for what is there, and once for the end behind it.
            for _ in 0..2 {
                match outbox.poll_take(usize::MAX, &mut frames, &mut cx) {
                    Poll::Ready(Taken::Items) => {}
                    Poll::Ready(Taken::Last(own)) => last = Some(own),
                    Poll::Ready(Taken::Abandoned) | Poll::Pending => break,
                }
            }
        }
        // No one sends from here on.
        self.outbox = None;
        for frame in frames.drain(..) {
            put(line, frame);
        }
        keep(frames);
        put(line, last.unwrap_or(close));
        self.said_close = true;
    }

    /// What came before it may still be read and answered, so the reader is told
    /// first, in its turn.
    pub(super) fn violated(&mut self, violation: Violation, now: Instant) {
        let close = CloseFrame {
            code: violation.code,
            reason: Utf8Bytes::from(&*violation.message),
        };
        let error = Error::from(violation);
        let is_read = |inlet: &mut PipeWriter<WsEnd>| inlet.credit() != Credit::Abandoned;
        let may_answer = self.stage == Stage::Open && !self.said_close && !self.discards;
        match (self.inlet.take_if(is_read), now.checked_add(PATIENCE)) {
            (Some(inlet), Some(at)) if may_answer => {
                let end = WsEnd {
                    code: close.code,
                    ..abnormal(Some(error))
                };
                inlet.finish(end.clone());
                self.pulse.rest();
                (self.paused, self.discards) = (false, true);
                self.verdict = Some(Box::new(Verdict { close, end, at }));
            }
            (inlet, _) => {
                self.inlet = inlet.or(self.inlet.take());
                self.give_up(close, Some(error), now);
            }
        }
    }

    /// Fails the connection (RFC 6455 §7.1.7): says why, if that may be said.
    pub(super) fn give_up(&mut self, close: CloseFrame, error: Option<Error>, now: Instant) {
        if self.stage == Stage::Lingering {
            return;
        }
        if !self.said_close {
            self.farewell = Some(Frame::close(Some(&close)));
        }
        // What stands in it still goes, before the Close.
        let outbox = self.outbox.take();
        self.tell(WsEnd {
            code: close.code,
            reason: Utf8Bytes::default(),
            error,
            clean: false,
        });
        self.outbox = outbox.filter(|_| self.farewell.is_some() && self.send_fault.is_none());
        self.linger(now);
    }

    /// Our Close is queued.
    pub(super) fn close(&mut self, now: Instant, within: Duration) {
        self.said_close = true;
        self.outbox = None;
        self.begin_closing(now, within);
        if let Some(mut end) = self.peer_close.take() {
            // It is the answer to the peer's.
            end.clean = true;
            self.tell(end);
            self.linger(now);
        } else if let Some(verdict) = self.verdict.take() {
            self.tell(verdict.end);
            self.linger(now);
        }
    }

    /// The socket takes nothing now, so the outbox is left alone, but for its end.
    pub(super) fn listen(&mut self, now: Instant) {
        let mut cx = Context::from_waker(&self.waker);
        if self.stage == Stage::Open
            && let Some(outbox) = &mut self.outbox
            && outbox.poll_closing(&mut cx).is_ready()
        {
            let within = self.settings.close_timeout;
            let within = match outbox.is_abandoned() {
                true => within.min(LONGEST_LINGER),
                false => within,
            };
            self.begin_closing(now, within);
        }
    }

    /// The time for closing begins.
    fn begin_closing(&mut self, now: Instant, within: Duration) {
        if self.stage != Stage::Open {
            return;
        }
        self.stage = Stage::Closing;
        self.close_by = now.checked_add(within);
        self.pulse.rest();
        self.resume(now);
    }

    fn linger(&mut self, now: Instant) {
        self.begin_closing(now, self.settings.close_timeout);
        self.stage = Stage::Lingering;
        (self.paused, self.discards) = (false, true);
        let longest = now.checked_add(LONGEST_LINGER);
        self.close_by = self.close_by.into_iter().chain(longest).min();
    }

    /// The time for closing is over. Where there was none, a reset would overtake the
    /// Close, if it `is_sent` at all.
    pub(super) fn too_late(&mut self, is_sent: bool) -> Talked {
        if self.stage == Stage::Closing {
            let limit = Some(self.settings.close_timeout);
            let error = Error::timed_out(Timeout::WsClose, limit, Phase::WebSocket);
            self.outcome = Some(abnormal(Some(error)));
        }
        Talked::Over {
            reset: !(is_sent && self.settings.close_timeout.is_zero()),
        }
    }

    /// The peer does not answer any more.
    pub(super) fn lost(&mut self, limit: Duration) -> Talked {
        let error = Error::timed_out(Timeout::Heartbeat, Some(limit), Phase::WebSocket);
        self.outcome = Some(abnormal(Some(error)));
        Talked::Over { reset: true }
    }

    pub(super) fn broken(&mut self, error: Error) -> Talked {
        if self.stage != Stage::Lingering {
            let end = self.known_end();
            self.outcome = Some(end.unwrap_or_else(|| abnormal(Some(error))));
        }
        Talked::Over { reset: true }
    }

    /// The peer sends no more.
    pub(super) fn hung_up(&mut self) -> Talked {
        self.hung_up = true;
        if self.stage != Stage::Lingering {
            let end = self.known_end().unwrap_or_else(|| {
                let message = "the server closed the connection and had not closed the WebSocket";
                let error = Error::new(Kind::Disconnected, message);
                abnormal(Some(error.with_phase(Phase::WebSocket)))
            });
            self.outcome = Some(end);
        }
        Talked::Over { reset: false }
    }

    /// How it ends, if that is known and only not told yet.
    fn known_end(&mut self) -> Option<WsEnd> {
        let found = self.verdict.take().map(|verdict| verdict.end);
        found.or_else(|| self.peer_close.take())
    }

    /// Tells how it has ended, once.
    fn tell(&mut self, end: WsEnd) {
        self.outbox = None;
        // First, so that whoever sees the end of the pipe finds it.
        if let Some(ended) = self.ended.take() {
            ended.set(end.clone());
        }
        if let Some(inlet) = self.inlet.take() {
            inlet.finish(end);
        }
    }
}

impl<C> Drop for Pump<C> {
    fn drop(&mut self) {
        if self.ended.is_none() {
            return;
        }
        let known = self.outcome.take().or_else(|| self.known_end());
        let end = known.unwrap_or_else(|| {
            // In a mailbox that was closed, or by a thread that has panicked.
            abnormal(Some(match std::thread::panicking() {
                false => Error::closed(),
                true => Error::internal("the reactor has ended"),
            }))
        });
        self.tell(end);
    }
}

/// RFC 6455 §7.1.5: there was no Close.
pub(super) fn abnormal(error: Option<Error>) -> WsEnd {
    WsEnd {
        code: CloseCode::ABNORMAL,
        reason: Utf8Bytes::default(),
        error,
        clean: false,
    }
}
