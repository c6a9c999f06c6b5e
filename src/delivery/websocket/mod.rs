//! An open WebSocket on its connection: what its handles have queued goes out, what
//! comes is handed on, and what can be answered without them is answered here.
//!
//! ```text
//! Open ──┬─ our Close is taken ──▶ Closing ─┬─ the peer's Close ──▶ Lingering ─▶ over
//!        │                                  └─ end, fault, too late ────────────▶ over
//!        ├─ the peer's Close, answered; a violation ──────────────▶ Lingering
//!        └─ end, fault, no heartbeat ───────────────────────────────────────────▶ over
//! ```
//!
//! The end is told as soon as it is known. Closing TCP is the server's to do (RFC 6455
//! §7.1.1), so the connection lingers behind it for a while: what is queued still goes,
//! and what comes is thrown away. A socket closed at once would be reset, with the Close
//! perhaps still on its way.
//!
//! A violation is told to the reader behind the messages before it, and to the peer when
//! the reader has come to it, or after a while: so that what it answers to those
//! messages still goes.
//!
//! Frames are queued in the line whole and a batch at a time, the next when it is empty.
//! So whatever is to be slipped in comes to stand between two frames, behind one batch
//! at most, and one write carries many.

mod closing;
mod pulse;

use std::cell::Cell;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;

use self::closing::abnormal;
use self::pulse::{Beat, Pulse};
use crate::error::Error;
use crate::handoff::latch::LatchSetter;
use crate::handoff::outbox::{OutboxReader, Taken};
use crate::handoff::pipe::{Credit, PipeWriter};
use crate::handoff::relay::Relay;
use crate::job::{Adopt, Adoption, Got, Line, Talk, Talked, WsEnd, WsSettings};
use crate::proto::ws::{ControlFrame, Event, Machine, Rules};
use crate::ws::frame::{Frame, Opcode};
use crate::ws::{CloseCode, CloseFrame, Utf8Bytes};

/// How much one turn may move before others get theirs.
const TURN: usize = 256 * 1024;

/// What is taken of the outbox at a time: a frame may be slipped in behind it.
const BATCH: usize = 128 * 1024;

/// The first read, and each while little comes.
const FIRST_READ: usize = 8 * 1024;

/// Reads grow to this while they are filled.
const MAX_READ: usize = 256 * 1024;

/// And shrink again after so many in a row that brought little: where messages come
/// one by one, each of them ends in such a read.
const LITTLE: u8 = 16;

/// So many Pongs wait for the socket; beyond, the latest alone (RFC 6455 §5.5.3).
const PONGS: usize = 16;

/// Buffers are kept through quiet as short as this.
const KEEP_BUFFERS: Duration = Duration::from_secs(1);

/// A WebSocket without handles, or whose end is told, goes on for no longer, though
/// it may be granted more time for closing.
const LONGEST_LINGER: Duration = Duration::from_secs(10);

/// How long the reader has to come to a violation before the peer is told of it all
/// the same.
const PATIENCE: Duration = Duration::from_millis(500);

/// Frames in a usual batch.
const MANY: usize = 64;

thread_local! {
    /// Frames on their way from an outbox to a line.
    static FRAMES: Cell<Vec<Frame>> = const { Cell::new(Vec::new()) };
}

/// Makes what the reactor drives.
pub(crate) fn adoption<C: Send + 'static>(adopt: Adopt<C>) -> Box<Adoption> {
    let Adopt {
        tunnel,
        settings,
        inlet,
        outbox,
        ended,
        keep,
    } = adopt;
    let rules = Rules {
        deflate: settings.deflate,
        max_message: settings.max_message,
    };
    let pump = Pump {
        pulse: Pulse::new(settings.heartbeat),
        settings,
        machine: Machine::new(rules),
        inlet: Some(inlet),
        outbox: Some(outbox),
        ended: Some(ended),
        waker: Waker::noop().clone(),
        stage: Stage::Open,
        said_close: false,
        peer_close: None,
        verdict: None,
        farewell: None,
        pongs: Vec::new(),
        wants_ping: false,
        starved: false,
        paused: false,
        discards: false,
        doubted: false,
        looked_late: false,
        hung_up: false,
        close_by: None,
        release_at: None,
        nudge_at: None,
        read_size: FIRST_READ,
        little: 0,
        send_fault: None,
        outcome: None,
        _keep: keep,
    };
    Box::new(Adoption {
        tunnel,
        talk: Box::new(pump),
        relay: Relay::new(),
    })
}

struct Pump<C> {
    settings: WsSettings,
    machine: Machine,
    /// Until the end is told, as are the latch and, at the latest, the outbox.
    inlet: Option<PipeWriter<WsEnd>>,
    outbox: Option<OutboxReader<C, Frame>>,
    ended: Option<LatchSetter<WsEnd>>,
    waker: Waker,
    stage: Stage,
    /// Our Close is queued: nothing may follow it.
    said_close: bool,
    /// The peer's Close, left to the program to answer.
    peer_close: Option<WsEnd>,
    /// A violation that the reader is still to come to.
    verdict: Option<Box<Verdict>>,
    /// A Close to be queued at the next occasion.
    farewell: Option<Frame>,
    pongs: Vec<Bytes>,
    wants_ping: bool,
    /// The outbox was found empty, and will wake.
    starved: bool,
    /// Reading waits for room in the pipe.
    paused: bool,
    /// What comes is thrown away: nobody reads it, or it found no room while closing.
    discards: bool,
    /// The socket was looked at though nothing told of it, since the last byte.
    doubted: bool,
    /// And when the time for closing had passed.
    looked_late: bool,
    /// The peer has closed its side of TCP.
    hung_up: bool,
    pulse: Pulse,
    close_by: Option<Instant>,
    release_at: Option<Instant>,
    nudge_at: Option<Instant>,
    read_size: usize,
    /// Reads in a row that brought little.
    little: u8,
    /// Sending failed. What the peer has said before is still to be read.
    send_fault: Option<Error>,
    /// How it has ended, to be told when the connection is closed.
    outcome: Option<WsEnd>,
    /// Dropped last.
    _keep: Box<dyn Send>,
}

/// What was found, and is to be said of it.
struct Verdict {
    close: CloseFrame,
    end: WsEnd,
    /// At the latest.
    at: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Open,
    /// Nothing further is sent, and the peer's Close is waited for.
    Closing,
    /// The end is told.
    Lingering,
}

impl<C: Send> Talk for Pump<C> {
    fn begin(&mut self, waker: Waker, now: Instant) {
        self.waker = waker;
        self.pulse.heard(now);
    }

    fn go_on(&mut self, line: &mut dyn Line, now: Instant) -> Talked {
        if self.outcome.is_some() {
            return Talked::Over {
                reset: !self.hung_up,
            };
        }
        self.starved = false;
        if self.nudge_at.is_some_and(|at| at <= now) {
            self.nudge_at = None;
            self.inlet.iter().for_each(PipeWriter::nudge);
        }
        self.resume(now);
        if let Some(verdict) = self.verdict.take_if(|verdict| verdict.at <= now) {
            self.give_up(verdict.close, verdict.end.error, now);
        }
        let mut moved = 0;
        loop {
            self.deliver(line, now);
            self.send(line, &mut moved, now);
            let is_late = self.close_by.is_some_and(|at| at <= now);
            if is_late && (self.looked_late || self.paused) {
                return self.too_late(self.said_close && line.is_flushed());
            }
            if is_late {
                // The answer may be there, and no wait has told of it yet.
                self.looked_late = true;
                line.suspect();
            }
            if self.send_fault.is_some() {
                // What the peer has said before is no more than what the system holds.
                self.paused = false;
            }
            // However much is sent, a turn reads: Pings and Closes may be in it.
            let got = match self.paused {
                true => Ok(Got::Nothing),
                false => line.read(self.read_size),
            };
            match got {
                Ok(Got::Bytes(n)) => {
                    moved += n;
                    self.received(n, now);
                    if moved >= TURN {
                        self.deliver(line, now);
                        return Talked::Again;
                    }
                }
                Ok(Got::Nothing) if is_late => {}
                Ok(Got::Nothing) => {
                    let beat = self.pulse.beat(now);
                    let looks_lost = self.send_fault.is_some() || matches!(beat, Beat::Lost(_));
                    if looks_lost && !self.doubted && !self.paused {
                        // Something may have come of which no wait has told yet.
                        self.doubted = true;
                        line.suspect();
                        continue;
                    }
                    if let Some(error) = self.send_fault.take() {
                        return self.broken(error);
                    }
                    match beat {
                        Beat::Nothing if moved >= TURN => return Talked::Again,
                        Beat::Nothing => return self.wait(line, moved, now),
                        Beat::Ask => self.wants_ping = true,
                        Beat::Lost(limit) => return self.lost(limit),
                    }
                }
                Ok(Got::Barren) => return Talked::Again,
                Ok(Got::End) => return self.hung_up(),
                Err(error) => return self.broken(error),
            }
        }
    }

    fn is_open(&self) -> bool {
        self.stage == Stage::Open && !self.said_close && self.peer_close.is_none()
    }

    fn deadline(&self) -> Option<Instant> {
        [
            self.pulse.next(),
            self.close_by,
            self.release_at,
            self.nudge_at,
            self.verdict.as_ref().map(|verdict| verdict.at),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn fail(&mut self, code: CloseCode, now: Instant) {
        let close = CloseFrame {
            code,
            reason: Utf8Bytes::default(),
        };
        if code.may_be_sent() {
            // The reader may have found another one, further ahead.
            match self.verdict.take().filter(|found| found.close.code == code) {
                Some(found) => self.give_up(found.close, found.end.error, now),
                None => self.give_up(close, None, now),
            }
        } else if self.stage != Stage::Lingering {
            self.outcome = Some(WsEnd {
                code,
                ..abnormal(None)
            });
        }
    }

    fn nudge(&mut self, at: Instant) {
        // Its reader asks again only once the time it had asked for has passed: that
        // it has not been woken for it yet makes this one no less wanted.
        if self.inlet.is_some() {
            self.nudge_at = Some(at);
        }
    }

    fn end(&mut self, error: Error) {
        self.outcome.get_or_insert(abnormal(Some(error)));
    }
}

impl<C> Pump<C> {
    /// Looks again whether the reader has made room, and whether that matters still.
    fn resume(&mut self, now: Instant) {
        let Some(inlet) = self.inlet.as_ref().filter(|_| self.paused) else {
            return;
        };
        match inlet.credit() {
            Credit::Full if self.stage == Stage::Open => return,
            Credit::Open => {}
            Credit::Full | Credit::Abandoned => self.discards = true,
        }
        self.paused = false;
        if self.stage == Stage::Open && !self.is_deaf() {
            // The quiet was not the peer's.
            self.pulse.heard(now);
        }
    }

    fn received(&mut self, n: usize, now: Instant) {
        self.doubted = false;
        self.wants_ping = false;
        if self.stage == Stage::Open && !self.is_deaf() {
            self.pulse.heard(now);
        }
        if n >= self.read_size {
            self.read_size = (self.read_size * 4).min(MAX_READ);
        }
        self.little = match n < self.read_size / 4 {
            true => self.little + 1,
            false => 0,
        };
        if self.little == LITTLE {
            self.little = 0;
            self.read_size = (self.read_size / 2).max(FIRST_READ);
        }
    }

    /// What the peer says further does not matter.
    fn is_deaf(&self) -> bool {
        self.stage == Stage::Lingering || self.peer_close.is_some() || self.verdict.is_some()
    }

    /// Tells apart what has come.
    fn deliver(&mut self, line: &mut dyn Line, now: Instant) {
        let whole = line.input().len();
        while !self.paused && !self.is_deaf() && !line.input().is_empty() {
            match self.machine.receive(line.input()) {
                Ok(Some(Event::Data(data))) => {
                    // A small part of a large read must not keep all of it alive.
                    let is_part = whole > 4 * FIRST_READ && data.len() < whole / 4;
                    self.give(match is_part {
                        true => Bytes::copy_from_slice(&data),
                        false => data,
                    });
                }
                Ok(Some(Event::Control { raw, frame })) => match frame {
                    ControlFrame::Ping(payload) if self.settings.autoping => self.pong(&payload),
                    ControlFrame::Pong(_) if self.settings.autoping => {}
                    ControlFrame::Ping(_) | ControlFrame::Pong(_) => self.give(raw),
                    ControlFrame::Close(close) => self.peer_closes(close, raw, line, now),
                },
                Ok(None) => break,
                Err(violation) => self.violated(violation, now),
            }
        }
        let input = line.input();
        if self.is_deaf() {
            input.clear();
        }
        if input.is_empty() {
            // Nor the memory of what was taken out of it.
            *input = Default::default();
        }
    }

    /// Hands on what the reader is to see.
    fn give(&mut self, data: Bytes) {
        let Some(inlet) = self.inlet.as_mut().filter(|_| !self.discards) else {
            return;
        };
        match inlet.push(data) {
            Credit::Open => {}
            // It is at its end, and there is little more.
            Credit::Full if self.send_fault.is_some() => {}
            Credit::Full if self.stage == Stage::Open => {
                self.paused = true;
                self.wants_ping = false;
                self.pulse.rest();
            }
            // Closing never hangs on a reader. And nobody misses what nobody reads.
            Credit::Full | Credit::Abandoned => self.discards = true,
        }
    }

    fn pong(&mut self, payload: &[u8]) {
        if self.said_close {
            return;
        }
        if self.pongs.len() == PONGS {
            self.pongs.clear();
        }
        self.pongs
            .push(Frame::control(Opcode::Pong, payload).head.into());
    }

    /// Queues and writes what goes.
    fn send(&mut self, line: &mut dyn Line, moved: &mut usize, now: Instant) {
        if self.send_fault.is_some() {
            return;
        }
        loop {
            if let Some(farewell) = self.farewell.take() {
                self.answer(farewell, line);
            }
            if line.is_flushed() {
                *moved += self.gather(line, now);
                if line.is_flushed() {
                    return;
                }
            }
            match line.flush() {
                Ok(true) if *moved < TURN => {}
                Ok(true) => return,
                Ok(false) => return self.listen(now),
                Err(error) => {
                    self.send_fault = Some(error);
                    return;
                }
            }
        }
    }

    /// Queues the next batch, and says how much it is.
    fn gather(&mut self, line: &mut dyn Line, now: Instant) -> usize {
        if self.said_close {
            return 0;
        }
        let mut gathered = 0;
        for pong in self.pongs.drain(..) {
            gathered += pong.len();
            line.queue(pong);
        }
        if std::mem::take(&mut self.wants_ping) {
            put(line, Frame::control(Opcode::Ping, b""));
        }
        let Some(outbox) = self.outbox.as_mut().filter(|_| !self.starved) else {
            return gathered;
        };
        let mut frames = lent();
        let mut cx = Context::from_waker(&self.waker);
        match outbox.poll_take(BATCH, &mut frames, &mut cx) {
            Poll::Ready(Taken::Items) => {
                for frame in frames.drain(..) {
                    gathered += frame.len();
                    put(line, frame);
                }
            }
            Poll::Ready(Taken::Last(close)) => {
                put(line, close);
                self.close(now, self.settings.close_timeout);
            }
            Poll::Ready(Taken::Abandoned) => {
                let going = CloseFrame {
                    code: CloseCode::GOING_AWAY,
                    reason: Utf8Bytes::default(),
                };
                let found = self.verdict.as_ref().map(|verdict| &verdict.close);
                put(line, Frame::close(Some(found.unwrap_or(&going))));
                self.close(now, self.settings.close_timeout.min(LONGEST_LINGER));
            }
            Poll::Pending => self.starved = true,
        }
        keep(frames);
        gathered
    }

    /// Nothing more goes now.
    fn wait(&mut self, line: &mut dyn Line, moved: usize, now: Instant) -> Talked {
        if self.release_at.is_some_and(|at| at <= now) {
            self.release_at = None;
            line.release_buffers();
            // Or the next look would take as much again.
            self.read_size = FIRST_READ;
        } else if line.holds_buffers() && (moved > 0 || self.release_at.is_none()) {
            // Of the last byte; a mere look at it is none.
            self.release_at = now.checked_add(KEEP_BUFFERS);
        }
        Talked::Wants
    }
}

/// Memory for a batch. A thread that ends, and sends something on its way, has none kept.
fn lent() -> Vec<Frame> {
    FRAMES.try_with(Cell::take).unwrap_or_default()
}

/// Lends the memory to the next batch, unless it is much.
fn keep(frames: Vec<Frame>) {
    if frames.capacity() <= 4 * MANY {
        let _ = FRAMES.try_with(|kept| kept.set(frames));
    }
}

fn put(line: &mut dyn Line, frame: Frame) {
    line.queue(frame.head.into());
    if !frame.body.is_empty() {
        line.queue(frame.body);
    }
}
