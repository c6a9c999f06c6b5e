//! Where a request stands whose steps are started by its caller: so that a
//! cancellation, which may come between two of them, is never lost.
//!
//! Whoever cancels says so here and then tells the driver of the step that
//! stands; whoever starts a step looks here before, and again afterwards.

use crate::sync::{Mutex, lock};

#[derive(Debug)]
pub(crate) struct Steps<T>(Mutex<State<T>>);

#[derive(Debug)]
struct State<T> {
    current: T,
    cancelled: bool,
}

impl<T: Copy> Steps<T> {
    pub(crate) fn new(first: T) -> Self {
        Self(Mutex::new(State {
            current: first,
            cancelled: false,
        }))
    }

    /// `next` is about to be started; false if it must not be.
    #[must_use]
    pub(crate) fn go_on(&self, next: T) -> bool {
        let mut state = lock(&self.0);
        state.current = next;
        !state.cancelled
    }

    /// Whether the step that was just started is to be ended: the word of it
    /// may have come before the step.
    pub(crate) fn is_cancelled(&self) -> bool {
        lock(&self.0).cancelled
    }

    /// No further step from here on. Gives the one to be ended.
    pub(crate) fn cancel(&self) -> T {
        let mut state = lock(&self.0);
        state.cancelled = true;
        state.current
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn no_step_follows_a_cancellation() {
        let steps = Steps::new(1);
        assert!(steps.go_on(2) && !steps.is_cancelled());
        assert_eq!(steps.cancel(), 2);
        assert!(steps.is_cancelled() && !steps.go_on(3));
    }
}
