//! Closing (SPEC W2, W14).

use std::mem;
use std::ops::Deref;
use std::task::{Context, Poll};

use super::send::check_close;
use super::shared::Shared;
use crate::api::cancel::CancelHandle;
use crate::api::pending::Operation;
use crate::error::Error;
use crate::handoff::latch::Place;
use crate::job::WsEnd;
use crate::ws::{CloseCode, CloseFrame, Utf8Bytes};

/// The wait for the server's part of it.
pub(super) struct Closing<H: Deref<Target = Shared>> {
    shared: H,
    /// `None`: it had ended before.
    place: Option<Place<WsEnd>>,
    /// Others may hold the lock that the place leads to.
    is_waiting: bool,
}

impl<H: Deref<Target = Shared>> Closing<H> {
    /// Says goodbye, at once.
    ///
    /// # Errors
    /// Such a goodbye may not be sent.
    pub(super) fn new(shared: H, code: CloseCode, reason: &str) -> Result<Self, Error> {
        let frame = CloseFrame {
            code,
            reason: Utf8Bytes::from(reason),
        };
        // 1005 stands for a Close that says nothing (RFC 6455 §7.1.5).
        let says_nothing = code == CloseCode::NO_STATUS && reason.is_empty();
        let frame = (!says_nothing).then_some(frame);
        if let Some(frame) = &frame {
            check_close(frame).map_err(|error| shared.context(error))?;
        }
        let is_over = shared.ends()?.ended.get().is_some();
        shared.say_goodbye(frame.as_ref())?;
        Ok(Self {
            place: (!is_over).then(Place::new),
            shared,
            is_waiting: false,
        })
    }
}

impl<H: Deref<Target = Shared> + Send> Operation<bool> for Closing<H> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Error>> {
        let Some(place) = &mut self.place else {
            return Poll::Ready(Ok(false));
        };
        let ends = match self.shared.ends() {
            Ok(ends) => ends,
            Err(error) => return Poll::Ready(Err(error)),
        };
        let ended = ends.ended.poll(place, cx);
        self.is_waiting = ended.is_pending();
        // Broken: the reactor has gone, and the connection with it.
        ended.map(|ended| Ok(ended.is_ok_and(|end| end.clean)))
    }

    fn target(&self) -> CancelHandle {
        self.shared.cancel_handle()
    }
}

impl<H: Deref<Target = Shared>> Drop for Closing<H> {
    fn drop(&mut self) {
        if self.is_waiting && !self.shared.is_home() {
            // Its lock may be held for ever in the child of a process.
            mem::forget(self.place.take());
        }
    }
}
