//! When what was queued is written.
//!
//! At once, by the thread that has queued it. But one that answers a number of messages
//! in turn, each as it receives it, leaves it for the time being: many answers then go
//! out in one write. It writes them when it has answered the last, and the reactor
//! before long if it does something else.
//!
//! What is noted here decides about nothing but that, so it is no matter if two threads
//! see it in different orders.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Instant;

use super::shared::{Ends, Shared};
use crate::api::pending::refused;
use crate::error::Error;
use crate::handoff::outbox::Queued;
use crate::handoff::park::{Unwaited, block_on};
use crate::handoff::relay::Look;
use crate::job::Command;
use crate::sync::this_thread;
use crate::ws::Message;

/// So much is not left waiting. With a quarter of it, so that the server begins earlier,
/// 32 messages of 1 KiB in flight fell into two halves that took turns: at times a
/// twentieth faster, and at others half as long again, as the scheduler had it.
const MUCH: usize = 64 * 1024;

#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Who has received last, or nobody; [`AT_HAND`] is added to that.
    reader: AtomicUsize,
    /// Something was left in the queue until that one comes by again.
    is_deferred: AtomicBool,
    /// How many more that one may leave there.
    left: AtomicUsize,
}

impl Pace {
    /// Whether this thread is about to come back, and may leave something until then.
    fn may_defer(&self) -> bool {
        self.reader.load(Relaxed) == this_thread() | AT_HAND && self.left.load(Relaxed) > 0
    }

    fn defer(&self) {
        let left = self.left.load(Relaxed);
        self.left.store(left.saturating_sub(1), Relaxed);
        self.is_deferred.store(true, Relaxed);
    }
}

fn is_much(queued: Queued) -> bool {
    queued.is_full || queued.bytes >= MUCH
}

/// So many answers to one message are left in the queue. Who sends more does not mean to
/// come back soon.
const ANSWERS: usize = 16;

/// The next message could be had without waiting.
const AT_HAND: usize = 1;

impl Shared {
    /// Sees to it that what was queued is written.
    pub(super) fn queued(&self, ends: &Ends, queued: Queued) {
        if !self.lends {
            return;
        }
        if !is_much(queued) && self.pace.may_defer() {
            self.pace.defer();
            return ends.guest.rely(Look::Soon);
        }
        self.pace.is_deferred.store(false, Relaxed);
        let is_reader = self.pace.reader.load(Relaxed) & !AT_HAND == this_thread();
        // One that has filled the outbox may wait for room before it comes back.
        self.drive(ends, !queued.is_full && is_reader);
    }

    /// Queues a small message that is sent as it is, if that takes no waiting for a
    /// lock or for room, and sees to the rest. `None`: it is to be sent in the usual way.
    ///
    /// Where it can be left for the time being this takes no system call either.
    pub(super) fn post_at_once(
        &self,
        message: &Message,
        compress: Option<bool>,
    ) -> Option<Result<(), Error>> {
        let ends = self.ends().ok().filter(|_| self.lends)?;
        let may_defer = self.pace.may_defer();
        let queued = ends
            .outbox
            .push_at_once(|encoder, last| encoder.encode_behind(message, compress, last))?;
        if may_defer && !is_much(queued) && ends.guest.rely_at_once(Look::Soon) {
            self.pace.defer();
            return Some(Ok(()));
        }
        self.queued(ends, queued);
        Some(Ok(()))
    }

    /// This thread has received a message. `is_next_at_hand`: another could be had
    /// without waiting.
    pub(super) fn received(&self, is_next_at_hand: bool) {
        if self.lends {
            let reader = this_thread() | if is_next_at_hand { AT_HAND } else { 0 };
            self.pace.reader.store(reader, Relaxed);
            self.pace.left.store(ANSWERS, Relaxed);
        }
    }

    /// Somebody waits for a message, and sees to it that what is queued is written.
    pub(super) fn waits_here(&self) {
        self.pace.is_deferred.store(false, Relaxed);
        self.pace.reader.store(this_thread(), Relaxed);
    }

    /// Somebody waits for a message, and leaves it to the reactor to see to it.
    pub(super) fn waits_elsewhere(&self, ends: &Ends) {
        if !self.lends {
            return;
        }
        self.pace.reader.store(this_thread(), Relaxed);
        if self.pace.is_deferred.swap(false, Relaxed) {
            self.drive(ends, false);
        }
        ends.guest.wait_elsewhere();
    }

    /// There is room in the pipe again, for what was not read for want of it.
    /// `is_driving`: this thread goes on with that when it waits next.
    pub(super) fn makes_room(&self, is_driving: bool) {
        match self.ends_anywhere() {
            Some(ends) if is_driving => ends.guest.make_room(),
            _ => self.tell(Command::Wake(self.id)),
        }
    }

    /// Waits for what the WebSocket brings. `None`: nothing by then.
    pub(super) fn wait<T>(
        &self,
        until: Option<Instant>,
        poll: impl FnMut(&mut Context<'_>) -> Poll<Result<T, Error>>,
    ) -> Option<Result<T, Error>> {
        let waited = match self.ends_anywhere() {
            Some(ends) if self.lends => self.connector.receive(&ends.guest, until, poll),
            _ => block_on(until, poll),
        };
        match waited {
            Ok(result) => Some(result),
            Err(Unwaited::Late) => None,
            Err(unwaited) => Some(Err(self.context(refused(unwaited)))),
        }
    }

    /// Writes what is queued, as far as the socket takes it, unless another does that
    /// just now. What is left is the reactor's, or this thread's that comes back.
    fn drive(&self, ends: &Ends, is_coming_back: bool) {
        ends.guest
            .drive(|conn| conn.drive(Instant::now(), is_coming_back));
    }
}
