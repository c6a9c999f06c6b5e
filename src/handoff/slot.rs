//! One value, handed over once.
//!
//! ```text
//!           fill                 taken
//! Waiting ───────► Filled ───────────────► Over
//!    │ sender dropped: Over                  ▲
//!    └───────────────────────────────────────┘
//! any state, receiver dropped: Abandoned (a fill gives the value back)
//! ```
//!
//! The receiver reads `None` for a sender that went away without a value, so a
//! dead reactor shows as an error and never as a hang.

use std::mem;
use std::task::{Context, Poll, Waker};

use super::{register, wake};
use crate::sync::{Arc, Mutex, lock};

/// A new empty slot, as its two ends.
pub(crate) fn slot<T>() -> (SlotSender<T>, SlotReceiver<T>) {
    let state = Arc::new(Mutex::new(State::Waiting(None)));
    let sender = SlotSender {
        state: Some(Arc::clone(&state)),
    };
    let receiver = SlotReceiver { state: Some(state) };
    (sender, receiver)
}

/// The end that fills the slot. Dropped without a fill, the receiver sees
/// `None`.
#[derive(Debug)]
pub(crate) struct SlotSender<T> {
    /// Gone once it is filled.
    state: Option<Arc<Mutex<State<T>>>>,
}

/// The end that waits for the value. Dropped, a later fill fails.
#[derive(Debug)]
pub(crate) struct SlotReceiver<T> {
    /// Gone once nothing more will come.
    state: Option<Arc<Mutex<State<T>>>>,
}

#[derive(Debug)]
enum State<T> {
    /// Empty; who is to be woken, if anyone has asked yet.
    Waiting(Option<Waker>),
    Filled(T),
    /// Taken, or the sender went away: nothing more will come.
    Over,
    /// The receiver is gone.
    Abandoned,
}

impl<T> SlotSender<T> {
    /// Runs something in the middle of a fill, as far as the receiver can tell.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn amid<R>(&self, run: impl FnOnce() -> R) -> R {
        let _state = self.state.as_deref().map(lock);
        run()
    }

    /// Hands `value` over and wakes the receiver; gives it back if there is
    /// none any more.
    pub(crate) fn fill(mut self, value: T) -> Result<(), T> {
        let Some(state) = self.state.take() else {
            return Err(value);
        };
        let mut state = lock(&state);
        let State::Waiting(waker) = &mut *state else {
            drop(state);
            return Err(value);
        };
        let waker = waker.take();
        *state = State::Filled(value);
        drop(state);
        wake(waker);
        Ok(())
    }
}

impl<T> Drop for SlotSender<T> {
    fn drop(&mut self) {
        // After a fill, and when nobody listens, there is nothing to say.
        let Some(state) = self.state.take() else {
            return;
        };
        let mut state = lock(&state);
        if let State::Waiting(waker) = &mut *state {
            let waker = waker.take();
            *state = State::Over;
            drop(state);
            wake(waker);
        }
    }
}

impl<T> SlotReceiver<T> {
    /// The value; `None` when the sender was dropped or the value has been
    /// taken already. While pending, the last waker is the one that counts.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let Some(shared) = &self.state else {
            return Poll::Ready(None);
        };
        let mut state = lock(shared);
        if let State::Waiting(waker) = &mut *state {
            let replaced = register(waker, cx);
            drop(state);
            drop(replaced);
            return Poll::Pending;
        }
        let value = state.take();
        drop(state);
        self.state = None;
        Poll::Ready(value)
    }
}

impl<T> Drop for SlotReceiver<T> {
    fn drop(&mut self) {
        let Some(state) = self.state.take() else {
            return;
        };
        let mut state = lock(&state);
        let left = mem::replace(&mut *state, State::Abandoned);
        drop(state);
        drop(left);
    }
}

impl<T> State<T> {
    /// Takes the value out of a slot that is no longer waiting.
    fn take(&mut self) -> Option<T> {
        match mem::replace(self, Self::Over) {
            Self::Filled(value) => Some(value),
            Self::Waiting(_) | Self::Over | Self::Abandoned => None,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::testing::{Count, Hostile};
    use super::*;

    fn poll<T>(receiver: &mut SlotReceiver<T>, waker: &Waker) -> Poll<Option<T>> {
        receiver.poll(&mut Context::from_waker(waker))
    }

    #[test]
    fn filled_before_the_first_poll() {
        let (sender, mut receiver) = slot();
        assert_eq!(sender.fill(7), Ok(()));
        assert_eq!(poll(&mut receiver, Waker::noop()), Poll::Ready(Some(7)));
        // Taken once, never again.
        assert_eq!(poll(&mut receiver, Waker::noop()), Poll::Ready(None));
    }

    #[test]
    fn a_fill_wakes_the_last_waker_once() {
        let (sender, mut receiver) = slot();
        let (first, first_waker) = Count::new();
        let (second, second_waker) = Count::new();
        assert_eq!(poll(&mut receiver, &first_waker), Poll::Pending);
        assert_eq!(poll(&mut receiver, &second_waker), Poll::Pending);
        assert_eq!(sender.fill(7), Ok(()));
        assert_eq!((first.woken(), second.woken()), (0, 1));
        assert_eq!(poll(&mut receiver, Waker::noop()), Poll::Ready(Some(7)));
    }

    #[test]
    fn a_lost_sender_is_seen_and_wakes() {
        let (sender, mut receiver) = slot::<u8>();
        let (count, waker) = Count::new();
        assert_eq!(poll(&mut receiver, &waker), Poll::Pending);
        drop(sender);
        assert_eq!(count.woken(), 1);
        assert_eq!(poll(&mut receiver, &waker), Poll::Ready(None));
    }

    #[test]
    fn an_abandoned_slot_gives_the_value_back() {
        let (sender, receiver) = slot();
        drop(receiver);
        assert_eq!(sender.fill(7), Err(7));
    }

    #[test]
    fn an_unread_value_is_dropped_with_the_receiver() {
        let value = Arc::new(());
        let (sender, receiver) = slot();
        assert!(sender.fill(Arc::clone(&value)).is_ok());
        drop(receiver);
        assert_eq!(Arc::strong_count(&value), 1);
    }

    #[test]
    fn a_panicking_waker_does_not_reach_the_sender() {
        let (sender, mut receiver) = slot();
        let hostile = Waker::from(Arc::new(Hostile));
        assert_eq!(poll(&mut receiver, &hostile), Poll::Pending);
        assert_eq!(sender.fill(7), Ok(()));
        assert_eq!(poll(&mut receiver, Waker::noop()), Poll::Ready(Some(7)));
    }
}
