//! Receiving: from the pipe of raw frames, through the assembler, to whoever asks.
//!
//! Everything that belongs to it is one box, which whoever receives takes out of its
//! place and puts back afterwards. So no lock is held while a message is inflated,
//! and who finds nothing there is the second of two (SPEC W12).

use std::fmt;
use std::mem;
use std::ops::Deref;
#[cfg(feature = "async")]
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::shared::Shared;
use crate::api::cancel::CancelHandle;
use crate::api::pending::Operation;
use crate::error::{Error, Phase, Timeout};
use crate::handoff::pipe::{Item, PipeReader};
use crate::job::{Cancel, Command, WsEnd};
use crate::ws::{Assembler, CloseCode, Message};

/// The receiving side, shared by all who may receive. When the last of them goes,
/// the reactor throws away what still comes.
pub(super) struct Inbound {
    shared: Arc<Shared>,
    /// Nobody waits for this lock: it is held for moments, or tried.
    place: Mutex<Option<Box<Incoming>>>,
}

/// What arrives.
pub(super) struct Incoming {
    /// Until the end was read.
    source: Option<(PipeReader<WsEnd>, Assembler)>,
    /// The reactor wakes the reader then.
    nudge: Option<Instant>,
}

/// The right to receive, for as long as this lives.
pub(super) struct Claim<H: Deref<Target = Inbound>> {
    inbound: H,
    incoming: Option<Box<Incoming>>,
}

impl Inbound {
    pub(super) fn new(shared: Arc<Shared>, incoming: Incoming) -> Self {
        Self {
            shared,
            place: Mutex::new(Some(Box::new(incoming))),
        }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// # Errors
    /// Somebody else receives (SPEC W12), or this is a child of the process.
    pub(super) fn claim<H: Deref<Target = Self>>(inbound: H) -> Result<Claim<H>, Error> {
        if !inbound.shared.is_home() {
            return Err(inbound.shared.foreign());
        }
        let incoming = match inbound.place.try_lock() {
            Ok(mut place) => place.take(),
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner().take(),
            Err(TryLockError::WouldBlock) => None,
        };
        if incoming.is_none() {
            return Err(inbound.shared.occupied());
        }
        Ok(Claim { inbound, incoming })
    }

    /// The next message, if it is all here, and there is nothing to be done for it that
    /// takes time.
    pub(super) fn at_once(&self) -> Option<Message> {
        if !self.shared.is_home() {
            return None;
        }
        let mut place = self.place.try_lock().ok()?;
        let (_, assembler) = place.as_mut()?.source.as_mut()?;
        let message = assembler.at_once()?;
        received(&self.shared, assembler, &message);
        Some(message)
    }

    fn put_back(&self, incoming: Box<Incoming>) {
        let mut place = match self.place.try_lock() {
            Ok(place) => place,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // Held for ever, where another thread held it when the process was forked.
            Err(TryLockError::WouldBlock) if !self.shared.is_home() => {
                return mem::forget(incoming);
            }
            Err(TryLockError::WouldBlock) => {
                self.place.lock().unwrap_or_else(PoisonError::into_inner)
            }
        };
        *place = Some(incoming);
    }
}

impl Drop for Inbound {
    fn drop(&mut self) {
        let place = self.place.get_mut().unwrap_or_else(PoisonError::into_inner);
        let incoming = place.take();
        if !self.shared.is_home() {
            // The pipe's lock may be held for ever in the child of a process.
            return mem::forget(incoming);
        }
        drop(incoming);
        // Reading may rest for want of room, which nobody needs any more.
        self.shared.tell(Command::Wake(self.shared.id));
    }
}

impl<H: Deref<Target = Inbound>> Drop for Claim<H> {
    fn drop(&mut self) {
        if let Some(incoming) = self.incoming.take() {
            self.inbound.put_back(incoming);
        }
    }
}

impl Shared {
    #[cold]
    fn occupied(&self) -> Error {
        self.context(Error::invalid_request(
            "another recv of this WebSocket is under way",
        ))
    }

    #[cold]
    fn foreign(&self) -> Error {
        self.context(Error::closed())
    }
}

impl Incoming {
    pub(super) fn new(pipe: PipeReader<WsEnd>, assembler: Assembler) -> Self {
        Self {
            source: Some((pipe, assembler)),
            nudge: None,
        }
    }

    /// The next message; `None` once it is closed, and behind an error.
    fn poll(
        &mut self,
        shared: &Shared,
        cx: &mut Context<'_>,
        is_driving: bool,
    ) -> Poll<Result<Option<Message>, Error>> {
        if !shared.is_home() {
            return Poll::Ready(Err(shared.foreign()));
        }
        let Some((pipe, assembler)) = &mut self.source else {
            return Poll::Ready(Ok(None));
        };
        loop {
            match assembler.next() {
                Ok(Some(message)) => {
                    received(shared, assembler, &message);
                    return Poll::Ready(Ok(Some(message)));
                }
                Ok(None) => {}
                Err(violation) => {
                    let code = violation.code;
                    let command = Command::Fail(shared.id, code);
                    let error = shared.fail(code, violation.into(), Some(command));
                    self.source = None;
                    return Poll::Ready(Err(error));
                }
            }
            let Poll::Ready((item, refill)) = pipe.poll_next(cx) else {
                return Poll::Pending;
            };
            if refill {
                shared.makes_room(is_driving);
            }
            match item {
                Item::Data(data) => assembler.push(data),
                Item::Mark => {}
                Item::End(end) => {
                    self.source = None;
                    if end.error.is_some() && end.code.may_be_sent() {
                        // The peer hears of a violation when the reader has come to it.
                        shared.condemn(end.code);
                    }
                    return Poll::Ready(shared.told(end).map(|()| None));
                }
                Item::Broken => {
                    self.source = None;
                    return Poll::Ready(Err(shared.deserted()));
                }
            }
        }
    }
}

fn received(shared: &Shared, assembler: &Assembler, message: &Message) {
    if let Message::Close(frame) = message {
        shared.peer_closes(frame.as_ref());
    }
    shared.received(assembler.has_message());
}

/// One wait for a message.
pub(super) struct Receive<H: Deref<Target = Inbound>> {
    claim: Claim<H>,
    /// When the WebSocket's own limit passes (SPEC W3), and whether somebody looks
    /// at the clock for it.
    until: Option<Instant>,
    is_watched: bool,
}

impl<H: Deref<Target = Inbound>> Receive<H> {
    pub(super) fn new(inbound: H) -> Result<Self, Error> {
        let claim = Inbound::claim(inbound)?;
        let limit = claim.inbound.shared.options.receive_timeout;
        Ok(Self {
            claim,
            until: limit.and_then(|limit| Instant::now().checked_add(limit)),
            is_watched: false,
        })
    }

    /// The next message, if it is all here.
    fn at_hand(&mut self) -> Option<Message> {
        let (_, assembler) = self.claim.incoming.as_mut()?.source.as_mut()?;
        // A violation is found again.
        let message = assembler.next().ok()??;
        received(&self.claim.inbound.shared, assembler, &message);
        Some(message)
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Error>> {
        let shared = &*self.claim.inbound.shared;
        let Some(incoming) = &mut self.claim.incoming else {
            return Poll::Ready(Ok(None));
        };
        let polled = incoming.poll(shared, cx, self.is_watched && shared.lends);
        if polled.is_ready() {
            return polled;
        }
        match shared.ends_anywhere() {
            // It drives.
            _ if self.is_watched => shared.waits_here(),
            Some(ends) => shared.waits_elsewhere(ends),
            None => {}
        }
        let Some(until) = self.until else {
            return polled;
        };
        let now = Instant::now();
        if now >= until {
            let limit = shared.options.receive_timeout;
            let error = Error::timed_out(Timeout::WsReceive, limit, Phase::WebSocket);
            let command = Command::Cancel(shared.id, Cancel::Abort);
            let error = shared.fail(CloseCode::ABNORMAL, error, Some(command));
            incoming.source = None;
            return Poll::Ready(Err(error));
        }
        // A future has no clock. One that is early does no harm: it comes back here.
        if !self.is_watched && incoming.nudge.is_none_or(|at| at <= now) {
            incoming.nudge = Some(until);
            shared.tell(Command::Nudge(shared.id, until));
        }
        Poll::Pending
    }
}

/// Makes of a message what the verb is for.
pub(super) type Read<T> = fn(&Shared, Message) -> Result<T, Error>;

/// A wait for a message of a certain kind.
pub(super) struct Typed<H: Deref<Target = Inbound>, T> {
    receive: Receive<H>,
    read: Read<T>,
}

impl<H: Deref<Target = Inbound>, T> Typed<H, T> {
    pub(super) fn new(inbound: H, read: Read<T>) -> Result<Self, Error> {
        let receive = Receive::new(inbound)?;
        Ok(Self { receive, read })
    }

    /// Blocks, at most so long.
    pub(super) fn wait(mut self, limit: Option<Duration>) -> Result<Option<T>, Error>
    where
        H: Send,
    {
        if let Some(message) = self.receive.at_hand() {
            return (self.read)(&self.receive.claim.inbound.shared, message).map(Some);
        }
        let given = limit.and_then(|limit| Instant::now().checked_add(limit));
        let until = match (self.receive.until, given) {
            (Some(own), Some(given)) => Some(own.min(given)),
            (own, given) => own.or(given),
        };
        self.receive.is_watched = true;
        let shared = Arc::clone(&self.receive.claim.inbound.shared);
        // What the program makes of it comes after the wait.
        if let Some(received) = shared.wait(until, |cx| self.receive.poll(cx)) {
            let message = received?;
            return message
                .map(|message| (self.read)(&shared, message))
                .transpose();
        }
        // One of the two has passed. If it is the WebSocket's own, this tells.
        match self.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => result,
            Poll::Pending => {
                let error = Error::timed_out(Timeout::WsReceive, limit, Phase::WebSocket);
                Err(self.receive.claim.inbound.shared.context(error))
            }
        }
    }
}

impl<H: Deref<Target = Inbound> + Send, T> Operation<Option<T>> for Typed<H, T> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<T>, Error>> {
        let read = self.read;
        self.receive.poll(cx).map(|received| match received? {
            None => Ok(None),
            Some(message) => read(&self.receive.claim.inbound.shared, message).map(Some),
        })
    }

    fn target(&self) -> CancelHandle {
        self.receive.claim.inbound.shared.cancel_handle()
    }
}

/// A place to receive from: a WebSocket, or the half of one.
pub(super) struct Reading {
    pub(super) inbound: Arc<Inbound>,
    /// What a stream waits with that is polled through this handle. Whoever receives
    /// by it otherwise has given the stream's wait up.
    #[cfg(feature = "async")]
    pub(super) polled: Mutex<Option<Receive<Arc<Inbound>>>>,
    /// Whether there is one. Only who has this alone says so, and whoever has it with
    /// others since has heard of that.
    #[cfg(feature = "async")]
    pub(super) is_polled: AtomicBool,
}

impl Reading {
    pub(super) fn new(inbound: Arc<Inbound>) -> Self {
        Self {
            inbound,
            #[cfg(feature = "async")]
            polled: Mutex::new(None),
            #[cfg(feature = "async")]
            is_polled: AtomicBool::new(false),
        }
    }

    pub(super) fn inbound(&self) -> &Arc<Inbound> {
        #[cfg(feature = "async")]
        if self.is_polled.load(Relaxed) {
            let polled = crate::sync::lock(&self.polled).take();
            drop(polled);
            self.is_polled.store(false, Relaxed);
        }
        &self.inbound
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.inbound.shared
    }
}

impl Clone for Reading {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.inbound))
    }
}

/// The messages of a WebSocket as they come, until it is closed (SPEC W15); made by
/// [`WebSocket::iter`](crate::WebSocket::iter). Blocks in `next` until there is one.
///
/// What the connection is lost by comes as an error, and behind it nothing.
#[must_use = "an iterator does nothing by itself"]
pub struct Messages<'a> {
    /// `None` behind an error.
    reading: Option<&'a Reading>,
}

impl<'a> Messages<'a> {
    pub(super) fn new(reading: &'a Reading) -> Self {
        Self {
            reading: Some(reading),
        }
    }
}

impl Iterator for Messages<'_> {
    type Item = Result<Message, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let inbound = &**self.reading?.inbound();
        let next = match inbound.at_once() {
            Some(message) => Some(Ok(message)),
            None => Typed::new(inbound, super::verbs::as_it_is)
                .and_then(|receive| receive.wait(None))
                .transpose(),
        };
        if !matches!(next, Some(Ok(_))) {
            self.reading = None;
        }
        next
    }
}

impl std::iter::FusedIterator for Messages<'_> {}

impl fmt::Debug for Messages<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Messages(..)")
    }
}
