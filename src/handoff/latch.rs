//! One value for all who ask, now or later: how something has ended.
//!
//! ```text
//!           set                       setter dropped
//!  Open ─────────► Set(value)    Open ───────────────► Broken
//! ```
//!
//! Unlike a [slot](super::slot) it is read by any number, any number of times.

use std::collections::BTreeMap;
use std::fmt;
use std::mem;
use std::task::{Context, Poll, Waker};

use super::{register, wake};
use crate::sync::{Arc, Mutex, lock};

/// The setter went away and has set nothing, nor ever will.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken;

/// A new open latch, as its two ends.
pub(crate) fn latch<T: Clone>() -> (LatchSetter<T>, Latch<T>) {
    let state = Arc::new(Mutex::new(State {
        value: None,
        waiting: BTreeMap::new(),
        next: 0,
    }));
    let setter = LatchSetter {
        state: Arc::clone(&state),
    };
    (setter, Latch { state })
}

/// The end that sets it. Dropped without, all who wait see [`Broken`].
pub(crate) struct LatchSetter<T> {
    state: Shared<T>,
}

/// The end that is asked.
pub(crate) struct Latch<T> {
    state: Shared<T>,
}

/// Where one who waits is known. Dropped, it is forgotten.
pub(crate) struct Place<T>(Option<(Shared<T>, u64)>);

type Shared<T> = Arc<Mutex<State<T>>>;

struct State<T> {
    value: Option<Result<T, Broken>>,
    /// Who is to be woken.
    waiting: BTreeMap<u64, Option<Waker>>,
    /// The next of their numbers.
    next: u64,
}

impl<T> LatchSetter<T> {
    /// Sets the value, and wakes all who wait for it.
    pub(crate) fn set(self, value: T) {
        settle(&self.state, Ok(value));
    }
}

impl<T> Drop for LatchSetter<T> {
    fn drop(&mut self) {
        settle(&self.state, Err(Broken));
    }
}

/// Sets what is not set yet.
fn settle<T>(state: &Shared<T>, value: Result<T, Broken>) {
    let mut state = lock(state);
    if state.value.is_some() {
        drop(state);
        return;
    }
    state.value = Some(value);
    let waiting = mem::take(&mut state.waiting);
    drop(state);
    waiting.into_values().for_each(wake);
}

impl<T: Clone> Latch<T> {
    /// The value, once it is set.
    ///
    /// # Errors
    /// It never will be.
    pub(crate) fn poll(
        &self,
        place: &mut Place<T>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<T, Broken>> {
        let mut state = lock(&self.state);
        if let Some(value) = &state.value {
            return Poll::Ready(value.clone());
        }
        let number = match &place.0 {
            Some((_, number)) => *number,
            None => {
                let number = state.next;
                state.next += 1;
                place.0 = Some((Arc::clone(&self.state), number));
                number
            }
        };
        let replaced = register(state.waiting.entry(number).or_default(), cx);
        drop(state);
        drop(replaced);
        Poll::Pending
    }

    /// The value, if it is set.
    pub(crate) fn get(&self) -> Option<T> {
        lock(&self.state).value.clone()?.ok()
    }
}

impl<T> Place<T> {
    /// Known nowhere yet.
    pub(crate) const fn new() -> Self {
        Self(None)
    }
}

impl<T> Drop for Place<T> {
    fn drop(&mut self) {
        let Some((state, number)) = self.0.take() else {
            return;
        };
        let forgotten = lock(&state).waiting.remove(&number);
        drop(forgotten);
    }
}

impl<T> Clone for Latch<T> {
    fn clone(&self) -> Self {
        let state = Arc::clone(&self.state);
        Self { state }
    }
}

impl<T> fmt::Debug for LatchSetter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LatchSetter").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Latch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = lock(&self.state).value.is_some();
        f.debug_struct("Latch").field("set", &set).finish()
    }
}

impl<T> fmt::Debug for Place<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::testing::{Count, Hostile};
    use super::*;

    #[test]
    fn all_who_wait_are_told_and_all_who_come_later() {
        let (setter, latch) = latch();
        let (count, waker) = Count::new();
        let mut cx = Context::from_waker(&waker);
        let mut places = [Place::new(), Place::new(), Place::new()];
        for place in &mut places {
            assert_eq!(latch.poll(place, &mut cx), Poll::Pending);
        }
        assert_eq!(latch.get(), None);
        let [first, ..] = places;
        drop(first);
        assert_eq!(lock(&latch.state).waiting.len(), 2, "one is forgotten");
        let mut place = Place::new();
        assert_eq!(latch.clone().poll(&mut place, &mut cx), Poll::Pending);
        setter.set(7);
        assert_eq!(count.woken(), 3);
        for _ in 0..2 {
            assert_eq!(latch.poll(&mut place, &mut cx), Poll::Ready(Ok(7)));
            assert_eq!(latch.get(), Some(7));
        }
    }

    #[test]
    fn a_setter_that_goes_away_breaks_it() {
        let (setter, latch) = latch::<u8>();
        let (count, waker) = Count::new();
        let mut cx = Context::from_waker(&waker);
        let mut place = Place::new();
        let hostile = Waker::from(Arc::new(Hostile));
        let mut other = Place::new();
        let mut hostile = Context::from_waker(&hostile);
        assert!(latch.poll(&mut other, &mut hostile).is_pending());
        assert!(latch.poll(&mut place, &mut cx).is_pending());
        drop(setter);
        assert_eq!(count.woken(), 1);
        assert_eq!(latch.poll(&mut place, &mut cx), Poll::Ready(Err(Broken)));
        assert_eq!(latch.get(), None);
    }
}
