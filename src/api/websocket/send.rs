//! Sending: a turn, the frame made in it, and the outbox.

use std::mem;
use std::ops::Deref;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::shared::{Ends, Shared};
use crate::api::cancel::CancelHandle;
use crate::api::pending::{Operation, Pending, wait_until};
use crate::error::{Error, Phase, Timeout};
use crate::handoff::feed::Gone;
use crate::handoff::outbox::{Place, Queued};
use crate::ws::frame::MAX_CONTROL;
use crate::ws::{CloseFrame, Encoder, Frame, Message};

/// How one message is sent ([`send_with`](crate::WebSocket::send_with), SPEC W11).
///
/// ```
/// use miohttp::SendOptions;
///
/// // Random bytes get no smaller.
/// let plain = SendOptions::new().compress(false);
/// # let _ = plain;
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct SendOptions {
    compress: Option<bool>,
}

impl SendOptions {
    /// As the WebSocket was set up.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether this message is compressed: whatever its length, or not at all. By
    /// default those are that reach the
    /// [`threshold`](crate::PerMessageDeflate::threshold). Without an agreed
    /// compression none is.
    pub fn compress(mut self, compress: bool) -> Self {
        self.compress = Some(compress);
        self
    }
}

/// One message on its way into the outbox: there whole, or not at all.
pub(super) struct Outgoing<H: Deref<Target = Shared>> {
    shared: H,
    place: Place<Encoder, Frame>,
    /// It has a place in the line, whose lock others may hold.
    is_waiting: bool,
    /// Until it was sent.
    message: Option<Message>,
    options: SendOptions,
}

/// Sends at once if there is room, and else when somebody waits for it: a place in
/// the line that nobody asks for its turn would hold up all behind it.
pub(super) fn start(shared: &Arc<Shared>, message: Message, options: SendOptions) -> Pending<()> {
    let mut outgoing = match Outgoing::new(Arc::clone(shared), message, options) {
        Ok(outgoing) => outgoing,
        Err(error) => return Pending::failed(error),
    };
    match outgoing.try_now() {
        None => Pending::new(outgoing),
        Some(Ok(())) => Pending::done(()),
        Some(Err(error)) => Pending::failed(error),
    }
}

/// Sends, and blocks, at most so long.
pub(super) fn blocking(
    shared: &Shared,
    message: Message,
    options: SendOptions,
    limit: Option<Duration>,
) -> Result<(), Error> {
    match shared.post_at_once(&message, options.compress) {
        Some(posted) => posted,
        None => Outgoing::new(shared, message, options)?.wait(limit),
    }
}

impl<H: Deref<Target = Shared>> Outgoing<H> {
    /// # Errors
    /// It may not be sent.
    pub(super) fn new(shared: H, message: Message, options: SendOptions) -> Result<Self, Error> {
        check(&message).map_err(|error| shared.context(error))?;
        Ok(Self {
            shared,
            place: Place::new(),
            is_waiting: false,
            message: Some(message),
            options,
        })
    }

    /// Blocks, at most so long.
    pub(super) fn wait(mut self, limit: Option<Duration>) -> Result<(), Error>
    where
        H: Send,
    {
        let until = limit.and_then(|limit| Instant::now().checked_add(limit));
        wait_until(&mut self, until).unwrap_or_else(|| {
            let error = Error::timed_out(Timeout::WsSend, limit, Phase::WebSocket);
            Err(self.shared.context(error))
        })
    }

    /// `None`: it has to wait.
    fn try_now(&mut self) -> Option<Result<(), Error>> {
        let (shared, options) = (&*self.shared, self.options);
        let ends = match shared.ends() {
            Ok(ends) => ends,
            Err(error) => return Some(Err(error)),
        };
        let is_close = self.message.as_ref().is_some_and(Message::is_close);
        let turn = match is_close {
            true => None,
            false => match ends.outbox.try_turn() {
                Ok(turn) => Some(turn?),
                Err(_) => return Some(Err(shared.closed())),
            },
        };
        let message = self.message.take()?;
        Some(shared.post(ends, message, options, turn))
    }
}

impl<H: Deref<Target = Shared> + Send> Operation<()> for Outgoing<H> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let (shared, options) = (&*self.shared, self.options);
        let is_close = self.message.as_ref().is_some_and(Message::is_close);
        let ends = match shared.ends() {
            Ok(ends) => ends,
            Err(error) => return Poll::Ready(Err(error)),
        };
        let turn = match is_close {
            true => None,
            false => match ends.outbox.poll_turn(&mut self.place, cx) {
                Poll::Pending => {
                    self.is_waiting = true;
                    return Poll::Pending;
                }
                Poll::Ready(Ok(turn)) => Some(turn),
                Poll::Ready(Err(_)) => return Poll::Ready(Err(shared.closed())),
            },
        };
        let Some(message) = self.message.take() else {
            return Poll::Ready(Err(Error::internal("the message was sent already")));
        };
        Poll::Ready(shared.post(ends, message, options, turn))
    }

    fn target(&self) -> CancelHandle {
        self.shared.cancel_handle()
    }
}

impl<H: Deref<Target = Shared>> Drop for Outgoing<H> {
    fn drop(&mut self) {
        if self.is_waiting && !self.shared.is_home() {
            // Its lock may be held for ever in the child of a process.
            mem::forget(mem::replace(&mut self.place, Place::new()));
        }
    }
}

type Turn<'a> = crate::handoff::outbox::Turn<'a, Encoder, Frame>;

impl Shared {
    /// A close needs no turn: it is the last.
    fn post(
        &self,
        ends: &Ends,
        message: Message,
        options: SendOptions,
        turn: Option<Turn<'_>>,
    ) -> Result<(), Error> {
        let Some(turn) = turn else {
            let close = match message {
                Message::Close(close) => close,
                _ => None,
            };
            return match self.say_goodbye(close.as_ref())? {
                true => Ok(()),
                false => Err(self.closed()),
            };
        };
        match self.push(turn, message, options) {
            Ok(queued) => {
                self.queued(ends, queued);
                Ok(())
            }
            Err(Gone) => Err(self.closed()),
        }
    }

    fn push(
        &self,
        mut turn: Turn<'_>,
        message: Message,
        options: SendOptions,
    ) -> Result<Queued, Gone> {
        let frame = turn.context().encode(message, options.compress);
        let length = frame.len();
        match self.lends {
            // Whoever pushes sees to the rest.
            true => turn.push_quietly(frame, length),
            false => turn.push(frame, length),
        }
    }
}

/// What may be sent (RFC 6455 §5.5, §7.4).
fn check(message: &Message) -> Result<(), Error> {
    match message {
        Message::Ping(payload) | Message::Pong(payload) if payload.len() > MAX_CONTROL => {
            let message = format!("a ping or pong carries at most {MAX_CONTROL} bytes");
            Err(Error::invalid_request(message))
        }
        Message::Close(Some(frame)) => check_close(frame),
        _ => Ok(()),
    }
}

pub(super) fn check_close(frame: &CloseFrame) -> Result<(), Error> {
    match frame.fault() {
        None => Ok(()),
        Some(fault) => Err(Error::invalid_request(fault)),
    }
}
