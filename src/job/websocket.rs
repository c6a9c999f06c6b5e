//! A connection that speaks WebSocket from now on: what its handles give its drivers
//! with it, and what those tell them in the end.
//!
//! ```text
//! handles ── outbox: frames ──▶ Talk ──▶ Line (the connection)
//! handles ◀── pipe: raw frames, WsEnd ── Talk ◀── Line
//! handles ◀── latch: WsEnd ──┘
//! ```
//!
//! Who drives a connection knows neither frames nor handles: it lends a [`Talk`]
//! the connection's [`Line`] whenever one of the two may go on. Both are traits, so
//! that only a program that opens a WebSocket links what stands behind the first.

use std::any::Any;
use std::fmt;
use std::task::Waker;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use super::Tunnel;
use crate::error::Error;
use crate::handoff::latch::LatchSetter;
use crate::handoff::outbox::OutboxReader;
use crate::handoff::pipe::PipeWriter;
use crate::handoff::relay::{Drove, Relay};
use crate::ws::frame::Frame;
use crate::ws::{CloseCode, Utf8Bytes};

/// All that the reactor needs to go on with a WebSocket whose handshake is over. `C`
/// is what its senders share, and of no interest here.
pub(crate) struct Adopt<C> {
    pub(crate) tunnel: Box<dyn Tunnel>,
    pub(crate) settings: WsSettings,
    /// Takes what is received, as it came: data frames, and control frames that
    /// are shown, headers included, cut anywhere.
    pub(crate) inlet: PipeWriter<WsEnd>,
    /// Gives the frames to be sent.
    pub(crate) outbox: OutboxReader<C, Frame>,
    /// Told first how it has ended.
    pub(crate) ended: LatchSetter<WsEnd>,
    /// Dropped when all is over, the closing included, which goes on when no
    /// handle is left.
    pub(crate) keep: Box<dyn Send>,
}

/// What is done by whoever drives it, with no word of the program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WsSettings {
    /// W4: Pings are answered, and neither they nor Pongs shown.
    pub(crate) autoping: bool,
    /// W4: a Close is answered, and not shown.
    pub(crate) autoclose: bool,
    /// Messages may be compressed.
    pub(crate) deflate: bool,
    /// W8, in bytes; 0 is no limit.
    pub(crate) max_message: usize,
    /// W5: how long it may be quiet before a Ping asks.
    pub(crate) heartbeat: Option<Duration>,
    /// W2: how long closing may take.
    pub(crate) close_timeout: Duration,
}

/// How a WebSocket has ended.
#[derive(Clone, Debug)]
pub(crate) struct WsEnd {
    /// The peer's; 1005 where it gave none; 1006 where it sent no Close; ours where
    /// we have failed it.
    pub(crate) code: CloseCode,
    pub(crate) reason: Utf8Bytes,
    /// Why, unless it was closed.
    pub(crate) error: Option<Error>,
    /// Both sides have said Close.
    pub(crate) clean: bool,
}

/// An open WebSocket, to whoever drives its connection.
pub(crate) trait Talk: Send {
    /// From here on it is driven. `waker` has it go on.
    fn begin(&mut self, waker: Waker, now: Instant);

    /// Goes on as far as that goes without waiting.
    fn go_on(&mut self, line: &mut dyn Line, now: Instant) -> Talked;

    /// Whether neither side has begun to close it.
    fn is_open(&self) -> bool;

    /// When it has to go on even if nothing became ready.
    fn deadline(&self) -> Option<Instant>;

    /// Its reader found a violation: says so to the peer, and ends.
    fn fail(&mut self, code: CloseCode, now: Instant);

    /// Wakes its reader at that time.
    fn nudge(&mut self, at: Instant);

    /// Ends it, its connection being closed. Dropping it tells its handles.
    fn end(&mut self, error: Error);
}

/// What a [`Talk`] wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Talked {
    /// Nothing more goes now.
    Wants,
    /// More would go, but others wait for their turn.
    Again,
    /// All is said: the connection is to be closed, then this dropped. With a
    /// reset, where the peer may not know.
    Over { reset: bool },
}

/// The connection under a [`Talk`]: plain bytes, none of them HTTP's any more.
pub(crate) trait Line {
    /// What was read and is not taken yet.
    fn input(&mut self) -> &mut BytesMut;

    /// Reads behind that, about so much at most.
    ///
    /// # Errors
    /// The connection broke.
    fn read(&mut self, size: usize) -> Result<Got, Error>;

    /// Puts it behind what is to be written.
    fn queue(&mut self, piece: Bytes);

    /// Writes of that what goes. True: nothing is left.
    ///
    /// # Errors
    /// The connection broke. There may still be something to be read.
    fn flush(&mut self) -> Result<bool, Error>;

    /// Whether nothing waits to be written.
    fn is_flushed(&self) -> bool;

    /// Looks at the socket at the next read, though nothing told of it.
    fn suspect(&mut self);

    /// Whether it has more memory than a quiet connection needs.
    fn holds_buffers(&self) -> bool;

    /// Gives that back.
    fn release_buffers(&mut self);
}

/// What one read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Got {
    Bytes(usize),
    /// Nothing now; readiness will tell.
    Nothing,
    /// Much was read and nothing of it was data. There may be more at once.
    Barren,
    End,
}

/// What crosses to the reactor: [`Adopt`], made into what drives it.
pub(crate) struct Adoption {
    pub(crate) tunnel: Box<dyn Tunnel>,
    pub(crate) talk: Box<dyn Talk>,
    /// Where both lie together, once the reactor has them.
    pub(crate) relay: Relay<Box<dyn WsConn>>,
}

/// An open WebSocket with its connection, as it goes from one of its drivers to the
/// next: the reactor owns it, and threads that send and receive drive it in passing.
pub(crate) trait WsConn: Send {
    /// Goes on as far as that goes without waiting, on a thread that has something to
    /// be sent. `is_coming_back`: it is the one that received last.
    fn drive(&mut self, now: Instant, is_coming_back: bool) -> Drove;

    #[cfg_attr(not(unix), allow(dead_code, reason = "who waits for sockets does"))]
    fn as_any(&mut self) -> &mut dyn Any;

    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

impl fmt::Debug for Adoption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Adoption(..)")
    }
}
